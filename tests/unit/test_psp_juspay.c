/* test_psp_juspay.c - Juspay: its webhooks are hints, and what is asked for upon them; what the
 * answers mean. */
#include "lib/payment/money.h"
#include "tests/support/psp_wire.h"

static const psp_account_t account = {.base_url = "https://sandbox.juspay.in",
                                      .key_id = "madeup",
                                      .key_secret = "key_made_up",
                                      .webhook_secrets = "user:pass:word"};

static const psp_t *juspay(void)
{
    return psp_named("juspay");
}

/* ---- webhooks ---- */

#define BASIC "Basic dXNlcjpwYXNzOndvcmQ=" /* printf 'user:pass:word' | base64 */
#define EVENT(name, content) \
    "{\"id\":\"evt_V2_1\",\"event_name\":\"" name "\",\"content\":" content "}"
#define ITS_ORDER "{\"order\":{\"order_id\":\"" PAYMENT "\",\"udf2\":\"" ORDER "\"}}"

static err_t verify(const char *authorization, const char *body, psp_report_t *report,
                    err_detail_t *detail)
{
    const char *headers[] = {authorization ? "Authorization" : NULL, authorization, NULL};
    memset(detail, 0, sizeof *detail);
    return psp_verify_one(juspay(), &account, false, wire_header, headers, str_of(body),
                          NOW_S * SECOND_US, report, detail);
}

static psp_report_t hint_of(const char *body)
{
    psp_report_t report, stored;
    err_detail_t detail;
    if (verify(BASIC, body, &report, &detail) != ERR_OK)
        fail_msg("%s: %s", body, detail.text);
    assert_int_equal(psp_webhook_read(juspay(), str_of(body), &stored, &detail), ERR_OK);
    assert_memory_equal(&stored, &report, sizeof report);
    assert_true(report.hint);
    assert_int_equal(report.kind, PSP_FACT_NONE);
    assert_int_equal(report.amount, 0);
    assert_string_equal(report.psp_ref, "");
    assert_true(uuid_is_nil(&report.refund_id));
    return report;
}

static void look_at_vector(const char *id, const psp_report_t *report)
{
    (void)id;
    assert_true(report->hint);
    assert_int_equal(report->kind, PSP_FACT_NONE);
    assert_string_equal(report->event_id, "evt_V2_madeup0001");
    assert_true(psp_report_is_empty(report)); /* "ord_1" is another shop's */
}

static void credentials_are_judged_as_a_server_judges_them(void **state)
{
    (void)state;
    assert_vectors_are_judged("juspay", 4, 2, look_at_vector);
}

static void whatever_a_webhook_says_it_is_a_hint(void **state)
{
    (void)state;
    static const char *const events[] = {
        EVENT("ORDER_SUCCEEDED", ITS_ORDER), EVENT("ORDER_FAILED", ITS_ORDER),
        EVENT("ORDER_REFUNDED", ITS_ORDER), EVENT("REFUND_MANUAL_REVIEW_NEEDED", ITS_ORDER),
        EVENT("", ITS_ORDER)};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        const psp_report_t report = hint_of(events[i]);
        assert_is(&report.payment_id, PAYMENT);
        assert_is(&report.order_id, ORDER);
        assert_string_equal(report.event_id, "evt_V2_1");
        assert_false(psp_report_is_empty(&report));
    }
}

static void a_hint_about_nothing_of_ours_is_empty(void **state)
{
    (void)state;
    static const char *const events[] = {
        EVENT("ORDER_SUCCEEDED", "{}"), EVENT("ORDER_SUCCEEDED", "{\"order\":[]}"),
        EVENT("ORDER_SUCCEEDED", "{\"order\":{\"order_id\":\"ord_1\"}}"),
        EVENT("ORDER_SUCCEEDED", "{\"order\":{\"order_id\":17}}")};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        const psp_report_t report = hint_of(events[i]);
        assert_true(psp_report_is_empty(&report));
    }
}

static void nobody_without_the_password_is_heard(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    static const char *const others[] = {
        NULL, "", "Basic", "Basic dXNlcjpwYXNz", "Basic dXNlcg==", "Bearer dXNlcjpwYXNzOndvcmQ="};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(verify(others[i], EVENT("ORDER_SUCCEEDED", ITS_ORDER), &report, &detail),
                         ERR_SIGNATURE_INVALID);
        assert_null(strstr(detail.text, "pass:word"));
    }
    assert_string_equal(psp_signature_header(juspay()), "Authorization");
}

static void a_webhook_without_an_id_is_refused(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    static const char *const bodies[] = {
        "{\"event_name\":\"ORDER_SUCCEEDED\",\"content\":{}}",
        "{\"id\":\"\",\"event_name\":\"ORDER_SUCCEEDED\",\"content\":{}}",
        "{\"id\":17,\"event_name\":\"ORDER_SUCCEEDED\",\"content\":{}}",
        "{\"id\":\"evt\\u0007\",\"event_name\":\"ORDER_SUCCEEDED\",\"content\":{}}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        assert_int_equal(verify(BASIC, bodies[i], &report, &detail), ERR_MALFORMED_WEBHOOK);
        assert_non_null(strstr(detail.text, "id must be"));
    }
    assert_int_not_equal(verify(BASIC, "", &report, &detail), ERR_OK);
    assert_int_not_equal(verify(BASIC, "[]", &report, &detail), ERR_OK);
    assert_int_not_equal(verify(BASIC, "{\"id\":\"evt_1\"}", &report, &detail), ERR_OK);
}

/* ---- requests ---- */

static const char *const renamed[] = {"ord_1", PAYMENT, "rf_1", REFUND, NULL};
static const char *const otherwise[] = {"return_url", "amount", NULL}; /* 1 and 1.00 */

static void a_checkout_is_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    static const char *const urls[] = {"return_url", NULL};
    const wire_official_t official = {"juspay", "POST", "/session", renamed, urls, NULL};
    psp_checkout_t checkout = checkout_of(49900, "INR");
    http_client_request_t request;
    psp_checkout_request(juspay(), &account, &checkout, &request);
    assert_as_official(&official, &request);
    assert_string_equal(request.body.data,
                        "{\"amount\":\"499.00\",\"currency\":\"INR\",\"order_id\":\"" PAYMENT
                        "\",\"customer_id\":\"c1\",\"customer_phone\":\"9999999999\","
                        "\"payment_page_client_id\":\"madeup\",\"action\":\"paymentPage\","
                        "\"return_url\":\"" RETURN_URL "\",\"udf1\":\"" PAYMENT
                        "\",\"udf2\":\"" ORDER "\"}");
    http_client_request_free(&request);

    const psp_account_t other = {.base_url = account.base_url,
                                 .key_id = "madeup",
                                 .key_secret = "key_made_up",
                                 .account = "its-page"};
    memset(&checkout.customer, 0, sizeof checkout.customer);
    snprintf(checkout.customer.email, sizeof checkout.customer.email, "a@example.com");
    psp_checkout_request(juspay(), &other, &checkout, &request);
    assert_non_null(strstr(request.body.data, "\"customer_id\":\"customer\""));
    assert_non_null(strstr(request.body.data, "\"customer_email\":\"a@example.com\""));
    assert_null(strstr(request.body.data, "customer_phone"));
    assert_non_null(strstr(request.body.data, "\"payment_page_client_id\":\"its-page\""));
    http_client_request_free(&request);
}

static void statuses_and_refunds_are_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    const psp_payment_t payment = {.payment_id = uuid_of(PAYMENT)};
    const psp_refund_t refund = refund_of(100, "INR", "moz1");
    http_client_request_t request;
    wire_official_t official = {"juspay", "GET",     "/orders/ord_1?order_id=ord_1",
                                renamed,  otherwise, NULL};
    assert_true(psp_status_request(juspay(), &account, &payment, &request));
    assert_as_official(&official, &request);
    assert_string_equal(request.url, "https://sandbox.juspay.in/orders/" PAYMENT);
    official.method = "POST";
    official.target = "/orders/ord_1/refunds";
    psp_refund_request(juspay(), &account, &refund, &request);
    assert_as_official(&official, &request);
    assert_string_equal(request.body.data, "unique_request_id=" REFUND "&amount=1.00");
    http_client_request_free(&request);
    assert_true(psp_refund_status_request(juspay(), &account, &refund, &request));
    assert_string_equal(request.method, "GET");
    assert_string_equal(request.url, "https://sandbox.juspay.in/orders/" PAYMENT);
    assert_string_equal(header_named(&request, "Authorization"), "Basic a2V5X21hZGVfdXA=");
    assert_not_in_url(&request, "key_made_up");
}

static const char *order_of(const char *status, const char *amount, const char *currency,
                            const char *rest)
{
    static char body[2048];
    const int size = snprintf(
        body, sizeof body,
        "{\"order_id\":\"" PAYMENT "\",\"id\":\"ordeh_1\",\"amount\":%s,\"currency\":\"%s\","
        "\"status\":\"%s\",\"udf1\":\"" PAYMENT "\",\"udf2\":\"" ORDER
        "\",\"date_created\":\"2025-10-09T08:50:27Z\",\"txn_id\":\"madeup-1\"%s}",
        amount, currency, status, rest);
    assert_true(size > 0 && (size_t)size < sizeof body);
    return body;
}

#define TXN ",\"txn_uuid\":\"moz1\""
#define DETAIL \
    ",\"txn_detail\":{\"created\":\"2025-10-09T08:50:28Z\",\"error_message\":\"No funds\"}"
#define RESPONSE ",\"payment_gateway_response\":{\"created\":\"2025-10-09T08:50:29Z\"}"

static void amounts_are_read_and_written_to_the_last_digit(void **state)
{
    (void)state;
    static const struct {
        const char *said, *currency;
        int64_t amount;
        const char *text;
    } amounts[] = {
        {"499.00", "INR", 49900, "\"amount\":\"499.00\","},
        {"499", "INR", 49900, "\"amount\":\"499.00\","},
        {"4.35", "INR", 435, "\"amount\":\"4.35\","},
        {"120", "JPY", 120, "\"amount\":\"120\","},
        {"120.0", "JPY", 120, "\"amount\":\"120\","},
        {"12.345", "KWD", 12345, "\"amount\":\"12.345\","},
        {"90071992547409.91", "INR", AMOUNT_MAX, "\"amount\":\"90071992547409.91\","},
    };
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        const psp_checkout_t checkout = checkout_of(amounts[i].amount, amounts[i].currency);
        http_client_request_t request;
        const psp_report_t report =
            status_of(juspay(), order_of("CHARGED", amounts[i].said, amounts[i].currency, TXN));
        assert_int_equal(report.amount, amounts[i].amount);
        assert_string_equal(report.currency, amounts[i].currency);
        psp_checkout_request(juspay(), &account, &checkout, &request);
        assert_non_null(strstr(request.body.data, amounts[i].text));
        http_client_request_free(&request);
    }
}

/* ---- answers ---- */

#define SESSION(id, url) \
    "{\"status\":\"NEW\",\"id\":" id ",\"order_id\":\"" PAYMENT "\",\"payment_links\":" url "}"

static void an_open_session_is_read(void **state)
{
    (void)state;
    const psp_checkout_answer_t answer =
        answer_to(juspay(), ERR_OK, 200,
                  SESSION("\"ordeh_1\"", "{\"web\":\"https://sandbox.juspay.in/orders/ordeh_1/"
                                         "payment-page\",\"expiry\":null}"));
    assert_int_equal(answer.outcome, PSP_CHECKOUT_OPEN);
    assert_int_equal(answer.fault, PSP_FAULT_NONE);
    assert_string_equal(answer.psp_ref, "ordeh_1");
    assert_string_equal(answer.checkout_url,
                        "https://sandbox.juspay.in/orders/ordeh_1/payment-page");
    assert_string_equal(answer.page_data, "");
}

static void each_error_is_somebodys_fault(void **state)
{
    (void)state;
    static const wire_error_t errors[] = {
        {ERR_OK, 400,
         "{\"status\":\"Bad Request\",\"error_code\":\"INVALID_INPUT\","
         "\"error_message\":\"Invalid amount\"}",
         PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT, "HTTP 400: Invalid amount"},
        {ERR_OK, 401, "{\"error_message\":\"\"}", PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT,
         "HTTP 401"},
        {ERR_OK, 200, SESSION("\"ordeh_1\"", "{}"), PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP,
         "understood"},
        {ERR_OK, 200, SESSION("\"ordeh_1\"", "{\"web\":\"javascript:alert(1)\"}"),
         PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, SESSION("\"ordeh_1\"", "{\"web\":\"https://x.example/a b\"}"),
         PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, SESSION("17", "{\"web\":\"https://x.example/\"}"), PSP_CHECKOUT_UNKNOWN,
         PSP_FAULT_PSP, "understood"},
    };
    assert_errors(juspay(), errors, sizeof errors / sizeof errors[0]);
    assert_common_errors(juspay());
    const psp_checkout_t checkout = checkout_of(1, "INR");
    psp_page_t page;
    http_client_request_t request;
    assert_false(psp_page(juspay(), &account, &checkout, "", &page)); /* it has one of its own */
    assert_false(psp_checkout_find_request(juspay(), &account, &checkout, &request));
}

static void each_status_is_a_fact_or_none(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        psp_fact_kind_t kind;
    } statuses[] = {
        {"NEW", PSP_FACT_NONE},
        {"PENDING_VBV", PSP_FACT_NONE},
        {"AUTHORIZING", PSP_FACT_NONE},
        {"STARTED", PSP_FACT_NONE},
        {"CAPTURE_INITIATED", PSP_FACT_NONE},
        {"VOID_INITIATED", PSP_FACT_NONE},
        {"CHARGED", PSP_FACT_CAPTURED},
        {"AUTO_REFUNDED", PSP_FACT_VOIDED},
        {"AUTHORIZED", PSP_FACT_AUTHORIZED},
        {"VOIDED", PSP_FACT_VOIDED},
        {"AUTHENTICATION_FAILED", PSP_FACT_FAILED},
        {"AUTHORIZATION_FAILED", PSP_FACT_FAILED},
        {"JUSPAY_DECLINED", PSP_FACT_FAILED},
        {"CAPTURE_FAILED", PSP_FACT_FAILED},
    };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const psp_report_t report =
            status_of(juspay(), order_of(statuses[i].status, "499.00", "INR", TXN DETAIL));
        if (report.kind != statuses[i].kind)
            fail_msg("%s: %s", statuses[i].status, psp_fact_kind_name(report.kind));
        assert_string_equal(report.psp_ref, report.kind == PSP_FACT_NONE ? "" : "moz1");
        assert_int_equal(report.amount, report.kind == PSP_FACT_NONE ? 0 : 49900);
        assert_string_equal(report.reason, report.kind == PSP_FACT_NONE     ? statuses[i].status
                                           : report.kind == PSP_FACT_FAILED ? "No funds"
                                                                            : "");
        if (report.kind != PSP_FACT_NONE)
            assert_is(&report.order_id, ORDER);
    }
}

static void it_happened_when_the_gateway_says(void **state)
{
    (void)state;
    static const struct {
        const char *rest;
        int64_t at_s;
    } times[] = {{TXN DETAIL RESPONSE, 1759999829}, {TXN DETAIL, 1759999828}, {TXN, 1759999827}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        assert_int_equal(
            status_of(juspay(), order_of("CHARGED", "1", "INR", times[i].rest)).occurred_at_us,
            times[i].at_s * SECOND_US);
    assert_string_equal(status_of(juspay(), order_of("CHARGED", "1", "INR", "")).psp_ref,
                        "madeup-1"); /* where there is no txn_uuid */
}

static void other_answers_are_no_status(void **state)
{
    (void)state;
    static const int refusals[] = {400, 401, 429, 500, 503, 302, 204};
    assert_unknown(juspay(), 404, "{\"error_message\":\"Order not found\"}");
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        assert_no_status(juspay(), refusals[i], "{}", "no status answer");
    assert_no_status(juspay(), 200, "", "the body");
    assert_no_status(juspay(), 200, "[]", "the body");
    assert_no_status(juspay(), 200, "{}", "order_id");
    assert_no_status(juspay(), 200, "{\"order_id\":\"" ORDER "\",\"status\":\"CHARGED\"}",
                     "order_id");
    static const char *const amounts[] = {
        "0", "-1", "1.001", "1e2", "[]", "null", "\"\"", "90071992547409.92", "true"};
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++)
        assert_no_status(juspay(), 200, order_of("CHARGED", amounts[i], "INR", TXN), "amount");
    assert_no_status(juspay(), 200, order_of("CHARGED", "1", "inr", TXN), "currency");
    assert_no_status(juspay(), 200, order_of("CHARGED", "1", "INR", ",\"txn_uuid\":\"\""),
                     "txn_uuid");
    assert_no_status(juspay(), 200,
                     "{\"order_id\":\"" PAYMENT "\",\"status\":\"CHARGED\",\"amount\":1,"
                     "\"currency\":\"INR\",\"txn_uuid\":\"moz1\"}",
                     "date_created");
}

#define REFUND_OBJECT(id, status, rest)                                                       \
    "{\"unique_request_id\":\"" id "\",\"amount\":1.00,\"created\":\"2025-10-09T08:50:30Z\"," \
    "\"status\":\"" status "\"" rest "}"
#define REFUNDS(list) ",\"refunds\":[" list "]"

static void each_state_of_a_refund_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *refunds;
        psp_fact_kind_t kind;
        const char *reason;
    } states[] = {
        {REFUNDS(REFUND_OBJECT(REFUND, "SUCCESS", ",\"error_message\":\"\"")),
         PSP_FACT_REFUND_SUCCEEDED, ""},
        {REFUNDS(REFUND_OBJECT(REFUND, "PENDING", ",\"error_message\":\"later\"")),
         PSP_FACT_REFUND_REQUESTED, ""},
        {REFUNDS(REFUND_OBJECT(REFUND, "MANUAL_REVIEW", "")), PSP_FACT_REFUND_REQUESTED, ""},
        {REFUNDS(REFUND_OBJECT(REFUND, "FAILURE", ",\"error_message\":\"Too late\"")),
         PSP_FACT_REFUND_FAILED, "Too late"},
        {REFUNDS(REFUND_OBJECT(REFUND, "FAILURE", "")), PSP_FACT_REFUND_FAILED,
         "the PSP says that the refund failed"},
        {REFUNDS(REFUND_OBJECT("other", "FAILURE", "") "," REFUND_OBJECT(
             REFUND, "SUCCESS", "") "," REFUND_OBJECT(ORDER, "PENDING", "")),
         PSP_FACT_REFUND_SUCCEEDED, ""},
    };
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        const psp_report_t report =
            refund_in(juspay(), order_of("CHARGED", "499.00", "INR", states[i].refunds));
        assert_int_equal(report.kind, states[i].kind);
        assert_string_equal(report.reason, states[i].reason);
        assert_string_equal(report.psp_ref, REFUND);
        assert_int_equal(report.amount, 100);
        assert_string_equal(report.currency, "INR");
        assert_int_equal(report.occurred_at_us, INT64_C(1759999830) * SECOND_US);
    }
}

static void refusals_of_refunds_are_told_apart(void **state)
{
    (void)state;
    assert_refusals(juspay(), "{\"error_message\":\"Already refunded\"}", "Already refunded");
    assert_no_refund(juspay(), 200, order_of("CHARGED", "1", "INR", ""), "lacks the refund");
    assert_no_refund(juspay(), 200,
                     order_of("CHARGED", "1", "INR", REFUNDS(REFUND_OBJECT(ORDER, "SUCCESS", ""))),
                     "lacks the refund");
    assert_no_refund(juspay(), 200,
                     order_of("CHARGED", "1", "INR", REFUNDS(REFUND_OBJECT(REFUND, "NEW", ""))),
                     "status");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(credentials_are_judged_as_a_server_judges_them),
    cmocka_unit_test(whatever_a_webhook_says_it_is_a_hint),
    cmocka_unit_test(a_hint_about_nothing_of_ours_is_empty),
    cmocka_unit_test(nobody_without_the_password_is_heard),
    cmocka_unit_test(a_webhook_without_an_id_is_refused),
    cmocka_unit_test(a_checkout_is_asked_for_as_the_official_library_does),
    cmocka_unit_test(statuses_and_refunds_are_asked_for_as_the_official_library_does),
    cmocka_unit_test(amounts_are_read_and_written_to_the_last_digit),
    cmocka_unit_test(an_open_session_is_read),
    cmocka_unit_test(each_error_is_somebodys_fault),
    cmocka_unit_test(each_status_is_a_fact_or_none),
    cmocka_unit_test(it_happened_when_the_gateway_says),
    cmocka_unit_test(other_answers_are_no_status),
    cmocka_unit_test(each_state_of_a_refund_is_read),
    cmocka_unit_test(refusals_of_refunds_are_told_apart),
};
TEST_MAIN(tests)
