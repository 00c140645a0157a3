/* test_messages.c - the codec: bytes that must never change, round trips, and every reason to
 * refuse. */
#include "tests/support/test_main.h"

#include <errno.h>

#include "lib/limits.h"
#include "lib/msgpack.h"
#include "tests/support/message_sample.h"

static const message_schema_t *each(size_t index)
{
    size_t count;
    const message_schema_t *schemas = message_schemas(&count);
    return index < count ? &schemas[index] : NULL;
}

static size_t encode_sample(const message_schema_t *schema, bool optional_too, uint8_t *buffer,
                            size_t capacity)
{
    sample_t sample;
    sample_fill(&sample, schema, optional_too);
    size_t size = message_encode(schema->id, &sample.message, buffer, capacity);
    assert_true(size > 0);
    return size;
}

static void assert_refused(uint32_t id, const uint8_t *data, size_t size, const char *reason)
{
    message_any_t message;
    err_detail_t detail = {0};
    assert_int_equal(message_decode(id, data, size, &message, &detail), ERR_WIRE);
    if (strstr(detail.text, reason) == NULL)
        fail_msg("refused with \"%s\", not \"%s\"", detail.text, reason);
}

/* ---- the schema itself ---- */

static void ids_and_field_numbers_ascend(void **state)
{
    (void)state;
    for (size_t i = 0; each(i) != NULL; i++) {
        if (i > 0)
            assert_true(each(i - 1)->id < each(i)->id);
        assert_true(each(i)->field_count > 0 && each(i)->field_count < SAMPLE_FIELDS_MAX);
        uint32_t last = 0;
        for (size_t f = 0; f < each(i)->field_count; f++) {
            assert_true(each(i)->fields[f].number > last);
            last = each(i)->fields[f].number;
        }
    }
}

static void names_are_unique_and_found(void **state)
{
    (void)state;
    for (size_t i = 0; each(i) != NULL; i++) {
        assert_ptr_equal(message_by_name(each(i)->name), each(i));
        assert_ptr_equal(message_by_id(each(i)->id), each(i));
        assert_null(strchr(each(i)->name, '_'));
        for (size_t f = 0; f < each(i)->field_count; f++)
            for (size_t g = 0; g < f; g++)
                assert_string_not_equal(each(i)->fields[f].name, each(i)->fields[g].name);
    }
    assert_null(message_by_name("order.destroy"));
    assert_null(message_by_id(0));
    assert_null(message_by_id(9));
    assert_null(message_by_id(UINT32_MAX));
    assert_string_equal(message_by_id(MSG_webhook_handled)->name, "webhook-processor.handled");
    assert_string_equal(message_by_id(MSG_webhook_handled)->service, "webhook-processor");
}

static void every_request_names_a_reply_and_nothing_else_does(void **state)
{
    (void)state;
    for (size_t i = 0; each(i) != NULL; i++) {
        const message_schema_t *reply = message_by_id(each(i)->reply_id);
        if (each(i)->kind != MESSAGE_REQUEST) {
            assert_null(reply);
            continue;
        }
        assert_non_null(reply);
        assert_int_equal(reply->kind, MESSAGE_REPLY);
        assert_string_equal(reply->service, each(i)->service);
    }
}

static void text_has_a_bound_and_only_text(void **state)
{
    (void)state;
    for (size_t i = 0; each(i) != NULL; i++) {
        size_t bound = 0;
        for (size_t f = 0; f < each(i)->field_count; f++) {
            const field_schema_t *field = &each(i)->fields[f];
            bool is_text = field->type == FIELD_STR || field->type == FIELD_JSON;
            assert_int_equal(is_text, field->max_bytes != 0);
            if (is_text && (field->flags & (FIELD_PII | FIELD_SECRET)) != 0)
                assert_true(field->max_bytes >= 3); /* the mask must fit */
            bound += field->max_bytes + 32;
        }
        assert_true(bound < BUS_MESSAGE_MAX_BYTES);
    }
}

/* ---- bytes ---- */

static void hex_line(buf_t *text, const char *label, const message_schema_t *schema,
                     bool optional_too)
{
    uint8_t bytes[4096];
    size_t size = encode_sample(schema, optional_too, bytes, sizeof bytes);
    buf_printf(text, "%s ", label);
    for (size_t i = 0; i < size; i++)
        buf_printf(text, "%02x", bytes[i]);
    buf_add_text(text, "\n");
}

static bool updating(void)
{
    const char *update = getenv("TIFFIN_UPDATE_GOLDEN");
    return update != NULL && strcmp(update, "1") == 0;
}

static void assert_file(const char *path, const buf_t *expected)
{
    if (updating()) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(expected->data, 1, expected->size, file), expected->size);
        assert_int_equal(fclose(file), 0);
        return;
    }
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("%s: %s (TIFFIN_UPDATE_GOLDEN=1 writes it)", path, strerror(errno));
    buf_t found = {0};
    char chunk[4096];
    for (size_t size; (size = fread(chunk, 1, sizeof chunk, file)) > 0;)
        buf_add(&found, chunk, size);
    assert_int_equal(fclose(file), 0);
    if (found.size != expected->size || memcmp(found.data, expected->data, found.size) != 0)
        fail_msg("%s differs from what messages.def gives now", path);
    buf_free(&found);
}

static void wire_bytes_never_change(void **state)
{
    (void)state;
    for (size_t i = 0; each(i) != NULL; i++) {
        buf_t text = {0};
        char path[512];
        hex_line(&text, "all     ", each(i), true);
        hex_line(&text, "required", each(i), false);
        snprintf(path, sizeof path, "%s/tests/unit/golden/%s.hex", TIFFIN_SOURCE_DIR,
                 each(i)->name);
        assert_file(path, &text);
        buf_free(&text);
    }
}

static void messages_md_is_what_the_schema_says(void **state)
{
    (void)state;
    buf_t markdown = {0};
    message_document_all(&markdown);
    assert_file(TIFFIN_SOURCE_DIR "/proto/MESSAGES.md", &markdown);
    buf_free(&markdown);
}

static void assert_round_trip(const message_schema_t *schema, bool optional_too)
{
    sample_t sample;
    message_any_t decoded;
    uint8_t bytes[4096], again[4096];
    err_detail_t detail;
    sample_fill(&sample, schema, optional_too);
    size_t size = message_encode(schema->id, &sample.message, bytes, sizeof bytes);
    assert_true(size > 0);
    assert_true(size <= message_encoded_bound(schema->id, &sample.message));
    assert_int_equal(message_decode(schema->id, bytes, size, &decoded, &detail), ERR_OK);
    const char *difference = message_difference(schema, &sample.message, &decoded);
    if (difference != NULL)
        fail_msg("%s: %s differs", schema->name, difference);
    assert_int_equal(message_encode(schema->id, &decoded, again, sizeof again), size);
    assert_memory_equal(bytes, again, size);
}

static void every_message_survives_the_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; each(i) != NULL; i++) {
        assert_round_trip(each(i), true);
        assert_round_trip(each(i), false);
    }
}

static void absent_optional_fields_take_no_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; each(i) != NULL; i++) {
        uint8_t bytes[4096];
        size_t size = encode_sample(each(i), false, bytes, sizeof bytes);
        mp_reader_t reader = mp_reader(bytes, size);
        uint32_t pairs, required = 0;
        for (size_t f = 0; f < each(i)->field_count; f++)
            required += each(i)->fields[f].required;
        assert_true(mp_read_map(&reader, &pairs));
        assert_int_equal(pairs, required);
    }
}

static void every_number_keeps_its_value(void **state)
{
    (void)state;
    static const int64_t numbers[] = {
        0,   1,   -1,  -32,   -33,   -128,      -129,      -32768,     -32769,    127,
        128, 255, 256, 65535, 65536, INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        order_list_t list = {.limit = numbers[i]};
        order_list_t decoded;
        uint8_t bytes[64];
        size_t size = message_encode(MSG_order_list, &list, bytes, sizeof bytes);
        assert_int_equal(message_decode(MSG_order_list, bytes, size, &decoded, NULL), ERR_OK);
        assert_true(decoded.limit == numbers[i]);
    }
}

static void encoding_needs_room_and_says_so(void **state)
{
    (void)state;
    for (size_t i = 0; each(i) != NULL; i++) {
        sample_t sample;
        uint8_t bytes[4096];
        sample_fill(&sample, each(i), true);
        size_t size = message_encode(each(i)->id, &sample.message, bytes, sizeof bytes);
        for (size_t capacity = 0; capacity < size; capacity++) {
            uint8_t *exact = malloc(capacity + 1); /* its own block: a byte too many is seen */
            assert_int_equal(message_encode(each(i)->id, &sample.message, exact, capacity), 0);
            free(exact);
        }
        assert_int_equal(message_encode(each(i)->id, &sample.message, bytes, size), size);
    }
}

/* ---- refusals ---- */

static void cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; each(i) != NULL; i++) {
        uint8_t bytes[4096];
        size_t size = encode_sample(each(i), true, bytes, sizeof bytes);
        for (size_t cut = 0; cut < size; cut++) {
            uint8_t *exact = malloc(cut + 1);
            memcpy(exact, bytes, cut);
            assert_refused(each(i)->id, exact, cut, "");
            free(exact);
        }
    }
}

static void trailing_bytes_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; each(i) != NULL; i++) {
        uint8_t bytes[4096];
        size_t size = encode_sample(each(i), true, bytes, sizeof bytes - 1);
        bytes[size] = 0xc0;
        assert_refused(each(i)->id, bytes, size + 1, "trailing bytes");
    }
}

/* A map of the message's required fields, but `changed` has another number or value. */
static size_t encode_without(const message_schema_t *schema, const field_schema_t *left_out,
                             uint8_t *buffer, size_t capacity)
{
    uint8_t whole[4096];
    size_t size = encode_sample(schema, true, whole, sizeof whole);
    mp_reader_t reader = mp_reader(whole, size);
    mp_writer_t writer = mp_writer(buffer, capacity);
    uint32_t pairs;
    assert_true(mp_read_map(&reader, &pairs));
    mp_write_map(&writer, pairs - 1);
    size_t used = mp_written(&writer);
    for (uint32_t i = 0; i < pairs; i++) {
        const uint8_t *start = reader.next;
        uint64_t number;
        assert_true(mp_read_uint(&reader, &number) && mp_skip(&reader));
        if (number == left_out->number)
            continue;
        size_t bytes = (size_t)(reader.next - start);
        assert_true(used + bytes <= capacity);
        memcpy(buffer + used, start, bytes);
        used += bytes;
    }
    return used;
}

static void each_missing_required_field_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; each(i) != NULL; i++) {
        for (size_t f = 0; f < each(i)->field_count; f++) {
            const field_schema_t *field = &each(i)->fields[f];
            uint8_t bytes[4096];
            size_t size = encode_without(each(i), field, bytes, sizeof bytes);
            message_any_t decoded;
            err_detail_t detail;
            err_t err = message_decode(each(i)->id, bytes, size, &decoded, &detail);
            assert_int_equal(err, field->required ? ERR_WIRE : ERR_OK);
            char reason[128];
            snprintf(reason, sizeof reason, "%s: %s: missing", each(i)->name, field->name);
            if (field->required)
                assert_string_equal(detail.text, reason);
        }
    }
}

static void each_wrong_type_is_named(void **state)
{
    (void)state;
    static const uint8_t values[][3] = {
        {0xc0}, {0xca}, {0x93}, {0x81}, {0xd4}}; /* nil, float, array, map, ext */
    for (size_t i = 0; each(i) != NULL; i++) {
        const field_schema_t *field = &each(i)->fields[0];
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            uint8_t bytes[16] = {0x81, (uint8_t)field->number, values[v][0]};
            assert_refused(each(i)->id, bytes, sizeof bytes, field->name);
        }
    }
    uint8_t number_for_text[] = {0x81, 1, 7};
    assert_refused(MSG_bus_error, number_for_text, sizeof number_for_text,
                   "bus.error: detail: not text");
    uint8_t text_for_number[] = {0x81, 4, 0xa1, '7'};
    assert_refused(MSG_order_list, text_for_number, sizeof text_for_number,
                   "limit: not a 64-bit integer");
    uint8_t too_large[] = {0x81, 4, 0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0};
    assert_refused(MSG_order_list, too_large, sizeof too_large, "limit: not a 64-bit integer");
    uint8_t short_uuid[] = {0x81, 1, 0xc4, 2, 0, 0};
    assert_refused(MSG_order_get, short_uuid, sizeof short_uuid, "order_id: not 16 bytes");
}

static void keys_must_be_numbers_that_ascend(void **state)
{
    (void)state;
    uint8_t twice[] = {0x82, 1, 0xa1, 'a', 1, 0xa1, 'b'};
    assert_refused(MSG_bus_error, twice, sizeof twice, "duplicate");
    uint8_t unknown_twice[] = {0x82, 9, 0xc0, 9, 0xc0};
    assert_refused(MSG_bus_error, unknown_twice, sizeof unknown_twice, "duplicate");
    uint8_t descending[] = {0x82, 4, 1, 2, 0xa1, 'x'};
    assert_refused(MSG_order_list, descending, sizeof descending, "not in ascending order");
    uint8_t zero[] = {0x81, 0, 0xc0};
    assert_refused(MSG_bus_error, zero, sizeof zero, "not a field number");
    uint8_t text[] = {0x81, 0xa1, '1', 0xc0};
    assert_refused(MSG_bus_error, text, sizeof text, "not a field number");
    uint8_t negative[] = {0x81, 0xff, 0xc0};
    assert_refused(MSG_bus_error, negative, sizeof negative, "not a field number");
}

static void text_over_its_maximum_is_refused_both_ways(void **state)
{
    (void)state;
    char detail[258];
    memset(detail, 'x', sizeof detail);
    uint8_t bytes[512];
    message_any_t decoded;
    size_t size = message_encode(MSG_bus_error, &(bus_error_t){.detail = {detail, 256}}, bytes, sizeof bytes);
    assert_int_equal(message_decode(MSG_bus_error, bytes, size, &decoded, NULL), ERR_OK);
    assert_int_equal(
        message_encode(MSG_bus_error, &(bus_error_t){.detail = {detail, 257}}, bytes, sizeof bytes), 0);
    mp_writer_t writer = mp_writer(bytes, sizeof bytes);
    mp_write_map(&writer, 1);
    mp_write_uint(&writer, 1);
    mp_write_str(&writer, detail, 257);
    assert_refused(MSG_bus_error, bytes, mp_written(&writer), "detail: too long");
}

static void text_that_is_no_utf8_is_refused(void **state)
{
    (void)state;
    uint8_t lone[] = {0x81, 1, 0xa1, 0xff};
    assert_refused(MSG_bus_error, lone, sizeof lone, "detail: not UTF-8");
    uint8_t overlong[] = {0x81, 1, 0xa2, 0xc0, 0x80};
    assert_refused(MSG_bus_error, overlong, sizeof overlong, "detail: not UTF-8");
    uint8_t surrogate[] = {0x81, 1, 0xa3, 0xed, 0xa0, 0x80};
    assert_refused(MSG_bus_error, surrogate, sizeof surrogate, "detail: not UTF-8");
}

static void claimed_sizes_are_not_believed(void **state)
{
    (void)state;
    uint8_t array[] = {0xdd, 8, 0, 0, 0};
    assert_refused(MSG_bus_error, array, sizeof array, "not a map");
    uint8_t map[] = {0xdf, 0xff, 0xff, 0xff, 0xff};
    assert_refused(MSG_bus_error, map, sizeof map, "key: not a field number");
    uint8_t text[] = {0x81, 1, 0xdb, 0xff, 0xff, 0xff, 0xff, 'x'};
    assert_refused(MSG_bus_error, text, sizeof text, "detail: not text, or cut off");
    uint8_t unknown[] = {0x81, 9, 0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0};
    assert_refused(MSG_bus_error, unknown, sizeof unknown, "unknown field: cut off");
    assert_refused(MSG_bus_error, NULL, 0, "not a map");
}

static void unknown_messages_are_refused(void **state)
{
    (void)state;
    uint8_t empty[] = {0x80};
    assert_refused(9, empty, sizeof empty, "message 9: unknown");
    assert_refused(0, empty, sizeof empty, "message 0: unknown");
}

/* ---- what a newer peer may send ---- */

static void unknown_fields_are_skipped(void **state)
{
    (void)state;
    uint8_t bytes[] = {0x83, 1,    0xa1, 'a', 7,    0x82, 0xa1, 'k', 0x92,
                       1,    0xc0, 0xa1, 'l', 0x80, 0xcd, 1,    0,   0xc3};
    bus_error_t error;
    assert_int_equal(message_decode(MSG_bus_error, bytes, sizeof bytes, &error, NULL), ERR_OK);
    assert_true(str_is(error.detail, "a"));
}

static void wider_numbers_than_needed_are_read(void **state)
{
    (void)state;
    uint8_t bytes[] = {0x81, 0xcd, 0, 4, 0xd3, 0, 0, 0, 0, 0, 0, 0, 20};
    order_list_t list;
    assert_int_equal(message_decode(MSG_order_list, bytes, sizeof bytes, &list, NULL), ERR_OK);
    assert_true(list.limit == 20);
}

static void empty_text_is_not_absent_text(void **state)
{
    (void)state;
    uint8_t bytes[16];
    message_any_t decoded;
    size_t size = message_encode(MSG_bus_error, &(bus_error_t){.detail = {"", 0}}, bytes, sizeof bytes);
    assert_int_equal(size, 3);
    assert_int_equal(message_decode(MSG_bus_error, bytes, size, &decoded, NULL), ERR_OK);
    assert_int_equal(message_encode(MSG_bus_error, &decoded, bytes, sizeof bytes), 3);
    assert_int_equal(message_encode(MSG_bus_error, &(bus_error_t){.detail = {NULL, 0}}, bytes, sizeof bytes),
                     1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(ids_and_field_numbers_ascend),
    cmocka_unit_test(names_are_unique_and_found),
    cmocka_unit_test(every_request_names_a_reply_and_nothing_else_does),
    cmocka_unit_test(text_has_a_bound_and_only_text),
    cmocka_unit_test(wire_bytes_never_change),
    cmocka_unit_test(messages_md_is_what_the_schema_says),
    cmocka_unit_test(every_message_survives_the_round_trip),
    cmocka_unit_test(absent_optional_fields_take_no_bytes),
    cmocka_unit_test(every_number_keeps_its_value),
    cmocka_unit_test(encoding_needs_room_and_says_so),
    cmocka_unit_test(cut_anywhere_is_refused),
    cmocka_unit_test(trailing_bytes_are_refused),
    cmocka_unit_test(each_missing_required_field_is_named),
    cmocka_unit_test(each_wrong_type_is_named),
    cmocka_unit_test(keys_must_be_numbers_that_ascend),
    cmocka_unit_test(text_over_its_maximum_is_refused_both_ways),
    cmocka_unit_test(text_that_is_no_utf8_is_refused),
    cmocka_unit_test(claimed_sizes_are_not_believed),
    cmocka_unit_test(unknown_messages_are_refused),
    cmocka_unit_test(unknown_fields_are_skipped),
    cmocka_unit_test(wider_numbers_than_needed_are_read),
    cmocka_unit_test(empty_text_is_not_absent_text),
};

TEST_MAIN(tests)
