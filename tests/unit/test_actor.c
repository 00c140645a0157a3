/* test_actor.c - the loop, its signals and its end. What concerns signals runs in a child process
 * of its own. */
#include "lib/actor.h"
#include "tests/support/test_main.h"

#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"

enum { DEADLINE_MS = 5000 };

typedef struct fixture {
    actor_t *actor;
    int fds[2];
    int timers[2];
    int calls[2];
    int drains, idle_calls;
    bool idle;
    zsock_t *socket, *peer;
} fixture_t;

static void give_up(void *arg)
{
    (void)arg;
    static const char text[] = "test_actor: deadline\n";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(99);
}

static void fixture_open(fixture_t *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->actor = actor_new();
    for (int i = 0; i < 2; i++)
        fixture->fds[i] = eventfd(1, EFD_NONBLOCK);
    actor_add_timer(fixture->actor, DEADLINE_MS, give_up, NULL);
}

static void fixture_close(fixture_t *fixture)
{
    actor_destroy(&fixture->actor);
    assert_null(fixture->actor);
    zsock_destroy(&fixture->socket);
    zsock_destroy(&fixture->peer);
    close(fixture->fds[0]);
    close(fixture->fds[1]);
}

static void stop(void *arg)
{
    fixture_t *fixture = arg;
    actor_stop(fixture->actor);
}

static void count_drain(void *arg)
{
    fixture_t *fixture = arg;
    fixture->drains++;
}

static bool idle_after_three(void *arg)
{
    fixture_t *fixture = arg;
    return ++fixture->idle_calls >= 3;
}

static bool never_idle(void *arg)
{
    (void)arg;
    return false;
}

/* Both descriptors are readable; whichever is called first removes both. */
static void remove_both_fds(void *arg)
{
    fixture_t *fixture = arg;
    fixture->calls[0]++;
    actor_remove_fd(fixture->actor, fixture->fds[0]);
    actor_remove_fd(fixture->actor, fixture->fds[1]);
    actor_add_timer(fixture->actor, 10, stop, fixture);
}

static void descriptors_removed_in_a_handler_are_not_called_again(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_open(&fixture);
    actor_add_fd(fixture.actor, fixture.fds[0], remove_both_fds, &fixture);
    actor_add_fd(fixture.actor, fixture.fds[1], remove_both_fds, &fixture);
    assert_int_equal(actor_run(fixture.actor), 0);
    assert_int_equal(fixture.calls[0], 1);
    fixture_close(&fixture);
}

/* Both timers are due in one pass; whichever is called first removes both, and a readable
 * descriptor. */
static void remove_both_timers(void *arg)
{
    fixture_t *fixture = arg;
    fixture->calls[0]++;
    actor_remove_timer(fixture->actor, fixture->timers[0]);
    actor_remove_timer(fixture->actor, fixture->timers[1]);
    actor_remove_fd(fixture->actor, fixture->fds[0]);
    actor_add_timer(fixture->actor, 20, stop, fixture);
}

static void count_second(void *arg)
{
    fixture_t *fixture = arg;
    fixture->calls[1]++;
}

static void signal_descriptor(void *arg)
{
    fixture_t *fixture = arg;
    fixture->calls[1]--;
    uint64_t value;
    assert_int_equal(read(fixture->fds[1], &value, sizeof value), sizeof value);
    /* Makes fds[0] readable in the pass in which the timers are due. */
    int64_t until_ms = clock_mono_ms() + 5;
    while (clock_mono_ms() < until_ms)
        ;
    value = 1;
    assert_int_equal(write(fixture->fds[0], &value, sizeof value), sizeof value);
}

static void timers_and_descriptors_removed_by_a_timer_are_not_called_in_the_same_pass(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_open(&fixture);
    uint64_t value;
    assert_int_equal(read(fixture.fds[0], &value, sizeof value), sizeof value);
    fixture.calls[1] = 1;
    actor_add_fd(fixture.actor, fixture.fds[0], count_second, &fixture);
    actor_add_fd(fixture.actor, fixture.fds[1], signal_descriptor, &fixture);
    fixture.timers[0] = actor_add_timer(fixture.actor, 1, remove_both_timers, &fixture);
    fixture.timers[1] = actor_add_timer(fixture.actor, 1, remove_both_timers, &fixture);
    assert_int_equal(actor_run(fixture.actor), 0);
    assert_int_equal(fixture.calls[0], 1);
    assert_true(fixture.calls[1] == 0 || fixture.calls[1] == 1); /* timers may be due first */
    fixture_close(&fixture);
}

static void a_timer_removed_before_the_loop_runs_is_never_called(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_open(&fixture);
    int removed = actor_add_timer(fixture.actor, 1, count_second, &fixture);
    actor_remove_timer(fixture.actor, removed);
    actor_add_timer(fixture.actor, 10, stop, &fixture); /* takes the same slot */
    assert_int_equal(actor_run(fixture.actor), 0);
    assert_int_equal(fixture.calls[1], 0);
    fixture_close(&fixture);
}

static void an_actor_that_never_ran_can_be_destroyed(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_open(&fixture);
    actor_remove_timer(fixture.actor, actor_add_timer(fixture.actor, 1, count_second, &fixture));
    fixture_close(&fixture);
}

static void echo(void *arg)
{
    fixture_t *fixture = arg;
    char *text = zstr_recv(fixture->socket);
    assert_string_equal(text, "hello");
    zstr_free(&text);
    actor_remove_socket(fixture->actor, fixture->socket);
    actor_stop(fixture->actor);
}

static void a_readable_socket_calls_its_handler(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_open(&fixture);
    fixture.socket = zsock_new_pair("@inproc://test-actor");
    fixture.peer = zsock_new_pair(">inproc://test-actor");
    actor_add_socket(fixture.actor, fixture.socket, echo, &fixture);
    zstr_send(fixture.peer, "hello");
    assert_int_equal(actor_run(fixture.actor), 0);
    fixture_close(&fixture);
}

static void stopping_drains_once_and_waits_until_idle(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_open(&fixture);
    actor_set_drain(fixture.actor, count_drain, idle_after_three, &fixture, DEADLINE_MS);
    assert_false(actor_draining(fixture.actor));
    actor_stop(fixture.actor);
    actor_stop(fixture.actor);
    assert_true(actor_draining(fixture.actor));
    assert_int_equal(actor_run(fixture.actor), 0);
    assert_int_equal(fixture.drains, 1);
    assert_int_equal(fixture.idle_calls, 3);
    fixture_close(&fixture);
}

static void a_drain_that_times_out_is_reported(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_open(&fixture);
    actor_set_drain(fixture.actor, NULL, never_idle, NULL, 20);
    actor_stop(fixture.actor);
    assert_int_equal(actor_run(fixture.actor), 1);
    fixture_close(&fixture);
}

/* Runs `body` in a child; its exit status, or 256 + the signal that ended it. */
static int in_child(int (*body)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        actor_process_init();
        _exit(body());
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void raise_hup_then_term(void *arg)
{
    fixture_t *fixture = arg;
    if (fixture->calls[0]++ == 0) {
        kill(getpid(), SIGHUP);
        kill(getpid(), SIGUSR1);
        kill(getpid(), SIGCHLD);
    } else if (fixture->calls[0] == 3) {
        kill(getpid(), SIGTERM);
    }
}

static int term_drains(void)
{
    fixture_t fixture;
    fixture_open(&fixture);
    actor_set_drain(fixture.actor, count_drain, idle_after_three, &fixture, DEADLINE_MS);
    actor_add_timer(fixture.actor, 2, raise_hup_then_term, &fixture);
    int result = actor_run(fixture.actor);
    if (result != 0 || fixture.drains != 1 || fixture.calls[0] < 3)
        return 1;
    fixture_close(&fixture);
    return 42;
}

static void sigterm_drains_and_other_signals_do_nothing(void **state)
{
    (void)state;
    assert_int_equal(in_child(term_drains), 42);
}

static void raise_term(void *arg)
{
    (void)arg;
    kill(getpid(), SIGTERM);
}

static int second_term_exits(void)
{
    fixture_t fixture;
    fixture_open(&fixture);
    actor_set_drain(fixture.actor, NULL, never_idle, NULL, DEADLINE_MS);
    actor_add_timer(fixture.actor, 2, raise_term, NULL);
    actor_run(fixture.actor);
    return 1;
}

static void a_second_sigterm_ends_the_process_at_once(void **state)
{
    (void)state;
    assert_int_equal(in_child(second_term_exits), 128 + SIGTERM);
}

static int write_to_closed_pipe(void)
{
    int ends[2];
    if (pipe(ends) != 0)
        return 1;
    close(ends[0]);
    return write(ends[1], "x", 1) == -1 && errno == EPIPE ? 42 : 1;
}

static void a_write_to_a_closed_peer_is_an_error_not_a_signal(void **state)
{
    (void)state;
    assert_int_equal(in_child(write_to_closed_pipe), 42);
}

static const struct CMUnitTest tests[] = {
    /* Those that fork come first: a child may not use the parent's sockets. */
    cmocka_unit_test(sigterm_drains_and_other_signals_do_nothing),
    cmocka_unit_test(a_second_sigterm_ends_the_process_at_once),
    cmocka_unit_test(a_write_to_a_closed_peer_is_an_error_not_a_signal),
    cmocka_unit_test(descriptors_removed_in_a_handler_are_not_called_again),
    cmocka_unit_test(timers_and_descriptors_removed_by_a_timer_are_not_called_in_the_same_pass),
    cmocka_unit_test(a_timer_removed_before_the_loop_runs_is_never_called),
    cmocka_unit_test(an_actor_that_never_ran_can_be_destroyed),
    cmocka_unit_test(a_readable_socket_calls_its_handler),
    cmocka_unit_test(stopping_drains_once_and_waits_until_idle),
    cmocka_unit_test(a_drain_that_times_out_is_reported),
};

TEST_MAIN(tests)
