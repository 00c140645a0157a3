/* buf.h - bytes that grow up to a bound, and a JSON writer on top. The writer exists beside the JSON library because every
 * answer goes through it: building a document tree first costs several times as much. */
#ifndef TIFFIN_LIB_BUF_H
#define TIFFIN_LIB_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/text.h"
#include "lib/uuid.h"

/* Zero-initialise, or buf_init for a bound other than BUF_LIMIT_DEFAULT. `data` is always NUL-terminated once anything was
 * added. Past the bound nothing more is added and `overflow` says so: check it once, at the end. */
typedef struct buf {
    char *data;
    size_t size;
    size_t capacity;
    size_t limit;
    bool overflow;
} buf_t;

#define BUF_LIMIT_DEFAULT (4u << 20)

void buf_init(buf_t *buf, size_t limit);
void buf_free(buf_t *buf); /* leaves it zero-initialised */
void buf_clear(buf_t *buf); /* keeps the memory */
void buf_add(buf_t *buf, const void *data, size_t size);
void buf_add_text(buf_t *buf, const char *text);
void buf_add_int(buf_t *buf, int64_t value); /* in decimal */
void buf_printf(buf_t *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* JSON: commas and colons are placed by the writer. `key` is NULL inside arrays and for the outermost value. */
void json_open_object(buf_t *buf, const char *key);
void json_close_object(buf_t *buf);
void json_open_array(buf_t *buf, const char *key);
void json_close_array(buf_t *buf);
void json_text(buf_t *buf, const char *key, const char *text);
void json_str(buf_t *buf, const char *key, str_t text); /* bytes that are no UTF-8 become U+FFFD */
void json_int(buf_t *buf, const char *key, int64_t value);
void json_bool(buf_t *buf, const char *key, bool value);
void json_nil(buf_t *buf, const char *key); /* "null"; json_null is jansson's symbol */
void json_uuid(buf_t *buf, const char *key, const uuid_t *uuid);
void json_time(buf_t *buf, const char *key, int64_t wall_us);
/* A value that is JSON already. */
void json_raw(buf_t *buf, const char *key, const char *data, size_t size);

#endif
