/* razorpay.h - what the files of Razorpay's connector share: razorpay.c has links, refunds and
 * webhooks, razorpay_order.c what is captured by hand. Included by them alone. */
#ifndef TIFFIN_LIB_PAYMENT_PSP_RAZORPAY_H
#define TIFFIN_LIB_PAYMENT_PSP_RAZORPAY_H

#include "lib/payment/psp/connector.h"

/* ---- razorpay.c ---- */

/* A request with the account's keys; of a POST the body is JSON. */
void razorpay_begin(const psp_account_t *account, const char *method,
                    http_client_request_t *request);
/* Member "notes": the payment's and the order's ids. */
void razorpay_add_notes(const psp_checkout_t *checkout, buf_t *body);
/* Nil when it is not there or is something else: notes are whoever's made the payment. (Empty notes
 * come as an array.) */
uuid_t razorpay_read_note(const json_t *entity, const char *name);
/* Member "created_at". */
err_t razorpay_read_time(const json_t *entity, int64_t *wall_us, err_detail_t *detail) MUST_CHECK;

/* ---- razorpay_order.c ---- */

/* Is it the id of an order, "order_…"? */
bool razorpay_is_order(str_t id);
void razorpay_order_request(const psp_account_t *account, const psp_checkout_t *checkout,
                            http_client_request_t *request);
/* An order that can be paid: the answer to the request. */
bool razorpay_order_is_open(const json_t *root);
/* As psp_connector_t.page, of an order. */
void razorpay_order_page(const psp_account_t *account, const psp_checkout_t *checkout,
                         const char *page_data, psp_page_t *page);
/* The payments of an order: the one that says most counts. */
err_t razorpay_order_read_payments(const json_t *items, const psp_payment_t *payment,
                                   psp_report_t *report, err_detail_t *detail) MUST_CHECK;
/* As psp_connector_t.capture_request. */
void razorpay_capture_request(const psp_account_t *account,
                              const psp_authorization_t *authorization,
                              http_client_request_t *request);

#endif
