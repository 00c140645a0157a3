/* fuzz_json_raw.c - the bytes of one value inside any text: nothing outside is read, and in what is
 * JSON each member and element is found where the parser finds it, and parses to the same value.
 *
 * The input up to its first line feed is a path, the rest the text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json_raw.h"
#include "lib/json_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PATH_MAX_BYTES = 256 };

static void check_inside(str_t text, str_t raw)
{
    CHECK(raw.size > 0 && raw.data >= text.data);
    CHECK(raw.data + raw.size <= text.data + text.size);
}

/* Names that a path can hold, written without escapes. */
static bool is_plain(const char *name, str_t text)
{
    buf_t quoted = {0};
    bool plain = name[0] != '\0' && !strpbrk(name, ".\"\\");
    for (const char *at = name; *at; at++)
        plain = plain && (unsigned char)*at >= ' ';
    buf_printf(&quoted, "\"%s\"", name);
    plain = plain && memmem(text.data, text.size, quoted.data, quoted.size);
    buf_free(&quoted);
    return plain;
}

/* A name may be in the text as a value, and be written with escapes as a member: then nothing need
 * be found. */
static void check_value(str_t text, const char *path, const json_t *expected, bool must_be_there)
{
    str_t raw;
    if (!json_raw_find(text, path, &raw)) {
        CHECK(!must_be_there);
        return;
    }
    check_inside(text, raw);
    json_t *found = json_loadb(raw.data, raw.size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    CHECK(found && json_equal(found, expected));
    json_decref(found);
}

static void check_members(str_t text, json_t *root)
{
    const char *name;
    json_t *value;
    const bool escapes = memchr(text.data, '\\', text.size) != NULL;
    json_object_foreach(root, name, value)
    {
        if (strlen(name) >= PATH_MAX_BYTES - 16 || !is_plain(name, text))
            continue;
        check_value(text, name, value, !escapes);
        for (size_t i = 0; i < json_array_size(value); i++) {
            char path[PATH_MAX_BYTES];
            snprintf(path, sizeof path, "%s.%zu", name, i);
            check_value(text, path, json_array_get(value, i), !escapes);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line_end = size > 0 ? memchr(data, '\n', size) : NULL;
    const size_t path_size = line_end ? (size_t)(line_end - data) : 0;
    char path[PATH_MAX_BYTES];
    str_t raw;
    if (!line_end || path_size >= sizeof path || memchr(data, 0, path_size))
        return 0;
    memcpy(path, data, path_size);
    path[path_size] = '\0';
    const size_t text_size = size - path_size - 1;
    char *copy = malloc(text_size + (text_size == 0)); /* exactly: a byte too far is seen */
    CHECK(copy);
    memcpy(copy, line_end + 1, text_size);
    const str_t text = {copy, (uint32_t)text_size};
    if (json_raw_find(text, path, &raw))
        check_inside(text, raw);
    json_t *root = json_read_object(text, NULL);
    if (root)
        check_members(text, root);
    json_decref(root);
    free(copy);
    return 0;
}
