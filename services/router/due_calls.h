/* due_calls.h - calls to PSPs that are due in the database: claimed by lease, a few at a time, made
 * at the rate that each PSP bears, and handed back as they end. What a call asks for, and what its
 * end means, is its owner's concern.
 *
 * A process that dies lets go of what it claimed: the lease ends and another makes the call again.
 * One thread (the service's actor) owns it. */
#ifndef TIFFIN_SERVICES_DUE_CALLS_H
#define TIFFIN_SERVICES_DUE_CALLS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/http_client.h"
#include "lib/list.h"
#include "lib/payment/psp_accounts.h"
#include "lib/service.h"

enum {
    DUE_CALLS_MAX = 16,        /* at once; checkouts have their own */
    DUE_RETRY_FIRST_MS = 1000, /* what came of the call is not known */
    DUE_POLL_FIRST_MS = 10000, /* the PSP is at it, or its answer is on its way to the facts */
    DUE_RETRY_MOST_MS = 300000,
    DUE_NOT_CONFIGURED_MS = 60000, /* its PSP is not configured at this router */
};

typedef struct due_calls due_calls_t;

/* Head of the owner's struct for one call, which is allocated with malloc and freed here. */
typedef struct due_call {
    list_node_t node;
    const psp_t *psp;
    http_client_request_t request; /* until it is sent; its timeout is set here */
    int64_t turn_ends_mono_ms;     /* set here */
} due_call_t;

/* A call that has ended. */
typedef struct due_call_end {
    due_call_t *call;
    http_client_response_t response;
} due_call_end_t;

/* What is claimed. */
typedef struct due_claim {
    int at_most;
    int64_t lease_ms;
    const char *except_psps[PSP_COUNT]; /* whose turn has not come for what was claimed before */
    size_t except_count;
} due_claim_t;

typedef struct due_calls_owner {
    void *self;
    const char *what;                            /* in the log: "refunds" */
    unsigned (*calls_per_min)(const psp_t *psp); /* that a PSP bears; 0: it says nothing */
    /* May something have become due since the last time? */
    bool (*notified)(void *self);
    err_t (*claim)(void *self, const due_claim_t *claim, PGresult **result, err_detail_t *detail);
    /* The call of this row of that result; NULL: there is none, which the owner has noted. */
    due_call_t *(*prepare)(void *self, const PGresult *result, int row);
    /* Ends that were there together, at most DUE_CALLS_MAX; all are freed afterwards. */
    void (*ended)(void *self, due_call_end_t *ends, size_t count);
} due_calls_owner_t;

/* Borrows `service` and `accounts`. */
due_calls_t *due_calls_new(service_t *service, const psp_accounts_t *accounts,
                           int64_t call_timeout_ms, const due_calls_owner_t *owner);
/* Cancels what is in flight. */
void due_calls_destroy(due_calls_t **self_p);

/* The account for calls to this PSP; NULL, and said in the log: it is not configured here. */
const psp_account_t *due_calls_account(const due_calls_t *self, const char *psp_name,
                                       const psp_t **psp);

/* Claims and begins nothing more from the first call on; true once no call is in flight. */
bool due_calls_idle(due_calls_t *self);

/* When the next call about the same follows the `calls`-th (1 …): the first wait, doubled with each
 * call up to DUE_RETRY_MOST_MS; never given up. `answered`: the PSP has taken or answered it. Pure.
 */
int64_t due_calls_retry_after_ms(bool answered, int calls);

#endif
