/* money.c - the active currencies of ISO 4217 list one with their minor units.
 *
 * Left out on purpose: funds codes (CHE, CLF, UYI …), metals, units of account (XDR …), test and
 * no-currency codes, since nobody pays with them; and what was withdrawn (HRK 2023, ZWL 2024, ANG
 * 2025, BGN 2026).
 */
#include "lib/payment/money.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

enum { CODE_LENGTH = 3 };

typedef struct currency {
    char code[CODE_LENGTH + 1];
    int exponent;
} currency_t;

/* clang-format off */
static const currency_t currencies[] = { /* ascending: it is searched by halves */
    {"AED", 2}, {"AFN", 2}, {"ALL", 2}, {"AMD", 2}, {"AOA", 2}, {"ARS", 2}, {"AUD", 2}, {"AWG", 2},
    {"AZN", 2}, {"BAM", 2}, {"BBD", 2}, {"BDT", 2}, {"BHD", 3}, {"BIF", 0}, {"BMD", 2}, {"BND", 2},
    {"BOB", 2}, {"BRL", 2}, {"BSD", 2}, {"BTN", 2}, {"BWP", 2}, {"BYN", 2}, {"BZD", 2}, {"CAD", 2},
    {"CDF", 2}, {"CHF", 2}, {"CLP", 0}, {"CNY", 2}, {"COP", 2}, {"CRC", 2}, {"CUP", 2}, {"CVE", 2},
    {"CZK", 2}, {"DJF", 0}, {"DKK", 2}, {"DOP", 2}, {"DZD", 2}, {"EGP", 2}, {"ERN", 2}, {"ETB", 2},
    {"EUR", 2}, {"FJD", 2}, {"FKP", 2}, {"GBP", 2}, {"GEL", 2}, {"GHS", 2}, {"GIP", 2}, {"GMD", 2},
    {"GNF", 0}, {"GTQ", 2}, {"GYD", 2}, {"HKD", 2}, {"HNL", 2}, {"HTG", 2}, {"HUF", 2}, {"IDR", 2},
    {"ILS", 2}, {"INR", 2}, {"IQD", 3}, {"IRR", 2}, {"ISK", 0}, {"JMD", 2}, {"JOD", 3}, {"JPY", 0},
    {"KES", 2}, {"KGS", 2}, {"KHR", 2}, {"KMF", 0}, {"KPW", 2}, {"KRW", 0}, {"KWD", 3}, {"KYD", 2},
    {"KZT", 2}, {"LAK", 2}, {"LBP", 2}, {"LKR", 2}, {"LRD", 2}, {"LSL", 2}, {"LYD", 3}, {"MAD", 2},
    {"MDL", 2}, {"MGA", 2}, {"MKD", 2}, {"MMK", 2}, {"MNT", 2}, {"MOP", 2}, {"MRU", 2}, {"MUR", 2},
    {"MVR", 2}, {"MWK", 2}, {"MXN", 2}, {"MYR", 2}, {"MZN", 2}, {"NAD", 2}, {"NGN", 2}, {"NIO", 2},
    {"NOK", 2}, {"NPR", 2}, {"NZD", 2}, {"OMR", 3}, {"PAB", 2}, {"PEN", 2}, {"PGK", 2}, {"PHP", 2},
    {"PKR", 2}, {"PLN", 2}, {"PYG", 0}, {"QAR", 2}, {"RON", 2}, {"RSD", 2}, {"RUB", 2}, {"RWF", 0},
    {"SAR", 2}, {"SBD", 2}, {"SCR", 2}, {"SDG", 2}, {"SEK", 2}, {"SGD", 2}, {"SHP", 2}, {"SLE", 2},
    {"SOS", 2}, {"SRD", 2}, {"SSP", 2}, {"STN", 2}, {"SVC", 2}, {"SYP", 2}, {"SZL", 2}, {"THB", 2},
    {"TJS", 2}, {"TMT", 2}, {"TND", 3}, {"TOP", 2}, {"TRY", 2}, {"TTD", 2}, {"TWD", 2}, {"TZS", 2},
    {"UAH", 2}, {"UGX", 0}, {"USD", 2}, {"UYU", 2}, {"UZS", 2}, {"VED", 2}, {"VES", 2}, {"VND", 0},
    {"VUV", 0}, {"WST", 2}, {"XAF", 0}, {"XCD", 2}, {"XCG", 2}, {"XOF", 0}, {"XPF", 0}, {"YER", 2},
    {"ZAR", 2}, {"ZMW", 2}, {"ZWG", 2},
};
/* clang-format on */

static int compare(const void *key, const void *row)
{
    return memcmp(((const str_t *)key)->data, ((const currency_t *)row)->code, CODE_LENGTH);
}

int currency_exponent(str_t code)
{
    if (code.size != CODE_LENGTH)
        return -1;
    const currency_t *found = bsearch(&code, currencies, sizeof currencies / sizeof currencies[0],
                                      sizeof currencies[0], compare);
    return found ? found->exponent : -1;
}

bool currency_known(str_t code)
{
    return currency_exponent(code) >= 0;
}

/* ---- decimals ---- */

static bool add_digit(int64_t *amount, char digit)
{
    if (digit < '0' || digit > '9' || *amount > AMOUNT_MAX / 10)
        return false;
    *amount = *amount * 10 + (digit - '0');
    return *amount <= AMOUNT_MAX;
}

bool amount_parse(str_t decimal, const char *currency, int64_t *amount)
{
    const int exponent = currency_exponent(str_of(currency));
    uint32_t i = 0;
    *amount = 0;
    if (exponent < 0 || decimal.size == 0)
        return false;
    for (; i < decimal.size && decimal.data[i] != '.'; i++)
        if (!add_digit(amount, decimal.data[i]))
            return false;
    if (i == 0 || i + 1 == decimal.size) /* ".5", "5." */
        return false;
    int digits = 0;
    for (i++; i < decimal.size; i++) {
        if (digits < exponent ? !add_digit(amount, decimal.data[i]) : decimal.data[i] != '0')
            return false;
        digits += digits < exponent;
    }
    for (; digits < exponent; digits++)
        if (!add_digit(amount, '0'))
            return false;
    return *amount > 0;
}

const char *amount_format(int64_t amount, const char *currency, char text[AMOUNT_TEXT_SIZE])
{
    const int exponent = currency_exponent(str_of(currency));
    CHECK(exponent >= 0 && amount >= 0 && amount <= AMOUNT_MAX);
    int64_t unit = 1;
    for (int i = 0; i < exponent; i++)
        unit *= 10;
    if (exponent == 0)
        snprintf(text, AMOUNT_TEXT_SIZE, "%" PRId64, amount);
    else
        snprintf(text, AMOUNT_TEXT_SIZE, "%" PRId64 ".%0*" PRId64, amount / unit, exponent,
                 amount % unit);
    return text;
}
