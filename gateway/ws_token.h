/* ws_token.h - tokens that open a user's WebSocket where API keys are configured: a browser cannot
 * send a header with an upgrade, and must never hold an API key. Pure; any thread.
 *
 * ws1.<expiry, seconds since 1970>.<user id, base64url>.<HMAC-SHA-256 of all before, base64url>
 *
 * Nothing is stored: every gateway that has the secret takes what another made. A token opens any
 * number of sockets until it expires; a socket that is open then stays.
 */
#ifndef TIFFIN_GATEWAY_WS_TOKEN_H
#define TIFFIN_GATEWAY_WS_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/text.h"

#define WS_TOKEN_SIZE 768         /* the longest token and its NUL */
#define WS_TOKEN_USER_ID_SIZE 513 /* 128 characters of UTF-8 and the NUL */

/* The secrets to use: what WS_TOKEN_SECRET holds (comma separated, the first one signs, all are
 * taken), or in dev, when it is NULL, a value that anybody can read here. NULL when it cannot be
 * used, with the reason. */
const char *ws_token_secrets(const char *setting, bool dev, const char **reason);

/* `user_id` has at most 512 bytes, `secrets` is ws_token_secrets()'s, the expiry is in seconds
 * since 1970. */
void ws_token_make(const char *secrets, str_t user_id, int64_t expires_at_s,
                   char token[WS_TOKEN_SIZE]);
/* Whose it is. ERR_TOKEN_INVALID: none of ours, changed, or expired. */
err_t ws_token_read(const char *secrets, str_t token, int64_t now_s,
                    char user_id[WS_TOKEN_USER_ID_SIZE], err_detail_t *detail) MUST_CHECK;

#endif
