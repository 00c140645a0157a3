/* test_tap.c - the tiffin-tap program against publishers made here: what it prints, and how it
 * ends. */
#include "tests/support/test_main.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/actor.h"
#include "lib/bus_socket.h"
#include "lib/clock.h"
#include "tests/support/tap_frames.h"

enum { PATIENCE_MS = 20000, ARGUMENTS_MAX = 16 };

extern char **environ;

typedef struct running {
    pid_t pid;
    int out;
    int err;
} running_t;

/* ---- the program ---- */

static running_t run(const char *const *arguments)
{
    running_t running;
    int out[2], err[2];
    const char *argv[ARGUMENTS_MAX + 2] = {"tiffin-tap"};
    for (size_t i = 0; arguments[i] != NULL; i++)
        argv[i + 1] = arguments[i];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
    char *const *spawn_argv;
    memcpy(&spawn_argv, &(const char **){argv}, sizeof spawn_argv);
    assert_int_equal(posix_spawn(&running.pid, TIFFIN_BIN_DIR "/tiffin-tap", &actions, NULL,
                                 spawn_argv, environ),
                     0);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    running.out = out[0];
    running.err = err[0];
    return running;
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

/* One line without its end; false at the end of the output. */
static bool read_line(int fd, char *line, size_t capacity)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    size_t size = 0;
    for (;;) {
        struct pollfd item = {.fd = fd, .events = POLLIN};
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0 || poll(&item, 1, (int)left_ms) == 0)
            fail_msg("no line in time");
        char c;
        if (read(fd, &c, 1) != 1)
            return false;
        if (c == '\n')
            break;
        assert_true(size + 1 < capacity);
        line[size++] = c;
    }
    line[size] = '\0';
    return true;
}

static void assert_line_holds(int fd, const char *expected)
{
    char line[4096] = "";
    assert_true(read_line(fd, line, sizeof line));
    if (strstr(line, expected) == NULL)
        fail_msg("\"%s\" does not hold \"%s\"", line, expected);
}

/* The program ends, after at most some more output, with this status. */
static void assert_ends(running_t running, int status)
{
    char line[4096];
    while (read_line(running.out, line, sizeof line))
        ;
    while (read_line(running.err, line, sizeof line))
        ;
    int result;
    assert_int_equal(waitpid(running.pid, &result, 0), running.pid);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), status);
    close(running.out);
    close(running.err);
}

/* ---- the gateway ---- */

typedef struct publisher {
    zsock_t *socket;
    char *endpoint;
} publisher_t;

static publisher_t publish_at(const char *endpoint)
{
    publisher_t publisher;
    err_detail_t detail;
    publisher.socket = tap_socket_bind(endpoint, &detail);
    assert_non_null(publisher.socket);
    zsock_set_rcvtimeo(publisher.socket, PATIENCE_MS);
    publisher.endpoint = bus_socket_endpoint(publisher.socket);
    return publisher;
}

static void publisher_destroy(publisher_t *publisher)
{
    zsock_destroy(&publisher->socket);
    free(publisher->endpoint);
}

/* Waits for one subscription, and returns whether it was a sync, which is answered if `answer`. */
static bool take_subscription(publisher_t *publisher, bool answer, const char *expected)
{
    zframe_t *frame = zframe_recv(publisher->socket);
    assert_non_null(frame);
    const char *data = (const char *)zframe_data(frame);
    str_t topic = {data + 1, (uint32_t)zframe_size(frame) - 1};
    assert_int_equal(data[0], 1);
    bool sync = topic.size > 9 && memcmp(topic.data, "tap.sync.", 9) == 0;
    if (!sync)
        assert_true(str_is(topic, expected));
    else if (answer)
        assert_int_equal(zmq_send(zsock_resolve(publisher->socket), topic.data, topic.size, 0),
                         topic.size);
    zframe_destroy(&frame);
    return sync;
}

static void publish(publisher_t *publisher, tap_frames_t frames)
{
    void *socket = zsock_resolve(publisher->socket);
    size_t topic_size = strlen(frames.topic);
    assert_int_equal(zmq_send(socket, frames.topic, topic_size, ZMQ_SNDMORE), topic_size);
    assert_int_equal(zmq_send(socket, frames.record, frames.record_size, ZMQ_SNDMORE),
                     frames.record_size);
    assert_int_equal(zmq_send(socket, frames.body, frames.body_size, 0), frames.body_size);
}

static tap_frames_t numbered(int64_t seq)
{
    order_get_t get = {.order_id = tap_request_id(1)};
    tap_record_t record = tap_record_example("REQUEST", 1);
    record.seq = seq;
    return tap_frames_make("order.get", record, MSG_order_get, &get);
}

static int setup(void **state)
{
    (void)state;
    actor_process_init();
    return 0;
}

/* ---- showing ---- */

static void messages_are_shown_as_they_are_published(void **state)
{
    (void)state;
    publisher_t gateway = publish_at("tcp://127.0.0.1:*");
    running_t tap = RUN("--connect", gateway.endpoint);
    assert_false(take_subscription(&gateway, false, ""));
    publish(&gateway, tap_order_create(1, 45000));
    assert_line_holds(tap.out, "→ order.create");
    publish(&gateway, tap_order_created(1, 3850));
    assert_line_holds(tap.out, "3.9ms order_id=");
    tap_frames_t broken = tap_order_create(1, 45000);
    broken.body_size = 0;
    publish(&gateway, broken);
    assert_line_holds(tap.out, "BROKEN order.create: body: not a map");
    kill(tap.pid, SIGTERM);
    assert_ends(tap, 0);
    publisher_destroy(&gateway);
}

static void an_interrupt_ends_it_well(void **state)
{
    (void)state;
    publisher_t gateway = publish_at("tcp://127.0.0.1:*");
    running_t tap = RUN("--connect", gateway.endpoint, "--json");
    assert_false(take_subscription(&gateway, false, ""));
    kill(tap.pid, SIGINT);
    assert_ends(tap, 0);
    publisher_destroy(&gateway);
}

static void count_ends_it(void **state)
{
    (void)state;
    publisher_t gateway = publish_at("tcp://127.0.0.1:*");
    running_t tap = RUN("--connect", gateway.endpoint, "--count", "2", "--json", "router.*");
    assert_false(take_subscription(&gateway, false, "router."));
    for (int i = 0; i < 3; i++)
        publish(&gateway, tap_attempt(1));
    assert_line_holds(tap.out, "\"topic\":\"router.attempt\"");
    assert_line_holds(tap.out, "\"topic\":\"router.attempt\"");
    char line[16];
    assert_false(read_line(tap.out, line, sizeof line));
    assert_ends(tap, 0);
    publisher_destroy(&gateway);
}

static void losses_are_told(void **state)
{
    (void)state;
    publisher_t gateway = publish_at("tcp://127.0.0.1:*");
    running_t tap = RUN("--connect", gateway.endpoint);
    assert_false(take_subscription(&gateway, false, ""));
    publish(&gateway, numbered(7));
    publish(&gateway, numbered(8));
    publish(&gateway, numbered(12));
    assert_line_holds(tap.out, "order.get");
    assert_line_holds(tap.out, "order.get");
    assert_line_holds(tap.out, "-- 3 lost --");
    assert_line_holds(tap.out, "order.get");
    kill(tap.pid, SIGTERM);
    assert_ends(tap, 0);
    publisher_destroy(&gateway);
}

static void skipped_topics_are_no_losses(void **state)
{
    (void)state;
    publisher_t gateway = publish_at("tcp://127.0.0.1:*");
    running_t tap = RUN("--connect", gateway.endpoint, "order.get", "--count", "2");
    assert_false(take_subscription(&gateway, false, "order.get"));
    publish(&gateway, numbered(7));
    publish(&gateway, numbered(12));
    assert_line_holds(tap.out, "order.get");
    assert_line_holds(tap.out, "order.get");
    assert_ends(tap, 0);
    publisher_destroy(&gateway);
}

static void a_reader_that_left_ends_it(void **state)
{
    (void)state;
    publisher_t gateway = publish_at("tcp://127.0.0.1:*");
    running_t tap = RUN("--connect", gateway.endpoint);
    assert_false(take_subscription(&gateway, false, ""));
    publish(&gateway, numbered(1));
    assert_line_holds(tap.out, "order.get");
    close(tap.out);
    publish(&gateway, numbered(2));
    int status;
    assert_int_equal(waitpid(tap.pid, &status, 0), tap.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(tap.err);
    publisher_destroy(&gateway);
}

static void every_gateway_of_the_list_is_heard(void **state)
{
    (void)state;
    publisher_t one = publish_at("tcp://127.0.0.1:*");
    publisher_t two = publish_at("tcp://127.0.0.1:*");
    char addr[256];
    snprintf(addr, sizeof addr, "%s,%s", one.endpoint, two.endpoint);
    setenv("TAP_ADDR", addr, 1);
    running_t tap = RUN("--count", "2");
    unsetenv("TAP_ADDR");
    assert_false(take_subscription(&one, false, ""));
    assert_false(take_subscription(&two, false, ""));
    publish(&one, tap_attempt(1));
    assert_line_holds(tap.out, "router.attempt");
    publish(&two, tap_order_create(1, 45000));
    assert_line_holds(tap.out, "order.create");
    assert_ends(tap, 0);
    publisher_destroy(&one);
    publisher_destroy(&two);
}

static void a_gateway_that_comes_later_is_found(void **state)
{
    (void)state;
    char path[] = "/tmp/tiffin-tap-XXXXXX";
    char addr[64];
    publisher_t one = publish_at("tcp://127.0.0.1:*");
    publisher_t two = publish_at("tcp://127.0.0.1:*");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "%s\n", one.endpoint) > 0);
    snprintf(addr, sizeof addr, "@%s", path);
    running_t tap = RUN("--connect", addr, "--count", "1");
    assert_false(take_subscription(&one, false, ""));
    assert_true(dprintf(fd, "%s\n", two.endpoint) > 0);
    assert_false(take_subscription(&two, false, ""));
    publish(&two, tap_attempt(1));
    assert_line_holds(tap.out, "router.attempt");
    assert_ends(tap, 0);
    close(fd);
    unlink(path);
    publisher_destroy(&one);
    publisher_destroy(&two);
}

/* ---- expecting ---- */

static void expect_succeeds_as_soon_as_it_came(void **state)
{
    (void)state;
    publisher_t gateway = publish_at("tcp://127.0.0.1:*");
    running_t tap = RUN("--connect", gateway.endpoint, "--expect", "order.create", "--where",
                        "amount=45000", "--within", "20s", "--json");
    while (!take_subscription(&gateway, true, "order.create"))
        ;
    assert_line_holds(tap.err, "tap: listening");
    publish(&gateway, tap_order_create(1, 450));
    publish(&gateway, tap_order_create(2, 45000));
    assert_line_holds(tap.out, "\"amount\":45000");
    assert_ends(tap, 0);
    publisher_destroy(&gateway);
}

static void expect_fails_when_the_time_is_over(void **state)
{
    (void)state;
    publisher_t gateway = publish_at("tcp://127.0.0.1:*");
    running_t tap = RUN("--connect", gateway.endpoint, "--expect", "order.*", "--within", "100ms");
    assert_ends(tap, 1);
    publisher_destroy(&gateway);
}

static void expect_wants_as_many_as_it_was_told(void **state)
{
    (void)state;
    publisher_t gateway = publish_at("tcp://127.0.0.1:*");
    running_t tap = RUN("--connect", gateway.endpoint, "--expect", "router.*", "--count", "2",
                        "--within", "20s");
    while (!take_subscription(&gateway, true, "router."))
        ;
    assert_line_holds(tap.err, "tap: listening");
    publish(&gateway, tap_attempt(1));
    publish(&gateway, tap_attempt(2));
    assert_line_holds(tap.out, "router.attempt");
    assert_line_holds(tap.out, "router.attempt");
    assert_ends(tap, 0);
    publisher_destroy(&gateway);
}

static void a_gateway_without_sync_is_listened_to_after_a_moment(void **state)
{
    (void)state;
    publisher_t gateway = publish_at("tcp://127.0.0.1:*");
    running_t tap =
        RUN("--connect", gateway.endpoint, "--expect", "order.create", "--within", "20s");
    while (!take_subscription(&gateway, false, "order.create"))
        ;
    assert_line_holds(tap.err, "tap: listening");
    publish(&gateway, tap_order_create(1, 45000));
    assert_ends(tap, 0);
    publisher_destroy(&gateway);
}

static void an_interrupted_expectation_is_not_met(void **state)
{
    (void)state;
    publisher_t gateway = publish_at("tcp://127.0.0.1:*");
    running_t tap =
        RUN("--connect", gateway.endpoint, "--expect", "order.create", "--within", "20s");
    while (!take_subscription(&gateway, true, "order.create"))
        ;
    assert_line_holds(tap.err, "tap: listening");
    kill(tap.pid, SIGTERM);
    assert_ends(tap, 1);
    publisher_destroy(&gateway);
}

/* ---- ends before it begins ---- */

static void bad_options_and_settings_end_with_78(void **state)
{
    (void)state;
    running_t option = RUN("--colour");
    assert_line_holds(option.err, "config: --colour: ");
    assert_ends(option, 78);
    running_t connect = RUN("--connect", "nowhere");
    assert_line_holds(connect.err, "config: --connect: ");
    assert_ends(connect, 78);
    setenv("TAP_ADDR", "udp://127.0.0.1:1", 1);
    running_t setting = RUN("--json");
    unsetenv("TAP_ADDR");
    assert_line_holds(setting.err, "config: TAP_ADDR: ");
    assert_ends(setting, 78);
}

static void help_and_version_are_there(void **state)
{
    (void)state;
    running_t help = RUN("--help");
    assert_line_holds(help.out, "tiffin-tap - ");
    assert_ends(help, 0);
    running_t version = RUN("--version");
    assert_line_holds(version.out, "tiffin-tap ");
    assert_ends(version, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(messages_are_shown_as_they_are_published, setup, NULL),
    cmocka_unit_test_setup_teardown(an_interrupt_ends_it_well, setup, NULL),
    cmocka_unit_test_setup_teardown(count_ends_it, setup, NULL),
    cmocka_unit_test_setup_teardown(losses_are_told, setup, NULL),
    cmocka_unit_test_setup_teardown(skipped_topics_are_no_losses, setup, NULL),
    cmocka_unit_test_setup_teardown(a_reader_that_left_ends_it, setup, NULL),
    cmocka_unit_test_setup_teardown(every_gateway_of_the_list_is_heard, setup, NULL),
    cmocka_unit_test_setup_teardown(a_gateway_that_comes_later_is_found, setup, NULL),
    cmocka_unit_test_setup_teardown(expect_succeeds_as_soon_as_it_came, setup, NULL),
    cmocka_unit_test_setup_teardown(expect_fails_when_the_time_is_over, setup, NULL),
    cmocka_unit_test_setup_teardown(expect_wants_as_many_as_it_was_told, setup, NULL),
    cmocka_unit_test_setup_teardown(a_gateway_without_sync_is_listened_to_after_a_moment, setup,
                                    NULL),
    cmocka_unit_test_setup_teardown(an_interrupted_expectation_is_not_met, setup, NULL),
    cmocka_unit_test_setup_teardown(bad_options_and_settings_end_with_78, setup, NULL),
    cmocka_unit_test_setup_teardown(help_and_version_are_there, setup, NULL),
};

TEST_MAIN(tests)
