/* standard_webhooks.c - Standard Webhooks: webhook-signature is a list of "v1,<base64>",
 * HMAC-SHA256 of
 * "<webhook-id>.<webhook-timestamp>.<body>" under the secret, which is base64, with or without
 * "whsec_" before it. The time may differ by 300 s, both ways. Source: standardwebhooks.com (spec
 * b2fa7b8), npm standardwebhooks 1.1.1.
 */
#include <string.h>

#include "lib/payment/signature/parts.h"

enum { TOLERANCE_S = 300 };

/* "v1,<base64>", up to a further comma, among the blanks. */
static bool any_fits(str_t list, const uint8_t digest[32])
{
    bool found = false;
    while (list.size > 0) {
        const char *blank = memchr(list.data, ' ', list.size);
        str_t item = {list.data, blank ? (uint32_t)(blank - list.data) : list.size};
        list = (str_t){list.data + item.size + (blank != NULL),
                       list.size - item.size - (blank != NULL)};
        if (item.size < 3 || strncmp(item.data, "v1,", 3) != 0)
            continue;
        item = (str_t){item.data + 3, item.size - 3};
        const char *comma = memchr(item.data, ',', item.size);
        if (comma)
            item.size = (uint32_t)(comma - item.data);
        found |= signature_is_base64(digest, 32, item);
    }
    return found;
}

static bool fits(str_t secret, str_t message, str_t list)
{
    static const char prefix[] = "whsec_";
    uint8_t digest[32];
    buf_t key = {0};
    if (secret.size >= 6 && strncmp(secret.data, prefix, 6) == 0)
        secret = (str_t){secret.data + 6, secret.size - 6};
    const bool ok = signature_decode_base64(secret, &key) &&
                    signature_hmac(signature_text(&key), message, digest) && any_fits(list, digest);
    buf_free(&key);
    return ok;
}

bool signature_standard_webhooks(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    const int64_t tolerance_s = input->tolerance_s < 0 ? TOLERANCE_S : input->tolerance_s;
    str_t id, time, list;
    int64_t signed_at_s;
    bool found = false;
    reason[0] = '\0';
    if (!signature_header(input, "webhook-id", &id, reason) ||
        !signature_header(input, "webhook-timestamp", &time, reason) ||
        !signature_header(input, "webhook-signature", &list, reason))
        return false;
    if (!signature_read_number(time, &signed_at_s))
        return signature_refuse(reason, "webhook-timestamp is no time");
    if (tolerance_s > 0 && input->now_s - signed_at_s > tolerance_s)
        return signature_refuse(reason, "webhook-timestamp is too old");
    if (tolerance_s > 0 && signed_at_s - input->now_s > tolerance_s)
        return signature_refuse(reason, "webhook-timestamp is in the future");
    buf_t message = {0};
    buf_printf(&message, "%.*s.%.*s.", STR_ARG(id), STR_ARG(time));
    buf_add(&message, input->body.data, input->body.size);
    for (size_t i = 0; i < input->secret_count && !message.overflow; i++)
        found |= fits(input->secrets[i], signature_text(&message), list);
    buf_free(&message);
    return found || signature_refuse(reason, "no v1 of webhook-signature fits");
}
