/* captures.h - capture and void by hand: writes down what merchants ask for, and tells the PSPs,
 * also of authorisations that are left when their order ends. */
#ifndef TIFFIN_SERVICES_CAPTURES_H
#define TIFFIN_SERVICES_CAPTURES_H

#include <stdbool.h>

#include "lib/dispatch.h"
#include "lib/service.h"
#include "services/router/refunds.h"

typedef struct captures captures_t;

/* Borrows `service`. Of `config` all but the Redis is used. */
captures_t *captures_new(service_t *service, const refunds_config_t *config);
/* Cancels what is in flight: its lease ends and another router tells the PSP again. */
void captures_destroy(captures_t **self_p);

/* payment_capture, a batch. */
void captures_on_capture(captures_t *self, const bus_request_t *const *requests, size_t count);

/* Claims nothing more from the first call on; true once no call is in flight. */
bool captures_idle(captures_t *self);

#endif
