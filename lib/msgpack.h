/* msgpack.h - the part of MessagePack that the bus speaks: a cursor that reads bytes of a peer, and
 * a writer into a fixed buffer.
 *
 * Who calls: bus_header.c and proto/messages_codec.c; nobody else touches wire bytes.
 *
 * Why not msgpack-c: its unpacker builds a tree and believes the sizes that a container claims
 * before it has seen the elements. Five bytes (dd 08 00 00 00) make it reserve 4 GiB, and a nested
 * array of a few hundred bytes costs gigabytes; a limit cannot be set. This reader allocates
 * nothing, so there is nothing to exhaust: a claimed length is compared with the bytes that are
 * really there, and what nobody asked for is skipped with a counter instead of recursion. The tests
 * hold both against each other: the bytes are the same. (The prefix is mp_ because msgpack_ is that
 * library's.)
 *
 * Source: https://github.com/msgpack/msgpack/blob/master/spec.md
 */
#ifndef TIFFIN_LIB_MSGPACK_H
#define TIFFIN_LIB_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/text.h"

/* ---- reading ---- */

/* The bytes not read yet. Every mp_read_* moves the cursor only when it returns true. */
typedef struct mp_reader {
    const uint8_t *next;
    const uint8_t *end;
} mp_reader_t;

mp_reader_t mp_reader(const void *data, size_t size);
bool mp_at_end(const mp_reader_t *reader);

/* False when the next value has another type, does not fit, or is cut off. Integers are read from
 * any width; text and bytes point into the input. */
bool mp_read_bool(mp_reader_t *reader, bool *value);
bool mp_read_int(mp_reader_t *reader, int64_t *value);
bool mp_read_uint(mp_reader_t *reader, uint64_t *value);
bool mp_read_str(mp_reader_t *reader, str_t *value); /* not checked to be UTF-8 */
bool mp_read_bin(mp_reader_t *reader, const uint8_t **data, size_t *size);
/* How many elements (or pairs) are claimed to follow: a number to count with, never to allocate by.
 */
bool mp_read_array(mp_reader_t *reader, uint32_t *count);
bool mp_read_map(mp_reader_t *reader, uint32_t *pairs);
/* One value of any type, with everything inside it, at any depth. False when it is cut off or no
 * MessagePack (the byte c1). */
bool mp_skip(mp_reader_t *reader);

/* ---- writing ---- */

/* Past the capacity nothing more is written and `overflow` stays true: look once, at the end. */
typedef struct mp_writer {
    uint8_t *data;
    size_t capacity;
    size_t size;
    bool overflow;
} mp_writer_t;

mp_writer_t mp_writer(void *buffer, size_t capacity);
/* Bytes written; 0 when they did not fit. */
size_t mp_written(const mp_writer_t *writer);

/* Each value takes the shortest form there is for it. */
void mp_write_bool(mp_writer_t *writer, bool value);
void mp_write_int(mp_writer_t *writer, int64_t value);
void mp_write_uint(mp_writer_t *writer, uint64_t value);
void mp_write_str(mp_writer_t *writer, const char *data, size_t size);
void mp_write_bin(mp_writer_t *writer, const void *data, size_t size);
void mp_write_array(mp_writer_t *writer, uint32_t count);
void mp_write_map(mp_writer_t *writer, uint32_t pairs);

#endif
