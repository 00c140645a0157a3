/* refund_rules.c - see refund_rules.h. */
#include "services/router/refund_rules.h"

int64_t refund_retry_after_ms(bool answered, int calls)
{
    int64_t wait_ms = answered ? REFUND_POLL_FIRST_MS : REFUND_RETRY_FIRST_MS;
    for (int i = 1; i < calls && wait_ms < REFUND_RETRY_MOST_MS; i++)
        wait_ms *= 2;
    return wait_ms < REFUND_RETRY_MOST_MS ? wait_ms : REFUND_RETRY_MOST_MS;
}
