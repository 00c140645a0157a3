/* refunds.c - see refunds.h.
 *
 *   refund_create → refunds_create (reserved, committed) → answer
 *   due → claimed by lease → the PSP is asked under the refund's id → its answer, as it came, goes
 * into the stream that webhooks go through; there it becomes a fact
 *
 * A refund is asked for at the PSP that captured, always under the same key, until a fact says how
 * it ended: a call that was lost, timed out or answered with nonsense is made again, so a refund
 * happens once or not at all, whoever dies in between. Where a PSP forgets keys, it is asked
 * whether it knows of the refund before one that is old is asked for again. Due are those that
 * merchants asked for and those that the webhook-processor reserved for captures that could not be
 * applied.
 *
 * Must never happen: a PSP asked for a refund that is not committed; another key or PSP for the
 * same.
 */
#include "services/router/refunds.h"

#include <stdlib.h>
#include <string.h>

#include "lib/batch.h"
#include "lib/clock.h"
#include "lib/config.h"
#include "lib/crash_point.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/payment/webhook_stream.h"
#include "lib/redis.h"
#include "proto/bus_reply.h"
#include "proto/messages.h"
#include "services/router/due_calls.h"
#include "services/router/refund_store.h"

enum { QUOTED_SIZE = 300 };

/* A call to a PSP. */
typedef struct call {
    due_call_t base;
    refund_due_t due;
    uuid_t request_id;
    bool asks_status; /* how it stands; else for the refund itself */
} call_t;

struct refunds {
    service_t *service;
    refund_store_t *store;
    redis_t *redis;
    due_calls_t *calls;
};

static bool notified(void *refunds);
static err_t claim(void *refunds, const due_claim_t *claim, PGresult **result,
                   err_detail_t *detail);
static due_call_t *prepare(void *refunds, const PGresult *result, int row);
static void ended(void *refunds, due_call_end_t *ends, size_t count);

refunds_t *refunds_new(service_t *service, const refunds_config_t *config)
{
    refunds_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->service = service;
    err_detail_t detail = {{0}};
    self->redis = redis_new(config->redis_url, REDIS_COMMAND_TIMEOUT_MS, &detail);
    if (self->redis == NULL)
        config_refuse("REDIS_URL", detail.text);
    self->store = refund_store_new(config->database_url);
    const due_calls_owner_t owner = {.self = self,
                                     .what = "refunds",
                                     .calls_per_min = psp_refund_calls_per_min,
                                     .notified = notified,
                                     .claim = claim,
                                     .prepare = prepare,
                                     .ended = ended};
    self->calls = due_calls_new(service, config->accounts, config->call_timeout_ms, &owner);
    return self;
}

void refunds_destroy(refunds_t **self_p)
{
    refunds_t *self = *self_p;
    if (self == NULL)
        return;
    due_calls_destroy(&self->calls);
    refund_store_destroy(&self->store);
    redis_destroy(&self->redis);
    free(self);
    *self_p = NULL;
}

bool refunds_idle(refunds_t *self)
{
    return due_calls_idle(self->calls);
}

/* ---- requests ---- */

typedef struct create_batch {
    refunds_t *self;
    size_t count;
    const bus_reply_to_t *reply_to[SERVICE_BATCH_MAX];
    const refund_create_t *refunds[SERVICE_BATCH_MAX];
    refund_create_t decoded[SERVICE_BATCH_MAX];
    uuid_t request_ids[SERVICE_BATCH_MAX];
} create_batch_t;

static void answer_created(refunds_t *self, const bus_reply_to_t *to,
                           const refund_create_t *request, const PGresult *result, int row)
{
    refund_created_t created;
    char text[UUID_TEXT_SIZE];
    err_detail_t detail = {{0}};
    err_t err = ERR_OK;
    refund_store_created(result, row, &created);
    switch (created.verdict) {
    case REFUND_OK:
        bus_reply_message(self->service->bus, to, MSG_refund_document, &created.document);
        return;
    case REFUND_PAYMENT_NOT_FOUND:
        err = err_set(&detail, ERR_PAYMENT_NOT_FOUND, "there is no payment %s",
                      uuid_format(&request->payment_id, text));
        break;
    case REFUND_EXCEEDS_CAPTURE:
        err = err_set(&detail, ERR_REFUND_EXCEEDS_CAPTURE, "amount: %.*s", STR_ARG(created.words));
        break;
    case REFUND_KEY_REUSED:
        err = err_set(&detail, ERR_IDEMPOTENCY_KEY_REUSED, "the key came with another body before");
        break;
    case REFUND_ID_CONFLICT:
        err = err_set(&detail, ERR_ID_CONFLICT, "the refund id belongs to another payment");
        break;
    }
    bus_reply_refusal(self->service->bus, to, err, detail.text,
                      created.document.replayed ? &created.first_request_id : NULL);
}

static err_t create_range(void *arg, size_t first, size_t count, err_detail_t *detail)
{
    create_batch_t *batch = arg;
    PGresult *result = NULL;
    TRY(refund_store_create(batch->self->store, batch->refunds + first, batch->request_ids + first,
                            count, &result, detail));
    CHECK((size_t)PQntuples(result) == count);
    CRASH_POINT(router_refund_reserved);
    for (size_t i = 0; i < count; i++)
        answer_created(batch->self, batch->reply_to[first + i], batch->refunds[first + i], result,
                       (int)i);
    PQclear(result);
    return ERR_OK;
}

static void create_failed(void *arg, size_t index, err_t err, const err_detail_t *detail)
{
    create_batch_t *batch = arg;
    bus_reply_error(batch->self->service->bus, batch->reply_to[index], err, detail->text);
}

void refunds_on_create(refunds_t *self, const bus_request_t *const *requests, size_t count)
{
    create_batch_t *batch = calloc(1, sizeof *batch);
    CHECK(batch != NULL);
    batch->self = self;
    for (size_t i = 0; i < count; i++) {
        refund_create_t *refund = &batch->decoded[batch->count];
        err_detail_t detail = {{0}};
        err_t err = message_decode(MSG_refund_create, requests[i]->body, requests[i]->body_size,
                                   refund, &detail);
        if (err == ERR_OK && refund->amount < 0)
            err = err_set(&detail, ERR_INVALID_AMOUNT, "amount: must be positive");
        if (err != ERR_OK) {
            bus_reply_error(self->service->bus, &requests[i]->reply_to, err, detail.text);
            continue;
        }
        batch->refunds[batch->count] = refund;
        batch->request_ids[batch->count] = requests[i]->reply_to.request_id;
        batch->reply_to[batch->count++] = &requests[i]->reply_to;
    }
    batch_split(batch->count, create_range, create_failed, batch);
    free(batch);
}

void refunds_on_get(refunds_t *self, const bus_request_t *const *requests, size_t count)
{
    bus_t *bus = self->service->bus;
    uuid_t ids[SERVICE_BATCH_MAX];
    const bus_reply_to_t *reply_to[SERVICE_BATCH_MAX];
    size_t asked = 0;
    err_detail_t detail = {{0}};
    for (size_t i = 0; i < count; i++) {
        refund_get_t get;
        const err_t err = message_decode(MSG_refund_get, requests[i]->body, requests[i]->body_size,
                                         &get, &detail);
        if (err != ERR_OK) {
            bus_reply_error(bus, &requests[i]->reply_to, err, detail.text);
            continue;
        }
        ids[asked] = get.refund_id;
        reply_to[asked++] = &requests[i]->reply_to;
    }
    if (asked == 0)
        return;
    PGresult *result = NULL;
    const err_t err = refund_store_documents(self->store, ids, asked, &result, &detail);
    for (size_t i = 0; i < asked; i++) {
        refund_document_t document;
        char text[UUID_TEXT_SIZE];
        if (err != ERR_OK) {
            bus_reply_error(bus, reply_to[i], err, detail.text);
        } else if (refund_store_document(result, &ids[i], &document)) {
            bus_reply_message(bus, reply_to[i], MSG_refund_document, &document);
        } else {
            err_set(&detail, ERR_REFUND_NOT_FOUND, "there is no refund %s",
                    uuid_format(&ids[i], text));
            bus_reply_error(bus, reply_to[i], ERR_REFUND_NOT_FOUND, detail.text);
        }
    }
    PQclear(result);
}

/* ---- what is due ---- */

static void note_called(refunds_t *self, const refund_called_t *called, size_t count)
{
    err_detail_t detail = {{0}};
    char quoted[QUOTED_SIZE];
    if (count == 0)
        return;
    /* What cannot be noted is asked about again when the lease ends. */
    const err_t err = refund_store_called(self->store, called, count, &detail);
    if (err != ERR_OK)
        log_limited(LOG_LEVEL_WARN, NULL, "refund call not noted", "code=%s detail=%s",
                    err_name(err), log_quote(quoted, sizeof quoted, detail.text));
}

static bool notified(void *refunds)
{
    return refund_store_notified(((refunds_t *)refunds)->store);
}

static err_t claim(void *refunds, const due_claim_t *claim, PGresult **result, err_detail_t *detail)
{
    TRY(refund_store_claim(((refunds_t *)refunds)->store, claim, result, detail));
    if (PQntuples(*result) > 0)
        CRASH_POINT(router_refund_claimed);
    return ERR_OK;
}

/* The PSP may have made it and forgotten its key, and cannot be asked: its webhook, a settlement
 * report or somebody who looks there can tell. */
static void leave_to_a_person(refunds_t *self, const refund_due_t *due)
{
    char refund_id[UUID_TEXT_SIZE];
    log_limited(LOG_LEVEL_ERROR, NULL, "refund waits",
                "refund_id=%s psp=%s reason=\"its key is old\"",
                uuid_format(&due->refund.refund_id, refund_id), due->psp);
    const refund_called_t called = {.refund_id = due->refund.refund_id,
                                    .call = due->calls,
                                    .error = "it may have been made, and the PSP cannot be asked: "
                                             "look for it there",
                                    .retry_after_ms = DUE_RETRY_MOST_MS};
    note_called(self, &called, 1);
}

static due_call_t *prepare(void *refunds, const PGresult *result, int row)
{
    refunds_t *self = refunds;
    const psp_t *psp;
    refund_due_t due;
    refund_store_due(result, row, &due);
    const psp_account_t *account = due_calls_account(self->calls, due.psp, &psp);
    if (account == NULL) {
        const refund_called_t called = {.refund_id = due.refund.refund_id,
                                        .call = due.calls,
                                        .error = "the PSP is not configured at this router",
                                        .retry_after_ms = DUE_NOT_CONFIGURED_MS};
        note_called(self, &called, 1);
        return NULL;
    }
    call_t *call = calloc(1, sizeof *call);
    CHECK(call != NULL);
    call->due = due;
    call->base.psp = psp;
    call->request_id = uuid7_new();
    const bool key_lives = psp_refund_key_lives(psp, due.key_age_s);
    call->asks_status = (due.requested || !key_lives || due.calls % 2 == 0) &&
                        psp_refund_status_request(psp, account, &due.refund, &call->base.request);
    if (!call->asks_status && !key_lives) {
        leave_to_a_person(self, &due);
        free(call);
        return NULL;
    }
    if (!call->asks_status)
        psp_refund_request(psp, account, &due.refund, &call->base.request);
    return &call->base;
}

/* ---- answers ---- */

/* What a call came to. */
typedef struct outcome {
    const call_t *call;
    int64_t took_ms;
    bool understood; /* the PSP has told how the refund stands … */
    bool absent;     /* … or that it does not know of it */
    bool appended;
    bool not_sent;
    char name[33];
    char reason[PSP_REASON_SIZE];
} outcome_t;

static void append_answer(refunds_t *self, const outcome_t *outcome,
                          const http_client_response_t *response, const psp_report_t *report)
{
    const call_t *call = outcome->call;
    const webhook_stream_entry_t entry = {
        .source = "refund_call",
        .psp = psp_name(call->base.psp),
        .event_id = report->event_id,
        .payment_id = &call->due.refund.payment_id,
        .refund_id = &call->due.refund.refund_id,
        .request_id = &call->request_id,
        .received_at_us = clock_wall_us(),
        .http_status = response->status,
        .body = {response->body.data, (uint32_t)response->body.size}};
    webhook_stream_append(self->redis, &entry);
}

static void read_answer(refunds_t *self, const http_client_response_t *response, outcome_t *outcome)
{
    const psp_refund_t *refund = &outcome->call->due.refund;
    psp_report_t report;
    err_detail_t detail = {{0}};
    err_t err = response->err;
    outcome->took_ms = response->took_ms;
    outcome->not_sent = response->err == ERR_HTTP_UNREACHABLE;
    if (err != ERR_OK)
        err_set(&detail, err, "%s", response->error);
    else if (outcome->call->asks_status && response->status >= 400)
        err = err_set(&detail, ERR_MALFORMED_WEBHOOK, "HTTP %d is no answer about the refund",
                      response->status);
    else
        err = psp_refund_read(outcome->call->base.psp, refund, response->status,
                              (str_t){response->body.data, (uint32_t)response->body.size}, &report,
                              &detail);
    outcome->absent = err == ERR_OK && report.kind == PSP_FACT_NONE;
    outcome->understood = err == ERR_OK && !outcome->absent;
    snprintf(outcome->name, sizeof outcome->name, "%s",
             outcome->understood ? psp_fact_kind_name(report.kind)
             : outcome->absent   ? "NOT_THERE"
             : outcome->not_sent ? "NOT_SENT"
                                 : "UNKNOWN");
    str_copy(str_of(err == ERR_OK ? report.reason : detail.text), outcome->reason,
             sizeof outcome->reason);
    if (outcome->understood)
        append_answer(self, outcome, response, &report);
}

static void tell(refunds_t *self, const outcome_t *outcome)
{
    const refund_due_t *due = &outcome->call->due;
    const router_refund_call_t event = {.payment_id = due->refund.payment_id,
                                        .order_id = due->refund.order_id,
                                        .refund_id = due->refund.refund_id,
                                        .psp = str_of(due->psp),
                                        .outcome = str_of(outcome->name),
                                        .reason = str_of(outcome->reason),
                                        .took_ms = outcome->took_ms};
    char quoted[QUOTED_SIZE];
    char refund_id[UUID_TEXT_SIZE];
    if (self->service->bus != NULL)
        bus_event_message(self->service->bus, MSG_router_refund_call, &event,
                          &outcome->call->request_id, "");
    log_info(NULL, "refund asked for", "refund_id=%s psp=%s outcome=%s took_ms=%lld reason=%s",
             uuid_format(&due->refund.refund_id, refund_id), due->psp, outcome->name,
             (long long)outcome->took_ms, log_quote(quoted, sizeof quoted, outcome->reason));
}

/* Takes Redis' word for each answer, in the order of the pipeline. */
static void confirm_appended(refunds_t *self, outcome_t *outcomes, size_t count)
{
    bool any_appended = false;
    for (size_t i = 0; i < count; i++) {
        err_detail_t detail = {{0}};
        if (!outcomes[i].understood)
            continue;
        outcomes[i].appended = webhook_stream_confirm(self->redis, &detail) == ERR_OK;
        any_appended = any_appended || outcomes[i].appended;
        if (!outcomes[i].appended)
            log_limited(LOG_LEVEL_WARN, NULL, "refund's answer not queued", "detail=\"%s\"",
                        detail.text);
    }
    if (any_appended)
        CRASH_POINT(router_refund_appended);
}

static void ended(void *refunds, due_call_end_t *ends, size_t count)
{
    refunds_t *self = refunds;
    outcome_t outcomes[DUE_CALLS_MAX];
    refund_called_t called[DUE_CALLS_MAX];
    for (size_t i = 0; i < count; i++) {
        if (ends[i].response.err == ERR_OK)
            CRASH_POINT(router_refund_answered);
        outcomes[i] = (outcome_t){.call = (const call_t *)ends[i].call};
        read_answer(self, &ends[i].response, &outcomes[i]);
    }
    confirm_appended(self, outcomes, count);
    for (size_t i = 0; i < count; i++) {
        const outcome_t *outcome = &outcomes[i];
        const refund_due_t *due = &outcome->call->due;
        called[i] = (refund_called_t){
            .refund_id = due->refund.refund_id,
            .call = due->calls,
            .unknown = !outcome->understood && !outcome->not_sent && !outcome->absent,
            .absent = outcome->absent,
            .error = outcome->reason[0] != '\0' ? outcome->reason : NULL,
            .retry_after_ms = outcome->absent && !due->requested
                                  ? DUE_RETRY_FIRST_MS
                                  : due_calls_retry_after_ms(outcome->appended, due->calls),
        };
        tell(self, outcome);
    }
    note_called(self, called, count);
}
