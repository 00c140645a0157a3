/* registry_prototype.c - the registry for tests of what is the same at every PSP: here all of them
 * speak the prototype's format, whatever their own connectors do. Linked before tiffin_payment,
 * whose registry.c is then left out. */
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp_accounts.h"

#define ROW(index, title) [PSP_INDEX_##index] = {title, &psp_connector_prototype, NULL, 0, NULL, 0, 0}
const psp_t psp_registry[PSP_COUNT] = {
    [PSP_INDEX_razorpay] = {"Razorpay", &psp_connector_prototype, &psp_webhooks_razorpay, 0, NULL,
                            0, 0},
    ROW(cashfree, "Cashfree"),
    ROW(juspay, "Juspay"),
    ROW(stripe, "Stripe"),
    ROW(payu, "PayU"),
    ROW(phonepe, "PhonePe"),
    /* bears a call in ten seconds, where somebody's key is given */
    [PSP_INDEX_adyen] = {"Adyen", &psp_connector_prototype, NULL, 0, NULL, 6, 0},
};
#undef ROW
