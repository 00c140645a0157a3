/* hub_queue.c - the hub's requests and the queues they wait in: who is given which, and what
 * becomes of it.
 *
 * request_move alone changes the state of a request, and with it the list; request_answer alone
 * tells a caller its answer.
 *
 * A request that was handed to the transport in vain does not count as tried: nothing ran. What
 * comes back from a lost instance was admitted before, so it may stretch the queue of its service
 * over queue_per_service_max; requests_max bounds all.
 */
#include "lib/hub_state.h"

#include <stdio.h>
#include <string.h>

static void request_move(hub_t *self, request_t *request, request_state_t state)
{
    list_remove(&request->node);
    if (request->state == WAITING)
        request->service->queued--;
    if (request->state == SENT || request->state == OVERDUE)
        request->worker->in_flight--;
    request->state = state;
    switch (state) {
    case WAITING:
        request->service->queued++;
        /* What was tried before goes first. */
        if (request->attempts)
            list_push_front(&request->service->queue, &request->node);
        else
            list_push_back(&request->service->queue, &request->node);
        break;
    case SENT:
    case OVERDUE:
        request->worker->in_flight++;
        list_push_back(&request->worker->held, &request->node);
        break;
    case FREE:
        list_push_front(&self->free_requests, &request->node);
        break;
    }
}

/* The one answer of a request, which is then `state`: FREE, or OVERDUE when its instance still
 * holds it. */
static void request_answer(hub_t *self, int64_t now_ms, request_t *request, request_state_t state,
                           err_t status, const bus_header_t *reply, const uint8_t *body,
                           size_t body_size)
{
    CHECK(request->state == WAITING || request->state == SENT);
    self->sink.answer(self->sink_self, &request->what, status,
                      reply ? request->worker->instance : "", now_ms - request->since_ms,
                      reply ? reply->message : 0, body, body_size);
    deadlines_remove(&self->deadlines, &request->deadline);
    self->unanswered--;
    request_move(self, request, state);
}

void hub_request_expire(hub_t *self, int64_t now_ms, request_t *request)
{
    request_state_t state = request->state == SENT ? OVERDUE : FREE;
    err_t status = request->attempts ? ERR_DEADLINE : ERR_BUSY;
    request_answer(self, now_ms, request, state, status, NULL, NULL, 0);
}

void hub_request_lost(hub_t *self, int64_t now_ms, request_t *request)
{
    if (request->state == OVERDUE)
        request_move(self, request, FREE);
    else if (request->what.retry == HUB_RETRY_SAFE && request->attempts < HUB_ATTEMPTS_MAX)
        request_move(self, request, WAITING);
    else
        request_answer(self, now_ms, request, FREE, ERR_WORKER_LOST, NULL, NULL, 0);
}

void hub_request_new(hub_t *self, int64_t now_ms, service_t *service, const hub_request_t *what)
{
    request_t *request = LIST_ENTRY(list_first(&self->free_requests), request_t, node);
    request->what = *what;
    snprintf(request->traceparent, sizeof request->traceparent, "%s", what->traceparent);
    request->what.traceparent = request->traceparent;
    request->attempts = 0;
    request->since_ms = now_ms;
    request->service = service;
    request_move(self, request, WAITING);
    deadlines_add(&self->deadlines, &request->deadline, now_ms + what->budget_ms);
    self->unanswered++;
}

static bool request_send(hub_t *self, int64_t now_ms, request_t *request, worker_t *worker)
{
    request->generation++;
    bus_header_t header = {
        .version = BUS_VERSION,
        .kind = BUS_REQUEST,
        .message = request->what.message,
        .correlation = (uint64_t)request->generation << 32 | (uint64_t)(request - self->requests),
        .request_id = request->what.request_id,
        .budget_ms = (uint32_t)(request->deadline.at_ms - now_ms),
        .attempt = request->attempts + 1,
    };
    memcpy(header.service, worker->service->name, sizeof header.service);
    memcpy(header.traceparent, request->traceparent, sizeof header.traceparent);
    if (!self->sink.send(self->sink_self, worker->peer, &header, request->what.body,
                         request->what.body_size))
        return false;
    request->attempts++;
    request->worker = worker;
    worker->given = ++self->givings;
    request_move(self, request, SENT);
    return true;
}

request_t *hub_request_held(hub_t *self, const worker_t *worker, uint64_t correlation)
{
    uint64_t slot = correlation & UINT32_MAX;
    if (slot >= self->requests_max)
        return NULL;
    request_t *request = &self->requests[slot];
    bool held = request->state == SENT || request->state == OVERDUE;
    if (!held || request->worker != worker || request->generation != correlation >> 32)
        return NULL;
    return request;
}

void hub_request_replied(hub_t *self, int64_t now_ms, request_t *request, const bus_header_t *reply,
                         const uint8_t *body, size_t body_size)
{
    if (request->state == OVERDUE)
        request_move(self, request, FREE);
    else
        request_answer(self, now_ms, request, FREE, err_from_number(reply->status), reply, body,
                       body_size);
}

void hub_request_shut_down(hub_t *self, int64_t now_ms, request_t *request)
{
    request_answer(self, now_ms, request, FREE, ERR_SHUTTING_DOWN, NULL, NULL, 0);
}

service_t *hub_service(hub_t *self, const char *name)
{
    LIST_FOR(node, &self->services)
    {
        service_t *service = LIST_ENTRY(node, service_t, node);
        if (strcmp(service->name, name) == 0)
            return service;
    }
    return NULL;
}

service_t *hub_service_or_new(hub_t *self, const char *name)
{
    service_t *service = hub_service(self, name);
    if (service || list_empty(&self->free_services))
        return service;
    service = LIST_ENTRY(list_first(&self->free_services), service_t, node);
    list_remove(&service->node);
    snprintf(service->name, sizeof service->name, "%s", name);
    list_init(&service->workers);
    list_init(&service->queue);
    service->queued = 0;
    service->serving = 0;
    list_push_back(&self->services, &service->node);
    return service;
}

static void service_free_if_empty(hub_t *self, service_t *service)
{
    if (!list_empty(&service->workers) || !list_empty(&service->queue))
        return;
    list_remove(&service->node);
    list_push_front(&self->free_services, &service->node);
}

/* Fewest in flight, then longest without work; NULL when none has credit. */
static worker_t *service_pick(const service_t *service)
{
    worker_t *best = NULL;
    LIST_FOR(node, &service->workers)
    {
        worker_t *worker = LIST_ENTRY(node, worker_t, node);
        if (worker->draining || worker->in_flight >= worker->credit)
            continue;
        if (!best || worker->in_flight < best->in_flight ||
            (worker->in_flight == best->in_flight && worker->given < best->given))
            best = worker;
    }
    return best;
}

void hub_feed(hub_t *self, int64_t now_ms, service_t *service)
{
    while (!list_empty(&service->queue)) {
        request_t *request = LIST_ENTRY(list_first(&service->queue), request_t, node);
        if (request->deadline.at_ms <= now_ms) {
            hub_request_expire(self, now_ms, request);
            continue;
        }
        worker_t *worker = service_pick(service);
        if (!worker)
            break;
        if (!request_send(self, now_ms, request, worker))
            hub_worker_remove(self, now_ms, worker, "cannot be sent to");
    }
    service_free_if_empty(self, service);
}
