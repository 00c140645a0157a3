/* webhook_stream.c - see webhook_stream.h. The processor reads the body again itself: what the
 * fields beside it say is for finding and tracing. */
#include "lib/payment/webhook_stream.h"

#include <stdio.h>
#include <string.h>

enum { COMMAND_ARGS_MAX = 28, NUMBER_SIZE = 24 };

typedef struct command {
    int argc;
    const char *argv[COMMAND_ARGS_MAX];
    size_t sizes[COMMAND_ARGS_MAX];
} command_t;

static void add(command_t *command, const char *data, size_t size)
{
    CHECK(command->argc < COMMAND_ARGS_MAX);
    command->argv[command->argc] = data != NULL ? data : "";
    command->sizes[command->argc++] = size;
}

static void add_field(command_t *command, const char *name, const char *value)
{
    add(command, name, strlen(name));
    add(command, value, strlen(value));
}

void webhook_stream_append(redis_t *redis, const webhook_stream_entry_t *entry)
{
    char payment_id[UUID_TEXT_SIZE], refund_id[UUID_TEXT_SIZE], request_id[UUID_TEXT_SIZE];
    char received_at_us[NUMBER_SIZE], http_status[NUMBER_SIZE];
    snprintf(received_at_us, sizeof received_at_us, "%lld", (long long)entry->received_at_us);
    snprintf(http_status, sizeof http_status, "%d", entry->http_status);
    command_t command = {0};
    add_field(&command, "XADD", "stream:webhooks");
    add(&command, "*", 1);
    add_field(&command, "source", entry->source);
    add_field(&command, "psp", entry->psp);
    add_field(&command, "event_id", entry->event_id);
    add_field(&command, "payment_id", uuid_format(entry->payment_id, payment_id));
    if (entry->refund_id != NULL)
        add_field(&command, "refund_id", uuid_format(entry->refund_id, refund_id));
    add_field(&command, "received_at_us", received_at_us);
    add_field(&command, "request_id", uuid_format(entry->request_id, request_id));
    add_field(&command, "http_status", http_status);
    add_field(&command, "traceparent", "");
    add(&command, "body", 4);
    add(&command, entry->body.data, entry->body.size);
    redis_append_argv(redis, command.argc, command.argv, command.sizes);
}

err_t webhook_stream_confirm(redis_t *redis, err_detail_t *detail)
{
    redisReply *reply = NULL;
    TRY(redis_next_reply(redis, &reply, detail));
    err_t err = ERR_OK;
    if (reply->type == REDIS_REPLY_ERROR)
        err = err_set(detail, ERR_QUEUE_UNAVAILABLE, "%s", reply->str);
    freeReplyObject(reply);
    return err;
}
