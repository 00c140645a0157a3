/* registry.c - which PSPs there are, in priority order: a row for each of PSPS (psp_accounts.h). */
#include <strings.h>

#include "lib/payment/psp/connector.h"
#include "lib/payment/psp_accounts.h"

static const psp_t registry[PSP_COUNT] = {
    [PSP_INDEX_razorpay] = {"Razorpay", &psp_connector_razorpay, &psp_webhooks_razorpay, 0},
    [PSP_INDEX_cashfree] = {"Cashfree", &psp_connector_prototype, NULL, 0},
    [PSP_INDEX_juspay] = {"Juspay", &psp_connector_prototype, NULL, 0},
    [PSP_INDEX_stripe] = {"Stripe", &psp_connector_prototype, NULL, 0},
    [PSP_INDEX_payu] = {"PayU", &psp_connector_prototype, NULL, 0},
    [PSP_INDEX_phonepe] = {"PhonePe", &psp_connector_prototype, NULL, 0},
    [PSP_INDEX_adyen] = {"Adyen", &psp_connector_prototype, NULL, 0},
};

size_t psp_count(void)
{
    return PSP_COUNT;
}

size_t psp_index(const psp_t *psp)
{
    CHECK(psp >= registry && psp < registry + PSP_COUNT);
    return (size_t)(psp - registry);
}

const psp_t *psp_at(size_t index)
{
    CHECK(index < PSP_COUNT);
    return &registry[index];
}

const psp_t *psp_find(str_t name)
{
    for (size_t i = 0; i < PSP_COUNT; i++) {
        str_t known = str_of(registry[i].name);
        if (name.size == known.size && strncasecmp(name.data, known.data, known.size) == 0)
            return &registry[i];
    }
    return NULL;
}

const char *psp_name(const psp_t *psp)
{
    return psp->name;
}
