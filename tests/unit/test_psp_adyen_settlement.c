/* test_psp_adyen_settlement.c - Adyen's reports: where they may be fetched, what the file says, and
 * that the API key goes to nobody else. */
#include "lib/payment/money.h"
#include "tests/support/psp_wire.h"

#define FILE_NAME "settlement_detail_report_batch_4.csv"
#define AT_ADYEN "https://ca-test.adyen.com/reports/download/MerchantAccount/MadeUpECOM/" FILE_NAME

static const psp_account_t account = {.base_url = "https://checkout-test.adyen.com",
                                      .key_id = "test_made_up",
                                      .key_secret = "made_up",
                                      .account = "MadeUpECOM"};

static const psp_t *adyen(void)
{
    return psp_named("Adyen");
}

/* ---- announcements ---- */

static err_t read_item(const char *name, const char *reason, const char *success,
                       psp_report_t *report)
{
    char body[1024];
    err_detail_t detail;
    snprintf(body, sizeof body,
             "{\"NotificationRequestItem\":{\"amount\":{\"currency\":\"EUR\",\"value\":0},"
             "\"eventCode\":\"REPORT_AVAILABLE\",\"eventDate\":\"2025-10-10T01:00:00+02:00\","
             "\"merchantAccountCode\":\"MadeUpECOM\",\"merchantReference\":\"\","
             "\"pspReference\":\"%s\",\"reason\":\"%s\",\"success\":\"%s\"}}",
             name, reason, success);
    return psp_webhook_read(adyen(), str_of(body), report, &detail);
}

static void a_report_is_announced_by_its_name(void **state)
{
    (void)state;
    psp_report_t report;
    assert_int_equal(read_item(FILE_NAME, AT_ADYEN, "true", &report), ERR_OK);
    assert_string_equal(report.announced, AT_ADYEN);
    assert_string_equal(report.event_id, "REPORT_AVAILABLE_" FILE_NAME);
    assert_int_equal(report.kind, PSP_FACT_NONE);
    assert_true(uuid_is_nil(&report.payment_id));
    assert_false(psp_report_is_empty(&report));
}

static void other_reports_are_nobodys_business(void **state)
{
    (void)state;
    static const struct {
        const char *name, *success;
    } others[] = {{"dispute_report.csv", "true"},
                  {FILE_NAME, "false"},
                  {"settlement_detail_report_batch_4.xlsx", "true"}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char url[200];
        psp_report_t report;
        snprintf(url, sizeof url, "https://ca-test.adyen.com/%s", others[i].name);
        assert_int_equal(read_item(others[i].name, url, others[i].success, &report), ERR_OK);
        assert_true(psp_report_is_empty(&report));
    }
}

/* Only the name is signed. */
static void an_address_that_does_not_end_in_the_name_is_refused(void **state)
{
    (void)state;
    static const char *const reasons[] = {"",
                                          "null",
                                          FILE_NAME,
                                          "https://ca-test.adyen.com/" FILE_NAME "?a=b",
                                          "https://ca-test.adyen.com/x" FILE_NAME,
                                          "https://ca-test.adyen.com/another.csv"};
    psp_report_t report;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (read_item(FILE_NAME, reasons[i], "true", &report) != ERR_MALFORMED_WEBHOOK)
            fail_msg("%s", reasons[i]);
    assert_int_equal(read_item("", AT_ADYEN, "true", &report), ERR_MALFORMED_WEBHOOK);
    assert_int_equal(
        read_item("../" FILE_NAME, "https://ca-test.adyen.com/../" FILE_NAME, "true", &report),
        ERR_MALFORMED_WEBHOOK);
}

static bool asks(const char *base_url, const char *url)
{
    psp_account_t other = account;
    psp_settlement_query_t query = {.day_us = 0};
    http_client_request_t request;
    other.base_url = base_url;
    snprintf(query.url, sizeof query.url, "%s", url);
    if (!psp_settlement_request(adyen(), &other, &query, &request)) {
        assert_int_equal(request.header_count, 0); /* no key */
        return false;
    }
    assert_string_equal(request.url, url);
    assert_string_equal(request.method, "GET");
    assert_string_equal(header_named(&request, "X-API-Key"), "made_up");
    assert_true(request.response_max_bytes > 0);
    http_client_request_free(&request);
    return true;
}

static void a_report_is_fetched_from_adyen_alone(void **state)
{
    (void)state;
    static const char *const theirs[] = {AT_ADYEN, "https://ca-live.adyen.com/reports/" FILE_NAME,
                                         "https://checkout-test.adyen.com/" FILE_NAME};
    static const char *const strangers[] = {"",
                                            "http://ca-test.adyen.com/" FILE_NAME,
                                            "HTTPS://ca-test.adyen.com/" FILE_NAME,
                                            "https://adyen.com.evil.example/" FILE_NAME,
                                            "https://ca-test.adyen.com.evil.example/" FILE_NAME,
                                            "https://eviladyen.com/" FILE_NAME,
                                            "https://.adyen.com/" FILE_NAME,
                                            "https://ca-test.adyen.com@evil.example/" FILE_NAME,
                                            "https://evil.example/?.adyen.com/" FILE_NAME,
                                            "https://evil.example/.adyen.com/" FILE_NAME,
                                            "https://evil.example#.adyen.com/" FILE_NAME,
                                            "https://evil.example\\.adyen.com/" FILE_NAME,
                                            "https://ca-test.adyen.com:444/" FILE_NAME,
                                            "https://ca-test.adyen.com/../" FILE_NAME,
                                            "https://ca-test.adyen.com/%2e%2e/" FILE_NAME,
                                            "https://ca-test.adyen.com/a b/" FILE_NAME,
                                            "https://ca-test.adyen.com/a?b/" FILE_NAME,
                                            "https://checkout-test.adyen.comevil/" FILE_NAME,
                                            "file:///etc/" FILE_NAME,
                                            "http://127.0.0.1:8081/adyen/" FILE_NAME};
    for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++)
        if (!asks(account.base_url, theirs[i]))
            fail_msg("%s", theirs[i]);
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++)
        if (asks(account.base_url, strangers[i]))
            fail_msg("%s", strangers[i]);
}

static void whoever_stands_in_for_adyen_is_asked(void **state)
{
    (void)state;
    const char *base = "http://127.0.0.1:8081/adyen";
    assert_true(asks(base, "http://127.0.0.1:8081/adyen/reports/" FILE_NAME));
    assert_false(asks(base, "http://127.0.0.1:8081/adyen"));
    assert_false(asks(base, "http://127.0.0.1:8081/adyenevil/" FILE_NAME));
    assert_false(asks(base, "http://127.0.0.1:8081/adyen/../" FILE_NAME));
    assert_false(asks(base, "http://127.0.0.1:8082/adyen/" FILE_NAME));
}

/* ---- the file ---- */

#define HEADER                                                                               \
    "Company Account,Psp Reference,Merchant Reference,Creation Date,TimeZone,Type,"          \
    "Modification Reference,Gross Currency,Gross Debit (GC),Gross Credit (GC),Net Currency," \
    "Net Debit (NC),Net Credit (NC),Commission (NC),Markup (NC),Scheme Fees (NC),"           \
    "Interchange (NC),Modification Merchant Reference,Booking Date,Booking Date "            \
    "TimeZone,Batch\r\n"
#define SETTLED_LINE                                                                          \
    "Co,8825408195409505," PAYMENT ",2025-10-09 10:52:35,CEST,Settled,8835408195409505,INR,," \
    "499.00,INR,,489.02,,9.98,,,,2025-10-10 12:40:00,UTC,4\r\n"
#define REFUND_LINE                                                                           \
    "Co,8825408195409505," PAYMENT ",2025-10-09 10:52:35,CEST,Refunded,8835408195409506,INR," \
    "100.00,,INR,100.00,,,,,," PAYMENT "-" REFUND ",,,4\r\n"
#define PAYOUT_LINE \
    "Co,,,2025-10-09 10:52:35,UTC,MerchantPayout,\"batch, 4\",,,,INR,389.02,,,,,,,,,4\r\n"

static err_t read_page(const char *cursor, const char *body, psp_settlement_page_t *page,
                       err_detail_t *detail)
{
    psp_settlement_query_t query = {.day_us = 0};
    snprintf(query.cursor, sizeof query.cursor, "%s", cursor);
    return psp_settlement_read(adyen(), &query, 200, str_of(body), page, detail);
}

/* What the first line after the header says. */
static psp_report_t line_of(const char *body, psp_fact_kind_t kind)
{
    static psp_settlement_page_t page;
    psp_report_t report;
    err_detail_t detail = {{0}};
    if (read_page("", body, &page, &detail) != ERR_OK || page.count == 0)
        fail_msg("%s: %s", body, detail.text);
    if (psp_settlement_line_read(adyen(), kind, page.lines[0], &report, &detail) != ERR_OK)
        fail_msg("%.*s: %s", STR_ARG(page.lines[0]), detail.text);
    psp_settlement_page_free(&page);
    return report;
}

static void a_settled_line_tells_of_itself_and_of_its_capture(void **state)
{
    (void)state;
    const psp_report_t settled = line_of(HEADER SETTLED_LINE, PSP_FACT_SETTLED),
                       captured = line_of(HEADER SETTLED_LINE, PSP_FACT_CAPTURED);
    assert_int_equal(settled.kind, PSP_FACT_SETTLED);
    assert_int_equal(captured.kind, PSP_FACT_CAPTURED);
    assert_int_equal(settled.fee, 998);
    assert_int_equal(captured.fee, 0);
    assert_int_equal(settled.occurred_at_us, INT64_C(1760100000) * SECOND_US);
    assert_int_equal(captured.occurred_at_us, INT64_C(1759999955) * SECOND_US);
    for (int i = 0; i < 2; i++) {
        const psp_report_t *report = i ? &settled : &captured;
        assert_is(&report->payment_id, PAYMENT);
        assert_string_equal(report->psp_ref, "8825408195409505");
        assert_int_equal(report->amount, 49900);
        assert_string_equal(report->currency, "INR");
    }
    assert_int_equal(line_of(HEADER SETTLED_LINE, PSP_FACT_REFUND_SUCCEEDED).kind, PSP_FACT_NONE);
}

static void a_refunded_line_tells_of_the_refunds_end(void **state)
{
    (void)state;
    const psp_report_t report = line_of(HEADER REFUND_LINE, PSP_FACT_REFUND_SUCCEEDED);
    assert_int_equal(report.kind, PSP_FACT_REFUND_SUCCEEDED);
    assert_is(&report.payment_id, PAYMENT);
    assert_is(&report.refund_id, REFUND);
    assert_string_equal(report.psp_ref, "8835408195409506");
    assert_int_equal(report.amount, 10000);
    assert_string_equal(report.currency, "INR");
    assert_int_equal(report.occurred_at_us, INT64_C(1759999955) * SECOND_US);
    assert_int_equal(line_of(HEADER REFUND_LINE, PSP_FACT_SETTLED).kind, PSP_FACT_NONE);
    assert_int_equal(line_of(HEADER PAYOUT_LINE, PSP_FACT_SETTLED).kind, PSP_FACT_NONE);
    assert_int_equal(line_of(HEADER PAYOUT_LINE, PSP_FACT_REFUND_SUCCEEDED).kind, PSP_FACT_NONE);
}

/* The columns that are needed, in another order, and what they say. */
#define SHORT_HEADER                                                                          \
    "Type,Net Credit (NC),Net Debit (NC),Net Currency,Gross Credit (GC),Gross Debit (GC),"    \
    "Gross Currency,Modification Reference,Merchant Reference,Psp Reference,Commission (NC)," \
    "Interchange (NC),Creation Date,TimeZone\n"

static void amounts_are_read_to_the_last_minor_unit(void **state)
{
    (void)state;
    static const struct {
        const char *net, *gross, *rest;
        int64_t amount, fee;
        const char *currency;
    } lines[] = {
        {"1210,,JPY", "1234,,JPY", ",", 1234, 24, "JPY"},
        {"12.094,0.000,KWD", "12.340,0,KWD", ",", 12340, 246, "KWD"},
        {"0.01,,INR", "0.01,0.00,INR", ",", 1, 0, "INR"},
        {",,INR", "0.01,,INR", ",", 1, 1, "INR"},
        {",170,INR", ",170.00,INR", ",", 17000, 0, "INR"}, /* the type says which way */
        {"90071992547409.90,,INR", "90071992547409.91,,INR", ",", AMOUNT_MAX, 1, "INR"},
        {"1234,,ISK", "1234,,ISK", ",", 1234, 0, "ISK"},            /* not as in the API */
        {"10.10,,EUR", "4.000,,KWD", "0.20,0.10", 1040, 30, "EUR"}, /* converted */
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char body[1024];
        snprintf(body, sizeof body, SHORT_HEADER "Settled,%s,%s,M1," PAYMENT ",P1,%s,,\n",
                 lines[i].net, lines[i].gross, lines[i].rest);
        const psp_report_t report = line_of(body, PSP_FACT_SETTLED);
        assert_int_equal(report.amount, lines[i].amount);
        assert_int_equal(report.fee, lines[i].fee);
        assert_string_equal(report.currency, lines[i].currency);
        assert_int_equal(report.occurred_at_us, 0);
    }
}

static void what_is_wrong_in_a_line_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *type, *net, *gross, *refs, *named;
    } lines[] = {
        {"Settled", "1,,INR", "0.001,,INR", "M1," PAYMENT ",P1", "Gross Credit"},
        {"Settled", "1,,INR", "-1,,INR", "M1," PAYMENT ",P1", "Gross Credit"},
        {"Settled", "1,,INR", "\"1,000.00\",,INR", "M1," PAYMENT ",P1", "Gross Credit"},
        {"Settled", "1,,INR", ",,INR", "M1," PAYMENT ",P1", "Gross Credit"},
        {"Settled", "1,,INR", "1,1,INR", "M1," PAYMENT ",P1", "debit"},
        {"Settled", "1,,INR", "1,,XXQ", "M1," PAYMENT ",P1", "Gross Currency"},
        {"Settled", "1,,", "1,,INR", "M1," PAYMENT ",P1", "Net Currency"},
        {"Settled", ",1,INR", "1,,INR", "M1," PAYMENT ",P1", "Net Debit"},
        {"Settled", "2,,INR", "1,,INR", "M1," PAYMENT ",P1", "fee"},
        {"Settled", ",,EUR", "1,,INR", "M1," PAYMENT ",P1", "Net Credit"},
        {"Settled", "1,,INR", "1,,INR", "M1," PAYMENT ",", "Psp Reference"},
        {"Settled", "1,,INR", "1,,INR", "M1," PAYMENT ",a/b", "Psp Reference"},
        {"Refunded", ",1,INR", ",1,INR", "," PAYMENT ",P1", "Modification Reference"},
        {"Refunded", ",1,INR", ",1e2,INR", "M1," PAYMENT ",P1", "Gross Debit"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        static psp_settlement_page_t page;
        char body[1024];
        psp_report_t report;
        err_detail_t detail = {{0}};
        const psp_fact_kind_t kind =
            lines[i].type[0] == 'R' ? PSP_FACT_REFUND_SUCCEEDED : PSP_FACT_SETTLED;
        snprintf(body, sizeof body, SHORT_HEADER "%s,%s,%s,%s,,,,\n", lines[i].type, lines[i].net,
                 lines[i].gross, lines[i].refs);
        assert_int_equal(read_page("", body, &page, &detail), ERR_OK);
        assert_int_equal(psp_settlement_line_read(adyen(), kind, page.lines[0], &report, &detail),
                         ERR_MALFORMED_WEBHOOK);
        if (!strstr(detail.text, lines[i].named))
            fail_msg("%s: \"%s\" does not name %s", body, detail.text, lines[i].named);
        psp_settlement_page_free(&page);
    }
}

static void a_refund_without_its_own_reference_has_adyens(void **state)
{
    (void)state;
    psp_report_t report = line_of(SHORT_HEADER "Refunded,,1,INR,,1,INR,M1," PAYMENT ",P1,,,,\n",
                                  PSP_FACT_REFUND_SUCCEEDED);
    assert_is(&report.payment_id, PAYMENT);
    assert_true(uuid_is_nil(&report.refund_id));
    assert_string_equal(report.psp_ref, "M1");
    report = line_of(SHORT_HEADER "Refunded,,1,INR,,1,INR,M1," PAYMENT "-" REFUND ",P1,,,,\n",
                     PSP_FACT_REFUND_SUCCEEDED);
    assert_is(&report.payment_id, PAYMENT);
    assert_is(&report.refund_id, REFUND);
}

static void a_file_is_read_page_by_page(void **state)
{
    (void)state;
    static psp_settlement_page_t page;
    err_detail_t detail = {{0}};
    buf_t body = {0};
    char cursor[PSP_SETTLEMENT_CURSOR_SIZE] = "";
    buf_add_text(&body, HEADER);
    for (int i = 0; i < 250; i++)
        buf_add_text(&body, i % 2 ? SETTLED_LINE : PAYOUT_LINE);
    static const size_t counts[] = {100, 100, 50};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read_page(cursor, body.data, &page, &detail), ERR_OK);
        assert_int_equal(page.count, counts[i]);
        for (size_t line = 0; line < page.count; line++) {
            char type[PSP_SETTLEMENT_TYPE_SIZE];
            psp_settlement_line_type(adyen(), page.lines[line], type);
            assert_string_equal(type, line % 2 ? "Settled" : "MerchantPayout");
        }
        memcpy(cursor, page.next, sizeof cursor);
        psp_settlement_page_free(&page);
    }
    assert_string_equal(cursor, "");
    buf_free(&body);
}

static void what_is_no_report_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *cursor, *body, *named;
    } reports[] = {
        {"", "", "columns"},
        {"", "<html>", "Psp Reference"},
        {"", "{\"a\":1}", "columns"},
        {"", "Type," SHORT_HEADER, "twice"},
        {"", HEADER "a,b\n", "fields"},
        {"", HEADER SETTLED_LINE "\"", "fields"},
        {"", HEADER SETTLED_LINE "\n" SETTLED_LINE, "no CSV"},
        {"1", HEADER SETTLED_LINE, "cursor"},
        {"999999", HEADER SETTLED_LINE, "cursor"},
        {"-1", HEADER SETTLED_LINE, "cursor"},
        {"x", HEADER SETTLED_LINE, "cursor"},
    };
    for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
        static psp_settlement_page_t page;
        err_detail_t detail = {{0}};
        if (read_page(reports[i].cursor, reports[i].body, &page, &detail) !=
                ERR_MALFORMED_WEBHOOK ||
            !strstr(detail.text, reports[i].named))
            fail_msg("%s: \"%s\"", reports[i].body, detail.text);
        psp_settlement_page_free(&page);
    }
}

static void a_line_goes_through_the_stream_as_it_was_made(void **state)
{
    (void)state;
    static psp_settlement_page_t page;
    err_detail_t detail = {{0}};
    psp_report_t report, told;
    buf_t entry = {0};
    assert_int_equal(read_page("", HEADER REFUND_LINE, &page, &detail), ERR_OK);
    assert_int_equal(psp_settlement_line_read(adyen(), PSP_FACT_REFUND_SUCCEEDED, page.lines[0],
                                              &report, &detail),
                     ERR_OK);
    psp_settlement_entry_write(PSP_FACT_REFUND_SUCCEEDED, page.lines[0], &entry);
    assert_int_equal(psp_settlement_entry_read(adyen(), (str_t){entry.data, (uint32_t)entry.size},
                                               &told, &detail),
                     ERR_OK);
    assert_memory_equal(&told, &report, sizeof told);
    assert_null(strstr(entry.data, "Company")); /* what is not read stays in the file */
    buf_free(&entry);
    psp_settlement_page_free(&page);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_report_is_announced_by_its_name),
    cmocka_unit_test(other_reports_are_nobodys_business),
    cmocka_unit_test(an_address_that_does_not_end_in_the_name_is_refused),
    cmocka_unit_test(a_report_is_fetched_from_adyen_alone),
    cmocka_unit_test(whoever_stands_in_for_adyen_is_asked),
    cmocka_unit_test(a_settled_line_tells_of_itself_and_of_its_capture),
    cmocka_unit_test(a_refunded_line_tells_of_the_refunds_end),
    cmocka_unit_test(amounts_are_read_to_the_last_minor_unit),
    cmocka_unit_test(what_is_wrong_in_a_line_is_named),
    cmocka_unit_test(a_refund_without_its_own_reference_has_adyens),
    cmocka_unit_test(a_file_is_read_page_by_page),
    cmocka_unit_test(what_is_no_report_is_refused),
    cmocka_unit_test(a_line_goes_through_the_stream_as_it_was_made),
};
TEST_MAIN(tests)
