/* test_bus_connection.c - what a connection does when its gateway does not read, and when it is no
 * gateway at all. */
#include "lib/bus_connection.h"
#include "tests/support/test_main.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/bus_socket.h"
#include "lib/clock.h"

enum { DEADLINE_MS = 5000, LARGE = 8 * 1024, POSTS_MAX = 20000 };

typedef struct fixture {
    zsock_t *router;
    bus_connection_t connection;
} fixture_t;

/* The first monitor event. */
static bus_monitor_event_t wait_for_event(bus_connection_t *connection)
{
    zmq_pollitem_t item = {.socket = zsock_resolve(connection->monitor), .events = ZMQ_POLLIN};
    assert_int_equal(zmq_poll(&item, 1, DEADLINE_MS), 1);
    return bus_connection_monitor(connection);
}

static void fixture_open(fixture_t *self)
{
    memset(self, 0, sizeof *self);
    /* Takes little, so that little is needed to fill it. */
    self->router = zsock_new(ZMQ_ROUTER);
    zsock_set_rcvhwm(self->router, 4);
    zsock_set_rcvbuf(self->router, LARGE);
    assert_int_equal(zmq_bind(zsock_resolve(self->router), "tcp://127.0.0.1:*"), 0);
    char *endpoint = bus_socket_endpoint(self->router);
    snprintf(self->connection.endpoint, ENDPOINT_SIZE, "%s", endpoint);
    free(endpoint);
    assert_true(bus_connection_open(&self->connection, clock_mono_ms()));
    assert_int_equal(wait_for_event(&self->connection), BUS_MONITOR_UP);
    self->connection.state = BUS_CONNECTED;
    zsock_set_linger(self->connection.socket, 0);
}

static void fixture_close(fixture_t *self)
{
    bus_connection_free(&self->connection);
    zsock_destroy(&self->router);
}

static bus_header_t numbered(uint64_t number)
{
    return (bus_header_t){
        .version = BUS_VERSION, .kind = BUS_REPLY, .message = 1, .correlation = number};
}

/* One message at the router; its number. */
static uint64_t router_receive(zsock_t *router)
{
    void *handle = zsock_resolve(router);
    zmq_pollitem_t item = {.socket = handle, .events = ZMQ_POLLIN};
    assert_int_equal(zmq_poll(&item, 1, DEADLINE_MS), 1);
    uint8_t id[16], bytes[BUS_HEADER_MAX_BYTES];
    static uint8_t body[LARGE];
    assert_true(zmq_recv(handle, id, sizeof id, 0) > 0);
    int size = zmq_recv(handle, bytes, sizeof bytes, 0);
    assert_true(size > 0 && zmq_recv(handle, body, sizeof body, 0) >= 0);
    bus_header_t header;
    assert_int_equal(bus_header_decode(bytes, (size_t)size, &header, NULL), ERR_OK);
    return header.correlation;
}

static void what_cannot_be_sent_waits_in_order_up_to_a_bound(void **state)
{
    (void)state;
    fixture_t self;
    fixture_open(&self);
    static uint8_t body[LARGE];
    uint64_t posted = 0;
    bus_header_t header = numbered(0);
    for (; posted < POSTS_MAX; posted++) {
        bool waits = bus_connection_waiting(&self.connection) > 0;
        header = numbered(posted);
        if (!bus_connection_post(&self.connection, &header, body, waits ? 0 : sizeof body))
            break;
    }
    assert_true(posted < POSTS_MAX && bus_connection_waiting(&self.connection) > 1000);
    assert_false(bus_connection_send(&self.connection, &header, NULL, 0)); /* not past the others */
    for (uint64_t expected = 0; expected < posted; expected++) {
        assert_int_equal(router_receive(self.router), expected);
        bus_connection_flush(&self.connection);
    }
    assert_int_equal(bus_connection_waiting(&self.connection), 0);
    header = numbered(posted);
    assert_true(bus_connection_send(&self.connection, &header, NULL, 0));
    assert_int_equal(router_receive(self.router), posted);
    fixture_close(&self);
}

static void closing_forgets_what_waits(void **state)
{
    (void)state;
    fixture_t self;
    fixture_open(&self);
    static uint8_t body[LARGE];
    for (uint64_t i = 0; bus_connection_waiting(&self.connection) < 10; i++) {
        bus_header_t header = numbered(i);
        assert_true(i < POSTS_MAX);
        assert_true(bus_connection_post(&self.connection, &header, body, sizeof body));
    }
    bus_connection_close(&self.connection);
    assert_int_equal(bus_connection_waiting(&self.connection), 0);
    assert_int_equal(self.connection.state, BUS_CLOSED);
    assert_int_equal(bus_connection_monitor(&self.connection), BUS_MONITOR_NONE);
    assert_true(bus_connection_open(&self.connection, clock_mono_ms())); /* and may be used again */
    assert_int_equal(wait_for_event(&self.connection), BUS_MONITOR_UP);
    fixture_close(&self);
}

static void a_gateway_that_goes_is_told_by_the_monitor(void **state)
{
    (void)state;
    fixture_t self;
    fixture_open(&self);
    zsock_destroy(&self.router);
    assert_int_equal(wait_for_event(&self.connection), BUS_MONITOR_DOWN);
    fixture_close(&self);
}

static void an_endpoint_that_is_none_is_not_opened(void **state)
{
    (void)state;
    bus_connection_t connection = {.endpoint = "tcp://nowhere"};
    assert_false(bus_connection_open(&connection, 0));
    assert_int_equal(connection.state, BUS_CLOSED);
    bus_connection_free(&connection);
}

/* PLAIN is asked for where we speak NULL: libzmq gives up for good, so whoever watches must open
 * anew. */
static void a_peer_of_another_kind_is_told_as_refused(void **state)
{
    (void)state;
    zsock_t *router = zsock_new(ZMQ_ROUTER);
    zsock_set_plain_server(router, 1);
    assert_int_equal(zmq_bind(zsock_resolve(router), "tcp://127.0.0.1:*"), 0);
    bus_connection_t connection = {.endpoint = ""};
    char *endpoint = bus_socket_endpoint(router);
    snprintf(connection.endpoint, sizeof connection.endpoint, "%s", endpoint);
    free(endpoint);
    assert_true(bus_connection_open(&connection, clock_mono_ms()));
    assert_int_equal(wait_for_event(&connection), BUS_MONITOR_REFUSED);
    bus_connection_free(&connection);
    zsock_destroy(&router);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_cannot_be_sent_waits_in_order_up_to_a_bound),
    cmocka_unit_test(closing_forgets_what_waits),
    cmocka_unit_test(a_gateway_that_goes_is_told_by_the_monitor),
    cmocka_unit_test(an_endpoint_that_is_none_is_not_opened),
    cmocka_unit_test(a_peer_of_another_kind_is_told_as_refused),
};

TEST_MAIN(tests)
