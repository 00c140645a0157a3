/* admin.c - the calls under /admin: what an operator looks at and decides. */
#include <stdlib.h>
#include <string.h>

#include "gateway/admin_requests.h"
#include "gateway/handlers.h"
#include "gateway/requests.h"
#include "lib/clock.h"
#include "lib/json_read.h"

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

/* Whose API key it was. */
static str_t caller_of(const http_request_t *request)
{
    return str_of(auth_caller(gateway_of(request)->auth, request));
}

/* ---- dead letters ---- */

void admin_dead_letters(http_request_t *request)
{
    dead_letter_query_t texts;
    dead_letter_list_t list;
    err_detail_t detail = {{0}};
    err_t err = admin_dead_letter_list(request, &texts, &list, &detail);
    if (err != ERR_OK)
        http_respond_problem(request, err, detail.text);
    else
        answer_processor(request, MSG_dead_letter_list, &list);
}

void admin_dead_letter(http_request_t *request)
{
    dead_letter_get_t get;
    err_detail_t detail = {{0}};
    err_t err = admin_row_id(request->params[0], &get.dead_letter_id, &detail);
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
        err = admin_row_id(request->params[0], &redrive.dead_letter_id, &detail);
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

void admin_discrepancies(http_request_t *request)
{
    discrepancy_query_t texts;
    discrepancy_list_t list;
    err_detail_t detail = {{0}};
    err_t err = admin_discrepancy_list(request, &texts, &list, &detail);
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
        err = admin_row_id(request->params[0], &message.discrepancy_id, &detail);
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
    reconciliation_list_t list;
    err_detail_t detail = {{0}};
    err_t err = admin_reconciliation_list(request, &list, &detail);
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
    const int64_t now_us = clock_wall_us(), now_ms = clock_mono_ms();
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
        json_time(&body, "since", now_us - (now_ms - worker->since_ms) * 1000);
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

enum { HEALTH_BUDGET_MS = 1000 };

/* How the PSPs fare, as a router knows it; NULL when none tells in time. json_decref it. */
static json_t *health_of_psps(http_request_t *request)
{
    const router_health_get_t all = {.psp = {NULL, 0}};
    router_health_document_t answer;
    hub_reply_t reply;
    err_detail_t ignored;
    json_t *health = NULL;
    hub_thread_call(gateway_of(request)->hub, MSG_router_health_get, &all, HEALTH_BUDGET_MS,
                    &request->request_id, request->traceparent, &reply);
    if (reply.status == ERR_OK && reply.message == MSG_router_health_document &&
        message_decode(MSG_router_health_document, reply.body, reply.body_size, &answer,
                       &ignored) == ERR_OK)
        health = json_read_object(answer.document, &ignored);
    hub_reply_free(&reply);
    return health;
}

/* `health` of that PSP, or null: nobody tells. */
static void add_health(buf_t *body, const json_t *health, const char *psp)
{
    const json_t *of_psp = json_object_get(health, psp);
    char *text = of_psp != NULL ? json_dumps(of_psp, JSON_COMPACT) : NULL;
    if (text != NULL)
        json_raw(body, "health", text, strlen(text));
    else
        json_nil(body, "health");
    free(text);
}

void admin_gateways(http_request_t *request)
{
    const psp_accounts_t *accounts = &gateway_of(request)->config->psps;
    json_t *health = health_of_psps(request);
    buf_t body = {0};
    json_open_object(&body, NULL);
    json_open_array(&body, "data");
    for (size_t i = 0; i < psp_count(); i++) {
        webhook_refusal_t refusal;
        json_open_object(&body, NULL);
        json_text(&body, "gateway", psp_name(psp_at(i)));
        json_bool(&body, "configured", psp_account_of(accounts, psp_at(i)) != NULL);
        if (psp_signature_header(psp_at(i)) != NULL)
            json_text(&body, "signature_header", psp_signature_header(psp_at(i)));
        add_webhook_counts(&body, i);
        if (webhook_intake_last_refusal(i, &refusal)) {
            json_open_object(&body, "last_refused_webhook");
            json_time(&body, "at", refusal.at_us);
            json_text(&body, "code", err_name(refusal.err));
            json_text(&body, "detail", refusal.detail.text);
            json_close_object(&body);
        }
        add_health(&body, health, psp_name(psp_at(i)));
        json_close_object(&body);
    }
    json_close_array(&body);
    json_close_object(&body);
    http_respond_json(request, 200, &body);
    buf_free(&body);
    json_decref(health);
}
