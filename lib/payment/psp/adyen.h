/* adyen.h - what the files of Adyen's connector share. Included by them alone. */
#ifndef TIFFIN_LIB_PAYMENT_PSP_ADYEN_H
#define TIFFIN_LIB_PAYMENT_PSP_ADYEN_H

#include "lib/payment/psp/connector.h"

#define ADYEN_LIVE_API_SUFFIX ".adyenpayments.com"

/* ---- adyen.c ---- */

/* A country of the currency: Adyen wants one, for the payment methods that it offers. Codes of
 * currencies begin with their country's, but for those of several countries. */
const char *adyen_country_of(const char *currency, char country[3]);
/* Where the customer comes back to. */
void adyen_add_return_url(const psp_checkout_t *checkout, buf_t *url);

/* ---- adyen_page.c ---- */

/* As psp_connector_t.page. `page_data`: "<session's id> <session's data>". */
void adyen_page(const psp_account_t *account, const psp_checkout_t *checkout, const char *page_data,
                psp_page_t *page);

#endif
