/* ws_load.c - bench-ws: many WebSockets in one epoll thread, and when what they are told arrives.
 *
 * Commands come on standard input, a line each; each is answered by a JSON object on a line, as is
 * the start:
 * {"connected":…,"connect_ms":…}.
 *
 * `post PORT PATH COUNT SECONDS BODY` sends that JSON body and waits until COUNT sockets were told
 * something:
 * {"told":…,"first_us":…,"median_us":…,"last_us":…} since it was sent.
 *
 * `collect COUNT SECONDS FILE` writes a line `payment_id received_us` (monotonic) of each message
 * that names a payment, until COUNT came, or so long: {"messages":…}.
 *
 * Anything else ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "tests/bench/load/requests.h"

enum {
    BUFFER_BYTES = 2048, /* frames of ours are smaller */
    PORTS_PER_ADDRESS = 20000,
    OPCODE_TEXT = 1,
    OPCODE_CLOSE = 8,
    OPCODE_PING = 9
};

typedef struct watcher {
    int fd;
    size_t size;
    int64_t told_us; /* 0: not since the command began */
    char buffer[BUFFER_BYTES + 1];
} watcher_t;

typedef struct crowd {
    unsigned port, count, users;
    int epoll;
    watcher_t *watchers;
    unsigned open, told, messages;
    FILE *collect;
} crowd_t;

/* ---- connecting ---- */

static int open_connection(unsigned port, unsigned number)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* An address has no more ports than that. */
    const struct sockaddr_in from = {.sin_family = AF_INET,
                                     .sin_addr.s_addr =
                                         htonl(INADDR_LOOPBACK + number / PORTS_PER_ADDRESS)};
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(fd >= 0 && bind(fd, (const struct sockaddr *)&from, sizeof from) == 0);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        fprintf(stderr, "bench-ws: port %u: %s\n", port, strerror(errno));
        exit(1);
    }
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0);
    return fd;
}

static void send_all(int fd, const char *data, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        const ssize_t count = send(fd, data + sent, size - sent, MSG_NOSIGNAL);
        CHECK(count > 0);
        sent += (size_t)count;
    }
}

static void ask_upgrade(const crowd_t *self, watcher_t *watcher, unsigned number)
{
    char request[256];
    watcher->fd = open_connection(self->port, number);
    const int size = snprintf(request, sizeof request,
                              "GET /ws?user_id=u%u HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                              "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                              "Sec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                              number % self->users);
    send_all(watcher->fd, request, (size_t)size);
}

/* The head of the answer is read to its end and not further; frames stay in the socket. */
static bool upgraded(watcher_t *watcher)
{
    char head[1024];
    size_t size = 0;
    while (size < sizeof head - 1 && (size < 4 || memcmp(head + size - 4, "\r\n\r\n", 4) != 0)) {
        if (recv(watcher->fd, head + size, 1, 0) != 1)
            return false;
        size++;
    }
    return size > 12 && memcmp(head + 9, "101", 3) == 0;
}

static void connect_all(crowd_t *self)
{
    enum { AT_ONCE = 100 };
    const int64_t began_us = clock_mono_us();
    for (unsigned first = 0; first < self->count; first += AT_ONCE) {
        const unsigned end = first + AT_ONCE < self->count ? first + AT_ONCE : self->count;
        for (unsigned i = first; i < end; i++)
            ask_upgrade(self, &self->watchers[i], i);
        for (unsigned i = first; i < end; i++) {
            if (!upgraded(&self->watchers[i])) {
                close(self->watchers[i].fd);
                continue;
            }
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = &self->watchers[i]};
            CHECK(epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->watchers[i].fd, &event) == 0);
            self->open++;
        }
    }
    printf("{\"connected\":%u,\"connect_ms\":%lld}\n", self->open,
           (long long)(clock_mono_us() - began_us) / 1000);
    fflush(stdout);
}

/* ---- frames ---- */

static void pong(const watcher_t *watcher, const char *payload, size_t size)
{
    char frame[6 + 125] = {(char)0x8a, (char)(0x80 | size)}; /* masked by zeros */
    memcpy(frame + 6, payload, size);
    send_all(watcher->fd, frame, 6 + size);
}

static void on_text(crowd_t *self, watcher_t *watcher, char *text, size_t size)
{
    const int64_t now_us = clock_mono_us();
    self->messages++;
    if (watcher->told_us == 0) {
        watcher->told_us = now_us;
        self->told++;
    }
    if (self->collect == NULL)
        return;
    char payment_id[ID_SIZE], after = text[size];
    text[size] = '\0';
    if (answer_id(text, "payment_id", payment_id))
        fprintf(self->collect, "%s %lld\n", payment_id, (long long)now_us);
    text[size] = after;
}

/* The size of the first frame when it is whole, else 0. What servers send is not masked. */
static size_t take_frame(crowd_t *self, watcher_t *watcher)
{
    const uint8_t *head = (const uint8_t *)watcher->buffer;
    if (watcher->size < 2)
        return 0;
    size_t offset = 2, size = head[1] & 0x7f;
    CHECK(size < 127);
    if (size == 126) {
        if (watcher->size < 4)
            return 0;
        size = (size_t)head[2] << 8 | head[3];
        offset = 4;
    }
    CHECK(offset + size <= BUFFER_BYTES);
    if (watcher->size < offset + size)
        return 0;
    char *payload = watcher->buffer + offset;
    if ((head[0] & 15) == OPCODE_TEXT)
        on_text(self, watcher, payload, size);
    else if ((head[0] & 15) == OPCODE_PING)
        pong(watcher, payload, size);
    return offset + size;
}

static void on_readable(crowd_t *self, watcher_t *watcher)
{
    const ssize_t size = recv(watcher->fd, watcher->buffer + watcher->size,
                              BUFFER_BYTES - watcher->size, MSG_DONTWAIT);
    if (size <= 0) {
        if (size < 0 && errno == EAGAIN)
            return;
        close(watcher->fd);
        self->open--;
        return;
    }
    watcher->size += (size_t)size;
    for (size_t frame; (frame = take_frame(self, watcher)) > 0;) {
        watcher->size -= frame;
        memmove(watcher->buffer, watcher->buffer + frame, watcher->size);
    }
}

/* Until `until_us`, or until *counted has come to `enough`, or a command waits. */
static void listen_until(crowd_t *self, int64_t until_us, const unsigned *counted, unsigned enough)
{
    struct epoll_event events[512];
    for (int64_t now_us; (now_us = clock_mono_us()) < until_us;) {
        if (counted != NULL && *counted >= enough)
            return;
        const int64_t wait_ms = (until_us - now_us) / 1000 + 1;
        const int count = epoll_wait(self->epoll, events, 512, wait_ms < 100 ? (int)wait_ms : 100);
        CHECK(count >= 0 || errno == EINTR);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                return;
            on_readable(self, events[i].data.ptr);
        }
    }
}

/* ---- commands ---- */

static int by_time(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void report_told(const crowd_t *self, int64_t began_us)
{
    int64_t *times = calloc(self->count, sizeof *times);
    size_t count = 0;
    CHECK(times != NULL);
    for (unsigned i = 0; i < self->count; i++)
        if (self->watchers[i].told_us != 0)
            times[count++] = self->watchers[i].told_us - began_us;
    qsort(times, count, sizeof *times, by_time);
    printf("{\"told\":%zu,\"first_us\":%lld,\"median_us\":%lld,\"last_us\":%lld}\n", count,
           (long long)(count ? times[0] : 0), (long long)(count ? times[count / 2] : 0),
           (long long)(count ? times[count - 1] : 0));
    free(times);
}

static void forget(crowd_t *self)
{
    self->told = self->messages = 0;
    for (unsigned i = 0; i < self->count; i++)
        self->watchers[i].told_us = 0;
}

static void command_post(crowd_t *self, const char *arguments)
{
    char path[128], request[2048];
    unsigned port, count;
    double seconds;
    int offset = 0;
    CHECK(sscanf(arguments, "%u %127s %u %lf %n", &port, path, &count, &seconds, &offset) >= 4);
    const char *body = arguments + offset;
    const int size = snprintf(request, sizeof request,
                              "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                              "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                              path, strlen(body), body);
    CHECK(size > 0 && (size_t)size < sizeof request);
    const int fd = open_connection(port, 0);
    forget(self);
    const int64_t began_us = clock_mono_us();
    send_all(fd, request, (size_t)size);
    listen_until(self, began_us + (int64_t)(seconds * 1e6), &self->told, count);
    close(fd);
    report_told(self, began_us);
}

static void command_collect(crowd_t *self, const char *arguments)
{
    char name[512];
    unsigned count;
    double seconds;
    CHECK(sscanf(arguments, "%u %lf %511s", &count, &seconds, name) == 3);
    self->collect = fopen(name, "w");
    CHECK(self->collect != NULL);
    forget(self);
    listen_until(self, clock_mono_us() + (int64_t)(seconds * 1e6), &self->messages, count);
    CHECK(fclose(self->collect) == 0);
    self->collect = NULL;
    printf("{\"messages\":%u}\n", self->messages);
}

/* False: the end. */
static bool obey(crowd_t *self)
{
    char line[2048];
    if (fgets(line, sizeof line, stdin) == NULL)
        return false;
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "post ", 5) == 0)
        command_post(self, line + 5);
    else if (strncmp(line, "collect ", 8) == 0)
        command_collect(self, line + 8);
    else
        return false;
    fflush(stdout);
    return true;
}

/* Answers pings until a command comes. Standard input is only watched here: a command may take its
 * time. */
static void idle(crowd_t *self)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    CHECK(epoll_ctl(self->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) == 0);
    listen_until(self, INT64_MAX, NULL, 0);
    CHECK(epoll_ctl(self->epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL) == 0);
}

int main(int argc, char **argv)
{
    static crowd_t crowd = {.users = 1};
    static const struct option options[] = {{"port", 1, NULL, 'p'},
                                            {"sockets", 1, NULL, 'n'},
                                            {"users", 1, NULL, 'u'},
                                            {"help", 0, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 'p':
            crowd.port = (unsigned)atoi(optarg);
            break;
        case 'n':
            crowd.count = (unsigned)atoi(optarg);
            break;
        case 'u':
            crowd.users = (unsigned)atoi(optarg);
            break;
        default:
            crowd.port = 0;
        }
    if (crowd.port == 0 || crowd.count == 0 || crowd.users == 0) {
        fprintf(stderr, "bench-ws --port PORT --sockets N [--users N]: sockets of users u0 … in "
                        "turn; then commands\n");
        return 64;
    }
    setvbuf(stdin, NULL, _IONBF, 0); /* a line is taken when epoll has seen it */
    crowd.epoll = epoll_create1(EPOLL_CLOEXEC);
    crowd.watchers = calloc(crowd.count, sizeof *crowd.watchers);
    CHECK(crowd.epoll >= 0 && crowd.watchers != NULL);
    connect_all(&crowd);
    do
        idle(&crowd);
    while (obey(&crowd));
    return 0;
}
