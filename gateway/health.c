/* health.c - what machines ask: alive, ready, counters, and the description of the API. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/handlers.h"
#include "gateway/openapi.h"
#include "lib/prometheus.h"

enum { STORE_CHECK_BUDGET_MS = 1000 };

void health_live(http_request_t *request)
{
    http_respond(request, 200, "text/plain; charset=utf-8", "ok\n", 3);
}

void ws_get(http_request_t *request)
{
    http_add_header(request, "Upgrade", "websocket");
    http_respond_problem(request, ERR_UPGRADE_REQUIRED, NULL);
}

void openapi_get(http_request_t *request)
{
    http_respond(request, 200, "application/json", openapi_json, openapi_json_size);
}

/* The gateway does not speak to PostgreSQL: the order service is asked for an order that cannot
 * exist, and only a working database can tell that it is not there. */
static bool is_store_ready(http_request_t *request)
{
    const order_get_t nobody = {.order_id = {{0}}};
    hub_reply_t reply;
    hub_thread_call(gateway_of(request)->hub, MSG_order_get, &nobody, STORE_CHECK_BUDGET_MS,
                    &request->request_id, request->traceparent, &reply);
    const bool ready = reply.status == ERR_ORDER_NOT_FOUND;
    hub_reply_free(&reply);
    return ready;
}

static int instances_of(const hub_snapshot_t *snapshot, const char *service)
{
    int count = 0;
    for (size_t i = 0; i < snapshot->worker_count; i++)
        count +=
            strcmp(snapshot->workers[i].service, service) == 0 && !snapshot->workers[i].draining;
    return count;
}

void health_ready(http_request_t *request)
{
    static const char *const services[] = {"order", "router", "webhook-processor", "reconciler",
                                           "notifier"};
    gateway_t *gateway = gateway_of(request);
    hub_snapshot_t *snapshot = malloc(sizeof *snapshot);
    CHECK(snapshot != NULL);
    hub_thread_snapshot(gateway->hub, snapshot);
    const bool draining = atomic_load(&gateway->draining);
    const bool redis = redis_thread_healthy(gateway->redis);
    const bool store = is_store_ready(request);
    bool ready = !draining && redis && store;
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        ready = ready && instances_of(snapshot, services[i]) > 0;

    buf_t body = {0};
    json_open_object(&body, NULL);
    json_text(&body, "status", draining ? "draining" : ready ? "ready" : "not ready");
    json_bool(&body, "postgresql", store);
    json_bool(&body, "redis", redis);
    json_open_object(&body, "services");
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        json_int(&body, services[i], instances_of(snapshot, services[i]));
    json_close_object(&body);
    json_close_object(&body);
    http_respond_json(request, ready ? 200 : 503, &body);
    buf_free(&body);
    free(snapshot);
}

void metrics_get(http_request_t *request)
{
    gateway_t *gateway = gateway_of(request);
    hub_snapshot_t *snapshot = malloc(sizeof *snapshot);
    CHECK(snapshot != NULL);
    hub_thread_snapshot(gateway->hub, snapshot);
    const metrics_gauges_t gauges = {.workers = snapshot->workers,
                                     .worker_count = snapshot->worker_count,
                                     .hub_requests = snapshot->requests,
                                     .websockets = websockets_stats(gateway->websockets)};
    buf_t text = {0};
    metrics_print(gateway->metrics, &gauges, &text);
    http_respond(request, 200, PROMETHEUS_CONTENT_TYPE, text.data, text.size);
    buf_free(&text);
    free(snapshot);
}
