/* test_hub.c - the hub core, rule by rule, then any order of anything (hub_script.h). */
#include "lib/hub.h"
#include "tests/support/hub_script.h"
#include "tests/support/test_main.h"

#include <stdio.h>

enum { SENT_MAX = 2 * HUB_WORKERS_MAX, LOG_MAX = 64 };

typedef struct sent {
    uint32_t peer;
    bus_header_t header;
    char body[32];
} sent_t;

typedef struct answered {
    uint64_t token;
    err_t status;
    char instance[64];
    int64_t took_ms;
    uint32_t message;
    char body[32];
} answered_t;

typedef struct fixture {
    hub_t *hub;
    int64_t now_ms;
    sent_t sent[SENT_MAX]; /* heartbeats are only counted */
    size_t sent_count, heartbeats, events, came, went;
    answered_t answers[LOG_MAX];
    size_t answer_count;
    const char *reason;
    uint32_t deaf_peer; /* sends to it fail; 0: none */
} fixture_t;

static void text_of(char out[32], const uint8_t *body, size_t size)
{
    snprintf(out, 32, "%.*s", (int)size, body ? (const char *)body : "");
}

static bool sink_send(void *arg, uint32_t peer, const bus_header_t *header, const uint8_t *body,
                      size_t size)
{
    fixture_t *self = arg;
    if (peer == self->deaf_peer)
        return false;
    if (header->kind == BUS_HEARTBEAT) {
        self->heartbeats++;
        return true;
    }
    assert_true(self->sent_count < SENT_MAX);
    sent_t *sent = &self->sent[self->sent_count++];
    sent->peer = peer;
    sent->header = *header;
    text_of(sent->body, body, size);
    return true;
}

static void sink_answer(void *arg, const hub_request_t *request, err_t status, const char *instance,
                        int64_t took_ms, uint32_t message, const uint8_t *body, size_t size)
{
    fixture_t *self = arg;
    assert_true(self->answer_count < LOG_MAX);
    answered_t *answered = &self->answers[self->answer_count++];
    *answered = (answered_t){
        .token = request->token, .status = status, .took_ms = took_ms, .message = message};
    snprintf(answered->instance, sizeof answered->instance, "%s", instance);
    text_of(answered->body, body, size);
}

static void sink_event(void *arg, uint32_t peer, const bus_header_t *header, const uint8_t *body,
                       size_t size)
{
    fixture_t *self = arg;
    (void)peer;
    (void)header;
    (void)body;
    (void)size;
    self->events++;
}

static void sink_worker(void *arg, uint32_t peer, const char *service, const char *instance,
                        bool present, const char *reason)
{
    fixture_t *self = arg;
    (void)peer;
    (void)service;
    (void)instance;
    if (present)
        self->came++;
    else
        self->went++;
    self->reason = reason;
}

static const hub_sink_t sink = {sink_send, sink_answer, sink_event, sink_worker};

static fixture_t *fixture_open(const hub_config_t *bounds)
{
    fixture_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    hub_config_t config = bounds ? *bounds : (hub_config_t){0};
    config.sink = &sink;
    config.sink_self = self;
    self->hub = hub_new(&config);
    self->now_ms = 1000;
    hub_tick(self->hub, self->now_ms); /* so that heartbeats fall on whole seconds */
    return self;
}

static void fixture_close(fixture_t *self)
{
    hub_destroy(&self->hub, self->now_ms);
    assert_null(self->hub);
    free(self);
}

static void frame(fixture_t *self, uint32_t peer, bus_header_t header, const char *body)
{
    header.version = BUS_VERSION;
    hub_frame(self->hub, self->now_ms, peer, &header, (const uint8_t *)body, strlen(body));
}

static void ready(fixture_t *self, uint32_t peer, const char *service, uint32_t credit)
{
    bus_header_t header = {.kind = BUS_READY, .credit = credit};
    snprintf(header.service, sizeof header.service, "%s", service);
    snprintf(header.instance, sizeof header.instance, "%s-%u", service, peer);
    frame(self, peer, header, "");
}

static void say(fixture_t *self, uint32_t peer, bus_kind_t kind)
{
    frame(self, peer, (bus_header_t){.kind = kind}, "");
}

static void request_budget(fixture_t *self, uint64_t token, hub_retry_t retry, uint32_t budget_ms)
{
    static const char body[] = "body";
    hub_request_t request = {.service = "order",
                             .message = 11,
                             .retry = retry,
                             .budget_ms = budget_ms,
                             .request_id = {{1, 2, 3}},
                             .traceparent = "00-trace",
                             .body = (const uint8_t *)body,
                             .body_size = sizeof body - 1,
                             .token = token};
    hub_request(self->hub, self->now_ms, &request);
}

static void request(fixture_t *self, uint64_t token)
{
    request_budget(self, token, HUB_RETRY_SAFE, 5000);
}

/* The REQUEST frames that were sent, in order. */
static const sent_t *sent_request(const fixture_t *self, size_t nth)
{
    for (size_t i = 0; i < self->sent_count; i++)
        if (self->sent[i].header.kind == BUS_REQUEST && nth-- == 0)
            return &self->sent[i];
    fail_msg("not so many requests were sent");
    return NULL;
}

static size_t requests_sent(const fixture_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->sent_count; i++)
        count += self->sent[i].header.kind == BUS_REQUEST;
    return count;
}

static void reply_as(fixture_t *self, uint32_t peer, uint64_t correlation, err_t status)
{
    frame(self, peer,
          (bus_header_t){.kind = BUS_REPLY,
                         .correlation = correlation,
                         .message = 12,
                         .status = (uint32_t)status},
          "answer");
}

static void reply(fixture_t *self, const sent_t *to)
{
    reply_as(self, to->peer, to->header.correlation, ERR_OK);
}

static void pass(fixture_t *self, int64_t ms)
{
    self->now_ms += ms;
    hub_tick(self->hub, self->now_ms);
}

/* Time passes, and every peer up to `peers` shows that it lives. */
static void pass_alive(fixture_t *self, int64_t ms, uint32_t peers)
{
    self->now_ms += ms;
    for (uint32_t peer = 1; peer <= peers; peer++)
        say(self, peer, BUS_HEARTBEAT);
    hub_tick(self->hub, self->now_ms);
}

static void assert_answer(const fixture_t *self, size_t nth, uint64_t token, err_t status)
{
    assert_true(nth < self->answer_count);
    assert_int_equal(self->answers[nth].token, token);
    assert_string_equal(err_name(self->answers[nth].status), err_name(status));
}

static void without_an_instance_the_answer_is_no_worker_at_once(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    request(self, 1);
    assert_answer(self, 0, 1, ERR_NO_WORKER);
    ready(self, 1, "router", 4);
    request(self, 2);
    assert_answer(self, 1, 2, ERR_NO_WORKER);
    assert_int_equal(hub_requests(self->hub), 0);
    fixture_close(self);
}

static void a_request_carries_what_its_caller_gave_and_the_budget_that_is_left(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 0);
    request(self, 1);
    assert_int_equal(hub_requests(self->hub), 1);
    self->now_ms += 300;
    frame(self, 1, (bus_header_t){.kind = BUS_CREDIT, .credit = 1}, "");
    const sent_t *sent = sent_request(self, 0);
    assert_int_equal(sent->header.version, BUS_VERSION);
    assert_int_equal(sent->header.message, 11);
    assert_int_equal(sent->header.budget_ms, 4700);
    assert_int_equal(sent->header.attempt, 1);
    assert_int_equal(sent->header.request_id.bytes[2], 3);
    assert_string_equal(sent->header.service, "order");
    assert_string_equal(sent->header.traceparent, "00-trace");
    assert_string_equal(sent->body, "body");
    fixture_close(self);
}

static void a_reply_is_handed_on_with_instance_and_time(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    request(self, 1);
    self->now_ms += 7;
    reply_as(self, 1, sent_request(self, 0)->header.correlation, ERR_ORDER_NOT_FOUND);
    assert_answer(self, 0, 1, ERR_ORDER_NOT_FOUND);
    assert_int_equal(self->answers[0].took_ms, 7);
    assert_int_equal(self->answers[0].message, 12);
    assert_string_equal(self->answers[0].instance, "order-1");
    assert_string_equal(self->answers[0].body, "answer");
    assert_int_equal(hub_requests(self->hub), 0);
    fixture_close(self);
}

static void a_status_that_is_not_in_the_table_is_internal(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    request(self, 1);
    reply_as(self, 1, sent_request(self, 0)->header.correlation, (err_t)9999);
    assert_answer(self, 0, 1, ERR_INTERNAL);
    fixture_close(self);
}

static void the_least_loaded_instance_is_chosen_then_the_one_longest_without_work(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 4);
    ready(self, 2, "order", 4);
    ready(self, 3, "order", 1);
    for (uint64_t token = 0; token < 5; token++)
        request(self, token);
    static const uint32_t expected[] = {1, 2, 3, 1, 2};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(sent_request(self, i)->peer, expected[i]);
    reply(self, sent_request(self, 1)); /* 2 has one, 1 has two, 3 is full */
    request(self, 5);
    assert_int_equal(sent_request(self, 5)->peer, 2);
    reply(self, sent_request(self, 2)); /* 3 is empty */
    request(self, 6);
    assert_int_equal(sent_request(self, 6)->peer, 3);
    fixture_close(self);
}

static void never_more_are_in_flight_than_there_is_credit(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 2);
    for (uint64_t token = 0; token < 5; token++)
        request(self, token);
    assert_int_equal(requests_sent(self), 2);
    reply(self, sent_request(self, 0));
    assert_int_equal(requests_sent(self), 3);
    frame(self, 1, (bus_header_t){.kind = BUS_CREDIT, .credit = 1}, "");
    reply(self, sent_request(self, 1));
    assert_int_equal(requests_sent(self), 3);
    frame(self, 1, (bus_header_t){.kind = BUS_CREDIT, .credit = 3}, "");
    assert_int_equal(requests_sent(self), 5);
    fixture_close(self);
}

static void a_full_queue_is_busy_at_once(void **state)
{
    (void)state;
    hub_config_t bounds = {.queue_per_service_max = 2};
    fixture_t *self = fixture_open(&bounds);
    ready(self, 1, "order", 1);
    for (uint64_t token = 0; token < 4; token++)
        request(self, token);
    assert_int_equal(self->answer_count, 1);
    assert_answer(self, 0, 3, ERR_BUSY);
    fixture_close(self);
}

static void a_full_table_is_busy_at_once(void **state)
{
    (void)state;
    hub_config_t bounds = {.requests_max = 2};
    fixture_t *self = fixture_open(&bounds);
    ready(self, 1, "order", 9);
    for (uint64_t token = 0; token < 3; token++)
        request(self, token);
    assert_int_equal(self->answer_count, 1);
    assert_answer(self, 0, 2, ERR_BUSY);
    fixture_close(self);
}

static void a_budget_that_ends_before_sending_is_busy(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 0);
    request_budget(self, 3, HUB_RETRY_SAFE, 0);
    assert_answer(self, 0, 3, ERR_BUSY); /* nothing could ever be done in no time */
    request_budget(self, 1, HUB_RETRY_SAFE, 500);
    request_budget(self, 2, HUB_RETRY_SAFE, 400);
    pass(self, 399);
    assert_int_equal(self->answer_count, 1);
    pass(self, 1);
    assert_answer(self, 1, 2, ERR_BUSY);
    pass(self, 100);
    assert_answer(self, 2, 1, ERR_BUSY);
    assert_int_equal(self->answers[2].took_ms, 500);
    fixture_close(self);
}

static void what_expired_in_the_queue_is_not_sent_when_credit_comes(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 0);
    request_budget(self, 1, HUB_RETRY_SAFE, 100);
    request_budget(self, 2, HUB_RETRY_SAFE, 200);
    self->now_ms += 100; /* no tick yet */
    frame(self, 1, (bus_header_t){.kind = BUS_CREDIT, .credit = 1}, "");
    assert_answer(self, 0, 1, ERR_BUSY);
    assert_int_equal(requests_sent(self), 1);
    assert_int_equal(sent_request(self, 0)->header.budget_ms, 100);
    fixture_close(self);
}

static void a_budget_that_ends_after_sending_is_deadline(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    request_budget(self, 1, HUB_RETRY_SAFE, 500);
    pass(self, 500);
    assert_answer(self, 0, 1, ERR_DEADLINE);
    fixture_close(self);
}

static void late_reply_is_dropped_but_gives_credit_back(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    request_budget(self, 1, HUB_RETRY_SAFE, 500);
    pass(self, 500);
    request(self, 2);
    assert_int_equal(requests_sent(self), 1); /* the instance still holds the first */
    assert_int_equal(hub_requests(self->hub), 1);
    reply(self, sent_request(self, 0));
    assert_int_equal(self->answer_count, 1);
    assert_int_equal(requests_sent(self), 2);
    reply(self, sent_request(self, 0)); /* once more: means nothing */
    reply(self, sent_request(self, 1));
    assert_int_equal(self->answer_count, 2);
    assert_answer(self, 1, 2, ERR_OK);
    fixture_close(self);
}

static void a_reply_counts_only_from_the_instance_that_holds_the_request(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    ready(self, 2, "order", 1);
    request(self, 1);
    uint64_t correlation = sent_request(self, 0)->header.correlation;
    reply_as(self, 2, correlation, ERR_OK);                /* another instance */
    reply_as(self, 3, correlation, ERR_OK);                /* a stranger */
    reply_as(self, 1, correlation + (1ULL << 32), ERR_OK); /* another generation */
    reply_as(self, 1, correlation + 1, ERR_OK);            /* a slot that is free */
    reply_as(self, 1, UINT32_MAX, ERR_OK);                 /* no slot */
    assert_int_equal(self->answer_count, 0);
    reply_as(self, 1, correlation, ERR_OK);
    assert_answer(self, 0, 1, ERR_OK);
    fixture_close(self);
}

static void what_a_lost_instance_held_goes_first_to_another_in_order(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 3);
    ready(self, 2, "order", 0);
    for (uint64_t token = 0; token < 4; token++)
        request(self, token);
    assert_int_equal(requests_sent(self), 3);
    hub_peer_lost(self->hub, self->now_ms, 1);
    assert_string_equal(self->reason, "disconnected");
    hub_peer_lost(self->hub, self->now_ms, 1); /* known already */
    assert_int_equal(self->went, 1);
    frame(self, 2, (bus_header_t){.kind = BUS_CREDIT, .credit = 9}, "");
    for (size_t i = 3; i < 7; i++)
        reply(self, sent_request(self, i));
    for (uint64_t token = 0; token < 4; token++) {
        assert_answer(self, token, token, ERR_OK);
        assert_int_equal(sent_request(self, 3 + token)->header.attempt, token < 3 ? 2 : 1);
    }
    fixture_close(self);
}

static void a_reply_to_an_earlier_attempt_is_dropped(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    request(self, 1);
    ready(self, 1, "order", 1); /* the same peer, forgotten and back */
    assert_int_equal(requests_sent(self), 2);
    reply(self, sent_request(self, 0));
    assert_int_equal(self->answer_count, 0);
    reply(self, sent_request(self, 1));
    assert_answer(self, 0, 1, ERR_OK);
    fixture_close(self);
}

static void what_must_not_run_twice_is_lost_with_its_instance(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    ready(self, 2, "order", 0);
    request_budget(self, 1, HUB_RETRY_NEVER, 5000);
    request_budget(self, 2, HUB_RETRY_NEVER, 5000);
    say(self, 1, BUS_BYE);
    assert_string_equal(self->reason, "said BYE");
    assert_answer(self, 0, 1, ERR_WORKER_LOST);
    frame(self, 2, (bus_header_t){.kind = BUS_CREDIT, .credit = 1}, "");
    assert_int_equal(requests_sent(self), 2); /* the second was never sent, so it goes */
    fixture_close(self);
}

static void a_request_that_loses_every_instance_is_given_up(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    request(self, 1);
    for (uint32_t attempt = 1; attempt < HUB_ATTEMPTS_MAX; attempt++) {
        say(self, 1, BUS_BYE);
        assert_int_equal(self->answer_count, 0);
        ready(self, 1, "order", 1);
        assert_int_equal(sent_request(self, attempt)->header.attempt, attempt + 1);
    }
    say(self, 1, BUS_BYE);
    assert_answer(self, 0, 1, ERR_WORKER_LOST);
    fixture_close(self);
}

static void a_tried_request_that_finds_no_other_instance_ends_as_deadline(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    request_budget(self, 1, HUB_RETRY_SAFE, 500);
    request_budget(self, 2, HUB_RETRY_SAFE, 500);
    say(self, 1, BUS_BYE);
    request(self, 3);
    assert_answer(self, 0, 3, ERR_NO_WORKER);
    pass(self, 500);
    assert_int_equal(self->answer_count, 3);
    for (size_t i = 1; i < 3; i++)
        assert_answer(self, i, self->answers[i].token,
                      self->answers[i].token == 1 ? ERR_DEADLINE : ERR_BUSY);
    fixture_close(self);
}

static void what_was_overdue_at_a_lost_instance_is_forgotten(void **state)
{
    (void)state;
    hub_config_t bounds = {.requests_max = 1};
    fixture_t *self = fixture_open(&bounds);
    ready(self, 1, "order", 1);
    request_budget(self, 1, HUB_RETRY_SAFE, 500);
    pass(self, 500);
    hub_peer_lost(self->hub, self->now_ms, 1);
    assert_int_equal(self->answer_count, 1);
    ready(self, 2, "order", 1);
    request(self, 2); /* its slot is free again */
    assert_int_equal(requests_sent(self), 2);
    fixture_close(self);
}

static void a_silent_instance_is_lost_and_any_frame_is_a_sign_of_life(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    ready(self, 2, "order", 1);
    request(self, 1);
    pass(self, BUS_LIVENESS_MS - 1000);
    say(self, 2, BUS_EVENT);
    pass(self, 999);
    assert_int_equal(self->went, 0);
    pass(self, 1);
    assert_int_equal(self->went, 1);
    assert_string_equal(self->reason, "silent");
    hub_worker_info_t rows[4];
    assert_int_equal(hub_workers(self->hub, rows, 4), 1);
    assert_string_equal(rows[0].instance, "order-2");
    fixture_close(self);
}

static void an_instance_that_cannot_be_sent_to_is_lost_and_the_request_not_tried(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    ready(self, 2, "order", 1);
    self->deaf_peer = 1;
    request_budget(self, 1, HUB_RETRY_NEVER, 5000);
    assert_string_equal(self->reason, "cannot be sent to");
    assert_int_equal(sent_request(self, 0)->peer, 2);
    assert_int_equal(sent_request(self, 0)->header.attempt, 1);
    fixture_close(self);
}

static void an_instance_that_cannot_be_welcomed_is_lost(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    self->deaf_peer = 1;
    ready(self, 1, "order", 1);
    assert_int_equal(self->came, 1);
    assert_int_equal(self->went, 1);
    request(self, 1);
    assert_answer(self, 0, 1, ERR_NO_WORKER);
    fixture_close(self);
}

static void an_instance_whose_heartbeat_fails_is_lost_and_its_work_goes_on(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    ready(self, 2, "order", 1);
    request(self, 1);
    self->deaf_peer = 1;
    pass_alive(self, BUS_HEARTBEAT_MS, 2);
    assert_int_equal(self->went, 1);
    assert_int_equal(self->heartbeats, 1);
    assert_int_equal(sent_request(self, 1)->peer, 2);
    fixture_close(self);
}

static void heartbeats_go_to_every_instance_each_interval(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    ready(self, 2, "router", 1);
    pass_alive(self, BUS_HEARTBEAT_MS - 1, 2);
    assert_int_equal(self->heartbeats, 0);
    pass_alive(self, 1, 2);
    assert_int_equal(self->heartbeats, 2);
    pass_alive(self, BUS_HEARTBEAT_MS, 2);
    assert_int_equal(self->heartbeats, 4);
    fixture_close(self);
}

static void a_draining_instance_is_given_nothing_and_its_work_is_awaited(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 2);
    request(self, 1);
    say(self, 1, BUS_DRAIN);
    assert_int_equal(self->sent[self->sent_count - 1].header.kind, BUS_DRAIN);
    say(self, 1, BUS_DRAIN);
    request(self, 2);
    assert_answer(self, 0, 2, ERR_NO_WORKER);
    ready(self, 2, "order", 1);
    request(self, 3);
    assert_int_equal(sent_request(self, 1)->peer, 2);
    request(self, 4);
    assert_int_equal(requests_sent(self), 2); /* 1 has room, but drains */
    reply(self, sent_request(self, 0));
    assert_answer(self, 1, 1, ERR_OK);
    say(self, 1, BUS_BYE);
    assert_int_equal(hub_requests(self->hub), 2);
    fixture_close(self);
}

static void an_instance_that_cannot_be_told_of_its_draining_is_lost(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    request_budget(self, 1, HUB_RETRY_NEVER, 5000);
    self->deaf_peer = 1;
    say(self, 1, BUS_DRAIN);
    assert_int_equal(self->went, 1);
    assert_answer(self, 0, 1, ERR_WORKER_LOST);
    fixture_close(self);
}

static void ready_again_replaces_the_registration(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    request_budget(self, 1, HUB_RETRY_NEVER, 5000);
    ready(self, 1, "router", 3);
    assert_string_equal(self->reason, "ready");
    assert_answer(self, 0, 1, ERR_WORKER_LOST);
    hub_worker_info_t rows[4];
    assert_int_equal(hub_workers(self->hub, rows, 4), 1);
    assert_string_equal(rows[0].service, "router");
    assert_int_equal(rows[0].credit, 3);
    fixture_close(self);
}

static void a_stranger_is_asked_who_it_is_and_otherwise_ignored(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    say(self, 1, BUS_HEARTBEAT);
    assert_int_equal(self->sent[0].header.kind, BUS_WHO);
    for (uint32_t kind = 0; kind < 12; kind++)
        if (kind != BUS_READY && kind != BUS_HEARTBEAT)
            frame(self, 1, (bus_header_t){.kind = kind}, "");
    assert_int_equal(self->sent_count, 1);
    assert_int_equal(self->events, 0);
    fixture_close(self);
}

static void events_of_instances_are_handed_on(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "notifier", 0);
    say(self, 1, BUS_EVENT);
    say(self, 1, BUS_WELCOME); /* not a peer's to say */
    assert_int_equal(self->events, 1);
    fixture_close(self);
}

static void ready_is_answered_with_the_newest_welcome(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    hub_set_welcome(self->hub, 5, (const uint8_t *)"old", 3);
    hub_set_welcome(self->hub, 6, (const uint8_t *)"newer", 5);
    ready(self, 2, "order", 1);
    hub_set_welcome(self->hub, 0, NULL, 0);
    ready(self, 3, "order", 1);
    static const uint32_t messages[] = {0, 6, 0};
    static const char *const bodies[] = {"", "newer", ""};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(self->sent[i].header.kind, BUS_WELCOME);
        assert_int_equal(self->sent[i].header.message, messages[i]);
        assert_string_equal(self->sent[i].body, bodies[i]);
    }
    fixture_close(self);
}

static void instances_over_the_bound_are_refused(void **state)
{
    (void)state;
    hub_config_t bounds = {.workers_max = 2};
    fixture_t *self = fixture_open(&bounds);
    ready(self, 1, "", 1);
    assert_string_equal(self->reason, "refused: no service named");
    ready(self, 1, "order", 1);
    ready(self, 2, "router", 1);
    ready(self, 3, "order", 1);
    assert_string_equal(self->reason, "refused: no room");
    ready(self, 3, "notifier", 1);
    assert_string_equal(self->reason, "refused: no room");
    hub_worker_info_t rows[4];
    assert_int_equal(hub_workers(self->hub, rows, 4), 2);
    /* A name that waits for its instances takes a place, too. */
    request(self, 1);
    say(self, 1, BUS_BYE);
    ready(self, 3, "notifier", 1);
    assert_string_equal(self->reason, "refused: no room");
    ready(self, 3, "order", 1);
    assert_int_equal(requests_sent(self), 2);
    fixture_close(self);
}

static void a_name_that_finds_no_instance_slot_leaves_nothing_behind(void **state)
{
    (void)state;
    hub_config_t bounds = {.workers_max = 2};
    fixture_t *self = fixture_open(&bounds);
    ready(self, 1, "order", 1);
    ready(self, 2, "order", 1);
    for (uint32_t peer = 3; peer < 9; peer++)
        ready(self, peer, "router", 1);
    say(self, 2, BUS_BYE);
    ready(self, 3, "router", 1);
    assert_string_equal(self->reason, "ready");
    fixture_close(self);
}

static void peers_with_any_number_are_told_apart(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    /* Numbers that often fall into one bucket. */
    for (uint32_t i = 0; i < HUB_WORKERS_MAX; i++)
        ready(self, i * i * 7919, "order", 1);
    assert_int_equal(self->came, HUB_WORKERS_MAX);
    for (uint32_t i = 0; i < HUB_WORKERS_MAX; i++)
        hub_peer_lost(self->hub, self->now_ms, i * i * 7919);
    assert_int_equal(self->went, HUB_WORKERS_MAX);
    fixture_close(self);
}

static void next_tick_is_the_earliest_of_beat_deadline_and_silence(void **state)
{
    (void)state;
    hub_config_t bounds = {.liveness_ms = 700};
    fixture_t *self = fixture_open(&bounds);
    assert_int_equal(hub_next_ms(self->hub, self->now_ms), BUS_HEARTBEAT_MS);
    assert_int_equal(hub_next_ms(self->hub, self->now_ms + 5000), 0);
    ready(self, 1, "order", 1);
    assert_int_equal(hub_next_ms(self->hub, self->now_ms), 700);
    request_budget(self, 1, HUB_RETRY_SAFE, 300);
    request_budget(self, 2, HUB_RETRY_SAFE, 200);
    request_budget(self, 3, HUB_RETRY_SAFE, 400);
    assert_int_equal(hub_next_ms(self->hub, self->now_ms), 200);
    pass(self, 200);
    assert_int_equal(hub_next_ms(self->hub, self->now_ms), 100);
    fixture_close(self);
}

static void instances_are_listed_with_their_load(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    self->now_ms = 1500;
    ready(self, 1, "order", 8);
    ready(self, 2, "order", 8);
    request(self, 1);
    say(self, 1, BUS_DRAIN);
    hub_worker_info_t rows[2] = {0};
    assert_int_equal(hub_workers(self->hub, rows, 1), 1);
    assert_string_equal(rows[0].service, "order");
    assert_string_equal(rows[0].instance, "order-1");
    assert_int_equal(rows[0].credit, 8);
    assert_int_equal(rows[0].in_flight, 1);
    assert_true(rows[0].draining);
    assert_int_equal(rows[0].since_ms, 1500);
    assert_string_equal(rows[1].service, "");
    assert_int_equal(hub_workers(self->hub, rows, 2), 2);
    assert_false(rows[1].draining);
    fixture_close(self);
}

static void ending_answers_what_is_left_and_says_bye(void **state)
{
    (void)state;
    fixture_t *self = fixture_open(NULL);
    ready(self, 1, "order", 1);
    request(self, 1);
    request(self, 2);
    hub_destroy(&self->hub, self->now_ms);
    assert_int_equal(self->answer_count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_answer(self, i, self->answers[i].token, ERR_SHUTTING_DOWN);
    assert_int_equal(self->sent[self->sent_count - 1].header.kind, BUS_BYE);
    fixture_close(self); /* a second destroy does nothing */
}

/* xorshift64*: the same scripts on every machine. */
static uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static void any_order_of_anything_keeps_every_promise(void **state)
{
    (void)state;
    static uint8_t script[3000];
    for (uint64_t seed = 1; seed <= 150; seed++) {
        uint64_t random = seed;
        for (size_t i = 0; i < sizeof script; i++)
            script[i] = (uint8_t)(random_next(&random) >> 56);
        hub_script_run(script, sizeof script);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_an_instance_the_answer_is_no_worker_at_once),
    cmocka_unit_test(a_request_carries_what_its_caller_gave_and_the_budget_that_is_left),
    cmocka_unit_test(a_reply_is_handed_on_with_instance_and_time),
    cmocka_unit_test(a_status_that_is_not_in_the_table_is_internal),
    cmocka_unit_test(the_least_loaded_instance_is_chosen_then_the_one_longest_without_work),
    cmocka_unit_test(never_more_are_in_flight_than_there_is_credit),
    cmocka_unit_test(a_full_queue_is_busy_at_once),
    cmocka_unit_test(a_full_table_is_busy_at_once),
    cmocka_unit_test(a_budget_that_ends_before_sending_is_busy),
    cmocka_unit_test(what_expired_in_the_queue_is_not_sent_when_credit_comes),
    cmocka_unit_test(a_budget_that_ends_after_sending_is_deadline),
    cmocka_unit_test(late_reply_is_dropped_but_gives_credit_back),
    cmocka_unit_test(a_reply_counts_only_from_the_instance_that_holds_the_request),
    cmocka_unit_test(what_a_lost_instance_held_goes_first_to_another_in_order),
    cmocka_unit_test(a_reply_to_an_earlier_attempt_is_dropped),
    cmocka_unit_test(what_must_not_run_twice_is_lost_with_its_instance),
    cmocka_unit_test(a_request_that_loses_every_instance_is_given_up),
    cmocka_unit_test(a_tried_request_that_finds_no_other_instance_ends_as_deadline),
    cmocka_unit_test(what_was_overdue_at_a_lost_instance_is_forgotten),
    cmocka_unit_test(a_silent_instance_is_lost_and_any_frame_is_a_sign_of_life),
    cmocka_unit_test(an_instance_that_cannot_be_sent_to_is_lost_and_the_request_not_tried),
    cmocka_unit_test(an_instance_that_cannot_be_welcomed_is_lost),
    cmocka_unit_test(an_instance_whose_heartbeat_fails_is_lost_and_its_work_goes_on),
    cmocka_unit_test(heartbeats_go_to_every_instance_each_interval),
    cmocka_unit_test(a_draining_instance_is_given_nothing_and_its_work_is_awaited),
    cmocka_unit_test(an_instance_that_cannot_be_told_of_its_draining_is_lost),
    cmocka_unit_test(ready_again_replaces_the_registration),
    cmocka_unit_test(a_stranger_is_asked_who_it_is_and_otherwise_ignored),
    cmocka_unit_test(events_of_instances_are_handed_on),
    cmocka_unit_test(ready_is_answered_with_the_newest_welcome),
    cmocka_unit_test(instances_over_the_bound_are_refused),
    cmocka_unit_test(a_name_that_finds_no_instance_slot_leaves_nothing_behind),
    cmocka_unit_test(peers_with_any_number_are_told_apart),
    cmocka_unit_test(next_tick_is_the_earliest_of_beat_deadline_and_silence),
    cmocka_unit_test(instances_are_listed_with_their_load),
    cmocka_unit_test(ending_answers_what_is_left_and_says_bye),
    cmocka_unit_test(any_order_of_anything_keeps_every_promise),
};

TEST_MAIN(tests)
