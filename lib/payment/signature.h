/* signature.h - how PSPs sign what they send: one pure function per scheme, over the request's own
 * bytes.
 *
 * The gateway, the connectors and tiffin-psp use these; there is no second implementation. Several
 * secrets are compared, since one replaces another (rotation); comparisons take constant time; the
 * clock is an argument. A reason is for people: it never holds a secret, nor the signature that
 * would fit. Sources are named in each scheme's file, signature/<scheme>.c.
 */
#ifndef TIFFIN_LIB_PAYMENT_SIGNATURE_H
#define TIFFIN_LIB_PAYMENT_SIGNATURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/payment/psp.h"

#define SIGNATURE_REASON_SIZE 96
#define SIGNATURE_SECRETS_MAX 16

typedef struct signature_input {
    psp_header_fn *header; /* of the request */
    void *header_arg;
    str_t body; /* raw */
    const str_t *secrets;
    size_t secret_count;
    str_t key_id;        /* PayU's merchant key */
    bool split;          /* PayU: splitInfo is in the hash */
    str_t url;           /* Square: where the webhook was sent to */
    int64_t now_s;       /* unix time */
    int64_t tolerance_s; /* of a signed time; 0: none is checked; below 0: as the scheme has it */
} signature_input_t;

/* "" when it fits. */
typedef bool(signature_fn)(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE]);

signature_fn signature_razorpay, signature_razorpay_callback, signature_stripe, signature_cashfree,
    signature_payu, signature_phonepe, signature_phonepe_v1, signature_paytm,
    signature_paytm_header, signature_paytm_s2s, signature_adyen, signature_adyen_platform,
    signature_juspay, signature_standard_webhooks, signature_square, signature_paddle,
    signature_gocardless;

/* One item of an Adyen notification (NotificationRequestItem). */
bool signature_adyen_item(const str_t *secrets, size_t secret_count, const json_t *item,
                          char reason[SIGNATURE_REASON_SIZE]);

/* A comma separated list of secrets (psp_account_t.webhook_secrets), taken apart; how many. */
size_t signature_secrets(const char *list, str_t secrets[SIGNATURE_SECRETS_MAX]);

/* ---- hashes of requests to PayU ---- */

#define SIGNATURE_SHA512_HEX_SIZE 129

/* Of a payment form: key|txnid|amount|productinfo|firstname|email|udf1|…|udf5||||||SALT. `fields`
 * are the first eleven. */
void signature_payu_payment(const char *const fields[11], str_t salt,
                            char hex[SIGNATURE_SHA512_HEX_SIZE]);
/* Of an API call: key|command|var1|SALT. */
void signature_payu_command(const char *key, const char *command, const char *var1, str_t salt,
                            char hex[SIGNATURE_SHA512_HEX_SIZE]);

#endif
