/* http_body.h - reads the body of one civetweb request, bounded in bytes and time. Only
 * http_server.c calls it.
 *
 * civetweb bounds the head of a request, not its body, and believes the first of several
 * contradicting lengths: a proxy in front may have believed another one, so those are refused.
 */
#ifndef TIFFIN_LIB_HTTP_BODY_H
#define TIFFIN_LIB_HTTP_BODY_H

#include <civetweb.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

/* The head says that bytes follow. */
bool http_body_announced(const struct mg_connection *connection);
/* The whole body, with Content-Length or chunked; *data starts as NULL, *size as 0, and is the
 * caller's to free on every outcome. ERR_BODY_TOO_LARGE over `max` bytes (nothing is read when the
 * head says so already); ERR_MALFORMED_REQUEST, *why says how. After an error the connection must
 * be closed. */
err_t http_body_read(struct mg_connection *connection, size_t max, char **data, size_t *size,
                     const char **why) MUST_CHECK;
/* Reads a refused body and drops it, bounded: closing with bytes unread would reset the connection
 * and take the answer with it. */
void http_body_discard(struct mg_connection *connection);

#endif
