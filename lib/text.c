/* text.c - borrowed text, and UTF-8 as RFC 3629 defines it.
 *
 * Called by every edge with bytes from outside: nothing here reads past the size it is given.
 */
#include "lib/text.h"

#include <string.h>

#include "lib/err.h"

str_t str_of(const char *text)
{
    if (!text)
        return (str_t){NULL, 0};
    size_t size = strlen(text);
    CHECK(size <= UINT32_MAX);
    return (str_t){text, (uint32_t)size};
}

bool str_is(str_t s, const char *text)
{
    return str_equal(s, str_of(text));
}

bool str_equal(str_t a, str_t b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

const char *str_copy(str_t s, char *buffer, size_t capacity)
{
    CHECK(capacity > 0);
    size_t size = s.size;
    if (size >= capacity) {
        size = capacity - 1;
        while (size > 0 && is_continuation(s.data[size])) /* never half a character */
            size--;
    }
    if (size > 0)
        memcpy(buffer, s.data, size);
    buffer[size] = '\0';
    return buffer;
}

/* Bytes of the well-formed sequence at the start of `at`, 0 when there is none (RFC 3629 section
 * 4). */
static size_t sequence_size(const unsigned char *at, size_t left)
{
    unsigned char lead = at[0];
    if (lead < 0x80)
        return 1;
    size_t size = lead >= 0xc2 && lead <= 0xdf   ? 2
                  : lead >= 0xe0 && lead <= 0xef ? 3
                  : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                 : 0;
    if (size == 0 || size > left)
        return 0;
    /* The second byte's range rules out overlong forms (E0, F0), surrogates (ED) and what lies past
     * U+10FFFF (F4). */
    unsigned char least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < least || at[1] > most)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

/* Eight bytes at the start, all of them ASCII? Most text is, and each message is looked through. */
static bool eight_are_ascii(const unsigned char *at, size_t left)
{
    uint64_t bytes;
    if (left < sizeof bytes)
        return false;
    memcpy(&bytes, at, sizeof bytes);
    return (bytes & UINT64_C(0x8080808080808080)) == 0;
}

bool utf8_valid(const char *data, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)data;
    for (size_t i = 0; i < size;) {
        size_t step = eight_are_ascii(bytes + i, size - i) ? 8 : sequence_size(bytes + i, size - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

size_t utf8_length(const char *data, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; i < size; i++)
        length += !is_continuation(data[i]);
    return length;
}

bool utf8_has_control(const char *data, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)data;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] < 0x20 || bytes[i] == 0x7f)
            return true;
        if (bytes[i] == 0xc2 && i + 1 < size && bytes[i + 1] < 0xa0) /* U+0080 … U+009F */
            return true;
    }
    return false;
}
