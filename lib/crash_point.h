/* crash_point.h - places in the code where a test can have the process die, by name.
 *
 * TIFFIN_CRASH_AT=<name>[:<n>] (TIFFIN_ENV=dev only) ends the process with SIGKILL, as a power failure would, when it passes that
 * point for the n-th time (1 when left out). Not set, a point costs one comparison. The names are the rows of CRASH_POINTS.
 */
#ifndef TIFFIN_LIB_CRASH_POINT_H
#define TIFFIN_LIB_CRASH_POINT_H

#include <stdbool.h>

/* POINT(name, program, "what has just happened, and what has not yet") */
#define CRASH_POINTS(POINT)                                                                                          \
    POINT(gateway_appended, "gateway", "a webhook is on disk in the stream; it is not answered")                     \
    POINT(gateway_replied, "gateway", "a service has answered; the client has not been")                             \
    POINT(order_committed, "order", "orders are committed; nobody is answered")                                      \
    POINT(router_begun, "router", "payments and attempts are committed; no PSP is called")                           \
    POINT(router_psp_answered, "router", "a PSP has opened a checkout; it is not committed")                         \
    POINT(router_recorded, "router", "attempts are committed; nobody is answered")                                   \
    POINT(router_refund_reserved, "router", "refunds are committed; nobody is answered, no PSP is called")           \
    POINT(router_refund_claimed, "router", "due refunds are claimed; no PSP is called")                              \
    POINT(router_refund_answered, "router", "a PSP has refunded; its answer is not in the stream")                   \
    POINT(router_refund_appended, "router", "the answer is in the stream; the refund's row does not know it")        \
    POINT(router_capture_claimed, "router", "due captures and voids are claimed; no PSP is called")                   \
    POINT(router_capture_answered, "router", "a PSP has captured or voided; it is not noted")                         \
    POINT(processor_read, "webhook-processor", "entries are delivered; nothing is committed")                        \
    POINT(processor_committed, "webhook-processor", "the effect is committed; nothing is acknowledged")              \
    POINT(processor_acknowledged, "webhook-processor", "entries are acknowledged; nothing is published")             \
    POINT(reconciler_asked, "reconciler", "a PSP has answered; nothing is in the stream")                            \
    POINT(reconciler_appended, "reconciler", "the answer is in the stream; the run does not know it")                \
    POINT(notifier_read, "notifier", "events are read from the outbox; no gateway has them")                         \
    POINT(notifier_sent, "notifier", "events are sent to the gateways, which may not have them yet")

#define CRASH_POINT_MEMBER(name, program, doc) CRASH_POINT_##name,
typedef enum crash_point { CRASH_POINTS(CRASH_POINT_MEMBER) CRASH_POINT_COUNT } crash_point_t;
#undef CRASH_POINT_MEMBER

/* Once, after the settings are read. False with the reason in *why (static) when `spec` (may be NULL) names no point, or names one
 * and it is not dev. */
bool crash_point_arm(const char *spec, bool dev, const char **why);
/* Is this point armed? For code that has to do in two steps what it otherwise does in one. */
bool crash_point_armed(crash_point_t point);
/* Passes the point: returns, or does not. Any thread. */
void crash_point_pass(crash_point_t point);
#define CRASH_POINT(name) crash_point_pass(CRASH_POINT_##name)

#endif
