/* test_redis.c - lib/redis against a real server that is killed, stopped and started. */
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/redis.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum { TIMEOUT_MS = 300, AT_ONCE_MS = 150 };

static redis_t *must_open(const char *url)
{
    err_detail_t detail = {""};
    redis_t *redis = redis_new(url, TIMEOUT_MS, &detail);
    if (!redis)
        fail_msg("%s", detail.text);
    return redis;
}

static redisReply *must_reply(redis_t *redis, const char *command)
{
    redisReply *reply = NULL;
    err_detail_t detail = {""};
    err_t err = redis_command(redis, &reply, &detail, command, NULL);
    if (err != ERR_OK)
        fail_msg("%s: %s: %s", command, err_name(err), detail.text);
    return reply;
}

static void must_do(redis_t *redis, const char *command)
{
    freeReplyObject(must_reply(redis, command));
}

static long long must_count(redis_t *redis, const char *command)
{
    redisReply *reply = must_reply(redis, command);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    long long number = reply->integer;
    freeReplyObject(reply);
    return number;
}

static err_t outcome(redis_t *redis, const char *command)
{
    redisReply *reply = NULL;
    err_detail_t detail = {""};
    err_t err = redis_command(redis, &reply, &detail, command, NULL);
    assert_true((err == ERR_OK) == (reply != NULL));
    if (reply)
        freeReplyObject(reply);
    else
        assert_true(detail.text[0] != '\0');
    return err;
}

static bool is_ready(void *redis)
{
    return redis_ready(redis);
}

static void commands_answer_and_errors_say_why(void **state)
{
    (void)state;
    test_redis_t server;
    test_redis_start(&server);
    redis_t *redis = must_open(server.url);
    assert_int_equal(redis_fd(redis), -1);
    assert_int_equal(redis_generation(redis), 0);
    const char *argv[] = {"SET", "k", "a\0b"};
    const size_t sizes[] = {3, 1, 3};
    redisReply *reply;
    err_detail_t detail;
    assert_int_equal(redis_command_argv(redis, 3, argv, sizes, &reply, &detail), ERR_OK);
    assert_string_equal(reply->str, "OK");
    freeReplyObject(reply);
    assert_int_equal(must_count(redis, "STRLEN k"), 3);
    assert_true(redis_fd(redis) >= 0);
    assert_int_equal(redis_generation(redis), 1);
    assert_int_equal(redis_command(redis, &reply, &detail, "LPUSH %s x", "k"), ERR_UNPROCESSABLE);
    assert_null(reply);
    assert_non_null(strstr(detail.text, "WRONGTYPE"));
    redis_destroy(&redis);
    assert_null(redis);
    test_redis_stop(&server);
}

static void password_and_database_of_the_url_are_used(void **state)
{
    (void)state;
    test_redis_t server;
    test_redis_start(&server);
    redis_t *redis = must_open(server.url);
    must_do(redis, "SELECT 3");
    must_do(redis, "SET here 1");
    must_do(redis, "ACL SETUSER clerk on >p@ss ~* +@all");
    must_do(redis, "CONFIG SET requirepass geheim");
    char url[128];
    snprintf(url, sizeof(url), "redis://:geheim@127.0.0.1:%d/3", server.port);
    redis_t *by_password = must_open(url);
    assert_int_equal(must_count(by_password, "EXISTS here"), 1);
    snprintf(url, sizeof(url), "redis://clerk:p%%40ss@127.0.0.1:%d/3", server.port);
    redis_t *by_user = must_open(url);
    assert_int_equal(must_count(by_user, "EXISTS here"), 1);
    snprintf(url, sizeof(url), "redis://:wrong@127.0.0.1:%d", server.port);
    redis_t *refused = must_open(url);
    assert_false(redis_ready(refused));
    assert_int_equal(outcome(refused, "PING"), ERR_QUEUE_UNAVAILABLE);
    redis_destroy(&refused);
    redis_destroy(&by_user);
    redis_destroy(&by_password);
    redis_destroy(&redis);
    test_redis_stop(&server);
}

static void pipelined_replies_come_in_order(void **state)
{
    (void)state;
    enum { COMMANDS = 500 };
    test_redis_t server;
    test_redis_start(&server);
    redis_t *redis = must_open(server.url);
    const char *incr[] = {"INCR", "n"};
    const char *wrong[] = {"LPUSH", "n", "x"};
    for (int i = 0; i < COMMANDS; i++)
        redis_append_argv(redis, i % 10 == 9 ? 3 : 2, i % 10 == 9 ? wrong : incr, NULL);
    long long expected = 0;
    for (int i = 0; i < COMMANDS; i++) {
        redisReply *reply;
        assert_int_equal(redis_next_reply(redis, &reply, NULL), ERR_OK);
        if (i % 10 == 9) {
            assert_int_equal(reply->type, REDIS_REPLY_ERROR);
        } else {
            assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
            assert_true(reply->integer == ++expected);
        }
        freeReplyObject(reply);
    }
    redis_destroy(&redis);
    test_redis_stop(&server);
}

static void restarted_server_is_found_again_unnoticed(void **state)
{
    (void)state;
    test_redis_t server;
    test_redis_start(&server);
    redis_t *redis = must_open(server.url);
    must_do(redis, "SET k v");
    test_redis_kill(&server);
    test_redis_restart(&server);
    assert_int_equal(must_count(redis, "EXISTS k"), 1);
    assert_int_equal(redis_generation(redis), 2);
    redis_destroy(&redis);
    test_redis_stop(&server);
}

static void dead_server_fails_at_once_and_comes_back(void **state)
{
    (void)state;
    test_redis_t server;
    test_redis_start(&server);
    redis_t *redis = must_open(server.url);
    must_do(redis, "PING");
    test_redis_kill(&server);
    int64_t begun_ms = clock_mono_ms();
    for (int i = 0; i < 100; i++)
        assert_int_equal(outcome(redis, "PING"), ERR_QUEUE_UNAVAILABLE);
    assert_true(clock_mono_ms() - begun_ms < AT_ONCE_MS);
    assert_int_equal(redis_fd(redis), -1);
    test_redis_restart(&server);
    wait_until(is_ready, redis, 5000, "connected again");
    must_do(redis, "PING");
    redis_destroy(&redis);
    test_redis_stop(&server);
}

/* Every reply that was owed is told as lost, and none of the next connection's takes its place. */
static void replies_owed_by_a_dead_server_are_lost_in_order(void **state)
{
    (void)state;
    test_redis_t server;
    test_redis_start(&server);
    redis_t *redis = must_open(server.url);
    const char *ping[] = {"PING"};
    const char *echo[] = {"ECHO", "new"};
    must_do(redis, "PING");
    for (int i = 0; i < 3; i++)
        redis_append_argv(redis, 1, ping, NULL);
    test_redis_kill(&server);
    redisReply *reply;
    assert_int_equal(redis_next_reply(redis, &reply, NULL), ERR_QUEUE_UNAVAILABLE);
    test_redis_restart(&server);
    redis_append_argv(redis, 2, echo, NULL);
    assert_int_equal(redis_next_reply(redis, &reply, NULL), ERR_QUEUE_UNAVAILABLE);
    assert_int_equal(redis_next_reply(redis, &reply, NULL), ERR_QUEUE_UNAVAILABLE);
    assert_int_equal(redis_next_reply(redis, &reply, NULL), ERR_OK);
    assert_string_equal(reply->str, "new");
    freeReplyObject(reply);
    redis_destroy(&redis);
    test_redis_stop(&server);
}

/* hiredis loses the timeout of the socket when it reconnects. */
static void timeout_holds_on_every_connection(void **state)
{
    (void)state;
    test_redis_t server;
    test_redis_start(&server);
    redis_t *redis = must_open(server.url);
    for (int round = 0; round < 3; round++) {
        must_do(redis, "PING");
        int64_t begun_ms = clock_mono_ms();
        assert_int_equal(outcome(redis, "XREAD BLOCK 5000 STREAMS nothing $"),
                         ERR_QUEUE_UNAVAILABLE);
        int64_t took_ms = clock_mono_ms() - begun_ms;
        assert_true(took_ms >= TIMEOUT_MS - 20 && took_ms < TIMEOUT_MS + 1000);
        assert_int_equal(redis_fd(redis), -1);
    }
    redis_destroy(&redis);
    test_redis_stop(&server);
}

/* A server that neither closes nor answers, as behind a broken network. */
static void stopped_server_does_not_hold_the_caller(void **state)
{
    (void)state;
    test_redis_t server;
    test_redis_start(&server);
    redis_t *redis = must_open(server.url);
    must_do(redis, "PING");
    assert_int_equal(kill(server.pid, SIGSTOP), 0);
    assert_int_equal(outcome(redis, "PING"), ERR_QUEUE_UNAVAILABLE); /* TIMEOUT_MS */
    assert_int_equal(outcome(redis, "PING"), ERR_QUEUE_UNAVAILABLE); /* the connect timeout */
    int64_t begun_ms = clock_mono_ms();
    assert_int_equal(outcome(redis, "PING"), ERR_QUEUE_UNAVAILABLE);
    assert_true(clock_mono_ms() - begun_ms <
                45); /* at once: the least pause after a failed connect is longer */
    assert_int_equal(kill(server.pid, SIGCONT), 0);
    wait_until(is_ready, redis, 5000, "connected again");
    must_do(redis, "PING");
    redis_destroy(&redis);
    test_redis_stop(&server);
}

/* Writing to a socket that the peer has closed raises SIGPIPE, which would end the process. */
static void write_to_a_closed_connection_ends_nothing(void **state)
{
    (void)state;
    test_redis_t server;
    test_redis_start(&server);
    signal(SIGPIPE, SIG_DFL);
    redis_t *redis = must_open(server.url);
    must_do(redis, "PING");
    char *large = malloc(8 << 20); /* larger than the socket's buffer: several writes, the later
                                      ones after the reset */
    memset(large, 'x', 8 << 20);
    const char *set[] = {"SET", "k", large};
    const size_t sizes[] = {3, 1, 8 << 20};
    redis_append_argv(redis, 3, set, sizes);
    test_redis_kill(&server);
    redisReply *reply;
    assert_int_equal(redis_next_reply(redis, &reply, NULL), ERR_QUEUE_UNAVAILABLE);
    free(large);
    redis_destroy(&redis);
    test_redis_stop(&server);
}

static void subscriber_takes_what_has_arrived_without_waiting(void **state)
{
    (void)state;
    test_redis_t server;
    test_redis_start(&server);
    redis_t *subscriber = must_open(server.url);
    redis_t *publisher = must_open(server.url);
    must_do(subscriber, "SUBSCRIBE news");
    redisReply *reply;
    assert_int_equal(redis_try_reply(subscriber, &reply, NULL), ERR_OK);
    assert_null(reply);
    for (int i = 0; i < 3; i++)
        assert_int_equal(must_count(publisher, "PUBLISH news x"), 1);
    int64_t deadline_ms = clock_mono_ms() + 5000;
    for (int taken = 0; taken < 3;) {
        assert_true(clock_mono_ms() < deadline_ms);
        assert_int_equal(redis_try_reply(subscriber, &reply, NULL), ERR_OK);
        if (!reply)
            continue;
        assert_string_equal(reply->element[0]->str, "message");
        freeReplyObject(reply);
        taken++;
    }
    unsigned generation = redis_generation(subscriber);
    test_redis_kill(&server);
    err_t err;
    do {
        assert_true(clock_mono_ms() < deadline_ms);
        err = redis_try_reply(subscriber, &reply, NULL);
    } while (err == ERR_OK);
    assert_int_equal(err, ERR_QUEUE_UNAVAILABLE);
    test_redis_restart(&server);
    wait_until(is_ready, subscriber, 5000, "connected again");
    assert_int_equal(redis_generation(subscriber), generation + 1);
    redis_destroy(&subscriber);
    redis_destroy(&publisher);
    test_redis_stop(&server);
}

static void dropped_blocking_read_takes_no_later_entry(void **state)
{
    (void)state;
    test_redis_t server;
    test_redis_start(&server);
    redis_t *reader = must_open(server.url);
    redis_t *other = must_open(server.url);
    must_do(other, "XGROUP CREATE s g $ MKSTREAM");
    assert_int_equal(outcome(reader, "XREADGROUP GROUP g one BLOCK 60000 STREAMS s >"),
                     ERR_QUEUE_UNAVAILABLE);
    must_do(reader, "PING"); /* by now the server has seen that the old connection is closed */
    redis_drop(reader);
    assert_int_equal(redis_fd(reader), -1);
    must_do(other, "XADD s * k v");
    redisReply *reply = must_reply(other, "XPENDING s g");
    assert_int_equal(reply->element[0]->integer, 0);
    freeReplyObject(reply);
    redis_destroy(&reader);
    redis_destroy(&other);
    test_redis_stop(&server);
}

static void transient_errors_are_unavailable(void **state)
{
    (void)state;
    test_redis_t server;
    test_redis_start(&server);
    redis_t *redis = must_open(server.url);
    must_do(redis, "CONFIG SET maxmemory 1");
    assert_int_equal(outcome(redis, "SET k v"), ERR_QUEUE_UNAVAILABLE);
    must_do(redis, "CONFIG SET maxmemory 0");
    must_do(redis, "SET k v");
    char replicate[64];
    snprintf(replicate, sizeof(replicate), "REPLICAOF 127.0.0.1 %d", test_free_port());
    must_do(redis, replicate);
    assert_int_equal(outcome(redis, "SET k v"), ERR_QUEUE_UNAVAILABLE);
    assert_int_equal(redis_fd(redis),
                     -1); /* a replica: the address may name another server by now */
    redis_destroy(&redis);
    test_redis_stop(&server);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(commands_answer_and_errors_say_why),
    cmocka_unit_test(password_and_database_of_the_url_are_used),
    cmocka_unit_test(pipelined_replies_come_in_order),
    cmocka_unit_test(restarted_server_is_found_again_unnoticed),
    cmocka_unit_test(dead_server_fails_at_once_and_comes_back),
    cmocka_unit_test(replies_owed_by_a_dead_server_are_lost_in_order),
    cmocka_unit_test(timeout_holds_on_every_connection),
    cmocka_unit_test(stopped_server_does_not_hold_the_caller),
    cmocka_unit_test(write_to_a_closed_connection_ends_nothing),
    cmocka_unit_test(subscriber_takes_what_has_arrived_without_waiting),
    cmocka_unit_test(dropped_blocking_read_takes_no_later_entry),
    cmocka_unit_test(transient_errors_are_unavailable),
};

TEST_MAIN(tests)
