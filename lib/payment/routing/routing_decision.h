/* routing_decision.h - in which order PSPs are tried for a payment, by what it is expected to
 * leave: success × (margin − fee). Pure: no I/O, no clock, no allocation; chance comes from a seed,
 * so that the same input gives the same decision again.
 *
 * Measured by tests/bench/routing. The router does not ask it yet: it keeps the registry's order,
 * for nobody tells it yet how payments ended.
 */
#ifndef TIFFIN_LIB_PAYMENT_ROUTING_DECISION_H
#define TIFFIN_LIB_PAYMENT_ROUTING_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/payment/routing/routing_health.h"

enum { ROUTING_CANDIDATES_MAX = 16 };

/* A PSP as it stands when the decision is made. */
typedef struct routing_candidate {
    double successes, failures; /* weights, see routing_health_t */
    double fee;                 /* what it keeps, as a part of the amount */
    bool admitted;              /* its breaker lets a call through */
    bool probe;                 /* … and that call is a probe */
} routing_candidate_t;

typedef struct routing_input {
    uint64_t seed;
    double margin; /* what a payment that succeeds leaves before the PSP's fee, as a part of the
                      amount */
    size_t count;  /* at least 1 */
    routing_candidate_t candidates[ROUTING_CANDIDATES_MAX]; /* as they are listed */
} routing_input_t;

typedef enum routing_reason {
    ROUTING_WORTH_MOST, /* by what is known */
    ROUTING_EXPLORED,   /* it might be worth more than that one, and less is known of it */
    ROUTING_PROBED,     /* it was broken, and this payment finds out whether it still is */
    ROUTING_ALL_BROKEN
} routing_reason_t;
/* "worth_most" … Static. */
const char *routing_reason_name(routing_reason_t reason);

typedef struct routing_decision {
    routing_reason_t reason; /* of the first */
    size_t
        order[ROUTING_CANDIDATES_MAX]; /* indexes of candidates: where to try, one after another */
    double scores[ROUTING_CANDIDATES_MAX]; /* of each candidate */
} routing_decision_t;

void routing_decide(const routing_input_t *input, routing_decision_t *decision);

/* What a health says now. */
routing_candidate_t routing_candidate(const routing_health_t *health, double fee, int64_t now_ms);

#endif
