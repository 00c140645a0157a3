/* test_router_keys.c - the Idempotency-Key of a payment that is being opened: one payment per key,
 * whoever asks at once, whoever dies, whatever the PSPs answer. */
#include "tests/support/router_fixture.h"

/* ---- a small language for the tests ---- */

/* A request with a key: what another with the same key and body looks like is `repeated`. */
static payment_initiate_t keyed(const fixture_t *fixture)
{
    payment_initiate_t request = payment_of(fixture);
    request.idempotency_id = uuid7_new();
    request.fingerprint = uuid7_new();
    return request;
}

/* The gateway mints another payment id; the key and the body are the same. */
static payment_initiate_t repeated(const payment_initiate_t *first)
{
    payment_initiate_t request = *first;
    request.payment_id = uuid7_new();
    return request;
}

static const fake_gateway_message_t *initiate(fixture_t *fixture, const payment_initiate_t *request)
{
    return ask(fixture, MSG_payment_initiate, request);
}

static void end_leases(fixture_t *fixture)
{
    look(fixture->admin, "UPDATE idempotency_keys SET lease_until = now()");
}

static void set_all(fixture_t *fixture, fake_psp_mode_t mode)
{
    for (size_t i = 0; i < PSP_COUNT; i++)
        fake_psp_set_mode(&fixture->psps, i, mode);
}

/* The answer is a checkout of `payment_id`, and the only payment. */
static void assert_opened(fixture_t *fixture, const fake_gateway_message_t *reply,
                          const uuid_t *payment_id, bool replayed)
{
    const payment_initiated_t initiated = opened(reply);
    assert_true(uuid_equal(&initiated.payment_id, payment_id));
    assert_true(str_is(initiated.status, "PENDING"));
    assert_int_equal(initiated.replayed, replayed);
    assert_string_equal(look(fixture->admin, "SELECT count(*) FROM payments"), "1");
}

/* ---- the first answer ---- */

static void a_key_gets_the_payment_that_it_opened(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t first = keyed(fixture), second = repeated(&first);
    const fake_gateway_message_t *reply = initiate(fixture, &first);
    assert_opened(fixture, reply, &first.payment_id, false);
    const fake_gateway_message_t *again = initiate(fixture, &second);
    assert_opened(fixture, again, &first.payment_id, true);
    const payment_initiated_t answer = opened(reply), replay = opened(again);
    assert_true(str_equal(answer.checkout_url, replay.checkout_url));
    assert_true(str_equal(answer.psp, replay.psp));
    assert_int_equal(answer.expires_at_us, replay.expires_at_us);
    assert_int_equal(fake_psp_calls(&fixture->psps, 0), 1);
}

static void a_checkout_is_replayed_though_its_order_is_closed_since(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t first = keyed(fixture), second = repeated(&first);
    opened(initiate(fixture, &first));
    look(fixture->admin, "UPDATE orders SET cancelled_at = now()");
    look(fixture->admin, "UPDATE payments SET expired_at = now()");
    assert_opened(fixture, initiate(fixture, &second), &first.payment_id, true);
}

static void a_key_with_another_body_is_refused(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t first = keyed(fixture);
    payment_initiate_t second = repeated(&first);
    second.fingerprint = uuid7_new();
    opened(initiate(fixture, &first));
    const bus_error_t error = refusal(initiate(fixture, &second), ERR_IDEMPOTENCY_KEY_REUSED);
    assert_false(error.replayed);
    assert_string_equal(look(fixture->admin, "SELECT count(*) FROM payments"), "1");
}

static void without_a_key_each_request_is_a_payment(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t first = payment_of(fixture), second = payment_of(fixture);
    opened(initiate(fixture, &first));
    opened(initiate(fixture, &second));
    assert_string_equal(look(fixture->admin, "SELECT count(*) FROM payments"), "2");
    assert_string_equal(look(fixture->admin, "SELECT count(*) FROM idempotency_keys"), "0");
}

static void a_refusal_is_remembered_with_the_request_it_was_told(void **state)
{
    fixture_t *fixture = *state;
    payment_initiate_t first = keyed(fixture);
    first.order_id = uuid7_new();
    const uuid_t first_request = uuid7_new();
    const payment_initiate_t second = repeated(&first);
    const bus_error_t error = refusal(
        await_reply(fixture, fake_gateway_request_as(&fixture->gateway, &first_request,
                                                     MSG_payment_initiate, &first, BUDGET_MS)),
        ERR_ORDER_NOT_FOUND);
    assert_false(error.replayed);
    char sql[256], text[UUID_TEXT_SIZE];
    snprintf(sql, sizeof sql, "UPDATE orders SET order_id = '%s'",
             uuid_format(&first.order_id, text));
    look(fixture->admin, sql); /* now there is one, and the answer is still the first */
    const bus_error_t again = refusal(initiate(fixture, &second), ERR_ORDER_NOT_FOUND);
    assert_true(again.replayed);
    assert_true(uuid_equal(&again.first_request_id, &first_request));
    assert_true(str_equal(again.detail, error.detail));
}

static void a_key_of_yesterday_is_a_new_one(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t first = keyed(fixture), second = repeated(&first);
    opened(initiate(fixture, &first));
    look(fixture->admin, "UPDATE idempotency_keys SET created_at = now() - interval '24 h 1 s'");
    const payment_initiated_t initiated = opened(initiate(fixture, &second));
    assert_true(uuid_equal(&initiated.payment_id, &second.payment_id));
    assert_false(initiated.replayed);
}

/* ---- in flight ---- */

static void while_one_request_opens_a_checkout_another_is_told_so(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t first = keyed(fixture), second = repeated(&first),
                             third = repeated(&first);
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_HANG);
    const uint64_t correlation =
        fake_gateway_request(&fixture->gateway, MSG_payment_initiate, &first, BUDGET_MS);
    await_call(fixture, 0, 1);
    const bus_error_t error = refusal(initiate(fixture, &second), ERR_IDEMPOTENCY_KEY_IN_FLIGHT);
    assert_false(error.replayed);
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_OPEN); /* the connection ends: the next PSP */
    assert_opened(fixture, await_reply(fixture, correlation), &first.payment_id, false);
    assert_opened(fixture, initiate(fixture, &third), &first.payment_id, true);
    assert_int_equal(fake_psp_calls(&fixture->psps, 0), 1);
}

static void of_fifty_at_once_all_get_one_payment_or_are_told_to_wait(void **state)
{
    fixture_t *fixture = *state;
    enum { CLIENTS = 50 };
    const payment_initiate_t first = keyed(fixture);
    uint64_t correlations[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        const payment_initiate_t request = repeated(&first);
        correlations[i] =
            fake_gateway_request(&fixture->gateway, MSG_payment_initiate, &request, BUDGET_MS);
    }
    uuid_t payment_id = {{0}};
    int answered = 0, first_answers = 0;
    for (int i = 0; i < CLIENTS; i++) {
        const fake_gateway_message_t *reply = await_reply(fixture, correlations[i]);
        if (reply->header.status != ERR_OK) {
            refused(reply, ERR_IDEMPOTENCY_KEY_IN_FLIGHT);
            continue;
        }
        const payment_initiated_t initiated = opened(reply);
        if (answered++ == 0)
            payment_id = initiated.payment_id;
        assert_true(uuid_equal(&initiated.payment_id, &payment_id));
        first_answers += initiated.replayed ? 0 : 1;
    }
    assert_true(answered >= 1);
    assert_int_equal(first_answers, 1);
    assert_string_equal(look(fixture->admin, "SELECT count(*) FROM payments"), "1");
    assert_int_equal(fake_psp_calls(&fixture->psps, 0), 1);
}

/* ---- going on ---- */

static void what_every_psp_refused_goes_round_again_at_once(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t first = keyed(fixture), second = repeated(&first),
                             third = repeated(&first);
    set_all(fixture, FAKE_PSP_REFUSE);
    refused(initiate(fixture, &first), ERR_NO_PSP_AVAILABLE);
    refused(initiate(fixture, &second), ERR_NO_PSP_AVAILABLE);
    fake_psp_set_mode(&fixture->psps, 1, FAKE_PSP_OPEN);
    assert_opened(fixture, initiate(fixture, &third), &first.payment_id, false);
    assert_string_equal(look(fixture->admin, ATTEMPTS),
                        "Razorpay REFUSED, Cashfree REFUSED, Juspay REFUSED, "
                        "Razorpay REFUSED, Cashfree REFUSED, Juspay REFUSED, "
                        "Razorpay REFUSED, Cashfree OPEN");
}

static void what_every_psp_refused_ends_when_its_order_is_closed(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t first = keyed(fixture), second = repeated(&first),
                             third = repeated(&first);
    set_all(fixture, FAKE_PSP_REFUSE);
    refused(initiate(fixture, &first), ERR_NO_PSP_AVAILABLE);
    look(fixture->admin, "UPDATE orders SET cancelled_at = now()");
    refused(initiate(fixture, &second), ERR_ORDER_NOT_PAYABLE);
    set_all(fixture, FAKE_PSP_OPEN);
    refused(initiate(fixture, &third), ERR_ORDER_NOT_PAYABLE);
}

static void many_that_fail_together_let_go_of_their_keys(void **state)
{
    fixture_t *fixture = *state;
    enum { PAYMENTS = 300 };
    static payment_initiate_t requests[PAYMENTS];
    static uint64_t correlations[PAYMENTS];
    set_all(fixture, FAKE_PSP_REFUSE);
    for (int i = 0; i < PAYMENTS; i++) {
        requests[i] = keyed(fixture);
        correlations[i] =
            fake_gateway_request(&fixture->gateway, MSG_payment_initiate, &requests[i], BUDGET_MS);
    }
    for (int i = 0; i < PAYMENTS; i++)
        refused(await_reply(fixture, correlations[i]), ERR_NO_PSP_AVAILABLE);
    assert_string_equal(
        look(fixture->admin, "SELECT count(*) FROM idempotency_keys WHERE lease_until <= now()"),
        "300");
    set_all(fixture, FAKE_PSP_OPEN);
    for (int i = 0; i < PAYMENTS; i++) {
        const payment_initiate_t request = repeated(&requests[i]);
        correlations[i] =
            fake_gateway_request(&fixture->gateway, MSG_payment_initiate, &request, BUDGET_MS);
    }
    for (int i = 0; i < PAYMENTS; i++) {
        const payment_initiated_t initiated = opened(await_reply(fixture, correlations[i]));
        assert_true(uuid_equal(&initiated.payment_id, &requests[i].payment_id));
    }
    assert_string_equal(look(fixture->admin, "SELECT count(*) FROM payments"), "300");
}

static void where_the_order_closed_meanwhile_every_repetition_is_told_so(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t first = keyed(fixture), second = repeated(&first),
                             third = repeated(&first);
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_HANG);
    fake_gateway_request(&fixture->gateway, MSG_payment_initiate, &first, BUDGET_MS);
    await_call(fixture, 0, 1);
    kill_router(fixture); /* no checkout, and not given up */
    look(fixture->admin, "UPDATE orders SET cancelled_at = now()");
    end_leases(fixture);
    start_router(fixture);
    refused(initiate(fixture, &second), ERR_ORDER_NOT_PAYABLE);
    refused(initiate(fixture, &third), ERR_ORDER_NOT_PAYABLE);
}

static void the_message_sent_once_more_goes_on_at_once(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = keyed(fixture);
    const uuid_t request_id = uuid7_new();
    char first_key[64], second_key[64];
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_HANG);
    fake_gateway_request_as(&fixture->gateway, &request_id, MSG_payment_initiate, &request,
                            BUDGET_MS);
    await_call(fixture, 0, 1);
    kill_router(fixture);
    fake_psp_last_key(&fixture->psps, 0, first_key);
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_OPEN);
    start_router(fixture);
    const uint64_t correlation = fake_gateway_request_as(&fixture->gateway, &request_id,
                                                         MSG_payment_initiate, &request, BUDGET_MS);
    assert_opened(fixture, await_reply(fixture, correlation), &request.payment_id, false);
    fake_psp_last_key(&fixture->psps, 0, second_key);
    assert_string_equal(first_key, second_key);
}

static void another_request_takes_over_when_the_lease_ends(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t first = keyed(fixture), second = repeated(&first),
                             third = repeated(&first);
    char first_key[64], second_key[64];
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_HANG);
    fake_gateway_request(&fixture->gateway, MSG_payment_initiate, &first, BUDGET_MS);
    await_call(fixture, 0, 1);
    kill_router(fixture);
    fake_psp_last_key(&fixture->psps, 0, first_key);
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_OPEN);
    start_router(fixture);
    refused(initiate(fixture, &second), ERR_IDEMPOTENCY_KEY_IN_FLIGHT);
    end_leases(fixture);
    assert_opened(fixture, initiate(fixture, &third), &first.payment_id, false);
    fake_psp_last_key(&fixture->psps, 0, second_key);
    assert_string_equal(first_key, second_key);
}

static void a_lease_outlives_the_request_that_holds_it(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t request = keyed(fixture);
    opened(initiate(fixture, &request));
    assert_string_equal(look(fixture->admin,
                             "SELECT lease_until - created_at > interval '10 s' AND "
                             "lease_until - created_at < interval '15 s' FROM idempotency_keys"),
                        "t");
}

/* ---- crashes at named points ---- */

/* The router dies at a point while it works on the first request; the client tries again with its
 * key until it is answered. */
static void die_and_try_again(fixture_t *fixture, const char *crash_at)
{
    const payment_initiate_t first = keyed(fixture), second = repeated(&first),
                             third = repeated(&first);
    char key[64], attempt[64];
    fixture->crash_at = crash_at;
    start_router(fixture);
    fake_gateway_request(&fixture->gateway, MSG_payment_initiate, &first, BUDGET_MS);
    assert_int_equal(await_end(fixture), 128 + SIGKILL);
    fixture->crash_at = NULL;
    start_router(fixture);
    end_leases(fixture);
    const payment_initiated_t initiated = opened(initiate(fixture, &second));
    assert_true(uuid_equal(&initiated.payment_id, &first.payment_id));
    assert_opened(fixture, initiate(fixture, &third), &first.payment_id, true);
    assert_string_equal(look(fixture->admin, ATTEMPTS), "Razorpay OPEN");
    fake_psp_last_key(&fixture->psps, 0, key);
    snprintf(attempt, sizeof attempt, "%s",
             look(fixture->admin, "SELECT attempt_id FROM attempts"));
    assert_string_equal(key, attempt);
}

/* The first call may have opened a checkout: what the PSP says to its repetition does not tell. */
static void a_refusal_of_a_repeated_call_leaves_it_unknown_whether_one_is_open(void **state)
{
    fixture_t *fixture = *state;
    const payment_initiate_t first = keyed(fixture), second = repeated(&first);
    fixture->crash_at = "router_psp_answered";
    start_router(fixture);
    fake_gateway_request(&fixture->gateway, MSG_payment_initiate, &first, BUDGET_MS);
    assert_int_equal(await_end(fixture), 128 + SIGKILL);
    fixture->crash_at = NULL;
    fake_psp_set_mode(&fixture->psps, 0, FAKE_PSP_REFUSE);
    start_router(fixture);
    end_leases(fixture);
    opened(initiate(fixture, &second));
    assert_int_equal(fake_psp_calls(&fixture->psps, 0), 2);
    assert_string_equal(look(fixture->admin, ATTEMPTS), "Razorpay UNKNOWN, Cashfree OPEN");
}

static void a_key_has_one_payment_though_the_router_dies_before_its_call(void **state)
{
    die_and_try_again(*state, "router_begun");
}

static void a_key_has_one_payment_though_the_router_dies_with_the_answer(void **state)
{
    die_and_try_again(*state, "router_psp_answered");
}

static void a_key_has_one_payment_though_the_router_dies_before_it_answers(void **state)
{
    die_and_try_again(*state, "router_recorded");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_key_gets_the_payment_that_it_opened, setup, teardown),
    cmocka_unit_test_setup_teardown(a_checkout_is_replayed_though_its_order_is_closed_since, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_key_with_another_body_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(without_a_key_each_request_is_a_payment, setup, teardown),
    cmocka_unit_test_setup_teardown(a_refusal_is_remembered_with_the_request_it_was_told, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_key_of_yesterday_is_a_new_one, setup, teardown),
    cmocka_unit_test_setup_teardown(while_one_request_opens_a_checkout_another_is_told_so,
                                    setup_patient, teardown),
    cmocka_unit_test_setup_teardown(of_fifty_at_once_all_get_one_payment_or_are_told_to_wait,
                                    setup_patient, teardown),
    cmocka_unit_test_setup_teardown(what_every_psp_refused_goes_round_again_at_once, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(what_every_psp_refused_ends_when_its_order_is_closed, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(many_that_fail_together_let_go_of_their_keys, setup_patient,
                                    teardown),
    cmocka_unit_test_setup_teardown(where_the_order_closed_meanwhile_every_repetition_is_told_so,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(the_message_sent_once_more_goes_on_at_once, setup, teardown),
    cmocka_unit_test_setup_teardown(another_request_takes_over_when_the_lease_ends, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_lease_outlives_the_request_that_holds_it, setup, teardown),
    cmocka_unit_test_setup_teardown(
        a_refusal_of_a_repeated_call_leaves_it_unknown_whether_one_is_open, setup_without_router,
        teardown),
    cmocka_unit_test_setup_teardown(a_key_has_one_payment_though_the_router_dies_before_its_call,
                                    setup_without_router, teardown),
    cmocka_unit_test_setup_teardown(a_key_has_one_payment_though_the_router_dies_with_the_answer,
                                    setup_without_router, teardown),
    cmocka_unit_test_setup_teardown(a_key_has_one_payment_though_the_router_dies_before_it_answers,
                                    setup_without_router, teardown),
};

TEST_MAIN(tests)
