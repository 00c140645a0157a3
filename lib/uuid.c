/* uuid.c - UUIDs of RFC 9562.
 *
 * Version 7 is made by its method 1 (section 6.2): the 12 bits after the time are a counter that
 * begins at 10 random bits in each new millisecond and is stepped for each further UUID of the same
 * thread; the 62 bits after it are random always. When the wall clock stands still or is set back,
 * the thread goes on from its last millisecond.
 */
#include "lib/uuid.h"

#include <string.h>
#include <sys/random.h>

#include "lib/clock.h"
#include "lib/err.h"

enum {
    COUNTER_MAX = 0xfff,
    COUNTER_SEED_MASK = 0x3ff,
    TEXT_LENGTH = UUID_TEXT_SIZE - 1,
    RANDOM_BYTES = 10,
    DRAWN_TOGETHER = 16
};

uuid_t uuid7_make(int64_t wall_ms, const uint8_t random[10])
{
    uuid_t uuid;
    for (unsigned i = 0; i < 6; i++)
        uuid.bytes[i] = (uint8_t)((uint64_t)wall_ms >> (40 - 8 * i));
    memcpy(uuid.bytes + 6, random, 10);
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x70);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

/* From the kernel, for several UUIDs at once: a call costs ten times as much as the bytes of one. */
static void draw(uint8_t random[RANDOM_BYTES])
{
    static _Thread_local uint8_t drawn[RANDOM_BYTES * DRAWN_TOGETHER];
    static _Thread_local size_t left;
    if (left == 0) {
        /* Up to 256 bytes are never cut short (getrandom(2)). */
        CHECK(getrandom(drawn, sizeof drawn, 0) == (ssize_t)sizeof drawn);
        left = sizeof drawn;
    }
    left -= RANDOM_BYTES;
    memcpy(random, drawn + left, RANDOM_BYTES);
}

uuid_t uuid7_new(void)
{
    static _Thread_local int64_t last_ms;
    static _Thread_local unsigned counter;

    uint8_t random[RANDOM_BYTES];
    draw(random);
    unsigned seed = ((unsigned)random[0] << 8 | random[1]) & COUNTER_SEED_MASK;
    int64_t now_ms = clock_wall_us() / 1000;
    if (now_ms > last_ms) {
        last_ms = now_ms;
        counter = seed;
    } else if (counter < COUNTER_MAX) {
        counter++;
    } else {
        last_ms++;
        counter = seed;
    }
    random[0] = (uint8_t)(counter >> 8);
    random[1] = (uint8_t)counter;
    return uuid7_make(last_ms, random);
}

/* Is there a dash before the byte of this index? */
static bool dash_before(unsigned byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

const char *uuid_format(const uuid_t *uuid, char text[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *at = text;
    for (unsigned i = 0; i < 16; i++) {
        if (dash_before(i))
            *at++ = '-';
        *at++ = digits[uuid->bytes[i] >> 4];
        *at++ = digits[uuid->bytes[i] & 15];
    }
    *at = '\0';
    return text;
}

/* 0 … 15, or -1. */
static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool uuid_parse(const char *text, size_t size, uuid_t *uuid)
{
    if (size != TEXT_LENGTH)
        return false;
    uuid_t parsed;
    const char *at = text;
    for (unsigned i = 0; i < 16; i++) {
        if (dash_before(i) && *at++ != '-')
            return false;
        int high = hex_value(*at++);
        int low = hex_value(*at++);
        if (high < 0 || low < 0)
            return false;
        parsed.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *uuid = parsed;
    return true;
}

bool uuid_equal(const uuid_t *a, const uuid_t *b)
{
    return uuid_compare(a, b) == 0;
}

bool uuid_is_nil(const uuid_t *uuid)
{
    static const uuid_t nil;
    return uuid_equal(uuid, &nil);
}

int uuid_compare(const uuid_t *a, const uuid_t *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}
