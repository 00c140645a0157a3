/* test_messages_print.c - what people, tools and the tap see of a message, and what they must not.
 */
#include "tests/support/test_main.h"

#include <jansson.h>

#include "tests/support/message_sample.h"

static const uuid_t order_id = {{0x01, 0x90, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0x2a}};
#define ORDER_ID "01900000-0000-7000-8000-00000000002a"

static order_create_t order_example(void)
{
    return (order_create_t){.order_id = order_id,
                            .user_id = STR_LITERAL("u1"),
                            .amount = 45000,
                            .currency = STR_LITERAL("INR"),
                            .metadata = STR_LITERAL("{\"table\": 7,\n\"vip\": null}")};
}

static void assert_line(uint32_t id, const void *message, const char *expected)
{
    buf_t line = {0};
    message_print(id, message, &line);
    assert_string_equal(line.data, expected);
    buf_free(&line);
}

static void assert_json(uint32_t id, const void *message, const char *expected)
{
    buf_t json = {0};
    message_print_json(id, message, &json, NULL);
    assert_string_equal(json.data, expected);
    buf_free(&json);
}

/* ---- one line ---- */

static void a_line_names_what_is_there(void **state)
{
    (void)state;
    order_create_t order = order_example();
    order.metadata = (str_t){NULL, 0};
    assert_line(MSG_order_create, &order,
                "order_id=" ORDER_ID " user_id=\"u1\" amount=45000 currency=\"INR\"");
    reconciler_asked_t asked = {.payment_id = order_id,
                                .order_id = order_id,
                                .psp = STR_LITERAL("Juspay"),
                                .answer = STR_LITERAL("x"),
                                .news = true};
    assert_line(MSG_reconciler_asked, &asked,
                "payment_id=" ORDER_ID " order_id=" ORDER_ID
                " psp=\"Juspay\" answer=\"x\" news=true");
}

static void nothing_steers_the_terminal(void **state)
{
    (void)state;
    bus_error_t error = {.detail = STR_LITERAL("a\"b\\c\n\r\t\x1b[31m\x7f \xc2\x9b é ok")};
    assert_line(MSG_bus_error, &error, "detail=\"a\\\"b\\\\c\\n\\r\\t\\x1b[31m\\x7f \\x9b é ok\"");
    bus_error_t no_utf8 = {.detail = STR_LITERAL("\xff\xc2")};
    assert_line(MSG_bus_error, &no_utf8, "detail=\"\\xff\\xc2\"");
}

static void long_text_is_cut_between_characters(void **state)
{
    (void)state;
    char text[200];
    memset(text, 'x', sizeof text);
    bus_error_t error = {.detail = {text, 120}};
    buf_t line = {0};
    message_print(MSG_bus_error, &error, &line);
    assert_int_equal(line.size, strlen("detail=\"\"") + 120);
    buf_clear(&line);
    memcpy(text + 119, "é", 2); /* would be cut in the middle */
    error.detail.size = 200;
    message_print(MSG_bus_error, &error, &line);
    assert_int_equal(line.size, strlen("detail=\"…\"") + 119);
    assert_true(utf8_valid(line.data, line.size));
    buf_free(&line);
}

static void every_message_prints_as_utf8_without_control_characters(void **state)
{
    (void)state;
    size_t count;
    const message_schema_t *schemas = message_schemas(&count);
    for (size_t i = 0; i < count; i++) {
        sample_t sample;
        buf_t line = {0};
        sample_fill(&sample, &schemas[i], true);
        message_print(schemas[i].id, &sample.message, &line);
        assert_true(utf8_valid(line.data, line.size));
        assert_false(utf8_has_control(line.data, line.size));
        for (size_t f = 0; f < schemas[i].field_count; f++)
            assert_non_null(strstr(line.data, schemas[i].fields[f].name));
        buf_free(&line);
    }
}

/* ---- JSON ---- */

static void json_documents_stay_documents_on_one_line(void **state)
{
    (void)state;
    order_create_t order = order_example();
    assert_json(MSG_order_create, &order,
                "{\"order_id\":\"" ORDER_ID
                "\",\"user_id\":\"u1\",\"amount\":45000,\"currency\":\"INR\","
                "\"metadata\":{\"table\": 7, \"vip\": null}}");
}

static void broken_documents_become_text(void **state)
{
    (void)state;
    order_page_t page = {STR_LITERAL("{\"a\":1} trailing")};
    assert_json(MSG_order_page, &page, "{\"document\":\"{\\\"a\\\":1} trailing\"}");
    page.document = STR_LITERAL("***");
    assert_json(MSG_order_page, &page, "{\"document\":\"***\"}");
    page.document = STR_LITERAL("{\"a\":1,\"a\":2}");
    assert_json(MSG_order_page, &page, "{\"document\":\"{\\\"a\\\":1,\\\"a\\\":2}\"}");
    page.document = STR_LITERAL("");
    assert_json(MSG_order_page, &page, "{\"document\":\"\"}");
    page.document = STR_LITERAL("null");
    assert_json(MSG_order_page, &page, "{\"document\":null}");
}

static void every_message_prints_as_json(void **state)
{
    (void)state;
    size_t count;
    const message_schema_t *schemas = message_schemas(&count);
    for (size_t i = 0; i < count; i++) {
        sample_t sample;
        buf_t json = {0};
        sample_fill(&sample, &schemas[i], true);
        json_open_object(&json, NULL);
        message_print_json(schemas[i].id, &sample.message, &json, "body");
        json_close_object(&json);
        json_t *parsed = json_loadb(json.data, json.size, 0, NULL);
        assert_non_null(parsed);
        assert_int_equal(json_object_size(json_object_get(parsed, "body")), schemas[i].field_count);
        json_decref(parsed);
        buf_free(&json);
    }
}

/* ---- masks ---- */

static void personal_data_is_masked_and_the_rest_is_not(void **state)
{
    (void)state;
    order_create_t order = order_example();
    message_mask(MSG_order_create, &order);
    assert_line(MSG_order_create, &order,
                "order_id=" ORDER_ID
                " user_id=\"***\" amount=45000 currency=\"INR\" metadata=\"***\"");
}

static bool holds(const uint8_t *bytes, size_t size, str_t text)
{
    return memmem(bytes, size, text.data, text.size) != NULL;
}

static void no_masked_value_leaves_in_any_message(void **state)
{
    (void)state;
    size_t count;
    const message_schema_t *schemas = message_schemas(&count);
    for (size_t i = 0; i < count; i++) {
        sample_t sample;
        uint8_t bytes[4096];
        message_any_t decoded;
        sample_fill(&sample, &schemas[i], true);
        message_mask(schemas[i].id, &sample.message);
        size_t size = message_encode(schemas[i].id, &sample.message, bytes, sizeof bytes);
        assert_true(size > 0);
        assert_int_equal(message_decode(schemas[i].id, bytes, size, &decoded, NULL), ERR_OK);
        for (size_t f = 0; f < schemas[i].field_count; f++) {
            const field_schema_t *field = &schemas[i].fields[f];
            if (field->type != FIELD_STR && field->type != FIELD_JSON)
                continue;
            bool masked = (field->flags & (FIELD_PII | FIELD_SECRET)) != 0;
            str_t original = {sample.texts[f], (uint32_t)strlen(sample.texts[f])};
            assert_int_equal(holds(bytes, size, original), !masked);
        }
    }
}

static void absent_fields_stay_absent_under_the_mask(void **state)
{
    (void)state;
    order_list_t list = {.limit = 20};
    message_mask(MSG_order_list, &list);
    assert_null(list.user_id.data);
    assert_line(MSG_order_list, &list, "limit=20");
}

/* ---- one field ---- */

static bool field_is(uint32_t id, const void *message, const char *field, const char *expected)
{
    buf_t text = {0};
    bool found = message_field_text(id, message, field, &text);
    bool same = found && strcmp(text.data, expected) == 0;
    buf_free(&text);
    return same;
}

static void fields_are_read_as_text(void **state)
{
    (void)state;
    order_create_t order = order_example();
    assert_true(field_is(MSG_order_create, &order, "order_id", ORDER_ID));
    assert_true(field_is(MSG_order_create, &order, "user_id", "u1"));
    assert_true(field_is(MSG_order_create, &order, "amount", "45000"));
    assert_false(field_is(MSG_order_create, &order, "receipt", ""));
    assert_false(field_is(MSG_order_create, &order, "colour", ""));
    reconciler_asked_t asked = {.news = true};
    assert_true(field_is(MSG_reconciler_asked, &asked, "news", "true"));
    assert_true(field_is(MSG_reconciler_asked, &asked, "psp", ""));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_line_names_what_is_there),
    cmocka_unit_test(nothing_steers_the_terminal),
    cmocka_unit_test(long_text_is_cut_between_characters),
    cmocka_unit_test(every_message_prints_as_utf8_without_control_characters),
    cmocka_unit_test(json_documents_stay_documents_on_one_line),
    cmocka_unit_test(broken_documents_become_text),
    cmocka_unit_test(every_message_prints_as_json),
    cmocka_unit_test(personal_data_is_masked_and_the_rest_is_not),
    cmocka_unit_test(no_masked_value_leaves_in_any_message),
    cmocka_unit_test(absent_fields_stay_absent_under_the_mask),
    cmocka_unit_test(fields_are_read_as_text),
};

TEST_MAIN(tests)
