/* messages.h - what derives from messages.def: structs, ids, and the table that codec, printer,
 * masks and documentation walk.
 *
 * On the wire a message is a msgpack map from field number to value, written in ascending order of
 * the numbers. The decoder is bounded: it allocates nothing, reads every byte once, and refuses
 * keys that repeat or do not ascend, wrong types, text over its maximum or not UTF-8, missing
 * fields and trailing bytes. Decoded text points into the input.
 */
#ifndef TIFFIN_PROTO_MESSAGES_H
#define TIFFIN_PROTO_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/text.h"
#include "lib/uuid.h"

typedef enum message_id {
#define MESSAGE(name, id, service, verb, kind, retry, reply, doc) MSG_##name = (id),
#define FIELD(name, type, field, number, max, need, flags, doc)
#define END(name)
#include "proto/messages.def"
#undef MESSAGE
#undef FIELD
#undef END
    MSG_none = 0,
} message_id_t;

#define MESSAGE_C_UUID uuid_t
#define MESSAGE_C_INT int64_t
#define MESSAGE_C_BOOL bool
#define MESSAGE_C_STR str_t
#define MESSAGE_C_JSON str_t

/* struct order_create { uuid_t order_id; str_t user_id; … }; as order_create_t */
#define MESSAGE(name, id, service, verb, kind, retry, reply, doc) typedef struct name {
#define FIELD(name, type, field, number, max, need, flags, doc) MESSAGE_C_##type field;
#define END(name) \
    }             \
    name##_t;
#include "proto/messages.def"
#undef MESSAGE
#undef FIELD
#undef END

typedef enum field_type { FIELD_UUID, FIELD_INT, FIELD_BOOL, FIELD_STR, FIELD_JSON } field_type_t;
enum { FIELD_KEY = 1, FIELD_PII = 2, FIELD_SECRET = 4 };
typedef enum message_kind { MESSAGE_REQUEST, MESSAGE_REPLY, MESSAGE_EVENT } message_kind_t;

typedef struct field_schema {
    const char *name;
    const char *doc;
    field_type_t type;
    uint32_t number;
    uint32_t max_bytes;
    uint32_t flags;
    bool required;
    size_t offset;
} field_schema_t;

typedef struct message_schema {
    const char *name;    /* "order.create": service.verb, '_' of the service name shown as '-' */
    const char *service; /* "order", "webhook-processor" */
    const char *doc;
    uint32_t id;
    uint32_t reply_id; /* MSG_none unless REQUEST */
    message_kind_t kind;
    bool retry_safe;
    size_t struct_size;
    size_t field_count;
    const field_schema_t *fields; /* ascending by number */
} message_schema_t;

/* Large enough for any decoded message. */
#define MESSAGE_STRUCT_MAX 512

/* All messages, ascending by id; *count of them. Static. */
const message_schema_t *message_schemas(size_t *count);
/* NULL when there is none. */
const message_schema_t *message_by_id(uint32_t id);
const message_schema_t *message_by_name(const char *name);
/* "order.create", or NULL. */
const char *message_name(uint32_t id);

/* Bytes written to `buffer`, or 0 when they do not fit in `capacity` or a text is over its maximum.
 */
size_t message_encode(uint32_t id, const void *message, uint8_t *buffer, size_t capacity);
/* Zeroes *message (struct_size bytes) first. ERR_WIRE with the reason: "order.create: currency:
 * missing". */
err_t message_decode(uint32_t id, const uint8_t *data, size_t size, void *message,
                     err_detail_t *detail) MUST_CHECK;
/* An upper bound of what message_encode needs for this message. */
size_t message_encoded_bound(uint32_t id, const void *message);

/* Replaces what is flagged PII or SECRET: text by "***", UUIDs and numbers by zero. In place; the
 * struct then points to static text. */
void message_mask(uint32_t id, void *message);
/* One line: order_id=0190… user_id="***" amount=45000 (text quoted, long text cut at 120 bytes). */
void message_print(uint32_t id, const void *message, buf_t *line);
/* A JSON object under `key` (NULL: outermost): UUIDs as text, JSON fields as documents when they
 * are valid JSON and else as text. */
void message_print_json(uint32_t id, const void *message, buf_t *json, const char *key);
/* A field's value as text for comparisons ("0190…", "45000", "true"); false when the message has no
 * such field or it is absent. */
bool message_field_text(uint32_t id, const void *message, const char *field, buf_t *text);
/* MESSAGES.md. */
void message_document_all(buf_t *markdown);

#endif
