/* router_health.h - which PSP a payment is tried at next, by the list and by how each has fared
 * with the payment's method. Of one process, in its memory: lost with it, learned again in moments.
 */
#ifndef TIFFIN_SERVICES_ROUTER_HEALTH_H
#define TIFFIN_SERVICES_ROUTER_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/payment/routing/routing_health.h"
#include "lib/text.h"
#include "services/router/router_rules.h"

enum { ROUTER_HEALTH_METHODS = 5 }; /* those of the API, and any other */

/* All zero: nothing is known. */
typedef struct router_health {
    routing_health_t of[ROUTER_HEALTH_METHODS][PSP_COUNT];
    /* Chosen as a probe in the batch at hand, whose calls begin after its commit. */
    bool picked[ROUTER_HEALTH_METHODS][PSP_COUNT];
} router_health_t;

/* A batch chooses for all of its payments before it makes any call. */
void router_health_begin_batch(router_health_t *self);
/* The PSP to try next, those whose breaker lets nothing through last; NULL when none is left. */
const psp_t *router_health_pick(router_health_t *self, const router_psps_t *psps, str_t method,
                                const char *requested_psp, const char *tried_psps);

/* A call of the PSP begins, a call has ended. */
void router_health_calling(router_health_t *self, const psp_t *psp, str_t method);
void router_health_called(router_health_t *self, const psp_t *psp, str_t method, psp_fault_t fault,
                          int64_t took_ms);

#endif
