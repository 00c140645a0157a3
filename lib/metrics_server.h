/* metrics_server.h - METRICS_ADDR: GET /metrics (Prometheus text) and GET /healthz of a process
 * that serves no HTTP else. It asks nobody who they are: whoever reaches the address may read. */
#ifndef TIFFIN_LIB_METRICS_SERVER_H
#define TIFFIN_LIB_METRICS_SERVER_H

#include "lib/buf.h"
#include "lib/err.h"

typedef struct metrics_server metrics_server_t;

/* `print` is called on threads of the server, several at once, until it is destroyed. NULL with
 * `detail` when the address cannot be bound. */
metrics_server_t *metrics_server_new(const char *addr, void (*print)(void *arg, buf_t *text),
                                     void *arg, err_detail_t *detail);
void metrics_server_destroy(metrics_server_t **self_p);
/* Where it listens (port 0 resolved). */
unsigned metrics_server_port(const metrics_server_t *self);

#endif
