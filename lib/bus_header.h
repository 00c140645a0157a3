/* bus_header.h - the header frame of every message on the bus (see proto/PROTOCOL.md section "Frames").
 *
 * Encoded as one msgpack array of BUS_HEADER_FIELDS elements in the order of the struct; readers accept longer arrays (fields
 * are appended, never removed) and refuse shorter ones, other types, values out of range and trailing bytes.
 */
#ifndef TIFFIN_LIB_BUS_HEADER_H
#define TIFFIN_LIB_BUS_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/limits.h"
#include "lib/uuid.h"

#define BUS_VERSION 1

typedef enum bus_kind {
    BUS_READY = 1, /* service → hub: I am an instance of `service`, named `instance`, and hold up to `credit` requests */
    BUS_WELCOME,   /* hub → service: the answer to READY; the body is the hub owner's (gateway.welcome) */
    BUS_REQUEST,   /* hub → service */
    BUS_REPLY,     /* service → hub: to the request with the same correlation; `status` is an err_t */
    BUS_EVENT,     /* service → hub: one way */
    BUS_HEARTBEAT, /* both ways, each second; a hub that does not know the sender answers WHO */
    BUS_WHO,       /* hub → service: I do not know you, say READY */
    BUS_CREDIT,    /* service → hub: my window is now `credit` */
    BUS_DRAIN,     /* service → hub: no more requests, I am finishing; hub → service: none will follow */
    BUS_BYE,       /* either way: I am gone, forget me */
} bus_kind_t;

typedef struct bus_header {
    uint32_t version;       /* BUS_VERSION */
    uint32_t kind;          /* bus_kind_t */
    uint32_t message;       /* id in proto/messages.def of the body; 0: no body */
    uint64_t correlation;   /* the hub's name for a request, echoed by the reply */
    uuid_t request_id;      /* X-Request-Id of the HTTP request behind it */
    char service[32];       /* READY: what the sender is; REQUEST: whom it is for */
    char instance[64];      /* READY, REPLY, EVENT: who sent it */
    uint32_t budget_ms;     /* REQUEST: how long an answer is of use, from receipt; clocks differ, so it is relative */
    uint32_t credit;        /* READY, CREDIT */
    uint32_t attempt;       /* REQUEST: 1, then 2 … when it is sent again after a lost worker */
    uint32_t status;        /* REPLY: err_t */
    char traceparent[56];   /* W3C trace context, or "" */
} bus_header_t;

#define BUS_HEADER_FIELDS 12

/* Bytes written, at most BUS_HEADER_MAX_BYTES. */
size_t bus_header_encode(const bus_header_t *header, uint8_t buffer[BUS_HEADER_MAX_BYTES]);
/* ERR_WIRE with the reason. Text fields are NUL-terminated, printable ASCII. */
err_t bus_header_decode(const uint8_t *data, size_t size, bus_header_t *header, err_detail_t *detail) MUST_CHECK;
/* "REQUEST"; "?" if unknown. Static. */
const char *bus_kind_name(uint32_t kind);

#endif
