/* fuzz_psp_webhook.c - webhooks of anybody on the internet, to every PSP: reading ends, a report
 * that is accepted keeps every bound that the stream and the database rely on, and what verifies
 * also reads, to the same report. Every input is taken in the prototype's format, and signed or
 * proved in each PSP's own; those that prove only who calls give hints alone. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/form.h"
#include "lib/hmac.h"
#include "lib/json_read.h"
#include "lib/payment/money.h"
#include "lib/payment/psp.h"
#include "lib/payment/psp_accounts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_S 1760000000
#define USER_PASS_SHA256 "ef4c914c591698b268db3c64163eafda7209a630f236ebf0eebf045460df723a"
#define ADYEN_KEY_HEX "6465762D736563726574" /* dev-secret */

static const psp_account_t account = {.base_url = "http://127.0.0.1:1/psp",
                                      .key_id = "k",
                                      .key_secret = "s",
                                      .webhook_secrets = "dev-secret,user:pass," ADYEN_KEY_HEX,
                                      .account = "m"};

typedef struct headers {
    const char *name;
    char signature[160];
} headers_t;

static const char *header_of(void *arg, const char *name)
{
    const headers_t *headers = arg;
    if (strcasecmp(name, headers->name) == 0)
        return headers->signature;
    if (strcasecmp(name, "x-webhook-timestamp") == 0)
        return "1760000000000";
    return strcasecmp(name, "X-Razorpay-Event-Id") == 0 ||
                   strcasecmp(name, "x-idempotency-key") == 0
               ? "evt"
               : NULL;
}

static const char *no_header(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return NULL;
}

static void check_report(const psp_report_t *report)
{
    CHECK(memchr(report->event_id, 0, sizeof report->event_id));
    CHECK(memchr(report->psp_ref, 0, sizeof report->psp_ref));
    CHECK(memchr(report->reason, 0, sizeof report->reason));
    CHECK(utf8_valid(report->event_id, strlen(report->event_id)));
    CHECK(!utf8_has_control(report->event_id, strlen(report->event_id)));
    CHECK(!report->hint || (report->kind == PSP_FACT_NONE && report->amount == 0));
    CHECK(report->kind == PSP_FACT_NONE || report->psp_ref[0]);
    CHECK(report->kind == PSP_FACT_NONE || report->amount >= 1 ||
          (report->amount == 0 && psp_fact_is_refund(report->kind)));
    CHECK(report->amount >= 0 && report->amount <= AMOUNT_MAX);
    CHECK(!report->currency[0] || currency_known(str_of(report->currency)));
    CHECK(report->occurred_at_us >= 0);
    CHECK(report->kind < PSP_FACT_KINDS);
    CHECK(report->fee >= 0 && report->fee <= report->amount);
    CHECK(report->fee == 0 || report->kind == PSP_FACT_SETTLED);
    CHECK(uuid_is_nil(&report->refund_id) || psp_fact_is_refund(report->kind));
    CHECK(utf8_valid(report->reason, strlen(report->reason)));
    CHECK(!utf8_has_control(report->reason, strlen(report->reason)));
}

/* The same event to whoever receives it and to whoever reads it from where it was stored. An event
 * id that came in a header is not in the body. */
static err_t verify(const psp_t *psp, bool dev, psp_header_fn *header, void *header_arg, str_t body)
{
    psp_webhook_t webhooks[PSP_WEBHOOKS_MAX];
    size_t count;
    err_detail_t detail;
    const err_t err = psp_webhook_verify(psp, &account, dev, header, header_arg, body,
                                         NOW_S * INT64_C(1000000), webhooks, &count, &detail);
    CHECK(err == ERR_OK || err == ERR_MALFORMED_WEBHOOK || err == ERR_SIGNATURE_INVALID);
    CHECK((err == ERR_OK) == (count > 0) && count <= PSP_WEBHOOKS_MAX);
    for (size_t i = 0; i < count; i++) {
        psp_report_t read;
        CHECK(webhooks[i].report.event_id[0]);
        check_report(&webhooks[i].report);
        CHECK(psp_webhook_read(psp, webhooks[i].body, &read, &detail) == ERR_OK);
        if (!read.event_id[0])
            memcpy(read.event_id, webhooks[i].report.event_id, sizeof read.event_id);
        CHECK(memcmp(&webhooks[i].report, &read, sizeof read) == 0);
    }
    return err;
}

/* Lower case hexadecimal; `prefix` is signed too. */
static void sign(const char *prefix, str_t body, char hex[2 * HMAC_SHA256_SIZE + 1])
{
    uint8_t digest[HMAC_SHA256_SIZE];
    buf_t text = {0};
    buf_add_text(&text, prefix);
    buf_add(&text, body.data, body.size);
    hmac_sha256(STR_LITERAL("dev-secret"), (str_t){text.data, (uint32_t)text.size}, digest);
    buf_free(&text);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void try_razorpay(const psp_t *psp, str_t body)
{
    headers_t headers = {.name = "X-Razorpay-Signature"};
    sign("", body, headers.signature);
    CHECK(verify(psp, false, header_of, &headers, body) != ERR_SIGNATURE_INVALID);
    headers.signature[0] ^= 1;
    CHECK(verify(psp, true, header_of, &headers, body) == ERR_SIGNATURE_INVALID);
}

static void try_stripe(const psp_t *psp, str_t body)
{
    headers_t headers = {.name = "Stripe-Signature"};
    char hex[2 * HMAC_SHA256_SIZE + 1];
    sign("1760000000.", body, hex);
    snprintf(headers.signature, sizeof headers.signature, "t=1760000000,v1=%s", hex);
    CHECK(verify(psp, false, header_of, &headers, body) != ERR_SIGNATURE_INVALID);
    headers.signature[2] = '2';
    CHECK(verify(psp, true, header_of, &headers, body) == ERR_SIGNATURE_INVALID);
}

static void add_signed(buf_t *text, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (json_is_string(value))
        buf_add(text, json_string_value(value), json_string_length(value));
    else if (json_is_integer(value))
        buf_add_int(text, json_integer_value(value));
    else if (json_is_boolean(value))
        buf_add_text(text, json_is_true(value) ? "true" : "false");
}

static void sign_item(json_t *item)
{
    static const char *const first[] = {"pspReference", "originalReference", "merchantAccountCode",
                                        "merchantReference"};
    const json_t *amount = json_object_get(item, "amount");
    uint8_t digest[HMAC_SHA256_SIZE];
    unsigned char encoded[48];
    buf_t text = {0};
    for (size_t i = 0; i < 4; i++) {
        add_signed(&text, item, first[i]);
        buf_add_text(&text, ":");
    }
    add_signed(&text, amount, "value");
    buf_add_text(&text, ":");
    add_signed(&text, amount, "currency");
    buf_add_text(&text, ":");
    add_signed(&text, item, "eventCode");
    buf_add_text(&text, ":");
    add_signed(&text, item, "success");
    hmac_sha256(STR_LITERAL("dev-secret"), (str_t){text.data, (uint32_t)text.size}, digest);
    buf_free(&text);
    EVP_EncodeBlock(encoded, digest, sizeof digest);
    CHECK(json_object_set_new(item, "additionalData",
                              json_pack("{s:s}", "hmacSignature", (const char *)encoded)) == 0);
}

/* The input is an item, twice in a batch of three. */
static void try_adyen(const psp_t *psp, str_t body)
{
    json_t *item = json_read_object(body, NULL);
    if (!item)
        return;
    sign_item(item);
    json_t *batch = json_pack("{s:[{s:O},{},{s:O}]}", "notificationItems",
                              "NotificationRequestItem", item, "NotificationRequestItem", item);
    CHECK(batch);
    char *text = json_dumps(batch, JSON_COMPACT);
    if (text)
        CHECK(verify(psp, false, no_header, NULL, str_of(text)) != ERR_SIGNATURE_INVALID);
    free(text);
    json_decref(batch);
    json_decref(item);
}

static void try_cashfree(const psp_t *psp, str_t body)
{
    headers_t headers = {.name = "x-webhook-signature"};
    uint8_t digest[HMAC_SHA256_SIZE];
    buf_t text = {0};
    buf_add_text(&text, "1760000000000");
    buf_add(&text, body.data, body.size);
    hmac_sha256(STR_LITERAL("dev-secret"), (str_t){text.data, (uint32_t)text.size}, digest);
    buf_free(&text);
    EVP_EncodeBlock((unsigned char *)headers.signature, digest, sizeof digest);
    CHECK(verify(psp, false, header_of, &headers, body) != ERR_SIGNATURE_INVALID);
    headers.signature[0] = headers.signature[0] == 'A' ? 'B' : 'A';
    CHECK(verify(psp, true, header_of, &headers, body) == ERR_SIGNATURE_INVALID);
}

/* Nothing but hints comes of what proves no more than who calls. */
static void try_hints(const psp_t *psp, const char *authorization, str_t body)
{
    headers_t headers = {.name = "Authorization"};
    psp_webhook_t webhooks[PSP_WEBHOOKS_MAX];
    size_t count;
    err_detail_t detail;
    snprintf(headers.signature, sizeof headers.signature, "%s", authorization);
    (void)verify(psp, false, header_of, &headers, body);
    if (psp_webhook_verify(psp, &account, false, header_of, &headers, body,
                           NOW_S * INT64_C(1000000), webhooks, &count, &detail) == ERR_OK)
        CHECK(count == 1 && webhooks[0].report.hint);
}

/* The input is the fields, without a hash. */
static void try_payu(const psp_t *psp, str_t fields)
{
    static const char *const names[] = {"udf5",  "udf4",      "udf3",        "udf2",   "udf1",
                                        "email", "firstname", "productinfo", "amount", "txnid"};
    unsigned char digest[64];
    buf_t text = {0}, body = {0};
    if (form_get(fields, "additionalCharges", &text))
        buf_add_text(&text, "|");
    buf_add_text(&text, "dev-secret|");
    (void)form_get(fields, "status", &text);
    buf_add_text(&text, "|||||");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        buf_add_text(&text, "|");
        (void)form_get(fields, names[i], &text);
    }
    buf_add_text(&text, "|k");
    CHECK(EVP_Digest(text.data, text.size, digest, NULL, EVP_sha512(), NULL) == 1);
    buf_add_text(&body, "hash=");
    for (size_t i = 0; i < sizeof digest; i++)
        buf_printf(&body, "%02x", digest[i]);
    buf_add_text(&body, "&");
    buf_add(&body, fields.data, fields.size);
    try_hints(psp, "", (str_t){body.data, (uint32_t)body.size});
    buf_free(&text);
    buf_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const str_t body = {(const char *)data, (uint32_t)size};
    for (size_t i = 0; i < psp_count(); i++) {
        psp_report_t report;
        err_detail_t detail;
        const psp_t *psp = psp_at(i);
        const err_t err = psp_webhook_read(psp, body, &report, &detail);
        CHECK(err == ERR_OK || err == ERR_MALFORMED_WEBHOOK);
        if (err == ERR_OK)
            check_report(&report);
        (void)verify(psp, true, no_header, NULL, body);
        /* News of a refund at PayU are not signed at all. */
        CHECK(verify(psp, false, no_header, NULL, body) != ERR_OK || i == PSP_INDEX_payu);
    }
    try_razorpay(psp_at(PSP_INDEX_razorpay), body);
    try_stripe(psp_at(PSP_INDEX_stripe), body);
    try_adyen(psp_at(PSP_INDEX_adyen), body);
    try_cashfree(psp_at(PSP_INDEX_cashfree), body);
    try_hints(psp_at(PSP_INDEX_juspay), "Basic dXNlcjpwYXNz", body);
    try_hints(psp_at(PSP_INDEX_phonepe), USER_PASS_SHA256, body);
    try_hints(psp_at(PSP_INDEX_payu), "", body);
    try_payu(psp_at(PSP_INDEX_payu), body);
    return 0;
}
