/* test_psp_prototype.c - the prototype's format: webhooks, checkouts, status answers, as bytes.
 *
 * With registry_prototype.c: every PSP speaks the prototype's format.
 */
#include "tests/support/test_main.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/payment/psp.h"
#include "tests/support/psp_verify.h"

#define ORDER "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1b"
#define PAYMENT "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a2b"

static const psp_account_t account = {.base_url = "http://127.0.0.1:1/razorpay",
                                      .key_id = "rzp_test_key",
                                      .key_secret = "dev-secret",
                                      .webhook_secrets = "old-secret, dev-secret"};

static const char *const fields[][2] = {
    {"event_id", "\"evt_1\""},
    {"gateway", "\"Razorpay\""},
    {"order_id", "\"" ORDER "\""},
    {"payment_id", "\"" PAYMENT "\""},
    {"gateway_txn_id", "\"txn_1\""},
    {"status", "\"SUCCESS\""},
    {"amount", "45000"},
    {"signature", "\"Razorpay:dev-secret\""},
    {"occurred_at", "\"2026-02-21T00:00:00Z\""},
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

/* The README's body with one field replaced (added if it is new), or left out (`value` NULL). */
static str_t body_with(const char *name, const char *value)
{
    static char body[8192];
    size_t size = 0;
    bool replaced = false;
    for (unsigned i = 0; i < FIELDS; i++) {
        bool this_one = strcmp(fields[i][0], name) == 0;
        const char *text = this_one ? value : fields[i][1];
        replaced = replaced || this_one;
        if (text)
            size += (size_t)snprintf(body + size, sizeof body - size, "%s\"%s\":%s",
                                     size ? "," : "{", fields[i][0], text);
    }
    if (!replaced && value)
        size += (size_t)snprintf(body + size, sizeof body - size, ",\"%s\":%s", name, value);
    size += (size_t)snprintf(body + size, sizeof body - size, "}");
    return (str_t){body, (uint32_t)size};
}

static str_t whole(void)
{
    return body_with("", NULL);
}

static const char *no_header(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return NULL;
}

static err_t verify_at(const char *psp, bool dev, str_t body, psp_report_t *report)
{
    err_detail_t detail;
    return psp_verify_one(psp_find(str_of(psp)), &account, dev, no_header, NULL, body, 0, report,
                          &detail);
}

static err_t verify(str_t body)
{
    psp_report_t report;
    return verify_at("Razorpay", true, body, &report);
}

/* ---- webhooks ---- */

static void webhook_of_the_readme_is_understood(void **state)
{
    (void)state;
    psp_report_t report;
    uuid_t order, payment;
    assert_true(uuid_parse(ORDER, 36, &order) && uuid_parse(PAYMENT, 36, &payment));
    assert_int_equal(verify_at("Razorpay", true, whole(), &report), ERR_OK);
    assert_string_equal(report.event_id, "evt_1");
    assert_string_equal(report.psp_ref, "txn_1");
    assert_true(report.ref_is_per_payment);
    assert_true(uuid_equal(&report.order_id, &order) && uuid_equal(&report.payment_id, &payment));
    assert_int_equal(report.kind, PSP_FACT_CAPTURED);
    assert_int_equal(report.amount, 45000);
    assert_string_equal(report.currency, "");
    assert_int_equal(report.occurred_at_us, INT64_C(1771632000000000));
    assert_string_equal(report.reason, "");
}

static void each_status_is_a_fact_or_none(void **state)
{
    (void)state;
    psp_report_t report;
    assert_int_equal(verify_at("Razorpay", true, body_with("status", "\"FAILED\""), &report),
                     ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_FAILED);
    assert_true(report.reason[0] != '\0');
    assert_int_equal(verify_at("Razorpay", true, body_with("status", "\"PENDING\""), &report),
                     ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_NONE);
    assert_string_equal(psp_fact_kind_name(PSP_FACT_CAPTURED), "captured");
    assert_string_equal(psp_fact_kind_name(PSP_FACT_FAILED), "failed");
}

static void any_configured_secret_signs(void **state)
{
    (void)state;
    assert_int_equal(verify(body_with("signature", "\"Razorpay:old-secret\"")), ERR_OK);
    assert_int_equal(verify(body_with("signature", "\"RAZORPAY:dev-secret\"")), ERR_OK);
}

static void wrong_signature_is_unauthenticated(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        NULL,
        "null",
        "17",
        "\"\"",
        "\":\"",
        "\"dev-secret\"",
        "\"Razorpay:\"",
        "\"Razorpay\"",
        "\"Razorpay:dev-secreT\"",
        "\"Razorpay:dev-secret \"",
        "\"Razorpay:dev-secre\"",
        "\"Razorpay:old-secret, dev-secret\"",
        "\"Cashfree:dev-secret\"",
        "\"x:Razorpay:dev-secret\"",
        "\"Razorpay::dev-secret\"",
        "[\"Razorpay:dev-secret\"]",
        "\"Razorpay,dev-secret\"",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (verify(body_with("signature", wrong[i])) != ERR_SIGNATURE_INVALID)
            fail_msg("signature %s", wrong[i] ? wrong[i] : "missing");
}

static void signature_is_looked_at_before_other_fields(void **state)
{
    (void)state;
    assert_int_equal(verify(STR_LITERAL("{}")), ERR_SIGNATURE_INVALID);
    assert_int_equal(verify(STR_LITERAL("{\"amount\":\"x\",\"signature\":\"no\"}")),
                     ERR_SIGNATURE_INVALID);
    assert_int_equal(verify(STR_LITERAL("{\"signature\":\"Razorpay:dev-secret\"}")),
                     ERR_MALFORMED_WEBHOOK);
}

static void path_wins_over_the_body(void **state)
{
    (void)state;
    psp_report_t report;
    assert_int_equal(verify(body_with("gateway", "\"Juspay\"")), ERR_OK);
    assert_int_equal(verify(body_with("gateway", "17")), ERR_OK);
    assert_int_equal(verify(body_with("gateway", NULL)), ERR_OK);
    assert_int_equal(verify_at("Juspay", true, whole(), &report), ERR_SIGNATURE_INVALID);
    assert_int_equal(
        verify_at("Juspay", true, body_with("signature", "\"Juspay:dev-secret\""), &report),
        ERR_OK);
}

static void production_refuses_the_format(void **state)
{
    (void)state;
    psp_report_t report;
    assert_int_equal(verify_at("Razorpay", false, whole(), &report), ERR_SIGNATURE_INVALID);
    err_detail_t detail;
    assert_int_equal(
        psp_verify_one(psp_at(0), NULL, true, no_header, NULL, whole(), 0, &report, &detail),
        ERR_SIGNATURE_INVALID);
}

static void what_is_no_json_object_is_malformed(void **state)
{
    (void)state;
    assert_int_equal(verify((str_t){NULL, 0}), ERR_MALFORMED_WEBHOOK);
    static const char *const wrong[] = {"[]", "{", "null", "x", "{}{}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(verify(str_of(wrong[i])), ERR_MALFORMED_WEBHOOK);
    str_t body = body_with("amount", "45000,\"amount\":1");
    assert_int_equal(verify(body), ERR_MALFORMED_WEBHOOK); /* twice the same key */
    assert_int_equal(verify(body_with("more", "[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]")),
                     ERR_MALFORMED_WEBHOOK);
}

static void known_fields_are_strict(void **state)
{
    (void)state;
    char long_id[160];
    snprintf(long_id, sizeof long_id, "\"%0121d\"", 7);
    const char *const wrong[][2] = {
        {"event_id", NULL},
        {"event_id", "\"\""},
        {"event_id", "1"},
        {"event_id", long_id},
        {"event_id", "\"a\\nb\""},
        {"event_id", "\"a\\u0085b\""},
        {"gateway_txn_id", NULL},
        {"gateway_txn_id", "\"\""},
        {"gateway_txn_id", long_id},
        {"order_id", NULL},
        {"order_id", "\"x\""},
        {"order_id", "7"},
        {"payment_id", NULL},
        {"payment_id", "\"x\""},
        {"payment_id", "\"" ORDER "0\""},
        {"status", NULL},
        {"status", "\"success\""},
        {"status", "\"DONE\""},
        {"status", "true"},
        {"amount", NULL},
        {"amount", "0"},
        {"amount", "-1"},
        {"amount", "45000.0"},
        {"amount", "4.5e4"},
        {"amount", "\"45000\""},
        {"amount", "9007199254740992"},
        {"amount", "true"},
        {"currency", "\"inr\""},
        {"currency", "\"XXX\""},
        {"currency", "null"},
        {"currency", "\"\""},
        {"occurred_at", NULL},
        {"occurred_at", "\"yesterday\""},
        {"occurred_at", "1771632000"},
        {"occurred_at", "\"2026-02-30T00:00:00Z\""},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (verify(body_with(wrong[i][0], wrong[i][1])) != ERR_MALFORMED_WEBHOOK)
            fail_msg("%s %s", wrong[i][0], wrong[i][1] ? wrong[i][1] : "missing");
}

static void edges_of_what_is_allowed_are_taken(void **state)
{
    (void)state;
    char long_id[160];
    snprintf(long_id, sizeof long_id, "\"%0120d\"", 7);
    const char *const right[][2] = {
        {"event_id", long_id},
        {"gateway_txn_id", long_id},
        {"event_id", "\"\xe2\x82\xac 1\""},
        {"amount", "1"},
        {"amount", "9007199254740991"},
        {"currency", "\"INR\""},
        {"occurred_at", "\"2026-02-21T05:30:00.5+05:30\""},
        {"order_id", "\"0190A0B1-C2D3-7E4F-8A5B-6C7D8E9F0A1B\""},
        {"something", "{\"new\":[1,2.5,null]}"},
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        if (verify(body_with(right[i][0], right[i][1])) != ERR_OK)
            fail_msg("%s %s", right[i][0], right[i][1]);
}

static void stored_body_is_read_the_same_without_its_signature(void **state)
{
    (void)state;
    psp_report_t verified, read;
    err_detail_t detail;
    assert_int_equal(verify_at("Razorpay", true, whole(), &verified), ERR_OK);
    assert_int_equal(psp_webhook_read(psp_at(0), whole(), &read, &detail), ERR_OK);
    assert_memory_equal(&verified, &read, sizeof read);
    assert_int_equal(psp_webhook_read(psp_at(0), body_with("signature", NULL), &read, &detail),
                     ERR_OK);
    assert_int_equal(psp_webhook_read(psp_at(0), body_with("amount", "0"), &read, &detail),
                     ERR_MALFORMED_WEBHOOK);
    assert_non_null(strstr(detail.text, "amount"));
}

/* ---- checkout ---- */

static const char *header_of(const http_client_request_t *request, const char *name)
{
    size_t size = strlen(name);
    for (int i = 0; i < request->header_count; i++)
        if (strncmp(request->headers[i], name, size) == 0 && request->headers[i][size] == ':')
            return request->headers[i] + size + 2;
    return NULL;
}

static psp_checkout_t sample_checkout(void)
{
    psp_checkout_t checkout = {.amount = 45000,
                               .currency = "INR",
                               .method = "UPI",
                               .expires_at_us = INT64_C(1771632000000000)};
    assert_true(uuid_parse(ORDER, 36, &checkout.order_id));
    assert_true(uuid_parse(PAYMENT, 36, &checkout.payment_id));
    assert_true(uuid_parse(PAYMENT, 36, &checkout.attempt_id));
    checkout.attempt_id.bytes[15] = 0xff;
    return checkout;
}

static void checkout_request_carries_the_attempt_as_its_key(void **state)
{
    (void)state;
    psp_checkout_t checkout = sample_checkout();
    http_client_request_t request;
    psp_checkout_request(psp_at(0), &account, &checkout, &request);
    assert_string_equal(request.method, "POST");
    assert_string_equal(request.url, "http://127.0.0.1:1/razorpay/v1/checkouts");
    assert_string_equal(header_of(&request, "Authorization"),
                        "Basic cnpwX3Rlc3Rfa2V5OmRldi1zZWNyZXQ=");
    assert_string_equal(header_of(&request, "Content-Type"), "application/json");
    assert_string_equal(header_of(&request, "Idempotency-Key"),
                        "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0aff");
    assert_string_equal(request.body.data,
                        "{\"payment_id\":\"" PAYMENT "\",\"order_id\":\"" ORDER "\","
                        "\"attempt_id\":\"0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0aff\","
                        "\"amount\":45000,\"currency\":\"INR\",\"method\":\"UPI\","
                        "\"expires_at\":\"2026-02-21T00:00:00Z\"}");
    http_client_request_free(&request);

    snprintf(checkout.return_url, sizeof checkout.return_url, "https://shop.example/?a=\"b\"");
    psp_checkout_request(psp_at(0), &account, &checkout, &request);
    assert_non_null(
        strstr(request.body.data, "\"return_url\":\"https://shop.example/?a=\\\"b\\\"\""));
    http_client_request_free(&request);
}

static psp_checkout_answer_t answer_to(err_t err, int status, const char *body)
{
    http_client_response_t response = {.err = err, .status = status};
    psp_checkout_answer_t answer;
    buf_add_text(&response.body, body);
    psp_checkout_read(psp_at(0), &response, &answer);
    buf_free(&response.body);
    return answer;
}

#define OPEN \
    "{\"psp_ref\":\"chk_1\",\"checkout_url\":\"http://psp.example/c/1\",\"status\":\"PENDING\"}"

static void open_checkout_gives_reference_and_url(void **state)
{
    (void)state;
    for (int status = 200; status <= 201; status++) {
        psp_checkout_answer_t answer = answer_to(ERR_OK, status, OPEN);
        assert_int_equal(answer.outcome, PSP_CHECKOUT_OPEN);
        assert_string_equal(answer.psp_ref, "chk_1");
        assert_string_equal(answer.checkout_url, "http://psp.example/c/1");
        assert_string_equal(answer.reason, "");
    }
}

static void only_what_surely_did_not_happen_is_refused(void **state)
{
    (void)state;
    static const struct {
        err_t err;
        int status;
        psp_checkout_outcome_t outcome;
    } cases[] = {
        {ERR_HTTP_UNREACHABLE, 0, PSP_CHECKOUT_REFUSED},
        {ERR_OK, 400, PSP_CHECKOUT_REFUSED},
        {ERR_OK, 401, PSP_CHECKOUT_REFUSED},
        {ERR_OK, 422, PSP_CHECKOUT_REFUSED},
        {ERR_OK, 503, PSP_CHECKOUT_REFUSED},
        {ERR_HTTP_TIMEOUT, 0, PSP_CHECKOUT_UNKNOWN},
        {ERR_TOO_LARGE, 201, PSP_CHECKOUT_UNKNOWN},
        {ERR_OK, 500, PSP_CHECKOUT_UNKNOWN},
        {ERR_OK, 502, PSP_CHECKOUT_UNKNOWN},
        {ERR_OK, 504, PSP_CHECKOUT_UNKNOWN},
        {ERR_OK, 302, PSP_CHECKOUT_UNKNOWN},
        {ERR_OK, 204, PSP_CHECKOUT_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        psp_checkout_answer_t answer = answer_to(cases[i].err, cases[i].status, "");
        if (answer.outcome != cases[i].outcome || !answer.reason[0])
            fail_msg("error %d, status %d: %s \"%s\"", (int)cases[i].err, cases[i].status,
                     psp_checkout_outcome_name(answer.outcome), answer.reason);
    }
}

static void success_that_makes_no_sense_is_an_unknown_outcome(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "{}",
        "[]",
        "<html>",
        "{\"psp_ref\":\"\",\"checkout_url\":\"http://x/y\",\"status\":\"PENDING\"}",
        "{\"psp_ref\":\"a\",\"checkout_url\":\"javascript:alert(1)\",\"status\":\"PENDING\"}",
        "{\"psp_ref\":\"a\",\"checkout_url\":\"http://x/ y\",\"status\":\"PENDING\"}",
        "{\"psp_ref\":\"a\",\"checkout_url\":\"http://x/\\r\\nA: b\",\"status\":\"PENDING\"}",
        "{\"psp_ref\":\"a\",\"checkout_url\":\"http://x/y\",\"status\":\"SUCCESS\"}",
        "{\"psp_ref\":1,\"checkout_url\":\"http://x/y\",\"status\":\"PENDING\"}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        if (answer_to(ERR_OK, 201, bodies[i]).outcome != PSP_CHECKOUT_UNKNOWN)
            fail_msg("%s", bodies[i]);
}

static void refusal_keeps_the_words_of_the_psp(void **state)
{
    (void)state;
    assert_string_equal(answer_to(ERR_OK, 422, "{\"error\":\"card not supported\"}").reason,
                        "HTTP 422: card not supported");
    assert_string_equal(answer_to(ERR_OK, 503, "<html>").reason, "HTTP 503");
    assert_string_equal(answer_to(ERR_OK, 400, "{\"error\":\"a\\u001b[2Jb\"}").reason, "HTTP 400");
    char body[600];
    snprintf(body, sizeof body, "{\"error\":\"%0500d\"}", 1);
    assert_in_range(strlen(answer_to(ERR_OK, 400, body).reason), 100, PSP_REASON_SIZE - 1);
}

/* ---- status ---- */

static err_t read_status(int http_status, str_t body, psp_report_t *report)
{
    uuid_t payment;
    err_detail_t detail;
    assert_true(uuid_parse(PAYMENT, 36, &payment));
    return psp_status_read(psp_at(0), &(psp_payment_t){.payment_id = payment}, http_status, body,
                           report, &detail);
}

static void status_request_asks_for_the_payment(void **state)
{
    (void)state;
    uuid_t payment;
    http_client_request_t request;
    assert_true(uuid_parse(PAYMENT, 36, &payment));
    psp_status_request(psp_at(0), &account, &(psp_payment_t){.payment_id = payment}, &request);
    assert_string_equal(request.method, "GET");
    assert_string_equal(request.url, "http://127.0.0.1:1/razorpay/v1/payments/" PAYMENT);
    assert_non_null(header_of(&request, "Authorization"));
    assert_int_equal(request.body.size, 0);
    http_client_request_free(&request);
}

static void status_and_webhook_name_the_same_fact(void **state)
{
    (void)state;
    psp_report_t webhook, status;
    assert_int_equal(verify_at("Razorpay", true, whole(), &webhook), ERR_OK);
    assert_int_equal(read_status(200, whole(), &status), ERR_OK);
    assert_string_equal(status.psp_ref, webhook.psp_ref);
    assert_int_equal(status.kind, webhook.kind);
    assert_int_equal(status.amount, webhook.amount);
    assert_int_equal(status.ref_is_per_payment, webhook.ref_is_per_payment);
    assert_true(uuid_equal(&status.payment_id, &webhook.payment_id));
}

static void same_status_has_the_same_event_id(void **state)
{
    (void)state;
    psp_report_t first, again, later;
    assert_int_equal(read_status(200, body_with("occurred_at", "\"2026-02-21T00:00:01Z\""), &first),
                     ERR_OK);
    assert_int_equal(read_status(200, body_with("event_id", "\"evt_9\""), &again), ERR_OK);
    assert_string_equal(first.event_id, again.event_id);
    assert_int_equal(read_status(200, body_with("amount", "1"), &later), ERR_OK);
    assert_string_not_equal(first.event_id, later.event_id);
    assert_int_equal(read_status(200, body_with("status", "\"FAILED\""), &later), ERR_OK);
    assert_string_not_equal(first.event_id, later.event_id);
}

static void payment_that_is_pending_or_unknown_is_no_news(void **state)
{
    (void)state;
    psp_report_t report;
    assert_int_equal(read_status(404, STR_LITERAL("{\"error\":\"?\"}"), &report), ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_NONE);
    assert_non_null(strstr(report.reason, "does not know"));
    assert_int_equal(read_status(200, body_with("status", "\"PENDING\""), &report), ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_NONE);
    assert_non_null(strstr(report.reason, "pending"));
}

static void status_that_makes_no_sense_is_an_error(void **state)
{
    (void)state;
    psp_report_t report;
    assert_int_equal(read_status(500, whole(), &report), ERR_MALFORMED_WEBHOOK);
    assert_int_equal(read_status(200, STR_LITERAL("<html>"), &report), ERR_MALFORMED_WEBHOOK);
    assert_int_equal(read_status(200, body_with("payment_id", "\"" ORDER "\""), &report),
                     ERR_MALFORMED_WEBHOOK);
    assert_int_equal(read_status(200, body_with("gateway_txn_id", NULL), &report),
                     ERR_MALFORMED_WEBHOOK);
    assert_int_equal(read_status(200, body_with("amount", "\"1\""), &report),
                     ERR_MALFORMED_WEBHOOK);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(webhook_of_the_readme_is_understood),
    cmocka_unit_test(each_status_is_a_fact_or_none),
    cmocka_unit_test(any_configured_secret_signs),
    cmocka_unit_test(wrong_signature_is_unauthenticated),
    cmocka_unit_test(signature_is_looked_at_before_other_fields),
    cmocka_unit_test(path_wins_over_the_body),
    cmocka_unit_test(production_refuses_the_format),
    cmocka_unit_test(what_is_no_json_object_is_malformed),
    cmocka_unit_test(known_fields_are_strict),
    cmocka_unit_test(edges_of_what_is_allowed_are_taken),
    cmocka_unit_test(stored_body_is_read_the_same_without_its_signature),
    cmocka_unit_test(checkout_request_carries_the_attempt_as_its_key),
    cmocka_unit_test(open_checkout_gives_reference_and_url),
    cmocka_unit_test(only_what_surely_did_not_happen_is_refused),
    cmocka_unit_test(success_that_makes_no_sense_is_an_unknown_outcome),
    cmocka_unit_test(refusal_keeps_the_words_of_the_psp),
    cmocka_unit_test(status_request_asks_for_the_payment),
    cmocka_unit_test(status_and_webhook_name_the_same_fact),
    cmocka_unit_test(same_status_has_the_same_event_id),
    cmocka_unit_test(payment_that_is_pending_or_unknown_is_no_news),
    cmocka_unit_test(status_that_makes_no_sense_is_an_error),
};
TEST_MAIN(tests)
