/* fuzz_psp_refund.c - what a PSP answers to a refund, whichever it is: a report of exactly the
 * refund that was asked for, or an error; never a success that the answer does not say. The same
 * answer again gives the same event.
 *
 * The first byte chooses the HTTP status. */
#include <string.h>

#include "lib/payment/money.h"
#include "lib/payment/psp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static err_t read_answer(const psp_t *psp, int status, const uint8_t *data, size_t size,
                         psp_report_t *report)
{
    /* Ids of the seed corpus, so that the fuzzer can get past the comparisons. */
    uuid_t payment, refund;
    CHECK(uuid_parse("0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a2b", 36, &payment));
    CHECK(uuid_parse("0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a3b", 36, &refund));
    err_detail_t detail;
    str_t body = {(const char *)data, (uint32_t)size};
    err_t err = psp_refund_read(psp, &(psp_refund_t){.refund_id = refund, .payment_id = payment},
                                status, body, report, &detail);
    CHECK(err == ERR_OK || err == ERR_MALFORMED_WEBHOOK);
    if (err == ERR_OK) {
        CHECK(uuid_equal(&report->payment_id, &payment));
        CHECK(uuid_equal(&report->refund_id, &refund));
    }
    return err;
}

static void check_report(int status, const psp_report_t *report)
{
    const bool refused = status >= 400;
    CHECK(psp_fact_is_refund(report->kind));
    CHECK(!refused || report->kind == PSP_FACT_REFUND_FAILED);
    CHECK(report->amount >= 0 && report->amount <= AMOUNT_MAX);
    CHECK(!refused || report->amount == 0);
    CHECK(report->fee == 0);
    CHECK(memchr(report->event_id, 0, sizeof report->event_id) && report->event_id[0]);
    CHECK(memchr(report->psp_ref, 0, sizeof report->psp_ref) && report->psp_ref[0]);
    CHECK(memchr(report->reason, 0, sizeof report->reason));
    CHECK(utf8_valid(report->reason, strlen(report->reason)));
    CHECK(!utf8_has_control(report->reason, strlen(report->reason)));
    CHECK(report->kind != PSP_FACT_REFUND_FAILED || report->reason[0]);
    CHECK(!report->currency[0] || currency_known(str_of(report->currency)));
}

static void try_refund(const psp_t *psp, int status, const uint8_t *data, size_t size)
{
    psp_report_t first, again;
    err_t err = read_answer(psp, status, data, size, &first);
    CHECK(read_answer(psp, status, data, size, &again) == err);
    if (err != ERR_OK)
        return;
    CHECK(status < 500 && (status < 300 || status >= 400));
    CHECK(status != 401 && status != 409 && status != 429);
    CHECK(memcmp(&first, &again, sizeof first) == 0);
    check_report(status, &first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 201, 204, 302, 400, 401, 404, 409, 422, 429, 500, 503};
    if (size < 1)
        return 0;
    int status = statuses[data[0] % (sizeof statuses / sizeof statuses[0])];
    for (size_t i = 0; i < psp_count(); i++)
        try_refund(psp_at(i), status, data + 1, size - 1);
    return 0;
}
