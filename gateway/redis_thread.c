/* redis_thread.c - see redis_thread.h.
 *
 * Waiting HTTP threads hang their call, which lives on their stack, into one list and sleep; the
 * thread takes the whole list, sends it as one script, and wakes each caller with its answer. A
 * call is answered exactly once, so its memory is never touched after its owner has gone on.
 *
 * A key that is there was set after the commit of the same event for the same payment: nothing is
 * lost by not queueing it again. One script asks and appends for all of a pipeline: asking first
 * would wait for the disk twice, since Redis answers nobody while it flushes.
 */
#include "gateway/redis_thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/redis.h"

enum {
    WAITING_MAX = 4096,
    PIPELINE_MAX = 256,
    PIPELINE_BODIES_MAX_BYTES = 4 << 20, /* but for the last of them */
    PING_EVERY_MS = 1000,
};

typedef struct call {
    struct call *next;
    const queued_webhook_t *webhook;
    bool done;
    bool duplicate;
    err_t err;
    err_detail_t detail;
    pthread_cond_t answered;
} call_t;

/* KEYS: of each webhook, what remembers it once it is applied. ARGV: of each the FIELDS below.
 * Gives of each 1: it is in the stream; 0: it is a repetition. */
static const char script[] =
    "local answers = {} "
    "for i, key in ipairs(KEYS) do "
    "local n = (i - 1) * 8 "
    "if redis.call('GET', key) == ARGV[n + 3] then answers[i] = 0 else "
    "redis.call('XADD', 'stream:webhooks', '*', 'source', 'webhook', 'psp', ARGV[n + 1], "
    "'event_id', ARGV[n + 2], 'payment_id', ARGV[n + 3], 'received_at_us', ARGV[n + 4], "
    "'request_id', ARGV[n + 5], 'traceparent', ARGV[n + 6], 'headers', ARGV[n + 7], "
    "'body', ARGV[n + 8]) "
    "answers[i] = 1 end end "
    "return answers";
enum { FIELDS = 8, HEAD = 3, ARGUMENTS_MAX = HEAD + PIPELINE_MAX * (1 + FIELDS) };

/* What the script is told of one of them, as text that lives as long as the pipeline. */
typedef struct told {
    char key[256], payment_id[UUID_TEXT_SIZE], request_id[UUID_TEXT_SIZE], received_at_us[24];
} told_t;

/* The script for all of them, as one command. */
typedef struct command {
    int argc;
    const char *argv[ARGUMENTS_MAX];
    size_t sizes[ARGUMENTS_MAX];
    char count[16];
    told_t told[PIPELINE_MAX];
} command_t;

struct redis_thread {
    redis_t *redis;
    pthread_t thread;
    command_t command;    /* of the pipeline */
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t work;
    call_t *first, **last;
    size_t waiting;
    bool stopping;
    _Atomic bool healthy;
};

/* ---- one pipeline, on the thread ---- */

static void add(command_t *command, str_t argument)
{
    command->argv[command->argc] = argument.data != NULL ? argument.data : "";
    command->sizes[command->argc++] = argument.size;
}

static void write_command(command_t *command, const call_t *calls)
{
    int count = 0;
    command->argc = 0;
    add(command, STR_LITERAL("EVAL"));
    add(command, STR_LITERAL(script));
    add(command, (str_t){NULL, 0}); /* how many keys: below */
    for (const call_t *call = calls; call != NULL; call = call->next) {
        const queued_webhook_t *webhook = call->webhook;
        told_t *told = &command->told[count++];
        const int size = snprintf(told->key, sizeof told->key, "idemp:webhook:%s:%s", webhook->psp,
                                  webhook->event_id);
        CHECK(size > 0 && size < (int)sizeof told->key);
        snprintf(told->received_at_us, sizeof told->received_at_us, "%lld",
                 (long long)webhook->received_at_us);
        uuid_format(webhook->payment_id, told->payment_id);
        uuid_format(webhook->request_id, told->request_id);
        add(command, str_of(told->key));
    }
    snprintf(command->count, sizeof command->count, "%d", count);
    command->argv[HEAD - 1] = command->count;
    command->sizes[HEAD - 1] = strlen(command->count);
    count = 0;
    for (const call_t *call = calls; call != NULL; call = call->next) {
        const queued_webhook_t *webhook = call->webhook;
        const told_t *told = &command->told[count++];
        add(command, str_of(webhook->psp));
        add(command, str_of(webhook->event_id));
        add(command, str_of(told->payment_id));
        add(command, str_of(told->received_at_us));
        add(command, str_of(told->request_id));
        add(command, str_of(webhook->traceparent));
        add(command, webhook->headers);
        add(command, webhook->body);
    }
}

/* The answers, in the calls' order. */
static err_t take_answers(redis_thread_t *self, call_t *calls, err_detail_t *detail)
{
    redisReply *reply = NULL;
    command_t *command = &self->command;
    TRY(redis_command_argv(self->redis, command->argc, command->argv, command->sizes, &reply,
                           detail));
    err_t err = ERR_OK;
    size_t n = 0;
    for (call_t *call = calls; call != NULL; call = call->next, n++) {
        const redisReply *answer =
            reply->type == REDIS_REPLY_ARRAY && n < reply->elements ? reply->element[n] : NULL;
        if (answer == NULL || answer->type != REDIS_REPLY_INTEGER)
            err = err_set(detail, ERR_QUEUE_UNAVAILABLE, "no answer of Redis about a webhook");
        else
            call->duplicate = answer->integer == 0;
    }
    freeReplyObject(reply);
    return err;
}

static void answer(redis_thread_t *self, call_t *call)
{
    pthread_mutex_lock(&self->lock);
    call->done = true;
    pthread_cond_signal(&call->answered);
    pthread_mutex_unlock(&self->lock);
}

static void run_pipeline(redis_thread_t *self, call_t *calls)
{
    err_detail_t detail = {{0}};
    write_command(&self->command, calls);
    err_t err = take_answers(self, calls, &detail);
    if (err == ERR_UNPROCESSABLE) /* whatever Redis says: the PSP is to send it again */
        err = ERR_QUEUE_UNAVAILABLE;
    if (err != ERR_OK)
        log_limited(LOG_LEVEL_WARN, NULL, "webhooks not queued", "detail=\"%s\"", detail.text);
    for (call_t *call = calls, *next; call != NULL; call = next) {
        next = call->next; /* once answered, the call is gone */
        call->err = err;
        call->detail = detail;
        answer(self, call);
    }
    atomic_store(&self->healthy, err == ERR_OK);
}

static void ping(redis_thread_t *self)
{
    redisReply *reply = NULL;
    err_detail_t detail = {{0}};
    const err_t err = redis_command(self->redis, &reply, &detail, "PING");
    if (reply != NULL)
        freeReplyObject(reply);
    atomic_store(&self->healthy, err == ERR_OK);
}

/* Takes what waits, up to the bounds of a pipeline, waiting a second for the first. NULL: none
 * came, or stopping. */
static call_t *take_calls(redis_thread_t *self)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PING_EVERY_MS / 1000;
    pthread_mutex_lock(&self->lock);
    while (self->first == NULL && !self->stopping)
        if (pthread_cond_timedwait(&self->work, &self->lock, &until) != 0)
            break;
    call_t *calls = self->first, **end = &self->first;
    size_t taken = 0, bytes = 0;
    for (; *end != NULL && taken < PIPELINE_MAX && bytes < PIPELINE_BODIES_MAX_BYTES; taken++) {
        bytes += (*end)->webhook->body.size;
        end = &(*end)->next;
    }
    self->first = *end;
    *end = NULL;
    self->waiting -= taken;
    if (self->first == NULL)
        self->last = &self->first;
    pthread_mutex_unlock(&self->lock);
    return taken > 0 ? calls : NULL;
}

static void *run(void *arg)
{
    redis_thread_t *self = arg;
    ping(self);
    for (;;) {
        call_t *calls = take_calls(self);
        if (calls != NULL) {
            run_pipeline(self, calls);
            continue;
        }
        pthread_mutex_lock(&self->lock);
        const bool stopping = self->stopping;
        pthread_mutex_unlock(&self->lock);
        if (stopping)
            return NULL;
        ping(self);
    }
}

/* ---- the callers' side ---- */

redis_thread_t *redis_thread_new(const char *redis_url, err_detail_t *detail)
{
    redis_thread_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->redis = redis_new(redis_url, REDIS_COMMAND_TIMEOUT_MS, detail);
    if (self->redis == NULL) {
        free(self);
        return NULL;
    }
    self->last = &self->first;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    CHECK(pthread_create(&self->thread, NULL, run, self) == 0);
    return self;
}

void redis_thread_destroy(redis_thread_t **self_p)
{
    redis_thread_t *self = *self_p;
    if (self == NULL)
        return;
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    for (call_t *call = self->first, *next; call != NULL; call = next) {
        next = call->next;
        call->err = ERR_SHUTTING_DOWN;
        call->done = true;
        pthread_cond_signal(&call->answered);
    }
    self->first = NULL;
    self->last = &self->first;
    self->waiting = 0;
    pthread_cond_signal(&self->work);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    redis_destroy(&self->redis);
    pthread_cond_destroy(&self->work);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

err_t redis_thread_append(redis_thread_t *self, const queued_webhook_t *webhook, bool *duplicate,
                          err_detail_t *detail)
{
    call_t call = {.webhook = webhook};
    pthread_cond_init(&call.answered, NULL);
    pthread_mutex_lock(&self->lock);
    if (self->stopping) {
        call.err = ERR_SHUTTING_DOWN;
    } else if (self->waiting == WAITING_MAX) {
        call.err = err_set(&call.detail, ERR_BUSY, "%d webhooks wait already", WAITING_MAX);
    } else {
        *self->last = &call;
        self->last = &call.next;
        self->waiting++;
        pthread_cond_signal(&self->work);
        while (!call.done)
            pthread_cond_wait(&call.answered, &self->lock);
    }
    pthread_mutex_unlock(&self->lock);
    pthread_cond_destroy(&call.answered);
    *duplicate = call.duplicate;
    *detail = call.detail;
    return call.err;
}

bool redis_thread_healthy(const redis_thread_t *self)
{
    return atomic_load(&self->healthy);
}
