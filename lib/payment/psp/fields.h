/* fields.h - what the connectors read out of a PSP's JSON: each field exactly what it should be, or
 * ERR_MALFORMED_WEBHOOK with the field's name. Included by lib/payment only. */
#ifndef TIFFIN_LIB_PAYMENT_PSP_FIELDS_H
#define TIFFIN_LIB_PAYMENT_PSP_FIELDS_H

#include "lib/json_read.h"
#include "lib/payment/psp.h"
#include "lib/payment/signature.h"

/* ERR_MALFORMED_WEBHOOK, "<field> <what>". */
err_t psp_malformed(err_detail_t *detail, const char *field, const char *what) MUST_CHECK;

/* A body that is one JSON object; json_decref it. NULL: malformed. */
json_t *psp_read_body(str_t body, err_detail_t *detail);

/* The same that is one JSON array. */
json_t *psp_read_array(str_t body, err_detail_t *detail);

/* A member that is one of our ids; nil when it is not there, or is something else. */
uuid_t psp_read_id(const json_t *object, const char *field);
/* The decimal at a path of the body (json_raw.h), number or text, in this currency. */
err_t psp_read_decimal(str_t body, const char *path, const char *currency, int64_t *amount,
                       err_detail_t *detail) MUST_CHECK;
/* An RFC 3339 time. */
err_t psp_read_rfc3339(const json_t *object, const char *field, int64_t *wall_us,
                       err_detail_t *detail) MUST_CHECK;

/* ERR_SIGNATURE_INVALID, with why, unless the scheme says that the signature fits. */
err_t psp_verify(signature_fn *scheme, const psp_account_t *account, psp_header_fn *header,
                 void *header_arg, str_t body, int64_t now_us, err_detail_t *detail) MUST_CHECK;

/* A PSP's id of something: 1 to 120 bytes of printable UTF-8. */
bool psp_is_reference(str_t text);
err_t psp_read_reference(const json_t *object, const char *field, char *value, size_t capacity,
                         err_detail_t *detail) MUST_CHECK;

/* A positive integer in minor units, member "amount". */
err_t psp_read_amount(const json_t *object, int64_t *amount, err_detail_t *detail) MUST_CHECK;
/* An ISO 4217 code, member "currency". */
err_t psp_read_currency(const json_t *object, char currency[4], err_detail_t *detail) MUST_CHECK;

/* The report's reason: the PSP's words where they are printable, else a sentence of ours for what
 * has failed or is pending. */
void psp_read_reason(str_t words, psp_report_t *report);
/* FAILED: whose fault it is, after psp_read_reason: by the `source` that the PSP names (customer,
 * business, bank, gateway …; {NULL, 0}: it names none), else by its `code` and words, if they say
 * that it is the customer's. */
void psp_read_fault(str_t source, str_t code, psp_report_t *report);

#endif
