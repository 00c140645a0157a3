/* hub.c - the hub core's instances, what arrives from them, and time. hub_queue.c has the requests;
 * hub_state.h the picture. */
#include "lib/hub_state.h"

#include <stdlib.h>
#include <string.h>

/* ---- making and ending
 * -------------------------------------------------------------------------------------------------
 */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

static void *table_new(size_t count, size_t size)
{
    void *table = calloc(count, size);
    CHECK(table);
    return table;
}

hub_t *hub_new(const hub_config_t *config)
{
    hub_t *self = table_new(1, sizeof *self);
    self->sink = *config->sink;
    self->sink_self = config->sink_self;
    self->requests_max = or_default(config->requests_max, HUB_REQUESTS_MAX);
    self->queue_max = or_default(config->queue_per_service_max, HUB_QUEUE_PER_SERVICE_MAX);
    self->workers_max = or_default(config->workers_max, HUB_WORKERS_MAX);
    self->heartbeat_ms = or_default(config->heartbeat_ms, BUS_HEARTBEAT_MS);
    self->liveness_ms = or_default(config->liveness_ms, BUS_LIVENESS_MS);
    self->requests = table_new(self->requests_max, sizeof *self->requests);
    self->workers = table_new(self->workers_max, sizeof *self->workers);
    self->service_table = table_new(self->workers_max, sizeof *self->service_table);
    list_init(&self->free_requests);
    list_init(&self->free_workers);
    list_init(&self->free_services);
    list_init(&self->services);
    list_init(&self->by_seen);
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&self->buckets[i]);
    for (size_t i = 0; i < self->requests_max; i++)
        list_push_back(&self->free_requests, &self->requests[i].node);
    for (size_t i = 0; i < self->workers_max; i++) {
        list_push_back(&self->free_workers, &self->workers[i].node);
        list_push_back(&self->free_services, &self->service_table[i].node);
    }
    deadlines_init(&self->deadlines, self->requests_max);
    return self;
}

void hub_set_welcome(hub_t *self, uint32_t message, const uint8_t *body, size_t body_size)
{
    free(self->welcome);
    self->welcome = NULL;
    if (body_size) {
        self->welcome = table_new(1, body_size);
        memcpy(self->welcome, body, body_size);
    }
    self->welcome_message = message;
    self->welcome_size = body_size;
}

/* Header only. False as hub_sink_t.send. */
static bool send_plain(hub_t *self, uint32_t peer, bus_kind_t kind)
{
    bus_header_t header = {.version = BUS_VERSION, .kind = kind};
    return self->sink.send(self->sink_self, peer, &header, NULL, 0);
}

/* ---- workers
 * -----------------------------------------------------------------------------------------------------------
 */

static list_node_t *bucket_of(hub_t *self, uint32_t peer)
{
    return &self->buckets[(peer * UINT32_C(2654435761)) >> 24];
}
_Static_assert(BUCKETS == 256, "bucket_of takes the 8 upper bits");

static worker_t *worker_find(hub_t *self, uint32_t peer)
{
    LIST_FOR(node, bucket_of(self, peer))
    {
        worker_t *worker = LIST_ENTRY(node, worker_t, hash_node);
        if (worker->peer == peer)
            return worker;
    }
    return NULL;
}

static void worker_seen(hub_t *self, int64_t now_ms, worker_t *worker)
{
    worker->seen_ms = now_ms;
    list_remove(&worker->seen_node);
    list_push_back(&self->by_seen, &worker->seen_node);
}

void hub_worker_remove(hub_t *self, int64_t now_ms, worker_t *worker, const char *reason)
{
    list_node_t *node;
    /* From the youngest, each to the head of the queue: the oldest will be first. */
    while ((node = list_last(&worker->held)))
        hub_request_lost(self, now_ms, LIST_ENTRY(node, request_t, node));
    CHECK(worker->in_flight == 0);
    if (!worker->draining)
        worker->service->serving--;
    list_remove(&worker->seen_node);
    list_remove(&worker->hash_node);
    list_remove(&worker->node);
    list_push_front(&self->free_workers, &worker->node);
    self->sink.worker(self->sink_self, worker->peer, worker->service->name, worker->instance, false,
                      reason);
}

static void worker_lost(hub_t *self, int64_t now_ms, worker_t *worker, const char *reason)
{
    service_t *service = worker->service;
    hub_worker_remove(self, now_ms, worker, reason);
    hub_feed(self, now_ms, service);
}

static worker_t *worker_new(hub_t *self, int64_t now_ms, uint32_t peer, service_t *service,
                            const bus_header_t *header)
{
    worker_t *worker = LIST_ENTRY(list_first(&self->free_workers), worker_t, node);
    list_remove(&worker->node);
    worker->peer = peer;
    worker->credit = header->credit;
    worker->in_flight = 0;
    worker->draining = false;
    memcpy(worker->instance, header->instance, sizeof worker->instance);
    worker->service = service;
    worker->since_ms = now_ms;
    worker->given = 0;
    list_init(&worker->held);
    list_init(&worker->seen_node);
    worker_seen(self, now_ms, worker);
    list_push_back(bucket_of(self, peer), &worker->hash_node);
    list_push_back(&service->workers, &worker->node);
    service->serving++;
    return worker;
}

static void on_ready(hub_t *self, int64_t now_ms, uint32_t peer, const bus_header_t *header)
{
    service_t *service = hub_service_or_new(self, header->service);
    if (!service || list_empty(&self->free_workers) || header->service[0] == '\0') {
        const char *reason = header->service[0] ? "refused: no room" : "refused: no service named";
        self->sink.worker(self->sink_self, peer, header->service, header->instance, false, reason);
        if (service)
            hub_feed(self, now_ms, service); /* frees one that was made for nothing */
        return;
    }
    worker_t *worker = worker_new(self, now_ms, peer, service, header);
    self->sink.worker(self->sink_self, peer, service->name, worker->instance, true, "ready");
    bus_header_t welcome = {
        .version = BUS_VERSION, .kind = BUS_WELCOME, .message = self->welcome_message};
    if (!self->sink.send(self->sink_self, peer, &welcome, self->welcome, self->welcome_size))
        hub_worker_remove(self, now_ms, worker, "cannot be sent to");
    hub_feed(self, now_ms, service);
}

/* ---- what arrives from peers
 * ------------------------------------------------------------------------------------------- */

static void on_reply(hub_t *self, int64_t now_ms, worker_t *worker, const bus_header_t *header,
                     const uint8_t *body, size_t body_size)
{
    request_t *request = hub_request_held(self, worker, header->correlation);
    if (!request)
        return;
    hub_request_replied(self, now_ms, request, header, body, body_size);
    hub_feed(self, now_ms, worker->service);
}

/* Answered with DRAIN, so that the instance knows when nothing more is on its way. */
static void on_drain(hub_t *self, int64_t now_ms, worker_t *worker)
{
    if (!worker->draining) {
        worker->draining = true;
        worker->service->serving--;
    }
    if (!send_plain(self, worker->peer, BUS_DRAIN))
        worker_lost(self, now_ms, worker, "cannot be sent to");
}

static void on_stranger(hub_t *self, int64_t now_ms, uint32_t peer, const bus_header_t *header)
{
    if (header->kind == BUS_READY)
        on_ready(self, now_ms, peer, header);
    else if (header->kind == BUS_HEARTBEAT)
        (void)send_plain(self, peer, BUS_WHO);
}

void hub_frame(hub_t *self, int64_t now_ms, uint32_t peer, const bus_header_t *header,
               const uint8_t *body, size_t body_size)
{
    worker_t *worker = worker_find(self, peer);
    if (!worker) {
        on_stranger(self, now_ms, peer, header);
        return;
    }
    worker_seen(self, now_ms, worker);
    switch (header->kind) {
    case BUS_READY:
        worker_lost(self, now_ms, worker, "said READY again");
        on_ready(self, now_ms, peer, header);
        break;
    case BUS_REPLY:
        on_reply(self, now_ms, worker, header, body, body_size);
        break;
    case BUS_EVENT:
        self->sink.event(self->sink_self, peer, header, body, body_size);
        break;
    case BUS_CREDIT:
        worker->credit = header->credit;
        hub_feed(self, now_ms, worker->service);
        break;
    case BUS_DRAIN:
        on_drain(self, now_ms, worker);
        break;
    case BUS_BYE:
        worker_lost(self, now_ms, worker, "said BYE");
        break;
    default: /* HEARTBEAT has done its work; nothing else is a peer's to say */
        break;
    }
}

void hub_peer_lost(hub_t *self, int64_t now_ms, uint32_t peer)
{
    worker_t *worker = worker_find(self, peer);
    if (worker)
        worker_lost(self, now_ms, worker, "disconnected");
}

/* ---- callers and time
 * --------------------------------------------------------------------------------------------------
 */

void hub_request(hub_t *self, int64_t now_ms, const hub_request_t *what)
{
    CHECK(strlen(what->service) < sizeof((service_t *)0)->name);
    service_t *service = hub_service(self, what->service);
    err_t refused = ERR_OK;
    if (!service || service->serving == 0)
        refused = ERR_NO_WORKER;
    else if (service->queued >= self->queue_max || list_empty(&self->free_requests))
        refused = ERR_BUSY;
    if (refused != ERR_OK) {
        self->sink.answer(self->sink_self, what, refused, "", 0, 0, NULL, 0);
        return;
    }
    hub_request_new(self, now_ms, service, what);
    hub_feed(self, now_ms, service);
}

static void feed_all(hub_t *self, int64_t now_ms)
{
    for (list_node_t *node = self->services.next, *next; node != &self->services; node = next) {
        next = node->next;
        hub_feed(self, now_ms, LIST_ENTRY(node, service_t, node));
    }
}

static void beat(hub_t *self, int64_t now_ms)
{
    for (list_node_t *node = self->by_seen.next, *next; node != &self->by_seen; node = next) {
        next = node->next;
        worker_t *worker = LIST_ENTRY(node, worker_t, seen_node);
        if (!send_plain(self, worker->peer, BUS_HEARTBEAT))
            hub_worker_remove(self, now_ms, worker, "cannot be sent to");
    }
    self->beat_at_ms = now_ms + self->heartbeat_ms;
    feed_all(self, now_ms);
}

static worker_t *longest_silent(const hub_t *self)
{
    list_node_t *node = list_first(&self->by_seen);
    return node ? LIST_ENTRY(node, worker_t, seen_node) : NULL;
}

void hub_tick(hub_t *self, int64_t now_ms)
{
    deadline_t *deadline;
    while ((deadline = deadlines_first(&self->deadlines)) && deadline->at_ms <= now_ms)
        hub_request_expire(self, now_ms, LIST_ENTRY(deadline, request_t, deadline));
    worker_t *worker;
    while ((worker = longest_silent(self)) && now_ms - worker->seen_ms >= self->liveness_ms)
        worker_lost(self, now_ms, worker, "silent");
    if (now_ms >= self->beat_at_ms)
        beat(self, now_ms);
}

int64_t hub_next_ms(const hub_t *self, int64_t now_ms)
{
    int64_t next_ms = self->beat_at_ms;
    const deadline_t *deadline = deadlines_first(&self->deadlines);
    if (deadline && deadline->at_ms < next_ms)
        next_ms = deadline->at_ms;
    const worker_t *worker = longest_silent(self);
    if (worker && worker->seen_ms + self->liveness_ms < next_ms)
        next_ms = worker->seen_ms + self->liveness_ms;
    return next_ms > now_ms ? next_ms - now_ms : 0;
}

/* ---- looking in, ending
 * ------------------------------------------------------------------------------------------------
 */

size_t hub_workers(const hub_t *self, hub_worker_info_t *rows, size_t capacity)
{
    size_t count = 0;
    LIST_FOR(service_node, &self->services)
    {
        const service_t *service = LIST_ENTRY(service_node, service_t, node);
        LIST_FOR(node, &service->workers)
        {
            if (count == capacity)
                return count;
            const worker_t *worker = LIST_ENTRY(node, worker_t, node);
            hub_worker_info_t *row = &rows[count++];
            *row = (hub_worker_info_t){.credit = worker->credit,
                                       .in_flight = worker->in_flight,
                                       .draining = worker->draining,
                                       .since_ms = worker->since_ms};
            memcpy(row->service, service->name, sizeof row->service);
            memcpy(row->instance, worker->instance, sizeof row->instance);
        }
    }
    return count;
}

size_t hub_requests(const hub_t *self)
{
    return self->unanswered;
}

void hub_destroy(hub_t **self_p, int64_t now_ms)
{
    hub_t *self = *self_p;
    if (!self)
        return;
    deadline_t *deadline;
    while ((deadline = deadlines_first(&self->deadlines)))
        hub_request_shut_down(self, now_ms, LIST_ENTRY(deadline, request_t, deadline));
    LIST_FOR(node, &self->by_seen)
    {
        (void)send_plain(self, LIST_ENTRY(node, worker_t, seen_node)->peer, BUS_BYE);
    }
    deadlines_free(&self->deadlines);
    free(self->welcome);
    free(self->service_table);
    free(self->workers);
    free(self->requests);
    free(self);
    *self_p = NULL;
}
