/* histogram.h - latencies in µs, exact to 1.6 %, in constant memory: 64 linear steps for each power
 * of two. */
#ifndef TIFFIN_TESTS_BENCH_LOAD_HISTOGRAM_H
#define TIFFIN_TESTS_BENCH_LOAD_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum { HISTOGRAM_STEPS = 64, HISTOGRAM_BUCKETS = HISTOGRAM_STEPS * 40 };

typedef struct histogram {
    uint64_t count, max_us, buckets[HISTOGRAM_BUCKETS];
} histogram_t;

void histogram_add(histogram_t *self, uint64_t value_us);
/* The least value that `percent` of all do not exceed; 0 when there are none. */
uint64_t histogram_percentile(const histogram_t *self, double percent);
/* {"count":…,"p50":…,"p90":…,"p99":…,"p999":…,"max":…}, in µs */
void histogram_print(const histogram_t *self, FILE *out);

#endif
