/* hmac.h - HMAC-SHA256 (RFC 2104) for whoever checks many messages under few keys. */
#ifndef TIFFIN_LIB_HMAC_H
#define TIFFIN_LIB_HMAC_H

#include <stdint.h>

#include "lib/text.h"

#define HMAC_SHA256_SIZE 32

/* Each thread keeps the last few keys prepared; a prepared key is a copy, wiped when it is given
 * up. `key` is not empty. */
void hmac_sha256(str_t key, str_t message, uint8_t digest[HMAC_SHA256_SIZE]);

#endif
