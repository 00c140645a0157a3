/* http_server.h - civetweb behind one table of routes: bounded bodies, one write per response,
 * problem documents, draining.
 *
 * Shared by the gateway and the PSP simulator. A handler runs on one of civetweb's threads (about
 * 100 KiB of stack: no large locals) and must call exactly one http_respond* function.
 */
#ifndef TIFFIN_LIB_HTTP_SERVER_H
#define TIFFIN_LIB_HTTP_SERVER_H

#include <civetweb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/text.h"
#include "lib/uuid.h"

typedef struct http_server http_server_t;

#define HTTP_PARAMS_MAX 4

typedef struct http_request {
    struct mg_connection *connection;
    const char *method;
    const char *path;              /* decoded, without the query */
    const char *query;             /* raw, or NULL */
    str_t params[HTTP_PARAMS_MAX]; /* what the {…} of the pattern matched, in order */
    str_t body;                    /* whole; valid during the handler */
    uuid_t request_id;             /* from X-Request-Id when it is a UUID, else new; echoed */
    char traceparent[56];          /* from the header when well-formed, else "" */
    char extra_headers[1024]; /* "Name: value\r\n…" added to the response; http_add_header fills it
                               */
    bool close;               /* set it to end the connection after the answer */
    bool responded;
    int status; /* what was answered */
    http_server_t *server;
    void *self; /* http_server_config_t.self */
} http_request_t;

typedef void(http_handler_fn)(http_request_t *request);

typedef struct http_route {
    const char *method;  /* "GET"; NULL ends the table */
    const char *pattern; /* "/orders/{id}"; a {…} matches one segment */
    http_handler_fn *handler;
    size_t body_max_bytes; /* 0: a body is refused with 413 when it is not empty */
} http_route_t;

typedef struct http_server_config {
    const char *addr; /* "127.0.0.1:8080"; port 0 takes a free one */
    unsigned threads; /* HTTP threads; WebSockets need one each on top: add them here */
    unsigned keep_alive_timeout_ms;
    const char *tls_cert_file; /* PEM with certificate and key, or NULL */
    const http_route_t *routes;
    void *self;
    /* Another path to look up instead, made of the Host and the path, into `to`; false: none. May
     * be NULL. */
    bool (*rewrite)(void *self, const char *host, const char *path, char *to, size_t capacity);
    /* After each response (metrics, access log); may be NULL. `route` is NULL when none matched. */
    void (*observe)(void *self, const http_request_t *request, const http_route_t *route,
                    int64_t took_us);
    /* Called on each civetweb worker thread as it starts and ends; may be NULL. */
    void (*thread_start)(void *self);
    void (*thread_end)(void *self);
} http_server_config_t;

/* NULL with `detail` when the address cannot be bound. */
http_server_t *http_server_new(const http_server_config_t *config, err_detail_t *detail);
/* Stops at once: drain first. */
void http_server_destroy(http_server_t **self_p);
/* From now on whoever connects is refused, and every response says `Connection: close`. */
void http_server_drain(http_server_t *self);
/* Handlers running now. */
unsigned http_server_in_flight(const http_server_t *self);
/* Where it listens (port 0 resolved). */
unsigned http_server_port(const http_server_t *self);
/* For mg_set_websocket_handler. */
struct mg_context *http_server_context(http_server_t *self);

void http_add_header(http_request_t *request, const char *name, const char *value);
/* One write. `body` may be NULL. */
void http_respond(http_request_t *request, int status, const char *content_type, const void *body,
                  size_t size);
void http_respond_json(http_request_t *request, int status, const buf_t *body);
/* RFC 9457 problem document; `detail` NULL or empty: the title again. 503, 429, and 409
 * where it passes, get Retry-After: 1. */
void http_respond_problem(http_request_t *request, err_t err, const char *detail);
/* The same, that names another request: an answer that was given to that one before. */
void http_respond_problem_of(http_request_t *request, err_t err, const char *detail,
                             const uuid_t *request_id);
/* The whole text of such a response for connections that have no http_request_t (WebSocket upgrades
 * refused). The caller's. */
char *http_problem_response(err_t err, const char *detail, const uuid_t *request_id);

/* A request header's value, or NULL. Borrowed. */
const char *http_header(const http_request_t *request, const char *name);
/* A decoded query parameter. 0 not there, 1 filled, -1 too long, given twice or not decodable. */
int http_query(const http_request_t *request, const char *name, char *value, size_t capacity);
/* The names of all query parameters must be among `names` (NULL-ended); false and the offender
 * otherwise. */
bool http_query_known(const http_request_t *request, const char *const *names, char *offender,
                      size_t capacity);
/* Takes the %XX escapes out of `raw` into `text`, terminated. False when it does not fit, an escape
 * is broken, or there is a NUL. */
bool http_decode(str_t raw, bool plus_is_blank, char *text, size_t capacity);
/* The same from a raw query (may be NULL), for connections that have no http_request_t. */
int http_query_value(const char *query, const char *name, char *value, size_t capacity);
bool http_query_names_known(const char *query, const char *const *names, char *offender,
                            size_t capacity);
/* The caller presses on: every handler must answer; a handler that did not is answered 500 by the
 * server. */

#endif
