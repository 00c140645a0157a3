/* wire_stripe_objects.c - Stripe's objects as its API writes them: sessions, intents, refunds.
 *
 * A session and the PaymentIntent that it leads to are one checkout here, and have the same digits.
 * A session tells of its intent once there is an outcome. An intent has its name from its creation
 * on; where a customer is charged twice, the second charge is an intent of its own.
 */
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "services/psp_sim/wire_stripe.h"

static const int64_t second_us = 1000000;

void wire_stripe_currency(const char *currency, char text[4])
{
    for (int i = 0; i < 4; i++)
        text[i] = (char)(currency[i] >= 'A' && currency[i] <= 'Z' ? currency[i] + 'a' - 'A'
                                                                  : currency[i]);
}

/* "pi_3…", and of the same digits "ch_3…". */
void wire_stripe_name(char text[SIM_REF_SIZE], const char *prefix, const sim_checkout_t *checkout,
                      uint64_t serial)
{
    char intent[SIM_REF_SIZE];
    sim_ref(intent, "txn", checkout->psp, serial);
    snprintf(text, SIM_REF_SIZE, "%s%.50s", prefix, intent + 2);
}

void wire_stripe_write_intent(buf_t *body, const char *key, const sim_checkout_t *checkout,
                              uint64_t serial, const char *status)
{
    char text[SIM_REF_SIZE], currency[4];
    const bool paid = strcmp(status, "succeeded") == 0;
    wire_stripe_currency(checkout->currency, currency);
    wire_stripe_name(text, "pi", checkout, serial);
    json_open_object(body, key);
    json_text(body, "id", text);
    json_text(body, "object", "payment_intent");
    json_int(body, "amount", paid ? checkout->outcome_amount : checkout->amount);
    json_int(body, "amount_capturable",
             strcmp(status, "requires_capture") == 0 ? checkout->outcome_amount : 0);
    json_int(body, "amount_received", paid ? checkout->outcome_amount : 0);
    json_text(body, "capture_method", checkout->manual_capture ? "manual" : "automatic_async");
    buf_t secret = {0};
    buf_printf(&secret, "%s_secret_simulated", text);
    json_text(body, "client_secret", secret.data);
    buf_free(&secret);
    json_int(body, "created",
             (checkout->state == SIM_PENDING ? clock_wall_us() : checkout->outcome_at_us) /
                 second_us);
    json_text(body, "currency", currency);
    if (checkout->state == SIM_FAILED) {
        json_open_object(body, "last_payment_error");
        json_text(body, "code", "card_declined");
        json_text(body, "decline_code", "insufficient_funds");
        json_text(body, "message", "Your card has insufficient funds.");
        json_text(body, "type", "card_error");
        json_close_object(body);
    } else {
        json_nil(body, "last_payment_error");
    }
    if (paid) {
        wire_stripe_name(text, "ch", checkout, serial);
        json_text(body, "latest_charge", text);
    } else {
        json_nil(body, "latest_charge");
    }
    json_bool(body, "livemode", false);
    sim_notes_write(body, "metadata", sim_payment_notes(checkout), "{}");
    json_text(body, "status", status);
    json_close_object(body);
}

const char *wire_stripe_intent_status(const sim_checkout_t *checkout)
{
    return checkout->state == SIM_PAID         ? "succeeded"
           : checkout->state == SIM_AUTHORIZED ? "requires_capture"
           : checkout->state == SIM_VOIDED     ? "canceled"
                                               : "requires_payment_method";
}

void wire_stripe_write_session(buf_t *body, const char *key, const sim_t *self,
                               const sim_checkout_t *checkout, bool expanded)
{
    char text[SIM_REF_SIZE], currency[4], url[600];
    const bool paid = checkout->state == SIM_PAID;
    const bool complete = checkout->state > SIM_FAILED;
    const bool expired = !complete && checkout->expires_at_us <= clock_wall_us();
    wire_stripe_currency(checkout->currency, currency);
    json_open_object(body, key);
    json_text(body, "id", sim_ref(text, "chk", checkout->psp, checkout->serial));
    json_text(body, "object", "checkout.session");
    json_int(body, "amount_subtotal", checkout->amount);
    json_int(body, "amount_total", paid ? checkout->outcome_amount : checkout->amount);
    if (checkout->nameless)
        json_nil(body, "client_reference_id");
    else
        json_text(body, "client_reference_id", checkout->reference);
    json_int(body, "created", clock_wall_us() / second_us);
    json_text(body, "currency", currency);
    json_int(body, "expires_at", checkout->expires_at_us / second_us);
    json_bool(body, "livemode", false);
    sim_notes_write(body, "metadata", checkout->notes, "{}");
    json_text(body, "mode", "payment");
    if (checkout->state == SIM_PENDING) {
        json_nil(body, "payment_intent");
    } else if (expanded) {
        wire_stripe_write_intent(body, "payment_intent", checkout, checkout->outcome_serial,
                                 wire_stripe_intent_status(checkout));
    } else {
        json_text(body, "payment_intent",
                  sim_ref(text, "txn", checkout->psp, checkout->outcome_serial));
    }
    json_text(body, "payment_status", paid ? "paid" : "unpaid");
    json_text(body, "status", complete ? "complete" : expired ? "expired" : "open");
    if (complete || expired || !self) {
        json_nil(body, "url");
    } else {
        sim_checkout_url(self, checkout, url, sizeof url);
        json_text(body, "url", url);
    }
    json_close_object(body);
}

void wire_stripe_write_refund(buf_t *body, const char *key, const sim_refund_t *refund)
{
    char text[SIM_REF_SIZE], currency[4];
    wire_stripe_currency(refund->currency, currency);
    json_open_object(body, key);
    json_text(body, "id", sim_ref(text, "rfd", refund->psp, refund->serial));
    json_text(body, "object", "refund");
    json_int(body, "amount", refund->amount);
    buf_t charge = {0};
    buf_printf(&charge, "ch%s", refund->charge_ref + 2);
    json_text(body, "charge", charge.data);
    buf_free(&charge);
    json_int(body, "created", refund->at_us / second_us);
    json_text(body, "currency", currency);
    if (refund->state == SIM_REFUND_FAILED)
        json_text(body, "failure_reason", "lost_or_stolen_card");
    sim_notes_write(body, "metadata", refund->notes, "{}");
    json_text(body, "payment_intent", refund->charge_ref);
    json_text(body, "reason", "requested_by_customer");
    json_text(body, "status",
              refund->state == SIM_REFUND_DONE      ? "succeeded"
              : refund->state == SIM_REFUND_PENDING ? "pending"
                                                    : "failed");
    json_close_object(body);
}
