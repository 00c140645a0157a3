/* test_reconciler_store.c - whom the reconciler asks, how often, and that two of them share the
 * work. */
#include "services/reconciler/reconciler_store.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum { RECONCILERS = 2, VALUE_SIZE = 256, DUE_MAX = 256, INTERVAL_S = 300, PAGE = 200 };

typedef struct fixture {
    char url[256];
    PGconn *admin; /* arranges and looks; the stores act */
    reconciler_store_t *stores[RECONCILERS];
} fixture_t;

static int setup(void **state)
{
    static fixture_t fixture;
    snprintf(fixture.url, sizeof fixture.url, "%s", test_database());
    fixture.admin = PQconnectdb(fixture.url);
    assert_int_equal(PQstatus(fixture.admin), CONNECTION_OK);
    for (int i = 0; i < RECONCILERS; i++)
        fixture.stores[i] = reconciler_store_new(fixture.url);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    for (int i = 0; i < RECONCILERS; i++)
        reconciler_store_destroy(&fixture->stores[i]);
    PQfinish(fixture->admin);
    servers_stop();
    return 0;
}

/* ---- a small language for the tests ---- */

/* The first value of a statement as text, "" for none. `id` is its $1. */
static const char *look(fixture_t *fixture, const char *sql, const uuid_t *id)
{
    static char value[VALUE_SIZE];
    char text[UUID_TEXT_SIZE];
    const char *values[] = {uuid_format(id, text)};
    PGresult *result = PQexecParams(fixture->admin, sql, 1, NULL, values, NULL, NULL, 0);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail_msg("%s: %s", PQerrorMessage(fixture->admin), sql);
    snprintf(value, sizeof value, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return value;
}

/* An order with one payment, whose attempts ended as `outcomes` says: "O" open, "R" refused, "U"
 * unknown, "-" not answered, at Razorpay, Cashfree, Juspay in turn. It is given up when all were
 * refused. */
static uuid_t make_payment(fixture_t *fixture, const char *outcomes)
{
    const uuid_t payment_id = uuid7_new();
    look(fixture,
         "WITH o AS (INSERT INTO orders (order_id, user_id, amount, currency, expires_at) "
         "VALUES ($1, 'u1', 45000, 'INR', now() + interval '1 h') RETURNING order_id) "
         "INSERT INTO payments (payment_id, order_id, method, amount, currency, psp, expires_at) "
         "SELECT $1, order_id, 'UPI', 45000, 'INR', 'Razorpay', now() + interval '1 h' FROM o",
         &payment_id);
    for (size_t i = 0; outcomes[i] != '\0'; i++) {
        char sql[512];
        snprintf(sql, sizeof sql,
                 "INSERT INTO attempts (attempt_id, payment_id, number, psp, outcome) SELECT "
                 "gen_random_uuid(), $1, %zu, "
                 "(ARRAY['Razorpay', 'Cashfree', 'Juspay'])[%zu], CASE '%c' WHEN 'O' THEN 'OPEN' "
                 "WHEN 'R' THEN 'REFUSED' "
                 "WHEN 'U' THEN 'UNKNOWN' END",
                 i + 1, i + 1, outcomes[i]);
        look(fixture, sql, &payment_id);
    }
    if (strspn(outcomes, "R") == strlen(outcomes))
        look(fixture, "UPDATE payments SET given_up_at = now() WHERE payment_id = $1", &payment_id);
    return payment_id;
}

typedef struct claim {
    int count;
    reconciler_due_t due[DUE_MAX];
} claim_t;

/* The next page of a run. */
static claim_t claim_in(reconciler_store_t *store, int64_t run_id, int at_most)
{
    claim_t claimed = {0};
    err_detail_t detail = {{0}};
    PGresult *result = NULL;
    if (reconciler_store_claim(store, run_id, at_most, INTERVAL_S, &result, &detail) != ERR_OK)
        fail_msg("%s", detail.text);
    claimed.count = PQntuples(result);
    assert_true(claimed.count <= DUE_MAX);
    for (int row = 0; row < claimed.count; row++)
        reconciler_store_due(result, row, &claimed.due[row]);
    PQclear(result);
    return claimed;
}

static int64_t begin_run(reconciler_store_t *store)
{
    err_detail_t detail = {{0}};
    int64_t run_id = 0;
    if (reconciler_store_begin(store, "reconciler-1", false, &run_id, &detail) != ERR_OK)
        fail_msg("%s", detail.text);
    return run_id;
}

/* The first page of a new run. */
static claim_t claim(reconciler_store_t *store, int at_most)
{
    return claim_in(store, begin_run(store), at_most);
}

/* ---- who is asked ---- */

static void a_payment_is_asked_about_where_its_checkout_is_open(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = make_payment(fixture, "RO");
    const claim_t claimed = claim(fixture->stores[0], PAGE);
    assert_int_equal(claimed.count, 1);
    assert_true(uuid_equal(&claimed.due[0].payment.payment_id, &payment_id));
    assert_true(uuid_equal(&claimed.due[0].payment.order_id, &payment_id));
    assert_string_equal(claimed.due[0].psp, "Cashfree");
    assert_false(claimed.due[0].failure_known);
}

static void every_psp_that_may_know_of_a_payment_is_asked(void **state)
{
    fixture_t *fixture = *state;
    make_payment(fixture, "URO");
    const claim_t claimed = claim(fixture->stores[0], PAGE);
    assert_int_equal(claimed.count, 2);
    assert_string_not_equal(claimed.due[0].psp, claimed.due[1].psp);
    for (int i = 0; i < 2; i++)
        assert_string_not_equal(claimed.due[i].psp, "Cashfree");
}

static void an_attempt_that_nobody_answered_is_asked_about(void **state)
{
    fixture_t *fixture = *state;
    make_payment(fixture, "-");
    const claim_t claimed = claim(fixture->stores[0], PAGE);
    assert_int_equal(claimed.count, 1);
    assert_string_equal(claimed.due[0].psp, "Razorpay");
}

static void a_captured_payment_is_not_asked_about(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = make_payment(fixture, "O");
    look(fixture,
         "UPDATE payments SET capture_count = 1, captured_amount = amount WHERE payment_id = $1",
         &payment_id);
    assert_int_equal(claim(fixture->stores[0], PAGE).count, 0);
}

static void a_failed_payment_is_still_asked_about_and_the_failure_is_told(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = make_payment(fixture, "O");
    look(fixture, "UPDATE payments SET failure_count = 1 WHERE payment_id = $1", &payment_id);
    const claim_t claimed = claim(fixture->stores[0], PAGE);
    assert_int_equal(claimed.count, 1);
    assert_true(claimed.due[0].failure_known);
}

static void what_every_psp_refused_is_claimed_once_and_never_again(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = make_payment(fixture, "RRR");
    const claim_t claimed = claim(fixture->stores[0], PAGE);
    assert_int_equal(claimed.count, 1);
    assert_string_equal(claimed.due[0].psp, "");
    assert_string_equal(
        look(fixture, "SELECT next_check_at FROM payments WHERE payment_id = $1", &payment_id), "");
}

static void refused_payments_do_not_hide_those_behind_them(void **state)
{
    fixture_t *fixture = *state;
    for (int i = 0; i < 3; i++)
        make_payment(fixture, "R");
    const uuid_t open_id = make_payment(fixture, "O");
    look(fixture,
         "UPDATE payments SET next_check_at = now() - interval '1 s' WHERE payment_id <> $1",
         &open_id);
    assert_int_equal(claim(fixture->stores[0], 3).count, 3);
    const claim_t claimed = claim(fixture->stores[0], 3);
    assert_int_equal(claimed.count, 1);
    assert_true(uuid_equal(&claimed.due[0].payment.payment_id, &open_id));
    assert_int_equal(claim(fixture->stores[0], 3).count, 0);
}

/* ---- how often ---- */

/* Seconds until the payment is due again after a claim at this age; -1: never. */
static long next_check_s(fixture_t *fixture, const char *age)
{
    const uuid_t payment_id = make_payment(fixture, "O");
    char sql[256];
    snprintf(sql, sizeof sql,
             "UPDATE payments SET created_at = now() - interval '%s', next_check_at = now() WHERE "
             "payment_id = $1",
             age);
    look(fixture, sql, &payment_id);
    assert_int_equal(claim(fixture->stores[0], PAGE).count, 1);
    const char *seconds = look(fixture,
                               "SELECT round(extract(epoch FROM next_check_at - now())) FROM "
                               "payments WHERE payment_id = $1",
                               &payment_id);
    return seconds[0] != '\0' ? strtol(seconds, NULL, 10) : -1;
}

static void assert_near(long actual_s, long expected_s)
{
    if (actual_s < expected_s - 5 || actual_s > expected_s + 5)
        fail_msg("%ld s, not %ld s", actual_s, expected_s);
}

static void a_young_payment_is_due_again_in_every_run(void **state)
{
    fixture_t *fixture = *state;
    assert_near(next_check_s(fixture, "1 s"), INTERVAL_S * 9 / 10);
    assert_near(next_check_s(fixture, "49 min"), INTERVAL_S * 9 / 10);
}

static void an_older_payment_is_due_after_a_tenth_of_its_age(void **state)
{
    fixture_t *fixture = *state;
    assert_near(next_check_s(fixture, "2 h"), 720);
    assert_near(next_check_s(fixture, "20 h"), 7200);
}

static void no_payment_is_left_alone_for_more_than_six_hours(void **state)
{
    fixture_t *fixture = *state;
    assert_near(next_check_s(fixture, "61 h"), 21600);
    assert_near(next_check_s(fixture, "167 h"), 21600);
}

static void after_a_week_nobody_is_asked_any_more(void **state)
{
    fixture_t *fixture = *state;
    assert_int_equal(next_check_s(fixture, "169 h"), -1);
}

static void what_is_claimed_is_not_due_before_its_time(void **state)
{
    fixture_t *fixture = *state;
    make_payment(fixture, "O");
    assert_int_equal(claim(fixture->stores[0], PAGE).count, 1);
    assert_int_equal(claim(fixture->stores[0], PAGE).count, 0);
    assert_int_equal(claim(fixture->stores[1], PAGE).count, 0);
}

static void a_run_claims_nothing_that_became_due_later(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = make_payment(fixture, "O");
    const int64_t run_id = begin_run(fixture->stores[0]);
    assert_int_equal(claim_in(fixture->stores[0], run_id, PAGE).count, 1);
    look(fixture, "UPDATE payments SET next_check_at = now() WHERE payment_id = $1", &payment_id);
    assert_int_equal(claim_in(fixture->stores[0], run_id, PAGE).count, 0);
    assert_int_equal(claim(fixture->stores[0], PAGE).count, 1);
}

static void what_is_due_longest_is_claimed_first(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t first_id = make_payment(fixture, "O"), second_id = make_payment(fixture, "O");
    look(fixture,
         "UPDATE payments SET next_check_at = now() - interval '1 min' WHERE payment_id = $1",
         &second_id);
    const claim_t claimed = claim(fixture->stores[0], 1);
    assert_int_equal(claimed.count, 1);
    assert_true(uuid_equal(&claimed.due[0].payment.payment_id, &second_id));
    const claim_t rest = claim(fixture->stores[0], 1);
    assert_int_equal(rest.count, 1);
    assert_true(uuid_equal(&rest.due[0].payment.payment_id, &first_id));
}

/* ---- two reconcilers ---- */

typedef struct claimer {
    reconciler_store_t *store;
    pthread_barrier_t *start;
    int64_t run_id;
    err_t err;
    int count;
    uuid_t claimed[DUE_MAX];
} claimer_t;

static void *claim_all(void *arg)
{
    claimer_t *claimer = arg;
    pthread_barrier_wait(claimer->start);
    for (;;) {
        err_detail_t detail = {{0}};
        PGresult *result = NULL;
        claimer->err = reconciler_store_claim(claimer->store, claimer->run_id, 7, INTERVAL_S,
                                              &result, &detail);
        const int rows = claimer->err == ERR_OK ? PQntuples(result) : 0;
        for (int row = 0; row < rows && claimer->count < DUE_MAX; row++)
            claimer->claimed[claimer->count++] = pg_get_uuid(result, row, 0);
        PQclear(result);
        if (rows == 0)
            return NULL;
    }
}

static void two_reconcilers_claim_each_payment_once(void **state)
{
    fixture_t *fixture = *state;
    enum { PAYMENTS = 100 };
    static claimer_t claimers[RECONCILERS];
    pthread_barrier_t start;
    pthread_t threads[RECONCILERS];
    memset(claimers, 0, sizeof claimers);
    for (int i = 0; i < PAYMENTS; i++)
        make_payment(fixture, "O");
    assert_int_equal(pthread_barrier_init(&start, NULL, RECONCILERS), 0);
    for (int i = 0; i < RECONCILERS; i++) {
        claimers[i].store = fixture->stores[i];
        claimers[i].start = &start;
        claimers[i].run_id = begin_run(fixture->stores[i]);
        assert_int_equal(pthread_create(&threads[i], NULL, claim_all, &claimers[i]), 0);
    }
    for (int i = 0; i < RECONCILERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
    /* One that found everything locked by the other may have ended early; what is left over is
     * claimed now. */
    const claim_t rest = claim(fixture->stores[0], PAGE);
    assert_int_equal(claimers[0].count + claimers[1].count + rest.count, PAYMENTS);
    for (int i = 0; i < claimers[0].count; i++)
        for (int j = 0; j < claimers[1].count; j++)
            assert_false(uuid_equal(&claimers[0].claimed[i], &claimers[1].claimed[j]));
}

/* ---- the record of runs, rights ---- */

static void a_run_leaves_a_record_of_what_it_came_to(void **state)
{
    fixture_t *fixture = *state;
    const reconciler_counts_t counts = {.asked = 7, .news = 2, .errors = 1};
    const uuid_t unused = {{0}};
    err_detail_t detail = {{0}};
    int64_t run_id = 0;
#define RUN                                                                                      \
    "SELECT instance || ' ' || (finished_at IS NOT NULL) || ' ' || asked || ' ' || news || ' ' " \
    "|| "                                                                                        \
    "errors FROM reconciliation_runs WHERE $1::uuid IS NOT NULL"
    assert_int_equal(
        reconciler_store_begin(fixture->stores[0], "reconciler-1", false, &run_id, &detail),
        ERR_OK);
    assert_true(run_id > 0);
    assert_string_equal(look(fixture, RUN, &unused), "reconciler-1 false 0 0 0");
    assert_int_equal(reconciler_store_finish(fixture->stores[0], run_id, &counts, &detail), ERR_OK);
    assert_string_equal(look(fixture, RUN, &unused), "reconciler-1 true 7 2 1");
}

static void who_asks_for_everything_claims_what_was_asked_about_lately(void **state)
{
    fixture_t *fixture = *state;
    reconciler_store_t *store = fixture->stores[0];
    const uuid_t open = make_payment(fixture, "O"), done = make_payment(fixture, "O"),
                 old = make_payment(fixture, "O");
    look(fixture, "UPDATE payments SET capture_count = 1 WHERE payment_id = $1", &done);
    look(fixture, "UPDATE payments SET next_check_at = NULL WHERE payment_id = $1", &old);
    assert_int_equal(claim(store, PAGE).count, 1);
    assert_int_equal(claim(store, PAGE).count, 0);
    err_detail_t detail = {{0}};
    int64_t run_id = 0;
    assert_int_equal(reconciler_store_begin(store, "reconciler-1", true, &run_id, &detail), ERR_OK);
    const claim_t again = claim_in(store, run_id, PAGE);
    assert_int_equal(again.count, 1);
    assert_true(uuid_equal(&again.due[0].payment.payment_id, &open));
    assert_int_equal(claim_in(store, run_id, PAGE).count, 0);
}

static void runs_are_listed_newest_first_page_by_page(void **state)
{
    fixture_t *fixture = *state;
    reconciler_store_t *store = fixture->stores[0];
    int64_t runs[3];
    char expected[64];
    err_detail_t detail = {{0}};
    for (size_t i = 0; i < 3; i++)
        runs[i] = begin_run(store);
    const reconciler_counts_t counts = {.asked = 7, .news = 5, .errors = 2};
    assert_int_equal(reconciler_store_finish(store, runs[2], &counts, &detail), ERR_OK);
    PGresult *page = NULL;
    assert_int_equal(reconciler_store_page(store, 0, 2, &page, &detail), ERR_OK);
    const str_t first = pg_get_text(page, 0, 0);
    snprintf(expected, sizeof expected, "{\"data\":[{\"id\":%lld,", (long long)runs[2]);
    assert_memory_equal(first.data, expected, strlen(expected));
    assert_non_null(strstr(first.data, "\"asked\":7,\"news\":5,\"errors\":2},"));
    snprintf(expected, sizeof expected, "\"next_cursor\":%lld}", (long long)runs[1]);
    assert_string_equal(first.data + first.size - strlen(expected), expected);
    PQclear(page);
    assert_int_equal(reconciler_store_page(store, runs[1], 2, &page, &detail), ERR_OK);
    const str_t last = pg_get_text(page, 0, 0);
    snprintf(expected, sizeof expected, "{\"data\":[{\"id\":%lld,", (long long)runs[0]);
    assert_memory_equal(last.data, expected, strlen(expected));
    assert_non_null(strstr(last.data, "\"finished_at\":null"));
    assert_non_null(strstr(last.data, "\"next_cursor\":null}"));
    PQclear(page);
}

static void what_is_old_is_forgotten_in_steps(void **state)
{
    fixture_t *fixture = *state;
    err_detail_t detail = {{0}};
    int64_t forgotten;
    const uuid_t none = {{0}};
    look(fixture,
         "INSERT INTO inbox (psp, event_id, payment_ref, source, body, received_at, recorded_at, "
         "outcome) SELECT 'Razorpay', n::text, coalesce($1::text, ''), 'webhook', 'x', now(), "
         "now() - n * interval '10 days', 'applied' FROM generate_series(9, 1, -1) n",
         &none);
    const int64_t wanted[] = {3, 2, 0}; /* those of 90, 80 … 50 days; then none */
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        assert_int_equal(
            reconciler_store_forget(fixture->stores[0], 45, 35, 3, &forgotten, &detail), ERR_OK);
        assert_int_equal(forgotten, wanted[i]);
    }
    assert_string_equal(look(fixture, "SELECT count($1::uuid) FROM inbox", &none), "4");
}

static void the_reconcilers_role_can_write_no_payment_state(void **state)
{
    fixture_t *fixture = *state;
    static const char *const forbidden[] = {
        "UPDATE payments SET capture_count = 1",
        "INSERT INTO facts (psp) VALUES ('Razorpay')",
        "SELECT * FROM payments",
        "DELETE FROM outbox",
        "SELECT * FROM attempts_record('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
    };
    PQclear(PQexec(fixture->admin, "SET ROLE tiffin_reconciler"));
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        PGresult *result = PQexec(fixture->admin, forbidden[i]);
        assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE),
                            "42501"); /* insufficient_privilege */
        PQclear(result);
    }
    PGresult *result = PQexec(fixture->admin, "SELECT * FROM status_checks_claim(1, 1, 300)");
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    PQclear(result);
}

/* ---- settlement reports ---- */

typedef struct reports {
    int count;
    reconciler_report_t of[64];
} reports_t;

/* Those of Razorpay and Stripe. */
static reports_t claim_reports(reconciler_store_t *store, bool everything)
{
    const psp_t *const psps[] = {psp_find(str_of("Razorpay")), psp_find(str_of("Stripe"))};
    reports_t reports = {0};
    err_detail_t detail = {{0}};
    PGresult *result = NULL;
    if (reconciler_store_claim_reports(store, psps, 2, everything, 64, 120, &result, &detail) !=
        ERR_OK)
        fail_msg("%s", detail.text);
    reports.count = PQntuples(result);
    for (int row = 0; row < reports.count; row++)
        reconciler_store_report(result, row, &reports.of[row]);
    PQclear(result);
    return reports;
}

static void say_read(fixture_t *fixture, const reconciler_report_t *report, const char *next)
{
    err_detail_t detail = {{0}};
    if (reconciler_store_report_read(fixture->stores[0], report, next, 1, INTERVAL_S, 120,
                                     &detail) != ERR_OK)
        fail_msg("%s", detail.text);
}

static const uuid_t nobody;

static void two_reconcilers_read_each_report_once(void **state)
{
    fixture_t *fixture = *state;
    const reports_t first = claim_reports(fixture->stores[0], false);
    assert_int_equal(first.count, 4); /* yesterday's and today's of each */
    for (int i = 0; i < first.count; i++) {
        assert_string_equal(first.of[i].query.cursor, "");
        assert_int_equal(first.of[i].query.day_us % INT64_C(86400000000), 0);
    }
    assert_int_equal(claim_reports(fixture->stores[1], false).count, 0);
    assert_int_equal(claim_reports(fixture->stores[1], true).count, 0);
    for (int i = 0; i < first.count; i++)
        say_read(fixture, &first.of[i], "");
    assert_int_equal(claim_reports(fixture->stores[1], false).count, 0);
    look(fixture, "UPDATE settlement_reports SET next_read_at = now() WHERE $1::uuid IS NOT NULL",
         &nobody);
    assert_int_equal(claim_reports(fixture->stores[1], false).count, 4);
}

static void who_asks_for_everything_reads_what_was_read_lately(void **state)
{
    fixture_t *fixture = *state;
    const reports_t first = claim_reports(fixture->stores[0], false);
    for (int i = 0; i < first.count; i++)
        say_read(fixture, &first.of[i], "");
    assert_int_equal(claim_reports(fixture->stores[0], true).count, 4);
}

static void a_report_that_its_reader_left_goes_on_with_the_page_remembered(void **state)
{
    fixture_t *fixture = *state;
    const reports_t first = claim_reports(fixture->stores[0], false);
    for (int i = 0; i < first.count; i++)
        say_read(fixture, &first.of[i], "page-2");
    assert_int_equal(claim_reports(fixture->stores[1], false).count, 0);
    look(fixture, "UPDATE settlement_reports SET leased_until = now() WHERE $1::uuid IS NOT NULL",
         &nobody);
    const reports_t second = claim_reports(fixture->stores[1], false);
    assert_int_equal(second.count, 4);
    for (int i = 0; i < second.count; i++)
        assert_string_equal(second.of[i].query.cursor, "page-2");
}

static void who_asks_for_everything_gets_it_though_not_at_once(void **state)
{
    fixture_t *fixture = *state;
    const psp_t *const psps[] = {psp_find(str_of("Razorpay")), psp_find(str_of("Stripe"))};
    const reports_t first = claim_reports(fixture->stores[0], false);
    int claimed = 0;
    for (int i = 0; i < first.count; i++)
        say_read(fixture, &first.of[i], "");
    for (int i = 0; i < 3; i++) { /* room for three, then for the rest, then there is nothing */
        err_detail_t detail = {{0}};
        PGresult *result = NULL;
        assert_int_equal(reconciler_store_claim_reports(fixture->stores[0], psps, 2, i == 0, 3, 120,
                                                        &result, &detail),
                         ERR_OK);
        claimed += PQntuples(result);
        assert_int_equal(claimed, i == 0 ? 3 : 4);
        PQclear(result);
    }
}

static void a_report_that_was_announced_is_read_once(void **state)
{
    fixture_t *fixture = *state;
    const psp_t *const psps[] = {psp_find(str_of("Adyen"))};
    err_detail_t detail = {{0}};
    PGresult *result = NULL;
    reconciler_report_t report;
    look(fixture,
         "INSERT INTO settlement_reports (psp, day, url) SELECT 'Adyen', current_date, "
         "'https://a/' || n FROM generate_series(1, 2) AS n WHERE $1::uuid IS NOT NULL",
         &nobody);
    assert_int_equal(claim_reports(fixture->stores[0], true).count, 4); /* the others' alone */
    for (int round = 0; round < 2; round++) {
        assert_int_equal(reconciler_store_claim_reports(fixture->stores[0], psps, 1, true, 64, 120,
                                                        &result, &detail),
                         ERR_OK);
        assert_int_equal(PQntuples(result), round == 0 ? 2 : 1);
        reconciler_store_report(result, 0, &report);
        assert_string_equal(report.psp, "Adyen");
        if (round == 0) { /* one is left in the middle, the other is read */
            assert_string_equal(report.query.url, "https://a/1");
            say_read(fixture, &report, "17");
            reconciler_store_report(result, 1, &report);
            assert_string_equal(report.query.url, "https://a/2");
            say_read(fixture, &report, "");
            look(fixture,
                 "UPDATE settlement_reports SET leased_until = now() WHERE $1::uuid IS NOT NULL",
                 &nobody);
        } else {
            assert_string_equal(report.query.url, "https://a/1");
            assert_string_equal(report.query.cursor, "17");
        }
        PQclear(result);
    }
}

static void
a_report_that_failed_is_due_again_and_where_it_was_left_or_from_its_beginning(void **state)
{
    fixture_t *fixture = *state;
    err_detail_t detail;
    const reports_t first = claim_reports(fixture->stores[0], false);
    assert_int_equal(first.count, 4);
    for (int i = 0; i < first.count; i++) {
        say_read(fixture, &first.of[i], "page-2");
        assert_int_equal(reconciler_store_report_failed(fixture->stores[0], &first.of[i],
                                                        i % 2 == 0, 0, &detail),
                         ERR_OK);
    }
    const reports_t second = claim_reports(fixture->stores[1], false);
    int beginnings = 0;
    assert_int_equal(second.count, 4);
    for (int i = 0; i < second.count; i++)
        beginnings += second.of[i].query.cursor[0] == '\0' ? 1 : 0;
    assert_int_equal(beginnings, 2);
}

static void days_that_nobody_has_read_are_read_once(void **state)
{
    fixture_t *fixture = *state;
    look(
        fixture,
        "INSERT INTO settlement_reports (psp, day, next_read_at) SELECT 'Razorpay', (now() AT TIME "
        "ZONE 'UTC')::date - 5, NULL WHERE $1::uuid IS NOT NULL",
        &nobody);
    const reports_t first = claim_reports(fixture->stores[0], false);
    assert_int_equal(first.count, 5 + 2);
    for (int i = 0; i < first.count; i++)
        say_read(fixture, &first.of[i], "");
    assert_int_equal(claim_reports(fixture->stores[0], true).count, 4);
    assert_string_equal(look(fixture,
                             "SELECT count(*) FROM settlement_reports WHERE next_read_at IS NULL "
                             "AND $1::uuid IS NOT NULL",
                             &nobody),
                        "4");
}

static void lines_that_the_inbox_has_are_no_news(void **state)
{
    fixture_t *fixture = *state;
    psp_report_t lines[3] = {
        {.event_id = "settlement_1"}, {.event_id = "settlement_2"}, {.event_id = "settlement_1"}};
    bool news[3];
    err_detail_t detail = {{0}};
    lines[0].payment_id = lines[1].payment_id = uuid7_new();
    look(
        fixture,
        "INSERT INTO inbox (psp, event_id, payment_ref, source, body, received_at, outcome) VALUES "
        "('Stripe', 'settlement_1', $1, 'settlement', '', now(), 'dead')",
        &lines[0].payment_id);
    if (reconciler_store_news(fixture->stores[0], "Stripe", lines, 3, news, &detail) != ERR_OK)
        fail_msg("%s", detail.text);
    assert_false(news[0]);
    assert_true(news[1]);
    assert_true(news[2]); /* of another payment: another line */
    assert_int_equal(reconciler_store_news(fixture->stores[0], "Razorpay", lines, 3, news, &detail),
                     ERR_OK);
    assert_true(news[0]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_payment_is_asked_about_where_its_checkout_is_open, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(every_psp_that_may_know_of_a_payment_is_asked, setup, teardown),
    cmocka_unit_test_setup_teardown(an_attempt_that_nobody_answered_is_asked_about, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_captured_payment_is_not_asked_about, setup, teardown),
    cmocka_unit_test_setup_teardown(a_failed_payment_is_still_asked_about_and_the_failure_is_told,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(what_every_psp_refused_is_claimed_once_and_never_again, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(refused_payments_do_not_hide_those_behind_them, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_young_payment_is_due_again_in_every_run, setup, teardown),
    cmocka_unit_test_setup_teardown(an_older_payment_is_due_after_a_tenth_of_its_age, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(no_payment_is_left_alone_for_more_than_six_hours, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(after_a_week_nobody_is_asked_any_more, setup, teardown),
    cmocka_unit_test_setup_teardown(what_is_claimed_is_not_due_before_its_time, setup, teardown),
    cmocka_unit_test_setup_teardown(a_run_claims_nothing_that_became_due_later, setup, teardown),
    cmocka_unit_test_setup_teardown(what_is_due_longest_is_claimed_first, setup, teardown),
    cmocka_unit_test_setup_teardown(two_reconcilers_claim_each_payment_once, setup, teardown),
    cmocka_unit_test_setup_teardown(a_run_leaves_a_record_of_what_it_came_to, setup, teardown),
    cmocka_unit_test_setup_teardown(who_asks_for_everything_claims_what_was_asked_about_lately,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(runs_are_listed_newest_first_page_by_page, setup, teardown),
    cmocka_unit_test_setup_teardown(what_is_old_is_forgotten_in_steps, setup, teardown),
    cmocka_unit_test_setup_teardown(two_reconcilers_read_each_report_once, setup, teardown),
    cmocka_unit_test_setup_teardown(who_asks_for_everything_gets_it_though_not_at_once, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_report_that_was_announced_is_read_once, setup, teardown),
    cmocka_unit_test_setup_teardown(who_asks_for_everything_reads_what_was_read_lately, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_report_that_its_reader_left_goes_on_with_the_page_remembered,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(
        a_report_that_failed_is_due_again_and_where_it_was_left_or_from_its_beginning, setup,
        teardown),
    cmocka_unit_test_setup_teardown(days_that_nobody_has_read_are_read_once, setup, teardown),
    cmocka_unit_test_setup_teardown(lines_that_the_inbox_has_are_no_news, setup, teardown),
    cmocka_unit_test_setup_teardown(the_reconcilers_role_can_write_no_payment_state, setup,
                                    teardown),
};

TEST_MAIN(tests)
