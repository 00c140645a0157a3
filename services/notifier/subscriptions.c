/* subscriptions.c - see subscriptions.h. */
#include "services/notifier/subscriptions.h"

#include "lib/err.h"

void subscriptions_remove(subscriptions_t *self, uint32_t gateway, uint32_t generation)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->rows[i].gateway == gateway && self->rows[i].generation == generation) {
            self->rows[i] = self->rows[--self->count];
            return;
        }
}

void subscriptions_add(subscriptions_t *self, uint32_t gateway, uint32_t generation,
                       int64_t last_event_id, int64_t started_at_us)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->rows[i].gateway == gateway) {
            subscriptions_remove(self, gateway, self->rows[i].generation);
            break;
        }
    CHECK(self->count < BUS_GATEWAYS_MAX); /* the bus has no more connections */
    self->rows[self->count++] = (subscription_t){.gateway = gateway,
                                                 .generation = generation,
                                                 .placed = last_event_id > 0,
                                                 .started_at_us = started_at_us,
                                                 .cursor = last_event_id};
}

subscription_t *subscriptions_unplaced(subscriptions_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        if (!self->rows[i].placed)
            return &self->rows[i];
    return NULL;
}

void subscriptions_begin(subscriptions_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        self->rows[i].full = false;
}

bool subscriptions_all_have(const subscriptions_t *self, int64_t event_id)
{
    for (size_t i = 0; i < self->count; i++) {
        const subscription_t *row = &self->rows[i];
        if (!row->placed || row->full || row->cursor < event_id)
            return false;
    }
    return true;
}

bool subscriptions_least_cursor(const subscriptions_t *self, int64_t *cursor)
{
    bool any = false;
    for (size_t i = 0; i < self->count; i++) {
        const subscription_t *row = &self->rows[i];
        if (!row->placed || row->full || (any && row->cursor >= *cursor))
            continue;
        *cursor = row->cursor;
        any = true;
    }
    return any;
}
