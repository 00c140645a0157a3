/* razorpay.c - Razorpay's own webhooks. (Checkout, status and refunds are still the prototype's.)
 *
 * Signature: X-Razorpay-Signature is the HMAC-SHA256 of the body's bytes under the webhook secret,
 * in small hexadecimal letters. After a change of the secret, retries of older events are still
 * signed with the old one: both are configured for a day. There is no timestamp; what is repeated
 * is recognised by x-razorpay-event-id, which is the same on every retry of one event.
 * Source: razorpay.com/docs/webhooks (validate-test, best-practices, payloads), and the npm package
 * razorpay 2.9.8, validateWebhookSignature.
 *
 * Ours is found by the notes that the payment was made with: notes.payment_id and notes.order_id;
 * of a refund of ours, notes.refund_id. An event that moves money and names no payment of ours (a
 * payment link made by hand, another shop on the same account) is taken in all the same, and
 * becomes a dead letter that a person sees: refusing it would make Razorpay repeat it for a day and
 * then switch the whole endpoint off. Events that say nothing about a payment's money are empty
 * reports.
 *
 * What must never happen: a byte of the body believed before the signature fits.
 */
#include <openssl/crypto.h>
#include <string.h>

#include "lib/hmac.h"
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp/fields.h"
#include "lib/payment/psp_accounts.h"

#define SIGNATURE_HEADER "X-Razorpay-Signature"
#define EVENT_ID_HEADER "X-Razorpay-Event-Id"

enum { SIGNATURE_SIZE = 2 * HMAC_SHA256_SIZE };
static const int64_t second_us = 1000000, latest_s = INT64_C(253402300799); /* 9999-12-31 */

/* What each event says of which entity, whose id is the reference of the fact. An event is a
 * snapshot: its name counts, not the entity's status at that time. Two names for one fact are one
 * fact (order.paid carries the payment that paid). A dispute that is `closed` took nothing:
 * amount_deducted is 0 unless it is lost (razorpay.com/docs/api/disputes/entity). */
static const struct {
    const char *event;
    psp_fact_kind_t kind;
    const char *entity;
} events[] = {
    {"payment.authorized", PSP_FACT_AUTHORIZED, "payment"},
    {"payment.captured", PSP_FACT_CAPTURED, "payment"},
    {"order.paid", PSP_FACT_CAPTURED, "payment"},
    {"payment.failed", PSP_FACT_FAILED, "payment"},
    {"refund.created", PSP_FACT_REFUND_REQUESTED, "refund"},
    {"refund.processed", PSP_FACT_REFUND_SUCCEEDED, "refund"},
    {"refund.failed", PSP_FACT_REFUND_FAILED, "refund"},
    {"payment.dispute.created", PSP_FACT_DISPUTE_OPENED, "dispute"},
    {"payment.dispute.under_review", PSP_FACT_DISPUTE_OPENED, "dispute"},
    {"payment.dispute.action_required", PSP_FACT_DISPUTE_OPENED, "dispute"},
    {"payment.dispute.won", PSP_FACT_DISPUTE_WON, "dispute"},
    {"payment.dispute.closed", PSP_FACT_DISPUTE_WON, "dispute"},
    {"payment.dispute.lost", PSP_FACT_DISPUTE_LOST, "dispute"},
};

/* ---- signature ---- */

static bool signature_fits(const psp_account_t *account, str_t signature, str_t body)
{
    static const char digits[] = "0123456789abcdef";
    str_t rest = str_of(account->webhook_secrets), secret;
    if (signature.size != SIGNATURE_SIZE)
        return false;
    while (psp_secret_next(&rest, &secret)) {
        uint8_t digest[HMAC_SHA256_SIZE];
        char expected[SIGNATURE_SIZE];
        hmac_sha256(secret, body, digest);
        for (size_t i = 0; i < sizeof digest; i++) {
            expected[2 * i] = digits[digest[i] >> 4];
            expected[2 * i + 1] = digits[digest[i] & 15];
        }
        if (CRYPTO_memcmp(expected, signature.data, sizeof expected) == 0)
            return true;
    }
    return false;
}

/* ---- body ---- */

/* payload.<name>.entity, or NULL. */
static const json_t *entity_of(const json_t *body, const char *name)
{
    const json_t *payload = json_object_get(body, "payload");
    return json_object_get(json_object_get(payload, name), "entity");
}

/* Nil when it is not there or is something else: notes are whoever's made the payment. (Empty notes
 * come as an array.) */
static uuid_t read_note(const json_t *entity, const char *name)
{
    str_t text = json_read_str(json_object_get(entity, "notes"), name);
    uuid_t uuid;
    if (!text.data || !uuid_parse(text.data, text.size, &uuid))
        memset(&uuid, 0, sizeof uuid);
    return uuid;
}

/* Seconds since 1970. */
static err_t read_time(const json_t *body, int64_t *wall_us, err_detail_t *detail)
{
    const json_t *value = json_object_get(body, "created_at");
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > latest_s)
        return psp_malformed(detail, "created_at", "must be a time in seconds since 1970");
    *wall_us = json_integer_value(value) * second_us;
    return ERR_OK;
}

static err_t read_entity(const json_t *body, const char *name, psp_report_t *report,
                         err_detail_t *detail)
{
    const json_t *entity = entity_of(body, name), *payment = entity_of(body, "payment");
    if (!json_is_object(entity))
        return psp_malformed(detail, name, "is not in the payload");
    report->payment_id = read_note(payment, "payment_id");
    report->order_id = read_note(payment, "order_id");
    if (psp_fact_is_refund(report->kind))
        report->refund_id = read_note(entity, "refund_id");
    TRY(psp_read_reference(entity, "id", report->psp_ref, sizeof report->psp_ref, detail));
    TRY(psp_read_amount(entity, &report->amount, detail));
    TRY(psp_read_currency(entity, report->currency, detail));
    psp_read_reason(json_read_str(entity, "error_description"), report);
    return read_time(body, &report->occurred_at_us, detail);
}

/* No event has what each webhook of the prototype has. */
static bool recognises(str_t text, const json_t *body)
{
    (void)text;
    return json_is_string(json_object_get(body, "event")) &&
           json_is_object(json_object_get(body, "payload")) &&
           !json_object_get(body, "gateway_txn_id");
}

static err_t webhook_read(str_t text, const json_t *body, psp_report_t *report,
                          err_detail_t *detail)
{
    (void)text;
    str_t event = json_read_str(body, "event");
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (str_is(event, events[i].event)) {
            report->kind = events[i].kind;
            return read_entity(body, events[i].entity, report, detail);
        }
    return ERR_OK;
}

static err_t read_event_id(psp_header_fn *header, void *header_arg, psp_report_t *report,
                           err_detail_t *detail)
{
    str_t text = str_of(header(header_arg, EVENT_ID_HEADER));
    if (!psp_is_reference(text))
        return psp_malformed(detail, EVENT_ID_HEADER, "must be a header of 1 to 120 bytes");
    str_copy(text, report->event_id, sizeof report->event_id);
    return ERR_OK;
}

static err_t webhook_verify(const psp_t *psp, const psp_account_t *account, bool dev,
                            psp_header_fn *header, void *header_arg, str_t body, int64_t now_us,
                            psp_webhook_t *webhooks, size_t *count, err_detail_t *detail)
{
    psp_report_t *report = &webhooks[0].report;
    (void)psp;
    (void)dev;    /* the same in production and development */
    (void)now_us; /* no timestamp is signed */
    if (!signature_fits(account, str_of(header(header_arg, SIGNATURE_HEADER)), body))
        return err_set(detail, ERR_SIGNATURE_INVALID, SIGNATURE_HEADER " is wrong");
    TRY(read_event_id(header, header_arg, report, detail));
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = recognises(body, root)
                    ? webhook_read(body, root, report, detail)
                    : psp_malformed(detail, "the body", "is no event of Razorpay");
    webhooks[0].body = body;
    *count = err == ERR_OK;
    json_decref(root);
    return err;
}

const psp_webhooks_t psp_webhooks_razorpay = {
    .signature_header = SIGNATURE_HEADER,
    .marker_header = SIGNATURE_HEADER,
    .recognises = recognises,
    .verify = webhook_verify,
    .read = webhook_read,
};
