/* sim_webhook.c - the queue of webhooks that are due, and their deliveries.
 *
 * HTTP threads put deliveries into a heap ordered by when they are due; a timerfd, armed for the
 * first of them, brings them to the actor's loop, which hands them to the HTTP client and puts
 * those that failed back. One lock guards the heap; a delivery under way belongs to the loop alone.
 */
#include "services/psp_sim/sim_webhook.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/http_client.h"
#include "lib/log.h"

enum {
    EVENT_ID_SIZE = 80,
    QUEUE_MAX = 65536,
    IN_FLIGHT_MAX = 64,
    TIMEOUT_MS = 5000,
    BACKOFF_MIN_MS = 200,
    BACKOFF_MAX_MS = 30000,
};

/* Somebody who waits for first tries; on the stack of the thread that waits. Under the lock. */
typedef struct waiter {
    unsigned left;
} waiter_t;

typedef struct delivery {
    int64_t due_ms;
    uint64_t order; /* among those due at the same time */
    unsigned tries;
    waiter_t *waiter; /* NULL: nobody, or the first try is over. Under the lock */
    const psp_t *psp;
    char event_id[EVENT_ID_SIZE]; /* quoted, for the log */
    sim_message_t message;
} delivery_t;

struct sim_webhook {
    actor_t *actor;
    const char *base_url;
    http_client_t *client;
    int timer_fd;
    pthread_mutex_t lock;
    pthread_cond_t tried;
    /* Under the lock: */
    delivery_t **heap;
    size_t count, capacity;
    uint64_t next_order;
    size_t in_flight;
    delivery_t *under_way[IN_FLIGHT_MAX];
    bool stopping;
};

/* ---- the heap; all under the lock ---- */

static bool before(const delivery_t *a, const delivery_t *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void swap(delivery_t **heap, size_t i, size_t j)
{
    delivery_t *held = heap[i];
    heap[i] = heap[j];
    heap[j] = held;
}

/* False when it is full. */
static bool heap_push(sim_webhook_t *self, delivery_t *delivery)
{
    if (self->count >= QUEUE_MAX)
        return false;
    if (self->count == self->capacity) {
        size_t capacity = self->capacity ? self->capacity * 2 : 64;
        delivery_t **heap = realloc(self->heap, capacity * sizeof(delivery_t *));
        if (!heap)
            return false;
        self->heap = heap;
        self->capacity = capacity;
    }
    size_t i = self->count++;
    self->heap[i] = delivery;
    for (; i > 0 && before(self->heap[i], self->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(self->heap, i, (i - 1) / 2);
    return true;
}

static delivery_t *heap_pop(sim_webhook_t *self)
{
    delivery_t *first = self->heap[0];
    self->heap[0] = self->heap[--self->count];
    for (size_t i = 0;;) {
        size_t least = i, left = 2 * i + 1, right = left + 1;
        if (left < self->count && before(self->heap[left], self->heap[least]))
            least = left;
        if (right < self->count && before(self->heap[right], self->heap[least]))
            least = right;
        if (least == i)
            return first;
        swap(self->heap, i, least);
        i = least;
    }
}

/* The timer goes off when the first is due, at once where that is past; never while there is no
 * room under way. */
static void arm(sim_webhook_t *self)
{
    struct itimerspec when = {0};
    if (self->count > 0 && self->in_flight < IN_FLIGHT_MAX) {
        int64_t due_ms = self->heap[0]->due_ms;
        when.it_value.tv_sec = due_ms / 1000;
        when.it_value.tv_nsec = due_ms % 1000 * 1000000 + 1; /* not zero: zero would disarm it */
    }
    CHECK(timerfd_settime(self->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0);
}

static void first_try_over(sim_webhook_t *self, delivery_t *delivery)
{
    if (!delivery->waiter)
        return;
    delivery->waiter->left--;
    delivery->waiter = NULL;
    pthread_cond_broadcast(&self->tried);
}

static void delivery_free(delivery_t *delivery)
{
    buf_free(&delivery->message.body);
    free(delivery);
}

static void forget_all(sim_webhook_t *self)
{
    while (self->count > 0) {
        delivery_t *delivery = heap_pop(self);
        first_try_over(self, delivery);
        delivery_free(delivery);
    }
    arm(self);
}

/* ---- deliveries; on the loop ---- */

int64_t sim_webhook_backoff_ms(unsigned tries)
{
    int64_t backoff_ms = BACKOFF_MIN_MS;
    for (unsigned i = 1; i < tries && backoff_ms < BACKOFF_MAX_MS; i++)
        backoff_ms *= 2;
    return backoff_ms < BACKOFF_MAX_MS ? backoff_ms : BACKOFF_MAX_MS;
}

static void submit(sim_webhook_t *self, delivery_t *delivery)
{
    http_client_request_t request = {.method = "POST", .timeout_ms = TIMEOUT_MS};
    snprintf(request.url, sizeof request.url, "%s/%s", self->base_url, psp_name(delivery->psp));
    const sim_message_t *message = &delivery->message;
    http_client_request_header(&request, "Content-Type: %s",
                               message->content_type ? message->content_type : "application/json");
    for (int i = 0; i < message->header_count; i++)
        http_client_request_header(&request, "%s", message->headers[i]);
    buf_add(&request.body, message->body.data, message->body.size);
    http_client_submit(self->client, &request, delivery);
}

static delivery_t *take_due(sim_webhook_t *self)
{
    delivery_t *delivery = NULL;
    pthread_mutex_lock(&self->lock);
    if (self->count > 0 && self->in_flight < IN_FLIGHT_MAX &&
        self->heap[0]->due_ms <= clock_mono_ms()) {
        delivery = heap_pop(self);
        for (size_t i = 0; i < IN_FLIGHT_MAX; i++) {
            if (!self->under_way[i]) {
                self->under_way[i] = delivery;
                break;
            }
        }
        self->in_flight++;
    } else {
        arm(self);
    }
    pthread_mutex_unlock(&self->lock);
    return delivery;
}

static void on_timer(void *arg)
{
    sim_webhook_t *self = arg;
    uint64_t expirations;
    ssize_t got = read(self->timer_fd, &expirations, sizeof expirations);
    (void)got; /* what is due is seen in the heap */
    for (delivery_t *delivery; (delivery = take_due(self)) != NULL;)
        submit(self, delivery);
}

/* Again later, or given up; under the lock. */
static void retry(sim_webhook_t *self, delivery_t *delivery, const http_client_response_t *response)
{
    delivery->due_ms = clock_mono_ms() + sim_webhook_backoff_ms(delivery->tries);
    if (delivery->tries < SIM_WEBHOOK_TRIES_MAX && !self->stopping && heap_push(self, delivery))
        return;
    log_limited(LOG_LEVEL_WARN, NULL, "webhook given up",
                "psp=%s event_id=%s tries=%u http_status=%d", psp_name(delivery->psp),
                delivery->event_id, delivery->tries, response->status);
    delivery_free(delivery);
}

static void complete(sim_webhook_t *self, delivery_t *delivery, http_client_response_t *response)
{
    bool taken = response->err == ERR_OK && response->status >= 200 && response->status < 300;
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < IN_FLIGHT_MAX; i++)
        if (self->under_way[i] == delivery)
            self->under_way[i] = NULL;
    self->in_flight--;
    delivery->tries++;
    first_try_over(self, delivery);
    if (taken)
        delivery_free(delivery);
    else
        retry(self, delivery, response);
    arm(self);
    pthread_mutex_unlock(&self->lock);
    buf_free(&response->body);
}

static void on_answer(void *arg)
{
    sim_webhook_t *self = arg;
    void *cookie;
    http_client_response_t response;
    while (http_client_next(self->client, &cookie, &response))
        complete(self, cookie, &response);
}

/* ---- public ---- */

sim_webhook_t *sim_webhook_new(actor_t *actor, const char *base_url)
{
    sim_webhook_t *self = calloc(1, sizeof *self);
    CHECK(self);
    self->actor = actor;
    self->base_url = base_url;
    self->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    CHECK(self->timer_fd >= 0);
    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self->tried, &attributes);
    pthread_condattr_destroy(&attributes);
    self->client = http_client_new(IN_FLIGHT_MAX);
    actor_add_fd(actor, self->timer_fd, on_timer, self);
    actor_add_fd(actor, http_client_fd(self->client), on_answer, self);
    return self;
}

void sim_webhook_destroy(sim_webhook_t **self_p)
{
    sim_webhook_t *self = *self_p;
    if (!self)
        return;
    actor_remove_fd(self->actor, self->timer_fd);
    actor_remove_fd(self->actor, http_client_fd(self->client));
    http_client_destroy(&self->client);
    for (size_t i = 0; i < IN_FLIGHT_MAX; i++)
        if (self->under_way[i])
            delivery_free(self->under_way[i]);
    while (self->count > 0)
        delivery_free(heap_pop(self));
    free(self->heap);
    close(self->timer_fd);
    pthread_cond_destroy(&self->tried);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

static delivery_t *delivery_new(const psp_t *psp, const char *event_id,
                                const sim_message_t *message, int64_t delay_ms)
{
    delivery_t *delivery = calloc(1, sizeof *delivery);
    if (!delivery)
        return NULL;
    delivery->due_ms = clock_mono_ms() + delay_ms;
    delivery->psp = psp;
    log_quote(delivery->event_id, sizeof delivery->event_id, event_id);
    delivery->message = *message;
    delivery->message.body = (buf_t){0};
    buf_add(&delivery->message.body, message->body.data, message->body.size);
    return delivery;
}

/* Under the lock. */
static void enqueue(sim_webhook_t *self, delivery_t *delivery, waiter_t *waiter)
{
    delivery->order = self->next_order++;
    if (self->stopping || !heap_push(self, delivery)) {
        log_limited(LOG_LEVEL_WARN, NULL, "webhook not queued", "psp=%s event_id=%s",
                    psp_name(delivery->psp), delivery->event_id);
        delivery_free(delivery);
        return;
    }
    if (waiter) {
        delivery->waiter = waiter;
        waiter->left++;
    }
}

/* Under the lock; the waiter is gone from every delivery when this returns. */
static void wait_for_first_tries(sim_webhook_t *self, waiter_t *waiter, int64_t wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    while (waiter->left > 0 && !self->stopping)
        if (pthread_cond_timedwait(&self->tried, &self->lock, &until) != 0)
            break;
    for (size_t i = 0; i < self->count; i++)
        if (self->heap[i]->waiter == waiter)
            self->heap[i]->waiter = NULL;
    for (size_t i = 0; i < IN_FLIGHT_MAX; i++)
        if (self->under_way[i] && self->under_way[i]->waiter == waiter)
            self->under_way[i]->waiter = NULL;
}

void sim_message_header(sim_message_t *message, const char *format, ...)
{
    CHECK(message->header_count < SIM_MESSAGE_HEADERS);
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(message->headers[message->header_count++],
                               sizeof message->headers[0], format, arguments);
    va_end(arguments);
    CHECK(size > 0 && (size_t)size < sizeof message->headers[0]);
}

void sim_webhook_send(sim_webhook_t *self, const psp_t *psp, const char *event_id,
                      const sim_message_t *message, const sim_sending_t *sending)
{
    waiter_t waiter = {0};
    pthread_mutex_lock(&self->lock);
    for (unsigned i = 0; i < sending->copies; i++) {
        delivery_t *delivery = delivery_new(psp, event_id, message, sending->delay_ms);
        if (delivery)
            enqueue(self, delivery, sending->wait_ms > 0 ? &waiter : NULL);
    }
    arm(self);
    if (waiter.left > 0)
        wait_for_first_tries(self, &waiter, sending->wait_ms);
    pthread_mutex_unlock(&self->lock);
}

void sim_webhook_forget(sim_webhook_t *self)
{
    pthread_mutex_lock(&self->lock);
    forget_all(self);
    pthread_mutex_unlock(&self->lock);
}

void sim_webhook_stop(sim_webhook_t *self)
{
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    forget_all(self);
    pthread_cond_broadcast(&self->tried);
    pthread_mutex_unlock(&self->lock);
}

size_t sim_webhook_in_flight(sim_webhook_t *self)
{
    pthread_mutex_lock(&self->lock);
    size_t in_flight = self->in_flight;
    pthread_mutex_unlock(&self->lock);
    return in_flight;
}
