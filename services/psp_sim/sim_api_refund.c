/* sim_api_refund.c - POST /{psp}/v1/refunds, the API's call that gives money back.
 *
 * 201 (the first time) or 200 tells how the refund stands; 422 refuses it for good, and again
 * whenever the same key comes.
 */
#include <stdio.h>

#include "lib/clock.h"
#include "lib/payment/money.h"
#include "services/psp_sim/sim_api.h"
#include "services/psp_sim/sim_event.h"

static bool is_printable(str_t text, size_t capacity)
{
    return text.size >= 1 && text.size < capacity && !utf8_has_control(text.data, text.size);
}

/* "" when it is not given. */
static bool read_reason(const json_t *root, char reason[SIM_REASON_SIZE])
{
    str_t text = json_read_str(root, "reason");
    if (json_object_get(root, "reason") && !is_printable(text, SIM_REASON_SIZE))
        return false;
    str_copy(text, reason, SIM_REASON_SIZE);
    return true;
}

/* What is wrong with the request, or NULL. */
static const char *read_refund(const json_t *root, sim_refund_t *refund)
{
    str_t ref = json_read_str(root, "gateway_txn_id"), currency = json_read_str(root, "currency");
    if (!sim_api_read_uuid(root, "refund_id", &refund->refund_id))
        return "refund_id must be a UUID";
    if (!sim_api_read_uuid(root, "payment_id", &refund->payment_id))
        return "payment_id must be a UUID";
    if (!sim_api_read_uuid(root, "order_id", &refund->order_id))
        return "order_id must be a UUID";
    if (!is_printable(ref, sizeof refund->charge_ref))
        return "gateway_txn_id must be the reference of a charge";
    str_copy(ref, refund->charge_ref, sizeof refund->charge_ref);
    if (!sim_api_read_amount(root, &refund->amount))
        return "amount must be a positive integer in minor units";
    if (!currency_known(currency))
        return "currency must be an ISO 4217 code";
    str_copy(currency, refund->currency, sizeof refund->currency);
    if (!read_reason(root, refund->reason))
        return "reason must be at most 256 printable bytes";
    return NULL;
}

void sim_api_plan_refund(sim_refund_t *refund, const sim_fault_t *fault, int64_t now_us)
{
    refund->state = SIM_REFUND_DONE;
    refund->becomes = SIM_REFUND_DONE;
    if (fault->refund == SIM_REFUNDS_REFUSE) {
        refund->state = SIM_REFUND_REFUSED;
        snprintf(refund->error, sizeof refund->error, "the charge cannot be refunded");
    } else if (fault->refund == SIM_REFUNDS_PENDING || fault->refund == SIM_REFUNDS_FAIL_LATER) {
        refund->state = SIM_REFUND_PENDING;
        refund->due_us = now_us + fault->refund_delay_ms * 1000;
    }
    if (fault->refund == SIM_REFUNDS_FAIL_LATER) {
        refund->becomes = SIM_REFUND_FAILED;
        snprintf(refund->error, sizeof refund->error, "the customer's bank sent the money back");
    }
}

static void describe(const sim_refund_t *refund, bool fresh, sim_answer_t *answer)
{
    if (refund->state == SIM_REFUND_REFUSED) {
        sim_refuse(answer, 422, refund->error);
        return;
    }
    sim_event_t event = sim_event_of_refund(refund);
    answer->status = fresh ? 201 : 200;
    sim_event_write(&event, NULL, &answer->body);
}

static void give_back(sim_t *self, sim_refund_t *refund, const sim_fault_t *fault,
                      sim_answer_t *answer)
{
    bool fresh;
    int64_t now_us = clock_wall_us();
    sim_api_plan_refund(refund, fault, now_us);
    err_t err = sim_refund(self, refund, now_us, &fresh);
    if (err == ERR_OK && fault->refund == SIM_REFUNDS_UNKNOWN)
        sim_refuse(answer, 500, "the PSP lost its answer");
    else if (err == ERR_OK)
        describe(refund, fresh, answer);
    else if (err == ERR_PAYMENT_NOT_FOUND)
        sim_refuse(answer, 404, "there is no such charge");
    else if (err == ERR_ID_CONFLICT)
        sim_refuse(answer, 422, "the Idempotency-Key came with another request before");
    else
        sim_refuse(answer, 500, "the bank's journal cannot be written");
}

static void serve(const http_request_t *request, const psp_t *psp, const sim_fault_t *fault,
                  sim_answer_t *answer)
{
    json_t *root = json_read_object(request->body, NULL);
    if (!root) {
        sim_refuse(answer, 400, "the body is no JSON object");
        return;
    }
    sim_refund_t refund = {.psp = psp};
    const char *wrong = read_refund(root, &refund);
    if (wrong)
        sim_refuse(answer, 400, wrong);
    else if (!sim_api_has_key(request, &refund.refund_id))
        sim_refuse(answer, 400, "Idempotency-Key must be the refund_id");
    else
        give_back(request->self, &refund, fault, answer);
    json_decref(root);
}

void sim_api_refund(http_request_t *request)
{
    sim_fault_t fault = {0};
    sim_answer_t answer = {0};
    const psp_t *psp = sim_api_begin(request, &fault, &answer);
    if (psp && !sim_api_out_of_order(request->self, psp, &fault, &answer))
        serve(request, psp, &fault, &answer);
    sim_answer(request, &answer, sim_fault_answer_delay_ms(&fault, true));
}
