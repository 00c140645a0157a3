/* wire_razorpay.h - what the files of Razorpay's API share. wire_razorpay.c says which there are.
 */
#ifndef TIFFIN_SERVICES_WIRE_RAZORPAY_H
#define TIFFIN_SERVICES_WIRE_RAZORPAY_H

#include "services/psp_sim/sim_wire.h"

/* As sim_ref. */
void wire_razorpay_name(char text[SIM_REF_SIZE], const char *kind, uint64_t serial);

/* wire_razorpay_settlements.c */
http_handler_fn wire_razorpay_settlements;

#endif
