/* fuzz_signature.c - every signature scheme over any bytes: first byte the scheme, up to the first
 * newline the value of every header, the rest the body. Nothing may fit that was made without the
 * secret. */
#include <stdint.h>
#include <string.h>

#include "lib/payment/signature.h"

static signature_fn *const all[] = {
    signature_razorpay,     signature_razorpay_callback,
    signature_stripe,       signature_cashfree,
    signature_payu,         signature_phonepe,
    signature_phonepe_v1,   signature_paytm,
    signature_paytm_header, signature_paytm_s2s,
    signature_adyen,        signature_adyen_platform,
    signature_juspay,       signature_standard_webhooks,
    signature_square,       signature_paddle,
    signature_gocardless,
};

static const char *header_of(void *arg, const char *name)
{
    (void)name;
    return arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char header[4096], reason[SIGNATURE_REASON_SIZE];
    if (size < 1)
        return 0;
    const char *text = (const char *)data + 1;
    const char *end = memchr(text, '\n', size - 1);
    const size_t header_size = end ? (size_t)(end - text) : 0;
    if (header_size >= sizeof header)
        return 0;
    memcpy(header, text, header_size);
    header[header_size] = '\0';
    const char *body = end ? end + 1 : text;
    /* Nobody guesses these. */
    const str_t secrets[] = {
        STR_LITERAL("5f1c0e7ab3d24986"), STR_LITERAL("whsec_XxwOerPSSYa+sk0rD2ha8Q=="),
        STR_LITERAL("someone:else:5f1c0e7ab3d2"), STR_LITERAL("7:5f1c0e7ab3d24986")};
    const signature_input_t input = {
        .header = header_of,
        .header_arg = header_size > 0 ? header : NULL,
        .body = {body, (uint32_t)(size - (size_t)(body - (const char *)data))},
        .secrets = secrets,
        .secret_count = sizeof secrets / sizeof secrets[0],
        .key_id = STR_LITERAL("key"),
        .split = true,
        .now_s = 1760000000,
        .tolerance_s = -1};
    signature_fn *const scheme = all[data[0] % (sizeof all / sizeof all[0])];
    CHECK(!scheme(&input, reason));
    CHECK(memchr(reason, '\0', sizeof reason) && reason[0]);
    return 0;
}
