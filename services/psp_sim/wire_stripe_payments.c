/* wire_stripe_payments.c - Stripe's calls for Checkout Sessions and PaymentIntents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/form.h"
#include "lib/payment/money.h"
#include "services/psp_sim/wire_stripe.h"

static const int64_t second_us = 1000000;
static const int64_t hour_us = INT64_C(3600000000);

const char *wire_stripe_key_of(const http_request_t *request)
{
    const char *key = http_header(request, "Idempotency-Key");
    return key ? key : "";
}

/* The checkout that the id names; false: 404 is the answer. */
bool wire_stripe_find(sim_call_t *call, str_t id, sim_checkout_t *checkout)
{
    uint64_t serial;
    char text[96];
    if (sim_is_sample(id)) {
        *checkout = sim_sample(PSP_INDEX_stripe);
        return true;
    }
    if ((sim_ref_parse(id, "txn", call->psp, &serial) ||
         sim_ref_parse(id, "chk", call->psp, &serial)) &&
        sim_bank_find_serial(call->self->bank, serial, call->psp, checkout) == ERR_OK)
        return true;
    snprintf(text, sizeof text, "No such object: '%.60s'", str_copy(id, (char[64]){0}, 64));
    sim_call_refuse(call, 404, text);
    return false;
}

static uuid_t metadata(str_t form, const char *key)
{
    uuid_t id;
    char name[64], text[64];
    snprintf(name, sizeof name, "metadata[%s]", key);
    if (!form_copy(form, name, text, sizeof text) || !uuid_parse(text, strlen(text), &id))
        memset(&id, 0, sizeof id);
    return id;
}

/* Amount and currency at these names; false: the error is the answer. */
static bool read_amount(sim_call_t *call, const char *amount_name, const char *currency_name,
                        sim_checkout_t *checkout)
{
    char amount[24], currency[8];
    const str_t form = call->request->body;
    if (!form_copy(form, amount_name, amount, sizeof amount) ||
        strspn(amount, "0123456789") != strlen(amount) ||
        (checkout->amount = strtoll(amount, NULL, 10)) < 1 || checkout->amount > AMOUNT_MAX) {
        sim_call_refuse(call, 400, "Invalid integer: amount");
        return false;
    }
    if (!form_copy(form, currency_name, currency, sizeof currency))
        currency[0] = '\0';
    for (char *at = currency; *at; at++)
        *at = (char)(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
    if (!currency_known(str_of(currency))) {
        sim_call_refuse(call, 400, "Invalid currency");
        return false;
    }
    str_copy(str_of(currency), checkout->currency, sizeof checkout->currency);
    return true;
}

static bool is_manual(str_t form, const char *name)
{
    char method[24];
    return form_copy(form, name, method, sizeof method) && strcmp(method, "manual") == 0;
}

void wire_stripe_session_create(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_OPEN)) {
        sim_checkout_t checkout = {.method = "CARD",
                                   .order_id = metadata(request->body, "order_id")};
        char return_url[SIM_URL_SIZE] = "", expires[24] = "", mode[16] = "";
        const int64_t now_us = clock_wall_us();
        checkout.manual_capture = is_manual(request->body, "payment_intent_data[capture_method]");
        (void)form_copy(request->body, "mode", mode, sizeof mode);
        (void)form_copy(request->body, "success_url", return_url, sizeof return_url);
        (void)form_copy(request->body, "client_reference_id", checkout.reference,
                        sizeof checkout.reference);
        if (!checkout.reference[0])
            str_copy(str_of(wire_stripe_key_of(request)), checkout.reference,
                     sizeof checkout.reference);
        checkout.expires_at_us =
            form_copy(request->body, "expires_at", expires, sizeof expires)
                ? strtoll(expires, NULL, 10) * second_us
                : (now_us / hour_us + 24) * hour_us; /* the same when it is repeated */
        if (strcmp(mode, "payment") != 0)
            sim_call_refuse(&call, 400, "Invalid mode: only payment is simulated");
        else if (checkout.expires_at_us < now_us + INT64_C(1790000000) ||
                 checkout.expires_at_us > now_us + INT64_C(86400000000))
            sim_call_refuse(
                &call, 400,
                "The expires_at timestamp must be between 30 minutes and 24 hours from now");
        else if (read_amount(&call, "line_items[0][price_data][unit_amount]",
                             "line_items[0][price_data][currency]", &checkout) &&
                 sim_call_open(&call, &checkout, wire_stripe_key_of(request), return_url)) {
            call.status = 200;
            wire_stripe_write_session(&call.body, NULL, call.self, &checkout, false);
        } else if (call.status == 409) {
            sim_call_refuse(&call, 400, wire_stripe_key_reused);
        }
    }
    sim_call_end(&call);
}

static bool wants_expanded(const http_request_t *request)
{
    return request->query && strstr(request->query, "payment_intent") != NULL;
}

void wire_stripe_session_fetch(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_READ) &&
        wire_stripe_find(&call, request->params[0], &checkout)) {
        call.status = 200;
        wire_stripe_write_session(&call.body, NULL, call.self, &checkout, wants_expanded(request));
    }
    sim_call_end(&call);
}

void wire_stripe_intent_create(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_OPEN)) {
        char reference[SIM_REFERENCE_SIZE] = "";
        sim_checkout_t checkout = {.method = "CARD",
                                   .order_id = metadata(request->body, "order_id"),
                                   .expires_at_us = clock_wall_us() + INT64_C(86400000000)};
        checkout.manual_capture = is_manual(request->body, "capture_method");
        (void)form_copy(request->body, "metadata[payment_id]", reference, sizeof reference);
        str_copy(str_of(reference[0]                     ? reference
                        : wire_stripe_key_of(request)[0] ? wire_stripe_key_of(request)
                                                         : "intent"),
                 checkout.reference, sizeof checkout.reference);
        if (read_amount(&call, "amount", "currency", &checkout) &&
            sim_call_open(&call, &checkout, wire_stripe_key_of(request), "")) {
            call.status = 200;
            wire_stripe_write_intent(&call.body, NULL, &checkout, checkout.serial,
                                     "requires_payment_method");
        } else if (call.status == 409) {
            sim_call_refuse(&call, 400, wire_stripe_key_reused);
        }
    }
    sim_call_end(&call);
}

void wire_stripe_intent_fetch(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_READ) &&
        wire_stripe_find(&call, request->params[0], &checkout)) {
        call.status = 200;
        wire_stripe_write_intent(&call.body, NULL, &checkout,
                                 checkout.state == SIM_PENDING ? checkout.serial
                                                               : checkout.outcome_serial,
                                 wire_stripe_intent_status(&checkout));
    }
    sim_call_end(&call);
}

static void intent_conclude(http_request_t *request, sim_state_t becomes)
{
    sim_call_t call;
    sim_checkout_t checkout;
    char text[24] = "", why_not[160];
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_OPEN) &&
        wire_stripe_find(&call, request->params[0], &checkout)) {
        (void)form_copy(request->body, "amount_to_capture", text, sizeof text);
        const bool sample = sim_is_sample(request->params[0]);
        const err_t err = sample ? ERR_OK
                                 : sim_conclude(call.self, call.psp, checkout.outcome_serial,
                                                becomes, strtoll(text, NULL, 10), &checkout);
        if (err == ERR_OK) {
            call.status = 200;
            wire_stripe_write_intent(&call.body, NULL, &checkout, checkout.outcome_serial,
                                     becomes == SIM_PAID ? "succeeded" : "canceled");
        } else {
            snprintf(why_not, sizeof why_not,
                     "This PaymentIntent could not be %s because it has a status of %s, or for "
                     "that amount",
                     becomes == SIM_PAID ? "captured" : "canceled",
                     wire_stripe_intent_status(&checkout));
            sim_call_refuse(&call, err == ERR_STORE_UNAVAILABLE ? 500 : 400, why_not);
        }
    }
    sim_call_end(&call);
}

void wire_stripe_intent_capture(http_request_t *request)
{
    intent_conclude(request, SIM_PAID);
}

void wire_stripe_intent_cancel(http_request_t *request)
{
    intent_conclude(request, SIM_VOIDED);
}

/* "metadata['payment_id']:'…'" */
void wire_stripe_intent_search(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_READ)) {
        char query[200] = "", reference[SIM_REFERENCE_SIZE] = "";
        sim_checkout_t checkout;
        (void)http_query(request, "query", query, sizeof query);
        const char *at = strstr(query, "payment_id");
        at = at ? strchr(at, ':') : NULL;
        if (at)
            str_copy((str_t){at + 2, (uint32_t)strcspn(at + 2, "'\"")}, reference,
                     sizeof reference);
        call.status = 200;
        json_open_object(&call.body, NULL);
        json_text(&call.body, "object", "search_result");
        json_open_array(&call.body, "data");
        if (sim_call_find(&call, reference, &checkout) && checkout.state != SIM_PENDING)
            wire_stripe_write_intent(&call.body, NULL, &checkout, checkout.outcome_serial,
                                     wire_stripe_intent_status(&checkout));
        json_close_array(&call.body);
        json_bool(&call.body, "has_more", false);
        json_nil(&call.body, "next_page");
        json_text(&call.body, "url", "/v1/payment_intents/search");
        json_close_object(&call.body);
    }
    sim_call_end(&call);
}
