/* json_raw.c - see json_raw.h. Nothing here allocates or recurses; every step moves forward. */
#include "lib/json_raw.h"

#include <string.h>

typedef struct cursor {
    const char *at, *end;
} cursor_t;

static void skip_blanks(cursor_t *self)
{
    while (self->at < self->end &&
           (*self->at == ' ' || *self->at == '\t' || *self->at == '\n' || *self->at == '\r'))
        self->at++;
}

static bool take(cursor_t *self, char c)
{
    skip_blanks(self);
    if (self->at == self->end || *self->at != c)
        return false;
    self->at++;
    return true;
}

/* Behind the closing quote; at the opening one. */
static bool skip_text(cursor_t *self)
{
    for (self->at++; self->at < self->end; self->at++) {
        if (*self->at == '\\')
            self->at++;
        else if (*self->at == '"') {
            self->at++;
            return true;
        }
    }
    self->at = self->end;
    return false;
}

/* Behind the bracket that closes the one it is at. */
static bool skip_nested(cursor_t *self)
{
    unsigned depth = 0;
    while (self->at < self->end) {
        const char c = *self->at;
        if (c == '"') {
            if (!skip_text(self))
                return false;
            continue;
        }
        self->at++;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return true;
    }
    return false;
}

/* A whole value; *raw is what it was. */
static bool skip_value(cursor_t *self, str_t *raw)
{
    skip_blanks(self);
    const char *start = self->at;
    bool whole = self->at < self->end;
    if (whole && *self->at == '"')
        whole = skip_text(self);
    else if (whole && (*self->at == '{' || *self->at == '['))
        whole = skip_nested(self);
    else
        while (self->at < self->end && !strchr(",]} \t\n\r", *self->at))
            self->at++;
    *raw = (str_t){start, (uint32_t)(self->at - start)};
    return whole && raw->size > 0;
}

static bool find_member(str_t object, str_t name, str_t *raw)
{
    cursor_t cursor = {object.data, object.data + object.size};
    if (!take(&cursor, '{'))
        return false;
    do {
        str_t key;
        if (!skip_value(&cursor, &key) || !take(&cursor, ':') || !skip_value(&cursor, raw))
            return false;
        if (key.size == name.size + 2 && key.data[0] == '"' &&
            memcmp(key.data + 1, name.data, name.size) == 0)
            return true;
    } while (take(&cursor, ','));
    return false;
}

static bool find_element(str_t array, str_t number, str_t *raw)
{
    cursor_t cursor = {array.data, array.data + array.size};
    uint32_t left = 0;
    for (uint32_t i = 0; i < number.size; i++) {
        if (number.data[i] < '0' || number.data[i] > '9' || left > UINT32_MAX / 20)
            return false;
        left = left * 10 + (uint32_t)(number.data[i] - '0');
    }
    if (number.size == 0 || !take(&cursor, '['))
        return false;
    do {
        if (!skip_value(&cursor, raw))
            return false;
        if (left-- == 0)
            return true;
    } while (take(&cursor, ','));
    return false;
}

bool json_raw_find(str_t json, const char *path, str_t *raw)
{
    cursor_t cursor = {json.data, json.data + json.size};
    if (json.size == 0 || !skip_value(&cursor, raw))
        return false;
    while (*path) {
        const str_t inside = *raw, step = {path, (uint32_t)strcspn(path, ".")};
        if (!(inside.data[0] == '[' ? find_element(inside, step, raw)
                                    : find_member(inside, step, raw)))
            return false;
        path += step.size;
        path += *path == '.';
    }
    return true;
}
