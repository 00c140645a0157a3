/* test_psp_fields.c - whose fault a failure is, by what PSPs say of it. */
#include "lib/payment/psp/fields.h"

#include "tests/support/test_main.h"

static psp_fault_t fault_of(const char *source, const char *code, const char *reason)
{
    psp_report_t report = {.kind = PSP_FACT_FAILED};
    psp_read_reason(str_of(reason), &report);
    psp_read_fault(source != NULL ? str_of(source) : (str_t){NULL, 0},
                   code != NULL ? str_of(code) : (str_t){NULL, 0}, &report);
    return report.fault;
}

static void the_customer_s_own_failures_are_known_by_source_code_or_words(void **state)
{
    (void)state;
    static const struct {
        const char *source, *code, *reason;
    } rows[] = {{"customer", "payment_failed", "Payment failed"}, /* Razorpay, Cashfree */
                {"bank", "insufficient_funds", "Payment failed"},
                {"customer", "incorrect_pin", "ZM::INVALID MPIN"},
                {NULL, "insufficient_funds", "Your card was declined."}, /* Stripe */
                {NULL, "expired_card", "Your card has expired."},
                {NULL, "incorrect_cvc", "Your card's security code is incorrect."},
                {NULL, NULL, "Not enough balance"}, /* Adyen */
                {NULL, NULL, "Expired Card"},
                {NULL, "Cancelled", "Refused"},
                {NULL, "userCancelled", "Cancelled by user"}, /* PayU */
                {NULL, "dropped", "No error"},
                {NULL, NULL, "Transaction failed due to invalid PIN"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (fault_of(rows[i].source, rows[i].code, rows[i].reason) != PSP_FAULT_CUSTOMER)
            fail_msg("row %zu: %s", i, rows[i].reason);
}

static void others_are_the_psp_s_where_a_source_is_named_and_nobody_s_where_none_is(void **state)
{
    (void)state;
    assert_int_equal(fault_of("gateway", "gateway_technical_error", "Payment failed"),
                     PSP_FAULT_PSP);
    assert_int_equal(fault_of("bank", "bank_technical_error", "Payment failed"), PSP_FAULT_PSP);
    assert_int_equal(fault_of("business", "invalid_amount", "Payment failed"), PSP_FAULT_MERCHANT);
    assert_int_equal(fault_of(NULL, "generic_decline", "Your card was declined."), PSP_FAULT_NONE);
    assert_int_equal(fault_of(NULL, NULL, "Issuer Unavailable"), PSP_FAULT_NONE);
    assert_int_equal(fault_of(NULL, NULL, ""), PSP_FAULT_NONE);
}

static void only_a_failure_is_anybody_s_fault(void **state)
{
    (void)state;
    psp_report_t report = {.kind = PSP_FACT_CAPTURED};
    psp_read_fault(STR_LITERAL("customer"), STR_LITERAL("insufficient_funds"), &report);
    assert_int_equal(report.fault, PSP_FAULT_NONE);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_customer_s_own_failures_are_known_by_source_code_or_words),
    cmocka_unit_test(others_are_the_psp_s_where_a_source_is_named_and_nobody_s_where_none_is),
    cmocka_unit_test(only_a_failure_is_anybody_s_fault),
};
TEST_MAIN(tests)
