/* psp.h - payment service providers: one registry row each; a connector is pure functions over bytes.
 *
 * Nothing here does I/O or reads a clock. Who calls: the gateway (verify and read webhooks), the webhook-processor (read webhooks
 * and status answers), the router (build and read a checkout), the reconciler (build and read a status).
 */
#ifndef TIFFIN_LIB_PAYMENT_PSP_H
#define TIFFIN_LIB_PAYMENT_PSP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/http_client.h"
#include "lib/text.h"
#include "lib/uuid.h"

#define PSP_NAME_SIZE 32
#define PSP_REF_SIZE 128
#define PSP_EVENT_ID_SIZE 128
#define PSP_REASON_SIZE 200

/* What a merchant configured for one PSP (environment, upper case name first: RAZORPAY_BASE_URL …). */
typedef struct psp_account {
    const char *base_url;        /* "http://127.0.0.1:8081/razorpay" */
    const char *key_id;
    const char *key_secret;
    const char *webhook_secrets; /* comma separated: rotation */
} psp_account_t;

typedef struct psp psp_t; /* a registry row */

/* Registered spelling ("Razorpay"), in priority order. */
size_t psp_count(void);
const psp_t *psp_at(size_t index);
/* Case-insensitive; NULL when there is none. */
const psp_t *psp_find(str_t name);
const char *psp_name(const psp_t *psp);

/* ---- facts ---- */

/* FACT(NAME, "name as in the facts table") */
#define PSP_FACTS(FACT)                          \
    FACT(AUTHORIZED, "authorized")               \
    FACT(CAPTURED, "captured")                   \
    FACT(FAILED, "failed")                       \
    FACT(VOIDED, "voided")                       \
    FACT(EXPIRED, "expired")                     \
    FACT(REFUND_REQUESTED, "refund_requested")   \
    FACT(REFUND_SUCCEEDED, "refund_succeeded")   \
    FACT(REFUND_FAILED, "refund_failed")         \
    FACT(DISPUTE_OPENED, "dispute_opened")       \
    FACT(DISPUTE_WON, "dispute_won")             \
    FACT(DISPUTE_LOST, "dispute_lost")           \
    FACT(SETTLED, "settled")
#define PSP_FACT_MEMBER(NAME, name) PSP_FACT_##NAME,
typedef enum psp_fact_kind { PSP_FACT_NONE, PSP_FACTS(PSP_FACT_MEMBER) PSP_FACT_KINDS } psp_fact_kind_t;
#undef PSP_FACT_MEMBER
/* "none", "captured" … Static. */
const char *psp_fact_kind_name(psp_fact_kind_t kind);
/* PSP_FACT_KINDS for a name that is none; "none" is not a fact. */
psp_fact_kind_t psp_fact_kind_parse(str_t name);
/* refund_requested, refund_succeeded, refund_failed */
bool psp_fact_is_refund(psp_fact_kind_t kind);

/* What a webhook, a status answer, a refund's answer or a settlement line says about one payment. */
typedef struct psp_report {
    char event_id[PSP_EVENT_ID_SIZE]; /* the PSP's event id; of a status answer one derived from its content */
    uuid_t payment_id;                /* ours, as the PSP echoes it; nil when it does not, or when it is about no payment */
    uuid_t order_id;                  /* ours; nil when the PSP does not echo it */
    uuid_t refund_id;                 /* refund_*: ours, as the PSP echoes it; nil when it does not */
    psp_fact_kind_t kind;             /* NONE: nothing happened yet */
    char psp_ref[PSP_REF_SIZE];       /* the PSP's canonical reference of what happened: of the capture, the refund, the dispute … */
    bool ref_is_per_payment;          /* the reference is unique within the payment only (prototype format) */
    int64_t amount;                   /* minor units, positive; 0: a refused refund's own */
    int64_t fee;                      /* SETTLED: what the PSP kept of it; else 0 */
    char currency[4];                 /* "" when the format names none: the order's */
    int64_t occurred_at_us;
    char reason[PSP_REASON_SIZE];     /* FAILED: the PSP's words */
} psp_report_t;

/* ---- webhooks ---- */

/* A request header of the webhook by name (case-insensitive), or NULL. */
typedef const char *(psp_header_fn)(void *arg, const char *name);

/* The header in which the PSP's own format has its signature; NULL while only the prototype's is known of it. Static. */
const char *psp_signature_header(const psp_t *psp);

/* ERR_SIGNATURE_INVALID, ERR_MALFORMED_WEBHOOK (with detail), or ERR_OK with the report. A request with the PSP's signature header
 * is of its own format, in any environment. Every other is of the prototype's, whose body signature ("Razorpay:dev-secret") is
 * taken where `dev` (TIFFIN_ENV=dev). `now_us` for formats with a time window. */
err_t psp_webhook_verify(const psp_t *psp, const psp_account_t *account, bool dev, psp_header_fn *header, void *header_arg,
                         str_t body, int64_t now_us, psp_report_t *report, err_detail_t *detail) MUST_CHECK;
/* The same without the signature: for a body that was verified before it was stored, and for a line of a settlement report. An
 * event id that came in a header is not in the body: `event_id` is then empty, whoever stored the body has it. */
err_t psp_webhook_read(const psp_t *psp, str_t body, psp_report_t *report, err_detail_t *detail) MUST_CHECK;
/* Nothing about any payment: kind NONE and no payment_id (a settlement was paid out, a bank is down …). */
bool psp_report_is_empty(const psp_report_t *report);

/* ---- checkout (create a payment at the PSP) ---- */

typedef struct psp_checkout {
    uuid_t payment_id, order_id, attempt_id; /* attempt_id is the idempotency key */
    int64_t amount;
    char currency[4];
    char method[17];
    char return_url[2049];
    int64_t expires_at_us;
} psp_checkout_t;

void psp_checkout_request(const psp_t *psp, const psp_account_t *account, const psp_checkout_t *checkout,
                          http_client_request_t *request);

typedef enum psp_checkout_outcome { PSP_CHECKOUT_OPEN, PSP_CHECKOUT_REFUSED, PSP_CHECKOUT_UNKNOWN } psp_checkout_outcome_t;
/* "OPEN" … */
const char *psp_checkout_outcome_name(psp_checkout_outcome_t outcome);

/* Whose fault it is that no checkout was opened. FAULT(NAME, "name") */
#define PSP_FAULTS(FAULT)                                                                         \
    FAULT(NONE, "none")         /* it is open */                                                  \
    FAULT(CUSTOMER, "customer") /* their details, their card */                                   \
    FAULT(MERCHANT, "merchant") /* our keys, our request, what our account may do */              \
    FAULT(LIMIT, "limit")       /* too many calls of ours */                                      \
    FAULT(PSP, "psp")           /* an error of theirs, or nonsense */                             \
    FAULT(NETWORK, "network")   /* no connection, or no answer in time */
#define PSP_FAULT_MEMBER(NAME, name) PSP_FAULT_##NAME,
typedef enum psp_fault { PSP_FAULTS(PSP_FAULT_MEMBER) PSP_FAULT_COUNT } psp_fault_t;
#undef PSP_FAULT_MEMBER
/* "none", "customer" … Static. */
const char *psp_fault_name(psp_fault_t fault);

typedef struct psp_checkout_answer {
    psp_checkout_outcome_t outcome;
    psp_fault_t fault;
    char psp_ref[PSP_REF_SIZE];
    char checkout_url[2049];
    char reason[PSP_REASON_SIZE]; /* not OPEN: why */
} psp_checkout_answer_t;

/* Never fails: whatever came (no connection, a timeout, 4xx, 5xx, nonsense) is one of the outcomes. */
void psp_checkout_read(const psp_t *psp, const http_client_response_t *response, psp_checkout_answer_t *answer);

/* ---- refunds ---- */

typedef struct psp_refund {
    uuid_t refund_id; /* the idempotency key: a repeated request tells how the refund stands */
    uuid_t payment_id, order_id;
    char capture_ref[PSP_REF_SIZE]; /* the capture that is given back, as the PSP named it */
    int64_t amount;                 /* minor units */
    char currency[4];
    char reason[257];
} psp_refund_t;

void psp_refund_request(const psp_t *psp, const psp_account_t *account, const psp_refund_t *refund,
                        http_client_request_t *request);
/* The answer. REFUND_SUCCEEDED; REFUND_REQUESTED: the PSP has taken it and goes on by itself; REFUND_FAILED: the PSP refuses it for
 * good (`reason`; psp_ref is the refund's id where the PSP gave it no reference). An error: the outcome is not known, the same
 * request is to be sent again. */
err_t psp_refund_read(const psp_t *psp, const uuid_t *refund_id, const uuid_t *payment_id, int http_status, str_t body,
                      psp_report_t *report, err_detail_t *detail) MUST_CHECK;

/* ---- status ---- */

void psp_status_request(const psp_t *psp, const psp_account_t *account, const uuid_t *payment_id, http_client_request_t *request);
/* A status answer's body. kind NONE: the PSP has no news (pending, or it does not know the payment: `reason` says which). */
err_t psp_status_read(const psp_t *psp, const uuid_t *payment_id, int http_status, str_t body, psp_report_t *report,
                      err_detail_t *detail) MUST_CHECK;

#endif
