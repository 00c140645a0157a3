/* crash_point.c - see crash_point.h. */
#include "lib/crash_point.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {
#define CRASH_POINT_NAME(name, program, doc) #name,
    CRASH_POINTS(CRASH_POINT_NAME)
#undef CRASH_POINT_NAME
};

static crash_point_t armed = CRASH_POINT_COUNT;
static _Atomic long left;

bool crash_point_arm(const char *spec, bool dev, const char **why)
{
    if (spec == NULL || spec[0] == '\0')
        return true;
    if (!dev) {
        *why = "only taken in TIFFIN_ENV=dev";
        return false;
    }
    const size_t name_size = strcspn(spec, ":");
    long passes = 1;
    if (spec[name_size] == ':') {
        char *end;
        passes = strtol(spec + name_size + 1, &end, 10);
        if (*end != '\0' || end == spec + name_size + 1 || passes < 1) {
            *why = "what follows the colon must be a number from 1 on";
            return false;
        }
    }
    for (int i = 0; i < CRASH_POINT_COUNT; i++) {
        if (strlen(names[i]) == name_size && strncmp(names[i], spec, name_size) == 0) {
            atomic_store(&left, passes);
            armed = (crash_point_t)i;
            return true;
        }
    }
    *why = "there is no such crash point";
    return false;
}

bool crash_point_armed(crash_point_t point)
{
    return point == armed;
}

void crash_point_pass(crash_point_t point)
{
    if (point != armed || atomic_fetch_sub(&left, 1) != 1)
        return;
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}
