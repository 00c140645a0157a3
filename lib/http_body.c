/* http_body.c - see http_body.h. */
#include "lib/http_body.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/clock.h"

enum {
    BODY_TIMEOUT_MS = 10000, /* for the whole body, looked at between its steps */
    BODY_STEP_BYTES = 8192,  /* first allocation; doubles, so that a claimed length costs nothing */
    DISCARD_MAX_BYTES = 8 << 20,
    DISCARD_TIMEOUT_MS = 2000,
};

static unsigned count_headers(const struct mg_request_info *info, const char *name)
{
    unsigned count = 0;
    for (int i = 0; i < info->num_headers; i++)
        count += strcasecmp(info->http_headers[i].name, name) == 0;
    return count;
}

/* One way to say how long the body is, and a readable one. */
static bool framing_is_clear(const struct mg_connection *connection)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    if (count_headers(info, "Content-Length") + count_headers(info, "Transfer-Encoding") > 1)
        return false;
    const char *length = mg_get_header(connection, "Content-Length");
    return !length || (*length && strspn(length, "0123456789") == strlen(length));
}

static bool is_chunked(const struct mg_connection *connection)
{
    const char *coding = mg_get_header(connection, "Transfer-Encoding");
    return coding && strcasecmp(coding, "identity") != 0;
}

bool http_body_announced(const struct mg_connection *connection)
{
    return is_chunked(connection) || mg_get_request_info(connection)->content_length > 0;
}

void http_body_discard(struct mg_connection *connection)
{
    if (mg_get_header(connection, "Expect"))
        return; /* waits for our leave before it sends anything */
    int64_t end = clock_mono_ms() + DISCARD_TIMEOUT_MS;
    char bytes[4096];
    size_t size = 0;
    int got = 0;
    do {
        got = mg_read(connection, bytes, sizeof bytes);
        size += got > 0 ? (size_t)got : 0;
    } while (got > 0 && size < DISCARD_MAX_BYTES && clock_mono_ms() < end);
}

/* What was asked for is `expected` bytes, or SIZE_MAX for a chunked body. The memory is the
 * caller's on every outcome. */
static err_t read_bytes(struct mg_connection *connection, size_t expected, size_t max, char **data,
                        size_t *size)
{
    int64_t end = clock_mono_ms() + BODY_TIMEOUT_MS;
    size_t capacity = 0;
    while (*size < expected) {
        if (*size == capacity) {
            capacity = capacity ? capacity * 2 : BODY_STEP_BYTES;
            if (capacity > max + 1) /* one more than allowed tells a chunked body too long */
                capacity = max + 1;
            char *grown = realloc(*data, capacity + 1);
            CHECK(grown);
            *data = grown;
        }
        size_t want = capacity - *size < expected - *size ? capacity - *size : expected - *size;
        int got = mg_read(connection, *data + *size, want);
        if (got < 0)
            return ERR_MALFORMED_REQUEST;
        *size += (size_t)got;
        if (*size > max)
            return ERR_BODY_TOO_LARGE;
        if (got == 0)
            break;
        if (clock_mono_ms() > end)
            return ERR_MALFORMED_REQUEST;
    }
    return *size == expected || expected == SIZE_MAX ? ERR_OK : ERR_MALFORMED_REQUEST;
}

err_t http_body_read(struct mg_connection *connection, size_t max, char **data, size_t *size,
                     const char **why)
{
    *why = "Content-Length and Transfer-Encoding contradict each other";
    if (!framing_is_clear(connection))
        return ERR_MALFORMED_REQUEST;
    bool chunked = is_chunked(connection);
    long long length = mg_get_request_info(connection)->content_length;
    if (!chunked && length <= 0)
        return ERR_OK;
    *why = NULL;
    if (!chunked && (unsigned long long)length > max)
        return ERR_BODY_TOO_LARGE;
    const char *expect = mg_get_header(connection, "Expect");
    if (expect && strcasecmp(expect, "100-continue") == 0)
        mg_write(connection, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    *why = "The body ended early or is badly framed";
    err_t err = read_bytes(connection, chunked ? SIZE_MAX : (size_t)length, max, data, size);
    if (err == ERR_BODY_TOO_LARGE)
        *why = NULL;
    return err;
}
