/* settling_store.h - every SQL statement about capture and void by hand; see db/006_payments.sql.
 * Results are the caller's (PQclear); errors as pg_exec. */
#ifndef TIFFIN_SERVICES_SETTLING_STORE_H
#define TIFFIN_SERVICES_SETTLING_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/payment/psp.h"
#include "lib/pg.h"
#include "proto/messages.h"

typedef struct settling_store settling_store_t;

settling_store_t *settling_store_new(const char *database_url);
void settling_store_destroy(settling_store_t **self_p);

typedef enum settling_verdict {
    SETTLING_OK,
    SETTLING_PAYMENT_NOT_FOUND,
    SETTLING_NOT_AUTHORIZED,
    SETTLING_ORDER_NOT_PAYABLE,
    SETTLING_KEY_REUSED,
} settling_verdict_t;

typedef struct settling_answer {
    settling_verdict_t verdict;
    bool replayed;           /* the first answer of an Idempotency-Key … */
    uuid_t first_request_id; /* … to this request */
    char status[33];         /* the payment's; "": there is none */
} settling_answer_t;

/* Writes down what was asked for. */
err_t settling_store_settle(settling_store_t *self, const payment_settle_t *settle,
                            const uuid_t *request_id, settling_answer_t *answer,
                            err_detail_t *detail) MUST_CHECK;

/* An authorisation whose PSP is to be told. */
typedef struct settling_due {
    psp_authorization_t authorization;
    char psp[PSP_NAME_SIZE];
    bool capture; /* else it is voided */
    int calls;    /* claimed so often, this time included */
} settling_due_t;

/* True when something may have become due since the last call (LISTEN settles_due). */
bool settling_store_notified(settling_store_t *self);
/* Claims at most `at_most` that are due: nobody else is given them for lease_ms. */
err_t settling_store_claim(settling_store_t *self, int at_most, int64_t lease_ms, PGresult **result,
                           err_detail_t *detail) MUST_CHECK;
/* Row `row` of that result, copied. */
void settling_store_due(const PGresult *result, int row, settling_due_t *due);
/* A call has ended: `error` NULL, the PSP took it. How the payment stands is asked at once. */
err_t settling_store_called(settling_store_t *self, const settling_due_t *due, const char *error,
                            int64_t retry_after_ms, err_detail_t *detail) MUST_CHECK;

#endif
