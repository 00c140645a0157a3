/* json_read.h - JSON from outside, strictly: jansson behind the bounds that it lacks. */
#ifndef TIFFIN_LIB_JSON_READ_H
#define TIFFIN_LIB_JSON_READ_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/err.h"
#include "lib/text.h"

/* Objects and arrays inside one another. */
#define JSON_DEPTH_MAX 16

/* One object and nothing after it; json_decref it. NULL, with what is wrong, for anything else:
 * duplicate keys, text that is not UTF-8 or holds NUL, integers over 64 bits, nesting over
 * JSON_DEPTH_MAX. Integers stay integers (json_is_integer). */
json_t *json_read_object(str_t text, err_detail_t *detail);

/* The same of an array. */
json_t *json_read_array(str_t text, err_detail_t *detail);

/* Does this member hold an integer over 64 bits, and is that all that is wrong with the object? For
 * a text that json_read_object refused, so that the field can be named. */
bool json_read_is_big(str_t text, const char *key);

/* A member that is a string, borrowed from `object`; {NULL, 0} when it is missing or something
 * else. */
str_t json_read_str(const json_t *object, const char *key);

#endif
