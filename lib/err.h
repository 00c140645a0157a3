/* err.h - the one error type: err_t from errors.def, detail text in the caller's buffer, CHECK for our own bugs.
 *
 * Anything that a peer, a disk, a clock, a configuration or memory pressure can cause is an err_t that callers must look at.
 * CHECK() is for broken promises inside our own code: it logs the place and aborts, in release builds too.
 */
#ifndef TIFFIN_LIB_ERR_H
#define TIFFIN_LIB_ERR_H

#include <stdbool.h>
#include <stdint.h>

typedef enum err {
#define ERROR(name, number, http_status, retryable, title) ERR_##name = (number),
#include "lib/errors.def"
#undef ERROR
} err_t;

#define MUST_CHECK __attribute__((warn_unused_result))

/* Text about one error, for people; empty when there is nothing to add. Never holds a secret. */
typedef struct err_detail {
    char text[256];
} err_detail_t;

/* "ORDER_NOT_FOUND"; "INTERNAL" for a number that is not in the table. Static. */
const char *err_name(err_t err);
/* The public title. Static. */
const char *err_title(err_t err);
/* The HTTP status that the edge answers. */
int err_http_status(err_t err);
bool err_retryable(err_t err);
/* A number from the wire: ERR_INTERNAL when it is not in the table. */
err_t err_from_number(uint32_t number);

/* Fills `detail` (may be NULL) and returns `err`, so that `return err_set (detail, ERR_X, "…", …);` reads well. */
err_t err_set(err_detail_t *detail, err_t err, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define TRY(call)                                                                                  \
    do {                                                                                           \
        err_t try_err_ = (call);                                                                   \
        if (try_err_ != ERR_OK)                                                                    \
            return try_err_;                                                                       \
    } while (0)

_Noreturn void check_failed(const char *file, int line, const char *expression);
#define CHECK(expression)                                                                          \
    do {                                                                                           \
        if (!(expression))                                                                         \
            check_failed(__FILE__, __LINE__, #expression);                                         \
    } while (0)

#endif
