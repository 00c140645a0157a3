/* capture_store.h - every SQL statement about capture and void by hand; see db/006_payments.sql.
 * Results are the caller's (PQclear); errors as pg_exec. */
#ifndef TIFFIN_SERVICES_CAPTURE_STORE_H
#define TIFFIN_SERVICES_CAPTURE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/payment/psp.h"
#include "lib/pg.h"
#include "proto/messages.h"
#include "services/router/due_calls.h"

typedef struct capture_store capture_store_t;

capture_store_t *capture_store_new(const char *database_url);
void capture_store_destroy(capture_store_t **self_p);

typedef enum capture_verdict {
    CAPTURE_OK,
    CAPTURE_PAYMENT_NOT_FOUND,
    CAPTURE_NOT_AUTHORIZED,
    CAPTURE_ORDER_NOT_PAYABLE,
    CAPTURE_VOID_UNSUPPORTED,
    CAPTURE_KEY_REUSED,
} capture_verdict_t;

typedef struct capture_answer {
    capture_verdict_t verdict;
    bool replayed;           /* the first answer of an Idempotency-Key … */
    uuid_t first_request_id; /* … to this request */
    char status[33];         /* the payment's; "": there is none */
} capture_answer_t;

/* Writes down what was asked for. */
err_t capture_store_ask(capture_store_t *self, const payment_capture_t *asked,
                        const uuid_t *request_id, capture_answer_t *answer,
                        err_detail_t *detail) MUST_CHECK;

/* An authorisation whose PSP is to be told. */
typedef struct capture_due {
    psp_authorization_t authorization;
    char psp[PSP_NAME_SIZE];
    bool capture; /* else it is voided */
    int calls;    /* claimed so often, this time included */
} capture_due_t;

/* True when something may have become due since the last call (LISTEN captures_due). */
bool capture_store_notified(capture_store_t *self);
/* Claims what is due: nobody else is given it while the lease lasts. */
err_t capture_store_claim(capture_store_t *self, const due_claim_t *claim, PGresult **result,
                          err_detail_t *detail) MUST_CHECK;
/* Row `row` of that result, copied. */
void capture_store_due(const PGresult *result, int row, capture_due_t *due);
/* A call has ended: `error` NULL, the PSP took it. How the payment stands is asked at once.
 * retry_after_ms CAPTURE_NEVER_AGAIN: the PSP is not told again. */
#define CAPTURE_NEVER_AGAIN INT64_C(-1)
err_t capture_store_called(capture_store_t *self, const capture_due_t *due, const char *error,
                           int64_t retry_after_ms, err_detail_t *detail) MUST_CHECK;

#endif
