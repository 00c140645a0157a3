/* test_psp_sim_webhook.c - the webhooks that the simulator delivers, to a real HTTP server on
 * loopback: copies, delays, repeats.
 *
 * With registry_prototype.c: every PSP speaks the prototype's format.
 */
#include "tests/support/test_main.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "services/psp_sim/sim_event.h"
#include "services/psp_sim/sim_webhook.h"
#include "tests/support/webhook_sink.h"

static const int64_t now_us = INT64_C(1771632000000000);

static sim_checkout_t checkout_at(unsigned psp, const uuid_t *payment_id)
{
    return (sim_checkout_t){.psp = psp_at(psp),
                            .payment_id = *payment_id,
                            .order_id = uuid7_new(),
                            .attempt_id = uuid7_new(),
                            .amount = 45000,
                            .currency = "INR",
                            .method = "UPI",
                            .expires_at_us = now_us};
}

/* A gateway, and the queue that brings webhooks to it. */
typedef struct sink {
    webhook_sink_t gateway;
    actor_t *actor;
    sim_webhook_t *webhook;
    pthread_t loop;
    int stop_fds[2];
} sink_t;

static void on_stop(void *arg)
{
    sink_t *sink = arg;
    actor_stop(sink->actor);
}

static void *run_loop(void *arg)
{
    sink_t *sink = arg;
    (void)actor_run(sink->actor);
    return NULL;
}

static void sink_open(sink_t *sink, unsigned refusals)
{
    webhook_sink_open(&sink->gateway, refusals);
    sink->actor = actor_new();
    sink->webhook = sim_webhook_new(sink->actor, sink->gateway.url);
    assert_int_equal(pipe(sink->stop_fds), 0);
    actor_add_fd(sink->actor, sink->stop_fds[0], on_stop, sink);
    assert_int_equal(pthread_create(&sink->loop, NULL, run_loop, sink), 0);
}

static void sink_close(sink_t *sink)
{
    assert_int_equal(write(sink->stop_fds[1], "x", 1), 1);
    pthread_join(sink->loop, NULL);
    sim_webhook_stop(sink->webhook);
    actor_remove_fd(sink->actor, sink->stop_fds[0]);
    sim_webhook_destroy(&sink->webhook);
    actor_destroy(&sink->actor);
    webhook_sink_close(&sink->gateway);
    close(sink->stop_fds[0]);
    close(sink->stop_fds[1]);
}

/* The webhook of an outcome. */
static void send_outcome(sink_t *sink, const sim_checkout_t *outcome, const char *secrets,
                         sim_sending_t sending)
{
    sim_event_t event = sim_event_of_checkout(outcome, SIM_FIRST_CHARGE, 0);
    buf_t body = {0};
    sim_event_write(&event, secrets, &body);
    sim_message_t message = {.body = body};
    sim_webhook_send(sink->webhook, event.psp, event.id, &message, &sending);
    buf_free(&body);
}

static sim_checkout_t paid_checkout(void)
{
    uuid_t payment = uuid7_new();
    sim_checkout_t paid = checkout_at(0, &payment);
    paid.state = SIM_PAID;
    paid.outcome_serial = 7;
    paid.outcome_amount = 45000;
    paid.outcome_at_us = now_us;
    return paid;
}

static void webhook_verifies_at_the_connector(void **state)
{
    (void)state;
    sink_t sink;
    sim_checkout_t paid = paid_checkout();
    sink_open(&sink, 0);
    send_outcome(&sink, &paid, "new, old", (sim_sending_t){.copies = 1});
    webhook_sink_await(&sink.gateway, 1);
    assert_string_equal(sink.gateway.paths[0], "/webhooks/Razorpay");
    psp_report_t report = webhook_sink_report(&sink.gateway, 0, psp_at(0), "new");
    assert_int_equal(report.kind, PSP_FACT_CAPTURED);
    assert_true(uuid_equal(&report.payment_id, &paid.payment_id));
    assert_int_equal(report.amount, 45000);
    assert_string_equal(report.currency, "INR");
    assert_string_equal(report.psp_ref, "pay_00000000000007");
    assert_string_equal(report.event_id, "evt_00000000000007");
    sink_close(&sink);
}

static void copies_are_the_same_event(void **state)
{
    (void)state;
    sink_t sink;
    sim_checkout_t paid = paid_checkout();
    sink_open(&sink, 0);
    send_outcome(&sink, &paid, "s", (sim_sending_t){.copies = 2});
    webhook_sink_await(&sink.gateway, 2);
    assert_string_equal(sink.gateway.bodies[0], sink.gateway.bodies[1]);
    sink_close(&sink);
}

static void webhook_that_is_refused_comes_again(void **state)
{
    (void)state;
    sink_t sink;
    sim_checkout_t paid = paid_checkout();
    sink_open(&sink, 1);
    int64_t begun_ms = clock_mono_ms();
    send_outcome(&sink, &paid, "s", (sim_sending_t){.copies = 1});
    webhook_sink_await(&sink.gateway, 2);
    assert_true(clock_mono_ms() - begun_ms >= 190);
    assert_string_equal(sink.gateway.bodies[0], sink.gateway.bodies[1]);
    sink_close(&sink);
}

static void sender_that_waits_returns_after_the_first_try(void **state)
{
    (void)state;
    sink_t sink;
    sim_checkout_t paid = paid_checkout();
    sink_open(&sink, 1);
    send_outcome(&sink, &paid, "s", (sim_sending_t){.copies = 1, .wait_ms = 10000});
    assert_true(webhook_sink_count(&sink.gateway) >= 1);
    sink_close(&sink);
}

static void delayed_webhook_is_not_early(void **state)
{
    (void)state;
    sink_t sink;
    sim_checkout_t paid = paid_checkout();
    sink_open(&sink, 0);
    int64_t begun_ms = clock_mono_ms();
    send_outcome(&sink, &paid, "s", (sim_sending_t){.copies = 1, .delay_ms = 150});
    webhook_sink_await(&sink.gateway, 1);
    assert_true(clock_mono_ms() - begun_ms >= 150);
    sink_close(&sink);
}

static void what_is_queued_can_be_forgotten(void **state)
{
    (void)state;
    sink_t sink;
    sim_checkout_t paid = paid_checkout();
    sink_open(&sink, 0);
    for (unsigned i = 0; i < 100; i++)
        send_outcome(&sink, &paid, "s", (sim_sending_t){.copies = 1, .delay_ms = 3600000});
    sim_webhook_forget(sink.webhook);
    send_outcome(&sink, &paid, "s", (sim_sending_t){.copies = 1, .wait_ms = 10000});
    assert_int_equal(webhook_sink_count(&sink.gateway), 1);
    sink_close(&sink);
}

static void pauses_between_tries_grow_to_a_bound(void **state)
{
    (void)state;
    assert_int_equal(sim_webhook_backoff_ms(1), 200);
    assert_int_equal(sim_webhook_backoff_ms(2), 400);
    assert_int_equal(sim_webhook_backoff_ms(8), 25600);
    assert_int_equal(sim_webhook_backoff_ms(9), 30000);
    assert_int_equal(sim_webhook_backoff_ms(1000), 30000);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(webhook_verifies_at_the_connector),
    cmocka_unit_test(copies_are_the_same_event),
    cmocka_unit_test(webhook_that_is_refused_comes_again),
    cmocka_unit_test(sender_that_waits_returns_after_the_first_try),
    cmocka_unit_test(delayed_webhook_is_not_early),
    cmocka_unit_test(what_is_queued_can_be_forgotten),
    cmocka_unit_test(pauses_between_tries_grow_to_a_bound),
};
TEST_MAIN(tests)
