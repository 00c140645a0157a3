/* psp.h - payment service providers: one registry row each; a connector is pure functions over
 * bytes.
 *
 * Nothing here does I/O or reads a clock. Who calls: the gateway (verify and read webhooks), the
 * webhook-processor (read webhooks and answers), the router (build and read checkouts and refunds,
 * the pages that are ours), the reconciler (build and read a status). psp/README.md says how to add
 * one.
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
#define PSP_REPORT_URL_SIZE 513

/* What a merchant configured for one PSP (environment, upper case name first: RAZORPAY_BASE_URL …).
 * What each is at this PSP is said by its settings (psp_accounts.h); NULL where it has no such
 * setting. */
typedef struct psp_account {
    const char *base_url; /* "http://127.0.0.1:8081/razorpay" */
    const char *key_id;
    const char *key_secret;
    const char *webhook_secrets; /* comma separated: rotation */
    const char *account;         /* what else the PSP wants to be told */
    const char *default_phone;   /* of customers whose order has none */
    const char *preauth; /* "yes": the PSP has enabled this account to authorise alone; where it has
                            to */
    bool given;          /* by somebody; else they are development values */
} psp_account_t;

typedef struct psp psp_t; /* a registry row */

/* Registered spelling ("Razorpay"), in priority order. */
size_t psp_count(void);
/* Its place in that order. */
size_t psp_index(const psp_t *psp);
const psp_t *psp_at(size_t index);
/* Case-insensitive; NULL when there is none. */
const psp_t *psp_find(str_t name);
const char *psp_name(const psp_t *psp);

/* ---- facts ---- */

/* FACT(NAME, "name as in the facts table") */
#define PSP_FACTS(FACT)                        \
    FACT(AUTHORIZED, "authorized")             \
    FACT(CAPTURED, "captured")                 \
    FACT(FAILED, "failed")                     \
    FACT(VOIDED, "voided")                     \
    FACT(EXPIRED, "expired")                   \
    FACT(REFUND_REQUESTED, "refund_requested") \
    FACT(REFUND_SUCCEEDED, "refund_succeeded") \
    FACT(REFUND_FAILED, "refund_failed")       \
    FACT(DISPUTE_OPENED, "dispute_opened")     \
    FACT(DISPUTE_WON, "dispute_won")           \
    FACT(DISPUTE_LOST, "dispute_lost")         \
    FACT(SETTLED, "settled")
#define PSP_FACT_MEMBER(NAME, name) PSP_FACT_##NAME,
typedef enum psp_fact_kind {
    PSP_FACT_NONE,
    PSP_FACTS(PSP_FACT_MEMBER) PSP_FACT_KINDS
} psp_fact_kind_t;
#undef PSP_FACT_MEMBER
/* "none", "captured" … Static. */
const char *psp_fact_kind_name(psp_fact_kind_t kind);
/* PSP_FACT_KINDS for a name that is none; "none" is not a fact. */
psp_fact_kind_t psp_fact_kind_parse(str_t name);
/* refund_requested, refund_succeeded, refund_failed */
bool psp_fact_is_refund(psp_fact_kind_t kind);

/* Whose fault it is that no checkout was opened, or that a payment failed. FAULT(NAME, "name") */
#define PSP_FAULTS(FAULT)                                                            \
    FAULT(NONE, "none")         /* nobody's, or nobody says whose */                 \
    FAULT(CUSTOMER, "customer") /* their details, their card */                      \
    FAULT(MERCHANT, "merchant") /* our keys, our request, what our account may do */ \
    FAULT(LIMIT, "limit")       /* too many calls of ours */                         \
    FAULT(PSP, "psp")           /* an error of theirs, or nonsense */                \
    FAULT(NETWORK, "network")   /* no connection, or no answer in time */
#define PSP_FAULT_MEMBER(NAME, name) PSP_FAULT_##NAME,
typedef enum psp_fault { PSP_FAULTS(PSP_FAULT_MEMBER) PSP_FAULT_COUNT } psp_fault_t;
#undef PSP_FAULT_MEMBER
/* "none", "customer" … Static. */
const char *psp_fault_name(psp_fault_t fault);

/* What a webhook, a status answer, a refund's answer or a settlement line says about one payment.
 */
typedef struct psp_report {
    char event_id[PSP_EVENT_ID_SIZE]; /* the PSP's event id; of a status answer one derived from its
                                         content */
    uuid_t payment_id; /* ours, as the PSP echoes it; nil when it does not, or when it is about no
                          payment */
    uuid_t order_id;   /* ours; nil when the PSP does not echo it */
    uuid_t refund_id;  /* refund_*: ours, as the PSP echoes it; nil when it does not */
    psp_fact_kind_t kind;       /* NONE: nothing happened yet */
    char psp_ref[PSP_REF_SIZE]; /* the PSP's canonical reference of what happened: of the capture,
                                   the refund, the dispute … */
    bool
        ref_is_per_payment; /* the reference is unique within the payment only (prototype format) */
    int64_t amount;         /* minor units, positive; 0: of a refund, what was asked for */
    int64_t fee;            /* SETTLED: what the PSP kept of it; else 0 */
    char currency[4];       /* "" when the format names none: the order's */
    int64_t occurred_at_us;
    char reason[PSP_REASON_SIZE];        /* FAILED: the PSP's words */
    psp_fault_t fault;                   /* FAILED: whose, where the PSP says it; else NONE */
    char announced[PSP_REPORT_URL_SIZE]; /* where a settlement report is ready, as far as the PSP
                                            can be believed: kind is NONE; else "" */
    bool hint; /* its signature does not cover it: the PSP is to be asked, nothing is a fact; kind
                  is NONE */
} psp_report_t;

/* ---- webhooks ---- */

/* A request header of the webhook by name (case-insensitive), or NULL. */
typedef const char *(psp_header_fn)(void *arg, const char *name);

/* The header in which the PSP's own format has its signature; NULL where it is in the body. Static.
 */
const char *psp_signature_header(const psp_t *psp);

/* One thing that a webhook tells. */
typedef struct psp_webhook {
    psp_report_t report;
    str_t body; /* the bytes of the request that tell it: psp_webhook_read reads them again */
} psp_webhook_t;
#define PSP_WEBHOOKS_MAX 16 /* in one request; most hold one */

/* ERR_SIGNATURE_INVALID, ERR_MALFORMED_WEBHOOK (with detail), or ERR_OK with *count things that it
 * tells (an item of a batch whose signature is wrong is left out; all wrong:
 * ERR_SIGNATURE_INVALID). A request that has the PSP's marks is of its own format, in any
 * environment. Every other is of the prototype's, whose body signature ("Razorpay:dev-secret") is
 * taken where `dev` (TIFFIN_ENV=dev). `now_us` for formats with a time window. */
err_t psp_webhook_verify(const psp_t *psp, const psp_account_t *account, bool dev,
                         psp_header_fn *header, void *header_arg, str_t body, int64_t now_us,
                         psp_webhook_t webhooks[PSP_WEBHOOKS_MAX], size_t *count,
                         err_detail_t *detail) MUST_CHECK;
/* One of them without the signature: a body that was verified before it was stored. An event id
 * that came in a header is not in the body: `event_id` is then empty, whoever stored the body has
 * it. */
err_t psp_webhook_read(const psp_t *psp, str_t body, psp_report_t *report,
                       err_detail_t *detail) MUST_CHECK;
/* Nothing about any payment: kind NONE and no payment_id (a settlement was paid out, a bank is down
 * …), and no settlement report that is announced. */
bool psp_report_is_empty(const psp_report_t *report);

/* ---- checkout (create a payment at the PSP) ---- */

/* Of the order; "" what it does not have. */
typedef struct psp_customer {
    char id[129]; /* the merchant's user_id */
    char name[129], email[129], phone[33];
} psp_customer_t;

typedef struct psp_checkout {
    uuid_t payment_id, order_id, attempt_id; /* attempt_id is the idempotency key */
    int64_t amount;
    char currency[4];
    char method[17];
    char return_url[2049]; /* the merchant's; "": none */
    int64_t expires_at_us, now_us;
    psp_customer_t customer;
    bool manual_capture; /* only authorised when it is paid; only where psp_takes_manual_capture */
    const char *public_url; /* ours, as PSPs and browsers reach the gateway: "https://pay.example";
                               no slash at the end */
} psp_checkout_t;

/* The detail that this PSP needs and the checkout lacks, as the API names it ("customer.phone");
 * NULL: none. */
const char *psp_checkout_lacks(const psp_t *psp, const psp_account_t *account,
                               const psp_checkout_t *checkout);
/* Does the PSP take payments in this currency? */
bool psp_takes(const psp_t *psp, const char *currency);
/* Can a payment of this account there be authorised first, and captured by hand? */
bool psp_takes_manual_capture(const psp_t *psp, const psp_account_t *account);
/* Can what is authorised there, on whichever account, be captured? */
bool psp_takes_capture(const psp_t *psp);
/* Can what is authorised there be voided? Else the PSP alone releases it, some time after nobody
 * has captured it. */
bool psp_takes_void(const psp_t *psp);
/* Does its connector open it without asking the PSP (the customer's browser brings all of it)? */
bool psp_checkout_is_local(const psp_t *psp);
/* Not for local ones. */
void psp_checkout_request(const psp_t *psp, const psp_account_t *account,
                          const psp_checkout_t *checkout, http_client_request_t *request);

typedef enum psp_checkout_outcome {
    PSP_CHECKOUT_OPEN,
    PSP_CHECKOUT_REFUSED,
    PSP_CHECKOUT_UNKNOWN
} psp_checkout_outcome_t;
/* "OPEN" … */
const char *psp_checkout_outcome_name(psp_checkout_outcome_t outcome);

typedef struct psp_checkout_answer {
    psp_checkout_outcome_t outcome;
    psp_fault_t fault;
    char psp_ref[PSP_REF_SIZE]; /* the PSP's name of the checkout; "": ours alone */
    char checkout_url[2049]; /* the PSP's page, or "": ours, <public_url>/checkout/<payment_id> */
    char page_data[6145];    /* for our page: what it is opened with */
    char reason[PSP_REASON_SIZE]; /* not OPEN: why */
    bool exists; /* not OPEN: it was opened before, by a call whose answer was lost */
} psp_checkout_answer_t;

/* Never fails: whatever came (no connection, a timeout, 4xx, 5xx, nonsense) is one of the outcomes.
 */
void psp_checkout_read(const psp_t *psp, const http_client_response_t *response,
                       psp_checkout_answer_t *answer);
/* A PSP that is spoken to by https must not send customers to a page in clear: what is OPEN there
 * becomes UNKNOWN. (The simulator is spoken to in clear, and may have another name for browsers.)
 */
void psp_checkout_keep_to_https(const psp_account_t *account, psp_checkout_answer_t *answer);
/* Asks for the checkout that exists; psp_checkout_read reads the answer. False: this PSP has no
 * such call. */
bool psp_checkout_find_request(const psp_t *psp, const psp_account_t *account,
                               const psp_checkout_t *checkout, http_client_request_t *request);
/* Of a local one. */
void psp_checkout_open(const psp_t *psp, const psp_account_t *account,
                       const psp_checkout_t *checkout, psp_checkout_answer_t *answer);

/* A page of ours where the customer pays: the PSP's own script, or a form that submits itself. */
typedef struct psp_page {
    buf_t body;            /* HTML, what comes into <main>; every text from outside is escaped */
    char script_from[128]; /* the origins that its scripts come from, and talk to, for the
                              Content-Security-Policy; "": none */
    char submits_to[128];  /* the origin that its form goes to; "": none */
    char script[4097];     /* inline script; may be "" */
} psp_page_t;
/* Appends text with &, <, >, " and ' escaped. */
void psp_page_add_escaped(buf_t *html, const char *text);
/* Appends ` name="value"`, escaped. */
void psp_page_add_attribute(buf_t *html, const char *name, const char *value);
/* False: this PSP has pages of its own. page->body is the caller's to free. */
bool psp_page(const psp_t *psp, const psp_account_t *account, const psp_checkout_t *checkout,
              const char *page_data, psp_page_t *page);

/* ---- capture and void by hand ---- */

typedef struct psp_authorization {
    uuid_t payment_id, order_id;
    char psp_ref[PSP_REF_SIZE]; /* the authorisation, as the PSP named it */
    int64_t amount;             /* all of it, minor units */
    char currency[4];
} psp_authorization_t;

/* Only where psp_takes_capture. A request that is repeated moves nothing twice. What is
 * answered is no fact: psp_status_request, or a webhook, tells what became of it. */
void psp_capture_request(const psp_t *psp, const psp_account_t *account,
                         const psp_authorization_t *authorization, http_client_request_t *request);
/* Only where psp_takes_void. */
void psp_void_request(const psp_t *psp, const psp_account_t *account,
                      const psp_authorization_t *authorization, http_client_request_t *request);

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
/* Asks how a refund stands that was asked for before. False: this PSP has no such call, a repeated
 * psp_refund_request tells. Of its answers those with a status of 400 and over say nothing:
 * psp_refund_read is not for them. */
bool psp_refund_status_request(const psp_t *psp, const psp_account_t *account,
                               const psp_refund_t *refund, http_client_request_t *request);
/* Does this PSP recognise a refund by its key for certain that may have become known to it so long
 * ago? Where it does not, a repeated psp_refund_request might give back twice. */
bool psp_refund_key_lives(const psp_t *psp, int64_t key_age_s);
/* The answer to either. REFUND_SUCCEEDED; REFUND_REQUESTED: the PSP has taken it and goes on by
 * itself; REFUND_FAILED: the PSP refuses it for good, or has tried in vain (`reason`; where the PSP
 * gave it no reference, psp_ref is one of ours); NONE: asked how it stands, the PSP does not know
 * of it. An error: the outcome is not known, the same request is to be sent again. Of `asked` only
 * refund_id and payment_id are read; where the PSP does not repeat the amount, the report's is 0.
 */
err_t psp_refund_read(const psp_t *psp, const psp_refund_t *asked, int http_status, str_t body,
                      psp_report_t *report, err_detail_t *detail) MUST_CHECK;

/* ---- status ---- */

/* The payment that a PSP is asked about. */
typedef struct psp_payment {
    uuid_t payment_id, order_id;
    char psp_ref[PSP_REF_SIZE]; /* the checkout, as the PSP named it; "": not known */
    int64_t amount;
    char currency[4];
    char returned[1025]; /* the query with which the PSP sent the customer back; "" */
} psp_payment_t;

/* How many of these calls a minute the PSP bears; 0: not known. */
unsigned psp_status_calls_per_min(const psp_t *psp);
/* The same of refunds, captures and voids. */
unsigned psp_refund_calls_per_min(const psp_t *psp);
/* When a PSP may be called again that is called at now_ms and bears so many calls a minute (0: any
 * number). */
int64_t psp_next_call_ms(int64_t now_ms, unsigned calls_per_min);
/* False: this PSP cannot be asked about it (without psp_ref, or without what the customer came back
 * with). */
bool psp_status_request(const psp_t *psp, const psp_account_t *account,
                        const psp_payment_t *payment, http_client_request_t *request);
/* A status answer's body. kind NONE: the PSP has no news (pending, or it does not know the payment:
 * `reason` says which). Of `payment` only payment_id is read. */
err_t psp_status_read(const psp_t *psp, const psp_payment_t *payment, int http_status, str_t body,
                      psp_report_t *report, err_detail_t *detail) MUST_CHECK;

/* ---- settlement reports ---- */

#define PSP_SETTLEMENT_LINES_MAX 100 /* of one page */
#define PSP_SETTLEMENT_CURSOR_SIZE 513

typedef struct psp_settlement_query {
    int64_t day_us;                          /* the day's midnight, UTC */
    char cursor[PSP_SETTLEMENT_CURSOR_SIZE]; /* as the page before gave it; "": the first */
    char url[PSP_REPORT_URL_SIZE]; /* where it was announced; "": it is asked for by its day */
} psp_settlement_query_t;

typedef struct psp_settlement_page {
    str_t lines[PSP_SETTLEMENT_LINES_MAX]; /* borrowed from the body, or from `made` */
    size_t count;
    buf_t made;                            /* lines of a report that is no JSON */
    char next[PSP_SETTLEMENT_CURSOR_SIZE]; /* "": it was the last */
} psp_settlement_page_t;

/* Does the PSP announce its reports (psp_report_t.announced)? One is fetched whole, once, and
 * psp_settlement_read makes pages of it. */
bool psp_settlement_is_announced(const psp_t *psp);
/* Asks what was paid out on a day, page by page, or for a report that was announced. False: this
 * PSP has no such call, or it was announced elsewhere than at the PSP, where nobody may ask. */
bool psp_settlement_request(const psp_t *psp, const psp_account_t *account,
                            const psp_settlement_query_t *query, http_client_request_t *request);
void psp_settlement_page_free(psp_settlement_page_t *page);
/* A page of the report, for psp_settlement_page_free also after an error. ERR_MALFORMED_WEBHOOK
 * (with detail) for whatever else was answered. */
err_t psp_settlement_read(const psp_t *psp, const psp_settlement_query_t *query, int http_status,
                          str_t body, psp_settlement_page_t *page, err_detail_t *detail) MUST_CHECK;
/* What a line tells. Of a charge that is paid out two things: SETTLED (with the fee), and CAPTURED,
 * since money that has arrived was taken from the customer; both have the capture's reference. Of a
 * refund that it was carried out: REFUND_SUCCEEDED. `kind` chooses; what the line does not tell,
 * and all of any other (an adjustment, a payout, what is on hold), is kind NONE. */
err_t psp_settlement_line_read(const psp_t *psp, psp_fact_kind_t kind, str_t line,
                               psp_report_t *report, err_detail_t *detail) MUST_CHECK;
/* What a line is, in the PSP's word ("adjustment"), for a log; "?" where it says nothing. */
#define PSP_SETTLEMENT_TYPE_SIZE 25
void psp_settlement_line_type(const psp_t *psp, str_t line, char type[PSP_SETTLEMENT_TYPE_SIZE]);
/* One of them as it goes into the stream: {"tells":"settled","line":{…}}, the line as it came. */
void psp_settlement_entry_write(psp_fact_kind_t kind, str_t line, buf_t *entry);
/* The way back. Whatever is no such entry is a webhook in the prototype's format, or malformed. */
err_t psp_settlement_entry_read(const psp_t *psp, str_t entry, psp_report_t *report,
                                err_detail_t *detail) MUST_CHECK;

/* ---- access tokens ---- */

#define PSP_TOKEN_SIZE 2048

/* Some PSPs want a token before any other call (psp_client.h gets and keeps it). False: this one
 * does not. */
bool psp_token_request(const psp_t *psp, const psp_account_t *account,
                       http_client_request_t *request);
/* The header that the token goes into, "Authorization: O-Bearer …", and how long it lives. False:
 * there is none in the answer. */
bool psp_token_read(const psp_t *psp, const http_client_response_t *response, int64_t now_us,
                    char header[PSP_TOKEN_SIZE], int64_t *lives_ms);

#endif
