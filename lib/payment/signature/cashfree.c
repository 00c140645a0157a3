/* cashfree.c - x-webhook-signature is the HMAC-SHA256 of x-webhook-timestamp and the body, with
 * nothing between them, under the client secret, in base64. The time is signed, its age is not
 * checked: a replay is seen by its id. Source: npm cashfree-pg 6.0.6, PGVerifyWebhookSignature.
 */
#include "lib/payment/signature/parts.h"

bool signature_cashfree(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    str_t given, time;
    bool found = false;
    reason[0] = '\0';
    if (!signature_header(input, "x-webhook-signature", &given, reason) ||
        !signature_header(input, "x-webhook-timestamp", &time, reason))
        return false;
    buf_t message = {0};
    buf_add(&message, time.data, time.size);
    buf_add(&message, input->body.data, input->body.size);
    for (size_t i = 0; i < input->secret_count && !message.overflow; i++) {
        uint8_t digest[32];
        found |= signature_hmac(input->secrets[i], signature_text(&message), digest) &&
                 signature_is_base64(digest, sizeof digest, given);
    }
    buf_free(&message);
    return found || signature_refuse(reason, "x-webhook-signature is wrong");
}
