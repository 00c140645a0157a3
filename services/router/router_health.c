/* router_health.c - see router_health.h. */
#include "services/router/router_health.h"

#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"

static size_t method_index(str_t method)
{
    static const char *const names[ROUTER_HEALTH_METHODS - 1] = {"UPI", "CARD", "NETBANKING",
                                                                 "WALLET"};
    size_t i = 0;
    while (i < ROUTER_HEALTH_METHODS - 1 && !str_is(method, names[i]))
        i++;
    return i;
}

static routing_health_t *health_of(router_health_t *self, const psp_t *psp, str_t method)
{
    return &self->of[method_index(method)][psp_index(psp)];
}

void router_health_begin_batch(router_health_t *self)
{
    memset(self->picked, 0, sizeof self->picked);
}

const psp_t *router_health_pick(router_health_t *self, const router_psps_t *psps, str_t method,
                                const char *requested_psp, const char *tried_psps)
{
    bool *picked = self->picked[method_index(method)];
    const int64_t now_ms = clock_mono_ms();
    uint32_t broken = 0;
    for (size_t i = 0; i < psps->count; i++)
        if (picked[psp_index(psps->of[i])] ||
            !routing_health_admits(health_of(self, psps->of[i], method), now_ms))
            broken |= UINT32_C(1) << i;
    const psp_t *psp = router_pick_psp(psps, requested_psp, tried_psps, broken);
    if (psp != NULL)
        picked[psp_index(psp)] =
            routing_health_breaker(health_of(self, psp, method), now_ms) == ROUTING_HALF_OPEN;
    return psp;
}

void router_health_calling(router_health_t *self, const psp_t *psp, str_t method)
{
    routing_health_calling(health_of(self, psp, method), clock_mono_ms());
}

void router_health_called(router_health_t *self, const psp_t *psp, str_t method, psp_fault_t fault,
                          int64_t took_ms)
{
    routing_health_t *health = health_of(self, psp, method);
    const int64_t now_ms = clock_mono_ms();
    const routing_breaker_t before = routing_health_breaker(health, now_ms);
    routing_health_called(health, fault, took_ms, now_ms);
    const routing_breaker_t after = routing_health_breaker(health, now_ms);
    if (before != after)
        log_info(NULL, "breaker moved", "psp=%s method=%.*s from=%s to=%s open_ms=%lld",
                 psp_name(psp), STR_ARG(method), routing_breaker_name(before),
                 routing_breaker_name(after),
                 after == ROUTING_OPEN ? (long long)health->open_for_ms : 0LL);
}
