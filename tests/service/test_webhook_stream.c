/* test_webhook_stream.c - what we learn from PSPs goes into the stream, on real Redis. */
#include "lib/payment/webhook_stream.h"

#include <stdio.h>
#include <string.h>

#include "lib/limits.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

typedef struct fixture {
    test_redis_t server;
    redis_t *redis;
} fixture_t;

static int setup(void **state)
{
    static fixture_t fixture;
    err_detail_t detail = {{0}};
    test_redis_start(&fixture.server);
    fixture.redis = redis_new(fixture.server.url, REDIS_COMMAND_TIMEOUT_MS, &detail);
    assert_non_null(fixture.redis);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    redis_destroy(&fixture->redis);
    test_redis_stop(&fixture->server);
    servers_stop();
    return 0;
}

static void append(fixture_t *fixture, const char *event_id, str_t body)
{
    uuid_t payment_id, request_id;
    assert_true(uuid_parse("01900000-0000-7000-8000-000000000001", 36, &payment_id));
    assert_true(uuid_parse("01900000-0000-7000-8000-000000000002", 36, &request_id));
    const webhook_stream_entry_t entry = {.source = "status_poll",
                                          .psp = "Razorpay",
                                          .event_id = event_id,
                                          .payment_id = &payment_id,
                                          .request_id = &request_id,
                                          .received_at_us = INT64_C(1700000000000001),
                                          .http_status = 200,
                                          .body = body};
    webhook_stream_append(fixture->redis, &entry);
}

/* The value of a field of the stream's entry `index`, or NULL. The reply holds it. */
static const redisReply *field(const redisReply *entries, size_t index, const char *name)
{
    assert_true(index < entries->elements);
    const redisReply *fields = entries->element[index]->element[1];
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (strcmp(fields->element[i]->str, name) == 0)
            return fields->element[i + 1];
    return NULL;
}

static redisReply *entries_of(fixture_t *fixture)
{
    redisReply *reply = NULL;
    err_detail_t detail = {{0}};
    assert_int_equal(redis_command(fixture->redis, &reply, &detail, "XRANGE stream:webhooks - +"),
                     ERR_OK);
    return reply;
}

static void an_entry_carries_the_answer_as_it_came(void **state)
{
    fixture_t *fixture = *state;
    static const char raw[] = "{\"a\":\"\0\xff\"}";
    const str_t body = {raw, sizeof raw - 1};
    static const struct {
        const char *name, *value;
    } expected[] = {
        {"source", "status_poll"},
        {"psp", "Razorpay"},
        {"event_id", "status_1"},
        {"payment_id", "01900000-0000-7000-8000-000000000001"},
        {"request_id", "01900000-0000-7000-8000-000000000002"},
        {"received_at_us", "1700000000000001"},
        {"http_status", "200"},
        {"traceparent", ""},
    };
    err_detail_t detail = {{0}};
    append(fixture, "status_1", body);
    assert_int_equal(webhook_stream_confirm(fixture->redis, &detail), ERR_OK);
    redisReply *entries = entries_of(fixture);
    assert_int_equal(entries->elements, 1);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const redisReply *value = field(entries, 0, expected[i].name);
        assert_non_null(value);
        assert_string_equal(value->str, expected[i].value);
    }
    const redisReply *value = field(entries, 0, "body");
    assert_non_null(value);
    assert_int_equal(value->len, body.size);
    assert_memory_equal(value->str, body.data, body.size);
    freeReplyObject(entries);
}

static void a_batch_keeps_its_order(void **state)
{
    fixture_t *fixture = *state;
    err_detail_t detail = {{0}};
    char event_id[16];
    for (int i = 0; i < 50; i++) {
        snprintf(event_id, sizeof event_id, "status_%d", i);
        append(fixture, event_id, STR_LITERAL("{}"));
    }
    for (int i = 0; i < 50; i++)
        assert_int_equal(webhook_stream_confirm(fixture->redis, &detail), ERR_OK);
    redisReply *entries = entries_of(fixture);
    assert_int_equal(entries->elements, 50);
    for (size_t i = 0; i < 50; i++) {
        snprintf(event_id, sizeof event_id, "status_%zu", i);
        assert_string_equal(field(entries, i, "event_id")->str, event_id);
    }
    freeReplyObject(entries);
}

static void without_redis_all_news_is_told_as_not_queued(void **state)
{
    fixture_t *fixture = *state;
    err_detail_t detail = {{0}};
    test_redis_kill(&fixture->server);
    append(fixture, "status_1", STR_LITERAL("{}"));
    append(fixture, "status_2", STR_LITERAL("{}"));
    assert_int_equal(webhook_stream_confirm(fixture->redis, &detail), ERR_QUEUE_UNAVAILABLE);
    assert_int_equal(webhook_stream_confirm(fixture->redis, &detail), ERR_QUEUE_UNAVAILABLE);
}

static void an_error_of_redis_is_told_as_not_queued(void **state)
{
    fixture_t *fixture = *state;
    redisReply *reply = NULL;
    err_detail_t detail = {{0}};
    assert_int_equal(redis_command(fixture->redis, &reply, &detail, "SET stream:webhooks x"),
                     ERR_OK);
    freeReplyObject(reply);
    append(fixture, "status_1", STR_LITERAL("{}"));
    assert_int_equal(webhook_stream_confirm(fixture->redis, &detail), ERR_QUEUE_UNAVAILABLE);
    assert_true(detail.text[0] != '\0');
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(an_entry_carries_the_answer_as_it_came, setup, teardown),
    cmocka_unit_test_setup_teardown(a_batch_keeps_its_order, setup, teardown),
    cmocka_unit_test_setup_teardown(without_redis_all_news_is_told_as_not_queued, setup, teardown),
    cmocka_unit_test_setup_teardown(an_error_of_redis_is_told_as_not_queued, setup, teardown),
};

TEST_MAIN(tests)
