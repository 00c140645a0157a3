/* psp_echo.h - a PSP's answer, and what it repeats of our keys. */
#ifndef TIFFIN_LIB_PAYMENT_PSP_ECHO_H
#define TIFFIN_LIB_PAYMENT_PSP_ECHO_H

#include "lib/buf.h"
#include "lib/payment/psp.h"

/* Overwrites with '*', in place, what the answer has of the account's key secret and of `token`
 * ({NULL, 0}: none), as they were sent: as they are, as JSON or a form writes them, or in Basic's
 * base64. A secret of fewer than 8 bytes is left: it may be a part of anything. */
void psp_echo_hide(const psp_account_t *account, str_t token, buf_t *answer);

#endif
