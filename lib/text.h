/* text.h - borrowed text with a length, and what every edge asks of text from outside. */
#ifndef TIFFIN_LIB_TEXT_H
#define TIFFIN_LIB_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes, not NUL-terminated; {NULL, 0} is "not there". */
typedef struct str {
    const char *data;
    uint32_t size;
} str_t;

#define STR_ARG(s) (int)(s).size, ((s).data ? (s).data : "")
#define STR_LITERAL(literal) ((str_t){(literal), sizeof(literal) - 1})

str_t str_of(const char *text);
bool str_is(str_t s, const char *text);
bool str_equal(str_t a, str_t b);
/* Copies and terminates, cut to the buffer; returns `buffer`. */
const char *str_copy(str_t s, char *buffer, size_t capacity);

/* Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates)? */
bool utf8_valid(const char *data, size_t size);
/* Code points of well-formed UTF-8. */
size_t utf8_length(const char *data, size_t size);
/* Holds a C0 or C1 control character or DEL? `data` is well-formed UTF-8. */
bool utf8_has_control(const char *data, size_t size);

#endif
