/* test_refund_store.c - refunds on real PostgreSQL: never more than was captured, whoever asks at
 * once; the first answer of a key; claimed by one router at a time, until it is known how they
 * ended. */
#include "services/router/refund_store.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/facts.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum {
    CAPTURED = 45000,
    ROUTERS = 2,
    CLIENTS = 20,
    CLAIM_MAX = 64,
    LEASE_MS = 60000,
    RETRY_MS = 10000,
    VALUE_SIZE = 512
};

typedef struct fixture {
    char url[256];
    PGconn *admin; /* arranges and looks; the stores act */
    refund_store_t *stores[ROUTERS];
    uuid_t payment_id; /* of CAPTURED, captured and applied */
} fixture_t;

static int setup(void **state)
{
    static fixture_t fixture;
    snprintf(fixture.url, sizeof fixture.url, "%s", test_database());
    fixture.admin = PQconnectdb(fixture.url);
    assert_int_equal(PQstatus(fixture.admin), CONNECTION_OK);
    for (int i = 0; i < ROUTERS; i++)
        fixture.stores[i] = refund_store_new(fixture.url);
    fixture.payment_id = make_captured_payment(fixture.admin, "Razorpay");
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    for (int i = 0; i < ROUTERS; i++)
        refund_store_destroy(&fixture->stores[i]);
    PQfinish(fixture->admin);
    servers_stop();
    return 0;
}

/* ---- a small language for the tests ---- */

/* The first value of a statement as text, "" for none. */
static const char *look(fixture_t *fixture, const char *sql)
{
    static char value[VALUE_SIZE];
    PGresult *result = PQexec(fixture->admin, sql);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail_msg("%s: %s", PQerrorMessage(fixture->admin), sql);
    snprintf(value, sizeof value, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return value;
}

#define SUM_RESERVED \
    "SELECT count(*) || ' ' || coalesce(sum(amount), 0) FROM refunds WHERE status <> 'FAILED'"
#define STATUS "SELECT status FROM refunds"

/* What became of a request, its texts copied. */
typedef struct outcome {
    refund_verdict_t verdict;
    bool replayed;
    uuid_t refund_id, first_request_id;
    char status[33], document[512], words[128];
} outcome_t;

static refund_create_t refund_of(const fixture_t *fixture, int64_t amount)
{
    return (refund_create_t){.refund_id = uuid7_new(),
                             .payment_id = fixture->payment_id,
                             .amount = amount,
                             .reason = STR_LITERAL("cold food")};
}

/* Rows of one batch; request_ids may be NULL. */
static void create_rows(refund_store_t *store, const refund_create_t *rows,
                        const uuid_t *request_ids, size_t count, outcome_t *outcomes)
{
    const refund_create_t *refunds[CLIENTS];
    uuid_t ids[CLIENTS];
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    assert_true(count <= CLIENTS);
    for (size_t i = 0; i < count; i++) {
        refunds[i] = &rows[i];
        ids[i] = request_ids != NULL ? request_ids[i] : uuid7_new();
    }
    if (refund_store_create(store, refunds, ids, count, &result, &detail) != ERR_OK)
        fail_msg("%s", detail.text);
    assert_int_equal(PQntuples(result), count);
    for (size_t i = 0; i < count; i++) {
        refund_created_t created;
        refund_store_created(result, (int)i, &created);
        outcomes[i] = (outcome_t){.verdict = created.verdict,
                                  .replayed = created.document.replayed,
                                  .refund_id = created.document.refund_id,
                                  .first_request_id = created.first_request_id};
        str_copy(created.document.status, outcomes[i].status, sizeof outcomes[i].status);
        str_copy(created.document.document, outcomes[i].document, sizeof outcomes[i].document);
        str_copy(created.words, outcomes[i].words, sizeof outcomes[i].words);
    }
    PQclear(result);
}

static outcome_t create(refund_store_t *store, const refund_create_t *refund)
{
    outcome_t outcome;
    create_rows(store, refund, NULL, 1, &outcome);
    return outcome;
}

/* A reserved refund; its id. */
static uuid_t reserved(fixture_t *fixture, int64_t amount)
{
    const refund_create_t refund = refund_of(fixture, amount);
    assert_int_equal(create(fixture->stores[0], &refund).verdict, REFUND_OK);
    return refund.refund_id;
}

typedef struct claim {
    int count;
    refund_due_t due[CLAIM_MAX];
} claim_t;

static void claim_as(refund_store_t *store, const due_claim_t *claim, claim_t *claimed)
{
    err_detail_t detail = {{0}};
    PGresult *result = NULL;
    if (refund_store_claim(store, claim, &result, &detail) != ERR_OK)
        fail_msg("%s", detail.text);
    claimed->count = PQntuples(result);
    assert_true(claimed->count <= CLAIM_MAX);
    for (int row = 0; row < claimed->count; row++)
        refund_store_due(result, row, &claimed->due[row]);
    PQclear(result);
}

static void claim(refund_store_t *store, int at_most, int64_t lease_ms, claim_t *claimed)
{
    claim_as(store, &(due_claim_t){.at_most = at_most, .lease_ms = lease_ms}, claimed);
}

static int claim_count(refund_store_t *store)
{
    claim_t claimed;
    claim(store, CLAIM_MAX, LEASE_MS, &claimed);
    return claimed.count;
}

/* The first claim, of one refund. */
static refund_due_t claimed_one(fixture_t *fixture)
{
    claim_t claimed;
    claim(fixture->stores[0], CLAIM_MAX, LEASE_MS, &claimed);
    assert_int_equal(claimed.count, 1);
    return claimed.due[0];
}

static void called(refund_store_t *store, const refund_due_t *due, bool unknown, const char *error)
{
    const refund_called_t row = {.refund_id = due->refund.refund_id,
                                 .call = due->calls,
                                 .unknown = unknown,
                                 .error = error,
                                 .retry_after_ms = RETRY_MS};
    err_detail_t detail = {{0}};
    if (refund_store_called(store, &row, 1, &detail) != ERR_OK)
        fail_msg("%s", detail.text);
}

static void end_leases(fixture_t *fixture)
{
    look(fixture, "UPDATE refunds SET next_call_at = now() WHERE next_call_at IS NOT NULL");
}

#define NEXT_CALL_IN_S \
    "SELECT round(extract(epoch FROM next_call_at - clock_timestamp())) FROM refunds"

static void assert_next_call_in(fixture_t *fixture, int64_t expected_ms)
{
    const long actual_s = strtol(look(fixture, NEXT_CALL_IN_S), NULL, 10);
    assert_true(actual_s <= expected_ms / 1000 && actual_s >= expected_ms / 1000 - 5);
}

/* ---- reserving ---- */

static void a_reserved_refund_is_shown_and_due(void **state)
{
    fixture_t *fixture = *state;
    const refund_create_t refund = refund_of(fixture, 30000);
    const outcome_t outcome = create(fixture->stores[0], &refund);
    assert_int_equal(outcome.verdict, REFUND_OK);
    assert_true(uuid_equal(&outcome.refund_id, &refund.refund_id));
    assert_string_equal(outcome.status, "PENDING");
    assert_non_null(strstr(outcome.document, "\"amount\":30000,\"currency\":\"INR\""));
    assert_non_null(strstr(outcome.document, "\"reason\":\"cold food\",\"automatic\":false"));
    const refund_due_t due = claimed_one(fixture);
    char text[UUID_TEXT_SIZE], ref[UUID_TEXT_SIZE + 8];
    assert_true(uuid_equal(&due.refund.refund_id, &refund.refund_id));
    assert_string_equal(due.psp, "Razorpay");
    snprintf(ref, sizeof ref, "txn_%s", uuid_format(&fixture->payment_id, text));
    assert_string_equal(due.refund.capture_ref, ref);
    assert_int_equal(due.refund.amount, 30000);
    assert_int_equal(due.calls, 1);
}

static void without_an_amount_all_that_is_left_is_refunded(void **state)
{
    fixture_t *fixture = *state;
    reserved(fixture, 10000);
    const refund_create_t rest = refund_of(fixture, 0);
    const outcome_t outcome = create(fixture->stores[0], &rest);
    assert_int_equal(outcome.verdict, REFUND_OK);
    assert_non_null(strstr(outcome.document, "\"amount\":35000,"));
    const refund_create_t nothing = refund_of(fixture, 0);
    assert_int_equal(create(fixture->stores[0], &nothing).verdict, REFUND_EXCEEDS_CAPTURE);
}

static void more_than_is_left_is_refused_and_the_rest_is_told(void **state)
{
    fixture_t *fixture = *state;
    reserved(fixture, 40000);
    const refund_create_t refund = refund_of(fixture, 5001);
    const outcome_t outcome = create(fixture->stores[0], &refund);
    assert_int_equal(outcome.verdict, REFUND_EXCEEDS_CAPTURE);
    assert_string_equal(outcome.words, "5000 can be refunded");
    assert_string_equal(look(fixture, SUM_RESERVED), "1 40000");
}

static void an_unknown_payment_is_not_found(void **state)
{
    fixture_t *fixture = *state;
    refund_create_t refund = refund_of(fixture, 1);
    refund.payment_id = uuid7_new();
    assert_int_equal(create(fixture->stores[0], &refund).verdict, REFUND_PAYMENT_NOT_FOUND);
}

static void the_same_message_once_more_is_the_same_refund(void **state)
{
    fixture_t *fixture = *state;
    const refund_create_t refund = refund_of(fixture, 45000);
    const outcome_t first = create(fixture->stores[0], &refund);
    const outcome_t again = create(fixture->stores[1], &refund);
    assert_int_equal(again.verdict, REFUND_OK);
    assert_string_equal(again.document, first.document);
    assert_string_equal(look(fixture, SUM_RESERVED), "1 45000");
    refund_create_t other = refund;
    other.payment_id = make_captured_payment(fixture->admin, "Razorpay");
    assert_int_equal(create(fixture->stores[0], &other).verdict, REFUND_ID_CONFLICT);
}

static void of_one_batch_as_many_are_reserved_as_fit(void **state)
{
    fixture_t *fixture = *state;
    refund_create_t rows[CLIENTS];
    outcome_t outcomes[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++)
        rows[i] = refund_of(fixture, CAPTURED * 3 / 10);
    create_rows(fixture->stores[0], rows, NULL, CLIENTS, outcomes);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(outcomes[i].verdict, i < 3 ? REFUND_OK : REFUND_EXCEEDS_CAPTURE);
    assert_string_equal(look(fixture, SUM_RESERVED), "3 40500");
}

typedef struct client {
    pthread_t thread;
    fixture_t *fixture;
    pthread_barrier_t *barrier;
    refund_verdict_t verdict;
} client_t;

static void *refund_a_third(void *arg)
{
    client_t *client = arg;
    refund_store_t *store = refund_store_new(client->fixture->url);
    const refund_create_t refund = refund_of(client->fixture, CAPTURED * 3 / 10);
    pthread_barrier_wait(client->barrier);
    client->verdict = create(store, &refund).verdict;
    refund_store_destroy(&store);
    return NULL;
}

static void of_twenty_refunds_of_a_third_at_once_three_are_reserved(void **state)
{
    fixture_t *fixture = *state;
    client_t clients[CLIENTS];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (client_t){.fixture = fixture, .barrier = &barrier};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, refund_a_third, &clients[i]), 0);
    }
    int succeeded = 0;
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        succeeded += clients[i].verdict == REFUND_OK ? 1 : 0;
    }
    pthread_barrier_destroy(&barrier);
    assert_int_equal(succeeded, 3);
    assert_string_equal(look(fixture, SUM_RESERVED), "3 40500");
}

static void what_a_psp_refused_can_be_refunded_again(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t refund_id = reserved(fixture, 45000);
    tell_fact(fixture->admin, "Razorpay", &fixture->payment_id, &refund_id, "refund_failed",
              "rfd_1", 45000);
    assert_string_equal(look(fixture, STATUS), "FAILED");
    reserved(fixture, 45000);
}

static void what_the_psp_refunded_by_itself_is_not_there_to_refund(void **state)
{
    fixture_t *fixture = *state;
    tell_fact(fixture->admin, "Razorpay", &fixture->payment_id, NULL, "refund_succeeded", "rfd_1",
              40000);
    const refund_create_t refund = refund_of(fixture, 5001);
    assert_int_equal(create(fixture->stores[0], &refund).verdict, REFUND_EXCEEDS_CAPTURE);
    reserved(fixture, 5000);
}

/* ---- keys ---- */

static refund_create_t with_key(refund_create_t refund, const uuid_t *key, const uuid_t *body)
{
    refund.idempotency_id = *key;
    refund.fingerprint = *body;
    return refund;
}

static void a_key_gets_its_first_answer_whatever_happened_since(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t key = uuid7_new(), body = uuid7_new();
    const refund_create_t first = with_key(refund_of(fixture, 45000), &key, &body),
                          second = with_key(refund_of(fixture, 45000), &key, &body);
    const outcome_t answer = create(fixture->stores[0], &first);
    assert_false(answer.replayed);
    tell_fact(fixture->admin, "Razorpay", &fixture->payment_id, &first.refund_id,
              "refund_succeeded", "rfd_1", 45000);
    const outcome_t again = create(fixture->stores[1], &second);
    assert_int_equal(again.verdict, REFUND_OK);
    assert_true(again.replayed);
    assert_true(uuid_equal(&again.refund_id, &first.refund_id));
    assert_string_equal(again.status, "PENDING");
    assert_string_equal(again.document, answer.document);
    assert_string_equal(look(fixture, SUM_RESERVED), "1 45000");
}

static void a_refusal_is_remembered_with_whom_it_was_told(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t key = uuid7_new(), body = uuid7_new(), first_request = uuid7_new(),
                 second_request = uuid7_new();
    const refund_create_t first = with_key(refund_of(fixture, 45001), &key, &body),
                          second = with_key(refund_of(fixture, 45001), &key, &body);
    outcome_t answer, again;
    create_rows(fixture->stores[0], &first, &first_request, 1, &answer);
    reserved(fixture, 45000);
    create_rows(fixture->stores[1], &second, &second_request, 1, &again);
    assert_int_equal(again.verdict, REFUND_EXCEEDS_CAPTURE);
    assert_true(again.replayed);
    assert_string_equal(again.words, answer.words);
    assert_true(uuid_equal(&again.first_request_id, &first_request));
}

static void a_key_with_another_body_is_refused(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t key = uuid7_new(), body = uuid7_new(), other_body = uuid7_new();
    const refund_create_t first = with_key(refund_of(fixture, 1), &key, &body),
                          second = with_key(refund_of(fixture, 2), &key, &other_body);
    create(fixture->stores[0], &first);
    assert_int_equal(create(fixture->stores[0], &second).verdict, REFUND_KEY_REUSED);
    assert_string_equal(look(fixture, SUM_RESERVED), "1 1");
}

/* ---- claiming ---- */

static void what_is_claimed_is_not_given_to_another_within_its_lease(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t refund_id = reserved(fixture, 45000);
    assert_int_equal(claimed_one(fixture).calls, 1);
    assert_int_equal(claim_count(fixture->stores[1]), 0);
    end_leases(fixture);
    claim_t again;
    claim(fixture->stores[1], CLAIM_MAX, LEASE_MS, &again);
    assert_int_equal(again.count, 1);
    assert_true(uuid_equal(&again.due[0].refund.refund_id, &refund_id));
    assert_int_equal(again.due[0].calls, 2);
}

static void what_is_due_at_a_psp_whose_turn_has_not_come_is_left(void **state)
{
    fixture_t *fixture = *state;
    due_claim_t except = {.at_most = CLAIM_MAX,
                          .lease_ms = LEASE_MS,
                          .except_psps = {"Stripe", "Razorpay"},
                          .except_count = 2};
    claim_t claimed;
    reserved(fixture, 45000);
    claim_as(fixture->stores[0], &except, &claimed);
    assert_int_equal(claimed.count, 0);
    except.except_count = 1;
    claim_as(fixture->stores[0], &except, &claimed);
    assert_int_equal(claimed.count, 1);
}

/* What was reserved long ago, or asked about in vain, is known by its age. */
static void the_age_of_a_key_counts_from_when_the_psp_did_not_know_of_it(void **state)
{
    fixture_t *fixture = *state;
    err_detail_t detail = {{0}};
    claim_t claimed;
    reserved(fixture, 45000);
    look(fixture, "UPDATE refunds SET created_at = now() - interval '2 d' RETURNING 1");
    claim(fixture->stores[0], 1, LEASE_MS, &claimed);
    assert_true(claimed.due[0].key_age_s >= 2 * 86400);
    const refund_called_t called = {
        .refund_id = claimed.due[0].refund.refund_id, .call = 1, .absent = true};
    assert_int_equal(refund_store_called(fixture->stores[0], &called, 1, &detail), ERR_OK);
    claim(fixture->stores[0], 1, LEASE_MS, &claimed);
    assert_int_equal(claimed.count, 1);
    assert_true(claimed.due[0].key_age_s < 60);
}

typedef struct claimer {
    pthread_t thread;
    refund_store_t *store;
    pthread_barrier_t *barrier;
    int count;
} claimer_t;

static void *claim_all(void *arg)
{
    claimer_t *claimer = arg;
    claim_t page;
    pthread_barrier_wait(claimer->barrier);
    do {
        claim(claimer->store, 5, LEASE_MS, &page);
        claimer->count += page.count;
    } while (page.count > 0);
    return NULL;
}

static void two_routers_claim_each_refund_once(void **state)
{
    fixture_t *fixture = *state;
    enum { REFUNDS = 200 };
    for (int i = 0; i < REFUNDS; i++)
        reserved(fixture, 10);
    claimer_t claimers[ROUTERS];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, ROUTERS);
    for (int i = 0; i < ROUTERS; i++) {
        claimers[i] = (claimer_t){.store = fixture->stores[i], .barrier = &barrier};
        assert_int_equal(pthread_create(&claimers[i].thread, NULL, claim_all, &claimers[i]), 0);
    }
    int claimed = 0;
    for (int i = 0; i < ROUTERS; i++) {
        pthread_join(claimers[i].thread, NULL);
        claimed += claimers[i].count;
    }
    pthread_barrier_destroy(&barrier);
    assert_string_equal(look(fixture, "SELECT min(calls) || ' ' || max(calls) FROM refunds"),
                        "1 1");
    /* One that finds nothing may have found what the other had locked: nobody is missing. */
    assert_int_equal(claimed, REFUNDS);
}

static void what_waits_longest_is_claimed_first(void **state)
{
    fixture_t *fixture = *state;
    reserved(fixture, 1);
    const uuid_t oldest = reserved(fixture, 2);
    reserved(fixture, 3);
    look(fixture, "UPDATE refunds SET next_call_at = now() - interval '1 h' WHERE amount = 2");
    claim_t page;
    claim(fixture->stores[0], 1, LEASE_MS, &page);
    assert_int_equal(page.count, 1);
    assert_true(uuid_equal(&page.due[0].refund.refund_id, &oldest));
}

static void a_call_that_was_lost_leaves_the_refund_unknown_and_due_again(void **state)
{
    fixture_t *fixture = *state;
    reserved(fixture, 45000);
    const refund_due_t due = claimed_one(fixture);
    called(fixture->stores[0], &due, true, "no answer in time");
    assert_string_equal(look(fixture, STATUS), "UNKNOWN");
    assert_string_equal(look(fixture, "SELECT last_error FROM refunds"), "no answer in time");
    assert_next_call_in(fixture, RETRY_MS);
}

static void a_call_that_was_not_sent_leaves_the_refund_pending(void **state)
{
    fixture_t *fixture = *state;
    reserved(fixture, 45000);
    const refund_due_t due = claimed_one(fixture);
    called(fixture->stores[0], &due, false, "connection refused");
    assert_string_equal(look(fixture, STATUS), "PENDING");
    assert_next_call_in(fixture, RETRY_MS);
}

static void what_a_later_call_says_does_not_make_an_unknown_outcome_known(void **state)
{
    fixture_t *fixture = *state;
    reserved(fixture, 45000);
    const refund_due_t due = claimed_one(fixture);
    called(fixture->stores[0], &due, true, "no answer in time");
    called(fixture->stores[0], &due, false, NULL);
    assert_string_equal(look(fixture, STATUS), "UNKNOWN");
}

static void a_failed_poll_does_not_make_unknown_what_is_pending(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t refund_id = reserved(fixture, 45000);
    const refund_due_t due = claimed_one(fixture);
    called(fixture->stores[0], &due, true, "no answer in time");
    tell_fact(fixture->admin, "Razorpay", &fixture->payment_id, &refund_id, "refund_requested",
              "rfd_1", 45000);
    assert_string_equal(look(fixture, STATUS), "PENDING");
    called(fixture->stores[0], &due, true, "no answer in time");
    assert_string_equal(look(fixture, STATUS), "PENDING");
}

static void whoever_was_overtaken_does_not_end_the_newer_claim(void **state)
{
    fixture_t *fixture = *state;
    reserved(fixture, 45000);
    const refund_due_t slow = claimed_one(fixture);
    end_leases(fixture);
    assert_int_equal(claimed_one(fixture).calls, 2);
    called(fixture->stores[1], &slow, true, "no answer in time");
    assert_string_equal(look(fixture, STATUS), "UNKNOWN");
    assert_next_call_in(fixture, LEASE_MS);
}

static void once_it_is_known_how_it_ended_nobody_is_asked_again(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t succeeded = reserved(fixture, 1), failed = reserved(fixture, 2);
    claim_t page;
    claim(fixture->stores[0], CLAIM_MAX, LEASE_MS, &page);
    assert_int_equal(page.count, 2);
    tell_fact(fixture->admin, "Razorpay", &fixture->payment_id, &succeeded, "refund_succeeded",
              "rfd_1", 1);
    tell_fact(fixture->admin, "Razorpay", &fixture->payment_id, &failed, "refund_failed", "rfd_2",
              2);
    for (int i = 0; i < page.count; i++)
        called(fixture->stores[0], &page.due[i], true, "told too late");
    assert_string_equal(look(fixture, "SELECT count(*) FROM refunds WHERE next_call_at IS NULL"),
                        "2");
    assert_string_equal(
        look(fixture, "SELECT string_agg(status, ' ' ORDER BY amount) FROM refunds"),
        "SUCCESS FAILED");
    end_leases(fixture);
    assert_int_equal(claim_count(fixture->stores[1]), 0);
}

static bool was_notified(void *arg)
{
    return refund_store_notified(arg);
}

/* ---- settlement lines, which name a refund by one of its two names ---- */

#define SUCCESSES                                                                               \
    "SELECT count(*) || ' ' || string_agg(f.psp_ref || ' ' || f.amount || ' ' || f.source "     \
    "|| ' ' || (f.refund_id IS NOT NULL), ' ' ORDER BY f.fact_id) FROM facts f WHERE f.kind = " \
    "'refund_succeeded'"
#define DISCREPANCIES "SELECT coalesce(string_agg(kind, ' '), 'none') FROM discrepancies"

static void a_line_without_our_id_is_of_the_refund_that_has_its_reference(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t refund_id = reserved(fixture, 1000);
    tell_fact_by(fixture->admin, "refund_call", "Razorpay", &fixture->payment_id, &refund_id,
                 "refund_requested", "ref_1", 1000);
    tell_fact_by(fixture->admin, "settlement", "Razorpay", &fixture->payment_id, NULL,
                 "refund_succeeded", "ref_1", 1000);
    assert_string_equal(look(fixture, SUCCESSES), "1 ref_1 1000 settlement true");
    assert_string_equal(look(fixture, STATUS), "SUCCESS");
    assert_string_equal(look(fixture, DISCREPANCIES), "none");
    /* One of another reference is nobody's. */
    tell_fact_by(fixture->admin, "settlement", "Razorpay", &fixture->payment_id, NULL,
                 "refund_succeeded", "ref_2", 500);
    assert_string_equal(look(fixture, DISCREPANCIES), "refund_unknown");
}

static void a_line_without_a_reference_is_of_the_refund_that_has_our_id(void **state)
{
    fixture_t *fixture = *state;
    char ours[UUID_TEXT_SIZE], expected[VALUE_SIZE];
    for (int line_first = 0; line_first < 2; line_first++) {
        const uuid_t refund_id = reserved(fixture, 1000);
        uuid_format(&refund_id, ours);
        if (!line_first)
            tell_fact_by(fixture->admin, "refund_call", "Razorpay", &fixture->payment_id,
                         &refund_id, "refund_requested", "ref_1", 1000);
        tell_fact_by(fixture->admin, "settlement", "Razorpay", &fixture->payment_id, &refund_id,
                     "refund_succeeded", ours, 1000);
        tell_fact_by(fixture->admin, "webhook", "Razorpay", &fixture->payment_id, &refund_id,
                     "refund_succeeded", line_first ? "ref_2" : "ref_1", 1000);
        snprintf(expected, sizeof expected,
                 line_first ? "2 ref_1 1000 settlement true %s 1000 settlement true"
                            : "1 ref_1 1000 settlement true",
                 ours);
        assert_string_equal(look(fixture, SUCCESSES), expected);
    }
    assert_string_equal(look(fixture, STATUS " ORDER BY refund_id DESC"), "SUCCESS");
    assert_string_equal(look(fixture, "SELECT refunded_amount FROM payments"), "2000");
    assert_string_equal(look(fixture, DISCREPANCIES), "none");
}

/* A reference of the PSP's own is believed: it was given back twice. */
static void a_line_with_another_reference_is_another_refund(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t refund_id = reserved(fixture, 1000);
    tell_fact(fixture->admin, "Razorpay", &fixture->payment_id, &refund_id, "refund_succeeded",
              "ref_1", 1000);
    tell_fact_by(fixture->admin, "settlement", "Razorpay", &fixture->payment_id, &refund_id,
                 "refund_succeeded", "ref_2", 1000);
    assert_string_equal(look(fixture, "SELECT refunded_amount FROM payments"), "2000");
    assert_string_equal(look(fixture, DISCREPANCIES), "reference_conflict");
}

static void whoever_reserves_a_refund_wakes_the_routers(void **state)
{
    fixture_t *fixture = *state;
    refund_store_t *waiting = fixture->stores[1];
    claim_count(waiting);                 /* connected, and listens */
    (void)refund_store_notified(waiting); /* what may have been missed before */
    assert_false(refund_store_notified(waiting));
    reserved(fixture, 1);
    wait_until(was_notified, waiting, 10000, "the notification of a merchant's refund");
    tell_fact(fixture->admin, "Razorpay", &fixture->payment_id, NULL, "captured", "txn_second",
              45000);
    wait_until(was_notified, waiting, 10000, "the notification of an automatic refund");
    assert_string_equal(look(fixture, "SELECT count(*) FROM refunds WHERE automatic"), "1");
}

/* ---- who may ---- */

static void the_routers_role_cannot_write_refunds(void **state)
{
    fixture_t *fixture = *state;
    char url[300];
    snprintf(url, sizeof url, "postgresql://tiffin_router%s", strchr(fixture->url, '@'));
    refund_store_t *store = refund_store_new(url);
    const refund_create_t refund = refund_of(fixture, 1);
    assert_int_equal(create(store, &refund).verdict, REFUND_OK);
    claim_t page;
    claim(store, 1, LEASE_MS, &page);
    assert_int_equal(page.count, 1);
    called(store, &page.due[0], true, NULL);
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    assert_int_equal(refund_store_documents(store, &refund.refund_id, 1, &result, &detail), ERR_OK);
    refund_document_t document;
    assert_true(refund_store_document(result, &refund.refund_id, &document));
    assert_true(str_is(document.status, "UNKNOWN"));
    PQclear(result);
    refund_store_destroy(&store);
    static const char *const forbidden[] = {
        "UPDATE refunds SET success_count = 1", "DELETE FROM refunds",
        "INSERT INTO refunds (refund_id) VALUES (gen_random_uuid())",
        "SELECT captures_refundable(gen_random_uuid())", "SELECT sums_refresh('{}')"};
    PGconn *router = PQconnectdb(url);
    assert_int_equal(PQstatus(router), CONNECTION_OK);
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        result = PQexec(router, forbidden[i]);
        assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "42501");
        PQclear(result);
    }
    PQfinish(router);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_reserved_refund_is_shown_and_due, setup, teardown),
    cmocka_unit_test_setup_teardown(without_an_amount_all_that_is_left_is_refunded, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(more_than_is_left_is_refused_and_the_rest_is_told, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(an_unknown_payment_is_not_found, setup, teardown),
    cmocka_unit_test_setup_teardown(the_same_message_once_more_is_the_same_refund, setup, teardown),
    cmocka_unit_test_setup_teardown(of_one_batch_as_many_are_reserved_as_fit, setup, teardown),
    cmocka_unit_test_setup_teardown(of_twenty_refunds_of_a_third_at_once_three_are_reserved, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(what_a_psp_refused_can_be_refunded_again, setup, teardown),
    cmocka_unit_test_setup_teardown(what_the_psp_refunded_by_itself_is_not_there_to_refund, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_key_gets_its_first_answer_whatever_happened_since, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_refusal_is_remembered_with_whom_it_was_told, setup, teardown),
    cmocka_unit_test_setup_teardown(a_key_with_another_body_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(the_age_of_a_key_counts_from_when_the_psp_did_not_know_of_it,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(what_is_due_at_a_psp_whose_turn_has_not_come_is_left, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(what_is_claimed_is_not_given_to_another_within_its_lease, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(two_routers_claim_each_refund_once, setup, teardown),
    cmocka_unit_test_setup_teardown(what_waits_longest_is_claimed_first, setup, teardown),
    cmocka_unit_test_setup_teardown(a_call_that_was_lost_leaves_the_refund_unknown_and_due_again,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(a_call_that_was_not_sent_leaves_the_refund_pending, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(what_a_later_call_says_does_not_make_an_unknown_outcome_known,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(a_failed_poll_does_not_make_unknown_what_is_pending, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(whoever_was_overtaken_does_not_end_the_newer_claim, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(once_it_is_known_how_it_ended_nobody_is_asked_again, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_line_without_our_id_is_of_the_refund_that_has_its_reference,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(a_line_without_a_reference_is_of_the_refund_that_has_our_id,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(a_line_with_another_reference_is_another_refund, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(whoever_reserves_a_refund_wakes_the_routers, setup, teardown),
    cmocka_unit_test_setup_teardown(the_routers_role_cannot_write_refunds, setup, teardown),
};

TEST_MAIN(tests)
