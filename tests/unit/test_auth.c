/* test_auth.c - API keys: which file is taken, and who may then call what. */
#include "gateway/auth.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/test_main.h"

/* SHA-256 of "reader-key", "writer-key", "both-key", "admin-key". */
#define READER "ec4408df15da46b328f6f3246fa723d0aa6cb0f0a0dd9c4626080ab1b02aa3b2"
#define WRITER "3aec1946afb01344ae0065f3b123820a2144e455c13e5816dbd439e6634f7f26"
#define BOTH "43b177cef1898ab7293e8c96f167bc4485a8496641426233e44deff4cbe42f10"
#define ADMIN "69a5265506c94c77b787a7d7377b7685a0eff82e33920a71e7ee22cd6154953e"

static err_t load(const char *content, size_t size, auth_t **auth, err_detail_t *detail)
{
    char path[] = "/tmp/tiffin-auth-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, size), (ssize_t)size);
    close(fd);
    err_t err = auth_load(path, auth, detail);
    unlink(path);
    return err;
}

static const char keys[] = "# who calls us\n"
                           "\n"
                           "kitchen read " READER "\n"
                           "  shop\twrite\t" WRITER "  \r\n"
                           "till read,write " BOTH "\n"
                           "office admin " ADMIN; /* no newline at the end */

static int load_keys(void **state)
{
    err_detail_t detail = {{0}};
    auth_t *auth;
    err_t err = load(keys, sizeof keys - 1, &auth, &detail);
    if (err != ERR_OK)
        fail_msg("%s", detail.text);
    *state = auth;
    return 0;
}

static int unload_keys(void **state)
{
    auth_t *auth = *state;
    auth_destroy(&auth);
    assert_null(auth);
    return 0;
}

static void a_scope_gives_what_it_says_and_admin_gives_all(void **state)
{
    const auth_t *auth = *state;
    static const struct {
        const char *header;
        auth_scope_t needed;
        err_t err;
    } rows[] = {
        {"Bearer reader-key", AUTH_READ, ERR_OK},
        {"Bearer reader-key", AUTH_WRITE, ERR_FORBIDDEN},
        {"Bearer reader-key", AUTH_ADMIN, ERR_FORBIDDEN},
        {"Bearer writer-key", AUTH_WRITE, ERR_OK},
        {"Bearer writer-key", AUTH_READ, ERR_FORBIDDEN},
        {"Bearer both-key", AUTH_READ, ERR_OK},
        {"Bearer both-key", AUTH_WRITE, ERR_OK},
        {"Bearer both-key", AUTH_ADMIN, ERR_FORBIDDEN},
        {"Bearer admin-key", AUTH_READ, ERR_OK},
        {"Bearer admin-key", AUTH_WRITE, ERR_OK},
        {"Bearer admin-key", AUTH_ADMIN, ERR_OK},
    };
    assert_true(auth_has_keys(auth));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(auth_check_header(auth, rows[i].header, rows[i].needed), rows[i].err);
}

static void no_key_or_an_unknown_one_is_unauthenticated(void **state)
{
    const auth_t *auth = *state;
    char long_header[1024] = "Bearer ";
    memset(long_header + 7, 'x', sizeof long_header - 8);
    long_header[sizeof long_header - 1] = '\0';
    const char *const headers[] = {NULL,
                                   "",
                                   "Bearer",
                                   "Bearer ",
                                   "reader-key",
                                   "Basic reader-key",
                                   "Bearerreader-key",
                                   "Bearer reader-ke",
                                   "Bearer reader-keyx",
                                   "Bearer reader-key ",
                                   "Bearer " READER,
                                   long_header};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        assert_int_equal(auth_check_header(auth, headers[i], AUTH_READ), ERR_UNAUTHENTICATED);
}

static void the_scheme_is_taken_in_either_case(void **state)
{
    assert_int_equal(auth_check_header(*state, "bearer  reader-key", AUTH_READ), ERR_OK);
}

static void a_caller_is_named_by_its_key(void **state)
{
    assert_string_equal(auth_caller_header(*state, "Bearer writer-key"), "shop");
    assert_string_equal(auth_caller_header(*state, "Bearer admin-key"), "office");
    assert_string_equal(auth_caller_header(*state, "Bearer nobody's-key"), "");
    assert_string_equal(auth_caller_header(*state, NULL), "");
}

static void what_needs_no_scope_needs_no_key(void **state)
{
    assert_int_equal(auth_check_header(*state, NULL, AUTH_NONE), ERR_OK);
}

static void without_a_file_everybody_may_do_everything(void **state)
{
    (void)state;
    auth_t *auth;
    err_detail_t detail = {{0}};
    assert_int_equal(auth_load(NULL, &auth, &detail), ERR_OK);
    assert_false(auth_has_keys(auth));
    assert_int_equal(auth_check_header(auth, NULL, AUTH_ADMIN), ERR_OK);
    assert_string_equal(auth_caller_header(auth, "Bearer writer-key"), "");
    auth_destroy(&auth);
}

static void a_bad_line_is_named_and_nothing_is_loaded(void **state)
{
    (void)state;
#define FIRST "kitchen read " READER "\n"
    static const char *const contents[] = {
        FIRST "shop\n",
        FIRST "shop write\n",
        FIRST "shop " WRITER "\n",
        FIRST "shop write " WRITER " more\n",
        FIRST "shop wrote " WRITER "\n",
        FIRST "shop write, " WRITER "\n",
        FIRST "shop ,write " WRITER "\n",
        FIRST "shop Write " WRITER "\n",
        FIRST "shop write 0" WRITER "\n",
        FIRST "shop write zd711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\n",
        FIRST "shop write " READER "\n",
    };
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        auth_t *auth;
        err_detail_t detail = {{0}};
        err_t err = load(contents[i], strlen(contents[i]), &auth, &detail);
        if (err != ERR_BAD_CONFIG || auth || !strstr(detail.text, "line 2 "))
            fail_msg("%s: %s %s", contents[i], err_name(err), detail.text);
    }
}

static void a_line_that_is_too_long_or_holds_nul_is_refused(void **state)
{
    (void)state;
    char content[2000];
    memset(content, 'x', sizeof content);
    auth_t *auth;
    err_detail_t detail = {{0}};
    assert_int_equal(load(content, sizeof content, &auth, &detail), ERR_BAD_CONFIG);
    assert_non_null(strstr(detail.text, "line 1 "));
    static const char nul[] = "shop\0 write " WRITER "\n";
    assert_int_equal(load(nul, sizeof nul - 1, &auth, &detail), ERR_BAD_CONFIG);
}

static void a_file_without_a_key_or_no_file_is_refused(void **state)
{
    (void)state;
    auth_t *auth;
    err_detail_t detail = {{0}};
    assert_int_equal(load("# none\n", 7, &auth, &detail), ERR_BAD_CONFIG);
    assert_int_equal(load("", 0, &auth, &detail), ERR_BAD_CONFIG);
    assert_int_equal(auth_load("/nonexistent/keys", &auth, &detail), ERR_BAD_CONFIG);
    assert_non_null(strstr(detail.text, "/nonexistent/keys"));
    assert_int_equal(auth_load("/", &auth, &detail), ERR_BAD_CONFIG);
    assert_null(auth);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_scope_gives_what_it_says_and_admin_gives_all, load_keys,
                                    unload_keys),
    cmocka_unit_test_setup_teardown(no_key_or_an_unknown_one_is_unauthenticated, load_keys,
                                    unload_keys),
    cmocka_unit_test_setup_teardown(the_scheme_is_taken_in_either_case, load_keys, unload_keys),
    cmocka_unit_test_setup_teardown(a_caller_is_named_by_its_key, load_keys, unload_keys),
    cmocka_unit_test_setup_teardown(what_needs_no_scope_needs_no_key, load_keys, unload_keys),
    cmocka_unit_test(without_a_file_everybody_may_do_everything),
    cmocka_unit_test(a_bad_line_is_named_and_nothing_is_loaded),
    cmocka_unit_test(a_line_that_is_too_long_or_holds_nul_is_refused),
    cmocka_unit_test(a_file_without_a_key_or_no_file_is_refused),
};
TEST_MAIN(tests)
