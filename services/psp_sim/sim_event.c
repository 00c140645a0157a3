/* sim_event.c - see sim_event.h. lib/payment/psp/prototype.c reads what is written here.
 *
 * Ids derive from what happened, so that the same thing told again is the same event.
 */
#include "services/psp_sim/sim_event.h"

#include <string.h>

enum { FEE_PERCENT = 2 };

/* What all events of a checkout have in common. */
static sim_event_t of_checkout(const sim_checkout_t *checkout, int64_t amount, int64_t at_us)
{
    sim_event_t event = {.psp = checkout->psp,
                         .payment_id = checkout->payment_id,
                         .order_id = checkout->order_id,
                         .amount = amount,
                         .at_us = at_us,
                         .checkout_serial = checkout->serial};
    memcpy(event.currency, checkout->currency, sizeof event.currency);
    return event;
}

static uint64_t serial_of(const sim_checkout_t *paid, sim_charge_t charge)
{
    return charge == SIM_SECOND_CHARGE ? paid->second_serial : paid->outcome_serial;
}

sim_event_t sim_event_of_checkout(const sim_checkout_t *checkout, sim_charge_t charge,
                                  int64_t now_us)
{
    const bool pending = checkout->state == SIM_PENDING;
    const uint64_t serial = pending ? checkout->serial : serial_of(checkout, charge);
    sim_event_t event = of_checkout(checkout, pending ? checkout->amount : checkout->outcome_amount,
                                    pending ? now_us : checkout->outcome_at_us);
    sim_ref(event.id, /* under one name, each outcome is an event of its own all the same */
            checkout->state == SIM_AUTHORIZED                     ? "evt_authorized"
            : checkout->one_name && checkout->state == SIM_FAILED ? "evt_failed"
            : checkout->state == SIM_VOIDED                       ? "evt_voided"
                                                                  : "evt",
            checkout->psp, serial);
    sim_ref(event.ref, pending ? "chk" : "txn", checkout->psp, serial);
    event.status = sim_state_name(checkout->state);
    return event;
}

sim_event_t sim_event_of_refusal(const sim_checkout_t *checkout, const char *what,
                                 const char *why_not, uint64_t serial, int64_t now_us)
{
    sim_event_t event = of_checkout(checkout, checkout->outcome_amount, now_us);
    sim_ref(event.id, "evt_refused", checkout->psp, serial);
    sim_ref(event.ref, "rfd", checkout->psp, serial);
    event.status = what;
    event.error = why_not;
    return event;
}

sim_event_t sim_event_of_refund(const sim_refund_t *refund)
{
    static const psp_fact_kind_t kinds[] = {[SIM_REFUND_PENDING] = PSP_FACT_REFUND_REQUESTED,
                                            [SIM_REFUND_REFUSED] = PSP_FACT_REFUND_FAILED,
                                            [SIM_REFUND_FAILED] = PSP_FACT_REFUND_FAILED,
                                            [SIM_REFUND_DONE] = PSP_FACT_REFUND_SUCCEEDED};
    sim_event_t event = {.psp = refund->psp,
                         .payment_id = refund->payment_id,
                         .order_id = refund->order_id,
                         .refund_id = refund->refund_id,
                         .kind = kinds[refund->state],
                         .status = sim_refund_state_name(refund->state),
                         .error = refund->state == SIM_REFUND_FAILED ? refund->error : NULL,
                         .amount = refund->amount,
                         .at_us = refund->at_us,
                         .checkout_serial = refund->checkout_serial};
    memcpy(event.currency, refund->currency, sizeof event.currency);
    sim_ref(event.id, "evt", refund->psp, refund->serial);
    sim_ref(event.ref, "rfd", refund->psp, refund->serial);
    return event;
}

/* An event that has no serial of its own: "evt_won_razorpay_…". */
static void name_after(sim_event_t *event, const char *what, uint64_t serial)
{
    sim_ref(event->id, what, event->psp, serial);
}

sim_event_t sim_event_of_dispute(const sim_checkout_t *paid, psp_fact_kind_t kind, int64_t now_us)
{
    sim_event_t event = of_checkout(paid, paid->outcome_amount, now_us);
    event.kind = kind;
    sim_ref(event.ref, "dsp", paid->psp, paid->outcome_serial);
    name_after(&event,
               kind == PSP_FACT_DISPUTE_OPENED ? "evt_opened"
               : kind == PSP_FACT_DISPUTE_WON  ? "evt_won"
                                               : "evt_lost",
               paid->outcome_serial);
    return event;
}

sim_event_t sim_event_of_settlement(const sim_checkout_t *paid, sim_charge_t charge, int64_t now_us)
{
    sim_event_t event = of_checkout(paid, paid->outcome_amount, now_us);
    event.kind = PSP_FACT_SETTLED;
    event.fee =
        paid->outcome_amount / 100 * FEE_PERCENT + paid->outcome_amount % 100 * FEE_PERCENT / 100;
    sim_ref(event.ref, "txn", paid->psp, serial_of(paid, charge));
    name_after(&event, "evt_settled", serial_of(paid, charge));
    return event;
}

static void write_signature(const sim_event_t *event, const char *secrets, buf_t *body)
{
    buf_t signature = {0};
    str_t rest = str_of(secrets), secret = {NULL, 0};
    CHECK(psp_secret_next(&rest, &secret));
    buf_printf(&signature, "%s:%.*s", psp_name(event->psp), STR_ARG(secret));
    json_text(body, "signature", signature.data);
    buf_free(&signature);
}

void sim_event_write(const sim_event_t *event, const char *secrets, buf_t *body)
{
    json_open_object(body, NULL);
    json_text(body, "event_id", event->id);
    json_text(body, "gateway", psp_name(event->psp));
    json_uuid(body, "order_id", &event->order_id);
    json_uuid(body, "payment_id", &event->payment_id);
    if (!uuid_is_nil(&event->refund_id))
        json_uuid(body, "refund_id", &event->refund_id);
    json_text(body, "gateway_txn_id", event->ref);
    if (event->kind != PSP_FACT_NONE)
        json_text(body, "kind", psp_fact_kind_name(event->kind));
    if (event->status)
        json_text(body, "status", event->status);
    json_int(body, "amount", event->amount);
    if (event->kind == PSP_FACT_SETTLED)
        json_int(body, "fee", event->fee);
    json_text(body, "currency", event->currency);
    if (event->error)
        json_text(body, "error", event->error);
    if (secrets)
        write_signature(event, secrets, body);
    json_time(body, "occurred_at", event->at_us);
    json_close_object(body);
}
