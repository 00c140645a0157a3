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
static const int64_t never_us = INT64_C(253402300799000000); /* the end of 9999 */

/* docs.stripe.com/api/metadata */
bool wire_stripe_read_metadata(sim_call_t *call)
{
    static const sim_notes_limits_t limits = {.pairs = 50, .name = 40, .value = 500};
    sim_notes_of_form(call->request->body, "metadata", &call->notes);
    return sim_call_notes_fit(call, &limits, 400,
                              "Metadata can have up to 50 keys of up to 40 characters, with values "
                              "of up to 500 characters");
}

static bool read_metadata(sim_call_t *call, sim_checkout_t *checkout)
{
    const bool fit = wire_stripe_read_metadata(call);
    checkout->notes = call->notes.data;
    return fit;
}

/* A session and its intent have each their own. */
static bool read_session_metadata(sim_call_t *call, sim_checkout_t *checkout)
{
    sim_notes_of_form(call->request->body, "payment_intent_data[metadata]", &call->payment_notes);
    checkout->payment_notes = call->payment_notes.data ? call->payment_notes.data : "{}";
    return read_metadata(call, checkout);
}

const char *wire_stripe_key_of(const http_request_t *request)
{
    const char *key = http_header(request, "Idempotency-Key");
    return key ? key : "";
}

bool wire_stripe_find(sim_call_t *call, str_t id, const char *kind, sim_checkout_t *checkout)
{
    uint64_t serial;
    char text[96];
    if (sim_is_sample(id)) {
        *checkout = sim_sample(PSP_INDEX_stripe);
        return true;
    }
    if (sim_ref_parse(id, kind, call->psp, &serial) &&
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

/* What the request is known again by; without a key each is another one. */
static const char *key_or_fresh(const http_request_t *request, char fresh[UUID_TEXT_SIZE])
{
    const char *key = wire_stripe_key_of(request);
    const uuid_t id = uuid7_new();
    return key[0] ? key : uuid_format(&id, fresh);
}

static bool is_manual(str_t form, const char *name)
{
    char method[24];
    return form_copy(form, name, method, sizeof method) && strcmp(method, "manual") == 0;
}

/* ---- sessions ---- */

void wire_stripe_session_create(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_OPEN)) {
        sim_checkout_t checkout = {
            .method = "CARD", .order_id = metadata(request->body, "order_id"), .one_name = true};
        char fresh[UUID_TEXT_SIZE];
        const char *key = key_or_fresh(request, fresh);
        char return_url[SIM_URL_SIZE] = "", expires[24] = "", mode[16] = "";
        const int64_t now_us = clock_wall_us();
        checkout.manual_capture = is_manual(request->body, "payment_intent_data[capture_method]");
        (void)form_copy(request->body, "mode", mode, sizeof mode);
        (void)form_copy(request->body, "success_url", return_url, sizeof return_url);
        (void)form_copy(request->body, "client_reference_id", checkout.reference,
                        sizeof checkout.reference);
        if (!checkout.reference[0]) {
            str_copy(str_of(key), checkout.reference, sizeof checkout.reference);
            checkout.nameless = true;
        }
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
                 read_session_metadata(&call, &checkout) &&
                 sim_call_open(&call, &checkout, key, return_url)) {
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
        wire_stripe_find(&call, request->params[0], "chk", &checkout)) {
        call.status = 200;
        wire_stripe_write_session(&call.body, NULL, call.self, &checkout, wants_expanded(request));
    }
    sim_call_end(&call);
}

/* ---- intents ---- */

/* Stripe's test cards that are declined have it in their names (docs.stripe.com/testing). */
static bool is_declined(str_t form)
{
    char method[64];
    return form_copy(form, "payment_method", method, sizeof method) &&
           strstr(method, "chargeDeclined") != NULL;
}

static void refuse_card(sim_call_t *call, const sim_checkout_t *checkout)
{
    buf_t *body = &call->body;
    call->status = 402;
    json_open_object(body, NULL);
    json_open_object(body, "error");
    json_text(body, "code", "card_declined");
    json_text(body, "decline_code", "insufficient_funds");
    json_text(body, "doc_url", "https://docs.stripe.com/error-codes/card-declined");
    json_text(body, "message", "Your card has insufficient funds.");
    wire_stripe_write_intent(body, "payment_intent", checkout, checkout->serial,
                             wire_stripe_intent_status(checkout));
    json_text(body, "type", "card_error");
    json_close_object(body);
    json_close_object(body);
}

static void answer_intent(sim_call_t *call, const sim_checkout_t *checkout)
{
    call->status = 200;
    wire_stripe_write_intent(&call->body, NULL, checkout, checkout->serial,
                             wire_stripe_intent_status(checkout));
}

/* The customer pays here and now, with a card that is good or is declined. */
static void confirm(sim_call_t *call, sim_checkout_t *checkout)
{
    const bool declined = is_declined(call->request->body);
    const uint64_t serial = checkout->serial;
    const err_t err = declined ? sim_fail_at(call->self, call->psp, serial, checkout)
                               : sim_pay_at(call->self, call->psp, serial, checkout);
    if (err != ERR_OK)
        sim_call_refuse(call, 500, "the bank's journal cannot be written");
    else if (declined)
        refuse_card(call, checkout);
    else
        answer_intent(call, checkout);
}

void wire_stripe_intent_create(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_OPEN)) {
        char reference[SIM_REFERENCE_SIZE] = "", fresh[UUID_TEXT_SIZE], confirmed[8] = "";
        const char *key = key_or_fresh(request, fresh);
        sim_checkout_t checkout = {.method = "CARD",
                                   .order_id = metadata(request->body, "order_id"),
                                   .expires_at_us = never_us,
                                   .one_name = true};
        checkout.manual_capture = is_manual(request->body, "capture_method");
        (void)form_copy(request->body, "confirm", confirmed, sizeof confirmed);
        (void)form_copy(request->body, "metadata[payment_id]", reference, sizeof reference);
        str_copy(str_of(reference[0] ? reference : key), checkout.reference,
                 sizeof checkout.reference);
        if (!read_amount(&call, "amount", "currency", &checkout) ||
            !read_metadata(&call, &checkout) || !sim_call_open(&call, &checkout, key, "")) {
            if (call.status == 409)
                sim_call_refuse(&call, 400, wire_stripe_key_reused);
        } else if (strcmp(confirmed, "true") != 0 || checkout.state > SIM_FAILED) {
            answer_intent(&call, &checkout);
        } else {
            confirm(&call, &checkout);
        }
    }
    sim_call_end(&call);
}

/* An intent's own serial, or that of a second charge where the id is of it. */
static uint64_t serial_of(str_t id, const sim_checkout_t *checkout)
{
    uint64_t serial;
    const bool second = checkout->second_serial &&
                        sim_ref_parse(id, "txn", checkout->psp, &serial) &&
                        serial == checkout->second_serial;
    return second ? checkout->second_serial : checkout->serial;
}

void wire_stripe_intent_fetch(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_READ) &&
        wire_stripe_find(&call, request->params[0], "txn", &checkout)) {
        call.status = 200;
        wire_stripe_write_intent(&call.body, NULL, &checkout,
                                 serial_of(request->params[0], &checkout),
                                 wire_stripe_intent_status(&checkout));
    }
    sim_call_end(&call);
}

void wire_stripe_intent_confirm(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    char why_not[160];
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_OPEN) &&
        wire_stripe_find(&call, request->params[0], "txn", &checkout)) {
        if (sim_is_sample(request->params[0])) {
            answer_intent(&call, &checkout);
        } else if (checkout.state > SIM_FAILED) {
            snprintf(why_not, sizeof why_not,
                     "You cannot confirm this PaymentIntent because it has a status of %s",
                     wire_stripe_intent_status(&checkout));
            sim_call_refuse(&call, 400, why_not);
        } else {
            confirm(&call, &checkout);
        }
    }
    sim_call_end(&call);
}

static void intent_conclude(http_request_t *request, sim_state_t becomes)
{
    sim_call_t call;
    sim_checkout_t checkout;
    char text[24] = "", why_not[160];
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_OPEN) &&
        wire_stripe_find(&call, request->params[0], "txn", &checkout)) {
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
