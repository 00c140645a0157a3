/* psp.c - the public face of the connectors: each call goes to the row's connector. */
#include "lib/payment/psp.h"

#include <string.h>

#include "lib/payment/psp/connector.h"
#include "lib/payment/psp/fields.h"

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

err_t psp_webhook_verify(const psp_t *psp, const psp_account_t *account, bool dev,
                         psp_header_fn *header, void *header_arg, str_t body, int64_t now_us,
                         psp_report_t *report, err_detail_t *detail)
{
    memset(report, 0, sizeof *report);
    if (!account)
        return err_set(detail, ERR_SIGNATURE_INVALID, "%s is not configured here", psp->name);
    const bool own = psp->webhooks && header(header_arg, psp->webhooks->signature_header);
    const psp_webhooks_t *webhooks = own ? psp->webhooks : &psp_webhooks_prototype;
    return webhooks->verify(psp, account, dev, header, header_arg, body, now_us, report, detail);
}

err_t psp_webhook_read(const psp_t *psp, str_t body, psp_report_t *report, err_detail_t *detail)
{
    memset(report, 0, sizeof *report);
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    const bool own = psp->webhooks && psp->webhooks->recognises(root);
    const psp_webhooks_t *webhooks = own ? psp->webhooks : &psp_webhooks_prototype;
    err_t err = webhooks->read(root, report, detail);
    json_decref(root);
    return err;
}

bool psp_report_is_empty(const psp_report_t *report)
{
    return report->kind == PSP_FACT_NONE && uuid_is_nil(&report->payment_id);
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

void psp_status_request(const psp_t *psp, const psp_account_t *account, const uuid_t *payment_id,
                        http_client_request_t *request)
{
    CHECK(account);
    memset(request, 0, sizeof *request);
    psp->connector->status_request(account, payment_id, request);
}

err_t psp_status_read(const psp_t *psp, const uuid_t *payment_id, int http_status, str_t body,
                      psp_report_t *report, err_detail_t *detail)
{
    memset(report, 0, sizeof *report);
    return psp->connector->status_read(payment_id, http_status, body, report, detail);
}

void psp_refund_request(const psp_t *psp, const psp_account_t *account, const psp_refund_t *refund,
                        http_client_request_t *request)
{
    CHECK(account);
    memset(request, 0, sizeof *request);
    psp->connector->refund_request(account, refund, request);
}

err_t psp_refund_read(const psp_t *psp, const uuid_t *refund_id, const uuid_t *payment_id,
                      int http_status, str_t body, psp_report_t *report, err_detail_t *detail)
{
    memset(report, 0, sizeof *report);
    return psp->connector->refund_read(refund_id, payment_id, http_status, body, report, detail);
}
