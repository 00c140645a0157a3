/* bus_metrics.c - see bus_metrics.h. Numbers are counted by number; names are looked for when the
 * text is written. */
#include "lib/bus_metrics.h"

#include <stdlib.h>

#include "lib/meter.h"
#include "lib/prometheus.h"
#include "lib/series.h"

enum {
    OUTCOMES_MAX = 256,  /* of messages; a service has some ten messages and as many errors each */
    DURATIONS_MAX = 64,  /* messages */
    STATUS_FACTOR = 4096 /* statuses are below; errors.def ends at a hundred or so */
};

struct bus_metrics {
    meter_t *outcomes;  /* message * STATUS_FACTOR + status */
    meter_t *durations; /* message */
    _Atomic uint64_t taken, answered, dropped;
    _Atomic int gateways;
};

bus_metrics_t *bus_metrics_new(void)
{
    bus_metrics_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->outcomes = meter_new(OUTCOMES_MAX, 1);
    self->durations = meter_new(DURATIONS_MAX, PROMETHEUS_HISTOGRAM_VALUES);
    return self;
}

void bus_metrics_destroy(bus_metrics_t **self_p)
{
    bus_metrics_t *self = *self_p;
    if (self == NULL)
        return;
    meter_destroy(&self->outcomes);
    meter_destroy(&self->durations);
    free(self);
    *self_p = NULL;
}

void bus_metrics_taken(bus_metrics_t *self)
{
    meter_add(&self->taken, 1);
}

void bus_metrics_answered(bus_metrics_t *self, uint32_t message, err_t status, int64_t took_us)
{
    CHECK((uint32_t)status < STATUS_FACTOR);
    meter_add(meter_find(self->outcomes, (uint64_t)message * STATUS_FACTOR + (uint32_t)status), 1);
    meter_observe(meter_find(self->durations, message), took_us);
    meter_add(&self->answered, 1);
}

void bus_metrics_dropped(bus_metrics_t *self, size_t count)
{
    meter_add(&self->dropped, count);
}

void bus_metrics_gateway(bus_metrics_t *self, int change)
{
    atomic_fetch_add_explicit(&self->gateways, change, memory_order_relaxed);
}

/* ---- printing ---- */

typedef struct printing {
    const char *service;
    const char *(*name_of)(uint32_t message);
    series_set_t *set;
    size_t limit, value_count;
} printing_t;

static const char *name_of(const printing_t *printing, uint64_t key, uint64_t factor)
{
    if (key == METER_OTHER)
        return "other";
    const char *name =
        printing->name_of != NULL ? printing->name_of((uint32_t)(key / factor)) : NULL;
    return name != NULL ? name : "unknown";
}

/* Several keys may have one name: what is not known. */
static void add(const printing_t *printing, const char *const *labels,
                const _Atomic uint64_t *values)
{
    uint64_t *sums = series_find(printing->set, labels, printing->limit);
    CHECK(sums != NULL);
    for (size_t i = 0; i < printing->value_count; i++)
        sums[i] += atomic_load_explicit(&values[i], memory_order_relaxed);
}

static void visit_outcome(void *arg, uint64_t key, const _Atomic uint64_t *values)
{
    const printing_t *printing = arg;
    char outcome[64] = "other";
    if (key != METER_OTHER)
        prometheus_outcome((err_t)(key % STATUS_FACTOR), outcome, sizeof outcome);
    const char *const labels[] = {printing->service, name_of(printing, key, STATUS_FACTOR),
                                  outcome};
    add(printing, labels, values);
}

static void visit_duration(void *arg, uint64_t key, const _Atomic uint64_t *values)
{
    const printing_t *printing = arg;
    const char *const labels[] = {printing->service, name_of(printing, key, 1)};
    add(printing, labels, values);
}

void bus_metrics_print(const bus_metrics_t *self, const char *service,
                       const char *(*message_name)(uint32_t message), buf_t *text)
{
    static const char *const labels[] = {"service", "message", "outcome"};
    printing_t printing = {.service = service,
                           .name_of = message_name,
                           .set = series_set_new(labels, 3, 1, OUTCOMES_MAX),
                           .limit = OUTCOMES_MAX,
                           .value_count = 1};
    meter_visit(self->outcomes, visit_outcome, &printing);
    prometheus_counters(text, printing.set, "tiffin_service_requests_total",
                        "Requests of the bus by what they were answered.");
    series_set_destroy(&printing.set);
    printing.set = series_set_new(labels, 2, PROMETHEUS_HISTOGRAM_VALUES, DURATIONS_MAX);
    printing.limit = DURATIONS_MAX;
    printing.value_count = PROMETHEUS_HISTOGRAM_VALUES;
    meter_visit(self->durations, visit_duration, &printing);
    prometheus_histograms(text, printing.set, "tiffin_service_request_duration_seconds",
                          "Time from a request's arrival in the mailbox until its answer.");
    series_set_destroy(&printing.set);
    const uint64_t ended = atomic_load(&self->answered) + atomic_load(&self->dropped);
    const uint64_t taken = atomic_load(&self->taken); /* after it: more may be taken meanwhile */
    prometheus_single(text, "tiffin_service_requests_in_flight", "gauge",
                      "Requests that were taken and are not answered.",
                      taken > ended ? taken - ended : 0);
    prometheus_single(text, "tiffin_service_requests_dropped_total", "counter",
                      "Requests whose gateway was gone before they were answered.",
                      atomic_load(&self->dropped));
    const int gateways = atomic_load(&self->gateways);
    prometheus_single(text, "tiffin_service_gateways", "gauge", "Gateways that it is connected to.",
                      gateways > 0 ? (uint64_t)gateways : 0);
}
