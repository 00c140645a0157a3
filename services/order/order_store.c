/* order_store.c - see order_store.h. */
#include "services/order/order_store.h"

#include <stdlib.h>

#include "lib/limits.h"

struct order_store {
    pg_t *pg;
    pg_params_t params; /* reused: its buffers keep their memory */
};

order_store_t *order_store_new(const char *database_url)
{
    order_store_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->pg = pg_new(database_url, "tiffin-order", PG_STATEMENT_TIMEOUT_MS);
    return self;
}

void order_store_destroy(order_store_t **self_p)
{
    order_store_t *self = *self_p;
    if (self == NULL)
        return;
    pg_destroy(&self->pg);
    pg_params_free(&self->params);
    free(self);
    *self_p = NULL;
}

err_t order_store_create(order_store_t *self, const order_create_t *const *orders, size_t count,
                         int64_t default_ttl_s, PGresult **result, err_detail_t *detail)
{
    pg_params_t *params = &self->params;
    pg_params_reset(params);
    const int order_ids = pg_array_begin(params, PG_ARRAY_UUID);
    const int user_ids = pg_array_begin(params, PG_ARRAY_TEXT);
    const int amounts = pg_array_begin(params, PG_ARRAY_INT8);
    const int currencies = pg_array_begin(params, PG_ARRAY_TEXT);
    const int receipts = pg_array_begin(params, PG_ARRAY_TEXT);
    const int metadatas = pg_array_begin(params, PG_ARRAY_TEXT);
    const int customers = pg_array_begin(params, PG_ARRAY_TEXT);
    const int lifetimes = pg_array_begin(params, PG_ARRAY_INT8);
    const int idempotency_ids = pg_array_begin(params, PG_ARRAY_UUID);
    const int fingerprints = pg_array_begin(params, PG_ARRAY_UUID);
    const int manual_captures = pg_array_begin(params, PG_ARRAY_BOOL);
    for (size_t i = 0; i < count; i++) {
        const order_create_t *order = orders[i];
        pg_array_add_uuid(params, order_ids, &order->order_id);
        pg_array_add_text(params, user_ids, order->user_id);
        pg_array_add_int8(params, amounts, order->amount);
        pg_array_add_text(params, currencies, order->currency);
        pg_array_add_text(params, receipts, order->receipt);
        pg_array_add_text(params, metadatas, order->metadata);
        pg_array_add_text(params, customers, order->customer);
        pg_array_add_int8(params, lifetimes,
                          order->expires_in_s > 0 ? order->expires_in_s : default_ttl_s);
        pg_array_add_uuid(params, idempotency_ids, &order->idempotency_id);
        pg_array_add_uuid(params, fingerprints, &order->fingerprint);
        pg_array_add_bool(params, manual_captures, order->manual_capture);
    }
    return pg_exec(
        self->pg, "orders_create",
        "SELECT order_id, status, user_id, amount, currency, created_at, expires_at, verdict "
        "FROM orders_create($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params, result, detail);
}

order_create_verdict_t order_store_created(const PGresult *result, int row,
                                           order_created_t *created)
{
    static const char *const names[] = {[ORDER_CREATED] = "created",
                                        [ORDER_REPLAYED] = "replayed",
                                        [ORDER_KEY_REUSED] = "key_reused",
                                        [ORDER_ID_CONFLICT] = "id_conflict"};
    size_t verdict = 0;
    while (verdict < sizeof names / sizeof *names &&
           !str_is(pg_get_text(result, row, 7), names[verdict]))
        verdict++;
    CHECK(verdict < sizeof names / sizeof *names);
    if (verdict == ORDER_KEY_REUSED)
        return ORDER_KEY_REUSED;
    *created = (order_created_t){.order_id = pg_get_uuid(result, row, 0),
                                 .status = pg_get_text(result, row, 1),
                                 .user_id = pg_get_text(result, row, 2),
                                 .amount = pg_get_int8(result, row, 3),
                                 .currency = pg_get_text(result, row, 4),
                                 .created_at_us = pg_get_time_us(result, row, 5),
                                 .expires_at_us = pg_get_time_us(result, row, 6),
                                 .replayed = verdict == ORDER_REPLAYED};
    return (order_create_verdict_t)verdict;
}

err_t order_store_documents(order_store_t *self, const uuid_t *order_ids, size_t count,
                            PGresult **result, err_detail_t *detail)
{
    pg_params_reset(&self->params);
    const int ids = pg_array_begin(&self->params, PG_ARRAY_UUID);
    for (size_t i = 0; i < count; i++)
        pg_array_add_uuid(&self->params, ids, &order_ids[i]);
    return pg_exec(self->pg, "order_documents",
                   "SELECT order_id, status, document FROM order_documents($1)", &self->params,
                   result, detail);
}

bool order_store_document(const PGresult *result, const uuid_t *order_id,
                          order_document_t *document)
{
    for (int row = 0; row < PQntuples(result); row++) {
        const uuid_t id = pg_get_uuid(result, row, 0);
        if (!uuid_equal(&id, order_id))
            continue;
        *document = (order_document_t){.order_id = id,
                                       .status = pg_get_text(result, row, 1),
                                       .document = pg_get_text(result, row, 2)};
        return true;
    }
    return false;
}

err_t order_store_page(order_store_t *self, const order_list_t *query, PGresult **result,
                       err_detail_t *detail)
{
    pg_params_reset(&self->params);
    pg_param_text(&self->params, query->user_id);
    pg_param_text(&self->params, query->status);
    pg_param_text(&self->params, query->receipt);
    pg_param_uuid(&self->params,
                  uuid_is_nil(&query->before_order_id) ? NULL : &query->before_order_id);
    pg_param_int4(&self->params, (int32_t)query->limit);
    return pg_exec(self->pg, "orders_page", "SELECT orders_page($1, $2, $3, $4, $5)", &self->params,
                   result, detail);
}

err_t order_store_cancel(order_store_t *self, const order_cancel_t *cancels,
                         const uuid_t *request_ids, size_t count, PGresult **result,
                         err_detail_t *detail)
{
    pg_params_t *params = &self->params;
    pg_params_reset(params);
    const int ids = pg_array_begin(params, PG_ARRAY_UUID);
    const int idempotency_ids = pg_array_begin(params, PG_ARRAY_UUID);
    const int fingerprints = pg_array_begin(params, PG_ARRAY_UUID);
    const int requests = pg_array_begin(params, PG_ARRAY_UUID);
    for (size_t i = 0; i < count; i++) {
        pg_array_add_uuid(params, requests, &request_ids[i]);
        pg_array_add_uuid(params, ids, &cancels[i].order_id);
        pg_array_add_uuid(params, idempotency_ids, &cancels[i].idempotency_id);
        pg_array_add_uuid(params, fingerprints, &cancels[i].fingerprint);
    }
    return pg_exec(self->pg, "orders_cancel",
                   "SELECT verdict, replayed, document, payload, first_request_id "
                   "FROM orders_cancel($1, $2, $3, $4) "
                   "ORDER BY position",
                   params, result, detail);
}

void order_store_cancelled(const PGresult *result, int row, order_cancelled_t *cancelled)
{
    *cancelled = (order_cancelled_t){.verdict = pg_get_text(result, row, 0),
                                     .replayed = pg_get_bool(result, row, 1),
                                     .document = pg_get_text(result, row, 2),
                                     .payload = pg_get_text(result, row, 3)};
    if (!pg_is_null(result, row, 4))
        cancelled->first_request_id = pg_get_uuid(result, row, 4);
}

err_t order_store_forget_keys(order_store_t *self, int at_most, err_detail_t *detail)
{
    PGresult *result = NULL;
    pg_params_reset(&self->params);
    pg_param_int4(&self->params, at_most);
    err_t err = pg_exec(self->pg, "idempotency_forget_old", "SELECT idempotency_forget_old($1)",
                        &self->params, &result, detail);
    PQclear(result);
    return err;
}

err_t order_store_expire(order_store_t *self, int at_most, PGresult **result, err_detail_t *detail)
{
    pg_params_reset(&self->params);
    pg_param_int4(&self->params, at_most);
    return pg_exec(self->pg, "orders_expire",
                   "SELECT event_id, type, payload FROM orders_expire($1)", &self->params, result,
                   detail);
}
