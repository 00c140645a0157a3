/* gateway.h - the gateway process: its settings, its parts, their wiring and their end. */
#ifndef TIFFIN_GATEWAY_GATEWAY_H
#define TIFFIN_GATEWAY_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/auth.h"
#include "gateway/hub_thread.h"
#include "gateway/metrics.h"
#include "gateway/redis_thread.h"
#include "gateway/webhook_intake.h"
#include "gateway/websocket.h"
#include "lib/actor.h"
#include "lib/config.h"
#include "lib/http_server.h"
#include "lib/payment/psp_accounts.h"
#include "lib/process.h"

typedef struct gateway_config {
    process_settings_t process;
    const char *api_addr, *hub_bind, *tap_bind, *redis_url;
    const char *api_keys_file, *tls_cert_file, *ws_token_secret;
    int64_t ws_max, ws_token_ttl_s, http_threads;
    psp_accounts_t psps;
} gateway_config_t;

extern const config_entry_t gateway_settings[];

typedef struct gateway {
    const gateway_config_t *config;
    const char *instance;
    bool dev;
    _Atomic bool draining;
    int64_t drained_since_ms; /* 0: not draining */
    auth_t *auth;
    const char *token_secrets; /* what tokens for WebSockets are signed with */
    metrics_t *metrics;
    websockets_t *websockets;
    redis_thread_t *redis;
    hub_thread_t *hub;
    webhook_intake_t intake;
    http_server_t *server;
} gateway_t;

/* Starts everything; a bad setting or an address that cannot be bound ends the process with
 * exit 78. */
void gateway_start(gateway_t *self, const gateway_config_t *config);
/* Wires SIGTERM: not ready, no new connections, every request answered, sockets told to go. */
void gateway_wire_drain(gateway_t *self, actor_t *actor);
void gateway_stop(gateway_t *self);

#endif
