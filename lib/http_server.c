/* http_server.c - civetweb behind one table of routes.
 *
 * Who calls: the gateway and the PSP simulator. Every request goes through begin_request;
 * civetweb's own handling of files, scripts and directories is never reached. Upgrades to WebSocket
 * are let through to handlers set with mg_set_websocket_handler; without one civetweb's 404 comes
 * back through http_error.
 *
 * What civetweb 1.15 does not do and is done here:
 *   - It bounds the head of a request, not its body: http_body.c does.
 *   - It serves one connection per thread, so keep-alive connections starve newcomers. Held
 *     connections are counted; from 90 % of the threads on every response closes its own.
 *   - One mg_write per response: two cost a quarter of the throughput.
 *   - It passes over every header after the 64th in silence, also the one that says how long the
 *     body is, and would take that body for the next request: such a head is refused.
 *
 * Must never happen: a response whose Connection header differs from what civetweb then does (the
 * client would wait, or send into a closed connection); a handler that answers twice.
 */
#include "lib/http_server.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/http_body.h"
#include "lib/http_listener.h"
#include "lib/log.h"

enum {
    REQUEST_TIMEOUT_MS = 10000, /* to send a whole head, and again for each step of a body */
    HEAD_MAX_BYTES = 16384,
    HELD_PERCENT_CLOSE = 90,
    CONNECTION_QUEUE = 1024,
    REWRITTEN_MAX_BYTES = 2048,
};

struct http_server {
    http_server_config_t config;
    struct mg_context *context;
    unsigned port;
    unsigned close_from; /* held connections from which on responses close */
    atomic_uint held;
    atomic_uint in_flight;
    atomic_bool draining;
    int listener; /* -1: not known; the eventfd once listening_ended */
    atomic_bool listening_ended;
};

/* ---- connections ---- */

/* A connection lives and ends on one of civetweb's threads. False on a thread whose connection was
 * never counted: a failed TLS handshake ends without having begun. The connection's user data would
 * say it too, but belongs to WebSocket handlers. */
static _Thread_local bool counted;

static int on_connection(const struct mg_connection *connection, void **data)
{
    (void)data;
    http_server_t *self = mg_get_user_context_data(connection);
    atomic_fetch_add(&self->held, 1);
    counted = true;
    return 0;
}

static void on_close(const struct mg_connection *connection)
{
    http_server_t *self = mg_get_user_context_data(connection);
    if (counted)
        atomic_fetch_sub(&self->held, 1);
    counted = false;
}

static bool has_token(const char *list, const char *token)
{
    size_t size = strlen(token);
    while (*list) {
        list += strspn(list, " \t,");
        size_t length = strcspn(list, ", \t");
        if (length == size && strncasecmp(list, token, size) == 0)
            return true;
        list += length;
    }
    return false;
}

/* Only GET may (RFC 6455, 4.1); civetweb would take any method. */
static bool is_websocket_upgrade(const struct mg_connection *connection)
{
    const char *method = mg_get_request_info(connection)->request_method;
    const char *header = mg_get_header(connection, "Connection");
    const char *upgrade = mg_get_header(connection, "Upgrade");
    return strcmp(method, "GET") == 0 && header && upgrade && strcasestr(header, "upgrade") &&
           strcasestr(upgrade, "websocket");
}

/* civetweb's own rule, narrowed: closes more often, never less. */
static bool client_keeps_alive(struct mg_connection *connection)
{
    const char *header = mg_get_header(connection, "Connection");
    if (header)
        return has_token(header, "keep-alive") && !strcasestr(header, "upgrade");
    const char *version = mg_get_request_info(connection)->http_version;
    return version && strcmp(version, "1.1") == 0;
}

/* ---- responses ---- */

static const char *reason_phrase(struct mg_connection *connection, int status)
{
    return connection ? mg_get_response_code_text(connection, status)
                      : (status == 503 ? "Service Unavailable" : "Error");
}

/* Written out once a second by each thread. */
static void add_date(buf_t *head)
{
    static _Thread_local time_t written_at = -1;
    static _Thread_local char text[40];
    const time_t now = time(NULL);
    if (now != written_at) {
        struct tm utc;
        gmtime_r(&now, &utc);
        strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
        written_at = now;
    }
    buf_add_text(head, text);
}

static void add_head(buf_t *head, int status, const char *phrase, const char *content_type,
                     size_t size, const uuid_t *request_id, const char *extra, bool keep)
{
    char id[UUID_TEXT_SIZE];
    buf_add_text(head, "HTTP/1.1 ");
    buf_add_int(head, status);
    buf_add_text(head, " ");
    buf_add_text(head, phrase);
    buf_add_text(head, "\r\n");
    add_date(head);
    if (content_type) {
        buf_add_text(head, "Content-Type: ");
        buf_add_text(head, content_type);
        buf_add_text(head, "\r\n");
    }
    buf_add_text(head, "Content-Length: ");
    buf_add_int(head, (int64_t)size);
    buf_add_text(head, "\r\nX-Request-Id: ");
    buf_add_text(head, uuid_format(request_id, id));
    buf_add_text(head, "\r\n");
    if (status == 503 || status == 429)
        buf_add_text(head, "Retry-After: 1\r\n");
    buf_add_text(head, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
    buf_add_text(head, extra);
    buf_add_text(head, keep ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
}

static bool keeps_alive(const http_request_t *request)
{
    const http_server_t *self = request->server;
    return !request->close && !atomic_load_explicit(&self->draining, memory_order_relaxed) &&
           atomic_load_explicit(&self->held, memory_order_relaxed) < self->close_from &&
           client_keeps_alive(request->connection);
}

void http_respond(http_request_t *request, int status, const char *content_type, const void *body,
                  size_t size)
{
    CHECK(!request->responded);
    request->responded = true;
    request->status = status;
    bool keep = keeps_alive(request);
    if (!keep)
        mg_disable_connection_keep_alive(request->connection);
    buf_t out;
    buf_init(&out, size + 4096);
    add_head(&out, status, reason_phrase(request->connection, status), content_type, size,
             &request->request_id, request->extra_headers, keep);
    if (size > 0 && strcmp(request->method, "HEAD") != 0)
        buf_add(&out, body, size);
    CHECK(!out.overflow);
    mg_write(request->connection, out.data,
             out.size); /* a client that is gone is civetweb's to notice */
    buf_free(&out);
}

void http_respond_json(http_request_t *request, int status, const buf_t *body)
{
    CHECK(!body->overflow);
    http_respond(request, status, "application/json", body->data, body->size);
}

static void problem_json(buf_t *json, err_t err, const char *detail, const uuid_t *request_id)
{
    const char *text = detail && *detail ? detail : err_title(err);
    char type[96];
    snprintf(type, sizeof type, "urn:tiffin:problem:%s", err_name(err));
    json_open_object(json, NULL);
    json_text(json, "type", type);
    json_text(json, "title", err_title(err));
    json_int(json, "status", err_http_status(err));
    json_text(json, "detail", text);
    json_text(json, "code", err_name(err));
    json_uuid(json, "request_id", request_id);
    json_text(json, "error", text);
    json_close_object(json);
}

void http_respond_problem(http_request_t *request, err_t err, const char *detail)
{
    http_respond_problem_of(request, err, detail, &request->request_id);
}

void http_respond_problem_of(http_request_t *request, err_t err, const char *detail,
                             const uuid_t *request_id)
{
    buf_t json = {0};
    problem_json(&json, err, detail, request_id);
    if (err_http_status(err) == 409 && err_retryable(err))
        http_add_header(request, "Retry-After", "1");
    http_respond(request, err_http_status(err), "application/problem+json", json.data, json.size);
    buf_free(&json);
}

char *http_problem_response(err_t err, const char *detail, const uuid_t *request_id)
{
    buf_t json = {0}, out = {0};
    problem_json(&json, err, detail, request_id);
    add_head(&out, err_http_status(err), reason_phrase(NULL, err_http_status(err)),
             "application/problem+json", json.size, request_id, "", false);
    buf_add(&out, json.data, json.size);
    buf_free(&json);
    return out.data;
}

void http_add_header(http_request_t *request, const char *name, const char *value)
{
    CHECK(!strpbrk(name, "\r\n") && !strpbrk(value, "\r\n"));
    size_t used = strlen(request->extra_headers);
    int size = snprintf(request->extra_headers + used, sizeof request->extra_headers - used,
                        "%s: %s\r\n", name, value);
    CHECK(size > 0 && (size_t)size < sizeof request->extra_headers - used);
}

const char *http_header(const http_request_t *request, const char *name)
{
    return mg_get_header(request->connection, name);
}

/* ---- routes ---- */

static str_t next_segment(const char **path)
{
    const char *start = *path + (**path == '/');
    size_t size = strcspn(start, "/");
    *path = start + size;
    return (str_t){start, (uint32_t)size};
}

static bool pattern_matches(const char *pattern, const char *path, str_t params[HTTP_PARAMS_MAX])
{
    size_t count = 0;
    while (*pattern || *path) {
        if (*pattern != '/' || *path != '/')
            return false;
        str_t want = next_segment(&pattern), got = next_segment(&path);
        if (want.size > 1 && want.data[0] == '{') {
            CHECK(count < HTTP_PARAMS_MAX);
            if (got.size == 0)
                return false;
            params[count++] = got;
        } else if (!str_equal(want, got)) {
            return false;
        }
    }
    return true;
}

static bool method_matches(const char *route_method, const char *method)
{
    return strcmp(route_method, method) == 0 ||
           (strcmp(route_method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* Is there a route for exactly this path? Then no pattern with a {…} is meant. */
static bool is_literal(const http_route_t *routes, const char *path)
{
    for (const http_route_t *route = routes; route->method; route++)
        if (strcmp(route->pattern, path) == 0)
            return true;
    return false;
}

/* The route; else NULL, with the methods of this path in `allow` ("" when there is none). */
static const http_route_t *find_route(http_request_t *request, buf_t *allow)
{
    const http_route_t *routes = request->server->config.routes;
    const bool literal = is_literal(routes, request->path);
    for (const http_route_t *route = routes; route->method; route++) {
        str_t params[HTTP_PARAMS_MAX] = {0};
        if (literal ? strcmp(route->pattern, request->path) != 0
                    : !pattern_matches(route->pattern, request->path, params))
            continue;
        if (method_matches(route->method, request->method)) {
            memcpy(request->params, params, sizeof params);
            return route;
        }
        buf_printf(allow, "%s%s", allow->size ? ", " : "", route->method);
    }
    return NULL;
}

static void respond_no_route(http_request_t *request, const buf_t *allow)
{
    if (allow->size == 0) {
        http_respond_problem(request, ERR_NOT_FOUND, NULL);
        return;
    }
    http_add_header(request, "Allow", allow->data);
    http_respond_problem(request, ERR_METHOD_NOT_ALLOWED, NULL);
}

/* ---- one request ---- */

static bool traceparent_valid(const char *text)
{
    /* 00-<32 hex>-<16 hex>-<2 hex>; https://www.w3.org/TR/trace-context/#traceparent-header */
    if (strlen(text) != 55 || text[2] != '-' || text[35] != '-' || text[52] != '-')
        return false;
    for (size_t i = 0; i < 55; i++)
        if (i != 2 && i != 35 && i != 52 && !strchr("0123456789abcdef", text[i]))
            return false;
    return strncmp(text, "ff", 2) != 0 && strspn(text + 3, "0") < 32 && strspn(text + 36, "0") < 16;
}

static void request_init(http_request_t *request, http_server_t *self,
                         struct mg_connection *connection)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    *request = (http_request_t){.connection = connection,
                                .method = info->request_method ? info->request_method : "",
                                .path = info->local_uri ? info->local_uri : "",
                                .query = info->query_string,
                                .server = self,
                                .self = self->config.self};
    bool parsed = info->local_uri != NULL; /* else the headers are whatever civetweb stopped at */
    const char *id = parsed ? mg_get_header(connection, "X-Request-Id") : NULL;
    if (!id || !uuid_parse(id, strlen(id), &request->request_id))
        request->request_id = uuid7_new();
    const char *trace = parsed ? mg_get_header(connection, "traceparent") : NULL;
    if (trace && traceparent_valid(trace))
        memcpy(request->traceparent, trace, 56);
}

static void refuse_body(http_request_t *request, err_t err, const char *why)
{
    request->close = true;
    http_respond_problem(request, err, why);
    if (err == ERR_BODY_TOO_LARGE)
        http_body_discard(request->connection);
}

static void run_route(http_request_t *request, const http_route_t *route)
{
    char *data = NULL;
    size_t size = 0;
    const char *why = NULL;
    err_t err = http_body_read(request->connection, route->body_max_bytes, &data, &size, &why);
    if (err == ERR_OK) {
        request->body = (str_t){data, (uint32_t)size};
        route->handler(request);
        if (!request->responded)
            http_respond_problem(request, ERR_INTERNAL, NULL);
    } else {
        refuse_body(request, err, why);
    }
    free(data);
}

/* The path without its escapes; NULL when one is broken or hides a NUL. The caller's. */
static char *decoded_path(const char *raw)
{
    size_t size = strlen(raw);
    char *path = malloc(size + 1);
    CHECK(path);
    if (http_decode((str_t){raw, (uint32_t)size}, false, path, size + 1))
        return path;
    free(path);
    return NULL;
}

/* When civetweb's table is full, nobody knows what did not fit. */
static bool headers_are_whole(const http_request_t *request)
{
    return mg_get_request_info(request->connection)->num_headers < MG_MAX_HEADERS;
}

static const http_route_t *respond(http_request_t *request)
{
    buf_t allow = {0};
    const http_route_t *route = find_route(request, &allow);
    if (route) {
        run_route(request, route);
    } else {
        request->close = http_body_announced(request->connection);
        respond_no_route(request, &allow);
        if (request->close)
            http_body_discard(request->connection);
    }
    buf_free(&allow);
    return route;
}

/* The path that is looked up: as the server's owner rewrites it. The caller's. */
static char *rewritten_path(http_request_t *request, char *path)
{
    const http_server_t *self = request->server;
    const char *host = mg_get_header(request->connection, "Host");
    char to[REWRITTEN_MAX_BYTES];
    if (!self->config.rewrite || !path || !host ||
        !self->config.rewrite(self->config.self, host, path, to, sizeof to))
        return path;
    free(path);
    path = strdup(to);
    CHECK(path);
    return path;
}

static void handle(http_request_t *request)
{
    http_server_t *self = request->server;
    int64_t start_us = clock_mono_us();
    const http_route_t *route = NULL;
    char *path = rewritten_path(request, decoded_path(request->path));
    if (path && headers_are_whole(request)) {
        request->path = path;
        route = respond(request);
    } else {
        request->close = true;
        http_respond_problem(request, ERR_MALFORMED_REQUEST,
                             path ? "There are more than 63 headers"
                                  : "The path cannot be decoded");
    }
    if (self->config.observe)
        self->config.observe(self->config.self, request, route, clock_mono_us() - start_us);
    free(path);
}

static int on_request(struct mg_connection *connection)
{
    http_server_t *self = mg_get_user_context_data(connection);
    if (is_websocket_upgrade(connection))
        return 0;
    atomic_fetch_add(&self->in_flight, 1);
    http_request_t request;
    request_init(&request, self, connection);
    handle(&request);
    atomic_fetch_sub(&self->in_flight, 1);
    return request.status;
}

/* What civetweb refuses by itself: a broken head, a head over HEAD_MAX_BYTES, an upgrade on a path
 * without one. */
static int on_error(struct mg_connection *connection, int status, const char *message)
{
    http_server_t *self = mg_get_user_context_data(connection);
    http_request_t request;
    request_init(&request, self, connection);
    request.close = true;
    err_t err = status == 404   ? ERR_NOT_FOUND
                : status == 426 ? ERR_UPGRADE_REQUIRED
                : status == 500 ? ERR_INTERNAL
                                : ERR_MALFORMED_REQUEST;
    http_respond_problem(&request, err, err == ERR_MALFORMED_REQUEST ? message : NULL);
    if (self->config.observe)
        self->config.observe(self->config.self, &request, NULL, 0);
    return 0;
}

static int on_log(const struct mg_connection *connection, const char *message)
{
    (void)connection;
    char quoted[256];
    log_limited(LOG_LEVEL_DEBUG, NULL, "http server", "said=%s",
                log_quote(quoted, sizeof quoted, message));
    return 1;
}

static void *on_thread_start(const struct mg_context *context, int type)
{
    http_server_t *self = mg_get_user_data(context);
    if (type == 1 && self->config.thread_start)
        self->config.thread_start(self->config.self);
    return NULL;
}

static void on_thread_end(const struct mg_context *context, int type, void *pointer)
{
    (void)pointer;
    http_server_t *self = mg_get_user_data(context);
    if (type == 1 && self->config.thread_end)
        self->config.thread_end(self->config.self);
}

/* ---- life ---- */

static struct mg_context *start_civetweb(http_server_t *self, err_detail_t *detail)
{
    static const struct mg_callbacks callbacks = {.begin_request = on_request,
                                                  .http_error = on_error,
                                                  .log_message = on_log,
                                                  .init_connection = on_connection,
                                                  .connection_close = on_close,
                                                  .init_thread = on_thread_start,
                                                  .exit_thread = on_thread_end};
    const http_server_config_t *config = &self->config;
    char listen[96], threads[16], keep_alive[16], timeout[16], head_max[16], queue[16];
    snprintf(listen, sizeof listen, "%s%s", config->addr, config->tls_cert_file ? "s" : "");
    snprintf(threads, sizeof threads, "%u", config->threads);
    snprintf(keep_alive, sizeof keep_alive, "%u", config->keep_alive_timeout_ms);
    snprintf(timeout, sizeof timeout, "%d", REQUEST_TIMEOUT_MS);
    snprintf(head_max, sizeof head_max, "%d", HEAD_MAX_BYTES);
    snprintf(queue, sizeof queue, "%d", CONNECTION_QUEUE);
    const char *options[] = {"listening_ports",
                             listen,
                             "num_threads",
                             threads,
                             "enable_keep_alive",
                             "yes",
                             "keep_alive_timeout_ms",
                             keep_alive,
                             "request_timeout_ms",
                             timeout,
                             "tcp_nodelay",
                             "1",
                             "max_request_size",
                             head_max,
                             "connection_queue",
                             queue,
                             "listen_backlog",
                             queue,
                             "decode_url",
                             "no",
                             "enable_directory_listing",
                             "no",
                             NULL,
                             NULL,
                             NULL};
    if (config->tls_cert_file) {
        size_t end = sizeof options / sizeof options[0] - 3;
        options[end] = "ssl_certificate";
        options[end + 1] = config->tls_cert_file;
    }
    unsigned code = 0;
    char text[128] = "";
    struct mg_init_data init = {&callbacks, self, options};
    struct mg_error_data error = {&code, text, sizeof text};
    struct mg_context *context = mg_start2(&init, &error);
    if (!context)
        err_set(detail, ERR_BAD_CONFIG, "cannot listen on %s: %s", config->addr, text);
    return context;
}

http_server_t *http_server_new(const http_server_config_t *config, err_detail_t *detail)
{
    CHECK(config->threads > 0 && config->routes);
    http_server_t *self = calloc(1, sizeof *self);
    CHECK(self);
    self->config = *config;
    self->listener = -1;
    self->close_from = (config->threads * HELD_PERCENT_CLOSE + 99) / 100;
    mg_init_library(config->tls_cert_file ? MG_FEATURES_TLS : MG_FEATURES_DEFAULT);
    self->context = start_civetweb(self, detail);
    struct mg_server_port ports[2];
    if (!self->context || mg_get_server_ports(self->context, 2, ports) < 1) {
        http_server_destroy(&self);
        return NULL;
    }
    self->port = (unsigned)ports[0].port;
    self->listener = http_listener_find(self->port);
    return self;
}

/* From now on whoever connects is refused. */
static void end_listening(http_server_t *self)
{
    if (self->listener >= 0 && !atomic_exchange(&self->listening_ended, true))
        http_listener_end(self->listener);
}

static void stop_civetweb(http_server_t *self)
{
    end_listening(self);
    if (self->listener >= 0)
        http_listener_wake(self->listener);
    mg_stop(self->context);
}

void http_server_destroy(http_server_t **self_p)
{
    http_server_t *self = *self_p;
    if (!self)
        return;
    if (self->context)
        stop_civetweb(self);
    mg_exit_library();
    free(self);
    *self_p = NULL;
}

void http_server_drain(http_server_t *self)
{
    atomic_store(&self->draining, true);
    end_listening(self);
}

unsigned http_server_in_flight(const http_server_t *self)
{
    return atomic_load(&self->in_flight);
}

unsigned http_server_port(const http_server_t *self)
{
    return self->port;
}

struct mg_context *http_server_context(http_server_t *self)
{
    return self->context;
}
