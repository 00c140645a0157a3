/* test_psp_stripe.c - Stripe: whose webhooks are believed and what they say, what is asked for and
 * what the answers mean. */
#include "tests/support/test_main.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/form.h"
#include "lib/hmac.h"
#include "lib/payment/psp.h"
#include "tests/support/psp_verify.h"

#define ORDER "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1b"
#define PAYMENT "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a2b"
#define REFUND "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a3b"
#define ATTEMPT "0199c82c-c000-7e4f-8a5b-6c7d8e9f0a4b" /* made at NOW_S */
#define METADATA "\"metadata\":{\"payment_id\":\"" PAYMENT "\",\"order_id\":\"" ORDER "\"}"
#define NOW_S INT64_C(1760000000)
#define SECOND_US INT64_C(1000000)

static const psp_account_t account = {.base_url = "https://api.stripe.com",
                                      .key_secret = "sk_test_made_up",
                                      .webhook_secrets = "whsec_new, whsec_old"};

static const psp_t *stripe(void)
{
    const psp_t *psp = psp_find(str_of("stripe"));
    assert_non_null(psp);
    return psp;
}

static uuid_t uuid_of(const char *text)
{
    uuid_t uuid;
    assert_true(uuid_parse(text, strlen(text), &uuid));
    return uuid;
}

static void assert_is(const uuid_t *uuid, const char *text)
{
    char formatted[UUID_TEXT_SIZE];
    assert_string_equal(uuid_format(uuid, formatted), text);
}

static json_t *load_vectors(const char *name)
{
    json_error_t error;
    char path[512];
    snprintf(path, sizeof path, TIFFIN_SOURCE_DIR "/tests/unit/vectors/%s", name);
    json_t *file = json_load_file(path, 0, &error);
    if (!file)
        fail_msg("%s", error.text);
    return file;
}

/* ---- signed webhooks ---- */

static const char *one_header(void *arg, const char *name)
{
    return strcasecmp(name, "Stripe-Signature") == 0 ? arg : NULL;
}

static void sign(const char *secret, int64_t at_s, str_t body, char header[160])
{
    char text[16384];
    uint8_t digest[HMAC_SHA256_SIZE];
    const int size = snprintf(text, sizeof text, "%lld.%.*s", (long long)at_s, STR_ARG(body));
    assert_true(size > 0 && (size_t)size < sizeof text);
    hmac_sha256(str_of(secret), (str_t){text, (uint32_t)size}, digest);
    size_t used = (size_t)snprintf(header, 160, "t=%lld,v1=", (long long)at_s);
    for (size_t i = 0; i < sizeof digest; i++, used += 2)
        snprintf(header + used, 160 - used, "%02x", digest[i]);
}

static err_t verify_at(int64_t now_s, char *header, str_t body, psp_report_t *report,
                       err_detail_t *detail)
{
    return psp_verify_one(stripe(), &account, false, one_header, header, body, now_s * SECOND_US,
                          report, detail);
}

/* What an event says, to whoever receives it and to whoever reads it later. */
static psp_report_t report_of(const char *body)
{
    psp_report_t report, stored;
    err_detail_t detail = {{0}};
    char header[160];
    sign("whsec_new", NOW_S, str_of(body), header);
    if (verify_at(NOW_S, header, str_of(body), &report, &detail) != ERR_OK)
        fail_msg("%s: %s", body, detail.text);
    assert_int_equal(psp_webhook_read(stripe(), str_of(body), &stored, &detail), ERR_OK);
    assert_memory_equal(&stored, &report, sizeof report);
    assert_string_equal(report.event_id, "evt_1");
    assert_false(report.hint || report.ref_is_per_payment);
    return report;
}

static const char *event_of(const char *type, const char *object)
{
    static char body[8192];
    const int size = snprintf(body, sizeof body,
                              "{\"id\":\"evt_1\",\"object\":\"event\",\"created\":1759999990,"
                              "\"data\":{\"object\":%s},\"type\":\"%s\"}",
                              object, type);
    assert_true(size > 0 && (size_t)size < sizeof body);
    return body;
}

#define INTENT(rest)                                                                  \
    "{\"id\":\"pi_1\",\"object\":\"payment_intent\",\"currency\":\"inr\",\"amount\":" \
    "49900," METADATA rest "}"
#define SESSION(rest)                                                                    \
    "{\"id\":\"cs_1\",\"object\":\"checkout.session\",\"currency\":\"inr\",\"created\":" \
    "1759990000,"                                                                        \
    "\"amount_total\":49900,\"client_reference_id\":\"" PAYMENT "\"," METADATA rest "}"
#define REFUND_OBJECT(status, rest)                                                 \
    "{\"id\":\"re_1\",\"object\":\"refund\",\"amount\":100,\"currency\":\"inr\","   \
    "\"created\":1759990001,\"payment_intent\":\"pi_1\",\"status\":\"" status "\"," \
    "\"metadata\":{\"payment_id\":\"" PAYMENT "\",\"order_id\":\"" ORDER            \
    "\",\"refund_id\":\"" REFUND "\"}" rest "}"

static bool vector_is_believed(const json_t *vector)
{
    char secrets[256] = "", decoded[64];
    const json_t *list = json_object_get(vector, "secrets"),
                 *text = json_object_get(vector, "body");
    str_t body = {json_string_value(text), (uint32_t)json_string_length(text)};
    for (size_t i = 0; i < json_array_size(list); i++) {
        const size_t used = strlen(secrets);
        snprintf(secrets + used, sizeof secrets - used, "%s,",
                 json_string_value(json_array_get(list, i)));
    }
    if (json_object_get(vector, "body_encoding")) {
        assert_int_equal(body.size, 12);
        assert_int_equal(
            EVP_DecodeBlock((unsigned char *)decoded, (const unsigned char *)body.data, 12), 9);
        body = (str_t){decoded, 9};
    }
    const json_t *headers = json_object_get(vector, "headers");
    const psp_account_t receiver = {.webhook_secrets = secrets};
    psp_report_t report;
    err_detail_t detail;
    char header[512] = "";
    const char *given = json_string_value(json_object_get(headers, "Stripe-Signature"));
    if (given)
        snprintf(header, sizeof header, "%s", given);
    const err_t err = psp_verify_one(
        stripe(), &receiver, false, one_header, given ? header : NULL, body,
        json_integer_value(json_object_get(vector, "now")) * SECOND_US, &report, &detail);
    return err != ERR_SIGNATURE_INVALID;
}

static void signatures_of_the_official_library_are_judged_as_it_judges_them(void **state)
{
    (void)state;
    json_t *file = load_vectors("signatures.json"), *vector;
    size_t i, judged = 0, fitting = 0;
    json_array_foreach(file, i, vector)
    {
        if (strcmp(json_string_value(json_object_get(vector, "psp")), "stripe") != 0)
            continue;
        /* We always have the tolerance that it has unless told otherwise. */
        const bool unbounded = json_integer_value(json_object_get(vector, "tolerance")) == 0;
        const bool expected = json_is_true(json_object_get(vector, "signature_valid"));
        if (vector_is_believed(vector) != (expected && !unbounded))
            fail_msg("%s", json_string_value(json_object_get(vector, "id")));
        fitting += expected;
        judged++;
    }
    assert_int_equal(judged, 16);
    assert_int_equal(fitting, 8);
    json_decref(file);
}

static void any_configured_secret_signs_within_five_minutes(void **state)
{
    (void)state;
    static const char body[] = "{\"id\":\"evt_1\",\"object\":\"event\",\"type\":\"plan.created\"}";
    psp_report_t report;
    err_detail_t detail;
    char header[160];
    sign("whsec_old", NOW_S, str_of(body), header);
    assert_int_equal(verify_at(NOW_S, header, str_of(body), &report, &detail), ERR_OK);
    assert_true(psp_report_is_empty(&report));
    assert_int_equal(verify_at(NOW_S + 300, header, str_of(body), &report, &detail), ERR_OK);
    assert_int_equal(verify_at(NOW_S + 301, header, str_of(body), &report, &detail),
                     ERR_SIGNATURE_INVALID);
    assert_non_null(strstr(detail.text, "too old"));
    sign("whsec_other", NOW_S, str_of(body), header);
    assert_int_equal(verify_at(NOW_S, header, str_of(body), &report, &detail),
                     ERR_SIGNATURE_INVALID);
}

static void no_other_header_is_a_signature(void **state)
{
    (void)state;
    static const char body[] = "{\"id\":\"evt_1\",\"object\":\"event\",\"type\":\"plan.created\"}";
    static const char *const forms[] = {"v1=%s",
                                        "t=,v1=%s",
                                        "t=x,v1=%s",
                                        "t=1760000000, v1=%s",
                                        "t=1760000000",
                                        "t=1760000000,v1=",
                                        ",,,",
                                        "t=-1760000000,v1=%s",
                                        "t=1760000000=",
                                        "t=1760000000,V1=%s",
                                        "t=01760000000,v1=%s",
                                        "t=176000000000000000000,v1=%s",
                                        "t=1760000000,v1=%.63s",
                                        "t=1760000000,v1=%s0"};
    psp_report_t report;
    err_detail_t detail;
    char header[160], digest[65], other[256];
    sign("whsec_new", NOW_S, str_of(body), header);
    memcpy(digest, strstr(header, "v1=") + 3, sizeof digest);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        str_t form = str_of(forms[i]);
        const char *hole = strchr(form.data, '%');
        const size_t before = hole ? (size_t)(hole - form.data) : form.size;
        const char *after = hole ? strchr(hole, 's') + 1 : "";
        const int shown = hole && hole[1] == '.' ? 63 : 64;
        snprintf(other, sizeof other, "%.*s%.*s%s", (int)before, form.data, hole ? shown : 0,
                 digest, after);
        if (verify_at(NOW_S, other, str_of(body), &report, &detail) != ERR_SIGNATURE_INVALID)
            fail_msg("%s", other);
    }
    snprintf(other, sizeof other, "v1=%s,t=1760000000", digest); /* in any order */
    assert_int_equal(verify_at(NOW_S, other, str_of(body), &report, &detail), ERR_OK);
}

/* ---- what events say ---- */

static void a_capture_is_read_whole(void **state)
{
    (void)state;
    const psp_report_t report =
        report_of(event_of("payment_intent.succeeded", INTENT(",\"amount_received\":49900")));
    assert_int_equal(report.kind, PSP_FACT_CAPTURED);
    assert_is(&report.payment_id, PAYMENT);
    assert_is(&report.order_id, ORDER);
    assert_true(uuid_is_nil(&report.refund_id));
    assert_string_equal(report.psp_ref, "pi_1");
    assert_int_equal(report.amount, 49900);
    assert_string_equal(report.currency, "INR");
    assert_int_equal(report.occurred_at_us, 1759999990 * SECOND_US);
}

static void each_event_is_a_fact_with_one_reference(void **state)
{
    (void)state;
    static const struct {
        const char *type, *object, *ref;
        psp_fact_kind_t kind;
    } events[] = {
        {"payment_intent.amount_capturable_updated", INTENT(",\"amount_capturable\":49900"), "pi_1",
         PSP_FACT_AUTHORIZED},
        {"payment_intent.payment_failed", INTENT(""), "pi_1", PSP_FACT_FAILED},
        {"payment_intent.canceled", INTENT(""), "pi_1", PSP_FACT_VOIDED},
        {"checkout.session.completed",
         SESSION(",\"payment_status\":\"paid\",\"payment_intent\":\"pi_1\""), "pi_1",
         PSP_FACT_CAPTURED},
        {"checkout.session.completed",
         SESSION(",\"payment_status\":\"paid\",\"payment_intent\":{\"id\":\"pi_1\"}"), "pi_1",
         PSP_FACT_CAPTURED},
        {"checkout.session.completed",
         SESSION(",\"payment_status\":\"unpaid\",\"payment_intent\":\"pi_1\""), "cs_1",
         PSP_FACT_NONE},
        {"checkout.session.async_payment_succeeded",
         SESSION(",\"payment_status\":\"paid\",\"payment_intent\":\"pi_1\""), "pi_1",
         PSP_FACT_CAPTURED},
        {"checkout.session.async_payment_failed",
         SESSION(",\"payment_status\":\"unpaid\",\"payment_intent\":\"pi_1\""), "pi_1",
         PSP_FACT_FAILED},
        {"checkout.session.expired",
         SESSION(",\"payment_status\":\"unpaid\",\"payment_intent\":null"), "cs_1",
         PSP_FACT_EXPIRED},
        {"refund.created", REFUND_OBJECT("pending", ""), "re_1", PSP_FACT_REFUND_REQUESTED},
        {"refund.created", REFUND_OBJECT("requires_action", ""), "re_1", PSP_FACT_REFUND_REQUESTED},
        {"refund.updated", REFUND_OBJECT("succeeded", ""), "re_1", PSP_FACT_REFUND_SUCCEEDED},
        {"charge.refund.updated", REFUND_OBJECT("succeeded", ""), "re_1",
         PSP_FACT_REFUND_SUCCEEDED},
        {"refund.failed", REFUND_OBJECT("failed", ""), "re_1", PSP_FACT_REFUND_FAILED},
        {"refund.updated", REFUND_OBJECT("canceled", ""), "re_1", PSP_FACT_REFUND_FAILED},
    };
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        const psp_report_t report = report_of(event_of(events[i].type, events[i].object));
        if (report.kind != events[i].kind || strcmp(report.psp_ref, events[i].ref) != 0)
            fail_msg("%s: %s of %s", events[i].type, psp_fact_kind_name(report.kind),
                     report.psp_ref);
        assert_is(&report.payment_id, PAYMENT);
        assert_is(&report.order_id, ORDER);
        assert_int_equal(uuid_is_nil(&report.refund_id), !psp_fact_is_refund(report.kind));
        assert_int_equal(report.amount, psp_fact_is_refund(report.kind) ? 100 : 49900);
    }
}

static void disputes_are_told_by_their_status(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        psp_fact_kind_t kind;
    } statuses[] = {{"needs_response", PSP_FACT_DISPUTE_OPENED},
                    {"under_review", PSP_FACT_DISPUTE_OPENED},
                    {"won", PSP_FACT_DISPUTE_WON},
                    {"lost", PSP_FACT_DISPUTE_LOST},
                    {"warning_needs_response", PSP_FACT_NONE},
                    {"warning_closed", PSP_FACT_NONE},
                    {"prevented", PSP_FACT_NONE}};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        char object[256];
        snprintf(object, sizeof object,
                 "{\"id\":\"du_1\",\"amount\":49900,\"currency\":\"inr\",\"metadata\":{},"
                 "\"payment_intent\":\"pi_1\",\"status\":\"%s\"}",
                 statuses[i].status);
        const psp_report_t report = report_of(event_of("charge.dispute.updated", object));
        assert_int_equal(report.kind, statuses[i].kind);
        assert_true(uuid_is_nil(&report.payment_id));
        assert_string_equal(report.psp_ref, statuses[i].kind == PSP_FACT_NONE ? "" : "du_1");
        assert_int_equal(psp_report_is_empty(&report), statuses[i].kind == PSP_FACT_NONE);
    }
}

static void why_it_failed_is_said_in_stripes_words(void **state)
{
    (void)state;
    psp_report_t report = report_of(
        event_of("payment_intent.payment_failed",
                 INTENT(",\"last_payment_error\":{\"code\":\"card_declined\",\"message\":\"Your "
                        "card has insufficient funds.\"}")));
    assert_string_equal(report.reason, "Your card has insufficient funds.");
    report = report_of(event_of("payment_intent.payment_failed",
                                INTENT(",\"last_payment_error\":{\"code\":\"card_declined\"}")));
    assert_string_equal(report.reason, "card_declined");
    report = report_of(event_of(
        "refund.failed", REFUND_OBJECT("failed", ",\"failure_reason\":\"lost_or_stolen_card\"")));
    assert_string_equal(report.reason, "lost_or_stolen_card");
    report = report_of(event_of("payment_intent.payment_failed", INTENT("")));
    assert_string_equal(report.reason, "the PSP says that the payment failed");
}

static void what_is_not_ours_counts_only_where_it_moves_money(void **state)
{
    (void)state;
#define FOREIGN                                                                               \
    "{\"id\":\"pi_2\",\"amount\":1,\"amount_received\":1,\"currency\":\"eur\",\"metadata\":{" \
    "\"payment_id\":\"shop-1\"}}"
    psp_report_t report = report_of(event_of("payment_intent.succeeded", FOREIGN));
    assert_int_equal(report.kind, PSP_FACT_CAPTURED);
    assert_true(uuid_is_nil(&report.payment_id) && !psp_report_is_empty(&report));
    report = report_of(event_of("payment_intent.payment_failed", FOREIGN));
    assert_true(psp_report_is_empty(&report));
    report = report_of(event_of("payment_intent.canceled", FOREIGN));
    assert_true(psp_report_is_empty(&report));
    report =
        report_of(event_of("checkout.session.expired",
                           "{\"id\":\"cs_2\",\"payment_status\":\"unpaid\",\"amount_total\":1,"
                           "\"currency\":\"eur\",\"payment_intent\":\"pi_2\",\"metadata\":{}}"));
    assert_true(psp_report_is_empty(&report));
    report = report_of(event_of("checkout.session.completed",
                                "{\"id\":\"cs_2\",\"payment_status\":\"no_payment_required\","
                                "\"amount_total\":0,\"payment_intent\":null,\"metadata\":{}}"));
    assert_true(psp_report_is_empty(&report));
    report =
        report_of(event_of("refund.created", "{\"id\":\"re_2\",\"amount\":1,\"currency\":\"eur\","
                                             "\"status\":\"succeeded\",\"metadata\":{}}"));
    assert_int_equal(report.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_true(uuid_is_nil(&report.payment_id) && uuid_is_nil(&report.refund_id));
}

static void unknown_events_are_empty(void **state)
{
    (void)state;
    static const char *const types[] = {"charge.refunded",
                                        "charge.succeeded",
                                        "payout.paid",
                                        "charge.dispute.funds_withdrawn",
                                        "payment_intent.created",
                                        "customer.created",
                                        ""};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const psp_report_t report = report_of(event_of(types[i], INTENT("")));
        assert_true(psp_report_is_empty(&report));
    }
    const psp_report_t thin = report_of("{\"id\":\"evt_1\",\"object\":\"v2.core.event\","
                                        "\"type\":\"payment_intent.succeeded\"}");
    assert_true(psp_report_is_empty(&thin));
}

static void assert_malformed(const char *body, const char *said)
{
    psp_report_t report;
    err_detail_t detail = {{0}};
    char header[160];
    sign("whsec_new", NOW_S, str_of(body), header);
    assert_int_equal(verify_at(NOW_S, header, str_of(body), &report, &detail),
                     ERR_MALFORMED_WEBHOOK);
    if (!strstr(detail.text, said))
        fail_msg("\"%s\" does not say \"%s\"", detail.text, said);
}

#define CAPTURE(object) event_of("payment_intent.succeeded", object)

static void what_is_wrong_in_an_event_is_named(void **state)
{
    (void)state;
    assert_malformed("[]", "the body");
    assert_malformed("{\"object\":\"charge\"}", "no event");
    assert_malformed("{\"object\":\"event\",\"id\":\"evt_1\"}", "type");
    assert_malformed("{\"object\":\"event\",\"type\":\"x\"}", "id");
    assert_malformed(
        "{\"object\":\"event\",\"type\":\"payment_intent.succeeded\",\"id\":\"evt_1\"}",
        "data.object");
    assert_malformed("{\"object\":\"event\",\"type\":\"payment_intent.succeeded\",\"id\":\"evt_1\","
                     "\"data\":{\"object\":{}}}",
                     "created");
    assert_malformed("{\"object\":\"event\",\"type\":\"payment_intent.succeeded\",\"id\":\"evt_1\","
                     "\"created\":0,\"data\":{\"object\":" INTENT(",\"amount_received\":1") "}}",
                     "created");
    assert_malformed(CAPTURE("{\"id\":\"\",\"amount_received\":1,\"currency\":\"inr\"}"), "id");
    assert_malformed(CAPTURE("{\"id\":\"pi/1\",\"amount_received\":1,\"currency\":\"inr\"}"), "id");
    assert_malformed(CAPTURE("{\"id\":\"pi_1\",\"amount_received\":1}"), "currency");
    assert_malformed(CAPTURE("{\"id\":\"pi_1\",\"amount_received\":1,\"currency\":\"zzz\"}"),
                     "currency");
    assert_malformed(CAPTURE("{\"id\":\"pi_1\",\"amount_received\":1,\"currency\":\"inrr\"}"),
                     "currency");
    static const char *const amounts[] = {
        "0", "-1", "1.5", "1.0", "\"1\"", "null", "9007199254740992"};
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        char object[128];
        snprintf(object, sizeof object,
                 "{\"id\":\"pi_1\",\"amount_received\":%s,\"currency\":\"inr\"}", amounts[i]);
        assert_malformed(CAPTURE(object), "amount_received");
    }
    assert_malformed(event_of("refund.created", REFUND_OBJECT("done", "")), "status");
    assert_malformed(event_of("refund.created", "17"), "data.object");
}

/* ---- requests ---- */

static psp_checkout_t checkout_of(int64_t amount, const char *currency)
{
    psp_checkout_t checkout = {.payment_id = uuid_of(PAYMENT),
                               .order_id = uuid_of(ORDER),
                               .attempt_id = uuid_of(ATTEMPT),
                               .amount = amount,
                               .method = "CARD",
                               .return_url = "https://shop.example/thanks",
                               .expires_at_us = (NOW_S + 3600) * SECOND_US,
                               .now_us = NOW_S * SECOND_US,
                               .public_url = "https://pay.example"};
    snprintf(checkout.currency, sizeof checkout.currency, "%s", currency);
    return checkout;
}

static const char *header_named(const http_client_request_t *request, const char *name)
{
    for (int i = 0; i < request->header_count; i++)
        if (strncasecmp(request->headers[i], name, strlen(name)) == 0 &&
            request->headers[i][strlen(name)] == ':')
            return request->headers[i] + strlen(name) + 2;
    return NULL;
}

/* The official library's request of this kind. */
static const json_t *official(const json_t *file, const char *method, const char *target)
{
    size_t i;
    json_t *request;
    json_array_foreach(
        json_object_get(file, "requests"), i,
        request) if (strcmp(json_string_value(json_object_get(request, "method")), method) == 0 &&
                     strncmp(json_string_value(json_object_get(request, "target")), target,
                             strlen(target)) == 0) return request;
    fail_msg("%s %s", method, target);
    return NULL;
}

/* The same method, headers and place, and every field that the library's has. */
static void assert_as_official(const http_client_request_t *request, const char *method,
                               const char *target)
{
    json_t *file = load_vectors("stripe.json");
    const json_t *theirs = official(file, method, target);
    json_t *headers = json_object_get(theirs, "headers"), *value;
    const char *name;
    char url[256];
    assert_string_equal(request->method, method);
    snprintf(url, sizeof url, "https://api.stripe.com%s", target);
    assert_int_equal(strncmp(request->url, url, strlen(url)), 0);
    json_object_foreach(headers, name, value)
    {
        const char *ours = header_named(request, name);
        if (!ours && strcmp(method, "GET") == 0 && strcmp(name, "Content-Type") == 0)
            continue; /* of no body */
        assert_non_null(ours);
        if (strcmp(name, "Idempotency-Key") != 0)
            assert_string_equal(ours, json_string_value(value));
    }
    str_t rest = str_of(json_string_value(json_object_get(theirs, "body")));
    str_t ours = {request->body.data, (uint32_t)request->body.size};
    form_field_t field;
    while (form_next(&rest, &field)) {
        char named[128];
        buf_t found = {0};
        str_copy(field.name, named, sizeof named);
        if (!form_get(ours, named, &found))
            fail_msg("%s", named);
        buf_free(&found);
    }
    json_decref(file);
}

static void a_checkout_is_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    psp_checkout_t checkout = checkout_of(49900, "INR");
    http_client_request_t request;
    snprintf(checkout.customer.email, sizeof checkout.customer.email, "a+b@example.com");
    psp_checkout_request(stripe(), &account, &checkout, &request);
    assert_as_official(&request, "POST", "/v1/checkout/sessions");
    assert_string_equal(request.url, "https://api.stripe.com/v1/checkout/sessions");
    assert_string_equal(header_named(&request, "Idempotency-Key"), ATTEMPT);
    assert_string_equal(
        request.body.data,
        "mode=payment&client_reference_id=" PAYMENT
        "&success_url=https%3A%2F%2Fpay.example%2Fcheckout%2F" PAYMENT
        "%2Freturn&cancel_url=https%3A%2F%2Fpay.example%2Fcheckout%2F" PAYMENT
        "%2Freturn&expires_at=1760003600&adaptive_pricing%5Benabled%5D=false"
        "&customer_email=a%2Bb%40example.com"
        "&line_items%5B0%5D%5Bquantity%5D=1"
        "&line_items%5B0%5D%5Bprice_data%5D%5Bcurrency%5D=inr"
        "&line_items%5B0%5D%5Bprice_data%5D%5Bunit_amount%5D=49900"
        "&line_items%5B0%5D%5Bprice_data%5D%5Bproduct_data%5D%5Bname%5D=Order+" ORDER
        "&metadata%5Bpayment_id%5D=" PAYMENT "&metadata%5Border_id%5D=" ORDER
        "&payment_intent_data%5Bcapture_method%5D=automatic"
        "&payment_intent_data%5Bmetadata%5D%5Bpayment_id%5D=" PAYMENT
        "&payment_intent_data%5Bmetadata%5D%5Border_id%5D=" ORDER);
    http_client_request_free(&request);
}

static void what_is_authorised_is_captured_whole_or_cancelled(void **state)
{
    (void)state;
    psp_authorization_t authorization = {.psp_ref = "pi_1", .amount = 100, .currency = "INR"};
    http_client_request_t request;
    assert_true(psp_takes_manual_capture(stripe(), &account));
    psp_capture_request(stripe(), &account, &authorization, &request);
    assert_string_equal(request.method, "POST");
    assert_string_equal(request.url, "https://api.stripe.com/v1/payment_intents/pi_1/capture");
    assert_string_equal(header_named(&request, "Content-Type"),
                        "application/x-www-form-urlencoded");
    assert_non_null(header_named(&request, "Authorization"));
    assert_null(header_named(&request, "Idempotency-Key")); /* an error would be kept for a day */
    assert_string_equal(request.body.data, "amount_to_capture=100");
    http_client_request_free(&request);
    psp_void_request(stripe(), &account, &authorization, &request);
    assert_string_equal(request.url, "https://api.stripe.com/v1/payment_intents/pi_1/cancel");
    assert_int_equal(request.body.size, 0);
    http_client_request_free(&request);
}

static void assert_field(const psp_checkout_t *checkout, const char *name, const char *expected)
{
    http_client_request_t request;
    char value[128];
    psp_checkout_request(stripe(), &account, checkout, &request);
    assert_true(form_copy((str_t){request.body.data, (uint32_t)request.body.size}, name, value,
                          sizeof value));
    assert_string_equal(value, expected);
    http_client_request_free(&request);
}

static void a_checkout_that_is_captured_by_hand_says_so(void **state)
{
    (void)state;
    psp_checkout_t checkout = checkout_of(49900, "INR");
    checkout.manual_capture = true;
    assert_field(&checkout, "payment_intent_data[capture_method]", "manual");
}

static void amounts_are_counted_as_stripe_counts_them(void **state)
{
    (void)state;
    static const struct {
        const char *currency;
        int64_t amount;
        const char *lower, *units;
    } amounts[] = {
        {"INR", 49900, "inr", "49900"},
        {"JPY", 120, "jpy", "120"},
        {"KWD", 12340, "kwd", "12340"},
        {"USD", INT64_C(9007199254740991), "usd", "9007199254740991"},
        {"ISK", 5, "isk", "500"},
        {"UGX", 7, "ugx", "700"},
        {"MGA", 45000, "mga", "450"},
        {"MGA", 45050, "mga", "450.50"}, /* for Stripe to refuse */
    };
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        const psp_checkout_t checkout = checkout_of(amounts[i].amount, amounts[i].currency);
        assert_field(&checkout, "line_items[0][price_data][currency]", amounts[i].lower);
        assert_field(&checkout, "line_items[0][price_data][unit_amount]", amounts[i].units);
    }
    static const struct {
        const char *said;
        int64_t amount;
    } reports[] = {{"\"amount_received\":120,\"currency\":\"jpy\"", 120},
                   {"\"amount_received\":12340,\"currency\":\"kwd\"", 12340},
                   {"\"amount_received\":500,\"currency\":\"isk\"", 5},
                   {"\"amount_received\":700,\"currency\":\"ugx\"", 7},
                   {"\"amount_received\":450,\"currency\":\"mga\"", 45000}};
    for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
        char object[256];
        snprintf(object, sizeof object, "{\"id\":\"pi_1\",%s," METADATA "}", reports[i].said);
        assert_int_equal(report_of(CAPTURE(object)).amount, reports[i].amount);
    }
    assert_malformed(CAPTURE("{\"id\":\"pi_1\",\"amount_received\":550,\"currency\":\"isk\"}"),
                     "amount_received");
    assert_malformed(
        CAPTURE("{\"id\":\"pi_1\",\"amount_received\":9007199254740991,\"currency\":\"mga\"}"),
        "amount_received");
}

static void a_session_ends_with_its_order_within_stripes_bounds(void **state)
{
    (void)state;
    psp_checkout_t checkout = checkout_of(1, "INR");
    assert_field(&checkout, "expires_at", "1760003600");
    checkout.expires_at_us = (NOW_S + 900) * SECOND_US;
    assert_field(&checkout, "expires_at", "1760002100");
    checkout.now_us += 60 * SECOND_US; /* sent again under the same key: the same */
    assert_field(&checkout, "expires_at", "1760002100");
    checkout.expires_at_us = (NOW_S + 200000) * SECOND_US;
    assert_field(&checkout, "expires_at", "1760086340");
    checkout.attempt_id = uuid_of("0190a0b1-c2d3-4e4f-8a5b-6c7d8e9f0a4b"); /* tells no time */
    assert_field(&checkout, "expires_at", "1760086400");
}

static psp_payment_t payment_of(const char *ref)
{
    psp_payment_t payment = {.payment_id = uuid_of(PAYMENT), .order_id = uuid_of(ORDER)};
    snprintf(payment.psp_ref, sizeof payment.psp_ref, "%s", ref);
    return payment;
}

static psp_refund_t refund_of(const char *reason)
{
    psp_refund_t refund = {.refund_id = uuid_of(REFUND),
                           .payment_id = uuid_of(PAYMENT),
                           .order_id = uuid_of(ORDER),
                           .capture_ref = "pi_1",
                           .amount = 100,
                           .currency = "INR"};
    snprintf(refund.reason, sizeof refund.reason, "%s", reason);
    return refund;
}

static void a_status_is_asked_for_by_the_session(void **state)
{
    (void)state;
    http_client_request_t request;
    psp_payment_t payment = payment_of("cs_1");
    assert_true(psp_status_request(stripe(), &account, &payment, &request));
    assert_string_equal(request.method, "GET");
    assert_string_equal(request.url, "https://api.stripe.com/v1/checkout/sessions/cs_1"
                                     "?expand%5B0%5D=payment_intent.latest_charge");
    assert_string_equal(header_named(&request, "Authorization"), "Bearer sk_test_made_up");
    assert_string_equal(header_named(&request, "Stripe-Version"), "2026-10-28.endive");
    assert_int_equal(request.body.size, 0);
    static const char *const refs[] = {"", "cs/1", "cs_1?x", "cs 1", "../cs_1"};
    for (size_t i = 0; i < sizeof refs / sizeof refs[0]; i++) {
        payment = payment_of(refs[i]);
        assert_false(psp_status_request(stripe(), &account, &payment, &request));
    }
}

static void a_refund_is_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    http_client_request_t request;
    psp_refund_t refund = refund_of("too late & cold");
    psp_refund_request(stripe(), &account, &refund, &request);
    assert_as_official(&request, "POST", "/v1/refunds");
    assert_string_equal(header_named(&request, "Idempotency-Key"), REFUND);
    assert_string_equal(request.body.data,
                        "payment_intent=pi_1&amount=100&metadata%5Brefund_id%5D=" REFUND
                        "&metadata%5Bpayment_id%5D=" PAYMENT "&metadata%5Border_id%5D=" ORDER
                        "&metadata%5Breason%5D=too+late+%26+cold");
    http_client_request_free(&request);
    assert_true(psp_refund_status_request(stripe(), &account, &refund, &request));
    assert_string_equal(request.method, "GET");
    assert_string_equal(request.url,
                        "https://api.stripe.com/v1/refunds?payment_intent=pi_1&limit=100");
}

/* ---- answers to checkouts ---- */

static psp_checkout_answer_t answer_to(err_t err, int status, const char *body)
{
    http_client_response_t response = {.err = err, .status = status};
    psp_checkout_answer_t answer;
    buf_add_text(&response.body, body);
    psp_checkout_read(stripe(), &response, &answer);
    buf_free(&response.body);
    return answer;
}

static void an_open_session_is_read(void **state)
{
    (void)state;
    const psp_checkout_answer_t answer = answer_to(
        ERR_OK, 200,
        "{\"id\":\"cs_test_a1\",\"object\":\"checkout.session\",\"status\":\"open\","
        "\"payment_intent\":null,\"url\":\"https://checkout.stripe.com/c/pay/cs_test_a1#f\"}");
    assert_int_equal(answer.outcome, PSP_CHECKOUT_OPEN);
    assert_int_equal(answer.fault, PSP_FAULT_NONE);
    assert_string_equal(answer.psp_ref, "cs_test_a1");
    assert_string_equal(answer.checkout_url, "https://checkout.stripe.com/c/pay/cs_test_a1#f");
    assert_string_equal(answer.page_data, "");
}

static void each_error_is_somebodys_fault(void **state)
{
    (void)state;
    static const struct {
        err_t err;
        int status;
        const char *body;
        psp_checkout_outcome_t outcome;
        psp_fault_t fault;
        const char *reason;
    } errors[] = {
        {ERR_HTTP_UNREACHABLE, 0, "", PSP_CHECKOUT_REFUSED, PSP_FAULT_NETWORK, "reached"},
        {ERR_HTTP_TIMEOUT, 0, "", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_NETWORK, "in time"},
        {ERR_TOO_LARGE, 0, "", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "too long"},
        {ERR_OK, 400,
         "{\"error\":{\"type\":\"invalid_request_error\",\"param\":\"customer_email\",\"message\":"
         "\"Invalid email address\"}}",
         PSP_CHECKOUT_REFUSED, PSP_FAULT_CUSTOMER, "HTTP 400: Invalid email address"},
        {ERR_OK, 400,
         "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"amount_too_small\",\"message\":"
         "\"Too small\"}}",
         PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT, "HTTP 400: Too small"},
        {ERR_OK, 401, "{\"error\":{\"message\":\"Invalid API Key provided: sk_test_****5678\"}}",
         PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT, "HTTP 401"},
        {ERR_OK, 402, "{\"error\":{\"type\":\"card_error\",\"message\":\"Declined\"}}",
         PSP_CHECKOUT_REFUSED, PSP_FAULT_CUSTOMER, "HTTP 402: Declined"},
        {ERR_OK, 403, "{}", PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT, "HTTP 403"},
        {ERR_OK, 409, "{\"error\":{\"type\":\"idempotency_error\"}}", PSP_CHECKOUT_UNKNOWN,
         PSP_FAULT_MERCHANT, "HTTP 409"},
        {ERR_OK, 400, "{\"error\":{\"type\":\"idempotency_error\",\"message\":\"Keys\"}}",
         PSP_CHECKOUT_UNKNOWN, PSP_FAULT_MERCHANT, "HTTP 400: Keys"},
        {ERR_OK, 429, "{\"error\":{\"code\":\"rate_limit\",\"message\":\"Slow\"}}",
         PSP_CHECKOUT_REFUSED, PSP_FAULT_LIMIT, "HTTP 429: Slow"},
        {ERR_OK, 500, "{\"error\":{\"type\":\"api_error\",\"message\":\"Oh\"}}",
         PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "HTTP 500: Oh"},
        {ERR_OK, 503, "<html>", PSP_CHECKOUT_REFUSED, PSP_FAULT_PSP, "HTTP 503"},
        {ERR_OK, 200, "", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, "{\"id\":\"cs_1\",\"status\":\"open\",\"url\":null}", PSP_CHECKOUT_UNKNOWN,
         PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, "{\"id\":\"cs_1\",\"status\":\"open\",\"url\":\"javascript:alert(1)\"}",
         PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, "{\"id\":\"../x\",\"status\":\"open\",\"url\":\"https://s.example/\"}",
         PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, "{\"id\":\"cs_1\",\"status\":\"complete\",\"url\":\"https://s.example/\"}",
         PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
    };
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        const psp_checkout_answer_t answer =
            answer_to(errors[i].err, errors[i].status, errors[i].body);
        if (answer.outcome != errors[i].outcome || answer.fault != errors[i].fault ||
            !strstr(answer.reason, errors[i].reason) || strstr(answer.reason, "sk_test"))
            fail_msg("%d %s: %s, %s, %s", errors[i].status, errors[i].body,
                     psp_checkout_outcome_name(answer.outcome), psp_fault_name(answer.fault),
                     answer.reason);
    }
}

/* ---- answers about payments ---- */

static err_t read_status(int status, const char *body, psp_report_t *report, err_detail_t *detail)
{
    const psp_payment_t payment = {.payment_id = uuid_of(PAYMENT)};
    return psp_status_read(stripe(), &payment, status, str_of(body), report, detail);
}

static psp_report_t status_of(const char *body)
{
    psp_report_t report;
    err_detail_t detail = {{0}};
    if (read_status(200, body, &report, &detail) != ERR_OK)
        fail_msg("%s: %s", body, detail.text);
    assert_is(&report.payment_id, PAYMENT);
    assert_int_equal(strncmp(report.event_id, "status_", 7), 0);
    return report;
}

#define OPEN ",\"status\":\"open\",\"payment_status\":\"unpaid\",\"expires_at\":1760003600"
#define COMPLETE ",\"status\":\"complete\",\"payment_status\":\"paid\",\"expires_at\":1760003600"
#define EXPIRED ",\"status\":\"expired\",\"payment_status\":\"unpaid\",\"expires_at\":1760003600"
#define WITH(rest) ",\"payment_intent\":" INTENT(",\"created\":1759999000" rest)

static void a_paid_session_is_a_capture_of_its_intent(void **state)
{
    (void)state;
    const psp_report_t report = status_of(
        SESSION(COMPLETE WITH(",\"status\":\"succeeded\",\"amount_received\":49900,"
                              "\"latest_charge\":{\"id\":\"ch_1\",\"created\":1759999500}")));
    assert_int_equal(report.kind, PSP_FACT_CAPTURED);
    assert_string_equal(report.psp_ref, "pi_1"); /* as the webhook says */
    assert_is(&report.order_id, ORDER);
    assert_int_equal(report.amount, 49900);
    assert_string_equal(report.currency, "INR");
    assert_int_equal(report.occurred_at_us, 1759999500 * SECOND_US);
}

static void each_status_is_a_fact_or_none(void **state)
{
    (void)state;
    static const struct {
        const char *body, *ref;
        psp_fact_kind_t kind;
        int64_t at_s;
    } statuses[] = {
        {SESSION(OPEN ",\"payment_intent\":null"), "", PSP_FACT_NONE, 0},
        {SESSION(OPEN ",\"payment_intent\":\"pi_1\""), "", PSP_FACT_NONE, 0},
        {SESSION(OPEN WITH(",\"status\":\"requires_payment_method\",\"last_payment_error\":null")),
         "", PSP_FACT_NONE, 0},
        {SESSION(OPEN WITH(",\"status\":\"requires_action\"")), "", PSP_FACT_NONE, 0},
        {SESSION(COMPLETE WITH(",\"status\":\"processing\"")), "", PSP_FACT_NONE, 0},
        {SESSION(OPEN WITH(",\"status\":\"requires_payment_method\",\"last_payment_error\":"
                           "{\"message\":\"Declined\"}")),
         "pi_1", PSP_FACT_FAILED, 1759999000},
        {SESSION(COMPLETE WITH(",\"status\":\"requires_capture\",\"amount_capturable\":49900")),
         "pi_1", PSP_FACT_AUTHORIZED, 1759999000},
        {SESSION(COMPLETE WITH(",\"status\":\"canceled\"")), "pi_1", PSP_FACT_VOIDED, 1759999000},
        {SESSION(EXPIRED ",\"payment_intent\":null"), "cs_1", PSP_FACT_EXPIRED, 1760003600},
        {SESSION(EXPIRED WITH(",\"status\":\"requires_payment_method\"")), "cs_1", PSP_FACT_EXPIRED,
         1760003600},
        {SESSION(EXPIRED WITH(",\"status\":\"succeeded\",\"amount_received\":49900")), "pi_1",
         PSP_FACT_CAPTURED, 1759999000}, /* money beats everything */
    };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const psp_report_t report = status_of(statuses[i].body);
        if (report.kind != statuses[i].kind || strcmp(report.psp_ref, statuses[i].ref) != 0)
            fail_msg("%s: %s of %s", statuses[i].body, psp_fact_kind_name(report.kind),
                     report.psp_ref);
        assert_int_equal(report.occurred_at_us, statuses[i].at_s * SECOND_US);
    }
}

static void other_answers_are_no_status(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    assert_int_equal(read_status(404, "{}", &report, &detail), ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_NONE);
    assert_non_null(strstr(report.reason, "does not know"));
    static const int refusals[] = {400, 401, 429, 500, 503, 302};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        assert_int_equal(read_status(refusals[i], "{}", &report, &detail), ERR_MALFORMED_WEBHOOK);
    static const char *const nonsense[] = {
        "",
        "[]",
        "{}",
        "{\"client_reference_id\":\"" ORDER "\"}",
        SESSION(COMPLETE ",\"payment_intent\":{\"status\":\"succeeded\"}"),
        SESSION(COMPLETE ",\"payment_intent\":" INTENT(
            ",\"status\":\"succeeded\",\"amount_received\":49900")),
        SESSION(",\"status\":\"expired\"")};
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++)
        if (read_status(200, nonsense[i], &report, &detail) != ERR_MALFORMED_WEBHOOK)
            fail_msg("%s", nonsense[i]);
}

/* ---- answers about refunds ---- */

static err_t read_refund(int status, const char *body, psp_report_t *report, err_detail_t *detail)
{
    const psp_refund_t asked = {.refund_id = uuid_of(REFUND), .payment_id = uuid_of(PAYMENT)};
    return psp_refund_read(stripe(), &asked, status, str_of(body), report, detail);
}

static void a_refunds_answer_and_its_webhook_are_one_fact(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    assert_int_equal(read_refund(200, REFUND_OBJECT("succeeded", ""), &report, &detail), ERR_OK);
    const psp_report_t told = report_of(event_of("refund.updated", REFUND_OBJECT("succeeded", "")));
    assert_int_equal(report.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_int_equal(report.kind, told.kind);
    assert_string_equal(report.psp_ref, told.psp_ref);
    assert_is(&report.refund_id, REFUND);
    assert_is(&report.payment_id, PAYMENT);
    assert_int_equal(report.amount, 100);
    assert_int_equal(report.occurred_at_us, 1759990001 * SECOND_US);
    assert_int_equal(strncmp(report.event_id, "refund_", 7), 0);
}

static void a_refund_is_found_among_others(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
#define LIST(items) "{\"object\":\"list\",\"has_more\":false,\"data\":[" items "]}"
#define OTHER \
    "{\"id\":\"re_0\",\"amount\":1,\"currency\":\"inr\",\"status\":\"succeeded\",\"metadata\":{}}"
    assert_int_equal(
        read_refund(200, LIST(OTHER "," REFUND_OBJECT("pending", "")), &report, &detail), ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_REFUND_REQUESTED);
    assert_string_equal(report.psp_ref, "re_1");
    assert_int_equal(read_refund(200, OTHER, &report, &detail), ERR_MALFORMED_WEBHOOK);
    assert_int_equal(read_refund(200, "nonsense", &report, &detail), ERR_MALFORMED_WEBHOOK);
}

static void a_refund_that_is_not_in_the_whole_list_is_not_there(void **state)
{
    (void)state;
    static const char *const whole[] = {LIST(OTHER), LIST("")};
    psp_report_t report;
    err_detail_t detail;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(read_refund(200, whole[i], &report, &detail), ERR_OK);
        assert_int_equal(report.kind, PSP_FACT_NONE);
    }
    assert_int_equal(read_refund(200, "{\"has_more\":true,\"data\":[" OTHER "]}", &report, &detail),
                     ERR_MALFORMED_WEBHOOK);
    assert_int_equal(read_refund(200, "{\"has_more\":false,\"data\":{}}", &report, &detail),
                     ERR_MALFORMED_WEBHOOK);
}

static void a_refused_refund_has_failed_for_good(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    assert_int_equal(
        read_refund(400,
                    "{\"error\":{\"code\":\"charge_already_refunded\",\"message\":\"Gone\","
                    "\"type\":\"invalid_request_error\"}}",
                    &report, &detail),
        ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_REFUND_FAILED);
    assert_string_equal(report.reason, "HTTP 400: Gone");
    assert_string_equal(report.psp_ref, "refused-" REFUND);
    static const int later[] = {401, 403, 409, 429, 500, 503, 202};
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        assert_int_equal(read_refund(later[i], "{}", &report, &detail), ERR_MALFORMED_WEBHOOK);
    assert_int_equal(
        read_refund(400, "{\"error\":{\"type\":\"idempotency_error\"}}", &report, &detail),
        ERR_MALFORMED_WEBHOOK);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(signatures_of_the_official_library_are_judged_as_it_judges_them),
    cmocka_unit_test(any_configured_secret_signs_within_five_minutes),
    cmocka_unit_test(no_other_header_is_a_signature),
    cmocka_unit_test(a_capture_is_read_whole),
    cmocka_unit_test(each_event_is_a_fact_with_one_reference),
    cmocka_unit_test(disputes_are_told_by_their_status),
    cmocka_unit_test(why_it_failed_is_said_in_stripes_words),
    cmocka_unit_test(what_is_not_ours_counts_only_where_it_moves_money),
    cmocka_unit_test(unknown_events_are_empty),
    cmocka_unit_test(what_is_wrong_in_an_event_is_named),
    cmocka_unit_test(a_checkout_is_asked_for_as_the_official_library_does),
    cmocka_unit_test(what_is_authorised_is_captured_whole_or_cancelled),
    cmocka_unit_test(a_checkout_that_is_captured_by_hand_says_so),
    cmocka_unit_test(amounts_are_counted_as_stripe_counts_them),
    cmocka_unit_test(a_session_ends_with_its_order_within_stripes_bounds),
    cmocka_unit_test(a_status_is_asked_for_by_the_session),
    cmocka_unit_test(a_refund_is_asked_for_as_the_official_library_does),
    cmocka_unit_test(an_open_session_is_read),
    cmocka_unit_test(each_error_is_somebodys_fault),
    cmocka_unit_test(a_paid_session_is_a_capture_of_its_intent),
    cmocka_unit_test(each_status_is_a_fact_or_none),
    cmocka_unit_test(other_answers_are_no_status),
    cmocka_unit_test(a_refunds_answer_and_its_webhook_are_one_fact),
    cmocka_unit_test(a_refund_is_found_among_others),
    cmocka_unit_test(a_refund_that_is_not_in_the_whole_list_is_not_there),
    cmocka_unit_test(a_refused_refund_has_failed_for_good),
};
TEST_MAIN(tests)
