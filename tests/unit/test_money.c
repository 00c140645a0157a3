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

static void decimals_are_read_to_the_last_digit(void **state)
{
    (void)state;
    static const struct {
        const char *decimal, *currency;
        int64_t amount; /* 0: refused */
    } rows[] = {
        {"450.00", "INR", 45000},
        {"450", "INR", 45000},
        {"450.5", "INR", 45050},
        {"0.01", "INR", 1},
        {"170.000", "INR", 17000},
        {"12.345", "KWD", 12345},
        {"12.3", "KWD", 12300},
        {"120", "JPY", 120},
        {"120.00", "JPY", 120},
        {"90071992547409.91", "INR", AMOUNT_MAX},
        {"9007199254740991", "JPY", AMOUNT_MAX},
        {"0.29", "USD", 29},
        {"90071992547409.92", "INR", 0},
        {"99999999999999999999", "JPY", 0},
        {"450.001", "INR", 0},
        {"120.5", "JPY", 0},
        {"-1", "INR", 0},
        {"+1", "INR", 0},
        {"1e3", "INR", 0},
        {"0", "INR", 0},
        {"0.00", "INR", 0},
        {".5", "INR", 0},
        {"5.", "INR", 0},
        {"", "INR", 0},
        {".", "INR", 0},
        {"1.2.3", "INR", 0},
        {" 1", "INR", 0},
        {"1,000.00", "INR", 0},
        {"1", "XXX", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t amount;
        const bool taken = amount_parse(str_of(rows[i].decimal), rows[i].currency, &amount);
        if (taken != (rows[i].amount != 0) || (taken && amount != rows[i].amount))
            fail_msg("%s %s is not %lld", rows[i].currency, rows[i].decimal,
                     (long long)rows[i].amount);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const int64_t amounts[] = {1, 9, 10, 99, 100, 999, 1000, 45000, 12345, AMOUNT_MAX};
    static const char *const currencies[] = {"INR", "JPY", "KWD"};
    char text[AMOUNT_TEXT_SIZE];
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++)
        for (size_t j = 0; j < 3; j++) {
            int64_t amount;
            assert_true(amount_parse(str_of(amount_format(amounts[i], currencies[j], text)),
                                     currencies[j], &amount));
            assert_int_equal(amount, amounts[i]);
        }
    assert_string_equal(amount_format(45000, "INR", text), "450.00");
    assert_string_equal(amount_format(5, "KWD", text), "0.005");
    assert_string_equal(amount_format(120, "JPY", text), "120");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(decimals_are_read_to_the_last_digit),
    cmocka_unit_test(what_is_written_is_read),
    cmocka_unit_test(exponents_are_those_of_the_standard),
    cmocka_unit_test(as_many_codes_are_known_as_are_active),
    cmocka_unit_test(nothing_else_is_a_currency),
};
TEST_MAIN(tests)
