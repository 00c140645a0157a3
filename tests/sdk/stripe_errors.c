/* stripe_errors.c - the Stripe connector against a second server than our own simulator:
 * stripe-stateful-mock from npm, which others wrote after Stripe's answers. Requests are the
 * connector's, go over a real connection, and what comes back goes into the connector's readers.
 * Started by stripe-mock.mjs, which starts the mock (STRIPE_MOCK_URL).
 *
 * That mock knows charges, refunds, idempotency keys, wrong API keys, declined cards; it knows
 * neither Checkout Sessions nor PaymentIntents nor the balance. So this covers
 *  - refunds and their lists, with one field of the request renamed: they are of a `charge` there;
 *  - idempotency: repeated keys, keys that come with something else, errors that are kept;
 *  - errors, as the mock has them for the call that takes money: a checkout's request is sent there
 *    as a charge of the same amount with the same headers, to be declined, limited, refused;
 *  - requests for what it does not know (a session, a status, a report), as they are: 404 and 401.
 * It cannot show how an open or a paid session is read, nor captures, voids, webhooks, a key that
 * is being worked on (409): tests/unit/test_psp_stripe.c and contract.mjs are about those.
 */
#include "tests/support/test_main.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/form.h"
#include "lib/http_client.h"
#include "lib/json_read.h"
#include "lib/payment/psp.h"

#define RIGHT_KEY "sk_test_connector"
#define WRONG_KEY "sk_live_Qw3rty7890"

enum { PATIENCE_MS = 20000, CHARGED = 45000 };

static http_client_t *http;
static psp_account_t account = {.key_secret = RIGHT_KEY};

static const psp_t *stripe(void)
{
    return psp_find(str_of("Stripe"));
}

/* ---- calls ---- */

static int open_client(void **state)
{
    (void)state;
    account.base_url = getenv("STRIPE_MOCK_URL");
    if (!account.base_url)
        fail_msg("STRIPE_MOCK_URL is not set: stripe-mock.mjs starts this");
    http = http_client_new(4);
    return 0;
}

static int close_client(void **state)
{
    (void)state;
    http_client_destroy(&http);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    account.key_secret = RIGHT_KEY;
    return 0;
}

/* The answer, whose body is the caller's. */
static http_client_response_t ask(http_client_request_t *request)
{
    http_client_response_t response;
    void *cookie;
    struct pollfd ready = {.fd = http_client_fd(http), .events = POLLIN};
    request->timeout_ms = PATIENCE_MS;
    http_client_submit(http, request, NULL);
    while (!http_client_next(http, &cookie, &response))
        assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
    if (response.err != ERR_OK)
        fail_msg("no answer: %s", response.error);
    return response;
}

static str_t body_of(const http_client_response_t *response)
{
    return (str_t){response->body.data, (uint32_t)response->body.size};
}

/* An object of the mock's, past the connector; decref it. */
static json_t *object_at(const char *method, const char *path, const char *form)
{
    http_client_request_t request = {.method = method};
    snprintf(request.url, sizeof request.url, "%s%s", account.base_url, path);
    http_client_request_header(&request, "Authorization: Bearer " RIGHT_KEY);
    http_client_request_header(&request, "Content-Type: application/x-www-form-urlencoded");
    buf_add_text(&request.body, form);
    http_client_response_t response = ask(&request);
    json_t *object = json_read_object(body_of(&response), NULL);
    if (response.status != 200 || !object)
        fail_msg("%s %s: %d", method, path, response.status);
    buf_free(&response.body);
    return object;
}

/* "ch_…" of a new charge on this card. */
static void charge_on(const char *card, char id[PSP_REF_SIZE])
{
    char form[128];
    snprintf(form, sizeof form, "amount=%d&currency=inr&source=%s", CHARGED, card);
    json_t *charge = object_at("POST", "/v1/charges", form);
    str_copy(json_read_str(charge, "id"), id, PSP_REF_SIZE);
    json_decref(charge);
}

/* ---- refunds ---- */

static psp_refund_t refund_of(const char *charge, int64_t amount)
{
    psp_refund_t refund = {.refund_id = uuid7_new(),
                           .payment_id = uuid7_new(),
                           .order_id = uuid7_new(),
                           .amount = amount,
                           .currency = "INR",
                           .reason = "too cold & too late"};
    snprintf(refund.capture_ref, sizeof refund.capture_ref, "%s", charge);
    return refund;
}

static psp_refund_t refund_of_new_charge(int64_t amount)
{
    char charge[PSP_REF_SIZE];
    charge_on("tok_visa", charge);
    return refund_of(charge, amount);
}

/* The connector's request, but that it names a charge; what its reader makes of the answer. */
static err_t give_back(const psp_refund_t *refund, int status, psp_report_t *report,
                       err_detail_t *detail)
{
    static const char intent[] = "payment_intent=";
    http_client_request_t request = {0};
    buf_t form = {0};
    psp_refund_request(stripe(), &account, refund, &request);
    assert_int_equal(strncmp(request.body.data, intent, sizeof intent - 1), 0);
    buf_printf(&form, "charge=%s", request.body.data + sizeof intent - 1);
    buf_free(&request.body);
    request.body = form;
    http_client_response_t response = ask(&request);
    if (response.status != status)
        fail_msg("HTTP %d instead of %d: %.300s", response.status, status, response.body.data);
    memset(report, 0, sizeof *report);
    memset(detail, 0, sizeof *detail);
    const err_t err =
        psp_refund_read(stripe(), refund, response.status, body_of(&response), report, detail);
    buf_free(&response.body);
    return err;
}

static psp_report_t answer_of(const psp_refund_t *refund, int status)
{
    psp_report_t report;
    err_detail_t detail;
    if (give_back(refund, status, &report, &detail) != ERR_OK)
        fail_msg("%s", detail.text);
    return report;
}

/* It says nothing about the refund, which is to be asked for again. */
static void assert_says_nothing(const psp_refund_t *refund, int status, const char *why)
{
    psp_report_t report;
    err_detail_t detail;
    assert_int_equal(give_back(refund, status, &report, &detail), ERR_MALFORMED_WEBHOOK);
    if (!strstr(detail.text, why))
        fail_msg("\"%s\" does not say \"%s\"", detail.text, why);
    assert_null(strstr(detail.text, "sk_"));
    assert_null(strstr(report.reason, "sk_"));
}

static void assert_refused(const psp_refund_t *refund, int status, const char *words)
{
    const psp_report_t report = answer_of(refund, status);
    char said[PSP_REASON_SIZE], ours[UUID_TEXT_SIZE];
    snprintf(said, sizeof said, "HTTP %d: %s", status, words);
    assert_int_equal(report.kind, PSP_FACT_REFUND_FAILED);
    if (strncmp(report.reason, said, strlen(said)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", report.reason, said);
    assert_true(uuid_equal(&report.refund_id, &refund->refund_id));
    assert_true(uuid_equal(&report.payment_id, &refund->payment_id));
    assert_string_equal(report.psp_ref, uuid_format(&refund->refund_id, ours));
}

/* What of a charge the mock has given back. */
static int64_t given_back(const char *charge)
{
    char path[PSP_REF_SIZE + 16];
    snprintf(path, sizeof path, "/v1/charges/%s", charge);
    json_t *object = object_at("GET", path, "");
    const int64_t sum = json_integer_value(json_object_get(object, "amount_refunded"));
    json_decref(object);
    return sum;
}

static void a_refund_is_read_as_done_and_as_ours(void **state)
{
    (void)state;
    const psp_refund_t refund = refund_of_new_charge(1000);
    const psp_report_t report = answer_of(&refund, 200);
    const int64_t age_us = clock_wall_us() - report.occurred_at_us;
    assert_int_equal(report.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_int_equal(strncmp(report.psp_ref, "re_", 3), 0);
    assert_int_equal(report.amount, 1000);
    assert_string_equal(report.currency, "INR");
    assert_true(uuid_equal(&report.refund_id, &refund.refund_id));
    assert_true(uuid_equal(&report.payment_id, &refund.payment_id));
    assert_true(uuid_equal(&report.order_id, &refund.order_id));
    assert_true(age_us >= 0 && age_us < PATIENCE_MS * INT64_C(1000));
    assert_int_equal(given_back(refund.capture_ref), 1000);
}

static void a_repeated_refund_is_the_same_and_moves_nothing(void **state)
{
    (void)state;
    const psp_refund_t refund = refund_of_new_charge(1000);
    const psp_report_t first = answer_of(&refund, 200), again = answer_of(&refund, 200);
    assert_memory_equal(&first, &again, sizeof first);
    assert_int_equal(given_back(refund.capture_ref), 1000);
    psp_refund_t other = refund;
    other.refund_id = uuid7_new();
    assert_string_not_equal(answer_of(&other, 200).psp_ref, first.psp_ref);
    assert_int_equal(given_back(refund.capture_ref), 2000);
}

/* The refund of that key may be there: nobody may take it for failed. */
static void a_key_that_came_with_something_else_says_nothing(void **state)
{
    (void)state;
    const psp_refund_t refund = refund_of_new_charge(1000);
    const psp_report_t first = answer_of(&refund, 200);
    psp_refund_t other = refund;
    other.amount = 2000;
    assert_says_nothing(&other, 400, "Idempotency-Key");
    const psp_report_t again = answer_of(&refund, 200);
    assert_memory_equal(&first, &again, sizeof first);
    assert_int_equal(given_back(refund.capture_ref), 1000);
}

static void what_cannot_be_given_back_has_failed_for_good(void **state)
{
    (void)state;
    const psp_refund_t part = refund_of_new_charge(CHARGED - 100);
    const psp_refund_t over = refund_of(part.capture_ref, 101);
    const psp_refund_t rest = refund_of(part.capture_ref, 100);
    const psp_refund_t late = refund_of(part.capture_ref, 1);
    const psp_refund_t unknown = refund_of("ch_nobody", 1);
    answer_of(&part, 200);
    assert_refused(&over, 400, "Refund amount ($1.01) is greater than unrefunded amount");
    assert_refused(&over, 400, "Refund amount ($1.01) is greater"); /* kept under its key */
    answer_of(&rest, 200);
    assert_refused(&late, 400, "Charge ch_");
    assert_refused(&unknown, 404, "No such charge: ch_nobody");
    assert_int_equal(given_back(part.capture_ref), CHARGED);
}

static void a_disputed_charge_is_not_given_back(void **state)
{
    (void)state;
    char charge[PSP_REF_SIZE], path[PSP_REF_SIZE + 16];
    charge_on("tok_createDispute", charge);
    snprintf(path, sizeof path, "/v1/charges/%s", charge);
    const int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    bool disputed = false;
    while (!disputed && clock_mono_ms() < until_ms) { /* it is disputed a moment later */
        json_t *object = object_at("GET", path, "");
        disputed = json_is_true(json_object_get(object, "disputed"));
        json_decref(object);
    }
    assert_true(disputed);
    const psp_refund_t refund = refund_of(charge, 100);
    assert_refused(&refund, 400, "Charge ch_");
    assert_non_null(strstr(answer_of(&refund, 400).reason, "charged back"));
}

/* Our key is wrong, not the refund; of the key nothing is repeated, though the mock quotes it. */
static void a_wrong_key_says_nothing_about_a_refund(void **state)
{
    (void)state;
    const psp_refund_t refund = refund_of_new_charge(1000);
    static const char *const keys[] = {WRONG_KEY, ""};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        account.key_secret = keys[i];
        assert_says_nothing(&refund, 401, "HTTP 401 is no answer about the refund");
    }
    account.key_secret = RIGHT_KEY;
    assert_int_equal(given_back(refund.capture_ref), 0);
    assert_int_equal(answer_of(&refund, 200).kind, PSP_FACT_REFUND_SUCCEEDED);
}

static err_t refund_status(const psp_refund_t *refund, int status, psp_report_t *report,
                           err_detail_t *detail)
{
    http_client_request_t request = {0};
    assert_true(psp_refund_status_request(stripe(), &account, refund, &request));
    http_client_response_t response = ask(&request);
    assert_int_equal(response.status, status);
    memset(report, 0, sizeof *report);
    memset(detail, 0, sizeof *detail);
    const err_t err =
        psp_refund_read(stripe(), refund, response.status, body_of(&response), report, detail);
    buf_free(&response.body);
    return err;
}

/* The list is of all charges there: ours is found by its metadata, or not at all. */
static void a_refund_is_found_again_among_others(void **state)
{
    (void)state;
    const psp_refund_t first = refund_of_new_charge(100), second = refund_of_new_charge(200),
                       never = refund_of(first.capture_ref, 300);
    const psp_report_t made[] = {answer_of(&first, 200), answer_of(&second, 200)};
    const psp_refund_t *const asked[] = {&first, &second};
    psp_report_t found;
    err_detail_t detail;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(refund_status(asked[i], 200, &found, &detail), ERR_OK);
        assert_memory_equal(&found, &made[i], sizeof found);
    }
    assert_int_equal(refund_status(&never, 200, &found, &detail), ERR_MALFORMED_WEBHOOK);
    assert_non_null(strstr(detail.text, "another refund"));
    account.key_secret = WRONG_KEY;
    assert_int_equal(refund_status(&first, 401, &found, &detail), ERR_MALFORMED_WEBHOOK);
    assert_null(strstr(detail.text, "sk_"));
}

/* ---- checkouts ---- */

static psp_checkout_t checkout_of(int64_t amount)
{
    return (psp_checkout_t){.payment_id = uuid7_new(),
                            .order_id = uuid7_new(),
                            .attempt_id = uuid7_new(),
                            .amount = amount,
                            .currency = "INR",
                            .method = "CARD",
                            .now_us = clock_wall_us(),
                            .expires_at_us = clock_wall_us() + INT64_C(3600000000),
                            .customer = {.id = "asha", .email = "asha@example.com"},
                            .public_url = "https://pay.example"};
}

static psp_checkout_answer_t read_checkout(http_client_request_t *request, int status)
{
    psp_checkout_answer_t answer;
    http_client_response_t response = ask(request);
    if (response.status != status)
        fail_msg("HTTP %d instead of %d: %.300s", response.status, status, response.body.data);
    psp_checkout_read(stripe(), &response, &answer);
    buf_free(&response.body);
    return answer;
}

/* The connector's request for a session, made one for a charge of that amount on this card. */
static psp_checkout_answer_t open_on(const psp_checkout_t *checkout, const char *card, int status)
{
    static const char session[] = "/v1/checkout/sessions";
    static const char *const fields[][2] = {{"amount", "line_items[0][price_data][unit_amount]"},
                                            {"currency", "line_items[0][price_data][currency]"},
                                            {"metadata[payment_id]", "metadata[payment_id]"},
                                            {"metadata[order_id]", "metadata[order_id]"}};
    http_client_request_t request = {0};
    buf_t form = {0};
    char value[64];
    psp_checkout_request(stripe(), &account, checkout, &request);
    char *path = strstr(request.url, session);
    assert_true(path && strcmp(path, session) == 0);
    snprintf(path, sizeof request.url - (size_t)(path - request.url), "/v1/charges");
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        assert_true(form_copy((str_t){request.body.data, (uint32_t)request.body.size}, fields[i][1],
                              value, sizeof value));
        form_add(&form, fields[i][0], value);
    }
    form_add(&form, "source", card);
    buf_free(&request.body);
    request.body = form;
    return read_checkout(&request, status);
}

static void assert_checkout(const psp_checkout_answer_t *answer, psp_checkout_outcome_t outcome,
                            psp_fault_t fault, const char *reason)
{
    if (answer->outcome != outcome || answer->fault != fault ||
        strcmp(answer->reason, reason) != 0 || answer->checkout_url[0] || answer->psp_ref[0])
        fail_msg("%s, %s, \"%s\" instead of %s, %s, \"%s\"",
                 psp_checkout_outcome_name(answer->outcome), psp_fault_name(answer->fault),
                 answer->reason, psp_checkout_outcome_name(outcome), psp_fault_name(fault), reason);
}

static void each_error_has_its_outcome_and_whose_fault_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *card;
        int64_t amount;
        int status;
        psp_checkout_outcome_t outcome;
        psp_fault_t fault;
        const char *reason;
    } cases[] = {
        {"tok_chargeDeclined", CHARGED, 402, PSP_CHECKOUT_REFUSED, PSP_FAULT_CUSTOMER,
         "HTTP 402: Your card was declined."},
        {"tok_chargeDeclinedInsufficientFunds", CHARGED, 402, PSP_CHECKOUT_REFUSED,
         PSP_FAULT_CUSTOMER, "HTTP 402: Your card has insufficient funds."},
        {"tok_chargeDeclinedFraudulent", CHARGED, 402, PSP_CHECKOUT_REFUSED, PSP_FAULT_CUSTOMER,
         "HTTP 402: Your card was declined."},
        {"tok_chargeDeclinedExpiredCard", CHARGED, 402, PSP_CHECKOUT_REFUSED, PSP_FAULT_CUSTOMER,
         "HTTP 402: Your card has expired."},
        {"tok_chargeDeclinedIncorrectCvc", CHARGED, 402, PSP_CHECKOUT_REFUSED, PSP_FAULT_CUSTOMER,
         "HTTP 402: Your card's security code is incorrect."},
        {"tok_visa", 100000000, 400, PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT,
         "HTTP 400: Amount must be no more than $999,999.99"},
        {"tok_429", CHARGED, 429, PSP_CHECKOUT_REFUSED, PSP_FAULT_LIMIT,
         "HTTP 429: Too many requests in a period of time."},
        {"tok_500", CHARGED, 500, PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP,
         "HTTP 500: An unknown error occurred"},
        /* a charge is no session: something was made, and nobody can say what */
        {"tok_visa", CHARGED, 200, PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP,
         "the PSP's answer cannot be understood"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const psp_checkout_t checkout = checkout_of(cases[i].amount);
        const psp_checkout_answer_t answer = open_on(&checkout, cases[i].card, cases[i].status);
        assert_checkout(&answer, cases[i].outcome, cases[i].fault, cases[i].reason);
    }
}

/* The first request under that key may have opened it. */
static void a_checkout_whose_key_came_with_something_else_is_unknown(void **state)
{
    (void)state;
    psp_checkout_t checkout = checkout_of(CHARGED);
    const psp_checkout_answer_t first = open_on(&checkout, "tok_chargeDeclined", 402),
                                again = open_on(&checkout, "tok_chargeDeclined", 402);
    assert_memory_equal(&first, &again, sizeof first);
    checkout.amount++;
    const psp_checkout_answer_t other = open_on(&checkout, "tok_chargeDeclined", 400);
    assert_int_equal(other.outcome, PSP_CHECKOUT_UNKNOWN);
    assert_non_null(strstr(other.reason, "HTTP 400: Keys for idempotent requests"));
}

static void a_wrong_key_is_the_merchants_fault_and_is_not_repeated(void **state)
{
    (void)state;
    const psp_checkout_t checkout = checkout_of(CHARGED);
    account.key_secret = WRONG_KEY;
    const psp_checkout_answer_t answer = open_on(&checkout, "tok_visa", 401);
    assert_checkout(&answer, PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT, "HTTP 401");
}

/* ---- what the mock does not know: requests as they are ---- */

static void a_server_that_has_no_sessions_opens_none(void **state)
{
    (void)state;
    const psp_checkout_t checkout = checkout_of(CHARGED);
    http_client_request_t request = {0};
    psp_checkout_request(stripe(), &account, &checkout, &request);
    const psp_checkout_answer_t answer = read_checkout(&request, 404);
    assert_checkout(&answer, PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT,
                    "HTTP 404: No matching path: /v1/checkout/sessions");
}

static err_t status_of(const psp_payment_t *payment, int status, psp_report_t *report,
                       err_detail_t *detail)
{
    http_client_request_t request = {0};
    assert_true(psp_status_request(stripe(), &account, payment, &request));
    http_client_response_t response = ask(&request);
    assert_int_equal(response.status, status);
    memset(report, 0, sizeof *report);
    memset(detail, 0, sizeof *detail);
    const err_t err =
        psp_status_read(stripe(), payment, response.status, body_of(&response), report, detail);
    buf_free(&response.body);
    return err;
}

static void a_session_that_is_not_there_is_no_failure(void **state)
{
    (void)state;
    const psp_payment_t payment = {.payment_id = uuid7_new(), .psp_ref = "cs_test_nobody"};
    psp_report_t report;
    err_detail_t detail;
    assert_int_equal(status_of(&payment, 404, &report, &detail), ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_NONE);
    assert_string_equal(report.reason, "the PSP does not know the payment");
    assert_true(uuid_equal(&report.payment_id, &payment.payment_id));
    account.key_secret = WRONG_KEY;
    assert_int_equal(status_of(&payment, 401, &report, &detail), ERR_MALFORMED_WEBHOOK);
    assert_string_equal(detail.text, "HTTP 401 is no status answer");
}

static void a_report_that_is_not_there_is_no_empty_report(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int status;
    } cases[] = {{RIGHT_KEY, 404}, {WRONG_KEY, 401}};
    const psp_settlement_query_t query = {.day_us = INT64_C(1771632000000000)};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        http_client_request_t request = {0};
        psp_settlement_page_t page;
        err_detail_t detail;
        account.key_secret = cases[i].key;
        assert_true(psp_settlement_request(stripe(), &account, &query, &request));
        http_client_response_t response = ask(&request);
        assert_int_equal(response.status, cases[i].status);
        assert_int_equal(psp_settlement_read(stripe(), &query, response.status, body_of(&response),
                                             &page, &detail),
                         ERR_MALFORMED_WEBHOOK);
        assert_null(strstr(detail.text, "sk_"));
        buf_free(&response.body);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(a_refund_is_read_as_done_and_as_ours, begin),
    cmocka_unit_test_setup(a_repeated_refund_is_the_same_and_moves_nothing, begin),
    cmocka_unit_test_setup(a_key_that_came_with_something_else_says_nothing, begin),
    cmocka_unit_test_setup(what_cannot_be_given_back_has_failed_for_good, begin),
    cmocka_unit_test_setup(a_disputed_charge_is_not_given_back, begin),
    cmocka_unit_test_setup(a_wrong_key_says_nothing_about_a_refund, begin),
    cmocka_unit_test_setup(a_refund_is_found_again_among_others, begin),
    cmocka_unit_test_setup(each_error_has_its_outcome_and_whose_fault_it_is, begin),
    cmocka_unit_test_setup(a_checkout_whose_key_came_with_something_else_is_unknown, begin),
    cmocka_unit_test_setup(a_wrong_key_is_the_merchants_fault_and_is_not_repeated, begin),
    cmocka_unit_test_setup(a_server_that_has_no_sessions_opens_none, begin),
    cmocka_unit_test_setup(a_session_that_is_not_there_is_no_failure, begin),
    cmocka_unit_test_setup(a_report_that_is_not_there_is_no_empty_report, begin),
};

int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, open_client, close_client);
}
