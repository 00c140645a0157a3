/* wire_razorpay.c - Razorpay's API and webhooks: orders, payment links, payments, refunds. Formats:
 * razorpay.com/docs/api. wire_razorpay_order.c has the page of an order and the
 * capture by hand, wire_razorpay_settlements.c the settlement report.
 *
 * An order and a payment link are one checkout here: order_… and plink_… have the same digits. Two
 * orders may have one receipt; a link is alone with its reference_id, by which links are listed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/hmac.h"
#include "lib/payment/money.h"
#include "services/psp_sim/wire_razorpay.h"

enum { REFUNDS_MAX = 64, BODY_MAX_BYTES = 64 * 1024, FEE_PERCENT = 2 };
static const int64_t second_us = 1000000;

static void write_error(int status, const char *words, buf_t *body)
{
    json_open_object(body, NULL);
    json_open_object(body, "error");
    json_text(body, "code", status < 500 ? "BAD_REQUEST_ERROR" : "SERVER_ERROR");
    json_text(body, "description", words);
    json_text(body, "source", status < 500 ? "business" : "NA");
    json_text(body, "step", "NA");
    json_text(body, "reason", status < 500 ? "input_validation_failed" : "NA");
    json_open_object(body, "metadata");
    json_close_object(body);
    json_close_object(body);
    json_close_object(body);
}

static bool authorized(const http_request_t *request, const psp_account_t *account)
{
    char expected[600];
    const char *given = http_header(request, "Authorization");
    return given && strcmp(given, sim_basic(account->key_id, account->key_secret, expected)) == 0;
}

/* ---- entities ---- */

void wire_razorpay_name(char text[SIM_REF_SIZE], const char *kind, uint64_t serial)
{
    sim_ref(text, kind, psp_at(PSP_INDEX_razorpay), serial);
}

/* "plink_…" of the digits of "order_…". */
static void name_link(char text[SIM_REF_SIZE], uint64_t serial)
{
    char order[SIM_REF_SIZE];
    wire_razorpay_name(order, "chk", serial);
    snprintf(text, SIM_REF_SIZE, "plink_%.32s", order + sizeof "order_" - 1);
}

void wire_razorpay_write_payment(buf_t *body, const char *key, const sim_checkout_t *checkout,
                                 uint64_t serial, int64_t given_back)
{
    char text[SIM_REF_SIZE];
    const bool paid = checkout->state == SIM_PAID;
    const bool good = checkout->state != SIM_FAILED;
    const int64_t fee = checkout->outcome_amount * FEE_PERCENT / 100;
    if (checkout->state == SIM_VOIDED)
        given_back = checkout->outcome_amount; /* it was not captured in time */
    wire_razorpay_name(text, "txn", serial);
    json_open_object(body, key);
    json_text(body, "id", text);
    json_text(body, "entity", "payment");
    json_int(body, "amount", checkout->outcome_amount);
    json_text(body, "currency", checkout->currency);
    json_text(body, "status",
              !good                                    ? "failed"
              : checkout->state == SIM_AUTHORIZED      ? "authorized"
              : given_back >= checkout->outcome_amount ? "refunded"
                                                       : "captured");
    wire_razorpay_name(text, "chk", checkout->serial);
    json_text(body, "order_id", text);
    json_nil(body, "invoice_id");
    json_bool(body, "international", false);
    json_text(body, "method", "upi");
    json_int(body, "amount_refunded", given_back);
    if (given_back == 0)
        json_nil(body, "refund_status");
    else
        json_text(body, "refund_status",
                  given_back < checkout->outcome_amount ? "partial" : "full");
    json_bool(body, "captured", paid);
    json_text(body, "description", checkout->reference);
    json_nil(body, "card_id");
    json_nil(body, "bank");
    json_nil(body, "wallet");
    json_text(body, "vpa", "customer@upi");
    json_text(body, "email", "customer@example.com");
    json_text(body, "contact", "+919999999999");
    sim_notes_write(body, "notes", sim_payment_notes(checkout), "[]");
    if (paid) {
        json_int(body, "fee", fee);
        json_int(body, "tax", 0);
    } else {
        json_nil(body, "fee");
        json_nil(body, "tax");
    }
    json_text(body, "error_code", good ? "" : "BAD_REQUEST_ERROR");
    json_text(body, "error_description", good ? "" : "Payment failed");
    json_open_object(body, "acquirer_data");
    json_text(body, "rrn", "512345678901");
    json_close_object(body);
    json_int(body, "created_at", checkout->outcome_at_us / second_us);
    json_close_object(body);
}

static void write_order(buf_t *body, const sim_checkout_t *checkout)
{
    char text[SIM_REF_SIZE];
    const bool paid = checkout->state == SIM_PAID;
    wire_razorpay_name(text, "chk", checkout->serial);
    json_open_object(body, NULL);
    json_text(body, "id", text);
    json_text(body, "entity", "order");
    json_int(body, "amount", checkout->amount);
    json_int(body, "amount_paid", paid ? checkout->outcome_amount : 0);
    json_int(body, "amount_due", paid ? 0 : checkout->amount);
    json_text(body, "currency", checkout->currency);
    if (checkout->nameless)
        json_nil(body, "receipt");
    else
        json_text(body, "receipt", checkout->reference);
    json_nil(body, "offer_id");
    json_text(body, "status",
              paid                             ? "paid"
              : checkout->state != SIM_PENDING ? "attempted"
                                               : "created");
    json_int(body, "attempts", checkout->state != SIM_PENDING);
    sim_notes_write(body, "notes", checkout->notes, "[]");
    json_int(body, "created_at", clock_wall_us() / second_us);
    json_close_object(body);
}

static void write_link(buf_t *body, const sim_t *self, const sim_checkout_t *checkout,
                       const char *callback)
{
    char text[SIM_REF_SIZE], url[600];
    const bool paid = checkout->state == SIM_PAID;
    const bool expired = !paid && checkout->expires_at_us <= clock_wall_us();
    name_link(text, checkout->serial);
    sim_checkout_url(self, checkout, url, sizeof url);
    json_open_object(body, NULL);
    json_bool(body, "accept_partial", false);
    json_int(body, "amount", checkout->amount);
    json_int(body, "amount_paid", paid ? checkout->outcome_amount : 0);
    json_text(body, "callback_method", callback[0] ? "get" : "");
    json_text(body, "callback_url", callback);
    json_int(body, "cancelled_at", 0);
    json_int(body, "created_at", clock_wall_us() / second_us);
    json_text(body, "currency", checkout->currency);
    json_int(body, "expire_by", checkout->expires_at_us / second_us);
    json_int(body, "expired_at", expired ? checkout->expires_at_us / second_us : 0);
    json_text(body, "id", text);
    sim_notes_write(body, "notes", checkout->notes, "[]");
    wire_razorpay_name(text, "chk", checkout->serial);
    json_text(body, "order_id", text);
    json_open_array(body, "payments");
    if (checkout->state != SIM_PENDING) {
        json_open_object(body, NULL);
        json_int(body, "amount", checkout->outcome_amount);
        json_int(body, "created_at", checkout->outcome_at_us / second_us);
        json_text(body, "method", "upi");
        wire_razorpay_name(text, "txn", checkout->outcome_serial);
        json_text(body, "payment_id", text);
        json_text(body, "status", paid ? "captured" : "failed");
        json_close_object(body);
    }
    json_close_array(body);
    json_text(body, "reference_id", checkout->nameless ? "" : checkout->reference);
    json_text(body, "short_url", url);
    json_text(body, "status", paid ? "paid" : expired ? "expired" : "created");
    json_int(body, "updated_at", clock_wall_us() / second_us);
    json_bool(body, "upi_link", false);
    json_text(body, "user_id", "");
    json_close_object(body);
}

static void write_refund(buf_t *body, const char *key, const sim_refund_t *refund)
{
    char text[SIM_REF_SIZE];
    wire_razorpay_name(text, "rfd", refund->serial);
    json_open_object(body, key);
    json_text(body, "id", text);
    json_text(body, "entity", "refund");
    json_int(body, "amount", refund->amount);
    json_text(body, "currency", refund->currency);
    json_text(body, "payment_id", refund->charge_ref);
    sim_notes_write(body, "notes", refund->notes, "[]");
    if (refund->reference[0])
        json_text(body, "receipt", refund->reference);
    else
        json_nil(body, "receipt");
    json_open_object(body, "acquirer_data");
    json_nil(body, "arn");
    json_close_object(body);
    json_int(body, "created_at", refund->at_us / second_us);
    json_nil(body, "batch_id");
    json_text(body, "status",
              refund->state == SIM_REFUND_DONE      ? "processed"
              : refund->state == SIM_REFUND_PENDING ? "pending"
                                                    : "failed");
    json_text(body, "speed_processed", "normal");
    json_text(body, "speed_requested", "normal");
    json_close_object(body);
}

bool wire_razorpay_find(sim_call_t *call, str_t id, const char *kind, sim_checkout_t *checkout)
{
    uint64_t serial;
    char order[SIM_REF_SIZE];
    const bool is_link = id.size > 6 && strncmp(id.data, "plink_", 6) == 0;
    if (is_link)
        snprintf(order, sizeof order, "order_%.*s", (int)(id.size - 6), id.data + 6);
    if (sim_is_sample(id)) {
        *checkout = sim_sample(PSP_INDEX_razorpay);
        return true;
    }
    if (sim_ref_parse(is_link ? str_of(order) : id, kind, call->psp, &serial) &&
        sim_bank_find_serial(call->self->bank, serial, call->psp, checkout) == ERR_OK)
        return true;
    sim_call_refuse(call, 400, "The id provided does not exist");
    return false;
}

/* ---- orders and links ---- */

static uuid_t note(const json_t *root, const char *key)
{
    uuid_t id;
    str_t text = json_read_str(json_object_get(root, "notes"), key);
    if (!text.data || !uuid_parse(text.data, text.size, &id))
        memset(&id, 0, sizeof id);
    return id;
}

/* As many as Razorpay takes. */
static bool read_notes(sim_call_t *call)
{
    static const sim_notes_limits_t limits = {.pairs = 15, .name = 256, .value = 256};
    sim_notes_of_json(call->json, "notes", &call->notes);
    return sim_call_notes_fit(call, &limits, 400,
                              "notes may have up to 15 pairs of up to 256 characters each");
}

/* What an order and a link have in common; false: the error is the answer. */
static bool read_checkout(sim_call_t *call, const char *reference_key, sim_checkout_t *checkout)
{
    str_t currency = json_read_str(call->json, "currency"),
          reference = json_read_str(call->json, reference_key);
    *checkout = (sim_checkout_t){.method = "UPI", .order_id = note(call->json, "order_id")};
    if (!read_notes(call))
        return false;
    checkout->notes = call->notes.data;
    if (!sim_read_amount(call->json, "amount", &checkout->amount)) {
        sim_call_refuse(call, 400, "The amount must be an integer.");
        return false;
    }
    if (!currency_known(currency)) {
        sim_call_refuse(call, 400, "Currency is not supported");
        return false;
    }
    if (reference.size > 40) {
        sim_call_refuse(call, 400, "The receipt may not be greater than 40 characters.");
        return false;
    }
    str_copy(currency, checkout->currency, sizeof checkout->currency);
    if (reference.size > 0) {
        str_copy(reference, checkout->reference, sizeof checkout->reference);
    } else { /* each is another one */
        const uuid_t fresh = uuid7_new();
        (void)uuid_format(&fresh, checkout->reference);
        checkout->nameless = true;
    }
    return true;
}

static void order_create(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_razorpay, SIM_CALL_OPEN) &&
        read_checkout(&call, "receipt", &checkout)) {
        const uuid_t fresh = uuid7_new(); /* a receipt may repeat: each is another order */
        char key[UUID_TEXT_SIZE];
        checkout.expires_at_us = clock_wall_us() + INT64_C(86400000000);
        checkout.shares_reference = true;
        checkout.manual_capture =
            str_is(json_read_str(json_object_get(call.json, "payment"), "capture"), "manual");
        if (sim_call_open(&call, &checkout, uuid_format(&fresh, key), "")) {
            call.status = 200;
            write_order(&call.body, &checkout);
        }
    }
    sim_call_end(&call);
}

static void order_payments(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_razorpay, SIM_CALL_READ) &&
        wire_razorpay_find(&call, request->params[0], "chk", &checkout)) {
        const bool any = checkout.state != SIM_PENDING;
        call.status = 200;
        json_open_object(&call.body, NULL);
        json_text(&call.body, "entity", "collection");
        json_int(&call.body, "count", any);
        json_open_array(&call.body, "items");
        if (any)
            wire_razorpay_write_payment(&call.body, NULL, &checkout, checkout.outcome_serial,
                                        sim_refunded(call.self, &checkout));
        json_close_array(&call.body);
        json_close_object(&call.body);
    }
    sim_call_end(&call);
}

static void order_fetch(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_razorpay, SIM_CALL_READ) &&
        wire_razorpay_find(&call, request->params[0], "chk", &checkout)) {
        call.status = 200;
        write_order(&call.body, &checkout);
    }
    sim_call_end(&call);
}

static void link_create(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout, before;
    char callback[SIM_URL_SIZE] = "";
    if (sim_call_begin(&call, request, &sim_wire_razorpay, SIM_CALL_OPEN) &&
        read_checkout(&call, "reference_id", &checkout)) {
        const json_t *expire_by = json_object_get(call.json, "expire_by");
        const int64_t now_us = clock_wall_us();
        checkout.expires_at_us = json_is_integer(expire_by)
                                     ? json_integer_value(expire_by) * second_us
                                     : now_us + INT64_C(15552000000000);
        str_copy(json_read_str(call.json, "callback_url"), callback, sizeof callback);
        if (json_is_integer(expire_by) && checkout.expires_at_us < now_us + INT64_C(900000000))
            sim_call_refuse(&call, 400,
                            "expire_by should be at least 15 minutes after current time.");
        else if (!sim_is_sample(str_of(checkout.reference)) &&
                 sim_call_find(&call, checkout.reference, &before))
            call.status = 409; /* there are no idempotency keys: an equal request is a second one */
        else if (sim_call_open(&call, &checkout, "", callback)) {
            call.status = 200;
            write_link(&call.body, call.self, &checkout, callback);
        }
        if (call.status == 409)
            sim_call_refuse(&call, 400, "payment link with given reference_id already exists");
    }
    sim_call_end(&call);
}

static void link_fetch(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_razorpay, SIM_CALL_READ) &&
        wire_razorpay_find(&call, request->params[0], "chk", &checkout)) {
        call.status = 200;
        write_link(&call.body, call.self, &checkout, "");
    }
    sim_call_end(&call);
}

static void link_list(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    char reference[SIM_REFERENCE_SIZE] = "";
    if (sim_call_begin(&call, request, &sim_wire_razorpay, SIM_CALL_READ)) {
        (void)http_query(request, "reference_id", reference, sizeof reference);
        call.status = 200;
        json_open_object(&call.body, NULL);
        json_open_array(&call.body, "payment_links");
        if (sim_call_find(&call, reference, &checkout)) {
            buf_t link = {0};
            write_link(&link, call.self, &checkout, "");
            json_raw(&call.body, NULL, link.data, link.size);
            buf_free(&link);
        }
        json_close_array(&call.body);
        json_close_object(&call.body);
    }
    sim_call_end(&call);
}

/* ---- payments ---- */

static void payment_fetch(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    uuid_t id;
    if (uuid_parse(request->params[0].data, request->params[0].size, &id)) {
        sim_api_status(request); /* the prototype's call has this path, too */
        return;
    }
    if (sim_call_begin(&call, request, &sim_wire_razorpay, SIM_CALL_READ) &&
        wire_razorpay_find(&call, request->params[0], "txn", &checkout)) {
        call.status = 200;
        wire_razorpay_write_payment(&call.body, NULL, &checkout, checkout.outcome_serial,
                                    sim_refunded(call.self, &checkout));
    }
    sim_call_end(&call);
}

static void answer_refund(sim_call_t *call, const sim_refund_t *refund)
{
    if (call->status != 0)
        return;
    if (refund->state == SIM_REFUND_REFUSED) {
        sim_call_refuse(call, 400, refund->error);
        return;
    }
    call->status = 200;
    write_refund(&call->body, NULL, refund);
}

static void payment_refund(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_razorpay, SIM_CALL_REFUND) && read_notes(&call) &&
        wire_razorpay_find(&call, request->params[0], "txn", &checkout)) {
        const char *key = http_header(request, "X-Refund-Idempotency");
        str_t receipt = json_read_str(call.json, "receipt");
        sim_refund_t refund = {.payment_id = checkout.payment_id,
                               .order_id = checkout.order_id,
                               .serial = 1,
                               .at_us = clock_wall_us(),
                               .notes = call.notes.data};
        str_copy(receipt, refund.reference, sizeof refund.reference);
        refund.refund_id = key                   ? sim_id_of(key)
                           : refund.reference[0] ? sim_id_of(refund.reference)
                                                 : uuid7_new();
        str_copy(request->params[0], refund.charge_ref, sizeof refund.charge_ref);
        memcpy(refund.currency, checkout.currency, sizeof refund.currency);
        if (!json_object_get(call.json, "amount"))
            refund.amount = checkout.outcome_amount - sim_refunded(call.self, &checkout);
        else if (!sim_read_amount(call.json, "amount", &refund.amount))
            refund.amount = 0;
        if (refund.amount <= 0) {
            sim_call_refuse(&call, 400, "The amount must be atleast 1.");
        } else if (sim_is_sample(request->params[0])) {
            refund.state = SIM_REFUND_DONE;
            answer_refund(&call, &refund);
        } else {
            const err_t err = sim_call_give_back(&call, &refund);
            if (err == ERR_OK)
                answer_refund(&call, &refund);
            else
                sim_call_refuse(&call, err == ERR_STORE_UNAVAILABLE ? 500 : 400,
                                err == ERR_ID_CONFLICT
                                    ? "Different request body sent for the same Idempotency Header"
                                    : "The payment cannot be refunded");
        }
    }
    sim_call_end(&call);
}

static void refund_fetch(http_request_t *request)
{
    sim_call_t call;
    sim_refund_t refund;
    uint64_t serial;
    const str_t id = request->params[request->params[1].data ? 1 : 0];
    if (sim_call_begin(&call, request, &sim_wire_razorpay, SIM_CALL_READ)) {
        if (!sim_ref_parse(id, "rfd", call.psp, &serial) ||
            sim_refund_find(call.self->bank, call.psp, NULL, serial, &refund) != ERR_OK) {
            sim_call_refuse(&call, 400, "The id provided does not exist");
        } else {
            call.status = 200;
            write_refund(&call.body, NULL, &refund);
        }
    }
    sim_call_end(&call);
}

/* The refunds of a payment, those that failed left out. */
static void refund_list(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_razorpay, SIM_CALL_READ) &&
        wire_razorpay_find(&call, request->params[0], "txn", &checkout)) {
        sim_refund_t refunds[REFUNDS_MAX];
        const size_t count = sim_refunds_of(call.self->bank, &checkout, refunds, REFUNDS_MAX);
        call.status = 200;
        json_open_object(&call.body, NULL);
        json_text(&call.body, "entity", "collection");
        json_int(&call.body, "count", (int64_t)count);
        json_open_array(&call.body, "items");
        for (size_t i = 0; i < count; i++)
            write_refund(&call.body, NULL, &refunds[i]);
        json_close_array(&call.body);
        json_close_object(&call.body);
    }
    sim_call_end(&call);
}

/* ---- webhooks ---- */

static bool write_webhook(const psp_account_t *account, const sim_event_t *event,
                          const sim_subject_t *subject, sim_message_t *message)
{
    const sim_checkout_t *checkout = &subject->checkout;
    const bool of_refund = !uuid_is_nil(&event->refund_id);
    const uint64_t serial = sim_charge_of(event, checkout);
    const bool released = !of_refund && checkout->state == SIM_VOIDED;
    const char *name_of_event =
        of_refund
            ? (event->kind == PSP_FACT_REFUND_SUCCEEDED ? "refund.processed" : "refund.failed")
        : released                          ? "refund.processed"
        : checkout->state == SIM_PAID       ? "payment.captured"
        : checkout->state == SIM_AUTHORIZED ? "payment.authorized"
                                            : "payment.failed";
    if (event->kind != PSP_FACT_NONE && !of_refund)
        return false; /* disputes and settlements are told in the prototype's format */
    buf_t *body = &message->body;
    json_open_object(body, NULL);
    json_text(body, "entity", "event");
    json_text(body, "account_id", "acc_Simulator00001");
    json_text(body, "event", name_of_event);
    json_open_array(body, "contains");
    if (of_refund || released)
        json_text(body, NULL, "refund");
    json_text(body, NULL, "payment");
    json_close_array(body);
    json_open_object(body, "payload");
    if (of_refund || released) {
        json_open_object(body, "refund");
        if (of_refund)
            write_refund(body, "entity", &subject->refund);
        else
            wire_razorpay_write_release(body, "entity", checkout);
        json_close_object(body);
    }
    json_open_object(body, "payment");
    wire_razorpay_write_payment(body, "entity", checkout, serial, of_refund ? event->amount : 0);
    json_close_object(body);
    json_close_object(body);
    json_int(body, "created_at", event->at_us / second_us);
    json_close_object(body);

    uint8_t digest[HMAC_SHA256_SIZE];
    char hex[2 * HMAC_SHA256_SIZE + 1];
    hmac_sha256(sim_first_secret(account), (str_t){body->data, (uint32_t)body->size}, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    sim_message_header(message, "X-Razorpay-Signature: %s", hex);
    sim_message_header(message, "X-Razorpay-Event-Id: %s", event->id);
    return true;
}

static const http_route_t routes[] = {
    {"POST", "/v1/orders", order_create, BODY_MAX_BYTES},
    {"GET", "/v1/orders/{id}", order_fetch, 0},
    {"GET", "/v1/orders/{id}/payments", order_payments, 0},
    {"POST", "/v1/payment_links", link_create, BODY_MAX_BYTES},
    {"GET", "/v1/payment_links", link_list, 0},
    {"GET", "/v1/payment_links/{id}", link_fetch, 0},
    {"GET", "/v1/payments/{id}", payment_fetch, 0},
    {"POST", "/v1/payments/{id}/capture", wire_razorpay_capture, BODY_MAX_BYTES},
    {"POST", "/v1/payments/{id}/refund", payment_refund, BODY_MAX_BYTES},
    {"GET", "/v1/payments/{id}/refunds", refund_list, 0},
    {"GET", "/v1/payments/{id}/refunds/{refund}", refund_fetch, 0},
    {"GET", "/v1/refunds/{id}", refund_fetch, 0},
    {"GET", "/v1/settlements/recon/combined", wire_razorpay_settlements, 0},
    {"GET", "/v1/checkout.js", wire_razorpay_script, 0},
    {"GET", "/pay/{order}", wire_razorpay_order_page, 0},
    {NULL, NULL, NULL, 0},
};

const sim_wire_t sim_wire_razorpay = {
    .psp_index = PSP_INDEX_razorpay,
    .hosts = {"api.razorpay.com"},
    .routes = routes,
    .write_error = write_error,
    .authorized = authorized,
    .write_webhook = write_webhook,
};
