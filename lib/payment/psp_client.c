/* psp_client.c - see psp_client.h. */
#include "lib/payment/psp_client.h"

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/list.h"
#include "lib/meter.h"
#include "lib/payment/psp_echo.h"
#include "lib/prometheus.h"

enum {
    TOKEN_TIMEOUT_MS = 2500,
    TOKEN_SPARE_MS = 60000, /* a token is not used in the last minute of its life … */
    TOKEN_SPARE_PARTS = 10, /* … nor in the last tenth, where that is less */
    LEAST_LEFT_MS = 100,    /* what a call has at least when its token has come */
};

/* A call, or the request for a token (`token_of`). */
typedef struct call {
    list_node_t node; /* in token_t.waiting, psp_client.failed or, once it was sent, flying */
    void *cookie;
    const psp_t *psp;
    const psp_t *token_of;
    http_client_request_t request; /* while it waits */
    int64_t submitted_mono_ms;
    uint64_t token_serial; /* of the one it was sent with; 0: none */
} call_t;

typedef struct token {
    char header[PSP_TOKEN_SIZE]; /* "": none */
    uint64_t serial;             /* from 1: each is another */
    int64_t ends_mono_ms;
    bool asked_for;
    list_node_t waiting;
} token_t;

struct psp_client {
    const psp_accounts_t *accounts;
    http_client_t *http;
    token_t tokens[PSP_COUNT];
    list_node_t flying;
    list_node_t failed; /* for want of a token, not taken yet */
};

/* ---- what is counted, for all clients of the process ---- */

typedef enum outcome {
    OUTCOME_OK,          /* 2xx */
    OUTCOME_REFUSED,     /* 4xx */
    OUTCOME_FAILED,      /* any other status */
    OUTCOME_UNREACHABLE, /* nothing was sent */
    OUTCOME_TIMEOUT,
    OUTCOME_BROKEN, /* an answer that is none: over the bound */
    OUTCOMES
} outcome_t;

static const char *const outcome_names[OUTCOMES] = {"ok",          "refused", "failed",
                                                    "unreachable", "timeout", "broken"};
static _Atomic uint64_t counts[PSP_COUNT][OUTCOMES];
static _Atomic uint64_t durations[PSP_COUNT][PROMETHEUS_HISTOGRAM_VALUES];

static outcome_t outcome_of(const http_client_response_t *response)
{
    if (response->err == ERR_HTTP_UNREACHABLE)
        return OUTCOME_UNREACHABLE;
    if (response->err == ERR_HTTP_TIMEOUT)
        return OUTCOME_TIMEOUT;
    if (response->err != ERR_OK)
        return OUTCOME_BROKEN;
    const int class = response->status / 100;
    return class == 2 ? OUTCOME_OK : class == 4 ? OUTCOME_REFUSED : OUTCOME_FAILED;
}

static void count(const psp_t *psp, const http_client_response_t *response)
{
    const size_t index = psp_index(psp);
    meter_add(&counts[index][outcome_of(response)], 1);
    meter_observe(durations[index], response->took_ms * 1000);
}

void psp_client_print_metrics(void *unused, buf_t *text)
{
    static const char *const labels[] = {"psp", "outcome"};
    (void)unused;
    series_set_t *calls = series_set_new(labels, 2, 1, (size_t)PSP_COUNT * OUTCOMES);
    series_set_t *took = series_set_new(labels, 1, PROMETHEUS_HISTOGRAM_VALUES, PSP_COUNT);
    for (size_t psp = 0; psp < PSP_COUNT; psp++) {
        const char *names[] = {psp_name(psp_at(psp)), NULL};
        for (size_t i = 0; i < OUTCOMES; i++) {
            names[1] = outcome_names[i];
            *series_find(calls, names, SIZE_MAX) = atomic_load(&counts[psp][i]);
        }
        uint64_t *values = series_find(took, names, SIZE_MAX);
        for (size_t i = 0; i < PROMETHEUS_HISTOGRAM_VALUES; i++)
            values[i] = atomic_load(&durations[psp][i]);
    }
    prometheus_counters(text, calls, "tiffin_psp_calls_total",
                        "Calls to PSPs by how they ended; ok is any 2xx.");
    prometheus_histograms(text, took, "tiffin_psp_call_duration_seconds",
                          "Time until a call to a PSP ended, waiting for its turn included.");
    series_set_destroy(&calls);
    series_set_destroy(&took);
}

/* ---- calls ---- */

psp_client_t *psp_client_new(const psp_accounts_t *accounts, unsigned concurrent_max)
{
    psp_client_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->accounts = accounts;
    self->http = http_client_new(concurrent_max);
    list_init(&self->flying);
    list_init(&self->failed);
    for (size_t i = 0; i < PSP_COUNT; i++)
        list_init(&self->tokens[i].waiting);
    return self;
}

static void call_free(call_t *call)
{
    list_remove(&call->node);
    http_client_request_free(&call->request);
    free(call);
}

static void free_all(list_node_t *calls)
{
    while (!list_empty(calls))
        call_free(LIST_ENTRY(list_first(calls), call_t, node));
}

void psp_client_destroy(psp_client_t **self_p)
{
    psp_client_t *self = *self_p;
    if (self == NULL)
        return;
    http_client_destroy(&self->http);
    free_all(&self->flying);
    free_all(&self->failed);
    for (size_t i = 0; i < PSP_COUNT; i++)
        free_all(&self->tokens[i].waiting);
    OPENSSL_cleanse(self->tokens, sizeof self->tokens);
    free(self);
    *self_p = NULL;
}

int psp_client_fd(const psp_client_t *self)
{
    return http_client_fd(self->http);
}

static call_t *call_new(const psp_t *psp, void *cookie)
{
    call_t *call = calloc(1, sizeof *call);
    CHECK(call != NULL);
    list_init(&call->node);
    call->psp = psp;
    call->cookie = cookie;
    call->submitted_mono_ms = clock_mono_ms();
    return call;
}

static void send_call(psp_client_t *self, call_t *call, http_client_request_t *request)
{
    list_push_back(&self->flying, &call->node);
    http_client_submit(self->http, request, call);
}

/* True when the PSP wants a token before other calls, and the request for it is being made or was.
 */
static bool ask_for_token(psp_client_t *self, const psp_t *psp)
{
    token_t *token = &self->tokens[psp_index(psp)];
    http_client_request_t request;
    if (token->asked_for)
        return true;
    if (!psp_token_request(psp, psp_account_of(self->accounts, psp), &request))
        return false;
    call_t *call = call_new(psp, NULL);
    call->token_of = psp;
    token->asked_for = true;
    request.timeout_ms = TOKEN_TIMEOUT_MS;
    send_call(self, call, &request);
    return true;
}

static void submit_with_token(psp_client_t *self, call_t *call, http_client_request_t *request)
{
    const token_t *token = &self->tokens[psp_index(call->psp)];
    const int64_t waited_ms = clock_mono_ms() - call->submitted_mono_ms;
    snprintf(request->long_header, sizeof request->long_header, "%s", token->header);
    request->timeout_ms = waited_ms + LEAST_LEFT_MS < request->timeout_ms
                              ? request->timeout_ms - (uint32_t)waited_ms
                              : LEAST_LEFT_MS;
    call->token_serial = token->serial;
    send_call(self, call, request);
}

void psp_client_submit(psp_client_t *self, const psp_t *psp, http_client_request_t *request,
                       void *cookie)
{
    CHECK(psp_account_of(self->accounts, psp) != NULL);
    token_t *token = &self->tokens[psp_index(psp)];
    call_t *call = call_new(psp, cookie);
    if (token->header[0] != '\0' && clock_mono_ms() < token->ends_mono_ms) {
        submit_with_token(self, call, request);
    } else if (ask_for_token(self, psp)) {
        call->request = *request;
        memset(request, 0, sizeof *request);
        list_push_back(&token->waiting, &call->node);
    } else {
        send_call(self, call, request);
    }
}

/* The request for a token has ended: those that wait go on, or are told that they cannot. */
static void on_token(psp_client_t *self, const psp_t *psp, const http_client_response_t *response)
{
    token_t *token = &self->tokens[psp_index(psp)];
    int64_t lives_ms = 0;
    token->asked_for = false;
    token->header[0] = '\0';
    token->serial++;
    const bool got = response->err == ERR_OK &&
                     psp_token_read(psp, response, clock_wall_us(), token->header, &lives_ms);
    const int64_t spare_ms = lives_ms / TOKEN_SPARE_PARTS < TOKEN_SPARE_MS
                                 ? lives_ms / TOKEN_SPARE_PARTS
                                 : TOKEN_SPARE_MS;
    token->ends_mono_ms = clock_mono_ms() + lives_ms - spare_ms;
    while (!list_empty(&token->waiting)) {
        call_t *call = LIST_ENTRY(list_first(&token->waiting), call_t, node);
        list_remove(&call->node);
        if (got)
            submit_with_token(self, call, &call->request);
        else
            list_push_back(&self->failed, &call->node);
    }
}

/* Of "Authorization: O-Bearer <token>"; {NULL, 0}: there is none. */
static str_t token_text(const token_t *token)
{
    const char *blank = strrchr(token->header, ' ');
    return blank != NULL ? str_of(blank + 1) : (str_t){NULL, 0};
}

static bool take_failed(psp_client_t *self, void **cookie, http_client_response_t *response)
{
    if (list_empty(&self->failed))
        return false;
    call_t *call = LIST_ENTRY(list_first(&self->failed), call_t, node);
    *cookie = call->cookie;
    memset(response, 0, sizeof *response);
    response->err = ERR_HTTP_UNREACHABLE;
    response->took_ms = clock_mono_ms() - call->submitted_mono_ms;
    snprintf(response->error, sizeof response->error, "no access token from the PSP");
    count(call->psp, response);
    call_free(call);
    return true;
}

bool psp_client_next(psp_client_t *self, void **cookie, http_client_response_t *response)
{
    void *ended;
    if (take_failed(self, cookie, response))
        return true;
    while (http_client_next(self->http, &ended, response)) {
        call_t *call = ended;
        if (call->token_of == NULL) {
            token_t *token = &self->tokens[psp_index(call->psp)];
            psp_echo_hide(psp_account_of(self->accounts, call->psp), token_text(token),
                          &response->body);
            if (response->status == 401 && call->token_serial == token->serial)
                token->header[0] = '\0'; /* withdrawn: the next gets another */
            response->took_ms = clock_mono_ms() - call->submitted_mono_ms;
            *cookie = call->cookie;
            count(call->psp, response);
            call_free(call);
            return true;
        }
        on_token(self, call->token_of, response);
        buf_free(&response->body);
        call_free(call);
        if (take_failed(self, cookie, response))
            return true;
    }
    return false;
}
