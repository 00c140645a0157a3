/* test_health_exchange.c - routers tell each other through real Redis how PSPs fare, and wait for
 * nobody when it is away. */
#include "services/router/health_exchange.h"

#include <signal.h>
#include <string.h>

#include "lib/clock.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum { TICK_MS = 10, SOON_MS = 20000 };

typedef struct fixture {
    test_redis_t redis;
    actor_t *actor;
    health_exchange_t *one, *two;
    health_news_t heard_by_one, heard_by_two; /* the newest; psp NULL: nothing */
    health_news_t telling;                    /* told by `one` until `two` has heard it */
    int64_t until_ms;
} fixture_t;

static void on_news_of_one(void *arg, const health_news_t *news)
{
    ((fixture_t *)arg)->heard_by_one = *news;
}

static void on_news_of_two(void *arg, const health_news_t *news)
{
    ((fixture_t *)arg)->heard_by_two = *news;
}

static int setup(void **state)
{
    static fixture_t fixture;
    memset(&fixture, 0, sizeof fixture);
    test_redis_start(&fixture.redis);
    fixture.actor = actor_new();
    fixture.one =
        health_exchange_new(fixture.actor, fixture.redis.url, "router-1", on_news_of_one, &fixture);
    fixture.two =
        health_exchange_new(fixture.actor, fixture.redis.url, "router-2", on_news_of_two, &fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    health_exchange_destroy(&fixture->one);
    health_exchange_destroy(&fixture->two);
    actor_destroy(&fixture->actor);
    test_redis_stop(&fixture->redis);
    servers_stop();
    return 0;
}

static health_news_t failure_of(const char *psp, int64_t took_ms)
{
    health_news_t news = {.psp = psp_find(str_of(psp)),
                          .method = "CARD",
                          .currency = "JPY",
                          .fault = PSP_FAULT_NETWORK,
                          .took_ms = took_ms};
    assert_non_null(news.psp);
    return news;
}

/* Pub/Sub forgets what nobody hears: it is told again until it is heard. */
static void on_tick(void *arg)
{
    fixture_t *fixture = arg;
    const bool heard = fixture->heard_by_two.psp == fixture->telling.psp &&
                       fixture->heard_by_two.took_ms == fixture->telling.took_ms;
    if (heard || clock_mono_ms() > fixture->until_ms)
        actor_stop(fixture->actor);
    else
        health_exchange_tell(fixture->one, &fixture->telling);
}

static void tell_until_heard(fixture_t *fixture, const health_news_t *news)
{
    fixture->telling = *news;
    fixture->until_ms = clock_mono_ms() + SOON_MS;
    const int timer = actor_add_timer(fixture->actor, TICK_MS, on_tick, fixture);
    assert_int_equal(actor_run(fixture->actor), 0);
    actor_remove_timer(fixture->actor, timer);
    assert_memory_equal(&fixture->heard_by_two, news, sizeof *news);
}

static void what_one_tells_the_other_hears_and_not_itself(void **state)
{
    fixture_t *fixture = *state;
    const health_news_t news = failure_of("Stripe", 3000);
    tell_until_heard(fixture, &news);
    assert_null(fixture->heard_by_one.psp);
}

static void a_redis_that_hangs_holds_up_nobody(void **state)
{
    fixture_t *fixture = *state;
    const health_news_t news = failure_of("Juspay", 1);
    assert_int_equal(kill(fixture->redis.pid, SIGSTOP), 0);
    const int64_t began_ms = clock_mono_ms();
    for (int i = 0; i < 100000; i++) /* more than is kept */
        health_exchange_tell(fixture->one, &news);
    assert_in_range(clock_mono_ms() - began_ms, 0, SOON_MS / 10);
    assert_int_equal(kill(fixture->redis.pid, SIGCONT), 0);
}

static void what_is_told_after_redis_came_back_is_heard(void **state)
{
    fixture_t *fixture = *state;
    health_news_t news = failure_of("Juspay", 1);
    test_redis_kill(&fixture->redis);
    health_exchange_tell(fixture->one, &news);
    test_redis_restart(&fixture->redis);
    news.took_ms = 2;
    tell_until_heard(fixture, &news);
}

/* ---- messages ---- */

static void a_message_is_read_as_it_was_written(void **state)
{
    (void)state;
    health_news_t news = failure_of("Cashfree", 41), read;
    for (int probe = 0; probe < 2; probe++) {
        buf_t json = {0};
        news.probe = probe != 0;
        if (news.probe) { /* says nothing of an end */
            news.fault = PSP_FAULT_NONE;
            news.took_ms = 0;
        }
        health_news_write(&json, &news, "router-1");
        const str_t text = {json.data, (uint32_t)json.size};
        assert_true(health_news_read(text, "router-2", &read));
        assert_memory_equal(&read, &news, sizeof news);
        assert_false(health_news_read(text, "router-1", &read));
        buf_free(&json);
    }
}

static void what_is_no_message_is_passed_over(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "nonsense",
        "{\"from\":\"a\",\"gateway\":\"Nobody\",\"method\":\"UPI\",\"currency\":\"INR\",\"probe\":"
        "true}",
        "{\"gateway\":\"Stripe\",\"method\":\"UPI\",\"currency\":\"INR\",\"probe\":true}",
        "{\"from\":\"a\",\"gateway\":\"Stripe\",\"method\":\"UPI\",\"currency\":\"INR\"}",
        "{\"from\":\"a\",\"gateway\":\"Stripe\",\"method\":\"\",\"currency\":\"INR\",\"probe\":"
        "true}",
        "{\"from\":\"a\",\"gateway\":\"Stripe\",\"method\":\"A METHOD OF TOO MANY LETTERS\","
        "\"currency\":\"INR\",\"probe\":true}",
        "{\"from\":\"a\",\"gateway\":\"Stripe\",\"method\":\"UPI\",\"currency\":\"RUPEE\","
        "\"probe\":true}",
        "{\"from\":\"a\",\"gateway\":\"Stripe\",\"method\":\"UPI\",\"currency\":\"INR\",\"fault\":"
        "\"x\","
        "\"took_ms\":1}",
        "{\"from\":\"a\",\"gateway\":\"Stripe\",\"method\":\"UPI\",\"currency\":\"INR\","
        "\"fault\":\"network\",\"took_ms\":-1}",
        "{\"from\":\"a\",\"gateway\":\"Stripe\",\"method\":\"UPI\",\"currency\":\"INR\","
        "\"fault\":\"network\",\"took_ms\":1.5}"};
    health_news_t news;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(health_news_read(str_of(texts[i]), "router-2", &news));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(what_one_tells_the_other_hears_and_not_itself, setup, teardown),
    cmocka_unit_test_setup_teardown(a_redis_that_hangs_holds_up_nobody, setup, teardown),
    cmocka_unit_test_setup_teardown(what_is_told_after_redis_came_back_is_heard, setup, teardown),
    cmocka_unit_test(a_message_is_read_as_it_was_written),
    cmocka_unit_test(what_is_no_message_is_passed_over),
};
TEST_MAIN(tests)
