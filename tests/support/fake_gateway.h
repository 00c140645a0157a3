/* fake_gateway.h - a hub's side of the bus for testing one service process: takes its READY, sends
 * it requests, collects its replies and events. As simple as can be: one service, no credit kept,
 * one thread (the test's).
 */
#ifndef TIFFIN_TESTS_FAKE_GATEWAY_H
#define TIFFIN_TESTS_FAKE_GATEWAY_H

#include <czmq.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_header.h"
#include "lib/bus_socket.h"
#include "lib/clock.h"
#include "proto/messages.h"

enum { FAKE_GATEWAY_MESSAGES_MAX = 2048 };

/* A reply or event that came. */
typedef struct fake_gateway_message {
    bus_header_t header;
    uint8_t *body;
    size_t size;
} fake_gateway_message_t;

typedef struct fake_gateway {
    zsock_t *socket;
    char *endpoint;
    zframe_t *service; /* identity of the service that said READY last */
    bool said_bye, draining;
    int64_t heartbeat_at_ms;
    int64_t started_at_us, last_event_id; /* what its WELCOME says */
    uint64_t last_correlation;
    size_t count;
    fake_gateway_message_t messages[FAKE_GATEWAY_MESSAGES_MAX];
} fake_gateway_t;

static inline void fake_gateway_start(fake_gateway_t *self)
{
    memset(self, 0, sizeof *self);
    self->started_at_us = clock_wall_us();
    err_detail_t detail;
    self->socket = bus_socket_bind("tcp://127.0.0.1:*", &detail);
    CHECK(self->socket != NULL);
    self->endpoint = bus_socket_endpoint(self->socket);
}

static inline void fake_gateway_stop(fake_gateway_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        free(self->messages[i].body);
    zframe_destroy(&self->service);
    zsock_destroy(&self->socket);
    free(self->endpoint);
}

static inline void fake_gateway_send(fake_gateway_t *self, const bus_header_t *header,
                                     const uint8_t *body, size_t size)
{
    uint8_t encoded[BUS_HEADER_MAX_BYTES];
    bus_header_t whole = *header;
    whole.version = BUS_VERSION;
    const size_t encoded_size = bus_header_encode(&whole, encoded);
    zmsg_t *message = zmsg_new();
    zframe_t *identity = zframe_dup(self->service);
    zmsg_append(message, &identity);
    zmsg_addmem(message, encoded, encoded_size);
    zmsg_addmem(message, body, size);
    if (zmsg_send(&message, self->socket) != 0)
        zmsg_destroy(&message);
}

static inline void fake_gateway_welcome(fake_gateway_t *self)
{
    const gateway_welcome_t welcome = {.instance = STR_LITERAL("fake-gateway"),
                                       .started_at_us = self->started_at_us,
                                       .last_event_id = self->last_event_id};
    uint8_t body[128];
    const size_t size = message_encode(MSG_gateway_welcome, &welcome, body, sizeof body);
    fake_gateway_send(self, &(bus_header_t){.kind = BUS_WELCOME, .message = MSG_gateway_welcome},
                      body, size);
}

static inline void fake_gateway_handle(fake_gateway_t *self, zmsg_t *message)
{
    zframe_t *identity = zmsg_first(message), *header_frame = zmsg_next(message),
             *body = zmsg_next(message);
    bus_header_t header;
    err_detail_t detail;
    CHECK(body != NULL);
    CHECK(bus_header_decode(zframe_data(header_frame), zframe_size(header_frame), &header,
                            &detail) == ERR_OK);
    if (header.kind == BUS_READY) {
        zframe_destroy(&self->service);
        self->service = zframe_dup(identity);
        self->said_bye = self->draining = false;
        fake_gateway_welcome(self);
    } else if (header.kind == BUS_DRAIN) {
        self->draining = true;
        fake_gateway_send(self, &(bus_header_t){.kind = BUS_DRAIN}, (const uint8_t *)"", 0);
    } else if (header.kind == BUS_BYE) {
        self->said_bye = true;
    } else if (header.kind == BUS_REPLY || header.kind == BUS_EVENT) {
        CHECK(self->count < FAKE_GATEWAY_MESSAGES_MAX);
        fake_gateway_message_t *kept = &self->messages[self->count++];
        kept->header = header;
        kept->size = zframe_size(body);
        kept->body = malloc(kept->size + 1);
        memcpy(kept->body, zframe_data(body), kept->size);
    }
}

/* Takes what came, waiting a moment for it when there is nothing. */
static inline void fake_gateway_poll(fake_gateway_t *self)
{
    zmq_pollitem_t item = {.socket = zsock_resolve(self->socket), .events = ZMQ_POLLIN};
    if (self->service != NULL && clock_mono_ms() >= self->heartbeat_at_ms) {
        fake_gateway_send(self, &(bus_header_t){.kind = BUS_HEARTBEAT}, (const uint8_t *)"", 0);
        self->heartbeat_at_ms = clock_mono_ms() + BUS_HEARTBEAT_MS;
    }
    if (zmq_poll(&item, 1, 5) <= 0)
        return;
    zmsg_t *message = zmsg_recv(self->socket);
    if (message != NULL)
        fake_gateway_handle(self, message);
    zmsg_destroy(&message);
}

/* Sends a request under a request id (a message that is sent once more keeps it); its correlation.
 */
static inline uint64_t fake_gateway_request_as(fake_gateway_t *self, const uuid_t *request_id,
                                               uint32_t id, const void *request, uint32_t budget_ms)
{
    uint8_t body[8192];
    const size_t size = message_encode(id, request, body, sizeof body);
    CHECK(size > 0);
    const bus_header_t header = {.kind = BUS_REQUEST,
                                 .message = id,
                                 .correlation = ++self->last_correlation,
                                 .request_id = *request_id,
                                 .budget_ms = budget_ms,
                                 .attempt = 1};
    fake_gateway_send(self, &header, body, size);
    return header.correlation;
}

/* The same, under an id of its own. */
static inline uint64_t fake_gateway_request(fake_gateway_t *self, uint32_t id, const void *request,
                                            uint32_t budget_ms)
{
    const uuid_t request_id = uuid7_new();
    return fake_gateway_request_as(self, &request_id, id, request, budget_ms);
}

/* The reply to a request, or NULL while there is none. */
static inline const fake_gateway_message_t *fake_gateway_reply(const fake_gateway_t *self,
                                                               uint64_t correlation)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->messages[i].header.kind == BUS_REPLY &&
            self->messages[i].header.correlation == correlation)
            return &self->messages[i];
    return NULL;
}

#endif
