/* prometheus.h - the Prometheus text exposition format, 0.0.4: what the gateway and the services
 * have in common of it. Writes into a buffer; counts nothing itself. */
#ifndef TIFFIN_LIB_PROMETHEUS_H
#define TIFFIN_LIB_PROMETHEUS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/series.h"

#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* A histogram's numbers: one per bucket (not cumulated), one over the last, the sum. */
enum {
    PROMETHEUS_BUCKETS = 13,
    PROMETHEUS_SUM_US = PROMETHEUS_BUCKETS + 1,
    PROMETHEUS_HISTOGRAM_VALUES,
};
/* Which of them a duration is counted under, from 1 ms to 10 s. */
size_t prometheus_bucket(int64_t took_us);

/* The label of an answer: "ok", "order_not_found". */
void prometheus_outcome(err_t status, char *outcome, size_t capacity);

/* HELP and TYPE of a family ("counter", "gauge"); its samples follow. */
void prometheus_head(buf_t *text, const char *name, const char *type, const char *help);
/* A family of one sample without labels. */
void prometheus_single(buf_t *text, const char *name, const char *type, const char *help,
                       uint64_t value);
/* A family of counters: the first number of each series. */
void prometheus_counters(buf_t *text, const series_set_t *set, const char *name, const char *help);
/* A family of histograms in seconds: PROMETHEUS_HISTOGRAM_VALUES of each series. */
void prometheus_histograms(buf_t *text, const series_set_t *set, const char *name,
                           const char *help);
/* tiffin_build_info{version}, process_resident_memory_bytes, process_start_time_seconds. */
void prometheus_process(buf_t *text);

#endif
