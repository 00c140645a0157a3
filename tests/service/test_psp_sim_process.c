/* test_psp_sim_process.c - tiffin-psp-sim as a process between the connector and a gateway: refunds
 * in every mode, what it tells by webhooks, and what is left after kill -9. *
 * With registry_prototype.c: every PSP speaks the prototype's format.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/child.h"
#include "tests/support/servers.h"
#include "tests/support/sim_client.h"
#include "tests/support/test_main.h"
#include "tests/support/webhook_sink.h"

enum { SOON_MS = 20000, SETTINGS = 5, SETTING_SIZE = 160 };

static webhook_sink_t
    gateway; /* of all tests: ends with the program, since civetweb takes seconds to end */
static char journal[64];
static int port;
static pid_t simulator;

static bool listens(void *arg)
{
    (void)arg;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return connected;
}

static void start_simulator(void)
{
    static char settings[SETTINGS][SETTING_SIZE];
    char *environment[SETTINGS + 1] = {0};
    snprintf(settings[0], SETTING_SIZE, "TIFFIN_ENV=dev");
    snprintf(settings[1], SETTING_SIZE, "LOG_LEVEL=error");
    snprintf(settings[2], SETTING_SIZE, "PSP_SIM_ADDR=127.0.0.1:%d", port);
    snprintf(settings[3], SETTING_SIZE, "PSP_SIM_WEBHOOK_URL=%s", gateway.url);
    snprintf(settings[4], SETTING_SIZE, "PSP_SIM_DATA_FILE=%s", journal);
    for (int i = 0; i < SETTINGS; i++)
        environment[i] = settings[i];
    simulator = child_start(TIFFIN_BIN_DIR "/tiffin-psp-sim", environment);
    wait_until(listens, NULL, SOON_MS, "the simulator does not listen");
}

static int start(void **state)
{
    (void)state;
    if (gateway.server)
        webhook_sink_forget(&gateway);
    else
        webhook_sink_open(&gateway, 0);
    snprintf(journal, sizeof journal, "/tmp/test_psp_sim.XXXXXX");
    int fd = mkstemp(journal);
    assert_true(fd >= 0);
    close(fd);
    port = test_free_port();
    start_simulator();
    sim_client_open((unsigned)port);
    return 0;
}

/* Not by SIGTERM, which takes civetweb two seconds. */
static int stop(void **state)
{
    (void)state;
    child_kill(simulator);
    sim_client_close();
    unlink(journal);
    return 0;
}

/* ---- a small language for the tests ---- */

/* A payment at Razorpay that is paid, whose webhooks have come (where there are any). */
static psp_checkout_t paid(unsigned webhooks)
{
    unsigned before = webhook_sink_count(&gateway);
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
    assert_int_equal(sim_script("/_sim/payments/*/pay", &payment, NULL, NULL), 200);
    webhook_sink_await(&gateway, before + webhooks);
    return checkout;
}

static psp_refund_t refund_of(const psp_checkout_t *checkout, int64_t amount)
{
    psp_refund_t refund = {.refund_id = uuid7_new(),
                           .payment_id = checkout->payment_id,
                           .order_id = checkout->order_id,
                           .amount = amount,
                           .currency = "INR",
                           .reason = "too cold"};
    snprintf(refund.capture_ref, sizeof refund.capture_ref, "%s",
             sim_status(0, &checkout->payment_id).psp_ref);
    return refund;
}

/* The answer, which makes sense and has this HTTP status. */
static psp_report_t answer_of(const psp_refund_t *refund, int status)
{
    psp_report_t report;
    err_t err;
    int got = sim_give_back(0, refund, 0, &report, &err);
    if (got != status || err != ERR_OK)
        fail_msg("HTTP %d instead of %d, %s", got, status, err_name(err));
    return report;
}

/* No answer that says anything: its HTTP status, 0 for none in time. */
static int no_answer_of(const psp_refund_t *refund, unsigned timeout_ms)
{
    psp_report_t report;
    err_t err;
    int status = sim_give_back(0, refund, timeout_ms, &report, &err);
    assert_int_not_equal(err, ERR_OK);
    return status;
}

static psp_report_t webhook_at(unsigned index)
{
    return webhook_sink_report(&gateway, index, psp_at(0), "dev-secret");
}

static int64_t refunded(const psp_checkout_t *checkout)
{
    int64_t sum;
    (void)sim_book(&checkout->payment_id, "refund", &sum);
    return sum;
}

/* ---- refunds ---- */

static void refund_is_answered_told_and_booked_once(void **state)
{
    (void)state;
    psp_checkout_t checkout = paid(1);
    psp_refund_t refund = refund_of(&checkout, 13500);
    psp_report_t answer = answer_of(&refund, 201);
    webhook_sink_await(&gateway, 2);
    psp_report_t told = webhook_at(1);
    assert_int_equal(answer.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_int_equal(told.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_string_equal(told.psp_ref, answer.psp_ref);
    assert_int_equal(told.amount, 13500);
    assert_true(uuid_equal(&told.refund_id, &refund.refund_id));
    assert_true(uuid_equal(&told.payment_id, &refund.payment_id));
    assert_true(uuid_equal(&told.order_id, &refund.order_id));
    assert_non_null(strstr(gateway.bodies[1], "\"status\":\"SUCCESS\""));

    psp_report_t again = answer_of(&refund, 200);
    assert_memory_equal(&again, &answer, sizeof again);
    assert_int_equal(refunded(&checkout), 13500);
    assert_int_equal(sim_book(&checkout.payment_id, "refund", NULL), 1);
}

static void status_of_a_refunded_payment_is_still_captured(void **state)
{
    (void)state;
    psp_checkout_t checkout = paid(1);
    psp_report_t before = sim_status(0, &checkout.payment_id);
    psp_refund_t refund = refund_of(&checkout, checkout.amount);
    answer_of(&refund, 201);
    psp_report_t after = sim_status(0, &checkout.payment_id);
    assert_int_equal(after.kind, PSP_FACT_CAPTURED);
    assert_memory_equal(&after, &before, sizeof after);
}

static void refund_over_the_charge_is_refused_for_good(void **state)
{
    (void)state;
    psp_checkout_t checkout = paid(1);
    psp_refund_t part = refund_of(&checkout, 45000 - 100), over = refund_of(&checkout, 101);
    answer_of(&part, 201);
    psp_report_t answer = answer_of(&over, 422);
    assert_int_equal(answer.kind, PSP_FACT_REFUND_FAILED);
    assert_string_equal(answer.reason, "HTTP 422: the charge has 100 left");
    answer_of(&over, 422);
    assert_int_equal(refunded(&checkout), 44900);
}

static void key_with_another_refund_is_refused(void **state)
{
    (void)state;
    psp_checkout_t checkout = paid(1);
    psp_refund_t refund = refund_of(&checkout, 100);
    answer_of(&refund, 201);
    refund.amount = 101;
    assert_non_null(strstr(answer_of(&refund, 422).reason, "came with another request"));
    assert_int_equal(refunded(&checkout), 100);
}

static void refund_of_nothing_is_refused(void **state)
{
    (void)state;
    psp_checkout_t checkout = paid(1);
    psp_refund_t refund = refund_of(&checkout, 100);
    snprintf(refund.capture_ref, sizeof refund.capture_ref, "txn_other");
    assert_string_equal(answer_of(&refund, 404).reason, "HTTP 404: there is no such charge");
    refund = refund_of(&checkout, 0);
    assert_non_null(strstr(answer_of(&refund, 400).reason, "amount"));
    refund = refund_of(&checkout, 100);
    snprintf(refund.currency, sizeof refund.currency, "XXX");
    assert_non_null(strstr(answer_of(&refund, 400).reason, "currency"));
    refund = refund_of(&checkout, 100);
    snprintf(refund.reason, sizeof refund.reason, "a\nb");
    assert_non_null(strstr(answer_of(&refund, 400).reason, "reason"));
    refund = refund_of(&checkout, 100);
    sim_client.accounts.of[0].key_secret = "wrong";
    assert_int_equal(no_answer_of(&refund, 0), 401);
    assert_int_equal(refunded(&checkout), 0);
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
    psp_checkout_t checkout = paid(1);
    psp_refund_t refund = refund_of(&checkout, 500);
    sim_misbehave("razorpay", "{\"refund\":\"pending\",\"refund_delay_ms\":300}");
    int64_t begun_ms = clock_mono_ms();
    psp_report_t taken = answer_of(&refund, 201);
    assert_int_equal(taken.kind, PSP_FACT_REFUND_REQUESTED);
    webhook_sink_await(&gateway, 2);
    assert_true(clock_mono_ms() - begun_ms >= 300);
    psp_report_t told = webhook_at(1), after = answer_of(&refund, 200);
    assert_int_equal(told.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_string_equal(told.psp_ref, taken.psp_ref);
    assert_int_equal(after.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_string_equal(after.psp_ref, taken.psp_ref);
    assert_int_equal(refunded(&checkout), 500);
}

static void many_pending_refunds_are_all_done(void **state)
{
    (void)state;
    enum { REFUNDS = 50 };
    psp_checkout_t checkout = paid(1);
    sim_misbehave("razorpay", "{\"refund\":\"pending\",\"refund_delay_ms\":20}");
    for (unsigned i = 0; i < REFUNDS; i++) {
        psp_refund_t refund = refund_of(&checkout, 1 + i);
        answer_of(&refund, 201);
    }
    webhook_sink_await(&gateway, 1 + REFUNDS);
    assert_int_equal(sim_book(&checkout.payment_id, "refund", NULL), REFUNDS);
    assert_int_equal(refunded(&checkout), REFUNDS * (REFUNDS + 1) / 2);
}

static void refund_can_fail_after_it_was_taken(void **state)
{
    (void)state;
    psp_checkout_t checkout = paid(1);
    psp_refund_t refund = refund_of(&checkout, 45000), other = refund_of(&checkout, 45000);
    sim_misbehave("razorpay", "{\"refund\":\"fail_later\",\"refund_delay_ms\":50}");
    assert_int_equal(answer_of(&refund, 201).kind, PSP_FACT_REFUND_REQUESTED);
    webhook_sink_await(&gateway, 2);
    psp_report_t told = webhook_at(1), after = answer_of(&refund, 200);
    assert_int_equal(told.kind, PSP_FACT_REFUND_FAILED);
    assert_string_equal(told.reason, "the customer's bank sent the money back");
    assert_int_equal(after.kind, PSP_FACT_REFUND_FAILED);
    assert_string_equal(after.psp_ref, told.psp_ref);
    assert_string_equal(after.reason, told.reason);
    assert_int_equal(refunded(&checkout), 0);
    sim_misbehave("razorpay", "{}");
    answer_of(&other, 201);
    assert_int_equal(refunded(&checkout), 45000);
}

static void refused_refund_stays_refused_and_is_told_by_no_webhook(void **state)
{
    (void)state;
    psp_checkout_t checkout = paid(1);
    psp_refund_t refund = refund_of(&checkout, 500), other = refund_of(&checkout, 600);
    sim_misbehave("razorpay", "{\"refund\":\"refuse\"}");
    assert_string_equal(answer_of(&refund, 422).reason, "HTTP 422: the charge cannot be refunded");
    sim_misbehave("razorpay", "{}");
    answer_of(&refund, 422);
    answer_of(&other, 201);
    webhook_sink_await(&gateway, 2);
    psp_report_t told = webhook_at(1);
    assert_true(uuid_equal(&told.refund_id, &other.refund_id));
    assert_int_equal(refunded(&checkout), 600);
}

static void refund_whose_answer_is_lost_is_done(void **state)
{
    (void)state;
    psp_checkout_t checkout = paid(1);
    psp_refund_t refund = refund_of(&checkout, 500);
    sim_misbehave("razorpay", "{\"refund\":\"unknown\"}");
    assert_int_equal(no_answer_of(&refund, 0), 500);
    assert_int_equal(no_answer_of(&refund, 0), 500);
    webhook_sink_await(&gateway, 2);
    assert_int_equal(webhook_at(1).kind, PSP_FACT_REFUND_SUCCEEDED);
    sim_misbehave("razorpay", "{}");
    assert_int_equal(answer_of(&refund, 200).kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_int_equal(refunded(&checkout), 500);
}

static void refund_that_hangs_is_done_and_holds_no_checkout(void **state)
{
    (void)state;
    psp_checkout_t checkout = paid(1);
    psp_refund_t refund = refund_of(&checkout, 500);
    sim_misbehave("razorpay", "{\"refund\":\"hang\",\"hang_ms\":3600000}");
    assert_int_equal(no_answer_of(&refund, 200), 0);
    paid(1);
    webhook_sink_await(&gateway, 3);
    sim_misbehave("razorpay", "{}");
    assert_int_equal(answer_of(&refund, 200).kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_int_equal(refunded(&checkout), 500);
}

static void psp_that_is_down_refunds_nothing(void **state)
{
    (void)state;
    psp_checkout_t checkout = paid(1);
    psp_refund_t refund = refund_of(&checkout, 500);
    sim_misbehave("razorpay", "{\"refuse\":true}");
    assert_int_equal(no_answer_of(&refund, 0), 503);
    sim_misbehave("razorpay", "{\"error_rate\":1}");
    assert_int_equal(no_answer_of(&refund, 0), 500);
    assert_int_equal(refunded(&checkout), 0);
    sim_misbehave("razorpay", "{}");
    answer_of(&refund, 201);
}

/* ---- charged twice ---- */

static void customer_charged_twice_is_told_twice_and_refunded_by_charge(void **state)
{
    (void)state;
    sim_misbehave("razorpay", "{\"duplicate_capture\":true}");
    psp_checkout_t checkout = paid(2);
    sim_misbehave("razorpay", "{}");
    psp_report_t one = webhook_at(0), other = webhook_at(1);
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

    psp_refund_t refund = refund_of(&checkout, 45000), second = refund, over;
    second.refund_id = uuid7_new();
    snprintf(second.capture_ref, sizeof second.capture_ref, "%s",
             strcmp(first.psp_ref, one.psp_ref) == 0 ? other.psp_ref : one.psp_ref);
    over = second;
    over.refund_id = uuid7_new();
    over.amount = 1;
    answer_of(&second, 201);
    answer_of(&over, 422);
    answer_of(&refund, 201);
    assert_int_equal(refunded(&checkout), 90000);
}

/* ---- how webhooks come ---- */

static void webhook_of_a_refund_can_come_twice(void **state)
{
    (void)state;
    psp_checkout_t checkout = paid(1);
    psp_refund_t refund = refund_of(&checkout, 500);
    sim_misbehave("razorpay", "{\"webhook\":\"twice\"}");
    answer_of(&refund, 201);
    webhook_sink_await(&gateway, 3);
    assert_string_equal(gateway.bodies[1], gateway.bodies[2]);
}

static void webhook_of_a_refund_can_come_before_its_answer(void **state)
{
    (void)state;
    psp_checkout_t checkout = paid(1);
    psp_refund_t refund = refund_of(&checkout, 500);
    sim_misbehave("razorpay", "{\"webhook\":\"before\"}");
    answer_of(&refund, 201);
    assert_int_equal(webhook_sink_count(&gateway), 2);
}

static void silent_psp_tells_of_nothing_but_what_a_script_sends(void **state)
{
    (void)state;
    sim_misbehave("razorpay", "{\"webhook\":\"none\"}");
    psp_checkout_t checkout = paid(0);
    psp_refund_t refund = refund_of(&checkout, 500), pending = refund_of(&checkout, 1);
    answer_of(&refund, 201);
    sim_misbehave("razorpay",
                  "{\"webhook\":\"none\",\"refund\":\"pending\",\"refund_delay_ms\":0}");
    answer_of(&pending, 201);
    const uuid_t *payment = &checkout.payment_id;
    assert_int_equal(sim_script("/_sim/payments/*/settle", payment, "{}", NULL), 200);
    assert_int_equal(
        sim_script("/_sim/payments/*/dispute", payment, "{\"outcome\":\"opened\"}", NULL), 200);
    assert_int_equal(
        sim_script("/_sim/payments/*/send", payment, "{\"event_id\":\"the_only_one\"}", NULL), 200);
    webhook_sink_await(&gateway, 1);
    assert_string_equal(webhook_at(0).event_id, "the_only_one");
    assert_int_equal(webhook_sink_count(&gateway), 1);
}

static void webhooks_of_what_happened_can_come_shuffled(void **state)
{
    (void)state;
    enum { PAYMENTS = 20 };
    uuid_t payments[PAYMENTS];
    sim_misbehave("razorpay", "{\"webhook\":\"reorder\",\"webhook_delay_ms\":400}");
    int64_t begun_ms = clock_mono_ms();
    for (unsigned i = 0; i < PAYMENTS; i++)
        payments[i] = paid(0).payment_id;
    webhook_sink_await(&gateway, PAYMENTS);
    assert_true(clock_mono_ms() - begun_ms < SOON_MS);
    unsigned in_order = 0, times[PAYMENTS] = {0};
    for (unsigned i = 0; i < PAYMENTS; i++) {
        psp_report_t told = webhook_at(i);
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
    psp_checkout_t checkout = paid(1);
    psp_report_t capture = webhook_at(0), last[4];
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(
            sim_script("/_sim/payments/*/dispute", &checkout.payment_id, cases[i].body, NULL), 200);
        webhook_sink_await(&gateway, 2 + i);
        last[i] = webhook_at(1 + i);
        assert_int_equal(last[i].kind, cases[i].kind);
        assert_int_equal(last[i].amount, 45000);
        assert_string_equal(last[i].psp_ref, last[0].psp_ref);
    }
    assert_string_not_equal(last[0].psp_ref, capture.psp_ref);
    assert_string_not_equal(last[0].event_id, last[1].event_id);
    assert_string_not_equal(last[1].event_id, last[2].event_id);
    assert_string_equal(last[2].event_id, last[3].event_id);
    assert_int_equal(sim_book(&checkout.payment_id, "charge", NULL), 1);
    assert_int_equal(refunded(&checkout), 0);
}

static void settlement_keeps_two_percent_of_each_charge(void **state)
{
    (void)state;
    sim_misbehave("razorpay", "{\"duplicate_capture\":true,\"amount_delta\":-1}");
    psp_checkout_t checkout = paid(2);
    psp_report_t charges[2] = {webhook_at(0), webhook_at(1)}, payouts[2];
    assert_int_equal(sim_script("/_sim/payments/*/settle", &checkout.payment_id, NULL, NULL), 200);
    webhook_sink_await(&gateway, 4);
    for (unsigned i = 0; i < 2; i++) {
        payouts[i] = webhook_at(2 + i);
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
    psp_checkout_t checkout = paid(1);
    const uuid_t *payment = &checkout.payment_id;
    const char *text;
    assert_int_equal(sim_script("/_sim/payments/*/send", payment, "{}", &text), 200);
    assert_null(strstr(text, "signature"));
    webhook_sink_await(&gateway, 2);
    psp_report_t first = webhook_at(0), again = webhook_at(1);
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
    webhook_sink_await(&gateway, 3);
    psp_report_t odd = webhook_at(2);
    assert_int_equal(odd.kind, PSP_FACT_VOIDED);
    assert_int_equal(odd.amount, 7);
    assert_string_equal(odd.currency, "USD");
    assert_string_equal(odd.psp_ref, "v_1");
    assert_string_equal(odd.event_id, "evt_mine");
    assert_int_equal(odd.occurred_at_us, INT64_C(1771632000000000));
    assert_null(strstr(gateway.bodies[2], "\"status\""));
    assert_non_null(strstr(gateway.bodies[2], "\"note\":{\"deep\":[1]}"));

    assert_int_equal(
        sim_script("/_sim/payments/*/send", payment, "{\"signature\":\"Razorpay:no\"}", NULL), 200);
    webhook_sink_await(&gateway, 4);
    assert_non_null(strstr(gateway.bodies[3], "\"signature\":\"Razorpay:no\""));
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
    webhook_sink_await(&gateway, 1);
    assert_int_equal(webhook_at(0).kind, PSP_FACT_CAPTURED);
    assert_int_equal(sim_status(0, &payment).kind, PSP_FACT_NONE);
    assert_int_equal(sim_book(&payment, "charge", NULL), 0);
}

static void script_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    uuid_t nobody = uuid7_new(), open = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&open), done = paid(1);
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
    paid(1);
    assert_true(clock_mono_ms() - begun_ms < SOON_MS / 2);
}

/* ---- kill -9 ---- */

static void killed_psp_concludes_what_was_pending_and_tells_of_it(void **state)
{
    (void)state;
    psp_checkout_t checkout = paid(1), other = paid(1);
    psp_refund_t due = refund_of(&checkout, 700), later = refund_of(&other, 800);
    sim_misbehave("razorpay", "{\"refund\":\"fail_later\",\"refund_delay_ms\":2500}");
    assert_int_equal(answer_of(&later, 201).kind, PSP_FACT_REFUND_REQUESTED);
    sim_misbehave("razorpay", "{\"refund\":\"pending\",\"refund_delay_ms\":2000}");
    psp_report_t taken = answer_of(&due, 201);
    assert_int_equal(taken.kind, PSP_FACT_REFUND_REQUESTED);
    child_kill(simulator);
    assert_int_equal(webhook_sink_count(&gateway), 2);
    start_simulator();

    webhook_sink_await(&gateway, 4);
    psp_report_t first = webhook_at(2), second = webhook_at(3);
    assert_int_equal(first.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_true(uuid_equal(&first.refund_id, &due.refund_id));
    assert_string_equal(first.psp_ref, taken.psp_ref);
    assert_int_equal(second.kind, PSP_FACT_REFUND_FAILED);
    assert_true(uuid_equal(&second.refund_id, &later.refund_id));
    assert_int_equal(answer_of(&due, 200).kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_int_equal(answer_of(&later, 200).kind, PSP_FACT_REFUND_FAILED);
    assert_int_equal(refunded(&checkout), 700);
    assert_int_equal(refunded(&other), 0);
}

static void killed_psp_knows_its_refunds(void **state)
{
    (void)state;
    sim_misbehave("razorpay", "{\"duplicate_capture\":true}");
    psp_checkout_t checkout = paid(2);
    psp_refund_t done = refund_of(&checkout, 45000), over = refund_of(&checkout, 1);
    psp_report_t before = answer_of(&done, 201);
    answer_of(&over, 422);
    child_kill(simulator);
    start_simulator();
    psp_report_t after = answer_of(&done, 200);
    assert_memory_equal(&after, &before, sizeof after);
    answer_of(&over, 422);
    assert_int_equal(sim_book(&checkout.payment_id, "charge", NULL), 2);
    assert_int_equal(refunded(&checkout), 45000);
}

static bool simulator_ended(void *exit_code)
{
    return child_ended(simulator, exit_code);
}

/* The exit code is also what the sanitizers found, of all that was done. */
static void psp_that_ends_leaves_pending_refunds_to_the_next(void **state)
{
    (void)state;
    int exit_code = -1;
    psp_checkout_t checkout = paid(1);
    const uuid_t *payment = &checkout.payment_id;
    psp_refund_t done = refund_of(&checkout, 1), over = refund_of(&checkout, 45000),
                 refund = refund_of(&checkout, 700);
    answer_of(&done, 201);
    answer_of(&over, 422);
    sim_script("/_sim/payments/*/settle", payment, NULL, NULL);
    sim_script("/_sim/payments/*/dispute", payment, "{\"outcome\":\"won\"}", NULL);
    sim_script("/_sim/payments/*/send", payment, "{}", NULL);
    webhook_sink_await(&gateway, 5);
    sim_misbehave("razorpay", "{\"refund\":\"pending\",\"refund_delay_ms\":1000}");
    answer_of(&refund, 201);
    kill(simulator, SIGTERM);
    wait_until(simulator_ended, &exit_code, SOON_MS, "the simulator does not end");
    assert_int_equal(exit_code, 0);
    start_simulator();
    webhook_sink_await(&gateway, 6);
    assert_int_equal(webhook_at(5).kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_int_equal(refunded(&checkout), 701);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(refund_is_answered_told_and_booked_once, start, stop),
    cmocka_unit_test_setup_teardown(status_of_a_refunded_payment_is_still_captured, start, stop),
    cmocka_unit_test_setup_teardown(refund_over_the_charge_is_refused_for_good, start, stop),
    cmocka_unit_test_setup_teardown(key_with_another_refund_is_refused, start, stop),
    cmocka_unit_test_setup_teardown(refund_of_nothing_is_refused, start, stop),
    cmocka_unit_test_setup_teardown(refund_without_its_key_is_refused, start, stop),
    cmocka_unit_test_setup_teardown(pending_refund_is_done_later_and_told, start, stop),
    cmocka_unit_test_setup_teardown(many_pending_refunds_are_all_done, start, stop),
    cmocka_unit_test_setup_teardown(refund_can_fail_after_it_was_taken, start, stop),
    cmocka_unit_test_setup_teardown(refused_refund_stays_refused_and_is_told_by_no_webhook, start,
                                    stop),
    cmocka_unit_test_setup_teardown(refund_whose_answer_is_lost_is_done, start, stop),
    cmocka_unit_test_setup_teardown(refund_that_hangs_is_done_and_holds_no_checkout, start, stop),
    cmocka_unit_test_setup_teardown(psp_that_is_down_refunds_nothing, start, stop),
    cmocka_unit_test_setup_teardown(customer_charged_twice_is_told_twice_and_refunded_by_charge,
                                    start, stop),
    cmocka_unit_test_setup_teardown(webhook_of_a_refund_can_come_twice, start, stop),
    cmocka_unit_test_setup_teardown(webhook_of_a_refund_can_come_before_its_answer, start, stop),
    cmocka_unit_test_setup_teardown(silent_psp_tells_of_nothing_but_what_a_script_sends, start,
                                    stop),
    cmocka_unit_test_setup_teardown(webhooks_of_what_happened_can_come_shuffled, start, stop),
    cmocka_unit_test_setup_teardown(dispute_is_told_by_its_own_reference, start, stop),
    cmocka_unit_test_setup_teardown(settlement_keeps_two_percent_of_each_charge, start, stop),
    cmocka_unit_test_setup_teardown(script_sends_whatever_it_likes, start, stop),
    cmocka_unit_test_setup_teardown(script_can_speak_of_a_payment_that_is_not_paid, start, stop),
    cmocka_unit_test_setup_teardown(script_that_makes_no_sense_is_refused, start, stop),
    cmocka_unit_test_setup_teardown(scripts_are_heard_however_many_calls_hang, start, stop),
    cmocka_unit_test_setup_teardown(killed_psp_concludes_what_was_pending_and_tells_of_it, start,
                                    stop),
    cmocka_unit_test_setup_teardown(killed_psp_knows_its_refunds, start, stop),
    cmocka_unit_test_setup_teardown(psp_that_ends_leaves_pending_refunds_to_the_next, start, stop),
};
TEST_MAIN(tests)
