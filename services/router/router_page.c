/* router_page.c - see router_page.h. */
#include "services/router/router_page.h"

#include <string.h>

#include "lib/clock.h"
#include "proto/bus_reply.h"

psp_checkout_t router_checkout_of(const router_position_t *position, const char *public_url)
{
    psp_checkout_t checkout = {.payment_id = position->payment_id,
                               .order_id = position->order_id,
                               .attempt_id = position->attempt_id,
                               .amount = position->amount,
                               .expires_at_us = position->expires_at_us,
                               .now_us = clock_wall_us(),
                               .customer = position->customer,
                               .manual_capture = position->manual_capture,
                               .public_url = public_url};
    str_copy(str_of(position->currency), checkout.currency, sizeof checkout.currency);
    str_copy(str_of(position->method), checkout.method, sizeof checkout.method);
    str_copy(str_of(position->return_url), checkout.return_url, sizeof checkout.return_url);
    return checkout;
}

/* The merchant's page, if it said one, where there is nothing to pay any more. */
static void answer_page(const router_page_t *self, const bus_reply_to_t *to,
                        const router_position_t *position, bool returned)
{
    payment_page_document_t document = {.payment_id = position->payment_id};
    const psp_t *psp = router_psps_find(self->psps, position->psp);
    const psp_checkout_t checkout = router_checkout_of(position, self->public_url);
    psp_page_t page = {.body = {0}};
    if (returned || strcmp(position->status, "PENDING") != 0)
        document.location = str_of(position->return_url);
    else if (psp != NULL && position->checkout_url[0] != '\0' &&
             psp_page(psp, psp_account_of(self->accounts, psp), &checkout, position->page_data,
                      &page)) {
        document.html = (str_t){page.body.data, (uint32_t)page.body.size};
        document.script = str_of(page.script);
        document.script_from = str_of(page.script_from);
        document.submits_to = str_of(page.submits_to);
    } else {
        document.location = str_of(position->checkout_url);
    }
    bus_reply_message(self->bus, to, MSG_payment_page_document, &document);
    buf_free(&page.body);
}

static err_t show_page(const router_page_t *self, const bus_request_t *request,
                       err_detail_t *detail)
{
    payment_page_t ask;
    PGresult *result = NULL;
    char text[UUID_TEXT_SIZE];
    TRY(message_decode(MSG_payment_page, request->body, request->body_size, &ask, detail));
    TRY(router_store_page(self->store, &ask.payment_id, &result, detail));
    err_t err = PQntuples(result) == 1
                    ? ERR_OK
                    : err_set(detail, ERR_PAYMENT_NOT_FOUND, "there is no payment %s",
                              uuid_format(&ask.payment_id, text));
    if (err == ERR_OK && ask.returned)
        err = router_store_returned(self->store, &ask.payment_id, ask.query, detail);
    if (err == ERR_OK) {
        router_position_t position;
        router_store_position(result, 0, &position);
        answer_page(self, &request->reply_to, &position, ask.returned);
    }
    PQclear(result);
    return err;
}

void router_page_answer(const router_page_t *self, const bus_request_t *const *requests,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        err_detail_t detail = {{0}};
        const err_t err = show_page(self, requests[i], &detail);
        if (err != ERR_OK)
            bus_reply_error(self->bus, &requests[i]->reply_to, err, detail.text);
    }
}
