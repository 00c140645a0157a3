/* router_rules.h - what the router decides: whether a payment is answered, called for, tried
 * elsewhere or given up. Pure: no I/O, no clock, no allocation.
 */
#ifndef TIFFIN_SERVICES_ROUTER_RULES_H
#define TIFFIN_SERVICES_ROUTER_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/payment/psp.h"
#include "lib/payment/psp_accounts.h"
#include "lib/uuid.h"

enum {
    ROUTER_RECORD_MARGIN_MS =
        250, /* kept from the request's budget to record the outcome and to answer */
    ROUTER_CALL_LEAST_MS = 100, /* a call that could take less than this is not begun */
};

typedef enum router_verdict {
    ROUTER_OK,
    ROUTER_ORDER_NOT_FOUND,
    ROUTER_ORDER_NOT_PAYABLE,
    ROUTER_ID_CONFLICT,
    ROUTER_KEY_REUSED,    /* the Idempotency-Key came with another body before */
    ROUTER_KEY_IN_FLIGHT, /* another request with it is opening the checkout */
} router_verdict_t;

/* Where a payment stands, as committed: the payment and its newest attempt (type payment_position
 * of db/). */
typedef struct router_position {
    uuid_t payment_id, order_id;
    router_verdict_t verdict; /* not ROUTER_OK: nothing below is set but the next two */
    bool replayed;            /* the first answer of an Idempotency-Key … */
    uuid_t first_request_id;  /* … to this request */
    int64_t amount;           /* minor units */
    char currency[4];
    char method[17];
    char requested_psp[PSP_NAME_SIZE]; /* "": any */
    char return_url[2049];
    int64_t expires_at_us;
    char status[33];
    bool given_up;
    uuid_t attempt_id;
    char psp[PSP_NAME_SIZE];
    bool answered; /* the newest attempt has an outcome */
    psp_checkout_outcome_t outcome;
    char checkout_url[2049]; /* "": none is open */
    char tried_psps[256];    /* in the newest round, comma separated */
    char failures[256];      /* of the attempts that opened none, for people */
    psp_customer_t customer;
    bool manual_capture;                                           /* the order's */
    char page_data[sizeof((psp_checkout_answer_t *)0)->page_data]; /* of the open checkout */
    char returned[sizeof((psp_payment_t *)0)->returned];
} router_position_t;

typedef enum router_step {
    ROUTER_STEP_REFUSE,      /* answer router_verdict_err */
    ROUTER_STEP_ANSWER_OPEN, /* a checkout is open */
    ROUTER_STEP_ANSWER_NO_PSP,
    ROUTER_STEP_CALL, /* the newest attempt's PSP, under its id: the PSP's idempotency key makes a
                         repetition safe */
    ROUTER_STEP_TRY_NEXT,        /* write another attempt, at the next PSP */
    ROUTER_STEP_GIVE_UP,         /* write that no PSP is left */
    ROUTER_STEP_ANSWER_LATE,     /* the attempts ended, the time too, and a PSP is left: a repeated
                                    request goes on there */
    ROUTER_STEP_ANSWER_DEADLINE, /* an attempt is not answered and the time has ended */
} router_step_t;

/* The PSPs that are configured, in priority order. */
typedef struct router_psps {
    const psp_t *of[PSP_COUNT];
    /* Is it tried when nobody asks for it by name? In development the first three, which the
     * simulator plays out of the box, and those that somebody has keys for. */
    bool unasked[PSP_COUNT];
    bool by_hand[PSP_COUNT]; /* its payments can be captured by hand */
    size_t count;
} router_psps_t;

void router_psps_init(router_psps_t *psps, const psp_accounts_t *accounts);
/* Case-insensitive; NULL when it is not among them. */
const psp_t *router_psps_find(const router_psps_t *psps, const char *name);

/* Is it among these (comma separated, registered spelling)? */
bool router_psp_is_listed(const char *psps, const psp_t *psp);

/* What to do for a payment at this position. `psp_left`: another PSP may be tried; `time_left`:
 * another call fits into the request's budget. */
router_step_t router_step(const router_position_t *position, bool psp_left, bool time_left);

/* How long a call may take that begins with `left_ms` of the request's budget: at most
 * `per_call_ms`, and never into the margin for recording. 0: too little is left for a call. */
uint32_t router_call_timeout_ms(int64_t left_ms, int64_t per_call_ms);

/* ERR_OK for ROUTER_OK. */
err_t router_verdict_err(router_verdict_t verdict);

#endif
