/* test_service.c - a whole service process, each in a child of its own. */
#include "lib/service.h"
#include "tests/support/test_main.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DRAINED = 40 };

static const service_settings_t good = {.process = {.tiffin_env = "dev", .log_level = "error"},
                                        .hub_addr = "tcp://127.0.0.1:1"};

static int in_child(int (*body)(const service_settings_t *), service_settings_t settings)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(20);
        service_process_init();
        _exit(body(&settings));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int asked;

static bool idle_the_third_time(void *self)
{
    (void)self;
    return ++asked == 3;
}

static int run_until_term(const service_settings_t *settings)
{
    static const bus_handlers_t handlers = {.on_batch = NULL};
    service_t service;
    service_init(&service, "order", settings);
    if (!service.dev || strncmp(service.instance, "order-", 6) != 0)
        return 1;
    service_start(&service, 8, &handlers, &service, idle_the_third_time);
    kill(getpid(), SIGTERM); /* blocked: waits for the loop */
    int status = service_run(&service);
    service_stop(&service);
    service_destroy(&service);
    bool clean = !service.bus && !service.actor && asked == 3;
    return clean && status == 0 ? DRAINED : 2;
}

static void sigterm_drains_and_waits_until_the_service_is_idle(void **state)
{
    (void)state;
    unsetenv("INSTANCE");
    assert_int_equal(in_child(run_until_term, good), DRAINED);
}

static int only_init(const service_settings_t *settings)
{
    service_t service;
    service_init(&service, "order", settings);
    service_destroy(&service);
    return 0;
}

static void a_bad_setting_ends_the_start(void **state)
{
    (void)state;
    assert_int_equal(in_child(only_init, good), 0);
    service_settings_t bad = good;
    bad.process.log_level = "loud";
    assert_int_equal(in_child(only_init, bad), EXIT_CONFIG);
    bad = good;
    bad.hub_addr = "gateway";
    assert_int_equal(in_child(only_init, bad), EXIT_CONFIG);
    bad = good;
    bad.process.tiffin_env = "test";
    assert_int_equal(in_child(only_init, bad), EXIT_CONFIG);
}

static int dumpable_after_init(const service_settings_t *settings)
{
    service_t service;
    service_init(&service, "order", settings);
    return prctl(PR_GET_DUMPABLE);
}

static void production_leaves_no_core_unless_it_is_wanted(void **state)
{
    (void)state;
    service_settings_t settings = good;
    assert_int_equal(in_child(dumpable_after_init, settings), 1);
    settings.process.tiffin_env = "prod";
    assert_int_equal(in_child(dumpable_after_init, settings), 0);
    settings.process.core_dumps = true;
    assert_int_equal(in_child(dumpable_after_init, settings), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(sigterm_drains_and_waits_until_the_service_is_idle),
    cmocka_unit_test(a_bad_setting_ends_the_start),
    cmocka_unit_test(production_leaves_no_core_unless_it_is_wanted),
};

TEST_MAIN(tests)
