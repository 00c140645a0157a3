/* webhook_sink.h - a gateway of a test: an HTTP server in this process that takes webhooks, keeps
 * them, and answers the first `refusals` of them with 503. */
#ifndef TIFFIN_TESTS_WEBHOOK_SINK_H
#define TIFFIN_TESTS_WEBHOOK_SINK_H

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/http_server.h"
#include "lib/payment/psp.h"
#include "tests/support/psp_verify.h"
#include "tests/support/test_main.h"

enum { WEBHOOK_SINK_KEPT = 128, WEBHOOK_SINK_BODY_SIZE = 1024, WEBHOOK_SINK_PATIENCE_S = 20 };

typedef struct webhook_sink {
    pthread_mutex_t lock;
    pthread_cond_t got;
    http_server_t *server;
    char url[64]; /* for PSP_SIM_WEBHOOK_URL */
    /* Under the lock; what was taken before webhook_sink_await returned may be read without it. */
    unsigned refusals, count;
    char paths[WEBHOOK_SINK_KEPT][32], bodies[WEBHOOK_SINK_KEPT][WEBHOOK_SINK_BODY_SIZE];
} webhook_sink_t;

static void webhook_sink_take(http_request_t *request)
{
    webhook_sink_t *sink = request->self;
    pthread_mutex_lock(&sink->lock);
    bool refused = sink->count < sink->refusals;
    if (sink->count < WEBHOOK_SINK_KEPT) {
        snprintf(sink->paths[sink->count], sizeof sink->paths[0], "%s", request->path);
        str_copy(request->body, sink->bodies[sink->count], sizeof sink->bodies[0]);
    }
    sink->count++;
    pthread_cond_broadcast(&sink->got);
    pthread_mutex_unlock(&sink->lock);
    http_respond(request, refused ? 503 : 200, "application/json", "{}", 2);
}

static inline void webhook_sink_open(webhook_sink_t *sink, unsigned refusals)
{
    static const http_route_t routes[] = {{"POST", "/webhooks/{psp}", webhook_sink_take, 4096},
                                          {NULL, NULL, NULL, 0}};
    err_detail_t detail;
    memset(sink, 0, sizeof *sink);
    sink->refusals = refusals;
    pthread_mutex_init(&sink->lock, NULL);
    pthread_cond_init(&sink->got, NULL);
    http_server_config_t config = {.addr = "127.0.0.1:0",
                                   .threads = 8,
                                   .keep_alive_timeout_ms = 1000,
                                   .routes = routes,
                                   .self = sink};
    sink->server = http_server_new(&config, &detail);
    assert_non_null(sink->server);
    snprintf(sink->url, sizeof sink->url, "http://127.0.0.1:%u/webhooks",
             http_server_port(sink->server));
}

static inline void webhook_sink_close(webhook_sink_t *sink)
{
    http_server_destroy(&sink->server);
    pthread_cond_destroy(&sink->got);
    pthread_mutex_destroy(&sink->lock);
}

/* As if nothing had come. Nobody may be sending. */
static inline void webhook_sink_forget(webhook_sink_t *sink)
{
    pthread_mutex_lock(&sink->lock);
    sink->count = 0;
    pthread_mutex_unlock(&sink->lock);
}

static inline unsigned webhook_sink_count(webhook_sink_t *sink)
{
    pthread_mutex_lock(&sink->lock);
    unsigned count = sink->count;
    pthread_mutex_unlock(&sink->lock);
    return count;
}

/* Waits until so many have come in all. */
static inline void webhook_sink_await(webhook_sink_t *sink, unsigned wanted)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WEBHOOK_SINK_PATIENCE_S;
    pthread_mutex_lock(&sink->lock);
    while (sink->count < wanted && pthread_cond_timedwait(&sink->got, &sink->lock, &until) == 0)
        continue;
    unsigned got = sink->count;
    pthread_mutex_unlock(&sink->lock);
    if (got < wanted)
        fail_msg("%u webhooks of %u", got, wanted);
}

static const char *webhook_sink_no_header(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return NULL;
}

/* What the webhook at `index` says to the connector of its PSP, whose first secret is `secret`. */
static inline psp_report_t webhook_sink_report(const webhook_sink_t *sink, unsigned index,
                                               const psp_t *psp, const char *secret)
{
    psp_account_t account = {.webhook_secrets = secret};
    psp_report_t report;
    err_detail_t detail;
    if (psp_verify_one(psp, &account, true, webhook_sink_no_header, NULL,
                       str_of(sink->bodies[index]), 0, &report, &detail) != ERR_OK)
        fail_msg("%s: %s", detail.text, sink->bodies[index]);
    return report;
}

#endif
