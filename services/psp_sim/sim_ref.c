/* sim_ref.c - see sim_ref.h. */
#include "services/psp_sim/sim_ref.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#include "lib/err.h"

uint64_t sim_serial(void)
{
    uint64_t serial;
    CHECK(getrandom(&serial, sizeof serial, 0) == (ssize_t)sizeof serial);
    return serial;
}

const char *sim_ref(char text[SIM_REF_SIZE], const char *kind, const psp_t *psp, uint64_t serial)
{
    int start = snprintf(text, SIM_REF_SIZE, "%s_", kind);
    snprintf(text + start, (size_t)(SIM_REF_SIZE - start), "%s_%016" PRIx64, psp_name(psp), serial);
    for (char *at = text; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return text;
}
