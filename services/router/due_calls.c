/* due_calls.c - see due_calls.h.
 *
 *   tick → claim → prepare → wait for the PSP's turn → sent → ended
 *
 * Of a PSP for whose turn some wait, or which has a quarter of the calls, nothing more is claimed:
 * the others go on, though it hangs.
 *
 * Must never happen: a call that is sent after its lease has ended.
 */
#include "services/router/due_calls.h"

#include <stdlib.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/payment/psp_client.h"

enum {
    TICK_MS = 100,         /* how soon a notification is seen */
    CLAIM_EVERY_MS = 1000, /* without one */
    CLAIM_MAX = 8,         /* so few that all have had their turn before the lease ends */
    LEASE_MARGIN_MS = 5000,
    TURN_WAIT_MAX_MS = 6000, /* on top of it, where a PSP bears so many calls and no more */
};

struct due_calls {
    service_t *service;
    const psp_accounts_t *accounts;
    int64_t call_timeout_ms, lease_ms;
    due_calls_owner_t owner;
    psp_client_t *http;
    int tick_timer;
    bool stopping;
    bool more_due; /* the last claim took as many as it could, or left PSPs out */
    int64_t next_claim_mono_ms;
    int64_t next_call_mono_ms[PSP_COUNT];
    list_node_t waiting; /* for their PSP's turn */
    list_node_t calling;
    int calling_count;
};

static void on_tick(void *arg);
static void on_answers(void *arg);

/* Not of stand-ins for a PSP. */
static unsigned limit_of(const due_calls_t *self, const psp_t *psp)
{
    const psp_account_t *account = psp_account_of(self->accounts, psp);
    return account != NULL && account->given ? self->owner.calls_per_min(psp) : 0;
}

static int64_t lease_ms_of(const due_calls_t *self)
{
    for (size_t i = 0; i < PSP_COUNT; i++)
        if (limit_of(self, psp_at(i)) > 0)
            return self->call_timeout_ms + LEASE_MARGIN_MS + TURN_WAIT_MAX_MS;
    return self->call_timeout_ms + LEASE_MARGIN_MS;
}

due_calls_t *due_calls_new(service_t *service, const psp_accounts_t *accounts,
                           int64_t call_timeout_ms, const due_calls_owner_t *owner)
{
    due_calls_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->service = service;
    self->accounts = accounts;
    self->call_timeout_ms = call_timeout_ms;
    self->owner = *owner;
    self->lease_ms = lease_ms_of(self);
    list_init(&self->waiting);
    list_init(&self->calling);
    self->http = psp_client_new(accounts, DUE_CALLS_MAX);
    actor_add_fd(service->actor, psp_client_fd(self->http), on_answers, self);
    self->tick_timer = actor_add_timer(service->actor, TICK_MS, on_tick, self);
    return self;
}

static void call_free(due_call_t *call)
{
    list_remove(&call->node);
    http_client_request_free(&call->request);
    free(call);
}

static void free_all(list_node_t *calls)
{
    while (!list_empty(calls))
        call_free(LIST_ENTRY(list_first(calls), due_call_t, node));
}

void due_calls_destroy(due_calls_t **self_p)
{
    due_calls_t *self = *self_p;
    if (self == NULL)
        return;
    actor_remove_timer(self->service->actor, self->tick_timer);
    actor_remove_fd(self->service->actor, psp_client_fd(self->http));
    psp_client_destroy(&self->http);
    free_all(&self->waiting);
    free_all(&self->calling);
    free(self);
    *self_p = NULL;
}

const psp_account_t *due_calls_account(const due_calls_t *self, const char *psp_name,
                                       const psp_t **psp)
{
    *psp = psp_find(str_of(psp_name));
    const psp_account_t *account = *psp != NULL ? psp_account_of(self->accounts, *psp) : NULL;
    if (account == NULL)
        log_limited(LOG_LEVEL_ERROR, NULL, "call waits",
                    "of=%s psp=%s reason=\"not configured here\"", self->owner.what, psp_name);
    return account;
}

bool due_calls_idle(due_calls_t *self)
{
    self->stopping = true;
    free_all(&self->waiting);
    return list_empty(&self->calling);
}

int64_t due_calls_retry_after_ms(bool answered, int calls)
{
    int64_t wait_ms = answered ? DUE_POLL_FIRST_MS : DUE_RETRY_FIRST_MS;
    for (int i = 1; i < calls && wait_ms < DUE_RETRY_MOST_MS; i++)
        wait_ms *= 2;
    return wait_ms < DUE_RETRY_MOST_MS ? wait_ms : DUE_RETRY_MOST_MS;
}

/* ---- what is due ---- */

static void send_those_whose_turn_it_is(due_calls_t *self)
{
    const int64_t now_ms = clock_mono_ms();
    for (list_node_t *node = self->waiting.next; node != &self->waiting;) {
        due_call_t *call = LIST_ENTRY(node, due_call_t, node);
        int64_t *next_ms = &self->next_call_mono_ms[psp_index(call->psp)];
        node = node->next;
        if (now_ms >= call->turn_ends_mono_ms) { /* claimed again when its lease ends */
            call_free(call);
            continue;
        }
        if (now_ms < *next_ms)
            continue;
        *next_ms = psp_next_call_ms(now_ms, limit_of(self, call->psp));
        call->request.timeout_ms = (uint32_t)self->call_timeout_ms;
        list_remove(&call->node);
        list_push_back(&self->calling, &call->node);
        self->calling_count++;
        psp_client_submit(self->http, call->psp, &call->request, call);
    }
}

static due_claim_t claim_of(const due_calls_t *self)
{
    int room = DUE_CALLS_MAX - self->calling_count;
    int out[PSP_COUNT] = {0};
    bool waits[PSP_COUNT] = {false};
    LIST_FOR(node, &self->calling)
    out[psp_index(LIST_ENTRY(node, due_call_t, node)->psp)]++;
    LIST_FOR(node, &self->waiting)
    {
        waits[psp_index(LIST_ENTRY(node, due_call_t, node)->psp)] = true;
        room--;
    }
    due_claim_t claim = {.at_most = room < CLAIM_MAX ? room : CLAIM_MAX,
                         .lease_ms = self->lease_ms};
    for (size_t i = 0; i < PSP_COUNT; i++)
        if (waits[i] || out[i] > DUE_CALLS_MAX / 4)
            claim.except_psps[claim.except_count++] = psp_name(psp_at(i));
    return claim;
}

static void claim_due(due_calls_t *self)
{
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    const due_claim_t claim = claim_of(self);
    if (claim.at_most <= 0)
        return;
    const int64_t now_ms = clock_mono_ms();
    self->next_claim_mono_ms = now_ms + CLAIM_EVERY_MS;
    self->more_due = false;
    const err_t err = self->owner.claim(self->owner.self, &claim, &result, &detail);
    if (err != ERR_OK) {
        log_limited(LOG_LEVEL_WARN, NULL, "due calls not claimed", "of=%s code=%s detail=\"%s\"",
                    self->owner.what, err_name(err), detail.text);
        return;
    }
    const int count = PQntuples(result);
    for (int row = 0; row < count; row++) {
        due_call_t *call = self->owner.prepare(self->owner.self, result, row);
        if (call == NULL)
            continue;
        call->turn_ends_mono_ms = now_ms + TURN_WAIT_MAX_MS;
        list_init(&call->node);
        list_push_back(&self->waiting, &call->node);
    }
    self->more_due = count == claim.at_most || claim.except_count > 0;
    PQclear(result);
    send_those_whose_turn_it_is(self);
}

static void claim_if_due(due_calls_t *self)
{
    if (self->stopping)
        return;
    send_those_whose_turn_it_is(self);
    const bool notified = self->owner.notified(self->owner.self);
    if (notified || self->more_due || clock_mono_ms() >= self->next_claim_mono_ms)
        claim_due(self);
}

static void on_tick(void *arg)
{
    claim_if_due(arg);
}

/* ---- answers ---- */

static void on_answers(void *arg)
{
    due_calls_t *self = arg;
    due_call_end_t ends[DUE_CALLS_MAX];
    size_t count = 0;
    void *cookie;
    while (count < DUE_CALLS_MAX && psp_client_next(self->http, &cookie, &ends[count].response))
        ends[count++].call = cookie;
    if (count == 0)
        return;
    self->owner.ended(self->owner.self, ends, count);
    for (size_t i = 0; i < count; i++) {
        buf_free(&ends[i].response.body);
        list_remove(&ends[i].call->node);
        free(ends[i].call);
    }
    self->calling_count -= (int)count;
    if (self->more_due)
        claim_if_due(self);
}
