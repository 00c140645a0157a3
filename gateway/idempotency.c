/* idempotency.c - see idempotency.h. Both ids are the first 128 bits of a SHA-256: two that are
 * equal by chance do not happen, and whoever shows a key can only meet those of the same API key.
 */
#include "gateway/idempotency.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

/* Looked up once: EVP_sha256() is looked up anew by every digest (OpenSSL 3, crypto(7)). */
static EVP_MD *sha256;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    CHECK(sha256 != NULL);
}

static uuid_t digest_of(const str_t *texts, size_t count)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    CHECK(pthread_once(&once, fetch) == 0);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CHECK(context != NULL && EVP_DigestInit_ex(context, sha256, NULL) == 1);
    for (size_t i = 0; i < count; i++) /* a NUL after each: no two lists run together alike */
        CHECK(EVP_DigestUpdate(context, texts[i].data, texts[i].size) == 1 &&
              EVP_DigestUpdate(context, "", 1) == 1);
    CHECK(EVP_DigestFinal_ex(context, digest, NULL) == 1);
    EVP_MD_CTX_free(context);
    uuid_t id;
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
    uint8_t digest[EVP_MAX_MD_SIZE];
    const str_t key = trim(value);
    if (!is_key(key))
        return err_set(detail, ERR_INVALID_IDEMPOTENCY_KEY,
                       "Idempotency-Key is not 1 to %d printable ASCII characters",
                       IDEMPOTENCY_KEY_MAX_BYTES);
    *idempotency_id =
        digest_of((const str_t[]){str_of(caller), str_of(method), str_of(path), key}, 4);
    CHECK(EVP_Digest(body.data, body.size, digest, NULL, sha256, NULL) == 1);
    memcpy(fingerprint->bytes, digest, sizeof fingerprint->bytes);
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
