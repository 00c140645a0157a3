/* units.c - see units.h. */
#include "lib/payment/psp/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"
#include "lib/payment/money.h"

/* By how many digits the PSP's number is longer than the one in minor units. */
static int shift_of(const char *currency, const psp_unit_t *own_ways)
{
    const int exponent = currency_exponent(str_of(currency));
    CHECK(exponent >= 0);
    for (; own_ways->currency[0]; own_ways++)
        if (strcmp(own_ways->currency, currency) == 0)
            return own_ways->exponent - exponent;
    return 0;
}

static int64_t power_of_10(int digits)
{
    int64_t power = 1;
    for (; digits > 0; digits--)
        power *= 10;
    return power;
}

const char *psp_units_format(int64_t amount, const char *currency, const psp_unit_t *own_ways,
                             char text[PSP_UNITS_TEXT_SIZE])
{
    const int shift = shift_of(currency, own_ways);
    const int64_t power = power_of_10(shift < 0 ? -shift : shift);
    CHECK(amount > 0 && amount <= AMOUNT_MAX);
    if (shift >= 0)
        snprintf(text, PSP_UNITS_TEXT_SIZE, "%" PRId64, amount * power);
    else if (amount % power == 0)
        snprintf(text, PSP_UNITS_TEXT_SIZE, "%" PRId64, amount / power);
    else
        snprintf(text, PSP_UNITS_TEXT_SIZE, "%" PRId64 ".%0*" PRId64, amount / power, -shift,
                 amount % power);
    return text;
}

bool psp_units_read(int64_t units, const char *currency, const psp_unit_t *own_ways,
                    int64_t *amount)
{
    const int shift = shift_of(currency, own_ways);
    const int64_t power = power_of_10(shift < 0 ? -shift : shift);
    if (units < 1 || (shift > 0 && units % power != 0) || (shift < 0 && units > AMOUNT_MAX / power))
        return false;
    *amount = shift > 0 ? units / power : units * power;
    return *amount <= AMOUNT_MAX;
}
