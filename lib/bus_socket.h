/* bus_socket.h - the one place that sets options of bus sockets. Sources: zmq_setsockopt(3); bounds
 * from limits.h. */
#ifndef TIFFIN_LIB_BUS_SOCKET_H
#define TIFFIN_LIB_BUS_SOCKET_H

#include <czmq.h>

#include "lib/err.h"

/* DEALER of a service: connects to one numeric endpoint; nothing is queued while there is no
 * connection (ZMQ_IMMEDIATE), so no stale request is ever run. `*monitor` tells of `events` as
 * bus_socket_monitor does; it is made here, since a monitor made after connecting may come too late
 * for the handshake. */
zsock_t *bus_socket_connect(const char *endpoint, int events, zsock_t **monitor,
                            err_detail_t *detail);
/* ROUTER of a hub, bound to `endpoint` ("tcp://127.0.0.1:*" takes a free port). MANDATORY: a send
 * to a peer that is gone fails. */
zsock_t *bus_socket_bind(const char *endpoint, err_detail_t *detail);
/* XPUB of a tap, bound. */
zsock_t *tap_socket_bind(const char *endpoint, err_detail_t *detail);
/* Where a bound socket really listens (after "*"). The caller's; free() it. */
char *bus_socket_endpoint(zsock_t *socket);
/* A PAIR socket on which libzmq tells of connections of `socket` (ZMQ_EVENT_HANDSHAKE_SUCCEEDED,
 * _DISCONNECTED …). */
zsock_t *bus_socket_monitor(zsock_t *socket, int events);
/* One monitor event, not blocking: 0 none, 1 read. `value` is the file descriptor for DISCONNECTED
 * (zmq_socket_monitor(3)). */
int bus_socket_monitor_read(zsock_t *monitor, int *event, int *value);

#endif
