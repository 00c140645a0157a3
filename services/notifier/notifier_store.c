/* notifier_store.c - see notifier_store.h. */
#include "services/notifier/notifier_store.h"

#include <stdlib.h>
#include <string.h>

#include "lib/limits.h"

struct notifier_store {
    pg_t *pg;
    pg_params_t params;
};

notifier_store_t *notifier_store_new(const char *database_url)
{
    notifier_store_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->pg = pg_new(database_url, "tiffin-notifier", PG_STATEMENT_TIMEOUT_MS);
    pg_listen(self->pg, "events");
    return self;
}

int notifier_store_fd(const notifier_store_t *self)
{
    return pg_fd(self->pg);
}

bool notifier_store_notified(notifier_store_t *self)
{
    return pg_notified(self->pg);
}

void notifier_store_destroy(notifier_store_t **self_p)
{
    notifier_store_t *self = *self_p;
    if (self == NULL)
        return;
    pg_destroy(&self->pg);
    pg_params_free(&self->params);
    free(self);
    *self_p = NULL;
}

err_t notifier_store_events(notifier_store_t *self, int64_t after, int at_most, PGresult **result,
                            err_detail_t *detail)
{
    pg_params_reset(&self->params);
    pg_param_int8(&self->params, after);
    pg_param_int4(&self->params, at_most);
    return pg_exec(
        self->pg, "events_after",
        "SELECT event_id, order_id, payment_id, user_id, type, payload FROM events_after($1, $2)",
        &self->params, result, detail);
}

err_t notifier_store_list(notifier_store_t *self, const notifier_list_t *list, int at_most,
                          PGresult **result, err_detail_t *detail)
{
    if (list->user_id.size == 0)
        return notifier_store_events(self, list->since, at_most, result, detail);
    pg_params_reset(&self->params);
    pg_param_text(&self->params, list->user_id);
    pg_param_uuid(&self->params, uuid_is_nil(&list->order_id) ? NULL : &list->order_id);
    pg_param_int8(&self->params, list->since);
    pg_param_int4(&self->params, at_most);
    return pg_exec(self->pg, "events_of_user",
                   "SELECT event_id, order_id, payment_id, user_id, type, payload FROM "
                   "events_of_user($1, $2, $3, $4)",
                   &self->params, result, detail);
}

void notifier_store_event(const PGresult *result, int row, notifier_event_t *event)
{
    memset(event, 0, sizeof *event);
    event->event_id = pg_get_int8(result, row, 0);
    event->order_id = pg_get_uuid(result, row, 1);
    if (!pg_is_null(result, row, 2))
        event->payment_id = pg_get_uuid(result, row, 2);
    event->user_id = pg_get_text(result, row, 3);
    event->type = pg_get_text(result, row, 4);
    event->payload = pg_get_text(result, row, 5);
}

err_t notifier_store_last_before(notifier_store_t *self, int64_t at_us, int64_t *event_id,
                                 err_detail_t *detail)
{
    pg_params_reset(&self->params);
    pg_param_int8(&self->params, at_us);
    PGresult *result = NULL;
    TRY(pg_exec(self->pg, "last_event_before", "SELECT last_event_before($1)", &self->params,
                &result, detail));
    *event_id = pg_get_int8(result, 0, 0);
    PQclear(result);
    return ERR_OK;
}
