/* pg_connect.h - how pg.c begins a connection. For pg.c alone. */
#ifndef TIFFIN_LIB_PG_CONNECT_H
#define TIFFIN_LIB_PG_CONNECT_H

#include <libpq-fe.h>

/* How many hosts the parsed URL names; 1 when it names none. `options` may be NULL. */
unsigned pg_connect_hosts(const PQconninfoOption *options);
/* PQconnectStart to the hosts of the URL, from the `first_host`th on and around: libpq has no deadline per host when it connects
 * without blocking, so after a host that did not answer in time the next attempt must begin with the one after it.
 * Names are looked up here, in the caller's thread and for as long as the system's resolver takes: where that can hang, the URL
 * has a `hostaddr`, or the process a RES_OPTIONS with short timeouts. */
PGconn *pg_connect_start(const PQconninfoOption *options, const char *application_name, unsigned first_host);

#endif
