/* razorpay.c - Razorpay's webhooks: X-Razorpay-Signature is the HMAC-SHA256 of the body under the
 * webhook secret, in small hexadecimal letters. And the form that its checkout page hands back,
 * signed with the key secret over the ids in it. Source: npm razorpay 2.9.8,
 * validateWebhookSignature and validatePaymentVerification.
 */
#include "lib/form.h"
#include "lib/payment/signature/parts.h"

static bool fits(const signature_input_t *input, str_t message, str_t given)
{
    bool found = false;
    for (size_t i = 0; i < input->secret_count; i++) {
        uint8_t digest[32];
        found |= signature_hmac(input->secrets[i], message, digest) &&
                 signature_is_hex(digest, sizeof digest, given);
    }
    return found;
}

bool signature_razorpay(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    str_t given;
    reason[0] = '\0';
    if (!signature_header(input, "X-Razorpay-Signature", &given, reason))
        return false;
    return fits(input, input->body, given) ||
           signature_refuse(reason, "X-Razorpay-Signature is wrong");
}

bool signature_razorpay_callback(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    static const char *const orders[][4] = {
        {"razorpay_order_id", "razorpay_payment_id"},
        {"razorpay_payment_id", "razorpay_subscription_id"},
        {"razorpay_payment_link_id", "razorpay_payment_link_reference_id",
         "razorpay_payment_link_status", "razorpay_payment_id"},
    };
    buf_t message = {0}, given = {0};
    bool whole = false;
    reason[0] = '\0';
    for (size_t i = 0; i < sizeof orders / sizeof orders[0] && !whole; i++) {
        buf_clear(&message);
        whole = true;
        for (size_t j = 0; j < 4 && orders[i][j]; j++) {
            if (j > 0)
                buf_add(&message, "|", 1);
            whole = whole && form_get(input->body, orders[i][j], &message);
        }
    }
    const bool is_signed = form_get(input->body, "razorpay_signature", &given);
    const bool fitting =
        whole && is_signed && fits(input, signature_text(&message), signature_text(&given));
    buf_free(&message);
    buf_free(&given);
    return fitting || signature_refuse(reason, !whole ? "the ids that are signed are not there"
                                               : !is_signed ? "razorpay_signature is missing"
                                                            : "razorpay_signature is wrong");
}
