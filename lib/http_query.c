/* http_query.c - the query part of a request's target: application/x-www-form-urlencoded pairs,
 * read strictly.
 *
 * A parameter that is there twice, or whose value does not decode to text without NUL, is no
 * answer: the caller refuses it instead of guessing which one was meant.
 */
#include <ctype.h>
#include <string.h>

#include "lib/http_server.h"

typedef struct pair {
    str_t name, value; /* as on the wire */
} pair_t;

/* The next "name=value" of *rest; empty pairs are skipped. */
static bool next_pair(const char **rest, pair_t *pair)
{
    while (*rest && **rest == '&')
        (*rest)++;
    if (!*rest || !**rest)
        return false;
    const char *start = *rest;
    const char *end = start + strcspn(start, "&");
    const char *equals = memchr(start, '=', (size_t)(end - start));
    const char *name_end = equals ? equals : end;
    pair->name = (str_t){start, (uint32_t)(name_end - start)};
    pair->value = equals ? (str_t){equals + 1, (uint32_t)(end - equals - 1)} : (str_t){end, 0};
    *rest = end;
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    int lower = tolower((unsigned char)c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool http_decode(str_t raw, bool plus_is_blank, char *text, size_t capacity)
{
    size_t size = 0;
    for (uint32_t i = 0; i < raw.size; i++) {
        char c = raw.data[i];
        if (c == '+' && plus_is_blank) {
            c = ' ';
        } else if (c == '%') {
            if (i + 2 >= raw.size)
                return false;
            int high = hex_value(raw.data[i + 1]), low = hex_value(raw.data[i + 2]);
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0' || size + 1 >= capacity)
            return false;
        text[size++] = c;
    }
    text[size] = '\0';
    return true;
}

int http_query_value(const char *query, const char *name, char *value, size_t capacity)
{
    int found = 0;
    pair_t pair;
    while (next_pair(&query, &pair)) {
        char decoded[64];
        if (!http_decode(pair.name, true, decoded, sizeof decoded) || strcmp(decoded, name) != 0)
            continue;
        if (found || !http_decode(pair.value, true, value, capacity))
            return -1;
        found = 1;
    }
    return found;
}

bool http_query_names_known(const char *query, const char *const *names, char *offender,
                            size_t capacity)
{
    pair_t pair;
    while (next_pair(&query, &pair)) {
        char decoded[64];
        bool known = false;
        if (http_decode(pair.name, true, decoded, sizeof decoded))
            for (size_t i = 0; names[i] && !known; i++)
                known = strcmp(decoded, names[i]) == 0;
        if (!known) {
            str_copy(pair.name, offender, capacity);
            return false;
        }
    }
    return true;
}

int http_query(const http_request_t *request, const char *name, char *value, size_t capacity)
{
    return http_query_value(request->query, name, value, capacity);
}

bool http_query_known(const http_request_t *request, const char *const *names, char *offender,
                      size_t capacity)
{
    return http_query_names_known(request->query, names, offender, capacity);
}
