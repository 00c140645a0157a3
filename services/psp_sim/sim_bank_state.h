/* sim_bank_state.h - the inside of the bank, for the files that are it: sim_bank.c (checkouts),
 * sim_refunds.c (refunds), sim_bank_journal.c (both, as lines). Everything here is under the bank's
 * lock.
 *
 * Live changes and the journal's replay go through the same functions: sim_bank_add_….
 */
#ifndef TIFFIN_SERVICES_SIM_BANK_STATE_H
#define TIFFIN_SERVICES_SIM_BANK_STATE_H

#include <pthread.h>

#include "services/psp_sim/sim_bank.h"
#include "services/psp_sim/sim_book.h"
#include "services/psp_sim/sim_journal.h"
#include "services/psp_sim/sim_refunds.h"
#include "services/psp_sim/sim_table.h"

/* A serial and what it names. */
typedef struct sim_serial_node {
    sim_node_t node; /* by the serial, twice */
    struct sim_checkout_record *checkout;
    struct sim_refund_record *refund; /* NULL: the checkout, or one of its charges */
} sim_serial_node_t;

typedef struct sim_refund_record {
    sim_node_t node; /* by refund_id */
    struct sim_refund_record *next_of_checkout;
    struct sim_refund_record *next_pending;
    struct sim_checkout_record *checkout;
    sim_refund_t refund;
} sim_refund_record_t;

/* Those of one payment, at whichever PSP, share its key. */
typedef struct sim_checkout_record {
    sim_node_t node;       /* by payment_id */
    sim_node_t by_attempt; /* by attempt_id */
    sim_checkout_t checkout;
    sim_refund_record_t *refunds;
    char return_url[]; /* "" for none */
} sim_checkout_record_t;

/* A text that outlives what it is of. */
typedef struct sim_kept {
    struct sim_kept *next;
    char text[];
} sim_kept_t;

struct sim_bank {
    pthread_mutex_t lock;
    sim_journal_t *journal; /* NULL: memory only */
    sim_table_t checkouts, attempts, refunds, serials;
    sim_refund_record_t *pending;
    sim_book_t book;
    sim_kept_t
        *kept; /* to the end: copies of checkouts and refunds point into it, also past a reset */
};

/* A copy of the text, NULL of NULL. False when there is no memory. */
bool sim_bank_keep(sim_bank_t *self, const char **text);
/* Are they the same? Either may be NULL. */
bool sim_same_notes(const char *a, const char *b);

/* The paid record of a payment, else the newest; `psp` NULL: at any. NULL: there is none. */
sim_checkout_record_t *sim_bank_record(const sim_bank_t *self, const uuid_t *payment_id,
                                       const psp_t *psp);
/* By psp and attempt_id. */
sim_checkout_record_t *sim_bank_attempt(const sim_bank_t *self, const sim_checkout_t *wanted);
/* NULL when there is no memory. */
sim_checkout_record_t *sim_bank_record_new(sim_bank_t *self, const sim_checkout_t *checkout,
                                           const char *return_url);
void sim_bank_add_checkout(sim_bank_t *self, sim_checkout_record_t *record);
/* sim_book_reserve came before. */
void sim_bank_add_outcome(sim_bank_t *self, sim_checkout_record_t *record,
                          const sim_checkout_t *outcome);

/* From now on the serial names it. Without memory it stays unknown by it. */
void sim_bank_name(sim_bank_t *self, uint64_t serial, sim_checkout_record_t *checkout,
                   sim_refund_record_t *refund);
/* NULL: it names nothing at this PSP. */
const sim_serial_node_t *sim_bank_named(const sim_bank_t *self, uint64_t serial, const psp_t *psp);

sim_refund_record_t *sim_bank_refund(const sim_bank_t *self, const psp_t *psp,
                                     const uuid_t *refund_id);
/* Is this the reference of one of the record's charges? */
bool sim_bank_charged(const sim_checkout_record_t *record, const char *charge_ref);
/* NULL when there is no memory. */
sim_refund_record_t *sim_bank_refund_new(sim_bank_t *self, sim_checkout_record_t *checkout,
                                         const sim_refund_t *refund);
/* sim_book_reserve came before both. */
void sim_bank_add_refund(sim_bank_t *self, sim_refund_record_t *record);
void sim_bank_add_conclusion(sim_bank_t *self, sim_refund_record_t *record, int64_t at_us);

/* ---- sim_bank_journal.c ---- */

err_t sim_bank_write_checkout(sim_bank_t *self, const sim_checkout_record_t *record) MUST_CHECK;
err_t sim_bank_write_outcome(sim_bank_t *self, const sim_checkout_t *outcome) MUST_CHECK;
err_t sim_bank_write_refund(sim_bank_t *self, const sim_refund_record_t *record) MUST_CHECK;
err_t sim_bank_write_conclusion(sim_bank_t *self, const sim_refund_record_t *record,
                                int64_t at_us) MUST_CHECK;
/* For sim_journal_open; `arg` is the bank. */
sim_journal_apply_fn sim_bank_replay;

#endif
