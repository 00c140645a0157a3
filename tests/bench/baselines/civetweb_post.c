/* civetweb_post.c - the HTTP library alone: reads a body, writes an answer of the size of ours in
 * one write.
 *
 * civetweb-post PORT */
#include <civetweb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int on_request(struct mg_connection *connection)
{
    static const char answer[] = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
                                 "Content-Length: 200\r\nConnection: keep-alive\r\n\r\n";
    char body[4096], out[sizeof answer - 1 + 200];
    mg_read(connection, body, sizeof body);
    memcpy(out, answer, sizeof answer - 1);
    memset(out + sizeof answer - 1, ' ', 200);
    mg_write(connection, out, sizeof out);
    return 201;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 64;
    char port[64];
    snprintf(port, sizeof port, "127.0.0.1:%s", argv[1]);
    const char *options[] = {"listening_ports",
                             port,
                             "num_threads",
                             "512",
                             "enable_keep_alive",
                             "yes",
                             "keep_alive_timeout_ms",
                             "5000",
                             "tcp_nodelay",
                             "1",
                             "listen_backlog",
                             "4096",
                             NULL};
    const struct mg_callbacks callbacks = {.begin_request = on_request};
    if (mg_start(&callbacks, NULL, options) == NULL)
        return 1;
    puts("listening");
    fflush(stdout);
    for (;;)
        pause();
}
