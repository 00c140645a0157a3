/* tap.h - mirrors every message through the hub to whoever listens; see proto/PROTOCOL.md, section
 * on the tap.
 *
 * Nothing is decoded, masked or sent when nobody has subscribed to the topic. What is flagged PII
 * or SECRET in the schema is masked before it leaves. Hub thread only.
 */
#ifndef TIFFIN_GATEWAY_TAP_H
#define TIFFIN_GATEWAY_TAP_H

#include <czmq.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "proto/messages.h"

typedef struct tap tap_t;

/* NULL with `detail` when it cannot be bound. `gateway` is this gateway's name (borrowed). */
tap_t *tap_new(const char *bind, const char *gateway, err_detail_t *detail);
void tap_destroy(tap_t **self_p);
zsock_t *tap_socket(const tap_t *self);
const char *tap_endpoint(const tap_t *self);

/* Takes subscriptions and cancellations; call when the socket is readable. */
void tap_on_readable(tap_t *self);
/* Is anybody subscribed to this topic? */
bool tap_wants(const tap_t *self, const char *topic);

typedef struct tap_note {
    const char *topic; /* of a REPLY: the request's */
    const char *kind;  /* "REQUEST", "REPLY", "EVENT" */
    uint32_t message;  /* id of the body; 0: no body */
    const char *instance;
    const uuid_t *request_id;
    const char *traceparent;
    err_t status;
    int64_t took_us;
    uint32_t attempt;
    const uint8_t *body;
    size_t body_size;
} tap_note_t;
/* Never blocks: a tap that is too slow loses records and sees the gap in their numbers. */
void tap_publish(tap_t *self, const tap_note_t *note);

#endif
