/* test_webhook_intake.c - POST /webhooks/{gateway} against a real Redis: accepted means on disk. */
#include "gateway/webhook_intake.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/hmac.h"
#include "lib/json_read.h"
#include "lib/limits.h"
#include "lib/redis.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum { CLIENTS = 50, ANSWER_TIMEOUT_MS = 15000, HEADERS_KEPT_MAX_BYTES = 8192 };

#define PAYMENT_1 "019a4c1e-0000-7000-8000-000000000001"
#define PAYMENT_2 "019a4c1e-0000-7000-8000-000000000002"
#define ORDER "019a4c1e-0000-7000-8000-00000000000f"
#define REQUEST_ID "019a4c1e-0000-7000-8000-0000000000aa"

/* ---- the intake behind a server ---- */

typedef struct fixture {
    test_redis_t server;
    psp_accounts_t accounts;
    webhook_intake_t intake;
    http_server_t *http;
    pthread_mutex_t lock; /* on what is observed, by many HTTP threads */
    unsigned observed;
    char observed_answer[16];
} fixture_t;

static void handle(http_request_t *request)
{
    const fixture_t *fixture = request->self;
    webhook_intake_handle(&fixture->intake, request);
}

static const http_route_t routes[] = {
    {"POST", "/webhooks/{gateway}", handle, WEBHOOK_BODY_MAX_BYTES}, {NULL, NULL, NULL, 0}};

static void observe(void *arg, const webhook_received_t *webhook, const http_request_t *request)
{
    fixture_t *fixture = arg;
    assert_false(uuid_is_nil(&request->request_id));
    pthread_mutex_lock(&fixture->lock);
    fixture->observed++;
    str_copy(webhook->answer, fixture->observed_answer, sizeof fixture->observed_answer);
    pthread_mutex_unlock(&fixture->lock);
}

static void start(fixture_t *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    pthread_mutex_init(&fixture->lock, NULL);
    test_redis_start(&fixture->server);
    psp_accounts_check(&fixture->accounts, true);
    err_detail_t detail = {{0}};
    fixture->intake = (webhook_intake_t){.redis = redis_thread_new(fixture->server.url, &detail),
                                         .accounts = &fixture->accounts,
                                         .dev = true,
                                         .observe = observe,
                                         .observe_arg = fixture};
    assert_non_null(fixture->intake.redis);
    fixture->http = http_server_new(&(http_server_config_t){.addr = "127.0.0.1:0",
                                                            .threads = CLIENTS + 14,
                                                            .keep_alive_timeout_ms = 1000,
                                                            .routes = routes,
                                                            .self = fixture},
                                    &detail);
    if (fixture->http == NULL)
        fail_msg("%s", detail.text);
}

static void stop(fixture_t *fixture)
{
    http_server_destroy(&fixture->http);
    redis_thread_destroy(&fixture->intake.redis);
    test_redis_stop(&fixture->server);
}

/* ---- a PSP ---- */

/* Posts a body with further header lines; the answer (head and body) into `answer`, the status
 * returned. */
static int post_with(const fixture_t *fixture, const char *gateway, const char *headers,
                     const char *body, char *answer, size_t capacity)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(fixture->http)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    char head[256];
    const int size = snprintf(head, sizeof head,
                              "POST /webhooks/%s HTTP/1.1\r\nConnection: close\r\n"
                              "X-Request-Id: " REQUEST_ID "\r\nContent-Length: %zu\r\n",
                              gateway, strlen(body));
    send(fd, head, (size_t)size, MSG_NOSIGNAL);
    send(fd, headers, strlen(headers), MSG_NOSIGNAL);
    send(fd, "\r\n", 2, MSG_NOSIGNAL);
    send(fd, body, strlen(body), MSG_NOSIGNAL);
    size_t used = 0;
    for (;;) {
        struct pollfd waited = {.fd = fd, .events = POLLIN};
        CHECK(poll(&waited, 1, ANSWER_TIMEOUT_MS) == 1);
        const ssize_t got = recv(fd, answer + used, capacity - 1 - used, 0);
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    answer[used] = '\0';
    close(fd);
    return used > 12 ? (int)strtol(answer + strlen("HTTP/1.1 "), NULL, 10) : 0;
}

static int post(const fixture_t *fixture, const char *gateway, const char *body, char *answer,
                size_t capacity)
{
    return post_with(fixture, gateway, "", body, answer, capacity);
}

static const char *webhook(char *body, size_t capacity, const char *event_id,
                           const char *payment_id, const char *status, const char *signature)
{
    snprintf(body, capacity,
             "{\"event_id\":\"%s\",\"gateway\":\"Razorpay\",\"order_id\":\"" ORDER
             "\",\"payment_id\":\"%s\",\"gateway_txn_id\":\"txn_1\",\"status\":\"%s\","
             "\"amount\":45000,\"signature\":\"%s\",\"occurred_at\":\"2026-02-21T00:00:00Z\"}",
             event_id, payment_id, status, signature);
    return body;
}

static int post_event(const fixture_t *fixture, const char *event_id, const char *payment_id,
                      char *answer, size_t capacity)
{
    char body[1024];
    webhook(body, sizeof body, event_id, payment_id, "SUCCESS", "Razorpay:dev-secret");
    return post(fixture, "razorpay", body, answer, capacity);
}

/* An event in Razorpay's own format, signed with this secret. */
static int post_own(const fixture_t *fixture, const char *gateway, const char *secret,
                    const char *body, char *answer, size_t capacity)
{
    uint8_t digest[HMAC_SHA256_SIZE];
    buf_t headers = {0};
    hmac_sha256(str_of(secret), str_of(body), digest);
    buf_add_text(&headers, "X-Razorpay-Event-Id: evt_own\r\nX-Razorpay-Signature: ");
    for (size_t i = 0; i < sizeof digest; i++)
        buf_printf(&headers, "%02x", digest[i]);
    buf_add_text(&headers, "\r\n");
    const int status = post_with(fixture, gateway, headers.data, body, answer, capacity);
    buf_free(&headers);
    return status;
}

#define OWN_CAPTURE                                                                           \
    "{\"event\":\"payment.captured\",\"payload\":{\"payment\":{\"entity\":{\"id\":\"pay_1\"," \
    "\"amount\":45000,\"currency\":\"INR\",\"notes\":{\"payment_id\":\"" PAYMENT_1 "\"}}}},"  \
    "\"created_at\":1}"

/* ---- what Redis holds ---- */

static redisReply *ask_redis(const fixture_t *fixture, const char *format, const char *argument)
{
    err_detail_t detail = {{0}};
    redis_t *redis = redis_new(fixture->server.url, 2000, &detail);
    redisReply *reply = NULL;
    const err_t err = redis_command(redis, &reply, &detail, format, argument);
    if (err != ERR_OK)
        fail_msg("%s", detail.text);
    redis_destroy(&redis);
    return reply;
}

static long long stream_length(const fixture_t *fixture)
{
    redisReply *reply = ask_redis(fixture, "XLEN %s", "stream:webhooks");
    const long long length = reply->integer;
    freeReplyObject(reply);
    return length;
}

static const char *field_of(const redisReply *entry, const char *name)
{
    const redisReply *fields = entry->element[1];
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (strcmp(fields->element[i]->str, name) == 0)
            return fields->element[i + 1]->str;
    fail_msg("no field %s", name);
    return NULL;
}

/* The headers that the stream's only entry keeps; the caller's. */
static json_t *kept_headers(const fixture_t *fixture)
{
    redisReply *entries = ask_redis(fixture, "XRANGE %s - +", "stream:webhooks");
    assert_int_equal(entries->elements, 1);
    const char *text = field_of(entries->element[0], "headers");
    assert_true(strlen(text) <= HEADERS_KEPT_MAX_BYTES);
    err_detail_t detail = {{0}};
    json_t *headers = json_read_object(str_of(text), &detail);
    if (headers == NULL)
        fail_msg("%s: %s", detail.text, text);
    freeReplyObject(entries);
    return headers;
}

/* ---- tests ---- */

static void the_headers_are_kept_in_small_letters_and_without_secrets(void **state)
{
    (void)state;
    fixture_t fixture;
    start(&fixture);
    char answer[2048], body[1024];
    webhook(body, sizeof body, "evt_1", PAYMENT_1, "SUCCESS", "Razorpay:dev-secret");
    assert_int_equal(post_with(&fixture, "Razorpay",
                               "X-Razorpay-Event-Id: evt \"7\"\r\nUser-Agent: PSP\\1\r\n"
                               "x-razorpay-event-id: second\r\nAuthorization: Basic c2VjcmV0\r\n"
                               "COOKIE: session=secret\r\nProxy-Authorization: Basic c2VjcmV0\r\n",
                               body, answer, sizeof answer),
                     200);
    json_t *headers = kept_headers(&fixture);
    assert_true(str_is(json_read_str(headers, "x-razorpay-event-id"), "evt \"7\""));
    assert_true(str_is(json_read_str(headers, "user-agent"), "PSP\\1"));
    assert_true(str_is(json_read_str(headers, "x-request-id"), REQUEST_ID));
    assert_int_equal(json_object_size(headers), 5); /* and Connection, Content-Length */
    json_decref(headers);
    stop(&fixture);
}

/* What the database could not take as text, or would be too much of, must not stop the webhook. */
static void any_bytes_in_headers_are_kept_as_json_within_their_bound(void **state)
{
    (void)state;
    fixture_t fixture;
    start(&fixture);
    char answer[2048], body[1024], value[3001];
    buf_t lines = {0};
    webhook(body, sizeof body, "evt_1", PAYMENT_1, "SUCCESS", "Razorpay:dev-secret");
    for (int i = 0; i < 3; i++) {
        memset(value, "\xff\"a"[i], sizeof value - 1); /* 3, 2, 1 bytes each in JSON */
        value[sizeof value - 1] = '\0';
        buf_printf(&lines, "X-Part-%d: %s\r\n", i, value);
    }
    buf_add_text(&lines, "X-Last: kept\r\n");
    assert_int_equal(post_with(&fixture, "Razorpay", lines.data, body, answer, sizeof answer), 200);
    buf_free(&lines);
    json_t *headers = kept_headers(&fixture);
    assert_null(json_object_get(headers, "x-part-0"));     /* has no room at all … */
    assert_non_null(json_object_get(headers, "x-part-1")); /* … this one has … */
    assert_null(json_object_get(headers, "x-part-2"));     /* … and none after it */
    assert_true(str_is(json_read_str(headers, "x-last"), "kept"));
    json_decref(headers);
    stop(&fixture);
}

static void an_accepted_webhook_is_in_the_stream_as_it_was_sent(void **state)
{
    (void)state;
    fixture_t fixture;
    start(&fixture);
    char answer[2048], body[1024];
    webhook(body, sizeof body, "evt_1", PAYMENT_1, "SUCCESS", "Razorpay:dev-secret");
    assert_int_equal(post(&fixture, "RAZORPAY", body, answer, sizeof answer), 200);
    assert_non_null(strstr(answer, "{\"status\":\"accepted\"}"));
    redisReply *entries = ask_redis(&fixture, "XRANGE %s - +", "stream:webhooks");
    assert_int_equal(entries->elements, 1);
    const redisReply *entry = entries->element[0];
    assert_string_equal(field_of(entry, "source"), "webhook");
    assert_string_equal(field_of(entry, "psp"), "Razorpay");
    assert_string_equal(field_of(entry, "event_id"), "evt_1");
    assert_string_equal(field_of(entry, "payment_id"), PAYMENT_1);
    assert_string_equal(field_of(entry, "request_id"), REQUEST_ID);
    assert_string_equal(field_of(entry, "traceparent"), "");
    assert_string_equal(field_of(entry, "body"), body);
    assert_true(strtoll(field_of(entry, "received_at_us"), NULL, 10) > 0);
    freeReplyObject(entries);
    assert_int_equal(fixture.observed, 1);
    assert_string_equal(fixture.observed_answer, "accepted");
    stop(&fixture);
}

static void a_webhook_in_the_psps_own_format_is_taken_in_production(void **state)
{
    (void)state;
    fixture_t fixture;
    start(&fixture);
    fixture.intake.dev = false;
    char answer[2048];
    assert_int_equal(post_own(&fixture, "razorpay", "guessed", OWN_CAPTURE, answer, sizeof answer),
                     401);
    assert_int_equal(
        post_own(&fixture, "cashfree", "dev-secret", OWN_CAPTURE, answer, sizeof answer), 401);
    assert_int_equal(stream_length(&fixture), 0);
    assert_int_equal(
        post_own(&fixture, "razorpay", "dev-secret", OWN_CAPTURE, answer, sizeof answer), 200);
    assert_non_null(strstr(answer, "{\"status\":\"accepted\"}"));
    redisReply *entries = ask_redis(&fixture, "XRANGE %s - +", "stream:webhooks");
    assert_int_equal(entries->elements, 1);
    assert_string_equal(field_of(entries->element[0], "event_id"), "evt_own");
    assert_string_equal(field_of(entries->element[0], "payment_id"), PAYMENT_1);
    assert_string_equal(field_of(entries->element[0], "body"), OWN_CAPTURE);
    freeReplyObject(entries);
    stop(&fixture);
}

static void what_says_nothing_about_a_payment_is_answered_and_not_queued(void **state)
{
    (void)state;
    fixture_t fixture;
    start(&fixture);
    char answer[2048];
    const uint64_t before = webhook_intake_count(0, INTAKE_IGNORED);
    assert_int_equal(post_own(&fixture, "razorpay", "dev-secret",
                              "{\"event\":\"settlement.processed\",\"payload\":{}}", answer,
                              sizeof answer),
                     200);
    assert_non_null(strstr(answer, "{\"status\":\"ignored\"}"));
    assert_int_equal(stream_length(&fixture), 0);
    assert_int_equal(webhook_intake_count(0, INTAKE_IGNORED), before + 1);
    assert_string_equal(fixture.observed_answer, "ignored");
    stop(&fixture);
}

static void an_event_handled_for_the_same_payment_is_a_duplicate(void **state)
{
    (void)state;
    fixture_t fixture;
    start(&fixture);
    char answer[2048];
    freeReplyObject(ask_redis(&fixture, "SET idemp:webhook:Razorpay:evt_1 %s", PAYMENT_1));
    assert_int_equal(post_event(&fixture, "evt_1", PAYMENT_1, answer, sizeof answer), 200);
    assert_non_null(strstr(answer, "{\"status\":\"duplicate\"}"));
    assert_int_equal(stream_length(&fixture), 0);
    assert_string_equal(fixture.observed_answer, "duplicate");
    /* Seen for another payment: facts decide, not the id. */
    assert_int_equal(post_event(&fixture, "evt_1", PAYMENT_2, answer, sizeof answer), 200);
    assert_non_null(strstr(answer, "{\"status\":\"accepted\"}"));
    assert_int_equal(stream_length(&fixture), 1);
    stop(&fixture);
}

static void an_event_that_is_queued_but_not_handled_is_queued_again(void **state)
{
    (void)state;
    fixture_t fixture;
    start(&fixture);
    char answer[2048];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(post_event(&fixture, "evt_1", PAYMENT_1, answer, sizeof answer), 200);
        assert_non_null(strstr(answer, "accepted"));
    }
    assert_int_equal(stream_length(&fixture), 2); /* the inbox makes them one */
    stop(&fixture);
}

static void a_pending_report_is_queued_too(void **state)
{
    (void)state;
    fixture_t fixture;
    start(&fixture);
    char answer[2048], body[1024];
    webhook(body, sizeof body, "evt_p", PAYMENT_1, "PENDING", "Razorpay:dev-secret");
    assert_int_equal(post(&fixture, "Razorpay", body, answer, sizeof answer), 200);
    assert_int_equal(stream_length(&fixture), 1);
    stop(&fixture);
}

static void what_cannot_be_trusted_or_understood_never_reaches_the_stream(void **state)
{
    (void)state;
    fixture_t fixture;
    start(&fixture);
    char answer[2048], body[1024];
    const uint64_t bad_before = webhook_intake_count(0, INTAKE_BAD_SIGNATURE);
    webhook(body, sizeof body, "evt_1", PAYMENT_1, "SUCCESS", "Razorpay:guessed");
    assert_int_equal(post(&fixture, "Razorpay", body, answer, sizeof answer), 401);
    assert_non_null(strstr(answer, "\"code\":\"SIGNATURE_INVALID\""));
    assert_int_equal(webhook_intake_count(0, INTAKE_BAD_SIGNATURE), bad_before + 1);
    webhook(body, sizeof body, "evt_1", PAYMENT_1, "MAYBE", "Razorpay:dev-secret");
    assert_int_equal(post(&fixture, "Razorpay", body, answer, sizeof answer), 400);
    assert_non_null(strstr(answer, "\"code\":\"MALFORMED_WEBHOOK\""));
    assert_int_equal(post(&fixture, "Razorpay", "{", answer, sizeof answer), 400);
    assert_int_equal(post(&fixture, "Razorpay", "", answer, sizeof answer), 400);
    webhook(body, sizeof body, "evt_1", PAYMENT_1, "SUCCESS", "Razorpay:dev-secret");
    assert_int_equal(post(&fixture, "NoSuchPsp", body, answer, sizeof answer), 404);
    assert_non_null(strstr(answer, "\"code\":\"UNKNOWN_GATEWAY\""));
    assert_int_equal(stream_length(&fixture), 0);
    assert_int_equal(fixture.observed, 0);
    stop(&fixture);
}

/* ---- many at once, and a Redis that dies ---- */

typedef struct client {
    const fixture_t *fixture;
    int number;
    int status;
    int64_t took_ms;
} client_t;

static void *run_client(void *arg)
{
    client_t *client = arg;
    char answer[2048], event_id[32];
    snprintf(event_id, sizeof event_id, "evt_%d", client->number);
    const int64_t before_ms = clock_mono_ms();
    client->status = post_event(client->fixture, event_id, PAYMENT_1, answer, sizeof answer);
    client->took_ms = clock_mono_ms() - before_ms;
    return NULL;
}

static void run_clients(const fixture_t *fixture, client_t clients[CLIENTS])
{
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (client_t){.fixture = fixture, .number = i};
        CHECK(pthread_create(&threads[i], NULL, run_client, &clients[i]) == 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
}

static void fifty_at_once_are_all_on_disk_when_answered(void **state)
{
    (void)state;
    fixture_t fixture;
    start(&fixture);
    client_t clients[CLIENTS];
    run_clients(&fixture, clients);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(clients[i].status, 200);
    test_redis_kill(&fixture.server); /* what was answered survives kill -9 */
    test_redis_restart(&fixture.server);
    assert_int_equal(stream_length(&fixture), CLIENTS);
    stop(&fixture);
}

static void without_redis_all_get_503_in_time_and_with_it_again_200(void **state)
{
    (void)state;
    fixture_t fixture;
    start(&fixture);
    char answer[2048];
    assert_int_equal(post_event(&fixture, "evt_before", PAYMENT_1, answer, sizeof answer), 200);
    test_redis_kill(&fixture.server);
    client_t clients[CLIENTS];
    run_clients(&fixture, clients);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(clients[i].status, 503);
        assert_true(clients[i].took_ms < REDIS_COMMAND_TIMEOUT_MS + 1000);
    }
    post_event(&fixture, "evt_dead", PAYMENT_1, answer, sizeof answer);
    assert_non_null(strstr(answer, "\"code\":\"QUEUE_UNAVAILABLE\""));
    assert_non_null(strstr(answer, "Retry-After: 1"));
    test_redis_restart(&fixture.server);
    const int64_t end = clock_mono_ms() + ANSWER_TIMEOUT_MS;
    int status = 0;
    while (status != 200 && clock_mono_ms() < end)
        status = post_event(&fixture, "evt_after", PAYMENT_1, answer, sizeof answer);
    assert_int_equal(status, 200);
    assert_int_equal(stream_length(&fixture), 2);
    stop(&fixture);
}

static bool is_healthy(void *arg)
{
    return redis_thread_healthy(arg);
}

static bool is_unhealthy(void *arg)
{
    return !redis_thread_healthy(arg);
}

static void health_follows_redis(void **state)
{
    (void)state;
    fixture_t fixture;
    start(&fixture);
    wait_until(is_healthy, fixture.intake.redis, 5000, "Redis seen");
    test_redis_kill(&fixture.server);
    wait_until(is_unhealthy, fixture.intake.redis, 5000, "Redis missed");
    test_redis_restart(&fixture.server);
    wait_until(is_healthy, fixture.intake.redis, 5000, "Redis seen again");
    stop(&fixture);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_headers_are_kept_in_small_letters_and_without_secrets),
    cmocka_unit_test(any_bytes_in_headers_are_kept_as_json_within_their_bound),
    cmocka_unit_test(an_accepted_webhook_is_in_the_stream_as_it_was_sent),
    cmocka_unit_test(a_webhook_in_the_psps_own_format_is_taken_in_production),
    cmocka_unit_test(what_says_nothing_about_a_payment_is_answered_and_not_queued),
    cmocka_unit_test(an_event_handled_for_the_same_payment_is_a_duplicate),
    cmocka_unit_test(an_event_that_is_queued_but_not_handled_is_queued_again),
    cmocka_unit_test(a_pending_report_is_queued_too),
    cmocka_unit_test(what_cannot_be_trusted_or_understood_never_reaches_the_stream),
    cmocka_unit_test(fifty_at_once_are_all_on_disk_when_answered),
    cmocka_unit_test(without_redis_all_get_503_in_time_and_with_it_again_200),
    cmocka_unit_test(health_follows_redis),
};

TEST_MAIN(tests)
