/* test_routing_rules.c - a merchant's file of rules: what is in it decides, what is wrong in it is
 * named. */
#include "lib/payment/routing/routing_rules.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/test_main.h"

static routing_rules_t *rules_of(const char *text)
{
    err_detail_t detail = {{0}};
    routing_rules_t *rules = routing_rules_read(str_of(text), &detail);
    if (rules == NULL)
        fail_msg("%s: %s", text, detail.text);
    return rules;
}

static routing_payment_t payment_of(const char *method, const char *currency, int64_t amount,
                                    unsigned bucket)
{
    return (routing_payment_t){.method = str_of(method),
                               .currency = str_of(currency),
                               .amount = amount,
                               .user_bucket = bucket};
}

/* "" for none. */
static const char *matched(const routing_rules_t *rules, const char *method, const char *currency,
                           int64_t amount, unsigned bucket)
{
    const routing_payment_t payment = payment_of(method, currency, amount, bucket);
    const routing_rule_t *rule = routing_rules_match(rules, &payment);
    return rule != NULL ? rule->name : "";
}

static void the_first_rule_whose_conditions_all_hold_decides(void **state)
{
    (void)state;
    routing_rules_t *rules = rules_of(
        "{\"rules\":["
        "{\"name\":\"small\",\"method\":\"UPI\",\"currency\":\"INR\",\"amount\":{\"from\":100,"
        "\"to\":50000},"
        "\"order\":[\"Cashfree\"]},"
        "{\"name\":\"trial\",\"method\":[\"CARD\",\"WALLET\"],\"user_bucket\":{\"from\":10,\"to\":"
        "19},"
        "\"order\":[\"Stripe\"]},"
        "{\"name\":\"abroad\",\"currency\":[\"JPY\",\"KWD\"],\"value\":[\"Stripe\",\"Adyen\"]},"
        "{\"amount\":{\"from\":1000000},\"order\":[\"Juspay\",\"*\"]}]}");
    assert_string_equal(matched(rules, "UPI", "INR", 100, 0), "small");
    assert_string_equal(matched(rules, "UPI", "INR", 50000, 99), "small");
    assert_string_equal(matched(rules, "UPI", "INR", 99, 0), "");
    assert_string_equal(matched(rules, "UPI", "INR", 50001, 0), "");
    assert_string_equal(matched(rules, "CARD", "INR", 100, 0), "");
    assert_string_equal(matched(rules, "CARD", "INR", 100, 10), "trial");
    assert_string_equal(matched(rules, "WALLET", "INR", 100, 19), "trial");
    assert_string_equal(matched(rules, "WALLET", "INR", 100, 20), "");
    assert_string_equal(matched(rules, "CARD", "KWD", 100, 9), "abroad");
    assert_string_equal(matched(rules, "CARD", "JPY", 5000000, 15), "trial");
    assert_string_equal(matched(rules, "NETBANKING", "INR", 1000000, 0), "rule 4");
    assert_string_equal(matched(rules, "NETBANKING", "INR", 999999, 0), "");
    assert_string_equal(matched(rules, "SOMETHING", "INR", 100, 15), "");
    assert_true(routing_rules_name(rules, psp_find(STR_LITERAL("Adyen"))));
    assert_false(routing_rules_name(rules, psp_find(STR_LITERAL("Razorpay"))));
    routing_rules_destroy(&rules);
    assert_null(rules);
}

static void the_first_fee_that_fits_is_what_a_psp_keeps(void **state)
{
    (void)state;
    const psp_t *razorpay = psp_find(STR_LITERAL("Razorpay"));
    routing_rules_t *rules = rules_of(
        "{\"margin_bps\":2000,\"fees\":[{\"gateway\":\"Razorpay\",\"method\":\"UPI\",\"bps\":0},"
        "{\"gateway\":\"Razorpay\",\"currency\":\"JPY\",\"bps\":300},"
        "{\"gateway\":\"razorpay\",\"bps\":200,\"fixed\":300}]}");
    const routing_payment_t upi = payment_of("UPI", "INR", 10000, 0);
    const routing_payment_t yen = payment_of("CARD", "JPY", 10000, 0);
    const routing_payment_t card = payment_of("CARD", "INR", 10000, 0);
    assert_float_equal(routing_rules_margin(rules), 0.2, 0);
    assert_float_equal(routing_rules_fee(rules, razorpay, &upi), 0, 0);
    assert_float_equal(routing_rules_fee(rules, razorpay, &yen), 0.03, 1e-12);
    assert_float_equal(routing_rules_fee(rules, razorpay, &card), 0.05, 1e-12);
    assert_float_equal(routing_rules_fee(rules, psp_at(1), &card), 0, 0);
    routing_rules_destroy(&rules);
    rules = rules_of("{}");
    assert_float_equal(routing_rules_margin(rules), 1, 0);
    routing_rules_destroy(&rules);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"", ""},
        {"[]", ""},
        {"{\"rules\":[],}", ""},
        {"{\"rule\":[]}", "the document: \"rule\" is not known here"},
        {"{\"rules\":{}}", "\"rules\" must be a list of at most 100"},
        {"{\"margin_bps\":0}",
         "the document: \"margin_bps\" must be a whole number from 1 to 10000"},
        {"{\"margin_bps\":1.5}",
         "the document: \"margin_bps\" must be a whole number from 1 to 10000"},
        {"{\"rules\":[7]}", "rule 1: must be an object"},
        {"{\"rules\":[{\"order\":[\"Juspay\"]},{}]}",
         "rule 2: needs one of \"order\", \"split\" and \"value\""},
        {"{\"rules\":[{\"order\":[\"Juspay\"],\"value\":[\"Juspay\"]}]}",
         "rule 1: needs one of \"order\", \"split\" and \"value\""},
        {"{\"rules\":[{\"order\":[]}]}", "rule 1: needs a list of gateways"},
        {"{\"rules\":[{\"order\":\"Juspay\"}]}", "rule 1: needs a list of gateways"},
        {"{\"rules\":[{\"order\":[\"Jus\"]}]}", "rule 1: there is no gateway \"Jus\""},
        {"{\"rules\":[{\"order\":[7]}]}", "rule 1: there is no gateway \"\""},
        {"{\"rules\":[{\"order\":[\"*\"]}]}", "rule 1: there is no gateway \"*\""},
        {"{\"rules\":[{\"order\":[\"*\",\"Juspay\"]}]}", "rule 1: there is no gateway \"*\""},
        {"{\"rules\":[{\"value\":[\"Juspay\",\"*\"]}]}", "rule 1: there is no gateway \"*\""},
        {"{\"rules\":[{\"order\":[\"Juspay\",\"juspay\"]}]}", "rule 1: Juspay is named twice"},
        {"{\"rules\":[{\"split\":{\"Juspay\":50,\"Stripe\":49}}]}",
         "rule 1: \"split\" must be shares that are 100 together"},
        {"{\"rules\":[{\"split\":{}}]}", "rule 1: \"split\" must be shares that are 100 together"},
        {"{\"rules\":[{\"split\":[\"Juspay\"]}]}",
         "rule 1: \"split\" must be shares that are 100 together"},
        {"{\"rules\":[{\"split\":{\"Juspay\":101}}]}",
         "rule 1: \"Juspay\" must be a whole number from 1 to 100"},
        {"{\"rules\":[{\"name\":\"\",\"order\":[\"Juspay\"]}]}",
         "rule 1: \"name\" must be a text of 1 to 64 bytes"},
        {"{\"rules\":[{\"method\":\"upi\",\"order\":[\"Juspay\"]}]}",
         "rule 1: \"method\" must be UPI, CARD, NETBANKING or WALLET, or a list of them"},
        {"{\"rules\":[{\"method\":[],\"order\":[\"Juspay\"]}]}", "rule 1: \"method\" lists none"},
        {"{\"rules\":[{\"currency\":\"RUPEES\",\"order\":[\"Juspay\"]}]}",
         "rule 1: \"currency\" must be an ISO 4217 code or a list of them"},
        {"{\"rules\":[{\"currency\":[],\"order\":[\"Juspay\"]}]}",
         "rule 1: \"currency\" lists none"},
        {"{\"rules\":[{\"amount\":5,\"order\":[\"Juspay\"]}]}",
         "rule 1: \"amount\" must be an object of from and to"},
        {"{\"rules\":[{\"amount\":{\"from\":9,\"to\":8},\"order\":[\"Juspay\"]}]}",
         "rule 1: \"amount\" ends before it begins"},
        {"{\"rules\":[{\"amount\":{\"over\":9},\"order\":[\"Juspay\"]}]}",
         "rule 1: \"over\" is not known here"},
        {"{\"rules\":[{\"user_bucket\":{\"to\":100},\"order\":[\"Juspay\"]}]}",
         "rule 1: \"to\" must be a whole number from 0 to 99"},
        {"{\"rules\":[{\"bucket\":1,\"order\":[\"Juspay\"]}]}",
         "rule 1: \"bucket\" is not known here"},
        {"{\"fees\":[{\"bps\":1}]}", "fee 1: there is no gateway \"\""},
        {"{\"fees\":[{\"gateway\":\"Juspay\",\"bps\":-1}]}",
         "fee 1: \"bps\" must be a whole number from 0 to 10000"},
        {"{\"fees\":[{\"gateway\":\"Juspay\",\"percent\":1}]}",
         "fee 1: \"percent\" is not known here"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err_detail_t detail = {{0}};
        assert_null(routing_rules_read(str_of(rows[i].text), &detail));
        if (rows[i].said[0] != '\0')
            assert_string_equal(detail.text, rows[i].said);
        assert_string_not_equal(detail.text, "");
    }
}

static void users_are_spread_evenly_and_each_stays_where_it_is(void **state)
{
    (void)state;
    unsigned users[ROUTING_USER_BUCKETS] = {0};
    /* By sha256sum. */
    assert_int_equal(routing_user_bucket(STR_LITERAL("u1")), 0xbb82030dU % 100);
    for (int i = 0; i < 100000; i++) {
        char id[16];
        snprintf(id, sizeof id, "user-%d", i);
        users[routing_user_bucket(str_of(id))]++;
    }
    for (unsigned bucket = 0; bucket < ROUTING_USER_BUCKETS; bucket++)
        assert_in_range(users[bucket], 800, 1200); /* six standard deviations */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_first_rule_whose_conditions_all_hold_decides),
    cmocka_unit_test(the_first_fee_that_fits_is_what_a_psp_keeps),
    cmocka_unit_test(what_is_wrong_is_named),
    cmocka_unit_test(users_are_spread_evenly_and_each_stays_where_it_is),
};
TEST_MAIN(tests)
