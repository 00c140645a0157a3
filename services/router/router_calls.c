/* router_calls.c - see router_calls.h.
 *
 * The waiting line is here and not in the HTTP client, so that a call's time begins with its turn:
 * a PSP must not pass for slow because another one holds all the slots.
 */
#include "services/router/router_calls.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/list.h"
#include "lib/payment/psp_client.h"
#include "services/router/router_rules.h"

typedef struct call {
    list_node_t node; /* in waiting or running */
    void *cookie;
    const psp_t *psp;
    int64_t deadline_mono_ms, wait_ends_mono_ms;
    psp_checkout_t checkout;
    bool finding;                  /* the checkout that exists; else opening one */
    http_client_request_t request; /* until it is submitted */
} call_t;

struct router_calls {
    router_calls_config_t config;
    psp_client_t *http;
    list_node_t waiting[PSP_COUNT];
    list_node_t running;
    size_t waiting_count;
    size_t running_count;
    size_t running_at[PSP_COUNT];
};

router_calls_t *router_calls_new(const router_calls_config_t *config)
{
    router_calls_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->config = *config;
    self->http = psp_client_new(config->accounts, config->calls_max);
    for (size_t i = 0; i < PSP_COUNT; i++)
        list_init(&self->waiting[i]);
    list_init(&self->running);
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
    for (list_node_t *node = calls->next; node != calls;) {
        call_t *call = LIST_ENTRY(node, call_t, node);
        node = node->next;
        http_client_request_free(&call->request);
        free(call);
    }
}

void router_calls_destroy(router_calls_t **self_p)
{
    router_calls_t *self = *self_p;
    if (self == NULL)
        return;
    psp_client_destroy(&self->http);
    free_all(&self->running);
    for (size_t i = 0; i < PSP_COUNT; i++)
        free_all(&self->waiting[i]);
    free(self);
    *self_p = NULL;
}

/* The time that a call has if it begins now; 0: none. */
static uint32_t timeout_ms(const router_calls_t *self, const call_t *call)
{
    return router_call_timeout_ms(call->deadline_mono_ms - clock_mono_ms(),
                                  self->config.per_call_ms);
}

static bool has_room(const router_calls_t *self, size_t psp)
{
    const size_t max = self->config.calls_max, psp_max = max - max / 4;
    return self->running_count < max && self->running_at[psp] < psp_max;
}

static void submit(router_calls_t *self, call_t *call, uint32_t call_timeout_ms)
{
    list_remove(&call->node);
    list_push_back(&self->running, &call->node);
    self->running_count++;
    self->running_at[psp_index(call->psp)]++;
    call->request.timeout_ms = call_timeout_ms;
    psp_client_submit(self->http, call->psp, &call->request, call);
}

void router_calls_start(router_calls_t *self, const psp_t *psp, const psp_checkout_t *checkout,
                        int64_t deadline_mono_ms, int64_t wait_ms, void *cookie)
{
    call_t *call = calloc(1, sizeof *call);
    CHECK(call != NULL);
    list_init(&call->node);
    call->cookie = cookie;
    call->psp = psp;
    call->deadline_mono_ms = deadline_mono_ms;
    call->wait_ends_mono_ms = clock_mono_ms() + wait_ms;
    call->checkout = *checkout;
    psp_checkout_request(psp, psp_account_of(self->config.accounts, psp), checkout, &call->request);
    if (has_room(self, psp_index(psp)) && list_empty(&self->waiting[psp_index(psp)])) {
        const uint32_t call_timeout_ms = timeout_ms(self, call);
        submit(self, call, call_timeout_ms > 0 ? call_timeout_ms : ROUTER_CALL_LEAST_MS);
    } else {
        list_push_back(&self->waiting[psp_index(psp)], &call->node);
        self->waiting_count++;
    }
}

/* Those at the head of the PSP's line are submitted while there is room; true when the time of one,
 * or its wait, was over instead. */
static bool take_late(router_calls_t *self, size_t psp, router_call_ended_t *ended)
{
    while (!list_empty(&self->waiting[psp])) {
        call_t *call = LIST_ENTRY(list_first(&self->waiting[psp]), call_t, node);
        const uint32_t call_timeout_ms = timeout_ms(self, call);
        const bool is_late = call_timeout_ms == 0 || clock_mono_ms() >= call->wait_ends_mono_ms;
        if (!is_late && !has_room(self, psp))
            return false;
        self->waiting_count--;
        if (!is_late) {
            submit(self, call, call_timeout_ms);
            continue;
        }
        memset(ended, 0, sizeof *ended);
        ended->cookie = call->cookie;
        call_free(call);
        return true;
    }
    return false;
}

int router_calls_fd(const router_calls_t *self)
{
    return psp_client_fd(self->http);
}

static void leave(router_calls_t *self, const call_t *call)
{
    self->running_count--;
    self->running_at[psp_index(call->psp)]--;
}

/* A call before this one opened it, and its answer was lost: its checkout is asked for instead. */
static bool find_instead(router_calls_t *self, call_t *call, const psp_checkout_answer_t *answer)
{
    const uint32_t call_timeout_ms = timeout_ms(self, call);
    if (!answer->exists || call->finding || call_timeout_ms == 0 ||
        !psp_checkout_find_request(call->psp, psp_account_of(self->config.accounts, call->psp),
                                   &call->checkout, &call->request))
        return false;
    call->finding = true;
    leave(self, call);
    submit(self, call, call_timeout_ms);
    return true;
}

bool router_calls_next(router_calls_t *self, router_call_ended_t *ended)
{
    for (size_t psp = 0; psp < PSP_COUNT; psp++)
        if (take_late(self, psp, ended))
            return true;
    void *cookie;
    http_client_response_t response;
    while (psp_client_next(self->http, &cookie, &response)) {
        call_t *call = cookie;
        psp_checkout_read(call->psp, &response, &ended->answer);
        psp_checkout_keep_to_https(psp_account_of(self->config.accounts, call->psp),
                                   &ended->answer);
        buf_free(&response.body);
        if (find_instead(self, call, &ended->answer))
            continue;
        ended->cookie = call->cookie;
        ended->made = true;
        ended->took_ms = response.took_ms;
        leave(self, call);
        call_free(call);
        return true;
    }
    return false;
}

size_t router_calls_waiting(const router_calls_t *self)
{
    return self->waiting_count;
}

size_t router_calls_pending(const router_calls_t *self)
{
    return self->waiting_count + self->running_count;
}
