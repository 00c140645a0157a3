/* test_psp_cashfree.c - Cashfree: whose webhooks are believed and what they say, what is asked for
 * and what the answers mean. */
#include <openssl/evp.h>

#include "lib/hmac.h"
#include "lib/payment/money.h"
#include "tests/support/psp_wire.h"

static const psp_account_t account = {.base_url = "https://sandbox.cashfree.com",
                                      .key_id = "app_made_up",
                                      .key_secret = "secret_made_up",
                                      .webhook_secrets = "secret_made_up, secret_old"};

static const psp_t *cashfree(void)
{
    return psp_named("cashfree");
}

/* ---- webhooks ---- */

/* Base64 of the HMAC of timestamp and body. */
static const char *sign(const char *secret, const char *timestamp, const char *body)
{
    static unsigned char signature[48];
    uint8_t digest[HMAC_SHA256_SIZE];
    buf_t text = {0};
    buf_add_text(&text, timestamp);
    buf_add_text(&text, body);
    hmac_sha256(str_of(secret), (str_t){text.data, (uint32_t)text.size}, digest);
    buf_free(&text);
    EVP_EncodeBlock(signature, digest, sizeof digest);
    return (const char *)signature;
}

/* `event_id` NULL: no such header. */
static err_t verify(const char *body, const char *event_id, psp_report_t *report,
                    err_detail_t *detail)
{
    const char *headers[] = {"x-webhook-timestamp",
                             "1760000000000",
                             "x-webhook-signature",
                             sign("secret_made_up", "1760000000000", body),
                             event_id ? "x-idempotency-key" : NULL,
                             event_id,
                             NULL};
    memset(detail, 0, sizeof *detail);
    return psp_verify_one(cashfree(), &account, false, wire_header, headers, str_of(body),
                          NOW_S * SECOND_US, report, detail);
}

/* What an event says, to whoever receives it and to whoever reads it later. */
static psp_report_t report_of(const char *body)
{
    psp_report_t report, stored;
    err_detail_t detail;
    if (verify(body, "idem-1", &report, &detail) != ERR_OK)
        fail_msg("%s: %s", body, detail.text);
    assert_string_equal(report.event_id, "idem-1");
    assert_int_equal(psp_webhook_read(cashfree(), str_of(body), &stored, &detail), ERR_OK);
    assert_string_equal(stored.event_id, "");
    memcpy(stored.event_id, report.event_id, sizeof stored.event_id);
    assert_memory_equal(&stored, &report, sizeof report);
    assert_false(report.hint);
    return report;
}

#define EVENT(type, data) "{\"data\":{" data "},\"type\":\"" type "\"}"
#define ITS_ORDER \
    "\"order\":{\"order_id\":\"" PAYMENT "\",\"order_tags\":{\"order_id\":\"" ORDER "\"}}"
#define TRY_OF(status, amount, currency, rest)                                                    \
    "{\"order_id\":\"" PAYMENT "\",\"cf_payment_id\":\"1453002795\",\"payment_status\":\"" status \
    "\",\"payment_amount\":" amount ",\"payment_currency\":\"" currency "\","                     \
    "\"payment_time\":\"2025-10-09T14:20:29+05:30\"" rest "}"
#define PAID(rest) TRY_OF("SUCCESS", "499.00", "INR", rest)
#define REFUND_OBJECT(status, rest)                                                           \
    "{\"cf_refund_id\":\"11325632\",\"refund_id\":\"" REFUND "\",\"order_id\":\"" PAYMENT     \
    "\",\"refund_amount\":1.00,\"refund_currency\":\"INR\",\"refund_status\":\"" status "\"," \
    "\"created_at\":\"2025-10-09T14:20:30+05:30\"" rest "}"

static void look_at_vector(const char *id, const psp_report_t *report)
{
    const bool failed = strcmp(id, "cashfree-02") == 0;
    assert_int_equal(report->kind, failed ? PSP_FACT_FAILED : PSP_FACT_CAPTURED);
    assert_true(uuid_is_nil(&report->payment_id)); /* another shop's */
    assert_int_equal(report->amount, 17000);
    assert_string_equal(report->currency, "INR");
    assert_string_equal(report->psp_ref, "1453002795");
    assert_string_equal(report->event_id, "made-up-idem-1");
    assert_int_equal(report->occurred_at_us, INT64_C(1759999829) * SECOND_US);
    assert_string_equal(report->reason, failed ? "ZM::INVALID MPIN" : "");
}

static void signatures_of_the_official_library_are_judged_as_it_judges_them(void **state)
{
    (void)state;
    assert_vectors_are_judged("cashfree", 10, 3, look_at_vector);
}

static void any_configured_secret_signs_and_nothing_else_does(void **state)
{
    (void)state;
    static const char body[] = EVENT("PAYMENT_CHARGES_WEBHOOK", "");
    static const char *const secrets[] = {"secret_made_up", "secret_old", "other"};
    psp_report_t report;
    err_detail_t detail;
    for (size_t i = 0; i < 3; i++) {
        const char *headers[] = {"x-webhook-timestamp", "1", "x-webhook-signature",
                                 sign(secrets[i], "1", body), NULL};
        assert_int_equal(psp_verify_one(cashfree(), &account, true, wire_header, headers,
                                        str_of(body), 0, &report, &detail),
                         i < 2 ? ERR_OK : ERR_SIGNATURE_INVALID);
        assert_null(strstr(detail.text, "secret_"));
    }
    const char *moved[] = {"x-webhook-timestamp", "2", "x-webhook-signature",
                           sign("secret_old", "1", body), NULL};
    assert_int_equal(psp_verify_one(cashfree(), &account, true, wire_header, moved, str_of(body), 0,
                                    &report, &detail),
                     ERR_SIGNATURE_INVALID);
    const char *unsigned_[] = {"x-webhook-signature", sign("secret_old", "", body), NULL};
    assert_int_equal(psp_verify_one(cashfree(), &account, true, wire_header, unsigned_,
                                    str_of(body), 0, &report, &detail),
                     ERR_SIGNATURE_INVALID);
    assert_string_equal(psp_signature_header(cashfree()), "x-webhook-signature");
}

static void each_event_is_a_fact_with_one_reference(void **state)
{
    (void)state;
    static const struct {
        const char *body, *ref;
        psp_fact_kind_t kind;
        int64_t amount;
    } events[] = {
        {EVENT("PAYMENT_SUCCESS_WEBHOOK", ITS_ORDER ",\"payment\":" PAID("")), "1453002795",
         PSP_FACT_CAPTURED, 49900},
        {EVENT("PAYMENT_SUCCESS_WEBHOOK", ITS_ORDER ",\"payment\":" PAID(",\"is_captured\":true")),
         "1453002795", PSP_FACT_CAPTURED, 49900},
        {EVENT("PAYMENT_SUCCESS_WEBHOOK", ITS_ORDER ",\"payment\":" PAID(",\"is_captured\":false")),
         "1453002795", PSP_FACT_AUTHORIZED, 49900},
        {EVENT("PAYMENT_FAILED_WEBHOOK",
               ITS_ORDER ",\"payment\":" TRY_OF("FAILED", "499", "INR", "")),
         "1453002795", PSP_FACT_FAILED, 49900},
        {EVENT("PAYMENT_USER_DROPPED_WEBHOOK",
               ITS_ORDER ",\"payment\":" TRY_OF("USER_DROPPED", "499.0", "INR", "")),
         "1453002795", PSP_FACT_FAILED, 49900},
        {EVENT("REFUND_STATUS_WEBHOOK", "\"refund\":" REFUND_OBJECT("SUCCESS", "")), "11325632",
         PSP_FACT_REFUND_SUCCEEDED, 100},
        {EVENT("REFUND_STATUS_WEBHOOK", "\"refund\":" REFUND_OBJECT("PENDING", "")), "11325632",
         PSP_FACT_REFUND_REQUESTED, 100},
        {EVENT("REFUND_STATUS_WEBHOOK", "\"refund\":" REFUND_OBJECT("ONHOLD", "")), "11325632",
         PSP_FACT_REFUND_REQUESTED, 100},
        {EVENT("REFUND_STATUS_WEBHOOK", "\"refund\":" REFUND_OBJECT("CANCELLED", "")), "11325632",
         PSP_FACT_REFUND_FAILED, 100},
        {EVENT("REFUND_STATUS_WEBHOOK", "\"refund\":" REFUND_OBJECT("FAILED", "")), "11325632",
         PSP_FACT_REFUND_FAILED, 100},
    };
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        const psp_report_t report = report_of(events[i].body);
        if (report.kind != events[i].kind || strcmp(report.psp_ref, events[i].ref) != 0)
            fail_msg("%s: %s of %s", events[i].body, psp_fact_kind_name(report.kind),
                     report.psp_ref);
        assert_is(&report.payment_id, PAYMENT);
        assert_int_equal(report.amount, events[i].amount);
        assert_string_equal(report.currency, "INR");
        if (psp_fact_is_refund(report.kind)) {
            assert_is(&report.refund_id, REFUND);
            assert_int_equal(report.occurred_at_us, INT64_C(1759999830) * SECOND_US);
        } else {
            assert_is(&report.order_id, ORDER);
            assert_true(uuid_is_nil(&report.refund_id));
            assert_int_equal(report.occurred_at_us, INT64_C(1759999829) * SECOND_US);
        }
    }
}

static void money_that_goes_back_by_itself_is_nobodys_refund(void **state)
{
    (void)state;
    const psp_report_t report = report_of(
        EVENT("AUTO_REFUND_STATUS_WEBHOOK",
              "\"auto_refund\":{\"cf_refund_id\":17,\"order_id\":\"" PAYMENT "\","
              "\"refund_amount\":1.10,\"refund_currency\":\"INR\",\"refund_status\":\"SUCCESS\","
              "\"created_at\":\"2025-10-09T14:20:29+05:30\","
              "\"processed_at\":\"2025-10-09T14:20:31+05:30\"}"));
    assert_int_equal(report.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_is(&report.payment_id, PAYMENT);
    assert_true(uuid_is_nil(&report.refund_id));
    assert_string_equal(report.psp_ref, "17"); /* a number, before version 2025-01-01 */
    assert_int_equal(report.amount, 110);
    assert_int_equal(report.occurred_at_us, INT64_C(1759999831) * SECOND_US);
}

static void why_it_failed_is_said_in_cashfrees_words(void **state)
{
    (void)state;
#define FAILED(rest) \
    EVENT("PAYMENT_FAILED_WEBHOOK", ITS_ORDER ",\"payment\":" TRY_OF("FAILED", "1", "INR", rest))
    assert_string_equal(report_of(FAILED(",\"payment_message\":\"ZM\"")).reason, "ZM");
    assert_string_equal(report_of(FAILED(",\"payment_message\":\"ZM\",\"error_details\":{"
                                         "\"error_description\":\"Invalid PIN\"}"))
                            .reason,
                        "Invalid PIN");
    assert_string_equal(report_of(FAILED(",\"payment_message\":null")).reason,
                        "the PSP says that the payment failed");
    assert_string_equal(report_of(EVENT("REFUND_STATUS_WEBHOOK",
                                        "\"refund\":" REFUND_OBJECT(
                                            "FAILED", ",\"status_description\":\"Closed\"")))
                            .reason,
                        "Closed");
}

static void amounts_are_read_and_written_to_the_last_digit(void **state)
{
    (void)state;
    static const struct {
        const char *body, *currency;
        int64_t amount;
        const char *text;
    } amounts[] = {
#define SAID(amount, currency)       \
    EVENT("PAYMENT_SUCCESS_WEBHOOK", \
          ITS_ORDER ",\"payment\":" TRY_OF("SUCCESS", amount, currency, ""))
        {SAID("170.00", "INR"), "INR", 17000, "\"order_amount\":170.00,"},
        {SAID("1.1", "INR"), "INR", 110, "\"order_amount\":1.10,"},
        {SAID("\"4.35\"", "INR"), "INR", 435, "\"order_amount\":4.35,"},
        {SAID("120", "JPY"), "JPY", 120, "\"order_amount\":120,"},
        {SAID("120.0", "JPY"), "JPY", 120, "\"order_amount\":120,"},
        {SAID("12.345", "KWD"), "KWD", 12345, "\"order_amount\":12.345,"},
        {SAID("90071992547409.91", "INR"), "INR", AMOUNT_MAX,
         "\"order_amount\":90071992547409.91,"},
    };
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        const psp_checkout_t checkout = checkout_of(amounts[i].amount, amounts[i].currency);
        const psp_report_t report = report_of(amounts[i].body);
        http_client_request_t request;
        assert_int_equal(report.amount, amounts[i].amount);
        assert_string_equal(report.currency, amounts[i].currency);
        psp_checkout_request(cashfree(), &account, &checkout, &request);
        assert_non_null(strstr(request.body.data, amounts[i].text));
        http_client_request_free(&request);
    }
}

static void assert_malformed(const char *body, const char *said)
{
    psp_report_t report;
    err_detail_t detail;
    if (verify(body, "idem-1", &report, &detail) != ERR_MALFORMED_WEBHOOK ||
        !strstr(detail.text, said))
        fail_msg("%s: \"%s\" does not say \"%s\"", body, detail.text, said);
}

static void what_is_wrong_in_an_event_is_named(void **state)
{
    (void)state;
#define SUCCESS(payment) EVENT("PAYMENT_SUCCESS_WEBHOOK", ITS_ORDER ",\"payment\":" payment)
    assert_malformed("", "the body");
    assert_malformed("[]", "the body");
    assert_malformed("{\"type\":\"PAYMENT_SUCCESS_WEBHOOK\"}", "no event of Cashfree");
    assert_malformed("{\"data\":{}}", "no event of Cashfree");
    assert_malformed(SUCCESS("{}"), "cf_payment_id");
    assert_malformed(SUCCESS("17"), "cf_payment_id");
    static const char *const amounts[] = {"0",    "-1",      "1.001", "1e3",  "null",
                                          "\"\"", "\"1,0\"", "[1]",   "true", "90071992547409.92",
                                          "0.004"};
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        char body[1024];
        snprintf(body, sizeof body, SUCCESS(TRY_OF("SUCCESS", "%s", "INR", "")), amounts[i]);
        assert_malformed(body, "payment_amount");
    }
    assert_malformed(SUCCESS(TRY_OF("SUCCESS", "1", "inr", "")), "payment_currency");
    assert_malformed(SUCCESS(TRY_OF("SUCCESS", "1.5", "JPY", "")), "payment_amount");
    assert_malformed(SUCCESS("{\"cf_payment_id\":\"1\",\"payment_amount\":1,"
                             "\"payment_currency\":\"INR\",\"payment_time\":\"yesterday\"}"),
                     "payment_time");
    assert_malformed(EVENT("REFUND_STATUS_WEBHOOK", "\"refund\":" REFUND_OBJECT("GONE", "")),
                     "refund_status");
    assert_malformed(EVENT("REFUND_STATUS_WEBHOOK", ""), "refund_status");
}

static void an_event_has_an_id_of_its_own(void **state)
{
    (void)state;
    static const char captured[] =
        EVENT("PAYMENT_SUCCESS_WEBHOOK", ITS_ORDER ",\"payment\":" PAID(""));
    static const char other[] = EVENT("PAYMENT_SUCCESS_WEBHOOK",
                                      ITS_ORDER ",\"payment\":" TRY_OF("SUCCESS", "1", "INR", ""));
    psp_report_t report, again;
    err_detail_t detail;
    assert_int_equal(verify(captured, NULL, &report, &detail), ERR_OK);
    assert_int_equal(strncmp(report.event_id, "webhook_", 8), 0);
    assert_int_equal(verify(captured, "\x01", &again, &detail), ERR_OK);
    assert_string_equal(report.event_id, again.event_id);
    assert_int_equal(verify(other, NULL, &again, &detail), ERR_OK);
    assert_string_not_equal(report.event_id, again.event_id);
}

static void unknown_events_are_empty(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        EVENT("PAYMENT_CHARGES_WEBHOOK", ITS_ORDER ",\"payment\":" PAID("")),
        EVENT("DISPUTE_CREATED", "\"dispute\":{}"), EVENT("SETTLEMENT_SUCCESS", ""), EVENT("", "")};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        const psp_report_t report = report_of(bodies[i]);
        assert_true(psp_report_is_empty(&report));
    }
}

/* ---- requests ---- */

static const char *const renamed[] = {"ord_1", PAYMENT, "rf_1", REFUND, NULL};
/* The version is that whose answers are read; URLs are our pages. */
static const char *const otherwise[] = {
    "x-api-version", "x-idempotency-key", "return_url", "notify_url",
    "order_tags",    "refund_note",       NULL};
static const char *const without[] = {"a", NULL}; /* a tag */

static void a_checkout_is_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    psp_checkout_t checkout = checkout_of(49900, "INR");
    http_client_request_t request;
    snprintf(checkout.customer.id, sizeof checkout.customer.id, "c.1/ü");
    snprintf(checkout.customer.email, sizeof checkout.customer.email, "a@example.com");
    snprintf(checkout.customer.name, sizeof checkout.customer.name, "Asha \"A\"");
    psp_checkout_request(cashfree(), &account, &checkout, &request);
    assert_string_equal(
        request.body.data,
        "{\"order_id\":\"" PAYMENT "\",\"order_amount\":499.00,\"order_currency\":\"INR\","
        "\"customer_details\":{\"customer_id\":\"c_1___\",\"customer_phone\":\"9999999999\","
        "\"customer_email\":\"a@example.com\",\"customer_name\":\"Asha \\\"A\\\"\"},"
        "\"order_meta\":{\"return_url\":\"" RETURN_URL
        "\",\"notify_url\":\"https://pay.example/webhooks/cashfree\"},"
        "\"order_expiry_time\":\"2025-10-09T09:53:20Z\","
        "\"order_tags\":{\"payment_id\":\"" PAYMENT "\",\"order_id\":\"" ORDER "\"}}");
    assert_string_equal(header_named(&request, "x-api-version"), "2025-01-01");
    assert_string_equal(header_named(&request, "x-idempotency-key"), ATTEMPT);
    assert_not_in_url(&request, "secret_made_up");
    http_client_request_free(&request);

    static const char *const also[] = {
        "x-api-version", "x-idempotency-key", "return_url", "notify_url",
        "order_tags",    "customer_id",       NULL};
    const wire_official_t official = {"cashfree", "POST", "/pg/orders", renamed, also, without};
    checkout = checkout_of(49900, "INR");
    psp_checkout_request(cashfree(), &account, &checkout, &request);
    assert_as_official(&official, &request);
    assert_non_null(strstr(request.body.data, "\"customer_id\":\"customer\"")); /* 3 at least */
    http_client_request_free(&request);
}

static void what_cashfree_would_refuse_is_not_sent(void **state)
{
    (void)state;
    psp_checkout_t checkout = checkout_of(1, "INR");
    psp_refund_t refund = refund_of(1, "INR", "1453002795");
    http_client_request_t request;
    char longest[160] = "", expected[200];
    memset(longest, 'n', 99);
    snprintf(checkout.customer.name, sizeof checkout.customer.name, "%süüü", longest);
    checkout.customer.phone[0] = '\0';
    const psp_account_t with_phone = {.base_url = account.base_url,
                                      .key_id = "k",
                                      .key_secret = "s",
                                      .default_phone = "8888888888"};
    checkout.expires_at_us = checkout.now_us + 60 * SECOND_US;
    psp_checkout_request(cashfree(), &with_phone, &checkout, &request);
    snprintf(expected, sizeof expected, "\"customer_name\":\"%s\"}", longest);
    assert_non_null(strstr(request.body.data, expected)); /* never half a character */
    assert_non_null(strstr(request.body.data, "\"customer_phone\":\"8888888888\""));
    assert_non_null(strstr(request.body.data, "\"order_expiry_time\":\"2025-10-09T09:08:50Z\""));
    http_client_request_free(&request);
    snprintf(checkout.customer.name, sizeof checkout.customer.name, "Al");
    psp_checkout_request(cashfree(), &with_phone, &checkout, &request);
    assert_null(strstr(request.body.data, "customer_name"));
    http_client_request_free(&request);

    snprintf(refund.reason, sizeof refund.reason, "%s-100+", longest);
    psp_refund_request(cashfree(), &account, &refund, &request);
    snprintf(expected, sizeof expected, "\"refund_note\":\"%s-\",", longest);
    assert_non_null(strstr(request.body.data, expected));
    http_client_request_free(&request);

    assert_string_equal(psp_checkout_lacks(cashfree(), &account, &checkout), "customer.phone");
    assert_null(psp_checkout_lacks(cashfree(), &with_phone, &checkout));
}

static void statuses_and_refunds_are_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    const psp_payment_t payment = {.payment_id = uuid_of(PAYMENT)};
    const psp_refund_t refund = refund_of(100, "INR", "1453002795");
    const psp_checkout_t checkout = checkout_of(100, "INR");
    http_client_request_t request;
    wire_official_t official = {"cashfree", "GET",     "/pg/orders/ord_1/payments",
                                renamed,    otherwise, without};
    assert_true(psp_status_request(cashfree(), &account, &payment, &request));
    assert_as_official(&official, &request);
    assert_string_equal(request.url, "https://sandbox.cashfree.com/pg/orders/" PAYMENT "/payments");
    official.target = "/pg/orders/ord_1";
    assert_true(psp_checkout_find_request(cashfree(), &account, &checkout, &request));
    assert_as_official(&official, &request);
    official.method = "POST";
    official.target = "/pg/orders/ord_1/refunds";
    psp_refund_request(cashfree(), &account, &refund, &request);
    assert_as_official(&official, &request);
    assert_string_equal(header_named(&request, "x-idempotency-key"), REFUND);
    assert_string_equal(request.body.data,
                        "{\"refund_amount\":1.00,\"refund_id\":\"" REFUND
                        "\",\"refund_note\":\"refund\",\"refund_speed\":\"STANDARD\"}");
    http_client_request_free(&request);
    assert_true(psp_refund_status_request(cashfree(), &account, &refund, &request));
    assert_string_equal(request.method, "GET");
    assert_string_equal(request.url,
                        "https://sandbox.cashfree.com/pg/orders/" PAYMENT "/refunds/" REFUND);
}

/* ---- answers ---- */

#define ORDER_ANSWER(status, id, session)                                             \
    "{\"cf_order_id\":" id ",\"order_id\":\"" PAYMENT "\",\"order_status\":\"" status \
    "\",\"payment_session_id\":" session "}"

static void an_open_order_is_read(void **state)
{
    (void)state;
    static const char *const ids[] = {"\"2149460581\"", "2149460581"};
    for (size_t i = 0; i < 2; i++) {
        char body[512];
        snprintf(body, sizeof body, ORDER_ANSWER("ACTIVE", "%s", "\"session_a1V-x.y_z==\""),
                 ids[i]);
        const psp_checkout_answer_t answer = answer_to(cashfree(), ERR_OK, 200, body);
        assert_int_equal(answer.outcome, PSP_CHECKOUT_OPEN);
        assert_int_equal(answer.fault, PSP_FAULT_NONE);
        assert_string_equal(answer.psp_ref, "2149460581");
        assert_string_equal(answer.page_data, "session_a1V-x.y_z==");
        assert_string_equal(answer.checkout_url, "");
        assert_false(answer.exists);
    }
}

static void each_error_is_somebodys_fault(void **state)
{
    (void)state;
    static const wire_error_t errors[] = {
        {ERR_OK, 400,
         "{\"message\":\"customer_details.customer_phone : invalid value\","
         "\"type\":\"invalid_request_error\"}",
         PSP_CHECKOUT_REFUSED, PSP_FAULT_CUSTOMER, "HTTP 400: customer_details"},
        {ERR_OK, 400, "{\"message\":\"order_amount : should be less than 100000\"}",
         PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT, "HTTP 400: order_amount"},
        {ERR_OK, 401, "{\"message\":\"authentication Failed\",\"type\":\"authentication_error\"}",
         PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT, "HTTP 401: authentication"},
        {ERR_OK, 429, "{\"message\":\"Too many requests\",\"type\":\"rate_limit_error\"}",
         PSP_CHECKOUT_REFUSED, PSP_FAULT_LIMIT, "HTTP 429: Too many"},
        {ERR_OK, 500, "{\"message\":\"internal\",\"type\":\"api_error\"}", PSP_CHECKOUT_UNKNOWN,
         PSP_FAULT_PSP, "HTTP 500: internal"},
        {ERR_OK, 200, ORDER_ANSWER("PAID", "\"1\"", "\"session\""), PSP_CHECKOUT_UNKNOWN,
         PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, ORDER_ANSWER("ACTIVE", "\"\"", "\"session\""), PSP_CHECKOUT_UNKNOWN,
         PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, ORDER_ANSWER("ACTIVE", "\"1\"", "\"\""), PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP,
         "understood"},
        {ERR_OK, 200, ORDER_ANSWER("ACTIVE", "\"1\"", "\"a\\\"});alert(1)//\""),
         PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, ORDER_ANSWER("ACTIVE", "\"1\"", "\"</script>\""), PSP_CHECKOUT_UNKNOWN,
         PSP_FAULT_PSP, "understood"},
    };
    assert_errors(cashfree(), errors, sizeof errors / sizeof errors[0]);
    assert_common_errors(cashfree());
    assert_true(answer_to(cashfree(), ERR_OK, 409, "{}").exists);
    assert_true(answer_to(cashfree(), ERR_OK, 422, "{\"type\":\"idempotency_error\"}").exists);
    assert_false(answer_to(cashfree(), ERR_OK, 400, "{}").exists);
    assert_false(answer_to(cashfree(), ERR_HTTP_UNREACHABLE, 0, "").exists);
}

static void the_page_leads_to_cashfree_and_nowhere_else(void **state)
{
    (void)state;
    static const struct {
        const char *base_url, *script, *from, *mode;
    } rows[] = {
        {"https://api.cashfree.com", "<script src=\"https://sdk.cashfree.com/js/v3/cashfree.js\">",
         "https://sdk.cashfree.com https://*.cashfree.com", "mode: \"production\""},
        {"https://sandbox.cashfree.com",
         "<script src=\"https://sdk.cashfree.com/js/v3/cashfree.js\">",
         "https://sdk.cashfree.com https://*.cashfree.com", "mode: \"sandbox\""},
        {"http://127.0.0.1:8081/cashfree",
         "<script src=\"http://127.0.0.1:8081/cashfree/js/v3/cashfree.js\">",
         "http://127.0.0.1:8081", "mode: \"sandbox\""},
    };
    const psp_checkout_t checkout = checkout_of(1, "INR");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const psp_account_t there = {
            .base_url = rows[i].base_url, .key_id = "k", .key_secret = "secret_made_up"};
        psp_page_t page;
        assert_true(psp_page(cashfree(), &there, &checkout, "session_1", &page));
        assert_non_null(strstr(page.body.data, rows[i].script));
        assert_string_equal(page.script_from, rows[i].from);
        assert_string_equal(page.submits_to, "");
        assert_non_null(strstr(page.script, rows[i].mode));
        assert_non_null(strstr(page.script, "paymentSessionId: \"session_1\""));
        assert_null(strstr(page.body.data, "secret_made_up"));
        buf_free(&page.body);
    }
}

/* What is too long for the page is no answer. */
static void the_longest_session_still_fits_the_page(void **state)
{
    (void)state;
    for (int size = 2048; size <= 2049; size++) {
        char session[2100] = "", body[4096];
        memset(session, 's', (size_t)size);
        snprintf(body, sizeof body, ORDER_ANSWER("ACTIVE", "\"1\"", "\"%s\""), session);
        const psp_checkout_answer_t answer = answer_to(cashfree(), ERR_OK, 200, body);
        assert_int_equal(answer.outcome, size == 2048 ? PSP_CHECKOUT_OPEN : PSP_CHECKOUT_UNKNOWN);
        if (size > 2048)
            return;
        const psp_checkout_t checkout = checkout_of(1, "INR");
        psp_page_t page;
        assert_true(psp_page(cashfree(), &account, &checkout, answer.page_data, &page));
        assert_non_null(strstr(page.script, "pay();"));
        buf_free(&page.body);
    }
}

static void each_status_is_a_fact_or_none(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        psp_fact_kind_t kind;
    } statuses[] = {
        {"[]", PSP_FACT_NONE},
        {"[" TRY_OF("PENDING", "499.00", "INR", "") "]", PSP_FACT_NONE},
        {"[" TRY_OF("NOT_ATTEMPTED", "499.00", "INR", "") "]", PSP_FACT_NONE},
        {"[" TRY_OF("FLAGGED", "499.00", "INR", "") "]", PSP_FACT_NONE},
        {"[" TRY_OF("FAILED", "499.00", "INR", "") "]", PSP_FACT_FAILED},
        {"[" TRY_OF("CANCELLED", "499.00", "INR", "") "]", PSP_FACT_FAILED},
        {"[" TRY_OF("USER_DROPPED", "499.00", "INR", "") "]", PSP_FACT_FAILED},
        {"[" TRY_OF("VOID", "499.00", "INR", "") "]", PSP_FACT_VOIDED},
        {"[" PAID("") "]", PSP_FACT_CAPTURED},
        {"[" PAID(",\"is_captured\":false") "]", PSP_FACT_AUTHORIZED},
        {"[" TRY_OF("FAILED", "1.00", "INR", "") "," PAID("") "," TRY_OF("FAILED", "1", "INR",
                                                                         "") "]",
         PSP_FACT_CAPTURED}, /* one order, several tries */
        {"[" PAID(",\"is_captured\":false") "," PAID("") "]", PSP_FACT_CAPTURED},
    };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const psp_report_t report = status_of(cashfree(), statuses[i].body);
        if (report.kind != statuses[i].kind)
            fail_msg("%s: %s", statuses[i].body, psp_fact_kind_name(report.kind));
        assert_string_equal(report.psp_ref, report.kind == PSP_FACT_NONE ? "" : "1453002795");
        assert_int_equal(report.amount, report.kind == PSP_FACT_NONE ? 0 : 49900);
        assert_int_equal(report.reason[0] != '\0',
                         report.kind == PSP_FACT_NONE || report.kind == PSP_FACT_FAILED);
    }
}

static void other_answers_are_no_status(void **state)
{
    (void)state;
    static const int refusals[] = {400, 401, 429, 500, 503, 302, 204};
    assert_unknown(cashfree(), 404, "{\"message\":\"Order Reference Id does not exist\"}");
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        assert_no_status(cashfree(), refusals[i], "[]", "no status answer");
    assert_no_status(cashfree(), 200, "", "the body");
    assert_no_status(cashfree(), 200, "{}", "the body");
    assert_no_status(cashfree(), 200, "[17]", "order_id");
    assert_no_status(cashfree(), 200, "[{\"order_id\":\"" ORDER "\"}]", "order_id");
    assert_no_status(cashfree(), 200, "[" PAID("") ",{\"order_id\":\"ord_1\"}]", "order_id");
    assert_no_status(cashfree(), 200, "[" TRY_OF("SUCCESS", "0", "INR", "") "]",
                     "0.payment_amount");
    assert_no_status(cashfree(), 200, "[" TRY_OF("SUCCESS", "1", "XXX", "") "]",
                     "payment_currency");
}

static void each_state_of_a_refund_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        psp_fact_kind_t kind;
        const char *reason;
    } states[] = {
        {REFUND_OBJECT("SUCCESS", ",\"processed_at\":\"2025-10-09T14:20:31+05:30\""),
         PSP_FACT_REFUND_SUCCEEDED, ""},
        {REFUND_OBJECT("PENDING", ",\"processed_at\":null,\"status_description\":\"In progress\""),
         PSP_FACT_REFUND_REQUESTED, ""},
        {REFUND_OBJECT("ONHOLD", ""), PSP_FACT_REFUND_REQUESTED, ""},
        {REFUND_OBJECT("CANCELLED", ",\"status_description\":\"Cancelled\""),
         PSP_FACT_REFUND_FAILED, "Cancelled"},
        {REFUND_OBJECT("FAILED", ""), PSP_FACT_REFUND_FAILED,
         "the PSP says that the refund failed"},
    };
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        const psp_report_t report = refund_in(cashfree(), states[i].body);
        assert_int_equal(report.kind, states[i].kind);
        assert_string_equal(report.reason, states[i].reason);
        assert_string_equal(report.psp_ref, "11325632");
        assert_int_equal(report.amount, 100);
        assert_string_equal(report.currency, "INR");
        assert_int_equal(report.occurred_at_us,
                         INT64_C(1759999830) * SECOND_US + (i == 0) * SECOND_US);
    }
}

static void refusals_of_refunds_are_told_apart(void **state)
{
    (void)state;
    assert_refusals(cashfree(),
                    "{\"message\":\"Refund amount exceeds\",\"type\":\"invalid_request_error\"}",
                    "Refund amount exceeds");
    assert_no_refund(cashfree(), 422, "{\"message\":\"x\",\"type\":\"idempotency_error\"}",
                     "no answer about the refund");
    assert_no_refund(cashfree(), 200, REFUND_OBJECT("UNHEARD", ""), "refund_status");
    assert_no_refund(cashfree(), 200, "{\"refund_id\":\"" PAYMENT "\"}", "refund_id");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(signatures_of_the_official_library_are_judged_as_it_judges_them),
    cmocka_unit_test(any_configured_secret_signs_and_nothing_else_does),
    cmocka_unit_test(each_event_is_a_fact_with_one_reference),
    cmocka_unit_test(money_that_goes_back_by_itself_is_nobodys_refund),
    cmocka_unit_test(why_it_failed_is_said_in_cashfrees_words),
    cmocka_unit_test(amounts_are_read_and_written_to_the_last_digit),
    cmocka_unit_test(what_is_wrong_in_an_event_is_named),
    cmocka_unit_test(an_event_has_an_id_of_its_own),
    cmocka_unit_test(unknown_events_are_empty),
    cmocka_unit_test(a_checkout_is_asked_for_as_the_official_library_does),
    cmocka_unit_test(what_cashfree_would_refuse_is_not_sent),
    cmocka_unit_test(statuses_and_refunds_are_asked_for_as_the_official_library_does),
    cmocka_unit_test(an_open_order_is_read),
    cmocka_unit_test(each_error_is_somebodys_fault),
    cmocka_unit_test(the_page_leads_to_cashfree_and_nowhere_else),
    cmocka_unit_test(the_longest_session_still_fits_the_page),
    cmocka_unit_test(each_status_is_a_fact_or_none),
    cmocka_unit_test(other_answers_are_no_status),
    cmocka_unit_test(each_state_of_a_refund_is_read),
    cmocka_unit_test(refusals_of_refunds_are_told_apart),
};
TEST_MAIN(tests)
