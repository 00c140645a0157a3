/* fields.c - see fields.h. */
#include "lib/payment/psp/fields.h"

#include <ctype.h>
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

/* ---- whose fault ---- */

/* What PSPs write of failures that are the customer's own: a part of a code or of a sentence, in
 * small letters, any run of other characters as one blank. From the PSPs' lists of codes: Stripe's
 * decline codes, Razorpay's and Cashfree's error_reason, Adyen's refusal reasons, PayU's
 * unmappedstatus. */
static const char *const of_customers[] = {
    "insufficient",
    "not enough balance",
    "incorrect",
    "invalid pin",
    "invalid mpin",
    "invalid otp",
    "invalid cv",
    "wrong pin",
    "wrong otp",
    "expired card",
    "card expired",
    "cancel",
    "dropped",
    "abandon",
    "lost card",
    "stolen card",
    "limit exceeded",
    "exceeds limit",
    "limit reached",
    "authentication required",
    "by customer",
    "by the customer",
    "by user",
    "by the user",
    "not authenticated",
    "withdrawal amount exceeded",
    "withdrawal count exceeded",
    "pin tries exceeded",
};

/* In small letters, any run of what is neither letter nor digit as one blank. */
static void simplify(str_t words, char *text, size_t capacity)
{
    size_t size = 0;
    for (uint32_t i = 0; i < words.size && size + 1 < capacity; i++) {
        const unsigned char c = (unsigned char)words.data[i];
        if (isalnum(c))
            text[size++] = (char)tolower(c);
        else if (size > 0 && text[size - 1] != ' ')
            text[size++] = ' ';
    }
    text[size] = '\0';
}

static bool is_of_customer(str_t words)
{
    char text[PSP_REASON_SIZE];
    simplify(words, text, sizeof text);
    for (size_t i = 0; i < sizeof of_customers / sizeof *of_customers; i++)
        if (strstr(text, of_customers[i]) != NULL)
            return true;
    return false;
}

void psp_read_fault(str_t source, str_t code, psp_report_t *report)
{
    if (report->kind != PSP_FACT_FAILED)
        return;
    if (str_is(source, "customer") || is_of_customer(code) ||
        is_of_customer(str_of(report->reason)))
        report->fault = PSP_FAULT_CUSTOMER;
    else if (str_is(source, "business") || str_is(source, "merchant"))
        report->fault = PSP_FAULT_MERCHANT;
    else if (source.size > 0)
        report->fault = PSP_FAULT_PSP;
}
