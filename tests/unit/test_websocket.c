/* test_websocket.c - customers' sockets over loopback: who gets what, and what a bad client costs.
 */
#include "gateway/websocket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/ws_token.h"
#include "lib/clock.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

#define TOKEN_SECRET "0123456789abcdef0123456789abcdef"

enum { WAIT_MS = 15000, TEXT = 0x1, CLOSE = 0x8, PING = 0x9, PONG = 0xA, PAYLOAD_MAX = 17000 };

/* ---- the server under test ---- */

static void plain(http_request_t *request)
{
    http_respond(request, 200, "text/plain", "ok", 2);
}

static const http_route_t routes[] = {{"GET", "/plain", plain, 0}, {NULL, NULL, NULL, 0}};

typedef struct fixture {
    http_server_t *server;
    websockets_t *websockets;
} fixture_t;

static fixture_t start(const websockets_config_t *config)
{
    fixture_t fixture;
    const http_server_config_t http = {
        .addr = "127.0.0.1:0", .threads = 12, .keep_alive_timeout_ms = 1000, .routes = routes};
    err_detail_t detail = {{0}};
    fixture.server = http_server_new(&http, &detail);
    if (fixture.server == NULL)
        fail_msg("%s", detail.text);
    fixture.websockets = websockets_new(config);
    websockets_attach(fixture.websockets, fixture.server);
    return fixture;
}

static fixture_t start_default(void)
{
    return start(&(websockets_config_t){.max = 8});
}

static void stop(fixture_t *fixture)
{
    http_server_destroy(&fixture->server);
    websockets_destroy(&fixture->websockets);
}

static bool deliver(fixture_t *fixture, int64_t event_id, const char *user_id, const char *order_id,
                    str_t payload)
{
    notifier_event_t event = {.event_id = event_id,
                              .user_id = str_of(user_id),
                              .type = STR_LITERAL("payment.confirmed"),
                              .payload = payload};
    if (order_id != NULL)
        assert_true(uuid_parse(order_id, strlen(order_id), &event.order_id));
    return websockets_deliver(fixture->websockets, &event);
}

/* ---- a client ---- */

static int dial(const fixture_t *fixture)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(fixture->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Exactly `size` bytes; false at the end of the connection. */
static bool receive(int fd, void *data, size_t size)
{
    uint8_t *next = data;
    while (size > 0) {
        struct pollfd waited = {.fd = fd, .events = POLLIN};
        if (poll(&waited, 1, WAIT_MS) != 1)
            fail_msg("nothing came");
        const ssize_t got = recv(fd, next, size, 0);
        if (got <= 0)
            return false;
        next += got;
        size -= (size_t)got;
    }
    return true;
}

/* Sends the request of an upgrade; the head of the answer into `head`. */
static int upgrade(const fixture_t *fixture, const char *target, char *head, size_t capacity)
{
    char request[512];
    const int size = snprintf(request, sizeof request,
                              "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                              "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                              target);
    const int fd = dial(fixture);
    assert_int_equal(send(fd, request, (size_t)size, MSG_NOSIGNAL), size);
    size_t used = 0;
    while (used < 4 || memcmp(head + used - 4, "\r\n\r\n", 4) != 0) {
        assert_true(used + 1 < capacity);
        if (!receive(fd, head + used, 1))
            break;
        used++;
    }
    head[used] = '\0';
    return fd;
}

static bool count_is(void *arg)
{
    const fixture_t *fixture = ((void **)arg)[0];
    return websockets_stats(fixture->websockets).open == *(const unsigned *)((void **)arg)[1];
}

static void wait_for_open(fixture_t *fixture, unsigned open)
{
    void *arg[] = {fixture, &open};
    wait_until(count_is, arg, WAIT_MS, "number of open sockets");
}

/* Connects; returns when the server counts it. */
static int open_socket(fixture_t *fixture, const char *target)
{
    char head[1024];
    const unsigned before = websockets_stats(fixture->websockets).open;
    const int fd = upgrade(fixture, target, head, sizeof head);
    if (strncmp(head, "HTTP/1.1 101", 12) != 0)
        fail_msg("not upgraded: %s", head);
    wait_for_open(fixture, before + 1);
    return fd;
}

static void assert_refused(fixture_t *fixture, const char *target, int status, const char *code)
{
    char head[1024], body[1024] = "", wanted[64];
    const int fd = upgrade(fixture, target, head, sizeof head);
    snprintf(wanted, sizeof wanted, "HTTP/1.1 %d ", status);
    assert_memory_equal(head, wanted, strlen(wanted));
    assert_non_null(strstr(head, "X-Request-Id: "));
    assert_non_null(strstr(head, "Content-Type: application/problem+json"));
    size_t size = 0;
    while (size + 1 < sizeof body && receive(fd, body + size, 1))
        size++;
    snprintf(wanted, sizeof wanted, "\"code\":\"%s\"", code);
    assert_non_null(strstr(body, wanted));
    close(fd);
}

typedef struct frame_in {
    unsigned opcode;
    size_t size;
    char payload[PAYLOAD_MAX + 1];
} frame_in_t;

/* False at the end of the connection. */
static bool next_frame(int fd, frame_in_t *frame)
{
    uint8_t header[4];
    if (!receive(fd, header, 2))
        return false;
    assert_int_equal(header[0] & 0x80, 0x80);
    assert_int_equal(header[1] & 0x80, 0);
    frame->opcode = header[0] & 0x0F;
    frame->size = header[1];
    if (frame->size == 126) {
        if (!receive(fd, header, 2))
            return false;
        frame->size = (size_t)header[0] << 8 | header[1];
    }
    assert_true(frame->size <= PAYLOAD_MAX);
    if (!receive(fd, frame->payload, frame->size))
        return false;
    frame->payload[frame->size] = '\0';
    return true;
}

static void assert_text(int fd, const char *payload)
{
    frame_in_t frame;
    assert_true(next_frame(fd, &frame));
    assert_int_equal(frame.opcode, TEXT);
    assert_string_equal(frame.payload, payload);
}

static unsigned close_code(const frame_in_t *frame)
{
    assert_int_equal(frame->opcode, CLOSE);
    assert_true(frame->size >= 2);
    return (unsigned)(uint8_t)frame->payload[0] << 8 | (uint8_t)frame->payload[1];
}

/* A masked client frame; the mask is zero, so the payload goes as it is. */
static void send_frame(int fd, unsigned opcode, const void *payload, size_t size)
{
    uint8_t header[8] = {(uint8_t)(0x80 | opcode)};
    size_t header_size = 2;
    header[1] = (uint8_t)(0x80 | (size < 126 ? size : 126));
    if (size >= 126) {
        header[2] = (uint8_t)(size >> 8);
        header[3] = (uint8_t)size;
        header_size = 4;
    }
    send(fd, header, header_size + 4, MSG_NOSIGNAL); /* four bytes of mask */
    send(fd, payload, size, MSG_NOSIGNAL);
}

static void assert_ends(int fd)
{
    char byte;
    assert_false(receive(fd, &byte, 1));
    close(fd);
}

/* ---- tests ---- */

static void a_socket_gets_its_own_users_events_only(void **state)
{
    (void)state;
    fixture_t fixture = start_default();
    const int a = open_socket(&fixture, "/ws?user_id=alice");
    const int b = open_socket(&fixture, "/ws?user_id=bob%20b");
    assert_true(deliver(&fixture, 1, "alice", NULL, STR_LITERAL("{\"n\":1}")));
    assert_true(deliver(&fixture, 2, "bob b", NULL, STR_LITERAL("{\"n\":2}")));
    assert_true(deliver(&fixture, 3, "carol", NULL, STR_LITERAL("{\"n\":3}")));
    assert_true(deliver(&fixture, 4, "alice", NULL, STR_LITERAL("{\"n\":4}")));
    assert_text(a, "{\"n\":1}");
    assert_text(a, "{\"n\":4}");
    assert_text(b, "{\"n\":2}");
    close(a);
    close(b);
    wait_for_open(&fixture, 0);
    stop(&fixture);
}

static void a_socket_that_asked_for_an_order_gets_that_order_only(void **state)
{
    (void)state;
    fixture_t fixture = start_default();
    const char *first = "019a4c1e-0000-7000-8000-000000000001";
    const char *second = "019a4c1e-0000-7000-8000-000000000002";
    const int fd =
        open_socket(&fixture, "/ws?order_id=019a4c1e-0000-7000-8000-000000000002&user_id=alice");
    deliver(&fixture, 1, "alice", first, STR_LITERAL("first"));
    deliver(&fixture, 2, "alice", second, STR_LITERAL("second"));
    assert_text(fd, "second");
    close(fd);
    stop(&fixture);
}

static void an_event_that_was_delivered_is_dropped(void **state)
{
    (void)state;
    fixture_t fixture = start_default();
    const int fd = open_socket(&fixture, "/ws?user_id=alice");
    assert_true(deliver(&fixture, 7, "alice", NULL, STR_LITERAL("seven")));
    assert_false(deliver(&fixture, 7, "alice", NULL, STR_LITERAL("seven again")));
    assert_false(deliver(&fixture, 6, "alice", NULL, STR_LITERAL("six")));
    assert_true(deliver(&fixture, 8, "alice", NULL, STR_LITERAL("eight")));
    assert_int_equal(websockets_last_event_id(fixture.websockets), 8);
    assert_text(fd, "seven");
    assert_text(fd, "eight");
    close(fd);
    stop(&fixture);
}

/* What is committed: events up to 5. Live delivery may be anywhere behind it. */
typedef struct feed {
    sem_t asked, answer;
    int64_t since;
} feed_t;

static err_t read_feed(void *arg, const char *user_id, const uuid_t *order_id, int64_t since,
                       websocket_events_t *events)
{
    feed_t *feed = arg;
    (void)user_id;
    (void)order_id;
    feed->since = since;
    sem_post(&feed->asked);
    while (sem_wait(&feed->answer) != 0)
        continue;
    buf_clear(&events->lines);
    buf_add(&events->lines, "four\nfive\n", 10);
    events->last_event_id = 5;
    events->more = false;
    return ERR_OK;
}

static void what_a_socket_resumed_is_not_delivered_again_however_late_it_comes_live(void **state)
{
    (void)state;
    feed_t feed = {.since = -1};
    assert_int_equal(sem_init(&feed.asked, 0, 0), 0);
    assert_int_equal(sem_init(&feed.answer, 0, 0), 0);
    fixture_t fixture =
        start(&(websockets_config_t){.max = 8, .read_events = read_feed, .read_events_arg = &feed});
    assert_true(deliver(&fixture, 1, "alice", NULL, STR_LITERAL("one")));
    const int fd = open_socket(&fixture, "/ws?user_id=alice&since=2");
    while (sem_wait(&feed.asked) != 0)
        continue;
    assert_int_equal(feed.since, 2);
    deliver(&fixture, 2, "alice", NULL, STR_LITERAL("two, live, before the page"));
    deliver(&fixture, 4, "alice", NULL, STR_LITERAL("four, live, before the page"));
    sem_post(&feed.answer);
    assert_text(fd, "four");
    assert_text(fd, "five");
    deliver(&fixture, 5, "alice", NULL, STR_LITERAL("five, live, after the page"));
    deliver(&fixture, 6, "alice", NULL, STR_LITERAL("six"));
    assert_text(fd, "six");
    close(fd);
    stop(&fixture);
    sem_destroy(&feed.asked);
    sem_destroy(&feed.answer);
}

static void one_socket_more_than_allowed_gets_503_until_one_leaves(void **state)
{
    (void)state;
    fixture_t fixture = start(&(websockets_config_t){.max = 2});
    const int a = open_socket(&fixture, "/ws?user_id=alice");
    const int b = open_socket(&fixture, "/ws?user_id=alice");
    assert_refused(&fixture, "/ws?user_id=alice", 503, "TOO_MANY_WEBSOCKETS");
    assert_int_equal(websockets_stats(fixture.websockets).refused, 1);
    close(a);
    wait_for_open(&fixture, 1);
    const int c = open_socket(&fixture, "/ws?user_id=alice");
    close(b);
    close(c);
    stop(&fixture);
}

static void a_handshake_that_cannot_be_understood_is_refused(void **state)
{
    (void)state;
    fixture_t fixture = start_default();
    assert_refused(&fixture, "/ws", 400, "INVALID_QUERY");
    assert_refused(&fixture, "/ws?user_id=", 400, "INVALID_QUERY");
    assert_refused(&fixture, "/ws?user_id=a%0Ab", 400, "INVALID_QUERY");
    assert_refused(&fixture, "/ws?user_id=%ff", 400, "INVALID_QUERY");
    assert_refused(&fixture, "/ws?user_id=a&user_id=b", 400, "INVALID_QUERY");
    assert_refused(&fixture, "/ws?user_id=a&colour=red", 400, "INVALID_QUERY");
    assert_refused(&fixture, "/ws?user_id=a&order_id=1", 400, "INVALID_ID");
    assert_refused(&fixture, "/wsx?user_id=a", 404, "NOT_FOUND");
    stop(&fixture);
}

static void where_keys_are_configured_a_user_id_is_not_enough(void **state)
{
    (void)state;
    fixture_t fixture =
        start(&(websockets_config_t){.max = 2, .needs_token = true, .token_secrets = TOKEN_SECRET});
    assert_refused(&fixture, "/ws", 401, "UNAUTHENTICATED");
    assert_refused(&fixture, "/ws?user_id=alice", 401, "UNAUTHENTICATED");
    assert_refused(&fixture, "/ws?token=", 401, "TOKEN_INVALID");
    assert_refused(&fixture, "/ws?token=ws1.1.dTE.x", 401, "TOKEN_INVALID");
    assert_refused(&fixture, "/ws?token=a&token=b", 401, "TOKEN_INVALID");
    stop(&fixture);
}

static void a_token_opens_a_socket_of_its_user_until_it_expires(void **state)
{
    (void)state;
    fixture_t fixture =
        start(&(websockets_config_t){.max = 2, .needs_token = true, .token_secrets = TOKEN_SECRET});
    const int64_t now_s = clock_wall_us() / 1000000;
    char token[WS_TOKEN_SIZE], target[WS_TOKEN_SIZE + 80];
    ws_token_make(TOKEN_SECRET, STR_LITERAL("bob b"), now_s + 3600, token);
    snprintf(target, sizeof target, "/ws?token=%s&order_id=019a4c1e-0000-7000-8000-000000000002",
             token);
    const int fd = open_socket(&fixture, target);
    deliver(&fixture, 1, "alice", "019a4c1e-0000-7000-8000-000000000002", STR_LITERAL("alice's"));
    deliver(&fixture, 2, "bob b", "019a4c1e-0000-7000-8000-000000000001", STR_LITERAL("another"));
    deliver(&fixture, 3, "bob b", "019a4c1e-0000-7000-8000-000000000002", STR_LITERAL("his"));
    assert_text(fd, "his");
    snprintf(target, sizeof target, "/ws?token=%s&user_id=alice", token);
    assert_refused(&fixture, target, 400, "INVALID_QUERY");
    snprintf(target, sizeof target, "/ws?token=%s&since=x", token);
    assert_refused(&fixture, target, 400, "INVALID_QUERY");
    ws_token_make(TOKEN_SECRET, STR_LITERAL("bob b"), now_s, token);
    snprintf(target, sizeof target, "/ws?token=%s", token);
    assert_refused(&fixture, target, 401, "TOKEN_INVALID");
    close(fd);
    stop(&fixture);
}

static void a_ping_is_answered_and_other_frames_are_ignored(void **state)
{
    (void)state;
    fixture_t fixture = start_default();
    const int fd = open_socket(&fixture, "/ws?user_id=alice");
    send_frame(fd, TEXT, "hello?", 6);
    send_frame(fd, PING, "abc", 3);
    frame_in_t frame;
    assert_true(next_frame(fd, &frame));
    assert_int_equal(frame.opcode, PONG);
    assert_string_equal(frame.payload, "abc");
    close(fd);
    stop(&fixture);
}

static void a_close_is_answered(void **state)
{
    (void)state;
    fixture_t fixture = start_default();
    const int fd = open_socket(&fixture, "/ws?user_id=alice");
    send_frame(fd, CLOSE, "\x03\xe8", 2);
    frame_in_t frame;
    assert_true(next_frame(fd, &frame));
    assert_int_equal(close_code(&frame), 1000);
    assert_ends(fd);
    wait_for_open(&fixture, 0);
    stop(&fixture);
}

static void assert_closed_after(const void *bytes, size_t size, unsigned code)
{
    fixture_t fixture = start_default();
    const int fd = open_socket(&fixture, "/ws?user_id=alice");
    send(fd, bytes, size, MSG_NOSIGNAL);
    frame_in_t frame;
    assert_true(next_frame(fd, &frame));
    assert_int_equal(close_code(&frame), code);
    assert_ends(fd);
    wait_for_open(&fixture, 0);
    stop(&fixture);
}

static void a_frame_that_claims_two_gigabytes_ends_the_connection_at_once(void **state)
{
    (void)state;
    static const uint8_t claim[] = {0x82, 0xFF, 0, 0, 0, 0, 0x6F, 0xFF, 0, 0, 1, 2, 3, 4, 'x'};
    assert_closed_after(claim, sizeof claim, 1009);
}

static void a_frame_over_the_limit_is_refused_before_its_payload_comes(void **state)
{
    (void)state;
    static const uint8_t claim[] = {0x81, 0x80 | 126, 0x10, 0x01};
    assert_closed_after(claim, sizeof claim, 1009);
}

static void frames_that_the_protocol_forbids_end_the_connection(void **state)
{
    (void)state;
    assert_closed_after("\x81\x02hi", 4, 1002);       /* not masked */
    assert_closed_after("\x01\x82....hi", 8, 1002);   /* a fragment */
    assert_closed_after("\xC1\x82....hi", 8, 1002);   /* a reserved bit */
    assert_closed_after("\x89\xFE\x00\x7E", 4, 1002); /* a long ping */
}

static void frames_may_come_in_pieces_and_together(void **state)
{
    (void)state;
    fixture_t fixture = start_default();
    const int fd = open_socket(&fixture, "/ws?user_id=alice");
    send(fd, "\x89", 1, MSG_NOSIGNAL);
    send(fd, "\x81\0\0\0\0a\x89\x81\0\0\0\0b\x89", 14, MSG_NOSIGNAL);
    send(fd, "\x81\1\1\1\1b", 6, MSG_NOSIGNAL);
    const char *wanted[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        frame_in_t frame;
        assert_true(next_frame(fd, &frame));
        assert_int_equal(frame.opcode, PONG);
        assert_string_equal(frame.payload, wanted[i]);
    }
    close(fd);
    stop(&fixture);
}

static void draining_ends_sockets_that_do_not_answer(void **state)
{
    (void)state;
    fixture_t fixture = start_default();
    const int fd = open_socket(&fixture, "/ws?user_id=alice");
    websockets_drain(fixture.websockets, 50);
    http_server_destroy(&fixture.server); /* joins the socket's thread */
    websockets_destroy(&fixture.websockets);
    close(fd);
}

static void a_silent_client_is_pinged_and_dropped_when_it_never_answers(void **state)
{
    (void)state;
    fixture_t fixture = start(&(websockets_config_t){.max = 2, .ping_every_ms = 50});
    const int fd = open_socket(&fixture, "/ws?user_id=alice");
    frame_in_t frame;
    assert_true(next_frame(fd, &frame));
    assert_int_equal(frame.opcode, PING);
    while (next_frame(fd, &frame))
        assert_int_equal(frame.opcode, PING);
    close(fd);
    wait_for_open(&fixture, 0);
    stop(&fixture);
}

static void a_client_that_answers_pings_stays(void **state)
{
    (void)state;
    fixture_t fixture = start(&(websockets_config_t){.max = 2, .ping_every_ms = 20});
    const int fd = open_socket(&fixture, "/ws?user_id=alice");
    frame_in_t frame;
    for (int i = 0; i < 12; i++) {
        assert_true(next_frame(fd, &frame));
        assert_int_equal(frame.opcode, PING);
        send_frame(fd, PONG, "", 0);
    }
    close(fd);
    stop(&fixture);
}

static void *drain(void *arg)
{
    const fixture_t *fixture = arg;
    websockets_drain(fixture->websockets, WAIT_MS);
    return NULL;
}

static void draining_says_going_away_and_takes_nobody_new(void **state)
{
    (void)state;
    fixture_t fixture = start_default();
    const int fd = open_socket(&fixture, "/ws?user_id=alice");
    pthread_t drainer;
    pthread_create(&drainer, NULL, drain, &fixture);
    frame_in_t frame;
    assert_true(next_frame(fd, &frame));
    assert_int_equal(close_code(&frame), 1001);
    send_frame(fd, CLOSE, "\x03\xe9", 2);
    assert_ends(fd);
    pthread_join(drainer, NULL);
    assert_int_equal(websockets_stats(fixture.websockets).open, 0);
    assert_refused(&fixture, "/ws?user_id=alice", 503, "TOO_MANY_WEBSOCKETS");
    stop(&fixture);
}

/* ---- laggards ---- */

static char large_payload[16000];

/* Events to `user` until a laggard shows. Returns how many events went out. */
static int64_t flood(fixture_t *fixture, const char *user, int64_t first_id, uint64_t laggards)
{
    int64_t id = first_id;
    memset(large_payload, 'x', sizeof large_payload);
    const str_t payload = {large_payload, sizeof large_payload};
    const int64_t end = clock_mono_ms() + WAIT_MS;
    while (websockets_stats(fixture->websockets).laggards < laggards) {
        assert_true(clock_mono_ms() < end);
        deliver(fixture, id++, user, NULL, payload);
    }
    return id - first_id;
}

static void a_reader_that_does_not_read_is_closed_with_1013(void **state)
{
    (void)state;
    fixture_t fixture = start_default();
    const int fd = open_socket(&fixture, "/ws?user_id=slow");
    const int64_t sent = flood(&fixture, "slow", 1, 1);
    /* It wakes up: reads what was on the way, in order, then the reason. */
    frame_in_t frame;
    int64_t got = 0;
    for (;;) {
        assert_true(next_frame(fd, &frame));
        if (frame.opcode != TEXT)
            break;
        got++;
    }
    assert_int_equal(close_code(&frame), 1013);
    assert_true(got < sent);
    send_frame(fd, CLOSE, "\x03\xf5", 2);
    assert_ends(fd);
    wait_for_open(&fixture, 0);
    stop(&fixture);
}

typedef struct reader {
    int fd;
    atomic_int got;
} reader_t;

static void *read_all(void *arg)
{
    reader_t *reader = arg;
    frame_in_t *frame = malloc(sizeof *frame);
    while (next_frame(reader->fd, frame))
        atomic_fetch_add(&reader->got, frame->opcode == TEXT);
    free(frame);
    return NULL;
}

static bool has_got_last(void *arg)
{
    void **args = arg;
    return atomic_load(&((reader_t *)args[0])->got) == *(int *)args[1];
}

static void laggards_do_not_hold_up_others(void **state)
{
    (void)state;
    fixture_t fixture = start_default();
    const int slow[] = {open_socket(&fixture, "/ws?user_id=slow"),
                        open_socket(&fixture, "/ws?user_id=slow"),
                        open_socket(&fixture, "/ws?user_id=slow")};
    reader_t reader = {.fd = open_socket(&fixture, "/ws?user_id=quick")};
    pthread_t thread;
    pthread_create(&thread, NULL, read_all, &reader);
    flood(&fixture, "slow", 1, 3);
    const int64_t before_ms = clock_mono_ms();
    int wanted = 100;
    for (int64_t i = 0; i < wanted; i++)
        deliver(&fixture, 1000000 + i, "quick", NULL, STR_LITERAL("news"));
    void *args[] = {&reader, &wanted};
    wait_until(has_got_last, args, WAIT_MS, "all news at the quick reader");
    assert_true(clock_mono_ms() - before_ms < 1500);
    shutdown(reader.fd, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(reader.fd);
    for (int i = 0; i < 3; i++)
        close(slow[i]);
    wait_for_open(&fixture, 0);
    stop(&fixture);
}

static int64_t cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void sockets_that_cannot_take_more_cost_next_to_no_time(void **state)
{
    (void)state;
    fixture_t fixture = start_default();
    const int slow[] = {open_socket(&fixture, "/ws?user_id=slow"),
                        open_socket(&fixture, "/ws?user_id=slow")};
    flood(&fixture, "slow", 1, 2);
    const int64_t before_us = cpu_us();
    poll(NULL, 0, 400); /* the time that is measured */
    assert_true(cpu_us() - before_us < 100000);
    close(slow[0]);
    close(slow[1]);
    stop(&fixture);
}

/* A WebSocket that ends gives its thread back, and the server's count of held connections with it.
 */
static void sockets_that_came_and_went_leave_the_server_as_it_was(void **state)
{
    (void)state;
    fixture_t fixture = start_default();
    for (int i = 0; i < 15; i++) {
        const int fd = open_socket(&fixture, "/ws?user_id=alice");
        close(fd);
        wait_for_open(&fixture, 0);
    }
    const int fd = dial(&fixture);
    const char *request = "GET /plain HTTP/1.1\r\n\r\n";
    char answer[2048];
    send(fd, request, strlen(request), MSG_NOSIGNAL);
    size_t size = 0;
    do
        assert_true(receive(fd, answer + size++, 1));
    while (size < 4 || memcmp(answer + size - 4, "\r\n\r\n", 4) != 0);
    answer[size] = '\0';
    assert_non_null(strstr(answer, "Connection: keep-alive"));
    close(fd);
    stop(&fixture);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_socket_gets_its_own_users_events_only),
    cmocka_unit_test(a_socket_that_asked_for_an_order_gets_that_order_only),
    cmocka_unit_test(an_event_that_was_delivered_is_dropped),
    cmocka_unit_test(what_a_socket_resumed_is_not_delivered_again_however_late_it_comes_live),
    cmocka_unit_test(one_socket_more_than_allowed_gets_503_until_one_leaves),
    cmocka_unit_test(a_handshake_that_cannot_be_understood_is_refused),
    cmocka_unit_test(where_keys_are_configured_a_user_id_is_not_enough),
    cmocka_unit_test(a_token_opens_a_socket_of_its_user_until_it_expires),
    cmocka_unit_test(a_ping_is_answered_and_other_frames_are_ignored),
    cmocka_unit_test(a_close_is_answered),
    cmocka_unit_test(a_frame_that_claims_two_gigabytes_ends_the_connection_at_once),
    cmocka_unit_test(a_frame_over_the_limit_is_refused_before_its_payload_comes),
    cmocka_unit_test(frames_that_the_protocol_forbids_end_the_connection),
    cmocka_unit_test(frames_may_come_in_pieces_and_together),
    cmocka_unit_test(draining_ends_sockets_that_do_not_answer),
    cmocka_unit_test(a_silent_client_is_pinged_and_dropped_when_it_never_answers),
    cmocka_unit_test(a_client_that_answers_pings_stays),
    cmocka_unit_test(draining_says_going_away_and_takes_nobody_new),
    cmocka_unit_test(a_reader_that_does_not_read_is_closed_with_1013),
    cmocka_unit_test(laggards_do_not_hold_up_others),
    cmocka_unit_test(sockets_that_cannot_take_more_cost_next_to_no_time),
    cmocka_unit_test(sockets_that_came_and_went_leave_the_server_as_it_was),
};

TEST_MAIN(tests)
