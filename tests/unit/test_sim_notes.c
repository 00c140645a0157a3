/* test_sim_notes.c - metadata at the simulator: read from JSON and from forms, bounded as each PSP
 * does, written as they came. */
#include "tests/support/test_main.h"

#include <stdlib.h>
#include <string.h>

#include "lib/json_read.h"
#include "services/psp_sim/sim_notes.h"

static void assert_notes(buf_t *notes, const char *expected)
{
    if (expected)
        assert_string_equal(notes->data, expected);
    else
        assert_null(notes->data);
    buf_free(notes);
}

static void notes_of_json_keep_their_order_and_their_types(void **state)
{
    (void)state;
    static const char text[] = "{\"notes\":{\"b\":\"1\",\"a\":2,\"\\u00fc\":\"\\\"\"},\"none\":{},"
                               "\"list\":[],\"word\":\"x\"}";
    json_t *root = json_read_object(str_of(text), NULL);
    buf_t notes = {0};
    sim_notes_of_json(root, "notes", &notes);
    assert_notes(&notes, "{\"b\":\"1\",\"a\":2,\"\u00fc\":\"\\\"\"}");
    static const char *const nothing[] = {"none", "list", "word", "missing"};
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        sim_notes_of_json(root, nothing[i], &notes);
        assert_notes(&notes, NULL);
    }
    sim_notes_of_json(NULL, "notes", &notes);
    assert_notes(&notes, NULL);
    json_decref(root);
}

static void notes_of_a_form_are_what_is_in_brackets(void **state)
{
    (void)state;
    static const char form[] = "metadata[a]=1&metadata%5Btwo+words%5D=x%26y&amount=7&metadata=no&"
                               "metadata[empty]=&of[metadata][inner]=9&metadata[a][b]=no&"
                               "metadata[bad]=%ff&metadatax]=no&metadata[open=no";
    buf_t notes = {0};
    sim_notes_of_form(str_of(form), "metadata", &notes);
    assert_notes(&notes, "{\"a\":\"1\",\"two words\":\"x&y\"}");
    sim_notes_of_form(str_of(form), "of[metadata]", &notes);
    assert_notes(&notes, "{\"inner\":\"9\"}");
    sim_notes_of_form(str_of(form), "amount", &notes);
    assert_notes(&notes, NULL);
}

static void udfs_are_fields_of_their_own(void **state)
{
    (void)state;
    json_t *root = json_read_object(str_of("{\"udf1\":\"a\",\"udf3\":3,\"udf6\":\"f\"}"), NULL);
    buf_t notes = {0};
    sim_notes_of_udfs(root, (str_t){NULL, 0}, 5, &notes);
    assert_notes(&notes, "{\"udf1\":\"a\"}");
    sim_notes_of_udfs(root, (str_t){NULL, 0}, 10, &notes);
    assert_notes(&notes, "{\"udf1\":\"a\",\"udf6\":\"f\"}");
    sim_notes_of_udfs(NULL, str_of("udf2=b+c&udf10=j&udf1="), 10, &notes);
    assert_notes(&notes, "{\"udf2\":\"b c\",\"udf10\":\"j\"}");
    json_decref(root);
}

static void limits_count_characters(void **state)
{
    (void)state;
    static const sim_notes_limits_t limits = {.pairs = 2, .name = 3, .value = 4};
    static const sim_notes_limits_t none = {0};
    static const struct {
        const char *notes;
        bool within;
    } cases[] = {
        {NULL, true},
        {"{}", true},
        {"{\"abc\":\"defg\",\"\u00fc\u00fc\u00fc\":\"\u00fc\u00fc\u00fc\u00fc\"}", true},
        {"{\"abcd\":\"\"}", false},
        {"{\"a\":\"defgh\"}", false},
        {"{\"a\":\"\",\"b\":\"\",\"c\":\"\"}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(sim_notes_within(cases[i].notes, &limits), cases[i].within);
        assert_true(sim_notes_within(cases[i].notes, &none));
    }
}

static void what_is_not_there_is_what_the_psp_says_of_nothing(void **state)
{
    (void)state;
    buf_t body = {0};
    json_open_object(&body, NULL);
    sim_notes_write(&body, "notes", NULL, "[]");
    sim_notes_write(&body, "metadata", "{\"a\":\"1\"}", "{}");
    json_close_object(&body);
    assert_string_equal(body.data, "{\"notes\":[],\"metadata\":{\"a\":\"1\"}}");
    buf_free(&body);
    static const struct {
        const char *notes, *text;
    } cases[] = {{NULL, ""}, {"{\"a\":\"1\"}", "1"}, {"{\"a\":1}", ""}, {"{\"b\":\"1\"}", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = sim_notes_text(cases[i].notes, "a");
        assert_string_equal(text, cases[i].text);
        free(text);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(notes_of_json_keep_their_order_and_their_types),
    cmocka_unit_test(notes_of_a_form_are_what_is_in_brackets),
    cmocka_unit_test(udfs_are_fields_of_their_own),
    cmocka_unit_test(limits_count_characters),
    cmocka_unit_test(what_is_not_there_is_what_the_psp_says_of_nothing),
};
TEST_MAIN(tests)
