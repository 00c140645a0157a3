/* notifier.h - the notifier: takes the feed of events to every gateway, in order, without gaps. */
#ifndef TIFFIN_SERVICES_NOTIFIER_H
#define TIFFIN_SERVICES_NOTIFIER_H

#include "lib/config.h"
#include "lib/service.h"

typedef struct notifier_config {
    service_settings_t service;
    const char *database_url;
    const char *redis_url;
} notifier_config_t;

enum { NOTIFIER_CREDIT = 64 /* reads of the feed held at once */ };

extern const config_entry_t notifier_settings[];
extern const bus_handlers_t notifier_bus_handlers;

typedef struct notifier notifier_t;

/* Refuses a bad setting (exit 78). Borrows `service` and adds to its actor. */
notifier_t *notifier_new(service_t *service, const notifier_config_t *config);
void notifier_destroy(notifier_t **self_p);

#endif
