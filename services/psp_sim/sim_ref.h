/* sim_ref.h - how the simulated PSPs name things: each as the real one does. */
#ifndef TIFFIN_SERVICES_SIM_REF_H
#define TIFFIN_SERVICES_SIM_REF_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/payment/psp.h"

#define SIM_REF_SIZE 64

/* Random; fits int64_t. */
uint64_t sim_serial(void);
/* "pay_00abcdefghijkl" at Razorpay, "18446744073709" at PayU. `kind` is "chk" (checkout), "txn"
 * (charge, or a payment that failed), "rfd" (refund), "dsp" (dispute) or "evt" (webhook), or
 * another word, which then begins the name. Returns `text`. */
const char *sim_ref(char text[SIM_REF_SIZE], const char *kind, const psp_t *psp, uint64_t serial);
/* The serial in a name. False when it is none of this kind. */
bool sim_ref_parse(str_t text, const char *kind, const psp_t *psp, uint64_t *serial);

#endif
