/* hub.h - the hub core: which instance gets which request, what happens when it is lost, what every caller is told.
 *
 * No sockets, no clock, no threads, no logging: (what arrived, now) in, calls on the sink out. Its owner (the gateway's hub
 * thread) moves the bytes. Rules:
 *
 *   - A service instance introduces itself with READY and its credit: how many requests it holds at once. A request goes to the
 *     instance of its service with the fewest in flight below its credit; ties go to the one that was given work longest ago.
 *   - No instance has credit: the request waits, bounded per service and in all. Over the bound ERR_BUSY at once. No instance
 *     of the service at all: ERR_NO_WORKER at once. In both cases nothing ran.
 *   - The budget ends while waiting: ERR_BUSY if it never was sent (nothing ran), ERR_DEADLINE once it was sent (outcome unknown).
 *     A late reply is dropped (correlation = slot and generation), but gives the credit back.
 *   - An instance is lost (BYE, silence of liveness_ms, hub_peer_lost): each request that it held is put at the head of the
 *     queue again when its message says HUB_RETRY_SAFE and fewer than HUB_ATTEMPTS_MAX tries were made, waiting for another
 *     instance until its budget ends (then ERR_DEADLINE); otherwise it is answered ERR_WORKER_LOST at once.
 *   - A draining instance is told so (DRAIN) and given nothing more; what it holds is awaited.
 *   - Every request is answered exactly once. hub_destroy answers what is left with ERR_SHUTTING_DOWN.
 */
#ifndef TIFFIN_LIB_HUB_H
#define TIFFIN_LIB_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bus_header.h"

typedef struct hub hub_t;

#define HUB_ATTEMPTS_MAX 5

typedef enum hub_retry {
    HUB_RETRY_SAFE,  /* may run twice: it reads, or it is idempotent by the ids it carries */
    HUB_RETRY_NEVER, /* must not be sent a second time by the hub */
} hub_retry_t;

typedef struct hub_request {
    const char *service;    /* static text */
    uint32_t message;
    hub_retry_t retry;
    uint32_t budget_ms;
    uuid_t request_id;
    const char *traceparent; /* "" for none; copied */
    const uint8_t *body;    /* borrowed until the request is answered */
    size_t body_size;
    uint64_t token;         /* the caller's name for it, given back with the answer */
} hub_request_t;

/* What the hub tells its owner. `self` is hub_config_t.sink_self; all pointers are borrowed for the call. The sink must not call
 * back into the hub. */
typedef struct hub_sink {
    /* Send this frame pair to a peer. False: the peer cannot take it now or is gone; the hub then treats the peer as lost. */
    bool (*send)(void *self, uint32_t peer, const bus_header_t *header, const uint8_t *body, size_t body_size);
    /* The one answer to a request. `instance` is "" when none answered; `took_ms` since hub_request. */
    void (*answer)(void *self, const hub_request_t *request, err_t status, const char *instance, int64_t took_ms,
                   uint32_t message, const uint8_t *body, size_t body_size);
    /* An EVENT of an instance. */
    void (*event)(void *self, uint32_t peer, const bus_header_t *header, const uint8_t *body, size_t body_size);
    /* An instance came (present) or went. */
    void (*worker)(void *self, uint32_t peer, const char *service, const char *instance, bool present, const char *reason);
} hub_sink_t;

typedef struct hub_config {
    uint32_t requests_max;          /* 0: HUB_REQUESTS_MAX */
    uint32_t queue_per_service_max; /* 0: HUB_QUEUE_PER_SERVICE_MAX */
    uint32_t workers_max;           /* 0: HUB_WORKERS_MAX */
    uint32_t heartbeat_ms;          /* 0: BUS_HEARTBEAT_MS */
    uint32_t liveness_ms;           /* 0: BUS_LIVENESS_MS */
    const hub_sink_t *sink;
    void *sink_self;
} hub_config_t;

hub_t *hub_new(const hub_config_t *config);
void hub_destroy(hub_t **self_p, int64_t now_ms);

/* A caller's request. Always answered exactly once, maybe before this returns. */
void hub_request(hub_t *self, int64_t now_ms, const hub_request_t *request);
/* A frame pair from a peer (any 32-bit name its owner gives it). An EVENT from a peer that never said READY, or a reply nobody
 * waits for, is dropped; a HEARTBEAT from an unknown peer is answered WHO. The WELCOME body comes from hub_set_welcome. */
void hub_frame(hub_t *self, int64_t now_ms, uint32_t peer, const bus_header_t *header, const uint8_t *body, size_t body_size);
/* The transport knows that the peer is gone. */
void hub_peer_lost(hub_t *self, int64_t now_ms, uint32_t peer);
/* Deadlines, heartbeats, liveness. Call at least every hub_next_ms. */
void hub_tick(hub_t *self, int64_t now_ms);
/* Milliseconds until hub_tick has something to do, 0 … heartbeat_ms. */
int64_t hub_next_ms(const hub_t *self, int64_t now_ms);
/* The body (and its message id) that READY is answered with; copied, replaces the former. */
void hub_set_welcome(hub_t *self, uint32_t message, const uint8_t *body, size_t body_size);

/* What is there, for /readyz, /metrics and /admin/services. Returns how many rows were filled. */
typedef struct hub_worker_info {
    char service[32];
    char instance[64];
    uint32_t credit, in_flight;
    bool draining;
    int64_t since_ms;
} hub_worker_info_t;
size_t hub_workers(const hub_t *self, hub_worker_info_t *rows, size_t capacity);
/* Requests waiting or in flight. */
size_t hub_requests(const hub_t *self);

#endif
