/* reconciler_rules.c - see reconciler_rules.h. */
#include "services/reconciler/reconciler_rules.h"

bool reconciler_is_news(psp_fact_kind_t kind, bool failure_known)
{
    switch (kind) {
    case PSP_FACT_NONE:
        return false;
    case PSP_FACT_FAILED:
        return !failure_known;
    case PSP_FACT_CAPTURED:
        return true;
    }
    return false;
}

bool reconciler_psp_rests(unsigned failures_in_a_row)
{
    return failures_in_a_row >= RECONCILER_FAILURES_IN_A_ROW_MAX;
}

int64_t reconciler_next_run_ms(int64_t planned_ms, int64_t now_ms, int64_t interval_ms)
{
    if (now_ms < planned_ms)
        return planned_ms + interval_ms;
    return planned_ms + ((now_ms - planned_ms) / interval_ms + 1) * interval_ms;
}
