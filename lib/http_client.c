/* http_client.c - one thread that drives libcurl's multi interface; two lists behind one lock.
 *
 *   owner: submit -> [submitted] -> thread: waiting -> running -> [completed] + eventfd -> owner:
 * next
 *
 * Used by whoever asks PSPs: the router, the reconciler, the simulator's webhooks. The lock is held
 * for list operations only. What must never happen: a request told as unreachable that was sent
 * (money would move twice). So "sent" is decided by libcurl's pre-request callback, which it calls
 * after the connection (TLS included) is made and before the first byte of the request, and every
 * error after it is ERR_HTTP_TIMEOUT.
 *
 * libcurl repeats a request by itself when a kept connection turns out closed before the first byte
 * of an answer. Requests that move money carry the PSP's idempotency key for this reason among
 * others.
 */
#include "lib/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/clock.h"

enum {
    RESPONSE_MAX_BYTES = 1024 * 1024,
    CONNECT_TIMEOUT_MAX_MS = 2000,
    WAITING_MAX = 4096,  /* requests that wait for one of the running to end */
    IDLE_WAIT_MS = 1000, /* of the thread, when no deadline is nearer */
};

/* One request from submit to next. */
typedef struct transfer {
    struct transfer *next;
    http_client_request_t request;
    void *cookie;
    int64_t begun_ms;
    bool sent; /* the first byte of the request may have left */
    CURL *easy;
    struct curl_slist *headers;
    char curl_error[CURL_ERROR_SIZE];
    http_client_response_t response;
} transfer_t;

typedef struct list {
    transfer_t *first, *last;
    size_t count;
} list_t;

struct http_client {
    pthread_t thread;
    CURLM *multi;
    int event_fd;
    atomic_size_t pending;
    pthread_mutex_t lock;
    /* Under the lock: */
    bool stopping;
    list_t submitted;
    list_t completed;
    /* The thread's: */
    unsigned concurrent_max;
    list_t waiting;
    list_t running;
};

static void list_append(list_t *list, transfer_t *transfer)
{
    transfer->next = NULL;
    if (list->last)
        list->last->next = transfer;
    else
        list->first = transfer;
    list->last = transfer;
    list->count++;
}

/* Takes the transfer after `previous` (NULL: the first) out. */
static transfer_t *list_take_after(list_t *list, transfer_t *previous)
{
    transfer_t **link = previous ? &previous->next : &list->first;
    transfer_t *transfer = *link;
    if (!transfer)
        return NULL;
    *link = transfer->next;
    if (list->last == transfer)
        list->last = previous;
    list->count--;
    transfer->next = NULL;
    return transfer;
}

static void list_remove(list_t *list, const transfer_t *transfer)
{
    transfer_t *previous = NULL;
    for (transfer_t *at = list->first; at && at != transfer; at = at->next)
        previous = at;
    CHECK(list_take_after(list, previous) == transfer);
}

/* Gives libcurl's part back; it is in no multi handle any more. */
static void transfer_release(transfer_t *transfer)
{
    if (transfer->easy)
        curl_easy_cleanup(transfer->easy);
    transfer->easy = NULL;
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
}

static void transfer_free(transfer_t *transfer)
{
    transfer_release(transfer);
    http_client_request_free(&transfer->request);
    buf_free(&transfer->response.body);
    free(transfer);
}

static void list_free(list_t *list)
{
    transfer_t *transfer;
    while ((transfer = list_take_after(list, NULL)) != NULL)
        transfer_free(transfer);
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    transfer_t *transfer = arg;
    buf_add(&transfer->response.body, data, size * count);
    return transfer->response.body.overflow ? 0 : size * count; /* 0 ends the transfer */
}

static int on_connected(void *arg, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
    transfer_t *transfer = arg;
    (void)peer_ip;
    (void)own_ip;
    (void)peer_port;
    (void)own_port;
    transfer->sent = true;
    return CURL_PREREQFUNC_OK;
}

/* Hands the transfer to the owner; the eventfd is written when the list was empty. */
static void complete(http_client_t *self, transfer_t *transfer, err_t err, const char *error)
{
    http_client_response_t *response = &transfer->response;
    response->err = err;
    response->took_ms = clock_mono_ms() - transfer->begun_ms;
    snprintf(response->error, sizeof(response->error), "%s", err == ERR_OK ? "" : error);
    if (err != ERR_OK)
        buf_free(&response->body);
    transfer_release(transfer);
    pthread_mutex_lock(&self->lock);
    bool was_empty = self->completed.count == 0;
    list_append(&self->completed, transfer);
    if (was_empty)
        CHECK(eventfd_write(self->event_fd, 1) == 0);
    pthread_mutex_unlock(&self->lock);
}

static err_t classify(const transfer_t *transfer, CURLcode code)
{
    if (code == CURLE_OK)
        return ERR_OK;
    if (transfer->response.body.overflow || code == CURLE_FILESIZE_EXCEEDED)
        return ERR_TOO_LARGE;
    return transfer->sent ? ERR_HTTP_TIMEOUT : ERR_HTTP_UNREACHABLE;
}

static bool set_headers(transfer_t *transfer)
{
    const http_client_request_t *request = &transfer->request;
    for (int i = 0; i <= request->header_count + 1; i++) {
        /* The last one: no "Expect: 100-continue", which costs a round trip and some servers a
         * second. */
        const char *line = i < request->header_count    ? request->headers[i]
                           : i == request->header_count ? request->long_header
                                                        : "Expect:";
        if (line[0] == '\0')
            continue;
        struct curl_slist *longer = curl_slist_append(transfer->headers, line);
        if (!longer)
            return false;
        transfer->headers = longer;
    }
    return curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK;
}

static size_t response_max_bytes(const transfer_t *transfer)
{
    return transfer->request.response_max_bytes ? transfer->request.response_max_bytes
                                                : RESPONSE_MAX_BYTES;
}

/* Options that are the same for every request. QUICK_EXIT: a name lookup that hangs is left to its
 * own thread instead of being waited for when the transfer times out, which would stop all other
 * transfers. */
static bool set_policy(transfer_t *transfer)
{
    CURL *easy = transfer->easy;
    CURLcode code = CURLE_OK;
#define SET(option, value) code = code ? code : curl_easy_setopt(easy, (option), (value))
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, ""); /* what the environment says about proxies is not meant for us */
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_MAXFILESIZE, (long)response_max_bytes(transfer));
    SET(CURLOPT_USERAGENT, "tiffin/" TIFFIN_VERSION);
    SET(CURLOPT_ERRORBUFFER, transfer->curl_error);
    SET(CURLOPT_PRIVATE, transfer);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, transfer);
    SET(CURLOPT_PREREQFUNCTION, on_connected);
    SET(CURLOPT_PREREQDATA, transfer);
#undef SET
    return code == CURLE_OK;
}

static bool set_request(transfer_t *transfer, int64_t left_ms)
{
    CURL *easy = transfer->easy;
    const http_client_request_t *request = &transfer->request;
    bool has_body = request->body.size > 0 || strcmp(request->method, "POST") == 0;
    CURLcode code = CURLE_OK;
#define SET(option, value) code = code ? code : curl_easy_setopt(easy, (option), (value))
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_TIMEOUT_MS, (long)left_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS,
        (long)(left_ms < CONNECT_TIMEOUT_MAX_MS ? left_ms : CONNECT_TIMEOUT_MAX_MS));
    if (has_body) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
        SET(CURLOPT_POSTFIELDS, request->body.data ? request->body.data : "");
    }
    if (strcmp(request->method, has_body ? "POST" : "GET") != 0)
        SET(CURLOPT_CUSTOMREQUEST, request->method);
#undef SET
    return code == CURLE_OK && set_headers(transfer);
}

/* Begins a waiting transfer, or completes it at once when its time is over or it cannot begin. */
static void begin(http_client_t *self, transfer_t *transfer)
{
    int64_t left_ms = transfer->begun_ms + transfer->request.timeout_ms - clock_mono_ms();
    if (left_ms <= 0) {
        complete(self, transfer, ERR_HTTP_UNREACHABLE, "no connection slot was free in time");
        return;
    }
    transfer->easy = curl_easy_init();
    if (!transfer->easy || !set_policy(transfer) || !set_request(transfer, left_ms) ||
        curl_multi_add_handle(self->multi, transfer->easy) != CURLM_OK) {
        complete(self, transfer, ERR_HTTP_UNREACHABLE, "the request could not be set up");
        return;
    }
    list_append(&self->running, transfer);
}

/* Ends transfers that wait and whose time is over; the rest's nearest deadline, at most
 * IDLE_WAIT_MS away. */
static int expire_waiting(http_client_t *self)
{
    int64_t now_ms = clock_mono_ms();
    int64_t nearest_ms = IDLE_WAIT_MS;
    transfer_t *previous = NULL;
    for (transfer_t *at = self->waiting.first; at;) {
        transfer_t *following = at->next;
        int64_t left_ms = at->begun_ms + at->request.timeout_ms - now_ms;
        if (left_ms <= 0) {
            list_take_after(&self->waiting, previous);
            complete(self, at, ERR_HTTP_UNREACHABLE, "no connection slot was free in time");
        } else {
            previous = at;
            nearest_ms = left_ms < nearest_ms ? left_ms : nearest_ms;
        }
        at = following;
    }
    return (int)nearest_ms;
}

/* Moves what was submitted to the waiting; false when the client stops. */
static bool take_submitted(http_client_t *self)
{
    pthread_mutex_lock(&self->lock);
    list_t submitted = self->submitted;
    self->submitted = (list_t){0};
    bool go_on = !self->stopping;
    pthread_mutex_unlock(&self->lock);
    transfer_t *transfer;
    while ((transfer = list_take_after(&submitted, NULL)) != NULL) {
        if (self->waiting.count < WAITING_MAX)
            list_append(&self->waiting, transfer);
        else
            complete(self, transfer, ERR_HTTP_UNREACHABLE, "too many requests wait");
    }
    return go_on;
}

/* Completes what libcurl has ended; true when something was. */
static bool take_ended(http_client_t *self)
{
    bool any = false;
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(self->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        transfer_t *transfer = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        CHECK(transfer);
        long status = 0;
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
        transfer->response.status = (int)status;
        curl_multi_remove_handle(self->multi, transfer->easy);
        list_remove(&self->running, transfer);
        const char *error =
            transfer->curl_error[0] ? transfer->curl_error : curl_easy_strerror(code);
        complete(self, transfer, classify(transfer, code), error);
        any = true;
    }
    return any;
}

static void *run(void *arg)
{
    http_client_t *self = arg;
    while (take_submitted(self)) {
        while (self->running.count < self->concurrent_max && self->waiting.count > 0)
            begin(self, list_take_after(&self->waiting, NULL));
        int wait_ms = expire_waiting(self);
        int running;
        CHECK(curl_multi_perform(self->multi, &running) == CURLM_OK);
        if (!take_ended(self))
            CHECK(curl_multi_poll(self->multi, NULL, 0, wait_ms, NULL) == CURLM_OK);
    }
    for (transfer_t *transfer = self->running.first; transfer; transfer = transfer->next)
        curl_multi_remove_handle(self->multi, transfer->easy);
    return NULL;
}

void http_client_request_free(http_client_request_t *request)
{
    buf_free(&request->body);
    memset(request, 0, sizeof(*request));
}

void http_client_request_header(http_client_request_t *request, const char *format, ...)
{
    CHECK(request->header_count < HTTP_CLIENT_HEADERS_MAX);
    char *slot = request->headers[request->header_count++];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(slot, sizeof(request->headers[0]), format, arguments);
    va_end(arguments);
    CHECK(size > 0 && (size_t)size < sizeof(request->headers[0]));
    CHECK(!strpbrk(slot, "\r\n"));
}

static void init_curl(void)
{
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

/* The thread takes no signals: they are for whoever waits for them. */
static void start_thread(http_client_t *self)
{
    sigset_t all, before;
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    CHECK(pthread_create(&self->thread, NULL, run, self) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

http_client_t *http_client_new(unsigned concurrent_max)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(concurrent_max > 0);
    pthread_once(&once, init_curl);
    http_client_t *self = calloc(1, sizeof(*self));
    CHECK(self);
    self->concurrent_max = concurrent_max;
    CHECK(pthread_mutex_init(&self->lock, NULL) == 0);
    self->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(self->event_fd >= 0);
    self->multi = curl_multi_init();
    CHECK(self->multi);
    curl_multi_setopt(self->multi, CURLMOPT_MAXCONNECTS, (long)concurrent_max);
    start_thread(self);
    return self;
}

void http_client_destroy(http_client_t **self_p)
{
    http_client_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_mutex_unlock(&self->lock);
    curl_multi_wakeup(self->multi);
    pthread_join(self->thread, NULL);
    list_free(&self->submitted);
    list_free(&self->waiting);
    list_free(&self->running);
    list_free(&self->completed);
    curl_multi_cleanup(self->multi);
    close(self->event_fd);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

void http_client_submit(http_client_t *self, http_client_request_t *request, void *cookie)
{
    CHECK(request->method && request->timeout_ms > 0 && !request->body.overflow);
    transfer_t *transfer = calloc(1, sizeof(*transfer));
    CHECK(transfer);
    transfer->request = *request;
    memset(request, 0, sizeof(*request));
    transfer->cookie = cookie;
    transfer->begun_ms = clock_mono_ms();
    buf_init(&transfer->response.body, response_max_bytes(transfer));
    atomic_fetch_add(&self->pending, 1);
    pthread_mutex_lock(&self->lock);
    list_append(&self->submitted, transfer);
    pthread_mutex_unlock(&self->lock);
    curl_multi_wakeup(self->multi);
}

int http_client_fd(const http_client_t *self)
{
    return self->event_fd;
}

bool http_client_next(http_client_t *self, void **cookie, http_client_response_t *response)
{
    pthread_mutex_lock(&self->lock);
    transfer_t *transfer = list_take_after(&self->completed, NULL);
    if (transfer && self->completed.count == 0) {
        eventfd_t count;
        CHECK(eventfd_read(self->event_fd, &count) == 0);
    }
    pthread_mutex_unlock(&self->lock);
    if (!transfer)
        return false;
    *cookie = transfer->cookie;
    *response = transfer->response;
    transfer->response.body = (buf_t){0};
    transfer_free(transfer);
    atomic_fetch_sub(&self->pending, 1);
    return true;
}

size_t http_client_pending(const http_client_t *self)
{
    return atomic_load(&self->pending);
}
