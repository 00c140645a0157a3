/* reconciler.c - the reconciler.
 *
 *   timer → run: claim a page of due payments → ask their PSPs → append what is news to the stream
 *   a PSP hints at news (its webhook is not signed), sent a customer back, or was told to capture →
 * the same, at once, for that payment, whatever a run waits for
 *
 * It writes no payment state. What a PSP answers goes, as it came, into the stream that the
 * webhooks go through, so that one place decides what is true. A claim is a lease: a payment whose
 * answer was lost (a reconciler died, Redis was down, a PSP hung) comes due again by itself.
 *
 * Settlement reports are read beside it: settlements.c.
 *
 * Beside it, four times a second, what was booked since is sealed into the ledger's hash chain, off
 * the path of those who book; each second sessions are ended whose stopped client holds up
 * everybody, and what is kept for a time only is forgotten.
 *
 * Runs do not overlap. A run asks with a bounded number of calls at once, of which no PSP gets all,
 * and lets a PSP rest that fails call after call: one that hangs costs a run seconds, not hours,
 * and the others' customers nothing.
 */
#include "services/reconciler/reconciler.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/crash_point.h"
#include "lib/dispatch.h"
#include "lib/limits.h"
#include "lib/list.h"
#include "lib/log.h"
#include "lib/payment/psp_client.h"
#include "lib/payment/webhook_stream.h"
#include "proto/bus_reply.h"
#include "proto/messages.h"
#include "services/reconciler/reconciler_rules.h"
#include "services/reconciler/reconciler_store.h"
#include "services/reconciler/settlements.h"

enum {
    TICK_MS = 250,
    SEAL_EVERY_MS =
        250, /* often, so that there is little at once: nobody waits long for the processor */
    UPKEEP_EVERY_MS = 1000,
    UNREAD_S = 5,      /* longer than any statement may take: its client has left, or cannot */
    SEAL_MAX = 1000,   /* transactions in one statement … */
    FORGET_MAX = 1000, /* … and rows; faster than they come in on one machine … */
    UPKEEP_MAX = 4,    /* … and so many statements of each at once: the loop must come round */
    FIRST_RUN_AFTER_MS = 1000,
    RUN_RETRY_AFTER_MS = 5000, /* when the database was not there */
    CLAIM_PAGE = 200,
    WAITING_MAX = 400, /* no page is claimed while so many wait; one PSP's limit must not hold up
                           the others */
    HINTS_WAITING_MAX = 2000, /* what was hinted at is claimed though so many wait */
    PAGES_PER_PASS_MAX = 20,  /* the loop must come round for heartbeats; the tick goes on */
    CALLS_MAX = 256,
    QUOTED_SIZE = 300,
};

const config_entry_t reconciler_settings[] = {
    SERVICE_SETTINGS(reconciler_config_t, service),
    CONFIG_TEXT("DATABASE_URL", reconciler_config_t, database_url, NULL,
                CONFIG_REQUIRED | CONFIG_SECRET, "libpq connection string; several hosts allowed"),
    CONFIG_TEXT("REDIS_URL", reconciler_config_t, redis_url, "redis://127.0.0.1:6379",
                CONFIG_SECRET, "where the webhook stream is"),
    CONFIG_INT("RECONCILE_INTERVAL_S", reconciler_config_t, interval_s, 300, 1, 86400, 0,
               "how often PSPs are asked about what is not settled"),
    CONFIG_INT("SETTLEMENT_INTERVAL_S", reconciler_config_t, settlement_interval_s, 3600, 1, 86400,
               0, "how often the PSPs' settlement reports of yesterday and today are read"),
    CONFIG_INT("RECONCILE_CALLS_MAX", reconciler_config_t, calls_max, 16, 1, CALLS_MAX, 0,
               "calls to PSPs at once"),
    CONFIG_INT("PSP_STATUS_TIMEOUT_MS", reconciler_config_t, psp_status_timeout_ms, 5000, 100,
               10000, 0, "a PSP that has not told a status after this is asked again later"),
    CONFIG_INT("KEEP_WEBHOOKS_DAYS", reconciler_config_t, keep_webhooks_days, 35, 35, 36500, 0,
               "webhooks that were handled are forgotten after so many days; dead letters never"),
    CONFIG_INT("KEEP_EVENTS_DAYS", reconciler_config_t, keep_events_days, 35, 1, 36500, 0,
               "events of the feed are forgotten after so many days"),
    CONFIG_INT("KEEP_DECISIONS_DAYS", reconciler_config_t, keep_decisions_days, 35, 1, 36500, 0,
               "why a payment went to which PSP is forgotten after so many days"),
    PSP_ACCOUNT_SETTINGS(reconciler_config_t, accounts),
    CONFIG_END};

/* One question to one PSP. */
typedef struct check {
    list_node_t node; /* in waiting or asking */
    reconciler_due_t due;
    const psp_t *psp;
    size_t psp_index;
    uuid_t request_id;
} check_t;

typedef struct run {
    bool active;
    bool claimed_all;
    int64_t run_id; /* 0: about hints, not on record */
    int64_t began_mono_ms;
    reconciler_counts_t counts;
    unsigned failures_in_a_row[PSP_COUNT];
} run_t;

struct reconciler {
    service_t *service;
    reconciler_config_t config;
    reconciler_store_t *store;
    redis_t *redis;
    psp_client_t *http;
    int tick_timer, seal_timer, upkeep_timer;
    bool stopping;
    bool hinted; /* a PSP has hinted at news: it is claimed at the next tick */
    int64_t next_run_mono_ms;
    run_t run;
    list_node_t waiting; /* claimed, not asked yet */
    size_t waiting_count;
    int64_t next_ask_mono_ms[PSP_COUNT]; /* each PSP's limit is kept */
    list_node_t asking;
    size_t asking_count;
    unsigned asking_of[PSP_COUNT];
    bool fails[PSP_COUNT]; /* its last call did */
    settlements_t *settlements;
};

static void on_tick(void *arg);
static void forget_decisions(reconciler_t *self)
{
    err_detail_t detail = {{0}};
    int64_t forgotten = FORGET_MAX;
    err_t err = ERR_OK;
    for (int i = 0; i < UPKEEP_MAX && err == ERR_OK && forgotten >= FORGET_MAX; i++)
        err = reconciler_store_forget_decisions(self->store, (int)self->config.keep_decisions_days,
                                                FORGET_MAX, &forgotten, &detail);
    if (err != ERR_OK)
        log_limited(LOG_LEVEL_WARN, NULL, "old decisions not forgotten", "code=%s detail=\"%s\"",
                    err_name(err), detail.text);
}

static void on_seal_timer(void *arg);
static void on_upkeep_timer(void *arg);
static void on_answers(void *arg);

reconciler_t *reconciler_new(service_t *service, const reconciler_config_t *config)
{
    reconciler_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->service = service;
    service->print_metrics = psp_client_print_metrics;
    self->config = *config;
    psp_accounts_check(&self->config.accounts, service->dev);
    err_detail_t detail = {{0}};
    self->redis = redis_new(config->redis_url, REDIS_COMMAND_TIMEOUT_MS, &detail);
    if (self->redis == NULL)
        config_refuse("REDIS_URL", detail.text);
    list_init(&self->waiting);
    list_init(&self->asking);
    self->store = reconciler_store_new(config->database_url);
    self->http = psp_client_new(&self->config.accounts, (unsigned)config->calls_max);
    self->next_run_mono_ms = clock_mono_ms() + FIRST_RUN_AFTER_MS;
    self->tick_timer = actor_add_timer(service->actor, TICK_MS, on_tick, self);
    self->seal_timer = actor_add_timer(service->actor, SEAL_EVERY_MS, on_seal_timer, self);
    self->upkeep_timer = actor_add_timer(service->actor, UPKEEP_EVERY_MS, on_upkeep_timer, self);
    actor_add_fd(service->actor, psp_client_fd(self->http), on_answers, self);
    self->settlements =
        settlements_new(service, &self->config, self->store, self->redis, self->next_ask_mono_ms);
    return self;
}

static void check_free(check_t *check)
{
    list_remove(&check->node);
    free(check);
}

static void drop_all(list_node_t *checks)
{
    for (list_node_t *node = checks->next; node != checks;) {
        check_t *check = LIST_ENTRY(node, check_t, node);
        node = node->next;
        free(check);
    }
    list_init(checks);
}

void reconciler_destroy(reconciler_t **self_p)
{
    reconciler_t *self = *self_p;
    if (self == NULL)
        return;
    settlements_destroy(&self->settlements);
    actor_remove_fd(self->service->actor, psp_client_fd(self->http));
    actor_remove_timer(self->service->actor, self->upkeep_timer);
    actor_remove_timer(self->service->actor, self->seal_timer);
    actor_remove_timer(self->service->actor, self->tick_timer);
    psp_client_destroy(&self->http);
    drop_all(&self->waiting);
    drop_all(&self->asking);
    reconciler_store_destroy(&self->store);
    redis_destroy(&self->redis);
    free(self);
    *self_p = NULL;
}

/* ---- a run ---- */

/* `everything`: also what was asked about lately. False: the database was not there. */
static bool begin_run(reconciler_t *self, int64_t now_mono_ms, bool everything)
{
    const int64_t interval_ms = self->config.interval_s * 1000;
    err_detail_t detail = {{0}};
    int64_t run_id;
    const err_t err =
        reconciler_store_begin(self->store, self->service->instance, everything, &run_id, &detail);
    if (err != ERR_OK) {
        char quoted[QUOTED_SIZE];
        log_limited(LOG_LEVEL_WARN, NULL, "reconciliation not begun", "code=%s detail=%s",
                    err_name(err), log_quote(quoted, sizeof quoted, detail.text));
        self->next_run_mono_ms =
            now_mono_ms + (interval_ms < RUN_RETRY_AFTER_MS ? interval_ms : RUN_RETRY_AFTER_MS);
        return false;
    }
    self->next_run_mono_ms =
        reconciler_next_run_ms(self->next_run_mono_ms, now_mono_ms, interval_ms);
    self->run = (run_t){.active = true, .run_id = run_id, .began_mono_ms = now_mono_ms};
    return true;
}

static void finish_run(reconciler_t *self)
{
    const reconciler_counts_t *counts = &self->run.counts;
    err_detail_t detail = {{0}};
    self->run.active = false;
    const err_t err = self->run.run_id != 0
                          ? reconciler_store_finish(self->store, self->run.run_id, counts, &detail)
                          : ERR_OK;
    char quoted[QUOTED_SIZE];
    if (err != ERR_OK)
        log_limited(LOG_LEVEL_WARN, NULL, "reconciliation not recorded as finished",
                    "run=%lld code=%s detail=%s", (long long)self->run.run_id, err_name(err),
                    log_quote(quoted, sizeof quoted, detail.text));
    log_line(self->run.run_id != 0 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, NULL,
             "reconciliation finished", "run=%lld asked=%d news=%d errors=%d took_ms=%lld",
             (long long)self->run.run_id, counts->asked, counts->news, counts->errors,
             (long long)(clock_mono_ms() - self->run.began_mono_ms));
}

/* The place of a PSP that can be asked in the registry, or PSP_COUNT. */
static size_t index_of(const reconciler_t *self, const char *name)
{
    for (size_t i = 0; i < PSP_COUNT; i++)
        if (strcmp(psp_name(psp_at(i)), name) == 0 &&
            psp_account_of(&self->config.accounts, psp_at(i)) != NULL)
            return i;
    return PSP_COUNT;
}

/* What a PSP hinted at comes before what is merely due, also where it only waits for a limit. */
static void add_due(reconciler_t *self, const reconciler_due_t *due, bool hinted)
{
    if (due->psp[0] == '\0')
        return;
    const size_t psp_index = index_of(self, due->psp);
    if (psp_index == PSP_COUNT) {
        self->run.counts.errors++;
        log_limited(LOG_LEVEL_ERROR, NULL, "payment at a PSP that is not configured", "psp=\"%s\"",
                    due->psp);
        return;
    }
    check_t *check = calloc(1, sizeof *check);
    CHECK(check != NULL);
    check->due = *due;
    check->psp_index = psp_index;
    check->psp = psp_at(psp_index);
    check->request_id = uuid7_new();
    list_init(&check->node);
    if (hinted) {
        self->run.failures_in_a_row[psp_index] = 0; /* it has news, so it is awake */
        list_push_front(&self->waiting, &check->node);
    } else {
        list_push_back(&self->waiting, &check->node);
    }
    self->waiting_count++;
}

/* How many rows were claimed; -1: none, because the database was not there. `run_id` 0: of what
 * was hinted at. */
static int claim(reconciler_t *self, int64_t run_id)
{
    err_detail_t detail = {{0}};
    PGresult *result = NULL;
    const err_t err = reconciler_store_claim(self->store, run_id, CLAIM_PAGE,
                                             self->config.interval_s, &result, &detail);
    if (err != ERR_OK) {
        self->run.counts.errors++;
        char quoted[QUOTED_SIZE];
        log_limited(LOG_LEVEL_WARN, NULL, "nothing claimed", "code=%s detail=%s", err_name(err),
                    log_quote(quoted, sizeof quoted, detail.text));
        return -1;
    }
    const int rows = PQntuples(result);
    for (int row = 0; row < rows; row++) {
        reconciler_due_t due;
        reconciler_store_due(result, row, &due);
        add_due(self, &due, run_id == 0);
    }
    PQclear(result);
    return rows;
}

/* After an error the rest stays due for the next run. */
static void claim_page(reconciler_t *self)
{
    self->run.claimed_all = claim(self, self->run.run_id) <= 0;
}

/* A run may take as long as a PSP's limit makes it; a customer who came back, or a capture whose
 * PSP has answered, does not wait for it. */
static void claim_hints(reconciler_t *self, int64_t now_mono_ms)
{
    if (!self->run.active) {
        self->run = (run_t){.active = true, .began_mono_ms = now_mono_ms};
        self->hinted = false;
        return;
    }
    if (self->waiting_count >= HINTS_WAITING_MAX)
        return;
    const int rows = claim(self, 0);
    self->hinted = rows < 0 || rows >= CLAIM_PAGE; /* once more, at the next tick */
}

static void ask(reconciler_t *self, check_t *check)
{
    http_client_request_t request;
    if (!psp_status_request(check->psp, psp_account_of(&self->config.accounts, check->psp),
                            &check->due.payment, &request)) {
        check_free(check); /* only its webhook or the settlement can tell */
        return;
    }
    request.timeout_ms = (uint32_t)self->config.psp_status_timeout_ms;
    list_push_back(&self->asking, &check->node);
    self->asking_count++;
    self->asking_of[check->psp_index]++;
    self->run.counts.asked++;
    psp_client_submit(self->http, check->psp, &request, check);
}

/* Development values are of the simulator, which bears anything. */
static unsigned limit_of(const reconciler_t *self, const check_t *check)
{
    const psp_account_t *account = psp_account_of(&self->config.accounts, check->psp);
    return account->given ? psp_status_calls_per_min(check->psp) : 0;
}

static bool has_slot(const reconciler_t *self, const check_t *check)
{
    return self->asking_of[check->psp_index] <
           reconciler_slots((unsigned)self->config.calls_max, self->fails[check->psp_index]);
}

static void ask_waiting(reconciler_t *self)
{
    const int64_t now_mono_ms = clock_mono_ms();
    list_node_t later;
    list_init(&later);
    while (!list_empty(&self->waiting) && self->asking_count < (size_t)self->config.calls_max) {
        check_t *check = LIST_ENTRY(list_first(&self->waiting), check_t, node);
        list_remove(&check->node);
        if (reconciler_psp_rests(self->run.failures_in_a_row[check->psp_index])) {
            self->run.counts.errors++;
            self->waiting_count--;
            check_free(check);
        } else if (now_mono_ms < self->next_ask_mono_ms[check->psp_index] ||
                   settlements_wait_for(self->settlements, check->psp) || /* it has few pages */
                   !has_slot(self, check)) {
            list_push_back(&later, &check->node);
        } else {
            int64_t *next_ms = &self->next_ask_mono_ms[check->psp_index];
            *next_ms = psp_next_call_ms(reconciler_turn_ms(*next_ms, now_mono_ms, TICK_MS),
                                        limit_of(self, check));
            self->waiting_count--;
            ask(self, check);
        }
    }
    while (!list_empty(&self->waiting)) { /* no room for more calls */
        list_node_t *node = list_first(&self->waiting);
        list_remove(node);
        list_push_back(&later, node);
    }
    while (!list_empty(&later)) {
        list_node_t *node = list_first(&later);
        list_remove(node);
        list_push_back(&self->waiting, node);
    }
}

/* Keeps the run going: as many calls as may be, the next page when a page is through, the end when
 * all are. */
static void go_on(reconciler_t *self)
{
    if (!self->run.active)
        return;
    if (self->stopping) {
        drop_all(&self->waiting);
        self->waiting_count = 0;
        self->run.claimed_all = true;
    }
    ask_waiting(self);
    for (int page = 0;
         page < PAGES_PER_PASS_MAX && !self->run.claimed_all && self->waiting_count < WAITING_MAX &&
         self->asking_count < (size_t)self->config.calls_max;
         page++) {
        claim_page(self);
        ask_waiting(self);
    }
    if (self->run.claimed_all && list_empty(&self->waiting) && list_empty(&self->asking))
        finish_run(self);
}

static void on_tick(void *arg)
{
    reconciler_t *self = arg;
    const int64_t now_mono_ms = clock_mono_ms();
    if (!self->stopping && now_mono_ms >= self->next_run_mono_ms) {
        if (self->run.active) /* the timer does not wait for a long run, nor overlap it */
            self->next_run_mono_ms = reconciler_next_run_ms(self->next_run_mono_ms, now_mono_ms,
                                                            self->config.interval_s * 1000);
        else
            (void)begin_run(self, now_mono_ms, false);
    }
    if (reconciler_store_notified(self->store))
        self->hinted = true;
    if (!self->stopping && self->hinted)
        claim_hints(self, now_mono_ms);
    go_on(self);
}

bool reconciler_idle(void *reconciler)
{
    reconciler_t *self = reconciler;
    self->stopping = true;
    go_on(self);
    return settlements_idle(self->settlements) && !self->run.active;
}

/* ---- answers ---- */

/* A check whose PSP has answered. */
typedef struct answered {
    check_t *check;
    char answer[33];
    bool news;
    bool failed;
} answered_t;

static void tell(reconciler_t *self, const answered_t *answered)
{
    const check_t *check = answered->check;
    const reconciler_asked_t event = {.payment_id = check->due.payment.payment_id,
                                      .order_id = check->due.payment.order_id,
                                      .psp = str_of(psp_name(check->psp)),
                                      .answer = str_of(answered->answer),
                                      .news = answered->news};
    if (self->service->bus != NULL)
        bus_event_message(self->service->bus, MSG_reconciler_asked, &event, &check->request_id, "");
}

/* Reads one answer and appends it to the stream's pipeline when it is news. */
static void read_answer(reconciler_t *self, const http_client_response_t *response,
                        answered_t *answered)
{
    const check_t *check = answered->check;
    const str_t body = {response->body.data, (uint32_t)response->body.size};
    psp_report_t report;
    err_detail_t detail = {{0}};
    err_t err = response->err;
    if (err != ERR_OK)
        err_set(&detail, err, "%s", response->error);
    else
        err = psp_status_read(check->psp, &check->due.payment, response->status, body, &report,
                              &detail);
    if (err != ERR_OK) {
        answered->failed = true;
        snprintf(answered->answer, sizeof answered->answer, "%.32s",
                 response->err != ERR_OK ? err_name(err) : "NOT_UNDERSTOOD");
        char quoted[QUOTED_SIZE];
        log_limited(LOG_LEVEL_WARN, NULL, "no status from a PSP", "psp=%s answer=%s detail=%s",
                    psp_name(check->psp), answered->answer,
                    log_quote(quoted, sizeof quoted, detail.text));
        return;
    }
    snprintf(answered->answer, sizeof answered->answer, "%s", psp_fact_kind_name(report.kind));
    if (!reconciler_is_news(report.kind, check->due.failure_known))
        return;
    answered->news = true;
    const webhook_stream_entry_t entry = {.source = "status_poll",
                                          .psp = psp_name(check->psp),
                                          .event_id = report.event_id,
                                          .payment_id = &check->due.payment.payment_id,
                                          .request_id = &check->request_id,
                                          .received_at_us = clock_wall_us(),
                                          .http_status = response->status,
                                          .body = body};
    webhook_stream_append(self->redis, &entry);
}

/* Takes Redis' word for each piece of news, in the order of the pipeline, and closes the checks. */
static void close_answered(reconciler_t *self, answered_t *answered, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_t *check = answered[i].check;
        unsigned *failures = &self->run.failures_in_a_row[check->psp_index];
        err_detail_t detail = {{0}};
        *failures = answered[i].failed ? *failures + 1 : 0;
        self->fails[check->psp_index] = answered[i].failed;
        self->asking_of[check->psp_index]--;
        const err_t err = answered[i].news ? webhook_stream_confirm(self->redis, &detail) : ERR_OK;
        if (answered[i].news && err == ERR_OK)
            CRASH_POINT(reconciler_appended);
        if (err != ERR_OK) {
            answered[i].news = false;
            answered[i].failed = true;
            char quoted[QUOTED_SIZE];
            log_limited(LOG_LEVEL_ERROR, NULL, "news not queued", "psp=%s detail=%s",
                        psp_name(check->psp), log_quote(quoted, sizeof quoted, detail.text));
        }
        self->run.counts.news += answered[i].news ? 1 : 0;
        self->run.counts.errors += answered[i].failed ? 1 : 0;
        tell(self, &answered[i]);
        check_free(check);
        self->asking_count--;
    }
}

static void on_answers(void *arg)
{
    reconciler_t *self = arg;
    answered_t answered[CALLS_MAX];
    size_t count = 0;
    void *cookie;
    http_client_response_t response;
    while (count < CALLS_MAX && psp_client_next(self->http, &cookie, &response)) {
        answered[count] = (answered_t){.check = cookie};
        if (response.err == ERR_OK)
            CRASH_POINT(reconciler_asked);
        read_answer(self, &response, &answered[count++]);
        buf_free(&response.body);
    }
    close_answered(self, answered, count);
    go_on(self);
}

/* ---- upkeep: sessions that hold up all others, the ledger's chain, what is old ---- */

static void end_unread(reconciler_t *self)
{
    err_detail_t detail = {{0}};
    int64_t ended = 0;
    const err_t err = reconciler_store_end_unread(self->store, UNREAD_S, &ended, &detail);
    if (err != ERR_OK)
        log_limited(LOG_LEVEL_WARN, NULL, "unread sessions not ended", "code=%s detail=\"%s\"",
                    err_name(err), detail.text);
    else if (ended > 0)
        log_warn(NULL, "unread sessions ended", "count=%lld", (long long)ended);
}

static void seal(reconciler_t *self)
{
    err_detail_t detail = {{0}};
    int64_t sealed = SEAL_MAX;
    err_t err = ERR_OK;
    for (int i = 0; i < UPKEEP_MAX && err == ERR_OK && sealed == SEAL_MAX; i++)
        err = reconciler_store_seal(self->store, SEAL_MAX, &sealed, &detail);
    if (err != ERR_OK)
        log_limited(LOG_LEVEL_WARN, NULL, "ledger not sealed", "code=%s detail=\"%s\"",
                    err_name(err), detail.text);
}

static void forget(reconciler_t *self)
{
    err_detail_t detail = {{0}};
    int64_t forgotten = FORGET_MAX;
    err_t err = ERR_OK;
    for (int i = 0; i < UPKEEP_MAX && err == ERR_OK && forgotten >= FORGET_MAX; i++)
        err = reconciler_store_forget(self->store, (int)self->config.keep_webhooks_days,
                                      (int)self->config.keep_events_days, FORGET_MAX, &forgotten,
                                      &detail);
    if (err != ERR_OK)
        log_limited(LOG_LEVEL_WARN, NULL, "what is old not forgotten", "code=%s detail=\"%s\"",
                    err_name(err), detail.text);
}

static void on_seal_timer(void *arg)
{
    reconciler_t *self = arg;
    if (!self->stopping)
        seal(self);
}

static void on_upkeep_timer(void *arg)
{
    reconciler_t *self = arg;
    if (self->stopping)
        return;
    end_unread(self);
    forget(self);
    forget_decisions(self);
}

/* ---- operators ---- */

static void answer_document(reconciler_t *self, const bus_request_t *request, str_t json)
{
    const reconciler_document_t document = {.document = json};
    bus_reply_message(self->service->bus, &request->reply_to, MSG_reconciler_document, &document);
}

static void list_one(reconciler_t *self, const bus_request_t *request)
{
    reconciliation_list_t query;
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    err_t err =
        message_decode(MSG_reconciliation_list, request->body, request->body_size, &query, &detail);
    if (err == ERR_OK)
        err = reconciler_store_page(self->store, query.before, (int)query.limit, &result, &detail);
    if (err == ERR_OK)
        answer_document(self, request, pg_get_text(result, 0, 0));
    else
        bus_reply_error(self->service->bus, &request->reply_to, err, detail.text);
    PQclear(result);
}

static void on_list(void *arg, const bus_request_t *const *requests, size_t count)
{
    for (size_t i = 0; i < count; i++)
        list_one(arg, requests[i]);
}

static void on_start(void *arg, const bus_request_t *const *requests, size_t count)
{
    reconciler_t *self = arg;
    settlements_read_now(self->settlements);
    for (size_t i = 0; i < count; i++) {
        if (self->run.active)
            answer_document(self, requests[i], STR_LITERAL("{\"status\":\"running\"}"));
        else if (!self->stopping && begin_run(self, clock_mono_ms(), true))
            answer_document(self, requests[i], STR_LITERAL("{\"status\":\"started\"}"));
        else
            bus_reply_error(self->service->bus, &requests[i]->reply_to, ERR_STORE_UNAVAILABLE, "");
    }
    go_on(self);
}

static const dispatch_entry_t handlers[] = {
    {MSG_reconciliation_list, on_list}, {MSG_reconciliation_start, on_start}, {0, NULL}};

static void on_batch(void *arg, const bus_request_t *requests, size_t count)
{
    reconciler_t *self = arg;
    dispatch_batch(self->service->bus, handlers, self, requests, count);
}

const bus_handlers_t reconciler_bus_handlers = {.on_batch = on_batch, .message_name = message_name};
