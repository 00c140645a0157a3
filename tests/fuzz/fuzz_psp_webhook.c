/* fuzz_psp_webhook.c - webhooks of anybody on the internet: reading ends, a report that is accepted
 * keeps every bound that the stream and the database rely on, and what verifies also reads, to the
 * same report. Every input is taken in the prototype's format, and signed in the PSP's own. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/hmac.h"
#include "lib/payment/money.h"
#include "lib/payment/psp.h"
#include "tests/support/psp_verify.h"

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

/* The PSP's own headers: a signature that fits, and the event's id. */
static const char *own_header(void *arg, const char *name)
{
    if (strcasecmp(name, psp_signature_header(psp_at(0))) == 0)
        return arg;
    return strcasecmp(name, "X-Razorpay-Event-Id") == 0 ? "evt" : NULL;
}

static void check_report(const psp_report_t *report)
{
    CHECK(memchr(report->event_id, 0, sizeof report->event_id));
    CHECK(memchr(report->psp_ref, 0, sizeof report->psp_ref));
    CHECK(memchr(report->reason, 0, sizeof report->reason));
    CHECK(utf8_valid(report->event_id, strlen(report->event_id)));
    CHECK(!utf8_has_control(report->event_id, strlen(report->event_id)));
    CHECK(psp_report_is_empty(report) || report->psp_ref[0]);
    CHECK(psp_report_is_empty(report) || (report->amount >= 1 && report->amount <= AMOUNT_MAX));
    CHECK(!report->currency[0] || currency_known(str_of(report->currency)));
    CHECK(report->occurred_at_us >= 0);
    CHECK(report->kind < PSP_FACT_KINDS);
    CHECK(report->fee >= 0 && report->fee <= report->amount);
    CHECK(report->fee == 0 || report->kind == PSP_FACT_SETTLED);
    CHECK(uuid_is_nil(&report->refund_id) || psp_fact_is_refund(report->kind));
    CHECK(utf8_valid(report->reason, strlen(report->reason)));
    CHECK(!utf8_has_control(report->reason, strlen(report->reason)));
}

/* The same event to whoever receives it and to whoever reads it from where it was stored. */
static void check_own_format(const psp_t *psp, str_t body)
{
    char signature[2 * HMAC_SHA256_SIZE + 1];
    uint8_t digest[HMAC_SHA256_SIZE];
    hmac_sha256(STR_LITERAL("dev-secret"), body, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(signature + 2 * i, 3, "%02x", digest[i]);
    psp_report_t verified, read;
    err_detail_t detail;
    err_t verify = psp_verify_one(psp, &account, false, own_header, signature, body, 0,
                                      &verified, &detail);
    CHECK(verify == ERR_OK || verify == ERR_MALFORMED_WEBHOOK);
    if (verify == ERR_OK) {
        CHECK(psp_webhook_read(psp, body, &read, &detail) == ERR_OK);
        CHECK(read.event_id[0] == '\0' && strcmp(verified.event_id, "evt") == 0);
        memcpy(read.event_id, verified.event_id, sizeof read.event_id);
        CHECK(memcmp(&verified, &read, sizeof read) == 0);
    }
    signature[0] ^= 1;
    CHECK(psp_verify_one(psp, &account, true, own_header, signature, body, 0, &verified,
                             &detail) == ERR_SIGNATURE_INVALID);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const psp_t *psp = psp_at(0);
    str_t body = {(const char *)data, (uint32_t)size};
    psp_report_t verified, read;
    err_detail_t detail;
    err_t verify =
        psp_verify_one(psp, &account, true, no_header, NULL, body, 0, &verified, &detail);
    err_t reading = psp_webhook_read(psp, body, &read, &detail);
    CHECK(verify == ERR_OK || verify == ERR_MALFORMED_WEBHOOK || verify == ERR_SIGNATURE_INVALID);
    CHECK(reading == ERR_OK || reading == ERR_MALFORMED_WEBHOOK);
    if (reading == ERR_OK)
        check_report(&read);
    if (verify == ERR_OK) {
        CHECK(reading == ERR_OK && verified.event_id[0] != '\0');
        CHECK(memcmp(&verified, &read, sizeof read) == 0);
    }
    CHECK(psp_verify_one(psp, &account, false, no_header, NULL, body, 0, &verified, &detail) !=
          ERR_OK);
    check_own_format(psp, body);
    return 0;
}
