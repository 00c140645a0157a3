/* meter.c - see meter.h. A key takes its place once, by compare-and-swap, and keeps it: after that
 * a count is a look at a few numbers and one addition. */
#include "lib/meter.h"

#include <stdlib.h>

#include "lib/err.h"
#include "lib/prometheus.h"

struct meter {
    size_t places, value_count;
    _Atomic uint64_t *keys;   /* [places], key + 1; 0: free. The last is for the rest. */
    _Atomic uint64_t *values; /* [places][value_count] */
};

meter_t *meter_new(size_t places_max, size_t value_count)
{
    CHECK(places_max > 1 && value_count > 0);
    meter_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->places = places_max;
    self->value_count = value_count;
    self->keys = calloc(places_max, sizeof *self->keys);
    self->values = calloc(places_max * value_count, sizeof *self->values);
    CHECK(self->keys != NULL && self->values != NULL);
    return self;
}

void meter_destroy(meter_t **self_p)
{
    meter_t *self = *self_p;
    if (self == NULL)
        return;
    free(self->keys);
    free(self->values);
    free(self);
    *self_p = NULL;
}

/* True when the place is this key's, now or since before. */
static bool take(_Atomic uint64_t *place, uint64_t mark)
{
    uint64_t found = atomic_load_explicit(place, memory_order_relaxed);
    if (found == 0 && atomic_compare_exchange_strong(place, &found, mark))
        return true;
    return found == mark; /* the exchange left in `found` who was faster */
}

_Atomic uint64_t *meter_find(meter_t *self, uint64_t key)
{
    CHECK(key < METER_OTHER - 1);
    const size_t own = self->places - 1;
    for (size_t i = 0; i < own; i++) {
        const size_t place = (size_t)((key + i) % own);
        if (take(&self->keys[place], key + 1))
            return &self->values[place * self->value_count];
    }
    atomic_store_explicit(&self->keys[own], METER_OTHER, memory_order_relaxed);
    return &self->values[own * self->value_count];
}

void meter_observe(_Atomic uint64_t *values, int64_t took_us)
{
    meter_add(&values[prometheus_bucket(took_us)], 1);
    meter_add(&values[PROMETHEUS_SUM_US], took_us > 0 ? (uint64_t)took_us : 0);
}

void meter_visit(const meter_t *self,
                 void (*visit)(void *arg, uint64_t key, const _Atomic uint64_t *values), void *arg)
{
    for (size_t i = 0; i < self->places; i++) {
        const uint64_t mark = atomic_load(&self->keys[i]);
        if (mark != 0)
            visit(arg, mark == METER_OTHER ? METER_OTHER : mark - 1,
                  &self->values[i * self->value_count]);
    }
}
