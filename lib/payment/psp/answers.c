/* answers.c - see answers.h. */
#include "lib/payment/psp/answers.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "lib/sha256.h"

enum {
    KEYS_MAX_BYTES = 257, /* user ":" password, as psp_accounts_check bounds them */
    EVENT_DIGEST_BYTES = 16,
};

/* ---- requests ---- */

void psp_add_basic(const char *user, const char *password, http_client_request_t *request)
{
    char keys[KEYS_MAX_BYTES + 1];
    unsigned char encoded[(KEYS_MAX_BYTES + 2) / 3 * 4 + 1];
    const int size = password ? snprintf(keys, sizeof keys, "%s:%s", user, password)
                              : snprintf(keys, sizeof keys, "%s", user);
    CHECK(size > 0 && (size_t)size < sizeof keys);
    EVP_EncodeBlock(encoded, (const unsigned char *)keys, size);
    http_client_request_header(request, "Authorization: Basic %s", (const char *)encoded);
    OPENSSL_cleanse(keys, sizeof keys);
    OPENSSL_cleanse(encoded, sizeof encoded);
}

const char *psp_path_segment(const char *ref, char segment[PSP_SEGMENT_SIZE])
{
    size_t size = 0;
    for (; *ref && size + 4 < PSP_SEGMENT_SIZE; ref++) {
        const unsigned char c = (unsigned char)*ref;
        if (isalnum(c) || strchr("-._~", c))
            segment[size++] = (char)c;
        else
            size += (size_t)snprintf(segment + size, 4, "%%%02X", c);
    }
    segment[size] = '\0';
    return segment;
}

int64_t psp_attempt_began_us(const psp_checkout_t *checkout)
{
    const uint8_t *bytes = checkout->attempt_id.bytes;
    int64_t wall_ms = 0;
    if (bytes[6] >> 4 != 7)
        return checkout->now_us;
    for (unsigned i = 0; i < 6; i++)
        wall_ms = wall_ms << 8 | bytes[i];
    return wall_ms * 1000;
}

/* ---- words ---- */

/* "HTTP 422: card not supported"; the PSP's words only when they are printable. */
static void write_reason(int status, str_t words, char reason[PSP_REASON_SIZE])
{
    char text[PSP_REASON_SIZE - sizeof "HTTP -2147483648: "];
    str_copy(words, text, sizeof text);
    if (words.size > 0 && utf8_valid(words.data, words.size) &&
        !utf8_has_control(words.data, words.size))
        snprintf(reason, PSP_REASON_SIZE, "HTTP %d: %s", status, text);
    else
        snprintf(reason, PSP_REASON_SIZE, "HTTP %d", status);
}

/* ---- opening a checkout ---- */

bool psp_checkout_is_answered(const http_client_response_t *response)
{
    return response->err == ERR_OK && response->status >= 200 && response->status < 300;
}

static void conclude(psp_checkout_answer_t *answer, psp_checkout_outcome_t outcome,
                     psp_fault_t fault, const char *reason)
{
    answer->outcome = outcome;
    answer->fault = fault;
    str_copy(str_of(reason), answer->reason, sizeof answer->reason);
}

void psp_checkout_failed(const http_client_response_t *response, str_t words,
                         psp_checkout_answer_t *answer)
{
    const int status = response->status;
    if (response->err == ERR_HTTP_UNREACHABLE) { /* nothing was sent */
        conclude(answer, PSP_CHECKOUT_REFUSED, PSP_FAULT_NETWORK, "the PSP cannot be reached");
    } else if (response->err == ERR_TOO_LARGE) {
        conclude(answer, PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "the PSP's answer is too long");
    } else if (response->err != ERR_OK) {
        conclude(answer, PSP_CHECKOUT_UNKNOWN, PSP_FAULT_NETWORK, "the PSP did not answer in time");
    } else {
        const bool ours = status >= 400 && status < 500;
        answer->outcome = ours || status == 503 ? PSP_CHECKOUT_REFUSED : PSP_CHECKOUT_UNKNOWN;
        answer->fault = status == 429 ? PSP_FAULT_LIMIT : ours ? PSP_FAULT_MERCHANT : PSP_FAULT_PSP;
        write_reason(status, words, answer->reason);
    }
}

void psp_checkout_not_understood(psp_checkout_answer_t *answer)
{
    conclude(answer, PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "the PSP's answer cannot be understood");
}

bool psp_is_url(str_t text, size_t capacity)
{
    if (text.size < 8 || text.size >= capacity ||
        (strncmp(text.data, "http://", 7) != 0 && strncmp(text.data, "https://", 8) != 0))
        return false;
    for (uint32_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return true;
}

/* ---- status ---- */

static void nothing_new(const psp_payment_t *payment, const char *reason, psp_report_t *report)
{
    report->kind = PSP_FACT_NONE;
    report->payment_id = payment->payment_id;
    str_copy(str_of(reason), report->reason, sizeof report->reason);
    psp_derive_event_id("status", report);
}

void psp_status_unknown(const psp_payment_t *payment, psp_report_t *report)
{
    nothing_new(payment, "the PSP does not know the payment", report);
}

void psp_status_pending(const psp_payment_t *payment, str_t words, psp_report_t *report)
{
    char text[PSP_REASON_SIZE];
    const bool printable = words.size > 0 && utf8_valid(words.data, words.size) &&
                           !utf8_has_control(words.data, words.size);
    nothing_new(payment,
                printable ? str_copy(words, text, sizeof text) : "the PSP says that it is pending",
                report);
}

err_t psp_status_refused(int http_status, err_detail_t *detail)
{
    return err_set(detail, ERR_MALFORMED_WEBHOOK, "HTTP %d is no status answer", http_status);
}

void psp_derive_event_id(const char *prefix, psp_report_t *report)
{
    char text[UUID_TEXT_SIZE], refund[UUID_TEXT_SIZE], said[PSP_REF_SIZE + 256];
    int size = snprintf(said, sizeof said, "%s\n%s\n%s\n%lld\n%lld\n%s\n%s",
                        uuid_format(&report->payment_id, text), psp_fact_kind_name(report->kind),
                        report->psp_ref, (long long)report->amount, (long long)report->fee,
                        report->currency, uuid_format(&report->refund_id, refund));
    CHECK(size > 0 && (size_t)size < sizeof said);
    uint8_t digest[SHA256_SIZE];
    sha256(&(str_t){said, (uint32_t)size}, 1, digest);
    size_t at = (size_t)snprintf(report->event_id, sizeof report->event_id, "%s_", prefix);
    for (unsigned i = 0; i < EVENT_DIGEST_BYTES; i++, at += 2)
        snprintf(report->event_id + at, sizeof report->event_id - at, "%02x", digest[i]);
}

/* ---- refunds ---- */

/* Client errors that say nothing about the refund itself: our key, or the moment, is wrong. */
static bool may_pass(int http_status)
{
    return http_status == 401 || http_status == 403 || http_status == 408 || http_status == 409 ||
           http_status == 425 || http_status == 429;
}

void psp_refund_absent(const psp_refund_t *asked, psp_report_t *report)
{
    report->kind = PSP_FACT_NONE;
    report->payment_id = asked->payment_id;
    report->refund_id = asked->refund_id;
    str_copy(STR_LITERAL("the PSP does not know of the refund"), report->reason,
             sizeof report->reason);
}

err_t psp_refund_refused(const psp_refund_t *asked, int http_status, str_t words,
                         psp_report_t *report, err_detail_t *detail)
{
    if (http_status < 400 || http_status >= 500 || may_pass(http_status))
        return err_set(detail, ERR_MALFORMED_WEBHOOK, "HTTP %d is no answer about the refund",
                       http_status);
    report->kind = PSP_FACT_REFUND_FAILED;
    report->payment_id = asked->payment_id;
    report->refund_id = asked->refund_id;
    char refund_id[UUID_TEXT_SIZE];
    snprintf(report->psp_ref, sizeof report->psp_ref, "refused-%s",
             uuid_format(&asked->refund_id, refund_id));
    write_reason(http_status, words, report->reason);
    return ERR_OK;
}
