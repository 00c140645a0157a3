/* fuzz_bus_header.c - the header frame's decoder on bytes of a peer: it ends; what it accepts
 * encodes and decodes to the same; its texts are terminated.
 */
#include <string.h>

#include "lib/bus_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_header(const uint8_t *data, size_t size)
{
    bus_header_t header;
    bus_header_t again;
    err_detail_t detail;
    uint8_t encoded[BUS_HEADER_MAX_BYTES];
    if (bus_header_decode(data, size, &header, &detail) != ERR_OK) {
        CHECK(detail.text[0] != '\0');
        return;
    }
    CHECK(memchr(header.service, 0, sizeof header.service) != NULL);
    CHECK(memchr(header.instance, 0, sizeof header.instance) != NULL);
    CHECK(memchr(header.traceparent, 0, sizeof header.traceparent) != NULL);
    CHECK(strcmp(bus_kind_name(header.kind), "?") != 0);
    size_t encoded_size = bus_header_encode(&header, encoded);
    CHECK(bus_header_decode(encoded, encoded_size, &again, &detail) == ERR_OK);
    CHECK(memcmp(&header, &again, sizeof header) == 0);
}

/* The first byte: the frame itself, or edits (position, byte) of a valid one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] % 2 == 0) {
        try_header(data + 1, size - 1);
        return 0;
    }
    const bus_header_t valid = {.version = BUS_VERSION,
                                .kind = BUS_REQUEST,
                                .correlation = 1,
                                .service = "order",
                                .instance = "gateway-1",
                                .budget_ms = 1000,
                                .attempt = 1,
                                .traceparent = "00-0-0-0"};
    uint8_t frame[BUS_HEADER_MAX_BYTES];
    size_t frame_size = bus_header_encode(&valid, frame);
    for (data++, size--; size >= 2; data += 2, size -= 2)
        frame[data[0] % frame_size] = data[1];
    try_header(frame, frame_size);
    return 0;
}
