/* resolver.h - from HUB_ADDR to the numeric endpoints that exist now.
 *
 * libzmq connects to the first address of a name only and its lookup blocks the I/O thread, so names are looked up here, in a
 * thread of our own, every few seconds. Forms: one endpoint "tcp://host:port", a comma list, "@file" with one endpoint a line
 * (blank lines and # comments skipped). "ipc://" and "inproc://" endpoints pass through.
 */
#ifndef TIFFIN_LIB_RESOLVER_H
#define TIFFIN_LIB_RESOLVER_H

#include <czmq.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/limits.h"

#define ENDPOINT_SIZE 128

typedef struct endpoint_set {
    size_t count; /* sorted, no duplicates, at most BUS_GATEWAYS_MAX */
    char endpoints[BUS_GATEWAYS_MAX][ENDPOINT_SIZE];
} endpoint_set_t;

/* How a host name becomes numeric addresses: fills `addresses` and returns how many, or -1. Replaceable for tests. */
typedef int(resolver_lookup_fn)(const char *host, char addresses[][64], int capacity, void *arg);

/* One pass, in the calling thread. A name that does not resolve adds nothing. ERR_BAD_CONFIG: the text itself is wrong. */
err_t resolver_resolve(const char *spec, resolver_lookup_fn *lookup, void *lookup_arg, endpoint_set_t *set,
                       err_detail_t *detail) MUST_CHECK;

/* The thread: looks every interval_ms and writes the set into its pipe (an eventfd wakes the owner) when it changed. */
typedef struct resolver resolver_t;
resolver_t *resolver_new(const char *spec, unsigned interval_ms);
void resolver_destroy(resolver_t **self_p);
/* Readable when there is a new set. */
int resolver_fd(const resolver_t *self);
/* Takes the newest set; false when nothing changed since the last call. */
bool resolver_take(resolver_t *self, endpoint_set_t *set);

#endif
