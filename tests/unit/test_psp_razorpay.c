/* test_psp_razorpay.c - Razorpay's own webhooks: whose signature fits, and what each event says. */
#include "tests/support/test_main.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/hmac.h"
#include "lib/payment/psp.h"
#include "tests/support/psp_verify.h"

#define ORDER "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1b"
#define PAYMENT "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a2b"
#define REFUND "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a3b"
#define NOTES "{\"payment_id\":\"" PAYMENT "\",\"order_id\":\"" ORDER "\"}"
#define SECRET "whsec-new"

static const psp_account_t account = {.base_url = "https://api.razorpay.com",
                                      .key_id = "rzp_live_1",
                                      .key_secret = "key-secret",
                                      .webhook_secrets = SECRET ", whsec-old"};

/* ---- requests ---- */

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

static void assert_is(const uuid_t *uuid, const char *text)
{
    char formatted[UUID_TEXT_SIZE];
    assert_string_equal(uuid_format(uuid, formatted), text);
}

/* ---- signature ---- */

static const char *vector_header(void *arg, const char *name)
{
    json_t *headers = arg;
    for (void *at = json_object_iter(headers); at; at = json_object_iter_next(headers, at))
        if (strcasecmp(json_object_iter_key(at), name) == 0)
            return json_string_value(json_object_iter_value(at));
    return NULL;
}

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
        psp_at(0), &receiver, true, vector_header, json_object_get(vector, "headers"),
        (str_t){json_string_value(body), (uint32_t)json_string_length(body)}, 0, &report, &detail);
    return err != ERR_SIGNATURE_INVALID;
}

static void signatures_of_the_official_library_are_judged_as_it_judges_them(void **state)
{
    (void)state;
    json_error_t error;
    json_t *file = json_load_file(TIFFIN_SOURCE_DIR "/tests/unit/vectors/razorpay.json", 0, &error);
    if (!file)
        fail_msg("%s", error.text);
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

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(signatures_of_the_official_library_are_judged_as_it_judges_them),
    cmocka_unit_test(any_configured_secret_signs_in_any_environment),
    cmocka_unit_test(no_other_text_is_a_signature),
    cmocka_unit_test(signature_is_looked_at_before_the_body),
    cmocka_unit_test(production_takes_no_unsigned_event),
    cmocka_unit_test(other_psps_do_not_take_the_format),
    cmocka_unit_test(a_capture_is_read_whole),
    cmocka_unit_test(each_event_is_a_fact_with_the_reference_of_its_entity),
    cmocka_unit_test(why_it_failed_is_said_in_the_psps_words),
    cmocka_unit_test(what_says_nothing_about_a_payment_is_empty),
    cmocka_unit_test(money_without_our_notes_is_reported_without_a_payment),
    cmocka_unit_test(what_is_wrong_in_an_event_is_named),
    cmocka_unit_test(an_event_without_an_id_is_refused),
};
TEST_MAIN(tests)
