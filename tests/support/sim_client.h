/* sim_client.h - a test's side of the PSP simulator: scripts that steer it, and the connector's
 * calls to its PSPs. One simulator per test program at a time. */
#ifndef TIFFIN_TESTS_SIM_CLIENT_H
#define TIFFIN_TESTS_SIM_CLIENT_H

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include <ctype.h>

#include "lib/http_client.h"
#include "lib/payment/psp_accounts.h"
#include "tests/support/test_main.h"

enum { SIM_CLIENT_PATIENCE_MS = 20000, SIM_CLIENT_CALLS_MAX = 512 };

typedef struct sim_client {
    http_client_t *http;
    char base[64];                /* http://127.0.0.1:port */
    psp_accounts_t accounts;      /* as they are in dev */
    char psp_urls[PSP_COUNT][80]; /* where each PSP's API is */
} sim_client_t;

static sim_client_t sim_client;

static inline void sim_client_open(unsigned port)
{
    memset(&sim_client, 0, sizeof sim_client);
    sim_client.http = http_client_new(SIM_CLIENT_CALLS_MAX);
    snprintf(sim_client.base, sizeof sim_client.base, "http://127.0.0.1:%u", port);
    psp_accounts_check(&sim_client.accounts, true);
    for (unsigned i = 0; i < PSP_COUNT; i++) {
        snprintf(sim_client.psp_urls[i], sizeof sim_client.psp_urls[i], "%s/%s", sim_client.base,
                 psp_name(psp_at(i)));
        for (char *at = sim_client.psp_urls[i]; *at; at++)
            *at = (char)tolower((unsigned char)*at);
        sim_client.accounts.of[i].base_url = sim_client.psp_urls[i];
    }
}

static inline void sim_client_close(void)
{
    http_client_destroy(&sim_client.http);
}

/* ---- calls ---- */

/* The next answer; the body is the caller's. */
static inline http_client_response_t sim_await(void **cookie)
{
    http_client_response_t response;
    struct pollfd ready = {.fd = http_client_fd(sim_client.http), .events = POLLIN};
    while (!http_client_next(sim_client.http, cookie, &response))
        assert_int_equal(poll(&ready, 1, SIM_CLIENT_PATIENCE_MS), 1);
    return response;
}

/* Status and body of one call; the body is valid until the next. */
static inline int sim_call(const char *method, const char *path, const char *body,
                           const char **text)
{
    static char kept[64 * 1024];
    void *cookie;
    http_client_request_t request = {.method = method, .timeout_ms = SIM_CLIENT_PATIENCE_MS};
    snprintf(request.url, sizeof request.url, "%s%s", sim_client.base, path);
    if (body)
        buf_add_text(&request.body, body);
    http_client_submit(sim_client.http, &request, kept);
    http_client_response_t response = sim_await(&cookie);
    assert_ptr_equal(cookie, kept); /* nothing else is under way */
    if (response.err != ERR_OK)
        fail_msg("%s %s: %s", method, path, response.error);
    snprintf(kept, sizeof kept, "%s", response.body.data ? response.body.data : "");
    buf_free(&response.body);
    if (text)
        *text = kept;
    return response.status;
}

/* "/_sim/payments/<id>/pay" of "/_sim/payments/…/pay" with a star for the id; valid until the next
 * call. */
static inline const char *sim_path(const char *format, const uuid_t *payment_id)
{
    static char path[128];
    char text[UUID_TEXT_SIZE];
    const char *hole = strchr(format, '*');
    snprintf(path, sizeof path, "%.*s%s%s", (int)(hole - format), format,
             uuid_format(payment_id, text), hole + 1);
    return path;
}

static inline int sim_script(const char *format, const uuid_t *payment_id, const char *body,
                             const char **text)
{
    return sim_call("POST", sim_path(format, payment_id), body, text);
}

static inline void sim_misbehave(const char *psp, const char *faults)
{
    char path[64];
    snprintf(path, sizeof path, "/_sim/%s/faults", psp);
    assert_int_equal(sim_call("PUT", path, faults, NULL), 200);
}

/* Rows of the book of one kind ("charge", "refund"); *sum, where it is not NULL, is what they come
 * to. */
static inline unsigned sim_book(const uuid_t *payment_id, const char *kind, int64_t *sum)
{
    const char *text;
    char wanted[64];
    unsigned rows = 0;
    int64_t total = 0;
    snprintf(wanted, sizeof wanted, "\"kind\":\"%s\",\"amount\":", kind);
    assert_int_equal(sim_call("GET", sim_path("/_sim/book?payment_id=*", payment_id), NULL, &text),
                     200);
    for (const char *at = text; (at = strstr(at, wanted)) != NULL; rows++) {
        at += strlen(wanted);
        total += strtoll(at, NULL, 10);
    }
    if (sum)
        *sum = total;
    return rows;
}

/* ---- the connector's calls ---- */

static inline const psp_account_t *sim_account(unsigned psp)
{
    return psp_account_of(&sim_client.accounts, psp_at(psp));
}

static inline psp_checkout_t sim_checkout_of(const uuid_t *payment_id)
{
    return (psp_checkout_t){.payment_id = *payment_id,
                            .order_id = uuid7_new(),
                            .attempt_id = uuid7_new(),
                            .amount = 45000,
                            .currency = "INR",
                            .method = "UPI",
                            .expires_at_us = clock_wall_us() + INT64_C(600000000),
                            .now_us = clock_wall_us(),
                            .public_url = "http://127.0.0.1:1"};
}

static inline psp_checkout_answer_t sim_create(unsigned psp, const psp_checkout_t *checkout)
{
    void *cookie;
    psp_checkout_answer_t answer;
    http_client_request_t request;
    psp_checkout_request(psp_at(psp), sim_account(psp), checkout, &request);
    request.timeout_ms = SIM_CLIENT_PATIENCE_MS;
    http_client_submit(sim_client.http, &request, NULL);
    http_client_response_t response = sim_await(&cookie);
    psp_checkout_read(psp_at(psp), &response, &answer);
    buf_free(&response.body);
    return answer;
}

static inline psp_report_t sim_status(unsigned psp, const uuid_t *payment_id)
{
    void *cookie;
    psp_report_t report;
    err_detail_t detail;
    http_client_request_t request;
    psp_status_request(psp_at(psp), sim_account(psp), &(psp_payment_t){.payment_id = *payment_id},
                       &request);
    request.timeout_ms = SIM_CLIENT_PATIENCE_MS;
    http_client_submit(sim_client.http, &request, NULL);
    http_client_response_t response = sim_await(&cookie);
    str_t body = {response.body.data, (uint32_t)response.body.size};
    if (psp_status_read(psp_at(psp), &(psp_payment_t){.payment_id = *payment_id}, response.status,
                        body, &report, &detail) != ERR_OK)
        fail_msg("%s", detail.text);
    buf_free(&response.body);
    return report;
}

/* A refund's answer: its HTTP status; *report is filled when *err is ERR_OK. timeout_ms 0: patient.
 */
static inline int sim_give_back(unsigned psp, const psp_refund_t *refund, unsigned timeout_ms,
                                psp_report_t *report, err_t *err)
{
    void *cookie;
    err_detail_t detail;
    http_client_request_t request;
    psp_refund_request(psp_at(psp), sim_account(psp), refund, &request);
    request.timeout_ms = timeout_ms ? timeout_ms : SIM_CLIENT_PATIENCE_MS;
    http_client_submit(sim_client.http, &request, NULL);
    http_client_response_t response = sim_await(&cookie);
    str_t body = {response.body.data, (uint32_t)response.body.size};
    *err = response.err;
    if (response.err == ERR_OK)
        *err = psp_refund_read(psp_at(psp), refund, response.status, body, report, &detail);
    buf_free(&response.body);
    return response.err == ERR_OK ? response.status : 0;
}

#endif
