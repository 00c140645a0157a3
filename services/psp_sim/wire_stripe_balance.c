/* wire_stripe_balance.c - Stripe's balance: what was booked to the account, line by line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "services/psp_sim/sim_settlement.h"
#include "services/psp_sim/wire_stripe.h"

static const int64_t second_us = 1000000;

/* Nothing is paid out here by itself, and no webhook is given up. */
void wire_stripe_empty_list(http_request_t *request)
{
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_READ)) {
        wire_stripe_begin_list(&call);
        wire_stripe_end_list(&call, strstr(request->path, "/v1/"));
    }
    sim_call_end(&call);
}

/* The charge that a line is of, as far as anybody reads it. */
static void write_charge(buf_t *body, const sim_settlement_line_t *line, const char *currency)
{
    char text[SIM_REF_SIZE];
    json_open_object(body, "source");
    wire_stripe_name(text, "ch", &line->checkout, line->serial);
    json_text(body, "id", text);
    json_text(body, "object", "charge");
    json_int(body, "amount", line->amount);
    json_int(body, "amount_captured", line->amount);
    json_text(body, "currency", currency);
    json_bool(body, "captured", true);
    json_int(body, "created", line->at_us / second_us);
    wire_stripe_name(text, "pi", &line->checkout, line->serial);
    json_text(body, "payment_intent", text);
    json_text(body, "status", "succeeded");
    sim_notes_write(body, "metadata", sim_payment_notes(&line->checkout), "{}");
    json_close_object(body);
}

static void name_line(char text[SIM_REF_SIZE], const sim_settlement_line_t *line)
{
    char ref[SIM_REF_SIZE];
    const bool charge = line->kind == SIM_CHARGE;
    sim_ref(ref, charge ? "txn" : "rfd", line->checkout.psp, line->serial);
    snprintf(text, SIM_REF_SIZE, "txn_%c%.50s", charge ? '1' : '3', ref + 3);
}

static void write_line(buf_t *body, const sim_settlement_line_t *line, bool expanded)
{
    char text[SIM_REF_SIZE], currency[4];
    const bool charge = line->kind == SIM_CHARGE;
    wire_stripe_currency(line->checkout.currency, currency);
    json_open_object(body, NULL);
    name_line(text, line);
    json_text(body, "id", text);
    json_text(body, "object", "balance_transaction");
    json_int(body, "amount", charge ? line->amount : -line->amount);
    json_int(body, "available_on", line->paid_us / second_us);
    json_text(body, "balance_type", "payments");
    json_int(body, "created", line->paid_us / second_us);
    json_text(body, "currency", currency);
    json_nil(body, "description");
    json_nil(body, "exchange_rate");
    json_int(body, "fee", line->fee);
    json_open_array(body, "fee_details");
    json_close_array(body);
    json_int(body, "net", charge ? line->amount - line->fee : -line->amount);
    json_text(body, "reporting_category", charge ? "charge" : "refund");
    if (!charge && expanded) {
        wire_stripe_write_refund(body, "source", &line->refund);
    } else if (!charge) {
        json_text(body, "source", sim_ref(text, "rfd", line->checkout.psp, line->serial));
    } else if (expanded) {
        write_charge(body, line, currency);
    } else {
        wire_stripe_name(text, "ch", &line->checkout, line->serial);
        json_text(body, "source", text);
    }
    json_text(body, "status", "available");
    json_text(body, "type", charge ? "charge" : "refund");
    json_close_object(body);
}

/* A number of the query; `missing` when it is not there, -1 when it is no number. */
static int64_t query_number(const http_request_t *request, const char *name, int64_t missing)
{
    char text[24], *end;
    const int found = http_query(request, name, text, sizeof text);
    if (found <= 0)
        return found == 0 ? missing : -1;
    const int64_t value = strtoll(text, &end, 10);
    return text[0] != '\0' && *end == '\0' ? value : -1;
}

enum { LIMIT_MAX = 100, LIMIT = 10 };

/* How many lines there are up to the one named `after`, with it; false: there is none. */
static bool place_of(sim_call_t *call, int64_t from_us, int64_t before_us, const char *after,
                     sim_settlement_line_t lines[LIMIT_MAX + 1], size_t *place)
{
    char id[SIM_REF_SIZE];
    size_t count = LIMIT_MAX;
    for (*place = 0; count == LIMIT_MAX;) {
        count = sim_settlement_lines(call, from_us, before_us, *place, lines, LIMIT_MAX);
        for (size_t i = 0; i < count; i++) {
            name_line(id, &lines[i]);
            (*place)++;
            if (strcmp(id, after) == 0)
                return true;
        }
    }
    return false;
}

static void write_lines(sim_call_t *call, const sim_settlement_line_t *lines, size_t count,
                        size_t limit, bool expanded)
{
    buf_t *body = &call->body;
    call->status = 200;
    json_open_object(body, NULL);
    json_text(body, "object", "list");
    json_open_array(body, "data");
    for (size_t i = 0; i < count && i < limit; i++)
        write_line(body, &lines[i], expanded);
    json_close_array(body);
    json_bool(body, "has_more", count > limit);
    json_text(body, "url", "/v1/balance_transactions");
    json_close_object(body);
}

/* Oldest first, unlike Stripe's, so that what is added meanwhile comes last; 10 unless more are
 * asked for. Payouts are not made here: asked for those of one, there are none. */
void wire_stripe_balance_list(http_request_t *request)
{
    static const int64_t latest_s = INT64_C(253402300800); /* the year 10000 */
    sim_call_t call;
    if (sim_call_begin(&call, request, &sim_wire_stripe, SIM_CALL_READ)) {
        char payout[SIM_REF_SIZE] = "", after[SIM_REF_SIZE] = "", expand[24] = "";
        const int64_t from_s = query_number(request, "created[gte]", 0);
        const int64_t before_s = query_number(request, "created[lt]", latest_s);
        const int64_t limit = query_number(request, "limit", LIMIT);
        size_t skip = 0;
        sim_settlement_line_t *lines = calloc(LIMIT_MAX + 1, sizeof *lines);
        CHECK(lines);
        (void)http_query(request, "payout", payout, sizeof payout);
        (void)http_query(request, "starting_after", after, sizeof after);
        (void)http_query(request, "expand[0]", expand, sizeof expand);
        if (from_s < 0 || from_s > latest_s || before_s < 0 || before_s > latest_s || limit < 1 ||
            limit > LIMIT_MAX)
            sim_call_refuse(&call, 400, "Invalid created or limit");
        else if (after[0] &&
                 !place_of(&call, from_s * second_us, before_s * second_us, after, lines, &skip))
            sim_call_refuse(&call, 400, "No such balance transaction");
        else
            write_lines(&call, lines,
                        payout[0]
                            ? 0
                            : sim_settlement_lines(&call, from_s * second_us, before_s * second_us,
                                                   skip, lines, (size_t)limit + 1),
                        (size_t)limit, strcmp(expand, "data.source") == 0);
        free(lines);
    }
    sim_call_end(&call);
}
