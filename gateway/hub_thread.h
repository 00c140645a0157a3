/* hub_thread.h - the thread that owns the hub: the bridge between HTTP threads and services.
 *
 * HTTP threads hang their request, which lives on their stack, into a list, wake the thread by an
 * eventfd (only when it sleeps) and sleep until it is answered; the hub answers every request
 * exactly once, at the latest when its budget ends. The thread alone touches the ROUTER, the tap's
 * XPUB and the hub core.
 */
#ifndef TIFFIN_GATEWAY_HUB_THREAD_H
#define TIFFIN_GATEWAY_HUB_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/metrics.h"
#include "gateway/websocket.h"
#include "lib/err.h"
#include "lib/hub.h"
#include "proto/messages.h"

typedef struct hub_thread hub_thread_t;

typedef struct hub_thread_config {
    const char *hub_bind,
        *tap_bind; /* as HUB_BIND, TAP_BIND; "tcp://127.0.0.1:*" takes a free port */
    const char *instance;
    websockets_t *websockets; /* gets notifier.event; borrowed */
    metrics_t *metrics;       /* borrowed */
} hub_thread_config_t;

/* NULL with `detail` when an address cannot be bound. */
hub_thread_t *hub_thread_new(const hub_thread_config_t *config, err_detail_t *detail);
/* Answers what is left ERR_SHUTTING_DOWN, says BYE to every instance and joins the thread. */
void hub_thread_destroy(hub_thread_t **self_p);

/* Where it listens. Borrowed. */
const char *hub_thread_endpoint(const hub_thread_t *self);
const char *hub_thread_tap_endpoint(const hub_thread_t *self);

/* A reply. `message` is its id; `body` its bytes, the caller's: free(). */
typedef struct hub_reply {
    err_t status;
    uint32_t message;
    uint8_t *body;
    size_t body_size;
} hub_reply_t;

/* Sends a request of the schema to its service and waits for the answer, at most budget_ms.
 * `request` is the message's struct. */
void hub_thread_call(hub_thread_t *self, uint32_t id, const void *request, uint32_t budget_ms,
                     const uuid_t *request_id, const char *traceparent, hub_reply_t *reply);

/* Mirrors an event of the gateway itself to the tap. `message` is the struct; copied when somebody
 * listens. */
void hub_thread_event(hub_thread_t *self, uint32_t id, const void *message,
                      const uuid_t *request_id, const char *traceparent);

/* A copy of what the hub knew a moment ago (it is renewed whenever an instance comes or goes, and
 * each second). */
typedef struct hub_snapshot {
    size_t worker_count;
    hub_worker_info_t workers[HUB_WORKERS_MAX];
    size_t requests;
} hub_snapshot_t;
void hub_thread_snapshot(hub_thread_t *self, hub_snapshot_t *snapshot);

#endif
