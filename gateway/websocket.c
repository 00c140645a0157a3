/* websocket.c - see websocket.h.
 *
 * Threads: each socket has one of civetweb's threads, which reads; two writers send; the hub thread
 * only puts frames into outboxes. One lock guards the registry, the outboxes and the flags; it is
 * never held while bytes are written.
 *
 * civetweb tells nobody the descriptor of a connection, yet without it a reader that does not read
 * holds up a writer for as long as the request timeout, and a socket cannot be closed from our
 * side. So it is found when the connection is ready: only a socket that can take bytes is written
 * to, and one that is to go is shut down. What cannot take bytes is set aside for a moment, so that
 * writers never go round in circles.
 */
#include "gateway/websocket.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/client_frame.h"
#include "gateway/requests.h"
#include "gateway/socket_fd.h"
#include "gateway/socket_registry.h"
#include "gateway/ws_token.h"
#include "lib/clock.h"
#include "lib/log.h"

enum {
    WRITERS = 2,
    PING_EVERY_MS = 20000,
    UNANSWERED_PINGS_MAX = 3,
    LOOK_EVERY_MS = 1000, /* for pings */
    CLOSE_WITHIN_MS = 10000,
    FULL_RETRY_MS = 20,             /* a socket that could not take more */
    SEND_BUFFER_BYTES = 128 * 1024, /* else the kernel takes megabytes before a laggard shows */
    FRAMES_PER_TURN = 32,
    KEY_SIZE = 24, /* Sec-WebSocket-Key: 16 bytes in base64; civetweb drops a connection with a
                      longer one unseen */
    CLOSE_NORMAL = 1000,
    CLOSE_GOING_AWAY = 1001,
    CLOSE_PROTOCOL_ERROR = 1002,
    CLOSE_TOO_LARGE = 1009,
    CLOSE_TRY_AGAIN_LATER = 1013
};

typedef struct connection {
    socket_t socket;
    struct mg_connection *mg;
    void *server_data; /* the HTTP server's mark on the connection, given back at the end */
    int fd;
    int64_t since; /* where it wants to go on from; -1: from now */
    int64_t has;   /* the newest event that it has from elsewhere: older ones may still come live */
    bool resuming; /* its own thread is sending what it missed; writers keep off */
    bool queued;   /* in the writers' queue */
    bool stalled;  /* could not take more; looked at again after FULL_RETRY_MS */
    bool writing;  /* a writer has it */
    bool closing;  /* a close frame is in its outbox, or it was shut down */
    int64_t last_heard_ms, last_ping_ms, close_by_ms;
    struct connection *next_queued;
} connection_t;

struct websockets {
    websockets_config_t config;
    pthread_t writers[WRITERS];
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t work;  /* the queue is not empty, or stopping */
    pthread_cond_t idle;  /* a connection is not being written any more, or is gone */
    socket_registry_t *registry;
    unsigned taken; /* accepted, from the handshake on */
    connection_t *queue_first, **queue_last;
    bool draining, stopping;
    int64_t last_event_id;
    int64_t next_look_ms;
    unsigned look_every_ms;
    unsigned stalled; /* connections */
    int64_t next_retry_ms;
    websockets_stats_t stats;
};

/* ---- the writers' queue (under the lock) ---- */

static void enqueue(websockets_t *self, connection_t *connection)
{
    if (connection->queued || connection->writing || connection->stalled || connection->resuming)
        return; /* its outbox is looked at again anyway */
    connection->queued = true;
    connection->next_queued = NULL;
    *self->queue_last = connection;
    self->queue_last = &connection->next_queued;
    pthread_cond_signal(&self->work);
}

static connection_t *dequeue(websockets_t *self)
{
    connection_t *connection = self->queue_first;
    if (connection == NULL)
        return NULL;
    self->queue_first = connection->next_queued;
    if (self->queue_first == NULL)
        self->queue_last = &self->queue_first;
    connection->queued = false;
    return connection;
}

static void remove_from_queue(websockets_t *self, connection_t *connection)
{
    connection_t **link = &self->queue_first;
    while (*link != NULL && *link != connection)
        link = &(*link)->next_queued;
    if (*link == NULL)
        return;
    *link = connection->next_queued;
    if (self->queue_last == &connection->next_queued)
        self->queue_last = link;
    connection->queued = false;
}

static void set_stalled(websockets_t *self, connection_t *connection, bool stalled)
{
    if (connection->stalled == stalled)
        return;
    connection->stalled = stalled;
    self->stalled += stalled ? 1u : -1u;
}

/* The close frame is the last that it gets; one that cannot take even that is shut down after
 * CLOSE_WITHIN_MS. */
static void close_with(websockets_t *self, connection_t *connection, unsigned code,
                       const char *reason)
{
    if (connection->closing)
        return;
    connection->closing = true;
    connection->close_by_ms = clock_mono_ms() + CLOSE_WITHIN_MS;
    frame_t *frame = frame_new_close(code, reason);
    if (!socket_push(&connection->socket, frame))
        socket_push_last(&connection->socket, frame);
    frame_release(&frame);
    enqueue(self, connection);
}

static void drop_laggard(websockets_t *self, connection_t *connection)
{
    self->stats.laggards++;
    close_with(self, connection, CLOSE_TRY_AGAIN_LATER, "too slow: connect again");
    log_info(NULL, "websocket dropped", "reason=\"outbox full\" open=%u",
             socket_registry_count(self->registry));
}

/* ---- writers ---- */

static bool can_take_bytes(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT) != 0;
}

/* Sends some of what waits for one connection. The lock is held at entry and exit, not while
 * writing. False: it is full. */
static bool write_some(websockets_t *self, connection_t *connection)
{
    bool writable = true;
    for (int i = 0; i < FRAMES_PER_TURN && connection->socket.outbox_count > 0; i++) {
        writable = can_take_bytes(connection->fd);
        if (!writable)
            break;
        frame_t *frame = socket_pop(&connection->socket);
        pthread_mutex_unlock(&self->lock);
        mg_lock_connection(connection->mg);
        const int written = mg_write(connection->mg, frame->bytes, frame->size);
        mg_unlock_connection(connection->mg);
        if (written != (int)frame->size)
            shutdown(connection->fd, SHUT_RDWR); /* its reading thread ends */
        pthread_mutex_lock(&self->lock);
        frame_release(&frame);
        self->stats.frames_sent++;
    }
    return writable;
}

static void look_at_all(websockets_t *self, int64_t now_ms)
{
    frame_t *ping = frame_new(FRAME_PING, NULL, 0);
    for (socket_t *socket = socket_registry_first(self->registry); socket != NULL;
         socket = socket->next) {
        connection_t *connection = socket->owner;
        const int64_t silent_ms = now_ms - connection->last_heard_ms;
        if (silent_ms > (UNANSWERED_PINGS_MAX + 1) * (int64_t)self->config.ping_every_ms ||
            (connection->closing && now_ms > connection->close_by_ms)) {
            shutdown(connection->fd, SHUT_RDWR);
        } else if (now_ms - connection->last_ping_ms >= self->config.ping_every_ms &&
                   !connection->closing) {
            connection->last_ping_ms = now_ms;
            if (socket_push(socket, ping))
                enqueue(self, connection);
        }
    }
    frame_release(&ping);
}

/* Those that could not take more may be able to by now. */
static void retry_stalled(websockets_t *self, int64_t now_ms)
{
    self->next_retry_ms = now_ms + FULL_RETRY_MS;
    for (socket_t *socket = socket_registry_first(self->registry); socket != NULL;
         socket = socket->next) {
        connection_t *connection = socket->owner;
        if (!connection->stalled)
            continue;
        set_stalled(self, connection, false);
        enqueue(self, connection);
    }
}

static struct timespec time_in(unsigned ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const int64_t ns = until.tv_nsec + (int64_t)ms * 1000000;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    return until;
}

static void wait_for_work(websockets_t *self, unsigned timeout_ms)
{
    const struct timespec until = time_in(timeout_ms);
    pthread_cond_timedwait(&self->work, &self->lock, &until);
}

static void *run_writer(void *arg)
{
    websockets_t *self = arg;
    pthread_mutex_lock(&self->lock);
    while (!self->stopping) {
        const int64_t now_ms = clock_mono_ms();
        if (now_ms >= self->next_look_ms) {
            self->next_look_ms = now_ms + self->look_every_ms;
            look_at_all(self, now_ms);
        }
        if (self->stalled > 0 && now_ms >= self->next_retry_ms)
            retry_stalled(self, now_ms);
        connection_t *connection = dequeue(self);
        if (connection == NULL) {
            wait_for_work(self, self->stalled > 0 ? FULL_RETRY_MS : self->look_every_ms);
            continue;
        }
        connection->writing = true;
        const bool writable = write_some(self, connection);
        connection->writing = false;
        pthread_cond_broadcast(&self->idle);
        set_stalled(self, connection, !writable);
        if (connection->socket.outbox_count > 0)
            enqueue(self, connection);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* ---- the handshake ---- */

static int refuse(struct mg_connection *mg, err_t err, const char *detail)
{
    const uuid_t request_id = uuid7_new();
    char *response = http_problem_response(err, detail, &request_id);
    mg_disable_connection_keep_alive(mg);
    mg_write(mg, response, strlen(response));
    free(response);
    return 1;
}

static bool user_id_valid(const char *user_id)
{
    const size_t size = strlen(user_id);
    return size > 0 && utf8_valid(user_id, size) && utf8_length(user_id, size) <= 128 &&
           !utf8_has_control(user_id, size);
}

/* Whose socket it is: by a token, or where there are no API keys as the client says. */
static err_t read_user(const websockets_t *self, const char *query, socket_t *socket,
                       err_detail_t *detail)
{
    char token[WS_TOKEN_SIZE];
    const int by_token = http_query_value(query, "token", token, sizeof token);
    const int by_name = http_query_value(query, "user_id", socket->user_id, sizeof socket->user_id);
    if (by_token == 0 && self->config.needs_token)
        return err_set(detail, ERR_UNAUTHENTICATED, "a token of POST /ws/tokens is needed");
    if (by_token != 0 && by_name != 0)
        return err_set(detail, ERR_INVALID_QUERY, "token takes the place of user_id: give one");
    if (by_token < 0)
        return err_set(detail, ERR_TOKEN_INVALID, "the token is none of ours");
    if (by_token == 1)
        return ws_token_read(self->config.token_secrets, str_of(token), clock_wall_us() / 1000000,
                             socket->user_id, detail);
    if (by_name != 1 || !user_id_valid(socket->user_id))
        return err_set(detail, ERR_INVALID_QUERY,
                       "user_id must be 1 to 128 characters without control characters");
    return ERR_OK;
}

/* Fills user_id, order_id and since from the query. */
static err_t read_query(const websockets_t *self, const struct mg_connection *mg,
                        connection_t *connection, err_detail_t *detail)
{
    static const char *const known[] = {"user_id", "token", "order_id", "since", NULL};
    socket_t *socket = &connection->socket;
    const char *query = mg_get_request_info(mg)->query_string;
    char offender[32], order_id[UUID_TEXT_SIZE], since[24];
    if (!http_query_names_known(query, known, offender, sizeof offender))
        return err_set(detail, ERR_INVALID_QUERY, "%s is not known", offender);
    TRY(read_user(self, query, socket, detail));
    const int given = http_query_value(query, "order_id", order_id, sizeof order_id);
    if (given < 0 || (given == 1 && !uuid_parse(order_id, strlen(order_id), &socket->order_id)))
        return err_set(detail, ERR_INVALID_ID, "order_id must be a UUID");
    connection->since = -1;
    const int resumes = http_query_value(query, "since", since, sizeof since);
    if (resumes < 0 || (resumes == 1 && !request_event_id(since, &connection->since)))
        return err_set(detail, ERR_INVALID_QUERY, "since must be an event_id");
    return ERR_OK;
}

static bool take_place(websockets_t *self)
{
    pthread_mutex_lock(&self->lock);
    const bool free_place = !self->draining && self->taken < self->config.max;
    if (free_place)
        self->taken++;
    else
        self->stats.refused++;
    pthread_mutex_unlock(&self->lock);
    return free_place;
}

/* Non-zero: refused, and the response is written. Once it returns 0 civetweb always calls on_close
 * later: what could fail in between (the key) is checked here. */
static int on_connect(const struct mg_connection *connection, void *arg)
{
    websockets_t *self = arg;
    struct mg_connection *mg =
        (struct mg_connection *)(uintptr_t)connection; /* civetweb's signature; it is writable */
    err_detail_t detail = {{0}};
    const char *key = mg_get_header(mg, "Sec-WebSocket-Key");
    if (key == NULL || strlen(key) != KEY_SIZE)
        return refuse(mg, ERR_MALFORMED_REQUEST, "Sec-WebSocket-Key must be 16 bytes in base64");
    connection_t *new_connection = calloc(1, sizeof *new_connection);
    CHECK(new_connection != NULL);
    err_t err = read_query(self, mg, new_connection, &detail);
    if (err == ERR_OK && !take_place(self))
        err = ERR_TOO_MANY_WEBSOCKETS;
    if (err != ERR_OK) {
        free(new_connection);
        return refuse(mg, err, detail.text);
    }
    new_connection->socket.owner = new_connection;
    new_connection->mg = mg;
    new_connection->server_data = mg_get_user_connection_data(mg);
    mg_set_user_connection_data(mg, new_connection);
    return 0;
}

/* ---- what clients say: on the thread of each connection, which may write, but not wait ---- */

/* The last frame from our side; no answer to the answer to ours. */
static void say_close(websockets_t *self, connection_t *connection, unsigned code)
{
    pthread_mutex_lock(&self->lock);
    const bool said = connection->closing;
    connection->closing = true;
    pthread_mutex_unlock(&self->lock);
    if (said || !can_take_bytes(connection->fd))
        return;
    frame_t *frame = frame_new_close(code, "");
    mg_lock_connection(connection->mg);
    mg_write(connection->mg, frame->bytes, frame->size);
    mg_unlock_connection(connection->mg);
    frame_release(&frame);
}

/* Clients have nothing to say but control frames. False: the connection ends. */
static bool take_frame(websockets_t *self, connection_t *connection, unsigned opcode,
                       const void *data, size_t size)
{
    if (opcode == FRAME_CLOSE) {
        say_close(self, connection, CLOSE_NORMAL);
        return false;
    }
    pthread_mutex_lock(&self->lock);
    connection->last_heard_ms = clock_mono_ms();
    if (opcode == FRAME_PING && !connection->closing) {
        frame_t *pong = frame_new(FRAME_PONG, data, size);
        if (socket_push(&connection->socket, pong))
            enqueue(self, connection);
        frame_release(&pong);
    }
    pthread_mutex_unlock(&self->lock);
    return true;
}

/* More bytes into `bytes`; 0 when the connection has ended, also by our own shutdown. */
static size_t wait_for_bytes(int fd, uint8_t *bytes, size_t room)
{
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, -1) < 0 && errno != EINTR)
            return 0;
        const ssize_t got = recv(fd, bytes, room, MSG_DONTWAIT);
        if (got >= 0)
            return (size_t)got;
        if (errno != EAGAIN && errno != EINTR)
            return 0;
    }
}

/* Reads in civetweb's place, which believes any length that a frame claims. */
static void read_client(websockets_t *self, connection_t *connection)
{
    uint8_t bytes[CLIENT_FRAME_BUFFER_BYTES];
    size_t size = 0, got;
    while ((got = wait_for_bytes(connection->fd, bytes + size, sizeof bytes - size)) > 0) {
        size += got;
        client_frame_t frame;
        client_frame_state_t state;
        while ((state = client_frame_read(bytes, size, &frame)) == CLIENT_FRAME_WHOLE) {
            if (!take_frame(self, connection, frame.opcode, frame.payload, frame.size))
                return;
            size -= frame.consumed;
            memmove(bytes, bytes + frame.consumed, size);
        }
        if (state != CLIENT_FRAME_PARTIAL) {
            say_close(self, connection,
                      state == CLIENT_FRAME_BROKEN ? CLOSE_PROTOCOL_ERROR : CLOSE_TOO_LARGE);
            return;
        }
    }
}

/* Over TLS civetweb has to read: the bytes on the descriptor are not the client's. */
static int on_data(struct mg_connection *mg, int bits, char *data, size_t size, void *arg)
{
    connection_t *connection = mg_get_user_connection_data(mg);
    if (connection->fd < 0)
        return 0;
    if (size > CLIENT_FRAME_MAX_BYTES) {
        say_close(arg, connection, CLOSE_TOO_LARGE);
        return 0;
    }
    return take_frame(arg, connection, (unsigned)bits & 0x0F, data, size);
}

/* ---- resuming: on the connection's own thread, while live events collect in its outbox ---- */

/* Sends the lines of a page as frames; false when the client does not take them. */
static bool send_lines(connection_t *connection, const buf_t *lines)
{
    for (const char *at = lines->data, *end = at + lines->size; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const size_t size = (size_t)(newline - at);
        struct pollfd poll_fd = {.fd = connection->fd, .events = POLLOUT};
        if (poll(&poll_fd, 1, CLOSE_WITHIN_MS) != 1 || (poll_fd.revents & POLLOUT) == 0)
            return false;
        frame_t *frame = frame_new(FRAME_TEXT, at, size);
        mg_lock_connection(connection->mg);
        const int written = mg_write(connection->mg, frame->bytes, frame->size);
        mg_unlock_connection(connection->mg);
        const bool whole = written == (int)frame->size;
        frame_release(&frame);
        if (!whole)
            return false;
        at = newline + 1;
    }
    return true;
}

/* Everything after `since` is committed before this reads it, or comes live after the socket was
 * registered. What is in both is skipped by its event_id, whether it came live before the end of
 * the reading or comes afterwards: the notifier may be behind what is committed. */
static void resume(websockets_t *self, connection_t *connection)
{
    websocket_events_t events = {.last_event_id = connection->since, .more = true};
    err_t err = ERR_OK;
    bool taken = true;
    while (events.more && err == ERR_OK && taken) {
        err = self->config.read_events(self->config.read_events_arg, connection->socket.user_id,
                                       &connection->socket.order_id, events.last_event_id, &events);
        if (err == ERR_OK && events.lines.size > 0)
            taken = send_lines(connection, &events.lines);
    }
    buf_free(&events.lines);
    pthread_mutex_lock(&self->lock);
    connection->resuming = false;
    connection->has = events.last_event_id;
    socket_skip_events(&connection->socket, connection->has);
    if (err != ERR_OK)
        close_with(self, connection, CLOSE_TRY_AGAIN_LATER, "cannot resume now: connect again");
    else if (!taken)
        drop_laggard(self, connection);
    if (connection->socket.outbox_count > 0)
        enqueue(self, connection);
    pthread_mutex_unlock(&self->lock);
}

static void on_ready(struct mg_connection *mg, void *arg)
{
    websockets_t *self = arg;
    connection_t *connection = mg_get_user_connection_data(mg);
    connection->fd = socket_fd_of(mg);
    if (connection->fd < 0)
        return; /* gone already; on_close follows */
    setsockopt(connection->fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER_BYTES}, sizeof(int));
    pthread_mutex_lock(&self->lock);
    connection->last_heard_ms = connection->last_ping_ms = clock_mono_ms();
    connection->resuming = connection->since >= 0;
    connection->has = connection->since;
    socket_registry_add(self->registry, &connection->socket);
    if (self->draining)
        close_with(self, connection, CLOSE_GOING_AWAY, "going away");
    pthread_mutex_unlock(&self->lock);
    if (connection->since >= 0)
        resume(self, connection);
    if (mg_get_request_info(mg)->is_ssl)
        return;
    read_client(self, connection);
    mg_disable_connection_keep_alive(mg); /* keeps civetweb from reading on; on_close follows */
}

static void on_close(const struct mg_connection *mg, void *arg)
{
    websockets_t *self = arg;
    connection_t *connection = mg_get_user_connection_data(mg);
    pthread_mutex_lock(&self->lock);
    if (connection->fd >= 0) {
        connection->closing = true;
        shutdown(connection->fd, SHUT_RD);
        while (connection->writing)
            pthread_cond_wait(&self->idle, &self->lock);
        remove_from_queue(self, connection);
        set_stalled(self, connection, false);
        socket_registry_remove(self->registry, &connection->socket);
    }
    self->taken--;
    pthread_cond_broadcast(&self->idle);
    pthread_mutex_unlock(&self->lock);
    mg_set_user_connection_data(mg, connection->server_data);
    free(connection);
}

/* ---- life ---- */

websockets_t *websockets_new(const websockets_config_t *config)
{
    websockets_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->config = *config;
    if (self->config.ping_every_ms == 0)
        self->config.ping_every_ms = PING_EVERY_MS;
    self->look_every_ms =
        self->config.ping_every_ms < LOOK_EVERY_MS ? self->config.ping_every_ms : LOOK_EVERY_MS;
    self->registry = socket_registry_new(config->max);
    self->queue_last = &self->queue_first;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->work, &monotonic);
    pthread_cond_init(&self->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    for (int i = 0; i < WRITERS; i++)
        CHECK(pthread_create(&self->writers[i], NULL, run_writer, self) == 0);
    return self;
}

void websockets_attach(websockets_t *self, http_server_t *server)
{
    mg_set_websocket_handler(http_server_context(server), "/ws$", on_connect, on_ready, on_data,
                             on_close, self);
}

void websockets_drain(websockets_t *self, unsigned timeout_ms)
{
    const struct timespec until = time_in(timeout_ms);
    pthread_mutex_lock(&self->lock);
    self->draining = true;
    for (socket_t *socket = socket_registry_first(self->registry); socket != NULL;
         socket = socket->next)
        close_with(self, socket->owner, CLOSE_GOING_AWAY, "going away");
    while (self->taken > 0)
        if (pthread_cond_timedwait(&self->idle, &self->lock, &until) != 0)
            break;
    for (socket_t *socket = socket_registry_first(self->registry); socket != NULL;
         socket = socket->next)
        shutdown(((connection_t *)socket->owner)->fd,
                 SHUT_RDWR); /* does not answer: no more time */
    pthread_mutex_unlock(&self->lock);
}

void websockets_destroy(websockets_t **self_p)
{
    websockets_t *self = *self_p;
    if (self == NULL)
        return;
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_cond_broadcast(&self->work);
    pthread_mutex_unlock(&self->lock);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(self->writers[i], NULL);
    socket_registry_destroy(&self->registry);
    pthread_cond_destroy(&self->idle);
    pthread_cond_destroy(&self->work);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

/* ---- delivery ---- */

bool websockets_deliver(websockets_t *self, const notifier_event_t *event)
{
    frame_t *frame = NULL;
    pthread_mutex_lock(&self->lock);
    const bool is_new = event->event_id > self->last_event_id;
    if (is_new)
        self->last_event_id = event->event_id;
    socket_t *socket =
        is_new ? socket_registry_find(self->registry, event->user_id, &event->order_id, NULL)
               : NULL;
    for (; socket != NULL;
         socket = socket_registry_find(self->registry, event->user_id, &event->order_id, socket)) {
        connection_t *connection = socket->owner;
        if (connection->closing || event->event_id <= connection->has)
            continue;
        if (frame == NULL) {
            frame = frame_new(FRAME_TEXT, event->payload.data, event->payload.size);
            frame->event_id = event->event_id;
        }
        if (socket_push(socket, frame))
            enqueue(self, connection);
        else
            drop_laggard(self, connection);
    }
    frame_release(&frame);
    pthread_mutex_unlock(&self->lock);
    return is_new;
}

int64_t websockets_last_event_id(const websockets_t *self)
{
    websockets_t *writable = (websockets_t *)(uintptr_t)self; /* for the lock */
    pthread_mutex_lock(&writable->lock);
    const int64_t last = self->last_event_id;
    pthread_mutex_unlock(&writable->lock);
    return last;
}

websockets_stats_t websockets_stats(const websockets_t *self)
{
    websockets_t *writable = (websockets_t *)(uintptr_t)self; /* for the lock */
    pthread_mutex_lock(&writable->lock);
    websockets_stats_t stats = self->stats;
    stats.open = socket_registry_count(self->registry);
    pthread_mutex_unlock(&writable->lock);
    return stats;
}
