/* test_psp_sim_process_scripts.c - tiffin-psp-sim as a process: how its webhooks come, and what it
 * does and says because a script wants it.
 *
 * With registry_prototype.c: every PSP speaks the prototype's format.
 */
#include "tests/support/sim_process.h"

/* ---- how webhooks come ---- */

static void webhook_of_a_refund_can_come_twice(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1);
    psp_refund_t refund = sim_refund_of(&checkout, 500);
    sim_misbehave("razorpay", "{\"webhook\":\"twice\"}");
    sim_answer_of(&refund, 201);
    webhook_sink_await(&sim_process.gateway, 3);
    assert_string_equal(sim_process.gateway.bodies[1], sim_process.gateway.bodies[2]);
}

static void webhook_of_a_refund_can_come_before_its_answer(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1);
    psp_refund_t refund = sim_refund_of(&checkout, 500);
    sim_misbehave("razorpay", "{\"webhook\":\"before\"}");
    sim_answer_of(&refund, 201);
    assert_int_equal(webhook_sink_count(&sim_process.gateway), 2);
}

static void silent_psp_tells_of_nothing_but_what_a_script_sends(void **state)
{
    (void)state;
    sim_misbehave("razorpay", "{\"webhook\":\"none\"}");
    psp_checkout_t checkout = sim_paid(0);
    psp_refund_t refund = sim_refund_of(&checkout, 500), pending = sim_refund_of(&checkout, 1);
    sim_answer_of(&refund, 201);
    sim_misbehave("razorpay",
                  "{\"webhook\":\"none\",\"refund\":\"pending\",\"refund_delay_ms\":0}");
    sim_answer_of(&pending, 201);
    const uuid_t *payment = &checkout.payment_id;
    assert_int_equal(sim_script("/_sim/payments/*/settle", payment, "{}", NULL), 200);
    assert_int_equal(
        sim_script("/_sim/payments/*/dispute", payment, "{\"outcome\":\"opened\"}", NULL), 200);
    assert_int_equal(
        sim_script("/_sim/payments/*/send", payment, "{\"event_id\":\"the_only_one\"}", NULL), 200);
    webhook_sink_await(&sim_process.gateway, 1);
    assert_string_equal(sim_webhook_at(0).event_id, "the_only_one");
    assert_int_equal(webhook_sink_count(&sim_process.gateway), 1);
}

static void webhooks_of_what_happened_can_come_shuffled(void **state)
{
    (void)state;
    enum { PAYMENTS = 20 };
    uuid_t payments[PAYMENTS];
    sim_misbehave("razorpay", "{\"webhook\":\"reorder\",\"webhook_delay_ms\":400}");
    int64_t begun_ms = clock_mono_ms();
    for (unsigned i = 0; i < PAYMENTS; i++)
        payments[i] = sim_paid(0).payment_id;
    webhook_sink_await(&sim_process.gateway, PAYMENTS);
    assert_true(clock_mono_ms() - begun_ms < SOON_MS);
    unsigned in_order = 0, times[PAYMENTS] = {0};
    for (unsigned i = 0; i < PAYMENTS; i++) {
        psp_report_t told = sim_webhook_at(i);
        in_order += uuid_equal(&told.payment_id, &payments[i]);
        for (unsigned j = 0; j < PAYMENTS; j++)
            times[j] += uuid_equal(&told.payment_id, &payments[j]);
    }
    assert_true(in_order < PAYMENTS);
    for (unsigned i = 0; i < PAYMENTS; i++)
        assert_int_equal(times[i], 1);
}

/* ---- scripts ---- */

static void dispute_is_told_by_its_own_reference(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        psp_fact_kind_t kind;
    } cases[] = {{"{\"outcome\":\"opened\"}", PSP_FACT_DISPUTE_OPENED},
                 {"{\"outcome\":\"lost\"}", PSP_FACT_DISPUTE_LOST},
                 {"{\"outcome\":\"won\"}", PSP_FACT_DISPUTE_WON},
                 {"{\"outcome\":\"won\"}", PSP_FACT_DISPUTE_WON}};
    psp_checkout_t checkout = sim_paid(1);
    psp_report_t capture = sim_webhook_at(0), last[4];
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(
            sim_script("/_sim/payments/*/dispute", &checkout.payment_id, cases[i].body, NULL), 200);
        webhook_sink_await(&sim_process.gateway, 2 + i);
        last[i] = sim_webhook_at(1 + i);
        assert_int_equal(last[i].kind, cases[i].kind);
        assert_int_equal(last[i].amount, 45000);
        assert_string_equal(last[i].psp_ref, last[0].psp_ref);
    }
    assert_string_not_equal(last[0].psp_ref, capture.psp_ref);
    assert_string_not_equal(last[0].event_id, last[1].event_id);
    assert_string_not_equal(last[1].event_id, last[2].event_id);
    assert_string_equal(last[2].event_id, last[3].event_id);
    assert_int_equal(sim_book(&checkout.payment_id, "charge", NULL), 1);
    assert_int_equal(sim_refunded_of(&checkout), 0);
}

static void settlement_keeps_two_percent_of_each_charge(void **state)
{
    (void)state;
    sim_misbehave("razorpay", "{\"duplicate_capture\":true,\"amount_delta\":-1}");
    psp_checkout_t checkout = sim_paid(2);
    psp_report_t charges[2] = {sim_webhook_at(0), sim_webhook_at(1)}, payouts[2];
    assert_int_equal(sim_script("/_sim/payments/*/settle", &checkout.payment_id, NULL, NULL), 200);
    webhook_sink_await(&sim_process.gateway, 4);
    for (unsigned i = 0; i < 2; i++) {
        payouts[i] = sim_webhook_at(2 + i);
        assert_int_equal(payouts[i].kind, PSP_FACT_SETTLED);
        assert_int_equal(payouts[i].amount, 44999);
        assert_int_equal(payouts[i].fee, 899);
    }
    const bool same = strcmp(payouts[0].psp_ref, charges[0].psp_ref) == 0;
    assert_string_equal(payouts[same ? 0 : 1].psp_ref, charges[0].psp_ref);
    assert_string_equal(payouts[same ? 1 : 0].psp_ref, charges[1].psp_ref);
}

static void script_sends_whatever_it_likes(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1);
    const uuid_t *payment = &checkout.payment_id;
    const char *text;
    assert_int_equal(sim_script("/_sim/payments/*/send", payment, "{}", &text), 200);
    assert_null(strstr(text, "signature"));
    webhook_sink_await(&sim_process.gateway, 2);
    psp_report_t first = sim_webhook_at(0), again = sim_webhook_at(1);
    assert_string_not_equal(again.event_id, first.event_id);
    assert_string_equal(again.psp_ref, first.psp_ref);
    assert_int_equal(again.kind, PSP_FACT_CAPTURED);

    assert_int_equal(sim_script("/_sim/payments/*/send", payment,
                                "{\"kind\":\"voided\",\"status\":null,\"amount\":7,"
                                "\"currency\":\"USD\",\"gateway_txn_id\":\"v_1\","
                                "\"event_id\":\"evt_mine\",\"note\":{\"deep\":[1]},"
                                "\"occurred_at\":\"2026-02-21T00:00:00Z\"}",
                                &text),
                     200);
    assert_non_null(strstr(text, "\"event_id\":\"evt_mine\""));
    webhook_sink_await(&sim_process.gateway, 3);
    psp_report_t odd = sim_webhook_at(2);
    assert_int_equal(odd.kind, PSP_FACT_VOIDED);
    assert_int_equal(odd.amount, 7);
    assert_string_equal(odd.currency, "USD");
    assert_string_equal(odd.psp_ref, "v_1");
    assert_string_equal(odd.event_id, "evt_mine");
    assert_int_equal(odd.occurred_at_us, INT64_C(1771632000000000));
    assert_null(strstr(sim_process.gateway.bodies[2], "\"status\""));
    assert_non_null(strstr(sim_process.gateway.bodies[2], "\"note\":{\"deep\":[1]}"));

    assert_int_equal(
        sim_script("/_sim/payments/*/send", payment, "{\"signature\":\"Razorpay:no\"}", NULL), 200);
    webhook_sink_await(&sim_process.gateway, 4);
    assert_non_null(strstr(sim_process.gateway.bodies[3], "\"signature\":\"Razorpay:no\""));
    assert_int_equal(sim_book(payment, "charge", NULL), 1);
}

static void script_can_speak_of_a_payment_that_is_not_paid(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
    assert_int_equal(sim_script("/_sim/payments/*/send", &payment,
                                "{\"status\":\"SUCCESS\",\"gateway_txn_id\":\"t\"}", NULL),
                     200);
    webhook_sink_await(&sim_process.gateway, 1);
    assert_int_equal(sim_webhook_at(0).kind, PSP_FACT_CAPTURED);
    assert_int_equal(sim_status(0, &payment).kind, PSP_FACT_NONE);
    assert_int_equal(sim_book(&payment, "charge", NULL), 0);
}

static void script_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    uuid_t nobody = uuid7_new(), open = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&open), done = sim_paid(1);
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
    static const char opened[] = "{\"outcome\":\"opened\"}";
    assert_int_equal(sim_script("/_sim/payments/*/dispute", &nobody, opened, NULL), 404);
    assert_int_equal(sim_script("/_sim/payments/*/settle", &nobody, NULL, NULL), 404);
    assert_int_equal(sim_script("/_sim/payments/*/send", &nobody, "{}", NULL), 404);
    assert_int_equal(sim_script("/_sim/payments/*/dispute", &open, opened, NULL), 422);
    assert_int_equal(sim_script("/_sim/payments/*/settle", &open, NULL, NULL), 422);
    static const char *const wrong[] = {"",
                                        "{}",
                                        "[]",
                                        "{\"outcome\":\"drawn\"}",
                                        "{\"outcome\":1}",
                                        "{\"outcome\":\"won\",\"amount\":1}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(sim_script("/_sim/payments/*/dispute", &done.payment_id, wrong[i], NULL),
                         400);
    assert_int_equal(sim_script("/_sim/payments/*/send", &done.payment_id, "[]", NULL), 400);
    assert_int_equal(sim_call("POST", "/_sim/payments/nonsense/send", "{}", NULL), 404);
}

static void scripts_are_heard_however_many_calls_hang(void **state)
{
    (void)state;
    enum { CALLS = 300 }; /* more than it has threads */
    sim_misbehave("razorpay", "{\"hang_ms\":3600000}");
    for (unsigned i = 0; i < CALLS; i++) {
        uuid_t payment = uuid7_new();
        psp_checkout_t checkout = sim_checkout_of(&payment);
        http_client_request_t request;
        psp_checkout_request(psp_at(0), sim_account(0), &checkout, &request);
        request.timeout_ms = SIM_CLIENT_PATIENCE_MS;
        request.timeout_ms = 10 * SOON_MS;
        http_client_submit(sim_client.http, &request, NULL);
    }
    /* Those that hung longest are answered; as many hang as may. */
    for (unsigned i = 0; i < CALLS - 192; i++) {
        void *cookie;
        http_client_response_t response = sim_await(&cookie);
        assert_int_equal(response.status, 201);
        buf_free(&response.body);
    }
    assert_int_equal(http_client_pending(sim_client.http), 192);
    int64_t begun_ms = clock_mono_ms();
    assert_int_equal(sim_call("GET", "/healthz", NULL, NULL), 200);
    sim_misbehave("razorpay", "{}");
    sim_paid(1);
    assert_true(clock_mono_ms() - begun_ms < SOON_MS / 2);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(webhook_of_a_refund_can_come_twice, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(webhook_of_a_refund_can_come_before_its_answer,
                                    sim_process_start, sim_process_stop),
    cmocka_unit_test_setup_teardown(silent_psp_tells_of_nothing_but_what_a_script_sends,
                                    sim_process_start, sim_process_stop),
    cmocka_unit_test_setup_teardown(webhooks_of_what_happened_can_come_shuffled, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(dispute_is_told_by_its_own_reference, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(settlement_keeps_two_percent_of_each_charge, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(script_sends_whatever_it_likes, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(script_can_speak_of_a_payment_that_is_not_paid,
                                    sim_process_start, sim_process_stop),
    cmocka_unit_test_setup_teardown(script_that_makes_no_sense_is_refused, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(scripts_are_heard_however_many_calls_hang, sim_process_start,
                                    sim_process_stop),
};
TEST_MAIN(tests)
