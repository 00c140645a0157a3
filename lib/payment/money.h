/* money.h - amounts and currencies. An amount is a positive count of minor units in int64_t; no double ever touches one. */
#ifndef TIFFIN_LIB_PAYMENT_MONEY_H
#define TIFFIN_LIB_PAYMENT_MONEY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/text.h"

/* The largest amount taken: 2^53 - 1, so that every JSON reader holds it exactly. */
#define AMOUNT_MAX INT64_C(9007199254740991)

/* An active currency code of ISO 4217 (list one, without funds, metals and test codes), upper case. */
bool currency_known(str_t code);
/* Digits after the point: INR 2, JPY 0, KWD 3; -1 when not known. Source: ISO 4217 list one. */
int currency_exponent(str_t code);

#endif
