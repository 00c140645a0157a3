/* servers.h - real PostgreSQL and Redis for tests: private, on loopback, gone with the test.
 *
 * PostgreSQL: when TIFFIN_TEST_DATABASE_URL is set (the test runner starts one cluster for a whole
 * run, with the migrated template database tiffin_template), each call makes a database of its own
 * from that template; otherwise a cluster is started for this process and migrated. Redis: a server
 * of its own per call, appendonly with fsync always.
 */
#ifndef TIFFIN_TESTS_SERVERS_H
#define TIFFIN_TESTS_SERVERS_H

#include <stdbool.h>
#include <sys/types.h>

/* libpq URL of a fresh, migrated database (as its owner). Valid until servers_stop. Fails the test
 * on error. */
const char *test_database(void);

typedef struct test_redis {
    pid_t pid;
    int port;
    char url[64];
    char dir[64];
} test_redis_t;
void test_redis_start(test_redis_t *redis);
/* kill -9 and wait; start again on the same port with the same data. */
void test_redis_kill(test_redis_t *redis);
void test_redis_restart(test_redis_t *redis);
void test_redis_stop(test_redis_t *redis);

/* A cluster of the test's own, empty and not migrated, to be stopped and started. URL: its
 * maintenance database. */
typedef struct test_cluster {
    pid_t pid;
    char dir[64];
    char url[160];
} test_cluster_t;
void test_cluster_start(test_cluster_t *cluster);
/* As a crash: immediate shutdown, and wait. */
void test_cluster_kill(test_cluster_t *cluster);
void test_cluster_restart(test_cluster_t *cluster);
void test_cluster_stop(test_cluster_t *cluster);

/* Drops the databases and stops what this process started. Also runs at exit. */
void servers_stop(void);

/* A TCP port of 127.0.0.1 that was free a moment ago. */
int test_free_port(void);
/* Calls `done` until it says true; fails the test after timeout_ms. Polls every millisecond: for
 * conditions no event tells of. */
void wait_until(bool (*done)(void *arg), void *arg, int timeout_ms, const char *what);

#endif
