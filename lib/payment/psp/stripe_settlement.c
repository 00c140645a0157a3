/* stripe_settlement.c - Stripe's settlement reports: what was booked to the account's balance on a
 * day, each line with the charge or the refund that it is of. Format:
 * docs.stripe.com/api/balance_transactions.
 */
#include <stdio.h>

#include "lib/form.h"
#include "lib/payment/psp/fields.h"
#include "lib/payment/psp/stripe.h"

enum { DAY_S = 86400 };
static const int64_t second_us = 1000000;

/* What was booked to the account's balance on that day, each with the charge that it is of. When it
 * is paid out to a bank follows from the account's schedule, and is not waited for. */
bool stripe_settlement_request(const psp_account_t *account, const psp_settlement_query_t *query,
                               http_client_request_t *request)
{
    buf_t form = {0};
    stripe_begin(account, "GET", request);
    form_add_int(&form, "limit", PSP_SETTLEMENT_LINES_MAX);
    form_add_int(&form, "created[gte]", query->day_us / second_us);
    form_add_int(&form, "created[lt]", query->day_us / second_us + DAY_S);
    form_add(&form, "expand[0]", "data.source");
    if (query->cursor[0])
        form_add(&form, "starting_after", query->cursor);
    snprintf(request->url, sizeof request->url, "%s/v1/balance_transactions?%s", account->base_url,
             form.data);
    buf_free(&form);
    return true;
}

/* The last line's id, where there are more after it. */
err_t stripe_settlement_next(const psp_settlement_query_t *query, const json_t *answer,
                             size_t count, char next[PSP_SETTLEMENT_CURSOR_SIZE],
                             err_detail_t *detail)
{
    const json_t *more = json_object_get(answer, "has_more");
    (void)query;
    if (!json_is_boolean(more))
        return psp_malformed(detail, "has_more", "must be true or false");
    if (!json_is_true(more) || count == 0)
        return ERR_OK;
    str_t id = json_read_str(json_array_get(json_object_get(answer, "data"), count - 1), "id");
    if (!stripe_is_id(id))
        return psp_malformed(detail, "id", "must be an id");
    str_copy(id, next, PSP_SETTLEMENT_CURSOR_SIZE);
    return ERR_OK;
}

/* A refund is booked when it begins: its own status says whether it was carried out. */
psp_fact_kind_t stripe_settlement_of(const json_t *line)
{
    str_t type = json_read_str(line, "type");
    const json_t *source = json_object_get(line, "source");
    if (str_is(type, "charge") || str_is(type, "payment"))
        return PSP_FACT_CAPTURED;
    return (str_is(type, "refund") || str_is(type, "payment_refund")) &&
                   (!json_is_object(source) || str_is(json_read_str(source, "status"), "succeeded"))
               ? PSP_FACT_REFUND_SUCCEEDED
               : PSP_FACT_NONE;
}

/* Of an account whose balance is in another currency than its charges, amount and fee are what came
 * of it in that: CAPTURED is in the charge's own. */
err_t stripe_settlement_charge(str_t text, const json_t *line, psp_report_t *report,
                               err_detail_t *detail)
{
    const json_t *charge = json_object_get(line, "source"), *fee = json_object_get(line, "fee");
    const bool settled = report->kind == PSP_FACT_SETTLED;
    (void)text;
    if (!json_is_object(charge))
        return psp_malformed(detail, "source", "must be the charge");
    report->payment_id = stripe_read_metadata(charge, "payment_id");
    report->order_id = stripe_read_metadata(charge, "order_id");
    TRY(stripe_read_id(charge, "payment_intent", report, detail));
    TRY(stripe_read_time(line, settled ? "available_on" : "created", &report->occurred_at_us,
                         detail));
    if (!settled)
        return stripe_read_amount(charge, "amount_captured", report, detail);
    TRY(stripe_read_amount(line, "amount", report, detail));
    if (!json_is_integer(fee) ||
        (json_integer_value(fee) != 0 &&
         !psp_units_read(json_integer_value(fee), report->currency, stripe_units, &report->fee)))
        return psp_malformed(detail, "fee", "must be an amount in minor units");
    return ERR_OK;
}

/* As the refund itself says it, in the charge's currency. */
err_t stripe_settlement_refund(str_t text, const json_t *line, psp_report_t *report,
                               err_detail_t *detail)
{
    const json_t *refund = json_object_get(line, "source");
    (void)text;
    if (!json_is_object(refund))
        return psp_malformed(detail, "source", "must be the refund");
    TRY(stripe_read_refund(refund, report, detail));
    return stripe_read_time(refund, "created", &report->occurred_at_us, detail);
}
