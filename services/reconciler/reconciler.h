/* reconciler.h - the reconciler: asks PSPs about payments that are not settled. */
#ifndef TIFFIN_SERVICES_RECONCILER_H
#define TIFFIN_SERVICES_RECONCILER_H

#include "lib/config.h"
#include "lib/payment/psp_accounts.h"
#include "lib/service.h"

typedef struct reconciler_config {
    service_settings_t service;
    const char *database_url;
    const char *redis_url;
    int64_t interval_s, settlement_interval_s;
    int64_t calls_max;
    int64_t psp_status_timeout_ms;
    int64_t keep_webhooks_days, keep_events_days, keep_decisions_days;
    psp_accounts_t accounts;
} reconciler_config_t;

extern const config_entry_t reconciler_settings[];

typedef struct reconciler reconciler_t;

reconciler_t *reconciler_new(service_t *service, const reconciler_config_t *config);
void reconciler_destroy(reconciler_t **self_p);

extern const bus_handlers_t reconciler_bus_handlers;
/* Claims nothing more from the first call on; true once no call is in flight (`reconciler` is a
 * reconciler_t). */
bool reconciler_idle(void *reconciler);

#endif
