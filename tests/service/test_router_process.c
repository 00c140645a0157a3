/* test_router_process.c - tiffin-router as a process between a gateway, PostgreSQL and three PSPs
 * that misbehave. */
#include "tests/support/router_fixture.h"

static const fake_gateway_message_t *initiate(fixture_t *fixture, const payment_initiate_t *request,
                                              uint32_t budget_ms)
{
    return await_reply(
        fixture, fake_gateway_request(&fixture->gateway, MSG_payment_initiate, request, budget_ms));
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

/* ---- breakers ---- */

enum { FAILURES_THAT_BREAK = 5 };

/* Where a new payment of the order is opened, if only at this PSP or at the first that takes it. */
static void open_at(fixture_t *fixture, const char *psp)
{
    const payment_initiate_t request = payment_of(fixture);
    assert_true(str_is(opened(initiate(fixture, &request, BUDGET_MS)).psp, psp));
}

static bool probe_has_closed(void *arg)
{
    fixture_t *fixture = arg;
    const payment_initiate_t request = payment_of(fixture);
    return str_is(opened(initiate(fixture, &request, BUDGET_MS)).psp, "Razorpay");
}

static void a_psp_that_keeps_failing_is_not_called_until_a_probe_finds_it_well(void **state)
{
    fixture_t *fixture = *state;
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_REFUSE);
    for (int i = 0; i < FAILURES_THAT_BREAK; i++)
        open_at(fixture, "Cashfree");
    assert_int_equal(fake_psp_calls(&fixture->psps, 0), FAILURES_THAT_BREAK);
    open_at(fixture, "Cashfree");
    assert_int_equal(fake_psp_calls(&fixture->psps, 0), FAILURES_THAT_BREAK);
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_OPEN);
    wait_until(probe_has_closed, fixture, SOON_MS, "a probe");
    open_at(fixture, "Razorpay");
}

static void when_all_are_broken_each_is_tried_all_the_same(void **state)
{
    fixture_t *fixture = *state;
    for (size_t i = 0; i < PSP_COUNT; i++)
        fake_psp_set_mode(&fixture->psps, i, FAKE_PSP_REFUSE);
    for (int i = 0; i < FAILURES_THAT_BREAK; i++) {
        const payment_initiate_t request = payment_of(fixture);
        refused(initiate(fixture, &request, BUDGET_MS), ERR_NO_PSP_AVAILABLE);
    }
    for (size_t i = 0; i < PSP_COUNT; i++)
        fake_psp_set_mode(&fixture->psps, i, FAKE_PSP_OPEN);
    open_at(fixture, "Razorpay");
}

static void a_broken_psp_that_is_asked_for_is_called(void **state)
{
    fixture_t *fixture = *state;
    payment_initiate_t request = payment_of(fixture);
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_REFUSE);
    for (int i = 0; i < FAILURES_THAT_BREAK; i++)
        open_at(fixture, "Cashfree");
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_OPEN);
    request.psp = STR_LITERAL("Razorpay");
    assert_true(str_is(opened(initiate(fixture, &request, BUDGET_MS)).psp, "Razorpay"));
}

static void one_method_that_fails_breaks_no_other(void **state)
{
    fixture_t *fixture = *state;
    payment_initiate_t request = payment_of(fixture);
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_REFUSE);
    for (int i = 0; i < FAILURES_THAT_BREAK; i++)
        open_at(fixture, "Cashfree");
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_OPEN);
    request.method = STR_LITERAL("CARD");
    assert_true(str_is(opened(initiate(fixture, &request, BUDGET_MS)).psp, "Razorpay"));
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
    kill_router(fixture);
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

static void a_router_told_to_stop_answers_what_it_holds(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = payment_of(fixture);
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_HANG);
    const uint64_t correlation =
        fake_gateway_request(&fixture->gateway, MSG_payment_initiate, &request, BUDGET_MS);
    await_call(fixture, 0, 1);
    kill(fixture->routers[0], SIGTERM);
    const payment_initiated_t initiated = opened(await_reply(fixture, correlation));
    assert_true(str_is(initiated.psp, "Cashfree"));
    assert_int_equal(await_end(fixture), 0);
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
    cmocka_unit_test_setup_teardown(
        a_psp_that_keeps_failing_is_not_called_until_a_probe_finds_it_well, setup, teardown),
    cmocka_unit_test_setup_teardown(when_all_are_broken_each_is_tried_all_the_same, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_broken_psp_that_is_asked_for_is_called, setup, teardown),
    cmocka_unit_test_setup_teardown(one_method_that_fails_breaks_no_other, setup, teardown),
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
