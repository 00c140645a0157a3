/* dispatch.h - a service's handler table: which function handles which message, a whole batch at a
 * time. */
#ifndef TIFFIN_LIB_DISPATCH_H
#define TIFFIN_LIB_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

#include "lib/bus.h"

/* All requests of one message that waited in the mailbox, at most SERVICE_BATCH_MAX; each must be
 * answered. */
typedef void(dispatch_fn)(void *self, const bus_request_t *const *requests, size_t count);

typedef struct dispatch_entry {
    uint32_t message; /* 0 ends the table */
    dispatch_fn *handle;
} dispatch_entry_t;

/* Sorts a mailbox by message and calls each handler at most once per SERVICE_BATCH_MAX requests. A
 * request whose message is not in the table is answered ERR_NOT_FOUND: a gateway newer than this
 * service. */
void dispatch_batch(bus_t *bus, const dispatch_entry_t *table, void *self,
                    const bus_request_t *requests, size_t count);

#endif
