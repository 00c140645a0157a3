/* sha256.c - see sha256.h. */
#include "lib/sha256.h"

#include <openssl/evp.h>
#include <pthread.h>

#include "lib/err.h"

static EVP_MD *algorithm;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
    algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    CHECK(algorithm != NULL);
}

void sha256(const str_t *texts, size_t count, uint8_t digest[SHA256_SIZE])
{
    CHECK(pthread_once(&once, fetch) == 0);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CHECK(context != NULL && EVP_DigestInit_ex(context, algorithm, NULL) == 1);
    for (size_t i = 0; i < count; i++)
        CHECK(EVP_DigestUpdate(context, texts[i].data, texts[i].size) == 1);
    CHECK(EVP_DigestFinal_ex(context, digest, NULL) == 1);
    EVP_MD_CTX_free(context);
}
