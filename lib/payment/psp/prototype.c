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
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/clock.h"
#include "lib/payment/psp/answers.h"
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp/fields.h"
#include "lib/payment/psp_accounts.h"

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
    psp_read_fault((str_t){NULL, 0}, (str_t){NULL, 0}, report);
    TRY(psp_read_amount(root, &report->amount, detail));
    TRY(read_fee(root, report, detail));
    if (json_object_get(root, "currency"))
        TRY(psp_read_currency(root, report->currency, detail));
    TRY(read_time(root, &report->occurred_at_us, detail));
    report->ref_is_per_payment = true;
    return ERR_OK;
}

/* ---- webhooks ---- */

static err_t read_webhook(str_t body, const json_t *root, psp_report_t *report,
                          err_detail_t *detail)
{
    if (!root) { /* said once more, in words */
        json_decref(psp_read_body(body, detail));
        return ERR_MALFORMED_WEBHOOK;
    }
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
                            psp_webhook_t *webhooks, size_t *count, err_detail_t *detail)
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
        err = read_webhook(body, root, &webhooks[0].report, detail);
    webhooks[0].body = body;
    *count = err == ERR_OK;
    json_decref(root);
    return err;
}

/* ---- requests ---- */

/* All of a POST but its body; asked for again under the same key it is the same. */
static void begin_post(const psp_account_t *account, const char *resource, const uuid_t *key,
                       http_client_request_t *request)
{
    char text[UUID_TEXT_SIZE];
    request->method = "POST";
    snprintf(request->url, sizeof request->url, "%s/v1/%s", account->base_url, resource);
    psp_add_basic(account->key_id, account->key_secret, request);
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

static bool status_request(const psp_account_t *account, const psp_payment_t *payment,
                           http_client_request_t *request)
{
    char text[UUID_TEXT_SIZE];
    request->method = "GET";
    snprintf(request->url, sizeof request->url, "%s/v1/payments/%s", account->base_url,
             uuid_format(&payment->payment_id, text));
    psp_add_basic(account->key_id, account->key_secret, request);
    return true;
}

/* ---- answers ---- */

static void read_open(str_t body, psp_checkout_answer_t *answer)
{
    json_t *root = json_read_object(body, NULL);
    str_t ref = json_read_str(root, "psp_ref"), url = json_read_str(root, "checkout_url");
    if (psp_is_reference(ref) && psp_is_url(url, sizeof answer->checkout_url) &&
        str_is(json_read_str(root, "status"), "PENDING")) {
        answer->outcome = PSP_CHECKOUT_OPEN;
        str_copy(ref, answer->psp_ref, sizeof answer->psp_ref);
        str_copy(url, answer->checkout_url, sizeof answer->checkout_url);
    } else {
        psp_checkout_not_understood(answer);
    }
    json_decref(root);
}

static void checkout_read(const http_client_response_t *response, psp_checkout_answer_t *answer)
{
    const str_t body = {response->body.data, (uint32_t)response->body.size};
    if (psp_checkout_is_answered(response)) {
        read_open(body, answer);
        return;
    }
    json_t *root = json_read_object(body, NULL);
    psp_checkout_failed(response, json_read_str(root, "error"), answer);
    json_decref(root);
}

static err_t read_status_answer(const json_t *root, const psp_payment_t *payment,
                                psp_report_t *report, err_detail_t *detail)
{
    TRY(read_common(root, report, detail));
    if (!uuid_equal(&report->payment_id, &payment->payment_id))
        return psp_malformed(detail, "payment_id", "is of another payment than was asked for");
    /* Something that did not happen yet has no reference yet. */
    if (report->kind != PSP_FACT_NONE)
        TRY(psp_read_reference(root, "gateway_txn_id", report->psp_ref, sizeof report->psp_ref,
                               detail));
    psp_derive_event_id("status", report);
    return ERR_OK;
}

static err_t status_read(const psp_payment_t *payment, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    if (http_status == 404) {
        psp_status_unknown(payment, report);
        report->ref_is_per_payment = true;
        return ERR_OK;
    }
    if (http_status != 200)
        return psp_status_refused(http_status, detail);
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = read_status_answer(root, payment, report, detail);
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

static err_t read_refund_answer(const json_t *root, const psp_refund_t *asked, psp_report_t *report,
                                err_detail_t *detail)
{
    TRY(read_common(root, report, detail));
    if (!uuid_equal(&report->payment_id, &asked->payment_id))
        return psp_malformed(detail, "payment_id", "is of another payment than was asked for");
    if (!uuid_equal(&report->refund_id, &asked->refund_id))
        return psp_malformed(detail, "refund_id", "is of another refund than was asked for");
    return psp_read_reference(root, "gateway_txn_id", report->psp_ref, sizeof report->psp_ref,
                              detail);
}

static err_t refund_read(const psp_refund_t *asked, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    err_t err = ERR_OK;
    json_t *root = http_status < 400 ? psp_read_body(body, detail) : json_read_object(body, NULL);
    if (http_status == 200 || http_status == 201)
        err = root ? read_refund_answer(root, asked, report, detail) : ERR_MALFORMED_WEBHOOK;
    else
        err = psp_refund_refused(asked, http_status, json_read_str(root, "error"), report, detail);
    json_decref(root);
    if (err == ERR_OK)
        psp_derive_event_id("refund", report);
    if (err == ERR_OK && report->kind == PSP_FACT_REFUND_FAILED)
        report->ref_is_per_payment = true;
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
