/* requests.h - HTTP bodies and queries into messages of the schema. Pure; every byte from outside
 * passes here.
 *
 * Strict, as the public contract says: unknown fields, duplicate keys, wrong types, anything after
 * the document are refused; the error detail names the field. Texts of the message borrow from
 * *parsed, which the caller frees (request_parsed_free) once the message is encoded.
 */
#ifndef TIFFIN_GATEWAY_REQUESTS_H
#define TIFFIN_GATEWAY_REQUESTS_H

#include "lib/err.h"
#include "lib/http_server.h"
#include "lib/text.h"
#include "proto/messages.h"

typedef struct request_parsed request_parsed_t;
void request_parsed_free(request_parsed_t **parsed_p);

/* POST /orders. order_id is left nil: the caller mints it. */
err_t request_order_create(str_t body, order_create_t *order, request_parsed_t **parsed,
                           err_detail_t *detail) MUST_CHECK;
/* POST /payments/initiate. payment_id is left nil. `psp` is the registered spelling. */
err_t request_payment_initiate(str_t body, payment_initiate_t *initiate, request_parsed_t **parsed,
                               err_detail_t *detail) MUST_CHECK;

/* A body that may be empty or {}, and nothing else. */
err_t request_nothing(str_t body, err_detail_t *detail) MUST_CHECK;
/* POST /payments/{id}/refunds; the body may be empty. amount 0: all that is left. The ids are left
 * nil. */
err_t request_refund_create(str_t body, refund_create_t *refund, request_parsed_t **parsed,
                            err_detail_t *detail) MUST_CHECK;
/* POST /admin/webhooks/dead/redrive; the body may be empty. */
err_t request_redrive(str_t body, dead_letter_redrive_t *redrive, request_parsed_t **parsed,
                      err_detail_t *detail) MUST_CHECK;

/* POST /ws/tokens. */
err_t request_ws_token(str_t body, str_t *user_id, request_parsed_t **parsed,
                       err_detail_t *detail) MUST_CHECK;

/* GET /orders: the decoded query, into the caller's buffers. */
typedef struct order_list_query {
    char user_id[513], status[33], receipt[257];
} order_list_query_t;
err_t request_order_list(const http_request_t *request, order_list_query_t *texts,
                         order_list_t *list, err_detail_t *detail) MUST_CHECK;

/* A call whose body is empty or {}. */
err_t request_no_fields(str_t body, err_detail_t *detail) MUST_CHECK;

/* GET /events: the decoded query; list->user_id points into `user_id`. */
err_t request_event_list(const http_request_t *request, char user_id[513], notifier_list_t *list,
                         err_detail_t *detail) MUST_CHECK;
/* The value of `since`, here and at /ws: a whole number, 0 or more. */
bool request_event_id(const char *text, int64_t *event_id);

/* One text of a query, into the caller's buffer; *text is {NULL, 0} when it is not there. Without a
 * value it is refused: a caller that lost its user's id must not be shown everybody's orders. */
err_t request_query_text(const http_request_t *request, const char *name, size_t characters_max,
                         char *buffer, size_t capacity, str_t *text,
                         err_detail_t *detail) MUST_CHECK;
/* `limit`: 1 to 100, 20 when it is not there. */
err_t request_query_limit(const http_request_t *request, int64_t *limit,
                          err_detail_t *detail) MUST_CHECK;

/* A path's {id}: ERR_INVALID_ID otherwise. */
err_t request_id_param(str_t text, const char *name, uuid_t *id, err_detail_t *detail) MUST_CHECK;

#endif
