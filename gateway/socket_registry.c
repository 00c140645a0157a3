/* socket_registry.c - see socket_registry.h. */
#include "gateway/socket_registry.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

/* ---- frames ---- */

frame_t *frame_new(unsigned opcode, const void *payload, size_t size)
{
    uint8_t header[10] = {(uint8_t)(0x80u | opcode)};
    size_t header_size = 2;
    if (size < 126) {
        header[1] = (uint8_t)size;
    } else if (size <= UINT16_MAX) {
        header[1] = 126;
        header[2] = (uint8_t)(size >> 8);
        header[3] = (uint8_t)size;
        header_size = 4;
    } else {
        header[1] = 127;
        for (unsigned i = 0; i < 8; i++)
            header[2 + i] = (uint8_t)((uint64_t)size >> (56 - 8 * i));
        header_size = 10;
    }
    frame_t *frame = malloc(sizeof *frame + header_size + size);
    CHECK(frame != NULL);
    frame->references = 1;
    frame->event_id = 0;
    frame->size = header_size + size;
    memcpy(frame->bytes, header, header_size);
    if (size > 0)
        memcpy(frame->bytes + header_size, payload, size);
    return frame;
}

frame_t *frame_new_close(unsigned code, const char *reason)
{
    uint8_t payload[2 + 100] = {(uint8_t)(code >> 8), (uint8_t)code};
    const size_t size = strlen(reason);
    CHECK(size <= sizeof payload - 2);
    memcpy(payload + 2, reason, size);
    return frame_new(FRAME_CLOSE, payload, 2 + size);
}

void frame_release(frame_t **frame_p)
{
    frame_t *frame = *frame_p;
    *frame_p = NULL;
    if (frame == NULL)
        return;
    CHECK(frame->references > 0);
    if (--frame->references == 0)
        free(frame);
}

/* ---- registry ---- */

static void empty_outbox(socket_t *socket);

struct socket_registry {
    socket_t *first;
    unsigned count;
    size_t bucket_mask;
    socket_t *buckets[]; /* by user id */
};

socket_registry_t *socket_registry_new(unsigned expected)
{
    size_t buckets = 64;
    while (buckets < expected)
        buckets *= 2;
    socket_registry_t *self = calloc(1, sizeof *self + buckets * sizeof *self->buckets);
    CHECK(self != NULL);
    self->bucket_mask = buckets - 1;
    return self;
}

void socket_registry_destroy(socket_registry_t **self_p)
{
    CHECK(*self_p == NULL || (*self_p)->count == 0);
    free(*self_p);
    *self_p = NULL;
}

/* FNV-1a. */
static size_t bucket_of(const socket_registry_t *self, str_t user_id)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (uint32_t i = 0; i < user_id.size; i++)
        hash = (hash ^ (uint8_t)user_id.data[i]) * UINT64_C(1099511628211);
    return (size_t)hash & self->bucket_mask;
}

void socket_registry_add(socket_registry_t *self, socket_t *socket)
{
    socket_t **bucket = &self->buckets[bucket_of(self, str_of(socket->user_id))];
    socket->next_of_user = *bucket;
    *bucket = socket;
    socket->next = self->first;
    socket->previous_link = &self->first;
    if (self->first != NULL)
        self->first->previous_link = &socket->next;
    self->first = socket;
    self->count++;
}

void socket_registry_remove(socket_registry_t *self, socket_t *socket)
{
    socket_t **link = &self->buckets[bucket_of(self, str_of(socket->user_id))];
    while (*link != socket) {
        CHECK(*link != NULL);
        link = &(*link)->next_of_user;
    }
    *link = socket->next_of_user;
    *socket->previous_link = socket->next;
    if (socket->next != NULL)
        socket->next->previous_link = socket->previous_link;
    self->count--;
    empty_outbox(socket);
}

unsigned socket_registry_count(const socket_registry_t *self)
{
    return self->count;
}

socket_t *socket_registry_first(const socket_registry_t *self)
{
    return self->first;
}

socket_t *socket_registry_find(const socket_registry_t *self, str_t user_id, const uuid_t *order_id,
                               const socket_t *after)
{
    socket_t *socket =
        after != NULL ? after->next_of_user : self->buckets[bucket_of(self, user_id)];
    for (; socket != NULL; socket = socket->next_of_user)
        if (str_is(user_id, socket->user_id) &&
            (uuid_is_nil(&socket->order_id) || uuid_equal(&socket->order_id, order_id)))
            return socket;
    return NULL;
}

bool socket_push(socket_t *socket, frame_t *frame)
{
    if (socket->overflowed)
        return false;
    if (socket->outbox_count == SOCKET_OUTBOX_MAX) {
        socket->overflowed = true;
        return false;
    }
    socket->outbox[(socket->outbox_first + socket->outbox_count++) % SOCKET_OUTBOX_MAX] = frame;
    frame->references++;
    return true;
}

static void empty_outbox(socket_t *socket)
{
    for (frame_t *frame; (frame = socket_pop(socket)) != NULL;)
        frame_release(&frame);
}

void socket_push_last(socket_t *socket, frame_t *frame)
{
    empty_outbox(socket);
    socket->overflowed = false;
    CHECK(socket_push(socket, frame));
    socket->overflowed = true;
}

frame_t *socket_pop(socket_t *socket)
{
    if (socket->outbox_count == 0)
        return NULL;
    frame_t *frame = socket->outbox[socket->outbox_first];
    socket->outbox_first = (socket->outbox_first + 1) % SOCKET_OUTBOX_MAX;
    socket->outbox_count--;
    return frame;
}

void socket_skip_events(socket_t *socket, int64_t event_id)
{
    for (unsigned left = socket->outbox_count; left > 0; left--) {
        frame_t *frame = socket_pop(socket);
        if (frame->event_id == 0 || frame->event_id > event_id)
            socket->outbox[(socket->outbox_first + socket->outbox_count++) % SOCKET_OUTBOX_MAX] =
                frame;
        else
            frame_release(&frame);
    }
}
