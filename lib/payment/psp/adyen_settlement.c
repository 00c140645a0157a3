/* adyen_settlement.c - Adyen's Settlement details report: a CSV file for each batch that is paid
 * out. Formats: docs.adyen.com/reporting/automatically-get-reports and
 * docs.adyen.com/reporting/settlement-reconciliation/transaction-level/settlement-details-report.
 *
 * A report is announced: REPORT_AVAILABLE has the file's name as its pspReference, which is signed,
 * and where it is as its reason, which is not. So the reason is believed only so far: it must end
 * in the name, and be at Adyen, or at whoever stands in for Adyen; nobody else gets the API key.
 * What is read there is Adyen's word by the TLS certificate, as every answer is.
 *
 * Which columns there are, and in which order, is the merchant's choice: they are found by their
 * names. A line goes on as a JSON object of those that are read; all others stay in the file. A
 * line of type Settled is of a charge, by the pspReference of the authorisation, which is the
 * reference of its facts; one of type Refunded of a refund, by the modification's. The type says
 * which way money went, so that the amount may be in either column of its pair.
 *
 * Amounts are decimals with the digits of ISO 4217, unlike those of the API. What is not paid out
 * of a charge is the fee. Where it is paid out in another currency than it was paid in, SETTLED is
 * in that, with the fee that the costs come to.
 *
 * What must never happen: the API key sent anywhere but to Adyen.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/csv.h"
#include "lib/payment/money.h"
#include "lib/payment/psp/adyen.h"
#include "lib/payment/psp/fields.h"

#define REPORT_PREFIX "settlement_detail_report"
#define OWN_DOMAIN ".adyen.com"

enum {
    NAME_MAX_BYTES = 100, /* of a file: its event id holds it */
    FILE_MAX_BYTES = 16 << 20,
};

/* ---- announcements ---- */

static bool is_file_name(str_t text)
{
    if (!text.data || text.size == 0 || text.size > NAME_MAX_BYTES)
        return false;
    for (uint32_t i = 0; i < text.size; i++)
        if (!isalnum((unsigned char)text.data[i]) && !strchr("_-.", text.data[i]))
            return false;
    return !memchr(text.data, '\0', text.size);
}

static bool begins_with(str_t text, const char *start)
{
    return text.size >= strlen(start) && memcmp(text.data, start, strlen(start)) == 0;
}

static bool ends_with(str_t text, str_t end)
{
    return text.size >= end.size &&
           memcmp(text.data + text.size - end.size, end.data, end.size) == 0;
}

/* Reports of other kinds are nobody's business here. */
err_t adyen_read_announcement(const json_t *item, psp_report_t *report, err_detail_t *detail)
{
    str_t name = json_read_str(item, "pspReference"), url = json_read_str(item, "reason"),
          success = json_read_str(item, "success");
    if (!is_file_name(name))
        return psp_malformed(detail, "pspReference", "must be the name of a report");
    snprintf(report->event_id, sizeof report->event_id, "REPORT_AVAILABLE_%.*s", STR_ARG(name));
    if (!str_is(success, "true") || !begins_with(name, REPORT_PREFIX) ||
        !ends_with(name, STR_LITERAL(".csv")))
        return ERR_OK;
    if (!url.data || url.size >= sizeof report->announced || memchr(url.data, '\0', url.size) ||
        url.size <= name.size || !ends_with(url, name) || url.data[url.size - name.size - 1] != '/')
        return psp_malformed(detail, "reason", "must be the URL of the report");
    str_copy(url, report->announced, sizeof report->announced);
    return ERR_OK;
}

/* The path of a URL that is at Adyen or at the configured address; NULL: it is elsewhere. */
static const char *path_at_adyen(const psp_account_t *account, const char *url)
{
    const size_t base_size = strlen(account->base_url), https_size = strlen("https://");
    if (strncmp(url, account->base_url, base_size) == 0 && url[base_size] == '/')
        return url + base_size;
    if (strncmp(url, "https://", https_size) != 0)
        return NULL;
    const char *host = url + https_size;
    const size_t size = strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-.");
    return host[size] == '/' && size > strlen(OWN_DOMAIN) && host[0] != '.' &&
                   ends_with((str_t){host, (uint32_t)size}, STR_LITERAL(OWN_DOMAIN))
               ? host + size
               : NULL;
}

static bool is_plain_path(const char *path)
{
    for (const char *at = path; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("_-./", *at))
            return false;
    return !strstr(path, "..");
}

bool adyen_settlement_request(const psp_account_t *account, const psp_settlement_query_t *query,
                              http_client_request_t *request)
{
    const char *path = path_at_adyen(account, query->url);
    if (!path || !is_plain_path(path))
        return false;
    adyen_begin(account, "GET", request);
    request->response_max_bytes = FILE_MAX_BYTES;
    snprintf(request->url, sizeof request->url, "%s", query->url);
    return true;
}

/* ---- the file ---- */

enum column {
    PSP_REFERENCE,
    MERCHANT_REFERENCE,
    TYPE,
    MODIFICATION_REFERENCE,
    GROSS_CURRENCY,
    GROSS_DEBIT,
    GROSS_CREDIT,
    NET_CURRENCY,
    NET_DEBIT,
    NET_CREDIT,
    REQUIRED_COLUMNS,
    MODIFICATION_MERCHANT_REFERENCE = REQUIRED_COLUMNS,
    CREATION_DATE,
    TIME_ZONE,
    BOOKING_DATE,
    BOOKING_TIME_ZONE,
    COMMISSION,
    MARKUP,
    SCHEME_FEES,
    INTERCHANGE,
    COLUMNS
};
static const char *const columns[COLUMNS] = {"Psp Reference",
                                             "Merchant Reference",
                                             "Type",
                                             "Modification Reference",
                                             "Gross Currency",
                                             "Gross Debit (GC)",
                                             "Gross Credit (GC)",
                                             "Net Currency",
                                             "Net Debit (NC)",
                                             "Net Credit (NC)",
                                             "Modification Merchant Reference",
                                             "Creation Date",
                                             "TimeZone",
                                             "Booking Date",
                                             "Booking Date TimeZone",
                                             "Commission (NC)",
                                             "Markup (NC)",
                                             "Scheme Fees (NC)",
                                             "Interchange (NC)"};

/* Where each column is; -1: nowhere. */
static err_t read_header(csv_t *csv, csv_record_t *record, int places[COLUMNS], size_t *width,
                         err_detail_t *detail)
{
    if (csv_next(csv, record) != CSV_RECORD)
        return psp_malformed(detail, "the report", "must begin with the names of its columns");
    *width = record->count;
    for (int column = 0; column < COLUMNS; column++) {
        places[column] = -1;
        for (size_t i = 0; i < record->count; i++) {
            if (!str_is(record->fields[i], columns[column]))
                continue;
            if (places[column] >= 0)
                return psp_malformed(detail, columns[column], "is a column twice");
            places[column] = (int)i;
        }
        if (places[column] < 0 && column < REQUIRED_COLUMNS)
            return psp_malformed(detail, columns[column], "is not a column of the report");
    }
    return ERR_OK;
}

static void write_line(const csv_record_t *record, const int places[COLUMNS], buf_t *made)
{
    json_open_object(made, NULL);
    for (int column = 0; column < COLUMNS; column++)
        if (places[column] >= 0 && record->fields[places[column]].size > 0)
            json_str(made, columns[column], record->fields[places[column]]);
    json_close_object(made);
}

/* The cursor is the byte of a report that does not change: it is the first of a line. */
static bool begin_at(csv_t *csv, const char *cursor)
{
    char *end;
    if (!cursor[0])
        return true;
    const unsigned long long at = strtoull(cursor, &end, 10);
    if (!isdigit((unsigned char)cursor[0]) || *end != '\0' || at < csv->at || at > csv->text.size ||
        csv->text.data[at - 1] != '\n')
        return false;
    csv->at = (size_t)at;
    return true;
}

/* Lines are made one after the other; where each begins is kept as a number while they may move. */
static err_t read_lines(csv_t *csv, csv_record_t *record, const int places[COLUMNS], size_t width,
                        size_t begins[PSP_SETTLEMENT_LINES_MAX], psp_settlement_page_t *page,
                        err_detail_t *detail)
{
    json_open_array(&page->made, NULL);
    while (page->count < PSP_SETTLEMENT_LINES_MAX) {
        const csv_outcome_t outcome = csv_next(csv, record);
        if (outcome == CSV_END)
            return ERR_OK;
        if (outcome == CSV_MALFORMED || record->count != width)
            return err_set(detail, ERR_MALFORMED_WEBHOOK,
                           "the report is no CSV with %zu fields before byte %zu", width, csv->at);
        const size_t before = page->made.size;
        write_line(record, places, &page->made);
        begins[page->count] = before + (page->made.data[before] == ',');
        page->lines[page->count].size = (uint32_t)(page->made.size - begins[page->count]);
        page->count++;
    }
    if (page->made.overflow)
        return psp_malformed(detail, "the report", "has lines that are too long");
    csv_t after = *csv;
    if (csv_next(&after, record) != CSV_END)
        snprintf(page->next, sizeof page->next, "%zu", csv->at);
    return ERR_OK;
}

err_t adyen_settlement_page(const psp_settlement_query_t *query, str_t body,
                            psp_settlement_page_t *page, err_detail_t *detail)
{
    csv_t csv = {.text = body};
    csv_record_t record;
    int places[COLUMNS];
    size_t width = 0, begins[PSP_SETTLEMENT_LINES_MAX];
    TRY(read_header(&csv, &record, places, &width, detail));
    if (!begin_at(&csv, query->cursor))
        return psp_malformed(detail, "the cursor", "is of another report");
    TRY(read_lines(&csv, &record, places, width, begins, page, detail));
    for (size_t i = 0; i < page->count; i++)
        page->lines[i].data = page->made.data + begins[i];
    return ERR_OK;
}

/* ---- lines ---- */

static str_t field_of(const json_t *line, enum column column)
{
    return json_read_str(line, columns[column]);
}

/* Adyen leaves amounts that are none empty, or writes 0. */
static bool is_nothing(str_t text)
{
    for (uint32_t i = 0; i < text.size; i++)
        if (text.data[i] != '0' && text.data[i] != '.')
            return false;
    return true;
}

static err_t read_decimal(const json_t *line, enum column column, const char *currency,
                          int64_t *amount, err_detail_t *detail)
{
    if (!amount_parse(field_of(line, column), currency, amount))
        return psp_malformed(detail, columns[column], "must be an amount");
    return ERR_OK;
}

static err_t read_currency(const json_t *line, enum column column, char currency[4],
                           err_detail_t *detail)
{
    str_t text = field_of(line, column);
    if (!currency_known(text))
        return psp_malformed(detail, columns[column], "must be an ISO 4217 code");
    str_copy(text, currency, 4);
    return ERR_OK;
}

/* The one of the pair that has the amount. */
static err_t read_gross(const json_t *line, bool *debit, psp_report_t *report, err_detail_t *detail)
{
    *debit = !is_nothing(field_of(line, GROSS_DEBIT));
    if (*debit && !is_nothing(field_of(line, GROSS_CREDIT)))
        return psp_malformed(detail, columns[GROSS_CREDIT], "must not be beside a debit");
    TRY(read_currency(line, GROSS_CURRENCY, report->currency, detail));
    return read_decimal(line, *debit ? GROSS_DEBIT : GROSS_CREDIT, report->currency,
                        &report->amount, detail);
}

/* "2013-06-03 11:26:49" in a zone that Adyen abbreviates; 0 where that says nothing sure. */
static int64_t time_of(const json_t *line, enum column date, enum column zone)
{
    static const struct {
        const char *name, *offset;
    } zones[] = {{"UTC", "Z"},       {"GMT", "Z"},       {"WEST", "+01:00"}, {"CET", "+01:00"},
                 {"CEST", "+02:00"}, {"EET", "+02:00"},  {"EEST", "+03:00"}, {"EST", "-05:00"},
                 {"EDT", "-04:00"},  {"PST", "-08:00"},  {"PDT", "-07:00"},  {"SGT", "+08:00"},
                 {"JST", "+09:00"},  {"AEST", "+10:00"}, {"AEDT", "+11:00"}};
    str_t at = field_of(line, date), name = field_of(line, zone);
    char text[40];
    int64_t wall_us;
    for (size_t i = 0; at.size == 19 && i < sizeof zones / sizeof zones[0]; i++)
        if (str_is(name, zones[i].name)) {
            snprintf(text, sizeof text, "%.10sT%.8s%s", at.data, at.data + 11, zones[i].offset);
            return rfc3339_parse(text, &wall_us) && wall_us > 0 ? wall_us : 0;
        }
    return 0;
}

psp_fact_kind_t adyen_settlement_of(const json_t *line)
{
    str_t type = field_of(line, TYPE);
    return str_is(type, "Settled")    ? PSP_FACT_CAPTURED
           : str_is(type, "Refunded") ? PSP_FACT_REFUND_SUCCEEDED
                                      : PSP_FACT_NONE;
}

/* What the costs come to; columns that are not there, or empty, are none. */
static err_t read_costs(const json_t *line, const char *currency, int64_t *costs,
                        err_detail_t *detail)
{
    *costs = 0;
    for (enum column column = COMMISSION; column <= INTERCHANGE; column++) {
        int64_t cost = 0;
        if (!is_nothing(field_of(line, column)))
            TRY(read_decimal(line, column, currency, &cost, detail));
        if (*costs > AMOUNT_MAX - cost)
            return psp_malformed(detail, columns[column], "is too much");
        *costs += cost;
    }
    return ERR_OK;
}

/* What is paid out, on the side of the gross amount. */
static err_t read_net(const json_t *line, bool debit, psp_report_t *report, err_detail_t *detail)
{
    const enum column column = debit ? NET_DEBIT : NET_CREDIT,
                      other = debit ? NET_CREDIT : NET_DEBIT;
    char currency[4];
    int64_t net = 0;
    TRY(read_currency(line, NET_CURRENCY, currency, detail));
    if (!is_nothing(field_of(line, other)))
        return psp_malformed(detail, columns[other], "must be on the side of the gross amount");
    if (!is_nothing(field_of(line, column)))
        TRY(read_decimal(line, column, currency, &net, detail));
    if (strcmp(currency, report->currency) == 0) {
        report->fee = report->amount - net;
        return ERR_OK;
    }
    TRY(read_costs(line, currency, &report->fee, detail));
    if (net == 0 || net > AMOUNT_MAX - report->fee)
        return psp_malformed(detail, columns[column], "must be an amount");
    report->amount = net + report->fee;
    memcpy(report->currency, currency, sizeof currency);
    return ERR_OK;
}

err_t adyen_settlement_charge(str_t text, const json_t *line, psp_report_t *report,
                              err_detail_t *detail)
{
    uuid_t refund_id;
    bool debit;
    (void)text;
    adyen_read_merchant_reference(field_of(line, MERCHANT_REFERENCE), &report->payment_id,
                                  &refund_id);
    TRY(adyen_read_psp_reference(line, columns[PSP_REFERENCE], report, detail));
    TRY(read_gross(line, &debit, report, detail));
    if (report->kind == PSP_FACT_CAPTURED) {
        report->occurred_at_us = time_of(line, CREATION_DATE, TIME_ZONE);
        return ERR_OK;
    }
    report->occurred_at_us = time_of(line, BOOKING_DATE, BOOKING_TIME_ZONE);
    return read_net(line, debit, report, detail);
}

/* Where the report lacks the modification's own reference, the reference that Adyen gave it
 * remains. */
err_t adyen_settlement_refund(str_t text, const json_t *line, psp_report_t *report,
                              err_detail_t *detail)
{
    uuid_t payment_id, ignored;
    bool debit;
    (void)text;
    adyen_read_merchant_reference(field_of(line, MERCHANT_REFERENCE), &report->payment_id,
                                  &report->refund_id);
    adyen_read_merchant_reference(field_of(line, MODIFICATION_MERCHANT_REFERENCE), &payment_id,
                                  &ignored);
    if (!uuid_is_nil(&ignored))
        report->refund_id = ignored;
    if (uuid_is_nil(&report->payment_id))
        report->payment_id = payment_id;
    TRY(adyen_read_psp_reference(line, columns[MODIFICATION_REFERENCE], report, detail));
    report->occurred_at_us = time_of(line, CREATION_DATE, TIME_ZONE);
    return read_gross(line, &debit, report, detail);
}
