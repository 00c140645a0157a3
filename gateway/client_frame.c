/* client_frame.c - see client_frame.h. Source: RFC 6455 section 5.2. */
#include "gateway/client_frame.h"

#include <stdbool.h>

enum {
    FIN = 0x80,
    RESERVED_BITS = 0x70,
    MASKED = 0x80,
    LENGTH_16 = 126,
    LENGTH_64 = 127,
    MASK_SIZE = 4,
    CONTROL_MAX_BYTES = 125, /* section 5.5 */
};

static bool opcode_known(unsigned opcode)
{
    return opcode == 0x1 || opcode == 0x2 || opcode == 0x8 || opcode == 0x9 || opcode == 0xA;
}

client_frame_state_t client_frame_read(uint8_t *bytes, size_t size, client_frame_t *frame)
{
    if (size < 2)
        return CLIENT_FRAME_PARTIAL;
    const unsigned opcode = bytes[0] & 0x0Fu, short_length = bytes[1] & 0x7Fu;
    const bool is_control = (opcode & 0x8) != 0;
    if (!(bytes[0] & FIN) || (bytes[0] & RESERVED_BITS) || !(bytes[1] & MASKED) ||
        !opcode_known(opcode) || (is_control && short_length > CONTROL_MAX_BYTES))
        return CLIENT_FRAME_BROKEN;
    if (short_length == LENGTH_64)
        return CLIENT_FRAME_TOO_LARGE;
    size_t header_size = 2, length = short_length;
    if (short_length == LENGTH_16) {
        if (size < 4)
            return CLIENT_FRAME_PARTIAL;
        length = (size_t)bytes[2] << 8 | bytes[3];
        header_size = 4;
    }
    if (length > CLIENT_FRAME_MAX_BYTES)
        return CLIENT_FRAME_TOO_LARGE;
    if (size < header_size + MASK_SIZE + length)
        return CLIENT_FRAME_PARTIAL;
    const uint8_t *mask = bytes + header_size;
    uint8_t *payload = bytes + header_size + MASK_SIZE;
    for (size_t i = 0; i < length; i++)
        payload[i] ^= mask[i % MASK_SIZE];
    *frame = (client_frame_t){.opcode = opcode,
                              .payload = payload,
                              .size = length,
                              .consumed = header_size + MASK_SIZE + length};
    return CLIENT_FRAME_WHOLE;
}
