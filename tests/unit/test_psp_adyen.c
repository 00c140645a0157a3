/* test_psp_adyen.c - Adyen: whose notifications are believed and what they say, what is asked for,
 * what the answers mean, and the page with the drop-in. */
#include "tests/support/test_main.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/hmac.h"
#include "lib/json_read.h"
#include "lib/payment/psp.h"

#define ORDER "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1b"
#define PAYMENT "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a2b"
#define REFUND "0190a0b1-c2d4-7e4f-8a5b-6c7d8e9f0a3b"
#define ATTEMPT "0199c82c-c000-7e4f-8a5b-6c7d8e9f0a4b" /* made at NOW_S */
#define KEY "55992DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
#define OTHER_KEY "00112233445566778899aabbccddeeff"
#define NOW_S INT64_C(1760000000)
#define SECOND_US INT64_C(1000000)

static const psp_account_t account = {.base_url = "https://checkout-test.adyen.com",
                                      .key_id = "test_CLIENT",
                                      .key_secret = "made_up",
                                      .webhook_secrets = OTHER_KEY ", dev-secret, " KEY,
                                      .account = "MadeUpECOM"};

static const psp_t *adyen(void)
{
    const psp_t *psp = psp_find(str_of("adyen"));
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

static const char *no_header(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return NULL;
}

/* ---- notifications ---- */

/* One item; NULL: the field is left out. */
typedef struct item {
    const char *code, *success, *reference, *original, *merchant_reference, *currency, *value,
        *more; /* further members, not signed */
} item_t;

static const item_t captured = {.code = "AUTHORISATION",
                                .success = "true",
                                .reference = "NC6HT9CRT65ZGN82",
                                .merchant_reference = PAYMENT,
                                .currency = "INR",
                                .value = "49900",
                                .more = ",\"eventDate\":\"2025-10-09T10:50:29+02:00\""};

static void sign(const item_t *item, unsigned char signature[48])
{
    char text[1024];
    uint8_t key[32], digest[HMAC_SHA256_SIZE];
    for (size_t i = 0; i < sizeof key; i++)
        assert_int_equal(sscanf(KEY + 2 * i, "%2hhx", &key[i]), 1);
    const int size = snprintf(text, sizeof text, "%s:%s:MadeUpECOM:%s:%s:%s:%s:%s", item->reference,
                              item->original ? item->original : "", item->merchant_reference,
                              item->value, item->currency, item->code, item->success);
    assert_true(size > 0 && (size_t)size < sizeof text);
    hmac_sha256((str_t){(const char *)key, sizeof key}, (str_t){text, (uint32_t)size}, digest);
    EVP_EncodeBlock(signature, digest, sizeof digest);
}

static void add_item(const item_t *item, const char *signature, buf_t *body)
{
    unsigned char own[48];
    sign(item, own);
    buf_printf(body,
               "{\"NotificationRequestItem\":{\"additionalData\":{\"hmacSignature\":\"%s\","
               "\"metadata.payment_id\":\"" ORDER "\"},\"amount\":{\"currency\":\"%s\","
               "\"value\":%s},\"eventCode\":\"%s\",\"merchantAccountCode\":\"MadeUpECOM\","
               "\"merchantReference\":\"%s\",\"pspReference\":\"%s\",\"success\":\"%s\"",
               signature ? signature : (const char *)own, item->currency, item->value, item->code,
               item->merchant_reference, item->reference, item->success);
    if (item->original)
        buf_printf(body, ",\"originalReference\":\"%s\"", item->original);
    buf_printf(body, "%s}}", item->more);
}

/* The caller's to free. */
static buf_t batch_of(const item_t *items, size_t count)
{
    buf_t body = {0};
    buf_add_text(&body, "{\"live\":\"false\", \"notificationItems\": [");
    for (size_t i = 0; i < count; i++) {
        buf_add_text(&body, i > 0 ? " , " : " ");
        add_item(&items[i], NULL, &body);
    }
    buf_add_text(&body, " ] }");
    return body;
}

static err_t verify(const psp_account_t *receiver, str_t body,
                    psp_webhook_t webhooks[PSP_WEBHOOKS_MAX], size_t *count, err_detail_t *detail)
{
    return psp_webhook_verify(adyen(), receiver, false, no_header, NULL, body, 0, webhooks, count,
                              detail);
}

static str_t str_of_buf(const buf_t *buf)
{
    return (str_t){buf->data, (uint32_t)buf->size};
}

/* What one item says, to whoever receives it and to whoever reads it later. */
static psp_report_t report_of(item_t item)
{
    psp_webhook_t webhooks[PSP_WEBHOOKS_MAX];
    psp_report_t stored;
    size_t count;
    err_detail_t detail = {{0}};
    buf_t body = batch_of(&item, 1);
    if (verify(&account, str_of_buf(&body), webhooks, &count, &detail) != ERR_OK)
        fail_msg("%s: %s", body.data, detail.text);
    assert_int_equal(count, 1);
    assert_int_equal(psp_webhook_read(adyen(), webhooks[0].body, &stored, &detail), ERR_OK);
    assert_memory_equal(&stored, &webhooks[0].report, sizeof stored);
    assert_false(stored.hint || stored.ref_is_per_payment);
    assert_true(uuid_is_nil(&stored.order_id));
    buf_free(&body);
    return stored;
}

static void signatures_of_the_official_library_are_judged_as_it_judges_them(void **state)
{
    (void)state;
    json_t *file = load_vectors("signatures.json"), *vector;
    size_t i, judged = 0, fitting = 0;
    json_array_foreach(file, i, vector)
    {
        if (strcmp(json_string_value(json_object_get(vector, "psp")), "adyen") != 0)
            continue;
        const json_t *body = json_object_get(vector, "body"),
                     *items = json_object_get(vector, "items_valid");
        const bool expected = json_is_true(json_object_get(vector, "signature_valid"));
        const psp_account_t receiver = {.webhook_secrets = json_string_value(
                                            json_array_get(json_object_get(vector, "secrets"), 0))};
        psp_webhook_t webhooks[PSP_WEBHOOKS_MAX];
        size_t count;
        err_detail_t detail;
        const err_t err =
            verify(&receiver, (str_t){json_string_value(body), (uint32_t)json_string_length(body)},
                   webhooks, &count, &detail);
        assert_int_equal(json_array_size(items), 1);
        assert_int_equal(json_is_true(json_array_get(items, 0)), expected);
        if (err != (expected ? ERR_OK : ERR_SIGNATURE_INVALID) || count != (size_t)expected)
            fail_msg("%s", json_string_value(json_object_get(vector, "id")));
        fitting += expected;
        judged++;
    }
    assert_int_equal(judged, 10);
    assert_int_equal(fitting, 7);
    json_decref(file);
}

static void every_signed_field_counts(void **state)
{
    (void)state;
    item_t others[7];
    unsigned char signature[48];
    for (size_t i = 0; i < 7; i++)
        others[i] = captured;
    others[0].reference = "NC6HT9CRT65ZGN83";
    others[1].original = "NC6HT9CRT65ZGN82";
    others[2].merchant_reference = ORDER;
    others[3].value = "49901";
    others[4].currency = "EUR";
    others[5].code = "CAPTURE";
    others[6].success = "false";
    sign(&captured, signature);
    for (size_t i = 0; i < 7; i++) {
        psp_webhook_t webhooks[PSP_WEBHOOKS_MAX];
        size_t count;
        err_detail_t detail;
        buf_t body = {0};
        buf_add_text(&body, "{\"notificationItems\":[");
        add_item(&others[i], (const char *)signature, &body);
        buf_add_text(&body, "]}");
        assert_int_equal(verify(&account, str_of_buf(&body), webhooks, &count, &detail),
                         ERR_SIGNATURE_INVALID);
        assert_int_equal(count, 0);
        buf_free(&body);
    }
}

static void any_configured_key_signs_and_nothing_else_does(void **state)
{
    (void)state;
    static const char *const wrong[] = {OTHER_KEY, "dev-secret", "zz", "5", ",,"};
    psp_webhook_t webhooks[PSP_WEBHOOKS_MAX];
    size_t count;
    err_detail_t detail;
    buf_t body = batch_of(&captured, 1);
    assert_int_equal(verify(&account, str_of_buf(&body), webhooks, &count, &detail), ERR_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const psp_account_t receiver = {.webhook_secrets = wrong[i]};
        assert_int_equal(verify(&receiver, str_of_buf(&body), webhooks, &count, &detail),
                         ERR_SIGNATURE_INVALID);
    }
    buf_free(&body);
    assert_int_equal(
        verify(&account, STR_LITERAL("{\"notificationItems\":[]}"), webhooks, &count, &detail),
        ERR_SIGNATURE_INVALID);
    assert_null(psp_signature_header(adyen()));
}

static void an_item_that_is_wrong_is_left_out_of_its_batch(void **state)
{
    (void)state;
    psp_webhook_t webhooks[PSP_WEBHOOKS_MAX];
    size_t count;
    err_detail_t detail;
    item_t failed = captured;
    failed.success = "false";
    failed.reference = "NC6HT9CRT65ZGN99";
    unsigned char signature[48];
    sign(&failed, signature);
    buf_t body = {0}, expected = {0};
    buf_add_text(&body, "{\"notificationItems\":[");
    add_item(&captured, (const char *)signature, &body); /* somebody else's signature */
    buf_add_text(&body, ",17,{}, ");
    add_item(&failed, NULL, &body);
    buf_add_text(&body, " ]}");
    add_item(&failed, NULL, &expected);
    assert_int_equal(verify(&account, str_of_buf(&body), webhooks, &count, &detail), ERR_OK);
    assert_int_equal(count, 1);
    assert_string_equal(webhooks[0].report.event_id, "AUTHORISATION_NC6HT9CRT65ZGN99_false");
    assert_true(str_equal(webhooks[0].body, str_of_buf(&expected)));
    buf_free(&body);
    buf_free(&expected);
}

static void a_batch_is_as_many_webhooks(void **state)
{
    (void)state;
    item_t items[PSP_WEBHOOKS_MAX + 1];
    char references[PSP_WEBHOOKS_MAX + 1][8];
    psp_webhook_t webhooks[PSP_WEBHOOKS_MAX];
    size_t count;
    err_detail_t detail;
    for (size_t i = 0; i <= PSP_WEBHOOKS_MAX; i++) {
        items[i] = captured;
        snprintf(references[i], sizeof references[i], "REF%zu", i);
        items[i].reference = references[i];
    }
    buf_t body = batch_of(items, PSP_WEBHOOKS_MAX);
    assert_int_equal(verify(&account, str_of_buf(&body), webhooks, &count, &detail), ERR_OK);
    assert_int_equal(count, PSP_WEBHOOKS_MAX);
    for (size_t i = 0; i < count; i++) {
        psp_report_t read;
        assert_string_equal(webhooks[i].report.psp_ref, references[i]);
        assert_int_equal(psp_webhook_read(adyen(), webhooks[i].body, &read, &detail), ERR_OK);
        assert_memory_equal(&read, &webhooks[i].report, sizeof read);
    }
    assert_int_equal(psp_webhook_read(adyen(), str_of_buf(&body), &webhooks[0].report, &detail),
                     ERR_MALFORMED_WEBHOOK); /* it is read item by item */
    buf_free(&body);
    body = batch_of(items, PSP_WEBHOOKS_MAX + 1);
    assert_int_equal(verify(&account, str_of_buf(&body), webhooks, &count, &detail),
                     ERR_MALFORMED_WEBHOOK);
    buf_free(&body);
}

static void a_capture_is_read_whole(void **state)
{
    (void)state;
    const psp_report_t report = report_of(captured);
    assert_string_equal(report.event_id, "AUTHORISATION_NC6HT9CRT65ZGN82_true");
    assert_int_equal(report.kind, PSP_FACT_CAPTURED);
    assert_is(&report.payment_id, PAYMENT); /* of what is signed, not of the metadata */
    assert_true(uuid_is_nil(&report.refund_id));
    assert_string_equal(report.psp_ref, "NC6HT9CRT65ZGN82");
    assert_int_equal(report.amount, 49900);
    assert_string_equal(report.currency, "INR");
    assert_int_equal(report.occurred_at_us, INT64_C(1759999829) * SECOND_US);
}

static void each_event_is_a_fact_or_none(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        psp_fact_kind_t succeeded, failed;
        bool of_original;
    } events[] = {
        {"AUTHORISATION", PSP_FACT_CAPTURED, PSP_FACT_FAILED, false},
        {"CAPTURE", PSP_FACT_CAPTURED, PSP_FACT_FAILED, true},
        {"CAPTURE_FAILED", PSP_FACT_FAILED, PSP_FACT_NONE, true},
        {"CANCELLATION", PSP_FACT_VOIDED, PSP_FACT_NONE, true},
        {"TECHNICAL_CANCEL", PSP_FACT_VOIDED, PSP_FACT_NONE, true},
        {"EXPIRE", PSP_FACT_VOIDED, PSP_FACT_NONE, true},
        {"OFFER_CLOSED", PSP_FACT_EXPIRED, PSP_FACT_NONE, false},
        {"REFUND", PSP_FACT_REFUND_SUCCEEDED, PSP_FACT_REFUND_FAILED, false},
        {"CANCEL_OR_REFUND", PSP_FACT_REFUND_SUCCEEDED, PSP_FACT_REFUND_FAILED, false},
        {"REFUND_FAILED", PSP_FACT_REFUND_FAILED, PSP_FACT_NONE, false},
        {"REFUNDED_REVERSED", PSP_FACT_REFUND_FAILED, PSP_FACT_NONE, false},
        {"NOTIFICATION_OF_CHARGEBACK", PSP_FACT_DISPUTE_OPENED, PSP_FACT_NONE, false},
        {"CHARGEBACK", PSP_FACT_DISPUTE_OPENED, PSP_FACT_NONE, false},
        {"CHARGEBACK_REVERSED", PSP_FACT_DISPUTE_WON, PSP_FACT_NONE, false},
        {"PREARBITRATION_WON", PSP_FACT_DISPUTE_WON, PSP_FACT_NONE, false},
        {"SECOND_CHARGEBACK", PSP_FACT_DISPUTE_LOST, PSP_FACT_NONE, false},
        {"PREARBITRATION_LOST", PSP_FACT_DISPUTE_LOST, PSP_FACT_NONE, false},
        {"REPORT_AVAILABLE", PSP_FACT_NONE, PSP_FACT_NONE, false},
        {"REQUEST_FOR_INFORMATION", PSP_FACT_NONE, PSP_FACT_NONE, false},
        {"AUTHORISATION_ADJUSTMENT", PSP_FACT_NONE, PSP_FACT_NONE, false},
        {"X", PSP_FACT_NONE, PSP_FACT_NONE, false},
    };
    for (size_t i = 0; i < 2 * (sizeof events / sizeof events[0]); i++) {
        const bool succeeded = i % 2 == 0;
        const psp_fact_kind_t kind = succeeded ? events[i / 2].succeeded : events[i / 2].failed;
        item_t item = captured;
        item.code = events[i / 2].code;
        item.success = succeeded ? "true" : "false";
        item.original = "ORIGINAL1";
        const psp_report_t report = report_of(item);
        if (report.kind != kind)
            fail_msg("%s %s: %s", item.code, item.success, psp_fact_kind_name(report.kind));
        assert_int_equal(psp_report_is_empty(&report), kind == PSP_FACT_NONE);
        assert_true(report.event_id[0]);
        if (kind != PSP_FACT_NONE)
            assert_string_equal(report.psp_ref,
                                events[i / 2].of_original ? "ORIGINAL1" : captured.reference);
    }
}

static void a_refund_names_its_payment_and_itself(void **state)
{
    (void)state;
    item_t item = captured;
    item.code = "REFUND";
    item.original = "NC6HT9CRT65ZGN82";
    item.reference = "RF6HT9CRT65ZGN82";
    item.merchant_reference = PAYMENT "-" REFUND;
    psp_report_t report = report_of(item);
    assert_int_equal(report.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_is(&report.payment_id, PAYMENT);
    assert_is(&report.refund_id, REFUND);
    assert_string_equal(report.psp_ref, "RF6HT9CRT65ZGN82");
    item.merchant_reference = PAYMENT; /* made by hand at Adyen */
    report = report_of(item);
    assert_is(&report.payment_id, PAYMENT);
    assert_true(uuid_is_nil(&report.refund_id));
    item.code = "CHARGEBACK";
    item.merchant_reference = PAYMENT "-" REFUND;
    report = report_of(item);
    assert_true(uuid_is_nil(&report.refund_id));
}

static void why_it_failed_is_said_in_adyens_words(void **state)
{
    (void)state;
    item_t item = captured;
    item.success = "false";
#define AT ",\"eventDate\":\"2025-10-09T08:50:29Z\""
    item.more = ",\"reason\":\"Not enough balance\"" AT;
    assert_string_equal(report_of(item).reason, "Not enough balance");
    item.more = ",\"reason\":\"null\"" AT;
    assert_string_equal(report_of(item).reason, "the PSP says that the payment failed");
    item.more = AT;
    assert_string_equal(report_of(item).reason, "the PSP says that the payment failed");
}

static void what_is_not_ours_counts_only_where_it_moves_money(void **state)
{
    (void)state;
    static const char *const foreign[] = {
        "ord_1", "", PAYMENT "-", PAYMENT "-" REFUND "x", PAYMENT "_" REFUND, "x-" REFUND};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        item_t item = captured;
        item.merchant_reference = foreign[i];
        psp_report_t report = report_of(item);
        assert_int_equal(report.kind, PSP_FACT_CAPTURED);
        assert_true(uuid_is_nil(&report.payment_id) && !psp_report_is_empty(&report));
        item.success = "false";
        report = report_of(item);
        assert_true(psp_report_is_empty(&report));
    }
    item_t check = captured; /* of a card, without money */
    check.value = "0";
    const psp_report_t report = report_of(check);
    assert_true(psp_report_is_empty(&report));
}

static void assert_malformed(item_t item, const char *said)
{
    psp_webhook_t webhooks[PSP_WEBHOOKS_MAX];
    size_t count;
    err_detail_t detail = {{0}};
    buf_t body = batch_of(&item, 1);
    assert_int_equal(verify(&account, str_of_buf(&body), webhooks, &count, &detail),
                     ERR_MALFORMED_WEBHOOK);
    assert_int_equal(count, 0);
    if (!strstr(detail.text, said))
        fail_msg("\"%s\" does not say \"%s\"", detail.text, said);
    buf_free(&body);
}

static void what_is_wrong_in_an_item_is_named(void **state)
{
    (void)state;
    item_t item = captured;
    static const char *const times[] = {"", ",\"eventDate\":17", ",\"eventDate\":\"yesterday\""};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        item.more = times[i];
        assert_malformed(item, "eventDate");
    }
    item = captured;
    item.success = "yes";
    assert_malformed(item, "success");
    item = captured;
    item.reference = "NC6/../T65";
    assert_malformed(item, "pspReference");
    item.reference = "";
    assert_malformed(item, "pspReference");
    item = captured;
    item.code = "CAPTURE"; /* without an originalReference */
    assert_malformed(item, "originalReference");
    item.code = "A B";
    assert_malformed(item, "eventCode");
    item = captured;
    item.value = "-1";
    assert_malformed(item, "amount.value");
    item.value = "9007199254740992";
    assert_malformed(item, "amount.value");
    item = captured;
    item.currency = "inr";
    assert_malformed(item, "currency");
    psp_report_t report;
    err_detail_t detail;
    assert_int_equal(psp_webhook_read(adyen(), STR_LITERAL("{\"NotificationRequestItem\":{}}"),
                                      &report, &detail),
                     ERR_MALFORMED_WEBHOOK);
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
                               .expires_at_us = (NOW_S + 900) * SECOND_US + 1234,
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

/* Every member that theirs has, of the same type and in the same order. */
static void assert_has_all(const json_t *ours, json_t *theirs)
{
    const char *name;
    json_t *value;
    json_object_foreach(theirs, name, value)
    {
        const json_t *found = json_object_get(ours, name);
        if (strcmp(name, "t") == 0)
            continue; /* a sample of metadata */
        if (!found || json_typeof(found) != json_typeof(value))
            fail_msg("%s", name);
        if (json_is_object(value))
            assert_has_all(found, value);
    }
}

static void assert_as_official(const http_client_request_t *request, const char *target)
{
    json_t *file = load_vectors("adyen.json"), *theirs, *ours, *value, *body;
    const char *name;
    size_t i;
    bool found = false;
    json_array_foreach(json_object_get(file, "requests"), i, theirs)
    {
        if (strcmp(json_string_value(json_object_get(theirs, "target")), target) != 0)
            continue;
        found = true;
        assert_string_equal(request->method, json_string_value(json_object_get(theirs, "method")));
        json_object_foreach(json_object_get(theirs, "headers"), name, value)
        {
            const char *header = header_named(request, name);
            assert_non_null(header);
            if (strcmp(name, "Idempotency-Key") != 0)
                assert_string_equal(header, json_string_value(value));
        }
        body = json_loads(json_string_value(json_object_get(theirs, "body")), 0, NULL);
        ours = json_read_object((str_t){request->body.data, (uint32_t)request->body.size}, NULL);
        assert_non_null(body);
        assert_non_null(ours);
        assert_has_all(ours, body);
        json_decref(body);
        json_decref(ours);
    }
    assert_true(found);
    json_decref(file);
}

static void a_session_is_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    psp_checkout_t checkout = checkout_of(49900, "INR");
    http_client_request_t request;
    snprintf(checkout.customer.email, sizeof checkout.customer.email, "a@example.com");
    psp_checkout_request(adyen(), &account, &checkout, &request);
    assert_as_official(&request, "/v72/sessions");
    assert_string_equal(request.url, "https://checkout-test.adyen.com/v72/sessions");
    assert_string_equal(header_named(&request, "Idempotency-Key"), ATTEMPT);
    assert_string_equal(
        request.body.data,
        "{\"amount\":{\"currency\":\"INR\",\"value\":49900},\"countryCode\":\"IN\","
        "\"merchantAccount\":\"MadeUpECOM\",\"metadata\":{\"payment_id\":\"" PAYMENT
        "\",\"order_id\":\"" ORDER "\"},\"reference\":\"" PAYMENT
        "\",\"returnUrl\":\"https://pay.example/checkout/" PAYMENT
        "/return\",\"expiresAt\":\"2025-10-09T09:08:20Z\",\"captureDelayHours\":0,"
        "\"authenticationData\":{\"threeDSRequestData\":{\"nativeThreeDS\":\"disabled\"}},"
        "\"shopperEmail\":\"a@example.com\"}");
    http_client_request_free(&request);
    checkout.expires_at_us = (NOW_S + 200000) * SECOND_US; /* Adyen has a day at most */
    psp_checkout_request(adyen(), &account, &checkout, &request);
    assert_non_null(strstr(request.body.data, "\"expiresAt\":\"2025-10-10T08:52:20Z\""));
    http_client_request_free(&request);
}

static void live_hosts_have_the_api_below_checkout(void **state)
{
    (void)state;
    const psp_checkout_t checkout = checkout_of(1, "INR");
    psp_account_t live = account;
    http_client_request_t request;
    live.base_url = "https://1797a841fbb37ca7-Shop-checkout-live.adyenpayments.com";
    psp_checkout_request(adyen(), &live, &checkout, &request);
    assert_string_equal(
        request.url,
        "https://1797a841fbb37ca7-Shop-checkout-live.adyenpayments.com/checkout/v72/sessions");
    http_client_request_free(&request);
    live.base_url = "http://127.0.0.1:8081/adyen";
    psp_checkout_request(adyen(), &live, &checkout, &request);
    assert_string_equal(request.url, "http://127.0.0.1:8081/adyen/v72/sessions");
    http_client_request_free(&request);
}

static void amounts_are_counted_as_adyen_counts_them(void **state)
{
    (void)state;
    static const struct {
        const char *currency;
        int64_t amount;
        const char *units, *country;
    } amounts[] = {
        {"INR", 49900, "49900", "IN"},
        {"JPY", 120, "120", "JP"},
        {"KWD", 12345, "12345", "KW"},
        {"EUR", INT64_C(9007199254740991), "9007199254740991", "NL"},
        {"ISK", 5, "500", "IS"},
        {"CLP", 7, "700", "CL"},
        {"IDR", 45000, "450", "ID"},
        {"XOF", 9, "9", "SN"},
        {"CVE", 45050, "450.50", "CV"}, /* for Adyen to refuse */
    };
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        const psp_checkout_t checkout = checkout_of(amounts[i].amount, amounts[i].currency);
        http_client_request_t request;
        char expected[128];
        psp_checkout_request(adyen(), &account, &checkout, &request);
        snprintf(expected, sizeof expected,
                 "{\"amount\":{\"currency\":\"%s\",\"value\":%s},\"countryCode\":\"%s\",",
                 amounts[i].currency, amounts[i].units, amounts[i].country);
        assert_int_equal(strncmp(request.body.data, expected, strlen(expected)), 0);
        http_client_request_free(&request);
        if (strchr(amounts[i].units, '.'))
            continue;
        item_t item = captured;
        item.currency = amounts[i].currency;
        item.value = amounts[i].units;
        assert_int_equal(report_of(item).amount, amounts[i].amount);
    }
    item_t item = captured;
    item.currency = "ISK";
    item.value = "550";
    assert_malformed(item, "amount.value");
}

static psp_payment_t payment_of(const char *ref, const char *returned)
{
    psp_payment_t payment = {.payment_id = uuid_of(PAYMENT), .order_id = uuid_of(ORDER)};
    snprintf(payment.psp_ref, sizeof payment.psp_ref, "%s", ref);
    snprintf(payment.returned, sizeof payment.returned, "%s", returned);
    return payment;
}

static void a_status_is_asked_for_with_what_the_customer_brought(void **state)
{
    (void)state;
    http_client_request_t request;
    psp_payment_t payment = payment_of("CS1", "sessionId=CS1&sessionResult=X3XtfGC7%21H4sI%2B%2F");
    assert_true(psp_status_request(adyen(), &account, &payment, &request));
    assert_string_equal(request.method, "GET");
    assert_string_equal(request.url, "https://checkout-test.adyen.com/v72/sessions/CS1"
                                     "?sessionResult=X3XtfGC7%21H4sI%2B%2F");
    assert_string_equal(header_named(&request, "X-API-Key"), "made_up");
    assert_int_equal(request.body.size, 0);
    payment = payment_of("CS1", "sessionId=CS1&redirectResult=X6XtfGC3%21Y%22");
    assert_true(psp_status_request(adyen(), &account, &payment, &request));
    assert_string_equal(request.method, "POST");
    assert_string_equal(request.url, "https://checkout-test.adyen.com/v72/payments/details");
    assert_string_equal(header_named(&request, "Content-Type"), "application/json");
    assert_string_equal(request.body.data, "{\"details\":{\"redirectResult\":\"X6XtfGC3!Y\\\"\"}}");
    http_client_request_free(&request);
    static const char *const nothing[] = {"", "sessionId=CS1", "sessionResult=", "redirectResult="};
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        payment = payment_of("CS1", nothing[i]);
        assert_false(psp_status_request(adyen(), &account, &payment, &request));
    }
    static const char *const refs[] = {"", "CS/1", "CS1?x", "../CS1"};
    for (size_t i = 0; i < sizeof refs / sizeof refs[0]; i++) {
        payment = payment_of(refs[i], "sessionResult=X");
        assert_false(psp_status_request(adyen(), &account, &payment, &request));
    }
    char longest[sizeof payment.returned];
    snprintf(longest, sizeof longest, "sessionResult=%0*d", (int)sizeof longest - 15, 0);
    payment = payment_of("CS1", longest); /* no room for it in a URL */
    assert_false(psp_status_request(adyen(), &account, &payment, &request));
}

static psp_refund_t refund_of(const char *capture_ref)
{
    psp_refund_t refund = {.refund_id = uuid_of(REFUND),
                           .payment_id = uuid_of(PAYMENT),
                           .order_id = uuid_of(ORDER),
                           .amount = 100,
                           .currency = "INR"};
    snprintf(refund.capture_ref, sizeof refund.capture_ref, "%s", capture_ref);
    return refund;
}

static void a_refund_is_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    http_client_request_t request;
    psp_refund_t refund = refund_of("PSP1");
    psp_refund_request(adyen(), &account, &refund, &request);
    assert_as_official(&request, "/v72/payments/PSP1/refunds");
    assert_string_equal(request.url, "https://checkout-test.adyen.com/v72/payments/PSP1/refunds");
    assert_string_equal(header_named(&request, "Idempotency-Key"), REFUND);
    assert_string_equal(request.body.data,
                        "{\"amount\":{\"currency\":\"INR\",\"value\":100},\"merchantAccount\":"
                        "\"MadeUpECOM\",\"reference\":\"" PAYMENT "-" REFUND "\"}");
    http_client_request_free(&request);
    assert_false(psp_refund_status_request(adyen(), &account, &refund, &request));
    refund = refund_of("../x?y");
    psp_refund_request(adyen(), &account, &refund, &request);
    assert_string_equal(request.url,
                        "https://checkout-test.adyen.com/v72/payments/..%2Fx%3Fy/refunds");
    http_client_request_free(&request);
}

/* ---- answers to checkouts ---- */

static psp_checkout_answer_t answer_to(err_t err, int status, const char *body)
{
    http_client_response_t response = {.err = err, .status = status};
    psp_checkout_answer_t answer;
    buf_add_text(&response.body, body);
    psp_checkout_read(adyen(), &response, &answer);
    buf_free(&response.body);
    return answer;
}

static void an_open_session_is_paid_on_our_page(void **state)
{
    (void)state;
    const psp_checkout_answer_t answer =
        answer_to(ERR_OK, 201,
                  "{\"id\":\"CS451F2AB1ED897A94\",\"mode\":\"embedded\",\"reference\":\"" PAYMENT
                  "\",\"sessionData\":\"Ab02b4c0!BQABAgBfYI29/+=\"}");
    assert_int_equal(answer.outcome, PSP_CHECKOUT_OPEN);
    assert_int_equal(answer.fault, PSP_FAULT_NONE);
    assert_string_equal(answer.psp_ref, "CS451F2AB1ED897A94");
    assert_string_equal(answer.checkout_url, "");
    assert_string_equal(answer.page_data, "CS451F2AB1ED897A94 Ab02b4c0!BQABAgBfYI29/+=");
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
        {ERR_OK, 400, "{\"errorCode\":\"702\",\"message\":\"Bad\"}", PSP_CHECKOUT_REFUSED,
         PSP_FAULT_MERCHANT, "HTTP 400: Bad"},
        {ERR_OK, 401,
         "{\"errorCode\":\"000\",\"errorType\":\"security\",\"message\":\"HTTP Status Response - "
         "Unauthorized\"}",
         PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT, "HTTP 401"},
        {ERR_OK, 403, "{\"errorCode\":\"901\",\"message\":\"Invalid Merchant Account\"}",
         PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT, "HTTP 403: Invalid Merchant Account"},
        {ERR_OK, 422,
         "{\"errorCode\":\"14_030\",\"errorType\":\"validation\",\"message\":\"Bad amount\"}",
         PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT, "HTTP 422: Bad amount"},
        {ERR_OK, 422,
         "{\"errorCode\":\"15_016\",\"message\":\"Invalid shopperEmail\",\"status\":422}",
         PSP_CHECKOUT_REFUSED, PSP_FAULT_CUSTOMER, "HTTP 422: Invalid shopperEmail"},
        {ERR_OK, 422,
         "{\"errorCode\":\"704\",\"message\":\"request already processed or in "
         "progress\"}",
         PSP_CHECKOUT_UNKNOWN, PSP_FAULT_MERCHANT, "HTTP 422"},
        {ERR_OK, 429, "{}", PSP_CHECKOUT_REFUSED, PSP_FAULT_LIMIT, "HTTP 429"},
        {ERR_OK, 500, "{\"errorCode\":\"905\",\"message\":\"Oh\"}", PSP_CHECKOUT_UNKNOWN,
         PSP_FAULT_PSP, "HTTP 500: Oh"},
        {ERR_OK, 503, "<html>", PSP_CHECKOUT_REFUSED, PSP_FAULT_PSP, "HTTP 503"},
        {ERR_OK, 201, "", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 201, "{\"id\":\"CS1\"}", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 201, "{\"id\":\"CS 1\",\"sessionData\":\"x\"}", PSP_CHECKOUT_UNKNOWN,
         PSP_FAULT_PSP, "understood"},
        {ERR_OK, 201, "{\"id\":\"CS1\",\"sessionData\":\"x y\"}", PSP_CHECKOUT_UNKNOWN,
         PSP_FAULT_PSP, "understood"},
        {ERR_OK, 201, "{\"id\":\"CS1\",\"sessionData\":\"\"}", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP,
         "understood"},
    };
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        const psp_checkout_answer_t answer =
            answer_to(errors[i].err, errors[i].status, errors[i].body);
        if (answer.outcome != errors[i].outcome || answer.fault != errors[i].fault ||
            !strstr(answer.reason, errors[i].reason))
            fail_msg("%d %s: %s, %s, %s", errors[i].status, errors[i].body,
                     psp_checkout_outcome_name(answer.outcome), psp_fault_name(answer.fault),
                     answer.reason);
    }
    buf_t longest = {0}; /* more than a page can hold */
    buf_printf(&longest, "{\"id\":\"CS1\",\"sessionData\":\"%06141d\"}", 0);
    assert_int_equal(answer_to(ERR_OK, 201, longest.data).outcome, PSP_CHECKOUT_UNKNOWN);
    buf_free(&longest);
    buf_printf(&longest, "{\"id\":\"CS1\",\"sessionData\":\"%06140d\"}", 0);
    assert_int_equal(answer_to(ERR_OK, 201, longest.data).outcome, PSP_CHECKOUT_OPEN);
    buf_free(&longest);
}

/* ---- answers about payments ---- */

static err_t read_status(int status, const char *body, psp_report_t *report, err_detail_t *detail)
{
    const psp_payment_t payment = {.payment_id = uuid_of(PAYMENT)};
    return psp_status_read(adyen(), &payment, status, str_of(body), report, detail);
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

#define SESSION(status, payments)                                        \
    "{\"id\":\"CS1\",\"reference\":\"" PAYMENT "\",\"status\":\"" status \
    "\",\"payments\":[" payments "]}"
#define PART(result)                                                                  \
    "{\"amount\":{\"currency\":\"INR\",\"value\":49900},\"paymentMethod\":{\"type\":" \
    "\"scheme\"},\"pspReference\":\"" result "1\",\"resultCode\":\"" result "\"}"
#define DETAILS(result, rest)                                         \
    "{\"resultCode\":\"" result "\",\"merchantReference\":\"" PAYMENT \
    "\",\"pspReference\":\"" result "1\"" rest "}"
#define AMOUNT ",\"amount\":{\"currency\":\"INR\",\"value\":49900}"

static void each_status_is_a_fact_or_none(void **state)
{
    (void)state;
    static const struct {
        const char *body, *ref;
        psp_fact_kind_t kind;
    } statuses[] = {
        {SESSION("completed", PART("Authorised")), "Authorised1", PSP_FACT_CAPTURED},
        {SESSION("completed", PART("Refused") "," PART("Authorised")), "Authorised1",
         PSP_FACT_CAPTURED},
        {SESSION("refused", PART("Refused")), "Refused1", PSP_FACT_FAILED},
        {SESSION("active", ""), "", PSP_FACT_NONE},
        {SESSION("paymentPending", PART("Pending")), "", PSP_FACT_NONE},
        {SESSION("refused", ""), "", PSP_FACT_NONE},
        {SESSION("canceled", ""), "", PSP_FACT_NONE},
        {SESSION("expired", ""), "", PSP_FACT_NONE},
        {DETAILS("Authorised", AMOUNT), "Authorised1", PSP_FACT_CAPTURED},
        {DETAILS("Refused", AMOUNT), "Refused1", PSP_FACT_FAILED},
        {DETAILS("Error", AMOUNT), "Error1", PSP_FACT_FAILED},
        {DETAILS("Cancelled", AMOUNT), "Cancelled1", PSP_FACT_FAILED},
        {DETAILS("Refused", ""), "", PSP_FACT_NONE}, /* the webhook says how much */
        {DETAILS("Received", ""), "", PSP_FACT_NONE},
        {DETAILS("Pending", AMOUNT), "", PSP_FACT_NONE},
    };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const psp_report_t report = status_of(statuses[i].body);
        if (report.kind != statuses[i].kind || strcmp(report.psp_ref, statuses[i].ref) != 0)
            fail_msg("%s: %s of %s", statuses[i].body, psp_fact_kind_name(report.kind),
                     report.psp_ref);
        if (report.kind == PSP_FACT_NONE)
            continue;
        assert_int_equal(report.amount, 49900);
        assert_string_equal(report.currency, "INR");
        assert_int_equal(report.occurred_at_us, 0);
    }
    assert_string_equal(
        status_of(DETAILS("Refused", AMOUNT ",\"refusalReason\":\"Blocked Card\"")).reason,
        "Blocked Card");
}

static void other_answers_are_no_status(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    static const int unknown[] = {400, 404, 422};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_int_equal(read_status(unknown[i], "{}", &report, &detail), ERR_OK);
        assert_int_equal(report.kind, PSP_FACT_NONE);
    }
    static const int refusals[] = {401, 403, 429, 500, 503, 302};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        assert_int_equal(read_status(refusals[i], "{}", &report, &detail), ERR_MALFORMED_WEBHOOK);
    static const char *const nonsense[] = {
        "", "[]", "{}", "{\"reference\":\"" PAYMENT "\"}",
        "{\"reference\":\"" ORDER "\",\"status\":\"active\"}",
        /* what the customer of another payment brought */
        "{\"resultCode\":\"Authorised\",\"merchantReference\":\"" ORDER
        "\",\"pspReference\":\"X\"" AMOUNT "}",
        "{\"resultCode\":\"Authorised\",\"reference\":\"" PAYMENT "\",\"pspReference\":\"X\"" AMOUNT
        "}",
        DETAILS("Authorised", ""), DETAILS("Authorised", ",\"amount\":17"),
        SESSION("completed", "{\"resultCode\":\"Authorised\"}")};
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++)
        if (read_status(200, nonsense[i], &report, &detail) != ERR_MALFORMED_WEBHOOK)
            fail_msg("%s", nonsense[i]);
}

/* ---- answers about refunds ---- */

static err_t read_refund(int status, const char *body, psp_report_t *report, err_detail_t *detail)
{
    const psp_refund_t asked = refund_of("PSP1");
    return psp_refund_read(adyen(), &asked, status, str_of(body), report, detail);
}

#define RECEIVED(reference, status)                                                          \
    "{\"merchantAccount\":\"MadeUpECOM\",\"paymentPspReference\":\"PSP1\",\"pspReference\":" \
    "\"RF6HT9CRT65ZGN82\",\"reference\":\"" reference "\",\"status\":\"" status              \
    "\",\"amount\":{\"currency\":\"INR\",\"value\":100}}"

static void a_refunds_answer_and_its_webhook_have_one_reference(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    item_t item = captured;
    item.code = "REFUND";
    item.reference = "RF6HT9CRT65ZGN82";
    item.merchant_reference = PAYMENT "-" REFUND;
    const psp_report_t told = report_of(item);
    assert_int_equal(read_refund(201, RECEIVED(PAYMENT "-" REFUND, "received"), &report, &detail),
                     ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_REFUND_REQUESTED);
    assert_string_equal(report.psp_ref, told.psp_ref);
    assert_true(uuid_equal(&report.refund_id, &told.refund_id));
    assert_true(uuid_equal(&report.payment_id, &told.payment_id));
    assert_int_equal(report.amount, 100);
    assert_int_equal(report.occurred_at_us, 0);
    assert_int_equal(strncmp(report.event_id, "refund_", 7), 0);
}

static void other_answers_are_no_refund(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    static const char *const nonsense[] = {"",
                                           "{}",
                                           RECEIVED(PAYMENT, "received"),
                                           RECEIVED(REFUND "-" PAYMENT, "received"),
                                           RECEIVED(PAYMENT "-" REFUND, "done"),
                                           "{\"reference\":\"" PAYMENT "-" REFUND
                                           "\",\"status\":\"received\"}"};
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++)
        assert_int_equal(read_refund(201, nonsense[i], &report, &detail), ERR_MALFORMED_WEBHOOK);
    static const int later[] = {401, 403, 409, 429, 500, 503, 302};
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        assert_int_equal(read_refund(later[i], "{}", &report, &detail), ERR_MALFORMED_WEBHOOK);
    assert_int_equal(read_refund(422, "{\"errorCode\":\"704\"}", &report, &detail),
                     ERR_MALFORMED_WEBHOOK);
    assert_int_equal(read_refund(422, "{\"errorCode\":\"137\",\"message\":\"Invalid amount\"}",
                                 &report, &detail),
                     ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_REFUND_FAILED);
    assert_string_equal(report.reason, "HTTP 422: Invalid amount");
    assert_string_equal(report.psp_ref, "refused-" REFUND);
    assert_int_equal(report.amount, 0);
}

/* ---- page ---- */

static void the_page_opens_the_drop_in(void **state)
{
    (void)state;
    const psp_checkout_t checkout = checkout_of(49900, "INR");
    psp_page_t page;
    assert_true(psp_page(adyen(), &account, &checkout, "CS1 Ab02b4c0!x", &page));
    static const char *const parts[] = {
        "data-session=\"CS1\"",
        "data-session-data=\"Ab02b4c0!x\"",
        "data-client-key=\"test_CLIENT\"",
        "data-environment=\"test\"",
        "data-country=\"IN\"",
        ("data-back=\"https://pay.example/checkout/" PAYMENT "/return\""),
        "<script src=\"https://checkoutshopper-test.cdn.adyen.com/checkoutshopper/sdk/",
        "/adyen.js\"></script>",
        "/adyen.css\">",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(page.body.data, parts[i]))
            fail_msg("%s", parts[i]);
    assert_null(strstr(page.body.data, "made_up")); /* the API key */
    assert_string_equal(page.script_from, "https://*.adyen.com");
    assert_string_equal(page.submits_to, "https:");
    assert_non_null(strstr(page.script, "sessionResult"));
    assert_non_null(strstr(page.script, "})();")); /* it is whole */
    buf_free(&page.body);
}

static void texts_from_outside_are_escaped_on_the_page(void **state)
{
    (void)state;
    psp_checkout_t checkout = checkout_of(49900, "INR");
    psp_account_t odd = account;
    psp_page_t page;
    odd.key_id = "live_\"><script>alert(1)</script>";
    odd.base_url = "https://x-checkout-live.adyenpayments.com";
    checkout.public_url = "https://pay.example/'\"<";
    assert_true(psp_page(adyen(), &odd, &checkout, "C\"S <&'\"", &page));
    assert_null(strstr(page.body.data, "<script>"));
    assert_non_null(strstr(page.body.data, "data-session=\"C&quot;S\""));
    assert_non_null(strstr(page.body.data, "data-session-data=\"&lt;&amp;&#39;&quot;\""));
    assert_non_null(strstr(page.body.data, "https://pay.example/&#39;&quot;&lt;/checkout/"));
    assert_non_null(strstr(page.body.data, "data-environment=\"live\""));
    assert_non_null(strstr(page.body.data, "https://checkoutshopper-live.cdn.adyen.com/"));
    buf_free(&page.body);
}

static void whoever_stands_in_for_adyen_gives_the_drop_in(void **state)
{
    (void)state;
    const psp_checkout_t checkout = checkout_of(49900, "INR");
    psp_account_t simulated = account;
    psp_page_t page;
    simulated.base_url = "http://127.0.0.1:8081/adyen";
    assert_true(psp_page(adyen(), &simulated, &checkout, "CS1", &page));
    assert_string_equal(page.script_from, "http://127.0.0.1:8081");
    assert_non_null(
        strstr(page.body.data, "<script src=\"http://127.0.0.1:8081/adyen/checkoutshopper/sdk/"));
    assert_non_null(strstr(page.body.data, "data-session-data=\"\""));
    buf_free(&page.body);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(signatures_of_the_official_library_are_judged_as_it_judges_them),
    cmocka_unit_test(every_signed_field_counts),
    cmocka_unit_test(any_configured_key_signs_and_nothing_else_does),
    cmocka_unit_test(an_item_that_is_wrong_is_left_out_of_its_batch),
    cmocka_unit_test(a_batch_is_as_many_webhooks),
    cmocka_unit_test(a_capture_is_read_whole),
    cmocka_unit_test(each_event_is_a_fact_or_none),
    cmocka_unit_test(a_refund_names_its_payment_and_itself),
    cmocka_unit_test(why_it_failed_is_said_in_adyens_words),
    cmocka_unit_test(what_is_not_ours_counts_only_where_it_moves_money),
    cmocka_unit_test(what_is_wrong_in_an_item_is_named),
    cmocka_unit_test(a_session_is_asked_for_as_the_official_library_does),
    cmocka_unit_test(live_hosts_have_the_api_below_checkout),
    cmocka_unit_test(amounts_are_counted_as_adyen_counts_them),
    cmocka_unit_test(a_status_is_asked_for_with_what_the_customer_brought),
    cmocka_unit_test(a_refund_is_asked_for_as_the_official_library_does),
    cmocka_unit_test(an_open_session_is_paid_on_our_page),
    cmocka_unit_test(each_error_is_somebodys_fault),
    cmocka_unit_test(each_status_is_a_fact_or_none),
    cmocka_unit_test(other_answers_are_no_status),
    cmocka_unit_test(a_refunds_answer_and_its_webhook_have_one_reference),
    cmocka_unit_test(other_answers_are_no_refund),
    cmocka_unit_test(the_page_opens_the_drop_in),
    cmocka_unit_test(texts_from_outside_are_escaped_on_the_page),
    cmocka_unit_test(whoever_stands_in_for_adyen_gives_the_drop_in),
};
TEST_MAIN(tests)
