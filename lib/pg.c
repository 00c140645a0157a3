/* pg.c - the PostgreSQL connection and the one way to run a statement.
 *
 * Used by the one thread that owns the pg_t. Everything that waits does so in poll() with a
 * deadline: connecting, sending (a batch can be larger than the socket's buffer) and receiving.
 * What must never happen: a call that outlives its deadline, a statement that is run twice although
 * it may have been committed, and a secret of the URL in an error or a log line.
 *
 * What an interrupted statement did is decided in round_trip():
 *  - The server commits when it reads Sync, that is after it sent the statement's own answer. So a
 * good answer proves nothing before the end of the exchange (a deferred constraint can still refuse
 * the commit), and a session that ends after it may have committed: unknown.
 *  - A FATAL error instead of an answer (57P01, administrator shutdown) says that the session ended
 * and its transaction with it: nothing was done.
 *  - The end of the stream without a word, a timeout, or a PANIC: unknown.
 */
#include "lib/pg.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/pg_connect.h"

enum {
    STATEMENTS_MAX = 64,
    CHANNELS_MAX = 8,
    BACKOFF_MIN_MS = 100, /* after the first failed connect */
    BACKOFF_MAX_MS = 1000,
    CONFLICT_RETRIES_MAX = 3,
};

/* One statement by name, remembered over reconnects. */
typedef struct statement {
    const char *name;
    const char *sql;
    bool prepared; /* on the connection of now */
    int count;
    Oid types[PG_PARAMS_MAX];
} statement_t;

struct pg {
    PQconninfoOption *options; /* the URL, parsed; NULL when it cannot be */
    char *application_name;
    int statement_timeout_ms;
    PGconn *conn; /* NULL, or connected and set up */
    unsigned host_count;
    unsigned first_host; /* of the URL's list, where the next connect begins */
    int backoff_ms;
    int64_t retry_at_ms;
    char trouble[200]; /* why there is no connection */
    bool notified;
    size_t statement_count;
    statement_t statements[STATEMENTS_MAX];
    size_t channel_count;
    const char *channels[CHANNELS_MAX];
};

/* What one exchange with the server ended in. */
typedef enum trip {
    TRIP_OK,
    TRIP_REFUSED, /* the server answered with an error; the connection is good */
    TRIP_NOT_RUN, /* the connection is gone; nothing was done */
    TRIP_LOST,    /* the connection is gone; what was done is not known */
} trip_t;

/* Waits until the socket is ready for one of `events`; the events that are, 0 at the deadline. */
static short wait_for(const PGconn *conn, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left_ms = deadline_ms - clock_mono_ms();
        if (left_ms <= 0)
            left_ms = 0;
        struct pollfd pollfd = {.fd = PQsocket(conn), .events = events};
        int ready = poll(&pollfd, 1, (int)left_ms);
        if (ready > 0)
            return pollfd.revents;
        if (ready < 0 && errno != EINTR)
            return POLLERR;
        if (left_ms == 0)
            return 0;
    }
}

/* libpq's words, on one line. */
static void remember_trouble(pg_t *self, const char *text)
{
    size_t size = 0;
    for (; *text && size < sizeof(self->trouble) - 1; text++) {
        char c = *text;
        if (c == '\n' || c == '\t')
            c = ' ';
        if (c != ' ' || (size > 0 && self->trouble[size - 1] != ' '))
            self->trouble[size++] = c;
    }
    while (size > 0 && self->trouble[size - 1] == ' ')
        size--;
    self->trouble[size] = '\0';
}

static void take_notifications(pg_t *self)
{
    PGnotify *notification;
    while ((notification = PQnotifies(self->conn)) != NULL) {
        self->notified = true;
        PQfreemem(notification);
    }
}

/* Ends the connection; `why` is NULL for libpq's own words. The one place where a connection ends.
 */
static void drop(pg_t *self, const char *why)
{
    remember_trouble(self, why ? why : PQerrorMessage(self->conn));
    PQfinish(self->conn);
    self->conn = NULL;
    for (size_t i = 0; i < self->statement_count; i++)
        self->statements[i].prepared = false;
    char quoted[256];
    log_limited(LOG_LEVEL_WARN, NULL, "database connection ended", "reason=%s",
                log_quote(quoted, sizeof(quoted), self->trouble));
}

/* Takes in what has arrived while no statement ran: notifications, or the end of the connection. */
static void drain(pg_t *self)
{
    while (self->conn && wait_for(self->conn, POLLIN, 0)) {
        bool good = PQconsumeInput(self->conn) == 1;
        take_notifications(self);
        if (!good || PQstatus(self->conn) != CONNECTION_OK)
            drop(self, NULL);
    }
}

static bool is_error(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY;
}

/* Sends what is queued and reads until PQgetResult would not block. False at the deadline. A broken
 * connection is true: PQgetResult then gives what had arrived before, and the error. */
static bool await_result(pg_t *self, int64_t deadline_ms)
{
    for (;;) {
        int unsent = PQflush(self->conn);
        if (unsent < 0 || PQstatus(self->conn) != CONNECTION_OK)
            return true;
        if (unsent == 0 && !PQisBusy(self->conn))
            return true;
        short events = POLLIN;
        if (unsent)
            events |= POLLOUT;
        short ready = wait_for(self->conn, events, deadline_ms);
        if (!ready)
            return false;
        if ((ready & ~POLLOUT) && PQconsumeInput(self->conn) == 0)
            return true;
    }
}

/* What an error result says about the statement; `completed`: its own answer had come before. */
static trip_t judge(const PGresult *error, bool completed)
{
    const char *sqlstate = PQresultErrorField(error, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(error, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (!sqlstate || !severity)
        return TRIP_LOST; /* libpq's own: the stream ended */
    if (strcmp(severity, "ERROR") == 0)
        return TRIP_REFUSED;
    return strcmp(severity, "FATAL") == 0 && !completed ? TRIP_NOT_RUN : TRIP_LOST;
}

/* Receives the whole answer to what was just sent. `*result` is set for TRIP_OK and TRIP_REFUSED.
 */
static trip_t round_trip(pg_t *self, int64_t deadline_ms, PGresult **result)
{
    PGresult *answer = NULL;
    bool completed = false;
    for (;;) {
        if (!await_result(self, deadline_ms)) {
            PQclear(answer);
            drop(self, "no answer within the statement timeout");
            return TRIP_LOST;
        }
        PGresult *next = PQgetResult(self->conn);
        if (!next)
            break;
        bool decided = answer && is_error(answer);
        if (decided) {
            PQclear(next); /* what follows the first error only repeats it */
            continue;
        }
        completed = answer != NULL;
        PQclear(answer);
        answer = next;
    }
    take_notifications(self);
    trip_t trip = !answer ? TRIP_LOST : is_error(answer) ? judge(answer, completed) : TRIP_OK;
    if (trip == TRIP_OK || trip == TRIP_REFUSED) {
        *result = answer;
        return trip;
    }
    drop(self, answer ? PQresultErrorMessage(answer) : NULL);
    PQclear(answer);
    return trip;
}

/* A statement of ours without parameters or rows: settings, LISTEN, DEALLOCATE. Has no effect
 * outside the session. */
static bool command(pg_t *self, const char *sql, int64_t deadline_ms)
{
    if (!PQsendQuery(self->conn, sql)) {
        drop(self, NULL);
        return false;
    }
    PGresult *result = NULL;
    trip_t trip = round_trip(self, deadline_ms, &result);
    if (trip == TRIP_REFUSED)
        drop(self, PQresultErrorMessage(result));
    PQclear(result);
    return trip == TRIP_OK;
}

static void ignore_notice(void *arg, const PGresult *notice)
{
    (void)arg;
    if (!log_enabled(LOG_LEVEL_DEBUG))
        return;
    const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    char quoted[256];
    log_debug(NULL, "database notice", "text=%s",
              log_quote(quoted, sizeof(quoted), text ? text : ""));
}

static bool finish_connecting(pg_t *self, int64_t deadline_ms)
{
    PostgresPollingStatusType polling = PGRES_POLLING_WRITING;
    if (PQstatus(self->conn) == CONNECTION_BAD)
        polling = PGRES_POLLING_FAILED;
    while (polling != PGRES_POLLING_OK) {
        if (polling == PGRES_POLLING_FAILED) {
            drop(self, NULL);
            return false;
        }
        if (!wait_for(self->conn, polling == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                      deadline_ms)) {
            self->first_host = (self->first_host + 1) % self->host_count;
            drop(self, "no connection within the connect timeout");
            return false;
        }
        polling = PQconnectPoll(self->conn);
    }
    return true;
}

/* The settings of a session. The server's own timeout ends a little earlier than ours: then the
 * statement is known to be rolled back, and nobody holds its locks on behalf of a client that left.
 */
static bool set_up_session(pg_t *self, int64_t deadline_ms)
{
    PQsetNoticeReceiver(self->conn, ignore_notice, NULL);
    if (PQsetnonblocking(self->conn, 1) != 0) {
        drop(self, NULL);
        return false;
    }
    int server_timeout_ms = self->statement_timeout_ms - self->statement_timeout_ms / 8;
    buf_t sql = {0};
    buf_printf(&sql,
               "SET statement_timeout = %d; SET idle_in_transaction_session_timeout = %d;"
               "SET plan_cache_mode = force_generic_plan; SET jit = off; SET TimeZone = 'UTC'",
               server_timeout_ms, self->statement_timeout_ms);
    for (size_t i = 0; i < self->channel_count; i++)
        buf_printf(&sql, "; LISTEN %s", self->channels[i]);
    bool good = command(self, sql.data, deadline_ms);
    buf_free(&sql);
    if (good && self->channel_count > 0)
        self->notified = true; /* what was sent while nobody listened */
    return good;
}

static err_t connect_now(pg_t *self, err_detail_t *detail)
{
    int64_t now_ms = clock_mono_ms();
    if (now_ms < self->retry_at_ms)
        return err_set(detail, ERR_STORE_UNAVAILABLE, "%s", self->trouble);
    if (!self->options)
        return err_set(detail, ERR_STORE_UNAVAILABLE, "the database URL cannot be parsed");
    int64_t deadline_ms = now_ms + PG_CONNECT_TIMEOUT_MS;
    self->conn = pg_connect_start(self->options, self->application_name, self->first_host);
    if (self->conn && finish_connecting(self, deadline_ms) && set_up_session(self, deadline_ms)) {
        self->backoff_ms = 0;
        log_debug(NULL, "database connected", "backend=%d", PQbackendPID(self->conn));
        return ERR_OK;
    }
    self->backoff_ms = self->backoff_ms ? self->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (self->backoff_ms > BACKOFF_MAX_MS)
        self->backoff_ms = BACKOFF_MAX_MS;
    self->retry_at_ms = clock_mono_ms() + self->backoff_ms;
    return err_set(detail, ERR_STORE_UNAVAILABLE, "%s", self->trouble);
}

pg_t *pg_new(const char *url, const char *application_name, int statement_timeout_ms)
{
    CHECK(url && application_name && statement_timeout_ms > 0);
    pg_t *self = calloc(1, sizeof(*self));
    CHECK(self);
    char *error = NULL; /* repeats the URL, so it is not shown */
    self->options = PQconninfoParse(url, &error);
    PQfreemem(error);
    self->host_count = pg_connect_hosts(self->options);
    self->application_name = strdup(application_name);
    CHECK(self->application_name);
    self->statement_timeout_ms = statement_timeout_ms;
    return self;
}

void pg_destroy(pg_t **self_p)
{
    pg_t *self = *self_p;
    if (!self)
        return;
    PQfinish(self->conn);
    PQconninfoFree(self->options);
    free(self->application_name);
    free(self);
    *self_p = NULL;
}

bool pg_ready(pg_t *self)
{
    drain(self);
    return self->conn || connect_now(self, NULL) == ERR_OK;
}

int pg_fd(const pg_t *self)
{
    return self->conn ? PQsocket(self->conn) : -1;
}

void pg_listen(pg_t *self, const char *channel)
{
    CHECK(self->channel_count < CHANNELS_MAX);
    self->channels[self->channel_count++] = channel;
    drain(self);
    if (!self->conn)
        return; /* the next connect does it */
    buf_t sql = {0};
    buf_printf(&sql, "LISTEN %s", channel);
    if (command(self, sql.data, clock_mono_ms() + self->statement_timeout_ms))
        self->notified = true;
    buf_free(&sql);
}

bool pg_notified(pg_t *self)
{
    drain(self);
    bool notified = self->notified;
    self->notified = false;
    return notified;
}

static statement_t *find_statement(pg_t *self, const char *name, const char *sql,
                                   const pg_params_t *params)
{
    size_t i = 0;
    while (i < self->statement_count && self->statements[i].name != name &&
           strcmp(self->statements[i].name, name) != 0)
        i++;
    statement_t *statement = &self->statements[i];
    if (i == self->statement_count) {
        CHECK(i < STATEMENTS_MAX);
        *statement = (statement_t){.name = name, .sql = sql, .count = params->count};
        memcpy(statement->types, params->types, sizeof(statement->types));
        self->statement_count++;
    }
    CHECK(statement->sql == sql || strcmp(statement->sql, sql) == 0);
    CHECK(statement->count == params->count);
    CHECK(memcmp(statement->types, params->types,
                 (size_t)params->count * sizeof(params->types[0])) == 0);
    return statement;
}

static bool send_statement(pg_t *self, const statement_t *statement, const pg_params_t *params)
{
    const char *values[PG_PARAMS_MAX];
    int sizes[PG_PARAMS_MAX];
    int formats[PG_PARAMS_MAX];
    for (int i = 0; i < params->count; i++) {
        const buf_t *value = &params->values[i];
        values[i] = params->is_null[i] ? NULL : value->data ? value->data : "";
        sizes[i] = (int)value->size;
        formats[i] = 1;
    }
    return PQsendQueryPrepared(self->conn, statement->name, params->count, values, sizes, formats,
                               1) == 1;
}

/* Prepares the statement where that is still to be done, and runs it once. */
static trip_t run_once(pg_t *self, statement_t *statement, const pg_params_t *params,
                       int64_t deadline_ms, PGresult **result)
{
    if (!statement->prepared) {
        if (!PQsendPrepare(self->conn, statement->name, statement->sql, statement->count,
                           statement->types)) {
            drop(self, NULL);
            return TRIP_NOT_RUN;
        }
        trip_t trip = round_trip(self, deadline_ms, result);
        if (trip != TRIP_OK)
            return trip == TRIP_LOST ? TRIP_NOT_RUN : trip; /* preparing does nothing */
        PQclear(*result);
        *result = NULL;
        statement->prepared = true;
    }
    if (!send_statement(self, statement, params)) {
        drop(self, NULL);
        return TRIP_NOT_RUN;
    }
    return round_trip(self, deadline_ms, result);
}

static bool error_is(const PGresult *error, const char *sqlstate)
{
    const char *have = PQresultErrorField(error, PG_DIAG_SQLSTATE);
    return have && strncmp(have, sqlstate, strlen(sqlstate)) == 0;
}

/* The statement as prepared is of no use any more: a migration changed its result type ("cached
 * plan must not change result type", told from other 0A000 by the function that raises it, since
 * the text is translated), or somebody deallocated it. */
static bool is_stale_plan(const PGresult *error)
{
    const char *raised_in = PQresultErrorField(error, PG_DIAG_SOURCE_FUNCTION);
    return error_is(error, "26000") || error_is(error, "42P05") ||
           (error_is(error, "0A000") && raised_in &&
            strcmp(raised_in, "RevalidateCachedQuery") == 0);
}

/* The error of a refused statement as ours. A server that became a standby (25006) is left, so that
 * the next connect looks for the primary. */
static err_t refusal(pg_t *self, const PGresult *error, err_detail_t *detail)
{
    err_t err = ERR_INTERNAL;
    if (error_is(error, "21") || error_is(error, "22") || error_is(error, "23") ||
        error_is(error, "54") || error_is(error, "P0"))
        err = ERR_UNPROCESSABLE;
    else if (error_is(error, "57014") || error_is(error, "40003"))
        err = ERR_OUTCOME_UNKNOWN; /* a timeout is a timeout, whoever's clock noticed it */
    else if (error_is(error, "40") || error_is(error, "53") || error_is(error, "55P03") ||
             error_is(error, "25006"))
        err = ERR_STORE_UNAVAILABLE; /* rolled back, and the reason passes */
    const char *text = PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY);
    err_set(detail, err, "%s (SQLSTATE %s)", text ? text : "",
            PQresultErrorField(error, PG_DIAG_SQLSTATE));
    if (error_is(error, "25006"))
        drop(self, "the server is read-only");
    return err;
}

/* Conflicts that the server resolved by rolling this one back: deadlock and serialization failure.
 */
static bool is_conflict(const PGresult *error)
{
    return error_is(error, "40P01") || error_is(error, "40001");
}

/* What one pg_exec may still do. */
typedef struct attempts {
    int64_t deadline_ms;
    int conflicts; /* so far */
    bool may_connect;
    bool may_replan;
} attempts_t;

/* Whether the statement that was refused is to be run again; where its plan was stale, all plans
 * are forgotten. */
static bool is_to_be_run_again(pg_t *self, const PGresult *error, attempts_t *attempts)
{
    if (clock_mono_ms() >= attempts->deadline_ms)
        return false;
    if (is_conflict(error))
        return attempts->conflicts++ < CONFLICT_RETRIES_MAX;
    if (!attempts->may_replan || !is_stale_plan(error))
        return false;
    attempts->may_replan = false;
    for (size_t i = 0; i < self->statement_count; i++)
        self->statements[i].prepared = false;
    command(self, "DEALLOCATE ALL",
            attempts->deadline_ms); /* on failure the connection is gone, and the plans with it */
    return true;
}

static bool is_oversize(const pg_params_t *params)
{
    for (int i = 0; i < params->count; i++) {
        if (params->values[i].overflow)
            return true;
    }
    return false;
}

err_t pg_exec(pg_t *self, const char *name, const char *sql, const pg_params_t *params,
              PGresult **result, err_detail_t *detail)
{
    static const pg_params_t none;
    *result = NULL;
    params = params ? params : &none;
    if (is_oversize(params))
        return err_set(detail, ERR_UNPROCESSABLE, "%s: the parameters are too large", name);
    statement_t *statement = find_statement(self, name, sql, params);
    drain(self);
    attempts_t attempts = {.may_connect = self->conn != NULL, .may_replan = true};
    if (!self->conn)
        TRY(connect_now(self, detail));
    attempts.deadline_ms = clock_mono_ms() + self->statement_timeout_ms;
    for (;;) {
        if (!self->conn) {
            if (!attempts.may_connect || clock_mono_ms() >= attempts.deadline_ms)
                return err_set(detail, ERR_STORE_UNAVAILABLE, "%s: %s", name, self->trouble);
            attempts.may_connect = false;
            TRY(connect_now(self, detail));
        }
        trip_t trip = run_once(self, statement, params, attempts.deadline_ms, result);
        if (trip == TRIP_OK)
            return ERR_OK;
        if (trip == TRIP_LOST)
            return err_set(detail, ERR_OUTCOME_UNKNOWN, "%s: %s", name, self->trouble);
        if (trip == TRIP_REFUSED) {
            bool again = is_to_be_run_again(self, *result, &attempts);
            err_t err = again ? ERR_OK : refusal(self, *result, detail);
            PQclear(*result);
            *result = NULL;
            if (!again)
                return err;
        }
    }
}
