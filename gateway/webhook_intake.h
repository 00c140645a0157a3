/* webhook_intake.h - POST /webhooks/{gateway}: verify, make durable, answer. */
#ifndef TIFFIN_GATEWAY_WEBHOOK_INTAKE_H
#define TIFFIN_GATEWAY_WEBHOOK_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/redis_thread.h"
#include "lib/http_server.h"
#include "lib/payment/psp_accounts.h"
#include "proto/messages.h"

typedef struct webhook_intake {
    redis_thread_t *redis;
    const psp_accounts_t *accounts;
    bool dev;
    /* Told of every webhook that was answered 200, on the HTTP thread (the tap); may be NULL. */
    void (*observe)(void *arg, const webhook_received_t *webhook, const http_request_t *request);
    void *observe_arg;
} webhook_intake_t;

/* Answers the request: 200 accepted, duplicate or ignored, 400, 401, 404, 503. */
void webhook_intake_handle(const webhook_intake_t *self, http_request_t *request);

/* The newest webhook of a PSP that was refused; false when there was none. */
typedef struct webhook_refusal {
    int64_t at_us; /* wall clock */
    err_t err;
    err_detail_t detail;
} webhook_refusal_t;
bool webhook_intake_last_refusal(size_t psp_index, webhook_refusal_t *refusal);

/* Counters for /metrics, by PSP (index of psp_at) and outcome. */
typedef enum webhook_intake_outcome {
    INTAKE_ACCEPTED,
    INTAKE_DUPLICATE,
    INTAKE_IGNORED, /* it says nothing about a payment: not queued */
    INTAKE_MALFORMED,
    INTAKE_BAD_SIGNATURE,
    INTAKE_UNAVAILABLE,
    INTAKE_OUTCOMES
} webhook_intake_outcome_t;
const char *webhook_intake_outcome_name(webhook_intake_outcome_t outcome);
uint64_t webhook_intake_count(size_t psp_index, webhook_intake_outcome_t outcome);

#endif
