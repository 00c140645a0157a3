/* sim_webhook.h - delivers webhooks: signed, again and again until they are taken. */
#ifndef TIFFIN_SERVICES_SIM_WEBHOOK_H
#define TIFFIN_SERVICES_SIM_WEBHOOK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/actor.h"
#include "services/psp_sim/sim_bank.h"

typedef struct sim_webhook sim_webhook_t;

#define SIM_WEBHOOK_TRIES_MAX 10

/* To <base_url>/<PSP>. Deliveries run on the actor's loop. */
sim_webhook_t *sim_webhook_new(actor_t *actor, const char *base_url);
/* Nobody may be in sim_webhook_send any more. */
void sim_webhook_destroy(sim_webhook_t **self_p);

/* From any thread. The webhook of a checkout's outcome, signed with the first of `secrets`,
 * `copies` times, not before delay_ms have passed. wait_ms > 0: returns only after the first try of
 * each copy ended, or that time. */
void sim_webhook_send(sim_webhook_t *self, const sim_checkout_t *outcome, const char *secrets,
                      unsigned copies, int64_t delay_ms, int64_t wait_ms);
/* Gives up what is not under way. */
void sim_webhook_forget(sim_webhook_t *self);
/* The same, and no more is taken, nor tried again: the process ends. Whoever waits in
 * sim_webhook_send is let go. */
void sim_webhook_stop(sim_webhook_t *self);
/* Deliveries under way. */
size_t sim_webhook_in_flight(sim_webhook_t *self);

/* Milliseconds before the next try after `tries` that failed: 200 doubling up to 30,000. */
int64_t sim_webhook_backoff_ms(unsigned tries);
/* The body. */
void sim_webhook_body(const sim_checkout_t *outcome, const char *secrets, buf_t *body);

#endif
