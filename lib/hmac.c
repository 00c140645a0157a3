/* hmac.c - see hmac.h.
 *
 * Setting a key up costs OpenSSL 3 more than the digest of a webhook does; starting again under the
 * key that is set up costs nearly nothing. A context serves one message at a time, so every thread
 * has its own: no lock, and nothing that a caller has to carry around.
 */
#include "lib/hmac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

enum { KEYS_MAX = 8 }; /* per thread: a few PSPs, some in the middle of a rotation */

typedef struct prepared {
    EVP_MAC_CTX *context; /* NULL: free */
    char *key;
    uint32_t size;
} prepared_t;

typedef struct prepared_keys {
    prepared_t of[KEYS_MAX];
    unsigned next; /* to be given up for a new one */
} prepared_keys_t;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t keys_of_thread;
static EVP_MAC *algorithm;

static void give_up(prepared_t *prepared)
{
    EVP_MAC_CTX_free(prepared->context);
    OPENSSL_clear_free(prepared->key, prepared->size);
    *prepared = (prepared_t){0};
}

static void thread_ends(void *arg)
{
    prepared_keys_t *keys = arg;
    for (unsigned i = 0; i < KEYS_MAX; i++)
        give_up(&keys->of[i]);
    free(keys);
}

static void start(void)
{
    CHECK(pthread_key_create(&keys_of_thread, thread_ends) == 0);
    algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    CHECK(algorithm != NULL);
}

static prepared_keys_t *own_keys(void)
{
    CHECK(pthread_once(&once, start) == 0);
    prepared_keys_t *keys = pthread_getspecific(keys_of_thread);
    if (keys == NULL) {
        keys = calloc(1, sizeof *keys);
        CHECK(keys != NULL && pthread_setspecific(keys_of_thread, keys) == 0);
    }
    return keys;
}

static void prepare(prepared_t *prepared, str_t key)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    prepared->context = EVP_MAC_CTX_new(algorithm);
    prepared->key = OPENSSL_memdup(key.data, key.size);
    prepared->size = key.size;
    CHECK(prepared->context != NULL && prepared->key != NULL);
    CHECK(EVP_MAC_init(prepared->context, (const unsigned char *)key.data, key.size, params) == 1);
}

static EVP_MAC_CTX *context_of(str_t key)
{
    prepared_keys_t *keys = own_keys();
    for (unsigned i = 0; i < KEYS_MAX; i++) {
        const prepared_t *known = &keys->of[i];
        if (known->context != NULL && known->size == key.size &&
            CRYPTO_memcmp(known->key, key.data, key.size) == 0)
            return known->context;
    }
    prepared_t *prepared = &keys->of[keys->next];
    keys->next = (keys->next + 1) % KEYS_MAX;
    give_up(prepared);
    prepare(prepared, key);
    return prepared->context;
}

void hmac_sha256(str_t key, str_t message, uint8_t digest[HMAC_SHA256_SIZE])
{
    CHECK(key.size > 0);
    EVP_MAC_CTX *context = context_of(key);
    size_t size = 0;
    CHECK(EVP_MAC_init(context, NULL, 0, NULL) == 1);
    CHECK(EVP_MAC_update(context, (const unsigned char *)message.data, message.size) == 1);
    CHECK(EVP_MAC_final(context, digest, &size, HMAC_SHA256_SIZE) == 1 && size == HMAC_SHA256_SIZE);
}
