/* wire_payu.c - PayU's payment form, its API and its webhooks. Formats: docs.payu.in.
 *
 * A checkout is opened by the customer's browser, which posts a form that the merchant hashed. The
 * API is one address with commands. Everything is in rupees, as decimals.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/form.h"
#include "lib/payment/money.h"
#include "services/psp_sim/sim_settlement.h"

enum {
    BODY_MAX_BYTES = 64 * 1024,
    REFUNDS_MAX = 64,
    SHA512_HEX_SIZE = 129,
    FIELD_SIZE = 256,
    UDFS = 5
};

static void write_error(int status, const char *words, buf_t *body)
{
    (void)status;
    json_open_object(body, NULL);
    json_int(body, "status", 0);
    json_text(body, "msg", words);
    json_close_object(body);
}

/* Whoever calls proves itself by the hash of each call. */
static bool authorized(const http_request_t *request, const psp_account_t *account)
{
    (void)request;
    (void)account;
    return true;
}

static void sha512_hex(const buf_t *text, char hex[SHA512_HEX_SIZE])
{
    unsigned char digest[64];
    CHECK(EVP_Digest(text->data, text->size, digest, NULL, EVP_sha512(), NULL) == 1);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void field(str_t form, const char *name, char value[FIELD_SIZE])
{
    (void)form_copy(form, name, value, FIELD_SIZE);
}

static void write_ist(char text[32], int64_t wall_us)
{
    struct tm tm;
    const time_t at = (time_t)(wall_us / 1000000 + 19800);
    CHECK(gmtime_r(&at, &tm));
    strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm);
}

/* ---- the form that the browser posts ---- */

static bool hash_fits(str_t form, const psp_account_t *account)
{
    static const char *const names[] = {"key",       "txnid", "amount", "productinfo",
                                        "firstname", "email", "udf1",   "udf2",
                                        "udf3",      "udf4",  "udf5"};
    buf_t text = {0};
    char expected[SHA512_HEX_SIZE], given[FIELD_SIZE];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)form_get(form, names[i], &text);
        buf_add(&text, "|", 1);
    }
    buf_printf(&text, "|||||%s", account->key_secret);
    sha512_hex(&text, expected);
    buf_free(&text);
    field(form, "hash", given);
    return strlen(given) == sizeof expected - 1 &&
           CRYPTO_memcmp(given, expected, sizeof expected - 1) == 0;
}

static void payment_form(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_payu, SIM_CALL_OPEN)) {
        char value[FIELD_SIZE], return_url[SIM_URL_SIZE] = "", url[600];
        sim_checkout_t checkout = {.method = "UPI",
                                   .currency = "INR",
                                   .expires_at_us = clock_wall_us() + INT64_C(1800000000)};
        field(request->body, "txnid", value);
        str_copy(str_of(value), checkout.reference, sizeof checkout.reference);
        sim_notes_of_udfs(NULL, request->body, UDFS, &call.notes);
        checkout.notes = call.notes.data;
        field(request->body, "udf2", value);
        if (!uuid_parse(value, strlen(value), &checkout.order_id))
            memset(&checkout.order_id, 0, sizeof checkout.order_id);
        (void)form_copy(request->body, "surl", return_url, sizeof return_url);
        field(request->body, "amount", value);
        if (!hash_fits(request->body, call.account)) {
            sim_call_refuse(&call, 400,
                            "Transaction failed due to incorrectly calculated hash parameter.");
        } else if (!checkout.reference[0] ||
                   !amount_parse(str_of(value), "INR", &checkout.amount)) {
            sim_call_refuse(&call, 400, "Mandatory parameters are missing");
        } else if (sim_call_open(&call, &checkout, "", return_url)) {
            sim_checkout_url(call.self, &checkout, url, sizeof url);
            http_add_header(request, "Location", url);
            call.status = 302;
        }
    }
    sim_call_end(&call);
}

/* ---- commands ---- */

static bool command_hash_fits(const sim_call_t *call, const char *command, const char *var1)
{
    buf_t text = {0};
    char key[FIELD_SIZE], given[FIELD_SIZE], expected[SHA512_HEX_SIZE];
    const char *host = http_header(call->request, "Host");
    field(call->request->body, "key", key);
    field(call->request->body, "hash", given);
    if (host && strstr(host, "payu.in")) /* an SDK that is pointed here has keys of its own */
        return strlen(given) == sizeof expected - 1;
    buf_printf(&text, "%s|%s|%s|%s", key, command, var1, call->account->key_secret);
    sha512_hex(&text, expected);
    buf_free(&text);
    return strcmp(key, call->account->key_id) == 0 && strlen(given) == sizeof expected - 1 &&
           CRYPTO_memcmp(given, expected, sizeof expected - 1) == 0;
}

static void write_transaction(buf_t *body, const sim_checkout_t *checkout)
{
    char text[SIM_REF_SIZE], amount[AMOUNT_TEXT_SIZE], at[32];
    const bool paid = checkout->state == SIM_PAID, pending = checkout->state == SIM_PENDING;
    amount_format(pending ? checkout->amount : checkout->outcome_amount, "INR", amount);
    write_ist(at, pending ? clock_wall_us() : checkout->outcome_at_us);
    json_open_object(body, checkout->reference);
    json_text(body, "mihpayid",
              sim_ref(text, pending ? "chk" : "txn", checkout->psp,
                      pending ? checkout->serial : checkout->outcome_serial));
    json_text(body, "request_id", "");
    json_text(body, "bank_ref_num", "512345678901");
    json_text(body, "amt", amount);
    json_text(body, "transaction_amount", amount);
    json_text(body, "txnid", checkout->reference);
    json_text(body, "additional_charges", "0.00");
    json_text(body, "productinfo", "Order");
    json_text(body, "firstname", "Customer");
    json_text(body, "bankcode", "UPI");
    for (unsigned i = 1; i <= UDFS; i++) {
        char name[8], *udf;
        snprintf(name, sizeof name, "udf%u", i);
        udf = sim_notes_text(checkout->notes, name);
        json_text(body, name, udf);
        free(udf);
    }
    json_text(body, "error_code", paid ? "E000" : pending ? "" : "E1605");
    json_text(body, "error_Message",
              paid      ? "NO ERROR"
              : pending ? ""
                        : "Transaction failed due to invalid PIN");
    json_text(body, "net_amount_debit", paid ? amount : "0.00");
    json_text(body, "disc", "0.00");
    json_text(body, "mode", "UPI");
    json_text(body, "PG_TYPE", "UPI-PG");
    json_text(body, "card_no", "");
    json_text(body, "addedon", at);
    json_text(body, "status", paid ? "success" : pending ? "pending" : "failure");
    json_text(body, "unmappedstatus", paid ? "captured" : pending ? "in progress" : "failed");
    json_nil(body, "Merchant_UTR");
    json_text(body, "Settled_At", "0000-00-00 00:00:00");
    json_close_object(body);
}

static void verify_payment(sim_call_t *call, const char *reference)
{
    sim_checkout_t checkout;
    const bool known = sim_call_find_or_sample(call, reference, &checkout);
    call->status = 200;
    json_open_object(&call->body, NULL);
    json_int(&call->body, "status", known);
    json_text(&call->body, "msg",
              known ? "1 out of 1 Transactions Fetched Successfully"
                    : "0 out of 1 Transactions Fetched Successfully");
    json_open_object(&call->body, "transaction_details");
    if (known) {
        write_transaction(&call->body, &checkout);
    } else {
        json_open_object(&call->body, reference);
        json_text(&call->body, "mihpayid", "Not Found");
        json_text(&call->body, "status", "Not Found");
        json_close_object(&call->body);
    }
    json_close_object(&call->body);
    json_close_object(&call->body);
}

static bool find_charge(sim_call_t *call, const char *mihpayid, sim_checkout_t *checkout)
{
    uint64_t serial;
    if (sim_is_sample(str_of(mihpayid))) {
        *checkout = sim_sample(PSP_INDEX_payu);
        return true;
    }
    if (!sim_ref_parse(str_of(mihpayid), "txn", call->psp, &serial) ||
        sim_bank_find_serial(call->self->bank, serial, call->psp, checkout) != ERR_OK)
        return false;
    if (serial == checkout->second_serial)
        checkout->outcome_serial = serial; /* the other charge is meant */
    return true;
}

static void cancel_refund(sim_call_t *call, const char *mihpayid)
{
    char token[FIELD_SIZE], decimal[FIELD_SIZE], text[SIM_REF_SIZE];
    sim_checkout_t checkout;
    sim_refund_t refund;
    int64_t amount;
    field(call->request->body, "var2", token);
    field(call->request->body, "var3", decimal);
    if (!find_charge(call, mihpayid, &checkout))
        sim_call_refuse(call, 200, "Invalid PayU ID");
    else if (!amount_parse(str_of(decimal), "INR", &amount))
        sim_call_refuse(call, 200, "Invalid amount");
    else if (sim_call_refund(call, &checkout, token, amount, &refund)) {
        call->status = 200;
        json_open_object(&call->body, NULL);
        json_int(&call->body, "status", 1);
        json_text(&call->body, "msg", "Refund Request Queued");
        json_text(&call->body, "request_id", sim_ref(text, "rfd", call->psp, refund.serial));
        json_text(&call->body, "bank_ref_num", "512345678901");
        json_text(&call->body, "mihpayid", mihpayid);
        json_int(&call->body, "error_code", 102);
        json_close_object(&call->body);
    } else if (call->status == 400) {
        call->status = 200; /* errors are answers, too */
    }
}

static void write_action(buf_t *body, const sim_refund_t *refund)
{
    char id[SIM_REF_SIZE], amount[AMOUNT_TEXT_SIZE], at[32];
    sim_ref(id, "rfd", refund->psp, refund->serial);
    write_ist(at, refund->at_us);
    json_open_object(body, id);
    json_text(body, "mihpayid", refund->charge_ref);
    json_text(body, "bank_ref_num", "512345678901");
    json_text(body, "request_id", id);
    json_text(body, "amt", amount_format(refund->amount, "INR", amount));
    json_text(body, "mode", "UPI");
    json_text(body, "action", "refund");
    json_text(body, "token", refund->reference);
    json_text(body, "status",
              refund->state == SIM_REFUND_DONE      ? "success"
              : refund->state == SIM_REFUND_PENDING ? "queued"
                                                    : "failure");
    json_text(body, "bankcode", "UPI");
    json_text(body, "settlement_id", "");
    json_text(body, "amount_settled", "0.00");
    json_text(body, "UTR_no", "");
    json_text(body, "value_date", at);
    json_close_object(body);
}

/* By the refund's request_id, or by the payment's mihpayid (var2 = payuid). */
static void check_action(sim_call_t *call, const char *id)
{
    sim_refund_t refunds[REFUNDS_MAX];
    sim_checkout_t checkout;
    uint64_t serial;
    size_t count = 0;
    if (sim_ref_parse(str_of(id), "rfd", call->psp, &serial) &&
        sim_refund_find(call->self->bank, call->psp, NULL, serial, &refunds[0]) == ERR_OK)
        count = 1;
    else if (find_charge(call, id, &checkout))
        count = sim_refunds_of(call->self->bank, &checkout, refunds, REFUNDS_MAX);
    call->status = 200;
    json_open_object(&call->body, NULL);
    json_int(&call->body, "status", count > 0);
    json_text(&call->body, "msg",
              count > 0 ? "1 out of 1 Transactions Fetched Successfully"
                        : "0 out of 1 Transactions Fetched Successfully");
    json_open_object(&call->body, "transaction_details");
    json_open_object(&call->body, id);
    for (size_t i = 0; i < count; i++)
        write_action(&call->body, &refunds[i]);
    if (count == 0)
        json_text(&call->body, "status", "No action status found");
    json_close_object(&call->body);
    json_close_object(&call->body);
    json_close_object(&call->body);
}

/* ---- settlements ---- */

/* As a text; what PayU takes back has a minus before it. */
static void write_rupees(buf_t *body, const char *name, const char *sign, int64_t amount)
{
    char text[AMOUNT_TEXT_SIZE], signed_text[AMOUNT_TEXT_SIZE + 1];
    snprintf(signed_text, sizeof signed_text, "%s%s", sign, amount_format(amount, "INR", text));
    json_text(body, name, signed_text);
}

static void write_settled(buf_t *body, const sim_settlement_line_t *line)
{
    const bool charge = line->kind == SIM_CHARGE;
    const psp_t *psp = line->checkout.psp;
    char text[SIM_REF_SIZE], at[32];
    json_open_object(body, NULL);
    json_text(body, "payuid",
              charge ? sim_ref(text, "txn", psp, line->serial) : line->refund.charge_ref);
    json_text(body, "txnid", line->checkout.reference);
    write_ist(at, line->checkout.outcome_at_us);
    json_text(body, "txndate", at);
    json_text(body, "mode", "UPI");
    write_rupees(body, "amount", "", charge ? line->amount : line->checkout.outcome_amount);
    json_text(body, "requestid", sim_ref(text, charge ? "dsp" : "rfd", psp, line->serial));
    write_ist(at, line->at_us);
    json_text(body, "requestdate", at);
    json_text(body, "requestaction", charge ? "capture" : "refund");
    write_rupees(body, "requestamount", "", line->amount);
    json_text(body, "mer_utr", line->utr);
    write_rupees(body, "mer_service_fee", "", line->fee);
    json_text(body, "mer_service_tax", "0.00000");
    write_rupees(body, "mer_net_amount", charge ? "" : "-", line->amount - line->fee);
    json_text(body, "bank_name", "UPI");
    json_nil(body, "issuing_bank");
    json_raw(body, "merchant_subvention_amount", "0.0", 3);
    json_text(body, "cgst", "0.00000");
    json_text(body, "igst", "0.00000");
    json_text(body, "sgst", "0.00000");
    json_text(body, "PG_TYPE", "UPI-PG");
    json_nil(body, "Card Type");
    json_nil(body, "token");
    json_close_object(body);
}

/* A number of the form between two; `missing` where it is not there, or empty. */
static bool form_number(const sim_call_t *call, const char *name, long most, long missing,
                        long *number)
{
    char text[FIELD_SIZE], *end;
    field(call->request->body, name, text);
    *number = missing;
    if (!text[0])
        return true;
    *number = strtol(text, &end, 10);
    return *end == '\0' && *number >= 1 && *number <= most;
}

/* Of a day; 2000 lines on a page unless fewer are asked for. */
static void settlements(sim_call_t *call, const char *day)
{
    enum { LINES_MAX = 2000, PAGES_MAX = 100000 };
    int year, month, of_month, used = 0;
    long page, size;
    int64_t from_us;
    if (sscanf(day, "%4d-%2d-%2d%n", &year, &month, &of_month, &used) != 3 || day[used] ||
        !sim_settlement_day(year, month, of_month, &from_us) ||
        !form_number(call, "var2", PAGES_MAX, 1, &page) ||
        !form_number(call, "var3", LINES_MAX, LINES_MAX, &size)) {
        sim_call_refuse(call, 200,
                        "Please check the date, which should be YYYY-MM-DD, and the page");
        return;
    }
    sim_settlement_line_t *lines = calloc((size_t)size, sizeof *lines);
    CHECK(lines);
    const size_t count = sim_settlement_lines(call, from_us, from_us + SIM_DAY_US,
                                              (size_t)((page - 1) * size), lines, (size_t)size);
    buf_t words = {0};
    buf_printf(&words, "%zu transactions settled on %s", count, day);
    call->status = 200;
    json_open_object(&call->body, NULL);
    json_int(&call->body, "status", 1);
    json_text(&call->body, "msg", words.data);
    json_open_array(&call->body, "Txn_details");
    for (size_t i = 0; i < count; i++)
        write_settled(&call->body, &lines[i]);
    json_close_array(&call->body);
    json_close_object(&call->body);
    buf_free(&words);
    free(lines);
}

static void command(http_request_t *request)
{
    sim_call_t call;
    char name[FIELD_SIZE], var1[FIELD_SIZE];
    field(request->body, "command", name);
    field(request->body, "var1", var1);
    const bool refunds = strcmp(name, "cancel_refund_transaction") == 0;
    if (sim_call_begin(&call, request, &sim_wire_payu, refunds ? SIM_CALL_REFUND : SIM_CALL_READ)) {
        if (!command_hash_fits(&call, name, var1)) {
            sim_call_refuse(&call, 200, "Invalid Hash.");
        } else if (strcmp(name, "verify_payment") == 0) {
            verify_payment(&call, var1);
        } else if (refunds) {
            cancel_refund(&call, var1);
        } else if (strcmp(name, "check_action_status") == 0) {
            check_action(&call, var1);
        } else if (strcmp(name, "get_settlement_details") == 0) {
            settlements(&call, var1);
        } else {
            sim_call_refuse(&call, 200, "Invalid Command.");
        }
    }
    sim_call_end(&call);
}

/* ---- webhooks ---- */

/* The udf fields, last first, as the hash has them. */
static void add_hash(const psp_account_t *account, const char *status, char *const udfs[UDFS],
                     const char *amount, const char *txnid, buf_t *form)
{
    buf_t text = {0};
    char hex[SHA512_HEX_SIZE];
    const str_t salt = sim_first_secret(account);
    buf_printf(&text, "%.*s|%s|||||", STR_ARG(salt), status);
    for (unsigned i = UDFS; i-- > 0;)
        buf_printf(&text, "|%s", udfs[i]);
    buf_printf(&text, "|%s|%s|%s|%s|%s|%s", "customer@example.com", "Customer", "Order", amount,
               txnid, account->key_id);
    sha512_hex(&text, hex);
    buf_free(&text);
    form_add(form, "hash", hex);
}

static void write_refund_webhook(const psp_account_t *account, const sim_subject_t *subject,
                                 buf_t *body)
{
    char id[SIM_REF_SIZE], amount[AMOUNT_TEXT_SIZE];
    const sim_refund_t *refund = &subject->refund;
    json_open_object(body, NULL);
    json_text(body, "action", "refund");
    json_text(body, "status", refund->state == SIM_REFUND_DONE ? "success" : "failure");
    json_text(body, "key", account->key_id);
    json_text(body, "amt", amount_format(refund->amount, "INR", amount));
    json_text(body, "token", refund->reference);
    json_text(body, "mihpayid", refund->charge_ref);
    json_text(body, "request_id", sim_ref(id, "rfd", refund->psp, refund->serial));
    json_text(body, "merchantTxnId", subject->checkout.reference);
    json_text(body, "bank_ref_num", "308239782136");
    json_text(body, "bank_arn", "308239782136");
    json_text(body, "refund_mode", "Back to source");
    json_nil(body, "remark");
    json_close_object(body);
}

static bool write_webhook(const psp_account_t *account, const sim_event_t *event,
                          const sim_subject_t *subject, sim_message_t *message)
{
    const sim_checkout_t *checkout = &subject->checkout;
    const bool paid = checkout->state == SIM_PAID;
    const char *status = paid ? "success" : "failure";
    char text[SIM_REF_SIZE], amount[AMOUNT_TEXT_SIZE], at[32], name[8], *udfs[UDFS];
    buf_t *form = &message->body;
    if (!uuid_is_nil(&event->refund_id)) {
        write_refund_webhook(account, subject, form);
        return true;
    }
    if (event->kind != PSP_FACT_NONE)
        return false;
    message->content_type = "application/x-www-form-urlencoded";
    amount_format(checkout->outcome_amount, "INR", amount);
    write_ist(at, checkout->outcome_at_us);
    form_add(form, "mihpayid", sim_ref(text, "txn", event->psp, sim_charge_of(event, checkout)));
    form_add(form, "mode", "UPI");
    form_add(form, "status", status);
    form_add(form, "unmappedstatus", paid ? "captured" : "failed");
    form_add(form, "key", account->key_id);
    form_add(form, "txnid", checkout->reference);
    form_add(form, "amount", amount);
    form_add(form, "addedon", at);
    form_add(form, "productinfo", "Order");
    form_add(form, "firstname", "Customer");
    form_add(form, "lastname", "");
    form_add(form, "email", "customer@example.com");
    form_add(form, "phone", "9999999999");
    for (unsigned i = 0; i < UDFS; i++) {
        snprintf(name, sizeof name, "udf%u", i + 1);
        udfs[i] = sim_notes_text(checkout->notes, name);
        form_add(form, name, udfs[i]);
    }
    form_add(form, "field9", paid ? "Success" : "Invalid PIN");
    form_add(form, "PG_TYPE", "UPI-PG");
    form_add(form, "bank_ref_num", "512345678901");
    form_add(form, "bankcode", "UPI");
    form_add(form, "error", paid ? "E000" : "E1605");
    form_add(form, "error_Message", paid ? "No Error" : "Transaction failed due to invalid PIN");
    form_add(form, "net_amount_debit", amount);
    add_hash(account, status, udfs, amount, checkout->reference, form);
    for (unsigned i = 0; i < UDFS; i++)
        free(udfs[i]);
    return true;
}

static const http_route_t routes[] = {
    {"POST", "/_payment", payment_form, BODY_MAX_BYTES},
    {"POST", "/merchant/postservice.php", command, BODY_MAX_BYTES},
    {NULL, NULL, NULL, 0},
};

const sim_wire_t sim_wire_payu = {
    .psp_index = PSP_INDEX_payu,
    .hosts = {"test.payu.in", "secure.payu.in", "info.payu.in"},
    .routes = routes,
    .write_error = write_error,
    .authorized = authorized,
    .write_webhook = write_webhook,
};
