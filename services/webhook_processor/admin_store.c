/* admin_store.c - see admin_store.h. */
#include "services/webhook_processor/admin_store.h"

#include <stdlib.h>

#include "lib/limits.h"

struct admin_store {
    pg_t *pg;
    pg_params_t params; /* reused: its buffers keep their memory */
};

admin_store_t *admin_store_new(const char *database_url)
{
    admin_store_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->pg = pg_new(database_url, "tiffin-webhook-processor", PG_STATEMENT_TIMEOUT_MS);
    return self;
}

void admin_store_destroy(admin_store_t **self_p)
{
    admin_store_t *self = *self_p;
    if (self == NULL)
        return;
    pg_destroy(&self->pg);
    pg_params_free(&self->params);
    free(self);
    *self_p = NULL;
}

/* ---- parameters; what is left out of a message is NULL ---- */

static void add_text(admin_store_t *self, str_t text)
{
    pg_param_text(&self->params, text.size > 0 ? text : (str_t){NULL, 0});
}

static void add_id(admin_store_t *self, int64_t id)
{
    if (id > 0)
        pg_param_int8(&self->params, id);
    else
        pg_param_null_int8(&self->params);
}

/* ---- statements ---- */

err_t admin_store_dead_letters(admin_store_t *self, const dead_letter_list_t *query,
                               PGresult **result, err_detail_t *detail)
{
    pg_params_reset(&self->params);
    add_text(self, query->psp);
    add_text(self, query->reason);
    add_id(self, query->before);
    pg_param_int4(&self->params, (int32_t)query->limit);
    return pg_exec(self->pg, "dead_letters_page", "SELECT dead_letters_page($1, $2, $3, $4)",
                   &self->params, result, detail);
}

err_t admin_store_dead_letter(admin_store_t *self, int64_t id, PGresult **result,
                              err_detail_t *detail)
{
    pg_params_reset(&self->params);
    pg_param_int8(&self->params, id);
    return pg_exec(self->pg, "dead_letter_document", "SELECT dead_letter_document($1)",
                   &self->params, result, detail);
}

err_t admin_store_redrive(admin_store_t *self, const dead_letter_redrive_t *redrive, int at_most,
                          PGresult **result, err_detail_t *detail)
{
    pg_params_reset(&self->params);
    add_id(self, redrive->dead_letter_id);
    add_text(self, redrive->psp);
    add_text(self, redrive->reason);
    pg_param_int4(&self->params, at_most);
    add_text(self, redrive->actor);
    return pg_exec(self->pg, "dead_letters_redrive",
                   "SELECT dead_letters_redrive($1, $2, $3, $4, $5)", &self->params, result,
                   detail);
}

err_t admin_store_discrepancies(admin_store_t *self, const discrepancy_list_t *query,
                                PGresult **result, err_detail_t *detail)
{
    pg_params_reset(&self->params);
    add_text(self, query->state);
    add_text(self, query->kind);
    pg_param_uuid(&self->params, uuid_is_nil(&query->payment_id) ? NULL : &query->payment_id);
    add_id(self, query->before);
    pg_param_int4(&self->params, (int32_t)query->limit);
    return pg_exec(self->pg, "discrepancies_page", "SELECT discrepancies_page($1, $2, $3, $4, $5)",
                   &self->params, result, detail);
}

err_t admin_store_settle(admin_store_t *self, const discrepancy_settle_t *settle, PGresult **result,
                         err_detail_t *detail)
{
    pg_params_reset(&self->params);
    pg_param_int8(&self->params, settle->discrepancy_id);
    pg_param_text(&self->params, settle->decision);
    pg_param_uuid(&self->params, &settle->refund_id);
    add_text(self, settle->actor);
    return pg_exec(self->pg, "discrepancy_settle",
                   "SELECT verdict, document FROM discrepancy_settle($1, $2, $3, $4)",
                   &self->params, result, detail);
}
