/* socket_registry.h - which sockets are there, by user, and what each still has to be sent. Pure:
 * no I/O, no threads, no clock; the caller holds one lock around everything. */
#ifndef TIFFIN_GATEWAY_SOCKET_REGISTRY_H
#define TIFFIN_GATEWAY_SOCKET_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/text.h"
#include "lib/uuid.h"

/* ---- frames: built once, shared by all sockets that get them ---- */

typedef struct frame {
    unsigned references;
    int64_t event_id; /* of the feed; 0: a control frame */
    size_t size;
    uint8_t bytes[]; /* RFC 6455, unmasked, FIN */
} frame_t;

/* Opcodes of RFC 6455 section 5.2. */
enum { FRAME_TEXT = 0x1, FRAME_CLOSE = 0x8, FRAME_PING = 0x9, FRAME_PONG = 0xA };

/* One reference, the caller's. */
frame_t *frame_new(unsigned opcode, const void *payload, size_t size);
/* A close frame with a status code of RFC 6455 section 7.4.1 and a reason of at most 100 bytes. */
frame_t *frame_new_close(unsigned code, const char *reason);
void frame_release(frame_t **frame_p);

/* ---- sockets ---- */

enum { SOCKET_OUTBOX_MAX = 256, SOCKET_USER_ID_MAX_BYTES = 512 };

typedef struct socket {
    char user_id[SOCKET_USER_ID_MAX_BYTES + 1];
    uuid_t order_id; /* nil: all orders of the user */
    frame_t *outbox[SOCKET_OUTBOX_MAX];
    unsigned outbox_first, outbox_count;
    bool overflowed; /* it did not read: to be closed */
    void *owner;     /* the caller's */
    struct socket *next_of_user, *next, **previous_link;
} socket_t;

typedef struct socket_registry socket_registry_t;

socket_registry_t *socket_registry_new(unsigned expected);
void socket_registry_destroy(socket_registry_t **self_p);
void socket_registry_add(socket_registry_t *self, socket_t *socket);
/* Also empties its outbox. */
void socket_registry_remove(socket_registry_t *self, socket_t *socket);
unsigned socket_registry_count(const socket_registry_t *self);
/* All sockets: the first, then socket->next. */
socket_t *socket_registry_first(const socket_registry_t *self);

/* The first socket after `after` (NULL: from the start) that wants events of this user and order.
 */
socket_t *socket_registry_find(const socket_registry_t *self, str_t user_id, const uuid_t *order_id,
                               const socket_t *after);

/* Adds a reference to `frame`. False when the outbox is full: the socket is marked overflowed and
 * gets nothing more. */
bool socket_push(socket_t *socket, frame_t *frame);
/* Throws away what waits and leaves this one frame as the last: the close frame of a socket that
 * did not read. */
void socket_push_last(socket_t *socket, frame_t *frame);
/* Throws away waiting events that are not newer than `event_id`: the socket has them from
 * elsewhere. */
void socket_skip_events(socket_t *socket, int64_t event_id);
/* Takes the oldest frame; its reference is the caller's. NULL: none. */
frame_t *socket_pop(socket_t *socket);

#endif
