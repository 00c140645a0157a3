/* test_json_read.c - JSON from outside is one object, strictly. */
#include "tests/support/test_main.h"

#include <string.h>

#include "lib/json_read.h"

static void assert_taken(str_t text)
{
    err_detail_t detail = {""};
    json_t *root = json_read_object(text, &detail);
    if (!root)
        fail_msg("%.*s: %s", STR_ARG(text), detail.text);
    json_decref(root);
}

static void assert_refused(str_t text, const char *said)
{
    err_detail_t detail = {""};
    json_t *root = json_read_object(text, &detail);
    if (root)
        fail_msg("%.*s was taken", STR_ARG(text));
    if (!strstr(detail.text, said))
        fail_msg("\"%s\" does not say \"%s\"", detail.text, said);
}

static void object_is_taken(void **state)
{
    (void)state;
    assert_taken(STR_LITERAL("{}"));
    assert_taken(STR_LITERAL(" {\"a\": [1, -9223372036854775808, true, null, \"\\u20ac\"]} \n"));
}

static void everything_else_is_refused(void **state)
{
    (void)state;
    assert_refused((str_t){NULL, 0}, "no JSON object");
    assert_refused(STR_LITERAL("[]"), "is no JSON object");
    static const char *const broken[] = {
        "{",
        "nonsense",
        "{} {}",
        "{}x",
        "{\"a\":1,\"a\":1}",
        "{\"a\":01}",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\":NaN}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":9223372036854775808}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":1e999}",
        "\xef\xbb\xbf{}",
        "{\"a\":\"\n\"}",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_refused(str_of(broken[i]), "is not valid JSON at line 1");
    assert_refused(STR_LITERAL("{}\0"), "is not valid JSON");
    assert_refused(STR_LITERAL("{\"a\":1\0}"), "holds a NUL");
    assert_refused(STR_LITERAL("{\"a\":[1.10\0,2]}"), "holds a NUL");
    assert_false(json_read_is_big(STR_LITERAL("{\"a\":9223372036854775808\0}"), "a"));
}

static str_t nested(char *text, size_t capacity, unsigned depth, const char *open,
                    const char *close)
{
    size_t size = (size_t)snprintf(text, capacity, "{\"a\":");
    for (unsigned i = 1; i < depth; i++)
        size += (size_t)snprintf(text + size, capacity - size, "%s", open);
    size += (size_t)snprintf(text + size, capacity - size, "1");
    for (unsigned i = 1; i < depth; i++)
        size += (size_t)snprintf(text + size, capacity - size, "%s", close);
    size += (size_t)snprintf(text + size, capacity - size, "}");
    return (str_t){text, (uint32_t)size};
}

static void depth_is_bounded(void **state)
{
    (void)state;
    static char text[2 << 20];
    assert_taken(nested(text, sizeof text, JSON_DEPTH_MAX, "[", "]"));
    assert_refused(nested(text, sizeof text, JSON_DEPTH_MAX + 1, "[", "]"), "nested deeper");
    assert_taken(nested(text, sizeof text, JSON_DEPTH_MAX, "{\"a\":", "}"));
    assert_refused(nested(text, sizeof text, JSON_DEPTH_MAX + 1, "{\"a\":", "}"), "nested deeper");
    memset(text, '[', sizeof text);
    assert_refused((str_t){text, sizeof text}, "nested deeper");
}

static void brackets_in_text_are_no_depth(void **state)
{
    (void)state;
    assert_taken(
        STR_LITERAL("{\"[[[[[[[[[[[[[[[[[[[[\":\"{{{{{{{{{{{{{{{{{{{{{{ \\\" [[[ \\\\\"}"));
    assert_taken(STR_LITERAL("{\"a\":[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]}"));
}

static void refusal_quotes_nothing_of_the_text(void **state)
{
    (void)state;
    err_detail_t detail;
    assert_null(json_read_object(STR_LITERAL("{\"key_secret\": hush}"), &detail));
    assert_null(strstr(detail.text, "hush"));
}

static void member_is_a_string_or_not_there(void **state)
{
    (void)state;
    json_t *root =
        json_read_object(STR_LITERAL("{\"a\":\"x\",\"b\":1,\"c\":null,\"d\":\"\"}"), NULL);
    assert_true(str_is(json_read_str(root, "a"), "x"));
    assert_null(json_read_str(root, "b").data);
    assert_null(json_read_str(root, "c").data);
    assert_non_null(json_read_str(root, "d").data);
    assert_null(json_read_str(root, "e").data);
    json_decref(root);
    assert_null(json_read_str(NULL, "a").data);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(object_is_taken),
    cmocka_unit_test(everything_else_is_refused),
    cmocka_unit_test(depth_is_bounded),
    cmocka_unit_test(brackets_in_text_are_no_depth),
    cmocka_unit_test(refusal_quotes_nothing_of_the_text),
    cmocka_unit_test(member_is_a_string_or_not_there),
};
TEST_MAIN(tests)
