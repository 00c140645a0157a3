/* test_form.c - forms, both ways. */
#include "tests/support/test_main.h"

#include <string.h>

#include "lib/form.h"

static void pairs_come_one_by_one(void **state)
{
    (void)state;
    str_t rest = str_of("&a=1&&b&=c&d=e=f&");
    form_field_t field;
    const char *const expected[][2] = {{"a", "1"}, {"b", ""}, {"", "c"}, {"d", "e=f"}};
    for (size_t i = 0; i < 4; i++) {
        assert_true(form_next(&rest, &field));
        assert_true(str_is(field.name, expected[i][0]));
        assert_true(str_is(field.value, expected[i][1]));
    }
    assert_false(form_next(&rest, &field));
}

static void names_and_values_are_decoded(void **state)
{
    (void)state;
    char value[32];
    const str_t form =
        str_of("n=Tea+%26%20Co&amount%5Bvalue%5D=1&amount[currency]=INR&bad=%4&worse=%zz&n=2");
    assert_true(form_copy(form, "n", value, sizeof value));
    assert_string_equal(value, "Tea & Co");
    assert_true(form_copy(form, "amount[value]", value, sizeof value));
    assert_string_equal(value, "1");
    assert_true(form_copy(form, "amount[currency]", value, sizeof value));
    assert_string_equal(value, "INR");
    assert_true(form_copy(form, "bad", value, sizeof value));
    assert_string_equal(value, "%4");
    assert_true(form_copy(form, "worse", value, sizeof value));
    assert_string_equal(value, "%zz");
    assert_false(form_copy(form, "amount", value, sizeof value));
    assert_false(form_copy(str_of("a=%00"), "a", value, sizeof value));
    assert_false(form_copy(str_of("a=12345"), "a", value, 5));
    assert_true(form_copy(str_of("a=1234"), "a", value, 5));
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    buf_t form = {0}, value = {0};
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    form_add(&form, "line_items[0][name]", "Tea & Co");
    form_add_str(&form, "all", (str_t){all, sizeof all});
    form_add_int(&form, "amount", -5);
    const str_t written = {form.data, (uint32_t)form.size};
    assert_non_null(strstr(form.data, "line_items%5B0%5D%5Bname%5D=Tea+%26+Co&all="));
    assert_true(form_get(written, "all", &value));
    assert_int_equal(value.size, sizeof all);
    assert_memory_equal(value.data, all, sizeof all);
    buf_clear(&value);
    assert_true(form_get(written, "amount", &value));
    assert_string_equal(value.data, "-5");
    buf_free(&value);
    buf_free(&form);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(pairs_come_one_by_one),
    cmocka_unit_test(names_and_values_are_decoded),
    cmocka_unit_test(what_is_written_is_read),
};
TEST_MAIN(tests)
