/* redis_thread.c - see redis_thread.h.
 *
 * Waiting HTTP threads hang their call, which lives on their stack, into one list and sleep; the
 * thread takes the whole list, sends it as one pipeline, and wakes each caller with its answer. A
 * call is answered exactly once, so its memory is never touched after its owner has gone on.
 *
 * A key that is there was set after the commit of the same event for the same payment: nothing is
 * lost by not queueing it again. One that is set between the question and the append is queued once
 * more, and the processor finds that it was applied. (Both in one script cost Redis five times as
 * much.)
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

enum { WAITING_MAX = 4096, PIPELINE_MAX = 256, PING_EVERY_MS = 1000, KEY_SIZE = 256 };

typedef struct call {
    struct call *next;
    const queued_webhook_t *webhook;
    bool done;
    bool duplicate;
    err_t err;
    err_detail_t detail;
    pthread_cond_t answered;
} call_t;

struct redis_thread {
    redis_t *redis;
    pthread_t thread;
    char keys[PIPELINE_MAX][KEY_SIZE]; /* of the pipeline */
    pthread_mutex_t lock;              /* everything below */
    pthread_cond_t work;
    call_t *first, **last;
    size_t waiting;
    bool stopping;
    _Atomic bool healthy;
};

/* ---- one pipeline, on the thread ---- */

/* Which of them are repetitions of what was applied already: asked with one command for all. */
static err_t find_duplicates(redis_thread_t *self, call_t *calls, err_detail_t *detail)
{
    const char *argv[1 + PIPELINE_MAX] = {"MGET"};
    size_t sizes[1 + PIPELINE_MAX] = {4};
    int argc = 1;
    for (const call_t *call = calls; call != NULL; call = call->next, argc++) {
        const int size = snprintf(self->keys[argc - 1], KEY_SIZE, "idemp:webhook:%s:%s",
                                  call->webhook->psp, call->webhook->event_id);
        CHECK(size > 0 && size < KEY_SIZE);
        argv[argc] = self->keys[argc - 1];
        sizes[argc] = (size_t)size;
    }
    redisReply *reply = NULL;
    redis_append_argv(self->redis, argc, argv, sizes);
    err_t err = redis_next_reply(self->redis, &reply, detail);
    if (err == ERR_OK &&
        (reply->type != REDIS_REPLY_ARRAY || reply->elements != (size_t)(argc - 1)))
        err = err_set(detail, ERR_QUEUE_UNAVAILABLE, "MGET: %s",
                      reply->type == REDIS_REPLY_ERROR ? reply->str : "not an array");
    size_t n = 0;
    for (call_t *call = calls; err == ERR_OK && call != NULL; call = call->next, n++) {
        char payment_id[UUID_TEXT_SIZE];
        const redisReply *known = reply->element[n];
        call->duplicate =
            known->type == REDIS_REPLY_STRING &&
            strcmp(known->str, uuid_format(call->webhook->payment_id, payment_id)) == 0;
    }
    if (reply != NULL)
        freeReplyObject(reply);
    return err;
}

static void append(redis_t *redis, const queued_webhook_t *webhook)
{
    char payment_id[UUID_TEXT_SIZE], request_id[UUID_TEXT_SIZE], received_at[24];
    snprintf(received_at, sizeof received_at, "%lld", (long long)webhook->received_at_us);
    uuid_format(webhook->payment_id, payment_id);
    uuid_format(webhook->request_id, request_id);
    const str_t arguments[] = {STR_LITERAL("XADD"),
                               STR_LITERAL("stream:webhooks"),
                               STR_LITERAL("*"),
                               STR_LITERAL("source"),
                               STR_LITERAL("webhook"),
                               STR_LITERAL("psp"),
                               str_of(webhook->psp),
                               STR_LITERAL("event_id"),
                               str_of(webhook->event_id),
                               STR_LITERAL("payment_id"),
                               str_of(payment_id),
                               STR_LITERAL("received_at_us"),
                               str_of(received_at),
                               STR_LITERAL("request_id"),
                               str_of(request_id),
                               STR_LITERAL("traceparent"),
                               str_of(webhook->traceparent),
                               STR_LITERAL("headers"),
                               webhook->headers,
                               STR_LITERAL("body"),
                               webhook->body};
    enum { COUNT = sizeof arguments / sizeof *arguments };
    const char *argv[COUNT];
    size_t sizes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        argv[i] = arguments[i].data;
        sizes[i] = arguments[i].size;
    }
    redis_append_argv(redis, COUNT, argv, sizes);
}

static void take_answer(redis_t *redis, call_t *call)
{
    redisReply *reply = NULL;
    call->err = redis_next_reply(redis, &reply, &call->detail);
    if (call->err == ERR_OK && reply->type == REDIS_REPLY_ERROR)
        call->err = err_set(&call->detail, ERR_QUEUE_UNAVAILABLE, "%s", reply->str);
    if (reply != NULL)
        freeReplyObject(reply);
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
    const err_t asked = find_duplicates(self, calls, &detail);
    for (const call_t *call = calls; asked == ERR_OK && call != NULL; call = call->next)
        if (!call->duplicate)
            append(self->redis, call->webhook);
    bool all_well = true;
    for (call_t *call = calls, *next; call != NULL; call = next) {
        next = call->next; /* once answered, the call is gone */
        if (asked != ERR_OK) {
            call->err = asked;
            call->detail = detail;
        } else if (!call->duplicate) {
            take_answer(self->redis, call);
        }
        if (call->err != ERR_OK) {
            all_well = false;
            log_limited(LOG_LEVEL_WARN, NULL, "webhook not queued", "detail=\"%s\"",
                        call->detail.text);
        }
        answer(self, call);
    }
    atomic_store(&self->healthy, all_well);
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

/* Takes up to PIPELINE_MAX calls, waiting a second for the first. NULL: none came, or stopping. */
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
    size_t taken = 0;
    for (; *end != NULL && taken < PIPELINE_MAX; taken++)
        end = &(*end)->next;
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
