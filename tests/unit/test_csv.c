/* test_csv.c - comma separated values: what is read of them, and what is refused. */
#include "lib/csv.h"

#include <string.h>

#include "lib/buf.h"
#include "tests/support/test_main.h"

static csv_record_t record;

static csv_t csv_of(const char *text)
{
    return (csv_t){.text = str_of(text)};
}

static void assert_fields(csv_t *csv, const char *joined)
{
    buf_t text = {0};
    assert_int_equal(csv_next(csv, &record), CSV_RECORD);
    for (size_t i = 0; i < record.count; i++)
        buf_printf(&text, "%s%.*s", i ? "|" : "", STR_ARG(record.fields[i]));
    assert_string_equal(text.data, joined);
    buf_free(&text);
}

static void records_are_read_to_the_end(void **state)
{
    (void)state;
    static const char *const ends[] = {"\n", "\r\n"};
    for (int i = 0; i < 2; i++)
        for (int last = 0; last < 3; last++) {
            buf_t text = {0};
            buf_printf(&text, "\xef\xbb\xbfName,\"a, \"\"b\"\"\",%s1,,2%s", ends[i], ends[i]);
            buf_add_text(&text, "\"\",x,\xc3\xbc");
            for (int j = 0; j < last; j++)
                buf_add_text(&text, ends[i]);
            csv_t csv = csv_of(text.data);
            assert_fields(&csv, "Name|a, \"b\"|");
            assert_fields(&csv, "1||2");
            assert_fields(&csv, "|x|\xc3\xbc");
            assert_int_equal(csv_next(&csv, &record), CSV_END);
            assert_int_equal(csv_next(&csv, &record), CSV_END);
            buf_free(&text);
        }
}

static void nothing_is_no_record(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "\r\n\r\n", "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        csv_t csv = csv_of(texts[i]);
        assert_int_equal(csv_next(&csv, &record), CSV_END);
    }
}

static void whatever_is_not_exactly_so_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a\"b", "\"a",   "\"a\"b",     "a,\"b\" ,c",  "a\rb",   "a\tb", "\"a\nb\"", "a\x7f",
        "\xff", "\n\na", "a,\xc0\x80", "a,\xc2\x85", "\"\"\"", "\r",   "\n,"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        csv_t csv = csv_of(texts[i]);
        if (csv_next(&csv, &record) != CSV_MALFORMED)
            fail_msg("%zu: %s", i, texts[i]);
    }
    csv_t zero = {.text = {"a\0b", 3}};
    assert_int_equal(csv_next(&zero, &record), CSV_MALFORMED);
}

static void a_record_is_bounded(void **state)
{
    (void)state;
    buf_t text = {0};
    for (int i = 1; i < CSV_FIELDS_MAX; i++)
        buf_add_text(&text, ",");
    csv_t csv = csv_of(text.data);
    assert_int_equal(csv_next(&csv, &record), CSV_RECORD);
    assert_int_equal(record.count, CSV_FIELDS_MAX);
    buf_add_text(&text, ",");
    csv = csv_of(text.data);
    assert_int_equal(csv_next(&csv, &record), CSV_MALFORMED);
    buf_clear(&text);
    for (int i = 0; i < CSV_RECORD_MAX_BYTES; i++)
        buf_add_text(&text, "x");
    csv = csv_of(text.data);
    assert_int_equal(csv_next(&csv, &record), CSV_RECORD);
    assert_int_equal(record.fields[0].size, CSV_RECORD_MAX_BYTES);
    buf_add_text(&text, "x");
    csv = csv_of(text.data);
    assert_int_equal(csv_next(&csv, &record), CSV_MALFORMED);
    buf_free(&text);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(records_are_read_to_the_end),
    cmocka_unit_test(nothing_is_no_record),
    cmocka_unit_test(whatever_is_not_exactly_so_is_refused),
    cmocka_unit_test(a_record_is_bounded),
};
TEST_MAIN(tests)
