/* settlements.c - settlement reports, page by page, into the stream.
 *
 *   timer → claim reports that are due → ask their PSPs for a page → append its new lines →
 * remember where the next page begins → ask for that …
 *
 * A claim is a lease that each page renews: what a reconciler leaves unread another goes on with
 * from the page that was remembered last. A page is remembered after its lines are in the stream,
 * so that one is appended twice rather than never; the inbox knows what it has seen. A report that
 * is complete is read again from its beginning an interval later, since PSPs add lines to it in no
 * order that they promise; of those only what the inbox does not have is appended.
 *
 * A report that a PSP announces is fetched whole, once, and read page by page from what came, one
 * page in a tick, so that nothing else waits for a large one.
 *
 * A line that cannot be read is appended too: it becomes a dead letter that a person sees.
 */
#include "services/reconciler/settlements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/crash_point.h"
#include "lib/log.h"
#include "lib/payment/psp_client.h"
#include "lib/payment/webhook_stream.h"
#include "lib/sha256.h"
#include "services/reconciler/reconciler_rules.h"

enum {
    TICK_MS = 250,
    FIRST_CLAIM_AFTER_MS = 2000, /* the checks of payments come first */
    CLAIM_EVERY_MS = 5000, /* a look whether something is due; SETTLEMENT_INTERVAL_S says when */
    AGAIN_S = 60,
    WHOLE_TIMEOUT_MS = 60000, /* to fetch a report that was announced */
    LEASE_S = 120,    /* longer than a call may take and the limit of a PSP may hold it back */
    READINGS_MAX = 8, /* at once */
    THINGS = 3,
    ENTRIES_PER_LINE = 2, /* a charge tells two of them, a refund one */
    ENTRIES_MAX = PSP_SETTLEMENT_LINES_MAX * ENTRIES_PER_LINE,
    QUOTED_SIZE = 300,
    PASSED_TYPES_MAX = 8, /* that a log names */
};

/* What a line may tell. */
static const psp_fact_kind_t tells[THINGS] = {PSP_FACT_CAPTURED, PSP_FACT_SETTLED,
                                              PSP_FACT_REFUND_SUCCEEDED};

/* Lines that tell nothing, by what they are: disputes, adjustments, payouts … */
typedef struct passed {
    char type[PSP_SETTLEMENT_TYPE_SIZE];
    int count;
} passed_t;

/* One report on its way. */
typedef struct reading {
    bool active, asking;
    reconciler_report_t report;
    const psp_t *psp;
    uuid_t request_id;
    int lines, news, passed_count;
    passed_t passed[PASSED_TYPES_MAX]; /* the last is of all types that there is no room for */
    buf_t whole;                       /* a report that was announced, once it is here */
} reading_t;

struct settlements {
    service_t *service;
    const reconciler_config_t *config;
    reconciler_store_t *store;
    redis_t *redis;
    psp_client_t *http;
    int tick_timer;
    bool stopping, everything;
    int64_t next_claim_mono_ms;
    int64_t *next_ask_mono_ms;
    const psp_t *psps[PSP_COUNT]; /* those with reports that are configured */
    size_t psp_count;
    reading_t readings[READINGS_MAX];
};

/* One entry of the stream, to be. */
typedef struct entry {
    psp_fact_kind_t kind;
    str_t line;
} entry_t;

static void on_tick(void *arg);
static void on_answers(void *arg);

settlements_t *settlements_new(service_t *service, const reconciler_config_t *config,
                               reconciler_store_t *store, redis_t *redis, int64_t *next_ask_mono_ms)
{
    settlements_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    *self = (settlements_t){.service = service,
                            .config = config,
                            .store = store,
                            .redis = redis,
                            .next_ask_mono_ms = next_ask_mono_ms};
    for (size_t i = 0; i < PSP_COUNT; i++) {
        const psp_account_t *account = psp_account_of(&config->accounts, psp_at(i));
        const psp_settlement_query_t query = {0};
        http_client_request_t request;
        if (account == NULL)
            continue;
        if (psp_settlement_request(psp_at(i), account, &query, &request))
            buf_free(&request.body);
        else if (!psp_settlement_is_announced(psp_at(i)))
            continue;
        self->psps[self->psp_count++] = psp_at(i);
    }
    self->http = psp_client_new(&config->accounts, READINGS_MAX);
    self->next_claim_mono_ms = clock_mono_ms() + FIRST_CLAIM_AFTER_MS;
    self->tick_timer = actor_add_timer(service->actor, TICK_MS, on_tick, self);
    actor_add_fd(service->actor, psp_client_fd(self->http), on_answers, self);
    return self;
}

void settlements_destroy(settlements_t **self_p)
{
    settlements_t *self = *self_p;
    if (self == NULL)
        return;
    actor_remove_fd(self->service->actor, psp_client_fd(self->http));
    actor_remove_timer(self->service->actor, self->tick_timer);
    psp_client_destroy(&self->http);
    for (size_t i = 0; i < READINGS_MAX; i++)
        buf_free(&self->readings[i].whole);
    free(self);
    *self_p = NULL;
}

static size_t active_count(const settlements_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < READINGS_MAX; i++)
        count += self->readings[i].active ? 1 : 0;
    return count;
}

/* ---- claim and ask ---- */

static void begin_reading(settlements_t *self, const reconciler_report_t *report)
{
    for (size_t i = 0; i < READINGS_MAX; i++)
        if (!self->readings[i].active) {
            self->readings[i] = (reading_t){.active = true,
                                            .report = *report,
                                            .psp = psp_find(str_of(report->psp)),
                                            .request_id = uuid7_new()};
            CHECK(self->readings[i].psp != NULL);
            return;
        }
    CHECK(false); /* no more were claimed than there is room for */
}

static void claim(settlements_t *self, int64_t now_mono_ms)
{
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    const int room = READINGS_MAX - (int)active_count(self);
    if (room == 0 || self->psp_count == 0)
        return;
    if (self->everything && room < READINGS_MAX)
        return; /* what is being read may lack what somebody wants to know: it is read once more */
    self->next_claim_mono_ms = now_mono_ms + CLAIM_EVERY_MS;
    const err_t err =
        reconciler_store_claim_reports(self->store, self->psps, self->psp_count, self->everything,
                                       room, LEASE_S, &result, &detail);
    if (err != ERR_OK) {
        char quoted[QUOTED_SIZE];
        log_limited(LOG_LEVEL_WARN, NULL, "no settlement report claimed", "code=%s detail=%s",
                    err_name(err), log_quote(quoted, sizeof quoted, detail.text));
        return;
    }
    const int rows = PQntuples(result);
    for (int row = 0; row < rows; row++) {
        reconciler_report_t report;
        reconciler_store_report(result, row, &report);
        begin_reading(self, &report);
    }
    PQclear(result);
    self->everything = false;
    if (rows == room) /* there may be more */
        self->next_claim_mono_ms = now_mono_ms;
}

/* Development values are of the simulator, which bears anything. */
static unsigned limit_of(const psp_account_t *account, const psp_t *psp)
{
    return account->given ? psp_status_calls_per_min(psp) : 0;
}

static void end_reading(reading_t *reading)
{
    buf_free(&reading->whole);
    reading->active = false;
}

/* It was announced elsewhere than at the PSP: nobody asks there, nor again. */
static void refuse(settlements_t *self, reading_t *reading)
{
    err_detail_t detail = {{0}};
    char quoted[QUOTED_SIZE];
    log_limited(LOG_LEVEL_WARN, NULL, "settlement report refused", "psp=%s url=%s",
                reading->report.psp, log_quote(quoted, sizeof quoted, reading->report.query.url));
    const err_t err =
        reconciler_store_report_read(self->store, &reading->report, "", 0, 1, LEASE_S, &detail);
    if (err != ERR_OK) /* its lease ends by itself, and it is refused again */
        log_limited(LOG_LEVEL_WARN, NULL, "settlement report not given back",
                    "code=%s detail=\"%s\"", err_name(err), detail.text);
    end_reading(reading);
}

static void ask(settlements_t *self, reading_t *reading, int64_t now_mono_ms)
{
    const psp_account_t *account = psp_account_of(&self->config->accounts, reading->psp);
    http_client_request_t request;
    int64_t *next_ask_mono_ms = &self->next_ask_mono_ms[psp_index(reading->psp)];
    if (now_mono_ms < *next_ask_mono_ms)
        return;
    if (!psp_settlement_request(reading->psp, account, &reading->report.query, &request)) {
        refuse(self, reading);
        return;
    }
    *next_ask_mono_ms = psp_next_call_ms(now_mono_ms, limit_of(account, reading->psp));
    request.timeout_ms = psp_settlement_is_announced(reading->psp)
                             ? WHOLE_TIMEOUT_MS
                             : (uint32_t)self->config->psp_status_timeout_ms;
    reading->asking = true;
    psp_client_submit(self->http, reading->psp, &request, reading);
}

bool settlements_wait_for(const settlements_t *self, const psp_t *psp)
{
    for (size_t i = 0; i < READINGS_MAX; i++)
        if (self->readings[i].active && !self->readings[i].asking && self->readings[i].psp == psp)
            return true;
    return false;
}

/* Leaves the report to whoever claims it next. */
static void give_up(settlements_t *self, reading_t *reading, const char *why, const char *words)
{
    const psp_settlement_query_t *query = &reading->report.query;
    err_detail_t detail = {{0}};
    char quoted[QUOTED_SIZE];
    log_limited(LOG_LEVEL_WARN, NULL, "settlement report not read", "psp=%s code=%s detail=%s",
                reading->report.psp, why, log_quote(quoted, sizeof quoted, words));
    end_reading(reading);
    /* A page that the PSP refuses may be one whose cursor has grown old. */
    const err_t err = reconciler_store_report_failed(self->store, &reading->report,
                                                     query->cursor[0] != '\0', AGAIN_S, &detail);
    if (err != ERR_OK) /* its lease ends by itself */
        log_limited(LOG_LEVEL_WARN, NULL, "settlement report not given back",
                    "code=%s detail=\"%s\"", err_name(err), detail.text);
}

static void read_whole(settlements_t *self, reading_t *reading);

static void go_on(settlements_t *self)
{
    const int64_t now_mono_ms = clock_mono_ms();
    if (!self->stopping && (self->everything || now_mono_ms >= self->next_claim_mono_ms))
        claim(self, now_mono_ms);
    for (size_t i = 0; i < READINGS_MAX; i++) {
        reading_t *reading = &self->readings[i];
        if (!reading->active || reading->asking)
            continue;
        if (self->stopping)
            give_up(self, reading, "STOPPED", "");
        else if (reading->whole.size > 0)
            read_whole(self, reading);
        else
            ask(self, reading, now_mono_ms);
    }
}

static void on_tick(void *arg)
{
    go_on(arg);
}

void settlements_read_now(settlements_t *self)
{
    self->everything = true;
}

bool settlements_idle(settlements_t *self)
{
    self->stopping = true;
    go_on(self);
    return active_count(self) == 0;
}

/* ---- answers ---- */

/* It cannot be read: its bytes name it, so that it is told of once. */
static void name_unread(str_t line, psp_report_t *told)
{
    uint8_t digest[SHA256_SIZE];
    memset(told, 0, sizeof *told);
    sha256(&line, 1, digest);
    int at = snprintf(told->event_id, sizeof told->event_id, "settlement_unread_");
    for (int i = 0; i < 16; i++, at += 2)
        snprintf(told->event_id + at, sizeof told->event_id - (size_t)at, "%02x", digest[i]);
}

static void pass_over(reading_t *reading, str_t line)
{
    char type[PSP_SETTLEMENT_TYPE_SIZE];
    psp_settlement_line_type(reading->psp, line, type);
    reading->passed_count++;
    for (int i = 0; i < PASSED_TYPES_MAX; i++) {
        passed_t *passed = &reading->passed[i];
        if (passed->count == 0)
            snprintf(passed->type, sizeof passed->type, "%s",
                     i + 1 < PASSED_TYPES_MAX ? type : "others");
        if (strcmp(passed->type, type) == 0 || i + 1 == PASSED_TYPES_MAX) {
            passed->count++;
            return;
        }
    }
}

/* "adjustment:2,payout:1"; the caller frees it. */
static void name_passed(const reading_t *reading, buf_t *names)
{
    for (int i = 0; i < PASSED_TYPES_MAX && reading->passed[i].count > 0; i++)
        buf_printf(names, "%s%s:%d", i ? "," : "", reading->passed[i].type,
                   reading->passed[i].count);
    if (names->size == 0)
        buf_add_text(names, "none");
}

/* What one line tells; how many things. */
static size_t read_line(reading_t *reading, str_t line, entry_t entries[ENTRIES_PER_LINE],
                        psp_report_t reports[ENTRIES_PER_LINE])
{
    size_t count = 0;
    for (size_t i = 0; i < THINGS && count < ENTRIES_PER_LINE; i++) {
        psp_report_t *told = &reports[count];
        err_detail_t detail = {{0}};
        const err_t err = psp_settlement_line_read(reading->psp, tells[i], line, told, &detail);
        if (err == ERR_OK && told->kind == PSP_FACT_NONE)
            continue;
        entries[count++] = (entry_t){tells[i], line};
        if (err != ERR_OK) {
            char quoted[QUOTED_SIZE];
            log_limited(LOG_LEVEL_WARN, NULL, "settlement line not understood", "psp=%s detail=%s",
                        reading->report.psp, log_quote(quoted, sizeof quoted, detail.text));
            name_unread(line, told);
            break;
        }
    }
    if (count == 0)
        pass_over(reading, line);
    return count;
}

/* What the lines of a page tell, in their order; how many things. */
static size_t read_lines(reading_t *reading, const psp_settlement_page_t *page, entry_t *entries,
                         psp_report_t *reports)
{
    size_t count = 0;
    for (size_t line = 0; line < page->count; line++)
        count += read_line(reading, page->lines[line], entries + count, reports + count);
    return count;
}

static void append(settlements_t *self, const reading_t *reading, const entry_t *entry,
                   const psp_report_t *told)
{
    buf_t body = {0};
    psp_settlement_entry_write(entry->kind, entry->line, &body);
    const webhook_stream_entry_t appended = {.source = "settlement",
                                             .psp = reading->report.psp,
                                             .event_id = told->event_id,
                                             .payment_id = &told->payment_id,
                                             .request_id = &reading->request_id,
                                             .received_at_us = clock_wall_us(),
                                             .http_status = 200,
                                             .body = {body.data, (uint32_t)body.size}};
    webhook_stream_append(self->redis, &appended);
    buf_free(&body);
}

/* Appends what is news, and waits for Redis' word on each. */
static err_t append_news(settlements_t *self, const reading_t *reading, const entry_t *entries,
                         const psp_report_t *reports, size_t count, int *news, err_detail_t *detail)
{
    bool is_news[ENTRIES_MAX];
    *news = 0;
    if (count == 0)
        return ERR_OK;
    TRY(reconciler_store_news(self->store, reading->report.psp, reports, count, is_news, detail));
    for (size_t i = 0; i < count; i++)
        if (is_news[i]) {
            append(self, reading, &entries[i], &reports[i]);
            (*news)++;
        }
    err_t err = ERR_OK;
    for (int i = 0; i < *news; i++) {
        err_detail_t why = {{0}};
        const err_t one = webhook_stream_confirm(self->redis, &why);
        if (one != ERR_OK && err == ERR_OK) {
            err = one;
            *detail = why;
        }
    }
    if (err == ERR_OK && *news > 0)
        CRASH_POINT(reconciler_appended);
    return err;
}

static err_t take_page(settlements_t *self, reading_t *reading, const psp_settlement_page_t *page,
                       err_detail_t *detail)
{
    entry_t *entries = calloc(ENTRIES_MAX, sizeof *entries);
    psp_report_t *reports = calloc(ENTRIES_MAX, sizeof *reports);
    CHECK(entries != NULL && reports != NULL);
    psp_settlement_query_t *query = &reading->report.query;
    int news = 0;
    const size_t count = read_lines(reading, page, entries, reports);
    err_t err = append_news(self, reading, entries, reports, count, &news, detail);
    if (err == ERR_OK)
        err = reconciler_store_report_read(self->store, &reading->report, page->next, news,
                                           self->config->settlement_interval_s, LEASE_S, detail);
    free(reports);
    free(entries);
    if (err != ERR_OK)
        return err;
    reading->lines += (int)page->count;
    reading->news += news;
    memcpy(query->cursor, page->next, sizeof query->cursor);
    if (page->next[0] == '\0') {
        char day[RFC3339_SIZE];
        buf_t passed = {0};
        name_passed(reading, &passed);
        log_line(reading->news > 0 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, NULL,
                 "settlement report read",
                 "psp=%s day=%.10s lines=%d news=%d passed_over=%d types=%s", reading->report.psp,
                 rfc3339_format(query->day_us, day), reading->lines, reading->news,
                 reading->passed_count, passed.data);
        buf_free(&passed);
        end_reading(reading);
    }
    return ERR_OK;
}

static void read_body(settlements_t *self, reading_t *reading, int http_status, const buf_t *bytes)
{
    const str_t body = {bytes->data, (uint32_t)bytes->size};
    psp_settlement_page_t page;
    err_detail_t detail = {{0}};
    err_t err = psp_settlement_read(reading->psp, &reading->report.query, http_status, body, &page,
                                    &detail);
    if (err == ERR_OK)
        err = take_page(self, reading, &page, &detail);
    psp_settlement_page_free(&page);
    if (err != ERR_OK)
        give_up(self, reading, err_name(err), detail.text);
}

/* One page of it. */
static void read_whole(settlements_t *self, reading_t *reading)
{
    read_body(self, reading, 200, &reading->whole);
}

static void take_answer(settlements_t *self, reading_t *reading, http_client_response_t *response)
{
    if (response->err != ERR_OK) {
        give_up(self, reading, err_name(response->err), response->error);
    } else if (psp_settlement_is_announced(reading->psp) && response->status == 200 &&
               response->body.size > 0) {
        reading->whole = response->body;
        response->body = (buf_t){0};
    } else {
        read_body(self, reading, response->status, &response->body);
    }
}

static void on_answers(void *arg)
{
    settlements_t *self = arg;
    void *cookie;
    http_client_response_t response;
    while (psp_client_next(self->http, &cookie, &response)) {
        reading_t *reading = cookie;
        reading->asking = false;
        take_answer(self, reading, &response);
        buf_free(&response.body);
    }
    go_on(self);
}
