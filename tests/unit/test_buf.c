/* test_buf.c - the bounded buffer and the JSON writer; what it writes is read back by the JSON
 * library. */
#include "tests/support/test_main.h"

#include <jansson.h>
#include <string.h>

#include "lib/buf.h"

static void bytes_grow_and_stay_terminated(void **state)
{
    (void)state;
    buf_t buf = {0};
    for (unsigned i = 0; i < 1000; i++) {
        buf_add(&buf, "abc", 3);
        assert_int_equal(buf.data[buf.size], '\0');
    }
    assert_int_equal(buf.size, 3000);
    assert_int_equal(strlen(buf.data), 3000);
    assert_false(buf.overflow);
    buf_free(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.size, 0);
}

static void past_the_bound_nothing_more_is_added(void **state)
{
    (void)state;
    buf_t buf;
    buf_init(&buf, 10);
    buf_add_text(&buf, "1234567890");
    assert_false(buf.overflow);
    buf_add(&buf, "", 0);
    assert_false(buf.overflow);
    buf_add_text(&buf, "x");
    assert_true(buf.overflow);
    assert_string_equal(buf.data, "1234567890");
    buf_clear(&buf);
    assert_false(buf.overflow);
    buf_printf(&buf, "%d", 123456789);
    buf_printf(&buf, "%s", "too much");
    assert_true(buf.overflow);
    assert_string_equal(buf.data, "123456789");
    buf_add_text(&buf, "1"); /* would fit, but what came before is missing */
    assert_string_equal(buf.data, "123456789");
    buf_free(&buf);
}

static void sizes_near_the_end_of_size_t_do_not_wrap(void **state)
{
    (void)state;
    buf_t buf = {0};
    buf_add_text(&buf, "x");
    buf_add(&buf, "y", SIZE_MAX);
    assert_true(buf.overflow);
    assert_string_equal(buf.data, "x");
    buf_free(&buf);
}

static void commas_and_colons_fall_into_place(void **state)
{
    (void)state;
    uuid_t uuid = {{0x01, 0x90}};
    buf_t buf = {0};
    json_open_object(&buf, NULL);
    json_text(&buf, "text", "a");
    json_int(&buf, "least", INT64_MIN);
    json_bool(&buf, "yes", true);
    json_bool(&buf, "no", false);
    json_nil(&buf, "nothing");
    json_open_object(&buf, "empty");
    json_close_object(&buf);
    json_open_array(&buf, "list");
    json_int(&buf, NULL, 1);
    json_text(&buf, NULL, "[");
    json_text(&buf, NULL, ":");
    json_open_array(&buf, NULL);
    json_close_array(&buf);
    json_nil(&buf, NULL);
    json_close_array(&buf);
    json_uuid(&buf, "id", &uuid);
    json_time(&buf, "at", 0);
    json_raw(&buf, "raw", "{\"a\":[1]}\n", 10);
    json_raw(&buf, "no_raw", "", 0);
    json_str(&buf, "str", (str_t){NULL, 0});
    json_close_object(&buf);
    assert_string_equal(buf.data,
                        "{\"text\":\"a\",\"least\":-9223372036854775808,\"yes\":true,\"no\":false,"
                        "\"nothing\":null,\"empty\":{},\"list\":[1,\"[\",\":\",[],null],"
                        "\"id\":\"01900000-0000-0000-0000-000000000000\","
                        "\"at\":\"1970-01-01T00:00:00Z\",\"raw\":{\"a\":[1]},\"no_raw\":null,"
                        "\"str\":\"\"}");
    buf_free(&buf);
}

static void document_begins_anew_after_a_newline(void **state)
{
    (void)state;
    buf_t buf = {0};
    for (unsigned i = 0; i < 2; i++) {
        json_open_object(&buf, NULL);
        json_int(&buf, "i", i);
        json_close_object(&buf);
        buf_add_text(&buf, "\n");
    }
    assert_string_equal(buf.data, "{\"i\":0}\n{\"i\":1}\n");
    buf_free(&buf);
}

static void every_byte_is_written_so_that_it_reads_back(void **state)
{
    (void)state;
    char text[127];
    for (unsigned i = 0; i < sizeof text; i++)
        text[i] = (char)(i + 1);
    buf_t buf = {0};
    json_open_object(&buf, NULL);
    json_str(&buf, "ascii", (str_t){text, sizeof text});
    json_text(&buf, "wide", "\xe0\xa4\xae \xe2\x82\xac \xf0\x9f\x98\x80");
    json_text(&buf, "quote\"d \\", "key");
    json_close_object(&buf);
    json_t *root = json_loadb(buf.data, buf.size, 0, NULL);
    assert_non_null(root);
    const json_t *ascii = json_object_get(root, "ascii");
    assert_int_equal(json_string_length(ascii), sizeof text);
    assert_memory_equal(json_string_value(ascii), text, sizeof text);
    assert_string_equal(json_string_value(json_object_get(root, "wide")),
                        "\xe0\xa4\xae \xe2\x82\xac \xf0\x9f\x98\x80");
    assert_string_equal(json_string_value(json_object_get(root, "quote\"d \\")), "key");
    json_decref(root);
    buf_free(&buf);
}

static void bytes_that_are_no_utf8_become_the_replacement_character(void **state)
{
    (void)state;
    buf_t buf = {0};
    json_str(&buf, NULL,
             STR_LITERAL("a\xff"
                         "b\xe2\x82"
                         "c\xc3"));
    assert_string_equal(buf.data, "\"a\xef\xbf\xbd"
                                  "b\xef\xbf\xbd\xef\xbf\xbd"
                                  "c\xef\xbf\xbd\"");
    buf_free(&buf);
}

static void a_json_text_needs_room_for_both_quotes(void **state)
{
    (void)state;
    for (size_t limit = 1; limit <= 6; limit++) {
        buf_t buf;
        buf_init(&buf, limit);
        json_text(&buf, NULL, "abc");
        assert_int_equal(buf.overflow, limit < 5);
        assert_true(buf.size <= limit);
        if (limit >= 5)
            assert_string_equal(buf.data, "\"abc\"");
        buf_free(&buf);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(bytes_grow_and_stay_terminated),
    cmocka_unit_test(past_the_bound_nothing_more_is_added),
    cmocka_unit_test(sizes_near_the_end_of_size_t_do_not_wrap),
    cmocka_unit_test(commas_and_colons_fall_into_place),
    cmocka_unit_test(document_begins_anew_after_a_newline),
    cmocka_unit_test(every_byte_is_written_so_that_it_reads_back),
    cmocka_unit_test(bytes_that_are_no_utf8_become_the_replacement_character),
    cmocka_unit_test(a_json_text_needs_room_for_both_quotes),
};
TEST_MAIN(tests)
