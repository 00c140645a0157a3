/* prometheus.c - see prometheus.h. Runs once per scrape: plain rather than fast. */
#include "lib/prometheus.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/process.h"

static const uint32_t buckets_us[PROMETHEUS_BUCKETS] = {1000,    2500,    5000,    10000,  25000,
                                                        50000,   100000,  250000,  500000, 1000000,
                                                        2500000, 5000000, 10000000};

size_t prometheus_bucket(int64_t took_us)
{
    size_t bucket = 0;
    while (bucket < PROMETHEUS_BUCKETS && took_us > (int64_t)buckets_us[bucket])
        bucket++;
    return bucket;
}

void prometheus_outcome(err_t status, char *outcome, size_t capacity)
{
    str_copy(str_of(err_name(status)), outcome, capacity);
    for (char *c = outcome; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
}

void prometheus_head(buf_t *text, const char *name, const char *type, const char *help)
{
    buf_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void prometheus_single(buf_t *text, const char *name, const char *type, const char *help,
                       uint64_t value)
{
    prometheus_head(text, name, type, help);
    buf_printf(text, "%s %" PRIu64 "\n", name, value);
}

void prometheus_counters(buf_t *text, const series_set_t *set, const char *name, const char *help)
{
    prometheus_head(text, name, "counter", help);
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
    for (size_t i = 0; i <= PROMETHEUS_BUCKETS; i++) {
        count += values[i];
        buf_printf(text, "%s_bucket{", name);
        series_print_labels(set, index, text);
        buf_printf(text, ",le=\"%s\"} %" PRIu64 "\n",
                   i == PROMETHEUS_BUCKETS ? "+Inf" : seconds(buckets_us[i], number), count);
    }
    buf_printf(text, "%s_sum{", name);
    series_print_labels(set, index, text);
    buf_printf(text, "} %s\n%s_count{", seconds(values[PROMETHEUS_SUM_US], number), name);
    series_print_labels(set, index, text);
    buf_printf(text, "} %" PRIu64 "\n", count);
}

void prometheus_histograms(buf_t *text, const series_set_t *set, const char *name, const char *help)
{
    prometheus_head(text, name, "histogram", help);
    for (size_t i = 0; i < series_count(set); i++)
        print_histogram(text, set, i, name);
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
        prometheus_single(text, "process_resident_memory_bytes", "gauge",
                          "Memory of the process that is in RAM.",
                          pages * (uint64_t)sysconf(_SC_PAGESIZE));
}

void prometheus_process(buf_t *text)
{
    char started[32];
    prometheus_head(text, "tiffin_build_info", "gauge", "Which build this is; always 1.");
    buf_add_text(text, "tiffin_build_info{");
    series_print_label(text, "version", TIFFIN_VERSION);
    buf_add_text(text, "} 1\n");
    print_memory(text);
    prometheus_head(text, "process_start_time_seconds", "gauge",
                    "When the process started, in seconds since 1970.");
    buf_printf(text, "process_start_time_seconds %s\n",
               seconds((uint64_t)process_started_us(), started));
}
