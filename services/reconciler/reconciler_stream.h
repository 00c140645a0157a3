/* reconciler_stream.h - what the reconciler learnt, into the stream that webhooks go through. */
#ifndef TIFFIN_SERVICES_RECONCILER_STREAM_H
#define TIFFIN_SERVICES_RECONCILER_STREAM_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/redis.h"
#include "lib/text.h"
#include "lib/uuid.h"

/* A PSP's status answer, as it came. */
typedef struct reconciler_news {
    const char *psp;
    const char *event_id;
    const uuid_t *payment_id;
    const uuid_t *request_id;
    int64_t received_at_us;
    int http_status;
    str_t body;
} reconciler_news_t;

/* Adds one entry to the pipeline (copied); one reconciler_stream_confirm is then owed. */
void reconciler_stream_append(redis_t *redis, const reconciler_news_t *news);
/* ERR_OK once Redis has the next entry of the pipeline; otherwise it may have it or not. */
err_t reconciler_stream_confirm(redis_t *redis, err_detail_t *detail) MUST_CHECK;

#endif
