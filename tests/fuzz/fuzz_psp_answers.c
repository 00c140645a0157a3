/* fuzz_psp_answers.c - what a PSP answers: a checkout answer is always one of the three outcomes,
 * with a URL that is safe to give to a browser when it is open; a status answer is a report of the
 * payment that was asked for, or an error.
 *
 * The first byte chooses the HTTP status. */
#include <string.h>

#include "lib/payment/money.h"
#include "lib/payment/psp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_checkout(int status, const uint8_t *data, size_t size)
{
    http_client_response_t response = {.err = ERR_OK, .status = status};
    psp_checkout_answer_t answer;
    buf_add(&response.body, data, size);
    psp_checkout_read(psp_at(0), &response, &answer);
    buf_free(&response.body);
    CHECK(psp_checkout_outcome_name(answer.outcome));
    CHECK(memchr(answer.reason, 0, sizeof answer.reason));
    CHECK(!utf8_has_control(answer.reason, strlen(answer.reason)));
    if (answer.outcome != PSP_CHECKOUT_OPEN) {
        CHECK(answer.reason[0]);
        return;
    }
    CHECK(status == 200 || status == 201);
    CHECK(answer.psp_ref[0]);
    CHECK(strncmp(answer.checkout_url, "http", 4) == 0);
    for (const char *at = answer.checkout_url; *at; at++)
        CHECK(*at > ' ' && *at <= '~');
}

static void try_status(int status, const uint8_t *data, size_t size)
{
    /* The payment of the seed corpus, so that the fuzzer can get past the comparison. */
    uuid_t payment;
    CHECK(uuid_parse("0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a2b", 36, &payment));
    psp_report_t report;
    err_detail_t detail;
    str_t body = {(const char *)data, (uint32_t)size};
    err_t err = psp_status_read(psp_at(0), &(psp_payment_t){.payment_id = payment}, status, body, &report, &detail);
    CHECK(err == ERR_OK || err == ERR_MALFORMED_WEBHOOK);
    if (err != ERR_OK)
        return;
    CHECK(uuid_equal(&report.payment_id, &payment));
    CHECK(report.event_id[0]);
    CHECK(report.kind == PSP_FACT_NONE || report.psp_ref[0]);
    CHECK(status == 404 || (report.amount >= 1 && report.amount <= AMOUNT_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 201, 204, 302, 400, 404, 422, 500, 503};
    if (size < 1)
        return 0;
    int status = statuses[data[0] % (sizeof statuses / sizeof statuses[0])];
    try_checkout(status, data + 1, size - 1);
    try_status(status, data + 1, size - 1);
    return 0;
}
