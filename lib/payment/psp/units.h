/* units.h - amounts at PSPs whose minor units are not those of ISO 4217 in every currency. Included
 * by lib/payment only. */
#ifndef TIFFIN_LIB_PAYMENT_PSP_UNITS_H
#define TIFFIN_LIB_PAYMENT_PSP_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#define PSP_UNITS_TEXT_SIZE 32

/* A currency that the PSP counts in its own way; a table of them ends with currency "". */
typedef struct psp_unit {
    char currency[4];
    int exponent; /* digits after the point, at this PSP: 0 to 3 */
} psp_unit_t;

/* An amount in the PSP's units: "49900". Nothing is ever rounded: what is no whole number of them
 * keeps its digits ("499.5"), and is for the PSP to refuse. The currency is known. Returns `text`.
 */
const char *psp_units_format(int64_t amount, const char *currency, const psp_unit_t *own_ways,
                             char text[PSP_UNITS_TEXT_SIZE]);
/* The way back. False for what is not positive, is no whole number of minor units, or is more than
 * AMOUNT_MAX. */
bool psp_units_read(int64_t units, const char *currency, const psp_unit_t *own_ways,
                    int64_t *amount);

#endif
