/* test_stream.c - the webhook queue in real Redis: what a consumer is given, and what it leaves
 * behind. */
#include "services/webhook_processor/stream.h"

#include <stdio.h>
#include <string.h>

#include "lib/redis.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum { AT_MOST = 256, LONG_MS = 60000, ENTRIES_MAX = 16 };

typedef struct fixture {
    test_redis_t server;
    redis_t *redis;
    stream_t *stream; /* as "me" */
    stream_entries_t entries;
} fixture_t;

static int setup(void **state)
{
    static fixture_t fixture;
    err_detail_t detail = {{0}};
    memset(&fixture, 0, sizeof fixture);
    test_redis_start(&fixture.server);
    fixture.redis = redis_new(fixture.server.url, 2000, &detail);
    fixture.stream = stream_new(fixture.server.url, "me", &detail);
    assert_non_null(fixture.redis);
    assert_non_null(fixture.stream);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    stream_entries_free(&fixture->entries);
    stream_destroy(&fixture->stream);
    redis_destroy(&fixture->redis);
    test_redis_stop(&fixture->server);
    servers_stop();
    return 0;
}

/* ---- a small language for the tests ---- */

/* The reply is the caller's. */
__attribute__((format(printf, 2, 3))) static redisReply *redis(fixture_t *fixture,
                                                               const char *format, ...)
{
    char command[256];
    const char *argv[32];
    size_t sizes[32];
    int argc = 0;
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    char *rest = command;
    for (char *word; (word = strsep(&rest, " ")) != NULL && argc < 32; argc++) {
        argv[argc] = word;
        sizes[argc] = strlen(word);
    }
    redisReply *reply = NULL;
    err_detail_t detail = {{0}};
    if (redis_command_argv(fixture->redis, argc, argv, sizes, &reply, &detail) != ERR_OK)
        fail_msg("%s: %s", detail.text, argv[0]);
    return reply;
}

#define REDIS(fixture, ...) freeReplyObject(redis(fixture, __VA_ARGS__))

/* Entries 1-0 … count-0, delivered once to `consumer`. */
static void deliver(fixture_t *fixture, int count, const char *consumer)
{
    REDIS(fixture, "XGROUP CREATE stream:webhooks webhook-processor 0 MKSTREAM");
    for (int i = 1; i <= count; i++)
        REDIS(fixture, "XADD stream:webhooks %d-0 event_id evt_%d", i, i);
    REDIS(fixture, "XREADGROUP GROUP webhook-processor %s STREAMS stream:webhooks >", consumer);
}

/* As if entry `id` had been delivered so often, the last time a minute ago. */
static void set_delivered(fixture_t *fixture, const char *consumer, int id, int times)
{
    REDIS(fixture,
          "XCLAIM stream:webhooks webhook-processor %s 0 %d-0 IDLE %d RETRYCOUNT %d JUSTID",
          consumer, id, LONG_MS, times);
}

/* "1:2 2:2" for entries 1-0 and 2-0, each delivered twice. */
static const char *shown(const fixture_t *fixture)
{
    static char text[256];
    const stream_entries_t *entries = &fixture->entries;
    size_t size = 0;
    text[0] = '\0';
    for (size_t i = 0; entries->array != NULL && i < entries->array->elements; i++) {
        webhook_item_t item;
        const bool whole = webhook_item_from_entry(entries->array->element[i], &item);
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%.*s:%lld%s", i > 0 ? " " : "",
                                 (int)strcspn(item.entry_id.data, "-"), item.entry_id.data,
                                 (long long)stream_entries_deliveries(entries, item.entry_id),
                                 whole ? "" : "(gone)");
    }
    return text;
}

static const char *read_new(fixture_t *fixture)
{
    err_detail_t detail = {{0}};
    stream_entries_free(&fixture->entries);
    if (stream_read_new(fixture->stream, AT_MOST, 1, &fixture->entries, &detail) != ERR_OK)
        fail_msg("%s", detail.text);
    return shown(fixture);
}

static const char *read_own(fixture_t *fixture, const char *after)
{
    err_detail_t detail = {{0}};
    stream_entries_free(&fixture->entries);
    if (stream_read_own(fixture->stream, AT_MOST, after, &fixture->entries, &detail) != ERR_OK)
        fail_msg("%s", detail.text);
    return shown(fixture);
}

static const char *claim_idle(fixture_t *fixture, int min_idle_ms)
{
    err_detail_t detail = {{0}};
    stream_entries_free(&fixture->entries);
    if (stream_claim_idle(fixture->stream, AT_MOST, min_idle_ms, &fixture->entries, &detail) !=
        ERR_OK)
        fail_msg("%s", detail.text);
    return shown(fixture);
}

static long long pending(fixture_t *fixture)
{
    redisReply *reply = redis(fixture, "XPENDING stream:webhooks webhook-processor");
    const long long count = reply->element[0]->integer;
    freeReplyObject(reply);
    return count;
}

static size_t consumers(fixture_t *fixture)
{
    redisReply *reply = redis(fixture, "XINFO CONSUMERS stream:webhooks webhook-processor");
    const size_t count = reply->elements;
    freeReplyObject(reply);
    return count;
}

/* ---- tests ---- */

static void what_was_queued_before_there_was_a_group_is_read(void **state)
{
    fixture_t *fixture = *state;
    REDIS(fixture, "XADD stream:webhooks 1-0 event_id evt_1");
    assert_string_equal(read_new(fixture), ""); /* makes the group */
    assert_string_equal(read_new(fixture), "1:1");
    assert_string_equal(read_new(fixture), "");
}

static void own_entries_that_were_delivered_often_come_alone(void **state)
{
    fixture_t *fixture = *state;
    deliver(fixture, 6, "me");
    set_delivered(fixture, "me", 3, WEBHOOK_DELIVERIES_TOGETHER);
    set_delivered(fixture, "me", 4, WEBHOOK_DELIVERIES_TOGETHER + 1);
    assert_string_equal(read_own(fixture, "0"), "1:2 2:2");
    assert_string_equal(read_own(fixture, "2-0"), "3:4");
    assert_string_equal(read_own(fixture, "3-0"), "4:5");
    assert_string_equal(read_own(fixture, "4-0"), "5:2 6:2");
    assert_string_equal(read_own(fixture, "6-0"), "");
    /* Nobody's count has grown by what was read beside it. */
    assert_string_equal(read_own(fixture, "0"), "1:3 2:3");
}

static void others_entries_do_not_come_as_own(void **state)
{
    fixture_t *fixture = *state;
    deliver(fixture, 2, "other");
    assert_string_equal(read_own(fixture, "0"), "");
}

static void idle_entries_of_others_are_claimed_once_those_delivered_often_alone(void **state)
{
    fixture_t *fixture = *state;
    deliver(fixture, 5, "other");
    for (int id = 1; id <= 5; id++)
        set_delivered(fixture, "other", id, id == 3 ? WEBHOOK_DELIVERIES_TOGETHER : 1);
    assert_string_equal(claim_idle(fixture, LONG_MS - 1000), "1:2 2:2");
    assert_string_equal(claim_idle(fixture, LONG_MS - 1000), "3:4");
    assert_string_equal(claim_idle(fixture, LONG_MS - 1000), "4:2 5:2");
    assert_string_equal(claim_idle(fixture, LONG_MS - 1000), "");
    assert_string_equal(read_own(fixture, "0"), "1:3 2:3");
}

static void entries_that_somebody_works_on_are_not_claimed(void **state)
{
    fixture_t *fixture = *state;
    deliver(fixture, 3, "other");
    set_delivered(fixture, "other", 2, 1);
    assert_string_equal(claim_idle(fixture, LONG_MS - 1000), "2:2");
    assert_string_equal(claim_idle(fixture, LONG_MS - 1000), "");
}

static void an_entry_that_was_deleted_while_pending_is_got_rid_of(void **state)
{
    fixture_t *fixture = *state;
    err_detail_t detail = {{0}};
    deliver(fixture, 2, "me");
    REDIS(fixture, "XDEL stream:webhooks 1-0 2-0");
    assert_string_equal(read_own(fixture, "0"), "1:2(gone) 2:2(gone)");
    assert_int_equal(stream_drop(fixture->stream, STR_LITERAL("1-0"), &detail), ERR_OK);
    assert_int_equal(pending(fixture), 1);
    set_delivered(fixture, "other", 2, 1); /* claiming one that is gone: Redis forgets it */
    assert_string_equal(claim_idle(fixture, LONG_MS - 1000), "");
    assert_int_equal(pending(fixture), 0);
}

static void only_consumers_that_hold_nothing_are_forgotten_and_never_this_one(void **state)
{
    fixture_t *fixture = *state;
    int64_t forgotten;
    err_detail_t detail = {{0}};
    deliver(fixture, 1, "holder");
    REDIS(fixture, "XGROUP CREATECONSUMER stream:webhooks webhook-processor gone-1");
    REDIS(fixture, "XGROUP CREATECONSUMER stream:webhooks webhook-processor gone-2");
    REDIS(fixture, "XGROUP CREATECONSUMER stream:webhooks webhook-processor me");
    assert_int_equal(consumers(fixture), 4);
    assert_int_equal(stream_forget_consumers(fixture->stream, 3600000, &forgotten, &detail),
                     ERR_OK);
    assert_int_equal(forgotten, 0); /* heard of just now */
    assert_int_equal(stream_forget_consumers(fixture->stream, 0, &forgotten, &detail), ERR_OK);
    assert_int_equal(forgotten, 2);
    assert_int_equal(consumers(fixture), 2);
    assert_int_equal(pending(fixture), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(what_was_queued_before_there_was_a_group_is_read, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(own_entries_that_were_delivered_often_come_alone, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(others_entries_do_not_come_as_own, setup, teardown),
    cmocka_unit_test_setup_teardown(
        idle_entries_of_others_are_claimed_once_those_delivered_often_alone, setup, teardown),
    cmocka_unit_test_setup_teardown(entries_that_somebody_works_on_are_not_claimed, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(an_entry_that_was_deleted_while_pending_is_got_rid_of, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(
        only_consumers_that_hold_nothing_are_forgotten_and_never_this_one, setup, teardown),
};
TEST_MAIN(tests)
