/* wire_stripe.c - Stripe's API and webhooks: what all calls have in common, the routes, the events.
 * Formats: docs.stripe.com/api. Requests are forms with bracketed names, answers are JSON.
 *
 * Beside it: wire_stripe_objects.c (how the objects are written), wire_stripe_payments.c (sessions
 * and intents), wire_stripe_refunds.c, wire_stripe_balance.c.
 */
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/hmac.h"
#include "services/psp_sim/wire_stripe.h"

enum { BODY_MAX_BYTES = 64 * 1024 };
static const int64_t second_us = 1000000;

const char wire_stripe_key_reused[] = "Keys for idempotent requests can only be used with the same "
                                      "parameters they were first used with";

static void write_error(int status, const char *words, buf_t *body)
{
    json_open_object(body, NULL);
    json_open_object(body, "error");
    if (status == 404)
        json_text(body, "code", "resource_missing");
    json_text(body, "doc_url", "https://docs.stripe.com/error-codes");
    json_text(body, "message", words);
    json_text(body, "request_log_url", "https://dashboard.stripe.com/test/logs/req_simulated");
    json_text(body, "type",
              strcmp(words, wire_stripe_key_reused) == 0 ? "idempotency_error"
              : status == 429                            ? "rate_limit_error"
              : status >= 500                            ? "api_error"
                                                         : "invalid_request_error");
    json_close_object(body);
    json_close_object(body);
}

static bool authorized(const http_request_t *request, const psp_account_t *account)
{
    char expected[200], basic[600];
    const char *given = http_header(request, "Authorization");
    snprintf(expected, sizeof expected, "Bearer %s", account->key_secret);
    return given && (strcmp(given, expected) == 0 ||
                     strcmp(given, sim_basic(account->key_secret, "", basic)) == 0);
}

/* ---- webhooks ---- */

static void sign(const psp_account_t *account, sim_message_t *message)
{
    buf_t text = {0};
    uint8_t digest[HMAC_SHA256_SIZE];
    char hex[2 * HMAC_SHA256_SIZE + 1];
    const long long now_s = clock_wall_us() / second_us;
    buf_printf(&text, "%lld.", now_s);
    buf_add(&text, message->body.data, message->body.size);
    hmac_sha256(sim_first_secret(account), (str_t){text.data, (uint32_t)text.size}, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    sim_message_header(message, "Stripe-Signature: t=%lld,v1=%s", now_s, hex);
    buf_free(&text);
}

static bool write_webhook(const psp_account_t *account, const sim_event_t *event,
                          const sim_subject_t *subject, sim_message_t *message)
{
    const bool of_refund = !uuid_is_nil(&event->refund_id);
    const sim_checkout_t *checkout = &subject->checkout;
    buf_t *body = &message->body;
    if (event->kind != PSP_FACT_NONE && !of_refund)
        return false;
    json_open_object(body, NULL);
    json_text(body, "id", event->id);
    json_text(body, "object", "event");
    json_text(body, "api_version", "2025-09-30.clover");
    json_int(body, "created", event->at_us / second_us);
    json_open_object(body, "data");
    if (of_refund)
        wire_stripe_write_refund(body, "object", &subject->refund);
    else
        wire_stripe_write_intent(body, "object", checkout, sim_charge_of(event, checkout),
                                 wire_stripe_intent_status(checkout));
    json_close_object(body);
    json_bool(body, "livemode", false);
    json_int(body, "pending_webhooks", 1);
    json_open_object(body, "request");
    json_nil(body, "id");
    json_nil(body, "idempotency_key");
    json_close_object(body);
    json_text(body, "type",
              of_refund ? (subject->refund.state == SIM_REFUND_FAILED ? "refund.failed"
                                                                      : "refund.updated")
              : checkout->state == SIM_PAID       ? "payment_intent.succeeded"
              : checkout->state == SIM_AUTHORIZED ? "payment_intent.amount_capturable_updated"
              : checkout->state == SIM_VOIDED     ? "payment_intent.canceled"
                                                  : "payment_intent.payment_failed");
    json_close_object(body);
    sign(account, message);
    return true;
}

static const http_route_t routes[] = {
    {"POST", "/v1/checkout/sessions", wire_stripe_session_create, BODY_MAX_BYTES},
    {"GET", "/v1/checkout/sessions/{id}", wire_stripe_session_fetch, 0},
    {"POST", "/v1/payment_intents", wire_stripe_intent_create, BODY_MAX_BYTES},
    {"GET", "/v1/payment_intents/search", wire_stripe_intent_search, 0},
    {"GET", "/v1/payment_intents/{id}", wire_stripe_intent_fetch, 0},
    {"POST", "/v1/payment_intents/{id}/confirm", wire_stripe_intent_confirm, BODY_MAX_BYTES},
    {"POST", "/v1/payment_intents/{id}/capture", wire_stripe_intent_capture, BODY_MAX_BYTES},
    {"POST", "/v1/payment_intents/{id}/cancel", wire_stripe_intent_cancel, BODY_MAX_BYTES},
    {"POST", "/v1/refunds", wire_stripe_refund_create, BODY_MAX_BYTES},
    {"GET", "/v1/refunds", wire_stripe_refund_list, 0},
    {"GET", "/v1/refunds/{id}", wire_stripe_refund_fetch, 0},
    {"GET", "/v1/balance_transactions", wire_stripe_balance_list, 0},
    {"GET", "/v1/events", wire_stripe_empty_list, 0},
    {NULL, NULL, NULL, 0},
};

const sim_wire_t sim_wire_stripe = {
    .psp_index = PSP_INDEX_stripe,
    .hosts = {"api.stripe.com"},
    .routes = routes,
    .write_error = write_error,
    .authorized = authorized,
    .write_webhook = write_webhook,
};
