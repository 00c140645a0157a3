/* actor.c - one zloop per process, made safe for handlers that add and remove things.
 *
 * Everything that zloop calls goes through a slot of this file's tables, never straight to the
 * handler, for zloop 4.2 itself calls, in the pass in which they are removed, a timer that another
 * timer's handler ended and a reader that a timer's handler ended. A slot that was emptied
 * meanwhile swallows such a call; a slot that was taken again gets at most one call too many, which
 * a handler that reads without blocking does not notice.
 *
 * Must never happen: a handler that blocks for longer than a database timeout (heartbeats stand
 * still), a signal handler of anybody (each one ends zloop), a call from another thread than the
 * one in actor_run.
 */
#include "lib/actor.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/resident.h"

enum {
    ACTOR_SOURCES_MAX =
        256, /* sockets and descriptors: two for each gateway and what a service adds */
    ACTOR_TIMERS_MAX = 64,
    IDLE_CHECK_MS = 5,
    TRIM_AFTER_MS = 2000, /* by then a process is connected to all it needs */
};

typedef struct source {
    actor_t *actor;
    actor_fn *handler; /* NULL: the slot is free */
    void *arg;
    zsock_t *socket; /* NULL: it is a descriptor */
    int fd;
} source_t;

typedef struct timer_slot {
    actor_t *actor;
    actor_fn *handler; /* NULL: the slot is free */
    void *arg;
    int id; /* zloop's; never used twice */
} timer_slot_t;

struct actor {
    zloop_t *loop;
    int signal_fd;
    bool running, draining, done, timed_out;
    actor_fn *on_drain;
    bool (*idle)(void *arg);
    void *drain_arg;
    unsigned drain_timeout_ms;
    int64_t drain_deadline_ms;
    source_t sources[ACTOR_SOURCES_MAX];
    timer_slot_t timers[ACTOR_TIMERS_MAX];
};

void actor_process_init(void)
{
    /* Faults stay deliverable, and SIGQUIT for a core dump of a process that hangs. */
    static const int deliverable[] = {SIGSEGV, SIGBUS, SIGFPE,  SIGILL, SIGABRT,
                                      SIGTRAP, SIGSYS, SIGQUIT, SIGPROF};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof deliverable / sizeof *deliverable; i++)
        sigdelset(&blocked, deliverable[i]);
    CHECK(pthread_sigmask(SIG_BLOCK, &blocked, NULL) == 0);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK(zsys_init() != NULL);
    zsys_handler_set(NULL);
}

/* -1 ends zloop. */
static int loop_result(const actor_t *self)
{
    return self->done ? -1 : 0;
}

static int on_socket(zloop_t *loop, zsock_t *socket, void *arg)
{
    (void)loop;
    (void)socket;
    source_t *source = arg;
    actor_t *self = source->actor;
    if (source->handler)
        source->handler(source->arg);
    return loop_result(self);
}

static int on_fd(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)item;
    return on_socket(loop, NULL, arg);
}

static int on_timer(zloop_t *loop, int id, void *arg)
{
    timer_slot_t *timer = arg;
    actor_t *self = timer->actor;
    if (timer->handler && timer->id == id)
        timer->handler(timer->arg);
    else
        zloop_timer_end(loop, id); /* it was removed before the loop ran */
    return loop_result(self);
}

static source_t *source_take(actor_t *self, zsock_t *socket, int fd, actor_fn *handler, void *arg)
{
    size_t slot = 0;
    while (slot < ACTOR_SOURCES_MAX && self->sources[slot].handler)
        slot++;
    CHECK(slot < ACTOR_SOURCES_MAX);
    self->sources[slot] = (source_t){self, handler, arg, socket, fd};
    return &self->sources[slot];
}

static void source_free(actor_t *self, const zsock_t *socket, int fd)
{
    for (size_t i = 0; i < ACTOR_SOURCES_MAX; i++) {
        source_t *source = &self->sources[i];
        if (source->handler && source->socket == socket && source->fd == fd)
            source->handler = NULL;
    }
}

void actor_add_socket(actor_t *self, zsock_t *socket, actor_fn *handler, void *arg)
{
    CHECK(socket && handler);
    CHECK(zloop_reader(self->loop, socket, on_socket,
                       source_take(self, socket, -1, handler, arg)) == 0);
    zloop_reader_set_tolerant(self->loop, socket);
}

void actor_remove_socket(actor_t *self, zsock_t *socket)
{
    zloop_reader_end(self->loop, socket);
    source_free(self, socket, -1);
}

void actor_add_fd(actor_t *self, int fd, actor_fn *handler, void *arg)
{
    CHECK(fd >= 0 && handler);
    zmq_pollitem_t item = {.fd = fd, .events = ZMQ_POLLIN};
    CHECK(zloop_poller(self->loop, &item, on_fd, source_take(self, NULL, fd, handler, arg)) == 0);
    /* An error shows as readable, its handler learns it by reading; zloop would drop the descriptor
     * silently. */
    zloop_poller_set_tolerant(self->loop, &item);
}

void actor_remove_fd(actor_t *self, int fd)
{
    zmq_pollitem_t item = {.fd = fd};
    zloop_poller_end(self->loop, &item);
    source_free(self, NULL, fd);
}

int actor_add_timer(actor_t *self, unsigned interval_ms, actor_fn *handler, void *arg)
{
    CHECK(interval_ms > 0 && handler);
    size_t slot = 0;
    while (slot < ACTOR_TIMERS_MAX && self->timers[slot].handler)
        slot++;
    CHECK(slot < ACTOR_TIMERS_MAX);
    int id = zloop_timer(self->loop, interval_ms, 0, on_timer, &self->timers[slot]);
    CHECK(id > 0);
    self->timers[slot] = (timer_slot_t){self, handler, arg, id};
    return id;
}

void actor_remove_timer(actor_t *self, int timer)
{
    for (size_t i = 0; i < ACTOR_TIMERS_MAX; i++) {
        if (self->timers[i].handler && self->timers[i].id == timer)
            self->timers[i].handler = NULL;
    }
    /* Outside the loop zloop would keep the id on a list that it insists to be empty when it is
     * destroyed. */
    if (self->running)
        zloop_timer_end(self->loop, timer);
}

static void check_idle(void *arg)
{
    actor_t *self = arg;
    if (!self->idle || self->idle(self->drain_arg)) {
        self->done = true;
    } else if (clock_mono_ms() >= self->drain_deadline_ms) {
        log_warn(NULL, "drain timed out", "timeout_ms=%u", self->drain_timeout_ms);
        self->timed_out = true;
        self->done = true;
    }
}

static void on_signal(void *arg)
{
    actor_t *self = arg;
    struct signalfd_siginfo info;
    if (read(self->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (info.ssi_signo == SIGHUP)
        return; /* a terminal that closed; nothing is read again on it */
    if (self->draining) {
        log_warn(NULL, "second signal, stopping at once", "signal=%u", info.ssi_signo);
        _exit(128 + (int)info.ssi_signo);
    }
    log_info(NULL, "draining", "signal=%u timeout_ms=%u", info.ssi_signo, self->drain_timeout_ms);
    actor_stop(self);
}

actor_t *actor_new(void)
{
    actor_t *self = calloc(1, sizeof *self);
    CHECK(self);
    self->loop = zloop_new();
    CHECK(self->loop);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    self->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    CHECK(self->signal_fd >= 0);
    actor_add_fd(self, self->signal_fd, on_signal, self);
    return self;
}

void actor_destroy(actor_t **self_p)
{
    actor_t *self = *self_p;
    if (!self)
        return;
    zloop_destroy(&self->loop);
    close(self->signal_fd);
    free(self);
    *self_p = NULL;
}

void actor_set_drain(actor_t *self, actor_fn *on_drain, bool (*idle)(void *arg), void *arg,
                     unsigned drain_timeout_ms)
{
    self->on_drain = on_drain;
    self->idle = idle;
    self->drain_arg = arg;
    self->drain_timeout_ms = drain_timeout_ms;
}

bool actor_draining(const actor_t *self)
{
    return self->draining;
}

void actor_stop(actor_t *self)
{
    if (self->draining)
        return;
    self->draining = true;
    self->drain_deadline_ms = clock_mono_ms() + self->drain_timeout_ms;
    if (self->on_drain)
        self->on_drain(self->drain_arg);
    actor_add_timer(self, IDLE_CHECK_MS, check_idle, self);
}

static int on_started(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    (void)arg;
    resident_trim();
    return 0;
}

int actor_run(actor_t *self)
{
    CHECK(!self->running && !self->done);
    self->running = true;
    zloop_timer(self->loop, TRIM_AFTER_MS, 1, on_started, NULL);
    zloop_start(self->loop);
    self->running = false;
    if (!self->done) {
        log_error(NULL, "loop ended by itself", "reason=\"%s\"", zmq_strerror(errno));
        return 1;
    }
    return self->timed_out ? 1 : 0;
}
