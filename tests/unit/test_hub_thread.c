/* test_hub_thread.c - the bridge between HTTP threads and services, with real DEALERs as services.
 */
#include "gateway/hub_thread.h"

#include <czmq.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib/bus_socket.h"
#include "lib/clock.h"
#include "lib/limits.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum { WAIT_MS = 15000, CALLERS = 32 };

/* ---- a gateway ---- */

typedef struct fixture {
    websockets_t *websockets;
    metrics_t *metrics;
    hub_thread_t *hub;
} fixture_t;

static void start(fixture_t *fixture)
{
    err_detail_t detail = {{0}};
    fixture->websockets = websockets_new(&(websockets_config_t){.max = 1});
    fixture->metrics = metrics_new();
    fixture->hub = hub_thread_new(&(hub_thread_config_t){.hub_bind = "tcp://127.0.0.1:*",
                                                         .tap_bind = "tcp://127.0.0.1:*",
                                                         .instance = "gateway-test",
                                                         .websockets = fixture->websockets,
                                                         .metrics = fixture->metrics},
                                  &detail);
    if (fixture->hub == NULL)
        fail_msg("%s", detail.text);
}

static void stop(fixture_t *fixture)
{
    hub_thread_destroy(&fixture->hub);
    metrics_destroy(&fixture->metrics);
    websockets_destroy(&fixture->websockets);
}

/* ---- a service: one DEALER on the test's thread ---- */

typedef struct service {
    zsock_t *socket, *monitor;
    const char *name, *instance;
} service_t;

typedef struct frames {
    bus_header_t header;
    uint8_t body[4096];
    size_t size;
} frames_t;

static void send_frames(service_t *service, const bus_header_t *header, const void *body,
                        size_t size)
{
    uint8_t encoded[BUS_HEADER_MAX_BYTES];
    bus_header_t whole = *header;
    whole.version = BUS_VERSION;
    str_copy(str_of(service->instance), whole.instance, sizeof whole.instance);
    const size_t encoded_size = bus_header_encode(&whole, encoded);
    zmsg_t *message = zmsg_new();
    zmsg_addmem(message, encoded, encoded_size);
    zmsg_addmem(message, body, size);
    assert_int_equal(zmsg_send(&message, service->socket), 0);
}

/* The next message that is no heartbeat; false when none came within timeout_ms. */
static bool next_frames_within(service_t *service, frames_t *frames, int timeout_ms)
{
    const int64_t end = clock_mono_ms() + timeout_ms;
    for (;;) {
        zmq_pollitem_t item = {.socket = zsock_resolve(service->socket), .events = ZMQ_POLLIN};
        const int64_t left = end - clock_mono_ms();
        if (left < 0 || zmq_poll(&item, 1, (long)left) <= 0)
            return false;
        zmsg_t *message = zmsg_recv(service->socket);
        zframe_t *header = zmsg_first(message), *body = zmsg_next(message);
        err_detail_t detail;
        assert_int_equal(
            bus_header_decode(zframe_data(header), zframe_size(header), &frames->header, &detail),
            ERR_OK);
        frames->size = zframe_size(body);
        assert_true(frames->size <= sizeof frames->body);
        memcpy(frames->body, zframe_data(body), frames->size);
        zmsg_destroy(&message);
        if (frames->header.kind != BUS_HEARTBEAT)
            return true;
    }
}

static void next_frames(service_t *service, frames_t *frames, bus_kind_t kind)
{
    if (!next_frames_within(service, frames, WAIT_MS))
        fail_msg("nothing came");
    if (frames->header.kind != kind)
        fail_msg("%s instead of %s", bus_kind_name(frames->header.kind), bus_kind_name(kind));
}

/* Connects, says READY, takes the WELCOME. */
static void join(service_t *service, const fixture_t *fixture, const char *name,
                 const char *instance, gateway_welcome_t *welcome)
{
    err_detail_t detail;
    *service = (service_t){.name = name, .instance = instance};
    service->socket = bus_socket_connect(hub_thread_endpoint(fixture->hub),
                                         ZMQ_EVENT_HANDSHAKE_SUCCEEDED, &service->monitor, &detail);
    assert_non_null(service->socket);
    zmq_pollitem_t item = {.socket = zsock_resolve(service->monitor), .events = ZMQ_POLLIN};
    assert_int_equal(zmq_poll(&item, 1, WAIT_MS), 1);
    bus_header_t ready = {.kind = BUS_READY, .credit = 64};
    str_copy(str_of(name), ready.service, sizeof ready.service);
    send_frames(service, &ready, "", 0);
    frames_t frames;
    next_frames(service, &frames, BUS_WELCOME);
    assert_int_equal(frames.header.message, MSG_gateway_welcome);
    gateway_welcome_t ignored;
    assert_int_equal(message_decode(MSG_gateway_welcome, frames.body, frames.size,
                                    welcome != NULL ? welcome : &ignored, &detail),
                     ERR_OK);
}

/* Without a word, as a process that was killed. */
static void leave(service_t *service)
{
    zsock_destroy(&service->monitor);
    zsock_destroy(&service->socket);
}

static void answer_created(service_t *service, const frames_t *request)
{
    order_create_t order;
    err_detail_t detail;
    assert_int_equal(
        message_decode(MSG_order_create, request->body, request->size, &order, &detail), ERR_OK);
    const order_created_t created = {.order_id = order.order_id,
                                     .status = STR_LITERAL("PENDING"),
                                     .user_id = order.user_id,
                                     .amount = order.amount,
                                     .currency = order.currency,
                                     .created_at_us = 1,
                                     .expires_at_us = 2};
    uint8_t body[1024];
    const size_t size = message_encode(MSG_order_created, &created, body, sizeof body);
    const bus_header_t reply = {.kind = BUS_REPLY,
                                .message = MSG_order_created,
                                .correlation = request->header.correlation,
                                .request_id = request->header.request_id};
    send_frames(service, &reply, body, size);
}

/* ---- an HTTP thread ---- */

typedef struct caller {
    const fixture_t *fixture;
    int64_t amount;
    uint32_t budget_ms;
    uuid_t order_id, request_id;
    hub_reply_t reply;
    pthread_t thread;
} caller_t;

static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static void *run_caller(void *arg)
{
    caller_t *caller = arg;
    const order_create_t order = {.order_id = caller->order_id,
                                  .user_id = STR_LITERAL("alice"),
                                  .amount = caller->amount,
                                  .currency = STR_LITERAL("INR")};
    hub_thread_call(caller->fixture->hub, MSG_order_create, &order, caller->budget_ms,
                    &caller->request_id, trace, &caller->reply);
    return NULL;
}

static void call(caller_t *caller, const fixture_t *fixture, int64_t amount, uint32_t budget_ms)
{
    *caller = (caller_t){.fixture = fixture,
                         .amount = amount,
                         .budget_ms = budget_ms,
                         .order_id = uuid7_new(),
                         .request_id = uuid7_new()};
    assert_int_equal(pthread_create(&caller->thread, NULL, run_caller, caller), 0);
}

static err_t finish(caller_t *caller)
{
    pthread_join(caller->thread, NULL);
    free(caller->reply.body);
    caller->reply.body = NULL;
    return caller->reply.status;
}

/* ---- tests: calls ---- */

static void a_call_reaches_its_service_and_the_answer_its_caller(void **state)
{
    (void)state;
    fixture_t fixture;
    service_t service;
    start(&fixture);
    join(&service, &fixture, "order", "order-1", NULL);
    caller_t caller;
    call(&caller, &fixture, 45000, 5000);
    frames_t request;
    next_frames(&service, &request, BUS_REQUEST);
    assert_int_equal(request.header.message, MSG_order_create);
    assert_true(uuid_equal(&request.header.request_id, &caller.request_id));
    assert_string_equal(request.header.traceparent, trace);
    assert_int_equal(request.header.attempt, 1);
    assert_true(request.header.budget_ms <= 5000 && request.header.budget_ms > 0);
    answer_created(&service, &request);
    pthread_join(caller.thread, NULL);
    assert_int_equal(caller.reply.status, ERR_OK);
    assert_int_equal(caller.reply.message, MSG_order_created);
    order_created_t created;
    err_detail_t detail;
    assert_int_equal(message_decode(MSG_order_created, caller.reply.body, caller.reply.body_size,
                                    &created, &detail),
                     ERR_OK);
    assert_true(uuid_equal(&created.order_id, &caller.order_id));
    assert_int_equal(created.amount, 45000);
    free(caller.reply.body);
    leave(&service);
    stop(&fixture);
}

static void answers_out_of_order_find_their_callers(void **state)
{
    (void)state;
    fixture_t fixture;
    service_t service;
    start(&fixture);
    join(&service, &fixture, "order", "order-1", NULL);
    caller_t callers[CALLERS];
    for (int i = 0; i < CALLERS; i++)
        call(&callers[i], &fixture, i + 1, 10000);
    frames_t *requests = calloc(CALLERS, sizeof *requests);
    for (int i = 0; i < CALLERS; i++)
        next_frames(&service, &requests[i], BUS_REQUEST);
    for (int i = CALLERS; i-- > 0;)
        answer_created(&service, &requests[i]);
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        order_created_t created;
        err_detail_t detail;
        assert_int_equal(callers[i].reply.status, ERR_OK);
        assert_int_equal(message_decode(MSG_order_created, callers[i].reply.body,
                                        callers[i].reply.body_size, &created, &detail),
                         ERR_OK);
        assert_int_equal(created.amount, i + 1);
        assert_true(uuid_equal(&created.order_id, &callers[i].order_id));
        free(callers[i].reply.body);
    }
    free(requests);
    leave(&service);
    stop(&fixture);
}

static void without_the_service_a_call_fails_at_once(void **state)
{
    (void)state;
    fixture_t fixture;
    start(&fixture);
    caller_t caller;
    const int64_t before_ms = clock_mono_ms();
    call(&caller, &fixture, 1, WAIT_MS);
    assert_int_equal(finish(&caller), ERR_NO_WORKER);
    assert_true(clock_mono_ms() - before_ms < WAIT_MS / 2);
    stop(&fixture);
}

static void a_call_that_is_not_answered_ends_with_its_budget(void **state)
{
    (void)state;
    fixture_t fixture;
    service_t service;
    start(&fixture);
    join(&service, &fixture, "order", "order-1", NULL);
    caller_t caller;
    call(&caller, &fixture, 1, 200);
    assert_int_equal(finish(&caller), ERR_DEADLINE);
    /* The late answer meets nobody, and the next call its own answer. */
    frames_t late, request;
    next_frames(&service, &late, BUS_REQUEST);
    answer_created(&service, &late);
    call(&caller, &fixture, 2, 5000);
    next_frames(&service, &request, BUS_REQUEST);
    answer_created(&service, &request);
    assert_int_equal(finish(&caller), ERR_OK);
    leave(&service);
    stop(&fixture);
}

static void a_call_whose_instance_is_killed_goes_to_another_at_once(void **state)
{
    (void)state;
    fixture_t fixture;
    service_t first, second;
    start(&fixture);
    join(&first, &fixture, "order", "order-1", NULL);
    caller_t caller;
    call(&caller, &fixture, 7, WAIT_MS);
    frames_t request;
    next_frames(&first, &request, BUS_REQUEST);
    join(&second, &fixture, "order", "order-2", NULL);
    const int64_t before_ms = clock_mono_ms();
    leave(&first);
    next_frames(&second, &request, BUS_REQUEST);
    /* By the disconnect, long before the silence would tell. */
    assert_true(clock_mono_ms() - before_ms < BUS_LIVENESS_MS / 2);
    assert_int_equal(request.header.attempt, 2);
    answer_created(&second, &request);
    assert_int_equal(finish(&caller), ERR_OK);
    leave(&second);
    stop(&fixture);
}

static void an_end_answers_every_caller_that_still_waits(void **state)
{
    (void)state;
    fixture_t fixture;
    service_t service;
    start(&fixture);
    join(&service, &fixture, "order", "order-1", NULL);
    caller_t caller;
    call(&caller, &fixture, 1, WAIT_MS);
    frames_t frames;
    next_frames(&service, &frames, BUS_REQUEST);
    hub_thread_destroy(&fixture.hub);
    assert_int_equal(finish(&caller), ERR_SHUTTING_DOWN);
    leave(&service);
    stop(&fixture);
}

static void hostile_frames_cost_nobody_else_anything(void **state)
{
    (void)state;
    fixture_t fixture;
    service_t service, hostile;
    start(&fixture);
    join(&service, &fixture, "order", "order-1", NULL);
    join(&hostile, &fixture, "router", "router-1", NULL);
    for (size_t frames = 1; frames < 6; frames++) {
        zmsg_t *message = zmsg_new();
        for (size_t i = 0; i < frames; i++)
            zmsg_addmem(message, "\xdd\x08\x00\x00\x00", 5);
        assert_int_equal(zmsg_send(&message, hostile.socket), 0);
    }
    caller_t caller;
    call(&caller, &fixture, 1, 5000);
    frames_t request;
    next_frames(&service, &request, BUS_REQUEST);
    /* An answer from somebody who does not hold the request is none. */
    answer_created(&hostile, &request);
    send_frames(&hostile, &(bus_header_t){.kind = BUS_EVENT, .message = 9999}, "x", 1);
    send_frames(&hostile, &(bus_header_t){.kind = BUS_EVENT, .message = MSG_notifier_event},
                "garbage", 7);
    answer_created(&service, &request);
    assert_int_equal(finish(&caller), ERR_OK);
    leave(&service);
    leave(&hostile);
    stop(&fixture);
}

/* ---- who is there ---- */

typedef struct expected_workers {
    const fixture_t *fixture;
    size_t count;
} expected_workers_t;

static bool workers_are(void *arg)
{
    const expected_workers_t *expected = arg;
    hub_snapshot_t *snapshot = malloc(sizeof *snapshot);
    hub_thread_snapshot(expected->fixture->hub, snapshot);
    const bool equal = snapshot->worker_count == expected->count;
    free(snapshot);
    return equal;
}

static void the_snapshot_shows_who_came_and_who_went(void **state)
{
    (void)state;
    fixture_t fixture;
    service_t first, second;
    start(&fixture);
    join(&first, &fixture, "order", "order-1", NULL);
    join(&second, &fixture, "router", "router-1", NULL);
    expected_workers_t expected = {&fixture, 2};
    wait_until(workers_are, &expected, WAIT_MS, "two instances");
    send_frames(&second, &(bus_header_t){.kind = BUS_BYE}, "", 0);
    expected.count = 1;
    wait_until(workers_are, &expected, WAIT_MS, "one instance after BYE");
    leave(&first);
    expected.count = 0;
    wait_until(workers_are, &expected, WAIT_MS, "nobody after a disconnect");
    leave(&second);
    stop(&fixture);
}

/* ---- the feed ---- */

static void send_feed_event(service_t *service, int64_t event_id)
{
    const notifier_event_t event = {.event_id = event_id,
                                    .order_id = uuid7_new(),
                                    .user_id = STR_LITERAL("alice"),
                                    .type = STR_LITERAL("payment.confirmed"),
                                    .payload = STR_LITERAL("{}")};
    uint8_t body[512];
    const size_t size = message_encode(MSG_notifier_event, &event, body, sizeof body);
    send_frames(service, &(bus_header_t){.kind = BUS_EVENT, .message = MSG_notifier_event}, body,
                size);
}

static bool has_delivered_42(void *arg)
{
    return websockets_last_event_id(arg) == 42;
}

static void a_notifier_that_comes_back_is_told_how_far_the_feed_is(void **state)
{
    (void)state;
    fixture_t fixture;
    service_t notifier;
    gateway_welcome_t welcome;
    start(&fixture);
    join(&notifier, &fixture, "notifier", "notifier-1", &welcome);
    assert_int_equal(welcome.last_event_id, 0);
    assert_true(welcome.started_at_us > 0);
    send_feed_event(&notifier, 41);
    send_feed_event(&notifier, 42);
    send_feed_event(&notifier, 40);
    wait_until(has_delivered_42, fixture.websockets, WAIT_MS, "event 42");
    leave(&notifier);
    join(&notifier, &fixture, "notifier", "notifier-1", &welcome);
    assert_int_equal(welcome.last_event_id, 42);
    leave(&notifier);
    stop(&fixture);
}

/* ---- the tap ---- */

static zsock_t *listen_to(const fixture_t *fixture, const char *prefix)
{
    zsock_t *tap = zsock_new(ZMQ_SUB);
    zsock_set_rcvtimeo(tap, WAIT_MS);
    zsock_set_subscribe(tap, prefix);
    zsock_set_subscribe(tap, "tap.sync.test");
    assert_int_equal(zsock_connect(tap, "%s", hub_thread_tap_endpoint(fixture->hub)), 0);
    char *sync = zstr_recv(tap);
    assert_non_null(sync);
    assert_string_equal(sync, "tap.sync.test");
    zstr_free(&sync);
    return tap;
}

/* The next message of the tap: its topic and kind, the body decoded into `message`. */
static void next_tapped(zsock_t *tap, const char *topic, const char *kind, zmsg_t **keep,
                        tap_record_t *record, void *message)
{
    zmsg_t *frames = zmsg_recv(tap);
    assert_non_null(frames);
    assert_int_equal(zmsg_size(frames), 3);
    err_detail_t detail = {{0}};
    zframe_t *frame = zmsg_first(frames);
    assert_int_equal(zframe_size(frame), strlen(topic));
    assert_memory_equal(zframe_data(frame), topic, strlen(topic));
    frame = zmsg_next(frames);
    assert_int_equal(
        message_decode(MSG_tap_record, zframe_data(frame), zframe_size(frame), record, &detail),
        ERR_OK);
    assert_true(str_is(record->kind, kind));
    frame = zmsg_next(frames);
    if (message_decode((uint32_t)record->message, zframe_data(frame), zframe_size(frame), message,
                       &detail) != ERR_OK)
        fail_msg("%s", detail.text);
    *keep = frames;
}

static void the_tap_sees_request_and_reply_masked(void **state)
{
    (void)state;
    fixture_t fixture;
    service_t service;
    start(&fixture);
    zsock_t *tap = listen_to(&fixture, "order.");
    join(&service, &fixture, "order", "order-1", NULL);
    caller_t caller;
    call(&caller, &fixture, 45000, 5000);
    frames_t request;
    next_frames(&service, &request, BUS_REQUEST);
    answer_created(&service, &request);
    assert_int_equal(finish(&caller), ERR_OK);

    zmsg_t *frames;
    tap_record_t record;
    order_create_t order;
    next_tapped(tap, "order.create", "REQUEST", &frames, &record, &order);
    assert_true(str_is(record.gateway, "gateway-test"));
    assert_true(uuid_equal(&record.request_id, &caller.request_id));
    assert_true(uuid_equal(&order.order_id, &caller.order_id));
    assert_true(str_is(order.user_id, "***"));
    assert_int_equal(order.amount, 45000);
    assert_int_equal(record.attempt, 1);
    const int64_t seq = record.seq;
    zmsg_destroy(&frames);

    order_created_t created;
    next_tapped(tap, "order.create", "REPLY", &frames, &record, &created);
    assert_int_equal(record.message, MSG_order_created);
    assert_true(str_is(record.instance, "order-1"));
    assert_true(str_is(created.user_id, "***"));
    assert_true(record.seq > seq);
    zmsg_destroy(&frames);
    zsock_destroy(&tap);
    leave(&service);
    stop(&fixture);
}

static void the_tap_sees_the_gateways_own_events_and_only_what_it_asked_for(void **state)
{
    (void)state;
    fixture_t fixture;
    service_t service;
    start(&fixture);
    zsock_t *tap = listen_to(&fixture, "gateway.webhook");
    join(&service, &fixture, "notifier", "notifier-1", NULL);
    send_feed_event(&service, 42); /* nobody asked for it */
    wait_until(has_delivered_42, fixture.websockets, WAIT_MS, "event 42");
    const webhook_received_t webhook = {.psp = STR_LITERAL("Razorpay"),
                                        .event_id = STR_LITERAL("evt_1"),
                                        .answer = STR_LITERAL("accepted")};
    const uuid_t request_id = uuid7_new();
    hub_thread_event(fixture.hub, MSG_webhook_received, &webhook, &request_id, trace);
    zmsg_t *frames;
    tap_record_t record;
    webhook_received_t seen;
    next_tapped(tap, "gateway.webhook", "EVENT", &frames, &record, &seen);
    assert_true(str_is(seen.event_id, "evt_1"));
    assert_true(str_is(record.traceparent, trace));
    assert_true(uuid_equal(&record.request_id, &request_id));
    zmsg_destroy(&frames);
    zsock_destroy(&tap);
    leave(&service);
    stop(&fixture);
}

static void an_address_that_cannot_be_bound_is_an_error(void **state)
{
    (void)state;
    fixture_t fixture;
    start(&fixture);
    err_detail_t detail = {{0}};
    hub_thread_config_t config = {.hub_bind = hub_thread_endpoint(fixture.hub),
                                  .tap_bind = "tcp://127.0.0.1:*",
                                  .instance = "second",
                                  .websockets = fixture.websockets,
                                  .metrics = fixture.metrics};
    assert_null(hub_thread_new(&config, &detail));
    assert_non_null(strstr(detail.text, config.hub_bind));
    config.hub_bind = "tcp://127.0.0.1:*";
    config.tap_bind = hub_thread_tap_endpoint(fixture.hub);
    assert_null(hub_thread_new(&config, &detail));
    assert_non_null(strstr(detail.text, config.tap_bind));
    stop(&fixture);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_call_reaches_its_service_and_the_answer_its_caller),
    cmocka_unit_test(answers_out_of_order_find_their_callers),
    cmocka_unit_test(without_the_service_a_call_fails_at_once),
    cmocka_unit_test(a_call_that_is_not_answered_ends_with_its_budget),
    cmocka_unit_test(a_call_whose_instance_is_killed_goes_to_another_at_once),
    cmocka_unit_test(an_end_answers_every_caller_that_still_waits),
    cmocka_unit_test(hostile_frames_cost_nobody_else_anything),
    cmocka_unit_test(the_snapshot_shows_who_came_and_who_went),
    cmocka_unit_test(a_notifier_that_comes_back_is_told_how_far_the_feed_is),
    cmocka_unit_test(the_tap_sees_request_and_reply_masked),
    cmocka_unit_test(the_tap_sees_the_gateways_own_events_and_only_what_it_asked_for),
    cmocka_unit_test(an_address_that_cannot_be_bound_is_an_error),
};

TEST_MAIN(tests)
