/* fuzz_form.c - forms of anybody: every pair ends where it should, what is decoded was there, and
 * what is written is read again. */
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static str_t text_of(const buf_t *buf)
{
    return (str_t){buf->data, (uint32_t)buf->size};
}

/* The field once more, as we write it, is the same field. */
static void write_and_read(const form_field_t *field)
{
    buf_t name = {0}, value = {0}, written = {0}, read = {0};
    form_decode(field->name, &name);
    form_decode(field->value, &value);
    CHECK(name.size <= field->name.size && value.size <= field->value.size);
    buf_add(&name, "", 1); /* terminated, and no NUL inside: else it is no name */
    if (strlen(name.data) + 1 == name.size) {
        CHECK(form_name_is(field, name.data));
        form_add_str(&written, name.data, text_of(&value));
        form_add(&written, "another", "x");
        if (name.size > 1 || value.size > 0) {
            CHECK(form_get(text_of(&written), name.data, &read));
            CHECK(str_equal(text_of(&read), text_of(&value)));
        }
    } else {
        CHECK(!form_name_is(field, name.data));
    }
    buf_free(&name);
    buf_free(&value);
    buf_free(&written);
    buf_free(&read);
}

static void copy_bounded(str_t form, const char *name)
{
    char value[16];
    buf_t whole = {0};
    memset(value, 'x', sizeof value);
    const bool found = form_get(form, name, &whole);
    const bool fits = form_copy(form, name, value, sizeof value);
    CHECK(memchr(value, 0, sizeof value));
    CHECK(fits == (found && whole.size < sizeof value &&
                   (whole.size == 0 || !memchr(whole.data, 0, whole.size))));
    CHECK(strlen(value) == (fits ? whole.size : 0));
    CHECK(!fits || whole.size == 0 || memcmp(value, whole.data, whole.size) == 0);
    buf_free(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const str_t form = {(const char *)data, (uint32_t)size};
    const char *before = form.data, *end = form.data + size;
    str_t rest = form;
    form_field_t field;
    while (form_next(&rest, &field)) {
        CHECK(field.name.data >= before && field.name.data + field.name.size <= field.value.data);
        CHECK(field.value.data + field.value.size <= end);
        CHECK(rest.data > before && rest.data + rest.size == end);
        before = field.name.data;
        write_and_read(&field);
    }
    CHECK(rest.size == 0);
    copy_bounded(form, "hash");
    copy_bounded(form, "a");
    copy_bounded(form, "");
    return 0;
}
