/* log.h - one logfmt line per event on standard error.
 *
 *   ts=2026-02-21T00:00:00.123Z level=info service=order instance=order-1 event="orders created" request_id=… count=12
 *
 * Values are quoted and escaped where they need it; nothing that the schema flags SECRET is ever passed in. Thread-safe: one
 * write per line. Repeated errors are held back by log_limited_*: at most one line a second per call site, with the count of
 * the lines that were held back.
 */
#ifndef TIFFIN_LIB_LOG_H
#define TIFFIN_LIB_LOG_H

#include <stdbool.h>
#include <stdint.h>

typedef enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR } log_level_t;

/* What every line of one piece of work carries. NULL members are left out. Borrowed for the call. */
typedef struct log_ctx {
    const char *request_id;
    const char *traceparent;
} log_ctx_t;

/* Once, before any thread: names that every line carries (copied), and the least level printed. */
void log_init(const char *service, const char *instance, log_level_t level);
bool log_level_parse(const char *text, log_level_t *level);
bool log_enabled(log_level_t level);

/* Each `format` gives key=value pairs, printf style: "order_id=%s count=%d"; "" for none. A value with blanks or quotes goes
 * through log_quote, or is written \"%s\" where it holds none. */
void log_line(log_level_t level, const log_ctx_t *ctx, const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define log_debug(ctx, event, ...)                                                                 \
    do {                                                                                           \
        if (log_enabled(LOG_LEVEL_DEBUG))                                                          \
            log_line(LOG_LEVEL_DEBUG, ctx, event, __VA_ARGS__);                                    \
    } while (0)
#define log_info(ctx, event, ...) log_line(LOG_LEVEL_INFO, ctx, event, __VA_ARGS__)
#define log_warn(ctx, event, ...) log_line(LOG_LEVEL_WARN, ctx, event, __VA_ARGS__)
#define log_error(ctx, event, ...) log_line(LOG_LEVEL_ERROR, ctx, event, __VA_ARGS__)

/* State of one call site's rate limit; zero-initialised static. */
typedef struct log_limit {
    _Atomic int64_t next_mono_ms;
    _Atomic uint32_t held_back;
} log_limit_t;
/* True when a line may be printed now; *held_back is then how many were not since the last. */
bool log_limit_pass(log_limit_t *limit, uint32_t *held_back);
#define log_limited(level, ctx, event, format, ...)                                                \
    do {                                                                                           \
        static log_limit_t limit_;                                                                 \
        uint32_t held_back_;                                                                       \
        if (log_limit_pass(&limit_, &held_back_))                                                  \
            log_line(level, ctx, event, format " held_back=%u", __VA_ARGS__, held_back_);          \
    } while (0)

/* A value in quotes with escapes, cut to the buffer; returns `buffer`. */
const char *log_quote(char *buffer, unsigned capacity, const char *value);

#endif
