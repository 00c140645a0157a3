/* test_notifier_process.c - tiffin-notifier as a process between the feed and a gateway that comes,
 * goes and remembers how far it is. */
#include <libpq-fe.h>
#include <stdio.h>

#include "tests/support/child.h"
#include "tests/support/fake_gateway.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum { SOON_MS = 30000, SETTING_SIZE = 320, SQL_SIZE = 128 };

typedef struct fixture {
    char url[256], notifier_url[256]; /* as the owner, as the notifier's own role */
    PGconn *admin;
    test_redis_t server;
    fake_gateway_t gateway;
    size_t taken; /* messages of the gateway that were looked at */
    pid_t notifier;
} fixture_t;

static fixture_t the_fixture;

static void start_notifier(fixture_t *fixture, const char *crash_at)
{
    static char settings[8][SETTING_SIZE];
    char *environment[9] = {0};
    size_t count = 0;
    snprintf(settings[count++], SETTING_SIZE, "TIFFIN_ENV=dev");
    snprintf(settings[count++], SETTING_SIZE, "DATABASE_URL=%s", fixture->notifier_url);
    snprintf(settings[count++], SETTING_SIZE, "REDIS_URL=%s", fixture->server.url);
    snprintf(settings[count++], SETTING_SIZE, "HUB_ADDR=%s", fixture->gateway.endpoint);
    snprintf(settings[count++], SETTING_SIZE, "LOG_LEVEL=%s",
             getenv("TEST_LOG_LEVEL") ? getenv("TEST_LOG_LEVEL") : "error");
    if (crash_at != NULL)
        snprintf(settings[count++], SETTING_SIZE, "TIFFIN_CRASH_AT=%s", crash_at);
    for (size_t i = 0; i < count; i++)
        environment[i] = settings[i];
    zframe_destroy(&fixture->gateway.service);
    fixture->notifier = child_start(TIFFIN_BIN_DIR "/tiffin-notifier", environment);
}

static int setup(void **state)
{
    fixture_t *fixture = &the_fixture;
    memset(fixture, 0, sizeof *fixture);
    snprintf(fixture->url, sizeof fixture->url, "%s", test_database());
    const char *host = strchr(fixture->url, '@');
    assert_non_null(host);
    snprintf(fixture->notifier_url, sizeof fixture->notifier_url, "postgresql://tiffin_notifier%s",
             host);
    fixture->admin = PQconnectdb(fixture->url);
    assert_int_equal(PQstatus(fixture->admin), CONNECTION_OK);
    test_redis_start(&fixture->server);
    fake_gateway_start(&fixture->gateway);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    if (fixture->notifier > 0)
        child_kill(fixture->notifier);
    fake_gateway_stop(&fixture->gateway);
    test_redis_stop(&fixture->server);
    PQfinish(fixture->admin);
    servers_stop();
    return 0;
}

/* ---- a small language for the tests ---- */

static void execute(fixture_t *fixture, const char *sql)
{
    PGresult *result = PQexec(fixture->admin, sql);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail_msg("%s: %s", PQerrorMessage(fixture->admin), sql);
    PQclear(result);
}

/* So many events more: of so many orders, which are cancelled. */
static void make_events(fixture_t *fixture, int count)
{
    char sql[SQL_SIZE];
    execute(fixture, "DROP TABLE IF EXISTS made");
    snprintf(sql, sizeof sql,
             "CREATE TEMP TABLE made AS SELECT uuid7() AS id FROM generate_series(1, %d)", count);
    execute(fixture, sql);
    execute(fixture, "INSERT INTO orders (order_id, user_id, amount, currency, expires_at) "
                     "SELECT id, 'u1', 45000, 'INR', now() + interval '1 h' FROM made");
    execute(fixture, "SELECT count(*) FROM outbox_append(ARRAY(SELECT ROW (id, NULL, "
                     "'order.cancelled', NULL, 45000, 'INR', now())::new_event FROM made))");
}

/* What a gateway does: takes what is new, and is one event further with each. */
static void take_events(fixture_t *fixture)
{
    fake_gateway_poll(&fixture->gateway);
    for (; fixture->taken < fixture->gateway.count; fixture->taken++) {
        const fake_gateway_message_t *message = &fixture->gateway.messages[fixture->taken];
        notifier_event_t event;
        err_detail_t detail = {{0}};
        if (message->header.message != MSG_notifier_event)
            continue;
        assert_int_equal(
            message_decode(MSG_notifier_event, message->body, message->size, &event, &detail),
            ERR_OK);
        /* A repetition is dropped; nothing is ever skipped. */
        assert_true(event.event_id <= fixture->gateway.last_event_id + 1);
        if (event.event_id > fixture->gateway.last_event_id)
            fixture->gateway.last_event_id = event.event_id;
    }
}

typedef struct wanted {
    fixture_t *fixture;
    int64_t event_id;
} wanted_t;

static bool has_taken(void *arg)
{
    const wanted_t *wanted = arg;
    take_events(wanted->fixture);
    return wanted->fixture->gateway.last_event_id >= wanted->event_id;
}

static void await_event(fixture_t *fixture, int64_t event_id)
{
    wanted_t wanted = {fixture, event_id};
    wait_until(has_taken, &wanted, SOON_MS, "an event");
    assert_int_equal(fixture->gateway.last_event_id, event_id);
}

static bool was_killed(void *arg)
{
    fixture_t *fixture = arg;
    int exit_code;
    take_events(fixture);
    if (!child_ended(fixture->notifier, &exit_code))
        return false;
    assert_int_equal(exit_code, 128 + SIGKILL);
    fixture->notifier = 0;
    return true;
}

/* ---- tests ---- */

static void every_event_comes_in_order_without_anybody_waking_it(void **state)
{
    fixture_t *fixture = *state;
    start_notifier(fixture, NULL);
    make_events(fixture, 3);
    await_event(fixture, 3);
    make_events(fixture, 700); /* more than is read at once */
    await_event(fixture, 703);
}

static bool has_a_message(void *arg)
{
    fixture_t *fixture = arg;
    fake_gateway_poll(&fixture->gateway);
    return fixture->gateway.count > 0;
}

static void a_gateway_that_just_started_gets_what_came_since(void **state)
{
    fixture_t *fixture = *state;
    make_events(fixture, 5);
    fixture->gateway.started_at_us = clock_wall_us();
    make_events(fixture, 2);
    start_notifier(fixture, NULL);
    wait_until(has_a_message, fixture, SOON_MS, "an event");
    notifier_event_t event;
    err_detail_t detail = {{0}};
    assert_int_equal(message_decode(MSG_notifier_event, fixture->gateway.messages[0].body,
                                    fixture->gateway.messages[0].size, &event, &detail),
                     ERR_OK);
    assert_int_equal(event.event_id, 6);
}

/* A gateway that has had events since is told of all that come after what is forgotten. */
static void a_gateway_goes_on_after_what_is_forgotten(void **state)
{
    fixture_t *fixture = *state;
    make_events(fixture, 700); /* more than is read at once */
    execute(fixture, "UPDATE retention SET event_id = 100");
    execute(fixture, "DELETE FROM outbox WHERE event_id <= 100");
    fixture->gateway.last_event_id = 7;
    start_notifier(fixture, NULL);
    wait_until(has_a_message, fixture, SOON_MS, "an event");
    fixture->gateway.last_event_id = 100;
    await_event(fixture, 700);
}

/* Again and again at this point, with the feed growing meanwhile. */
static void dies_and_loses_nothing(fixture_t *fixture, const char *point)
{
    make_events(fixture, 300);
    fixture->gateway.started_at_us = 1; /* it wants all of them */
    for (int life = 0; life < 3; life++) {
        start_notifier(fixture, point);
        wait_until(was_killed, fixture, SOON_MS, "the notifier's end");
        make_events(fixture, 10);
    }
    start_notifier(fixture, NULL);
    await_event(fixture, 330);
}

static void a_notifier_that_dies_before_it_sends_loses_nothing(void **state)
{
    dies_and_loses_nothing(*state, "notifier_read");
}

static void a_notifier_that_dies_after_it_sends_loses_nothing(void **state)
{
    dies_and_loses_nothing(*state, "notifier_sent");
}

static void while_redis_is_away_events_come_all_the_same(void **state)
{
    fixture_t *fixture = *state;
    test_redis_kill(&fixture->server);
    start_notifier(fixture, NULL);
    make_events(fixture, 4);
    await_event(fixture, 4);
    test_redis_restart(&fixture->server);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(every_event_comes_in_order_without_anybody_waking_it, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_gateway_that_just_started_gets_what_came_since, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_gateway_goes_on_after_what_is_forgotten, setup, teardown),
    cmocka_unit_test_setup_teardown(a_notifier_that_dies_before_it_sends_loses_nothing, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_notifier_that_dies_after_it_sends_loses_nothing, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(while_redis_is_away_events_come_all_the_same, setup, teardown),
};
TEST_MAIN(tests)
