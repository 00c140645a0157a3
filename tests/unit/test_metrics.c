/* test_metrics.c - the text parses as the exposition format asks, counts what it was told, and is
 * bounded whatever it was told. */
#include "gateway/metrics.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/test_main.h"

/* ---- a reader of the exposition format, 0.0.4 ---- */

enum { SAMPLES_MAX = 20000 };

typedef struct text_reader {
    char family[128]; /* of the last TYPE line */
    bool histogram;
    const char *samples[SAMPLES_MAX]; /* "name{labels}" of each, in the text */
    size_t sizes[SAMPLES_MAX];
    size_t count;
} text_reader_t;

static bool is_name(char c, bool first)
{
    return isalpha((unsigned char)c) || c == '_' || c == ':' ||
           (!first && isdigit((unsigned char)c));
}

static const char *read_name(const char *at)
{
    assert_true(is_name(*at, true));
    while (is_name(*at, false))
        at++;
    return at;
}

/* {a="x",b="y"}; escapes are \\, \" and \n. */
static const char *read_labels(const char *at)
{
    do {
        at = read_name(at + 1);
        assert_memory_equal(at, "=\"", 2);
        for (at += 2; *at != '"'; at++) {
            assert_true(*at != '\0' && *at != '\n');
            if (*at == '\\')
                assert_non_null(strchr("\\\"n", *++at));
        }
        at++;
    } while (*at == ',');
    assert_int_equal(*at, '}');
    return at + 1;
}

static void read_sample(text_reader_t *reader, const char *line)
{
    const char *name_end = read_name(line);
    size_t family = strlen(reader->family);
    assert_memory_equal(line, reader->family, family);
    str_t suffix = {line + family, (uint32_t)((size_t)(name_end - line) - family)};
    assert_true(reader->histogram ? str_is(suffix, "_bucket") || str_is(suffix, "_sum") ||
                                        str_is(suffix, "_count")
                                  : suffix.size == 0);
    const char *end = *name_end == '{' ? read_labels(name_end) : name_end;
    assert_int_equal(*end, ' ');
    char *number_end;
    assert_true(strtod(end + 1, &number_end) >= 0);
    assert_int_equal(*number_end, '\n');
    assert_true(reader->count < SAMPLES_MAX);
    reader->samples[reader->count] = line;
    reader->sizes[reader->count++] = (size_t)(end - line);
}

static void read_comment(text_reader_t *reader, const char *line)
{
    char name[128], type[16];
    if (sscanf(line, "# TYPE %127s %15s", name, type) == 2) {
        assert_string_equal(name, reader->family);
        reader->histogram = strcmp(type, "histogram") == 0;
        assert_true(reader->histogram || strcmp(type, "counter") == 0 ||
                    strcmp(type, "gauge") == 0);
        return;
    }
    assert_int_equal(sscanf(line, "# HELP %127s", name), 1);
    memcpy(reader->family, name, sizeof name);
}

static int compare_texts(const void *a, const void *b)
{
    const str_t *left = a, *right = b;
    size_t size = left->size < right->size ? left->size : right->size;
    int order = memcmp(left->data, right->data, size);
    return order != 0 ? order : (left->size > right->size) - (left->size < right->size);
}

static void assert_each_once(const text_reader_t *reader)
{
    str_t *sorted = calloc(reader->count + 1, sizeof *sorted);
    assert_non_null(sorted);
    for (size_t i = 0; i < reader->count; i++)
        sorted[i] = (str_t){reader->samples[i], (uint32_t)reader->sizes[i]};
    qsort(sorted, reader->count, sizeof *sorted, compare_texts);
    for (size_t i = 1; i < reader->count; i++)
        if (str_equal(sorted[i - 1], sorted[i]))
            fail_msg("twice: %.*s", STR_ARG(sorted[i]));
    free(sorted);
}

/* Fails unless the whole text is well-formed; returns how many samples it has. */
static size_t read_text(const buf_t *text)
{
    text_reader_t *reader = calloc(1, sizeof *reader);
    assert_non_null(reader);
    assert_false(text->overflow);
    assert_true(utf8_valid(text->data, text->size));
    assert_int_equal(text->data[text->size - 1], '\n');
    for (const char *line = text->data; *line; line = strchr(line, '\n') + 1) {
        if (*line == '#')
            read_comment(reader, line);
        else
            read_sample(reader, line);
    }
    assert_each_once(reader);
    size_t count = reader->count;
    free(reader);
    return count;
}

/* ---- what must hold ---- */

static void print(metrics_t *metrics, const metrics_gauges_t *gauges, buf_t *text)
{
    static const metrics_gauges_t none;
    metrics_print(metrics, gauges ? gauges : &none, text);
    (void)read_text(text);
}

static void assert_line(const buf_t *text, const char *line)
{
    char *wanted = calloc(1, strlen(line) + 3);
    assert_non_null(wanted);
    wanted[0] = wanted[strlen(line) + 1] = '\n';
    memcpy(wanted + 1, line, strlen(line));
    if (!strstr(text->data, wanted))
        fail_msg("no line: %s", line);
    free(wanted);
}

static void replies_and_events_are_counted_by_who_sent_them(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_new();
    metrics_reply(metrics, "order", "order-1", "order.create", ERR_OK, 1500);
    metrics_reply(metrics, "order", "order-1", "order.create", ERR_OK, 700);
    metrics_reply(metrics, "order", "order-2", "order.create", ERR_OK, 1);
    metrics_reply(metrics, "order", "order-1", "order.get", ERR_ORDER_NOT_FOUND, 1);
    metrics_reply(metrics, "order", "", "order.get", ERR_NO_WORKER, 0);
    metrics_event(metrics, "router", "router-1", "router.attempt");
    buf_t text = {0};
    print(metrics, NULL, &text);
#define REQUESTS(service, instance, message, outcome)                                            \
    "tiffin_requests_total{service=\"" service "\",instance=\"" instance "\",message=\"" message \
    "\",outcome=\"" outcome "\"}"
    assert_line(&text, REQUESTS("order", "order-1", "order.create", "ok") " 2");
    assert_line(&text, REQUESTS("order", "order-2", "order.create", "ok") " 1");
    assert_line(&text, REQUESTS("order", "order-1", "order.get", "order_not_found") " 1");
    assert_line(&text, REQUESTS("order", "", "order.get", "no_worker") " 1");
    assert_line(&text, REQUESTS("router", "router-1", "router.attempt", "event") " 1");
#define DURATION(rest) "tiffin_request_duration_seconds" rest
    assert_line(&text, DURATION("_bucket{message=\"order.create\",le=\"0.001\"} 2"));
    assert_line(&text, DURATION("_bucket{message=\"order.create\",le=\"0.0025\"} 3"));
    assert_line(&text, DURATION("_bucket{message=\"order.create\",le=\"+Inf\"} 3"));
    assert_line(&text, DURATION("_sum{message=\"order.create\"} 0.002201"));
    assert_line(&text, DURATION("_count{message=\"order.create\"} 3"));
    buf_free(&text);
    metrics_destroy(&metrics);
    assert_null(metrics);
}

static void http_answers_are_counted_by_route_and_those_of_none_together(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_new();
    metrics_http(metrics, "GET", "/orders/{id}", 200, 400);
    metrics_http(metrics, "GET", "/orders/{id}", 200, 11000000);
    metrics_http(metrics, "BREW", NULL, 404, -5);
    buf_t text = {0};
    print(metrics, NULL, &text);
    assert_line(&text, "tiffin_http_requests_total{method=\"GET\",route=\"/orders/{id}\","
                       "status=\"200\"} 2");
    assert_line(&text, "tiffin_http_requests_total{method=\"other\",route=\"unmatched\","
                       "status=\"404\"} 1");
#define HTTP_DURATION(rest) "tiffin_http_request_duration_seconds" rest
    assert_line(&text, HTTP_DURATION("_bucket{route=\"/orders/{id}\",le=\"10\"} 1"));
    assert_line(&text, HTTP_DURATION("_bucket{route=\"/orders/{id}\",le=\"+Inf\"} 2"));
    assert_line(&text, HTTP_DURATION("_sum{route=\"/orders/{id}\"} 11.0004"));
    assert_line(&text, HTTP_DURATION("_sum{route=\"unmatched\"} 0"));
    buf_free(&text);
    metrics_destroy(&metrics);
}

static void remembered_answers_are_counted(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_new();
    buf_t text = {0};
    print(metrics, NULL, &text);
    assert_line(&text, "tiffin_idempotent_replays_total 0");
    metrics_replay(metrics);
    metrics_replay(metrics);
    buf_clear(&text);
    print(metrics, NULL, &text);
    assert_line(&text, "tiffin_idempotent_replays_total 2");
    buf_free(&text);
    metrics_destroy(&metrics);
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_new();
    metrics_event(metrics, "order", "a\"b\\c\nd}", "order.x");
    metrics_event(metrics, "order", "\xc3\xa9", "order.x");
    metrics_event(metrics, "order", "\xff\xc3", "order.x");
    buf_t text = {0};
    print(metrics, NULL, &text);
    assert_line(&text, REQUESTS("order", "a\\\"b\\\\c\\nd}", "order.x", "event") " 1");
    assert_line(&text, REQUESTS("order", "\xc3\xa9", "order.x", "event") " 1");
    assert_line(&text, REQUESTS("order", "??", "order.x", "event") " 1");
    buf_free(&text);
    metrics_destroy(&metrics);
}

static void workers_are_shown_and_a_service_without_any_is_zero(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_new();
    const hub_worker_info_t workers[] = {
        {.service = "order", .instance = "order-1", .in_flight = 3},
        {.service = "order", .instance = "order-2"},
        {.service = "notifier", .instance = "notifier-1", .in_flight = 1},
        {.service = "notifier", .instance = "notifier-1", .in_flight = 4}, /* took its name */
    };
    const metrics_gauges_t gauges = {
        .workers = workers,
        .worker_count = 4,
        .hub_requests = 9,
        .websockets = {.open = 5, .frames_sent = 6, .laggards = 7, .refused = 8}};
    buf_t text = {0};
    print(metrics, &gauges, &text);
    static const char *const lines[] = {
        "tiffin_workers{service=\"order\"} 2",
        "tiffin_workers{service=\"router\"} 0",
        "tiffin_workers{service=\"notifier\"} 2",
        "tiffin_worker_in_flight{service=\"order\",instance=\"order-1\"} 3",
        "tiffin_worker_in_flight{service=\"order\",instance=\"order-2\"} 0",
        "tiffin_worker_in_flight{service=\"notifier\",instance=\"notifier-1\"} 5",
        "tiffin_hub_requests 9",
        "tiffin_websockets 5",
        "tiffin_websocket_frames_total 6",
        "tiffin_websocket_laggards_total 7",
        "tiffin_websockets_refused_total 8",
        "tiffin_webhooks_total{gateway=\"Razorpay\",outcome=\"accepted\"} 0",
        "tiffin_build_info{version=\"" TIFFIN_VERSION "\"} 1",
        "# TYPE process_resident_memory_bytes gauge",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_line(&text, lines[i]);
    buf_free(&text);
    metrics_destroy(&metrics);
}

/* The sum of all samples whose name and labels begin with `prefix`. */
static uint64_t sum_of(const buf_t *text, const char *prefix)
{
    uint64_t sum = 0;
    for (const char *line = text->data; *line; line = strchr(line, '\n') + 1)
        if (strncmp(line, prefix, strlen(prefix)) == 0)
            sum += strtoull(strstr(line, "} ") + 2, NULL, 10);
    return sum;
}

static void any_number_of_names_is_bounded_and_nothing_goes_uncounted(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_new();
    for (unsigned i = 0; i < 12000; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "name-%u", i);
        metrics_reply(metrics, "order", name, "order.get", ERR_OK, 1);
        metrics_reply(metrics, name, "x", name, ERR_BUSY, 1);
        metrics_http(metrics, name, name, 200, 1);
    }
    metrics_reply(metrics, "order", "name-1", "order.get", ERR_OK, 1);
    buf_t text = {0};
    metrics_print(metrics, &(metrics_gauges_t){0}, &text);
    assert_true(read_text(&text) < 12000);
    assert_int_equal(sum_of(&text, "tiffin_requests_total{"), 24001);
    assert_int_equal(sum_of(&text, "tiffin_http_requests_total{"), 12000);
    assert_int_equal(sum_of(&text, "tiffin_request_duration_seconds_count{"), 24001);
    assert_line(&text, REQUESTS("order", "name-1", "order.get", "ok") " 2");
    assert_true(sum_of(&text, REQUESTS("order", "other", "order.get", "ok")) > 9000);
    assert_true(sum_of(&text, REQUESTS("other", "other", "other", "other")) > 5000);
    buf_free(&text);
    metrics_destroy(&metrics);
}

static void *count_much(void *arg)
{
    metrics_t *metrics = arg;
    buf_t text = {0};
    for (unsigned i = 0; i < 2000; i++) {
        metrics_reply(metrics, "order", i % 2 ? "order-1" : "order-2", "order.get", ERR_OK, i);
        metrics_http(metrics, "GET", "/orders/{id}", 200, i);
        if (i % 500 == 0)
            metrics_print(metrics, &(metrics_gauges_t){0}, &text);
    }
    buf_free(&text);
    return NULL;
}

static void threads_lose_no_count(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_new();
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_much, metrics), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    buf_t text = {0};
    print(metrics, NULL, &text);
    assert_int_equal(sum_of(&text, "tiffin_requests_total{"), 8000);
    assert_int_equal(sum_of(&text, "tiffin_http_requests_total{"), 8000);
    buf_free(&text);
    metrics_destroy(&metrics);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(replies_and_events_are_counted_by_who_sent_them),
    cmocka_unit_test(http_answers_are_counted_by_route_and_those_of_none_together),
    cmocka_unit_test(remembered_answers_are_counted),
    cmocka_unit_test(label_values_are_escaped),
    cmocka_unit_test(workers_are_shown_and_a_service_without_any_is_zero),
    cmocka_unit_test(any_number_of_names_is_bounded_and_nothing_goes_uncounted),
    cmocka_unit_test(threads_lose_no_count),
};
TEST_MAIN(tests)
