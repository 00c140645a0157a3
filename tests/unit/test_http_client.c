/* test_http_client.c - lib/http_client against a small server in this process, which does as the
 * path says. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/http_client.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum {
    CONNECTIONS_MAX = 256,
    LARGE_BYTES = 2 << 20,
    SOON_MS = 10000, /* generous: sanitizers, shared machines */
};

typedef struct connection {
    int fd;
    bool held;
    size_t size;
    char data[8192];
} connection_t;

typedef struct server {
    int fd;
    int port;
    int stop_pipe[2];
    pthread_t thread;
    atomic_int accepted;
    atomic_int requests;
    atomic_int held_max;
    int release_at; /* /hold is answered when that many are held */
    int count;
    connection_t *connections[CONNECTIONS_MAX];
} server_t;

static void send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the client has seen enough */
        data += sent;
        size -= (size_t)sent;
    }
}

static void answer(int fd, const char *status, const char *extra, const char *body, size_t size)
{
    char head[256];
    int head_size = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n",
                             status, size, extra);
    send_all(fd, head, (size_t)head_size);
    send_all(fd, body, size);
}

static void answer_large(int fd, bool declared)
{
    char *body = calloc(1, LARGE_BYTES);
    if (declared) {
        answer(fd, "200 OK", "", body, LARGE_BYTES);
    } else {
        static const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        send_all(fd, head, sizeof(head) - 1);
        send_all(fd, body, LARGE_BYTES);
    }
    free(body);
}

static void release_held(server_t *server)
{
    int held = 0;
    for (int i = 0; i < server->count; i++)
        held += server->connections[i]->held;
    if (held > atomic_load(&server->held_max))
        atomic_store(&server->held_max, held);
    if (held < server->release_at)
        return;
    for (int i = 0; i < server->count; i++) {
        if (server->connections[i]->held)
            answer(server->connections[i]->fd, "200 OK", "", "held", 4);
        server->connections[i]->held = false;
    }
}

/* One whole request; false when the connection is to be closed. */
static bool serve(server_t *server, connection_t *connection)
{
    char *request = connection->data;
    char path[64] = "";
    sscanf(request, "%*s %63s", path);
    atomic_fetch_add(&server->requests, 1);
    if (strcmp(path, "/echo") == 0) {
        answer(connection->fd, "200 OK", "", request, connection->size);
    } else if (strcmp(path, "/refuse") == 0) {
        answer(connection->fd, "503 Service Unavailable", "", "{}", 2);
    } else if (strcmp(path, "/redirect") == 0) {
        answer(connection->fd, "302 Found", "Location: /echo\r\n", "", 0);
    } else if (strcmp(path, "/then-close") == 0) {
        answer(connection->fd, "200 OK", "", "bye", 3);
        return false;
    } else if (strcmp(path, "/close") == 0) {
        return false;
    } else if (strcmp(path, "/large") == 0 || strcmp(path, "/large-declared") == 0) {
        answer_large(connection->fd, strcmp(path, "/large") != 0);
        return false;
    } else if (strcmp(path, "/half") == 0) {
        static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
        send_all(connection->fd, half, sizeof(half) - 1);
        return false;
    } else if (strcmp(path, "/hold") == 0) {
        connection->held = true;
    } /* else: silence */
    return true;
}

static bool receive(server_t *server, connection_t *connection)
{
    size_t room = sizeof(connection->data) - 1 - connection->size;
    ssize_t size = recv(connection->fd, connection->data + connection->size, room, 0);
    if (size <= 0)
        return false;
    connection->size += (size_t)size;
    connection->data[connection->size] = '\0';
    const char *head_end = strstr(connection->data, "\r\n\r\n");
    if (!head_end)
        return true;
    const char *length = strcasestr(connection->data, "Content-Length:");
    size_t whole =
        (size_t)(head_end + 4 - connection->data) + (length ? strtoul(length + 15, NULL, 10) : 0);
    if (connection->size < whole)
        return true;
    bool stays = serve(server, connection);
    connection->size = 0;
    return stays;
}

static void *run_server(void *arg)
{
    server_t *server = arg;
    for (;;) {
        struct pollfd pollfds[CONNECTIONS_MAX + 2] = {
            {.fd = server->stop_pipe[0], .events = POLLIN}, {.fd = server->fd, .events = POLLIN}};
        for (int i = 0; i < server->count; i++)
            pollfds[i + 2] = (struct pollfd){.fd = server->connections[i]->fd, .events = POLLIN};
        int before = server->count;
        if (poll(pollfds, (nfds_t)before + 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (pollfds[0].revents)
            return NULL;
        for (int i = before - 1; i >= 0;
             i--) { /* backwards: the last takes the place of one that ends */
            connection_t *connection = server->connections[i];
            if (!pollfds[i + 2].revents || receive(server, connection))
                continue;
            close(connection->fd);
            free(connection);
            server->connections[i] = server->connections[--server->count];
        }
        if (pollfds[1].revents && server->count < CONNECTIONS_MAX) {
            connection_t *connection = calloc(1, sizeof(*connection));
            connection->fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
            server->connections[server->count++] = connection;
            atomic_fetch_add(&server->accepted, 1);
        }
        release_held(server);
    }
}

static server_t *server_start(int release_at)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    server_t *server = calloc(1, sizeof(*server));
    server->release_at = release_at;
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->fd, CONNECTIONS_MAX), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pipe(server->stop_pipe), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, run_server, server), 0);
    return server;
}

static void server_stop(server_t *server)
{
    assert_int_equal(write(server->stop_pipe[1], "x", 1), 1);
    pthread_join(server->thread, NULL);
    for (int i = 0; i < server->count; i++) {
        close(server->connections[i]->fd);
        free(server->connections[i]);
    }
    close(server->fd);
    close(server->stop_pipe[0]);
    close(server->stop_pipe[1]);
    free(server);
}

static void submit(http_client_t *client, int port, const char *path, uint32_t timeout_ms,
                   void *cookie)
{
    http_client_request_t request = {.method = "GET", .timeout_ms = timeout_ms};
    snprintf(request.url, sizeof(request.url), "http://127.0.0.1:%d%s", port, path);
    http_client_submit(client, &request, cookie);
    assert_null(request.method);
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    return poll(&pollfd, 1, timeout_ms) == 1;
}

static http_client_response_t must_complete(http_client_t *client, void **cookie)
{
    http_client_response_t response;
    if (!is_readable(http_client_fd(client), SOON_MS))
        fail_msg("no completion");
    assert_true(http_client_next(client, cookie, &response));
    return response;
}

/* Submits one request, and completes it. */
static err_t outcome(http_client_t *client, int port, const char *path, uint32_t timeout_ms)
{
    void *cookie;
    submit(client, port, path, timeout_ms, client);
    assert_int_equal(http_client_pending(client), 1);
    http_client_response_t response = must_complete(client, &cookie);
    assert_ptr_equal(cookie, client);
    assert_int_equal(http_client_pending(client), 0);
    assert_int_equal(response.err == ERR_OK, response.error[0] == '\0');
    if (response.err != ERR_OK)
        assert_int_equal(response.body.size, 0);
    buf_free(&response.body);
    return response.err;
}

static void request_arrives_whole_and_so_does_the_answer(void **state)
{
    (void)state;
    server_t *server = server_start(1);
    http_client_t *client = http_client_new(4);
    http_client_request_t request = {.method = "POST", .timeout_ms = SOON_MS};
    snprintf(request.url, sizeof(request.url), "http://127.0.0.1:%d/echo", server->port);
    http_client_request_header(&request, "Idempotency-Key: %s", "k-1");
    http_client_request_header(&request, "Content-Type: application/json");
    buf_add_text(&request.body, "{\"amount\":45000}");
    int cookie_value;
    void *cookie;
    http_client_submit(client, &request, &cookie_value);
    assert_int_equal(request.header_count, 0);
    assert_null(request.body.data);
    http_client_response_t response = must_complete(client, &cookie);
    assert_ptr_equal(cookie, &cookie_value);
    assert_int_equal(response.err, ERR_OK);
    assert_int_equal(response.status, 200);
    assert_true(response.took_ms >= 0 && response.took_ms < SOON_MS);
    assert_non_null(strstr(response.body.data, "POST /echo HTTP/1.1\r\n"));
    assert_non_null(strstr(response.body.data, "Idempotency-Key: k-1\r\n"));
    assert_non_null(strstr(response.body.data, "Content-Type: application/json\r\n"));
    assert_null(strstr(response.body.data, "Expect:"));
    assert_non_null(strstr(response.body.data, "\r\n\r\n{\"amount\":45000}"));
    buf_free(&response.body);
    assert_false(is_readable(http_client_fd(client), 0));
    assert_false(http_client_next(client, &cookie, &response));
    http_client_destroy(&client);
    assert_null(client);
    server_stop(server);
}

static void any_status_is_an_answer_and_no_redirect_is_followed(void **state)
{
    (void)state;
    server_t *server = server_start(1);
    http_client_t *client = http_client_new(4);
    static const struct {
        const char *path;
        int status;
    } cases[] = {{"/refuse", 503}, {"/redirect", 302}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        void *cookie;
        submit(client, server->port, cases[i].path, SOON_MS, NULL);
        http_client_response_t response = must_complete(client, &cookie);
        assert_int_equal(response.err, ERR_OK);
        assert_int_equal(response.status, cases[i].status);
        buf_free(&response.body);
    }
    assert_int_equal(atomic_load(&server->requests), 2);
    http_client_destroy(&client);
    server_stop(server);
}

static void what_was_not_sent_is_unreachable(void **state)
{
    (void)state;
    server_t *server = server_start(1);
    http_client_t *client = http_client_new(4);
    assert_int_equal(outcome(client, test_free_port(), "/echo", SOON_MS), ERR_HTTP_UNREACHABLE);
    static const char *const urls[] = {"ftp://127.0.0.1/echo", "file:///etc/hostname", "http://",
                                       "no url"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        http_client_request_t request = {.method = "GET", .timeout_ms = SOON_MS};
        snprintf(request.url, sizeof(request.url), "%s", urls[i]);
        void *cookie;
        http_client_submit(client, &request, NULL);
        assert_int_equal(must_complete(client, &cookie).err, ERR_HTTP_UNREACHABLE);
    }
    /* Connected, but TLS never is. */
    http_client_request_t request = {.method = "GET", .timeout_ms = 200};
    snprintf(request.url, sizeof(request.url), "https://127.0.0.1:%d/silent", server->port);
    void *cookie;
    http_client_submit(client, &request, NULL);
    assert_int_equal(must_complete(client, &cookie).err, ERR_HTTP_UNREACHABLE);
    assert_int_equal(atomic_load(&server->requests), 0);
    http_client_destroy(&client);
    server_stop(server);
}

static void what_was_sent_and_not_answered_is_a_timeout(void **state)
{
    (void)state;
    server_t *server = server_start(1);
    http_client_t *client = http_client_new(4);
    int64_t begun_ms = clock_mono_ms();
    assert_int_equal(outcome(client, server->port, "/silent", 200), ERR_HTTP_TIMEOUT);
    assert_true(clock_mono_ms() - begun_ms >= 190);
    assert_int_equal(outcome(client, server->port, "/close", SOON_MS), ERR_HTTP_TIMEOUT);
    assert_int_equal(outcome(client, server->port, "/half", SOON_MS), ERR_HTTP_TIMEOUT);
    http_client_destroy(&client);
    server_stop(server);
}

static void oversize_answer_is_cut_off(void **state)
{
    (void)state;
    server_t *server = server_start(1);
    http_client_t *client = http_client_new(4);
    assert_int_equal(outcome(client, server->port, "/large", SOON_MS), ERR_TOO_LARGE);
    assert_int_equal(outcome(client, server->port, "/large-declared", SOON_MS), ERR_TOO_LARGE);
    assert_int_equal(outcome(client, server->port, "/echo", SOON_MS), ERR_OK);
    http_client_destroy(&client);
    server_stop(server);
}

/* The server answers none before it has all of them. */
static void hundred_requests_run_at_once(void **state)
{
    (void)state;
    enum { REQUESTS = 100 };
    server_t *server = server_start(REQUESTS);
    http_client_t *client = http_client_new(REQUESTS);
    bool done[REQUESTS] = {false};
    for (int i = 0; i < REQUESTS; i++)
        submit(client, server->port, "/hold", SOON_MS, &done[i]);
    assert_int_equal(http_client_pending(client), REQUESTS);
    for (int i = 0; i < REQUESTS; i++) {
        void *cookie;
        http_client_response_t response = must_complete(client, &cookie);
        assert_int_equal(response.err, ERR_OK);
        assert_false(*(bool *)cookie);
        *(bool *)cookie = true;
        buf_free(&response.body);
    }
    assert_int_equal(http_client_pending(client), 0);
    http_client_destroy(&client);
    server_stop(server);
}

static void requests_over_the_limit_wait_their_turn(void **state)
{
    (void)state;
    enum { REQUESTS = 40, LIMIT = 2 };
    server_t *server = server_start(LIMIT);
    http_client_t *client = http_client_new(LIMIT);
    for (int i = 0; i < REQUESTS; i++)
        submit(client, server->port, "/hold", SOON_MS, NULL);
    for (int i = 0; i < REQUESTS; i++) {
        void *cookie;
        http_client_response_t response = must_complete(client, &cookie);
        assert_int_equal(response.err, ERR_OK);
        buf_free(&response.body);
    }
    assert_int_equal(atomic_load(&server->held_max), LIMIT);
    assert_true(atomic_load(&server->accepted) <= LIMIT);
    http_client_destroy(&client);
    server_stop(server);
}

static void request_that_waited_in_vain_was_not_sent(void **state)
{
    (void)state;
    server_t *server = server_start(1);
    http_client_t *client = http_client_new(1);
    int slow, late;
    submit(client, server->port, "/silent", 400, &slow);
    submit(client, server->port, "/echo", 100, &late);
    void *cookie;
    assert_int_equal(must_complete(client, &cookie).err, ERR_HTTP_UNREACHABLE);
    assert_ptr_equal(cookie, &late);
    assert_int_equal(must_complete(client, &cookie).err, ERR_HTTP_TIMEOUT);
    assert_ptr_equal(cookie, &slow);
    http_client_destroy(&client);
    server_stop(server);
}

static void connection_is_kept_and_a_stale_one_replaced(void **state)
{
    (void)state;
    server_t *server = server_start(1);
    http_client_t *client = http_client_new(4);
    for (int i = 0; i < 10; i++)
        assert_int_equal(outcome(client, server->port, "/echo", SOON_MS), ERR_OK);
    assert_int_equal(atomic_load(&server->accepted), 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(outcome(client, server->port, "/then-close", SOON_MS), ERR_OK);
    assert_int_equal(atomic_load(&server->accepted), 3);
    http_client_destroy(&client);
    server_stop(server);
}

static bool all_have_arrived(void *arg)
{
    server_t *server = arg;
    return atomic_load(&server->requests) == 8;
}

static void destroy_ends_what_runs_waits_and_was_not_taken(void **state)
{
    (void)state;
    server_t *server = server_start(1);
    http_client_t *client = http_client_new(8);
    submit(client, server->port, "/echo", SOON_MS, NULL);
    assert_true(is_readable(http_client_fd(client), SOON_MS)); /* completed, and never taken */
    for (int i = 0; i < 50; i++)
        submit(client, server->port, "/silent", 60000, NULL);
    atomic_fetch_sub(&server->requests, 1);
    wait_until(all_have_arrived, server, SOON_MS, "eight requests are running");
    int64_t begun_ms = clock_mono_ms();
    http_client_destroy(&client);
    assert_true(clock_mono_ms() - begun_ms < 2000);
    server_stop(server);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(request_arrives_whole_and_so_does_the_answer),
    cmocka_unit_test(any_status_is_an_answer_and_no_redirect_is_followed),
    cmocka_unit_test(what_was_not_sent_is_unreachable),
    cmocka_unit_test(what_was_sent_and_not_answered_is_a_timeout),
    cmocka_unit_test(oversize_answer_is_cut_off),
    cmocka_unit_test(hundred_requests_run_at_once),
    cmocka_unit_test(requests_over_the_limit_wait_their_turn),
    cmocka_unit_test(request_that_waited_in_vain_was_not_sent),
    cmocka_unit_test(connection_is_kept_and_a_stale_one_replaced),
    cmocka_unit_test(destroy_ends_what_runs_waits_and_was_not_taken),
};

TEST_MAIN(tests)
