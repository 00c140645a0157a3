/* json_raw.h - the bytes of one value inside a JSON text: a number as it was written ("170.00",
 * which a parser makes 170.0 of), the part of a body that a signature is over. */
#ifndef TIFFIN_LIB_JSON_RAW_H
#define TIFFIN_LIB_JSON_RAW_H

#include <stdbool.h>

#include "lib/text.h"

/* The value at `path` ("data.payment.payment_amount", "items.0.amount": members by name, elements
 * by number), borrowed from `json`: a text with its quotes and escapes, an object with its braces.
 * False when it is not there. Of what is no valid JSON, or is nested deeper than JSON_DEPTH_MAX,
 * nothing is found, or something: let json_read_object judge the whole first. A member whose name
 * was written with escapes is not found. */
bool json_raw_find(str_t json, const char *path, str_t *raw);

#endif
