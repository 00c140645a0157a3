/* servers.c - real PostgreSQL and Redis for tests.
 *
 * Servers are children of the test process and die with it however it ends: the kernel sends them a
 * signal when their parent is gone (PR_SET_PDEATHSIG). Their files are in one directory per test
 * process, removed by servers_stop, or by a small watcher outside of the process tree that waits
 * for the end of a pipe only this process holds.
 */
#include "tests/support/servers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <limits.h>
#include <netinet/in.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"

enum {
    DATABASES_MAX = 64,
    SERVERS_MAX = 16,
    START_TIMEOUT_MS = 30000,
    /* Ports outside of the range that the kernel gives to outgoing connections, so that a server
     * that is started again finds its port free. */
    PORT_MIN = 10000,
    PORT_MAX = 32000,
};

typedef struct database {
    char name[48];
    char url[200];
} database_t;

static struct {
    pid_t owner; /* forked children of a test must not stop its servers */
    char dir[40];
    int dir_count; /* directories made in it */
    pid_t servers[SERVERS_MAX];
    const char *cluster_url; /* where test_database makes databases */
    int database_count;
    database_t databases[DATABASES_MAX];
} state;

static test_cluster_t own_cluster; /* of this process; pid 0: the run's cluster is used */

/* execv's argument is not const for historical reasons; it changes nothing. */
static char *const *writable(const char *const argv[])
{
    union {
        const char *const *in;
        char *const *out;
    } same = {.in = argv};
    return same.out;
}

static int run_command(const char *const argv[])
{
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        execv(argv[0], writable(argv));
        _exit(127);
    }
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return pid > 0 ? status : -1;
}

static void remove_dir(const char *dir)
{
    run_command((const char *const[]){"/bin/rm", "-rf", "--", dir, NULL});
}

/* The watcher: a grandchild in a session of its own, which removes `dir` once this process is gone.
 */
static void start_watcher(const char *dir)
{
    static const char script[] =
        "while read -r line; do :; done; for i in 1 2 3 4 5 6 7 8 9 10; do "
        "rm -rf -- \"$0\" && exit; sleep 0.1; done";
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        fail_msg("pipe2: %s", strerror(errno));
    pid_t child = fork();
    if (child == 0) {
        setsid();
        if (fork() != 0)
            _exit(0);
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(pipe_fds[0], STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execl("/bin/sh", "sh", "-c", script, dir, (char *)NULL);
        _exit(127);
    }
    waitpid(child, NULL, 0);
    close(pipe_fds[0]); /* the other end stays open for as long as this process lives */
}

static void init_state(void)
{
    if (state.owner == getpid())
        return;
    memset(&state, 0, sizeof(state));
    memset(&own_cluster, 0, sizeof(own_cluster));
    state.owner = getpid();
    snprintf(state.dir, sizeof(state.dir), "/tmp/tiffin-test.XXXXXX");
    if (!mkdtemp(state.dir) || chmod(state.dir, 0755) != 0)
        fail_msg("mkdtemp %s: %s", state.dir, strerror(errno));
    start_watcher(state.dir);
    atexit(servers_stop);
}

static void make_dir(const char *kind, char *out, size_t capacity)
{
    init_state();
    snprintf(out, capacity, "%s/%s-%d", state.dir, kind, ++state.dir_count);
    if (mkdir(out, 0755) != 0)
        fail_msg("mkdir %s: %s", out, strerror(errno));
}

/* Becomes a server: output to `dir`/log, the death signal, and the user postgres where root may not
 * run the server. */
static _Noreturn void exec_server(const char *dir, bool drop_root, int death_signal,
                                  const char *const argv[])
{
    char log[PATH_MAX];
    snprintf(log, sizeof(log), "%s/log", dir);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    if (drop_root && geteuid() == 0) {
        const struct passwd *user = getpwnam("postgres");
        if (!user || setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 ||
            setuid(user->pw_uid) != 0)
            _exit(126);
    }
    prctl(PR_SET_PDEATHSIG, death_signal); /* after setuid, which clears it */
    if (getppid() != state.owner)
        _exit(0);
    execv(argv[0], writable(argv));
    _exit(127);
}

static pid_t start_server(const char *dir, bool drop_root, int death_signal,
                          const char *const argv[])
{
    int slot = 0;
    while (slot < SERVERS_MAX && state.servers[slot] != 0)
        slot++;
    if (slot == SERVERS_MAX)
        fail_msg("more than %d servers", SERVERS_MAX);
    pid_t pid = fork();
    if (pid == 0)
        exec_server(dir, drop_root, death_signal, argv);
    if (pid < 0)
        fail_msg("fork: %s", strerror(errno));
    state.servers[slot] = pid;
    return pid;
}

static void forget_server(pid_t pid)
{
    for (int i = 0; i < SERVERS_MAX; i++) {
        if (state.servers[i] == pid)
            state.servers[i] = 0;
    }
}

static void end_server(pid_t pid, int signal_number)
{
    if (pid <= 0)
        return;
    kill(pid, signal_number);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    forget_server(pid);
}

static void fail_with_log(const char *what, const char *dir)
{
    char path[PATH_MAX];
    char text[2000] = "";
    snprintf(path, sizeof(path), "%s/log", dir);
    FILE *file = fopen(path, "re");
    if (file) {
        size_t size = fread(text, 1, sizeof(text) - 1, file);
        text[size] = '\0';
        fclose(file);
    }
    fail_msg("%s\n%s", what, text);
}

static const char *cluster_script(void)
{
    return TIFFIN_SOURCE_DIR "/tests/support/pg-cluster.sh";
}

/* The newest server installed, as pg-cluster.sh finds it. */
static void postgres_program(char *out, size_t capacity)
{
    const char *bin = getenv("PG_BINDIR");
    if (bin) {
        snprintf(out, capacity, "%s/postgres", bin);
        return;
    }
    for (int version = 40; version >= 13; version--) {
        snprintf(out, capacity, "/usr/lib/postgresql/%d/bin/postgres", version);
        if (access(out, X_OK) == 0)
            return;
    }
    fail_msg("no PostgreSQL server is installed");
}

static bool cluster_answers(void *arg)
{
    test_cluster_t *cluster = arg;
    int status;
    if (waitpid(cluster->pid, &status, WNOHANG) == cluster->pid) {
        forget_server(cluster->pid);
        fail_with_log("postgres ended at its start", cluster->dir);
    }
    return PQping(cluster->url) == PQPING_OK;
}

void test_cluster_restart(test_cluster_t *cluster)
{
    char program[PATH_MAX];
    char data[sizeof(cluster->dir) + 8];
    postgres_program(program, sizeof(program));
    snprintf(data, sizeof(data), "%s/data", cluster->dir);
    /* SIGQUIT: immediate shutdown, of its children too. */
    cluster->pid =
        start_server(cluster->dir, true, SIGQUIT, (const char *const[]){program, "-D", data, NULL});
    wait_until(cluster_answers, cluster, START_TIMEOUT_MS, "PostgreSQL answers");
}

void test_cluster_start(test_cluster_t *cluster)
{
    memset(cluster, 0, sizeof(*cluster));
    make_dir("pg", cluster->dir, sizeof(cluster->dir));
    if (run_command((const char *const[]){cluster_script(), "init", cluster->dir, NULL}) != 0)
        fail_with_log("initdb failed", cluster->dir);
    char host[100] = ""; /* the socket's directory, percent-encoded */
    for (const char *p = cluster->dir; *p; p++)
        snprintf(host + strlen(host), sizeof(host) - strlen(host), *p == '/' ? "%%2F" : "%c", *p);
    snprintf(cluster->url, sizeof(cluster->url), "postgresql://postgres@%s%%2Fsocket/postgres",
             host);
    test_cluster_restart(cluster);
}

void test_cluster_kill(test_cluster_t *cluster)
{
    end_server(cluster->pid, SIGQUIT);
    cluster->pid = 0;
}

void test_cluster_stop(test_cluster_t *cluster)
{
    test_cluster_kill(cluster);
    remove_dir(cluster->dir);
}

/* `url` with another database. */
static void url_with_database(const char *url, const char *database, char *out, size_t capacity)
{
    const char *query = strchr(url, '?');
    int size = query ? (int)(query - url) : (int)strlen(url);
    while (size > 0 && url[size - 1] != '/')
        size--;
    snprintf(out, capacity, "%.*s%s%s", size, url, database, query ? query : "");
}

static void ignore_notice(void *arg, const PGresult *notice)
{
    (void)arg;
    (void)notice;
}

/* One statement in the maintenance database; the server's words on failure, else NULL. */
static const char *run_sql(const char *sql)
{
    static char error[500];
    error[0] = '\0';
    PGconn *conn = PQconnectdb(state.cluster_url);
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    PGresult *result = PQstatus(conn) == CONNECTION_OK ? PQexec(conn, sql) : NULL;
    bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!good)
        snprintf(error, sizeof(error), "%s", PQerrorMessage(conn));
    PQclear(result);
    PQfinish(conn);
    return good ? NULL : error;
}

static void find_cluster(void)
{
    state.cluster_url = getenv("TIFFIN_TEST_DATABASE_URL");
    if (state.cluster_url && state.cluster_url[0])
        return;
    test_cluster_start(&own_cluster);
    state.cluster_url = own_cluster.url;
    if (run_command((const char *const[]){cluster_script(), "migrate", own_cluster.url, NULL}) != 0)
        fail_msg("the migrations failed");
}

const char *test_database(void)
{
    init_state();
    if (!state.cluster_url)
        find_cluster();
    if (state.database_count == DATABASES_MAX)
        fail_msg("more than %d databases", DATABASES_MAX);
    database_t *database = &state.databases[state.database_count];
    char name[sizeof(database->name)];
    snprintf(name, sizeof(name), "test_%ld_%d", (long)getpid(), state.database_count);
    memcpy(database->name, name, sizeof(name));
    url_with_database(state.cluster_url, name, database->url, sizeof(database->url));
    char sql[200];
    snprintf(sql, sizeof(sql), "DROP DATABASE IF EXISTS %s WITH (FORCE)",
             name); /* an older process' */
    const char *error = run_sql(sql);
    if (!error) {
        snprintf(sql, sizeof(sql), "CREATE DATABASE %s TEMPLATE tiffin_template", name);
        error = run_sql(sql);
    }
    if (error)
        fail_msg("a database for the test: %s", error);
    state.database_count++;
    return database->url;
}

typedef enum redis_state { REDIS_STARTING, REDIS_ANSWERS, REDIS_ENDED } redis_state_t;

static redis_state_t look_at_redis(test_redis_t *redis)
{
    if (waitpid(redis->pid, NULL, WNOHANG) == redis->pid) {
        forget_server(redis->pid);
        redis->pid = 0;
        return REDIS_ENDED;
    }
    redisContext *context =
        redisConnectWithTimeout("127.0.0.1", redis->port, (struct timeval){.tv_sec = 1});
    redisReply *reply = context && !context->err ? redisCommand(context, "PING") : NULL;
    bool good = reply && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    if (context)
        redisFree(context);
    return good ? REDIS_ANSWERS : REDIS_STARTING;
}

static bool redis_is_decided(void *arg)
{
    return look_at_redis(arg) != REDIS_STARTING;
}

void test_redis_restart(test_redis_t *redis)
{
    char port[8];
    snprintf(port, sizeof(port), "%d", redis->port);
    redis->pid = start_server(
        redis->dir, false, SIGKILL,
        (const char *const[]){"/usr/bin/redis-server", "--bind", "127.0.0.1", "--port", port,
                              "--dir", redis->dir, "--appendonly", "yes", "--appendfsync", "always",
                              "--save", "", "--maxmemory-policy", "noeviction", NULL});
    wait_until(redis_is_decided, redis, START_TIMEOUT_MS, "Redis answers");
}

void test_redis_start(test_redis_t *redis)
{
    memset(redis, 0, sizeof(*redis));
    make_dir("redis", redis->dir, sizeof(redis->dir));
    for (int attempts = 0; redis->pid == 0 && attempts < 5;
         attempts++) { /* another test may take the port first */
        redis->port = test_free_port();
        test_redis_restart(redis);
    }
    if (redis->pid == 0)
        fail_with_log("redis-server ended at its start", redis->dir);
    snprintf(redis->url, sizeof(redis->url), "redis://127.0.0.1:%d", redis->port);
}

void test_redis_kill(test_redis_t *redis)
{
    end_server(redis->pid, SIGKILL);
    redis->pid = 0;
}

void test_redis_stop(test_redis_t *redis)
{
    test_redis_kill(redis);
    remove_dir(redis->dir);
}

void servers_stop(void)
{
    if (state.owner != getpid())
        return;
    if (own_cluster.pid == 0) {
        for (int i = 0; i < state.database_count; i++) {
            char sql[100];
            snprintf(sql, sizeof(sql), "DROP DATABASE IF EXISTS %s WITH (FORCE)",
                     state.databases[i].name);
            const char *error = run_sql(sql);
            if (error)
                fprintf(stderr, "%s: %s", state.databases[i].name, error);
        }
    }
    for (int i = 0; i < SERVERS_MAX; i++)
        end_server(state.servers[i], SIGQUIT);
    remove_dir(state.dir);
    state.owner = 0; /* the next use begins anew */
}

int test_free_port(void)
{
    for (int attempts = 0; attempts < 1000; attempts++) {
        uint32_t random = 0;
        if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
            continue;
        int port = PORT_MIN + (int)(random % (PORT_MAX - PORT_MIN));
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool free_now = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
        if (fd >= 0)
            close(fd);
        if (free_now)
            return port;
    }
    fail_msg("no free port");
    return -1;
}

void wait_until(bool (*done)(void *arg), void *arg, int timeout_ms, const char *what)
{
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    while (!done(arg)) {
        if (clock_mono_ms() > deadline_ms)
            fail_msg("not within %d ms: %s", timeout_ms, what);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}
