/* bus_connection.h - one connection of a service to one gateway: socket, monitor, what could not be
 * sent yet. For bus.c alone.
 *
 * A socket is used for one connection only. libzmq would reconnect it by itself, but may then still
 * hand over what the former gateway sent, and a reply to that could reach the next one under a name
 * that means something else there. So whoever sees the connection end closes, and opens anew.
 */
#ifndef TIFFIN_LIB_BUS_CONNECTION_H
#define TIFFIN_LIB_BUS_CONNECTION_H

#include <czmq.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/actor.h"
#include "lib/bus_header.h"
#include "lib/resolver.h"

typedef enum bus_connection_state {
    BUS_CLOSED,
    BUS_CONNECTING,
    BUS_CONNECTED, /* the handshake is done, READY is not out */
    BUS_GREETED,   /* READY is out */
    BUS_WELCOMED,
} bus_connection_state_t;

typedef struct bus_outbox bus_outbox_t;

typedef struct bus_connection {
    char endpoint[ENDPOINT_SIZE]; /* "": the slot is free */
    bool listed;                  /* the resolver still names it */
    bus_connection_state_t state;
    zsock_t *socket, *monitor; /* NULL when closed */
    uint32_t generation;       /* of READY; never used twice in a slot */
    uint32_t unanswered;       /* requests of this generation */
    bool drained;              /* the hub agreed to send nothing more */
    int64_t seen_ms, beat_at_ms;
    int64_t open_at_ms; /* CLOSED: not before */
    bus_outbox_t *outbox;
} bus_connection_t;

typedef enum bus_monitor_event {
    BUS_MONITOR_NONE,
    BUS_MONITOR_UP,      /* the handshake succeeded */
    BUS_MONITOR_DOWN,    /* the connection is gone */
    BUS_MONITOR_REFUSED, /* not our protocol, or not let in: libzmq will not try again */
} bus_monitor_event_t;

typedef enum bus_received {
    BUS_RECEIVED_NOTHING,
    BUS_RECEIVED_BROKEN, /* dropped */
    BUS_RECEIVED_MESSAGE,
} bus_received_t;

/* False: the endpoint is not one; logged. */
bool bus_connection_open(bus_connection_t *self, int64_t now_ms);
/* What was sent is still delivered, what was not is dropped. */
void bus_connection_close(bus_connection_t *self);
void bus_connection_free(bus_connection_t *self);

/* Call until BUS_MONITOR_NONE. */
bus_monitor_event_t bus_connection_monitor(bus_connection_t *self);
/* `body` is initialised, and the caller's to close, when a message was received. */
bus_received_t bus_connection_receive(bus_connection_t *self, bus_header_t *header,
                                      zmq_msg_t *body);
/* At once, or not at all. */
bool bus_connection_send(bus_connection_t *self, const bus_header_t *header, const uint8_t *body,
                         size_t body_size);
/* At once, or behind what already waits; false when that is full. */
bool bus_connection_post(bus_connection_t *self, const bus_header_t *header, const uint8_t *body,
                         size_t body_size);
/* Sends what waits, as far as it goes. */
void bus_connection_flush(bus_connection_t *self);
/* Messages that wait. */
size_t bus_connection_waiting(const bus_connection_t *self);
/* Forgets what waits. */
void bus_connection_forget(bus_connection_t *self);

#endif
