/* log.c - one logfmt line per event on standard error.
 *
 * A line is built in one buffer and leaves in one write(2): lines of threads and processes that
 * share the descriptor do not mix (a pipe takes up to PIPE_BUF at once). A line that is too long is
 * cut. A control character can never begin a forged line: what a caller failed to quote is made
 * harmless here.
 */
#include "lib/log.h"

#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"

enum { LINE_MAX_BYTES = PIPE_BUF, NAME_MAX_BYTES = 64, LIMIT_INTERVAL_MS = 1000 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static char service_name[NAME_MAX_BYTES] = "-";
static char instance_name[NAME_MAX_BYTES] = "-";
static log_level_t least_level = LOG_LEVEL_INFO;

void log_init(const char *service, const char *instance, log_level_t level)
{
    snprintf(service_name, sizeof service_name, "%s", service);
    snprintf(instance_name, sizeof instance_name, "%s", instance);
    least_level = level;
}

bool log_level_parse(const char *text, log_level_t *level)
{
    for (unsigned i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (log_level_t)i;
            return true;
        }
    }
    return false;
}

bool log_enabled(log_level_t level)
{
    return level >= least_level;
}

/* The line being built; one byte is kept for the newline. */
typedef struct line {
    size_t size;
    char text[LINE_MAX_BYTES];
} line_t;

static void __attribute__((format(printf, 2, 0)))
line_vadd(line_t *line, const char *format, va_list args)
{
    size_t room = sizeof line->text - 1 - line->size;
    int written = vsnprintf(line->text + line->size, room, format, args);
    if (written > 0)
        line->size += (size_t)written < room ? (size_t)written : room - 1;
}

static void __attribute__((format(printf, 2, 3))) line_add(line_t *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line_vadd(line, format, args);
    va_end(args);
}

void log_line(log_level_t level, const log_ctx_t *ctx, const char *event, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    char time[RFC3339_SIZE];
    char quoted[256];
    line_t line;
    line.size = 0;
    line_add(&line, "ts=%s level=%s service=%s instance=%s event=%s",
             rfc3339_format(clock_wall_us() / 1000 * 1000, time), level_names[level], service_name,
             instance_name, log_quote(quoted, sizeof quoted, event));
    if (ctx && ctx->request_id)
        line_add(&line, " request_id=%s", ctx->request_id);
    if (ctx && ctx->traceparent && ctx->traceparent[0])
        line_add(&line, " traceparent=%s", ctx->traceparent);
    if (format[0]) {
        line_add(&line, " ");
        va_list args;
        va_start(args, format);
        line_vadd(&line, format, args);
        va_end(args);
    }
    for (size_t i = 0; i < line.size; i++)
        if ((unsigned char)line.text[i] < 0x20 || line.text[i] == 0x7f)
            line.text[i] = '?';
    line.text[line.size++] = '\n';
    /* Where standard error is gone there is nobody to tell. */
    ssize_t written = write(STDERR_FILENO, line.text, line.size);
    (void)written;
}

bool log_limit_pass(log_limit_t *limit, uint32_t *held_back)
{
    int64_t now_ms = clock_mono_ms();
    int64_t next_ms = atomic_load(&limit->next_mono_ms);
    if (now_ms < next_ms || !atomic_compare_exchange_strong(&limit->next_mono_ms, &next_ms,
                                                            now_ms + LIMIT_INTERVAL_MS)) {
        atomic_fetch_add(&limit->held_back, 1);
        return false;
    }
    *held_back = atomic_exchange(&limit->held_back, 0);
    return true;
}

/* The escape of one byte, or the byte itself; returns how many bytes `out` got. */
static unsigned escape(unsigned char byte, char out[4])
{
    static const char digits[] = "0123456789abcdef";
    static const char named[] = "\"\"\\\\\nn\rr\tt"; /* pairs: the byte, its letter */
    for (unsigned i = 0; i + 1 < sizeof named; i += 2) {
        if (byte == (unsigned char)named[i]) {
            out[0] = '\\';
            out[1] = named[i + 1];
            return 2;
        }
    }
    if (byte >= 0x20 && byte != 0x7f) {
        out[0] = (char)byte;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[byte >> 4];
    out[3] = digits[byte & 15];
    return 4;
}

const char *log_quote(char *buffer, unsigned capacity, const char *value)
{
    if (capacity < 3) {
        if (capacity > 0)
            buffer[0] = '\0';
        return buffer;
    }
    unsigned size = 0;
    buffer[size++] = '"';
    for (const char *at = value ? value : ""; *at; at++) {
        char out[4];
        unsigned count = escape((unsigned char)*at, out);
        if (size + count + 2 > capacity)
            break;
        memcpy(buffer + size, out, count);
        size += count;
    }
    buffer[size++] = '"';
    buffer[size] = '\0';
    return buffer;
}
