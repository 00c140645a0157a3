/* bus_reply.h - messages of the schema onto the bus: encode and send in one call. */
#ifndef TIFFIN_PROTO_BUS_REPLY_H
#define TIFFIN_PROTO_BUS_REPLY_H

#include "lib/bus.h"
#include "proto/messages.h"

/* The answer to a request. One that is larger than a message may be is answered ERR_TOO_LARGE
 * instead. */
void bus_reply_message(bus_t *bus, const bus_reply_to_t *to, uint32_t id, const void *message);
/* `detail` is public text, cut to the schema's bound; NULL or empty for none. */
void bus_reply_error(bus_t *bus, const bus_reply_to_t *to, err_t status, const char *detail);
/* The same; `first_request_id`, unless NULL: it is the remembered answer of an Idempotency-Key, to
 * the request of that id. */
void bus_reply_refusal(bus_t *bus, const bus_reply_to_t *to, err_t status, const char *detail,
                       const uuid_t *first_request_id);
/* To every gateway. */
void bus_event_message(bus_t *bus, uint32_t id, const void *message, const uuid_t *request_id,
                       const char *traceparent);

#endif
