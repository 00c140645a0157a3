/* sim_bank.c - checkouts by payment in a hash table, the book beside it, one lock around both.
 *
 * Who calls: HTTP threads (sim_api.c, sim_script.c, sim_page.c). The lock is held for a look-up and
 * one write to the journal, never while anybody waits. What must never happen: money that moves for
 * a payment that was paid before, or a change that was answered and is gone after a restart.
 */
#include "services/psp_sim/sim_bank.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/payment/money.h"
#include "services/psp_sim/sim_bank_state.h"

const char *sim_state_name(sim_state_t state)
{
    static const char *const names[] = {[SIM_PENDING] = "PENDING",
                                        [SIM_FAILED] = "FAILED",
                                        [SIM_PAID] = "SUCCESS",
                                        [SIM_AUTHORIZED] = "AUTHORIZED",
                                        [SIM_VOIDED] = "VOIDED"};
    return names[state];
}

const char *sim_payment_notes(const sim_checkout_t *checkout)
{
    return checkout->payment_notes ? checkout->payment_notes : checkout->notes;
}

/* ---- records ---- */

bool sim_bank_keep(sim_bank_t *self, const char **text)
{
    if (!*text)
        return true;
    const size_t size = strlen(*text) + 1;
    sim_kept_t *kept = malloc(sizeof *kept + size);
    if (!kept)
        return false;
    memcpy(kept->text, *text, size);
    kept->next = self->kept;
    self->kept = kept;
    *text = kept->text;
    return true;
}

bool sim_same_notes(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* `named`: only those that their reference finds. */
static sim_checkout_record_t *record_of(const sim_bank_t *self, const uuid_t *payment_id,
                                        const psp_t *psp, bool named)
{
    sim_checkout_record_t *newest = NULL;
    for (sim_node_t *node = sim_table_first(&self->checkouts, payment_id); node;
         node = sim_table_next(node)) {
        sim_checkout_record_t *record = (sim_checkout_record_t *)node;
        if ((psp && record->checkout.psp != psp) || (named && record->checkout.shares_reference))
            continue;
        if (record->checkout.state == SIM_PAID || record->checkout.state == SIM_AUTHORIZED)
            return record;
        if (!newest)
            newest = record;
    }
    return newest;
}

sim_checkout_record_t *sim_bank_record(const sim_bank_t *self, const uuid_t *payment_id,
                                       const psp_t *psp)
{
    return record_of(self, payment_id, psp, false);
}

/* NULL: the serial names no checkout, nor a charge. */
static sim_checkout_record_t *record_at(const sim_bank_t *self, const psp_t *psp, uint64_t serial)
{
    const sim_serial_node_t *named = sim_bank_named(self, serial, psp);
    return named && !named->refund ? named->checkout : NULL;
}

sim_checkout_record_t *sim_bank_attempt(const sim_bank_t *self, const sim_checkout_t *wanted)
{
    for (sim_node_t *node = sim_table_first(&self->attempts, &wanted->attempt_id); node;
         node = sim_table_next(node)) {
        sim_checkout_record_t *record =
            (sim_checkout_record_t *)((char *)node - offsetof(sim_checkout_record_t, by_attempt));
        if (record->checkout.psp == wanted->psp)
            return record;
    }
    return NULL;
}

sim_checkout_record_t *sim_bank_record_new(sim_bank_t *self, const sim_checkout_t *checkout,
                                           const char *return_url)
{
    size_t url_size = strlen(return_url) + 1;
    sim_checkout_record_t *record = malloc(sizeof *record + url_size);
    if (!record)
        return NULL;
    record->node = (sim_node_t){NULL, checkout->payment_id};
    record->by_attempt = (sim_node_t){NULL, checkout->attempt_id};
    record->checkout = *checkout;
    record->refunds = NULL;
    memcpy(record->return_url, return_url, url_size);
    if (sim_bank_keep(self, &record->checkout.notes) &&
        sim_bank_keep(self, &record->checkout.payment_notes))
        return record;
    free(record);
    return NULL;
}

static uuid_t key_of(uint64_t serial)
{
    uuid_t key;
    memcpy(key.bytes, &serial, sizeof serial);
    memcpy(key.bytes + sizeof serial, &serial, sizeof serial);
    return key;
}

void sim_bank_name(sim_bank_t *self, uint64_t serial, sim_checkout_record_t *checkout,
                   sim_refund_record_t *refund)
{
    sim_serial_node_t *node = malloc(sizeof *node);
    if (!node)
        return;
    *node = (sim_serial_node_t){{NULL, key_of(serial)}, checkout, refund};
    sim_table_add(&self->serials, &node->node);
}

const sim_serial_node_t *sim_bank_named(const sim_bank_t *self, uint64_t serial, const psp_t *psp)
{
    const uuid_t key = key_of(serial);
    for (sim_node_t *node = sim_table_first(&self->serials, &key); node;
         node = sim_table_next(node)) {
        const sim_serial_node_t *named = (sim_serial_node_t *)node;
        if (named->checkout->checkout.psp == psp)
            return named;
    }
    return NULL;
}

void sim_bank_add_checkout(sim_bank_t *self, sim_checkout_record_t *record)
{
    sim_table_add(&self->checkouts, &record->node);
    sim_table_add(&self->attempts, &record->by_attempt);
    sim_bank_name(self, record->checkout.serial, record, NULL);
}

static void add_charge(sim_bank_t *self, const sim_checkout_t *paid, uint64_t serial)
{
    sim_book_row_t row = {.psp = paid->psp,
                          .payment_id = paid->payment_id,
                          .serial = serial,
                          .kind = SIM_CHARGE,
                          .amount = paid->outcome_amount,
                          .at_us = paid->outcome_at_us};
    memcpy(row.currency, paid->currency, sizeof row.currency);
    sim_book_add(&self->book, &row);
}

void sim_bank_add_outcome(sim_bank_t *self, sim_checkout_record_t *record,
                          const sim_checkout_t *outcome)
{
    sim_checkout_t *checkout = &record->checkout;
    const bool is_new = checkout->outcome_serial != outcome->outcome_serial;
    checkout->state = outcome->state;
    checkout->outcome_serial = outcome->outcome_serial;
    checkout->second_serial = outcome->second_serial;
    checkout->outcome_amount = outcome->outcome_amount;
    checkout->outcome_at_us = outcome->outcome_at_us;
    checkout->conclusion_serial = outcome->conclusion_serial;
    if (is_new && !checkout->one_name)
        sim_bank_name(self, checkout->outcome_serial, record, NULL);
    if (checkout->state == SIM_PAID)
        add_charge(self, checkout, checkout->outcome_serial);
    if (checkout->state == SIM_PAID && checkout->second_serial) {
        sim_bank_name(self, checkout->second_serial, record, NULL);
        add_charge(self, checkout, checkout->second_serial);
    }
}

static void release(sim_node_t *node)
{
    free(node); /* the first member of what was allocated */
}

static void leave(sim_node_t *node)
{
    (void)node; /* inside a record that goes by its other node */
}

static void forget(sim_bank_t *self)
{
    self->pending = NULL;
    sim_table_clear(&self->serials, release);
    sim_table_clear(&self->refunds, release);
    sim_table_clear(&self->attempts, leave);
    sim_table_clear(&self->checkouts, release);
    sim_book_clear(&self->book);
}

/* ---- life ---- */

sim_bank_t *sim_bank_new(const char *journal_path, err_detail_t *detail)
{
    sim_bank_t *self = calloc(1, sizeof *self);
    if (!self || !sim_table_init(&self->checkouts) || !sim_table_init(&self->attempts) ||
        !sim_table_init(&self->refunds) || !sim_table_init(&self->serials)) {
        if (self) {
            sim_table_deinit(&self->refunds);
            sim_table_deinit(&self->attempts);
            sim_table_deinit(&self->checkouts);
        }
        free(self);
        (void)err_set(detail, ERR_BAD_CONFIG, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&self->lock, NULL);
    if (journal_path &&
        sim_journal_open(&self->journal, journal_path, sim_bank_replay, self, detail) != ERR_OK)
        sim_bank_destroy(&self);
    return self;
}

void sim_bank_destroy(sim_bank_t **self_p)
{
    sim_bank_t *self = *self_p;
    if (!self)
        return;
    forget(self);
    sim_journal_close(&self->journal);
    pthread_mutex_destroy(&self->lock);
    sim_table_deinit(&self->serials);
    sim_table_deinit(&self->refunds);
    sim_table_deinit(&self->attempts);
    sim_table_deinit(&self->checkouts);
    sim_book_deinit(&self->book);
    while (self->kept) {
        sim_kept_t *kept = self->kept;
        self->kept = kept->next;
        free(kept);
    }
    free(self);
    *self_p = NULL;
}

/* ---- checkouts ---- */

static bool same_request(const sim_checkout_record_t *record, const sim_checkout_t *wanted,
                         const char *return_url)
{
    const sim_checkout_t *had = &record->checkout;
    return uuid_equal(&had->payment_id, &wanted->payment_id) &&
           uuid_equal(&had->order_id, &wanted->order_id) && had->amount == wanted->amount &&
           strcmp(had->currency, wanted->currency) == 0 &&
           strcmp(had->method, wanted->method) == 0 &&
           strcmp(had->reference, wanted->reference) == 0 &&
           had->expires_at_us == wanted->expires_at_us &&
           had->manual_capture == wanted->manual_capture &&
           sim_same_notes(had->notes, wanted->notes) &&
           sim_same_notes(had->payment_notes, wanted->payment_notes) &&
           strcmp(record->return_url, return_url) == 0;
}

static err_t open_locked(sim_bank_t *self, sim_checkout_t *checkout, const char *return_url)
{
    sim_checkout_record_t *record = sim_bank_attempt(self, checkout);
    if (record) {
        if (!same_request(record, checkout, return_url))
            return ERR_ID_CONFLICT;
        *checkout = record->checkout;
        return ERR_OK;
    }
    checkout->state = SIM_PENDING;
    checkout->serial = sim_serial();
    record = sim_bank_record_new(self, checkout, return_url);
    if (!record)
        return ERR_STORE_UNAVAILABLE;
    err_t err = sim_bank_write_checkout(self, record);
    if (err == ERR_OK) {
        sim_bank_add_checkout(self, record);
        *checkout = record->checkout;
    } else {
        free(record);
    }
    return err;
}

err_t sim_bank_open(sim_bank_t *self, sim_checkout_t *checkout, const char *return_url)
{
    pthread_mutex_lock(&self->lock);
    err_t err = open_locked(self, checkout, return_url);
    pthread_mutex_unlock(&self->lock);
    return err;
}

err_t sim_bank_find(sim_bank_t *self, const uuid_t *payment_id, const psp_t *psp,
                    sim_checkout_t *checkout, char return_url[SIM_URL_SIZE])
{
    pthread_mutex_lock(&self->lock);
    const sim_checkout_record_t *record = sim_bank_record(self, payment_id, psp);
    if (record) {
        *checkout = record->checkout;
        if (return_url)
            str_copy(str_of(record->return_url), return_url, SIM_URL_SIZE);
    }
    pthread_mutex_unlock(&self->lock);
    return record ? ERR_OK : ERR_PAYMENT_NOT_FOUND;
}

static err_t copy(const sim_checkout_record_t *record, sim_checkout_t *checkout)
{
    if (record)
        *checkout = record->checkout;
    return record ? ERR_OK : ERR_PAYMENT_NOT_FOUND;
}

err_t sim_bank_find_named(sim_bank_t *self, const uuid_t *payment_id, const psp_t *psp,
                          sim_checkout_t *checkout)
{
    pthread_mutex_lock(&self->lock);
    err_t err = copy(record_of(self, payment_id, psp, true), checkout);
    pthread_mutex_unlock(&self->lock);
    return err;
}

err_t sim_bank_find_serial(sim_bank_t *self, uint64_t serial, const psp_t *psp,
                           sim_checkout_t *checkout)
{
    pthread_mutex_lock(&self->lock);
    err_t err = copy(record_at(self, psp, serial), checkout);
    pthread_mutex_unlock(&self->lock);
    return err;
}

/* ---- outcomes ---- */

/* First in the journal, then in memory. */
static err_t settle(sim_bank_t *self, sim_checkout_record_t *record, sim_checkout_t *outcome)
{
    outcome->outcome_serial = outcome->one_name ? outcome->serial : sim_serial();
    if (!sim_book_reserve(&self->book))
        return ERR_STORE_UNAVAILABLE;
    TRY(sim_bank_write_outcome(self, outcome));
    sim_bank_add_outcome(self, record, outcome);
    return ERR_OK;
}

static const sim_terms_t *terms_of(const psp_t *psp, const sim_terms_t terms[PSP_COUNT])
{
    size_t index = 0;
    while (psp_at(index) != psp)
        index++;
    return &terms[index];
}

static err_t charge(sim_bank_t *self, sim_checkout_record_t *record, const sim_terms_t *terms,
                    int64_t now_us)
{
    sim_checkout_t outcome = record->checkout;
    int64_t amount = outcome.amount + terms->amount_delta; /* both within AMOUNT_MAX: no overflow */
    outcome.state = outcome.manual_capture ? SIM_AUTHORIZED : SIM_PAID;
    outcome.outcome_amount = amount < 1 ? 1 : amount > AMOUNT_MAX ? AMOUNT_MAX : amount;
    outcome.outcome_at_us = now_us;
    outcome.second_serial = terms->twice && !outcome.manual_capture ? sim_serial() : 0;
    return settle(self, record, &outcome);
}

static err_t pay(sim_bank_t *self, sim_checkout_record_t *record,
                 const sim_terms_t terms[PSP_COUNT], int64_t now_us, sim_checkout_t *checkout,
                 bool *moved)
{
    *moved = false;
    if (record && record->checkout.state <= SIM_FAILED) {
        TRY(charge(self, record, terms_of(record->checkout.psp, terms), now_us));
        *moved = true;
    }
    return copy(record, checkout);
}

err_t sim_bank_pay(sim_bank_t *self, const uuid_t *payment_id, const sim_terms_t terms[PSP_COUNT],
                   int64_t now_us, sim_checkout_t *checkout, bool *moved)
{
    pthread_mutex_lock(&self->lock);
    err_t err = pay(self, sim_bank_record(self, payment_id, NULL), terms, now_us, checkout, moved);
    pthread_mutex_unlock(&self->lock);
    return err;
}

err_t sim_bank_pay_at(sim_bank_t *self, const psp_t *psp, uint64_t serial,
                      const sim_terms_t terms[PSP_COUNT], int64_t now_us, sim_checkout_t *checkout,
                      bool *moved)
{
    pthread_mutex_lock(&self->lock);
    err_t err = pay(self, record_at(self, psp, serial), terms, now_us, checkout, moved);
    pthread_mutex_unlock(&self->lock);
    return err;
}

static err_t fail(sim_bank_t *self, sim_checkout_record_t *record, int64_t now_us,
                  sim_checkout_t *checkout, bool *changed)
{
    *changed = false;
    if (record && record->checkout.state > SIM_FAILED)
        return ERR_ORDER_NOT_PAYABLE;
    if (record && record->checkout.state == SIM_PENDING) {
        sim_checkout_t outcome = record->checkout;
        outcome.state = SIM_FAILED;
        outcome.outcome_amount = outcome.amount;
        outcome.outcome_at_us = now_us;
        TRY(settle(self, record, &outcome));
        *changed = true;
    }
    return copy(record, checkout);
}

err_t sim_bank_fail(sim_bank_t *self, const uuid_t *payment_id, int64_t now_us,
                    sim_checkout_t *checkout, bool *changed)
{
    pthread_mutex_lock(&self->lock);
    err_t err = fail(self, sim_bank_record(self, payment_id, NULL), now_us, checkout, changed);
    pthread_mutex_unlock(&self->lock);
    return err;
}

err_t sim_bank_fail_at(sim_bank_t *self, const psp_t *psp, uint64_t serial, int64_t now_us,
                       sim_checkout_t *checkout, bool *changed)
{
    pthread_mutex_lock(&self->lock);
    err_t err = fail(self, record_at(self, psp, serial), now_us, checkout, changed);
    pthread_mutex_unlock(&self->lock);
    return err;
}

/* The transaction keeps its name. */
static err_t conclude(sim_bank_t *self, sim_checkout_record_t *record, sim_state_t becomes,
                      int64_t amount, uint64_t conclusion_serial, int64_t now_us)
{
    sim_checkout_t outcome = record->checkout;
    if (outcome.state != SIM_AUTHORIZED || amount < 0 || amount > outcome.outcome_amount)
        return ERR_UNPROCESSABLE;
    outcome.state = becomes;
    outcome.outcome_amount = amount > 0 ? amount : outcome.outcome_amount;
    outcome.outcome_at_us = now_us;
    outcome.conclusion_serial = conclusion_serial;
    if (!sim_book_reserve(&self->book))
        return ERR_STORE_UNAVAILABLE;
    TRY(sim_bank_write_outcome(self, &outcome));
    sim_bank_add_outcome(self, record, &outcome);
    return ERR_OK;
}

err_t sim_bank_conclude(sim_bank_t *self, const psp_t *psp, uint64_t serial, sim_state_t becomes,
                        int64_t amount, int64_t now_us, sim_checkout_t *checkout)
{
    pthread_mutex_lock(&self->lock);
    sim_checkout_record_t *record = record_at(self, psp, serial);
    err_t err = record
                    ? conclude(self, record, becomes, amount, checkout->conclusion_serial, now_us)
                    : ERR_PAYMENT_NOT_FOUND;
    if (record)
        *checkout = record->checkout;
    pthread_mutex_unlock(&self->lock);
    return err;
}

/* ---- the whole ---- */

void sim_bank_book(sim_bank_t *self, const uuid_t *payment_id, buf_t *body)
{
    pthread_mutex_lock(&self->lock);
    sim_book_write(&self->book, payment_id, body);
    pthread_mutex_unlock(&self->lock);
}

size_t sim_bank_movements(sim_bank_t *self, const psp_t *psp, int64_t from_us, int64_t before_us,
                          size_t skip, sim_book_row_t *rows, size_t at_most)
{
    size_t count = 0;
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->book.count && count < at_most; i++) {
        const sim_book_row_t *row = &self->book.rows[i];
        if (row->psp != psp || row->at_us < from_us || row->at_us >= before_us)
            continue;
        if (skip > 0)
            skip--;
        else
            rows[count++] = *row;
    }
    pthread_mutex_unlock(&self->lock);
    return count;
}

err_t sim_bank_reset(sim_bank_t *self)
{
    pthread_mutex_lock(&self->lock);
    err_t err = self->journal ? sim_journal_clear(self->journal) : ERR_OK;
    if (err == ERR_OK)
        forget(self);
    pthread_mutex_unlock(&self->lock);
    return err;
}
