/* checkouts.h - opens checkouts: begins payments and their attempts, calls the PSPs one after the
 * other until one has opened, and answers with where the customer pays. */
#ifndef TIFFIN_SERVICES_CHECKOUTS_H
#define TIFFIN_SERVICES_CHECKOUTS_H

#include <stdbool.h>

#include "lib/dispatch.h"
#include "lib/payment/psp_accounts.h"
#include "lib/service.h"
#include "services/router/router_choice.h"
#include "services/router/router_learning.h"
#include "services/router/router_store.h"

typedef struct checkouts checkouts_t;

/* All borrowed. */
typedef struct checkouts_config {
    const psp_accounts_t *accounts;
    const router_psps_t *psps;
    router_store_t *store;
    router_choice_t *choice;
    router_learning_t *learning;
    const char *public_url;
    unsigned calls_max;      /* to PSPs at once; more wait for their turn */
    int64_t call_timeout_ms; /* less when the request's time ends before */
} checkouts_config_t;

/* Borrows `service`. */
checkouts_t *checkouts_new(service_t *service, const checkouts_config_t *config);
void checkouts_destroy(checkouts_t **self_p);

/* payment_initiate, a batch. */
void checkouts_on_initiate(checkouts_t *self, const bus_request_t *const *requests, size_t count);

/* No call is in flight. */
bool checkouts_idle(const checkouts_t *self);

#endif
