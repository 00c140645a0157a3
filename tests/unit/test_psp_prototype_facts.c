/* test_psp_prototype_facts.c - the prototype's format beyond captures and failures: bodies that
 * name a kind of fact, refunds and their answers, settlements with a fee.
 *
 * With registry_prototype.c: every PSP speaks the prototype's format.
 */
#include "tests/support/test_main.h"

#include <stdio.h>
#include <string.h>

#include "lib/payment/psp.h"
#include "tests/support/psp_verify.h"

#define ORDER "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1b"
#define PAYMENT "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a2b"
#define REFUND "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a3b"

static const psp_account_t account = {.base_url = "http://127.0.0.1:1/razorpay",
                                      .key_id = "rzp_test_key",
                                      .key_secret = "dev-secret",
                                      .webhook_secrets = "dev-secret"};

/* A body with what is always there, and `more`: `"kind":"settled"`. Valid until the next call. */
static str_t body_with(const char *more)
{
    static char body[2048];
    int size =
        snprintf(body, sizeof body,
                 "{\"event_id\":\"evt_1\",\"order_id\":\"" ORDER "\",\"payment_id\":\"" PAYMENT
                 "\",\"gateway_txn_id\":\"ref_1\",\"signature\":\"Razorpay:dev-secret\","
                 "\"occurred_at\":\"2026-02-21T00:00:00Z\"%s%s}",
                 *more ? "," : "", more);
    return (str_t){body, (uint32_t)size};
}

static const char *no_header(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return NULL;
}

/* As a webhook, and as a stored body: both say the same. */
static err_t read(const char *more, psp_report_t *report)
{
    psp_report_t stored;
    err_detail_t detail;
    str_t body = body_with(more);
    err_t err =
        psp_verify_one(psp_at(0), &account, true, no_header, NULL, body, 0, report, &detail);
    assert_int_equal(psp_webhook_read(psp_at(0), body, &stored, &detail), err);
    if (err == ERR_OK)
        assert_memory_equal(report, &stored, sizeof stored);
    return err;
}

static uuid_t uuid_of(const char *text)
{
    uuid_t uuid;
    assert_true(uuid_parse(text, strlen(text), &uuid));
    return uuid;
}

/* ---- kinds ---- */

static void body_that_names_a_kind_needs_no_status(void **state)
{
    (void)state;
    for (int kind = PSP_FACT_NONE + 1; kind < PSP_FACT_KINDS; kind++) {
        char more[128];
        psp_report_t report;
        snprintf(more, sizeof more, "\"amount\":500,\"kind\":\"%s\"",
                 psp_fact_kind_name((psp_fact_kind_t)kind));
        assert_int_equal(read(more, &report), ERR_OK);
        assert_int_equal(report.kind, kind);
        assert_string_equal(report.psp_ref, "ref_1");
        assert_int_equal(report.amount, 500);
        assert_true(uuid_is_nil(&report.refund_id)); /* a refund that was not ours */
    }
}

static void kind_wins_over_the_status(void **state)
{
    (void)state;
    psp_report_t report;
    assert_int_equal(read("\"amount\":5,\"kind\":\"dispute_lost\",\"status\":\"SUCCESS\"", &report),
                     ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_DISPUTE_LOST);
}

static void kind_that_is_none_is_malformed(void **state)
{
    (void)state;
    static const char *const wrong[] = {"\"none\"", "\"\"", "\"Captured\"",   "\"captured \"",
                                        "7",        "null", "[\"captured\"]", "\"refund\""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char more[128];
        psp_report_t report;
        snprintf(more, sizeof more, "\"amount\":5,\"status\":\"SUCCESS\",\"kind\":%s", wrong[i]);
        if (read(more, &report) != ERR_MALFORMED_WEBHOOK)
            fail_msg("kind %s", wrong[i]);
    }
}

static void status_of_a_refund_tells_how_the_refund_stands(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        psp_fact_kind_t kind;
    } cases[] = {{"SUCCESS", PSP_FACT_REFUND_SUCCEEDED},
                 {"FAILED", PSP_FACT_REFUND_FAILED},
                 {"PENDING", PSP_FACT_REFUND_REQUESTED}};
    uuid_t refund = uuid_of(REFUND);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char more[192];
        psp_report_t report;
        snprintf(more, sizeof more,
                 "\"amount\":5,\"refund_id\":\"" REFUND "\",\"status\":\"%s\",\"error\":\"closed\"",
                 cases[i].status);
        assert_int_equal(read(more, &report), ERR_OK);
        assert_int_equal(report.kind, cases[i].kind);
        assert_true(uuid_equal(&report.refund_id, &refund));
        assert_string_equal(report.reason, "closed");
    }
}

static void refund_id_is_for_refunds_only(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "\"kind\":\"captured\",\"refund_id\":\"" REFUND "\"",
        "\"kind\":\"settled\",\"refund_id\":\"" REFUND "\"",
        "\"kind\":\"refund_failed\",\"refund_id\":\"x\"",
        "\"kind\":\"refund_failed\",\"refund_id\":null",
        "\"kind\":\"refund_failed\",\"refund_id\":7",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char more[192];
        psp_report_t report;
        snprintf(more, sizeof more, "\"amount\":5,%s", wrong[i]);
        if (read(more, &report) != ERR_MALFORMED_WEBHOOK)
            fail_msg("%s", wrong[i]);
    }
}

static void settlement_says_what_the_psp_kept(void **state)
{
    (void)state;
    psp_report_t report;
    assert_int_equal(read("\"amount\":500,\"kind\":\"settled\",\"fee\":10", &report), ERR_OK);
    assert_int_equal(report.fee, 10);
    assert_int_equal(read("\"amount\":500,\"kind\":\"settled\",\"fee\":500", &report), ERR_OK);
    assert_int_equal(report.fee, 500);
    assert_int_equal(read("\"amount\":500,\"kind\":\"settled\"", &report), ERR_OK);
    assert_int_equal(report.fee, 0);
    static const char *const wrong[] = {"-1", "501", "1.5", "\"1\"", "null"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char more[128];
        snprintf(more, sizeof more, "\"amount\":500,\"kind\":\"settled\",\"fee\":%s", wrong[i]);
        if (read(more, &report) != ERR_MALFORMED_WEBHOOK)
            fail_msg("fee %s", wrong[i]);
    }
}

static void fee_of_anything_else_is_passed_over(void **state)
{
    (void)state;
    psp_report_t report;
    assert_int_equal(read("\"amount\":500,\"status\":\"SUCCESS\",\"fee\":10", &report), ERR_OK);
    assert_int_equal(report.fee, 0);
    assert_int_equal(read("\"amount\":500,\"status\":\"SUCCESS\",\"fee\":{}", &report), ERR_OK);
    assert_int_equal(report.fee, 0);
}

/* ---- refunds ---- */

static const char *header_of(const http_client_request_t *request, const char *name)
{
    size_t size = strlen(name);
    for (int i = 0; i < request->header_count; i++)
        if (strncmp(request->headers[i], name, size) == 0 && request->headers[i][size] == ':')
            return request->headers[i] + size + 2;
    return NULL;
}

static void refund_request_carries_the_refund_as_its_key(void **state)
{
    (void)state;
    psp_refund_t refund = {.refund_id = uuid_of(REFUND),
                           .payment_id = uuid_of(PAYMENT),
                           .order_id = uuid_of(ORDER),
                           .capture_ref = "txn_\"1\"",
                           .amount = 13500,
                           .currency = "INR"};
    http_client_request_t request;
    psp_refund_request(psp_at(0), &account, &refund, &request);
    assert_string_equal(request.method, "POST");
    assert_string_equal(request.url, "http://127.0.0.1:1/razorpay/v1/refunds");
    assert_string_equal(header_of(&request, "Authorization"),
                        "Basic cnpwX3Rlc3Rfa2V5OmRldi1zZWNyZXQ=");
    assert_string_equal(header_of(&request, "Content-Type"), "application/json");
    assert_string_equal(header_of(&request, "Idempotency-Key"), REFUND);
    assert_string_equal(request.body.data,
                        "{\"refund_id\":\"" REFUND "\",\"payment_id\":\"" PAYMENT "\","
                        "\"order_id\":\"" ORDER "\",\"gateway_txn_id\":\"txn_\\\"1\\\"\","
                        "\"amount\":13500,\"currency\":\"INR\"}");
    http_client_request_free(&request);

    snprintf(refund.reason, sizeof refund.reason, "too cold");
    psp_refund_request(psp_at(0), &account, &refund, &request);
    assert_non_null(strstr(request.body.data, ",\"reason\":\"too cold\"}"));
    http_client_request_free(&request);
}

static err_t read_answer(int status, str_t body, psp_report_t *report)
{
    uuid_t refund = uuid_of(REFUND), payment = uuid_of(PAYMENT);
    err_detail_t detail;
    return psp_refund_read(psp_at(0), &(psp_refund_t){.refund_id = refund, .payment_id = payment},
                           status, body, report, &detail);
}

#define OF_REFUND "\"amount\":500,\"currency\":\"INR\",\"refund_id\":\"" REFUND "\",\"status\":"

static void answer_tells_how_the_refund_stands(void **state)
{
    (void)state;
    psp_report_t report;
    uuid_t refund = uuid_of(REFUND), payment = uuid_of(PAYMENT);
    assert_int_equal(read_answer(201, body_with(OF_REFUND "\"SUCCESS\""), &report), ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_string_equal(report.psp_ref, "ref_1");
    assert_int_equal(report.amount, 500);
    assert_string_equal(report.currency, "INR");
    assert_true(uuid_equal(&report.refund_id, &refund));
    assert_true(uuid_equal(&report.payment_id, &payment));
    assert_int_equal(read_answer(200, body_with(OF_REFUND "\"PENDING\""), &report), ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_REFUND_REQUESTED);
    assert_int_equal(read_answer(200, body_with(OF_REFUND "\"FAILED\""), &report), ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_REFUND_FAILED);
    assert_string_equal(report.reason, "the PSP says that the refund failed");
}

static void answer_and_webhook_of_a_refund_name_the_same_fact(void **state)
{
    (void)state;
    psp_report_t webhook, answer;
    assert_int_equal(read("\"kind\":\"refund_succeeded\"," OF_REFUND "\"SUCCESS\"", &webhook),
                     ERR_OK);
    assert_int_equal(read_answer(200, body_with(OF_REFUND "\"SUCCESS\""), &answer), ERR_OK);
    assert_int_equal(answer.kind, webhook.kind);
    assert_string_equal(answer.psp_ref, webhook.psp_ref);
    assert_int_equal(answer.ref_is_per_payment, webhook.ref_is_per_payment);
    assert_int_equal(answer.amount, webhook.amount);
    assert_true(uuid_equal(&answer.payment_id, &webhook.payment_id));
    assert_true(uuid_equal(&answer.refund_id, &webhook.refund_id));
}

static void refusal_for_good_is_a_refund_that_failed(void **state)
{
    (void)state;
    static const int statuses[] = {400, 402, 404, 405, 410, 422, 499};
    uuid_t refund = uuid_of(REFUND), payment = uuid_of(PAYMENT);
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        psp_report_t report;
        char expected[64];
        snprintf(expected, sizeof expected, "HTTP %d: nothing left", statuses[i]);
        assert_int_equal(
            read_answer(statuses[i], STR_LITERAL("{\"error\":\"nothing left\"}"), &report), ERR_OK);
        assert_int_equal(report.kind, PSP_FACT_REFUND_FAILED);
        assert_string_equal(report.reason, expected);
        assert_string_equal(report.psp_ref, "refused-" REFUND);
        assert_true(report.ref_is_per_payment);
        assert_int_equal(report.amount, 0);
        assert_true(uuid_equal(&report.refund_id, &refund));
        assert_true(uuid_equal(&report.payment_id, &payment));
    }
}

/* Send again: the same key finds out. */
static void answer_that_decides_nothing_is_an_error(void **state)
{
    (void)state;
    static const int statuses[] = {0,   100, 204, 301, 302, 401, 403, 408,
                                   409, 425, 429, 500, 502, 503, 504, 599};
    psp_report_t report;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (read_answer(statuses[i], body_with(OF_REFUND "\"SUCCESS\""), &report) !=
            ERR_MALFORMED_WEBHOOK)
            fail_msg("status %d", statuses[i]);
}

static void answer_that_makes_no_sense_is_an_error(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "\"amount\":500,\"status\":\"SUCCESS\"", /* of a payment, not of a refund */
        "\"amount\":500,\"status\":\"SUCCESS\",\"refund_id\":\"" ORDER "\"",
        "\"status\":\"SUCCESS\",\"refund_id\":\"" REFUND "\"",
        OF_REFUND "\"DONE\"",
        OF_REFUND "\"SUCCESS\",\"kind\":\"captured\"",
        "\"amount\":0,\"status\":\"SUCCESS\",\"refund_id\":\"" REFUND "\"",
    };
    psp_report_t report;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (read_answer(200, body_with(wrong[i]), &report) != ERR_MALFORMED_WEBHOOK)
            fail_msg("%s", wrong[i]);
    assert_int_equal(read_answer(201, STR_LITERAL("<html>"), &report), ERR_MALFORMED_WEBHOOK);
    assert_int_equal(read_answer(200, (str_t){NULL, 0}, &report), ERR_MALFORMED_WEBHOOK);
    uuid_t refund = uuid_of(REFUND), other = uuid_of(ORDER);
    err_detail_t detail;
    assert_int_equal(psp_refund_read(psp_at(0),
                                     &(psp_refund_t){.refund_id = refund, .payment_id = other}, 200,
                                     body_with(OF_REFUND "\"SUCCESS\""), &report, &detail),
                     ERR_MALFORMED_WEBHOOK);
}

/* ---- event ids of what was asked for ---- */

static void repeated_answer_has_the_same_event_id(void **state)
{
    (void)state;
    psp_report_t first, again;
    assert_int_equal(read_answer(201, body_with(OF_REFUND "\"SUCCESS\""), &first), ERR_OK);
    assert_int_equal(read_answer(200, body_with(OF_REFUND "\"SUCCESS\",\"new\":[1]"), &again),
                     ERR_OK);
    assert_string_equal(first.event_id, again.event_id);
    assert_int_equal(read_answer(422, STR_LITERAL("{}"), &first), ERR_OK);
    assert_int_equal(read_answer(422, STR_LITERAL("{}"), &again), ERR_OK);
    assert_string_equal(first.event_id, again.event_id);
}

static void answers_that_differ_have_different_event_ids(void **state)
{
    (void)state;
    static const char *const answers[] = {
        OF_REFUND "\"SUCCESS\"",
        OF_REFUND "\"PENDING\"",
        OF_REFUND "\"FAILED\"",
        "\"amount\":501,\"currency\":\"INR\",\"refund_id\":\"" REFUND "\",\"status\":\"SUCCESS\"",
        "\"amount\":500,\"currency\":\"USD\",\"refund_id\":\"" REFUND "\",\"status\":\"SUCCESS\"",
        "\"amount\":500,\"refund_id\":\"" REFUND "\",\"status\":\"SUCCESS\"",
    };
    enum { ANSWERS = sizeof answers / sizeof answers[0] };
    psp_report_t reports[ANSWERS + 3];
    for (size_t i = 0; i < ANSWERS; i++)
        assert_int_equal(read_answer(200, body_with(answers[i]), &reports[i]), ERR_OK);
    assert_int_equal(read_answer(422, STR_LITERAL("{}"), &reports[ANSWERS]), ERR_OK);
    /* What is asked of the payment is another answer, also where it says the same words. */
    uuid_t payment = uuid_of(PAYMENT);
    err_detail_t detail;
    assert_int_equal(psp_status_read(psp_at(0), &(psp_payment_t){.payment_id = payment}, 200,
                                     body_with(answers[0]), &reports[ANSWERS + 1], &detail),
                     ERR_OK);
    assert_int_equal(psp_status_read(psp_at(0), &(psp_payment_t){.payment_id = payment}, 200,
                                     body_with("\"amount\":500,\"kind\":\"settled\",\"fee\":1"),
                                     &reports[ANSWERS + 2], &detail),
                     ERR_OK);
    for (size_t i = 0; i < ANSWERS + 3; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(reports[i].event_id, reports[j].event_id);
}

static void status_answers_with_another_fee_differ(void **state)
{
    (void)state;
    uuid_t payment = uuid_of(PAYMENT);
    psp_report_t one, other;
    err_detail_t detail;
    assert_int_equal(psp_status_read(psp_at(0), &(psp_payment_t){.payment_id = payment}, 200,
                                     body_with("\"amount\":500,\"kind\":\"settled\",\"fee\":1"),
                                     &one, &detail),
                     ERR_OK);
    assert_int_equal(psp_status_read(psp_at(0), &(psp_payment_t){.payment_id = payment}, 200,
                                     body_with("\"amount\":500,\"kind\":\"settled\",\"fee\":2"),
                                     &other, &detail),
                     ERR_OK);
    assert_string_not_equal(one.event_id, other.event_id);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(body_that_names_a_kind_needs_no_status),
    cmocka_unit_test(kind_wins_over_the_status),
    cmocka_unit_test(kind_that_is_none_is_malformed),
    cmocka_unit_test(status_of_a_refund_tells_how_the_refund_stands),
    cmocka_unit_test(refund_id_is_for_refunds_only),
    cmocka_unit_test(settlement_says_what_the_psp_kept),
    cmocka_unit_test(fee_of_anything_else_is_passed_over),
    cmocka_unit_test(refund_request_carries_the_refund_as_its_key),
    cmocka_unit_test(answer_tells_how_the_refund_stands),
    cmocka_unit_test(answer_and_webhook_of_a_refund_name_the_same_fact),
    cmocka_unit_test(refusal_for_good_is_a_refund_that_failed),
    cmocka_unit_test(answer_that_decides_nothing_is_an_error),
    cmocka_unit_test(answer_that_makes_no_sense_is_an_error),
    cmocka_unit_test(repeated_answer_has_the_same_event_id),
    cmocka_unit_test(answers_that_differ_have_different_event_ids),
    cmocka_unit_test(status_answers_with_another_fee_differ),
};
TEST_MAIN(tests)
