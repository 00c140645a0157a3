/* micro.c - bench-micro: what the code on the hot paths costs, piece by piece, on fixed input.
 *
 *   bench-micro                    nanoseconds of each, median of 7
 *   bench-micro --list             their names
 *   bench-micro NAME ITERATIONS    runs one so often and prints nothing: for counting instructions
 * in measured()
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/idempotency.h"
#include "gateway/requests.h"
#include "lib/clock.h"
#include "lib/hmac.h"
#include "lib/hub.h"
#include "lib/payment/psp.h"
#include "lib/pg.h"
#include "proto/messages.h"
#include "services/router/router_rules.h"

enum { ROUNDS = 7, ROUND_US = 20000, ORDERS_IN_BATCH = 64 };

static const uuid_t id = {{1, 0x8f, 0x3a, 0x5c, 0x21, 0x44, 0x7a, 0x10, 0x9b, 2, 3, 4, 5, 6, 7, 8}};

static const char order_body[] = "{\"user_id\":\"u1\",\"amount\":45000,\"currency\":\"INR\"}";

static const char prototype_body[] = "{\"event_id\":\"evt_1\",\"gateway\":\"Razorpay\",\"order_"
                                     "id\":\"018f3a5c-2144-7a10-9b02-030405060708\","
                                     "\"payment_id\":\"018f3a5c-2144-7a10-9b02-030405060709\","
                                     "\"gateway_txn_id\":\"txn_1\",\"status\":\"SUCCESS\","
                                     "\"amount\":45000,\"signature\":\"Razorpay:dev-secret\","
                                     "\"occurred_at\":\"2026-02-21T00:00:00Z\"}";

static const char razorpay_body[] =
    "{\"entity\":\"event\",\"account_id\":\"acc_1\",\"event\":\"payment.captured\",\"contains\":["
    "\"payment\"],"
    "\"payload\":{\"payment\":{\"entity\":{\"id\":\"pay_1\",\"entity\":\"payment\",\"amount\":"
    "45000,"
    "\"currency\":\"INR\",\"status\":\"captured\",\"order_id\":\"order_1\",\"method\":\"upi\","
    "\"amount_refunded\":0,\"captured\":true,\"notes\":{\"payment_id\":\"018f3a5c-2144-7a10-9b02-"
    "030405060709\","
    "\"order_id\":\"018f3a5c-2144-7a10-9b02-030405060708\"},\"fee\":1062,\"tax\":162,\"created_"
    "at\":1760000000}}},"
    "\"created_at\":1760000001}";
static const char razorpay_secret[] = "a-secret-of-the-benchmark";

/* ---- messages ---- */

static order_create_t order_create(void)
{
    return (order_create_t){.order_id = id,
                            .user_id = STR_LITERAL("u1"),
                            .amount = 45000,
                            .currency = STR_LITERAL("INR"),
                            .idempotency_id = id,
                            .fingerprint = id};
}

static void encode_order(void)
{
    const order_create_t order = order_create();
    uint8_t body[512];
    CHECK(message_encode(MSG_order_create, &order, body, sizeof body) > 0);
}

static uint8_t encoded[512];
static size_t encoded_size;

static void prepare_encoded_order(void)
{
    const order_create_t order = order_create();
    encoded_size = message_encode(MSG_order_create, &order, encoded, sizeof encoded);
}

static void decode_order(void)
{
    order_create_t order;
    err_detail_t detail;
    CHECK(message_decode(MSG_order_create, encoded, encoded_size, &order, &detail) == ERR_OK);
}

static bus_header_t request_header(void)
{
    return (bus_header_t){.version = BUS_VERSION,
                          .kind = BUS_REQUEST,
                          .message = MSG_order_create,
                          .correlation = 1234567,
                          .request_id = id,
                          .service = "order",
                          .budget_ms = 5000,
                          .attempt = 1};
}

static void encode_header(void)
{
    const bus_header_t header = request_header();
    uint8_t frame[BUS_HEADER_MAX_BYTES];
    CHECK(bus_header_encode(&header, frame) > 0);
}

static void prepare_encoded_header(void)
{
    const bus_header_t header = request_header();
    encoded_size = bus_header_encode(&header, encoded);
}

static void decode_header(void)
{
    bus_header_t header;
    err_detail_t detail;
    CHECK(bus_header_decode(encoded, encoded_size, &header, &detail) == ERR_OK);
}

/* ---- what comes from outside ---- */

static void read_order(void)
{
    order_create_t order;
    request_parsed_t *parsed = NULL;
    err_detail_t detail;
    CHECK(request_order_create(str_of(order_body), &order, &parsed, &detail) == ERR_OK);
    request_parsed_free(&parsed);
}

static void identify_key(void)
{
    uuid_t key, fingerprint;
    err_detail_t detail;
    CHECK(idempotency_identify("", "POST", "/orders", "a-key-of-the-benchmark", str_of(order_body),
                               &key, &fingerprint, &detail) == ERR_OK);
}

static const char *no_header(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return NULL;
}

static const char *razorpay_header(void *arg, const char *name)
{
    return strcasecmp(name, "X-Razorpay-Signature") == 0  ? arg
           : strcasecmp(name, "X-Razorpay-Event-Id") == 0 ? "evt_1"
                                                          : NULL;
}

static const psp_account_t account = {.base_url = "http://127.0.0.1:1/razorpay",
                                      .key_id = "key",
                                      .key_secret = "secret",
                                      .webhook_secrets = razorpay_secret};
static const psp_account_t dev_account = {.base_url = "http://127.0.0.1:1/razorpay",
                                          .key_id = "key",
                                          .key_secret = "secret",
                                          .webhook_secrets = "dev-secret"};

static void verify_prototype(void)
{
    psp_report_t report;
    err_detail_t detail;
    CHECK(psp_webhook_verify(psp_find(STR_LITERAL("Razorpay")), &dev_account, true, no_header, NULL,
                             str_of(prototype_body), 0, &report, &detail) == ERR_OK);
}

static char signature[65];

static void prepare_signature(void)
{
    uint8_t digest[HMAC_SHA256_SIZE];
    hmac_sha256(str_of(razorpay_secret), str_of(razorpay_body), digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(signature + 2 * i, 3, "%02x", digest[i]);
}

static void verify_razorpay(void)
{
    psp_report_t report;
    err_detail_t detail;
    CHECK(psp_webhook_verify(psp_find(STR_LITERAL("Razorpay")), &account, false, razorpay_header,
                             signature, str_of(razorpay_body), 0, &report, &detail) == ERR_OK);
}

static void sign(void)
{
    uint8_t digest[HMAC_SHA256_SIZE];
    hmac_sha256(str_of(razorpay_secret), str_of(razorpay_body), digest);
}

/* ---- answers ---- */

static void write_order(void)
{
    buf_t body = {0};
    json_open_object(&body, NULL);
    json_uuid(&body, "order_id", &id);
    json_text(&body, "status", "PENDING");
    json_text(&body, "user_id", "u1");
    json_int(&body, "amount", 45000);
    json_text(&body, "currency", "INR");
    json_time(&body, "created_at", 1760000000123456);
    json_time(&body, "expires_at", 1760000900123456);
    json_close_object(&body);
    buf_free(&body);
}

/* ---- the hub ---- */

static hub_t *hub;
static uint64_t sent_correlation;

static bool on_send(void *self, uint32_t peer, const bus_header_t *header, const uint8_t *body,
                    size_t body_size)
{
    (void)self;
    (void)peer;
    (void)body;
    (void)body_size;
    if (header->kind == BUS_REQUEST)
        sent_correlation = header->correlation;
    return true;
}

static void on_answer(void *self, const hub_request_t *request, err_t status, const char *instance,
                      int64_t took_ms, uint32_t message, const uint8_t *body, size_t body_size)
{
    (void)self;
    (void)request;
    (void)instance;
    (void)took_ms;
    (void)message;
    (void)body;
    (void)body_size;
    CHECK(status == ERR_OK);
}

static void on_event(void *self, uint32_t peer, const bus_header_t *header, const uint8_t *body,
                     size_t body_size)
{
    (void)self;
    (void)peer;
    (void)header;
    (void)body;
    (void)body_size;
}

static void on_worker(void *self, uint32_t peer, const char *service, const char *instance,
                      bool present, const char *reason)
{
    (void)self;
    (void)peer;
    (void)service;
    (void)instance;
    (void)present;
    (void)reason;
}

static void prepare_hub(void)
{
    static const hub_sink_t sink = {on_send, on_answer, on_event, on_worker};
    hub = hub_new(&(hub_config_t){.sink = &sink});
    for (uint32_t peer = 1; peer <= 3; peer++) {
        bus_header_t ready = {
            .version = BUS_VERSION, .kind = BUS_READY, .service = "order", .credit = 256};
        snprintf(ready.instance, sizeof ready.instance, "order-%u", peer);
        hub_frame(hub, 0, peer, &ready, NULL, 0);
    }
}

static void pass_request(void)
{
    const hub_request_t request = {.service = "order",
                                   .message = MSG_order_create,
                                   .retry = HUB_RETRY_SAFE,
                                   .budget_ms = 5000,
                                   .request_id = id,
                                   .traceparent = "",
                                   .body = (const uint8_t *)order_body,
                                   .body_size = sizeof order_body};
    hub_request(hub, 0, &request);
    const bus_header_t reply = {.version = BUS_VERSION,
                                .kind = BUS_REPLY,
                                .message = MSG_order_created,
                                .correlation = sent_correlation,
                                .request_id = id};
    /* Whoever it went to: a reply from another instance is dropped, its own is taken. */
    for (uint32_t peer = 1; peer <= 3; peer++)
        hub_frame(hub, 0, peer, &reply, NULL, 0);
}

/* ---- decisions, statements, ids ---- */

static router_psps_t psps;

static void prepare_psps(void)
{
    for (size_t i = 0; i < psp_count(); i++)
        psps.of[psps.count++] = psp_at(i);
}

static void choose_psp(void)
{
    CHECK(router_next_psp(&psps, "", "Razorpay") != NULL);
}

static pg_params_t params;

static void build_arrays(void)
{
    pg_params_reset(&params);
    const int ids = pg_array_begin(&params, PG_ARRAY_UUID);
    const int users = pg_array_begin(&params, PG_ARRAY_TEXT);
    const int amounts = pg_array_begin(&params, PG_ARRAY_INT8);
    for (int i = 0; i < ORDERS_IN_BATCH; i++) {
        pg_array_add_uuid(&params, ids, &id);
        pg_array_add_text(&params, users, STR_LITERAL("u1"));
        pg_array_add_int8(&params, amounts, 45000);
    }
}

static void make_id(void)
{
    char text[UUID_TEXT_SIZE];
    uuid_t made = uuid7_new(), parsed;
    CHECK(uuid_parse(uuid_format(&made, text), UUID_TEXT_SIZE - 1, &parsed));
}

/* ---- running them ---- */

typedef struct micro {
    const char *name;
    void (*run)(void);
    void (*prepare)(void);
} micro_t;

static const micro_t all[] = {
    {"encode order.create", encode_order, NULL},
    {"decode order.create", decode_order, prepare_encoded_order},
    {"encode bus header", encode_header, NULL},
    {"decode bus header", decode_header, prepare_encoded_header},
    {"read POST /orders", read_order, NULL},
    {"identify Idempotency-Key", identify_key, NULL},
    {"verify and read prototype webhook", verify_prototype, NULL},
    {"verify and read Razorpay webhook", verify_razorpay, prepare_signature},
    {"HMAC-SHA256 of a webhook", sign, NULL},
    {"write an order's JSON", write_order, NULL},
    {"hub: request and reply", pass_request, prepare_hub},
    {"router: next PSP", choose_psp, prepare_psps},
    {"arrays of 64 orders", build_arrays, NULL},
    {"make, format and parse an id", make_id, NULL}};
enum { COUNT = sizeof all / sizeof *all };

void measured(void (*run)(void), unsigned long iterations);

/* Its name is what an instruction counter is told to watch. */
__attribute__((noinline)) void measured(void (*run)(void), unsigned long iterations)
{
    for (unsigned long i = 0; i < iterations; i++)
        run();
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_ns(const micro_t *micro)
{
    double ns[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        unsigned long iterations = 0;
        const int64_t began_us = clock_mono_us();
        int64_t took_us;
        do {
            measured(micro->run, 100);
            iterations += 100;
            took_us = clock_mono_us() - began_us;
        } while (took_us < ROUND_US);
        ns[round] = (double)took_us * 1000 / (double)iterations;
    }
    qsort(ns, ROUNDS, sizeof *ns, by_value);
    return ns[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    const bool lists = argc == 2 && strcmp(argv[1], "--list") == 0;
    for (int i = 0; i < COUNT; i++) {
        if (lists) {
            puts(all[i].name);
        } else if (argc == 1 || (argc == 3 && strcmp(argv[1], all[i].name) == 0)) {
            if (all[i].prepare != NULL)
                all[i].prepare();
            all[i].run(); /* what is set up by the first call is not what is measured */
            if (argc == 1)
                printf("%8.0f ns  %s\n", median_ns(&all[i]), all[i].name);
            else
                measured(all[i].run, strtoul(argv[2], NULL, 10));
        }
    }
    return 0;
}
