/* ws_token.c - see ws_token.h.
 *
 * What must never happen: a token that this gateway or another with the same secret did not make
 * opens a socket. So the digest is compared as text, in the one spelling that we write: nothing
 * that a stranger sent is decoded before it is known to be ours, and no second spelling of a token
 * passes. Every secret is tried, and compared in full, whichever fits.
 */
#include "gateway/ws_token.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hmac.h"
#include "lib/payment/psp_accounts.h"

#define DEV_SECRET "dev-secret-for-websocket-tokens-only"

enum {
    SECRET_MIN_BYTES = 32, /* as long as the digest (RFC 2104 section 3) */
    SECRETS_MAX = 4,       /* each costs a digest for every token that is wrong */
    USER_ID_MAX_BYTES = WS_TOKEN_USER_ID_SIZE - 1,
    DIGEST_CHARACTERS = 43, /* 32 bytes in base64 without padding */
    BASE64_SIZE = (USER_ID_MAX_BYTES + 2) / 3 * 4 + 1,
};

static const char prefix[] = "ws1.";

const char *ws_token_secrets(const char *setting, bool dev, const char **reason)
{
    if (setting == NULL && dev)
        return DEV_SECRET;
    *reason = "is needed in prod: WebSockets are opened with tokens that are signed with it";
    if (setting == NULL)
        return NULL;
    str_t rest = str_of(setting), secret;
    unsigned count = 0;
    while (psp_secret_next(&rest, &secret)) {
        count++;
        *reason = "has its development value, which TIFFIN_ENV=prod refuses";
        if (!dev && str_is(secret, DEV_SECRET))
            return NULL;
        *reason = "must have at least 32 bytes (each, when there are several)";
        if (secret.size < SECRET_MIN_BYTES)
            return NULL;
    }
    *reason = "must hold one to four secrets, comma separated";
    return count > 0 && count <= SECRETS_MAX ? setting : NULL;
}

/* ---- base64url without padding (RFC 4648 section 5), by way of OpenSSL's base64 ---- */

/* The two digits in which base64url differs. */
static char to_url(char c)
{
    if (c == '+')
        return '-';
    return (char)(c == '/' ? '_' : c);
}

static char from_url(char c)
{
    if (c == '-')
        return '+';
    return (char)(c == '_' ? '/' : c);
}

/* `text` has room for 4 characters per 3 bytes, rounded up, and a NUL. */
static void encode(const void *bytes, size_t size, char *text)
{
    int length = EVP_EncodeBlock((unsigned char *)text, bytes, (int)size);
    while (length > 0 && text[length - 1] == '=')
        text[--length] = '\0';
    for (char *c = text; *c != '\0'; c++)
        *c = to_url(*c);
}

/* False when it is no base64url of 1 to USER_ID_MAX_BYTES bytes without NUL. */
static bool decode_user_id(str_t text, char user_id[WS_TOKEN_USER_ID_SIZE])
{
    char padded[BASE64_SIZE + 3];
    unsigned char bytes[BASE64_SIZE];
    size_t size = text.size;
    if (size == 0 || size >= BASE64_SIZE)
        return false;
    for (size_t i = 0; i < size; i++)
        padded[i] = from_url(text.data[i]);
    size_t padding = 0;
    while ((size + padding) % 4 != 0)
        padded[size + padding++] = '=';
    int length = EVP_DecodeBlock(bytes, (unsigned char *)padded, (int)(size + padding));
    if (length <= (int)padding || padding > 2)
        return false;
    length -= (int)padding; /* OpenSSL counts the padding as bytes */
    if (length > USER_ID_MAX_BYTES || memchr(bytes, '\0', (size_t)length) != NULL)
        return false;
    memcpy(user_id, bytes, (size_t)length);
    user_id[length] = '\0';
    return true;
}

/* ---- tokens ---- */

static void digest_of(str_t secret, str_t signed_part, char digest[DIGEST_CHARACTERS + 2])
{
    uint8_t bytes[HMAC_SHA256_SIZE];
    hmac_sha256(secret, signed_part, bytes);
    encode(bytes, sizeof bytes, digest);
}

void ws_token_make(const char *secrets, str_t user_id, int64_t expires_at_s,
                   char token[WS_TOKEN_SIZE])
{
    char encoded[BASE64_SIZE], digest[DIGEST_CHARACTERS + 2];
    str_t rest = str_of(secrets), secret;
    CHECK(user_id.size > 0 && user_id.size <= USER_ID_MAX_BYTES);
    CHECK(psp_secret_next(&rest, &secret));
    encode(user_id.data, user_id.size, encoded);
    const int size =
        snprintf(token, WS_TOKEN_SIZE, "%s%" PRId64 ".%s", prefix, expires_at_s, encoded);
    CHECK(size > 0 && size + 1 + DIGEST_CHARACTERS < WS_TOKEN_SIZE);
    digest_of(secret, (str_t){token, (uint32_t)size}, digest);
    snprintf(token + size, (size_t)(WS_TOKEN_SIZE - size), ".%s", digest);
}

static bool is_signed(const char *secrets, str_t signed_part, const char *given)
{
    str_t rest = str_of(secrets), secret;
    bool found = false;
    while (psp_secret_next(&rest, &secret)) {
        char digest[DIGEST_CHARACTERS + 2];
        digest_of(secret, signed_part, digest);
        found |= CRYPTO_memcmp(digest, given, DIGEST_CHARACTERS) == 0;
    }
    return found;
}

/* The parts of what is known to be ours; false when another version of us wrote it. */
static bool read_parts(str_t signed_part, int64_t *expires_at_s,
                       char user_id[WS_TOKEN_USER_ID_SIZE])
{
    char text[WS_TOKEN_SIZE];
    if (signed_part.size >= sizeof text)
        return false;
    str_copy(signed_part, text, sizeof text);
    if (strncmp(text, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *digits = text + sizeof prefix - 1;
    const size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > 18 || digits[count] != '.')
        return false;
    *expires_at_s = strtoll(digits, NULL, 10);
    return decode_user_id(str_of(digits + count + 1), user_id);
}

err_t ws_token_read(const char *secrets, str_t token, int64_t now_s,
                    char user_id[WS_TOKEN_USER_ID_SIZE], err_detail_t *detail)
{
    int64_t expires_at_s = 0;
    if (token.size <= DIGEST_CHARACTERS + 1 || token.size >= WS_TOKEN_SIZE)
        return err_set(detail, ERR_TOKEN_INVALID, "the token is none of ours");
    const str_t signed_part = {token.data, token.size - DIGEST_CHARACTERS - 1};
    const char *end = token.data + signed_part.size; /* the dot before the digest */
    if (*end != '.' || !is_signed(secrets, signed_part, end + 1) ||
        !read_parts(signed_part, &expires_at_s, user_id))
        return err_set(detail, ERR_TOKEN_INVALID, "the token is none of ours");
    if (now_s >= expires_at_s)
        return err_set(detail, ERR_TOKEN_INVALID, "the token has expired: ask for a new one");
    return ERR_OK;
}
