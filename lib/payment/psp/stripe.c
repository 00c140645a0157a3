/* stripe.c - Stripe: Checkout Sessions on Stripe's page, payment intents, refunds, webhooks.
 *
 * A payment is a Checkout Session (cs_…), whose client_reference_id is ours. The reference of its
 * facts is the payment intent (pi_…), which is what can be given back; of EXPIRED it is the
 * session, since one that nobody paid has no intent; of a refund it is the refund (re_…), of a
 * dispute the dispute. The same whether it comes by webhook or in an answer. API:
 * docs.stripe.com/api (checkout/sessions, payment_intents, refunds, disputes, events), and the npm
 * package stripe 23.1.0 for what requests look like.
 *
 * Signature: signature/stripe.c. What was signed over 300 seconds ago is refused; what is repeated
 * sooner is recognised by the event's id.
 *
 * Ours is found by client_reference_id, and by the metadata that session, intent and refund were
 * made with. An event that moves money and names no payment of ours (another shop on the same
 * account; a dispute, to which Stripe gives no metadata) is taken in all the same, and becomes a
 * dead letter that a person sees. Whatever else is not ours, or says nothing about a payment's
 * money, is an empty report; so are inquiries ("warning_…"), which hold nothing back.
 *
 * Several events tell one fact (payment_intent.succeeded, checkout.session.completed): it has one
 * reference. A failed attempt is FAILED, though the customer may try again on the same page: a
 * capture after it counts.
 *
 * Amounts are minor units, but for the currencies in stripe_units (docs.stripe.com/currencies).
 *
 * What must never happen: a byte of the body believed before the signature fits.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/form.h"
#include "lib/payment/money.h"
#include "lib/payment/psp/answers.h"
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp/fields.h"
#include "lib/payment/psp/stripe.h"

#define SIGNATURE_HEADER "Stripe-Signature"
#define API_VERSION "2026-10-28.endive"

enum {
    /* Stripe takes 30 minutes to 24 hours from the moment it gets the request, which may be sent
     * again a little later. */
    SESSION_LIVES_AT_LEAST_S = 30 * 60 + 300,
    SESSION_LIVES_AT_MOST_S = 24 * 60 * 60 - 60,
};
static const int64_t second_us = 1000000, latest_s = INT64_C(253402300799); /* 9999-12-31 */

/* Two digits for historical reasons where ISO 4217 has none, and the other way round. */
const psp_unit_t stripe_units[] = {{"ISK", 2}, {"MGA", 0}, {"UGX", 2}, {"", 0}};

/* ---- fields ---- */

/* One of Stripe's ids, as it can stand in a path. */
bool stripe_is_id(str_t text)
{
    if (!psp_is_reference(text))
        return false;
    for (uint32_t i = 0; i < text.size; i++)
        if (!isalnum((unsigned char)text.data[i]) && text.data[i] != '_')
            return false;
    return true;
}

/* A linked object is its id, or the whole of it where it was asked for. */
static str_t id_of(const json_t *object, const char *field)
{
    const json_t *link = json_object_get(object, field);
    return json_is_object(link) ? json_read_str(link, "id") : json_read_str(object, field);
}

/* Metadata are whoever's made the object. */
uuid_t stripe_read_metadata(const json_t *object, const char *name)
{
    return psp_read_id(json_object_get(object, "metadata"), name);
}

static uuid_t payment_of_session(const json_t *session)
{
    const uuid_t reference = psp_read_id(session, "client_reference_id");
    return uuid_is_nil(&reference) ? stripe_read_metadata(session, "payment_id") : reference;
}

/* "inr" */
static err_t read_currency(const json_t *object, char currency[4], err_detail_t *detail)
{
    str_t text = json_read_str(object, "currency");
    char upper[4] = "";
    for (uint32_t i = 0; i < text.size && i < 3; i++)
        upper[i] = (char)toupper((unsigned char)text.data[i]);
    if (text.size != 3 || !currency_known(str_of(upper)))
        return psp_malformed(detail, "currency", "must be an ISO 4217 code");
    memcpy(currency, upper, sizeof upper);
    return ERR_OK;
}

err_t stripe_read_amount(const json_t *object, const char *field, psp_report_t *report,
                         err_detail_t *detail)
{
    const json_t *value = json_object_get(object, field);
    TRY(read_currency(object, report->currency, detail));
    if (!json_is_integer(value) ||
        !psp_units_read(json_integer_value(value), report->currency, stripe_units, &report->amount))
        return psp_malformed(detail, field, "must be a positive integer in minor units");
    return ERR_OK;
}

/* Seconds since 1970. */
err_t stripe_read_time(const json_t *object, const char *field, int64_t *wall_us,
                       err_detail_t *detail)
{
    const json_t *value = json_object_get(object, field);
    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        json_integer_value(value) > latest_s)
        return psp_malformed(detail, field, "must be a time in seconds since 1970");
    *wall_us = json_integer_value(value) * second_us;
    return ERR_OK;
}

err_t stripe_read_id(const json_t *object, const char *field, psp_report_t *report,
                     err_detail_t *detail)
{
    str_t id = id_of(object, field);
    if (!stripe_is_id(id))
        return psp_malformed(detail, field, "must be an id");
    str_copy(id, report->psp_ref, sizeof report->psp_ref);
    return ERR_OK;
}

/* ---- what objects say: of webhooks and answers alike ---- */

static err_t read_intent(const json_t *intent, const char *amount_field, psp_report_t *report,
                         err_detail_t *detail)
{
    const json_t *error = json_object_get(intent, "last_payment_error");
    str_t words = json_read_str(error, "message");
    report->payment_id = stripe_read_metadata(intent, "payment_id");
    report->order_id = stripe_read_metadata(intent, "order_id");
    TRY(stripe_read_id(intent, "id", report, detail));
    TRY(stripe_read_amount(intent, amount_field, report, detail));
    psp_read_reason(words.data ? words : json_read_str(error, "code"), report);
    psp_read_fault((str_t){NULL, 0}, json_read_str(error, "decline_code"), report);
    return ERR_OK;
}

/* Of an event about a session: what is paid, has failed or has ended. */
static err_t read_session(const json_t *session, psp_report_t *report, err_detail_t *detail)
{
    const bool unpaid = report->kind == PSP_FACT_CAPTURED &&
                        !str_is(json_read_str(session, "payment_status"), "paid");
    report->payment_id = payment_of_session(session);
    if (uuid_is_nil(&report->payment_id) && !id_of(session, "payment_intent").data) {
        report->kind = PSP_FACT_NONE; /* somebody's subscription, say */
        return ERR_OK;
    }
    if (unpaid)
        report->kind = PSP_FACT_NONE; /* the money is under way */
    report->order_id = stripe_read_metadata(session, "order_id");
    TRY(stripe_read_id(session,
                       unpaid || report->kind == PSP_FACT_EXPIRED ? "id" : "payment_intent", report,
                       detail));
    TRY(stripe_read_amount(session, "amount_total", report, detail));
    psp_read_reason((str_t){NULL, 0}, report);
    return ERR_OK;
}

/* A refund, as its status says. */
err_t stripe_read_refund(const json_t *refund, psp_report_t *report, err_detail_t *detail)
{
    static const struct {
        const char *status;
        psp_fact_kind_t kind;
    } statuses[] = {
        {"pending", PSP_FACT_REFUND_REQUESTED},   {"requires_action", PSP_FACT_REFUND_REQUESTED},
        {"succeeded", PSP_FACT_REFUND_SUCCEEDED}, {"failed", PSP_FACT_REFUND_FAILED},
        {"canceled", PSP_FACT_REFUND_FAILED},
    };
    str_t status = json_read_str(refund, "status");
    report->kind = PSP_FACT_NONE;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (str_is(status, statuses[i].status))
            report->kind = statuses[i].kind;
    if (report->kind == PSP_FACT_NONE)
        return psp_malformed(detail, "status", "must be a status of a refund");
    report->payment_id = stripe_read_metadata(refund, "payment_id");
    report->order_id = stripe_read_metadata(refund, "order_id");
    report->refund_id = stripe_read_metadata(refund, "refund_id");
    TRY(stripe_read_id(refund, "id", report, detail));
    TRY(stripe_read_amount(refund, "amount", report, detail));
    psp_read_reason(json_read_str(refund, "failure_reason"), report);
    return ERR_OK;
}

static err_t read_dispute(const json_t *dispute, psp_report_t *report, err_detail_t *detail)
{
    str_t status = json_read_str(dispute, "status");
    report->kind = str_is(status, "needs_response") || str_is(status, "under_review")
                       ? PSP_FACT_DISPUTE_OPENED
                   : str_is(status, "won")  ? PSP_FACT_DISPUTE_WON
                   : str_is(status, "lost") ? PSP_FACT_DISPUTE_LOST
                                            : PSP_FACT_NONE;
    if (report->kind == PSP_FACT_NONE)
        return ERR_OK;
    report->payment_id = stripe_read_metadata(dispute, "payment_id");
    report->order_id = stripe_read_metadata(dispute, "order_id");
    TRY(stripe_read_id(dispute, "id", report, detail));
    return stripe_read_amount(dispute, "amount", report, detail);
}

/* ---- webhooks ---- */

/* What an event says, by which kind of object. A refund's and a dispute's status say it
 * themselves: their events come out of order. */
static const struct {
    const char *type;
    enum { INTENT, SESSION, REFUND, DISPUTE } of;
    psp_fact_kind_t kind;
    const char *amount_field;
} events[] = {
    {"payment_intent.succeeded", INTENT, PSP_FACT_CAPTURED, "amount_received"},
    {"payment_intent.amount_capturable_updated", INTENT, PSP_FACT_AUTHORIZED, "amount_capturable"},
    {"payment_intent.payment_failed", INTENT, PSP_FACT_FAILED, "amount"},
    {"payment_intent.canceled", INTENT, PSP_FACT_VOIDED, "amount"},
    {"checkout.session.completed", SESSION, PSP_FACT_CAPTURED, NULL},
    {"checkout.session.async_payment_succeeded", SESSION, PSP_FACT_CAPTURED, NULL},
    {"checkout.session.async_payment_failed", SESSION, PSP_FACT_FAILED, NULL},
    {"checkout.session.expired", SESSION, PSP_FACT_EXPIRED, NULL},
    {"refund.created", REFUND, PSP_FACT_NONE, NULL},
    {"refund.updated", REFUND, PSP_FACT_NONE, NULL},
    {"refund.failed", REFUND, PSP_FACT_NONE, NULL},
    {"charge.refund.updated", REFUND, PSP_FACT_NONE, NULL},
    {"charge.dispute.created", DISPUTE, PSP_FACT_NONE, NULL},
    {"charge.dispute.updated", DISPUTE, PSP_FACT_NONE, NULL},
    {"charge.dispute.closed", DISPUTE, PSP_FACT_NONE, NULL},
};

/* No event has what each webhook of the prototype has. Thin events ("v2.core.event") say nothing
 * about payments. */
static bool recognises(str_t text, const json_t *body)
{
    (void)text;
    str_t object = json_read_str(body, "object");
    return (str_is(object, "event") || str_is(object, "v2.core.event")) &&
           !json_object_get(body, "gateway_txn_id");
}

static err_t read_event(size_t event, const json_t *object, psp_report_t *report,
                        err_detail_t *detail)
{
    report->kind = events[event].kind;
    switch (events[event].of) {
    case INTENT:
        return read_intent(object, events[event].amount_field, report, detail);
    case SESSION:
        return read_session(object, report, detail);
    case REFUND:
        return stripe_read_refund(object, report, detail);
    case DISPUTE:
        break;
    }
    return read_dispute(object, report, detail);
}

/* What is not ours and moves no money is nobody's business here. */
static void forget_foreign(psp_report_t *report)
{
    const psp_report_t told = *report;
    if (!uuid_is_nil(&told.payment_id) || told.kind == PSP_FACT_CAPTURED ||
        told.kind >= PSP_FACT_REFUND_REQUESTED)
        return;
    memset(report, 0, sizeof *report);
    memcpy(report->event_id, told.event_id, sizeof report->event_id);
}

static err_t webhook_read(str_t text, const json_t *body, psp_report_t *report,
                          err_detail_t *detail)
{
    (void)text;
    const json_t *object = json_object_get(json_object_get(body, "data"), "object");
    str_t type = json_read_str(body, "type");
    if (!type.data)
        return psp_malformed(detail, "type", "must be the name of an event");
    TRY(psp_read_reference(body, "id", report->event_id, sizeof report->event_id, detail));
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (str_is(type, events[i].type) && str_is(json_read_str(body, "object"), "event")) {
            if (!json_is_object(object))
                return psp_malformed(detail, "data.object", "is not in the event");
            TRY(stripe_read_time(body, "created", &report->occurred_at_us, detail));
            TRY(read_event(i, object, report, detail));
        }
    forget_foreign(report);
    return ERR_OK;
}

static err_t webhook_verify(const psp_t *psp, const psp_account_t *account, bool dev,
                            psp_header_fn *header, void *header_arg, str_t body, int64_t now_us,
                            psp_webhook_t *webhooks, size_t *count, err_detail_t *detail)
{
    (void)psp;
    (void)dev; /* the same in production and development */
    TRY(psp_verify(signature_stripe, account, header, header_arg, body, now_us, detail));
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = recognises(body, root) ? webhook_read(body, root, &webhooks[0].report, detail)
                                       : psp_malformed(detail, "the body", "is no event of Stripe");
    webhooks[0].body = body;
    *count = err == ERR_OK;
    json_decref(root);
    return err;
}

/* ---- requests ---- */

void stripe_begin(const psp_account_t *account, const char *method, http_client_request_t *request)
{
    request->method = method;
    http_client_request_header(request, "Authorization: Bearer %s", account->key_secret);
    http_client_request_header(request, "Stripe-Version: " API_VERSION);
}

/* The same key with the same form is answered as before, for a day. */
static void begin_post(const psp_account_t *account, const char *resource, const uuid_t *key,
                       http_client_request_t *request)
{
    char text[UUID_TEXT_SIZE];
    stripe_begin(account, "POST", request);
    snprintf(request->url, sizeof request->url, "%s/v1/%s", account->base_url, resource);
    http_client_request_header(request, "Content-Type: application/x-www-form-urlencoded");
    http_client_request_header(request, "Idempotency-Key: %s", uuid_format(key, text));
}

static void add_uuid(buf_t *form, const char *name, const uuid_t *uuid)
{
    char text[UUID_TEXT_SIZE];
    form_add(form, name, uuid_format(uuid, text));
}

static void add_units(buf_t *form, const char *name, int64_t amount, const char *currency)
{
    char text[PSP_UNITS_TEXT_SIZE];
    form_add(form, name, psp_units_format(amount, currency, stripe_units, text));
}

/* As the order says, in the bounds that Stripe has. */
static int64_t expiry_s(const psp_checkout_t *checkout)
{
    const int64_t began_s = psp_attempt_began_us(checkout) / second_us;
    const int64_t wanted_s = checkout->expires_at_us / second_us;
    if (wanted_s < began_s + SESSION_LIVES_AT_LEAST_S)
        return began_s + SESSION_LIVES_AT_LEAST_S;
    if (wanted_s > began_s + SESSION_LIVES_AT_MOST_S)
        return began_s + SESSION_LIVES_AT_MOST_S;
    return wanted_s;
}

static void add_item(const psp_checkout_t *checkout, buf_t *form)
{
    char order_id[UUID_TEXT_SIZE], name[UUID_TEXT_SIZE + 8], currency[4];
    for (size_t i = 0; i < sizeof currency; i++)
        currency[i] = (char)tolower((unsigned char)checkout->currency[i]);
    snprintf(name, sizeof name, "Order %s", uuid_format(&checkout->order_id, order_id));
    form_add_int(form, "line_items[0][quantity]", 1);
    form_add(form, "line_items[0][price_data][currency]", currency);
    add_units(form, "line_items[0][price_data][unit_amount]", checkout->amount, checkout->currency);
    form_add(form, "line_items[0][price_data][product_data][name]", name);
}

static void checkout_request(const psp_account_t *account, const psp_checkout_t *checkout,
                             http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE];
    buf_t *form = &request->body;
    buf_t url = {0};
    begin_post(account, "checkout/sessions", &checkout->attempt_id, request);
    uuid_format(&checkout->payment_id, payment_id);
    buf_printf(&url, "%s/checkout/%s/return", checkout->public_url, payment_id);
    form_add(form, "mode", "payment");
    form_add(form, "client_reference_id", payment_id);
    form_add(form, "success_url", url.data);
    form_add(form, "cancel_url", url.data);
    form_add_int(form, "expires_at", expiry_s(checkout));
    form_add(form, "adaptive_pricing[enabled]", "false"); /* paid in the order's currency */
    if (checkout->customer.email[0])
        form_add(form, "customer_email", checkout->customer.email);
    add_item(checkout, form);
    form_add(form, "metadata[payment_id]", payment_id);
    add_uuid(form, "metadata[order_id]", &checkout->order_id);
    form_add(form, "payment_intent_data[capture_method]",
             checkout->manual_capture ? "manual" : "automatic");
    form_add(form, "payment_intent_data[metadata][payment_id]", payment_id);
    add_uuid(form, "payment_intent_data[metadata][order_id]", &checkout->order_id);
    buf_free(&url);
}

/* The session, with its intent and the intent's charge inside. */
static bool status_request(const psp_account_t *account, const psp_payment_t *payment,
                           http_client_request_t *request)
{
    if (!stripe_is_id(str_of(payment->psp_ref)))
        return false;
    stripe_begin(account, "GET", request);
    const int size = snprintf(request->url, sizeof request->url,
                              "%s/v1/checkout/sessions/%s"
                              "?expand%%5B0%%5D=payment_intent.latest_charge",
                              account->base_url, payment->psp_ref);
    return size > 0 && (size_t)size < sizeof request->url;
}

/* Without an Idempotency-Key: an intent is captured or cancelled once by itself, and under a key an
 * error would be answered again for a day. */
static void begin_settle(const psp_account_t *account, const char *verb,
                         const psp_authorization_t *authorization, http_client_request_t *request)
{
    stripe_begin(account, "POST", request);
    snprintf(request->url, sizeof request->url, "%s/v1/payment_intents/%s/%s", account->base_url,
             authorization->psp_ref, verb);
    http_client_request_header(request, "Content-Type: application/x-www-form-urlencoded");
}

static void capture_request(const psp_account_t *account, const psp_authorization_t *authorization,
                            http_client_request_t *request)
{
    begin_settle(account, "capture", authorization, request);
    add_units(&request->body, "amount_to_capture", authorization->amount, authorization->currency);
}

static void void_request(const psp_account_t *account, const psp_authorization_t *authorization,
                         http_client_request_t *request)
{
    begin_settle(account, "cancel", authorization, request);
}

static void refund_request(const psp_account_t *account, const psp_refund_t *refund,
                           http_client_request_t *request)
{
    buf_t *form = &request->body;
    begin_post(account, "refunds", &refund->refund_id, request);
    form_add(form, "payment_intent", refund->capture_ref);
    add_units(form, "amount", refund->amount, refund->currency);
    add_uuid(form, "metadata[refund_id]", &refund->refund_id);
    add_uuid(form, "metadata[payment_id]", &refund->payment_id);
    add_uuid(form, "metadata[order_id]", &refund->order_id);
    if (refund->reason[0]) /* Stripe's own `reason` has three values only */
        form_add(form, "metadata[reason]", refund->reason);
}

/* All refunds of the intent: ours is among them by its metadata. */
static void refund_status_request(const psp_account_t *account, const psp_refund_t *refund,
                                  http_client_request_t *request)
{
    buf_t query = {0};
    stripe_begin(account, "GET", request);
    form_add(&query, "payment_intent", refund->capture_ref);
    form_add_int(&query, "limit", 100);
    snprintf(request->url, sizeof request->url, "%s/v1/refunds?%s", account->base_url, query.data);
    buf_free(&query);
}

/* ---- answers ---- */

/* {"error":{"type":…,"code":…,"message":…}}; of a wrong key the words quote a part of it. */
static str_t words_of(const json_t *root, int http_status)
{
    return http_status == 401 ? (str_t){NULL, 0}
                              : json_read_str(json_object_get(root, "error"), "message");
}

/* What the status does not tell. */
static void blame(const json_t *root, int http_status, psp_checkout_answer_t *answer)
{
    const json_t *error = json_object_get(root, "error");
    if (http_status == 402 || str_is(json_read_str(error, "type"), "card_error") ||
        (http_status == 400 && str_is(json_read_str(error, "param"), "customer_email")))
        answer->fault = PSP_FAULT_CUSTOMER;
    else if (http_status == 409 || str_is(json_read_str(error, "type"), "idempotency_error"))
        /* the same key is being worked on, or was: it may be open */
        answer->outcome = PSP_CHECKOUT_UNKNOWN;
}

static void checkout_read(const http_client_response_t *response, psp_checkout_answer_t *answer)
{
    json_t *root =
        json_read_object((str_t){response->body.data, (uint32_t)response->body.size}, NULL);
    str_t id = json_read_str(root, "id"), url = json_read_str(root, "url");
    if (!psp_checkout_is_answered(response)) {
        psp_checkout_failed(response, words_of(root, response->status), answer);
        if (response->err == ERR_OK)
            blame(root, response->status, answer);
    } else if (stripe_is_id(id) && psp_is_url(url, sizeof answer->checkout_url) &&
               str_is(json_read_str(root, "status"), "open")) {
        answer->outcome = PSP_CHECKOUT_OPEN;
        str_copy(id, answer->psp_ref, sizeof answer->psp_ref);
        str_copy(url, answer->checkout_url, sizeof answer->checkout_url);
    } else {
        psp_checkout_not_understood(answer);
    }
    json_decref(root);
}

/* The charge's time where it was sent along: the intent may be older. */
static err_t read_intent_time(const json_t *intent, int64_t *wall_us, err_detail_t *detail)
{
    const json_t *charge = json_object_get(intent, "latest_charge");
    return stripe_read_time(json_is_object(charge) ? charge : intent, "created", wall_us, detail);
}

/* What the intent of a session says; kind NONE: nothing yet. */
static err_t read_intent_status(const json_t *intent, psp_report_t *report, err_detail_t *detail)
{
    str_t status = json_read_str(intent, "status");
    const char *amount_field = "amount";
    if (str_is(status, "succeeded")) {
        report->kind = PSP_FACT_CAPTURED;
        amount_field = "amount_received";
    } else if (str_is(status, "requires_capture")) {
        report->kind = PSP_FACT_AUTHORIZED;
        amount_field = "amount_capturable";
    } else if (str_is(status, "requires_payment_method") &&
               json_is_object(json_object_get(intent, "last_payment_error"))) {
        report->kind = PSP_FACT_FAILED;
    } else if (str_is(status, "canceled")) {
        report->kind = PSP_FACT_VOIDED;
    } else {
        return ERR_OK;
    }
    TRY(read_intent(intent, amount_field, report, detail));
    return read_intent_time(intent, &report->occurred_at_us, detail);
}

static err_t read_session_status(const json_t *session, const psp_payment_t *payment,
                                 psp_report_t *report, err_detail_t *detail)
{
    const uuid_t named = payment_of_session(session);
    const json_t *intent = json_object_get(session, "payment_intent");
    if (!uuid_equal(&named, &payment->payment_id))
        return psp_malformed(detail, "client_reference_id",
                             "is of another payment than was asked for");
    if (json_is_object(intent))
        TRY(read_intent_status(intent, report, detail));
    if (report->kind == PSP_FACT_NONE && str_is(json_read_str(session, "status"), "expired")) {
        report->kind = PSP_FACT_EXPIRED;
        TRY(read_session(session, report, detail));
        TRY(stripe_read_time(session, "expires_at", &report->occurred_at_us, detail));
    }
    if (report->kind == PSP_FACT_NONE) {
        psp_status_pending(payment, json_read_str(session, "status"), report);
        return ERR_OK;
    }
    report->payment_id = payment->payment_id;
    report->order_id = stripe_read_metadata(session, "order_id");
    psp_derive_event_id("status", report);
    return ERR_OK;
}

static err_t status_read(const psp_payment_t *payment, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    if (http_status == 404) {
        psp_status_unknown(payment, report);
        return ERR_OK;
    }
    if (http_status != 200)
        return psp_status_refused(http_status, detail);
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = read_session_status(root, payment, report, detail);
    json_decref(root);
    return err;
}

static bool is_asked_for(const json_t *refund, const psp_refund_t *asked)
{
    const uuid_t refund_id = stripe_read_metadata(refund, "refund_id");
    return uuid_equal(&refund_id, &asked->refund_id);
}

/* A refund, or the one among a list; NULL: it is not there. */
static const json_t *refund_in(const json_t *root, const psp_refund_t *asked)
{
    const json_t *list = json_object_get(root, "data");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (is_asked_for(json_array_get(list, i), asked))
            return json_array_get(list, i);
    return !list && is_asked_for(root, asked) ? root : NULL;
}

static err_t read_refund_answer(const json_t *root, const psp_refund_t *asked, psp_report_t *report,
                                err_detail_t *detail)
{
    const json_t *refund = refund_in(root, asked);
    if (!refund && json_is_array(json_object_get(root, "data")) &&
        json_is_false(json_object_get(root, "has_more"))) {
        psp_refund_absent(asked, report);
        return ERR_OK;
    }
    if (!refund)
        return psp_malformed(detail, "metadata.refund_id",
                             "is of another refund than was asked for");
    TRY(stripe_read_refund(refund, report, detail));
    report->payment_id = asked->payment_id;
    return stripe_read_time(refund, "created", &report->occurred_at_us, detail);
}

/* A key that was used with another form says nothing about the refund. */
static bool is_about_key(const json_t *root)
{
    return str_is(json_read_str(json_object_get(root, "error"), "type"), "idempotency_error");
}

static err_t refund_read(const psp_refund_t *asked, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    json_t *root = http_status == 200 ? psp_read_body(body, detail) : json_read_object(body, NULL);
    err_t err;
    if (http_status == 200)
        err = root ? read_refund_answer(root, asked, report, detail) : ERR_MALFORMED_WEBHOOK;
    else if (is_about_key(root))
        err = psp_malformed(detail, "Idempotency-Key", "was used for another request");
    else
        err = psp_refund_refused(asked, http_status, words_of(root, http_status), report, detail);
    json_decref(root);
    if (err == ERR_OK)
        psp_derive_event_id("refund", report);
    return err;
}

const psp_connector_t psp_connector_stripe = {
    .checkout_request = checkout_request,
    .checkout_read = checkout_read,
    .status_request = status_request,
    .status_read = status_read,
    .capture_request = capture_request,
    .void_request = void_request,
    .refund_request = refund_request,
    .refund_status_request = refund_status_request,
    .refund_read = refund_read,
    .settlement_request = stripe_settlement_request,
    .settlement_lines = "data",
    .settlement_type = "type",
    .settlement_next = stripe_settlement_next,
    .settlement_of = stripe_settlement_of,
    .settlement_charge = stripe_settlement_charge,
    .settlement_refund = stripe_settlement_refund,
};

const psp_webhooks_t psp_webhooks_stripe = {
    .signature_header = SIGNATURE_HEADER,
    .marker_header = SIGNATURE_HEADER,
    .recognises = recognises,
    .verify = webhook_verify,
    .read = webhook_read,
};
