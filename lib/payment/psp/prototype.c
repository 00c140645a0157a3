/* prototype.c - the connector of the prototype's format, which the PSP simulator speaks for every
 * PSP.
 *
 * The webhook carries its signature inside its body ("Razorpay:secret"), which proves knowledge of
 * the secret but does not sign the content: it is taken in development only. A reference
 * (gateway_txn_id) is unique within its payment only, since anybody who tries the format by hand
 * sends "txn_1" each time.
 *
 * Beside `status`, which tells of the payment itself, a body may name any `kind` of fact: a refund
 * (with `refund_id`, and `status` telling how it stands when there is no kind), a dispute, a
 * settlement (with `fee`). gateway_txn_id is then the reference of that refund or dispute.
 *
 * Unknown fields are passed over, since a PSP adds fields as it likes; known ones must be exactly
 * what they should be. What must never happen: another answer than 401 to a JSON object whose
 * signature is wrong or missing, whatever else is in it.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/clock.h"
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp/fields.h"
#include "lib/payment/psp_accounts.h"
#include "lib/sha256.h"

enum {
    KEYS_MAX_BYTES = 257, /* key_id ":" key_secret, as psp_accounts_check bounds them */
    EVENT_DIGEST_BYTES = 16,
    TIMEOUT_DEFAULT_MS = 5000, /* the caller may set another */
};

/* ---- fields ---- */

static err_t read_uuid(const json_t *root, const char *field, uuid_t *uuid, err_detail_t *detail)
{
    str_t text = json_read_str(root, field);
    if (!text.data || !uuid_parse(text.data, text.size, uuid))
        return psp_malformed(detail, field, "must be a UUID");
    return ERR_OK;
}

/* What happened: the kind where it is named, else as the status says. */
static err_t read_kind(const json_t *root, psp_report_t *report, err_detail_t *detail)
{
    str_t kind = json_read_str(root, "kind"), status = json_read_str(root, "status");
    const bool of_refund = !uuid_is_nil(&report->refund_id);
    if (json_object_get(root, "kind")) {
        report->kind = psp_fact_kind_parse(kind);
        if (report->kind == PSP_FACT_KINDS)
            return psp_malformed(detail, "kind", "must be a kind of fact");
    } else if (str_is(status, "SUCCESS")) {
        report->kind = of_refund ? PSP_FACT_REFUND_SUCCEEDED : PSP_FACT_CAPTURED;
    } else if (str_is(status, "FAILED")) {
        report->kind = of_refund ? PSP_FACT_REFUND_FAILED : PSP_FACT_FAILED;
    } else if (str_is(status, "PENDING")) {
        report->kind = of_refund ? PSP_FACT_REFUND_REQUESTED : PSP_FACT_NONE;
    } else {
        return psp_malformed(detail, "status", "must be SUCCESS, FAILED or PENDING");
    }
    if (of_refund && !psp_fact_is_refund(report->kind))
        return psp_malformed(detail, "refund_id", "is for refunds only");
    return ERR_OK;
}

/* Of a settlement; 0 when it is left out. Whatever else is called a fee is passed over. */
static err_t read_fee(const json_t *root, psp_report_t *report, err_detail_t *detail)
{
    const json_t *value = json_object_get(root, "fee");
    if (!value || report->kind != PSP_FACT_SETTLED)
        return ERR_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > report->amount)
        return psp_malformed(detail, "fee", "must be a part of the amount in minor units");
    report->fee = json_integer_value(value);
    return ERR_OK;
}

static err_t read_time(const json_t *root, int64_t *wall_us, err_detail_t *detail)
{
    str_t text = json_read_str(root, "occurred_at");
    if (!text.data || memchr(text.data, '\0', text.size) || !rfc3339_parse(text.data, wall_us))
        return psp_malformed(detail, "occurred_at", "must be an RFC 3339 time");
    return ERR_OK;
}

/* What all of them have in common. */
static err_t read_common(const json_t *root, psp_report_t *report, err_detail_t *detail)
{
    TRY(read_uuid(root, "order_id", &report->order_id, detail));
    TRY(read_uuid(root, "payment_id", &report->payment_id, detail));
    if (json_object_get(root, "refund_id"))
        TRY(read_uuid(root, "refund_id", &report->refund_id, detail));
    TRY(read_kind(root, report, detail));
    psp_read_reason(json_read_str(root, "error"), report);
    TRY(psp_read_amount(root, &report->amount, detail));
    TRY(read_fee(root, report, detail));
    if (json_object_get(root, "currency"))
        TRY(psp_read_currency(root, report->currency, detail));
    TRY(read_time(root, &report->occurred_at_us, detail));
    report->ref_is_per_payment = true;
    return ERR_OK;
}

/* ---- webhooks ---- */

static err_t read_webhook(const json_t *root, psp_report_t *report, err_detail_t *detail)
{
    TRY(psp_read_reference(root, "event_id", report->event_id, sizeof report->event_id, detail));
    TRY(psp_read_reference(root, "gateway_txn_id", report->psp_ref, sizeof report->psp_ref,
                           detail));
    return read_common(root, report, detail);
}

/* "<name of the PSP>:<secret>". Every configured secret is compared, whichever fits. */
static bool signature_fits(const psp_t *psp, const psp_account_t *account, str_t signature)
{
    str_t name = str_of(psp->name);
    if (signature.size <= name.size || signature.data[name.size] != ':' ||
        strncasecmp(signature.data, name.data, name.size) != 0)
        return false;
    str_t given = {signature.data + name.size + 1, signature.size - name.size - 1};
    bool fits = false;
    str_t rest = str_of(account->webhook_secrets), secret;
    while (psp_secret_next(&rest, &secret))
        if (secret.size == given.size && CRYPTO_memcmp(secret.data, given.data, secret.size) == 0)
            fits = true;
    return fits;
}

static err_t webhook_verify(const psp_t *psp, const psp_account_t *account, bool dev,
                            psp_header_fn *header, void *header_arg, str_t body, int64_t now_us,
                            psp_report_t *report, err_detail_t *detail)
{
    (void)header;
    (void)header_arg;
    (void)now_us; /* the format is never stale */
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err;
    if (!dev)
        err = err_set(detail, ERR_SIGNATURE_INVALID,
                      "a signature inside the body is taken in development only");
    else if (!signature_fits(psp, account, json_read_str(root, "signature")))
        err = err_set(detail, ERR_SIGNATURE_INVALID, "the signature is wrong or missing");
    else
        err = read_webhook(root, report, detail);
    json_decref(root);
    return err;
}

/* ---- requests ---- */

static void add_authorization(const psp_account_t *account, http_client_request_t *request)
{
    char keys[KEYS_MAX_BYTES + 1];
    unsigned char encoded[(KEYS_MAX_BYTES + 2) / 3 * 4 + 1];
    int size = snprintf(keys, sizeof keys, "%s:%s", account->key_id, account->key_secret);
    CHECK(size > 0 && (size_t)size < sizeof keys);
    EVP_EncodeBlock(encoded, (const unsigned char *)keys, size);
    http_client_request_header(request, "Authorization: Basic %s", (const char *)encoded);
    OPENSSL_cleanse(keys, sizeof keys);
    OPENSSL_cleanse(encoded, sizeof encoded);
}

/* All of a POST but its body; asked for again under the same key it is the same. */
static void begin_post(const psp_account_t *account, const char *resource, const uuid_t *key,
                       http_client_request_t *request)
{
    char text[UUID_TEXT_SIZE];
    request->method = "POST";
    request->timeout_ms = TIMEOUT_DEFAULT_MS;
    snprintf(request->url, sizeof request->url, "%s/v1/%s", account->base_url, resource);
    add_authorization(account, request);
    http_client_request_header(request, "Content-Type: application/json");
    http_client_request_header(request, "Idempotency-Key: %s", uuid_format(key, text));
}

static void checkout_request(const psp_account_t *account, const psp_checkout_t *checkout,
                             http_client_request_t *request)
{
    begin_post(account, "checkouts", &checkout->attempt_id, request);
    buf_t *body = &request->body;
    json_open_object(body, NULL);
    json_uuid(body, "payment_id", &checkout->payment_id);
    json_uuid(body, "order_id", &checkout->order_id);
    json_uuid(body, "attempt_id", &checkout->attempt_id);
    json_int(body, "amount", checkout->amount);
    json_text(body, "currency", checkout->currency);
    json_text(body, "method", checkout->method);
    if (checkout->return_url[0])
        json_text(body, "return_url", checkout->return_url);
    json_time(body, "expires_at", checkout->expires_at_us);
    json_close_object(body);
}

static void status_request(const psp_account_t *account, const uuid_t *payment_id,
                           http_client_request_t *request)
{
    char text[UUID_TEXT_SIZE];
    request->method = "GET";
    request->timeout_ms = TIMEOUT_DEFAULT_MS;
    snprintf(request->url, sizeof request->url, "%s/v1/payments/%s", account->base_url,
             uuid_format(payment_id, text));
    add_authorization(account, request);
}

/* ---- answers ---- */

static void conclude(psp_checkout_answer_t *answer, psp_checkout_outcome_t outcome,
                     psp_fault_t fault, const char *reason)
{
    answer->outcome = outcome;
    answer->fault = fault;
    str_copy(str_of(reason), answer->reason, sizeof answer->reason);
}

/* A whole URL that may go to a browser: printable ASCII, http or https. */
static bool is_url(str_t text, size_t capacity)
{
    if (text.size < 8 || text.size >= capacity ||
        (strncmp(text.data, "http://", 7) != 0 && strncmp(text.data, "https://", 8) != 0))
        return false;
    for (uint32_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return true;
}

static void read_open(str_t body, psp_checkout_answer_t *answer)
{
    json_t *root = json_read_object(body, NULL);
    str_t ref = json_read_str(root, "psp_ref"), url = json_read_str(root, "checkout_url");
    if (psp_is_reference(ref) && is_url(url, sizeof answer->checkout_url) &&
        str_is(json_read_str(root, "status"), "PENDING")) {
        answer->outcome = PSP_CHECKOUT_OPEN;
        str_copy(ref, answer->psp_ref, sizeof answer->psp_ref);
        str_copy(url, answer->checkout_url, sizeof answer->checkout_url);
    } else {
        conclude(answer, PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP,
                 "the PSP's answer cannot be understood");
    }
    json_decref(root);
}

/* "HTTP 422: card not supported"; the PSP's words only when they are printable. */
static void read_refusal(int status, str_t body, psp_checkout_answer_t *answer)
{
    json_t *root = json_read_object(body, NULL);
    str_t words = json_read_str(root, "error");
    char text[PSP_REASON_SIZE - sizeof "HTTP -2147483648: "];
    str_copy(words, text, sizeof text);
    if (words.size > 0 && !utf8_has_control(text, strlen(text)))
        snprintf(answer->reason, sizeof answer->reason, "HTTP %d: %s", status, text);
    else
        snprintf(answer->reason, sizeof answer->reason, "HTTP %d", status);
    json_decref(root);
}

static void checkout_read(const http_client_response_t *response, psp_checkout_answer_t *answer)
{
    str_t body = {response->body.data, (uint32_t)response->body.size};
    int status = response->status;
    if (response->err == ERR_HTTP_UNREACHABLE) { /* nothing was sent */
        conclude(answer, PSP_CHECKOUT_REFUSED, PSP_FAULT_NETWORK, "the PSP cannot be reached");
    } else if (response->err != ERR_OK) {
        conclude(answer, PSP_CHECKOUT_UNKNOWN, PSP_FAULT_NETWORK, "the PSP did not answer in time");
    } else if (status == 200 || status == 201) {
        read_open(body, answer);
    } else {
        bool refused = (status >= 400 && status < 500) || status == 503;
        answer->outcome = refused ? PSP_CHECKOUT_REFUSED : PSP_CHECKOUT_UNKNOWN;
        answer->fault = status == 429                   ? PSP_FAULT_LIMIT
                        : status >= 400 && status < 500 ? PSP_FAULT_MERCHANT
                                                        : PSP_FAULT_PSP;
        read_refusal(status, body, answer);
    }
}

/* The same answer gives the same id: asking again what is known is a duplicate. `prefix` says what
 * was asked. */
static void derive_event_id(const char *prefix, psp_report_t *report)
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

static err_t read_status_answer(const json_t *root, const uuid_t *payment_id, psp_report_t *report,
                                err_detail_t *detail)
{
    TRY(read_common(root, report, detail));
    if (!uuid_equal(&report->payment_id, payment_id))
        return psp_malformed(detail, "payment_id", "is of another payment than was asked for");
    /* Something that did not happen yet has no reference yet. */
    if (report->kind != PSP_FACT_NONE)
        TRY(psp_read_reference(root, "gateway_txn_id", report->psp_ref, sizeof report->psp_ref,
                               detail));
    derive_event_id("status", report);
    return ERR_OK;
}

static err_t status_read(const uuid_t *payment_id, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    if (http_status == 404) {
        report->payment_id = *payment_id;
        report->ref_is_per_payment = true;
        snprintf(report->reason, sizeof report->reason, "the PSP does not know the payment");
        derive_event_id("status", report);
        return ERR_OK;
    }
    if (http_status != 200)
        return err_set(detail, ERR_MALFORMED_WEBHOOK, "HTTP %d is no status answer", http_status);
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = read_status_answer(root, payment_id, report, detail);
    json_decref(root);
    return err;
}

/* ---- refunds ---- */

static void refund_request(const psp_account_t *account, const psp_refund_t *refund,
                           http_client_request_t *request)
{
    begin_post(account, "refunds", &refund->refund_id, request);
    buf_t *body = &request->body;
    json_open_object(body, NULL);
    json_uuid(body, "refund_id", &refund->refund_id);
    json_uuid(body, "payment_id", &refund->payment_id);
    json_uuid(body, "order_id", &refund->order_id);
    json_text(body, "gateway_txn_id", refund->capture_ref);
    json_int(body, "amount", refund->amount);
    json_text(body, "currency", refund->currency);
    if (refund->reason[0])
        json_text(body, "reason", refund->reason);
    json_close_object(body);
}

static err_t read_refund_answer(const json_t *root, const uuid_t *refund_id,
                                const uuid_t *payment_id, psp_report_t *report,
                                err_detail_t *detail)
{
    TRY(read_common(root, report, detail));
    if (!uuid_equal(&report->payment_id, payment_id))
        return psp_malformed(detail, "payment_id", "is of another payment than was asked for");
    if (!uuid_equal(&report->refund_id, refund_id))
        return psp_malformed(detail, "refund_id", "is of another refund than was asked for");
    return psp_read_reference(root, "gateway_txn_id", report->psp_ref, sizeof report->psp_ref,
                              detail);
}

/* Client errors that say nothing about the refund itself: our key, or the moment, is wrong. */
static bool may_pass(int http_status)
{
    return http_status == 401 || http_status == 403 || http_status == 408 || http_status == 409 ||
           http_status == 425 || http_status == 429;
}

/* A refusal for good carries nothing but words. What was refused is what was asked for; the amount
 * is told by whoever asked. */
static void read_refund_refusal(const uuid_t *refund_id, const uuid_t *payment_id, int http_status,
                                str_t body, psp_report_t *report)
{
    psp_checkout_answer_t words;
    memset(&words, 0, sizeof words);
    read_refusal(http_status, body, &words);
    report->kind = PSP_FACT_REFUND_FAILED;
    report->payment_id = *payment_id;
    report->refund_id = *refund_id;
    report->ref_is_per_payment = true;
    uuid_format(refund_id, report->psp_ref);
    str_copy(str_of(words.reason), report->reason, sizeof report->reason);
}

static err_t refund_read(const uuid_t *refund_id, const uuid_t *payment_id, int http_status,
                         str_t body, psp_report_t *report, err_detail_t *detail)
{
    err_t err = ERR_OK;
    if (http_status == 200 || http_status == 201) {
        json_t *root = psp_read_body(body, detail);
        if (!root)
            return ERR_MALFORMED_WEBHOOK;
        err = read_refund_answer(root, refund_id, payment_id, report, detail);
        json_decref(root);
    } else if (http_status >= 400 && http_status < 500 && !may_pass(http_status)) {
        read_refund_refusal(refund_id, payment_id, http_status, body, report);
    } else {
        return err_set(detail, ERR_MALFORMED_WEBHOOK, "HTTP %d is no answer about the refund",
                       http_status);
    }
    if (err == ERR_OK)
        derive_event_id("refund", report);
    return err;
}

const psp_connector_t psp_connector_prototype = {
    .checkout_request = checkout_request,
    .checkout_read = checkout_read,
    .status_request = status_request,
    .status_read = status_read,
    .refund_request = refund_request,
    .refund_read = refund_read,
};

const psp_webhooks_t psp_webhooks_prototype = {
    .verify = webhook_verify,
    .read = read_webhook,
};
