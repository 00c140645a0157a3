/* test_messages_msgpackc.c - our codec against msgpack-c, both ways, for every message: what it
 * packs are our bytes, and what we write it reads to the same values.
 */
#include "tests/support/test_main.h"

#include <msgpack.h>

#include "tests/support/message_sample.h"

static void pack_text(msgpack_packer *packer, str_t text)
{
    msgpack_pack_str(packer, text.size);
    msgpack_pack_str_body(packer, text.data, text.size);
}

static void pack_field(msgpack_packer *packer, const field_schema_t *field, const void *message)
{
    const uint8_t *member = (const uint8_t *)message + field->offset;
    int64_t number;
    bool truth;
    str_t text;
    msgpack_pack_uint32(packer, field->number);
    switch (field->type) {
    case FIELD_UUID:
        msgpack_pack_bin(packer, sizeof(uuid_t));
        msgpack_pack_bin_body(packer, member, sizeof(uuid_t));
        break;
    case FIELD_INT:
        memcpy(&number, member, sizeof number);
        msgpack_pack_int64(packer, number);
        break;
    case FIELD_BOOL:
        memcpy(&truth, member, sizeof truth);
        (void)(truth ? msgpack_pack_true(packer) : msgpack_pack_false(packer));
        break;
    case FIELD_STR:
    case FIELD_JSON:
        memcpy(&text, member, sizeof text);
        pack_text(packer, text);
        break;
    }
}

static void assert_msgpackc_packs_the_same(const message_schema_t *schema, bool optional_too)
{
    sample_t sample;
    uint8_t ours[4096];
    sample_fill(&sample, schema, optional_too);
    size_t size = message_encode(schema->id, &sample.message, ours, sizeof ours);

    msgpack_sbuffer theirs;
    msgpack_packer packer;
    msgpack_sbuffer_init(&theirs);
    msgpack_packer_init(&packer, &theirs, msgpack_sbuffer_write);
    size_t pairs = 0;
    for (size_t f = 0; f < schema->field_count; f++)
        pairs += optional_too || schema->fields[f].required;
    msgpack_pack_map(&packer, pairs);
    for (size_t f = 0; f < schema->field_count; f++)
        if (optional_too || schema->fields[f].required)
            pack_field(&packer, &schema->fields[f], &sample.message);
    assert_int_equal(theirs.size, size);
    assert_memory_equal(theirs.data, ours, size);
    msgpack_sbuffer_destroy(&theirs);
}

static void msgpack_c_packs_the_same_bytes(void **state)
{
    (void)state;
    size_t count;
    const message_schema_t *schemas = message_schemas(&count);
    for (size_t i = 0; i < count; i++) {
        assert_msgpackc_packs_the_same(&schemas[i], true);
        assert_msgpackc_packs_the_same(&schemas[i], false);
    }
}

static void assert_same_value(const field_schema_t *field, const void *message,
                              const msgpack_object *object)
{
    const uint8_t *member = (const uint8_t *)message + field->offset;
    int64_t number;
    bool truth;
    str_t text;
    switch (field->type) {
    case FIELD_UUID:
        assert_int_equal(object->type, MSGPACK_OBJECT_BIN);
        assert_int_equal(object->via.bin.size, sizeof(uuid_t));
        assert_memory_equal(object->via.bin.ptr, member, sizeof(uuid_t));
        break;
    case FIELD_INT:
        memcpy(&number, member, sizeof number);
        assert_int_equal(object->type, number < 0 ? MSGPACK_OBJECT_NEGATIVE_INTEGER
                                                  : MSGPACK_OBJECT_POSITIVE_INTEGER);
        assert_true(object->via.i64 == number);
        break;
    case FIELD_BOOL:
        memcpy(&truth, member, sizeof truth);
        assert_int_equal(object->type, MSGPACK_OBJECT_BOOLEAN);
        assert_int_equal(object->via.boolean, truth);
        break;
    case FIELD_STR:
    case FIELD_JSON:
        memcpy(&text, member, sizeof text);
        assert_int_equal(object->type, MSGPACK_OBJECT_STR);
        assert_int_equal(object->via.str.size, text.size);
        assert_memory_equal(object->via.str.ptr, text.data, text.size);
        break;
    }
}

static void msgpack_c_reads_the_same_values(void **state)
{
    (void)state;
    size_t count;
    const message_schema_t *schemas = message_schemas(&count);
    for (size_t i = 0; i < count; i++) {
        sample_t sample;
        uint8_t ours[4096];
        sample_fill(&sample, &schemas[i], true);
        size_t size = message_encode(schemas[i].id, &sample.message, ours, sizeof ours);
        msgpack_unpacked unpacked;
        size_t offset = 0;
        msgpack_unpacked_init(&unpacked);
        assert_int_equal(msgpack_unpack_next(&unpacked, (const char *)ours, size, &offset),
                         MSGPACK_UNPACK_SUCCESS);
        assert_int_equal(offset, size);
        assert_int_equal(unpacked.data.type, MSGPACK_OBJECT_MAP);
        assert_int_equal(unpacked.data.via.map.size, schemas[i].field_count);
        for (size_t f = 0; f < schemas[i].field_count; f++) {
            const msgpack_object_kv *pair = &unpacked.data.via.map.ptr[f];
            assert_int_equal(pair->key.via.u64, schemas[i].fields[f].number);
            assert_same_value(&schemas[i].fields[f], &sample.message, &pair->val);
        }
        msgpack_unpacked_destroy(&unpacked);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(msgpack_c_packs_the_same_bytes),
    cmocka_unit_test(msgpack_c_reads_the_same_values),
};

TEST_MAIN(tests)
