/* test_router_refunds.c - refunds as tiffin-router makes them: asked for at the PSP that captured,
 * once, whatever the PSP answers and whoever dies in between. */
#include <hiredis/hiredis.h>

#include "tests/support/facts.h"
#include "tests/support/router_fixture.h"

enum { RAZORPAY = 0, CASHFREE = 1 };

/* ---- a small language for the tests ---- */

static uuid_t captured(fixture_t *fixture)
{
    return make_captured_payment(fixture->admin, "Razorpay");
}

static refund_create_t refund_of(const uuid_t *payment_id, int64_t amount)
{
    return (refund_create_t){.refund_id = uuid7_new(), .payment_id = *payment_id, .amount = amount};
}

static refund_document_t shown(const fake_gateway_message_t *reply)
{
    refund_document_t document;
    err_detail_t detail = {{0}};
    if (reply->header.status != ERR_OK)
        fail_msg("%s", err_name(err_from_number(reply->header.status)));
    assert_int_equal(
        message_decode(MSG_refund_document, reply->body, reply->size, &document, &detail), ERR_OK);
    return document;
}

/* Reserved by a merchant's request; its id. */
static uuid_t request_refund(fixture_t *fixture, const uuid_t *payment_id, int64_t amount)
{
    const refund_create_t refund = refund_of(payment_id, amount);
    shown(ask(fixture, MSG_refund_create, &refund));
    return refund.refund_id;
}

/* Reserved by another process. */
static void insert_refunds(fixture_t *fixture, const uuid_t *payment_id, int count, const char *psp)
{
    char sql[512], text[UUID_TEXT_SIZE];
    snprintf(sql, sizeof sql,
             "INSERT INTO refunds (refund_id, payment_id, order_id, capture_fact_id, psp, amount, "
             "currency) SELECT uuid7(), payment_id, order_id, fact_id, '%s', 10, 'INR' "
             "FROM facts, generate_series(1, %d) WHERE kind = 'captured' AND payment_id = '%s'",
             psp, count, uuid_format(payment_id, text));
    look(fixture->admin, sql);
    look(fixture->admin, "NOTIFY refunds_due");
}

/* As if the lease, or the wait, were over. */
static void let_all_be_due(fixture_t *fixture)
{
    look(fixture->admin, "UPDATE refunds SET next_call_at = now() WHERE next_call_at IS NOT NULL");
    look(fixture->admin, "NOTIFY refunds_due");
}

static redisReply *stream(fixture_t *fixture)
{
    redisContext *context = redisConnect("127.0.0.1", fixture->redis.port);
    assert_int_equal(context->err, 0);
    redisReply *reply = redisCommand(context, "XRANGE stream:webhooks - +");
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    redisFree(context);
    return reply;
}

/* A field of the stream's entry `index`. */
static const char *field(const redisReply *entries, size_t index, const char *name)
{
    assert_true(index < entries->elements);
    const redisReply *fields = entries->element[index]->element[1];
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (strcmp(fields->element[i]->str, name) == 0)
            return fields->element[i + 1]->str;
    fail_msg("the entry has no %s", name);
    return NULL;
}

typedef struct entries_wanted {
    fixture_t *fixture;
    size_t count;
} entries_wanted_t;

static bool has_entries(void *arg)
{
    const entries_wanted_t *wanted = arg;
    fake_gateway_poll(&wanted->fixture->gateway);
    redisReply *entries = stream(wanted->fixture);
    const size_t count = entries->elements;
    freeReplyObject(entries);
    return count >= wanted->count;
}

static void await_entries(fixture_t *fixture, size_t count)
{
    entries_wanted_t wanted = {fixture, count};
    wait_until(has_entries, &wanted, SOON_MS, "the PSP's answer in the stream");
}

#define ALL_NOTED                                                                           \
    "SELECT count(*) = count(*) FILTER (WHERE next_call_at > now() + interval '9 s') FROM " \
    "refunds"
#define NOTED_AS_LOST "SELECT count(*) FROM refunds WHERE status = 'UNKNOWN' AND last_error <> ''"

/* What the PSP has made, in how many calls of how many keys. */
static void assert_made(fixture_t *fixture, int made, int keys)
{
    const fake_psp_refunds_t refunds = fake_psp_refunds(&fixture->psps, RAZORPAY);
    assert_int_equal(refunds.made, made);
    assert_int_equal(refunds.keys, keys);
    assert_int_equal(refunds.calls_at_once_max, 1);
}

/* ---- the calls ---- */

static void a_refund_is_made_where_it_was_captured_under_its_own_id(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture);
    const refund_create_t refund = refund_of(&payment_id, 20000);
    const refund_document_t document = shown(ask(fixture, MSG_refund_create, &refund));
    assert_true(uuid_equal(&document.refund_id, &refund.refund_id));
    assert_true(str_is(document.status, "PENDING"));
    assert_false(document.replayed);
    await_entries(fixture, 1);
    char key[64], text[UUID_TEXT_SIZE];
    fake_psp_last_key(&fixture->psps, RAZORPAY, key);
    assert_string_equal(key, uuid_format(&refund.refund_id, text));
    assert_made(fixture, 1, 1);
    assert_int_equal(fake_psp_calls(&fixture->psps, CASHFREE), 0);
}

static void the_psps_answer_goes_as_it_came_into_the_stream(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture);
    const uuid_t refund_id = request_refund(fixture, &payment_id, 20000);
    await_entries(fixture, 1);
    char text[UUID_TEXT_SIZE];
    redisReply *entries = stream(fixture);
    assert_string_equal(field(entries, 0, "source"), "refund_call");
    assert_string_equal(field(entries, 0, "psp"), "Razorpay");
    assert_string_equal(field(entries, 0, "payment_id"), uuid_format(&payment_id, text));
    assert_string_equal(field(entries, 0, "refund_id"), uuid_format(&refund_id, text));
    assert_string_equal(field(entries, 0, "http_status"), "201");
    assert_non_null(strstr(field(entries, 0, "body"), "\"status\":\"SUCCESS\",\"amount\":20000"));
    assert_true(strlen(field(entries, 0, "event_id")) > 0);
    freeReplyObject(entries);
    /* What is true is decided elsewhere; the PSP is not asked again at once. */
    assert_string_equal(
        look(fixture->admin, "SELECT count(*) FROM facts WHERE kind = 'refund_succeeded'"), "0");
    await(fixture, ALL_NOTED, "t");
    assert_string_equal(look(fixture->admin, "SELECT status FROM refunds"), "PENDING");
}

static bool a_call_was_told(void *arg)
{
    fixture_t *fixture = arg;
    fake_gateway_poll(&fixture->gateway);
    for (size_t i = 0; i < fixture->gateway.count; i++) {
        const fake_gateway_message_t *message = &fixture->gateway.messages[i];
        router_refund_call_t call;
        err_detail_t detail;
        if (message->header.kind != BUS_EVENT)
            continue;
        assert_int_equal(
            message_decode(MSG_router_refund_call, message->body, message->size, &call, &detail),
            ERR_OK);
        assert_true(str_is(call.psp, "Razorpay"));
        assert_true(str_is(call.outcome, "refund_succeeded"));
        return true;
    }
    return false;
}

static void each_call_is_told_to_the_gateways(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture);
    request_refund(fixture, &payment_id, 20000);
    wait_until(a_call_was_told, fixture, SOON_MS, "the event of the call");
}

static void a_refund_that_another_process_reserved_is_made(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture);
    tell_fact(fixture->admin, "Razorpay", &payment_id, NULL, "captured", "txn_second", 45000);
    await_entries(fixture, 1);
    assert_string_equal(look(fixture->admin, "SELECT automatic FROM refunds"), "t");
    assert_made(fixture, 1, 1);
}

static void a_refusal_for_good_is_told_and_not_repeated(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture);
    fake_psp_set_refund_mode(&fixture->psps, RAZORPAY, FAKE_PSP_REFUND_REFUSED);
    const uuid_t refund_id = request_refund(fixture, &payment_id, 20000);
    await_entries(fixture, 1);
    redisReply *entries = stream(fixture);
    assert_string_equal(field(entries, 0, "http_status"), "422");
    assert_string_equal(field(entries, 0, "body"), "{\"error\":\"card is closed\"}");
    freeReplyObject(entries);
    await(fixture, ALL_NOTED, "t");
    tell_fact(fixture->admin, "Razorpay", &payment_id, &refund_id, "refund_failed", "rfd_1", 20000);
    fake_psp_set_refund_mode(&fixture->psps, RAZORPAY, FAKE_PSP_REFUND_OK);
    let_all_be_due(fixture);
    const uuid_t other = request_refund(fixture, &payment_id, 1);
    await_entries(fixture, 2); /* the other's: the claim has passed over the first */
    char key[64], text[UUID_TEXT_SIZE];
    fake_psp_last_key(&fixture->psps, RAZORPAY, key);
    assert_string_equal(key, uuid_format(&other, text));
    assert_made(fixture, 1, 2);
    assert_int_equal(fake_psp_refunds(&fixture->psps, RAZORPAY).calls, 2);
}

static void what_is_pending_at_the_psp_is_asked_about_under_the_same_key(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture);
    fake_psp_set_refund_mode(&fixture->psps, RAZORPAY, FAKE_PSP_REFUND_PENDING);
    request_refund(fixture, &payment_id, 20000);
    await_entries(fixture, 1);
    await(fixture, ALL_NOTED, "t");
    fake_psp_set_refund_mode(&fixture->psps, RAZORPAY, FAKE_PSP_REFUND_OK);
    let_all_be_due(fixture);
    await_entries(fixture, 2);
    redisReply *entries = stream(fixture);
    assert_non_null(strstr(field(entries, 0, "body"), "\"PENDING\""));
    assert_non_null(strstr(field(entries, 1, "body"), "\"SUCCESS\""));
    assert_string_not_equal(field(entries, 0, "event_id"), field(entries, 1, "event_id"));
    freeReplyObject(entries);
    assert_made(fixture, 1, 1);
}

/* ---- lost answers ---- */

/* The PSP makes a refund, but its answer is none; then it answers. */
static void lose_the_first_answer(fixture_t *fixture, fake_psp_refund_mode_t mode)
{
    const uuid_t payment_id = captured(fixture);
    fake_psp_set_refund_mode(&fixture->psps, RAZORPAY, mode);
    request_refund(fixture, &payment_id, 20000);
    await(fixture, NOTED_AS_LOST, "1");
    fake_psp_set_refund_mode(&fixture->psps, RAZORPAY, FAKE_PSP_REFUND_OK);
    await_entries(fixture, 1);
    assert_made(fixture, 1, 1);
    assert_true(fake_psp_refunds(&fixture->psps, RAZORPAY).calls >= 2);
    assert_int_equal(fake_psp_calls(&fixture->psps, CASHFREE), 0);
}

static void after_an_error_of_the_psp_the_same_refund_is_asked_for_again(void **state)
{
    lose_the_first_answer(*state, FAKE_PSP_REFUND_LOST);
}

static void after_an_answer_that_is_none_the_same_refund_is_asked_for_again(void **state)
{
    lose_the_first_answer(*state, FAKE_PSP_REFUND_GARBLED);
}

static void after_silence_the_same_refund_is_asked_for_again(void **state)
{
    lose_the_first_answer(*state, FAKE_PSP_REFUND_SILENT);
}

static void a_refund_at_a_psp_that_is_not_configured_waits_and_says_so(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture);
    insert_refunds(fixture, &payment_id, 20, "Nobody");
    request_refund(fixture, &payment_id, 20000);
    await_entries(fixture, 1); /* more than are called at once do not stand in its way */
    await(fixture,
          "SELECT count(*) FROM refunds WHERE status = 'PENDING' AND "
          "last_error = 'the PSP is not configured at this router' AND "
          "next_call_at > now() + interval '50 s'",
          "20");
    assert_made(fixture, 1, 1);
}

static void an_answer_that_redis_did_not_take_is_asked_for_again(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture);
    test_redis_kill(&fixture->redis);
    request_refund(fixture, &payment_id, 20000);
    await_call(fixture, RAZORPAY, 2);
    test_redis_restart(&fixture->redis);
    await_entries(fixture, 1);
    assert_made(fixture, 1, 1);
    await(fixture, ALL_NOTED, "t");
}

/* The PSP may have made it and have forgotten its key since. */
static void an_old_refund_is_not_asked_for_again_where_the_psp_forgets_keys(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture);
    fake_psp_set_refund_mode(&fixture->psps, RAZORPAY, FAKE_PSP_REFUND_LOST);
    request_refund(fixture, &payment_id, 20000);
    await(fixture, NOTED_AS_LOST, "1");
    look(fixture->admin, "UPDATE refunds SET created_at = now() - interval '25 h' RETURNING 1");
    fake_psp_set_refund_mode(&fixture->psps, RAZORPAY, FAKE_PSP_REFUND_OK);
    let_all_be_due(fixture);
    await(fixture,
          "SELECT count(*) FROM refunds WHERE status = 'UNKNOWN' AND "
          "last_error LIKE 'it may have been made%' AND next_call_at > now() + interval '200 s'",
          "1");
    const int calls = fake_psp_refunds(&fixture->psps, RAZORPAY).calls;
    let_all_be_due(fixture);
    await(fixture, "SELECT next_call_at > now() + interval '200 s' FROM refunds", "t");
    assert_int_equal(fake_psp_refunds(&fixture->psps, RAZORPAY).calls, calls);
}

/* ---- several routers ---- */

/* A router dies at a point; another goes on. */
static void die_and_go_on(fixture_t *fixture, const char *crash_at)
{
    const uuid_t payment_id = captured(fixture);
    fixture->crash_at = crash_at;
    start_router(fixture);
    const refund_create_t refund = refund_of(&payment_id, 20000);
    fake_gateway_request(&fixture->gateway, MSG_refund_create, &refund, BUDGET_MS);
    assert_int_equal(await_end(fixture), 128 + SIGKILL);
    fixture->crash_at = NULL;
    start_router(fixture);
    shown(ask(fixture, MSG_refund_create, &refund)); /* the hub sends it once more */
    let_all_be_due(fixture);
    await(fixture, "SELECT calls >= 1 AND next_call_at > now() + interval '9 s' FROM refunds", "t");
    assert_made(fixture, 1, 1);
    redisReply *entries = stream(fixture);
    assert_true(entries->elements >= 1);
    for (size_t i = 1; i < entries->elements; i++) /* the same event: a duplicate */
        assert_string_equal(field(entries, i, "event_id"), field(entries, 0, "event_id"));
    freeReplyObject(entries);
}

static void it_is_made_once_though_the_router_dies_when_it_is_reserved(void **state)
{
    die_and_go_on(*state, "router_refund_reserved");
}

static void it_is_made_once_though_the_router_dies_when_it_is_claimed(void **state)
{
    die_and_go_on(*state, "router_refund_claimed");
}

static void it_is_made_once_though_the_router_dies_with_the_answer(void **state)
{
    die_and_go_on(*state, "router_refund_answered");
}

static void it_is_made_once_though_the_router_dies_when_it_is_queued(void **state)
{
    die_and_go_on(*state, "router_refund_appended");
}

static void two_routers_ask_for_each_refund_once(void **state)
{
    fixture_t *fixture = *state;
    enum { REFUNDS = 200 };
    const uuid_t payment_id = captured(fixture);
    start_lone_router(fixture);
    insert_refunds(fixture, &payment_id, REFUNDS, "Razorpay");
    await_entries(fixture, REFUNDS);
    await(fixture, ALL_NOTED, "t");
    assert_made(fixture, REFUNDS, REFUNDS);
    assert_int_equal(fake_psp_refunds(&fixture->psps, RAZORPAY).calls, REFUNDS);
    assert_string_equal(look(fixture->admin, "SELECT max(calls) FROM refunds"), "1");
}

static bool is_draining(void *arg)
{
    fixture_t *fixture = arg;
    fake_gateway_poll(&fixture->gateway);
    return fixture->gateway.draining;
}

static void told_to_stop_it_ends_its_calls_and_claims_nothing_more(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture);
    fake_psp_set_refund_mode(&fixture->psps, RAZORPAY, FAKE_PSP_REFUND_SILENT);
    request_refund(fixture, &payment_id, 20000);
    await_call(fixture, RAZORPAY, 1);
    kill(fixture->routers[0], SIGTERM);
    wait_until(is_draining, fixture, SOON_MS, "the router's word that it drains");
    insert_refunds(fixture, &payment_id, 1, "Razorpay");
    assert_int_equal(await_end(fixture), 0);
    assert_string_equal(look(fixture->admin, NOTED_AS_LOST), "1");
    assert_string_equal(look(fixture->admin, "SELECT calls FROM refunds WHERE amount = 10"), "0");
    assert_int_equal(fake_psp_calls(&fixture->psps, RAZORPAY), 1);
}

static void refunds_that_hang_do_not_keep_checkouts_waiting(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture);
    fake_psp_set_refund_mode(&fixture->psps, RAZORPAY, FAKE_PSP_REFUND_SILENT);
    insert_refunds(fixture, &payment_id, 100, "Razorpay");
    await_call(fixture, RAZORPAY, 8);
    const payment_initiate_t request = payment_of(fixture);
    const payment_initiated_t initiated = opened(ask(fixture, MSG_payment_initiate, &request));
    assert_true(str_is(initiated.psp, "Razorpay"));
    assert_int_equal(fake_psp_refunds(&fixture->psps, RAZORPAY).keys, 8);
}

/* ---- requests ---- */

static void what_cannot_be_refunded_is_refused_with_its_reason(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture), unknown = uuid7_new();
    const refund_create_t of_nothing = refund_of(&unknown, 1),
                          too_much = refund_of(&payment_id, 45001),
                          negative = refund_of(&payment_id, -1);
    refused(ask(fixture, MSG_refund_create, &of_nothing), ERR_PAYMENT_NOT_FOUND);
    assert_string_equal(
        refused(ask(fixture, MSG_refund_create, &too_much), ERR_REFUND_EXCEEDS_CAPTURE),
        "amount: 45000 can be refunded");
    refused(ask(fixture, MSG_refund_create, &negative), ERR_INVALID_AMOUNT);
    refund_create_t taken = refund_of(&payment_id, 1);
    taken.refund_id = request_refund(fixture, &payment_id, 1);
    taken.payment_id = captured(fixture);
    refused(ask(fixture, MSG_refund_create, &taken), ERR_ID_CONFLICT);
    assert_string_equal(look(fixture->admin, "SELECT count(*) FROM refunds"), "1");
}

static void of_twenty_refunds_of_a_third_at_once_three_are_made(void **state)
{
    fixture_t *fixture = *state;
    enum { CLIENTS = 20 };
    const uuid_t payment_id = captured(fixture);
    uint64_t correlations[CLIENTS];
    int reserved = 0;
    for (int i = 0; i < CLIENTS; i++) {
        const refund_create_t refund = refund_of(&payment_id, 13500);
        correlations[i] =
            fake_gateway_request(&fixture->gateway, MSG_refund_create, &refund, BUDGET_MS);
    }
    for (int i = 0; i < CLIENTS; i++) {
        const fake_gateway_message_t *reply = await_reply(fixture, correlations[i]);
        if (reply->header.status == ERR_OK)
            reserved++;
        else
            refused(reply, ERR_REFUND_EXCEEDS_CAPTURE);
    }
    assert_int_equal(reserved, 3);
    await_entries(fixture, 3);
    await(fixture, ALL_NOTED, "t");
    assert_made(fixture, 3, 3);
}

static void a_key_gets_its_first_answer_again(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture);
    refund_create_t refund = refund_of(&payment_id, 20000);
    refund.idempotency_id = uuid7_new();
    refund.fingerprint = uuid7_new();
    shown(ask(fixture, MSG_refund_create, &refund));
    refund_create_t again = refund;
    again.refund_id = uuid7_new();
    const refund_document_t replayed = shown(ask(fixture, MSG_refund_create, &again));
    assert_true(replayed.replayed);
    assert_true(uuid_equal(&replayed.refund_id, &refund.refund_id));
    again.fingerprint = uuid7_new();
    refused(ask(fixture, MSG_refund_create, &again), ERR_IDEMPOTENCY_KEY_REUSED);
    assert_string_equal(look(fixture->admin, "SELECT count(*) FROM refunds"), "1");
}

static void a_refusal_is_replayed_with_the_request_it_was_told(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture), first_request = uuid7_new();
    refund_create_t refund = refund_of(&payment_id, 45001);
    refund.idempotency_id = uuid7_new();
    refund.fingerprint = uuid7_new();
    const bus_error_t first = refusal(
        await_reply(fixture, fake_gateway_request_as(&fixture->gateway, &first_request,
                                                     MSG_refund_create, &refund, BUDGET_MS)),
        ERR_REFUND_EXCEEDS_CAPTURE);
    assert_false(first.replayed);
    refund.refund_id = uuid7_new();
    const bus_error_t again =
        refusal(ask(fixture, MSG_refund_create, &refund), ERR_REFUND_EXCEEDS_CAPTURE);
    assert_true(again.replayed);
    assert_true(uuid_equal(&again.first_request_id, &first_request));
    assert_true(str_equal(again.detail, first.detail));
}

static void a_refund_is_shown_and_an_unknown_one_is_not_found(void **state)
{
    fixture_t *fixture = *state;
    const uuid_t payment_id = captured(fixture);
    const refund_get_t known = {.refund_id = request_refund(fixture, &payment_id, 20000)},
                       unknown = {.refund_id = uuid7_new()};
    const uint64_t first =
        fake_gateway_request(&fixture->gateway, MSG_refund_get, &known, BUDGET_MS);
    const uint64_t second =
        fake_gateway_request(&fixture->gateway, MSG_refund_get, &unknown, BUDGET_MS);
    const refund_document_t document = shown(await_reply(fixture, first));
    assert_true(uuid_equal(&document.refund_id, &known.refund_id));
    assert_true(uuid_equal(&document.payment_id, &payment_id));
    refused(await_reply(fixture, second), ERR_REFUND_NOT_FOUND);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_refund_is_made_where_it_was_captured_under_its_own_id, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(an_old_refund_is_not_asked_for_again_where_the_psp_forgets_keys,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(the_psps_answer_goes_as_it_came_into_the_stream, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(each_call_is_told_to_the_gateways, setup, teardown),
    cmocka_unit_test_setup_teardown(a_refund_that_another_process_reserved_is_made, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_refusal_for_good_is_told_and_not_repeated, setup, teardown),
    cmocka_unit_test_setup_teardown(what_is_pending_at_the_psp_is_asked_about_under_the_same_key,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(after_an_error_of_the_psp_the_same_refund_is_asked_for_again,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(after_an_answer_that_is_none_the_same_refund_is_asked_for_again,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(after_silence_the_same_refund_is_asked_for_again, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_refund_at_a_psp_that_is_not_configured_waits_and_says_so,
                                    setup, teardown),
    cmocka_unit_test_setup_teardown(an_answer_that_redis_did_not_take_is_asked_for_again, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(it_is_made_once_though_the_router_dies_when_it_is_reserved,
                                    setup_without_router, teardown),
    cmocka_unit_test_setup_teardown(it_is_made_once_though_the_router_dies_when_it_is_claimed,
                                    setup_without_router, teardown),
    cmocka_unit_test_setup_teardown(it_is_made_once_though_the_router_dies_with_the_answer,
                                    setup_without_router, teardown),
    cmocka_unit_test_setup_teardown(it_is_made_once_though_the_router_dies_when_it_is_queued,
                                    setup_without_router, teardown),
    cmocka_unit_test_setup_teardown(two_routers_ask_for_each_refund_once, setup, teardown),
    cmocka_unit_test_setup_teardown(told_to_stop_it_ends_its_calls_and_claims_nothing_more, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(refunds_that_hang_do_not_keep_checkouts_waiting, setup_patient,
                                    teardown),
    cmocka_unit_test_setup_teardown(what_cannot_be_refunded_is_refused_with_its_reason, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(of_twenty_refunds_of_a_third_at_once_three_are_made, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_key_gets_its_first_answer_again, setup, teardown),
    cmocka_unit_test_setup_teardown(a_refusal_is_replayed_with_the_request_it_was_told, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_refund_is_shown_and_an_unknown_one_is_not_found, setup,
                                    teardown),
};

TEST_MAIN(tests)
