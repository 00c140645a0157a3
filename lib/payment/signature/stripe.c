/* stripe.c - Stripe-Signature: "t=<unix time>,v1=<hex>[,v1=<hex>]…", HMAC-SHA256 of "<t>.<body>"
 * under the whole secret. Only v1 counts: v0 is a decoy. A time that is too old is refused, one in
 * the future is not. Source: npm stripe 23.1.0, webhooks.signature;
 * docs.stripe.com/webhooks/signature.
 */
#include <string.h>

#include "lib/payment/signature/parts.h"

enum { TOLERANCE_S = 300 };

/* "t=1,v1=a" one by one. */
static bool next_item(str_t *rest, str_t *name, str_t *value)
{
    if (!rest->data)
        return false;
    const char *comma = memchr(rest->data, ',', rest->size);
    const str_t item = {rest->data, comma ? (uint32_t)(comma - rest->data) : rest->size};
    *rest = comma ? (str_t){comma + 1, rest->size - item.size - 1} : (str_t){NULL, 0};
    const char *equals = memchr(item.data, '=', item.size);
    *name = (str_t){item.data, equals ? (uint32_t)(equals - item.data) : item.size};
    *value = equals ? (str_t){equals + 1, item.size - name->size - 1} : (str_t){NULL, 0};
    return true;
}

static bool any_fits(const signature_input_t *input, str_t header, str_t message)
{
    str_t name, value;
    bool found = false;
    while (next_item(&header, &name, &value))
        for (size_t i = 0; str_is(name, "v1") && i < input->secret_count; i++) {
            uint8_t digest[32];
            found |= signature_hmac(input->secrets[i], message, digest) &&
                     signature_is_hex(digest, sizeof digest, value);
        }
    return found;
}

bool signature_stripe(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    const int64_t tolerance_s = input->tolerance_s < 0 ? TOLERANCE_S : input->tolerance_s;
    str_t header, name, value, time = {NULL, 0};
    int64_t signed_at_s;
    bool has_v1 = false;
    reason[0] = '\0';
    if (!signature_header(input, "Stripe-Signature", &header, reason))
        return false;
    for (str_t rest = header; next_item(&rest, &name, &value);) {
        if (str_is(name, "t"))
            time = value;
        has_v1 |= str_is(name, "v1");
    }
    if (!signature_read_number(time, &signed_at_s))
        return signature_refuse(reason, "Stripe-Signature has no time (t=)");
    if (!has_v1)
        return signature_refuse(reason, "Stripe-Signature has no v1");
    buf_t message = {0};
    buf_add(&message, time.data, time.size);
    buf_add(&message, ".", 1);
    buf_add(&message, input->body.data, input->body.size);
    const bool fitting = !message.overflow && any_fits(input, header, signature_text(&message));
    buf_free(&message);
    if (!fitting)
        return signature_refuse(reason, "no v1 of Stripe-Signature fits");
    if (tolerance_s > 0 && input->now_s - signed_at_s > tolerance_s)
        return signature_refuse(reason, "the signature is too old");
    return true;
}
