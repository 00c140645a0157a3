/* registry.c - which PSPs there are, in priority order: a row for each of PSP_INDEX_…
 * (psp_accounts.h). The limits are cashfree.com/docs/api-reference/payments/rate-limits and
 * docs.stripe.com/rate-limits (of test keys); the others' are not published. Juspay and PhonePe
 * have no settlement reports: neither documents a call for them (README.md). */
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp_accounts.h"

const psp_t psp_registry[PSP_COUNT] = {
    [PSP_INDEX_razorpay] = {"Razorpay", &psp_connector_razorpay, &psp_webhooks_razorpay, 0, NULL, 0,
                            0},
    [PSP_INDEX_cashfree] = {"Cashfree", &psp_connector_cashfree, &psp_webhooks_cashfree,
                            PSP_NEEDS_PHONE, NULL, 100, 100},
    [PSP_INDEX_juspay] = {"Juspay", &psp_connector_juspay, &psp_webhooks_juspay, 0, NULL, 0, 0},
    [PSP_INDEX_stripe] = {"Stripe", &psp_connector_stripe, &psp_webhooks_stripe, 0, NULL, 1500,
                          1500},
    [PSP_INDEX_payu] = {"PayU", &psp_connector_payu, &psp_webhooks_payu,
                        PSP_NEEDS_NAME | PSP_NEEDS_EMAIL | PSP_NEEDS_PHONE, "INR", 0, 0},
    [PSP_INDEX_phonepe] = {"PhonePe", &psp_connector_phonepe, &psp_webhooks_phonepe, 0, "INR", 0,
                           0},
    [PSP_INDEX_adyen] = {"Adyen", &psp_connector_adyen, &psp_webhooks_adyen, 0, NULL, 0, 0},
};
