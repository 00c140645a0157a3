/* admin.h - what operators ask of the webhook-processor over the bus: dead letters, discrepancies.
 */
#ifndef TIFFIN_SERVICES_ADMIN_H
#define TIFFIN_SERVICES_ADMIN_H

#include "lib/service.h"

typedef struct admin admin_t;

/* Has a database connection of its own, on the bus's thread. Borrows `service`. */
admin_t *admin_new(service_t *service, const char *database_url);
void admin_destroy(admin_t **self_p);

/* For bus_handlers_t.on_batch. */
void admin_on_batch(admin_t *self, const bus_request_t *requests, size_t count);

#endif
