/* main.c - life of tiffin-reconciler: see reconciler.c for what it does. */
#include "services/reconciler/reconciler.h"

static reconciler_config_t config;

enum { OPERATORS_CREDIT = 16 };

int main(int argc, char **argv)
{
    service_process_init();
    config_load("tiffin-reconciler", "asks payment service providers about what is not settled",
                reconciler_settings, &config, argc, argv);
    service_t service;
    service_init(&service, "reconciler", &config.service);
    reconciler_t *reconciler = reconciler_new(&service, &config);
    service_start(&service, OPERATORS_CREDIT, &reconciler_bus_handlers, reconciler,
                  reconciler_idle);

    const int exit_code = service_run(&service);

    service_stop(&service);
    reconciler_destroy(&reconciler);
    service_destroy(&service);
    return exit_code;
}
