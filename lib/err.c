/* err.c - names, titles and HTTP statuses of errors.def, and the end of a process that broke a
 * promise to itself.
 *
 * Everybody calls this. Nothing here allocates or takes a lock, since it runs on the worst day of a
 * process.
 */
#include "lib/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/log.h"

typedef struct err_row {
    err_t err;
    int http_status;
    bool retryable;
    const char *name;
    const char *title;
} err_row_t;

static const err_row_t rows[] = {
#define ERROR(name, number, http_status, retryable, title) \
    {ERR_##name, http_status, retryable, #name, title},
#include "lib/errors.def"
#undef ERROR
};

/* NULL when the number is not in the table. */
static const err_row_t *row_find(uint32_t number)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((uint32_t)rows[i].err == number)
            return &rows[i];
    return NULL;
}

static const err_row_t *row_of(err_t err)
{
    const err_row_t *row = row_find((uint32_t)err);
    return row ? row : row_find(ERR_INTERNAL);
}

const char *err_name(err_t err)
{
    return row_of(err)->name;
}

const char *err_title(err_t err)
{
    return row_of(err)->title;
}

int err_http_status(err_t err)
{
    return row_of(err)->http_status;
}

bool err_retryable(err_t err)
{
    return row_of(err)->retryable;
}

err_t err_from_number(uint32_t number)
{
    const err_row_t *row = row_find(number);
    return row ? row->err : ERR_INTERNAL;
}

err_t err_set(err_detail_t *detail, err_t err, const char *format, ...)
{
    if (!detail)
        return err;
    va_list args;
    va_start(args, format);
    int written = vsnprintf(detail->text, sizeof detail->text, format, args);
    va_end(args);
    if (written < 0)
        detail->text[0] = '\0';
    return err;
}

_Noreturn void check_failed(const char *file, int line, const char *expression)
{
    char quoted[256];
    log_error(NULL, "check failed", "file=%s line=%d expression=%s", file, line,
              log_quote(quoted, sizeof quoted, expression));
    abort();
}
