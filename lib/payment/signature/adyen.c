/* adyen.c - Adyen's notifications: each item has additionalData.hmacSignature, the HMAC-SHA256 in
 * base64 of
 * pspReference:originalReference:merchantAccountCode:merchantReference:amount.value:amount.currency:eventCode:success
 * under the key, which is given in hexadecimal. What is absent is empty, nothing is escaped. Not
 * signed: reason, paymentMethod, the other additionalData, eventDate, live. Source: npm
 * @adyen/api-library 32.1.0, hmacValidator.validateHMAC; docs.adyen.com, verify-hmac-signatures.
 *
 * Platform webhooks: HmacSignature is the same over the body (validateHMACSignature).
 */
#include "lib/json_read.h"
#include "lib/payment/signature/parts.h"

static bool fits(const str_t *secrets, size_t secret_count, str_t message, str_t given)
{
    bool found = false;
    for (size_t i = 0; i < secret_count; i++) {
        uint8_t digest[32];
        buf_t key = {0};
        if (signature_decode_hex(secrets[i], &key))
            found |= signature_hmac(signature_text(&key), message, digest) &&
                     signature_is_base64(digest, sizeof digest, given);
        buf_free(&key);
    }
    return found;
}

/* The value as text, after a colon unless it is the first; nothing for what is absent. */
static void add(buf_t *text, bool first, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!first)
        buf_add(text, ":", 1);
    if (json_is_string(value))
        buf_add(text, json_string_value(value), json_string_length(value));
    else if (json_is_integer(value))
        buf_printf(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_boolean(value))
        buf_add_text(text, json_is_true(value) ? "true" : "false");
}

bool signature_adyen_item(const str_t *secrets, size_t secret_count, const json_t *item,
                          char reason[SIGNATURE_REASON_SIZE])
{
    const str_t given = json_read_str(json_object_get(item, "additionalData"), "hmacSignature");
    const json_t *amount = json_object_get(item, "amount");
    buf_t text = {0};
    reason[0] = '\0';
    if (given.size == 0)
        return signature_refuse(reason, "hmacSignature is missing");
    add(&text, true, item, "pspReference");
    add(&text, false, item, "originalReference");
    add(&text, false, item, "merchantAccountCode");
    add(&text, false, item, "merchantReference");
    add(&text, false, amount, "value");
    add(&text, false, amount, "currency");
    add(&text, false, item, "eventCode");
    add(&text, false, item, "success");
    const bool fitting =
        !text.overflow && fits(secrets, secret_count, signature_text(&text), given);
    buf_free(&text);
    return fitting || signature_refuse(reason, "hmacSignature is wrong");
}

bool signature_adyen(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    reason[0] = '\0';
    json_t *root = json_read_object(input->body, NULL);
    const json_t *items = json_object_get(root, "notificationItems");
    bool all = json_array_size(items) > 0;
    for (size_t i = 0; all && i < json_array_size(items); i++)
        all = signature_adyen_item(
            input->secrets, input->secret_count,
            json_object_get(json_array_get(items, i), "NotificationRequestItem"), reason);
    if (json_array_size(items) == 0)
        (void)signature_refuse(reason, "there are no notificationItems");
    json_decref(root);
    return all;
}

bool signature_adyen_platform(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    str_t given;
    reason[0] = '\0';
    if (!signature_header(input, "HmacSignature", &given, reason))
        return false;
    return fits(input->secrets, input->secret_count, input->body, given) ||
           signature_refuse(reason, "HmacSignature is wrong");
}
