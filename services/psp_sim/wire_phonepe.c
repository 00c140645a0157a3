/* wire_phonepe.c - PhonePe's API (v2) and webhooks: tokens, checkouts, refunds.
 * Formats: developer.phonepe.com, Standard Checkout v2.
 */
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/form.h"
#include "lib/sha256.h"
#include "services/psp_sim/sim_wire.h"

enum { BODY_MAX_BYTES = 64 * 1024, TOKEN_LIVES_S = 3600 };
static const char token[] = "simulated-access-token";

static void write_error(int status, const char *words, buf_t *body)
{
    json_open_object(body, NULL);
    json_bool(body, "success", false);
    json_text(body, "code",
              status == 401   ? "AUTHORIZATION_FAILED"
              : status == 404 ? "ORDER_NOT_FOUND"
              : status >= 500 ? "INTERNAL_SERVER_ERROR"
                              : "BAD_REQUEST");
    json_text(body, "message", words);
    json_close_object(body);
}

static bool authorized(const http_request_t *request, const psp_account_t *account)
{
    char expected[128];
    const char *given = http_header(request, "Authorization");
    (void)account; /* whose keys got the token */
    snprintf(expected, sizeof expected, "O-Bearer %s", token);
    return given && strcmp(given, expected) == 0;
}

static void token_get(http_request_t *request)
{
    sim_call_t call;
    char id[129], secret[129], grant[64];
    (void)sim_call_begin(&call, request, &sim_wire_phonepe, SIM_CALL_READ);
    call.status = 0; /* whoever asks has no token yet */
    buf_clear(&call.body);
    const bool known = call.account && form_copy(request->body, "client_id", id, sizeof id) &&
                       form_copy(request->body, "client_secret", secret, sizeof secret) &&
                       form_copy(request->body, "grant_type", grant, sizeof grant) &&
                       strcmp(grant, "client_credentials") == 0;
    const char *host = http_header(request, "Host");
    const bool by_name = host && strstr(host, "phonepe.com") != NULL;
    if (!known || (!by_name && (strcmp(id, call.account->key_id) != 0 ||
                                strcmp(secret, call.account->key_secret) != 0))) {
        sim_call_refuse(&call, 401, "client credentials are wrong");
    } else {
        const int64_t now_s = clock_wall_us() / 1000000;
        call.status = 200;
        json_open_object(&call.body, NULL);
        json_text(&call.body, "access_token", token);
        json_text(&call.body, "encrypted_access_token", token);
        json_int(&call.body, "expires_in", TOKEN_LIVES_S);
        json_int(&call.body, "issued_at", now_s);
        json_int(&call.body, "expires_at", now_s + TOKEN_LIVES_S);
        json_int(&call.body, "session_expires_at", now_s + TOKEN_LIVES_S);
        json_text(&call.body, "token_type", "O-Bearer");
        json_close_object(&call.body);
    }
    sim_call_end(&call);
}

/* ---- entities ---- */

static const char *state_of(const sim_checkout_t *checkout)
{
    return checkout->state == SIM_PAID     ? "COMPLETED"
           : checkout->state == SIM_FAILED ? "FAILED"
                                           : "PENDING";
}

static void write_details(buf_t *body, const sim_checkout_t *checkout, uint64_t serial)
{
    char text[SIM_REF_SIZE];
    json_open_array(body, "paymentDetails");
    if (checkout->state != SIM_PENDING) {
        json_open_object(body, NULL);
        json_text(body, "paymentMode", "UPI_QR");
        json_text(body, "transactionId", sim_ref(text, "txn", checkout->psp, serial));
        json_int(body, "timestamp", checkout->outcome_at_us / 1000);
        json_int(body, "amount", checkout->outcome_amount);
        json_text(body, "state", state_of(checkout));
        if (checkout->state == SIM_FAILED) {
            json_text(body, "errorCode", "AUTHORIZATION_ERROR");
            json_text(body, "detailedErrorCode", "ZM");
        }
        json_close_object(body);
    }
    json_close_array(body);
}

/* What status answers and webhooks have in common. */
static void write_order(buf_t *body, const sim_checkout_t *checkout, uint64_t serial)
{
    char text[SIM_REF_SIZE];
    json_text(body, "orderId", sim_ref(text, "chk", checkout->psp, checkout->serial));
    json_text(body, "state", state_of(checkout));
    json_int(body, "amount",
             checkout->state == SIM_PENDING ? checkout->amount : checkout->outcome_amount);
    json_int(body, "expireAt", checkout->expires_at_us / 1000);
    if (checkout->state == SIM_FAILED) {
        json_text(body, "errorCode", "AUTHORIZATION_ERROR");
        json_text(body, "detailedErrorCode", "ZM");
    }
    if (checkout->notes)
        sim_notes_write(body, "metaInfo", checkout->notes, "{}");
    write_details(body, checkout, serial);
}

static const char *refund_state(const sim_refund_t *refund)
{
    return refund->state == SIM_REFUND_DONE      ? "COMPLETED"
           : refund->state == SIM_REFUND_PENDING ? "PENDING"
                                                 : "FAILED";
}

static void write_refund(buf_t *body, const sim_refund_t *refund, const char *order)
{
    char text[SIM_REF_SIZE];
    json_text(body, "merchantId", "SIMULATED");
    json_text(body, "merchantRefundId", refund->reference);
    json_text(body, "originalMerchantOrderId", order);
    json_text(body, "refundId", sim_ref(text, "rfd", refund->psp, refund->serial));
    json_int(body, "amount", refund->amount);
    json_text(body, "state", refund_state(refund));
    json_int(body, "timestamp", refund->at_us / 1000);
    if (refund->state == SIM_REFUND_FAILED)
        json_text(body, "errorCode", "REFUND_FAILED");
    json_open_array(body, "paymentDetails");
    json_close_array(body);
}

/* ---- calls ---- */

static uuid_t udf(const json_t *root, const char *key)
{
    uuid_t id;
    str_t text = json_read_str(json_object_get(root, "metaInfo"), key);
    if (!text.data || !uuid_parse(text.data, text.size, &id))
        memset(&id, 0, sizeof id);
    return id;
}

static void pay(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_phonepe, SIM_CALL_OPEN)) {
        const json_t *flow = json_object_get(call.json, "paymentFlow"),
                     *after = json_object_get(call.json, "expireAfter");
        str_t reference = json_read_str(call.json, "merchantOrderId");
        sim_checkout_t checkout = {
            .method = "UPI", .currency = "INR", .order_id = udf(call.json, "udf2")};
        char return_url[SIM_URL_SIZE], url[600], text[SIM_REF_SIZE];
        sim_notes_of_json(call.json, "metaInfo", &call.notes);
        checkout.notes = call.notes.data;
        const int64_t lives_s = json_is_integer(after) ? json_integer_value(after) : 1200;
        checkout.expires_at_us = clock_wall_us() + lives_s * 1000000;
        str_copy(reference, checkout.reference, sizeof checkout.reference);
        str_copy(json_read_str(json_object_get(flow, "merchantUrls"), "redirectUrl"), return_url,
                 sizeof return_url);
        if (reference.size == 0 || reference.size > 63)
            sim_call_refuse(&call, 400, "merchantOrderId is invalid");
        else if (!sim_read_amount(call.json, "amount", &checkout.amount) || checkout.amount < 100)
            sim_call_refuse(&call, 400, "amount must be at least 100 paisa");
        else if (lives_s < 300 || lives_s > 3600)
            sim_call_refuse(&call, 400, "expireAfter must be between 300 and 3600");
        else if (sim_call_open(&call, &checkout, "", return_url)) {
            sim_checkout_url(call.self, &checkout, url, sizeof url);
            call.status = 200;
            json_open_object(&call.body, NULL);
            json_text(&call.body, "orderId", sim_ref(text, "chk", call.psp, checkout.serial));
            json_text(&call.body, "state", "PENDING");
            json_int(&call.body, "expireAt", checkout.expires_at_us / 1000);
            json_text(&call.body, "redirectUrl", url);
            json_close_object(&call.body);
        }
    }
    sim_call_end(&call);
}

static void order_status(http_request_t *request)
{
    sim_call_t call;
    sim_checkout_t checkout;
    char reference[SIM_REFERENCE_SIZE];
    str_copy(request->params[0], reference, sizeof reference);
    if (sim_call_begin(&call, request, &sim_wire_phonepe, SIM_CALL_READ)) {
        if (!sim_call_find_or_sample(&call, reference, &checkout)) {
            sim_call_refuse(&call, 404, "No entry found for given merchant order id");
        } else {
            call.status = 200;
            json_open_object(&call.body, NULL);
            write_order(&call.body, &checkout, checkout.outcome_serial);
            json_close_object(&call.body);
        }
    }
    sim_call_end(&call);
}

static void refund(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_phonepe, SIM_CALL_REFUND)) {
        sim_checkout_t checkout;
        sim_refund_t made;
        int64_t amount;
        char order[SIM_REFERENCE_SIZE], reference[SIM_REFERENCE_SIZE], text[SIM_REF_SIZE];
        str_copy(json_read_str(call.json, "originalMerchantOrderId"), order, sizeof order);
        str_copy(json_read_str(call.json, "merchantRefundId"), reference, sizeof reference);
        if (!sim_call_find_or_sample(&call, order, &checkout)) {
            sim_call_refuse(&call, 404, "No entry found for given merchant order id");
        } else if (!sim_read_amount(call.json, "amount", &amount)) {
            sim_call_refuse(&call, 400, "amount is invalid");
        } else if (sim_call_refund(&call, &checkout, reference, amount, &made)) {
            call.status = 200;
            json_open_object(&call.body, NULL);
            json_text(&call.body, "refundId", sim_ref(text, "rfd", call.psp, made.serial));
            json_int(&call.body, "amount", made.amount);
            json_text(&call.body, "state", made.state == SIM_REFUND_DONE ? "COMPLETED" : "PENDING");
            json_close_object(&call.body);
        }
    }
    sim_call_end(&call);
}

static void refund_status(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_phonepe, SIM_CALL_READ)) {
        sim_refund_t found;
        sim_checkout_t checkout;
        char reference[SIM_REFERENCE_SIZE];
        str_copy(request->params[0], reference, sizeof reference);
        const uuid_t id = sim_id_of(reference);
        bool known = sim_refund_find(call.self->bank, call.psp, &id, 0, &found) == ERR_OK &&
                     found.state != SIM_REFUND_REFUSED &&
                     sim_bank_find_serial(call.self->bank, found.checkout_serial, call.psp,
                                          &checkout) == ERR_OK;
        if (sim_is_sample(request->params[0])) {
            checkout = sim_sample(PSP_INDEX_phonepe);
            known = sim_call_refund(&call, &checkout, reference, 100, &found);
        }
        if (known) {
            call.status = 200;
            json_open_object(&call.body, NULL);
            write_refund(&call.body, &found, checkout.reference);
            json_close_object(&call.body);
        } else {
            sim_call_refuse(&call, 404, "No entry found for given merchant refund id");
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
    buf_t *body = &message->body;
    uint8_t digest[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    if (event->kind != PSP_FACT_NONE && !of_refund)
        return false;
    json_open_object(body, NULL);
    json_text(body, "event",
              of_refund ? (subject->refund.state == SIM_REFUND_DONE ? "pg.refund.completed"
                                                                    : "pg.refund.failed")
              : checkout->state == SIM_PAID ? "checkout.order.completed"
                                            : "checkout.order.failed");
    json_open_object(body, "payload");
    if (of_refund) {
        write_refund(body, &subject->refund, checkout->reference);
    } else {
        json_text(body, "merchantId", "SIMULATED");
        json_text(body, "merchantOrderId", checkout->reference);
        write_order(body, checkout, sim_charge_of(event, checkout));
    }
    json_close_object(body);
    json_close_object(body);
    const str_t secret = sim_first_secret(account);
    sha256(&secret, 1, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    sim_message_header(message, "Authorization: %s", hex);
    return true;
}

/* Under /phonepe as it is, and as the real hosts have it. */
#define ROUTES(base)                                                     \
    {"POST", base "/v1/oauth/token", token_get, BODY_MAX_BYTES},         \
        {"POST", base "/checkout/v2/pay", pay, BODY_MAX_BYTES},          \
        {"GET", base "/checkout/v2/order/{id}/status", order_status, 0}, \
        {"POST", base "/payments/v2/refund", refund, BODY_MAX_BYTES},    \
    {                                                                    \
        "GET", base "/payments/v2/refund/{id}/status", refund_status, 0  \
    }
static const http_route_t routes[] = {
    ROUTES(""),
    ROUTES("/apis/pg-sandbox"),
    ROUTES("/apis/pg"),
    {"POST", "/apis/identity-manager/v1/oauth/token", token_get, BODY_MAX_BYTES},
    {NULL, NULL, NULL, 0},
};

const sim_wire_t sim_wire_phonepe = {
    .psp_index = PSP_INDEX_phonepe,
    .hosts = {"api-preprod.phonepe.com", "api.phonepe.com"},
    .routes = routes,
    .write_error = write_error,
    .authorized = authorized,
    .write_webhook = write_webhook,
};
