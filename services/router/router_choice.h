/* router_choice.h - which PSP a payment is tried at next, and why: the merchant's rules, the PSPs
 * that are configured, and how each fares come together, and what was decided is written down.
 */
#ifndef TIFFIN_SERVICES_ROUTER_CHOICE_H
#define TIFFIN_SERVICES_ROUTER_CHOICE_H

#include "lib/buf.h"
#include "lib/payment/psp.h"
#include "lib/payment/routing/routing_rules.h"
#include "services/router/router_health.h"
#include "services/router/router_rules.h"

typedef struct router_choice router_choice_t;

/* `psps` is borrowed. `rules_file`: NULL or "": there are no rules. What is wrong with it ends the
 * process (config_refuse). */
router_choice_t *router_choice_new(const router_psps_t *psps, const char *rules_file);
void router_choice_destroy(router_choice_t **self_p);
router_health_t *router_choice_health(router_choice_t *self);

typedef struct router_choice_of {
    str_t method, currency, user_id; /* of the order; currency {NULL, 0}: there is no such order */
    int64_t amount;
    const char *requested_psp; /* "": any */
    const char *tried_psps;    /* comma separated */
    bool manual_capture;       /* only where that can be */
} router_choice_of_t;

/* The PSP to try next, or NULL when none is left. `record` (routing_record.h) is appended to,
 * unless it is NULL. In a batch: see router_health_begin_batch. */
const psp_t *router_choice_next(router_choice_t *self, const router_choice_of_t *of, buf_t *record);
/* Is one left? */
bool router_choice_is_left(const router_choice_t *self, const router_choice_of_t *of);

#endif
