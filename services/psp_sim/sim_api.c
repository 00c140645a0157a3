/* sim_api.c - the API that each simulated PSP offers to merchants, in the prototype's format: open
 * a checkout, ask a payment's status. lib/payment/psp/prototype.c speaks the other side.
 *
 * Errors are {"error":"…"}, as a PSP of this kind answers them; not the problem documents of our
 * own edge.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "lib/clock.h"
#include "lib/json_read.h"
#include "lib/payment/money.h"
#include "services/psp_sim/sim.h"

enum { KEYS_MAX_BYTES = 257 /* as psp_accounts_check bounds them, with the colon */ };

/* ---- answers: made at once, sent after the PSP's fault model let them go ---- */

typedef struct answer {
    int status;
    buf_t body;
} answer_t;

static void refuse(answer_t *answer, int status, const char *error)
{
    buf_clear(&answer->body);
    answer->status = status;
    json_open_object(&answer->body, NULL);
    json_text(&answer->body, "error", error);
    json_close_object(&answer->body);
}

static void answer_send(http_request_t *request, answer_t *answer, const sim_fault_t *fault)
{
    sim_pause(request->self, fault->latency_ms + fault->hang_ms);
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

/* The PSP of the path, when it is one and the caller has its keys; else NULL, and the answer is
 * made. */
static const psp_t *begin(const http_request_t *request, sim_fault_t *fault, answer_t *answer)
{
    sim_t *self = request->self;
    const psp_t *psp = psp_find(request->params[0]);
    const psp_account_t *account = psp ? psp_account_of(&self->config->psps, psp) : NULL;
    if (!account) {
        refuse(answer, 404, "there is no such PSP here");
        return NULL;
    }
    *fault = sim_faults_get(&self->faults, psp);
    if (!authorized(request, account)) {
        refuse(answer, 401, "the key is wrong");
        return NULL;
    }
    return psp;
}

/* ---- create ---- */

static bool read_uuid(const json_t *root, const char *key, uuid_t *uuid)
{
    str_t text = json_read_str(root, key);
    return text.data && uuid_parse(text.data, text.size, uuid);
}

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
    const json_t *amount = json_object_get(root, "amount");
    str_t currency = json_read_str(root, "currency"), method = json_read_str(root, "method");
    str_t expires_at = json_read_str(root, "expires_at");
    if (!read_uuid(root, "payment_id", &checkout->payment_id))
        return "payment_id must be a UUID";
    if (!read_uuid(root, "order_id", &checkout->order_id))
        return "order_id must be a UUID";
    if (!read_uuid(root, "attempt_id", &checkout->attempt_id))
        return "attempt_id must be a UUID";
    if (!json_is_integer(amount) || json_integer_value(amount) < 1 ||
        json_integer_value(amount) > AMOUNT_MAX)
        return "amount must be a positive integer in minor units";
    checkout->amount = json_integer_value(amount);
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

static bool has_key(const http_request_t *request, const uuid_t *attempt_id)
{
    const char *key = http_header(request, "Idempotency-Key");
    uuid_t given;
    return key && uuid_parse(key, strlen(key), &given) && uuid_equal(&given, attempt_id);
}

static void describe_open(const sim_t *self, const sim_checkout_t *checkout, answer_t *answer)
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

static bool happens(double probability)
{
    uint32_t drawn;
    if (probability <= 0)
        return false;
    CHECK(getrandom(&drawn, sizeof drawn, 0) == (ssize_t)sizeof drawn);
    return drawn / 4294967296.0 < probability;
}

static void create(const http_request_t *request, const psp_t *psp, const sim_fault_t *fault,
                   answer_t *answer)
{
    sim_t *self = request->self;
    err_detail_t detail;
    json_t *root = json_read_object(request->body, &detail);
    if (!root) {
        refuse(answer, 400, "the body is no JSON object");
        return;
    }
    sim_checkout_t checkout = {.psp = psp}, paid;
    const char *url;
    const char *wrong = read_create(root, &checkout, &url);
    err_t err = ERR_OK;
    if (wrong)
        refuse(answer, 400, wrong);
    else if (!has_key(request, &checkout.attempt_id))
        refuse(answer, 400, "Idempotency-Key must be the attempt_id");
    else if ((err = sim_bank_open(self->bank, &checkout, url)) == ERR_ID_CONFLICT)
        refuse(answer, 422, "the Idempotency-Key came with another request before");
    else if (err == ERR_OK && fault->webhook == SIM_WEBHOOK_BEFORE)
        err = sim_pay(self, &checkout.payment_id, &paid);
    if (!wrong && err == ERR_OK && answer->status == 0)
        describe_open(self, &checkout, answer);
    else if (answer->status == 0)
        refuse(answer, 500, "the bank's journal cannot be written");
    json_decref(root);
}

void sim_api_create(http_request_t *request)
{
    sim_fault_t fault = {0};
    answer_t answer = {0};
    const psp_t *psp = begin(request, &fault, &answer);
    if (psp && fault.refuse)
        refuse(&answer, 503, "the PSP is down for maintenance");
    else if (psp && happens(fault.error_rate))
        refuse(&answer, 500, "the PSP has a bad day");
    else if (psp)
        create(request, psp, &fault, &answer);
    answer_send(request, &answer, &fault);
}

/* ---- status ---- */

static void describe_status(const sim_checkout_t *checkout, answer_t *answer)
{
    char ref[SIM_REF_SIZE];
    bool pending = checkout->state == SIM_PENDING;
    uint64_t serial = pending ? checkout->serial : checkout->outcome_serial;
    buf_t *body = &answer->body;
    answer->status = 200;
    json_open_object(body, NULL);
    json_text(body, "event_id", sim_ref(ref, "evt", checkout->psp, serial));
    json_text(body, "gateway", psp_name(checkout->psp));
    json_uuid(body, "order_id", &checkout->order_id);
    json_uuid(body, "payment_id", &checkout->payment_id);
    json_text(body, "gateway_txn_id", sim_ref(ref, pending ? "chk" : "txn", checkout->psp, serial));
    json_text(body, "status", sim_state_name(checkout->state));
    json_int(body, "amount", pending ? checkout->amount : checkout->outcome_amount);
    json_text(body, "currency", checkout->currency);
    json_time(body, "occurred_at", pending ? clock_wall_us() : checkout->outcome_at_us);
    json_close_object(body);
}

void sim_api_status(http_request_t *request)
{
    sim_t *self = request->self;
    sim_fault_t fault = {0};
    answer_t answer = {0};
    uuid_t payment_id;
    sim_checkout_t checkout;
    const psp_t *psp = begin(request, &fault, &answer);
    if (psp && (!sim_payment_of(request, &payment_id) ||
                sim_bank_find(self->bank, &payment_id, psp, &checkout, NULL) != ERR_OK))
        refuse(&answer, 404, "the payment is not known");
    else if (psp)
        describe_status(&checkout, &answer);
    answer_send(request, &answer, &fault);
}
