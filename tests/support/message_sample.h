/* message_sample.h - values for every field of every message, derived from the schema alone, so
 * that a new message is covered by the tests without a line of test code. The values are fixed: the
 * golden bytes depend on them.
 */
#ifndef TIFFIN_TESTS_MESSAGE_SAMPLE_H
#define TIFFIN_TESTS_MESSAGE_SAMPLE_H

#include <stdio.h>
#include <string.h>

#include "proto/messages.h"

typedef union message_any {
    uint8_t bytes[MESSAGE_STRUCT_MAX];
    uint64_t aligned;
    void *pointer;
} message_any_t;

enum { SAMPLE_FIELDS_MAX = 32, SAMPLE_TEXT_MAX = 64 };

/* The text that a sample's str_t point to. */
typedef struct sample {
    message_any_t message;
    char texts[SAMPLE_FIELDS_MAX][SAMPLE_TEXT_MAX];
} sample_t;

static inline void sample_put(void *message, const field_schema_t *field, const void *value,
                              size_t size)
{
    memcpy((uint8_t *)message + field->offset, value, size);
}

static inline str_t sample_text(const field_schema_t *field, char text[SAMPLE_TEXT_MAX])
{
    const char *before = field->type == FIELD_JSON ? "{\"" : "";
    const char *after = field->type == FIELD_JSON ? "\":\"é\"}" : " é";
    int size = snprintf(text, SAMPLE_TEXT_MAX, "%s%s%s", before, field->name, after);
    if ((uint32_t)size > field->max_bytes) /* room for a prefix only */
        size = snprintf(text, SAMPLE_TEXT_MAX, "%.*s", (int)field->max_bytes, field->name);
    return (str_t){text, (uint32_t)size};
}

/* One of every width there is on the wire. */
static inline int64_t sample_number(uint32_t number)
{
    static const int64_t numbers[] = {45000, -1,    127,       128,       1771632000123456,
                                      -33,   -129,  INT64_MIN, INT64_MAX, 255,
                                      256,   65536, -32769,    4294967296};
    return numbers[number % (sizeof numbers / sizeof numbers[0])];
}

static inline void sample_field(sample_t *sample, const message_schema_t *schema, size_t index)
{
    const field_schema_t *field = &schema->fields[index];
    uuid_t uuid;
    int64_t number = sample_number(field->number);
    bool truth = true;
    str_t text;
    switch (field->type) {
    case FIELD_UUID:
        for (size_t i = 0; i < sizeof uuid.bytes; i++)
            uuid.bytes[i] = (uint8_t)(schema->id + field->number * 16 + i);
        sample_put(&sample->message, field, &uuid, sizeof uuid);
        break;
    case FIELD_INT:
        sample_put(&sample->message, field, &number, sizeof number);
        break;
    case FIELD_BOOL:
        sample_put(&sample->message, field, &truth, sizeof truth);
        break;
    case FIELD_STR:
    case FIELD_JSON:
        text = sample_text(field, sample->texts[index]);
        sample_put(&sample->message, field, &text, sizeof text);
        break;
    }
}

/* Every field, or the required ones only. */
static inline void sample_fill(sample_t *sample, const message_schema_t *schema, bool optional_too)
{
    memset(sample, 0, sizeof *sample);
    for (size_t i = 0; i < schema->field_count; i++)
        if (optional_too || schema->fields[i].required)
            sample_field(sample, schema, i);
}

static inline size_t sample_field_size(const field_schema_t *field)
{
    switch (field->type) {
    case FIELD_UUID:
        return sizeof(uuid_t);
    case FIELD_INT:
        return sizeof(int64_t);
    case FIELD_BOOL:
        return sizeof(bool);
    case FIELD_STR:
    case FIELD_JSON:
        return sizeof(str_t);
    }
    return 0;
}

/* The first field that differs, or NULL. */
static inline const char *message_difference(const message_schema_t *schema, const void *a,
                                             const void *b)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const field_schema_t *field = &schema->fields[i];
        const uint8_t *left = (const uint8_t *)a + field->offset;
        const uint8_t *right = (const uint8_t *)b + field->offset;
        bool same;
        if (field->type == FIELD_STR || field->type == FIELD_JSON) {
            str_t left_text, right_text;
            memcpy(&left_text, left, sizeof left_text);
            memcpy(&right_text, right, sizeof right_text);
            same = str_equal(left_text, right_text);
        } else {
            same = memcmp(left, right, sample_field_size(field)) == 0;
        }
        if (!same)
            return field->name;
    }
    return NULL;
}

#endif
