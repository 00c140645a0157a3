/* checkout.c - pages of ours for customers: where to pay at a PSP that has no page of its own, and
 * where PSPs send customers back.
 *
 * Whoever has the payment's id may open them: it is what the customer was given. What is on the
 * page comes from the PSP's connector, by way of the router; nothing but its script and its form
 * may run (Content-Security-Policy). Coming back says nothing about the payment: the PSP is asked.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/handlers.h"
#include "gateway/requests.h"
#include "lib/payment/psp.h"

enum { RETURN_QUERY_MAX_BYTES = 1024, LOCATION_MAX_BYTES = 800 };

static const char page_head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>Checkout</title>\n<style>\n"
    ":root { color-scheme: light dark; }\n"
    "body { margin: 0; min-height: 100vh; display: grid; place-items: center;\n"
    "  font: 16px/1.5 system-ui, sans-serif; }\n"
    "main { width: min(30rem, 92vw); padding: 2rem 0; }\n"
    "button { padding: .75rem 1.5rem; font: inherit; }\n"
    "</style>\n</head>\n<body>\n<main>\n";

static const char page_tail[] = "</main>\n</body>\n</html>\n";

static const char came_back[] = "<h1>Thank you.</h1>\n<p>We are asking the payment provider how it "
                                "went. You can close this page.</p>\n";

static void add_policy(http_request_t *request, const payment_page_document_t *document)
{
    char policy[512];
    snprintf(policy, sizeof policy,
             "default-src 'none'; style-src 'unsafe-inline' %.*s; script-src %s %.*s; "
             "connect-src %.*s; img-src %.*s data:; font-src %.*s; frame-src %.*s; "
             "form-action %s%.*s; base-uri 'none'; frame-ancestors 'none'",
             STR_ARG(document->script_from),
             document->script.size > 0 ? "'unsafe-inline'" : "'none'",
             STR_ARG(document->script_from), STR_ARG(document->script_from),
             STR_ARG(document->script_from), STR_ARG(document->script_from),
             STR_ARG(document->script_from), document->submits_to.size > 0 ? "" : "'none'",
             STR_ARG(document->submits_to));
    http_add_header(request, "Content-Security-Policy", policy);
}

static void respond_page(http_request_t *request, const payment_page_document_t *document)
{
    buf_t page = {0};
    buf_add_text(&page, page_head);
    if (document->html.size > 0)
        buf_add(&page, document->html.data, document->html.size);
    else
        buf_add_text(&page, came_back);
    if (document->script.size > 0) {
        buf_add_text(&page, "<script>\n");
        buf_add(&page, document->script.data, document->script.size);
        buf_add_text(&page, "\n</script>\n");
    }
    buf_add_text(&page, page_tail);
    add_policy(request, document);
    http_respond(request, 200, "text/html; charset=utf-8", page.data, page.size);
    buf_free(&page);
}

static void respond_document(http_request_t *request, const payment_page_document_t *document)
{
    char location[2049];
    if (document->location.size == 0) {
        respond_page(request, document);
        return;
    }
    str_copy(document->location, location, sizeof location);
    if (strlen(location) + sizeof "Location: \r\n" > LOCATION_MAX_BYTES) {
        /* Too long for a header of ours: a page that leads there. */
        buf_t page = {0};
        buf_add_text(&page, page_head);
        buf_add_text(&page, "<p><a href=\"");
        psp_page_add_escaped(&page, location);
        buf_add_text(&page, "\">Go on</a></p>\n");
        buf_add_text(&page, page_tail);
        http_respond(request, 200, "text/html; charset=utf-8", page.data, page.size);
        buf_free(&page);
        return;
    }
    http_add_header(request, "Location", location);
    http_respond(request, 303, "text/plain; charset=utf-8", NULL, 0);
}

static void serve(http_request_t *request, payment_page_t *ask)
{
    err_detail_t detail = {{0}};
    const err_t err = request_id_param(request->params[0], "payment_id", &ask->payment_id, &detail);
    if (err != ERR_OK) {
        http_respond_problem(request, err, detail.text);
        return;
    }
    hub_reply_t reply;
    if (!gateway_call(request, MSG_payment_page, ask, &reply))
        return;
    payment_page_document_t document;
    if (gateway_decode(request, &reply, MSG_payment_page_document, &document))
        respond_document(request, &document);
    hub_reply_free(&reply);
}

void checkout_page(http_request_t *request)
{
    payment_page_t ask = {.returned = false};
    serve(request, &ask);
}

void checkout_return(http_request_t *request)
{
    payment_page_t ask = {.returned = true, .query = str_of(request->query)};
    if (ask.query.size > RETURN_QUERY_MAX_BYTES || !utf8_valid(ask.query.data, ask.query.size))
        ask.query = (str_t){NULL, 0};
    serve(request, &ask);
}

/* Some PSPs have the browser post a form. What it says they also send to us themselves. */
void checkout_return_post(http_request_t *request)
{
    checkout_return(request);
}
