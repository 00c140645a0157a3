/* test_router_choice.c - which PSP is next: by the registry's order, by a merchant's rules, by how
 * each fares; and that what was decided is written down and can be made again.
 */
#include "services/router/router_choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/payment/routing/routing_record.h"
#include "tests/support/test_main.h"

enum { FAILURES_THAT_BREAK = ROUTING_BREAK_AFTER, MANY = 3000 };

static router_psps_t psps;

/* All PSPs of the registry, configured as in development. */
static router_choice_t *choice_without_rules(void)
{
    psp_accounts_t *accounts = calloc(1, sizeof *accounts);
    assert_non_null(accounts);
    psp_accounts_check(accounts, true);
    router_psps_init(&psps, accounts);
    free(accounts);
    assert_int_equal(psps.count, psp_count());
    return router_choice_new(&psps, NULL);
}

static router_choice_t *choice_with(const char *rules)
{
    char path[] = "/tmp/tiffin-rules-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, rules, strlen(rules)), (ssize_t)strlen(rules));
    close(fd);
    router_choice_t *without = choice_without_rules();
    router_choice_destroy(&without);
    router_choice_t *choice = router_choice_new(&psps, path);
    unlink(path);
    return choice;
}

static router_choice_of_t of_any(const char *requested, const char *tried)
{
    return (router_choice_of_t){.method = STR_LITERAL("UPI"),
                                .currency = STR_LITERAL("INR"),
                                .user_id = STR_LITERAL("u1"),
                                .amount = 45000,
                                .requested_psp = requested,
                                .tried_psps = tried};
}

/* "" when none is left. */
static const char *next_of(router_choice_t *choice, const router_choice_of_t *of)
{
    router_health_begin_batch(router_choice_health(choice));
    const bool is_left = router_choice_is_left(choice, of);
    const psp_t *psp = router_choice_next(choice, of, NULL);
    assert_int_equal(is_left, psp != NULL);
    return psp != NULL ? psp_name(psp) : "";
}

static const char *next(router_choice_t *choice, const char *requested, const char *tried)
{
    const router_choice_of_t of = of_any(requested, tried);
    return next_of(choice, &of);
}

static void fail_calls(router_choice_t *choice, const char *psp, int times)
{
    for (int i = 0; i < times; i++)
        router_health_called(router_choice_health(choice), psp_find(str_of(psp)),
                             STR_LITERAL("UPI"), STR_LITERAL("INR"), PSP_FAULT_NETWORK, 1);
}

static void pay(router_choice_t *choice, const char *psp, int64_t successes, int64_t failures)
{
    router_health_paid(router_choice_health(choice), psp_find(str_of(psp)), STR_LITERAL("UPI"),
                       STR_LITERAL("INR"), successes, failures, 0);
}

/* ---- without rules ---- */

static void psps_are_tried_in_the_order_of_the_registry(void **state)
{
    (void)state;
    router_choice_t *choice = choice_without_rules();
    /* In development the first three unasked; of the others those that somebody has keys for. */
    assert_string_equal(next(choice, "", ""), "Razorpay");
    assert_string_equal(next(choice, "", "Razorpay"), "Cashfree");
    assert_string_equal(next(choice, "", "Razorpay,Cashfree"), "Juspay");
    assert_string_equal(next(choice, "", "Cashfree,Razorpay"), "Juspay");
    assert_string_equal(next(choice, "", "Juspay"), "Razorpay");
    assert_string_equal(next(choice, "", "Razorpay,Cashfree,Juspay"), "");
    router_choice_destroy(&choice);
}

static void nothing_is_explored_without_rules(void **state)
{
    (void)state;
    router_choice_t *choice = choice_without_rules();
    pay(choice, "Razorpay", 10, 90);
    pay(choice, "Cashfree", 100, 0);
    for (int i = 0; i < MANY; i++)
        assert_string_equal(next(choice, "", ""), "Razorpay");
    router_choice_destroy(&choice);
}

static void a_broken_psp_is_the_last_resort_and_the_only_one_when_asked_for(void **state)
{
    (void)state;
    router_choice_t *choice = choice_without_rules();
    fail_calls(choice, "Razorpay", FAILURES_THAT_BREAK);
    assert_string_equal(next(choice, "", ""), "Cashfree");
    assert_string_equal(next(choice, "", "Cashfree"), "Juspay");
    assert_string_equal(next(choice, "", "Cashfree,Juspay"), "Razorpay");
    assert_string_equal(next(choice, "", "Cashfree,Juspay,Razorpay"), "");
    assert_string_equal(next(choice, "Razorpay", ""), "Razorpay");
    fail_calls(choice, "Cashfree", FAILURES_THAT_BREAK);
    fail_calls(choice, "Juspay", FAILURES_THAT_BREAK);
    assert_string_equal(next(choice, "", ""), "Razorpay");
    router_choice_destroy(&choice);
}

static void a_psp_is_broken_for_one_method_and_currency_alone(void **state)
{
    (void)state;
    router_choice_t *choice = choice_without_rules();
    router_choice_of_t of = of_any("", "");
    fail_calls(choice, "Razorpay", FAILURES_THAT_BREAK);
    of.method = STR_LITERAL("CARD");
    assert_string_equal(next_of(choice, &of), "Razorpay");
    of.method = STR_LITERAL("UPI");
    of.currency = STR_LITERAL("JPY");
    assert_string_equal(next_of(choice, &of), "Razorpay");
    of.currency = STR_LITERAL("INR");
    assert_string_equal(next_of(choice, &of), "Cashfree");
    router_choice_destroy(&choice);
}

static void more_currencies_than_there_is_room_for_share_a_place(void **state)
{
    (void)state;
    router_choice_t *choice = choice_without_rules();
    router_choice_of_t of = of_any("", "");
    for (int i = 0; i < 2 * ROUTER_HEALTH_CURRENCIES; i++) {
        char currency[4];
        snprintf(currency, sizeof currency, "A%c%c", 'A' + i / 26, 'A' + i % 26);
        of.currency = str_of(currency);
        assert_string_equal(next_of(choice, &of), "Razorpay");
    }
    router_choice_destroy(&choice);
}

static void a_name_is_tried_only_when_it_is_listed_whole(void **state)
{
    (void)state;
    router_choice_t *choice = choice_without_rules();
    assert_string_equal(next(choice, "", "Razorpay2,Razor,,pay"), "Razorpay");
    router_choice_destroy(&choice);
}

static void a_requested_psp_is_the_only_one_tried(void **state)
{
    (void)state;
    router_choice_t *choice = choice_with("{\"rules\":[{\"order\":[\"Juspay\"]}]}");
    assert_string_equal(next(choice, "Cashfree", ""), "Cashfree");
    assert_string_equal(next(choice, "cashFREE", ""), "Cashfree");
    assert_string_equal(next(choice, "stripe", ""), "Stripe");
    assert_string_equal(next(choice, "Cashfree", "Cashfree"), "");
    assert_string_equal(next(choice, "Nobody", ""), "");
    router_choice_destroy(&choice);
}

static void a_psp_without_an_account_is_never_tried(void **state)
{
    (void)state;
    router_choice_t *choice = choice_with("{\"rules\":[{\"order\":[\"Razorpay\",\"Cashfree\"]}]}");
    memmove(psps.of, psps.of + 1, (psps.count - 1) * sizeof psps.of[0]);
    memmove(psps.unasked, psps.unasked + 1, (psps.count - 1) * sizeof psps.unasked[0]);
    psps.count--;
    assert_string_equal(next(choice, "", ""), "Cashfree");
    assert_string_equal(next(choice, "Razorpay", ""), "");
    assert_null(router_psps_find(&psps, "Razorpay"));
    assert_null(router_psps_find(&psps, "Nobody"));
    router_choice_destroy(&choice);
}

static void what_is_captured_by_hand_goes_only_where_the_account_can_do_so(void **state)
{
    (void)state;
    router_choice_t *choice =
        choice_with("{\"rules\":[{\"order\":[\"Juspay\",\"PayU\",\"Cashfree\",\"Adyen\"]}]}");
    router_choice_of_t of = of_any("", "");
    of.manual_capture = true;
    assert_string_equal(next_of(choice, &of), "Cashfree");
    for (size_t i = 0; i < psps.count; i++)
        if (psps.of[i] == psp_find(str_of("Cashfree")))
            psps.by_hand[i] = false; /* its account is not enabled for it */
    assert_string_equal(next_of(choice, &of), "Adyen");
    of.tried_psps = "Adyen";
    assert_string_equal(next_of(choice, &of), "");
    of = of_any("Juspay", "");
    of.manual_capture = true;
    assert_string_equal(next_of(choice, &of), "");
    router_choice_destroy(&choice);
}

static void one_that_does_not_take_the_currency_is_passed_over_while_another_does(void **state)
{
    (void)state;
    router_choice_t *choice =
        choice_with("{\"rules\":[{\"order\":[\"PayU\",\"PhonePe\",\"Razorpay\"]}]}");
    router_choice_of_t of = of_any("", "");
    assert_string_equal(next_of(choice, &of), "PayU");
    of.currency = STR_LITERAL("JPY");
    assert_string_equal(next_of(choice, &of), "Razorpay");
    of.tried_psps = "Razorpay";
    assert_string_equal(next_of(choice, &of), "PayU");
    router_choice_destroy(&choice);
}

/* ---- with rules ---- */

static void a_rule_s_list_is_kept_and_others_come_only_where_it_says_so(void **state)
{
    (void)state;
    router_choice_t *choice =
        choice_with("{\"rules\":[{\"method\":\"UPI\",\"order\":[\"Juspay\",\"Stripe\"]},"
                    "{\"method\":\"CARD\",\"order\":[\"Cashfree\",\"*\"]}]}");
    assert_string_equal(next(choice, "", ""), "Juspay");
    assert_string_equal(next(choice, "", "Juspay"), "Stripe");
    assert_string_equal(next(choice, "", "Juspay,Stripe"), "");
    fail_calls(choice, "Juspay", FAILURES_THAT_BREAK);
    assert_string_equal(next(choice, "", ""), "Stripe");
    router_choice_of_t of = of_any("", "");
    of.method = STR_LITERAL("CARD");
    assert_string_equal(next_of(choice, &of), "Cashfree");
    of.tried_psps = "Cashfree";
    assert_string_equal(next_of(choice, &of), "Razorpay");
    of.tried_psps = "Cashfree,Razorpay";
    assert_string_equal(next_of(choice, &of), "Juspay");
    router_choice_destroy(&choice);
}

static void a_split_keeps_its_shares(void **state)
{
    (void)state;
    router_choice_t *choice =
        choice_with("{\"rules\":[{\"split\":{\"Cashfree\":70,\"Juspay\":30}}]}");
    int cashfree = 0;
    for (int i = 0; i < MANY; i++)
        cashfree += strcmp(next(choice, "", ""), "Cashfree") == 0;
    assert_in_range(cashfree, MANY * 65 / 100, MANY * 75 / 100); /* six standard deviations */
    assert_string_equal(next(choice, "", "Cashfree"), "Juspay");
    fail_calls(choice, "Cashfree", FAILURES_THAT_BREAK);
    for (int i = 0; i < 100; i++)
        assert_string_equal(next(choice, "", ""), "Juspay");
    router_choice_destroy(&choice);
}

static void where_no_rule_decides_the_one_that_leaves_most_is_chosen(void **state)
{
    (void)state;
    router_choice_t *choice =
        choice_with("{\"margin_bps\":1000,\"fees\":[{\"gateway\":\"Cashfree\",\"bps\":500},"
                    "{\"gateway\":\"Razorpay\",\"bps\":100}],\"rules\":[{\"method\":\"WALLET\","
                    "\"order\":[\"Juspay\"]}]}");
    int razorpay = 0;
    pay(choice, "Cashfree", 245, 5); /* succeeds more often, and leaves little */
    pay(choice, "Razorpay", 215, 35);
    pay(choice, "Juspay", 100, 150);
    for (int i = 0; i < MANY; i++)
        razorpay += strcmp(next(choice, "", ""), "Razorpay") == 0;
    assert_in_range(razorpay, MANY * 97 / 100, MANY);
    router_choice_destroy(&choice);
}

static void one_probe_is_chosen_in_a_batch(void **state)
{
    (void)state;
    router_choice_t *choice = choice_without_rules();
    routing_health_t *health = &router_choice_health(choice)->of[0][0][0];
    const router_choice_of_t of = of_any("", "");
    assert_string_equal(next(choice, "", ""), "Razorpay"); /* INR has its place now */
    fail_calls(choice, "Razorpay", FAILURES_THAT_BREAK);
    assert_true(health->is_open);
    health->opened_at_ms -= ROUTING_OPEN_MOST_MS; /* its time is over */
    router_health_begin_batch(router_choice_health(choice));
    assert_string_equal(psp_name(router_choice_next(choice, &of, NULL)), "Razorpay");
    assert_string_equal(psp_name(router_choice_next(choice, &of, NULL)), "Cashfree");
    router_health_begin_batch(router_choice_health(choice));
    assert_string_equal(psp_name(router_choice_next(choice, &of, NULL)), "Razorpay");
    assert_true(
        router_health_calling(router_choice_health(choice), psp_at(0), of.method, of.currency));
    assert_string_equal(next(choice, "", ""), "Cashfree");
    router_choice_destroy(&choice);
}

/* ---- what is written down ---- */

static void every_decision_can_be_read_and_made_again(void **state)
{
    (void)state;
    static const char *const files[] = {
        "{}", "{\"rules\":[{\"name\":\"ours\",\"order\":[\"Juspay\",\"*\"]}]}",
        "{\"rules\":[{\"split\":{\"Cashfree\":1,\"Juspay\":99}}]}",
        "{\"margin_bps\":333,\"fees\":[{\"gateway\":\"Juspay\",\"bps\":77,\"fixed\":31}]}"};
    for (size_t file = 0; file < sizeof files / sizeof *files; file++) {
        router_choice_t *choice = choice_with(files[file]);
        const router_choice_of_t of = of_any("", "");
        for (int i = 0; i < 200; i++) {
            buf_t json = {0};
            routing_record_t record;
            routing_decision_t again;
            json_t *root = NULL;
            err_detail_t detail = {{0}};
            pay(choice, i % 3 == 0 ? "Razorpay" : "Juspay", i % 2, i % 5 == 0);
            if (i % 40 == 39)
                fail_calls(choice, "Cashfree", FAILURES_THAT_BREAK);
            router_health_begin_batch(router_choice_health(choice));
            const psp_t *psp = router_choice_next(choice, &of, &json);
            assert_int_equal(routing_record_read((str_t){json.data, (uint32_t)json.size}, &record,
                                                 &root, &detail),
                             ERR_OK);
            assert_ptr_equal(record.psps[record.decision.order[0]], psp);
            assert_true(routing_record_repeats(&record, &again));
            assert_true(str_is(record.payment.method, "UPI"));
            assert_int_equal(record.payment.user_bucket, routing_user_bucket(STR_LITERAL("u1")));
            assert_int_equal(str_is(record.rule, "ours"), file == 1);
            record.decision.scores[0] += 1e-9; /* any other decision is not the same */
            assert_false(routing_record_repeats(&record, &again));
            json_decref(root);
            buf_free(&json);
        }
        router_choice_destroy(&choice);
    }
}

static void what_is_no_record_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "{\"policy\":\"value\"}",
        "{\"policy\":\"value\",\"reason\":\"listed\",\"order\":[\"Razorpay\"],\"candidates\":[]}",
        "{\"policy\":\"value\",\"reason\":\"listed\",\"order\":[\"Cashfree\"],"
        "\"candidates\":[{\"gateway\":\"Razorpay\",\"score\":1}]}",
        "{\"policy\":\"value\",\"reason\":\"listed\",\"order\":[\"Razorpay\"],"
        "\"candidates\":[{\"gateway\":\"Nobody\",\"score\":1}]}",
        "{\"policy\":\"value\",\"reason\":\"because\",\"order\":[\"Razorpay\"],"
        "\"candidates\":[{\"gateway\":\"Razorpay\",\"score\":1}]}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        routing_record_t record;
        json_t *root = NULL;
        err_detail_t detail = {{0}};
        assert_int_equal(routing_record_read(str_of(texts[i]), &record, &root, &detail),
                         ERR_UNPROCESSABLE);
        assert_null(root);
        assert_string_not_equal(detail.text, "");
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(psps_are_tried_in_the_order_of_the_registry),
    cmocka_unit_test(nothing_is_explored_without_rules),
    cmocka_unit_test(a_broken_psp_is_the_last_resort_and_the_only_one_when_asked_for),
    cmocka_unit_test(a_psp_is_broken_for_one_method_and_currency_alone),
    cmocka_unit_test(more_currencies_than_there_is_room_for_share_a_place),
    cmocka_unit_test(a_name_is_tried_only_when_it_is_listed_whole),
    cmocka_unit_test(a_requested_psp_is_the_only_one_tried),
    cmocka_unit_test(a_psp_without_an_account_is_never_tried),
    cmocka_unit_test(what_is_captured_by_hand_goes_only_where_the_account_can_do_so),
    cmocka_unit_test(one_that_does_not_take_the_currency_is_passed_over_while_another_does),
    cmocka_unit_test(a_rule_s_list_is_kept_and_others_come_only_where_it_says_so),
    cmocka_unit_test(a_split_keeps_its_shares),
    cmocka_unit_test(where_no_rule_decides_the_one_that_leaves_most_is_chosen),
    cmocka_unit_test(one_probe_is_chosen_in_a_batch),
    cmocka_unit_test(every_decision_can_be_read_and_made_again),
    cmocka_unit_test(what_is_no_record_is_refused),
};
TEST_MAIN(tests)
