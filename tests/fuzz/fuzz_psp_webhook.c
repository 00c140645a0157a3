/* fuzz_psp_webhook.c - webhooks of anybody on the internet: reading ends, a report that is accepted
 * keeps every bound that the stream and the database rely on, and what verifies also reads, to the
 * same report. */
#include <string.h>

#include "lib/payment/money.h"
#include "lib/payment/psp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const psp_account_t account = {.base_url = "http://127.0.0.1:1/razorpay",
                                      .key_id = "k",
                                      .key_secret = "s",
                                      .webhook_secrets = "a,dev-secret"};

static const char *no_header(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return NULL;
}

static void check_report(const psp_report_t *report)
{
    CHECK(memchr(report->event_id, 0, sizeof report->event_id) && report->event_id[0]);
    CHECK(memchr(report->psp_ref, 0, sizeof report->psp_ref) && report->psp_ref[0]);
    CHECK(memchr(report->reason, 0, sizeof report->reason));
    CHECK(utf8_valid(report->event_id, strlen(report->event_id)));
    CHECK(!utf8_has_control(report->event_id, strlen(report->event_id)));
    CHECK(report->amount >= 1 && report->amount <= AMOUNT_MAX);
    CHECK(!report->currency[0] || currency_known(str_of(report->currency)));
    CHECK(report->occurred_at_us >= 0);
    CHECK(report->kind < PSP_FACT_KINDS);
    CHECK(report->fee >= 0 && report->fee <= report->amount);
    CHECK(report->fee == 0 || report->kind == PSP_FACT_SETTLED);
    CHECK(uuid_is_nil(&report->refund_id) || psp_fact_is_refund(report->kind));
    CHECK(utf8_valid(report->reason, strlen(report->reason)));
    CHECK(!utf8_has_control(report->reason, strlen(report->reason)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const psp_t *psp = psp_at(0);
    str_t body = {(const char *)data, (uint32_t)size};
    psp_report_t verified, read;
    err_detail_t detail;
    err_t verify =
        psp_webhook_verify(psp, &account, true, no_header, NULL, body, 0, &verified, &detail);
    err_t reading = psp_webhook_read(psp, body, &read, &detail);
    CHECK(verify == ERR_OK || verify == ERR_MALFORMED_WEBHOOK || verify == ERR_SIGNATURE_INVALID);
    CHECK(reading == ERR_OK || reading == ERR_MALFORMED_WEBHOOK);
    if (reading == ERR_OK)
        check_report(&read);
    if (verify == ERR_OK) {
        CHECK(reading == ERR_OK);
        CHECK(memcmp(&verified, &read, sizeof read) == 0);
    }
    CHECK(psp_webhook_verify(psp, &account, false, no_header, NULL, body, 0, &verified, &detail) !=
          ERR_OK);
    return 0;
}
