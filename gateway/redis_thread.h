/* redis_thread.h - the one thread that talks to Redis: webhooks from all HTTP threads, pipelined
 * into one write.
 *
 * While Redis syncs one batch to disk the next collects; with `appendfsync always` the answer comes
 * when the batch is on disk.
 */
#ifndef TIFFIN_GATEWAY_REDIS_THREAD_H
#define TIFFIN_GATEWAY_REDIS_THREAD_H

#include <stdbool.h>

#include "lib/err.h"
#include "lib/text.h"
#include "lib/uuid.h"

typedef struct redis_thread redis_thread_t;

/* NULL with `detail` for a bad URL. */
redis_thread_t *redis_thread_new(const char *redis_url, err_detail_t *detail);
/* What waits is answered ERR_SHUTTING_DOWN. */
void redis_thread_destroy(redis_thread_t **self_p);

/* One verified webhook; texts are borrowed during the call. */
typedef struct queued_webhook {
    const char *psp; /* registered spelling */
    const char *event_id;
    const uuid_t *payment_id;
    str_t body;
    str_t headers; /* a JSON object */
    const uuid_t *request_id;
    const char *traceparent;
    int64_t received_at_us;
} queued_webhook_t;

/* Appends it to stream:webhooks unless the same event id was handled for the same payment already.
 * Waits until Redis has it on disk. ERR_OK: *duplicate says which. ERR_QUEUE_UNAVAILABLE: not known
 * to be durable. ERR_BUSY: too many wait. */
err_t redis_thread_append(redis_thread_t *self, const queued_webhook_t *webhook, bool *duplicate,
                          err_detail_t *detail) MUST_CHECK;
/* Did Redis answer the last time it was asked (at most a second ago)? */
bool redis_thread_healthy(const redis_thread_t *self);

#endif
