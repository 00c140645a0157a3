/* stream.c - see stream.h.
 *
 * The group is made whenever Redis says that it is missing (a fresh Redis, or one that was
 * flushed), from the beginning of the stream, so that nothing which was queued before is passed
 * over.
 */
#include "services/webhook_processor/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crash_point.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/redis.h"
#include "services/webhook_processor/webhook_store.h"

#define STREAM "stream:webhooks"
#define DEAD_STREAM "stream:webhooks:dead"
#define GROUP "webhook-processor"

enum {
    HANDLED_KEY_TTL_S = 35 * 24 * 3600, /* longer than any PSP repeats a webhook */
    DEAD_STREAM_MAX_ENTRIES = 100000,   /* the inbox keeps them all */
    ARGUMENTS_MAX = 3 + SERVICE_BATCH_MAX
};

struct stream {
    redis_t *redis;
    const char *consumer;
    int owed; /* answers about what is settled: they come before that of the next command */
};

stream_t *stream_new(const char *redis_url, const char *consumer, err_detail_t *detail)
{
    stream_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->consumer = consumer;
    self->redis = redis_new(redis_url, REDIS_COMMAND_TIMEOUT_MS, detail);
    if (self->redis == NULL) {
        free(self);
        return NULL;
    }
    return self;
}

void stream_destroy(stream_t **self_p)
{
    stream_t *self = *self_p;
    if (self == NULL)
        return;
    stream_flush(self);
    redis_destroy(&self->redis);
    free(self);
    *self_p = NULL;
}

void stream_flush(stream_t *self)
{
    err_detail_t detail = {{0}};
    err_t first = ERR_OK;
    for (; self->owed > 0; self->owed--) {
        redisReply *reply = NULL;
        err_detail_t why = {{0}};
        const err_t err = redis_take_reply(self->redis, &reply, &why);
        if (first == ERR_OK && err != ERR_OK) {
            first = err;
            detail = why;
        }
        if (reply != NULL)
            freeReplyObject(reply);
    }
    if (first != ERR_OK) /* the entries stay pending, come again and are duplicates; the notifier
                            reads the outbox */
        log_limited(LOG_LEVEL_WARN, NULL, "stream not settled", "code=%s detail=\"%s\"",
                    err_name(first), detail.text);
}

void stream_entries_free(stream_entries_t *entries)
{
    if (entries->reply != NULL)
        freeReplyObject(entries->reply);
    if (entries->pending != NULL)
        freeReplyObject(entries->pending);
    *entries = (stream_entries_t){NULL, NULL, NULL};
}

static err_t make_group(stream_t *self, err_detail_t *detail)
{
    redisReply *reply = NULL;
    err_t err =
        redis_command(self->redis, &reply, detail, "XGROUP CREATE %s %s 0 MKSTREAM", STREAM, GROUP);
    if (err == ERR_OK) {
        freeReplyObject(reply);
        log_info(NULL, "consumer group made", "stream=%s group=%s", STREAM, GROUP);
    } else if (err == ERR_UNPROCESSABLE && strstr(detail->text, "BUSYGROUP") != NULL) {
        err = ERR_OK; /* another instance was first */
    }
    return err;
}

/* A read that finds no group makes it and gives nothing: the next read has it. */
static err_t after_read(stream_t *self, err_t err, err_detail_t *detail)
{
    if (err == ERR_UNPROCESSABLE &&
        (strstr(detail->text, "NOGROUP") != NULL || strstr(detail->text, "UNBLOCKED") != NULL))
        return make_group(self, detail);
    return err;
}

/* XREADGROUP answers nil, or [[stream, [entry …]]]. */
static void take_stream(stream_entries_t *entries)
{
    const redisReply *reply = entries->reply;
    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
        reply->element[0]->type == REDIS_REPLY_ARRAY && reply->element[0]->elements == 2 &&
        reply->element[0]->element[1]->type == REDIS_REPLY_ARRAY)
        entries->array = reply->element[0]->element[1];
}

err_t stream_read_new(stream_t *self, int at_most, int block_ms, stream_entries_t *entries,
                      err_detail_t *detail)
{
    char count[16], block[16];
    snprintf(count, sizeof count, "%d", at_most);
    snprintf(block, sizeof block, "%d", block_ms);
    const char *argv[] = {"XREADGROUP", "GROUP", GROUP,     self->consumer, "COUNT", count,
                          "BLOCK",      block,   "STREAMS", STREAM,         ">"};
    enum { ARGC = sizeof argv / sizeof *argv };
    size_t sizes[ARGC];
    for (int i = 0; i < ARGC; i++)
        sizes[i] = strlen(argv[i]);
    *entries = (stream_entries_t){NULL, NULL, NULL};
    redis_append_argv(self->redis, ARGC, argv, sizes);
    stream_flush(self);
    err_t err = redis_take_reply(self->redis, &entries->reply, detail);
    if (err == ERR_OK)
        take_stream(entries);
    return after_read(self, err, detail);
}

/* ---- what was delivered before: looked at first, then read ---- */

/* A row of XPENDING: [id, consumer, idle, deliveries]. */
static bool is_pending_row(const redisReply *row)
{
    return row->type == REDIS_REPLY_ARRAY && row->elements == 4 &&
           row->element[0]->type == REDIS_REPLY_STRING &&
           row->element[3]->type == REDIS_REPLY_INTEGER;
}

/* How many of the pending, from the first on, are read at once. */
static size_t count_together(const redisReply *pending)
{
    if (pending->type != REDIS_REPLY_ARRAY)
        return 0;
    size_t count = 0;
    while (count < pending->elements && is_pending_row(pending->element[count]) &&
           pending->element[count]->element[3]->integer < WEBHOOK_DELIVERIES_TOGETHER)
        count++;
    return count == 0 && pending->elements > 0 && is_pending_row(pending->element[0]) ? 1 : count;
}

int64_t stream_entries_deliveries(const stream_entries_t *entries, str_t entry_id)
{
    const redisReply *pending = entries->pending;
    if (pending == NULL || pending->type != REDIS_REPLY_ARRAY)
        return 1;
    for (size_t i = 0; i < pending->elements; i++) {
        const redisReply *row = pending->element[i];
        if (is_pending_row(row) && str_is(entry_id, row->element[0]->str))
            return row->element[3]->integer + 1;
    }
    return 1;
}

err_t stream_read_own(stream_t *self, int at_most, const char *after, stream_entries_t *entries,
                      err_detail_t *detail)
{
    stream_flush(self);
    *entries = (stream_entries_t){NULL, NULL, NULL};
    err_t err = redis_command(self->redis, &entries->pending, detail, "XPENDING %s %s (%s + %d %s",
                              STREAM, GROUP, after, at_most, self->consumer);
    if (err != ERR_OK)
        return after_read(self, err, detail);
    const size_t count = count_together(entries->pending);
    if (count == 0)
        return ERR_OK;
    err = redis_command(self->redis, &entries->reply, detail,
                        "XREADGROUP GROUP %s %s COUNT %d STREAMS %s %s", GROUP, self->consumer,
                        (int)count, STREAM, after);
    if (err == ERR_OK)
        take_stream(entries);
    return after_read(self, err, detail);
}

/* XCLAIM of these rows. */
static err_t claim(stream_t *self, size_t count, int min_idle_ms, stream_entries_t *entries,
                   err_detail_t *detail)
{
    enum { FIXED = 5 };
    char min_idle[16];
    snprintf(min_idle, sizeof min_idle, "%d", min_idle_ms);
    const char *argv[FIXED + SERVICE_BATCH_MAX] = {"XCLAIM", STREAM, GROUP, self->consumer,
                                                   min_idle};
    size_t sizes[FIXED + SERVICE_BATCH_MAX];
    CHECK(count <= SERVICE_BATCH_MAX);
    for (size_t i = 0; i < count; i++)
        argv[FIXED + i] = entries->pending->element[i]->element[0]->str;
    for (size_t i = 0; i < FIXED + count; i++)
        sizes[i] = strlen(argv[i]);
    return redis_command_argv(self->redis, (int)(FIXED + count), argv, sizes, &entries->reply,
                              detail);
}

err_t stream_claim_idle(stream_t *self, int at_most, int min_idle_ms, stream_entries_t *entries,
                        err_detail_t *detail)
{
    stream_flush(self);
    *entries = (stream_entries_t){NULL, NULL, NULL};
    err_t err = redis_command(self->redis, &entries->pending, detail,
                              "XPENDING %s %s IDLE %d - + %d", STREAM, GROUP, min_idle_ms, at_most);
    if (err != ERR_OK)
        return after_read(self, err, detail);
    const size_t count = count_together(entries->pending);
    if (count == 0)
        return ERR_OK;
    err = claim(self, count, min_idle_ms, entries, detail);
    /* [entry …]: another instance may have been first, for some of them. */
    if (err == ERR_OK && entries->reply->type == REDIS_REPLY_ARRAY)
        entries->array = entries->reply;
    return after_read(self, err, detail);
}

/* ---- consumers that are gone ---- */

/* One script, so that none is forgotten that takes an entry meanwhile: with its name its pending
 * entries would go. */
static const char forget_script[] =
    "local forgotten = 0 "
    "for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do "
    "local consumer = {} "
    "for i = 1, #fields, 2 do consumer[fields[i]] = fields[i + 1] end "
    "if consumer.pending == 0 and consumer.idle >= tonumber(ARGV[3]) and consumer.name ~= ARGV[2] "
    "then redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name) "
    "forgotten = forgotten + 1 end end "
    "return forgotten";

err_t stream_forget_consumers(stream_t *self, int64_t idle_ms, int64_t *forgotten,
                              err_detail_t *detail)
{
    redisReply *reply = NULL;
    stream_flush(self);
    *forgotten = 0;
    TRY(redis_command(self->redis, &reply, detail, "EVAL %s 1 %s %s %s %lld", forget_script, STREAM,
                      GROUP, self->consumer, (long long)idle_ms));
    if (reply->type == REDIS_REPLY_INTEGER)
        *forgotten = reply->integer;
    freeReplyObject(reply);
    return ERR_OK;
}

/* ---- after the commit ---- */

static void append(stream_t *self, int argc, const char **argv)
{
    size_t sizes[8];
    CHECK(argc <= 8);
    for (int i = 0; i < argc; i++)
        sizes[i] = strlen(argv[i]);
    redis_append_argv(self->redis, argc, argv, sizes);
}

/* The fast path of the gateway's intake: only what is committed is remembered. A parked or dead
 * item is not: its repetition may find its payment. */
static int append_handled(stream_t *self, const webhook_item_t *item)
{
    if (item->outcome != WEBHOOK_APPLIED && item->outcome != WEBHOOK_DUPLICATE)
        return 0;
    if (item->malformed || !str_is(item->source, "webhook"))
        return 0;
    char key[256], payment_id[UUID_TEXT_SIZE], ttl[16];
    snprintf(key, sizeof key, "idemp:webhook:%.*s:%.*s", STR_ARG(item->psp),
             STR_ARG(item->event_id));
    snprintf(ttl, sizeof ttl, "%d", HANDLED_KEY_TTL_S);
    append(
        self, 5,
        (const char *[]){"SET", key, uuid_format(&item->report.payment_id, payment_id), "EX", ttl});
    return 1;
}

static int append_events(stream_t *self, const PGresult *committed)
{
    int cursor = 0, appended = 0;
    str_t type, payload;
    while (committed != NULL && webhook_store_event(committed, &cursor, &type, &payload)) {
        const char *channel =
            str_is(type, "payment.confirmed") ? "payments.confirmed" : "payments.events";
        const char *argv[] = {"PUBLISH", channel, payload.data};
        const size_t sizes[] = {7, strlen(channel), payload.size};
        redis_append_argv(self->redis, 3, argv, sizes);
        appended++;
    }
    return appended;
}

static int append_acknowledge(stream_t *self, const webhook_item_t *items, size_t count)
{
    const char *argv[ARGUMENTS_MAX] = {"XACK", STREAM, GROUP};
    size_t sizes[ARGUMENTS_MAX] = {4, sizeof STREAM - 1, sizeof GROUP - 1};
    int argc = 3;
    CHECK(count <= SERVICE_BATCH_MAX);
    for (size_t i = 0; i < count; i++)
        if (items[i].entry_id.data != NULL) {
            argv[argc] = items[i].entry_id.data;
            sizes[argc++] = items[i].entry_id.size;
        }
    if (argc == 3)
        return 0;
    redis_append_argv(self->redis, argc, argv, sizes);
    /* XDEL takes the same ids, without the group. */
    argv[1] = "XDEL", sizes[1] = 4;
    argv[2] = STREAM, sizes[2] = sizeof STREAM - 1;
    redis_append_argv(self->redis, argc - 1, argv + 1, sizes + 1);
    return 2;
}

static err_t take_replies(stream_t *self, int owed, err_detail_t *detail)
{
    err_t first = ERR_OK;
    for (int i = 0; i < owed; i++) {
        redisReply *reply = NULL;
        err_t err = redis_next_reply(self->redis, &reply, detail);
        if (err == ERR_OK && reply->type == REDIS_REPLY_ERROR)
            err = err_set(detail, ERR_UNPROCESSABLE, "%s", reply->str);
        if (first == ERR_OK)
            first = err;
        if (reply != NULL)
            freeReplyObject(reply);
    }
    return first;
}

void stream_settle(stream_t *self, const webhook_item_t *items, size_t count,
                   const PGresult *committed)
{
    for (size_t i = 0; i < count; i++)
        self->owed += append_handled(self, &items[i]);
    self->owed += append_acknowledge(self, items, count);
    if (crash_point_armed(CRASH_POINT_processor_acknowledged)) {
        stream_flush(self);
        CRASH_POINT(processor_acknowledged);
    }
    self->owed += append_events(self, committed);
}

err_t stream_drop(stream_t *self, str_t entry_id, err_detail_t *detail)
{
    webhook_item_t item = {.entry_id = entry_id};
    stream_flush(self);
    return take_replies(self, append_acknowledge(self, &item, 1), detail);
}

err_t stream_copy_dead(stream_t *self, const PGresult *dead, err_detail_t *detail)
{
    static const char *const names[] = {"inbox_id", "psp",        "event_id",
                                        "source",   "payment_id", "reason",
                                        "tries",    "body",       "received_at_us"};
    enum { COLUMNS = 9, FIXED = 6 };
    char limit[16], numbers[3][24];
    stream_flush(self);
    snprintf(limit, sizeof limit, "%d", DEAD_STREAM_MAX_ENTRIES);
    const int rows = PQntuples(dead);
    for (int row = 0; row < rows; row++) {
        const char *argv[FIXED + 2 * COLUMNS] = {"XADD", DEAD_STREAM, "MAXLEN", "~", limit, "*"};
        size_t sizes[FIXED + 2 * COLUMNS] = {4, sizeof DEAD_STREAM - 1, 6, 1, strlen(limit), 1};
        int number = 0;
        for (int column = 0; column < COLUMNS; column++) {
            const int at = FIXED + 2 * column;
            argv[at] = names[column];
            sizes[at] = strlen(names[column]);
            if (column == 0 || column == 6 || column == 8) {
                snprintf(numbers[number], sizeof numbers[number], "%lld",
                         (long long)pg_get_int8(dead, row, column));
                argv[at + 1] = numbers[number];
                sizes[at + 1] = strlen(numbers[number++]);
            } else {
                const str_t text = pg_get_text(dead, row, column);
                argv[at + 1] = text.data != NULL ? text.data : "";
                sizes[at + 1] = text.size;
            }
        }
        redis_append_argv(self->redis, FIXED + 2 * COLUMNS, argv, sizes);
    }
    return take_replies(self, rows, detail);
}

err_t stream_backlog(stream_t *self, int64_t *entries, int64_t *pending, err_detail_t *detail)
{
    redisReply *reply = NULL;
    stream_flush(self);
    *entries = *pending = 0;
    TRY(redis_command(self->redis, &reply, detail, "XLEN %s", STREAM));
    if (reply->type == REDIS_REPLY_INTEGER)
        *entries = reply->integer;
    freeReplyObject(reply);
    reply = NULL;
    err_t err = redis_command(self->redis, &reply, detail, "XPENDING %s %s", STREAM, GROUP);
    if (err == ERR_UNPROCESSABLE && strstr(detail->text, "NOGROUP") != NULL)
        return ERR_OK; /* nobody has read yet */
    TRY(err);
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
        reply->element[0]->type == REDIS_REPLY_INTEGER)
        *pending = reply->element[0]->integer;
    freeReplyObject(reply);
    return ERR_OK;
}

#ifdef TIFFIN_BUG_DEDUPE_FIRST
size_t stream_dedupe_first(stream_t *self, webhook_item_t *items, size_t count)
{
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        redisReply *reply = NULL;
        err_detail_t detail;
        char key[256];
        snprintf(key, sizeof key, "idemp:webhook:%.*s:%.*s", STR_ARG(items[i].psp),
                 STR_ARG(items[i].event_id));
        const bool first =
            items[i].entry_id.data == NULL || /* parked: read before */
            redis_command(self->redis, &reply, &detail, "SET %s 1 NX", key) != ERR_OK ||
            reply->type != REDIS_REPLY_NIL;
        if (reply != NULL)
            freeReplyObject(reply);
        if (first)
            items[left++] = items[i];
        else
            (void)!stream_drop(self, items[i].entry_id, &detail);
    }
    return left;
}
#endif
