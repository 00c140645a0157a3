/* sim_page.c - the page that a customer sees: what is to be paid, Pay, Fail, and what came of it.
 *
 * Everything on the page is ours or was checked before it got here (names, UUIDs, codes, numbers);
 * the one text from outside, the return_url, is escaped. No scripts, no other origins.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/payment/money.h"
#include "services/psp_sim/sim.h"
#include "services/psp_sim/sim_wire.h"

enum { LOCATION_MAX_BYTES = 700 /* the response's extra headers are bounded */ };

static const char page_head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>Checkout</title>\n<style>\n"
    ":root { color-scheme: light dark; --line: #8884; --good: #14804a; --bad: #b3261e; }\n"
    "body { margin: 0; min-height: 100vh; display: grid; place-items: center;\n"
    "  font: 16px/1.5 system-ui, sans-serif; }\n"
    "main { width: min(22rem, 90vw); padding: 2rem; border: 1px solid var(--line);\n"
    "  border-radius: 12px; }\n"
    "h1 { margin: 0; font-size: 1rem; font-weight: 600; }\n"
    ".amount { margin: 1rem 0; font-size: 2.25rem; font-variant-numeric: tabular-nums; }\n"
    "dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 0 0 1.5rem;\n"
    "  font-size: .875rem; }\n"
    "dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; }\n"
    "form { margin: .5rem 0 0; }\n"
    "button { width: 100%; padding: .75rem; border: 0; border-radius: 8px; font: inherit;\n"
    "  font-weight: 600; color: #fff; background: var(--good); cursor: pointer; }\n"
    "button.fail { color: inherit; background: none; border: 1px solid var(--line); }\n"
    ".paid { color: var(--good); } .failed { color: var(--bad); }\n"
    "small { display: block; margin-top: 1.5rem; opacity: .7; }\n"
    "</style>\n</head>\n<body>\n<main>\n";

static const char page_tail[] = "<small>A simulated payment provider. No money moves.</small>\n"
                                "</main>\n</body>\n</html>\n";

/* ---- text ---- */

static void add_escaped(buf_t *page, const char *text)
{
    for (const char *at = text; *at; at++) {
        switch (*at) {
        case '&':
            buf_add_text(page, "&amp;");
            break;
        case '<':
            buf_add_text(page, "&lt;");
            break;
        case '"':
            buf_add_text(page, "&quot;");
            break;
        default:
            buf_add(page, at, 1);
        }
    }
}

/* "INR 450.00", by the currency's exponent. */
static void add_amount(buf_t *page, int64_t amount, const char *currency)
{
    int exponent = currency_exponent(str_of(currency));
    int64_t unit = 1;
    for (int i = 0; i < exponent; i++)
        unit *= 10;
    buf_printf(page, "%s %" PRId64, currency, amount / unit);
    if (exponent > 0)
        buf_printf(page, ".%0*" PRId64, exponent, amount % unit);
}

/* ---- the page ---- */

static void add_details(buf_t *page, const sim_checkout_t *checkout)
{
    char payment[UUID_TEXT_SIZE], order[UUID_TEXT_SIZE], expires[RFC3339_SIZE];
    int64_t second_us = checkout->expires_at_us / 1000000 * 1000000;
    bool settled = checkout->state != SIM_PENDING;
    buf_printf(page, "<h1>%s checkout</h1>\n<p class=\"amount\">", psp_name(checkout->psp));
    add_amount(page, settled ? checkout->outcome_amount : checkout->amount, checkout->currency);
    buf_printf(page,
               "</p>\n<dl><dt>Method</dt><dd>%s</dd><dt>Order</dt><dd>%s</dd>"
               "<dt>Payment</dt><dd>%s</dd><dt>Open until</dt><dd>%s</dd></dl>\n",
               checkout->method, uuid_format(&checkout->order_id, order),
               uuid_format(&checkout->payment_id, payment), rfc3339_format(second_us, expires));
}

/* The buttons post to paths beside this page's own, whatever public URL leads here. */
static void add_buttons(buf_t *page, const sim_checkout_t *checkout)
{
    char payment[UUID_TEXT_SIZE];
    uuid_format(&checkout->payment_id, payment);
    buf_printf(page, "<form method=\"post\" action=\"%s/pay\"><button>Pay</button></form>\n",
               payment);
    if (checkout->state == SIM_PENDING)
        buf_printf(page,
                   "<form method=\"post\" action=\"%s/fail\">"
                   "<button class=\"fail\">Fail</button></form>\n",
                   payment);
}

static void add_state(buf_t *page, const sim_checkout_t *checkout, bool expired)
{
    if (checkout->state == SIM_PAID || checkout->state == SIM_AUTHORIZED)
        buf_add_text(page, "<p class=\"paid\"><strong>Paid.</strong> Thank you.</p>\n");
    else if (expired)
        buf_add_text(page, "<p class=\"failed\"><strong>This checkout has expired.</strong></p>\n");
    else if (checkout->state == SIM_FAILED)
        buf_add_text(page, "<p class=\"failed\"><strong>The payment failed.</strong> "
                           "You may try again.</p>\n");
}

static void respond_page(http_request_t *request, int status, const buf_t *page)
{
    http_add_header(request, "Content-Security-Policy",
                    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; "
                    "base-uri 'none'");
    http_add_header(request, "Referrer-Policy", "no-referrer");
    http_respond(request, status, "text/html; charset=utf-8", page->data, page->size);
}

static void respond_not_found(http_request_t *request)
{
    buf_t page = {0};
    buf_add_text(&page, page_head);
    buf_add_text(&page, "<h1>There is no such checkout.</h1>\n");
    buf_add_text(&page, page_tail);
    respond_page(request, 404, &page);
    buf_free(&page);
}

static void respond_checkout(http_request_t *request, const sim_checkout_t *checkout,
                             const char *return_url)
{
    bool expired = checkout->expires_at_us <= clock_wall_us();
    buf_t page = {0};
    buf_add_text(&page, page_head);
    add_details(&page, checkout);
    add_state(&page, checkout, expired);
    if (checkout->state <= SIM_FAILED && !expired)
        add_buttons(&page, checkout);
    if (checkout->state != SIM_PENDING && return_url[0]) {
        buf_add_text(&page, "<p><a href=\"");
        add_escaped(&page, return_url);
        buf_add_text(&page, "\">Back to the shop</a></p>\n");
    }
    buf_add_text(&page, page_tail);
    respond_page(request, 200, &page);
    buf_free(&page);
}

void sim_page_show(http_request_t *request)
{
    sim_t *self = request->self;
    uuid_t payment_id;
    sim_checkout_t checkout;
    char return_url[SIM_URL_SIZE];
    if (!sim_payment_of(request, &payment_id) ||
        sim_bank_find(self->bank, &payment_id, NULL, &checkout, return_url) != ERR_OK)
        respond_not_found(request);
    else
        respond_checkout(request, &checkout, return_url);
}

/* 303 to where the merchant wants the customer back, or to the page that shows the result. */
static void respond_settled(http_request_t *request, const uuid_t *payment_id)
{
    sim_t *self = request->self;
    sim_checkout_t checkout;
    char return_url[SIM_URL_SIZE], payment[UUID_TEXT_SIZE];
    buf_t location = {0};
    if (sim_bank_find(self->bank, payment_id, NULL, &checkout, return_url) != ERR_OK) {
        respond_not_found(request); /* reset meanwhile */
        return;
    }
    const sim_wire_t *wire = sim_wire_of(checkout.psp);
    if (return_url[0] && strlen(return_url) <= LOCATION_MAX_BYTES) {
        buf_add_text(&location, return_url);
        if (wire && wire->add_return_query && checkout.reference[0])
            wire->add_return_query(&checkout, &location);
    } else /* relative to …/checkout/{payment_id}/pay */
        buf_printf(&location, "../%s", uuid_format(payment_id, payment));
    http_add_header(request, "Location", location.data);
    http_respond(request, 303, "text/plain; charset=utf-8", NULL, 0);
    buf_free(&location);
}

static void settle(http_request_t *request, err_t (*act)(sim_t *, const uuid_t *, sim_checkout_t *))
{
    uuid_t payment_id;
    sim_checkout_t checkout;
    err_t err = sim_payment_of(request, &payment_id) ? act(request->self, &payment_id, &checkout)
                                                     : ERR_PAYMENT_NOT_FOUND;
    if (err == ERR_PAYMENT_NOT_FOUND)
        respond_not_found(request);
    else if (err == ERR_OK ||
             err == ERR_ORDER_NOT_PAYABLE) /* failing what is paid shows that it is */
        respond_settled(request, &payment_id);
    else
        http_respond_problem(request, err, NULL);
}

void sim_page_pay(http_request_t *request)
{
    settle(request, sim_pay);
}

void sim_page_fail(http_request_t *request)
{
    settle(request, sim_fail);
}
