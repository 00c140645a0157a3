/* pg.h - PostgreSQL for one thread: one connection that comes back by itself, statements by name, arrays as batches.
 *
 * Connects lazily and without blocking past PG_CONNECT_TIMEOUT_MS; a statement that takes longer than the timeout given at
 * creation drops the connection. After a failed connect, calls fail at once for a growing while (100 ms … 1 s), so that a caller
 * that serves others is never stuck behind a dead database. After each (re)connect the session settings are applied again:
 * statement_timeout, idle_in_transaction_session_timeout, plan_cache_mode=force_generic_plan, jit=off, TimeZone=UTC.
 *
 * Errors: ERR_STORE_UNAVAILABLE: nothing was executed: no connection, the session was ended before it answered, or the server
 * rolled back for a reason that passes (no resources, read-only standby, conflicts to the last retry). ERR_OUTCOME_UNKNOWN: the
 * connection was lost or timed out after the statement was sent; every statement of ours can be run again by its keys.
 * ERR_UNPROCESSABLE: refused because of the data (SQLSTATE class 21, 22, 23, 54 or P0, or parameters over 32 MiB): a batch is
 * then split. ERR_INTERNAL: anything else.
 * Deadlocks and serialization failures (40P01, 40001) are run again by pg_exec itself, up to 3 times, within the timeout. A
 * connection that turns out to be ended before the statement could be run is replaced once, at once. A call is over within
 * PG_CONNECT_TIMEOUT_MS (only when it connects) and the statement timeout.
 */
#ifndef TIFFIN_LIB_PG_H
#define TIFFIN_LIB_PG_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/text.h"
#include "lib/uuid.h"

typedef struct pg pg_t;

/* `url` as libpq takes it; `application_name` is what pg_stat_activity shows. Never fails: connecting comes with the first use. */
pg_t *pg_new(const char *url, const char *application_name, int statement_timeout_ms);
void pg_destroy(pg_t **self_p);
/* True when a statement just now would find a connection (tries to connect, within the bounds above). */
bool pg_ready(pg_t *self);
/* The socket for LISTEN, or -1 when not connected. */
int pg_fd(const pg_t *self);

/* Parameters of one statement, in order $1, $2 …; binary format. Zero-initialise; pg_params_reset to use again (keeps memory). */
#define PG_PARAMS_MAX 24
typedef struct pg_params {
    int count;
    Oid types[PG_PARAMS_MAX];
    bool is_null[PG_PARAMS_MAX];
    buf_t values[PG_PARAMS_MAX];
    uint32_t array_count[PG_PARAMS_MAX]; /* elements of an array being filled */
} pg_params_t;

void pg_params_reset(pg_params_t *params);
void pg_params_free(pg_params_t *params);
void pg_param_int8(pg_params_t *params, int64_t value);
void pg_param_null_int8(pg_params_t *params);
void pg_param_int4(pg_params_t *params, int32_t value);
void pg_param_text(pg_params_t *params, str_t value); /* {NULL, 0} is NULL */
void pg_param_uuid(pg_params_t *params, const uuid_t *value); /* NULL is NULL */
void pg_param_bool(pg_params_t *params, bool value);
void pg_param_bytea(pg_params_t *params, str_t value);

/* Arrays: pg_array_begin gives the parameter's index, then one pg_array_add_* per element. One dimension, NULL elements allowed. */
typedef enum pg_array_type { PG_ARRAY_INT8, PG_ARRAY_INT4, PG_ARRAY_TEXT, PG_ARRAY_UUID, PG_ARRAY_BYTEA, PG_ARRAY_BOOL } pg_array_type_t;
int pg_array_begin(pg_params_t *params, pg_array_type_t type);
void pg_array_add_int8(pg_params_t *params, int array, int64_t value);
void pg_array_add_int4(pg_params_t *params, int array, int32_t value);
void pg_array_add_text(pg_params_t *params, int array, str_t value); /* TEXT and BYTEA; {NULL, 0} is NULL */
void pg_array_add_uuid(pg_params_t *params, int array, const uuid_t *value); /* NULL is NULL */
void pg_array_add_bool(pg_params_t *params, int array, bool value);
void pg_array_add_null(pg_params_t *params, int array);

/* One statement, prepared on first use per connection under `name` (static text, unique per `sql`). It is its own transaction:
 * work that needs several statements is a function in db/. On ERR_OK the result is the caller's (PQclear), in binary format. */
err_t pg_exec(pg_t *self, const char *name, const char *sql, const pg_params_t *params, PGresult **result,
              err_detail_t *detail) MUST_CHECK;
/* LISTEN, applied again after each reconnect. Channels are static identifiers of ours. */
void pg_listen(pg_t *self, const char *channel);
/* Consumes what arrived on the connection without blocking; true when a notification was among it, or among what came with the
 * answers of pg_exec since the last call, or may have been missed while there was no connection. pg_fd does not tell of the
 * latter two, so ask after statements too. A lost connection makes pg_fd -1: pg_ready or the next pg_exec connects. */
bool pg_notified(pg_t *self);

bool pg_is_null(const PGresult *result, int row, int column);
int64_t pg_get_int8(const PGresult *result, int row, int column); /* int8, int4, int2 */
bool pg_get_bool(const PGresult *result, int row, int column);
str_t pg_get_text(const PGresult *result, int row, int column); /* borrowed from the result; text, json (not jsonb), bytea */
uuid_t pg_get_uuid(const PGresult *result, int row, int column);
int64_t pg_get_time_us(const PGresult *result, int row, int column); /* timestamptz as microseconds since 1970 */

#endif
