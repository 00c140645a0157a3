/* test_router_process.c - tiffin-router as a process between a gateway, PostgreSQL and three PSPs
 * that misbehave. */
#include <libpq-fe.h>
#include <stdio.h>

#include "tests/support/child.h"
#include "tests/support/fake_gateway.h"
#include "tests/support/fake_psp.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum {
    SOON_MS = 20000,
    BUDGET_MS = 10000,
    PSP_TIMEOUT_MS = 1000,
    SETTINGS_MAX = 16,
    SETTING_SIZE = 320,
    VALUE_SIZE = 512
};

typedef struct fixture {
    char url[256], router_url[256]; /* as the owner, as the router's own role */
    PGconn *admin;
    fake_psp_server_t psps;
    fake_gateway_t gateway;
    pid_t router;
    int psp_timeout_ms;
    uuid_t order_id;
    char seen_during_call[VALUE_SIZE];
} fixture_t;

static fixture_t the_fixture;

/* The first value of a statement as text, "" for none. */
static const char *look(PGconn *connection, const char *sql)
{
    static char value[VALUE_SIZE];
    PGresult *result = PQexec(connection, sql);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail_msg("%s: %s", PQerrorMessage(connection), sql);
    snprintf(value, sizeof value, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return value;
}

static void start_router(fixture_t *fixture)
{
    static char settings[SETTINGS_MAX][SETTING_SIZE];
    char *environment[SETTINGS_MAX + 1] = {0};
    static const char *const prefixes[] = {"RAZORPAY", "CASHFREE", "JUSPAY"};
    size_t count = 0;
    snprintf(settings[count++], SETTING_SIZE, "TIFFIN_ENV=dev");
    snprintf(settings[count++], SETTING_SIZE, "DATABASE_URL=%s", fixture->router_url);
    snprintf(settings[count++], SETTING_SIZE, "HUB_ADDR=%s", fixture->gateway.endpoint);
    snprintf(settings[count++], SETTING_SIZE, "PSP_TIMEOUT_MS=%d", fixture->psp_timeout_ms);
    snprintf(settings[count++], SETTING_SIZE, "LOG_LEVEL=%s",
             getenv("TEST_LOG_LEVEL") ? getenv("TEST_LOG_LEVEL") : "error");
    for (size_t i = 0; i < PSP_COUNT; i++)
        snprintf(settings[count++], SETTING_SIZE, "%s_BASE_URL=http://127.0.0.1:%d/%zu",
                 prefixes[i], fixture->psps.port, i);
    for (size_t i = 0; i < count; i++)
        environment[i] = settings[i];
    zframe_destroy(&fixture->gateway.service);
    fixture->router = child_start(TIFFIN_BIN_DIR "/tiffin-router", environment);
    const int64_t deadline_ms = clock_mono_ms() + SOON_MS;
    while (fixture->gateway.service == NULL) {
        if (clock_mono_ms() > deadline_ms)
            fail_msg("the router did not say READY");
        fake_gateway_poll(&fixture->gateway);
    }
}

static int begin(void **state, int psp_timeout_ms)
{
    fixture_t *fixture = &the_fixture;
    memset(fixture, 0, sizeof *fixture);
    fixture->psp_timeout_ms = psp_timeout_ms;
    snprintf(fixture->url, sizeof fixture->url, "%s", test_database());
    const char *host = strchr(fixture->url, '@');
    assert_non_null(host);
    snprintf(fixture->router_url, sizeof fixture->router_url, "postgresql://tiffin_router%s", host);
    fixture->admin = PQconnectdb(fixture->url);
    assert_int_equal(PQstatus(fixture->admin), CONNECTION_OK);
    fake_psp_start(&fixture->psps);
    fake_gateway_start(&fixture->gateway);
    start_router(fixture);
    fixture->order_id = uuid7_new();
    char sql[256], text[UUID_TEXT_SIZE];
    snprintf(sql, sizeof sql,
             "INSERT INTO orders (order_id, user_id, amount, currency, expires_at) "
             "VALUES ('%s', 'u1', 45000, 'INR', now() + interval '1 h')",
             uuid_format(&fixture->order_id, text));
    look(fixture->admin, sql);
    *state = fixture;
    return 0;
}

static int setup(void **state)
{
    return begin(state, PSP_TIMEOUT_MS);
}

static int setup_patient(void **state)
{
    return begin(state, SOON_MS);
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    if (fixture->router > 0)
        child_kill(fixture->router);
    fake_gateway_stop(&fixture->gateway);
    fake_psp_stop(&fixture->psps);
    PQfinish(fixture->admin);
    servers_stop();
    return 0;
}

/* ---- a small language for the tests ---- */

static payment_initiate_t payment_of(const fixture_t *fixture)
{
    return (payment_initiate_t){
        .payment_id = uuid7_new(), .order_id = fixture->order_id, .method = STR_LITERAL("UPI")};
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

static const fake_gateway_message_t *initiate(fixture_t *fixture, const payment_initiate_t *request,
                                              uint32_t budget_ms)
{
    return await_reply(
        fixture, fake_gateway_request(&fixture->gateway, MSG_payment_initiate, request, budget_ms));
}

static payment_initiated_t opened(const fake_gateway_message_t *reply)
{
    payment_initiated_t initiated;
    err_detail_t detail = {{0}};
    if (reply->header.status != ERR_OK)
        fail_msg("%s", err_name(err_from_number(reply->header.status)));
    assert_int_equal(
        message_decode(MSG_payment_initiated, reply->body, reply->size, &initiated, &detail),
        ERR_OK);
    return initiated;
}

/* The detail of an error reply, which must be `err`. */
static const char *refused(const fake_gateway_message_t *reply, err_t err)
{
    static char text[257];
    bus_error_t error;
    err_detail_t detail = {{0}};
    assert_string_equal(err_name(err_from_number(reply->header.status)), err_name(err));
    assert_int_equal(message_decode(MSG_bus_error, reply->body, reply->size, &error, &detail),
                     ERR_OK);
    return str_copy(error.detail, text, sizeof text);
}

/* The outcomes that were told as events, in order. */
static const char *told(const fixture_t *fixture)
{
    static char text[VALUE_SIZE];
    text[0] = '\0';
    for (size_t i = 0; i < fixture->gateway.count; i++) {
        const fake_gateway_message_t *message = &fixture->gateway.messages[i];
        router_attempt_t attempt;
        err_detail_t detail;
        if (message->header.kind != BUS_EVENT)
            continue;
        assert_int_equal(
            message_decode(MSG_router_attempt, message->body, message->size, &attempt, &detail),
            ERR_OK);
        const size_t size = strlen(text);
        snprintf(text + size, sizeof text - size, "%s%.*s %.*s", size > 0 ? ", " : "",
                 STR_ARG(attempt.psp), STR_ARG(attempt.outcome));
    }
    return text;
}

#define ATTEMPTS                                                                                   \
    "SELECT coalesce(string_agg(psp || ' ' || coalesce(outcome, '-'), ', ' ORDER BY number), '') " \
    "FROM attempts"

typedef struct calls_wanted {
    fixture_t *fixture;
    size_t psp;
    int calls;
} calls_wanted_t;

static bool was_called(void *arg)
{
    const calls_wanted_t *wanted = arg;
    fake_gateway_poll(&wanted->fixture->gateway);
    return fake_psp_calls(&wanted->fixture->psps, wanted->psp) >= wanted->calls;
}

static void await_call(fixture_t *fixture, size_t psp, int calls)
{
    calls_wanted_t wanted = {fixture, psp, calls};
    wait_until(was_called, &wanted, SOON_MS, "a call of the PSP");
}

/* ---- failover ---- */

static void a_checkout_is_opened_at_the_first_psp(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = payment_of(fixture);
    const payment_initiated_t initiated = opened(initiate(fixture, &request, BUDGET_MS));
    assert_true(uuid_equal(&initiated.payment_id, &request.payment_id));
    assert_true(uuid_equal(&initiated.order_id, &fixture->order_id));
    assert_true(str_is(initiated.psp, "Razorpay"));
    assert_true(str_is(initiated.status, "PENDING"));
    assert_string_equal(look(fixture->admin, ATTEMPTS), "Razorpay OPEN");
    assert_string_equal(told(fixture), "Razorpay OPEN");
    assert_int_equal(fake_psp_calls(&fixture->psps, 1), 0);
}

static void a_psp_that_refuses_is_passed_over(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = payment_of(fixture);
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_REFUSE);
    const payment_initiated_t initiated = opened(initiate(fixture, &request, BUDGET_MS));
    assert_true(str_is(initiated.psp, "Cashfree"));
    assert_string_equal(look(fixture->admin, ATTEMPTS), "Razorpay REFUSED, Cashfree OPEN");
    assert_string_equal(told(fixture), "Razorpay REFUSED, Cashfree OPEN");
}

static void a_psp_that_hangs_is_passed_over_in_time(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = payment_of(fixture);
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_HANG);
    fake_psp_set_mode(&fixture->psps, 1, FAKE_PSP_HANG);
    const payment_initiated_t initiated = opened(initiate(fixture, &request, BUDGET_MS));
    assert_true(str_is(initiated.psp, "Juspay"));
    assert_string_equal(look(fixture->admin, ATTEMPTS),
                        "Razorpay UNKNOWN, Cashfree UNKNOWN, Juspay OPEN");
}

static void when_every_psp_refuses_the_answer_names_each_reason(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = payment_of(fixture);
    for (size_t i = 0; i < PSP_COUNT; i++)
        fake_psp_set_mode(&fixture->psps, i, FAKE_PSP_REFUSE);
    const char *detail = refused(initiate(fixture, &request, BUDGET_MS), ERR_NO_PSP_AVAILABLE);
    assert_string_equal(
        detail,
        "Razorpay refused: HTTP 503: closed today; Cashfree refused: HTTP 503: closed today; "
        "Juspay refused: HTTP 503: closed today");
    assert_string_equal(look(fixture->admin, "SELECT status FROM payments"), "FAILED");
    for (size_t i = 0; i < PSP_COUNT; i++)
        fake_psp_set_mode(&fixture->psps, i, FAKE_PSP_OPEN);
    refused(initiate(fixture, &request, BUDGET_MS), ERR_NO_PSP_AVAILABLE);
    assert_int_equal(fake_psp_calls(&fixture->psps, 0), 1);
}

static void a_requested_psp_is_the_only_one_called(void **state)
{
    fixture_t *fixture = *state;
    payment_initiate_t request = payment_of(fixture);
    request.psp = STR_LITERAL("Cashfree");
    fake_psp_set_mode(&fixture->psps, 1, FAKE_PSP_REFUSE);
    refused(initiate(fixture, &request, BUDGET_MS), ERR_NO_PSP_AVAILABLE);
    assert_string_equal(look(fixture->admin, ATTEMPTS), "Cashfree REFUSED");
}

static void a_repetition_goes_on_where_the_budget_ended(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = payment_of(fixture);
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_HANG);
    const char *detail = refused(initiate(fixture, &request, 2000), ERR_NO_PSP_AVAILABLE);
    assert_string_equal(detail, "Razorpay, outcome unknown: the PSP did not answer in time");
    assert_string_equal(look(fixture->admin, ATTEMPTS), "Razorpay UNKNOWN");
    const payment_initiated_t initiated = opened(initiate(fixture, &request, BUDGET_MS));
    assert_true(str_is(initiated.psp, "Cashfree"));
    assert_int_equal(fake_psp_calls(&fixture->psps, 0), 1);
}

/* ---- once ---- */

static void a_repeated_request_gets_the_same_checkout_without_a_call(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = payment_of(fixture);
    const payment_initiated_t first = opened(initiate(fixture, &request, BUDGET_MS));
    const payment_initiated_t second = opened(initiate(fixture, &request, BUDGET_MS));
    assert_true(str_equal(first.checkout_url, second.checkout_url));
    assert_int_equal(fake_psp_calls(&fixture->psps, 0), 1);
}

static void look_during_call(void *arg)
{
    fixture_t *fixture = arg;
    PGconn *connection = PQconnectdb(fixture->url);
    snprintf(fixture->seen_during_call, VALUE_SIZE, "%s",
             look(connection, "SELECT attempt_id FROM attempts"));
    PQfinish(connection);
}

static void the_attempt_is_committed_before_its_psp_is_called(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = payment_of(fixture);
    char key[64];
    fake_psp_set_during_call(&fixture->psps, 0, look_during_call, fixture);
    opened(initiate(fixture, &request, BUDGET_MS));
    fake_psp_last_key(&fixture->psps, 0, key);
    assert_string_equal(fixture->seen_during_call, key);
}

static void what_a_killed_router_left_is_asked_again_under_the_same_key(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = payment_of(fixture);
    char first_key[64], second_key[64];
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_HANG);
    fake_gateway_request(&fixture->gateway, MSG_payment_initiate, &request, BUDGET_MS);
    await_call(fixture, 0, 1);
    child_kill(fixture->router);
    fake_psp_last_key(&fixture->psps, 0, first_key);
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_OPEN);
    start_router(fixture);
    const payment_initiated_t initiated = opened(initiate(fixture, &request, BUDGET_MS));
    fake_psp_last_key(&fixture->psps, 0, second_key);
    assert_true(str_is(initiated.psp, "Razorpay"));
    assert_string_equal(first_key, second_key);
    assert_string_equal(look(fixture->admin, ATTEMPTS), "Razorpay OPEN");
}

static void many_payments_at_once_are_all_opened(void **state)
{
    fixture_t *fixture = *state;
    enum { PAYMENTS = 300 };
    static uint64_t correlations[PAYMENTS];
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_REFUSE);
    for (int i = 0; i < PAYMENTS; i++) {
        const payment_initiate_t request = payment_of(fixture);
        correlations[i] =
            fake_gateway_request(&fixture->gateway, MSG_payment_initiate, &request, BUDGET_MS);
    }
    for (int i = 0; i < PAYMENTS; i++)
        assert_true(str_is(opened(await_reply(fixture, correlations[i])).psp, "Cashfree"));
    assert_string_equal(
        look(fixture->admin, "SELECT count(*) FROM attempts WHERE outcome = 'OPEN'"), "300");
}

/* ---- when things break ---- */

/* Lets nobody connect to the test's database, or everybody again; the router loses its connection.
 */
static void allow_connections(const fixture_t *fixture, bool allowed)
{
    char url[256], sql[256];
    const char *database = strrchr(fixture->url, '/') + 1;
    snprintf(url, sizeof url, "%.*spostgres", (int)(database - fixture->url), fixture->url);
    PGconn *connection = PQconnectdb(url);
    snprintf(sql, sizeof sql, "ALTER DATABASE %s ALLOW_CONNECTIONS %s", database,
             allowed ? "true" : "false");
    look(connection, sql);
    snprintf(sql, sizeof sql,
             "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
             "WHERE datname = '%s' AND application_name = 'tiffin-router'",
             database);
    look(connection, sql);
    PQfinish(connection);
}

static void take_database_away(void *arg)
{
    allow_connections(arg, false);
}

static void what_cannot_be_recorded_is_not_answered_as_open(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = payment_of(fixture);
    char first_key[64], second_key[64];
    fake_psp_set_during_call(&fixture->psps, 0, take_database_away, fixture);
    const err_t err = err_from_number(initiate(fixture, &request, BUDGET_MS)->header.status);
    assert_true(err == ERR_STORE_UNAVAILABLE || err == ERR_OUTCOME_UNKNOWN);
    fake_psp_last_key(&fixture->psps, 0, first_key);
    fake_psp_set_during_call(&fixture->psps, 0, NULL, NULL);
    allow_connections(fixture, true);
    const fake_gateway_message_t *reply;
    do { /* until the router has found the database again */
        reply = initiate(fixture, &request, BUDGET_MS);
    } while (reply->header.status == ERR_STORE_UNAVAILABLE);
    opened(reply);
    fake_psp_last_key(&fixture->psps, 0, second_key);
    assert_string_equal(first_key, second_key);
    assert_string_equal(look(fixture->admin, ATTEMPTS), "Razorpay OPEN");
}

static bool has_ended(void *arg)
{
    fixture_t *fixture = arg;
    int exit_code;
    fake_gateway_poll(&fixture->gateway);
    if (!child_ended(fixture->router, &exit_code))
        return false;
    assert_int_equal(exit_code, 0);
    return true;
}

static void a_router_told_to_stop_answers_what_it_holds(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = payment_of(fixture);
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_HANG);
    const uint64_t correlation =
        fake_gateway_request(&fixture->gateway, MSG_payment_initiate, &request, BUDGET_MS);
    await_call(fixture, 0, 1);
    kill(fixture->router, SIGTERM);
    const payment_initiated_t initiated = opened(await_reply(fixture, correlation));
    assert_true(str_is(initiated.psp, "Cashfree"));
    wait_until(has_ended, fixture, SOON_MS, "the router's end");
    fixture->router = 0;
    assert_true(fixture->gateway.draining);
}

/* ---- what is refused ---- */

static void an_unknown_order_is_not_found(void **state)
{
    fixture_t *fixture = *state;
    payment_initiate_t request = payment_of(fixture);
    request.order_id = uuid7_new();
    refused(initiate(fixture, &request, BUDGET_MS), ERR_ORDER_NOT_FOUND);
    assert_int_equal(fake_psp_calls(&fixture->psps, 0), 0);
}

static void a_paid_order_is_not_payable(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = payment_of(fixture);
    look(fixture->admin, "UPDATE orders SET paid_amount = amount");
    refused(initiate(fixture, &request, BUDGET_MS), ERR_ORDER_NOT_PAYABLE);
}

static void an_unknown_psp_is_an_invalid_field(void **state)
{
    fixture_t *fixture = *state;
    payment_initiate_t request = payment_of(fixture);
    request.psp = STR_LITERAL("Nobody");
    assert_string_equal(refused(initiate(fixture, &request, BUDGET_MS), ERR_INVALID_FIELD),
                        "gateway: Nobody is not available");
    assert_string_equal(look(fixture->admin, "SELECT count(*) FROM payments"), "0");
}

static void a_payment_is_shown_and_an_unknown_one_is_not_found(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = payment_of(fixture);
    opened(initiate(fixture, &request, BUDGET_MS));
    const payment_get_t known = {.payment_id = request.payment_id},
                        unknown = {.payment_id = uuid7_new()};
    const uint64_t first =
        fake_gateway_request(&fixture->gateway, MSG_payment_get, &known, BUDGET_MS);
    const uint64_t second =
        fake_gateway_request(&fixture->gateway, MSG_payment_get, &unknown, BUDGET_MS);
    const fake_gateway_message_t *reply = await_reply(fixture, first);
    payment_document_t document;
    err_detail_t detail;
    assert_int_equal(reply->header.status, ERR_OK);
    assert_int_equal(
        message_decode(MSG_payment_document, reply->body, reply->size, &document, &detail), ERR_OK);
    assert_true(str_is(document.status, "PENDING"));
    refused(await_reply(fixture, second), ERR_PAYMENT_NOT_FOUND);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_checkout_is_opened_at_the_first_psp, setup, teardown),
    cmocka_unit_test_setup_teardown(a_psp_that_refuses_is_passed_over, setup, teardown),
    cmocka_unit_test_setup_teardown(a_psp_that_hangs_is_passed_over_in_time, setup, teardown),
    cmocka_unit_test_setup_teardown(when_every_psp_refuses_the_answer_names_each_reason, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_requested_psp_is_the_only_one_called, setup, teardown),
    cmocka_unit_test_setup_teardown(a_repetition_goes_on_where_the_budget_ended, setup_patient,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_repeated_request_gets_the_same_checkout_without_a_call, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(the_attempt_is_committed_before_its_psp_is_called, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(what_a_killed_router_left_is_asked_again_under_the_same_key,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(many_payments_at_once_are_all_opened, setup_patient, teardown),
    cmocka_unit_test_setup_teardown(what_cannot_be_recorded_is_not_answered_as_open, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_router_told_to_stop_answers_what_it_holds, setup, teardown),
    cmocka_unit_test_setup_teardown(an_unknown_order_is_not_found, setup, teardown),
    cmocka_unit_test_setup_teardown(a_paid_order_is_not_payable, setup, teardown),
    cmocka_unit_test_setup_teardown(an_unknown_psp_is_an_invalid_field, setup, teardown),
    cmocka_unit_test_setup_teardown(a_payment_is_shown_and_an_unknown_one_is_not_found, setup,
                                    teardown),
};

TEST_MAIN(tests)
