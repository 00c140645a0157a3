/* test_routing_decision.c - the order in which PSPs are tried: by value, the broken last, one probe
 * first, the same again from the same seed.
 */
#include "lib/payment/routing/routing_decision.h"
#include "tests/support/test_main.h"

#include <string.h>

enum { SEEDS = 2000 };

static routing_candidate_t known(double successes, double failures, double fee)
{
    return (routing_candidate_t){
        .successes = successes, .failures = failures, .fee = fee, .admitted = true};
}

static routing_input_t input_of(size_t count, const routing_candidate_t *candidates)
{
    routing_input_t input = {.margin = 0.2, .count = count};
    memcpy(input.candidates, candidates, count * sizeof *candidates);
    return input;
}

/* How many of SEEDS decisions begin with that candidate. */
static int times_first(routing_input_t *input, size_t candidate)
{
    int times = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        routing_decision_t decision;
        input->seed = seed * UINT64_C(0x9e3779b97f4a7c15);
        routing_decide(input, &decision);
        times += decision.order[0] == candidate;
    }
    return times;
}

static void each_candidate_is_tried_once(void **state)
{
    (void)state;
    uint64_t draw = 1;
    for (int round = 0; round < 20000; round++) {
        routing_input_t input = {.margin = 0.2,
                                 .count = 1 + (size_t)round % ROUTING_CANDIDATES_MAX};
        routing_decision_t decision, again;
        bool seen[ROUTING_CANDIDATES_MAX] = {false};
        input.seed = draw;
        for (size_t i = 0; i < input.count; i++) {
            draw = draw * UINT64_C(6364136223846793005) + 1442695040888963407u;
            const unsigned bits = (unsigned)(draw >> 40);
            input.candidates[i] = (routing_candidate_t){.successes = bits % 251,
                                                        .failures = bits / 251 % 101,
                                                        .fee = bits / 7 % 10 / 100.0,
                                                        .admitted = bits % 5 != 0,
                                                        .probe = bits % 5 == 1};
        }
        routing_decide(&input, &decision);
        routing_decide(&input, &again);
        assert_memory_equal(&decision, &again, sizeof decision);
        for (size_t i = 0; i < input.count; i++) {
            assert_in_range(decision.order[i], 0, input.count - 1);
            assert_false(seen[decision.order[i]]);
            seen[decision.order[i]] = true;
            /* The broken come after all others. */
            assert_true(i == 0 || input.candidates[decision.order[i - 1]].admitted ||
                        !input.candidates[decision.order[i]].admitted);
        }
        assert_string_not_equal(routing_reason_name(decision.reason), "");
    }
}

static void what_is_known_to_be_better_is_chosen_and_the_rest_is_explored_a_little(void **state)
{
    (void)state;
    routing_input_t input =
        input_of(2, (routing_candidate_t[]){known(150, 100, 0.02), known(225, 25, 0.02)});
    assert_in_range(times_first(&input, 1), SEEDS - SEEDS / 100, SEEDS);
    /* Of one that was hardly tried lately less is known. */
    input = input_of(2, (routing_candidate_t[]){known(8, 2, 0.02), known(225, 25, 0.02)});
    assert_in_range(times_first(&input, 0), SEEDS / 100, SEEDS / 3);
}

static void a_fee_outweighs_a_little_success(void **state)
{
    (void)state;
    routing_input_t input =
        input_of(2, (routing_candidate_t[]){known(230, 20, 0.06), known(220, 30, 0.01)});
    assert_in_range(times_first(&input, 1), SEEDS - SEEDS / 100, SEEDS);
}

static void one_without_history_gets_a_tenth_at_most(void **state)
{
    (void)state;
    routing_input_t input =
        input_of(2, (routing_candidate_t[]){known(0, 0, 0), known(100, 150, 0.02)});
    assert_in_range(times_first(&input, 0), SEEDS / 20, SEEDS * 12 / 100);
}

static void a_broken_one_is_the_last_and_its_probe_the_first(void **state)
{
    (void)state;
    routing_decision_t decision;
    routing_input_t input =
        input_of(2, (routing_candidate_t[]){known(250, 0, 0), known(10, 240, 0.05)});
    input.candidates[0].admitted = false;
    assert_int_equal(times_first(&input, 0), 0);
    input.candidates[0].admitted = input.candidates[0].probe = true;
    assert_int_equal(times_first(&input, 0), SEEDS);
    routing_decide(&input, &decision);
    assert_int_equal(decision.reason, ROUTING_BY_PROBED);
    for (size_t i = 0; i < 2; i++)
        input.candidates[i].admitted = input.candidates[i].probe = false;
    routing_decide(&input, &decision);
    assert_int_equal(decision.reason, ROUTING_BY_ALL_BROKEN);
}

static void a_health_says_what_is_left_of_it_now(void **state)
{
    (void)state;
    routing_health_t health = {0};
    for (int i = 0; i < 8; i++)
        routing_health_paid(&health, i < 6, 1000);
    const routing_candidate_t now = routing_candidate(&health, 0.03, 1000);
    const routing_candidate_t later = routing_candidate(&health, 0.03, 1000 + ROUTING_HALF_LIFE_MS);
    assert_float_equal(now.successes, 6, 1e-9);
    assert_float_equal(now.failures, 2, 1e-9);
    assert_float_equal(later.successes, 3, 1e-9);
    assert_float_equal(later.failures, 1, 1e-9);
    assert_true(now.admitted && !now.probe);
    for (int i = 0; i < ROUTING_BREAK_AFTER; i++)
        routing_health_called(&health, PSP_FAULT_NETWORK, -1, 2000);
    assert_false(routing_candidate(&health, 0, 2000).admitted);
    assert_true(routing_candidate(&health, 0, 2000 + ROUTING_OPEN_FIRST_MS).probe);
    /* The outage is no part of the rate. */
    assert_float_equal(routing_candidate(&health, 0, 2000).failures, 2, 0.01);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_candidate_is_tried_once),
    cmocka_unit_test(what_is_known_to_be_better_is_chosen_and_the_rest_is_explored_a_little),
    cmocka_unit_test(a_fee_outweighs_a_little_success),
    cmocka_unit_test(one_without_history_gets_a_tenth_at_most),
    cmocka_unit_test(a_broken_one_is_the_last_and_its_probe_the_first),
    cmocka_unit_test(a_health_says_what_is_left_of_it_now),
};
TEST_MAIN(tests)
