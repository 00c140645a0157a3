/* test_meter.c - counts that threads share: none is lost, and there is never more than there is
 * room for. */
#include "lib/meter.h"

#include <pthread.h>

#include "lib/prometheus.h"
#include "tests/support/test_main.h"

enum { THREADS = 4, KEYS = 40, ROUNDS = 20000 };

typedef struct sums {
    uint64_t of[KEYS], other;
    unsigned keys;
} sums_t;

static void sum(void *arg, uint64_t key, const _Atomic uint64_t *values)
{
    sums_t *sums = arg;
    sums->keys++;
    if (key == METER_OTHER)
        sums->other += values[0];
    else
        sums->of[key] += values[0];
}

static void keys_are_counted_apart(void **state)
{
    (void)state;
    meter_t *meter = meter_new(8, 1);
    meter_add(meter_find(meter, 3), 1);
    meter_add(meter_find(meter, 10), 2); /* as 3, of seven places */
    meter_add(meter_find(meter, 0), 4);
    meter_add(meter_find(meter, 3), 8);
    sums_t sums = {.keys = 0};
    meter_visit(meter, sum, &sums);
    assert_int_equal(sums.keys, 3);
    assert_int_equal(sums.of[3], 9);
    assert_int_equal(sums.of[10], 2);
    assert_int_equal(sums.of[0], 4);
    meter_destroy(&meter);
    assert_null(meter);
}

static void keys_that_find_no_place_are_counted_together(void **state)
{
    (void)state;
    meter_t *meter = meter_new(4, 1);
    for (uint64_t key = 0; key < KEYS; key++)
        meter_add(meter_find(meter, key), 1);
    meter_add(meter_find(meter, 1), 1);
    sums_t sums = {.keys = 0};
    meter_visit(meter, sum, &sums);
    assert_int_equal(sums.keys, 4);
    assert_int_equal(sums.of[0] + sums.of[1] + sums.of[2], 4);
    assert_int_equal(sums.other, KEYS - 3);
    meter_destroy(&meter);
}

static void *count_much(void *arg)
{
    for (unsigned i = 0; i < ROUNDS; i++)
        meter_add(meter_find(arg, i % KEYS), 1);
    return NULL;
}

static void threads_that_take_places_at_once_lose_no_count(void **state)
{
    (void)state;
    meter_t *meter = meter_new(KEYS / 2, 1);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_much, meter), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    sums_t sums = {.keys = 0};
    meter_visit(meter, sum, &sums);
    uint64_t all = sums.other;
    for (int i = 0; i < KEYS; i++) {
        assert_true(sums.of[i] == 0 || sums.of[i] == THREADS * ROUNDS / KEYS);
        all += sums.of[i];
    }
    assert_int_equal(sums.keys, KEYS / 2);
    assert_int_equal(all, THREADS * ROUNDS);
    meter_destroy(&meter);
}

static void a_duration_is_counted_in_the_first_bucket_that_holds_it(void **state)
{
    (void)state;
    meter_t *meter = meter_new(2, PROMETHEUS_HISTOGRAM_VALUES);
    _Atomic uint64_t *values = meter_find(meter, 1);
    meter_observe(values, -5);
    meter_observe(values, 1000);
    meter_observe(values, 1001);
    meter_observe(values, 10000001);
    assert_int_equal(values[0], 2);
    assert_int_equal(values[1], 1);
    assert_int_equal(values[PROMETHEUS_BUCKETS], 1);
    assert_int_equal(values[PROMETHEUS_SUM_US], 10002002);
    meter_destroy(&meter);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(keys_are_counted_apart),
    cmocka_unit_test(keys_that_find_no_place_are_counted_together),
    cmocka_unit_test(threads_that_take_places_at_once_lose_no_count),
    cmocka_unit_test(a_duration_is_counted_in_the_first_bucket_that_holds_it),
};
TEST_MAIN(tests)
