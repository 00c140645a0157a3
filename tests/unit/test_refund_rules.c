/* test_refund_rules.c - when a PSP is asked again about a refund. */
#include "services/router/refund_rules.h"

#include <limits.h>

#include "tests/support/test_main.h"

static void what_was_lost_is_asked_again_after_a_second(void **state)
{
    (void)state;
    assert_int_equal(refund_retry_after_ms(false, 1), REFUND_RETRY_FIRST_MS);
}

static void what_was_answered_is_asked_again_later(void **state)
{
    (void)state;
    assert_int_equal(refund_retry_after_ms(true, 1), REFUND_POLL_FIRST_MS);
    for (int calls = 1; calls < 20; calls++)
        assert_true(refund_retry_after_ms(true, calls) >= refund_retry_after_ms(false, calls));
}

static void each_wait_doubles_up_to_five_minutes(void **state)
{
    (void)state;
    for (int answered = 0; answered <= 1; answered++) {
        for (int calls = 1; calls < 64; calls++) {
            const int64_t wait_ms = refund_retry_after_ms(answered, calls),
                          next_ms = refund_retry_after_ms(answered, calls + 1);
            assert_int_equal(next_ms, wait_ms * 2 < REFUND_RETRY_MOST_MS ? wait_ms * 2
                                                                         : REFUND_RETRY_MOST_MS);
        }
    }
}

static void however_often_it_was_asked_it_is_asked_again(void **state)
{
    (void)state;
    assert_int_equal(refund_retry_after_ms(false, INT_MAX), REFUND_RETRY_MOST_MS);
    assert_int_equal(refund_retry_after_ms(true, INT_MAX), REFUND_RETRY_MOST_MS);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_was_lost_is_asked_again_after_a_second),
    cmocka_unit_test(what_was_answered_is_asked_again_later),
    cmocka_unit_test(each_wait_doubles_up_to_five_minutes),
    cmocka_unit_test(however_often_it_was_asked_it_is_asked_again),
};

TEST_MAIN(tests)
