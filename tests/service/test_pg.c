/* test_pg.c - lib/pg against a real server: every way a connection or a statement can end. */
#include <arpa/inet.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/limits.h"
#include "lib/pg.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum { TIMEOUT_MS = 3000, SHORT_TIMEOUT_MS = 400, AT_ONCE_MS = 200 };

/* What a test runs beside the wrapper: plain libpq, as another client. */
static PGconn *other_client(const char *url)
{
    PGconn *conn = PQconnectdb(url);
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    return conn;
}

static void run_plain(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    PQclear(result);
}

static int plain_number(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    int number = atoi(PQgetvalue(result, 0, 0));
    PQclear(result);
    return number;
}

/* Ends a session from outside and waits until it is gone. */
static void terminate(PGconn *conn, int backend)
{
    char sql[100];
    snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d, 5000)::int", backend);
    assert_int_equal(plain_number(conn, sql), 1);
}

static PGresult *must_run(pg_t *pg, const char *name, const char *sql, const pg_params_t *params)
{
    PGresult *result = NULL;
    err_detail_t detail = {""};
    err_t err = pg_exec(pg, name, sql, params, &result, &detail);
    if (err != ERR_OK)
        fail_msg("%s: %s: %s", name, err_name(err), detail.text);
    return result;
}

static void must_do(pg_t *pg, const char *name, const char *sql)
{
    PQclear(must_run(pg, name, sql, NULL));
}

static int64_t must_count(pg_t *pg, const char *name, const char *sql)
{
    PGresult *result = must_run(pg, name, sql, NULL);
    int64_t count = pg_get_int8(result, 0, 0);
    PQclear(result);
    return count;
}

static int backend_of(pg_t *pg)
{
    return (int)must_count(pg, "backend", "SELECT pg_backend_pid()");
}

static err_t outcome(pg_t *pg, const char *name, const char *sql)
{
    PGresult *result = NULL;
    err_detail_t detail = {""};
    err_t err = pg_exec(pg, name, sql, NULL, &result, &detail);
    assert_true((err == ERR_OK) == (result != NULL));
    if (err != ERR_OK)
        assert_true(detail.text[0] != '\0');
    PQclear(result);
    return err;
}

static bool is_ready(void *pg)
{
    return pg_ready(pg);
}

static bool is_notified(void *pg)
{
    return pg_notified(pg);
}

static void assert_text(str_t have, const char *want)
{
    assert_int_equal(have.size, strlen(want));
    assert_memory_equal(have.data, want, have.size);
}

static void refused_data_is_unprocessable_and_a_bug_is_internal(void **state)
{
    (void)state;
    pg_t *pg = pg_new(test_database(), "test", TIMEOUT_MS);
    int backend = backend_of(pg);
    must_do(pg, "make", "CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n > 0))");
    must_do(pg, "one", "INSERT INTO t VALUES (1, 1)");
    assert_int_equal(outcome(pg, "twice", "INSERT INTO t VALUES (2, 1), (1, 1)"),
                     ERR_UNPROCESSABLE);
    assert_int_equal(outcome(pg, "check", "INSERT INTO t VALUES (3, 0)"), ERR_UNPROCESSABLE);
    assert_int_equal(outcome(pg, "class 22", "SELECT 1 / (SELECT count(*) - 1 FROM t)"),
                     ERR_UNPROCESSABLE);
    must_do(pg, "raiser",
            "CREATE FUNCTION no() RETURNS void LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$");
    assert_int_equal(outcome(pg, "raise", "SELECT no()"), ERR_UNPROCESSABLE);
    assert_int_equal(outcome(pg, "class 21", "SELECT (SELECT generate_series(1, 2))"),
                     ERR_UNPROCESSABLE);
    assert_int_equal(outcome(pg, "class 54", "SELECT repeat('x', 2000000000)"), ERR_UNPROCESSABLE);
    assert_int_equal(outcome(pg, "no table", "SELECT * FROM nowhere"), ERR_INTERNAL);
    assert_int_equal(outcome(pg, "no syntax", "SELEC 1"), ERR_INTERNAL);
    assert_int_equal(must_count(pg, "rows", "SELECT count(*) FROM t"), 1);
    assert_int_equal(backend_of(pg), backend);
    pg_destroy(&pg);
}

/* The server's answer to the statement itself is good; the refusal comes with the commit. */
static void refusal_at_commit_is_not_taken_for_success(void **state)
{
    (void)state;
    pg_t *pg = pg_new(test_database(), "test", TIMEOUT_MS);
    must_do(pg, "make", "CREATE TABLE t (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    assert_int_equal(outcome(pg, "twice", "INSERT INTO t VALUES (1), (1) RETURNING id"),
                     ERR_UNPROCESSABLE);
    assert_int_equal(must_count(pg, "rows", "SELECT count(*) FROM t"), 0);
    pg_destroy(&pg);
}

static void serialization_failure_is_run_again_three_times(void **state)
{
    (void)state;
    pg_t *pg = pg_new(test_database(), "test", TIMEOUT_MS);
    must_do(pg, "sequence",
            "CREATE SEQUENCE runs"); /* counts although the transaction is rolled back */
    must_do(pg, "function",
            "CREATE FUNCTION fail_until(n int) RETURNS bigint LANGUAGE plpgsql AS $$"
            "DECLARE run bigint := nextval('runs'); BEGIN"
            " IF run < n THEN RAISE 'conflict' USING ERRCODE = '40001'; END IF; RETURN run; END$$");
    assert_int_equal(must_count(pg, "fourth", "SELECT fail_until(4)"), 4);
    assert_int_equal(outcome(pg, "never", "SELECT fail_until(1000)"), ERR_STORE_UNAVAILABLE);
    assert_int_equal(must_count(pg, "runs", "SELECT nextval('runs')"), 9);
    pg_destroy(&pg);
}

typedef struct background {
    pg_t *pg;
    const char *sql;
    err_t err;
} background_t;

static void *run_in_background(void *arg)
{
    background_t *background = arg;
    PGresult *result = NULL;
    background->err = pg_exec(background->pg, "background", background->sql, NULL, &result, NULL);
    PQclear(result);
    return NULL;
}

typedef struct question {
    PGconn *conn;
    char sql[200];
} question_t;

static bool is_true(void *arg)
{
    question_t *question = arg;
    return plain_number(question->conn, question->sql) == 1;
}

static void wait_for_backend(PGconn *conn, int backend, const char *wait_event_type)
{
    question_t question = {.conn = conn};
    snprintf(question.sql, sizeof(question.sql),
             "SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND state = 'active' AND "
             "wait_event_type = '%s'",
             backend, wait_event_type);
    wait_until(is_true, &question, 5000, "the statement waits in the server");
}

static void deadlock_victim_is_run_again(void **state)
{
    (void)state;
    const char *url = test_database();
    char impatient_url[256]; /* of the two, the wrapper's session finds the deadlock and is rolled
                                back */
    snprintf(impatient_url, sizeof(impatient_url), "%s?options=-c%%20deadlock_timeout%%3D500ms",
             url);
    pg_t *pg = pg_new(impatient_url, "test", 10000);
    PGconn *other = other_client(url);
    PGconn *watch = other_client(url);
    run_plain(other, "CREATE TABLE t AS SELECT id, 0 AS n FROM generate_series(1, 2) id; SET "
                     "deadlock_timeout = '60s'");
    run_plain(other,
              "CREATE FUNCTION add_to_both() RETURNS void LANGUAGE sql AS "
              "$$UPDATE t SET n = n + 1 WHERE id = 1; UPDATE t SET n = n + 1 WHERE id = 2$$");
    int backend = backend_of(pg);
    run_plain(other, "BEGIN; UPDATE t SET n = n + 10 WHERE id = 2");
    background_t background = {.pg = pg, .sql = "SELECT add_to_both()"};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_in_background, &background), 0);
    wait_for_backend(watch, backend, "Lock");
    run_plain(other,
              "UPDATE t SET n = n + 10 WHERE id = 1"); /* returns when the victim is rolled back */
    run_plain(other, "COMMIT");
    pthread_join(thread, NULL);
    assert_int_equal(background.err, ERR_OK);
    assert_int_equal(plain_number(watch, "SELECT sum(n) FROM t"), 22);
    assert_int_equal(backend_of(pg), backend);
    PQfinish(other);
    PQfinish(watch);
    pg_destroy(&pg);
}

static void changed_table_is_prepared_again(void **state)
{
    (void)state;
    pg_t *pg = pg_new(test_database(), "test", TIMEOUT_MS);
    must_do(pg, "make", "CREATE TABLE t AS SELECT 1 AS a");
    PQclear(must_run(pg, "all", "SELECT * FROM t", NULL));
    must_do(pg, "alter", "ALTER TABLE t ADD COLUMN b int DEFAULT 2");
    PGresult *result = must_run(pg, "all", "SELECT * FROM t", NULL);
    assert_int_equal(PQnfields(result), 2);
    PQclear(result);
    pg_destroy(&pg);
}

static void deallocated_statement_is_prepared_again(void **state)
{
    (void)state;
    pg_t *pg = pg_new(test_database(), "test", TIMEOUT_MS);
    int backend = backend_of(pg);
    must_do(pg, "forget", "DEALLOCATE ALL");
    assert_int_equal(backend_of(pg), backend);
    pg_destroy(&pg);
}

static void slow_statement_is_unknown_and_the_next_one_works(void **state)
{
    (void)state;
    pg_t *pg = pg_new(test_database(), "test", SHORT_TIMEOUT_MS);
    int64_t begun_ms = clock_mono_ms();
    assert_int_equal(outcome(pg, "slow", "SELECT pg_sleep(30)"), ERR_OUTCOME_UNKNOWN);
    assert_true(clock_mono_ms() - begun_ms < SHORT_TIMEOUT_MS + PG_CONNECT_TIMEOUT_MS + AT_ONCE_MS);
    assert_int_equal(must_count(pg, "one", "SELECT 1"), 1);
    pg_destroy(&pg);
}

/* A server that says nothing at all: our own clock ends it. */
static void silent_server_is_unknown_and_the_next_one_works(void **state)
{
    (void)state;
    pg_t *pg = pg_new(test_database(), "test", SHORT_TIMEOUT_MS);
    int backend = backend_of(pg);
    assert_int_equal(kill(backend, SIGSTOP), 0);
    int64_t begun_ms = clock_mono_ms();
    err_t err = outcome(pg, "slow", "SELECT 1, pg_backend_pid()");
    int64_t took_ms = clock_mono_ms() - begun_ms;
    assert_int_equal(kill(backend, SIGCONT), 0);
    assert_int_equal(
        err, ERR_STORE_UNAVAILABLE); /* it was still being prepared, and that does nothing */
    assert_true(took_ms >= SHORT_TIMEOUT_MS);
    backend = backend_of(pg);
    assert_int_equal(kill(backend, SIGSTOP), 0);
    err = outcome(pg, "backend", "SELECT pg_backend_pid()");
    assert_int_equal(kill(backend, SIGCONT), 0);
    assert_int_equal(err, ERR_OUTCOME_UNKNOWN);
    assert_int_not_equal(backend_of(pg), backend);
    pg_destroy(&pg);
}

static void session_has_our_settings(void **state)
{
    (void)state;
    const char *url = test_database();
    pg_t *pg = pg_new(url, "tiffin-test", 2000);
    PGconn *other = other_client(url);
    for (int round = 0; round < 2; round++) {
        PGresult *result = must_run(
            pg, "settings",
            "SELECT current_setting('statement_timeout'), current_setting('plan_cache_mode'),"
            " current_setting('TimeZone'), current_setting('application_name'),"
            " current_setting('idle_in_transaction_session_timeout'), pg_backend_pid()",
            NULL);
        assert_text(pg_get_text(result, 0, 0), "1750ms");
        assert_text(pg_get_text(result, 0, 1), "force_generic_plan");
        assert_text(pg_get_text(result, 0, 2), "UTC");
        assert_text(pg_get_text(result, 0, 3), "tiffin-test");
        assert_text(pg_get_text(result, 0, 4), "2s");
        terminate(other, (int)pg_get_int8(result, 0, 5));
        PQclear(result);
    }
    PQfinish(other);
    pg_destroy(&pg);
}

static void session_ended_while_idle_is_replaced_unnoticed(void **state)
{
    (void)state;
    const char *url = test_database();
    pg_t *pg = pg_new(url, "test", TIMEOUT_MS);
    PGconn *other = other_client(url);
    int backend = backend_of(pg);
    terminate(other, backend);
    assert_int_not_equal(backend_of(pg), backend);
    backend = backend_of(pg);
    terminate(other, backend);
    assert_true(pg_ready(pg));
    assert_int_not_equal(backend_of(pg), backend);
    PQfinish(other);
    pg_destroy(&pg);
}

/* FATAL instead of an answer: nothing was committed, so the statement is run again, once. */
static void session_ended_during_a_statement_runs_it_once_in_all(void **state)
{
    (void)state;
    const char *url = test_database();
    pg_t *pg = pg_new(url, "test", TIMEOUT_MS);
    PGconn *other = other_client(url);
    run_plain(other, "CREATE TABLE t (n int)");
    int backend = backend_of(pg);
    char sql[200];
    snprintf(sql, sizeof(sql),
             "WITH slow AS (SELECT pg_sleep(CASE pg_backend_pid() WHEN %d THEN 30 ELSE 0 END))"
             " INSERT INTO t SELECT 1 FROM slow",
             backend);
    background_t background = {.pg = pg, .sql = sql};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_in_background, &background), 0);
    wait_for_backend(other, backend, "Timeout");
    terminate(other, backend);
    pthread_join(thread, NULL);
    assert_int_equal(background.err, ERR_OK);
    assert_int_equal(plain_number(other, "SELECT count(*) FROM t"), 1);
    PQfinish(other);
    pg_destroy(&pg);
}

static void stopped_server_fails_at_once_and_comes_back(void **state)
{
    (void)state;
    test_cluster_t cluster;
    test_cluster_start(&cluster);
    pg_t *pg = pg_new(cluster.url, "test", TIMEOUT_MS);
    assert_int_equal(must_count(pg, "one", "SELECT 1"), 1);
    test_cluster_kill(&cluster);
    for (int i = 0; i < 100; i++) {
        int64_t begun_ms = clock_mono_ms();
        assert_int_equal(outcome(pg, "one", "SELECT 1"), ERR_STORE_UNAVAILABLE);
        assert_true(clock_mono_ms() - begun_ms < AT_ONCE_MS);
    }
    assert_int_equal(pg_fd(pg), -1);
    test_cluster_restart(&cluster);
    wait_until(is_ready, pg, 5000, "the wrapper is connected again");
    assert_int_equal(must_count(pg, "one", "SELECT 1"), 1);

    /* A crash of the server while a statement runs: the stream ends without a word about it. */
    PGconn *other = other_client(cluster.url);
    int backend = backend_of(pg);
    background_t background = {.pg = pg, .sql = "SELECT pg_sleep(30)"};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_in_background, &background), 0);
    wait_for_backend(other, backend, "Timeout");
    assert_int_equal(kill(backend, SIGKILL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(background.err, ERR_OUTCOME_UNKNOWN);
    PQfinish(other);
    pg_destroy(&pg);
    test_cluster_stop(&cluster);
}

static void notifications_go_on_after_a_reconnect(void **state)
{
    (void)state;
    const char *url = test_database();
    pg_t *pg = pg_new(url, "test", TIMEOUT_MS);
    PGconn *other = other_client(url);
    pg_listen(pg, "before");
    assert_true(pg_ready(pg));
    assert_true(pg_fd(pg) >= 0);
    pg_listen(pg, "after");
    assert_true(pg_notified(pg)); /* what nobody listened to before */
    assert_false(pg_notified(pg));
    static const char *const notify[] = {"NOTIFY before", "NOTIFY after"};
    for (int round = 0; round < 4; round++) {
        run_plain(other, notify[round % 2]);
        wait_until(is_notified, pg, 5000, "the notification");
        assert_false(pg_notified(pg));
        if (round == 1) {
            terminate(other, backend_of(pg));
            assert_true(pg_ready(pg));
            assert_true(pg_notified(pg)); /* it may have missed some */
            assert_false(pg_notified(pg));
        }
    }
    must_do(pg, "itself",
            "NOTIFY before"); /* arrives with a statement's answer: not lost on the way */
    wait_until(is_notified, pg, 5000, "the notification");
    PQfinish(other);
    pg_destroy(&pg);
}

/* A port that takes connections (as far as the kernel goes) and never answers. */
static int listen_silently(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void host_that_does_not_answer_is_passed_over_next_time(void **state)
{
    (void)state;
    const char *url = test_database();
    PGconn *other = other_client(url);
    int port;
    int fd = listen_silently(&port);
    char hosts[512];
    snprintf(hosts, sizeof(hosts), "host=127.0.0.1,%s port=%d,%s dbname=%s user=postgres",
             PQhost(other), port, PQport(other), PQdb(other));
    pg_t *pg = pg_new(hosts, "test", TIMEOUT_MS);
    int64_t begun_ms = clock_mono_ms();
    assert_int_equal(outcome(pg, "one", "SELECT 1"), ERR_STORE_UNAVAILABLE);
    assert_true(clock_mono_ms() - begun_ms < PG_CONNECT_TIMEOUT_MS + AT_ONCE_MS);
    assert_int_equal(outcome(pg, "one", "SELECT 1"), ERR_STORE_UNAVAILABLE); /* at once */
    assert_true(clock_mono_ms() - begun_ms < PG_CONNECT_TIMEOUT_MS + AT_ONCE_MS);
    wait_until(is_ready, pg, 1000, "the second host is asked");
    assert_int_equal(must_count(pg, "one", "SELECT 1"), 1);
    pg_destroy(&pg);
    PQfinish(other);
    close(fd);
}

static void wrong_url_is_unavailable_and_keeps_its_password(void **state)
{
    (void)state;
    pg_t *pg = pg_new("postgresql://u:geheim@h:port:x/%zz", "test", TIMEOUT_MS);
    PGresult *result;
    err_detail_t detail = {""};
    assert_false(pg_ready(pg));
    assert_int_equal(pg_exec(pg, "one", "SELECT 1", NULL, &result, &detail), ERR_STORE_UNAVAILABLE);
    assert_null(strstr(detail.text, "geheim"));
    pg_destroy(&pg);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(refused_data_is_unprocessable_and_a_bug_is_internal),
    cmocka_unit_test(refusal_at_commit_is_not_taken_for_success),
    cmocka_unit_test(serialization_failure_is_run_again_three_times),
    cmocka_unit_test(deadlock_victim_is_run_again),
    cmocka_unit_test(changed_table_is_prepared_again),
    cmocka_unit_test(deallocated_statement_is_prepared_again),
    cmocka_unit_test(slow_statement_is_unknown_and_the_next_one_works),
    cmocka_unit_test(silent_server_is_unknown_and_the_next_one_works),
    cmocka_unit_test(session_has_our_settings),
    cmocka_unit_test(session_ended_while_idle_is_replaced_unnoticed),
    cmocka_unit_test(session_ended_during_a_statement_runs_it_once_in_all),
    cmocka_unit_test(stopped_server_fails_at_once_and_comes_back),
    cmocka_unit_test(notifications_go_on_after_a_reconnect),
    cmocka_unit_test(host_that_does_not_answer_is_passed_over_next_time),
    cmocka_unit_test(wrong_url_is_unavailable_and_keeps_its_password),
};

TEST_MAIN(tests)
