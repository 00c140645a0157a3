/* bus.h - a service's side of the bus: connects to every gateway, says READY, holds requests as a mailbox, answers, tells events.
 *
 * A mailbox is a batch: whenever something arrived, everything that waits on all connections (up to batch_max) is handed over in
 * one call. Each request must be answered exactly once with bus_reply, in that call or later; one whose gateway is gone is
 * dropped silently there. Runs on the actor's thread only.
 *
 * Requests whose budget ended in the mailbox are answered ERR_DEADLINE without being handed over.
 */
#ifndef TIFFIN_LIB_BUS_H
#define TIFFIN_LIB_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/actor.h"
#include "lib/bus_header.h"
#include "lib/bus_metrics.h"

typedef struct bus bus_t;

/* Enough of a request to answer it later. Plain value. */
typedef struct bus_reply_to {
    uint32_t gateway;    /* connection index and generation */
    uint32_t generation;
    uint64_t correlation;
    uint32_t message;
    uuid_t request_id;
    int64_t deadline_mono_ms;
    int64_t received_mono_us; /* 0 unless the bus counts */
    char traceparent[56];
} bus_reply_to_t;

typedef struct bus_request {
    bus_reply_to_t reply_to;
    uint32_t message;
    uint32_t attempt;
    const uint8_t *body; /* valid during the call of on_batch only */
    size_t body_size;
} bus_request_t;

typedef struct bus_handlers {
    /* NULL for a service that takes no requests (credit 0). */
    void (*on_batch)(void *self, const bus_request_t *requests, size_t count);
    /* A gateway answered READY; `gateway` and `generation` name the connection for bus_event_to. May be NULL. */
    void (*on_welcome)(void *self, uint32_t gateway, uint32_t generation, const uint8_t *body, size_t body_size);
    /* The connection is gone. May be NULL. */
    void (*on_gateway_lost)(void *self, uint32_t gateway, uint32_t generation);
    /* What metrics call a message (proto/messages.h has it), NULL for one that is not known. May be NULL. */
    const char *(*message_name)(uint32_t message);
} bus_handlers_t;

typedef struct bus_config {
    actor_t *actor;
    const char *service;  /* "order" */
    const char *instance; /* unique */
    const char *hub_addr; /* as HUB_ADDR; checked before with resolver_resolve */
    uint32_t credit;
    uint32_t batch_max;    /* 0: SERVICE_BATCH_MAX */
    uint32_t heartbeat_ms; /* 0: BUS_HEARTBEAT_MS */
    uint32_t liveness_ms;  /* 0: BUS_LIVENESS_MS */
    uint32_t resolve_ms;   /* how often hub_addr is looked up; 0: every 2 seconds */
    const bus_handlers_t *handlers;
    void *self;
    bus_metrics_t *metrics; /* borrowed; NULL: nothing is counted */
} bus_config_t;

bus_t *bus_new(const bus_config_t *config);
/* Says BYE and closes. */
void bus_destroy(bus_t **self_p);

void bus_reply(bus_t *self, const bus_reply_to_t *to, err_t status, uint32_t message, const uint8_t *body, size_t body_size);
/* To every gateway that is connected; lost where one is not (events report, the database holds). */
void bus_event(bus_t *self, uint32_t message, const uuid_t *request_id, const char *traceparent, const uint8_t *body,
               size_t body_size);
/* To one; false when that connection is gone or full: keep it and try again. */
bool bus_event_to(bus_t *self, uint32_t gateway, uint32_t generation, uint32_t message, const uint8_t *body, size_t body_size);
/* DRAIN to every gateway: no new requests come; those held must still be answered. */
void bus_drain(bus_t *self);
/* Requests handed over or waiting in the mailbox that are not answered yet. */
size_t bus_unanswered(const bus_t *self);
/* After bus_drain: no gateway will send anything more, everything is answered and the answers are out. */
bool bus_drained(const bus_t *self);
/* Gateways connected and welcomed. */
size_t bus_gateways(const bus_t *self);

#endif
