/* meter.h - counts by small numbers (a message and its outcome, say), for hot paths: any thread
 * counts, any other reads, by atomics alone; no lock, no allocation after the start. Bounded: keys
 * that find no place share the last one. */
#ifndef TIFFIN_LIB_METER_H
#define TIFFIN_LIB_METER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

typedef struct meter meter_t;

/* The key under which keys that found no place are counted together. */
#define METER_OTHER UINT64_MAX

/* Each of at most places_max keys, 2 or more, has value_count numbers. */
meter_t *meter_new(size_t places_max, size_t value_count);
void meter_destroy(meter_t **self_p);

/* The numbers of a key (not METER_OTHER, nor one below it), made with zeros. Never NULL. */
_Atomic uint64_t *meter_find(meter_t *self, uint64_t key);
/* Adds without asking for an order among threads: a reader sees it soon. */
static inline void meter_add(_Atomic uint64_t *value, uint64_t count)
{
    atomic_fetch_add_explicit(value, count, memory_order_relaxed);
}
/* A duration, into the PROMETHEUS_HISTOGRAM_VALUES numbers of a histogram. */
void meter_observe(_Atomic uint64_t *values, int64_t took_us);

/* What was counted: calls `visit` for each key with its numbers as they are now. */
void meter_visit(const meter_t *self,
                 void (*visit)(void *arg, uint64_t key, const _Atomic uint64_t *values), void *arg);

#endif
