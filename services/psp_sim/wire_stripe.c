/* wire_stripe.c - Stripe's API and webhooks: Checkout Sessions, PaymentIntents, refunds, balance,
 * events. Formats: docs.stripe.com/api. Requests are forms with bracketed names, answers are JSON.
 *
 * A session and the PaymentIntent that it leads to are one checkout here; the PaymentIntent is
 * named when there is an outcome.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/form.h"
#include "lib/hmac.h"
#include "lib/payment/money.h"
#include "services/psp_sim/sim_settlement.h"

enum { BODY_MAX_BYTES = 64 * 1024, REFUNDS_MAX = 64 };
static const int64_t second_us = 1000000;
static const int64_t hour_us = INT64_C(3600000000);

static const char key_reused[] = "Keys for idempotent requests can only be used with the same "
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
              strcmp(words, key_reused) == 0 ? "idempotency_error"
              : status == 429                ? "rate_limit_error"
              : status >= 500                ? "api_error"
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

/* ---- entities ---- */

static void small(const char *currency, char text[4])
{
    for (int i = 0; i < 4; i++)
        text[i] = (char)(currency[i] >= 'A' && currency[i] <= 'Z' ? currency[i] + 'a' - 'A'
                                                                  : currency[i]);
}

static void write_metadata(buf_t *body, const sim_checkout_t *checkout)
{
    json_open_object(body, "metadata");
    json_uuid(body, "payment_id", &checkout->payment_id);
    json_uuid(body, "order_id", &checkout->order_id);
    json_close_object(body);
}

/* "pi_3…", and of the same digits "ch_3…". */
static void name_intent(char text[SIM_REF_SIZE], const char *prefix, const sim_checkout_t *checkout,
                        uint64_t serial)
{
    char intent[SIM_REF_SIZE];
    sim_ref(intent, "txn", checkout->psp, serial);
    snprintf(text, SIM_REF_SIZE, "%s%.50s", prefix, intent + 2);
}

static void write_intent(buf_t *body, const char *key, const sim_checkout_t *checkout,
                         uint64_t serial, const char *status)
{
    char text[SIM_REF_SIZE], currency[4];
    const bool paid = strcmp(status, "succeeded") == 0;
    small(checkout->currency, currency);
    name_intent(text, "pi", checkout, serial);
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
        name_intent(text, "ch", checkout, serial);
        json_text(body, "latest_charge", text);
    } else {
        json_nil(body, "latest_charge");
    }
    json_bool(body, "livemode", false);
    write_metadata(body, checkout);
    json_text(body, "status", status);
    json_close_object(body);
}

static const char *intent_status(const sim_checkout_t *checkout)
{
    return checkout->state == SIM_PAID         ? "succeeded"
           : checkout->state == SIM_AUTHORIZED ? "requires_capture"
           : checkout->state == SIM_VOIDED     ? "canceled"
                                               : "requires_payment_method";
}

static void write_session(buf_t *body, const char *key, const sim_t *self,
                          const sim_checkout_t *checkout, bool expanded)
{
    char text[SIM_REF_SIZE], currency[4], url[600];
    const bool paid = checkout->state == SIM_PAID;
    const bool complete = checkout->state > SIM_FAILED;
    const bool expired = !complete && checkout->expires_at_us <= clock_wall_us();
    small(checkout->currency, currency);
    json_open_object(body, key);
    json_text(body, "id", sim_ref(text, "chk", checkout->psp, checkout->serial));
    json_text(body, "object", "checkout.session");
    json_int(body, "amount_subtotal", checkout->amount);
    json_int(body, "amount_total", paid ? checkout->outcome_amount : checkout->amount);
    json_text(body, "client_reference_id", checkout->reference);
    json_int(body, "created", clock_wall_us() / second_us);
    json_text(body, "currency", currency);
    json_int(body, "expires_at", checkout->expires_at_us / second_us);
    json_bool(body, "livemode", false);
    write_metadata(body, checkout);
    json_text(body, "mode", "payment");
    if (checkout->state == SIM_PENDING) {
        json_nil(body, "payment_intent");
    } else if (expanded) {
        write_intent(body, "payment_intent", checkout, checkout->outcome_serial,
                     intent_status(checkout));
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

static void write_refund(buf_t *body, const char *key, const sim_refund_t *refund)
{
    char text[SIM_REF_SIZE], currency[4];
    small(refund->currency, currency);
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
    json_open_object(body, "metadata");
    json_uuid(body, "refund_id", &refund->refund_id);
    json_uuid(body, "payment_id", &refund->payment_id);
    json_uuid(body, "order_id", &refund->order_id);
    json_close_object(body);
    json_text(body, "payment_intent", refund->charge_ref);
    json_text(body, "reason", "requested_by_customer");
    json_text(body, "status",
              refund->state == SIM_REFUND_DONE      ? "succeeded"
              : refund->state == SIM_REFUND_PENDING ? "pending"
                                                    : "failed");
    json_close_object(body);
}

/* ---- calls ---- */

static const char *key_of(const http_request_t *request)
{
    const char *key = http_header(request, "Idempotency-Key");
    return key ? key : "";
}

/* The checkout that the id names; false: 404 is the answer. */
static bool find(sim_call_t *call, str_t id, sim_checkout_t *checkout)
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

static void session_create(http_request_t *request)
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
            str_copy(str_of(key_of(request)), checkout.reference, sizeof checkout.reference);
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
                 sim_call_open(&call, &checkout, key_of(request), return_url)) {
            call.status = 200;
            write_session(&call.body, NULL, call.self, &checkout, false);
        } else if (call.status == 409) {
            sim_call_refuse(&call, 400, key_reused);
        }
    }
    sim_call_end(&call);
}

static bool wants_expanded(const http_request_t *request)
{
    return request->query && strstr(request->query, "payment_intent") != NULL;
}

static void session_fetch(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_READ) &&
        find(&call, request->params[0], &checkout)) {
        call.status = 200;
        write_session(&call.body, NULL, call.self, &checkout, wants_expanded(request));
    }
    sim_call_end(&call);
}

static void intent_create(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_OPEN)) {
        char reference[SIM_REFERENCE_SIZE] = "";
        sim_checkout_t checkout = {.method = "CARD",
                                   .order_id = metadata(request->body, "order_id"),
                                   .expires_at_us = clock_wall_us() + INT64_C(86400000000)};
        checkout.manual_capture = is_manual(request->body, "capture_method");
        (void)form_copy(request->body, "metadata[payment_id]", reference, sizeof reference);
        str_copy(str_of(reference[0]         ? reference
                        : key_of(request)[0] ? key_of(request)
                                             : "intent"),
                 checkout.reference, sizeof checkout.reference);
        if (read_amount(&call, "amount", "currency", &checkout) &&
            sim_call_open(&call, &checkout, key_of(request), "")) {
            call.status = 200;
            write_intent(&call.body, NULL, &checkout, checkout.serial, "requires_payment_method");
        } else if (call.status == 409) {
            sim_call_refuse(&call, 400, key_reused);
        }
    }
    sim_call_end(&call);
}

static void intent_fetch(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_READ) &&
        find(&call, request->params[0], &checkout)) {
        call.status = 200;
        write_intent(&call.body, NULL, &checkout,
                     checkout.state == SIM_PENDING ? checkout.serial : checkout.outcome_serial,
                     intent_status(&checkout));
    }
    sim_call_end(&call);
}

static void intent_conclude(http_request_t *request, sim_state_t becomes)
{
    sim_call_t call;
    sim_checkout_t checkout;
    char text[24] = "", why_not[160];
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_OPEN) &&
        find(&call, request->params[0], &checkout)) {
        (void)form_copy(request->body, "amount_to_capture", text, sizeof text);
        const bool sample = sim_is_sample(request->params[0]);
        const err_t err = sample ? ERR_OK
                                 : sim_conclude(call.self, call.psp, checkout.outcome_serial,
                                                becomes, strtoll(text, NULL, 10), &checkout);
        if (err == ERR_OK) {
            call.status = 200;
            write_intent(&call.body, NULL, &checkout, checkout.outcome_serial,
                         becomes == SIM_PAID ? "succeeded" : "canceled");
        } else {
            snprintf(why_not, sizeof why_not,
                     "This PaymentIntent could not be %s because it has a status of %s, or for "
                     "that amount",
                     becomes == SIM_PAID ? "captured" : "canceled", intent_status(&checkout));
            sim_call_refuse(&call, err == ERR_STORE_UNAVAILABLE ? 500 : 400, why_not);
        }
    }
    sim_call_end(&call);
}

static void intent_capture(http_request_t *request)
{
    intent_conclude(request, SIM_PAID);
}

static void intent_cancel(http_request_t *request)
{
    intent_conclude(request, SIM_VOIDED);
}

static void refund_create(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_REFUND)) {
        char intent[SIM_REF_SIZE] = "", amount[24] = "", reference[SIM_REFERENCE_SIZE] = "";
        sim_checkout_t checkout;
        sim_refund_t refund;
        (void)form_copy(request->body, "payment_intent", intent, sizeof intent);
        (void)form_copy(request->body, "metadata[refund_id]", reference, sizeof reference);
        if (!reference[0])
            str_copy(str_of(key_of(request)), reference, sizeof reference);
        if (find(&call, str_of(intent), &checkout)) {
            const int64_t asked =
                form_copy(request->body, "amount", amount, sizeof amount)
                    ? strtoll(amount, NULL, 10)
                    : checkout.outcome_amount - sim_refunded(call.self, &checkout);
            if (!sim_is_sample(str_of(intent)) && checkout.second_serial &&
                strcmp(intent, sim_ref((char[SIM_REF_SIZE]){0}, "txn", call.psp,
                                       checkout.second_serial)) == 0)
                checkout.outcome_serial = checkout.second_serial; /* of the other charge */
            if (sim_call_refund(&call, &checkout, reference, asked, &refund)) {
                call.status = 200;
                write_refund(&call.body, NULL, &refund);
            }
        }
    }
    sim_call_end(&call);
}

static void refund_fetch(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_READ)) {
        uint64_t serial;
        sim_refund_t refund;
        if (sim_ref_parse(request->params[0], "rfd", call.psp, &serial) &&
            sim_refund_find(call.self->bank, call.psp, NULL, serial, &refund) == ERR_OK) {
            call.status = 200;
            write_refund(&call.body, NULL, &refund);
        } else {
            sim_call_refuse(&call, 404, "No such refund");
        }
    }
    sim_call_end(&call);
}

static void begin_list(sim_call_t *call)
{
    call->status = 200;
    json_open_object(&call->body, NULL);
    json_text(&call->body, "object", "list");
    json_open_array(&call->body, "data");
}

static void end_list(sim_call_t *call, const char *url)
{
    json_close_array(&call->body);
    json_bool(&call->body, "has_more", false);
    json_text(&call->body, "url", url);
    json_close_object(&call->body);
}

static void refund_list(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_READ)) {
        char intent[SIM_REF_SIZE] = "";
        sim_checkout_t checkout;
        (void)http_query(request, "payment_intent", intent, sizeof intent);
        if (find(&call, str_of(intent), &checkout)) {
            sim_refund_t refunds[REFUNDS_MAX];
            const size_t count = sim_refunds_of(call.self->bank, call.psp, &checkout.payment_id,
                                                refunds, REFUNDS_MAX);
            begin_list(&call);
            for (size_t i = 0; i < count; i++)
                write_refund(&call.body, NULL, &refunds[i]);
            end_list(&call, "/v1/refunds");
        }
    }
    sim_call_end(&call);
}

/* "metadata['payment_id']:'…'" */
static void intent_search(http_request_t *request)
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
            write_intent(&call.body, NULL, &checkout, checkout.outcome_serial,
                         intent_status(&checkout));
        json_close_array(&call.body);
        json_bool(&call.body, "has_more", false);
        json_nil(&call.body, "next_page");
        json_text(&call.body, "url", "/v1/payment_intents/search");
        json_close_object(&call.body);
    }
    sim_call_end(&call);
}

/* Nothing is paid out here by itself, and no webhook is given up. */
static void empty_list(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_READ)) {
        begin_list(&call);
        end_list(&call, strstr(request->path, "/v1/"));
    }
    sim_call_end(&call);
}

/* ---- balance ---- */

/* The charge that a line is of, as far as anybody reads it. */
static void write_charge(buf_t *body, const sim_settlement_line_t *line, const char *currency)
{
    char text[SIM_REF_SIZE];
    json_open_object(body, "source");
    name_intent(text, "ch", &line->checkout, line->serial);
    json_text(body, "id", text);
    json_text(body, "object", "charge");
    json_int(body, "amount", line->amount);
    json_int(body, "amount_captured", line->amount);
    json_text(body, "currency", currency);
    json_bool(body, "captured", true);
    json_int(body, "created", line->at_us / second_us);
    name_intent(text, "pi", &line->checkout, line->serial);
    json_text(body, "payment_intent", text);
    json_text(body, "status", "succeeded");
    write_metadata(body, &line->checkout);
    json_close_object(body);
}

static void name_line(char text[SIM_REF_SIZE], const sim_settlement_line_t *line)
{
    char ref[SIM_REF_SIZE];
    const bool charge = line->kind == SIM_CHARGE;
    sim_ref(ref, charge ? "txn" : "rfd", line->checkout.psp, line->serial);
    snprintf(text, SIM_REF_SIZE, "txn_%c%.50s", charge ? '1' : '3', ref + 3);
}

static void write_line(buf_t *body, const sim_settlement_line_t *line, bool expanded)
{
    char text[SIM_REF_SIZE], currency[4];
    const bool charge = line->kind == SIM_CHARGE;
    small(line->checkout.currency, currency);
    json_open_object(body, NULL);
    name_line(text, line);
    json_text(body, "id", text);
    json_text(body, "object", "balance_transaction");
    json_int(body, "amount", charge ? line->amount : -line->amount);
    json_int(body, "available_on", line->paid_us / second_us);
    json_text(body, "balance_type", "payments");
    json_int(body, "created", line->paid_us / second_us);
    json_text(body, "currency", currency);
    json_nil(body, "description");
    json_nil(body, "exchange_rate");
    json_int(body, "fee", line->fee);
    json_open_array(body, "fee_details");
    json_close_array(body);
    json_int(body, "net", charge ? line->amount - line->fee : -line->amount);
    json_text(body, "reporting_category", charge ? "charge" : "refund");
    if (!charge) {
        json_text(body, "source", sim_ref(text, "rfd", line->checkout.psp, line->serial));
    } else if (expanded) {
        write_charge(body, line, currency);
    } else {
        name_intent(text, "ch", &line->checkout, line->serial);
        json_text(body, "source", text);
    }
    json_text(body, "status", "available");
    json_text(body, "type", charge ? "charge" : "refund");
    json_close_object(body);
}

/* A number of the query; `missing` when it is not there, -1 when it is no number. */
static int64_t query_number(const http_request_t *request, const char *name, int64_t missing)
{
    char text[24], *end;
    const int found = http_query(request, name, text, sizeof text);
    if (found <= 0)
        return found == 0 ? missing : -1;
    const int64_t value = strtoll(text, &end, 10);
    return text[0] != '\0' && *end == '\0' ? value : -1;
}

enum { LIMIT_MAX = 100, LIMIT = 10 };

/* How many lines there are up to the one named `after`, with it; false: there is none. */
static bool place_of(sim_call_t *call, int64_t from_us, int64_t before_us, const char *after,
                     sim_settlement_line_t lines[LIMIT_MAX + 1], size_t *place)
{
    char id[SIM_REF_SIZE];
    size_t count = LIMIT_MAX;
    for (*place = 0; count == LIMIT_MAX;) {
        count = sim_settlement_lines(call, from_us, before_us, *place, lines, LIMIT_MAX);
        for (size_t i = 0; i < count; i++) {
            name_line(id, &lines[i]);
            (*place)++;
            if (strcmp(id, after) == 0)
                return true;
        }
    }
    return false;
}

static void write_lines(sim_call_t *call, const sim_settlement_line_t *lines, size_t count,
                        size_t limit, bool expanded)
{
    buf_t *body = &call->body;
    call->status = 200;
    json_open_object(body, NULL);
    json_text(body, "object", "list");
    json_open_array(body, "data");
    for (size_t i = 0; i < count && i < limit; i++)
        write_line(body, &lines[i], expanded);
    json_close_array(body);
    json_bool(body, "has_more", count > limit);
    json_text(body, "url", "/v1/balance_transactions");
    json_close_object(body);
}

/* Oldest first, unlike Stripe's, so that what is added meanwhile comes last; 10 unless more are
 * asked for. Payouts are not made here: asked for those of one, there are none. */
static void balance_list(http_request_t *request)
{
    static const int64_t latest_s = INT64_C(253402300800); /* the year 10000 */
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_READ)) {
        char payout[SIM_REF_SIZE] = "", after[SIM_REF_SIZE] = "", expand[24] = "";
        const int64_t from_s = query_number(request, "created[gte]", 0);
        const int64_t before_s = query_number(request, "created[lt]", latest_s);
        const int64_t limit = query_number(request, "limit", LIMIT);
        size_t skip = 0;
        sim_settlement_line_t *lines = calloc(LIMIT_MAX + 1, sizeof *lines);
        CHECK(lines);
        (void)http_query(request, "payout", payout, sizeof payout);
        (void)http_query(request, "starting_after", after, sizeof after);
        (void)http_query(request, "expand[0]", expand, sizeof expand);
        if (from_s < 0 || from_s > latest_s || before_s < 0 || before_s > latest_s || limit < 1 ||
            limit > LIMIT_MAX)
            sim_call_refuse(&call, 400, "Invalid created or limit");
        else if (after[0] &&
                 !place_of(&call, from_s * second_us, before_s * second_us, after, lines, &skip))
            sim_call_refuse(&call, 400, "No such balance transaction");
        else
            write_lines(&call, lines,
                        payout[0]
                            ? 0
                            : sim_settlement_lines(&call, from_s * second_us, before_s * second_us,
                                                   skip, lines, (size_t)limit + 1),
                        (size_t)limit, strcmp(expand, "data.source") == 0);
        free(lines);
    }
    sim_call_end(&call);
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
        write_refund(body, "object", &subject->refund);
    else
        write_intent(body, "object", checkout, sim_charge_of(event, checkout),
                     intent_status(checkout));
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
    {"POST", "/v1/checkout/sessions", session_create, BODY_MAX_BYTES},
    {"GET", "/v1/checkout/sessions/{id}", session_fetch, 0},
    {"POST", "/v1/payment_intents", intent_create, BODY_MAX_BYTES},
    {"GET", "/v1/payment_intents/search", intent_search, 0},
    {"GET", "/v1/payment_intents/{id}", intent_fetch, 0},
    {"POST", "/v1/payment_intents/{id}/capture", intent_capture, BODY_MAX_BYTES},
    {"POST", "/v1/payment_intents/{id}/cancel", intent_cancel, BODY_MAX_BYTES},
    {"POST", "/v1/refunds", refund_create, BODY_MAX_BYTES},
    {"GET", "/v1/refunds", refund_list, 0},
    {"GET", "/v1/refunds/{id}", refund_fetch, 0},
    {"GET", "/v1/balance_transactions", balance_list, 0},
    {"GET", "/v1/events", empty_list, 0},
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
