/* wire_adyen.c - Adyen's Checkout API and webhooks: sessions, modifications, notifications.
 * Formats: docs.adyen.com/api-explorer/Checkout/72, docs.adyen.com/development-resources/webhooks.
 *
 * There is no call that tells of a payment: whoever comes back from the page brings a
 * sessionResult, with which the session can be asked; all else is told by webhooks.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/hmac.h"
#include "lib/payment/money.h"
#include "lib/sha256.h"
#include "services/psp_sim/wire_adyen.h"

enum { BODY_MAX_BYTES = 64 * 1024, KEY_MAX_BYTES = 64 };

static void write_error(int status, const char *words, buf_t *body)
{
    json_open_object(body, NULL);
    json_int(body, "status", status);
    json_text(body, "errorCode",
              status == 401   ? "000"
              : status == 422 ? "14_006"
              : status >= 500 ? "905"
                              : "702");
    json_text(body, "message", words);
    json_text(body, "errorType",
              status == 401   ? "security"
              : status >= 500 ? "internal"
                              : "validation");
    json_close_object(body);
}

static bool authorized(const http_request_t *request, const psp_account_t *account)
{
    const char *given = http_header(request, "X-API-Key");
    return given && strcmp(given, account->key_secret) == 0;
}

static void write_amount(buf_t *body, int64_t amount, const char *currency)
{
    json_open_object(body, "amount");
    json_text(body, "currency", currency);
    json_int(body, "value", amount);
    json_close_object(body);
}

static bool read_amount(sim_call_t *call, int64_t *amount, char currency[4])
{
    const json_t *object = json_object_get(call->json, "amount");
    str_t code = json_read_str(object, "currency");
    if (!sim_read_amount(object, "value", amount) || !currency_known(code)) {
        sim_call_refuse(call, 422, "Required field 'amount' is not provided or is invalid.");
        return false;
    }
    str_copy(code, currency, 4);
    return true;
}

/* ---- sessions ---- */

static void name_result(char text[SIM_REF_SIZE + 8], const sim_checkout_t *checkout)
{
    char ref[SIM_REF_SIZE];
    snprintf(text, SIM_REF_SIZE + 8, "X3XtfGC7%s",
             sim_ref(ref, "chk", checkout->psp, checkout->serial));
}

static uuid_t metadata(const json_t *root, const char *key)
{
    uuid_t id;
    str_t text = json_read_str(json_object_get(root, "metadata"), key);
    if (!text.data || !uuid_parse(text.data, text.size, &id))
        memset(&id, 0, sizeof id);
    return id;
}

static void write_session(sim_call_t *call, const sim_checkout_t *checkout, const char *return_url)
{
    char text[SIM_REF_SIZE], data[2 * SIM_REF_SIZE], at[RFC3339_SIZE];
    buf_t *body = &call->body;
    sim_ref(text, "chk", call->psp, checkout->serial);
    snprintf(data, sizeof data, "Ab02b4c0!%s", text);
    call->status = 201;
    json_open_object(body, NULL);
    write_amount(body, checkout->amount, checkout->currency);
    json_text(body, "countryCode", "IN");
    json_text(body, "expiresAt", rfc3339_format(checkout->expires_at_us / 1000000 * 1000000, at));
    json_text(body, "id", text);
    json_str(body, "merchantAccount", json_read_str(call->json, "merchantAccount"));
    if (checkout->notes)
        sim_notes_write(body, "metadata", checkout->notes, "{}");
    json_text(body, "mode", "embedded");
    json_text(body, "reference", checkout->reference);
    json_text(body, "returnUrl", return_url);
    json_text(body, "sessionData", data);
    json_close_object(body);
}

static void session_create(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_adyen, SIM_CALL_OPEN)) {
        const char *key = http_header(request, "Idempotency-Key");
        str_t reference = json_read_str(call.json, "reference"),
              expires = json_read_str(call.json, "expiresAt");
        str_t url = json_read_str(call.json, "returnUrl");
        const json_t *manual =
            json_object_get(json_object_get(call.json, "additionalData"), "manualCapture");
        sim_checkout_t checkout = {
            .method = "CARD",
            .payment_id = metadata(call.json, "payment_id"),
            .order_id = metadata(call.json, "order_id"),
            .manual_capture =
                json_is_true(manual) ||
                (json_is_string(manual) && strcmp(json_string_value(manual), "true") == 0),
            .expires_at_us = clock_wall_us() + INT64_C(3600000000)};
        char return_url[SIM_URL_SIZE];
        str_copy(reference, checkout.reference, sizeof checkout.reference);
        str_copy(url, return_url, sizeof return_url);
        sim_notes_of_json(call.json, "metadata", &call.notes);
        checkout.notes = call.notes.data;
        if (!json_read_str(call.json, "merchantAccount").data)
            sim_call_refuse(&call, 422, "Required field 'merchantAccount' is not provided.");
        else if (reference.size == 0 || reference.size > 80)
            sim_call_refuse(&call, 422, "Required field 'reference' is not provided.");
        else if (url.size == 0)
            sim_call_refuse(&call, 422, "Required field 'returnUrl' is not provided.");
        else if (expires.data && !rfc3339_parse(expires.data, &checkout.expires_at_us))
            sim_call_refuse(&call, 422, "Invalid expiresAt");
        else if (read_amount(&call, &checkout.amount, checkout.currency) &&
                 (sim_call_open(&call, &checkout, key ? key : "", return_url)))
            write_session(&call, &checkout, return_url);
        else if (call.status == 409)
            sim_call_refuse(&call, 422, "The idempotency key came with another request before");
    }
    sim_call_end(&call);
}

static void write_payments(buf_t *body, const sim_checkout_t *checkout)
{
    char text[SIM_REF_SIZE];
    json_open_array(body, "payments");
    if (checkout->state != SIM_PENDING) {
        json_open_object(body, NULL);
        write_amount(body, checkout->outcome_amount, checkout->currency);
        json_open_object(body, "paymentMethod");
        json_text(body, "brand", "visa");
        json_text(body, "type", "scheme");
        json_close_object(body);
        json_text(body, "pspReference",
                  sim_ref(text, "txn", checkout->psp, checkout->outcome_serial));
        json_text(body, "resultCode", checkout->state == SIM_FAILED ? "Refused" : "Authorised");
        json_close_object(body);
    }
    json_close_array(body);
}

static void session_fetch(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_adyen, SIM_CALL_READ)) {
        char result[256] = "", expected[SIM_REF_SIZE + 8], text[SIM_REF_SIZE];
        sim_checkout_t checkout;
        uint64_t serial;
        (void)http_query(request, "sessionResult", result, sizeof result);
        if (!sim_ref_parse(request->params[0], "chk", call.psp, &serial) ||
            sim_bank_find_serial(call.self->bank, serial, call.psp, &checkout) != ERR_OK) {
            sim_call_refuse(&call, 422, "There is no such session");
        } else {
            name_result(expected, &checkout);
            if (strcmp(result, expected) != 0) {
                sim_call_refuse(&call, 422, "Invalid sessionResult");
            } else {
                call.status = 200;
                json_open_object(&call.body, NULL);
                json_text(&call.body, "id", sim_ref(text, "chk", call.psp, checkout.serial));
                write_payments(&call.body, &checkout);
                json_text(&call.body, "reference", checkout.reference);
                json_text(&call.body, "status",
                          checkout.state == SIM_PENDING  ? "active"
                          : checkout.state == SIM_FAILED ? "refused"
                                                         : "completed");
                json_close_object(&call.body);
            }
        }
    }
    sim_call_end(&call);
}

/* In place of Adyen's own drop-in: a link that leads to the page here. */
static void dropin_script(http_request_t *request)
{
    static const char text[] =
        "window.AdyenWeb = {\n"
        "  AdyenCheckout: async options => options,\n"
        "  Dropin: class {\n"
        "    constructor(options) { this.options = options; }\n"
        "    mount(box) {\n"
        "      const base = document.querySelector('script[src$=\"/adyen.js\"]').src;\n"
        "      const link = document.createElement('a');\n"
        "      link.href = base.replace(/\\/checkoutshopper\\/.*/, '/pay/' + "
        "this.options.session.id);\n"
        "      link.textContent = 'Pay at the simulator';\n"
        "      (typeof box === 'string' ? document.querySelector(box) : box).append(link);\n"
        "    }\n"
        "  }\n"
        "};\n";
    http_respond(request, 200, "text/javascript", text, sizeof text - 1);
}

static void dropin_style(http_request_t *request)
{
    http_respond(request, 200, "text/css", "", 0);
}

static void session_page(http_request_t *request)
{
    sim_t *self = request->self;
    const psp_t *psp = psp_at(PSP_INDEX_adyen);
    uint64_t serial;
    sim_checkout_t checkout;
    char url[600];
    if (!sim_ref_parse(request->params[0], "chk", psp, &serial) ||
        sim_bank_find_serial(self->bank, serial, psp, &checkout) != ERR_OK) {
        http_respond_problem(request, ERR_NOT_FOUND, "there is no such session");
        return;
    }
    sim_checkout_url(self, &checkout, url, sizeof url);
    http_add_header(request, "Location", url);
    http_respond(request, 303, "text/plain; charset=utf-8", NULL, 0);
}

/* ---- modifications: taken, and told of by webhooks ---- */

static bool find_payment(sim_call_t *call, sim_checkout_t *checkout)
{
    uint64_t serial;
    const str_t id = call->request->params[0];
    if (sim_is_sample(id)) {
        *checkout = sim_sample(PSP_INDEX_adyen);
        return true;
    }
    if (!sim_ref_parse(id, "txn", call->psp, &serial) ||
        sim_bank_find_serial(call->self->bank, serial, call->psp, checkout) != ERR_OK) {
        sim_call_refuse(call, 422, "Original pspReference required for this operation");
        return false;
    }
    if (serial == checkout->second_serial)
        checkout->outcome_serial = serial; /* the other charge is meant */
    return true;
}

static void write_modification(sim_call_t *call, uint64_t serial, int64_t amount,
                               const char *currency)
{
    char text[SIM_REF_SIZE];
    buf_t *body = &call->body;
    call->status = 201;
    json_open_object(body, NULL);
    if (amount > 0)
        write_amount(body, amount, currency);
    json_str(body, "merchantAccount", json_read_str(call->json, "merchantAccount"));
    json_str(body, "paymentPspReference", call->request->params[0]);
    json_text(body, "pspReference", sim_ref(text, "rfd", call->psp, serial));
    json_str(body, "reference", json_read_str(call->json, "reference"));
    json_text(body, "status", "received");
    json_close_object(body);
}

static void payment_refund(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_adyen, SIM_CALL_REFUND) &&
        find_payment(&call, &checkout)) {
        int64_t amount;
        char currency[4], reference[SIM_REFERENCE_SIZE];
        sim_refund_t refund;
        const char *key = http_header(request, "Idempotency-Key");
        call.refund_key = key ? key : ""; /* references may repeat */
        str_copy(json_read_str(call.json, "reference"), reference, sizeof reference);
        if (read_amount(&call, &amount, currency)) {
            memcpy(checkout.currency, currency, sizeof checkout.currency);
            if (sim_call_refund(&call, &checkout, reference, amount, &refund))
                write_modification(&call, refund.serial, amount, currency);
            else if (call.status == 400 && refund.state == SIM_REFUND_REFUSED) {
                buf_clear(&call.body);
                write_modification(&call, refund.serial, amount, currency);
            } else if (call.status == 400) {
                sim_call_refuse(&call, 422, "Original pspReference required for this operation");
            }
        }
    }
    sim_call_end(&call);
}

/* The call's own reference: of the same key the same. */
static uint64_t name_modification(const http_request_t *request, const sim_checkout_t *checkout,
                                  const char *what)
{
    const char *key = http_header(request, "Idempotency-Key");
    char payment_id[UUID_TEXT_SIZE];
    uint8_t digest[SHA256_SIZE];
    uint64_t serial;
    if (!key)
        return sim_serial();
    uuid_format(&checkout->payment_id, payment_id);
    sha256((const str_t[]){str_of(key), str_of(what), str_of(payment_id)}, 3, digest);
    memcpy(&serial, digest, sizeof serial);
    return (serial >> 5) | 1; /* as many digits as others, and not 0 */
}

/* A capture or a cancel: carried out where something is authorised, and told of by webhook. Else it
 * is taken all the same, as the real one does, and its webhook says that it failed. */
static void modify(sim_call_t *call, sim_checkout_t *checkout, sim_state_t becomes, int64_t amount,
                   const char *currency)
{
    const bool captures = becomes == SIM_PAID;
    const char *what = captures ? "CAPTURE" : "CANCELLATION";
    const uint64_t serial = name_modification(call->request, checkout, what);
    checkout->conclusion_serial = serial;
    const err_t err = sim_is_sample(call->request->params[0])
                          ? ERR_OK
                          : sim_conclude(call->self, call->psp, checkout->outcome_serial, becomes,
                                         amount, checkout);
    if (err == ERR_STORE_UNAVAILABLE) {
        sim_call_refuse(call, 500, "the bank's journal cannot be written");
        return;
    }
    if (err != ERR_OK && checkout->conclusion_serial != serial) { /* not by this call before */
        const sim_event_t event = sim_event_of_refusal(
            checkout, what, captures ? "Insufficient balance on payment" : "Transaction not found",
            serial, clock_wall_us());
        sim_tell(call->self, &event, false);
    }
    write_modification(call, serial, amount, currency);
}

static void payment_capture(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_adyen, SIM_CALL_OPEN) &&
        find_payment(&call, &checkout)) {
        int64_t amount;
        char currency[4];
        if (read_amount(&call, &amount, currency))
            modify(&call, &checkout, SIM_PAID, amount, currency);
    }
    sim_call_end(&call);
}

static void payment_cancel(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_adyen, SIM_CALL_OPEN) &&
        find_payment(&call, &checkout))
        modify(&call, &checkout, SIM_VOIDED, 0, "");
    sim_call_end(&call);
}

/* ---- webhooks ---- */

/* The first of the secrets that is a key in hexadecimal. */
static size_t first_key(const psp_account_t *account, uint8_t key[KEY_MAX_BYTES])
{
    str_t rest = str_of(account->webhook_secrets), secret;
    while (psp_secret_next(&rest, &secret)) {
        size_t size = 0;
        if (secret.size % 2 == 0 && secret.size <= 2 * KEY_MAX_BYTES)
            while (size < secret.size / 2 &&
                   sscanf(secret.data + 2 * size, "%2hhx", &key[size]) == 1)
                size++;
        if (size == secret.size / 2 && size > 0)
            return size;
    }
    return 0;
}

typedef struct item {
    char psp_reference[SIM_REF_SIZE];
    const char *original, *event_code, *success, *reason;
    int64_t amount;
} item_t;

void wire_adyen_sign(const psp_account_t *account, const buf_t *fields, buf_t *body)
{
    uint8_t key[KEY_MAX_BYTES], digest[HMAC_SHA256_SIZE];
    unsigned char encoded[48];
    const size_t key_size = first_key(account, key);
    if (key_size == 0)
        return;
    hmac_sha256((str_t){(const char *)key, (uint32_t)key_size},
                (str_t){fields->data, (uint32_t)fields->size}, digest);
    EVP_EncodeBlock(encoded, digest, sizeof digest);
    json_text(body, "hmacSignature", (const char *)encoded);
}

static void write_signature(const psp_account_t *account, const sim_checkout_t *checkout,
                            const item_t *item, const char *reference, buf_t *body)
{
    buf_t text = {0};
    buf_printf(&text, "%s:%s:%s:%s:%lld:%s:%s:%s", item->psp_reference, item->original,
               account->account, reference, (long long)item->amount, checkout->currency,
               item->event_code, item->success);
    wire_adyen_sign(account, &text, body);
    buf_free(&text);
}

/* Each as a field of its own: "metadata.key". */
static void write_metadata(buf_t *body, const char *notes)
{
    json_t *given = sim_notes_read(notes), *value;
    const char *key;
    json_object_foreach(given, key, value)
    {
        buf_t name = {0};
        buf_printf(&name, "metadata.%s", key);
        if (json_is_string(value))
            json_text(body, name.data, json_string_value(value));
        buf_free(&name);
    }
    json_decref(given);
}

static void write_item(const psp_account_t *account, const sim_event_t *event,
                       const sim_subject_t *subject, const item_t *item, buf_t *body)
{
    const sim_checkout_t *checkout = &subject->checkout;
    const char *reference =
        uuid_is_nil(&event->refund_id) ? checkout->reference : subject->refund.reference;
    char at[RFC3339_SIZE];
    json_open_object(body, NULL);
    json_open_object(body, "NotificationRequestItem");
    json_open_object(body, "additionalData");
    write_signature(account, checkout, item, reference, body);
    write_metadata(body, checkout->notes);
    json_close_object(body);
    write_amount(body, item->amount, checkout->currency);
    json_text(body, "eventCode", item->event_code);
    json_text(body, "eventDate", rfc3339_format(event->at_us / 1000000 * 1000000, at));
    json_text(body, "merchantAccountCode", account->account);
    json_text(body, "merchantReference", reference);
    if (item->original[0])
        json_text(body, "originalReference", item->original);
    json_text(body, "paymentMethod", "visa");
    json_text(body, "pspReference", item->psp_reference);
    json_text(body, "reason", item->reason);
    json_text(body, "success", item->success);
    json_close_object(body);
    json_close_object(body);
}

static bool write_webhook(const psp_account_t *account, const sim_event_t *event,
                          const sim_subject_t *subject, sim_message_t *message)
{
    const bool of_refund = !uuid_is_nil(&event->refund_id);
    const sim_checkout_t *checkout = &subject->checkout;
    char payment[SIM_REF_SIZE];
    item_t item = {.original = "",
                   .event_code = "AUTHORISATION",
                   .success = "true",
                   .reason = "",
                   .amount = event->amount};
    if (event->kind != PSP_FACT_NONE && !of_refund)
        return false;
    sim_ref(payment, "txn", event->psp, sim_charge_of(event, checkout));
    if (of_refund) {
        item.original = subject->refund.charge_ref;
        item.event_code = subject->refund.state == SIM_REFUND_FAILED ? "REFUND_FAILED" : "REFUND";
        item.success = subject->refund.state == SIM_REFUND_REFUSED ? "false" : "true";
        item.reason = subject->refund.error;
        sim_ref(item.psp_reference, "rfd", event->psp, subject->refund.serial);
    } else if (event->error) { /* a capture or a cancel that was not carried out */
        item.original = payment;
        item.event_code = event->status;
        item.success = "false";
        item.reason = event->error;
        snprintf(item.psp_reference, sizeof item.psp_reference, "%s", event->ref);
    } else if (checkout->state == SIM_VOIDED ||
               (checkout->state == SIM_PAID && checkout->manual_capture)) {
        item.original = payment;
        item.event_code = checkout->state == SIM_PAID   ? "CAPTURE"
                          : checkout->conclusion_serial ? "CANCELLATION"
                                                        : "EXPIRE";
        sim_ref(item.psp_reference, "rfd", event->psp,
                checkout->conclusion_serial ? checkout->conclusion_serial
                                            : checkout->outcome_serial);
    } else {
        snprintf(item.psp_reference, sizeof item.psp_reference, "%s", payment);
        item.success = checkout->state == SIM_FAILED ? "false" : "true";
        item.reason = checkout->state == SIM_FAILED ? "Refused" : "";
    }
    buf_t *body = &message->body;
    json_open_object(body, NULL);
    json_text(body, "live", "false");
    json_open_array(body, "notificationItems");
    write_item(account, event, subject, &item, body);
    json_close_array(body);
    json_close_object(body);
    return true;
}

static void add_return_query(const sim_checkout_t *checkout, buf_t *url)
{
    char ref[SIM_REF_SIZE], result[SIM_REF_SIZE + 8];
    name_result(result, checkout);
    buf_printf(url, "%csessionId=%s&sessionResult=%s", strchr(url->data, '?') ? '&' : '?',
               sim_ref(ref, "chk", checkout->psp, checkout->serial), result);
}

#define ROUTES(version)                                                               \
    {"POST", version "/sessions", session_create, BODY_MAX_BYTES},                    \
        {"GET", version "/sessions/{id}", session_fetch, 0},                          \
        {"POST", version "/payments/{id}/captures", payment_capture, BODY_MAX_BYTES}, \
        {"POST", version "/payments/{id}/refunds", payment_refund, BODY_MAX_BYTES},   \
    {                                                                                 \
        "POST", version "/payments/{id}/cancels", payment_cancel, BODY_MAX_BYTES      \
    }
static const http_route_t routes[] = {
    ROUTES("/v72"),
    ROUTES("/v71"),
    ROUTES("/checkout/v72"),
    {"GET", "/checkoutshopper/sdk/{version}/adyen.js", dropin_script, 0},
    {"GET", "/checkoutshopper/sdk/{version}/adyen.css", dropin_style, 0},
    {"GET", "/pay/{session}", session_page, 0},
    {"GET", "/reports/download/MerchantAccount/{account}/{file}", wire_adyen_report, 0},
    {NULL, NULL, NULL, 0},
};

const sim_wire_t sim_wire_adyen = {
    .psp_index = PSP_INDEX_adyen,
    .hosts = {"checkout-test.adyen.com", "ca-test.adyen.com"},
    .routes = routes,
    .write_error = write_error,
    .authorized = authorized,
    .write_webhook = write_webhook,
    .refuses_later = true,
    .add_return_query = add_return_query,
};
