/* webhook_intake.c - see webhook_intake.h.
 *
 * Webhooks do not cross the hub: they are verified here and appended to the durable stream, and
 * only then answered 200. What they mean for money is decided by the webhook-processor.
 */
#include "gateway/webhook_intake.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/clock.h"
#include "lib/crash_point.h"
#include "lib/log.h"

enum { HEADERS_MAX_BYTES = 8192, HEADER_NAME_SIZE = 64 };

static _Atomic uint64_t counts[PSP_COUNT][INTAKE_OUTCOMES];

static const char *const outcome_names[INTAKE_OUTCOMES] = {[INTAKE_ACCEPTED] = "accepted",
                                                           [INTAKE_DUPLICATE] = "duplicate",
                                                           [INTAKE_IGNORED] = "ignored",
                                                           [INTAKE_MALFORMED] = "malformed",
                                                           [INTAKE_BAD_SIGNATURE] = "bad_signature",
                                                           [INTAKE_UNAVAILABLE] = "unavailable"};

const char *webhook_intake_outcome_name(webhook_intake_outcome_t outcome)
{
    return outcome_names[outcome];
}

uint64_t webhook_intake_count(size_t psp_index, webhook_intake_outcome_t outcome)
{
    return atomic_load(&counts[psp_index][outcome]);
}

static void count(const psp_t *psp, webhook_intake_outcome_t outcome)
{
    for (size_t i = 0; i < PSP_COUNT; i++)
        if (psp_at(i) == psp)
            atomic_fetch_add(&counts[i][outcome], 1);
}

/* ---- what was refused last, for those who ask why their webhook is ---- */

static pthread_mutex_t refusals_lock = PTHREAD_MUTEX_INITIALIZER;
static webhook_refusal_t refusals[PSP_COUNT];

static void note_refusal(const psp_t *psp, err_t err, const err_detail_t *detail)
{
    pthread_mutex_lock(&refusals_lock);
    for (size_t i = 0; i < PSP_COUNT; i++)
        if (psp_at(i) == psp)
            refusals[i] =
                (webhook_refusal_t){.at_us = clock_wall_us(), .err = err, .detail = *detail};
    pthread_mutex_unlock(&refusals_lock);
}

bool webhook_intake_last_refusal(size_t psp_index, webhook_refusal_t *refusal)
{
    pthread_mutex_lock(&refusals_lock);
    *refusal = refusals[psp_index];
    pthread_mutex_unlock(&refusals_lock);
    return refusal->at_us != 0;
}

/* ---- headers, for those who look into a dead letter ---- */

static bool is_secret(const char *name)
{
    return strcasecmp(name, "Authorization") == 0 || strcasecmp(name, "Proxy-Authorization") == 0 ||
           strcasecmp(name, "Cookie") == 0;
}

static bool came_before(const struct mg_request_info *info, int index)
{
    for (int i = 0; i < index; i++)
        if (strcasecmp(info->http_headers[i].name, info->http_headers[index].name) == 0)
            return true;
    return false;
}

/* Adds one, its name in small letters, unless there is no room for it and the closing brace. */
static void write_header(const struct mg_header *header, buf_t *headers)
{
    char name[HEADER_NAME_SIZE];
    const size_t before = headers->size, size = strlen(header->name);
    if (size >= sizeof name)
        return;
    for (size_t i = 0; i <= size; i++)
        name[i] = (char)tolower((unsigned char)header->name[i]);
    json_text(headers, name, header->value);
    if (headers->size >= HEADERS_MAX_BYTES) {
        headers->size = before;
        headers->data[before] = '\0';
    }
}

/* A JSON object of the request's headers, each name once, as many as there is room for. */
static void write_headers(const http_request_t *request, buf_t *headers)
{
    const struct mg_request_info *info = mg_get_request_info(request->connection);
    json_open_object(headers, NULL);
    for (int i = 0; i < info->num_headers; i++)
        if (!is_secret(info->http_headers[i].name) && !came_before(info, i))
            write_header(&info->http_headers[i], headers);
    json_close_object(headers);
}

static const char *header_of(void *arg, const char *name)
{
    return http_header(arg, name);
}

static void respond_taken(const webhook_intake_t *self, http_request_t *request, const psp_t *psp,
                          const psp_report_t *report, webhook_intake_outcome_t outcome)
{
    const char *answer = outcome_names[outcome];
    const webhook_received_t received = {.psp = str_of(psp_name(psp)),
                                         .event_id = str_of(report->event_id),
                                         .payment_id = report->payment_id,
                                         .order_id = report->order_id,
                                         .answer = str_of(answer)};
    if (self->observe != NULL)
        self->observe(self->observe_arg, &received, request);
    count(psp, outcome);
    buf_t body = {0};
    json_open_object(&body, NULL);
    json_text(&body, "status", answer);
    json_close_object(&body);
    http_respond_json(request, 200, &body);
    buf_free(&body);
}

/* Makes one of them durable. */
static err_t append(const webhook_intake_t *self, const http_request_t *request, const psp_t *psp,
                    const psp_webhook_t *webhook, bool *duplicate, err_detail_t *detail)
{
    buf_t headers = {0};
    write_headers(request, &headers);
    const queued_webhook_t queued = {.psp = psp_name(psp),
                                     .event_id = webhook->report.event_id,
                                     .payment_id = &webhook->report.payment_id,
                                     .body = webhook->body,
                                     .headers = {headers.data, (uint32_t)headers.size},
                                     .request_id = &request->request_id,
                                     .traceparent = request->traceparent,
                                     .received_at_us = clock_wall_us()};
    const err_t err = redis_thread_append(self->redis, &queued, duplicate, detail);
    buf_free(&headers);
    if (err == ERR_OK && !*duplicate)
        CRASH_POINT(gateway_appended);
    return err;
}

/* All that one request tells, or an answer upon which the PSP sends all of it again. */
static void take_all(const webhook_intake_t *self, http_request_t *request, const psp_t *psp,
                     const psp_webhook_t *webhooks, size_t count_of_webhooks)
{
    webhook_intake_outcome_t outcome = INTAKE_IGNORED;
    for (size_t i = 0; i < count_of_webhooks; i++) {
        err_detail_t detail = {{0}};
        bool duplicate = false;
        if (psp_report_is_empty(&webhooks[i].report))
            continue;
        const err_t err = append(self, request, psp, &webhooks[i], &duplicate, &detail);
        if (err != ERR_OK) {
            count(psp, INTAKE_UNAVAILABLE);
            http_respond_problem(request, err, NULL);
            return;
        }
        if (outcome != INTAKE_ACCEPTED)
            outcome = duplicate ? INTAKE_DUPLICATE : INTAKE_ACCEPTED;
    }
    respond_taken(self, request, psp, &webhooks[0].report, outcome);
}

void webhook_intake_handle(const webhook_intake_t *self, http_request_t *request)
{
    err_detail_t detail = {{0}};
    const psp_t *psp = psp_find(request->params[0]);
    const psp_account_t *account = psp != NULL ? psp_account_of(self->accounts, psp) : NULL;
    if (account == NULL) {
        http_respond_problem(request, ERR_UNKNOWN_GATEWAY, NULL);
        return;
    }
    psp_webhook_t webhooks[PSP_WEBHOOKS_MAX];
    size_t count_of_webhooks = 0;
    err_t err = psp_webhook_verify(psp, account, self->dev, header_of, request, request->body,
                                   clock_wall_us(), webhooks, &count_of_webhooks, &detail);
    if (err != ERR_OK) {
        note_refusal(psp, err, &detail);
        count(psp, err == ERR_SIGNATURE_INVALID ? INTAKE_BAD_SIGNATURE : INTAKE_MALFORMED);
        log_limited(LOG_LEVEL_WARN, NULL, "webhook refused", "psp=%s code=%s detail=\"%s\"",
                    psp_name(psp), err_name(err), detail.text);
        http_respond_problem(request, err, detail.text);
        return;
    }
    take_all(self, request, psp, webhooks, count_of_webhooks);
}
