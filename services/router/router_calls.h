/* router_calls.h - the router's calls to PSPs that are in flight: a bounded number at once, of
 * which no PSP has more than three quarters, so that one that hangs leaves some to the others. What
 * is over waits in order, each PSP's by itself.
 *
 * Each call that was started comes back exactly once from router_calls_next, with its outcome or
 * with the word that it was not made.
 */
#ifndef TIFFIN_SERVICES_ROUTER_CALLS_H
#define TIFFIN_SERVICES_ROUTER_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/payment/psp.h"
#include "lib/payment/psp_accounts.h"

typedef struct router_calls router_calls_t;

typedef struct router_calls_config {
    const psp_accounts_t *accounts; /* borrowed for the life of the calls */
    unsigned calls_max;             /* at once, of all PSPs */
    int64_t per_call_ms;            /* a call takes no longer */
} router_calls_config_t;

router_calls_t *router_calls_new(const router_calls_config_t *config);
/* Cancels what is in flight. */
void router_calls_destroy(router_calls_t **self_p);

/* Asks `psp`, which is configured, to open a checkout, as soon as there is room.
 * `deadline_mono_ms` is the request's; the caller has seen that a call fits
 * (router_call_timeout_ms), after waiting that is asked again. It waits for wait_ms at most.
 * `cookie` comes back. Never blocks. */
void router_calls_start(router_calls_t *self, const psp_t *psp, const psp_checkout_t *checkout,
                        int64_t deadline_mono_ms, int64_t wait_ms, void *cookie);

typedef struct router_call_ended {
    void *cookie;
    bool made; /* false: its time, or its wait, was over before its turn came: nothing was sent */
    psp_checkout_answer_t answer;
    int64_t took_ms;
} router_call_ended_t;

/* Readable while calls have ended; take all of them. It does not tell of waits that are over: while
 * some wait (router_calls_waiting), look from time to time. */
int router_calls_fd(const router_calls_t *self);
/* False when there is none. */
bool router_calls_next(router_calls_t *self, router_call_ended_t *ended);
size_t router_calls_waiting(const router_calls_t *self);
/* Started and not yet taken. */
size_t router_calls_pending(const router_calls_t *self);

#endif
