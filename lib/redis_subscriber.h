/* redis_subscriber.h - Pub/Sub on an actor's loop: a callback per message, a connection that comes
 * back by itself.
 *
 * What is published while there is no connection is lost, as Pub/Sub is: `on_message` is called
 * once without a payload after each (re)connect, so that the owner can look for what it missed.
 */
#ifndef TIFFIN_LIB_REDIS_SUBSCRIBER_H
#define TIFFIN_LIB_REDIS_SUBSCRIBER_H

#include "lib/actor.h"
#include "lib/err.h"
#include "lib/text.h"

typedef struct redis_subscriber redis_subscriber_t;
typedef void(redis_message_fn)(void *arg, str_t channel, str_t payload);

/* `channels` is NULL-ended, borrowed. NULL with `detail` for a bad URL. Connecting never blocks the
 * loop. */
redis_subscriber_t *redis_subscriber_new(actor_t *actor, const char *url,
                                         const char *const *channels, redis_message_fn *on_message,
                                         void *arg, err_detail_t *detail);
void redis_subscriber_destroy(redis_subscriber_t **self_p);

#endif
