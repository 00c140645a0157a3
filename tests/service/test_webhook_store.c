/* test_webhook_store.c - the effect of webhooks on real PostgreSQL: once, in any order, with any
 * repetition. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "services/webhook_processor/webhook_store.h"
#include "tests/support/invariants.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum { AMOUNT = 45000, PARK_FOR_S = 300 };

typedef struct fixture {
    const char *url;
    PGconn *pg;
    webhook_store_t *store;
} fixture_t;

static int setup(void **state)
{
    static fixture_t fixture;
    fixture.url = test_database();
    fixture.pg = PQconnectdb(fixture.url);
    assert_int_equal(PQstatus(fixture.pg), CONNECTION_OK);
    fixture.store = webhook_store_new(fixture.url, PARK_FOR_S);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    webhook_store_destroy(&fixture->store);
    PQfinish(fixture->pg);
    servers_stop();
    return 0;
}

/* ---- a small language for the tests ---- */

/* One text value, or "" for no row. */
__attribute__((format(printf, 3, 4))) static void query(fixture_t *fixture, char value[4096],
                                                        const char *format, ...)
{
    char sql[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    PGresult *result = PQexec(fixture->pg, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", PQerrorMessage(fixture->pg), sql);
    snprintf(value, 4096, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
}

typedef struct order_ids {
    uuid_t order_id, payment_ids[2];
} order_ids_t;

/* An order of AMOUNT INR with two payments whose checkouts are open. */
static order_ids_t make_order(fixture_t *fixture)
{
    order_ids_t ids = {uuid7_new(), {uuid7_new(), uuid7_new()}};
    char order[UUID_TEXT_SIZE], payment[UUID_TEXT_SIZE], attempt[UUID_TEXT_SIZE], value[4096];
    uuid_format(&ids.order_id, order);
    query(fixture, value,
          "SELECT status FROM orders_create('{%s}', '{u1}', '{%d}', '{INR}', '{NULL}', '{NULL}', "
          "'{NULL}', '{900}')",
          order, AMOUNT);
    assert_string_equal(value, "PENDING");
    for (int i = 0; i < 2; i++) {
        const uuid_t attempt_id = uuid7_new();
        query(fixture, value,
              "SELECT verdict FROM payments_begin('{%s}', '{%s}', '{UPI}', '{NULL}', '{NULL}', "
              "'{%s}', '{Razorpay}')",
              uuid_format(&ids.payment_ids[i], payment), order, uuid_format(&attempt_id, attempt));
        assert_string_equal(value, "ok");
    }
    return ids;
}

typedef struct event {
    const char *event_id;
    int payment; /* 0 or 1 */
    psp_fact_kind_t kind;
    const char *psp_ref;
    int64_t amount;
    const char *currency;
} event_t;

static webhook_item_t item_of(const order_ids_t *ids, const event_t *event)
{
    webhook_item_t item = {.psp = STR_LITERAL("Razorpay"),
                           .event_id = str_of(event->event_id),
                           .source = STR_LITERAL("webhook"),
                           .body = STR_LITERAL("{}"),
                           .received_at_us = clock_wall_us(),
                           .payment_id = ids->payment_ids[event->payment]};
    item.report.payment_id = item.payment_id;
    item.report.order_id = ids->order_id;
    item.report.kind = event->kind;
    item.report.ref_is_per_payment = true;
    item.report.amount = event->amount;
    item.report.occurred_at_us = 1;
    snprintf(item.report.psp_ref, sizeof item.report.psp_ref, "%s", event->psp_ref);
    snprintf(item.report.currency, sizeof item.report.currency, "%s", event->currency);
    return item;
}

static void apply(fixture_t *fixture, webhook_item_t *items, size_t count)
{
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    err_t err = webhook_store_apply(fixture->store, items, count, &result, &detail);
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), detail.text);
    PQclear(result);
}

static webhook_outcome_t apply_one(fixture_t *fixture, const order_ids_t *ids, const event_t *event)
{
    webhook_item_t item = item_of(ids, event);
    apply(fixture, &item, 1);
    return item.outcome;
}

/* Everything about an order that must not depend on the order of arrival, as one text. */
static void describe(fixture_t *fixture, const order_ids_t *ids, char text[4096])
{
    char order[UUID_TEXT_SIZE];
    query(
        fixture, text,
        "SELECT concat_ws('|', o.status, o.paid_amount,"
        " (SELECT string_agg(concat_ws(',', p.status, p.captured_amount, p.capture_count, "
        "p.mismatch_count, p.failure_count), ';'"
        "                    ORDER BY p.payment_id) FROM payments p WHERE p.order_id = o.order_id),"
        " (SELECT string_agg(concat_ws(',', f.kind, f.psp_ref, f.amount, f.currency, f.matches), "
        "';'"
        "                    ORDER BY f.payment_id, f.kind, f.psp_ref) FROM facts f WHERE "
        "f.order_id = o.order_id),"
        " (SELECT sum(e.amount) FROM ledger_entries e JOIN payments p USING (payment_id) WHERE "
        "p.order_id = o.order_id"
        "   AND e.account = 'merchant'),"
        " (SELECT count(*) FROM outbox x WHERE x.order_id = o.order_id AND x.type = "
        "'payment.confirmed'))"
        " FROM orders o WHERE o.order_id = '%s'",
        uuid_format(&ids->order_id, order));
}

static void assert_invariants(fixture_t *fixture)
{
    assert_invariants_hold(fixture->pg);
}

/* ---- tests ---- */

static const event_t right_capture = {"evt_1", 0, PSP_FACT_CAPTURED, "txn_1", AMOUNT, ""};

static void the_same_webhook_again_changes_nothing(void **state)
{
    fixture_t *fixture = *state;
    const order_ids_t ids = make_order(fixture);
    assert_int_equal(apply_one(fixture, &ids, &right_capture), WEBHOOK_APPLIED);
    char once[4096], twice[4096];
    describe(fixture, &ids, once);
    assert_int_equal(apply_one(fixture, &ids, &right_capture), WEBHOOK_DUPLICATE);
    describe(fixture, &ids, twice);
    assert_string_equal(once, twice);
    assert_non_null(strstr(once, "PAID|45000|"));
    assert_invariants(fixture);
}

static void the_same_fact_under_another_event_id_changes_nothing(void **state)
{
    fixture_t *fixture = *state;
    const order_ids_t ids = make_order(fixture);
    apply_one(fixture, &ids, &right_capture);
    event_t other = right_capture;
    other.event_id = "evt_2";
    assert_int_equal(apply_one(fixture, &ids, &other), WEBHOOK_DUPLICATE);
    assert_invariants(fixture);
}

static void an_event_id_seen_for_another_payment_is_another_event(void **state)
{
    fixture_t *fixture = *state;
    const order_ids_t first = make_order(fixture), second = make_order(fixture);
    assert_int_equal(apply_one(fixture, &first, &right_capture), WEBHOOK_APPLIED);
    assert_int_equal(apply_one(fixture, &second, &right_capture), WEBHOOK_APPLIED);
    char text[4096];
    describe(fixture, &second, text);
    assert_non_null(strstr(text, "PAID|45000|"));
    assert_invariants(fixture);
}

/* Everything that can happen to one payment, in every order, one by one and in batches, each event
 * twice. */
static void a_payment_ends_the_same_in_every_order_of_arrival(void **state)
{
    fixture_t *fixture = *state;
    static const event_t events[] = {{"e1", 0, PSP_FACT_CAPTURED, "t1", AMOUNT, ""},
                                     {"e2", 0, PSP_FACT_FAILED, "t0", AMOUNT, ""},
                                     {"e3", 0, PSP_FACT_CAPTURED, "t1", AMOUNT, "INR"},
                                     {"e4", 0, PSP_FACT_NONE, "", 0, ""},
                                     {"e5", 0, PSP_FACT_CAPTURED, "t2", AMOUNT, ""}};
    enum { COUNT = 5 };
    char expected[4096] = "", text[4096];
    int places[COUNT] = {0, 1, 2, 3, 4}, counters[COUNT] = {0}, permutations = 0, position = 0;
    for (;;) {
        const order_ids_t ids = make_order(fixture);
        webhook_item_t items[2 * COUNT];
        for (int i = 0; i < COUNT; i++) {
            items[i] = item_of(&ids, &events[places[i]]);
            items[2 * COUNT - 1 - i] = items[i];
        }
        for (size_t i = 0, size = 1 + (size_t)permutations % COUNT; i < 2 * COUNT; i += size)
            apply(fixture, items + i, i + size <= 2 * COUNT ? size : 2 * COUNT - i);
        describe(fixture, &ids, text);
        if (permutations++ == 0)
            memcpy(expected, text, sizeof expected);
        assert_string_equal(text, expected);
        /* Heap's algorithm, without recursion. */
        while (position < COUNT && counters[position] >= position)
            counters[position++] = 0;
        if (position == COUNT)
            break;
        const int from = position % 2 == 0 ? 0 : counters[position], held = places[from];
        places[from] = places[position];
        places[position] = held;
        counters[position]++;
        position = 1;
    }
    assert_int_equal(permutations, 120);
    assert_non_null(strstr(expected, "PAID|45000|SUCCESS,90000,2,0,1;"));
    assert_invariants(fixture);
}

static void exactly_one_of_two_successes_pays_the_order(void **state)
{
    fixture_t *fixture = *state;
    static const event_t second = {"evt_9", 1, PSP_FACT_CAPTURED, "txn_9", AMOUNT, ""};
    const order_ids_t ids = make_order(fixture);
    apply_one(fixture, &ids, &second);
    apply_one(fixture, &ids, &right_capture);
    char text[4096];
    describe(fixture, &ids, text);
    assert_non_null(strstr(text, "PAID|45000|SUCCESS,45000,1,0,0;SUCCESS,45000,1,0,0|"));
    assert_non_null(strstr(text, "|-45000|1"));
    assert_invariants(fixture);
}

static void another_amount_or_currency_is_a_mismatch_and_never_pays(void **state)
{
    fixture_t *fixture = *state;
    static const event_t wrong_amount = {"e1", 0, PSP_FACT_CAPTURED, "t1", AMOUNT - 1, ""};
    static const event_t wrong_currency = {"e2", 1, PSP_FACT_CAPTURED, "t2", AMOUNT, "USD"};
    const order_ids_t ids = make_order(fixture);
    apply_one(fixture, &ids, &wrong_amount);
    apply_one(fixture, &ids, &wrong_currency);
    char text[4096];
    describe(fixture, &ids, text);
    assert_non_null(strstr(text, "PENDING|0|MISMATCH,44999,1,1,0;MISMATCH,0,1,1,0|"));
    assert_invariants(fixture);
}

static void a_success_after_expiry_is_recorded_and_not_applied(void **state)
{
    fixture_t *fixture = *state;
    const order_ids_t ids = make_order(fixture);
    char order[UUID_TEXT_SIZE], text[4096];
    query(fixture, text,
          "UPDATE orders SET expires_at = now() - interval '1 s' WHERE order_id = '%s' RETURNING "
          "status",
          uuid_format(&ids.order_id, order));
    apply_one(fixture, &ids,
              &right_capture); /* due, though not swept yet: the database's clock decides */
    query(fixture, text, "SELECT type FROM orders_expire(10)");
    assert_string_equal(text, "order.expired");
    describe(fixture, &ids, text);
    assert_non_null(strstr(text, "EXPIRED|0|SUCCESS,45000,1,0,0;EXPIRED,"));
    query(fixture, text,
          "SELECT account FROM ledger_entries WHERE amount < 0 AND payment_id = '%s'",
          uuid_format(&ids.payment_ids[0], order));
    assert_string_equal(text, "unapplied");
    assert_invariants(fixture);
}

static void a_webhook_without_its_payment_is_parked_and_applied_later(void **state)
{
    fixture_t *fixture = *state;
    order_ids_t ids = make_order(fixture);
    const order_ids_t real = ids;
    ids.payment_ids[0] = uuid7_new();
    assert_int_equal(apply_one(fixture, &ids, &right_capture), WEBHOOK_PARKED);
    assert_int_equal(apply_one(fixture, &ids, &right_capture), WEBHOOK_PARKED);
    char order[UUID_TEXT_SIZE], payment[UUID_TEXT_SIZE], attempt[UUID_TEXT_SIZE], text[4096];
    const uuid_t attempt_id = uuid7_new();
    query(fixture, text,
          "SELECT verdict FROM payments_begin('{%s}', '{%s}', '{UPI}', '{NULL}', '{NULL}', '{%s}', "
          "'{Razorpay}')",
          uuid_format(&ids.payment_ids[0], payment), uuid_format(&ids.order_id, order),
          uuid_format(&attempt_id, attempt));
    assert_int_equal(apply_one(fixture, &ids, &right_capture), WEBHOOK_APPLIED);
    describe(fixture, &real, text);
    assert_non_null(strstr(text, "PAID|45000|"));
    assert_invariants(fixture);
}

static void a_webhook_whose_payment_never_comes_dies_with_its_reason(void **state)
{
    fixture_t *fixture = *state;
    const order_ids_t ids = {uuid7_new(), {uuid7_new(), uuid7_new()}};
    webhook_item_t item = item_of(&ids, &right_capture);
    item.received_at_us -= (PARK_FOR_S + 1) * INT64_C(1000000);
    apply(fixture, &item, 1);
    assert_int_equal(item.outcome, WEBHOOK_DEAD);
    assert_string_equal(item.reason, "PAYMENT_NOT_FOUND");
    PGresult *dead = NULL;
    err_detail_t detail = {{0}};
    assert_int_equal(webhook_store_dead_to_copy(fixture->store, 10, &dead, &detail), ERR_OK);
    assert_int_equal(PQntuples(dead), 1);
    assert_int_equal(webhook_store_dead_copied(fixture->store, dead, 1, &detail), ERR_OK);
    PQclear(dead);
    assert_int_equal(webhook_store_dead_to_copy(fixture->store, 10, &dead, &detail), ERR_OK);
    assert_int_equal(PQntuples(dead), 0);
    PQclear(dead);
    assert_invariants(fixture);
}

static void a_webhook_that_names_another_order_dies(void **state)
{
    fixture_t *fixture = *state;
    const order_ids_t ids = make_order(fixture);
    webhook_item_t item = item_of(&ids, &right_capture);
    item.report.order_id = uuid7_new();
    apply(fixture, &item, 1);
    assert_int_equal(item.outcome, WEBHOOK_DEAD);
    assert_string_equal(item.reason, "ORDER_MISMATCH");
    assert_invariants(fixture);
}

typedef struct racer {
    const char *url;
    webhook_item_t items[40];
    int applied;
} racer_t;

static void *race(void *arg)
{
    racer_t *racer = arg;
    webhook_store_t *store = webhook_store_new(racer->url, PARK_FOR_S);
    for (size_t i = 0; i < 40; i += 8) {
        PGresult *result = NULL;
        err_detail_t detail;
        if (webhook_store_apply(store, racer->items + i, 8, &result, &detail) == ERR_OK)
            for (size_t j = i; j < i + 8; j++)
                racer->applied += racer->items[j].outcome == WEBHOOK_APPLIED;
        PQclear(result);
    }
    webhook_store_destroy(&store);
    return NULL;
}

static void two_processors_with_the_same_webhooks_apply_each_once(void **state)
{
    fixture_t *fixture = *state;
    static racer_t racers[2];
    memset(racers, 0, sizeof racers);
    racers[0].url = racers[1].url = fixture->url;
    for (int i = 0; i < 20; i++) {
        const order_ids_t ids = make_order(fixture);
        racers[0].items[2 * i] = item_of(&ids, &right_capture);
        racers[0].items[2 * i + 1] =
            item_of(&ids, &(event_t){"evt_f", 1, PSP_FACT_FAILED, "txn_f", AMOUNT, ""});
    }
    for (int i = 0; i < 40; i++)
        racers[1].items[39 - i] = racers[0].items[i];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(racers[0].applied + racers[1].applied, 40);
    char text[4096];
    query(fixture, text, "SELECT count(*)::text FROM outbox");
    assert_string_equal(text, "40");
    assert_invariants(fixture);
}

static void the_ledger_refuses_what_does_not_balance_and_any_change(void **state)
{
    fixture_t *fixture = *state;
    const order_ids_t ids = make_order(fixture);
    apply_one(fixture, &ids, &right_capture);
    static const char *const forbidden[] = {
        "INSERT INTO ledger_entries SELECT txn_id, 9, '', 'INR', 5, payment_id FROM ledger_entries",
        "UPDATE ledger_entries SET amount = amount + 1", "DELETE FROM ledger_entries",
        "DELETE FROM facts", "UPDATE outbox SET payload = ''"};
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        PGresult *result = PQexec(fixture->pg, forbidden[i]);
        assert_int_equal(PQresultStatus(result), PGRES_FATAL_ERROR);
        PQclear(result);
    }
    assert_invariants(fixture);
}

/* ---- within one batch ---- */

static void an_event_id_repeated_in_one_batch_counts_once(void **state)
{
    fixture_t *fixture = *state;
    const order_ids_t ids = make_order(fixture);
    event_t other_txn = right_capture, failure = right_capture;
    other_txn.psp_ref = "txn_2";
    failure.kind = PSP_FACT_FAILED;
    webhook_item_t items[] = {item_of(&ids, &right_capture), item_of(&ids, &other_txn),
                              item_of(&ids, &failure)};
    apply(fixture, items, 3);
    assert_int_equal(items[0].outcome, WEBHOOK_APPLIED);
    assert_int_equal(items[1].outcome, WEBHOOK_DUPLICATE);
    assert_int_equal(items[2].outcome, WEBHOOK_DUPLICATE);
    char text[4096];
    describe(fixture, &ids, text);
    assert_non_null(strstr(text, "PAID|45000|SUCCESS,45000,1,0,0;")); /* as one by one */
    assert_invariants(fixture);
}

static void of_two_successes_in_one_batch_the_first_to_arrive_pays(void **state)
{
    fixture_t *fixture = *state;
    static const event_t first = {"evt_9", 1, PSP_FACT_CAPTURED, "txn_9", AMOUNT, ""};
    const order_ids_t ids = make_order(fixture);
    webhook_item_t items[] = {item_of(&ids, &first), item_of(&ids, &right_capture)};
    apply(fixture, items, 2);
    char payment[UUID_TEXT_SIZE], text[4096];
    query(fixture, text, "SELECT payment_id FROM payments WHERE applied");
    assert_string_equal(text, uuid_format(&ids.payment_ids[1], payment));
    assert_invariants(fixture);
}

/* Only what has had its effect may be remembered as handled. */
static void a_repetition_of_a_parked_webhook_is_parked_too(void **state)
{
    fixture_t *fixture = *state;
    order_ids_t ids = make_order(fixture);
    ids.payment_ids[0] = uuid7_new();
    webhook_item_t items[] = {item_of(&ids, &right_capture), item_of(&ids, &right_capture)};
    apply(fixture, items, 2);
    assert_int_equal(items[0].outcome, WEBHOOK_PARKED);
    assert_int_equal(items[1].outcome, WEBHOOK_PARKED);
    assert_invariants(fixture);
}

/* ---- what could not be read ---- */

/* As if this version could not read it. */
static webhook_item_t unreadable_of(const order_ids_t *ids, const event_t *event)
{
    webhook_item_t item = item_of(ids, event);
    webhook_item_fault(&item, "not understood");
    return item;
}

/* All that is parked and due, at most `capacity`, into items. The result is the caller's. */
static PGresult *claim(fixture_t *fixture, webhook_item_t *items, size_t capacity, size_t *count)
{
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    if (webhook_store_claim_parked(fixture->store, items, capacity, 10, count, &result, &detail) !=
        ERR_OK)
        fail_msg("%s", detail.text);
    return result;
}

static void a_dead_letter_that_is_read_better_now_is_decided_in_its_own_row(void **state)
{
    fixture_t *fixture = *state;
    const order_ids_t ids = make_order(fixture);
    webhook_item_t item = unreadable_of(&ids, &right_capture), parked[4];
    apply(fixture, &item, 1);
    assert_int_equal(item.outcome, WEBHOOK_DEAD);
    assert_string_equal(item.reason, "MALFORMED: not understood");
    char text[4096];
    query(fixture, text,
          "SELECT dead_letters_redrive(NULL, 'Razorpay', 'MALFORMED', 10, 'x')::text");
    assert_string_equal(text, "1");
    size_t count;
    PGresult *claimed = claim(fixture, parked, 4, &count);
    assert_int_equal(count, 1);
    assert_true(parked[0].inbox_id > 0);
    assert_true(uuid_equal(&parked[0].payment_id, &ids.payment_ids[0]));
    parked[0].report = item_of(&ids, &right_capture).report; /* this version can */
    apply(fixture, parked, 1);
    PQclear(claimed);
    assert_int_equal(parked[0].outcome, WEBHOOK_APPLIED);
    query(fixture, text,
          "SELECT string_agg(concat_ws(' ', outcome, reason, tries), ';') FROM inbox");
    assert_string_equal(text, "applied 2");
    describe(fixture, &ids, text);
    assert_non_null(strstr(text, "PAID|45000|"));
    assert_invariants(fixture);
}

static void a_dead_letter_that_fails_again_is_dead_again_with_its_new_reason(void **state)
{
    fixture_t *fixture = *state;
    const order_ids_t ids = make_order(fixture);
    webhook_item_t item = unreadable_of(&ids, &right_capture), parked[4];
    apply(fixture, &item, 1);
    char text[4096];
    query(fixture, text, "SELECT dead_letters_redrive(1, NULL, NULL, 1, 'x')::text");
    assert_string_equal(text, "1");
    size_t count;
    PGresult *claimed = claim(fixture, parked, 4, &count);
    assert_int_equal(count, 1);
    webhook_item_fault(&parked[0], "still not");
    apply(fixture, parked, 1);
    PQclear(claimed);
    assert_int_equal(parked[0].outcome, WEBHOOK_DEAD);
    query(fixture, text, "SELECT concat_ws(' ', reason, tries, redrives) FROM inbox");
    assert_string_equal(text, "MALFORMED: still not 2 1");
    assert_invariants(fixture);
}

static void a_delivery_that_can_be_read_opens_what_could_not(void **state)
{
    fixture_t *fixture = *state;
    const order_ids_t ids = make_order(fixture);
    webhook_item_t item = unreadable_of(&ids, &right_capture);
    apply(fixture, &item, 1);
    assert_int_equal(item.outcome, WEBHOOK_DEAD);
    apply(fixture, &item, 1); /* again: nothing new */
    assert_int_equal(item.outcome, WEBHOOK_DUPLICATE);
    assert_int_equal(apply_one(fixture, &ids, &right_capture), WEBHOOK_APPLIED);
    apply(fixture, &item, 1);
    assert_int_equal(item.outcome, WEBHOOK_DUPLICATE);
    char text[4096];
    query(fixture, text, "SELECT string_agg(outcome, ';') FROM inbox");
    assert_string_equal(text, "applied");
    describe(fixture, &ids, text);
    assert_non_null(strstr(text, "PAID|45000|"));
    assert_invariants(fixture);
}

static void of_one_event_in_one_batch_the_delivery_that_can_be_read_counts(void **state)
{
    fixture_t *fixture = *state;
    const order_ids_t ids = make_order(fixture);
    webhook_item_t items[] = {unreadable_of(&ids, &right_capture), item_of(&ids, &right_capture)};
    apply(fixture, items, 2);
    assert_int_equal(items[0].outcome, WEBHOOK_DUPLICATE);
    assert_int_equal(items[1].outcome, WEBHOOK_APPLIED);
    assert_invariants(fixture);
}

static void a_delivery_that_cannot_be_read_does_not_end_what_is_parked(void **state)
{
    fixture_t *fixture = *state;
    order_ids_t ids = make_order(fixture);
    ids.payment_ids[0] = uuid7_new();
    assert_int_equal(apply_one(fixture, &ids, &right_capture), WEBHOOK_PARKED);
    webhook_item_t item = unreadable_of(&ids, &right_capture);
    apply(fixture, &item, 1);
    assert_int_equal(item.outcome, WEBHOOK_PARKED);
    char text[4096];
    query(fixture, text, "SELECT concat_ws(' ', outcome, tries) FROM inbox");
    assert_string_equal(text, "parked 1");
    assert_invariants(fixture);
}

/* ---- parked rows ---- */

/* Whoever claims dies, again and again. */
static void of_parked_rows_that_were_claimed_in_vain_one_comes_at_a_time(void **state)
{
    fixture_t *fixture = *state;
    webhook_item_t items[4], fresh;
    char text[4096], event_id[16];
    for (int i = 0; i < 3; i++) {
        const order_ids_t ids = {uuid7_new(), {uuid7_new(), uuid7_new()}};
        event_t event = right_capture;
        snprintf(event_id, sizeof event_id, "evt_%d", i);
        event.event_id = event_id;
        assert_int_equal(apply_one(fixture, &ids, &event), WEBHOOK_PARKED);
    }
    size_t count;
    for (int claims = 1; claims <= WEBHOOK_DELIVERIES_TOGETHER; claims++) {
        query(fixture, text, "UPDATE inbox SET retry_at = now() RETURNING 1::text");
        PQclear(claim(fixture, items, 4, &count));
        assert_int_equal(count, 3);
        assert_int_equal(items[2].deliveries, claims);
        PQclear(claim(fixture, items, 4, &count)); /* leased */
        assert_int_equal(count, 0);
    }
    const order_ids_t ids = {uuid7_new(), {uuid7_new(), uuid7_new()}};
    apply_one(fixture, &ids, &right_capture);
    query(fixture, text, "UPDATE inbox SET retry_at = now() RETURNING 1::text");
    PGresult *claimed = claim(fixture, items, 4, &count);
    assert_int_equal(count, 2); /* the fresh one, and one that is taken alone */
    assert_int_equal(items[0].deliveries, 1);
    assert_int_equal(items[1].deliveries, WEBHOOK_DELIVERIES_TOGETHER + 1);
    fresh = items[1];
    fresh.report = item_of(&ids, &right_capture).report;
    fresh.report.payment_id = fresh.payment_id;
    apply(fixture, &fresh, 1); /* decided: it counts from the beginning */
    PQclear(claimed);
    query(fixture, text, "SELECT string_agg(deliveries::text, ' ' ORDER BY deliveries) FROM inbox");
    assert_string_equal(text, "0 1 3 3");
    assert_invariants(fixture);
}

/* ---- the feed ---- */

/* A gateway that starts between the two must not be placed after both: a transaction that waited
 * for its locks stores its event late under the time at which it began. */
static void a_report_that_is_announced_waits_for_its_reader(void **state)
{
    fixture_t *fixture = *state;
    static const webhook_outcome_t outcomes[] = {WEBHOOK_APPLIED, WEBHOOK_DUPLICATE};
    char value[4096];
    for (int i = 0; i < 2; i++) {
        webhook_item_t item = {.psp = STR_LITERAL("Adyen"),
                               .event_id = STR_LITERAL("REPORT_AVAILABLE_a.csv"),
                               .source = STR_LITERAL("webhook"),
                               .body = STR_LITERAL("{}"),
                               .received_at_us = clock_wall_us()};
        snprintf(item.report.announced, sizeof item.report.announced, "https://adyen/a.csv");
        apply(fixture, &item, 1);
        assert_int_equal(item.outcome, outcomes[i]);
        query(fixture, value,
              "SELECT string_agg(psp || ' ' || url || ' ' || (next_read_at <= now()), ', ') "
              "FROM settlement_reports");
        assert_string_equal(value, "Adyen https://adyen/a.csv true");
    }
    query(fixture, value, "SELECT count(*) FROM facts");
    assert_string_equal(value, "0");
    assert_invariants(fixture);
}

static void times_of_the_feed_follow_its_numbers(void **state)
{
    fixture_t *fixture = *state;
    const order_ids_t due = make_order(fixture), paid = make_order(fixture);
    char order[UUID_TEXT_SIZE], text[4096];
    PQclear(PQexec(fixture->pg, "BEGIN"));
    query(fixture, text, "SELECT now()");
    apply_one(fixture, &paid, &right_capture); /* on the store's own connection: event 1 */
    query(fixture, text,
          "UPDATE orders SET expires_at = now() WHERE order_id = '%s' RETURNING status",
          uuid_format(&due.order_id, order));
    query(fixture, text, "SELECT event_id FROM orders_expire(10)");
    assert_string_equal(text, "2");
    PQclear(PQexec(fixture->pg, "COMMIT"));
    query(fixture, text,
          "SELECT last_event_before((extract(epoch FROM created_at) * 1000000)::bigint)::text FROM "
          "outbox WHERE event_id = 1");
    assert_string_equal(text, "0");
    assert_invariants(fixture);
}

/* ---- payments that appear meanwhile ---- */

typedef struct late_payment {
    const char *url;
    webhook_item_t items[2];
    err_t err;
} late_payment_t;

static void *apply_late(void *arg)
{
    late_payment_t *late = arg;
    webhook_store_t *store = webhook_store_new(late->url, PARK_FOR_S);
    PGresult *result = NULL;
    err_detail_t detail;
    late->err = webhook_store_apply(store, late->items, 2, &result, &detail);
    PQclear(result);
    webhook_store_destroy(&store);
    return NULL;
}

static bool somebody_waits_for_the_ledger(void *arg)
{
    char text[4096];
    query(arg, text,
          "SELECT count(*)::text FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM "
          "pg_database WHERE datname = current_database()) AND relation = "
          "'ledger_transactions'::regclass");
    return strcmp(text, "0") != 0;
}

/* The batch is held up between its facts and its outcomes; there the payment is committed. */
static void a_payment_committed_while_its_webhook_is_decided_gets_its_capture(void **state)
{
    fixture_t *fixture = *state;
    const order_ids_t other = make_order(fixture), real = make_order(fixture);
    order_ids_t ids = real;
    ids.payment_ids[0] = uuid7_new();
    late_payment_t late = {
        .url = fixture->url,
        .items = {item_of(&other, &right_capture), item_of(&ids, &right_capture)}};
    PGconn *blocker = PQconnectdb(fixture->url);
    PQclear(PQexec(blocker, "BEGIN; LOCK TABLE ledger_transactions IN EXCLUSIVE MODE"));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, apply_late, &late), 0);
    wait_until(somebody_waits_for_the_ledger, fixture, 2000, "the batch does not reach the ledger");
    char order[UUID_TEXT_SIZE], payment[UUID_TEXT_SIZE], attempt[UUID_TEXT_SIZE], text[4096];
    const uuid_t attempt_id = uuid7_new();
    query(fixture, text,
          "SELECT verdict FROM payments_begin('{%s}', '{%s}', '{UPI}', '{NULL}', '{NULL}', '{%s}', "
          "'{Razorpay}')",
          uuid_format(&ids.payment_ids[0], payment), uuid_format(&ids.order_id, order),
          uuid_format(&attempt_id, attempt));
    PQclear(PQexec(blocker, "COMMIT"));
    PQfinish(blocker);
    pthread_join(thread, NULL);
    assert_int_equal(late.err, ERR_OK);
    assert_int_equal(late.items[1].outcome, WEBHOOK_PARKED);
    assert_int_equal(apply_one(fixture, &ids, &right_capture), WEBHOOK_APPLIED);
    describe(fixture, &real, text);
    assert_non_null(strstr(text, "PAID|45000|"));
    assert_invariants(fixture);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(the_same_webhook_again_changes_nothing, setup, teardown),
    cmocka_unit_test_setup_teardown(the_same_fact_under_another_event_id_changes_nothing, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(an_event_id_seen_for_another_payment_is_another_event, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_payment_ends_the_same_in_every_order_of_arrival, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(exactly_one_of_two_successes_pays_the_order, setup, teardown),
    cmocka_unit_test_setup_teardown(another_amount_or_currency_is_a_mismatch_and_never_pays, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_success_after_expiry_is_recorded_and_not_applied, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_webhook_without_its_payment_is_parked_and_applied_later,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(a_webhook_whose_payment_never_comes_dies_with_its_reason, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_webhook_that_names_another_order_dies, setup, teardown),
    cmocka_unit_test_setup_teardown(two_processors_with_the_same_webhooks_apply_each_once, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(the_ledger_refuses_what_does_not_balance_and_any_change, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(an_event_id_repeated_in_one_batch_counts_once, setup, teardown),
    cmocka_unit_test_setup_teardown(of_two_successes_in_one_batch_the_first_to_arrive_pays, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_repetition_of_a_parked_webhook_is_parked_too, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_dead_letter_that_is_read_better_now_is_decided_in_its_own_row,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(
        a_dead_letter_that_fails_again_is_dead_again_with_its_new_reason, setup, teardown),
    cmocka_unit_test_setup_teardown(a_delivery_that_can_be_read_opens_what_could_not, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(of_one_event_in_one_batch_the_delivery_that_can_be_read_counts,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(a_delivery_that_cannot_be_read_does_not_end_what_is_parked,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(of_parked_rows_that_were_claimed_in_vain_one_comes_at_a_time,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(a_report_that_is_announced_waits_for_its_reader, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(times_of_the_feed_follow_its_numbers, setup, teardown),
    cmocka_unit_test_setup_teardown(
        a_payment_committed_while_its_webhook_is_decided_gets_its_capture, setup, teardown),
};
TEST_MAIN(tests)
