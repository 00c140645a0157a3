/* service.c - see service.h. */
#include "lib/service.h"

#include "lib/log.h"
#include "lib/prometheus.h"
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
    *service = (service_t){
        .name = name, .hub_addr = settings->hub_addr, .metrics_addr = settings->metrics_addr};
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

/* ---- METRICS_ADDR ---- */

static void print_metrics(void *arg, buf_t *text)
{
    const service_t *service = arg;
    bus_metrics_print(service->bus_metrics, service->name, service->message_name, text);
    if (service->print_metrics)
        service->print_metrics(service->print_metrics_arg, text);
    prometheus_process(text);
}

static void serve_metrics(service_t *service)
{
    err_detail_t detail = {{0}};
    service->metrics_server =
        metrics_server_new(service->metrics_addr, print_metrics, service, &detail);
    if (!service->metrics_server)
        config_refuse("METRICS_ADDR", detail.text);
    log_info(NULL, "metrics served", "addr=%s port=%u", service->metrics_addr,
             metrics_server_port(service->metrics_server));
}

/* ---- life ---- */

void service_start(service_t *service, uint32_t credit, const bus_handlers_t *handlers, void *self,
                   bool (*idle)(void *self))
{
    service->idle = idle;
    service->self = self;
    service->message_name = handlers->message_name;
    if (service->metrics_addr)
        service->bus_metrics = bus_metrics_new();
    bus_config_t config = {.actor = service->actor,
                           .service = service->name,
                           .instance = service->instance,
                           .hub_addr = service->hub_addr,
                           .credit = credit,
                           .handlers = handlers,
                           .self = self,
                           .metrics = service->bus_metrics};
    service->bus = bus_new(&config);
    actor_set_drain(service->actor, on_drain, is_idle, service, SERVICE_DRAIN_TIMEOUT_MS);
    if (service->metrics_addr)
        serve_metrics(service);
    log_info(NULL, "service started", "version=%s hub_addr=%s", TIFFIN_VERSION, service->hub_addr);
}

int service_run(service_t *service)
{
    int status = actor_run(service->actor);
    metrics_server_destroy(&service->metrics_server);
    log_info(NULL, "service stopped", "status=%d unanswered=%zu", status,
             bus_unanswered(service->bus));
    return status;
}

void service_stop(service_t *service)
{
    metrics_server_destroy(&service->metrics_server);
    bus_destroy(&service->bus);
    bus_metrics_destroy(&service->bus_metrics);
}

void service_destroy(service_t *service)
{
    actor_destroy(&service->actor);
}
