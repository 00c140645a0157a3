/* test_psp_sim_process_kill.c - tiffin-psp-sim as a process: what is left of it after kill -9, and
 * after SIGTERM.
 *
 * With registry_prototype.c: every PSP speaks the prototype's format.
 */
#include "tests/support/sim_process.h"

/* ---- kill -9 ---- */

static void killed_psp_concludes_what_was_pending_and_tells_of_it(void **state)
{
    (void)state;
    psp_checkout_t checkout = sim_paid(1), other = sim_paid(1);
    psp_refund_t due = sim_refund_of(&checkout, 700), later = sim_refund_of(&other, 800);
    sim_misbehave("razorpay", "{\"refund\":\"fail_later\",\"refund_delay_ms\":2500}");
    assert_int_equal(sim_answer_of(&later, 201).kind, PSP_FACT_REFUND_REQUESTED);
    sim_misbehave("razorpay", "{\"refund\":\"pending\",\"refund_delay_ms\":2000}");
    psp_report_t taken = sim_answer_of(&due, 201);
    assert_int_equal(taken.kind, PSP_FACT_REFUND_REQUESTED);
    child_kill(sim_process.pid);
    assert_int_equal(webhook_sink_count(&sim_process.gateway), 2);
    sim_process_again();

    webhook_sink_await(&sim_process.gateway, 4);
    psp_report_t first = sim_webhook_at(2), second = sim_webhook_at(3);
    assert_int_equal(first.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_true(uuid_equal(&first.refund_id, &due.refund_id));
    assert_string_equal(first.psp_ref, taken.psp_ref);
    assert_int_equal(second.kind, PSP_FACT_REFUND_FAILED);
    assert_true(uuid_equal(&second.refund_id, &later.refund_id));
    assert_int_equal(sim_answer_of(&due, 200).kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_int_equal(sim_answer_of(&later, 200).kind, PSP_FACT_REFUND_FAILED);
    assert_int_equal(sim_refunded_of(&checkout), 700);
    assert_int_equal(sim_refunded_of(&other), 0);
}

static void killed_psp_knows_its_refunds(void **state)
{
    (void)state;
    sim_misbehave("razorpay", "{\"duplicate_capture\":true}");
    psp_checkout_t checkout = sim_paid(2);
    psp_refund_t done = sim_refund_of(&checkout, 45000), over = sim_refund_of(&checkout, 1);
    psp_report_t before = sim_answer_of(&done, 201);
    sim_answer_of(&over, 422);
    child_kill(sim_process.pid);
    sim_process_again();
    psp_report_t after = sim_answer_of(&done, 200);
    assert_memory_equal(&after, &before, sizeof after);
    sim_answer_of(&over, 422);
    assert_int_equal(sim_book(&checkout.payment_id, "charge", NULL), 2);
    assert_int_equal(sim_refunded_of(&checkout), 45000);
}

static bool simulator_ended(void *exit_code)
{
    return child_ended(sim_process.pid, exit_code);
}

/* The exit code is also what the sanitizers found, of all that was done. */
static void psp_that_ends_leaves_pending_refunds_to_the_next(void **state)
{
    (void)state;
    int exit_code = -1;
    psp_checkout_t checkout = sim_paid(1);
    const uuid_t *payment = &checkout.payment_id;
    psp_refund_t done = sim_refund_of(&checkout, 1), over = sim_refund_of(&checkout, 45000),
                 refund = sim_refund_of(&checkout, 700);
    sim_answer_of(&done, 201);
    sim_answer_of(&over, 422);
    sim_script("/_sim/payments/*/settle", payment, NULL, NULL);
    sim_script("/_sim/payments/*/dispute", payment, "{\"outcome\":\"won\"}", NULL);
    sim_script("/_sim/payments/*/send", payment, "{}", NULL);
    webhook_sink_await(&sim_process.gateway, 5);
    sim_misbehave("razorpay", "{\"refund\":\"pending\",\"refund_delay_ms\":1000}");
    sim_answer_of(&refund, 201);
    kill(sim_process.pid, SIGTERM);
    wait_until(simulator_ended, &exit_code, SOON_MS, "the simulator does not end");
    assert_int_equal(exit_code, 0);
    sim_process_again();
    webhook_sink_await(&sim_process.gateway, 6);
    assert_int_equal(sim_webhook_at(5).kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_int_equal(sim_refunded_of(&checkout), 701);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(killed_psp_concludes_what_was_pending_and_tells_of_it,
                                    sim_process_start, sim_process_stop),
    cmocka_unit_test_setup_teardown(killed_psp_knows_its_refunds, sim_process_start,
                                    sim_process_stop),
    cmocka_unit_test_setup_teardown(psp_that_ends_leaves_pending_refunds_to_the_next,
                                    sim_process_start, sim_process_stop),
};
TEST_MAIN(tests)
