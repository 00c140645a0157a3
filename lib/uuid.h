/* uuid.h - UUIDs (RFC 9562): version 7 made here, any version read. */
#ifndef TIFFIN_LIB_UUID_H
#define TIFFIN_LIB_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct uuid {
    uint8_t bytes[16];
} uuid_t;

#define UUID_TEXT_SIZE 37

/* A version 7 UUID of now; grows within one thread, unique across processes (72 random bits). Thread-safe. */
uuid_t uuid7_new(void);
/* For tests: version 7 from this time and these random bytes. */
uuid_t uuid7_make(int64_t wall_ms, const uint8_t random[10]);
/* Lower case with dashes. Returns `text`. */
const char *uuid_format(const uuid_t *uuid, char text[UUID_TEXT_SIZE]);
/* The 36-character form, either case; false otherwise. `size` is strlen of the text. */
bool uuid_parse(const char *text, size_t size, uuid_t *uuid);
bool uuid_equal(const uuid_t *a, const uuid_t *b);
bool uuid_is_nil(const uuid_t *uuid);
int uuid_compare(const uuid_t *a, const uuid_t *b);

#endif
