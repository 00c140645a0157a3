/* payments.c - the calls under /payments. */
#include "gateway/handlers.h"
#include "gateway/requests.h"

static void respond_initiated(http_request_t *request, const payment_initiated_t *payment)
{
    buf_t body = {0};
    json_open_object(&body, NULL);
    json_uuid(&body, "payment_id", &payment->payment_id);
    json_uuid(&body, "order_id", &payment->order_id);
    json_str(&body, "gateway", payment->psp);
    json_str(&body, "checkout_url", payment->checkout_url);
    json_time(&body, "expires_at", payment->expires_at_us);
    json_str(&body, "status", payment->status);
    json_close_object(&body);
    http_respond_json(request, 201, &body);
    buf_free(&body);
}

void payments_initiate(http_request_t *request)
{
    payment_initiate_t initiate;
    request_parsed_t *parsed = NULL;
    err_detail_t detail = {{0}};
    err_t err = request_payment_initiate(request->body, &initiate, &parsed, &detail);
    if (err != ERR_OK) {
        http_respond_problem(request, err, detail.text);
        return;
    }
    initiate.payment_id = uuid7_new();
    hub_reply_t reply;
    const bool ok = gateway_call(request, MSG_payment_initiate, &initiate, &reply);
    request_parsed_free(&parsed);
    payment_initiated_t initiated;
    if (ok && gateway_decode(request, &reply, MSG_payment_initiated, &initiated))
        respond_initiated(request, &initiated);
    if (ok)
        hub_reply_free(&reply);
}

void payments_get(http_request_t *request)
{
    payment_get_t get;
    err_detail_t detail = {{0}};
    err_t err = request_id_param(request->params[0], "payment_id", &get.payment_id, &detail);
    if (err != ERR_OK) {
        http_respond_problem(request, err, detail.text);
        return;
    }
    hub_reply_t reply;
    if (!gateway_call(request, MSG_payment_get, &get, &reply))
        return;
    payment_document_t payment;
    if (gateway_decode(request, &reply, MSG_payment_document, &payment))
        http_respond(request, 200, "application/json", payment.document.data,
                     payment.document.size);
    hub_reply_free(&reply);
}

void webhooks_post(http_request_t *request)
{
    webhook_intake_handle(&gateway_of(request)->intake, request);
}
