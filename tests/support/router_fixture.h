/* router_fixture.h - tiffin-router as a process between a gateway, PostgreSQL, Redis and three PSPs
 * that misbehave; and the words in which its tests speak.
 */
#ifndef TIFFIN_TESTS_ROUTER_FIXTURE_H
#define TIFFIN_TESTS_ROUTER_FIXTURE_H

#include <libpq-fe.h>
#include <stdio.h>

#include "tests/support/child.h"
#include "tests/support/fake_gateway.h"
#include "tests/support/fake_psp.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum {
    SOON_MS = 20000,
    BUDGET_MS = 10000,
    PSP_TIMEOUT_MS = 1000,
    ROUTERS_MAX = 2,
    SETTINGS_MAX = 24,
    SETTING_SIZE = 320,
    VALUE_SIZE = 512
};

typedef struct fixture {
    char url[256], router_url[256]; /* as the owner, as the router's own role */
    PGconn *admin;
    test_redis_t redis;
    fake_psp_server_t psps;
    fake_gateway_t gateway;
    pid_t routers[ROUTERS_MAX]; /* 0: not running */
    int psp_timeout_ms;
    const char *crash_at; /* where the next router dies; NULL: nowhere */
    uuid_t order_id;
    char seen_during_call[VALUE_SIZE];
} fixture_t;

/* The first value of a statement as text, "" for none. */
static inline const char *look(PGconn *connection, const char *sql)
{
    static char value[VALUE_SIZE];
    PGresult *result = PQexec(connection, sql);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail_msg("%s: %s", PQerrorMessage(connection), sql);
    snprintf(value, sizeof value, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return value;
}

/* A router that speaks to `hub`. */
static inline pid_t router_spawn(const fixture_t *fixture, const char *hub)
{
    char settings[SETTINGS_MAX][SETTING_SIZE];
    char *environment[SETTINGS_MAX + 1] = {0};
    static const char *const prefixes[] = {"RAZORPAY", "CASHFREE", "JUSPAY", "STRIPE",
                                           "PAYU",     "PHONEPE",  "ADYEN"};
    size_t count = 0;
    snprintf(settings[count++], SETTING_SIZE, "TIFFIN_ENV=dev");
    snprintf(settings[count++], SETTING_SIZE, "DATABASE_URL=%s", fixture->router_url);
    snprintf(settings[count++], SETTING_SIZE, "REDIS_URL=%s", fixture->redis.url);
    snprintf(settings[count++], SETTING_SIZE, "HUB_ADDR=%s", hub);
    snprintf(settings[count++], SETTING_SIZE, "PSP_TIMEOUT_MS=%d", fixture->psp_timeout_ms);
    snprintf(settings[count++], SETTING_SIZE, "LOG_LEVEL=%s",
             getenv("TEST_LOG_LEVEL") ? getenv("TEST_LOG_LEVEL") : "error");
    if (fixture->crash_at != NULL)
        snprintf(settings[count++], SETTING_SIZE, "TIFFIN_CRASH_AT=%s", fixture->crash_at);
    for (size_t i = 0; i < PSP_COUNT; i++)
        snprintf(settings[count++], SETTING_SIZE, "%s_BASE_URL=http://127.0.0.1:%d/%zu",
                 prefixes[i], fixture->psps.port, i);
    for (size_t i = 0; i < count; i++)
        environment[i] = settings[i];
    return child_start(TIFFIN_BIN_DIR "/tiffin-router-prototype", environment);
}

/* The router that the gateway speaks to, ready. */
static inline void start_router(fixture_t *fixture)
{
    zframe_destroy(&fixture->gateway.service);
    fixture->routers[0] = router_spawn(fixture, fixture->gateway.endpoint);
    const int64_t deadline_ms = clock_mono_ms() + SOON_MS;
    while (fixture->gateway.service == NULL) {
        if (clock_mono_ms() > deadline_ms)
            fail_msg("the router did not say READY");
        fake_gateway_poll(&fixture->gateway);
    }
}

/* Another that no gateway knows: it makes refunds all the same. */
static inline void start_lone_router(fixture_t *fixture)
{
    char nobody[64];
    snprintf(nobody, sizeof nobody, "tcp://127.0.0.1:%d", test_free_port());
    fixture->routers[1] = router_spawn(fixture, nobody);
}

static inline void kill_router(fixture_t *fixture)
{
    child_kill(fixture->routers[0]);
    fixture->routers[0] = 0;
}

/* Everything but a router; an open order of INR 450.00. */
static inline fixture_t *fixture_begin(int psp_timeout_ms)
{
    static fixture_t the_fixture;
    fixture_t *fixture = &the_fixture;
    memset(fixture, 0, sizeof *fixture);
    fixture->psp_timeout_ms = psp_timeout_ms;
    snprintf(fixture->url, sizeof fixture->url, "%s", test_database());
    const char *host = strchr(fixture->url, '@');
    assert_non_null(host);
    snprintf(fixture->router_url, sizeof fixture->router_url, "postgresql://tiffin_router%s", host);
    fixture->admin = PQconnectdb(fixture->url);
    assert_int_equal(PQstatus(fixture->admin), CONNECTION_OK);
    test_redis_start(&fixture->redis);
    fake_psp_start(&fixture->psps);
    fake_gateway_start(&fixture->gateway);
    fixture->order_id = uuid7_new();
    char sql[256], text[UUID_TEXT_SIZE];
    snprintf(sql, sizeof sql,
             "INSERT INTO orders (order_id, user_id, amount, currency, expires_at) "
             "VALUES ('%s', 'u1', 45000, 'INR', now() + interval '1 h')",
             uuid_format(&fixture->order_id, text));
    look(fixture->admin, sql);
    return fixture;
}

static inline int setup_without_router(void **state)
{
    *state = fixture_begin(PSP_TIMEOUT_MS);
    return 0;
}

static inline int setup(void **state)
{
    fixture_t *fixture = fixture_begin(PSP_TIMEOUT_MS);
    start_router(fixture);
    *state = fixture;
    return 0;
}

/* Calls to PSPs that are not answered are given up after the test's patience. */
static inline int setup_patient(void **state)
{
    fixture_t *fixture = fixture_begin(SOON_MS);
    start_router(fixture);
    *state = fixture;
    return 0;
}

static inline int teardown(void **state)
{
    fixture_t *fixture = *state;
    for (size_t i = 0; i < ROUTERS_MAX; i++)
        if (fixture->routers[i] > 0)
            child_kill(fixture->routers[i]);
    fake_gateway_stop(&fixture->gateway);
    fake_psp_stop(&fixture->psps);
    test_redis_stop(&fixture->redis);
    PQfinish(fixture->admin);
    servers_stop();
    return 0;
}

/* ---- a small language for the tests ---- */

static inline payment_initiate_t payment_of(const fixture_t *fixture)
{
    return (payment_initiate_t){
        .payment_id = uuid7_new(), .order_id = fixture->order_id, .method = STR_LITERAL("UPI")};
}

static inline const fake_gateway_message_t *await_reply(fixture_t *fixture, uint64_t correlation)
{
    const int64_t deadline_ms = clock_mono_ms() + SOON_MS;
    for (;;) {
        const fake_gateway_message_t *reply = fake_gateway_reply(&fixture->gateway, correlation);
        if (reply != NULL)
            return reply;
        if (clock_mono_ms() > deadline_ms)
            fail_msg("no reply");
        fake_gateway_poll(&fixture->gateway);
    }
}

static inline const fake_gateway_message_t *ask(fixture_t *fixture, uint32_t message,
                                                const void *request)
{
    return await_reply(fixture,
                       fake_gateway_request(&fixture->gateway, message, request, BUDGET_MS));
}

static inline payment_initiated_t opened(const fake_gateway_message_t *reply)
{
    payment_initiated_t initiated;
    err_detail_t detail = {{0}};
    if (reply->header.status != ERR_OK)
        fail_msg("%s", err_name(err_from_number(reply->header.status)));
    assert_int_equal(
        message_decode(MSG_payment_initiated, reply->body, reply->size, &initiated, &detail),
        ERR_OK);
    return initiated;
}

/* An error reply, which must be `err`. */
static inline bus_error_t refusal(const fake_gateway_message_t *reply, err_t err)
{
    bus_error_t error;
    err_detail_t detail = {{0}};
    assert_string_equal(err_name(err_from_number(reply->header.status)), err_name(err));
    assert_int_equal(message_decode(MSG_bus_error, reply->body, reply->size, &error, &detail),
                     ERR_OK);
    return error;
}

/* Its detail. */
static inline const char *refused(const fake_gateway_message_t *reply, err_t err)
{
    static char text[257];
    return str_copy(refusal(reply, err).detail, text, sizeof text);
}

typedef struct calls_wanted {
    fixture_t *fixture;
    size_t psp;
    int calls;
} calls_wanted_t;

static inline bool was_called(void *arg)
{
    const calls_wanted_t *wanted = arg;
    fake_gateway_poll(&wanted->fixture->gateway);
    return fake_psp_calls(&wanted->fixture->psps, wanted->psp) >= wanted->calls;
}

static inline void await_call(fixture_t *fixture, size_t psp, int calls)
{
    calls_wanted_t wanted = {fixture, psp, calls};
    wait_until(was_called, &wanted, SOON_MS, "a call of the PSP");
}

/* Until a statement gives this value; the gateway is served meanwhile. */
typedef struct value_wanted {
    fixture_t *fixture;
    const char *sql, *value;
} value_wanted_t;

static inline bool is_so(void *arg)
{
    const value_wanted_t *wanted = arg;
    fake_gateway_poll(&wanted->fixture->gateway);
    return strcmp(look(wanted->fixture->admin, wanted->sql), wanted->value) == 0;
}

static inline void await(fixture_t *fixture, const char *sql, const char *value)
{
    value_wanted_t wanted = {fixture, sql, value};
    wait_until(is_so, &wanted, SOON_MS, sql);
}

/* Until the router has ended by itself; its exit code, as a shell gives it. */
typedef struct end_wanted {
    fixture_t *fixture;
    int exit_code;
} end_wanted_t;

static inline bool has_ended(void *arg)
{
    end_wanted_t *wanted = arg;
    fake_gateway_poll(&wanted->fixture->gateway);
    return child_ended(wanted->fixture->routers[0], &wanted->exit_code);
}

static inline int await_end(fixture_t *fixture)
{
    end_wanted_t wanted = {.fixture = fixture};
    wait_until(has_ended, &wanted, SOON_MS, "the router's end");
    fixture->routers[0] = 0;
    return wanted.exit_code;
}

#define ATTEMPTS                                                                                   \
    "SELECT coalesce(string_agg(psp || ' ' || coalesce(outcome, '-'), ', ' ORDER BY number), '') " \
    "FROM attempts"

#endif
