/* hub_state.h - the inside of the hub core, for hub.c and hub_queue.c alone.
 *
 * Four tables that are allocated once, and lists through them:
 *
 * - request: FREE -> WAITING -> SENT -> FREE is the usual life. SENT -> WAITING when its instance
 * was lost and it may run again. SENT -> OVERDUE -> FREE when its deadline passed: answered, yet
 * held by the instance, whose credit comes back with the late reply.
 * - worker: one instance of a service, found by its peer through a hash; holds its SENT and OVERDUE
 *   requests.
 * - service: the instances and the queue of one name; exists while it has either.
 *
 * Invariant between any two calls of hub.h: a service with a queue has no instance that could take
 * its head. hub_feed restores it and is the one place that sends requests.
 */
#ifndef TIFFIN_LIB_HUB_STATE_H
#define TIFFIN_LIB_HUB_STATE_H

#include "lib/deadlines.h"
#include "lib/hub.h"
#include "lib/list.h"

typedef enum request_state { FREE, WAITING, SENT, OVERDUE } request_state_t;

typedef struct worker worker_t;
typedef struct service service_t;

typedef struct request {
    hub_request_t what; /* traceparent points to the copy below */
    char traceparent[sizeof((bus_header_t *)0)->traceparent];
    request_state_t state;
    uint32_t generation; /* of each sending: a reply to an earlier one names another */
    uint32_t attempts;
    int64_t since_ms;
    service_t *service;
    worker_t *worker;    /* SENT, OVERDUE */
    deadline_t deadline; /* WAITING, SENT: in hub->deadlines */
    list_node_t node;    /* hub->free_requests, service->queue or worker->held */
} request_t;

struct worker {
    uint32_t peer;
    uint32_t credit, in_flight;
    bool draining;
    char instance[sizeof((bus_header_t *)0)->instance];
    service_t *service;
    int64_t since_ms, seen_ms;
    uint64_t given; /* when it was last given work, in hub->givings */
    list_node_t held;
    list_node_t node;      /* hub->free_workers or service->workers */
    list_node_t seen_node; /* hub->by_seen */
    list_node_t hash_node; /* hub->buckets[] */
};

struct service {
    char name[sizeof((bus_header_t *)0)->service];
    list_node_t workers;
    list_node_t queue;
    uint32_t queued;
    uint32_t serving; /* workers that are not draining */
    list_node_t node; /* hub->free_services or hub->services */
};

enum { BUCKETS = 256 }; /* a power of two */

struct hub {
    hub_sink_t sink;
    void *sink_self;
    uint32_t requests_max, queue_max, workers_max, heartbeat_ms, liveness_ms;
    request_t *requests;
    worker_t *workers;
    service_t *service_table;
    list_node_t free_requests, free_workers, free_services;
    list_node_t services;
    list_node_t by_seen; /* workers, the longest silent first */
    list_node_t buckets[BUCKETS];
    deadlines_t deadlines;
    uint32_t unanswered;
    uint64_t givings;
    int64_t beat_at_ms;
    uint32_t welcome_message;
    uint8_t *welcome;
    size_t welcome_size;
};

/* ---- hub_queue.c ---- */

/* NULL when there is none of this name. */
service_t *hub_service(hub_t *self, const char *name);
/* NULL when there are as many names as instances may be. */
service_t *hub_service_or_new(hub_t *self, const char *name);
/* Gives the queue to whoever has credit, then frees the service if it is empty. */
void hub_feed(hub_t *self, int64_t now_ms, service_t *service);
/* A free slot must be there. Not sent yet: feed. */
void hub_request_new(hub_t *self, int64_t now_ms, service_t *service, const hub_request_t *what);
/* What `worker` holds under this name; NULL: answered before, sent again to another, made up. */
request_t *hub_request_held(hub_t *self, const worker_t *worker, uint64_t correlation);
/* The reply to what hub_request_held found. */
void hub_request_replied(hub_t *self, int64_t now_ms, request_t *request, const bus_header_t *reply,
                         const uint8_t *body, size_t body_size);
/* Its deadline passed. */
void hub_request_expire(hub_t *self, int64_t now_ms, request_t *request);
/* The instance that holds it is gone. */
void hub_request_lost(hub_t *self, int64_t now_ms, request_t *request);
/* The hub ends. */
void hub_request_shut_down(hub_t *self, int64_t now_ms, request_t *request);

/* ---- hub.c ---- */

/* What it held waits again or is answered. Nothing is sent here and the service stays, maybe empty:
 * whoever calls this feeds it once its own walk over lists is over. */
void hub_worker_remove(hub_t *self, int64_t now_ms, worker_t *worker, const char *reason);

#endif
