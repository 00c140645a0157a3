/* test_psp_phonepe.c - PhonePe: tokens, hints, what is asked for upon them and what the answers
 * mean. */
#include "lib/payment/money.h"
#include "lib/sha256.h"
#include "tests/support/psp_wire.h"

static const psp_account_t account = {.base_url = "https://api-preprod.phonepe.com/apis/pg-sandbox",
                                      .key_id = "cl",
                                      .key_secret = "sec",
                                      .webhook_secrets = "user:pass, old:pair"};

static const psp_t *phonepe(void)
{
    return psp_named("phonepe");
}

/* ---- webhooks ---- */

static const char *proof_of(const char *pair)
{
    static char hex[2 * SHA256_SIZE + 1];
    uint8_t digest[SHA256_SIZE];
    const str_t text = str_of(pair);
    sha256(&text, 1, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return hex;
}

static err_t verify(const char *authorization, const char *body, psp_report_t *report,
                    err_detail_t *detail)
{
    const char *headers[] = {authorization ? "Authorization" : NULL, authorization, NULL};
    memset(detail, 0, sizeof *detail);
    return psp_verify_one(phonepe(), &account, false, wire_header, headers, str_of(body),
                          NOW_S * SECOND_US, report, detail);
}

static psp_report_t hint_of(const char *body)
{
    psp_report_t report, stored;
    err_detail_t detail;
    if (verify(proof_of("user:pass"), body, &report, &detail) != ERR_OK)
        fail_msg("%s: %s", body, detail.text);
    assert_int_equal(psp_webhook_read(phonepe(), str_of(body), &stored, &detail), ERR_OK);
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
    assert_true(report->hint);
    assert_int_equal(report->kind, PSP_FACT_NONE);
    assert_int_equal(report->amount, 0); /* one of them was altered */
    assert_true(psp_report_is_empty(report));
    assert_string_equal(report->event_id,
                        strcmp(id, "phonepe-02") == 0
                            ? "checkout.order.failed:OMO2510091420291234567890:FAILED"
                            : "checkout.order.completed:OMO2510091420291234567890:COMPLETED");
}

static void proofs_are_judged_as_the_official_library_judges_them(void **state)
{
    (void)state;
    assert_vectors_are_judged("phonepe", 6, 3, look_at_vector);
}

#define EVENT(event, payload) "{\"event\":\"" event "\",\"payload\":" payload "}"
#define OF_ORDER(order, id, state)                                                   \
    "{\"merchantId\":\"MADEUP\",\"merchantOrderId\":\"" order "\",\"orderId\":\"" id \
    "\",\"state\":\"" state "\",\"amount\":49900}"
#define OF_REFUND(state)                                                                   \
    "{\"merchantId\":\"MADEUP\",\"merchantRefundId\":\"" REFUND "\","                      \
    "\"originalMerchantOrderId\":\"" PAYMENT "\",\"refundId\":\"OMR1\",\"state\":\"" state \
    "\",\"amount\":100}"

static void whatever_a_webhook_says_it_is_a_hint(void **state)
{
    (void)state;
    static const struct {
        const char *body, *event_id;
    } events[] = {
        {EVENT("checkout.order.completed", OF_ORDER(PAYMENT, "OMO1", "COMPLETED")),
         "checkout.order.completed:OMO1:COMPLETED"},
        {EVENT("checkout.order.failed", OF_ORDER(PAYMENT, "OMO1", "FAILED")),
         "checkout.order.failed:OMO1:FAILED"},
        {EVENT("pg.refund.completed", OF_REFUND("COMPLETED")),
         "pg.refund.completed:OMR1:COMPLETED"},
        {EVENT("pg.refund.failed", OF_REFUND("FAILED")), "pg.refund.failed:OMR1:FAILED"},
        {EVENT("something.new", OF_ORDER(PAYMENT, "OMO1", "NEW")), "something.new:OMO1:NEW"},
    };
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        const psp_report_t report = hint_of(events[i].body);
        assert_is(&report.payment_id, PAYMENT);
        assert_string_equal(report.event_id, events[i].event_id);
        assert_false(psp_report_is_empty(&report));
    }
    const psp_report_t foreign =
        hint_of(EVENT("checkout.order.completed", OF_ORDER("ord_1", "OMO1", "COMPLETED")));
    assert_true(psp_report_is_empty(&foreign));
}

static void nobody_without_the_proof_is_heard(void **state)
{
    (void)state;
    static const char body[] =
        EVENT("checkout.order.completed", OF_ORDER(PAYMENT, "OMO1", "COMPLETED"));
    psp_report_t report;
    err_detail_t detail;
    char prefixed[80];
    assert_int_equal(verify(proof_of("old:pair"), body, &report, &detail), ERR_OK);
    assert_int_equal(verify(proof_of("user:past"), body, &report, &detail), ERR_SIGNATURE_INVALID);
    assert_int_equal(verify(NULL, body, &report, &detail), ERR_SIGNATURE_INVALID);
    assert_int_equal(verify("", body, &report, &detail), ERR_SIGNATURE_INVALID);
    assert_int_equal(verify("user:pass", body, &report, &detail), ERR_SIGNATURE_INVALID);
    snprintf(prefixed, sizeof prefixed, "SHA256 %s", proof_of("user:pass"));
    assert_int_equal(verify(prefixed, body, &report, &detail), ERR_SIGNATURE_INVALID);
    assert_null(strstr(detail.text, "pass"));
    assert_string_equal(psp_signature_header(phonepe()), "Authorization");
}

static void a_webhook_that_names_nothing_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body, *said;
    } bodies[] = {
        {EVENT("e", "{\"merchantId\":\"M\",\"state\":\"S\"}"), "orderId"},
        {EVENT("e", "{\"merchantId\":\"M\",\"state\":\"S\",\"orderId\":17}"), "orderId"},
        {EVENT("e", "{\"merchantId\":\"M\",\"state\":\"S\",\"merchantRefundId\":\"r\"}"),
         "refundId"},
        {EVENT("e\\u0001", "{\"merchantId\":\"M\",\"state\":\"S\",\"orderId\":\"O\"}"), "event"},
    };
    psp_report_t report;
    err_detail_t detail;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        assert_int_equal(verify(proof_of("user:pass"), bodies[i].body, &report, &detail),
                         ERR_MALFORMED_WEBHOOK);
        assert_non_null(strstr(detail.text, bodies[i].said));
    }
    assert_int_not_equal(verify(proof_of("user:pass"), "", &report, &detail), ERR_OK);
    assert_int_not_equal(verify(proof_of("user:pass"), "[]", &report, &detail), ERR_OK);
    assert_int_not_equal(verify(proof_of("user:pass"), EVENT("e", "[]"), &report, &detail), ERR_OK);
}

/* ---- tokens ---- */

static void a_token_is_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    const wire_official_t official = {"phonepe", "POST", "/apis/pg-sandbox/v1/oauth/token",
                                      NULL,      NULL,   NULL};
    http_client_request_t request;
    assert_true(psp_token_request(phonepe(), &account, &request));
    assert_as_official(&official, &request);
    assert_string_equal(
        request.body.data,
        "client_id=cl&client_secret=sec&client_version=1&grant_type=client_credentials");
    http_client_request_free(&request);
    const psp_account_t live = {.base_url = "https://api.phonepe.com/apis/pg",
                                .key_id = "a&b",
                                .key_secret = "s=+",
                                .account = "3"};
    assert_true(psp_token_request(phonepe(), &live, &request));
    assert_string_equal(request.url,
                        "https://api.phonepe.com/apis/identity-manager/v1/oauth/token");
    assert_string_equal(request.body.data, "client_id=a%26b&client_secret=s%3D%2B&client_version=3"
                                           "&grant_type=client_credentials");
    assert_not_in_url(&request, "s=+");
    http_client_request_free(&request);
    assert_false(psp_token_request(psp_named("juspay"), &account, &request));
}

static bool read_token(int status, const char *body, char header[PSP_TOKEN_SIZE], int64_t *lives_ms)
{
    http_client_response_t response = {.err = ERR_OK, .status = status};
    buf_add_text(&response.body, body);
    const bool got = psp_token_read(phonepe(), &response, NOW_S * SECOND_US, header, lives_ms);
    buf_free(&response.body);
    return got;
}

static void a_token_goes_into_a_header_while_it_lives(void **state)
{
    (void)state;
    char header[PSP_TOKEN_SIZE];
    int64_t lives_ms;
    assert_true(read_token(200,
                           "{\"access_token\":\"t0k.en\",\"token_type\":\"O-Bearer\","
                           "\"issued_at\":1760000000,\"expires_at\":1760003600}",
                           header, &lives_ms));
    assert_string_equal(header, "Authorization: O-Bearer t0k.en");
    assert_int_equal(lives_ms, 3600000);
    assert_true(
        read_token(200, "{\"access_token\":\"t\",\"expires_at\":1760000001}", header, &lives_ms));
    assert_string_equal(header, "Authorization: O-Bearer t");
    assert_int_equal(lives_ms, 1000);
    static const char *const bodies[] = {
        "",
        "[]",
        "{}",
        "{\"access_token\":\"\",\"expires_at\":1760003600}",
        "{\"access_token\":\"a b\",\"expires_at\":1760003600}",
        "{\"access_token\":\"a\\r\\nX: y\",\"expires_at\":1760003600}",
        "{\"access_token\":\"t\",\"token_type\":\"\",\"expires_at\":1760003600}",
        "{\"access_token\":\"t\",\"token_type\":\"O\\n\",\"expires_at\":1760003600}",
        "{\"access_token\":\"t\"}",
        "{\"access_token\":\"t\",\"expires_at\":\"1760003600\"}",
        "{\"access_token\":\"t\",\"expires_at\":1760000000}",
        "{\"access_token\":\"t\",\"expires_at\":-9223372036854775808}",
        "{\"access_token\":\"t\",\"expires_at\":9223372036854775807}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        if (read_token(200, bodies[i], header, &lives_ms))
            fail_msg("%s", bodies[i]);
        assert_string_equal(header, "");
    }
    assert_false(
        read_token(401, "{\"access_token\":\"t\",\"expires_at\":1760003600}", header, &lives_ms));
    char token[PSP_TOKEN_SIZE + 1], body[PSP_TOKEN_SIZE + 100];
    for (int size = PSP_TOKEN_SIZE - 25; size < PSP_TOKEN_SIZE; size++) {
        memset(token, 't', (size_t)size);
        token[size] = '\0';
        snprintf(body, sizeof body, "{\"access_token\":\"%s\",\"expires_at\":1760003600}", token);
        const bool fits = (size_t)size + strlen("Authorization: O-Bearer ") < PSP_TOKEN_SIZE;
        assert_int_equal(read_token(200, body, header, &lives_ms), fits);
        assert_int_equal(header[0] != '\0', fits);
    }
}

/* ---- requests ---- */

static const char *const renamed[] = {"ord_1", PAYMENT, "rf_1", REFUND, NULL};
static const char *const otherwise[] = {"redirectUrl", NULL};

static void a_checkout_is_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    const wire_official_t official = {"phonepe", "POST",    "/apis/pg-sandbox/checkout/v2/pay",
                                      renamed,   otherwise, NULL};
    psp_checkout_t checkout = checkout_of(49900, "INR");
    http_client_request_t request;
    psp_checkout_request(phonepe(), &account, &checkout, &request);
    assert_as_official(&official, &request);
    assert_string_equal(request.body.data,
                        "{\"merchantOrderId\":\"" PAYMENT "\",\"amount\":49900,"
                        "\"expireAfter\":3600,\"metaInfo\":{\"udf1\":\"" PAYMENT
                        "\",\"udf2\":\"" ORDER "\"},\"paymentFlow\":{\"type\":\"PG_CHECKOUT\","
                        "\"merchantUrls\":{\"redirectUrl\":\"" RETURN_URL "\"}}}");
    http_client_request_free(&request);
    static const struct {
        int64_t lives_s;
        const char *said;
    } lives[] = {{10, "\"expireAfter\":300,"},     {-10, "\"expireAfter\":300,"},
                 {299, "\"expireAfter\":300,"},    {301, "\"expireAfter\":301,"},
                 {3599, "\"expireAfter\":3599,"},  {3601, "\"expireAfter\":3600,"},
                 {864000, "\"expireAfter\":3600,"}};
    for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++) {
        checkout.expires_at_us = checkout.now_us + lives[i].lives_s * SECOND_US;
        psp_checkout_request(phonepe(), &account, &checkout, &request);
        assert_non_null(strstr(request.body.data, lives[i].said));
        http_client_request_free(&request);
    }
    assert_true(psp_takes(phonepe(), "INR"));
    assert_false(psp_takes(phonepe(), "JPY") || psp_takes(phonepe(), "KWD"));
}

static void statuses_and_refunds_are_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    const psp_payment_t payment = {.payment_id = uuid_of(PAYMENT)};
    const psp_refund_t refund = refund_of(100, "INR", "OM1");
    http_client_request_t request;
    wire_official_t official = {
        "phonepe",
        "GET",
        "/apis/pg-sandbox/checkout/v2/order/ord_1/status?details=true&details=true",
        renamed,
        otherwise,
        NULL};
    assert_true(psp_status_request(phonepe(), &account, &payment, &request));
    assert_as_official(&official, &request);
    assert_string_equal(request.url, "https://api-preprod.phonepe.com/apis/pg-sandbox/checkout/v2/"
                                     "order/" PAYMENT "/status?details=true");
    official.target = "/apis/pg-sandbox/payments/v2/refund/rf_1/status";
    assert_true(psp_refund_status_request(phonepe(), &account, &refund, &request));
    assert_as_official(&official, &request);
    official.method = "POST";
    official.target = "/apis/pg-sandbox/payments/v2/refund";
    psp_refund_request(phonepe(), &account, &refund, &request);
    assert_as_official(&official, &request);
    assert_string_equal(request.body.data,
                        "{\"merchantRefundId\":\"" REFUND
                        "\",\"originalMerchantOrderId\":\"" PAYMENT "\",\"amount\":100}");
    http_client_request_free(&request);
}

/* ---- answers ---- */

static void an_open_order_is_read(void **state)
{
    (void)state;
    const psp_checkout_answer_t answer =
        answer_to(phonepe(), ERR_OK, 200,
                  "{\"orderId\":\"OMO1\",\"state\":\"PENDING\",\"expireAt\":1760003600000,"
                  "\"redirectUrl\":\"https://mercury-uat.phonepe.com/transact/uat_v2?token=abc\"}");
    assert_int_equal(answer.outcome, PSP_CHECKOUT_OPEN);
    assert_int_equal(answer.fault, PSP_FAULT_NONE);
    assert_string_equal(answer.psp_ref, "OMO1");
    assert_string_equal(answer.checkout_url,
                        "https://mercury-uat.phonepe.com/transact/uat_v2?token=abc");
}

static void each_error_is_somebodys_fault(void **state)
{
    (void)state;
    static const wire_error_t errors[] = {
        {ERR_OK, 400, "{\"code\":\"BAD_REQUEST\",\"message\":\"Bad amount\"}", PSP_CHECKOUT_REFUSED,
         PSP_FAULT_MERCHANT, "HTTP 400: Bad amount"},
        {ERR_OK, 417, "{\"code\":\"X\",\"message\":\"Duplicate\"}", PSP_CHECKOUT_REFUSED,
         PSP_FAULT_MERCHANT, "HTTP 417: Duplicate"},
        {ERR_OK, 401, "{\"message\":\"token\\u0000\"}", PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT,
         "HTTP 401"},
        {ERR_OK, 200, "{\"orderId\":\"OMO1\"}", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, "{\"orderId\":\"OMO1\",\"redirectUrl\":\"phonepe://pay\"}",
         PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, "{\"redirectUrl\":\"https://x.example/\"}", PSP_CHECKOUT_UNKNOWN,
         PSP_FAULT_PSP, "understood"},
    };
    assert_errors(phonepe(), errors, sizeof errors / sizeof errors[0]);
    assert_common_errors(phonepe());
}

#define META ",\"metaInfo\":{\"udf1\":\"" PAYMENT "\",\"udf2\":\"" ORDER "\"}"
#define DETAIL(id, state, amount, rest)                                                          \
    "{\"transactionId\":\"" id "\",\"state\":\"" state "\",\"amount\":" amount ",\"timestamp\":" \
    "1759999829123" rest "}"
#define ANSWER(state, rest, details)                                      \
    "{\"orderId\":\"OMO1\",\"state\":\"" state "\",\"amount\":49900" rest \
    ",\"paymentDetails\":[" details "]}"

static void each_status_is_a_fact_or_none(void **state)
{
    (void)state;
    static const struct {
        const char *body, *ref;
        psp_fact_kind_t kind;
        const char *reason;
    } statuses[] = {
        {ANSWER("PENDING", META, ""), "", PSP_FACT_NONE, "PENDING"},
        {ANSWER("PENDING", META, DETAIL("OM1", "PENDING", "49900", "")), "", PSP_FACT_NONE,
         "PENDING"},
        {ANSWER("FAILED", META, ""), "", PSP_FACT_NONE, "FAILED"}, /* nobody tried to pay */
        {ANSWER("FAILED", META, DETAIL("OM1", "FAILED", "49900", ",\"errorCode\":\"ZM\"")), "OM1",
         PSP_FACT_FAILED, "ZM"},
        {ANSWER("FAILED", META, DETAIL("OM1", "FAILED", "49900", "")), "OM1", PSP_FACT_FAILED,
         "the PSP says that the payment failed"},
        {ANSWER("COMPLETED", META, DETAIL("OM1", "COMPLETED", "49900", "")), "OM1",
         PSP_FACT_CAPTURED, ""},
        {ANSWER("COMPLETED", "", DETAIL("OM1", "COMPLETED", "49900", "")), "OM1", PSP_FACT_CAPTURED,
         ""},
        {ANSWER("COMPLETED", META,
                DETAIL("OM0", "FAILED", "1", ",\"errorCode\":\"ZM\"") "," DETAIL("OM1", "COMPLETED",
                                                                                 "49900", "")),
         "OM1", PSP_FACT_CAPTURED, ""},
        {ANSWER("UNHEARD", META, ""), "", PSP_FACT_NONE, "UNHEARD"},
    };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const psp_report_t report = status_of(phonepe(), statuses[i].body);
        if (report.kind != statuses[i].kind || strcmp(report.psp_ref, statuses[i].ref) != 0)
            fail_msg("%s: %s of %s", statuses[i].body, psp_fact_kind_name(report.kind),
                     report.psp_ref);
        assert_string_equal(report.reason, statuses[i].reason);
        if (report.kind == PSP_FACT_NONE)
            continue;
        assert_int_equal(report.amount, 49900);
        assert_string_equal(report.currency, "INR");
        assert_int_equal(report.occurred_at_us, INT64_C(1759999829123000));
    }
}

static void other_answers_are_no_status(void **state)
{
    (void)state;
    static const int refusals[] = {401, 403, 417, 429, 500, 503, 302, 204};
    assert_unknown(phonepe(), 404, "{}");
    assert_unknown(phonepe(), 400, "{\"code\":\"INVALID_MERCHANT_ORDER_ID\"}");
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        assert_no_status(phonepe(), refusals[i], "{}", "no status answer");
    assert_no_status(phonepe(), 200, "", "the body");
    assert_no_status(phonepe(), 200, "[]", "the body");
    assert_no_status(phonepe(), 200,
                     ANSWER("COMPLETED", ",\"metaInfo\":{\"udf1\":\"" ORDER "\"}",
                            DETAIL("OM1", "COMPLETED", "49900", "")),
                     "metaInfo.udf1");
    assert_no_status(phonepe(), 200, ANSWER("COMPLETED", META, ""), "paymentDetails");
    assert_no_status(phonepe(), 200, ANSWER("COMPLETED", META, "17"), "paymentDetails");
    assert_no_status(phonepe(), 200, ANSWER("COMPLETED", META, DETAIL("", "COMPLETED", "1", "")),
                     "transactionId");
    static const char *const amounts[] = {
        "0", "-1", "1.0", "\"1\"", "null", "1e2", "9007199254740992"};
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        char body[512];
        snprintf(body, sizeof body, ANSWER("COMPLETED", META, DETAIL("OM1", "COMPLETED", "%s", "")),
                 amounts[i]);
        assert_no_status(phonepe(), 200, body, "amount");
    }
    assert_int_equal(
        status_of(phonepe(),
                  ANSWER("COMPLETED", META, DETAIL("OM1", "COMPLETED", "9007199254740991", "")))
            .amount,
        AMOUNT_MAX);
    static const char *const times[] = {
        "0", "-1", "1.5", "\"1\"", "253402300800000", "9223372036854775807"};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char body[512];
        snprintf(body, sizeof body,
                 ANSWER("COMPLETED", META,
                        "{\"transactionId\":\"OM1\",\"state\":\"COMPLETED\",\"amount\":1,"
                        "\"timestamp\":%s}"),
                 times[i]);
        assert_no_status(phonepe(), 200, body, "timestamp");
    }
}

static void each_state_of_a_refund_is_read(void **state)
{
    (void)state;
#define REFUND_OBJECT(id, state, rest) \
    "{" id "\"refundId\":\"OMR1\",\"state\":\"" state "\",\"amount\":100" rest "}"
#define OURS "\"merchantRefundId\":\"" REFUND "\","
    static const struct {
        const char *body;
        psp_fact_kind_t kind;
        const char *reason;
        int64_t at_us;
    } states[] = {
        {REFUND_OBJECT("", "PENDING", ""), PSP_FACT_REFUND_REQUESTED, "", 0}, /* to the request */
        {REFUND_OBJECT(OURS, "PENDING", ",\"timestamp\":1759999830000"), PSP_FACT_REFUND_REQUESTED,
         "", INT64_C(1759999830000000)},
        {REFUND_OBJECT(OURS, "CONFIRMED", ",\"errorCode\":\"X\""), PSP_FACT_REFUND_REQUESTED, "",
         0},
        {REFUND_OBJECT(OURS, "COMPLETED", ",\"timestamp\":1759999830000"),
         PSP_FACT_REFUND_SUCCEEDED, "", INT64_C(1759999830000000)},
        {REFUND_OBJECT(OURS, "FAILED", ",\"errorCode\":\"CLOSED\""), PSP_FACT_REFUND_FAILED,
         "CLOSED", 0},
        {REFUND_OBJECT(OURS, "FAILED", ""), PSP_FACT_REFUND_FAILED,
         "the PSP says that the refund failed", 0},
    };
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        const psp_report_t report = refund_in(phonepe(), states[i].body);
        assert_int_equal(report.kind, states[i].kind);
        assert_string_equal(report.reason, states[i].reason);
        assert_string_equal(report.psp_ref, "OMR1");
        assert_int_equal(report.amount, 100);
        assert_string_equal(report.currency, "INR");
        assert_int_equal(report.occurred_at_us, states[i].at_us);
    }
}

static void refusals_of_refunds_are_told_apart(void **state)
{
    (void)state;
    assert_refusals(phonepe(), "{\"code\":\"BAD_REQUEST\",\"message\":\"Too much\"}", "Too much");
    assert_no_refund(phonepe(), 417, "{\"message\":\"known\"}", "no answer about the refund");
    assert_no_refund(phonepe(), 200,
                     REFUND_OBJECT("\"merchantRefundId\":\"" ORDER "\",", "COMPLETED", ""),
                     "merchantRefundId");
    assert_no_refund(phonepe(), 200, REFUND_OBJECT("\"merchantRefundId\":17,", "COMPLETED", ""),
                     "merchantRefundId");
    assert_no_refund(phonepe(), 200, REFUND_OBJECT(OURS, "NEW", ""), "state");
    assert_no_refund(phonepe(), 200, "{\"state\":\"COMPLETED\",\"amount\":100}", "refundId");
    assert_no_refund(phonepe(), 200, "{\"state\":\"COMPLETED\",\"refundId\":\"OMR1\"}", "amount");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(proofs_are_judged_as_the_official_library_judges_them),
    cmocka_unit_test(whatever_a_webhook_says_it_is_a_hint),
    cmocka_unit_test(nobody_without_the_proof_is_heard),
    cmocka_unit_test(a_webhook_that_names_nothing_is_refused),
    cmocka_unit_test(a_token_is_asked_for_as_the_official_library_does),
    cmocka_unit_test(a_token_goes_into_a_header_while_it_lives),
    cmocka_unit_test(a_checkout_is_asked_for_as_the_official_library_does),
    cmocka_unit_test(statuses_and_refunds_are_asked_for_as_the_official_library_does),
    cmocka_unit_test(an_open_order_is_read),
    cmocka_unit_test(each_error_is_somebodys_fault),
    cmocka_unit_test(each_status_is_a_fact_or_none),
    cmocka_unit_test(other_answers_are_no_status),
    cmocka_unit_test(each_state_of_a_refund_is_read),
    cmocka_unit_test(refusals_of_refunds_are_told_apart),
};
TEST_MAIN(tests)
