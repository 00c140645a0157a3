/* test_json_raw.c - the bytes of one value inside a JSON text. */
#include "tests/support/test_main.h"

#include "lib/json_raw.h"

static const char body[] =
    "{ \"a\":1.50 ,\"b\" : "
    "{\"c\":\"x\\\"}\",\"d\":[true,\n{\"e\":-1e5},[]]},\"f\":null,\"\":{\"g\":0}}";

static void values_are_found_as_they_were_written(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"a", "1.50"},     {"b.c", "\"x\\\"}\""}, {"b.d", "[true,\n{\"e\":-1e5},[]]"},
        {"b.d.0", "true"}, {"b.d.1.e", "-1e5"},   {"b.d.2", "[]"},
        {"f", "null"},
    };
    str_t raw;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!json_raw_find(str_of(body), rows[i][0], &raw) || !str_is(raw, rows[i][1]))
            fail_msg("%s is not %s", rows[i][0], rows[i][1]);
    assert_true(json_raw_find(str_of(body), "", &raw));
    assert_true(str_is(raw, body));
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "x", "a.b", "b.d.3", "b.d.-1", "b.d.x", "b.d.99999999999999", "f.g", "b.c.d"};
    static const char *const broken[] = {"",     "{",     "{\"a\"", "{\"a\":",    "{\"a\":\"x",
                                         "[",    "[]",    "nope",   "{\"b\":1,}", "{\"b\":{\"a\"",
                                         "{\"a", "{\"a\\"};
    str_t raw;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (json_raw_find(str_of(body), paths[i], &raw))
            fail_msg("%s was found", paths[i]);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        if (json_raw_find(str_of(broken[i]), "a", &raw))
            fail_msg("found in %s", broken[i]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(values_are_found_as_they_were_written),
    cmocka_unit_test(what_is_not_there_is_not_found),
};
TEST_MAIN(tests)
