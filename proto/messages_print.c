/* messages_print.c - decoded messages for people and tools: one line, JSON, one field; and what a
 * tap may not see.
 *
 * Who calls: the gateway's tap masks; tiffin-tap and logs print. Text comes from the outside and
 * ends up on terminals, so no control character leaves here unescaped.
 */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "proto/messages_field.h"

enum { PRINT_TEXT_MAX_BYTES = 120 };

static const str_t mask = {"***", 3};

void message_mask(uint32_t id, void *message)
{
    const message_schema_t *schema = message_expect(id);
    for (size_t i = 0; i < schema->field_count; i++) {
        const field_schema_t *field = &schema->fields[i];
        if ((field->flags & (FIELD_PII | FIELD_SECRET)) == 0)
            continue;
        field_value_t value = field_get(field, message);
        if (!field_present(field, &value))
            continue;
        field_set(field, message, &(field_value_t){.text = mask});
    }
}

/* ---- one line ---- */

/* At most `limit` bytes, never inside a character. */
static uint32_t cut_at(str_t text, uint32_t limit)
{
    if (text.size <= limit)
        return text.size;
    while (limit > 0 && ((uint8_t)text.data[limit] & 0xc0) == 0x80)
        limit--;
    return limit;
}

static void add_escaped_byte(buf_t *line, uint8_t byte)
{
    switch (byte) {
    case '\n':
        buf_add(line, "\\n", 2);
        break;
    case '\r':
        buf_add(line, "\\r", 2);
        break;
    case '\t':
        buf_add(line, "\\t", 2);
        break;
    default:
        buf_printf(line, "\\x%02x", byte);
    }
}

/* Quotes, backslashes, C0, DEL; C1, which UTF-8 spells c2 80 … c2 9f; everything else when it is no
 * UTF-8 at all. */
static void add_quoted(buf_t *line, str_t text)
{
    uint32_t size = cut_at(text, PRINT_TEXT_MAX_BYTES);
    bool valid = utf8_valid(text.data, size);
    buf_add(line, "\"", 1);
    for (uint32_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        bool c1 = byte == 0xc2 && i + 1 < size && (uint8_t)text.data[i + 1] < 0xa0;
        if (byte == '"' || byte == '\\')
            buf_printf(line, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !valid))
            add_escaped_byte(line, byte);
        else if (c1)
            add_escaped_byte(line, (uint8_t)text.data[++i]);
        else
            buf_add(line, &text.data[i], 1);
    }
    buf_add_text(line, size < text.size ? "…\"" : "\"");
}

static void add_value(buf_t *line, const field_schema_t *field, const field_value_t *value)
{
    char uuid[UUID_TEXT_SIZE];
    switch (field->type) {
    case FIELD_UUID:
        buf_add_text(line, uuid_format(&value->uuid, uuid));
        break;
    case FIELD_INT:
        buf_printf(line, "%" PRId64, value->number);
        break;
    case FIELD_BOOL:
        buf_add_text(line, value->truth ? "true" : "false");
        break;
    case FIELD_STR:
    case FIELD_JSON:
        add_quoted(line, value->text);
        break;
    }
}

void message_print(uint32_t id, const void *message, buf_t *line)
{
    const message_schema_t *schema = message_expect(id);
    const char *separator = "";
    for (size_t i = 0; i < schema->field_count; i++) {
        const field_schema_t *field = &schema->fields[i];
        field_value_t value = field_get(field, message);
        if (!field_present(field, &value))
            continue;
        buf_printf(line, "%s%s=", separator, field->name);
        add_value(line, field, &value);
        separator = " ";
    }
}

/* ---- JSON ---- */

/* True when the text is one JSON document; it is then written as such, on one line: JSON has line
 * ends between tokens only, where a blank means the same. */
static bool add_document(buf_t *json, const char *key, str_t text)
{
    json_error_t error;
    json_t *parsed =
        json_loadb(text.data, text.size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (parsed == NULL)
        return false;
    json_decref(parsed);
    buf_t document = {0};
    buf_add(&document, text.data, text.size);
    for (size_t i = 0; i < document.size; i++)
        if (document.data[i] == '\n' || document.data[i] == '\r')
            document.data[i] = ' ';
    bool copied = !document.overflow;
    if (copied)
        json_raw(json, key, document.data, document.size);
    buf_free(&document);
    return copied;
}

void message_print_json(uint32_t id, const void *message, buf_t *json, const char *key)
{
    const message_schema_t *schema = message_expect(id);
    json_open_object(json, key);
    for (size_t i = 0; i < schema->field_count; i++) {
        const field_schema_t *field = &schema->fields[i];
        field_value_t value = field_get(field, message);
        if (!field_present(field, &value))
            continue;
        switch (field->type) {
        case FIELD_UUID:
            json_uuid(json, field->name, &value.uuid);
            break;
        case FIELD_INT:
            json_int(json, field->name, value.number);
            break;
        case FIELD_BOOL:
            json_bool(json, field->name, value.truth);
            break;
        case FIELD_JSON:
            if (value.text.size > 0 && add_document(json, field->name, value.text))
                break;
            json_str(json, field->name, value.text);
            break;
        case FIELD_STR:
            json_str(json, field->name, value.text);
            break;
        }
    }
    json_close_object(json);
}

/* ---- one field ---- */

bool message_field_text(uint32_t id, const void *message, const char *field, buf_t *text)
{
    const message_schema_t *schema = message_expect(id);
    for (size_t i = 0; i < schema->field_count; i++) {
        const field_schema_t *candidate = &schema->fields[i];
        if (strcmp(candidate->name, field) != 0)
            continue;
        field_value_t value = field_get(candidate, message);
        if (!field_present(candidate, &value))
            return false;
        if (candidate->type == FIELD_STR || candidate->type == FIELD_JSON)
            buf_add(text, value.text.data, value.text.size);
        else
            add_value(text, candidate, &value);
        return true;
    }
    return false;
}
