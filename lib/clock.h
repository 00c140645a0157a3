/* clock.h - the two clocks, and RFC 3339 text. Pure modules take times as arguments; only their callers read a clock. */
#ifndef TIFFIN_LIB_CLOCK_H
#define TIFFIN_LIB_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Monotonic, for deadlines and durations. */
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
/* Microseconds since 1970-01-01T00:00:00Z. */
int64_t clock_wall_us(void);

#define RFC3339_SIZE 28 /* "2026-02-21T00:00:00.123456Z" and the NUL */
/* RFC 3339, UTC; microseconds are printed only when not zero, as 3 or 6 digits. Returns `text`. */
const char *rfc3339_format(int64_t wall_us, char text[RFC3339_SIZE]);
/* Any RFC 3339 date-time, with offset; false when it is none or lies outside 1970…9999. */
bool rfc3339_parse(const char *text, int64_t *wall_us);

#endif
