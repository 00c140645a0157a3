/* order_store.h - every SQL statement of the order service. Batches in, one statement each; see
 * db/003_orders.sql. */
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
/* Row `row` of that result; texts are borrowed from it. `*same` is false when the id belonged to an
 * order with other content. */
void order_store_created(const PGresult *result, int row, order_created_t *created, bool *same);

/* The public documents of the orders that exist: one row each, in any order. */
err_t order_store_documents(order_store_t *self, const uuid_t *order_ids, size_t count,
                            PGresult **result, err_detail_t *detail) MUST_CHECK;
/* The row of `order_id`, or false. */
bool order_store_document(const PGresult *result, const uuid_t *order_id,
                          order_document_t *document);

/* One page; its document is row 0, column 0 (borrowed from the result). */
err_t order_store_page(order_store_t *self, const order_list_t *query, PGresult **result,
                       err_detail_t *detail) MUST_CHECK;

/* Cancels orders. Row i, in any order: order_id, verdict ("cancelled", "not_found", or the status
 * that forbids it), and the payload of the event when it was cancelled just now. */
err_t order_store_cancel(order_store_t *self, const uuid_t *order_ids, size_t count,
                         PGresult **result, err_detail_t *detail) MUST_CHECK;

/* Expires at most `at_most` orders that are due. Row i: event_id, type, payload. */
err_t order_store_expire(order_store_t *self, int at_most, PGresult **result,
                         err_detail_t *detail) MUST_CHECK;

#endif
