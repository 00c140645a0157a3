/* router_health.h - how each PSP fares, by method and currency: what the router chooses by. In the
 * memory of one process: breakers are lost with it, and learned again in moments; rates come from
 * how payments ended, as the database has it, so that every router knows the same.
 */
#ifndef TIFFIN_SERVICES_ROUTER_HEALTH_H
#define TIFFIN_SERVICES_ROUTER_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/payment/routing/routing_health.h"
#include "lib/payment/routing/routing_rules.h"
#include "lib/text.h"

enum {
    ROUTER_HEALTH_METHODS = ROUTING_METHODS + 1, /* the last: any other */
    ROUTER_HEALTH_CURRENCIES = 16, /* the last: any that came when there was no room */
};

/* All zero: nothing is known. */
typedef struct router_health {
    routing_health_t of[ROUTER_HEALTH_METHODS][ROUTER_HEALTH_CURRENCIES][PSP_COUNT];
    /* Chosen as a probe in the batch at hand, whose calls begin after its commit. */
    bool picked[ROUTER_HEALTH_METHODS][ROUTER_HEALTH_CURRENCIES][PSP_COUNT];
    char currencies[ROUTER_HEALTH_CURRENCIES][4];
    size_t currency_count;
} router_health_t;

/* A batch chooses for all of its payments before it makes any call. */
void router_health_begin_batch(router_health_t *self);
/* The health of one, for a choice. Its breaker lets a call through that is none of a batch's
 * probes? */
const routing_health_t *router_health_of(router_health_t *self, const psp_t *psp, str_t method,
                                         str_t currency);
bool router_health_admits(router_health_t *self, const psp_t *psp, str_t method, str_t currency,
                          int64_t now_ms);
/* It was chosen. */
void router_health_picked(router_health_t *self, const psp_t *psp, str_t method, str_t currency,
                          int64_t now_ms);

/* A call of the PSP begins. True: it is the probe of a PSP that was broken. */
bool router_health_calling(router_health_t *self, const psp_t *psp, str_t method, str_t currency);
/* A call has ended, here or at another router. True: others should hear of it, since it says
 * something about a breaker. */
bool router_health_called(router_health_t *self, const psp_t *psp, str_t method, str_t currency,
                          psp_fault_t fault, int64_t took_ms);
/* So many payments ended, so long ago. */
void router_health_paid(router_health_t *self, const psp_t *psp, str_t method, str_t currency,
                        int64_t successes, int64_t failures, int64_t age_ms);

/* {"Razorpay": [{"method", "currency", "breaker", "success_rate", "outcomes", "latency_ms",
 * "last_failed_at"}], …}: those of which anything is known. `only`: the name of a PSP; {NULL, 0}:
 * all. */
void router_health_document(const router_health_t *self, str_t only, buf_t *json);

#endif
