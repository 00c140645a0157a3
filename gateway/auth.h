/* auth.h - API keys: who may call what. */
#ifndef TIFFIN_GATEWAY_AUTH_H
#define TIFFIN_GATEWAY_AUTH_H

#include <stdbool.h>

#include "lib/err.h"
#include "lib/http_server.h"

typedef enum auth_scope {
    AUTH_NONE = 0,
    AUTH_READ = 1,
    AUTH_WRITE = 2,
    AUTH_ADMIN = 4
} auth_scope_t;

typedef struct auth auth_t;

/* `file` NULL: no keys, everybody may do everything (dev only; the caller checks). ERR_BAD_CONFIG
 * with the line otherwise. */
err_t auth_load(const char *file, auth_t **auth, err_detail_t *detail) MUST_CHECK;
void auth_destroy(auth_t **self_p);
bool auth_has_keys(const auth_t *self);
/* ERR_OK, ERR_UNAUTHENTICATED (no or unknown key), ERR_FORBIDDEN (scope missing; admin includes
 * all, write does not include read). */
err_t auth_check(const auth_t *self, const http_request_t *request, auth_scope_t needed) MUST_CHECK;
/* The name of the key that a request shows; "" where there are no keys, or it is none. Borrowed. */
const char *auth_caller(const auth_t *self, const http_request_t *request);
/* Their pure parts: an Authorization header's value, or NULL. */
err_t auth_check_header(const auth_t *self, const char *authorization,
                        auth_scope_t needed) MUST_CHECK;
const char *auth_caller_header(const auth_t *self, const char *authorization);

#endif
