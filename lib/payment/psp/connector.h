/* connector.h - what a PSP's connector has to be: one file that fills these two tables, one row of
 * the registry. README.md beside it is the way there. Included by lib/payment only.
 */
#ifndef TIFFIN_LIB_PAYMENT_PSP_CONNECTOR_H
#define TIFFIN_LIB_PAYMENT_PSP_CONNECTOR_H

#include <jansson.h>

#include "lib/payment/psp.h"

/* The format of a PSP's own webhooks. Beside it the prototype's is taken from every PSP in
 * development. */
typedef struct psp_webhooks {
    /* What an operator looks for; NULL: the signature is in the body. */
    const char *signature_header;
    /* A request is of this format when it has this header, whatever its body is; NULL: the body
     * tells. */
    const char *marker_header;
    /* Is a body of this format? `json` is NULL when it is no JSON object. What verifies is also
     * recognised. */
    bool (*recognises)(str_t body, const json_t *json);
    /* As psp_webhook_verify; reports come in zeroed. */
    err_t (*verify)(const psp_t *psp, const psp_account_t *account, bool dev, psp_header_fn *header,
                    void *header_arg, str_t body, int64_t now_us,
                    psp_webhook_t webhooks[PSP_WEBHOOKS_MAX], size_t *count, err_detail_t *detail);
    /* As psp_webhook_read, of a body that is recognised. */
    err_t (*read)(str_t body, const json_t *json, psp_report_t *report, err_detail_t *detail);
} psp_webhooks_t;

/* Each member does what the function psp_<member> of psp.h says; NULL where that says no. What they
 * fill comes in zeroed; whoever calls sets the timeout. */
typedef struct psp_connector {
    void (*checkout_request)(const psp_account_t *account, const psp_checkout_t *checkout,
                             http_client_request_t *request); /* NULL: it is local … */
    void (*checkout_read)(const http_client_response_t *response, psp_checkout_answer_t *answer);
    void (*checkout_find_request)(const psp_account_t *account, const psp_checkout_t *checkout,
                                  http_client_request_t *request);
    void (*checkout_open)(const psp_account_t *account, const psp_checkout_t *checkout,
                          psp_checkout_answer_t *answer); /* … and this opens it */
    void (*page)(const psp_account_t *account, const psp_checkout_t *checkout,
                 const char *page_data, psp_page_t *page);
    bool (*status_request)(const psp_account_t *account, const psp_payment_t *payment,
                           http_client_request_t *request);
    err_t (*status_read)(const psp_payment_t *payment, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail);
    /* NULL, both: it is always captured automatically; void_request alone: the PSP has no void. */
    void (*capture_request)(const psp_account_t *account, const psp_authorization_t *authorization,
                            http_client_request_t *request);
    void (*void_request)(const psp_account_t *account, const psp_authorization_t *authorization,
                         http_client_request_t *request);
    bool preauth_by_account; /* only accounts that the PSP has enabled for it authorise alone */
    void (*refund_request)(const psp_account_t *account, const psp_refund_t *refund,
                           http_client_request_t *request);
    void (*refund_status_request)(const psp_account_t *account, const psp_refund_t *refund,
                                  http_client_request_t *request);
    err_t (*refund_read)(const psp_refund_t *asked, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail);
    /* NULL: it has no settlement reports; then nor the others. */
    bool (*settlement_request)(const psp_account_t *account, const psp_settlement_query_t *query,
                               http_client_request_t *request);
    /* A report that is announced and comes whole, which is no JSON: what psp_settlement_read does
     * of a body that came with 200. NULL: it is asked for by its day, and the next two are there.
     */
    err_t (*settlement_page)(const psp_settlement_query_t *query, str_t body,
                             psp_settlement_page_t *page, err_detail_t *detail);
    const char *settlement_lines; /* the member of the answer that is the list of lines … */
    const char *settlement_type;  /* … and that of a line which says what it is */
    /* The cursor of the next page, of an answer with `count` lines; zeroed: none. */
    err_t (*settlement_next)(const psp_settlement_query_t *query, const json_t *answer,
                             size_t count, char next[PSP_SETTLEMENT_CURSOR_SIZE],
                             err_detail_t *detail);
    /* What a line is of: CAPTURED, a charge that is paid out; REFUND_SUCCEEDED; NONE, anything
     * else. */
    psp_fact_kind_t (*settlement_of)(const json_t *line);
    /* Of a charge: `report->kind` comes in as SETTLED or CAPTURED. `text` is the line's bytes. The
     * event id is not its concern, nor the fee of CAPTURED. */
    err_t (*settlement_charge)(str_t text, const json_t *line, psp_report_t *report,
                               err_detail_t *detail);
    /* Of a refund. Where the line has no reference of the PSP's, psp_ref is the refund's id: what
     * else was told of it has the reference. */
    err_t (*settlement_refund)(str_t text, const json_t *line, psp_report_t *report,
                               err_detail_t *detail);
    void (*token_request)(const psp_account_t *account, http_client_request_t *request);
    bool (*token_read)(const http_client_response_t *response, int64_t now_us,
                       char header[PSP_TOKEN_SIZE], int64_t *lives_ms);
} psp_connector_t;

/* Details of the customer without which a PSP opens no checkout. */
enum { PSP_NEEDS_NAME = 1, PSP_NEEDS_EMAIL = 2, PSP_NEEDS_PHONE = 4 };

struct psp {
    const char *name; /* registered spelling */
    const psp_connector_t *connector;
    const psp_webhooks_t *webhooks; /* its own; NULL: none but the prototype's */
    unsigned needs;                 /* PSP_NEEDS_… */
    const char *only_currency;      /* NULL: any */
    unsigned status_calls_per_min;  /* that the PSP bears, as it says; 0: it says nothing */
    unsigned refund_calls_per_min;  /* the same of refunds, captures and voids */
    unsigned refund_key_lives_h;    /* for how long it remembers a refund's key; 0: for ever */
};

/* registry.c: in priority order, PSP_COUNT of them. */
extern const psp_t psp_registry[];

/* prototype.c */
extern const psp_connector_t psp_connector_prototype;
extern const psp_webhooks_t
    psp_webhooks_prototype; /* `verify` and `read` only: whatever no other is */
/* razorpay.c */
extern const psp_connector_t psp_connector_razorpay;
extern const psp_webhooks_t psp_webhooks_razorpay;
/* stripe.c */
extern const psp_connector_t psp_connector_stripe;
extern const psp_webhooks_t psp_webhooks_stripe;
/* adyen.c */
extern const psp_connector_t psp_connector_adyen;
extern const psp_webhooks_t psp_webhooks_adyen;

/* cashfree.c, juspay.c, payu.c, phonepe.c */
extern const psp_connector_t psp_connector_cashfree, psp_connector_juspay, psp_connector_payu,
    psp_connector_phonepe;
extern const psp_webhooks_t psp_webhooks_cashfree, psp_webhooks_juspay, psp_webhooks_payu,
    psp_webhooks_phonepe;

#endif
