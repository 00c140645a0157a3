/* test_config.c - settings: bounds, secrets in files, what is printed and how a process ends. */
#include "tests/support/test_main.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/config.h"

typedef struct sample {
    const char *url, *secret, *name;
    int64_t count;
    bool loud;
} sample_t;

static const config_entry_t table[] = {
    CONFIG_TEXT("URL", sample_t, url, NULL, CONFIG_REQUIRED, "where it is"),
    CONFIG_TEXT("SECRET", sample_t, secret, NULL, CONFIG_SECRET, "the key"),
    CONFIG_TEXT("NAME", sample_t, name, "fallback", 0, "what it is called"),
    CONFIG_INT("COUNT", sample_t, count, 7, -1, 100, 0, "how many"),
    CONFIG_BOOL("LOUD", sample_t, loud, true, 0, "whether it shouts"),
    CONFIG_END};

/* An environment: name, value, …, NULL. */
static const char *find(const char *name, void *arg)
{
    const char *const *at = arg;
    for (; *at; at += 2)
        if (strcmp(at[0], name) == 0)
            return at[1];
    return NULL;
}

static err_t read_with(const char **environment, sample_t *sample, err_detail_t *detail)
{
    memset(sample, 0, sizeof *sample);
    return config_read(table, sample, find, environment, detail);
}

static void assert_refused(const char **environment, const char *said)
{
    sample_t sample;
    err_detail_t detail;
    assert_int_equal(read_with(environment, &sample, &detail), ERR_BAD_CONFIG);
    if (!strstr(detail.text, said))
        fail_msg("\"%s\" does not say \"%s\"", detail.text, said);
}

static void defaults_fill_what_is_not_set(void **state)
{
    (void)state;
    sample_t sample;
    err_detail_t detail;
    const char *environment[] = {"URL", "u", "NAME", "", "COUNT", "", NULL};
    assert_int_equal(read_with(environment, &sample, &detail), ERR_OK);
    assert_string_equal(sample.url, "u");
    assert_null(sample.secret);
    assert_string_equal(sample.name, "fallback");
    assert_int_equal(sample.count, 7);
    assert_true(sample.loud);
}

static void values_are_copied(void **state)
{
    (void)state;
    char url[] = "first";
    sample_t sample;
    err_detail_t detail;
    const char *environment[] = {"URL", url, "COUNT", "-1", "LOUD", "off", "SECRET", "s", NULL};
    assert_int_equal(read_with(environment, &sample, &detail), ERR_OK);
    url[0] = 'X';
    assert_string_equal(sample.url, "first");
    assert_int_equal(sample.count, -1);
    assert_false(sample.loud);
    assert_string_equal(sample.secret, "s");
}

static void missing_setting_is_named(void **state)
{
    (void)state;
    assert_refused((const char *[]){NULL}, "URL: is required");
    assert_refused((const char *[]){"URL", "", NULL}, "URL: is required");
}

static void numbers_are_whole_and_in_range(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "101", "-2", "7x", "x", " 7", "+7", "7.0", "0x7", "1e1", "-", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_refused((const char *[]){"URL", "u", "COUNT", wrong[i], NULL},
                       "COUNT: must be a whole number from -1 to 100");
    assert_refused((const char *[]){"URL", "u", "LOUD", "perhaps", NULL}, "LOUD: must be");
}

/* A file with this content; the path is valid until the next call. */
static const char *file_with(const char *content, size_t size)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/test_config.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, size), size);
    close(fd);
    return path;
}

static void secret_may_come_from_a_file(void **state)
{
    (void)state;
    static const char *const contents[] = {"hush", "hush\n", "hush\r\n"};
    for (size_t i = 0; i < 3; i++) {
        sample_t sample;
        err_detail_t detail;
        const char *path = file_with(contents[i], strlen(contents[i]));
        const char *environment[] = {"URL", "u", "SECRET_FILE", path, NULL};
        assert_int_equal(read_with(environment, &sample, &detail), ERR_OK);
        assert_string_equal(sample.secret, "hush");
        unlink(path);
    }
}

static void secret_file_must_hold_one(void **state)
{
    (void)state;
    static char huge[70000];
    memset(huge, 'x', sizeof huge);
    const struct {
        const char *content, *said;
        size_t size;
    } cases[] = {{"", "is empty", 0},
                 {"\n", "is empty", 1},
                 {"a\0b", "is no text", 3},
                 {huge, "is no text", sizeof huge}};
    for (size_t i = 0; i < 4; i++) {
        const char *path = file_with(cases[i].content, cases[i].size);
        assert_refused((const char *[]){"URL", "u", "SECRET_FILE", path, NULL}, cases[i].said);
        unlink(path);
    }
    assert_refused((const char *[]){"URL", "u", "SECRET_FILE", "/nonexistent/f", NULL},
                   "SECRET_FILE: /nonexistent/f: No such file");
    assert_refused((const char *[]){"URL", "u", "SECRET", "s", "SECRET_FILE", "/f", NULL},
                   "SECRET: is set, and SECRET_FILE too");
}

static void only_secrets_come_from_files(void **state)
{
    (void)state;
    sample_t sample;
    err_detail_t detail;
    const char *environment[] = {"URL", "u", "NAME_FILE", "/nonexistent", NULL};
    assert_int_equal(read_with(environment, &sample, &detail), ERR_OK);
    assert_string_equal(sample.name, "fallback");
}

/* Runs `body` in a child; its exit status, and what it printed on both outputs. */
static int run(void (*body)(void), char *said, size_t capacity)
{
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        close(out[0]);
        close(out[1]);
        body();
        fflush(NULL);
        _exit(99);
    }
    close(out[1]);
    size_t size = 0;
    ssize_t got;
    while (size + 1 < capacity && (got = read(out[0], said + size, capacity - 1 - size)) > 0)
        size += (size_t)got;
    said[size] = '\0';
    close(out[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void load(char *argument)
{
    static char program[] = "prog";
    static sample_t sample;
    char *argv[] = {program, argument, NULL};
    config_load("prog", "does things", table, &sample, argument ? 2 : 1, argv);
}

static void load_help(void)
{
    static char argument[] = "--help";
    load(argument);
}

static void load_version(void)
{
    static char argument[] = "--version";
    load(argument);
}

static void load_junk(void)
{
    static char argument[] = "--junk";
    load(argument);
}

static void load_nothing(void)
{
    unsetenv("URL");
    load(NULL);
}

static void load_well(void)
{
    setenv("URL", "u", 1);
    setenv("SECRET", "hush", 1);
    load(NULL);
}

static void help_shows_every_setting(void **state)
{
    (void)state;
    char said[8192];
    assert_int_equal(run(load_help, said, sizeof said), 0);
    for (const config_entry_t *entry = table; entry->name; entry++) {
        assert_non_null(strstr(said, entry->name));
        assert_non_null(strstr(said, entry->doc));
    }
    static const char *const parts[] = {
        "does things",        "Usage: prog", "(required)",     "(default 7)", "-1 to 100",
        "(default fallback)", "SECRET_FILE", "(default true)", "78",          "SIGTERM"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(said, parts[i]))
            fail_msg("--help does not say %s", parts[i]);
}

static void version_is_one_line(void **state)
{
    (void)state;
    char said[8192];
    assert_int_equal(run(load_version, said, sizeof said), 0);
    assert_int_equal(strncmp(said, "prog ", 5), 0);
    assert_int_equal(strcspn(said, "\n"), strlen(said) - 1);
}

static void bad_start_exits_78_with_one_line(void **state)
{
    (void)state;
    char said[8192];
    assert_int_equal(run(load_junk, said, sizeof said), EXIT_CONFIG);
    assert_non_null(strstr(said, "config: --junk: "));
    assert_int_equal(run(load_nothing, said, sizeof said), EXIT_CONFIG);
    assert_string_equal(said, "config: URL: is required and not set\n");
    assert_int_equal(run(load_well, said, sizeof said), 99);
    assert_string_equal(said, "");
}

static void ask_for_other_environment(void)
{
    (void)config_is_dev("staging");
}

static void environment_is_dev_or_prod(void **state)
{
    (void)state;
    char said[1024];
    assert_true(config_is_dev("dev"));
    assert_false(config_is_dev("prod"));
    assert_int_equal(run(ask_for_other_environment, said, sizeof said), EXIT_CONFIG);
    assert_non_null(strstr(said, "config: TIFFIN_ENV: "));
}

static void ask_for_instance(void)
{
    setenv("INSTANCE", "a b", 1);
    (void)config_instance("order");
}

static void instance_is_unique_or_as_given(void **state)
{
    (void)state;
    char said[1024], pid[24];
    unsetenv("INSTANCE");
    snprintf(pid, sizeof pid, "-%d", (int)getpid());
    const char *made = config_instance("webhook-processor");
    assert_int_equal(strncmp(made, "webhook-processor-", 18), 0);
    assert_string_equal(made + strlen(made) - strlen(pid), pid);
    setenv("INSTANCE", "order-7", 1);
    assert_string_equal(config_instance("order"), "order-7");
    assert_int_equal(run(ask_for_instance, said, sizeof said), EXIT_CONFIG);
    unsetenv("INSTANCE");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(defaults_fill_what_is_not_set),
    cmocka_unit_test(values_are_copied),
    cmocka_unit_test(missing_setting_is_named),
    cmocka_unit_test(numbers_are_whole_and_in_range),
    cmocka_unit_test(secret_may_come_from_a_file),
    cmocka_unit_test(secret_file_must_hold_one),
    cmocka_unit_test(only_secrets_come_from_files),
    cmocka_unit_test(help_shows_every_setting),
    cmocka_unit_test(version_is_one_line),
    cmocka_unit_test(bad_start_exits_78_with_one_line),
    cmocka_unit_test(environment_is_dev_or_prod),
    cmocka_unit_test(instance_is_unique_or_as_given),
};
TEST_MAIN(tests)
