/* phonepe.c - PhonePe, Standard Checkout v2: tokens, its payment page, orders, refunds, webhooks.
 *
 * A payment is an order, whose merchantOrderId is ours; PhonePe takes rupees alone. The reference
 * of its facts is the transaction (paymentDetails[].transactionId), of a refund the refundId.
 * Formats: developer.phonepe.com/v2.
 *
 * Webhooks come with a fixed proof that does not cover the body (lib/payment/signature/phonepe.c):
 * they are hints, and the order is asked for. They have no id: event, order or refund, and state
 * make one.
 */
#include <stdio.h>
#include <string.h>

#include "lib/form.h"
#include "lib/payment/money.h"
#include "lib/payment/psp/answers.h"
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp/fields.h"

enum { LIVES_AT_LEAST_S = 300, LIVES_AT_MOST_S = 3600, EXPECTATION_FAILED = 417 };
static const int64_t second_us = 1000000, ms_us = 1000;
static const int64_t latest_s = INT64_C(253402300799); /* 9999-12-31 */
static const char live_path[] = "/apis/pg";

/* ---- tokens ---- */

static void token_request(const psp_account_t *account, http_client_request_t *request)
{
    const size_t size = strlen(account->base_url), tail = sizeof live_path - 1;
    const bool live = size > tail && strcmp(account->base_url + size - tail, live_path) == 0;
    request->method = "POST";
    http_client_request_header(request, "Content-Type: application/x-www-form-urlencoded");
    if (live)
        snprintf(request->url, sizeof request->url, "%.*s/apis/identity-manager/v1/oauth/token",
                 (int)(size - tail), account->base_url);
    else
        snprintf(request->url, sizeof request->url, "%s/v1/oauth/token", account->base_url);
    form_add(&request->body, "client_id", account->key_id);
    form_add(&request->body, "client_secret", account->key_secret);
    form_add(&request->body, "client_version", account->account ? account->account : "1");
    form_add(&request->body, "grant_type", "client_credentials");
}

/* What may stand in a header. */
static bool is_token(str_t text)
{
    for (uint32_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return text.size > 0;
}

static bool token_read(const http_client_response_t *response, int64_t now_us,
                       char header[PSP_TOKEN_SIZE], int64_t *lives_ms)
{
    json_t *root =
        json_read_object((str_t){response->body.data, (uint32_t)response->body.size}, NULL);
    str_t token = json_read_str(root, "access_token"), type = json_read_str(root, "token_type");
    const json_t *expires_at = json_object_get(root, "expires_at");
    bool ok = response->status == 200 && is_token(token) && (!type.data || is_token(type)) &&
              json_is_integer(expires_at) && json_integer_value(expires_at) > 0 &&
              json_integer_value(expires_at) <= latest_s;
    if (ok) {
        const int size = snprintf(header, PSP_TOKEN_SIZE, "Authorization: %.*s %.*s",
                                  type.data ? (int)type.size : 8,
                                  type.data ? type.data : "O-Bearer", STR_ARG(token));
        *lives_ms = json_integer_value(expires_at) * 1000 - now_us / ms_us;
        ok = size > 0 && size < PSP_TOKEN_SIZE && *lives_ms >= 1;
    }
    if (!ok)
        header[0] = '\0';
    json_decref(root);
    return ok;
}

/* ---- checkout ---- */

static void checkout_request(const psp_account_t *account, const psp_checkout_t *checkout,
                             http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE];
    int64_t lives_s = (checkout->expires_at_us - checkout->now_us) / second_us;
    buf_t *body = &request->body;
    buf_t url = {0};
    lives_s = lives_s < LIVES_AT_LEAST_S  ? LIVES_AT_LEAST_S
              : lives_s > LIVES_AT_MOST_S ? LIVES_AT_MOST_S
                                          : lives_s;
    request->method = "POST";
    http_client_request_header(request, "Content-Type: application/json");
    snprintf(request->url, sizeof request->url, "%s/checkout/v2/pay", account->base_url);
    uuid_format(&checkout->payment_id, payment_id);
    buf_printf(&url, "%s/checkout/%s/return", checkout->public_url, payment_id);
    json_open_object(body, NULL);
    json_text(body, "merchantOrderId", payment_id);
    json_int(body, "amount", checkout->amount);
    json_int(body, "expireAfter", lives_s);
    json_open_object(body, "metaInfo");
    json_text(body, "udf1", payment_id);
    json_uuid(body, "udf2", &checkout->order_id);
    json_close_object(body);
    json_open_object(body, "paymentFlow");
    json_text(body, "type", "PG_CHECKOUT");
    json_open_object(body, "merchantUrls");
    json_text(body, "redirectUrl", url.data);
    json_close_object(body);
    json_close_object(body);
    json_close_object(body);
    buf_free(&url);
}

static void checkout_read(const http_client_response_t *response, psp_checkout_answer_t *answer)
{
    json_t *root =
        json_read_object((str_t){response->body.data, (uint32_t)response->body.size}, NULL);
    str_t id = json_read_str(root, "orderId"), url = json_read_str(root, "redirectUrl");
    if (!psp_checkout_is_answered(response)) {
        psp_checkout_failed(response, json_read_str(root, "message"), answer);
    } else if (psp_is_reference(id) && psp_is_url(url, sizeof answer->checkout_url)) {
        answer->outcome = PSP_CHECKOUT_OPEN;
        str_copy(id, answer->psp_ref, sizeof answer->psp_ref);
        str_copy(url, answer->checkout_url, sizeof answer->checkout_url);
    } else {
        psp_checkout_not_understood(answer);
    }
    json_decref(root);
}

/* ---- status ---- */

static bool status_request(const psp_account_t *account, const psp_payment_t *payment,
                           http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE];
    request->method = "GET";
    http_client_request_header(request, "Content-Type: application/json");
    snprintf(request->url, sizeof request->url, "%s/checkout/v2/order/%s/status?details=true",
             account->base_url, uuid_format(&payment->payment_id, payment_id));
    return true;
}

static err_t read_ms(const json_t *object, const char *field, int64_t *wall_us,
                     err_detail_t *detail)
{
    const json_t *value = json_object_get(object, field);
    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        json_integer_value(value) > latest_s * 1000)
        return psp_malformed(detail, field, "must be a time in milliseconds since 1970");
    *wall_us = json_integer_value(value) * ms_us;
    return ERR_OK;
}

/* The try with this state; there may have been others before it. */
static const json_t *detail_of(const json_t *order, const char *state)
{
    const json_t *details = json_object_get(order, "paymentDetails");
    for (size_t i = 0; i < json_array_size(details); i++)
        if (str_is(json_read_str(json_array_get(details, i), "state"), state))
            return json_array_get(details, i);
    return NULL;
}

static err_t read_order(const json_t *order, const psp_payment_t *payment, psp_report_t *report,
                        err_detail_t *detail)
{
    str_t state = json_read_str(order, "state");
    const json_t *meta = json_object_get(order, "metaInfo");
    const uuid_t named = psp_read_id(meta, "udf1");
    if (!uuid_is_nil(&named) && !uuid_equal(&named, &payment->payment_id))
        return psp_malformed(detail, "metaInfo.udf1", "is of another payment than was asked for");
    report->kind = str_is(state, "COMPLETED") ? PSP_FACT_CAPTURED
                   : str_is(state, "FAILED")  ? PSP_FACT_FAILED
                                              : PSP_FACT_NONE;
    const json_t *found =
        report->kind == PSP_FACT_NONE
            ? NULL
            : detail_of(order, report->kind == PSP_FACT_CAPTURED ? "COMPLETED" : "FAILED");
    /* An order that nobody tried to pay fails when its time is over. */
    if (report->kind == PSP_FACT_NONE || (report->kind == PSP_FACT_FAILED && !found)) {
        psp_status_pending(payment, state, report);
        return ERR_OK;
    }
    if (!found)
        return psp_malformed(detail, "paymentDetails", "lacks the payment that completed");
    report->payment_id = payment->payment_id;
    report->order_id = psp_read_id(meta, "udf2");
    TRY(psp_read_reference(found, "transactionId", report->psp_ref, sizeof report->psp_ref,
                           detail));
    TRY(psp_read_amount(found, &report->amount, detail));
    TRY(read_ms(found, "timestamp", &report->occurred_at_us, detail));
    str_copy(STR_LITERAL("INR"), report->currency, sizeof report->currency);
    psp_read_reason(report->kind == PSP_FACT_FAILED ? json_read_str(found, "errorCode")
                                                    : (str_t){NULL, 0},
                    report);
    psp_read_fault((str_t){NULL, 0}, json_read_str(found, "detailedErrorCode"), report);
    psp_derive_event_id("status", report);
    return ERR_OK;
}

static err_t status_read(const psp_payment_t *payment, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    if (http_status == 404 ||
        http_status == 400) { /* "No entry found for given merchant order id" */
        psp_status_unknown(payment, report);
        return ERR_OK;
    }
    if (http_status != 200)
        return psp_status_refused(http_status, detail);
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = read_order(root, payment, report, detail);
    json_decref(root);
    return err;
}

/* ---- refunds ---- */

static void refund_request(const psp_account_t *account, const psp_refund_t *refund,
                           http_client_request_t *request)
{
    buf_t *body = &request->body;
    request->method = "POST";
    http_client_request_header(request, "Content-Type: application/json");
    snprintf(request->url, sizeof request->url, "%s/payments/v2/refund", account->base_url);
    json_open_object(body, NULL);
    json_uuid(body, "merchantRefundId", &refund->refund_id);
    json_uuid(body, "originalMerchantOrderId", &refund->payment_id);
    json_int(body, "amount", refund->amount);
    json_close_object(body);
}

static void refund_status_request(const psp_account_t *account, const psp_refund_t *refund,
                                  http_client_request_t *request)
{
    char refund_id[UUID_TEXT_SIZE];
    request->method = "GET";
    http_client_request_header(request, "Content-Type: application/json");
    snprintf(request->url, sizeof request->url, "%s/payments/v2/refund/%s/status",
             account->base_url, uuid_format(&refund->refund_id, refund_id));
}

/* The answer to the request says neither whose refund it is nor when; the status call says both. */
static err_t read_refund(const json_t *root, const psp_refund_t *asked, psp_report_t *report,
                         err_detail_t *detail)
{
    str_t state = json_read_str(root, "state");
    err_detail_t ignored;
    if (json_object_get(root, "merchantRefundId")) {
        const uuid_t named = psp_read_id(root, "merchantRefundId");
        if (!uuid_equal(&named, &asked->refund_id))
            return psp_malformed(detail, "merchantRefundId",
                                 "is of another refund than was asked for");
    }
    report->kind = str_is(state, "COMPLETED") ? PSP_FACT_REFUND_SUCCEEDED
                   : str_is(state, "PENDING") || str_is(state, "CONFIRMED")
                       ? PSP_FACT_REFUND_REQUESTED
                   : str_is(state, "FAILED") ? PSP_FACT_REFUND_FAILED
                                             : PSP_FACT_NONE;
    if (report->kind == PSP_FACT_NONE)
        return psp_malformed(detail, "state", "must be COMPLETED, PENDING, CONFIRMED or FAILED");
    report->payment_id = asked->payment_id;
    report->refund_id = asked->refund_id;
    TRY(psp_read_reference(root, "refundId", report->psp_ref, sizeof report->psp_ref, detail));
    TRY(psp_read_amount(root, &report->amount, detail));
    str_copy(STR_LITERAL("INR"), report->currency, sizeof report->currency);
    if (read_ms(root, "timestamp", &report->occurred_at_us, &ignored) != ERR_OK)
        report->occurred_at_us = 0; /* when it is told, which is now */
    psp_read_reason(json_read_str(root, "errorCode"), report);
    if (report->kind != PSP_FACT_REFUND_FAILED)
        report->reason[0] = '\0';
    return ERR_OK;
}

/* 417 is said of a merchantRefundId that came before, too: the status call tells what became of it.
 */
static err_t refund_read(const psp_refund_t *asked, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    json_t *root = json_read_object(body, NULL);
    err_t err;
    if (http_status == 200)
        err = root ? read_refund(root, asked, report, detail)
                   : psp_malformed(detail, "the body", "is no JSON object");
    else if (http_status == EXPECTATION_FAILED)
        err = err_set(detail, ERR_MALFORMED_WEBHOOK, "HTTP %d is no answer about the refund",
                      http_status);
    else
        err =
            psp_refund_refused(asked, http_status, json_read_str(root, "message"), report, detail);
    json_decref(root);
    if (err == ERR_OK)
        psp_derive_event_id("refund", report);
    return err;
}

/* ---- webhooks: hints ---- */

static bool recognises(str_t body, const json_t *json)
{
    (void)body;
    const json_t *payload = json_object_get(json, "payload");
    return json_is_string(json_object_get(json, "event")) &&
           json_is_string(json_object_get(payload, "state")) &&
           json_is_string(json_object_get(payload, "merchantId"));
}

static err_t webhook_read(str_t body, const json_t *json, psp_report_t *report,
                          err_detail_t *detail)
{
    (void)body;
    const json_t *payload = json_object_get(json, "payload");
    const bool of_refund = json_object_get(payload, "merchantRefundId") != NULL;
    char id[PSP_REF_SIZE];
    report->hint = true;
    report->payment_id =
        psp_read_id(payload, of_refund ? "originalMerchantOrderId" : "merchantOrderId");
    TRY(psp_read_reference(payload, of_refund ? "refundId" : "orderId", id, sizeof id, detail));
    snprintf(report->event_id, sizeof report->event_id, "%.40s:%.60s:%.20s",
             json_read_str(json, "event").data, id, json_read_str(payload, "state").data);
    if (!psp_is_reference(str_of(report->event_id)))
        return psp_malformed(detail, "event", "must be a printable text");
    return ERR_OK;
}

static err_t webhook_verify(const psp_t *psp, const psp_account_t *account, bool dev,
                            psp_header_fn *header, void *header_arg, str_t body, int64_t now_us,
                            psp_webhook_t *webhooks, size_t *count, err_detail_t *detail)
{
    (void)psp;
    (void)dev;
    TRY(psp_verify(signature_phonepe, account, header, header_arg, body, now_us, detail));
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = webhook_read(body, root, &webhooks[0].report, detail);
    json_decref(root);
    webhooks[0].body = body;
    *count = err == ERR_OK;
    return err;
}

const psp_webhooks_t psp_webhooks_phonepe = {
    .signature_header = "Authorization",
    .recognises = recognises,
    .verify = webhook_verify,
    .read = webhook_read,
};

const psp_connector_t psp_connector_phonepe = {
    .checkout_request = checkout_request,
    .checkout_read = checkout_read,
    .status_request = status_request,
    .status_read = status_read,
    .refund_request = refund_request,
    .refund_status_request = refund_status_request,
    .refund_read = refund_read,
    .token_request = token_request,
    .token_read = token_read,
};
