/* bus_socket.c - every option of a bus socket, set explicitly: the defaults of libzmq 4.3 and
 * czmq 4.2 are each wrong for us somewhere (messages of any size, linger 0 or for ever, 30 s
 * handshakes, reconnecting ten times a second).
 *
 * Raw zmq calls where czmq's wrapper does more than asked: zsock_bind picks ports itself,
 * zsock_attach splits at commas.
 */
#include "lib/bus_socket.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/limits.h"

enum {
    QUEUE_MAX = 2048,      /* messages per connection and direction; over any credit */
    TAP_QUEUE_MAX = 10000, /* a slow tap loses its own messages only */
    LINGER_MS = 2000,
};

typedef struct option_value {
    int option;
    int value;
} option_value_t;

static const option_value_t common_options[] = {
    {ZMQ_LINGER, LINGER_MS},
    {ZMQ_SNDHWM, QUEUE_MAX},
    {ZMQ_RCVHWM, QUEUE_MAX},
    {ZMQ_SNDTIMEO, 0},
    {ZMQ_HANDSHAKE_IVL, 5000},
    /* Dead hosts and cut cables; a stopped process is seen by our own heartbeats. */
    {ZMQ_HEARTBEAT_IVL, 2000},
    {ZMQ_HEARTBEAT_TIMEOUT, BUS_LIVENESS_MS},
    {ZMQ_HEARTBEAT_TTL, BUS_LIVENESS_MS},
    {ZMQ_TCP_MAXRT, 10000},
    {ZMQ_TCP_KEEPALIVE, 1},
    {ZMQ_TCP_KEEPALIVE_IDLE, 30},
    {ZMQ_TCP_KEEPALIVE_INTVL, 10},
    {ZMQ_TCP_KEEPALIVE_CNT, 3},
};

static const option_value_t connect_options[] = {
    {ZMQ_IMMEDIATE, 1},
    {ZMQ_CONNECT_TIMEOUT, 3000},
    {ZMQ_RECONNECT_IVL, 100},
    {ZMQ_RECONNECT_IVL_MAX, 1000},
};

static const option_value_t bind_options[] = {
    {ZMQ_ROUTER_MANDATORY, 1},
    {ZMQ_BACKLOG, 512},
};

static const option_value_t tap_options[] = {
    {ZMQ_SNDHWM, TAP_QUEUE_MAX},
    {ZMQ_LINGER, 0},
    {ZMQ_BACKLOG, 64},
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void set_options(void *handle, const option_value_t *options, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK(zmq_setsockopt(handle, options[i].option, &options[i].value,
                             sizeof options[i].value) == 0);
}

static zsock_t *socket_new(int type, const char *endpoint, const option_value_t *options,
                           size_t count)
{
    zsock_t *socket =
        zsock_new(type); /* aborts where the process is out of sockets: all uses are bounded */
    CHECK(socket);
    void *handle = zsock_resolve(socket);
    set_options(handle, common_options, COUNT(common_options));
    set_options(handle, options, count);
    int64_t message_max = BUS_MESSAGE_MAX_BYTES;
    CHECK(zmq_setsockopt(handle, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max) == 0);
    int ipv6 = strchr(endpoint, '[') != NULL;
    CHECK(zmq_setsockopt(handle, ZMQ_IPV6, &ipv6, sizeof ipv6) == 0);
    return socket;
}

/* `result` of zmq_bind or zmq_connect: the socket, or NULL with the reason. */
static zsock_t *checked(zsock_t *socket, int result, const char *endpoint, err_detail_t *detail)
{
    if (result == 0)
        return socket;
    (void)err_set(detail, ERR_BAD_CONFIG, "%s: %s", endpoint, zmq_strerror(zmq_errno()));
    zsock_destroy(&socket);
    return NULL;
}

zsock_t *bus_socket_connect(const char *endpoint, int events, zsock_t **monitor,
                            err_detail_t *detail)
{
    zsock_t *socket = socket_new(ZMQ_DEALER, endpoint, connect_options, COUNT(connect_options));
    *monitor = bus_socket_monitor(socket, events);
    socket = checked(socket, zmq_connect(zsock_resolve(socket), endpoint), endpoint, detail);
    if (!socket)
        zsock_destroy(monitor);
    return socket;
}

zsock_t *bus_socket_bind(const char *endpoint, err_detail_t *detail)
{
    zsock_t *socket = socket_new(ZMQ_ROUTER, endpoint, bind_options, COUNT(bind_options));
    return checked(socket, zmq_bind(zsock_resolve(socket), endpoint), endpoint, detail);
}

zsock_t *tap_socket_bind(const char *endpoint, err_detail_t *detail)
{
    zsock_t *socket = socket_new(ZMQ_XPUB, endpoint, tap_options, COUNT(tap_options));
    return checked(socket, zmq_bind(zsock_resolve(socket), endpoint), endpoint, detail);
}

char *bus_socket_endpoint(zsock_t *socket)
{
    return zsock_last_endpoint(socket);
}

zsock_t *bus_socket_monitor(zsock_t *socket, int events)
{
    static _Atomic unsigned last;
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "inproc://monitor-%u", atomic_fetch_add(&last, 1) + 1);
    CHECK(zmq_socket_monitor(zsock_resolve(socket), endpoint, events) == 0);
    zsock_t *monitor = zsock_new(ZMQ_PAIR);
    CHECK(monitor);
    /* No bound here: events are few, and libzmq's I/O thread would block on a full pipe. */
    zsock_set_rcvhwm(monitor, 0);
    CHECK(zmq_connect(zsock_resolve(monitor), endpoint) == 0);
    return monitor;
}

int bus_socket_monitor_read(zsock_t *monitor, int *event, int *value)
{
    /* Two frames: 16 bits event and 32 bits value, both in host order; the endpoint. */
    void *handle = zsock_resolve(monitor);
    uint8_t data[6];
    if (zmq_recv(handle, data, sizeof data, ZMQ_DONTWAIT) != (int)sizeof data)
        return 0;
    uint16_t event_bits;
    int32_t value_bits;
    memcpy(&event_bits, data, sizeof event_bits);
    memcpy(&value_bits, data + sizeof event_bits, sizeof value_bits);
    *event = event_bits;
    *value = value_bits;
    char endpoint[8];
    zmq_recv(handle, endpoint, sizeof endpoint, ZMQ_DONTWAIT); /* cut to the buffer; not needed */
    return 1;
}
