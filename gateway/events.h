/* events.h - what a socket missed: the feed after an event, read from the notifier. */
#ifndef TIFFIN_GATEWAY_EVENTS_H
#define TIFFIN_GATEWAY_EVENTS_H

#include "gateway/websocket.h"

/* For websockets_config_t.read_events; `gateway` is the gateway_t. */
err_t events_read_for_socket(void *gateway, const char *user_id, const uuid_t *order_id,
                             int64_t since, websocket_events_t *events) MUST_CHECK;

#endif
