/* reconciler_rules.c - see reconciler_rules.h. */
#include "services/reconciler/reconciler_rules.h"

bool reconciler_is_news(psp_fact_kind_t kind, bool failure_known)
{
    if (kind == PSP_FACT_NONE)
        return false;
    return kind != PSP_FACT_FAILED || !failure_known;
}

bool reconciler_psp_rests(unsigned failures_in_a_row)
{
    return failures_in_a_row >= RECONCILER_FAILURES_IN_A_ROW_MAX;
}

unsigned reconciler_slots(unsigned calls_max, bool fail)
{
    const unsigned quarter = calls_max / 4, slots = fail ? quarter : calls_max - quarter;
    return slots > 0 ? slots : 1;
}

int64_t reconciler_turn_ms(int64_t planned_ms, int64_t now_ms, int64_t tick_ms)
{
    return now_ms - planned_ms < tick_ms ? planned_ms : now_ms;
}

int64_t reconciler_next_run_ms(int64_t planned_ms, int64_t now_ms, int64_t interval_ms)
{
    if (now_ms < planned_ms)
        return planned_ms + interval_ms;
    return planned_ms + ((now_ms - planned_ms) / interval_ms + 1) * interval_ms;
}
