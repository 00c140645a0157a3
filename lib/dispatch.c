/* dispatch.c - see dispatch.h. */
#include "lib/dispatch.h"

#include "lib/log.h"

static const dispatch_entry_t *entry_of(const dispatch_entry_t *table, uint32_t message)
{
    for (const dispatch_entry_t *entry = table; entry->message != 0; entry++)
        if (entry->message == message)
            return entry;
    return NULL;
}

static void call_handler(const dispatch_entry_t *entry, void *self, const bus_request_t *requests,
                         size_t count)
{
    const bus_request_t *batch[SERVICE_BATCH_MAX];
    size_t filled = 0;
    for (size_t i = 0; i < count; i++) {
        if (requests[i].message != entry->message)
            continue;
        batch[filled++] = &requests[i];
        if (filled == SERVICE_BATCH_MAX) {
            entry->handle(self, batch, filled);
            filled = 0;
        }
    }
    if (filled > 0)
        entry->handle(self, batch, filled);
}

void dispatch_batch(bus_t *bus, const dispatch_entry_t *table, void *self,
                    const bus_request_t *requests, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (entry_of(table, requests[i].message) == NULL) {
            log_limited(LOG_LEVEL_WARN, NULL, "message without a handler", "message=%u",
                        requests[i].message);
            bus_reply(bus, &requests[i].reply_to, ERR_NOT_FOUND, 0, NULL, 0);
        }
    for (const dispatch_entry_t *entry = table; entry->message != 0; entry++)
        call_handler(entry, self, requests, count);
}
