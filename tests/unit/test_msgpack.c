/* test_msgpack.c - the reader on every form of every type, on lies and on cuts; the writer at its
 * bounds. */
#include "tests/support/test_main.h"

#include <msgpack.h>
#include <string.h>

#include "lib/msgpack.h"

#define READER(...) \
    mp_reader((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* ---- integers ---- */

static void assert_reads_int(mp_reader_t reader, int64_t expected)
{
    int64_t value = 0;
    assert_true(mp_read_int(&reader, &value));
    assert_true(value == expected);
    assert_true(mp_at_end(&reader));
}

static void integers_of_every_width_are_read(void **state)
{
    (void)state;
    assert_reads_int(READER(0x00), 0);
    assert_reads_int(READER(0x7f), 127);
    assert_reads_int(READER(0xe0), -32);
    assert_reads_int(READER(0xff), -1);
    assert_reads_int(READER(0xcc, 0xff), 255);
    assert_reads_int(READER(0xcd, 0xff, 0xff), 65535);
    assert_reads_int(READER(0xce, 0xff, 0xff, 0xff, 0xff), 4294967295);
    assert_reads_int(READER(0xcf, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), INT64_MAX);
    assert_reads_int(READER(0xd0, 0x80), -128);
    assert_reads_int(READER(0xd0, 0x05), 5);
    assert_reads_int(READER(0xd1, 0x80, 0x00), -32768);
    assert_reads_int(READER(0xd2, 0x80, 0x00, 0x00, 0x00), INT32_MIN);
    assert_reads_int(READER(0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0), INT64_MIN);
}

static void integers_out_of_range_are_refused(void **state)
{
    (void)state;
    int64_t number;
    uint64_t natural;
    mp_reader_t large = READER(0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0);
    assert_false(mp_read_int(&large, &number));
    assert_true(mp_read_uint(&large, &natural));
    assert_true(natural == UINT64_C(1) << 63);
    mp_reader_t negative = READER(0xff);
    assert_false(mp_read_uint(&negative, &natural));
    assert_true(mp_read_int(&negative, &number));
    mp_reader_t signed_form = READER(0xd3, 0, 0, 0, 0, 0, 0, 0, 9);
    assert_true(mp_read_uint(&signed_form, &natural));
    assert_true(natural == 9);
}

static const int64_t edges[] = {
    0,         1,  127, 128, 255,  256,  65535,  65536,  UINT32_MAX, (int64_t)UINT32_MAX + 1,
    INT64_MAX, -1, -32, -33, -128, -129, -32768, -32769, INT32_MIN,  (int64_t)INT32_MIN - 1,
    INT64_MIN};

static void integers_are_written_as_msgpack_c_writes_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        msgpack_sbuffer theirs;
        msgpack_packer packer;
        uint8_t ours[9];
        msgpack_sbuffer_init(&theirs);
        msgpack_packer_init(&packer, &theirs, msgpack_sbuffer_write);
        msgpack_pack_int64(&packer, edges[i]);
        mp_writer_t writer = mp_writer(ours, sizeof ours);
        mp_write_int(&writer, edges[i]);
        assert_int_equal(mp_written(&writer), theirs.size);
        assert_memory_equal(ours, theirs.data, theirs.size);
        assert_reads_int(mp_reader(ours, theirs.size), edges[i]);
        msgpack_sbuffer_destroy(&theirs);
    }
    uint8_t bytes[9];
    mp_writer_t writer = mp_writer(bytes, sizeof bytes);
    mp_write_uint(&writer, UINT64_MAX);
    mp_reader_t reader = mp_reader(bytes, mp_written(&writer));
    uint64_t value;
    assert_true(mp_read_uint(&reader, &value));
    assert_true(value == UINT64_MAX);
}

/* ---- text, bytes, containers ---- */

static void text_and_bytes_of_every_width_survive(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536, 70000};
    static char data[70000];
    static uint8_t bytes[70010];
    memset(data, 'x', sizeof data);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        str_t text;
        const uint8_t *found;
        size_t size;
        mp_writer_t writer = mp_writer(bytes, sizeof bytes);
        mp_write_str(&writer, data, sizes[i]);
        mp_reader_t reader = mp_reader(bytes, mp_written(&writer));
        assert_true(mp_read_str(&reader, &text) && mp_at_end(&reader));
        assert_int_equal(text.size, sizes[i]);
        assert_memory_equal(text.data, data, sizes[i]);
        writer = mp_writer(bytes, sizeof bytes);
        mp_write_bin(&writer, data, sizes[i]);
        reader = mp_reader(bytes, mp_written(&writer));
        assert_true(mp_read_bin(&reader, &found, &size) && mp_at_end(&reader));
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(found, data, sizes[i]);
    }
}

static void container_heads_of_every_width_survive(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 15, 16, 65535, 65536, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        uint8_t bytes[10];
        uint32_t count;
        mp_writer_t writer = mp_writer(bytes, sizeof bytes);
        mp_write_array(&writer, counts[i]);
        mp_write_map(&writer, counts[i]);
        mp_reader_t reader = mp_reader(bytes, mp_written(&writer));
        assert_true(mp_read_array(&reader, &count));
        assert_int_equal(count, counts[i]);
        assert_true(mp_read_map(&reader, &count));
        assert_int_equal(count, counts[i]);
        assert_true(mp_at_end(&reader));
    }
}

static void a_refused_read_does_not_move(void **state)
{
    (void)state;
    mp_reader_t reader = READER(0xc3, 0x01);
    str_t text;
    const uint8_t *bytes;
    size_t size;
    uint32_t count;
    int64_t number;
    bool truth = false;
    assert_false(mp_read_str(&reader, &text));
    assert_false(mp_read_bin(&reader, &bytes, &size));
    assert_false(mp_read_array(&reader, &count));
    assert_false(mp_read_map(&reader, &count));
    assert_false(mp_read_int(&reader, &number));
    assert_true(mp_read_bool(&reader, &truth) && truth);
    assert_false(mp_read_bool(&reader, &truth));
    assert_reads_int(reader, 1);
}

/* ---- skipping, and lies ---- */

static void every_type_is_skipped_whole(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[24];
        size_t size;
    } values[] = {
        {{0xc0}, 1},
        {{0xc2}, 1},
        {{0xca, 0}, 5},
        {{0xcb, 0}, 9},
        {{0xc4, 2}, 4},
        {{0xc5, 0, 2}, 5},
        {{0xc6, 0, 0, 0, 2}, 7},
        {{0xc7, 2, 9}, 5},
        {{0xc8, 0, 2, 9}, 6},
        {{0xc9, 0, 0, 0, 2, 9}, 8},
        {{0xd4, 9}, 3},
        {{0xd5, 9}, 4},
        {{0xd6, 9}, 6},
        {{0xd7, 9}, 10},
        {{0xd8, 9}, 18},
        {{0xd9, 2}, 4},
        {{0xda, 0, 2}, 5},
        {{0xdb, 0, 0, 0, 2}, 7},
        {{0x92, 0xa1, 'x', 0x90}, 4},
        {{0xdc, 0, 1, 5}, 4},
        {{0xdd, 0, 0, 0, 1, 5}, 6},
        {{0x81, 1, 0x81, 2, 3}, 5},
        {{0xde, 0, 1, 5, 5}, 5},
        {{0xdf, 0, 0, 0, 1, 5, 5}, 7},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        mp_reader_t reader = mp_reader(values[i].bytes, values[i].size);
        assert_true(mp_skip(&reader));
        assert_true(mp_at_end(&reader));
        for (size_t cut = 0; cut < values[i].size; cut++) {
            reader = mp_reader(values[i].bytes, cut);
            const uint8_t *before = reader.next;
            assert_false(mp_skip(&reader));
            assert_ptr_equal(reader.next, before);
        }
    }
}

static void the_byte_without_meaning_is_refused(void **state)
{
    (void)state;
    mp_reader_t reader = READER(0xc1);
    assert_false(mp_skip(&reader));
    mp_reader_t inside = READER(0x91, 0xc1);
    assert_false(mp_skip(&inside));
}

static void claims_beyond_the_input_are_refused(void **state)
{
    (void)state;
    str_t text;
    mp_reader_t array = READER(0xdd, 0xff, 0xff, 0xff, 0xff, 0xdd, 0xff, 0xff, 0xff, 0xff);
    assert_false(mp_skip(&array));
    mp_reader_t map = READER(0xdf, 0xff, 0xff, 0xff, 0xff, 0x01);
    assert_false(mp_skip(&map));
    mp_reader_t long_text = READER(0xdb, 0xff, 0xff, 0xff, 0xff, 'x');
    assert_false(mp_read_str(&long_text, &text));
    mp_reader_t ext = READER(0xc9, 0xff, 0xff, 0xff, 0xff, 1);
    assert_false(mp_skip(&ext));
}

static void depth_costs_no_stack(void **state)
{
    (void)state;
    size_t depth = 4 * 1024 * 1024;
    uint8_t *nested = malloc(depth + 1);
    memset(nested, 0x91, depth);
    nested[depth] = 0xc0;
    mp_reader_t reader = mp_reader(nested, depth + 1);
    assert_true(mp_skip(&reader));
    assert_true(mp_at_end(&reader));
    reader = mp_reader(nested, depth);
    assert_false(mp_skip(&reader));
    free(nested);
}

/* ---- the writer's bound ---- */

static void a_full_writer_writes_no_more(void **state)
{
    (void)state;
    uint8_t bytes[4] = {9, 9, 9, 9};
    mp_writer_t writer = mp_writer(bytes, 3);
    mp_write_int(&writer, 1);
    assert_int_equal(mp_written(&writer), 1);
    mp_write_str(&writer, "abc", 3);
    assert_true(writer.overflow);
    mp_write_bool(&writer, true); /* would fit, but something before it is missing */
    assert_int_equal(mp_written(&writer), 0);
    assert_int_equal(bytes[3], 9);
    mp_writer_t none = mp_writer(NULL, 0);
    mp_write_map(&none, 0);
    assert_true(none.overflow);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(integers_of_every_width_are_read),
    cmocka_unit_test(integers_out_of_range_are_refused),
    cmocka_unit_test(integers_are_written_as_msgpack_c_writes_them),
    cmocka_unit_test(text_and_bytes_of_every_width_survive),
    cmocka_unit_test(container_heads_of_every_width_survive),
    cmocka_unit_test(a_refused_read_does_not_move),
    cmocka_unit_test(every_type_is_skipped_whole),
    cmocka_unit_test(the_byte_without_meaning_is_refused),
    cmocka_unit_test(claims_beyond_the_input_are_refused),
    cmocka_unit_test(depth_costs_no_stack),
    cmocka_unit_test(a_full_writer_writes_no_more),
};

TEST_MAIN(tests)
