/* service.c - see service.h. */
#include "lib/service.h"

#include "lib/log.h"
#include "lib/resolver.h"

void service_process_init(void)
{
    actor_process_init();
}

/* For checking the text alone. */
static int lookup_nothing(const char *host, char addresses[][64], int capacity, void *arg)
{
    (void)host;
    (void)addresses;
    (void)capacity;
    (void)arg;
    return 0;
}

void service_init(service_t *service, const char *name, const service_settings_t *settings)
{
    *service = (service_t){.name = name, .hub_addr = settings->hub_addr};
    service->dev = process_start(name, &settings->process, &service->instance);
    endpoint_set_t endpoints;
    err_detail_t detail;
    if (resolver_resolve(settings->hub_addr, lookup_nothing, NULL, &endpoints, &detail) != ERR_OK)
        config_refuse("HUB_ADDR", detail.text);
    service->actor = actor_new();
}

static void on_drain(void *arg)
{
    service_t *service = arg;
    bus_drain(service->bus);
}

static bool is_idle(void *arg)
{
    service_t *service = arg;
    return bus_drained(service->bus) && (!service->idle || service->idle(service->self));
}

void service_start(service_t *service, uint32_t credit, const bus_handlers_t *handlers, void *self,
                   bool (*idle)(void *self))
{
    service->idle = idle;
    service->self = self;
    bus_config_t config = {.actor = service->actor,
                           .service = service->name,
                           .instance = service->instance,
                           .hub_addr = service->hub_addr,
                           .credit = credit,
                           .handlers = handlers,
                           .self = self};
    service->bus = bus_new(&config);
    actor_set_drain(service->actor, on_drain, is_idle, service, SERVICE_DRAIN_TIMEOUT_MS);
    log_info(NULL, "service started", "version=%s hub_addr=%s", TIFFIN_VERSION, service->hub_addr);
}

int service_run(service_t *service)
{
    int status = actor_run(service->actor);
    log_info(NULL, "service stopped", "status=%d unanswered=%zu", status,
             bus_unanswered(service->bus));
    return status;
}

void service_stop(service_t *service)
{
    bus_destroy(&service->bus);
}

void service_destroy(service_t *service)
{
    actor_destroy(&service->actor);
}
