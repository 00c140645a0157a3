/* bus_header.c - see bus_header.h. Encoder and decoder walk one table, so they cannot disagree.
 *
 * Who calls: the hub's owner and bus.c for every frame pair, hence no allocation and no search.
 */
#include "lib/bus_header.h"

#include <stdbool.h>
#include <string.h>

#include "lib/msgpack.h"

typedef enum element_type { ELEMENT_U32, ELEMENT_U64, ELEMENT_UUID, ELEMENT_TEXT } element_type_t;

typedef struct element {
    const char *name;
    element_type_t type;
    size_t offset;
    size_t size; /* of the member; text: with its NUL */
} element_t;

#define ELEMENT(type, member)                                    \
    {                                                            \
#member, ELEMENT_##type, offsetof(bus_header_t, member), \
            sizeof(((bus_header_t *)0)->member)                  \
    }

/* The order is the wire's: append only. */
static const element_t elements[] = {
    ELEMENT(U32, version),     ELEMENT(U32, kind),        ELEMENT(U32, message),
    ELEMENT(U64, correlation), ELEMENT(UUID, request_id), ELEMENT(TEXT, service),
    ELEMENT(TEXT, instance),   ELEMENT(U32, budget_ms),   ELEMENT(U32, credit),
    ELEMENT(U32, attempt),     ELEMENT(U32, status),      ELEMENT(TEXT, traceparent),
};
_Static_assert(sizeof(elements) / sizeof(elements[0]) == BUS_HEADER_FIELDS,
               "every field is in the table");
/* Each element's head takes at most 9 bytes, and no member is shorter than what it holds. */
_Static_assert(sizeof(bus_header_t) + (size_t)9 * BUS_HEADER_FIELDS + 5 <= BUS_HEADER_MAX_BYTES,
               "a header always fits");

static void encode_element(mp_writer_t *writer, const element_t *element, const uint8_t *member)
{
    uint32_t u32;
    uint64_t u64;
    const uint8_t *end;
    switch (element->type) {
    case ELEMENT_U32:
        memcpy(&u32, member, sizeof u32);
        mp_write_uint(writer, u32);
        break;
    case ELEMENT_U64:
        memcpy(&u64, member, sizeof u64);
        mp_write_uint(writer, u64);
        break;
    case ELEMENT_UUID:
        mp_write_bin(writer, member, element->size);
        break;
    case ELEMENT_TEXT:
        end = memchr(member, 0, element->size);
        CHECK(end != NULL);
        mp_write_str(writer, (const char *)member, (size_t)(end - member));
        break;
    }
}

size_t bus_header_encode(const bus_header_t *header, uint8_t buffer[BUS_HEADER_MAX_BYTES])
{
    mp_writer_t writer = mp_writer(buffer, BUS_HEADER_MAX_BYTES);
    mp_write_array(&writer, BUS_HEADER_FIELDS);
    for (size_t i = 0; i < BUS_HEADER_FIELDS; i++)
        encode_element(&writer, &elements[i], (const uint8_t *)header + elements[i].offset);
    CHECK(!writer.overflow);
    return mp_written(&writer);
}

static bool is_printable_ascii(str_t text)
{
    for (uint32_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e)
            return false;
    return true;
}

/* NULL, or what is wrong with it. */
static const char *decode_text(mp_reader_t *reader, const element_t *element, uint8_t *member)
{
    str_t text;
    if (!mp_read_str(reader, &text))
        return "not text";
    if (text.size >= element->size)
        return "too long";
    if (!is_printable_ascii(text))
        return "not printable ASCII";
    memcpy(member, text.data, text.size);
    return NULL; /* the rest of the member is zero already */
}

static const char *decode_element(mp_reader_t *reader, const element_t *element, uint8_t *member)
{
    uint64_t number;
    const uint8_t *bytes;
    size_t size;
    switch (element->type) {
    case ELEMENT_U32:
        if (!mp_read_uint(reader, &number) || number > UINT32_MAX)
            return "not a 32-bit number";
        memcpy(member, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
        return NULL;
    case ELEMENT_U64:
        if (!mp_read_uint(reader, &number))
            return "not a 64-bit number";
        memcpy(member, &number, sizeof number);
        return NULL;
    case ELEMENT_UUID:
        if (!mp_read_bin(reader, &bytes, &size) || size != element->size)
            return "not 16 bytes";
        memcpy(member, bytes, size);
        return NULL;
    case ELEMENT_TEXT:
        return decode_text(reader, element, member);
    }
    return "unreachable";
}

err_t bus_header_decode(const uint8_t *data, size_t size, bus_header_t *header,
                        err_detail_t *detail)
{
    memset(header, 0, sizeof *header);
    mp_reader_t reader = mp_reader(data, size);
    uint32_t count;
    if (size > BUS_HEADER_MAX_BYTES)
        return err_set(detail, ERR_WIRE, "header: %zu bytes are too many", size);
    if (!mp_read_array(&reader, &count))
        return err_set(detail, ERR_WIRE, "header: not an array");
    if (count < BUS_HEADER_FIELDS)
        return err_set(detail, ERR_WIRE, "header: %u elements are too few", count);
    for (size_t i = 0; i < BUS_HEADER_FIELDS; i++) {
        uint8_t *member = (uint8_t *)header + elements[i].offset;
        const char *reason = decode_element(&reader, &elements[i], member);
        if (reason != NULL)
            return err_set(detail, ERR_WIRE, "header: %s: %s", elements[i].name, reason);
    }
    /* What a later minor revision appended. */
    for (uint32_t i = BUS_HEADER_FIELDS; i < count; i++)
        if (!mp_skip(&reader))
            return err_set(detail, ERR_WIRE, "header: element %u: cut off", i);
    if (!mp_at_end(&reader))
        return err_set(detail, ERR_WIRE, "header: trailing bytes");
    if (header->version != BUS_VERSION)
        return err_set(detail, ERR_WIRE, "header: version %u is not spoken here", header->version);
    if (header->kind < BUS_READY || header->kind > BUS_BYE)
        return err_set(detail, ERR_WIRE, "header: kind %u is unknown", header->kind);
    return ERR_OK;
}

const char *bus_kind_name(uint32_t kind)
{
    static const char *const names[] = {
        [BUS_READY] = "READY", [BUS_WELCOME] = "WELCOME", [BUS_REQUEST] = "REQUEST",
        [BUS_REPLY] = "REPLY", [BUS_EVENT] = "EVENT",     [BUS_HEARTBEAT] = "HEARTBEAT",
        [BUS_WHO] = "WHO",     [BUS_CREDIT] = "CREDIT",   [BUS_DRAIN] = "DRAIN",
        [BUS_BYE] = "BYE",
    };
    if (kind >= sizeof names / sizeof names[0] || names[kind] == NULL)
        return "?";
    return names[kind];
}
