/* payments.c - the calls under /payments and /refunds, and the intake of webhooks. */
#include "gateway/handlers.h"
#include "gateway/requests.h"

static void respond_initiated(http_request_t *request, const payment_initiated_t *payment)
{
    gateway_mark_replayed(request, payment->replayed);
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
    const bool ok = gateway_read_key(request, &initiate.idempotency_id, &initiate.fingerprint) &&
                    gateway_call(request, MSG_payment_initiate, &initiate, &reply);
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

/* ---- capture and void by hand ---- */

static void respond_capturing(http_request_t *request, const payment_capturing_t *capturing)
{
    char payment_id[UUID_TEXT_SIZE], json[160], status[33];
    snprintf(json, sizeof json, "{\"payment_id\":\"%s\",\"status\":\"%s\"}",
             uuid_format(&capturing->payment_id, payment_id),
             str_copy(capturing->status, status, sizeof status));
    gateway_mark_replayed(request, capturing->replayed);
    http_respond(request, 202, "application/json", json, strlen(json));
}

static void capture_or_void(http_request_t *request, const char *action)
{
    payment_capture_t asked = {.action = str_of(action)};
    err_detail_t detail = {{0}};
    err_t err = request_id_param(request->params[0], "payment_id", &asked.payment_id, &detail);
    if (err == ERR_OK)
        err = request_nothing(request->body, &detail);
    if (err != ERR_OK) {
        http_respond_problem(request, err, detail.text);
        return;
    }
    hub_reply_t reply;
    if (!gateway_read_key(request, &asked.idempotency_id, &asked.fingerprint) ||
        !gateway_call(request, MSG_payment_capture, &asked, &reply))
        return;
    payment_capturing_t capturing;
    if (gateway_decode(request, &reply, MSG_payment_capturing, &capturing))
        respond_capturing(request, &capturing);
    hub_reply_free(&reply);
}

void payments_capture_post(http_request_t *request)
{
    capture_or_void(request, "capture");
}

void payments_void_post(http_request_t *request)
{
    capture_or_void(request, "void");
}

/* ---- refunds ---- */

static void answer_refund(http_request_t *request, uint32_t id, const void *message, int status)
{
    hub_reply_t reply;
    if (!gateway_call(request, id, message, &reply))
        return;
    refund_document_t refund;
    if (gateway_decode(request, &reply, MSG_refund_document, &refund)) {
        gateway_mark_replayed(request, refund.replayed);
        http_respond(request, status, "application/json", refund.document.data,
                     refund.document.size);
    }
    hub_reply_free(&reply);
}

void refunds_post(http_request_t *request)
{
    refund_create_t refund;
    request_parsed_t *parsed = NULL;
    err_detail_t detail = {{0}};
    err_t err = request_refund_create(request->body, &refund, &parsed, &detail);
    if (err == ERR_OK)
        err = request_id_param(request->params[0], "payment_id", &refund.payment_id, &detail);
    refund.refund_id = uuid7_new();
    if (err != ERR_OK)
        http_respond_problem(request, err, detail.text);
    else if (gateway_read_key(request, &refund.idempotency_id, &refund.fingerprint))
        answer_refund(request, MSG_refund_create, &refund, 202);
    request_parsed_free(&parsed);
}

void refunds_get(http_request_t *request)
{
    refund_get_t get;
    err_detail_t detail = {{0}};
    err_t err = request_id_param(request->params[0], "refund_id", &get.refund_id, &detail);
    if (err != ERR_OK)
        http_respond_problem(request, err, detail.text);
    else
        answer_refund(request, MSG_refund_get, &get, 200);
}

void webhooks_post(http_request_t *request)
{
    webhook_intake_handle(&gateway_of(request)->intake, request);
}
