/* fields.c - see fields.h. */
#include "lib/payment/psp/fields.h"

#include <stdio.h>
#include <string.h>

#include "lib/payment/money.h"

enum { REF_MAX_BYTES = 120 };

err_t psp_malformed(err_detail_t *detail, const char *field, const char *what)
{
    return err_set(detail, ERR_MALFORMED_WEBHOOK, "%s %s", field, what);
}

json_t *psp_read_body(str_t body, err_detail_t *detail)
{
    err_detail_t why;
    json_t *root = json_read_object(body, &why);
    if (!root)
        (void)err_set(detail, ERR_MALFORMED_WEBHOOK, "the body %s", why.text);
    return root;
}

bool psp_is_reference(str_t text)
{
    return text.size >= 1 && text.size <= REF_MAX_BYTES && utf8_valid(text.data, text.size) &&
           !utf8_has_control(text.data, text.size);
}

err_t psp_read_reference(const json_t *object, const char *field, char *value, size_t capacity,
                         err_detail_t *detail)
{
    str_t text = json_read_str(object, field);
    if (!psp_is_reference(text))
        return psp_malformed(detail, field, "must be a text of 1 to 120 printable bytes");
    str_copy(text, value, capacity);
    return ERR_OK;
}

err_t psp_read_amount(const json_t *object, int64_t *amount, err_detail_t *detail)
{
    const json_t *value = json_object_get(object, "amount");
    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        json_integer_value(value) > AMOUNT_MAX)
        return psp_malformed(detail, "amount", "must be a positive integer in minor units");
    *amount = json_integer_value(value);
    return ERR_OK;
}

err_t psp_read_currency(const json_t *object, char currency[4], err_detail_t *detail)
{
    str_t text = json_read_str(object, "currency");
    if (!currency_known(text))
        return psp_malformed(detail, "currency", "must be an ISO 4217 code");
    str_copy(text, currency, 4);
    return ERR_OK;
}

void psp_read_reason(str_t words, psp_report_t *report)
{
    if (words.size > 0 && utf8_valid(words.data, words.size) &&
        !utf8_has_control(words.data, words.size))
        str_copy(words, report->reason, sizeof report->reason);
    else if (report->kind == PSP_FACT_FAILED)
        snprintf(report->reason, sizeof report->reason, "the PSP says that the payment failed");
    else if (report->kind == PSP_FACT_REFUND_FAILED)
        snprintf(report->reason, sizeof report->reason, "the PSP says that the refund failed");
    else if (report->kind == PSP_FACT_NONE)
        snprintf(report->reason, sizeof report->reason, "the PSP says that it is pending");
}
