/* sim_settlement.h - what a PSP pays out: the rows of the bank's book, each PSP_SIM_SETTLE_AFTER_S
 * after it was made. A report has the lines of the day (of UTC) on which they were paid out.
 */
#ifndef TIFFIN_SERVICES_SIM_SETTLEMENT_H
#define TIFFIN_SERVICES_SIM_SETTLEMENT_H

#include "services/psp_sim/sim_wire.h"

typedef struct sim_settlement_line {
    sim_movement_t kind;
    sim_checkout_t checkout;
    sim_refund_t refund;           /* SIM_REFUND: it */
    uint64_t serial;               /* of the charge or the refund */
    int64_t amount;                /* as the report says it */
    int64_t fee;                   /* 2 % of a charge */
    int64_t at_us;                 /* when it was made … */
    int64_t paid_us;               /* … and paid out */
    char settlement[SIM_REF_SIZE]; /* the payout: one a day */
    char utr[SIM_REF_SIZE];        /* the bank's reference of it */
} sim_settlement_line_t;

/* Of the call's PSP, what was paid out from a time on and before another, up to now; as
 * sim_bank_movements. */
size_t sim_settlement_lines(sim_call_t *call, int64_t from_us, int64_t before_us, size_t skip,
                            sim_settlement_line_t *lines, size_t at_most);
/* Midnight of a day; false: there is no such day. */
bool sim_settlement_day(int year, int month, int day, int64_t *from_us);

/* Adyen's way: closes the batch of what was paid out since the one before; its number, or 0: there
 * is room for no more. They are kept while the process lives. */
int64_t sim_batch_close(sim_t *self);
/* When it began and was closed. False: there is no such batch. */
bool sim_batch_find(sim_t *self, int64_t number, int64_t *from_us, int64_t *before_us);

#define SIM_DAY_US INT64_C(86400000000)

#endif
