/* webhook_item.h - one entry of the webhook queue on its way through the processor: raw, read,
 * decided. Pure: no I/O, no clock. */
#ifndef TIFFIN_SERVICES_WEBHOOK_ITEM_H
#define TIFFIN_SERVICES_WEBHOOK_ITEM_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/payment/psp.h"
#include "lib/text.h"
#include "lib/uuid.h"

typedef enum webhook_outcome {
    WEBHOOK_UNDECIDED,
    WEBHOOK_APPLIED,
    WEBHOOK_DUPLICATE,
    WEBHOOK_PARKED,
    WEBHOOK_DEAD
} webhook_outcome_t;

typedef struct webhook_item {
    /* As queued; texts are borrowed from the reply or result they came in. */
    str_t entry_id; /* in the stream; {NULL, 0} for a parked item that is tried again */
    str_t psp, event_id, source, body, headers, request_id, traceparent;
    int64_t received_at_us;
    int64_t inbox_id;    /* the row that it was taken from; 0: it comes from the stream */
    int64_t deliveries;  /* how often it was given to somebody since it was last decided */
    int32_t http_status; /* of an answer to us */
    uuid_t payment_id;   /* as the intake understood it */
    uuid_t refund_id;    /* the refund that an answer to us is about */

    /* As read by the PSP's connector. */
    bool malformed;
    bool poison;             /* malformed because it was delivered too often */
    psp_report_t report;     /* valid unless malformed */
    char fault[160];         /* why it is malformed */
    char fallback_event[48]; /* stands for an event id that is missing */

    /* As committed. */
    webhook_outcome_t outcome;
    char reason[160];
    uuid_t order_id;
} webhook_item_t;

/* From one element of an XREADGROUP or XAUTOCLAIM reply: [id, [field, value, …]]. False when it has
 * no fields (an entry that was deleted): only its id is filled. */
bool webhook_item_from_entry(const redisReply *entry, webhook_item_t *item);
/* An item may be what ends whoever reads it. Delivered more than WEBHOOK_DELIVERIES_TOGETHER times,
 * it is taken alone, so that its deliveries count for nobody else; more than WEBHOOK_DELIVERIES_MAX
 * times, it is not read any more. */
enum { WEBHOOK_DELIVERIES_TOGETHER = 3, WEBHOOK_DELIVERIES_MAX = 20 };
/* Reads the body with the PSP's connector; whatever is wrong makes the item malformed, never an
 * error. */
void webhook_item_read(webhook_item_t *item);
/* Makes an item malformed for a reason found later; what is not plain text in it is left out. */
void webhook_item_fault(webhook_item_t *item, const char *fault);

/* A kind of fact, "none", "hint", "announcement", "malformed" or "poison": as webhooks_apply takes
 * it. */
const char *webhook_item_kind(const webhook_item_t *item);
/* "applied" …; static. WEBHOOK_UNDECIDED for another text. */
const char *webhook_outcome_name(webhook_outcome_t outcome);
webhook_outcome_t webhook_outcome_parse(str_t name);

#endif
