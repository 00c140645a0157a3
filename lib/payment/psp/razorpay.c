/* razorpay.c - Razorpay: payment links, orders, their payments, refunds, webhooks.
 *
 * A payment is a payment link, whose reference_id is ours; one that is captured by hand is an order
 * with our receipt, which is paid on a page of ours with Razorpay's checkout.js: only orders can
 * say how they are captured (razorpay.com/docs/payments/payments/capture-settings). The reference
 * of its facts is the payment (pay_…), of a refund the refund (rfnd_…). API:
 * razorpay.com/docs/api/payments/payment-links, …/api/orders, …/api/refunds.
 *
 * There is no void. What is authorised and not captured in the time that its order gives it is
 * given back by Razorpay itself: by a refund of a payment that says `captured` false, which here is
 * VOIDED, since nothing was ever taken (razorpay.com/docs/payments/refunds/auto-refunds).
 *
 * Signature: X-Razorpay-Signature is the HMAC-SHA256 of the body's bytes under the webhook secret,
 * in small hexadecimal letters. After a change of the secret, retries of older events are still
 * signed with the old one: both are configured for a day. There is no timestamp; what is repeated
 * is recognised by x-razorpay-event-id, which is the same on every retry of one event.
 * Source: razorpay.com/docs/webhooks (validate-test, best-practices, payloads), and the npm package
 * razorpay 2.9.8, validateWebhookSignature.
 *
 * Ours is found by the notes that the payment was made with: notes.payment_id and notes.order_id;
 * of a refund of ours, notes.refund_id. An event that moves money and names no payment of ours (a
 * payment link made by hand, another shop on the same account) is taken in all the same, and
 * becomes a dead letter that a person sees: refusing it would make Razorpay repeat it for a day and
 * then switch the whole endpoint off. Events that say nothing about a payment's money are empty
 * reports.
 *
 * What must never happen: a byte of the body believed before the signature fits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/payment/money.h"
#include "lib/payment/psp/answers.h"
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp/fields.h"
#include "lib/payment/psp/razorpay.h"
#include "lib/payment/signature.h"

#define SIGNATURE_HEADER "X-Razorpay-Signature"
#define EVENT_ID_HEADER "X-Razorpay-Event-Id"

enum {
    LINK_LIVES_AT_LEAST_S = 930,   /* Razorpay wants 15 minutes, by its clock */
    LINES_OF_A_DAY_MAX = 10000000, /* of a settlement report */
    REFUNDS_MAX = 100,             /* in an answer about a payment's */
};
static const int64_t second_us = 1000000, latest_s = INT64_C(253402300799); /* 9999-12-31 */

/* What each event says of which entity, whose id is the reference of the fact. An event is a
 * snapshot: its name counts, not the entity's status at that time. Two names for one fact are one
 * fact (order.paid carries the payment that paid). A dispute that is `closed` took nothing:
 * amount_deducted is 0 unless it is lost (razorpay.com/docs/api/disputes/entity). */
static const struct {
    const char *event;
    psp_fact_kind_t kind;
    const char *entity;
} events[] = {
    {"payment.authorized", PSP_FACT_AUTHORIZED, "payment"},
    {"payment.captured", PSP_FACT_CAPTURED, "payment"},
    {"order.paid", PSP_FACT_CAPTURED, "payment"},
    {"payment.failed", PSP_FACT_FAILED, "payment"},
    {"refund.created", PSP_FACT_REFUND_REQUESTED, "refund"},
    {"refund.processed", PSP_FACT_REFUND_SUCCEEDED, "refund"},
    {"refund.failed", PSP_FACT_REFUND_FAILED, "refund"},
    {"payment.dispute.created", PSP_FACT_DISPUTE_OPENED, "dispute"},
    {"payment.dispute.under_review", PSP_FACT_DISPUTE_OPENED, "dispute"},
    {"payment.dispute.action_required", PSP_FACT_DISPUTE_OPENED, "dispute"},
    {"payment.dispute.won", PSP_FACT_DISPUTE_WON, "dispute"},
    {"payment.dispute.closed", PSP_FACT_DISPUTE_WON, "dispute"},
    {"payment.dispute.lost", PSP_FACT_DISPUTE_LOST, "dispute"},
};

/* ---- body ---- */

/* payload.<name>.entity, or NULL. */
static const json_t *entity_of(const json_t *body, const char *name)
{
    const json_t *payload = json_object_get(body, "payload");
    return json_object_get(json_object_get(payload, name), "entity");
}

uuid_t razorpay_read_note(const json_t *entity, const char *name)
{
    return psp_read_id(json_object_get(entity, "notes"), name);
}

err_t razorpay_read_time(const json_t *entity, int64_t *wall_us, err_detail_t *detail)
{
    const json_t *value = json_object_get(entity, "created_at");
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > latest_s)
        return psp_malformed(detail, "created_at", "must be a time in seconds since 1970");
    *wall_us = json_integer_value(value) * second_us;
    return ERR_OK;
}

static err_t read_entity(const json_t *body, const char *name, psp_report_t *report,
                         err_detail_t *detail)
{
    const json_t *entity = entity_of(body, name), *payment = entity_of(body, "payment");
    if (!json_is_object(entity))
        return psp_malformed(detail, name, "is not in the payload");
    report->payment_id = razorpay_read_note(payment, "payment_id");
    report->order_id = razorpay_read_note(payment, "order_id");
    if (psp_fact_is_refund(report->kind))
        report->refund_id = razorpay_read_note(entity, "refund_id");
    TRY(psp_read_reference(entity, "id", report->psp_ref, sizeof report->psp_ref, detail));
    TRY(psp_read_amount(entity, &report->amount, detail));
    TRY(psp_read_currency(entity, report->currency, detail));
    psp_read_reason(json_read_str(entity, "error_description"), report);
    psp_read_fault(json_read_str(entity, "error_source"), json_read_str(entity, "error_reason"),
                   report);
    return razorpay_read_time(body, &report->occurred_at_us, detail);
}

/* No event has what each webhook of the prototype has. */
static bool recognises(str_t text, const json_t *body)
{
    (void)text;
    return json_is_string(json_object_get(body, "event")) &&
           json_is_object(json_object_get(body, "payload")) &&
           !json_object_get(body, "gateway_txn_id");
}

/* Razorpay gives back by itself what was authorised and is not captured in time, and tells of it as
 * of any refund (razorpay.com/docs/payments/refunds/auto-refunds). Nothing was taken, so that
 * nothing is given back. */
static bool is_released(const json_t *body, psp_fact_kind_t kind)
{
    return psp_fact_is_refund(kind) &&
           json_is_false(json_object_get(entity_of(body, "payment"), "captured"));
}

static err_t webhook_read(str_t text, const json_t *body, psp_report_t *report,
                          err_detail_t *detail)
{
    (void)text;
    str_t event = json_read_str(body, "event");
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        const psp_fact_kind_t kind = events[i].kind;
        if (!str_is(event, events[i].event))
            continue;
        if (!is_released(body, kind)) {
            report->kind = kind;
            return read_entity(body, events[i].entity, report, detail);
        }
        if (kind != PSP_FACT_REFUND_SUCCEEDED)
            return ERR_OK;
        report->kind = PSP_FACT_VOIDED;
        return read_entity(body, "payment", report, detail);
    }
    return ERR_OK;
}

static err_t read_event_id(psp_header_fn *header, void *header_arg, psp_report_t *report,
                           err_detail_t *detail)
{
    str_t text = str_of(header(header_arg, EVENT_ID_HEADER));
    if (!psp_is_reference(text))
        return psp_malformed(detail, EVENT_ID_HEADER, "must be a header of 1 to 120 bytes");
    str_copy(text, report->event_id, sizeof report->event_id);
    return ERR_OK;
}

static err_t webhook_verify(const psp_t *psp, const psp_account_t *account, bool dev,
                            psp_header_fn *header, void *header_arg, str_t body, int64_t now_us,
                            psp_webhook_t *webhooks, size_t *count, err_detail_t *detail)
{
    psp_report_t *report = &webhooks[0].report;
    (void)psp;
    (void)dev; /* the same in production and development */
    TRY(psp_verify(signature_razorpay, account, header, header_arg, body, now_us, detail));
    TRY(read_event_id(header, header_arg, report, detail));
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = recognises(body, root)
                    ? webhook_read(body, root, report, detail)
                    : psp_malformed(detail, "the body", "is no event of Razorpay");
    webhooks[0].body = body;
    *count = err == ERR_OK;
    json_decref(root);
    return err;
}

/* ---- checkout ---- */

void razorpay_begin(const psp_account_t *account, const char *method,
                    http_client_request_t *request)
{
    request->method = method;
    psp_add_basic(account->key_id, account->key_secret, request);
    if (strcmp(method, "POST") == 0)
        http_client_request_header(request, "Content-Type: application/json");
}

static void add_customer(const psp_customer_t *customer, buf_t *body)
{
    if (!customer->name[0] && !customer->email[0] && !customer->phone[0])
        return;
    json_open_object(body, "customer");
    if (customer->name[0])
        json_text(body, "name", customer->name);
    if (customer->email[0])
        json_text(body, "email", customer->email);
    if (customer->phone[0])
        json_text(body, "contact", customer->phone);
    json_close_object(body);
}

void razorpay_add_notes(const psp_checkout_t *checkout, buf_t *body)
{
    json_open_object(body, "notes");
    json_uuid(body, "payment_id", &checkout->payment_id);
    json_uuid(body, "order_id", &checkout->order_id);
    json_close_object(body);
}

static void link_request(const psp_account_t *account, const psp_checkout_t *checkout,
                         http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE];
    const int64_t earliest_us = checkout->now_us + LINK_LIVES_AT_LEAST_S * second_us;
    const int64_t expires_at_us =
        checkout->expires_at_us > earliest_us ? checkout->expires_at_us : earliest_us;
    buf_t *body = &request->body;
    buf_t url = {0};
    razorpay_begin(account, "POST", request);
    snprintf(request->url, sizeof request->url, "%s/v1/payment_links", account->base_url);
    uuid_format(&checkout->payment_id, payment_id);
    buf_printf(&url, "%s/checkout/%s/return", checkout->public_url, payment_id);
    json_open_object(body, NULL);
    json_int(body, "amount", checkout->amount);
    json_text(body, "currency", checkout->currency);
    json_text(body, "reference_id", payment_id);
    json_text(body, "description", "Order");
    json_int(body, "expire_by", expires_at_us / second_us);
    add_customer(&checkout->customer, body);
    json_open_object(body, "notify"); /* the customer is here */
    json_bool(body, "sms", false);
    json_bool(body, "email", false);
    json_close_object(body);
    razorpay_add_notes(checkout, body);
    json_text(body, "callback_url", url.data);
    json_text(body, "callback_method", "get");
    json_close_object(body);
    buf_free(&url);
}

static void checkout_request(const psp_account_t *account, const psp_checkout_t *checkout,
                             http_client_request_t *request)
{
    if (checkout->manual_capture)
        razorpay_order_request(account, checkout, request);
    else
        link_request(account, checkout, request);
}

/* {"error":{"description":…}} */
static str_t words_of(const json_t *root)
{
    return json_read_str(json_object_get(root, "error"), "description");
}

static void checkout_find_request(const psp_account_t *account, const psp_checkout_t *checkout,
                                  http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE];
    razorpay_begin(account, "GET", request);
    snprintf(request->url, sizeof request->url, "%s/v1/payment_links?reference_id=%s",
             account->base_url, uuid_format(&checkout->payment_id, payment_id));
}

/* An order, a link, or a list with one. */
static void checkout_read(const http_client_response_t *response, psp_checkout_answer_t *answer)
{
    json_t *root =
        json_read_object((str_t){response->body.data, (uint32_t)response->body.size}, NULL);
    const json_t *list = json_object_get(root, "payment_links");
    const json_t *link = list ? json_array_get(list, 0) : root;
    str_t id = json_read_str(link, "id"), url = json_read_str(link, "short_url");
    if (!psp_checkout_is_answered(response)) {
        psp_checkout_failed(response, words_of(root), answer);
        answer->exists = strstr(answer->reason, "already exists") != NULL;
    } else if (razorpay_order_is_open(root)) {
        answer->outcome = PSP_CHECKOUT_OPEN;
        str_copy(id, answer->psp_ref, sizeof answer->psp_ref);
        str_copy(id, answer->page_data, sizeof answer->page_data);
    } else if (psp_is_reference(id) && psp_is_url(url, sizeof answer->checkout_url) &&
               str_is(json_read_str(link, "status"), "created")) {
        answer->outcome = PSP_CHECKOUT_OPEN;
        str_copy(id, answer->psp_ref, sizeof answer->psp_ref);
        str_copy(url, answer->checkout_url, sizeof answer->checkout_url);
    } else {
        psp_checkout_not_understood(answer);
    }
    json_decref(root);
}

/* ---- status: of the payment link, or of the order's payments ---- */

static bool status_request(const psp_account_t *account, const psp_payment_t *payment,
                           http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE], link[PSP_SEGMENT_SIZE];
    razorpay_begin(account, "GET", request);
    if (razorpay_is_order(str_of(payment->psp_ref)))
        snprintf(request->url, sizeof request->url, "%s/v1/orders/%s/payments", account->base_url,
                 psp_path_segment(payment->psp_ref, link));
    else if (payment->psp_ref[0])
        snprintf(request->url, sizeof request->url, "%s/v1/payment_links/%s", account->base_url,
                 psp_path_segment(payment->psp_ref, link));
    else
        snprintf(request->url, sizeof request->url, "%s/v1/payment_links?reference_id=%s",
                 account->base_url, uuid_format(&payment->payment_id, payment_id));
    return true;
}

/* The payment of a link that says most: one that was captured, else one that failed, else NULL. */
static const json_t *payment_of_link(const json_t *link, psp_fact_kind_t *kind)
{
    const json_t *payments = json_object_get(link, "payments"), *found = NULL;
    *kind = PSP_FACT_NONE;
    for (size_t i = 0; i < json_array_size(payments); i++) {
        const json_t *payment = json_array_get(payments, i);
        str_t status = json_read_str(payment, "status");
        if (str_is(status, "captured") && *kind != PSP_FACT_CAPTURED) {
            *kind = PSP_FACT_CAPTURED;
            found = payment;
        } else if (str_is(status, "failed") && *kind == PSP_FACT_NONE) {
            *kind = PSP_FACT_FAILED;
            found = payment;
        }
    }
    return found;
}

static err_t read_link(const json_t *link, const psp_payment_t *payment, psp_report_t *report,
                       err_detail_t *detail)
{
    str_t reference = json_read_str(link, "reference_id");
    uuid_t named;
    if (!reference.data || !uuid_parse(reference.data, reference.size, &named) ||
        !uuid_equal(&named, &payment->payment_id))
        return psp_malformed(detail, "reference_id", "is of another payment than was asked for");
    const json_t *paid = payment_of_link(link, &report->kind);
    if (!paid) {
        psp_status_pending(payment, json_read_str(link, "status"), report);
        return ERR_OK;
    }
    report->payment_id = payment->payment_id;
    TRY(psp_read_reference(paid, "payment_id", report->psp_ref, sizeof report->psp_ref, detail));
    TRY(psp_read_amount(paid, &report->amount, detail));
    TRY(psp_read_currency(link, report->currency, detail));
    TRY(razorpay_read_time(paid, &report->occurred_at_us, detail));
    psp_read_reason((str_t){NULL, 0}, report);
    psp_derive_event_id("status", report);
    return ERR_OK;
}

static err_t status_read(const psp_payment_t *payment, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    if (http_status == 404 || http_status == 400) { /* "The id provided does not exist" */
        psp_status_unknown(payment, report);
        return ERR_OK;
    }
    if (http_status != 200)
        return psp_status_refused(http_status, detail);
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = ERR_OK;
    const json_t *list = json_object_get(root, "payment_links"),
                 *items = json_object_get(root, "items");
    if (json_is_array(items))
        err = razorpay_order_read_payments(items, payment, report, detail);
    else if (list && json_array_size(list) == 0)
        psp_status_unknown(payment, report);
    else
        err = read_link(list ? json_array_get(list, 0) : root, payment, report, detail);
    json_decref(root);
    return err;
}

/* ---- refunds ---- */

static void refund_request(const psp_account_t *account, const psp_refund_t *refund,
                           http_client_request_t *request)
{
    char refund_id[UUID_TEXT_SIZE];
    buf_t *body = &request->body;
    char capture[PSP_SEGMENT_SIZE];
    razorpay_begin(account, "POST", request);
    snprintf(request->url, sizeof request->url, "%s/v1/payments/%s/refund", account->base_url,
             psp_path_segment(refund->capture_ref, capture));
    uuid_format(&refund->refund_id, refund_id);
    http_client_request_header(request, "X-Refund-Idempotency: %s", refund_id);
    json_open_object(body, NULL);
    json_int(body, "amount", refund->amount);
    json_text(body, "speed", "normal");
    json_open_object(body, "notes");
    json_text(body, "refund_id", refund_id);
    json_uuid(body, "payment_id", &refund->payment_id);
    json_uuid(body, "order_id", &refund->order_id);
    if (refund->reason[0])
        json_text(body, "reason", refund->reason);
    json_close_object(body);
    json_text(body, "receipt", refund_id);
    json_close_object(body);
}

/* The refunds of the payment (10, unless more are asked for): ours is among them by its note. */
static void refund_status_request(const psp_account_t *account, const psp_refund_t *refund,
                                  http_client_request_t *request)
{
    char capture[PSP_SEGMENT_SIZE];
    razorpay_begin(account, "GET", request);
    snprintf(request->url, sizeof request->url, "%s/v1/payments/%s/refunds?count=%d",
             account->base_url, psp_path_segment(refund->capture_ref, capture), REFUNDS_MAX);
}

static bool is_asked_for(const json_t *entity, const psp_refund_t *asked)
{
    const uuid_t refund_id = razorpay_read_note(entity, "refund_id");
    return uuid_equal(&refund_id, &asked->refund_id);
}

/* A refund, or the one among a collection; NULL: it is not there. */
static const json_t *refund_in(const json_t *root, const psp_refund_t *asked)
{
    const json_t *items = json_object_get(root, "items");
    for (size_t i = 0; i < json_array_size(items); i++)
        if (is_asked_for(json_array_get(items, i), asked))
            return json_array_get(items, i);
    return !items && is_asked_for(root, asked) ? root : NULL;
}

/* All refunds of the payment, and ours is not among them. */
static bool is_list_without(const json_t *root, const psp_refund_t *asked)
{
    const json_t *items = json_object_get(root, "items");
    return json_is_array(items) && json_array_size(items) < REFUNDS_MAX && !refund_in(root, asked);
}

static err_t read_refund(const json_t *entity, const psp_refund_t *asked, psp_report_t *report,
                         err_detail_t *detail)
{
    if (!entity)
        return psp_malformed(detail, "notes.refund_id", "is of another refund than was asked for");
    str_t status = json_read_str(entity, "status");
    report->kind = str_is(status, "processed") ? PSP_FACT_REFUND_SUCCEEDED
                   : str_is(status, "pending") ? PSP_FACT_REFUND_REQUESTED
                   : str_is(status, "failed")  ? PSP_FACT_REFUND_FAILED
                                               : PSP_FACT_NONE;
    if (report->kind == PSP_FACT_NONE)
        return psp_malformed(detail, "status", "must be processed, pending or failed");
    report->payment_id = asked->payment_id;
    report->refund_id = asked->refund_id;
    TRY(psp_read_reference(entity, "id", report->psp_ref, sizeof report->psp_ref, detail));
    TRY(psp_read_amount(entity, &report->amount, detail));
    TRY(psp_read_currency(entity, report->currency, detail));
    TRY(razorpay_read_time(entity, &report->occurred_at_us, detail));
    psp_read_reason((str_t){NULL, 0}, report);
    return ERR_OK;
}

static err_t refund_read(const psp_refund_t *asked, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    json_t *root = json_read_object(body, NULL);
    err_t err;
    if (http_status == 200 && is_list_without(root, asked)) {
        psp_refund_absent(asked, report);
        err = ERR_OK;
    } else if (http_status == 200)
        err = root ? read_refund(refund_in(root, asked), asked, report, detail)
                   : psp_malformed(detail, "the body", "is no JSON object");
    else
        err = psp_refund_refused(asked, http_status, words_of(root), report, detail);
    json_decref(root);
    if (err == ERR_OK)
        psp_derive_event_id("refund", report);
    return err;
}

/* ---- settlement reports: razorpay.com/docs/api/settlements/fetch-recon ---- */

/* A day there is a day in India: its last five and a half hours come with the next day of ours,
 * while both are still read. */
static bool settlement_request(const psp_account_t *account, const psp_settlement_query_t *query,
                               http_client_request_t *request)
{
    char day[RFC3339_SIZE];
    int year, month, of_month;
    rfc3339_format(query->day_us, day);
    CHECK(sscanf(day, "%4d-%2d-%2d", &year, &month, &of_month) == 3);
    razorpay_begin(account, "GET", request);
    snprintf(request->url, sizeof request->url,
             "%s/v1/settlements/recon/combined?year=%d&month=%d&day=%d&count=%d&skip=%d",
             account->base_url, year, month, of_month, PSP_SETTLEMENT_LINES_MAX,
             query->cursor[0] ? atoi(query->cursor) : 0);
    return true;
}

/* A full page may have another after it. */
static err_t settlement_next(const psp_settlement_query_t *query, const json_t *answer,
                             size_t count, char next[PSP_SETTLEMENT_CURSOR_SIZE],
                             err_detail_t *detail)
{
    (void)answer;
    (void)detail;
    const int skip = query->cursor[0] ? atoi(query->cursor) : 0;
    if (count == PSP_SETTLEMENT_LINES_MAX && skip <= LINES_OF_A_DAY_MAX)
        snprintf(next, PSP_SETTLEMENT_CURSOR_SIZE, "%d", skip + PSP_SETTLEMENT_LINES_MAX);
    return ERR_OK;
}

/* An amount of the line, in minor units; 0 is one. */
static err_t read_part(const json_t *line, const char *field, int64_t *amount, err_detail_t *detail)
{
    const json_t *value = json_object_get(line, field);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > AMOUNT_MAX)
        return psp_malformed(detail, field, "must be an amount in minor units");
    *amount = json_integer_value(value);
    return ERR_OK;
}

/* The notes are an object, or the text of one; of a refund, the refund's. */
static void read_notes(const json_t *line, psp_report_t *report)
{
    str_t text = json_read_str(line, "notes");
    json_t *notes = text.data ? json_read_object(text, NULL) : NULL;
    const json_t *given = notes ? notes : json_object_get(line, "notes");
    report->payment_id = psp_read_id(given, "payment_id");
    report->order_id = psp_read_id(given, "order_id");
    if (psp_fact_is_refund(report->kind))
        report->refund_id = psp_read_id(given, "refund_id");
    json_decref(notes);
}

static psp_fact_kind_t settlement_of(const json_t *line)
{
    str_t type = json_read_str(line, "type");
    if (!json_is_true(json_object_get(line, "settled")))
        return PSP_FACT_NONE;
    return str_is(type, "payment")  ? PSP_FACT_CAPTURED
           : str_is(type, "refund") ? PSP_FACT_REFUND_SUCCEEDED
                                    : PSP_FACT_NONE;
}

/* The fee has its tax in it: what is credited is the amount less the fee. */
static err_t settlement_charge(str_t text, const json_t *line, psp_report_t *report,
                               err_detail_t *detail)
{
    /* When the payment was made, or paid out. */
    const char *field = report->kind == PSP_FACT_CAPTURED ? "created_at" : "settled_at";
    const json_t *at = json_object_get(line, field);
    int64_t credit;
    (void)text;
    TRY(psp_read_reference(line, "entity_id", report->psp_ref, sizeof report->psp_ref, detail));
    TRY(psp_read_amount(line, &report->amount, detail));
    TRY(psp_read_currency(line, report->currency, detail));
    TRY(read_part(line, "fee", &report->fee, detail));
    TRY(read_part(line, "credit", &credit, detail));
    if (credit != report->amount - report->fee)
        return psp_malformed(detail, "credit", "must be the amount less the fee");
    if (!json_is_integer(at) || json_integer_value(at) < 0 || json_integer_value(at) > latest_s)
        return psp_malformed(detail, field, "must be a time in seconds since 1970");
    report->occurred_at_us = json_integer_value(at) * second_us;
    read_notes(line, report);
    return ERR_OK;
}

/* One that was made at Razorpay's dashboard has no notes: the order's receipt is our payment. A
 * refund at once has a fee, which is taken beside the amount. */
static err_t settlement_refund(str_t text, const json_t *line, psp_report_t *report,
                               err_detail_t *detail)
{
    int64_t debit;
    (void)text;
    TRY(psp_read_reference(line, "entity_id", report->psp_ref, sizeof report->psp_ref, detail));
    TRY(psp_read_amount(line, &report->amount, detail));
    TRY(psp_read_currency(line, report->currency, detail));
    TRY(read_part(line, "debit", &debit, detail));
    if (debit < report->amount)
        return psp_malformed(detail, "debit", "must be the amount at least");
    TRY(razorpay_read_time(line, &report->occurred_at_us, detail));
    read_notes(line, report);
    if (uuid_is_nil(&report->payment_id))
        report->payment_id = psp_read_id(line, "order_receipt");
    return ERR_OK;
}

const psp_connector_t psp_connector_razorpay = {
    .checkout_request = checkout_request,
    .checkout_read = checkout_read,
    .checkout_find_request = checkout_find_request,
    .page = razorpay_order_page,
    .status_request = status_request,
    .status_read = status_read,
    .capture_request = razorpay_capture_request,
    .refund_request = refund_request,
    .refund_status_request = refund_status_request,
    .refund_read = refund_read,
    .settlement_request = settlement_request,
    .settlement_lines = "items",
    .settlement_type = "type",
    .settlement_next = settlement_next,
    .settlement_of = settlement_of,
    .settlement_charge = settlement_charge,
    .settlement_refund = settlement_refund,
};

const psp_webhooks_t psp_webhooks_razorpay = {
    .signature_header = SIGNATURE_HEADER,
    .marker_header = SIGNATURE_HEADER,
    .recognises = recognises,
    .verify = webhook_verify,
    .read = webhook_read,
};
