/* admin.c - see admin.h. People ask seldom: one request is one statement. What is driven again is
 * parked, and the consumer's next look at what is parked (each second) takes it up. */
#include "services/webhook_processor/admin.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/dispatch.h"
#include "lib/log.h"
#include "proto/bus_reply.h"
#include "proto/messages.h"
#include "services/webhook_processor/admin_store.h"

enum { REDRIVE_MAX = 10000 };

struct admin {
    service_t *service;
    admin_store_t *store;
};

admin_t *admin_new(service_t *service, const char *database_url)
{
    admin_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->service = service;
    self->store = admin_store_new(database_url);
    return self;
}

void admin_destroy(admin_t **self_p)
{
    admin_t *self = *self_p;
    if (self == NULL)
        return;
    admin_store_destroy(&self->store);
    free(self);
    *self_p = NULL;
}

/* ---- answers ---- */

static void answer(admin_t *self, const bus_request_t *request, str_t json)
{
    const webhook_processor_document_t document = {.document = json};
    bus_reply_message(self->service->bus, &request->reply_to, MSG_webhook_processor_document,
                      &document);
}

static void refuse(admin_t *self, const bus_request_t *request, err_t err, const char *detail)
{
    bus_reply_error(self->service->bus, &request->reply_to, err, detail);
}

/* Answers with column 0 of the one row, or why there is none. */
static void answer_result(admin_t *self, const bus_request_t *request, err_t err,
                          const PGresult *result, const err_detail_t *detail)
{
    if (err != ERR_OK)
        refuse(self, request, err, detail->text);
    else if (pg_is_null(result, 0, 0))
        refuse(self, request, ERR_NOT_FOUND, "there is no such dead letter");
    else
        answer(self, request, pg_get_text(result, 0, 0));
}

/* False when it cannot be decoded: answered. */
static bool decode(admin_t *self, const bus_request_t *request, void *message)
{
    err_detail_t detail = {{0}};
    err_t err =
        message_decode(request->message, request->body, request->body_size, message, &detail);
    if (err != ERR_OK)
        refuse(self, request, ERR_WIRE, detail.text);
    return err == ERR_OK;
}

/* ---- dead letters ---- */

static void list_dead_letters(admin_t *self, const bus_request_t *request)
{
    dead_letter_list_t query;
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    if (!decode(self, request, &query))
        return;
    err_t err = admin_store_dead_letters(self->store, &query, &result, &detail);
    answer_result(self, request, err, result, &detail);
    PQclear(result);
}

static void get_dead_letter(admin_t *self, const bus_request_t *request)
{
    dead_letter_get_t query;
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    if (!decode(self, request, &query))
        return;
    err_t err = admin_store_dead_letter(self->store, query.dead_letter_id, &result, &detail);
    answer_result(self, request, err, result, &detail);
    PQclear(result);
}

static void redrive(admin_t *self, const bus_request_t *request)
{
    dead_letter_redrive_t query;
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    if (!decode(self, request, &query))
        return;
    const int at_most =
        query.limit > 0 && query.limit < REDRIVE_MAX ? (int)query.limit : REDRIVE_MAX;
    err_t err = admin_store_redrive(self->store, &query, at_most, &result, &detail);
    const int64_t count = err == ERR_OK ? pg_get_int8(result, 0, 0) : 0;
    PQclear(result);
    if (err != ERR_OK) {
        refuse(self, request, err, detail.text);
    } else if (query.dead_letter_id > 0 && count == 0) {
        refuse(self, request, ERR_NOT_FOUND,
               "there is no such dead letter, or it is being tried again");
    } else {
        char json[48];
        snprintf(json, sizeof json, "{\"redriven\":%lld}", (long long)count);
        log_info(NULL, "dead letters driven again", "count=%lld by=%.*s", (long long)count,
                 STR_ARG(query.actor));
        answer(self, request, str_of(json));
    }
}

/* ---- discrepancies ---- */

static void list_discrepancies(admin_t *self, const bus_request_t *request)
{
    discrepancy_list_t query;
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    if (!decode(self, request, &query))
        return;
    err_t err = admin_store_discrepancies(self->store, &query, &result, &detail);
    answer_result(self, request, err, result, &detail);
    PQclear(result);
}

static void answer_verdict(admin_t *self, const bus_request_t *request, const PGresult *result)
{
    const str_t verdict = pg_get_text(result, 0, 0);
    if (str_is(verdict, "ok"))
        answer(self, request, pg_get_text(result, 0, 1));
    else if (str_is(verdict, "settled"))
        refuse(self, request, ERR_DISCREPANCY_SETTLED, "it was decided otherwise before");
    else if (str_is(verdict, "not_possible"))
        refuse(self, request, ERR_UNPROCESSABLE,
               "this decision does not fit the discrepancy, or nothing is left to refund");
    else
        refuse(self, request, ERR_NOT_FOUND, "there is no such discrepancy");
}

static void settle_discrepancy(admin_t *self, const bus_request_t *request)
{
    discrepancy_settle_t settle;
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    if (!decode(self, request, &settle))
        return;
    if (!str_is(settle.decision, "refund") && !str_is(settle.decision, "accept")) {
        refuse(self, request, ERR_WIRE, "the decision is refund or accept");
        return;
    }
    err_t err = admin_store_settle(self->store, &settle, &result, &detail);
    if (err == ERR_OK)
        answer_verdict(self, request, result);
    else
        refuse(self, request, err, detail.text);
    PQclear(result);
}

/* ---- table ---- */

#define HANDLER(name, one)                                                           \
    static void name(void *self, const bus_request_t *const *requests, size_t count) \
    {                                                                                \
        for (size_t i = 0; i < count; i++)                                           \
            one(self, requests[i]);                                                  \
    }
HANDLER(on_dead_letter_list, list_dead_letters)
HANDLER(on_dead_letter_get, get_dead_letter)
HANDLER(on_dead_letter_redrive, redrive)
HANDLER(on_discrepancy_list, list_discrepancies)
HANDLER(on_discrepancy_settle, settle_discrepancy)

static const dispatch_entry_t handlers[] = {
    {MSG_dead_letter_list, on_dead_letter_list},       {MSG_dead_letter_get, on_dead_letter_get},
    {MSG_dead_letter_redrive, on_dead_letter_redrive}, {MSG_discrepancy_list, on_discrepancy_list},
    {MSG_discrepancy_settle, on_discrepancy_settle},   {0, NULL}};

void admin_on_batch(admin_t *self, const bus_request_t *requests, size_t count)
{
    dispatch_batch(self->service->bus, handlers, self, requests, count);
}
