/* test_consumer.c - the consumer of the webhook stream against real PostgreSQL and Redis. */
#include "services/webhook_processor/consumer.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/redis.h"
#include "lib/uuid.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum { WEBHOOKS = 60, DEADLINE_MS = 10000 };

typedef struct fixture {
    test_redis_t server;
    redis_t *redis;
    PGconn *pg;
    consumer_config_t config;
    const char *counted; /* SQL of a count, until it is `expected` */
    int expected;
} fixture_t;

static int setup(void **state)
{
    static fixture_t fixture;
    memset(&fixture, 0, sizeof fixture);
    err_detail_t detail = {{0}};
    test_redis_start(&fixture.server);
    fixture.redis = redis_new(fixture.server.url, 2000, &detail);
    assert_non_null(fixture.redis);
    fixture.config = (consumer_config_t){.database_url = test_database(),
                                         .redis_url = fixture.server.url,
                                         .instance = "consumer-1",
                                         .park_for_s = 300};
    fixture.pg = PQconnectdb(fixture.config.database_url);
    assert_int_equal(PQstatus(fixture.pg), CONNECTION_OK);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    PQfinish(fixture->pg);
    redis_destroy(&fixture->redis);
    test_redis_stop(&fixture->server);
    servers_stop();
    return 0;
}

static void execute(fixture_t *fixture, const char *sql)
{
    PGresult *result = PQexec(fixture->pg, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", PQerrorMessage(fixture->pg), sql);
    PQclear(result);
}

static bool has_count(void *arg)
{
    fixture_t *fixture = arg;
    PGresult *result = PQexec(fixture->pg, fixture->counted);
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    const int count = atoi(PQgetvalue(result, 0, 0));
    PQclear(result);
    return count == fixture->expected;
}

static bool stream_is_empty(void *arg)
{
    fixture_t *fixture = arg;
    redisReply *reply = NULL;
    err_detail_t detail = {{0}};
    assert_int_equal(redis_command(fixture->redis, &reply, &detail, "XLEN stream:webhooks"),
                     ERR_OK);
    const bool empty = reply->integer == 0;
    freeReplyObject(reply);
    return empty;
}

static void queue_webhooks(fixture_t *fixture, int count)
{
    char order[UUID_TEXT_SIZE], payment[UUID_TEXT_SIZE], body[512];
    for (int i = 0; i < count; i++) {
        const uuid_t order_id = uuid7_new(), payment_id = uuid7_new();
        snprintf(body, sizeof body,
                 "{\"event_id\":\"evt_%d\",\"gateway\":\"Razorpay\",\"order_id\":\"%s\","
                 "\"payment_id\":\"%s\",\"gateway_txn_id\":\"txn_%d\",\"status\":\"SUCCESS\","
                 "\"amount\":45000,\"occurred_at\":\"2026-02-21T00:00:00Z\"}",
                 i, uuid_format(&order_id, order), uuid_format(&payment_id, payment), i);
        redisReply *reply = NULL;
        err_detail_t detail = {{0}};
        assert_int_equal(redis_command(fixture->redis, &reply, &detail,
                                       "XADD stream:webhooks * source webhook psp Razorpay "
                                       "event_id evt_%d payment_id %s received_at_us "
                                       "4000000000000000 request_id %s traceparent %s body %s",
                                       i, payment, order, "", body),
                         ERR_OK);
        freeReplyObject(reply);
    }
}

/* The database gives up on more than 40 at once, as it does when a statement takes too long. */
static void a_batch_that_takes_too_long_is_applied_in_parts(void **state)
{
    fixture_t *fixture = *state;
    execute(fixture, "CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                     "IF (SELECT count(*) FROM inserted) > 40 THEN "
                     "RAISE EXCEPTION 'too slow' USING ERRCODE = '57014'; END IF; "
                     "RETURN NULL; END $$");
    execute(fixture, "CREATE TRIGGER give_up AFTER INSERT ON inbox REFERENCING NEW TABLE AS "
                     "inserted FOR EACH STATEMENT EXECUTE FUNCTION give_up()");
    queue_webhooks(fixture, WEBHOOKS);
    zactor_t *consumer = consumer_start(&fixture->config);
    fixture->counted = "SELECT count(*) FROM inbox WHERE outcome = 'parked'";
    fixture->expected = WEBHOOKS;
    wait_until(has_count, fixture, DEADLINE_MS, "not every webhook was applied");
    wait_until(stream_is_empty, fixture, DEADLINE_MS, "the stream is not empty");
    zactor_destroy(&consumer);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_batch_that_takes_too_long_is_applied_in_parts, setup,
                                    teardown),
};
TEST_MAIN(tests)
