/* connector.h - what a PSP's connector has to be.
 *
 * A new PSP is one row of PSPS (psp_accounts.h) and, unless it speaks the prototype's format, one
 * file with its psp_webhooks_t. The registry, the settings (<PREFIX>_BASE_URL …) and the accounts
 * derive from the row. Included by lib/payment only.
 */
#ifndef TIFFIN_LIB_PAYMENT_PSP_CONNECTOR_H
#define TIFFIN_LIB_PAYMENT_PSP_CONNECTOR_H

#include <jansson.h>

#include "lib/payment/psp.h"

/* The format of a PSP's own webhooks. Beside it the prototype's is taken from every PSP in
 * development. A request tells by its headers which it is, a stored body by what it holds: what
 * verifies is also recognised. */
typedef struct psp_webhooks {
    const char *signature_header; /* that a request of this format has, right or wrong */
    bool (*recognises)(const json_t *body);
    /* As psp_webhook_verify. */
    err_t (*verify)(const psp_t *psp, const psp_account_t *account, bool dev, psp_header_fn *header,
                    void *header_arg, str_t body, int64_t now_us, psp_report_t *report,
                    err_detail_t *detail);
    /* As psp_webhook_read, of a body that is recognised. */
    err_t (*read)(const json_t *body, psp_report_t *report, err_detail_t *detail);
} psp_webhooks_t;

/* Each member does what the function psp_<member> of psp.h says. */
typedef struct psp_connector {
    void (*checkout_request)(const psp_account_t *account, const psp_checkout_t *checkout,
                             http_client_request_t *request);
    void (*checkout_read)(const http_client_response_t *response, psp_checkout_answer_t *answer);
    void (*status_request)(const psp_account_t *account, const uuid_t *payment_id,
                           http_client_request_t *request);
    err_t (*status_read)(const uuid_t *payment_id, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail);
    void (*refund_request)(const psp_account_t *account, const psp_refund_t *refund,
                           http_client_request_t *request);
    err_t (*refund_read)(const uuid_t *refund_id, const uuid_t *payment_id, int http_status,
                         str_t body, psp_report_t *report, err_detail_t *detail);
} psp_connector_t;

struct psp {
    const char *name; /* registered spelling */
    const psp_connector_t *connector;
    const psp_webhooks_t *webhooks; /* its own; NULL: none but the prototype's */
};

/* prototype.c */
extern const psp_connector_t psp_connector_prototype;
extern const psp_webhooks_t
    psp_webhooks_prototype; /* `verify` and `read` only: whatever no other is */
/* razorpay.c */
extern const psp_webhooks_t psp_webhooks_razorpay;

#endif
