/* call.c - from a handler to a service and back: what every handler shares. */
#include <stdlib.h>

#include "gateway/handlers.h"
#include "gateway/idempotency.h"
#include "lib/crash_point.h"
#include "lib/limits.h"
#include "lib/log.h"

enum { INTERNAL_ERRORS_FROM = 100 /* of errors.def: never public */ };

void hub_reply_free(hub_reply_t *reply)
{
    free(reply->body);
    *reply = (hub_reply_t){.status = ERR_OK};
}

static void respond_failure(http_request_t *request, const hub_reply_t *reply)
{
    bus_error_t error = {.detail = {NULL, 0}};
    err_detail_t ignored;
    err_t status = reply->status;
    if (reply->message == MSG_bus_error &&
        message_decode(MSG_bus_error, reply->body, reply->body_size, &error, &ignored) != ERR_OK)
        error = (bus_error_t){.detail = {NULL, 0}};
    char detail[256];
    str_copy(error.detail, detail, sizeof detail);
    if ((int)status >= (int)INTERNAL_ERRORS_FROM)
        status = ERR_INTERNAL;
    /* What a service says of its own trouble (hosts, statements) is for the log; what it says of
     * the request is for the caller. */
    const bool is_public = err_http_status(status) < 500 || status == ERR_NO_PSP_AVAILABLE;
    if (!is_public && detail[0] != '\0')
        log_limited(status == ERR_INTERNAL ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, NULL,
                    "service failed", "code=%s detail=\"%s\"", err_name(reply->status), detail);
    gateway_mark_replayed(request, error.replayed);
    http_respond_problem_of(request, status, is_public ? detail : NULL,
                            error.replayed ? &error.first_request_id : &request->request_id);
}

void gateway_mark_replayed(http_request_t *request, bool replayed)
{
    if (!replayed)
        return;
    http_add_header(request, "Idempotency-Replayed", "true");
    metrics_replay(gateway_of(request)->metrics);
}

bool gateway_read_key(http_request_t *request, uuid_t *idempotency_id, uuid_t *fingerprint)
{
    err_detail_t detail = {{0}};
    const char *caller = auth_caller(gateway_of(request)->auth, request);
    const err_t err = idempotency_read(request, caller, idempotency_id, fingerprint, &detail);
    if (err != ERR_OK)
        http_respond_problem(request, err, detail.text);
    return err == ERR_OK;
}

bool gateway_call(http_request_t *request, uint32_t id, const void *message, hub_reply_t *reply)
{
    hub_thread_call(gateway_of(request)->hub, id, message, REQUEST_BUDGET_MS, &request->request_id,
                    request->traceparent, reply);
    if (reply->message != 0) /* else the hub has answered: nobody was there, or in time */
        CRASH_POINT(gateway_replied);
    if (reply->status == ERR_OK)
        return true;
    respond_failure(request, reply);
    hub_reply_free(reply);
    return false;
}

bool gateway_decode(http_request_t *request, const hub_reply_t *reply, uint32_t id, void *message)
{
    err_detail_t detail = {{0}};
    if (reply->message == id &&
        message_decode(id, reply->body, reply->body_size, message, &detail) == ERR_OK)
        return true;
    log_error(NULL, "reply not understood", "message=%u detail=\"%s\"", reply->message,
              detail.text);
    http_respond_problem(request, ERR_INTERNAL, NULL);
    return false;
}
