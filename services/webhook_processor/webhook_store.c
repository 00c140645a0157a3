/* webhook_store.c - see webhook_store.h. */
#include "services/webhook_processor/webhook_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/limits.h"

struct webhook_store {
    pg_t *pg;
    int64_t park_for_s;
    pg_params_t params; /* reused: its buffers keep their memory */
};

webhook_store_t *webhook_store_new(const char *database_url, int64_t park_for_s)
{
    webhook_store_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->pg = pg_new(database_url, "tiffin-webhook-processor", PG_STATEMENT_TIMEOUT_MS);
    self->park_for_s = park_for_s;
    return self;
}

void webhook_store_destroy(webhook_store_t **self_p)
{
    webhook_store_t *self = *self_p;
    if (self == NULL)
        return;
    pg_destroy(&self->pg);
    pg_params_free(&self->params);
    free(self);
    *self_p = NULL;
}

bool webhook_store_ready(webhook_store_t *self)
{
    return pg_ready(self->pg);
}

static str_t text_or_null(const char *text)
{
    return text[0] != '\0' ? str_of(text) : (str_t){NULL, 0};
}

static const uuid_t *uuid_or_null(const uuid_t *uuid)
{
    return uuid_is_nil(uuid) ? NULL : uuid;
}

/* Parameters $1 … $22 of webhooks_apply, in its order but for the last two. */
static void fill_params(webhook_store_t *self, const webhook_item_t *items, size_t count)
{
    static const psp_report_t nothing;
    pg_params_t *p = &self->params;
    pg_params_reset(p);
    const int inbox_ids = pg_array_begin(p, PG_ARRAY_INT8);
    const int psps = pg_array_begin(p, PG_ARRAY_TEXT);
    const int event_ids = pg_array_begin(p, PG_ARRAY_TEXT);
    const int sources = pg_array_begin(p, PG_ARRAY_TEXT);
    const int payment_ids = pg_array_begin(p, PG_ARRAY_UUID);
    const int order_ids = pg_array_begin(p, PG_ARRAY_UUID);
    const int refund_ids = pg_array_begin(p, PG_ARRAY_UUID);
    const int kinds = pg_array_begin(p, PG_ARRAY_TEXT);
    const int psp_refs = pg_array_begin(p, PG_ARRAY_TEXT);
    const int refs_per_payment = pg_array_begin(p, PG_ARRAY_BOOL);
    const int amounts = pg_array_begin(p, PG_ARRAY_INT8);
    const int fees = pg_array_begin(p, PG_ARRAY_INT8);
    const int currencies = pg_array_begin(p, PG_ARRAY_TEXT);
    const int occurred = pg_array_begin(p, PG_ARRAY_INT8);
    const int reasons = pg_array_begin(p, PG_ARRAY_TEXT);
    const int bodies = pg_array_begin(p, PG_ARRAY_BYTEA);
    const int headers = pg_array_begin(p, PG_ARRAY_TEXT);
    const int http_statuses = pg_array_begin(p, PG_ARRAY_INT4);
    const int received = pg_array_begin(p, PG_ARRAY_INT8);
    const int request_ids = pg_array_begin(p, PG_ARRAY_TEXT);
    const int faults = pg_array_begin(p, PG_ARRAY_TEXT);
    for (size_t i = 0; i < count; i++) {
        const webhook_item_t *item = &items[i];
        const psp_report_t *report = item->malformed ? &nothing : &item->report;
        const uuid_t *payment_id = item->malformed ? &item->payment_id : &report->payment_id;
        /* What is asked for again carries the refund's id beside the answer. */
        const uuid_t *refund_id =
            uuid_is_nil(&report->refund_id) ? &item->refund_id : &report->refund_id;
        if (item->inbox_id != 0)
            pg_array_add_int8(p, inbox_ids, item->inbox_id);
        else
            pg_array_add_null(p, inbox_ids);
        pg_array_add_text(p, psps, item->psp);
        pg_array_add_text(p, event_ids, item->event_id);
        pg_array_add_text(p, sources, item->source);
        pg_array_add_uuid(p, payment_ids, uuid_or_null(payment_id));
        pg_array_add_uuid(p, order_ids, uuid_or_null(&report->order_id));
        pg_array_add_uuid(p, refund_ids, uuid_or_null(refund_id));
        pg_array_add_text(p, kinds, str_of(webhook_item_kind(item)));
        pg_array_add_text(p, psp_refs,
                          str_of(report->announced[0] ? report->announced : report->psp_ref));
        pg_array_add_bool(p, refs_per_payment, report->ref_is_per_payment);
        pg_array_add_int8(p, amounts, report->amount);
        pg_array_add_int8(p, fees, report->fee);
        pg_array_add_text(p, currencies, text_or_null(report->currency));
        pg_array_add_int8(p, occurred, report->occurred_at_us);
        pg_array_add_text(p, reasons, text_or_null(item->malformed ? item->fault : report->reason));
        pg_array_add_text(p, bodies, item->body);
        pg_array_add_text(p, headers, item->headers);
        pg_array_add_int4(p, http_statuses, item->http_status);
        pg_array_add_int8(p, received, item->received_at_us);
        pg_array_add_text(p, request_ids, item->request_id);
        pg_array_add_text(p, faults,
                          report->fault != PSP_FAULT_NONE ? str_of(psp_fault_name(report->fault))
                                                          : (str_t){NULL, 0});
    }
    pg_param_int8(p, self->park_for_s);
}

static void take_outcome(const PGresult *result, int row, webhook_item_t *item)
{
    item->outcome = webhook_outcome_parse(pg_get_text(result, row, 1));
    str_copy(pg_get_text(result, row, 2), item->reason, sizeof item->reason);
    if (!pg_is_null(result, row, 4))
        item->order_id = pg_get_uuid(result, row, 4);
    CHECK(item->outcome != WEBHOOK_UNDECIDED);
}

err_t webhook_store_apply(webhook_store_t *self, webhook_item_t *items, size_t count,
                          PGresult **result, err_detail_t *detail)
{
    fill_params(self, items, count);
    TRY(pg_exec(self->pg, "webhooks_apply",
                "SELECT position, outcome, reason, payment_id, order_id, type, payload "
                "FROM webhooks_apply($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, "
                "$15, $16, $17, $18, $19, $20, $22, $21)",
                &self->params, result, detail));
    size_t decided = 0;
    for (int row = 0; row < PQntuples(*result); row++) {
        const int64_t position = pg_get_int8(*result, row, 0);
        if (position == 0)
            continue; /* an event */
        CHECK(position > 0 && (size_t)position <= count);
        take_outcome(*result, row, &items[position - 1]);
        decided++;
    }
    CHECK(decided == count);
    return ERR_OK;
}

bool webhook_store_event(const PGresult *result, int *cursor, str_t *type, str_t *payload)
{
    for (; *cursor < PQntuples(result); (*cursor)++) {
        if (pg_get_int8(result, *cursor, 0) != 0)
            continue;
        *type = pg_get_text(result, *cursor, 5);
        *payload = pg_get_text(result, *cursor, 6);
        (*cursor)++;
        return true;
    }
    return false;
}

err_t webhook_store_claim_parked(webhook_store_t *self, webhook_item_t *items, size_t capacity,
                                 int lease_s, size_t *count, PGresult **result,
                                 err_detail_t *detail)
{
    *count = 0;
    pg_params_reset(&self->params);
    pg_param_int4(&self->params, (int32_t)capacity);
    pg_param_int4(&self->params, lease_s);
    pg_param_int4(&self->params, WEBHOOK_DELIVERIES_TOGETHER);
    TRY(pg_exec(
        self->pg, "webhooks_claim_parked",
        "SELECT psp, event_id, source, payment_ref, body, http_status, received_at_us, request_id, "
        "inbox_id, refund_id, headers, deliveries FROM webhooks_claim_parked($1, $2, $3)",
        &self->params, result, detail));
    for (int row = 0; row < PQntuples(*result); row++) {
        webhook_item_t *item = &items[row];
        memset(item, 0, sizeof *item);
        item->psp = pg_get_text(*result, row, 0);
        item->event_id = pg_get_text(*result, row, 1);
        item->source = pg_get_text(*result, row, 2);
        const str_t payment_ref = pg_get_text(*result, row, 3);
        CHECK(uuid_parse(payment_ref.data, payment_ref.size, &item->payment_id));
        item->body = pg_get_text(*result, row, 4);
        item->http_status = (int32_t)pg_get_int8(*result, row, 5);
        item->received_at_us = pg_get_int8(*result, row, 6);
        item->request_id = pg_get_text(*result, row, 7);
        item->inbox_id = pg_get_int8(*result, row, 8);
        if (!pg_is_null(*result, row, 9))
            item->refund_id = pg_get_uuid(*result, row, 9);
        item->headers = pg_get_text(*result, row, 10);
        item->deliveries = pg_get_int8(*result, row, 11);
        (*count)++;
    }
    return ERR_OK;
}

err_t webhook_store_dead_to_copy(webhook_store_t *self, int at_most, PGresult **result,
                                 err_detail_t *detail)
{
    pg_params_reset(&self->params);
    pg_param_int4(&self->params, at_most);
    return pg_exec(
        self->pg, "webhooks_dead_to_copy",
        "SELECT inbox_id, psp, event_id, source, payment_ref, reason, tries, body, received_at_us "
        "FROM webhooks_dead_to_copy($1)",
        &self->params, result, detail);
}

err_t webhook_store_dead_copied(webhook_store_t *self, const PGresult *dead, int count,
                                err_detail_t *detail)
{
    pg_params_reset(&self->params);
    const int ids = pg_array_begin(&self->params, PG_ARRAY_INT8);
    for (int row = 0; row < count; row++)
        pg_array_add_int8(&self->params, ids, pg_get_int8(dead, row, 0));
    PGresult *result = NULL;
    err_t err = pg_exec(self->pg, "webhooks_dead_copied", "SELECT webhooks_dead_copied($1)",
                        &self->params, &result, detail);
    PQclear(result);
    return err;
}
