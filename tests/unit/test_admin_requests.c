/* test_admin_requests.c - what an operator asks for is either one of the filters there are, or
 * refused with the parameter's name: never shown as an empty list, or as everything. */
#include "gateway/admin_requests.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "gateway/openapi.h"
#include "tests/support/test_main.h"

#define PAYMENT_ID "01900000-0000-7000-8000-000000000002"
#define NIL_ID "00000000-0000-0000-0000-000000000000"
#define LONG_33 "abcdefghijklmnopqrstuvwxyzabcdefg"

static http_request_t asked(const char *query)
{
    return (http_request_t){.method = "GET", .path = "/admin", .query = query};
}

/* ---- rows ---- */

static void a_row_has_a_whole_number_from_1_on_and_nothing_else_is_found(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "0",
                                        "-1",
                                        "+1",
                                        "1.0",
                                        "1 ",
                                        "0x1",
                                        "one",
                                        "1e3",
                                        "01x",
                                        "9223372036854775808",
                                        "111111111111111111111111111111"};
    int64_t id = 0;
    err_detail_t detail = {{0}};
    assert_int_equal(admin_row_id(STR_LITERAL("1"), &id, &detail), ERR_OK);
    assert_int_equal(id, 1);
    assert_int_equal(admin_row_id(STR_LITERAL("999999999999999999"), &id, &detail), ERR_OK);
    assert_int_equal(id, 999999999999999999);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (admin_row_id(str_of(wrong[i]), &id, &detail) != ERR_NOT_FOUND)
            fail_msg("%s", wrong[i]);
}

/* ---- filters ---- */

static void dead_letters_are_filtered_by_gateway_and_reason(void **state)
{
    (void)state;
    dead_letter_query_t texts;
    dead_letter_list_t list;
    err_detail_t detail = {{0}};
    const http_request_t request =
        asked("gateway=razorPAY&reason=PAYMENT_NOT_FOUND&limit=100&cursor=42");
    assert_int_equal(admin_dead_letter_list(&request, &texts, &list, &detail), ERR_OK);
    assert_true(str_is(list.psp, "Razorpay"));
    assert_true(str_is(list.reason, "PAYMENT_NOT_FOUND"));
    assert_int_equal(list.limit, 100);
    assert_int_equal(list.before, 42);
}

static void discrepancies_are_filtered_by_state_kind_and_payment(void **state)
{
    (void)state;
    discrepancy_query_t texts;
    discrepancy_list_t list;
    err_detail_t detail = {{0}};
    const http_request_t request =
        asked("state=open&kind=amount_mismatch&payment_id=" PAYMENT_ID "&limit=1&cursor=7");
    assert_int_equal(admin_discrepancy_list(&request, &texts, &list, &detail), ERR_OK);
    assert_true(str_is(list.state, "open"));
    assert_true(str_is(list.kind, "amount_mismatch"));
    char id[UUID_TEXT_SIZE];
    assert_string_equal(uuid_format(&list.payment_id, id), PAYMENT_ID);
    assert_int_equal(list.limit, 1);
    assert_int_equal(list.before, 7);
}

static void without_a_query_it_is_the_first_page_of_all(void **state)
{
    (void)state;
    dead_letter_query_t dead_texts;
    dead_letter_list_t dead;
    discrepancy_query_t texts;
    discrepancy_list_t discrepancies;
    reconciliation_list_t runs;
    err_detail_t detail = {{0}};
    const http_request_t request = asked(NULL);
    assert_int_equal(admin_dead_letter_list(&request, &dead_texts, &dead, &detail), ERR_OK);
    assert_true(dead.psp.data == NULL && dead.reason.data == NULL);
    assert_true(dead.limit == 20 && dead.before == 0);
    assert_int_equal(admin_discrepancy_list(&request, &texts, &discrepancies, &detail), ERR_OK);
    assert_true(discrepancies.state.data == NULL && discrepancies.kind.data == NULL);
    assert_true(uuid_is_nil(&discrepancies.payment_id));
    assert_true(discrepancies.limit == 20 && discrepancies.before == 0);
    assert_int_equal(admin_reconciliation_list(&request, &runs, &detail), ERR_OK);
    assert_true(runs.limit == 20 && runs.before == 0);
}

static void every_kind_that_is_described_can_be_asked_for(void **state)
{
    (void)state;
    err_detail_t detail = {{0}};
    json_t *root = json_loadb(openapi_json, openapi_json_size, 0, NULL), *kinds = root, *kind;
    static const char *const path[] = {"components", "schemas", "DiscrepancyKind", "enum"};
    for (size_t i = 0; i < sizeof path / sizeof path[0]; i++)
        kinds = json_object_get(kinds, path[i]);
    size_t index;
    assert_true(json_array_size(kinds) > 10);
    json_array_foreach(kinds, index, kind)
    {
        char query[64];
        discrepancy_query_t texts;
        discrepancy_list_t list;
        (void)snprintf(query, sizeof query, "kind=%s", json_string_value(kind));
        const http_request_t request = asked(query);
        if (admin_discrepancy_list(&request, &texts, &list, &detail) != ERR_OK)
            fail_msg("%s: %s", query, detail.text);
        assert_true(str_is(list.kind, json_string_value(kind)));
    }
    json_decref(root);
}

/* ---- what is refused ---- */

typedef err_t(reader_fn)(const http_request_t *request, err_detail_t *detail);

static err_t read_dead_letters(const http_request_t *request, err_detail_t *detail)
{
    dead_letter_query_t texts;
    dead_letter_list_t list;
    return admin_dead_letter_list(request, &texts, &list, detail);
}

static err_t read_discrepancies(const http_request_t *request, err_detail_t *detail)
{
    discrepancy_query_t texts;
    discrepancy_list_t list;
    return admin_discrepancy_list(request, &texts, &list, detail);
}

static err_t read_reconciliations(const http_request_t *request, err_detail_t *detail)
{
    reconciliation_list_t list;
    return admin_reconciliation_list(request, &list, detail);
}

static void assert_refused(reader_fn *read, const char *query, const char *named)
{
    err_detail_t detail = {{0}};
    const http_request_t request = asked(query);
    const err_t err = read(&request, &detail);
    if (err != ERR_INVALID_QUERY || !strstr(detail.text, named))
        fail_msg("%s: %s, %s", query, err_name(err), detail.text);
}

static void a_bad_limit_or_cursor_is_refused_by_every_list(void **state)
{
    (void)state;
    static reader_fn *const readers[] = {read_dead_letters, read_discrepancies,
                                         read_reconciliations};
    static const char *const rows[][2] = {
        {"limit=0", "limit"},
        {"limit=101", "limit"},
        {"limit=ten", "limit"},
        {"limit=1&limit=1", "limit"},
        {"cursor=", "cursor"},
        {"cursor=0", "cursor"},
        {"cursor=-1", "cursor"},
        {"cursor=1x", "cursor"},
        {"cursor=1&cursor=1", "cursor"},
        {"cursor=" PAYMENT_ID, "cursor"},
        {"cursor=99999999999999999999999999", "cursor"},
        {"colour=red", "colour"},
        {"Limit=1", "Limit"},
    };
    for (size_t r = 0; r < sizeof readers / sizeof readers[0]; r++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            assert_refused(readers[r], rows[i][0], rows[i][1]);
}

static void a_filter_that_can_fit_nothing_is_refused(void **state)
{
    (void)state;
    static const char *const dead[][2] = {
        {"gateway=Paywell", "gateway"},  {"gateway=", "gateway"},    {"gateway=%ff", "gateway"},
        {"reason=", "reason"},           {"reason=a%0Ab", "reason"}, {"reason=" LONG_33, "reason"},
        {"reason=a&reason=b", "reason"}, {"state=open", "state"},
    };
    static const char *const discrepancies[][2] = {
        {"state=", "state"},
        {"state=OPEN", "state"},
        {"state=closed", "state"},
        {"state=open&state=open", "state"},
        {"kind=", "kind"},
        {"kind=amount_missmatch", "kind"},
        {"kind=Amount_Mismatch", "kind"},
        {"kind=" LONG_33, "kind"},
        {"payment_id=", "payment_id"},
        {"payment_id=42", "payment_id"},
        {"payment_id=" NIL_ID, "payment_id"},
        {"payment_id=" PAYMENT_ID "0", "payment_id"},
        {"reason=x", "reason"},
    };
    for (size_t i = 0; i < sizeof dead / sizeof dead[0]; i++)
        assert_refused(read_dead_letters, dead[i][0], dead[i][1]);
    for (size_t i = 0; i < sizeof discrepancies / sizeof discrepancies[0]; i++)
        assert_refused(read_discrepancies, discrepancies[i][0], discrepancies[i][1]);
    assert_refused(read_reconciliations, "state=open", "state");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_row_has_a_whole_number_from_1_on_and_nothing_else_is_found),
    cmocka_unit_test(dead_letters_are_filtered_by_gateway_and_reason),
    cmocka_unit_test(discrepancies_are_filtered_by_state_kind_and_payment),
    cmocka_unit_test(without_a_query_it_is_the_first_page_of_all),
    cmocka_unit_test(every_kind_that_is_described_can_be_asked_for),
    cmocka_unit_test(a_bad_limit_or_cursor_is_refused_by_every_list),
    cmocka_unit_test(a_filter_that_can_fit_nothing_is_refused),
};

TEST_MAIN(tests)
