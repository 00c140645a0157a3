/* router_learning.h - what a router learns of PSPs beyond its own calls: how payments ended, from
 * the database, every second; and calls of the other routers, from them. */
#ifndef TIFFIN_SERVICES_ROUTER_LEARNING_H
#define TIFFIN_SERVICES_ROUTER_LEARNING_H

#include "lib/service.h"
#include "services/router/router_health.h"
#include "services/router/router_store.h"

typedef struct router_learning router_learning_t;

/* `health` and `store` are borrowed. */
router_learning_t *router_learning_new(service_t *service, const char *redis_url,
                                       router_health_t *health, router_store_t *store);
void router_learning_destroy(router_learning_t **self_p);

/* A call of this router begins, has ended: its health, and the other routers, hear of it. */
void router_learning_calling(router_learning_t *self, const psp_t *psp, str_t method,
                             str_t currency);
void router_learning_called(router_learning_t *self, const psp_t *psp, str_t method, str_t currency,
                            psp_fault_t fault, int64_t took_ms);

#endif
