/* registry_prototype.c - the registry for tests of what is the same at every PSP: here all of them
 * speak the prototype's format, whatever their own connectors do. Linked before tiffin_payment,
 * whose registry.c is then left out. */
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp_accounts.h"

#define ROW(index, title) \
    [PSP_INDEX_##index] = {.name = (title), .connector = &psp_connector_prototype}
const psp_t psp_registry[PSP_COUNT] = {
    [PSP_INDEX_razorpay] = {.name = "Razorpay",
                            .connector = &psp_connector_prototype,
                            .webhooks = &psp_webhooks_razorpay,
                            .refund_key_lives_h = 24},
    ROW(cashfree, "Cashfree"),
    ROW(juspay, "Juspay"),
    ROW(stripe, "Stripe"),
    ROW(payu, "PayU"),
    ROW(phonepe, "PhonePe"),
    /* bears a call in ten seconds, where somebody's key is given */
    [PSP_INDEX_adyen] = {.name = "Adyen",
                         .connector = &psp_connector_prototype,
                         .status_calls_per_min = 6},
};
#undef ROW
