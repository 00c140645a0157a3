/* psp_settlement.c - settlement reports, as far as they are alike at all PSPs: see psp.h.
 *
 * A report is read twice: by the reconciler, which finds its lines and what they are about, and by
 * the webhook-processor, which gets each line as it came and believes that alone.
 */
#include <stdio.h>
#include <string.h>

#include "lib/json_raw.h"
#include "lib/payment/money.h"
#include "lib/payment/psp/answers.h"
#include "lib/payment/psp/connector.h"
#include "lib/payment/psp/fields.h"

bool psp_settlement_request(const psp_t *psp, const psp_account_t *account,
                            const psp_settlement_query_t *query, http_client_request_t *request)
{
    CHECK(account);
    memset(request, 0, sizeof *request);
    return psp->connector->settlement_request &&
           psp->connector->settlement_request(account, query, request);
}

bool psp_settlement_is_announced(const psp_t *psp)
{
    return psp->connector->settlement_page != NULL;
}

void psp_settlement_page_free(psp_settlement_page_t *page)
{
    buf_free(&page->made);
    memset(page, 0, sizeof *page);
}

static err_t take_line(const psp_connector_t *connector, const char *place, const json_t *line,
                       str_t body, psp_settlement_page_t *page, err_detail_t *detail)
{
    char path[64];
    snprintf(path, sizeof path, "%s.%.8s", connector->settlement_lines, place);
    if (!json_is_object(line) || !json_raw_find(body, path, &page->lines[page->count]))
        return psp_malformed(detail, path, "must be an object");
    page->count++;
    return ERR_OK;
}

/* An array, or what PHP makes of one that begins at 1: {"1":{…},"2":{…}}. */
static err_t read_lines(const psp_connector_t *connector, const json_t *root, str_t body,
                        psp_settlement_page_t *page, err_detail_t *detail)
{
    json_t *lines = json_object_get(root, connector->settlement_lines), *line;
    const char *key;
    if ((!json_is_array(lines) && json_object_size(lines) == 0) ||
        json_array_size(lines) + json_object_size(lines) > PSP_SETTLEMENT_LINES_MAX)
        return psp_malformed(detail, connector->settlement_lines, "must be at most 100 lines");
    for (size_t i = 0; i < json_array_size(lines); i++) {
        char place[12];
        snprintf(place, sizeof place, "%zu", i);
        TRY(take_line(connector, place, json_array_get(lines, i), body, page, detail));
    }
    json_object_foreach(lines, key, line)
    {
        if (strlen(key) > 8 || key[strspn(key, "0123456789")] != '\0')
            return psp_malformed(detail, connector->settlement_lines, "must be numbered lines");
        TRY(take_line(connector, key, line, body, page, detail));
    }
    return ERR_OK;
}

static err_t read_page(const psp_connector_t *connector, const psp_settlement_query_t *query,
                       str_t body, psp_settlement_page_t *page, err_detail_t *detail)
{
    json_t *root = psp_read_body(body, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = read_lines(connector, root, body, page, detail);
    if (err == ERR_OK)
        err = connector->settlement_next(query, root, page->count, page->next, detail);
    json_decref(root);
    return err;
}

err_t psp_settlement_read(const psp_t *psp, const psp_settlement_query_t *query, int http_status,
                          str_t body, psp_settlement_page_t *page, err_detail_t *detail)
{
    const psp_connector_t *connector = psp->connector;
    memset(page, 0, sizeof *page);
    if (http_status != 200 || !connector->settlement_request)
        return err_set(detail, ERR_MALFORMED_WEBHOOK, "HTTP %d is no settlement report",
                       http_status);
    TRY(connector->settlement_page ? connector->settlement_page(query, body, page, detail)
                                   : read_page(connector, query, body, page, detail));
    if (page->next[0] && strcmp(page->next, query->cursor) == 0)
        return psp_malformed(detail, "the cursor", "leads back to the same page");
    return ERR_OK;
}

/* What no line may say, whichever connector has read it. */
static err_t check(const psp_report_t *report, err_detail_t *detail)
{
    if (report->fee < 0 || report->fee > report->amount)
        return psp_malformed(detail, "fee", "must be a part of the amount");
    return ERR_OK;
}

static bool is_told(psp_fact_kind_t kind)
{
    return kind == PSP_FACT_SETTLED || kind == PSP_FACT_CAPTURED ||
           kind == PSP_FACT_REFUND_SUCCEEDED;
}

static err_t read_line(const psp_connector_t *connector, psp_fact_kind_t kind, str_t text,
                       const json_t *line, psp_report_t *report, err_detail_t *detail)
{
    const bool of_refund = kind == PSP_FACT_REFUND_SUCCEEDED;
    if (connector->settlement_of(line) !=
        (of_refund ? PSP_FACT_REFUND_SUCCEEDED : PSP_FACT_CAPTURED))
        return ERR_OK;
    report->kind = kind;
    return (of_refund ? connector->settlement_refund
                      : connector->settlement_charge)(text, line, report, detail);
}

err_t psp_settlement_line_read(const psp_t *psp, psp_fact_kind_t kind, str_t line,
                               psp_report_t *report, err_detail_t *detail)
{
    CHECK(is_told(kind));
    memset(report, 0, sizeof *report);
    if (!psp->connector->settlement_of)
        return psp_malformed(detail, "the line", "is of a PSP without settlement reports");
    json_t *root = psp_read_body(line, detail);
    if (!root)
        return ERR_MALFORMED_WEBHOOK;
    err_t err = read_line(psp->connector, kind, line, root, report, detail);
    json_decref(root);
    if (err != ERR_OK || report->kind == PSP_FACT_NONE)
        return err;
    if (kind != PSP_FACT_SETTLED)
        report->fee = 0;
    TRY(check(report, detail));
    psp_derive_event_id("settlement", report);
    return ERR_OK;
}

void psp_settlement_line_type(const psp_t *psp, str_t line, char type[PSP_SETTLEMENT_TYPE_SIZE])
{
    json_t *root = json_read_object(line, NULL);
    str_t told = {NULL, 0};
    if (psp->connector->settlement_type)
        told = json_read_str(root, psp->connector->settlement_type);
    const size_t size =
        told.size < PSP_SETTLEMENT_TYPE_SIZE ? told.size : PSP_SETTLEMENT_TYPE_SIZE - 1;
    for (size_t i = 0; i < size; i++)
        type[i] = told.data[i] > ' ' && told.data[i] <= '~' ? told.data[i] : '?';
    type[size] = '\0';
    if (size == 0)
        snprintf(type, PSP_SETTLEMENT_TYPE_SIZE, "?");
    json_decref(root);
}

void psp_settlement_entry_write(psp_fact_kind_t kind, str_t line, buf_t *entry)
{
    json_open_object(entry, NULL);
    json_text(entry, "tells", psp_fact_kind_name(kind));
    json_raw(entry, "line", line.data, line.size);
    json_close_object(entry);
}

err_t psp_settlement_entry_read(const psp_t *psp, str_t entry, psp_report_t *report,
                                err_detail_t *detail)
{
    json_t *root = json_read_object(entry, NULL);
    const bool is_entry = json_is_object(json_object_get(root, "line"));
    const psp_fact_kind_t kind = psp_fact_kind_parse(json_read_str(root, "tells"));
    str_t line;
    const bool found = is_entry && json_raw_find(entry, "line", &line);
    json_decref(root);
    if (!is_entry)
        return psp_webhook_read(psp, entry, report, detail);
    memset(report, 0, sizeof *report);
    if (!is_told(kind))
        return psp_malformed(detail, "tells", "must be settled, captured or refund_succeeded");
    if (!found)
        return psp_malformed(detail, "line", "must be a line of a settlement report");
    return psp_settlement_line_read(psp, kind, line, report, detail);
}
