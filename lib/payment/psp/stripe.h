/* stripe.h - what stripe.c and stripe_settlement.c share. Included by them alone. */
#ifndef TIFFIN_LIB_PAYMENT_PSP_STRIPE_H
#define TIFFIN_LIB_PAYMENT_PSP_STRIPE_H

#include "lib/payment/psp/connector.h"
#include "lib/payment/psp/units.h"

/* stripe.c: currencies that are counted otherwise than ISO 4217 does */
extern const psp_unit_t stripe_units[];

/* One of Stripe's ids, as it can stand in a path. */
bool stripe_is_id(str_t text);
/* A member of the metadata that is one of our ids; nil when it is not there. */
uuid_t stripe_read_metadata(const json_t *object, const char *name);
/* The amount in `field`, in the object's currency. */
err_t stripe_read_amount(const json_t *object, const char *field, psp_report_t *report,
                         err_detail_t *detail) MUST_CHECK;
/* Seconds since 1970. */
err_t stripe_read_time(const json_t *object, const char *field, int64_t *wall_us,
                       err_detail_t *detail) MUST_CHECK;
/* A linked object's id, as the report's reference. */
err_t stripe_read_id(const json_t *object, const char *field, psp_report_t *report,
                     err_detail_t *detail) MUST_CHECK;
/* A refund, as its status says; not when. */
err_t stripe_read_refund(const json_t *refund, psp_report_t *report,
                         err_detail_t *detail) MUST_CHECK;
/* The request's method and what each has in its headers. */
void stripe_begin(const psp_account_t *account, const char *method, http_client_request_t *request);

/* stripe_settlement.c: as the members of psp_connector_t */
bool stripe_settlement_request(const psp_account_t *account, const psp_settlement_query_t *query,
                               http_client_request_t *request);
err_t stripe_settlement_next(const psp_settlement_query_t *query, const json_t *answer,
                             size_t count, char next[PSP_SETTLEMENT_CURSOR_SIZE],
                             err_detail_t *detail) MUST_CHECK;
psp_fact_kind_t stripe_settlement_of(const json_t *line);
err_t stripe_settlement_charge(str_t text, const json_t *line, psp_report_t *report,
                               err_detail_t *detail) MUST_CHECK;
err_t stripe_settlement_refund(str_t text, const json_t *line, psp_report_t *report,
                               err_detail_t *detail) MUST_CHECK;

#endif
