/* sim_event.h - what happened at a PSP, as it tells it: in a webhook, in an answer about a payment
 * or a refund. Pure. */
#ifndef TIFFIN_SERVICES_SIM_EVENT_H
#define TIFFIN_SERVICES_SIM_EVENT_H

#include "services/psp_sim/sim_bank.h"
#include "services/psp_sim/sim_refunds.h"

/* Plain value; its texts are static. */
typedef struct sim_event {
    const psp_t *psp;
    char id[SIM_REF_SIZE];  /* event_id */
    char ref[SIM_REF_SIZE]; /* gateway_txn_id: of what happened itself */
    uuid_t payment_id, order_id;
    uuid_t refund_id;     /* nil: of no refund */
    psp_fact_kind_t kind; /* NONE: the status says it */
    const char *status;   /* NULL: the kind says it */
    const char *error;    /* NULL: none. Borrowed from the refund that the event is of, or static */
    int64_t amount;
    int64_t fee; /* of a settlement */
    char currency[4];
    int64_t at_us;
    uint64_t checkout_serial; /* names the checkout that it is about */
} sim_event_t;

typedef enum sim_charge { SIM_FIRST_CHARGE, SIM_SECOND_CHARGE } sim_charge_t;

/* What became of a checkout; of one that is pending: that it is, at now_us. The second charge only
 * where there is one. */
sim_event_t sim_event_of_checkout(const sim_checkout_t *checkout, sim_charge_t charge,
                                  int64_t now_us);
/* A capture or void (`what`, as the PSP calls it) that the PSP took and then did not carry out. */
sim_event_t sim_event_of_refusal(const sim_checkout_t *checkout, const char *what,
                                 const char *why_not, uint64_t serial, int64_t now_us);
/* How a refund stands. It must outlive the event. */
sim_event_t sim_event_of_refund(const sim_refund_t *refund);
/* The dispute over the first charge (each has one at most), opened, won or lost. */
sim_event_t sim_event_of_dispute(const sim_checkout_t *paid, psp_fact_kind_t kind, int64_t now_us);
/* A charge is paid out to the merchant, less 2 %. */
sim_event_t sim_event_of_settlement(const sim_checkout_t *paid, sim_charge_t charge,
                                    int64_t now_us);

/* The body. Signed with the first of `secrets`, or not (NULL). */
void sim_event_write(const sim_event_t *event, const char *secrets, buf_t *body);

#endif
