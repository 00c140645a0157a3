/* sha256.h - SHA-256, looked up once: OpenSSL 3 looks EVP_sha256() up anew for each digest, under
 * a lock that all threads share (crypto(7), "Performance"). */
#ifndef TIFFIN_LIB_SHA256_H
#define TIFFIN_LIB_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "lib/text.h"

enum { SHA256_SIZE = 32 };

/* Of all texts, one after another. Any thread. */
void sha256(const str_t *texts, size_t count, uint8_t digest[SHA256_SIZE]);

#endif
