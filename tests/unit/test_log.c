/* test_log.c - log lines as they arrive on standard error. */
#include "tests/support/test_main.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

/* Standard error goes into a file between capture_begin and capture_end. */
typedef struct capture {
    FILE *file;
    int saved;
    size_t size;
    char text[256 * 1024];
} capture_t;

static capture_t capture;

static void capture_begin(void)
{
    capture.file = tmpfile();
    assert_non_null(capture.file);
    capture.saved = dup(STDERR_FILENO);
    /* Lines of several threads must not overwrite one another, as they would not on a terminal or
     * pipe. */
    fcntl(fileno(capture.file), F_SETFL, O_APPEND);
    dup2(fileno(capture.file), STDERR_FILENO);
}

static const char *capture_end(void)
{
    dup2(capture.saved, STDERR_FILENO);
    close(capture.saved);
    rewind(capture.file);
    capture.size = fread(capture.text, 1, sizeof capture.text - 1, capture.file);
    capture.text[capture.size] = '\0';
    fclose(capture.file);
    return capture.text;
}

static int set_up(void **state)
{
    (void)state;
    log_init("order", "order-1", LOG_LEVEL_INFO);
    return 0;
}

static void line_carries_names_context_and_pairs(void **state)
{
    (void)state;
    log_ctx_t ctx = {.request_id = "r1", .traceparent = "00-ab-cd-01"};
    capture_begin();
    log_info(&ctx, "orders created", "count=%d took_ms=%d", 12, 3);
    const char *text = capture_end();
    assert_non_null(strstr(text,
                           "Z level=info service=order instance=order-1 event=\"orders created\" "
                           "request_id=r1 traceparent=00-ab-cd-01 count=12 took_ms=3\n"));
    assert_int_equal(strncmp(text, "ts=2", 4), 0);
}

static void context_and_pairs_may_be_missing(void **state)
{
    (void)state;
    log_ctx_t ctx = {0};
    capture_begin();
    log_warn(NULL, "started", "");
    log_error(&ctx, "stopped", "");
    const char *text = capture_end();
    assert_non_null(strstr(text, "event=\"started\"\n"));
    assert_non_null(strstr(text, "event=\"stopped\"\n"));
}

static void lesser_levels_are_silent(void **state)
{
    (void)state;
    capture_begin();
    log_debug(NULL, "detail", "");
    assert_string_equal(capture_end(), "");
    log_init("order", "order-1", LOG_LEVEL_ERROR);
    capture_begin();
    log_warn(NULL, "hm", "");
    log_error(NULL, "ouch", "");
    const char *text = capture_end();
    assert_null(strstr(text, "hm"));
    assert_non_null(strstr(text, "ouch"));
}

static void levels_are_read_from_their_names(void **state)
{
    (void)state;
    log_level_t level;
    assert_true(log_level_parse("debug", &level) && level == LOG_LEVEL_DEBUG);
    assert_true(log_level_parse("error", &level) && level == LOG_LEVEL_ERROR);
    assert_false(log_level_parse("loud", &level));
    assert_false(log_level_parse("", &level));
}

static void value_cannot_forge_a_line(void **state)
{
    (void)state;
    char quoted[128];
    capture_begin();
    log_info(NULL, "got\nts=forged", "name=%s raw=%s",
             log_quote(quoted, sizeof quoted, "a \"b\"\nts=forged\x01"), "x\nts=forged");
    const char *text = capture_end();
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_non_null(strstr(text, "name=\"a \\\"b\\\"\\nts=forged\\x01\""));
}

static void quoted_value_is_cut_inside_its_quotes(void **state)
{
    (void)state;
    char small[8];
    assert_string_equal(log_quote(small, sizeof small, "abcdefghij"), "\"abcde\"");
    assert_string_equal(log_quote(small, sizeof small, "abcd\n"), "\"abcd\"");
    assert_string_equal(log_quote(small, 3, "abc"), "\"\"");
    assert_string_equal(log_quote(small, 2, "abc"), "");
    assert_string_equal(log_quote(small, sizeof small, NULL), "\"\"");
}

static void line_that_is_too_long_is_cut_and_ends(void **state)
{
    (void)state;
    static char huge[20000];
    memset(huge, 'x', sizeof huge - 1);
    capture_begin();
    log_info(NULL, "huge", "value=%s", huge);
    const char *text = capture_end();
    assert_in_range(strlen(text), 1000, 4096);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

enum { THREADS = 4, LINES = 200 };

static void *log_many(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < LINES; i++)
        log_info(NULL, "line", "i=%u end=yes", i);
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    capture_begin();
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, log_many, NULL);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    char *text = capture.text;
    (void)capture_end();
    unsigned lines = 0;
    for (char *save, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        lines++;
        assert_int_equal(strncmp(line, "ts=", 3), 0);
        assert_string_equal(line + strlen(line) - 8, " end=yes");
    }
    assert_int_equal(lines, THREADS * LINES);
}

static void repeated_lines_are_held_back_and_counted(void **state)
{
    (void)state;
    log_limit_t limit = {0};
    uint32_t held_back = 99;
    assert_true(log_limit_pass(&limit, &held_back));
    assert_int_equal(held_back, 0);
    for (unsigned i = 0; i < 5; i++)
        assert_false(log_limit_pass(&limit, &held_back));
    limit.next_mono_ms = 0; /* as if the second had passed */
    assert_true(log_limit_pass(&limit, &held_back));
    assert_int_equal(held_back, 5);
    limit.next_mono_ms = 0;
    assert_true(log_limit_pass(&limit, &held_back));
    assert_int_equal(held_back, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(line_carries_names_context_and_pairs, set_up, NULL),
    cmocka_unit_test_setup_teardown(context_and_pairs_may_be_missing, set_up, NULL),
    cmocka_unit_test_setup_teardown(lesser_levels_are_silent, set_up, NULL),
    cmocka_unit_test(levels_are_read_from_their_names),
    cmocka_unit_test_setup_teardown(value_cannot_forge_a_line, set_up, NULL),
    cmocka_unit_test(quoted_value_is_cut_inside_its_quotes),
    cmocka_unit_test_setup_teardown(line_that_is_too_long_is_cut_and_ends, set_up, NULL),
    cmocka_unit_test_setup_teardown(lines_of_threads_do_not_mix, set_up, NULL),
    cmocka_unit_test(repeated_lines_are_held_back_and_counted),
};
TEST_MAIN(tests)
