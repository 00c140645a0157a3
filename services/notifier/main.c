/* main.c - life of tiffin-notifier: see notifier.c for what it does. */
#include "services/notifier/notifier.h"

static notifier_config_t config;

int main(int argc, char **argv)
{
    service_process_init();
    config_load("tiffin-notifier",
                "takes every event of the feed to the gateways and their WebSockets",
                notifier_settings, &config, argc, argv);
    service_t service;
    service_init(&service, "notifier", &config.service);
    notifier_t *notifier = notifier_new(&service, &config);
    service_start(&service, NOTIFIER_CREDIT, &notifier_bus_handlers, notifier, NULL);

    const int exit_code = service_run(&service);

    service_stop(&service);
    notifier_destroy(&notifier);
    service_destroy(&service);
    return exit_code;
}
