/* edge.c - what the gateway does for each request: bodies read, keys and signatures checked,
 * answers written and counted, events given to sockets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "gateway/auth.h"
#include "gateway/idempotency.h"
#include "gateway/metrics.h"
#include "gateway/requests.h"
#include "gateway/socket_registry.h"
#include "lib/hmac.h"
#include "lib/http_server.h"
#include "lib/payment/psp.h"
#include "tests/bench/micro/micro.h"
#include "tests/support/psp_verify.h"

static const char razorpay_body[] =
    "{\"entity\":\"event\",\"account_id\":\"acc_1\",\"event\":\"payment.captured\","
    "\"contains\":[\"payment\"],\"payload\":{\"payment\":{\"entity\":{\"id\":\"pay_1\","
    "\"entity\":\"payment\",\"amount\":45000,\"currency\":\"INR\",\"status\":\"captured\","
    "\"order_id\":\"order_1\",\"method\":\"upi\",\"amount_refunded\":0,\"captured\":true,"
    "\"notes\":{\"payment_id\":\"018f3a5c-2144-7a10-9b02-030405060709\","
    "\"order_id\":\"018f3a5c-2144-7a10-9b02-030405060708\"},"
    "\"fee\":1062,\"tax\":162,\"created_at\":1760000000}}},\"created_at\":1760000001}";
static const char razorpay_secret[] = "a-secret-of-the-benchmark";

/* ---- what comes from outside ---- */

static void read_order(void)
{
    order_create_t order;
    request_parsed_t *parsed = NULL;
    err_detail_t detail;
    CHECK(request_order_create(str_of(micro_order_body), &order, &parsed, &detail) == ERR_OK);
    request_parsed_free(&parsed);
}

static void identify_key(void)
{
    uuid_t key, fingerprint;
    err_detail_t detail;
    CHECK(idempotency_identify("", "POST", "/orders", "a-key-of-the-benchmark",
                               str_of(micro_order_body), &key, &fingerprint, &detail) == ERR_OK);
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
    CHECK(psp_verify_one(psp_find(STR_LITERAL("Razorpay")), &dev_account, true, no_header, NULL,
                             str_of(micro_prototype_body), 0, &report, &detail) == ERR_OK);
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
    CHECK(psp_verify_one(psp_find(STR_LITERAL("Razorpay")), &account, false, razorpay_header,
                             signature, str_of(razorpay_body), 0, &report, &detail) == ERR_OK);
}

static void sign(void)
{
    uint8_t digest[HMAC_SHA256_SIZE];
    hmac_sha256(str_of(razorpay_secret), str_of(razorpay_body), digest);
}

/* ---- who asks, and what is counted of it ---- */

static auth_t *auth;

/* One caller, whose key is "a-key". */
static void prepare_auth(void)
{
    char file[] = "/tmp/bench-micro.XXXXXX";
    const int fd = mkstemp(file);
    CHECK(fd >= 0);
    dprintf(fd, "shop write "
                "2a8a1240f50636655520ac8ed22aa29473b8517b4abfdbc3bc03bcad73fc8849\n");
    err_detail_t detail;
    CHECK(auth_load(file, &auth, &detail) == ERR_OK);
    unlink(file);
    close(fd);
}

static void check_api_key(void)
{
    CHECK(auth_check_header(auth, "Bearer a-key", AUTH_WRITE) == ERR_OK);
}

static metrics_t *metrics;

static void prepare_metrics(void)
{
    metrics = metrics_new();
}

static void count_answer(void)
{
    metrics_http(metrics, "POST", "/orders", 201, 1500);
}

static void count_reply(void)
{
    metrics_reply(metrics, "order", "order-1", "order.create", ERR_OK, 1200);
}

/* ---- answers ---- */

static void write_order(void)
{
    buf_t body = {0};
    json_open_object(&body, NULL);
    json_uuid(&body, "order_id", &micro_id);
    json_text(&body, "status", "PENDING");
    json_text(&body, "user_id", "u1");
    json_int(&body, "amount", 45000);
    json_text(&body, "currency", "INR");
    json_time(&body, "created_at", 1760000000123456);
    json_time(&body, "expires_at", 1760000900123456);
    json_close_object(&body);
    buf_free(&body);
}

/* Head and body, as every answer has them. */
static void write_problem(void)
{
    free(http_problem_response(ERR_NOT_FOUND, NULL, &micro_id));
}

/* ---- events to sockets ---- */

enum { SOCKETS = 10000, SOCKETS_OF_USER = 3 };
static socket_registry_t *registry;

static void prepare_sockets(void)
{
    socket_t *sockets = calloc(SOCKETS, sizeof *sockets);
    CHECK(sockets != NULL);
    registry = socket_registry_new(SOCKETS);
    for (unsigned i = 0; i < SOCKETS; i++) {
        snprintf(sockets[i].user_id, sizeof sockets[i].user_id, "u%u", i / SOCKETS_OF_USER);
        socket_registry_add(registry, &sockets[i]);
    }
}

static void deliver_event(void)
{
    const str_t user_id = STR_LITERAL("u1");
    const str_t event = str_of(micro_event);
    frame_t *frame = frame_new(FRAME_TEXT, event.data, event.size);
    unsigned given = 0;
    socket_t *socket = NULL;
    while ((socket = socket_registry_find(registry, user_id, &micro_id, socket)) != NULL) {
        CHECK(socket_push(socket, frame));
        frame_t *taken = socket_pop(socket);
        frame_release(&taken);
        given++;
    }
    frame_release(&frame);
    CHECK(given == SOCKETS_OF_USER);
}

const micro_t micro_edge[] = {
    {"read POST /orders", read_order, NULL},
    {"identify Idempotency-Key", identify_key, NULL},
    {"verify and read prototype webhook", verify_prototype, NULL},
    {"verify and read Razorpay webhook", verify_razorpay, prepare_signature},
    {"HMAC-SHA256 of a webhook", sign, NULL},
    {"check an API key", check_api_key, prepare_auth},
    {"count an answer", count_answer, prepare_metrics},
    {"count a service's reply", count_reply, prepare_metrics},
    {"write an order's JSON", write_order, NULL},
    {"write a problem's head and body", write_problem, NULL},
    {"deliver an event to 3 of 10000 sockets", deliver_event, prepare_sockets},
    {NULL, NULL, NULL}};
