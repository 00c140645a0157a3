/* json_read.c - JSON from outside.
 *
 * Called on HTTP threads with small stacks: jansson descends recursively to a depth of 2048, which
 * overflows such a stack, so the depth is measured before jansson sees the text.
 */
#include "lib/json_read.h"

#include <string.h>

/* Quotes decide what a bracket means, escapes what a quote means; all else is jansson's business.
 */
static bool too_deep(str_t text)
{
    unsigned depth = 0;
    bool quoted = false;
    for (uint32_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

/* jansson passes over one that follows a number. */
static bool holds_nul(str_t text)
{
    return memchr(text.data, '\0', text.size) != NULL;
}

static json_t *read_any(str_t text, err_detail_t *detail)
{
    if (text.size == 0) {
        (void)err_set(detail, ERR_MALFORMED_JSON, "is empty: no JSON object");
        return NULL;
    }
    if (holds_nul(text)) {
        (void)err_set(detail, ERR_MALFORMED_JSON, "is not valid JSON: it holds a NUL");
        return NULL;
    }
    if (too_deep(text)) {
        (void)err_set(detail, ERR_MALFORMED_JSON, "is nested deeper than %d levels",
                      JSON_DEPTH_MAX);
        return NULL;
    }
    json_error_t error;
    json_t *root = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        /* jansson's own words quote the text near the fault, which may be anything. */
        (void)err_set(detail, ERR_MALFORMED_JSON, "is not valid JSON at line %d, column %d",
                      error.line, error.column);
        return NULL;
    }
    return root;
}

json_t *json_read_object(str_t text, err_detail_t *detail)
{
    json_t *root = read_any(text, detail);
    if (root && !json_is_object(root)) {
        json_decref(root);
        (void)err_set(detail, ERR_MALFORMED_JSON, "is no JSON object");
        return NULL;
    }
    return root;
}

json_t *json_read_array(str_t text, err_detail_t *detail)
{
    json_t *root = read_any(text, detail);
    if (root && !json_is_array(root)) {
        json_decref(root);
        (void)err_set(detail, ERR_MALFORMED_JSON, "is no JSON array");
        return NULL;
    }
    return root;
}

bool json_read_is_big(str_t text, const char *key)
{
    if (text.size == 0 || holds_nul(text) || too_deep(text))
        return false;
    json_t *root =
        json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
    double number = json_real_value(json_object_get(root, key));
    json_decref(root);
    return number >= 0x1p63 || number <= -0x1p63;
}

str_t json_read_str(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value) || json_string_length(value) > UINT32_MAX)
        return (str_t){NULL, 0};
    return (str_t){json_string_value(value), (uint32_t)json_string_length(value)};
}
