/* health_exchange.c - see health_exchange.h.
 *
 *   health_exchange_tell → outbox → thread → PUBLISH … SUBSCRIBE → thread → inbox → eventfd →
 * on_news
 */
#include "services/router/health_exchange.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/config.h"
#include "lib/json_read.h"
#include "lib/log.h"
#include "lib/redis.h"

#define CHANNEL "routing.calls"

enum {
    WAITING_MAX = 256,
    REDIS_TIMEOUT_MS = 500,
    RECONNECT_EVERY_MS = 500,
    TOOK_MAX_MS = 600000,
};

typedef struct queue {
    health_news_t of[WAITING_MAX];
    size_t count;
} queue_t;

struct health_exchange {
    actor_t *actor;
    const char *instance;
    health_news_fn *on_news;
    void *arg;
    redis_t *publisher, *subscriber; /* the thread's */
    unsigned generation;             /* of the connection that is subscribed; 0: none */
    pthread_t thread;
    atomic_bool stopping;
    int wake_fd;          /* of the thread: there is something in the outbox, or it is to stop */
    int news_fd;          /* of the actor: there is something in the inbox */
    pthread_mutex_t lock; /* of both queues */
    queue_t outbox, inbox;
};

/* ---- messages ---- */

void health_news_write(buf_t *json, const health_news_t *news, const char *instance)
{
    json_open_object(json, NULL);
    json_text(json, "from", instance);
    json_text(json, "gateway", psp_name(news->psp));
    json_text(json, "method", news->method);
    json_text(json, "currency", news->currency);
    if (news->probe) {
        json_bool(json, "probe", true);
    } else {
        json_text(json, "fault", psp_fault_name(news->fault));
        json_int(json, "took_ms", news->took_ms);
    }
    json_close_object(json);
}

static bool read_fault(str_t name, psp_fault_t *fault)
{
    unsigned i = 0;
    while (i < PSP_FAULT_COUNT && !str_is(name, psp_fault_name((psp_fault_t)i)))
        i++;
    *fault = (psp_fault_t)i;
    return i < PSP_FAULT_COUNT;
}

static bool read_ended(const json_t *root, health_news_t *news)
{
    const json_t *took_ms = json_object_get(root, "took_ms");
    news->took_ms = json_integer_value(took_ms);
    return read_fault(json_read_str(root, "fault"), &news->fault) && json_is_integer(took_ms) &&
           news->took_ms >= 0 && news->took_ms <= TOOK_MAX_MS;
}

bool health_news_read(str_t json, const char *instance, health_news_t *news)
{
    err_detail_t detail;
    json_t *root = json_read_object(json, &detail);
    if (root == NULL)
        return false;
    const str_t from = json_read_str(root, "from"), method = json_read_str(root, "method");
    const str_t currency = json_read_str(root, "currency");
    memset(news, 0, sizeof *news);
    news->psp = psp_find(json_read_str(root, "gateway"));
    news->probe = json_is_true(json_object_get(root, "probe"));
    const bool taken = from.size > 0 && !str_is(from, instance) && news->psp != NULL &&
                       method.size > 0 && method.size < sizeof news->method && currency.size == 3 &&
                       (news->probe || read_ended(root, news));
    if (taken) {
        str_copy(method, news->method, sizeof news->method);
        str_copy(currency, news->currency, sizeof news->currency);
    }
    json_decref(root);
    return taken;
}

/* ---- queues ---- */

static void signal_fd(int fd)
{
    const uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof one);
    CHECK(written == (ssize_t)sizeof one || errno == EAGAIN);
}

static void clear_fd(int fd)
{
    uint64_t count;
    ssize_t size = read(fd, &count, sizeof count);
    CHECK(size == (ssize_t)sizeof count || errno == EAGAIN);
}

static void put(health_exchange_t *self, queue_t *queue, const health_news_t *news, int fd)
{
    CHECK(pthread_mutex_lock(&self->lock) == 0);
    if (queue->count < WAITING_MAX)
        queue->of[queue->count++] = *news;
    CHECK(pthread_mutex_unlock(&self->lock) == 0);
    signal_fd(fd);
}

static void take_all(health_exchange_t *self, queue_t *queue, queue_t *taken)
{
    CHECK(pthread_mutex_lock(&self->lock) == 0);
    *taken = *queue;
    queue->count = 0;
    CHECK(pthread_mutex_unlock(&self->lock) == 0);
}

/* ---- the thread ---- */

static void publish_all(health_exchange_t *self)
{
    queue_t news;
    buf_t json = {0};
    clear_fd(self->wake_fd);
    take_all(self, &self->outbox, &news);
    for (size_t i = 0; i < news.count; i++) {
        redisReply *reply = NULL;
        err_detail_t detail = {{0}};
        buf_clear(&json);
        health_news_write(&json, &news.of[i], self->instance);
        if (redis_command(self->publisher, &reply, &detail, "PUBLISH " CHANNEL " %b", json.data,
                          json.size) != ERR_OK) {
            log_limited(LOG_LEVEL_WARN, NULL, "other routers not told", "detail=\"%s\"",
                        detail.text);
            break; /* the rest would wait as long */
        }
        freeReplyObject(reply);
    }
    buf_free(&json);
}

static bool is_subscribed(const health_exchange_t *self)
{
    return redis_fd(self->subscriber) >= 0 &&
           redis_generation(self->subscriber) == self->generation;
}

static void subscribe(health_exchange_t *self)
{
    redisReply *reply = NULL;
    err_detail_t detail = {{0}};
    if (redis_command(self->subscriber, &reply, &detail, "SUBSCRIBE " CHANNEL) == ERR_OK) {
        freeReplyObject(reply);
        self->generation = redis_generation(self->subscriber);
        return;
    }
    log_limited(LOG_LEVEL_WARN, NULL, "other routers not heard", "detail=\"%s\"", detail.text);
    redis_drop(self->subscriber);
}

/* ["message", channel, payload] */
static void receive(health_exchange_t *self, const redisReply *reply)
{
    health_news_t news;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
        reply->element[2]->type == REDIS_REPLY_STRING &&
        health_news_read((str_t){reply->element[2]->str, (uint32_t)reply->element[2]->len},
                         self->instance, &news))
        put(self, &self->inbox, &news, self->news_fd);
}

static void receive_all(health_exchange_t *self)
{
    for (;;) {
        redisReply *reply = NULL;
        err_detail_t detail = {{0}};
        if (redis_try_reply(self->subscriber, &reply, &detail) != ERR_OK || reply == NULL)
            return;
        receive(self, reply);
        freeReplyObject(reply);
    }
}

static void *run(void *arg)
{
    health_exchange_t *self = arg;
    while (!atomic_load(&self->stopping)) {
        if (!is_subscribed(self))
            subscribe(self);
        struct pollfd fds[] = {
            {.fd = self->wake_fd, .events = POLLIN},
            {.fd = is_subscribed(self) ? redis_fd(self->subscriber) : -1, .events = POLLIN}};
        if (poll(fds, 2, RECONNECT_EVERY_MS) <= 0)
            continue;
        if (fds[0].revents != 0)
            publish_all(self);
        if (fds[1].revents != 0)
            receive_all(self);
    }
    return NULL;
}

/* ---- the actor's side ---- */

static void on_inbox(void *arg)
{
    health_exchange_t *self = arg;
    queue_t news;
    clear_fd(self->news_fd);
    take_all(self, &self->inbox, &news);
    for (size_t i = 0; i < news.count; i++)
        self->on_news(self->arg, &news.of[i]);
}

void health_exchange_tell(health_exchange_t *self, const health_news_t *news)
{
    put(self, &self->outbox, news, self->wake_fd);
}

static redis_t *connection_to(const char *url)
{
    err_detail_t detail = {{0}};
    redis_t *redis = redis_new(url, REDIS_TIMEOUT_MS, &detail);
    if (redis == NULL)
        config_refuse("REDIS_URL", detail.text);
    return redis;
}

health_exchange_t *health_exchange_new(actor_t *actor, const char *url, const char *instance,
                                       health_news_fn *on_news, void *arg)
{
    health_exchange_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->actor = actor;
    self->instance = instance;
    self->on_news = on_news;
    self->arg = arg;
    self->publisher = connection_to(url);
    self->subscriber = connection_to(url);
    self->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->news_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(self->wake_fd >= 0 && self->news_fd >= 0);
    CHECK(pthread_mutex_init(&self->lock, NULL) == 0);
    actor_add_fd(actor, self->news_fd, on_inbox, self);
    CHECK(pthread_create(&self->thread, NULL, run, self) == 0);
    return self;
}

void health_exchange_destroy(health_exchange_t **self_p)
{
    health_exchange_t *self = *self_p;
    if (self == NULL)
        return;
    atomic_store(&self->stopping, true);
    signal_fd(self->wake_fd);
    CHECK(pthread_join(self->thread, NULL) == 0);
    actor_remove_fd(self->actor, self->news_fd);
    close(self->wake_fd);
    close(self->news_fd);
    CHECK(pthread_mutex_destroy(&self->lock) == 0);
    redis_destroy(&self->publisher);
    redis_destroy(&self->subscriber);
    free(self);
    *self_p = NULL;
}
