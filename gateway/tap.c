/* tap.c - see tap.h. */
#include "gateway/tap.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bus_socket.h"
#include "lib/clock.h"
#include "lib/limits.h"

enum { SUBSCRIPTIONS_MAX = 256, TOPIC_MAX_BYTES = 64, RECORD_MAX_BYTES = 1024 };

#define SYNC_PREFIX "tap.sync."

struct tap {
    zsock_t *socket;
    char *endpoint;
    const char *gateway;
    int64_t seq;
    /* What XPUB told of: each distinct prefix once. Over the bound everything counts as wanted. */
    size_t subscription_count;
    bool over_bound;
    struct {
        uint8_t size;
        char prefix[TOPIC_MAX_BYTES];
    } subscriptions[SUBSCRIPTIONS_MAX];
    uint8_t *masked; /* BUS_MESSAGE_MAX_BYTES; made with the first listener */
};

tap_t *tap_new(const char *bind, const char *gateway, err_detail_t *detail)
{
    zsock_t *socket = tap_socket_bind(bind, detail);
    if (socket == NULL)
        return NULL;
    tap_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->socket = socket;
    self->endpoint = bus_socket_endpoint(socket);
    self->gateway = gateway;
    return self;
}

void tap_destroy(tap_t **self_p)
{
    tap_t *self = *self_p;
    if (self == NULL)
        return;
    zsock_destroy(&self->socket);
    free(self->endpoint);
    free(self->masked);
    free(self);
    *self_p = NULL;
}

zsock_t *tap_socket(const tap_t *self)
{
    return self->socket;
}

const char *tap_endpoint(const tap_t *self)
{
    return self->endpoint;
}

/* ---- subscriptions ---- */

static void subscribe(tap_t *self, const char *prefix, size_t size)
{
    if (self->subscription_count == SUBSCRIPTIONS_MAX || size > TOPIC_MAX_BYTES) {
        self->over_bound = true;
        return;
    }
    self->subscriptions[self->subscription_count].size = (uint8_t)size;
    memcpy(self->subscriptions[self->subscription_count].prefix, prefix, size);
    self->subscription_count++;
}

static void unsubscribe(tap_t *self, const char *prefix, size_t size)
{
    for (size_t i = 0; i < self->subscription_count; i++)
        if (self->subscriptions[i].size == size &&
            memcmp(self->subscriptions[i].prefix, prefix, size) == 0) {
            self->subscriptions[i] = self->subscriptions[--self->subscription_count];
            return;
        }
}

/* A tap that asks when its subscriptions are in force: now they are. */
static void answer_sync(tap_t *self, const char *topic, size_t size)
{
    (void)zmq_send(zsock_resolve(self->socket), topic, size, ZMQ_DONTWAIT);
}

void tap_on_readable(tap_t *self)
{
    char message[1 + 256]; /* a longer topic is cut by zmq_recv, which tells its whole size */
    for (;;) {
        const int size =
            zmq_recv(zsock_resolve(self->socket), message, sizeof message, ZMQ_DONTWAIT);
        if (size < 0)
            return;
        if (size == 0 || (message[0] != 0 && message[0] != 1))
            continue;
        const size_t topic_size = (size_t)size - 1;
        const size_t sync_size = sizeof SYNC_PREFIX - 1;
        const bool is_sync = topic_size >= sync_size && topic_size <= TOPIC_MAX_BYTES &&
                             memcmp(message + 1, SYNC_PREFIX, sync_size) == 0;
        if (is_sync && message[0] == 1)
            answer_sync(self, message + 1, topic_size);
        else if (!is_sync && message[0] == 1)
            subscribe(self, message + 1, topic_size);
        else if (!is_sync)
            unsubscribe(self, message + 1, topic_size);
    }
}

bool tap_wants(const tap_t *self, const char *topic)
{
    if (self->over_bound)
        return true;
    const size_t size = strlen(topic);
    for (size_t i = 0; i < self->subscription_count; i++)
        if (self->subscriptions[i].size <= size &&
            memcmp(self->subscriptions[i].prefix, topic, self->subscriptions[i].size) == 0)
            return true;
    return false;
}

/* ---- publishing ---- */

/* The body with its masks; a body that cannot be decoded is not shown at all, since it cannot be
 * masked. */
static size_t mask(tap_t *self, const tap_note_t *note)
{
    _Alignas(max_align_t) uint8_t message[MESSAGE_STRUCT_MAX];
    err_detail_t detail;
    if (self->masked == NULL)
        self->masked = malloc(BUS_MESSAGE_MAX_BYTES);
    CHECK(self->masked != NULL);
    if (note->body_size == 0 || message_by_id(note->message) == NULL ||
        message_decode(note->message, note->body, note->body_size, message, &detail) != ERR_OK)
        return 0;
    message_mask(note->message, message);
    return message_encode(note->message, message, self->masked, BUS_MESSAGE_MAX_BYTES);
}

void tap_publish(tap_t *self, const tap_note_t *note)
{
    self->seq++;
    if (!tap_wants(self, note->topic))
        return;
    const tap_record_t record = {.seq = self->seq,
                                 .at_us = clock_wall_us(),
                                 .gateway = str_of(self->gateway),
                                 .kind = str_of(note->kind),
                                 .message = (int64_t)note->message,
                                 .instance = str_of(note->instance),
                                 .request_id =
                                     note->request_id != NULL ? *note->request_id : (uuid_t){{0}},
                                 .traceparent = str_of(note->traceparent),
                                 .status = (int64_t)note->status,
                                 .took_us = note->took_us,
                                 .attempt = (int64_t)note->attempt};
    uint8_t encoded[RECORD_MAX_BYTES];
    const size_t record_size = message_encode(MSG_tap_record, &record, encoded, sizeof encoded);
    CHECK(record_size > 0);
    const size_t body_size = mask(self, note);
    void *handle = zsock_resolve(self->socket);
    if (zmq_send(handle, note->topic, strlen(note->topic), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return;
    (void)zmq_send(handle, encoded, record_size, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    (void)zmq_send(handle, self->masked, body_size, ZMQ_DONTWAIT);
}
