/* psp.c - the public face of the connectors: each call goes to the row's connector. */
#include "lib/payment/psp.h"

#include <string.h>
#include <strings.h>

#include "lib/json_read.h"
#include "lib/payment/psp/answers.h"
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp/fields.h"
#include "lib/payment/psp_accounts.h"

/* ---- the registry ---- */

size_t psp_count(void)
{
    return PSP_COUNT;
}

size_t psp_index(const psp_t *psp)
{
    CHECK(psp >= psp_registry && psp < psp_registry + PSP_COUNT);
    return (size_t)(psp - psp_registry);
}

const psp_t *psp_at(size_t index)
{
    CHECK(index < PSP_COUNT);
    return &psp_registry[index];
}

const psp_t *psp_find(str_t name)
{
    for (size_t i = 0; i < PSP_COUNT; i++) {
        str_t known = str_of(psp_registry[i].name);
        if (name.size == known.size && strncasecmp(name.data, known.data, known.size) == 0)
            return &psp_registry[i];
    }
    return NULL;
}

const char *psp_name(const psp_t *psp)
{
    return psp->name;
}

/* ---- facts ---- */

static const char *const fact_names[PSP_FACT_KINDS] = {
#define FACT_NAME(NAME, name) [PSP_FACT_##NAME] = (name),
    [PSP_FACT_NONE] = "none", PSP_FACTS(FACT_NAME)
#undef FACT_NAME
};

const char *psp_fact_kind_name(psp_fact_kind_t kind)
{
    CHECK((size_t)kind < PSP_FACT_KINDS);
    return fact_names[kind];
}

psp_fact_kind_t psp_fact_kind_parse(str_t name)
{
    for (int kind = PSP_FACT_NONE + 1; kind < PSP_FACT_KINDS; kind++)
        if (str_is(name, fact_names[kind]))
            return (psp_fact_kind_t)kind;
    return PSP_FACT_KINDS;
}

bool psp_fact_is_refund(psp_fact_kind_t kind)
{
    return kind == PSP_FACT_REFUND_REQUESTED || kind == PSP_FACT_REFUND_SUCCEEDED ||
           kind == PSP_FACT_REFUND_FAILED;
}

const char *psp_checkout_outcome_name(psp_checkout_outcome_t outcome)
{
    static const char *const names[] = {[PSP_CHECKOUT_OPEN] = "OPEN",
                                        [PSP_CHECKOUT_REFUSED] = "REFUSED",
                                        [PSP_CHECKOUT_UNKNOWN] = "UNKNOWN"};
    CHECK((size_t)outcome < sizeof names / sizeof names[0]);
    return names[outcome];
}

const char *psp_fault_name(psp_fault_t fault)
{
    static const char *const names[PSP_FAULT_COUNT] = {
#define FAULT_NAME(NAME, name) [PSP_FAULT_##NAME] = (name),
        PSP_FAULTS(FAULT_NAME)
#undef FAULT_NAME
    };
    CHECK((size_t)fault < PSP_FAULT_COUNT);
    return names[fault];
}

const char *psp_signature_header(const psp_t *psp)
{
    return psp->webhooks ? psp->webhooks->signature_header : NULL;
}

/* The format of a body, told by what it holds. */
static const psp_webhooks_t *format_of(const psp_t *psp, str_t body, const json_t *json)
{
    return psp->webhooks && psp->webhooks->recognises(body, json) ? psp->webhooks
                                                                  : &psp_webhooks_prototype;
}

static const psp_webhooks_t *format_of_request(const psp_t *psp, psp_header_fn *header,
                                               void *header_arg, str_t body)
{
    if (!psp->webhooks)
        return &psp_webhooks_prototype;
    if (psp->webhooks->marker_header)
        return header(header_arg, psp->webhooks->marker_header) ? psp->webhooks
                                                                : &psp_webhooks_prototype;
    json_t *json = json_read_object(body, NULL);
    const psp_webhooks_t *format = format_of(psp, body, json);
    json_decref(json);
    return format;
}

err_t psp_webhook_verify(const psp_t *psp, const psp_account_t *account, bool dev,
                         psp_header_fn *header, void *header_arg, str_t body, int64_t now_us,
                         psp_webhook_t webhooks[PSP_WEBHOOKS_MAX], size_t *count,
                         err_detail_t *detail)
{
    memset(webhooks, 0, PSP_WEBHOOKS_MAX * sizeof *webhooks);
    *count = 0;
    if (!account)
        return err_set(detail, ERR_SIGNATURE_INVALID, "%s is not configured here", psp->name);
    const psp_webhooks_t *format = format_of_request(psp, header, header_arg, body);
    return format->verify(psp, account, dev, header, header_arg, body, now_us, webhooks, count,
                          detail);
}

err_t psp_webhook_read(const psp_t *psp, str_t body, psp_report_t *report, err_detail_t *detail)
{
    memset(report, 0, sizeof *report);
    json_t *json = json_read_object(body, NULL);
    const psp_webhooks_t *format = format_of(psp, body, json);
    err_t err = format->read(body, json, report, detail);
    json_decref(json);
    return err;
}

bool psp_report_is_empty(const psp_report_t *report)
{
    return report->kind == PSP_FACT_NONE && uuid_is_nil(&report->payment_id) &&
           !report->announced[0];
}

/* ---- checkouts ---- */

const char *psp_checkout_lacks(const psp_t *psp, const psp_account_t *account,
                               const psp_checkout_t *checkout)
{
    const psp_customer_t *customer = &checkout->customer;
    if ((psp->needs & PSP_NEEDS_NAME) && !customer->name[0])
        return "customer.name";
    if ((psp->needs & PSP_NEEDS_EMAIL) && !customer->email[0])
        return "customer.email";
    if ((psp->needs & PSP_NEEDS_PHONE) && !customer->phone[0] && !account->default_phone)
        return "customer.phone";
    return NULL;
}

bool psp_takes(const psp_t *psp, const char *currency)
{
    return psp->only_currency == NULL || strcmp(psp->only_currency, currency) == 0;
}

bool psp_takes_manual_capture(const psp_t *psp, const psp_account_t *account)
{
    if (!psp->connector->preauth_by_account)
        return psp_takes_capture(psp);
    return psp_takes_capture(psp) && account->preauth && strcmp(account->preauth, "yes") == 0;
}

bool psp_takes_capture(const psp_t *psp)
{
    return psp->connector->capture_request != NULL;
}

bool psp_takes_void(const psp_t *psp)
{
    return psp->connector->void_request != NULL;
}

bool psp_checkout_is_local(const psp_t *psp)
{
    return psp->connector->checkout_request == NULL;
}

void psp_checkout_request(const psp_t *psp, const psp_account_t *account,
                          const psp_checkout_t *checkout, http_client_request_t *request)
{
    CHECK(account);
    memset(request, 0, sizeof *request);
    psp->connector->checkout_request(account, checkout, request);
}

void psp_checkout_read(const psp_t *psp, const http_client_response_t *response,
                       psp_checkout_answer_t *answer)
{
    memset(answer, 0, sizeof *answer);
    psp->connector->checkout_read(response, answer);
}

static bool is_https(const char *url)
{
    return strncmp(url, "https://", 8) == 0;
}

void psp_checkout_keep_to_https(const psp_account_t *account, psp_checkout_answer_t *answer)
{
    if (answer->outcome != PSP_CHECKOUT_OPEN || answer->checkout_url[0] == '\0' ||
        is_https(answer->checkout_url) || !is_https(account->base_url))
        return;
    memset(answer, 0, sizeof *answer);
    psp_checkout_not_understood(answer);
}

bool psp_checkout_find_request(const psp_t *psp, const psp_account_t *account,
                               const psp_checkout_t *checkout, http_client_request_t *request)
{
    CHECK(account);
    memset(request, 0, sizeof *request);
    if (!psp->connector->checkout_find_request)
        return false;
    psp->connector->checkout_find_request(account, checkout, request);
    return true;
}

void psp_checkout_open(const psp_t *psp, const psp_account_t *account,
                       const psp_checkout_t *checkout, psp_checkout_answer_t *answer)
{
    CHECK(account);
    memset(answer, 0, sizeof *answer);
    psp->connector->checkout_open(account, checkout, answer);
}

void psp_page_add_escaped(buf_t *html, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&':
            buf_add_text(html, "&amp;");
            break;
        case '<':
            buf_add_text(html, "&lt;");
            break;
        case '>':
            buf_add_text(html, "&gt;");
            break;
        case '"':
            buf_add_text(html, "&quot;");
            break;
        case '\'':
            buf_add_text(html, "&#39;");
            break;
        default:
            buf_add(html, text, 1);
        }
}

void psp_page_add_attribute(buf_t *html, const char *name, const char *value)
{
    buf_printf(html, " %s=\"", name);
    psp_page_add_escaped(html, value);
    buf_add_text(html, "\"");
}

bool psp_page(const psp_t *psp, const psp_account_t *account, const psp_checkout_t *checkout,
              const char *page_data, psp_page_t *page)
{
    CHECK(account);
    memset(page, 0, sizeof *page);
    if (!psp->connector->page)
        return false;
    psp->connector->page(account, checkout, page_data, page);
    return true;
}

/* ---- status ---- */

unsigned psp_status_calls_per_min(const psp_t *psp)
{
    return psp->status_calls_per_min;
}

unsigned psp_refund_calls_per_min(const psp_t *psp)
{
    return psp->refund_calls_per_min;
}

int64_t psp_next_call_ms(int64_t now_ms, unsigned calls_per_min)
{
    enum { MINUTE_MS = 60000 };
    return calls_per_min == 0 ? now_ms : now_ms + (MINUTE_MS + calls_per_min - 1) / calls_per_min;
}

bool psp_status_request(const psp_t *psp, const psp_account_t *account,
                        const psp_payment_t *payment, http_client_request_t *request)
{
    CHECK(account);
    memset(request, 0, sizeof *request);
    return psp->connector->status_request(account, payment, request);
}

err_t psp_status_read(const psp_t *psp, const psp_payment_t *payment, int http_status, str_t body,
                      psp_report_t *report, err_detail_t *detail)
{
    memset(report, 0, sizeof *report);
    return psp->connector->status_read(payment, http_status, body, report, detail);
}

/* ---- refunds ---- */

void psp_capture_request(const psp_t *psp, const psp_account_t *account,
                         const psp_authorization_t *authorization, http_client_request_t *request)
{
    CHECK(account && psp_takes_capture(psp));
    memset(request, 0, sizeof *request);
    psp->connector->capture_request(account, authorization, request);
}

void psp_void_request(const psp_t *psp, const psp_account_t *account,
                      const psp_authorization_t *authorization, http_client_request_t *request)
{
    CHECK(account && psp_takes_void(psp));
    memset(request, 0, sizeof *request);
    psp->connector->void_request(account, authorization, request);
}

void psp_refund_request(const psp_t *psp, const psp_account_t *account, const psp_refund_t *refund,
                        http_client_request_t *request)
{
    CHECK(account);
    memset(request, 0, sizeof *request);
    psp->connector->refund_request(account, refund, request);
}

bool psp_refund_status_request(const psp_t *psp, const psp_account_t *account,
                               const psp_refund_t *refund, http_client_request_t *request)
{
    CHECK(account);
    memset(request, 0, sizeof *request);
    if (!psp->connector->refund_status_request)
        return false;
    psp->connector->refund_status_request(account, refund, request);
    return true;
}

bool psp_refund_key_lives(const psp_t *psp, int64_t key_age_s)
{
    enum { HOUR_S = 3600 };
    /* An hour less: the call is still to come, and clocks differ. */
    return psp->refund_key_lives_h == 0 ||
           key_age_s < ((int64_t)psp->refund_key_lives_h - 1) * HOUR_S;
}

err_t psp_refund_read(const psp_t *psp, const psp_refund_t *asked, int http_status, str_t body,
                      psp_report_t *report, err_detail_t *detail)
{
    memset(report, 0, sizeof *report);
    return psp->connector->refund_read(asked, http_status, body, report, detail);
}

/* ---- access tokens ---- */

bool psp_token_request(const psp_t *psp, const psp_account_t *account,
                       http_client_request_t *request)
{
    CHECK(account);
    memset(request, 0, sizeof *request);
    if (!psp->connector->token_request)
        return false;
    psp->connector->token_request(account, request);
    return true;
}

bool psp_token_read(const psp_t *psp, const http_client_response_t *response, int64_t now_us,
                    char header[PSP_TOKEN_SIZE], int64_t *lives_ms)
{
    return psp->connector->token_read(response, now_us, header, lives_ms);
}
