/* test_routing_health.c - whose fault counts, how an outcome is forgotten, and the breaker. */
#include "lib/payment/routing/routing_health.h"

#include "tests/support/test_main.h"

enum { BEGIN_MS = 1000000 };

static void call_and_fail(routing_health_t *health, int times, int64_t now_ms)
{
    for (int i = 0; i < times; i++)
        routing_health_called(health, PSP_FAULT_NETWORK, -1, now_ms);
}

static void a_breaker_opens_after_failures_in_a_row(void **state)
{
    (void)state;
    routing_health_t health = {0};
    call_and_fail(&health, ROUTING_BREAK_AFTER - 1, BEGIN_MS);
    assert_int_equal(routing_health_breaker(&health, BEGIN_MS), ROUTING_CLOSED);
    routing_health_called(&health, PSP_FAULT_NONE, 20, BEGIN_MS);
    call_and_fail(&health, ROUTING_BREAK_AFTER - 1, BEGIN_MS);
    assert_true(routing_health_admits(&health, BEGIN_MS));
    call_and_fail(&health, 1, BEGIN_MS);
    assert_int_equal(routing_health_breaker(&health, BEGIN_MS), ROUTING_OPEN);
    assert_false(routing_health_admits(&health, BEGIN_MS + ROUTING_OPEN_FIRST_MS - 1));
}

static void failures_far_apart_are_no_row(void **state)
{
    (void)state;
    routing_health_t health = {0};
    for (int i = 0; i < 2 * ROUTING_BREAK_AFTER; i++)
        call_and_fail(&health, 1, BEGIN_MS + i * (ROUTING_BREAK_WITHIN_MS + INT64_C(1)));
    assert_false(health.is_open);
}

static void one_probe_at_a_time_and_its_success_closes(void **state)
{
    (void)state;
    routing_health_t health = {0};
    call_and_fail(&health, ROUTING_BREAK_AFTER, BEGIN_MS);
    const int64_t then_ms = BEGIN_MS + ROUTING_OPEN_FIRST_MS;
    assert_int_equal(routing_health_breaker(&health, then_ms), ROUTING_HALF_OPEN);
    assert_true(routing_health_admits(&health, then_ms));
    routing_health_calling(&health, then_ms);
    assert_false(routing_health_admits(&health, then_ms));
    assert_true(routing_health_admits(&health, then_ms + ROUTING_PROBE_MS)); /* it was lost */
    routing_health_called(&health, PSP_FAULT_NONE, 20, then_ms + 20);
    assert_int_equal(routing_health_breaker(&health, then_ms + 20), ROUTING_CLOSED);
    assert_true(routing_health_admits(&health, then_ms + 20));
}

static void a_probe_that_fails_doubles_the_time_up_to_a_bound(void **state)
{
    (void)state;
    routing_health_t health = {0};
    int64_t now_ms = BEGIN_MS, open_for_ms = ROUTING_OPEN_FIRST_MS;
    call_and_fail(&health, ROUTING_BREAK_AFTER, now_ms);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(health.open_for_ms, open_for_ms);
        now_ms += open_for_ms;
        routing_health_calling(&health, now_ms);
        call_and_fail(&health, 1, now_ms);
        call_and_fail(&health, 3, now_ms); /* of calls that began long before */
        open_for_ms =
            2 * open_for_ms < ROUTING_OPEN_MOST_MS ? 2 * open_for_ms : ROUTING_OPEN_MOST_MS;
    }
    assert_int_equal(health.open_for_ms, ROUTING_OPEN_MOST_MS);
}

static void customers_and_merchants_are_not_the_psps_fault(void **state)
{
    (void)state;
    routing_health_t health = {0};
    for (int i = 0; i < 100; i++) {
        routing_health_called(&health, PSP_FAULT_CUSTOMER, 20, BEGIN_MS);
        routing_health_called(&health, PSP_FAULT_MERCHANT, 20, BEGIN_MS);
    }
    assert_true(routing_health_weight(&health, BEGIN_MS) < 1e-9);
    assert_int_equal(routing_health_breaker(&health, BEGIN_MS), ROUTING_CLOSED);
}

static void a_limit_counts_a_fifth_of_a_failure(void **state)
{
    (void)state;
    routing_health_t health = {0};
    for (int i = 1; i < ROUTING_BREAK_AFTER * ROUTING_LIMITS_PER_FAILURE; i++)
        routing_health_called(&health, PSP_FAULT_LIMIT, 20, BEGIN_MS);
    assert_int_equal(routing_health_breaker(&health, BEGIN_MS), ROUTING_CLOSED);
    const double weight = routing_health_weight(&health, BEGIN_MS);
    assert_true(weight > 4.7 && weight < 4.9);
    routing_health_called(&health, PSP_FAULT_LIMIT, 20, BEGIN_MS);
    assert_int_equal(routing_health_breaker(&health, BEGIN_MS), ROUTING_OPEN);
}

static void an_outcome_is_forgotten_with_time_and_by_newer_ones(void **state)
{
    (void)state;
    routing_health_t health = {0};
    for (int i = 0; i < 8; i++)
        routing_health_paid(&health, false, BEGIN_MS);
    const double weight = routing_health_weight(&health, BEGIN_MS + ROUTING_HALF_LIFE_MS);
    assert_true(weight > 3.999 && weight < 4.001);
    for (int i = 0; i < 10 * ROUTING_WINDOW; i++)
        routing_health_paid(&health, true, BEGIN_MS);
    assert_true(routing_health_weight(&health, BEGIN_MS) <= ROUTING_WINDOW + 1e-6);
    assert_true(routing_health_rate(&health, BEGIN_MS) > 0.99);
}

/* Random calls at random times, from a fixed seed. */
static void whatever_happens_the_bounds_hold(void **state)
{
    (void)state;
    routing_health_t health = {0};
    uint64_t random = 42;
    int64_t now_ms = BEGIN_MS;
    for (int i = 0; i < 200000; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const unsigned dice = (unsigned)(random >> 40);
        now_ms += (int64_t)(dice % 4000) - 100; /* also a step back */
        if (routing_health_admits(&health, now_ms))
            routing_health_calling(&health, now_ms);
        if (dice >> 12 & 1)
            routing_health_called(&health, (psp_fault_t)(dice >> 13 & 7) % PSP_FAULT_COUNT,
                                  dice % 3000, now_ms);
        else
            routing_health_paid(&health, dice >> 14 & 1, now_ms);
        const double rate = routing_health_rate(&health, now_ms);
        assert_true(rate >= 0 && rate <= 1);
        assert_true(routing_health_weight(&health, now_ms) <= ROUTING_WINDOW + 1e-6);
        assert_true(!health.is_open || (health.open_for_ms >= ROUTING_OPEN_FIRST_MS &&
                                        health.open_for_ms <= ROUTING_OPEN_MOST_MS));
        assert_int_equal(routing_health_breaker(&health, now_ms) == ROUTING_CLOSED,
                         !health.is_open);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_breaker_opens_after_failures_in_a_row),
    cmocka_unit_test(failures_far_apart_are_no_row),
    cmocka_unit_test(one_probe_at_a_time_and_its_success_closes),
    cmocka_unit_test(a_probe_that_fails_doubles_the_time_up_to_a_bound),
    cmocka_unit_test(customers_and_merchants_are_not_the_psps_fault),
    cmocka_unit_test(a_limit_counts_a_fifth_of_a_failure),
    cmocka_unit_test(an_outcome_is_forgotten_with_time_and_by_newer_ones),
    cmocka_unit_test(whatever_happens_the_bounds_hold),
};

TEST_MAIN(tests)
