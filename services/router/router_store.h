/* router_store.h - every SQL statement of the router. Batches in, one statement and one commit
 * each; see db/006_payments.sql. */
#ifndef TIFFIN_SERVICES_ROUTER_STORE_H
#define TIFFIN_SERVICES_ROUTER_STORE_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/payment/psp.h"
#include "lib/pg.h"
#include "proto/messages.h"
#include "services/router/router_rules.h"

typedef struct router_store router_store_t;

router_store_t *router_store_new(const char *database_url);
void router_store_destroy(router_store_t **self_p);

/* A payment to begin, and the first attempt that is written with it. */
typedef struct router_begin {
    const payment_initiate_t *request;
    const uuid_t *holder; /* the request's id: who holds its Idempotency-Key, if it has one */
    uuid_t attempt_id;
    const char *psp;
    str_t decision; /* why there (routing_record.h) */
} router_begin_t;

/* What the choice of a PSP asks about the orders that are to be paid: (order_id, amount, currency,
 * user_id, manual_capture) of those that exist, in any order. */
err_t router_store_orders(router_store_t *self, const uuid_t *order_ids, size_t count,
                          PGresult **result, err_detail_t *detail) MUST_CHECK;
typedef struct router_order {
    int64_t amount;
    str_t currency, user_id; /* borrowed from the result; {NULL, 0}: there is no such order */
    bool manual_capture;
} router_order_t;
router_order_t router_store_order(const PGresult *result, const uuid_t *order_id);

/* Writes the payments that do not exist yet, each with its first attempt. Row i of the result tells
 * where begins[i] stands; the result is the caller's (PQclear). Errors as pg_exec. */
err_t router_store_begin(router_store_t *self, const router_begin_t *begins, size_t count,
                         PGresult **result, err_detail_t *detail) MUST_CHECK;

/* A holder has stopped working on what its key stands for. */
typedef struct router_release {
    const uuid_t *key, *holder;
    bool final; /* the order can be paid no more, which is remembered; else another may go on at
                   once */
} router_release_t;
err_t router_store_release(router_store_t *self, const router_release_t *releases, size_t count,
                           err_detail_t *detail) MUST_CHECK;

/* How an attempt ended, and what comes next for its payment. */
typedef struct router_record {
    uuid_t attempt_id;
    const psp_checkout_answer_t *answer; /* NULL: nothing new about the attempt */
    int64_t took_ms;
    const char *next_psp; /* NULL: no other attempt */
    uuid_t next_attempt_id;
    str_t next_decision; /* why there */
    bool give_up;
} router_record_t;

/* Row i of the result tells where the payment of records[i] stands now. */
err_t router_store_record(router_store_t *self, const router_record_t *records, size_t count,
                          PGresult **result, err_detail_t *detail) MUST_CHECK;

/* Row `row` of either result, copied. */
void router_store_position(const PGresult *result, int row, router_position_t *position);

/* Where one payment stands, for a page of ours: one row, as above, or none. */
err_t router_store_page(router_store_t *self, const uuid_t *payment_id, PGresult **result,
                        err_detail_t *detail) MUST_CHECK;
/* The PSP has sent its customer back, with this query: it is asked at once. */
err_t router_store_returned(router_store_t *self, const uuid_t *payment_id, str_t query,
                            err_detail_t *detail) MUST_CHECK;

/* How payments ended since that fact (0: in the last hour), as routing_outcomes of db/ has it. */
err_t router_store_outcomes(router_store_t *self, int64_t after_fact_id, PGresult **result,
                            err_detail_t *detail) MUST_CHECK;
typedef struct router_outcomes {
    int64_t last_fact_id;
    str_t psp, method, currency; /* borrowed; psp {NULL, 0}: the row says last_fact_id alone */
    int64_t age_ms;
    int64_t successes, failures;
} router_outcomes_t;
router_outcomes_t router_store_outcomes_row(const PGresult *result, int row);

/* The decisions of one payment that are kept: (decided_at, decision), the first first. */
err_t router_store_decisions(router_store_t *self, const uuid_t *payment_id, PGresult **result,
                             err_detail_t *detail) MUST_CHECK;

/* The public documents of the payments that exist: one row each, in any order. */
err_t router_store_documents(router_store_t *self, const uuid_t *payment_ids, size_t count,
                             PGresult **result, err_detail_t *detail) MUST_CHECK;
/* The row of `payment_id` (texts are borrowed from the result), or false. */
bool router_store_document(const PGresult *result, const uuid_t *payment_id,
                           payment_document_t *document);

#endif
