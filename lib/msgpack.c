/* msgpack.c - see msgpack.h. Everything that is read goes through read_head, the only function that
 * looks at a peer's bytes; everything that is written goes through put.
 */
#include "lib/msgpack.h"

#include <string.h>

#include "lib/err.h"

enum {
    FIXINT_MAX = 0x7f,
    FIXMAP = 0x80,
    FIXARRAY = 0x90,
    FIXSTR = 0xa0,
    NIL = 0xc0,
    FALSE_ = 0xc2,
    TRUE_ = 0xc3,
    BIN8 = 0xc4,
    EXT8 = 0xc7,
    FLOAT32 = 0xca,
    UINT8 = 0xcc,
    INT8 = 0xd0,
    FIXEXT1 = 0xd4,
    STR8 = 0xd9,
    ARRAY16 = 0xdc,
    MAP16 = 0xde,
    NEGATIVE_FIXINT = 0xe0,
};

/* ---- reading ---- */

typedef enum kind {
    KIND_INVALID, /* c1, which the specification never uses */
    KIND_OTHER,   /* nil, floats, extensions: skipped, never read */
    KIND_BOOL,
    KIND_UINT,
    KIND_INT, /* below zero */
    KIND_STR,
    KIND_BIN,
    KIND_ARRAY,
    KIND_MAP,
} kind_t;

/* One value's head: what it is, and how far its bytes reach. */
typedef struct head {
    kind_t kind;
    uint64_t value; /* the integer (two's complement), the boolean, or how many elements or pairs */
    size_t head_bytes;
    uint64_t payload_bytes; /* text, binary, float, extension: what follows the head */
} head_t;

static uint64_t read_big_endian(const uint8_t *bytes, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value = value << 8 | bytes[i];
    return value;
}

static uint64_t sign_extend(uint64_t value, size_t width)
{
    CHECK(width >= 1 && width <= 8);
    uint64_t sign = UINT64_C(1) << (width * 8 - 1);
    return (value ^ sign) - sign;
}

/* The forms whose first byte holds the value or the length. */
static bool classify_fixed(uint8_t first, head_t *head)
{
    head->head_bytes = 1;
    if (first <= FIXINT_MAX) {
        head->kind = KIND_UINT;
        head->value = first;
    } else if (first >= NEGATIVE_FIXINT) {
        head->kind = KIND_INT;
        head->value = sign_extend(first, 1);
    } else if (first < FIXARRAY) {
        head->kind = KIND_MAP;
        head->value = first & 0x0f;
    } else if (first < FIXSTR) {
        head->kind = KIND_ARRAY;
        head->value = first & 0x0f;
    } else if (first < NIL) {
        head->kind = KIND_STR;
        head->payload_bytes = first & 0x1f;
    } else if (first == FALSE_ || first == TRUE_) {
        head->kind = KIND_BOOL;
        head->value = first == TRUE_;
    } else {
        head->kind = first == NIL ? KIND_OTHER : KIND_INVALID;
        return first == NIL;
    }
    return true;
}

/* The forms with a number behind the first byte: its width, and what it means. */
typedef struct form {
    kind_t kind;
    uint8_t width;   /* of the number */
    bool is_length;  /* the number counts the bytes that follow */
    uint8_t payload; /* bytes that follow in any case */
} form_t;

static const form_t forms[] = {
    /* bin 8, 16, 32 */
    {KIND_BIN, 1, true, 0},
    {KIND_BIN, 2, true, 0},
    {KIND_BIN, 4, true, 0},
    /* ext 8, 16, 32: one byte of type before the data */
    {KIND_OTHER, 1, true, 1},
    {KIND_OTHER, 2, true, 1},
    {KIND_OTHER, 4, true, 1},
    /* float 32, 64 */
    {KIND_OTHER, 0, false, 4},
    {KIND_OTHER, 0, false, 8},
    /* uint 8 … 64 */
    {KIND_UINT, 1, false, 0},
    {KIND_UINT, 2, false, 0},
    {KIND_UINT, 4, false, 0},
    {KIND_UINT, 8, false, 0},
    /* int 8 … 64 */
    {KIND_INT, 1, false, 0},
    {KIND_INT, 2, false, 0},
    {KIND_INT, 4, false, 0},
    {KIND_INT, 8, false, 0},
    /* fixext 1 … 16 */
    {KIND_OTHER, 0, false, 2},
    {KIND_OTHER, 0, false, 3},
    {KIND_OTHER, 0, false, 5},
    {KIND_OTHER, 0, false, 9},
    {KIND_OTHER, 0, false, 17},
    /* str 8, 16, 32 */
    {KIND_STR, 1, true, 0},
    {KIND_STR, 2, true, 0},
    {KIND_STR, 4, true, 0},
    /* array 16, 32 */
    {KIND_ARRAY, 2, false, 0},
    {KIND_ARRAY, 4, false, 0},
    /* map 16, 32 */
    {KIND_MAP, 2, false, 0},
    {KIND_MAP, 4, false, 0},
};
_Static_assert(sizeof(forms) / sizeof(forms[0]) == NEGATIVE_FIXINT - BIN8, "one form per byte");

/* False when there is no whole value's head and payload in what is left. */
static bool read_head(const mp_reader_t *reader, head_t *head)
{
    size_t left = (size_t)(reader->end - reader->next);
    if (left == 0)
        return false;
    *head = (head_t){0};
    uint8_t first = reader->next[0];
    if (first < BIN8 || first >= NEGATIVE_FIXINT) {
        if (!classify_fixed(first, head))
            return false;
    } else {
        const form_t *form = &forms[first - BIN8];
        head->kind = form->kind;
        head->head_bytes = 1u + form->width;
        head->payload_bytes = form->payload;
        if (left < head->head_bytes)
            return false;
        uint64_t number = read_big_endian(reader->next + 1, form->width);
        if (form->is_length)
            head->payload_bytes += number;
        else if (form->kind == KIND_INT)
            head->value = sign_extend(number, form->width);
        else
            head->value = number;
    }
    return head->payload_bytes <= left - head->head_bytes;
}

static bool read_kind(mp_reader_t *reader, kind_t kind, head_t *head, const uint8_t **payload)
{
    if (!read_head(reader, head) || head->kind != kind)
        return false;
    const uint8_t *start = reader->next + head->head_bytes;
    if (payload != NULL)
        *payload = start;
    reader->next = start + head->payload_bytes;
    return true;
}

mp_reader_t mp_reader(const void *data, size_t size)
{
    static const uint8_t nothing[1];
    const uint8_t *bytes = size > 0 ? data : nothing;
    return (mp_reader_t){bytes, bytes + size};
}

bool mp_at_end(const mp_reader_t *reader)
{
    return reader->next == reader->end;
}

bool mp_read_bool(mp_reader_t *reader, bool *value)
{
    head_t head;
    if (!read_kind(reader, KIND_BOOL, &head, NULL))
        return false;
    *value = head.value != 0;
    return true;
}

bool mp_read_int(mp_reader_t *reader, int64_t *value)
{
    head_t head;
    if (!read_head(reader, &head))
        return false;
    if (head.kind != KIND_INT && (head.kind != KIND_UINT || head.value > INT64_MAX))
        return false;
    /* Two's complement, without the implementation-defined conversion of large values. */
    memcpy(value, &head.value, sizeof *value);
    reader->next += head.head_bytes;
    return true;
}

bool mp_read_uint(mp_reader_t *reader, uint64_t *value)
{
    head_t head;
    if (!read_head(reader, &head))
        return false;
    if (head.kind != KIND_UINT && (head.kind != KIND_INT || head.value > INT64_MAX))
        return false; /* KIND_INT over INT64_MAX: below zero */
    *value = head.value;
    reader->next += head.head_bytes;
    return true;
}

bool mp_read_str(mp_reader_t *reader, str_t *value)
{
    head_t head;
    const uint8_t *payload;
    if (!read_kind(reader, KIND_STR, &head, &payload))
        return false;
    *value = (str_t){(const char *)payload, (uint32_t)head.payload_bytes};
    return true;
}

bool mp_read_bin(mp_reader_t *reader, const uint8_t **data, size_t *size)
{
    head_t head;
    if (!read_kind(reader, KIND_BIN, &head, data))
        return false;
    *size = (size_t)head.payload_bytes;
    return true;
}

bool mp_read_array(mp_reader_t *reader, uint32_t *count)
{
    head_t head;
    if (!read_kind(reader, KIND_ARRAY, &head, NULL))
        return false;
    *count = (uint32_t)head.value;
    return true;
}

bool mp_read_map(mp_reader_t *reader, uint32_t *pairs)
{
    head_t head;
    if (!read_kind(reader, KIND_MAP, &head, NULL))
        return false;
    *pairs = (uint32_t)head.value;
    return true;
}

bool mp_skip(mp_reader_t *reader)
{
    mp_reader_t cursor = *reader;
    /* How many values are still to come. Each takes a byte at least, so a claim of more than the
     * bytes that are left is a lie; this also keeps the sum from overflowing. */
    uint64_t pending = 1;
    while (pending > 0) {
        head_t head;
        if (!read_head(&cursor, &head))
            return false;
        cursor.next += head.head_bytes + head.payload_bytes;
        pending--;
        if (head.kind == KIND_ARRAY)
            pending += head.value;
        else if (head.kind == KIND_MAP)
            pending += head.value * 2;
        if (pending > (uint64_t)(cursor.end - cursor.next))
            return false;
    }
    *reader = cursor;
    return true;
}

/* ---- writing ---- */

static void put(mp_writer_t *writer, const void *data, size_t size)
{
    if (writer->overflow || size > writer->capacity - writer->size) {
        writer->overflow = true;
        return;
    }
    if (size > 0)
        memcpy(writer->data + writer->size, data, size);
    writer->size += size;
}

static void put_byte(mp_writer_t *writer, unsigned byte)
{
    uint8_t value = (uint8_t)byte;
    put(writer, &value, 1);
}

/* `first`, then the low `width` bytes of the number, most significant first. */
static void put_number(mp_writer_t *writer, unsigned first, uint64_t number, size_t width)
{
    uint8_t bytes[9] = {(uint8_t)first};
    for (size_t i = 0; i < width; i++)
        bytes[width - i] = (uint8_t)(number >> (8 * i));
    put(writer, bytes, width + 1);
}

mp_writer_t mp_writer(void *buffer, size_t capacity)
{
    return (mp_writer_t){buffer, capacity, 0, false};
}

size_t mp_written(const mp_writer_t *writer)
{
    return writer->overflow ? 0 : writer->size;
}

void mp_write_bool(mp_writer_t *writer, bool value)
{
    put_byte(writer, value ? TRUE_ : FALSE_);
}

void mp_write_uint(mp_writer_t *writer, uint64_t value)
{
    if (value <= FIXINT_MAX)
        put_byte(writer, (unsigned)value);
    else if (value <= UINT8_MAX)
        put_number(writer, UINT8, value, 1);
    else if (value <= UINT16_MAX)
        put_number(writer, UINT8 + 1, value, 2);
    else if (value <= UINT32_MAX)
        put_number(writer, UINT8 + 2, value, 4);
    else
        put_number(writer, UINT8 + 3, value, 8);
}

void mp_write_int(mp_writer_t *writer, int64_t value)
{
    uint64_t bits = (uint64_t)value;
    if (value >= 0)
        mp_write_uint(writer, bits);
    else if (value >= -32)
        put_byte(writer, (unsigned)(bits & 0xff));
    else if (value >= INT8_MIN)
        put_number(writer, INT8, bits, 1);
    else if (value >= INT16_MIN)
        put_number(writer, INT8 + 1, bits, 2);
    else if (value >= INT32_MIN)
        put_number(writer, INT8 + 2, bits, 4);
    else
        put_number(writer, INT8 + 3, bits, 8);
}

void mp_write_str(mp_writer_t *writer, const char *data, size_t size)
{
    CHECK(size <= UINT32_MAX);
    if (size < 32)
        put_byte(writer, FIXSTR | (unsigned)size);
    else if (size <= UINT8_MAX)
        put_number(writer, STR8, size, 1);
    else if (size <= UINT16_MAX)
        put_number(writer, STR8 + 1, size, 2);
    else
        put_number(writer, STR8 + 2, size, 4);
    put(writer, data, size);
}

void mp_write_bin(mp_writer_t *writer, const void *data, size_t size)
{
    CHECK(size <= UINT32_MAX);
    if (size <= UINT8_MAX)
        put_number(writer, BIN8, size, 1);
    else if (size <= UINT16_MAX)
        put_number(writer, BIN8 + 1, size, 2);
    else
        put_number(writer, BIN8 + 2, size, 4);
    put(writer, data, size);
}

void mp_write_array(mp_writer_t *writer, uint32_t count)
{
    if (count < 16)
        put_byte(writer, FIXARRAY | count);
    else if (count <= UINT16_MAX)
        put_number(writer, ARRAY16, count, 2);
    else
        put_number(writer, ARRAY16 + 1, count, 4);
}

void mp_write_map(mp_writer_t *writer, uint32_t pairs)
{
    if (pairs < 16)
        put_byte(writer, FIXMAP | pairs);
    else if (pairs <= UINT16_MAX)
        put_number(writer, MAP16, pairs, 2);
    else
        put_number(writer, MAP16 + 1, pairs, 4);
}
