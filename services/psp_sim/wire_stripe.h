/* wire_stripe.h - what the files of Stripe's API share. wire_stripe.c says which there are. */
#ifndef TIFFIN_SERVICES_WIRE_STRIPE_H
#define TIFFIN_SERVICES_WIRE_STRIPE_H

#include "services/psp_sim/sim_wire.h"

/* ---- objects: wire_stripe_objects.c ---- */

/* "inr" of "INR". */
void wire_stripe_currency(const char *currency, char text[4]);
/* "pi_3…", and of the same digits "ch_3…". */
void wire_stripe_name(char text[SIM_REF_SIZE], const char *prefix, const sim_checkout_t *checkout,
                      uint64_t serial);
const char *wire_stripe_intent_status(const sim_checkout_t *checkout);
void wire_stripe_write_intent(buf_t *body, const char *key, const sim_checkout_t *checkout,
                              uint64_t serial, const char *status);
/* `self` NULL: without the page's address. `expanded`: with the whole intent. */
void wire_stripe_write_session(buf_t *body, const char *key, const sim_t *self,
                               const sim_checkout_t *checkout, bool expanded);
void wire_stripe_write_refund(buf_t *body, const char *key, const sim_refund_t *refund);

/* ---- calls ---- */

/* The words of the error of a key that came with another request before. */
extern const char wire_stripe_key_reused[];
/* Reads metadata into call->notes; false: these, or those in call->payment_notes, are more than
 * Stripe takes, and the error is the answer. */
bool wire_stripe_read_metadata(sim_call_t *call);
/* The Idempotency-Key; "" for none. */
const char *wire_stripe_key_of(const http_request_t *request);
/* The checkout that the id names, as a session ("chk") or as an intent ("txn"); false: 404 is the
 * answer. */
bool wire_stripe_find(sim_call_t *call, str_t id, const char *kind, sim_checkout_t *checkout);
/* A list's beginning and end around its objects. */
void wire_stripe_begin_list(sim_call_t *call);
void wire_stripe_end_list(sim_call_t *call, const char *url);

/* wire_stripe_payments.c */
http_handler_fn wire_stripe_session_create, wire_stripe_session_fetch, wire_stripe_intent_create,
    wire_stripe_intent_fetch, wire_stripe_intent_confirm, wire_stripe_intent_capture,
    wire_stripe_intent_cancel, wire_stripe_intent_search;
/* wire_stripe_refunds.c */
http_handler_fn wire_stripe_refund_create, wire_stripe_refund_fetch, wire_stripe_refund_list;
/* wire_stripe_balance.c */
http_handler_fn wire_stripe_balance_list, wire_stripe_empty_list;

#endif
