/* cashfree.c - Cashfree: orders with a page of ours around its script, refunds, webhooks.
 *
 * A payment is an order, whose order_id is ours; one order may be tried several times. The
 * reference of its facts is the try (cf_payment_id), of a refund cf_refund_id. Amounts are decimal
 * JSON numbers, read as text. API version 2025-01-01: cashfree.com/docs/api-reference/payments.
 * Webhooks are signed with the client secret (lib/payment/signature/cashfree.c); what is repeated
 * is recognised by x-idempotency-key.
 *
 * Whether a payment is only authorised is the account's affair: Cashfree enables it, for cards (and
 * for UPI where the merchant's own page says so), and no field of an order asks for it but in the
 * sandbox, where order_note does. Its webhook looks like that of one that is paid; what tells them
 * apart is payment_message, which begins with PRE_AUTH. That it was captured or voided is told to
 * whoever asks. What is neither is released after 7 days.
 * Source: cashfree.com/docs/payments/features/pre-authorisation, …/api-reference/payments/
 * preauth-journey, and the npm package cashfree-pg 6.0.6 (AuthorizeOrderRequest).
 */
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/payment/money.h"
#include "lib/payment/psp/answers.h"
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp/fields.h"

#define API_VERSION "2025-01-01"
#define SIGNATURE_HEADER "x-webhook-signature"
#define EVENT_ID_HEADER "x-idempotency-key"
#define SCRIPT_HOST "https://sdk.cashfree.com"

enum {
    DAY_S = 86400,
    ORDER_LIVES_AT_LEAST_S = 930,
    PATH_SIZE = 96,
    TEXT_MIN_BYTES = 3, /* of a name, a note: what is shorter or longer is refused */
    TEXT_MAX_BYTES = 100,
    SESSION_MAX_BYTES = 2048, /* it goes into the page's script */
};
static const int64_t second_us = 1000000;

/* ---- fields ---- */

static err_t read_currency_of(const json_t *object, const char *name, char currency[4],
                              err_detail_t *detail)
{
    str_t text = json_read_str(object, name);
    if (!currency_known(text))
        return psp_malformed(detail, name, "must be an ISO 4217 code");
    str_copy(text, currency, 4);
    return ERR_OK;
}

/* A text, or (before version 2025-01-01) an integer. */
static err_t read_id(const json_t *object, const char *name, char value[PSP_REF_SIZE],
                     err_detail_t *detail)
{
    const json_t *number = json_object_get(object, name);
    if (!json_is_integer(number))
        return psp_read_reference(object, name, value, PSP_REF_SIZE, detail);
    snprintf(value, PSP_REF_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(number));
    return ERR_OK;
}

/* ---- requests ---- */

static void begin(const psp_account_t *account, const char *method, http_client_request_t *request)
{
    request->method = method;
    http_client_request_header(request, "x-client-id: %s", account->key_id);
    http_client_request_header(request, "x-client-secret: %s", account->key_secret);
    http_client_request_header(request, "x-api-version: " API_VERSION);
    if (strcmp(method, "POST") == 0)
        http_client_request_header(request, "Content-Type: application/json");
}

static void add_decimal(buf_t *body, const char *name, int64_t amount, const char *currency)
{
    char text[AMOUNT_TEXT_SIZE];
    amount_format(amount, currency, text);
    json_raw(body, name, text, strlen(text));
}

/* As much of it as Cashfree takes. */
static void add_text(buf_t *body, const char *name, const char *text)
{
    char cut[TEXT_MAX_BYTES + 1];
    json_text(body, name, str_copy(str_of(text), cut, sizeof cut));
}

/* Letters, digits, '-' and '_', as Cashfree wants it; another is told as '_'. */
static void add_customer_id(const char *id, buf_t *body)
{
    char text[51];
    size_t size = 0;
    for (; id[size] && size + 1 < sizeof text; size++) {
        const char c = id[size];
        const bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
        text[size] = plain ? c : '_';
    }
    text[size] = '\0';
    json_text(body, "customer_id", size >= 3 ? text : "customer");
}

static void checkout_request(const psp_account_t *account, const psp_checkout_t *checkout,
                             http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE], attempt_id[UUID_TEXT_SIZE], at[RFC3339_SIZE];
    const psp_customer_t *customer = &checkout->customer;
    const int64_t earliest_us = checkout->now_us + ORDER_LIVES_AT_LEAST_S * second_us;
    const int64_t expires_at_us =
        checkout->expires_at_us > earliest_us ? checkout->expires_at_us : earliest_us;
    buf_t *body = &request->body;
    buf_t url = {0};
    begin(account, "POST", request);
    http_client_request_header(request, "x-idempotency-key: %s",
                               uuid_format(&checkout->attempt_id, attempt_id));
    snprintf(request->url, sizeof request->url, "%s/pg/orders", account->base_url);
    uuid_format(&checkout->payment_id, payment_id);
    json_open_object(body, NULL);
    json_text(body, "order_id", payment_id);
    add_decimal(body, "order_amount", checkout->amount, checkout->currency);
    json_text(body, "order_currency", checkout->currency);
    json_open_object(body, "customer_details");
    add_customer_id(customer->id, body);
    json_text(body, "customer_phone",
              customer->phone[0]       ? customer->phone
              : account->default_phone ? account->default_phone
                                       : "");
    if (customer->email[0])
        json_text(body, "customer_email", customer->email);
    if (strlen(customer->name) >= TEXT_MIN_BYTES)
        add_text(body, "customer_name", customer->name);
    json_close_object(body);
    json_open_object(body, "order_meta");
    buf_printf(&url, "%s/checkout/%s/return", checkout->public_url, payment_id);
    json_text(body, "return_url", url.data);
    buf_clear(&url);
    buf_printf(&url, "%s/webhooks/cashfree", checkout->public_url);
    json_text(body, "notify_url", url.data);
    json_close_object(body);
    json_text(body, "order_expiry_time", rfc3339_format(expires_at_us / second_us * second_us, at));
    if (checkout->manual_capture)
        json_text(body, "order_note", "preauth_transaction"); /* what the sandbox goes by */
    json_open_object(body, "order_tags");
    json_text(body, "payment_id", payment_id);
    json_uuid(body, "order_id", &checkout->order_id);
    json_close_object(body);
    json_close_object(body);
    buf_free(&url);
}

static void checkout_find_request(const psp_account_t *account, const psp_checkout_t *checkout,
                                  http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE];
    begin(account, "GET", request);
    snprintf(request->url, sizeof request->url, "%s/pg/orders/%s", account->base_url,
             uuid_format(&checkout->payment_id, payment_id));
}

/* Base64url and the like: it goes into a page. */
static bool is_session(str_t text)
{
    for (uint32_t i = 0; i < text.size; i++) {
        const char c = text.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              strchr("-_.=+/", c)))
            return false;
    }
    return text.size > 0 && text.size <= SESSION_MAX_BYTES;
}

static void checkout_read(const http_client_response_t *response, psp_checkout_answer_t *answer)
{
    json_t *root =
        json_read_object((str_t){response->body.data, (uint32_t)response->body.size}, NULL);
    str_t id = json_read_str(root, "cf_order_id"),
          session = json_read_str(root, "payment_session_id");
    char number[PSP_REF_SIZE] = "";
    if (json_is_integer(json_object_get(root, "cf_order_id")))
        id = str_of((snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT,
                              json_integer_value(json_object_get(root, "cf_order_id"))),
                     number));
    if (!psp_checkout_is_answered(response)) {
        psp_checkout_failed(response, json_read_str(root, "message"), answer);
        answer->exists = response->status == 409 || response->status == 422;
        if (strstr(answer->reason, "customer_") != NULL)
            answer->fault = PSP_FAULT_CUSTOMER;
    } else if (psp_is_reference(id) && is_session(session) &&
               str_is(json_read_str(root, "order_status"), "ACTIVE")) {
        answer->outcome = PSP_CHECKOUT_OPEN;
        str_copy(id, answer->psp_ref, sizeof answer->psp_ref);
        str_copy(session, answer->page_data, sizeof answer->page_data);
    } else {
        psp_checkout_not_understood(answer);
    }
    json_decref(root);
}

/* Cashfree's script comes from its own host; the simulator serves one that leads to its page. */
static void page(const psp_account_t *account, const psp_checkout_t *checkout,
                 const char *page_data, psp_page_t *page)
{
    const bool live = strcmp(account->base_url, "https://api.cashfree.com") == 0;
    const bool theirs = strstr(account->base_url, ".cashfree.com") != NULL;
    const size_t origin_size = strcspn(account->base_url + 8, "/") + 8;
    (void)checkout;
    if (theirs)
        snprintf(page->script_from, sizeof page->script_from,
                 SCRIPT_HOST " https://*.cashfree.com");
    else
        snprintf(page->script_from, sizeof page->script_from, "%.*s", (int)origin_size,
                 account->base_url);
    buf_printf(&page->body,
               "<p>You are being led to the payment page of Cashfree.</p>\n"
               "<p><button id=\"pay\">Pay</button></p>\n"
               "<script src=\"%s/js/v3/cashfree.js\"></script>\n",
               theirs ? SCRIPT_HOST : account->base_url);
    snprintf(page->script, sizeof page->script,
             "const pay = () => Cashfree({mode: \"%s\"}).checkout({paymentSessionId: \"%s\", "
             "redirectTarget: \"_self\"});\n"
             "document.getElementById(\"pay\").onclick = pay;\npay();",
             live ? "production" : "sandbox", page_data);
}

/* ---- payments ---- */

/* What one try says; `path` is where it is in the body. */
static err_t read_payment(str_t body, const char *path, const json_t *payment, psp_report_t *report,
                          err_detail_t *detail)
{
    char amount_path[PATH_SIZE];
    snprintf(amount_path, sizeof amount_path, "%s.payment_amount", path);
    TRY(read_id(payment, "cf_payment_id", report->psp_ref, detail));
    TRY(read_currency_of(payment, "payment_currency", report->currency, detail));
    TRY(psp_read_decimal(body, amount_path, report->currency, &report->amount, detail));
    TRY(psp_read_rfc3339(payment, "payment_time", &report->occurred_at_us, detail));
    const json_t *error = json_object_get(payment, "error_details");
    str_t words = json_read_str(error, "error_description");
    psp_read_reason(words.size > 0 ? words : json_read_str(payment, "payment_message"), report);
    psp_read_fault(json_read_str(error, "error_source"), json_read_str(error, "error_reason"),
                   report);
    if (report->kind == PSP_FACT_CAPTURED)
        report->reason[0] = '\0';
    return ERR_OK;
}

/* Of one that has succeeded: a webhook does not say whether it is captured. */
static psp_fact_kind_t kind_of_success(const json_t *payment)
{
    static const char mark[] = "PRE_AUTH";
    const json_t *captured = json_object_get(payment, "is_captured"),
                 *authorization = json_object_get(payment, "authorization");
    str_t message = json_read_str(payment, "payment_message");
    const bool preauth =
        message.size >= sizeof mark - 1 && memcmp(message.data, mark, sizeof mark - 1) == 0;
    if (json_is_true(captured) || (!json_is_false(captured) && !preauth))
        return PSP_FACT_CAPTURED;
    return str_is(json_read_str(authorization, "action"), "VOID") &&
                   str_is(json_read_str(authorization, "status"), "SUCCESS")
               ? PSP_FACT_VOIDED
               : PSP_FACT_AUTHORIZED;
}

static psp_fact_kind_t kind_of_payment(const json_t *payment)
{
    str_t status = json_read_str(payment, "payment_status");
    if (str_is(status, "SUCCESS"))
        return kind_of_success(payment);
    return str_is(status, "FAILED") || str_is(status, "CANCELLED") || str_is(status, "USER_DROPPED")
               ? PSP_FACT_FAILED
           : str_is(status, "VOID") ? PSP_FACT_VOIDED
                                    : PSP_FACT_NONE;
}

/* ---- status ---- */

static bool status_request(const psp_account_t *account, const psp_payment_t *payment,
                           http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE];
    begin(account, "GET", request);
    snprintf(request->url, sizeof request->url, "%s/pg/orders/%s/payments", account->base_url,
             uuid_format(&payment->payment_id, payment_id));
    return true;
}

static int weight_of(psp_fact_kind_t kind)
{
    return kind == PSP_FACT_CAPTURED     ? 4
           : kind == PSP_FACT_AUTHORIZED ? 3
           : kind == PSP_FACT_VOIDED     ? 2
                                         : kind == PSP_FACT_FAILED;
}

/* The answer is an array of tries: the one that says most counts. */
static err_t read_tries(str_t body, const json_t *tries, const psp_payment_t *payment,
                        psp_report_t *report, err_detail_t *detail)
{
    size_t found = 0;
    char path[PATH_SIZE];
    for (size_t i = 0; i < json_array_size(tries); i++) {
        const json_t *one = json_array_get(tries, i);
        const uuid_t named = psp_read_id(one, "order_id");
        if (!uuid_equal(&named, &payment->payment_id))
            return psp_malformed(detail, "order_id", "is of another payment than was asked for");
        if (weight_of(kind_of_payment(one)) > weight_of(report->kind)) {
            report->kind = kind_of_payment(one);
            found = i;
        }
    }
    if (report->kind == PSP_FACT_NONE) {
        psp_status_pending(payment, (str_t){NULL, 0}, report);
        return ERR_OK;
    }
    report->payment_id = payment->payment_id;
    snprintf(path, sizeof path, "%zu", found);
    TRY(read_payment(body, path, json_array_get(tries, found), report, detail));
    psp_derive_event_id("status", report);
    return ERR_OK;
}

static err_t status_read(const psp_payment_t *payment, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    if (http_status == 404) {
        psp_status_unknown(payment, report);
        return ERR_OK;
    }
    if (http_status != 200)
        return psp_status_refused(http_status, detail);
    json_t *root = psp_read_array(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = read_tries(body, root, payment, report, detail);
    json_decref(root);
    return err;
}

/* ---- capture and void by hand ---- */

/* Without a key: a payment is captured or voided once by itself, and under a key an error might be
 * answered again. */
static void begin_authorization(const psp_account_t *account,
                                const psp_authorization_t *authorization, const char *action,
                                http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE];
    begin(account, "POST", request);
    snprintf(request->url, sizeof request->url, "%s/pg/orders/%s/authorization", account->base_url,
             uuid_format(&authorization->payment_id, payment_id));
    json_open_object(&request->body, NULL);
    json_text(&request->body, "action", action);
}

static void capture_request(const psp_account_t *account, const psp_authorization_t *authorization,
                            http_client_request_t *request)
{
    begin_authorization(account, authorization, "CAPTURE", request);
    add_decimal(&request->body, "amount", authorization->amount, authorization->currency);
    json_close_object(&request->body);
}

static void void_request(const psp_account_t *account, const psp_authorization_t *authorization,
                         http_client_request_t *request)
{
    begin_authorization(account, authorization, "VOID", request);
    json_close_object(&request->body);
}

/* ---- refunds ---- */

static void refund_request(const psp_account_t *account, const psp_refund_t *refund,
                           http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE], refund_id[UUID_TEXT_SIZE];
    buf_t *body = &request->body;
    begin(account, "POST", request);
    snprintf(request->url, sizeof request->url, "%s/pg/orders/%s/refunds", account->base_url,
             uuid_format(&refund->payment_id, payment_id));
    uuid_format(&refund->refund_id, refund_id);
    http_client_request_header(request, "x-idempotency-key: %s", refund_id);
    json_open_object(body, NULL);
    add_decimal(body, "refund_amount", refund->amount, refund->currency);
    json_text(body, "refund_id", refund_id);
    add_text(body, "refund_note",
             strlen(refund->reason) >= TEXT_MIN_BYTES ? refund->reason : "refund");
    json_text(body, "refund_speed", "STANDARD");
    json_close_object(body);
}

static void refund_status_request(const psp_account_t *account, const psp_refund_t *refund,
                                  http_client_request_t *request)
{
    char payment_id[UUID_TEXT_SIZE], refund_id[UUID_TEXT_SIZE];
    begin(account, "GET", request);
    snprintf(request->url, sizeof request->url, "%s/pg/orders/%s/refunds/%s", account->base_url,
             uuid_format(&refund->payment_id, payment_id),
             uuid_format(&refund->refund_id, refund_id));
}

static psp_fact_kind_t kind_of_refund(const json_t *refund)
{
    str_t status = json_read_str(refund, "refund_status");
    return str_is(status, "SUCCESS")                                 ? PSP_FACT_REFUND_SUCCEEDED
           : str_is(status, "PENDING") || str_is(status, "ONHOLD")   ? PSP_FACT_REFUND_REQUESTED
           : str_is(status, "CANCELLED") || str_is(status, "FAILED") ? PSP_FACT_REFUND_FAILED
                                                                     : PSP_FACT_NONE;
}

static err_t read_refund(str_t body, const char *path, const json_t *refund, psp_report_t *report,
                         err_detail_t *detail)
{
    char amount_path[PATH_SIZE];
    int64_t at_us;
    err_detail_t ignored;
    snprintf(amount_path, sizeof amount_path, "%s%srefund_amount", path, path[0] ? "." : "");
    report->kind = kind_of_refund(refund);
    if (report->kind == PSP_FACT_NONE)
        return psp_malformed(detail, "refund_status", "is not known");
    TRY(read_id(refund, "cf_refund_id", report->psp_ref, detail));
    TRY(read_currency_of(refund, "refund_currency", report->currency, detail));
    TRY(psp_read_decimal(body, amount_path, report->currency, &report->amount, detail));
    if (psp_read_rfc3339(refund, "processed_at", &at_us, &ignored) != ERR_OK)
        TRY(psp_read_rfc3339(refund, "created_at", &at_us, detail));
    report->occurred_at_us = at_us;
    psp_read_reason(report->kind == PSP_FACT_REFUND_FAILED
                        ? json_read_str(refund, "status_description")
                        : (str_t){NULL, 0},
                    report);
    return ERR_OK;
}

static err_t refund_read(const psp_refund_t *asked, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    json_t *root = json_read_object(body, NULL);
    err_t err;
    if (http_status == 200) {
        const uuid_t named = psp_read_id(root, "refund_id");
        report->payment_id = asked->payment_id;
        report->refund_id = asked->refund_id;
        err = !uuid_equal(&named, &asked->refund_id)
                  ? psp_malformed(detail, "refund_id", "is of another refund than was asked for")
                  : read_refund(body, "", root, report, detail);
    } else if (str_is(json_read_str(root, "type"), "idempotency_error")) {
        err = err_set(detail, ERR_MALFORMED_WEBHOOK, "HTTP %d is no answer about the refund",
                      http_status); /* it speaks of an earlier request */
    } else {
        err =
            psp_refund_refused(asked, http_status, json_read_str(root, "message"), report, detail);
    }
    json_decref(root);
    if (err == ERR_OK)
        psp_derive_event_id("refund", report);
    return err;
}

/* ---- webhooks ---- */

static bool recognises(str_t body, const json_t *json)
{
    (void)body;
    return json_is_string(json_object_get(json, "type")) &&
           json_is_object(json_object_get(json, "data")) &&
           !json_object_get(json, "gateway_txn_id");
}

static err_t read_of_payment(str_t body, const json_t *data, psp_report_t *report,
                             err_detail_t *detail)
{
    const json_t *order = json_object_get(data, "order"),
                 *payment = json_object_get(data, "payment");
    const json_t *tags = json_object_get(order, "order_tags");
    if (report->kind == PSP_FACT_CAPTURED)
        report->kind = kind_of_success(payment);
    report->payment_id = psp_read_id(order, "order_id");
    report->order_id = psp_read_id(tags, "order_id");
    return read_payment(body, "data.payment", payment, report, detail);
}

static err_t webhook_read(str_t body, const json_t *json, psp_report_t *report,
                          err_detail_t *detail)
{
    str_t type = json_read_str(json, "type");
    const json_t *data = json_object_get(json, "data"), *refund = json_object_get(data, "refund");
    if (str_is(type, "PAYMENT_SUCCESS_WEBHOOK"))
        report->kind = PSP_FACT_CAPTURED;
    else if (str_is(type, "PAYMENT_FAILED_WEBHOOK") || str_is(type, "PAYMENT_USER_DROPPED_WEBHOOK"))
        report->kind = PSP_FACT_FAILED;
    if (report->kind != PSP_FACT_NONE)
        return read_of_payment(body, data, report, detail);
    if (!str_is(type, "REFUND_STATUS_WEBHOOK") && !str_is(type, "AUTO_REFUND_STATUS_WEBHOOK"))
        return ERR_OK;
    const bool automatic = str_is(type, "AUTO_REFUND_STATUS_WEBHOOK");
    report->payment_id =
        psp_read_id(automatic ? json_object_get(data, "auto_refund") : refund, "order_id");
    report->refund_id = psp_read_id(refund, "refund_id");
    return read_refund(body, automatic ? "data.auto_refund" : "data.refund",
                       automatic ? json_object_get(data, "auto_refund") : refund, report, detail);
}

static err_t webhook_verify(const psp_t *psp, const psp_account_t *account, bool dev,
                            psp_header_fn *header, void *header_arg, str_t body, int64_t now_us,
                            psp_webhook_t *webhooks, size_t *count, err_detail_t *detail)
{
    TRY(psp_verify(signature_cashfree, account, header, header_arg, body, now_us, detail));
    (void)psp;
    (void)dev;
    psp_report_t *report = &webhooks[0].report;
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = recognises(body, root)
                    ? webhook_read(body, root, report, detail)
                    : psp_malformed(detail, "the body", "is no event of Cashfree");
    json_decref(root);
    str_t event_id = str_of(header(header_arg, EVENT_ID_HEADER));
    if (psp_is_reference(event_id))
        str_copy(event_id, report->event_id, sizeof report->event_id);
    else if (!psp_report_is_empty(report)) /* older versions have none */
        psp_derive_event_id("webhook", report);
    webhooks[0].body = body;
    *count = err == ERR_OK;
    return err;
}

const psp_webhooks_t psp_webhooks_cashfree = {
    .signature_header = SIGNATURE_HEADER,
    .marker_header = SIGNATURE_HEADER,
    .recognises = recognises,
    .verify = webhook_verify,
    .read = webhook_read,
};

/* ---- settlement reports: cashfree.com/docs/api-reference/payments, settlement reconciliation ----
 */

/* What was settled on a day. (/pg/recon has the same lines by the day on which customers paid,
 * which is settled days later.) */
static bool settlement_request(const psp_account_t *account, const psp_settlement_query_t *query,
                               http_client_request_t *request)
{
    char at[RFC3339_SIZE];
    buf_t *body = &request->body;
    begin(account, "POST", request);
    snprintf(request->url, sizeof request->url, "%s/pg/settlement/recon", account->base_url);
    json_open_object(body, NULL);
    json_open_object(body, "pagination");
    json_int(body, "limit", PSP_SETTLEMENT_LINES_MAX);
    if (query->cursor[0])
        json_text(body, "cursor", query->cursor);
    json_close_object(body);
    json_open_object(body, "filters");
    json_text(body, "start_date", rfc3339_format(query->day_us, at));
    json_text(body, "end_date", rfc3339_format(query->day_us + (DAY_S - 1) * second_us, at));
    json_close_object(body);
    json_close_object(body);
    return true;
}

/* There may be more as long as there is a cursor, and something came. */
static err_t settlement_next(const psp_settlement_query_t *query, const json_t *answer,
                             size_t count, char next[PSP_SETTLEMENT_CURSOR_SIZE],
                             err_detail_t *detail)
{
    const json_t *cursor = json_object_get(answer, "cursor");
    str_t text = json_read_str(answer, "cursor");
    (void)query;
    if (!cursor || json_is_null(cursor) || (text.data && text.size == 0) || count == 0)
        return ERR_OK;
    if (!text.data || text.size >= PSP_SETTLEMENT_CURSOR_SIZE ||
        !utf8_valid(text.data, text.size) || utf8_has_control(text.data, text.size))
        return psp_malformed(detail, "cursor", "must be a text of at most 512 bytes");
    str_copy(text, next, PSP_SETTLEMENT_CURSOR_SIZE);
    return ERR_OK;
}

static psp_fact_kind_t settlement_of(const json_t *line)
{
    str_t type = json_read_str(line, "event_type"), sale = json_read_str(line, "sale_type");
    if (!str_is(json_read_str(line, "event_status"), "SUCCESS"))
        return PSP_FACT_NONE;
    return str_is(type, "PAYMENT") && str_is(sale, "CREDIT") ? PSP_FACT_CAPTURED
           : str_is(type, "REFUND") && str_is(sale, "DEBIT") ? PSP_FACT_REFUND_SUCCEEDED
                                                             : PSP_FACT_NONE;
}

/* What is not settled of the amount is fees and their tax. */
static err_t settlement_charge(str_t text, const json_t *line, psp_report_t *report,
                               err_detail_t *detail)
{
    int64_t settled;
    report->payment_id = psp_read_id(line, "order_id");
    TRY(read_id(line, "cf_payment_id", report->psp_ref, detail));
    TRY(read_currency_of(line, "event_currency", report->currency, detail));
    TRY(psp_read_decimal(text, "event_amount", report->currency, &report->amount, detail));
    TRY(psp_read_decimal(text, "event_settlement_amount", report->currency, &settled, detail));
    report->fee = report->amount - settled;
    if (report->kind == PSP_FACT_CAPTURED)
        return psp_read_rfc3339(line, "event_time", &report->occurred_at_us, detail);
    err_detail_t ignored; /* it is not always such a time */
    if (psp_read_rfc3339(line, "settlement_date", &report->occurred_at_us, &ignored) != ERR_OK)
        report->occurred_at_us = 0;
    return ERR_OK;
}

/* The line has the merchant's id of the refund and no cf_refund_id. One that is not of ours has
 * none but the event's. */
static err_t settlement_refund(str_t text, const json_t *line, psp_report_t *report,
                               err_detail_t *detail)
{
    report->payment_id = psp_read_id(line, "order_id");
    report->refund_id = psp_read_id(line, "refund_id");
    if (uuid_is_nil(&report->refund_id))
        TRY(read_id(line, "event_id", report->psp_ref, detail));
    else
        uuid_format(&report->refund_id, report->psp_ref);
    TRY(read_currency_of(line, "event_currency", report->currency, detail));
    TRY(psp_read_decimal(text, "event_amount", report->currency, &report->amount, detail));
    return psp_read_rfc3339(line, "event_time", &report->occurred_at_us, detail);
}

const psp_connector_t psp_connector_cashfree = {
    .checkout_request = checkout_request,
    .checkout_read = checkout_read,
    .checkout_find_request = checkout_find_request,
    .page = page,
    .status_request = status_request,
    .status_read = status_read,
    .capture_request = capture_request,
    .void_request = void_request,
    .preauth_by_account = true,
    .refund_request = refund_request,
    .refund_status_request = refund_status_request,
    .refund_read = refund_read,
    .settlement_request = settlement_request,
    .settlement_lines = "data",
    .settlement_type = "event_type",
    .settlement_next = settlement_next,
    .settlement_of = settlement_of,
    .settlement_charge = settlement_charge,
    .settlement_refund = settlement_refund,
};
