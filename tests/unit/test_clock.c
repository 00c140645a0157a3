/* test_clock.c - RFC 3339 in both directions, against the C library's calendar. */
#include "tests/support/test_main.h"

#include <stdio.h>
#include <time.h>

#include "lib/clock.h"

#define US INT64_C(1000000)

static void assert_time(const char *text, int64_t expected_us)
{
    int64_t wall_us = -1;
    if (!rfc3339_parse(text, &wall_us))
        fail_msg("%s was refused", text);
    assert_int_equal(wall_us, expected_us);
}

static void assert_refused(const char *text)
{
    int64_t wall_us = 77;
    if (rfc3339_parse(text, &wall_us))
        fail_msg("%s was taken", text);
    assert_int_equal(wall_us, 77);
}

static void clocks_run_forward(void **state)
{
    (void)state;
    int64_t mono = clock_mono_us();
    assert_true(clock_mono_us() >= mono);
    assert_true(clock_mono_ms() >= mono / 1000);
    assert_in_range(clock_wall_us() / US, time(NULL) - 2, time(NULL) + 2);
}

static void fraction_is_printed_only_where_there_is_one(void **state)
{
    (void)state;
    char text[RFC3339_SIZE];
    int64_t noon = 1771632000 * US;
    assert_string_equal(rfc3339_format(0, text), "1970-01-01T00:00:00Z");
    assert_string_equal(rfc3339_format(noon, text), "2026-02-21T00:00:00Z");
    assert_string_equal(rfc3339_format(noon + 123000, text), "2026-02-21T00:00:00.123Z");
    assert_string_equal(rfc3339_format(noon + 123456, text), "2026-02-21T00:00:00.123456Z");
    assert_string_equal(rfc3339_format(noon + 1, text), "2026-02-21T00:00:00.000001Z");
}

static void times_outside_the_calendar_are_clamped(void **state)
{
    (void)state;
    char text[RFC3339_SIZE];
    assert_string_equal(rfc3339_format(-5, text), "1970-01-01T00:00:00Z");
    assert_string_equal(rfc3339_format(INT64_MIN, text), "1970-01-01T00:00:00Z");
    assert_string_equal(rfc3339_format(INT64_MAX, text), "9999-12-31T23:59:59.999999Z");
}

static void every_day_of_four_centuries_comes_back(void **state)
{
    (void)state;
    for (int64_t day = 0; day < 146097 + 366; day++) {
        char text[RFC3339_SIZE], expected[64];
        time_t seconds = day * 86400 + day % 86400;
        struct tm tm;
        gmtime_r(&seconds, &tm);
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%SZ", &tm);
        assert_string_equal(rfc3339_format(seconds * US, text), expected);
        assert_time(text, seconds * US);
    }
}

static void offsets_and_fractions_are_understood(void **state)
{
    (void)state;
    int64_t t = 1771632000 * US;
    assert_time("2026-02-21T00:00:00Z", t);
    assert_time("2026-02-21t00:00:00z", t);
    assert_time("2026-02-21T05:30:00+05:30", t);
    assert_time("2026-02-20T19:00:00-05:00", t);
    assert_time("2026-02-21T00:00:00-00:00", t);
    assert_time("2026-02-21T00:00:00.5Z", t + 500000);
    assert_time("2026-02-21T00:00:00.1234567890123456789Z", t + 123456);
    assert_time("2016-12-31T23:59:60Z", 1483228800 * US); /* a leap second */
    assert_time("9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999));
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "2026",
        "2026-02-21",
        "2026-02-21T00:00:00",
        "2026-02-21 00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-02-21T24:00:00Z",
        "2026-02-21T00:60:00Z",
        "2026-02-21T00:00:61Z",
        "2026-02-21T00:00:00.Z",
        "2026-02-21T00:00:00+0530",
        "2026-02-21T00:00:00+24:00",
        "2026-02-21T00:00:00+05:60",
        "2026-02-21T00:00:00Zjunk",
        " 2026-02-21T00:00:00Z",
        "26-02-21T00:00:00Z",
        "2026-2-21T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00Z",
        "-026-02-21T00:00:00Z",
        "+2026-02-21T00:00:00Z",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_refused(wrong[i]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(clocks_run_forward),
    cmocka_unit_test(fraction_is_printed_only_where_there_is_one),
    cmocka_unit_test(times_outside_the_calendar_are_clamped),
    cmocka_unit_test(every_day_of_four_centuries_comes_back),
    cmocka_unit_test(offsets_and_fractions_are_understood),
    cmocka_unit_test(what_is_no_time_is_refused),
};
TEST_MAIN(tests)
