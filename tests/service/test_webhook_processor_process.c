/* test_webhook_processor_process.c - tiffin-webhook-processor as a process, under its own database
 * role: what operators ask of it, and what is left where it dies. */
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <stdio.h>

#include "tests/support/child.h"
#include "tests/support/fake_gateway.h"
#include "tests/support/invariants.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum {
    SOON_MS = 30000,
    BUDGET_MS = 10000,
    SETTINGS_MAX = 8,
    SETTING_SIZE = 320,
    VALUE_SIZE = 512,
    KILLED = 128 + SIGKILL
};

typedef struct fixture {
    char url[256], processor_url[256]; /* as the owner, as the processor's own role */
    PGconn *admin;
    test_redis_t server;
    redisContext *redis;
    fake_gateway_t gateway;
    pid_t processor;
} fixture_t;

static fixture_t the_fixture;

/* The processor, ready; it dies at this crash point unless it is NULL. */
static void start_processor(fixture_t *fixture, const char *crash_at)
{
    static char settings[SETTINGS_MAX][SETTING_SIZE];
    char *environment[SETTINGS_MAX + 1] = {0};
    size_t count = 0;
    snprintf(settings[count++], SETTING_SIZE, "TIFFIN_ENV=dev");
    snprintf(settings[count++], SETTING_SIZE, "DATABASE_URL=%s", fixture->processor_url);
    snprintf(settings[count++], SETTING_SIZE, "REDIS_URL=%s", fixture->server.url);
    snprintf(settings[count++], SETTING_SIZE, "HUB_ADDR=%s", fixture->gateway.endpoint);
    snprintf(settings[count++], SETTING_SIZE, "INSTANCE=webhook-processor-1");
    snprintf(settings[count++], SETTING_SIZE, "LOG_LEVEL=%s",
             getenv("TEST_LOG_LEVEL") ? getenv("TEST_LOG_LEVEL") : "error");
    if (crash_at != NULL)
        snprintf(settings[count++], SETTING_SIZE, "TIFFIN_CRASH_AT=%s", crash_at);
    for (size_t i = 0; i < count; i++)
        environment[i] = settings[i];
    zframe_destroy(&fixture->gateway.service);
    fixture->processor = child_start(TIFFIN_BIN_DIR "/tiffin-webhook-processor", environment);
    const int64_t deadline_ms = clock_mono_ms() + SOON_MS;
    while (fixture->gateway.service == NULL) {
        if (clock_mono_ms() > deadline_ms)
            fail_msg("the processor did not say READY");
        fake_gateway_poll(&fixture->gateway);
    }
}

static void kill_processor(fixture_t *fixture)
{
    child_kill(fixture->processor);
    fixture->processor = 0;
}

static int setup(void **state)
{
    fixture_t *fixture = &the_fixture;
    memset(fixture, 0, sizeof *fixture);
    snprintf(fixture->url, sizeof fixture->url, "%s", test_database());
    const char *host = strchr(fixture->url, '@');
    assert_non_null(host);
    snprintf(fixture->processor_url, sizeof fixture->processor_url,
             "postgresql://tiffin_webhook_processor%s", host);
    fixture->admin = PQconnectdb(fixture->url);
    assert_int_equal(PQstatus(fixture->admin), CONNECTION_OK);
    test_redis_start(&fixture->server);
    fixture->redis = redisConnect("127.0.0.1", fixture->server.port);
    assert_int_equal(fixture->redis->err, 0);
    fake_gateway_start(&fixture->gateway);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    if (fixture->processor > 0)
        kill_processor(fixture);
    fake_gateway_stop(&fixture->gateway);
    redisFree(fixture->redis);
    test_redis_stop(&fixture->server);
    PQfinish(fixture->admin);
    servers_stop();
    return 0;
}

/* ---- a small language for the tests ---- */

/* The first value of a statement as text, "" for none. */
static const char *look(fixture_t *fixture, const char *sql)
{
    static char value[VALUE_SIZE];
    PGresult *result = PQexec(fixture->admin, sql);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail_msg("%s: %s", PQerrorMessage(fixture->admin), sql);
    snprintf(value, sizeof value, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return value;
}

/* Until a statement gives this value; the gateway is served meanwhile. */
typedef struct wanted {
    fixture_t *fixture;
    const char *sql, *value;
} wanted_t;

static bool is_so(void *arg)
{
    const wanted_t *wanted = arg;
    fake_gateway_poll(&wanted->fixture->gateway);
    return strcmp(look(wanted->fixture, wanted->sql), wanted->value) == 0;
}

static void await(fixture_t *fixture, const char *sql, const char *value)
{
    wanted_t wanted = {fixture, sql, value};
    wait_until(is_so, &wanted, SOON_MS, sql);
}

static bool has_ended(void *arg)
{
    fixture_t *fixture = arg;
    int exit_code;
    fake_gateway_poll(&fixture->gateway);
    if (!child_ended(fixture->processor, &exit_code))
        return false;
    fixture->processor = -exit_code; /* kept for await_end */
    return true;
}

/* Its exit code as a shell gives it. */
static int await_end(fixture_t *fixture)
{
    wait_until(has_ended, fixture, SOON_MS, "the processor's end");
    const int exit_code = -fixture->processor;
    fixture->processor = 0;
    return exit_code;
}

/* So many payments that are still to be made; the order's id is the payment's. */
static void mint(fixture_t *fixture, int count)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "CREATE TEMP TABLE minted AS SELECT uuid7() AS id FROM generate_series(1, %d)", count);
    look(fixture, sql);
}

/* Open orders of INR 450.00 with one payment each at Razorpay. */
static void make_minted(fixture_t *fixture)
{
    look(fixture,
         "WITH o AS (INSERT INTO orders (order_id, user_id, amount, currency, expires_at) "
         "SELECT id, 'u1', 45000, 'INR', now() + interval '1 h' FROM minted), "
         "p AS (INSERT INTO payments (payment_id, order_id, method, amount, currency, psp, "
         "checkout_url, expires_at) SELECT id, id, 'UPI', 45000, 'INR', 'Razorpay', "
         "'http://psp/pay', now() + interval '1 h' FROM minted) "
         "INSERT INTO attempts (attempt_id, payment_id, number, psp, outcome) "
         "SELECT uuid7(), id, 1, 'Razorpay', 'OPEN' FROM minted");
}

static void make_payment(fixture_t *fixture)
{
    mint(fixture, 1);
    make_minted(fixture);
}

#define BODY_OF_MINTED                                                               \
    "json_build_object('event_id', 'evt_' || id, 'order_id', id, 'payment_id', id, " \
    "'gateway_txn_id', 'txn_' || id, 'status', 'SUCCESS', 'amount', 45000, "         \
    "'occurred_at', '2026-02-21T00:00:00Z')::text"

/* Webhooks that waited in vain for their payments, which are there now. */
static void make_dead_letters(fixture_t *fixture, int count)
{
    mint(fixture, count);
    look(fixture,
         "SELECT count(*) FROM (SELECT array_agg(NULL::bigint) AS nothing, "
         "array_agg('Razorpay'::text) AS psps, array_agg('evt_' || id ORDER BY id) AS event_ids, "
         "array_agg('webhook'::text) AS sources, array_agg(id ORDER BY id) AS ids, "
         "array_agg(NULL::uuid) AS no_refunds, array_agg('captured'::text) AS kinds, "
         "array_agg('txn_' || id ORDER BY id) AS refs, array_agg(true) AS per_payment, "
         "array_agg(45000::bigint) AS amounts, array_agg(0::bigint) AS zeros, "
         "array_agg(NULL::text) AS no_texts, "
         "array_agg(convert_to(" BODY_OF_MINTED ", 'UTF8') ORDER BY id) AS bodies, "
         "array_agg('{\"X-Sig\":\"1\"}'::text) AS headers, array_agg(0) AS statuses "
         "FROM minted) m CROSS JOIN LATERAL webhooks_apply(nothing, psps, event_ids, sources, ids, "
         "ids, no_refunds, kinds, refs, per_payment, amounts, zeros, no_texts, zeros, no_texts, "
         "bodies, headers, statuses, zeros, no_texts, 300)");
    make_minted(fixture);
}

/* A webhook about the payment that was made, into the stream. */
static void queue_capture(fixture_t *fixture, int amount)
{
    char id[VALUE_SIZE], body[VALUE_SIZE], sql[VALUE_SIZE];
    snprintf(id, sizeof id, "%s", look(fixture, "SELECT id FROM minted"));
    snprintf(sql, sizeof sql, "SELECT replace(" BODY_OF_MINTED ", '45000', '%d') FROM minted",
             amount);
    snprintf(body, sizeof body, "%s", look(fixture, sql));
    redisReply *reply = redisCommand(
        fixture->redis,
        "XADD stream:webhooks * source webhook psp Razorpay event_id evt_%s payment_id %s "
        "received_at_us 4000000000000000 headers {} body %s",
        id, id, body);
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    freeReplyObject(reply);
}

static const fake_gateway_message_t *await_reply(fixture_t *fixture, uint64_t correlation)
{
    const int64_t deadline_ms = clock_mono_ms() + SOON_MS;
    for (;;) {
        const fake_gateway_message_t *reply = fake_gateway_reply(&fixture->gateway, correlation);
        if (reply != NULL)
            return reply;
        if (clock_mono_ms() > deadline_ms)
            fail_msg("no reply");
        fake_gateway_poll(&fixture->gateway);
    }
}

static const fake_gateway_message_t *ask(fixture_t *fixture, uint32_t message, const void *request)
{
    return await_reply(fixture,
                       fake_gateway_request(&fixture->gateway, message, request, BUDGET_MS));
}

/* The JSON of an answer; the caller's (json_decref). */
static json_t *document_of(const fake_gateway_message_t *reply)
{
    webhook_processor_document_t answer;
    err_detail_t detail = {{0}};
    if (reply->header.status != ERR_OK)
        fail_msg("%s", err_name(err_from_number(reply->header.status)));
    assert_int_equal(
        message_decode(MSG_webhook_processor_document, reply->body, reply->size, &answer, &detail),
        ERR_OK);
    json_t *document = json_loadb(answer.document.data, answer.document.size, 0, NULL);
    assert_non_null(document);
    return document;
}

static err_t refusal_of(const fake_gateway_message_t *reply)
{
    return err_from_number(reply->header.status);
}

static const char *text_at(const json_t *document, const char *name)
{
    return json_string_value(json_object_get(document, name));
}

static int64_t number_at(const json_t *document, const char *name)
{
    return json_integer_value(json_object_get(document, name));
}

/* ---- dead letters ---- */

static void dead_letters_are_listed_in_pages_and_shown_whole(void **state)
{
    fixture_t *fixture = *state;
    make_dead_letters(fixture, 5);
    look(fixture, "UPDATE inbox SET reason = 'MALFORMED: what is this' WHERE inbox_id <> 3");
    start_processor(fixture, NULL);

    dead_letter_list_t query = {.psp = STR_LITERAL("Razorpay"), .limit = 3};
    json_t *page = document_of(ask(fixture, MSG_dead_letter_list, &query));
    assert_int_equal(json_array_size(json_object_get(page, "data")), 3);
    const json_t *first = json_array_get(json_object_get(page, "data"), 0);
    assert_int_equal(number_at(first, "id"), 5); /* the newest */
    assert_string_equal(text_at(first, "reason"), "MALFORMED: what is this");
    assert_int_equal(number_at(first, "tries"), 1);
    query.before = number_at(page, "next_cursor");
    json_decref(page);
    page = document_of(ask(fixture, MSG_dead_letter_list, &query));
    assert_int_equal(json_array_size(json_object_get(page, "data")), 2);
    assert_true(json_is_null(json_object_get(page, "next_cursor")));
    json_decref(page);

    const dead_letter_list_t filtered = {.reason = STR_LITERAL("PAYMENT"), .limit = 100};
    page = document_of(ask(fixture, MSG_dead_letter_list, &filtered));
    assert_int_equal(json_array_size(json_object_get(page, "data")), 1);
    json_decref(page);
    const dead_letter_list_t others = {.psp = STR_LITERAL("Cashfree"), .limit = 100};
    page = document_of(ask(fixture, MSG_dead_letter_list, &others));
    assert_int_equal(json_array_size(json_object_get(page, "data")), 0);
    json_decref(page);

    const dead_letter_get_t one = {.dead_letter_id = 3}, none = {.dead_letter_id = 6};
    json_t *letter = document_of(ask(fixture, MSG_dead_letter_get, &one));
    assert_string_equal(text_at(letter, "reason"), "PAYMENT_NOT_FOUND");
    assert_string_equal(text_at(json_object_get(letter, "headers"), "X-Sig"), "1");
    assert_string_equal(text_at(letter, "body_encoding"), "text");
    assert_non_null(strstr(text_at(letter, "body"), "\"amount\" : 45000"));
    assert_string_equal(text_at(letter, "payment_id"),
                        look(fixture, "SELECT payment_ref FROM inbox WHERE inbox_id = 3"));
    json_decref(letter);
    assert_int_equal(refusal_of(ask(fixture, MSG_dead_letter_get, &none)), ERR_NOT_FOUND);
}

static void a_body_that_is_no_text_is_shown_in_base64_and_a_large_one_in_part(void **state)
{
    fixture_t *fixture = *state;
    look(fixture,
         "INSERT INTO inbox (psp, event_id, payment_ref, source, body, received_at, outcome, "
         "reason) VALUES ('Razorpay', 'e1', '', 'webhook', '\\xff00', now(), 'dead', 'x'), "
         "('Razorpay', 'e2', '', 'webhook', convert_to(repeat('\"', 1000000), 'UTF8'), now(), "
         "'dead', 'x')");
    start_processor(fixture, NULL);
    const dead_letter_get_t bytes = {.dead_letter_id = 1}, large = {.dead_letter_id = 2};
    json_t *letter = document_of(ask(fixture, MSG_dead_letter_get, &bytes));
    assert_string_equal(text_at(letter, "body_encoding"), "base64");
    assert_string_equal(text_at(letter, "body"), "/wA=");
    json_decref(letter);
    letter = document_of(ask(fixture, MSG_dead_letter_get, &large));
    assert_int_equal(number_at(letter, "body_size"), 1000000);
    assert_true(strlen(text_at(letter, "body")) >= 131072);
    json_decref(letter);
}

static void one_dead_letter_is_driven_again(void **state)
{
    fixture_t *fixture = *state;
    make_dead_letters(fixture, 2);
    start_processor(fixture, NULL);
    const dead_letter_redrive_t redrive = {.dead_letter_id = 2, .actor = STR_LITERAL("ops")};
    json_t *answer = document_of(ask(fixture, MSG_dead_letter_redrive, &redrive));
    assert_int_equal(number_at(answer, "redriven"), 1);
    json_decref(answer);
    await(fixture, "SELECT string_agg(outcome || redrives, ' ' ORDER BY inbox_id) FROM inbox",
          "dead0 applied1");
    assert_string_equal(look(fixture, "SELECT count(*) FROM orders WHERE status = 'PAID'"), "1");
    assert_int_equal(refusal_of(ask(fixture, MSG_dead_letter_redrive, &redrive)), ERR_NOT_FOUND);
    assert_invariants_hold(fixture->admin);
}

/* Two operators at once, and the processor dies in the middle: one order is locked, so that it
 * cannot get through with all. */
static void a_thousand_dead_letters_driven_again_are_applied_once_each(void **state)
{
    fixture_t *fixture = *state;
    make_dead_letters(fixture, 1000);
    look(fixture, "INSERT INTO inbox (psp, event_id, payment_ref, source, body, received_at, "
                  "outcome, reason) VALUES ('Cashfree', 'other', '', 'webhook', '', now(), 'dead', "
                  "'MALFORMED: what is this')");
    PGconn *locker = PQconnectdb(fixture->url);
    PQclear(PQexec(locker, "BEGIN; SELECT FROM orders ORDER BY order_id DESC LIMIT 1 FOR UPDATE"));
    start_processor(fixture, NULL);
    const dead_letter_redrive_t redrive = {.psp = STR_LITERAL("Razorpay"),
                                           .reason = STR_LITERAL("PAYMENT_NOT_FOUND"),
                                           .limit = 600,
                                           .actor = STR_LITERAL("ops")};
    const uint64_t first =
        fake_gateway_request(&fixture->gateway, MSG_dead_letter_redrive, &redrive, BUDGET_MS);
    const uint64_t second =
        fake_gateway_request(&fixture->gateway, MSG_dead_letter_redrive, &redrive, BUDGET_MS);
    json_t *answers[] = {document_of(await_reply(fixture, first)),
                         document_of(await_reply(fixture, second))};
    assert_int_equal(number_at(answers[0], "redriven"), 600);
    assert_int_equal(number_at(answers[1], "redriven"), 400);
    json_decref(answers[0]);
    json_decref(answers[1]);
    await(fixture, "SELECT count(*) > 0 FROM inbox WHERE outcome = 'applied'", "t");
    kill_processor(fixture);
    assert_string_equal(
        look(fixture, "SELECT count(*) BETWEEN 1 AND 999 FROM inbox WHERE outcome = 'applied'"),
        "t");
    PQfinish(locker);
    start_processor(fixture, NULL);
    await(fixture, "SELECT count(*) FROM inbox WHERE outcome = 'applied'", "1000");
    assert_string_equal(look(fixture, "SELECT count(*) FROM orders WHERE status = 'PAID' AND "
                                      "paid_amount = 45000"),
                        "1000");
    assert_string_equal(look(fixture, "SELECT count(*) FROM facts"), "1000");
    assert_string_equal(
        look(fixture, "SELECT count(*) FROM outbox WHERE type = 'payment.confirmed'"), "1000");
    assert_string_equal(
        look(fixture, "SELECT event_id || redrives FROM inbox WHERE outcome = 'dead'"), "other0");
    assert_invariants_hold(fixture->admin);
}

/* ---- discrepancies ---- */

static void a_discrepancy_is_listed_and_decided_once(void **state)
{
    fixture_t *fixture = *state;
    make_payment(fixture);
    start_processor(fixture, NULL);
    queue_capture(fixture, 44999);
    await(fixture, "SELECT count(*) FROM discrepancies WHERE kind = 'amount_mismatch'", "1");

    discrepancy_list_t query = {.state = STR_LITERAL("open"), .limit = 10};
    json_t *page = document_of(ask(fixture, MSG_discrepancy_list, &query));
    assert_int_equal(json_array_size(json_object_get(page, "data")), 1);
    const json_t *found = json_array_get(json_object_get(page, "data"), 0);
    assert_string_equal(text_at(found, "kind"), "amount_mismatch");
    discrepancy_settle_t settle = {.discrepancy_id = number_at(found, "id"),
                                   .decision = STR_LITERAL("refund"),
                                   .refund_id = uuid7_new(),
                                   .actor = STR_LITERAL("ops")};
    json_decref(page);

    json_t *settled = document_of(ask(fixture, MSG_discrepancy_settle, &settle));
    assert_string_equal(text_at(settled, "state"), "settled");
    assert_string_equal(text_at(settled, "settled_by"), "ops");
    json_decref(settled);
    char refund_id[UUID_TEXT_SIZE];
    uuid_format(&settle.refund_id, refund_id);
    assert_string_equal(look(fixture, "SELECT refund_id FROM refunds WHERE amount = 44999"),
                        refund_id);

    settle.refund_id = uuid7_new(); /* the same decision again is the same */
    settled = document_of(ask(fixture, MSG_discrepancy_settle, &settle));
    assert_string_equal(text_at(settled, "refund_id"), refund_id);
    json_decref(settled);
    settle.decision = STR_LITERAL("accept");
    assert_int_equal(refusal_of(ask(fixture, MSG_discrepancy_settle, &settle)),
                     ERR_DISCREPANCY_SETTLED);
    settle.decision = STR_LITERAL("shred");
    assert_int_equal(refusal_of(ask(fixture, MSG_discrepancy_settle, &settle)), ERR_WIRE);
    settle.decision = STR_LITERAL("accept");
    settle.discrepancy_id = 999;
    assert_int_equal(refusal_of(ask(fixture, MSG_discrepancy_settle, &settle)), ERR_NOT_FOUND);
    assert_string_equal(look(fixture, "SELECT count(*) FROM refunds"), "1");
    page = document_of(ask(fixture, MSG_discrepancy_list, &query));
    assert_int_equal(json_array_size(json_object_get(page, "data")), 0);
    json_decref(page);
    assert_invariants_hold(fixture->admin);
}

/* ---- its end ---- */

static void told_to_stop_it_answers_what_it_holds(void **state)
{
    fixture_t *fixture = *state;
    enum { HELD = 16 };
    make_dead_letters(fixture, 50);
    start_processor(fixture, NULL);
    const dead_letter_list_t query = {.limit = 100};
    uint64_t asked[HELD];
    for (int i = 0; i < HELD; i++)
        asked[i] = fake_gateway_request(&fixture->gateway, MSG_dead_letter_list, &query, BUDGET_MS);
    await_reply(fixture, asked[0]); /* it holds the others */
    kill(fixture->processor, SIGTERM);
    assert_int_equal(await_end(fixture), 0);
    for (int i = 0; i < HELD; i++)
        json_decref(document_of(await_reply(fixture, asked[i])));
}

/* "<entries in the stream> <of them pending>" */
static const char *stream_state(fixture_t *fixture)
{
    static char text[64];
    redisReply *length = redisCommand(fixture->redis, "XLEN stream:webhooks");
    redisReply *pending =
        redisCommand(fixture->redis, "XPENDING stream:webhooks webhook-processor");
    snprintf(text, sizeof text, "%lld %lld", length->integer, pending->element[0]->integer);
    freeReplyObject(length);
    freeReplyObject(pending);
    return text;
}

static bool stream_is_done(void *arg)
{
    fixture_t *fixture = arg;
    fake_gateway_poll(&fixture->gateway);
    return strcmp(stream_state(fixture), "0 0") == 0;
}

/* Dies at `point` with the stream and the facts as given, and is started again. */
static void dies_and_goes_on(fixture_t *fixture, const char *point, const char *stream,
                             const char *facts)
{
    make_payment(fixture);
    start_processor(fixture, point);
    queue_capture(fixture, 45000);
    assert_int_equal(await_end(fixture), KILLED);
    assert_string_equal(stream_state(fixture), stream);
    assert_string_equal(look(fixture, "SELECT count(*) FROM facts"), facts);
    start_processor(fixture, NULL);
    await(fixture, "SELECT count(*) FROM orders WHERE status = 'PAID'", "1");
    wait_until(stream_is_done, fixture, SOON_MS, "the stream is done");
    assert_string_equal(look(fixture, "SELECT count(*) FROM facts"), "1");
    assert_string_equal(look(fixture, "SELECT count(*) FROM outbox"), "1");
    assert_invariants_hold(fixture->admin);
}

static void what_was_read_when_it_died_is_applied_by_the_next(void **state)
{
    dies_and_goes_on(*state, "processor_read", "1 1", "0");
}

static void what_was_committed_when_it_died_is_acknowledged_by_the_next(void **state)
{
    dies_and_goes_on(*state, "processor_committed", "1 1", "1");
}

static void
what_was_acknowledged_when_it_died_is_in_the_outbox_though_nothing_was_published(void **state)
{
    fixture_t *fixture = *state;
    redisContext *subscriber = redisConnect("127.0.0.1", fixture->server.port);
    freeReplyObject(redisCommand(subscriber, "SUBSCRIBE payments.confirmed"));
    dies_and_goes_on(fixture, "processor_acknowledged", "0 0", "1");
    freeReplyObject(redisCommand(fixture->redis, "PUBLISH payments.confirmed nothing-before"));
    redisReply *message = NULL;
    assert_int_equal(redisGetReply(subscriber, (void **)&message), REDIS_OK);
    assert_string_equal(message->element[2]->str, "nothing-before");
    freeReplyObject(message);
    redisFree(subscriber);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(dead_letters_are_listed_in_pages_and_shown_whole, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(
        a_body_that_is_no_text_is_shown_in_base64_and_a_large_one_in_part, setup, teardown),
    cmocka_unit_test_setup_teardown(one_dead_letter_is_driven_again, setup, teardown),
    cmocka_unit_test_setup_teardown(a_thousand_dead_letters_driven_again_are_applied_once_each,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(a_discrepancy_is_listed_and_decided_once, setup, teardown),
    cmocka_unit_test_setup_teardown(told_to_stop_it_answers_what_it_holds, setup, teardown),
    cmocka_unit_test_setup_teardown(what_was_read_when_it_died_is_applied_by_the_next, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(what_was_committed_when_it_died_is_acknowledged_by_the_next,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(
        what_was_acknowledged_when_it_died_is_in_the_outbox_though_nothing_was_published, setup,
        teardown),
};
TEST_MAIN(tests)
