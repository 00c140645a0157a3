/* registry.c - which PSPs there are, in priority order: a row for each of PSP_INDEX_…
 * (psp_accounts.h). The limits are cashfree.com/docs/api-reference/payments/rate-limits and
 * docs.stripe.com/rate-limits (of test keys); the others' are not published. How long keys of
 * refunds live is docs.stripe.com/api/idempotent_requests and
 * docs.adyen.com/development-resources/api-idempotency (7 days at least); Razorpay does not say and
 * is taken to forget as soon as Stripe does. The others know a refund by the id that we give it.
 * Juspay and PhonePe have no settlement reports: neither documents a call for them (README.md). */
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp_accounts.h"

const psp_t psp_registry[PSP_COUNT] = {
    [PSP_INDEX_razorpay] = {.name = "Razorpay",
                            .connector = &psp_connector_razorpay,
                            .webhooks = &psp_webhooks_razorpay,
                            .refund_key_lives_h = 24},
    [PSP_INDEX_cashfree] = {.name = "Cashfree",
                            .connector = &psp_connector_cashfree,
                            .webhooks = &psp_webhooks_cashfree,
                            .needs = PSP_NEEDS_PHONE,
                            .status_calls_per_min = 100,
                            .refund_calls_per_min = 100},
    [PSP_INDEX_juspay] = {.name = "Juspay",
                          .connector = &psp_connector_juspay,
                          .webhooks = &psp_webhooks_juspay},
    [PSP_INDEX_stripe] = {.name = "Stripe",
                          .connector = &psp_connector_stripe,
                          .webhooks = &psp_webhooks_stripe,
                          .status_calls_per_min = 1500,
                          .refund_calls_per_min = 1500,
                          .refund_key_lives_h = 24},
    [PSP_INDEX_payu] = {.name = "PayU",
                        .connector = &psp_connector_payu,
                        .webhooks = &psp_webhooks_payu,
                        .needs = PSP_NEEDS_NAME | PSP_NEEDS_EMAIL | PSP_NEEDS_PHONE,
                        .only_currency = "INR"},
    [PSP_INDEX_phonepe] = {.name = "PhonePe",
                           .connector = &psp_connector_phonepe,
                           .webhooks = &psp_webhooks_phonepe,
                           .only_currency = "INR"},
    [PSP_INDEX_adyen] = {.name = "Adyen",
                         .connector = &psp_connector_adyen,
                         .webhooks = &psp_webhooks_adyen,
                         .refund_key_lives_h = 7 * 24},
};
