/* main.c - life of tiffin-router: see router.c for what it does. */
#include <string.h>

#include "services/router/router.h"
#include "services/router/router_replay.h"

static router_config_t config;

static const char purpose[] =
    "opens checkouts at payment service providers, shows payments\n"
    "\n"
    "  tiffin-router --replay PAYMENT_ID\n"
    "      makes the decisions about where this payment went again, from what is kept of them in\n"
    "      DATABASE_URL; exits 0 when each is the same, 1 when one is not, 2 when there is none";

int main(int argc, char **argv)
{
    const bool replays = argc == 3 && strcmp(argv[1], "--replay") == 0;
    service_process_init();
    config_load("tiffin-router", purpose, router_settings, &config, replays ? 1 : argc, argv);
    if (replays)
        return router_replay(config.database_url, argv[2]);
    service_t service;
    service_init(&service, "router", &config.service);
    router_t *router = router_new(&service, &config);
    service_start(&service, SERVICE_CREDIT_DEFAULT, &router_bus_handlers, router, router_idle);

    const int exit_code = service_run(&service);

    service_stop(&service);
    router_destroy(&router);
    service_destroy(&service);
    return exit_code;
}
