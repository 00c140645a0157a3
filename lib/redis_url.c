/* redis_url.c - Redis URLs. Pure. */
#include "lib/redis_url.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

enum {
    PORT_DEFAULT = 6379,
    DB_MAX = 1 << 20,
};

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* [from, end) percent-decoded; false when it does not fit, or holds a wrong escape or a NUL byte.
 */
static bool decode(const char *from, const char *end, char *out, size_t capacity)
{
    size_t size = 0;
    while (from < end) {
        char c = *from++;
        if (c == '%') {
            int high = end - from >= 2 ? hex_digit(from[0]) : -1;
            int low = high >= 0 ? hex_digit(from[1]) : -1;
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            from += 2;
        }
        if (c == '\0' || size + 1 >= capacity)
            return false;
        out[size++] = c;
    }
    out[size] = '\0';
    return true;
}

/* Decimal digits that fill [from, end), at most `max`; -1 otherwise. */
static int parse_number(const char *from, const char *end, int max)
{
    int value = 0;
    if (from == end)
        return -1;
    for (; from < end; from++) {
        if (*from < '0' || *from > '9')
            return -1;
        value = value * 10 + (*from - '0');
        if (value > max)
            return -1;
    }
    return value;
}

/* "host", "host:port", "[v6]:port" in [from, end). */
static bool parse_address(const char *from, const char *end, redis_url_t *out)
{
    const char *host_end;
    const char *port = NULL;
    if (from >= end)
        return false;
    if (*from == '[') {
        from++;
        host_end = memchr(from, ']', (size_t)(end - from));
        if (!host_end)
            return false;
        if (host_end + 1 < end) {
            if (host_end[1] != ':')
                return false;
            port = host_end + 2;
        }
    } else {
        host_end = memchr(from, ':', (size_t)(end - from));
        port = host_end ? host_end + 1 : NULL;
        host_end = host_end ? host_end : end;
    }
    out->port = port ? parse_number(port, end, 65535) : PORT_DEFAULT;
    return host_end > from && out->port > 0 && decode(from, host_end, out->host, sizeof(out->host));
}

err_t redis_url_parse(const char *url, redis_url_t *out, err_detail_t *detail)
{
    static const char scheme[] = "redis://";
    memset(out, 0, sizeof(*out));
    if (!url || strncmp(url, scheme, sizeof(scheme) - 1) != 0)
        return err_set(detail, ERR_BAD_CONFIG, "a Redis URL begins with redis://");
    const char *from = url + sizeof(scheme) - 1;
    const char *end = from + strcspn(from, "/?#");
    const char *at = memrchr(from, '@', (size_t)(end - from));
    if (at) {
        const char *colon = memchr(from, ':', (size_t)(at - from));
        if (!colon || !decode(from, colon, out->user, sizeof(out->user)) ||
            !decode(colon + 1, at, out->password, sizeof(out->password)))
            return err_set(detail, ERR_BAD_CONFIG,
                           "the Redis URL has a wrong user or password part");
        from = at + 1;
    }
    if (!parse_address(from, end, out))
        return err_set(detail, ERR_BAD_CONFIG, "the Redis URL has a wrong host or port");
    if (*end == '/' && end[1] != '\0') {
        const char *db = end + 1;
        out->db = parse_number(db, db + strlen(db), DB_MAX);
    } else if (*end == '?' || *end == '#') {
        out->db = -1;
    }
    if (out->db < 0)
        return err_set(detail, ERR_BAD_CONFIG,
                       "the Redis URL has something other than a database number after the host");
    return ERR_OK;
}
