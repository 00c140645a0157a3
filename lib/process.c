/* process.c - see process.h. */
#include "lib/process.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>

#include "lib/clock.h"
#include "lib/crash_point.h"
#include "lib/log.h"

static int64_t started_us; /* before any other thread, then never again */

int64_t process_started_us(void)
{
    return started_us;
}

/* A sandbox may forbid it: then all works as before, at more switches. */
static void batch_scheduling(void)
{
    if (sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}) != 0)
        log_warn(NULL, "scheduling policy not set", "policy=SCHED_BATCH reason=\"%s\"",
                 strerror(errno));
}

/* Keys of PSPs and passwords are in memory, and in the environment, as long as the process lives.
 */
static void forbid_cores(void)
{
    if (prctl(PR_SET_DUMPABLE, 0) != 0)
        log_warn(NULL, "cores not forbidden", "reason=\"%s\"", strerror(errno));
}

bool process_start(const char *service, const process_settings_t *settings, const char **instance)
{
    started_us = clock_wall_us();
    const bool dev = config_is_dev(settings->tiffin_env);
    *instance = config_instance(service);
    log_level_t level;
    if (!log_level_parse(settings->log_level, &level))
        config_refuse("LOG_LEVEL", "not one of debug, info, warn, error");
    log_init(service, *instance, level);
    const char *why;
    if (!crash_point_arm(settings->crash_at, dev, &why))
        config_refuse("TIFFIN_CRASH_AT", why);
    if (!dev && !settings->core_dumps)
        forbid_cores();
    if (settings->sched_batch)
        batch_scheduling();
    return dev;
}
