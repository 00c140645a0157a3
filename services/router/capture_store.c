/* capture_store.c - see capture_store.h. */
#include "services/router/capture_store.h"

#include <stdlib.h>
#include <string.h>

#include "lib/limits.h"

struct capture_store {
    pg_t *pg;
    pg_params_t params; /* reused: its buffers keep their memory */
};

capture_store_t *capture_store_new(const char *database_url)
{
    capture_store_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->pg = pg_new(database_url, "tiffin-router", PG_STATEMENT_TIMEOUT_MS);
    pg_listen(self->pg, "captures_due");
    return self;
}

void capture_store_destroy(capture_store_t **self_p)
{
    capture_store_t *self = *self_p;
    if (self == NULL)
        return;
    pg_destroy(&self->pg);
    pg_params_free(&self->params);
    free(self);
    *self_p = NULL;
}

static capture_verdict_t verdict_of(str_t text)
{
    static const char *const names[] = {
        [CAPTURE_OK] = "capturing",
        [CAPTURE_PAYMENT_NOT_FOUND] = "payment_not_found",
        [CAPTURE_NOT_AUTHORIZED] = "not_authorized",
        [CAPTURE_ORDER_NOT_PAYABLE] = "order_not_payable",
        [CAPTURE_VOID_UNSUPPORTED] = "void_unsupported",
        [CAPTURE_KEY_REUSED] = "key_reused",
    };
    size_t i = 0;
    while (i < sizeof names / sizeof *names && !str_is(text, names[i]))
        i++;
    CHECK(i < sizeof names / sizeof *names);
    return (capture_verdict_t)i;
}

err_t capture_store_ask(capture_store_t *self, const payment_capture_t *asked,
                        const uuid_t *request_id, capture_answer_t *answer, err_detail_t *detail)
{
    PGresult *result = NULL;
    pg_params_reset(&self->params);
    pg_param_uuid(&self->params, &asked->payment_id);
    pg_param_text(&self->params, asked->action);
    pg_param_uuid(&self->params, &asked->idempotency_id);
    pg_param_uuid(&self->params, &asked->fingerprint);
    pg_param_uuid(&self->params, request_id);
    const int without_void = pg_array_begin(&self->params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < psp_count(); i++)
        if (!psp_takes_void(psp_at(i)))
            pg_array_add_text(&self->params, without_void, str_of(psp_name(psp_at(i))));
    TRY(pg_exec(self->pg, "payment_capture",
                "SELECT verdict, replayed, first_request_id, status "
                "FROM payment_capture($1, $2, $3, $4, $5, $6)",
                &self->params, &result, detail));
    CHECK(PQntuples(result) == 1);
    *answer = (capture_answer_t){.verdict = verdict_of(pg_get_text(result, 0, 0)),
                                 .replayed = pg_get_bool(result, 0, 1)};
    if (!pg_is_null(result, 0, 2))
        answer->first_request_id = pg_get_uuid(result, 0, 2);
    if (!pg_is_null(result, 0, 3))
        str_copy(pg_get_text(result, 0, 3), answer->status, sizeof answer->status);
    PQclear(result);
    return ERR_OK;
}

bool capture_store_notified(capture_store_t *self)
{
    return pg_notified(self->pg);
}

err_t capture_store_claim(capture_store_t *self, const due_claim_t *claim, PGresult **result,
                          err_detail_t *detail)
{
    pg_params_reset(&self->params);
    pg_param_int4(&self->params, claim->at_most);
    pg_param_int8(&self->params, claim->lease_ms);
    const int except = pg_array_begin(&self->params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < claim->except_count; i++)
        pg_array_add_text(&self->params, except, str_of(claim->except_psps[i]));
    return pg_exec(self->pg, "payments_capture_claim",
                   "SELECT payment_id, order_id, psp, psp_ref, amount, currency, capture_action, "
                   "calls::bigint FROM payments_capture_claim($1, $2, $3)",
                   &self->params, result, detail);
}

void capture_store_due(const PGresult *result, int row, capture_due_t *due)
{
    psp_authorization_t *authorization = &due->authorization;
    memset(due, 0, sizeof *due);
    authorization->payment_id = pg_get_uuid(result, row, 0);
    authorization->order_id = pg_get_uuid(result, row, 1);
    str_copy(pg_get_text(result, row, 2), due->psp, sizeof due->psp);
    str_copy(pg_get_text(result, row, 3), authorization->psp_ref, sizeof authorization->psp_ref);
    authorization->amount = pg_get_int8(result, row, 4);
    str_copy(pg_get_text(result, row, 5), authorization->currency, sizeof authorization->currency);
    due->capture = str_is(pg_get_text(result, row, 6), "capture");
    due->calls = (int)pg_get_int8(result, row, 7);
}

err_t capture_store_called(capture_store_t *self, const capture_due_t *due, const char *error,
                           int64_t retry_after_ms, err_detail_t *detail)
{
    PGresult *result = NULL;
    pg_params_reset(&self->params);
    pg_param_uuid(&self->params, &due->authorization.payment_id);
    pg_param_int4(&self->params, due->calls);
    pg_param_text(&self->params, str_of(error));
    if (retry_after_ms == CAPTURE_NEVER_AGAIN)
        pg_param_null_int8(&self->params);
    else
        pg_param_int8(&self->params, retry_after_ms);
    const err_t err =
        pg_exec(self->pg, "payment_capture_called", "SELECT payment_capture_called($1, $2, $3, $4)",
                &self->params, &result, detail);
    PQclear(result);
    return err;
}
