/* test_reconciler_process.c - tiffin-reconciler as a process between PostgreSQL, Redis and PSPs
 * that misbehave. */
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <stdio.h>

#include "services/reconciler/reconciler_rules.h"
#include "tests/support/child.h"
#include "tests/support/fake_gateway.h"
#include "tests/support/fake_psp.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum {
    SOON_MS = 20000,
    SETTINGS_MAX = 20,
    SETTING_SIZE = 320,
    VALUE_SIZE = 512,
    STATUS_TIMEOUT_MS = 1000
};

typedef struct fixture {
    char url[256], reconciler_url[256]; /* as the owner, as the reconciler's own role */
    PGconn *admin;
    test_redis_t redis;
    fake_psp_server_t psps;
    fake_gateway_t gateway;
    pid_t reconciler;
} fixture_t;

static fixture_t the_fixture;

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

/* Its first run begins after a second. */
static void start_reconciler_each(fixture_t *fixture, int interval_s)
{
    static char settings[SETTINGS_MAX][SETTING_SIZE];
    char *environment[SETTINGS_MAX + 1] = {0};
    static const char *const prefixes[] = {"RAZORPAY", "CASHFREE", "JUSPAY"};
    size_t count = 0;
    snprintf(settings[count++], SETTING_SIZE, "TIFFIN_ENV=dev");
    snprintf(settings[count++], SETTING_SIZE, "DATABASE_URL=%s", fixture->reconciler_url);
    snprintf(settings[count++], SETTING_SIZE, "REDIS_URL=%s", fixture->redis.url);
    snprintf(settings[count++], SETTING_SIZE, "HUB_ADDR=%s", fixture->gateway.endpoint);
    snprintf(settings[count++], SETTING_SIZE, "RECONCILE_INTERVAL_S=%d", interval_s);
    snprintf(settings[count++], SETTING_SIZE, "RECONCILE_CALLS_MAX=16");
    snprintf(settings[count++], SETTING_SIZE, "PSP_STATUS_TIMEOUT_MS=%d", STATUS_TIMEOUT_MS);
    snprintf(settings[count++], SETTING_SIZE, "LOG_LEVEL=%s",
             getenv("TEST_LOG_LEVEL") ? getenv("TEST_LOG_LEVEL") : "error");
    for (size_t i = 0; i < PSP_COUNT; i++)
        snprintf(settings[count++], SETTING_SIZE, "%s_BASE_URL=http://127.0.0.1:%d/%zu",
                 prefixes[i], fixture->psps.port, i);
    for (size_t i = 0; i < count; i++)
        environment[i] = settings[i];
    fixture->reconciler = child_start(TIFFIN_BIN_DIR "/tiffin-reconciler", environment);
}

/* A run per second. */
static void start_reconciler(fixture_t *fixture)
{
    start_reconciler_each(fixture, 1);
}

static int setup(void **state)
{
    fixture_t *fixture = &the_fixture;
    memset(fixture, 0, sizeof *fixture);
    snprintf(fixture->url, sizeof fixture->url, "%s", test_database());
    const char *host = strchr(fixture->url, '@');
    assert_non_null(host);
    snprintf(fixture->reconciler_url, sizeof fixture->reconciler_url,
             "postgresql://tiffin_reconciler%s", host);
    fixture->admin = PQconnectdb(fixture->url);
    assert_int_equal(PQstatus(fixture->admin), CONNECTION_OK);
    test_redis_start(&fixture->redis);
    fake_psp_start(&fixture->psps);
    fake_gateway_start(&fixture->gateway);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    if (fixture->reconciler > 0)
        child_kill(fixture->reconciler);
    fake_gateway_stop(&fixture->gateway);
    fake_psp_stop(&fixture->psps);
    test_redis_stop(&fixture->redis);
    PQfinish(fixture->admin);
    servers_stop();
    return 0;
}

/* ---- a small language for the tests ---- */

/* Orders with one payment each, whose checkouts are open at one PSP. */
static void make_payments(fixture_t *fixture, int count, const char *psp)
{
    char sql[1024];
    snprintf(sql, sizeof sql,
             "WITH o AS (INSERT INTO orders (order_id, user_id, amount, currency, expires_at) "
             "SELECT gen_random_uuid(), 'u1', 45000, 'INR', now() + interval '1 h' FROM "
             "generate_series(1, %d) RETURNING order_id), "
             "p AS (INSERT INTO payments (payment_id, order_id, method, amount, currency, psp, "
             "checkout_url, expires_at) "
             "SELECT order_id, order_id, 'UPI', 45000, 'INR', '%s', 'http://psp/pay', now() + "
             "interval '1 h' FROM o "
             "RETURNING payment_id, psp) "
             "INSERT INTO attempts (attempt_id, payment_id, number, psp, outcome) "
             "SELECT gen_random_uuid(), payment_id, 1, psp, 'OPEN' FROM p",
             count, psp);
    look(fixture, sql);
}

static redisReply *stream(fixture_t *fixture)
{
    redisContext *context = redisConnect("127.0.0.1", fixture->redis.port);
    assert_int_equal(context->err, 0);
    redisReply *reply = redisCommand(context, "XRANGE stream:webhooks - +");
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    redisFree(context);
    return reply;
}

static size_t stream_length(fixture_t *fixture)
{
    redisReply *reply = stream(fixture);
    const size_t length = reply->elements;
    freeReplyObject(reply);
    return length;
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

#define RUNS_FINISHED(count) \
    "SELECT count(*) >= " #count " FROM reconciliation_runs WHERE finished_at IS NOT NULL"
#define FIRST_RUN                                                                                 \
    "SELECT asked || ' ' || news || ' ' || errors FROM reconciliation_runs WHERE finished_at IS " \
    "NOT NULL ORDER BY run_id LIMIT 1"

/* ---- */

static void a_capture_that_no_webhook_told_is_put_into_the_stream(void **state)
{
    fixture_t *fixture = *state;
    make_payments(fixture, 3, "Razorpay");
    fake_psp_set_status(&fixture->psps, 0, "SUCCESS");
    start_reconciler(fixture);
    await(fixture, FIRST_RUN, "3 3 0");
    redisReply *entries = stream(fixture);
    assert_true(entries->elements >= 3);
    const redisReply *fields = entries->element[0]->element[1];
    assert_string_equal(fields->element[0]->str, "source");
    assert_string_equal(fields->element[1]->str, "status_poll");
    freeReplyObject(entries);
    assert_string_equal(look(fixture, "SELECT count(*) FROM facts"), "0");
}

static void what_is_pending_or_unknown_to_the_psp_is_no_news(void **state)
{
    fixture_t *fixture = *state;
    make_payments(fixture, 2, "Razorpay");
    make_payments(fixture, 2, "Cashfree");
    fake_psp_set_status(&fixture->psps, 0, "PENDING");
    fake_psp_set_status(&fixture->psps, 1, NULL);
    start_reconciler(fixture);
    await(fixture, FIRST_RUN, "4 0 0");
    assert_int_equal(stream_length(fixture), 0);
}

static void a_failure_is_told_until_it_is_known(void **state)
{
    fixture_t *fixture = *state;
    make_payments(fixture, 1, "Razorpay");
    fake_psp_set_status(&fixture->psps, 0, "FAILED");
    start_reconciler(fixture);
    await(fixture, FIRST_RUN, "1 1 0");
    look(fixture, "UPDATE payments SET failure_count = 1, next_check_at = now()");
    await(fixture, "SELECT count(*) > 0 FROM reconciliation_runs r WHERE asked = 1 AND news = 0",
          "t");
}

static bool was_told_twice(void *arg)
{
    fixture_t *fixture = arg;
    fake_gateway_poll(&fixture->gateway);
    size_t told = 0;
    for (size_t i = 0; i < fixture->gateway.count; i++) {
        const fake_gateway_message_t *message = &fixture->gateway.messages[i];
        reconciler_asked_t asked;
        err_detail_t detail;
        assert_int_equal(message->header.kind, BUS_EVENT);
        assert_int_equal(
            message_decode(MSG_reconciler_asked, message->body, message->size, &asked, &detail),
            ERR_OK);
        assert_true(str_is(asked.psp, "Razorpay"));
        assert_true(str_is(asked.answer, "captured"));
        assert_true(asked.news);
        told++;
    }
    return told >= 2;
}

static void each_question_is_told_to_the_gateways(void **state)
{
    fixture_t *fixture = *state;
    make_payments(fixture, 2, "Razorpay");
    fake_psp_set_status(&fixture->psps, 0, "SUCCESS");
    start_reconciler(fixture);
    await(fixture, FIRST_RUN, "2 2 0");
    wait_until(was_told_twice, fixture, SOON_MS, "two events");
}

static void more_than_a_page_is_asked_in_one_run(void **state)
{
    fixture_t *fixture = *state;
    make_payments(fixture, 450, "Razorpay");
    fake_psp_set_status(&fixture->psps, 0, "PENDING");
    start_reconciler_each(fixture, 60);
    await(fixture, FIRST_RUN, "450 0 0");
}

static void a_psp_that_hangs_does_not_keep_the_others_waiting(void **state)
{
    fixture_t *fixture = *state;
    make_payments(fixture, 100, "Razorpay");
    make_payments(fixture, 100, "Cashfree");
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_HANG);
    fake_psp_set_status(&fixture->psps, 1, "SUCCESS");
    start_reconciler_each(fixture, 60);
    await(fixture, RUNS_FINISHED(1), "t");
    /* Of the 100 that hang only so many were tried as it takes to see that; all 100 count as
     * errors. */
    assert_string_equal(
        look(fixture,
             "SELECT news || ' ' || errors FROM reconciliation_runs ORDER BY run_id LIMIT 1"),
        "100 100");
    assert_true(
        strtol(look(fixture, "SELECT asked FROM reconciliation_runs ORDER BY run_id LIMIT 1"), NULL,
               10) <= 100 + RECONCILER_FAILURES_IN_A_ROW_MAX + 16);
}

static void a_psp_that_refuses_is_an_error_and_is_asked_again(void **state)
{
    fixture_t *fixture = *state;
    make_payments(fixture, 1, "Razorpay");
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_REFUSE);
    start_reconciler(fixture);
    await(fixture, FIRST_RUN, "1 0 1");
    fake_psp_set_status(&fixture->psps, 0, "SUCCESS");
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_OPEN);
    await(fixture, "SELECT sum(news) > 0 FROM reconciliation_runs", "t");
    assert_true(stream_length(fixture) >= 1);
}

static void news_that_redis_did_not_take_comes_again(void **state)
{
    fixture_t *fixture = *state;
    make_payments(fixture, 1, "Razorpay");
    fake_psp_set_status(&fixture->psps, 0, "SUCCESS");
    test_redis_kill(&fixture->redis);
    start_reconciler(fixture);
    await(fixture, FIRST_RUN, "1 0 1");
    test_redis_restart(&fixture->redis);
    await(fixture, "SELECT sum(news) > 0 FROM reconciliation_runs", "t");
    assert_true(stream_length(fixture) >= 1);
}

static bool has_ended(void *arg)
{
    fixture_t *fixture = arg;
    int exit_code;
    fake_gateway_poll(&fixture->gateway);
    if (!child_ended(fixture->reconciler, &exit_code))
        return false;
    assert_int_equal(exit_code, 0);
    return true;
}

static bool was_called(void *arg)
{
    fixture_t *fixture = arg;
    fake_gateway_poll(&fixture->gateway);
    return fake_psp_calls(&fixture->psps, 0) > 0;
}

static void told_to_stop_it_waits_for_its_calls_and_claims_no_more(void **state)
{
    fixture_t *fixture = *state;
    make_payments(fixture, 50, "Razorpay");
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_HANG);
    start_reconciler(fixture);
    wait_until(was_called, fixture, SOON_MS, "the first question");
    kill(fixture->reconciler, SIGTERM);
    wait_until(has_ended, fixture, SOON_MS, "the reconciler's end");
    fixture->reconciler = 0;
    assert_string_equal(
        look(fixture, "SELECT asked <= 32 AND finished_at IS NOT NULL FROM reconciliation_runs"),
        "t");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_capture_that_no_webhook_told_is_put_into_the_stream, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(what_is_pending_or_unknown_to_the_psp_is_no_news, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_failure_is_told_until_it_is_known, setup, teardown),
    cmocka_unit_test_setup_teardown(each_question_is_told_to_the_gateways, setup, teardown),
    cmocka_unit_test_setup_teardown(more_than_a_page_is_asked_in_one_run, setup, teardown),
    cmocka_unit_test_setup_teardown(a_psp_that_hangs_does_not_keep_the_others_waiting, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_psp_that_refuses_is_an_error_and_is_asked_again, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(news_that_redis_did_not_take_comes_again, setup, teardown),
    cmocka_unit_test_setup_teardown(told_to_stop_it_waits_for_its_calls_and_claims_no_more, setup,
                                    teardown),
};

TEST_MAIN(tests)
