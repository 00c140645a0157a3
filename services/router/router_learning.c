/* router_learning.c - see router_learning.h. */
#include "services/router/router_learning.h"

#include <stdlib.h>

#include "lib/log.h"
#include "services/router/health_exchange.h"

enum { OUTCOMES_EVERY_MS = 1000 };

struct router_learning {
    service_t *service;
    router_health_t *health;
    router_store_t *store;
    health_exchange_t *exchange;
    int timer;
    int64_t last_fact_id; /* outcomes up to this fact are known */
};

/* ---- how payments ended ---- */

static void learn_row(router_learning_t *self, const router_outcomes_t *outcomes)
{
    const psp_t *psp = psp_find(outcomes->psp);
    self->last_fact_id = outcomes->last_fact_id;
    if (psp != NULL)
        router_health_paid(self->health, psp, outcomes->method, outcomes->currency,
                           outcomes->successes, outcomes->failures, outcomes->age_ms);
}

static void on_outcomes_timer(void *arg)
{
    router_learning_t *self = arg;
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    if (router_store_outcomes(self->store, self->last_fact_id, &result, &detail) != ERR_OK) {
        log_limited(LOG_LEVEL_WARN, NULL, "how payments ended is not known", "detail=\"%s\"",
                    detail.text);
        return;
    }
    for (int row = 0; row < PQntuples(result); row++) {
        const router_outcomes_t outcomes = router_store_outcomes_row(result, row);
        learn_row(self, &outcomes);
    }
    PQclear(result);
}

/* ---- calls ---- */

static health_news_t news_of(const psp_t *psp, str_t method, str_t currency)
{
    health_news_t news = {.psp = psp};
    str_copy(method, news.method, sizeof news.method);
    str_copy(currency, news.currency, sizeof news.currency);
    return news;
}

static void on_news(void *arg, const health_news_t *news)
{
    router_learning_t *self = arg;
    if (news->probe)
        router_health_calling(self->health, news->psp, str_of(news->method),
                              str_of(news->currency));
    else
        router_health_called(self->health, news->psp, str_of(news->method), str_of(news->currency),
                             news->fault, news->took_ms);
}

void router_learning_calling(router_learning_t *self, const psp_t *psp, str_t method,
                             str_t currency)
{
    health_news_t news = news_of(psp, method, currency);
    news.probe = router_health_calling(self->health, psp, method, currency);
    if (news.probe)
        health_exchange_tell(self->exchange, &news);
}

void router_learning_called(router_learning_t *self, const psp_t *psp, str_t method, str_t currency,
                            psp_fault_t fault, int64_t took_ms)
{
    health_news_t news = news_of(psp, method, currency);
    news.fault = fault;
    news.took_ms = took_ms;
    if (router_health_called(self->health, psp, method, currency, fault, took_ms))
        health_exchange_tell(self->exchange, &news);
}

/* ---- life ---- */

router_learning_t *router_learning_new(service_t *service, const char *redis_url,
                                       router_health_t *health, router_store_t *store)
{
    router_learning_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->service = service;
    self->health = health;
    self->store = store;
    self->exchange =
        health_exchange_new(service->actor, redis_url, service->instance, on_news, self);
    self->timer = actor_add_timer(service->actor, OUTCOMES_EVERY_MS, on_outcomes_timer, self);
    return self;
}

void router_learning_destroy(router_learning_t **self_p)
{
    router_learning_t *self = *self_p;
    if (self == NULL)
        return;
    actor_remove_timer(self->service->actor, self->timer);
    health_exchange_destroy(&self->exchange);
    free(self);
    *self_p = NULL;
}
