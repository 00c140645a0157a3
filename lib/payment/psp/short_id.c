/* short_id.c - see short_id.h. Base 62, the most significant digit first. */
#include "lib/payment/psp/short_id.h"

#include <string.h>

enum { DIGITS = SHORT_ID_SIZE - 1, BASE = 62 };

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const char *short_id_format(const uuid_t *id, char text[SHORT_ID_SIZE])
{
    uint8_t left[sizeof id->bytes];
    memcpy(left, id->bytes, sizeof left);
    for (size_t digit = DIGITS; digit-- > 0;) {
        unsigned rest = 0;
        for (size_t i = 0; i < sizeof left; i++) {
            const unsigned value = rest << 8 | left[i];
            left[i] = (uint8_t)(value / BASE);
            rest = value % BASE;
        }
        text[digit] = alphabet[rest];
    }
    text[DIGITS] = '\0';
    return text;
}

bool short_id_parse(str_t text, uuid_t *id)
{
    if (text.size != DIGITS)
        return false;
    memset(id->bytes, 0, sizeof id->bytes);
    for (uint32_t digit = 0; digit < text.size; digit++) {
        const char *at = memchr(alphabet, text.data[digit], BASE);
        if (!at)
            return false;
        unsigned carry = (unsigned)(at - alphabet);
        for (size_t i = sizeof id->bytes; i-- > 0;) {
            const unsigned value = id->bytes[i] * (unsigned)BASE + carry;
            id->bytes[i] = (uint8_t)value;
            carry = value >> 8;
        }
        if (carry != 0)
            return false;
    }
    return true;
}
