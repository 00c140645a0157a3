/* sim_ref.h - how the simulated PSPs name things. */
#ifndef TIFFIN_SERVICES_SIM_REF_H
#define TIFFIN_SERVICES_SIM_REF_H

#include <stdint.h>

#include "lib/payment/psp.h"

#define SIM_REF_SIZE 64

/* Random. */
uint64_t sim_serial(void);
/* "txn_razorpay_0123456789abcdef". `kind` is "chk" (checkout), "txn" (charge, or a payment that
 * failed), "rfd" (refund), "dsp" (dispute) or "evt" (webhook). Returns `text`. */
const char *sim_ref(char text[SIM_REF_SIZE], const char *kind, const psp_t *psp, uint64_t serial);

#endif
