/* test_tap_print.c - the lines of the tap, its command line, and frames that are not what they
 * should be. */
#include "tests/support/test_main.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "services/tap/tap_options.h"
#include "services/tap/tap_print.h"
#include "tests/support/tap_frames.h"

#define FIRST_ID "01900000-0000-7000-8000-000000000001"

static void read_frames(const tap_frames_t *frames, tap_message_t *message)
{
    tap_message_read(message, str_of(frames->topic),
                     (str_t){(const char *)frames->record, (uint32_t)frames->record_size},
                     (str_t){(const char *)frames->body, (uint32_t)frames->body_size});
}

static void assert_human(tap_frames_t frames, int64_t previous_us, bool color, const char *expected)
{
    tap_message_t message;
    buf_t line = {0};
    read_frames(&frames, &message);
    tap_print_human(&message, previous_us, color, &line);
    assert_string_equal(line.data, expected);
    buf_free(&line);
}

static int in_utc(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    return 0;
}

/* ---- for people ---- */

static void lines_are_aligned(void **state)
{
    (void)state;
    assert_human(tap_order_create(1, 45000), 0, false,
                 "00:00:00.123          → order.create                     "
                 " order_id=" FIRST_ID " user_id=\"***\" amount=45000 currency=\"INR\"\n");
    assert_human(tap_order_created(1, 3850), INT64_C(1771632000119456), false,
                 "00:00:00.123   +0.004 ← order.create                3.9ms"
                 " order_id=" FIRST_ID
                 " status=\"PENDING\" user_id=\"***\" amount=45000 currency=\"INR\""
                 " created_at_us=1 expires_at_us=2 @order-1\n");
    assert_human(tap_attempt(1), INT64_C(1771632001123456), false,
                 "00:00:00.123   -1.000 • router.attempt                   "
                 " payment_id=" FIRST_ID " order_id=" FIRST_ID " attempt_id=" FIRST_ID
                 " psp=\"Juspay\" outcome=\"OPEN\"\n");
}

static void failures_say_which(void **state)
{
    (void)state;
    assert_human(tap_order_failed(1, ERR_BUSY), 0, false,
                 "00:00:00.123          ← order.create                0.9ms BUSY detail=\"no\"\n");
}

static void colors_end_where_they_began(void **state)
{
    (void)state;
    assert_human(tap_order_failed(1, ERR_BUSY), 0, true,
                 "\x1b[2m00:00:00.123         \x1b[0m \x1b[31m← order.create             \x1b[0m"
                 "   0.9ms BUSY detail=\"no\"\n");
}

static void repeated_requests_say_so(void **state)
{
    (void)state;
    tap_record_t record = tap_record_example("REQUEST", 1);
    record.attempt = 2;
    order_get_t get = {.order_id = tap_request_id(1)};
    assert_human(tap_frames_make("order.get", record, MSG_order_get, &get), 0, false,
                 "00:00:00.123          → order.get                        "
                 " attempt=2 order_id=" FIRST_ID "\n");
}

static void broken_bodies_say_why(void **state)
{
    (void)state;
    tap_frames_t frames = tap_order_create(1, 45000);
    frames.body_size = 1;
    assert_human(frames, 0, false,
                 "00:00:00.123          → order.create                     "
                 " BROKEN order.create: key: not a field number, or cut off\n");
    frames = tap_frames_make("order.new", tap_record_example("REQUEST", 1), 999, NULL);
    assert_human(frames, 0, false,
                 "00:00:00.123          → order.new                        "
                 " BROKEN message 999: unknown\n");
}

static void messages_without_a_body_are_whole(void **state)
{
    (void)state;
    tap_frames_t frames = tap_frames_make("order.get", tap_record_example("REPLY", 1), 0, NULL);
    assert_human(frames, 0, false, "00:00:00.123          ← order.get                   0.0ms\n");
}

static void broken_records_show_the_topic_alone(void **state)
{
    (void)state;
    tap_frames_t frames = tap_order_create(1, 45000);
    frames.record_size = 0;
    assert_human(frames, 0, false,
                 "00:00:00.000          ? order.create                     "
                 " BROKEN gateway.tap: body: not a map\n");
}

static void no_peer_steers_the_terminal(void **state)
{
    (void)state;
    tap_record_t record = tap_record_example("REPLY", 1);
    record.instance = STR_LITERAL("a\x1b[2Jé b");
    tap_frames_t frames = tap_frames_make("order.get", record, 0, NULL);
    assert_human(frames, 0, false,
                 "00:00:00.123          ← order.get                   0.0ms @a?[2J???b\n");
    frames.topic = "order.\x1b[2J";
    assert_human(frames, 0, false,
                 "00:00:00.000          ?                                  "
                 " BROKEN the topic is no topic\n");
}

/* ---- for programs ---- */

static json_t *parse_json_line(tap_frames_t frames)
{
    tap_message_t message;
    buf_t line = {0};
    read_frames(&frames, &message);
    tap_print_json(&message, &line);
    assert_ptr_equal(memchr(line.data, '\n', line.size), line.data + line.size - 1);
    json_t *parsed = json_loadb(line.data, line.size, 0, NULL);
    assert_non_null(parsed);
    buf_free(&line);
    return parsed;
}

static void assert_member(const json_t *object, const char *key, const char *expected)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (expected == NULL)
        assert_null(text);
    else
        assert_string_equal(text, expected);
}

static void json_names_everything(void **state)
{
    (void)state;
    json_t *line = parse_json_line(tap_order_created(1, 3850));
    assert_member(line, "at", "2026-02-21T00:00:00.123456Z");
    assert_member(line, "gateway", "gateway-1");
    assert_member(line, "topic", "order.create");
    assert_member(line, "kind", "REPLY");
    assert_member(line, "message", "order.created");
    assert_member(line, "instance", "order-1");
    assert_member(line, "request_id", FIRST_ID);
    assert_member(line, "status", "OK");
    assert_int_equal(json_integer_value(json_object_get(line, "took_us")), 3850);
    assert_member(json_object_get(line, "body"), "order_id", FIRST_ID);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(line, "body"), "amount")),
                     45000);
    json_decref(line);
}

static void json_has_a_status_on_replies_only(void **state)
{
    (void)state;
    json_t *request = parse_json_line(tap_order_create(1, 45000));
    assert_member(request, "status", NULL);
    assert_null(json_object_get(request, "took_us"));
    json_decref(request);
    json_t *failed = parse_json_line(tap_order_failed(1, ERR_BUSY));
    assert_member(failed, "status", "BUSY");
    assert_member(failed, "message", "bus.error");
    json_decref(failed);
}

static void json_of_a_broken_body_has_the_reason_instead(void **state)
{
    (void)state;
    tap_frames_t frames = tap_order_create(1, 45000);
    frames.body_size = 0;
    json_t *line = parse_json_line(frames);
    assert_member(line, "broken", "order.create: body: not a map");
    assert_null(json_object_get(line, "body"));
    json_decref(line);
}

static void losses_are_lines_of_their_own(void **state)
{
    (void)state;
    buf_t line = {0};
    tap_print_lost(STR_LITERAL("gateway-1"), 412, false, false, &line);
    assert_string_equal(line.data, "-- 412 lost --\n");
    buf_clear(&line);
    tap_print_lost(STR_LITERAL("gateway-1"), 412, true, false, &line);
    assert_string_equal(line.data, "{\"gateway\":\"gateway-1\",\"lost\":412}\n");
    buf_free(&line);
}

/* ---- command line ---- */

static err_t parse(tap_options_t *options, err_detail_t *detail, const char *const *arguments)
{
    static char copies[16][64];
    char *argv[17] = {copies[0]};
    int argc = 1;
    for (; arguments[argc - 1] != NULL; argc++) {
        snprintf(copies[argc], sizeof copies[argc], "%s", arguments[argc - 1]);
        argv[argc] = copies[argc];
    }
    return tap_options_parse(argc, argv, options, detail);
}

#define PARSE(...) parse(&options, &detail, (const char *const[]){__VA_ARGS__, NULL})

static void options_may_stand_anywhere(void **state)
{
    (void)state;
    tap_options_t options;
    err_detail_t detail;
    assert_int_equal(
        PARSE("order.*", "--json", "router.*", "--count", "3", "--no-color", "--connect=tcp://h:1"),
        ERR_OK);
    assert_int_equal(options.pattern_count, 2);
    assert_string_equal(options.patterns[1], "router.*");
    assert_true(options.json && options.no_color && !options.expect);
    assert_true(options.count == 3);
    assert_string_equal(options.connect, "tcp://h:1");
}

static void expect_wants_one_message_unless_told(void **state)
{
    (void)state;
    tap_options_t options;
    err_detail_t detail;
    assert_int_equal(PARSE("--expect", "order.create"), ERR_OK);
    assert_true(options.expect && options.count == 1 && options.within_ms == TAP_WITHIN_DEFAULT_MS);
    assert_string_equal(options.patterns[0], "order.create");
    assert_int_equal(PARSE("--expect", "order.*", "--within", "2s", "--count", "5"), ERR_OK);
    assert_true(options.count == 5 && options.within_ms == 2000);
}

static void durations_have_a_unit(void **state)
{
    (void)state;
    int64_t duration_ms = 0;
    assert_true(tap_duration_parse("200ms", &duration_ms) && duration_ms == 200);
    assert_true(tap_duration_parse("2s", &duration_ms) && duration_ms == 2000);
    assert_true(tap_duration_parse("0ms", &duration_ms) && duration_ms == 0);
    static const char *const wrong[] = {"",     "2",    "s",         "-1s",
                                        "+1s",  " 1s",  "2 s",       "2m",
                                        "1.5s", "2sec", "99999999s", "99999999999999999999ms"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(tap_duration_parse(wrong[i], &duration_ms));
}

static void bad_options_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *arguments[6];
        const char *named;
    } cases[] = {
        {{"--colour"}, "--colour"},
        {{"-x"}, "-x"},
        {{"--where"}, "--where"},
        {{"--where", "amount"}, "--where"},
        {{"--where", "=1"}, "--where"},
        {{"--slow", "fast"}, "--slow"},
        {{"--count", "0"}, "--count"},
        {{"--count", "many"}, "--count"},
        {{"--within", "2s"}, "--within"},
        {{"--expect", "order.*", "--within", "0s"}, "--within"},
        {{"--expect", "order.*", "router.*"}, "--expect"},
        {{"--expect", "order.*", "--expect", "router.*"}, "--expect"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tap_options_t options;
        err_detail_t detail;
        assert_int_equal(parse(&options, &detail, cases[i].arguments), ERR_BAD_CONFIG);
        assert_non_null(strstr(detail.text, cases[i].named));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(lines_are_aligned, in_utc, NULL),
    cmocka_unit_test_setup_teardown(failures_say_which, in_utc, NULL),
    cmocka_unit_test_setup_teardown(colors_end_where_they_began, in_utc, NULL),
    cmocka_unit_test_setup_teardown(repeated_requests_say_so, in_utc, NULL),
    cmocka_unit_test_setup_teardown(broken_bodies_say_why, in_utc, NULL),
    cmocka_unit_test_setup_teardown(messages_without_a_body_are_whole, in_utc, NULL),
    cmocka_unit_test_setup_teardown(broken_records_show_the_topic_alone, in_utc, NULL),
    cmocka_unit_test_setup_teardown(no_peer_steers_the_terminal, in_utc, NULL),
    cmocka_unit_test(json_names_everything),
    cmocka_unit_test(json_has_a_status_on_replies_only),
    cmocka_unit_test(json_of_a_broken_body_has_the_reason_instead),
    cmocka_unit_test(losses_are_lines_of_their_own),
    cmocka_unit_test(options_may_stand_anywhere),
    cmocka_unit_test(expect_wants_one_message_unless_told),
    cmocka_unit_test(durations_have_a_unit),
    cmocka_unit_test(bad_options_are_named),
};

TEST_MAIN(tests)
