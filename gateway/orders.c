/* orders.c - the calls under /orders. */
#include <stdio.h>

#include "gateway/handlers.h"
#include "gateway/requests.h"

static void respond_created(http_request_t *request, const order_created_t *order)
{
    char location[16 + UUID_TEXT_SIZE], id[UUID_TEXT_SIZE];
    snprintf(location, sizeof location, "/orders/%s", uuid_format(&order->order_id, id));
    http_add_header(request, "Location", location);
    gateway_mark_replayed(request, order->replayed);
    buf_t body = {0};
    json_open_object(&body, NULL);
    json_uuid(&body, "order_id", &order->order_id);
    json_str(&body, "status", order->status);
    json_str(&body, "user_id", order->user_id);
    json_int(&body, "amount", order->amount);
    json_str(&body, "currency", order->currency);
    json_time(&body, "created_at", order->created_at_us);
    json_time(&body, "expires_at", order->expires_at_us);
    json_close_object(&body);
    http_respond_json(request, 201, &body);
    buf_free(&body);
}

void orders_post(http_request_t *request)
{
    order_create_t order;
    request_parsed_t *parsed = NULL;
    err_detail_t detail = {{0}};
    err_t err = request_order_create(request->body, &order, &parsed, &detail);
    if (err != ERR_OK) {
        http_respond_problem(request, err, detail.text);
        return;
    }
    order.order_id = uuid7_new();
    hub_reply_t reply;
    const bool ok = gateway_read_key(request, &order.idempotency_id, &order.fingerprint) &&
                    gateway_call(request, MSG_order_create, &order, &reply);
    request_parsed_free(&parsed);
    order_created_t created;
    if (ok && gateway_decode(request, &reply, MSG_order_created, &created))
        respond_created(request, &created);
    if (ok)
        hub_reply_free(&reply);
}

/* The answer of get and cancel is the same document. */
static void answer_document(http_request_t *request, uint32_t id, const void *message)
{
    hub_reply_t reply;
    if (!gateway_call(request, id, message, &reply))
        return;
    order_document_t order;
    if (gateway_decode(request, &reply, MSG_order_document, &order)) {
        gateway_mark_replayed(request, order.replayed);
        http_respond(request, 200, "application/json", order.document.data, order.document.size);
    }
    hub_reply_free(&reply);
}

void orders_get(http_request_t *request)
{
    order_get_t get;
    err_detail_t detail = {{0}};
    err_t err = request_id_param(request->params[0], "order_id", &get.order_id, &detail);
    if (err != ERR_OK)
        http_respond_problem(request, err, detail.text);
    else
        answer_document(request, MSG_order_get, &get);
}

void orders_cancel(http_request_t *request)
{
    order_cancel_t cancel;
    err_detail_t detail = {{0}};
    err_t err = request_no_fields(request->body, &detail);
    if (err == ERR_OK)
        err = request_id_param(request->params[0], "order_id", &cancel.order_id, &detail);
    if (err != ERR_OK)
        http_respond_problem(request, err, detail.text);
    else if (gateway_read_key(request, &cancel.idempotency_id, &cancel.fingerprint))
        answer_document(request, MSG_order_cancel, &cancel);
}

void orders_list(http_request_t *request)
{
    order_list_query_t texts;
    order_list_t list;
    err_detail_t detail = {{0}};
    err_t err = request_order_list(request, &texts, &list, &detail);
    if (err != ERR_OK) {
        http_respond_problem(request, err, detail.text);
        return;
    }
    hub_reply_t reply;
    if (!gateway_call(request, MSG_order_list, &list, &reply))
        return;
    order_page_t page;
    if (gateway_decode(request, &reply, MSG_order_page, &page))
        http_respond(request, 200, "application/json", page.document.data, page.document.size);
    hub_reply_free(&reply);
}
