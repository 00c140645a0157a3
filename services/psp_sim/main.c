/* main.c - life of tiffin-psp-sim: see sim.c for what it does. */
#include "services/psp_sim/sim.h"

static sim_config_t config;

int main(int argc, char **argv)
{
    actor_process_init();
    config_load("tiffin-psp-sim", sim_purpose, sim_settings, &config, argc, argv);
    actor_t *actor = actor_new();
    sim_t *sim = sim_new(actor, &config);

    const int exit_code = actor_run(actor);

    sim_destroy(&sim);
    actor_destroy(&actor);
    return exit_code;
}
