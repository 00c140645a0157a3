/* razorpay_order.c - what is captured by hand at Razorpay: an order, paid on a page of ours with
 * Razorpay's checkout.js. razorpay.c says why it is an order, and what becomes of what nobody
 * captures. API: razorpay.com/docs/api/orders, …/payments/payment-gateway/web-integration.
 *
 * The order's notes and those that the page gives along are the same: what the customer's browser
 * could change of them names another payment, for which it would have paid.
 */
#include <stdio.h>
#include <string.h>

#include "lib/payment/psp/answers.h"
#include "lib/payment/psp/fields.h"
#include "lib/payment/psp/razorpay.h"

enum { WITHIN_MIN_MIN = 12, WITHIN_MAX_MIN = 7200 }; /* that an order may give for a capture */
static const int64_t second_us = 1000000;

/* ---- the order ---- */

bool razorpay_is_order(str_t id)
{
    return psp_is_reference(id) && id.size > 6 && memcmp(id.data, "order_", 6) == 0;
}

/* For how long a payment may be captured: as long as our order is open, in Razorpay's bounds. After
 * that it is released. */
static int64_t captured_within_min(const psp_checkout_t *checkout)
{
    const int64_t minute_us = 60 * second_us;
    const int64_t left_us = checkout->expires_at_us - checkout->now_us;
    const int64_t wanted_min = left_us > 0 ? (left_us + minute_us - 1) / minute_us : 0;
    return wanted_min < WITHIN_MIN_MIN   ? WITHIN_MIN_MIN
           : wanted_min > WITHIN_MAX_MIN ? WITHIN_MAX_MIN
                                         : wanted_min;
}

/* A receipt may come twice: of an order whose answer was lost nobody hears, and the next is
 * another. */
void razorpay_order_request(const psp_account_t *account, const psp_checkout_t *checkout,
                            http_client_request_t *request)
{
    buf_t *body = &request->body;
    razorpay_begin(account, "POST", request);
    snprintf(request->url, sizeof request->url, "%s/v1/orders", account->base_url);
    json_open_object(body, NULL);
    json_int(body, "amount", checkout->amount);
    json_text(body, "currency", checkout->currency);
    json_uuid(body, "receipt", &checkout->payment_id);
    json_open_object(body, "payment");
    json_text(body, "capture", "manual");
    json_open_object(body, "capture_options");
    json_int(body, "manual_expiry_period", captured_within_min(checkout));
    json_text(body, "refund_speed", "normal");
    json_close_object(body);
    json_close_object(body);
    razorpay_add_notes(checkout, body);
    json_close_object(body);
}

/* Of an order the customer's page is ours: it is opened with the order's id. */
bool razorpay_order_is_open(const json_t *root)
{
    str_t id = json_read_str(root, "id");
    return str_is(json_read_str(root, "entity"), "order") && razorpay_is_order(id) &&
           str_is(json_read_str(root, "status"), "created");
}

/* ---- page: checkout.js ---- */

/* Data come from the element's attributes. Where it goes back to, Razorpay is asked what became of
 * it. */
static const char page_script[] =
    "(function () {\n"
    "  var box = document.getElementById('razorpay'), said = document.getElementById('said');\n"
    "  var data = box.dataset;\n"
    "  if (!window.Razorpay) {\n"
    "    said.textContent = 'The payment form could not be opened. Please reload the page.';\n"
    "    return;\n"
    "  }\n"
    "  var checkout = new Razorpay({\n"
    "    key: data.key, order_id: data.order, amount: data.amount, currency: data.currency,\n"
    "    name: 'Payment', timeout: Number(data.timeout),\n"
    "    notes: { payment_id: data.ourPayment, order_id: data.ourOrder },\n"
    "    prefill: { name: data.name, email: data.email, contact: data.phone },\n"
    "    handler: function () { location.replace(data.back); }\n"
    "  });\n"
    "  document.getElementById('pay').onclick = function () { checkout.open(); };\n"
    "  checkout.open();\n"
    "})();";

static void add_page_ids(const psp_checkout_t *checkout, buf_t *html)
{
    char payment_id[UUID_TEXT_SIZE], order_id[UUID_TEXT_SIZE];
    buf_t back = {0};
    psp_page_add_attribute(html, "data-our-payment",
                           uuid_format(&checkout->payment_id, payment_id));
    psp_page_add_attribute(html, "data-our-order", uuid_format(&checkout->order_id, order_id));
    buf_printf(&back, "%s/checkout/%s/return", checkout->public_url, payment_id);
    psp_page_add_attribute(html, "data-back", back.data);
    buf_free(&back);
}

/* An order of Razorpay's never ends: the form does, with our order. */
static void add_timeout(const psp_checkout_t *checkout, buf_t *html)
{
    char text[24];
    const int64_t left_s = (checkout->expires_at_us - checkout->now_us) / second_us;
    snprintf(text, sizeof text, "%lld", (long long)(left_s > 1 ? left_s : 1));
    psp_page_add_attribute(html, "data-timeout", text);
}

/* Razorpay's host gives the script; whoever stands in for Razorpay gives one, too. */
void razorpay_order_page(const psp_account_t *account, const psp_checkout_t *checkout,
                         const char *page_data, psp_page_t *page)
{
    const bool theirs = strstr(account->base_url, ".razorpay.com") != NULL;
    const size_t origin = strcspn(account->base_url + 8, "/") + 8;
    char amount[24];
    buf_t *html = &page->body;
    snprintf(page->script_from, sizeof page->script_from, "%.*s",
             theirs ? (int)sizeof page->script_from : (int)origin,
             theirs ? "https://*.razorpay.com" : account->base_url);
    if (theirs) /* the banks' pages are opened by a form */
        snprintf(page->submits_to, sizeof page->submits_to, "https://*.razorpay.com");
    snprintf(amount, sizeof amount, "%lld", (long long)checkout->amount);
    buf_add_text(html, "<h1>Payment</h1>\n<div id=\"razorpay\"");
    psp_page_add_attribute(html, "data-key", account->key_id);
    psp_page_add_attribute(html, "data-order", page_data);
    psp_page_add_attribute(html, "data-amount", amount);
    psp_page_add_attribute(html, "data-currency", checkout->currency);
    psp_page_add_attribute(html, "data-name", checkout->customer.name);
    psp_page_add_attribute(html, "data-email", checkout->customer.email);
    psp_page_add_attribute(html, "data-phone", checkout->customer.phone);
    add_timeout(checkout, html);
    add_page_ids(checkout, html);
    buf_add_text(html, "><button id=\"pay\">Pay</button></div>\n"
                       "<p id=\"said\" role=\"status\"></p>\n"
                       "<noscript>Paying here needs JavaScript.</noscript>\n<script src=\"");
    psp_page_add_escaped(html, theirs ? "https://checkout.razorpay.com" : account->base_url);
    buf_add_text(html, "/v1/checkout.js\"></script>\n");
    snprintf(page->script, sizeof page->script, "%s", page_script);
}

/* ---- status ---- */

static psp_fact_kind_t kind_of_payment(const json_t *payment)
{
    str_t status = json_read_str(payment, "status");
    const bool captured = json_is_true(json_object_get(payment, "captured"));
    return str_is(status, "captured")     ? PSP_FACT_CAPTURED
           : str_is(status, "authorized") ? PSP_FACT_AUTHORIZED
           : str_is(status, "refunded")   ? (captured ? PSP_FACT_CAPTURED : PSP_FACT_VOIDED)
           : str_is(status, "failed")     ? PSP_FACT_FAILED
                                          : PSP_FACT_NONE;
}

static int weight_of(psp_fact_kind_t kind)
{
    return kind == PSP_FACT_CAPTURED     ? 4
           : kind == PSP_FACT_AUTHORIZED ? 3
           : kind == PSP_FACT_VOIDED     ? 2
                                         : kind == PSP_FACT_FAILED;
}

/* Of an order's payments the one that says most counts. Where one names a payment of ours, it has
 * to be this. */
err_t razorpay_order_read_payments(const json_t *items, const psp_payment_t *payment,
                                   psp_report_t *report, err_detail_t *detail)
{
    const json_t *found = NULL;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *one = json_array_get(items, i);
        const uuid_t named = razorpay_read_note(one, "payment_id");
        if (!uuid_is_nil(&named) && !uuid_equal(&named, &payment->payment_id))
            return psp_malformed(detail, "notes.payment_id",
                                 "is of another payment than was asked for");
        if (weight_of(kind_of_payment(one)) > weight_of(report->kind)) {
            report->kind = kind_of_payment(one);
            found = one;
        }
    }
    if (!found) {
        psp_status_pending(payment, (str_t){NULL, 0}, report);
        return ERR_OK;
    }
    report->payment_id = payment->payment_id;
    TRY(psp_read_reference(found, "id", report->psp_ref, sizeof report->psp_ref, detail));
    TRY(psp_read_amount(found, &report->amount, detail));
    TRY(psp_read_currency(found, report->currency, detail));
    TRY(razorpay_read_time(found, &report->occurred_at_us, detail));
    psp_read_reason(json_read_str(found, "error_description"), report);
    psp_read_fault(json_read_str(found, "error_source"), json_read_str(found, "error_reason"),
                   report);
    psp_derive_event_id("status", report);
    return ERR_OK;
}

/* ---- capture by hand: razorpay.com/docs/api/payments/capture ---- */

/* All of it, as Razorpay wants. A second one is refused: it is captured already. */
void razorpay_capture_request(const psp_account_t *account,
                              const psp_authorization_t *authorization,
                              http_client_request_t *request)
{
    char payment[PSP_SEGMENT_SIZE];
    buf_t *body = &request->body;
    razorpay_begin(account, "POST", request);
    snprintf(request->url, sizeof request->url, "%s/v1/payments/%s/capture", account->base_url,
             psp_path_segment(authorization->psp_ref, payment));
    json_open_object(body, NULL);
    json_int(body, "amount", authorization->amount);
    json_text(body, "currency", authorization->currency);
    json_close_object(body);
}
