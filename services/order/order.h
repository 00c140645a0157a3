/* order.h - the order service: creates, shows, lists and expires orders. */
#ifndef TIFFIN_SERVICES_ORDER_H
#define TIFFIN_SERVICES_ORDER_H

#include "lib/config.h"
#include "lib/service.h"

typedef struct order_config {
    service_settings_t service;
    const char *database_url;
    const char *redis_url;
    int64_t order_ttl_s;
} order_config_t;

extern const config_entry_t order_settings[];

typedef struct order_service order_service_t;

/* Refuses a bad setting (exit 78). Borrows `service` and adds its timer to the actor there. */
order_service_t *order_service_new(service_t *service, const order_config_t *config);
void order_service_destroy(order_service_t **self_p);

extern const bus_handlers_t order_bus_handlers;

#endif
