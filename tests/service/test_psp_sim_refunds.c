/* test_psp_sim_refunds.c - refunds at the simulated bank: what they may give back, when they are
 * concluded, and that they outlive the process.
 *
 * With registry_prototype.c: every PSP speaks the prototype's format.
 */
#include "tests/support/test_main.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "services/psp_sim/sim_refunds.h"

static const int64_t now_us = INT64_C(1771632000000000);

enum { CHARGED = 45000 };

static sim_bank_t *bank_with(const char *path)
{
    err_detail_t detail;
    sim_bank_t *bank = sim_bank_new(path, &detail);
    if (!bank)
        fail_msg("%s", detail.text);
    return bank;
}

/* A payment that is paid at a PSP, once or twice. */
static sim_checkout_t paid_at(sim_bank_t *bank, unsigned psp, bool twice)
{
    sim_terms_t terms[PSP_COUNT] = {0};
    terms[psp].twice = twice;
    sim_checkout_t checkout = {.psp = psp_at(psp),
                               .payment_id = uuid7_new(),
                               .order_id = uuid7_new(),
                               .attempt_id = uuid7_new(),
                               .amount = CHARGED,
                               .currency = "INR",
                               .method = "UPI",
                               .expires_at_us = now_us};
    bool moved;
    assert_int_equal(sim_bank_open(bank, &checkout, ""), ERR_OK);
    assert_int_equal(sim_bank_pay(bank, &checkout.payment_id, terms, now_us, &checkout, &moved),
                     ERR_OK);
    assert_true(moved);
    return checkout;
}

/* A new refund of the first charge, that is done at once. */
static sim_refund_t refund_of(const sim_checkout_t *paid, int64_t amount)
{
    sim_refund_t refund = {.psp = paid->psp,
                           .refund_id = uuid7_new(),
                           .payment_id = paid->payment_id,
                           .order_id = paid->order_id,
                           .amount = amount,
                           .currency = "INR",
                           .state = SIM_REFUND_DONE,
                           .becomes = SIM_REFUND_DONE};
    sim_ref(refund.charge_ref, "txn", paid->psp, paid->outcome_serial);
    return refund;
}

static sim_refund_t pending_refund_of(const sim_checkout_t *paid, int64_t amount,
                                      sim_refund_state_t becomes, int64_t due_us)
{
    sim_refund_t refund = refund_of(paid, amount);
    refund.state = SIM_REFUND_PENDING;
    refund.becomes = becomes;
    refund.due_us = due_us;
    snprintf(refund.error, sizeof refund.error, "closed");
    return refund;
}

static sim_refund_state_t ask(sim_bank_t *bank, sim_refund_t *refund)
{
    bool fresh;
    assert_int_equal(sim_refund_request(bank, refund, now_us, &fresh), ERR_OK);
    return refund->state;
}

static err_t ask_in_vain(sim_bank_t *bank, const sim_refund_t *refund)
{
    sim_refund_t copy = *refund;
    bool fresh;
    return sim_refund_request(bank, &copy, now_us, &fresh);
}

static const char *book_of(sim_bank_t *bank, const uuid_t *payment_id)
{
    static char kept[65536];
    buf_t body = {0};
    sim_bank_book(bank, payment_id, &body);
    assert_true(body.size < sizeof kept);
    memcpy(kept, body.data, body.size + 1);
    buf_free(&body);
    return kept;
}

/* What the book says was given back of a payment. */
static int64_t given_back(sim_bank_t *bank, const uuid_t *payment_id)
{
    static const char row[] = "\"kind\":\"refund\",\"amount\":";
    int64_t sum = 0;
    for (const char *at = book_of(bank, payment_id); (at = strstr(at, row)) != NULL;) {
        at += sizeof row - 1;
        sum += strtoll(at, NULL, 10);
    }
    return sum;
}

/* ---- what is given back ---- */

static void same_key_gives_back_once(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    sim_checkout_t paid = paid_at(bank, 0, false);
    sim_refund_t first = refund_of(&paid, 13500), again = first;
    bool fresh;
    assert_int_equal(sim_refund_request(bank, &first, now_us, &fresh), ERR_OK);
    assert_true(fresh && first.state == SIM_REFUND_DONE);
    again.state = SIM_REFUND_REFUSED; /* what is planned for it no longer matters */
    assert_int_equal(sim_refund_request(bank, &again, now_us + 1, &fresh), ERR_OK);
    assert_false(fresh);
    assert_memory_equal(&first, &again, sizeof first);
    assert_int_equal(given_back(bank, &paid.payment_id), 13500);
    sim_bank_destroy(&bank);
}

static void book_names_the_refund(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    sim_checkout_t paid = paid_at(bank, 0, false);
    sim_refund_t refund = refund_of(&paid, 13500);
    char id[UUID_TEXT_SIZE], ref[SIM_REF_SIZE], expected[512];
    assert_int_equal(ask(bank, &refund), SIM_REFUND_DONE);
    snprintf(expected, sizeof expected,
             "{\"psp\":\"Razorpay\",\"payment_id\":\"%s\",\"psp_ref\":\"%s\",\"kind\":\"refund\","
             "\"amount\":13500,\"currency\":\"INR\",\"at\":\"2026-02-21T00:00:00Z\"}]",
             uuid_format(&paid.payment_id, id), sim_ref(ref, "rfd", refund.psp, refund.serial));
    assert_non_null(strstr(book_of(bank, NULL), expected));
    sim_bank_destroy(&bank);
}

static void refunds_never_exceed_their_charge(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    sim_checkout_t paid = paid_at(bank, 0, false);
    sim_refund_t first = refund_of(&paid, 40000), over = refund_of(&paid, 5001),
                 rest = refund_of(&paid, 5000), more = refund_of(&paid, 1);
    assert_int_equal(ask(bank, &first), SIM_REFUND_DONE);
    assert_int_equal(ask(bank, &over), SIM_REFUND_REFUSED);
    assert_string_equal(over.error, "the charge has 5000 left");
    assert_int_equal(ask(bank, &rest), SIM_REFUND_DONE);
    assert_int_equal(ask(bank, &more), SIM_REFUND_REFUSED);
    assert_int_equal(given_back(bank, &paid.payment_id), CHARGED);
    sim_bank_destroy(&bank);
}

static void refusal_is_for_good(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    sim_checkout_t paid = paid_at(bank, 0, false);
    sim_refund_t holds = pending_refund_of(&paid, CHARGED, SIM_REFUND_FAILED, now_us + 1),
                 over = refund_of(&paid, 1), concluded;
    int64_t next_us;
    assert_int_equal(ask(bank, &holds), SIM_REFUND_PENDING);
    assert_int_equal(ask(bank, &over), SIM_REFUND_REFUSED);
    assert_true(sim_refund_conclude(bank, now_us + 1, &concluded, &next_us));
    /* There would be room for it now. */
    over.state = SIM_REFUND_DONE;
    assert_int_equal(ask(bank, &over), SIM_REFUND_REFUSED);
    assert_string_equal(over.error, "the charge has 0 left");
    sim_refund_t new = refund_of(&paid, CHARGED);
    assert_int_equal(ask(bank, &new), SIM_REFUND_DONE);
    sim_bank_destroy(&bank);
}

static void pending_refund_holds_its_part_until_it_fails(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    sim_checkout_t paid = paid_at(bank, 0, false);
    sim_refund_t holds = pending_refund_of(&paid, 30000, SIM_REFUND_DONE, now_us + 1),
                 fails = pending_refund_of(&paid, 15000, SIM_REFUND_FAILED, now_us + 1),
                 over = refund_of(&paid, 1), later = refund_of(&paid, 15000), concluded;
    int64_t next_us;
    assert_int_equal(ask(bank, &holds), SIM_REFUND_PENDING);
    assert_int_equal(ask(bank, &fails), SIM_REFUND_PENDING);
    assert_int_equal(given_back(bank, NULL), 0);
    assert_int_equal(ask(bank, &over), SIM_REFUND_REFUSED);
    while (sim_refund_conclude(bank, now_us + 1, &concluded, &next_us))
        continue;
    assert_int_equal(given_back(bank, NULL), 30000);
    assert_int_equal(ask(bank, &fails), SIM_REFUND_FAILED);
    assert_string_equal(fails.error, "closed");
    assert_int_equal(ask(bank, &holds), SIM_REFUND_DONE);
    assert_int_equal(ask(bank, &later), SIM_REFUND_DONE);
    assert_int_equal(given_back(bank, NULL), CHARGED);
    sim_bank_destroy(&bank);
}

static void each_of_two_charges_is_refunded_by_itself(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    sim_checkout_t paid = paid_at(bank, 0, true);
    sim_refund_t first = refund_of(&paid, CHARGED), second = first, more = refund_of(&paid, 1);
    second.refund_id = uuid7_new();
    sim_ref(second.charge_ref, "txn", paid.psp, paid.second_serial);
    assert_int_equal(ask(bank, &first), SIM_REFUND_DONE);
    assert_int_equal(ask(bank, &more), SIM_REFUND_REFUSED);
    assert_int_equal(ask(bank, &second), SIM_REFUND_DONE);
    assert_int_equal(given_back(bank, NULL), 2 * CHARGED);
    sim_bank_destroy(&bank);
}

/* Two orders of one receipt, both paid. */
static void each_of_two_checkouts_of_a_payment_is_refunded_by_itself(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    const sim_terms_t fair[PSP_COUNT] = {0};
    sim_checkout_t first = paid_at(bank, 0, false), second = first, other;
    sim_refund_t refunds[4];
    bool moved;
    second.attempt_id = uuid7_new();
    assert_int_equal(sim_bank_open(bank, &second, ""), ERR_OK);
    assert_int_equal(
        sim_bank_pay_at(bank, second.psp, second.serial, fair, now_us, &second, &moved), ERR_OK);
    assert_true(moved);
    for (unsigned i = 0; i < 2; i++) {
        sim_refund_t refund = refund_of(i == 0 ? &first : &second, CHARGED);
        assert_int_equal(ask(bank, &refund), SIM_REFUND_DONE);
        assert_true(refund.checkout_serial == (i == 0 ? first : second).serial);
        assert_int_equal(sim_refunds_of(bank, i == 0 ? &first : &second, refunds, 4), 1);
        assert_true(uuid_equal(&refunds[0].refund_id, &refund.refund_id));
        other = i == 0 ? second : first;
        assert_int_equal(sim_refunds_of(bank, &other, refunds, 4), i);
    }
    assert_int_equal(given_back(bank, &first.payment_id), 2 * CHARGED);
    sim_bank_destroy(&bank);
}

static void key_with_another_request_is_a_conflict(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    sim_checkout_t paid = paid_at(bank, 0, true), other = paid_at(bank, 0, false);
    sim_refund_t known = refund_of(&paid, 100), asked;
    assert_int_equal(ask(bank, &known), SIM_REFUND_DONE);
    asked = known;
    asked.amount++;
    assert_int_equal(ask_in_vain(bank, &asked), ERR_ID_CONFLICT);
    asked = known;
    snprintf(asked.currency, sizeof asked.currency, "USD");
    assert_int_equal(ask_in_vain(bank, &asked), ERR_ID_CONFLICT);
    asked = known;
    snprintf(asked.reason, sizeof asked.reason, "why");
    assert_int_equal(ask_in_vain(bank, &asked), ERR_ID_CONFLICT);
    asked = known;
    asked.notes = "{\"why\":\"cold\"}";
    assert_int_equal(ask_in_vain(bank, &asked), ERR_ID_CONFLICT);
    asked = known;
    asked.order_id = uuid7_new();
    assert_int_equal(ask_in_vain(bank, &asked), ERR_ID_CONFLICT);
    asked = known;
    sim_ref(asked.charge_ref, "txn", paid.psp, paid.second_serial);
    assert_int_equal(ask_in_vain(bank, &asked), ERR_ID_CONFLICT);
    asked = refund_of(&other, 100);
    asked.refund_id = known.refund_id;
    assert_int_equal(ask_in_vain(bank, &asked), ERR_ID_CONFLICT);
    assert_int_equal(given_back(bank, NULL), 100);
    sim_bank_destroy(&bank);
}

static void another_psp_knows_nothing_of_a_refund(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    sim_checkout_t paid = paid_at(bank, 0, false), other = paid_at(bank, 1, false);
    sim_refund_t here = refund_of(&paid, 100), there = refund_of(&other, 200);
    there.refund_id = here.refund_id;
    assert_int_equal(ask(bank, &here), SIM_REFUND_DONE);
    assert_int_equal(ask(bank, &there), SIM_REFUND_DONE);
    assert_int_equal(given_back(bank, &other.payment_id), 200);
    sim_bank_destroy(&bank);
}

static void only_a_charge_can_be_refunded(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    sim_checkout_t paid = paid_at(bank, 0, false), other = paid_at(bank, 0, false), failed = other;
    bool changed;
    sim_refund_t asked = refund_of(&paid, 100);
    sim_ref(asked.charge_ref, "txn", other.psp, other.outcome_serial);
    assert_int_equal(ask_in_vain(bank, &asked), ERR_PAYMENT_NOT_FOUND);
    sim_ref(asked.charge_ref, "chk", paid.psp, paid.serial);
    assert_int_equal(ask_in_vain(bank, &asked), ERR_PAYMENT_NOT_FOUND);
    asked.charge_ref[0] = '\0';
    assert_int_equal(ask_in_vain(bank, &asked), ERR_PAYMENT_NOT_FOUND);
    asked = refund_of(&paid, 100);
    asked.order_id = uuid7_new();
    assert_int_equal(ask_in_vain(bank, &asked), ERR_PAYMENT_NOT_FOUND);
    asked = refund_of(&paid, 100);
    asked.payment_id = uuid7_new();
    assert_int_equal(ask_in_vain(bank, &asked), ERR_PAYMENT_NOT_FOUND);
    asked = refund_of(&paid, 100);
    asked.psp = psp_at(1);
    assert_int_equal(ask_in_vain(bank, &asked), ERR_PAYMENT_NOT_FOUND);
    failed.payment_id = failed.attempt_id = uuid7_new();
    assert_int_equal(sim_bank_open(bank, &failed, ""), ERR_OK);
    assert_int_equal(sim_bank_fail(bank, &failed.payment_id, now_us, &failed, &changed), ERR_OK);
    asked = refund_of(&failed, 100);
    assert_int_equal(ask_in_vain(bank, &asked), ERR_PAYMENT_NOT_FOUND);
    sim_refund_t foreign = refund_of(&paid, 100);
    snprintf(foreign.currency, sizeof foreign.currency, "USD");
    assert_int_equal(ask(bank, &foreign), SIM_REFUND_REFUSED);
    assert_int_equal(given_back(bank, NULL), 0);
    sim_bank_destroy(&bank);
}

enum { THREADS = 4, REFUNDS_EACH = 200, PART = CHARGED / 100 };

typedef struct asker {
    sim_bank_t *bank;
    const sim_checkout_t *paid;
    unsigned done, refused;
} asker_t;

static void *ask_often(void *arg)
{
    asker_t *asker = arg;
    for (unsigned i = 0; i < REFUNDS_EACH; i++) {
        sim_refund_t refund = refund_of(asker->paid, PART), again = refund;
        bool fresh;
        if (sim_refund_request(asker->bank, &refund, now_us, &fresh) != ERR_OK || !fresh ||
            sim_refund_request(asker->bank, &again, now_us, &fresh) != ERR_OK || fresh ||
            again.state != refund.state)
            return NULL;
        asker->done += refund.state == SIM_REFUND_DONE;
        asker->refused += refund.state == SIM_REFUND_REFUSED;
    }
    return NULL;
}

static void many_at_once_give_back_no_more_than_was_charged(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    sim_checkout_t paid = paid_at(bank, 0, false);
    pthread_t threads[THREADS];
    asker_t askers[THREADS];
    unsigned done = 0, refused = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        askers[i] = (asker_t){bank, &paid, 0, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &askers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        done += askers[i].done;
        refused += askers[i].refused;
    }
    assert_int_equal(done, 100);
    assert_int_equal(refused, THREADS * REFUNDS_EACH - 100);
    assert_int_equal(given_back(bank, NULL), CHARGED);
    sim_bank_destroy(&bank);
}

/* ---- when they are concluded ---- */

static void refunds_are_concluded_when_they_are_due(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(NULL);
    sim_checkout_t paid = paid_at(bank, 0, false);
    sim_refund_t third = pending_refund_of(&paid, 3, SIM_REFUND_DONE, now_us + 3000),
                 first = pending_refund_of(&paid, 1, SIM_REFUND_DONE, now_us + 1000),
                 second = pending_refund_of(&paid, 2, SIM_REFUND_FAILED, now_us + 2000), got;
    int64_t next_us;
    assert_false(sim_refund_conclude(bank, now_us, &got, &next_us));
    assert_true(next_us == INT64_MAX);
    ask(bank, &third);
    ask(bank, &first);
    ask(bank, &second);
    assert_false(sim_refund_conclude(bank, now_us + 999, &got, &next_us));
    assert_true(next_us == now_us + 1000);
    assert_true(sim_refund_conclude(bank, now_us + 2500, &got, &next_us));
    assert_int_equal(got.amount, 1);
    assert_int_equal(got.state, SIM_REFUND_DONE);
    assert_true(got.at_us == now_us + 2500);
    assert_true(sim_refund_conclude(bank, now_us + 2500, &got, &next_us));
    assert_int_equal(got.amount, 2);
    assert_int_equal(got.state, SIM_REFUND_FAILED);
    assert_false(sim_refund_conclude(bank, now_us + 2500, &got, &next_us));
    assert_true(next_us == now_us + 3000);
    assert_int_equal(given_back(bank, NULL), 1);
    assert_true(sim_refund_conclude(bank, now_us + 3000, &got, &next_us));
    assert_false(sim_refund_conclude(bank, now_us + 9000, &got, &next_us));
    assert_true(next_us == INT64_MAX);
    assert_int_equal(given_back(bank, NULL), 4);
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

/* Another process takes over. */
static sim_bank_t *restarted(sim_bank_t *bank)
{
    sim_bank_destroy(&bank);
    return bank_with(journal_path);
}

static void refunds_survive_a_restart(void **state)
{
    (void)state;
    static char before[65536];
    static const char notes[] = "{\"why\":\"\\\"cold\\\"\"}";
    sim_bank_t *bank = bank_with(journal_path);
    sim_checkout_t paid = paid_at(bank, 1, true);
    sim_refund_t done = refund_of(&paid, 100), refused = refund_of(&paid, CHARGED),
                 second = refund_of(&paid, CHARGED),
                 failed = pending_refund_of(&paid, 300, SIM_REFUND_FAILED, now_us + 1), got;
    int64_t next_us;
    snprintf(done.reason, sizeof done.reason, "\"cold\"");
    done.notes = notes;
    sim_ref(second.charge_ref, "txn", paid.psp, paid.second_serial);
    assert_int_equal(ask(bank, &done), SIM_REFUND_DONE);
    assert_int_equal(ask(bank, &refused), SIM_REFUND_REFUSED);
    assert_int_equal(ask(bank, &second), SIM_REFUND_DONE);
    assert_int_equal(ask(bank, &failed), SIM_REFUND_PENDING);
    assert_true(sim_refund_conclude(bank, now_us + 1, &failed, &next_us));
    memcpy(before, book_of(bank, NULL), sizeof before);

    bank = restarted(bank);
    assert_string_equal(book_of(bank, NULL), before);
    sim_refund_t known[] = {done, refused, second, failed};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        sim_refund_t again = known[i];
        again.state = SIM_REFUND_DONE;
        again.notes = i == 0 ? notes : NULL; /* those that it had went with the bank */
        assert_int_equal(ask(bank, &again), known[i].state);
        assert_true(again.serial == known[i].serial && again.at_us == known[i].at_us);
        assert_string_equal(again.error, known[i].error);
        assert_string_equal(again.notes ? again.notes : "", i == 0 ? notes : "");
    }
    assert_false(sim_refund_conclude(bank, now_us + 9, &got, &next_us));
    sim_refund_t over = refund_of(&paid, CHARGED - 99), rest = refund_of(&paid, CHARGED - 100);
    assert_int_equal(ask(bank, &over), SIM_REFUND_REFUSED);
    assert_int_equal(ask(bank, &rest), SIM_REFUND_DONE);
    sim_bank_destroy(&bank);
}

static void pending_refund_is_concluded_once_whoever_takes_over(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(journal_path);
    sim_checkout_t paid = paid_at(bank, 0, false);
    sim_refund_t pending = pending_refund_of(&paid, 700, SIM_REFUND_DONE, now_us + 1000), got;
    int64_t next_us;
    ask(bank, &pending);

    bank = restarted(bank);
    assert_int_equal(given_back(bank, NULL), 0);
    assert_false(sim_refund_conclude(bank, now_us + 999, &got, &next_us));
    assert_true(next_us == now_us + 1000);
    assert_true(sim_refund_conclude(bank, now_us + 5000, &got, &next_us));
    assert_true(uuid_equal(&got.refund_id, &pending.refund_id));
    assert_true(got.serial == pending.serial);

    bank = restarted(bank);
    assert_false(sim_refund_conclude(bank, now_us + 5000, &got, &next_us));
    assert_int_equal(ask(bank, &pending), SIM_REFUND_DONE);
    assert_int_equal(given_back(bank, NULL), 700);
    sim_bank_destroy(&bank);
}

/* The last line of the journal, once more. */
static void repeat_last_line(void)
{
    static char text[16384];
    int fd = open(journal_path, O_RDWR | O_APPEND);
    ssize_t size = read(fd, text, sizeof text - 1);
    assert_true(size > 1);
    ssize_t start = size - 1;
    while (start > 0 && text[start - 1] != '\n')
        start--;
    assert_int_equal(write(fd, text + start, (size_t)(size - start)), size - start);
    close(fd);
}

static void journal_that_contradicts_itself_is_refused(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(journal_path);
    sim_checkout_t paid = paid_at(bank, 0, false);
    sim_refund_t pending = pending_refund_of(&paid, 700, SIM_REFUND_DONE, now_us), got;
    int64_t next_us;
    err_detail_t detail;
    ask(bank, &pending);
    assert_true(sim_refund_conclude(bank, now_us, &got, &next_us));
    sim_bank_destroy(&bank);
    repeat_last_line(); /* concluded twice */
    assert_null(sim_bank_new(journal_path, &detail));
    assert_non_null(strstr(detail.text, "makes no sense"));
}

static void reset_forgets_refunds(void **state)
{
    (void)state;
    sim_bank_t *bank = bank_with(journal_path);
    sim_checkout_t paid = paid_at(bank, 0, false);
    sim_refund_t pending = pending_refund_of(&paid, 700, SIM_REFUND_DONE, now_us),
                 done = refund_of(&paid, 1), got;
    int64_t next_us;
    ask(bank, &pending);
    ask(bank, &done);
    assert_int_equal(sim_bank_reset(bank), ERR_OK);
    assert_false(sim_refund_conclude(bank, now_us, &got, &next_us));
    assert_true(next_us == INT64_MAX);
    assert_string_equal(book_of(bank, NULL), "[]");
    assert_int_equal(ask_in_vain(bank, &done), ERR_PAYMENT_NOT_FOUND);
    bank = restarted(bank);
    assert_string_equal(book_of(bank, NULL), "[]");
    sim_bank_destroy(&bank);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(same_key_gives_back_once),
    cmocka_unit_test(book_names_the_refund),
    cmocka_unit_test(refunds_never_exceed_their_charge),
    cmocka_unit_test(refusal_is_for_good),
    cmocka_unit_test(pending_refund_holds_its_part_until_it_fails),
    cmocka_unit_test(each_of_two_charges_is_refunded_by_itself),
    cmocka_unit_test(each_of_two_checkouts_of_a_payment_is_refunded_by_itself),
    cmocka_unit_test(key_with_another_request_is_a_conflict),
    cmocka_unit_test(another_psp_knows_nothing_of_a_refund),
    cmocka_unit_test(only_a_charge_can_be_refunded),
    cmocka_unit_test(many_at_once_give_back_no_more_than_was_charged),
    cmocka_unit_test(refunds_are_concluded_when_they_are_due),
    cmocka_unit_test_setup_teardown(refunds_survive_a_restart, make_journal, remove_journal),
    cmocka_unit_test_setup_teardown(pending_refund_is_concluded_once_whoever_takes_over,
                                    make_journal, remove_journal),
    cmocka_unit_test_setup_teardown(journal_that_contradicts_itself_is_refused, make_journal,
                                    remove_journal),
    cmocka_unit_test_setup_teardown(reset_forgets_refunds, make_journal, remove_journal),
};
TEST_MAIN(tests)
