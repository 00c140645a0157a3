/* metrics_server.c - see metrics_server.h. */
#include "lib/metrics_server.h"

#include <stdlib.h>

#include "lib/http_server.h"
#include "lib/prometheus.h"

enum { THREADS = 4, KEEP_ALIVE_TIMEOUT_MS = 5000 };

struct metrics_server {
    http_server_t *http;
    void (*print)(void *arg, buf_t *text);
    void *arg;
};

static void get_metrics(http_request_t *request)
{
    const metrics_server_t *self = request->self;
    buf_t text = {0};
    self->print(self->arg, &text);
    http_respond(request, 200, PROMETHEUS_CONTENT_TYPE, text.data, text.size);
    buf_free(&text);
}

static void get_healthz(http_request_t *request)
{
    http_respond(request, 200, "text/plain; charset=utf-8", "ok\n", 3);
}

static const http_route_t routes[] = {{"GET", "/metrics", get_metrics, 0},
                                      {"GET", "/healthz", get_healthz, 0},
                                      {NULL, NULL, NULL, 0}};

metrics_server_t *metrics_server_new(const char *addr, void (*print)(void *arg, buf_t *text),
                                     void *arg, err_detail_t *detail)
{
    metrics_server_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->print = print;
    self->arg = arg;
    self->http =
        http_server_new(&(http_server_config_t){.addr = addr,
                                                .threads = THREADS,
                                                .keep_alive_timeout_ms = KEEP_ALIVE_TIMEOUT_MS,
                                                .routes = routes,
                                                .self = self},
                        detail);
    if (self->http == NULL) {
        free(self);
        return NULL;
    }
    return self;
}

void metrics_server_destroy(metrics_server_t **self_p)
{
    metrics_server_t *self = *self_p;
    if (self == NULL)
        return;
    http_server_destroy(&self->http);
    free(self);
    *self_p = NULL;
}

unsigned metrics_server_port(const metrics_server_t *self)
{
    return http_server_port(self->http);
}
