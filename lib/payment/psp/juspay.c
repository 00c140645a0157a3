/* juspay.c - Juspay: sessions with its payment page, orders, refunds, webhooks.
 *
 * A payment is an order, whose order_id is ours. The reference of its facts is the transaction at
 * the gateway (txn_uuid), of a refund its unique_request_id, which is our refund_id. Amounts are
 * decimal numbers. Formats: juspay.io/in/docs/api-reference.
 *
 * Webhooks come with HTTP Basic, which does not cover the body (lib/payment/signature/juspay.c):
 * they are hints, and the order is asked for. Their id is in the body.
 */
#include <stdio.h>
#include <string.h>

#include "lib/form.h"
#include "lib/payment/money.h"
#include "lib/payment/psp/answers.h"
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp/fields.h"

#define API_VERSION "2019-05-07"

enum { PATH_SIZE = 48 };

static void begin(const psp_account_t *account, const char *method, http_client_request_t *request)
{
    request->method = method;
    psp_add_basic(account->key_secret, NULL, request); /* as its own library sends it */
    http_client_request_header(request, "x-merchantid: %s", account->key_id);
    http_client_request_header(request, "version: " API_VERSION);
}

/* ---- checkout ---- */

static void checkout_request(const psp_account_t *account, const psp_checkout_t *checkout,
                             http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE], amount[AMOUNT_TEXT_SIZE];
    const psp_customer_t *customer = &checkout->customer;
    buf_t *body = &request->body;
    buf_t url = {0};
    begin(account, "POST", request);
    http_client_request_header(request, "Content-Type: application/json");
    snprintf(request->url, sizeof request->url, "%s/session", account->base_url);
    uuid_format(&checkout->payment_id, payment_id);
    buf_printf(&url, "%s/checkout/%s/return", checkout->public_url, payment_id);
    json_open_object(body, NULL);
    json_text(body, "amount", amount_format(checkout->amount, checkout->currency, amount));
    json_text(body, "currency", checkout->currency);
    json_text(body, "order_id", payment_id);
    json_text(body, "customer_id", customer->id[0] ? customer->id : "customer");
    if (customer->email[0])
        json_text(body, "customer_email", customer->email);
    if (customer->phone[0])
        json_text(body, "customer_phone", customer->phone);
    json_text(body, "payment_page_client_id",
              account->account ? account->account : account->key_id);
    json_text(body, "action", "paymentPage");
    json_text(body, "return_url", url.data);
    json_text(body, "udf1", payment_id);
    json_uuid(body, "udf2", &checkout->order_id);
    json_close_object(body);
    buf_free(&url);
}

static void checkout_read(const http_client_response_t *response, psp_checkout_answer_t *answer)
{
    json_t *root =
        json_read_object((str_t){response->body.data, (uint32_t)response->body.size}, NULL);
    str_t id = json_read_str(root, "id"),
          url = json_read_str(json_object_get(root, "payment_links"), "web");
    if (!psp_checkout_is_answered(response)) {
        psp_checkout_failed(response, json_read_str(root, "error_message"), answer);
    } else if (psp_is_reference(id) && psp_is_url(url, sizeof answer->checkout_url)) {
        answer->outcome = PSP_CHECKOUT_OPEN;
        str_copy(id, answer->psp_ref, sizeof answer->psp_ref);
        str_copy(url, answer->checkout_url, sizeof answer->checkout_url);
    } else {
        psp_checkout_not_understood(answer);
    }
    json_decref(root);
}

/* ---- the order, as the status call answers it ---- */

static bool is_one_of(str_t text, const char *const *names)
{
    for (; *names; names++)
        if (str_is(text, *names))
            return true;
    return false;
}

/* An order is AUTO_REFUNDED when nothing is left of what was charged for it: Juspay gives back by
 * itself what succeeded too late, or beside another part that failed. It is nobody's to keep, and
 * no order is paid by it. */
static psp_fact_kind_t kind_of_order(const json_t *order)
{
    static const char *const failed[] = {"AUTHENTICATION_FAILED", "AUTHORIZATION_FAILED",
                                         "JUSPAY_DECLINED", "CAPTURE_FAILED", NULL};
    str_t status = json_read_str(order, "status");
    return str_is(status, "CHARGED")                                     ? PSP_FACT_CAPTURED
           : str_is(status, "AUTHORIZED")                                ? PSP_FACT_AUTHORIZED
           : str_is(status, "VOIDED") || str_is(status, "AUTO_REFUNDED") ? PSP_FACT_VOIDED
           : is_one_of(status, failed)                                   ? PSP_FACT_FAILED
                                                                         : PSP_FACT_NONE;
}

/* When it happened: of the gateway's answer, else of the transaction, else of the order. */
static err_t read_time(const json_t *order, int64_t *wall_us, err_detail_t *detail)
{
    err_detail_t ignored;
    if (psp_read_rfc3339(json_object_get(order, "payment_gateway_response"), "created", wall_us,
                         &ignored) == ERR_OK ||
        psp_read_rfc3339(json_object_get(order, "txn_detail"), "created", wall_us, &ignored) ==
            ERR_OK)
        return ERR_OK;
    return psp_read_rfc3339(order, "date_created", wall_us, detail);
}

static err_t read_order(str_t body, const json_t *order, const psp_payment_t *payment,
                        psp_report_t *report, err_detail_t *detail)
{
    const uuid_t named = psp_read_id(order, "order_id");
    const json_t *txn = json_object_get(order, "txn_detail");
    if (!uuid_equal(&named, &payment->payment_id))
        return psp_malformed(detail, "order_id", "is of another payment than was asked for");
    report->kind = kind_of_order(order);
    if (report->kind == PSP_FACT_NONE) {
        psp_status_pending(payment, json_read_str(order, "status"), report);
        return ERR_OK;
    }
    report->payment_id = payment->payment_id;
    report->order_id = psp_read_id(order, "udf2");
    TRY(psp_read_reference(order, json_object_get(order, "txn_uuid") ? "txn_uuid" : "txn_id",
                           report->psp_ref, sizeof report->psp_ref, detail));
    TRY(psp_read_currency(order, report->currency, detail));
    TRY(psp_read_decimal(body, "amount", report->currency, &report->amount, detail));
    TRY(read_time(order, &report->occurred_at_us, detail));
    psp_read_reason(report->kind == PSP_FACT_FAILED ? json_read_str(txn, "error_message")
                                                    : (str_t){NULL, 0},
                    report);
    psp_read_fault((str_t){NULL, 0}, json_read_str(txn, "error_code"), report);
    psp_derive_event_id("status", report);
    return ERR_OK;
}

static bool status_request(const psp_account_t *account, const psp_payment_t *payment,
                           http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE];
    begin(account, "GET", request);
    snprintf(request->url, sizeof request->url, "%s/orders/%s", account->base_url,
             uuid_format(&payment->payment_id, payment_id));
    return true;
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
    err_t err = read_order(body, root, payment, report, detail);
    json_decref(root);
    return err;
}

/* ---- refunds: told by the order ---- */

static void refund_request(const psp_account_t *account, const psp_refund_t *refund,
                           http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE], refund_id[UUID_TEXT_SIZE], amount[AMOUNT_TEXT_SIZE];
    begin(account, "POST", request);
    http_client_request_header(request, "Content-Type: application/x-www-form-urlencoded");
    snprintf(request->url, sizeof request->url, "%s/orders/%s/refunds", account->base_url,
             uuid_format(&refund->payment_id, payment_id));
    form_add(&request->body, "unique_request_id", uuid_format(&refund->refund_id, refund_id));
    form_add(&request->body, "amount", amount_format(refund->amount, refund->currency, amount));
}

static void refund_status_request(const psp_account_t *account, const psp_refund_t *refund,
                                  http_client_request_t *request)
{
    const psp_payment_t payment = {.payment_id = refund->payment_id};
    (void)status_request(account, &payment, request);
}

static err_t read_refund(str_t body, const json_t *order, const psp_refund_t *asked,
                         psp_report_t *report, err_detail_t *detail)
{
    const json_t *refunds = json_object_get(order, "refunds"), *refund = NULL;
    char path[PATH_SIZE];
    size_t at = 0;
    for (; at < json_array_size(refunds) && !refund; at++) {
        const uuid_t named = psp_read_id(json_array_get(refunds, at), "unique_request_id");
        if (uuid_equal(&named, &asked->refund_id))
            refund = json_array_get(refunds, at);
    }
    if (!refund)
        return psp_malformed(detail, "refunds", "lacks the refund that was asked for");
    str_t status = json_read_str(refund, "status");
    report->kind = str_is(status, "SUCCESS") ? PSP_FACT_REFUND_SUCCEEDED
                   : str_is(status, "PENDING") || str_is(status, "MANUAL_REVIEW")
                       ? PSP_FACT_REFUND_REQUESTED
                   : str_is(status, "FAILURE") ? PSP_FACT_REFUND_FAILED
                                               : PSP_FACT_NONE;
    if (report->kind == PSP_FACT_NONE)
        return psp_malformed(detail, "status", "must be SUCCESS, PENDING or FAILURE");
    report->payment_id = asked->payment_id;
    report->refund_id = asked->refund_id;
    uuid_format(&asked->refund_id, report->psp_ref);
    TRY(psp_read_currency(order, report->currency, detail));
    snprintf(path, sizeof path, "refunds.%zu.amount", at - 1);
    TRY(psp_read_decimal(body, path, report->currency, &report->amount, detail));
    TRY(psp_read_rfc3339(refund, "created", &report->occurred_at_us, detail));
    psp_read_reason(json_read_str(refund, "error_message"), report);
    if (report->kind != PSP_FACT_REFUND_FAILED)
        report->reason[0] = '\0';
    return ERR_OK;
}

static err_t refund_read(const psp_refund_t *asked, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    json_t *root = json_read_object(body, NULL);
    err_t err;
    if (http_status == 200)
        err = root ? read_refund(body, root, asked, report, detail)
                   : psp_malformed(detail, "the body", "is no JSON object");
    else
        err = psp_refund_refused(asked, http_status, json_read_str(root, "error_message"), report,
                                 detail);
    json_decref(root);
    if (err == ERR_OK)
        psp_derive_event_id("refund", report);
    return err;
}

/* ---- webhooks: hints ---- */

static bool recognises(str_t body, const json_t *json)
{
    (void)body;
    return json_is_string(json_object_get(json, "event_name")) &&
           json_is_object(json_object_get(json, "content"));
}

static err_t webhook_read(str_t body, const json_t *json, psp_report_t *report,
                          err_detail_t *detail)
{
    (void)body;
    const json_t *order = json_object_get(json_object_get(json, "content"), "order");
    report->hint = true;
    report->payment_id = psp_read_id(order, "order_id");
    report->order_id = psp_read_id(order, "udf2");
    return psp_read_reference(json, "id", report->event_id, sizeof report->event_id, detail);
}

static err_t webhook_verify(const psp_t *psp, const psp_account_t *account, bool dev,
                            psp_header_fn *header, void *header_arg, str_t body, int64_t now_us,
                            psp_webhook_t *webhooks, size_t *count, err_detail_t *detail)
{
    (void)psp;
    (void)dev;
    TRY(psp_verify(signature_juspay, account, header, header_arg, body, now_us, detail));
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = webhook_read(body, root, &webhooks[0].report, detail);
    json_decref(root);
    webhooks[0].body = body;
    *count = err == ERR_OK;
    return err;
}

const psp_webhooks_t psp_webhooks_juspay = {
    .signature_header = "Authorization",
    .recognises = recognises,
    .verify = webhook_verify,
    .read = webhook_read,
};

const psp_connector_t psp_connector_juspay = {
    .checkout_request = checkout_request,
    .checkout_read = checkout_read,
    .status_request = status_request,
    .status_read = status_read,
    .refund_request = refund_request,
    .refund_status_request = refund_status_request,
    .refund_read = refund_read,
};
