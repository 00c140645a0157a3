/* wire_razorpay.h - what the files of Razorpay's API share. wire_razorpay.c says which there are.
 */
#ifndef TIFFIN_SERVICES_WIRE_RAZORPAY_H
#define TIFFIN_SERVICES_WIRE_RAZORPAY_H

#include "services/psp_sim/sim_wire.h"

/* As sim_ref. */
void wire_razorpay_name(char text[SIM_REF_SIZE], const char *kind, uint64_t serial);

/* wire_razorpay_settlements.c */
http_handler_fn wire_razorpay_settlements;

/* A payment: once there is an outcome. `given_back` is what of it is refunded. */
void wire_razorpay_write_payment(buf_t *body, const char *key, const sim_checkout_t *checkout,
                                 uint64_t serial, int64_t given_back);
/* The checkout that an id of ours names; false: the error is the answer. */
bool wire_razorpay_find(sim_call_t *call, str_t id, const char *kind, sim_checkout_t *checkout);

/* ---- wire_razorpay_order.c ---- */

/* The refund that Razorpay makes by itself of what was not captured in time. */
void wire_razorpay_write_release(buf_t *body, const char *key, const sim_checkout_t *released);
http_handler_fn wire_razorpay_capture, wire_razorpay_script, wire_razorpay_order_page;

#endif
