/* messages.c - the tables that derive from messages.def, and finding a message in them.
 *
 * messages_codec.c, messages_print.c and messages_document.c walk these tables; none of them knows
 * a message by name. All of it is constant: any thread may use it.
 */
#include "proto/messages.h"

#include <string.h>

/* How messages.def spells services, and how they are called everywhere else: C names have no
 * hyphen. A service that is missing here does not compile. */
#define SERVICE_bus "bus"
#define SERVICE_gateway "gateway"
#define SERVICE_order "order"
#define SERVICE_router "router"
#define SERVICE_webhook_processor "webhook-processor"
#define SERVICE_reconciler "reconciler"
#define SERVICE_notifier "notifier"

/* The words of messages.def's columns. */
enum { KEY = FIELD_KEY, PII = FIELD_PII, SECRET = FIELD_SECRET };
enum { REQUIRED = true, OPTIONAL = false };
enum { SAFE = true, NEVER = false };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* static const field_schema_t order_create_fields[] = {{"order_id", …}, …}; */
#define MESSAGE(name, id, service, verb, kind, retry, reply, doc)  \
    _Static_assert(sizeof(name##_t) <= MESSAGE_STRUCT_MAX, #name); \
    static const field_schema_t name##_fields[] = {
#define FIELD(name, type, field, number, max, need, flags, doc) \
    {#field, doc, FIELD_##type, number, max, flags, need, offsetof(name##_t, field)},
#define END(name) \
    }             \
    ;
#include "proto/messages.def"
#undef MESSAGE
#undef FIELD
#undef END

static const message_schema_t schemas[] = {
#define MESSAGE(name, id, service, verb, kind, retry, reply, doc) \
    {SERVICE_##service "." #verb,                                 \
     SERVICE_##service,                                           \
     doc,                                                         \
     id,                                                          \
     MSG_##reply,                                                 \
     MESSAGE_##kind,                                              \
     retry,                                                       \
     sizeof(name##_t),                                            \
     COUNT(name##_fields),                                        \
     name##_fields},
#define FIELD(name, type, field, number, max, need, flags, doc)
#define END(name)
#include "proto/messages.def"
#undef MESSAGE
#undef FIELD
#undef END
};

const message_schema_t *message_schemas(size_t *count)
{
    *count = COUNT(schemas);
    return schemas;
}

const message_schema_t *message_by_id(uint32_t id)
{
    size_t low = 0;
    size_t high = COUNT(schemas);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (schemas[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < COUNT(schemas) && schemas[low].id == id ? &schemas[low] : NULL;
}

const char *message_name(uint32_t id)
{
    const message_schema_t *schema = message_by_id(id);
    return schema ? schema->name : NULL;
}

const message_schema_t *message_by_name(const char *name)
{
    for (size_t i = 0; i < COUNT(schemas); i++)
        if (strcmp(schemas[i].name, name) == 0)
            return &schemas[i];
    return NULL;
}
