/* wire_razorpay_settlements.c - Razorpay's settlement report: each charge and refund of a day or a
 * month that was paid out. Format: razorpay.com/docs/api/settlements/fetch-recon.
 */
#include <stdlib.h>

#include "services/psp_sim/sim_settlement.h"
#include "services/psp_sim/wire_razorpay.h"

static const int64_t second_us = 1000000;

static void write_settled(buf_t *body, const sim_settlement_line_t *line)
{
    const bool charge = line->kind == SIM_CHARGE;
    char text[SIM_REF_SIZE];
    json_open_object(body, NULL);
    wire_razorpay_name(text, charge ? "txn" : "rfd", line->serial);
    json_text(body, "entity_id", text);
    json_text(body, "type", charge ? "payment" : "refund");
    json_int(body, "debit", charge ? 0 : line->amount);
    json_int(body, "credit", charge ? line->amount - line->fee : 0);
    json_int(body, "amount", line->amount);
    json_text(body, "currency", line->checkout.currency);
    json_int(body, "fee", line->fee);
    json_int(body, "tax", 0);
    json_bool(body, "on_hold", false);
    json_bool(body, "settled", true);
    json_int(body, "created_at", line->at_us / second_us);
    json_int(body, "settled_at", line->paid_us / second_us);
    json_text(body, "settlement_id", line->settlement);
    json_text(body, "description", line->checkout.reference);
    const char *notes = charge ? sim_payment_notes(&line->checkout) : line->refund.notes;
    json_text(body, "notes", notes ? notes : "[]"); /* a text here, unlike everywhere else */
    if (charge)
        json_nil(body, "payment_id");
    else
        json_text(body, "payment_id", line->refund.charge_ref);
    json_text(body, "settlement_utr", line->utr);
    wire_razorpay_name(text, "chk", line->checkout.serial);
    json_text(body, "order_id", text);
    if (line->checkout.nameless)
        json_nil(body, "order_receipt");
    else
        json_text(body, "order_receipt", line->checkout.reference);
    json_text(body, "method", "upi");
    json_nil(body, "card_network");
    json_nil(body, "card_issuer");
    json_nil(body, "card_type");
    json_nil(body, "dispute_id");
    json_close_object(body);
}

/* A number of the query between two; what is not there is `missing`. */
static bool read_number(const http_request_t *request, const char *name_of_it, int least, int most,
                        int missing, int *number)
{
    char text[12], *end;
    const int found = http_query(request, name_of_it, text, sizeof text);
    *number = missing;
    if (found <= 0)
        return found == 0 && missing >= least;
    const long value = strtol(text, &end, 10);
    *number = (int)value;
    return text[0] != '\0' && *end == '\0' && value >= least && value <= most;
}

/* Of a month, or (`day`) of one day of it; 10 lines unless more are asked for. */
void wire_razorpay_settlements(http_request_t *request)
{
    enum { LINES_MAX = 1000, SKIP_MAX = 100000000 };
    sim_call_t call;
    int year, month, day, count, skip;
    int64_t from_us, before_us;
    if (!sim_call_begin(&call, request, &sim_wire_razorpay, SIM_CALL_READ)) {
        sim_call_end(&call);
        return;
    }
    if (!read_number(request, "year", 1970, 9998, -1, &year) ||
        !read_number(request, "month", 1, 12, -1, &month) ||
        !read_number(request, "day", 0, 31, 0, &day) ||
        !read_number(request, "count", 1, LINES_MAX, 10, &count) ||
        !read_number(request, "skip", 0, SKIP_MAX, 0, &skip) ||
        !sim_settlement_day(year, month, day ? day : 1, &from_us)) {
        sim_call_refuse(&call, 400, "The year, month, day, count or skip is invalid.");
        sim_call_end(&call);
        return;
    }
    before_us = from_us + SIM_DAY_US;
    if (day == 0)
        CHECK(sim_settlement_day(month == 12 ? year + 1 : year, month % 12 + 1, 1, &before_us));
    sim_settlement_line_t *lines = calloc((size_t)count, sizeof *lines);
    CHECK(lines);
    const size_t found =
        sim_settlement_lines(&call, from_us, before_us, (size_t)skip, lines, (size_t)count);
    call.status = 200;
    json_open_object(&call.body, NULL);
    json_text(&call.body, "entity", "collection");
    json_int(&call.body, "count", (int64_t)found);
    json_open_array(&call.body, "items");
    for (size_t i = 0; i < found; i++)
        write_settled(&call.body, &lines[i]);
    json_close_array(&call.body);
    json_close_object(&call.body);
    free(lines);
    sim_call_end(&call);
}
