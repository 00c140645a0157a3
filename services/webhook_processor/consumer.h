/* consumer.h - the thread that carries webhooks from the stream into the database; an actor with a
 * pipe.
 *
 * What it tells of (one webhook_handled per item) comes out of the pipe as single frames: 4 bytes
 * message id (host order), 16 bytes request id, the encoded message. It stops when told by
 * zactor_destroy, after the batch in hand.
 */
#ifndef TIFFIN_SERVICES_CONSUMER_H
#define TIFFIN_SERVICES_CONSUMER_H

#include <czmq.h>
#include <stdint.h>

#include "lib/buf.h"

typedef struct consumer_config {
    const char *database_url;
    const char *redis_url;
    const char *instance; /* the name in the consumer group */
    int64_t park_for_s;
} consumer_config_t;

enum { CONSUMER_FRAME_PREFIX_BYTES = 4 + 16 };

/* Checks the settings (a bad REDIS_URL is refused: exit 78) and starts the thread. `config` is
 * borrowed until it is destroyed. */
zactor_t *consumer_start(const consumer_config_t *config);

/* tiffin_webhook_items_total{outcome}, tiffin_webhook_batches_total: what the process has committed
 * so far, as Prometheus text. Any thread. */
void consumer_print_metrics(buf_t *text);

#endif
