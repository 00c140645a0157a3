/* test_bus.c - a service's side of the bus against real ROUTER sockets with the hub core behind
 * them, all in one loop: the gateways below live on the same actor, so a test is one thread and
 * steps by conditions, not by time. */
#include "lib/bus.h"
#include "tests/support/test_main.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/bus_socket.h"
#include "lib/clock.h"
#include "lib/hub.h"
#include "lib/resolver.h"

enum { DEADLINE_MS = 10000, TOKENS_MAX = 4096, PEERS_MAX = 16 };

/* ---- a gateway: ROUTER, hub core ---- */

typedef struct gateway {
    actor_t *actor;
    zsock_t *router;
    hub_t *hub;
    char endpoint[ENDPOINT_SIZE];
    char welcome[16];
    uint8_t peers[PEERS_MAX][16]; /* routing ids; the peer's number is its place */
    size_t peer_sizes[PEERS_MAX], peer_count;
    int timer;
    bool mute; /* reads nothing, says nothing: hung */
    size_t answered, events;
    uint64_t last_correlation; /* of any REPLY */
    uint32_t last_status;
    err_t statuses[TOKENS_MAX];
    bool known[TOKENS_MAX];
    char last_body[64], last_instance[64], last_event[256];
} gateway_t;

static bool gateway_send(void *arg, uint32_t peer, const bus_header_t *header, const uint8_t *body,
                         size_t size)
{
    gateway_t *self = arg;
    if (!self->router)
        return false;
    void *handle = zsock_resolve(self->router);
    uint8_t buffer[BUS_HEADER_MAX_BYTES];
    size_t header_size = bus_header_encode(header, buffer);
    if (zmq_send(handle, self->peers[peer], self->peer_sizes[peer], ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
        return false;
    return zmq_send(handle, buffer, header_size, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0 &&
           zmq_send(handle, body ? body : buffer, size, ZMQ_DONTWAIT) >= 0;
}

static void gateway_answer(void *arg, const hub_request_t *request, err_t status,
                           const char *instance, int64_t took_ms, uint32_t message,
                           const uint8_t *body, size_t size)
{
    gateway_t *self = arg;
    (void)took_ms;
    (void)message;
    assert_true(request->token < TOKENS_MAX && !self->known[request->token]);
    self->known[request->token] = true;
    self->statuses[request->token] = status;
    self->answered++;
    snprintf(self->last_body, sizeof self->last_body, "%.*s", (int)size,
             body ? (const char *)body : "");
    snprintf(self->last_instance, sizeof self->last_instance, "%s", instance);
}

static void gateway_event(void *arg, uint32_t peer, const bus_header_t *header, const uint8_t *body,
                          size_t size)
{
    gateway_t *self = arg;
    (void)peer;
    self->events++;
    snprintf(self->last_event, sizeof self->last_event, "%u %s %s %.*s", header->message,
             header->instance, header->traceparent, (int)(size < 64 ? size : 64),
             (const char *)body);
}

static void gateway_worker(void *arg, uint32_t peer, const char *service, const char *instance,
                           bool present, const char *reason)
{
    (void)arg;
    (void)peer;
    (void)service;
    (void)instance;
    (void)present;
    (void)reason;
}

static const hub_sink_t gateway_sink = {gateway_send, gateway_answer, gateway_event,
                                        gateway_worker};

static uint32_t gateway_peer(gateway_t *self, const uint8_t *id, size_t size)
{
    for (uint32_t i = 0; i < self->peer_count; i++)
        if (self->peer_sizes[i] == size && memcmp(self->peers[i], id, size) == 0)
            return i;
    assert_true(self->peer_count < PEERS_MAX && size <= sizeof self->peers[0]);
    memcpy(self->peers[self->peer_count], id, size);
    self->peer_sizes[self->peer_count] = size;
    return (uint32_t)self->peer_count++;
}

static void gateway_read(void *arg)
{
    gateway_t *self = arg;
    void *handle = zsock_resolve(self->router);
    uint8_t id[16], header_bytes[BUS_HEADER_MAX_BYTES], body[1024];
    int id_size;
    while (!self->mute && (id_size = zmq_recv(handle, id, sizeof id, ZMQ_DONTWAIT)) >= 0) {
        int header_size = zmq_recv(handle, header_bytes, sizeof header_bytes, ZMQ_DONTWAIT);
        int body_size = zmq_recv(handle, body, sizeof body, ZMQ_DONTWAIT);
        assert_true(header_size > 0 && body_size >= 0 && !zsock_rcvmore(self->router));
        bus_header_t header;
        err_detail_t detail;
        assert_int_equal(bus_header_decode(header_bytes, (size_t)header_size, &header, &detail),
                         ERR_OK);
        if (header.kind == BUS_REPLY) {
            self->last_correlation = header.correlation;
            self->last_status = header.status;
        }
        hub_frame(self->hub, clock_mono_ms(), gateway_peer(self, id, (size_t)id_size), &header,
                  body, (size_t)body_size);
    }
}

static void gateway_tick(void *arg)
{
    gateway_t *self = arg;
    if (!self->mute)
        hub_tick(self->hub, clock_mono_ms());
}

/* False: the address is still in use. libzmq closes sockets behind our back. */
static bool gateway_start(gateway_t *self, actor_t *actor, const char *endpoint,
                          const char *welcome)
{
    err_detail_t detail = {""};
    zsock_t *router = bus_socket_bind(endpoint, &detail);
    if (!router)
        return false;
    memset(self, 0, sizeof *self);
    self->actor = actor;
    self->router = router;
    char *bound = bus_socket_endpoint(self->router);
    snprintf(self->endpoint, sizeof self->endpoint, "%s", bound);
    free(bound);
    hub_config_t config = {.heartbeat_ms = 20, .sink = &gateway_sink, .sink_self = self};
    self->hub = hub_new(&config);
    hub_set_welcome(self->hub, 3, (const uint8_t *)welcome, strlen(welcome));
    actor_add_socket(actor, self->router, gateway_read, self);
    self->timer = actor_add_timer(actor, 20, gateway_tick, self);
    return true;
}

/* As if the process were killed: nobody is told. */
static void gateway_kill(gateway_t *self)
{
    if (!self->router)
        return;
    actor_remove_socket(self->actor, self->router);
    actor_remove_timer(self->actor, self->timer);
    zsock_set_linger(self->router, 0);
    zsock_destroy(&self->router);
    self->mute = true;
    hub_destroy(&self->hub, clock_mono_ms());
}

static void gateway_request(gateway_t *self, uint64_t token, hub_retry_t retry)
{
    static const char body[] = "do it";
    hub_request_t request = {.service = "order",
                             .message = 11,
                             .retry = retry,
                             .budget_ms = DEADLINE_MS,
                             .request_id = {{9}},
                             .traceparent = "00-trace",
                             .body = (const uint8_t *)body,
                             .body_size = sizeof body - 1,
                             .token = token};
    hub_request(self->hub, clock_mono_ms(), &request);
}

/* ---- a service, and a script of steps ---- */

typedef struct fixture fixture_t;

/* What is done, and what must come of it before the next step. */
typedef struct step {
    void (*act)(fixture_t *self);
    bool (*until)(fixture_t *self);
} step_t;

struct fixture {
    actor_t *actor;
    bus_t *bus;
    gateway_t gateways[2];
    bool hold; /* requests are kept in `held`, not answered */
    bus_reply_to_t held[TOKENS_MAX];
    size_t held_count, requests, batches, batch_largest;
    uint32_t attempt_last;
    size_t welcomes, losses;
    uint32_t gateway, generation; /* of the last welcome */
    char welcome[16];
    size_t mark;
    char list_path[64];
    const step_t *steps;
    bool step_done;
    const bus_metrics_t *metrics;
};

static void on_batch(void *arg, const bus_request_t *requests, size_t count)
{
    fixture_t *self = arg;
    self->batches++;
    if (count > self->batch_largest)
        self->batch_largest = count;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(requests[i].message, 11);
        assert_int_equal(requests[i].body_size, 5);
        assert_memory_equal(requests[i].body, "do it", 5);
        assert_string_equal(requests[i].reply_to.traceparent, "00-trace");
        self->requests++;
        self->attempt_last = requests[i].attempt;
        if (self->hold)
            self->held[self->held_count++] = requests[i].reply_to;
        else
            bus_reply(self->bus, &requests[i].reply_to, ERR_OK, 12, (const uint8_t *)"done", 4);
    }
}

static void on_welcome(void *arg, uint32_t gateway, uint32_t generation, const uint8_t *body,
                       size_t size)
{
    fixture_t *self = arg;
    self->welcomes++;
    self->gateway = gateway;
    self->generation = generation;
    snprintf(self->welcome, sizeof self->welcome, "%.*s", (int)size, (const char *)body);
}

static void on_gateway_lost(void *arg, uint32_t gateway, uint32_t generation)
{
    fixture_t *self = arg;
    (void)gateway;
    (void)generation;
    self->losses++;
}

static const bus_handlers_t handlers = {
    .on_batch = on_batch, .on_welcome = on_welcome, .on_gateway_lost = on_gateway_lost};

static void give_up(void *arg)
{
    (void)arg;
    static const char text[] = "test_bus: deadline\n";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(99);
}

static void next_step(void *arg)
{
    fixture_t *self = arg;
    if (!self->steps->act && !self->steps->until) {
        actor_stop(self->actor);
        return;
    }
    if (!self->step_done && self->steps->act)
        self->steps->act(self);
    self->step_done = true;
    if (!self->steps->until || self->steps->until(self)) {
        self->steps++;
        self->step_done = false;
    }
}

static fixture_t *fixture_open(void)
{
    fixture_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    self->actor = actor_new();
    gateway_start(&self->gateways[0], self->actor, "tcp://127.0.0.1:*", "one");
    return self;
}

static void fixture_join(fixture_t *self, const char *hub_addr, const bus_config_t *more)
{
    bus_config_t config = more ? *more : (bus_config_t){.credit = 512};
    config.actor = self->actor;
    config.service = "order";
    config.instance = "order-1";
    config.hub_addr = hub_addr ? hub_addr : self->gateways[0].endpoint;
    config.handlers = config.handlers ? config.handlers : &handlers;
    config.self = self;
    self->bus = bus_new(&config);
}

static void fixture_run(fixture_t *self, const step_t *steps)
{
    self->steps = steps;
    actor_add_timer(self->actor, 1, next_step, self);
    actor_add_timer(self->actor, DEADLINE_MS, give_up, NULL);
    assert_int_equal(actor_run(self->actor), 0);
    bus_destroy(&self->bus);
    assert_null(self->bus);
    gateway_kill(&self->gateways[0]);
    gateway_kill(&self->gateways[1]);
    actor_destroy(&self->actor);
    free(self);
}

static bool welcomed(fixture_t *self)
{
    return self->welcomes == 1 && bus_gateways(self->bus) == 1;
}

static void request_one(fixture_t *self)
{
    gateway_request(&self->gateways[0], self->gateways[0].answered, HUB_RETRY_SAFE);
}

static bool one_answered(fixture_t *self)
{
    return self->gateways[0].answered == 1;
}

static bool one_held(fixture_t *self)
{
    return self->held_count == 1;
}

static void reply_held(fixture_t *self)
{
    for (size_t i = 0; i < self->held_count; i++)
        bus_reply(self->bus, &self->held[i], ERR_OK, 12, (const uint8_t *)"done", 4);
    self->held_count = 0;
}

/* ---- the tests ---- */

static bool answered_in_full(fixture_t *self)
{
    const gateway_t *gateway = &self->gateways[0];
    if (gateway->answered == 0)
        return false;
    assert_int_equal(gateway->statuses[0], ERR_OK);
    assert_string_equal(gateway->last_body, "done");
    assert_string_equal(gateway->last_instance, "order-1");
    assert_string_equal(self->welcome, "one");
    assert_int_equal(self->attempt_last, 1);
    assert_int_equal(bus_unanswered(self->bus), 0);
    return true;
}

static void a_service_is_welcomed_given_a_request_and_heard(void **state)
{
    (void)state;
    fixture_t *self = fixture_open();
    fixture_join(self, NULL, NULL);
    fixture_run(self, (const step_t[]){{NULL, welcomed}, {request_one, answered_in_full}, {0}});
}

static void request_500(fixture_t *self)
{
    for (uint64_t token = 0; token < 500; token++)
        gateway_request(&self->gateways[0], token, HUB_RETRY_SAFE);
}

static bool answered_500_in_batches(fixture_t *self)
{
    if (self->gateways[0].answered < 500)
        return false;
    assert_int_equal(self->requests, 500);
    assert_true(self->batch_largest > 1 && self->batch_largest <= SERVICE_BATCH_MAX);
    assert_true(self->batches < 500);
    return true;
}

static void what_waits_is_handed_over_in_one_call(void **state)
{
    (void)state;
    fixture_t *self = fixture_open();
    fixture_join(self, NULL, NULL);
    fixture_run(self,
                (const step_t[]){{NULL, welcomed}, {request_500, answered_500_in_batches}, {0}});
}

static bool answered_500_one_by_one(fixture_t *self)
{
    if (self->gateways[0].answered < 500)
        return false;
    assert_int_equal(self->batch_largest, 1);
    return true;
}

static void a_mailbox_larger_than_a_batch_is_emptied_without_new_arrivals(void **state)
{
    (void)state;
    fixture_t *self = fixture_open();
    fixture_join(self, NULL, &(bus_config_t){.credit = 512, .batch_max = 1});
    fixture_run(self,
                (const step_t[]){{NULL, welcomed}, {request_500, answered_500_one_by_one}, {0}});
}

static void request_2500(fixture_t *self)
{
    for (uint64_t token = 0; token < 2500; token++)
        gateway_request(&self->gateways[0], token, token % 2 ? HUB_RETRY_SAFE : HUB_RETRY_NEVER);
}

static bool answered_2500(fixture_t *self)
{
    reply_held(self);
    if (self->gateways[0].answered < 2500)
        return false;
    for (size_t token = 0; token < 2500; token++)
        assert_int_equal(self->gateways[0].statuses[token], ERR_OK);
    assert_int_equal(self->requests, 2500);
    return true;
}

static void many_requests_in_flight_are_each_answered_once(void **state)
{
    (void)state;
    fixture_t *self = fixture_open();
    self->hold = true; /* answered later, all that is held at once */
    fixture_join(self, NULL, NULL);
    fixture_run(self, (const step_t[]){{NULL, welcomed}, {request_2500, answered_2500}, {0}});
}

static void kill_gateway(fixture_t *self)
{
    gateway_kill(&self->gateways[0]);
}

static bool lost(fixture_t *self)
{
    return self->losses == 1 && bus_gateways(self->bus) == 0 && bus_unanswered(self->bus) == 0;
}

static bool gateway_restarted(fixture_t *self)
{
    char endpoint[ENDPOINT_SIZE];
    memcpy(endpoint, self->gateways[0].endpoint, sizeof endpoint);
    return gateway_start(&self->gateways[0], self->actor, endpoint, "again");
}

static bool welcomed_again(fixture_t *self)
{
    return self->welcomes == 2 && strcmp(self->welcome, "again") == 0;
}

/* What was held for the former gateway goes nowhere, whatever the new one calls its requests. */
static void reply_stale_then_request(fixture_t *self)
{
    reply_held(self);
    self->hold = false;
    request_one(self);
}

static void a_gateway_that_was_killed_is_found_again_and_its_old_requests_are_dropped(void **state)
{
    (void)state;
    fixture_t *self = fixture_open();
    self->hold = true;
    fixture_join(self, NULL, NULL);
    fixture_run(self, (const step_t[]){{NULL, welcomed},
                                       {request_one, one_held},
                                       {kill_gateway, lost},
                                       {NULL, gateway_restarted},
                                       {NULL, welcomed_again},
                                       {reply_stale_then_request, one_answered},
                                       {0}});
}

/* The number of a sample that is one line of the text. */
static uint64_t counted(const bus_metrics_t *metrics, const char *sample)
{
    buf_t text = {0};
    char wanted[160];
    unsigned long long value = 0;
    bus_metrics_print(metrics, "order", NULL, &text);
    snprintf(wanted, sizeof wanted, "\n%s ", sample);
    const char *found = strstr(text.data, wanted);
    if (found == NULL)
        fail_msg("no %s in:\n%s", sample, text.data);
    else
        value = strtoull(found + strlen(wanted), NULL, 10);
    buf_free(&text);
    return value;
}

static bool counted_while_held(fixture_t *self)
{
    if (!one_held(self))
        return false;
    assert_int_equal(counted(self->metrics, "tiffin_service_requests_in_flight"), 1);
    assert_int_equal(counted(self->metrics, "tiffin_service_gateways"), 1);
    return true;
}

static bool counted_as_lost(fixture_t *self)
{
    if (!lost(self))
        return false;
    assert_int_equal(counted(self->metrics, "tiffin_service_requests_in_flight"), 0);
    assert_int_equal(counted(self->metrics, "tiffin_service_gateways"), 0);
    return true;
}

static void what_is_taken_answered_and_dropped_is_counted(void **state)
{
    (void)state;
    fixture_t *self = fixture_open();
    bus_metrics_t *metrics = bus_metrics_new();
    self->metrics = metrics;
    self->hold = true;
    fixture_join(self, NULL, &(bus_config_t){.credit = 512, .metrics = metrics});
    fixture_run(self, (const step_t[]){{NULL, welcomed},
                                       {request_one, counted_while_held},
                                       {kill_gateway, counted_as_lost},
                                       {NULL, gateway_restarted},
                                       {NULL, welcomed_again},
                                       {reply_stale_then_request, one_answered},
                                       {0}});
    static const char answered[] = "tiffin_service_requests_total{service=\"order\","
                                   "message=\"unknown\",outcome=\"ok\"}";
    static const char in_ten_seconds[] = "tiffin_service_request_duration_seconds_bucket{"
                                         "service=\"order\",message=\"unknown\",le=\"10\"}";
    assert_int_equal(counted(metrics, answered), 1);
    assert_int_equal(counted(metrics, in_ten_seconds), 1);
    assert_int_equal(counted(metrics, "tiffin_service_requests_dropped_total"), 1);
    assert_int_equal(counted(metrics, "tiffin_service_requests_in_flight"), 0);
    assert_int_equal(counted(metrics, "tiffin_service_gateways"), 0);
    bus_metrics_destroy(&metrics);
}

static bool both_welcomed(fixture_t *self)
{
    return bus_gateways(self->bus) == 2;
}

static void request_both_and_tell_both(fixture_t *self)
{
    gateway_request(&self->gateways[0], 0, HUB_RETRY_SAFE);
    gateway_request(&self->gateways[1], 0, HUB_RETRY_SAFE);
    bus_event(self->bus, 40, &(uuid_t){{1}}, "00-event", (const uint8_t *)"news", 4);
}

static bool both_answered_and_told(fixture_t *self)
{
    for (size_t i = 0; i < 2; i++) {
        const gateway_t *gateway = &self->gateways[i];
        if (gateway->answered < 1 || gateway->events < 1)
            return false;
        assert_string_equal(gateway->last_event, "40 order-1 00-event news");
    }
    return true;
}

static void tell_the_last_welcomed(fixture_t *self)
{
    assert_true(bus_event_to(self->bus, self->gateway, self->generation, 41,
                             (const uint8_t *)"for you", 7));
    assert_false(bus_event_to(self->bus, self->gateway, self->generation + 1, 41, NULL, 0));
}

static bool one_of_them_told(fixture_t *self)
{
    return self->gateways[0].events + self->gateways[1].events == 3;
}

static void every_gateway_is_served_and_told(void **state)
{
    (void)state;
    fixture_t *self = fixture_open();
    gateway_start(&self->gateways[1], self->actor, "tcp://127.0.0.1:*", "two");
    char addresses[2 * ENDPOINT_SIZE + 2];
    snprintf(addresses, sizeof addresses, "%s,%s", self->gateways[0].endpoint,
             self->gateways[1].endpoint);
    fixture_join(self, addresses, NULL);
    fixture_run(self, (const step_t[]){{NULL, both_welcomed},
                                       {request_both_and_tell_both, both_answered_and_told},
                                       {tell_the_last_welcomed, one_of_them_told},
                                       {0}});
}

static void send_without_budget(fixture_t *self)
{
    bus_header_t header = {.version = BUS_VERSION,
                           .kind = BUS_REQUEST,
                           .message = 11,
                           .correlation = 77,
                           .service = "order"};
    assert_true(gateway_send(&self->gateways[0], 0, &header, (const uint8_t *)"do it", 5));
}

static bool refused_as_too_late(fixture_t *self)
{
    if (self->gateways[0].last_correlation != 77)
        return false;
    assert_int_equal(self->gateways[0].last_status, ERR_DEADLINE);
    assert_int_equal(self->requests, 0);
    assert_int_equal(bus_unanswered(self->bus), 0);
    return true;
}

static void a_request_whose_budget_ended_in_the_mailbox_is_not_handed_over(void **state)
{
    (void)state;
    fixture_t *self = fixture_open();
    fixture_join(self, NULL, NULL);
    fixture_run(
        self, (const step_t[]){{NULL, welcomed}, {send_without_budget, refused_as_too_late}, {0}});
}

static bool refused_as_not_offered(fixture_t *self)
{
    if (self->gateways[0].last_correlation != 77)
        return false;
    assert_int_equal(self->gateways[0].last_status, ERR_NOT_FOUND);
    return true;
}

static void send_uncalled(fixture_t *self)
{
    bus_header_t header = {.version = BUS_VERSION,
                           .kind = BUS_REQUEST,
                           .message = 11,
                           .correlation = 77,
                           .budget_ms = DEADLINE_MS,
                           .service = "order"};
    assert_true(gateway_send(&self->gateways[0], 0, &header, NULL, 0));
}

static void a_service_without_requests_offers_no_credit(void **state)
{
    (void)state;
    static const bus_handlers_t none = {.on_welcome = on_welcome};
    fixture_t *self = fixture_open();
    fixture_join(self, NULL, &(bus_config_t){.credit = 5, .handlers = &none});
    fixture_run(self,
                (const step_t[]){{NULL, welcomed}, {send_uncalled, refused_as_not_offered}, {0}});
}

static void drain(fixture_t *self)
{
    bus_drain(self->bus);
    assert_false(bus_drained(self->bus)); /* a request may be on its way */
}

static bool hub_knows_of_draining(fixture_t *self)
{
    hub_worker_info_t row;
    return hub_workers(self->gateways[0].hub, &row, 1) == 1 && row.draining;
}

static void request_while_draining(fixture_t *self)
{
    gateway_request(&self->gateways[0], 1, HUB_RETRY_SAFE);
    assert_int_equal(self->gateways[0].statuses[1], ERR_NO_WORKER);
    assert_int_equal(bus_unanswered(self->bus), 1);
    assert_false(bus_drained(self->bus));
    reply_held(self);
}

static bool drained(fixture_t *self)
{
    return bus_drained(self->bus) && self->gateways[0].answered == 2 &&
           self->gateways[0].statuses[0] == ERR_OK;
}

static void leave(fixture_t *self)
{
    bus_destroy(&self->bus);
}

static bool hub_knows_of_leaving(fixture_t *self)
{
    return hub_workers(self->gateways[0].hub, &(hub_worker_info_t){0}, 1) == 0;
}

static void draining_takes_nothing_new_answers_what_is_held_and_says_bye(void **state)
{
    (void)state;
    fixture_t *self = fixture_open();
    self->hold = true;
    fixture_join(self, NULL, NULL);
    fixture_run(self, (const step_t[]){{NULL, welcomed},
                                       {request_one, one_held},
                                       {drain, hub_knows_of_draining},
                                       {request_while_draining, drained},
                                       {leave, hub_knows_of_leaving},
                                       {0}});
}

/* What the service still holds is sent again, so it answers that and not the first. */
static void forget_service(fixture_t *self)
{
    self->hold = false;
    hub_set_welcome(self->gateways[0].hub, 3, (const uint8_t *)"again", 5);
    hub_peer_lost(self->gateways[0].hub, clock_mono_ms(), 0);
}

static bool second_attempt_answered(fixture_t *self)
{
    reply_held(self); /* of the first attempt: goes nowhere */
    return one_answered(self) && self->attempt_last == 2 && self->losses == 1;
}

static void a_hub_that_forgot_the_service_asks_and_is_told(void **state)
{
    (void)state;
    fixture_t *self = fixture_open();
    self->hold = true;
    fixture_join(self, NULL, &(bus_config_t){.credit = 8, .heartbeat_ms = 20});
    fixture_run(self, (const step_t[]){{NULL, welcomed},
                                       {request_one, one_held},
                                       {forget_service, welcomed_again},
                                       {NULL, second_attempt_answered},
                                       {0}});
}

static void gateway_hangs(fixture_t *self)
{
    self->gateways[0].mute = true;
}

static void gateway_goes_on(fixture_t *self)
{
    self->gateways[0].mute = false;
    self->hold = false;
    hub_set_welcome(self->gateways[0].hub, 3, (const uint8_t *)"again", 5);
    gateway_read(&self->gateways[0]);
}

static void a_silent_gateway_is_left_and_found_again(void **state)
{
    (void)state;
    fixture_t *self = fixture_open();
    fixture_join(self, NULL, &(bus_config_t){.credit = 8, .heartbeat_ms = 20, .liveness_ms = 150});
    fixture_run(
        self, (const step_t[]){
                  {NULL, welcomed}, {gateway_hangs, lost}, {gateway_goes_on, welcomed_again}, {0}});
}

static void hub_restarts(fixture_t *self)
{
    gateway_t *gateway = &self->gateways[0];
    hub_destroy(&gateway->hub, clock_mono_ms());
    hub_config_t config = {.heartbeat_ms = 20, .sink = &gateway_sink, .sink_self = gateway};
    gateway->hub = hub_new(&config);
    hub_set_welcome(gateway->hub, 3, (const uint8_t *)"again", 5);
}

static void a_gateway_that_says_bye_is_connected_anew(void **state)
{
    (void)state;
    fixture_t *self = fixture_open();
    fixture_join(self, NULL, NULL);
    fixture_run(self, (const step_t[]){{NULL, welcomed}, {hub_restarts, welcomed_again}, {0}});
}

static void send_garbage(fixture_t *self)
{
    gateway_t *gateway = &self->gateways[0];
    void *handle = zsock_resolve(gateway->router);
    const uint8_t *id = gateway->peers[0];
    size_t id_size = gateway->peer_sizes[0];
    char large[BUS_HEADER_MAX_BYTES + 1] = {0};
    zmq_send(handle, id, id_size, ZMQ_SNDMORE); /* one frame */
    zmq_send(handle, "alone", 5, 0);
    zmq_send(handle, id, id_size, ZMQ_SNDMORE); /* not a header */
    zmq_send(handle, "header", 6, ZMQ_SNDMORE);
    zmq_send(handle, "body", 4, 0);
    zmq_send(handle, id, id_size, ZMQ_SNDMORE); /* four frames */
    zmq_send(handle, "header", 6, ZMQ_SNDMORE);
    zmq_send(handle, "body", 4, ZMQ_SNDMORE);
    zmq_send(handle, "more", 4, ZMQ_SNDMORE);
    zmq_send(handle, "most", 4, 0);
    zmq_send(handle, id, id_size, ZMQ_SNDMORE); /* over the limit */
    zmq_send(handle, large, sizeof large, ZMQ_SNDMORE);
    zmq_send(handle, "", 0, 0);
    request_one(self);
}

static void broken_messages_are_dropped_and_the_connection_goes_on(void **state)
{
    (void)state;
    fixture_t *self = fixture_open();
    fixture_join(self, NULL, NULL);
    fixture_run(self, (const step_t[]){{NULL, welcomed}, {send_garbage, one_answered}, {0}});
}

static void list_write(fixture_t *self, size_t first, size_t count)
{
    FILE *file = fopen(self->list_path, "w");
    assert_non_null(file);
    for (size_t i = first; i < first + count; i++)
        fprintf(file, "%s\n", self->gateways[i].endpoint);
    fclose(file);
}

static void list_both(fixture_t *self)
{
    gateway_start(&self->gateways[1], self->actor, "tcp://127.0.0.1:*", "two");
    list_write(self, 0, 2);
}

/* The second is no longer listed, but works: kept. A third address shows that the new list was
 * read. */
static void unlist_second(fixture_t *self)
{
    FILE *file = fopen(self->list_path, "w");
    assert_non_null(file);
    fprintf(file, "%s\n", self->gateways[0].endpoint);
    fclose(file);
    self->mark = self->welcomes;
}

static void kill_first_of_two(fixture_t *self)
{
    assert_int_equal(bus_gateways(self->bus), 2);
    gateway_kill(&self->gateways[0]);
}

static bool first_back(fixture_t *self)
{
    return self->welcomes == self->mark + 1 && bus_gateways(self->bus) == 2;
}

static void kill_second(fixture_t *self)
{
    gateway_kill(&self->gateways[1]);
}

static bool only_first(fixture_t *self)
{
    return bus_gateways(self->bus) == 1;
}

static void gateways_are_found_in_a_list_that_changes_and_kept_while_they_work(void **state)
{
    (void)state;
    fixture_t *self = fixture_open();
    snprintf(self->list_path, sizeof self->list_path, "/tmp/test-bus-XXXXXX");
    close(mkstemp(self->list_path));
    list_write(self, 0, 1);
    char addresses[80], path[64];
    memcpy(path, self->list_path, sizeof path);
    snprintf(addresses, sizeof addresses, "@%s", self->list_path);
    fixture_join(self, addresses, &(bus_config_t){.credit = 8, .resolve_ms = 5});
    fixture_run(self, (const step_t[]){{NULL, welcomed},
                                       {list_both, both_welcomed},
                                       {unlist_second, NULL},
                                       {kill_first_of_two, gateway_restarted},
                                       {NULL, first_back},
                                       {kill_second, only_first},
                                       {0}});
    unlink(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_service_is_welcomed_given_a_request_and_heard),
    cmocka_unit_test(what_waits_is_handed_over_in_one_call),
    cmocka_unit_test(a_mailbox_larger_than_a_batch_is_emptied_without_new_arrivals),
    cmocka_unit_test(many_requests_in_flight_are_each_answered_once),
    cmocka_unit_test(a_gateway_that_was_killed_is_found_again_and_its_old_requests_are_dropped),
    cmocka_unit_test(what_is_taken_answered_and_dropped_is_counted),
    cmocka_unit_test(every_gateway_is_served_and_told),
    cmocka_unit_test(a_request_whose_budget_ended_in_the_mailbox_is_not_handed_over),
    cmocka_unit_test(a_service_without_requests_offers_no_credit),
    cmocka_unit_test(draining_takes_nothing_new_answers_what_is_held_and_says_bye),
    cmocka_unit_test(a_hub_that_forgot_the_service_asks_and_is_told),
    cmocka_unit_test(a_silent_gateway_is_left_and_found_again),
    cmocka_unit_test(a_gateway_that_says_bye_is_connected_anew),
    cmocka_unit_test(broken_messages_are_dropped_and_the_connection_goes_on),
    cmocka_unit_test(gateways_are_found_in_a_list_that_changes_and_kept_while_they_work),
};

TEST_MAIN(tests)
