/* router.h - the router: opens a checkout for an order at the first PSP that takes it, makes
 * refunds, shows both. */
#ifndef TIFFIN_SERVICES_ROUTER_H
#define TIFFIN_SERVICES_ROUTER_H

#include "lib/config.h"
#include "lib/payment/psp_accounts.h"
#include "lib/service.h"

typedef struct router_config {
    service_settings_t service;
    const char *database_url;
    const char *redis_url;
    const char *public_url;
    const char *routing_rules_file; /* NULL: there are no rules */
    int64_t psp_timeout_ms;
    int64_t router_calls_max;
    psp_accounts_t accounts;
} router_config_t;

extern const config_entry_t router_settings[];

typedef struct router router_t;

router_t *router_new(service_t *service, const router_config_t *config);
void router_destroy(router_t **self_p);

extern const bus_handlers_t router_bus_handlers;
/* Makes no more refunds from the first call on; true once no call is in flight (`router` is a
 * router_t). */
bool router_idle(void *router);

#endif
