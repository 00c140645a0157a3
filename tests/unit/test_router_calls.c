/* test_router_calls.c - calls to a PSP that listens and never answers, and to one that is not
 * there. */
#include "services/router/router_calls.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "services/router/router_rules.h"
#include "tests/support/test_main.h"

enum { SOON_MS = 10000, PER_CALL_MS = 150 };

typedef struct fixture {
    int silent_fd; /* its backlog takes connections, nobody reads them */
    int absent_fd; /* bound, so that nobody else listens there, and not listening */
    char silent_url[64], absent_url[64];
    psp_accounts_t accounts;
    const psp_t *silent, *absent;
} fixture_t;

static int bind_loopback(char url[64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(url, 64, "http://127.0.0.1:%d", ntohs(address.sin_port));
    return fd;
}

static int setup(void **state)
{
    static fixture_t fixture;
    memset(&fixture, 0, sizeof fixture);
    fixture.silent_fd = bind_loopback(fixture.silent_url);
    assert_int_equal(listen(fixture.silent_fd, 64), 0);
    fixture.absent_fd = bind_loopback(fixture.absent_url);
    fixture.silent = psp_at(0);
    fixture.absent = psp_at(1);
    fixture.accounts.of[0].base_url = fixture.silent_url;
    fixture.accounts.of[1].base_url = fixture.absent_url;
    psp_accounts_check(&fixture.accounts, true);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    close(fixture->silent_fd);
    close(fixture->absent_fd);
    return 0;
}

static router_calls_t *calls_of(const fixture_t *fixture, unsigned calls_max)
{
    const router_calls_config_t config = {
        .accounts = &fixture->accounts, .calls_max = calls_max, .per_call_ms = PER_CALL_MS};
    return router_calls_new(&config);
}

static void start(router_calls_t *calls, const psp_t *psp, int64_t budget_ms, void *cookie)
{
    const psp_checkout_t checkout = {.payment_id = uuid7_new(),
                                     .order_id = uuid7_new(),
                                     .attempt_id = uuid7_new(),
                                     .amount = 45000,
                                     .currency = "INR",
                                     .method = "UPI",
                                     .expires_at_us = clock_wall_us()};
    router_calls_start(calls, psp, &checkout, clock_mono_ms() + budget_ms, SOON_MS, cookie);
}

static router_call_ended_t next(router_calls_t *calls)
{
    router_call_ended_t ended;
    const int64_t deadline_ms = clock_mono_ms() + SOON_MS;
    while (!router_calls_next(calls, &ended)) {
        struct pollfd readable = {.fd = router_calls_fd(calls), .events = POLLIN};
        if (clock_mono_ms() > deadline_ms)
            fail_msg("no call ended");
        poll(&readable, 1, 10);
    }
    return ended;
}

static void a_psp_that_is_not_there_has_refused(void **state)
{
    const fixture_t *fixture = *state;
    router_calls_t *calls = calls_of(fixture, 4);
    int cookie;
    start(calls, fixture->absent, SOON_MS, &cookie);
    const router_call_ended_t ended = next(calls);
    assert_ptr_equal(ended.cookie, &cookie);
    assert_true(ended.made);
    assert_int_equal(ended.answer.outcome, PSP_CHECKOUT_REFUSED);
    assert_int_equal(router_calls_pending(calls), 0);
    router_calls_destroy(&calls);
}

static void no_answer_in_time_leaves_the_outcome_unknown(void **state)
{
    const fixture_t *fixture = *state;
    router_calls_t *calls = calls_of(fixture, 4);
    start(calls, fixture->silent, SOON_MS, NULL);
    const router_call_ended_t ended = next(calls);
    assert_true(ended.made);
    assert_int_equal(ended.answer.outcome, PSP_CHECKOUT_UNKNOWN);
    assert_true(ended.took_ms >= PER_CALL_MS - 1);
    router_calls_destroy(&calls);
}

static void what_waits_for_a_slot_has_its_time_afterwards(void **state)
{
    const fixture_t *fixture = *state;
    router_calls_t *calls = calls_of(fixture, 1);
    int first, second;
    start(calls, fixture->silent, SOON_MS, &first);
    start(calls, fixture->silent, SOON_MS, &second);
    assert_int_equal(router_calls_pending(calls), 2);
    assert_ptr_equal(next(calls).cookie, &first);
    const router_call_ended_t ended = next(calls);
    assert_ptr_equal(ended.cookie, &second);
    assert_true(ended.made);
    assert_true(ended.took_ms >= PER_CALL_MS - 1);
    router_calls_destroy(&calls);
}

static void a_waiting_call_whose_time_is_over_is_not_made(void **state)
{
    const fixture_t *fixture = *state;
    router_calls_t *calls = calls_of(fixture, 1);
    int first, late, last;
    start(calls, fixture->silent, SOON_MS, &first);
    /* Enough for a call now, too little after the first. */
    start(calls, fixture->silent, ROUTER_RECORD_MARGIN_MS + ROUTER_CALL_LEAST_MS, &late);
    start(calls, fixture->absent, SOON_MS, &last);
    const router_call_ended_t ended = next(calls);
    assert_ptr_equal(ended.cookie, &late);
    assert_false(ended.made);
    assert_ptr_equal(next(calls).cookie, &first);
    assert_ptr_equal(next(calls).cookie, &last);
    assert_int_equal(router_calls_pending(calls), 0);
    router_calls_destroy(&calls);
}

static void a_psp_that_hangs_leaves_calls_to_the_others(void **state)
{
    const fixture_t *fixture = *state;
    router_calls_t *calls = calls_of(fixture, 4);
    int hangs[4], other;
    for (int i = 0; i < 4; i++)
        start(calls, fixture->silent, SOON_MS, &hangs[i]);
    assert_int_equal(router_calls_waiting(calls), 1);
    start(calls, fixture->absent, SOON_MS, &other);
    assert_int_equal(router_calls_waiting(calls), 1);
    assert_ptr_equal(next(calls).cookie, &other);
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(next(calls).cookie, &hangs[i]);
    router_calls_destroy(&calls);
}

static void a_call_waits_no_longer_than_it_may(void **state)
{
    const fixture_t *fixture = *state;
    const psp_checkout_t checkout = {.currency = "INR", .method = "UPI"};
    router_calls_t *calls = calls_of(fixture, 1);
    int first, impatient;
    start(calls, fixture->silent, SOON_MS, &first);
    router_calls_start(calls, fixture->silent, &checkout, clock_mono_ms() + SOON_MS,
                       PER_CALL_MS / 3, &impatient);
    const router_call_ended_t ended = next(calls);
    assert_ptr_equal(ended.cookie, &impatient);
    assert_false(ended.made);
    assert_ptr_equal(next(calls).cookie, &first);
    router_calls_destroy(&calls);
}

static void calls_in_flight_and_waiting_end_with_their_owner(void **state)
{
    const fixture_t *fixture = *state;
    router_calls_t *calls = calls_of(fixture, 2);
    for (int i = 0; i < 5; i++)
        start(calls, fixture->silent, SOON_MS, NULL);
    assert_int_equal(router_calls_pending(calls), 5);
    router_calls_destroy(&calls);
    assert_null(calls);
    router_calls_destroy(&calls);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_psp_that_is_not_there_has_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(no_answer_in_time_leaves_the_outcome_unknown, setup, teardown),
    cmocka_unit_test_setup_teardown(what_waits_for_a_slot_has_its_time_afterwards, setup, teardown),
    cmocka_unit_test_setup_teardown(a_waiting_call_whose_time_is_over_is_not_made, setup, teardown),
    cmocka_unit_test_setup_teardown(a_psp_that_hangs_leaves_calls_to_the_others, setup, teardown),
    cmocka_unit_test_setup_teardown(a_call_waits_no_longer_than_it_may, setup, teardown),
    cmocka_unit_test_setup_teardown(calls_in_flight_and_waiting_end_with_their_owner, setup,
                                    teardown),
};

TEST_MAIN(tests)
