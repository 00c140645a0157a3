/* tap_options.h - the command line of tiffin-tap. */
#ifndef TIFFIN_TAP_OPTIONS_H
#define TIFFIN_TAP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/err.h"

enum { TAP_PATTERNS_MAX = 32, TAP_WHERES_MAX = 16, TAP_FIELD_SIZE = 64 };

#define TAP_ADDR_DEFAULT "tcp://127.0.0.1:5551"
#define TAP_WITHIN_DEFAULT_MS 10000

/* --where FIELD=VALUE */
typedef struct tap_where {
    char field[TAP_FIELD_SIZE];
    const char *value;
} tap_where_t;

/* All text is borrowed from the command line. */
typedef struct tap_options {
    const char *patterns[TAP_PATTERNS_MAX]; /* none: everything */
    size_t pattern_count;
    tap_where_t wheres[TAP_WHERES_MAX];
    size_t where_count;
    const char *trace;   /* NULL: any */
    const char *connect; /* NULL: TAP_ADDR */
    int64_t slow_us;     /* -1: any */
    int64_t within_ms;
    int64_t count; /* messages until the end; 0: no end */
    bool errors;
    bool expect; /* the pattern is in `patterns`, and `count` is at least 1 */
    bool json;
    bool no_color;
    bool help;
    bool version;
} tap_options_t;

/* ERR_BAD_CONFIG names the option. Reorders `argv`. */
err_t tap_options_parse(int argc, char **argv, tap_options_t *options,
                        err_detail_t *detail) MUST_CHECK;
/* "200ms", "2s"; up to a day. */
bool tap_duration_parse(const char *text, int64_t *duration_ms);
void tap_options_help(FILE *out);

#endif
