/* hub_thread.c - see hub_thread.h. */
#include "gateway/hub_thread.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "gateway/tap.h"
#include "lib/bus_socket.h"
#include "lib/clock.h"
#include "lib/log.h"

enum {
    FRAMES_PER_TURN = 256,
    ROUTING_ID_SIZE = 5, /* libzmq's own: a zero byte and 32 bits */
    SNAPSHOT_EVERY_MS = 1000,
    BODY_ON_STACK_BYTES = 4096,
    EVENTS_WAITING_MAX = 4096 /* for the tap; more are lost to it */
};

/* What an HTTP thread hands over: a request that it waits for, or an event for the tap. */
typedef struct item {
    struct item *next;
    bool is_event;
    hub_request_t request;
    hub_reply_t *reply;
    int64_t began_us;
    sem_t answered;
} item_t;

struct hub_thread {
    hub_thread_config_t config;
    zsock_t *router, *monitor;
    char *endpoint;
    tap_t *tap;
    hub_t *hub;
    int wake_fd;
    pthread_t thread;
    int64_t started_at_us;

    /* hub thread only */
    uint32_t *peer_of_fd; /* by file descriptor, 0: none */
    size_t peer_of_fd_size;
    bool welcome_is_old, snapshot_is_old;
    int64_t next_snapshot_ms;

    pthread_mutex_t lock; /* everything below */
    item_t *first, **last;
    size_t events_waiting;
    bool sleeping, stopping;
    hub_snapshot_t snapshot;
    _Atomic bool tap_listens;
};

/* ---- frames out: the hub core's sink ---- */

static const char *topic_of(uint32_t message)
{
    const message_schema_t *schema = message_by_id(message);
    return schema != NULL ? schema->name : "unknown.unknown";
}

static void note_request(hub_thread_t *self, uint32_t message, const uuid_t *request_id,
                         const char *traceparent, uint32_t attempt, const uint8_t *body,
                         size_t body_size)
{
    tap_publish(self->tap, &(tap_note_t){.topic = topic_of(message),
                                         .kind = "REQUEST",
                                         .message = message,
                                         .instance = "",
                                         .request_id = request_id,
                                         .traceparent = traceparent,
                                         .attempt = attempt,
                                         .body = body,
                                         .body_size = body_size});
}

static bool on_send(void *arg, uint32_t peer, const bus_header_t *header, const uint8_t *body,
                    size_t body_size)
{
    hub_thread_t *self = arg;
    void *router = zsock_resolve(self->router);
    uint8_t routing_id[ROUTING_ID_SIZE] = {0}, encoded[BUS_HEADER_MAX_BYTES];
    memcpy(routing_id + 1, &peer, sizeof peer);
    const size_t size = bus_header_encode(header, encoded);
    if (zmq_send(router, routing_id, sizeof routing_id, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(router, encoded, size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(router, body, body_size, ZMQ_DONTWAIT) < 0)
        return false;
    if (header->kind == BUS_REQUEST)
        note_request(self, header->message, &header->request_id, header->traceparent,
                     header->attempt, body, body_size);
    return true;
}

static void on_answer(void *arg, const hub_request_t *request, err_t status, const char *instance,
                      int64_t took_ms, uint32_t message, const uint8_t *body, size_t body_size)
{
    hub_thread_t *self = arg;
    item_t *item =
        (item_t *)(uintptr_t)request->token; /* answered exactly once: it is still there */
    const char *topic = topic_of(request->message);
    const int64_t took_us = clock_mono_us() - item->began_us;
    (void)took_ms;
    if (instance[0] == '\0' && status != ERR_DEADLINE &&
        status != ERR_WORKER_LOST) /* it was never sent */
        note_request(self, request->message, &request->request_id, request->traceparent, 0,
                     request->body, request->body_size);
    tap_publish(self->tap, &(tap_note_t){.topic = topic,
                                         .kind = "REPLY",
                                         .message = message,
                                         .instance = instance,
                                         .request_id = &request->request_id,
                                         .traceparent = request->traceparent,
                                         .status = status,
                                         .took_us = took_us,
                                         .body = body,
                                         .body_size = body_size});
    metrics_reply(self->config.metrics, request->service, instance, topic, status, took_us);
    hub_reply_t *reply = item->reply;
    *reply =
        (hub_reply_t){.status = status, .message = message, .body = NULL, .body_size = body_size};
    if (body_size > 0) {
        reply->body = malloc(body_size);
        CHECK(reply->body != NULL);
        memcpy(reply->body, body, body_size);
    }
    sem_post(&item->answered);
}

static void deliver(hub_thread_t *self, const uint8_t *body, size_t body_size)
{
    notifier_event_t event;
    err_detail_t detail = {{0}};
    if (message_decode(MSG_notifier_event, body, body_size, &event, &detail) != ERR_OK)
        log_limited(LOG_LEVEL_ERROR, NULL, "event not understood", "detail=\"%s\"", detail.text);
    else if (websockets_deliver(self->config.websockets, &event))
        self->welcome_is_old = true;
}

static void on_event(void *arg, uint32_t peer, const bus_header_t *header, const uint8_t *body,
                     size_t body_size)
{
    (void)peer;
    hub_thread_t *self = arg;
    const message_schema_t *schema = message_by_id(header->message);
    if (schema == NULL || schema->kind != MESSAGE_EVENT) {
        log_limited(LOG_LEVEL_WARN, NULL, "unknown event", "message=%u instance=%s",
                    header->message, header->instance);
        return;
    }
    if (header->message == MSG_notifier_event)
        deliver(self, body, body_size);
    metrics_event(self->config.metrics, schema->service, header->instance, schema->name);
    tap_publish(self->tap, &(tap_note_t){.topic = schema->name,
                                         .kind = "EVENT",
                                         .message = header->message,
                                         .instance = header->instance,
                                         .request_id = &header->request_id,
                                         .traceparent = header->traceparent,
                                         .body = body,
                                         .body_size = body_size});
}

static void on_worker(void *arg, uint32_t peer, const char *service, const char *instance,
                      bool present, const char *reason)
{
    (void)peer;
    hub_thread_t *self = arg;
    self->snapshot_is_old = true;
    log_info(NULL, present ? "instance joined" : "instance left",
             "service=%s instance=%s reason=\"%s\"", service, instance, reason);
}

static const hub_sink_t sink = {
    .send = on_send, .answer = on_answer, .event = on_event, .worker = on_worker};

/* ---- frames in ---- */

static void remember_fd(hub_thread_t *self, int fd, uint32_t peer)
{
    if (fd < 0)
        return;
    if ((size_t)fd >= self->peer_of_fd_size) {
        const size_t size = (size_t)fd + 64;
        self->peer_of_fd = realloc(self->peer_of_fd, size * sizeof *self->peer_of_fd);
        CHECK(self->peer_of_fd != NULL);
        memset(self->peer_of_fd + self->peer_of_fd_size, 0,
               (size - self->peer_of_fd_size) * sizeof *self->peer_of_fd);
        self->peer_of_fd_size = size;
    }
    self->peer_of_fd[fd] = peer;
}

/* Connections that ended, told by libzmq at once. Read before the frames: a descriptor may be
 * another connection's next. */
static void read_monitor(hub_thread_t *self)
{
    int event, fd;
    while (bus_socket_monitor_read(self->monitor, &event, &fd) == 1) {
        if (event != ZMQ_EVENT_DISCONNECTED || fd < 0 || (size_t)fd >= self->peer_of_fd_size ||
            self->peer_of_fd[fd] == 0)
            continue;
        const uint32_t peer = self->peer_of_fd[fd];
        self->peer_of_fd[fd] = 0;
        hub_peer_lost(self->hub, clock_mono_ms(), peer);
    }
}

static void take_frames(hub_thread_t *self, zmq_msg_t frames[3])
{
    uint32_t peer;
    if (zmq_msg_size(&frames[0]) != ROUTING_ID_SIZE)
        return;
    memcpy(&peer, (const uint8_t *)zmq_msg_data(&frames[0]) + 1, sizeof peer);
    bus_header_t header;
    err_detail_t detail = {{0}};
    if (bus_header_decode(zmq_msg_data(&frames[1]), zmq_msg_size(&frames[1]), &header, &detail) !=
        ERR_OK) {
        log_limited(LOG_LEVEL_WARN, NULL, "frame not understood", "detail=\"%s\"", detail.text);
        return;
    }
    if (header.kind == BUS_READY) {
        read_monitor(self); /* the descriptor's former connection has ended before this one began */
        remember_fd(self, zmq_msg_get(&frames[1], ZMQ_SRCFD), peer);
    }
    hub_frame(self->hub, clock_mono_ms(), peer, &header, zmq_msg_data(&frames[2]),
              zmq_msg_size(&frames[2]));
}

/* One message of [routing id][header][body]; others are dropped whole. False: none is there. */
static bool read_router(hub_thread_t *self)
{
    zmq_msg_t frames[3];
    size_t count = 0;
    bool more = true, whole = true;
    for (; more; count++) {
        zmq_msg_t spare, *frame = count < 3 ? &frames[count] : &spare;
        zmq_msg_init(frame);
        if (zmq_msg_recv(frame, zsock_resolve(self->router), ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(frame);
            break; /* only before the first: messages are atomic */
        }
        more = zmq_msg_more(frame) != 0;
        if (count >= 3) {
            whole = false;
            zmq_msg_close(&spare);
        }
    }
    if (count == 3 && whole)
        take_frames(self, frames);
    for (size_t i = 0; i < count && i < 3; i++)
        zmq_msg_close(&frames[i]);
    return count > 0;
}

/* ---- from the HTTP threads ---- */

static void take_event(hub_thread_t *self, const item_t *item)
{
    const hub_request_t *event = &item->request;
    tap_publish(self->tap, &(tap_note_t){.topic = topic_of(event->message),
                                         .kind = "EVENT",
                                         .message = event->message,
                                         .instance = self->config.instance,
                                         .request_id = &event->request_id,
                                         .traceparent = event->traceparent,
                                         .body = event->body,
                                         .body_size = event->body_size});
}

/* Takes everything that was handed over; `sleep` says whether the thread is about to wait when
 * there is nothing. */
static bool take_items(hub_thread_t *self, bool sleep)
{
    pthread_mutex_lock(&self->lock);
    item_t *items = self->first;
    self->first = NULL;
    self->last = &self->first;
    self->events_waiting = 0;
    self->sleeping = sleep && items == NULL && !self->stopping;
    pthread_mutex_unlock(&self->lock);
    const bool any = items != NULL;
    for (item_t *item = items, *next; item != NULL; item = next) {
        next = item->next; /* once answered, it is gone */
        if (item->is_event) {
            take_event(self, item);
            free(item);
        } else {
            hub_request(self->hub, clock_mono_ms(), &item->request);
        }
    }
    return any;
}

/* False: the thread is stopping, or too many events wait. */
static bool hand_over(hub_thread_t *self, item_t *item)
{
    pthread_mutex_lock(&self->lock);
    const bool full = item->is_event && self->events_waiting == EVENTS_WAITING_MAX;
    const bool taken = !self->stopping && !full, wake = self->sleeping;
    if (taken) {
        self->events_waiting += item->is_event;
        *self->last = item;
        self->last = &item->next;
        self->sleeping = false;
    }
    pthread_mutex_unlock(&self->lock);
    if (taken && wake)
        CHECK(write(self->wake_fd, &(uint64_t){1}, sizeof(uint64_t)) == sizeof(uint64_t));
    return taken;
}

/* ---- the loop ---- */

static void renew_welcome(hub_thread_t *self)
{
    const gateway_welcome_t welcome = {.instance = str_of(self->config.instance),
                                       .last_event_id =
                                           websockets_last_event_id(self->config.websockets),
                                       .started_at_us = self->started_at_us};
    uint8_t body[256];
    const size_t size = message_encode(MSG_gateway_welcome, &welcome, body, sizeof body);
    CHECK(size > 0);
    hub_set_welcome(self->hub, MSG_gateway_welcome, body, size);
    self->welcome_is_old = false;
}

static void renew_snapshot(hub_thread_t *self, int64_t now_ms)
{
    pthread_mutex_lock(&self->lock);
    self->snapshot.worker_count = hub_workers(self->hub, self->snapshot.workers, HUB_WORKERS_MAX);
    self->snapshot.requests = hub_requests(self->hub);
    pthread_mutex_unlock(&self->lock);
    self->snapshot_is_old = false;
    self->next_snapshot_ms = now_ms + SNAPSHOT_EVERY_MS;
}

static void turn(hub_thread_t *self)
{
    const int64_t before_ms = clock_mono_ms();
    const bool busy = take_items(self, true);
    zmq_pollitem_t polled[] = {
        {.socket = zsock_resolve(self->monitor), .events = ZMQ_POLLIN},
        {.socket = zsock_resolve(self->router), .events = ZMQ_POLLIN},
        {.socket = zsock_resolve(tap_socket(self->tap)), .events = ZMQ_POLLIN},
        {.fd = self->wake_fd, .events = ZMQ_POLLIN}};
    if (zmq_poll(polled, 4, busy ? 0 : (long)hub_next_ms(self->hub, before_ms)) < 0)
        CHECK(errno == EINTR);
    if (polled[3].revents != 0)
        (void)!read(self->wake_fd, &(uint64_t){0}, sizeof(uint64_t));
    if (polled[0].revents != 0)
        read_monitor(self);
    for (int i = 0; i < FRAMES_PER_TURN && read_router(self); i++)
        ;
    if (polled[2].revents != 0) {
        tap_on_readable(self->tap);
        atomic_store(&self->tap_listens, tap_wants(self->tap, "gateway.webhook"));
    }
    const int64_t now_ms = clock_mono_ms();
    hub_tick(self->hub, now_ms);
    if (self->welcome_is_old)
        renew_welcome(self);
    if (self->snapshot_is_old || now_ms >= self->next_snapshot_ms)
        renew_snapshot(self, now_ms);
}

static bool is_stopping(hub_thread_t *self)
{
    pthread_mutex_lock(&self->lock);
    const bool stopping = self->stopping;
    pthread_mutex_unlock(&self->lock);
    return stopping;
}

static void *run(void *arg)
{
    hub_thread_t *self = arg;
    while (!is_stopping(self))
        turn(self);
    take_items(self, false);
    hub_destroy(&self->hub, clock_mono_ms());
    return NULL;
}

/* ---- life ---- */

hub_thread_t *hub_thread_new(const hub_thread_config_t *config, err_detail_t *detail)
{
    hub_thread_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->config = *config;
    self->wake_fd = -1;
    self->router = bus_socket_bind(config->hub_bind, detail);
    if (self->router == NULL)
        goto failed;
    self->tap = tap_new(config->tap_bind, config->instance, detail);
    if (self->tap == NULL)
        goto failed;
    self->endpoint = bus_socket_endpoint(self->router);
    self->monitor = bus_socket_monitor(self->router, ZMQ_EVENT_DISCONNECTED);
    self->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(self->monitor != NULL && self->wake_fd >= 0);
    self->started_at_us = clock_wall_us();
    self->last = &self->first;
    self->hub = hub_new(&(hub_config_t){.sink = &sink, .sink_self = self});
    pthread_mutex_init(&self->lock, NULL);
    renew_welcome(self);
    CHECK(pthread_create(&self->thread, NULL, run, self) == 0);
    return self;
failed:
    zsock_destroy(&self->router);
    free(self);
    return NULL;
}

void hub_thread_destroy(hub_thread_t **self_p)
{
    hub_thread_t *self = *self_p;
    if (self == NULL)
        return;
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_mutex_unlock(&self->lock);
    CHECK(write(self->wake_fd, &(uint64_t){1}, sizeof(uint64_t)) == sizeof(uint64_t));
    pthread_join(self->thread, NULL);
    zsock_destroy(&self->monitor);
    zsock_destroy(&self->router);
    tap_destroy(&self->tap);
    close(self->wake_fd);
    pthread_mutex_destroy(&self->lock);
    free(self->peer_of_fd);
    free(self->endpoint);
    free(self);
    *self_p = NULL;
}

const char *hub_thread_endpoint(const hub_thread_t *self)
{
    return self->endpoint;
}

const char *hub_thread_tap_endpoint(const hub_thread_t *self)
{
    return tap_endpoint(self->tap);
}

/* ---- calls ---- */

void hub_thread_call(hub_thread_t *self, uint32_t id, const void *request, uint32_t budget_ms,
                     const uuid_t *request_id, const char *traceparent, hub_reply_t *reply)
{
    const message_schema_t *schema = message_by_id(id);
    CHECK(schema != NULL && schema->kind == MESSAGE_REQUEST);
    *reply = (hub_reply_t){.status = ERR_TOO_LARGE};
    const size_t bound = message_encoded_bound(id, request);
    if (bound > BUS_MESSAGE_MAX_BYTES)
        return;
    uint8_t small[BODY_ON_STACK_BYTES], *large = bound > sizeof small ? malloc(bound) : NULL;
    uint8_t *body = large != NULL ? large : small;
    CHECK(large != NULL || bound <= sizeof small);
    const size_t size = message_encode(id, request, body, bound);
    CHECK(size > 0); /* the edge has checked every text */
    item_t item = {.reply = reply, .began_us = clock_mono_us()};
    item.request = (hub_request_t){.service = schema->service,
                                   .message = id,
                                   .retry = schema->retry_safe ? HUB_RETRY_SAFE : HUB_RETRY_NEVER,
                                   .budget_ms = budget_ms,
                                   .request_id = *request_id,
                                   .traceparent = traceparent,
                                   .body = body,
                                   .body_size = size,
                                   .token = (uint64_t)(uintptr_t)&item};
    sem_init(&item.answered, 0, 0);
    if (hand_over(self, &item))
        while (sem_wait(&item.answered) != 0)
            CHECK(errno == EINTR);
    else
        reply->status = ERR_SHUTTING_DOWN;
    sem_destroy(&item.answered);
    free(large);
}

void hub_thread_event(hub_thread_t *self, uint32_t id, const void *message,
                      const uuid_t *request_id, const char *traceparent)
{
    metrics_event(self->config.metrics, "gateway", self->config.instance, topic_of(id));
    if (!atomic_load(&self->tap_listens))
        return;
    /* One block: the item, the trace text, the body. */
    const size_t bound = message_encoded_bound(id, message), trace_size = strlen(traceparent) + 1;
    item_t *item = calloc(1, sizeof *item + trace_size + bound);
    CHECK(item != NULL);
    char *trace = (char *)(item + 1);
    uint8_t *body = (uint8_t *)trace + trace_size;
    memcpy(trace, traceparent, trace_size);
    item->is_event = true;
    item->request = (hub_request_t){.message = id,
                                    .request_id = *request_id,
                                    .traceparent = trace,
                                    .body = body,
                                    .body_size = message_encode(id, message, body, bound)};
    if (!hand_over(self, item))
        free(item);
}

void hub_thread_snapshot(hub_thread_t *self, hub_snapshot_t *snapshot)
{
    pthread_mutex_lock(&self->lock);
    *snapshot = self->snapshot;
    pthread_mutex_unlock(&self->lock);
}
