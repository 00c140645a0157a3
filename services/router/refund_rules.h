/* refund_rules.h - when a PSP is asked again about a refund. Pure. */
#ifndef TIFFIN_SERVICES_REFUND_RULES_H
#define TIFFIN_SERVICES_REFUND_RULES_H

#include <stdbool.h>
#include <stdint.h>

enum {
    REFUND_RETRY_FIRST_MS = 1000, /* what came of the call is not known */
    REFUND_POLL_FIRST_MS = 10000, /* the PSP is at it, or its answer is on its way to the facts */
    REFUND_RETRY_MOST_MS = 300000,
};

/* After the `calls`-th call (1 …): the first wait, doubled with each call up to
 * REFUND_RETRY_MOST_MS. `answered`: the PSP has told how the refund stands. It is asked until a
 * fact says how the refund ended; never given up. */
int64_t refund_retry_after_ms(bool answered, int calls);

#endif
