/* sim_script.c - what scripts ask of the simulator: pay, fail, release, misbehave, show the book,
 * forget. sim_script_send.c has the rest. */
#include <string.h>

#include "services/psp_sim/sim.h"

void sim_script_health(http_request_t *request)
{
    http_respond(request, 200, "text/plain; charset=utf-8", "ok\n", 3);
}

static void answer_outcome(http_request_t *request, const sim_checkout_t *checkout)
{
    char ref[SIM_REF_SIZE];
    buf_t body = {0};
    json_open_object(&body, NULL);
    json_uuid(&body, "payment_id", &checkout->payment_id);
    json_text(&body, "status", sim_state_name(checkout->state));
    json_text(&body, "gateway_txn_id",
              sim_ref(ref, "txn", checkout->psp, checkout->outcome_serial));
    if (checkout->second_serial)
        json_text(&body, "second_gateway_txn_id",
                  sim_ref(ref, "txn", checkout->psp, checkout->second_serial));
    json_text(&body, "psp", psp_name(checkout->psp));
    json_int(&body, "amount", checkout->outcome_amount);
    json_close_object(&body);
    http_respond_json(request, 200, &body);
    buf_free(&body);
}

/* By the payment's id, or by the PSP's own name where several checkouts are one payment's. */
static void settle(http_request_t *request, err_t (*act)(sim_t *, const uuid_t *, sim_checkout_t *),
                   err_t (*act_at)(sim_t *, const psp_t *, uint64_t, sim_checkout_t *))
{
    uuid_t payment_id;
    const psp_t *psp;
    uint64_t serial;
    sim_checkout_t checkout;
    err_t err = ERR_PAYMENT_NOT_FOUND;
    if (sim_payment_of(request, &payment_id))
        err = act(request->self, &payment_id, &checkout);
    else if (sim_named_by(request, &psp, &serial))
        err = act_at(request->self, psp, serial, &checkout);
    if (err == ERR_OK)
        answer_outcome(request, &checkout);
    else
        http_respond_problem(request, err,
                             err == ERR_ORDER_NOT_PAYABLE ? "the payment is paid already"
                             : err == ERR_UNPROCESSABLE   ? "the payment is not authorised"
                                                          : NULL);
}

void sim_script_pay(http_request_t *request)
{
    settle(request, sim_pay, sim_pay_at);
}

void sim_script_fail(http_request_t *request)
{
    settle(request, sim_fail, sim_fail_at);
}

void sim_script_release(http_request_t *request)
{
    settle(request, sim_release, sim_release_at);
}

void sim_script_faults(http_request_t *request)
{
    sim_t *self = request->self;
    sim_fault_t fault;
    err_detail_t detail;
    const psp_t *psp = psp_find(request->params[0]);
    if (!psp) {
        http_respond_problem(request, ERR_UNKNOWN_GATEWAY, NULL);
        return;
    }
    err_t err = sim_fault_read(request->body, &fault, &detail);
    if (err != ERR_OK) {
        http_respond_problem(request, err, detail.text);
        return;
    }
    sim_faults_set(&self->faults, psp, &fault);
    buf_t body = {0};
    sim_fault_write(&fault, &body);
    http_respond_json(request, 200, &body);
    buf_free(&body);
}

void sim_script_book(http_request_t *request)
{
    static const char *const known[] = {"payment_id", NULL};
    enum { BOOK_MAX_BYTES = 256 << 20 };
    sim_t *self = request->self;
    char text[UUID_TEXT_SIZE], offender[64];
    uuid_t payment_id;
    int given = http_query(request, "payment_id", text, sizeof text);
    if (!http_query_known(request, known, offender, sizeof offender) || given < 0 ||
        (given == 1 && !uuid_parse(text, strlen(text), &payment_id))) {
        http_respond_problem(request, ERR_INVALID_QUERY,
                             "payment_id, a UUID, is all that can be asked");
        return;
    }
    buf_t body;
    buf_init(&body, BOOK_MAX_BYTES);
    sim_bank_book(self->bank, given == 1 ? &payment_id : NULL, &body);
    if (body.overflow)
        http_respond_problem(request, ERR_TOO_LARGE, "ask for one payment");
    else
        http_respond_json(request, 200, &body);
    buf_free(&body);
}

void sim_script_reset(http_request_t *request)
{
    sim_t *self = request->self;
    err_t err = sim_bank_reset(self->bank);
    if (err != ERR_OK) {
        http_respond_problem(request, err, "the journal cannot be emptied");
        return;
    }
    sim_webhook_forget(self->webhook);
    sim_faults_clear(&self->faults);
    http_respond(request, 200, "application/json", "{}", 2);
}
