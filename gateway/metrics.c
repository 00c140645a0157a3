/* metrics.c - what the gateway counts, and its Prometheus text.
 *
 * Called by the hub thread (replies, events), by HTTP threads after each answer, and by GET
 * /metrics. One lock for all: it is held for a hash look-up, or while the text is put into memory,
 * never across I/O. Label values from outside (instance names, methods) are bounded: instances come
 * and go for as long as the gateway lives, so those over the bound are counted together.
 */
#include "gateway/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/webhook_intake.h"
#include "lib/payment/psp.h"
#include "lib/prometheus.h"
#include "lib/series.h"
#include "proto/messages.h"

enum {
    REQUESTS_BY_INSTANCE_MAX = 4096,
    REQUESTS_MAX = REQUESTS_BY_INSTANCE_MAX + 1024, /* instance "other" has the rest */
    HTTP_MAX = 1024,
    DURATIONS_MAX = 128, /* routes, messages */
    SERVICES_MAX = 32,
};

static const char other[] = "other";

struct metrics {
    pthread_mutex_t lock;
    series_set_t *requests;          /* service, instance, message, outcome */
    series_set_t *request_durations; /* message */
    series_set_t *http;              /* method, route, status */
    series_set_t *http_durations;    /* route */
    uint64_t replays;
};

metrics_t *metrics_new(void)
{
    static const char *const requests[] = {"service", "instance", "message", "outcome"};
    static const char *const http[] = {"method", "route", "status"};
    metrics_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    CHECK(pthread_mutex_init(&self->lock, NULL) == 0);
    self->requests = series_set_new(requests, 4, 1, REQUESTS_MAX);
    self->request_durations =
        series_set_new(&requests[2], 1, PROMETHEUS_HISTOGRAM_VALUES, DURATIONS_MAX);
    self->http = series_set_new(http, 3, 1, HTTP_MAX);
    self->http_durations = series_set_new(&http[1], 1, PROMETHEUS_HISTOGRAM_VALUES, DURATIONS_MAX);
    return self;
}

void metrics_destroy(metrics_t **self_p)
{
    metrics_t *self = *self_p;
    if (!self)
        return;
    series_set_destroy(&self->requests);
    series_set_destroy(&self->request_durations);
    series_set_destroy(&self->http);
    series_set_destroy(&self->http_durations);
    CHECK(pthread_mutex_destroy(&self->lock) == 0);
    free(self);
    *self_p = NULL;
}

/* ---- counting; under the lock ---- */

/* The last place is kept for all that find none. */
static uint64_t *find_or_other(series_set_t *set, const char *const *values, size_t series_max)
{
    static const char *const others[SERIES_LABELS_MAX] = {other, other, other, other};
    uint64_t *found = series_find(set, values, series_max - 1);
    if (!found)
        found = series_find(set, others, series_max);
    CHECK(found != NULL);
    return found;
}

static void observe(series_set_t *set, const char *name, int64_t took_us)
{
    uint64_t *values = find_or_other(set, &name, DURATIONS_MAX);
    values[prometheus_bucket(took_us)]++;
    values[PROMETHEUS_SUM_US] += took_us > 0 ? (uint64_t)took_us : 0;
}

static void count_request(metrics_t *self, const char *service, const char *instance,
                          const char *message, const char *outcome)
{
    const char *const exact[] = {service, instance, message, outcome};
    const char *const shared[] = {service, other, message, outcome};
    uint64_t *count = series_find(self->requests, exact, REQUESTS_BY_INSTANCE_MAX);
    if (!count)
        count = find_or_other(self->requests, shared, REQUESTS_MAX);
    (*count)++;
}

void metrics_reply(metrics_t *self, const char *service, const char *instance, const char *message,
                   err_t status, int64_t took_us)
{
    char outcome[64];
    prometheus_outcome(status, outcome, sizeof outcome);
    CHECK(pthread_mutex_lock(&self->lock) == 0);
    count_request(self, service, instance, message, outcome);
    observe(self->request_durations, message, took_us);
    CHECK(pthread_mutex_unlock(&self->lock) == 0);
}

void metrics_event(metrics_t *self, const char *service, const char *instance, const char *message)
{
    CHECK(pthread_mutex_lock(&self->lock) == 0);
    count_request(self, service, instance, message, "event");
    CHECK(pthread_mutex_unlock(&self->lock) == 0);
}

static const char *known_method(const char *method)
{
    static const char *const methods[] = {"GET",   "POST", "PUT",    "DELETE",
                                          "PATCH", "HEAD", "OPTIONS"};
    for (size_t i = 0; method && i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(method, methods[i]) == 0)
            return methods[i];
    return other;
}

void metrics_http(metrics_t *self, const char *method, const char *route, int status,
                  int64_t took_us)
{
    const char code[] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
                         (char)('0' + status % 10), '\0'};
    if (!route)
        route = "unmatched";
    const char *const values[] = {known_method(method), route, code};
    CHECK(pthread_mutex_lock(&self->lock) == 0);
    (*find_or_other(self->http, values, HTTP_MAX))++;
    observe(self->http_durations, route, took_us);
    CHECK(pthread_mutex_unlock(&self->lock) == 0);
}

void metrics_replay(metrics_t *self)
{
    CHECK(pthread_mutex_lock(&self->lock) == 0);
    self->replays++;
    CHECK(pthread_mutex_unlock(&self->lock) == 0);
}

/* ---- printing ---- */

static void print_webhooks(buf_t *text)
{
    prometheus_head(text, "tiffin_webhooks_total", "counter",
                    "Webhooks by what they were answered.");
    for (size_t psp = 0; psp < psp_count(); psp++)
        for (webhook_intake_outcome_t outcome = 0; outcome < INTAKE_OUTCOMES; outcome++) {
            buf_add_text(text, "tiffin_webhooks_total{");
            series_print_label(text, "gateway", psp_name(psp_at(psp)));
            buf_add_text(text, ",");
            series_print_label(text, "outcome", webhook_intake_outcome_name(outcome));
            buf_printf(text, "} %" PRIu64 "\n", webhook_intake_count(psp, outcome));
        }
}

static void print_websockets(buf_t *text, const websockets_stats_t *stats)
{
    prometheus_single(text, "tiffin_websockets", "gauge", "WebSockets that are open.", stats->open);
    prometheus_single(text, "tiffin_websocket_frames_total", "counter",
                      "Frames written to WebSockets.", stats->frames_sent);
    prometheus_single(text, "tiffin_websocket_laggards_total", "counter",
                      "WebSockets closed because they did not read.", stats->laggards);
    prometheus_single(text, "tiffin_websockets_refused_total", "counter",
                      "WebSockets refused because there were too many.", stats->refused);
}

/* Adds a name unless it is there or there is no room. */
static void add_service(const char **services, size_t *count, const char *name)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(services[i], name) == 0)
            return;
    if (*count < SERVICES_MAX)
        services[(*count)++] = name;
}

/* Every service that requests are sent to is shown, with 0 when nobody is there: one can alert on
 * that. */
static void print_workers(buf_t *text, const metrics_gauges_t *gauges)
{
    const char *services[SERVICES_MAX];
    size_t service_count = 0, schema_count;
    const message_schema_t *schemas = message_schemas(&schema_count);
    for (size_t i = 0; i < schema_count; i++)
        if (schemas[i].kind == MESSAGE_REQUEST)
            add_service(services, &service_count, schemas[i].service);
    for (size_t i = 0; i < gauges->worker_count; i++)
        add_service(services, &service_count, gauges->workers[i].service);
    prometheus_head(text, "tiffin_workers", "gauge",
                    "Instances of each service that are connected.");
    for (size_t i = 0; i < service_count; i++) {
        uint64_t workers = 0;
        for (size_t j = 0; j < gauges->worker_count; j++)
            workers += strcmp(gauges->workers[j].service, services[i]) == 0;
        buf_add_text(text, "tiffin_workers{");
        series_print_label(text, "service", services[i]);
        buf_printf(text, "} %" PRIu64 "\n", workers);
    }
}

static bool same_worker(const hub_worker_info_t *a, const hub_worker_info_t *b)
{
    return strcmp(a->service, b->service) == 0 && strcmp(a->instance, b->instance) == 0;
}

/* Two that took the same name are one series: a text with a series twice is no valid one. */
static void print_in_flight(buf_t *text, const metrics_gauges_t *gauges)
{
    prometheus_head(text, "tiffin_worker_in_flight", "gauge", "Requests that an instance holds.");
    for (size_t i = 0; i < gauges->worker_count; i++) {
        const hub_worker_info_t *worker = &gauges->workers[i];
        uint64_t in_flight = 0;
        bool printed = false;
        for (size_t j = 0; j < gauges->worker_count; j++) {
            if (!same_worker(worker, &gauges->workers[j]))
                continue;
            printed = printed || j < i;
            in_flight += gauges->workers[j].in_flight;
        }
        if (printed)
            continue;
        buf_add_text(text, "tiffin_worker_in_flight{");
        series_print_label(text, "service", worker->service);
        buf_add_text(text, ",");
        series_print_label(text, "instance", worker->instance);
        buf_printf(text, "} %" PRIu64 "\n", in_flight);
    }
}

void metrics_print(metrics_t *self, const metrics_gauges_t *gauges, buf_t *text)
{
    CHECK(pthread_mutex_lock(&self->lock) == 0);
    prometheus_counters(text, self->requests, "tiffin_requests_total",
                        "Replies and events of service instances.");
    prometheus_histograms(text, self->request_durations, "tiffin_request_duration_seconds",
                          "Time until a request to a service was answered.");
    prometheus_counters(text, self->http, "tiffin_http_requests_total", "HTTP requests answered.");
    prometheus_histograms(text, self->http_durations, "tiffin_http_request_duration_seconds",
                          "Time until an HTTP request was answered.");
    prometheus_single(text, "tiffin_idempotent_replays_total", "counter",
                      "Remembered answers of an Idempotency-Key.", self->replays);
    CHECK(pthread_mutex_unlock(&self->lock) == 0);
    print_webhooks(text);
    print_websockets(text, &gauges->websockets);
    print_workers(text, gauges);
    print_in_flight(text, gauges);
    prometheus_single(text, "tiffin_hub_requests", "gauge", "Requests that wait or are in flight.",
                      gauges->hub_requests);
    prometheus_process(text);
}
