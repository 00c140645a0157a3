/* wire_juspay.c - Juspay's API and webhooks: sessions, orders, refunds. Formats: juspay.io/in/docs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/form.h"
#include "lib/payment/money.h"
#include "services/psp_sim/sim_wire.h"

enum { BODY_MAX_BYTES = 64 * 1024, REFUNDS_MAX = 64, UDFS = 10 };

static void write_error(int status, const char *words, buf_t *body)
{
    json_open_object(body, NULL);
    json_text(body, "status",
              status == 404   ? "NOT_FOUND"
              : status == 401 ? "UNAUTHORIZED"
              : status >= 500 ? "INTERNAL_ERROR"
                              : "Bad Request");
    json_text(body, "error_code",
              status == 404   ? "RESOURCE_NOT_FOUND"
              : status == 401 ? "access_denied"
                              : "invalid_request");
    json_text(body, "error_message", words);
    json_close_object(body);
}

/* The API key is the user; with or without the colon that Basic asks for. */
static bool authorized(const http_request_t *request, const psp_account_t *account)
{
    char with[600], without[600];
    const char *given = http_header(request, "Authorization");
    return given && (strcmp(given, sim_basic(account->key_secret, "", with)) == 0 ||
                     strcmp(given, sim_basic(account->key_secret, NULL, without)) == 0);
}

/* ---- entities ---- */

static void write_refunds(buf_t *body, sim_t *self, const sim_checkout_t *checkout,
                          const sim_refund_t *only)
{
    sim_refund_t refunds[REFUNDS_MAX];
    size_t count = self ? sim_refunds_of(self->bank, checkout, refunds, REFUNDS_MAX) : 0;
    char text[SIM_REF_SIZE], at[RFC3339_SIZE];
    if (only) {
        refunds[0] = *only;
        count = 1;
    }
    json_open_array(body, "refunds");
    for (size_t i = 0; i < count; i++) {
        const sim_refund_t *refund = &refunds[i];
        json_open_object(body, NULL);
        json_text(body, "unique_request_id", refund->reference);
        json_text(body, "ref", sim_ref(text, "rfd", refund->psp, refund->serial));
        json_text(body, "id", text);
        sim_write_decimal(body, "amount", refund->amount, refund->currency);
        json_text(body, "created", rfc3339_format(refund->at_us / 1000000 * 1000000, at));
        json_text(body, "status",
                  refund->state == SIM_REFUND_DONE      ? "SUCCESS"
                  : refund->state == SIM_REFUND_PENDING ? "PENDING"
                                                        : "FAILURE");
        json_text(body, "error_code", "");
        json_text(body, "error_message", refund->state == SIM_REFUND_FAILED ? refund->error : "");
        json_text(body, "initiated_by", "API");
        json_close_object(body);
    }
    json_close_array(body);
}

/* udf1 to udf10 in their places, whether there or not, and what metadata there are. */
static void write_notes(buf_t *body, const char *notes)
{
    json_t *given = sim_notes_read(notes);
    const json_t *metadata = json_object_get(given, "metadata");
    for (unsigned i = 1; i <= UDFS; i++) {
        char name[8];
        snprintf(name, sizeof name, "udf%u", i);
        str_t value = json_read_str(given, name);
        json_str(body, name, value.data ? value : str_of(""));
    }
    char *text = metadata ? json_dumps(metadata, JSON_COMPACT) : NULL;
    sim_notes_write(body, "metadata", text, "{}");
    free(text);
    json_decref(given);
}

/* As the status call answers it and webhooks carry it. */
static void write_order(buf_t *body, const char *key, sim_t *self, const sim_checkout_t *checkout,
                        uint64_t serial, const sim_refund_t *only)
{
    char text[SIM_REF_SIZE], txn_id[160], at[RFC3339_SIZE];
    const bool paid = checkout->state == SIM_PAID, failed = checkout->state == SIM_FAILED;
    const char *status = paid ? "CHARGED" : failed ? "AUTHENTICATION_FAILED" : "NEW";
    const int64_t refunded = self                                     ? sim_refunded(self, checkout)
                             : only && only->state == SIM_REFUND_DONE ? only->amount
                                                                      : 0;
    json_open_object(body, key);
    json_text(body, "order_id", checkout->reference);
    json_text(body, "id", sim_ref(text, "chk", checkout->psp, checkout->serial));
    json_text(body, "merchant_id", "simulated");
    json_text(body, "customer_id", "c1");
    sim_write_decimal(body, "amount",
                      checkout->state == SIM_PENDING ? checkout->amount : checkout->outcome_amount,
                      checkout->currency);
    json_text(body, "currency", checkout->currency);
    json_text(body, "status", status);
    json_int(body, "status_id", paid ? 21 : failed ? 26 : 10);
    json_text(body, "date_created", rfc3339_format(clock_wall_us() / 1000000 * 1000000, at));
    json_bool(body, "refunded", paid && refunded >= checkout->outcome_amount);
    if (refunded > 0)
        sim_write_decimal(body, "amount_refunded", refunded, checkout->currency);
    else
        json_int(body, "amount_refunded", 0);
    write_notes(body, checkout->notes);
    if (checkout->state != SIM_PENDING) {
        snprintf(txn_id, sizeof txn_id, "simulated-%s-1", checkout->reference);
        json_text(body, "txn_id", txn_id);
        json_text(body, "txn_uuid", sim_ref(text, "txn", checkout->psp, serial));
        json_int(body, "gateway_id", 2);
        json_open_object(body, "txn_detail");
        json_text(body, "txn_id", txn_id);
        json_text(body, "txn_uuid", text);
        json_text(body, "status", status);
        json_text(body, "error_code", failed ? "AUTHENTICATION_FAILED" : "");
        json_text(body, "error_message", failed ? "the customer did not approve it" : "");
        json_text(body, "created", rfc3339_format(checkout->outcome_at_us / 1000000 * 1000000, at));
        json_close_object(body);
        json_open_object(body, "payment_gateway_response");
        json_text(body, "rrn", "512345678901");
        json_text(body, "resp_code", paid ? "SUCCESS" : "FAILURE");
        json_text(body, "epg_txn_id", text);
        json_text(body, "created", at);
        json_close_object(body);
    }
    if (paid)
        write_refunds(body, self, checkout, only);
    json_close_object(body);
}

static void write_links(buf_t *body, const sim_t *self, const sim_checkout_t *checkout)
{
    char url[600], at[RFC3339_SIZE];
    sim_checkout_url(self, checkout, url, sizeof url);
    json_open_object(body, "payment_links");
    json_text(body, "web", url);
    json_text(body, "iframe", url);
    json_text(body, "mobile", url);
    json_text(body, "expiry", rfc3339_format(checkout->expires_at_us / 1000000 * 1000000, at));
    json_close_object(body);
}

/* ---- calls ---- */

static uuid_t parsed(const char *text)
{
    uuid_t id;
    if (!uuid_parse(text, strlen(text), &id))
        memset(&id, 0, sizeof id);
    return id;
}

/* Fields "udf1" to "udf10", and "metadata", an object or spelt out: "metadata.KEY". */
static void read_notes(sim_call_t *call)
{
    json_t *given, *metadata = json_object(), *value;
    const char *name;
    str_t form = call->json ? (str_t){NULL, 0} : call->request->body;
    form_field_t field;
    buf_t udfs = {0};
    sim_notes_of_udfs(call->json, form, UDFS, &udfs);
    given = udfs.data ? sim_notes_read(udfs.data) : json_object();
    json_object_update(metadata, json_object_get(call->json, "metadata"));
    json_object_foreach(call->json, name, value)
    {
        if (strncmp(name, "metadata.", 9) == 0)
            json_object_set(metadata, name + 9, value);
    }
    while (form_next(&form, &field)) {
        buf_t whole = {0}, text = {0};
        form_decode(field.name, &whole);
        form_decode(field.value, &text);
        if (whole.size > 9 && memcmp(whole.data, "metadata.", 9) == 0)
            json_object_set_new(metadata, whole.data + 9,
                                json_stringn(text.size ? text.data : "", text.size));
        buf_free(&whole);
        buf_free(&text);
    }
    if (json_object_size(metadata) > 0)
        json_object_set(given, "metadata", metadata);
    char *text = json_object_size(given) > 0 ? json_dumps(given, JSON_COMPACT) : NULL;
    if (text)
        buf_add_text(&call->notes, text);
    free(text);
    buf_free(&udfs);
    json_decref(metadata);
    json_decref(given);
}

static void session_create(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_juspay, SIM_CALL_OPEN)) {
        sim_checkout_t checkout = {.method = "UPI",
                                   .currency = "INR",
                                   .expires_at_us = clock_wall_us() + INT64_C(900000000)};
        str_t reference = json_read_str(call.json, "order_id"),
              currency = json_read_str(call.json, "currency");
        char return_url[SIM_URL_SIZE], udf2[64], text[SIM_REF_SIZE];
        read_notes(&call);
        checkout.notes = call.notes.data;
        checkout.order_id = parsed(str_copy(json_read_str(call.json, "udf2"), udf2, sizeof udf2));
        str_copy(reference, checkout.reference, sizeof checkout.reference);
        str_copy(json_read_str(call.json, "return_url"), return_url, sizeof return_url);
        if (currency_known(currency))
            str_copy(currency, checkout.currency, sizeof checkout.currency);
        if (reference.size == 0 || reference.size > 64)
            sim_call_refuse(&call, 400, "order_id is mandatory, up to 64 characters");
        else if (!sim_read_decimal(request->body, "amount", checkout.currency, &checkout.amount))
            sim_call_refuse(&call, 400, "amount is invalid");
        else if (sim_call_open(&call, &checkout, "", return_url)) {
            call.status = 200;
            json_open_object(&call.body, NULL);
            json_text(&call.body, "status", "NEW");
            json_text(&call.body, "id", sim_ref(text, "chk", call.psp, checkout.serial));
            json_text(&call.body, "order_id", checkout.reference);
            write_links(&call.body, call.self, &checkout);
            json_open_object(&call.body, "sdk_payload");
            json_text(&call.body, "requestId", text);
            json_text(&call.body, "service", "in.juspay.hyperpay");
            json_close_object(&call.body);
            json_close_object(&call.body);
        } else if (call.status == 409) {
            sim_call_refuse(&call, 400, "the order exists already, with other content");
        }
    }
    sim_call_end(&call);
}

static void order_create(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_juspay, SIM_CALL_OPEN)) {
        sim_checkout_t checkout = {.method = "UPI",
                                   .currency = "INR",
                                   .expires_at_us = clock_wall_us() + INT64_C(900000000)};
        char amount[64], currency[8], return_url[SIM_URL_SIZE], udf2[64], text[SIM_REF_SIZE];
        (void)form_copy(request->body, "order_id", checkout.reference, sizeof checkout.reference);
        (void)form_copy(request->body, "amount", amount, sizeof amount);
        (void)form_copy(request->body, "return_url", return_url, sizeof return_url);
        (void)form_copy(request->body, "udf2", udf2, sizeof udf2);
        checkout.order_id = parsed(udf2);
        read_notes(&call);
        checkout.notes = call.notes.data;
        if (form_copy(request->body, "currency", currency, sizeof currency) &&
            currency_known(str_of(currency)))
            str_copy(str_of(currency), checkout.currency, sizeof checkout.currency);
        if (!checkout.reference[0] ||
            !amount_parse(str_of(amount), checkout.currency, &checkout.amount))
            sim_call_refuse(&call, 400, "order_id or amount is invalid");
        else if (sim_call_open(&call, &checkout, "", return_url)) {
            call.status = 200;
            json_open_object(&call.body, NULL);
            json_text(&call.body, "status", "CREATED");
            json_int(&call.body, "status_id", 1);
            json_text(&call.body, "id", sim_ref(text, "chk", call.psp, checkout.serial));
            json_text(&call.body, "order_id", checkout.reference);
            write_links(&call.body, call.self, &checkout);
            json_close_object(&call.body);
        } else if (call.status == 409) {
            sim_call_refuse(&call, 400, "the order exists already, with other content");
        }
    }
    sim_call_end(&call);
}

static bool find(sim_call_t *call, sim_checkout_t *checkout)
{
    char reference[SIM_REFERENCE_SIZE];
    str_copy(call->request->params[0], reference, sizeof reference);
    if (sim_call_find_or_sample(call, reference, checkout))
        return true;
    sim_call_refuse(call, 404, "Order not found");
    return false;
}

static void order_fetch(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_juspay, SIM_CALL_READ) && find(&call, &checkout)) {
        call.status = 200;
        write_order(&call.body, NULL, call.self, &checkout, checkout.outcome_serial, NULL);
    }
    sim_call_end(&call);
}

static void order_refund(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_juspay, SIM_CALL_REFUND) &&
        find(&call, &checkout)) {
        char reference[SIM_REFERENCE_SIZE], decimal[64];
        int64_t amount;
        sim_refund_t refund;
        (void)form_copy(request->body, "unique_request_id", reference, sizeof reference);
        (void)form_copy(request->body, "amount", decimal, sizeof decimal);
        if (!amount_parse(str_of(decimal), checkout.currency, &amount)) {
            sim_call_refuse(&call, 400, "amount is invalid");
        } else if (sim_call_refund(&call, &checkout, reference, amount, &refund)) {
            call.status = 200;
            write_order(&call.body, NULL, call.self, &checkout, checkout.outcome_serial,
                        sim_is_sample(request->params[0]) ? &refund : NULL);
        }
    }
    sim_call_end(&call);
}

/* ---- webhooks ---- */

static bool write_webhook(const psp_account_t *account, const sim_event_t *event,
                          const sim_subject_t *subject, sim_message_t *message)
{
    const bool of_refund = !uuid_is_nil(&event->refund_id);
    const sim_checkout_t *checkout = &subject->checkout;
    char basic[600], secret[200], at[RFC3339_SIZE];
    buf_t *body = &message->body;
    if (event->kind != PSP_FACT_NONE && !of_refund)
        return false;
    json_open_object(body, NULL);
    json_text(body, "id", event->id);
    json_text(body, "date_created", rfc3339_format(event->at_us / 1000000 * 1000000, at));
    json_text(body, "event_name",
              of_refund ? (subject->refund.state == SIM_REFUND_DONE ? "ORDER_REFUNDED"
                                                                    : "ORDER_REFUND_FAILED")
              : checkout->state == SIM_PAID ? "ORDER_SUCCEEDED"
                                            : "ORDER_FAILED");
    json_open_object(body, "content");
    write_order(body, "order", NULL, checkout, sim_charge_of(event, checkout),
                of_refund ? &subject->refund : NULL);
    json_close_object(body);
    json_close_object(body);
    str_copy(sim_first_secret(account), secret, sizeof secret);
    sim_message_header(message, "Authorization: %.240s", sim_basic(secret, NULL, basic));
    return true;
}

static const http_route_t routes[] = {
    {"POST", "/session", session_create, BODY_MAX_BYTES},
    {"POST", "/orders", order_create, BODY_MAX_BYTES},
    {"GET", "/orders/{id}", order_fetch, 0},
    {"POST", "/orders/{id}/refunds", order_refund, BODY_MAX_BYTES},
    {NULL, NULL, NULL, 0},
};

const sim_wire_t sim_wire_juspay = {
    .psp_index = PSP_INDEX_juspay,
    .hosts = {"sandbox.juspay.in", "api.juspay.in"},
    .routes = routes,
    .write_error = write_error,
    .authorized = authorized,
    .write_webhook = write_webhook,
};
