/* redis.c - the Redis connection: hiredis' blocking context, made again after every failure.
 *
 * Used by the one thread that owns the redis_t. What must never happen: an answer given to another
 * command than its own. So after any failure, a timeout included, the context is freed and every
 * reply still owed counts as lost; lost ones are told first, in the order of their commands, before
 * any reply of a newer connection.
 */
#include "lib/redis.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/redis_url.h"

enum {
    BACKOFF_MIN_MS = 50,
    BACKOFF_MAX_MS = 1000,
};

struct redis {
    redis_url_t url;
    int command_timeout_ms;
    redisContext *context; /* NULL, or connected and greeted */
    unsigned generation;
    int backoff_ms;
    int64_t retry_at_ms;
    char trouble[160]; /* why there is no connection */
    size_t lost;       /* replies that never come; before the owed ones */
    size_t owed;       /* replies that the context will give */
};

/* Ends the connection; what it owed is lost. The one place where a connection ends. */
static void drop(redis_t *self, const char *why)
{
    snprintf(self->trouble, sizeof(self->trouble), "%s", why);
    if (self->context)
        redisFree(self->context);
    self->context = NULL;
    self->lost += self->owed;
    self->owed = 0;
}

static void fail(redis_t *self)
{
    const redisContext *context = self->context;
    bool timed_out = context->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK);
    char why[sizeof(context->errstr)];
    snprintf(why, sizeof(why), "%s", timed_out ? "no answer in time" : context->errstr);
    drop(self, why);
    char quoted[256];
    log_limited(LOG_LEVEL_WARN, NULL, "redis connection ended", "reason=%s",
                log_quote(quoted, sizeof(quoted), why));
}

static struct timeval timeval_of(int ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000L};
}

/* One command of the greeting; false with `trouble` set when the server does not say yes. */
static bool greet(redis_t *self, redisContext *context, int argc, const char **argv)
{
    redisReply *reply = redisCommandArgv(context, argc, argv, NULL);
    bool good = reply && reply->type == REDIS_REPLY_STATUS;
    if (!good)
        snprintf(self->trouble, sizeof(self->trouble), "%s",
                 reply && reply->type == REDIS_REPLY_ERROR ? reply->str : context->errstr);
    freeReplyObject(reply);
    return good;
}

/* AUTH, SELECT and a PING: a server that still loads its data refuses the PING and is no connection
 * yet. */
static bool greet_all(redis_t *self, redisContext *context)
{
    const redis_url_t *url = &self->url;
    if (url->password[0]) {
        const char *auth[] = {"AUTH", url->user, url->password};
        const char *auth_default[] = {"AUTH", url->password};
        if (!greet(self, context, url->user[0] ? 3 : 2, url->user[0] ? auth : auth_default))
            return false;
    }
    if (url->db != 0) {
        char db[16];
        snprintf(db, sizeof(db), "%d", url->db);
        const char *select_db[] = {"SELECT", db};
        if (!greet(self, context, 2, select_db))
            return false;
    }
    const char *ping[] = {"PING"};
    return greet(self, context, 1, ping);
}

/* A connected, greeted context with the command timeout set, or NULL with `trouble`. */
static redisContext *open_context(redis_t *self)
{
    redisContext *context = redisConnectWithTimeout(self->url.host, self->url.port,
                                                    timeval_of(REDIS_CONNECT_TIMEOUT_MS));
    CHECK(context); /* out of memory */
    if (context->err) {
        snprintf(self->trouble, sizeof(self->trouble), "%s", context->errstr);
        redisFree(context);
        return NULL;
    }
    int on = 1;
    bool good = setsockopt(context->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 &&
                fcntl(context->fd, F_SETFD, FD_CLOEXEC) == 0 &&
                redisEnableKeepAlive(context) == REDIS_OK &&
                redisSetTimeout(context, timeval_of(REDIS_CONNECT_TIMEOUT_MS)) == REDIS_OK;
    if (!good)
        snprintf(self->trouble, sizeof(self->trouble), "socket options: %s", strerror(errno));
    good = good && greet_all(self, context) &&
           redisSetTimeout(context, timeval_of(self->command_timeout_ms)) == REDIS_OK;
    if (!good) {
        redisFree(context);
        return NULL;
    }
    return context;
}

static bool connect_now(redis_t *self)
{
    if (clock_mono_ms() < self->retry_at_ms)
        return false;
    self->context = open_context(self);
    if (self->context) {
        self->generation++;
        self->backoff_ms = 0;
        log_debug(NULL, "redis connected", "generation=%u", self->generation);
        return true;
    }
    self->backoff_ms = self->backoff_ms ? self->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (self->backoff_ms > BACKOFF_MAX_MS)
        self->backoff_ms = BACKOFF_MAX_MS;
    self->retry_at_ms = clock_mono_ms() + self->backoff_ms;
    return false;
}

/* The peer closed or reset an idle connection? Bytes that wait (a subscriber's messages) are fine.
 */
static bool is_dead(const redisContext *context)
{
    char byte;
    ssize_t size = recv(context->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return size == 0 || (size < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

bool redis_ready(redis_t *self)
{
    if (self->context && self->owed == 0 && is_dead(self->context))
        drop(self, "closed by the server");
    return self->context || connect_now(self);
}

redis_t *redis_new(const char *url, int command_timeout_ms, err_detail_t *detail)
{
    CHECK(command_timeout_ms > 0);
    redis_t *self = calloc(1, sizeof(*self));
    CHECK(self);
    self->command_timeout_ms = command_timeout_ms;
    if (redis_url_parse(url, &self->url, detail) != ERR_OK) {
        free(self);
        return NULL;
    }
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
        action.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &action, NULL);
    }
    return self;
}

void redis_destroy(redis_t **self_p)
{
    redis_t *self = *self_p;
    if (!self)
        return;
    if (self->context)
        redisFree(self->context);
    free(self);
    *self_p = NULL;
}

unsigned redis_generation(const redis_t *self)
{
    return self->generation;
}

int redis_fd(const redis_t *self)
{
    return self->context ? self->context->fd : -1;
}

void redis_drop(redis_t *self)
{
    drop(self, "dropped");
    self->lost = 0;
}

static err_t unavailable(const redis_t *self, err_detail_t *detail)
{
    return err_set(detail, ERR_QUEUE_UNAVAILABLE, "%s", self->trouble);
}

void redis_append_argv(redis_t *self, int argc, const char **argv, const size_t *argv_sizes)
{
    if (!redis_ready(self)) {
        self->lost++;
        return;
    }
    self->owed++;
    if (redisAppendCommandArgv(self->context, argc, argv, argv_sizes) != REDIS_OK)
        fail(self);
}

err_t redis_next_reply(redis_t *self, redisReply **reply, err_detail_t *detail)
{
    *reply = NULL;
    if (self->lost > 0) {
        self->lost--;
        return unavailable(self, detail);
    }
    if (!self->context)
        return unavailable(self, detail);
    void *answer = NULL;
    errno = 0;
    if (redisGetReply(self->context, &answer) != REDIS_OK) {
        fail(self);
        if (self->lost > 0)
            self->lost--; /* this one */
        return unavailable(self, detail);
    }
    if (self->owed > 0)
        self->owed--;
    *reply = answer;
    return ERR_OK;
}

err_t redis_try_reply(redis_t *self, redisReply **reply, err_detail_t *detail)
{
    *reply = NULL;
    if (!self->context)
        return unavailable(self, detail);
    for (;;) {
        void *answer = NULL;
        if (redisGetReplyFromReader(self->context, &answer) != REDIS_OK)
            break;
        if (answer) {
            *reply = answer;
            return ERR_OK;
        }
        struct pollfd pollfd = {.fd = self->context->fd, .events = POLLIN};
        if (poll(&pollfd, 1, 0) <= 0)
            return ERR_OK;
        if (redisBufferRead(self->context) != REDIS_OK)
            break;
    }
    fail(self);
    return unavailable(self, detail);
}

/* Errors that say "not now" instead of "not so". */
static const struct {
    const char *prefix;
    bool elsewhere; /* another server may serve us: the next command connects again */
} transient_errors[] = {
    {"LOADING ", true},     {"READONLY ", true},     {"MASTERDOWN ", true},
    {"OOM ", false},        {"MISCONF ", false},     {"BUSY ", false},
    {"NOREPLICAS ", false}, {"CLUSTERDOWN ", false}, {"TRYAGAIN ", false},
};

err_t redis_take_reply(redis_t *self, redisReply **reply, err_detail_t *detail)
{
    TRY(redis_next_reply(self, reply, detail));
    CHECK(*reply);
    if ((*reply)->type != REDIS_REPLY_ERROR)
        return ERR_OK;
    const char *text = (*reply)->str;
    err_t err = ERR_UNPROCESSABLE;
    bool elsewhere = false;
    for (size_t i = 0; i < sizeof(transient_errors) / sizeof(transient_errors[0]); i++) {
        if (strncmp(text, transient_errors[i].prefix, strlen(transient_errors[i].prefix)) == 0) {
            err = ERR_QUEUE_UNAVAILABLE;
            elsewhere = transient_errors[i].elsewhere;
        }
    }
    err_set(detail, err, "%s", text);
    if (elsewhere)
        drop(self, text);
    freeReplyObject(*reply);
    *reply = NULL;
    return err;
}

err_t redis_command_argv(redis_t *self, int argc, const char **argv, const size_t *argv_sizes,
                         redisReply **reply, err_detail_t *detail)
{
    CHECK(self->owed == 0 &&
          self->lost == 0); /* a pipeline's replies are taken before the next command */
    redis_append_argv(self, argc, argv, argv_sizes);
    return redis_take_reply(self, reply, detail);
}

err_t redis_command(redis_t *self, redisReply **reply, err_detail_t *detail, const char *format,
                    ...)
{
    CHECK(self->owed == 0 && self->lost == 0);
    *reply = NULL;
    char *command = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = redisvFormatCommand(&command, format, arguments);
    va_end(arguments);
    CHECK(size > 0);
    if (!redis_ready(self)) {
        redisFreeCommand(command);
        return unavailable(self, detail);
    }
    self->owed++;
    if (redisAppendFormattedCommand(self->context, command, (size_t)size) != REDIS_OK)
        fail(self);
    redisFreeCommand(command);
    return redis_take_reply(self, reply, detail);
}
