/* router_health.c - see router_health.h. */
#include "services/router/router_health.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"

static const char *const method_names[ROUTER_HEALTH_METHODS] = {"UPI", "CARD", "NETBANKING",
                                                                "WALLET", "OTHER"};

/* Its place, made when it is new. */
static size_t currency_index(router_health_t *self, str_t currency)
{
    for (size_t i = 0; i < self->currency_count; i++)
        if (str_is(currency, self->currencies[i]))
            return i;
    if (self->currency_count == ROUTER_HEALTH_CURRENCIES - 1)
        return ROUTER_HEALTH_CURRENCIES - 1;
    str_copy(currency, self->currencies[self->currency_count], sizeof self->currencies[0]);
    return self->currency_count++;
}

static routing_health_t *health_of(router_health_t *self, const psp_t *psp, str_t method,
                                   str_t currency)
{
    return &self->of[routing_method_index(method)][currency_index(self, currency)][psp_index(psp)];
}

static bool *picked_of(router_health_t *self, const psp_t *psp, str_t method, str_t currency)
{
    return &self->picked[routing_method_index(method)][currency_index(self, currency)]
                        [psp_index(psp)];
}

void router_health_begin_batch(router_health_t *self)
{
    memset(self->picked, 0, sizeof self->picked);
}

const routing_health_t *router_health_of(router_health_t *self, const psp_t *psp, str_t method,
                                         str_t currency)
{
    return health_of(self, psp, method, currency);
}

bool router_health_admits(router_health_t *self, const psp_t *psp, str_t method, str_t currency,
                          int64_t now_ms)
{
    return !*picked_of(self, psp, method, currency) &&
           routing_health_admits(health_of(self, psp, method, currency), now_ms);
}

void router_health_picked(router_health_t *self, const psp_t *psp, str_t method, str_t currency,
                          int64_t now_ms)
{
    *picked_of(self, psp, method, currency) =
        routing_health_breaker(health_of(self, psp, method, currency), now_ms) == ROUTING_HALF_OPEN;
}

bool router_health_calling(router_health_t *self, const psp_t *psp, str_t method, str_t currency)
{
    routing_health_t *health = health_of(self, psp, method, currency);
    const int64_t now_ms = clock_mono_ms();
    routing_health_calling(health, now_ms);
    return routing_health_breaker(health, now_ms) == ROUTING_HALF_OPEN;
}

bool router_health_called(router_health_t *self, const psp_t *psp, str_t method, str_t currency,
                          psp_fault_t fault, int64_t took_ms)
{
    routing_health_t *health = health_of(self, psp, method, currency);
    const int64_t now_ms = clock_mono_ms();
    const bool in_doubt = health->is_open || health->blame_in_row > 0;
    const routing_breaker_t before = routing_health_breaker(health, now_ms);
    routing_health_called(health, fault, took_ms, now_ms);
    const routing_breaker_t after = routing_health_breaker(health, now_ms);
    if (before != after)
        log_info(NULL, "breaker moved",
                 "psp=%s method=%.*s currency=%.*s from=%s to=%s open_ms=%lld", psp_name(psp),
                 STR_ARG(method), STR_ARG(currency), routing_breaker_name(before),
                 routing_breaker_name(after),
                 after == ROUTING_OPEN ? (long long)health->open_for_ms : 0LL);
    return in_doubt || routing_blame(fault) > 0;
}

void router_health_paid(router_health_t *self, const psp_t *psp, str_t method, str_t currency,
                        int64_t successes, int64_t failures, int64_t age_ms)
{
    routing_health_t *health = health_of(self, psp, method, currency);
    const int64_t at_ms = clock_mono_ms() - age_ms;
    /* More than the window holds would say no more: the same shares of it. */
    const int64_t total = successes + failures;
    if (total > ROUTING_WINDOW) {
        successes = successes * ROUTING_WINDOW / total;
        failures = ROUTING_WINDOW - successes;
    }
    for (int64_t i = 0; i < successes; i++)
        routing_health_paid(health, true, at_ms);
    for (int64_t i = 0; i < failures; i++)
        routing_health_paid(health, false, at_ms);
}

static void add_entry(buf_t *json, const router_health_t *self, size_t method, size_t currency,
                      const routing_health_t *health, int64_t now_ms)
{
    char rate[16];
    const int size = snprintf(rate, sizeof rate, "%.3f", routing_health_rate(health, now_ms));
    json_open_object(json, NULL);
    json_text(json, "method", method_names[method]);
    json_text(json, "currency",
              currency < self->currency_count ? self->currencies[currency] : "OTHER");
    json_text(json, "breaker", routing_breaker_name(routing_health_breaker(health, now_ms)));
    json_raw(json, "success_rate", rate, (size_t)size);
    json_int(json, "outcomes", llround(routing_health_weight(health, now_ms)));
    json_int(json, "latency_ms", llround(health->latency_ms));
    if (health->failed_at_ms > 0)
        json_time(json, "last_failed_at", clock_wall_us() - (now_ms - health->failed_at_ms) * 1000);
    json_close_object(json);
}

static bool is_known(const routing_health_t *health)
{
    static const routing_health_t nothing;
    return memcmp(health, &nothing, sizeof nothing) != 0;
}

void router_health_document(const router_health_t *self, str_t only, buf_t *json)
{
    const int64_t now_ms = clock_mono_ms();
    json_open_object(json, NULL);
    for (size_t i = 0; i < psp_count(); i++) {
        if (only.size > 0 && psp_find(only) != psp_at(i))
            continue;
        json_open_array(json, psp_name(psp_at(i)));
        for (size_t method = 0; method < ROUTER_HEALTH_METHODS; method++)
            for (size_t currency = 0; currency < ROUTER_HEALTH_CURRENCIES; currency++)
                if (is_known(&self->of[method][currency][i]))
                    add_entry(json, self, method, currency, &self->of[method][currency][i], now_ms);
        json_close_array(json);
    }
    json_close_object(json);
}
