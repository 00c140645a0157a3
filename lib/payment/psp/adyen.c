/* adyen.c - Adyen: sessions that are paid on a page of ours with Adyen's drop-in (adyen_page.c),
 * captures and cancels by hand, refunds, notifications.
 *
 * A payment is a session (CS…), whose reference is ours. The reference of its facts is the
 * pspReference of the authorisation, which is what can be given back; of a refund, and of a
 * dispute, it is their own pspReference; of OFFER_CLOSED the one it came with. The same whether it
 * comes by webhook or in an answer. API: docs.adyen.com/api-explorer/Checkout/72, and the npm
 * package @adyen/api-library 32.1.0 for what requests look like.
 *
 * What is authorised is captured at once (captureDelayHours 0): AUTHORISATION is the capture. Where
 * an account captures by hand all the same, CAPTURE tells of the same fact, by its
 * originalReference. A payment that is captured by hand (additionalData.manualCapture, which stands
 * above the account's setting) has "-manual" after its reference, since nothing else that is signed
 * tells it from the others: of it AUTHORISATION is AUTHORIZED, and CAPTURE alone the capture.
 * Source: docs.adyen.com/online-payments/capture, …/cancel.
 *
 * Adyen tells a payment's status only to whoever shows what the customer came back with: the
 * drop-in's sessionResult, or, after a redirect, a redirectResult, which has to be handed in for
 * the payment to be completed (docs.adyen.com: "Confirm a redirect on your server"). All else is
 * told by webhooks. Answers have no time: it is so since they came.
 *
 * Signature: each item has its own over eight of its fields (signature/adyen.c). All else in an
 * item is not signed, and nothing is decided by it: not `reason` (of a report's announcement:
 * adyen_settlement.c), not metadata, and by the time no more than whether a person is to look at a
 * charge that was undone (db/008_webhooks.sql). So
 * ours is found by merchantReference alone; a refund's is "<payment>-<refund>", since its
 * notification may have either's. An item that is wrong is left out of its batch. There is no
 * timestamp; what is repeated is recognised by code, reference and success.
 * Source: docs.adyen.com/development-resources/webhooks.
 *
 * REFUND with success says that Adyen gives the money back; nothing comes after it unless it fails
 * after all. What moves money and names no payment of ours becomes a dead letter that a person
 * sees; whatever else is not ours is an empty report.
 *
 * Amounts are minor units, but for the currencies in own_ways
 * (docs.adyen.com/development-resources/currency-codes).
 *
 * What must never happen: a field believed that no signature covers.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/form.h"
#include "lib/json_raw.h"
#include "lib/payment/psp/adyen.h"
#include "lib/payment/psp/answers.h"
#include "lib/payment/psp/fields.h"
#include "lib/payment/psp/units.h"

#define API_VERSION "v72"
#define MANUAL "-manual" /* of a payment's reference: it is captured by hand */

enum {
    EVENT_CODE_MAX_BYTES = 40,
    UUID_LENGTH = UUID_TEXT_SIZE - 1,
    PAIR_SIZE = 2 * UUID_LENGTH + 2,             /* "<payment>-<refund>" */
    SESSION_LIVES_AT_MOST_S = 24 * 60 * 60 - 60, /* Adyen's bound, by its clock */
};
static const int64_t second_us = 1000000;

static const psp_unit_t own_ways[] = {{"CLP", 2}, {"CVE", 0}, {"IDR", 0}, {"ISK", 2}, {"", 0}};

/* ---- fields ---- */

/* One of Adyen's ids, as it can stand in a path. */
bool adyen_is_id(str_t text)
{
    if (!psp_is_reference(text))
        return false;
    for (uint32_t i = 0; i < text.size; i++)
        if (!isalnum((unsigned char)text.data[i]) && text.data[i] != '_' && text.data[i] != '-')
            return false;
    return true;
}

static bool is_manual(str_t merchant_reference)
{
    const uint32_t size = sizeof MANUAL - 1;
    return merchant_reference.size == UUID_LENGTH + size &&
           memcmp(merchant_reference.data + UUID_LENGTH, MANUAL, size) == 0;
}

/* Ours: the payment, or the payment and a refund of it. Nil where it is something else. */
void adyen_read_merchant_reference(str_t text, uuid_t *payment_id, uuid_t *refund_id)
{
    static const uuid_t nil;
    *payment_id = *refund_id = nil;
    if (is_manual(text))
        text.size = UUID_LENGTH;
    if (text.size == PAIR_SIZE - 1 && text.data[UUID_LENGTH] == '-' &&
        uuid_parse(text.data + UUID_LENGTH + 1, UUID_LENGTH, refund_id))
        text.size = UUID_LENGTH;
    if (!text.data || !uuid_parse(text.data, text.size, payment_id))
        *payment_id = *refund_id = nil;
}

static const char *pair_format(const psp_refund_t *refund, char text[PAIR_SIZE])
{
    char payment_id[UUID_TEXT_SIZE], refund_id[UUID_TEXT_SIZE];
    snprintf(text, PAIR_SIZE, "%s-%s", uuid_format(&refund->payment_id, payment_id),
             uuid_format(&refund->refund_id, refund_id));
    return text;
}

/* amount.value and amount.currency */
static err_t read_amount(const json_t *object, psp_report_t *report, err_detail_t *detail)
{
    const json_t *amount = json_object_get(object, "amount"),
                 *value = json_object_get(amount, "value");
    TRY(psp_read_currency(amount, report->currency, detail));
    if (!json_is_integer(value) ||
        !psp_units_read(json_integer_value(value), report->currency, own_ways, &report->amount))
        return psp_malformed(detail, "amount.value", "must be a positive integer in minor units");
    return ERR_OK;
}

err_t adyen_read_psp_reference(const json_t *object, const char *field, psp_report_t *report,
                               err_detail_t *detail)
{
    str_t text = json_read_str(object, field);
    if (!adyen_is_id(text) || text.size > ADYEN_REFERENCE_MAX_BYTES)
        return psp_malformed(detail, field, "must be a reference of Adyen's");
    str_copy(text, report->psp_ref, sizeof report->psp_ref);
    return ERR_OK;
}

/* ---- webhooks ---- */

static void add_reference(const char *name, const uuid_t *payment_id, bool manual, buf_t *body)
{
    char text[UUID_TEXT_SIZE + sizeof MANUAL], id[UUID_TEXT_SIZE];
    snprintf(text, sizeof text, "%s%s", uuid_format(payment_id, id), manual ? MANUAL : "");
    json_text(body, name, text);
}

/* What an item says when it has succeeded, and when not, of which reference: its own, or that of
 * the payment it changes. Where money that was authorised is not taken in the end, that is VOIDED.
 * A capture that has failed leaves the authorisation as it was. A cancel-or-refund, which nobody
 * asks for but people at Adyen, gives back either way. RFIs and the like hold no money back. */
static const struct {
    const char *code;
    psp_fact_kind_t succeeded, failed;
    const char *reference;
} events[] = {
    {"AUTHORISATION", PSP_FACT_CAPTURED, PSP_FACT_FAILED, "pspReference"},
    {"CAPTURE", PSP_FACT_CAPTURED, PSP_FACT_FAILED, "originalReference"},
    {"CAPTURE_FAILED", PSP_FACT_FAILED, PSP_FACT_NONE, "originalReference"},
    {"CANCELLATION", PSP_FACT_VOIDED, PSP_FACT_NONE, "originalReference"},
    {"TECHNICAL_CANCEL", PSP_FACT_VOIDED, PSP_FACT_NONE, "originalReference"},
    {"EXPIRE", PSP_FACT_VOIDED, PSP_FACT_NONE, "originalReference"},
    {"OFFER_CLOSED", PSP_FACT_EXPIRED, PSP_FACT_NONE, "pspReference"},
    {"REFUND", PSP_FACT_REFUND_SUCCEEDED, PSP_FACT_REFUND_FAILED, "pspReference"},
    {"CANCEL_OR_REFUND", PSP_FACT_REFUND_SUCCEEDED, PSP_FACT_REFUND_FAILED, "pspReference"},
    {"REFUND_FAILED", PSP_FACT_REFUND_FAILED, PSP_FACT_NONE, "pspReference"},
    {"REFUNDED_REVERSED", PSP_FACT_REFUND_FAILED, PSP_FACT_NONE, "pspReference"},
    {"NOTIFICATION_OF_CHARGEBACK", PSP_FACT_DISPUTE_OPENED, PSP_FACT_NONE, "pspReference"},
    {"CHARGEBACK", PSP_FACT_DISPUTE_OPENED, PSP_FACT_NONE, "pspReference"},
    {"CHARGEBACK_REVERSED", PSP_FACT_DISPUTE_WON, PSP_FACT_NONE, "pspReference"},
    {"PREARBITRATION_WON", PSP_FACT_DISPUTE_WON, PSP_FACT_NONE, "pspReference"},
    {"SECOND_CHARGEBACK", PSP_FACT_DISPUTE_LOST, PSP_FACT_NONE, "pspReference"},
    {"PREARBITRATION_LOST", PSP_FACT_DISPUTE_LOST, PSP_FACT_NONE, "pspReference"},
};

static psp_fact_kind_t kind_of(str_t code, bool succeeded, bool manual, const char **reference)
{
    if (manual && succeeded && str_is(code, "AUTHORISATION")) {
        *reference = "pspReference";
        return PSP_FACT_AUTHORIZED;
    }
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (str_is(code, events[i].code)) {
            *reference = events[i].reference;
            return succeeded ? events[i].succeeded : events[i].failed;
        }
    return PSP_FACT_NONE;
}

/* "AUTHORISATION_8825408195409505_true" */
static err_t read_event_id(const json_t *item, psp_report_t *report, err_detail_t *detail)
{
    str_t code = json_read_str(item, "eventCode"), reference = json_read_str(item, "pspReference"),
          success = json_read_str(item, "success");
    if (!adyen_is_id(code) || code.size > EVENT_CODE_MAX_BYTES)
        return psp_malformed(detail, "eventCode", "must be the name of an event");
    if (!adyen_is_id(reference) || reference.size > ADYEN_REFERENCE_MAX_BYTES)
        return psp_malformed(detail, "pspReference", "must be a reference of Adyen's");
    if (!str_is(success, "true") && !str_is(success, "false"))
        return psp_malformed(detail, "success", "must be true or false");
    snprintf(report->event_id, sizeof report->event_id, "%.*s_%.*s_%.*s", STR_ARG(code),
             STR_ARG(reference), STR_ARG(success));
    return ERR_OK;
}

/* A card that was checked, say: nothing has moved. */
static bool is_of_no_money(const json_t *item)
{
    const json_t *value = json_object_get(json_object_get(item, "amount"), "value");
    return json_is_integer(value) && json_integer_value(value) == 0;
}

/* Not ours, and no money of the account's moves. */
static bool is_foreign(const uuid_t *payment_id, psp_fact_kind_t kind)
{
    return uuid_is_nil(payment_id) && kind != PSP_FACT_CAPTURED && kind < PSP_FACT_REFUND_REQUESTED;
}

static err_t read_item(const json_t *item, psp_report_t *report, err_detail_t *detail)
{
    const char *reference = NULL;
    uuid_t payment_id, refund_id;
    str_t reason = json_read_str(item, "reason");
    if (str_is(json_read_str(item, "eventCode"), "REPORT_AVAILABLE"))
        return adyen_read_announcement(item, report, detail);
    TRY(read_event_id(item, report, detail));
    const psp_fact_kind_t kind =
        kind_of(json_read_str(item, "eventCode"), str_is(json_read_str(item, "success"), "true"),
                is_manual(json_read_str(item, "merchantReference")), &reference);
    adyen_read_merchant_reference(json_read_str(item, "merchantReference"), &payment_id,
                                  &refund_id);
    if (kind == PSP_FACT_NONE || is_foreign(&payment_id, kind) || is_of_no_money(item))
        return ERR_OK;
    report->kind = kind;
    report->payment_id = payment_id;
    if (psp_fact_is_refund(kind))
        report->refund_id = refund_id;
    TRY(adyen_read_psp_reference(item, reference, report, detail));
    TRY(read_amount(item, report, detail));
    psp_read_reason(str_is(reason, "null") ? (str_t){NULL, 0} : reason, report);
    psp_read_fault((str_t){NULL, 0}, (str_t){NULL, 0}, report);
    return psp_read_rfc3339(item, "eventDate", &report->occurred_at_us, detail);
}

/* A batch, or one of its items as it was stored. No webhook of the prototype has either. */
static bool recognises(str_t text, const json_t *body)
{
    (void)text;
    return (json_is_array(json_object_get(body, "notificationItems")) ||
            json_is_object(json_object_get(body, "NotificationRequestItem"))) &&
           !json_object_get(body, "gateway_txn_id");
}

static err_t webhook_read(str_t text, const json_t *body, psp_report_t *report,
                          err_detail_t *detail)
{
    (void)text;
    const json_t *item = json_object_get(body, "NotificationRequestItem");
    if (!json_is_object(item))
        return psp_malformed(detail, "NotificationRequestItem", "is not in the item");
    return read_item(item, report, detail);
}

/* One of a batch that may be believed, with its own bytes. */
static err_t take_item(str_t body, size_t index, const json_t *item, psp_webhook_t *webhook,
                       err_detail_t *detail)
{
    char path[40];
    memset(webhook, 0, sizeof *webhook);
    TRY(read_item(item, &webhook->report, detail));
    snprintf(path, sizeof path, "notificationItems.%zu", index);
    if (!json_raw_find(body, path, &webhook->body))
        return psp_malformed(detail, "notificationItems", "must be written without escapes");
    return ERR_OK;
}

static err_t read_batch(const psp_account_t *account, str_t body, const json_t *root,
                        psp_webhook_t *webhooks, size_t *count, err_detail_t *detail)
{
    const json_t *batch = json_object_get(root, "notificationItems");
    err_t err = err_set(detail, ERR_SIGNATURE_INVALID, "there are no notificationItems");
    char reason[SIGNATURE_REASON_SIZE];
    str_t secrets[SIGNATURE_SECRETS_MAX];
    const size_t secret_count = signature_secrets(account->webhook_secrets, secrets);
    if (json_array_size(batch) > PSP_WEBHOOKS_MAX)
        return psp_malformed(detail, "notificationItems", "must not be over 16");
    for (size_t i = 0; i < json_array_size(batch); i++) {
        const json_t *item = json_object_get(json_array_get(batch, i), "NotificationRequestItem");
        if (signature_adyen_item(secrets, secret_count, item, reason)) {
            const err_t item_err = take_item(body, i, item, &webhooks[*count], detail);
            if (item_err == ERR_OK)
                ++*count;
            else
                err = item_err;
        } else if (err == ERR_SIGNATURE_INVALID) {
            err = err_set(detail, ERR_SIGNATURE_INVALID, "%s", reason);
        }
    }
    return *count > 0 ? ERR_OK : err;
}

static err_t webhook_verify(const psp_t *psp, const psp_account_t *account, bool dev,
                            psp_header_fn *header, void *header_arg, str_t body, int64_t now_us,
                            psp_webhook_t *webhooks, size_t *count, err_detail_t *detail)
{
    (void)psp;
    (void)dev; /* the same in production and development */
    (void)header;
    (void)header_arg; /* the signatures are in the body */
    (void)now_us;     /* no timestamp is signed */
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    const err_t err = read_batch(account, body, root, webhooks, count, detail);
    json_decref(root);
    return err;
}

/* ---- requests ---- */

/* The API's place at the host: on test hosts the root, on live ones below /checkout. */
static const char *root_of(const psp_account_t *account)
{
    str_t url = str_of(account->base_url);
    const uint32_t size = sizeof ADYEN_LIVE_API_SUFFIX - 1;
    const bool live =
        url.size > size && memcmp(url.data + url.size - size, ADYEN_LIVE_API_SUFFIX, size) == 0;
    return live ? "/checkout/" API_VERSION : "/" API_VERSION;
}

void adyen_begin(const psp_account_t *account, const char *method, http_client_request_t *request)
{
    request->method = method;
    http_client_request_header(request, "X-API-Key: %s", account->key_secret);
    if (strcmp(method, "POST") == 0)
        http_client_request_header(request, "Content-Type: application/json");
}

static void add_key(const uuid_t *key, http_client_request_t *request)
{
    char text[UUID_TEXT_SIZE];
    http_client_request_header(request, "Idempotency-Key: %s", uuid_format(key, text));
}

static void add_amount(int64_t amount, const char *currency, buf_t *body)
{
    char units[PSP_UNITS_TEXT_SIZE];
    psp_units_format(amount, currency, own_ways, units);
    json_open_object(body, "amount");
    json_text(body, "currency", currency);
    json_raw(body, "value", units, strlen(units));
    json_close_object(body);
}

const char *adyen_country_of(const char *currency, char country[3])
{
    static const char *const shared[][2] = {{"EUR", "NL"}, {"XAF", "CM"}, {"XOF", "SN"},
                                            {"XPF", "PF"}, {"XCD", "AG"}, {"XCG", "CW"},
                                            {"ANG", "CW"}};
    snprintf(country, 3, "%.2s", currency);
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
        if (strcmp(currency, shared[i][0]) == 0)
            snprintf(country, 3, "%s", shared[i][1]);
    return country;
}

void adyen_add_return_url(const psp_checkout_t *checkout, buf_t *url)
{
    char payment_id[UUID_TEXT_SIZE];
    buf_printf(url, "%s/checkout/%s/return", checkout->public_url,
               uuid_format(&checkout->payment_id, payment_id));
}

static void checkout_request(const psp_account_t *account, const psp_checkout_t *checkout,
                             http_client_request_t *request)
{
    char country[3];
    const int64_t latest_us = psp_attempt_began_us(checkout) + SESSION_LIVES_AT_MOST_S * second_us;
    const int64_t expires_at_us =
        checkout->expires_at_us < latest_us ? checkout->expires_at_us : latest_us;
    buf_t *body = &request->body;
    buf_t url = {0};
    adyen_begin(account, "POST", request);
    add_key(&checkout->attempt_id, request);
    snprintf(request->url, sizeof request->url, "%s%s/sessions", account->base_url,
             root_of(account));
    adyen_add_return_url(checkout, &url);
    json_open_object(body, NULL);
    add_amount(checkout->amount, checkout->currency, body);
    json_text(body, "countryCode", adyen_country_of(checkout->currency, country));
    json_text(body, "merchantAccount", account->account);
    json_open_object(body, "metadata");
    json_uuid(body, "payment_id", &checkout->payment_id);
    json_uuid(body, "order_id", &checkout->order_id);
    json_close_object(body);
    add_reference("reference", &checkout->payment_id, checkout->manual_capture, body);
    json_text(body, "returnUrl", url.data);
    json_time(body, "expiresAt", expires_at_us / second_us * second_us);
    if (checkout->manual_capture) {
        json_open_object(body, "additionalData");
        json_text(body, "manualCapture", "true");
        json_close_object(body);
    } else {
        json_int(body, "captureDelayHours", 0);
    }
    /* By redirect: the page's policy lets nobody but Adyen into a frame. */
    json_open_object(body, "authenticationData");
    json_open_object(body, "threeDSRequestData");
    json_text(body, "nativeThreeDS", "disabled");
    json_close_object(body);
    json_close_object(body);
    if (checkout->customer.email[0])
        json_text(body, "shopperEmail", checkout->customer.email);
    json_close_object(body);
    buf_free(&url);
}

/* With what the customer came back with; without it Adyen says nothing. */
static bool status_request(const psp_account_t *account, const psp_payment_t *payment,
                           http_client_request_t *request)
{
    char result[sizeof payment->returned];
    const str_t returned = str_of(payment->returned);
    buf_t query = {0};
    int size = -1;
    if (form_copy(returned, "redirectResult", result, sizeof result) && result[0]) {
        adyen_begin(account, "POST", request);
        size = snprintf(request->url, sizeof request->url, "%s%s/payments/details",
                        account->base_url, root_of(account));
        json_open_object(&request->body, NULL);
        json_open_object(&request->body, "details");
        json_text(&request->body, "redirectResult", result);
        json_close_object(&request->body);
        json_close_object(&request->body);
    } else if (form_copy(returned, "sessionResult", result, sizeof result) && result[0] &&
               adyen_is_id(str_of(payment->psp_ref))) {
        adyen_begin(account, "GET", request);
        form_add(&query, "sessionResult", result);
        size = snprintf(request->url, sizeof request->url, "%s%s/sessions/%s?%s", account->base_url,
                        root_of(account), payment->psp_ref, query.data);
    }
    buf_free(&query);
    return size > 0 && (size_t)size < sizeof request->url;
}

/* Under a key of the payment's own: told again, it is the same modification. Adyen remembers a key
 * for 7 days at least, and captures no more than was authorised. */
static void begin_modification(const psp_account_t *account, const char *verb,
                               const psp_authorization_t *authorization,
                               http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE], original[PSP_SEGMENT_SIZE];
    adyen_begin(account, "POST", request);
    http_client_request_header(request, "Idempotency-Key: %s-%s",
                               uuid_format(&authorization->payment_id, payment_id), verb);
    snprintf(request->url, sizeof request->url, "%s%s/payments/%s/%s", account->base_url,
             root_of(account), psp_path_segment(authorization->psp_ref, original), verb);
    json_open_object(&request->body, NULL);
}

static void end_modification(const psp_account_t *account, const psp_authorization_t *authorization,
                             http_client_request_t *request)
{
    json_text(&request->body, "merchantAccount", account->account);
    add_reference("reference", &authorization->payment_id, true, &request->body);
    json_close_object(&request->body);
}

static void capture_request(const psp_account_t *account, const psp_authorization_t *authorization,
                            http_client_request_t *request)
{
    begin_modification(account, "captures", authorization, request);
    add_amount(authorization->amount, authorization->currency, &request->body);
    end_modification(account, authorization, request);
}

static void void_request(const psp_account_t *account, const psp_authorization_t *authorization,
                         http_client_request_t *request)
{
    begin_modification(account, "cancels", authorization, request);
    end_modification(account, authorization, request);
}

static void refund_request(const psp_account_t *account, const psp_refund_t *refund,
                           http_client_request_t *request)
{
    char reference[PAIR_SIZE], capture[PSP_SEGMENT_SIZE];
    buf_t *body = &request->body;
    adyen_begin(account, "POST", request);
    add_key(&refund->refund_id, request);
    snprintf(request->url, sizeof request->url, "%s%s/payments/%s/refunds", account->base_url,
             root_of(account), psp_path_segment(refund->capture_ref, capture));
    json_open_object(body, NULL);
    add_amount(refund->amount, refund->currency, body);
    json_text(body, "merchantAccount", account->account);
    json_text(body, "reference", pair_format(refund, reference));
    json_close_object(body);
}

/* ---- answers ---- */

/* The same key is being worked on, or was a moment ago. */
static bool is_in_progress(const json_t *root)
{
    return str_is(json_read_str(root, "errorCode"), "704");
}

/* What the status does not tell. */
static void blame(const json_t *root, psp_checkout_answer_t *answer)
{
    char message[256] = "";
    str_copy(json_read_str(root, "message"), message, sizeof message);
    if (is_in_progress(root))
        answer->outcome = PSP_CHECKOUT_UNKNOWN; /* it may be open */
    else if (answer->fault == PSP_FAULT_MERCHANT && strstr(message, "shopperEmail"))
        answer->fault = PSP_FAULT_CUSTOMER;
}

/* What the drop-in is opened with: "<session's id> <session's data>". */
static bool read_session(const json_t *root, psp_checkout_answer_t *answer)
{
    str_t id = json_read_str(root, "id"), data = json_read_str(root, "sessionData");
    if (!adyen_is_id(id) || data.size == 0 || id.size + 1 + data.size >= sizeof answer->page_data)
        return false;
    for (uint32_t i = 0; i < data.size; i++)
        if (data.data[i] <= ' ' || data.data[i] > '~')
            return false;
    str_copy(id, answer->psp_ref, sizeof answer->psp_ref);
    snprintf(answer->page_data, sizeof answer->page_data, "%.*s %.*s", STR_ARG(id), STR_ARG(data));
    return true;
}

static void checkout_read(const http_client_response_t *response, psp_checkout_answer_t *answer)
{
    json_t *root =
        json_read_object((str_t){response->body.data, (uint32_t)response->body.size}, NULL);
    if (!psp_checkout_is_answered(response)) {
        psp_checkout_failed(response, json_read_str(root, "message"), answer);
        blame(root, answer);
    } else if (read_session(root, answer)) {
        answer->outcome = PSP_CHECKOUT_OPEN;
    } else {
        psp_checkout_not_understood(answer);
    }
    json_decref(root);
}

static bool is_failure(str_t result_code)
{
    return str_is(result_code, "Refused") || str_is(result_code, "Error") ||
           str_is(result_code, "Cancelled");
}

/* One payment, of a session's or after a redirect. */
static err_t read_payment(const json_t *object, psp_fact_kind_t kind, const psp_payment_t *payment,
                          psp_report_t *report, err_detail_t *detail)
{
    report->kind = kind;
    report->payment_id = payment->payment_id;
    TRY(adyen_read_psp_reference(object, "pspReference", report, detail));
    TRY(read_amount(object, report, detail));
    psp_read_reason(json_read_str(object, "refusalReason"), report);
    psp_read_fault((str_t){NULL, 0}, json_read_str(object, "resultCode"), report);
    psp_derive_event_id("status", report);
    return ERR_OK;
}

/* That of a session which says most: one that was authorised, else one that failed, else NULL. */
static const json_t *payment_of_session(const json_t *session, psp_fact_kind_t authorised,
                                        psp_fact_kind_t *kind)
{
    const json_t *payments = json_object_get(session, "payments"), *failed = NULL;
    for (size_t i = 0; i < json_array_size(payments); i++) {
        const json_t *payment = json_array_get(payments, i);
        str_t result = json_read_str(payment, "resultCode");
        *kind = authorised;
        if (str_is(result, "Authorised"))
            return payment;
        if (is_failure(result) && json_object_get(payment, "amount"))
            failed = payment;
    }
    *kind = PSP_FACT_FAILED;
    return failed;
}

/* The answer about a session has a status, the one after a redirect a resultCode. The latter may be
 * of any payment whose redirectResult somebody has: it has to name this one. Neither tells what
 * became of an authorisation. */
static err_t read_status(const json_t *root, const psp_payment_t *payment, psp_report_t *report,
                         err_detail_t *detail)
{
    str_t result = json_read_str(root, "resultCode"), status = json_read_str(root, "status");
    str_t reference = json_read_str(root, result.data ? "merchantReference" : "reference");
    const psp_fact_kind_t authorised =
        is_manual(reference) ? PSP_FACT_AUTHORIZED : PSP_FACT_CAPTURED;
    psp_fact_kind_t kind = PSP_FACT_NONE;
    const json_t *said = root;
    uuid_t payment_id, refund_id;
    adyen_read_merchant_reference(reference, &payment_id, &refund_id);
    if (!uuid_equal(&payment_id, &payment->payment_id))
        return psp_malformed(detail, result.data ? "merchantReference" : "reference",
                             "is of another payment than was asked for");
    if (!result.data && !status.data)
        return psp_malformed(detail, "status", "is not in the answer");
    if (!result.data)
        said = payment_of_session(root, authorised, &kind);
    else if (str_is(result, "Authorised"))
        kind = authorised;
    else if (is_failure(result) && json_object_get(root, "amount"))
        kind = PSP_FACT_FAILED;
    if (said && kind != PSP_FACT_NONE)
        return read_payment(said, kind, payment, report, detail);
    psp_status_pending(payment, result.data ? result : status, report);
    return ERR_OK;
}

static err_t status_read(const psp_payment_t *payment, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    /* "Invalid sessionResult", or one that was handed in before. */
    if (http_status == 400 || http_status == 404 || http_status == 422) {
        psp_status_unknown(payment, report);
        return ERR_OK;
    }
    if (http_status != 200)
        return psp_status_refused(http_status, detail);
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    const err_t err = read_status(root, payment, report, detail);
    json_decref(root);
    return err;
}

/* Adyen has taken it; how it ends is told by webhooks. */
static err_t read_refund(const json_t *root, const psp_refund_t *asked, psp_report_t *report,
                         err_detail_t *detail)
{
    char reference[PAIR_SIZE];
    if (!str_is(json_read_str(root, "reference"), pair_format(asked, reference)))
        return psp_malformed(detail, "reference", "is of another refund than was asked for");
    if (!str_is(json_read_str(root, "status"), "received"))
        return psp_malformed(detail, "status", "must be received");
    report->kind = PSP_FACT_REFUND_REQUESTED;
    report->payment_id = asked->payment_id;
    report->refund_id = asked->refund_id;
    TRY(adyen_read_psp_reference(root, "pspReference", report, detail));
    return read_amount(root, report, detail);
}

static err_t refund_read(const psp_refund_t *asked, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    const bool taken = http_status == 200 || http_status == 201;
    json_t *root = taken ? psp_read_body(body, detail) : json_read_object(body, NULL);
    err_t err;
    if (taken)
        err = root ? read_refund(root, asked, report, detail) : ERR_MALFORMED_WEBHOOK;
    else if (is_in_progress(root))
        err = psp_malformed(detail, "Idempotency-Key", "is being worked on");
    else
        err =
            psp_refund_refused(asked, http_status, json_read_str(root, "message"), report, detail);
    json_decref(root);
    if (err == ERR_OK)
        psp_derive_event_id("refund", report);
    return err;
}

const psp_connector_t psp_connector_adyen = {
    .checkout_request = checkout_request,
    .checkout_read = checkout_read,
    .page = adyen_page,
    .status_request = status_request,
    .status_read = status_read,
    .capture_request = capture_request,
    .void_request = void_request,
    .refund_request = refund_request,
    .refund_read = refund_read,
    .settlement_request = adyen_settlement_request,
    .settlement_page = adyen_settlement_page,
    .settlement_type = "Type",
    .settlement_of = adyen_settlement_of,
    .settlement_charge = adyen_settlement_charge,
    .settlement_refund = adyen_settlement_refund,
};

const psp_webhooks_t psp_webhooks_adyen = {
    .signature_header = NULL,
    .marker_header = NULL,
    .recognises = recognises,
    .verify = webhook_verify,
    .read = webhook_read,
};
