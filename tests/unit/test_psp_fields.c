/* test_psp_fields.c - whose fault a failure is, by what PSPs say of it; which pages customers are
 * sent to. */
#include "lib/payment/psp/fields.h"

#include <string.h>

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

static psp_checkout_outcome_t outcome_of(const char *base_url, const char *page_url)
{
    const psp_account_t account = {.base_url = base_url};
    psp_checkout_answer_t answer = {.outcome = PSP_CHECKOUT_OPEN};
    str_copy(str_of(page_url), answer.checkout_url, sizeof answer.checkout_url);
    psp_checkout_keep_to_https(&account, &answer);
    if (answer.outcome == PSP_CHECKOUT_OPEN)
        assert_string_equal(answer.checkout_url, page_url);
    else
        assert_true(answer.checkout_url[0] == '\0' && answer.fault == PSP_FAULT_PSP);
    return answer.outcome;
}

static void a_page_in_clear_is_only_opened_where_the_api_is_in_clear(void **state)
{
    (void)state;
    static const char api[] = "https://api.razorpay.com", sim[] = "http://127.0.0.1:8081/razorpay";
    assert_int_equal(outcome_of(api, "https://rzp.io/i/1"), PSP_CHECKOUT_OPEN);
    assert_int_equal(outcome_of(api, "http://rzp.io/i/1"), PSP_CHECKOUT_UNKNOWN);
    assert_int_equal(outcome_of(api, ""), PSP_CHECKOUT_OPEN); /* ours */
    assert_int_equal(outcome_of(sim, "http://localhost:8081/checkout/1"), PSP_CHECKOUT_OPEN);
    assert_int_equal(outcome_of(sim, "https://rzp.io/i/1"), PSP_CHECKOUT_OPEN);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_customer_s_own_failures_are_known_by_source_code_or_words),
    cmocka_unit_test(others_are_the_psp_s_where_a_source_is_named_and_nobody_s_where_none_is),
    cmocka_unit_test(only_a_failure_is_anybody_s_fault),
    cmocka_unit_test(a_page_in_clear_is_only_opened_where_the_api_is_in_clear),
};
TEST_MAIN(tests)
