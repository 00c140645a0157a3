/* fuzz_client_frame.c - a WebSocket client's bytes, however cut: frames are bounded, lie inside the
 * input, and the same bytes give the same frames at once or one by one. */
#include <string.h>

#include "gateway/client_frame.h"
#include "lib/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t whole[2 * CLIENT_FRAME_BUFFER_BYTES], part[2 * CLIENT_FRAME_BUFFER_BYTES];
    if (size > sizeof whole)
        size = sizeof whole;
    memcpy(whole, data, size);
    memcpy(part, data, size);
    client_frame_t at_once = {0}, by_bytes = {0};
    const client_frame_state_t state = client_frame_read(whole, size, &at_once);
    client_frame_state_t growing = CLIENT_FRAME_PARTIAL;
    for (size_t given = 0; given <= size && growing == CLIENT_FRAME_PARTIAL; given++)
        growing = client_frame_read(part, given, &by_bytes);
    CHECK(growing == state);
    if (state == CLIENT_FRAME_PARTIAL)
        CHECK(size < CLIENT_FRAME_BUFFER_BYTES);
    if (state != CLIENT_FRAME_WHOLE)
        return 0;
    CHECK(at_once.size <= CLIENT_FRAME_MAX_BYTES && at_once.consumed <= size);
    CHECK(at_once.payload + at_once.size == whole + at_once.consumed);
    CHECK(by_bytes.size == at_once.size && by_bytes.consumed == at_once.consumed);
    CHECK(memcmp(by_bytes.payload, at_once.payload, at_once.size) == 0);
    return 0;
}
