/* wire_adyen_report.c - Adyen's Settlement details reports: a batch of what was paid out is closed
 * when a script says so, announced by a webhook, and fetched as CSV. Formats: adyen_settlement.c in
 * lib/payment/psp.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/payment/money.h"
#include "services/psp_sim/sim_settlement.h"
#include "services/psp_sim/wire_adyen.h"

#define FILE_FORMAT "settlement_detail_report_batch_%lld.csv"

enum { LINES_MAX = 20000, FILE_MAX_BYTES = 16 << 20, NAME_SIZE = 64 };

static const char header[] =
    "Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,"
    "Creation Date,TimeZone,Type,Modification Reference,Gross Currency,Gross Debit (GC),"
    "Gross Credit (GC),Exchange Rate,Net Currency,Net Debit (NC),Net Credit (NC),Commission (NC),"
    "Markup (NC),Scheme Fees (NC),Interchange (NC),Payment Method Variant,"
    "Modification Merchant Reference,Batch Number,Reserved4,Reserved5,Reserved6,Reserved7,"
    "Reserved8,Reserved9,Reserved10\r\n";

static const char *format_time(int64_t wall_us, char text[32])
{
    struct tm tm;
    const time_t at = (time_t)(wall_us / 1000000);
    CHECK(gmtime_r(&at, &tm));
    strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm);
    return text;
}

/* "" for none. */
static const char *format_amount(int64_t amount, const char *currency, char text[AMOUNT_TEXT_SIZE])
{
    if (amount <= 0)
        return "";
    return amount_format(amount, currency, text);
}

static void write_line(const sim_call_t *call, const sim_settlement_line_t *line, int64_t batch,
                       buf_t *csv)
{
    const bool charge = line->kind == SIM_CHARGE;
    const char *currency = line->checkout.currency;
    const int64_t net = line->amount - line->fee;
    char ref[SIM_REF_SIZE], modification[SIM_REF_SIZE], at[32];
    char gross_text[AMOUNT_TEXT_SIZE], net_text[AMOUNT_TEXT_SIZE], fee_text[AMOUNT_TEXT_SIZE];
    format_amount(line->amount, currency, gross_text);
    if (net > 0)
        format_amount(net, currency, net_text);
    else
        net_text[0] = '\0';
    sim_ref(ref, "txn", call->psp, line->serial);
    sim_ref(modification, charge ? "dsp" : "rfd", call->psp, line->serial);
    buf_printf(csv, "Tiffin,%s,%s,%s,visa,%s,UTC,%s,%s,%s,", call->account->account,
               charge ? ref : line->refund.charge_ref, line->checkout.reference,
               format_time(line->at_us, at), charge ? "Settled" : "Refunded", modification,
               currency);
    buf_printf(csv, "%s,%s,1,%s,", charge ? "" : gross_text, charge ? gross_text : "", currency);
    buf_printf(csv, "%s,%s,,%s,,,visaclassic,%s,%lld,,,,,,,\r\n", charge ? "" : net_text,
               charge ? net_text : "", format_amount(line->fee, currency, fee_text),
               charge ? "" : line->refund.reference, (long long)batch);
}

/* What Adyen books beside payments: the month's fees, and the payout itself. */
static void write_rest(const sim_call_t *call, const sim_settlement_line_t *first, int64_t batch,
                       buf_t *csv)
{
    char at[32];
    format_time(first->paid_us, at);
    buf_printf(csv,
               "Tiffin,%s,,,,%s,UTC,Fee,Transaction Fees,,,,,EUR,0.10,,,,,,,,%lld,,,,,,,\r\n"
               "Tiffin,%s,,,,%s,UTC,MerchantPayout,\"batch %lld, \"\"%s\"\"\",,,,,EUR,0.90,,,,,,,,"
               "%lld,,,,,,,\r\n",
               call->account->account, at, (long long)batch, call->account->account, at,
               (long long)batch, first->utr, (long long)batch);
}

static void write_report(sim_call_t *call, int64_t batch, int64_t from_us, int64_t before_us)
{
    sim_settlement_line_t *lines = calloc(LINES_MAX, sizeof *lines);
    CHECK(lines);
    const size_t count = sim_settlement_lines(call, from_us, before_us, 0, lines, LINES_MAX);
    buf_free(&call->body);
    buf_init(&call->body, FILE_MAX_BYTES);
    call->status = 200;
    call->content_type = "text/csv";
    buf_add_text(&call->body, header);
    for (size_t i = 0; i < count; i++)
        write_line(call, &lines[i], batch, &call->body);
    if (count > 0)
        write_rest(call, &lines[0], batch, &call->body);
    free(lines);
}

void wire_adyen_report(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_adyen, SIM_CALL_READ)) {
        char name[NAME_SIZE];
        long long batch = 0;
        int used = 0;
        int64_t from_us, before_us;
        str_copy(request->params[1], name, sizeof name);
        if (!str_is(request->params[0], call.account->account) ||
            sscanf(name, FILE_FORMAT "%n", &batch, &used) != 1 || name[used] ||
            !sim_batch_find(call.self, batch, &from_us, &before_us))
            sim_call_refuse(&call, 404, "There is no such report");
        else
            write_report(&call, batch, from_us, before_us);
    }
    sim_call_end(&call);
}

/* ---- the announcement ---- */

static void write_announcement(const psp_account_t *account, const char *name, const char *url,
                               buf_t *body)
{
    char at[RFC3339_SIZE];
    buf_t fields = {0};
    buf_printf(&fields, "%s::%s::0:EUR:REPORT_AVAILABLE:true", name, account->account);
    json_open_object(body, NULL);
    json_text(body, "live", "false");
    json_open_array(body, "notificationItems");
    json_open_object(body, NULL);
    json_open_object(body, "NotificationRequestItem");
    json_open_object(body, "additionalData");
    wire_adyen_sign(account, &fields, body);
    json_close_object(body);
    json_open_object(body, "amount");
    json_text(body, "currency", "EUR");
    json_int(body, "value", 0);
    json_close_object(body);
    json_text(body, "eventCode", "REPORT_AVAILABLE");
    json_text(body, "eventDate", rfc3339_format(clock_wall_us() / 1000000 * 1000000, at));
    json_text(body, "merchantAccountCode", account->account);
    json_text(body, "merchantReference", "");
    json_text(body, "pspReference", name);
    json_text(body, "reason", url);
    json_text(body, "success", "true");
    json_close_object(body);
    json_close_object(body);
    json_close_array(body);
    json_close_object(body);
    buf_free(&fields);
}

/* {"at":…}: what the announcement says instead of Adyen's address. */
static err_t read_address(str_t body, char address[256], err_detail_t *detail)
{
    if (body.size == 0)
        return ERR_OK;
    json_t *root = json_read_object(body, detail);
    if (!root)
        return ERR_MALFORMED_JSON;
    str_t at = json_read_str(root, "at");
    const bool fits = json_object_size(root) == (at.data ? 1u : 0u) && at.size < 256;
    if (fits && at.data)
        str_copy(at, address, 256);
    json_decref(root);
    return fits ? ERR_OK : err_set(detail, ERR_INVALID_FIELD, "at, a URL, is all that can be said");
}

void sim_script_report(http_request_t *request)
{
    static const sim_sending_t once = {.copies = 1};
    sim_t *self = request->self;
    const psp_t *psp = psp_at(PSP_INDEX_adyen);
    const psp_account_t *account = psp_account_of(&self->config->psps, psp);
    char address[256], name[NAME_SIZE];
    err_detail_t detail = {{0}};
    if (account == NULL || psp_find(request->params[0]) != psp) {
        http_respond_problem(request, ERR_UNKNOWN_GATEWAY, NULL);
        return;
    }
    snprintf(address, sizeof address, "%s", account->base_url);
    const err_t err = read_address(request->body, address, &detail);
    if (err != ERR_OK) {
        http_respond_problem(request, err, detail.text);
        return;
    }
    const int64_t batch = sim_batch_close(self);
    if (batch == 0) {
        http_respond_problem(request, ERR_BUSY, "there are too many batches");
        return;
    }
    buf_t url = {0}, body = {0};
    sim_message_t message = {.content_type = NULL};
    snprintf(name, sizeof name, FILE_FORMAT, (long long)batch);
    buf_printf(&url, "%s/reports/download/MerchantAccount/%s/%s", address, account->account, name);
    write_announcement(account, name, url.data, &message.body);
    sim_webhook_send(self->webhook, psp, name, &message, &once);
    json_open_object(&body, NULL);
    json_text(&body, "url", url.data);
    json_close_object(&body);
    http_respond_json(request, 200, &body);
    buf_free(&message.body);
    buf_free(&body);
    buf_free(&url);
}
