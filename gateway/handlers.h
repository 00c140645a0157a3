/* handlers.h - one handler per route of routes.def, and what they share. */
#ifndef TIFFIN_GATEWAY_HANDLERS_H
#define TIFFIN_GATEWAY_HANDLERS_H

#include "gateway/auth.h"
#include "gateway/gateway.h"
#include "gateway/hub_thread.h"
#include "lib/http_server.h"

#define ROUTE(method, path, handler, scope, body_max_bytes) void handler(http_request_t *request);
#include "gateway/routes.def"
#undef ROUTE

/* The gateway behind a request. */
gateway_t *gateway_of(const http_request_t *request);

/* Calls a service within the request's budget. True: `reply` is OK. False: the problem has been
 * answered, `reply` is freed. */
bool gateway_call(http_request_t *request, uint32_t id, const void *message,
                  hub_reply_t *reply) MUST_CHECK;
/* Decodes a reply's body; false: answered 500. Texts borrow from `reply`. */
bool gateway_decode(http_request_t *request, const hub_reply_t *reply, uint32_t id,
                    void *message) MUST_CHECK;
void hub_reply_free(hub_reply_t *reply);

/* The Idempotency-Key of a request, nil when it has none; false: the problem has been answered. */
bool gateway_read_key(http_request_t *request, uuid_t *idempotency_id,
                      uuid_t *fingerprint) MUST_CHECK;
/* Says in the answer that it is the remembered one. */
void gateway_mark_replayed(http_request_t *request, bool replayed);

#endif
