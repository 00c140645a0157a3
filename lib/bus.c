/* bus.c - a service's side of the bus. The protocol's table "the instance" (proto/PROTOCOL.md) is
 * on_message and on_monitor.
 *
 * What is readable on any connection is read at once into one mailbox, which stamps each request
 * with its receipt, and handed over from there in batches. If one batch does not empty it, the loop
 * comes back by itself (wake_fd) after it has read what came meanwhile.
 *
 * Everything runs on the actor's thread. Connections are closed in on_monitor, on_tick and
 * on_endpoints only, never while messages are read. Times are those of the loop: whenever this
 * process itself stood still, silence of others means nothing.
 */
#include "lib/bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/bus_connection.h"
#include "lib/clock.h"
#include "lib/log.h"

enum {
    MAILBOX_MAX = 2048,      /* over it, requests stay in libzmq's queues */
    TICKS_PER_HEARTBEAT = 4, /* an idle service wakes no more often */
    FLUSH_MS = 5,            /* while an outbox is not empty */
    RESOLVE_MS_DEFAULT = 2000,
    STANDSTILL_MS = 1500,     /* between two ticks: it was us who were silent */
    REOPEN_MS = 200,          /* after a connection that worked */
    REOPEN_REFUSED_MS = 3000, /* after one that was refused */
};

typedef struct letter {
    bus_request_t request; /* body: in `body` */
    zmq_msg_t body;
} letter_t;

struct bus {
    actor_t *actor;
    bus_handlers_t handlers;
    void *self;
    char service[sizeof((bus_header_t *)0)->service];
    char instance[sizeof((bus_header_t *)0)->instance];
    uint32_t credit, batch_max, heartbeat_ms, liveness_ms;
    bool draining;
    bus_metrics_t *metrics; /* NULL: nothing is counted */
    int64_t reading_us;     /* when what is being read was found; 0 unless it is counted */
    resolver_t *resolver;
    int wake_fd, tick_timer, flush_timer;
    int64_t ticked_ms;
    size_t turn; /* the connection that is read first next time */
    bus_connection_t connections[BUS_GATEWAYS_MAX];
    size_t first, count;
    letter_t mailbox[MAILBOX_MAX];
    bus_request_t *batch; /* [batch_max] */
};

static bus_header_t header_of(const bus_t *self, bus_kind_t kind)
{
    bus_header_t header = {.version = BUS_VERSION, .kind = kind};
    memcpy(header.instance, self->instance, sizeof header.instance);
    return header;
}

/* ---- one connection's life ---- */

static void generation_begin(bus_t *self, bus_connection_t *connection)
{
    if (self->draining)
        return; /* whoever leaves does not introduce itself */
    bus_header_t ready = header_of(self, BUS_READY);
    memcpy(ready.service, self->service, sizeof ready.service);
    ready.credit = self->credit;
    /* libzmq tells of the connection before its socket always knows; on_tick tries again. */
    (void)zsock_events(connection->socket);
    if (!bus_connection_send(connection, &ready, NULL, 0))
        return;
    connection->generation++;
    connection->drained = false;
    connection->state = BUS_GREETED;
}

/* The gateway is gone or has forgotten us: nobody waits for what is not answered. */
static void generation_end(bus_t *self, bus_connection_t *connection, const char *reason)
{
    bool was_welcomed = connection->state == BUS_WELCOMED;
    uint32_t generation = connection->generation;
    if (connection->state > BUS_CONNECTED) {
        log_info(NULL, "gateway lost", "gateway=%s reason=\"%s\" unanswered=%u",
                 connection->endpoint, reason, connection->unanswered);
        connection->generation++;
        connection->state = BUS_CONNECTED;
    }
    if (self->metrics) {
        bus_metrics_dropped(self->metrics, connection->unanswered);
        bus_metrics_gateway(self->metrics, was_welcomed ? -1 : 0);
    }
    connection->unanswered = 0;
    bus_connection_forget(connection);
    if (was_welcomed && self->handlers.on_gateway_lost)
        self->handlers.on_gateway_lost(self->self, (uint32_t)(connection - self->connections),
                                       generation);
}

static void on_readable(void *arg);
static void on_monitor(void *arg);

static void connection_open(bus_t *self, bus_connection_t *connection, int64_t now_ms)
{
    connection->open_at_ms = now_ms + REOPEN_REFUSED_MS;
    if (!bus_connection_open(connection, now_ms))
        return;
    actor_add_socket(self->actor, connection->socket, on_readable, self);
    actor_add_socket(self->actor, connection->monitor, on_monitor, self);
}

static void connection_close(bus_t *self, bus_connection_t *connection, const char *reason,
                             int64_t open_at_ms)
{
    generation_end(self, connection, reason);
    if (connection->socket) {
        actor_remove_socket(self->actor, connection->socket);
        actor_remove_socket(self->actor, connection->monitor);
    }
    bus_connection_close(connection);
    connection->open_at_ms = open_at_ms;
    if (!connection->listed)
        connection->endpoint[0] = '\0';
}

static void on_monitor(void *arg)
{
    bus_t *self = arg;
    int64_t now_ms = clock_mono_ms();
    for (size_t i = 0; i < BUS_GATEWAYS_MAX; i++) {
        bus_connection_t *connection = &self->connections[i];
        bus_monitor_event_t event;
        while ((event = bus_connection_monitor(connection)) != BUS_MONITOR_NONE) {
            if (event == BUS_MONITOR_UP && connection->state == BUS_CONNECTING) {
                connection->state = BUS_CONNECTED;
                connection->seen_ms = now_ms;
                generation_begin(self, connection);
            } else if (event == BUS_MONITOR_REFUSED) {
                connection_close(self, connection, "refused", now_ms + REOPEN_REFUSED_MS);
            } else if (connection->state != BUS_CONNECTING) {
                connection_close(self, connection, "disconnected", now_ms + REOPEN_MS);
            } /* else it never was up: libzmq goes on trying */
        }
    }
}

/* ---- what arrives ---- */

static letter_t *letter_at(bus_t *self, size_t place)
{
    return &self->mailbox[(self->first + place) % MAILBOX_MAX];
}

static bus_connection_t *connection_of(bus_t *self, const bus_reply_to_t *to)
{
    CHECK(to->gateway < BUS_GATEWAYS_MAX);
    bus_connection_t *connection = &self->connections[to->gateway];
    return connection->generation == to->generation ? connection : NULL;
}

static void on_request(bus_t *self, bus_connection_t *connection, const bus_header_t *header,
                       zmq_msg_t *body, int64_t now_ms)
{
    letter_t *letter = letter_at(self, self->count++);
    connection->unanswered++;
    if (self->metrics)
        bus_metrics_taken(self->metrics);
    letter->request = (bus_request_t){
        .reply_to = {.gateway = (uint32_t)(connection - self->connections),
                     .generation = connection->generation,
                     .correlation = header->correlation,
                     .message = header->message,
                     .request_id = header->request_id,
                     .deadline_mono_ms = now_ms + header->budget_ms,
                     .received_mono_us = self->reading_us},
        .message = header->message,
        .attempt = header->attempt,
        .body_size = zmq_msg_size(body),
    };
    memcpy(letter->request.reply_to.traceparent, header->traceparent, sizeof header->traceparent);
    zmq_msg_init(&letter->body);
    zmq_msg_move(&letter->body, body);
    letter->request.body = zmq_msg_data(&letter->body);
}

static void on_welcome(bus_t *self, bus_connection_t *connection, zmq_msg_t *body)
{
    if (connection->state != BUS_GREETED)
        return;
    connection->state = BUS_WELCOMED;
    if (self->metrics)
        bus_metrics_gateway(self->metrics, 1);
    log_info(NULL, "gateway found", "gateway=%s", connection->endpoint);
    if (self->handlers.on_welcome)
        self->handlers.on_welcome(self->self, (uint32_t)(connection - self->connections),
                                  connection->generation, zmq_msg_data(body), zmq_msg_size(body));
}

static void on_message(bus_t *self, bus_connection_t *connection, const bus_header_t *header,
                       zmq_msg_t *body, int64_t now_ms)
{
    switch (header->kind) {
    case BUS_REQUEST:
        if (connection->state > BUS_CONNECTED)
            on_request(self, connection, header, body, now_ms);
        break;
    case BUS_WELCOME:
        on_welcome(self, connection, body);
        break;
    case BUS_WHO:
        generation_end(self, connection, "forgot us");
        generation_begin(self, connection);
        break;
    case BUS_DRAIN:
        connection->drained = true;
        break;
    case BUS_BYE:
        /* Closed by on_tick; until then nothing more is taken from it. */
        generation_end(self, connection, "said BYE");
        connection->seen_ms = now_ms - self->liveness_ms;
        return;
    default: /* HEARTBEAT has done its work; nothing else is a hub's to say */
        break;
    }
    connection->seen_ms = now_ms;
}

static void read_connection(bus_t *self, bus_connection_t *connection, int64_t now_ms)
{
    for (int turns = 0; turns < MAILBOX_MAX && self->count < MAILBOX_MAX; turns++) {
        bus_header_t header;
        zmq_msg_t body;
        bus_received_t received = bus_connection_receive(connection, &header, &body);
        if (received == BUS_RECEIVED_NOTHING)
            return;
        if (received == BUS_RECEIVED_BROKEN)
            continue;
        on_message(self, connection, &header, &body, now_ms);
        zmq_msg_close(&body);
    }
}

/* ---- handing over ---- */

/* Whether this letter is still somebody's; one that is too late is answered here. */
static bool letter_is_due(bus_t *self, const letter_t *letter, int64_t now_ms)
{
    const bus_reply_to_t *to = &letter->request.reply_to;
    if (!connection_of(self, to))
        return false;
    if (to->deadline_mono_ms > now_ms)
        return true;
    bus_reply(self, to, ERR_DEADLINE, 0, NULL, 0);
    return false;
}

static void hand_over(bus_t *self)
{
    int64_t now_ms = clock_mono_ms();
    size_t taken = 0, due = 0;
    while (taken < self->count && due < self->batch_max) {
        const letter_t *letter = letter_at(self, taken++);
        if (letter_is_due(self, letter, now_ms))
            self->batch[due++] = letter->request;
    }
    if (due && self->handlers.on_batch) {
        self->handlers.on_batch(self->self, self->batch, due);
    } else {
        for (size_t i = 0; i < due; i++) /* we offered no credit */
            bus_reply(self, &self->batch[i].reply_to, ERR_NOT_FOUND, 0, NULL, 0);
    }
    for (size_t i = 0; i < taken; i++)
        zmq_msg_close(&letter_at(self, i)->body);
    self->first = (self->first + taken) % MAILBOX_MAX;
    self->count -= taken;
    if (self->count)
        (void)!write(self->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
}

static void on_readable(void *arg)
{
    bus_t *self = arg;
    int64_t now_ms = clock_mono_ms();
    self->reading_us = self->metrics ? clock_mono_us() : 0;
    self->turn++;
    for (size_t i = 0; i < BUS_GATEWAYS_MAX; i++) {
        bus_connection_t *connection = &self->connections[(self->turn + i) % BUS_GATEWAYS_MAX];
        if (connection->socket)
            read_connection(self, connection, now_ms);
    }
    if (self->count)
        hand_over(self);
}

static void on_wake(void *arg)
{
    bus_t *self = arg;
    uint64_t wakes;
    (void)!read(self->wake_fd, &wakes, sizeof wakes);
    on_readable(self);
}

/* ---- sending ---- */

static void on_flush(void *arg)
{
    bus_t *self = arg;
    size_t waiting = 0;
    for (size_t i = 0; i < BUS_GATEWAYS_MAX; i++) {
        bus_connection_flush(&self->connections[i]);
        waiting += bus_connection_waiting(&self->connections[i]);
    }
    if (waiting)
        return;
    actor_remove_timer(self->actor, self->flush_timer);
    self->flush_timer = 0;
}

/* Must arrive as long as the connection lives: kept when it cannot be sent now. */
static void post(bus_t *self, bus_connection_t *connection, const bus_header_t *header,
                 const uint8_t *body, size_t body_size)
{
    if (!bus_connection_post(connection, header, body, body_size)) {
        generation_end(self, connection, "reads nothing");
        connection->seen_ms = clock_mono_ms() - self->liveness_ms; /* closed by on_tick */
        return;
    }
    if (bus_connection_waiting(connection) && !self->flush_timer)
        self->flush_timer = actor_add_timer(self->actor, FLUSH_MS, on_flush, self);
}

void bus_reply(bus_t *self, const bus_reply_to_t *to, err_t status, uint32_t message,
               const uint8_t *body, size_t body_size)
{
    bus_connection_t *connection = connection_of(self, to);
    if (!connection)
        return;
    CHECK(connection->unanswered > 0 && body_size <= BUS_MESSAGE_MAX_BYTES);
    connection->unanswered--;
    if (self->metrics)
        bus_metrics_answered(self->metrics, to->message, status,
                             clock_mono_us() - to->received_mono_us);
    bus_header_t header = header_of(self, BUS_REPLY);
    header.message = message;
    header.correlation = to->correlation;
    header.request_id = to->request_id;
    header.status = (uint32_t)status;
    memcpy(header.traceparent, to->traceparent, sizeof header.traceparent);
    post(self, connection, &header, body, body_size);
}

void bus_event(bus_t *self, uint32_t message, const uuid_t *request_id, const char *traceparent,
               const uint8_t *body, size_t body_size)
{
    bus_header_t header = header_of(self, BUS_EVENT);
    header.message = message;
    if (request_id)
        header.request_id = *request_id;
    snprintf(header.traceparent, sizeof header.traceparent, "%s", traceparent ? traceparent : "");
    for (size_t i = 0; i < BUS_GATEWAYS_MAX; i++)
        if (self->connections[i].state > BUS_CONNECTED)
            (void)bus_connection_send(&self->connections[i], &header, body, body_size);
}

bool bus_event_to(bus_t *self, uint32_t gateway, uint32_t generation, uint32_t message,
                  const uint8_t *body, size_t body_size)
{
    CHECK(gateway < BUS_GATEWAYS_MAX);
    bus_connection_t *connection = &self->connections[gateway];
    if (connection->generation != generation || connection->state != BUS_WELCOMED)
        return false;
    bus_header_t header = header_of(self, BUS_EVENT);
    header.message = message;
    return bus_connection_send(connection, &header, body, body_size);
}

/* ---- time and endpoints ---- */

static void tick_connection(bus_t *self, bus_connection_t *connection, int64_t now_ms)
{
    switch (connection->state) {
    case BUS_CLOSED:
        if (connection->endpoint[0] && now_ms >= connection->open_at_ms && !self->draining)
            connection_open(self, connection, now_ms);
        return;
    case BUS_CONNECTING:
        return;
    case BUS_CONNECTED:
    case BUS_GREETED:
    case BUS_WELCOMED:
        break;
    }
    if (now_ms - connection->seen_ms >= self->liveness_ms) {
        connection_close(self, connection, "silent", now_ms + REOPEN_MS);
        return;
    }
    if (connection->state == BUS_CONNECTED)
        generation_begin(self, connection);
    if (connection->state > BUS_CONNECTED && now_ms >= connection->beat_at_ms) {
        /* Whatever else is sent: only to a heartbeat a hub that has forgotten us answers WHO. */
        bus_header_t heartbeat = header_of(self, BUS_HEARTBEAT);
        (void)bus_connection_send(connection, &heartbeat, NULL, 0);
        connection->beat_at_ms = now_ms + self->heartbeat_ms;
    }
}

static void on_tick(void *arg)
{
    bus_t *self = arg;
    int64_t now_ms = clock_mono_ms();
    /* Timers run before what waits is read: after a standstill of ours everybody would look silent.
     */
    bool stood_still = now_ms - self->ticked_ms >= STANDSTILL_MS;
    self->ticked_ms = now_ms;
    for (size_t i = 0; i < BUS_GATEWAYS_MAX; i++) {
        if (stood_still)
            self->connections[i].seen_ms = now_ms;
        tick_connection(self, &self->connections[i], now_ms);
    }
}

/* NULL: a new endpoint finds no place. */
static bus_connection_t *slot_for(bus_t *self, const char *endpoint)
{
    bus_connection_t *unused = NULL;
    for (size_t i = 0; i < BUS_GATEWAYS_MAX; i++) {
        bus_connection_t *connection = &self->connections[i];
        if (strcmp(connection->endpoint, endpoint) == 0)
            return connection;
        /* A free one, else one that is only kept because it still works. */
        if (!connection->listed && (!unused || !connection->endpoint[0]))
            unused = connection;
    }
    return unused;
}

static void endpoint_add(bus_t *self, const char *endpoint, int64_t now_ms)
{
    bus_connection_t *connection = slot_for(self, endpoint);
    if (!connection)
        return;
    if (strcmp(connection->endpoint, endpoint) != 0) {
        connection_close(self, connection, "no longer listed", now_ms);
        memcpy(connection->endpoint, endpoint, ENDPOINT_SIZE);
    }
    connection->listed = true;
    if (connection->state == BUS_CLOSED && !self->draining && now_ms >= connection->open_at_ms)
        connection_open(self, connection, now_ms);
}

/* A connection that works is kept until it ends, whatever the name server says meanwhile. */
static void on_endpoints(void *arg)
{
    bus_t *self = arg;
    endpoint_set_t set;
    if (!resolver_take(self->resolver, &set))
        return;
    int64_t now_ms = clock_mono_ms();
    for (size_t i = 0; i < BUS_GATEWAYS_MAX; i++)
        self->connections[i].listed = false;
    for (size_t i = 0; i < set.count; i++)
        for (size_t k = 0; k < BUS_GATEWAYS_MAX; k++)
            if (strcmp(self->connections[k].endpoint, set.endpoints[i]) == 0)
                self->connections[k].listed = true;
    for (size_t i = 0; i < BUS_GATEWAYS_MAX; i++) {
        bus_connection_t *connection = &self->connections[i];
        if (!connection->listed && connection->state <= BUS_CONNECTING)
            connection_close(self, connection, "no longer listed", now_ms);
    }
    for (size_t i = 0; i < set.count; i++)
        endpoint_add(self, set.endpoints[i], now_ms);
}

/* ---- the whole ---- */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

static unsigned tick_ms(const bus_t *self)
{
    const uint32_t ms = self->heartbeat_ms / TICKS_PER_HEARTBEAT;
    return ms > 0 ? ms : 1;
}

bus_t *bus_new(const bus_config_t *config)
{
    bus_t *self = calloc(1, sizeof *self);
    CHECK(self);
    self->actor = config->actor;
    self->handlers = *config->handlers;
    self->self = config->self;
    self->metrics = config->metrics;
    CHECK(strlen(config->service) < sizeof self->service);
    snprintf(self->service, sizeof self->service, "%s", config->service);
    snprintf(self->instance, sizeof self->instance, "%s", config->instance);
    self->credit = config->handlers->on_batch ? config->credit : 0;
    self->batch_max = or_default(config->batch_max, SERVICE_BATCH_MAX);
    self->heartbeat_ms = or_default(config->heartbeat_ms, BUS_HEARTBEAT_MS);
    self->liveness_ms = or_default(config->liveness_ms, BUS_LIVENESS_MS);
    self->batch = calloc(self->batch_max, sizeof *self->batch);
    CHECK(self->batch);
    self->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(self->wake_fd >= 0);
    actor_add_fd(self->actor, self->wake_fd, on_wake, self);
    self->resolver =
        resolver_new(config->hub_addr, or_default(config->resolve_ms, RESOLVE_MS_DEFAULT));
    actor_add_fd(self->actor, resolver_fd(self->resolver), on_endpoints, self);
    self->ticked_ms = clock_mono_ms();
    self->tick_timer = actor_add_timer(self->actor, tick_ms(self), on_tick, self);
    return self;
}

void bus_destroy(bus_t **self_p)
{
    bus_t *self = *self_p;
    if (!self)
        return;
    self->handlers = (bus_handlers_t){0};
    actor_remove_timer(self->actor, self->tick_timer);
    if (self->flush_timer)
        actor_remove_timer(self->actor, self->flush_timer);
    actor_remove_fd(self->actor, resolver_fd(self->resolver));
    actor_remove_fd(self->actor, self->wake_fd);
    resolver_destroy(&self->resolver);
    bus_header_t bye = header_of(self, BUS_BYE);
    for (size_t i = 0; i < BUS_GATEWAYS_MAX; i++) {
        bus_connection_t *connection = &self->connections[i];
        bus_connection_flush(connection);
        if (connection->state > BUS_CONNECTED)
            (void)bus_connection_send(connection, &bye, NULL, 0);
        connection_close(self, connection, "we leave", 0);
        bus_connection_free(connection);
    }
    for (size_t i = 0; i < self->count; i++)
        zmq_msg_close(&letter_at(self, i)->body);
    close(self->wake_fd);
    free(self->batch);
    free(self);
    *self_p = NULL;
}

void bus_drain(bus_t *self)
{
    self->draining = true;
    bus_header_t drain = header_of(self, BUS_DRAIN);
    for (size_t i = 0; i < BUS_GATEWAYS_MAX; i++)
        if (self->connections[i].state > BUS_CONNECTED)
            post(self, &self->connections[i], &drain, NULL, 0);
}

size_t bus_unanswered(const bus_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < BUS_GATEWAYS_MAX; i++)
        count += self->connections[i].unanswered;
    return count;
}

bool bus_drained(const bus_t *self)
{
    for (size_t i = 0; i < BUS_GATEWAYS_MAX; i++) {
        const bus_connection_t *connection = &self->connections[i];
        bool agreed = connection->drained || connection->state <= BUS_CONNECTED;
        if (!agreed || connection->unanswered || bus_connection_waiting(connection))
            return false;
    }
    return self->draining;
}

size_t bus_gateways(const bus_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < BUS_GATEWAYS_MAX; i++)
        count += self->connections[i].state == BUS_WELCOMED;
    return count;
}
