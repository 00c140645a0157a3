/* messages_codec.c - messages to bytes and back, by the tables of messages.c.
 *
 * Who calls: every process, for every message. Bytes come from peers: decoding must never trust a
 * length, allocate, or read a byte twice. The writer puts keys in ascending order and the reader
 * insists on it, which finds duplicates, known or unknown, without remembering what it saw, and
 * leaves few ways to say the same thing.
 */
#include <string.h>

#include "lib/msgpack.h"
#include "proto/messages_field.h"

enum {
    MAP_HEAD_BYTES = 5,
    KEY_BYTES = 5,
    TEXT_HEAD_BYTES = 5,
    INT_BYTES = 9,
    BOOL_BYTES = 1,
    UUID_BYTES = 2 + sizeof(uuid_t),
};

/* ---- encoding ---- */

static bool encode_value(mp_writer_t *writer, const field_schema_t *field,
                         const field_value_t *value)
{
    switch (field->type) {
    case FIELD_UUID:
        mp_write_bin(writer, &value->uuid, sizeof value->uuid);
        return true;
    case FIELD_INT:
        mp_write_int(writer, value->number);
        return true;
    case FIELD_BOOL:
        mp_write_bool(writer, value->truth);
        return true;
    case FIELD_STR:
    case FIELD_JSON:
        mp_write_str(writer, value->text.data, value->text.size);
        return value->text.size <= field->max_bytes;
    }
    return false;
}

static uint32_t count_present(const message_schema_t *schema, const void *message)
{
    uint32_t count = 0;
    for (size_t i = 0; i < schema->field_count; i++) {
        field_value_t value = field_get(&schema->fields[i], message);
        count += field_present(&schema->fields[i], &value);
    }
    return count;
}

size_t message_encode(uint32_t id, const void *message, uint8_t *buffer, size_t capacity)
{
    const message_schema_t *schema = message_expect(id);
    mp_writer_t writer = mp_writer(buffer, capacity);
    mp_write_map(&writer, count_present(schema, message));
    for (size_t i = 0; i < schema->field_count; i++) {
        const field_schema_t *field = &schema->fields[i];
        field_value_t value = field_get(field, message);
        if (!field_present(field, &value))
            continue;
        mp_write_uint(&writer, field->number);
        if (!encode_value(&writer, field, &value))
            return 0;
    }
    return mp_written(&writer);
}

size_t message_encoded_bound(uint32_t id, const void *message)
{
    const message_schema_t *schema = message_expect(id);
    size_t bound = MAP_HEAD_BYTES;
    for (size_t i = 0; i < schema->field_count; i++) {
        const field_schema_t *field = &schema->fields[i];
        bound += KEY_BYTES;
        switch (field->type) {
        case FIELD_UUID:
            bound += UUID_BYTES;
            break;
        case FIELD_INT:
            bound += INT_BYTES;
            break;
        case FIELD_BOOL:
            bound += BOOL_BYTES;
            break;
        case FIELD_STR:
        case FIELD_JSON:
            bound += TEXT_HEAD_BYTES + field_get(field, message).text.size;
            break;
        }
    }
    return bound;
}

/* ---- decoding ---- */

static const char *decode_text(mp_reader_t *reader, const field_schema_t *field, str_t *text)
{
    if (!mp_read_str(reader, text))
        return "not text, or cut off";
    if (text->size > field->max_bytes)
        return "too long";
    if (!utf8_valid(text->data, text->size))
        return "not UTF-8";
    return NULL;
}

/* NULL, or what is wrong with the value. */
static const char *decode_value(mp_reader_t *reader, const field_schema_t *field,
                                field_value_t *value)
{
    const uint8_t *bytes;
    size_t size;
    switch (field->type) {
    case FIELD_UUID:
        if (!mp_read_bin(reader, &bytes, &size) || size != sizeof value->uuid)
            return "not 16 bytes, or cut off";
        memcpy(&value->uuid, bytes, sizeof value->uuid);
        return NULL;
    case FIELD_INT:
        return mp_read_int(reader, &value->number) ? NULL : "not a 64-bit integer, or cut off";
    case FIELD_BOOL:
        return mp_read_bool(reader, &value->truth) ? NULL : "not a boolean, or cut off";
    case FIELD_STR:
    case FIELD_JSON:
        return decode_text(reader, field, &value->text);
    }
    return "unreachable";
}

/* Where a decoder stands: the map's keys and the schema's fields ascend, so one walk meets both. */
typedef struct walk {
    const message_schema_t *schema;
    mp_reader_t reader;
    size_t next_field; /* the first field whose number was not passed yet */
    err_detail_t *detail;
} walk_t;

static err_t refuse(const walk_t *walk, const char *what, const char *reason)
{
    return err_set(walk->detail, ERR_WIRE, "%s: %s: %s", walk->schema->name, what, reason);
}

/* Passes the fields before `number`: those are not in the map. NULL: `number` is unknown. */
static err_t find_field(walk_t *walk, uint64_t number, const field_schema_t **found)
{
    *found = NULL;
    while (walk->next_field < walk->schema->field_count) {
        const field_schema_t *field = &walk->schema->fields[walk->next_field];
        if (field->number > number)
            return ERR_OK;
        walk->next_field++;
        if (field->number == number) {
            *found = field;
            return ERR_OK;
        }
        if (field->required)
            return refuse(walk, field->name, "missing");
    }
    return ERR_OK;
}

static err_t decode_pair(walk_t *walk, uint64_t number, void *message)
{
    const field_schema_t *field;
    TRY(find_field(walk, number, &field));
    if (field == NULL) {
        if (!mp_skip(&walk->reader))
            return refuse(walk, "unknown field", "cut off");
        return ERR_OK;
    }
    field_value_t value = {0};
    const char *reason = decode_value(&walk->reader, field, &value);
    if (reason != NULL)
        return refuse(walk, field->name, reason);
    field_set(field, message, &value);
    return ERR_OK;
}

static err_t decode_map(walk_t *walk, uint32_t pairs, void *message)
{
    uint64_t last = 0; /* numbers start at 1 */
    for (uint32_t i = 0; i < pairs; i++) {
        uint64_t number;
        if (!mp_read_uint(&walk->reader, &number) || number == 0)
            return refuse(walk, "key", "not a field number, or cut off");
        if (number == last)
            return refuse(walk, "key", "duplicate");
        if (number < last)
            return refuse(walk, "key", "not in ascending order");
        TRY(decode_pair(walk, number, message));
        last = number;
    }
    const field_schema_t *none;
    TRY(find_field(walk, UINT64_MAX, &none));
    if (!mp_at_end(&walk->reader))
        return refuse(walk, "body", "trailing bytes");
    return ERR_OK;
}

err_t message_decode(uint32_t id, const uint8_t *data, size_t size, void *message,
                     err_detail_t *detail)
{
    const message_schema_t *schema = message_by_id(id);
    if (schema == NULL)
        return err_set(detail, ERR_WIRE, "message %u: unknown", id);
    memset(message, 0, schema->struct_size);
    walk_t walk = {schema, mp_reader(data, size), 0, detail};
    uint32_t pairs;
    if (!mp_read_map(&walk.reader, &pairs))
        return refuse(&walk, "body", "not a map");
    return decode_map(&walk, pairs, message);
}
