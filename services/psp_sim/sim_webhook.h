/* sim_webhook.h - delivers webhooks: signed, again and again until they are taken. */
#ifndef TIFFIN_SERVICES_SIM_WEBHOOK_H
#define TIFFIN_SERVICES_SIM_WEBHOOK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/actor.h"
#include "lib/buf.h"
#include "lib/payment/psp.h"
#include "lib/text.h"

typedef struct sim_webhook sim_webhook_t;

#define SIM_WEBHOOK_TRIES_MAX 10

/* To <base_url>/<PSP>. Deliveries run on the actor's loop. */
sim_webhook_t *sim_webhook_new(actor_t *actor, const char *base_url);
/* Nobody may be in sim_webhook_send any more. */
void sim_webhook_destroy(sim_webhook_t **self_p);

/* How a webhook goes out. */
typedef struct sim_sending {
    unsigned copies;
    int64_t delay_ms; /* not before this */
    int64_t wait_ms;  /* over 0: sim_webhook_send returns only after the first try of each copy
                         ended, or this time. Not on the  actor's loop, which makes the tries */
} sim_sending_t;

#define SIM_MESSAGE_HEADERS 6

/* A webhook as it goes out, signed. Zeroed to begin with. */
typedef struct sim_message {
    buf_t body;
    const char *content_type;               /* NULL: application/json */
    char headers[SIM_MESSAGE_HEADERS][256]; /* "Name: value" */
    int header_count;
} sim_message_t;
void sim_message_header(sim_message_t *message, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* From any thread. Copies the message; `event_id` is for the log. */
void sim_webhook_send(sim_webhook_t *self, const psp_t *psp, const char *event_id,
                      const sim_message_t *message, const sim_sending_t *sending);
/* Gives up what is not under way. */
void sim_webhook_forget(sim_webhook_t *self);
/* The same, and no more is taken, nor tried again: the process ends. Whoever waits in
 * sim_webhook_send is let go. */
void sim_webhook_stop(sim_webhook_t *self);
/* Deliveries under way. */
size_t sim_webhook_in_flight(sim_webhook_t *self);

/* Milliseconds before the next try after `tries` that failed: 200 doubling up to 30,000. */
int64_t sim_webhook_backoff_ms(unsigned tries);

#endif
