/* test_psp_razorpay.c - Razorpay: whose webhooks are believed and what they say, what is asked for
 * and what the answers mean. */
#include "lib/hmac.h"
#include "lib/payment/money.h"
#include "tests/support/psp_wire.h"

#define NOTES "{\"payment_id\":\"" PAYMENT "\",\"order_id\":\"" ORDER "\"}"
#define SECRET "whsec-new"

static const psp_account_t account = {.base_url = "https://api.razorpay.com",
                                      .key_id = "rzp_live_1",
                                      .key_secret = "key-secret",
                                      .webhook_secrets = SECRET ", whsec-old"};

/* ---- webhooks ---- */

typedef struct request {
    const char *signature, *event_id; /* headers; NULL: not there */
    str_t body;
} request_t;

static const char *header_of(void *arg, const char *name)
{
    const request_t *request = arg;
    if (strcasecmp(name, "X-Razorpay-Signature") == 0)
        return request->signature;
    return strcasecmp(name, "X-Razorpay-Event-Id") == 0 ? request->event_id : NULL;
}

/* In production, unless `dev`. */
static err_t verify(request_t request, bool dev, psp_report_t *report, err_detail_t *detail)
{
    return psp_verify_one(psp_find(str_of("Razorpay")), &account, dev, header_of, &request,
                          request.body, 0, report, detail);
}

static const char *sign(const char *secret, str_t body)
{
    static char text[2 * HMAC_SHA256_SIZE + 1];
    uint8_t digest[HMAC_SHA256_SIZE];
    hmac_sha256(str_of(secret), body, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return text;
}

static request_t signed_request(str_t body)
{
    return (request_t){sign(SECRET, body), "evt_1", body};
}

/* The body of an event about a payment with these notes and, where it has one, a further entity. */
static str_t event_with(const char *event, const char *notes, const char *name, const char *entity)
{
    static char body[4096];
    int size = snprintf(body, sizeof body,
                        "{\"entity\":\"event\",\"event\":\"%s\",\"payload\":{\"payment\":{"
                        "\"entity\":{\"id\":\"pay_1\",\"amount\":49900,\"currency\":\"INR\","
                        "\"notes\":%s,\"error_description\":\"Card declined\"}}%s%s%s%s%s},"
                        "\"created_at\":1759999955}",
                        event, notes, name ? ",\"" : "", name ? name : "",
                        name ? "\":{\"entity\":" : "", name ? entity : "", name ? "}" : "");
    assert_true(size > 0 && (size_t)size < sizeof body);
    return (str_t){body, (uint32_t)size};
}

static str_t event_of(const char *event)
{
    return event_with(event, NOTES, NULL, NULL);
}

/* What a signed body says, to whoever receives it and to whoever reads it later. */
static psp_report_t report_of(str_t body)
{
    psp_report_t report, stored;
    err_detail_t detail = {{0}};
    if (verify(signed_request(body), false, &report, &detail) != ERR_OK)
        fail_msg("%s: %s", body.data, detail.text);
    assert_string_equal(report.event_id, "evt_1");
    assert_int_equal(psp_webhook_read(psp_at(0), body, &stored, &detail), ERR_OK);
    assert_string_equal(stored.event_id, "");
    memcpy(stored.event_id, report.event_id, sizeof stored.event_id);
    assert_memory_equal(&stored, &report, sizeof report);
    return report;
}

/* ---- signature ---- */

static bool signature_fits(const json_t *vector)
{
    char secrets[256] = "";
    const json_t *list = json_object_get(vector, "secrets"),
                 *body = json_object_get(vector, "body");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const size_t used = strlen(secrets);
        snprintf(secrets + used, sizeof secrets - used, "%s,",
                 json_string_value(json_array_get(list, i)));
    }
    const psp_account_t receiver = {.webhook_secrets = secrets};
    psp_report_t report;
    err_detail_t detail;
    const err_t err = psp_verify_one(
        psp_at(0), &receiver, true, wire_vector_header, json_object_get(vector, "headers"),
        (str_t){json_string_value(body), (uint32_t)json_string_length(body)}, 0, &report, &detail);
    return err != ERR_SIGNATURE_INVALID;
}

static void signatures_of_the_official_library_are_judged_as_it_judges_them(void **state)
{
    (void)state;
    json_t *file = load_vectors("razorpay");
    size_t i, fitting = 0;
    json_t *vector;
    json_array_foreach(json_object_get(file, "vectors"), i, vector)
    {
        const bool expected = json_is_true(json_object_get(vector, "signature_valid"));
        if (signature_fits(vector) != expected)
            fail_msg("%s", json_string_value(json_object_get(vector, "id")));
        fitting += expected;
    }
    assert_int_equal(i, 11);
    assert_int_equal(fitting, 5);
    json_decref(file);
}

static void any_configured_secret_signs_in_any_environment(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    const str_t body = event_of("payment.captured");
    for (int dev = 0; dev < 2; dev++) {
        assert_int_equal(
            verify((request_t){sign("whsec-old", body), "evt_1", body}, dev, &report, &detail),
            ERR_OK);
        assert_int_equal(verify(signed_request(body), dev, &report, &detail), ERR_OK);
        assert_int_equal(
            verify((request_t){sign("key-secret", body), "evt_1", body}, dev, &report, &detail),
            ERR_SIGNATURE_INVALID);
    }
}

static void no_other_text_is_a_signature(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    const str_t body = event_of("payment.captured");
    char text[128];
    static const struct {
        const char *before;
        int digits;
        const char *after;
    } forms[] = {{"", 0, ""},   {"", 63, ""},  {"", 64, "0"},
                 {" ", 64, ""}, {"", 64, " "}, {"sha256=", 64, ""}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        snprintf(text, sizeof text, "%s%.*s%s", forms[i].before, forms[i].digits,
                 sign(SECRET, body), forms[i].after);
        if (verify((request_t){text, "evt_1", body}, true, &report, &detail) !=
            ERR_SIGNATURE_INVALID)
            fail_msg("taken: \"%s\"", text);
    }
    for (unsigned i = 0; i < 64; i++) {
        snprintf(text, sizeof text, "%s", sign(SECRET, body));
        text[i] = text[i] == '0' ? '1' : '0';
        if (verify((request_t){text, "evt_1", body}, true, &report, &detail) !=
            ERR_SIGNATURE_INVALID)
            fail_msg("taken with digit %u changed", i);
    }
}

static void signature_is_looked_at_before_the_body(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    const str_t bodies[] = {STR_LITERAL("{"), STR_LITERAL("[]"), STR_LITERAL("{}"), {"", 0}};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        assert_int_equal(verify((request_t){sign("other", bodies[i]), "evt_1", bodies[i]}, true,
                                &report, &detail),
                         ERR_SIGNATURE_INVALID);
        assert_int_equal(verify(signed_request(bodies[i]), true, &report, &detail),
                         ERR_MALFORMED_WEBHOOK);
    }
}

static void production_takes_no_unsigned_event(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    const request_t request = {NULL, "evt_1", event_of("payment.captured")};
    assert_int_equal(verify(request, false, &report, &detail), ERR_SIGNATURE_INVALID);
    assert_int_equal(verify(request, true, &report, &detail), ERR_SIGNATURE_INVALID);
}

static void other_psps_do_not_take_the_format(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    request_t request = signed_request(event_of("payment.captured"));
    assert_int_equal(psp_verify_one(psp_find(str_of("Cashfree")), &account, true, header_of,
                                    &request, request.body, 0, &report, &detail),
                     ERR_SIGNATURE_INVALID);
    assert_string_equal(psp_signature_header(psp_at(0)), "X-Razorpay-Signature");
    assert_null(psp_signature_header(psp_find(str_of("Adyen"))));
}

/* ---- events ---- */

static void a_capture_is_read_whole(void **state)
{
    (void)state;
    const psp_report_t report = report_of(event_of("payment.captured"));
    assert_int_equal(report.kind, PSP_FACT_CAPTURED);
    assert_is(&report.payment_id, PAYMENT);
    assert_is(&report.order_id, ORDER);
    assert_true(uuid_is_nil(&report.refund_id));
    assert_string_equal(report.psp_ref, "pay_1");
    assert_false(report.ref_is_per_payment);
    assert_int_equal(report.amount, 49900);
    assert_string_equal(report.currency, "INR");
    assert_int_equal(report.occurred_at_us, INT64_C(1759999955000000));
}

static void each_event_is_a_fact_with_the_reference_of_its_entity(void **state)
{
    (void)state;
    static const char refund[] = "{\"id\":\"rfnd_1\",\"amount\":100,\"currency\":\"INR\","
                                 "\"notes\":{\"refund_id\":\"" REFUND "\"}}";
    static const char dispute[] = "{\"id\":\"disp_1\",\"amount\":200,\"currency\":\"INR\"}";
    static const struct {
        const char *event, *entity, *content;
        psp_fact_kind_t kind;
        const char *ref;
        int64_t amount;
    } rows[] = {
        {"payment.authorized", NULL, NULL, PSP_FACT_AUTHORIZED, "pay_1", 49900},
        {"payment.captured", NULL, NULL, PSP_FACT_CAPTURED, "pay_1", 49900},
        {"order.paid", NULL, NULL, PSP_FACT_CAPTURED, "pay_1", 49900},
        {"payment.failed", NULL, NULL, PSP_FACT_FAILED, "pay_1", 49900},
        {"refund.created", "refund", refund, PSP_FACT_REFUND_REQUESTED, "rfnd_1", 100},
        {"refund.processed", "refund", refund, PSP_FACT_REFUND_SUCCEEDED, "rfnd_1", 100},
        {"refund.failed", "refund", refund, PSP_FACT_REFUND_FAILED, "rfnd_1", 100},
        {"payment.dispute.created", "dispute", dispute, PSP_FACT_DISPUTE_OPENED, "disp_1", 200},
        {"payment.dispute.under_review", "dispute", dispute, PSP_FACT_DISPUTE_OPENED, "disp_1",
         200},
        {"payment.dispute.action_required", "dispute", dispute, PSP_FACT_DISPUTE_OPENED, "disp_1",
         200},
        {"payment.dispute.won", "dispute", dispute, PSP_FACT_DISPUTE_WON, "disp_1", 200},
        {"payment.dispute.closed", "dispute", dispute, PSP_FACT_DISPUTE_WON, "disp_1", 200},
        {"payment.dispute.lost", "dispute", dispute, PSP_FACT_DISPUTE_LOST, "disp_1", 200},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const psp_report_t report =
            report_of(event_with(rows[i].event, NOTES, rows[i].entity, rows[i].content));
        assert_int_equal(report.kind, rows[i].kind);
        assert_string_equal(report.psp_ref, rows[i].ref);
        assert_int_equal(report.amount, rows[i].amount);
        assert_is(&report.payment_id, PAYMENT);
        assert_int_equal(uuid_is_nil(&report.refund_id), rows[i].content != refund);
    }
}

static void what_was_never_captured_is_released_and_not_refunded(void **state)
{
    (void)state;
    static const char refund[] =
        "{\"id\":\"rfnd_1\",\"amount\":49900,\"currency\":\"INR\",\"notes\":[]}";
    const psp_report_t released =
        report_of(event_with("refund.processed", NOTES ",\"captured\":false", "refund", refund));
    assert_int_equal(released.kind, PSP_FACT_VOIDED);
    assert_string_equal(released.psp_ref, "pay_1");
    assert_int_equal(released.amount, 49900);
    assert_is(&released.payment_id, PAYMENT);
    const psp_report_t begun =
        report_of(event_with("refund.created", NOTES ",\"captured\":false", "refund", refund));
    assert_true(psp_report_is_empty(&begun));
    assert_int_equal(
        report_of(event_with("refund.processed", NOTES ",\"captured\":true", "refund", refund))
            .kind,
        PSP_FACT_REFUND_SUCCEEDED);
}

static void why_it_failed_is_said_in_the_psps_words(void **state)
{
    (void)state;
    assert_string_equal(report_of(event_of("payment.failed")).reason, "Card declined");
    const psp_report_t report = report_of(
        event_with("refund.failed", NOTES, "refund",
                   "{\"id\":\"rfnd_1\",\"amount\":100,\"currency\":\"INR\",\"notes\":[]}"));
    assert_string_equal(report.reason, "the PSP says that the refund failed");
    assert_true(uuid_is_nil(&report.refund_id));
}

static void what_says_nothing_about_a_payment_is_empty(void **state)
{
    (void)state;
    static const char *const others[] = {"settlement.processed",   "payment.downtime.started",
                                         "payment_link.paid",      "refund.speed_changed",
                                         "payment.captured.twice", ""};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const psp_report_t report = report_of(event_of(others[i]));
        assert_true(psp_report_is_empty(&report));
    }
    const psp_report_t capture = report_of(event_of("payment.captured"));
    assert_false(psp_report_is_empty(&capture));
}

static void money_without_our_notes_is_reported_without_a_payment(void **state)
{
    (void)state;
    static const char *const notes[] = {"[]", "{}", "null", "{\"payment_id\":17}",
                                        "{\"payment_id\":\"shop-17\",\"order_id\":\"17\"}"};
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
        const psp_report_t report = report_of(event_with("payment.captured", notes[i], NULL, NULL));
        assert_true(uuid_is_nil(&report.payment_id) && uuid_is_nil(&report.order_id));
        assert_false(psp_report_is_empty(&report));
        assert_int_equal(report.amount, 49900);
    }
}

static void assert_malformed(const char *body, const char *said)
{
    psp_report_t report;
    err_detail_t detail = {{0}};
    assert_int_equal(verify(signed_request(str_of(body)), false, &report, &detail),
                     ERR_MALFORMED_WEBHOOK);
    if (!strstr(detail.text, said))
        fail_msg("\"%s\" does not say \"%s\"", detail.text, said);
    assert_int_equal(psp_webhook_read(psp_at(0), str_of(body), &report, &detail),
                     ERR_MALFORMED_WEBHOOK);
}

#define CAPTURE(entity, rest) \
    "{\"event\":\"payment.captured\",\"payload\":{\"payment\":{\"entity\":" entity "}}" rest "}"
#define AT ",\"created_at\":1"

static void what_is_wrong_in_an_event_is_named(void **state)
{
    (void)state;
    assert_malformed("{\"event\":\"payment.captured\",\"payload\":{}" AT "}", "payment");
    assert_malformed(CAPTURE("[]", AT), "payment");
    assert_malformed(CAPTURE("{\"amount\":1,\"currency\":\"INR\"}", AT), "id");
    assert_malformed(CAPTURE("{\"id\":\"p\",\"amount\":1.5,\"currency\":\"INR\"}", AT), "amount");
    assert_malformed(CAPTURE("{\"id\":\"p\",\"amount\":0,\"currency\":\"INR\"}", AT), "amount");
    assert_malformed(CAPTURE("{\"id\":\"p\",\"amount\":\"1\",\"currency\":\"INR\"}", AT), "amount");
    assert_malformed(CAPTURE("{\"id\":\"p\",\"amount\":1}", AT), "currency");
    assert_malformed(CAPTURE("{\"id\":\"p\",\"amount\":1,\"currency\":\"inr\"}", AT), "currency");
#define GOOD "{\"id\":\"p\",\"amount\":1,\"currency\":\"INR\"}"
    assert_malformed(CAPTURE(GOOD, ""), "created_at");
    assert_malformed(CAPTURE(GOOD, ",\"created_at\":-1"), "created_at");
    assert_malformed(CAPTURE(GOOD, ",\"created_at\":253402300800"), "created_at");
    assert_malformed(CAPTURE(GOOD, ",\"created_at\":1.0"), "created_at");
    assert_malformed(CAPTURE(GOOD, AT ",\"created_at\":1"), "not valid JSON");
    assert_malformed("{\"event\":17,\"payload\":{}}", "no event");
    assert_malformed("{\"event\":\"payment.captured\",\"payload\":[]}", "no event");
    assert_malformed(CAPTURE(GOOD, AT ",\"gateway_txn_id\":\"txn_1\""), "no event");
}

static void an_event_without_an_id_is_refused(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    char too_long[130];
    memset(too_long, 'e', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    const char *const ids[] = {NULL, "", too_long, "evt\x01", "\xff"};
    request_t request = signed_request(event_of("payment.captured"));
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        request.event_id = ids[i];
        assert_int_equal(verify(request, false, &report, &detail), ERR_MALFORMED_WEBHOOK);
        assert_non_null(strstr(detail.text, "X-Razorpay-Event-Id"));
    }
}

/* ---- requests ---- */

static const psp_t *razorpay(void)
{
    return psp_named("razorpay");
}

/* As the library was called. */
static const psp_account_t theirs = {.base_url = "https://api.razorpay.com",
                                     .key_id = "rzp_test_made_up",
                                     .key_secret = "made_up",
                                     .webhook_secrets = SECRET};
static const char *const renamed[] = {"ord_1", PAYMENT, "rfnd_1", REFUND, NULL};
static const char *const otherwise[] = {"callback_url", NULL};
static const char *const without[] = {"a", NULL}; /* a note */

static void a_checkout_is_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    const wire_official_t official = {"razorpay", "POST",    "/v1/payment_links",
                                      renamed,    otherwise, without};
    psp_checkout_t checkout = checkout_of(49900, "INR");
    http_client_request_t request;
    psp_checkout_request(razorpay(), &theirs, &checkout, &request);
    assert_as_official(&official, &request);
    assert_string_equal(
        request.body.data,
        "{\"amount\":49900,\"currency\":\"INR\",\"reference_id\":\"" PAYMENT
        "\",\"description\":\"Order\",\"expire_by\":1760003600,\"customer\":{\"contact\":"
        "\"9999999999\"},\"notify\":{\"sms\":false,\"email\":false},\"notes\":" NOTES
        ",\"callback_url\":\"" RETURN_URL "\",\"callback_method\":\"get\"}");
    assert_not_in_url(&request, "made_up");
    http_client_request_free(&request);
    checkout.expires_at_us = checkout.now_us + 60 * SECOND_US; /* Razorpay wants 15 minutes */
    memset(&checkout.customer, 0, sizeof checkout.customer);
    snprintf(checkout.customer.name, sizeof checkout.customer.name, "Asha \\ \"A\"");
    snprintf(checkout.customer.email, sizeof checkout.customer.email, "a@example.com");
    psp_checkout_request(razorpay(), &theirs, &checkout, &request);
    assert_non_null(strstr(request.body.data, "\"expire_by\":1760000930,"));
    assert_non_null(strstr(request.body.data, "\"customer\":{\"name\":\"Asha \\\\ \\\"A\\\"\","
                                              "\"email\":\"a@example.com\"}"));
    http_client_request_free(&request);
    snprintf(checkout.customer.name, sizeof checkout.customer.name, "%s", "");
    snprintf(checkout.customer.email, sizeof checkout.customer.email, "%s", "");
    psp_checkout_request(razorpay(), &theirs, &checkout, &request);
    assert_null(strstr(request.body.data, "\"customer\""));
    http_client_request_free(&request);
}

static void amounts_are_whole_minor_units(void **state)
{
    (void)state;
    static const struct {
        const char *currency;
        int64_t amount;
        const char *said;
    } amounts[] = {
        {"INR", 1, "\"amount\":1,\"currency\":\"INR\""},
        {"JPY", 120, "\"amount\":120,\"currency\":\"JPY\""},
        {"KWD", 12345, "\"amount\":12345,\"currency\":\"KWD\""},
        {"INR", AMOUNT_MAX, "\"amount\":9007199254740991,\"currency\":\"INR\""},
    };
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        const psp_checkout_t checkout = checkout_of(amounts[i].amount, amounts[i].currency);
        http_client_request_t request;
        char body[512];
        psp_checkout_request(razorpay(), &theirs, &checkout, &request);
        assert_non_null(strstr(request.body.data, amounts[i].said));
        http_client_request_free(&request);
        snprintf(body, sizeof body,
                 "{\"event\":\"payment.captured\",\"payload\":{\"payment\":{\"entity\":{"
                 "\"id\":\"pay_1\",%s,\"notes\":" NOTES "}}},\"created_at\":1}",
                 amounts[i].said);
        const psp_report_t report = report_of(str_of(body));
        assert_int_equal(report.amount, amounts[i].amount);
        assert_string_equal(report.currency, amounts[i].currency);
    }
}

static void statuses_are_asked_for_by_the_link(void **state)
{
    (void)state;
    psp_payment_t payment = {.payment_id = uuid_of(PAYMENT)};
    const psp_checkout_t checkout = checkout_of(1, "INR");
    http_client_request_t request;
    assert_true(psp_status_request(razorpay(), &theirs, &payment, &request));
    assert_string_equal(request.method, "GET");
    assert_string_equal(request.url,
                        "https://api.razorpay.com/v1/payment_links?reference_id=" PAYMENT);
    assert_string_equal(header_named(&request, "Authorization"),
                        "Basic cnpwX3Rlc3RfbWFkZV91cDptYWRlX3Vw");
    assert_true(psp_checkout_find_request(razorpay(), &theirs, &checkout, &request));
    assert_string_equal(request.url,
                        "https://api.razorpay.com/v1/payment_links?reference_id=" PAYMENT);
    snprintf(payment.psp_ref, sizeof payment.psp_ref, "plink_1");
    assert_true(psp_status_request(razorpay(), &theirs, &payment, &request));
    assert_string_equal(request.url, "https://api.razorpay.com/v1/payment_links/plink_1");
    snprintf(payment.psp_ref, sizeof payment.psp_ref, "a/../b?c#d e");
    assert_true(psp_status_request(razorpay(), &theirs, &payment, &request));
    assert_string_equal(request.url,
                        "https://api.razorpay.com/v1/payment_links/a%2F..%2Fb%3Fc%23d%20e");
}

static void a_refund_is_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    const wire_official_t official = {"razorpay", "POST",    "/v1/payments/pay_1/refund",
                                      renamed,    otherwise, without};
    psp_refund_t refund = refund_of(100, "INR", "pay_1");
    http_client_request_t request;
    snprintf(refund.reason, sizeof refund.reason, "too \"late\"");
    psp_refund_request(razorpay(), &theirs, &refund, &request);
    assert_as_official(&official, &request);
    assert_string_equal(header_named(&request, "X-Refund-Idempotency"), REFUND);
    assert_string_equal(request.body.data,
                        "{\"amount\":100,\"speed\":\"normal\",\"notes\":{\"refund_id\":\"" REFUND
                        "\",\"payment_id\":\"" PAYMENT "\",\"order_id\":\"" ORDER
                        "\",\"reason\":\"too \\\"late\\\"\"},\"receipt\":\"" REFUND "\"}");
    http_client_request_free(&request);
    assert_true(psp_refund_status_request(razorpay(), &theirs, &refund, &request));
    assert_string_equal(request.method, "GET");
    assert_string_equal(request.url,
                        "https://api.razorpay.com/v1/payments/pay_1/refunds?count=100");
}

/* ---- answers ---- */

#define LINK(status, rest)                                                                     \
    "{\"id\":\"plink_1\",\"reference_id\":\"" PAYMENT "\",\"currency\":\"INR\",\"short_url\":" \
    "\"https://rzp.io/i/1\",\"status\":\"" status "\"" rest "}"
#define LIST(links) "{\"payment_links\":[" links "]}"

static void an_open_link_is_read_alone_and_in_a_list(void **state)
{
    (void)state;
    static const char *const bodies[] = {LINK("created", ""), LIST(LINK("created", ""))};
    for (size_t i = 0; i < 2; i++) {
        const psp_checkout_answer_t answer = answer_to(razorpay(), ERR_OK, 200, bodies[i]);
        assert_int_equal(answer.outcome, PSP_CHECKOUT_OPEN);
        assert_int_equal(answer.fault, PSP_FAULT_NONE);
        assert_string_equal(answer.psp_ref, "plink_1");
        assert_string_equal(answer.checkout_url, "https://rzp.io/i/1");
        assert_false(answer.exists);
    }
}

static void each_error_is_somebodys_fault(void **state)
{
    (void)state;
#define ERROR(code, words) "{\"error\":{\"code\":\"" code "\",\"description\":\"" words "\"}}"
    static const wire_error_t errors[] = {
        {ERR_OK, 400, ERROR("BAD_REQUEST_ERROR", "amount exceeds"), PSP_CHECKOUT_REFUSED,
         PSP_FAULT_MERCHANT, "HTTP 400: amount exceeds"},
        {ERR_OK, 401, ERROR("BAD_REQUEST_ERROR", "Authentication failed"), PSP_CHECKOUT_REFUSED,
         PSP_FAULT_MERCHANT, "HTTP 401: Authentication"},
        {ERR_OK, 429, ERROR("BAD_REQUEST_ERROR", "Too many requests"), PSP_CHECKOUT_REFUSED,
         PSP_FAULT_LIMIT, "HTTP 429: Too many"},
        {ERR_OK, 500, ERROR("SERVER_ERROR", "Oh"), PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP,
         "HTTP 500: Oh"},
        {ERR_OK, 502, ERROR("GATEWAY_ERROR", "Bank"), PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP,
         "HTTP 502: Bank"},
        {ERR_OK, 200, LINK("paid", ""), PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, LINK("cancelled", ""), PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, LIST(""), PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, "{\"id\":\"p\",\"status\":\"created\",\"short_url\":\"data:text/html,x\"}",
         PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
    };
    assert_errors(razorpay(), errors, sizeof errors / sizeof errors[0]);
    assert_common_errors(razorpay());
    const char *known =
        ERROR("BAD_REQUEST_ERROR", "payment link with given reference_id already exists");
    assert_true(answer_to(razorpay(), ERR_OK, 400, known).exists);
    assert_false(answer_to(razorpay(), ERR_OK, 400, ERROR("BAD_REQUEST_ERROR", "no")).exists);
    assert_false(answer_to(razorpay(), ERR_OK, 400, "{}").exists);
}

#define PAID(status)                                                                            \
    "{\"payment_id\":\"pay_1\",\"amount\":49900,\"created_at\":1759999955,\"status\":\"" status \
    "\"}"
#define PAYMENTS(list) ",\"payments\":[" list "]"

static void each_status_is_a_fact_or_none(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        psp_fact_kind_t kind;
        const char *reason;
    } statuses[] = {
        {LINK("created", PAYMENTS("")), PSP_FACT_NONE, "created"},
        {LINK("created", ",\"payments\":null"), PSP_FACT_NONE, "created"},
        {LINK("expired", ""), PSP_FACT_NONE, "expired"},
        {LINK("created", PAYMENTS(PAID("authorized"))), PSP_FACT_NONE, "created"},
        {LINK("created", PAYMENTS(PAID("failed"))), PSP_FACT_FAILED,
         "the PSP says that the payment failed"},
        {LINK("paid", PAYMENTS(PAID("captured"))), PSP_FACT_CAPTURED, ""},
        {LINK("paid", PAYMENTS(PAID("failed") "," PAID("captured"))), PSP_FACT_CAPTURED, ""},
        {LIST(LINK("paid", PAYMENTS(PAID("captured") "," PAID("failed")))), PSP_FACT_CAPTURED, ""},
        {LINK("paid",
              PAYMENTS(PAID("captured") ",{\"payment_id\":\"pay_2\",\"status\":\"captured\"}")),
         PSP_FACT_CAPTURED, ""}, /* the first is the one that paid */
        {LIST(""), PSP_FACT_NONE, "the PSP does not know the payment"},
    };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const psp_report_t report = status_of(razorpay(), statuses[i].body);
        if (report.kind != statuses[i].kind || strcmp(report.reason, statuses[i].reason) != 0)
            fail_msg("%s: %s, %s", statuses[i].body, psp_fact_kind_name(report.kind),
                     report.reason);
        if (report.kind == PSP_FACT_NONE)
            continue;
        assert_string_equal(report.psp_ref, "pay_1");
        assert_int_equal(report.amount, 49900);
        assert_string_equal(report.currency, "INR");
        assert_int_equal(report.occurred_at_us, INT64_C(1759999955) * SECOND_US);
    }
}

static void other_answers_are_no_status(void **state)
{
    (void)state;
    static const int refusals[] = {401, 403, 429, 500, 503, 302, 204};
    assert_unknown(razorpay(), 404, "{}");
    assert_unknown(razorpay(), 400, ERROR("BAD_REQUEST_ERROR", "The id provided does not exist"));
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        assert_no_status(razorpay(), refusals[i], "{}", "no status answer");
    assert_no_status(razorpay(), 200, "", "the body");
    assert_no_status(razorpay(), 200, "[]", "the body");
    assert_no_status(razorpay(), 200, "{}", "reference_id");
    assert_no_status(razorpay(), 200, LIST("17"), "reference_id");
    assert_no_status(razorpay(), 200, "{\"reference_id\":\"" ORDER "\"}", "reference_id");
    assert_no_status(razorpay(), 200, LINK("paid", PAYMENTS("{\"status\":\"captured\"}")),
                     "payment_id");
    assert_no_status(razorpay(), 200,
                     LINK("paid", PAYMENTS("{\"status\":\"captured\",\"payment_id\":\"p\","
                                           "\"amount\":1.5}")),
                     "amount");
    assert_no_status(razorpay(), 200,
                     LINK("paid", PAYMENTS("{\"status\":\"captured\",\"payment_id\":\"p\","
                                           "\"amount\":1,\"created_at\":253402300800}")),
                     "created_at");
}

#define REFUND_OBJECT(id, status)                                                                  \
    "{\"id\":\"rfnd_1\",\"amount\":100,\"currency\":\"INR\",\"created_at\":1759999960,\"notes\":{" \
    "\"refund_id\":\"" id "\"},\"status\":\"" status "\"}"
#define ITEMS(list) "{\"entity\":\"collection\",\"items\":[" list "]}"

static void each_state_of_a_refund_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        psp_fact_kind_t kind;
    } states[] = {
        {REFUND_OBJECT(REFUND, "processed"), PSP_FACT_REFUND_SUCCEEDED},
        {REFUND_OBJECT(REFUND, "pending"), PSP_FACT_REFUND_REQUESTED},
        {REFUND_OBJECT(REFUND, "failed"), PSP_FACT_REFUND_FAILED},
        {ITEMS("17," REFUND_OBJECT(ORDER, "failed") "," REFUND_OBJECT(REFUND, "processed")),
         PSP_FACT_REFUND_SUCCEEDED},
    };
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        const psp_report_t report = refund_in(razorpay(), states[i].body);
        assert_int_equal(report.kind, states[i].kind);
        assert_string_equal(report.psp_ref, "rfnd_1");
        assert_int_equal(report.amount, 100);
        assert_string_equal(report.currency, "INR");
        assert_int_equal(report.occurred_at_us, INT64_C(1759999960) * SECOND_US);
        assert_int_equal(report.reason[0] != '\0', report.kind == PSP_FACT_REFUND_FAILED);
    }
    assert_int_equal(refund_in(razorpay(), ITEMS("")).kind, PSP_FACT_NONE);
    assert_int_equal(refund_in(razorpay(), ITEMS(REFUND_OBJECT(ORDER, "processed"))).kind,
                     PSP_FACT_NONE);
    assert_no_refund(razorpay(), 200, REFUND_OBJECT("shop-1", "processed"), "another refund");
    assert_no_refund(razorpay(), 200, REFUND_OBJECT(REFUND, "reversed"), "status");
    assert_refusals(razorpay(), ERROR("BAD_REQUEST_ERROR", "fully refunded already"),
                    "fully refunded already");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(signatures_of_the_official_library_are_judged_as_it_judges_them),
    cmocka_unit_test(any_configured_secret_signs_in_any_environment),
    cmocka_unit_test(no_other_text_is_a_signature),
    cmocka_unit_test(signature_is_looked_at_before_the_body),
    cmocka_unit_test(production_takes_no_unsigned_event),
    cmocka_unit_test(other_psps_do_not_take_the_format),
    cmocka_unit_test(a_capture_is_read_whole),
    cmocka_unit_test(each_event_is_a_fact_with_the_reference_of_its_entity),
    cmocka_unit_test(what_was_never_captured_is_released_and_not_refunded),
    cmocka_unit_test(why_it_failed_is_said_in_the_psps_words),
    cmocka_unit_test(what_says_nothing_about_a_payment_is_empty),
    cmocka_unit_test(money_without_our_notes_is_reported_without_a_payment),
    cmocka_unit_test(what_is_wrong_in_an_event_is_named),
    cmocka_unit_test(an_event_without_an_id_is_refused),
    cmocka_unit_test(a_checkout_is_asked_for_as_the_official_library_does),
    cmocka_unit_test(amounts_are_whole_minor_units),
    cmocka_unit_test(statuses_are_asked_for_by_the_link),
    cmocka_unit_test(a_refund_is_asked_for_as_the_official_library_does),
    cmocka_unit_test(an_open_link_is_read_alone_and_in_a_list),
    cmocka_unit_test(each_error_is_somebodys_fault),
    cmocka_unit_test(each_status_is_a_fact_or_none),
    cmocka_unit_test(other_answers_are_no_status),
    cmocka_unit_test(each_state_of_a_refund_is_read),
};
TEST_MAIN(tests)
