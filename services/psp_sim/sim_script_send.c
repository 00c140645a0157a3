/* sim_script_send.c - scripts that make a PSP say something: disputes, settlements, whatever else.
 * They move no money. */
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/json_read.h"
#include "services/psp_sim/sim.h"

static err_t find_paid(http_request_t *request, sim_checkout_t *paid)
{
    sim_t *self = request->self;
    uuid_t payment_id;
    if (!sim_payment_of(request, &payment_id))
        return ERR_PAYMENT_NOT_FOUND;
    TRY(sim_bank_find(self->bank, &payment_id, NULL, paid, NULL));
    return paid->state == SIM_PAID ? ERR_OK : ERR_UNPROCESSABLE;
}

static void respond_not_paid(http_request_t *request, err_t err)
{
    http_respond_problem(request, err, err == ERR_UNPROCESSABLE ? "the payment is not paid" : NULL);
}

/* What was told, as the webhook says it but for the signature. */
static void respond_event(http_request_t *request, const sim_event_t *event)
{
    buf_t body = {0};
    sim_event_write(event, NULL, &body);
    http_respond_json(request, 200, &body);
    buf_free(&body);
}

/* ---- dispute ---- */

static err_t read_outcome(str_t body, psp_fact_kind_t *kind, err_detail_t *detail)
{
    json_t *root = json_read_object(body, detail);
    if (!root)
        return ERR_MALFORMED_JSON;
    str_t outcome = json_read_str(root, "outcome");
    *kind = str_is(outcome, "opened") ? PSP_FACT_DISPUTE_OPENED
            : str_is(outcome, "won")  ? PSP_FACT_DISPUTE_WON
            : str_is(outcome, "lost") ? PSP_FACT_DISPUTE_LOST
                                      : PSP_FACT_NONE;
    err_t err = ERR_OK;
    if (*kind == PSP_FACT_NONE || json_object_size(root) != 1)
        err = err_set(detail, ERR_INVALID_FIELD,
                      "outcome, which is opened, won or lost, is all that can be said");
    json_decref(root);
    return err;
}

void sim_script_dispute(http_request_t *request)
{
    sim_t *self = request->self;
    sim_checkout_t paid;
    psp_fact_kind_t kind;
    err_detail_t detail;
    err_t err = read_outcome(request->body, &kind, &detail);
    if (err != ERR_OK) {
        http_respond_problem(request, err, detail.text);
        return;
    }
    err = find_paid(request, &paid);
    if (err != ERR_OK) {
        respond_not_paid(request, err);
        return;
    }
    sim_event_t event = sim_event_of_dispute(&paid, kind, clock_wall_us());
    sim_tell(self, &event, false);
    respond_event(request, &event);
}

/* ---- settle ---- */

void sim_script_settle(http_request_t *request)
{
    sim_t *self = request->self;
    sim_checkout_t paid;
    err_t err = find_paid(request, &paid);
    if (err != ERR_OK) {
        respond_not_paid(request, err);
        return;
    }
    int64_t now_us = clock_wall_us();
    sim_event_t first = sim_event_of_settlement(&paid, SIM_FIRST_CHARGE, now_us);
    sim_tell(self, &first, false);
    if (paid.second_serial) {
        sim_event_t second = sim_event_of_settlement(&paid, SIM_SECOND_CHARGE, now_us);
        sim_tell(self, &second, false);
    }
    respond_event(request, &first);
}

/* ---- send ---- */

/* The body with the fields of `overrides` instead of, or beside, its own. The caller's. */
static json_t *overridden(const sim_event_t *event, const char *secrets, json_t *overrides)
{
    buf_t body = {0};
    sim_event_write(event, secrets, &body);
    json_t *root = json_read_object((str_t){body.data, (uint32_t)body.size}, NULL);
    buf_free(&body);
    CHECK(root);
    const char *key;
    json_t *value;
    json_object_foreach(overrides, key, value)
    {
        if (json_is_null(value))
            json_object_del(root, key);
        else
            json_object_set(root, key, value);
    }
    return root;
}

static void send_and_respond(http_request_t *request, const sim_event_t *event, const char *secrets,
                             json_t *overrides)
{
    static const sim_sending_t once = {.copies = 1};
    sim_t *self = request->self;
    json_t *root = overridden(event, secrets, overrides);
    char *body = json_dumps(root, JSON_COMPACT);
    json_object_del(root, "signature");
    char *unsigned_body = json_dumps(root, JSON_COMPACT);
    str_t event_id = json_read_str(root, "event_id");
    CHECK(body && unsigned_body);
    sim_message_t message = {.content_type = NULL};
    buf_add_text(&message.body, body);
    sim_webhook_send(self->webhook, event->psp, event_id.data ? event_id.data : "-", &message,
                     &once);
    buf_free(&message.body);
    http_respond(request, 200, "application/json", unsigned_body, strlen(unsigned_body));
    free(unsigned_body);
    free(body);
    json_decref(root);
}

void sim_script_send(http_request_t *request)
{
    sim_t *self = request->self;
    uuid_t payment_id;
    sim_checkout_t checkout;
    err_detail_t detail;
    json_t *overrides = json_read_object(request->body, &detail);
    if (!overrides) {
        http_respond_problem(request, ERR_MALFORMED_JSON, detail.text);
        return;
    }
    err_t err = sim_payment_of(request, &payment_id)
                    ? sim_bank_find(self->bank, &payment_id, NULL, &checkout, NULL)
                    : ERR_PAYMENT_NOT_FOUND;
    const psp_account_t *account =
        err == ERR_OK ? psp_account_of(&self->config->psps, checkout.psp) : NULL;
    if (account) {
        sim_event_t event = sim_event_of_checkout(&checkout, SIM_FIRST_CHARGE, clock_wall_us());
        sim_ref(event.id, "evt", checkout.psp, sim_serial());
        send_and_respond(request, &event, account->webhook_secrets, overrides);
    } else {
        http_respond_problem(request, ERR_PAYMENT_NOT_FOUND, NULL);
    }
    json_decref(overrides);
}
