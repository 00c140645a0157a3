/* routing_health.h - how a PSP has fared lately with one method and currency: a success rate that
 * forgets, a latency, and a circuit breaker. Pure: no I/O, no clock, no allocation; time is an
 * argument, from any clock that does not run backwards (a step back counts as none).
 *
 *   CLOSED --failures in a row--> OPEN --its time is over--> HALF_OPEN --a success--> CLOSED
 *                                   ^------------a failure---------'
 *
 * OPEN lasts longer with each failure of a probe. In HALF_OPEN one call at a time is let through.
 */
#ifndef TIFFIN_LIB_PAYMENT_ROUTING_HEALTH_H
#define TIFFIN_LIB_PAYMENT_ROUTING_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/payment/psp.h"

enum {
    ROUTING_WINDOW = 250,            /* outcomes that count at most: the rate follows a change */
    ROUTING_HALF_LIFE_MS = 900000,   /* an outcome so old counts half */
    ROUTING_BREAK_AFTER = 5,         /* failures in a row … */
    ROUTING_LIMITS_PER_FAILURE = 5,  /* so many answers "too many calls" are like one */
    ROUTING_BREAK_WITHIN_MS = 60000, /* … each at most so long after the one before */
    ROUTING_OPEN_FIRST_MS = 1000,
    ROUTING_OPEN_MOST_MS = 30000,
    ROUTING_PROBE_MS = 15000, /* a probe that has not ended by then is given up for another */
};

typedef enum routing_breaker { ROUTING_CLOSED, ROUTING_OPEN, ROUTING_HALF_OPEN } routing_breaker_t;
/* "closed" … Static. */
const char *routing_breaker_name(routing_breaker_t breaker);

/* All zero: nothing is known. */
typedef struct routing_health {
    double successes, failures; /* weights, each outcome 1 when it came */
    double latency_ms;          /* of calls that were answered, the newest an eighth of it */
    int64_t counted_at_ms;
    int32_t blame_in_row; /* in parts of ROUTING_LIMITS_PER_FAILURE to a failure */
    int64_t failed_at_ms;
    bool is_open;
    int64_t opened_at_ms, open_for_ms;
    int64_t probed_at_ms; /* the probe that is on its way began then; 0: there is none */
} routing_health_t;

/* Does this say that the PSP is at fault, and how much (0 … 1)? What a customer or a merchant did
 * wrong says nothing; a limit is told by a PSP that works, and counts a little. */
double routing_blame(psp_fault_t fault);

/* A call of the PSP has ended. `took_ms` < 0: not known. Its failure counts as that of the payment;
 * an answer does not count yet: how the payment ends will. */
void routing_health_called(routing_health_t *self, psp_fault_t fault, int64_t took_ms,
                           int64_t now_ms);
/* A payment that was opened there has ended: money, or a failure that is not the customer's. */
void routing_health_paid(routing_health_t *self, bool success, int64_t now_ms);

routing_breaker_t routing_health_breaker(const routing_health_t *self, int64_t now_ms);
/* Would a call be let through now? */
bool routing_health_admits(const routing_health_t *self, int64_t now_ms);
/* A call is made: in HALF_OPEN it is the probe. */
void routing_health_calling(routing_health_t *self, int64_t now_ms);

/* Outcomes that count now, as a weight of at most ROUTING_WINDOW. */
double routing_health_weight(const routing_health_t *self, int64_t now_ms);
/* Success rate, 0 … 1, between what was seen and a guess that counts as much as two outcomes. */
double routing_health_rate(const routing_health_t *self, int64_t now_ms);

#endif
