/* main.c - life of tiffin-router: see router.c for what it does. */
#include "services/router/router.h"

static router_config_t config;

int main(int argc, char **argv)
{
    service_process_init();
    config_load("tiffin-router", "opens checkouts at payment service providers, shows payments",
                router_settings, &config, argc, argv);
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
