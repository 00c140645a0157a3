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

/* Of an item: its event id holds both. */
enum { ADYEN_REFERENCE_MAX_BYTES = 64 };

/* One of Adyen's ids, as it can stand in a path. */
bool adyen_is_id(str_t text);
/* Ours: the payment, or the payment and a refund of it. Nil where it is something else. */
void adyen_read_merchant_reference(str_t text, uuid_t *payment_id, uuid_t *refund_id);
/* A member of the object that is a reference of Adyen's. */
err_t adyen_read_psp_reference(const json_t *object, const char *field, psp_report_t *report,
                               err_detail_t *detail) MUST_CHECK;
/* The request's method and what each has in its headers. */
void adyen_begin(const psp_account_t *account, const char *method, http_client_request_t *request);

/* ---- adyen_settlement.c ---- */

/* An item REPORT_AVAILABLE. */
err_t adyen_read_announcement(const json_t *item, psp_report_t *report,
                              err_detail_t *detail) MUST_CHECK;
/* As the members of psp_connector_t. */
bool adyen_settlement_request(const psp_account_t *account, const psp_settlement_query_t *query,
                              http_client_request_t *request);
err_t adyen_settlement_page(const psp_settlement_query_t *query, str_t body,
                            psp_settlement_page_t *page, err_detail_t *detail) MUST_CHECK;
psp_fact_kind_t adyen_settlement_of(const json_t *line);
err_t adyen_settlement_charge(str_t text, const json_t *line, psp_report_t *report,
                              err_detail_t *detail) MUST_CHECK;
err_t adyen_settlement_refund(str_t text, const json_t *line, psp_report_t *report,
                              err_detail_t *detail) MUST_CHECK;

/* ---- adyen_page.c ---- */

/* As psp_connector_t.page. `page_data`: "<session's id> <session's data>". */
void adyen_page(const psp_account_t *account, const psp_checkout_t *checkout, const char *page_data,
                psp_page_t *page);

#endif
