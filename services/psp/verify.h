/* verify.h - tiffin-psp verify: are the signatures of these requests right? By the gateway's own
 * code. */
#ifndef TIFFIN_SERVICES_PSP_VERIFY_H
#define TIFFIN_SERVICES_PSP_VERIFY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct verify_options {
    const char *path; /* "-": standard input */
    bool has_now;     /* else each request's own time, else the clock's */
    int64_t now_s;
} verify_options_t;

/* Prints "<id> <true|false> <reason>" for each. 0: every verdict is what the file says (of a
 * request that says nothing: true); 1: one is not; 2: the file cannot be read, said on `errors`. */
int verify_file(const verify_options_t *options, FILE *out, FILE *errors);

#endif
