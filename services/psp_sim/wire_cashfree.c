/* wire_cashfree.c - Cashfree's API and webhooks: orders, their payments and refunds, settlements.
 * Formats: cashfree.com/docs/api-reference/payments, version 2025-01-01. Amounts are decimal
 * numbers.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/hmac.h"
#include "lib/payment/money.h"
#include "services/psp_sim/sim_settlement.h"

enum { REFUNDS_MAX = 64, BODY_MAX_BYTES = 64 * 1024 };

static void write_error(int status, const char *words, buf_t *body)
{
    json_open_object(body, NULL);
    json_text(body, "message", words);
    json_text(body, "help", "Check latest errors and resolution from Merchant Dashboard API logs");
    json_text(body, "code",
              status == 404   ? "order_not_found"
              : status == 409 ? "order_already_exists"
                              : "request_failed");
    json_text(body, "type",
              status == 401   ? "authentication_error"
              : status >= 500 ? "api_error"
              : status == 429 ? "rate_limit_error"
                              : "invalid_request_error");
    json_close_object(body);
}

static bool authorized(const http_request_t *request, const psp_account_t *account)
{
    const char *id = http_header(request, "x-client-id"),
               *secret = http_header(request, "x-client-secret");
    return id && secret && strcmp(id, account->key_id) == 0 &&
           strcmp(secret, account->key_secret) == 0;
}

/* ---- entities ---- */

static void write_customer(buf_t *body, const char *key)
{
    json_open_object(body, key);
    json_nil(body, "customer_name");
    json_text(body, "customer_id", "c1");
    json_text(body, "customer_email", "customer@example.com");
    json_text(body, "customer_phone", "9999999999");
    json_close_object(body);
}

static void write_order(buf_t *body, const sim_checkout_t *checkout, const char *return_url)
{
    char text[SIM_REF_SIZE];
    buf_t session = {0};
    const bool paid = checkout->state > SIM_FAILED,
               expired = checkout->expires_at_us <= clock_wall_us();
    sim_ref(text, "chk", checkout->psp, checkout->serial);
    json_open_object(body, NULL);
    json_text(body, "cf_order_id", text);
    json_text(body, "order_id", checkout->reference);
    json_text(body, "entity", "order");
    json_text(body, "order_currency", checkout->currency);
    sim_write_decimal(body, "order_amount", checkout->amount, checkout->currency);
    json_text(body, "order_status", paid ? "PAID" : expired ? "EXPIRED" : "ACTIVE");
    buf_printf(&session, "session_%s", text);
    json_text(body, "payment_session_id", session.data);
    buf_free(&session);
    sim_write_ist(body, "order_expiry_time", checkout->expires_at_us);
    if (checkout->manual_capture)
        json_text(body, "order_note", "preauth_transaction");
    else
        json_nil(body, "order_note");
    sim_write_ist(body, "created_at", clock_wall_us());
    json_nil(body, "order_splits");
    write_customer(body, "customer_details");
    json_open_object(body, "order_meta");
    json_text(body, "return_url", return_url);
    json_nil(body, "notify_url");
    json_nil(body, "payment_methods");
    json_close_object(body);
    sim_notes_write(body, "order_tags", checkout->notes, "null");
    json_close_object(body);
}

/* What was made of an authorisation; nothing yet: null. */
static void write_authorization(buf_t *body, const sim_checkout_t *checkout)
{
    if (!checkout->manual_capture || checkout->state < SIM_PAID ||
        checkout->state == SIM_AUTHORIZED) {
        json_nil(body, "authorization");
        return;
    }
    json_open_object(body, "authorization");
    json_text(body, "action", checkout->state == SIM_PAID ? "CAPTURE" : "VOID");
    json_text(body, "status", "SUCCESS");
    sim_write_decimal(body, "captured_amount",
                      checkout->state == SIM_PAID ? checkout->outcome_amount : 0,
                      checkout->currency);
    json_nil(body, "start_time");
    json_nil(body, "end_time");
    json_nil(body, "approve_by");
    sim_write_ist(body, "action_time", checkout->outcome_at_us);
    json_close_object(body);
}

/* What a payment says of itself, wherever it stands; a webhook says nothing of capture. */
static void write_payment(buf_t *body, const char *key, const sim_checkout_t *checkout,
                          uint64_t serial, bool of_webhook)
{
    char text[SIM_REF_SIZE];
    const bool paid = checkout->state > SIM_FAILED;
    json_open_object(body, key);
    json_text(body, "cf_payment_id", sim_ref(text, "txn", checkout->psp, serial));
    json_text(body, "order_id", checkout->reference);
    json_text(body, "entity", "payment");
    json_text(body, "payment_status",
              checkout->state == SIM_VOIDED ? "VOID"
              : paid                        ? "SUCCESS"
                                            : "FAILED");
    sim_write_decimal(body, "payment_amount", checkout->outcome_amount, checkout->currency);
    sim_write_decimal(body, "order_amount", checkout->amount, checkout->currency);
    json_text(body, "payment_currency", checkout->currency);
    json_text(body, "payment_message",
              !paid                      ? "ZM::INVALID MPIN"
              : checkout->manual_capture ? "PRE_AUTH|Transaction Success"
                                         : "00::Transaction success");
    sim_write_ist(body, "payment_time", checkout->outcome_at_us);
    sim_write_ist(body, "payment_completion_time", checkout->outcome_at_us);
    if (!of_webhook) {
        json_bool(body, "is_captured", checkout->state == SIM_PAID);
        write_authorization(body, checkout);
    }
    json_text(body, "bank_reference", "234928698581");
    json_nil(body, "auth_id");
    json_open_object(body, "payment_method");
    json_open_object(body, "upi");
    json_text(body, "channel", "collect");
    json_text(body, "upi_id", "customer@upi");
    json_close_object(body);
    json_close_object(body);
    json_text(body, "payment_group", "upi");
    if (!paid) {
        json_open_object(body, "error_details");
        json_text(body, "error_code", "TRANSACTION_DECLINED");
        json_text(body, "error_description", "Invalid PIN");
        json_text(body, "error_reason", "incorrect_pin");
        json_text(body, "error_source", "customer");
        json_close_object(body);
    }
    json_close_object(body);
}

static void write_refund(buf_t *body, const char *key, const sim_refund_t *refund,
                         const char *order)
{
    char text[SIM_REF_SIZE];
    json_open_object(body, key);
    json_text(body, "cf_payment_id", refund->charge_ref);
    json_text(body, "cf_refund_id", sim_ref(text, "rfd", refund->psp, refund->serial));
    json_text(body, "order_id", order);
    json_text(body, "refund_id", refund->reference);
    json_text(body, "entity", "refund");
    sim_write_decimal(body, "refund_amount", refund->amount, refund->currency);
    json_text(body, "refund_currency", refund->currency);
    json_text(body, "refund_note", refund->reason);
    json_text(body, "refund_status",
              refund->state == SIM_REFUND_DONE      ? "SUCCESS"
              : refund->state == SIM_REFUND_PENDING ? "PENDING"
                                                    : "CANCELLED");
    json_text(body, "refund_arn", "205907014017");
    json_text(body, "status_description",
              refund->state == SIM_REFUND_FAILED ? refund->error : "In Progress");
    sim_write_ist(body, "created_at", refund->at_us);
    sim_write_ist(body, "processed_at", refund->at_us);
    json_int(body, "refund_charge", 0);
    json_text(body, "refund_mode", "STANDARD");
    json_text(body, "refund_type", "MERCHANT_INITIATED");
    json_close_object(body);
}

/* ---- calls ---- */

static bool find(sim_call_t *call, sim_checkout_t *checkout)
{
    char reference[SIM_REFERENCE_SIZE];
    str_copy(call->request->params[0], reference, sizeof reference);
    if (sim_call_find_or_sample(call, reference, checkout))
        return true;
    sim_call_refuse(call, 404, "Order Reference Id does not exist");
    return false;
}

static uuid_t tag(const json_t *root, const char *key)
{
    uuid_t id;
    str_t text = json_read_str(json_object_get(root, "order_tags"), key);
    if (!text.data || !uuid_parse(text.data, text.size, &id))
        memset(&id, 0, sizeof id);
    return id;
}

/* An order_id is taken once; the same request again is known by its key alone. */
static bool is_taken(sim_call_t *call, const char *key, const char *reference)
{
    sim_checkout_t had;
    const uuid_t attempt_id = sim_id_of(key);
    return !sim_is_sample(str_of(reference)) && sim_call_find(call, reference, &had) &&
           !(key[0] && uuid_equal(&had.attempt_id, &attempt_id));
}

static void create(sim_call_t *call)
{
    const char *header = http_header(call->request, "x-idempotency-key");
    const char *key = header ? header : "";
    str_t reference = json_read_str(call->json, "order_id"),
          currency = json_read_str(call->json, "order_currency");
    str_t expiry = json_read_str(call->json, "order_expiry_time");
    const json_t *meta = json_object_get(call->json, "order_meta"),
                 *customer = json_object_get(call->json, "customer_details");
    sim_checkout_t checkout = {
        .method = "UPI",
        .order_id = tag(call->json, "order_id"),
        .expires_at_us = clock_wall_us() + INT64_C(2592000000000),
        .manual_capture = str_is(json_read_str(call->json, "order_note"), "preauth_transaction")};
    char return_url[SIM_URL_SIZE];
    sim_notes_of_json(call->json, "order_tags", &call->notes);
    checkout.notes = call->notes.data;
    str_copy(reference, checkout.reference, sizeof checkout.reference);
    str_copy(currency, checkout.currency, sizeof checkout.currency);
    str_copy(json_read_str(meta, "return_url"), return_url, sizeof return_url);
    if (reference.size < 3 || reference.size > 45)
        sim_call_refuse(call, 400, "order_id : should be of 3 to 45 characters");
    else if (!json_read_str(customer, "customer_id").data)
        sim_call_refuse(call, 400, "customer_details.customer_id : is missing in the request");
    else if (json_read_str(customer, "customer_phone").size < 10)
        sim_call_refuse(call, 400, "customer_details.customer_phone : invalid value provided");
    else if (!currency_known(currency))
        sim_call_refuse(call, 400, "order_currency : invalid value provided");
    else if (!sim_read_decimal(call->request->body, "order_amount", checkout.currency,
                               &checkout.amount))
        sim_call_refuse(call, 400, "order_amount : invalid value provided");
    else if (expiry.data && !rfc3339_parse(expiry.data, &checkout.expires_at_us))
        sim_call_refuse(call, 400, "order_expiry_time : invalid value provided");
    else if (is_taken(call, key, checkout.reference))
        sim_call_refuse(call, 409, "order with same id is already present");
    else if (sim_call_open(call, &checkout, key, return_url)) {
        call->status = 200;
        write_order(&call->body, &checkout, return_url);
    }
}

static void order_create(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_cashfree, SIM_CALL_OPEN))
        create(&call);
    sim_call_end(&call);
}

static void order_fetch(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_cashfree, SIM_CALL_READ) &&
        find(&call, &checkout)) {
        call.status = 200;
        write_order(&call.body, &checkout, "");
    }
    sim_call_end(&call);
}

static void order_payments(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_cashfree, SIM_CALL_READ) &&
        find(&call, &checkout)) {
        call.status = 200;
        json_open_array(&call.body, NULL);
        if (checkout.state != SIM_PENDING)
            write_payment(&call.body, NULL, &checkout, checkout.outcome_serial, false);
        json_close_array(&call.body);
    }
    sim_call_end(&call);
}

/* Captures (all of it) or voids what is authorised, once. */
static void order_authorization(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    int64_t amount = 0;
    if (sim_call_begin(&call, request, &sim_wire_cashfree, SIM_CALL_OPEN) &&
        find(&call, &checkout)) {
        str_t action = json_read_str(call.json, "action");
        const bool captures = str_is(action, "CAPTURE");
        if (!captures && !str_is(action, "VOID")) {
            sim_call_refuse(&call, 400, "action : invalid value provided");
        } else if (captures &&
                   !sim_read_decimal(request->body, "amount", checkout.currency, &amount)) {
            sim_call_refuse(&call, 400, "amount : invalid value provided");
        } else {
            const err_t err =
                sim_is_sample(request->params[0])
                    ? ERR_OK
                    : sim_conclude(call.self, call.psp, checkout.outcome_serial,
                                   captures ? SIM_PAID : SIM_VOIDED, amount, &checkout);
            if (err == ERR_OK) {
                call.status = 200;
                write_payment(&call.body, NULL, &checkout, checkout.outcome_serial, false);
            } else {
                sim_call_refuse(&call, err == ERR_STORE_UNAVAILABLE ? 500 : 400,
                                "transaction is not in an authorised state");
            }
        }
    }
    sim_call_end(&call);
}

static void refund_create(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_cashfree, SIM_CALL_REFUND) &&
        find(&call, &checkout)) {
        sim_refund_t refund;
        int64_t amount;
        char reference[SIM_REFERENCE_SIZE];
        str_copy(json_read_str(call.json, "refund_id"), reference, sizeof reference);
        if (!sim_read_decimal(request->body, "refund_amount", checkout.currency, &amount)) {
            sim_call_refuse(&call, 400, "refund_amount : invalid value provided");
        } else if (sim_call_refund(&call, &checkout, reference, amount, &refund)) {
            call.status = 200;
            write_refund(&call.body, NULL, &refund, checkout.reference);
        }
    }
    sim_call_end(&call);
}

static void refund_fetch(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_cashfree, SIM_CALL_READ) &&
        find(&call, &checkout)) {
        sim_refund_t refund;
        char reference[SIM_REFERENCE_SIZE];
        str_copy(request->params[1], reference, sizeof reference);
        const uuid_t id = sim_id_of(reference);
        if (sim_refund_find(call.self->bank, call.psp, &id, 0, &refund) == ERR_OK &&
            refund.state != SIM_REFUND_REFUSED) {
            call.status = 200;
            write_refund(&call.body, NULL, &refund, checkout.reference);
        } else {
            sim_call_refuse(&call, 404, "Refund does not exist");
        }
    }
    sim_call_end(&call);
}

static void refund_list(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    if (sim_call_begin(&call, request, &sim_wire_cashfree, SIM_CALL_READ) &&
        find(&call, &checkout)) {
        sim_refund_t refunds[REFUNDS_MAX];
        const size_t count = sim_refunds_of(call.self->bank, &checkout, refunds, REFUNDS_MAX);
        call.status = 200;
        json_open_array(&call.body, NULL);
        for (size_t i = 0; i < count; i++)
            write_refund(&call.body, NULL, &refunds[i], checkout.reference);
        json_close_array(&call.body);
    }
    sim_call_end(&call);
}

/* ---- settlements ---- */

/* A line of a reconciliation: of a payment or a refund. */
static void write_event(buf_t *body, const sim_settlement_line_t *line)
{
    const char *currency = line->checkout.currency;
    const bool charge = line->kind == SIM_CHARGE;
    char text[SIM_REF_SIZE];
    json_open_object(body, NULL);
    json_text(body, "event_id",
              sim_ref(text, charge ? "txn" : "rfd", line->checkout.psp, line->serial));
    json_text(body, "entity", "recon");
    json_text(body, "event_type", charge ? "PAYMENT" : "REFUND");
    json_text(body, "sale_type", charge ? "CREDIT" : "DEBIT");
    json_text(body, "event_status", "SUCCESS");
    sim_write_ist(body, "event_time", line->at_us);
    sim_write_decimal(body, "event_settlement_amount", line->amount - line->fee, currency);
    sim_write_decimal(body, "event_amount", line->amount, currency);
    json_text(body, "event_currency", currency);
    json_text(body, "order_id", line->checkout.reference);
    sim_write_decimal(body, "order_amount", line->checkout.amount, currency);
    if (charge) {
        json_text(body, "cf_payment_id", text);
        sim_write_decimal(body, "payment_service_charge", line->fee, currency);
        json_int(body, "payment_service_tax", 0);
        json_nil(body, "refund_id");
    } else {
        json_text(body, "cf_payment_id", line->refund.charge_ref);
        json_nil(body, "payment_service_charge");
        json_nil(body, "payment_service_tax");
        json_text(body, "refund_id", line->refund.reference);
    }
    json_text(body, "cf_settlement_id", line->settlement + sizeof "setl_" - 1);
    sim_write_ist(body, "settlement_date", line->paid_us);
    json_text(body, "settlement_utr", line->utr);
    json_close_object(body);
}

/* What was settled of the lines, in the currency of the first: the others have their own. */
static void write_settlement(buf_t *body, const sim_settlement_line_t *lines, size_t count)
{
    const char *currency = lines[0].checkout.currency;
    int64_t collected = 0, fees = 0;
    for (size_t i = 0; i < count; i++)
        if (strcmp(lines[i].checkout.currency, currency) == 0 && lines[i].kind == SIM_CHARGE) {
            collected += lines[i].amount;
            fees += lines[i].fee;
        }
    json_open_object(body, NULL);
    json_text(body, "cf_settlement_id", lines[0].settlement + sizeof "setl_" - 1);
    json_text(body, "entity", "settlement");
    json_text(body, "settlement_type", "NORMAL_SETTLEMENT");
    json_text(body, "settlement_currency", currency);
    sim_write_decimal(body, "payment_amount", collected, currency);
    sim_write_decimal(body, "amount_settled", collected - fees, currency);
    sim_write_decimal(body, "service_charge", fees, currency);
    json_int(body, "service_tax", 0);
    json_text(body, "settlement_utr", lines[0].utr);
    json_text(body, "status", "SUCCESS");
    json_close_object(body);
}

enum { LINES_MAX = 1000, LIMIT = 10 };

/* The time of a filter; what is there must be one. */
static bool read_filter(const json_t *root, const char *name, int64_t *at_us)
{
    const json_t *filters = json_object_get(root, "filters");
    str_t text = json_read_str(filters, name);
    if (!json_object_get(filters, name))
        return true;
    return text.data && rfc3339_parse(text.data, at_us);
}

/* The page that is asked for. False: the error is the answer. */
static bool read_page(sim_call_t *call, int64_t *from_us, int64_t *through_us, size_t *limit,
                      size_t *skip)
{
    const json_t *page = json_object_get(call->json, "pagination");
    const json_t *wanted = json_object_get(page, "limit");
    str_t cursor = json_read_str(page, "cursor");
    char *end = NULL;
    *limit = LIMIT;
    *skip = cursor.size > 0 ? strtoul(cursor.data, &end, 10) : 0;
    *from_us = 0;
    *through_us = INT64_MAX - 1;
    if (json_is_integer(wanted) && json_integer_value(wanted) >= 1 &&
        json_integer_value(wanted) <= LINES_MAX)
        *limit = (size_t)json_integer_value(wanted);
    else if (wanted)
        *limit = 0;
    if (*limit > 0 && (!end || *end == '\0') && read_filter(call->json, "start_date", from_us) &&
        read_filter(call->json, "end_date", through_us))
        return true;
    sim_call_refuse(call, 400, "pagination or filters are invalid");
    return false;
}

/* `by_settlement`: their sums, one for each day; else the lines. */
static void answer_settlements(http_request_t *request, bool by_settlement)
{
    sim_call_t call;
    int64_t from_us, through_us;
    size_t limit, skip, count = 0;
    if (sim_call_begin(&call, request, &sim_wire_cashfree, SIM_CALL_READ) &&
        read_page(&call, &from_us, &through_us, &limit, &skip)) {
        buf_t *body = &call.body;
        const size_t room = by_settlement ? LINES_MAX : limit;
        sim_settlement_line_t *lines = calloc(room, sizeof *lines);
        CHECK(lines);
        count = sim_settlement_lines(&call, from_us, through_us + 1, skip, lines, room);
        call.status = 200;
        json_open_object(body, NULL);
        if (!by_settlement && count == limit) {
            char cursor[24];
            snprintf(cursor, sizeof cursor, "%zu", skip + count);
            json_text(body, "cursor", cursor);
        } else {
            json_nil(body, "cursor");
        }
        json_int(body, "limit", (int64_t)limit);
        json_open_array(body, "data");
        for (size_t i = 0, next; i < count; i = next) {
            next = i + 1;
            while (by_settlement && next < count &&
                   strcmp(lines[next].settlement, lines[i].settlement) == 0)
                next++;
            if (by_settlement)
                write_settlement(body, lines + i, next - i);
            else
                write_event(body, &lines[i]);
        }
        json_close_array(body);
        json_close_object(body);
        free(lines);
    }
    sim_call_end(&call);
}

static void settlements(http_request_t *request)
{
    answer_settlements(request, true);
}

/* By the day of the payment or of its settlement: that of the settlement, here. */
static void recon(http_request_t *request)
{
    answer_settlements(request, false);
}

/* In place of Cashfree's own script: it leads to the page here. The session is the digits of the
 * order. */
static void script(http_request_t *request)
{
    static const char text[] =
        "const Cashfree = () => ({ checkout: ({ paymentSessionId }) => {\n"
        "  const base = document.querySelector('script[src$=\"/js/v3/cashfree.js\"]').src;\n"
        "  location.href = base.replace('/js/v3/cashfree.js', '/pay/' + paymentSessionId);\n"
        "} });\n";
    http_respond(request, 200, "text/javascript", text, sizeof text - 1);
}

static void session_page(http_request_t *request)
{
    sim_t *self = request->self;
    const str_t id = request->params[0];
    uint64_t serial;
    sim_checkout_t checkout;
    char url[600];
    const psp_t *psp = psp_at(PSP_INDEX_cashfree);
    if (id.size > 8 && strncmp(id.data, "session_", 8) == 0 &&
        sim_ref_parse((str_t){id.data + 8, id.size - 8}, "chk", psp, &serial) &&
        sim_bank_find_serial(self->bank, serial, psp, &checkout) == ERR_OK) {
        sim_checkout_url(self, &checkout, url, sizeof url);
        http_add_header(request, "Location", url);
        http_respond(request, 303, "text/plain; charset=utf-8", NULL, 0);
    } else {
        http_respond_problem(request, ERR_NOT_FOUND, "there is no such session");
    }
}

/* ---- webhooks ---- */

static void write_data(buf_t *body, const sim_event_t *event, const sim_checkout_t *checkout)
{
    json_open_object(body, "data");
    json_open_object(body, "order");
    json_text(body, "order_id", checkout->reference);
    sim_write_decimal(body, "order_amount", checkout->amount, checkout->currency);
    json_text(body, "order_currency", checkout->currency);
    sim_notes_write(body, "order_tags", checkout->notes, "null");
    json_close_object(body);
    write_payment(body, "payment", checkout, sim_charge_of(event, checkout), true);
    write_customer(body, "customer_details");
    json_close_object(body);
}

static void sign(const psp_account_t *account, const sim_event_t *event, sim_message_t *message)
{
    buf_t text = {0};
    uint8_t digest[HMAC_SHA256_SIZE];
    unsigned char encoded[48];
    buf_printf(&text, "%lld", (long long)(clock_wall_us() / 1000));
    sim_message_header(message, "x-webhook-timestamp: %s", text.data);
    buf_add(&text, message->body.data, message->body.size);
    hmac_sha256(sim_first_secret(account), (str_t){text.data, (uint32_t)text.size}, digest);
    EVP_EncodeBlock(encoded, digest, sizeof digest);
    sim_message_header(message, "x-webhook-signature: %s", (const char *)encoded);
    sim_message_header(message, "x-webhook-version: 2025-01-01");
    sim_message_header(message, "x-webhook-attempt: 1");
    sim_message_header(message, "x-idempotency-key: %s", event->id);
    buf_free(&text);
}

static bool write_webhook(const psp_account_t *account, const sim_event_t *event,
                          const sim_subject_t *subject, sim_message_t *message)
{
    const bool of_refund = !uuid_is_nil(&event->refund_id);
    buf_t *body = &message->body;
    if (event->kind != PSP_FACT_NONE && !of_refund)
        return false;
    if (!of_refund && subject->checkout.manual_capture &&
        (subject->checkout.state == SIM_PAID || subject->checkout.state == SIM_VOIDED))
        return true; /* it is told to whoever asks */
    json_open_object(body, NULL);
    if (of_refund) {
        json_open_object(body, "data");
        write_refund(body, "refund", &subject->refund, subject->checkout.reference);
        json_close_object(body);
    } else {
        write_data(body, event, &subject->checkout);
    }
    sim_write_ist(body, "event_time", event->at_us);
    json_text(body, "type",
              of_refund                               ? "REFUND_STATUS_WEBHOOK"
              : subject->checkout.state != SIM_FAILED ? "PAYMENT_SUCCESS_WEBHOOK"
                                                      : "PAYMENT_FAILED_WEBHOOK");
    json_close_object(body);
    sign(account, event, message);
    return true;
}

static const http_route_t routes[] = {
    {"POST", "/pg/orders", order_create, BODY_MAX_BYTES},
    {"GET", "/pg/orders/{id}", order_fetch, 0},
    {"GET", "/pg/orders/{id}/payments", order_payments, 0},
    {"POST", "/pg/orders/{id}/authorization", order_authorization, BODY_MAX_BYTES},
    {"POST", "/pg/orders/{id}/refunds", refund_create, BODY_MAX_BYTES},
    {"GET", "/pg/orders/{id}/refunds", refund_list, 0},
    {"GET", "/pg/orders/{id}/refunds/{refund}", refund_fetch, 0},
    {"GET", "/js/v3/cashfree.js", script, 0},
    {"GET", "/pay/{session}", session_page, 0},
    {"POST", "/pg/settlements", settlements, BODY_MAX_BYTES},
    {"POST", "/pg/settlement/recon", recon, BODY_MAX_BYTES},
    {"POST", "/pg/recon", recon, BODY_MAX_BYTES},
    {NULL, NULL, NULL, 0},
};

const sim_wire_t sim_wire_cashfree = {
    .psp_index = PSP_INDEX_cashfree,
    .hosts = {"sandbox.cashfree.com", "api.cashfree.com"},
    .routes = routes,
    .write_error = write_error,
    .authorized = authorized,
    .write_webhook = write_webhook,
};
