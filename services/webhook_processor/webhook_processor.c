/* webhook_processor.c - see webhook_processor.h. Webhooks are consumer.c's, on a thread of its own;
 * this one lives on the bus: it tells what the consumer did and answers operators (admin.c). */
#include "services/webhook_processor/webhook_processor.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/prometheus.h"
#include "proto/messages.h"
#include "services/webhook_processor/admin.h"
#include "services/webhook_processor/consumer.h"
#include "services/webhook_processor/stream.h"

const config_entry_t webhook_processor_settings[] = {
    SERVICE_SETTINGS(webhook_processor_config_t, service),
    CONFIG_TEXT("DATABASE_URL", webhook_processor_config_t, database_url, NULL,
                CONFIG_REQUIRED | CONFIG_SECRET, "libpq connection string; several hosts allowed"),
    CONFIG_TEXT("REDIS_URL", webhook_processor_config_t, redis_url, "redis://127.0.0.1:6379",
                CONFIG_SECRET, "where the webhook stream is"),
    CONFIG_INT("PARK_FOR_S", webhook_processor_config_t, park_for_s, 300, 0, 604800, 0,
               "how long a webhook without its payment is tried again before it is a dead letter"),
    CONFIG_END};

struct webhook_processor {
    service_t *service;
    consumer_config_t consumer_config;
    zactor_t *consumer;
    admin_t *admin;
    pthread_mutex_t backlog_lock;
    stream_t *backlog; /* asked for metrics alone, by one thread at a time */
};

static void on_batch(void *arg, const bus_request_t *requests, size_t count)
{
    webhook_processor_t *self = arg;
    admin_on_batch(self->admin, requests, count);
}

const bus_handlers_t webhook_processor_bus_handlers = {.on_batch = on_batch,
                                                       .message_name = message_name};

/* Passes on what the consumer tells. */
static void on_consumer(void *arg)
{
    webhook_processor_t *self = arg;
    uint8_t frame[2048];
    for (;;) {
        const int size = zmq_recv(zsock_resolve(self->consumer), frame, sizeof frame, ZMQ_DONTWAIT);
        if (size < CONSUMER_FRAME_PREFIX_BYTES || (size_t)size > sizeof frame)
            return;
        uint32_t message;
        uuid_t request_id;
        memcpy(&message, frame, sizeof message);
        memcpy(request_id.bytes, frame + sizeof message, sizeof request_id.bytes);
        if (self->service->bus != NULL)
            bus_event(self->service->bus, message, &request_id, "",
                      frame + CONSUMER_FRAME_PREFIX_BYTES,
                      (size_t)size - CONSUMER_FRAME_PREFIX_BYTES);
    }
}

/* Asked when somebody wants to know, on that thread and a connection of its own: what the consumer
 * knows is old just when the stream grows. Without Redis there is no number, rather than a false
 * one. */
static void print_backlog(webhook_processor_t *self, buf_t *text)
{
    int64_t entries = 0, pending = 0;
    err_detail_t detail = {{0}};
    CHECK(pthread_mutex_lock(&self->backlog_lock) == 0);
    const err_t err = stream_backlog(self->backlog, &entries, &pending, &detail);
    CHECK(pthread_mutex_unlock(&self->backlog_lock) == 0);
    if (err == ERR_OK) {
        prometheus_single(text, "tiffin_webhook_stream_entries", "gauge",
                          "Webhooks that are queued and not handled, by any instance.",
                          (uint64_t)entries);
        prometheus_single(text, "tiffin_webhook_stream_pending", "gauge",
                          "Of these, those that some instance has in hand.", (uint64_t)pending);
    } else {
        log_limited(LOG_LEVEL_WARN, NULL, "backlog not known", "code=%s detail=\"%s\"",
                    err_name(err), detail.text);
    }
}

static void print_metrics(void *arg, buf_t *text)
{
    consumer_print_metrics(text);
    print_backlog(arg, text);
}

webhook_processor_t *webhook_processor_new(service_t *service,
                                           const webhook_processor_config_t *config)
{
    webhook_processor_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->service = service;
    self->consumer_config = (consumer_config_t){.database_url = config->database_url,
                                                .redis_url = config->redis_url,
                                                .instance = service->instance,
                                                .park_for_s = config->park_for_s};
    self->admin = admin_new(service, config->database_url);
    self->consumer = consumer_start(&self->consumer_config);
    err_detail_t detail = {{0}};
    self->backlog = stream_new(config->redis_url, service->instance, &detail);
    CHECK(self->backlog != NULL); /* consumer_start has checked the URL */
    CHECK(pthread_mutex_init(&self->backlog_lock, NULL) == 0);
    service->print_metrics = print_metrics;
    service->print_metrics_arg = self;
    actor_add_socket(service->actor, zactor_sock(self->consumer), on_consumer, self);
    return self;
}

void webhook_processor_destroy(webhook_processor_t **self_p)
{
    webhook_processor_t *self = *self_p;
    if (self == NULL)
        return;
    actor_remove_socket(self->service->actor, zactor_sock(self->consumer));
    zactor_destroy(&self->consumer);
    admin_destroy(&self->admin);
    stream_destroy(&self->backlog);
    CHECK(pthread_mutex_destroy(&self->backlog_lock) == 0);
    free(self);
    *self_p = NULL;
}
