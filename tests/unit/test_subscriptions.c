/* test_subscriptions.c - how far each gateway is along the feed. */
#include "services/notifier/subscriptions.h"
#include "tests/support/test_main.h"

static void a_gateway_that_has_delivered_goes_on_from_there(void **state)
{
    (void)state;
    subscriptions_t self = {0};
    int64_t cursor = 0;
    assert_false(subscriptions_least_cursor(&self, &cursor));
    subscriptions_add(&self, 0, 1, 42, 1000);
    assert_null(subscriptions_unplaced(&self));
    assert_true(subscriptions_least_cursor(&self, &cursor));
    assert_int_equal(cursor, 42);
}

static void a_new_gateway_waits_for_its_place_and_does_not_hold_back_the_others(void **state)
{
    (void)state;
    subscriptions_t self = {0};
    subscriptions_add(&self, 0, 1, 42, 1000);
    subscriptions_add(&self, 1, 1, 0, 2000);
    subscription_t *row = subscriptions_unplaced(&self);
    assert_non_null(row);
    assert_int_equal(row->started_at_us, 2000);
    int64_t cursor = 0;
    assert_true(subscriptions_least_cursor(&self, &cursor));
    assert_int_equal(cursor, 42);
    row->cursor = 7;
    row->placed = true;
    assert_true(subscriptions_least_cursor(&self, &cursor));
    assert_int_equal(cursor, 7);
}

static void a_gateway_that_takes_no_more_does_not_hold_back_the_others(void **state)
{
    (void)state;
    subscriptions_t self = {0};
    subscriptions_add(&self, 0, 1, 7, 1000);
    subscriptions_add(&self, 1, 1, 42, 1000);
    self.rows[0].full = true;
    int64_t cursor = 0;
    assert_true(subscriptions_least_cursor(&self, &cursor));
    assert_int_equal(cursor, 42);
    self.rows[1].full = true;
    assert_false(subscriptions_least_cursor(&self, &cursor));
    subscriptions_begin(&self);
    assert_true(subscriptions_least_cursor(&self, &cursor));
    assert_int_equal(cursor, 7);
}

static void a_reconnected_gateway_replaces_its_former_self(void **state)
{
    (void)state;
    subscriptions_t self = {0};
    subscriptions_add(&self, 3, 1, 42, 1000);
    subscriptions_add(&self, 3, 2, 50, 1000);
    assert_int_equal(self.count, 1);
    subscriptions_remove(&self, 3, 1); /* the old connection's loss comes late */
    assert_int_equal(self.count, 1);
    subscriptions_remove(&self, 3, 2);
    assert_int_equal(self.count, 0);
}

static void an_event_is_everywhere_when_every_gateway_is_past_it_and_can_take_more(void **state)
{
    (void)state;
    subscriptions_t self = {0};
    subscriptions_add(&self, 0, 1, 7, 1000);
    subscriptions_add(&self, 1, 1, 42, 1000);
    assert_true(subscriptions_all_have(&self, 7));
    assert_false(subscriptions_all_have(&self, 8));
    self.rows[1].full = true; /* it lacks later ones, and may take them by now */
    assert_false(subscriptions_all_have(&self, 7));
    subscriptions_begin(&self);
    subscriptions_add(&self, 2, 1, 0, 2000); /* not placed yet */
    assert_false(subscriptions_all_have(&self, 7));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_gateway_that_has_delivered_goes_on_from_there),
    cmocka_unit_test(a_new_gateway_waits_for_its_place_and_does_not_hold_back_the_others),
    cmocka_unit_test(a_gateway_that_takes_no_more_does_not_hold_back_the_others),
    cmocka_unit_test(a_reconnected_gateway_replaces_its_former_self),
    cmocka_unit_test(an_event_is_everywhere_when_every_gateway_is_past_it_and_can_take_more),
};
TEST_MAIN(tests)
