/* hub_script.h - plays a script of bytes against the hub core and checks every promise of hub.h
 * after each step: what the property test (seeded scripts) and the fuzz target (libFuzzer's) share.
 *
 * The model knows only what goes in and out. A promise that does not hold is a failed CHECK.
 */
#ifndef TIFFIN_TESTS_HUB_SCRIPT_H
#define TIFFIN_TESTS_HUB_SCRIPT_H

#include <stdlib.h>
#include <string.h>

#include "lib/hub.h"

enum {
    SCRIPT_PEERS = 6,
    SCRIPT_WORKERS_MAX = 4,
    SCRIPT_REQUESTS_MAX = 12,
    SCRIPT_QUEUE_MAX = 4,
    SCRIPT_CREDIT_MAX = 4,
    SCRIPT_STEPS_MAX = 4096,
    SCRIPT_HEARTBEAT_MS = 100,
    SCRIPT_LIVENESS_MS = 600,
};

static const char *const script_services[] = {"order", "router", "notifier"};
enum { SCRIPT_SERVICES = 3 };

typedef struct script_request {
    const char *service;
    hub_retry_t retry;
    int64_t since_ms, deadline_ms;
    uint32_t sendings;
    bool answered;
    int held_by; /* the peer that may still answer in time; -1: waits */
    uint8_t *body;
} script_request_t;

typedef struct script_held {
    uint64_t correlation;
    size_t request;
} script_held_t;

typedef struct script_peer {
    bool present, draining, broken;
    char service[32];
    uint32_t credit;
    uint32_t held_count;
    script_held_t held[SCRIPT_REQUESTS_MAX];
    uint64_t last_correlation; /* of the last request it answered: to be sent again, late */
} script_peer_t;

typedef struct script {
    hub_t *hub;
    int64_t now_ms;
    script_peer_t peers[SCRIPT_PEERS];
    script_request_t requests[SCRIPT_STEPS_MAX];
    size_t request_count, unanswered;
    size_t replying; /* 1 + the request whose reply is being handed in; 0: none */
    uint32_t reply_status;
    bool ending, expect_event;
    const uint8_t *bytes;
    size_t left;
} script_t;

static inline uint8_t script_byte(script_t *self)
{
    if (self->left == 0)
        return 0;
    self->left--;
    return *self->bytes++;
}

static inline void script_on_request(script_t *self, script_peer_t *peer, int number,
                                     const bus_header_t *header, const uint8_t *body, size_t size)
{
    CHECK(peer->present && !peer->draining && peer->held_count < peer->credit);
    CHECK(strcmp(header->service, peer->service) == 0);
    size_t index;
    CHECK(size == sizeof index);
    memcpy(&index, body, sizeof index);
    script_request_t *request = &self->requests[index];
    CHECK(!request->answered && request->held_by == -1);
    CHECK(strcmp(request->service, peer->service) == 0);
    CHECK(request->deadline_ms - self->now_ms == header->budget_ms && header->budget_ms > 0);
    CHECK(header->message == (uint32_t)index + 1);
    CHECK(strcmp(header->traceparent, "trace") == 0);
    if (peer->broken)
        return;
    request->sendings++;
    CHECK(header->attempt == request->sendings);
    CHECK(request->sendings == 1 || request->retry == HUB_RETRY_SAFE);
    CHECK(request->sendings <= HUB_ATTEMPTS_MAX);
    request->held_by = number;
    peer->held[peer->held_count++] = (script_held_t){header->correlation, index};
}

static inline bool script_send(void *arg, uint32_t number, const bus_header_t *header,
                               const uint8_t *body, size_t size)
{
    script_t *self = arg;
    CHECK(number < SCRIPT_PEERS && header->version == BUS_VERSION);
    script_peer_t *peer = &self->peers[number];
    switch (header->kind) {
    case BUS_REQUEST:
        script_on_request(self, peer, (int)number, header, body, size);
        break;
    case BUS_WELCOME:
        CHECK(peer->present && header->message == 7 && size == 3 && memcmp(body, "hub", 3) == 0);
        break;
    case BUS_HEARTBEAT:
        CHECK(peer->present && size == 0);
        break;
    case BUS_DRAIN:
        CHECK(peer->present && peer->draining);
        break;
    case BUS_WHO:
        CHECK(!peer->present);
        break;
    case BUS_BYE:
        CHECK(self->ending && peer->present);
        break;
    default:
        CHECK(false);
    }
    return !peer->broken;
}

static inline void script_check_status(const script_t *self, const script_request_t *request,
                                       size_t index, err_t status, const char *instance)
{
    bool tried = request->sendings > 0;
    CHECK((self->replying == index + 1) == (instance[0] != '\0'));
    if (self->replying == index + 1) {
        CHECK(status == err_from_number(self->reply_status));
        return;
    }
    switch (status) {
    case ERR_NO_WORKER:
        CHECK(!tried && request->since_ms == self->now_ms);
        break;
    case ERR_BUSY:
        CHECK(!tried);
        break;
    case ERR_DEADLINE:
        CHECK(tried && request->deadline_ms <= self->now_ms);
        break;
    case ERR_WORKER_LOST:
        CHECK(tried);
        CHECK(request->retry == HUB_RETRY_NEVER || request->sendings == HUB_ATTEMPTS_MAX);
        break;
    case ERR_SHUTTING_DOWN:
        CHECK(self->ending);
        break;
    default:
        CHECK(false);
    }
}

static inline void script_answer(void *arg, const hub_request_t *what, err_t status,
                                 const char *instance, int64_t took_ms, uint32_t message,
                                 const uint8_t *body, size_t size)
{
    script_t *self = arg;
    size_t index = (size_t)what->token;
    script_request_t *request = &self->requests[index];
    CHECK(index < self->request_count && !request->answered);
    CHECK(took_ms == self->now_ms - request->since_ms);
    CHECK(what->body == request->body && strcmp(what->traceparent, "trace") == 0);
    script_check_status(self, request, index, status, instance);
    CHECK(instance[0] ? message == 9 && size == 5 && memcmp(body, "reply", 5) == 0
                      : message == 0 && size == 0);
    request->answered = true;
    request->held_by = -1;
    self->unanswered--;
    free(request->body); /* the sanitizer sees who looks at it again */
    request->body = NULL;
}

static inline void script_event(void *arg, uint32_t number, const bus_header_t *header,
                                const uint8_t *body, size_t size)
{
    script_t *self = arg;
    (void)body;
    CHECK(self->expect_event && self->peers[number].present && header->kind == BUS_EVENT &&
          size == 0);
    self->expect_event = false;
}

static inline void script_worker(void *arg, uint32_t number, const char *service,
                                 const char *instance, bool present, const char *reason)
{
    script_t *self = arg;
    script_peer_t *peer = &self->peers[number];
    CHECK(reason[0] && (instance[0] || !present));
    if (present) {
        CHECK(!peer->present && strcmp(peer->service, service) == 0);
        peer->present = true;
        peer->draining = false;
        peer->held_count = 0;
        return;
    }
    for (uint32_t i = 0; i < peer->held_count; i++) {
        script_request_t *request = &self->requests[peer->held[i].request];
        if (request->held_by == (int)number)
            request->held_by = -1;
    }
    peer->present = false;
    peer->held_count = 0;
}

static const hub_sink_t script_sink = {script_send, script_answer, script_event, script_worker};

static inline void script_step_request(script_t *self)
{
    if (self->request_count == SCRIPT_STEPS_MAX)
        return;
    size_t index = self->request_count++;
    script_request_t *request = &self->requests[index];
    uint8_t choice = script_byte(self);
    uint32_t budget_ms = script_byte(self) * 8U;
    *request = (script_request_t){.service = script_services[choice % SCRIPT_SERVICES],
                                  .retry = choice & 8 ? HUB_RETRY_NEVER : HUB_RETRY_SAFE,
                                  .since_ms = self->now_ms,
                                  .deadline_ms = self->now_ms + budget_ms,
                                  .held_by = -1,
                                  .body = malloc(sizeof index)};
    CHECK(request->body);
    memcpy(request->body, &index, sizeof index);
    self->unanswered++;
    char trace[] = "trace";
    hub_request_t what = {.service = request->service,
                          .message = (uint32_t)index + 1,
                          .retry = request->retry,
                          .budget_ms = budget_ms,
                          .traceparent = trace,
                          .body = request->body,
                          .body_size = sizeof index,
                          .token = index};
    hub_request(self->hub, self->now_ms, &what);
    memset(trace, '?', sizeof trace - 1);
}

static inline void script_frame(script_t *self, uint32_t number, const bus_header_t *header,
                                const char *body)
{
    hub_frame(self->hub, self->now_ms, number, header, (const uint8_t *)body, strlen(body));
}

static inline void script_step_ready(script_t *self, uint32_t number)
{
    script_peer_t *peer = &self->peers[number];
    uint8_t choice = script_byte(self);
    bus_header_t header = {.version = BUS_VERSION, .kind = BUS_READY};
    header.credit = (choice >> 4) % (SCRIPT_CREDIT_MAX + 1);
    size_t service = choice % (SCRIPT_SERVICES + 1);
    if (service < SCRIPT_SERVICES)
        memcpy(header.service, script_services[service], strlen(script_services[service]));
    memcpy(header.instance, "one", 3);
    /* The model tells two registrations of one peer apart; script_step_ready_again replaces. */
    if (peer->present)
        script_frame(self, number, &(bus_header_t){.version = BUS_VERSION, .kind = BUS_BYE}, "");
    CHECK(!peer->present);
    memcpy(peer->service, header.service, sizeof peer->service);
    peer->credit = header.credit;
    script_frame(self, number, &header, "");
}

static inline void script_step_ready_again(script_t *self, uint32_t number)
{
    script_peer_t *peer = &self->peers[number];
    if (!peer->present)
        return;
    bus_header_t header = {.version = BUS_VERSION, .kind = BUS_READY, .credit = peer->credit};
    memcpy(header.service, peer->service, sizeof header.service);
    memcpy(header.instance, "two", 3);
    script_frame(self, number, &header, "");
}

static inline void script_step_reply(script_t *self, uint32_t number)
{
    script_peer_t *peer = &self->peers[number];
    uint8_t choice = script_byte(self);
    bus_header_t header = {.version = BUS_VERSION, .kind = BUS_REPLY, .message = 9};
    header.status = script_byte(self);
    memcpy(header.instance, "one", 3);
    if (choice & 0x80) { /* one that was answered, or one that never was */
        header.correlation = choice & 0x40 ? peer->last_correlation : choice;
        const script_peer_t *other = &self->peers[choice % SCRIPT_PEERS];
        if (choice & 0x20 && other != peer && other->held_count)
            header.correlation = other->held[0].correlation; /* what another holds */
        for (uint32_t i = 0; i < peer->held_count; i++)      /* no name is ever used twice */
            CHECK(peer->held[i].correlation != header.correlation);
    } else if (peer->held_count) {
        uint32_t pick = choice % peer->held_count;
        script_held_t held = peer->held[pick];
        peer->held[pick] = peer->held[--peer->held_count];
        peer->last_correlation = header.correlation = held.correlation;
        if (!self->requests[held.request].answered)
            self->replying = held.request + 1;
        self->reply_status = header.status;
    }
    script_frame(self, number, &header, "reply");
    CHECK(!self->replying || self->requests[self->replying - 1].answered);
    self->replying = 0;
}

static inline void script_step_frame(script_t *self, uint32_t number)
{
    script_peer_t *peer = &self->peers[number];
    bus_header_t header = {.version = BUS_VERSION, .kind = script_byte(self) % 12U};
    switch (header.kind) {
    case BUS_READY:
    case BUS_REPLY:
        return; /* have steps of their own */
    case BUS_EVENT:
        self->expect_event = peer->present;
        break;
    case BUS_CREDIT:
        header.credit = script_byte(self) % (SCRIPT_CREDIT_MAX + 1U);
        peer->credit = header.credit;
        break;
    case BUS_DRAIN:
        peer->draining = true;
        break;
    default:
        break;
    }
    script_frame(self, number, &header, "");
    CHECK(!self->expect_event);
}

static inline void script_step(script_t *self)
{
    uint8_t choice = script_byte(self);
    uint32_t number = (uint32_t)(choice >> 4) % SCRIPT_PEERS;
    switch (choice & 15) {
    case 0:
    case 1:
    case 2:
    case 3:
        script_step_request(self);
        break;
    case 4:
        script_step_ready(self, number);
        break;
    case 5:
    case 6:
    case 7:
        script_step_reply(self, number);
        break;
    case 8:
    case 9:
        script_step_frame(self, number);
        break;
    case 10:
        hub_peer_lost(self->hub, self->now_ms, number);
        CHECK(!self->peers[number].present);
        break;
    case 11:
        self->peers[number].broken = !self->peers[number].broken;
        break;
    case 12:
        script_step_ready_again(self, number);
        break;
    case 13:
        self->now_ms += script_byte(self);
        break;
    default:
        self->now_ms += hub_next_ms(self->hub, self->now_ms);
        hub_tick(self->hub, self->now_ms);
        break;
    }
}

/* No request waits where an instance could take it. */
static inline void script_check_queue(const script_t *self, const char *service)
{
    bool could = false;
    size_t waiting = 0, held = 0;
    for (size_t i = 0; i < SCRIPT_PEERS; i++) {
        const script_peer_t *peer = &self->peers[i];
        could = could || (peer->present && !peer->draining && peer->held_count < peer->credit &&
                          strcmp(peer->service, service) == 0);
    }
    for (size_t i = 0; i < self->request_count; i++) {
        const script_request_t *request = &self->requests[i];
        if (request->answered || strcmp(request->service, service) != 0)
            continue;
        held += request->held_by >= 0;
        waiting += request->held_by < 0;
    }
    CHECK(!could || waiting == 0);
    CHECK(waiting + held <= SCRIPT_REQUESTS_MAX);
}

static inline void script_check(const script_t *self)
{
    CHECK(hub_requests(self->hub) == self->unanswered && self->unanswered <= SCRIPT_REQUESTS_MAX);
    int64_t next_ms = hub_next_ms(self->hub, self->now_ms);
    CHECK(next_ms >= 0 && next_ms <= SCRIPT_HEARTBEAT_MS);
    for (size_t i = 0; i < SCRIPT_SERVICES; i++)
        script_check_queue(self, script_services[i]);
    hub_worker_info_t rows[SCRIPT_PEERS];
    size_t count = hub_workers(self->hub, rows, SCRIPT_PEERS), present = 0;
    size_t in_flight = 0, held = 0;
    for (size_t i = 0; i < SCRIPT_PEERS; i++) {
        present += self->peers[i].present;
        held += self->peers[i].present ? self->peers[i].held_count : 0;
    }
    for (size_t i = 0; i < count; i++)
        in_flight += rows[i].in_flight;
    CHECK(count == present && count <= SCRIPT_WORKERS_MAX && in_flight == held);
}

static inline void hub_script_run(const uint8_t *bytes, size_t size)
{
    script_t *self = calloc(1, sizeof *self);
    CHECK(self);
    self->bytes = bytes;
    self->left = size;
    self->now_ms = 1000;
    hub_config_t config = {.requests_max = SCRIPT_REQUESTS_MAX,
                           .queue_per_service_max = SCRIPT_QUEUE_MAX,
                           .workers_max = SCRIPT_WORKERS_MAX,
                           .heartbeat_ms = SCRIPT_HEARTBEAT_MS,
                           .liveness_ms = SCRIPT_LIVENESS_MS,
                           .sink = &script_sink,
                           .sink_self = self};
    self->hub = hub_new(&config);
    hub_set_welcome(self->hub, 7, (const uint8_t *)"hub", 3);
    for (size_t step = 0; self->left && step < SCRIPT_STEPS_MAX; step++) {
        script_step(self);
        script_check(self);
    }
    self->ending = true;
    hub_destroy(&self->hub, self->now_ms);
    CHECK(!self->hub && self->unanswered == 0);
    free(self);
}

#endif
