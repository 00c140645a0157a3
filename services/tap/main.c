/* main.c - tiffin-tap: lifecycle only. */
#include <stdio.h>

#include "lib/config.h"
#include "lib/log.h"
#include "services/tap/tap.h"

typedef struct tap_config {
    const char *tap_addr;
} tap_config_t;

static const config_entry_t table[] = {
    CONFIG_TEXT("TAP_ADDR", tap_config_t, tap_addr, TAP_ADDR_DEFAULT, 0, "every gateway's tap"),
    CONFIG_END,
};

static int refuse(const err_detail_t *detail)
{
    fprintf(stderr, "config: %s\n", detail->text);
    return EXIT_CONFIG;
}

int main(int argc, char **argv)
{
    static tap_config_t config;
    static tap_options_t options;
    err_detail_t detail;
    if (tap_options_parse(argc, argv, &options, &detail) != ERR_OK)
        return refuse(&detail);
    if (options.help) {
        tap_options_help(stdout);
        return 0;
    }
    if (options.version) {
        printf("tiffin-tap %s\n", TIFFIN_VERSION);
        return 0;
    }
    actor_process_init();
    config_load("tiffin-tap", "shows what passes through the hubs", table, &config, 1, argv);
    log_init("tap", config_instance("tap"), LOG_LEVEL_WARN);

    actor_t *actor = actor_new();
    tap_t *tap;
    const char *addr = options.connect != NULL ? options.connect : config.tap_addr;
    if (tap_new(actor, &options, addr, &tap, &detail) != ERR_OK) {
        actor_destroy(&actor);
        fprintf(stderr, "config: %s: %s\n", options.connect != NULL ? "--connect" : "TAP_ADDR",
                detail.text);
        return EXIT_CONFIG;
    }
    int status = actor_run(actor);
    if (status == 0)
        status = tap_exit_status(tap);
    tap_destroy(&tap);
    actor_destroy(&actor);
    return status;
}
