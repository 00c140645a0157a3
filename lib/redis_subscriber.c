/* redis_subscriber.c - see redis_subscriber.h.
 *
 * Plain hiredis in non-blocking mode rather than its async API, which frees contexts under their
 * owner and tells nothing of a connect that failed. A timer sends a PING now and then and drops a
 * connection that has been silent for longer: a peer that vanished without a word is noticed too.
 */
#include "lib/redis_subscriber.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/redis_url.h"

enum { TICK_MS = 500, PING_EVERY_MS = 5000, SILENCE_MAX_MS = 12000 };

struct redis_subscriber {
    actor_t *actor;
    redis_url_t url;
    const char *const *channels;
    redis_message_fn *on_message;
    void *arg;
    redisContext *context; /* NULL: not connected */
    int timer;
    int64_t last_heard_ms, last_ping_ms;
};

static void on_readable(void *arg);

static void disconnect(redis_subscriber_t *self, const char *reason)
{
    log_limited(LOG_LEVEL_WARN, NULL, "subscription lost", "reason=\"%s\"", reason);
    actor_remove_fd(self->actor, self->context->fd);
    redisFree(self->context);
    self->context = NULL;
}

/* Writes what is buffered; the commands are tiny, so one write takes them once the connection is
 * there. */
static bool flush(redis_subscriber_t *self)
{
    int done = 0;
    while (!done)
        if (redisBufferWrite(self->context, &done) != REDIS_OK)
            return false;
        else if (!done && self->context->err == 0)
            return true; /* still connecting: the rest goes out on a later tick */
    return true;
}

static void connect_now(redis_subscriber_t *self)
{
    redisContext *context = redisConnectNonBlock(self->url.host, self->url.port);
    if (context == NULL || context->err != 0) {
        log_limited(LOG_LEVEL_WARN, NULL, "cannot subscribe", "reason=\"%s\"",
                    context != NULL ? context->errstr : "out of memory");
        if (context != NULL)
            redisFree(context);
        return;
    }
    self->context = context;
    self->last_heard_ms = self->last_ping_ms = clock_mono_ms();
    if (self->url.password[0] != '\0' && self->url.user[0] != '\0')
        redisAppendCommand(context, "AUTH %s %s", self->url.user, self->url.password);
    else if (self->url.password[0] != '\0')
        redisAppendCommand(context, "AUTH %s", self->url.password);
    for (const char *const *channel = self->channels; *channel != NULL; channel++)
        redisAppendCommand(context, "SUBSCRIBE %s", *channel);
    actor_add_fd(self->actor, context->fd, on_readable, self);
}

static void handle(redis_subscriber_t *self, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        reply->element[0]->type != REDIS_REPLY_STRING)
        return;
    const char *kind = reply->element[0]->str;
    const redisReply *channel = reply->element[1], *last = reply->element[2];
    if (channel->type != REDIS_REPLY_STRING)
        return;
    const str_t name = {channel->str, (uint32_t)channel->len};
    if (strcmp(kind, "message") == 0 && last->type == REDIS_REPLY_STRING)
        self->on_message(self->arg, name, (str_t){last->str, (uint32_t)last->len});
    else if (strcmp(kind, "subscribe") == 0)
        self->on_message(self->arg, name, (str_t){NULL, 0});
}

static void on_readable(void *arg)
{
    redis_subscriber_t *self = arg;
    if (redisBufferRead(self->context) != REDIS_OK) {
        disconnect(self, self->context->errstr);
        return;
    }
    self->last_heard_ms = clock_mono_ms();
    for (;;) {
        void *reply = NULL;
        if (redisGetReplyFromReader(self->context, &reply) != REDIS_OK) {
            disconnect(self, "protocol error");
            return;
        }
        if (reply == NULL)
            return;
        handle(self, reply);
        freeReplyObject(reply);
    }
}

static void on_tick(void *arg)
{
    redis_subscriber_t *self = arg;
    const int64_t now_ms = clock_mono_ms();
    if (self->context == NULL) {
        connect_now(self);
        if (self->context == NULL)
            return;
    }
    if (now_ms - self->last_heard_ms > SILENCE_MAX_MS) {
        disconnect(self, "silent");
        return;
    }
    if (now_ms - self->last_ping_ms > PING_EVERY_MS) {
        self->last_ping_ms = now_ms;
        redisAppendCommand(self->context, "PING");
    }
    if (!flush(self))
        disconnect(self, self->context->errstr);
}

redis_subscriber_t *redis_subscriber_new(actor_t *actor, const char *url,
                                         const char *const *channels, redis_message_fn *on_message,
                                         void *arg, err_detail_t *detail)
{
    redis_subscriber_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    if (redis_url_parse(url, &self->url, detail) != ERR_OK) {
        free(self);
        return NULL;
    }
    self->actor = actor;
    self->channels = channels;
    self->on_message = on_message;
    self->arg = arg;
    self->timer = actor_add_timer(actor, TICK_MS, on_tick, self);
    on_tick(self);
    return self;
}

void redis_subscriber_destroy(redis_subscriber_t **self_p)
{
    redis_subscriber_t *self = *self_p;
    if (self == NULL)
        return;
    actor_remove_timer(self->actor, self->timer);
    if (self->context != NULL) {
        actor_remove_fd(self->actor, self->context->fd);
        redisFree(self->context);
    }
    free(self);
    *self_p = NULL;
}
