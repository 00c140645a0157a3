/* requests.c - see requests.h. */
#include "tests/bench/load/requests.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/uuid.h"

/* Unlike that of any other run, so that no key or event is a repetition. */
static const char *run_id(void)
{
    static char text[UUID_TEXT_SIZE];
    if (text[0] == '\0') {
        const uuid_t id = uuid7_new();
        uuid_format(&id, text);
    }
    return text;
}

static size_t post(const char *path, const char *headers, const char *body, size_t size,
                   char out[REQUEST_MAX_BYTES])
{
    const int written = snprintf(out, REQUEST_MAX_BYTES,
                                 "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%sContent-Type: "
                                 "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                                 path, headers, size, body);
    CHECK(written > 0 && written < REQUEST_MAX_BYTES);
    return (size_t)written;
}

static size_t get(const char *path, char out[REQUEST_MAX_BYTES])
{
    const int written =
        snprintf(out, REQUEST_MAX_BYTES, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
    CHECK(written > 0 && written < REQUEST_MAX_BYTES);
    return (size_t)written;
}

size_t build_order(const request_options_t *options, const subject_t *subject, unsigned long serial,
                   char out[REQUEST_MAX_BYTES])
{
    (void)subject;
    char body[256], headers[128];
    const int size =
        snprintf(body, sizeof body, "{\"user_id\":\"u%lu\",\"amount\":45000,\"currency\":\"INR\"}",
                 serial % options->users);
    snprintf(headers, sizeof headers, "Idempotency-Key: %s-%lu\r\n", run_id(), serial);
    return post("/orders", headers, body, (size_t)size, out);
}

size_t build_initiate(const request_options_t *options, const subject_t *subject,
                      unsigned long serial, char out[REQUEST_MAX_BYTES])
{
    (void)options;
    char body[256], headers[128];
    const int size = snprintf(body, sizeof body, "{\"order_id\":\"%s\",\"payment_method\":\"UPI\"}",
                              subject->order_id);
    snprintf(headers, sizeof headers, "Idempotency-Key: %s-i%lu\r\n", run_id(), serial);
    return post("/payments/initiate", headers, body, (size_t)size, out);
}

/* The format of the prototype, whose signature is in the body. */
static size_t build_prototype_webhook(const subject_t *subject, unsigned long serial,
                                      char out[REQUEST_MAX_BYTES])
{
    char body[768];
    const int size =
        snprintf(body, sizeof body,
                 "{\"event_id\":\"evt_%s_%lu\",\"gateway\":\"Razorpay\",\"order_id\":\"%s\","
                 "\"payment_id\":\"%s\",\"gateway_txn_id\":\"txn_%lu\",\"status\":\"SUCCESS\","
                 "\"amount\":45000,\"signature\":\"Razorpay:dev-secret\","
                 "\"occurred_at\":\"2026-02-21T00:00:00Z\"}",
                 run_id(), serial, subject->order_id, subject->payment_id, serial);
    CHECK(size > 0 && (size_t)size < sizeof body);
    return post("/webhooks/Razorpay", "", body, (size_t)size, out);
}

/* Razorpay's own: its signature is a header, the hexadecimal HMAC-SHA256 of the body
 * (https://razorpay.com/docs/webhooks/validate-test/). */
static size_t build_razorpay_webhook(const char *secret, const subject_t *subject,
                                     unsigned long serial, char out[REQUEST_MAX_BYTES])
{
    char body[1024], headers[256], hex[65];
    uint8_t digest[32];
    const char *unique = run_id() + 24; /* its random end: the beginning is the time */
    const int size = snprintf(
        body, sizeof body,
        "{\"entity\":\"event\",\"account_id\":\"acc_bench\",\"event\":\"payment.captured\","
        "\"contains\":[\"payment\"],\"payload\":{\"payment\":{\"entity\":{\"id\":\"pay_%.8s%"
        "010lu\","
        "\"entity\":\"payment\",\"amount\":45000,\"currency\":\"INR\",\"status\":\"captured\","
        "\"order_id\":\"order_%s%010lu\",\"method\":\"upi\",\"amount_refunded\":0,\"captured\":"
        "true,"
        "\"notes\":{\"payment_id\":\"%s\",\"order_id\":\"%s\"},\"fee\":1062,\"tax\":162,"
        "\"created_at\":1760000000}}},\"created_at\":1760000001}",
        unique, serial, unique, serial, subject->payment_id, subject->order_id);
    CHECK(size > 0 && (size_t)size < sizeof body);
    CHECK(HMAC(EVP_sha256(), secret, (int)strlen(secret), (const uint8_t *)body, (size_t)size,
               digest, NULL) != NULL);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    snprintf(headers, sizeof headers,
             "X-Razorpay-Signature: %s\r\nx-razorpay-event-id: evt_%s_%lu\r\n", hex, run_id(),
             serial);
    return post("/webhooks/razorpay", headers, body, (size_t)size, out);
}

size_t build_webhook(const request_options_t *options, const subject_t *subject,
                     unsigned long serial, char out[REQUEST_MAX_BYTES])
{
    subject_t unknown;
    if (subject->payment_id[0] == '\0') { /* nobody's: it is taken in all the same */
        uuid_t id = uuid7_new();
        uuid_format(&id, unknown.payment_id);
        id = uuid7_new();
        uuid_format(&id, unknown.order_id);
        subject = &unknown;
    }
    return options->webhook_secret != NULL
               ? build_razorpay_webhook(options->webhook_secret, subject, serial, out)
               : build_prototype_webhook(subject, serial, out);
}

size_t build_read(const request_options_t *options, const subject_t *subject, unsigned long serial,
                  char out[REQUEST_MAX_BYTES])
{
    (void)options;
    (void)serial;
    char path[64];
    snprintf(path, sizeof path, "/orders/%s", subject->order_id);
    return get(path, out);
}

size_t build_get(const request_options_t *options, const subject_t *subject, unsigned long serial,
                 char out[REQUEST_MAX_BYTES])
{
    (void)subject;
    (void)serial;
    return get(options->path, out);
}

bool answer_id(const char *body, const char *member, char id[ID_SIZE])
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":\"", member);
    const char *at = strstr(body, quoted);
    uuid_t parsed;
    if (at == NULL || strlen(at += strlen(quoted)) < ID_SIZE ||
        !uuid_parse(at, ID_SIZE - 1, &parsed))
        return false;
    memcpy(id, at, ID_SIZE - 1);
    id[ID_SIZE - 1] = '\0';
    return true;
}
