/* fuzz_ws_token.c - any bytes as a token: refused, unless they are one of ours; and signed by us,
 * whatever stands before the digest, they are read without a fault and give a user id that makes
 * the same token again. */
#include <stdio.h>
#include <string.h>

#include "gateway/ws_token.h"
#include "lib/hmac.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "0123456789abcdef0123456789abcdef"

static void as_a_token(str_t token)
{
    char user_id[WS_TOKEN_USER_ID_SIZE];
    err_detail_t detail = {{0}};
    const err_t err = ws_token_read(SECRET, token, 0, user_id, &detail);
    CHECK(err == ERR_TOKEN_INVALID && detail.text[0] != '\0');
}

/* As the user's id and the expiry of a token. */
static void as_a_user(const uint8_t *data, size_t size)
{
    int64_t expires_at_s = 0;
    if (size <= sizeof expires_at_s || size > sizeof expires_at_s + WS_TOKEN_USER_ID_SIZE - 1)
        return;
    memcpy(&expires_at_s, data, sizeof expires_at_s);
    expires_at_s = (int64_t)((uint64_t)expires_at_s % 253402300800u) + 1;
    const str_t user_id = {(const char *)data + sizeof expires_at_s,
                           (uint32_t)(size - sizeof expires_at_s)};
    if (memchr(user_id.data, '\0', user_id.size) != NULL)
        return;
    char token[WS_TOKEN_SIZE], read[WS_TOKEN_USER_ID_SIZE];
    err_detail_t detail = {{0}};
    ws_token_make(SECRET, user_id, expires_at_s, token);
    CHECK(ws_token_read(SECRET, str_of(token), expires_at_s - 1, read, &detail) == ERR_OK);
    CHECK(str_equal(str_of(read), user_id));
    CHECK(ws_token_read(SECRET, str_of(token), expires_at_s, read, &detail) == ERR_TOKEN_INVALID);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 2 * WS_TOKEN_SIZE)
        return 0;
    as_a_token((str_t){(const char *)data, (uint32_t)size});
    as_a_user(data, size);
    return 0;
}
