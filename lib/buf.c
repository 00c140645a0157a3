/* buf.c - bytes that grow up to a bound, and the JSON writer.
 *
 * The writer keeps no state of its own: whether a comma is due is seen in the last byte, since no
 * JSON value ends in one of
 * `{ [ : ,`. After a newline a new document begins (several documents in one buffer, one a line).
 * Memory that cannot be had counts as the bound being reached: the caller sees `overflow`.
 */
#include "lib/buf.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"

enum { CAPACITY_MIN = 256 };

/* So that doubling a capacity never wraps around. */
#define LIMIT_MAX (SIZE_MAX / 4)

void buf_init(buf_t *buf, size_t limit)
{
    *buf = (buf_t){.limit = limit};
}

void buf_free(buf_t *buf)
{
    free(buf->data);
    *buf = (buf_t){0};
}

void buf_clear(buf_t *buf)
{
    buf->size = 0;
    buf->overflow = false;
    if (buf->data)
        buf->data[0] = '\0';
}

/* Makes room for `size` more bytes and the NUL; false, and overflow, when the bound does not allow
 * it. */
static bool grow(buf_t *buf, size_t size)
{
    size_t limit = buf->limit ? buf->limit : BUF_LIMIT_DEFAULT;
    if (limit > LIMIT_MAX)
        limit = LIMIT_MAX;
    if (buf->overflow || size > limit || buf->size > limit - size) {
        buf->overflow = true;
        return false;
    }
    size_t needed = buf->size + size + 1;
    size_t capacity = buf->capacity ? buf->capacity : CAPACITY_MIN;
    while (capacity < needed)
        capacity *= 2;
    if (capacity > limit + 1)
        capacity = limit + 1;
    char *data = realloc(buf->data, capacity);
    if (!data) {
        buf->overflow = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

/* Is there room for `size` more bytes and the NUL? What was allocated is within the bound. */
static inline bool reserve(buf_t *buf, size_t size)
{
    return (!buf->overflow && size < buf->capacity - buf->size) || grow(buf, size);
}

void buf_add(buf_t *buf, const void *data, size_t size)
{
    if (!reserve(buf, size))
        return;
    if (size > 0)
        memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    buf->data[buf->size] = '\0';
}

void buf_add_text(buf_t *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_add_int(buf_t *buf, int64_t value)
{
    char text[20], *at = text + sizeof text; /* as long as the least one */
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do
        *--at = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (value < 0)
        *--at = '-';
    buf_add(buf, at, (size_t)(text + sizeof text - at));
}

void buf_printf(buf_t *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0 || !reserve(buf, (size_t)size)) {
        buf->overflow = true;
        return;
    }
    va_start(args, format);
    vsnprintf(buf->data + buf->size, (size_t)size + 1, format, args);
    va_end(args);
    buf->size += (size_t)size;
}

/* ---- JSON ---- */

static void add_escape(buf_t *buf, unsigned char byte)
{
    static const char letters[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (byte == '"' || byte == '\\')
        buf_add(buf, (char[]){'\\', (char)byte}, 2);
    else if (byte < sizeof letters && letters[byte])
        buf_add(buf, (char[]){'\\', letters[byte]}, 2);
    else
        buf_printf(buf, "\\u%04x", byte);
}

/* Bytes at the start of `data` that go into a JSON text as they are. */
static size_t plain_run(const char *data, size_t size)
{
    size_t i = 0;
    while (i < size && (unsigned char)data[i] >= 0x20 && (unsigned char)data[i] < 0x7f &&
           data[i] != '"' && data[i] != '\\')
        i++;
    return i;
}

/* Bytes of the well-formed UTF-8 sequence at the start, 0 when there is none. */
static size_t utf8_run(const char *data, size_t size)
{
    for (size_t i = 2; i <= 4 && i <= size; i++)
        if (utf8_valid(data, i))
            return i;
    return 0;
}

/* Data that needs no escapes, as nearly all; false when it was not added. */
static bool add_plain_quoted(buf_t *buf, const char *data, size_t size)
{
    if (plain_run(data, size) < size || !reserve(buf, size + 2))
        return false;
    char *at = buf->data + buf->size;
    at[0] = '"';
    if (size > 0)
        memcpy(at + 1, data, size);
    memcpy(at + 1 + size, "\"", 2); /* and the NUL */
    buf->size += size + 2;
    return true;
}

static void add_quoted(buf_t *buf, const char *data, size_t size)
{
    if (add_plain_quoted(buf, data, size))
        return;
    buf_add(buf, "\"", 1);
    while (size > 0) {
        bool ascii = (unsigned char)*data < 0x80;
        size_t step = ascii ? plain_run(data, size) : utf8_run(data, size);
        if (step > 0) {
            buf_add(buf, data, step);
        } else {
            step = 1;
            if (ascii)
                add_escape(buf, (unsigned char)*data);
            else
                buf_add_text(buf, "\xef\xbf\xbd"); /* U+FFFD */
        }
        data += step;
        size -= step;
    }
    buf_add(buf, "\"", 1);
}

/* The comma and the key that go before a value. */
static void begin_value(buf_t *buf, const char *key)
{
    if (buf->size > 0 && !strchr("{[:,\n", buf->data[buf->size - 1]))
        buf_add(buf, ",", 1);
    if (key) {
        add_quoted(buf, key, strlen(key));
        buf_add(buf, ":", 1);
    }
}

void json_open_object(buf_t *buf, const char *key)
{
    begin_value(buf, key);
    buf_add(buf, "{", 1);
}

void json_close_object(buf_t *buf)
{
    buf_add(buf, "}", 1);
}

void json_open_array(buf_t *buf, const char *key)
{
    begin_value(buf, key);
    buf_add(buf, "[", 1);
}

void json_close_array(buf_t *buf)
{
    buf_add(buf, "]", 1);
}

void json_text(buf_t *buf, const char *key, const char *text)
{
    begin_value(buf, key);
    add_quoted(buf, text, strlen(text));
}

void json_str(buf_t *buf, const char *key, str_t text)
{
    begin_value(buf, key);
    add_quoted(buf, text.data, text.size);
}

void json_int(buf_t *buf, const char *key, int64_t value)
{
    begin_value(buf, key);
    buf_add_int(buf, value);
}

void json_bool(buf_t *buf, const char *key, bool value)
{
    begin_value(buf, key);
    buf_add_text(buf, value ? "true" : "false");
}

void json_nil(buf_t *buf, const char *key)
{
    begin_value(buf, key);
    buf_add_text(buf, "null");
}

void json_uuid(buf_t *buf, const char *key, const uuid_t *uuid)
{
    char text[UUID_TEXT_SIZE];
    json_text(buf, key, uuid_format(uuid, text));
}

void json_time(buf_t *buf, const char *key, int64_t wall_us)
{
    char text[RFC3339_SIZE];
    json_text(buf, key, rfc3339_format(wall_us, text));
}

void json_raw(buf_t *buf, const char *key, const char *data, size_t size)
{
    while (size > 0 && strchr(" \t\r\n", data[size - 1]))
        size--;
    if (size == 0) {
        json_nil(buf, key);
        return;
    }
    begin_value(buf, key);
    buf_add(buf, data, size);
}
