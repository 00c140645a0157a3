/* test_text.c - borrowed text and UTF-8. */
#include "tests/support/test_main.h"

#include <string.h>

#include "lib/text.h"

static void text_that_is_not_there_differs_from_empty_only_by_its_pointer(void **state)
{
    (void)state;
    str_t none = str_of(NULL), empty = str_of("");
    assert_null(none.data);
    assert_non_null(empty.data);
    assert_true(str_equal(none, empty));
    assert_true(str_is(none, ""));
    assert_false(str_is(none, "x"));
}

static void equality_looks_at_all_bytes(void **state)
{
    (void)state;
    assert_true(str_equal(STR_LITERAL("a\0b"), STR_LITERAL("a\0b")));
    assert_false(str_equal(STR_LITERAL("a\0b"), STR_LITERAL("a\0c")));
    assert_false(str_is(STR_LITERAL("ab"), "abc"));
    assert_false(str_is(STR_LITERAL("abc"), "ab"));
}

static void copy_is_cut_between_characters(void **state)
{
    (void)state;
    char buffer[5];
    assert_string_equal(str_copy(STR_LITERAL("abcd"), buffer, sizeof buffer), "abcd");
    assert_string_equal(str_copy(STR_LITERAL("abcdef"), buffer, sizeof buffer), "abcd");
    assert_string_equal(str_copy(STR_LITERAL("ab\xe2\x82\xac"), buffer, sizeof buffer), "ab");
    assert_string_equal(str_copy(STR_LITERAL("a\xe2\x82\xac"), buffer, sizeof buffer),
                        "a\xe2\x82\xac");
    assert_string_equal(str_copy((str_t){NULL, 0}, buffer, sizeof buffer), "");
    assert_string_equal(str_copy(STR_LITERAL("abc"), buffer, 1), "");
}

/* The definition in RFC 3629, over code points instead of byte ranges. */
static bool valid_by_definition(const unsigned char *bytes, size_t size)
{
    size_t i = 0;
    while (i < size) {
        unsigned lead = bytes[i];
        size_t more = lead < 0x80       ? 0
                      : lead >> 5 == 6  ? 1
                      : lead >> 4 == 14 ? 2
                      : lead >> 3 == 30 ? 3
                                        : 9;
        if (more == 9 || i + more >= size)
            return false;
        unsigned long code = more == 0 ? lead : lead & (0x3fu >> more);
        for (size_t j = 1; j <= more; j++) {
            if (bytes[i + j] >> 6 != 2)
                return false;
            code = code << 6 | (bytes[i + j] & 0x3f);
        }
        static const unsigned long least[] = {0, 0x80, 0x800, 0x10000};
        if (code < least[more] || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
            return false;
        i += more + 1;
    }
    return true;
}

static void utf8_agrees_with_its_definition(void **state)
{
    (void)state;
    /* Every pair, and every triple and quadruple of bytes where something changes. */
    static const unsigned char edges[] = {
        0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
        0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfe, 0xff};
    enum { EDGES = sizeof edges };
    unsigned char bytes[4];
    for (unsigned i = 0; i < 0x10000; i++) {
        bytes[0] = (unsigned char)(i >> 8);
        bytes[1] = (unsigned char)i;
        assert_int_equal(utf8_valid((const char *)bytes, 2), valid_by_definition(bytes, 2));
    }
    for (unsigned i = 0; i < EDGES * EDGES * EDGES * EDGES; i++) {
        for (unsigned j = 0, rest = i; j < 4; j++, rest /= EDGES)
            bytes[j] = edges[rest % EDGES];
        for (size_t size = 3; size <= 4; size++)
            if (utf8_valid((const char *)bytes, size) != valid_by_definition(bytes, size))
                fail_msg("%02x %02x %02x %02x", bytes[0], bytes[1], bytes[2], bytes[3]);
    }
}

static void nothing_is_read_past_the_end(void **state)
{
    (void)state;
    static const char euro[] = "\xe2\x82\xac";
    for (size_t size = 1; size < 3; size++) {
        char *exact = malloc(size); /* the address sanitizer sees a byte too far */
        memcpy(exact, euro, size);
        assert_false(utf8_valid(exact, size));
        free(exact);
    }
    assert_true(utf8_valid(NULL, 0));
}

static void a_broken_byte_is_found_wherever_it_is(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 40; size++) {
        char *exact = malloc(size);
        memset(exact, 'a', size);
        assert_true(utf8_valid(exact, size));
        for (size_t at = 0; at < size; at++) {
            exact[at] = (char)0x80;
            assert_false(utf8_valid(exact, size));
            exact[at] = 'a';
        }
        free(exact);
    }
}

static void length_counts_code_points(void **state)
{
    (void)state;
    assert_int_equal(utf8_length("", 0), 0);
    assert_int_equal(utf8_length("abc", 3), 3);
    assert_int_equal(utf8_length("\xe0\xa4\xae\xe2\x82\xac\xf0\x9f\x98\x80"
                                 "x",
                                 11),
                     4);
}

static void controls_are_seen(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 0x100; code++) {
        char text[3] = {(char)code, 0, 0};
        size_t size = 1;
        if (code >= 0x80) {
            text[0] = (char)(0xc0 | code >> 6);
            text[1] = (char)(0x80 | (code & 0x3f));
            size = 2;
        }
        bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
        assert_int_equal(utf8_has_control(text, size), control);
    }
    assert_false(utf8_has_control("\xe2\x82\x85", 3)); /* a continuation byte below A0 is none */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(text_that_is_not_there_differs_from_empty_only_by_its_pointer),
    cmocka_unit_test(equality_looks_at_all_bytes),
    cmocka_unit_test(copy_is_cut_between_characters),
    cmocka_unit_test(utf8_agrees_with_its_definition),
    cmocka_unit_test(nothing_is_read_past_the_end),
    cmocka_unit_test(a_broken_byte_is_found_wherever_it_is),
    cmocka_unit_test(length_counts_code_points),
    cmocka_unit_test(controls_are_seen),
};
TEST_MAIN(tests)
