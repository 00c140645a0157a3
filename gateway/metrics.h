/* metrics.h - counters of the gateway and their Prometheus text. Thread-safe; label sets are
 * bounded (what is over the bound is counted under "other"). */
#ifndef TIFFIN_GATEWAY_METRICS_H
#define TIFFIN_GATEWAY_METRICS_H

#include <stdint.h>

#include "gateway/websocket.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/hub.h"

typedef struct metrics metrics_t;

metrics_t *metrics_new(void);
void metrics_destroy(metrics_t **self_p);

/* A REPLY (outcome "ok" or the code in lower case) … */
void metrics_reply(metrics_t *self, const char *service, const char *instance, const char *message,
                   err_t status, int64_t took_us);
/* … or an EVENT (outcome "event") of an instance. */
void metrics_event(metrics_t *self, const char *service, const char *instance, const char *message);
/* An HTTP answer; `route` is its pattern ("/orders/{id}"), or NULL when none matched. */
void metrics_http(metrics_t *self, const char *method, const char *route, int status,
                  int64_t took_us);

/* A remembered answer of an Idempotency-Key. */
void metrics_replay(metrics_t *self);

/* What is not counted here but looked at when asked. */
typedef struct metrics_gauges {
    const hub_worker_info_t *workers;
    size_t worker_count;
    size_t hub_requests;
    websockets_stats_t websockets;
} metrics_gauges_t;

/* Prometheus text exposition format 0.0.4: tiffin_requests_total{service,instance,message,outcome},
 * tiffin_http_requests_total{method,route,status}, tiffin_http_request_duration_seconds (histogram
 * by route), tiffin_idempotent_replays_total, tiffin_webhooks_total{gateway,outcome},
 * tiffin_websockets…, tiffin_workers{service}, tiffin_worker_in_flight{service,instance},
 * tiffin_hub_requests, and prometheus_process()'s. */
void metrics_print(metrics_t *self, const metrics_gauges_t *gauges, buf_t *text);

#endif
