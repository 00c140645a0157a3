/* routing_health.c - see routing_health.h. */
#include "lib/payment/routing/routing_health.h"

#include <math.h>

/* Before anything is known: better than a PSP that fails often, worse than one that is proven. */
static const double GUESS_RATE = 0.8;
static const double GUESS_WEIGHT = 2;
static const double LATENCY_NEWEST = 0.125;

const char *routing_breaker_name(routing_breaker_t breaker)
{
    static const char *const names[] = {"closed", "open", "half_open"};
    CHECK((size_t)breaker < sizeof names / sizeof *names);
    return names[breaker];
}

double routing_blame(psp_fault_t fault)
{
    switch (fault) {
    case PSP_FAULT_PSP:
    case PSP_FAULT_NETWORK:
        return 1;
    case PSP_FAULT_LIMIT:
        return 1.0 / ROUTING_LIMITS_PER_FAILURE;
    case PSP_FAULT_NONE:
    case PSP_FAULT_CUSTOMER:
    case PSP_FAULT_MERCHANT:
    case PSP_FAULT_COUNT:
        break;
    }
    return 0;
}

enum { PARTS_THAT_BREAK = ROUTING_BREAK_AFTER * ROUTING_LIMITS_PER_FAILURE };

/* What is left of a weight by now. */
static double kept(const routing_health_t *self, int64_t now_ms)
{
    const int64_t age_ms = now_ms - self->counted_at_ms;
    return age_ms > 0 ? exp2(-(double)age_ms / ROUTING_HALF_LIFE_MS) : 1;
}

static void count(routing_health_t *self, double success, double failure, int64_t now_ms)
{
    const double share = kept(self, now_ms);
    self->successes = self->successes * share + success;
    self->failures = self->failures * share + failure;
    const double sum = self->successes + self->failures;
    if (sum > ROUTING_WINDOW) {
        self->successes *= ROUTING_WINDOW / sum;
        self->failures *= ROUTING_WINDOW / sum;
    }
    if (now_ms > self->counted_at_ms)
        self->counted_at_ms = now_ms;
}

static void open_for(routing_health_t *self, int64_t open_for_ms, int64_t now_ms)
{
    self->is_open = true;
    self->opened_at_ms = now_ms;
    self->open_for_ms = open_for_ms < ROUTING_OPEN_MOST_MS ? open_for_ms : ROUTING_OPEN_MOST_MS;
    self->probed_at_ms = 0;
}

/* A failure that comes while the breaker is OPEN is of a call that began before, and says nothing
 * new. */
static void failed(routing_health_t *self, int32_t parts, int64_t now_ms)
{
    const bool in_row = now_ms - self->failed_at_ms <= ROUTING_BREAK_WITHIN_MS;
    if (self->blame_in_row < PARTS_THAT_BREAK || !in_row)
        self->blame_in_row = in_row ? self->blame_in_row + parts : parts;
    self->failed_at_ms = now_ms;
    switch (routing_health_breaker(self, now_ms)) {
    case ROUTING_CLOSED:
        if (self->blame_in_row >= PARTS_THAT_BREAK) {
            /* An outage is the breaker's matter: it says nothing of the rate after it. */
            self->failures = fmax(0, self->failures - ROUTING_BREAK_AFTER);
            open_for(self, ROUTING_OPEN_FIRST_MS, now_ms);
        }
        break;
    case ROUTING_OPEN:
        break;
    case ROUTING_HALF_OPEN:
        open_for(self, 2 * self->open_for_ms, now_ms);
        break;
    }
}

void routing_health_called(routing_health_t *self, psp_fault_t fault, int64_t took_ms,
                           int64_t now_ms)
{
    const double blame = routing_blame(fault);
    if (blame > 0 && !self->is_open)
        count(self, 0, blame, now_ms);
    if (blame > 0) {
        failed(self, blame < 1 ? 1 : ROUTING_LIMITS_PER_FAILURE, now_ms);
        return;
    }
    self->blame_in_row = 0; /* whatever it said, it works */
    self->is_open = false;
    self->probed_at_ms = 0;
    if (took_ms >= 0 && self->latency_ms > 0)
        self->latency_ms += LATENCY_NEWEST * ((double)took_ms - self->latency_ms);
    else if (took_ms >= 0)
        self->latency_ms = (double)took_ms;
}

void routing_health_paid(routing_health_t *self, bool success, int64_t now_ms)
{
    count(self, success ? 1 : 0, success ? 0 : 1, now_ms);
}

routing_breaker_t routing_health_breaker(const routing_health_t *self, int64_t now_ms)
{
    if (!self->is_open)
        return ROUTING_CLOSED;
    return now_ms - self->opened_at_ms < self->open_for_ms ? ROUTING_OPEN : ROUTING_HALF_OPEN;
}

bool routing_health_admits(const routing_health_t *self, int64_t now_ms)
{
    switch (routing_health_breaker(self, now_ms)) {
    case ROUTING_CLOSED:
        return true;
    case ROUTING_OPEN:
        return false;
    case ROUTING_HALF_OPEN:
        return self->probed_at_ms == 0 || now_ms - self->probed_at_ms >= ROUTING_PROBE_MS;
    }
    return false;
}

void routing_health_calling(routing_health_t *self, int64_t now_ms)
{
    if (routing_health_breaker(self, now_ms) == ROUTING_HALF_OPEN)
        self->probed_at_ms = now_ms;
}

double routing_health_weight(const routing_health_t *self, int64_t now_ms)
{
    return (self->successes + self->failures) * kept(self, now_ms);
}

double routing_health_rate(const routing_health_t *self, int64_t now_ms)
{
    const double share = kept(self, now_ms);
    return (self->successes * share + GUESS_RATE * GUESS_WEIGHT) /
           ((self->successes + self->failures) * share + GUESS_WEIGHT);
}
