/* tap_message.h - one message as a gateway published it: topic, what the gateway says of it, the
 * body.
 *
 * Who calls: tap.c for each message that arrives. Everything in the frames may be wrong: a gateway
 * may be newer than this tap, or a port may be somebody else's.
 */
#ifndef TIFFIN_TAP_MESSAGE_H
#define TIFFIN_TAP_MESSAGE_H

#include <stdbool.h>

#include "proto/messages.h"

enum { TAP_TOPIC_SIZE = 64 };

/* A subscription to a topic that begins so is answered by publishing the topic (PROTOCOL.md,
 * "Tap"). */
#define TAP_SYNC_PREFIX "tap.sync."

typedef struct tap_message {
    char topic[TAP_TOPIC_SIZE]; /* of a reply: its request's */
    tap_record_t record; /* texts point into the frames; zero when `broken` by its own fault */
    const message_schema_t *schema; /* of the body; NULL: there is none that we know */
    union {
        uint8_t bytes[MESSAGE_STRUCT_MAX];
        uint64_t aligned;
        void *pointer;
    } body;      /* decoded when schema != NULL && !broken */
    bool broken; /* `reason` says why */
    err_detail_t reason;
} tap_message_t;

/* From the three frames; borrowed as long as the message is used. */
void tap_message_read(tap_message_t *message, str_t topic, str_t record, str_t body);
bool tap_message_is(const tap_message_t *message, const char *kind);
/* A REPLY whose status is not OK. */
bool tap_message_failed(const tap_message_t *message);
/* "order.created", or "" when the body is unknown or absent. */
const char *tap_message_name(const tap_message_t *message);

#endif
