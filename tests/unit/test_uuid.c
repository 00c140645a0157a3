/* test_uuid.c - UUIDs: the layout of version 7, order within a thread, no twins between threads,
 * strict reading. */
#include "tests/support/test_main.h"

#include <pthread.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/uuid.h"

static int64_t time_of(const uuid_t *uuid)
{
    int64_t ms = 0;
    for (unsigned i = 0; i < 6; i++)
        ms = ms << 8 | uuid->bytes[i];
    return ms;
}

static void layout_is_that_of_the_rfc(void **state)
{
    (void)state;
    /* The example of RFC 9562, appendix A.6. */
    static const uint8_t random[10] = {0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f};
    char text[UUID_TEXT_SIZE];
    uuid_t uuid = uuid7_make(0x017f22e279b0, random);
    assert_string_equal(uuid_format(&uuid, text), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

static void random_bits_never_touch_version_and_variant(void **state)
{
    (void)state;
    uint8_t ones[10], zeros[10] = {0};
    memset(ones, 0xff, sizeof ones);
    char text[UUID_TEXT_SIZE];
    uuid_t high = uuid7_make(INT64_C(0xffffffffffff), ones), low = uuid7_make(0, zeros);
    assert_string_equal(uuid_format(&high, text), "ffffffff-ffff-7fff-bfff-ffffffffffff");
    assert_string_equal(uuid_format(&low, text), "00000000-0000-7000-8000-000000000000");
}

static void new_ones_grow_within_a_thread(void **state)
{
    (void)state;
    int64_t before_ms = clock_wall_us() / 1000;
    uuid_t last = uuid7_new();
    assert_true(time_of(&last) >= before_ms);
    /* More than the 12 counter bits hold in one millisecond. */
    for (unsigned i = 0; i < 20000; i++) {
        uuid_t next = uuid7_new();
        assert_true(uuid_compare(&last, &next) < 0);
        assert_int_equal(next.bytes[6] >> 4, 7);
        assert_int_equal(next.bytes[8] >> 6, 2);
        last = next;
    }
    assert_true(time_of(&last) <= clock_wall_us() / 1000 + 20);
}

enum { THREADS = 4, EACH = 2000 };

static void *make_many(void *arg)
{
    uuid_t *made = arg;
    for (unsigned i = 0; i < EACH; i++)
        made[i] = uuid7_new();
    return NULL;
}

static int by_bytes(const void *a, const void *b)
{
    return uuid_compare(a, b);
}

static void threads_make_no_twins(void **state)
{
    (void)state;
    static uuid_t made[THREADS * EACH];
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_many, made + i * EACH), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    qsort(made, THREADS * EACH, sizeof made[0], by_bytes);
    for (unsigned i = 1; i < THREADS * EACH; i++)
        assert_false(uuid_equal(&made[i - 1], &made[i]));
}

static void text_comes_back_in_either_case(void **state)
{
    (void)state;
    uuid_t uuid, lower, upper;
    char text[UUID_TEXT_SIZE];
    assert_true(uuid_parse("0190A0B1-C2D3-7E4F-8a5b-6c7d8e9f0A1B", 36, &upper));
    assert_true(uuid_parse("0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1b", 36, &lower));
    assert_true(uuid_equal(&upper, &lower));
    assert_string_equal(uuid_format(&upper, text), "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1b");
    uuid = uuid7_new();
    assert_true(uuid_parse(uuid_format(&uuid, text), 36, &lower));
    assert_true(uuid_equal(&uuid, &lower));
}

static void other_text_is_refused_and_nothing_written(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1",
        "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1bc",
        "0190a0b1c2d37e4f8a5b6c7d8e9f0a1b",
        "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1g",
        "0190a0b1_c2d3-7e4f-8a5b-6c7d8e9f0a1b",
        "0190a0b-1c2d3-7e4f-8a5b-6c7d8e9f0a1b",
        "{190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1}",
        "@190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1b",
        "\020190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1b",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uuid_t uuid = {{1, 2, 3}}, before = uuid;
        if (uuid_parse(wrong[i], strlen(wrong[i]), &uuid))
            fail_msg("%s was taken", wrong[i]);
        assert_true(uuid_equal(&uuid, &before));
    }
}

static void nil_is_told_from_all_others(void **state)
{
    (void)state;
    uuid_t nil = {{0}}, other = {{[15] = 1}};
    assert_true(uuid_is_nil(&nil));
    assert_false(uuid_is_nil(&other));
    assert_true(uuid_compare(&nil, &other) < 0 && uuid_compare(&other, &nil) > 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(layout_is_that_of_the_rfc),
    cmocka_unit_test(random_bits_never_touch_version_and_variant),
    cmocka_unit_test(new_ones_grow_within_a_thread),
    cmocka_unit_test(threads_make_no_twins),
    cmocka_unit_test(text_comes_back_in_either_case),
    cmocka_unit_test(other_text_is_refused_and_nothing_written),
    cmocka_unit_test(nil_is_told_from_all_others),
};
TEST_MAIN(tests)
