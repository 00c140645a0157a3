/* test_psp_client.c - access tokens: asked for once, kept, renewed, dropped, waited for; against a
 * small server in this process that gives PhonePe's tokens and tells which of them a call came
 * with. */
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
#include "lib/payment/psp_client.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum {
    CONNECTIONS_MAX = 64,
    CONCURRENT = 32,
    SOON_MS = 10000, /* generous: sanitizers, shared machines */
};

typedef struct connection {
    int fd;
    bool held; /* its request is answered later */
    size_t size;
    char data[8192];
} connection_t;

typedef enum tokens { TOKENS_GIVEN, TOKENS_HELD, TOKENS_REFUSED, TOKENS_NONSENSE } tokens_t;

typedef struct server {
    int fd, port;
    int control[2]; /* a byte: look again; closed: end */
    pthread_t thread;
    atomic_int tokens;         /* tokens_t */
    atomic_int lives_s;        /* of the tokens that are given */
    atomic_int tokens_asked;   /* how many were asked for: they are t1, t2 … */
    atomic_int calls;          /* of any other kind */
    atomic_bool slow_held;     /* /slow is not answered before this is false */
    atomic_int refused_token;  /* calls with t<this> are answered with 401 */
    atomic_llong expires_at_s; /* of the last token */
    int count;
    connection_t *connections[CONNECTIONS_MAX];
} server_t;

static void answer(int fd, const char *status, const char *body)
{
    char text[1024];
    const int size = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s",
                              status, strlen(body), body);
    CHECK(size > 0 && (size_t)size < sizeof text);
    (void)!send(fd, text, (size_t)size, MSG_NOSIGNAL);
}

static void answer_token(server_t *server, connection_t *connection)
{
    char body[256];
    const tokens_t tokens = (tokens_t)atomic_load(&server->tokens);
    connection->held = tokens == TOKENS_HELD;
    if (tokens == TOKENS_REFUSED) {
        answer(connection->fd, "500 Oh", "{}");
    } else if (tokens == TOKENS_NONSENSE) {
        answer(connection->fd, "200 OK", "{\"access_token\":\"\"}");
    } else if (tokens == TOKENS_GIVEN) {
        const long long expires_at_s =
            (long long)(clock_wall_us() / 1000000) + atomic_load(&server->lives_s);
        atomic_store(&server->expires_at_s, expires_at_s);
        snprintf(body, sizeof body,
                 "{\"access_token\":\"t%d\",\"token_type\":\"O-Bearer\",\"expires_at\":%lld}",
                 atomic_load(&server->tokens_asked), expires_at_s);
        answer(connection->fd, "200 OK", body);
    }
}

/* With the token that the call came with. */
static void answer_call(server_t *server, connection_t *connection)
{
    char token[64] = "none";
    connection->held = false;
    const char *header = strstr(connection->data, "\r\nAuthorization: ");
    char refused[64];
    if (header)
        sscanf(header + strlen("\r\nAuthorization: "), "%63[^\r]", token);
    snprintf(refused, sizeof refused, "O-Bearer t%d", atomic_load(&server->refused_token));
    answer(connection->fd, strcmp(token, refused) == 0 ? "401 Unauthorized" : "200 OK", token);
}

static bool asks_for_token(const connection_t *connection)
{
    return strncmp(connection->data, "POST /v1/oauth/token ", 21) == 0;
}

static void serve(server_t *server, connection_t *connection)
{
    if (asks_for_token(connection)) {
        atomic_fetch_add(&server->tokens_asked, 1);
        answer_token(server, connection);
        return;
    }
    atomic_fetch_add(&server->calls, 1);
    connection->held =
        strncmp(connection->data, "POST /slow ", 11) == 0 && atomic_load(&server->slow_held);
    if (!connection->held)
        answer_call(server, connection);
}

static void serve_held(server_t *server, connection_t *connection)
{
    if (asks_for_token(connection) && atomic_load(&server->tokens) != TOKENS_HELD)
        answer_token(server, connection);
    else if (!asks_for_token(connection) && !atomic_load(&server->slow_held))
        answer_call(server, connection);
}

static bool receive(server_t *server, connection_t *connection)
{
    const size_t room = sizeof connection->data - 1 - connection->size;
    const ssize_t size = recv(connection->fd, connection->data + connection->size, room, 0);
    if (size <= 0)
        return false;
    connection->size += (size_t)size;
    connection->data[connection->size] = '\0';
    const char *head_end = strstr(connection->data, "\r\n\r\n");
    const char *length = strcasestr(connection->data, "Content-Length:");
    if (!head_end || connection->size < (size_t)(head_end + 4 - connection->data) +
                                            (length ? strtoul(length + 15, NULL, 10) : 0))
        return true;
    connection->size = 0; /* the text stays, for an answer that comes later */
    serve(server, connection);
    return true;
}

static void take_connection(server_t *server)
{
    connection_t *connection = calloc(1, sizeof *connection);
    connection->fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
    server->connections[server->count++] = connection;
}

static void drop_connection(server_t *server, int index)
{
    close(server->connections[index]->fd);
    free(server->connections[index]);
    server->connections[index] = server->connections[--server->count];
}

static void *run_server(void *arg)
{
    server_t *server = arg;
    char byte;
    for (;;) {
        struct pollfd pollfds[CONNECTIONS_MAX + 2] = {{.fd = server->control[0], .events = POLLIN},
                                                      {.fd = server->fd, .events = POLLIN}};
        const int before = server->count;
        for (int i = 0; i < before; i++)
            pollfds[i + 2] = (struct pollfd){.fd = server->connections[i]->fd, .events = POLLIN};
        if (poll(pollfds, (nfds_t)before + 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (pollfds[0].revents && read(server->control[0], &byte, 1) != 1)
            return NULL;
        for (int i = before - 1; i >= 0; i--) {
            connection_t *connection = server->connections[i];
            if (connection->held)
                serve_held(server, connection);
            if (pollfds[i + 2].revents && !receive(server, connection))
                drop_connection(server, i);
        }
        if (pollfds[1].revents && server->count < CONNECTIONS_MAX)
            take_connection(server);
    }
}

static server_t *server_start(tokens_t tokens)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server_t *server = calloc(1, sizeof *server);
    atomic_store(&server->tokens, (int)tokens);
    atomic_store(&server->lives_s, 3600);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->fd, CONNECTIONS_MAX), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pipe(server->control), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, run_server, server), 0);
    return server;
}

static void server_set(server_t *server, tokens_t tokens)
{
    atomic_store(&server->tokens, (int)tokens);
    assert_int_equal(write(server->control[1], "r", 1), 1);
}

static void server_stop(server_t *server)
{
    close(server->control[1]);
    pthread_join(server->thread, NULL);
    while (server->count > 0)
        drop_connection(server, 0);
    close(server->fd);
    close(server->control[0]);
    free(server);
}

/* ---- calls ---- */

typedef struct fixture {
    server_t *server;
    char url[64];
    psp_accounts_t accounts;
    psp_client_t *client;
} fixture_t;

static void fixture_start(fixture_t *self, tokens_t tokens)
{
    memset(self, 0, sizeof *self);
    self->server = server_start(tokens);
    snprintf(self->url, sizeof self->url, "http://127.0.0.1:%d", self->server->port);
    for (size_t i = 0; i < PSP_COUNT; i++)
        self->accounts.of[i] = (psp_account_t){
            .base_url = self->url, .key_id = "k", .key_secret = "s", .webhook_secrets = "w"};
    self->client = psp_client_new(&self->accounts, CONCURRENT);
}

static void fixture_stop(fixture_t *self)
{
    psp_client_destroy(&self->client);
    assert_null(self->client);
    server_stop(self->server);
}

static void submit_to(fixture_t *self, const char *psp, const char *path, void *cookie)
{
    http_client_request_t request = {.method = "POST", .timeout_ms = SOON_MS};
    snprintf(request.url, sizeof request.url, "%s%s", self->url, path);
    buf_add_text(&request.body, "{}");
    psp_client_submit(self->client, psp_find(str_of(psp)), &request, cookie);
    assert_null(request.method);
    assert_null(request.body.data);
}

static void submit(fixture_t *self, const char *psp, void *cookie)
{
    submit_to(self, psp, "/call", cookie);
}

static http_client_response_t must_complete(fixture_t *self, void **cookie)
{
    http_client_response_t response;
    const int64_t until_ms = clock_mono_ms() + SOON_MS;
    while (!psp_client_next(self->client, cookie, &response)) {
        struct pollfd pollfd = {.fd = psp_client_fd(self->client), .events = POLLIN};
        const int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0 || poll(&pollfd, 1, (int)left_ms) != 1)
            fail_msg("no completion");
    }
    return response;
}

/* Answered with this status, to a call with this token. */
static void assert_completes(fixture_t *self, int status, const char *token)
{
    void *cookie = NULL;
    http_client_response_t response = must_complete(self, &cookie);
    assert_ptr_equal(cookie, self);
    assert_int_equal(response.err, ERR_OK);
    assert_int_equal(response.status, status);
    assert_true(response.took_ms >= 0);
    assert_int_equal(response.body.size, strlen(token));
    assert_memory_equal(response.body.data, token, strlen(token));
    buf_free(&response.body);
}

static void assert_tells_no_token(fixture_t *self)
{
    void *cookie = NULL;
    const http_client_response_t response = must_complete(self, &cookie);
    assert_ptr_equal(cookie, self);
    assert_int_equal(response.err, ERR_HTTP_UNREACHABLE);
    assert_int_equal(response.status, 0);
    assert_int_equal(response.body.size, 0);
    assert_string_equal(response.error, "no access token from the PSP");
}

static bool token_is_asked_for(void *arg)
{
    server_t *server = arg;
    return atomic_load(&server->tokens_asked) == 1;
}

/* ---- tests ---- */

static void a_token_is_asked_for_once_and_kept(void **state)
{
    (void)state;
    fixture_t self;
    fixture_start(&self, TOKENS_GIVEN);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20; i++)
            submit(&self, "phonepe", &self);
        for (int i = 0; i < 20; i++)
            assert_completes(&self, 200, "O-Bearer t1");
    }
    assert_int_equal(atomic_load(&self.server->tokens_asked), 1);
    assert_int_equal(atomic_load(&self.server->calls), 60);
    fixture_stop(&self);
}

static void calls_wait_for_the_token_that_is_being_asked_for(void **state)
{
    (void)state;
    fixture_t self;
    void *cookie;
    http_client_response_t response;
    fixture_start(&self, TOKENS_HELD);
    for (int i = 0; i < 10; i++)
        submit(&self, "phonepe", &self);
    wait_until(token_is_asked_for, self.server, SOON_MS, "a token is asked for");
    for (int i = 0; i < 10; i++)
        submit(&self, "phonepe", &self);
    submit(&self, "juspay", &self); /* needs none, and waits for none */
    assert_completes(&self, 200, "none");
    assert_false(psp_client_next(self.client, &cookie, &response));
    assert_int_equal(atomic_load(&self.server->calls), 1);
    server_set(self.server, TOKENS_GIVEN);
    for (int i = 0; i < 20; i++)
        assert_completes(&self, 200, "O-Bearer t1");
    assert_int_equal(atomic_load(&self.server->tokens_asked), 1);
    fixture_stop(&self);
}

static void calls_without_a_token_come_back_unsent(void **state)
{
    (void)state;
    static const tokens_t failures[] = {TOKENS_REFUSED, TOKENS_NONSENSE};
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        fixture_t self;
        void *cookie;
        http_client_response_t response;
        fixture_start(&self, failures[i]);
        for (int call = 0; call < 5; call++)
            submit(&self, "phonepe", &self);
        for (int call = 0; call < 5; call++)
            assert_tells_no_token(&self);
        assert_false(psp_client_next(self.client, &cookie, &response));
        assert_int_equal(atomic_load(&self.server->calls), 0);
        assert_int_equal(atomic_load(&self.server->tokens_asked), 1);
        server_set(self.server, TOKENS_GIVEN); /* the next call asks again */
        submit(&self, "phonepe", &self);
        assert_completes(&self, 200, "O-Bearer t2");
        fixture_stop(&self);
    }
}

static void a_psp_that_cannot_be_reached_gives_no_token(void **state)
{
    (void)state;
    fixture_t self;
    fixture_start(&self, TOKENS_GIVEN);
    snprintf(self.url, sizeof self.url, "http://127.0.0.1:%d", test_free_port());
    submit(&self, "phonepe", &self);
    submit(&self, "phonepe", &self);
    assert_tells_no_token(&self);
    assert_tells_no_token(&self);
    assert_int_equal(atomic_load(&self.server->calls), 0);
    fixture_stop(&self);
}

/* Each call is sent with a token that still lived when it was submitted. */
static void a_token_is_renewed_before_it_ends(void **state)
{
    (void)state;
    fixture_t self;
    fixture_start(&self, TOKENS_GIVEN);
    atomic_store(&self.server->lives_s, 2);
    const int64_t until_ms = clock_mono_ms() + SOON_MS;
    long long first_ends_s = 0;
    for (;;) {
        void *cookie;
        const int64_t submitted_us = clock_wall_us();
        submit(&self, "phonepe", &self);
        http_client_response_t response = must_complete(&self, &cookie);
        assert_int_equal(response.status, 200);
        const bool is_first = response.body.size == strlen("O-Bearer t1") &&
                              memcmp(response.body.data, "O-Bearer t1", response.body.size) == 0;
        buf_free(&response.body);
        if (!is_first)
            break;
        first_ends_s = atomic_load(&self.server->expires_at_s);
        assert_true(submitted_us < first_ends_s * INT64_C(1000000));
        if (clock_mono_ms() > until_ms)
            fail_msg("the token was never renewed");
    }
    assert_true(first_ends_s > 0);
    assert_int_equal(atomic_load(&self.server->tokens_asked), 2);
    fixture_stop(&self);
}

static void a_token_that_is_refused_is_dropped(void **state)
{
    (void)state;
    fixture_t self;
    fixture_start(&self, TOKENS_GIVEN);
    submit(&self, "phonepe", &self);
    assert_completes(&self, 200, "O-Bearer t1");
    atomic_store(&self.server->refused_token, 1);
    submit(&self, "phonepe", &self);
    assert_completes(&self, 401, "O-Bearer t1"); /* for whoever called to try again */
    submit(&self, "phonepe", &self);
    assert_completes(&self, 200, "O-Bearer t2");
    submit(&self, "phonepe", &self);
    assert_completes(&self, 200, "O-Bearer t2");
    assert_int_equal(atomic_load(&self.server->tokens_asked), 2);
    fixture_stop(&self);
}

static bool two_calls_came(void *arg)
{
    server_t *server = arg;
    return atomic_load(&server->calls) == 2;
}

/* Of two that came with the old token the second is told after there is a new one. */
static void a_refusal_of_an_old_token_leaves_the_new_one(void **state)
{
    (void)state;
    fixture_t self;
    fixture_start(&self, TOKENS_GIVEN);
    atomic_store(&self.server->refused_token, 1);
    atomic_store(&self.server->slow_held, true);
    submit_to(&self, "phonepe", "/slow", &self);
    submit(&self, "phonepe", &self);
    assert_completes(&self, 401, "O-Bearer t1");
    wait_until(two_calls_came, self.server, SOON_MS, "both were sent");
    submit(&self, "phonepe", &self);
    assert_completes(&self, 200, "O-Bearer t2");
    atomic_store(&self.server->slow_held, false);
    server_set(self.server, TOKENS_GIVEN);
    assert_completes(&self, 401, "O-Bearer t1");
    submit(&self, "phonepe", &self);
    assert_completes(&self, 200, "O-Bearer t2");
    assert_int_equal(atomic_load(&self.server->tokens_asked), 2);
    fixture_stop(&self);
}

static void what_an_answer_repeats_of_our_key_is_hidden(void **state)
{
    (void)state;
    static const char key[] = "rzp-secret-0123456789";
    fixture_t self;
    fixture_start(&self, TOKENS_GIVEN);
    self.accounts.of[PSP_INDEX_stripe].key_secret = key;
    http_client_request_t request = {.method = "POST", .timeout_ms = SOON_MS};
    snprintf(request.url, sizeof request.url, "%s/call", self.url);
    http_client_request_header(&request, "Authorization: Bearer %s", key);
    psp_client_submit(self.client, psp_find(str_of("stripe")), &request, &self);
    assert_completes(&self, 200, "Bearer *********************");
    fixture_stop(&self);
}

static void destroy_ends_what_waits_and_what_was_not_taken(void **state)
{
    (void)state;
    fixture_t self;
    fixture_start(&self, TOKENS_HELD);
    for (int i = 0; i < 5; i++)
        submit(&self, "phonepe", &self);
    submit(&self, "stripe", &self);
    wait_until(token_is_asked_for, self.server, SOON_MS, "a token is asked for");
    fixture_stop(&self);
    fixture_start(&self, TOKENS_REFUSED);
    for (int i = 0; i < 5; i++)
        submit(&self, "phonepe", &self);
    assert_tells_no_token(&self); /* and four that nobody takes */
    fixture_stop(&self);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_token_is_asked_for_once_and_kept),
    cmocka_unit_test(calls_wait_for_the_token_that_is_being_asked_for),
    cmocka_unit_test(calls_without_a_token_come_back_unsent),
    cmocka_unit_test(a_psp_that_cannot_be_reached_gives_no_token),
    cmocka_unit_test(a_token_is_renewed_before_it_ends),
    cmocka_unit_test(a_token_that_is_refused_is_dropped),
    cmocka_unit_test(a_refusal_of_an_old_token_leaves_the_new_one),
    cmocka_unit_test(what_an_answer_repeats_of_our_key_is_hidden),
    cmocka_unit_test(destroy_ends_what_waits_and_what_was_not_taken),
};

TEST_MAIN(tests)
