/* tap.c - see tap.h.
 *
 * One SUB socket holds a connection to each gateway; the resolver says which there are. A tap only
 * listens: it can slow, change or acknowledge nothing, and one that is too slow loses messages of
 * its own (the gateway's queue for it is bounded), which shows as a gap in the sequence numbers.
 *
 * --expect must know when a gateway has its subscriptions, or a script would act too early. A
 * connection that is up is not enough: subscriptions travel behind the handshake, and only the
 * publisher knows when it read them. So the last subscription is to a topic of its own, which the
 * gateway answers by publishing that topic once (PROTOCOL.md, "Tap"); all others were read before
 * it. A gateway that does not know this gets SYNC_GRACE_MS after the handshake.
 */
#include "services/tap/tap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bus_socket.h"
#include "lib/resolver.h"
#include "services/tap/tap_filter.h"
#include "services/tap/tap_print.h"

enum {
    RESOLVE_INTERVAL_MS = 2000,
    SYNC_GRACE_MS = 250,
    RECEIVE_BATCH = 1000, /* messages until signals and timers are looked at again */
    RECEIVE_QUEUE_MAX = 10000,
    MESSAGE_FRAMES = 3,
};

struct tap {
    const tap_options_t *options; /* borrowed */
    actor_t *actor;               /* borrowed */
    zsock_t *socket;              /* SUB */
    zsock_t *monitor;
    resolver_t *resolver;
    endpoint_set_t connected;
    tap_filter_t filter;
    tap_gaps_t gaps;
    bool all; /* subscribed to everything: sequence numbers tell of losses */
    bool color;
    char sync_topic[TAP_TOPIC_SIZE];
    int grace_timer; /* 0: none */
    bool listening;
    int64_t shown;
    int64_t previous_us;
    bool finished; /* nothing more is shown */
    buf_t line;
};

static void finish(tap_t *self)
{
    self->finished = true;
    actor_stop(self->actor);
}

/* ---- output ---- */

static void write_line(tap_t *self)
{
    bool written = fwrite(self->line.data, 1, self->line.size, stdout) == self->line.size &&
                   fflush(stdout) == 0;
    buf_clear(&self->line);
    if (!written)
        finish(self); /* who read us is gone: tiffin-tap | head */
}

static void show(tap_t *self, const tap_message_t *message)
{
    if (self->options->json)
        tap_print_json(message, &self->line);
    else
        tap_print_human(message, self->previous_us, self->color, &self->line);
    self->previous_us = message->record.at_us;
    write_line(self);
    self->shown++;
    if (self->options->count > 0 && self->shown >= self->options->count)
        finish(self);
}

static void show_gap(tap_t *self, const tap_message_t *message)
{
    int64_t lost = tap_gaps_before(&self->gaps, message->record.gateway, message->record.seq);
    if (lost == 0)
        return;
    tap_print_lost(message->record.gateway, lost, self->options->json, self->color, &self->line);
    write_line(self);
}

/* ---- what arrives ---- */

static void say_listening(tap_t *self)
{
    if (self->grace_timer != 0)
        actor_remove_timer(self->actor, self->grace_timer);
    self->grace_timer = 0;
    if (self->listening)
        return;
    self->listening = true;
    fputs("tap: listening\n", stderr);
}

static str_t frame_text(zframe_t *frame)
{
    return (str_t){(const char *)zframe_data(frame), (uint32_t)zframe_size(frame)};
}

static void handle(tap_t *self, zmsg_t *frames)
{
    str_t topic = frame_text(zmsg_first(frames));
    if (self->options->expect && str_is(topic, self->sync_topic)) {
        say_listening(self);
        return;
    }
    if (zmsg_size(frames) < MESSAGE_FRAMES)
        return; /* no message of the tap: another tap's sync, or somebody else's port */
    str_t record = frame_text(zmsg_next(frames));
    str_t body = frame_text(zmsg_next(frames));
    tap_message_t message;
    tap_message_read(&message, topic, record, body);
    if (self->all && message.record.gateway.size > 0)
        show_gap(self, &message);
    if (!self->finished && tap_filter_accept(&self->filter, &message))
        show(self, &message);
}

static void on_messages(void *arg)
{
    tap_t *self = arg;
    for (int i = 0; i < RECEIVE_BATCH && !self->finished; i++) {
        zmsg_t *frames = zmsg_recv(self->socket);
        if (frames == NULL)
            return; /* nothing more */
        handle(self, frames);
        zmsg_destroy(&frames);
    }
}

static void on_grace_over(void *arg)
{
    say_listening(arg);
}

static void on_monitor(void *arg)
{
    tap_t *self = arg;
    int event;
    int value;
    while (bus_socket_monitor_read(self->monitor, &event, &value))
        if (!self->listening && self->grace_timer == 0)
            self->grace_timer = actor_add_timer(self->actor, SYNC_GRACE_MS, on_grace_over, self);
}

static void on_time_over(void *arg)
{
    finish(arg);
}

/* ---- connections ---- */

static bool set_holds(const endpoint_set_t *set, const char *endpoint)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->endpoints[i], endpoint) == 0)
            return true;
    return false;
}

static void connect_to(tap_t *self, const endpoint_set_t *wanted)
{
    void *socket = zsock_resolve(self->socket);
    for (size_t i = 0; i < self->connected.count; i++)
        if (!set_holds(wanted, self->connected.endpoints[i]))
            (void)zmq_disconnect(socket, self->connected.endpoints[i]);
    for (size_t i = 0; i < wanted->count; i++)
        if (!set_holds(&self->connected, wanted->endpoints[i]) &&
            zmq_connect(socket, wanted->endpoints[i]) != 0)
            fprintf(stderr, "tap: %s: %s\n", wanted->endpoints[i], zmq_strerror(zmq_errno()));
    self->connected = *wanted;
}

static void on_resolved(void *arg)
{
    tap_t *self = arg;
    endpoint_set_t set;
    if (resolver_take(self->resolver, &set))
        connect_to(self, &set);
}

static void set_option(zsock_t *socket, int option, const void *value, size_t size)
{
    CHECK(zmq_setsockopt(zsock_resolve(socket), option, value, size) == 0);
}

static zsock_t *socket_new(void)
{
    static const struct {
        int option;
        int value;
    } options[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_RCVHWM, RECEIVE_QUEUE_MAX},
        {ZMQ_RCVTIMEO, 0},
        {ZMQ_HANDSHAKE_IVL, 5000},
        {ZMQ_HEARTBEAT_IVL, 2000}, /* a gateway's host that is gone */
        {ZMQ_HEARTBEAT_TIMEOUT, BUS_LIVENESS_MS},
        {ZMQ_CONNECT_TIMEOUT, 3000},
        {ZMQ_RECONNECT_IVL, 100},
        {ZMQ_RECONNECT_IVL_MAX, 3000},
        {ZMQ_IPV6, 1},
    };
    zsock_t *socket = zsock_new(ZMQ_SUB);
    CHECK(socket != NULL);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        set_option(socket, options[i].option, &options[i].value, sizeof options[i].value);
    set_option(socket, ZMQ_MAXMSGSIZE, &(int64_t){BUS_MESSAGE_MAX_BYTES}, sizeof(int64_t));
    return socket;
}

static void subscribe(tap_t *self)
{
    tap_subscriptions_t subscriptions;
    tap_subscriptions_of(self->options, &subscriptions);
    for (size_t i = 0; i < subscriptions.count; i++) {
        const char *prefix = subscriptions.prefixes[i];
        set_option(self->socket, ZMQ_SUBSCRIBE, prefix, strlen(prefix));
    }
    self->all = subscriptions.count == 1 && subscriptions.prefixes[0][0] == '\0';
    if (!self->options->expect)
        return;
    uuid_t unique = uuid7_new();
    char text[UUID_TEXT_SIZE];
    snprintf(self->sync_topic, sizeof self->sync_topic, TAP_SYNC_PREFIX "%s",
             uuid_format(&unique, text));
    set_option(self->socket, ZMQ_SUBSCRIBE, self->sync_topic, strlen(self->sync_topic));
}

/* ---- life ---- */

/* Only whether the text can be understood: the resolver looks names up, in its own thread. */
static int no_lookup(const char *host, char addresses[][64], int capacity, void *arg)
{
    (void)host;
    (void)addresses;
    (void)capacity;
    (void)arg;
    return -1;
}

err_t tap_new(actor_t *actor, const tap_options_t *options, const char *addr, tap_t **tap,
              err_detail_t *detail)
{
    endpoint_set_t unresolved;
    TRY(resolver_resolve(addr, no_lookup, NULL, &unresolved, detail));
    tap_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->actor = actor;
    self->options = options;
    self->color =
        !options->json && !options->no_color && getenv("NO_COLOR") == NULL && isatty(STDOUT_FILENO);
    tap_filter_init(&self->filter, options);
    self->socket = socket_new();
    subscribe(self); /* before connecting: the subscriptions go out with the connection */
    actor_add_socket(actor, self->socket, on_messages, self);
    if (options->expect) {
        self->monitor = bus_socket_monitor(self->socket, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
        actor_add_socket(actor, self->monitor, on_monitor, self);
        actor_add_timer(actor, (unsigned)options->within_ms, on_time_over, self);
    }
    self->resolver = resolver_new(addr, RESOLVE_INTERVAL_MS);
    actor_add_fd(actor, resolver_fd(self->resolver), on_resolved, self);
    *tap = self;
    return ERR_OK;
}

void tap_destroy(tap_t **self_p)
{
    tap_t *self = *self_p;
    if (self == NULL)
        return;
    actor_remove_fd(self->actor, resolver_fd(self->resolver));
    resolver_destroy(&self->resolver);
    if (self->monitor != NULL) {
        actor_remove_socket(self->actor, self->monitor);
        /* Before its reader goes: libzmq's I/O thread would wait for one. */
        (void)zmq_socket_monitor(zsock_resolve(self->socket), NULL, 0);
        zsock_destroy(&self->monitor);
    }
    actor_remove_socket(self->actor, self->socket);
    zsock_destroy(&self->socket);
    buf_free(&self->line);
    free(self);
    *self_p = NULL;
}

int tap_exit_status(const tap_t *self)
{
    return self->options->expect && self->shown < self->options->count ? 1 : 0;
}
