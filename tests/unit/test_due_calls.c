/* test_due_calls.c - what is due is called for at each PSP's rate, and called for again. The calls
 * go to a port where nobody listens: they are over at once. */
#include "services/router/due_calls.h"

#include <limits.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "tests/support/test_main.h"

/* ---- when a call is made again ---- */

static void what_was_lost_is_asked_again_after_a_second(void **state)
{
    (void)state;
    assert_int_equal(due_calls_retry_after_ms(false, 1), DUE_RETRY_FIRST_MS);
}

static void what_was_answered_is_asked_again_later(void **state)
{
    (void)state;
    assert_int_equal(due_calls_retry_after_ms(true, 1), DUE_POLL_FIRST_MS);
    for (int calls = 1; calls < 20; calls++)
        assert_true(due_calls_retry_after_ms(true, calls) >=
                    due_calls_retry_after_ms(false, calls));
}

static void each_wait_doubles_up_to_five_minutes(void **state)
{
    (void)state;
    for (int answered = 0; answered <= 1; answered++) {
        for (int calls = 1; calls < 64; calls++) {
            const int64_t wait_ms = due_calls_retry_after_ms(answered, calls),
                          next_ms = due_calls_retry_after_ms(answered, calls + 1);
            assert_int_equal(next_ms,
                             wait_ms * 2 < DUE_RETRY_MOST_MS ? wait_ms * 2 : DUE_RETRY_MOST_MS);
        }
    }
}

static void however_often_it_was_asked_it_is_asked_again(void **state)
{
    (void)state;
    assert_int_equal(due_calls_retry_after_ms(false, INT_MAX), DUE_RETRY_MOST_MS);
    assert_int_equal(due_calls_retry_after_ms(true, INT_MAX), DUE_RETRY_MOST_MS);
}

/* ---- at which rate ---- */

enum {
    SLOW = PSP_INDEX_cashfree,
    QUICK = PSP_INDEX_stripe,
    SLOW_DUE = 5,
    QUICK_DUE = 20,
    SLOW_PER_MIN = 600,
    SLOW_GAP_MS = 100,
};

/* An owner with so many calls due at each PSP. */
typedef struct owner {
    service_t service;
    due_calls_t *calls;
    psp_accounts_t accounts;
    int due[PSP_COUNT], ended[PSP_COUNT];
    int64_t began_mono_ms, ended_mono_ms[PSP_COUNT]; /* the last */
} owner_t;

static unsigned per_min(const psp_t *psp)
{
    return psp_index(psp) == SLOW ? SLOW_PER_MIN : 0;
}

static bool always(void *owner)
{
    (void)owner;
    return true;
}

/* One of the slow PSP after the other, as long as there are any: the quick one's come behind them.
 */
static err_t claim(void *arg, const due_claim_t *claim, PGresult **result, err_detail_t *detail)
{
    static const int order[] = {SLOW, QUICK};
    owner_t *owner = arg;
    PGresAttDesc column = {.name = (char[]){"psp"}};
    (void)detail;
    assert_true(claim->at_most > 0);
    *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    assert_true(PQsetResultAttrs(*result, 1, &column));
    for (size_t i = 0; i < 2; i++) {
        const char *name = psp_name(psp_at((size_t)order[i]));
        char text[PSP_NAME_SIZE];
        bool excepted = false;
        str_copy(str_of(name), text, sizeof text);
        for (size_t k = 0; k < claim->except_count; k++)
            excepted = excepted || strcmp(claim->except_psps[k], name) == 0;
        while (!excepted && owner->due[order[i]] > 0 && PQntuples(*result) < claim->at_most) {
            assert_true(PQsetvalue(*result, PQntuples(*result), 0, text, (int)strlen(text)));
            owner->due[order[i]]--;
        }
    }
    return ERR_OK;
}

static due_call_t *prepare(void *arg, const PGresult *result, int row)
{
    owner_t *owner = arg;
    due_call_t *call = calloc(1, sizeof *call);
    const psp_account_t *account =
        due_calls_account(owner->calls, PQgetvalue(result, row, 0), &call->psp);
    assert_non_null(account);
    call->request.method = "GET";
    snprintf(call->request.url, sizeof call->request.url, "%s/", account->base_url);
    return call;
}

static void ended(void *arg, due_call_end_t *ends, size_t count)
{
    owner_t *owner = arg;
    for (size_t i = 0; i < count; i++) {
        const size_t psp = psp_index(ends[i].call->psp);
        assert_int_equal(ends[i].response.err, ERR_HTTP_UNREACHABLE);
        owner->ended[psp]++;
        owner->ended_mono_ms[psp] = clock_mono_ms();
    }
    if (owner->ended[SLOW] == SLOW_DUE && owner->ended[QUICK] == QUICK_DUE)
        actor_stop(owner->service.actor);
}

static void begin(owner_t *owner)
{
    *owner = (owner_t){.due = {[SLOW] = SLOW_DUE, [QUICK] = QUICK_DUE}};
    for (size_t i = 0; i < PSP_COUNT; i++)
        owner->accounts.of[i] = (psp_account_t){
            .base_url = "http://127.0.0.1:1", .key_id = "k", .key_secret = "s", .given = true};
    owner->service.actor = actor_new();
    const due_calls_owner_t as = {.self = owner,
                                  .what = "calls",
                                  .calls_per_min = per_min,
                                  .notified = always,
                                  .claim = claim,
                                  .prepare = prepare,
                                  .ended = ended};
    owner->began_mono_ms = clock_mono_ms();
    owner->calls = due_calls_new(&owner->service, &owner->accounts, 1000, &as);
}

static void end(owner_t *owner)
{
    due_calls_destroy(&owner->calls);
    actor_destroy(&owner->service.actor);
}

static void a_psp_is_called_at_the_rate_that_it_bears_and_holds_up_no_other(void **state)
{
    owner_t owner;
    (void)state;
    begin(&owner);
    assert_int_equal(actor_run(owner.service.actor), 0);
    assert_int_equal(owner.ended[SLOW], SLOW_DUE);
    assert_int_equal(owner.ended[QUICK], QUICK_DUE);
    assert_true(owner.ended_mono_ms[SLOW] - owner.began_mono_ms >= (SLOW_DUE - 1) * SLOW_GAP_MS);
    assert_true(owner.ended_mono_ms[QUICK] < owner.ended_mono_ms[SLOW]);
    end(&owner);
}

static bool drained(void *arg)
{
    owner_t *owner = arg;
    return due_calls_idle(owner->calls);
}

static void stop_after_the_first(void *arg)
{
    owner_t *owner = arg;
    if (owner->ended[SLOW] > 0)
        actor_stop(owner->service.actor);
}

static void what_waits_for_its_turn_is_let_go_of_by_a_router_that_stops(void **state)
{
    owner_t owner;
    (void)state;
    begin(&owner);
    actor_set_drain(owner.service.actor, NULL, drained, &owner, 5000);
    const int timer = actor_add_timer(owner.service.actor, 1, stop_after_the_first, &owner);
    assert_int_equal(actor_run(owner.service.actor), 0);
    assert_true(owner.ended[SLOW] < SLOW_DUE);
    actor_remove_timer(owner.service.actor, timer);
    end(&owner);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_was_lost_is_asked_again_after_a_second),
    cmocka_unit_test(what_was_answered_is_asked_again_later),
    cmocka_unit_test(each_wait_doubles_up_to_five_minutes),
    cmocka_unit_test(however_often_it_was_asked_it_is_asked_again),
    cmocka_unit_test(a_psp_is_called_at_the_rate_that_it_bears_and_holds_up_no_other),
    cmocka_unit_test(what_waits_for_its_turn_is_let_go_of_by_a_router_that_stops),
};

TEST_MAIN(tests)
