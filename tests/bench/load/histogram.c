/* histogram.c - see histogram.h. */
#include "tests/bench/load/histogram.h"

/* Below 64 a bucket is a value; then each power of two has 64 of them: of 2^(e+6) … 2^(e+7) each is
 * 2^e wide. */
static size_t bucket_of(uint64_t value)
{
    unsigned exponent = 0;
    while (value >> exponent >= 2 * HISTOGRAM_STEPS)
        exponent++;
    const size_t bucket = (size_t)exponent * HISTOGRAM_STEPS + (size_t)(value >> exponent);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t upper_bound_of(size_t bucket)
{
    if (bucket < 2 * HISTOGRAM_STEPS)
        return bucket;
    const size_t exponent = bucket / HISTOGRAM_STEPS - 1;
    return ((uint64_t)(bucket - exponent * HISTOGRAM_STEPS + 1) << exponent) - 1;
}

void histogram_add(histogram_t *self, uint64_t value_us)
{
    self->count++;
    self->buckets[bucket_of(value_us)]++;
    if (value_us > self->max_us)
        self->max_us = value_us;
}

uint64_t histogram_percentile(const histogram_t *self, double percent)
{
    const double wanted = (double)self->count * percent / 100.0;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += self->buckets[i];
        if (self->buckets[i] > 0 && (double)seen >= wanted)
            return upper_bound_of(i) < self->max_us ? upper_bound_of(i) : self->max_us;
    }
    return self->max_us;
}

void histogram_print(const histogram_t *self, FILE *out)
{
    fprintf(out,
            "{\"count\":%llu,\"p50\":%llu,\"p90\":%llu,\"p99\":%llu,\"p999\":%llu,\"max\":%llu}",
            (unsigned long long)self->count, (unsigned long long)histogram_percentile(self, 50),
            (unsigned long long)histogram_percentile(self, 90),
            (unsigned long long)histogram_percentile(self, 99),
            (unsigned long long)histogram_percentile(self, 99.9), (unsigned long long)self->max_us);
}
