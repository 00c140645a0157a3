/* reconciler_stream.c - see reconciler_stream.h. The processor reads the body again itself: what
 * the fields beside it say is for finding and tracing. */
#include "services/reconciler/reconciler_stream.h"

#include <stdio.h>
#include <string.h>

enum { ENTRY_ARGS_MAX = 24, NUMBER_SIZE = 24 };

typedef struct entry {
    int argc;
    const char *argv[ENTRY_ARGS_MAX];
    size_t sizes[ENTRY_ARGS_MAX];
} entry_t;

static void add(entry_t *entry, const char *data, size_t size)
{
    CHECK(entry->argc < ENTRY_ARGS_MAX);
    entry->argv[entry->argc] = data != NULL ? data : "";
    entry->sizes[entry->argc++] = size;
}

static void add_field(entry_t *entry, const char *name, const char *value)
{
    add(entry, name, strlen(name));
    add(entry, value, strlen(value));
}

void reconciler_stream_append(redis_t *redis, const reconciler_news_t *news)
{
    char payment_id[UUID_TEXT_SIZE], request_id[UUID_TEXT_SIZE];
    char received_at_us[NUMBER_SIZE], http_status[NUMBER_SIZE];
    snprintf(received_at_us, sizeof received_at_us, "%lld", (long long)news->received_at_us);
    snprintf(http_status, sizeof http_status, "%d", news->http_status);
    entry_t entry = {0};
    add_field(&entry, "XADD", "stream:webhooks");
    add(&entry, "*", 1);
    add_field(&entry, "source", "status_poll");
    add_field(&entry, "psp", news->psp);
    add_field(&entry, "event_id", news->event_id);
    add_field(&entry, "payment_id", uuid_format(news->payment_id, payment_id));
    add_field(&entry, "received_at_us", received_at_us);
    add_field(&entry, "request_id", uuid_format(news->request_id, request_id));
    add_field(&entry, "http_status", http_status);
    add_field(&entry, "traceparent", "");
    add(&entry, "body", 4);
    add(&entry, news->body.data, news->body.size);
    redis_append_argv(redis, entry.argc, entry.argv, entry.sizes);
}

err_t reconciler_stream_confirm(redis_t *redis, err_detail_t *detail)
{
    redisReply *reply = NULL;
    TRY(redis_next_reply(redis, &reply, detail));
    err_t err = ERR_OK;
    if (reply->type == REDIS_REPLY_ERROR)
        err = err_set(detail, ERR_QUEUE_UNAVAILABLE, "%s", reply->str);
    freeReplyObject(reply);
    return err;
}
