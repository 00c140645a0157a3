/* http_client.h - HTTP requests to PSPs: many at once, in one libcurl thread; completions come back to the owner's loop.
 *
 * Bodies, headers and time are bounded; redirects are not followed; only http and https. An error tells apart what could not
 * have been executed (ERR_HTTP_UNREACHABLE: no connection was made) from what may have been (ERR_HTTP_TIMEOUT).
 */
#ifndef TIFFIN_LIB_HTTP_CLIENT_H
#define TIFFIN_LIB_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

typedef struct http_client http_client_t;

#define HTTP_CLIENT_HEADERS_MAX 8

typedef struct http_client_request {
    const char *method; /* "GET", "POST" */
    char url[1024];
    int header_count;
    char headers[HTTP_CLIENT_HEADERS_MAX][512]; /* "Name: value" */
    char long_header[2048];                     /* one more, for an access token; "": none */
    buf_t body;
    uint32_t timeout_ms; /* in all */
    size_t response_max_bytes; /* 0: 1 MiB */
} http_client_request_t;

void http_client_request_free(http_client_request_t *request);
/* printf into the next header slot; CHECKs the bound. */
void http_client_request_header(http_client_request_t *request, const char *format, ...) __attribute__((format(printf, 2, 3)));

typedef struct http_client_response {
    err_t err;      /* ERR_OK: an HTTP answer came, whatever its status */
    int status;     /* 200 … */
    buf_t body;     /* at most 1 MiB, or what was asked for; a longer one is ERR_HTTP_TIMEOUT's sibling ERR_TOO_LARGE */
    int64_t took_ms;
    char error[128]; /* libcurl's words when err is not ERR_OK */
} http_client_response_t;

http_client_t *http_client_new(unsigned concurrent_max);
/* Cancels what runs; those completions are not delivered. */
void http_client_destroy(http_client_t **self_p);
/* Takes the request (copied or moved; *request is left empty). `cookie` comes back with the completion. Never blocks. */
void http_client_submit(http_client_t *self, http_client_request_t *request, void *cookie);
/* Readable while completions wait. */
int http_client_fd(const http_client_t *self);
/* The next completion; the response is the caller's (buf_free its body). False when there is none. */
bool http_client_next(http_client_t *self, void **cookie, http_client_response_t *response);
/* Submitted and not yet taken. */
size_t http_client_pending(const http_client_t *self);

#endif
