/* sim_wire.c - see sim_wire.h. */
#include "services/psp_sim/sim_wire.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/json_raw.h"
#include "lib/payment/money.h"
#include "lib/payment/psp/short_id.h"
#include "lib/sha256.h"
#include "services/psp_sim/sim_api.h"

static const sim_wire_t *const wires[] = {&sim_wire_razorpay, &sim_wire_cashfree, &sim_wire_juspay,
                                          &sim_wire_stripe,   &sim_wire_payu,     &sim_wire_phonepe,
                                          &sim_wire_adyen};
enum { WIRES = sizeof wires / sizeof wires[0], REFUNDS_MAX = 64, HUGE_BYTES = 10 << 20 };

static const char *const paths[PSP_COUNT] = {
    [PSP_INDEX_razorpay] = "razorpay", [PSP_INDEX_cashfree] = "cashfree",
    [PSP_INDEX_juspay] = "juspay",     [PSP_INDEX_stripe] = "stripe",
    [PSP_INDEX_payu] = "payu",         [PSP_INDEX_phonepe] = "phonepe",
    [PSP_INDEX_adyen] = "adyen",
};

const sim_wire_t *sim_wire_of(const psp_t *psp)
{
    for (size_t i = 0; i < WIRES; i++)
        if (wires[i]->psp_index == psp_index(psp))
            return wires[i];
    return NULL;
}

/* ---- routes ---- */

static size_t count_routes(const http_route_t *routes)
{
    size_t count = 0;
    while (routes[count].method)
        count++;
    return count;
}

http_route_t *sim_wire_routes(const http_route_t *own)
{
    size_t count = count_routes(own), at = 0;
    for (size_t i = 0; i < WIRES; i++)
        count += count_routes(wires[i]->routes);
    http_route_t *routes = calloc(count + 1, sizeof *routes);
    CHECK(routes);
    for (size_t i = 0; i < WIRES; i++)
        for (const http_route_t *route = wires[i]->routes; route->method; route++) {
            char *pattern = NULL;
            CHECK(asprintf(&pattern, "/%s%s", paths[wires[i]->psp_index], route->pattern) > 0);
            routes[at] = *route;
            routes[at++].pattern = pattern;
        }
    memcpy(routes + at, own, count_routes(own) * sizeof *routes);
    return routes;
}

void sim_wire_routes_free(http_route_t *routes, const http_route_t *own)
{
    for (size_t i = 0, count = count_routes(routes) - count_routes(own); i < count; i++) {
        char *pattern;
        memcpy(&pattern, &routes[i].pattern, sizeof pattern); /* ours: asprintf */
        free(pattern);
    }
    free(routes);
}

static const sim_wire_t *wire_of_host(const char *host)
{
    const size_t size = strcspn(host, ":");
    for (size_t i = 0; i < WIRES; i++)
        for (size_t j = 0; j < SIM_WIRE_HOSTS && wires[i]->hosts[j]; j++)
            if (strlen(wires[i]->hosts[j]) == size &&
                strncasecmp(wires[i]->hosts[j], host, size) == 0)
                return wires[i];
    return NULL;
}

bool sim_wire_rewrite(void *self, const char *host, const char *path, char *to, size_t capacity)
{
    (void)self;
    const sim_wire_t *wire = wire_of_host(host);
    if (!wire)
        return false;
    const int size = snprintf(to, capacity, "/%s%s", paths[wire->psp_index], path);
    return size > 0 && (size_t)size < capacity;
}

/* ---- one call ---- */

static void plan_out_of_order(sim_call_t *call)
{
    sim_answer_t answer = {0};
    if (sim_api_out_of_order(call->self, call->psp, &call->fault, &answer))
        sim_call_refuse(call, answer.status,
                        answer.status == 503 ? "we are down for maintenance" : "internal error");
    buf_free(&answer.body);
}

bool sim_call_begin(sim_call_t *call, http_request_t *request, const sim_wire_t *wire,
                    sim_call_kind_t kind)
{
    sim_t *self = request->self;
    const char *host = http_header(request, "Host");
    *call = (sim_call_t){.request = request,
                         .self = self,
                         .wire = wire,
                         .psp = psp_at(wire->psp_index),
                         .of_refund = kind == SIM_CALL_REFUND};
    call->account = psp_account_of(&self->config->psps, call->psp);
    if (!call->account) {
        sim_call_refuse(call, 404, "this PSP is not configured here");
        return false;
    }
    call->fault = sim_faults_get(&self->faults, call->psp);
    if (!(host && wire_of_host(host)) && !wire->authorized(request, call->account)) {
        sim_call_refuse(call, 401, "the key is wrong");
        return false;
    }
    if (kind != SIM_CALL_READ)
        plan_out_of_order(call);
    if (call->fault.answer == SIM_ANSWERS_LIMITED)
        sim_call_refuse(call, 429, "too many requests");
    if (request->body.size > 0)
        call->json = json_read_object(request->body, NULL);
    return call->status == 0;
}

void sim_call_refuse(sim_call_t *call, int status, const char *words)
{
    buf_clear(&call->body);
    call->status = status;
    call->content_type = NULL;
    call->wire->write_error(status, words, &call->body);
}

/* The first half, then nothing more. */
static void respond_half(sim_call_t *call)
{
    http_request_t *request = call->request;
    buf_t text = {0};
    buf_printf(&text,
               "HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
               "Connection: close\r\n\r\n",
               call->status, call->body.size);
    buf_add(&text, call->body.data ? call->body.data : "", call->body.size / 2);
    (void)mg_write(request->connection, text.data, text.size);
    buf_free(&text);
    request->responded = true;
    request->close = true;
    request->status = call->status;
}

/* True: the fault has answered. */
static bool respond_wrong(sim_call_t *call)
{
    static const char page[] = "<html><body><h1>Bad Gateway</h1></body></html>";
    buf_t huge = {0};
    switch (call->fault.answer) {
    case SIM_ANSWERS_GARBAGE:
        http_respond(call->request, 200, "text/html", page, sizeof page - 1);
        return true;
    case SIM_ANSWERS_HALF:
        respond_half(call);
        return true;
    case SIM_ANSWERS_HUGE:
        buf_init(&huge, HUGE_BYTES);
        for (size_t i = 0; i < HUGE_BYTES / sizeof page; i++)
            buf_add(&huge, page, sizeof page - 1);
        http_respond(call->request, 200, "application/json", huge.data, huge.size);
        buf_free(&huge);
        return true;
    case SIM_ANSWERS_REDIRECT:
        http_add_header(call->request, "Location", "http://elsewhere.invalid/");
        http_respond(call->request, 302, "text/plain", NULL, 0);
        return true;
    case SIM_ANSWERS_OK:
    case SIM_ANSWERS_LIMITED:
        break;
    }
    return false;
}

static void release(sim_call_t *call)
{
    buf_free(&call->body);
    buf_free(&call->notes);
    buf_free(&call->payment_notes);
    json_decref(call->json);
}

void sim_call_end(sim_call_t *call)
{
    const double drawn = call->account && call->fault.latency_jitter_ms > 0
                             ? sim_faults_draw(&call->self->faults, call->psp)
                             : 0;
    sim_pause(call->self, sim_fault_jittered_delay_ms(&call->fault, call->of_refund, drawn));
    if (call->account && respond_wrong(call)) {
        release(call);
        return;
    }
    http_respond(call->request, call->status,
                 call->content_type ? call->content_type : "application/json", call->body.data,
                 call->body.size);
    release(call);
}

bool sim_call_notes_fit(sim_call_t *call, const sim_notes_limits_t *limits, int status,
                        const char *words)
{
    const bool fit = sim_notes_within(call->notes.data, limits) &&
                     sim_notes_within(call->payment_notes.data, limits);
    if (!fit)
        sim_call_refuse(call, status, words);
    return fit;
}

/* ---- references ---- */

uuid_t sim_id_of(const char *reference)
{
    uuid_t id;
    uint8_t digest[SHA256_SIZE];
    const str_t text = str_of(reference);
    if (uuid_parse(text.data, text.size, &id) || short_id_parse(text, &id))
        return id;
    sha256(&text, 1, digest);
    memcpy(id.bytes, digest, sizeof id.bytes);
    id.bytes[6] = (uint8_t)(0x80 | (id.bytes[6] & 0x0f)); /* version 8: as its maker likes */
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
    return id;
}

bool sim_is_sample(str_t reference)
{
    static const char *const samples[] = {"order_MadeUp1", "pay_1", "pi_1", "po_1",
                                          "ord_1",         "rf_1",  "PSP1", "403993715531077182"};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        if (str_is(reference, samples[i]))
            return true;
    return false;
}

/* ---- the bank ---- */

bool sim_call_open(sim_call_t *call, sim_checkout_t *checkout, const char *key,
                   const char *return_url)
{
    sim_checkout_t paid;
    checkout->psp = call->psp;
    if (uuid_is_nil(&checkout->payment_id))
        checkout->payment_id = sim_id_of(checkout->reference);
    if (uuid_is_nil(&checkout->order_id))
        checkout->order_id = checkout->payment_id;
    checkout->attempt_id = sim_id_of(key[0] ? key : checkout->reference);
    if (sim_is_sample(str_of(checkout->reference))) {
        checkout->serial = 1;
        return true;
    }
    err_t err = sim_bank_open(call->self->bank, checkout, return_url);
    if (err == ERR_OK && call->fault.webhook == SIM_WEBHOOK_BEFORE)
        err = sim_pay_at(call->self, checkout->psp, checkout->serial, &paid);
    if (err == ERR_ID_CONFLICT)
        sim_call_refuse(call, 409, "another request came under this key before");
    else if (err != ERR_OK)
        sim_call_refuse(call, 500, "the bank's journal cannot be written");
    return err == ERR_OK;
}

bool sim_call_find(sim_call_t *call, const char *reference, sim_checkout_t *checkout)
{
    const uuid_t payment_id = sim_id_of(reference);
    return sim_bank_find_named(call->self->bank, &payment_id, call->psp, checkout) == ERR_OK;
}

int64_t sim_refunded(sim_t *self, const sim_checkout_t *checkout)
{
    sim_refund_t refunds[REFUNDS_MAX];
    int64_t sum = 0;
    const size_t count = sim_refunds_of(self->bank, checkout, refunds, REFUNDS_MAX);
    for (size_t i = 0; i < count; i++)
        if (refunds[i].state == SIM_REFUND_DONE)
            sum += refunds[i].amount;
    return sum;
}

bool sim_call_refund(sim_call_t *call, const sim_checkout_t *checkout, const char *reference,
                     int64_t amount, sim_refund_t *refund)
{
    char ref[SIM_REF_SIZE];
    const char *key = call->refund_key ? call->refund_key : reference;
    *refund = (sim_refund_t){.psp = call->psp,
                             .refund_id = key[0] ? sim_id_of(key) : uuid7_new(),
                             .payment_id = checkout->payment_id,
                             .order_id = checkout->order_id,
                             .amount = amount,
                             .serial = 1,
                             .at_us = clock_wall_us(),
                             .notes = call->notes.data,
                             .state = SIM_REFUND_DONE};
    memcpy(refund->currency, checkout->currency, sizeof refund->currency);
    str_copy(str_of(reference), refund->reference, sizeof refund->reference);
    snprintf(refund->charge_ref, sizeof refund->charge_ref, "%s",
             sim_ref(ref, "txn", call->psp, checkout->outcome_serial));
    if (sim_is_sample(str_of(checkout->reference)))
        return true;
    const err_t err =
        checkout->state == SIM_PAID ? sim_call_give_back(call, refund) : ERR_PAYMENT_NOT_FOUND;
    call->key_reused = err == ERR_ID_CONFLICT;
    if (err == ERR_STORE_UNAVAILABLE)
        sim_call_refuse(call, 500, "the bank's journal cannot be written");
    else if (call->key_reused)
        sim_call_refuse(call, 400, "another refund came under this reference before");
    else if (err != ERR_OK)
        sim_call_refuse(call, 400, "there is nothing to refund");
    else if (call->status == 0 && refund->state == SIM_REFUND_REFUSED)
        sim_call_refuse(call, 400, refund->error);
    return call->status == 0;
}

err_t sim_call_give_back(sim_call_t *call, sim_refund_t *refund)
{
    bool fresh;
    const int64_t now_us = clock_wall_us();
    refund->psp = call->psp;
    sim_api_plan_refund(refund, &call->fault, now_us);
    TRY(sim_refund(call->self, refund, now_us, &fresh));
    if (call->fault.refund == SIM_REFUNDS_UNKNOWN)
        sim_call_refuse(call, 500, "the answer was lost");
    return ERR_OK;
}

/* ---- small things ---- */

sim_checkout_t sim_sample(size_t psp_index)
{
    return (sim_checkout_t){.psp = psp_at(psp_index),
                            .payment_id = sim_id_of("ord_1"),
                            .order_id = sim_id_of("ord_1"),
                            .reference = "ord_1",
                            .amount = 49900,
                            .currency = "INR",
                            .state = SIM_PAID,
                            .serial = 1,
                            .expires_at_us = clock_wall_us() + INT64_C(900000000),
                            .outcome_serial = 1,
                            .outcome_amount = 49900,
                            .outcome_at_us = clock_wall_us()};
}

bool sim_call_find_or_sample(sim_call_t *call, const char *reference, sim_checkout_t *checkout)
{
    if (!sim_is_sample(str_of(reference)))
        return sim_call_find(call, reference, checkout);
    *checkout = sim_sample(call->wire->psp_index);
    return true;
}

uint64_t sim_charge_of(const sim_event_t *event, const sim_checkout_t *checkout)
{
    char ref[SIM_REF_SIZE];
    if (checkout->second_serial != 0 &&
        strcmp(sim_ref(ref, "txn", event->psp, checkout->second_serial), event->ref) == 0)
        return checkout->second_serial;
    return checkout->outcome_serial;
}

str_t sim_first_secret(const psp_account_t *account)
{
    str_t rest = str_of(account->webhook_secrets), secret = {NULL, 0};
    CHECK(psp_secret_next(&rest, &secret));
    return secret;
}

bool sim_read_decimal(str_t body, const char *path, const char *currency, int64_t *amount)
{
    str_t raw;
    if (!json_raw_find(body, path, &raw))
        return false;
    if (raw.size >= 2 && raw.data[0] == '"')
        raw = (str_t){raw.data + 1, raw.size - 2};
    return amount_parse(raw, currency, amount);
}

void sim_write_decimal(buf_t *body, const char *key, int64_t amount, const char *currency)
{
    char text[AMOUNT_TEXT_SIZE];
    amount_format(amount, currency, text);
    json_raw(body, key, text, strlen(text));
}

void sim_write_ist(buf_t *body, const char *key, int64_t wall_us)
{
    enum { IST_S = 19800 };
    char text[40];
    struct tm tm;
    const time_t at = (time_t)(wall_us / 1000000 + IST_S);
    CHECK(gmtime_r(&at, &tm));
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S+05:30", &tm);
    json_text(body, key, text);
}

void sim_checkout_url(const sim_t *self, const sim_checkout_t *checkout, char *url, size_t capacity)
{
    char text[UUID_TEXT_SIZE];
    snprintf(url, capacity, "%s/checkout/%s", self->public_url,
             uuid_format(&checkout->payment_id, text));
}

const char *sim_basic(const char *user, const char *password, char header[600])
{
    char keys[400];
    unsigned char encoded[(sizeof keys + 2) / 3 * 4 + 1];
    const int size = password ? snprintf(keys, sizeof keys, "%s:%s", user, password)
                              : snprintf(keys, sizeof keys, "%s", user);
    CHECK(size >= 0 && (size_t)size < sizeof keys);
    EVP_EncodeBlock(encoded, (const unsigned char *)keys, size);
    snprintf(header, 600, "Basic %s", (const char *)encoded);
    return header;
}

bool sim_read_amount(const json_t *object, const char *key, int64_t *amount)
{
    const json_t *value = json_object_get(object, key);
    *amount = json_integer_value(value);
    return json_is_integer(value) && *amount >= 1 && *amount <= AMOUNT_MAX;
}
