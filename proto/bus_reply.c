/* bus_reply.c - see bus_reply.h. */
#include "proto/bus_reply.h"

#include <stdlib.h>
#include <string.h>

enum { ON_STACK_BYTES = 4096, ERROR_DETAIL_MAX_BYTES = 255 };

/* Encoded bytes in `small` or in memory that *large then owns; 0 when it does not fit in a message.
 */
static size_t encode(uint32_t id, const void *message, uint8_t small[ON_STACK_BYTES],
                     uint8_t **large)
{
    *large = NULL;
    const size_t bound = message_encoded_bound(id, message);
    if (bound > BUS_MESSAGE_MAX_BYTES)
        return 0;
    if (bound <= ON_STACK_BYTES)
        return message_encode(id, message, small, ON_STACK_BYTES);
    *large = malloc(bound);
    CHECK(*large != NULL);
    return message_encode(id, message, *large, bound);
}

void bus_reply_message(bus_t *bus, const bus_reply_to_t *to, uint32_t id, const void *message)
{
    uint8_t small[ON_STACK_BYTES];
    uint8_t *large;
    const size_t size = encode(id, message, small, &large);
    if (size == 0)
        bus_reply_error(bus, to, ERR_TOO_LARGE, "the answer is larger than a message may be");
    else
        bus_reply(bus, to, ERR_OK, id, large != NULL ? large : small, size);
    free(large);
}

void bus_reply_error(bus_t *bus, const bus_reply_to_t *to, err_t status, const char *detail)
{
    bus_reply_refusal(bus, to, status, detail, NULL);
}

void bus_reply_refusal(bus_t *bus, const bus_reply_to_t *to, err_t status, const char *detail,
                       const uuid_t *first_request_id)
{
    bus_error_t error = {.detail = str_of(detail != NULL ? detail : ""),
                         .replayed = first_request_id != NULL};
    if (first_request_id != NULL)
        error.first_request_id = *first_request_id;
    if (error.detail.size > ERROR_DETAIL_MAX_BYTES)
        error.detail.size = ERROR_DETAIL_MAX_BYTES;
    if (!utf8_valid(error.detail.data, error.detail.size))
        error.detail = STR_LITERAL("");
    uint8_t buffer[ERROR_DETAIL_MAX_BYTES + 64];
    const size_t size = message_encode(MSG_bus_error, &error, buffer, sizeof buffer);
    CHECK(size > 0);
    bus_reply(bus, to, status, MSG_bus_error, buffer, size);
}

void bus_event_message(bus_t *bus, uint32_t id, const void *message, const uuid_t *request_id,
                       const char *traceparent)
{
    uint8_t small[ON_STACK_BYTES];
    uint8_t *large;
    const size_t size = encode(id, message, small, &large);
    CHECK(size > 0);
    bus_event(bus, id, request_id, traceparent, large != NULL ? large : small, size);
    free(large);
}
