/* test_bus_metrics.c - what a service tells of its requests, and the address that it tells it at.
 */
#include "lib/bus_metrics.h"

#include <stdio.h>
#include <string.h>

#include "lib/http_client.h"
#include "lib/metrics_server.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum { WAIT_MS = 10000 };

static const char *name_of(uint32_t message)
{
    return message == 7 ? "order.create" : NULL;
}

static void assert_line(const buf_t *text, const char *line)
{
    char wanted[256];
    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    if (strstr(text->data, wanted) == NULL)
        fail_msg("\"%s\" is not in:\n%s", line, text->data);
}

static void requests_are_counted_by_message_and_outcome(void **state)
{
    (void)state;
    bus_metrics_t *metrics = bus_metrics_new();
    for (int i = 0; i < 6; i++)
        bus_metrics_taken(metrics);
    bus_metrics_answered(metrics, 7, ERR_OK, 900);
    bus_metrics_answered(metrics, 7, ERR_OK, 3000);
    bus_metrics_answered(metrics, 7, ERR_ORDER_NOT_FOUND, 100);
    bus_metrics_answered(metrics, 8, ERR_NOT_FOUND, 1);
    bus_metrics_dropped(metrics, 1);
    bus_metrics_gateway(metrics, 1);
    buf_t text = {0};
    bus_metrics_print(metrics, "order", name_of, &text);
    static const char *const lines[] = {
        "# TYPE tiffin_service_requests_total counter",
        "tiffin_service_requests_total{service=\"order\",message=\"order.create\",outcome=\"ok\"} "
        "2",
        "tiffin_service_requests_total{service=\"order\",message=\"order.create\","
        "outcome=\"order_not_found\"} 1",
        "tiffin_service_requests_total{service=\"order\",message=\"unknown\","
        "outcome=\"not_found\"} 1",
        "# TYPE tiffin_service_request_duration_seconds histogram",
        "tiffin_service_request_duration_seconds_bucket{service=\"order\","
        "message=\"order.create\",le=\"0.001\"} 2",
        "tiffin_service_request_duration_seconds_bucket{service=\"order\","
        "message=\"order.create\",le=\"0.005\"} 3",
        "tiffin_service_request_duration_seconds_sum{service=\"order\",message=\"order.create\"} "
        "0.004",
        "tiffin_service_request_duration_seconds_count{service=\"order\","
        "message=\"order.create\"} 3",
        "tiffin_service_requests_in_flight 1",
        "tiffin_service_requests_dropped_total 1",
        "tiffin_service_gateways 1",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_line(&text, lines[i]);
    buf_free(&text);
    bus_metrics_destroy(&metrics);
    assert_null(metrics);
}

static void any_number_of_messages_is_bounded(void **state)
{
    (void)state;
    bus_metrics_t *metrics = bus_metrics_new();
    for (uint32_t message = 0; message < 2000; message++)
        bus_metrics_answered(metrics, message * 1000003, ERR_NOT_FOUND, 1);
    bus_metrics_answered(metrics, UINT32_MAX, ERR_NOT_FOUND, 1);
    buf_t text = {0};
    bus_metrics_print(metrics, "order", NULL, &text);
    unsigned lines = 0;
    for (const char *at = text.data; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_true(lines < 60); /* "unknown" and "other", once each */
    assert_line(&text, "tiffin_service_requests_in_flight 0");
    buf_free(&text);
    bus_metrics_destroy(&metrics);
}

/* ---- METRICS_ADDR ---- */

static void print(void *arg, buf_t *text)
{
    buf_add_text(text, arg);
}

static bool response_came(void *arg)
{
    void **args = arg;
    void *cookie;
    return http_client_next(args[0], &cookie, args[1]);
}

static void assert_answer(unsigned port, const char *method, const char *path, int status,
                          const char *body)
{
    http_client_t *client = http_client_new(1);
    http_client_request_t request = {.method = method, .timeout_ms = WAIT_MS};
    http_client_response_t response = {0};
    snprintf(request.url, sizeof request.url, "http://127.0.0.1:%u%s", port, path);
    http_client_submit(client, &request, NULL);
    void *args[] = {client, &response};
    wait_until(response_came, args, WAIT_MS, "an answer");
    assert_int_equal(response.err, ERR_OK);
    assert_int_equal(response.status, status);
    if (body != NULL)
        assert_string_equal(response.body.data, body);
    buf_free(&response.body);
    http_client_destroy(&client);
}

static void metrics_and_health_are_served_and_nothing_else(void **state)
{
    (void)state;
    err_detail_t detail = {{0}};
    static char what[] = "a 1\n";
    metrics_server_t *server = metrics_server_new("127.0.0.1:0", print, what, &detail);
    if (server == NULL)
        fail_msg("%s", detail.text);
    const unsigned port = metrics_server_port(server);
    assert_answer(port, "GET", "/metrics", 200, "a 1\n");
    assert_answer(port, "GET", "/healthz", 200, "ok\n");
    assert_answer(port, "POST", "/metrics", 405, NULL);
    assert_answer(port, "GET", "/", 404, NULL);
    metrics_server_destroy(&server);
    assert_null(server);
}

static void an_address_that_cannot_be_bound_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const char *const bad[] = {"nowhere", "127.0.0.1", "192.0.2.1:0", "127.0.0.1:99999", ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        err_detail_t detail = {{0}};
        metrics_server_t *server = metrics_server_new(bad[i], print, NULL, &detail);
        if (server != NULL)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_non_null(strstr(detail.text, "cannot listen"));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(requests_are_counted_by_message_and_outcome),
    cmocka_unit_test(any_number_of_messages_is_bounded),
    cmocka_unit_test(metrics_and_health_are_served_and_nothing_else),
    cmocka_unit_test(an_address_that_cannot_be_bound_is_refused_with_the_reason),
};
TEST_MAIN(tests)
