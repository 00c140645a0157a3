/* subscriptions.h - how far each gateway is along the feed. Pure: no I/O, no clock. */
#ifndef TIFFIN_SERVICES_NOTIFIER_SUBSCRIPTIONS_H
#define TIFFIN_SERVICES_NOTIFIER_SUBSCRIPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/limits.h"

typedef struct subscription {
    uint32_t gateway, generation; /* of the bus connection */
    bool placed;                  /* its cursor is known */
    int64_t started_at_us;        /* not placed: it wants what came since */
    int64_t cursor;               /* placed: the newest event that it was sent */
    bool full;                    /* takes no more in this look at the feed */
} subscription_t;

typedef struct subscriptions {
    size_t count;
    subscription_t rows[BUS_GATEWAYS_MAX];
} subscriptions_t;

/* A gateway said welcome: it has delivered up to last_event_id, or (0) nothing since it started.
 * Replaces the same gateway. */
void subscriptions_add(subscriptions_t *self, uint32_t gateway, uint32_t generation,
                       int64_t last_event_id, int64_t started_at_us);
void subscriptions_remove(subscriptions_t *self, uint32_t gateway, uint32_t generation);
/* The first that is not placed, or NULL. */
subscription_t *subscriptions_unplaced(subscriptions_t *self);
/* A new look at the feed: nobody is full. */
void subscriptions_begin(subscriptions_t *self);
/* The least cursor among the placed that are not full: one that takes nothing holds back nobody.
 * False when there is none. */
bool subscriptions_least_cursor(const subscriptions_t *self, int64_t *cursor);
/* Is every gateway placed, able to take more, and past this event? */
bool subscriptions_all_have(const subscriptions_t *self, int64_t event_id);

#endif
