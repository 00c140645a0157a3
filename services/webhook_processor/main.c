/* main.c - life of tiffin-webhook-processor: see consumer.c for what it does. */
#include "services/webhook_processor/webhook_processor.h"

static webhook_processor_config_t config;

enum { ADMIN_CREDIT = 16 };

int main(int argc, char **argv)
{
    service_process_init();
    config_load("tiffin-webhook-processor",
                "applies the webhooks that wait in the stream, each exactly once",
                webhook_processor_settings, &config, argc, argv);
    service_t service;
    service_init(&service, "webhook-processor", &config.service);
    webhook_processor_t *processor = webhook_processor_new(&service, &config);
    service_start(&service, ADMIN_CREDIT, &webhook_processor_bus_handlers, processor, NULL);

    const int exit_code = service_run(&service);

    webhook_processor_destroy(&processor);
    service_stop(&service);
    service_destroy(&service);
    return exit_code;
}
