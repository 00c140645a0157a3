/* tap_message.c - see tap_message.h. */
#include "services/tap/tap_message.h"

#include <string.h>

static void set_broken(tap_message_t *message, const char *reason)
{
    message->broken = true;
    (void)err_set(&message->reason, ERR_WIRE, "%s", reason);
}

/* Topics are printed as they are and compared with patterns: printable ASCII only. */
static bool read_topic(tap_message_t *message, str_t topic)
{
    if (topic.size == 0 || topic.size >= TAP_TOPIC_SIZE)
        return false;
    for (uint32_t i = 0; i < topic.size; i++)
        if (topic.data[i] <= ' ' || topic.data[i] > '~')
            return false;
    memcpy(message->topic, topic.data, topic.size);
    return true;
}

static void read_body(tap_message_t *message, str_t body)
{
    uint32_t id = (uint32_t)message->record.message;
    if (id == MSG_none && body.size == 0)
        return;
    message->schema = message_by_id(id);
    message->broken = message_decode(id, (const uint8_t *)body.data, body.size, message->body.bytes,
                                     &message->reason) != ERR_OK;
}

void tap_message_read(tap_message_t *message, str_t topic, str_t record, str_t body)
{
    memset(message, 0, sizeof *message);
    if (!read_topic(message, topic)) {
        set_broken(message, "the topic is no topic");
        return;
    }
    message->broken = message_decode(MSG_tap_record, (const uint8_t *)record.data, record.size,
                                     &message->record, &message->reason) != ERR_OK;
    if (message->broken) {
        memset(&message->record, 0, sizeof message->record);
        return;
    }
    if (message->record.message < 0 || message->record.message > UINT32_MAX) {
        set_broken(message, "the record's message id is out of range");
        return;
    }
    read_body(message, body);
}

bool tap_message_is(const tap_message_t *message, const char *kind)
{
    return str_is(message->record.kind, kind);
}

bool tap_message_failed(const tap_message_t *message)
{
    return tap_message_is(message, "REPLY") && message->record.status != ERR_OK;
}

const char *tap_message_name(const tap_message_t *message)
{
    return message->schema != NULL ? message->schema->name : "";
}
