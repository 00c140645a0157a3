/* sim_refunds.c - refunds by their id in a hash table, and per checkout in a list; under the bank's
 * lock.
 *
 * Who calls: HTTP threads (sim_api_refund.c) ask for refunds; the loop (sim_due.c) concludes those
 * that were taken and take their time. Money moves, and the book has its row, when a refund gets
 * DONE. A pending refund holds its part of the charge.
 */
#include "services/psp_sim/sim_refunds.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/psp_sim/sim_bank_state.h"

enum { JOURNAL_RETRY_US = 1000000 };

const char *sim_refund_state_name(sim_refund_state_t state)
{
    static const char *const names[] = {[SIM_REFUND_PENDING] = "PENDING",
                                        [SIM_REFUND_REFUSED] = "REFUSED",
                                        [SIM_REFUND_FAILED] = "FAILED",
                                        [SIM_REFUND_DONE] = "SUCCESS"};
    return names[state];
}

/* ---- records ---- */

sim_refund_record_t *sim_bank_refund(const sim_bank_t *self, const psp_t *psp,
                                     const uuid_t *refund_id)
{
    sim_node_t *node = sim_table_first(&self->refunds, refund_id);
    while (node && ((sim_refund_record_t *)node)->refund.psp != psp)
        node = sim_table_next(node);
    return (sim_refund_record_t *)node;
}

bool sim_bank_charged(const sim_checkout_record_t *record, const char *charge_ref)
{
    const sim_checkout_t *checkout = &record->checkout;
    char first[SIM_REF_SIZE], second[SIM_REF_SIZE];
    if (checkout->state != SIM_PAID)
        return false;
    return strcmp(charge_ref, sim_ref(first, "txn", checkout->psp, checkout->outcome_serial)) ==
               0 ||
           (checkout->second_serial && strcmp(charge_ref, sim_ref(second, "txn", checkout->psp,
                                                                  checkout->second_serial)) == 0);
}

sim_refund_record_t *sim_bank_refund_new(sim_bank_t *self, sim_checkout_record_t *checkout,
                                         const sim_refund_t *refund)
{
    sim_refund_record_t *record = calloc(1, sizeof *record);
    if (!record)
        return NULL;
    record->node.key = refund->refund_id;
    record->checkout = checkout;
    record->refund = *refund;
    if (sim_bank_keep(self, &record->refund.notes))
        return record;
    free(record);
    return NULL;
}

static void add_movement(sim_bank_t *self, const sim_refund_t *refund)
{
    sim_book_row_t row = {.psp = refund->psp,
                          .payment_id = refund->payment_id,
                          .serial = refund->serial,
                          .kind = SIM_REFUND,
                          .amount = refund->amount,
                          .at_us = refund->at_us};
    memcpy(row.currency, refund->currency, sizeof row.currency);
    sim_book_add(&self->book, &row);
}

void sim_bank_add_refund(sim_bank_t *self, sim_refund_record_t *record)
{
    sim_table_add(&self->refunds, &record->node);
    sim_bank_name(self, record->refund.serial, record->checkout, record);
    record->next_of_checkout = record->checkout->refunds;
    record->checkout->refunds = record;
    if (record->refund.state == SIM_REFUND_PENDING) {
        record->next_pending = self->pending;
        self->pending = record;
    } else if (record->refund.state == SIM_REFUND_DONE) {
        add_movement(self, &record->refund);
    }
}

void sim_bank_add_conclusion(sim_bank_t *self, sim_refund_record_t *record, int64_t at_us)
{
    sim_refund_record_t **at = &self->pending;
    while (*at != record)
        at = &(*at)->next_pending;
    *at = record->next_pending;
    record->next_pending = NULL;
    record->refund.state = record->refund.becomes;
    record->refund.at_us = at_us;
    if (record->refund.state == SIM_REFUND_DONE)
        add_movement(self, &record->refund);
}

/* ---- asked for ---- */

static bool same_request(const sim_refund_t *had, const sim_refund_t *wanted)
{
    return uuid_equal(&had->payment_id, &wanted->payment_id) &&
           uuid_equal(&had->order_id, &wanted->order_id) &&
           strcmp(had->charge_ref, wanted->charge_ref) == 0 && had->amount == wanted->amount &&
           strcmp(had->currency, wanted->currency) == 0 &&
           strcmp(had->reason, wanted->reason) == 0 && sim_same_notes(had->notes, wanted->notes);
}

static sim_checkout_record_t *find_charge(const sim_bank_t *self, const sim_refund_t *refund)
{
    uint64_t serial;
    const sim_serial_node_t *named =
        sim_ref_parse(str_of(refund->charge_ref), "txn", refund->psp, &serial)
            ? sim_bank_named(self, serial, refund->psp)
            : NULL;
    sim_checkout_record_t *record = named && !named->refund ? named->checkout : NULL;
    return record && uuid_equal(&record->checkout.payment_id, &refund->payment_id) &&
                   uuid_equal(&record->checkout.order_id, &refund->order_id) &&
                   sim_bank_charged(record, refund->charge_ref)
               ? record
               : NULL;
}

/* What is neither given back nor on its way. */
static int64_t left_of(const sim_checkout_record_t *charged, const char *charge_ref)
{
    int64_t left = charged->checkout.outcome_amount;
    for (const sim_refund_record_t *at = charged->refunds; at; at = at->next_of_checkout)
        if ((at->refund.state == SIM_REFUND_PENDING || at->refund.state == SIM_REFUND_DONE) &&
            strcmp(at->refund.charge_ref, charge_ref) == 0)
            left -= at->refund.amount;
    return left;
}

static void refuse(sim_refund_t *refund, const char *error)
{
    refund->state = SIM_REFUND_REFUSED;
    snprintf(refund->error, sizeof refund->error, "%s", error);
}

static void judge(const sim_checkout_record_t *charged, sim_refund_t *refund)
{
    char error[SIM_REFUND_ERROR_SIZE];
    int64_t left = left_of(charged, refund->charge_ref);
    if (strcmp(charged->checkout.currency, refund->currency) != 0) {
        refuse(refund, "the charge is in another currency");
    } else if (refund->amount > left) {
        snprintf(error, sizeof error, "the charge has %" PRId64 " left", left);
        refuse(refund, error);
    }
}

/* First in the journal, then in memory. */
static err_t take(sim_bank_t *self, sim_checkout_record_t *charged, sim_refund_t *refund,
                  int64_t now_us)
{
    refund->serial = sim_serial();
    refund->checkout_serial = charged->checkout.serial;
    refund->at_us = now_us;
    judge(charged, refund);
    sim_refund_record_t *record = sim_bank_refund_new(self, charged, refund);
    if (!record || !sim_book_reserve(&self->book)) {
        free(record);
        return ERR_STORE_UNAVAILABLE;
    }
    err_t err = sim_bank_write_refund(self, record);
    if (err == ERR_OK) {
        sim_bank_add_refund(self, record);
        *refund = record->refund;
    } else {
        free(record);
    }
    return err;
}

static err_t request_locked(sim_bank_t *self, sim_refund_t *refund, int64_t now_us, bool *fresh)
{
    const sim_refund_record_t *known = sim_bank_refund(self, refund->psp, &refund->refund_id);
    *fresh = !known;
    if (known) {
        if (!same_request(&known->refund, refund))
            return ERR_ID_CONFLICT;
        *refund = known->refund;
        return ERR_OK;
    }
    sim_checkout_record_t *charged = find_charge(self, refund);
    return charged ? take(self, charged, refund, now_us) : ERR_PAYMENT_NOT_FOUND;
}

err_t sim_refund_request(sim_bank_t *bank, sim_refund_t *refund, int64_t now_us, bool *fresh)
{
    pthread_mutex_lock(&bank->lock);
    err_t err = request_locked(bank, refund, now_us, fresh);
    pthread_mutex_unlock(&bank->lock);
    return err;
}

err_t sim_refund_find(sim_bank_t *bank, const psp_t *psp, const uuid_t *refund_id, uint64_t serial,
                      sim_refund_t *refund)
{
    pthread_mutex_lock(&bank->lock);
    const sim_serial_node_t *named = refund_id ? NULL : sim_bank_named(bank, serial, psp);
    const sim_refund_record_t *record = refund_id ? sim_bank_refund(bank, psp, refund_id)
                                        : named   ? named->refund
                                                  : NULL;
    if (record)
        *refund = record->refund;
    pthread_mutex_unlock(&bank->lock);
    return record ? ERR_OK : ERR_REFUND_NOT_FOUND;
}

size_t sim_refunds_of(sim_bank_t *bank, const sim_checkout_t *checkout, sim_refund_t *refunds,
                      size_t at_most)
{
    size_t count = 0;
    pthread_mutex_lock(&bank->lock);
    const sim_serial_node_t *named = sim_bank_named(bank, checkout->serial, checkout->psp);
    for (const sim_refund_record_t *at = named ? named->checkout->refunds : NULL;
         at && count < at_most; at = at->next_of_checkout)
        if (at->refund.state != SIM_REFUND_REFUSED)
            refunds[count++] = at->refund;
    pthread_mutex_unlock(&bank->lock);
    return count;
}

/* ---- concluded ---- */

static sim_refund_record_t *earliest(const sim_bank_t *self)
{
    sim_refund_record_t *first = NULL;
    for (sim_refund_record_t *at = self->pending; at; at = at->next_pending)
        if (!first || at->refund.due_us < first->refund.due_us)
            first = at;
    return first;
}

static bool conclude_locked(sim_bank_t *self, int64_t now_us, sim_refund_t *refund,
                            int64_t *next_due_us)
{
    sim_refund_record_t *record = earliest(self);
    *next_due_us = record ? record->refund.due_us : INT64_MAX;
    if (!record || record->refund.due_us > now_us)
        return false;
    if (!sim_book_reserve(&self->book) ||
        sim_bank_write_conclusion(self, record, now_us) != ERR_OK) {
        *next_due_us = now_us + JOURNAL_RETRY_US;
        return false;
    }
    sim_bank_add_conclusion(self, record, now_us);
    *refund = record->refund;
    return true;
}

bool sim_refund_conclude(sim_bank_t *bank, int64_t now_us, sim_refund_t *refund,
                         int64_t *next_due_us)
{
    pthread_mutex_lock(&bank->lock);
    bool concluded = conclude_locked(bank, now_us, refund, next_due_us);
    pthread_mutex_unlock(&bank->lock);
    return concluded;
}
