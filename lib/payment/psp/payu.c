/* payu.c - PayU (India): a form that the customer's browser posts, the API's commands, webhooks.
 *
 * A payment is a transaction, whose txnid is ours in short (25 characters are taken); PayU takes
 * rupees alone. The reference of its facts is mihpayid, of a refund the request_id; the refund's
 * token is ours in short. The API answers errors with 200 as well: {"status":0,"msg":…}. Formats:
 * docs.payu.in.
 *
 * The hash of a webhook does not cover mihpayid (lib/payment/signature/payu.c), which names the
 * fact: whoever has one good callback could make many facts of it. So webhooks are hints, and the
 * transaction is asked for. Those about refunds are not signed at all, so that their ids must not
 * meet those of payments. mihpayid and status, or request_id and status, are their id.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/clock.h"
#include "lib/form.h"
#include "lib/payment/money.h"
#include "lib/payment/psp/answers.h"
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp/fields.h"
#include "lib/payment/psp/short_id.h"

#define PRODUCT "Order"

enum { PATH_SIZE = 128, PAGES_OF_A_DAY_MAX = 100000 };
static const char live_url[] = "https://secure.payu.in", live_api_url[] = "https://info.payu.in";

static str_t salt_of(const psp_account_t *account)
{
    return str_of(account->key_secret);
}

/* ---- checkout: our page posts the form ---- */

static void checkout_open(const psp_account_t *account, const psp_checkout_t *checkout,
                          psp_checkout_answer_t *answer)
{
    (void)account;
    (void)checkout;
    answer->outcome = PSP_CHECKOUT_OPEN;
}

static void add_input(buf_t *html, const char *name, const char *value)
{
    buf_printf(html, "<input type=\"hidden\" name=\"%s\" value=\"", name);
    psp_page_add_escaped(html, value);
    buf_add_text(html, "\">\n");
}

static void page(const psp_account_t *account, const psp_checkout_t *checkout,
                 const char *page_data, psp_page_t *page)
{
    static const char *const names[] = {"key",       "txnid", "amount", "productinfo",
                                        "firstname", "email", "udf1",   "udf2",
                                        "udf3",      "udf4",  "udf5"};
    char txnid[SHORT_ID_SIZE], amount[AMOUNT_TEXT_SIZE], payment_id[UUID_TEXT_SIZE],
        order_id[UUID_TEXT_SIZE];
    char hash[SIGNATURE_SHA512_HEX_SIZE];
    const char *fields[] = {account->key_id,
                            short_id_format(&checkout->payment_id, txnid),
                            amount_format(checkout->amount, checkout->currency, amount),
                            PRODUCT,
                            checkout->customer.name,
                            checkout->customer.email,
                            uuid_format(&checkout->payment_id, payment_id),
                            uuid_format(&checkout->order_id, order_id),
                            "",
                            "",
                            ""};
    buf_t *html = &page->body, url = {0};
    (void)page_data;
    signature_payu_payment(fields, salt_of(account), hash);
    buf_add_text(
        html,
        "<p>You are being led to the payment page of PayU.</p>\n<form method=\"post\" action=\"");
    psp_page_add_escaped(html, account->base_url);
    buf_add_text(html, "/_payment\">\n");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        add_input(html, names[i], fields[i]);
    add_input(html, "phone", checkout->customer.phone);
    buf_printf(&url, "%s/checkout/%s/return", checkout->public_url, payment_id);
    add_input(html, "surl", url.data);
    add_input(html, "furl", url.data);
    add_input(html, "hash", hash);
    buf_add_text(html, "<button>Pay</button>\n</form>\n");
    snprintf(page->script, sizeof page->script, "document.forms[0].submit();");
    snprintf(page->submits_to, sizeof page->submits_to, "%.*s",
             (int)(strcspn(account->base_url + 8, "/") + 8), account->base_url);
    buf_free(&url);
}

/* ---- commands ---- */

static void command(const psp_account_t *account, const char *name, const char *var1,
                    http_client_request_t *request)
{
    char hash[SIGNATURE_SHA512_HEX_SIZE];
    const char *base = strcmp(account->base_url, live_url) == 0 ? live_api_url : account->base_url;
    request->method = "POST";
    http_client_request_header(request, "Content-Type: application/x-www-form-urlencoded");
    snprintf(request->url, sizeof request->url, "%s/merchant/postservice.php?form=2", base);
    signature_payu_command(account->key_id, name, var1, salt_of(account), hash);
    form_add(&request->body, "key", account->key_id);
    form_add(&request->body, "command", name);
    form_add(&request->body, "var1", var1);
    form_add(&request->body, "hash", hash);
}

/* {"status":1,…}, 0 where it is refused; some answers have it as a text. -1: neither. */
static int status_of(const json_t *root)
{
    const json_t *status = json_object_get(root, "status");
    str_t text = json_read_str(root, "status");
    if (json_is_integer(status))
        return json_integer_value(status) == 1 ? 1 : json_integer_value(status) == 0 ? 0 : -1;
    return str_is(text, "1") ? 1 : str_is(text, "0") ? 0 : -1;
}

/* ---- status ---- */

static bool status_request(const psp_account_t *account, const psp_payment_t *payment,
                           http_client_request_t *request)
{
    char txnid[SHORT_ID_SIZE];
    command(account, "verify_payment", short_id_format(&payment->payment_id, txnid), request);
    return true;
}

static psp_fact_kind_t kind_of(const json_t *transaction)
{
    str_t status = json_read_str(transaction, "status"),
          finer = json_read_str(transaction, "unmappedstatus");
    if (str_is(status, "success"))
        return str_is(finer, "auth") ? PSP_FACT_AUTHORIZED : PSP_FACT_CAPTURED;
    return str_is(status, "failure") ? PSP_FACT_FAILED : PSP_FACT_NONE;
}

/* "2025-10-09 14:20:29", Indian time. */
static err_t read_time(const json_t *object, const char *field, int64_t *wall_us,
                       err_detail_t *detail)
{
    char text[40];
    str_t at = json_read_str(object, field);
    if (at.size == 19) {
        snprintf(text, sizeof text, "%.10sT%.8s+05:30", at.data, at.data + 11);
        if (rfc3339_parse(text, wall_us))
            return ERR_OK;
    }
    return psp_malformed(detail, field, "must be a time, YYYY-MM-DD hh:mm:ss");
}

static err_t read_transaction(str_t body, const json_t *root, const psp_payment_t *payment,
                              psp_report_t *report, err_detail_t *detail)
{
    char txnid[SHORT_ID_SIZE], path[PATH_SIZE];
    const json_t *details = json_object_get(root, "transaction_details");
    const json_t *transaction =
        json_object_get(details, short_id_format(&payment->payment_id, txnid));
    if (!json_is_object(transaction))
        return psp_malformed(detail, "transaction_details",
                             "lacks the payment that was asked about");
    if (str_is(json_read_str(transaction, "mihpayid"), "Not Found")) {
        psp_status_unknown(payment, report);
        return ERR_OK;
    }
    report->kind = kind_of(transaction);
    if (report->kind == PSP_FACT_NONE) {
        psp_status_pending(payment, json_read_str(transaction, "unmappedstatus"), report);
        return ERR_OK;
    }
    report->payment_id = payment->payment_id;
    report->order_id = psp_read_id(transaction, "udf2");
    TRY(psp_read_reference(transaction, "mihpayid", report->psp_ref, sizeof report->psp_ref,
                           detail));
    str_copy(STR_LITERAL("INR"), report->currency, sizeof report->currency);
    snprintf(path, sizeof path, "transaction_details.%s.amt", txnid);
    TRY(psp_read_decimal(body, path, report->currency, &report->amount, detail));
    TRY(read_time(transaction, "addedon", &report->occurred_at_us, detail));
    psp_read_reason(report->kind == PSP_FACT_FAILED ? json_read_str(transaction, "error_Message")
                                                    : (str_t){NULL, 0},
                    report);
    psp_read_fault((str_t){NULL, 0}, json_read_str(transaction, "unmappedstatus"), report);
    psp_derive_event_id("status", report);
    return ERR_OK;
}

static err_t status_read(const psp_payment_t *payment, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    if (http_status != 200)
        return psp_status_refused(http_status, detail);
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = read_transaction(body, root, payment, report, detail);
    json_decref(root);
    return err;
}

/* ---- refunds ---- */

static void refund_request(const psp_account_t *account, const psp_refund_t *refund,
                           http_client_request_t *request)
{
    char token[SHORT_ID_SIZE], amount[AMOUNT_TEXT_SIZE];
    command(account, "cancel_refund_transaction", refund->capture_ref, request);
    form_add(&request->body, "var2", short_id_format(&refund->refund_id, token));
    form_add(&request->body, "var3", amount_format(refund->amount, refund->currency, amount));
}

/* All that was done with the payment: ours is among it by its token. */
static void refund_status_request(const psp_account_t *account, const psp_refund_t *refund,
                                  http_client_request_t *request)
{
    command(account, "check_action_status", refund->capture_ref, request);
    form_add(&request->body, "var2", "payuid");
}

/* It is queued. Only what is said of its amount ends a refund for good: a token that came before, a
 * wrong key, an outage say nothing about it, and the status call tells. */
static err_t read_queued(const json_t *root, const psp_refund_t *asked, psp_report_t *report,
                         err_detail_t *detail)
{
    str_t words = json_read_str(root, "msg");
    const int status = status_of(root);
    if (status < 0 || (status == 0 && !words.data))
        return psp_malformed(detail, "status", "must be 1, or 0 with a msg");
    if (status == 0) {
        if (!strcasestr(words.data, "amount"))
            return err_set(detail, ERR_MALFORMED_WEBHOOK, "the refund is not taken");
        return psp_refund_refused(asked, 400, words, report, detail);
    }
    report->kind = PSP_FACT_REFUND_REQUESTED;
    return psp_read_reference(root, "request_id", report->psp_ref, sizeof report->psp_ref, detail);
}

/* {"<payment>":{"<request>":{…},…}}; *payment_key and *request_key name what was found. */
static const json_t *action_in(const json_t *root, const char *token, const char **payment_key,
                               const char **request_key)
{
    json_t *details = json_object_get(root, "transaction_details"), *actions, *action;
    json_object_foreach(details, *payment_key, actions)
    {
        json_object_foreach(actions, *request_key, action)
        {
            if (str_is(json_read_str(action, "token"), token))
                return action;
        }
    }
    return NULL;
}

static err_t read_action(str_t body, const json_t *root, const psp_refund_t *asked,
                         psp_report_t *report, err_detail_t *detail)
{
    char token[SHORT_ID_SIZE], path[PATH_SIZE];
    const char *payment_key, *request_key;
    const json_t *action =
        action_in(root, short_id_format(&asked->refund_id, token), &payment_key, &request_key);
    if (!action)
        return psp_malformed(detail, "transaction_details", "lacks the refund that was asked for");
    str_t status = json_read_str(action, "status");
    const bool done = status.data && strcasecmp(status.data, "success") == 0;
    const bool failed = status.data && (strcasecmp(status.data, "failure") == 0 ||
                                        strcasecmp(status.data, "failed") == 0);
    report->kind = done     ? PSP_FACT_REFUND_SUCCEEDED
                   : failed ? PSP_FACT_REFUND_FAILED
                            : PSP_FACT_REFUND_REQUESTED;
    TRY(psp_read_reference(action, "request_id", report->psp_ref, sizeof report->psp_ref, detail));
    str_copy(STR_LITERAL("INR"), report->currency, sizeof report->currency);
    snprintf(path, sizeof path, "transaction_details.%.40s.%.40s.amt", payment_key, request_key);
    TRY(psp_read_decimal(body, path, report->currency, &report->amount, detail));
    psp_read_reason((str_t){NULL, 0}, report);
    return ERR_OK;
}

static err_t refund_read(const psp_refund_t *asked, int http_status, str_t body,
                         psp_report_t *report, err_detail_t *detail)
{
    if (http_status != 200)
        return err_set(detail, ERR_MALFORMED_WEBHOOK, "HTTP %d is no answer about the refund",
                       http_status);
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    report->payment_id = asked->payment_id;
    report->refund_id = asked->refund_id;
    err_t err = json_object_get(root, "transaction_details")
                    ? read_action(body, root, asked, report, detail)
                    : read_queued(root, asked, report, detail);
    json_decref(root);
    if (err == ERR_OK)
        psp_derive_event_id("refund", report);
    return err;
}

/* ---- webhooks: hints ---- */

static bool is_refund(const json_t *json)
{
    return json && str_is(json_read_str(json, "action"), "refund") &&
           json_read_str(json, "merchantTxnId").data;
}

static bool has_field(str_t form, const char *name)
{
    form_field_t field;
    while (form_next(&form, &field))
        if (form_name_is(&field, name))
            return true;
    return false;
}

static bool recognises(str_t body, const json_t *json)
{
    return json
               ? is_refund(json)
               : has_field(body, "mihpayid") && has_field(body, "txnid") && has_field(body, "hash");
}

/* "<id>:<status>", of a refund "refund:<id>:<status>" */
static err_t make_event_id(const char *kind, const char *id, const char *status,
                           psp_report_t *report, err_detail_t *detail)
{
    snprintf(report->event_id, sizeof report->event_id, "%s%.80s:%.30s", kind, id, status);
    if (!id[0] || !psp_is_reference(str_of(report->event_id)))
        return psp_malformed(detail, "mihpayid", "and status must be printable texts");
    return ERR_OK;
}

static err_t webhook_read(str_t body, const json_t *json, psp_report_t *report,
                          err_detail_t *detail)
{
    char txnid[64], id[96], status[32];
    report->hint = true;
    if (json) {
        str_copy(json_read_str(json, "merchantTxnId"), txnid, sizeof txnid);
        str_copy(json_read_str(json, "request_id"), id, sizeof id);
        str_copy(json_read_str(json, "status"), status, sizeof status);
    } else {
        (void)form_copy(body, "txnid", txnid, sizeof txnid);
        (void)form_copy(body, "mihpayid", id, sizeof id);
        (void)form_copy(body, "status", status, sizeof status);
    }
    if (!short_id_parse(str_of(txnid), &report->payment_id))
        memset(&report->payment_id, 0, sizeof report->payment_id); /* not ours */
    return make_event_id(json ? "refund:" : "", id, status, report, detail);
}

static err_t webhook_verify(const psp_t *psp, const psp_account_t *account, bool dev,
                            psp_header_fn *header, void *header_arg, str_t body, int64_t now_us,
                            psp_webhook_t *webhooks, size_t *count, err_detail_t *detail)
{
    (void)psp;
    (void)dev;
    json_t *root = json_read_object(body, NULL);
    err_t err = ERR_OK;
    if (!root)
        err = psp_verify(signature_payu, account, header, header_arg, body, now_us, detail);
    else if (!str_is(json_read_str(root, "key"), account->key_id)) /* all that it proves */
        err = err_set(detail, ERR_SIGNATURE_INVALID, "key is of another merchant");
    if (err == ERR_OK)
        err = webhook_read(body, root, &webhooks[0].report, detail);
    json_decref(root);
    webhooks[0].body = body;
    *count = err == ERR_OK;
    return err;
}

const psp_webhooks_t psp_webhooks_payu = {
    .recognises = recognises,
    .verify = webhook_verify,
    .read = webhook_read,
};

/* ---- settlement reports: docs.payu.in, get_settlement_details ---- */

/* Of the day on which it was paid out, page by page: 1 is the first. The hash does not cover the
 * page. */
static bool settlement_request(const psp_account_t *account, const psp_settlement_query_t *query,
                               http_client_request_t *request)
{
    char day[RFC3339_SIZE];
    rfc3339_format(query->day_us, day);
    day[sizeof "2025-10-09" - 1] = '\0';
    command(account, "get_settlement_details", day, request);
    form_add(&request->body, "var2", query->cursor[0] ? query->cursor : "1");
    form_add_int(&request->body, "var3", PSP_SETTLEMENT_LINES_MAX);
    return true;
}

/* Errors come with 200, and so does a day without lines. */
static err_t settlement_next(const psp_settlement_query_t *query, const json_t *answer,
                             size_t count, char next[PSP_SETTLEMENT_CURSOR_SIZE],
                             err_detail_t *detail)
{
    const int page = query->cursor[0] ? atoi(query->cursor) : 1;
    if (status_of(answer) != 1)
        return psp_malformed(detail, "status", "must be 1");
    if (count == PSP_SETTLEMENT_LINES_MAX && page <= PAGES_OF_A_DAY_MAX)
        snprintf(next, PSP_SETTLEMENT_CURSOR_SIZE, "%d", page + 1);
    return ERR_OK;
}

static psp_fact_kind_t settlement_of(const json_t *line)
{
    str_t action = json_read_str(line, "requestaction");
    return str_is(action, "capture")  ? PSP_FACT_CAPTURED
           : str_is(action, "refund") ? PSP_FACT_REFUND_SUCCEEDED
                                      : PSP_FACT_NONE;
}

/* What both have: txnid is ours in short. */
static void read_txnid(const json_t *line, psp_report_t *report)
{
    if (!short_id_parse(json_read_str(line, "txnid"), &report->payment_id))
        memset(&report->payment_id, 0, sizeof report->payment_id); /* not ours */
    str_copy(STR_LITERAL("INR"), report->currency, sizeof report->currency);
}

/* What is not paid out of the amount is PayU's fee and its tax. When it was is not said beyond the
 * day. */
static err_t settlement_charge(str_t text, const json_t *line, psp_report_t *report,
                               err_detail_t *detail)
{
    int64_t net;
    read_txnid(line, report);
    TRY(psp_read_reference(line, "payuid", report->psp_ref, sizeof report->psp_ref, detail));
    TRY(psp_read_decimal(text, "requestamount", report->currency, &report->amount, detail));
    TRY(psp_read_decimal(text, "mer_net_amount", report->currency, &net, detail));
    report->fee = report->amount - net;
    return report->kind == PSP_FACT_CAPTURED
               ? read_time(line, "txndate", &report->occurred_at_us, detail)
               : ERR_OK;
}

/* It has the request's number and not our token. What is taken from the merchant may have a minus
 * before it. */
static err_t settlement_refund(str_t text, const json_t *line, psp_report_t *report,
                               err_detail_t *detail)
{
    str_t amount = json_read_str(line, "requestamount");
    read_txnid(line, report);
    TRY(psp_read_reference(line, "requestid", report->psp_ref, sizeof report->psp_ref, detail));
    if (amount.size > 1 && amount.data[0] == '-') {
        amount = (str_t){amount.data + 1, amount.size - 1};
        if (!amount_parse(amount, report->currency, &report->amount))
            return psp_malformed(detail, "requestamount", "must be an amount");
    } else {
        TRY(psp_read_decimal(text, "requestamount", report->currency, &report->amount, detail));
    }
    return read_time(line, "requestdate", &report->occurred_at_us, detail);
}

const psp_connector_t psp_connector_payu = {
    .checkout_open = checkout_open,
    .page = page,
    .status_request = status_request,
    .status_read = status_read,
    .refund_request = refund_request,
    .refund_status_request = refund_status_request,
    .refund_read = refund_read,
    .settlement_request = settlement_request,
    .settlement_lines = "Txn_details",
    .settlement_type = "requestaction",
    .settlement_next = settlement_next,
    .settlement_of = settlement_of,
    .settlement_charge = settlement_charge,
    .settlement_refund = settlement_refund,
};
