/* test_http_server.c - the HTTP edge, seen from a raw socket. */
#include "lib/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "tests/support/test_main.h"

enum { ANSWER_TIMEOUT_MS = 15000 };

/* ---- a server ---- */

static void echo(http_request_t *request)
{
    http_add_header(request, "X-Method", request->method);
    http_respond(request, 200, "application/octet-stream", request->body.data, request->body.size);
}

static void show_params(http_request_t *request)
{
    buf_t json = {0};
    json_open_object(&json, NULL);
    json_str(&json, "first", request->params[0]);
    json_str(&json, "second", request->params[1]);
    json_text(&json, "traceparent", request->traceparent);
    json_close_object(&json);
    http_respond_json(request, 201, &json);
    buf_free(&json);
}

static void forget_to_answer(http_request_t *request)
{
    (void)request;
}

static void busy(http_request_t *request)
{
    http_respond_problem(request, ERR_BUSY, "come back");
}

static const http_route_t routes[] = {{"GET", "/echo", echo, 0},
                                      {"POST", "/echo", echo, 1000},
                                      {"PUT", "/big", echo, 100000},
                                      {"GET", "/a/{x}/b/{y}", show_params, 0},
                                      {"POST", "/a/1/b/literal", echo, 1000},
                                      {"GET", "/forgets", forget_to_answer, 0},
                                      {"GET", "/busy", busy, 0},
                                      {NULL, NULL, NULL, 0}};

static http_server_t *start_with(unsigned threads, unsigned keep_alive_timeout_ms)
{
    const http_server_config_t config = {.addr = "127.0.0.1:0",
                                         .threads = threads,
                                         .keep_alive_timeout_ms = keep_alive_timeout_ms,
                                         .routes = routes};
    err_detail_t detail = {{0}};
    http_server_t *server = http_server_new(&config, &detail);
    if (!server)
        fail_msg("%s", detail.text);
    return server;
}

static http_server_t *start(void)
{
    return start_with(8, 5000);
}

/* ---- a client ---- */

static int dial(const http_server_t *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say_bytes(int fd, const void *data, size_t size)
{
    const char *next = data;
    while (size > 0) {
        ssize_t sent = send(fd, next, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server has had enough; its answer is what is looked at */
        next += sent;
        size -= (size_t)sent;
    }
}

static void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

/* One response into `text`: head and as much body as Content-Length says, or what came before the
 * end. */
static size_t hear_for(int fd, const char *method, char *text, size_t capacity)
{
    int64_t end = clock_mono_ms() + ANSWER_TIMEOUT_MS;
    size_t size = 0;
    text[0] = '\0';
    for (;;) {
        const char *body = strstr(text, "\r\n\r\n");
        const char *length = strstr(text, "Content-Length: ");
        size_t missing = 1; /* byte by byte, so that a pipelined answer stays in the socket */
        if (body && length && length < body) {
            size_t want = strcmp(method, "HEAD") == 0 ? 0 : strtoul(length + 16, NULL, 10);
            if (size >= (size_t)(body + 4 - text) + want)
                return size;
            missing = (size_t)(body + 4 - text) + want - size;
        }
        struct pollfd waited = {.fd = fd, .events = POLLIN};
        int64_t left = end - clock_mono_ms();
        if (left <= 0 || poll(&waited, 1, (int)left) <= 0)
            fail_msg("no whole answer: %s", text);
        assert_true(missing <= capacity - 1 - size);
        ssize_t got = recv(fd, text + size, missing, 0);
        if (got <= 0)
            return size;
        size += (size_t)got;
        text[size] = '\0';
    }
}

static size_t hear(int fd, char *text, size_t capacity)
{
    return hear_for(fd, "GET", text, capacity);
}

static bool closed_by_server(int fd)
{
    char byte;
    struct pollfd waited = {.fd = fd, .events = POLLIN};
    return poll(&waited, 1, ANSWER_TIMEOUT_MS) == 1 && recv(fd, &byte, 1, 0) <= 0;
}

static int status_of(const char *answer)
{
    return (int)strtol(answer + strlen("HTTP/1.1 "), NULL, 10);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

/* Sends `request` on a connection of its own; the answer into `text`. */
static void ask(const http_server_t *server, const char *request, char *text, size_t capacity)
{
    int fd = dial(server);
    say(fd, request);
    hear(fd, text, capacity);
    close(fd);
}

/* ---- tests ---- */

static void a_body_comes_back_whole_on_a_connection_that_stays(void **state)
{
    (void)state;
    http_server_t *server = start();
    int fd = dial(server);
    char text[4096];
    for (int i = 0; i < 3; i++) {
        say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
        hear(fd, text, sizeof text);
        assert_int_equal(status_of(text), 200);
        assert_has(text, "\r\n\r\nhello");
        assert_has(text, "Connection: keep-alive");
        assert_has(text, "X-Method: POST");
    }
    close(fd);
    http_server_destroy(&server);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    http_server_t *server = start();
    int fd = dial(server);
    char text[4096];
    say(fd, "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\noneGET /busy HTTP/1.1\r\n\r\n"
            "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\ntwo");
    hear(fd, text, sizeof text);
    assert_has(text, "\r\n\r\none");
    hear(fd, text, sizeof text);
    assert_int_equal(status_of(text), 503);
    hear(fd, text, sizeof text);
    assert_has(text, "\r\n\r\ntwo");
    close(fd);
    http_server_destroy(&server);
}

static void pipelined_garbage_is_refused_and_the_connection_closed(void **state)
{
    (void)state;
    http_server_t *server = start();
    int fd = dial(server);
    char text[4096];
    say(fd, "GET /echo HTTP/1.1\r\n\r\n\x16\x03\x01 garbage\r\n\r\n");
    hear(fd, text, sizeof text);
    assert_int_equal(status_of(text), 200);
    hear(fd, text, sizeof text);
    assert_int_equal(status_of(text), 400);
    assert_has(text, "\"code\":\"MALFORMED_REQUEST\"");
    assert_has(text, "X-Request-Id: ");
    assert_has(text, "Connection: close");
    assert_true(closed_by_server(fd));
    close(fd);
    http_server_destroy(&server);
}

static void a_chunked_body_is_joined(void **state)
{
    (void)state;
    http_server_t *server = start();
    int fd = dial(server);
    char text[4096];
    for (int i = 0; i < 2; i++) {
        say(fd, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                "5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n");
        hear(fd, text, sizeof text);
        assert_int_equal(status_of(text), 200);
        assert_has(text, "\r\n\r\nhello, world");
    }
    close(fd);
    http_server_destroy(&server);
}

static void a_body_over_the_limit_is_refused_both_ways(void **state)
{
    (void)state;
    http_server_t *server = start();
    char text[4096];
    char body[1002];
    memset(body, 'x', sizeof body);
    int fd = dial(server);
    say(fd, "POST /echo HTTP/1.1\r\nContent-Length: 1001\r\n\r\n");
    say_bytes(fd, body, 1001);
    hear(fd, text, sizeof text);
    assert_int_equal(status_of(text), 413);
    assert_has(text, "\"code\":\"BODY_TOO_LARGE\"");
    assert_has(text, "Connection: close");
    close(fd);

    fd = dial(server);
    say(fd, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n");
    say_bytes(fd, body, 1001);
    say(fd, "\r\n0\r\n\r\n");
    hear(fd, text, sizeof text);
    assert_int_equal(status_of(text), 413);
    assert_true(closed_by_server(fd));
    close(fd);

    fd = dial(server); /* exactly the limit */
    say(fd, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n");
    say_bytes(fd, body, 1000);
    say(fd, "\r\n0\r\n\r\n");
    hear(fd, text, sizeof text);
    assert_int_equal(status_of(text), 200);
    close(fd);
    http_server_destroy(&server);
}

static void a_claimed_gigabyte_is_refused_without_being_read(void **state)
{
    (void)state;
    http_server_t *server = start();
    char text[4096];
    ask(server,
        "POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n", text,
        sizeof text);
    assert_int_equal(status_of(text), 413);
    ask(server, "GET /echo HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", text, sizeof text);
    assert_int_equal(status_of(text), 413);
    http_server_destroy(&server);
}

static void a_client_that_asks_first_is_told_to_go_on(void **state)
{
    (void)state;
    http_server_t *server = start();
    int fd = dial(server);
    char text[4096];
    const char *go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    say(fd, "POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_int_equal(recv(fd, text, strlen(go_on), MSG_WAITALL), strlen(go_on));
    assert_memory_equal(text, go_on, strlen(go_on));
    say(fd, "ok");
    hear(fd, text, sizeof text);
    assert_has(text, "\r\n\r\nok");
    close(fd);
    http_server_destroy(&server);
}

static void a_body_that_ends_early_is_a_bad_request(void **state)
{
    (void)state;
    http_server_t *server = start();
    char text[4096];
    const char *broken[] = {
        "POST /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        int fd = dial(server);
        say(fd, broken[i]);
        shutdown(fd, SHUT_WR);
        hear(fd, text, sizeof text);
        assert_int_equal(status_of(text), 400);
        assert_has(text, "\"code\":\"MALFORMED_REQUEST\"");
        close(fd);
    }
    http_server_destroy(&server);
}

static void contradicting_lengths_are_refused(void **state)
{
    (void)state;
    http_server_t *server = start();
    char text[4096];
    const char *smuggled[] = {
        "POST /echo HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 5 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nContent-Length: -5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nhello",
    };
    for (size_t i = 0; i < sizeof smuggled / sizeof smuggled[0]; i++) {
        ask(server, smuggled[i], text, sizeof text);
        assert_int_equal(status_of(text), 400);
        assert_has(text, "Connection: close");
    }
    http_server_destroy(&server);
}

static void an_unknown_path_is_a_problem_document(void **state)
{
    (void)state;
    http_server_t *server = start();
    char text[4096];
    const char *paths[] = {"/",       "/ech",    "/echo/",      "/echo/x",
                           "/a//b/2", "/a/1/b/", "/etc/passwd", "/../etc/passwd"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char request[128];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n\r\n", paths[i]);
        ask(server, request, text, sizeof text);
        assert_int_equal(status_of(text), 404);
        assert_has(text, "Content-Type: application/problem+json");
        assert_has(text, "\"code\":\"NOT_FOUND\"");
    }
    ask(server, "GET /echo%00 HTTP/1.1\r\n\r\n", text, sizeof text);
    assert_int_equal(status_of(text), 400);
    http_server_destroy(&server);
}

static void a_wrong_method_is_told_which_are_allowed(void **state)
{
    (void)state;
    http_server_t *server = start();
    char text[4096];
    ask(server, "DELETE /echo HTTP/1.1\r\n\r\n", text, sizeof text);
    assert_int_equal(status_of(text), 405);
    assert_has(text, "Allow: GET, POST\r\n");
    assert_has(text, "\"code\":\"METHOD_NOT_ALLOWED\"");
    http_server_destroy(&server);
}

static void a_path_that_is_written_out_is_not_taken_for_a_pattern(void **state)
{
    (void)state;
    http_server_t *server = start();
    char text[4096];
    ask(server, "GET /a/1/b/literal HTTP/1.1\r\n\r\n", text, sizeof text);
    assert_int_equal(status_of(text), 405);
    assert_has(text, "Allow: POST\r\n");
    http_server_destroy(&server);
}

static void head_has_the_head_of_get_and_no_body(void **state)
{
    (void)state;
    http_server_t *server = start();
    int fd = dial(server);
    char text[4096];
    say(fd, "HEAD /busy HTTP/1.1\r\n\r\nGET /a/1/b/2 HTTP/1.1\r\n\r\n");
    hear_for(fd, "HEAD", text, sizeof text);
    assert_int_equal(status_of(text), 503);
    hear(fd, text, sizeof text);
    assert_int_equal(status_of(text), 201);
    close(fd);
    http_server_destroy(&server);
}

static void parameters_of_the_path_and_the_trace_reach_the_handler(void **state)
{
    (void)state;
    http_server_t *server = start();
    char text[4096];
    ask(server,
        "GET /a/one%20more/b/2?c=3 HTTP/1.1\r\n"
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n",
        text, sizeof text);
    assert_has(text,
               "{\"first\":\"one more\",\"second\":\"2\","
               "\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}");
    ask(server, "GET /a/1/b/2 HTTP/1.1\r\ntraceparent: 00-0\"7651916cd43dd8448eb211c80319c\r\n\r\n",
        text, sizeof text);
    assert_has(text, "\"traceparent\":\"\"");
    http_server_destroy(&server);
}

static void the_request_id_is_echoed_when_it_is_one(void **state)
{
    (void)state;
    http_server_t *server = start();
    char text[4096];
    const char *id = "019a4c1e-0000-7000-8000-0123456789ab";
    char request[256];
    snprintf(request, sizeof request, "GET /busy HTTP/1.1\r\nX-Request-Id: %s\r\n\r\n", id);
    ask(server, request, text, sizeof text);
    assert_has(text, "X-Request-Id: 019a4c1e-0000-7000-8000-0123456789ab\r\n");
    assert_has(text, "\"request_id\":\"019a4c1e-0000-7000-8000-0123456789ab\"");
    ask(server, "GET /busy HTTP/1.1\r\nX-Request-Id: \"<evil>\"\r\n\r\n", text, sizeof text);
    assert_has(text, "X-Request-Id: ");
    assert_null(strstr(text, "evil"));
    http_server_destroy(&server);
}

static void a_problem_says_when_to_come_back(void **state)
{
    (void)state;
    http_server_t *server = start();
    char text[4096];
    ask(server, "GET /busy HTTP/1.1\r\n\r\n", text, sizeof text);
    assert_int_equal(status_of(text), 503);
    assert_has(text, "Retry-After: 1\r\n");
    assert_has(text, "\"title\":\"The service is at its limit\"");
    assert_has(text, "\"status\":503");
    assert_has(text, "\"detail\":\"come back\"");
    assert_has(text, "\"error\":\"come back\"");
    http_server_destroy(&server);
}

static void a_handler_that_forgets_to_answer_is_a_bug_of_ours(void **state)
{
    (void)state;
    http_server_t *server = start();
    char text[4096];
    ask(server, "GET /forgets HTTP/1.1\r\n\r\n", text, sizeof text);
    assert_int_equal(status_of(text), 500);
    assert_has(text, "\"code\":\"INTERNAL\"");
    http_server_destroy(&server);
}

static void a_head_over_the_limit_is_refused(void **state)
{
    (void)state;
    http_server_t *server = start();
    int fd = dial(server);
    char text[4096];
    char line[1024];
    memset(line, 'a', sizeof line);
    say(fd, "GET /echo HTTP/1.1\r\nX-Long: ");
    for (int i = 0; i < 17; i++)
        say_bytes(fd, line, sizeof line);
    hear(fd, text, sizeof text);
    assert_int_equal(status_of(text), 400);
    assert_has(text, "application/problem+json");
    assert_has(text, "X-Request-Id: ");
    close(fd);
    http_server_destroy(&server);
}

/* A length that is passed over would make the body the next request. */
static void a_head_with_more_headers_than_are_read_is_refused_and_closed(void **state)
{
    (void)state;
    http_server_t *server = start();
    char text[4096];
    buf_t head = {0};
    buf_add_text(&head, "POST /echo HTTP/1.1\r\n");
    for (int i = 0; i < 64; i++)
        buf_printf(&head, "X-%d: x\r\n", i);
    buf_add_text(&head, "Content-Length: 27\r\n\r\nGET /busy HTTP/1.1\r\nX: y\r\n\r\n");
    int fd = dial(server);
    say_bytes(fd, head.data, head.size);
    hear_for(fd, "POST", text, sizeof text);
    assert_has(text, "HTTP/1.1 400 ");
    assert_has(text, "Connection: close\r\n");
    assert_has(text, "\"code\":\"MALFORMED_REQUEST\"");
    assert_int_equal(hear_for(fd, "GET", text, sizeof text), 0);
    close(fd);
    buf_free(&head);
    http_server_destroy(&server);
}

static void an_upgrade_on_a_path_without_one_is_not_found(void **state)
{
    (void)state;
    http_server_t *server = start();
    char text[4096];
    ask(server,
        "GET /echo HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        text, sizeof text);
    assert_int_equal(status_of(text), 404);
    assert_has(text, "application/problem+json");
    http_server_destroy(&server);
}

static void an_upgrade_by_another_method_than_get_is_a_request_like_any(void **state)
{
    (void)state;
    http_server_t *server = start();
    char text[4096];
    ask(server,
        "POST /echo HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: "
        "5\r\n\r\nhello",
        text, sizeof text);
    assert_has(text, "HTTP/1.1 200 ");
    assert_has(text, "\r\n\r\nhello");
    http_server_destroy(&server);
}

static void old_clients_and_those_that_ask_for_it_are_closed(void **state)
{
    (void)state;
    http_server_t *server = start();
    const char *requests[] = {"GET /echo HTTP/1.0\r\n\r\n",
                              "GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n",
                              "GET /echo HTTP/1.1\r\nConnection: TE\r\n\r\n"};
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int fd = dial(server);
        char text[4096];
        say(fd, requests[i]);
        hear(fd, text, sizeof text);
        assert_int_equal(status_of(text), 200);
        assert_has(text, "Connection: close");
        assert_true(closed_by_server(fd));
        close(fd);
    }
    http_server_destroy(&server);
}

static void a_draining_server_answers_and_closes(void **state)
{
    (void)state;
    http_server_t *server = start();
    int fd = dial(server);
    char text[4096];
    say(fd, "GET /echo HTTP/1.1\r\n\r\n");
    hear(fd, text, sizeof text);
    assert_has(text, "Connection: keep-alive");
    http_server_drain(server);
    say(fd, "GET /echo HTTP/1.1\r\n\r\n");
    hear(fd, text, sizeof text);
    assert_int_equal(status_of(text), 200);
    assert_has(text, "Connection: close");
    assert_true(closed_by_server(fd));
    assert_int_equal(http_server_in_flight(server), 0);
    close(fd);
    http_server_destroy(&server);
}

/* Otherwise a server whose clients keep coming would never be quiet enough to end. */
static void a_draining_server_refuses_whoever_connects(void **state)
{
    (void)state;
    http_server_t *server = start();
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    close(dial(server));
    http_server_drain(server);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    http_server_destroy(&server);
}

static void a_server_ends_at_once(void **state)
{
    (void)state;
    http_server_t *server = start();
    int64_t began_ms = clock_mono_ms();
    http_server_destroy(&server);
#ifndef __SANITIZE_THREAD__ /* there civetweb's threads may be late and wait their two seconds */
    assert_in_range(clock_mono_ms() - began_ms, 0, 1000); /* civetweb alone takes two seconds */
#else
    assert_in_range(clock_mono_ms() - began_ms, 0, 10000);
#endif
}

/* A connection that stays silent is given up after the keep-alive timeout. */
static void a_silent_keep_alive_connection_is_given_up(void **state)
{
    (void)state;
    http_server_t *server = start_with(2, 100);
    int fd = dial(server);
    char text[4096];
    say(fd, "GET /echo HTTP/1.1\r\n\r\n");
    hear(fd, text, sizeof text);
    assert_true(closed_by_server(fd));
    close(fd);
    http_server_destroy(&server);
}

/* Half a head on a used connection: the same timeout holds for the head as a whole. */
static void a_dribbling_head_is_bounded(void **state)
{
    (void)state;
    http_server_t *server = start_with(2, 200);
    int fd = dial(server);
    char text[4096];
    say(fd, "GET /echo HTTP/1.1\r\n\r\n");
    hear(fd, text, sizeof text);
    say(fd, "GET /ec");
    hear(fd, text, sizeof text);
    assert_int_equal(status_of(text), 400);
    assert_true(closed_by_server(fd));
    close(fd);
    http_server_destroy(&server);
}

static void *patient_client(void *arg)
{
    int fd = dial(arg);
    char text[4096];
    say(fd, "GET /echo HTTP/1.1\r\n\r\n");
    hear(fd, text, sizeof text);
    /* Stays connected, as browsers do, until the server closes. */
    bool served = status_of(text) == 200;
    closed_by_server(fd);
    close(fd);
    return served ? arg : NULL;
}

static void fifty_clients_that_stay_connected_are_served_by_four_threads(void **state)
{
    (void)state;
    http_server_t *server = start_with(4, 1000);
    pthread_t clients[50];
    for (int i = 0; i < 50; i++)
        assert_int_equal(pthread_create(&clients[i], NULL, patient_client, server), 0);
    for (int i = 0; i < 50; i++) {
        void *served = NULL;
        pthread_join(clients[i], &served);
        assert_non_null(served);
    }
    http_server_destroy(&server);
}

static void an_address_in_use_is_an_error_with_its_name(void **state)
{
    (void)state;
    http_server_t *server = start();
    char addr[32];
    snprintf(addr, sizeof addr, "127.0.0.1:%u", http_server_port(server));
    const http_server_config_t config = {
        .addr = addr, .threads = 1, .keep_alive_timeout_ms = 100, .routes = routes};
    err_detail_t detail = {{0}};
    assert_null(http_server_new(&config, &detail));
    assert_has(detail.text, addr);
    http_server_destroy(&server);
}

static void query_values_are_decoded_or_refused(void **state)
{
    (void)state;
    char value[8];
    const char *query = "a=1&b=x+y%2Bz&c=%zz&d=1&d=2&e=123456789&f=%00&g&h=%4";
    assert_int_equal(http_query_value(query, "a", value, sizeof value), 1);
    assert_string_equal(value, "1");
    assert_int_equal(http_query_value(query, "b", value, sizeof value), 1);
    assert_string_equal(value, "x y+z");
    assert_int_equal(http_query_value(query, "g", value, sizeof value), 1);
    assert_string_equal(value, "");
    const char *bad[] = {"c", "d", "e", "f", "h"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(http_query_value(query, bad[i], value, sizeof value), -1);
    assert_int_equal(http_query_value(query, "z", value, sizeof value), 0);
    assert_int_equal(http_query_value(NULL, "a", value, sizeof value), 0);
}

static void unknown_query_names_are_found(void **state)
{
    (void)state;
    const char *const known[] = {"user_id", "limit", NULL};
    char offender[8];
    assert_true(http_query_names_known(NULL, known, offender, sizeof offender));
    assert_true(http_query_names_known("&user%5Fid=1&&limit=", known, offender, sizeof offender));
    assert_false(http_query_names_known("limit=1&colour=red", known, offender, sizeof offender));
    assert_string_equal(offender, "colour");
    assert_false(http_query_names_known("=1", known, offender, sizeof offender));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_body_comes_back_whole_on_a_connection_that_stays),
    cmocka_unit_test(pipelined_requests_are_answered_in_order),
    cmocka_unit_test(pipelined_garbage_is_refused_and_the_connection_closed),
    cmocka_unit_test(a_chunked_body_is_joined),
    cmocka_unit_test(a_body_over_the_limit_is_refused_both_ways),
    cmocka_unit_test(a_claimed_gigabyte_is_refused_without_being_read),
    cmocka_unit_test(a_client_that_asks_first_is_told_to_go_on),
    cmocka_unit_test(a_body_that_ends_early_is_a_bad_request),
    cmocka_unit_test(contradicting_lengths_are_refused),
    cmocka_unit_test(an_unknown_path_is_a_problem_document),
    cmocka_unit_test(a_wrong_method_is_told_which_are_allowed),
    cmocka_unit_test(a_path_that_is_written_out_is_not_taken_for_a_pattern),
    cmocka_unit_test(head_has_the_head_of_get_and_no_body),
    cmocka_unit_test(parameters_of_the_path_and_the_trace_reach_the_handler),
    cmocka_unit_test(the_request_id_is_echoed_when_it_is_one),
    cmocka_unit_test(a_problem_says_when_to_come_back),
    cmocka_unit_test(a_handler_that_forgets_to_answer_is_a_bug_of_ours),
    cmocka_unit_test(a_head_over_the_limit_is_refused),
    cmocka_unit_test(a_head_with_more_headers_than_are_read_is_refused_and_closed),
    cmocka_unit_test(an_upgrade_on_a_path_without_one_is_not_found),
    cmocka_unit_test(an_upgrade_by_another_method_than_get_is_a_request_like_any),
    cmocka_unit_test(old_clients_and_those_that_ask_for_it_are_closed),
    cmocka_unit_test(a_draining_server_answers_and_closes),
    cmocka_unit_test(a_draining_server_refuses_whoever_connects),
    cmocka_unit_test(a_server_ends_at_once),
    cmocka_unit_test(a_silent_keep_alive_connection_is_given_up),
    cmocka_unit_test(a_dribbling_head_is_bounded),
    cmocka_unit_test(fifty_clients_that_stay_connected_are_served_by_four_threads),
    cmocka_unit_test(an_address_in_use_is_an_error_with_its_name),
    cmocka_unit_test(query_values_are_decoded_or_refused),
    cmocka_unit_test(unknown_query_names_are_found),
};

TEST_MAIN(tests)
