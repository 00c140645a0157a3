/* consumer.c - see consumer.h.
 *
 * The order of things is what makes each effect happen exactly once: read (the entry is pending in
 * the group), commit the whole effect in one transaction, then tell Redis. A crash anywhere leaves
 * the entry pending; it is read again at the next start, or claimed by another instance, and the
 * inbox row makes the second time a duplicate.
 *
 *   at start        entries of this consumer's earlier life, until there is none
 *   always          new entries
 *   each second     entries that a dead consumer holds; parked items that are due; copies of dead
 *                   letters
 *   each minute     names of consumers that are gone
 *
 * An entry that was delivered again and again may be what ends whoever reads it: it is taken alone,
 * and in the end becomes a dead letter unread. So do parked items that a person drives again. While
 * the database is away nothing is claimed from others, so that an outage does not count as
 * deliveries.
 *
 * The database away: the batch in hand waits here and is tried again; nothing is acknowledged.
 * Redis away: nothing to read.
 */
#include "services/webhook_processor/consumer.h"

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/batch.h"
#include "lib/clock.h"
#include "lib/config.h"
#include "lib/crash_point.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/meter.h"
#include "lib/prometheus.h"
#include "proto/messages.h"
#include "services/webhook_processor/stream.h"
#include "services/webhook_processor/webhook_store.h"

enum {
    BLOCK_MS = 500, /* also how long a stop may have to wait */
    CHORES_EVERY_MS = 1000,
    FORGET_EVERY_MS = 60000,
    CONSUMER_GONE_MS = 3600 * 1000,
    CLAIM_IDLE_MS = 5000, /* longer than any statement may take */
    PARKED_LEASE_S = 10,
    RETRY_MS = 200,
    ALONE_TRIES_MAX = 3, /* of an item that the database does not get through */
    DEAD_COPY_MAX = 100
};

typedef struct consumer {
    zsock_t *pipe;
    zpoller_t *poller;
    bool stopping;
    stream_t *stream;
    webhook_store_t *store;
    bool own_drained; /* entries of an earlier life */
    bool parked_left; /* more of them may be due than were taken at once */
    int64_t next_chores_ms, next_forget_ms;
    size_t base;       /* of items: where the range in hand begins */
    err_t batch_error; /* of the range that failed last */
    webhook_item_t items[SERVICE_BATCH_MAX];
} consumer_t;

/* Committed, by outcome; for the metrics. */
static _Atomic uint64_t items_handled[WEBHOOK_DEAD + 1], batches;

void consumer_print_metrics(buf_t *text)
{
    static const char *const labels[] = {"outcome"};
    series_set_t *items = series_set_new(labels, 1, 1, WEBHOOK_DEAD + 1);
    for (webhook_outcome_t outcome = WEBHOOK_APPLIED; outcome <= WEBHOOK_DEAD; outcome++) {
        const char *const name = webhook_outcome_name(outcome);
        *series_find(items, &name, SIZE_MAX) = atomic_load(&items_handled[outcome]);
    }
    prometheus_counters(text, items, "tiffin_webhook_items_total",
                        "Webhooks whose effect, or whose lack of one, is committed.");
    series_set_destroy(&items);
    prometheus_single(text, "tiffin_webhook_batches_total", "counter",
                      "Transactions that they were committed in.", atomic_load(&batches));
}

/* ---- the pipe ---- */

/* Waits up to timeout_ms for the word to stop. */
static void listen_for_stop(consumer_t *self, int timeout_ms)
{
    if (self->stopping || zpoller_wait(self->poller, timeout_ms) == NULL)
        return;
    char *command = zstr_recv(self->pipe);
    self->stopping = command == NULL || streq(command, "$TERM");
    freen(command);
}

static void tell(consumer_t *self, const webhook_item_t *item)
{
    webhook_handled_t handled = {.psp = item->psp,
                                 .event_id = item->event_id,
                                 .payment_id = item->payment_id,
                                 .order_id = item->order_id,
                                 .outcome = str_of(webhook_outcome_name(item->outcome)),
                                 .reason = str_of(item->reason),
                                 .source = item->source};
    if (handled.reason.size > 64)
        handled.reason.size = 64;
    if (!utf8_valid(handled.reason.data, handled.reason.size))
        handled.reason = (str_t){NULL, 0};
    uint8_t frame[1024];
    const uint32_t id = MSG_webhook_handled;
    uuid_t request_id = {{0}};
    if (!uuid_parse(item->request_id.data, item->request_id.size, &request_id))
        memset(&request_id, 0, sizeof request_id);
    memcpy(frame, &id, sizeof id);
    memcpy(frame + sizeof id, request_id.bytes, sizeof request_id.bytes);
    const size_t size = message_encode(id, &handled, frame + CONSUMER_FRAME_PREFIX_BYTES,
                                       sizeof frame - CONSUMER_FRAME_PREFIX_BYTES);
    /* It only reports: when the main thread is behind, the report is lost. */
    if (size > 0)
        (void)zmq_send(zsock_resolve(self->pipe), frame, CONSUMER_FRAME_PREFIX_BYTES + size,
                       ZMQ_DONTWAIT);
}

/* ---- a batch ---- */

static err_t apply_range(void *arg, size_t first, size_t count, err_detail_t *detail)
{
    consumer_t *self = arg;
    webhook_item_t *items = self->items + self->base + first;
    PGresult *committed = NULL;
#if defined TIFFIN_BUG_DEDUPE_FIRST
    count = stream_dedupe_first(self->stream, items, count);
    if (count == 0)
        return ERR_OK;
#elif defined TIFFIN_BUG_ACK_FIRST
    stream_settle(self->stream, items, count, NULL);
    stream_flush(self->stream);
#endif
    CRASH_POINT(processor_read);
    TRY(webhook_store_apply(self->store, items, count, &committed, detail));
    CRASH_POINT(processor_committed);
    meter_add(&batches, 1);
    for (size_t i = 0; i < count; i++) {
        meter_add(&items_handled[items[i].outcome], 1);
        tell(self, &items[i]);
    }
    stream_settle(self->stream, items, count, committed);
    PQclear(committed);
    return ERR_OK;
}

/* One item that failed alone. What the database refuses because of its content is kept as a dead
 * letter. */
static void apply_failed(void *arg, size_t index, err_t err, const err_detail_t *detail)
{
    consumer_t *self = arg;
    webhook_item_t *item = &self->items[self->base + index];
    err_detail_t second = *detail;
    if (err == ERR_UNPROCESSABLE) {
        log_warn(NULL, "webhook refused by the database", "psp=%.*s detail=\"%s\"",
                 STR_ARG(item->psp), detail->text);
        webhook_item_fault(item, detail->text);
        item->outcome = WEBHOOK_UNDECIDED;
        err = apply_range(self, index, 1, &second);
    }
    if (err != ERR_OK) {
        self->batch_error = err;
        log_limited(LOG_LEVEL_WARN, NULL, "batch not applied", "code=%s detail=\"%s\"",
                    err_name(err), second.text);
    }
}

/* Applies items first … end - 1, again and again until the database has taken each or the process
 * stops. Applying again what was applied is harmless. What the database does not get through within
 * a statement's time is tried again in halves: the same batch would take as long for ever, and
 * nothing behind it would be read. What it does not get through alone either is set aside: it stays
 * pending and is claimed again later, as often as an entry may be delivered. */
static void apply(consumer_t *self, size_t first, size_t end)
{
    size_t at_once = end - first;
    int alone_tries = 0;
    for (size_t i = first; i < end; i++)
        webhook_item_read(&self->items[i]);
    self->base = first;
    while (self->base < end && !self->stopping) {
        const size_t left = end - self->base, size = left < at_once ? left : at_once;
        self->batch_error = ERR_OK;
        batch_split(size, apply_range, apply_failed, self);
        const bool too_slow = self->batch_error == ERR_OUTCOME_UNKNOWN;
        const bool set_aside = too_slow && size == 1 && ++alone_tries >= ALONE_TRIES_MAX;
        if (set_aside)
            log_warn(NULL, "webhook set aside", "psp=%.*s event_id=%.*s deliveries=%lld",
                     STR_ARG(self->items[self->base].psp),
                     STR_ARG(self->items[self->base].event_id),
                     (long long)self->items[self->base].deliveries);
        if (self->batch_error == ERR_OK || set_aside) {
            self->base += size;
            alone_tries = 0;
            continue;
        }
        if (too_slow)
            at_once = (size + 1) / 2;
        stream_flush(self->stream);
        listen_for_stop(self, RETRY_MS);
    }
}

/* Takes the entries of a reply as items; those without fields are dropped at once. Returns the last
 * entry's id. */
static str_t take_entries(consumer_t *self, const stream_entries_t *entries, size_t *count)
{
    str_t last = {NULL, 0};
    *count = 0;
    for (size_t i = 0;
         entries->array != NULL && i < entries->array->elements && *count < SERVICE_BATCH_MAX;
         i++) {
        webhook_item_t *item = &self->items[*count];
        const bool whole = webhook_item_from_entry(entries->array->element[i], item);
        if (item->entry_id.data != NULL)
            last = item->entry_id;
        item->deliveries = stream_entries_deliveries(entries, item->entry_id);
        err_detail_t detail = {{0}};
        if (whole)
            (*count)++;
        else if (item->entry_id.data != NULL &&
                 stream_drop(self->stream, item->entry_id, &detail) != ERR_OK)
            log_limited(LOG_LEVEL_WARN, NULL, "entry not dropped", "detail=\"%s\"", detail.text);
    }
    return last;
}

/* ---- what the thread does ---- */

static void read_failed(consumer_t *self, err_t err, const err_detail_t *detail)
{
    log_limited(LOG_LEVEL_WARN, NULL, "stream not read", "code=%s detail=\"%s\"", err_name(err),
                detail->text);
    listen_for_stop(self, RETRY_MS);
}

static void drain_own(consumer_t *self)
{
    char after[64] = "0";
    while (!self->stopping) {
        stream_entries_t entries;
        err_detail_t detail = {{0}};
        err_t err = stream_read_own(self->stream, SERVICE_BATCH_MAX, after, &entries, &detail);
        if (err != ERR_OK) {
            read_failed(self, err, &detail);
            stream_entries_free(&entries);
            return;
        }
        size_t count;
        const str_t last = take_entries(self, &entries, &count);
        if (last.data != NULL)
            str_copy(last, after, sizeof after); /* always onwards: an entry that cannot be settled
                                                    does not hold up others */
        apply(self, 0, count);
        stream_entries_free(&entries);
        if (last.data == NULL) {
            self->own_drained = true;
            return;
        }
        listen_for_stop(self, 0);
    }
}

static void read_new(consumer_t *self)
{
    stream_entries_t entries;
    err_detail_t detail = {{0}};
    /* Not waiting for new ones where others wait already. */
    err_t err = stream_read_new(self->stream, SERVICE_BATCH_MAX, self->parked_left ? 1 : BLOCK_MS,
                                &entries, &detail);
    if (err == ERR_OK) {
        size_t count;
        take_entries(self, &entries, &count);
        apply(self, 0, count);
    } else {
        self->own_drained =
            false; /* what was delivered on the lost connection may be pending for us */
        read_failed(self, err, &detail);
    }
    stream_entries_free(&entries);
}

static void claim_idle(consumer_t *self)
{
    size_t count = 1;
    while (count > 0 && !self->stopping && webhook_store_ready(self->store)) {
        stream_entries_t entries;
        err_detail_t detail = {{0}};
        err_t err =
            stream_claim_idle(self->stream, SERVICE_BATCH_MAX, CLAIM_IDLE_MS, &entries, &detail);
        if (err != ERR_OK)
            read_failed(self, err, &detail);
        take_entries(self, &entries, &count);
        if (count > 0)
            log_info(NULL, "entries claimed", "count=%zu", count);
        apply(self, 0, count);
        stream_entries_free(&entries);
        listen_for_stop(self, 0);
    }
}

static void forget_consumers(consumer_t *self)
{
    int64_t forgotten;
    err_detail_t detail = {{0}};
    if (clock_mono_ms() < self->next_forget_ms)
        return;
    self->next_forget_ms = clock_mono_ms() + FORGET_EVERY_MS;
    if (stream_forget_consumers(self->stream, CONSUMER_GONE_MS, &forgotten, &detail) == ERR_OK &&
        forgotten > 0)
        log_info(NULL, "consumers forgotten", "count=%lld", (long long)forgotten);
}

static void retry_parked(consumer_t *self)
{
    size_t count = 0;
    PGresult *claimed = NULL;
    err_detail_t detail = {{0}};
    err_t err = webhook_store_claim_parked(self->store, self->items, SERVICE_BATCH_MAX,
                                           PARKED_LEASE_S, &count, &claimed, &detail);
    self->parked_left = err == ERR_OK && count > 0;
    const bool suspect =
        count > 0 && self->items[count - 1].deliveries > WEBHOOK_DELIVERIES_TOGETHER;
    const size_t together = suspect ? count - 1 : count;
    apply(self, 0, together);
    apply(self, together, count);
    PQclear(claimed);
}

static void copy_dead(consumer_t *self)
{
    PGresult *dead = NULL;
    err_detail_t detail = {{0}};
    err_t err = webhook_store_dead_to_copy(self->store, DEAD_COPY_MAX, &dead, &detail);
    if (err == ERR_OK && PQntuples(dead) > 0) {
        err = stream_copy_dead(self->stream, dead, &detail);
        if (err == ERR_OK)
            err = webhook_store_dead_copied(self->store, dead, PQntuples(dead), &detail);
        if (err == ERR_OK)
            log_warn(NULL, "dead letters", "count=%d", PQntuples(dead));
    }
    if (err != ERR_OK)
        log_limited(LOG_LEVEL_WARN, NULL, "dead letters not copied", "code=%s detail=\"%s\"",
                    err_name(err), detail.text);
    PQclear(dead);
}

static void run(zsock_t *pipe, void *arg)
{
    const consumer_config_t *config = arg;
    consumer_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    err_detail_t detail = {{0}};
    self->pipe = pipe;
    self->poller = zpoller_new(pipe, NULL);
    self->stream = stream_new(config->redis_url, config->instance, &detail);
    self->store = webhook_store_new(config->database_url, config->park_for_s);
    CHECK(self->poller != NULL && self->stream != NULL); /* consumer_start has checked the URL */
    zsock_signal(pipe, 0);

    while (!self->stopping) {
        if (!self->own_drained)
            drain_own(self);
        if (!self->stopping)
            read_new(self);
        if (!self->stopping && (self->parked_left || clock_mono_ms() >= self->next_chores_ms)) {
            claim_idle(self);
            retry_parked(self);
            copy_dead(self);
            forget_consumers(self);
            self->next_chores_ms = clock_mono_ms() + CHORES_EVERY_MS;
        }
        listen_for_stop(self, 0);
    }
    webhook_store_destroy(&self->store);
    stream_destroy(&self->stream);
    zpoller_destroy(&self->poller);
    free(self);
    /* What libpq's TLS keeps per thread. czmq says that an actor has ended a moment before its
     * thread has: by then the process may be cleaning OpenSSL up, and the thread's part would be
     * lost. */
    OPENSSL_thread_stop();
}

zactor_t *consumer_start(const consumer_config_t *config)
{
    err_detail_t detail = {{0}};
    stream_t *probe = stream_new(config->redis_url, config->instance, &detail);
    if (probe == NULL)
        config_refuse("REDIS_URL", detail.text);
    stream_destroy(&probe);
    zactor_t *actor = zactor_new(run, (void *)(uintptr_t)config);
    CHECK(actor != NULL);
    return actor;
}
