/* parts.c - see parts.h. */
#include "lib/payment/signature/parts.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "lib/hmac.h"
#include "lib/payment/psp_accounts.h"

bool signature_refuse(char reason[SIGNATURE_REASON_SIZE], const char *words)
{
    str_copy(str_of(words), reason, SIGNATURE_REASON_SIZE);
    return false;
}

bool signature_header(const signature_input_t *input, const char *name, str_t *value,
                      char reason[SIGNATURE_REASON_SIZE])
{
    char words[SIGNATURE_REASON_SIZE];
    const char *text = input->header(input->header_arg, name);
    *value = str_of(text);
    if (value->size > 0)
        return true;
    str_copy(str_of(name), words, sizeof words - sizeof " is missing" + 1);
    strcat(words, text ? " is empty" : " is missing");
    return signature_refuse(reason, words);
}

bool signature_same(str_t a, str_t b)
{
    return a.size == b.size && a.size > 0 && CRYPTO_memcmp(a.data, b.data, a.size) == 0;
}

bool signature_hmac(str_t key, str_t message, uint8_t digest[32])
{
    memset(digest, 0, 32);
    if (key.size == 0)
        return false;
    hmac_sha256(key, message, digest);
    return true;
}

bool signature_is_hex(const uint8_t *digest, size_t size, str_t given)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * SIGNATURE_DIGEST_MAX];
    for (size_t i = 0; i < size; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    return signature_same((str_t){hex, (uint32_t)(2 * size)}, given);
}

bool signature_is_base64(const uint8_t *digest, size_t size, str_t given)
{
    unsigned char encoded[(SIGNATURE_DIGEST_MAX + 2) / 3 * 4 + 1];
    const int length = EVP_EncodeBlock(encoded, digest, (int)size);
    return signature_same((str_t){(const char *)encoded, (uint32_t)length}, given);
}

static int sextet(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

bool signature_decode_base64(str_t text, buf_t *bytes)
{
    uint32_t padding = 0;
    if (text.size == 0 || text.size % 4 != 0)
        return false;
    while (padding < 2 && text.data[text.size - 1 - padding] == '=')
        padding++;
    for (uint32_t i = 0; i < text.size; i += 4) {
        unsigned group = 0;
        const bool last = i + 4 == text.size;
        for (uint32_t j = 0; j < 4; j++) {
            const bool padded = last && j >= 4 - padding;
            const int value = padded ? 0 : sextet(text.data[i + j]);
            if (value < 0)
                return false;
            group = group << 6 | (unsigned)value;
        }
        const unsigned char three[3] = {(unsigned char)(group >> 16), (unsigned char)(group >> 8),
                                        (unsigned char)group};
        buf_add(bytes, three, last ? 3 - padding : 3);
    }
    return true;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool signature_decode_hex(str_t text, buf_t *bytes)
{
    if (text.size == 0 || text.size % 2 != 0)
        return false;
    for (uint32_t i = 0; i < text.size; i += 2) {
        const int high = hex_digit(text.data[i]), low = hex_digit(text.data[i + 1]);
        if (high < 0 || low < 0)
            return false;
        const unsigned char byte = (unsigned char)(high << 4 | low);
        buf_add(bytes, &byte, 1);
    }
    return true;
}

bool signature_read_number(str_t text, int64_t *number)
{
    *number = 0;
    if (text.size == 0 || text.size > 18)
        return false;
    for (uint32_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *number = *number * 10 + (text.data[i] - '0');
    }
    return true;
}

size_t signature_secrets(const char *list, str_t secrets[SIGNATURE_SECRETS_MAX])
{
    size_t count = 0;
    str_t rest = str_of(list);
    while (count < SIGNATURE_SECRETS_MAX && psp_secret_next(&rest, &secrets[count]))
        count++;
    return count;
}
