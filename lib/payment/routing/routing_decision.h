/* routing_decision.h - in which order PSPs are tried for a payment: as somebody has listed them, by
 * shares, or by what the payment is expected to leave, success × (margin − fee). Pure: no I/O, no
 * clock, no allocation; chance comes from a seed, so that the same input gives the same decision
 * again. Measured by tests/bench/routing.
 */
#ifndef TIFFIN_LIB_PAYMENT_ROUTING_DECISION_H
#define TIFFIN_LIB_PAYMENT_ROUTING_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/payment/routing/routing_health.h"

enum { ROUTING_CANDIDATES_MAX = 16 };

/* How the order comes about. Under each policy those come last whose breaker lets nothing through.
 */
#define ROUTING_POLICIES(POLICY)                                                           \
    POLICY(VALUE, "value")         /* what is expected to leave most, a little explored */ \
    POLICY(PRIORITY, "priority")   /* as listed: there are no rules */                     \
    POLICY(ORDER, "order")         /* a rule's list, the others after it by value */       \
    POLICY(SPLIT, "split")         /* the first by shares, the others after it by value */ \
    POLICY(REQUESTED, "requested") /* somebody asked for this one */
#define ROUTING_POLICY_MEMBER(NAME, name) ROUTING_##NAME,
typedef enum routing_policy {
    ROUTING_POLICIES(ROUTING_POLICY_MEMBER) ROUTING_POLICY_COUNT
} routing_policy_t;
#undef ROUTING_POLICY_MEMBER
/* "value" … Static. */
const char *routing_policy_name(routing_policy_t policy);
/* ROUTING_POLICY_COUNT for a name that is none. */
routing_policy_t routing_policy_parse(str_t name);

/* A PSP as it stands when the decision is made. */
typedef struct routing_candidate {
    bool listed;                /* ORDER: the list names it */
    unsigned share;             /* SPLIT: of all payments, in percent */
    double successes, failures; /* weights, see routing_health_t */
    double fee;                 /* what it keeps, as a part of the amount */
    bool admitted;              /* its breaker lets a call through */
    bool probe;                 /* … and that call is a probe */
} routing_candidate_t;

typedef struct routing_input {
    routing_policy_t policy;
    uint64_t seed;
    double margin; /* what a payment that succeeds leaves before the PSP's fee, as a part of the
                      amount */
    size_t count;  /* at least 1 */
    routing_candidate_t candidates[ROUTING_CANDIDATES_MAX]; /* as they are listed */
} routing_input_t;

/* Why the first is the first. REASON(NAME, "name") */
#define ROUTING_REASONS(REASON)                                                                    \
    REASON(WORTH_MOST, "worth_most") /* VALUE: by what is known */                                 \
    REASON(EXPLORED, "explored")     /* VALUE: it might be worth more than that one */             \
    REASON(PROBED, "probed") /* it was broken, and this payment finds out whether it still is */   \
    REASON(ALL_BROKEN, "all_broken")                                                               \
    REASON(LISTED, "listed")       /* PRIORITY, ORDER: the first of the list that is not broken */ \
    REASON(DRAWN, "drawn")         /* SPLIT */                                                     \
    REASON(REQUESTED, "requested") /* REQUESTED */
#define ROUTING_REASON_MEMBER(NAME, name) ROUTING_BY_##NAME,
typedef enum routing_reason {
    ROUTING_REASONS(ROUTING_REASON_MEMBER) ROUTING_REASON_COUNT
} routing_reason_t;
#undef ROUTING_REASON_MEMBER
/* "worth_most" … Static. */
const char *routing_reason_name(routing_reason_t reason);

typedef struct routing_decision {
    routing_reason_t reason; /* of the first */
    size_t
        order[ROUTING_CANDIDATES_MAX]; /* indexes of candidates: where to try, one after another */
    /* Of each candidate: what it is expected to leave of the amount; drawn around that where the
     * policy is by value. */
    double scores[ROUTING_CANDIDATES_MAX];
} routing_decision_t;

void routing_decide(const routing_input_t *input, routing_decision_t *decision);

/* What a health says now. */
routing_candidate_t routing_candidate(const routing_health_t *health, double fee, int64_t now_ms);

#endif
