/* parts.h - what the signature schemes have in common. Included by lib/payment/signature only. */
#ifndef TIFFIN_LIB_PAYMENT_SIGNATURE_PARTS_H
#define TIFFIN_LIB_PAYMENT_SIGNATURE_PARTS_H

#include "lib/buf.h"
#include "lib/payment/signature.h"

#define SIGNATURE_DIGEST_MAX 64

/* Sets the reason; false. */
bool signature_refuse(char reason[SIGNATURE_REASON_SIZE], const char *words);
/* A header's value; false, with the reason, when it is missing or empty. */
bool signature_header(const signature_input_t *input, const char *name, str_t *value,
                      char reason[SIGNATURE_REASON_SIZE]);

/* Same bytes, in constant time for one length. */
bool signature_same(str_t a, str_t b);
/* HMAC-SHA256 of the message; an empty key never fits, so that `digest` is then zero and false. */
bool signature_hmac(str_t key, str_t message, uint8_t digest[32]);
/* Is `given` the digest in small hexadecimal letters? */
bool signature_is_hex(const uint8_t *digest, size_t size, str_t given);
/* Is `given` the digest in base64, with its padding? */
bool signature_is_base64(const uint8_t *digest, size_t size, str_t given);

/* Whole base64 (RFC 4648, section 4), appended; false for anything else. */
bool signature_decode_base64(str_t text, buf_t *bytes);
/* An even number of hexadecimal digits, appended; false for anything else, and for none. */
bool signature_decode_hex(str_t text, buf_t *bytes);
/* 1 to 18 decimal digits. */
bool signature_read_number(str_t text, int64_t *number);

static inline str_t signature_text(const buf_t *buf)
{
    return (str_t){buf->data, (uint32_t)buf->size};
}

#endif
