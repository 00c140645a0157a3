/* reconciler_store.h - every SQL statement of the reconciler; see db/010_reconciliation.sql and
 * db/003_ledger.sql. */
#ifndef TIFFIN_SERVICES_RECONCILER_STORE_H
#define TIFFIN_SERVICES_RECONCILER_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/payment/psp.h"
#include "lib/pg.h"

typedef struct reconciler_store reconciler_store_t;

reconciler_store_t *reconciler_store_new(const char *database_url);
void reconciler_store_destroy(reconciler_store_t **self_p);

/* Begins a run. `everything`: what is not settled is due now, however lately it was asked about. */
err_t reconciler_store_begin(reconciler_store_t *self, const char *instance, bool everything,
                             int64_t *run_id, err_detail_t *detail) MUST_CHECK;
/* What a run came to. */
typedef struct reconciler_counts {
    int asked, news, errors;
} reconciler_counts_t;
err_t reconciler_store_finish(reconciler_store_t *self, int64_t run_id,
                              const reconciler_counts_t *counts, err_detail_t *detail) MUST_CHECK;

/* A PSP to ask about a payment. */
typedef struct reconciler_due {
    psp_payment_t payment;
    char psp[PSP_NAME_SIZE]; /* "": no PSP can know of this payment */
    bool failure_known;
} reconciler_due_t;

/* Claims at most `at_most` payments that were due when the run began, or (run_id 0) of which a PSP
 * has hinted at news: none of them is due again before interval_s have nearly passed, whoever asks.
 * Any number of rows per payment; no row: nothing is left. The result is the caller's. */
err_t reconciler_store_claim(reconciler_store_t *self, int64_t run_id, int at_most,
                             int64_t interval_s, PGresult **result,
                             err_detail_t *detail) MUST_CHECK;
void reconciler_store_due(const PGresult *result, int row, reconciler_due_t *due);

/* True when a PSP has hinted at news since the last call, or may have (LISTEN checks_due). Never
 * blocks. */
bool reconciler_store_notified(reconciler_store_t *self);

/* A page of runs, newest first: the public JSON in row 0, column 0. `before`: 0 from the newest. */
err_t reconciler_store_page(reconciler_store_t *self, int64_t before, int at_most,
                            PGresult **result, err_detail_t *detail) MUST_CHECK;

/* Claims at most `at_most` settlement reports of these PSPs to read, for lease_s: those that are
 * due, or (`everything`) were read lately; of PSPs that announce theirs, those that were announced.
 * The result is the caller's. */
err_t reconciler_store_claim_reports(reconciler_store_t *self, const psp_t *const *psps,
                                     size_t psp_count, bool everything, int at_most, int lease_s,
                                     PGresult **result, err_detail_t *detail) MUST_CHECK;
/* A settlement report that was claimed. */
typedef struct reconciler_report {
    char psp[PSP_NAME_SIZE];
    psp_settlement_query_t query;
} reconciler_report_t;
void reconciler_store_report(const PGresult *result, int row, reconciler_report_t *report);
/* Which of these lines (event id, payment) nobody has told the processor of: news[i]. */
err_t reconciler_store_news(reconciler_store_t *self, const char *psp, const psp_report_t *lines,
                            size_t count, bool *news, err_detail_t *detail) MUST_CHECK;
/* A page is read, with so many new lines; `next`: where the next begins; "": it was the last, and
 * the report is due again after interval_s, or never, if it was announced. */
err_t reconciler_store_report_read(reconciler_store_t *self, const reconciler_report_t *report,
                                   const char *next, int news, int64_t interval_s, int lease_s,
                                   err_detail_t *detail) MUST_CHECK;
/* It could not be read: it is due again after again_s, where it was left or from_beginning. */
err_t reconciler_store_report_failed(reconciler_store_t *self, const reconciler_report_t *report,
                                     bool from_beginning, int again_s,
                                     err_detail_t *detail) MUST_CHECK;

/* Ends sessions whose client has not read its answer for after_s seconds while it holds locks; how
 * many. */
err_t reconciler_store_end_unread(reconciler_store_t *self, int after_s, int64_t *ended,
                                  err_detail_t *detail) MUST_CHECK;

/* Extends the ledger's chain by at most `at_most` transactions; how many. */
err_t reconciler_store_seal(reconciler_store_t *self, int at_most, int64_t *sealed,
                            err_detail_t *detail) MUST_CHECK;

/* Forgets webhooks that were handled and events older than so many days, at most `at_most` of each;
 * how many. */
err_t reconciler_store_forget(reconciler_store_t *self, int webhooks_days, int events_days,
                              int at_most, int64_t *forgotten, err_detail_t *detail) MUST_CHECK;
/* The same of the decisions about where payments went. */
err_t reconciler_store_forget_decisions(reconciler_store_t *self, int decisions_days, int at_most,
                                        int64_t *forgotten, err_detail_t *detail) MUST_CHECK;

#endif
