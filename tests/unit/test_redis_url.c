/* test_redis_url.c - Redis URLs taken apart. */
#include <string.h>

#include "lib/redis_url.h"
#include "tests/support/test_main.h"

static void well_formed_urls_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *url, *user, *password, *host;
        int port, db;
    } cases[] = {
        {"redis://localhost", "", "", "localhost", 6379, 0},
        {"redis://h:1/", "", "", "h", 1, 0},
        {"redis://127.0.0.1:65535/15", "", "", "127.0.0.1", 65535, 15},
        {"redis://:p@h", "", "p", "h", 6379, 0},
        {"redis://u:p%40%2f%3A@h:7/2", "u", "p@/:", "h", 7, 2},
        {"redis://:a@b@h", "", "a@b", "h", 6379, 0},
        {"redis://[::1]:7000/1", "", "", "::1", 7000, 1},
        {"redis://[fe80::1]", "", "", "fe80::1", 6379, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        redis_url_t url;
        err_detail_t detail = {""};
        if (redis_url_parse(cases[i].url, &url, &detail) != ERR_OK)
            fail_msg("%s: %s", cases[i].url, detail.text);
        assert_string_equal(url.user, cases[i].user);
        assert_string_equal(url.password, cases[i].password);
        assert_string_equal(url.host, cases[i].host);
        assert_int_equal(url.port, cases[i].port);
        assert_int_equal(url.db, cases[i].db);
    }
}

static void malformed_urls_are_refused_without_repeating_them(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "",
        "localhost:6379",
        "http://h",
        "redis://",
        "redis://:6379",
        "redis://h:",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:99999999999",
        "redis://h:12x",
        "redis://h:1/x",
        "redis://h:1/-1",
        "redis://h/1/2",
        "redis://h?db=1",
        "redis://h/1?x",
        "redis://[::1",
        "redis://[::1]x",
        "redis://geheim@h",
        "redis://:geheim%4@h",
        "redis://:geheim%zz@h",
        "redis://:geheim%00@h",
        "redis://:geheim@",
    };
    redis_url_t url;
    err_detail_t detail;
    assert_int_equal(redis_url_parse(NULL, &url, &detail), ERR_BAD_CONFIG);
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        if (redis_url_parse(urls[i], &url, &detail) != ERR_BAD_CONFIG)
            fail_msg("%s was taken", urls[i]);
        assert_true(detail.text[0] != '\0');
        assert_null(strstr(detail.text, "geheim"));
    }
}

static void overlong_parts_are_refused(void **state)
{
    (void)state;
    char text[1000] = "redis://:";
    memset(text + strlen(text), 'p', 300);
    strcat(text, "@h");
    redis_url_t url;
    assert_int_equal(redis_url_parse(text, &url, NULL), ERR_BAD_CONFIG);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(well_formed_urls_are_taken_apart),
    cmocka_unit_test(malformed_urls_are_refused_without_repeating_them),
    cmocka_unit_test(overlong_parts_are_refused),
};

TEST_MAIN(tests)
