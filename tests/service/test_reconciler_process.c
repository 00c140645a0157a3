/* test_reconciler_process.c - tiffin-reconciler as a process between PostgreSQL, Redis and PSPs
 * that misbehave. */
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <stdio.h>

#include "services/reconciler/reconciler_rules.h"
#include "tests/support/child.h"
#include "tests/support/facts.h"
#include "tests/support/fake_gateway.h"
#include "tests/support/fake_psp.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum {
    SOON_MS = 20000,
    SETTINGS_MAX = 24,
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
    int status_timeout_ms;
    const char *crash_at; /* where the next one dies; NULL: nowhere */
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
    static const char *const prefixes[] = {"RAZORPAY", "CASHFREE", "JUSPAY", "STRIPE",
                                           "PAYU",     "PHONEPE",  "ADYEN"};
    size_t count = 0;
    snprintf(settings[count++], SETTING_SIZE, "TIFFIN_ENV=dev");
    snprintf(settings[count++], SETTING_SIZE, "DATABASE_URL=%s", fixture->reconciler_url);
    snprintf(settings[count++], SETTING_SIZE, "REDIS_URL=%s", fixture->redis.url);
    snprintf(settings[count++], SETTING_SIZE, "HUB_ADDR=%s", fixture->gateway.endpoint);
    snprintf(settings[count++], SETTING_SIZE, "RECONCILE_INTERVAL_S=%d", interval_s);
    snprintf(settings[count++], SETTING_SIZE, "RECONCILE_CALLS_MAX=16");
    snprintf(settings[count++], SETTING_SIZE, "PSP_STATUS_TIMEOUT_MS=%d",
             fixture->status_timeout_ms);
    snprintf(settings[count++], SETTING_SIZE, "LOG_LEVEL=%s",
             getenv("TEST_LOG_LEVEL") ? getenv("TEST_LOG_LEVEL") : "error");
    /* No development value, so that Adyen's limit is kept (registry_prototype.c). */
    snprintf(settings[count++], SETTING_SIZE, "ADYEN_KEY_SECRET=somebody's-own-key");
    if (fixture->crash_at != NULL)
        snprintf(settings[count++], SETTING_SIZE, "TIFFIN_CRASH_AT=%s", fixture->crash_at);
    for (size_t i = 0; i < PSP_COUNT; i++)
        snprintf(settings[count++], SETTING_SIZE, "%s_BASE_URL=http://127.0.0.1:%d/%zu",
                 prefixes[i], fixture->psps.port, i);
    for (size_t i = 0; i < count; i++)
        environment[i] = settings[i];
    fixture->reconciler = child_start(TIFFIN_BIN_DIR "/tiffin-reconciler-prototype", environment);
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
    fixture->status_timeout_ms = STATUS_TIMEOUT_MS;
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

/* Until the reconciler has ended by itself; its exit code, as a shell gives it. */
typedef struct end_wanted {
    fixture_t *fixture;
    int exit_code;
} end_wanted_t;

static bool has_ended(void *arg)
{
    end_wanted_t *wanted = arg;
    fake_gateway_poll(&wanted->fixture->gateway);
    return child_ended(wanted->fixture->reconciler, &wanted->exit_code);
}

static int await_end(fixture_t *fixture)
{
    end_wanted_t wanted = {.fixture = fixture};
    wait_until(has_ended, &wanted, SOON_MS, "the reconciler's end");
    fixture->reconciler = 0;
    return wanted.exit_code;
}

static bool is_ready(void *arg)
{
    fixture_t *fixture = arg;
    fake_gateway_poll(&fixture->gateway);
    return fixture->gateway.service != NULL;
}

typedef struct reply_wanted {
    fixture_t *fixture;
    uint64_t correlation;
} reply_wanted_t;

static bool has_reply(void *arg)
{
    const reply_wanted_t *wanted = arg;
    fake_gateway_poll(&wanted->fixture->gateway);
    return fake_gateway_reply(&wanted->fixture->gateway, wanted->correlation) != NULL;
}

/* What an operator is answered. */
static const char *operate(fixture_t *fixture, uint32_t message, const void *request)
{
    static char text[2048];
    wait_until(is_ready, fixture, SOON_MS, "the reconciler's READY");
    reply_wanted_t wanted = {fixture,
                             fake_gateway_request(&fixture->gateway, message, request, SOON_MS)};
    wait_until(has_reply, &wanted, SOON_MS, "a reply");
    const fake_gateway_message_t *reply = fake_gateway_reply(&fixture->gateway, wanted.correlation);
    reconciler_document_t document;
    err_detail_t detail;
    assert_int_equal(reply->header.status, ERR_OK);
    assert_int_equal(
        message_decode(MSG_reconciler_document, reply->body, reply->size, &document, &detail),
        ERR_OK);
    return str_copy(document.document, text, sizeof text);
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

static bool was_called(void *arg)
{
    fixture_t *fixture = arg;
    fake_gateway_poll(&fixture->gateway);
    return fake_psp_calls(&fixture->psps, 0) > 0;
}

static bool adyen_was_called(void *arg)
{
    fixture_t *fixture = arg;
    fake_gateway_poll(&fixture->gateway);
    return fake_psp_calls(&fixture->psps, PSP_INDEX_adyen) > 0;
}

/* Customers who came back and captures by hand are hints too: nobody waits for a run to end. */
static void a_hint_is_followed_while_a_run_waits_for_a_limit(void **state)
{
    fixture_t *fixture = *state;
    make_payments(fixture, 10, "Adyen"); /* a run of a minute and a half */
    fake_psp_set_status(&fixture->psps, PSP_INDEX_adyen, "PENDING");
    fake_psp_set_status(&fixture->psps, 0, "SUCCESS");
    start_reconciler_each(fixture, 3600);
    wait_until(adyen_was_called, fixture, SOON_MS, "the first question");
    make_payments(fixture, 1, "Razorpay");
    look(fixture, "UPDATE payments SET next_check_at = '-infinity' WHERE psp = 'Razorpay'");
    look(fixture, "NOTIFY checks_due");
    wait_until(was_called, fixture, SOON_MS, "the question that was hinted at");
    assert_string_equal(look(fixture, "SELECT count(finished_at) FROM reconciliation_runs"), "0");
}

static bool cashfree_was_asked_of_all(void *arg)
{
    fixture_t *fixture = arg;
    fake_gateway_poll(&fixture->gateway);
    return fake_psp_calls(&fixture->psps, PSP_INDEX_cashfree) == 4;
}

/* Not even the first time out is waited for. */
static void a_psp_that_hangs_leaves_calls_to_the_others(void **state)
{
    fixture_t *fixture = *state;
    fixture->status_timeout_ms = 10000;
    make_payments(fixture, 40, "Razorpay");
    make_payments(fixture, 4, "Cashfree");
    fake_psp_set_mode(&fixture->psps, PSP_INDEX_razorpay, FAKE_PSP_HANG);
    fake_psp_set_status(&fixture->psps, PSP_INDEX_cashfree, "SUCCESS");
    start_reconciler_each(fixture, 60);
    wait_until(cashfree_was_asked_of_all, fixture, SOON_MS, "all is asked of Cashfree");
    assert_in_range(fake_psp_calls(&fixture->psps, PSP_INDEX_razorpay), 1, 12);
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

static void told_to_stop_it_waits_for_its_calls_and_claims_no_more(void **state)
{
    fixture_t *fixture = *state;
    make_payments(fixture, 50, "Razorpay");
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_HANG);
    start_reconciler(fixture);
    wait_until(was_called, fixture, SOON_MS, "the first question");
    kill(fixture->reconciler, SIGTERM);
    assert_int_equal(await_end(fixture), 0);
    assert_string_equal(
        look(fixture, "SELECT asked <= 32 AND finished_at IS NOT NULL FROM reconciliation_runs"),
        "t");
}

static void a_capture_is_told_though_we_say_failed_or_expired(void **state)
{
    fixture_t *fixture = *state;
    make_payments(fixture, 2, "Razorpay");
    look(fixture, "UPDATE payments SET failure_count = 1 WHERE payment_id = (SELECT "
                  "payment_id FROM payments ORDER BY payment_id LIMIT 1)");
    look(fixture, "UPDATE payments SET expired_at = now() WHERE failure_count = 0");
    assert_string_equal(
        look(fixture, "SELECT string_agg(status, ' ' ORDER BY status) FROM payments"),
        "EXPIRED FAILED");
    fake_psp_set_status(&fixture->psps, 0, "SUCCESS");
    start_reconciler_each(fixture, 60);
    await(fixture, FIRST_RUN, "2 2 0");
    assert_int_equal(stream_length(fixture), 2);
}

/* ---- operators ---- */

static void an_operator_has_everything_asked_now(void **state)
{
    fixture_t *fixture = *state;
    make_payments(fixture, 3, "Razorpay");
    look(fixture, "UPDATE payments SET next_check_at = now() + interval '1 h'");
    fake_psp_set_status(&fixture->psps, 0, "SUCCESS");
    start_reconciler_each(fixture, 3600);
    await(fixture, FIRST_RUN, "0 0 0");
    const reconciliation_start_t start = {.actor = STR_LITERAL("ops")};
    assert_string_equal(operate(fixture, MSG_reconciliation_start, &start),
                        "{\"status\":\"started\"}");
    await(fixture, RUNS_FINISHED(2), "t");
    assert_string_equal(look(fixture, "SELECT sum(asked) || ' ' || sum(news) FROM "
                                      "reconciliation_runs"),
                        "3 3");
    assert_int_equal(stream_length(fixture), 3);
}

static void a_run_that_is_under_way_is_not_begun_again(void **state)
{
    fixture_t *fixture = *state;
    make_payments(fixture, 1, "Razorpay");
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_HANG);
    start_reconciler_each(fixture, 3600);
    wait_until(was_called, fixture, SOON_MS, "the first question");
    const reconciliation_start_t start = {.actor = STR_LITERAL("ops")};
    assert_string_equal(operate(fixture, MSG_reconciliation_start, &start),
                        "{\"status\":\"running\"}");
    await(fixture, RUNS_FINISHED(1), "t");
    assert_string_equal(look(fixture, "SELECT count(*) FROM reconciliation_runs"), "1");
}

static void an_operator_sees_the_runs(void **state)
{
    fixture_t *fixture = *state;
    start_reconciler_each(fixture, 3600);
    await(fixture, FIRST_RUN, "0 0 0");
    const reconciliation_list_t list = {.limit = 20};
    const char *page = operate(fixture, MSG_reconciliation_list, &list);
    assert_non_null(strstr(page, "\"instance\":\"reconciler-"));
    assert_non_null(strstr(page, "\"asked\":0,\"news\":0,\"errors\":0"));
    assert_non_null(strstr(page, "\"next_cursor\":null"));
}

/* ---- the ledger's chain ---- */

#define IS_SEALED                                                                              \
    "SELECT (SELECT count(*) FROM ledger_transactions) = (SELECT count(*) FROM ledger_seals) " \
    "AND NOT EXISTS (SELECT FROM ledger_chain_faults(NULL))"

static void what_was_booked_is_sealed(void **state)
{
    fixture_t *fixture = *state;
    make_captured_payment(fixture->admin, "Razorpay");
    start_reconciler_each(fixture, 3600);
    await(fixture, IS_SEALED, "t");
    const uuid_t payment_id = make_captured_payment(fixture->admin, "Razorpay");
    tell_fact(fixture->admin, "Razorpay", &payment_id, NULL, "refund_succeeded", "rfd_1", 45000);
    await(fixture, IS_SEALED, "t");
    assert_string_equal(look(fixture, "SELECT max(position) FROM ledger_seals"), "3");
}

static void more_than_one_statement_may_seal_is_sealed_too(void **state)
{
    fixture_t *fixture = *state;
    make_captured_payment(fixture->admin, "Razorpay");
    look(fixture, "WITH t AS (INSERT INTO ledger_transactions (kind, fact_id, revision) SELECT "
                  "'correction', fact_id, n FROM facts, generate_series(2, 2500) n "
                  "RETURNING txn_id, fact_id) INSERT INTO ledger_entries SELECT t.txn_id, l.line, "
                  "l.account, 'INR', l.amount, f.payment_id FROM t JOIN facts f USING (fact_id), "
                  "(VALUES (1, 'merchant', 1), (2, 'unapplied', -1)) l(line, account, amount)");
    start_reconciler_each(fixture, 3600);
    await(fixture, IS_SEALED, "t");
    assert_string_equal(look(fixture, "SELECT max(position) FROM ledger_seals"), "2500");
}

/* ---- crashes at named points ---- */

static void die_and_go_on(fixture_t *fixture, const char *crash_at)
{
    make_payments(fixture, 1, "Razorpay");
    fake_psp_set_status(&fixture->psps, 0, "SUCCESS");
    fixture->crash_at = crash_at;
    start_reconciler(fixture);
    assert_int_equal(await_end(fixture), 128 + SIGKILL);
    assert_string_equal(look(fixture, "SELECT count(finished_at) FROM reconciliation_runs"), "0");
    fixture->crash_at = NULL;
    start_reconciler(fixture);
    await(fixture, "SELECT sum(news) > 0 FROM reconciliation_runs", "t");
    redisReply *entries = stream(fixture);
    const char *first = entries->element[0]->element[1]->element[5]->str;
    assert_string_equal(entries->element[0]->element[1]->element[4]->str, "event_id");
    for (size_t i = 1; i < entries->elements; i++) /* the same event: a duplicate */
        assert_string_equal(entries->element[i]->element[1]->element[5]->str, first);
    freeReplyObject(entries);
}

static void what_was_answered_when_it_died_is_asked_again(void **state)
{
    die_and_go_on(*state, "reconciler_asked");
}

static void what_was_queued_when_it_died_comes_again_as_the_same_event(void **state)
{
    die_and_go_on(*state, "reconciler_appended");
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
    cmocka_unit_test_setup_teardown(a_hint_is_followed_while_a_run_waits_for_a_limit, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_psp_that_hangs_leaves_calls_to_the_others, setup, teardown),
    cmocka_unit_test_setup_teardown(a_psp_that_refuses_is_an_error_and_is_asked_again, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(news_that_redis_did_not_take_comes_again, setup, teardown),
    cmocka_unit_test_setup_teardown(told_to_stop_it_waits_for_its_calls_and_claims_no_more, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_capture_is_told_though_we_say_failed_or_expired, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(an_operator_has_everything_asked_now, setup, teardown),
    cmocka_unit_test_setup_teardown(a_run_that_is_under_way_is_not_begun_again, setup, teardown),
    cmocka_unit_test_setup_teardown(an_operator_sees_the_runs, setup, teardown),
    cmocka_unit_test_setup_teardown(what_was_booked_is_sealed, setup, teardown),
    cmocka_unit_test_setup_teardown(more_than_one_statement_may_seal_is_sealed_too, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(what_was_answered_when_it_died_is_asked_again, setup, teardown),
    cmocka_unit_test_setup_teardown(what_was_queued_when_it_died_comes_again_as_the_same_event,
                                    setup, teardown),
};

TEST_MAIN(tests)
