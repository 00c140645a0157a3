/* reconciler_store.c - see reconciler_store.h. */
#include "services/reconciler/reconciler_store.h"

#include <stdlib.h>

#include "lib/limits.h"

struct reconciler_store {
    pg_t *pg;
    pg_params_t params; /* reused: its buffers keep their memory */
};

reconciler_store_t *reconciler_store_new(const char *database_url)
{
    reconciler_store_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->pg = pg_new(database_url, "tiffin-reconciler", PG_STATEMENT_TIMEOUT_MS);
    pg_listen(self->pg, "checks_due");
    return self;
}

void reconciler_store_destroy(reconciler_store_t **self_p)
{
    reconciler_store_t *self = *self_p;
    if (self == NULL)
        return;
    pg_destroy(&self->pg);
    pg_params_free(&self->params);
    free(self);
    *self_p = NULL;
}

err_t reconciler_store_begin(reconciler_store_t *self, const char *instance, bool everything,
                             int64_t *run_id, err_detail_t *detail)
{
    PGresult *result = NULL;
    pg_params_reset(&self->params);
    pg_param_text(&self->params, str_of(instance));
    pg_param_bool(&self->params, everything);
    TRY(pg_exec(self->pg, "reconciliation_begin", "SELECT reconciliation_begin($1, $2)",
                &self->params, &result, detail));
    *run_id = pg_get_int8(result, 0, 0);
    PQclear(result);
    return ERR_OK;
}

err_t reconciler_store_finish(reconciler_store_t *self, int64_t run_id,
                              const reconciler_counts_t *counts, err_detail_t *detail)
{
    PGresult *result = NULL;
    pg_params_reset(&self->params);
    pg_param_int8(&self->params, run_id);
    pg_param_int4(&self->params, counts->asked);
    pg_param_int4(&self->params, counts->news);
    pg_param_int4(&self->params, counts->errors);
    TRY(pg_exec(self->pg, "reconciliation_finish", "SELECT reconciliation_finish($1, $2, $3, $4)",
                &self->params, &result, detail));
    PQclear(result);
    return ERR_OK;
}

err_t reconciler_store_claim(reconciler_store_t *self, int64_t run_id, int at_most,
                             int64_t interval_s, PGresult **result, err_detail_t *detail)
{
    pg_params_reset(&self->params);
    if (run_id != 0)
        pg_param_int8(&self->params, run_id);
    else
        pg_param_null_int8(&self->params);
    pg_param_int4(&self->params, at_most);
    pg_param_int8(&self->params, interval_s);
    return pg_exec(
        self->pg, "status_checks_claim",
        "SELECT payment_id, order_id, psp, failure_known, psp_ref, amount, currency, returned "
        "FROM status_checks_claim($1, $2, $3)",
        &self->params, result, detail);
}

bool reconciler_store_notified(reconciler_store_t *self)
{
    return pg_notified(self->pg);
}

void reconciler_store_due(const PGresult *result, int row, reconciler_due_t *due)
{
    psp_payment_t *payment = &due->payment;
    payment->payment_id = pg_get_uuid(result, row, 0);
    payment->order_id = pg_get_uuid(result, row, 1);
    str_copy(pg_get_text(result, row, 2), due->psp, sizeof due->psp);
    due->failure_known = pg_get_bool(result, row, 3);
    str_copy(pg_get_text(result, row, 4), payment->psp_ref, sizeof payment->psp_ref);
    payment->amount = pg_get_int8(result, row, 5);
    str_copy(pg_get_text(result, row, 6), payment->currency, sizeof payment->currency);
    str_copy(pg_get_text(result, row, 7), payment->returned, sizeof payment->returned);
}

err_t reconciler_store_page(reconciler_store_t *self, int64_t before, int at_most,
                            PGresult **result, err_detail_t *detail)
{
    pg_params_reset(&self->params);
    if (before > 0)
        pg_param_int8(&self->params, before);
    else
        pg_param_null_int8(&self->params);
    pg_param_int4(&self->params, at_most);
    return pg_exec(self->pg, "reconciliations_page", "SELECT reconciliations_page($1, $2)",
                   &self->params, result, detail);
}

err_t reconciler_store_end_unread(reconciler_store_t *self, int after_s, int64_t *ended,
                                  err_detail_t *detail)
{
    PGresult *result = NULL;
    pg_params_reset(&self->params);
    pg_param_int4(&self->params, after_s);
    TRY(pg_exec(self->pg, "sessions_end_unread", "SELECT sessions_end_unread($1)", &self->params,
                &result, detail));
    *ended = pg_get_int8(result, 0, 0);
    PQclear(result);
    return ERR_OK;
}

err_t reconciler_store_seal(reconciler_store_t *self, int at_most, int64_t *sealed,
                            err_detail_t *detail)
{
    PGresult *result = NULL;
    pg_params_reset(&self->params);
    pg_param_int4(&self->params, at_most);
    TRY(pg_exec(self->pg, "ledger_seal", "SELECT ledger_seal($1)", &self->params, &result, detail));
    *sealed = pg_get_int8(result, 0, 0);
    PQclear(result);
    return ERR_OK;
}

err_t reconciler_store_forget(reconciler_store_t *self, int webhooks_days, int events_days,
                              int at_most, int64_t *forgotten, err_detail_t *detail)
{
    PGresult *result = NULL;
    pg_params_reset(&self->params);
    pg_param_int4(&self->params, webhooks_days);
    pg_param_int4(&self->params, events_days);
    pg_param_int4(&self->params, at_most);
    TRY(pg_exec(self->pg, "history_forget", "SELECT history_forget($1, $2, $3)", &self->params,
                &result, detail));
    *forgotten = pg_get_int8(result, 0, 0);
    PQclear(result);
    return ERR_OK;
}

err_t reconciler_store_forget_decisions(reconciler_store_t *self, int decisions_days, int at_most,
                                        int64_t *forgotten, err_detail_t *detail)
{
    PGresult *result = NULL;
    pg_params_reset(&self->params);
    pg_param_int4(&self->params, decisions_days);
    pg_param_int4(&self->params, at_most);
    TRY(pg_exec(self->pg, "decisions_forget", "SELECT decisions_forget($1, $2)", &self->params,
                &result, detail));
    *forgotten = pg_get_int8(result, 0, 0);
    PQclear(result);
    return ERR_OK;
}

/* ---- settlement reports ---- */

err_t reconciler_store_claim_reports(reconciler_store_t *self, const psp_t *const *psps,
                                     size_t psp_count, bool everything, int at_most, int lease_s,
                                     PGresult **result, err_detail_t *detail)
{
    pg_params_reset(&self->params);
    const int by_day = pg_array_begin(&self->params, PG_ARRAY_TEXT);
    const int announcing = pg_array_begin(&self->params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < psp_count; i++)
        pg_array_add_text(&self->params, psp_settlement_is_announced(psps[i]) ? announcing : by_day,
                          str_of(psp_name(psps[i])));
    pg_param_bool(&self->params, everything);
    pg_param_int4(&self->params, at_most);
    pg_param_int4(&self->params, lease_s);
    return pg_exec(self->pg, "settlement_reports_claim",
                   "SELECT psp, day_us, url, cursor "
                   "FROM settlement_reports_claim($1, $2, $3, $4, $5)",
                   &self->params, result, detail);
}

void reconciler_store_report(const PGresult *result, int row, reconciler_report_t *report)
{
    str_copy(pg_get_text(result, row, 0), report->psp, sizeof report->psp);
    report->query.day_us = pg_get_int8(result, row, 1);
    str_copy(pg_get_text(result, row, 2), report->query.url, sizeof report->query.url);
    str_copy(pg_get_text(result, row, 3), report->query.cursor, sizeof report->query.cursor);
}

err_t reconciler_store_news(reconciler_store_t *self, const char *psp, const psp_report_t *lines,
                            size_t count, bool *news, err_detail_t *detail)
{
    PGresult *result = NULL;
    pg_params_reset(&self->params);
    pg_param_text(&self->params, str_of(psp));
    const int event_ids = pg_array_begin(&self->params, PG_ARRAY_TEXT);
    const int payment_ids = pg_array_begin(&self->params, PG_ARRAY_UUID);
    for (size_t i = 0; i < count; i++) {
        pg_array_add_text(&self->params, event_ids, str_of(lines[i].event_id));
        pg_array_add_uuid(&self->params, payment_ids, &lines[i].payment_id);
        news[i] = false;
    }
    TRY(pg_exec(self->pg, "settlement_lines_news", "SELECT settlement_lines_news($1, $2, $3)",
                &self->params, &result, detail));
    for (int row = 0; row < PQntuples(result); row++) {
        const int64_t place = pg_get_int8(result, row, 0);
        if (place >= 1 && (size_t)place <= count)
            news[place - 1] = true;
    }
    PQclear(result);
    return ERR_OK;
}

static void name_report(reconciler_store_t *self, const reconciler_report_t *report)
{
    pg_params_reset(&self->params);
    pg_param_text(&self->params, str_of(report->psp));
    pg_param_int8(&self->params, report->query.day_us);
    pg_param_text(&self->params, str_of(report->query.url));
}

err_t reconciler_store_report_read(reconciler_store_t *self, const reconciler_report_t *report,
                                   const char *next, int news, int64_t interval_s, int lease_s,
                                   err_detail_t *detail)
{
    PGresult *result = NULL;
    name_report(self, report);
    pg_param_text(&self->params, str_of(next));
    pg_param_int4(&self->params, news);
    pg_param_int8(&self->params, interval_s);
    pg_param_int4(&self->params, lease_s);
    TRY(pg_exec(self->pg, "settlement_reports_read",
                "SELECT settlement_reports_read($1, $2, $3, $4, $5, $6, $7)", &self->params,
                &result, detail));
    PQclear(result);
    return ERR_OK;
}

err_t reconciler_store_report_failed(reconciler_store_t *self, const reconciler_report_t *report,
                                     bool from_beginning, int again_s, err_detail_t *detail)
{
    PGresult *result = NULL;
    name_report(self, report);
    pg_param_bool(&self->params, from_beginning);
    pg_param_int4(&self->params, again_s);
    TRY(pg_exec(self->pg, "settlement_reports_failed",
                "SELECT settlement_reports_failed($1, $2, $3, $4, $5)", &self->params, &result,
                detail));
    PQclear(result);
    return ERR_OK;
}
