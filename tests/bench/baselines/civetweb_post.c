/* civetweb_post.c - the HTTP library alone: reads a POST's body and answers 201 with as many bytes
 * as an order's answer has, in one write. What is slower than this is not the library's doing.
 *
 *     bench-civetweb-post PORT
 *
 * Listens on 127.0.0.1 and prints "listening" when it does; SIGTERM ends it. */
#include <civetweb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A body of the size of a created order's. */
#define ANSWER                                                                          \
    "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 234\r\n" \
    "Connection: keep-alive\r\n"                                                        \
    "X-Request-Id: 01930000-0000-7000-8000-000000000000\r\n"                            \
    "Location: /orders/01930000-0000-7000-8000-000000000001\r\n\r\n"

enum { BODY_BYTES = 234, STATUS_CREATED = 201 };

static int answer_post(struct mg_connection *connection, void *unused)
{
    (void)unused;
    char body[4096], answer[sizeof ANSWER - 1 + BODY_BYTES];
    while (mg_read(connection, body, sizeof body) > 0)
        continue;
    memcpy(answer, ANSWER, sizeof ANSWER - 1);
    memset(answer + sizeof ANSWER - 1, ' ', BODY_BYTES);
    mg_write(connection, answer, sizeof answer);
    return STATUS_CREATED;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 64;
    }
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%s", argv[1]);
    /* As the gateway sets it. */
    const char *options[] = {
        "listening_ports",       address, "num_threads", "512", "enable_keep_alive", "yes",
        "keep_alive_timeout_ms", "5000",  "tcp_nodelay", "1",   "connection_queue",  "1024",
        "listen_backlog",        "1024",  NULL};
    struct mg_context *context = mg_start(NULL, NULL, options);
    if (context == NULL) {
        fprintf(stderr, "cannot listen on %s\n", address);
        return 1;
    }
    mg_set_request_handler(context, "/", answer_post, NULL);
    puts("listening");
    fflush(stdout);
    for (;;)
        pause();
}
