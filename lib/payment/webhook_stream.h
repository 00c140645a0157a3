/* webhook_stream.h - what we learnt from a PSP ourselves, into the stream that webhooks go through:
 * one place decides what is true, whoever brought it. */
#ifndef TIFFIN_LIB_PAYMENT_WEBHOOK_STREAM_H
#define TIFFIN_LIB_PAYMENT_WEBHOOK_STREAM_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/redis.h"
#include "lib/text.h"
#include "lib/uuid.h"

/* A PSP's answer, as it came. */
typedef struct webhook_stream_entry {
    const char *source; /* "status_poll", "refund_call" */
    const char *psp;
    const char *event_id; /* as the connector derives it from the answer */
    const uuid_t *payment_id;
    const uuid_t *refund_id; /* refund_call: the refund that was asked about; else NULL */
    const uuid_t *request_id;
    int64_t received_at_us;
    int http_status;
    str_t body;
} webhook_stream_entry_t;

/* Adds one entry to the pipeline (copied); one webhook_stream_confirm is then owed. */
void webhook_stream_append(redis_t *redis, const webhook_stream_entry_t *entry);
/* ERR_OK once Redis has the next entry of the pipeline; otherwise it may have it or not. */
err_t webhook_stream_confirm(redis_t *redis, err_detail_t *detail) MUST_CHECK;

#endif
