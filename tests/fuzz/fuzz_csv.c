/* fuzz_csv.c - comma separated values of anybody: every record moves on, its fields lie in it and
 * are plain text, and what is written of them is read again. */
#include <string.h>

#include "lib/buf.h"
#include "lib/csv.h"
#include "lib/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_field(str_t field, buf_t *text)
{
    buf_add_text(text, "\"");
    for (uint32_t i = 0; i < field.size; i++)
        buf_add(text, field.data[i] == '"' ? "\"\"" : &field.data[i], field.data[i] == '"' ? 2 : 1);
    buf_add_text(text, "\"");
}

static void write_and_read(const csv_record_t *record)
{
    static csv_record_t again;
    buf_t text = {0};
    for (size_t i = 0; i < record->count; i++) {
        if (i > 0)
            buf_add_text(&text, ",");
        write_field(record->fields[i], &text);
    }
    csv_t csv = {.text = {text.data, (uint32_t)text.size}};
    CHECK(csv_next(&csv, &again) == CSV_RECORD);
    CHECK(again.count == record->count);
    for (size_t i = 0; i < record->count; i++)
        CHECK(str_equal(again.fields[i], record->fields[i]));
    CHECK(csv_next(&csv, &again) == CSV_END);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static csv_record_t record;
    csv_t csv = {.text = {(const char *)data, (uint32_t)size}};
    for (;;) {
        const size_t before = csv.at;
        const csv_outcome_t outcome = csv_next(&csv, &record);
        CHECK(csv.at >= before && csv.at <= size);
        if (outcome != CSV_RECORD)
            return 0;
        CHECK(csv.at > before && record.count > 0 && record.count <= CSV_FIELDS_MAX);
        for (size_t i = 0; i < record.count; i++) {
            const str_t field = record.fields[i];
            CHECK(field.data >= record.text &&
                  field.data + field.size <= record.text + sizeof record.text);
            CHECK(utf8_valid(field.data, field.size) && !utf8_has_control(field.data, field.size));
        }
        write_and_read(&record);
    }
}
