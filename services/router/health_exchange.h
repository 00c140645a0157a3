/* health_exchange.h - routers tell each other how PSPs fare, through Redis Pub/Sub (channel
 * routing.calls): calls that failed, those that end a doubt, and probes that begin. What is lost is
 * lost: each router finds out by itself a moment later. A thread of its own, so that a Redis that
 * hangs holds up no payment.
 */
#ifndef TIFFIN_SERVICES_ROUTER_HEALTH_EXCHANGE_H
#define TIFFIN_SERVICES_ROUTER_HEALTH_EXCHANGE_H

#include "lib/actor.h"
#include "lib/payment/psp.h"
#include "lib/text.h"

typedef struct health_exchange health_exchange_t;

/* What one router tells the others. */
typedef struct health_news {
    const psp_t *psp;
    char method[17], currency[4];
    bool probe; /* a call to a broken PSP begins; else a call has ended: */
    psp_fault_t fault;
    int64_t took_ms;
} health_news_t;

/* Called on the actor's thread with what other routers told. */
typedef void(health_news_fn)(void *arg, const health_news_t *news);

/* `instance` and `url` are borrowed. A bad URL ends the process (config_refuse). */
health_exchange_t *health_exchange_new(actor_t *actor, const char *url, const char *instance,
                                       health_news_fn *on_news, void *arg);
void health_exchange_destroy(health_exchange_t **self_p);
/* Never waits; where too much waits to be told already it is left out. */
void health_exchange_tell(health_exchange_t *self, const health_news_t *news);

/* The message of news, and back. False: it is none, or of `instance` itself. */
void health_news_write(buf_t *json, const health_news_t *news, const char *instance);
bool health_news_read(str_t json, const char *instance, health_news_t *news);

#endif
