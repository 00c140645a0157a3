/* juspay.c - Juspay's webhooks come with HTTP Basic (RFC 7617): a secret here is
 * "username:password". It proves who calls and covers nothing of the body: what the webhook says is
 * to be asked for. Source: docs.juspay.io, webhooks settings; the header is read as npm
 * basic-auth 2.0.1 reads it.
 */
#include <string.h>
#include <strings.h>

#include "lib/payment/signature/parts.h"

static str_t trimmed(str_t text)
{
    while (text.size > 0 && text.data[0] == ' ')
        text = (str_t){text.data + 1, text.size - 1};
    while (text.size > 0 && text.data[text.size - 1] == ' ')
        text.size--;
    return text;
}

/* Base64, or base64url, with its padding or without. */
static bool decode(str_t text, buf_t *pair)
{
    buf_t standard = {0};
    while (text.size > 0 && text.data[text.size - 1] == '=')
        text.size--;
    for (uint32_t i = 0; i < text.size; i++) {
        const char c = text.data[i] == '-' ? '+' : text.data[i] == '_' ? '/' : text.data[i];
        buf_add(&standard, &c, 1);
    }
    while (standard.size % 4 != 0)
        buf_add(&standard, "=", 1);
    const bool ok = !standard.overflow && signature_decode_base64(signature_text(&standard), pair);
    buf_free(&standard);
    return ok;
}

bool signature_juspay(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    str_t given;
    buf_t pair = {0};
    bool found = false;
    reason[0] = '\0';
    if (!signature_header(input, "Authorization", &given, reason))
        return false;
    given = trimmed(given);
    if (given.size < 7 || strncasecmp(given.data, "Basic ", 6) != 0)
        return signature_refuse(reason, "Authorization is not Basic");
    if (!decode(trimmed((str_t){given.data + 6, given.size - 6}), &pair) ||
        !memchr(pair.data, ':', pair.size)) {
        buf_free(&pair);
        return signature_refuse(reason, "Authorization is no username and password");
    }
    for (size_t i = 0; i < input->secret_count; i++)
        found |= signature_same(input->secrets[i], signature_text(&pair));
    buf_free(&pair);
    return found || signature_refuse(reason, "username or password is wrong");
}
