/* sim_bank.c - checkouts by payment in a hash table, the book beside it, one lock around both.
 *
 * Who calls: HTTP threads (sim_api.c, sim_script.c, sim_page.c). The lock is held for a look-up and
 * one write to the journal, never while anybody waits. What must never happen: money that moves
 * twice for one payment, or a change that was answered and is gone after a restart.
 *
 * Live changes and the journal's replay go through the same two functions, record_open and
 * record_outcome.
 */
#include "services/psp_sim/sim_bank.h"

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/json_read.h"
#include "lib/payment/money.h"
#include "services/psp_sim/sim_journal.h"

enum { BUCKETS_MIN = 1024, BOOK_MIN = 256 };

/* A checkout on record; those of one payment, at whichever PSP, lie in one bucket, newest first. */
typedef struct record {
    struct record *next;
    sim_checkout_t checkout;
    char return_url[]; /* "" for none */
} record_t;

struct sim_bank {
    pthread_mutex_t lock;
    sim_journal_t *journal; /* NULL: memory only */
    record_t **buckets;
    size_t bucket_count; /* a power of two */
    size_t record_count;
    record_t **book; /* paid, in order */
    size_t book_count, book_capacity;
};

const char *sim_state_name(sim_state_t state)
{
    static const char *const names[] = {
        [SIM_PENDING] = "PENDING", [SIM_FAILED] = "FAILED", [SIM_PAID] = "SUCCESS"};
    return names[state];
}

const char *sim_ref(char text[SIM_REF_SIZE], const char *kind, const psp_t *psp, uint64_t serial)
{
    int start = snprintf(text, SIM_REF_SIZE, "%s_", kind);
    snprintf(text + start, (size_t)(SIM_REF_SIZE - start), "%s_%016" PRIx64, psp_name(psp), serial);
    for (char *at = text; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return text;
}

static uint64_t random_serial(void)
{
    uint64_t serial;
    CHECK(getrandom(&serial, sizeof serial, 0) == (ssize_t)sizeof serial);
    return serial;
}

/* ---- the table ---- */

/* The last bytes of a UUID are random. */
static record_t **bucket_of(const sim_bank_t *self, const uuid_t *payment_id)
{
    uint64_t hash;
    memcpy(&hash, payment_id->bytes + 8, sizeof hash);
    hash = (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return &self->buckets[hash >> 16 & (self->bucket_count - 1)];
}

static void append(record_t **bucket, record_t *record)
{
    while (*bucket)
        bucket = &(*bucket)->next;
    *bucket = record;
}

/* Twice the buckets; where there is no memory for it the chains stay long. */
static void grow(sim_bank_t *self)
{
    record_t **old = self->buckets, **buckets = calloc(self->bucket_count * 2, sizeof(record_t *));
    size_t old_count = self->bucket_count;
    if (!buckets)
        return;
    self->buckets = buckets;
    self->bucket_count *= 2;
    for (size_t i = 0; i < old_count; i++) {
        for (record_t *record = old[i], *next; record; record = next) {
            next = record->next;
            record->next = NULL;
            append(bucket_of(self, &record->checkout.payment_id), record);
        }
    }
    free(old);
}

/* The paid record of a payment, else the newest; `psp` NULL: at any. */
static record_t *find(const sim_bank_t *self, const uuid_t *payment_id, const psp_t *psp)
{
    record_t *newest = NULL;
    for (record_t *at = *bucket_of(self, payment_id); at; at = at->next) {
        if (!uuid_equal(&at->checkout.payment_id, payment_id) || (psp && at->checkout.psp != psp))
            continue;
        if (at->checkout.state == SIM_PAID)
            return at;
        if (!newest)
            newest = at;
    }
    return newest;
}

static record_t *find_attempt(const sim_bank_t *self, const sim_checkout_t *wanted)
{
    for (record_t *at = *bucket_of(self, &wanted->payment_id); at; at = at->next)
        if (at->checkout.psp == wanted->psp &&
            uuid_equal(&at->checkout.payment_id, &wanted->payment_id) &&
            uuid_equal(&at->checkout.attempt_id, &wanted->attempt_id))
            return at;
    return NULL;
}

static record_t *record_new(const sim_checkout_t *checkout, const char *return_url)
{
    size_t url_size = strlen(return_url) + 1;
    record_t *record = malloc(sizeof *record + url_size);
    if (!record)
        return NULL;
    record->next = NULL;
    record->checkout = *checkout;
    memcpy(record->return_url, return_url, url_size);
    return record;
}

static void record_open(sim_bank_t *self, record_t *record)
{
    if (self->record_count >= self->bucket_count)
        grow(self);
    record_t **bucket = bucket_of(self, &record->checkout.payment_id);
    record->next = *bucket;
    *bucket = record;
    self->record_count++;
}

/* Room for one more row, before anything is promised. */
static bool book_reserve(sim_bank_t *self)
{
    if (self->book_count < self->book_capacity)
        return true;
    size_t capacity = self->book_capacity ? self->book_capacity * 2 : BOOK_MIN;
    record_t **book = realloc(self->book, capacity * sizeof(record_t *));
    if (!book)
        return false;
    self->book = book;
    self->book_capacity = capacity;
    return true;
}

/* book_reserve came before. */
static void record_outcome(sim_bank_t *self, record_t *record, const sim_checkout_t *outcome)
{
    record->checkout.state = outcome->state;
    record->checkout.outcome_serial = outcome->outcome_serial;
    record->checkout.outcome_amount = outcome->outcome_amount;
    record->checkout.outcome_at_us = outcome->outcome_at_us;
    if (outcome->state == SIM_PAID)
        self->book[self->book_count++] = record;
}

static void forget(sim_bank_t *self)
{
    for (size_t i = 0; i < self->bucket_count; i++) {
        for (record_t *record = self->buckets[i], *next; record; record = next) {
            next = record->next;
            free(record);
        }
        self->buckets[i] = NULL;
    }
    self->record_count = 0;
    self->book_count = 0;
}

/* ---- the journal's lines ---- */

static void write_head(buf_t *line, const char *what, const sim_checkout_t *checkout)
{
    json_open_object(line, NULL);
    json_text(line, "what", what);
    json_text(line, "psp", psp_name(checkout->psp));
    json_uuid(line, "payment_id", &checkout->payment_id);
    json_uuid(line, "attempt_id", &checkout->attempt_id);
}

/* 64 bits do not fit the integers of JSON: hexadecimal. */
static void write_serial(buf_t *line, uint64_t serial)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, serial);
    json_text(line, "serial", text);
}

static err_t journal_open(sim_bank_t *self, const record_t *record)
{
    if (!self->journal)
        return ERR_OK;
    const sim_checkout_t *checkout = &record->checkout;
    buf_t line = {0};
    write_head(&line, "open", checkout);
    json_uuid(&line, "order_id", &checkout->order_id);
    json_int(&line, "amount", checkout->amount);
    json_text(&line, "currency", checkout->currency);
    json_text(&line, "method", checkout->method);
    json_text(&line, "return_url", record->return_url);
    json_int(&line, "expires_at_us", checkout->expires_at_us);
    write_serial(&line, checkout->serial);
    json_close_object(&line);
    err_t err = sim_journal_append(self->journal, &line);
    buf_free(&line);
    return err;
}

static err_t journal_outcome(sim_bank_t *self, const sim_checkout_t *outcome)
{
    if (!self->journal)
        return ERR_OK;
    buf_t line = {0};
    write_head(&line, outcome->state == SIM_PAID ? "paid" : "failed", outcome);
    json_int(&line, "amount", outcome->outcome_amount);
    json_int(&line, "at_us", outcome->outcome_at_us);
    write_serial(&line, outcome->outcome_serial);
    json_close_object(&line);
    err_t err = sim_journal_append(self->journal, &line);
    buf_free(&line);
    return err;
}

static bool read_uuid(const json_t *line, const char *key, uuid_t *uuid)
{
    str_t text = json_read_str(line, key);
    return text.data && uuid_parse(text.data, text.size, uuid);
}

static bool read_head(const json_t *line, sim_checkout_t *checkout, uint64_t *serial)
{
    str_t digits = json_read_str(line, "serial");
    checkout->psp = psp_find(json_read_str(line, "psp"));
    return checkout->psp && read_uuid(line, "payment_id", &checkout->payment_id) &&
           read_uuid(line, "attempt_id", &checkout->attempt_id) && digits.size == 16 &&
           sscanf(digits.data, "%16" SCNx64, serial) == 1;
}

static int64_t read_int(const json_t *line, const char *key)
{
    return json_integer_value(json_object_get(line, key));
}

static bool replay_open(sim_bank_t *self, const json_t *line, sim_checkout_t *checkout,
                        uint64_t serial)
{
    str_t return_url = json_read_str(line, "return_url");
    if (!read_uuid(line, "order_id", &checkout->order_id) || !return_url.data)
        return false;
    checkout->amount = read_int(line, "amount");
    checkout->expires_at_us = read_int(line, "expires_at_us");
    checkout->serial = serial;
    str_copy(json_read_str(line, "currency"), checkout->currency, sizeof checkout->currency);
    str_copy(json_read_str(line, "method"), checkout->method, sizeof checkout->method);
    record_t *record = record_new(checkout, return_url.data);
    if (record)
        record_open(self, record);
    return record != NULL;
}

static bool replay_outcome(sim_bank_t *self, const json_t *line, sim_checkout_t *outcome,
                           uint64_t serial)
{
    record_t *record = find_attempt(self, outcome);
    if (!record || !book_reserve(self))
        return false;
    outcome->outcome_serial = serial;
    outcome->outcome_amount = read_int(line, "amount");
    outcome->outcome_at_us = read_int(line, "at_us");
    record_outcome(self, record, outcome);
    return true;
}

static bool replay_line(void *arg, const json_t *line)
{
    sim_bank_t *self = arg;
    sim_checkout_t checkout = {0};
    uint64_t serial;
    str_t what = json_read_str(line, "what");
    if (!read_head(line, &checkout, &serial))
        return false;
    if (str_is(what, "open"))
        return replay_open(self, line, &checkout, serial);
    checkout.state = str_is(what, "paid") ? SIM_PAID : SIM_FAILED;
    if (checkout.state == SIM_FAILED && !str_is(what, "failed"))
        return false;
    return replay_outcome(self, line, &checkout, serial);
}

/* ---- public ---- */

sim_bank_t *sim_bank_new(const char *journal_path, err_detail_t *detail)
{
    sim_bank_t *self = calloc(1, sizeof *self);
    if (self)
        self->buckets = calloc(BUCKETS_MIN, sizeof(record_t *));
    if (!self || !self->buckets) {
        free(self);
        (void)err_set(detail, ERR_BAD_CONFIG, "out of memory");
        return NULL;
    }
    self->bucket_count = BUCKETS_MIN;
    pthread_mutex_init(&self->lock, NULL);
    if (journal_path &&
        sim_journal_open(&self->journal, journal_path, replay_line, self, detail) != ERR_OK)
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
    free(self->buckets);
    free(self->book);
    free(self);
    *self_p = NULL;
}

static bool same_request(const record_t *record, const sim_checkout_t *wanted,
                         const char *return_url)
{
    const sim_checkout_t *had = &record->checkout;
    return uuid_equal(&had->order_id, &wanted->order_id) && had->amount == wanted->amount &&
           strcmp(had->currency, wanted->currency) == 0 &&
           strcmp(had->method, wanted->method) == 0 &&
           had->expires_at_us == wanted->expires_at_us &&
           strcmp(record->return_url, return_url) == 0;
}

static err_t open_locked(sim_bank_t *self, sim_checkout_t *checkout, const char *return_url)
{
    record_t *record = find_attempt(self, checkout);
    if (record) {
        if (!same_request(record, checkout, return_url))
            return ERR_ID_CONFLICT;
        *checkout = record->checkout;
        return ERR_OK;
    }
    checkout->state = SIM_PENDING;
    checkout->serial = random_serial();
    record = record_new(checkout, return_url);
    if (!record)
        return ERR_STORE_UNAVAILABLE;
    err_t err = journal_open(self, record);
    if (err == ERR_OK)
        record_open(self, record);
    else
        free(record);
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
    const record_t *record = find(self, payment_id, psp);
    if (record) {
        *checkout = record->checkout;
        if (return_url)
            str_copy(str_of(record->return_url), return_url, SIM_URL_SIZE);
    }
    pthread_mutex_unlock(&self->lock);
    return record ? ERR_OK : ERR_PAYMENT_NOT_FOUND;
}

/* The outcome of a record, first in the journal, then in memory. */
static err_t settle(sim_bank_t *self, record_t *record, sim_state_t state, int64_t amount,
                    int64_t now_us)
{
    sim_checkout_t outcome = record->checkout;
    outcome.state = state;
    outcome.outcome_serial = random_serial();
    outcome.outcome_amount = amount;
    outcome.outcome_at_us = now_us;
    if (!book_reserve(self))
        return ERR_STORE_UNAVAILABLE;
    TRY(journal_outcome(self, &outcome));
    record_outcome(self, record, &outcome);
    return ERR_OK;
}

static int64_t amount_charged(const sim_checkout_t *checkout, const int64_t deltas[PSP_COUNT])
{
    int64_t delta = 0;
    for (size_t i = 0; i < PSP_COUNT; i++)
        if (psp_at(i) == checkout->psp)
            delta = deltas[i];
    int64_t amount = checkout->amount + delta; /* both within AMOUNT_MAX: no overflow */
    return amount < 1 ? 1 : amount > AMOUNT_MAX ? AMOUNT_MAX : amount;
}

err_t sim_bank_pay(sim_bank_t *self, const uuid_t *payment_id, const int64_t deltas[PSP_COUNT],
                   int64_t now_us, sim_checkout_t *checkout, bool *moved)
{
    *moved = false;
    pthread_mutex_lock(&self->lock);
    record_t *record = find(self, payment_id, NULL);
    err_t err = record ? ERR_OK : ERR_PAYMENT_NOT_FOUND;
    if (record && record->checkout.state != SIM_PAID) {
        err = settle(self, record, SIM_PAID, amount_charged(&record->checkout, deltas), now_us);
        *moved = err == ERR_OK;
    }
    if (err == ERR_OK)
        *checkout = record->checkout;
    pthread_mutex_unlock(&self->lock);
    return err;
}

err_t sim_bank_fail(sim_bank_t *self, const uuid_t *payment_id, int64_t now_us,
                    sim_checkout_t *checkout, bool *changed)
{
    *changed = false;
    pthread_mutex_lock(&self->lock);
    record_t *record = find(self, payment_id, NULL);
    err_t err = !record                              ? ERR_PAYMENT_NOT_FOUND
                : record->checkout.state == SIM_PAID ? ERR_ORDER_NOT_PAYABLE
                                                     : ERR_OK;
    if (err == ERR_OK && record->checkout.state == SIM_PENDING) {
        err = settle(self, record, SIM_FAILED, record->checkout.amount, now_us);
        *changed = err == ERR_OK;
    }
    if (err == ERR_OK)
        *checkout = record->checkout;
    pthread_mutex_unlock(&self->lock);
    return err;
}

static void write_book_row(buf_t *body, const sim_checkout_t *paid)
{
    char ref[SIM_REF_SIZE];
    json_open_object(body, NULL);
    json_text(body, "psp", psp_name(paid->psp));
    json_uuid(body, "payment_id", &paid->payment_id);
    json_text(body, "psp_ref", sim_ref(ref, "txn", paid->psp, paid->outcome_serial));
    json_text(body, "kind", "charge");
    json_int(body, "amount", paid->outcome_amount);
    json_text(body, "currency", paid->currency);
    json_time(body, "at", paid->outcome_at_us);
    json_close_object(body);
}

void sim_bank_book(sim_bank_t *self, const uuid_t *payment_id, buf_t *body)
{
    json_open_array(body, NULL);
    pthread_mutex_lock(&self->lock);
    if (payment_id) {
        const record_t *record = find(self, payment_id, NULL);
        if (record && record->checkout.state == SIM_PAID)
            write_book_row(body, &record->checkout);
    } else {
        for (size_t i = 0; i < self->book_count; i++)
            write_book_row(body, &self->book[i]->checkout);
    }
    pthread_mutex_unlock(&self->lock);
    json_close_array(body);
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
