/* wire_stripe_refunds.c - Stripe's calls for refunds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/form.h"
#include "services/psp_sim/wire_stripe.h"

enum { REFUNDS_MAX = 64 };

/* The intent that is meant, by its own name or by that of its charge. */
static void read_intent(str_t form, char intent[SIM_REF_SIZE])
{
    char charge[SIM_REF_SIZE];
    if (!form_copy(form, "payment_intent", intent, SIM_REF_SIZE) &&
        form_copy(form, "charge", charge, sizeof charge) && strncmp(charge, "ch_", 3) == 0)
        snprintf(intent, SIM_REF_SIZE, "pi_%s", charge + 3);
}

/* What is asked for, or all that is left; false: the error is the answer. */
static bool read_amount(sim_call_t *call, const sim_checkout_t *checkout, int64_t *asked)
{
    char amount[24] = "";
    *asked = checkout->outcome_amount - sim_refunded(call->self, checkout);
    if (!form_copy(call->request->body, "amount", amount, sizeof amount))
        return true;
    *asked = strtoll(amount, NULL, 10);
    if (amount[0] && strspn(amount, "0123456789") == strlen(amount))
        return true;
    sim_call_refuse(call, 400, "Invalid integer: amount");
    return false;
}

/* A key is what a repeated request is known by, never its metadata: without one, each is another
 * refund. */
void wire_stripe_refund_create(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_REFUND)) {
        char intent[SIM_REF_SIZE] = "", second[SIM_REF_SIZE];
        int64_t asked;
        sim_checkout_t checkout;
        sim_refund_t refund;
        call.refund_key = wire_stripe_key_of(request);
        read_intent(request->body, intent);
        if (wire_stripe_read_metadata(&call) &&
            wire_stripe_find(&call, str_of(intent), "txn", &checkout) &&
            read_amount(&call, &checkout, &asked)) {
            if (checkout.second_serial &&
                strcmp(intent, sim_ref(second, "txn", call.psp, checkout.second_serial)) == 0)
                checkout.outcome_serial = checkout.second_serial; /* of the other charge */
            if (sim_call_refund(&call, &checkout, call.refund_key, asked, &refund)) {
                call.status = 200;
                wire_stripe_write_refund(&call.body, NULL, &refund);
            } else if (call.key_reused) {
                sim_call_refuse(&call, 400, wire_stripe_key_reused);
            }
        }
    }
    sim_call_end(&call);
}

void wire_stripe_refund_fetch(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_READ)) {
        uint64_t serial;
        sim_refund_t refund;
        if (sim_ref_parse(request->params[0], "rfd", call.psp, &serial) &&
            sim_refund_find(call.self->bank, call.psp, NULL, serial, &refund) == ERR_OK) {
            call.status = 200;
            wire_stripe_write_refund(&call.body, NULL, &refund);
        } else {
            sim_call_refuse(&call, 404, "No such refund");
        }
    }
    sim_call_end(&call);
}

void wire_stripe_begin_list(sim_call_t *call)
{
    call->status = 200;
    json_open_object(&call->body, NULL);
    json_text(&call->body, "object", "list");
    json_open_array(&call->body, "data");
}

void wire_stripe_end_list(sim_call_t *call, const char *url)
{
    json_close_array(&call->body);
    json_bool(&call->body, "has_more", false);
    json_text(&call->body, "url", url);
    json_close_object(&call->body);
}

void wire_stripe_refund_list(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_READ)) {
        char intent[SIM_REF_SIZE] = "";
        sim_checkout_t checkout;
        (void)http_query(request, "payment_intent", intent, sizeof intent);
        if (wire_stripe_find(&call, str_of(intent), "txn", &checkout)) {
            sim_refund_t refunds[REFUNDS_MAX];
            const size_t count = sim_refunds_of(call.self->bank, &checkout, refunds, REFUNDS_MAX);
            wire_stripe_begin_list(&call);
            for (size_t i = 0; i < count; i++)
                wire_stripe_write_refund(&call.body, NULL, &refunds[i]);
            wire_stripe_end_list(&call, "/v1/refunds");
        }
    }
    sim_call_end(&call);
}
