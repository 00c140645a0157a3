/* test_psp_sim_process_refunds.c - tiffin-psp-sim as a process between the connector and a gateway:
 * refunds in every mode, and of who was charged twice.
 *
 * With registry_prototype.c: every PSP speaks the prototype's format.
 */
#include "tests/support/sim_process.h"

/* ---- refunds ---- */

static void refund_is_answered_told_and_booked_once(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1);
    psp_refund_t refund = sim_refund_of(&checkout, 13500);
    psp_report_t answer = sim_answer_of(&refund, 201);
    webhook_sink_await(&sim_process.gateway, 2);
    psp_report_t told = sim_webhook_at(1);
    assert_int_equal(answer.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_int_equal(told.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_string_equal(told.psp_ref, answer.psp_ref);
    assert_int_equal(told.amount, 13500);
    assert_true(uuid_equal(&told.refund_id, &refund.refund_id));
    assert_true(uuid_equal(&told.payment_id, &refund.payment_id));
    assert_true(uuid_equal(&told.order_id, &refund.order_id));
    assert_non_null(strstr(sim_process.gateway.bodies[1], "\"status\":\"SUCCESS\""));

    psp_report_t again = sim_answer_of(&refund, 200);
    assert_memory_equal(&again, &answer, sizeof again);
    assert_int_equal(sim_refunded_of(&checkout), 13500);
    assert_int_equal(sim_book(&checkout.payment_id, "refund", NULL), 1);
}

static void status_of_a_refunded_payment_is_still_captured(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1);
    psp_report_t before = sim_status(0, &checkout.payment_id);
    psp_refund_t refund = sim_refund_of(&checkout, checkout.amount);
    sim_answer_of(&refund, 201);
    psp_report_t after = sim_status(0, &checkout.payment_id);
    assert_int_equal(after.kind, PSP_FACT_CAPTURED);
    assert_memory_equal(&after, &before, sizeof after);
}

static void refund_over_the_charge_is_refused_for_good(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1);
    psp_refund_t part = sim_refund_of(&checkout, 45000 - 100), over = sim_refund_of(&checkout, 101);
    sim_answer_of(&part, 201);
    psp_report_t answer = sim_answer_of(&over, 422);
    assert_int_equal(answer.kind, PSP_FACT_REFUND_FAILED);
    assert_string_equal(answer.reason, "HTTP 422: the charge has 100 left");
    sim_answer_of(&over, 422);
    assert_int_equal(sim_refunded_of(&checkout), 44900);
}

static void key_with_another_refund_is_refused(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1);
    psp_refund_t refund = sim_refund_of(&checkout, 100);
    sim_answer_of(&refund, 201);
    refund.amount = 101;
    assert_non_null(strstr(sim_answer_of(&refund, 422).reason, "came with another request"));
    assert_int_equal(sim_refunded_of(&checkout), 100);
}

static void refund_of_nothing_is_refused(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1);
    psp_refund_t refund = sim_refund_of(&checkout, 100);
    snprintf(refund.capture_ref, sizeof refund.capture_ref, "txn_other");
    assert_string_equal(sim_answer_of(&refund, 404).reason, "HTTP 404: there is no such charge");
    refund = sim_refund_of(&checkout, 0);
    assert_non_null(strstr(sim_answer_of(&refund, 400).reason, "amount"));
    refund = sim_refund_of(&checkout, 100);
    snprintf(refund.currency, sizeof refund.currency, "XXX");
    assert_non_null(strstr(sim_answer_of(&refund, 400).reason, "currency"));
    refund = sim_refund_of(&checkout, 100);
    snprintf(refund.reason, sizeof refund.reason, "a\nb");
    assert_non_null(strstr(sim_answer_of(&refund, 400).reason, "reason"));
    refund = sim_refund_of(&checkout, 100);
    sim_client.accounts.of[0].key_secret = "wrong";
    assert_int_equal(sim_no_answer_of(&refund, 0), 401);
    assert_int_equal(sim_refunded_of(&checkout), 0);
}

static void refund_without_its_key_is_refused(void **state)
{
    (void)state;
    static const char body[] =
        "{\"refund_id\":\"0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a3b\","
        "\"payment_id\":\"0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a2b\","
        "\"order_id\":\"0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1b\",\"gateway_txn_id\":\"txn_1\","
        "\"amount\":1,\"currency\":\"INR\"}";
    http_client_request_t request = {.method = "POST", .timeout_ms = SOON_MS};
    void *cookie;
    snprintf(request.url, sizeof request.url, "%s/razorpay/v1/refunds", sim_client.base);
    http_client_request_header(&request, "Authorization: Basic cnpwX3Rlc3Rfa2V5OmRldi1zZWNyZXQ=");
    buf_add_text(&request.body, body);
    http_client_submit(sim_client.http, &request, NULL);
    http_client_response_t response = sim_await(&cookie);
    assert_int_equal(response.status, 400);
    assert_non_null(strstr(response.body.data, "Idempotency-Key must be the refund_id"));
    buf_free(&response.body);
    assert_int_equal(sim_call("POST", "/nobody/v1/refunds", body, NULL), 404);
}

static void pending_refund_is_done_later_and_told(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1);
    psp_refund_t refund = sim_refund_of(&checkout, 500);
    sim_misbehave("razorpay", "{\"refund\":\"pending\",\"refund_delay_ms\":300}");
    int64_t begun_ms = clock_mono_ms();
    psp_report_t taken = sim_answer_of(&refund, 201);
    assert_int_equal(taken.kind, PSP_FACT_REFUND_REQUESTED);
    webhook_sink_await(&sim_process.gateway, 2);
    assert_true(clock_mono_ms() - begun_ms >= 300);
    psp_report_t told = sim_webhook_at(1), after = sim_answer_of(&refund, 200);
    assert_int_equal(told.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_string_equal(told.psp_ref, taken.psp_ref);
    assert_int_equal(after.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_string_equal(after.psp_ref, taken.psp_ref);
    assert_int_equal(sim_refunded_of(&checkout), 500);
}

static void many_pending_refunds_are_all_done(void **state)
{
    (void)state;
    enum { REFUNDS = 50 };
    psp_checkout_t checkout = sim_paid(1);
    sim_misbehave("razorpay", "{\"refund\":\"pending\",\"refund_delay_ms\":20}");
    for (unsigned i = 0; i < REFUNDS; i++) {
        psp_refund_t refund = sim_refund_of(&checkout, 1 + i);
        sim_answer_of(&refund, 201);
    }
    webhook_sink_await(&sim_process.gateway, 1 + REFUNDS);
    assert_int_equal(sim_book(&checkout.payment_id, "refund", NULL), REFUNDS);
    assert_int_equal(sim_refunded_of(&checkout), REFUNDS * (REFUNDS + 1) / 2);
}

static void refund_can_fail_after_it_was_taken(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1);
    psp_refund_t refund = sim_refund_of(&checkout, 45000), other = sim_refund_of(&checkout, 45000);
    sim_misbehave("razorpay", "{\"refund\":\"fail_later\",\"refund_delay_ms\":50}");
    assert_int_equal(sim_answer_of(&refund, 201).kind, PSP_FACT_REFUND_REQUESTED);
    webhook_sink_await(&sim_process.gateway, 2);
    psp_report_t told = sim_webhook_at(1), after = sim_answer_of(&refund, 200);
    assert_int_equal(told.kind, PSP_FACT_REFUND_FAILED);
    assert_string_equal(told.reason, "the customer's bank sent the money back");
    assert_int_equal(after.kind, PSP_FACT_REFUND_FAILED);
    assert_string_equal(after.psp_ref, told.psp_ref);
    assert_string_equal(after.reason, told.reason);
    assert_int_equal(sim_refunded_of(&checkout), 0);
    sim_misbehave("razorpay", "{}");
    sim_answer_of(&other, 201);
    assert_int_equal(sim_refunded_of(&checkout), 45000);
}

static void refused_refund_stays_refused_and_is_told_by_no_webhook(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1);
    psp_refund_t refund = sim_refund_of(&checkout, 500), other = sim_refund_of(&checkout, 600);
    sim_misbehave("razorpay", "{\"refund\":\"refuse\"}");
    assert_string_equal(sim_answer_of(&refund, 422).reason,
                        "HTTP 422: the charge cannot be refunded");
    sim_misbehave("razorpay", "{}");
    sim_answer_of(&refund, 422);
    sim_answer_of(&other, 201);
    webhook_sink_await(&sim_process.gateway, 2);
    psp_report_t told = sim_webhook_at(1);
    assert_true(uuid_equal(&told.refund_id, &other.refund_id));
    assert_int_equal(sim_refunded_of(&checkout), 600);
}

static void refund_whose_answer_is_lost_is_done(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1);
    psp_refund_t refund = sim_refund_of(&checkout, 500);
    sim_misbehave("razorpay", "{\"refund\":\"unknown\"}");
    assert_int_equal(sim_no_answer_of(&refund, 0), 500);
    assert_int_equal(sim_no_answer_of(&refund, 0), 500);
    webhook_sink_await(&sim_process.gateway, 2);
    assert_int_equal(sim_webhook_at(1).kind, PSP_FACT_REFUND_SUCCEEDED);
    sim_misbehave("razorpay", "{}");
    assert_int_equal(sim_answer_of(&refund, 200).kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_int_equal(sim_refunded_of(&checkout), 500);
}

static void refund_that_hangs_is_done_and_holds_no_checkout(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1);
    psp_refund_t refund = sim_refund_of(&checkout, 500);
    sim_misbehave("razorpay", "{\"refund\":\"hang\",\"hang_ms\":3600000}");
    assert_int_equal(sim_no_answer_of(&refund, 200), 0);
    sim_paid(1);
    webhook_sink_await(&sim_process.gateway, 3);
    sim_misbehave("razorpay", "{}");
    assert_int_equal(sim_answer_of(&refund, 200).kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_int_equal(sim_refunded_of(&checkout), 500);
}

static void psp_that_is_down_refunds_nothing(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1);
    psp_refund_t refund = sim_refund_of(&checkout, 500);
    sim_misbehave("razorpay", "{\"refuse\":true}");
    assert_int_equal(sim_no_answer_of(&refund, 0), 503);
    sim_misbehave("razorpay", "{\"error_rate\":1}");
    assert_int_equal(sim_no_answer_of(&refund, 0), 500);
    assert_int_equal(sim_refunded_of(&checkout), 0);
    sim_misbehave("razorpay", "{}");
    sim_answer_of(&refund, 201);
}

/* ---- charged twice ---- */

static void customer_charged_twice_is_told_twice_and_refunded_by_charge(void **state)
{
    (void)state;
    sim_misbehave("razorpay", "{\"duplicate_capture\":true}");
    psp_checkout_t checkout = sim_paid(2);
    sim_misbehave("razorpay", "{}");
    psp_report_t one = sim_webhook_at(0), other = sim_webhook_at(1);
    int64_t charged;
    assert_int_equal(one.kind, PSP_FACT_CAPTURED);
    assert_int_equal(other.kind, PSP_FACT_CAPTURED);
    assert_true(uuid_equal(&one.payment_id, &other.payment_id));
    assert_string_not_equal(one.psp_ref, other.psp_ref);
    assert_string_not_equal(one.event_id, other.event_id);
    assert_int_equal(sim_book(&checkout.payment_id, "charge", &charged), 2);
    assert_int_equal(charged, 90000);
    psp_report_t first = sim_status(0, &checkout.payment_id);
    assert_true(strcmp(first.psp_ref, one.psp_ref) == 0 ||
                strcmp(first.psp_ref, other.psp_ref) == 0);

    psp_refund_t refund = sim_refund_of(&checkout, 45000), second = refund, over;
    second.refund_id = uuid7_new();
    snprintf(second.capture_ref, sizeof second.capture_ref, "%s",
             strcmp(first.psp_ref, one.psp_ref) == 0 ? other.psp_ref : one.psp_ref);
    over = second;
    over.refund_id = uuid7_new();
    over.amount = 1;
    sim_answer_of(&second, 201);
    sim_answer_of(&over, 422);
    sim_answer_of(&refund, 201);
    assert_int_equal(sim_refunded_of(&checkout), 90000);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(refund_is_answered_told_and_booked_once, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(status_of_a_refunded_payment_is_still_captured,
                                    sim_process_start, sim_process_stop),
    cmocka_unit_test_setup_teardown(refund_over_the_charge_is_refused_for_good, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(key_with_another_refund_is_refused, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(refund_of_nothing_is_refused, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(refund_without_its_key_is_refused, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(pending_refund_is_done_later_and_told, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(many_pending_refunds_are_all_done, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(refund_can_fail_after_it_was_taken, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(refused_refund_stays_refused_and_is_told_by_no_webhook,
                                    sim_process_start, sim_process_stop),
    cmocka_unit_test_setup_teardown(refund_whose_answer_is_lost_is_done, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(refund_that_hangs_is_done_and_holds_no_checkout,
                                    sim_process_start, sim_process_stop),
    cmocka_unit_test_setup_teardown(psp_that_is_down_refunds_nothing, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(customer_charged_twice_is_told_twice_and_refunded_by_charge,
                                    sim_process_start, sim_process_stop),
};
TEST_MAIN(tests)
