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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/series.h"
#include "gateway/webhook_intake.h"
#include "lib/payment/psp.h"
#include "proto/messages.h"

enum {
    REQUESTS_BY_INSTANCE_MAX = 4096,
    REQUESTS_MAX = REQUESTS_BY_INSTANCE_MAX + 1024, /* instance "other" has the rest */
    HTTP_MAX = 1024,
    DURATIONS_MAX = 128, /* routes, messages */
    SERVICES_MAX = 32,
};

static const char other[] = "other";

static const uint32_t buckets_us[] = {1000,   2500,   5000,    10000,   25000,   50000,   100000,
                                      250000, 500000, 1000000, 2500000, 5000000, 10000000};
enum {
    BUCKET_COUNT = sizeof buckets_us / sizeof buckets_us[0],
    /* A histogram's numbers: one per bucket (not cumulated), then these. */
    OVER_INDEX = BUCKET_COUNT,
    SUM_US_INDEX,
    HISTOGRAM_VALUES,
};

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
    self->request_durations = series_set_new(&requests[2], 1, HISTOGRAM_VALUES, DURATIONS_MAX);
    self->http = series_set_new(http, 3, 1, HTTP_MAX);
    self->http_durations = series_set_new(&http[1], 1, HISTOGRAM_VALUES, DURATIONS_MAX);
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
    uint64_t spent_us = took_us > 0 ? (uint64_t)took_us : 0;
    size_t bucket = 0;
    while (bucket < BUCKET_COUNT && spent_us > buckets_us[bucket])
        bucket++;
    values[bucket]++; /* OVER_INDEX follows the last bucket */
    values[SUM_US_INDEX] += spent_us;
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

/* "ok", "order_not_found". */
static void outcome_of(err_t status, char *outcome, size_t capacity)
{
    str_copy(str_of(err_name(status)), outcome, capacity);
    for (char *c = outcome; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
}

void metrics_reply(metrics_t *self, const char *service, const char *instance, const char *message,
                   err_t status, int64_t took_us)
{
    char outcome[64];
    outcome_of(status, outcome, sizeof outcome);
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

static void print_head(buf_t *text, const char *name, const char *type, const char *help)
{
    buf_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_single(buf_t *text, const char *name, const char *type, const char *help,
                         uint64_t value)
{
    print_head(text, name, type, help);
    buf_printf(text, "%s %" PRIu64 "\n", name, value);
}

static void print_counters(buf_t *text, const series_set_t *set, const char *name, const char *help)
{
    print_head(text, name, "counter", help);
    for (size_t i = 0; i < series_count(set); i++) {
        buf_printf(text, "%s{", name);
        series_print_labels(set, i, text);
        buf_printf(text, "} %" PRIu64 "\n", *series_values(set, i));
    }
}

/* 2500 as "0.0025": exact, and never in the exponential form. */
static const char *seconds(uint64_t us, char out[32])
{
    int size =
        snprintf(out, 32, "%" PRIu64 ".%06" PRIu64, us / UINT64_C(1000000), us % UINT64_C(1000000));
    while (out[size - 1] == '0')
        out[--size] = '\0';
    if (out[size - 1] == '.')
        out[--size] = '\0';
    return out;
}

static void print_histogram(buf_t *text, const series_set_t *set, size_t index, const char *name)
{
    const uint64_t *values = series_values(set, index);
    char number[32];
    uint64_t count = 0;
    for (size_t i = 0; i <= OVER_INDEX; i++) {
        count += values[i];
        buf_printf(text, "%s_bucket{", name);
        series_print_labels(set, index, text);
        buf_printf(text, ",le=\"%s\"} %" PRIu64 "\n",
                   i == OVER_INDEX ? "+Inf" : seconds(buckets_us[i], number), count);
    }
    buf_printf(text, "%s_sum{", name);
    series_print_labels(set, index, text);
    buf_printf(text, "} %s\n%s_count{", seconds(values[SUM_US_INDEX], number), name);
    series_print_labels(set, index, text);
    buf_printf(text, "} %" PRIu64 "\n", count);
}

static void print_histograms(buf_t *text, const series_set_t *set, const char *name,
                             const char *help)
{
    print_head(text, name, "histogram", help);
    for (size_t i = 0; i < series_count(set); i++)
        print_histogram(text, set, i, name);
}

static void print_webhooks(buf_t *text)
{
    print_head(text, "tiffin_webhooks_total", "counter", "Webhooks by what they were answered.");
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
    print_single(text, "tiffin_websockets", "gauge", "WebSockets that are open.", stats->open);
    print_single(text, "tiffin_websocket_frames_total", "counter", "Frames written to WebSockets.",
                 stats->frames_sent);
    print_single(text, "tiffin_websocket_laggards_total", "counter",
                 "WebSockets closed because they did not read.", stats->laggards);
    print_single(text, "tiffin_websockets_refused_total", "counter",
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
    print_head(text, "tiffin_workers", "gauge", "Instances of each service that are connected.");
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
    print_head(text, "tiffin_worker_in_flight", "gauge", "Requests that an instance holds.");
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

/* Left out where the kernel does not say. */
static void print_memory(buf_t *text)
{
    FILE *statm = fopen("/proc/self/statm", "re");
    char line[128] = "";
    uint64_t pages = 0;
    bool known = statm && fgets(line, sizeof line, statm) &&
                 sscanf(line, "%*u %" SCNu64, &pages) == 1; /* NOLINT(cert-err34-c): bounded */
    if (statm)
        (void)fclose(statm);
    if (known)
        print_single(text, "process_resident_memory_bytes", "gauge",
                     "Memory of the process that is in RAM.",
                     pages * (uint64_t)sysconf(_SC_PAGESIZE));
}

void metrics_print(metrics_t *self, const metrics_gauges_t *gauges, buf_t *text)
{
    CHECK(pthread_mutex_lock(&self->lock) == 0);
    print_counters(text, self->requests, "tiffin_requests_total",
                   "Replies and events of service instances.");
    print_histograms(text, self->request_durations, "tiffin_request_duration_seconds",
                     "Time until a request to a service was answered.");
    print_counters(text, self->http, "tiffin_http_requests_total", "HTTP requests answered.");
    print_histograms(text, self->http_durations, "tiffin_http_request_duration_seconds",
                     "Time until an HTTP request was answered.");
    print_single(text, "tiffin_idempotent_replays_total", "counter",
                 "Remembered answers of an Idempotency-Key.", self->replays);
    CHECK(pthread_mutex_unlock(&self->lock) == 0);
    print_webhooks(text);
    print_websockets(text, &gauges->websockets);
    print_workers(text, gauges);
    print_in_flight(text, gauges);
    print_single(text, "tiffin_hub_requests", "gauge", "Requests that wait or are in flight.",
                 gauges->hub_requests);
    print_head(text, "tiffin_build_info", "gauge", "Which build this is; always 1.");
    buf_add_text(text, "tiffin_build_info{");
    series_print_label(text, "version", TIFFIN_VERSION);
    buf_add_text(text, "} 1\n");
    print_memory(text);
}
