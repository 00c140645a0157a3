/* test_tap_filter.c - what a tap shows, what it subscribes to, and when it says that messages are
 * lost. */
#include "tests/support/test_main.h"

#include "services/tap/tap_filter.h"
#include "tests/support/tap_frames.h"

typedef struct fixture {
    tap_options_t options;
    tap_filter_t filter;
    char arguments[16][64];
} fixture_t;

/* The filter of a command line. */
static void fixture_init(fixture_t *fixture, const char *const *arguments)
{
    char *argv[17] = {fixture->arguments[0]};
    int argc = 1;
    err_detail_t detail;
    for (; arguments[argc - 1] != NULL; argc++) {
        snprintf(fixture->arguments[argc], sizeof fixture->arguments[argc], "%s",
                 arguments[argc - 1]);
        argv[argc] = fixture->arguments[argc];
    }
    if (tap_options_parse(argc, argv, &fixture->options, &detail) != ERR_OK)
        fail_msg("%s", detail.text);
    tap_filter_init(&fixture->filter, &fixture->options);
}

#define FIXTURE(...)   \
    fixture_t fixture; \
    fixture_init(&fixture, (const char *const[]){__VA_ARGS__, NULL})

static bool shows(fixture_t *fixture, tap_frames_t frames)
{
    tap_message_t message;
    tap_message_read(&message, str_of(frames.topic),
                     (str_t){(const char *)frames.record, (uint32_t)frames.record_size},
                     (str_t){(const char *)frames.body, (uint32_t)frames.body_size});
    return tap_filter_accept(&fixture->filter, &message);
}

/* ---- patterns ---- */

static void no_pattern_shows_everything(void **state)
{
    (void)state;
    FIXTURE("--json");
    assert_true(shows(&fixture, tap_order_create(1, 45000)));
    assert_true(shows(&fixture, tap_order_created(1, 900)));
    assert_true(shows(&fixture, tap_attempt(1)));
}

static void any_of_several_patterns_is_enough(void **state)
{
    (void)state;
    FIXTURE("order.*", "notifier.event");
    assert_true(shows(&fixture, tap_order_create(1, 45000)));
    assert_true(shows(&fixture, tap_order_created(1, 900)));
    assert_false(shows(&fixture, tap_attempt(1)));
}

static void a_reply_is_found_by_its_own_name_too(void **state)
{
    (void)state;
    FIXTURE("order.created");
    assert_false(shows(&fixture, tap_order_create(1, 45000)));
    assert_true(shows(&fixture, tap_order_created(1, 900)));
    assert_false(shows(&fixture, tap_order_failed(1, ERR_BUSY)));
    fixture_t errors;
    fixture_init(&errors, (const char *const[]){"bus.error", NULL});
    assert_true(shows(&errors, tap_order_failed(1, ERR_BUSY)));
}

/* ---- where ---- */

static void where_compares_fields_of_the_body(void **state)
{
    (void)state;
    FIXTURE("--where", "amount=45000");
    assert_true(shows(&fixture, tap_order_create(1, 45000)));
    assert_false(shows(&fixture, tap_order_create(2, 450)));
    assert_false(shows(&fixture, tap_attempt(3)));
}

static void all_wheres_must_hold(void **state)
{
    (void)state;
    FIXTURE("--where", "amount=45000", "--where", "currency=EUR");
    assert_false(shows(&fixture, tap_order_create(1, 45000)));
}

static void where_knows_what_is_around_the_body(void **state)
{
    (void)state;
    static const char *const wheres[] = {"instance=order-1",
                                         "gateway=gateway-1",
                                         "kind=REPLY",
                                         "message=order.created",
                                         "topic=order.create",
                                         "status=PENDING", /* the body's own field comes first */
                                         "request_id=01900000-0000-7000-8000-000000000001"};
    for (size_t i = 0; i < sizeof wheres / sizeof wheres[0]; i++) {
        FIXTURE("--where", wheres[i]);
        assert_true(shows(&fixture, tap_order_created(1, 900)));
    }
    FIXTURE("--where", "status=BUSY");
    assert_true(shows(&fixture, tap_order_failed(1, ERR_BUSY)));
    assert_false(shows(&fixture, tap_order_created(1, 900)));
}

static void a_reply_matches_when_its_request_did(void **state)
{
    (void)state;
    FIXTURE("--where", "order_id=01900000-0000-7000-8000-000000000007");
    assert_true(shows(&fixture, tap_order_create(7, 45000)));
    assert_false(shows(&fixture, tap_order_create(8, 45000)));
    assert_true(shows(&fixture, tap_order_failed(7, ERR_BUSY)));
    assert_false(shows(&fixture, tap_order_failed(8, ERR_BUSY)));
}

static void a_reply_to_another_message_of_the_same_request_does_not(void **state)
{
    (void)state;
    FIXTURE("--where", "amount=45000");
    assert_true(shows(&fixture, tap_order_create(7, 45000)));
    tap_frames_t other = tap_order_failed(7, ERR_BUSY);
    other.topic = "router.initiate";
    assert_false(shows(&fixture, other));
}

static void a_pattern_of_replies_still_remembers_requests(void **state)
{
    (void)state;
    FIXTURE("bus.error", "--where", "amount=45000");
    assert_false(shows(&fixture, tap_order_create(7, 45000)));
    assert_true(shows(&fixture, tap_order_failed(7, ERR_BUSY)));
}

static void the_memory_of_requests_is_bounded(void **state)
{
    (void)state;
    FIXTURE("--where", "amount=45000");
    assert_true(shows(&fixture, tap_order_create(7, 45000)));
    for (unsigned i = 0; i < TAP_REMEMBERED_MAX; i++) {
        order_create_t order = {.amount = 45000};
        tap_record_t record = tap_record_example("REQUEST", 1);
        record.request_id.bytes[8] = (uint8_t)(i >> 8);
        record.request_id.bytes[9] = (uint8_t)i;
        assert_true(
            shows(&fixture, tap_frames_make("order.create", record, MSG_order_create, &order)));
    }
    assert_int_equal(fixture.filter.remembered_count, TAP_REMEMBERED_MAX);
    assert_false(shows(&fixture, tap_order_failed(7, ERR_BUSY)));
}

/* ---- trace, errors, slow ---- */

static void trace_takes_a_request_id_or_a_part_of_a_traceparent(void **state)
{
    (void)state;
    static const char *const traces[] = {"01900000-0000-7000-8000-000000000001",
                                         "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7",
                                         "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"};
    for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i++) {
        FIXTURE("--trace", traces[i]);
        assert_true(shows(&fixture, tap_order_create(1, 45000)));
    }
    static const char *const others[] = {"01900000-0000-7000-8000-000000000002", "4bf92f3577b34da6",
                                         "", "-"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        FIXTURE("--trace", others[i]);
        assert_false(shows(&fixture, tap_order_create(1, 45000)));
    }
}

static void errors_are_replies_that_are_not_ok(void **state)
{
    (void)state;
    FIXTURE("--errors");
    assert_false(shows(&fixture, tap_order_create(1, 45000)));
    assert_false(shows(&fixture, tap_order_created(1, 900)));
    assert_false(shows(&fixture, tap_attempt(1)));
    assert_true(shows(&fixture, tap_order_failed(1, ERR_DEADLINE)));
}

static void slow_shows_replies_from_the_bound_on(void **state)
{
    (void)state;
    FIXTURE("--slow", "200ms");
    assert_false(shows(&fixture, tap_order_create(1, 45000)));
    assert_false(shows(&fixture, tap_order_created(1, 199999)));
    assert_true(shows(&fixture, tap_order_created(1, 200000)));
}

/* ---- broken messages ---- */

static void broken_bodies_are_shown_unless_a_field_is_asked_for(void **state)
{
    (void)state;
    tap_frames_t broken = tap_order_create(1, 45000);
    broken.body_size--;
    FIXTURE("order.*");
    assert_true(shows(&fixture, broken));
    fixture_t where;
    fixture_init(&where, (const char *const[]){"--where", "amount=45000", NULL});
    assert_false(shows(&where, broken));
    fixture_t gateway;
    fixture_init(&gateway, (const char *const[]){"--where", "gateway=gateway-1", NULL});
    assert_true(shows(&gateway, broken));
}

static void broken_records_are_shown_by_their_topic(void **state)
{
    (void)state;
    tap_frames_t broken = tap_order_create(1, 45000);
    broken.record_size--;
    FIXTURE("order.*");
    assert_true(shows(&fixture, broken));
}

/* ---- subscriptions ---- */

static void assert_subscribed(const tap_options_t *options, const char *const *expected)
{
    tap_subscriptions_t subscriptions;
    tap_subscriptions_of(options, &subscriptions);
    size_t count = 0;
    for (; expected[count] != NULL; count++) {
        bool found = false;
        for (size_t i = 0; i < subscriptions.count; i++)
            found = found || strcmp(subscriptions.prefixes[i], expected[count]) == 0;
        if (!found)
            fail_msg("not subscribed to \"%s\"", expected[count]);
    }
    assert_int_equal(subscriptions.count, count);
}

#define ASSERT_SUBSCRIBED(...) \
    assert_subscribed(&fixture.options, (const char *const[]){__VA_ARGS__, NULL})

static void nothing_given_subscribes_to_everything(void **state)
{
    (void)state;
    FIXTURE("--errors");
    ASSERT_SUBSCRIBED("");
}

static void globs_subscribe_by_their_literal_prefix(void **state)
{
    (void)state;
    FIXTURE("gateway.web*", "notifier.event", "recon?iler.asked");
    ASSERT_SUBSCRIBED("gateway.web", "notifier.event", "recon");
}

static void prefixes_swallow_longer_ones(void **state)
{
    (void)state;
    FIXTURE("order.create", "order.*", "order.get", "*");
    ASSERT_SUBSCRIBED("");
}

static void names_of_replies_subscribe_to_their_requests(void **state)
{
    (void)state;
    FIXTURE("router.initiated", "order.page");
    ASSERT_SUBSCRIBED("router.initiate", "order.page", "order.list");
}

static void errors_by_name_subscribe_to_every_request(void **state)
{
    (void)state;
    FIXTURE("bus.error");
    ASSERT_SUBSCRIBED("bus.error", "order.create", "order.get", "order.list", "order.cancel",
                      "router.initiate", "router.get", "router.refund", /* refund-get begins so */
                      "webhook-processor.dead-list", "webhook-processor.dead-get",
                      "webhook-processor.redrive", "webhook-processor.discrepancies",
                      "webhook-processor.settle", "router.page", "reconciler.list",
                      "reconciler.start", "router.health", "router.capture", "notifier.list");
}

/* ---- gaps ---- */

static void gaps_are_counted_per_gateway(void **state)
{
    (void)state;
    tap_gaps_t gaps = {0};
    str_t one = STR_LITERAL("gateway-1");
    str_t two = STR_LITERAL("gateway-2");
    assert_int_equal(tap_gaps_before(&gaps, one, 100), 0);
    assert_int_equal(tap_gaps_before(&gaps, two, 7), 0);
    assert_int_equal(tap_gaps_before(&gaps, one, 101), 0);
    assert_int_equal(tap_gaps_before(&gaps, two, 20), 12);
    assert_int_equal(tap_gaps_before(&gaps, one, 104), 2);
    assert_int_equal(tap_gaps_before(&gaps, one, 105), 0);
}

static void a_gateway_that_starts_again_lost_nothing(void **state)
{
    (void)state;
    tap_gaps_t gaps = {0};
    str_t gateway = STR_LITERAL("gateway-1");
    assert_int_equal(tap_gaps_before(&gaps, gateway, 5000), 0);
    assert_int_equal(tap_gaps_before(&gaps, gateway, 1), 0);
    assert_int_equal(tap_gaps_before(&gaps, gateway, 2), 0);
    assert_int_equal(tap_gaps_before(&gaps, gateway, INT64_MIN), 0);
    assert_int_equal(tap_gaps_before(&gaps, gateway, INT64_MAX), 0);
}

static void more_gateways_than_there_can_be_do_no_harm(void **state)
{
    (void)state;
    tap_gaps_t gaps = {0};
    for (int i = 0; i < 3 * BUS_GATEWAYS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "gateway-%d", i);
        assert_int_equal(tap_gaps_before(&gaps, str_of(name), i), 0);
        assert_true(gaps.count <= BUS_GATEWAYS_MAX);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(no_pattern_shows_everything),
    cmocka_unit_test(any_of_several_patterns_is_enough),
    cmocka_unit_test(a_reply_is_found_by_its_own_name_too),
    cmocka_unit_test(where_compares_fields_of_the_body),
    cmocka_unit_test(all_wheres_must_hold),
    cmocka_unit_test(where_knows_what_is_around_the_body),
    cmocka_unit_test(a_reply_matches_when_its_request_did),
    cmocka_unit_test(a_reply_to_another_message_of_the_same_request_does_not),
    cmocka_unit_test(a_pattern_of_replies_still_remembers_requests),
    cmocka_unit_test(the_memory_of_requests_is_bounded),
    cmocka_unit_test(trace_takes_a_request_id_or_a_part_of_a_traceparent),
    cmocka_unit_test(errors_are_replies_that_are_not_ok),
    cmocka_unit_test(slow_shows_replies_from_the_bound_on),
    cmocka_unit_test(broken_bodies_are_shown_unless_a_field_is_asked_for),
    cmocka_unit_test(broken_records_are_shown_by_their_topic),
    cmocka_unit_test(nothing_given_subscribes_to_everything),
    cmocka_unit_test(globs_subscribe_by_their_literal_prefix),
    cmocka_unit_test(prefixes_swallow_longer_ones),
    cmocka_unit_test(names_of_replies_subscribe_to_their_requests),
    cmocka_unit_test(errors_by_name_subscribe_to_every_request),
    cmocka_unit_test(gaps_are_counted_per_gateway),
    cmocka_unit_test(a_gateway_that_starts_again_lost_nothing),
    cmocka_unit_test(more_gateways_than_there_can_be_do_no_harm),
};

TEST_MAIN(tests)
