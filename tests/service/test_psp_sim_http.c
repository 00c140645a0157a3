/* test_psp_sim_http.c - the simulator as a whole behind HTTP: the prototype's connector speaks to
 * it, scripts steer it, a customer sees its page. It runs in this process, on a free port.
 *
 * With registry_prototype.c: every PSP speaks the prototype's format.
 */
#include "tests/support/test_main.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "services/psp_sim/sim.h"
#include "tests/support/sim_client.h"

typedef struct fixture {
    sim_config_t config;
    actor_t *actor;
    sim_t *sim;
    pthread_t loop;
    int stop_fds[2];
} fixture_t;

static fixture_t fixture;

static void on_stop(void *arg)
{
    (void)arg;
    actor_stop(fixture.actor);
    actor_remove_fd(fixture.actor, fixture.stop_fds[0]);
}

static void *run_loop(void *arg)
{
    (void)arg;
    (void)actor_run(fixture.actor);
    return NULL;
}

static const char *find(const char *name, void *arg)
{
    (void)arg;
    if (strcmp(name, "PSP_SIM_ADDR") == 0)
        return "127.0.0.1:0";
    if (strcmp(name, "PSP_SIM_WEBHOOK_URL") == 0)
        return "http://127.0.0.1:1/webhooks"; /* nobody is there */
    if (strcmp(name, "LOG_LEVEL") == 0)
        return "error";
    return NULL;
}

static int start(void **state)
{
    (void)state;
    err_detail_t detail;
    memset(&fixture, 0, sizeof fixture);
    assert_int_equal(config_read(sim_settings, &fixture.config, find, NULL, &detail), ERR_OK);
    fixture.actor = actor_new();
    fixture.sim = sim_new(fixture.actor, &fixture.config);
    sim_client_open(http_server_port(fixture.sim->server));
    assert_int_equal(pipe(fixture.stop_fds), 0);
    actor_add_fd(fixture.actor, fixture.stop_fds[0], on_stop, NULL);
    return pthread_create(&fixture.loop, NULL, run_loop, NULL);
}

/* As SIGTERM would end it. */
static int stop(void **state)
{
    (void)state;
    assert_int_equal(write(fixture.stop_fds[1], "x", 1), 1);
    pthread_join(fixture.loop, NULL);
    sim_client_close();
    sim_destroy(&fixture.sim);
    actor_destroy(&fixture.actor);
    close(fixture.stop_fds[0]);
    close(fixture.stop_fds[1]);
    return 0;
}

/* ---- the PSP's API ---- */

static void connector_opens_pays_and_reads_the_status(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    psp_checkout_answer_t first = sim_create(0, &checkout), again = sim_create(0, &checkout);
    assert_int_equal(first.outcome, PSP_CHECKOUT_OPEN);
    assert_memory_equal(&first, &again, sizeof first);
    assert_non_null(strstr(first.checkout_url, sim_path("/checkout/*", &payment)));
    assert_int_equal(sim_status(0, &payment).kind, PSP_FACT_NONE);

    const char *text;
    assert_int_equal(sim_script("/_sim/payments/*/pay", &payment, NULL, &text), 200);
    assert_non_null(strstr(text, "\"status\":\"SUCCESS\""));
    psp_report_t report = sim_status(0, &payment);
    assert_int_equal(report.kind, PSP_FACT_CAPTURED);
    assert_int_equal(report.amount, 45000);
    assert_non_null(strstr(text, report.psp_ref));
    assert_true(uuid_equal(&report.order_id, &checkout.order_id));
}

static void other_psp_knows_nothing_of_a_payment(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
    psp_report_t report = sim_status(1, &payment);
    assert_int_equal(report.kind, PSP_FACT_NONE);
    assert_non_null(strstr(report.reason, "does not know"));
}

static void wrong_key_is_refused(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    sim_client.accounts.of[0].base_url = sim_client.psp_urls[1]; /* Razorpay's key at Cashfree */
    psp_checkout_answer_t answer = sim_create(0, &checkout);
    assert_int_equal(answer.outcome, PSP_CHECKOUT_REFUSED);
    assert_string_equal(answer.reason, "HTTP 401: the key is wrong");
    assert_int_equal(sim_script("/_sim/payments/*/pay", &payment, NULL, NULL), 404);
}

static void key_with_another_request_is_refused(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
    checkout.amount = 1;
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_REFUSED);
}

static void request_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    snprintf(checkout.currency, sizeof checkout.currency, "XXX");
    assert_string_equal(sim_create(0, &checkout).reason,
                        "HTTP 400: currency must be an ISO 4217 code");
    checkout = sim_checkout_of(&payment);
    checkout.amount = 0;
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_REFUSED);
    checkout = sim_checkout_of(&payment);
    snprintf(checkout.return_url, sizeof checkout.return_url, "javascript:alert(1)");
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_REFUSED);
}

/* ---- faults ---- */

static void refusing_psp_does_nothing(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    sim_misbehave("razorpay", "{\"refuse\":true}");
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_REFUSED);
    assert_int_equal(sim_script("/_sim/payments/*/pay", &payment, NULL, NULL), 404);
    sim_misbehave("Razorpay", "{\"error_rate\":1}");
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_UNKNOWN);
    assert_int_equal(sim_script("/_sim/payments/*/pay", &payment, NULL, NULL), 404);
    sim_misbehave("RAZORPAY", "{}");
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
}

static void hanging_call_is_carried_out_and_holds_nobody_else(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new(), other = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment), quick = sim_checkout_of(&other);
    http_client_request_t request;
    sim_misbehave("razorpay", "{\"hang_ms\":3600000}");
    psp_checkout_request(psp_at(0), sim_account(0), &checkout, &request);
    request.timeout_ms = SIM_CLIENT_PATIENCE_MS;
    request.timeout_ms = 300;
    http_client_submit(sim_client.http, &request, &checkout);
    int64_t begun_ms = clock_mono_ms();
    assert_int_equal(sim_create(1, &quick).outcome, PSP_CHECKOUT_OPEN);
    assert_true(clock_mono_ms() - begun_ms < 5000);
    void *cookie;
    http_client_response_t response = sim_await(&cookie);
    assert_ptr_equal(cookie, &checkout);
    assert_int_equal(response.err, ERR_HTTP_TIMEOUT);
    buf_free(&response.body);
    /* It happened all the same. */
    assert_int_equal(sim_script("/_sim/payments/*/pay", &payment, NULL, NULL), 200);
}

static void amount_that_is_charged_can_differ(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    sim_misbehave("razorpay", "{\"amount_delta\":-500,\"webhook\":\"none\"}");
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
    assert_int_equal(sim_script("/_sim/payments/*/pay", &payment, NULL, NULL), 200);
    assert_int_equal(sim_status(0, &payment).amount, 44500);
}

static void customer_can_be_faster_than_the_answer(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    sim_misbehave("razorpay", "{\"webhook\":\"before\"}");
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
    assert_int_equal(sim_book(&payment, "charge", NULL), 1);
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
    assert_int_equal(sim_book(&payment, "charge", NULL), 1);
}

/* ---- scripts ---- */

static void fail_after_pay_is_a_conflict_and_pay_after_fail_is_not(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    const char *text;
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
    assert_int_equal(sim_script("/_sim/payments/*/fail", &payment, NULL, &text), 200);
    assert_non_null(strstr(text, "\"status\":\"FAILED\""));
    assert_int_equal(sim_status(0, &payment).kind, PSP_FACT_FAILED);
    assert_int_equal(sim_script("/_sim/payments/*/pay", &payment, NULL, NULL), 200);
    assert_int_equal(sim_script("/_sim/payments/*/pay", &payment, NULL, NULL), 200);
    assert_int_equal(sim_script("/_sim/payments/*/fail", &payment, NULL, NULL), 409);
    assert_int_equal(sim_book(&payment, "charge", NULL), 1);
}

static void what_is_not_understood_is_refused(void **state)
{
    (void)state;
    assert_int_equal(sim_call("POST", "/_sim/payments/nonsense/pay", NULL, NULL), 404);
    assert_int_equal(sim_call("PUT", "/_sim/razorpay/faults", "{\"refuze\":true}", NULL), 400);
    assert_int_equal(sim_call("PUT", "/_sim/nobody/faults", "{}", NULL), 404);
    assert_int_equal(sim_call("GET", "/_sim/book?payment_id=x", NULL, NULL), 400);
    assert_int_equal(sim_call("GET", "/_sim/book?paymentid=x", NULL, NULL), 400);
    assert_int_equal(sim_call("GET", "/nobody/v1/payments/x", NULL, NULL), 404);
}

static void reset_forgets_payments_and_faults(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    const char *text;
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
    assert_int_equal(sim_script("/_sim/payments/*/pay", &payment, NULL, NULL), 200);
    sim_misbehave("razorpay", "{\"refuse\":true}");
    assert_int_equal(sim_call("POST", "/_sim/reset", NULL, NULL), 200);
    assert_int_equal(sim_call("GET", "/_sim/book", NULL, &text), 200);
    assert_string_equal(text, "[]");
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
}

/* ---- the page ---- */

static void page_shows_the_amount_in_major_units(void **state)
{
    (void)state;
    static const struct {
        const char *currency, *shown;
        int64_t amount;
    } cases[] = {{"INR", "INR 450.00<", 45000},
                 {"INR", "INR 0.05<", 5},
                 {"JPY", "JPY 45000<", 45000},
                 {"KWD", "KWD 45.007<", 45007}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uuid_t payment = uuid7_new();
        psp_checkout_t checkout = sim_checkout_of(&payment);
        const char *text;
        checkout.amount = cases[i].amount;
        snprintf(checkout.currency, sizeof checkout.currency, "%s", cases[i].currency);
        assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
        assert_int_equal(sim_call("GET", sim_path("/checkout/*", &payment), NULL, &text), 200);
        assert_non_null(strstr(text, cases[i].shown));
        assert_non_null(strstr(text, ">Pay</button>"));
        assert_non_null(strstr(text, ">Fail</button>"));
    }
}

static void button_sends_the_customer_back(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    const char *text;
    snprintf(checkout.return_url, sizeof checkout.return_url, "https://shop.example/?a=\"&b=<");
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
    assert_int_equal(sim_script("/checkout/*/fail", &payment, NULL, NULL), 303);
    assert_int_equal(sim_call("GET", sim_path("/checkout/*", &payment), NULL, &text), 200);
    assert_non_null(strstr(text, "The payment failed."));
    assert_non_null(strstr(text, "href=\"https://shop.example/?a=&quot;&amp;b=&lt;\""));
    assert_int_equal(sim_script("/checkout/*/pay", &payment, NULL, NULL), 303);
    assert_int_equal(sim_call("GET", sim_path("/checkout/*", &payment), NULL, &text), 200);
    assert_non_null(strstr(text, "Paid."));
    assert_null(strstr(text, "<button"));
    assert_int_equal(sim_book(&payment, "charge", NULL), 1);
}

static void page_of_nothing_is_not_found(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    assert_int_equal(sim_call("GET", sim_path("/checkout/*", &payment), NULL, NULL), 404);
    assert_int_equal(sim_call("GET", "/checkout/%3Cscript%3E", NULL, NULL), 404);
    assert_int_equal(sim_script("/checkout/*/pay", &payment, NULL, NULL), 404);
}

static void expired_checkout_offers_no_button(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    const char *text;
    checkout.expires_at_us = INT64_C(1000000);
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
    assert_int_equal(sim_call("GET", sim_path("/checkout/*", &payment), NULL, &text), 200);
    assert_non_null(strstr(text, "expired"));
    assert_null(strstr(text, "<button"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(connector_opens_pays_and_reads_the_status, start, stop),
    cmocka_unit_test_setup_teardown(other_psp_knows_nothing_of_a_payment, start, stop),
    cmocka_unit_test_setup_teardown(wrong_key_is_refused, start, stop),
    cmocka_unit_test_setup_teardown(key_with_another_request_is_refused, start, stop),
    cmocka_unit_test_setup_teardown(request_that_makes_no_sense_is_refused, start, stop),
    cmocka_unit_test_setup_teardown(refusing_psp_does_nothing, start, stop),
    cmocka_unit_test_setup_teardown(hanging_call_is_carried_out_and_holds_nobody_else, start, stop),
    cmocka_unit_test_setup_teardown(amount_that_is_charged_can_differ, start, stop),
    cmocka_unit_test_setup_teardown(customer_can_be_faster_than_the_answer, start, stop),
    cmocka_unit_test_setup_teardown(fail_after_pay_is_a_conflict_and_pay_after_fail_is_not, start,
                                    stop),
    cmocka_unit_test_setup_teardown(what_is_not_understood_is_refused, start, stop),
    cmocka_unit_test_setup_teardown(reset_forgets_payments_and_faults, start, stop),
    cmocka_unit_test_setup_teardown(page_shows_the_amount_in_major_units, start, stop),
    cmocka_unit_test_setup_teardown(button_sends_the_customer_back, start, stop),
    cmocka_unit_test_setup_teardown(page_of_nothing_is_not_found, start, stop),
    cmocka_unit_test_setup_teardown(expired_checkout_offers_no_button, start, stop),
};
TEST_MAIN(tests)
