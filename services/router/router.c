/* router.c - the router: its settings, its parts, and which of them takes which request. */
#include "services/router/router.h"

#include <stdlib.h>
#include <string.h>

#include "lib/dispatch.h"
#include "lib/payment/psp_client.h"
#include "proto/bus_reply.h"
#include "proto/messages.h"
#include "services/router/captures.h"
#include "services/router/checkouts.h"
#include "services/router/refunds.h"
#include "services/router/router_choice.h"
#include "services/router/router_learning.h"
#include "services/router/router_page.h"
#include "services/router/router_store.h"

enum { PUBLIC_URL_MAX_BYTES = 512 };

const config_entry_t router_settings[] = {
    SERVICE_SETTINGS(router_config_t, service),
    CONFIG_TEXT("DATABASE_URL", router_config_t, database_url, NULL,
                CONFIG_REQUIRED | CONFIG_SECRET, "libpq connection string; several hosts allowed"),
    CONFIG_TEXT("REDIS_URL", router_config_t, redis_url, "redis://127.0.0.1:6379", CONFIG_SECRET,
                "where the webhook stream is: what PSPs answer about refunds goes there; and where "
                "routers tell each other which PSPs fail"),
    CONFIG_TEXT("ROUTING_RULES_FILE", router_config_t, routing_rules_file, NULL, 0,
                "JSON file of rules about which PSP a payment goes to, margins and fees; else the "
                "PSPs' order, without those that are broken"),
    CONFIG_TEXT("PUBLIC_URL", router_config_t, public_url, "http://127.0.0.1:8080", 0,
                "where PSPs and browsers reach the gateway, without a slash at the end: for pages "
                "of ours, webhooks and customers who come back"),
    CONFIG_INT("PSP_TIMEOUT_MS", router_config_t, psp_timeout_ms, 3000, 100, 60000, 0,
               "a PSP that has not opened a checkout after this is passed over; less when the "
               "request's time ends before; a refund is asked for again"),
    CONFIG_INT("ROUTER_CALLS_MAX", router_config_t, router_calls_max, 256, 1, 4096, 0,
               "calls to PSPs at once; more wait for their turn"),
    PSP_ACCOUNT_SETTINGS(router_config_t, accounts),
    CONFIG_END};

struct router {
    service_t *service;
    router_config_t config;
    router_psps_t psps;
    router_store_t *store;
    checkouts_t *checkouts;
    refunds_t *refunds;
    captures_t *captures;
    router_choice_t *choice;
    router_learning_t *learning;
};

static void check_public_url(const char *url)
{
    const size_t size = strlen(url);
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        config_refuse("PUBLIC_URL", "must begin with http:// or https://");
    if (size > PUBLIC_URL_MAX_BYTES || url[size - 1] == '/')
        config_refuse("PUBLIC_URL", "must not be over 512 bytes, nor end in a slash");
}

router_t *router_new(service_t *service, const router_config_t *config)
{
    router_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->service = service;
    service->print_metrics = psp_client_print_metrics;
    self->config = *config;
    psp_accounts_check(&self->config.accounts, service->dev);
    check_public_url(config->public_url);
    router_psps_init(&self->psps, &self->config.accounts);
    self->store = router_store_new(config->database_url);
    const refunds_config_t refunds = {.database_url = config->database_url,
                                      .redis_url = config->redis_url,
                                      .accounts = &self->config.accounts,
                                      .call_timeout_ms = config->psp_timeout_ms};
    self->refunds = refunds_new(service, &refunds);
    self->captures = captures_new(service, &refunds);
    self->choice = router_choice_new(&self->psps, config->routing_rules_file);
    self->learning = router_learning_new(service, config->redis_url,
                                         router_choice_health(self->choice), self->store);
    const checkouts_config_t checkouts = {.accounts = &self->config.accounts,
                                          .psps = &self->psps,
                                          .store = self->store,
                                          .choice = self->choice,
                                          .learning = self->learning,
                                          .public_url = config->public_url,
                                          .calls_max = (unsigned)config->router_calls_max,
                                          .call_timeout_ms = config->psp_timeout_ms};
    self->checkouts = checkouts_new(service, &checkouts);
    return self;
}

void router_destroy(router_t **self_p)
{
    router_t *self = *self_p;
    if (self == NULL)
        return;
    checkouts_destroy(&self->checkouts);
    router_learning_destroy(&self->learning);
    captures_destroy(&self->captures);
    refunds_destroy(&self->refunds);
    router_choice_destroy(&self->choice);
    router_store_destroy(&self->store);
    free(self);
    *self_p = NULL;
}

bool router_idle(void *router)
{
    router_t *self = router;
    const bool refunds_are_idle = refunds_idle(self->refunds),
               captures_are_idle = captures_idle(self->captures); /* each is told to stop */
    return refunds_are_idle && captures_are_idle && checkouts_idle(self->checkouts);
}

/* ---- router.get ---- */

static void on_get(void *arg, const bus_request_t *const *requests, size_t count)
{
    router_t *self = arg;
    bus_t *bus = self->service->bus;
    uuid_t ids[SERVICE_BATCH_MAX];
    const bus_reply_to_t *reply_to[SERVICE_BATCH_MAX];
    size_t asked = 0;
    err_detail_t detail = {{0}};
    for (size_t i = 0; i < count; i++) {
        payment_get_t get;
        const err_t err = message_decode(MSG_payment_get, requests[i]->body, requests[i]->body_size,
                                         &get, &detail);
        if (err != ERR_OK) {
            bus_reply_error(bus, &requests[i]->reply_to, err, detail.text);
            continue;
        }
        ids[asked] = get.payment_id;
        reply_to[asked++] = &requests[i]->reply_to;
    }
    if (asked == 0)
        return;
    PGresult *result = NULL;
    const err_t err = router_store_documents(self->store, ids, asked, &result, &detail);
    for (size_t i = 0; i < asked; i++) {
        payment_document_t document;
        char text[UUID_TEXT_SIZE];
        if (err != ERR_OK) {
            bus_reply_error(bus, reply_to[i], err, detail.text);
        } else if (router_store_document(result, &ids[i], &document)) {
            bus_reply_message(bus, reply_to[i], MSG_payment_document, &document);
        } else {
            err_set(&detail, ERR_PAYMENT_NOT_FOUND, "there is no payment %s",
                    uuid_format(&ids[i], text));
            bus_reply_error(bus, reply_to[i], ERR_PAYMENT_NOT_FOUND, detail.text);
        }
    }
    PQclear(result);
}

/* ---- router.page ---- */

static void on_page(void *arg, const bus_request_t *const *requests, size_t count)
{
    router_t *self = arg;
    const router_page_t page = {.bus = self->service->bus,
                                .store = self->store,
                                .psps = &self->psps,
                                .accounts = &self->config.accounts,
                                .public_url = self->config.public_url};
    router_page_answer(&page, requests, count);
}

/* ---- router.health ---- */

static void on_health(void *arg, const bus_request_t *const *requests, size_t count)
{
    router_t *self = arg;
    buf_t json = {0};
    for (size_t i = 0; i < count; i++) {
        router_health_get_t get;
        err_detail_t detail = {{0}};
        const err_t err = message_decode(MSG_router_health_get, requests[i]->body,
                                         requests[i]->body_size, &get, &detail);
        if (err != ERR_OK) {
            bus_reply_error(self->service->bus, &requests[i]->reply_to, err, detail.text);
            continue;
        }
        buf_clear(&json);
        router_health_document(router_choice_health(self->choice), get.psp, &json);
        const router_health_document_t document = {.document = {json.data, (uint32_t)json.size}};
        bus_reply_message(self->service->bus, &requests[i]->reply_to, MSG_router_health_document,
                          &document);
    }
    buf_free(&json);
}

/* ---- table ---- */

static void on_initiate(void *arg, const bus_request_t *const *requests, size_t count)
{
    router_t *self = arg;
    checkouts_on_initiate(self->checkouts, requests, count);
}

static void on_refund_create(void *arg, const bus_request_t *const *requests, size_t count)
{
    router_t *self = arg;
    refunds_on_create(self->refunds, requests, count);
}

static void on_refund_get(void *arg, const bus_request_t *const *requests, size_t count)
{
    router_t *self = arg;
    refunds_on_get(self->refunds, requests, count);
}

static void on_capture(void *arg, const bus_request_t *const *requests, size_t count)
{
    router_t *self = arg;
    captures_on_capture(self->captures, requests, count);
}

static const dispatch_entry_t handlers[] = {
    {MSG_payment_initiate, on_initiate}, {MSG_payment_get, on_get},
    {MSG_payment_page, on_page},         {MSG_refund_create, on_refund_create},
    {MSG_refund_get, on_refund_get},     {MSG_payment_capture, on_capture},
    {MSG_router_health_get, on_health},  {0, NULL}};

static void on_batch(void *arg, const bus_request_t *requests, size_t count)
{
    router_t *self = arg;
    dispatch_batch(self->service->bus, handlers, self, requests, count);
}

const bus_handlers_t router_bus_handlers = {.on_batch = on_batch, .message_name = message_name};
