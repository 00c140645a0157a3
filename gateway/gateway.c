/* gateway.c - see gateway.h. Parts are started so that each finds what it needs, and stopped in
 * reverse. */
#include "gateway/gateway.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "gateway/events.h"
#include "gateway/handlers.h"
#include "gateway/ws_token.h"
#include "lib/clock.h"
#include "lib/limits.h"
#include "lib/log.h"

enum {
    KEEP_ALIVE_TIMEOUT_MS = 5000,
    DRAIN_TIMEOUT_MS = REQUEST_BUDGET_MS + 2000,
    DRAIN_QUIET_MS = 300, /* nothing in flight for so long: what was on its way has arrived */
    WEBSOCKETS_DRAIN_MS = 2000
};

const config_entry_t gateway_settings[] = {
    PROCESS_SETTINGS(gateway_config_t, process),
    CONFIG_TEXT("API_ADDR", gateway_config_t, api_addr, "127.0.0.1:8080", 0,
                "where HTTP is served"),
    CONFIG_TEXT("HUB_BIND", gateway_config_t, hub_bind, "tcp://127.0.0.1:5550", 0,
                "where services connect"),
    CONFIG_TEXT("TAP_BIND", gateway_config_t, tap_bind, "tcp://127.0.0.1:5551", 0,
                "where tiffin-tap connects"),
    CONFIG_TEXT("REDIS_URL", gateway_config_t, redis_url, "redis://127.0.0.1:6379", CONFIG_SECRET,
                "where verified webhooks are queued"),
    CONFIG_INT("WS_MAX", gateway_config_t, ws_max, 1000, 0, 20000, 0,
               "WebSockets held; more get 503"),
    CONFIG_INT("HTTP_THREADS", gateway_config_t, http_threads, 128, 1, 4096, 0,
               "requests handled at once (WebSockets have threads of their own)"),
    CONFIG_TEXT("API_KEYS_FILE", gateway_config_t, api_keys_file, NULL, 0,
                "lines `name scope[,scope] sha256-of-key`; needed in prod"),
    CONFIG_TEXT("WS_TOKEN_SECRET", gateway_config_t, ws_token_secret, NULL, CONFIG_SECRET,
                "what tokens for WebSockets are signed with, the same at every gateway, 32 bytes "
                "or more; needed in prod; several, comma separated, while one replaces another: "
                "the first signs, all are taken"),
    CONFIG_INT("WS_TOKEN_TTL_S", gateway_config_t, ws_token_ttl_s, 900, 1, 86400, 0,
               "for how long such a token opens a socket"),
    CONFIG_TEXT("TLS_CERT_FILE", gateway_config_t, tls_cert_file, NULL, 0,
                "refused: HTTPS needs a proxy in front of API_ADDR"),
    PSP_ACCOUNT_SETTINGS(gateway_config_t, psps),
    CONFIG_END};

/* ---- routes ---- */

gateway_t *gateway_of(const http_request_t *request)
{
    return request->self;
}

static bool is_allowed(http_request_t *request, auth_scope_t scope)
{
    if (scope == AUTH_NONE)
        return true;
    err_t err = auth_check(gateway_of(request)->auth, request, scope);
    if (err != ERR_OK)
        http_respond_problem(request, err, NULL);
    return err == ERR_OK;
}

#define ROUTE(method, path, handler, scope, body_max_bytes) \
    static void allowed_##handler(http_request_t *request)  \
    {                                                       \
        if (is_allowed(request, scope))                     \
            handler(request);                               \
    }
#include "gateway/routes.def"
#undef ROUTE

static const http_route_t routes[] = {
#define ROUTE(method, path, handler, scope, body_max_bytes) \
    {method, path, allowed_##handler, body_max_bytes},
#include "gateway/routes.def"
#undef ROUTE
    {NULL, NULL, NULL, 0}};

static void observe(void *arg, const http_request_t *request, const http_route_t *route,
                    int64_t took_us)
{
    gateway_t *self = arg;
    metrics_http(self->metrics, request->method, route != NULL ? route->pattern : NULL,
                 request->status, took_us);
}

static void observe_webhook(void *arg, const webhook_received_t *webhook,
                            const http_request_t *request)
{
    gateway_t *self = arg;
    hub_thread_event(self->hub, MSG_webhook_received, webhook, &request->request_id,
                     request->traceparent);
}

/* ---- start ---- */

static bool is_loopback(const char *endpoint)
{
    return strncmp(endpoint, "tcp://127.", 10) == 0 || strncmp(endpoint, "tcp://[::1]", 11) == 0 ||
           strncmp(endpoint, "ipc://", 6) == 0;
}

static void check_production(const gateway_config_t *config)
{
    if (config->api_keys_file == NULL)
        config_refuse("API_KEYS_FILE",
                      "is needed in prod: without keys everybody may create orders");
    if (!is_loopback(config->hub_bind))
        config_refuse(
            "HUB_BIND",
            "must be a loopback address in prod: what crosses a network must be encrypted (CURVE)");
    if (!is_loopback(config->tap_bind))
        config_refuse(
            "TAP_BIND",
            "must be a loopback address in prod: what crosses a network must be encrypted (CURVE)");
}

/* civetweb 1.15 as Debian 12 builds it looks for a function that OpenSSL 3 no longer has, and calls
 * it in each handshake all the same: a process that served HTTPS would end with its first client.
 */
static void refuse_tls(const gateway_config_t *config)
{
    if (config->tls_cert_file != NULL)
        config_refuse("TLS_CERT_FILE", "the HTTP library of this system cannot serve TLS: end it "
                                       "in a proxy in front of API_ADDR");
}

static void start_parts(gateway_t *self)
{
    const gateway_config_t *config = self->config;
    err_detail_t detail = {{0}};
    if (auth_load(config->api_keys_file, &self->auth, &detail) != ERR_OK)
        config_refuse("API_KEYS_FILE", detail.text);
    const char *reason;
    self->token_secrets = ws_token_secrets(config->ws_token_secret, self->dev, &reason);
    if (self->token_secrets == NULL)
        config_refuse("WS_TOKEN_SECRET", reason);
    self->metrics = metrics_new();
    self->websockets =
        websockets_new(&(websockets_config_t){.read_events = events_read_for_socket,
                                              .read_events_arg = self,
                                              .max = (unsigned)config->ws_max,
                                              .needs_token = auth_has_keys(self->auth),
                                              .token_secrets = self->token_secrets});
    self->redis = redis_thread_new(config->redis_url, &detail);
    if (self->redis == NULL)
        config_refuse("REDIS_URL", detail.text);
    self->hub = hub_thread_new(&(hub_thread_config_t){.hub_bind = config->hub_bind,
                                                      .tap_bind = config->tap_bind,
                                                      .instance = self->instance,
                                                      .websockets = self->websockets,
                                                      .metrics = self->metrics},
                               &detail);
    if (self->hub == NULL)
        config_refuse("HUB_BIND or TAP_BIND", detail.text);
    self->intake = (webhook_intake_t){.redis = self->redis,
                                      .accounts = &config->psps,
                                      .dev = self->dev,
                                      .observe = observe_webhook,
                                      .observe_arg = self};
    self->server = http_server_new(
        &(http_server_config_t){.addr = config->api_addr,
                                .threads = (unsigned)(config->http_threads + config->ws_max),
                                .keep_alive_timeout_ms = KEEP_ALIVE_TIMEOUT_MS,
                                .tls_cert_file = config->tls_cert_file,
                                .routes = routes,
                                .self = self,
                                .observe = observe},
        &detail);
    if (self->server == NULL)
        config_refuse("API_ADDR", detail.text);
    websockets_attach(self->websockets, self->server);
}

void gateway_start(gateway_t *self, const gateway_config_t *config)
{
    memset(self, 0, sizeof *self);
    self->config = config;
    self->dev = process_start("gateway", &config->process, &self->instance);
    psp_accounts_check((psp_accounts_t *)(uintptr_t)&config->psps, self->dev);
    if (!self->dev)
        check_production(config);
    refuse_tls(config);
    start_parts(self);
    log_info(NULL, "gateway serves", "port=%u hub=%s tap=%s", http_server_port(self->server),
             hub_thread_endpoint(self->hub), hub_thread_tap_endpoint(self->hub));
}

/* ---- end ---- */

static void on_drain(void *arg)
{
    gateway_t *self = arg;
    atomic_store(&self->draining, true);
    self->drained_since_ms = clock_mono_ms();
    http_server_drain(self->server);
}

/* Quiet for a moment, so that whatever a client had sent before it could know is answered too. */
static bool is_drained(void *arg)
{
    gateway_t *self = arg;
    const int64_t now_ms = clock_mono_ms();
    if (http_server_in_flight(self->server) > 0)
        self->drained_since_ms = now_ms;
    return now_ms - self->drained_since_ms >= DRAIN_QUIET_MS;
}

void gateway_wire_drain(gateway_t *self, actor_t *actor)
{
    actor_set_drain(actor, on_drain, is_drained, self, DRAIN_TIMEOUT_MS);
}

void gateway_stop(gateway_t *self)
{
    websockets_drain(self->websockets, WEBSOCKETS_DRAIN_MS);
    http_server_destroy(&self->server);
    hub_thread_destroy(&self->hub);
    redis_thread_destroy(&self->redis);
    websockets_destroy(&self->websockets);
    metrics_destroy(&self->metrics);
    auth_destroy(&self->auth);
}
