/* reconciler_rules.h - what the reconciler decides. Pure: no I/O, no clock, no allocation. */
#ifndef TIFFIN_SERVICES_RECONCILER_RULES_H
#define TIFFIN_SERVICES_RECONCILER_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/payment/psp.h"

/* Calls to one PSP that failed one after the other, after which it is left alone for the rest of a
 * run: one that hangs would otherwise hold every slot for its timeout, again and again, while the
 * others wait. */
enum { RECONCILER_FAILURES_IN_A_ROW_MAX = 12 };

/* Does a PSP's answer tell anything that is not known? `failure_known`: a failure of this payment
 * is on record. What is asked about has no capture on record, so a capture is always news; a second
 * failure would change nothing. */
bool reconciler_is_news(psp_fact_kind_t kind, bool failure_known);

/* Is the PSP left alone for the rest of the run? */
bool reconciler_psp_rests(unsigned failures_in_a_row);

/* How many of all calls at once are one PSP's at most: never all, so that one that hangs leaves
 * some to the others, and few while its calls `fail`. At least one. */
unsigned reconciler_slots(unsigned calls_max, bool fail);

/* From when a PSP's next turn is reckoned, whose turn was planned for planned_ms and is taken at
 * now_ms: whoever looks every tick_ms must not slow the PSP's own beat. */
int64_t reconciler_turn_ms(int64_t planned_ms, int64_t now_ms, int64_t tick_ms);

/* When the next run begins: the first of planned_ms + n * interval_ms (n at least 1) that lies
 * after now_ms. */
int64_t reconciler_next_run_ms(int64_t planned_ms, int64_t now_ms, int64_t interval_ms);

#endif
