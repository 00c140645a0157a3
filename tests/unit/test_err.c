/* test_err.c - the table of errors: what callers, the wire and the edge rely on. */
#include "tests/support/test_main.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"

static void every_error_has_its_row(void **state)
{
    (void)state;
#define ERROR(name, number, http_status, retryable, title)      \
    assert_string_equal(err_name(ERR_##name), #name);           \
    assert_string_equal(err_title(ERR_##name), title);          \
    assert_int_equal(err_http_status(ERR_##name), http_status); \
    assert_int_equal(err_retryable(ERR_##name), retryable);     \
    assert_int_equal(err_from_number(number), ERR_##name);
#include "lib/errors.def"
#undef ERROR
}

static void number_that_is_none_is_internal(void **state)
{
    (void)state;
    assert_int_equal(err_from_number(9999), ERR_INTERNAL);
    assert_int_equal(err_from_number(UINT32_MAX), ERR_INTERNAL);
    assert_string_equal(err_name((err_t)9999), "INTERNAL");
    assert_int_equal(err_http_status((err_t)9999), 500);
}

static void detail_is_cut_and_may_be_absent(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_BUSY, "%s", "nobody looks"), ERR_BUSY);
    char longer[1000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    err_detail_t detail;
    assert_int_equal(err_set(&detail, ERR_WIRE, "%s", longer), ERR_WIRE);
    assert_int_equal(strlen(detail.text), sizeof detail.text - 1);
}

static err_t stops_at(int *steps)
{
    ++*steps;
    TRY(ERR_OK);
    ++*steps;
    TRY(ERR_BUSY);
    ++*steps;
    return ERR_OK;
}

static void try_returns_the_first_error(void **state)
{
    (void)state;
    int steps = 0;
    assert_int_equal(stops_at(&steps), ERR_BUSY);
    assert_int_equal(steps, 2);
}

static void broken_promise_is_logged_and_aborts(void **state)
{
    (void)state;
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(out[1], STDERR_FILENO);
        CHECK(1 + 1 == 3);
        _exit(0);
    }
    close(out[1]);
    char said[1024] = "";
    size_t size = 0;
    ssize_t got;
    while ((got = read(out[0], said + size, sizeof said - 1 - size)) > 0)
        size += (size_t)got;
    close(out[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, "1 + 1 == 3"));
    assert_non_null(strstr(said, "test_err.c"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_error_has_its_row),
    cmocka_unit_test(number_that_is_none_is_internal),
    cmocka_unit_test(detail_is_cut_and_may_be_absent),
    cmocka_unit_test(try_returns_the_first_error),
    cmocka_unit_test(broken_promise_is_logged_and_aborts),
};
TEST_MAIN(tests)
