/* refund_store.h - every SQL statement about refunds. Batches in, one statement and one commit
 * each; see db/007_refunds.sql. Results are the caller's (PQclear); errors as pg_exec. */
#ifndef TIFFIN_SERVICES_REFUND_STORE_H
#define TIFFIN_SERVICES_REFUND_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/payment/psp.h"
#include "lib/pg.h"
#include "proto/messages.h"
#include "services/router/due_calls.h"

typedef struct refund_store refund_store_t;

refund_store_t *refund_store_new(const char *database_url);
void refund_store_destroy(refund_store_t **self_p);

typedef enum refund_verdict {
    REFUND_OK,
    REFUND_PAYMENT_NOT_FOUND,
    REFUND_EXCEEDS_CAPTURE,
    REFUND_KEY_REUSED,
    REFUND_ID_CONFLICT,
} refund_verdict_t;

/* Reserves refunds, in order. Row i of the result belongs to refunds[i], asked for by
 * request_ids[i]. */
err_t refund_store_create(refund_store_t *self, const refund_create_t *const *refunds,
                          const uuid_t *request_ids, size_t count, PGresult **result,
                          err_detail_t *detail) MUST_CHECK;
/* Row `row` of that result. Texts are borrowed from it. */
typedef struct refund_created {
    refund_verdict_t verdict;
    refund_document_t document; /* whole when the verdict is REFUND_OK; `replayed` always */
    str_t words;                /* else what a person should know; may be {NULL, 0} */
    uuid_t first_request_id;    /* replayed: the request that was answered so */
} refund_created_t;
void refund_store_created(const PGresult *result, int row, refund_created_t *created);

/* The public documents of the refunds that exist: one row each, in any order. */
err_t refund_store_documents(refund_store_t *self, const uuid_t *refund_ids, size_t count,
                             PGresult **result, err_detail_t *detail) MUST_CHECK;
/* The row of `refund_id` (texts are borrowed from the result), or false. */
bool refund_store_document(const PGresult *result, const uuid_t *refund_id,
                           refund_document_t *document);

/* ---- what is due ---- */

/* A refund whose PSP is to be asked. */
typedef struct refund_due {
    psp_refund_t refund;
    char psp[PSP_NAME_SIZE];
    int calls;         /* claimed so often, this time included */
    bool requested;    /* the PSP has told that it has taken it */
    int64_t key_age_s; /* for how long the PSP may have known its key */
} refund_due_t;

/* True when refunds were reserved since the last call, or may have been (LISTEN refunds_due). Never
 * blocks. */
bool refund_store_notified(refund_store_t *self);
/* Claims what is due: nobody else is given it while the lease lasts. */
err_t refund_store_claim(refund_store_t *self, const due_claim_t *claim, PGresult **result,
                         err_detail_t *detail) MUST_CHECK;
/* Row `row` of that result, copied. */
void refund_store_due(const PGresult *result, int row, refund_due_t *due);

/* What a call about a refund came to. Of one that was claimed again meanwhile only `unknown` and
 * `error` are noted: when it is asked about next is the newer claim's to say. */
typedef struct refund_called {
    uuid_t refund_id;
    int call;          /* `calls` when it was claimed */
    bool unknown;      /* it was sent, and what came of it is not known */
    bool absent;       /* the PSP says that it does not know of it */
    const char *error; /* NULL: none */
    int64_t retry_after_ms;
} refund_called_t;
err_t refund_store_called(refund_store_t *self, const refund_called_t *called, size_t count,
                          err_detail_t *detail) MUST_CHECK;

#endif
