/* resolver.c - names to numeric endpoints, in a thread of their own.
 *
 * getaddrinfo may block for as long as the name server likes. So the thread and its owner share a
 * block that the last of them frees: resolver_destroy never waits for a lookup.
 *
 * Names are looked up anew in each pass, so an address comes and goes with its gateway. A pass that
 * fails as a whole (the file cannot be read, a line of it is wrong) changes nothing: the former set
 * stays.
 */
#include "lib/resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"

enum { ADDRESS_SIZE = 64, HOST_SIZE = 256, SPEC_MAX = 8192 };

struct resolver {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    int fd;
    unsigned interval_ms;
    unsigned owners; /* its owner and its thread */
    bool stopping, changed;
    endpoint_set_t newest;
    char spec[]; /* the thread's, unchanged since resolver_new */
};

/* Keeps the order; over the bound the last in order is dropped, so that the same names give the
 * same set. */
static void set_add(endpoint_set_t *set, const char *endpoint)
{
    size_t place = 0;
    while (place < set->count && strcmp(set->endpoints[place], endpoint) < 0)
        place++;
    if (place == BUS_GATEWAYS_MAX ||
        (place < set->count && strcmp(set->endpoints[place], endpoint) == 0))
        return;
    size_t kept = set->count < BUS_GATEWAYS_MAX ? set->count : BUS_GATEWAYS_MAX - 1;
    memmove(set->endpoints[place + 1], set->endpoints[place], (kept - place) * ENDPOINT_SIZE);
    /* All of it, so that equal sets are equal bytes. */
    memset(set->endpoints[place], 0, ENDPOINT_SIZE);
    memcpy(set->endpoints[place], endpoint, strlen(endpoint));
    set->count = kept + 1;
}

static void set_add_address(endpoint_set_t *set, const char *address, int port)
{
    char endpoint[ENDPOINT_SIZE];
    bool is_ipv6 = strchr(address, ':') != NULL;
    snprintf(endpoint, sizeof endpoint, is_ipv6 ? "tcp://[%s]:%d" : "tcp://%s:%d", address, port);
    set_add(set, endpoint);
}

/* What a pass looks names up with, and where it puts what it finds. */
typedef struct pass {
    resolver_lookup_fn *lookup;
    void *lookup_arg;
    endpoint_set_t *set;
    err_detail_t *detail;
} pass_t;

static bool is_numeric(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

static void add_host(const pass_t *pass, const char *host, int port)
{
    if (is_numeric(host)) {
        set_add_address(pass->set, host, port);
        return;
    }
    char addresses[BUS_GATEWAYS_MAX][ADDRESS_SIZE];
    int count = pass->lookup(host, addresses, BUS_GATEWAYS_MAX, pass->lookup_arg);
    for (int i = 0; i < count; i++)
        set_add_address(pass->set, addresses[i], port);
}

/* 1 … 65535; 0 when it is none. */
static int port_of(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    bool is_number = *text >= '0' && *text <= '9' && *end == '\0';
    return is_number && port >= 1 && port <= 65535 ? (int)port : 0;
}

/* "host:port" or "[host]:port", `text` is cut up. */
static err_t add_tcp(const pass_t *pass, char *text)
{
    static const char host_characters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    char *colon = strrchr(text, ':');
    int port = colon ? port_of(colon + 1) : 0;
    if (port == 0)
        return err_set(pass->detail, ERR_BAD_CONFIG, "tcp://%s: no port from 1 to 65535", text);
    *colon = '\0';
    char *host = text;
    size_t size = strlen(host);
    if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        host++;
        if (!is_numeric(host))
            return err_set(pass->detail, ERR_BAD_CONFIG, "[%s]: not an IPv6 address", host);
    } else if (size == 0 || size >= HOST_SIZE || strspn(host, host_characters) != size) {
        return err_set(pass->detail, ERR_BAD_CONFIG, "tcp://%s: not a host name", host);
    }
    add_host(pass, host, port);
    return ERR_OK;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* One endpoint, blanks around it; nothing is fine, too. */
static err_t add_endpoint(const pass_t *pass, char *text)
{
    static const char blanks[] = " \t\r";
    text += strspn(text, blanks);
    size_t size = strlen(text);
    while (size > 0 && strchr(blanks, text[size - 1]))
        text[--size] = '\0';
    if (size == 0)
        return ERR_OK;
    if (starts_with(text, "tcp://"))
        return add_tcp(pass, text + strlen("tcp://"));
    bool is_local = starts_with(text, "ipc://") || starts_with(text, "inproc://");
    if (!is_local || size >= ENDPOINT_SIZE)
        return err_set(pass->detail, ERR_BAD_CONFIG, "%.100s: not an endpoint (tcp://host:port)",
                       text);
    set_add(pass->set, text);
    return ERR_OK;
}

/* Each part between separators. */
static err_t add_parts(const pass_t *pass, char *text, const char *separator, bool comments)
{
    char *rest = text, *part;
    while ((part = strsep(&rest, separator))) {
        if (comments)
            part[strcspn(part, "#")] = '\0';
        TRY(add_endpoint(pass, part));
    }
    return ERR_OK;
}

static err_t add_file(const pass_t *pass, const char *path)
{
    char text[SPEC_MAX];
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(pass->detail, ERR_BAD_CONFIG, "%s: %s", path, strerror(errno));
    size_t size = fread(text, 1, sizeof text, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed || size == sizeof text || memchr(text, '\0', size))
        return err_set(pass->detail, ERR_BAD_CONFIG, "%s: not text of less than %d bytes", path,
                       SPEC_MAX);
    text[size] = '\0';
    return add_parts(pass, text, "\n", true);
}

err_t resolver_resolve(const char *spec, resolver_lookup_fn *lookup, void *lookup_arg,
                       endpoint_set_t *set, err_detail_t *detail)
{
    pass_t pass = {lookup, lookup_arg, set, detail};
    memset(set, 0, sizeof *set);
    if (spec[0] == '@')
        return add_file(&pass, spec + 1);
    char text[SPEC_MAX];
    if (strlen(spec) >= sizeof text || spec[strspn(spec, " ,\t")] == '\0')
        return err_set(detail, ERR_BAD_CONFIG, "not a list of endpoints");
    memcpy(text, spec, strlen(spec) + 1);
    return add_parts(&pass, text, ",", false);
}

static int addresses_of(const char *host, int family, char addresses[][64], int capacity)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM}, *list;
    int result = getaddrinfo(host, NULL, &hints, &list);
    if (result != 0) {
        log_limited(LOG_LEVEL_DEBUG, NULL, "name does not resolve", "host=%s reason=\"%s\"", host,
                    gai_strerror(result));
        return -1;
    }
    int count = 0;
    for (const struct addrinfo *each = list; each && count < capacity; each = each->ai_next)
        if (getnameinfo(each->ai_addr, each->ai_addrlen, addresses[count], ADDRESS_SIZE, NULL, 0,
                        NI_NUMERICHOST) == 0)
            count++;
    freeaddrinfo(list);
    return count;
}

/* IPv6 only where there is no IPv4: a gateway reached both ways would take us for two instances. */
static int lookup_name(const char *host, char addresses[][64], int capacity, void *arg)
{
    (void)arg;
    int count = addresses_of(host, AF_INET, addresses, capacity);
    return count > 0 ? count : addresses_of(host, AF_INET6, addresses, capacity);
}

/* The owner and the thread each call it once, holding the mutex; gives it back. */
static void leave(resolver_t *self)
{
    bool last = --self->owners == 0;
    pthread_mutex_unlock(&self->mutex);
    if (!last)
        return;
    close(self->fd);
    pthread_cond_destroy(&self->wake);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

/* Looks without the mutex; returns with it, what was found handed over. */
static void look(resolver_t *self)
{
    endpoint_set_t set;
    err_detail_t detail = {""};
    err_t err = resolver_resolve(self->spec, lookup_name, NULL, &set, &detail);
    pthread_mutex_lock(&self->mutex);
    if (err != ERR_OK) {
        log_limited(LOG_LEVEL_WARN, NULL, "endpoints stay as they were", "reason=\"%s\"",
                    detail.text);
    } else if (memcmp(&set, &self->newest, sizeof set) != 0) {
        self->newest = set;
        self->changed = true;
        (void)!write(self->fd, &(uint64_t){1}, sizeof(uint64_t));
    }
}

static void *run(void *arg)
{
    resolver_t *self = arg;
    for (;;) {
        look(self);
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += self->interval_ms / 1000;
        until.tv_nsec += (long)(self->interval_ms % 1000) * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
        while (!self->stopping &&
               pthread_cond_timedwait(&self->wake, &self->mutex, &until) != ETIMEDOUT)
            ;
        if (self->stopping)
            break;
        pthread_mutex_unlock(&self->mutex);
    }
    leave(self);
    return NULL;
}

resolver_t *resolver_new(const char *spec, unsigned interval_ms)
{
    size_t size = strlen(spec) + 1;
    resolver_t *self = calloc(1, sizeof *self + size);
    CHECK(self);
    memcpy(self->spec, spec, size);
    self->interval_ms = interval_ms;
    self->owners = 2;
    self->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(self->fd >= 0);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&self->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    CHECK(pthread_create(&thread, &detached, run, self) == 0);
    pthread_attr_destroy(&detached);
    return self;
}

void resolver_destroy(resolver_t **self_p)
{
    resolver_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock(&self->mutex);
    self->stopping = true;
    pthread_cond_signal(&self->wake);
    leave(self);
    *self_p = NULL;
}

int resolver_fd(const resolver_t *self)
{
    return self->fd;
}

bool resolver_take(resolver_t *self, endpoint_set_t *set)
{
    uint64_t wakes;
    pthread_mutex_lock(&self->mutex);
    bool changed = self->changed;
    if (changed) {
        (void)!read(self->fd, &wakes, sizeof wakes);
        *set = self->newest;
        self->changed = false;
    }
    pthread_mutex_unlock(&self->mutex);
    return changed;
}
