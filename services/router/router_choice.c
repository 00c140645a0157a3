/* router_choice.c - see router_choice.h.
 *
 * Without rules the PSPs come as they are listed, and nothing is explored. With rules, the rule
 * that decides says which may be tried and how they are ordered; where none decides they are
 * compared by what a payment is expected to leave. One that somebody asks for by name is the only
 * one. A PSP that does not take the currency is left out while there is another;
 * one where a payment cannot be captured by hand always, of an order that wants that.
 */
#include "services/router/router_choice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/log.h"
#include "lib/payment/routing/routing_record.h"

enum { RULES_MAX_BYTES = 1 << 20 };

struct router_choice {
    const router_psps_t *psps;
    routing_rules_t *rules; /* NULL: there are none */
    router_health_t health;
};

/* ---- the rules' file ---- */

static void read_rules(router_choice_t *self, const char *path)
{
    char reason[sizeof((err_detail_t *)0)->text + 64];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        snprintf(reason, sizeof reason, "%s", strerror(errno));
        config_refuse("ROUTING_RULES_FILE", reason);
    }
    char *text = malloc(RULES_MAX_BYTES);
    CHECK(text != NULL);
    const size_t size = fread(text, 1, RULES_MAX_BYTES, file);
    const bool whole = feof(file) != 0;
    fclose(file);
    if (!whole)
        config_refuse("ROUTING_RULES_FILE", "cannot be read, or has 1 MiB or more");
    err_detail_t detail = {{0}};
    self->rules = routing_rules_read((str_t){text, (uint32_t)size}, &detail);
    free(text);
    if (self->rules == NULL)
        config_refuse("ROUTING_RULES_FILE", detail.text);
    for (size_t i = 0; i < psp_count(); i++)
        if (routing_rules_name(self->rules, psp_at(i)) &&
            router_psps_find(self->psps, psp_name(psp_at(i))) == NULL)
            log_warn(NULL, "a routing rule names a PSP that has no keys", "psp=%s",
                     psp_name(psp_at(i)));
}

router_choice_t *router_choice_new(const router_psps_t *psps, const char *rules_file)
{
    router_choice_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->psps = psps;
    if (rules_file != NULL && rules_file[0] != '\0')
        read_rules(self, rules_file);
    return self;
}

void router_choice_destroy(router_choice_t **self_p)
{
    if (*self_p == NULL)
        return;
    if ((*self_p)->rules != NULL)
        routing_rules_destroy(&(*self_p)->rules);
    free(*self_p);
    *self_p = NULL;
}

router_health_t *router_choice_health(router_choice_t *self)
{
    return &self->health;
}

/* ---- who may be tried ---- */

typedef struct candidates {
    const psp_t *psps[PSP_COUNT];
    bool listed[PSP_COUNT];
    unsigned shares[PSP_COUNT];
    size_t count;
    routing_policy_t policy;
    const routing_rule_t *rule; /* NULL: no rule decided */
} candidates_t;

static bool is_by_hand(const router_choice_t *self, const psp_t *psp)
{
    for (size_t i = 0; i < self->psps->count; i++)
        if (self->psps->of[i] == psp)
            return self->psps->by_hand[i];
    return false;
}

static void add(candidates_t *candidates, const router_choice_t *self, const router_choice_of_t *of,
                const psp_t *psp, bool listed, unsigned share)
{
    for (size_t i = 0; i < candidates->count; i++)
        if (candidates->psps[i] == psp)
            return;
    if (psp == NULL || router_psp_is_listed(of->tried_psps, psp) ||
        (of->manual_capture && !is_by_hand(self, psp)))
        return;
    candidates->listed[candidates->count] = listed;
    candidates->shares[candidates->count] = share;
    candidates->psps[candidates->count++] = psp;
}

static void add_unasked(candidates_t *candidates, const router_choice_t *self,
                        const router_choice_of_t *of)
{
    for (size_t i = 0; i < self->psps->count; i++)
        if (self->psps->unasked[i])
            add(candidates, self, of, self->psps->of[i], false, 0);
}

static void add_of_rule(candidates_t *candidates, const router_choice_t *self,
                        const router_choice_of_t *of)
{
    const routing_rule_t *rule = candidates->rule;
    for (size_t i = 0; i < rule->psp_count; i++)
        add(candidates, self, of, router_psps_find(self->psps, psp_name(rule->psps[i])),
            rule->policy == ROUTING_ORDER, rule->shares[i]);
    if (rule->others)
        add_unasked(candidates, self, of);
}

/* Those that do not take the currency go, unless they are all. */
static void leave_out_unfit(candidates_t *candidates, const router_choice_of_t *of)
{
    char currency[4];
    size_t kept = 0;
    if (of->currency.size != 3)
        return;
    str_copy(of->currency, currency, sizeof currency);
    for (size_t i = 0; i < candidates->count; i++) {
        if (!psp_takes(candidates->psps[i], currency))
            continue;
        candidates->psps[kept] = candidates->psps[i];
        candidates->listed[kept] = candidates->listed[i];
        candidates->shares[kept++] = candidates->shares[i];
    }
    if (kept > 0)
        candidates->count = kept;
}

static candidates_t candidates_of(const router_choice_t *self, const router_choice_of_t *of,
                                  const routing_payment_t *payment)
{
    candidates_t candidates = {.policy = ROUTING_PRIORITY};
    if (of->requested_psp[0] != '\0') {
        candidates.policy = ROUTING_REQUESTED;
        add(&candidates, self, of, router_psps_find(self->psps, of->requested_psp), false, 0);
        return candidates;
    }
    if (self->rules != NULL)
        candidates.rule = routing_rules_match(self->rules, payment);
    if (candidates.rule != NULL) {
        candidates.policy = candidates.rule->policy;
        add_of_rule(&candidates, self, of);
    } else {
        candidates.policy = self->rules != NULL ? ROUTING_VALUE : ROUTING_PRIORITY;
        add_unasked(&candidates, self, of);
    }
    leave_out_unfit(&candidates, of);
    return candidates;
}

static routing_payment_t payment_of(const router_choice_of_t *of)
{
    return (routing_payment_t){.method = of->method,
                               .currency = of->currency,
                               .amount = of->amount,
                               .user_bucket = routing_user_bucket(of->user_id)};
}

bool router_choice_is_left(const router_choice_t *self, const router_choice_of_t *of)
{
    const routing_payment_t payment = payment_of(of);
    return candidates_of(self, of, &payment).count > 0;
}

/* ---- deciding ---- */

static uint64_t new_seed(void)
{
    uint64_t seed = 0;
    CHECK(getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed);
    return seed & ROUTING_SEED_MASK;
}

static void fill_input(router_choice_t *self, const candidates_t *candidates,
                       const router_choice_of_t *of, routing_record_t *record)
{
    const int64_t now_ms = clock_mono_ms();
    record->input =
        (routing_input_t){.policy = candidates->policy,
                          .seed = new_seed(),
                          .margin = self->rules != NULL ? routing_rules_margin(self->rules) : 1,
                          .count = candidates->count};
    for (size_t i = 0; i < candidates->count; i++) {
        const psp_t *psp = candidates->psps[i];
        const routing_health_t *health =
            router_health_of(&self->health, psp, of->method, of->currency);
        const double fee =
            self->rules != NULL ? routing_rules_fee(self->rules, psp, &record->payment) : 0;
        routing_candidate_t *candidate = &record->input.candidates[i];
        *candidate = routing_candidate(health, fee, now_ms);
        candidate->admitted =
            router_health_admits(&self->health, psp, of->method, of->currency, now_ms);
        candidate->probe = candidate->probe && candidate->admitted;
        candidate->listed = candidates->listed[i];
        candidate->share = candidates->shares[i];
        record->psps[i] = psp;
        record->latencies_ms[i] = health->latency_ms;
    }
}

const psp_t *router_choice_next(router_choice_t *self, const router_choice_of_t *of, buf_t *json)
{
    routing_record_t record = {.payment = payment_of(of)};
    const candidates_t candidates = candidates_of(self, of, &record.payment);
    if (candidates.count == 0)
        return NULL;
    record.rule = candidates.rule != NULL ? str_of(candidates.rule->name) : (str_t){NULL, 0};
    fill_input(self, &candidates, of, &record);
    routing_decide(&record.input, &record.decision);
    const psp_t *chosen = record.psps[record.decision.order[0]];
    router_health_picked(&self->health, chosen, of->method, of->currency, clock_mono_ms());
    if (json != NULL)
        routing_record_write(json, &record);
    return chosen;
}
