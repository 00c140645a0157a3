/* notifier.c - the notifier.
 *
 * Redis Pub/Sub and the database's own notification only wake it, whichever comes first (Redis
 * tells nobody anything while it flushes); what it sends comes from the outbox, by id, and it looks
 * there each second anyway: a processor may die between its commit and its publication. It keeps no
 * state of its own: a gateway's WELCOME says how far that gateway is, so a restarted notifier, or a
 * second one, goes on from there. Each notifier sends each gateway every event in order; a gateway
 * drops what it has delivered already.
 */
#include "services/notifier/notifier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crash_point.h"
#include "lib/dispatch.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/redis_subscriber.h"
#include "proto/bus_reply.h"
#include "proto/messages.h"
#include "services/notifier/notifier_store.h"
#include "services/notifier/subscriptions.h"

enum { LOOK_EVERY_MS = 1000, LOOKS_MAX = 3, EVENTS_MAX = 500, LIST_MAX = 100 };

static const char *const channels[] = {"payments.confirmed", "payments.events", NULL};

const config_entry_t notifier_settings[] = {
    SERVICE_SETTINGS(notifier_config_t, service),
    CONFIG_TEXT("DATABASE_URL", notifier_config_t, database_url, NULL,
                CONFIG_REQUIRED | CONFIG_SECRET, "libpq connection string; several hosts allowed"),
    CONFIG_TEXT("REDIS_URL", notifier_config_t, redis_url, "redis://127.0.0.1:6379", CONFIG_SECRET,
                "whose payments.confirmed and payments.events channels wake it"),
    CONFIG_END};

struct notifier {
    service_t *service;
    notifier_store_t *store;
    redis_subscriber_t *subscriber;
    subscriptions_t subscriptions;
    int timer;
    int watched_fd; /* of the database; -1: none */
};

static void store_failed(err_t err, const err_detail_t *detail)
{
    log_limited(LOG_LEVEL_WARN, NULL, "feed not read", "code=%s detail=\"%s\"", err_name(err),
                detail->text);
}

/* Gateways that have delivered nothing yet start at what was stored when they started. */
static void place_all(notifier_t *self)
{
    for (subscription_t *row; (row = subscriptions_unplaced(&self->subscriptions)) != NULL;
         row->placed = true) {
        err_detail_t detail = {{0}};
        err_t err =
            notifier_store_last_before(self->store, row->started_at_us, &row->cursor, &detail);
        if (err != ERR_OK) {
            store_failed(err, &detail);
            return;
        }
    }
}

static bool send_one(notifier_t *self, subscription_t *row, const notifier_event_t *event)
{
    uint8_t body[32 * 1024];
    const size_t size = message_encode(MSG_notifier_event, event, body, sizeof body);
    CHECK(size > 0);
    if (!bus_event_to(self->service->bus, row->gateway, row->generation, MSG_notifier_event, body,
                      size))
        return false;
    row->cursor = event->event_id;
    return true;
}

/* To each gateway what it lacks. One that cannot take more now keeps its cursor and gets the rest
 * at the next look. */
static void send_all(notifier_t *self, const PGresult *events)
{
    for (size_t i = 0; i < self->subscriptions.count; i++) {
        subscription_t *row = &self->subscriptions.rows[i];
        for (int n = 0; row->placed && !row->full && n < PQntuples(events); n++) {
            notifier_event_t event;
            notifier_store_event(events, n, &event);
            if (event.event_id <= row->cursor)
                continue;
            if (str_is(event.type, "gap")) { /* what came before is forgotten */
                row->cursor = event.event_id;
                continue;
            }
            if (event.event_id != row->cursor + 1) /* numbers have no gaps: see table feed */
                log_limited(LOG_LEVEL_ERROR, NULL, "gap in the feed", "after=%lld next=%lld",
                            (long long)row->cursor, (long long)event.event_id);
            row->full = event.event_id != row->cursor + 1 || !send_one(self, row, &event);
        }
    }
}

static void deliver(notifier_t *self)
{
    if (self->service->bus == NULL || actor_draining(self->service->actor))
        return;
    place_all(self);
    subscriptions_begin(&self->subscriptions);
    int64_t cursor;
    bool more = true;
    while (more && subscriptions_least_cursor(&self->subscriptions, &cursor)) {
        PGresult *events = NULL;
        err_detail_t detail = {{0}};
        err_t err = notifier_store_events(self->store, cursor, EVENTS_MAX, &events, &detail);
        if (err != ERR_OK) {
            store_failed(err, &detail);
            return;
        }
        if (PQntuples(events) > 0)
            CRASH_POINT(notifier_read);
        send_all(self, events);
        if (PQntuples(events) > 0)
            CRASH_POINT(notifier_sent);
        more = PQntuples(events) == EVENTS_MAX;
        PQclear(events);
    }
}

static void on_database(void *arg);

/* Follows the connection to the database, which ends and comes back as it is used. */
static void watch_database(notifier_t *self)
{
    const int fd = notifier_store_fd(self->store);
    if (fd == self->watched_fd)
        return;
    if (self->watched_fd >= 0)
        actor_remove_fd(self->service->actor, self->watched_fd);
    if (fd >= 0)
        actor_add_fd(self->service->actor, fd, on_database, self);
    self->watched_fd = fd;
}

/* Looking takes in what comes meanwhile: then there may be more, and the socket tells of it no
 * more. */
static void look(notifier_t *self)
{
    int looks = 0;
    do {
        deliver(self);
    } while (++looks < LOOKS_MAX && notifier_store_notified(self->store));
    watch_database(self);
}

static void on_database(void *arg)
{
    notifier_t *self = arg;
    if (notifier_store_notified(self->store))
        look(self);
    else
        watch_database(self);
}

/* Of a payload as the outbox renders it; 0 of any other, which says only that there is something.
 */
static int64_t event_id_of(str_t payload)
{
    static const char start[] = "{\"event_id\":";
    char text[48];
    long long event_id = 0;
    str_copy(payload, text, sizeof text);
    return strncmp(text, start, sizeof start - 1) == 0 &&
                   sscanf(text + sizeof start - 1, "%19lld", &event_id) == 1
               ? event_id
               : 0;
}

/* A batch's events are told one by one and read together: the first message brings all of them. */
static void on_message(void *arg, str_t channel, str_t payload)
{
    (void)channel;
    notifier_t *self = arg;
    const int64_t event_id = event_id_of(payload);
    if (event_id == 0 || !subscriptions_all_have(&self->subscriptions, event_id))
        look(self);
}

static void on_welcome(void *arg, uint32_t gateway, uint32_t generation, const uint8_t *body,
                       size_t body_size)
{
    notifier_t *self = arg;
    gateway_welcome_t welcome;
    err_detail_t detail = {{0}};
    if (message_decode(MSG_gateway_welcome, body, body_size, &welcome, &detail) != ERR_OK) {
        log_error(NULL, "welcome not understood", "detail=\"%s\"", detail.text);
        return;
    }
    log_info(NULL, "gateway found", "gateway=%.*s last_event_id=%lld", STR_ARG(welcome.instance),
             (long long)welcome.last_event_id);
    subscriptions_add(&self->subscriptions, gateway, generation, welcome.last_event_id,
                      welcome.started_at_us);
    look(self);
}

static void on_gateway_lost(void *arg, uint32_t gateway, uint32_t generation)
{
    notifier_t *self = arg;
    subscriptions_remove(&self->subscriptions, gateway, generation);
}

/* ---- notifier.list: the feed over REST, and what a socket missed ---- */

static void answer_page(notifier_t *self, const bus_reply_to_t *to, const notifier_list_t *list,
                        const PGresult *events)
{
    const int rows = PQntuples(events);
    const int shown = rows > list->limit ? (int)list->limit : rows;
    notifier_page_t page = {.last_event_id = list->since, .more = rows > shown};
    buf_t lines = {0};
    for (int n = 0; n < shown; n++) {
        notifier_event_t event;
        notifier_store_event(events, n, &event);
        buf_add(&lines, event.payload.data, event.payload.size);
        buf_add(&lines, "\n", 1);
        page.last_event_id = event.event_id;
    }
    page.payloads = (str_t){lines.data, (uint32_t)lines.size};
    bus_reply_message(self->service->bus, to, MSG_notifier_page, &page);
    buf_free(&lines);
}

static void on_list(void *arg, const bus_request_t *const *requests, size_t count)
{
    notifier_t *self = arg;
    for (size_t i = 0; i < count; i++) {
        notifier_list_t list;
        PGresult *events = NULL;
        err_detail_t detail = {{0}};
        err_t err = message_decode(MSG_notifier_list, requests[i]->body, requests[i]->body_size,
                                   &list, &detail);
        if (err == ERR_OK && (list.limit < 1 || list.limit > LIST_MAX))
            err = err_set(&detail, ERR_INVALID_QUERY, "limit must be 1 to %d", LIST_MAX);
        if (err == ERR_OK)
            err = notifier_store_list(self->store, &list, (int)list.limit + 1, &events, &detail);
        if (err == ERR_OK)
            answer_page(self, &requests[i]->reply_to, &list, events);
        else
            bus_reply_error(self->service->bus, &requests[i]->reply_to, err, detail.text);
        PQclear(events);
    }
    watch_database(self);
}

static const dispatch_entry_t handlers[] = {{MSG_notifier_list, on_list}, {0, NULL}};

static void on_batch(void *arg, const bus_request_t *requests, size_t count)
{
    notifier_t *self = arg;
    dispatch_batch(self->service->bus, handlers, self, requests, count);
}

const bus_handlers_t notifier_bus_handlers = {.on_batch = on_batch,
                                              .on_welcome = on_welcome,
                                              .on_gateway_lost = on_gateway_lost,
                                              .message_name = message_name};

static void on_timer(void *arg)
{
    look(arg);
}

notifier_t *notifier_new(service_t *service, const notifier_config_t *config)
{
    notifier_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->service = service;
    self->store = notifier_store_new(config->database_url);
    self->watched_fd = -1;
    err_detail_t detail = {{0}};
    self->subscriber = redis_subscriber_new(service->actor, config->redis_url, channels, on_message,
                                            self, &detail);
    if (self->subscriber == NULL)
        config_refuse("REDIS_URL", detail.text);
    self->timer = actor_add_timer(service->actor, LOOK_EVERY_MS, on_timer, self);
    return self;
}

void notifier_destroy(notifier_t **self_p)
{
    notifier_t *self = *self_p;
    if (self == NULL)
        return;
    actor_remove_timer(self->service->actor, self->timer);
    redis_subscriber_destroy(&self->subscriber);
    if (self->watched_fd >= 0)
        actor_remove_fd(self->service->actor, self->watched_fd);
    notifier_store_destroy(&self->store);
    free(self);
    *self_p = NULL;
}
