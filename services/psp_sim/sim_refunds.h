/* sim_refunds.h - refunds at the bank: each gives back a part of one charge, once.
 *
 * Thread-safe. Nothing here reads a clock. The refund_id is the idempotency key: whatever became of
 * a refund stays so, also a refusal, and the same request again is told. What must never happen:
 * refunds of one charge that come to more than it.
 */
#ifndef TIFFIN_SERVICES_SIM_REFUNDS_H
#define TIFFIN_SERVICES_SIM_REFUNDS_H

#include "services/psp_sim/sim_bank.h"

#define SIM_REASON_SIZE 257
#define SIM_REFUND_ERROR_SIZE 96

typedef enum sim_refund_state {
    SIM_REFUND_PENDING,
    SIM_REFUND_REFUSED, /* at once, for good */
    SIM_REFUND_FAILED,  /* after it had been taken */
    SIM_REFUND_DONE,
} sim_refund_state_t;

/* Plain value. */
typedef struct sim_refund {
    const psp_t *psp;
    uuid_t refund_id, payment_id, order_id;
    char reference[SIM_REFERENCE_SIZE]; /* the merchant's own name of it, as of a checkout's */
    char reason[SIM_REASON_SIZE];       /* "" for none */
    char charge_ref[PSP_REF_SIZE];      /* the charge that is given back */
    char currency[4];
    char error[SIM_REFUND_ERROR_SIZE]; /* REFUSED, FAILED, and PENDING that is to fail: why */
    sim_refund_state_t state;
    sim_refund_state_t becomes; /* PENDING: DONE or FAILED … */
    int64_t due_us;             /* … and when */
    int64_t amount;
    const char *notes; /* as of a checkout */
    /* Set by the bank: */
    uint64_t serial;          /* random; names the refund and its event */
    uint64_t checkout_serial; /* names the checkout that was paid */
    int64_t at_us;            /* since when it is in this state */
} sim_refund_t;

/* "PENDING", "FAILED", "SUCCESS": as the PSP API says it; "REFUSED". Static. */
const char *sim_refund_state_name(sim_refund_state_t state);

/* *refund comes in as it is asked for and with the state that it gets (what it becomes, and when),
 * and goes out as it is on record: REFUSED where the charge has less left. *fresh is false when the
 * key was there. ERR_PAYMENT_NOT_FOUND: there is no such charge of this payment and order at this
 * PSP; ERR_ID_CONFLICT: the key came with other content; ERR_STORE_UNAVAILABLE: the journal cannot
 * be written. */
err_t sim_refund_request(sim_bank_t *bank, sim_refund_t *refund, int64_t now_us,
                         bool *fresh) MUST_CHECK;
/* The refund of this id, or (refund_id NULL) that the serial names. ERR_REFUND_NOT_FOUND. */
err_t sim_refund_find(sim_bank_t *bank, const psp_t *psp, const uuid_t *refund_id, uint64_t serial,
                      sim_refund_t *refund) MUST_CHECK;
/* Those of the checkout that were not refused, the newest first, at most `at_most`; how many. */
size_t sim_refunds_of(sim_bank_t *bank, const sim_checkout_t *checkout, sim_refund_t *refunds,
                      size_t at_most);
/* Concludes the pending refund that has been due for longest; true: there was one, ask again. Else
 * *next_due_us is when there is one, INT64_MAX for never. */
bool sim_refund_conclude(sim_bank_t *bank, int64_t now_us, sim_refund_t *refund,
                         int64_t *next_due_us);

#endif
