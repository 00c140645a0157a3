/* order_store.h - every SQL statement of the order service. Batches in, one statement each; see
 * db/005_orders.sql. */
#ifndef TIFFIN_SERVICES_ORDER_STORE_H
#define TIFFIN_SERVICES_ORDER_STORE_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/pg.h"
#include "proto/messages.h"

typedef struct order_store order_store_t;

order_store_t *order_store_new(const char *database_url);
void order_store_destroy(order_store_t **self_p);

/* Creates `count` orders, those with no lifetime of their own for default_ttl_s. Row i of the
 * result belongs to orders[i]; the result is the caller's (PQclear). Errors as pg_exec. */
err_t order_store_create(order_store_t *self, const order_create_t *const *orders, size_t count,
                         int64_t default_ttl_s, PGresult **result, err_detail_t *detail) MUST_CHECK;
typedef enum order_create_verdict {
    ORDER_CREATED,
    ORDER_REPLAYED,    /* the first answer of its Idempotency-Key */
    ORDER_KEY_REUSED,  /* its Idempotency-Key came with another body before */
    ORDER_ID_CONFLICT, /* the id belongs to an order with other content */
} order_create_verdict_t;
/* Row `row` of that result; *created is not filled when the key was reused. Texts are borrowed from
 * the result. */
order_create_verdict_t order_store_created(const PGresult *result, int row,
                                           order_created_t *created);

/* The public documents of the orders that exist: one row each, in any order. */
err_t order_store_documents(order_store_t *self, const uuid_t *order_ids, size_t count,
                            PGresult **result, err_detail_t *detail) MUST_CHECK;
/* The row of `order_id`, or false. */
bool order_store_document(const PGresult *result, const uuid_t *order_id,
                          order_document_t *document);

/* One page; its document is row 0, column 0 (borrowed from the result). */
err_t order_store_page(order_store_t *self, const order_list_t *query, PGresult **result,
                       err_detail_t *detail) MUST_CHECK;

/* Cancels orders. Row i of the result belongs to cancels[i], asked for by request_ids[i]; the
 * result is the caller's. */
err_t order_store_cancel(order_store_t *self, const order_cancel_t *cancels,
                         const uuid_t *request_ids, size_t count, PGresult **result,
                         err_detail_t *detail) MUST_CHECK;
/* What became of one. Texts are borrowed from the result. */
typedef struct order_cancelled {
    str_t verdict; /* "cancelled", "not_found", "key_reused", or the status that forbids it */
    bool replayed; /* the first answer of its Idempotency-Key … */
    uuid_t first_request_id; /* … to this request */
    str_t document;          /* cancelled: the order's public JSON */
    str_t payload;           /* cancelled just now: the event's; else {NULL, 0} */
} order_cancelled_t;
void order_store_cancelled(const PGresult *result, int row, order_cancelled_t *cancelled);

/* Deletes at most `at_most` Idempotency-Keys that are no longer remembered. */
err_t order_store_forget_keys(order_store_t *self, int at_most, err_detail_t *detail) MUST_CHECK;

/* Expires at most `at_most` orders that are due. Row i: event_id, type, payload. */
err_t order_store_expire(order_store_t *self, int at_most, PGresult **result,
                         err_detail_t *detail) MUST_CHECK;

#endif
