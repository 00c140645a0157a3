/* wire_adyen.h - what wire_adyen.c and wire_adyen_report.c share. */
#ifndef TIFFIN_SERVICES_WIRE_ADYEN_H
#define TIFFIN_SERVICES_WIRE_ADYEN_H

#include "services/psp_sim/sim_wire.h"

/* wire_adyen.c: the member hmacSignature, over the fields of an item as Adyen joins them. */
void wire_adyen_sign(const psp_account_t *account, const buf_t *fields, buf_t *body);
/* wire_adyen_report.c: a report is fetched. */
http_handler_fn wire_adyen_report;

#endif
