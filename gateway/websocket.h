/* websocket.h - the sockets of customers' screens: who is connected, what each still has to get,
 * and the threads that write.
 *
 * Events come in feed order from the hub thread (websocket_deliver) and never wait for a reader:
 * each socket has a bounded outbox of shared frames; writer threads empty them. A socket whose
 * outbox overflows is closed with 1013 and can connect again. A socket only ever gets its own
 * user's events.
 */
#ifndef TIFFIN_GATEWAY_WEBSOCKET_H
#define TIFFIN_GATEWAY_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/http_server.h"
#include "proto/messages.h"

typedef struct websockets websockets_t;

/* A page of the feed for one socket. */
typedef struct websocket_events {
    buf_t lines; /* frames' texts, one a line */
    int64_t last_event_id;
    bool more;
} websocket_events_t;

typedef struct websockets_config {
    /* Reads what came after `since`; on the connection's own thread. */
    err_t (*read_events)(void *arg, const char *user_id, const uuid_t *order_id, int64_t since,
                         websocket_events_t *events);
    void *read_events_arg;
    unsigned max;              /* WS_MAX */
    bool needs_token;          /* API keys are configured: ?user_id= is not enough */
    const char *token_secrets; /* what ?token= is signed with (gateway/ws_token.h) */
    unsigned ping_every_ms;    /* 0: 20 s; who leaves three unanswered is dropped */
} websockets_config_t;

websockets_t *websockets_new(const websockets_config_t *config);
/* Takes over GET /ws of this server. Call once, before it is told of any event. */
void websockets_attach(websockets_t *self, http_server_t *server);
/* Closes every socket with 1001 (going away) and waits up to timeout_ms until they are gone; new
 * ones get 503. */
void websockets_drain(websockets_t *self, unsigned timeout_ms);
/* After http_server_destroy. */
void websockets_destroy(websockets_t **self_p);

/* One event of the feed, from the hub thread. An event that is not newer than the newest delivered
 * is a repetition (a second notifier, a notifier that started again): false. */
bool websockets_deliver(websockets_t *self, const notifier_event_t *event);
/* The newest event delivered, 0 before the first. */
int64_t websockets_last_event_id(const websockets_t *self);
/* Sockets open now; closed because they did not read; refused over the limit. */
typedef struct websockets_stats {
    unsigned open;
    uint64_t frames_sent, laggards, refused;
} websockets_stats_t;
websockets_stats_t websockets_stats(const websockets_t *self);

#endif
