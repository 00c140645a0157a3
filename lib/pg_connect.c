/* pg_connect.c - how pg.c begins a connection: the URL's options, defaults below them, ours above. */
#include "lib/pg_connect.h"

#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"

enum { OPTIONS_MAX = 64 }; /* of a connection; libpq 15 knows 41 */

/* "a,b,c" begun at element `by`: "b,c,a". A list of one element (a port for all hosts) stays. Ends
 * with a NUL byte. */
static void add_rotated(buf_t *out, const char *list, unsigned by)
{
    const char *start = list;
    for (unsigned i = 0; i < by && start; i++) {
        start = strchr(start, ',');
        if (start)
            start++;
    }
    if (!start || start == list) {
        buf_add_text(out, list);
    } else {
        buf_add_text(out, start);
        buf_add_text(out, ",");
        buf_add(out, list, (size_t)(start - 1 - list));
    }
    buf_add(out, "", 1);
}

PGconn *pg_connect_start(const PQconninfoOption *options, const char *application_name,
                         unsigned first_host)
{
    static const struct {
        const char *keyword, *value;
    } defaults[] = {
        {"keepalives_idle", "10"},
        {"keepalives_interval", "3"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", "10000"},
    };
    const char *keywords[OPTIONS_MAX + 1] = {NULL};
    const char *values[OPTIONS_MAX + 1] = {NULL};
    size_t count = 0;
    for (; count < sizeof(defaults) / sizeof(defaults[0]); count++) {
        keywords[count] = defaults[count].keyword;
        values[count] = defaults[count].value;
    }
    buf_t rotated[3] = {{0}};
    size_t rotated_count = 0;
    for (const PQconninfoOption *option = options; option->keyword; option++) {
        if (!option->val)
            continue;
        CHECK(count + 2 < OPTIONS_MAX);
        keywords[count] = option->keyword;
        values[count] = option->val;
        bool is_list = strcmp(option->keyword, "host") == 0 ||
                       strcmp(option->keyword, "hostaddr") == 0 ||
                       strcmp(option->keyword, "port") == 0;
        if (is_list && first_host > 0) {
            buf_t *copy = &rotated[rotated_count++];
            add_rotated(copy, option->val, first_host);
            values[count] = copy->data;
        }
        count++;
    }
    keywords[count] = "application_name"; /* the last of several values wins */
    values[count++] = application_name;
    keywords[count] = "client_encoding";
    values[count++] = "UTF8";
    PGconn *conn = PQconnectStartParams(keywords, values, 0);
    for (size_t i = 0; i < rotated_count; i++)
        buf_free(&rotated[i]);
    return conn;
}

unsigned pg_connect_hosts(const PQconninfoOption *options)
{
    unsigned most = 1;
    for (const PQconninfoOption *option = options; option && option->keyword; option++) {
        if (!option->val ||
            (strcmp(option->keyword, "host") != 0 && strcmp(option->keyword, "hostaddr") != 0))
            continue;
        unsigned count = 1;
        for (const char *p = option->val; *p; p++)
            count += *p == ',';
        if (count > most)
            most = count;
    }
    return most;
}
