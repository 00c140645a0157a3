/* refunds.c - see refunds.h.
 *
 *   refund_create → refunds_create (reserved, committed) → answer
 *   due → claimed by lease → the PSP is asked under the refund's id → its answer, as it came, goes
 * into the stream that webhooks go through; there it becomes a fact
 *
 * A refund is asked for at the PSP that captured, always under the same key, until a fact says how
 * it ended: a call that was lost, timed out or answered with nonsense is made again, so a refund
 * happens once or not at all, whoever dies in between. Due are those that merchants asked for and
 * those that the webhook-processor reserved for captures that could not be applied.
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
#include "lib/list.h"
#include "lib/log.h"
#include "lib/payment/psp_client.h"
#include "lib/payment/webhook_stream.h"
#include "lib/redis.h"
#include "proto/bus_reply.h"
#include "proto/messages.h"
#include "services/router/refund_rules.h"
#include "services/router/refund_store.h"

enum {
    TICK_MS = 100,         /* how soon a notification is seen */
    CLAIM_EVERY_MS = 1000, /* without one */
    CALLS_MAX = 16,        /* at once; checkouts have their own */
    LEASE_MARGIN_MS = 5000,
    NOT_CONFIGURED_RETRY_MS = 60000,
    QUOTED_SIZE = 300,
};

/* A call to a PSP in flight. */
typedef struct call {
    list_node_t node; /* in calling */
    refund_due_t due;
    const psp_t *psp;
    uuid_t request_id;
    bool asks_status; /* how it stands; else for the refund itself */
} call_t;

struct refunds {
    service_t *service;
    refunds_config_t config;
    refund_store_t *store;
    redis_t *redis;
    psp_client_t *http;
    int tick_timer;
    bool stopping;
    bool more_due; /* the last claim took as many as there was room for */
    int64_t next_claim_mono_ms;
    list_node_t calling;
    int calling_count;
};

static void on_tick(void *arg);
static void on_answers(void *arg);

refunds_t *refunds_new(service_t *service, const refunds_config_t *config)
{
    refunds_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->service = service;
    self->config = *config;
    err_detail_t detail = {{0}};
    self->redis = redis_new(config->redis_url, REDIS_COMMAND_TIMEOUT_MS, &detail);
    if (self->redis == NULL)
        config_refuse("REDIS_URL", detail.text);
    list_init(&self->calling);
    self->store = refund_store_new(config->database_url);
    self->http = psp_client_new(config->accounts, CALLS_MAX);
    actor_add_fd(service->actor, psp_client_fd(self->http), on_answers, self);
    self->tick_timer = actor_add_timer(service->actor, TICK_MS, on_tick, self);
    return self;
}

void refunds_destroy(refunds_t **self_p)
{
    refunds_t *self = *self_p;
    if (self == NULL)
        return;
    actor_remove_timer(self->service->actor, self->tick_timer);
    actor_remove_fd(self->service->actor, psp_client_fd(self->http));
    psp_client_destroy(&self->http);
    for (list_node_t *node = self->calling.next; node != &self->calling;) {
        call_t *call = LIST_ENTRY(node, call_t, node);
        node = node->next;
        free(call);
    }
    refund_store_destroy(&self->store);
    redis_destroy(&self->redis);
    free(self);
    *self_p = NULL;
}

bool refunds_idle(refunds_t *self)
{
    self->stopping = true;
    return list_empty(&self->calling);
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

static void start_call(refunds_t *self, const refund_due_t *due)
{
    const psp_t *psp = psp_find(str_of(due->psp));
    const psp_account_t *account = psp != NULL ? psp_account_of(self->config.accounts, psp) : NULL;
    if (account == NULL) {
        log_limited(LOG_LEVEL_ERROR, NULL, "refund waits", "psp=%s reason=\"not configured here\"",
                    due->psp);
        const refund_called_t called = {.refund_id = due->refund.refund_id,
                                        .call = due->calls,
                                        .error = "the PSP is not configured at this router",
                                        .retry_after_ms = NOT_CONFIGURED_RETRY_MS};
        note_called(self, &called, 1);
        return;
    }
    call_t *call = calloc(1, sizeof *call);
    CHECK(call != NULL);
    call->due = *due;
    call->psp = psp;
    call->request_id = uuid7_new();
    http_client_request_t request;
    call->asks_status = (due->requested || due->calls % 2 == 0) &&
                        psp_refund_status_request(psp, account, &due->refund, &request);
    if (!call->asks_status)
        psp_refund_request(psp, account, &due->refund, &request);
    request.timeout_ms = (uint32_t)self->config.call_timeout_ms;
    list_init(&call->node);
    list_push_back(&self->calling, &call->node);
    self->calling_count++;
    psp_client_submit(self->http, psp, &request, call);
}

static void claim_due(refunds_t *self)
{
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    const int room = CALLS_MAX - self->calling_count;
    if (room == 0)
        return;
    self->next_claim_mono_ms = clock_mono_ms() + CLAIM_EVERY_MS;
    self->more_due = false;
    const err_t err = refund_store_claim(
        self->store, room, self->config.call_timeout_ms + LEASE_MARGIN_MS, &result, &detail);
    if (err != ERR_OK) {
        log_limited(LOG_LEVEL_WARN, NULL, "refunds not claimed", "code=%s detail=\"%s\"",
                    err_name(err), detail.text);
        return;
    }
    const int count = PQntuples(result);
    if (count > 0)
        CRASH_POINT(router_refund_claimed);
    for (int row = 0; row < count; row++) {
        refund_due_t due;
        refund_store_due(result, row, &due);
        start_call(self, &due);
    }
    self->more_due = count == room;
    PQclear(result);
}

static void on_tick(void *arg)
{
    refunds_t *self = arg;
    if (self->stopping)
        return;
    const bool notified = refund_store_notified(self->store);
    if (notified || self->more_due || clock_mono_ms() >= self->next_claim_mono_ms)
        claim_due(self);
}

/* ---- answers ---- */

/* A call that has ended. */
typedef struct ended {
    call_t *call;
    int64_t took_ms;
    bool understood; /* the PSP has told how the refund stands */
    bool appended;
    bool not_sent;
    char outcome[33];
    char reason[PSP_REASON_SIZE];
} ended_t;

static void append_answer(refunds_t *self, const ended_t *ended,
                          const http_client_response_t *response, const psp_report_t *report)
{
    const call_t *call = ended->call;
    const webhook_stream_entry_t entry = {
        .source = "refund_call",
        .psp = psp_name(call->psp),
        .event_id = report->event_id,
        .payment_id = &call->due.refund.payment_id,
        .refund_id = &call->due.refund.refund_id,
        .request_id = &call->request_id,
        .received_at_us = clock_wall_us(),
        .http_status = response->status,
        .body = {response->body.data, (uint32_t)response->body.size}};
    webhook_stream_append(self->redis, &entry);
}

static void read_answer(refunds_t *self, const http_client_response_t *response, ended_t *ended)
{
    const psp_refund_t *refund = &ended->call->due.refund;
    psp_report_t report;
    err_detail_t detail = {{0}};
    err_t err = response->err;
    ended->took_ms = response->took_ms;
    ended->not_sent = response->err == ERR_HTTP_UNREACHABLE;
    if (err != ERR_OK)
        err_set(&detail, err, "%s", response->error);
    else if (ended->call->asks_status && response->status >= 400)
        err = err_set(&detail, ERR_MALFORMED_WEBHOOK, "HTTP %d is no answer about the refund",
                      response->status);
    else
        err = psp_refund_read(ended->call->psp, refund, response->status,
                              (str_t){response->body.data, (uint32_t)response->body.size}, &report,
                              &detail);
    ended->understood = err == ERR_OK;
    snprintf(ended->outcome, sizeof ended->outcome, "%s",
             ended->understood ? psp_fact_kind_name(report.kind)
             : ended->not_sent ? "NOT_SENT"
                               : "UNKNOWN");
    str_copy(str_of(ended->understood ? report.reason : detail.text), ended->reason,
             sizeof ended->reason);
    if (ended->understood)
        append_answer(self, ended, response, &report);
}

static void tell(refunds_t *self, const ended_t *ended)
{
    const refund_due_t *due = &ended->call->due;
    const router_refund_call_t event = {.payment_id = due->refund.payment_id,
                                        .order_id = due->refund.order_id,
                                        .refund_id = due->refund.refund_id,
                                        .psp = str_of(due->psp),
                                        .outcome = str_of(ended->outcome),
                                        .reason = str_of(ended->reason),
                                        .took_ms = ended->took_ms};
    char quoted[QUOTED_SIZE];
    char refund_id[UUID_TEXT_SIZE];
    if (self->service->bus != NULL)
        bus_event_message(self->service->bus, MSG_router_refund_call, &event,
                          &ended->call->request_id, "");
    log_info(NULL, "refund asked for", "refund_id=%s psp=%s outcome=%s took_ms=%lld reason=%s",
             uuid_format(&due->refund.refund_id, refund_id), due->psp, ended->outcome,
             (long long)ended->took_ms, log_quote(quoted, sizeof quoted, ended->reason));
}

/* Takes Redis' word for each answer, in the order of the pipeline. */
static void confirm_appended(refunds_t *self, ended_t *ended, size_t count)
{
    bool any_appended = false;
    for (size_t i = 0; i < count; i++) {
        err_detail_t detail = {{0}};
        if (!ended[i].understood)
            continue;
        ended[i].appended = webhook_stream_confirm(self->redis, &detail) == ERR_OK;
        any_appended = any_appended || ended[i].appended;
        if (!ended[i].appended)
            log_limited(LOG_LEVEL_WARN, NULL, "refund's answer not queued", "detail=\"%s\"",
                        detail.text);
    }
    if (any_appended)
        CRASH_POINT(router_refund_appended);
}

static void call_free(refunds_t *self, call_t *call)
{
    list_remove(&call->node);
    self->calling_count--;
    free(call);
}

static void close_ended(refunds_t *self, ended_t *ended, size_t count)
{
    refund_called_t called[CALLS_MAX];
    for (size_t i = 0; i < count; i++) {
        const refund_due_t *due = &ended[i].call->due;
        called[i] = (refund_called_t){
            .refund_id = due->refund.refund_id,
            .call = due->calls,
            .unknown = !ended[i].understood && !ended[i].not_sent,
            .error = ended[i].reason[0] != '\0' ? ended[i].reason : NULL,
            .retry_after_ms = refund_retry_after_ms(ended[i].appended, due->calls),
        };
        tell(self, &ended[i]);
    }
    note_called(self, called, count);
    for (size_t i = 0; i < count; i++)
        call_free(self, ended[i].call);
}

static void on_answers(void *arg)
{
    refunds_t *self = arg;
    ended_t ended[CALLS_MAX];
    size_t count = 0;
    void *cookie;
    http_client_response_t response;
    while (count < CALLS_MAX && psp_client_next(self->http, &cookie, &response)) {
        ended[count] = (ended_t){.call = cookie};
        if (response.err == ERR_OK)
            CRASH_POINT(router_refund_answered);
        read_answer(self, &response, &ended[count]);
        buf_free(&response.body);
        count++;
    }
    confirm_appended(self, ended, count);
    close_ended(self, ended, count);
    if (self->more_due && !self->stopping)
        claim_due(self);
}
