/* money.h - amounts and currencies. An amount is a positive count of minor units in int64_t; no
 * double ever touches one. */
#ifndef TIFFIN_LIB_PAYMENT_MONEY_H
#define TIFFIN_LIB_PAYMENT_MONEY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/text.h"

/* The largest amount taken: 2^53 - 1, so that every JSON reader holds it exactly. */
#define AMOUNT_MAX INT64_C(9007199254740991)

/* An active currency code of ISO 4217 (list one, without funds, metals and test codes), upper case.
 */
bool currency_known(str_t code);
/* Digits after the point: INR 2, JPY 0, KWD 3; -1 when not known. Source: ISO 4217 list one. */
int currency_exponent(str_t code);

/* Room for any amount as a decimal, terminated. */
#define AMOUNT_TEXT_SIZE 24

/* "450.00", "450", "450.5" in INR, "12.345" in KWD, "120" in JPY, as minor units. False for
 * anything else: a sign, an exponent, digits past the currency's that are not 0, an unknown
 * currency, 0, or more than AMOUNT_MAX. */
bool amount_parse(str_t decimal, const char *currency, int64_t *amount);
/* With all of the currency's digits: "450.00", "12.345", "120". The currency is known. Returns
 * `text`. */
const char *amount_format(int64_t amount, const char *currency, char text[AMOUNT_TEXT_SIZE]);

#endif
