/* test_consumer.c - the consumer of the webhook stream against real PostgreSQL and Redis.
 *
 * With registry_prototype.c: every PSP speaks the prototype's format.
 */
#include "services/webhook_processor/consumer.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/redis.h"
#include "lib/uuid.h"
#include "services/webhook_processor/webhook_item.h"
#include "tests/support/invariants.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum { WEBHOOKS = 60, DEADLINE_MS = 20000, AMOUNT = 45000, NONSENSE = 400 };

#define RECEIVED "4000000000000000" /* not before PARK_FOR_S is over */

typedef struct fixture {
    test_redis_t server;
    redis_t *redis;
    PGconn *pg;
    consumer_config_t config;
    const char *counted; /* SQL of a count, until it is `expected` */
    int expected;        /* also of entries in the stream */
} fixture_t;

static int setup(void **state)
{
    static fixture_t fixture;
    memset(&fixture, 0, sizeof fixture);
    err_detail_t detail = {{0}};
    test_redis_start(&fixture.server);
    fixture.redis = redis_new(fixture.server.url, 2000, &detail);
    assert_non_null(fixture.redis);
    fixture.config = (consumer_config_t){.database_url = test_database(),
                                         .redis_url = fixture.server.url,
                                         .instance = "consumer-1",
                                         .park_for_s = 300};
    fixture.pg = PQconnectdb(fixture.config.database_url);
    assert_int_equal(PQstatus(fixture.pg), CONNECTION_OK);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    PQfinish(fixture->pg);
    redis_destroy(&fixture->redis);
    test_redis_stop(&fixture->server);
    servers_stop();
    return 0;
}

/* ---- a small language for the tests ---- */

static void execute(fixture_t *fixture, const char *sql)
{
    PGresult *result = PQexec(fixture->pg, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", PQerrorMessage(fixture->pg), sql);
    PQclear(result);
}

/* The first value of a statement as text, "" for none. */
__attribute__((format(printf, 2, 3))) static const char *look(fixture_t *fixture,
                                                              const char *format, ...)
{
    static char value[256];
    char sql[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    PGresult *result = PQexec(fixture->pg, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", PQerrorMessage(fixture->pg), sql);
    snprintf(value, sizeof value, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return value;
}

static bool has_count(void *arg)
{
    fixture_t *fixture = arg;
    PGresult *result = PQexec(fixture->pg, fixture->counted);
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    const int count = atoi(PQgetvalue(result, 0, 0));
    PQclear(result);
    return count == fixture->expected;
}

static void await_count(fixture_t *fixture, int expected, const char *sql)
{
    fixture->counted = sql;
    fixture->expected = expected;
    wait_until(has_count, fixture, DEADLINE_MS, sql);
}

/* The reply is the caller's. */
__attribute__((format(printf, 2, 3))) static redisReply *redis(fixture_t *fixture,
                                                               const char *format, ...)
{
    char command[512];
    const char *argv[32];
    size_t sizes[32];
    int argc = 0;
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    char *rest = command;
    for (char *word; (word = strsep(&rest, " ")) != NULL && argc < 32; argc++) {
        argv[argc] = word;
        sizes[argc] = strlen(word);
    }
    redisReply *reply = NULL;
    err_detail_t detail = {{0}};
    if (redis_command_argv(fixture->redis, argc, argv, sizes, &reply, &detail) != ERR_OK)
        fail_msg("%s: %s", detail.text, argv[0]);
    return reply;
}

#define REDIS(fixture, ...) freeReplyObject(redis(fixture, __VA_ARGS__))

static long long stream_length(fixture_t *fixture, const char *key)
{
    redisReply *reply = redis(fixture, "XLEN %s", key);
    const long long length = reply->integer;
    freeReplyObject(reply);
    return length;
}

static bool stream_has_expected(void *arg)
{
    fixture_t *fixture = arg;
    return stream_length(fixture, "stream:webhooks") == fixture->expected;
}

static void await_stream(fixture_t *fixture, int expected)
{
    fixture->expected = expected;
    wait_until(stream_has_expected, fixture, DEADLINE_MS, "so many are left in the stream");
}

/* How often the only pending entry was delivered; 0: there is none. */
static long long deliveries(fixture_t *fixture)
{
    redisReply *reply = redis(fixture, "XPENDING stream:webhooks webhook-processor - + 2");
    assert_true(reply->elements <= 1);
    const long long count = reply->elements == 1 ? reply->element[0]->element[3]->integer : 0;
    freeReplyObject(reply);
    return count;
}

/* Everything that waits is delivered to this consumer, which then does nothing any more. */
static void deliver_to(fixture_t *fixture, const char *consumer)
{
    redisReply *reply = NULL;
    err_detail_t detail = {{0}};
    if (redis_command(fixture->redis, &reply, &detail,
                      "XGROUP CREATE stream:webhooks webhook-processor 0 MKSTREAM") == ERR_OK)
        freeReplyObject(reply); /* else it is there */
    REDIS(fixture, "XREADGROUP GROUP webhook-processor %s STREAMS stream:webhooks >", consumer);
}

/* As if this consumer had held all for an hour, and had been given them so often. */
static void set_delivered(fixture_t *fixture, const char *consumer, int times)
{
    redisReply *all = redis(fixture, "XRANGE stream:webhooks - +");
    for (size_t i = 0; i < all->elements; i++)
        REDIS(fixture,
              "XCLAIM stream:webhooks webhook-processor %s 0 %s IDLE 3600000 RETRYCOUNT %d JUSTID",
              consumer, all->element[i]->element[0]->str, times);
    freeReplyObject(all);
}

typedef struct payment {
    char order_id[UUID_TEXT_SIZE], payment_id[UUID_TEXT_SIZE];
} payment_t;

/* A payment of the order, whose id is made when it is "". */
static payment_t make_payment(fixture_t *fixture, const char *order_id)
{
    payment_t made;
    char attempt_id[UUID_TEXT_SIZE];
    const uuid_t ids[] = {uuid7_new(), uuid7_new(), uuid7_new()};
    snprintf(made.order_id, sizeof made.order_id, "%s", order_id);
    if (made.order_id[0] == '\0')
        look(fixture,
             "SELECT status FROM orders_create('{%s}', '{u1}', '{%d}', '{INR}', '{NULL}', "
             "'{NULL}', '{NULL}', '{900}')",
             uuid_format(&ids[0], made.order_id), AMOUNT);
    assert_string_equal(
        look(fixture,
             "SELECT verdict FROM payments_begin('{%s}', '{%s}', '{UPI}', '{NULL}', '{NULL}', "
             "'{%s}', '{Razorpay}')",
             uuid_format(&ids[1], made.payment_id), made.order_id,
             uuid_format(&ids[2], attempt_id)),
        "ok");
    return made;
}

/* The prototype's body about a payment, with these further fields (none: ""). */
static void queue_fact(fixture_t *fixture, const payment_t *payment, const char *event_id,
                       const char *kind, int64_t amount)
{
    char body[512];
    redisReply *reply = NULL;
    err_detail_t detail = {{0}};
    snprintf(body, sizeof body,
             "{\"event_id\":\"%s\",\"order_id\":\"%s\",\"payment_id\":\"%s\","
             "\"gateway_txn_id\":\"ref_%s\",\"kind\":\"%s\",\"amount\":%lld,"
             "\"occurred_at\":\"2026-02-21T00:00:00Z\"}",
             event_id, payment->order_id, payment->payment_id, event_id, kind, (long long)amount);
    assert_int_equal(redis_command(fixture->redis, &reply, &detail,
                                   "XADD stream:webhooks * source webhook psp Razorpay event_id %s "
                                   "payment_id %s received_at_us " RECEIVED " headers %s body %s",
                                   event_id, payment->payment_id, "{\"X-Sig\":\"1\"}", body),
                     ERR_OK);
    freeReplyObject(reply);
}

/* Webhooks evt_<first> … of payments that are not there. */
static void queue_webhooks(fixture_t *fixture, int first, int count)
{
    char order[UUID_TEXT_SIZE], payment[UUID_TEXT_SIZE], body[512];
    for (int i = first; i < first + count; i++) {
        const uuid_t order_id = uuid7_new(), payment_id = uuid7_new();
        snprintf(body, sizeof body,
                 "{\"event_id\":\"evt_%d\",\"gateway\":\"Razorpay\",\"order_id\":\"%s\","
                 "\"payment_id\":\"%s\",\"gateway_txn_id\":\"txn_%d\",\"status\":\"SUCCESS\","
                 "\"amount\":45000,\"occurred_at\":\"2026-02-21T00:00:00Z\"}",
                 i, uuid_format(&order_id, order), uuid_format(&payment_id, payment), i);
        redisReply *reply = NULL;
        err_detail_t detail = {{0}};
        assert_int_equal(redis_command(fixture->redis, &reply, &detail,
                                       "XADD stream:webhooks * source webhook psp Razorpay "
                                       "event_id evt_%d payment_id %s received_at_us " RECEIVED
                                       " request_id %s traceparent %s body %s",
                                       i, payment, order, "", body),
                         ERR_OK);
        freeReplyObject(reply);
    }
}

/* ---- tests ---- */

/* The database gives up on more than 40 at once, as it does when a statement takes too long. */
static void a_batch_that_takes_too_long_is_applied_in_parts(void **state)
{
    fixture_t *fixture = *state;
    execute(fixture, "CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                     "IF (SELECT count(*) FROM inserted) > 40 THEN "
                     "RAISE EXCEPTION 'too slow' USING ERRCODE = '57014'; END IF; "
                     "RETURN NULL; END $$");
    execute(fixture, "CREATE TRIGGER give_up AFTER INSERT ON inbox REFERENCING NEW TABLE AS "
                     "inserted FOR EACH STATEMENT EXECUTE FUNCTION give_up()");
    queue_webhooks(fixture, 0, WEBHOOKS);
    zactor_t *consumer = consumer_start(&fixture->config);
    await_count(fixture, WEBHOOKS, "SELECT count(*) FROM inbox WHERE outcome = 'parked'");
    await_stream(fixture, 0);
    zactor_destroy(&consumer);
}

/* ---- what comes of webhooks ---- */

/* Messages of both channels, as "channel:type", in order. */
static void assert_told(redisContext *subscriber, const char *expected)
{
    redisReply *reply = NULL;
    assert_int_equal(redisGetReply(subscriber, (void **)&reply), REDIS_OK);
    assert_int_equal(reply->elements, 3);
    char told[64];
    const char *type = strstr(reply->element[2]->str, "\"type\":\"");
    assert_non_null(type);
    type += strlen("\"type\":\"");
    snprintf(told, sizeof told, "%s:%.*s", reply->element[1]->str, (int)strcspn(type, "\""), type);
    assert_string_equal(told, expected);
    freeReplyObject(reply);
}

static redisContext *subscribe(fixture_t *fixture)
{
    redisContext *subscriber = redisConnect("127.0.0.1", fixture->server.port);
    assert_int_equal(subscriber->err, 0);
    redisSetTimeout(subscriber, (struct timeval){.tv_sec = DEADLINE_MS / 1000});
    redisReply *reply = redisCommand(subscriber, "SUBSCRIBE payments.confirmed payments.events");
    assert_non_null(reply);
    freeReplyObject(reply);
    assert_int_equal(redisGetReply(subscriber, (void **)&reply), REDIS_OK);
    freeReplyObject(reply);
    return subscriber;
}

static void what_was_applied_is_told_on_its_channel_and_remembered_as_handled(void **state)
{
    fixture_t *fixture = *state;
    redisContext *subscriber = subscribe(fixture);
    const payment_t paid = make_payment(fixture, ""), wrong = make_payment(fixture, "");
    zactor_t *consumer = consumer_start(&fixture->config);
    queue_fact(fixture, &paid, "evt_1", "captured", AMOUNT);
    assert_told(subscriber, "payments.confirmed:payment.confirmed");
    queue_fact(fixture, &wrong, "evt_2", "captured", AMOUNT - 1);
    assert_told(subscriber, "payments.events:payment.mismatch");
    queue_fact(fixture, &paid, "evt_3", "refund_succeeded", 100);
    assert_told(subscriber, "payments.events:payment.refunded");
    await_stream(fixture, 0);
    redisReply *handled = redis(fixture, "GET idemp:webhook:Razorpay:evt_1");
    assert_string_equal(handled->str, paid.payment_id);
    freeReplyObject(handled);
    assert_string_equal(look(fixture, "SELECT headers FROM inbox WHERE event_id = 'evt_1'"),
                        "{\"X-Sig\":\"1\"}");
    zactor_destroy(&consumer);
    redisFree(subscriber);
    assert_invariants_hold(fixture->pg);
}

/* The second payment of an order is refunded; here the PSP's answer to the refund comes. */
static void an_answer_to_a_refund_ends_that_refund(void **state)
{
    fixture_t *fixture = *state;
    const payment_t first = make_payment(fixture, "");
    const payment_t second = make_payment(fixture, first.order_id);
    queue_fact(fixture, &first, "evt_1", "captured", AMOUNT);
    queue_fact(fixture, &second, "evt_2", "captured", AMOUNT);
    zactor_t *consumer = consumer_start(&fixture->config);
    await_count(fixture, 1, "SELECT count(*) FROM refunds WHERE automatic AND status = 'PENDING'");
    char body[512], refund_id[UUID_TEXT_SIZE];
    redisReply *reply = NULL;
    err_detail_t detail = {{0}};
    snprintf(refund_id, sizeof refund_id, "%s", look(fixture, "SELECT refund_id FROM refunds"));
    snprintf(body, sizeof body,
             "{\"refund_id\":\"%s\",\"payment_id\":\"%s\",\"order_id\":\"%s\","
             "\"gateway_txn_id\":\"rfnd_1\",\"status\":\"SUCCESS\",\"amount\":%d,"
             "\"currency\":\"INR\",\"occurred_at\":\"2026-02-21T00:00:00Z\"}",
             refund_id, second.payment_id, second.order_id, AMOUNT);
    assert_int_equal(
        redis_command(fixture->redis, &reply, &detail,
                      "XADD stream:webhooks * source refund_call psp Razorpay "
                      "event_id answer_1 payment_id %s refund_id %s received_at_us " RECEIVED
                      " http_status 200 body %s",
                      second.payment_id, refund_id, body),
        ERR_OK);
    freeReplyObject(reply);
    await_count(fixture, 1,
                "SELECT count(*) FROM refunds WHERE status = 'SUCCESS' AND next_call_at IS NULL");
    await_stream(fixture, 0);
    zactor_destroy(&consumer);
    assert_string_equal(
        look(fixture, "SELECT status FROM payments WHERE payment_id = '%s'", second.payment_id),
        "REFUNDED");
    assert_string_equal(look(fixture, "SELECT status FROM orders"), "PAID");
    assert_invariants_hold(fixture->pg);
}

/* ---- the dead and the stuck ---- */

static void entries_of_an_earlier_life_are_applied_at_start(void **state)
{
    fixture_t *fixture = *state;
    queue_webhooks(fixture, 0, 300); /* more than one batch */
    deliver_to(fixture, fixture->config.instance);
    queue_webhooks(fixture, 300, 2);
    zactor_t *consumer = consumer_start(&fixture->config);
    await_count(fixture, 302, "SELECT count(*) FROM inbox WHERE outcome = 'parked'");
    await_stream(fixture, 0);
    assert_int_equal(deliveries(fixture), 0);
    zactor_destroy(&consumer);
}

static void entries_of_a_dead_consumer_are_applied_by_another(void **state)
{
    fixture_t *fixture = *state;
    queue_webhooks(fixture, 0, 3);
    deliver_to(fixture, "consumer-dead");
    set_delivered(fixture, "consumer-dead", 1);
    zactor_t *consumer = consumer_start(&fixture->config);
    await_count(fixture, 3, "SELECT count(*) FROM inbox WHERE outcome = 'parked'");
    await_stream(fixture, 0);
    zactor_destroy(&consumer);
}

static void poison_becomes_a_dead_letter_unread_and_its_neighbours_are_applied(void **state)
{
    fixture_t *fixture = *state;
    const payment_t payment = make_payment(fixture, "");
    queue_fact(fixture, &payment, "evt_poison", "captured", AMOUNT);
    deliver_to(fixture, fixture->config.instance);
    set_delivered(fixture, fixture->config.instance, WEBHOOK_DELIVERIES_MAX);
    queue_webhooks(fixture, 0, 2);
    deliver_to(fixture, fixture->config.instance);
    zactor_t *consumer = consumer_start(&fixture->config);
    await_count(fixture, 2, "SELECT count(*) FROM inbox WHERE outcome = 'parked'");
    await_count(fixture, 1,
                "SELECT count(*) FROM inbox WHERE outcome = 'dead' AND reason = "
                "'DELIVERED_TOO_OFTEN' AND dead_copied_at IS NOT NULL");
    await_stream(fixture, 0);
    assert_string_equal(look(fixture, "SELECT count(*) FROM facts"), "0");
    assert_int_equal(stream_length(fixture, "stream:webhooks:dead"), 1);
    /* Tried again it is read: it is tied to its row and its payment. */
    look(fixture, "SELECT dead_letters_redrive(NULL, NULL, 'DELIVERED_TOO_OFTEN', 10, 'x')");
    await_count(fixture, 1,
                "SELECT count(*) FROM inbox WHERE outcome = 'applied' AND redrives = 1");
    assert_string_equal(look(fixture, "SELECT status FROM orders"), "PAID");
    zactor_destroy(&consumer);
    assert_invariants_hold(fixture->pg);
}

/* One webhook on which the database takes too long even when it is alone. */
static void a_webhook_that_never_gets_through_holds_up_nobody_and_dies_in_the_end(void **state)
{
    fixture_t *fixture = *state;
    execute(fixture, "CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                     "RAISE EXCEPTION 'too slow' USING ERRCODE = '57014'; END $$");
    execute(fixture, "CREATE TRIGGER give_up BEFORE UPDATE ON inbox FOR EACH ROW WHEN "
                     "(NEW.event_id = 'evt_3' AND NEW.outcome <> 'dead') EXECUTE FUNCTION "
                     "give_up()");
    queue_webhooks(fixture, 0, 10);
    zactor_t *consumer = consumer_start(&fixture->config);
    await_count(fixture, 9, "SELECT count(*) FROM inbox WHERE outcome = 'parked'");
    await_stream(fixture, 1);
    assert_int_equal(deliveries(fixture), 1);
    set_delivered(fixture, "consumer-gone", WEBHOOK_DELIVERIES_MAX);
    await_count(fixture, 1,
                "SELECT count(*) FROM inbox WHERE outcome = 'dead' AND event_id = "
                "'evt_3' AND reason = 'DELIVERED_TOO_OFTEN'");
    await_stream(fixture, 0);
    zactor_destroy(&consumer);
}

static void
what_the_database_refuses_becomes_a_dead_letter_and_its_neighbours_are_applied(void **state)
{
    fixture_t *fixture = *state;
    execute(fixture, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                     "RAISE EXCEPTION 'not \xc3\xa9'; END $$");
    execute(fixture, "CREATE TRIGGER refuse BEFORE UPDATE ON inbox FOR EACH ROW WHEN "
                     "(NEW.event_id = 'evt_3' AND NEW.outcome <> 'dead') EXECUTE FUNCTION "
                     "refuse()");
    queue_webhooks(fixture, 0, 10);
    zactor_t *consumer = consumer_start(&fixture->config);
    await_count(fixture, 9, "SELECT count(*) FROM inbox WHERE outcome = 'parked'");
    await_count(fixture, 1,
                "SELECT count(*) FROM inbox WHERE outcome = 'dead' AND event_id = "
                "'evt_3' AND reason LIKE 'MALFORMED: not ??%'");
    await_stream(fixture, 0);
    zactor_destroy(&consumer);
}

/* True once the consumer has been through the chores of its first second: it has looked for
 * consumers that are gone, after it would have claimed. */
static bool chores_are_done(void *arg)
{
    redisReply *reply = redis(arg, "INFO commandstats");
    const bool done = strstr(reply->str, "cmdstat_eval:") != NULL;
    freeReplyObject(reply);
    return done;
}

static void an_outage_of_the_database_does_not_count_as_deliveries(void **state)
{
    fixture_t *fixture = *state;
    consumer_config_t config = fixture->config;
    char url[64];
    snprintf(url, sizeof url, "postgresql://x@127.0.0.1:%d/x", test_free_port());
    config.database_url = url; /* nobody listens there */
    queue_webhooks(fixture, 0, 1);
    deliver_to(fixture, "consumer-dead");
    set_delivered(fixture, "consumer-dead", 1);
    zactor_t *consumer = consumer_start(&config);
    wait_until(chores_are_done, fixture, DEADLINE_MS, "the consumer's chores");
    zactor_destroy(&consumer);
    assert_int_equal(deliveries(fixture), 1);
    consumer = consumer_start(&fixture->config);
    await_count(fixture, 1, "SELECT count(*) FROM inbox WHERE outcome = 'parked'");
    zactor_destroy(&consumer);
}

/* ---- nonsense ---- */

static unsigned draw(unsigned *seed, unsigned below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

/* An entry of which anything may be missing or nonsense, often about a payment that is there. */
static void queue_nonsense(fixture_t *fixture, const payment_t *payment, unsigned *seed)
{
    static const char *const names[] = {"source",         "psp",       "event_id", "payment_id",
                                        "received_at_us", "refund_id", "headers",  "http_status",
                                        "request_id",     "body",      "what"};
    static const char *const values[] = {"",
                                         "\xff\xfe",
                                         "\xc3\xa9\n\x01",
                                         "-9223372036854775808",
                                         "9223372036854775807",
                                         "99999999999999999999999999",
                                         "{\"a\":\"\\u0000\"}",
                                         "[[[[[[",
                                         "null"};
    static const char *const sources[] = {"webhook", "status_poll", "refund_call", "settlement"};
    static const char *const kinds[] = {"captured", "settled", "refund_succeeded", "dispute_lost"};
    static const char *const amounts[] = {"9223372036854775807", "0", "-1", "45000", "1e400"};
    enum { NAMES = sizeof names / sizeof *names, VALUES = sizeof values / sizeof *values };
    char long_text[3000], body[1024], event_id[24];
    const char *argv[3 + 2 * NAMES] = {"XADD", "stream:webhooks", "*"};
    size_t sizes[3 + 2 * NAMES];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    snprintf(event_id, sizeof event_id, "evt_%u", draw(seed, 40));
    snprintf(body, sizeof body,
             "{\"event_id\":\"%s\",\"order_id\":\"%s\",\"payment_id\":\"%s\","
             "\"gateway_txn_id\":\"ref_%u\",\"kind\":\"%s\",\"amount\":%s,\"fee\":%s,"
             "\"occurred_at\":\"%s-02-21T00:00:00Z\"}",
             event_id, payment->order_id, payment->payment_id, draw(seed, 20), kinds[draw(seed, 4)],
             amounts[draw(seed, 5)], amounts[draw(seed, 5)], draw(seed, 2) ? "2026" : "0001");
    const char *const right[NAMES] = {sources[draw(seed, 4)],
                                      "Razorpay",
                                      event_id,
                                      payment->payment_id,
                                      "17",
                                      payment->payment_id,
                                      "{}",
                                      "200",
                                      payment->order_id,
                                      body,
                                      ""};
    int argc = 3;
    for (unsigned i = 0; i < NAMES; i++) {
        const unsigned how = draw(seed, 12);
        if (how == 0)
            continue;
        argv[argc++] = names[i];
        argv[argc++] = how == 1 ? values[draw(seed, VALUES)] : how == 2 ? long_text : right[i];
    }
    if (argc == 3) {
        argv[argc++] = "a";
        argv[argc++] = "b";
    }
    for (int i = 0; i < argc; i++)
        sizes[i] = strlen(argv[i]);
    redisReply *reply = NULL;
    err_detail_t detail = {{0}};
    assert_int_equal(redis_command_argv(fixture->redis, argc, argv, sizes, &reply, &detail),
                     ERR_OK);
    freeReplyObject(reply);
}

static void nonsense_never_blocks_the_stream(void **state)
{
    fixture_t *fixture = *state;
    unsigned seed = 20261126;
    const payment_t payment = make_payment(fixture, ""), good = make_payment(fixture, "");
    for (int i = 0; i < NONSENSE; i++)
        queue_nonsense(fixture, &payment, &seed);
    queue_fact(fixture, &good, "evt_good", "captured", AMOUNT);
    zactor_t *consumer = consumer_start(&fixture->config);
    await_stream(fixture, 0);
    zactor_destroy(&consumer);
    assert_string_equal(
        look(fixture, "SELECT status FROM payments WHERE payment_id = '%s'", good.payment_id),
        "SUCCESS");
    assert_int_equal(deliveries(fixture), 0);
    /* It was not all refused at the door. */
    assert_string_equal(look(fixture, "SELECT count(DISTINCT kind) >= 3 FROM facts"), "t");
    assert_string_equal(
        look(fixture, "SELECT count(*) >= 50 FROM inbox WHERE reason LIKE 'MALFORMED: %%'"), "t");
    assert_invariants_hold(fixture->pg);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_batch_that_takes_too_long_is_applied_in_parts, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(
        what_was_applied_is_told_on_its_channel_and_remembered_as_handled, setup, teardown),
    cmocka_unit_test_setup_teardown(an_answer_to_a_refund_ends_that_refund, setup, teardown),
    cmocka_unit_test_setup_teardown(entries_of_an_earlier_life_are_applied_at_start, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(entries_of_a_dead_consumer_are_applied_by_another, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(
        poison_becomes_a_dead_letter_unread_and_its_neighbours_are_applied, setup, teardown),
    cmocka_unit_test_setup_teardown(
        a_webhook_that_never_gets_through_holds_up_nobody_and_dies_in_the_end, setup, teardown),
    cmocka_unit_test_setup_teardown(
        what_the_database_refuses_becomes_a_dead_letter_and_its_neighbours_are_applied, setup,
        teardown),
    cmocka_unit_test_setup_teardown(an_outage_of_the_database_does_not_count_as_deliveries, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(nonsense_never_blocks_the_stream, setup, teardown),
};
TEST_MAIN(tests)
