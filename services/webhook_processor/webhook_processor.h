/* webhook_processor.h - the webhook-processor: the consumer thread, and a bus connection that tells
 * what it did. */
#ifndef TIFFIN_SERVICES_WEBHOOK_PROCESSOR_H
#define TIFFIN_SERVICES_WEBHOOK_PROCESSOR_H

#include "lib/config.h"
#include "lib/service.h"

typedef struct webhook_processor_config {
    service_settings_t service;
    const char *database_url;
    const char *redis_url;
    int64_t park_for_s;
} webhook_processor_config_t;

extern const config_entry_t webhook_processor_settings[];
extern const bus_handlers_t webhook_processor_bus_handlers;

typedef struct webhook_processor webhook_processor_t;

/* Starts consuming. Refuses a bad setting (exit 78). Borrows both. */
webhook_processor_t *webhook_processor_new(service_t *service,
                                           const webhook_processor_config_t *config);
/* Stops consuming once the batch in hand is done. */
void webhook_processor_destroy(webhook_processor_t **self_p);

#endif
