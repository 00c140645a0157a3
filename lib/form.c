/* form.c - see form.h. */
#include "lib/form.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool form_next(str_t *rest, form_field_t *field)
{
    while (rest->size > 0) {
        const char *end = memchr(rest->data, '&', rest->size);
        const uint32_t size = end ? (uint32_t)(end - rest->data) : rest->size;
        const str_t pair = {rest->data, size};
        const uint32_t taken = end ? size + 1 : size;
        rest->data += taken;
        rest->size -= taken;
        if (size == 0)
            continue;
        const char *equals = memchr(pair.data, '=', pair.size);
        const uint32_t name_size = equals ? (uint32_t)(equals - pair.data) : pair.size;
        const uint32_t skipped = equals ? name_size + 1 : name_size;
        field->name = (str_t){pair.data, name_size};
        field->value = (str_t){pair.data + skipped, pair.size - skipped};
        return true;
    }
    return false;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The next decoded byte; *at moves behind it. */
static char next_byte(str_t raw, uint32_t *at)
{
    const char c = raw.data[(*at)++];
    if (c == '+')
        return ' ';
    if (c != '%' || raw.size - *at < 2)
        return c;
    const int high = digit_of(raw.data[*at]), low = digit_of(raw.data[*at + 1]);
    if (high < 0 || low < 0)
        return c;
    *at += 2;
    return (char)(high << 4 | low);
}

bool form_name_is(const form_field_t *field, const char *name)
{
    uint32_t at = 0;
    for (; *name; name++)
        if (at >= field->name.size || next_byte(field->name, &at) != *name)
            return false;
    return at == field->name.size;
}

void form_decode(str_t raw, buf_t *text)
{
    for (uint32_t at = 0; at < raw.size;) {
        const char c = next_byte(raw, &at);
        buf_add(text, &c, 1);
    }
}

static bool find(str_t form, const char *name, str_t *value)
{
    form_field_t field;
    while (form_next(&form, &field))
        if (form_name_is(&field, name)) {
            *value = field.value;
            return true;
        }
    return false;
}

bool form_get(str_t form, const char *name, buf_t *value)
{
    str_t raw;
    if (!find(form, name, &raw))
        return false;
    form_decode(raw, value);
    return true;
}

bool form_copy(str_t form, const char *name, char *value, size_t capacity)
{
    str_t raw;
    size_t size = 0;
    value[0] = '\0';
    if (!find(form, name, &raw))
        return false;
    for (uint32_t at = 0; at < raw.size; size++) {
        const char c = next_byte(raw, &at);
        if (c == '\0' || size + 1 >= capacity) {
            value[0] = '\0';
            return false;
        }
        value[size] = c;
    }
    value[size] = '\0';
    return true;
}

/* ---- writing ---- */

static void encode(buf_t *form, str_t text)
{
    for (uint32_t i = 0; i < text.size; i++) {
        const unsigned char c = (unsigned char)text.data[i];
        if (isalnum(c) || c == '*' || c == '-' || c == '.' || c == '_')
            buf_add(form, &text.data[i], 1);
        else if (c == ' ')
            buf_add(form, "+", 1);
        else
            buf_printf(form, "%%%02X", c);
    }
}

void form_add_str(buf_t *form, const char *name, str_t value)
{
    if (form->size > 0)
        buf_add(form, "&", 1);
    encode(form, str_of(name));
    buf_add(form, "=", 1);
    encode(form, value);
}

void form_add(buf_t *form, const char *name, const char *value)
{
    form_add_str(form, name, str_of(value));
}

void form_add_int(buf_t *form, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    form_add(form, name, text);
}
