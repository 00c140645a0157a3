/* redis.h - Redis for one thread: a blocking connection that comes back by itself and applies its timeouts again.
 *
 * hiredis loses the socket timeout on redisReconnect and keeps a context dead after an error, so a context that failed is freed
 * and a new one made. After a failed connect, calls fail at once for a growing while (50 ms … 1 s).
 * Errors: ERR_QUEUE_UNAVAILABLE: no answer, and whether the command ran is not known; or the server says that it cannot do its
 * work now (LOADING, READONLY, OOM, MISCONF …). ERR_UNPROCESSABLE: Redis answered with another error (its text in `detail`).
 * The process ignores SIGPIPE from redis_new on: hiredis writes to closed sockets.
 */
#ifndef TIFFIN_LIB_REDIS_H
#define TIFFIN_LIB_REDIS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

#include "lib/err.h"

typedef struct redis redis_t;

/* `url`: redis://[[user]:password@]host[:port][/db], percent-encoded. NULL with `detail` when it is none (a configuration error). */
redis_t *redis_new(const char *url, int command_timeout_ms, err_detail_t *detail);
void redis_destroy(redis_t **self_p);
/* Connected now (tries once, within the bounds above)? */
bool redis_ready(redis_t *self);
/* Grows by one with each new connection: what was set up on the old one (SUBSCRIBE) is gone. */
unsigned redis_generation(const redis_t *self);
/* The socket, or -1 when not connected. */
int redis_fd(const redis_t *self);
/* Drops the connection: after a blocking read was given up, since Redis would still hand the next entry to it. Replies
 * still owed are forgotten. */
void redis_drop(redis_t *self);

/* One command; on ERR_OK the reply is the caller's (freeReplyObject). */
err_t redis_command_argv(redis_t *self, int argc, const char **argv, const size_t *argv_sizes, redisReply **reply,
                         err_detail_t *detail) MUST_CHECK;
err_t redis_command(redis_t *self, redisReply **reply, err_detail_t *detail, const char *format, ...) MUST_CHECK;

/* Pipelining: append as many as wanted, then take that many replies in order. Nothing is written before the first reply is
 * asked for. After an error every reply still owed is lost (ERR_QUEUE_UNAVAILABLE each). A reply of type REDIS_REPLY_ERROR is
 * given to the caller as it is. */
void redis_append_argv(redis_t *self, int argc, const char **argv, const size_t *argv_sizes);
err_t redis_next_reply(redis_t *self, redisReply **reply, err_detail_t *detail) MUST_CHECK;
/* The same, where an error reply becomes an error, as it does of redis_command. */
err_t redis_take_reply(redis_t *self, redisReply **reply, err_detail_t *detail) MUST_CHECK;

/* For a subscriber, once redis_fd is readable: the next message that has arrived, *reply NULL when there is no further one.
 * Never waits; call it until it gives NULL, since several messages can arrive in one read. */
err_t redis_try_reply(redis_t *self, redisReply **reply, err_detail_t *detail) MUST_CHECK;

#endif
