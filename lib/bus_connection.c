/* bus_connection.c - see bus_connection.h. */
#include "lib/bus_connection.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bus_socket.h"
#include "lib/log.h"

enum { OUTBOX_MAX = 1024 }; /* on top of what libzmq queues */

typedef struct pending {
    zmq_msg_t header, body;
} pending_t;

struct bus_outbox {
    size_t first, count;
    pending_t ring[OUTBOX_MAX];
};

bool bus_connection_open(bus_connection_t *self, int64_t now_ms)
{
    CHECK(self->state == BUS_CLOSED);
    err_detail_t detail = {""};
    self->socket = bus_socket_connect(self->endpoint,
                                      ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                                          ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                                          ZMQ_EVENT_HANDSHAKE_FAILED_AUTH,
                                      &self->monitor, &detail);
    if (!self->socket) {
        log_limited(LOG_LEVEL_ERROR, NULL, "cannot connect", "reason=\"%s\"", detail.text);
        return false;
    }
    self->state = BUS_CONNECTING;
    self->seen_ms = self->beat_at_ms = now_ms;
    return true;
}

static pending_t *outbox_first(const bus_connection_t *self)
{
    return &self->outbox->ring[self->outbox->first];
}

static void outbox_drop_first(bus_connection_t *self)
{
    pending_t *pending = outbox_first(self);
    zmq_msg_close(&pending->header);
    zmq_msg_close(&pending->body);
    self->outbox->first = (self->outbox->first + 1) % OUTBOX_MAX;
    self->outbox->count--;
}

size_t bus_connection_waiting(const bus_connection_t *self)
{
    return self->outbox ? self->outbox->count : 0;
}

void bus_connection_forget(bus_connection_t *self)
{
    while (bus_connection_waiting(self))
        outbox_drop_first(self);
}

void bus_connection_close(bus_connection_t *self)
{
    bus_connection_forget(self);
    if (self->socket)
        zmq_socket_monitor(zsock_resolve(self->socket), NULL, 0);
    zsock_destroy(&self->monitor);
    zsock_destroy(&self->socket);
    self->state = BUS_CLOSED;
}

void bus_connection_free(bus_connection_t *self)
{
    bus_connection_close(self);
    free(self->outbox);
    self->outbox = NULL;
}

bus_monitor_event_t bus_connection_monitor(bus_connection_t *self)
{
    int event, value;
    if (!self->monitor || !bus_socket_monitor_read(self->monitor, &event, &value))
        return BUS_MONITOR_NONE;
    if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
        return BUS_MONITOR_UP;
    return event == ZMQ_EVENT_DISCONNECTED ? BUS_MONITOR_DOWN : BUS_MONITOR_REFUSED;
}

/* Reads the frames that are left of a message that has too many. */
static void skip_rest(zsock_t *socket)
{
    while (zsock_rcvmore(socket)) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        int size = zmq_msg_recv(&frame, zsock_resolve(socket), ZMQ_DONTWAIT);
        zmq_msg_close(&frame);
        if (size < 0)
            return;
    }
}

bus_received_t bus_connection_receive(bus_connection_t *self, bus_header_t *header, zmq_msg_t *body)
{
    void *handle = zsock_resolve(self->socket);
    uint8_t buffer[BUS_HEADER_MAX_BYTES];
    int size = zmq_recv(handle, buffer, sizeof buffer, ZMQ_DONTWAIT);
    if (size < 0)
        return BUS_RECEIVED_NOTHING;
    err_detail_t detail = {"not two frames, or a header too long"};
    bool is_pair = zsock_rcvmore(self->socket);
    zmq_msg_init(body);
    is_pair = is_pair && zmq_msg_recv(body, handle, ZMQ_DONTWAIT) >= 0 && !zmq_msg_more(body);
    if (is_pair && (size_t)size <= sizeof buffer &&
        bus_header_decode(buffer, (size_t)size, header, &detail) == ERR_OK)
        return BUS_RECEIVED_MESSAGE;
    log_limited(LOG_LEVEL_WARN, NULL, "message of a gateway dropped", "gateway=%s reason=\"%s\"",
                self->endpoint, detail.text);
    zmq_msg_close(body);
    skip_rest(self->socket);
    return BUS_RECEIVED_BROKEN;
}

bool bus_connection_send(bus_connection_t *self, const bus_header_t *header, const uint8_t *body,
                         size_t body_size)
{
    if (self->state < BUS_CONNECTED || bus_connection_waiting(self))
        return false;
    void *handle = zsock_resolve(self->socket);
    uint8_t buffer[BUS_HEADER_MAX_BYTES];
    size_t size = bus_header_encode(header, buffer);
    if (zmq_send(handle, buffer, size, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
        return false;
    /* Once the first frame is taken the second is too, or the connection is gone and the monitor
     * tells. */
    (void)zmq_send(handle, body ? body : buffer, body_size, ZMQ_DONTWAIT);
    return true;
}

static void message_set(zmq_msg_t *message, const uint8_t *data, size_t size)
{
    CHECK(zmq_msg_init_size(message, size) == 0);
    if (size)
        memcpy(zmq_msg_data(message), data, size);
}

bool bus_connection_post(bus_connection_t *self, const bus_header_t *header, const uint8_t *body,
                         size_t body_size)
{
    if (bus_connection_send(self, header, body, body_size))
        return true;
    if (!self->outbox) {
        self->outbox = calloc(1, sizeof *self->outbox);
        CHECK(self->outbox);
    }
    if (self->outbox->count == OUTBOX_MAX)
        return false;
    uint8_t buffer[BUS_HEADER_MAX_BYTES];
    size_t size = bus_header_encode(header, buffer);
    size_t last = (self->outbox->first + self->outbox->count) % OUTBOX_MAX;
    message_set(&self->outbox->ring[last].header, buffer, size);
    message_set(&self->outbox->ring[last].body, body, body_size);
    self->outbox->count++;
    return true;
}

void bus_connection_flush(bus_connection_t *self)
{
    while (bus_connection_waiting(self)) {
        void *handle = zsock_resolve(self->socket);
        pending_t *pending = outbox_first(self);
        if (zmq_msg_send(&pending->header, handle, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
            return;
        (void)zmq_msg_send(&pending->body, handle, ZMQ_DONTWAIT);
        outbox_drop_first(self);
    }
}
