/* test_router_store.c - payments and attempts on real PostgreSQL: begun once, resumed, moved on,
 * given up, and what two routers at one payment do to each other. */
#include "services/router/router_store.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum { AMOUNT = 45000, ROUTERS = 2, VALUE_SIZE = 512 };

typedef struct fixture {
    char url[256];
    PGconn *admin; /* arranges and looks; the stores act */
    router_store_t *stores[ROUTERS];
} fixture_t;

static int setup(void **state)
{
    static fixture_t fixture;
    snprintf(fixture.url, sizeof fixture.url, "%s", test_database());
    fixture.admin = PQconnectdb(fixture.url);
    assert_int_equal(PQstatus(fixture.admin), CONNECTION_OK);
    for (int i = 0; i < ROUTERS; i++)
        fixture.stores[i] = router_store_new(fixture.url);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    for (int i = 0; i < ROUTERS; i++)
        router_store_destroy(&fixture->stores[i]);
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

static void assert_looks(fixture_t *fixture, const char *sql, const uuid_t *id,
                         const char *expected)
{
    assert_string_equal(look(fixture, sql, id), expected);
}

static uuid_t make_order(fixture_t *fixture)
{
    const uuid_t order_id = uuid7_new();
    look(fixture,
         "SELECT status FROM orders_create(ARRAY[$1]::uuid[], '{u1}', '{45000}', '{INR}', "
         "'{NULL}', '{NULL}', '{NULL}', '{900}')",
         &order_id);
    return order_id;
}

static void expire_order(fixture_t *fixture, const uuid_t *order_id)
{
    look(fixture, "UPDATE orders SET expires_at = now() - interval '1 s' WHERE order_id = $1",
         order_id);
}

/* A payment on its way: what a router knows of it. */
typedef struct payment {
    payment_initiate_t request;
    router_position_t position;
} payment_t;

static payment_t payment_for(const uuid_t *order_id)
{
    return (payment_t){.request = {.payment_id = uuid7_new(),
                                   .order_id = *order_id,
                                   .method = STR_LITERAL("UPI")}};
}

static void begin(router_store_t *store, payment_t *payment)
{
    const router_begin_t row = {
        .request = &payment->request, .attempt_id = uuid7_new(), .psp = "Razorpay"};
    err_detail_t detail = {{0}};
    PGresult *result = NULL;
    if (router_store_begin(store, &row, 1, &result, &detail) != ERR_OK)
        fail_msg("%s", detail.text);
    assert_int_equal(PQntuples(result), 1);
    router_store_position(result, 0, &payment->position);
    PQclear(result);
}

static payment_t begun(fixture_t *fixture)
{
    const uuid_t order_id = make_order(fixture);
    payment_t payment = payment_for(&order_id);
    begin(fixture->stores[0], &payment);
    assert_int_equal(payment.position.verdict, ROUTER_OK);
    return payment;
}

static psp_checkout_answer_t answer_of(psp_checkout_outcome_t outcome, const char *text)
{
    psp_checkout_answer_t answer = {.outcome = outcome};
    if (outcome == PSP_CHECKOUT_OPEN) {
        snprintf(answer.psp_ref, sizeof answer.psp_ref, "ref_%s", text);
        snprintf(answer.checkout_url, sizeof answer.checkout_url, "https://psp/%s", text);
    } else {
        snprintf(answer.reason, sizeof answer.reason, "%s", text);
    }
    return answer;
}

static void record_rows(router_store_t *store, const router_record_t *records, size_t count,
                        router_position_t *positions)
{
    err_detail_t detail = {{0}};
    PGresult *result = NULL;
    if (router_store_record(store, records, count, &result, &detail) != ERR_OK)
        fail_msg("%s", detail.text);
    assert_int_equal(PQntuples(result), count);
    for (size_t i = 0; i < count; i++)
        router_store_position(result, (int)i, &positions[i]);
    PQclear(result);
}

static const char GIVE_UP[] = "give up";

/* Records how the newest attempt that this router knows of ended, and what comes next: the name of
 * a PSP, GIVE_UP or NULL. */
static void record(router_store_t *store, payment_t *payment, psp_checkout_outcome_t outcome,
                   const char *text, const char *next)
{
    const psp_checkout_answer_t answer = answer_of(outcome, text);
    router_record_t row = {
        .attempt_id = payment->position.attempt_id, .answer = &answer, .took_ms = 12};
    if (next == GIVE_UP) {
        row.give_up = true;
    } else if (next != NULL) {
        row.next_psp = next;
        row.next_attempt_id = uuid7_new();
    }
    record_rows(store, &row, 1, &payment->position);
}

#define STATUS "SELECT status FROM payments WHERE payment_id = $1"
#define ATTEMPTS                                                                                   \
    "SELECT coalesce(string_agg(psp || ' ' || coalesce(outcome, '-'), ', ' ORDER BY number), '') " \
    "FROM attempts WHERE payment_id = $1"

/* ---- beginning ---- */

static void a_payment_is_there_with_its_first_attempt(void **state)
{
    fixture_t *fixture = *state;
    const payment_t payment = begun(fixture);
    const router_position_t *position = &payment.position;
    assert_true(uuid_equal(&position->payment_id, &payment.request.payment_id));
    assert_true(uuid_equal(&position->order_id, &payment.request.order_id));
    assert_int_equal(position->amount, AMOUNT);
    assert_string_equal(position->currency, "INR");
    assert_string_equal(position->method, "UPI");
    assert_string_equal(position->psp, "Razorpay");
    assert_string_equal(position->tried_psps, "Razorpay");
    assert_string_equal(position->status, "PENDING");
    assert_string_equal(position->requested_psp, "");
    assert_string_equal(position->checkout_url, "");
    assert_false(position->answered);
    assert_false(position->given_up);
    assert_true(position->expires_at_us > clock_wall_us());
    assert_looks(fixture, ATTEMPTS, &payment.request.payment_id, "Razorpay -");
}

static void a_repeated_begin_resumes_the_same_attempt(void **state)
{
    fixture_t *fixture = *state;
    const payment_t first = begun(fixture);
    payment_t again = {.request = first.request};
    begin(fixture->stores[1], &again);
    assert_int_equal(again.position.verdict, ROUTER_OK);
    assert_true(uuid_equal(&again.position.attempt_id, &first.position.attempt_id));
    assert_looks(fixture, ATTEMPTS, &first.request.payment_id, "Razorpay -");
}

static void what_was_asked_for_is_kept_for_who_resumes_it(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t order_id = make_order(fixture);
    payment_t payment = payment_for(&order_id);
    payment.request.psp = STR_LITERAL("razorPAY");
    payment.request.return_url = STR_LITERAL("https://shop/back");
    begin(fixture->stores[0], &payment);
    assert_string_equal(payment.position.requested_psp, "Razorpay");
    assert_string_equal(payment.position.return_url, "https://shop/back");
}

static void a_payment_of_an_unknown_order_is_not_written(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t order_id = uuid7_new();
    payment_t payment = payment_for(&order_id);
    begin(fixture->stores[0], &payment);
    assert_int_equal(payment.position.verdict, ROUTER_ORDER_NOT_FOUND);
    assert_looks(fixture, STATUS, &payment.request.payment_id, "");
}

static void an_expired_order_takes_no_payment_even_before_it_is_marked(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t order_id = make_order(fixture);
    expire_order(fixture, &order_id);
    payment_t payment = payment_for(&order_id);
    begin(fixture->stores[0], &payment);
    assert_int_equal(payment.position.verdict, ROUTER_ORDER_NOT_PAYABLE);
    assert_looks(fixture, STATUS, &payment.request.payment_id, "");
}

static void a_paid_order_takes_no_payment(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t order_id = make_order(fixture);
    look(fixture, "UPDATE orders SET paid_amount = amount WHERE order_id = $1", &order_id);
    payment_t payment = payment_for(&order_id);
    begin(fixture->stores[0], &payment);
    assert_int_equal(payment.position.verdict, ROUTER_ORDER_NOT_PAYABLE);
}

static void a_cancelled_order_takes_no_payment(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t order_id = make_order(fixture);
    look(fixture, "UPDATE orders SET cancelled_at = now() WHERE order_id = $1", &order_id);
    payment_t payment = payment_for(&order_id);
    begin(fixture->stores[0], &payment);
    assert_int_equal(payment.position.verdict, ROUTER_ORDER_NOT_PAYABLE);
}

static void a_payment_id_of_another_order_is_a_conflict(void **state)
{
    fixture_t *fixture = *state;
    const payment_t first = begun(fixture);
    const uuid_t other_order_id = make_order(fixture);
    payment_t second = payment_for(&other_order_id);
    second.request.payment_id = first.request.payment_id;
    begin(fixture->stores[0], &second);
    assert_int_equal(second.position.verdict, ROUTER_ID_CONFLICT);
}

static void each_row_of_a_batch_is_answered_in_its_place(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t order_id = make_order(fixture), unknown_id = uuid7_new();
    payment_t payments[4] = {payment_for(&order_id), payment_for(&unknown_id),
                             payment_for(&order_id)};
    payments[3] = payments[0]; /* the same request twice in one batch */
    router_begin_t rows[4];
    for (int i = 0; i < 4; i++)
        rows[i] = (router_begin_t){
            .request = &payments[i].request, .attempt_id = uuid7_new(), .psp = "Razorpay"};
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    assert_int_equal(router_store_begin(fixture->stores[0], rows, 4, &result, &detail), ERR_OK);
    assert_int_equal(PQntuples(result), 4);
    for (int i = 0; i < 4; i++) {
        router_store_position(result, i, &payments[i].position);
        assert_int_equal(payments[i].position.verdict, i == 1 ? ROUTER_ORDER_NOT_FOUND : ROUTER_OK);
        assert_true(uuid_equal(&payments[i].position.payment_id, &payments[i].request.payment_id));
    }
    PQclear(result);
    assert_true(uuid_equal(&payments[0].position.attempt_id, &payments[3].position.attempt_id));
    assert_looks(fixture, ATTEMPTS, &payments[0].request.payment_id, "Razorpay -");
}

/* ---- moving on ---- */

static void an_open_checkout_is_the_payments(void **state)
{
    fixture_t *fixture = *state;
    payment_t payment = begun(fixture);
    record(fixture->stores[0], &payment, PSP_CHECKOUT_OPEN, "a", NULL);
    assert_string_equal(payment.position.checkout_url, "https://psp/a");
    assert_string_equal(payment.position.status, "PENDING");
    payment_t again = {.request = payment.request};
    begin(fixture->stores[1], &again);
    assert_string_equal(again.position.checkout_url, "https://psp/a");
    assert_string_equal(again.position.psp, "Razorpay");
}

static void a_refusal_and_the_next_attempt_are_one_commit(void **state)
{
    fixture_t *fixture = *state;
    payment_t payment = begun(fixture);
    record(fixture->stores[0], &payment, PSP_CHECKOUT_REFUSED, "closed", "Cashfree");
    assert_string_equal(payment.position.psp, "Cashfree");
    assert_string_equal(payment.position.tried_psps, "Razorpay,Cashfree");
    assert_false(payment.position.answered);
    assert_looks(fixture, ATTEMPTS, &payment.request.payment_id, "Razorpay REFUSED, Cashfree -");
    record(fixture->stores[0], &payment, PSP_CHECKOUT_OPEN, "b", NULL);
    assert_string_equal(payment.position.checkout_url, "https://psp/b");
    assert_string_equal(payment.position.psp, "Cashfree");
}

static void an_unknown_outcome_shows_until_a_checkout_is_open(void **state)
{
    fixture_t *fixture = *state;
    payment_t payment = begun(fixture);
    record(fixture->stores[0], &payment, PSP_CHECKOUT_UNKNOWN, "no answer", "Cashfree");
    assert_string_equal(payment.position.status, "UNKNOWN");
    record(fixture->stores[0], &payment, PSP_CHECKOUT_OPEN, "b", NULL);
    assert_string_equal(payment.position.status, "PENDING");
}

static void what_every_psp_refused_is_given_up_and_stays_so(void **state)
{
    fixture_t *fixture = *state;
    payment_t payment = begun(fixture);
    record(fixture->stores[0], &payment, PSP_CHECKOUT_REFUSED, "closed", "Cashfree");
    record(fixture->stores[0], &payment, PSP_CHECKOUT_REFUSED, "no UPI", GIVE_UP);
    assert_true(payment.position.given_up);
    assert_string_equal(payment.position.status, "FAILED");
    assert_string_equal(payment.position.failures,
                        "Razorpay refused: closed; Cashfree refused: no UPI");
    payment_t again = {.request = payment.request};
    begin(fixture->stores[1], &again);
    assert_int_equal(again.position.verdict, ROUTER_OK);
    assert_true(again.position.given_up);
    assert_string_equal(again.position.failures, payment.position.failures);
}

static void giving_up_with_an_unknown_outcome_is_not_called_failed(void **state)
{
    fixture_t *fixture = *state;
    payment_t payment = begun(fixture);
    record(fixture->stores[0], &payment, PSP_CHECKOUT_UNKNOWN, "no answer", GIVE_UP);
    assert_true(payment.position.given_up);
    assert_string_equal(payment.position.status, "UNKNOWN");
    assert_string_equal(payment.position.failures, "Razorpay, outcome unknown: no answer");
}

static void what_ran_out_of_time_goes_on_at_the_next_psp(void **state)
{
    fixture_t *fixture = *state;
    payment_t payment = begun(fixture);
    record(fixture->stores[0], &payment, PSP_CHECKOUT_REFUSED, "closed", NULL);
    payment_t again = {.request = payment.request};
    begin(fixture->stores[1], &again);
    assert_true(again.position.answered);
    assert_false(again.position.given_up);
    router_record_t row = {.attempt_id = again.position.attempt_id,
                           .next_psp = "Cashfree",
                           .next_attempt_id = uuid7_new()};
    record_rows(fixture->stores[1], &row, 1, &again.position);
    assert_string_equal(again.position.psp, "Cashfree");
    assert_looks(fixture, "SELECT error FROM attempts WHERE payment_id = $1 AND number = 1",
                 &payment.request.payment_id, "closed"); /* nothing new was said of it */
}

static void no_other_checkout_is_opened_for_a_closed_order(void **state)
{
    fixture_t *fixture = *state;
    payment_t payment = begun(fixture);
    expire_order(fixture, &payment.request.order_id);
    record(fixture->stores[0], &payment, PSP_CHECKOUT_REFUSED, "closed", "Cashfree");
    assert_int_equal(payment.position.verdict, ROUTER_ORDER_NOT_PAYABLE);
    assert_looks(fixture, ATTEMPTS, &payment.request.payment_id, "Razorpay REFUSED");
}

/* Not "try again later": nothing will come of it. */
static void what_was_given_up_is_not_payable_once_its_order_is_closed(void **state)
{
    fixture_t *fixture = *state;
    payment_t payment = begun(fixture);
    record(fixture->stores[0], &payment, PSP_CHECKOUT_REFUSED, "closed", GIVE_UP);
    assert_int_equal(payment.position.verdict, ROUTER_OK);
    expire_order(fixture, &payment.request.order_id);
    begin(fixture->stores[1], &payment);
    assert_int_equal(payment.position.verdict, ROUTER_ORDER_NOT_PAYABLE);
}

static void an_open_checkout_outlives_its_order(void **state)
{
    fixture_t *fixture = *state;
    payment_t payment = begun(fixture);
    record(fixture->stores[0], &payment, PSP_CHECKOUT_OPEN, "a", NULL);
    expire_order(fixture, &payment.request.order_id);
    begin(fixture->stores[1], &payment);
    assert_int_equal(payment.position.verdict, ROUTER_OK);
    assert_string_equal(payment.position.checkout_url, "https://psp/a");
}

/* ---- two routers at one payment ---- */

static void two_routers_that_move_on_write_one_next_attempt(void **state)
{
    fixture_t *fixture = *state;
    payment_t mine = begun(fixture);
    payment_t theirs = mine;
    record(fixture->stores[0], &mine, PSP_CHECKOUT_REFUSED, "closed", "Cashfree");
    record(fixture->stores[1], &theirs, PSP_CHECKOUT_REFUSED, "closed", "Cashfree");
    assert_true(uuid_equal(&mine.position.attempt_id, &theirs.position.attempt_id));
    assert_looks(fixture, ATTEMPTS, &mine.request.payment_id, "Razorpay REFUSED, Cashfree -");
}

static void a_timeout_does_not_undo_anothers_checkout(void **state)
{
    fixture_t *fixture = *state;
    payment_t mine = begun(fixture);
    payment_t theirs = mine;
    record(fixture->stores[0], &mine, PSP_CHECKOUT_OPEN, "a", NULL);
    record(fixture->stores[1], &theirs, PSP_CHECKOUT_UNKNOWN, "no answer", "Cashfree");
    assert_string_equal(theirs.position.checkout_url, "https://psp/a");
    assert_string_equal(theirs.position.psp, "Razorpay");
    assert_looks(fixture, ATTEMPTS, &mine.request.payment_id, "Razorpay OPEN");
}

static void giving_up_does_not_undo_anothers_checkout(void **state)
{
    fixture_t *fixture = *state;
    payment_t mine = begun(fixture);
    payment_t theirs = mine;
    record(fixture->stores[0], &mine, PSP_CHECKOUT_OPEN, "a", NULL);
    record(fixture->stores[1], &theirs, PSP_CHECKOUT_REFUSED, "closed", GIVE_UP);
    assert_false(theirs.position.given_up);
    assert_string_equal(theirs.position.checkout_url, "https://psp/a");
}

static void the_first_checkout_that_was_recorded_stays_the_payments(void **state)
{
    fixture_t *fixture = *state;
    payment_t mine = begun(fixture);
    payment_t late = mine;
    record(fixture->stores[0], &mine, PSP_CHECKOUT_UNKNOWN, "no answer", "Cashfree");
    record(fixture->stores[0], &mine, PSP_CHECKOUT_OPEN, "b", NULL);
    record(fixture->stores[1], &late, PSP_CHECKOUT_OPEN, "a", NULL);
    assert_string_equal(late.position.checkout_url, "https://psp/b");
    assert_string_equal(late.position.psp, "Cashfree");
    assert_looks(fixture, ATTEMPTS, &mine.request.payment_id, "Razorpay OPEN, Cashfree OPEN");
}

static void a_late_checkout_is_taken_while_the_next_psp_still_thinks(void **state)
{
    fixture_t *fixture = *state;
    payment_t mine = begun(fixture);
    payment_t late = mine;
    record(fixture->stores[0], &mine, PSP_CHECKOUT_UNKNOWN, "no answer", "Cashfree");
    record(fixture->stores[1], &late, PSP_CHECKOUT_OPEN, "a", NULL);
    assert_string_equal(late.position.checkout_url, "https://psp/a");
    assert_string_equal(late.position.psp, "Razorpay");
    record(fixture->stores[0], &mine, PSP_CHECKOUT_OPEN, "b", NULL);
    assert_string_equal(mine.position.checkout_url, "https://psp/a");
    assert_string_equal(mine.position.psp, "Razorpay");
    assert_looks(fixture, "SELECT psp FROM payments WHERE payment_id = $1",
                 &mine.request.payment_id, "Razorpay");
}

static void a_checkout_that_opens_after_giving_up_is_shown_to_nobody(void **state)
{
    fixture_t *fixture = *state;
    payment_t mine = begun(fixture);
    payment_t late = mine;
    record(fixture->stores[0], &mine, PSP_CHECKOUT_UNKNOWN, "no answer", GIVE_UP);
    record(fixture->stores[1], &late, PSP_CHECKOUT_OPEN, "a", NULL);
    assert_true(late.position.given_up);
    assert_string_equal(late.position.checkout_url, "");
    assert_string_equal(late.position.status, "FAILED");
}

static void of_two_answers_in_one_batch_the_open_one_counts(void **state)
{
    fixture_t *fixture = *state;
    payment_t payment = begun(fixture);
    const psp_checkout_answer_t unknown = answer_of(PSP_CHECKOUT_UNKNOWN, "no answer"),
                                open = answer_of(PSP_CHECKOUT_OPEN, "a");
    const router_record_t rows[] = {{.attempt_id = payment.position.attempt_id,
                                     .answer = &unknown,
                                     .next_psp = "Cashfree",
                                     .next_attempt_id = uuid7_new()},
                                    {.attempt_id = payment.position.attempt_id, .answer = &open}};
    router_position_t positions[2];
    record_rows(fixture->stores[0], rows, 2, positions);
    assert_string_equal(positions[0].checkout_url, "https://psp/a");
    assert_string_equal(positions[1].checkout_url, "https://psp/a");
    assert_looks(fixture, ATTEMPTS, &payment.request.payment_id, "Razorpay OPEN");
}

typedef struct racer {
    router_store_t *store;
    pthread_barrier_t *start;
    payment_t *payments;
    size_t count;
    err_t err;
} racer_t;

static void *race_to_begin(void *arg)
{
    racer_t *racer = arg;
    router_begin_t rows[32];
    err_detail_t detail = {{0}};
    PGresult *result = NULL;
    for (size_t i = 0; i < racer->count; i++)
        rows[i] = (router_begin_t){
            .request = &racer->payments[i].request, .attempt_id = uuid7_new(), .psp = "Razorpay"};
    pthread_barrier_wait(racer->start);
    racer->err = router_store_begin(racer->store, rows, racer->count, &result, &detail);
    for (size_t i = 0; racer->err == ERR_OK && i < racer->count; i++)
        router_store_position(result, (int)i, &racer->payments[i].position);
    PQclear(result);
    return NULL;
}

static void *race_to_move_on(void *arg)
{
    racer_t *racer = arg;
    router_record_t rows[32];
    err_detail_t detail = {{0}};
    PGresult *result = NULL;
    const psp_checkout_answer_t refused = answer_of(PSP_CHECKOUT_REFUSED, "closed");
    for (size_t i = 0; i < racer->count; i++)
        rows[i] = (router_record_t){.attempt_id = racer->payments[i].position.attempt_id,
                                    .answer = &refused,
                                    .next_psp = "Cashfree",
                                    .next_attempt_id = uuid7_new()};
    pthread_barrier_wait(racer->start);
    racer->err = router_store_record(racer->store, rows, racer->count, &result, &detail);
    for (size_t i = 0; racer->err == ERR_OK && i < racer->count; i++)
        router_store_position(result, (int)i, &racer->payments[i].position);
    PQclear(result);
    return NULL;
}

/* Two routers at the same payments at the same time, one of them in the opposite order; each ends
 * with the same attempts. */
static void race(fixture_t *fixture, payment_t payments[ROUTERS][32], void *(*run)(void *))
{
    pthread_barrier_t start;
    pthread_t threads[ROUTERS];
    racer_t racers[ROUTERS];
    assert_int_equal(pthread_barrier_init(&start, NULL, ROUTERS), 0);
    for (int i = 0; i < ROUTERS; i++) {
        racers[i] = (racer_t){
            .store = fixture->stores[i], .start = &start, .payments = payments[i], .count = 32};
        assert_int_equal(pthread_create(&threads[i], NULL, run, &racers[i]), 0);
    }
    for (int i = 0; i < ROUTERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
    for (int i = 0; i < ROUTERS; i++)
        assert_int_equal(racers[i].err, ERR_OK);
    for (size_t i = 0; i < 32; i++) {
        const router_position_t *one = &payments[0][i].position,
                                *other = &payments[1][31 - i].position;
        assert_int_equal(one->verdict, ROUTER_OK);
        assert_true(uuid_equal(&one->payment_id, &other->payment_id));
        assert_true(uuid_equal(&one->attempt_id, &other->attempt_id));
    }
}

static void two_racing_routers_agree_on_every_attempt(void **state)
{
    fixture_t *fixture = *state;
    static payment_t payments[ROUTERS][32];
    const uuid_t order_id = make_order(fixture);
    for (size_t i = 0; i < 32; i++)
        payments[1][31 - i] = payments[0][i] = payment_for(&order_id);
    race(fixture, payments, race_to_begin);
    race(fixture, payments, race_to_move_on);
    for (size_t i = 0; i < 32; i++)
        assert_looks(fixture, ATTEMPTS, &payments[0][i].request.payment_id,
                     "Razorpay REFUSED, Cashfree -");
}

/* ---- reading, rights ---- */

static void a_payments_document_shows_its_attempts(void **state)
{
    fixture_t *fixture = *state;
    payment_t payment = begun(fixture);
    record(fixture->stores[0], &payment, PSP_CHECKOUT_REFUSED, "closed", "Cashfree");
    const uuid_t ids[] = {uuid7_new(), payment.request.payment_id};
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    payment_document_t document;
    assert_int_equal(router_store_documents(fixture->stores[0], ids, 2, &result, &detail), ERR_OK);
    assert_false(router_store_document(result, &ids[0], &document));
    assert_true(router_store_document(result, &ids[1], &document));
    assert_true(uuid_equal(&document.order_id, &payment.request.order_id));
    assert_true(str_is(document.status, "PENDING"));
    char text[4096];
    str_copy(document.document, text, sizeof text);
    assert_non_null(strstr(text, "\"gateway\":\"Cashfree\""));
    assert_non_null(strstr(text, "\"status\":\"REFUSED\",\"error\":\"closed\""));
    assert_non_null(strstr(text, "\"tried\":[\"Razorpay\",\"Cashfree\"]"));
    PQclear(result);
}

static void the_routers_role_can_call_its_functions_and_nothing_else(void **state)
{
    fixture_t *fixture = *state;
    const payment_t payment = begun(fixture);
    static const struct {
        const char *sql;
        bool allowed;
    } rows[] = {
        {"SELECT * FROM payment_documents('{}')", true},
        {"SELECT * FROM payments_begin('{}', '{}', '{}', '{}', '{}', '{}', '{}')", true},
        {"SELECT * FROM attempts_record('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
         true},
        {"SELECT * FROM payments", false},
        {"UPDATE payments SET applied = true", false},
        {"DELETE FROM attempts", false},
        {"SELECT * FROM payment_positions('{}', '{}')", false},
        {"SELECT orders_expire(1)", false},
    };
    PQclear(PQexec(fixture->admin, "SET ROLE tiffin_router"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        PGresult *result = PQexec(fixture->admin, rows[i].sql);
        const char *state_code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        if (rows[i].allowed)
            assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
        else
            assert_string_equal(state_code, "42501"); /* insufficient_privilege */
        PQclear(result);
    }
    PQclear(PQexec(fixture->admin, "RESET ROLE"));
    assert_looks(fixture, STATUS, &payment.request.payment_id, "PENDING");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_payment_is_there_with_its_first_attempt, setup, teardown),
    cmocka_unit_test_setup_teardown(a_repeated_begin_resumes_the_same_attempt, setup, teardown),
    cmocka_unit_test_setup_teardown(what_was_asked_for_is_kept_for_who_resumes_it, setup, teardown),
    cmocka_unit_test_setup_teardown(a_payment_of_an_unknown_order_is_not_written, setup, teardown),
    cmocka_unit_test_setup_teardown(an_expired_order_takes_no_payment_even_before_it_is_marked,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(a_paid_order_takes_no_payment, setup, teardown),
    cmocka_unit_test_setup_teardown(a_cancelled_order_takes_no_payment, setup, teardown),
    cmocka_unit_test_setup_teardown(a_payment_id_of_another_order_is_a_conflict, setup, teardown),
    cmocka_unit_test_setup_teardown(each_row_of_a_batch_is_answered_in_its_place, setup, teardown),
    cmocka_unit_test_setup_teardown(an_open_checkout_is_the_payments, setup, teardown),
    cmocka_unit_test_setup_teardown(a_refusal_and_the_next_attempt_are_one_commit, setup, teardown),
    cmocka_unit_test_setup_teardown(an_unknown_outcome_shows_until_a_checkout_is_open, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(what_every_psp_refused_is_given_up_and_stays_so, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(giving_up_with_an_unknown_outcome_is_not_called_failed, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(what_ran_out_of_time_goes_on_at_the_next_psp, setup, teardown),
    cmocka_unit_test_setup_teardown(what_was_given_up_is_not_payable_once_its_order_is_closed,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(no_other_checkout_is_opened_for_a_closed_order, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(an_open_checkout_outlives_its_order, setup, teardown),
    cmocka_unit_test_setup_teardown(two_routers_that_move_on_write_one_next_attempt, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_timeout_does_not_undo_anothers_checkout, setup, teardown),
    cmocka_unit_test_setup_teardown(giving_up_does_not_undo_anothers_checkout, setup, teardown),
    cmocka_unit_test_setup_teardown(the_first_checkout_that_was_recorded_stays_the_payments, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_late_checkout_is_taken_while_the_next_psp_still_thinks, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_checkout_that_opens_after_giving_up_is_shown_to_nobody, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(of_two_answers_in_one_batch_the_open_one_counts, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(two_racing_routers_agree_on_every_attempt, setup, teardown),
    cmocka_unit_test_setup_teardown(a_payments_document_shows_its_attempts, setup, teardown),
    cmocka_unit_test_setup_teardown(the_routers_role_can_call_its_functions_and_nothing_else, setup,
                                    teardown),
};

TEST_MAIN(tests)
