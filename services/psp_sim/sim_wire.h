/* sim_wire.h - the PSPs' own APIs and webhooks, beside the prototype's (sim_api.h): one file each,
 * wire_<psp>.c, all on the same bank and the same faults.
 *
 * A PSP's API is found under /<psp> ("/razorpay/v1/payment_links") and, for official SDKs that are
 * pointed here, by the Host name that they ask for ("api.razorpay.com"). Under /<psp> the account's
 * keys are needed; by Host name whatever keys are there will do.
 *
 * Each bank starts with a few samples ("pay_1", "ord_1") that SDKs' examples speak of: they are
 * answered as if they were in whatever state fits the call, and nothing is kept of it.
 */
#ifndef TIFFIN_SERVICES_SIM_WIRE_H
#define TIFFIN_SERVICES_SIM_WIRE_H

#include "lib/json_read.h"
#include "services/psp_sim/sim.h"
#include "services/psp_sim/sim_notes.h"

#define SIM_WIRE_HOSTS 4

/* What an event is about, as it stands. */
typedef struct sim_subject {
    sim_checkout_t checkout;
    sim_refund_t refund; /* of a refund's event */
} sim_subject_t;

typedef struct sim_call sim_call_t;

typedef struct sim_wire {
    size_t psp_index;
    const char *hosts[SIM_WIRE_HOSTS];
    const http_route_t *routes; /* below the root of its host; a NULL method ends them */
    /* The body of an error, as the PSP words it. */
    void (*write_error)(int status, const char *words, buf_t *body);
    /* Are these the account's keys? */
    bool (*authorized)(const http_request_t *request, const psp_account_t *account);
    /* Signed with the first of the account's secrets. False: it has no webhook for that, which then
     * goes out in the prototype's format. True with an empty body: it tells nobody. */
    bool (*write_webhook)(const psp_account_t *account, const sim_event_t *event,
                          const sim_subject_t *subject, sim_message_t *message);
    bool refuses_later; /* a refund is taken in any case: also a refusal is told by webhook */
    /* What the PSP gives a customer along who goes back to the merchant; NULL: nothing. */
    void (*add_return_query)(const sim_checkout_t *checkout, buf_t *url);
} sim_wire_t;

/* NULL while a PSP has none. */
const sim_wire_t *sim_wire_of(const psp_t *psp);
/* All routes: those of each wire under its path, then `own`. The caller's, with its patterns. */
http_route_t *sim_wire_routes(const http_route_t *own);
void sim_wire_routes_free(http_route_t *routes, const http_route_t *own);
/* For http_server_config_t. */
bool sim_wire_rewrite(void *self, const char *host, const char *path, char *to, size_t capacity);

/* ---- one call ---- */

struct sim_call {
    http_request_t *request;
    sim_t *self;
    const sim_wire_t *wire;
    const psp_t *psp;
    const psp_account_t *account;
    sim_fault_t fault;
    bool of_refund;         /* faults of refund calls are meant */
    json_t *json;           /* the body, where it is a JSON object */
    const char *refund_key; /* what a refund is known again by, "" for nothing; NULL: its name */
    bool key_reused;        /* … and that it is known by, with other content */
    buf_t notes, payment_notes; /* the metadata that came with it, while it lasts */
    int status;                 /* 0: no answer yet */
    buf_t body;
    const char *content_type; /* of the answer; NULL: JSON */
};

typedef enum sim_call_kind {
    SIM_CALL_READ,  /* tells something */
    SIM_CALL_OPEN,  /* opens a checkout, captures or voids */
    SIM_CALL_REFUND /* asks for a refund */
} sim_call_kind_t;

/* False: it is refused, and the answer is made (a wrong key, a PSP that is down). Either way
 * sim_call_end is due. */
bool sim_call_begin(sim_call_t *call, http_request_t *request, const sim_wire_t *wire,
                    sim_call_kind_t kind);
/* Answers after the time that the PSP's faults say, as they say. */
void sim_call_end(sim_call_t *call);
/* An error, instead of whatever was in the answer. */
void sim_call_refuse(sim_call_t *call, int status, const char *words);

/* The bank's own id of what a merchant names so: the UUID that it is, else one made of it. */
uuid_t sim_id_of(const char *reference);
/* Is this one of the names that SDKs' examples have? */
bool sim_is_sample(str_t reference);

/* Opens a checkout for call->psp: fills the ids that are missing by the reference, sim_bank_open,
 * and the webhook before the answer where that is the fault. `key` is the idempotency key; "": the
 * reference. False: the error is the answer (409 where the key came with another request). */
bool sim_call_open(sim_call_t *call, sim_checkout_t *checkout, const char *key,
                   const char *return_url);
/* The checkout by the merchant's reference. */
bool sim_call_find(sim_call_t *call, const char *reference, sim_checkout_t *checkout);
/* What of a payment is refunded, pending refunds left out. */
int64_t sim_refunded(sim_t *self, const sim_checkout_t *checkout);
/* The refund `reference` of a part of what was paid at this checkout (its first charge), as
 * sim_call_give_back: its own answer where it is refused for good or cannot be made (false). */
bool sim_call_refund(sim_call_t *call, const sim_checkout_t *checkout, const char *reference,
                     int64_t amount, sim_refund_t *refund);
/* Gives back a part of a charge: plans it as the faults say, tells of it. ERR_OK with *refund as it
 * stands (it may be REFUSED), else as sim_refund_request. SIM_REFUNDS_UNKNOWN has made the answer.
 */
err_t sim_call_give_back(sim_call_t *call, sim_refund_t *refund) MUST_CHECK;

/* The page where it is paid. */
void sim_checkout_url(const sim_t *self, const sim_checkout_t *checkout, char *url,
                      size_t capacity);
/* "Basic …" of these, as a client would send it; password NULL: without the colon. Fits 600 bytes.
 */
const char *sim_basic(const char *user, const char *password, char header[600]);
/* The metadata that came with the call are within what the PSP takes. False: the error is the
 * answer. */
bool sim_call_notes_fit(sim_call_t *call, const sim_notes_limits_t *limits, int status,
                        const char *words);
/* A member that is a positive integer in minor units. */
bool sim_read_amount(const json_t *object, const char *key, int64_t *amount);
/* The same where it is a decimal, a number or a text, at a path of the body. */
bool sim_read_decimal(str_t body, const char *path, const char *currency, int64_t *amount);
/* A decimal as a JSON number: "170.00". */
void sim_write_decimal(buf_t *body, const char *key, int64_t amount, const char *currency);
/* The first of the account's secrets. */
str_t sim_first_secret(const psp_account_t *account);
/* "ord_1", paid, as a sample (above). */
sim_checkout_t sim_sample(size_t psp_index);
/* The checkout of this reference: a sample, or one that was opened. */
bool sim_call_find_or_sample(sim_call_t *call, const char *reference, sim_checkout_t *checkout);
/* The webhook is of the charge with this serial (there may be two). */
uint64_t sim_charge_of(const sim_event_t *event, const sim_checkout_t *checkout);
/* "2026-02-21T15:30:00+05:30", as Indian PSPs write times. */
void sim_write_ist(buf_t *body, const char *key, int64_t wall_us);

extern const sim_wire_t sim_wire_razorpay, sim_wire_cashfree, sim_wire_juspay, sim_wire_stripe,
    sim_wire_payu, sim_wire_phonepe, sim_wire_adyen;

#endif
