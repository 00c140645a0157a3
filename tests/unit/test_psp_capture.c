/* test_psp_capture.c - capture by hand, PSP by PSP: how a payment is only authorised, how it is
 * captured or voided, and what tells that it was. Stripe's is in test_psp_stripe.c. */
#include <openssl/evp.h>

#include "lib/hmac.h"
#include "tests/support/psp_wire.h"

#define NOTES "{\"payment_id\":\"" PAYMENT "\",\"order_id\":\"" ORDER "\"}"

static const char *const renamed[] = {"ord_1", PAYMENT, NULL};

static psp_authorization_t authorization_of(const char *ref, int64_t amount, const char *currency)
{
    psp_authorization_t authorization = {
        .payment_id = uuid_of(PAYMENT), .order_id = uuid_of(ORDER), .amount = amount};
    snprintf(authorization.psp_ref, sizeof authorization.psp_ref, "%s", ref);
    snprintf(authorization.currency, sizeof authorization.currency, "%s", currency);
    return authorization;
}

static psp_checkout_t by_hand(void)
{
    psp_checkout_t checkout = checkout_of(49900, "INR");
    checkout.manual_capture = true;
    return checkout;
}

static void assert_body(http_client_request_t *request, const char *body)
{
    assert_string_equal(request->body.data, body);
    http_client_request_free(request);
}

/* What a signed body says. */
typedef struct signed_body {
    const char *names[3], *values[3]; /* headers; NULL: no more */
    const char *body;
} signed_body_t;

static const char *header_of(void *arg, const char *name)
{
    const signed_body_t *given = arg;
    for (size_t i = 0; i < 3 && given->names[i]; i++)
        if (strcasecmp(name, given->names[i]) == 0)
            return given->values[i];
    return NULL;
}

static psp_report_t report_of(const char *psp, const psp_account_t *account, signed_body_t *given)
{
    psp_webhook_t webhooks[PSP_WEBHOOKS_MAX];
    size_t count = 0;
    err_detail_t detail = {{0}};
    if (psp_webhook_verify(psp_named(psp), account, false, header_of, given, str_of(given->body),
                           NOW_S * SECOND_US, webhooks, &count, &detail) != ERR_OK)
        fail_msg("%s: %s", given->body, detail.text);
    assert_int_equal(count, 1);
    return webhooks[0].report;
}

static void who_takes_it_and_who_has_no_void(void **state)
{
    (void)state;
    static const struct {
        const char *psp, *preauth;
        bool by_hand, captured, voided;
    } rows[] = {{"Razorpay", NULL, true, true, false},  {"Stripe", NULL, true, true, true},
                {"Adyen", NULL, true, true, true},      {"Cashfree", NULL, false, true, true},
                {"Cashfree", "no", false, true, true},  {"Cashfree", "yes", true, true, true},
                {"Juspay", "yes", false, false, false}, {"PayU", NULL, false, false, false},
                {"PhonePe", NULL, false, false, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const psp_t *psp = psp_named(rows[i].psp);
        const psp_account_t account = {.preauth = rows[i].preauth};
        if (psp_takes_manual_capture(psp, &account) != rows[i].by_hand ||
            psp_takes_capture(psp) != rows[i].captured || psp_takes_void(psp) != rows[i].voided)
            fail_msg("%s", rows[i].psp);
    }
}

/* ---- Razorpay ---- */

#define RAZORPAY_SECRET "whsec"
static const psp_account_t razorpay = {.base_url = "https://api.razorpay.com",
                                       .key_id = "rzp_test_made_up",
                                       .key_secret = "made_up",
                                       .webhook_secrets = RAZORPAY_SECRET};

static void razorpay_authorises_payments_of_orders(void **state)
{
    (void)state;
    static const char *const otherwise[] = {NULL}, *const without[] = {"merchant_order_id", NULL};
    const wire_official_t official = {"razorpay", "POST",    "/v1/orders",
                                      renamed,    otherwise, without};
    psp_checkout_t checkout = by_hand();
    http_client_request_t request;
    psp_checkout_request(psp_named("Razorpay"), &razorpay, &checkout, &request);
    assert_as_official(&official, &request);
    assert_body(&request,
                "{\"amount\":49900,\"currency\":\"INR\",\"receipt\":\"" PAYMENT
                "\",\"payment\":{\"capture\":\"manual\",\"capture_options\":"
                "{\"manual_expiry_period\":60,\"refund_speed\":\"normal\"}},\"notes\":" NOTES "}");
    static const struct {
        int64_t lives_s;
        const char *minutes;
    } lives[] = {{1, ":12,"},        {720, ":12,"},      {721, ":13,"},
                 {431999, ":7200,"}, {864000, ":7200,"}, {-5, ":12,"}};
    for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++) {
        checkout.expires_at_us = checkout.now_us + lives[i].lives_s * SECOND_US;
        psp_checkout_request(psp_named("Razorpay"), &razorpay, &checkout, &request);
        const char *period = strstr(request.body.data, "manual_expiry_period\"");
        assert_non_null(period);
        assert_int_equal(strncmp(strchr(period, ':'), lives[i].minutes, strlen(lives[i].minutes)),
                         0);
        http_client_request_free(&request);
    }
}

static void razorpays_order_is_paid_on_our_page(void **state)
{
    (void)state;
    const psp_t *psp = psp_named("Razorpay");
    const psp_checkout_answer_t answer =
        answer_to(psp, ERR_OK, 200,
                  "{\"id\":\"order_1\",\"entity\":\"order\",\"amount\":49900,\"currency\":\"INR\","
                  "\"receipt\":\"" PAYMENT "\",\"status\":\"created\",\"notes\":" NOTES "}");
    assert_int_equal(answer.outcome, PSP_CHECKOUT_OPEN);
    assert_string_equal(answer.psp_ref, "order_1");
    assert_string_equal(answer.checkout_url, "");
    assert_string_equal(answer.page_data, "order_1");
    static const char *const others[] = {
        "{\"id\":\"order_1\",\"entity\":\"order\",\"status\":\"paid\"}",
        "{\"id\":\"plink_1\",\"entity\":\"order\",\"status\":\"created\"}",
        "{\"id\":\"order_1\",\"status\":\"created\"}"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(answer_to(psp, ERR_OK, 200, others[i]).outcome, PSP_CHECKOUT_UNKNOWN);

    psp_checkout_t checkout = by_hand();
    psp_page_t page;
    snprintf(checkout.customer.name, sizeof checkout.customer.name, "A\"<b>");
    assert_true(psp_page(psp, &razorpay, &checkout, answer.page_data, &page));
    assert_string_equal(page.script_from, "https://*.razorpay.com");
    assert_string_equal(page.submits_to, "https://*.razorpay.com");
    static const char *const parts[] = {
        "<script src=\"https://checkout.razorpay.com/v1/checkout.js\"></script>",
        " data-key=\"rzp_test_made_up\"",
        " data-order=\"order_1\"",
        " data-amount=\"49900\"",
        " data-name=\"A&quot;&lt;b&gt;\"",
        " data-timeout=\"3600\"",
        " data-our-payment=\"" PAYMENT "\"",
        " data-back=\"" RETURN_URL "\""};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(page.body.data, parts[i]))
            fail_msg("%s is not in %s", parts[i], page.body.data);
    assert_non_null(strstr(page.script, "new Razorpay("));
    buf_free(&page.body);
    const psp_account_t simulated = {.base_url = "http://127.0.0.1:8081/razorpay", .key_id = "k"};
    assert_true(psp_page(psp, &simulated, &checkout, "order_1", &page));
    assert_string_equal(page.script_from, "http://127.0.0.1:8081");
    assert_string_equal(page.submits_to, "");
    assert_non_null(
        strstr(page.body.data, "src=\"http://127.0.0.1:8081/razorpay/v1/checkout.js\""));
    buf_free(&page.body);
}

static void razorpay_captures_as_its_library_does(void **state)
{
    (void)state;
    const wire_official_t official = {"razorpay", "POST", "/v1/payments/pay_1/capture",
                                      renamed,    NULL,   NULL};
    const psp_authorization_t authorization = authorization_of("pay_1", 49900, "INR");
    http_client_request_t request;
    psp_capture_request(psp_named("Razorpay"), &razorpay, &authorization, &request);
    assert_as_official(&official, &request);
    assert_body(&request, "{\"amount\":49900,\"currency\":\"INR\"}");
}

#define ITEM(id, status, captured)                                                          \
    "{\"id\":\"" id "\",\"entity\":\"payment\",\"amount\":49900,\"currency\":\"INR\","      \
    "\"status\":\"" status "\",\"captured\":" captured ",\"notes\":" NOTES                  \
    ",\"error_description\":\"Declined\",\"error_source\":\"customer\",\"error_reason\":\"" \
    "payment_failed\",\"created_at\":1759999955}"
#define ITEMS(items) "{\"entity\":\"collection\",\"count\":1,\"items\":[" items "]}"

static void razorpays_order_says_how_its_payments_stand(void **state)
{
    (void)state;
    const psp_t *psp = psp_named("Razorpay");
    static const struct {
        const char *body;
        psp_fact_kind_t kind;
        const char *ref;
    } statuses[] = {
        {ITEMS(""), PSP_FACT_NONE, ""},
        {ITEMS(ITEM("pay_1", "created", "false")), PSP_FACT_NONE, ""},
        {ITEMS(ITEM("pay_1", "failed", "false")), PSP_FACT_FAILED, "pay_1"},
        {ITEMS(ITEM("pay_1", "authorized", "false")), PSP_FACT_AUTHORIZED, "pay_1"},
        {ITEMS(ITEM("pay_1", "captured", "true")), PSP_FACT_CAPTURED, "pay_1"},
        {ITEMS(ITEM("pay_1", "refunded", "true")), PSP_FACT_CAPTURED, "pay_1"},
        {ITEMS(ITEM("pay_1", "refunded", "false")), PSP_FACT_VOIDED, "pay_1"},
        {ITEMS(ITEM("pay_1", "failed", "false") "," ITEM("pay_2", "authorized", "false")),
         PSP_FACT_AUTHORIZED, "pay_2"},
        {ITEMS(ITEM("pay_1", "refunded", "false") "," ITEM("pay_2", "captured", "true") "," ITEM(
             "pay_3", "failed", "false")),
         PSP_FACT_CAPTURED, "pay_2"},
    };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const psp_report_t report = status_of(psp, statuses[i].body);
        if (report.kind != statuses[i].kind || strcmp(report.psp_ref, statuses[i].ref) != 0)
            fail_msg("%s: %s %s", statuses[i].body, psp_fact_kind_name(report.kind),
                     report.psp_ref);
        if (report.kind == PSP_FACT_NONE)
            continue;
        assert_int_equal(report.amount, 49900);
        assert_string_equal(report.currency, "INR");
        assert_int_equal(report.occurred_at_us, INT64_C(1759999955) * SECOND_US);
        assert_int_equal(report.fault,
                         report.kind == PSP_FACT_FAILED ? PSP_FAULT_CUSTOMER : PSP_FAULT_NONE);
    }
    assert_no_status(psp, 200,
                     ITEMS("{\"id\":\"pay_1\",\"status\":\"authorized\",\"notes\":{\"payment_id\":"
                           "\"" ORDER "\"}}"),
                     "another payment");
    assert_no_status(psp, 200, ITEMS("{\"id\":\"pay_1\",\"status\":\"authorized\"}"), "amount");
    psp_payment_t payment = {.payment_id = uuid_of(PAYMENT), .psp_ref = "order_1"};
    http_client_request_t request;
    assert_true(psp_status_request(psp, &razorpay, &payment, &request));
    assert_string_equal(request.url, "https://api.razorpay.com/v1/orders/order_1/payments");
}

static psp_report_t razorpay_tells(const char *event, const char *captured, const char *refund)
{
    static char body[2048];
    char hex[2 * HMAC_SHA256_SIZE + 1];
    uint8_t digest[HMAC_SHA256_SIZE];
    snprintf(body, sizeof body,
             "{\"entity\":\"event\",\"event\":\"%s\",\"payload\":{\"payment\":{\"entity\":{\"id\":"
             "\"pay_1\",\"amount\":49900,\"currency\":\"INR\",\"captured\":%s,\"notes\":" NOTES
             "}}%s},\"created_at\":1759999955}",
             event, captured, refund);
    hmac_sha256(str_of(RAZORPAY_SECRET), str_of(body), digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    signed_body_t given = {{"X-Razorpay-Signature", "X-Razorpay-Event-Id"}, {hex, "evt_1"}, body};
    return report_of("Razorpay", &razorpay, &given);
}

#define RELEASE                                                                         \
    ",\"refund\":{\"entity\":{\"id\":\"rfnd_1\",\"amount\":49900,\"currency\":\"INR\"," \
    "\"notes\":[]}}"

static void razorpay_releases_what_was_never_captured(void **state)
{
    (void)state;
    assert_int_equal(razorpay_tells("payment.authorized", "false", "").kind, PSP_FACT_AUTHORIZED);
    const psp_report_t report = razorpay_tells("refund.processed", "false", RELEASE);
    assert_int_equal(report.kind, PSP_FACT_VOIDED);
    assert_string_equal(report.psp_ref, "pay_1");
    assert_int_equal(report.amount, 49900);
    assert_is(&report.payment_id, PAYMENT);
    assert_true(uuid_is_nil(&report.refund_id));
    static const char *const others[] = {"refund.created", "refund.failed"}; /* not released yet */
    for (size_t i = 0; i < 2; i++) {
        const psp_report_t nothing = razorpay_tells(others[i], "false", RELEASE);
        assert_true(psp_report_is_empty(&nothing));
    }
    const psp_report_t refund = razorpay_tells("refund.processed", "true", RELEASE);
    assert_int_equal(refund.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_string_equal(refund.psp_ref, "rfnd_1");
}

/* ---- Adyen ---- */

#define ADYEN_KEY "55992DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
#define MANUAL PAYMENT "-manual"
static const psp_account_t adyen = {.base_url = "https://checkout-test.adyen.com",
                                    .key_id = "test_CLIENT",
                                    .key_secret = "made_up",
                                    .webhook_secrets = ADYEN_KEY,
                                    .account = "MadeUpECOM"};
static const char *const adyens_renamed[] = {"ord_1",  MANUAL, "cap_1", MANUAL,
                                             "void_1", MANUAL, NULL};

static void adyens_session_says_that_it_is_captured_by_hand(void **state)
{
    (void)state;
    static const char *const otherwise[] = {"Idempotency-Key", "returnUrl", NULL},
                             *const without[] = {"t", NULL};
    const wire_official_t official = {"adyen",        "POST",    "/v72/sessions",
                                      adyens_renamed, otherwise, without};
    const psp_checkout_t checkout = by_hand();
    http_client_request_t request;
    psp_checkout_request(psp_named("Adyen"), &adyen, &checkout, &request);
    assert_as_official(&official, &request);
    assert_non_null(strstr(request.body.data, "\"reference\":\"" MANUAL "\""));
    assert_non_null(strstr(request.body.data, "\"additionalData\":{\"manualCapture\":\"true\"}"));
    assert_null(strstr(request.body.data, "captureDelayHours"));
    http_client_request_free(&request);
}

static void adyen_captures_and_cancels_as_its_library_does(void **state)
{
    (void)state;
    static const char *const otherwise[] = {"Idempotency-Key", NULL}, *const without[] = {NULL};
    wire_official_t official = {"adyen",        "POST",    "/v72/payments/PSP1/captures",
                                adyens_renamed, otherwise, without};
    const psp_authorization_t authorization = authorization_of("PSP1", 49900, "INR");
    http_client_request_t request;
    psp_capture_request(psp_named("Adyen"), &adyen, &authorization, &request);
    assert_as_official(&official, &request);
    assert_string_equal(header_named(&request, "Idempotency-Key"), PAYMENT "-captures");
    assert_body(&request, "{\"amount\":{\"currency\":\"INR\",\"value\":49900},\"merchantAccount\":"
                          "\"MadeUpECOM\",\"reference\":\"" MANUAL "\"}");
    official.target = "/v72/payments/PSP1/cancels";
    psp_void_request(psp_named("Adyen"), &adyen, &authorization, &request);
    assert_as_official(&official, &request);
    assert_string_equal(header_named(&request, "Idempotency-Key"), PAYMENT "-cancels");
    assert_body(&request, "{\"merchantAccount\":\"MadeUpECOM\",\"reference\":\"" MANUAL "\"}");
    const psp_authorization_t crowns = authorization_of("P/1", 5, "ISK");
    psp_capture_request(psp_named("Adyen"), &adyen, &crowns, &request);
    assert_string_equal(request.url, "https://checkout-test.adyen.com/v72/payments/P%2F1/captures");
    assert_non_null(strstr(request.body.data, "\"value\":500}")); /* as Adyen counts them */
    http_client_request_free(&request);
}

static psp_report_t adyen_tells(const char *code, const char *success, const char *original,
                                const char *reference)
{
    static char body[2048];
    char text[512];
    uint8_t key[32], digest[HMAC_SHA256_SIZE];
    unsigned char signature[48];
    for (size_t i = 0; i < sizeof key; i++)
        assert_int_equal(sscanf(ADYEN_KEY + 2 * i, "%2hhx", &key[i]), 1);
    snprintf(text, sizeof text, "MOD1:%s:MadeUpECOM:%s:49900:INR:%s:%s", original, reference, code,
             success);
    hmac_sha256((str_t){(const char *)key, sizeof key}, str_of(text), digest);
    EVP_EncodeBlock(signature, digest, sizeof digest);
    snprintf(body, sizeof body,
             "{\"live\":\"false\",\"notificationItems\":[{\"NotificationRequestItem\":{"
             "\"additionalData\":{\"hmacSignature\":\"%s\"},\"amount\":{\"currency\":\"INR\","
             "\"value\":49900},\"eventCode\":\"%s\",\"eventDate\":\"2025-10-09T10:50:29+02:00\","
             "\"merchantAccountCode\":\"MadeUpECOM\",\"merchantReference\":\"%s\","
             "\"originalReference\":\"%s\",\"pspReference\":\"MOD1\",\"reason\":\"words\","
             "\"success\":\"%s\"}}]}",
             (const char *)signature, code, reference, original, success);
    signed_body_t given = {.body = body};
    return report_of("Adyen", &adyen, &given);
}

static void adyens_notifications_tell_what_became_of_an_authorisation(void **state)
{
    (void)state;
    static const struct {
        const char *code, *success, *original, *reference;
        psp_fact_kind_t kind;
        const char *ref;
    } rows[] = {
        {"AUTHORISATION", "true", "", MANUAL, PSP_FACT_AUTHORIZED, "MOD1"},
        {"AUTHORISATION", "true", "", PAYMENT, PSP_FACT_CAPTURED, "MOD1"},
        {"AUTHORISATION", "false", "", MANUAL, PSP_FACT_FAILED, "MOD1"},
        {"CAPTURE", "true", "AUTH1", MANUAL, PSP_FACT_CAPTURED, "AUTH1"},
        {"CAPTURE", "true", "AUTH1", PAYMENT, PSP_FACT_CAPTURED, "AUTH1"},
        {"CAPTURE", "false", "AUTH1", MANUAL, PSP_FACT_FAILED, "AUTH1"},
        {"CAPTURE_FAILED", "true", "AUTH1", MANUAL, PSP_FACT_FAILED, "AUTH1"},
        {"CANCELLATION", "true", "AUTH1", MANUAL, PSP_FACT_VOIDED, "AUTH1"},
        {"CANCELLATION", "false", "AUTH1", MANUAL, PSP_FACT_NONE, ""},
        {"TECHNICAL_CANCEL", "true", "AUTH1", MANUAL, PSP_FACT_VOIDED, "AUTH1"},
        {"EXPIRE", "true", "AUTH1", MANUAL, PSP_FACT_VOIDED, "AUTH1"},
        {"CANCEL_OR_REFUND", "true", "AUTH1", MANUAL, PSP_FACT_REFUND_SUCCEEDED, "MOD1"},
        {"REFUND", "true", "AUTH1", MANUAL, PSP_FACT_REFUND_SUCCEEDED, "MOD1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const psp_report_t report =
            adyen_tells(rows[i].code, rows[i].success, rows[i].original, rows[i].reference);
        if (report.kind != rows[i].kind || strcmp(report.psp_ref, rows[i].ref) != 0)
            fail_msg("%s %s: %s %s", rows[i].code, rows[i].success, psp_fact_kind_name(report.kind),
                     report.psp_ref);
        if (report.kind == PSP_FACT_NONE)
            continue;
        assert_is(&report.payment_id, PAYMENT);
        assert_true(uuid_is_nil(&report.refund_id));
        assert_int_equal(report.amount, 49900);
    }
    const psp_report_t refund = adyen_tells("REFUND", "false", "AUTH1", PAYMENT "-" REFUND);
    assert_int_equal(refund.kind, PSP_FACT_REFUND_FAILED);
    assert_is(&refund.refund_id, REFUND);
    static const char *const foreign[] = {PAYMENT "-Manual", PAYMENT "-manual2", PAYMENT "manual",
                                          "-manual", "0190a0b1-manual"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        const psp_report_t report = adyen_tells("CAPTURE", "true", "AUTH1", foreign[i]);
        assert_int_equal(report.kind, PSP_FACT_CAPTURED); /* money, but whose? */
        assert_true(uuid_is_nil(&report.payment_id));
    }
}

static void adyens_session_tells_of_an_authorisation_and_not_of_its_capture(void **state)
{
    (void)state;
    const psp_t *psp = psp_named("Adyen");
#define SESSION(reference)                                                                     \
    "{\"id\":\"CS1\",\"reference\":\"" reference "\",\"status\":\"completed\",\"payments\":[{" \
    "\"amount\":{\"currency\":\"INR\",\"value\":49900},\"pspReference\":\"AUTH1\","            \
    "\"resultCode\":\"Authorised\"}]}"
#define DETAILS(reference)                                                                  \
    "{\"merchantReference\":\"" reference "\",\"pspReference\":\"AUTH1\",\"resultCode\":\"" \
    "Authorised\",\"amount\":{\"currency\":\"INR\",\"value\":49900}}"
    assert_int_equal(status_of(psp, SESSION(MANUAL)).kind, PSP_FACT_AUTHORIZED);
    assert_int_equal(status_of(psp, SESSION(PAYMENT)).kind, PSP_FACT_CAPTURED);
    assert_int_equal(status_of(psp, DETAILS(MANUAL)).kind, PSP_FACT_AUTHORIZED);
    assert_int_equal(status_of(psp, DETAILS(PAYMENT)).kind, PSP_FACT_CAPTURED);
    assert_string_equal(status_of(psp, SESSION(MANUAL)).psp_ref, "AUTH1");
    assert_no_status(psp, 200, SESSION(ORDER "-manual"), "another payment");
}

/* ---- Cashfree ---- */

static const psp_account_t cashfree = {.base_url = "https://sandbox.cashfree.com",
                                       .key_id = "id_made_up",
                                       .key_secret = "secret_made_up",
                                       .webhook_secrets = "secret_made_up",
                                       .preauth = "yes"};

static void cashfree_captures_and_voids_an_orders_payment_as_documented(void **state)
{
    (void)state;
    const psp_authorization_t authorization = authorization_of("1453002795", 49900, "INR");
    psp_checkout_t checkout = by_hand();
    http_client_request_t request;
    psp_capture_request(psp_named("Cashfree"), &cashfree, &authorization, &request);
    assert_string_equal(request.method, "POST");
    assert_string_equal(request.url,
                        "https://sandbox.cashfree.com/pg/orders/" PAYMENT "/authorization");
    assert_string_equal(header_named(&request, "x-client-id"), "id_made_up");
    assert_string_equal(header_named(&request, "x-client-secret"), "secret_made_up");
    assert_string_equal(header_named(&request, "x-api-version"), "2025-01-01");
    assert_string_equal(header_named(&request, "Content-Type"), "application/json");
    assert_null(header_named(&request, "x-idempotency-key"));
    assert_body(&request, "{\"action\":\"CAPTURE\",\"amount\":499.00}");
    psp_void_request(psp_named("Cashfree"), &cashfree, &authorization, &request);
    assert_string_equal(request.url,
                        "https://sandbox.cashfree.com/pg/orders/" PAYMENT "/authorization");
    assert_body(&request, "{\"action\":\"VOID\"}");
    psp_checkout_request(psp_named("Cashfree"), &cashfree, &checkout, &request);
    assert_non_null(strstr(request.body.data, "\"order_note\":\"preauth_transaction\""));
    http_client_request_free(&request);
    checkout.manual_capture = false;
    psp_checkout_request(psp_named("Cashfree"), &cashfree, &checkout, &request);
    assert_null(strstr(request.body.data, "order_note"));
    http_client_request_free(&request);
}

#define TRY_OF(rest)                                                                            \
    "{\"cf_payment_id\":\"1453002795\",\"order_id\":\"" PAYMENT "\",\"payment_amount\":499.00," \
    "\"payment_currency\":\"INR\",\"payment_time\":\"2025-10-09T14:23:20+05:30\"," rest "}"

static void cashfrees_order_says_what_became_of_an_authorisation(void **state)
{
    (void)state;
    static const struct {
        const char *one;
        psp_fact_kind_t kind;
    } rows[] = {
        {TRY_OF("\"payment_status\":\"SUCCESS\",\"is_captured\":true"), PSP_FACT_CAPTURED},
        {TRY_OF("\"payment_status\":\"SUCCESS\",\"is_captured\":false,\"authorization\":null"),
         PSP_FACT_AUTHORIZED},
        {TRY_OF("\"payment_status\":\"SUCCESS\",\"is_captured\":false,\"authorization\":{"
                "\"action\":\"CAPTURE\",\"status\":\"PENDING\",\"captured_amount\":499}"),
         PSP_FACT_AUTHORIZED},
        {TRY_OF("\"payment_status\":\"SUCCESS\",\"is_captured\":true,\"payment_message\":"
                "\"PRE_AUTH|Transaction Success\",\"authorization\":{\"action\":\"CAPTURE\","
                "\"status\":\"SUCCESS\",\"captured_amount\":499}"),
         PSP_FACT_CAPTURED},
        {TRY_OF("\"payment_status\":\"SUCCESS\",\"is_captured\":false,\"authorization\":{"
                "\"action\":\"VOID\",\"status\":\"PENDING\"}"),
         PSP_FACT_AUTHORIZED},
        {TRY_OF("\"payment_status\":\"SUCCESS\",\"is_captured\":false,\"authorization\":{"
                "\"action\":\"VOID\",\"status\":\"SUCCESS\"}"),
         PSP_FACT_VOIDED},
        {TRY_OF("\"payment_status\":\"VOID\",\"is_captured\":false"), PSP_FACT_VOIDED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[1024];
        snprintf(body, sizeof body, "[%s]", rows[i].one);
        const psp_report_t report = status_of(psp_named("Cashfree"), body);
        if (report.kind != rows[i].kind)
            fail_msg("%s: %s", body, psp_fact_kind_name(report.kind));
        assert_string_equal(report.psp_ref, "1453002795");
        assert_int_equal(report.amount, 49900);
    }
}

static psp_fact_kind_t cashfree_tells(const char *message)
{
    static char body[1024];
    char text[1100];
    uint8_t digest[HMAC_SHA256_SIZE];
    unsigned char encoded[48];
    snprintf(body, sizeof body,
             "{\"data\":{\"order\":{\"order_id\":\"" PAYMENT "\",\"order_amount\":499.00},"
             "\"payment\":{\"cf_payment_id\":\"1453002795\",\"payment_status\":\"SUCCESS\","
             "\"payment_amount\":499.00,\"payment_currency\":\"INR\",\"payment_message\":\"%s\","
             "\"payment_time\":\"2025-10-09T14:23:20+05:30\"}},\"event_time\":"
             "\"2025-10-09T14:23:21+05:30\",\"type\":\"PAYMENT_SUCCESS_WEBHOOK\"}",
             message);
    snprintf(text, sizeof text, "1760000000000%s", body);
    hmac_sha256(str_of("secret_made_up"), str_of(text), digest);
    EVP_EncodeBlock(encoded, digest, sizeof digest);
    signed_body_t given = {{"x-webhook-signature", "x-webhook-timestamp", "x-idempotency-key"},
                           {(const char *)encoded, "1760000000000", "evt_1"},
                           body};
    return report_of("Cashfree", &cashfree, &given).kind;
}

static void cashfrees_webhook_marks_what_is_only_authorised(void **state)
{
    (void)state;
    assert_int_equal(cashfree_tells("00::Transaction success"), PSP_FACT_CAPTURED);
    assert_int_equal(cashfree_tells("PRE_AUTH|Transaction Success"), PSP_FACT_AUTHORIZED);
    assert_int_equal(cashfree_tells(""), PSP_FACT_CAPTURED);
    assert_int_equal(cashfree_tells("not PRE_AUTH|"), PSP_FACT_CAPTURED);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(who_takes_it_and_who_has_no_void),
    cmocka_unit_test(razorpay_authorises_payments_of_orders),
    cmocka_unit_test(razorpays_order_is_paid_on_our_page),
    cmocka_unit_test(razorpay_captures_as_its_library_does),
    cmocka_unit_test(razorpays_order_says_how_its_payments_stand),
    cmocka_unit_test(razorpay_releases_what_was_never_captured),
    cmocka_unit_test(adyens_session_says_that_it_is_captured_by_hand),
    cmocka_unit_test(adyen_captures_and_cancels_as_its_library_does),
    cmocka_unit_test(adyens_notifications_tell_what_became_of_an_authorisation),
    cmocka_unit_test(adyens_session_tells_of_an_authorisation_and_not_of_its_capture),
    cmocka_unit_test(cashfree_captures_and_voids_an_orders_payment_as_documented),
    cmocka_unit_test(cashfrees_order_says_what_became_of_an_authorisation),
    cmocka_unit_test(cashfrees_webhook_marks_what_is_only_authorised),
};
TEST_MAIN(tests)
