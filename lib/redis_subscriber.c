/* redis_subscriber.c - see redis_subscriber.h. */
#include "lib/redis_subscriber.h"

#include <stdlib.h>
#include <string.h>

#include "lib/limits.h"
#include "lib/log.h"
#include "lib/redis.h"

enum { RECONNECT_EVERY_MS = 500 };

struct redis_subscriber {
    actor_t *actor;
    redis_t *redis;
    const char *const *channels;
    redis_message_fn *on_message;
    void *arg;
    int fd;              /* what the actor watches, or -1 */
    unsigned generation; /* of the connection that is subscribed */
    int timer;
};

static void unwatch(redis_subscriber_t *self)
{
    if (self->fd >= 0)
        actor_remove_fd(self->actor, self->fd);
    self->fd = -1;
}

static str_t text_of(const redisReply *reply)
{
    return (str_t){reply->str, (uint32_t)reply->len};
}

/* [kind, channel, payload or count] */
static void handle(redis_subscriber_t *self, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return;
    const bool is_message = strcmp(reply->element[0]->str, "message") == 0 &&
                            reply->element[2]->type == REDIS_REPLY_STRING;
    const bool is_subscribed = strcmp(reply->element[0]->str, "subscribe") == 0;
    if (is_message || is_subscribed)
        self->on_message(self->arg, text_of(reply->element[1]),
                         is_message ? text_of(reply->element[2]) : (str_t){NULL, 0});
}

static void on_readable(void *arg)
{
    redis_subscriber_t *self = arg;
    for (;;) {
        redisReply *reply = NULL;
        err_detail_t detail = {{0}};
        if (redis_try_reply(self->redis, &reply, &detail) != ERR_OK) {
            log_warn(NULL, "subscription lost", "detail=\"%s\"", detail.text);
            unwatch(self);
            return;
        }
        if (reply == NULL)
            return;
        handle(self, reply);
        freeReplyObject(reply);
    }
}

static err_t subscribe(redis_subscriber_t *self, err_detail_t *detail)
{
    for (const char *const *channel = self->channels; *channel != NULL; channel++) {
        redisReply *reply = NULL;
        TRY(redis_command(self->redis, &reply, detail, "SUBSCRIBE %s", *channel));
        handle(self, reply); /* maybe a message of the channel before: its own confirmation then
                                comes by itself */
        freeReplyObject(reply);
    }
    return ERR_OK;
}

/* Connects and subscribes when there is no subscribed connection. */
static void on_tick(void *arg)
{
    redis_subscriber_t *self = arg;
    if (self->fd >= 0 && redis_fd(self->redis) == self->fd &&
        redis_generation(self->redis) == self->generation)
        return;
    unwatch(self);
    err_detail_t detail = {{0}};
    if (subscribe(self, &detail) != ERR_OK) {
        log_limited(LOG_LEVEL_WARN, NULL, "cannot subscribe", "detail=\"%s\"", detail.text);
        redis_drop(self->redis);
        return;
    }
    self->fd = redis_fd(self->redis);
    self->generation = redis_generation(self->redis);
    actor_add_fd(self->actor, self->fd, on_readable, self);
}

redis_subscriber_t *redis_subscriber_new(actor_t *actor, const char *url,
                                         const char *const *channels, redis_message_fn *on_message,
                                         void *arg, err_detail_t *detail)
{
    redis_t *redis = redis_new(url, REDIS_COMMAND_TIMEOUT_MS, detail);
    if (redis == NULL)
        return NULL;
    redis_subscriber_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->actor = actor;
    self->redis = redis;
    self->channels = channels;
    self->on_message = on_message;
    self->arg = arg;
    self->fd = -1;
    self->timer = actor_add_timer(actor, RECONNECT_EVERY_MS, on_tick, self);
    return self;
}

void redis_subscriber_destroy(redis_subscriber_t **self_p)
{
    redis_subscriber_t *self = *self_p;
    if (self == NULL)
        return;
    actor_remove_timer(self->actor, self->timer);
    unwatch(self);
    redis_destroy(&self->redis);
    free(self);
    *self_p = NULL;
}
