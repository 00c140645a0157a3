/* fields.c - see fields.h. */
#include "lib/payment/psp/fields.h"

#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/json_raw.h"
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

json_t *psp_read_array(str_t body, err_detail_t *detail)
{
    err_detail_t why;
    json_t *root = json_read_array(body, &why);
    if (!root)
        (void)err_set(detail, ERR_MALFORMED_WEBHOOK, "the body %s", why.text);
    return root;
}

uuid_t psp_read_id(const json_t *object, const char *field)
{
    str_t text = json_read_str(object, field);
    uuid_t uuid;
    if (!text.data || !uuid_parse(text.data, text.size, &uuid))
        memset(&uuid, 0, sizeof uuid);
    return uuid;
}

err_t psp_read_decimal(str_t body, const char *path, const char *currency, int64_t *amount,
                       err_detail_t *detail)
{
    str_t raw;
    bool found = json_raw_find(body, path, &raw);
    if (found && raw.size >= 2 && raw.data[0] == '"')
        raw = (str_t){raw.data + 1, raw.size - 2};
    if (!found || !amount_parse(raw, currency, amount))
        return psp_malformed(detail, path, "must be a positive amount");
    return ERR_OK;
}

err_t psp_read_rfc3339(const json_t *object, const char *field, int64_t *wall_us,
                       err_detail_t *detail)
{
    str_t text = json_read_str(object, field);
    if (!text.data || memchr(text.data, '\0', text.size) || !rfc3339_parse(text.data, wall_us))
        return psp_malformed(detail, field, "must be an RFC 3339 time");
    return ERR_OK;
}

err_t psp_verify(signature_fn *scheme, const psp_account_t *account, psp_header_fn *header,
                 void *header_arg, str_t body, int64_t now_us, err_detail_t *detail)
{
    str_t secrets[SIGNATURE_SECRETS_MAX];
    char why[SIGNATURE_REASON_SIZE];
    const signature_input_t input = {.header = header,
                                     .header_arg = header_arg,
                                     .body = body,
                                     .secrets = secrets,
                                     .secret_count =
                                         signature_secrets(account->webhook_secrets, secrets),
                                     .key_id = str_of(account->key_id),
                                     .now_s = now_us / 1000000,
                                     .tolerance_s = -1};
    return scheme(&input, why) ? ERR_OK : err_set(detail, ERR_SIGNATURE_INVALID, "%s", why);
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
