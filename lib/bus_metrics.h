/* bus_metrics.h - what a service's side of the bus counts: requests by message and outcome, how
 * long each took, how many are held now. The bus counts on its thread, any other prints. */
#ifndef TIFFIN_LIB_BUS_METRICS_H
#define TIFFIN_LIB_BUS_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

typedef struct bus_metrics bus_metrics_t;

bus_metrics_t *bus_metrics_new(void);
void bus_metrics_destroy(bus_metrics_t **self_p);

void bus_metrics_taken(bus_metrics_t *self);
void bus_metrics_answered(bus_metrics_t *self, uint32_t message, err_t status, int64_t took_us);
/* Requests that nobody waits for any more: their gateway is gone. */
void bus_metrics_dropped(bus_metrics_t *self, size_t count);
/* A gateway more (1) or less (-1). */
void bus_metrics_gateway(bus_metrics_t *self, int change);

/* tiffin_service_requests_total{service,message,outcome},
 * tiffin_service_request_duration_seconds{service,message}, tiffin_service_requests_in_flight,
 * tiffin_service_requests_dropped_total, tiffin_service_gateways. `name_of` gives a message's name,
 * or NULL for one that is not known; it may be NULL itself. */
void bus_metrics_print(const bus_metrics_t *self, const char *service,
                       const char *(*name_of)(uint32_t message), buf_t *text);

#endif
