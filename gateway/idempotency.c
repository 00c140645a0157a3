/* idempotency.c - see idempotency.h. Both ids are the first 128 bits of a SHA-256: two that are
 * equal by chance do not happen, and whoever shows a key can only meet those of the same API key.
 */
#include "gateway/idempotency.h"

#include <string.h>
#include <strings.h>

#include "lib/sha256.h"

static uuid_t digest_of(const str_t *texts, size_t count)
{
    uint8_t digest[SHA256_SIZE];
    uuid_t id;
    sha256(texts, count, digest);
    memcpy(id.bytes, digest, sizeof id.bytes);
    return id;
}

/* Without the blanks around it, which are not part of a header's value (RFC 9110 section 5.5). */
static str_t trim(const char *value)
{
    static const char blanks[] = " \t";
    value += strspn(value, blanks);
    size_t size = strlen(value);
    while (size > 0 && strchr(blanks, value[size - 1]) != NULL)
        size--;
    return (str_t){value, (uint32_t)size};
}

static bool is_key(str_t key)
{
    for (size_t i = 0; i < key.size; i++)
        if (key.data[i] < ' ' || key.data[i] > '~')
            return false;
    return key.size > 0 && key.size <= IDEMPOTENCY_KEY_MAX_BYTES;
}

err_t idempotency_identify(const char *caller, const char *method, const char *path,
                           const char *value, str_t body, uuid_t *idempotency_id,
                           uuid_t *fingerprint, err_detail_t *detail)
{
    static const str_t nul = {"", 1}; /* after each: no two lists run together alike */
    const str_t key = trim(value);
    if (!is_key(key))
        return err_set(detail, ERR_INVALID_IDEMPOTENCY_KEY,
                       "Idempotency-Key is not 1 to %d printable ASCII characters",
                       IDEMPOTENCY_KEY_MAX_BYTES);
    *idempotency_id = digest_of(
        (const str_t[]){str_of(caller), nul, str_of(method), nul, str_of(path), nul, key, nul}, 8);
    *fingerprint = digest_of(&body, 1);
    return ERR_OK;
}

err_t idempotency_read(const http_request_t *request, const char *caller, uuid_t *idempotency_id,
                       uuid_t *fingerprint, err_detail_t *detail)
{
    const struct mg_request_info *info = mg_get_request_info(request->connection);
    const char *key = NULL;
    memset(idempotency_id, 0, sizeof *idempotency_id);
    memset(fingerprint, 0, sizeof *fingerprint);
    for (int i = 0; i < info->num_headers; i++) {
        if (strcasecmp(info->http_headers[i].name, "Idempotency-Key") != 0)
            continue;
        if (key != NULL)
            return err_set(detail, ERR_INVALID_IDEMPOTENCY_KEY, "Idempotency-Key is given twice");
        key = info->http_headers[i].value;
    }
    if (key == NULL)
        return ERR_OK;
    return idempotency_identify(caller, request->method, request->path, key, request->body,
                                idempotency_id, fingerprint, detail);
}
