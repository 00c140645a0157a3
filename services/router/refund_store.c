/* refund_store.c - see refund_store.h. */
#include "services/router/refund_store.h"

#include <stdlib.h>
#include <string.h>

#include "lib/limits.h"

struct refund_store {
    pg_t *pg;
    pg_params_t params; /* reused: its buffers keep their memory */
};

refund_store_t *refund_store_new(const char *database_url)
{
    refund_store_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->pg = pg_new(database_url, "tiffin-router", PG_STATEMENT_TIMEOUT_MS);
    pg_listen(self->pg, "refunds_due");
    return self;
}

void refund_store_destroy(refund_store_t **self_p)
{
    refund_store_t *self = *self_p;
    if (self == NULL)
        return;
    pg_destroy(&self->pg);
    pg_params_free(&self->params);
    free(self);
    *self_p = NULL;
}

err_t refund_store_create(refund_store_t *self, const refund_create_t *const *refunds,
                          const uuid_t *request_ids, size_t count, PGresult **result,
                          err_detail_t *detail)
{
    pg_params_t *params = &self->params;
    pg_params_reset(params);
    const int refund_ids = pg_array_begin(params, PG_ARRAY_UUID);
    const int payment_ids = pg_array_begin(params, PG_ARRAY_UUID);
    const int amounts = pg_array_begin(params, PG_ARRAY_INT8);
    const int reasons = pg_array_begin(params, PG_ARRAY_TEXT);
    const int idempotency_ids = pg_array_begin(params, PG_ARRAY_UUID);
    const int fingerprints = pg_array_begin(params, PG_ARRAY_UUID);
    const int requests = pg_array_begin(params, PG_ARRAY_UUID);
    for (size_t i = 0; i < count; i++) {
        const refund_create_t *refund = refunds[i];
        pg_array_add_uuid(params, refund_ids, &refund->refund_id);
        pg_array_add_uuid(params, payment_ids, &refund->payment_id);
        pg_array_add_int8(params, amounts, refund->amount);
        pg_array_add_text(params, reasons, refund->reason);
        pg_array_add_uuid(params, idempotency_ids, &refund->idempotency_id);
        pg_array_add_uuid(params, fingerprints, &refund->fingerprint);
        pg_array_add_uuid(params, requests, &request_ids[i]);
    }
    return pg_exec(self->pg, "refunds_create",
                   "SELECT refund_id, payment_id, verdict, detail, replayed, status, document, "
                   "first_request_id FROM refunds_create($1, $2, $3, $4, $5, $6, $7) "
                   "ORDER BY position",
                   params, result, detail);
}

void refund_store_created(const PGresult *result, int row, refund_created_t *created)
{
    static const char *const names[] = {
        [REFUND_OK] = "ok",
        [REFUND_PAYMENT_NOT_FOUND] = "payment_not_found",
        [REFUND_EXCEEDS_CAPTURE] = "exceeds_capture",
        [REFUND_KEY_REUSED] = "key_reused",
        [REFUND_ID_CONFLICT] = "id_conflict",
    };
    size_t verdict = 0;
    while (verdict < sizeof names / sizeof *names &&
           !str_is(pg_get_text(result, row, 2), names[verdict]))
        verdict++;
    CHECK(verdict < sizeof names / sizeof *names);
    *created = (refund_created_t){.verdict = (refund_verdict_t)verdict,
                                  .document = {.refund_id = pg_get_uuid(result, row, 0),
                                               .payment_id = pg_get_uuid(result, row, 1),
                                               .replayed = pg_get_bool(result, row, 4)},
                                  .words = pg_get_text(result, row, 3)};
    if (!pg_is_null(result, row, 7))
        created->first_request_id = pg_get_uuid(result, row, 7);
    if (verdict == REFUND_OK) {
        created->document.status = pg_get_text(result, row, 5);
        created->document.document = pg_get_text(result, row, 6);
    }
}

err_t refund_store_documents(refund_store_t *self, const uuid_t *refund_ids, size_t count,
                             PGresult **result, err_detail_t *detail)
{
    pg_params_reset(&self->params);
    const int ids = pg_array_begin(&self->params, PG_ARRAY_UUID);
    for (size_t i = 0; i < count; i++)
        pg_array_add_uuid(&self->params, ids, &refund_ids[i]);
    return pg_exec(self->pg, "refund_documents",
                   "SELECT refund_id, payment_id, status, document FROM refund_documents($1)",
                   &self->params, result, detail);
}

bool refund_store_document(const PGresult *result, const uuid_t *refund_id,
                           refund_document_t *document)
{
    for (int row = 0; row < PQntuples(result); row++) {
        const uuid_t id = pg_get_uuid(result, row, 0);
        if (!uuid_equal(&id, refund_id))
            continue;
        *document = (refund_document_t){.refund_id = id,
                                        .payment_id = pg_get_uuid(result, row, 1),
                                        .status = pg_get_text(result, row, 2),
                                        .document = pg_get_text(result, row, 3)};
        return true;
    }
    return false;
}

bool refund_store_notified(refund_store_t *self)
{
    return pg_notified(self->pg);
}

err_t refund_store_claim(refund_store_t *self, const due_claim_t *claim, PGresult **result,
                         err_detail_t *detail)
{
    pg_params_reset(&self->params);
    pg_param_int4(&self->params, claim->at_most);
    pg_param_int8(&self->params, claim->lease_ms);
    const int except = pg_array_begin(&self->params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < claim->except_count; i++)
        pg_array_add_text(&self->params, except, str_of(claim->except_psps[i]));
    return pg_exec(self->pg, "refunds_claim",
                   "SELECT refund_id, payment_id, order_id, psp, capture_ref, amount, currency, "
                   "reason, calls, requested, key_age_s FROM refunds_claim($1, $2, $3)",
                   &self->params, result, detail);
}

void refund_store_due(const PGresult *result, int row, refund_due_t *due)
{
    memset(due, 0, sizeof *due);
    due->refund.refund_id = pg_get_uuid(result, row, 0);
    due->refund.payment_id = pg_get_uuid(result, row, 1);
    due->refund.order_id = pg_get_uuid(result, row, 2);
    str_copy(pg_get_text(result, row, 3), due->psp, sizeof due->psp);
    str_copy(pg_get_text(result, row, 4), due->refund.capture_ref, sizeof due->refund.capture_ref);
    due->refund.amount = pg_get_int8(result, row, 5);
    str_copy(pg_get_text(result, row, 6), due->refund.currency, sizeof due->refund.currency);
    str_copy(pg_get_text(result, row, 7), due->refund.reason, sizeof due->refund.reason);
    due->calls = (int)pg_get_int8(result, row, 8);
    due->requested = pg_get_bool(result, row, 9);
    due->key_age_s = pg_get_int8(result, row, 10);
}

err_t refund_store_called(refund_store_t *self, const refund_called_t *called, size_t count,
                          err_detail_t *detail)
{
    pg_params_t *params = &self->params;
    pg_params_reset(params);
    const int refund_ids = pg_array_begin(params, PG_ARRAY_UUID);
    const int unknowns = pg_array_begin(params, PG_ARRAY_BOOL);
    const int errors = pg_array_begin(params, PG_ARRAY_TEXT);
    const int retries = pg_array_begin(params, PG_ARRAY_INT8);
    const int calls = pg_array_begin(params, PG_ARRAY_INT4);
    const int absents = pg_array_begin(params, PG_ARRAY_BOOL);
    for (size_t i = 0; i < count; i++) {
        pg_array_add_uuid(params, refund_ids, &called[i].refund_id);
        pg_array_add_bool(params, unknowns, called[i].unknown);
        pg_array_add_text(params, errors, str_of(called[i].error));
        pg_array_add_int8(params, retries, called[i].retry_after_ms);
        pg_array_add_int4(params, calls, called[i].call);
        pg_array_add_bool(params, absents, called[i].absent);
    }
    PGresult *result = NULL;
    err_t err = pg_exec(self->pg, "refunds_called", "SELECT refunds_called($1, $2, $3, $4, $5, $6)",
                        params, &result, detail);
    PQclear(result);
    return err;
}
