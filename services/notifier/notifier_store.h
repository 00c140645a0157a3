/* notifier_store.h - what the notifier reads: the feed. See db/002_outbox.sql. */
#ifndef TIFFIN_SERVICES_NOTIFIER_STORE_H
#define TIFFIN_SERVICES_NOTIFIER_STORE_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/pg.h"
#include "proto/messages.h"

typedef struct notifier_store notifier_store_t;

notifier_store_t *notifier_store_new(const char *database_url);
void notifier_store_destroy(notifier_store_t **self_p);

/* Readable when there may be news; -1 without a connection, and another one after the next. */
int notifier_store_fd(const notifier_store_t *self);
/* Were events stored since the last call, as far as is known? (LISTEN events) */
bool notifier_store_notified(notifier_store_t *self);

/* Events after `after`, in order, at most at_most: one row each (notifier_store_event). The result
 * is the caller's. */
err_t notifier_store_events(notifier_store_t *self, int64_t after, int at_most, PGresult **result,
                            err_detail_t *detail) MUST_CHECK;
/* Row `row` of that result; texts are borrowed from it. */
void notifier_store_event(const PGresult *result, int row, notifier_event_t *event);
/* The same for what a request asks: of one user, of one order, or all. */
err_t notifier_store_list(notifier_store_t *self, const notifier_list_t *list, int at_most,
                          PGresult **result, err_detail_t *detail) MUST_CHECK;
/* The newest event stored before a time, 0 for none. */
err_t notifier_store_last_before(notifier_store_t *self, int64_t at_us, int64_t *event_id,
                                 err_detail_t *detail) MUST_CHECK;

#endif
