/* form.h - application/x-www-form-urlencoded (WHATWG URL, section 5): what forms, and some PSPs'
 * APIs and webhooks, are written in. */
#ifndef TIFFIN_LIB_FORM_H
#define TIFFIN_LIB_FORM_H

#include <stdbool.h>

#include "lib/buf.h"
#include "lib/text.h"

/* One pair, still encoded, borrowed from the form. */
typedef struct form_field {
    str_t name, value;
} form_field_t;

/* The next pair; empty ones ("a=1&&b=2&") are passed over. *rest begins as the whole form. False at
 * the end. */
bool form_next(str_t *rest, form_field_t *field);

/* Is this the field's name, once decoded? ("amount[currency]" is found however its brackets came.)
 */
bool form_name_is(const form_field_t *field, const char *name);
/* Appends what `raw` decodes to: '+' is a blank, %XX a byte; a broken escape stands for itself.
 * Any byte may come of it, NUL too. */
void form_decode(str_t raw, buf_t *text);

/* Appends the decoded value of the first field of this name. False when there is none. */
bool form_get(str_t form, const char *name, buf_t *value);
/* The same into a buffer, terminated. False too when it does not fit, or holds NUL. */
bool form_copy(str_t form, const char *name, char *value, size_t capacity);

/* Appends "&name=value", encoded; the first without the '&'. */
void form_add(buf_t *form, const char *name, const char *value);
void form_add_str(buf_t *form, const char *name, str_t value);
void form_add_int(buf_t *form, const char *name, int64_t value);

#endif
