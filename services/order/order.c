/* order.c - the order service.
 *
 * Every request of a mailbox that asks the same is one statement and one commit. Ids are minted by
 * the gateway, so a create that is sent again gives the same order. Once a second the orders that
 * are due expire; the events are in the outbox with the commit, the publication only wakes whoever
 * listens.
 */
#include "services/order/order.h"

#include <stdlib.h>

#include "lib/batch.h"
#include "lib/crash_point.h"
#include "lib/dispatch.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/redis.h"
#include "proto/bus_reply.h"
#include "proto/messages.h"
#include "services/order/order_store.h"

enum {
    EXPIRE_INTERVAL_MS = 1000,
    EXPIRE_BATCH_MAX = 500,
    FORGET_KEYS_MAX = 500,     /* each second: faster than keys come in on one machine */
    CANCEL_PAYLOAD_COLUMN = 3, /* of order_store_cancel's result */
    PUBLISH_TIMEOUT_MS = 200   /* a Redis that hangs must not hold up orders */
};

const config_entry_t order_settings[] = {
    SERVICE_SETTINGS(order_config_t, service),
    CONFIG_TEXT("DATABASE_URL", order_config_t, database_url, NULL, CONFIG_REQUIRED | CONFIG_SECRET,
                "libpq connection string; several hosts allowed"),
    CONFIG_TEXT("REDIS_URL", order_config_t, redis_url, "redis://127.0.0.1:6379", CONFIG_SECRET,
                "where order.expired and order.cancelled are published"),
    CONFIG_INT("ORDER_TTL_S", order_config_t, order_ttl_s, 900, 1, 31536000, 0,
               "an unpaid order expires after so many seconds"),
    CONFIG_END};

struct order_service {
    int64_t order_ttl_s;
    order_store_t *store;
    redis_t *redis;
    service_t *service;
    int expire_timer;
};

static void on_expire_timer(void *arg);

order_service_t *order_service_new(service_t *service, const order_config_t *config)
{
    order_service_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->service = service;
    self->order_ttl_s = config->order_ttl_s;
    err_detail_t detail = {{0}};
    self->redis = redis_new(config->redis_url, PUBLISH_TIMEOUT_MS, &detail);
    if (self->redis == NULL)
        config_refuse("REDIS_URL", detail.text);
    self->store = order_store_new(config->database_url);
    self->expire_timer = actor_add_timer(service->actor, EXPIRE_INTERVAL_MS, on_expire_timer, self);
    return self;
}

void order_service_destroy(order_service_t **self_p)
{
    order_service_t *self = *self_p;
    if (self == NULL)
        return;
    actor_remove_timer(self->service->actor, self->expire_timer);
    order_store_destroy(&self->store);
    redis_destroy(&self->redis);
    free(self);
    *self_p = NULL;
}

/* ---- order.create ---- */

typedef struct create_batch {
    order_service_t *self;
    size_t count;
    const bus_reply_to_t *reply_to[SERVICE_BATCH_MAX];
    const order_create_t *orders[SERVICE_BATCH_MAX];
    order_create_t decoded[SERVICE_BATCH_MAX];
} create_batch_t;

static void answer_created(order_service_t *self, const bus_reply_to_t *to, const PGresult *result,
                           int row)
{
    bus_t *bus = self->service->bus;
    order_created_t created;
    switch (order_store_created(result, row, &created)) {
    case ORDER_CREATED:
    case ORDER_REPLAYED:
        bus_reply_message(bus, to, MSG_order_created, &created);
        break;
    case ORDER_KEY_REUSED:
        bus_reply_error(bus, to, ERR_IDEMPOTENCY_KEY_REUSED,
                        "the key came with another body before");
        break;
    case ORDER_ID_CONFLICT:
        bus_reply_error(bus, to, ERR_ID_CONFLICT, "an order with this id and other content exists");
        break;
    }
}

static err_t create_range(void *arg, size_t first, size_t count, err_detail_t *detail)
{
    create_batch_t *batch = arg;
    order_service_t *self = batch->self;
    PGresult *result = NULL;
    TRY(order_store_create(self->store, batch->orders + first, count, self->order_ttl_s, &result,
                           detail));
    CHECK((size_t)PQntuples(result) == count);
    CRASH_POINT(order_committed);
    for (size_t i = 0; i < count; i++)
        answer_created(self, batch->reply_to[first + i], result, (int)i);
    PQclear(result);
    return ERR_OK;
}

static void create_failed(void *arg, size_t index, err_t err, const err_detail_t *detail)
{
    create_batch_t *batch = arg;
    bus_reply_error(batch->self->service->bus, batch->reply_to[index], err, detail->text);
}

static void on_create(void *arg, const bus_request_t *const *requests, size_t count)
{
    order_service_t *self = arg;
    create_batch_t *batch = calloc(1, sizeof *batch);
    CHECK(batch != NULL);
    batch->self = self;
    for (size_t i = 0; i < count; i++) {
        err_detail_t detail = {{0}};
        order_create_t *order = &batch->decoded[batch->count];
        if (message_decode(MSG_order_create, requests[i]->body, requests[i]->body_size, order,
                           &detail) != ERR_OK) {
            bus_reply_error(self->service->bus, &requests[i]->reply_to, ERR_WIRE, detail.text);
            continue;
        }
        batch->orders[batch->count] = order;
        batch->reply_to[batch->count++] = &requests[i]->reply_to;
    }
    batch_split(batch->count, create_range, create_failed, batch);
    free(batch);
}

/* ---- order.get ---- */

typedef struct get_batch {
    size_t count;
    uuid_t ids[SERVICE_BATCH_MAX];
    const bus_reply_to_t *reply_to[SERVICE_BATCH_MAX];
} get_batch_t;

static void answer_documents(order_service_t *self, const get_batch_t *batch)
{
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    if (batch->count == 0)
        return;
    err_t err = order_store_documents(self->store, batch->ids, batch->count, &result, &detail);
    for (size_t i = 0; i < batch->count; i++) {
        order_document_t document;
        char text[UUID_TEXT_SIZE];
        if (err != ERR_OK) {
            bus_reply_error(self->service->bus, batch->reply_to[i], err, detail.text);
        } else if (order_store_document(result, &batch->ids[i], &document)) {
            bus_reply_message(self->service->bus, batch->reply_to[i], MSG_order_document,
                              &document);
        } else {
            err_set(&detail, ERR_ORDER_NOT_FOUND, "there is no order %s",
                    uuid_format(&batch->ids[i], text));
            bus_reply_error(self->service->bus, batch->reply_to[i], ERR_ORDER_NOT_FOUND,
                            detail.text);
        }
    }
    PQclear(result);
}

static void on_get(void *arg, const bus_request_t *const *requests, size_t count)
{
    order_service_t *self = arg;
    get_batch_t batch = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        order_get_t get;
        err_detail_t detail = {{0}};
        if (message_decode(MSG_order_get, requests[i]->body, requests[i]->body_size, &get,
                           &detail) != ERR_OK) {
            bus_reply_error(self->service->bus, &requests[i]->reply_to, ERR_WIRE, detail.text);
            continue;
        }
        batch.ids[batch.count] = get.order_id;
        batch.reply_to[batch.count++] = &requests[i]->reply_to;
    }
    answer_documents(self, &batch);
}

/* ---- order.list ---- */

static void list_one(order_service_t *self, const bus_request_t *request)
{
    order_list_t query;
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    err_t err = message_decode(MSG_order_list, request->body, request->body_size, &query, &detail);
    if (err == ERR_OK)
        err = order_store_page(self->store, &query, &result, &detail);
    if (err == ERR_OK) {
        order_page_t page = {.document = pg_get_text(result, 0, 0)};
        bus_reply_message(self->service->bus, &request->reply_to, MSG_order_page, &page);
    } else {
        bus_reply_error(self->service->bus, &request->reply_to, err, detail.text);
    }
    PQclear(result);
}

static void on_list(void *arg, const bus_request_t *const *requests, size_t count)
{
    for (size_t i = 0; i < count; i++)
        list_one(arg, requests[i]);
}

/* ---- publication ---- */

/* Tells the payloads in a column of a result; what cannot be told is found in the outbox within a
 * second. */
static void publish(order_service_t *self, const PGresult *result, int column)
{
    int owed = 0;
    for (int row = 0; row < PQntuples(result); row++) {
        if (pg_is_null(result, row, column))
            continue;
        const str_t payload = pg_get_text(result, row, column);
        const char *argv[] = {"PUBLISH", "payments.events", payload.data};
        const size_t sizes[] = {7, 15, payload.size};
        redis_append_argv(self->redis, 3, argv, sizes);
        owed++;
    }
    for (; owed > 0; owed--) {
        redisReply *reply = NULL;
        err_detail_t detail = {{0}};
        if (redis_next_reply(self->redis, &reply, &detail) == ERR_OK)
            freeReplyObject(reply);
    }
}

/* ---- order.cancel ---- */

typedef struct cancel_batch {
    order_service_t *self;
    size_t count;
    const bus_reply_to_t *reply_to[SERVICE_BATCH_MAX];
    order_cancel_t decoded[SERVICE_BATCH_MAX];
    uuid_t request_ids[SERVICE_BATCH_MAX];
} cancel_batch_t;

static void answer_cancelled(order_service_t *self, const bus_reply_to_t *to,
                             const order_cancel_t *cancel, const order_cancelled_t *cancelled)
{
    char id[UUID_TEXT_SIZE];
    err_detail_t detail = {{0}};
    err_t err;
    uuid_format(&cancel->order_id, id);
    if (str_is(cancelled->verdict, "cancelled")) {
        const order_document_t document = {.order_id = cancel->order_id,
                                           .status = STR_LITERAL("CANCELLED"),
                                           .document = cancelled->document,
                                           .replayed = cancelled->replayed};
        bus_reply_message(self->service->bus, to, MSG_order_document, &document);
        return;
    }
    if (str_is(cancelled->verdict, "not_found"))
        err = err_set(&detail, ERR_ORDER_NOT_FOUND, "there is no order %s", id);
    else if (str_is(cancelled->verdict, "key_reused"))
        err = err_set(&detail, ERR_IDEMPOTENCY_KEY_REUSED, "the key came with another body before");
    else
        err = err_set(&detail, ERR_ORDER_NOT_CANCELLABLE, "order %s is %.*s", id,
                      STR_ARG(cancelled->verdict));
    bus_reply_refusal(self->service->bus, to, err, detail.text,
                      cancelled->replayed ? &cancelled->first_request_id : NULL);
}

static err_t cancel_range(void *arg, size_t first, size_t count, err_detail_t *detail)
{
    cancel_batch_t *batch = arg;
    PGresult *result = NULL;
    TRY(order_store_cancel(batch->self->store, batch->decoded + first, batch->request_ids + first,
                           count, &result, detail));
    CHECK((size_t)PQntuples(result) == count);
    CRASH_POINT(order_committed);
    publish(batch->self, result, CANCEL_PAYLOAD_COLUMN);
    for (size_t i = 0; i < count; i++) {
        order_cancelled_t cancelled;
        order_store_cancelled(result, (int)i, &cancelled);
        answer_cancelled(batch->self, batch->reply_to[first + i], &batch->decoded[first + i],
                         &cancelled);
    }
    PQclear(result);
    return ERR_OK;
}

static void cancel_failed(void *arg, size_t index, err_t err, const err_detail_t *detail)
{
    cancel_batch_t *batch = arg;
    bus_reply_error(batch->self->service->bus, batch->reply_to[index], err, detail->text);
}

static void on_cancel(void *arg, const bus_request_t *const *requests, size_t count)
{
    order_service_t *self = arg;
    cancel_batch_t *batch = calloc(1, sizeof *batch);
    CHECK(batch != NULL);
    batch->self = self;
    for (size_t i = 0; i < count; i++) {
        err_detail_t detail = {{0}};
        if (message_decode(MSG_order_cancel, requests[i]->body, requests[i]->body_size,
                           &batch->decoded[batch->count], &detail) != ERR_OK)
            bus_reply_error(self->service->bus, &requests[i]->reply_to, ERR_WIRE, detail.text);
        else {
            batch->request_ids[batch->count] = requests[i]->reply_to.request_id;
            batch->reply_to[batch->count++] = &requests[i]->reply_to;
        }
    }
    batch_split(batch->count, cancel_range, cancel_failed, batch);
    free(batch);
}

/* ---- what each second brings ---- */

static void expire(order_service_t *self)
{
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    err_t err = order_store_expire(self->store, EXPIRE_BATCH_MAX, &result, &detail);
    if (err != ERR_OK) {
        log_limited(LOG_LEVEL_WARN, NULL, "expiry failed", "code=%s detail=\"%s\"", err_name(err),
                    detail.text);
        return;
    }
    publish(self, result, 2);
    if (PQntuples(result) > 0)
        log_info(NULL, "orders expired", "count=%d", PQntuples(result));
    PQclear(result);
}

static void forget_keys(order_service_t *self)
{
    err_detail_t detail = {{0}};
    err_t err = order_store_forget_keys(self->store, FORGET_KEYS_MAX, &detail);
    if (err != ERR_OK)
        log_limited(LOG_LEVEL_WARN, NULL, "old keys not deleted", "code=%s detail=\"%s\"",
                    err_name(err), detail.text);
}

static void on_expire_timer(void *arg)
{
    expire(arg);
    forget_keys(arg);
}

/* ---- table ---- */

static const dispatch_entry_t handlers[] = {{MSG_order_create, on_create},
                                            {MSG_order_get, on_get},
                                            {MSG_order_list, on_list},
                                            {MSG_order_cancel, on_cancel},
                                            {0, NULL}};

static void on_batch(void *arg, const bus_request_t *requests, size_t count)
{
    order_service_t *self = arg;
    dispatch_batch(self->service->bus, handlers, self, requests, count);
}

const bus_handlers_t order_bus_handlers = {.on_batch = on_batch, .message_name = message_name};
