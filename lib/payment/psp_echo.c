/* psp_echo.c - see psp_echo.h.
 *
 * What a PSP says of an error is shown: in answers, logs, the database, the tap. Some, and some
 * proxies in front of them, repeat the request that they do not like, our key in it. So what is
 * read is rid of our keys before anybody reads it. What is hidden keeps its length, so that JSON
 * stays JSON.
 */
#include "lib/payment/psp_echo.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/err.h"

enum {
    SECRET_LEAST_BYTES = 8,
    PAIR_SIZE = 258, /* id ":" secret, as psp_accounts_check bounds them */
    ENCODED_SIZE = (PAIR_SIZE + 2) / 3 * 4 + 1,
};

/* Is this the byte, in two hexadecimal digits? */
static bool is_hex_of(const char *digits, char wanted)
{
    char text[3];
    snprintf(text, sizeof text, "%02x", (unsigned)(unsigned char)wanted);
    return strncasecmp(digits, text, 2) == 0;
}

/* How many bytes are this one, written in whatever way; 0: it is another. */
static size_t fits_byte(const char *data, size_t left, char wanted)
{
    if (left >= 2 && data[0] == '\\' && data[1] == wanted)
        return 2;
    if (left >= 1 && data[0] == wanted)
        return 1;
    if (left >= 6 && strncasecmp(data, "\\u00", 4) == 0 && is_hex_of(data + 4, wanted))
        return 6;
    return left >= 3 && data[0] == '%' && is_hex_of(data + 1, wanted) ? 3 : 0;
}

static size_t fits(const char *data, size_t left, str_t secret)
{
    size_t size = 0;
    for (uint32_t i = 0; i < secret.size; i++) {
        const size_t taken = fits_byte(data + size, left - size, secret.data[i]);
        if (taken == 0)
            return 0;
        size += taken;
    }
    return size;
}

static bool is_base64(char c)
{
    return isalnum((unsigned char)c) || strchr("+/=\\", c) != NULL;
}

/* `encoded`: base64 whose last letters depend on what came after the secret go, too. */
static void hide(str_t secret, bool encoded, buf_t *answer)
{
    if (secret.size < SECRET_LEAST_BYTES)
        return;
    for (size_t at = 0; at < answer->size;) {
        size_t size = fits(answer->data + at, answer->size - at, secret);
        while (encoded && size > 0 && at + size < answer->size &&
               is_base64(answer->data[at + size]))
            size++;
        memset(answer->data + at, '*', size);
        at += size > 0 ? size : 1;
    }
}

static void hide_encoded(const char *text, buf_t *answer)
{
    unsigned char encoded[ENCODED_SIZE];
    const size_t whole = strlen(text) / 3 * 3; /* what comes after may be encoded with the rest */
    EVP_EncodeBlock(encoded, (const unsigned char *)text, (int)whole);
    hide(str_of((const char *)encoded), true, answer);
    OPENSSL_cleanse(encoded, sizeof encoded);
}

void psp_echo_hide(const psp_account_t *account, str_t token, buf_t *answer)
{
    char pair[PAIR_SIZE];
    if (answer->size == 0)
        return;
    hide(token, false, answer);
    if (strlen(account->key_secret) < SECRET_LEAST_BYTES)
        return;
    hide(str_of(account->key_secret), false, answer);
    hide_encoded(account->key_secret, answer);
    if (!account->key_id)
        return;
    const int size = snprintf(pair, sizeof pair, "%s:%s", account->key_id, account->key_secret);
    CHECK(size > 0 && (size_t)size < sizeof pair);
    hide_encoded(pair, answer);
    OPENSSL_cleanse(pair, sizeof pair);
}
