/* checkouts.c - see checkouts.h.
 *
 *   mailbox → payments_begin → calls to PSPs → attempts_record → answer, or the next PSP's call
 *
 * A payment and its attempt are committed before the PSP is called, so that no checkout exists of
 * which we know nothing; the attempt's id is the PSP's idempotency key, so that a call may be
 * repeated. Every payment that is being opened is a flow: one request, where its payment stands as
 * committed, and at most one call in flight. What the flow does next is decided from that position
 * alone (router_rules.h), whether it was just begun, resumed after a router died, or came back from
 * a PSP. Outcomes that are there together are recorded in one statement.
 *
 * Must never happen: an answer "open" that is not committed; a PSP called for an attempt that is
 * not.
 */
#include "services/router/checkouts.h"

#include <stdlib.h>
#include <string.h>

#include "lib/batch.h"
#include "lib/clock.h"
#include "lib/crash_point.h"
#include "lib/list.h"
#include "lib/log.h"
#include "proto/bus_reply.h"
#include "proto/messages.h"
#include "services/router/router_calls.h"
#include "services/router/router_page.h"

enum {
    QUOTED_SIZE = 300,
    ROUNDS_MAX = 64,     /* records of one flow: more than any number of PSPs; a loop is our bug */
    LOOK_EVERY_MS = 100, /* whether the wait of a call is over */
};

/* One request on its way to a checkout. */
typedef struct flow {
    list_node_t node; /* in calling or to_record */
    bus_reply_to_t reply_to;
    uuid_t idempotency_id; /* nil: the request has no key */
    router_position_t position;
    /* Its newest attempt was written by an earlier request, or by another router: the PSP may have
     * been called for it before. */
    bool repeats;
    bool has_answer; /* `answer` is not recorded yet */
    psp_checkout_answer_t answer;
    int64_t took_ms;
    int64_t began_mono_ms;
    const char *lacks; /* a detail of the customer that a PSP needs; NULL: a PSP was called */
    int rounds;
    err_t failure; /* in to_release: what is answered then */
    err_detail_t failure_detail;
} flow_t;

struct checkouts {
    service_t *service;
    checkouts_config_t config;
    router_calls_t *calls;
    int timer;
    list_node_t calling;   /* flows whose call is in flight or waits for its turn */
    list_node_t to_record; /* flows that wait for the next attempts_record */
    /* Flows that failed and hold an Idempotency-Key. */
    flow_t *to_release[SERVICE_BATCH_MAX];
    size_t to_release_count;
    /* Of the batch at hand, until its statement has run; reused: they keep their memory. */
    buf_t decisions[SERVICE_BATCH_MAX];
};

static void on_calls_ended(void *arg);
static void on_look(void *arg);

checkouts_t *checkouts_new(service_t *service, const checkouts_config_t *config)
{
    checkouts_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->service = service;
    self->config = *config;
    list_init(&self->calling);
    list_init(&self->to_record);
    const router_calls_config_t calls = {.accounts = config->accounts,
                                         .calls_max = config->calls_max,
                                         .per_call_ms = config->call_timeout_ms};
    self->calls = router_calls_new(&calls);
    actor_add_fd(service->actor, router_calls_fd(self->calls), on_calls_ended, self);
    self->timer = actor_add_timer(service->actor, LOOK_EVERY_MS, on_look, self);
    return self;
}

static void flow_free(flow_t *flow)
{
    list_remove(&flow->node);
    free(flow);
}

void checkouts_destroy(checkouts_t **self_p)
{
    checkouts_t *self = *self_p;
    if (self == NULL)
        return;
    actor_remove_timer(self->service->actor, self->timer);
    actor_remove_fd(self->service->actor, router_calls_fd(self->calls));
    router_calls_destroy(&self->calls);
    for (list_node_t *node = self->calling.next; node != &self->calling;) {
        flow_t *flow = LIST_ENTRY(node, flow_t, node);
        node = node->next;
        free(flow);
    }
    for (size_t i = 0; i < SERVICE_BATCH_MAX; i++)
        buf_free(&self->decisions[i]);
    free(self);
    *self_p = NULL;
}

bool checkouts_idle(const checkouts_t *self)
{
    return list_empty(&self->calling);
}

/* ---- answers: each ends its flow ---- */

static void answer_failed(checkouts_t *self, flow_t *flow)
{
    const uuid_t *first_request_id =
        flow->position.replayed ? &flow->position.first_request_id : NULL;
    bus_reply_refusal(self->service->bus, &flow->reply_to, flow->failure, flow->failure_detail.text,
                      first_request_id);
    flow_free(flow);
}

/* Answers the flows of to_release, their keys first, in one statement. */
static void release_waiting(checkouts_t *self)
{
    router_release_t releases[SERVICE_BATCH_MAX];
    const size_t count = self->to_release_count;
    err_detail_t detail = {{0}};
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        releases[i] =
            (router_release_t){.key = &self->to_release[i]->idempotency_id,
                               .holder = &self->to_release[i]->reply_to.request_id,
                               .final = self->to_release[i]->failure == ERR_ORDER_NOT_PAYABLE};
    const err_t err = router_store_release(self->config.store, releases, count, &detail);
    if (err != ERR_OK) /* the leases end by themselves */
        log_limited(LOG_LEVEL_WARN, NULL, "keys not released", "code=%s detail=\"%s\"",
                    err_name(err), detail.text);
    for (size_t i = 0; i < count; i++) {
        flow_t *flow = self->to_release[i];
        if (err != ERR_OK && releases[i].final) /* not remembered: not said either */
            flow->failure = err_set(&flow->failure_detail, err, "%s", "");
        answer_failed(self, flow);
    }
    self->to_release_count = 0;
}

/* No checkout was opened. A key that the flow holds is let go of before it is answered
 * (release_waiting): whoever repeats the request goes on at once. */
static void answer_error(checkouts_t *self, flow_t *flow, err_t err, const char *detail)
{
    const router_verdict_t verdict = flow->position.verdict;
    flow->failure = err_set(&flow->failure_detail, err, "%s", detail);
    list_remove(&flow->node);
    if (uuid_is_nil(&flow->idempotency_id) || flow->position.replayed ||
        verdict == ROUTER_KEY_REUSED || verdict == ROUTER_KEY_IN_FLIGHT) {
        answer_failed(self, flow);
        return;
    }
    if (self->to_release_count == SERVICE_BATCH_MAX)
        release_waiting(self);
    self->to_release[self->to_release_count++] = flow;
}

static void answer_open(checkouts_t *self, flow_t *flow)
{
    const router_position_t *position = &flow->position;
    const payment_initiated_t initiated = {
        .payment_id = position->payment_id,
        .order_id = position->order_id,
        .psp = str_of(position->psp),
        .checkout_url = str_of(position->checkout_url),
        .expires_at_us = position->expires_at_us,
        .status = STR_LITERAL("PENDING"), /* whatever has happened since: a repetition is
                                             answered word by word */
        .replayed = position->replayed,
    };
    char request_id[UUID_TEXT_SIZE];
    char payment_id[UUID_TEXT_SIZE];
    const log_ctx_t ctx = {.request_id = uuid_format(&flow->reply_to.request_id, request_id),
                           .traceparent = flow->reply_to.traceparent};
    log_info(&ctx, "payment initiated", "payment_id=%s psp=%s took_ms=%lld",
             uuid_format(&position->payment_id, payment_id), position->psp,
             (long long)(clock_mono_ms() - flow->began_mono_ms));
    bus_reply_message(self->service->bus, &flow->reply_to, MSG_payment_initiated, &initiated);
    flow_free(flow);
}

static void answer_refused(checkouts_t *self, flow_t *flow)
{
    static const char *const reasons[] = {
        [ROUTER_ORDER_NOT_FOUND] = "there is no such order",
        [ROUTER_ORDER_NOT_PAYABLE] = "the order is paid, cancelled or expired",
        [ROUTER_ID_CONFLICT] = "the payment id belongs to another order than this one",
        [ROUTER_KEY_REUSED] = "the key came with another body than this one, for order",
        [ROUTER_KEY_IN_FLIGHT] = "a request with this key is opening a checkout for order",
    };
    const router_verdict_t verdict = flow->position.verdict;
    char order_id[UUID_TEXT_SIZE];
    char detail[128];
    CHECK((size_t)verdict < sizeof reasons / sizeof *reasons && reasons[verdict] != NULL);
    snprintf(detail, sizeof detail, "%s: %s", reasons[verdict],
             uuid_format(&flow->position.order_id, order_id));
    answer_error(self, flow, router_verdict_err(verdict), detail);
}

/* ---- flows ---- */

static bool has_time(const checkouts_t *self, const flow_t *flow)
{
    return router_call_timeout_ms(flow->reply_to.deadline_mono_ms - clock_mono_ms(),
                                  self->config.call_timeout_ms) > 0;
}

static void queue_record(checkouts_t *self, flow_t *flow)
{
    list_remove(&flow->node);
    list_push_back(&self->to_record, &flow->node);
}

/* What its next PSP is chosen by. Borrowed from the position. */
static router_choice_of_t choice_of(const router_position_t *position)
{
    return (router_choice_of_t){.method = str_of(position->method),
                                .currency = str_of(position->currency),
                                .user_id = str_of(position->customer.id),
                                .amount = position->amount,
                                .requested_psp = position->requested_psp,
                                .tried_psps = position->tried_psps,
                                .manual_capture = position->manual_capture};
}

/* The answer of this attempt without a call; true: it is there. */
static bool answer_here(checkouts_t *self, flow_t *flow, const psp_t *psp,
                        const psp_checkout_t *checkout)
{
    psp_checkout_answer_t *answer = &flow->answer;
    memset(answer, 0, sizeof *answer);
    if (psp == NULL) { /* written by a router that had more PSPs than this one */
        answer->outcome = PSP_CHECKOUT_UNKNOWN;
        str_copy(STR_LITERAL("not configured at this router"), answer->reason,
                 sizeof answer->reason);
        return true;
    }
    const psp_account_t *account = psp_account_of(self->config.accounts, psp);
    if (!psp_takes(psp, checkout->currency)) {
        answer->outcome = PSP_CHECKOUT_REFUSED;
        answer->fault = PSP_FAULT_MERCHANT;
        snprintf(answer->reason, sizeof answer->reason, "does not take %s", checkout->currency);
        return true;
    }
    const char *lacks = psp_checkout_lacks(psp, account, checkout);
    if (lacks != NULL) {
        answer->outcome = PSP_CHECKOUT_REFUSED;
        answer->fault = PSP_FAULT_CUSTOMER;
        snprintf(answer->reason, sizeof answer->reason, "needs %s", lacks);
        if (flow->rounds == 0 || flow->lacks != NULL)
            flow->lacks = lacks;
        return true;
    }
    flow->lacks = NULL;
    if (psp_checkout_is_local(psp)) {
        psp_checkout_open(psp, account, checkout, answer);
        return true;
    }
    return false;
}

/* A page of ours has an address of ours. */
static void complete_answer(const checkouts_t *self, flow_t *flow)
{
    psp_checkout_answer_t *answer = &flow->answer;
    char text[UUID_TEXT_SIZE];
    if (answer->outcome == PSP_CHECKOUT_OPEN && answer->checkout_url[0] == '\0')
        snprintf(answer->checkout_url, sizeof answer->checkout_url, "%s/checkout/%s",
                 self->config.public_url, uuid_format(&flow->position.payment_id, text));
    flow->has_answer = true;
}

/* For how long a call may wait for its turn: where there is another PSP, not until the request's
 * time is over. */
static int64_t wait_ms_of(const checkouts_t *self, const flow_t *flow)
{
    const router_choice_of_t choice = choice_of(&flow->position);
    return router_choice_is_left(self->config.choice, &choice) ? self->config.call_timeout_ms / 2
                                                               : REQUEST_BUDGET_MS;
}

/* Calls the PSP of the newest attempt. */
static void call(checkouts_t *self, flow_t *flow)
{
    const psp_t *psp = router_psps_find(self->config.psps, flow->position.psp);
    const psp_checkout_t checkout = router_checkout_of(&flow->position, self->config.public_url);
    if (answer_here(self, flow, psp, &checkout)) {
        complete_answer(self, flow);
        queue_record(self, flow);
        return;
    }
    list_remove(&flow->node);
    list_push_back(&self->calling, &flow->node);
    router_learning_calling(self->config.learning, psp, str_of(flow->position.method),
                            str_of(flow->position.currency));
    router_calls_start(self->calls, psp, &checkout, flow->reply_to.deadline_mono_ms,
                       wait_ms_of(self, flow), flow);
}

/* Every PSP that may be tried wants to know more of the customer. */
static void answer_lacking(checkouts_t *self, flow_t *flow)
{
    char detail[128];
    snprintf(detail, sizeof detail, "%s: %s needs it, and the order has none", flow->lacks,
             flow->position.psp);
    answer_error(self, flow, ERR_CUSTOMER_DETAIL_MISSING, detail);
}

/* Goes on from where the payment stands, as committed. */
static void advance(checkouts_t *self, flow_t *flow)
{
    const char *failures = flow->position.failures;
    const router_choice_of_t choice = choice_of(&flow->position);
    switch (router_step(&flow->position, router_choice_is_left(self->config.choice, &choice),
                        has_time(self, flow))) {
    case ROUTER_STEP_REFUSE:
        answer_refused(self, flow);
        break;
    case ROUTER_STEP_ANSWER_OPEN:
        answer_open(self, flow);
        break;
    case ROUTER_STEP_ANSWER_NO_PSP:
    case ROUTER_STEP_ANSWER_LATE:
        if (flow->lacks != NULL)
            answer_lacking(self, flow);
        else
            answer_error(self, flow, ERR_NO_PSP_AVAILABLE, failures);
        break;
    case ROUTER_STEP_ANSWER_DEADLINE:
        answer_error(self, flow, ERR_DEADLINE, failures);
        break;
    case ROUTER_STEP_CALL:
        call(self, flow);
        break;
    case ROUTER_STEP_TRY_NEXT:
    case ROUTER_STEP_GIVE_UP:
        queue_record(self, flow);
        break;
    }
}

/* ---- recording ---- */

typedef struct record_batch {
    checkouts_t *self;
    size_t count;
    flow_t *flows[SERVICE_BATCH_MAX];
} record_batch_t;

/* What the flow's answer, if it has one, and its position ask to be written. `decision` is cleared,
 * and borrowed by the record. */
static router_record_t record_of(checkouts_t *self, const flow_t *flow, buf_t *decision)
{
    router_record_t record = {.attempt_id = flow->position.attempt_id, .took_ms = flow->took_ms};
    if (flow->has_answer) {
        record.answer = &flow->answer;
        if (flow->answer.outcome == PSP_CHECKOUT_OPEN)
            return record;
    }
    const router_choice_of_t choice = choice_of(&flow->position);
    if (!router_choice_is_left(self->config.choice, &choice)) {
        record.give_up = true;
    } else if (has_time(self, flow)) {
        buf_clear(decision);
        record.next_psp = psp_name(router_choice_next(self->config.choice, &choice, decision));
        record.next_attempt_id = uuid7_new();
        record.next_decision = (str_t){decision->data, (uint32_t)decision->size};
    }
    return record;
}

static err_t record_range(void *arg, size_t first, size_t count, err_detail_t *detail)
{
    record_batch_t *batch = arg;
    checkouts_t *self = batch->self;
    router_record_t records[SERVICE_BATCH_MAX];
    PGresult *result = NULL;
    router_health_begin_batch(router_choice_health(self->config.choice));
    for (size_t i = 0; i < count; i++)
        records[i] = record_of(self, batch->flows[first + i], &self->decisions[i]);
    TRY(router_store_record(self->config.store, records, count, &result, detail));
    CHECK((size_t)PQntuples(result) == count);
    CRASH_POINT(router_recorded);
    for (size_t i = 0; i < count; i++) {
        flow_t *flow = batch->flows[first + i];
        router_store_position(result, (int)i, &flow->position);
        flow->repeats = !uuid_equal(&flow->position.attempt_id, &records[i].next_attempt_id);
        flow->has_answer = false;
        flow->took_ms = 0;
        if (++flow->rounds > ROUNDS_MAX)
            answer_error(self, flow, ERR_INTERNAL, "");
        else
            advance(self, flow);
    }
    PQclear(result);
    return ERR_OK;
}

/* The PSP may have opened a checkout that we could not write down: never answered as open. The
 * attempt stays unanswered, and a repeated request asks the same PSP under the same key. */
static void record_failed(void *arg, size_t index, err_t err, const err_detail_t *detail)
{
    record_batch_t *batch = arg;
    char quoted[QUOTED_SIZE];
    log_limited(LOG_LEVEL_ERROR, NULL, "attempt not recorded", "code=%s detail=%s", err_name(err),
                log_quote(quoted, sizeof quoted, detail->text));
    answer_error(batch->self, batch->flows[index], err == ERR_UNPROCESSABLE ? ERR_INTERNAL : err,
                 err == ERR_UNPROCESSABLE ? "" : detail->text);
}

/* Until nothing waits: recording may lead to more of it, when a payment is resumed that another
 * router has moved on meanwhile, and to failures, whose keys are let go of. */
static void finish_waiting(checkouts_t *self)
{
    record_batch_t batch = {.self = self};
    while (!list_empty(&self->to_record)) {
        batch.count = 0;
        while (!list_empty(&self->to_record) && batch.count < SERVICE_BATCH_MAX) {
            flow_t *flow = LIST_ENTRY(list_first(&self->to_record), flow_t, node);
            list_remove(&flow->node);
            batch.flows[batch.count++] = flow;
        }
        batch_split(batch.count, record_range, record_failed, &batch);
    }
    release_waiting(self);
}

/* ---- calls that ended ---- */

static void tell_attempt(checkouts_t *self, const flow_t *flow)
{
    const router_position_t *position = &flow->position;
    const router_attempt_t event = {
        .payment_id = position->payment_id,
        .order_id = position->order_id,
        .attempt_id = position->attempt_id,
        .psp = str_of(position->psp),
        .outcome = str_of(psp_checkout_outcome_name(flow->answer.outcome)),
        .reason = str_of(flow->answer.reason),
        .took_ms = flow->took_ms,
    };
    bus_event_message(self->service->bus, MSG_router_attempt, &event, &flow->reply_to.request_id,
                      flow->reply_to.traceparent);
    char quoted[QUOTED_SIZE];
    if (flow->answer.outcome != PSP_CHECKOUT_OPEN)
        log_limited(LOG_LEVEL_WARN, NULL, "checkout not opened",
                    "psp=%s outcome=%s took_ms=%lld reason=%s", position->psp,
                    psp_checkout_outcome_name(flow->answer.outcome), (long long)flow->took_ms,
                    log_quote(quoted, sizeof quoted, flow->answer.reason));
}

/* What a PSP says to a repeated call, whose first answer nobody has, is an answer to that call
 * alone: a refusal (it exists already, too many calls, no connection) does not mean that nothing is
 * open. */
static void doubt_refusal(flow_t *flow)
{
    if (flow->repeats && flow->answer.outcome == PSP_CHECKOUT_REFUSED)
        flow->answer.outcome = PSP_CHECKOUT_UNKNOWN;
}

/* Its turn did not come: nothing was sent, which says nothing about the PSP either. */
static void pass_over(checkouts_t *self, flow_t *flow)
{
    memset(&flow->answer, 0, sizeof flow->answer);
    flow->answer.outcome = PSP_CHECKOUT_REFUSED;
    str_copy(STR_LITERAL("not called: too many calls wait for it"), flow->answer.reason,
             sizeof flow->answer.reason);
    flow->has_answer = true;
    doubt_refusal(flow);
    tell_attempt(self, flow);
    queue_record(self, flow);
}

/* Everything that has ended, in as few statements as it takes. */
static void on_calls_ended(void *arg)
{
    checkouts_t *self = arg;
    router_call_ended_t ended;
    while (router_calls_next(self->calls, &ended)) {
        flow_t *flow = ended.cookie;
        if (!ended.made && !has_time(self, flow)) {
            answer_error(self, flow, ERR_DEADLINE, "all calls to payment providers are taken");
            continue;
        }
        if (!ended.made) {
            pass_over(self, flow);
            continue;
        }
        flow->answer = ended.answer;
        flow->took_ms = ended.took_ms;
        doubt_refusal(flow);
        router_learning_called(self->config.learning,
                               router_psps_find(self->config.psps, flow->position.psp),
                               str_of(flow->position.method), str_of(flow->position.currency),
                               flow->answer.fault, flow->took_ms);
        complete_answer(self, flow);
        if (flow->answer.outcome == PSP_CHECKOUT_OPEN)
            CRASH_POINT(router_psp_answered);
        tell_attempt(self, flow);
        queue_record(self, flow);
    }
    finish_waiting(self);
}

static void on_look(void *arg)
{
    checkouts_t *self = arg;
    if (router_calls_waiting(self->calls) > 0)
        on_calls_ended(self);
}

/* ---- router.initiate ---- */

typedef struct begin_batch {
    checkouts_t *self;
    size_t count;
    const bus_reply_to_t *reply_to[SERVICE_BATCH_MAX];
    uuid_t order_ids[SERVICE_BATCH_MAX];
    payment_initiate_t decoded[SERVICE_BATCH_MAX];
    router_begin_t begins[SERVICE_BATCH_MAX];
} begin_batch_t;

/* The PSP of a payment's first attempt, and why. */
static err_t begin_choose(begin_batch_t *batch, const router_order_t *order, size_t i,
                          err_detail_t *detail)
{
    checkouts_t *self = batch->self;
    router_begin_t *begin = &batch->begins[i];
    char requested[PSP_NAME_SIZE];
    const router_choice_of_t choice = {
        .method = begin->request->method,
        .currency = order->currency,
        .user_id = order->user_id,
        .amount = order->amount,
        .requested_psp = str_copy(begin->request->psp, requested, sizeof requested),
        .tried_psps = "",
        .manual_capture = order->manual_capture};
    buf_clear(&self->decisions[i]);
    const psp_t *psp = router_choice_next(self->config.choice, &choice, &self->decisions[i]);
    if (psp == NULL && order->manual_capture && requested[0] != '\0' &&
        router_psps_find(self->config.psps, requested) != NULL)
        return err_set(detail, ERR_MANUAL_CAPTURE_UNSUPPORTED,
                       "gateway: %s does not capture by hand", requested);
    if (psp == NULL && requested[0] != '\0')
        return err_set(detail, ERR_INVALID_FIELD, "gateway: %s is not available", requested);
    if (psp == NULL)
        return err_set(detail, ERR_NO_PSP_AVAILABLE, "no payment provider is configured for it");
    begin->psp = psp_name(psp);
    begin->decision = (str_t){self->decisions[i].data, (uint32_t)self->decisions[i].size};
    return ERR_OK;
}

/* Those of the range for which there is no PSP are answered here; the others move together. How
 * many are left of it. */
static size_t begin_choose_all(begin_batch_t *batch, const PGresult *orders, size_t count)
{
    size_t left = 0;
    router_health_begin_batch(router_choice_health(batch->self->config.choice));
    for (size_t i = 0; i < count; i++) {
        err_detail_t detail = {{0}};
        const router_order_t order =
            router_store_order(orders, &batch->begins[i].request->order_id);
        batch->begins[left] = batch->begins[i];
        batch->reply_to[left] = batch->reply_to[i];
        const err_t err = begin_choose(batch, &order, left, &detail);
        if (err != ERR_OK)
            bus_reply_error(batch->self->service->bus, batch->reply_to[left], err, detail.text);
        else
            left++;
    }
    return left;
}

static err_t begin_range(void *arg, size_t first, size_t count, err_detail_t *detail)
{
    begin_batch_t *batch = arg;
    PGresult *result = NULL;
    TRY(router_store_begin(batch->self->config.store, batch->begins + first, count, &result,
                           detail));
    CHECK((size_t)PQntuples(result) == count);
    CRASH_POINT(router_begun);
    for (size_t i = 0; i < count; i++) {
        flow_t *flow = calloc(1, sizeof *flow);
        CHECK(flow != NULL);
        list_init(&flow->node);
        flow->reply_to = *batch->reply_to[first + i];
        flow->idempotency_id = batch->begins[first + i].request->idempotency_id;
        flow->began_mono_ms = clock_mono_ms();
        router_store_position(result, (int)i, &flow->position);
        flow->repeats =
            !uuid_equal(&flow->position.attempt_id, &batch->begins[first + i].attempt_id);
        advance(batch->self, flow);
    }
    PQclear(result);
    return ERR_OK;
}

static void begin_failed(void *arg, size_t index, err_t err, const err_detail_t *detail)
{
    begin_batch_t *batch = arg;
    bus_reply_error(batch->self->service->bus, batch->reply_to[index], err, detail->text);
}

/* Decodes one request into the batch's next place. */
static err_t begin_add(begin_batch_t *batch, const bus_request_t *request, err_detail_t *detail)
{
    payment_initiate_t *initiate = &batch->decoded[batch->count];
    TRY(message_decode(MSG_payment_initiate, request->body, request->body_size, initiate, detail));
    batch->order_ids[batch->count] = initiate->order_id;
    batch->begins[batch->count] = (router_begin_t){
        .request = initiate, .holder = &request->reply_to.request_id, .attempt_id = uuid7_new()};
    batch->reply_to[batch->count++] = &request->reply_to;
    return ERR_OK;
}

/* What the orders are about decides about the PSPs, which is written with the payments. */
static void begin_all(begin_batch_t *batch)
{
    PGresult *orders = NULL;
    err_detail_t detail = {{0}};
    const err_t err = router_store_orders(batch->self->config.store, batch->order_ids, batch->count,
                                          &orders, &detail);
    if (err == ERR_OK) {
        batch->count = begin_choose_all(batch, orders, batch->count);
        batch_split(batch->count, begin_range, begin_failed, batch);
    } else {
        for (size_t i = 0; i < batch->count; i++)
            begin_failed(batch, i, err, &detail);
    }
    PQclear(orders);
}

void checkouts_on_initiate(checkouts_t *self, const bus_request_t *const *requests, size_t count)
{
    begin_batch_t *batch = calloc(1, sizeof *batch);
    CHECK(batch != NULL);
    batch->self = self;
    for (size_t i = 0; i < count; i++) {
        err_detail_t detail = {{0}};
        const err_t err = begin_add(batch, requests[i], &detail);
        if (err != ERR_OK)
            bus_reply_error(self->service->bus, &requests[i]->reply_to, err, detail.text);
    }
    if (batch->count > 0)
        begin_all(batch);
    finish_waiting(self);
    free(batch);
}
