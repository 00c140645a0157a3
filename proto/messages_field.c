/* messages_field.c - see messages_field.h. */
#include "proto/messages_field.h"

#include <string.h>

field_value_t field_get(const field_schema_t *field, const void *message)
{
    field_value_t value = {0};
    const uint8_t *member = (const uint8_t *)message + field->offset;
    switch (field->type) {
    case FIELD_UUID:
        memcpy(&value.uuid, member, sizeof value.uuid);
        break;
    case FIELD_INT:
        memcpy(&value.number, member, sizeof value.number);
        break;
    case FIELD_BOOL:
        memcpy(&value.truth, member, sizeof value.truth);
        break;
    case FIELD_STR:
    case FIELD_JSON:
        memcpy(&value.text, member, sizeof value.text);
        CHECK(value.text.data != NULL || value.text.size == 0);
        break;
    }
    return value;
}

void field_set(const field_schema_t *field, void *message, const field_value_t *value)
{
    uint8_t *member = (uint8_t *)message + field->offset;
    switch (field->type) {
    case FIELD_UUID:
        memcpy(member, &value->uuid, sizeof value->uuid);
        break;
    case FIELD_INT:
        memcpy(member, &value->number, sizeof value->number);
        break;
    case FIELD_BOOL:
        memcpy(member, &value->truth, sizeof value->truth);
        break;
    case FIELD_STR:
    case FIELD_JSON:
        memcpy(member, &value->text, sizeof value->text);
        break;
    }
}

bool field_present(const field_schema_t *field, const field_value_t *value)
{
    static const uuid_t nil;
    if (field->required)
        return true;
    switch (field->type) {
    case FIELD_UUID:
        return memcmp(&value->uuid, &nil, sizeof nil) != 0;
    case FIELD_INT:
        return value->number != 0;
    case FIELD_BOOL:
        return value->truth;
    case FIELD_STR:
    case FIELD_JSON:
        return value->text.data != NULL;
    }
    return false;
}

const message_schema_t *message_expect(uint32_t id)
{
    const message_schema_t *schema = message_by_id(id);
    CHECK(schema != NULL);
    return schema;
}
