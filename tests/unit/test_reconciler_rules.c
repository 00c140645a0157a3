/* test_reconciler_rules.c - what is news, when a PSP rests, how many calls are its and how often,
 * when the next run begins. */
#include "services/reconciler/reconciler_rules.h"

#include "tests/support/test_main.h"

static void an_answer_that_says_nothing_is_no_news(void **state)
{
    (void)state;
    assert_false(reconciler_is_news(PSP_FACT_NONE, false));
    assert_false(reconciler_is_news(PSP_FACT_NONE, true));
}

static void a_failure_is_news_once(void **state)
{
    (void)state;
    assert_true(reconciler_is_news(PSP_FACT_FAILED, false));
    assert_false(reconciler_is_news(PSP_FACT_FAILED, true));
}

static void a_capture_is_news_even_after_a_failure(void **state)
{
    (void)state;
    assert_true(reconciler_is_news(PSP_FACT_CAPTURED, false));
    assert_true(reconciler_is_news(PSP_FACT_CAPTURED, true));
}

static void a_psp_rests_after_too_many_failures_in_a_row(void **state)
{
    (void)state;
    assert_false(reconciler_psp_rests(0));
    assert_false(reconciler_psp_rests(RECONCILER_FAILURES_IN_A_ROW_MAX - 1));
    assert_true(reconciler_psp_rests(RECONCILER_FAILURES_IN_A_ROW_MAX));
    assert_true(reconciler_psp_rests(RECONCILER_FAILURES_IN_A_ROW_MAX + 1));
}

static void no_psp_has_all_slots_and_one_that_fails_few(void **state)
{
    (void)state;
    assert_int_equal(reconciler_slots(16, false), 12);
    assert_int_equal(reconciler_slots(16, true), 4);
    assert_int_equal(reconciler_slots(256, false), 192);
    for (unsigned calls_max = 1; calls_max < 4; calls_max++) {
        assert_int_equal(reconciler_slots(calls_max, false), calls_max);
        assert_int_equal(reconciler_slots(calls_max, true), 1);
    }
}

/* Of one that looks every 250 ms. */
static int calls_in_a_minute(unsigned calls_per_min)
{
    int64_t next_ms = 0;
    int calls = 0;
    for (int64_t now_ms = 100000; now_ms < 160000; now_ms += 250)
        for (; now_ms >= next_ms; calls++)
            next_ms = psp_next_call_ms(reconciler_turn_ms(next_ms, now_ms, 250), calls_per_min);
    return calls;
}

static void a_psp_is_asked_as_often_as_it_bears_and_no_more(void **state)
{
    (void)state;
    assert_in_range(calls_in_a_minute(100), 99, 100);
    assert_in_range(calls_in_a_minute(1500), 1490, 1500);
    assert_in_range(calls_in_a_minute(6000), 5900, 6000);
}

static void the_next_run_keeps_the_beat_of_the_timer(void **state)
{
    (void)state;
    assert_int_equal(reconciler_next_run_ms(1000, 1000, 300), 1300);
    assert_int_equal(reconciler_next_run_ms(1000, 1001, 300), 1300);
    assert_int_equal(reconciler_next_run_ms(1000, 1299, 300), 1300);
}

static void beats_that_a_long_run_missed_are_left_out(void **state)
{
    (void)state;
    assert_int_equal(reconciler_next_run_ms(1000, 1300, 300), 1600);
    assert_int_equal(reconciler_next_run_ms(1000, 5000, 300), 5200);
}

static void the_next_run_is_always_later(void **state)
{
    (void)state;
    for (int64_t now_ms = 900; now_ms < 3000; now_ms += 7) {
        const int64_t next_ms = reconciler_next_run_ms(1000, now_ms, 300);
        assert_true(next_ms > now_ms && next_ms > 1000);
        assert_int_equal((next_ms - 1000) % 300, 0);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_answer_that_says_nothing_is_no_news),
    cmocka_unit_test(a_failure_is_news_once),
    cmocka_unit_test(a_capture_is_news_even_after_a_failure),
    cmocka_unit_test(a_psp_rests_after_too_many_failures_in_a_row),
    cmocka_unit_test(no_psp_has_all_slots_and_one_that_fails_few),
    cmocka_unit_test(a_psp_is_asked_as_often_as_it_bears_and_no_more),
    cmocka_unit_test(the_next_run_keeps_the_beat_of_the_timer),
    cmocka_unit_test(beats_that_a_long_run_missed_are_left_out),
    cmocka_unit_test(the_next_run_is_always_later),
};

TEST_MAIN(tests)
