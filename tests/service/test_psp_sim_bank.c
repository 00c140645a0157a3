/* test_psp_sim_bank.c - the simulator's bank: checkouts, what is charged, its book, its journal.
 *
 * With registry_prototype.c: every PSP speaks the prototype's format.
 */
#include "tests/support/test_main.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "services/psp_sim/sim_bank.h"

static const sim_terms_t fair[PSP_COUNT];
static const int64_t now_us = INT64_C(1771632000000000);

static sim_bank_t *bank_with(const char *path)
{
    err_detail_t detail;
    sim_bank_t *bank = sim_bank_new(path, &detail);
    if (!bank)
        fail_msg("%s", detail.text);
    return bank;
}

static sim_checkout_t checkout_at(unsigned psp, const uuid_t *payment_id)
{
    return (sim_checkout_t){.psp = psp_at(psp),
                            .payment_id = *payment_id,
                            .order_id = uuid7_new(),
                            .attempt_id = uuid7_new(),
                            .amount = 45000,
                            .currency = "INR",
                            .method = "UPI",
                            .expires_at_us = now_us};
}

static sim_checkout_t open_at(sim_bank_t *bank, unsigned psp, const uuid_t *payment_id)
{
    sim_checkout_t checkout = checkout_at(psp, payment_id);
    assert_int_equal(sim_bank_open(bank, &checkout, "https://shop.example/"), ERR_OK);
    return checkout;
}

static unsigned count(const char *text, const char *part)
{
    unsigned found = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        found++;
    return found;
}

/* Rows of the book; of all payments when `payment_id` is NULL. */
static unsigned book_rows(sim_bank_t *bank, const uuid_t *payment_id)
{
    buf_t body = {0};
    sim_bank_book(bank, payment_id, &body);
    unsigned rows = count(body.data, "\"psp_ref\"");
    buf_free(&body);
    return rows;
}

/* ---- bank ---- */

static void same_key_gives_the_same_checkout(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    uuid_t payment = uuid7_new();
    sim_checkout_t first = open_at(bank, 0, &payment), again = first, other = first;
    again.serial = 0;
    assert_int_equal(sim_bank_open(bank, &again, "https://shop.example/"), ERR_OK);
    assert_true(again.serial == first.serial);
    other.amount++;
    assert_int_equal(sim_bank_open(bank, &other, "https://shop.example/"), ERR_ID_CONFLICT);
    other = first;
    assert_int_equal(sim_bank_open(bank, &other, ""), ERR_ID_CONFLICT);
    other = first;
    other.payment_id = uuid7_new(); /* a key is of one request, whichever payment it is about */
    assert_int_equal(sim_bank_open(bank, &other, "https://shop.example/"), ERR_ID_CONFLICT);
    other = first;
    other.psp = psp_at(1); /* another PSP knows nothing of the key */
    assert_int_equal(sim_bank_open(bank, &other, "https://shop.example/"), ERR_OK);
    assert_true(other.serial != first.serial);
    sim_bank_destroy(&bank);
}

static void second_pay_moves_nothing(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    uuid_t payment = uuid7_new();
    sim_checkout_t first, second;
    bool moved;
    open_at(bank, 0, &payment);
    assert_int_equal(sim_bank_pay(bank, &payment, fair, now_us, &first, &moved), ERR_OK);
    assert_true(moved);
    open_at(bank, 1, &payment); /* nor at another PSP, opened later */
    assert_int_equal(sim_bank_pay(bank, &payment, fair, now_us + 1, &second, &moved), ERR_OK);
    assert_false(moved);
    assert_true(first.outcome_serial == second.outcome_serial);
    assert_int_equal(second.outcome_at_us, now_us);
    assert_ptr_equal(second.psp, psp_at(0));
    assert_int_equal(book_rows(bank, &payment), 1);
    sim_bank_destroy(&bank);
}

static void newest_checkout_is_the_one_that_is_paid(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    uuid_t payment = uuid7_new();
    sim_checkout_t paid, status;
    bool moved;
    open_at(bank, 2, &payment);
    open_at(bank, 1, &payment);
    assert_int_equal(sim_bank_pay(bank, &payment, fair, now_us, &paid, &moved), ERR_OK);
    assert_ptr_equal(paid.psp, psp_at(1));
    assert_int_equal(sim_bank_find(bank, &payment, psp_at(1), &status, NULL), ERR_OK);
    assert_int_equal(status.state, SIM_PAID);
    assert_int_equal(sim_bank_find(bank, &payment, psp_at(2), &status, NULL), ERR_OK);
    assert_int_equal(status.state, SIM_PENDING);
    assert_int_equal(sim_bank_find(bank, &payment, psp_at(0), &status, NULL),
                     ERR_PAYMENT_NOT_FOUND);
    sim_bank_destroy(&bank);
}

static void late_success_after_failure_is_another_transaction(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    uuid_t payment = uuid7_new();
    sim_checkout_t failed, again, paid;
    bool changed;
    open_at(bank, 0, &payment);
    assert_int_equal(sim_bank_fail(bank, &payment, now_us, &failed, &changed), ERR_OK);
    assert_true(changed);
    assert_int_equal(failed.state, SIM_FAILED);
    assert_int_equal(sim_bank_fail(bank, &payment, now_us, &again, &changed), ERR_OK);
    assert_false(changed);
    assert_true(again.outcome_serial == failed.outcome_serial);
    assert_int_equal(book_rows(bank, &payment), 0);
    assert_int_equal(sim_bank_pay(bank, &payment, fair, now_us, &paid, &changed), ERR_OK);
    assert_true(changed);
    assert_true(paid.outcome_serial != failed.outcome_serial);
    assert_int_equal(sim_bank_fail(bank, &payment, now_us, &again, &changed),
                     ERR_ORDER_NOT_PAYABLE);
    assert_int_equal(book_rows(bank, &payment), 1);
    sim_bank_destroy(&bank);
}

static void delta_changes_what_is_charged_but_never_below_one(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    uuid_t first = uuid7_new(), second = uuid7_new();
    sim_terms_t terms[PSP_COUNT] = {{.amount_delta = -1}, {.amount_delta = -100000}};
    sim_checkout_t paid;
    bool moved;
    open_at(bank, 0, &first);
    open_at(bank, 1, &second);
    assert_int_equal(sim_bank_pay(bank, &first, terms, now_us, &paid, &moved), ERR_OK);
    assert_int_equal(paid.outcome_amount, 44999);
    assert_int_equal(paid.amount, 45000);
    assert_int_equal(sim_bank_pay(bank, &second, terms, now_us, &paid, &moved), ERR_OK);
    assert_int_equal(paid.outcome_amount, 1);
    sim_bank_destroy(&bank);
}

static void customer_who_is_charged_twice_pays_once(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    uuid_t payment = uuid7_new(), other = uuid7_new();
    sim_terms_t terms[PSP_COUNT] = {{.amount_delta = 5, .twice = true}};
    sim_checkout_t first, again;
    bool moved;
    open_at(bank, 0, &payment);
    open_at(bank, 1, &other);
    assert_int_equal(sim_bank_pay(bank, &payment, terms, now_us, &first, &moved), ERR_OK);
    assert_true(moved && first.second_serial && first.second_serial != first.outcome_serial);
    assert_int_equal(book_rows(bank, &payment), 2);
    assert_int_equal(sim_bank_pay(bank, &payment, terms, now_us, &again, &moved), ERR_OK);
    assert_false(moved);
    assert_true(again.second_serial == first.second_serial);
    assert_int_equal(sim_bank_pay(bank, &other, terms, now_us, &again, &moved), ERR_OK);
    assert_true(again.second_serial == 0);
    assert_int_equal(book_rows(bank, NULL), 3);
    char ref[SIM_REF_SIZE];
    buf_t body = {0};
    sim_bank_book(bank, &payment, &body);
    assert_int_equal(count(body.data, "\"amount\":45005"), 2);
    assert_non_null(strstr(body.data, sim_ref(ref, "txn", psp_at(0), first.outcome_serial)));
    assert_non_null(strstr(body.data, sim_ref(ref, "txn", psp_at(0), first.second_serial)));
    buf_free(&body);
    sim_bank_destroy(&bank);
}

static void key_with_other_metadata_is_a_conflict(void **state)
{
    (void)state;
    static const char *const others[] = {NULL, "{}", "{\"table\":\"8\"}"};
    sim_bank_t *bank = bank_with(NULL);
    uuid_t payment = uuid7_new();
    sim_checkout_t checkout = checkout_at(0, &payment), again;
    checkout.notes = "{\"table\":\"7\"}";
    assert_ptr_equal(sim_payment_notes(&checkout), checkout.notes);
    assert_int_equal(sim_bank_open(bank, &checkout, ""), ERR_OK);
    again = checkout;
    assert_int_equal(sim_bank_open(bank, &again, ""), ERR_OK);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        again.notes = others[i];
        assert_int_equal(sim_bank_open(bank, &again, ""), ERR_ID_CONFLICT);
    }
    again = checkout;
    again.payment_notes = "{}";
    assert_string_equal(sim_payment_notes(&again), "{}");
    assert_int_equal(sim_bank_open(bank, &again, ""), ERR_ID_CONFLICT);
    sim_bank_destroy(&bank);
}

/* Two orders of one receipt, and beside them what the reference names alone. */
static void checkouts_that_share_a_reference_are_paid_one_by_one(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    uuid_t payment = uuid7_new();
    sim_checkout_t orders[2], found, paid;
    bool changed;
    for (size_t i = 0; i < 2; i++) {
        orders[i] = checkout_at(0, &payment);
        orders[i].shares_reference = true;
        assert_int_equal(sim_bank_open(bank, &orders[i], ""), ERR_OK);
    }
    assert_int_equal(sim_bank_find_named(bank, &payment, psp_at(0), &found), ERR_PAYMENT_NOT_FOUND);
    assert_int_equal(
        sim_bank_pay_at(bank, psp_at(0), orders[0].serial, fair, now_us, &paid, &changed), ERR_OK);
    assert_true(changed && paid.serial == orders[0].serial);
    assert_int_equal(sim_bank_find_serial(bank, orders[1].serial, psp_at(0), &found), ERR_OK);
    assert_int_equal(found.state, SIM_PENDING);
    assert_int_equal(sim_bank_fail_at(bank, psp_at(0), orders[0].serial, now_us, &found, &changed),
                     ERR_ORDER_NOT_PAYABLE);
    assert_int_equal(sim_bank_fail_at(bank, psp_at(0), orders[1].serial, now_us, &found, &changed),
                     ERR_OK);
    assert_int_equal(
        sim_bank_pay_at(bank, psp_at(0), orders[1].serial, fair, now_us, &paid, &changed), ERR_OK);
    assert_true(changed && paid.serial == orders[1].serial);
    assert_int_equal(book_rows(bank, &payment), 2);
    const sim_checkout_t link = open_at(bank, 0, &payment);
    assert_int_equal(sim_bank_find_named(bank, &payment, psp_at(0), &found), ERR_OK);
    assert_true(found.serial == link.serial);
    assert_int_equal(sim_bank_pay_at(bank, psp_at(1), link.serial, fair, now_us, &paid, &changed),
                     ERR_PAYMENT_NOT_FOUND);
    sim_bank_destroy(&bank);
}

static void unknown_payment_is_not_found(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    uuid_t payment = uuid7_new();
    sim_checkout_t checkout;
    bool changed;
    assert_int_equal(sim_bank_pay(bank, &payment, fair, now_us, &checkout, &changed),
                     ERR_PAYMENT_NOT_FOUND);
    assert_int_equal(sim_bank_fail(bank, &payment, now_us, &checkout, &changed),
                     ERR_PAYMENT_NOT_FOUND);
    buf_t body = {0};
    sim_bank_book(bank, &payment, &body);
    assert_string_equal(body.data, "[]");
    buf_free(&body);
    sim_bank_destroy(&bank);
}

static void book_names_what_moved(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    uuid_t payment = uuid7_new();
    char text[UUID_TEXT_SIZE], ref[SIM_REF_SIZE], expected[512];
    sim_checkout_t paid;
    bool moved;
    open_at(bank, 0, &payment);
    assert_int_equal(sim_bank_pay(bank, &payment, fair, now_us, &paid, &moved), ERR_OK);
    snprintf(expected, sizeof expected,
             "[{\"psp\":\"Razorpay\",\"payment_id\":\"%s\",\"psp_ref\":\"%s\",\"kind\":\"charge\","
             "\"amount\":45000,\"currency\":\"INR\",\"at\":\"2026-02-21T00:00:00Z\"}]",
             uuid_format(&payment, text), sim_ref(ref, "txn", paid.psp, paid.outcome_serial));
    assert_int_equal(strncmp(ref, "pay_", 4), 0);
    buf_t body = {0};
    sim_bank_book(bank, NULL, &body);
    assert_string_equal(body.data, expected);
    buf_free(&body);
    sim_bank_destroy(&bank);
}

enum { PAYMENTS = 3000, THREADS = 4 };

typedef struct payer {
    sim_bank_t *bank;
    const uuid_t *payments;
    unsigned moved;
} payer_t;

static void *pay_all(void *arg)
{
    payer_t *payer = arg;
    for (unsigned i = 0; i < PAYMENTS; i++) {
        sim_checkout_t paid;
        bool moved;
        if (sim_bank_pay(payer->bank, &payer->payments[i], fair, now_us, &paid, &moved) == ERR_OK)
            payer->moved += moved;
    }
    return NULL;
}

/* More payments than the table begins with, so that it grows on the way. */
static void many_at_once_pay_each_payment_once(void **state)
{
    (void)state;
    static uuid_t payments[PAYMENTS];
    sim_bank_t *bank = bank_with(NULL);
    for (unsigned i = 0; i < PAYMENTS; i++) {
        payments[i] = uuid7_new();
        open_at(bank, i % PSP_COUNT, &payments[i]);
    }
    pthread_t threads[THREADS];
    payer_t payers[THREADS];
    unsigned moved = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        payers[i] = (payer_t){bank, payments, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, pay_all, &payers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        moved += payers[i].moved;
    }
    assert_int_equal(moved, PAYMENTS);
    assert_int_equal(book_rows(bank, NULL), PAYMENTS);
    sim_bank_destroy(&bank);
}

/* ---- journal ---- */

static char journal_path[64];

static int make_journal(void **state)
{
    (void)state;
    snprintf(journal_path, sizeof journal_path, "/tmp/test_psp_sim.XXXXXX");
    int fd = mkstemp(journal_path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_journal(void **state)
{
    (void)state;
    return unlink(journal_path);
}

static void journal_add(const char *text)
{
    int fd = open(journal_path, O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void book_survives_a_restart(void **state)
{
    (void)state;
    uuid_t paid_id = uuid7_new(), failed_id = uuid7_new(), open_id = uuid7_new();
    sim_checkout_t opened, paid, failed, after;
    char return_url[SIM_URL_SIZE];
    bool changed;
    sim_bank_t *bank = bank_with(journal_path);
    open_at(bank, 0, &paid_id);
    open_at(bank, 1, &failed_id);
    opened = checkout_at(2, &open_id);
    opened.nameless = opened.shares_reference = opened.one_name = true;
    opened.notes = "{\"shop\":\"\\\"Chai\\\"\"}";
    opened.payment_notes = "{}";
    assert_int_equal(sim_bank_open(bank, &opened, "https://shop.example/"), ERR_OK);
    assert_int_equal(sim_bank_fail(bank, &failed_id, now_us, &failed, &changed), ERR_OK);
    assert_int_equal(sim_bank_fail(bank, &paid_id, now_us, &after, &changed), ERR_OK);
    assert_int_equal(sim_bank_pay(bank, &paid_id, fair, now_us, &paid, &changed), ERR_OK);
    buf_t before = {0}, behind = {0};
    sim_bank_book(bank, NULL, &before);
    sim_bank_destroy(&bank);

    bank = bank_with(journal_path);
    sim_bank_book(bank, NULL, &behind);
    assert_string_equal(before.data, behind.data);
    assert_int_equal(sim_bank_find(bank, &paid_id, NULL, &after, return_url), ERR_OK);
    assert_int_equal(after.state, SIM_PAID);
    assert_true(after.outcome_serial == paid.outcome_serial);
    assert_string_equal(return_url, "https://shop.example/");
    assert_int_equal(sim_bank_find(bank, &failed_id, NULL, &after, NULL), ERR_OK);
    assert_int_equal(after.state, SIM_FAILED);
    assert_true(after.outcome_serial == failed.outcome_serial);
    assert_int_equal(sim_bank_find(bank, &open_id, NULL, &opened, NULL), ERR_OK);
    after = opened; /* the key still works */
    assert_int_equal(sim_bank_open(bank, &after, "https://shop.example/"), ERR_OK);
    assert_true(after.serial == opened.serial && after.nameless && after.shares_reference);
    assert_true(after.one_name);
    assert_string_equal(after.notes, "{\"shop\":\"\\\"Chai\\\"\"}");
    assert_string_equal(after.payment_notes, "{}");
    assert_int_equal(sim_bank_pay(bank, &paid_id, fair, now_us, &after, &changed), ERR_OK);
    assert_false(changed);
    buf_free(&before);
    buf_free(&behind);
    sim_bank_destroy(&bank);
}

static void line_torn_by_a_crash_is_cut_off(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new(), next = uuid7_new();
    sim_checkout_t paid;
    bool moved;
    sim_bank_t *bank = bank_with(journal_path);
    open_at(bank, 0, &payment);
    sim_bank_destroy(&bank);
    journal_add("{\"what\":\"paid\",\"psp\":\"Razor");
    bank = bank_with(journal_path);
    open_at(bank, 0, &next); /* goes on a line of its own */
    assert_int_equal(sim_bank_pay(bank, &payment, fair, now_us, &paid, &moved), ERR_OK);
    assert_true(moved);
    sim_bank_destroy(&bank);
    bank = bank_with(journal_path);
    assert_int_equal(book_rows(bank, &payment), 1);
    assert_int_equal(sim_bank_find(bank, &next, NULL, &paid, NULL), ERR_OK);
    sim_bank_destroy(&bank);
}

static void damage_before_the_end_is_refused(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    sim_bank_t *bank = bank_with(journal_path);
    open_at(bank, 0, &payment);
    sim_bank_destroy(&bank);
    journal_add("nonsense\n");
    bank = NULL;
    err_detail_t detail;
    assert_null(sim_bank_new(journal_path, &detail));
    assert_non_null(strstr(detail.text, "makes no sense from byte"));
    assert_null(sim_bank_new("/nonexistent/journal", &detail));
}

static void reset_forgets_for_good(void **state)
{
    (void)state;
    uuid_t payment = uuid7_new();
    sim_checkout_t paid = checkout_at(0, &payment), copy;
    bool moved;
    sim_bank_t *bank = bank_with(journal_path);
    paid.notes = "{\"table\":\"7\"}";
    assert_int_equal(sim_bank_open(bank, &paid, ""), ERR_OK);
    assert_int_equal(sim_bank_pay(bank, &payment, fair, now_us, &copy, &moved), ERR_OK);
    assert_int_equal(sim_bank_reset(bank), ERR_OK);
    assert_string_equal(copy.notes, "{\"table\":\"7\"}"); /* whoever carries a copy may read it */
    assert_int_equal(book_rows(bank, NULL), 0);
    assert_int_equal(sim_bank_find(bank, &payment, NULL, &paid, NULL), ERR_PAYMENT_NOT_FOUND);
    sim_bank_destroy(&bank);
    bank = bank_with(journal_path);
    assert_int_equal(sim_bank_find(bank, &payment, NULL, &paid, NULL), ERR_PAYMENT_NOT_FOUND);
    sim_bank_destroy(&bank);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(same_key_gives_the_same_checkout),
    cmocka_unit_test(second_pay_moves_nothing),
    cmocka_unit_test(newest_checkout_is_the_one_that_is_paid),
    cmocka_unit_test(late_success_after_failure_is_another_transaction),
    cmocka_unit_test(delta_changes_what_is_charged_but_never_below_one),
    cmocka_unit_test(customer_who_is_charged_twice_pays_once),
    cmocka_unit_test(key_with_other_metadata_is_a_conflict),
    cmocka_unit_test(checkouts_that_share_a_reference_are_paid_one_by_one),
    cmocka_unit_test(unknown_payment_is_not_found),
    cmocka_unit_test(book_names_what_moved),
    cmocka_unit_test(many_at_once_pay_each_payment_once),
    cmocka_unit_test_setup_teardown(book_survives_a_restart, make_journal, remove_journal),
    cmocka_unit_test_setup_teardown(line_torn_by_a_crash_is_cut_off, make_journal, remove_journal),
    cmocka_unit_test_setup_teardown(damage_before_the_end_is_refused, make_journal, remove_journal),
    cmocka_unit_test_setup_teardown(reset_forgets_for_good, make_journal, remove_journal),
};
TEST_MAIN(tests)
