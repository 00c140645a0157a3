/* captures.c - see captures.h.
 *
 *   payment_capture → payment_capture() of the database (written down, committed) → answer
 *   due → claimed by lease → the PSP is told → the reconciler asks it how the payment stands
 *
 * A PSP is told until a fact says what became of the authorisation: a call that was lost, timed out
 * or was refused is made again, and captures or voids nothing twice. What it answers is not taken
 * for a fact. One that has no void is not told to release what is left over: it does so by itself,
 * and the reconciler asks until it says so.
 *
 * Must never happen: a PSP told of what is not committed; a capture and a void at once.
 */
#include "services/router/captures.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/crash_point.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "proto/bus_reply.h"
#include "proto/messages.h"
#include "services/router/capture_store.h"
#include "services/router/due_calls.h"

/* A call to a PSP. */
typedef struct call {
    due_call_t base;
    capture_due_t due;
} call_t;

struct captures {
    service_t *service;
    capture_store_t *store;
    due_calls_t *calls;
};

static bool notified(void *captures);
static err_t claim(void *captures, const due_claim_t *claim, PGresult **result,
                   err_detail_t *detail);
static due_call_t *prepare(void *captures, const PGresult *result, int row);
static void ended(void *captures, due_call_end_t *ends, size_t count);

captures_t *captures_new(service_t *service, const refunds_config_t *config)
{
    captures_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->service = service;
    self->store = capture_store_new(config->database_url);
    const due_calls_owner_t owner = {.self = self,
                                     .what = "captures",
                                     .calls_per_min = psp_refund_calls_per_min,
                                     .notified = notified,
                                     .claim = claim,
                                     .prepare = prepare,
                                     .ended = ended};
    self->calls = due_calls_new(service, config->accounts, config->call_timeout_ms, &owner);
    return self;
}

void captures_destroy(captures_t **self_p)
{
    captures_t *self = *self_p;
    if (self == NULL)
        return;
    due_calls_destroy(&self->calls);
    capture_store_destroy(&self->store);
    free(self);
    *self_p = NULL;
}

bool captures_idle(captures_t *self)
{
    return due_calls_idle(self->calls);
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
    case CAPTURE_VOID_UNSUPPORTED:
        return err_set(detail, ERR_VOID_UNSUPPORTED,
                       "the PSP has no void: it releases what is not captured by itself");
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

static bool notified(void *captures)
{
    return capture_store_notified(((captures_t *)captures)->store);
}

static err_t claim(void *captures, const due_claim_t *claim, PGresult **result,
                   err_detail_t *detail)
{
    TRY(capture_store_claim(((captures_t *)captures)->store, claim, result, detail));
    if (PQntuples(*result) > 0)
        CRASH_POINT(router_capture_claimed);
    return ERR_OK;
}

static due_call_t *prepare(void *captures, const PGresult *result, int row)
{
    captures_t *self = captures;
    const psp_t *psp;
    capture_due_t due;
    capture_store_due(result, row, &due);
    const psp_account_t *account = due_calls_account(self->calls, due.psp, &psp);
    if (account == NULL || !psp_takes_capture(psp)) {
        note_called(self, &due, "the PSP is not configured at this router", DUE_NOT_CONFIGURED_MS);
        return NULL;
    }
    if (!due.capture && !psp_takes_void(psp)) {
        char payment_id[UUID_TEXT_SIZE];
        log_info(NULL, "authorisation left to its PSP", "payment_id=%s psp=%s",
                 uuid_format(&due.authorization.payment_id, payment_id), due.psp);
        note_called(self, &due, "the PSP has no void: it releases it by itself",
                    CAPTURE_NEVER_AGAIN);
        return NULL;
    }
    call_t *call = calloc(1, sizeof *call);
    CHECK(call != NULL);
    call->due = due;
    call->base.psp = psp;
    if (due.capture)
        psp_capture_request(psp, account, &due.authorization, &call->base.request);
    else
        psp_void_request(psp, account, &due.authorization, &call->base.request);
    return &call->base;
}

/* ---- answers ---- */

static void end_call(captures_t *self, const capture_due_t *due,
                     const http_client_response_t *response)
{
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
    if (taken)
        CRASH_POINT(router_capture_answered);
    note_called(self, due, taken ? NULL : error, due_calls_retry_after_ms(taken, due->calls));
}

static void ended(void *captures, due_call_end_t *ends, size_t count)
{
    for (size_t i = 0; i < count; i++)
        end_call(captures, &((const call_t *)ends[i].call)->due, &ends[i].response);
}
