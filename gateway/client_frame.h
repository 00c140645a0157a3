/* client_frame.h - one WebSocket frame of a client, out of bytes that may be anything. Pure.
 *
 * Clients have little to say: frames are whole, masked and at most CLIENT_FRAME_MAX_BYTES long;
 * what is not is refused by its header, before the payload is waited for. (civetweb's own reader
 * allocates what a header claims, up to 2 GiB, and waits for it without end.)
 */
#ifndef TIFFIN_GATEWAY_CLIENT_FRAME_H
#define TIFFIN_GATEWAY_CLIENT_FRAME_H

#include <stddef.h>
#include <stdint.h>

enum {
    CLIENT_FRAME_MAX_BYTES = 4096,                                  /* payload */
    CLIENT_FRAME_BUFFER_BYTES = CLIENT_FRAME_MAX_BYTES + 2 + 2 + 4, /* with header and mask */
};

typedef enum client_frame_state {
    CLIENT_FRAME_PARTIAL, /* more bytes are needed; fewer than CLIENT_FRAME_BUFFER_BYTES were there
                           */
    CLIENT_FRAME_WHOLE,
    CLIENT_FRAME_TOO_LARGE,
    CLIENT_FRAME_BROKEN, /* RFC 6455 forbids it, or it is a fragment */
} client_frame_state_t;

typedef struct client_frame {
    unsigned opcode;
    const uint8_t *payload; /* unmasked, inside `bytes` */
    size_t size;
    size_t consumed; /* header and payload */
} client_frame_t;

/* The frame at the start of `bytes`; unmasks it there when it is whole. */
client_frame_state_t client_frame_read(uint8_t *bytes, size_t size, client_frame_t *frame);

#endif
