/* fuzz_messages.c - every message's decoder, encoder and printers on bytes of a peer.
 *
 * The first byte chooses the message. The second chooses how the rest is meant: as the body itself,
 * or as edits (position, byte) of a valid body, which gets behind the first checks without a
 * corpus. What must hold: decoding ends; what was decoded encodes, within its bound, and decodes to
 * the same; what is printed is UTF-8 without control characters, and as JSON is JSON.
 */
#include <jansson.h>
#include <stdlib.h>

#include "tests/support/message_sample.h"

enum { BODY_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const message_schema_t *schema, const message_any_t *message)
{
    size_t bound = message_encoded_bound(schema->id, message);
    uint8_t *encoded = malloc(bound);
    message_any_t again;
    size_t size = message_encode(schema->id, message, encoded, bound);
    CHECK(size > 0 && size <= bound);
    CHECK(message_decode(schema->id, encoded, size, &again, NULL) == ERR_OK);
    CHECK(message_difference(schema, message, &again) == NULL);
    free(encoded);
}

static void check_prints(const message_schema_t *schema, const message_any_t *message)
{
    buf_t text = {0};
    message_print(schema->id, message, &text);
    CHECK(text.size == 0 || utf8_valid(text.data, text.size));
    CHECK(text.size == 0 || !utf8_has_control(text.data, text.size));
    buf_clear(&text);
    message_print_json(schema->id, message, &text, NULL);
    CHECK(memchr(text.data, '\n', text.size) == NULL);
    json_t *parsed = json_loadb(text.data, text.size, JSON_ALLOW_NUL, NULL);
    CHECK(parsed != NULL);
    json_decref(parsed);
    for (size_t i = 0; i < schema->field_count; i++) {
        buf_clear(&text);
        (void)message_field_text(schema->id, message, schema->fields[i].name, &text);
    }
    buf_free(&text);
}

static void try_body(const message_schema_t *schema, const uint8_t *body, size_t size)
{
    message_any_t message;
    err_detail_t detail;
    if (message_decode(schema->id, body, size, &message, &detail) != ERR_OK) {
        CHECK(detail.text[0] != '\0');
        return;
    }
    check_round_trip(schema, &message);
    check_prints(schema, &message);
    message_mask(schema->id, &message);
    check_round_trip(schema, &message);
    check_prints(schema, &message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t count;
    const message_schema_t *schemas = message_schemas(&count);
    if (size < 2)
        return 0;
    const message_schema_t *schema = &schemas[data[0] % count];
    bool edits = data[1] % 2 != 0;
    data += 2;
    size -= 2;
    if (!edits) {
        try_body(schema, data, size);
        return 0;
    }
    sample_t sample;
    uint8_t body[BODY_MAX];
    sample_fill(&sample, schema, true);
    size_t body_size = message_encode(schema->id, &sample.message, body, sizeof body);
    for (; size >= 2; data += 2, size -= 2)
        body[data[0] % body_size] = data[1];
    try_body(schema, body, body_size);
    return 0;
}
