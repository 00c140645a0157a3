/* webhook_store.h - every SQL statement of the webhook-processor; see db/008_webhooks.sql and
 * db/009_operators.sql. */
#ifndef TIFFIN_SERVICES_WEBHOOK_STORE_H
#define TIFFIN_SERVICES_WEBHOOK_STORE_H

#include <stddef.h>

#include "lib/err.h"
#include "lib/pg.h"
#include "services/webhook_processor/webhook_item.h"

typedef struct webhook_store webhook_store_t;

webhook_store_t *webhook_store_new(const char *database_url, int64_t park_for_s);
void webhook_store_destroy(webhook_store_t **self_p);

/* Would the database answer now? */
bool webhook_store_ready(webhook_store_t *self);

/* The whole effect of `count` items in one transaction; fills outcome, reason and order_id of each.
 * The result holds the new events (webhook_store_event) and is the caller's. Errors as pg_exec;
 * every item can be applied again. */
err_t webhook_store_apply(webhook_store_t *self, webhook_item_t *items, size_t count,
                          PGresult **result, err_detail_t *detail) MUST_CHECK;
/* Event `*cursor` onwards of that result: false when there is no further one. Texts are borrowed
 * from the result. */
bool webhook_store_event(const PGresult *result, int *cursor, str_t *type, str_t *payload);

/* Parked items whose time has come, claimed for lease_s; their texts are borrowed from *result,
 * which is the caller's. At most one, the last, is to be taken alone (webhook_item.h). *count of
 * `capacity` were filled. */
err_t webhook_store_claim_parked(webhook_store_t *self, webhook_item_t *items, size_t capacity,
                                 int lease_s, size_t *count, PGresult **result,
                                 err_detail_t *detail) MUST_CHECK;

/* Dead rows that have no copy in the dead letter stream. Columns: inbox_id, psp, event_id, source,
 * payment_ref, reason, tries, body, received_at_us. */
err_t webhook_store_dead_to_copy(webhook_store_t *self, int at_most, PGresult **result,
                                 err_detail_t *detail) MUST_CHECK;
/* The first `count` rows of that result have one now. */
err_t webhook_store_dead_copied(webhook_store_t *self, const PGresult *dead, int count,
                                err_detail_t *detail) MUST_CHECK;

#endif
