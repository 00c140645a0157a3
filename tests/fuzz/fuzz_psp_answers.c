/* fuzz_psp_answers.c - what a PSP answers, whichever it is: a checkout answer is always one of the
 * three outcomes, with a URL that is safe to give to a browser, or a page of ours, when it is open;
 * a status answer is a report of the payment that was asked for, or an error; a settlement report
 * is lines that lie within it, each of which says the same on both sides of the stream; a token is
 * one line of a header, or none; what it repeats of our keys is not there any more.
 *
 * The first byte chooses the HTTP status. */
#include <stdio.h>
#include <string.h>

#include "lib/payment/money.h"
#include "lib/payment/psp.h"
#include "lib/payment/psp_accounts.h"
#include "lib/payment/psp_echo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const psp_account_t account = {.base_url = "http://127.0.0.1:1/psp",
                                      .key_id = "k",
                                      .key_secret = "s",
                                      .webhook_secrets = "a",
                                      .account = "m",
                                      .default_phone = "9999999999"};

static void try_echo(const uint8_t *data, size_t size)
{
    static const char key[] = "dev-secret/+\"9", token[] = "a-token-of-theirs";
    const psp_account_t keyed = {.key_id = "rzp_test_key", .key_secret = key};
    buf_t answer = {0};
    buf_add(&answer, data, size);
    psp_echo_hide(&keyed, str_of(token), &answer);
    CHECK(answer.size == size);
    CHECK(size == 0 || (!memmem(answer.data, size, key, sizeof key - 1) &&
                        !memmem(answer.data, size, token, sizeof token - 1)));
    buf_free(&answer);
}

/* Whatever the PSP gave for it, no tag and no attribute of it is on the page. */
static void try_page(const psp_t *psp, const char *page_data)
{
    const psp_checkout_t checkout = {.amount = 1,
                                     .currency = "INR",
                                     .expires_at_us = 1000000,
                                     .now_us = 1,
                                     .public_url = "https://pay.example"};
    psp_page_t page;
    if (!psp_page(psp, &account, &checkout, page_data, &page))
        return;
    CHECK(page.body.data && !page.body.overflow);
    CHECK(strlen(page.script) + 1 < sizeof page.script);
    buf_free(&page.body);
}

static void try_checkout(const psp_t *psp, int status, const uint8_t *data, size_t size)
{
    http_client_response_t response = {.err = ERR_OK, .status = status};
    psp_checkout_answer_t answer;
    buf_add(&response.body, data, size);
    psp_checkout_read(psp, &response, &answer);
    buf_free(&response.body);
    CHECK(psp_checkout_outcome_name(answer.outcome));
    CHECK(memchr(answer.reason, 0, sizeof answer.reason));
    CHECK(utf8_valid(answer.reason, strlen(answer.reason)));
    CHECK(!utf8_has_control(answer.reason, strlen(answer.reason)));
    CHECK((answer.outcome == PSP_CHECKOUT_OPEN) == (answer.fault == PSP_FAULT_NONE));
    if (answer.outcome != PSP_CHECKOUT_OPEN) {
        CHECK(answer.reason[0]);
        return;
    }
    CHECK(status >= 200 && status < 300);
    CHECK(memchr(answer.psp_ref, 0, sizeof answer.psp_ref));
    CHECK(answer.checkout_url[0] || answer.page_data[0]);
    CHECK(!answer.checkout_url[0] || strncmp(answer.checkout_url, "http", 4) == 0);
    for (const char *at = answer.checkout_url; *at; at++)
        CHECK(*at > ' ' && *at <= '~');
    CHECK(memchr(answer.page_data, 0, sizeof answer.page_data));
    try_page(psp, answer.page_data);
}

static void try_status(const psp_t *psp, int status, const uint8_t *data, size_t size)
{
    /* The payment of the seed corpus, so that the fuzzer can get past the comparison. */
    uuid_t payment;
    CHECK(uuid_parse("0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a2b", 36, &payment));
    psp_report_t report;
    err_detail_t detail;
    str_t body = {(const char *)data, (uint32_t)size};
    err_t err = psp_status_read(psp, &(psp_payment_t){.payment_id = payment}, status, body, &report,
                                &detail);
    CHECK(err == ERR_OK || err == ERR_MALFORMED_WEBHOOK);
    if (err != ERR_OK)
        return;
    CHECK(uuid_equal(&report.payment_id, &payment));
    CHECK(memchr(report.event_id, 0, sizeof report.event_id) && report.event_id[0]);
    CHECK(utf8_valid(report.reason, strlen(report.reason)));
    CHECK(!utf8_has_control(report.reason, strlen(report.reason)));
    CHECK(report.occurred_at_us >= 0);
    if (report.kind == PSP_FACT_NONE)
        return;
    CHECK(status == 200);
    CHECK(report.psp_ref[0]);
    CHECK(report.amount >= 1 && report.amount <= AMOUNT_MAX);
    CHECK(!report.currency[0] || currency_known(str_of(report.currency)));
}

static void check_line(const psp_t *psp, psp_fact_kind_t kind, str_t line, bool from_stream)
{
    psp_report_t report;
    err_detail_t detail;
    const err_t err = from_stream ? psp_settlement_entry_read(psp, line, &report, &detail)
                                  : psp_settlement_line_read(psp, kind, line, &report, &detail);
    CHECK(err == ERR_OK || err == ERR_MALFORMED_WEBHOOK);
    if (err != ERR_OK || from_stream || report.kind == PSP_FACT_NONE)
        return;
    CHECK(report.kind == kind);
    CHECK(report.event_id[0] && report.psp_ref[0]);
    CHECK(report.amount >= 1 && report.amount <= AMOUNT_MAX);
    CHECK(report.fee >= 0 && report.fee <= report.amount);
    CHECK(report.fee == 0 || kind == PSP_FACT_SETTLED);
    CHECK(uuid_is_nil(&report.refund_id) || kind == PSP_FACT_REFUND_SUCCEEDED);
    CHECK(currency_known(str_of(report.currency)));
    CHECK(report.occurred_at_us >= 0);
    /* On its way through the stream nothing of it is lost. */
    buf_t entry = {0};
    psp_report_t again;
    psp_settlement_entry_write(kind, line, &entry);
    CHECK(psp_settlement_entry_read(psp, (str_t){entry.data, (uint32_t)entry.size}, &again,
                                    &detail) == ERR_OK);
    CHECK(memcmp(&report, &again, sizeof report) == 0);
    buf_free(&entry);
}

/* What a line is goes into a log: one word. */
static void check_type(const psp_t *psp, str_t line)
{
    char type[PSP_SETTLEMENT_TYPE_SIZE];
    psp_settlement_line_type(psp, line, type);
    CHECK(memchr(type, 0, sizeof type) && type[0]);
    for (const char *at = type; *at; at++)
        CHECK(*at > ' ' && *at <= '~');
}

/* A settlement report: its lines are bytes of it, or of what was made of it, and each can be read,
 * or is malformed. */
static void check_report(const psp_t *psp, int status, str_t body,
                         const psp_settlement_page_t *page)
{
    CHECK(status == 200 && page->count <= PSP_SETTLEMENT_LINES_MAX);
    CHECK(memchr(page->next, 0, sizeof page->next));
    CHECK(!page->made.overflow);
    const str_t from =
        page->made.size > 0 ? (str_t){page->made.data, (uint32_t)page->made.size} : body;
    for (size_t i = 0; i < page->count; i++) {
        CHECK(page->lines[i].data >= from.data &&
              page->lines[i].data + page->lines[i].size <= from.data + from.size);
        check_line(psp, PSP_FACT_SETTLED, page->lines[i], false);
        check_line(psp, PSP_FACT_CAPTURED, page->lines[i], false);
        check_line(psp, PSP_FACT_REFUND_SUCCEEDED, page->lines[i], false);
    }
}

static void try_report(const psp_t *psp, const psp_settlement_query_t *query, int status,
                       str_t body)
{
    static psp_settlement_page_t page;
    err_detail_t detail;
    const err_t err = psp_settlement_read(psp, query, status, body, &page, &detail);
    CHECK(err == ERR_OK || err == ERR_MALFORMED_WEBHOOK);
    if (err == ERR_OK)
        check_report(psp, status, body, &page);
    psp_settlement_page_free(&page);
}

static void try_settlement(const psp_t *psp, int status, const uint8_t *data, size_t size)
{
    const str_t body = {(const char *)data, (uint32_t)size};
    psp_settlement_query_t query = {.day_us = INT64_C(1760000000000000)};
    check_line(psp, PSP_FACT_SETTLED, body, false);
    check_line(psp, PSP_FACT_CAPTURED, body, false);
    check_line(psp, PSP_FACT_REFUND_SUCCEEDED, body, false);
    check_line(psp, PSP_FACT_SETTLED, body, true);
    check_type(psp, body);
    try_report(psp, &query, status, body);
    /* From where the page before may have ended. */
    snprintf(query.cursor, sizeof query.cursor, "%zu", size / 2);
    try_report(psp, &query, status, body);
}

/* An access token goes into a header: one line, which ends. */
static void try_token(const psp_t *psp, int status, const uint8_t *data, size_t size)
{
    http_client_response_t response = {.err = ERR_OK, .status = status};
    char header[PSP_TOKEN_SIZE];
    int64_t lives_ms = 0;
    buf_add(&response.body, data, size);
    const bool got = psp_token_read(psp, &response, INT64_C(1760000000000000), header, &lives_ms);
    buf_free(&response.body);
    CHECK(memchr(header, 0, sizeof header));
    CHECK(got == (header[0] != '\0'));
    CHECK(!got || (status == 200 && lives_ms >= 1 && lives_ms < INT64_MAX / 2));
    for (const char *at = header; *at; at++)
        CHECK(*at >= ' ' && *at <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 201, 204, 302, 400, 404, 422, 500, 503, 401, 402, 409, 429};
    if (size < 1)
        return 0;
    int status = statuses[data[0] % (sizeof statuses / sizeof statuses[0])];
    for (size_t i = 0; i < psp_count(); i++) {
        if (!psp_checkout_is_local(psp_at(i)))
            try_checkout(psp_at(i), status, data + 1, size - 1);
        try_status(psp_at(i), status, data + 1, size - 1);
        try_settlement(psp_at(i), status, data + 1, size - 1);
    }
    try_echo(data + 1, size - 1);
    try_token(psp_at(PSP_INDEX_phonepe), status, data + 1, size - 1);
    return 0;
}
