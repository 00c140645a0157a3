/* webhook_processor.c - see webhook_processor.h. Webhooks are consumer.c's, on a thread of its own;
 * this one lives on the bus: it tells what the consumer did and answers operators (admin.c). */
#include "services/webhook_processor/webhook_processor.h"

#include <stdlib.h>
#include <string.h>

#include "services/webhook_processor/admin.h"
#include "services/webhook_processor/consumer.h"

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
};

static void on_batch(void *arg, const bus_request_t *requests, size_t count)
{
    webhook_processor_t *self = arg;
    admin_on_batch(self->admin, requests, count);
}

const bus_handlers_t webhook_processor_bus_handlers = {.on_batch = on_batch};

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
    free(self);
    *self_p = NULL;
}
