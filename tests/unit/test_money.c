/* test_money.c - currencies and their minor units. */
#include "tests/support/test_main.h"

#include <string.h>

#include "lib/payment/money.h"

static void exponents_are_those_of_the_standard(void **state)
{
    (void)state;
    static const struct {
        int exponent;
        const char *codes;
    } rows[] = {
        {0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"},
        {2, "INR USD EUR GBP AED CHF CNY SGD HUF IDR MGA MRU SLE VED XCG ZWG ZMW AFN"},
        {3, "BHD IQD JOD KWD LYD OMR TND"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (const char *at = rows[i].codes; *at; at += at[3] ? 4 : 3) {
            if (currency_exponent((str_t){at, 3}) != rows[i].exponent)
                fail_msg("%.3s has not %d digits", at, rows[i].exponent);
            assert_true(currency_known((str_t){at, 3}));
        }
    }
}

/* All 17,576 codes: also proves that the table is in order, since it is searched by halves. */
static void as_many_codes_are_known_as_are_active(void **state)
{
    (void)state;
    unsigned known = 0, without_minor_unit = 0, thousandths = 0;
    char code[3];
    for (code[0] = 'A'; code[0] <= 'Z'; code[0]++)
        for (code[1] = 'A'; code[1] <= 'Z'; code[1]++)
            for (code[2] = 'A'; code[2] <= 'Z'; code[2]++) {
                int exponent = currency_exponent((str_t){code, 3});
                known += exponent >= 0;
                without_minor_unit += exponent == 0;
                thousandths += exponent == 3;
            }
    assert_int_equal(known, 155);
    assert_int_equal(without_minor_unit, 16);
    assert_int_equal(thousandths, 7);
}

static void nothing_else_is_a_currency(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",    "IN",  "INRR", "inr", "Inr", "XXX", "XTS",
                                        "XAU", "XDR", "CHE",  "CLF", "UYI", "HRK", "ZWL",
                                        "ANG", "BGN", "AAA",  "ZZZ", "I R", "IN\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (currency_known(str_of(wrong[i])))
            fail_msg("%s was taken", wrong[i]);
        assert_int_equal(currency_exponent(str_of(wrong[i])), -1);
    }
    assert_false(currency_known((str_t){NULL, 0}));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(exponents_are_those_of_the_standard),
    cmocka_unit_test(as_many_codes_are_known_as_are_active),
    cmocka_unit_test(nothing_else_is_a_currency),
};
TEST_MAIN(tests)
