/* idempotency.h - the Idempotency-Key of a request: what it is known by further on. */
#ifndef TIFFIN_GATEWAY_IDEMPOTENCY_H
#define TIFFIN_GATEWAY_IDEMPOTENCY_H

#include "lib/err.h"
#include "lib/http_server.h"
#include "lib/uuid.h"

#define IDEMPOTENCY_KEY_MAX_BYTES 255

/* The key's id: of the API key, method, path and key, so that nobody meets another's. The
 * fingerprint: of the body, byte by byte. Both nil when the request has no key.
 * ERR_INVALID_IDEMPOTENCY_KEY: empty, too long, not printable ASCII, or given twice. `caller` is
 * the API key's name, "" without one. */
err_t idempotency_read(const http_request_t *request, const char *caller, uuid_t *idempotency_id,
                       uuid_t *fingerprint, err_detail_t *detail) MUST_CHECK;
/* Its pure part: a header's value; on an error the ids are left as they are. */
err_t idempotency_identify(const char *caller, const char *method, const char *path,
                           const char *value, str_t body, uuid_t *idempotency_id,
                           uuid_t *fingerprint, err_detail_t *detail) MUST_CHECK;

#endif
