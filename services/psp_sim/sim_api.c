/* sim_api.c - the API that each simulated PSP offers to merchants, in the prototype's format: open
 * a checkout, ask a payment's status. lib/payment/psp/prototype.c speaks the other side.
 * sim_api_refund.c has the call for refunds.
 *
 * Errors are {"error":"…"}, as a PSP of this kind answers them; not the problem documents of our
 * own edge.
 */
#include "services/psp_sim/sim_api.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/clock.h"
#include "lib/json_read.h"
#include "lib/payment/money.h"
#include "services/psp_sim/sim.h"
#include "services/psp_sim/sim_event.h"

enum { KEYS_MAX_BYTES = 257 /* as psp_accounts_check bounds them, with the colon */ };

/* ---- answers ---- */

void sim_refuse(sim_answer_t *answer, int status, const char *error)
{
    buf_clear(&answer->body);
    answer->status = status;
    json_open_object(&answer->body, NULL);
    json_text(&answer->body, "error", error);
    json_close_object(&answer->body);
}

void sim_answer(http_request_t *request, sim_answer_t *answer, int64_t delay_ms)
{
    sim_pause(request->self, delay_ms);
    http_respond_json(request, answer->status, &answer->body);
    buf_free(&answer->body);
}

/* ---- who asks ---- */

static bool authorized(const http_request_t *request, const psp_account_t *account)
{
    char keys[KEYS_MAX_BYTES + 1], expected[(KEYS_MAX_BYTES + 2) / 3 * 4 + 1];
    int size = snprintf(keys, sizeof keys, "%s:%s", account->key_id, account->key_secret);
    CHECK(size > 0 && (size_t)size < sizeof keys);
    EVP_EncodeBlock((unsigned char *)expected, (const unsigned char *)keys, size);
    const char *given = http_header(request, "Authorization");
    if (!given || strncasecmp(given, "Basic ", 6) != 0)
        return false;
    given += 6;
    return strlen(given) == strlen(expected) &&
           CRYPTO_memcmp(given, expected, strlen(expected)) == 0;
}

const psp_t *sim_api_begin(const http_request_t *request, sim_fault_t *fault, sim_answer_t *answer)
{
    sim_t *self = request->self;
    /* Of a call that a wire has handed on, the PSP is not among the parameters. */
    const str_t path = {request->path + 1, (uint32_t)strcspn(request->path + 1, "/")};
    const psp_t *psp = psp_find(path);
    const psp_account_t *account = psp ? psp_account_of(&self->config->psps, psp) : NULL;
    if (!account) {
        sim_refuse(answer, 404, "there is no such PSP here");
        return NULL;
    }
    *fault = sim_faults_get(&self->faults, psp);
    if (!authorized(request, account)) {
        sim_refuse(answer, 401, "the key is wrong");
        return NULL;
    }
    return psp;
}

bool sim_api_out_of_order(sim_t *self, const psp_t *psp, const sim_fault_t *fault,
                          sim_answer_t *answer)
{
    if (sim_fault_is_down(fault, clock_mono_ms()))
        sim_refuse(answer, 503, "the PSP is down for maintenance");
    else if (fault->error_rate > 0 && sim_faults_draw(&self->faults, psp) < fault->error_rate)
        sim_refuse(answer, 500, "the PSP has a bad day");
    return answer->status != 0;
}

bool sim_api_has_key(const http_request_t *request, const uuid_t *key)
{
    const char *text = http_header(request, "Idempotency-Key");
    uuid_t given;
    return text && uuid_parse(text, strlen(text), &given) && uuid_equal(&given, key);
}

bool sim_api_read_uuid(const json_t *root, const char *key, uuid_t *uuid)
{
    str_t text = json_read_str(root, key);
    return text.data && uuid_parse(text.data, text.size, uuid);
}

bool sim_api_read_amount(const json_t *root, int64_t *amount)
{
    const json_t *value = json_object_get(root, "amount");
    *amount = json_integer_value(value);
    return json_is_integer(value) && *amount >= 1 && *amount <= AMOUNT_MAX;
}

/* ---- create ---- */

static bool is_method(str_t text)
{
    for (uint32_t i = 0; i < text.size; i++)
        if ((text.data[i] < 'A' || text.data[i] > 'Z') && text.data[i] != '_')
            return false;
    return text.size >= 1 && text.size <= 16;
}

/* "" when it is not given. */
static bool read_return_url(const json_t *root, const char **url)
{
    str_t text = json_read_str(root, "return_url");
    *url = text.data ? text.data : "";
    if (!json_object_get(root, "return_url"))
        return true;
    if (text.size >= SIM_URL_SIZE ||
        (strncmp(*url, "http://", 7) != 0 && strncmp(*url, "https://", 8) != 0))
        return false;
    for (uint32_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return true;
}

/* What is wrong with the request, or NULL. */
static const char *read_create(const json_t *root, sim_checkout_t *checkout, const char **url)
{
    str_t currency = json_read_str(root, "currency"), method = json_read_str(root, "method");
    str_t expires_at = json_read_str(root, "expires_at");
    if (!sim_api_read_uuid(root, "payment_id", &checkout->payment_id))
        return "payment_id must be a UUID";
    if (!sim_api_read_uuid(root, "order_id", &checkout->order_id))
        return "order_id must be a UUID";
    if (!sim_api_read_uuid(root, "attempt_id", &checkout->attempt_id))
        return "attempt_id must be a UUID";
    if (!sim_api_read_amount(root, &checkout->amount))
        return "amount must be a positive integer in minor units";
    if (!currency_known(currency))
        return "currency must be an ISO 4217 code";
    str_copy(currency, checkout->currency, sizeof checkout->currency);
    if (!is_method(method))
        return "method must be 1 to 16 capital letters";
    str_copy(method, checkout->method, sizeof checkout->method);
    if (!expires_at.data || !rfc3339_parse(expires_at.data, &checkout->expires_at_us))
        return "expires_at must be an RFC 3339 time";
    if (!read_return_url(root, url))
        return "return_url must be an http or https URL";
    return NULL;
}

static void describe_open(const sim_t *self, const sim_checkout_t *checkout, sim_answer_t *answer)
{
    char ref[SIM_REF_SIZE], url[sizeof self->public_url + sizeof "/checkout/" + UUID_TEXT_SIZE];
    char payment[UUID_TEXT_SIZE];
    snprintf(url, sizeof url, "%s/checkout/%s", self->public_url,
             uuid_format(&checkout->payment_id, payment));
    answer->status = 201;
    json_open_object(&answer->body, NULL);
    json_text(&answer->body, "psp_ref", sim_ref(ref, "chk", checkout->psp, checkout->serial));
    json_text(&answer->body, "checkout_url", url);
    json_text(&answer->body, "status", sim_state_name(SIM_PENDING));
    json_close_object(&answer->body);
}

static void create(const http_request_t *request, const psp_t *psp, const sim_fault_t *fault,
                   sim_answer_t *answer)
{
    sim_t *self = request->self;
    err_detail_t detail;
    json_t *root = json_read_object(request->body, &detail);
    if (!root) {
        sim_refuse(answer, 400, "the body is no JSON object");
        return;
    }
    sim_checkout_t checkout = {.psp = psp}, paid;
    const char *url;
    const char *wrong = read_create(root, &checkout, &url);
    err_t err = ERR_OK;
    if (wrong)
        sim_refuse(answer, 400, wrong);
    else if (!sim_api_has_key(request, &checkout.attempt_id))
        sim_refuse(answer, 400, "Idempotency-Key must be the attempt_id");
    else if ((err = sim_bank_open(self->bank, &checkout, url)) == ERR_ID_CONFLICT)
        sim_refuse(answer, 422, "the Idempotency-Key came with another request before");
    else if (err == ERR_OK && fault->webhook == SIM_WEBHOOK_BEFORE)
        err = sim_pay(self, &checkout.payment_id, &paid);
    if (!wrong && err == ERR_OK && answer->status == 0)
        describe_open(self, &checkout, answer);
    else if (answer->status == 0)
        sim_refuse(answer, 500, "the bank's journal cannot be written");
    json_decref(root);
}

void sim_api_create(http_request_t *request)
{
    sim_fault_t fault = {0};
    sim_answer_t answer = {0};
    const psp_t *psp = sim_api_begin(request, &fault, &answer);
    if (psp && !sim_api_out_of_order(request->self, psp, &fault, &answer))
        create(request, psp, &fault, &answer);
    sim_answer(request, &answer, sim_fault_answer_delay_ms(&fault, false));
}

/* ---- status ---- */

void sim_api_status(http_request_t *request)
{
    sim_t *self = request->self;
    sim_fault_t fault = {0};
    sim_answer_t answer = {.status = 200};
    uuid_t payment_id;
    sim_checkout_t checkout;
    const psp_t *psp = sim_api_begin(request, &fault, &answer);
    if (psp && sim_payment_of(request, &payment_id) &&
        sim_bank_find(self->bank, &payment_id, psp, &checkout, NULL) == ERR_OK) {
        sim_event_t event = sim_event_of_checkout(&checkout, SIM_FIRST_CHARGE, clock_wall_us());
        sim_event_write(&event, NULL, &answer.body);
    } else if (psp) {
        sim_refuse(&answer, 404, "the payment is not known");
    }
    sim_answer(request, &answer, sim_fault_answer_delay_ms(&fault, false));
}
