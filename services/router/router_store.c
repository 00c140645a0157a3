/* router_store.c - see router_store.h. */
#include "services/router/router_store.h"

#include <stdlib.h>
#include <string.h>

#include "lib/json_read.h"
#include "lib/limits.h"

struct router_store {
    pg_t *pg;
    pg_params_t params; /* reused: its buffers keep their memory */
};

/* The columns of a payment_position, in the order in which router_store_position reads them. */
#define POSITION_COLUMNS                                                                         \
    "payment_id, order_id, verdict, amount, currency, method, requested_psp, return_url, "       \
    "expires_at, status, given_up, attempt_id, psp, attempt_outcome, checkout_url, tried_psps, " \
    "failures, page_data, returned, user_id, customer, replayed, first_request_id, "             \
    "manual_capture"
enum {
    COLUMN_PAYMENT_ID,
    COLUMN_ORDER_ID,
    COLUMN_VERDICT,
    COLUMN_AMOUNT,
    COLUMN_CURRENCY,
    COLUMN_METHOD,
    COLUMN_REQUESTED_PSP,
    COLUMN_RETURN_URL,
    COLUMN_EXPIRES_AT,
    COLUMN_STATUS,
    COLUMN_GIVEN_UP,
    COLUMN_ATTEMPT_ID,
    COLUMN_PSP,
    COLUMN_OUTCOME,
    COLUMN_CHECKOUT_URL,
    COLUMN_TRIED_PSPS,
    COLUMN_FAILURES,
    COLUMN_PAGE_DATA,
    COLUMN_RETURNED,
    COLUMN_USER_ID,
    COLUMN_CUSTOMER,
    COLUMN_REPLAYED,
    COLUMN_FIRST_REQUEST_ID,
    COLUMN_MANUAL_CAPTURE,
};

/* A request lives no longer: whoever held its key this long and has not answered is gone. */
enum { KEY_LEASE_MS = REQUEST_BUDGET_MS + 2000 };

router_store_t *router_store_new(const char *database_url)
{
    router_store_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->pg = pg_new(database_url, "tiffin-router", PG_STATEMENT_TIMEOUT_MS);
    return self;
}

void router_store_destroy(router_store_t **self_p)
{
    router_store_t *self = *self_p;
    if (self == NULL)
        return;
    pg_destroy(&self->pg);
    pg_params_free(&self->params);
    free(self);
    *self_p = NULL;
}

err_t router_store_orders(router_store_t *self, const uuid_t *order_ids, size_t count,
                          PGresult **result, err_detail_t *detail)
{
    pg_params_reset(&self->params);
    const int ids = pg_array_begin(&self->params, PG_ARRAY_UUID);
    for (size_t i = 0; i < count; i++)
        pg_array_add_uuid(&self->params, ids, &order_ids[i]);
    return pg_exec(self->pg, "routing_orders",
                   "SELECT order_id, amount, currency, user_id, manual_capture "
                   "FROM routing_orders($1)",
                   &self->params, result, detail);
}

router_order_t router_store_order(const PGresult *result, const uuid_t *order_id)
{
    for (int row = 0; row < PQntuples(result); row++) {
        const uuid_t id = pg_get_uuid(result, row, 0);
        if (uuid_equal(&id, order_id))
            return (router_order_t){.amount = pg_get_int8(result, row, 1),
                                    .currency = pg_get_text(result, row, 2),
                                    .user_id = pg_get_text(result, row, 3),
                                    .manual_capture = pg_get_bool(result, row, 4)};
    }
    return (router_order_t){.amount = 0};
}

err_t router_store_begin(router_store_t *self, const router_begin_t *begins, size_t count,
                         PGresult **result, err_detail_t *detail)
{
    pg_params_t *params = &self->params;
    pg_params_reset(params);
    const int payment_ids = pg_array_begin(params, PG_ARRAY_UUID);
    const int order_ids = pg_array_begin(params, PG_ARRAY_UUID);
    const int methods = pg_array_begin(params, PG_ARRAY_TEXT);
    const int requested_psps = pg_array_begin(params, PG_ARRAY_TEXT);
    const int return_urls = pg_array_begin(params, PG_ARRAY_TEXT);
    const int attempt_ids = pg_array_begin(params, PG_ARRAY_UUID);
    const int psps = pg_array_begin(params, PG_ARRAY_TEXT);
    const int idempotency_ids = pg_array_begin(params, PG_ARRAY_UUID);
    const int fingerprints = pg_array_begin(params, PG_ARRAY_UUID);
    const int holders = pg_array_begin(params, PG_ARRAY_UUID);
    const int decisions = pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < count; i++) {
        const payment_initiate_t *request = begins[i].request;
        pg_array_add_uuid(params, payment_ids, &request->payment_id);
        pg_array_add_uuid(params, order_ids, &request->order_id);
        pg_array_add_text(params, methods, request->method);
        /* The registered spelling, whatever the request's. */
        pg_array_add_text(params, requested_psps,
                          request->psp.size > 0 ? str_of(begins[i].psp) : (str_t){NULL, 0});
        pg_array_add_text(params, return_urls, request->return_url);
        pg_array_add_uuid(params, attempt_ids, &begins[i].attempt_id);
        pg_array_add_text(params, psps, str_of(begins[i].psp));
        pg_array_add_uuid(params, idempotency_ids, &request->idempotency_id);
        pg_array_add_uuid(params, fingerprints, &request->fingerprint);
        pg_array_add_uuid(params, holders, begins[i].holder);
        pg_array_add_text(params, decisions, begins[i].decision);
    }
    pg_param_int8(params, KEY_LEASE_MS);
    return pg_exec(self->pg, "payments_begin",
                   "SELECT " POSITION_COLUMNS
                   " FROM payments_begin($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $12, $11)",
                   params, result, detail);
}

err_t router_store_release(router_store_t *self, const router_release_t *releases, size_t count,
                           err_detail_t *detail)
{
    pg_params_reset(&self->params);
    const int keys = pg_array_begin(&self->params, PG_ARRAY_UUID);
    const int holders = pg_array_begin(&self->params, PG_ARRAY_UUID);
    const int finals = pg_array_begin(&self->params, PG_ARRAY_BOOL);
    for (size_t i = 0; i < count; i++) {
        pg_array_add_uuid(&self->params, keys, releases[i].key);
        pg_array_add_uuid(&self->params, holders, releases[i].holder);
        pg_array_add_bool(&self->params, finals, releases[i].final);
    }
    PGresult *result = NULL;
    err_t err = pg_exec(self->pg, "idempotency_release", "SELECT idempotency_release($1, $2, $3)",
                        &self->params, &result, detail);
    PQclear(result);
    return err;
}

/* What a PSP did not tell is NULL in the database. */
static str_t text_or_null(const char *text)
{
    return text[0] != '\0' ? str_of(text) : (str_t){NULL, 0};
}

err_t router_store_record(router_store_t *self, const router_record_t *records, size_t count,
                          PGresult **result, err_detail_t *detail)
{
    static const psp_checkout_answer_t nothing_new;
    pg_params_t *params = &self->params;
    pg_params_reset(params);
    const int attempt_ids = pg_array_begin(params, PG_ARRAY_UUID);
    const int outcomes = pg_array_begin(params, PG_ARRAY_TEXT);
    const int errors = pg_array_begin(params, PG_ARRAY_TEXT);
    const int psp_refs = pg_array_begin(params, PG_ARRAY_TEXT);
    const int checkout_urls = pg_array_begin(params, PG_ARRAY_TEXT);
    const int pages_data = pg_array_begin(params, PG_ARRAY_TEXT);
    const int took_ms = pg_array_begin(params, PG_ARRAY_INT4);
    const int next_attempt_ids = pg_array_begin(params, PG_ARRAY_UUID);
    const int next_psps = pg_array_begin(params, PG_ARRAY_TEXT);
    const int give_ups = pg_array_begin(params, PG_ARRAY_BOOL);
    const int next_decisions = pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < count; i++) {
        const router_record_t *record = &records[i];
        const psp_checkout_answer_t *answer =
            record->answer != NULL ? record->answer : &nothing_new;
        const char *outcome =
            record->answer != NULL ? psp_checkout_outcome_name(answer->outcome) : NULL;
        pg_array_add_uuid(params, attempt_ids, &record->attempt_id);
        pg_array_add_text(params, outcomes, str_of(outcome));
        pg_array_add_text(params, errors, text_or_null(answer->reason));
        pg_array_add_text(params, psp_refs, text_or_null(answer->psp_ref));
        pg_array_add_text(params, checkout_urls, text_or_null(answer->checkout_url));
        pg_array_add_text(params, pages_data, text_or_null(answer->page_data));
        pg_array_add_int4(params, took_ms, (int32_t)record->took_ms);
        pg_array_add_uuid(params, next_attempt_ids,
                          record->next_psp != NULL ? &record->next_attempt_id : NULL);
        pg_array_add_text(params, next_psps, str_of(record->next_psp));
        pg_array_add_bool(params, give_ups, record->give_up);
        pg_array_add_text(params, next_decisions, record->next_decision);
    }
    return pg_exec(self->pg, "attempts_record",
                   "SELECT " POSITION_COLUMNS
                   " FROM attempts_record($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                   params, result, detail);
}

static router_verdict_t verdict_of(str_t text)
{
    static const char *const names[] = {
        [ROUTER_OK] = "ok",
        [ROUTER_ORDER_NOT_FOUND] = "order_not_found",
        [ROUTER_ORDER_NOT_PAYABLE] = "order_not_payable",
        [ROUTER_ID_CONFLICT] = "id_conflict",
        [ROUTER_KEY_REUSED] = "key_reused",
        [ROUTER_KEY_IN_FLIGHT] = "key_in_flight",
    };
    size_t i = 0;
    while (i < sizeof names / sizeof *names && !str_is(text, names[i]))
        i++;
    CHECK(i < sizeof names / sizeof *names);
    return (router_verdict_t)i;
}

static psp_checkout_outcome_t outcome_of(str_t text)
{
    static const psp_checkout_outcome_t outcomes[] = {PSP_CHECKOUT_OPEN, PSP_CHECKOUT_REFUSED,
                                                      PSP_CHECKOUT_UNKNOWN};
    size_t i = 0;
    while (i < sizeof outcomes / sizeof *outcomes &&
           !str_is(text, psp_checkout_outcome_name(outcomes[i])))
        i++;
    CHECK(i < sizeof outcomes / sizeof *outcomes);
    return outcomes[i];
}

/* What the order has of its customer; "" what it has not. */
static void read_customer(str_t user_id, str_t json, psp_customer_t *customer)
{
    json_t *root = json.size > 0 ? json_read_object(json, NULL) : NULL;
    str_copy(user_id, customer->id, sizeof customer->id);
    str_copy(json_read_str(root, "name"), customer->name, sizeof customer->name);
    str_copy(json_read_str(root, "email"), customer->email, sizeof customer->email);
    str_copy(json_read_str(root, "phone"), customer->phone, sizeof customer->phone);
    json_decref(root);
}

void router_store_position(const PGresult *result, int row, router_position_t *position)
{
    memset(position, 0, sizeof *position);
    position->payment_id = pg_get_uuid(result, row, COLUMN_PAYMENT_ID);
    position->order_id = pg_get_uuid(result, row, COLUMN_ORDER_ID);
    position->verdict = verdict_of(pg_get_text(result, row, COLUMN_VERDICT));
    position->replayed = pg_get_bool(result, row, COLUMN_REPLAYED);
    if (!pg_is_null(result, row, COLUMN_FIRST_REQUEST_ID))
        position->first_request_id = pg_get_uuid(result, row, COLUMN_FIRST_REQUEST_ID);
    if (position->verdict != ROUTER_OK)
        return;
#define COPY(column, member) \
    str_copy(pg_get_text(result, row, column), position->member, sizeof position->member)
    COPY(COLUMN_CURRENCY, currency);
    COPY(COLUMN_METHOD, method);
    COPY(COLUMN_REQUESTED_PSP, requested_psp);
    COPY(COLUMN_RETURN_URL, return_url);
    COPY(COLUMN_STATUS, status);
    COPY(COLUMN_PSP, psp);
    COPY(COLUMN_CHECKOUT_URL, checkout_url);
    COPY(COLUMN_TRIED_PSPS, tried_psps);
    COPY(COLUMN_FAILURES, failures);
    COPY(COLUMN_PAGE_DATA, page_data);
    COPY(COLUMN_RETURNED, returned);
#undef COPY
    read_customer(pg_get_text(result, row, COLUMN_USER_ID),
                  pg_get_text(result, row, COLUMN_CUSTOMER), &position->customer);
    position->amount = pg_get_int8(result, row, COLUMN_AMOUNT);
    position->expires_at_us = pg_get_time_us(result, row, COLUMN_EXPIRES_AT);
    position->manual_capture = pg_get_bool(result, row, COLUMN_MANUAL_CAPTURE);
    position->given_up = pg_get_bool(result, row, COLUMN_GIVEN_UP);
    position->attempt_id = pg_get_uuid(result, row, COLUMN_ATTEMPT_ID);
    position->answered = !pg_is_null(result, row, COLUMN_OUTCOME);
    if (position->answered)
        position->outcome = outcome_of(pg_get_text(result, row, COLUMN_OUTCOME));
}

err_t router_store_page(router_store_t *self, const uuid_t *payment_id, PGresult **result,
                        err_detail_t *detail)
{
    pg_params_reset(&self->params);
    pg_param_uuid(&self->params, payment_id);
    return pg_exec(self->pg, "payment_page", "SELECT " POSITION_COLUMNS " FROM payment_page($1)",
                   &self->params, result, detail);
}

err_t router_store_returned(router_store_t *self, const uuid_t *payment_id, str_t query,
                            err_detail_t *detail)
{
    PGresult *result = NULL;
    pg_params_reset(&self->params);
    pg_param_uuid(&self->params, payment_id);
    pg_param_text(&self->params, query);
    const err_t err = pg_exec(self->pg, "payment_returned", "SELECT payment_returned($1, $2)",
                              &self->params, &result, detail);
    PQclear(result);
    return err;
}

err_t router_store_outcomes(router_store_t *self, int64_t after_fact_id, PGresult **result,
                            err_detail_t *detail)
{
    pg_params_reset(&self->params);
    pg_param_int8(&self->params, after_fact_id);
    return pg_exec(self->pg, "routing_outcomes",
                   "SELECT last_fact_id, psp, method, currency, age_ms, successes, failures "
                   "FROM routing_outcomes($1)",
                   &self->params, result, detail);
}

router_outcomes_t router_store_outcomes_row(const PGresult *result, int row)
{
    router_outcomes_t outcomes = {.last_fact_id = pg_get_int8(result, row, 0),
                                  .psp = pg_get_text(result, row, 1)};
    if (outcomes.psp.size == 0)
        return outcomes;
    outcomes.method = pg_get_text(result, row, 2);
    outcomes.currency = pg_get_text(result, row, 3);
    outcomes.age_ms = pg_get_int8(result, row, 4);
    outcomes.successes = pg_get_int8(result, row, 5);
    outcomes.failures = pg_get_int8(result, row, 6);
    return outcomes;
}

err_t router_store_decisions(router_store_t *self, const uuid_t *payment_id, PGresult **result,
                             err_detail_t *detail)
{
    pg_params_reset(&self->params);
    pg_param_uuid(&self->params, payment_id);
    return pg_exec(self->pg, "routing_decisions_of",
                   "SELECT decided_at, decision FROM routing_decisions_of($1)", &self->params,
                   result, detail);
}

err_t router_store_documents(router_store_t *self, const uuid_t *payment_ids, size_t count,
                             PGresult **result, err_detail_t *detail)
{
    pg_params_reset(&self->params);
    const int ids = pg_array_begin(&self->params, PG_ARRAY_UUID);
    for (size_t i = 0; i < count; i++)
        pg_array_add_uuid(&self->params, ids, &payment_ids[i]);
    return pg_exec(self->pg, "payment_documents",
                   "SELECT payment_id, order_id, status, document FROM payment_documents($1)",
                   &self->params, result, detail);
}

bool router_store_document(const PGresult *result, const uuid_t *payment_id,
                           payment_document_t *document)
{
    for (int row = 0; row < PQntuples(result); row++) {
        const uuid_t id = pg_get_uuid(result, row, 0);
        if (!uuid_equal(&id, payment_id))
            continue;
        *document = (payment_document_t){.payment_id = id,
                                         .order_id = pg_get_uuid(result, row, 1),
                                         .status = pg_get_text(result, row, 2),
                                         .document = pg_get_text(result, row, 3)};
        return true;
    }
    return false;
}
