/* messages_field.h - a field inside a decoded struct, for the files that walk the tables. */
#ifndef TIFFIN_PROTO_MESSAGES_FIELD_H
#define TIFFIN_PROTO_MESSAGES_FIELD_H

#include "proto/messages.h"

/* Only the member of the schema's type is set. */
typedef struct field_value {
    uuid_t uuid;
    int64_t number;
    bool truth;
    str_t text;
} field_value_t;

field_value_t field_get(const field_schema_t *field, const void *message);
void field_set(const field_schema_t *field, void *message, const field_value_t *value);
/* Not the zero value; a required field is always there. */
bool field_present(const field_schema_t *field, const field_value_t *value);
/* The schema of a message that the caller names: an unknown id is a bug of ours. */
const message_schema_t *message_expect(uint32_t id);

#endif
