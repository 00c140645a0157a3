/* stream.h - the webhook queue in Redis: reading through the consumer group, and what is done with
 * entries once they are committed. One connection, one thread. Redis is transport: every function
 * may fail and be called again. */
#ifndef TIFFIN_SERVICES_STREAM_H
#define TIFFIN_SERVICES_STREAM_H

#include <hiredis/hiredis.h>

#include "lib/err.h"
#include "lib/pg.h"
#include "services/webhook_processor/webhook_item.h"

typedef struct stream stream_t;

/* `consumer` is this instance's name in the group (borrowed). NULL with `detail` for a bad URL. */
stream_t *stream_new(const char *redis_url, const char *consumer, err_detail_t *detail);
void stream_destroy(stream_t **self_p);

/* What a read gives: an array of entries (borrowed until they are freed), maybe none. */
typedef struct stream_entries {
    const redisReply *array; /* NULL: none */
    redisReply *reply;
    redisReply *pending; /* as they stood in the group before; NULL: entries that nobody had read */
} stream_entries_t;
void stream_entries_free(stream_entries_t *entries);
/* How often this entry of theirs was delivered, now included; 1 for one that nobody had read. */
int64_t stream_entries_deliveries(const stream_entries_t *entries, str_t entry_id);

/* Waits up to block_ms for entries that nobody has read. */
err_t stream_read_new(stream_t *self, int at_most, int block_ms, stream_entries_t *entries,
                      err_detail_t *detail) MUST_CHECK;
/* The next two read what was delivered before: together, or one that was delivered more than
 * WEBHOOK_DELIVERIES_TOGETHER times, this one included, alone. */
/* Entries that were delivered to this consumer and not acknowledged, after entry `after` ("0": from
 * the first). */
err_t stream_read_own(stream_t *self, int at_most, const char *after, stream_entries_t *entries,
                      err_detail_t *detail) MUST_CHECK;
/* Takes over entries that some consumer has held unacknowledged for min_idle_ms: it is dead, or
 * stuck. */
err_t stream_claim_idle(stream_t *self, int at_most, int min_idle_ms, stream_entries_t *entries,
                        err_detail_t *detail) MUST_CHECK;

/* Takes the names of consumers out of the group that have held nothing and not been heard of for
 * idle_ms; never this one's. How many. */
err_t stream_forget_consumers(stream_t *self, int64_t idle_ms, int64_t *forgotten,
                              err_detail_t *detail) MUST_CHECK;

/* After the commit of `items`: remembers the event ids as handled, acknowledges and deletes the
 * entries, publishes the events in `committed` (from webhook_store_apply; NULL for none). All of it
 * goes to Redis with the next command, which is mostly the next read: both wait for the disk once.
 * What fails is said in the log. */
void stream_settle(stream_t *self, const webhook_item_t *items, size_t count,
                   const PGresult *committed);
/* The same without a next command. */
void stream_flush(stream_t *self);
/* Copies dead rows (columns as webhook_store_dead_to_copy) to the dead letter stream. */
err_t stream_copy_dead(stream_t *self, const PGresult *dead, err_detail_t *detail) MUST_CHECK;
/* Acknowledges an entry that has no fields (it was deleted). */
err_t stream_drop(stream_t *self, str_t entry_id, err_detail_t *detail) MUST_CHECK;

/* How many entries the stream holds, of all consumers: each is deleted once it is handled.
 * `pending` of them were delivered and not acknowledged. */
err_t stream_backlog(stream_t *self, int64_t *entries, int64_t *pending,
                     err_detail_t *detail) MUST_CHECK;

#ifdef TIFFIN_BUG_DEDUPE_FIRST
/* A mistake that the crash harness must find: remembers event ids before their effect is committed,
 * and acknowledges what is remembered. How many items are left. */
size_t stream_dedupe_first(stream_t *self, webhook_item_t *items, size_t count);
#endif

#endif
