/* captures.c - see captures.h.
 *
 *   payment_capture → payment_capture() of the database (written down, committed) → answer
 *   due → claimed by lease → the PSP is told → the reconciler asks it how the payment stands
 *
 * A PSP is told until a fact says what became of the authorisation: a call that was lost, timed out
 * or was refused is made again, and captures or voids nothing twice. What it answers is not taken
 * for a fact.
 *
 * Must never happen: a PSP told of what is not committed; a capture and a void at once.
 */
#include "services/router/captures.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/limits.h"
#include "lib/list.h"
#include "lib/log.h"
#include "lib/payment/psp_client.h"
#include "proto/bus_reply.h"
#include "proto/messages.h"
#include "services/router/capture_store.h"
#include "services/router/refund_rules.h"

enum {
    TICK_MS = 100,         /* how soon a notification is seen */
    CLAIM_EVERY_MS = 1000, /* without one */
    CALLS_MAX = 16,
    LEASE_MARGIN_MS = 5000,
    NOT_CONFIGURED_RETRY_MS = 60000,
};

/* A call to a PSP in flight. */
typedef struct call {
    list_node_t node; /* in calling */
    capture_due_t due;
} call_t;

struct captures {
    service_t *service;
    refunds_config_t config;
    capture_store_t *store;
    psp_client_t *http;
    int tick_timer;
    bool stopping;
    int64_t next_claim_mono_ms;
    list_node_t calling;
    int calling_count;
};

static void on_tick(void *arg);
static void on_answers(void *arg);

captures_t *captures_new(service_t *service, const refunds_config_t *config)
{
    captures_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->service = service;
    self->config = *config;
    list_init(&self->calling);
    self->store = capture_store_new(config->database_url);
    self->http = psp_client_new(config->accounts, CALLS_MAX);
    actor_add_fd(service->actor, psp_client_fd(self->http), on_answers, self);
    self->tick_timer = actor_add_timer(service->actor, TICK_MS, on_tick, self);
    return self;
}

void captures_destroy(captures_t **self_p)
{
    captures_t *self = *self_p;
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
    capture_store_destroy(&self->store);
    free(self);
    *self_p = NULL;
}

bool captures_idle(captures_t *self)
{
    self->stopping = true;
    return list_empty(&self->calling);
}

/* ---- requests ---- */

static err_t refusal_of(const capture_answer_t *answer, const payment_capture_t *asked,
                        err_detail_t *detail)
{
    char text[UUID_TEXT_SIZE];
    switch (answer->verdict) {
    case CAPTURE_OK:
        break;
    case CAPTURE_PAYMENT_NOT_FOUND:
        return err_set(detail, ERR_PAYMENT_NOT_FOUND, "there is no payment %s",
                       uuid_format(&asked->payment_id, text));
    case CAPTURE_NOT_AUTHORIZED:
        return err_set(detail, ERR_PAYMENT_NOT_AUTHORIZED,
                       "the payment is %s: it is captured by itself, or was captured or voided "
                       "before",
                       answer->status);
    case CAPTURE_ORDER_NOT_PAYABLE:
        return err_set(detail, ERR_ORDER_NOT_PAYABLE, "the order has ended");
    case CAPTURE_KEY_REUSED:
        return err_set(detail, ERR_IDEMPOTENCY_KEY_REUSED, "the key came with another body before");
    }
    return ERR_OK;
}

static void write_down(captures_t *self, const bus_request_t *request)
{
    bus_t *bus = self->service->bus;
    payment_capture_t asked;
    capture_answer_t answer = {0};
    err_detail_t detail = {{0}};
    err_t err =
        message_decode(MSG_payment_capture, request->body, request->body_size, &asked, &detail);
    if (err == ERR_OK && !str_is(asked.action, "capture") && !str_is(asked.action, "void"))
        err = err_set(&detail, ERR_INVALID_FIELD, "action is not capture or void");
    if (err == ERR_OK)
        err =
            capture_store_ask(self->store, &asked, &request->reply_to.request_id, &answer, &detail);
    if (err != ERR_OK) {
        bus_reply_error(bus, &request->reply_to, err, detail.text);
        return;
    }
    err = refusal_of(&answer, &asked, &detail);
    if (err != ERR_OK) {
        bus_reply_refusal(bus, &request->reply_to, err, detail.text,
                          answer.replayed ? &answer.first_request_id : NULL);
        return;
    }
    const payment_capturing_t capturing = {.payment_id = asked.payment_id,
                                           .status = str_of(answer.status),
                                           .replayed = answer.replayed};
    bus_reply_message(bus, &request->reply_to, MSG_payment_capturing, &capturing);
}

void captures_on_capture(captures_t *self, const bus_request_t *const *requests, size_t count)
{
    for (size_t i = 0; i < count; i++)
        write_down(self, requests[i]);
}

/* ---- what is due ---- */

static void note_called(captures_t *self, const capture_due_t *due, const char *error,
                        int64_t retry_after_ms)
{
    err_detail_t detail = {{0}};
    /* What cannot be noted is done again when the lease ends. */
    const err_t err = capture_store_called(self->store, due, error, retry_after_ms, &detail);
    if (err != ERR_OK)
        log_limited(LOG_LEVEL_WARN, NULL, "capture or void not noted", "code=%s detail=\"%s\"",
                    err_name(err), detail.text);
}

static void start_call(captures_t *self, const capture_due_t *due)
{
    const psp_t *psp = psp_find(str_of(due->psp));
    const psp_account_t *account = psp != NULL ? psp_account_of(self->config.accounts, psp) : NULL;
    if (account == NULL || !psp_takes_manual_capture(psp)) {
        log_limited(LOG_LEVEL_ERROR, NULL, "capture or void waits",
                    "psp=%s reason=\"not configured here\"", due->psp);
        note_called(self, due, "the PSP is not configured at this router", NOT_CONFIGURED_RETRY_MS);
        return;
    }
    call_t *call = calloc(1, sizeof *call);
    CHECK(call != NULL);
    call->due = *due;
    http_client_request_t request;
    if (due->capture)
        psp_capture_request(psp, account, &due->authorization, &request);
    else
        psp_void_request(psp, account, &due->authorization, &request);
    request.timeout_ms = (uint32_t)self->config.call_timeout_ms;
    list_init(&call->node);
    list_push_back(&self->calling, &call->node);
    self->calling_count++;
    psp_client_submit(self->http, psp, &request, call);
}

static void claim_due(captures_t *self)
{
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    const int room = CALLS_MAX - self->calling_count;
    if (room == 0)
        return;
    self->next_claim_mono_ms = clock_mono_ms() + CLAIM_EVERY_MS;
    const err_t err = capture_store_claim(
        self->store, room, self->config.call_timeout_ms + LEASE_MARGIN_MS, &result, &detail);
    if (err != ERR_OK) {
        log_limited(LOG_LEVEL_WARN, NULL, "captures and voids not claimed", "code=%s detail=\"%s\"",
                    err_name(err), detail.text);
        return;
    }
    for (int row = 0; row < PQntuples(result); row++) {
        capture_due_t due;
        capture_store_due(result, row, &due);
        start_call(self, &due);
    }
    PQclear(result);
}

static void on_tick(void *arg)
{
    captures_t *self = arg;
    if (self->stopping)
        return;
    const bool notified = capture_store_notified(self->store);
    if (notified || clock_mono_ms() >= self->next_claim_mono_ms)
        claim_due(self);
}

/* ---- answers ---- */

static void end_call(captures_t *self, call_t *call, const http_client_response_t *response)
{
    const capture_due_t *due = &call->due;
    char payment_id[UUID_TEXT_SIZE], error[PSP_REASON_SIZE] = "";
    const bool taken = response->err == ERR_OK && response->status < 300;
    if (response->err != ERR_OK)
        str_copy(str_of(response->error), error, sizeof error);
    else if (!taken)
        snprintf(error, sizeof error, "HTTP %d", response->status);
    log_info(NULL, due->capture ? "capture asked for" : "void asked for",
             "payment_id=%s psp=%s taken=%d took_ms=%lld error=\"%s\"",
             uuid_format(&due->authorization.payment_id, payment_id), due->psp, taken,
             (long long)response->took_ms, error);
    note_called(self, due, taken ? NULL : error, refund_retry_after_ms(taken, due->calls));
    list_remove(&call->node);
    self->calling_count--;
    free(call);
}

static void on_answers(void *arg)
{
    captures_t *self = arg;
    void *cookie;
    http_client_response_t response;
    while (psp_client_next(self->http, &cookie, &response)) {
        end_call(self, cookie, &response);
        buf_free(&response.body);
    }
}
