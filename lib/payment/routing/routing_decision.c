/* routing_decision.c - see routing_decision.h.
 *
 * By value: Thompson sampling over outcomes that are forgotten. Each PSP's success is drawn around
 * what is known of it, the wider the less is known. So one that is surely worse is hardly ever
 * chosen, one that was not tried for a while becomes unsure again and is, and exploration costs
 * what it is worth; it never chooses one that is broken.
 */
#include "lib/payment/routing/routing_decision.h"

#include <math.h>

#include "lib/err.h"

/* Chosen on the scenarios of tests/bench/routing: one set for all of them. */
static const double GUESSED_SUCCESSES = 1.7, GUESSED_FAILURES = 0.3;
static const double SPREAD = 0.6;    /* of what is drawn, in standard deviations of what is known */
static const double NEW_WEIGHT = 4;  /* with fewer outcomes a PSP has no history … */
static const double NEW_SHARE = 0.1; /* … and is the first for so many payments at most */
static const double LEAST_WORTH = 1e-6;

/* ---- chance ---- */

/* splitmix64 (Sebastiano Vigna, public domain): the next number of a row. */
static uint64_t next_number(uint64_t *row)
{
    uint64_t x = *row += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* At least 0, below 1. */
static double next_uniform(uint64_t *row)
{
    return (double)(next_number(row) >> 11) / 9007199254740992.0;
}

/* Standard normal (Box and Muller). */
static double next_normal(uint64_t *row)
{
    const double radius = sqrt(-2 * log(1 - next_uniform(row)));
    return radius * cos(2 * M_PI * next_uniform(row));
}

/* ---- scores ---- */

static double weight(const routing_candidate_t *candidate)
{
    return candidate->successes + candidate->failures;
}

static double known_success(const routing_candidate_t *candidate)
{
    return (candidate->successes + GUESSED_SUCCESSES) /
           (weight(candidate) + GUESSED_SUCCESSES + GUESSED_FAILURES);
}

static double drawn_success(const routing_candidate_t *candidate, uint64_t *row)
{
    const double known = known_success(candidate);
    const double total = weight(candidate) + GUESSED_SUCCESSES + GUESSED_FAILURES;
    const double drawn =
        known + SPREAD * next_normal(row) * sqrt(known * (1 - known) / (total + 1));
    return drawn < 0 ? 0 : drawn > 1 ? 1 : drawn;
}

/* What a success leaves. Where the fee takes all of it a success is still better than a failure. */
static double worth(const routing_input_t *input, const routing_candidate_t *candidate)
{
    return fmax(input->margin - candidate->fee, LEAST_WORTH);
}

static double known_value(const routing_input_t *input, const routing_candidate_t *candidate)
{
    return known_success(candidate) * worth(input, candidate);
}

static bool is_new(const routing_candidate_t *candidate)
{
    return weight(candidate) < NEW_WEIGHT;
}

static bool is_healthy(const routing_candidate_t *candidate)
{
    return candidate->admitted && !candidate->probe;
}

/* ---- the order ---- */

static bool goes_by_list(const routing_input_t *input, size_t candidate)
{
    switch (input->policy) {
    case ROUTING_PRIORITY:
    case ROUTING_REQUESTED:
        return true;
    case ROUTING_ORDER:
        return input->candidates[candidate].listed;
    case ROUTING_VALUE:
    case ROUTING_SPLIT:
    case ROUTING_POLICY_COUNT:
        break;
    }
    return false;
}

/* By value a probe goes first: one payment is enough, and while it is out there is no other. */
static bool goes_before(const routing_input_t *input, const routing_decision_t *decision, size_t a,
                        size_t b)
{
    const routing_candidate_t *x = &input->candidates[a], *y = &input->candidates[b];
    const bool x_by_list = goes_by_list(input, a), y_by_list = goes_by_list(input, b);
    if (x->admitted != y->admitted)
        return x->admitted;
    if (x_by_list != y_by_list)
        return x_by_list;
    if (x_by_list)
        return a < b;
    if (input->policy == ROUTING_VALUE && x->probe != y->probe)
        return x->probe;
    if (decision->scores[a] != decision->scores[b])
        return decision->scores[a] > decision->scores[b];
    return a < b;
}

static void sort(const routing_input_t *input, routing_decision_t *decision)
{
    for (size_t i = 0; i < input->count; i++) {
        size_t at = i;
        for (; at > 0 && goes_before(input, decision, i, decision->order[at - 1]); at--)
            decision->order[at] = decision->order[at - 1];
        decision->order[at] = i;
    }
}

/* The one at this place becomes the first, the others keep their order. */
static void move_to_front(routing_decision_t *decision, size_t place)
{
    const size_t moved = decision->order[place];
    for (size_t i = place; i > 0; i--)
        decision->order[i] = decision->order[i - 1];
    decision->order[0] = moved;
}

/* One without history is the first for a small part of payments only, where there is one with. */
static void hold_back_new(const routing_input_t *input, routing_decision_t *decision, uint64_t *row)
{
    const routing_candidate_t *first = &input->candidates[decision->order[0]];
    const bool held_back = next_uniform(row) >= NEW_SHARE;
    if (!is_healthy(first) || !is_new(first) || !held_back)
        return;
    for (size_t i = 1; i < input->count; i++) {
        const routing_candidate_t *known = &input->candidates[decision->order[i]];
        if (is_healthy(known) && !is_new(known)) {
            move_to_front(decision, i);
            return;
        }
    }
}

/* The first by shares, among those that take calls: what a broken one would get goes to the others
 * as they share. */
static void draw_first(const routing_input_t *input, routing_decision_t *decision, uint64_t *row)
{
    const bool any_admitted = input->candidates[decision->order[0]].admitted;
    double total = 0;
    for (size_t i = 0; i < input->count; i++)
        if (input->candidates[i].admitted == any_admitted)
            total += input->candidates[i].share;
    double left = next_uniform(row) * total;
    for (size_t place = 0; place < input->count; place++) {
        const routing_candidate_t *candidate = &input->candidates[decision->order[place]];
        if (candidate->admitted != any_admitted || candidate->share == 0)
            continue;
        if (left < candidate->share) {
            move_to_front(decision, place);
            return;
        }
        left -= candidate->share;
    }
}

/* The healthy one that is worth most by what is known, chance left out; `count` when there is none.
 */
static size_t worth_most(const routing_input_t *input)
{
    size_t best = input->count;
    double most = 0;
    for (size_t i = 0; i < input->count; i++) {
        const double value = known_value(input, &input->candidates[i]);
        if (is_healthy(&input->candidates[i]) && (best == input->count || value > most)) {
            most = value;
            best = i;
        }
    }
    return best;
}

static routing_reason_t reason_of(const routing_input_t *input, size_t first)
{
    if (input->policy == ROUTING_REQUESTED)
        return ROUTING_BY_REQUESTED;
    if (!input->candidates[first].admitted)
        return ROUTING_BY_ALL_BROKEN;
    if (input->candidates[first].probe)
        return ROUTING_BY_PROBED;
    if (goes_by_list(input, first))
        return ROUTING_BY_LISTED;
    if (input->policy == ROUTING_SPLIT)
        return ROUTING_BY_DRAWN;
    return first == worth_most(input) ? ROUTING_BY_WORTH_MOST : ROUTING_BY_EXPLORED;
}

void routing_decide(const routing_input_t *input, routing_decision_t *decision)
{
    uint64_t row = input->seed;
    CHECK(input->count >= 1 && input->count <= ROUTING_CANDIDATES_MAX);
    *decision = (routing_decision_t){0};
    for (size_t i = 0; i < input->count; i++) {
        const routing_candidate_t *candidate = &input->candidates[i];
        decision->scores[i] = input->policy == ROUTING_VALUE
                                  ? drawn_success(candidate, &row) * worth(input, candidate)
                                  : known_value(input, candidate);
    }
    sort(input, decision);
    if (input->policy == ROUTING_VALUE)
        hold_back_new(input, decision, &row);
    if (input->policy == ROUTING_SPLIT)
        draw_first(input, decision, &row);
    decision->reason = reason_of(input, decision->order[0]);
}

routing_candidate_t routing_candidate(const routing_health_t *health, double fee, int64_t now_ms)
{
    const double total = routing_health_weight(health, now_ms);
    const double sum = health->successes + health->failures;
    const double share = sum > 0 ? total / sum : 0;
    return (routing_candidate_t){
        .successes = health->successes * share,
        .failures = health->failures * share,
        .fee = fee,
        .admitted = routing_health_admits(health, now_ms),
        .probe = routing_health_breaker(health, now_ms) == ROUTING_HALF_OPEN,
    };
}

/* ---- names ---- */

#define NAME_OF(NAME, name) name,
static const char *const policy_names[] = {ROUTING_POLICIES(NAME_OF)};
static const char *const reason_names[] = {ROUTING_REASONS(NAME_OF)};
#undef NAME_OF

const char *routing_policy_name(routing_policy_t policy)
{
    CHECK((unsigned)policy < ROUTING_POLICY_COUNT);
    return policy_names[policy];
}

routing_policy_t routing_policy_parse(str_t name)
{
    unsigned policy = 0;
    while (policy < ROUTING_POLICY_COUNT && !str_is(name, policy_names[policy]))
        policy++;
    return (routing_policy_t)policy;
}

const char *routing_reason_name(routing_reason_t reason)
{
    CHECK((unsigned)reason < ROUTING_REASON_COUNT);
    return reason_names[reason];
}
