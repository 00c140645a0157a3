/* test_router_rules.c - whether there is time for another PSP, and what a position leads to. */
#include "services/router/router_rules.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/test_main.h"

/* The first `count` PSPs as a payment's tried_psps. */
static void tried(char list[256], size_t count)
{
    size_t size = 0;
    list[0] = '\0';
    for (size_t i = 0; i < count; i++)
        size += (size_t)snprintf(list + size, 256 - size, "%s%s", i > 0 ? "," : "",
                                 psp_name(psp_at(i)));
}

static void a_call_takes_its_timeout_when_there_is_time(void **state)
{
    (void)state;
    assert_int_equal(router_call_timeout_ms(10000, 3000), 3000);
    assert_int_equal(router_call_timeout_ms(3000 + ROUTER_RECORD_MARGIN_MS, 3000), 3000);
}

static void a_call_never_reaches_into_the_margin_for_recording(void **state)
{
    (void)state;
    for (int64_t left_ms = -100; left_ms < 4000; left_ms++) {
        const uint32_t timeout_ms = router_call_timeout_ms(left_ms, 3000);
        if (timeout_ms > 0) {
            assert_true(timeout_ms + ROUTER_RECORD_MARGIN_MS <= left_ms);
            assert_true(timeout_ms >= ROUTER_CALL_LEAST_MS);
        }
    }
}

static void no_call_begins_without_a_useful_time(void **state)
{
    (void)state;
    assert_int_equal(router_call_timeout_ms(INT64_MIN / 2, 3000), 0);
    assert_int_equal(router_call_timeout_ms(0, 3000), 0);
    assert_int_equal(
        router_call_timeout_ms(ROUTER_RECORD_MARGIN_MS + ROUTER_CALL_LEAST_MS - 1, 3000), 0);
    assert_int_equal(router_call_timeout_ms(ROUTER_RECORD_MARGIN_MS + ROUTER_CALL_LEAST_MS, 3000),
                     ROUTER_CALL_LEAST_MS);
}

/* ---- positions ---- */

static router_position_t position_of(size_t tried_count, bool answered)
{
    router_position_t position = {.answered = answered, .outcome = PSP_CHECKOUT_REFUSED};
    tried(position.tried_psps, tried_count);
    return position;
}

static void open_checkout(router_position_t *position)
{
    str_copy(STR_LITERAL("https://psp/pay"), position->checkout_url, sizeof position->checkout_url);
}

static void request_first(router_position_t *position)
{
    str_copy(str_of(psp_name(psp_at(0))), position->requested_psp, sizeof position->requested_psp);
}

static router_step_t step(const router_position_t *position, bool time_left)
{
    bool psp_left = false;
    for (size_t i = 0; i < psp_count(); i++)
        psp_left |= (position->requested_psp[0] == '\0' ||
                     strcmp(position->requested_psp, psp_name(psp_at(i))) == 0) &&
                    !router_psp_is_listed(position->tried_psps, psp_at(i));
    return router_step(position, psp_left, time_left);
}

static void what_cannot_be_is_refused_whatever_else_is_known(void **state)
{
    (void)state;
    static const struct {
        router_verdict_t verdict;
        err_t err;
    } rows[] = {{ROUTER_ORDER_NOT_FOUND, ERR_ORDER_NOT_FOUND},
                {ROUTER_ORDER_NOT_PAYABLE, ERR_ORDER_NOT_PAYABLE},
                {ROUTER_ID_CONFLICT, ERR_ID_CONFLICT}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        router_position_t position = position_of(1, false);
        position.verdict = rows[i].verdict;
        open_checkout(&position);
        assert_int_equal(step(&position, true), ROUTER_STEP_REFUSE);
        assert_int_equal(router_verdict_err(rows[i].verdict), rows[i].err);
    }
    assert_int_equal(router_verdict_err(ROUTER_OK), ERR_OK);
}

static void an_open_checkout_is_answered_even_without_time(void **state)
{
    (void)state;
    router_position_t position = position_of(2, true);
    open_checkout(&position);
    assert_int_equal(step(&position, true), ROUTER_STEP_ANSWER_OPEN);
    assert_int_equal(step(&position, false), ROUTER_STEP_ANSWER_OPEN);
    position.given_up = true;
    assert_int_equal(step(&position, true), ROUTER_STEP_ANSWER_OPEN);
}

static void what_was_given_up_stays_given_up(void **state)
{
    (void)state;
    for (size_t count = 1; count <= psp_count(); count++) {
        router_position_t position = position_of(count, true);
        position.given_up = true;
        assert_int_equal(step(&position, true), ROUTER_STEP_ANSWER_NO_PSP);
        assert_int_equal(step(&position, false), ROUTER_STEP_ANSWER_NO_PSP);
    }
}

static void an_attempt_that_nobody_answered_is_called_again(void **state)
{
    (void)state;
    for (size_t count = 1; count <= psp_count(); count++) {
        const router_position_t position = position_of(count, false);
        assert_int_equal(step(&position, true), ROUTER_STEP_CALL);
        assert_int_equal(step(&position, false), ROUTER_STEP_ANSWER_DEADLINE);
    }
}

static void after_a_failed_attempt_the_next_psp_is_tried_while_there_is_time(void **state)
{
    (void)state;
    router_position_t position = position_of(1, true);
    assert_int_equal(step(&position, true), ROUTER_STEP_TRY_NEXT);
    assert_int_equal(step(&position, false), ROUTER_STEP_ANSWER_LATE);
    position.outcome = PSP_CHECKOUT_UNKNOWN;
    assert_int_equal(step(&position, true), ROUTER_STEP_TRY_NEXT);
}

static void after_the_last_psp_the_payment_is_given_up_even_without_time(void **state)
{
    (void)state;
    const router_position_t position = position_of(psp_count(), true);
    assert_int_equal(step(&position, true), ROUTER_STEP_GIVE_UP);
    assert_int_equal(step(&position, false), ROUTER_STEP_GIVE_UP);
}

static void a_requested_psp_that_failed_is_given_up_at_once(void **state)
{
    (void)state;
    router_position_t position = position_of(1, true);
    request_first(&position);
    assert_int_equal(step(&position, true), ROUTER_STEP_GIVE_UP);
}

static void every_position_leads_to_a_step_and_only_open_ones_to_an_open_answer(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 128; bits++) {
        router_position_t position = position_of(bits & 1 ? psp_count() : 1, bits & 2);
        position.verdict = bits & 4 ? ROUTER_OK : ROUTER_ORDER_NOT_PAYABLE;
        position.given_up = bits & 8;
        if (bits & 16)
            open_checkout(&position);
        if (bits & 32)
            request_first(&position);
        const router_step_t next = step(&position, bits & 64);
        assert_int_equal(next == ROUTER_STEP_ANSWER_OPEN, (bits & 4) && (bits & 16));
        if (next == ROUTER_STEP_CALL)
            assert_true((bits & 64) && !(bits & 2) && !(bits & 8));
        if (next == ROUTER_STEP_TRY_NEXT)
            assert_true((bits & 64) && (bits & 2) && !(bits & 1) && !(bits & 32));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_call_takes_its_timeout_when_there_is_time),
    cmocka_unit_test(a_call_never_reaches_into_the_margin_for_recording),
    cmocka_unit_test(no_call_begins_without_a_useful_time),
    cmocka_unit_test(what_cannot_be_is_refused_whatever_else_is_known),
    cmocka_unit_test(an_open_checkout_is_answered_even_without_time),
    cmocka_unit_test(what_was_given_up_stays_given_up),
    cmocka_unit_test(an_attempt_that_nobody_answered_is_called_again),
    cmocka_unit_test(after_a_failed_attempt_the_next_psp_is_tried_while_there_is_time),
    cmocka_unit_test(after_the_last_psp_the_payment_is_given_up_even_without_time),
    cmocka_unit_test(a_requested_psp_that_failed_is_given_up_at_once),
    cmocka_unit_test(every_position_leads_to_a_step_and_only_open_ones_to_an_open_answer),
};

TEST_MAIN(tests)
