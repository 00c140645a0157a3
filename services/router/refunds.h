/* refunds.h - the router's refunds: reserves what merchants ask for, shows it, and has the PSPs
 * give back what is due, whoever reserved it. */
#ifndef TIFFIN_SERVICES_REFUNDS_H
#define TIFFIN_SERVICES_REFUNDS_H

#include <stdbool.h>

#include "lib/dispatch.h"
#include "lib/payment/psp_accounts.h"
#include "lib/service.h"

typedef struct refunds refunds_t;

typedef struct refunds_config {
    const char *database_url;
    const char *redis_url;
    const psp_accounts_t *accounts; /* borrowed */
    int64_t call_timeout_ms;
} refunds_config_t;

/* Refuses a bad REDIS_URL (exit 78). Borrows `service`. */
refunds_t *refunds_new(service_t *service, const refunds_config_t *config);
/* Cancels what is in flight: its lease ends and another router asks again, under the same key. */
void refunds_destroy(refunds_t **self_p);

/* refund_create and refund_get, a batch each. */
void refunds_on_create(refunds_t *self, const bus_request_t *const *requests, size_t count);
void refunds_on_get(refunds_t *self, const bus_request_t *const *requests, size_t count);

/* Claims nothing more from the first call on; true once no call is in flight. */
bool refunds_idle(refunds_t *self);

#endif
