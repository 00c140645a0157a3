/* admin.c - the calls under /admin: what an operator looks at and decides. */
#include <stdlib.h>
#include <string.h>

#include "gateway/handlers.h"
#include "gateway/requests.h"

enum {
    REASON_CHARACTERS_MAX = 32,
    NAME_CHARACTERS_MAX = 32,
    REASON_SIZE = 4 * REASON_CHARACTERS_MAX + 1,
    NAME_SIZE = 4 * NAME_CHARACTERS_MAX + 1,
};

/* ---- answers ---- */

static void answer_processor(http_request_t *request, uint32_t id, const void *message)
{
    hub_reply_t reply;
    if (!gateway_call(request, id, message, &reply))
        return;
    webhook_processor_document_t answer;
    if (gateway_decode(request, &reply, MSG_webhook_processor_document, &answer))
        http_respond(request, 200, "application/json", answer.document.data, answer.document.size);
    hub_reply_free(&reply);
}

static void answer_reconciler(http_request_t *request, uint32_t id, const void *message, int status)
{
    hub_reply_t reply;
    if (!gateway_call(request, id, message, &reply))
        return;
    reconciler_document_t answer;
    if (gateway_decode(request, &reply, MSG_reconciler_document, &answer))
        http_respond(request, status, "application/json", answer.document.data,
                     answer.document.size);
    hub_reply_free(&reply);
}

/* ---- parameters ---- */

/* A path's {id} of a row: a whole number from 1 on. */
static err_t row_id(const http_request_t *request, int64_t *id, err_detail_t *detail)
{
    char text[24];
    str_copy(request->params[0], text, sizeof text);
    if (request->params[0].size >= sizeof text || !request_event_id(text, id) || *id < 1)
        return err_set(detail, ERR_NOT_FOUND, "there is no such row");
    return ERR_OK;
}

/* `cursor`: 0 when it is not there. */
static err_t query_cursor(const http_request_t *request, int64_t *before, err_detail_t *detail)
{
    char text[24];
    const int found = http_query(request, "cursor", text, sizeof text);
    *before = 0;
    if (found < 0 || (found > 0 && (!request_event_id(text, before) || *before < 1)))
        return err_set(detail, ERR_INVALID_QUERY, "cursor is not the next_cursor of a page");
    return ERR_OK;
}

static err_t query_gateway(const http_request_t *request, str_t *name, err_detail_t *detail)
{
    char text[NAME_SIZE];
    str_t given;
    *name = (str_t){NULL, 0};
    TRY(request_query_text(request, "gateway", NAME_CHARACTERS_MAX, text, sizeof text, &given,
                           detail));
    if (given.data == NULL)
        return ERR_OK;
    const psp_t *psp = psp_find(given);
    if (psp == NULL)
        return err_set(detail, ERR_INVALID_QUERY, "gateway is not a payment gateway we know");
    *name = str_of(psp_name(psp));
    return ERR_OK;
}

static err_t query_names(const http_request_t *request, const char *const *names,
                         err_detail_t *detail)
{
    char offender[64];
    if (!http_query_known(request, names, offender, sizeof offender))
        return err_set(detail, ERR_INVALID_QUERY, "%s is not a parameter of this call", offender);
    return ERR_OK;
}

static str_t caller_of(const http_request_t *request)
{
    return str_of(auth_caller(gateway_of(request)->auth, request));
}

/* ---- dead letters ---- */

static err_t read_dead_letter_list(const http_request_t *request, char reason[REASON_SIZE],
                                   dead_letter_list_t *list, err_detail_t *detail)
{
    static const char *const names[] = {"gateway", "reason", "limit", "cursor", NULL};
    *list = (dead_letter_list_t){0};
    TRY(query_names(request, names, detail));
    TRY(query_gateway(request, &list->psp, detail));
    TRY(request_query_text(request, "reason", REASON_CHARACTERS_MAX, reason, REASON_SIZE,
                           &list->reason, detail));
    TRY(request_query_limit(request, &list->limit, detail));
    return query_cursor(request, &list->before, detail);
}

void admin_dead_letters(http_request_t *request)
{
    char reason[REASON_SIZE];
    dead_letter_list_t list;
    err_detail_t detail = {{0}};
    err_t err = read_dead_letter_list(request, reason, &list, &detail);
    if (err != ERR_OK)
        http_respond_problem(request, err, detail.text);
    else
        answer_processor(request, MSG_dead_letter_list, &list);
}

void admin_dead_letter(http_request_t *request)
{
    dead_letter_get_t get;
    err_detail_t detail = {{0}};
    err_t err = row_id(request, &get.dead_letter_id, &detail);
    if (err != ERR_OK)
        http_respond_problem(request, err, detail.text);
    else
        answer_processor(request, MSG_dead_letter_get, &get);
}

void admin_redrive_one(http_request_t *request)
{
    dead_letter_redrive_t redrive = {.actor = caller_of(request)};
    err_detail_t detail = {{0}};
    err_t err = request_no_fields(request->body, &detail);
    if (err == ERR_OK)
        err = row_id(request, &redrive.dead_letter_id, &detail);
    if (err != ERR_OK)
        http_respond_problem(request, err, detail.text);
    else
        answer_processor(request, MSG_dead_letter_redrive, &redrive);
}

void admin_redrive(http_request_t *request)
{
    dead_letter_redrive_t redrive;
    request_parsed_t *parsed = NULL;
    err_detail_t detail = {{0}};
    err_t err = request_redrive(request->body, &redrive, &parsed, &detail);
    redrive.actor = caller_of(request);
    if (err != ERR_OK)
        http_respond_problem(request, err, detail.text);
    else
        answer_processor(request, MSG_dead_letter_redrive, &redrive);
    request_parsed_free(&parsed);
}

/* ---- discrepancies ---- */

static err_t read_discrepancy_list(const http_request_t *request, char state[NAME_SIZE],
                                   char kind[NAME_SIZE], discrepancy_list_t *list,
                                   err_detail_t *detail)
{
    static const char *const names[] = {"state", "kind", "payment_id", "limit", "cursor", NULL};
    char payment_id[UUID_TEXT_SIZE];
    *list = (discrepancy_list_t){0};
    TRY(query_names(request, names, detail));
    TRY(request_query_text(request, "state", NAME_CHARACTERS_MAX, state, NAME_SIZE, &list->state,
                           detail));
    if (list->state.data != NULL && !str_is(list->state, "open") && !str_is(list->state, "settled"))
        return err_set(detail, ERR_INVALID_QUERY, "state is neither open nor settled");
    TRY(request_query_text(request, "kind", NAME_CHARACTERS_MAX, kind, NAME_SIZE, &list->kind,
                           detail));
    const int found = http_query(request, "payment_id", payment_id, sizeof payment_id);
    if (found < 0 || (found > 0 && !uuid_parse(payment_id, strlen(payment_id), &list->payment_id)))
        return err_set(detail, ERR_INVALID_QUERY, "payment_id is not a UUID");
    TRY(request_query_limit(request, &list->limit, detail));
    return query_cursor(request, &list->before, detail);
}

void admin_discrepancies(http_request_t *request)
{
    char state[NAME_SIZE], kind[NAME_SIZE];
    discrepancy_list_t list;
    err_detail_t detail = {{0}};
    err_t err = read_discrepancy_list(request, state, kind, &list, &detail);
    if (err != ERR_OK)
        http_respond_problem(request, err, detail.text);
    else
        answer_processor(request, MSG_discrepancy_list, &list);
}

static void settle(http_request_t *request, const char *decision)
{
    discrepancy_settle_t message = {.decision = str_of(decision), .actor = caller_of(request)};
    err_detail_t detail = {{0}};
    err_t err = request_no_fields(request->body, &detail);
    if (err == ERR_OK)
        err = row_id(request, &message.discrepancy_id, &detail);
    message.refund_id = uuid7_new();
    if (err != ERR_OK)
        http_respond_problem(request, err, detail.text);
    else
        answer_processor(request, MSG_discrepancy_settle, &message);
}

void admin_discrepancy_refund(http_request_t *request)
{
    settle(request, "refund");
}

void admin_discrepancy_accept(http_request_t *request)
{
    settle(request, "accept");
}

/* ---- reconciliation ---- */

void admin_reconciliations(http_request_t *request)
{
    static const char *const names[] = {"limit", "cursor", NULL};
    reconciliation_list_t list = {0};
    err_detail_t detail = {{0}};
    err_t err = query_names(request, names, &detail);
    if (err == ERR_OK)
        err = request_query_limit(request, &list.limit, &detail);
    if (err == ERR_OK)
        err = query_cursor(request, &list.before, &detail);
    if (err != ERR_OK)
        http_respond_problem(request, err, detail.text);
    else
        answer_reconciler(request, MSG_reconciliation_list, &list, 200);
}

void admin_reconcile(http_request_t *request)
{
    const reconciliation_start_t start = {.actor = caller_of(request)};
    err_detail_t detail = {{0}};
    err_t err = request_no_fields(request->body, &detail);
    if (err != ERR_OK)
        http_respond_problem(request, err, detail.text);
    else
        answer_reconciler(request, MSG_reconciliation_start, &start, 202);
}

/* ---- who is there ---- */

void admin_services(http_request_t *request)
{
    hub_snapshot_t *snapshot = malloc(sizeof *snapshot);
    CHECK(snapshot != NULL);
    hub_thread_snapshot(gateway_of(request)->hub, snapshot);
    buf_t body = {0};
    json_open_object(&body, NULL);
    json_text(&body, "gateway", gateway_of(request)->instance);
    json_open_array(&body, "data");
    for (size_t i = 0; i < snapshot->worker_count; i++) {
        const hub_worker_info_t *worker = &snapshot->workers[i];
        json_open_object(&body, NULL);
        json_text(&body, "service", worker->service);
        json_text(&body, "instance", worker->instance);
        json_int(&body, "credit", worker->credit);
        json_int(&body, "in_flight", worker->in_flight);
        json_bool(&body, "draining", worker->draining);
        json_close_object(&body);
    }
    json_close_array(&body);
    json_close_object(&body);
    http_respond_json(request, 200, &body);
    buf_free(&body);
    free(snapshot);
}

static void add_webhook_counts(buf_t *body, size_t psp_index)
{
    json_open_object(body, "webhooks");
    for (int outcome = 0; outcome < INTAKE_OUTCOMES; outcome++)
        json_int(body, webhook_intake_outcome_name((webhook_intake_outcome_t)outcome),
                 (int64_t)webhook_intake_count(psp_index, (webhook_intake_outcome_t)outcome));
    json_close_object(body);
}

void admin_gateways(http_request_t *request)
{
    const psp_accounts_t *accounts = &gateway_of(request)->config->psps;
    buf_t body = {0};
    json_open_object(&body, NULL);
    json_open_array(&body, "data");
    for (size_t i = 0; i < psp_count(); i++) {
        webhook_refusal_t refusal;
        json_open_object(&body, NULL);
        json_text(&body, "gateway", psp_name(psp_at(i)));
        json_bool(&body, "configured", psp_account_of(accounts, psp_at(i)) != NULL);
        add_webhook_counts(&body, i);
        if (webhook_intake_last_refusal(i, &refusal)) {
            json_open_object(&body, "last_refused_webhook");
            json_time(&body, "at", refusal.at_us);
            json_text(&body, "code", err_name(refusal.err));
            json_text(&body, "detail", refusal.detail.text);
            json_close_object(&body);
        }
        json_close_object(&body);
    }
    json_close_array(&body);
    json_close_object(&body);
    http_respond_json(request, 200, &body);
    buf_free(&body);
}
