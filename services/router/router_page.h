/* router_page.h - router.page: the page of ours where a customer pays, and where one comes back
 * from a PSP.
 */
#ifndef TIFFIN_SERVICES_ROUTER_PAGE_H
#define TIFFIN_SERVICES_ROUTER_PAGE_H

#include "lib/bus.h"
#include "services/router/router_rules.h"
#include "services/router/router_store.h"

/* What it needs of the router; borrowed. */
typedef struct router_page {
    bus_t *bus;
    router_store_t *store;
    const router_psps_t *psps;
    const psp_accounts_t *accounts;
    const char *public_url;
} router_page_t;

void router_page_answer(const router_page_t *page, const bus_request_t *const *requests,
                        size_t count);

/* What a connector has to know of a payment at this position. Borrows `public_url`. */
psp_checkout_t router_checkout_of(const router_position_t *position, const char *public_url);

#endif
