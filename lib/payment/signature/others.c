/* others.c - schemes of PSPs that have no connector here, for tiffin-psp: Square, Paddle,
 * GoCardless. Sources: npm square 46, @paddle/paddle-node-sdk 3.10.0, gocardless-nodejs 10.1.2.
 */
#include <string.h>

#include "lib/payment/signature/parts.h"

enum { PADDLE_TOLERANCE_S = 5 };

/* HMAC-SHA256 of the URL and the body, in base64. */
bool signature_square(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    str_t given;
    bool found = false;
    reason[0] = '\0';
    if (!signature_header(input, "x-square-hmacsha256-signature", &given, reason))
        return false;
    buf_t message = {0};
    buf_add(&message, input->url.data ? input->url.data : "", input->url.size);
    buf_add(&message, input->body.data, input->body.size);
    for (size_t i = 0; i < input->secret_count; i++) {
        uint8_t digest[32];
        found |= signature_hmac(input->secrets[i], signature_text(&message), digest) &&
                 signature_is_base64(digest, sizeof digest, given);
    }
    buf_free(&message);
    return found || signature_refuse(reason, "the signature is wrong");
}

/* "ts=<unix time>;h1=<hex>[;h1=<hex>]", HMAC-SHA256 of "<ts>:<body>". */
bool signature_paddle(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    const int64_t tolerance_s = input->tolerance_s < 0 ? PADDLE_TOLERANCE_S : input->tolerance_s;
    str_t header, time = {NULL, 0}, given[8];
    size_t count = 0;
    int64_t signed_at_s;
    bool found = false;
    reason[0] = '\0';
    if (!signature_header(input, "Paddle-Signature", &header, reason))
        return false;
    while (header.size > 0) {
        const char *end = memchr(header.data, ';', header.size);
        const str_t item = {header.data, end ? (uint32_t)(end - header.data) : header.size};
        header = (str_t){header.data + item.size + (end != NULL),
                         header.size - item.size - (end != NULL)};
        if (item.size > 3 && strncmp(item.data, "ts=", 3) == 0)
            time = (str_t){item.data + 3, item.size - 3};
        else if (item.size > 3 && strncmp(item.data, "h1=", 3) == 0 && count < 8)
            given[count++] = (str_t){item.data + 3, item.size - 3};
    }
    if (!signature_read_number(time, &signed_at_s))
        return signature_refuse(reason, "Paddle-Signature has no time (ts=)");
    if (tolerance_s > 0 && input->now_s - signed_at_s > tolerance_s)
        return signature_refuse(reason, "the signature is too old");
    buf_t message = {0};
    buf_printf(&message, "%.*s:", STR_ARG(time));
    buf_add(&message, input->body.data, input->body.size);
    for (size_t i = 0; i < input->secret_count; i++)
        for (size_t j = 0; j < count; j++) {
            uint8_t digest[32];
            found |= signature_hmac(input->secrets[i], signature_text(&message), digest) &&
                     signature_is_hex(digest, sizeof digest, given[j]);
        }
    buf_free(&message);
    return found || signature_refuse(reason, "no h1 of Paddle-Signature fits");
}

/* HMAC-SHA256 of the body, in hexadecimal. */
bool signature_gocardless(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    str_t given;
    bool found = false;
    reason[0] = '\0';
    if (!signature_header(input, "Webhook-Signature", &given, reason))
        return false;
    for (size_t i = 0; i < input->secret_count; i++) {
        uint8_t digest[32];
        found |= signature_hmac(input->secrets[i], input->body, digest) &&
                 signature_is_hex(digest, sizeof digest, given);
    }
    return found || signature_refuse(reason, "Webhook-Signature is wrong");
}
