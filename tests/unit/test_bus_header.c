/* test_bus_header.c - the header frame: its bytes, its round trip, and every reason to refuse one.
 */
#include "tests/support/test_main.h"

#include <stdio.h>
#include <string.h>

#include "lib/bus_header.h"
#include "lib/msgpack.h"

static bus_header_t example(void)
{
    bus_header_t header = {.version = BUS_VERSION,
                           .kind = BUS_REQUEST,
                           .message = 10,
                           .correlation = UINT64_C(0x0102030405060708),
                           .service = "order",
                           .instance = "gateway-1",
                           .budget_ms = 10000,
                           .credit = 512,
                           .attempt = 1,
                           .status = 0,
                           .traceparent =
                               "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"};
    for (size_t i = 0; i < sizeof header.request_id.bytes; i++)
        header.request_id.bytes[i] = (uint8_t)i;
    return header;
}

/* Member by member, as the encoder sees them: padding does not count. */
static void assert_same(const bus_header_t *a, const bus_header_t *b)
{
    uint8_t a_bytes[BUS_HEADER_MAX_BYTES];
    uint8_t b_bytes[BUS_HEADER_MAX_BYTES];
    size_t size = bus_header_encode(a, a_bytes);
    assert_int_equal(bus_header_encode(b, b_bytes), size);
    assert_memory_equal(a_bytes, b_bytes, size);
}

static void assert_refused(const uint8_t *data, size_t size, const char *reason)
{
    bus_header_t header;
    err_detail_t detail = {0};
    assert_int_equal(bus_header_decode(data, size, &header, &detail), ERR_WIRE);
    if (strstr(detail.text, reason) == NULL)
        fail_msg("refused with \"%s\", not \"%s\"", detail.text, reason);
}

static void the_bytes_never_change(void **state)
{
    (void)state;
    static const char expected[] = "9c01030acf0102030405060708c410000102030405060708090a0b0c0d0e0fa"
                                   "56f72646572a9676174657761792d31"
                                   "cd2710cd02000100d93730302d3462663932663335373762333464613661336"
                                   "3653932396430653065343733362d303066"
                                   "303637616130626139303262372d3031";
    bus_header_t header = example();
    uint8_t bytes[BUS_HEADER_MAX_BYTES];
    char hex[2 * BUS_HEADER_MAX_BYTES + 1];
    size_t size = bus_header_encode(&header, bytes);
    for (size_t i = 0; i < size; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    assert_string_equal(hex, expected);
}

static void every_field_survives_the_round_trip(void **state)
{
    (void)state;
    bus_header_t header = example();
    bus_header_t decoded;
    uint8_t bytes[BUS_HEADER_MAX_BYTES];
    size_t size = bus_header_encode(&header, bytes);
    assert_int_equal(bus_header_decode(bytes, size, &decoded, NULL), ERR_OK);
    assert_same(&decoded, &header);
}

static void the_longest_header_fits(void **state)
{
    (void)state;
    bus_header_t header = example();
    bus_header_t decoded;
    uint8_t bytes[BUS_HEADER_MAX_BYTES];
    header.message = header.budget_ms = header.credit = header.attempt = header.status = UINT32_MAX;
    header.correlation = UINT64_MAX;
    memset(header.service, 's', sizeof header.service - 1);
    memset(header.instance, 'i', sizeof header.instance - 1);
    memset(header.traceparent, 't', sizeof header.traceparent - 1);
    size_t size = bus_header_encode(&header, bytes);
    assert_int_equal(bus_header_decode(bytes, size, &decoded, NULL), ERR_OK);
    assert_same(&decoded, &header);
}

static void cut_anywhere_is_refused(void **state)
{
    (void)state;
    bus_header_t header = example();
    uint8_t bytes[BUS_HEADER_MAX_BYTES];
    size_t size = bus_header_encode(&header, bytes);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, bytes, cut);
        assert_refused(exact, cut, "header: ");
        free(exact);
    }
}

static void trailing_bytes_are_refused(void **state)
{
    (void)state;
    bus_header_t header = example();
    uint8_t bytes[BUS_HEADER_MAX_BYTES];
    size_t size = bus_header_encode(&header, bytes);
    bytes[size] = 0xc0;
    assert_refused(bytes, size + 1, "trailing bytes");
}

static void appended_elements_are_skipped(void **state)
{
    (void)state;
    bus_header_t header = example();
    bus_header_t decoded;
    uint8_t bytes[BUS_HEADER_MAX_BYTES];
    size_t size = bus_header_encode(&header, bytes);
    bytes[0] = 0x9e; /* two more */
    memcpy(bytes + size, "\x82\x01\x92\xc0\xc3\x02\xa1x", 8);
    bytes[size + 8] = 0x07;
    assert_int_equal(bus_header_decode(bytes, size + 9, &decoded, NULL), ERR_OK);
    assert_same(&decoded, &header);
    assert_refused(bytes, size + 8, "element 13: cut off");
    assert_refused(bytes, size, "element 12: cut off");
}

static void fewer_elements_are_refused(void **state)
{
    (void)state;
    bus_header_t header = example();
    uint8_t bytes[BUS_HEADER_MAX_BYTES];
    size_t size = bus_header_encode(&header, bytes);
    bytes[0] = 0x9b;
    assert_refused(bytes, size, "11 elements are too few");
    bytes[0] = 0x80;
    assert_refused(bytes, size, "not an array");
    assert_refused(NULL, 0, "not an array");
}

static void versions_and_kinds_we_do_not_speak_are_refused(void **state)
{
    (void)state;
    bus_header_t header = example();
    uint8_t bytes[BUS_HEADER_MAX_BYTES];
    header.version = BUS_VERSION + 1;
    assert_refused(bytes, bus_header_encode(&header, bytes), "version 2 is not spoken here");
    header.version = BUS_VERSION;
    header.kind = 0;
    assert_refused(bytes, bus_header_encode(&header, bytes), "kind 0 is unknown");
    header.kind = BUS_BYE + 1;
    assert_refused(bytes, bus_header_encode(&header, bytes), "kind 11 is unknown");
}

/* The example, but with these bytes in place of one element. */
static size_t with_element(size_t index, const void *value, size_t value_size, uint8_t *buffer)
{
    bus_header_t header = example();
    uint8_t bytes[BUS_HEADER_MAX_BYTES];
    size_t size = bus_header_encode(&header, bytes);
    mp_reader_t reader = mp_reader(bytes, size);
    uint32_t count;
    assert_true(mp_read_array(&reader, &count));
    for (size_t i = 0; i < index; i++)
        assert_true(mp_skip(&reader));
    size_t before = (size_t)(reader.next - bytes);
    assert_true(mp_skip(&reader));
    size_t after = (size_t)(reader.end - reader.next);
    memcpy(buffer, bytes, before);
    memcpy(buffer + before, value, value_size);
    memcpy(buffer + before + value_size, reader.next, after);
    return before + value_size + after;
}

static void each_wrong_element_is_named(void **state)
{
    (void)state;
    static const struct {
        size_t index;
        const char *value;
        size_t size;
        const char *reason;
    } cases[] = {
        {0, "\xc0", 1, "version: not a 32-bit number"},
        {2, "\xff", 1, "message: not a 32-bit number"},
        {2, "\xcf\0\0\0\1\0\0\0\0", 9, "message: not a 32-bit number"},
        {3, "\xff", 1, "correlation: not a 64-bit number"},
        {4, "\xc4\x02xx", 4, "request_id: not 16 bytes"},
        {4, "\xb0xxxxxxxxxxxxxxxx", 17, "request_id: not 16 bytes"},
        {5, "\xc4\x01x", 3, "service: not text"},
        {5, "\xd9\x20xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 34, "service: too long"},
        {5, "\xa1\0", 2, "service: not printable ASCII"},
        {6, "\xa1\x1b", 2, "instance: not printable ASCII"},
        {6, "\xa2\xc3\xa9", 3, "instance: not printable ASCII"},
        {11, "\xa1\x7f", 2, "traceparent: not printable ASCII"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[BUS_HEADER_MAX_BYTES];
        size_t size = with_element(cases[i].index, cases[i].value, cases[i].size, bytes);
        assert_refused(bytes, size, cases[i].reason);
    }
}

static void oversize_headers_are_not_looked_at(void **state)
{
    (void)state;
    uint8_t bytes[BUS_HEADER_MAX_BYTES + 1] = {0x9c};
    assert_refused(bytes, sizeof bytes, "513 bytes are too many");
}

static void kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(bus_kind_name(BUS_READY), "READY");
    assert_string_equal(bus_kind_name(BUS_BYE), "BYE");
    assert_string_equal(bus_kind_name(0), "?");
    assert_string_equal(bus_kind_name(BUS_BYE + 1), "?");
    assert_string_equal(bus_kind_name(UINT32_MAX), "?");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_bytes_never_change),
    cmocka_unit_test(every_field_survives_the_round_trip),
    cmocka_unit_test(the_longest_header_fits),
    cmocka_unit_test(cut_anywhere_is_refused),
    cmocka_unit_test(trailing_bytes_are_refused),
    cmocka_unit_test(appended_elements_are_skipped),
    cmocka_unit_test(fewer_elements_are_refused),
    cmocka_unit_test(versions_and_kinds_we_do_not_speak_are_refused),
    cmocka_unit_test(each_wrong_element_is_named),
    cmocka_unit_test(oversize_headers_are_not_looked_at),
    cmocka_unit_test(kinds_have_names),
};

TEST_MAIN(tests)
