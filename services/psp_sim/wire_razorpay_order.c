/* wire_razorpay_order.c - an order of Razorpay's: the page where it is paid, the capture by hand,
 * and what becomes of what is not captured. Formats: razorpay.com/docs/api/payments/capture,
 * …/docs/payments/refunds/auto-refunds.
 */
#include "services/psp_sim/wire_razorpay.h"

void wire_razorpay_write_release(buf_t *body, const char *key, const sim_checkout_t *released)
{
    char text[SIM_REF_SIZE];
    json_open_object(body, key);
    json_text(body, "id", sim_ref(text, "rfd", released->psp, released->outcome_serial));
    json_text(body, "entity", "refund");
    json_int(body, "amount", released->outcome_amount);
    json_text(body, "currency", released->currency);
    json_text(body, "payment_id", sim_ref(text, "txn", released->psp, released->outcome_serial));
    json_open_array(body, "notes"); /* nobody asked for it; empty notes are an array */
    json_close_array(body);
    json_nil(body, "receipt");
    json_int(body, "created_at", released->outcome_at_us / 1000000);
    json_text(body, "status", "processed");
    json_text(body, "speed_processed", "normal");
    json_text(body, "speed_requested", "normal");
    json_close_object(body);
}

/* All of what is authorised, once. */
void wire_razorpay_capture(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    int64_t amount;
    if (sim_call_begin(&call, request, &sim_wire_razorpay, SIM_CALL_OPEN) &&
        wire_razorpay_find(&call, request->params[0], "txn", &checkout)) {
        const err_t err = sim_is_sample(request->params[0]) ? ERR_OK
                          : !sim_read_amount(call.json, "amount", &amount) ||
                                  amount != checkout.outcome_amount ||
                                  !str_is(json_read_str(call.json, "currency"), checkout.currency)
                              ? ERR_INVALID_AMOUNT
                              : sim_conclude(call.self, call.psp, checkout.outcome_serial, SIM_PAID,
                                             amount, &checkout);
        if (err == ERR_OK) {
            call.status = 200;
            wire_razorpay_write_payment(&call.body, NULL, &checkout, checkout.outcome_serial, 0);
        } else {
            sim_call_refuse(&call, err == ERR_STORE_UNAVAILABLE ? 500 : 400,
                            err == ERR_INVALID_AMOUNT
                                ? "Capture amount must be equal to the amount authorized"
                            : checkout.state == SIM_PAID
                                ? "This payment has already been captured"
                                : "Only payments which have been authorized and not yet captured "
                                  "can be captured");
        }
    }
    sim_call_end(&call);
}

/* In place of Razorpay's own checkout.js: it leads to the page here. */
void wire_razorpay_script(http_request_t *request)
{
    static const char text[] =
        "window.Razorpay = function (options) {\n"
        "  const base = document.querySelector('script[src$=\"/v1/checkout.js\"]').src;\n"
        "  this.open = () => {\n"
        "    location.href = base.replace('/v1/checkout.js', '/pay/' + options.order_id);\n"
        "  };\n"
        "};\n";
    http_respond(request, 200, "text/javascript", text, sizeof text - 1);
}

void wire_razorpay_order_page(http_request_t *request)
{
    sim_t *self = request->self;
    const psp_t *psp = psp_at(PSP_INDEX_razorpay);
    uint64_t serial;
    sim_checkout_t checkout;
    char url[600];
    if (!sim_ref_parse(request->params[0], "chk", psp, &serial) ||
        sim_bank_find_serial(self->bank, serial, psp, &checkout) != ERR_OK) {
        http_respond_problem(request, ERR_NOT_FOUND, "there is no such order");
        return;
    }
    sim_checkout_url(self, &checkout, url, sizeof url);
    http_add_header(request, "Location", url);
    http_respond(request, 303, "text/plain; charset=utf-8", NULL, 0);
}
