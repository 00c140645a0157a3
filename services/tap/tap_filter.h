/* tap_filter.h - which messages a tap shows, and what it must subscribe to for that. Pure. */
#ifndef TIFFIN_TAP_FILTER_H
#define TIFFIN_TAP_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/limits.h"
#include "services/tap/tap_message.h"
#include "services/tap/tap_options.h"

enum {
    TAP_REMEMBERED_MAX = 1024, /* requests that matched and whose reply may still come */
    TAP_SUBSCRIPTIONS_MAX = 128,
};

/* ---- filter ---- */

typedef struct tap_filter {
    const tap_options_t *options; /* borrowed */
    struct {
        uuid_t request_id;
        char topic[TAP_TOPIC_SIZE];
    } remembered[TAP_REMEMBERED_MAX]; /* a ring: the oldest is forgotten */
    size_t remembered_count;
    size_t remembered_next;
} tap_filter_t;

void tap_filter_init(tap_filter_t *filter, const tap_options_t *options);
/* Is it to be shown? Every message that arrives must be asked about, in order: requests that match
 * are remembered for their replies. */
bool tap_filter_accept(tap_filter_t *filter, const tap_message_t *message);

/* ---- subscriptions ---- */

/* Prefixes of topics, none the prefix of another one. */
typedef struct tap_subscriptions {
    size_t count;
    char prefixes[TAP_SUBSCRIPTIONS_MAX][TAP_TOPIC_SIZE];
} tap_subscriptions_t;

void tap_subscriptions_of(const tap_options_t *options, tap_subscriptions_t *subscriptions);

/* ---- gaps ---- */

/* The last sequence number of each gateway. Numbers count everything that a gateway publishes, so
 * they tell of losses only to one who subscribed to everything. */
typedef struct tap_gaps {
    struct {
        char gateway[65];
        int64_t seq;
    } gateways[BUS_GATEWAYS_MAX];
    size_t count;
} tap_gaps_t;

/* How many messages of this gateway were lost before this one. A number that does not grow is a
 * gateway that started again: nothing is known to be lost. */
int64_t tap_gaps_before(tap_gaps_t *gaps, str_t gateway, int64_t seq);

#endif
