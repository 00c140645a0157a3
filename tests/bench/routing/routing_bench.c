/* routing_bench.c - our router against three others over simulated time, one scenario after
 * another.
 *
 *   bench-routing [--seed N] [--scenario NAME]      prints JSON, a row per scenario and router
 *
 * A payment comes about every half second of simulated time; which PSP it would succeed at is drawn
 * once, so that all routers meet the same luck; what became of it is known some seconds later. The
 * regret of a choice is what the best PSP of that moment is expected to leave, less what the chosen
 * one is. The others:
 *
 *   fixed      the list's first PSP, always, as the prototype did
 *   rotating   one after the other
 *   windowed   success over the last 125 outcomes of each PSP, all good to begin with; the best is
 * chosen, but for 5 % of payments, which go to the others; a PSP whose outcomes were nearly all bad
 *              lately is weighed by a fifth; money plays no part
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/payment/routing/routing_decision.h"

enum {
    PSPS = 4,
    PAYMENT_EVERY_MS = 500,
    KNOWN_AFTER_MS = 4000, /* on the average; trouble is known at once */
    POINTS = 200,          /* of a plot */
    WINDOW = 125,
    PENDING_MAX = 4096,
};
static const double hedge = 0.05;

/* ---- scenarios ---- */

/* What a PSP is like at a moment, from 0 to 1 of the scenario. */
typedef struct psp_state {
    double success; /* of payments */
    double trouble; /* of the rest: calls that fail by the PSP's own fault */
} psp_state_t;

typedef struct scenario {
    const char *name, *about;
    int psps;
    int payments;
    double fees[PSPS];
    void (*at)(double moment, psp_state_t states[PSPS]);
} scenario_t;

static void stationary(double moment, psp_state_t s[PSPS])
{
    (void)moment;
    s[0].success = 0.80;
    s[1].success = 0.86;
    s[2].success = 0.82;
}

static void drift(double moment, psp_state_t s[PSPS])
{
    for (int i = 0; i < 3; i++)
        s[i].success = 0.80 + 0.10 * sin(2 * M_PI * (2 * moment + i / 3.0));
}

static void outage(double moment, psp_state_t s[PSPS])
{
    const bool down = moment > 0.3 && moment < 0.5;
    s[0] = (psp_state_t){down ? 0.0 : 0.90, down ? 1.0 : 0.0};
    s[1].success = 0.84;
    s[2].success = 0.82;
}

static void decay(double moment, psp_state_t s[PSPS])
{
    s[0].success = 0.92 - 0.32 * moment;
    s[1].success = 0.84;
    s[2].success = 0.78;
}

static void low_volume(double moment, psp_state_t s[PSPS])
{
    (void)moment;
    s[0].success = 0.72;
    s[1].success = 0.80;
    s[2].success = 0.76;
    s[3].success = 0.92;
}

static void recovery(double moment, psp_state_t s[PSPS])
{
    const bool ill = moment < 0.4;
    s[0].success = 0.80;
    s[1] = (psp_state_t){ill ? 0.30 : 0.93, ill ? 0.5 : 0.0};
    s[2].success = 0.76;
}

static void fees(double moment, psp_state_t s[PSPS])
{
    (void)moment;
    s[0].success = 0.90;
    s[1].success = 0.88;
    s[2].success = 0.85;
}

static const scenario_t scenarios[] = {
    {"stationary", "nothing changes; the list's first is not the best", 3, 20000, {0}, stationary},
    {"drift", "each is the best in turn", 3, 20000, {0}, drift},
    {"outage", "the best is down for a fifth of the time", 3, 20000, {0}, outage},
    {"decay", "the best slowly becomes the worst", 3, 20000, {0}, decay},
    {"low-volume", "few payments, and the best is the last of four", 4, 1500, {0}, low_volume},
    {"recovery", "one is ill at first, and the best afterwards", 3, 20000, {0}, recovery},
    {"fees", "the one that succeeds most often costs most", 3, 20000, {0.06, 0.01, 0.02}, fees},
};

static bool is_stationary(const scenario_t *scenario)
{
    return scenario->at == stationary || scenario->at == fees || scenario->at == low_volume;
}

/* ---- chance ---- */

static uint64_t row;

static double uniform(void)
{
    uint64_t x = row += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((x ^ x >> 31) >> 11) / 9007199254740992.0;
}

/* ---- routers ---- */

typedef enum outcome {
    GOOD,
    BAD,    /* the payment failed, and not by the customer's doing */
    TROUBLE /* no checkout was opened */
} outcome_t;

typedef struct pending {
    int64_t known_ms;
    int psp;
    outcome_t outcome;
} pending_t;

typedef struct router {
    const char *name;
    int (*choose)(struct router *self, const scenario_t *scenario, int64_t now_ms);
    void (*learn)(struct router *self, int psp, outcome_t outcome, int64_t now_ms);
    uint64_t own_row; /* its chance: the payments' luck is not touched by it */
    routing_health_t health[PSPS];
    int turn;
    char outcomes[PSPS][WINDOW];
    int next[PSPS], known[PSPS];
    double elimination[PSPS];
    pending_t pending[PENDING_MAX];
    size_t first, count;
    double regret, succeeded;
    double curve[POINTS];
} router_t;

static double own_uniform(router_t *self)
{
    const uint64_t kept = row;
    row = self->own_row;
    const double drawn = uniform();
    self->own_row = row;
    row = kept;
    return drawn;
}

static int choose_fixed(router_t *self, const scenario_t *scenario, int64_t now_ms)
{
    (void)self;
    (void)scenario;
    (void)now_ms;
    return 0;
}

static int choose_rotating(router_t *self, const scenario_t *scenario, int64_t now_ms)
{
    (void)now_ms;
    return self->turn++ % scenario->psps;
}

static double windowed_score(const router_t *self, int psp)
{
    int good = WINDOW - self->known[psp];
    for (int i = 0; i < self->known[psp]; i++)
        good += self->outcomes[psp][i];
    const double score = (double)good / WINDOW;
    return self->elimination[psp] < 0.05 ? score / 5 : score;
}

static int choose_windowed(router_t *self, const scenario_t *scenario, int64_t now_ms)
{
    (void)now_ms;
    int best = 0;
    for (int i = 1; i < scenario->psps; i++)
        if (windowed_score(self, i) > windowed_score(self, best))
            best = i;
    if (own_uniform(self) >= hedge)
        return best;
    const int other = (int)(own_uniform(self) * (scenario->psps - 1));
    return other < best ? other : other + 1;
}

static void learn_windowed(router_t *self, int psp, outcome_t outcome, int64_t now_ms)
{
    (void)now_ms;
    const bool good = outcome == GOOD;
    self->outcomes[psp][self->next[psp]] = good;
    self->next[psp] = (self->next[psp] + 1) % WINDOW;
    if (self->known[psp] < WINDOW)
        self->known[psp]++;
    self->elimination[psp] =
        good ? fmin(1, self->elimination[psp] * 1.0526) : self->elimination[psp] * 0.95;
}

static void learn_nothing(router_t *self, int psp, outcome_t outcome, int64_t now_ms)
{
    (void)self;
    (void)psp;
    (void)outcome;
    (void)now_ms;
}

static int choose_ours(router_t *self, const scenario_t *scenario, int64_t now_ms)
{
    routing_input_t input = {.margin = 1, .count = (size_t)scenario->psps};
    routing_decision_t decision;
    self->own_row += 1;
    input.seed = self->own_row * UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < scenario->psps; i++)
        input.candidates[i] = routing_candidate(&self->health[i], scenario->fees[i], now_ms);
    routing_decide(&input, &decision);
    routing_health_calling(&self->health[decision.order[0]], now_ms);
    return (int)decision.order[0];
}

static void learn_ours(router_t *self, int psp, outcome_t outcome, int64_t now_ms)
{
    if (outcome == TROUBLE) {
        routing_health_called(&self->health[psp], PSP_FAULT_PSP, -1, now_ms);
        return;
    }
    routing_health_paid(&self->health[psp], outcome == GOOD, now_ms);
}

/* ---- simulated time ---- */

static void hear(router_t *self, int64_t now_ms)
{
    while (self->count > 0 && self->pending[self->first].known_ms <= now_ms) {
        const pending_t *heard = &self->pending[self->first];
        self->learn(self, heard->psp, heard->outcome, heard->known_ms);
        self->first = (self->first + 1) % PENDING_MAX;
        self->count--;
    }
}

static void expect(router_t *self, int psp, outcome_t outcome, int64_t known_ms)
{
    CHECK(self->count < PENDING_MAX);
    self->pending[(self->first + self->count++) % PENDING_MAX] =
        (pending_t){known_ms, psp, outcome};
}

static void run(const scenario_t *scenario, uint64_t seed, router_t *routers, size_t router_count)
{
    row = seed * UINT64_C(0x2545f4914f6cdd1d);
    for (int n = 0; n < scenario->payments; n++) {
        const int64_t now_ms = (int64_t)n * PAYMENT_EVERY_MS + 1;
        psp_state_t states[PSPS] = {{0, 0}};
        double best = 0, luck = uniform(), ill_luck = uniform();
        scenario->at((double)n / scenario->payments, states);
        for (int i = 0; i < scenario->psps; i++)
            best = fmax(best, states[i].success * (1 - scenario->fees[i]));
        for (size_t r = 0; r < router_count; r++) {
            router_t *router = &routers[r];
            hear(router, now_ms);
            const int psp = router->choose(router, scenario, now_ms);
            const bool good = luck < states[psp].success;
            const bool trouble = !good && ill_luck < states[psp].trouble;
            router->regret += best - states[psp].success * (1 - scenario->fees[psp]);
            router->succeeded += good;
            router->curve[(size_t)n * POINTS / (size_t)scenario->payments] = router->regret;
            if (trouble) { /* the checkout does not open: known at once */
                router->learn(router, psp, TROUBLE, now_ms);
            } else {
                routing_health_called(&router->health[psp], PSP_FAULT_NONE, -1, now_ms);
                expect(router, psp, good ? GOOD : BAD, now_ms + KNOWN_AFTER_MS);
            }
        }
    }
}

static void print_scenario(const scenario_t *scenario, uint64_t seed, bool first)
{
    static router_t routers[4];
    memset(routers, 0, sizeof routers);
    routers[0] =
        (router_t){.name = "ours", .choose = choose_ours, .learn = learn_ours, .own_row = seed};
    routers[1] = (router_t){.name = "fixed", .choose = choose_fixed, .learn = learn_nothing};
    routers[2] = (router_t){.name = "rotating", .choose = choose_rotating, .learn = learn_nothing};
    routers[3] = (router_t){.name = "windowed",
                            .choose = choose_windowed,
                            .learn = learn_windowed,
                            .own_row = seed + 77};
    for (int i = 0; i < PSPS; i++)
        routers[3].elimination[i] = 1;
    run(scenario, seed, routers, 4);
    for (size_t r = 0; r < 4; r++) {
        printf("%s{\"scenario\":\"%s\",\"about\":\"%s\",\"stationary\":%s,\"seed\":%llu,\"router\":"
               "\"%s\",\"regret\":%.3f,"
               "\"success\":%.5f,\"curve\":[",
               first && r == 0 ? "" : ",\n", scenario->name, scenario->about,
               is_stationary(scenario) ? "true" : "false", (unsigned long long)seed,
               routers[r].name, routers[r].regret, routers[r].succeeded / scenario->payments);
        for (size_t i = 0; i < POINTS; i++)
            printf("%s%.2f", i ? "," : "", routers[r].curve[i]);
        printf("]}");
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    const char *only = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--scenario") == 0)
            only = argv[i + 1];
        else
            return 2;
    }
    printf("[\n");
    bool first = true;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (only && strcmp(only, scenarios[i].name) != 0)
            continue;
        print_scenario(&scenarios[i], seed, first);
        first = false;
    }
    printf("\n]\n");
    return 0;
}
