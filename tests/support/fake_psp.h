/* fake_psp.h - the PSPs of a test: an HTTP server in this process that speaks the prototype's API
 * and does as it is told. Unlike the simulator it counts the calls of each PSP, remembers their
 * idempotency keys, and runs the test's own code in the middle of one.
 */
#ifndef TIFFIN_TESTS_FAKE_PSP_H
#define TIFFIN_TESTS_FAKE_PSP_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/payment/psp_accounts.h"

enum {
    FAKE_PSP_CONNECTIONS_MAX = 1024,
    FAKE_PSP_REQUEST_MAX_BYTES = 8192,
    FAKE_PSP_REFUNDS_MAX = 256
};

typedef enum fake_psp_mode {
    FAKE_PSP_OPEN,   /* opens checkouts; tells `status` */
    FAKE_PSP_REFUSE, /* 503 */
    FAKE_PSP_HANG,   /* until the mode is changed, then closes the connection */
} fake_psp_mode_t;

/* How refunds are answered; a refund is known by its key, whatever its answers were. */
typedef enum fake_psp_refund_mode {
    FAKE_PSP_REFUND_OK,      /* made; SUCCESS */
    FAKE_PSP_REFUND_PENDING, /* taken, not made; PENDING */
    FAKE_PSP_REFUND_REFUSED, /* not made; 422, for good */
    FAKE_PSP_REFUND_LOST,    /* made; 500 */
    FAKE_PSP_REFUND_GARBLED, /* made; 200, and a body that is no answer */
    FAKE_PSP_REFUND_SILENT, /* made; nothing, until the mode is changed, then the connection ends */
} fake_psp_refund_mode_t;

typedef struct fake_psp_refund {
    char key[64]; /* Idempotency-Key */
    int calls, calls_now, calls_at_once_max;
    bool made;
} fake_psp_refund_t;

typedef struct fake_psp_server fake_psp_server_t;

typedef struct fake_psp {
    fake_psp_mode_t mode;
    const char *status; /* of status answers: "SUCCESS" …; NULL: 404 */
    void (*during_call)(void *arg);
    void *during_call_arg;
    int calls;
    char last_key[64]; /* Idempotency-Key of the last call */
    fake_psp_refund_mode_t refund_mode;
    size_t refund_count;
    fake_psp_refund_t refunds[FAKE_PSP_REFUNDS_MAX];
} fake_psp_t;

typedef struct fake_psp_connection {
    fake_psp_server_t *server;
    pthread_t thread;
    int fd;
    bool used, done; /* done: its thread may be joined and the place be used again */
} fake_psp_connection_t;

struct fake_psp_server {
    int fd, port;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock: */
    bool stopping;
    fake_psp_t psps[PSP_COUNT]; /* as the registry is ordered */
    fake_psp_connection_t connections[FAKE_PSP_CONNECTIONS_MAX];
};

/* The whole request, NUL-terminated, or false when the peer closed before. */
static inline bool fake_psp_receive(int fd, char request[FAKE_PSP_REQUEST_MAX_BYTES])
{
    size_t size = 0;
    for (;;) {
        const ssize_t got = recv(fd, request + size, FAKE_PSP_REQUEST_MAX_BYTES - 1 - size, 0);
        if (got <= 0)
            return false;
        size += (size_t)got;
        request[size] = '\0';
        const char *end = strstr(request, "\r\n\r\n");
        if (end == NULL)
            continue;
        const char *length = strcasestr(request, "\r\ncontent-length:");
        const size_t body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
        if (size >= (size_t)(end + 4 - request) + body)
            return true;
    }
}

static inline void fake_psp_header(const char *request, const char *name, char *value,
                                   size_t capacity)
{
    value[0] = '\0';
    const char *at = strcasestr(request, name);
    if (at != NULL)
        snprintf(value, capacity, "%.*s", (int)strcspn(at + strlen(name), "\r\n"),
                 at + strlen(name));
}

static inline void fake_psp_send(int fd, const char *status, const char *body)
{
    char answer[2048];
    const int size = snprintf(answer, sizeof answer,
                              "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                              status, strlen(body), body);
    (void)!send(fd, answer, (size_t)size, MSG_NOSIGNAL);
}

static inline void fake_psp_tell_status(int fd, const fake_psp_t *psp, const char *payment_id)
{
    char body[1024];
    if (psp->status == NULL) {
        fake_psp_send(fd, "404 Not Found", "{\"error\":\"unknown\"}");
        return;
    }
    snprintf(
        body, sizeof body,
        "{\"event_id\":\"evt_%.36s\",\"gateway\":\"Razorpay\",\"order_id\":\"%.36s\",\"payment_"
        "id\":\"%.36s\","
        "\"gateway_txn_id\":\"txn_%.36s\",\"status\":\"%s\",\"amount\":45000,\"currency\":\"INR\","
        "\"occurred_at\":\"2026-02-21T00:00:00Z\"}",
        payment_id, payment_id, payment_id, payment_id, psp->status);
    fake_psp_send(fd, "200 OK", body);
}

/* The text after `name` in a JSON body of flat members, up to its quote; "" when it is not there.
 */
static inline void fake_psp_member(const char *request, const char *name, char value[64])
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":\"", name);
    const char *at = strstr(request, quoted);
    value[0] = '\0';
    if (at != NULL)
        snprintf(value, 64, "%.*s", (int)strcspn(at + strlen(quoted), "\""), at + strlen(quoted));
}

static inline void fake_psp_tell_refund(int fd, const char *request, const char *key,
                                        const char *status)
{
    char body[1024], payment_id[64], order_id[64], currency[64];
    const char *amount = strstr(request, "\"amount\":");
    fake_psp_member(request, "payment_id", payment_id);
    fake_psp_member(request, "order_id", order_id);
    fake_psp_member(request, "currency", currency);
    snprintf(body, sizeof body,
             "{\"refund_id\":\"%.36s\",\"payment_id\":\"%.36s\",\"order_id\":\"%.36s\","
             "\"gateway_txn_id\":\"rfd_%.36s\",\"status\":\"%s\",\"amount\":%ld,"
             "\"currency\":\"%.3s\",\"occurred_at\":\"2026-02-21T00:00:00Z\"}",
             key, payment_id, order_id, key, status,
             amount != NULL ? strtol(amount + strlen("\"amount\":"), NULL, 10) : 0, currency);
    fake_psp_send(fd, "201 Created", body);
}

/* The refund of this key, which is new or not. Under the lock. */
static inline fake_psp_refund_t *fake_psp_refund_of(fake_psp_t *psp, const char *key)
{
    for (size_t i = 0; i < psp->refund_count; i++)
        if (strcmp(psp->refunds[i].key, key) == 0)
            return &psp->refunds[i];
    CHECK(psp->refund_count < FAKE_PSP_REFUNDS_MAX);
    fake_psp_refund_t *refund = &psp->refunds[psp->refund_count++];
    snprintf(refund->key, sizeof refund->key, "%s", key);
    return refund;
}

static inline void fake_psp_answer_refund(fake_psp_server_t *server, fake_psp_t *psp, int fd,
                                          const char *request)
{
    fake_psp_refund_t *refund = fake_psp_refund_of(psp, psp->last_key);
    const fake_psp_refund_mode_t mode = psp->refund_mode;
    refund->calls++;
    refund->calls_now++;
    if (refund->calls_now > refund->calls_at_once_max)
        refund->calls_at_once_max = refund->calls_now;
    if (mode != FAKE_PSP_REFUND_PENDING && mode != FAKE_PSP_REFUND_REFUSED)
        refund->made = true;
    switch (mode) {
    case FAKE_PSP_REFUND_OK:
    case FAKE_PSP_REFUND_PENDING:
        fake_psp_tell_refund(fd, request, refund->key,
                             mode == FAKE_PSP_REFUND_OK ? "SUCCESS" : "PENDING");
        break;
    case FAKE_PSP_REFUND_REFUSED:
        fake_psp_send(fd, "422 Unprocessable Entity", "{\"error\":\"card is closed\"}");
        break;
    case FAKE_PSP_REFUND_LOST:
        fake_psp_send(fd, "500 Internal Server Error", "{}");
        break;
    case FAKE_PSP_REFUND_GARBLED:
        fake_psp_send(fd, "200 OK", "{\"status\":\"SUCC");
        break;
    case FAKE_PSP_REFUND_SILENT:
        while (psp->refund_mode == FAKE_PSP_REFUND_SILENT && !server->stopping)
            pthread_cond_wait(&server->changed, &server->lock);
        break;
    }
    refund->calls_now--;
}

/* One call. The server's lock is held except while the test's own code runs. */
static inline void fake_psp_answer(fake_psp_server_t *server, int fd, const char *request)
{
    size_t index = 0;
    char rest[128] = "";
    if (sscanf(request, "%*s /%zu/v1/%127s", &index, rest) != 2 || index >= PSP_COUNT) {
        fake_psp_send(fd, "404 Not Found", "{}");
        return;
    }
    fake_psp_t *psp = &server->psps[index];
    psp->calls++;
    fake_psp_header(request, "\r\nIdempotency-Key: ", psp->last_key, sizeof psp->last_key);
    pthread_cond_broadcast(&server->changed);
    if (psp->during_call != NULL) {
        pthread_mutex_unlock(&server->lock);
        psp->during_call(psp->during_call_arg);
        pthread_mutex_lock(&server->lock);
    }
    if (strcmp(rest, "refunds") == 0) {
        fake_psp_answer_refund(server, psp, fd, request);
    } else if (psp->mode == FAKE_PSP_HANG) {
        while (psp->mode == FAKE_PSP_HANG && !server->stopping)
            pthread_cond_wait(&server->changed, &server->lock);
    } else if (psp->mode == FAKE_PSP_REFUSE) {
        fake_psp_send(fd, "503 Service Unavailable", "{\"error\":\"closed today\"}");
    } else if (strncmp(rest, "payments/", 9) == 0) {
        fake_psp_tell_status(fd, psp, rest + 9);
    } else {
        char body[256];
        snprintf(body, sizeof body,
                 "{\"psp_ref\":\"ref_%s\",\"checkout_url\":\"http://psp%zu/pay/"
                 "%s\",\"status\":\"PENDING\"}",
                 psp->last_key, index, psp->last_key);
        fake_psp_send(fd, "201 Created", body);
    }
}

static inline void *fake_psp_serve(void *arg)
{
    fake_psp_connection_t *connection = arg;
    fake_psp_server_t *server = connection->server;
    char request[FAKE_PSP_REQUEST_MAX_BYTES];
    if (fake_psp_receive(connection->fd, request)) {
        pthread_mutex_lock(&server->lock);
        fake_psp_answer(server, connection->fd, request);
        pthread_mutex_unlock(&server->lock);
    }
    shutdown(connection->fd, SHUT_RDWR);
    pthread_mutex_lock(&server->lock);
    connection->done = true;
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static inline void fake_psp_reap(fake_psp_connection_t *connection)
{
    pthread_join(connection->thread, NULL);
    close(connection->fd);
    connection->used = false;
}

/* A place for one more connection. Under the lock. */
static inline fake_psp_connection_t *fake_psp_place(fake_psp_server_t *server)
{
    for (size_t i = 0; i < FAKE_PSP_CONNECTIONS_MAX; i++) {
        fake_psp_connection_t *connection = &server->connections[i];
        if (connection->used && connection->done)
            fake_psp_reap(connection);
        if (!connection->used)
            return connection;
    }
    return NULL;
}

static inline void *fake_psp_accept(void *arg)
{
    fake_psp_server_t *server = arg;
    int fd;
    while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
        pthread_mutex_lock(&server->lock);
        fake_psp_connection_t *connection = fake_psp_place(server);
        CHECK(connection != NULL);
        *connection = (fake_psp_connection_t){.server = server, .fd = fd, .used = true};
        CHECK(pthread_create(&connection->thread, NULL, fake_psp_serve, connection) == 0);
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

static inline void fake_psp_start(fake_psp_server_t *server)
{
    memset(server, 0, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(server->fd >= 0);
    CHECK(bind(server->fd, (struct sockaddr *)&address, size) == 0);
    CHECK(listen(server->fd, 512) == 0);
    CHECK(getsockname(server->fd, (struct sockaddr *)&address, &size) == 0);
    server->port = ntohs(address.sin_port);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    CHECK(pthread_create(&server->thread, NULL, fake_psp_accept, server) == 0);
}

static inline void fake_psp_stop(fake_psp_server_t *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    for (size_t i = 0; i < FAKE_PSP_CONNECTIONS_MAX; i++) {
        if (!server->connections[i].used)
            continue;
        shutdown(server->connections[i].fd, SHUT_RDWR);
        fake_psp_reap(&server->connections[i]);
    }
    close(server->fd);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
}

static inline void fake_psp_set_mode(fake_psp_server_t *server, size_t index, fake_psp_mode_t mode)
{
    pthread_mutex_lock(&server->lock);
    server->psps[index].mode = mode;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static inline void fake_psp_set_refund_mode(fake_psp_server_t *server, size_t index,
                                            fake_psp_refund_mode_t mode)
{
    pthread_mutex_lock(&server->lock);
    server->psps[index].refund_mode = mode;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* What a PSP has come to with refunds, all keys together. */
typedef struct fake_psp_refunds {
    int keys, made, calls, calls_at_once_max;
} fake_psp_refunds_t;

static inline fake_psp_refunds_t fake_psp_refunds(fake_psp_server_t *server, size_t index)
{
    fake_psp_refunds_t sum = {0};
    pthread_mutex_lock(&server->lock);
    const fake_psp_t *psp = &server->psps[index];
    for (size_t i = 0; i < psp->refund_count; i++) {
        const fake_psp_refund_t *refund = &psp->refunds[i];
        sum.keys++;
        sum.made += refund->made ? 1 : 0;
        sum.calls += refund->calls;
        if (refund->calls_at_once_max > sum.calls_at_once_max)
            sum.calls_at_once_max = refund->calls_at_once_max;
    }
    pthread_mutex_unlock(&server->lock);
    return sum;
}

static inline void fake_psp_set_status(fake_psp_server_t *server, size_t index, const char *status)
{
    pthread_mutex_lock(&server->lock);
    server->psps[index].status = status;
    pthread_mutex_unlock(&server->lock);
}

/* Runs `code` in each later call, before it is answered. */
static inline void fake_psp_set_during_call(fake_psp_server_t *server, size_t index,
                                            void (*code)(void *arg), void *arg)
{
    pthread_mutex_lock(&server->lock);
    server->psps[index].during_call = code;
    server->psps[index].during_call_arg = arg;
    pthread_mutex_unlock(&server->lock);
}

static inline int fake_psp_calls(fake_psp_server_t *server, size_t index)
{
    pthread_mutex_lock(&server->lock);
    const int calls = server->psps[index].calls;
    pthread_mutex_unlock(&server->lock);
    return calls;
}

static inline void fake_psp_last_key(fake_psp_server_t *server, size_t index, char key[64])
{
    pthread_mutex_lock(&server->lock);
    memcpy(key, server->psps[index].last_key, 64);
    pthread_mutex_unlock(&server->lock);
}

#endif
