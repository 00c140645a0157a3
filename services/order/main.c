/* main.c - life of tiffin-order: see order.c for what it does. */
#include "services/order/order.h"

static order_config_t config;

int main(int argc, char **argv)
{
    service_process_init();
    config_load("tiffin-order", "creates, shows, lists and expires orders", order_settings, &config,
                argc, argv);
    service_t service;
    service_init(&service, "order", &config.service);
    order_service_t *order = order_service_new(&service, &config);
    service_start(&service, SERVICE_CREDIT_DEFAULT, &order_bus_handlers, order, NULL);

    const int exit_code = service_run(&service);

    service_stop(&service);
    order_service_destroy(&order);
    service_destroy(&service);
    return exit_code;
}
