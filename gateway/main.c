/* main.c - life of tiffin-gateway: see gateway.c for its parts. */
#include "gateway/gateway.h"

static gateway_config_t config;

int main(int argc, char **argv)
{
    actor_process_init();
    config_load("tiffin-gateway",
                "the edge: REST, WebSockets, webhooks; the hub that services connect to; the tap",
                gateway_settings, &config, argc, argv);
    static gateway_t gateway;
    gateway_start(&gateway, &config);
    actor_t *actor = actor_new();
    gateway_wire_drain(&gateway, actor);

    const int exit_code = actor_run(actor);

    gateway_stop(&gateway);
    actor_destroy(&actor);
    return exit_code;
}
