/* psp_verify.h - a webhook that tells one thing. */
#ifndef TIFFIN_TESTS_PSP_VERIFY_H
#define TIFFIN_TESTS_PSP_VERIFY_H

#include "lib/payment/psp.h"

/* As psp_webhook_verify, whose only report it hands out. */
static inline err_t psp_verify_one(const psp_t *psp, const psp_account_t *account, bool dev,
                                   psp_header_fn *header, void *header_arg, str_t body,
                                   int64_t now_us, psp_report_t *report, err_detail_t *detail)
{
    psp_webhook_t webhooks[PSP_WEBHOOKS_MAX];
    size_t count;
    const err_t err = psp_webhook_verify(psp, account, dev, header, header_arg, body, now_us,
                                         webhooks, &count, detail);
    *report = webhooks[0].report;
    CHECK(count == (err == ERR_OK));
    CHECK(err != ERR_OK || str_equal(webhooks[0].body, body));
    return err;
}

#endif
