/* http_load.c - bench-http: HTTP load from one epoll thread over kept connections.
 *
 * Closed loop: each connection sends its next request when the last was answered. Open loop
 * (--rate): requests are due at fixed times whether or not there is an answer, and a latency counts
 * from when its request was due, so that a server that stands still is not asked less
 * ("coordinated omission").
 *
 * Prints one JSON object. Exit status 0 also when requests failed: the object says how many.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "tests/bench/load/histogram.h"
#include "tests/bench/load/requests.h"

enum { ANSWER_MAX_BYTES = 16384, CONNECTIONS_MAX = 4096, STEPS_MAX = 4, GRACE_MS = 5000 };

/* What a kind of load sends: one request, or the steps of a payment's life, one after the other. */
typedef struct kind {
    const char *name;
    struct {
        const char *name;
        request_builder_t *build;
        int status; /* the answer that counts as success */
    } steps[STEPS_MAX];
    bool needs_subjects;
} kind_t;

static const kind_t kinds[] = {{"orders", {{"order", build_order, 201}}, false},
                               {"initiate", {{"initiate", build_initiate, 201}}, true},
                               {"webhooks", {{"webhook", build_webhook, 200}}, false},
                               {"read", {{"read", build_read, 200}}, true},
                               {"get", {{"get", build_get, 200}}, false},
                               {"mixed",
                                {{"order", build_order, 201},
                                 {"initiate", build_initiate, 201},
                                 {"webhook", build_webhook, 200},
                                 {"read", build_read, 200}},
                                false}};

typedef struct connection {
    int fd;
    bool busy;
    unsigned step; /* of the kind, the next to send */
    int64_t due_us;
    subject_t subject;
    size_t sent, request_size, answer_size;
    char request[REQUEST_MAX_BYTES], answer[ANSWER_MAX_BYTES + 1];
} connection_t;

typedef struct load {
    const kind_t *kind;
    request_options_t options;
    unsigned port, connection_count;
    double seconds, warm_up_seconds, rate;
    unsigned long requests_max; /* 0: as many as there is time for */
    FILE *ids_out, *log;

    subject_t *subjects;
    size_t subject_count, next_subject;

    int epoll;
    connection_t *connections;
    unsigned *idle, idle_count; /* open loop */
    unsigned long serial, sent, succeeded, failed, broken, in_flight;
    unsigned long by_status[1000];
    histogram_t all, by_step[STEPS_MAX];
    int64_t begin_us, end_us;
} load_t;

/* ---- connections ---- */

static void connect_again(load_t *self, connection_t *connection)
{
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connection->fd >= 0);
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)self->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(connection->fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        fprintf(stderr, "bench-http: port %u: %s\n", self->port, strerror(errno));
        exit(1);
    }
    CHECK(setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    CHECK(epoll_ctl(self->epoll, EPOLL_CTL_ADD, connection->fd, &event) == 0);
}

static bool send_rest(connection_t *connection)
{
    while (connection->sent < connection->request_size) {
        const ssize_t size = send(connection->fd, connection->request + connection->sent,
                                  connection->request_size - connection->sent, MSG_NOSIGNAL);
        if (size <= 0)
            return false;
        connection->sent += (size_t)size;
    }
    return true;
}

/* Sends the request that the connection holds; once more on a new connection when the server had
 * closed this one in between. */
static void send_request(load_t *self, connection_t *connection)
{
    connection->sent = connection->answer_size = 0;
    if (send_rest(connection))
        return;
    connect_again(self, connection);
    connection->sent = 0;
    CHECK(send_rest(connection));
}

static void begin_request(load_t *self, connection_t *connection, int64_t due_us)
{
    if (connection->step == 0 && self->subject_count > 0)
        connection->subject = self->subjects[self->next_subject++ % self->subject_count];
    connection->busy = true;
    connection->due_us = due_us;
    connection->request_size = self->kind->steps[connection->step].build(
        &self->options, &connection->subject, self->serial++, connection->request);
    self->sent++;
    self->in_flight++;
    if (self->log != NULL)
        fprintf(self->log, "%s %lld\n", connection->subject.payment_id, (long long)due_us);
    send_request(self, connection);
}

/* ---- answers ---- */

/* The size of the whole answer; 0 while its head is not whole. */
static size_t answer_bound(const connection_t *connection)
{
    const char *end = strstr(connection->answer, "\r\n\r\n");
    if (end == NULL)
        return 0;
    const char *length = strcasestr(connection->answer, "\r\nContent-Length:");
    CHECK(length != NULL && length < end); /* every answer of those that are measured has one */
    return (size_t)(end - connection->answer) + 4 + strtoul(length + 17, NULL, 10);
}

static void count_answer(load_t *self, connection_t *connection, int status, int64_t now_us)
{
    const bool counts = connection->due_us >= self->begin_us;
    const bool good = status == self->kind->steps[connection->step].status;
    const int64_t took_us = now_us - connection->due_us;
    if (counts) {
        self->by_status[status < 1000 ? status : 0]++;
        good ? self->succeeded++ : self->failed++;
        histogram_add(&self->all, took_us > 0 ? (uint64_t)took_us : 0);
        histogram_add(&self->by_step[connection->step], took_us > 0 ? (uint64_t)took_us : 0);
    }
    if (good) {
        answer_id(connection->answer, "order_id", connection->subject.order_id);
        answer_id(connection->answer, "payment_id", connection->subject.payment_id);
        if (self->ids_out != NULL)
            fprintf(self->ids_out, "%s %s\n", connection->subject.order_id,
                    connection->subject.payment_id[0] ? connection->subject.payment_id : "-");
    }
    const bool last =
        connection->step + 1 == STEPS_MAX || self->kind->steps[connection->step + 1].build == NULL;
    connection->step = last || !good ? 0 : connection->step + 1;
    if (connection->step == 0)
        connection->subject = (subject_t){{0}, {0}};
}

static void free_connection(load_t *self, connection_t *connection)
{
    connection->busy = false;
    self->in_flight--;
    self->idle[self->idle_count++] = (unsigned)(connection - self->connections);
}

static void on_whole_answer(load_t *self, connection_t *connection, int64_t now_us)
{
    const int status = atoi(connection->answer + 9);
    const bool closes = strcasestr(connection->answer, "\r\nConnection: close") != NULL;
    count_answer(self, connection, status, now_us);
    if (closes)
        connect_again(self, connection);
    free_connection(self, connection);
}

static void on_readable(load_t *self, connection_t *connection)
{
    const ssize_t size = recv(connection->fd, connection->answer + connection->answer_size,
                              ANSWER_MAX_BYTES - connection->answer_size, MSG_DONTWAIT);
    if (size <= 0) {
        if (size < 0 && errno == EAGAIN)
            return;
        if (connection->busy) {
            self->broken++;
            connection->step = 0;
            connect_again(self, connection);
            free_connection(self, connection);
        } else {
            connect_again(self, connection); /* an idle one that the server has closed */
        }
        return;
    }
    connection->answer_size += (size_t)size;
    connection->answer[connection->answer_size] = '\0';
    const size_t bound = answer_bound(connection);
    CHECK(bound <= ANSWER_MAX_BYTES);
    if (bound > 0 && connection->answer_size >= bound)
        on_whole_answer(self, connection, clock_mono_us());
}

/* ---- the loop ---- */

static bool may_send(const load_t *self, int64_t now_us)
{
    return now_us < self->end_us && (self->requests_max == 0 || self->sent < self->requests_max);
}

/* How many requests are due; closed loop: as many as there are idle connections. */
static int64_t due_at(const load_t *self, unsigned long index)
{
    return self->begin_us - (int64_t)(self->warm_up_seconds * 1e6) +
           (int64_t)((double)index * 1e6 / self->rate);
}

static void send_due(load_t *self)
{
    int64_t now_us = clock_mono_us();
    while (self->idle_count > 0 && may_send(self, now_us)) {
        int64_t due_us = now_us;
        if (self->rate > 0 && (due_us = due_at(self, self->sent)) > now_us)
            break;
        begin_request(self, &self->connections[self->idle[--self->idle_count]], due_us);
        now_us = clock_mono_us();
    }
}

static int64_t wait_us(const load_t *self)
{
    const int64_t now_us = clock_mono_us();
    int64_t wait = 100000;
    if (self->rate > 0 && self->idle_count > 0 && may_send(self, now_us)) {
        const int64_t due = due_at(self, self->sent) - now_us;
        wait = due < 0 ? 0 : due < wait ? due : wait;
    }
    return wait;
}

static void run(load_t *self)
{
    struct epoll_event events[256];
    int64_t give_up_us = 0;
    for (;;) {
        send_due(self);
        const int64_t now_us = clock_mono_us();
        if (!may_send(self, now_us)) {
            if (give_up_us == 0)
                give_up_us = now_us + GRACE_MS * 1000;
            if (self->in_flight == 0 || now_us > give_up_us)
                return;
        }
        const int64_t wait = wait_us(self);
        const struct timespec timeout = {wait / 1000000, wait % 1000000 * 1000};
        const int count = epoll_pwait2(self->epoll, events, 256, &timeout, NULL);
        CHECK(count >= 0 || errno == EINTR);
        for (int i = 0; i < count; i++)
            on_readable(self, events[i].data.ptr);
    }
}

static void print(const load_t *self, double seconds)
{
    printf("{\"succeeded\":%lu,\"failed\":%lu,\"broken\":%lu,\"unanswered\":%lu,\"seconds\":%.6f,"
           "\"status\":{",
           self->succeeded, self->failed, self->broken, self->in_flight, seconds);
    const char *comma = "";
    for (int status = 0; status < 1000; status++)
        if (self->by_status[status] > 0) {
            printf("%s\"%d\":%lu", comma, status, self->by_status[status]);
            comma = ",";
        }
    printf("},\"latency_us\":");
    histogram_print(&self->all, stdout);
    printf(",\"steps\":{");
    for (unsigned i = 0; i < STEPS_MAX && self->kind->steps[i].build != NULL; i++) {
        printf("%s\"%s\":", i > 0 ? "," : "", self->kind->steps[i].name);
        histogram_print(&self->by_step[i], stdout);
    }
    printf("}}\n");
}

/* ---- options ---- */

static _Noreturn void usage(int status)
{
    fprintf(
        status == 0 ? stdout : stderr,
        "bench-http --port PORT --kind KIND [OPTION…]\n\n"
        "  --kind KIND         orders, initiate, webhooks, read, get, or mixed (the four of a "
        "life)\n"
        "  --connections N     kept connections (default 64)\n"
        "  --seconds S         how long is measured (default 2)\n"
        "  --warm-up S         before it (default 0.3)\n"
        "  --requests N        at most that many, the warm-up's among them\n"
        "  --rate R            open loop: R requests a second; latencies count from when they were "
        "due\n"
        "  --subjects FILE     lines `order_id [payment_id]` for initiate, webhooks and read, in "
        "turn\n"
        "  --ids-out FILE      such lines of what was answered\n"
        "  --log FILE          lines `payment_id due_us` (monotonic) of what was sent\n"
        "  --secret SECRET     webhooks in Razorpay's format, signed; default: in the prototype's\n"
        "  --users N           orders are of that many users (default 1)\n"
        "  --path PATH         of kind get\n");
    exit(status);
}

static void read_subjects(load_t *self, const char *name)
{
    FILE *file = fopen(name, "r");
    if (file == NULL) {
        perror(name);
        exit(1);
    }
    subject_t subject = {{0}, {0}};
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        subject = (subject_t){{0}, {0}};
        if (sscanf(line, "%36s %36s", subject.order_id, subject.payment_id) < 1)
            continue;
        self->subjects =
            realloc(self->subjects, (self->subject_count + 1) * sizeof *self->subjects);
        CHECK(self->subjects != NULL);
        self->subjects[self->subject_count++] = subject;
    }
    fclose(file);
}

static FILE *open_to_write(const char *name)
{
    FILE *file = fopen(name, "w");
    if (file == NULL) {
        perror(name);
        exit(1);
    }
    return file;
}

static void set_kind(load_t *self, const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            self->kind = &kinds[i];
}

static void read_options(load_t *self, int argc, char **argv)
{
    static const struct option options[] = {
        {"port", 1, NULL, 'p'},    {"kind", 1, NULL, 'k'},     {"connections", 1, NULL, 'c'},
        {"seconds", 1, NULL, 's'}, {"warm-up", 1, NULL, 'w'},  {"requests", 1, NULL, 'n'},
        {"rate", 1, NULL, 'r'},    {"subjects", 1, NULL, 'i'}, {"ids-out", 1, NULL, 'o'},
        {"log", 1, NULL, 'l'},     {"secret", 1, NULL, 'S'},   {"users", 1, NULL, 'u'},
        {"path", 1, NULL, 'P'},    {"help", 0, NULL, 'h'},     {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 'p':
            self->port = (unsigned)atoi(optarg);
            break;
        case 'k':
            set_kind(self, optarg);
            break;
        case 'c':
            self->connection_count = (unsigned)atoi(optarg);
            break;
        case 's':
            self->seconds = atof(optarg);
            break;
        case 'w':
            self->warm_up_seconds = atof(optarg);
            break;
        case 'n':
            self->requests_max = strtoul(optarg, NULL, 10);
            break;
        case 'r':
            self->rate = atof(optarg);
            break;
        case 'i':
            read_subjects(self, optarg);
            break;
        case 'o':
            self->ids_out = open_to_write(optarg);
            break;
        case 'l':
            self->log = open_to_write(optarg);
            break;
        case 'S':
            self->options.webhook_secret = optarg;
            break;
        case 'u':
            self->options.users = (unsigned)atoi(optarg);
            break;
        case 'P':
            self->options.path = optarg;
            break;
        case 'h':
            usage(0);
        default:
            usage(64);
        }
    if (optind != argc || self->port == 0 || self->kind == NULL || self->options.users == 0 ||
        self->connection_count == 0 || self->connection_count > CONNECTIONS_MAX ||
        (self->kind->needs_subjects && self->subject_count == 0))
        usage(64);
}

int main(int argc, char **argv)
{
    static load_t load = {.connection_count = 64,
                          .seconds = 2,
                          .warm_up_seconds = 0.3,
                          .options = {.path = "/healthz", .users = 1}};
    read_options(&load, argc, argv);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    load.connections = calloc(load.connection_count, sizeof *load.connections);
    load.idle = calloc(load.connection_count, sizeof *load.idle);
    CHECK(load.epoll >= 0 && load.connections != NULL && load.idle != NULL);
    for (unsigned i = 0; i < load.connection_count; i++) {
        load.connections[i].fd = -1;
        connect_again(&load, &load.connections[i]);
        load.idle[load.idle_count++] = i;
    }
    load.begin_us = clock_mono_us() + (int64_t)(load.warm_up_seconds * 1e6);
    load.end_us = load.begin_us + (int64_t)(load.seconds * 1e6);
    run(&load);
    const int64_t ended_us = clock_mono_us();
    print(&load,
          (double)((load.requests_max > 0 && ended_us < load.end_us ? ended_us : load.end_us) -
                   load.begin_us) /
              1e6);
    if (load.ids_out != NULL)
        CHECK(fclose(load.ids_out) == 0);
    if (load.log != NULL)
        CHECK(fclose(load.log) == 0);
    return 0;
}
