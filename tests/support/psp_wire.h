/* psp_wire.h - what the tests of the connectors have in common: one payment with its ids, requests
 * beside those of the PSP's own library (unit/vectors/<psp>.json), answers and signed webhooks.
 */
#ifndef TIFFIN_TESTS_PSP_WIRE_H
#define TIFFIN_TESTS_PSP_WIRE_H

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/form.h"
#include "lib/payment/psp.h"
#include "tests/support/psp_verify.h"
#include "tests/support/test_main.h"

#define ORDER "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1b"
#define PAYMENT "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a2b"
#define REFUND "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a3b"
#define ATTEMPT "0199c82c-c000-7e4f-8a5b-6c7d8e9f0a4b" /* made at NOW_S */
#define RETURN_URL "https://pay.example/checkout/" PAYMENT "/return"
#define NOW_S INT64_C(1760000000)
#define SECOND_US INT64_C(1000000)

static inline uuid_t uuid_of(const char *text)
{
    uuid_t uuid;
    assert_true(uuid_parse(text, strlen(text), &uuid));
    return uuid;
}

static inline void assert_is(const uuid_t *uuid, const char *text)
{
    char formatted[UUID_TEXT_SIZE];
    assert_string_equal(uuid_format(uuid, formatted), text);
}

static inline const psp_t *psp_named(const char *name)
{
    const psp_t *psp = psp_find(str_of(name));
    assert_non_null(psp);
    return psp;
}

/* tests/unit/vectors/<name>.json */
static inline json_t *load_vectors(const char *name)
{
    char path[512];
    json_error_t error;
    snprintf(path, sizeof path, TIFFIN_SOURCE_DIR "/tests/unit/vectors/%s.json", name);
    json_t *file = json_load_file(path, 0, &error);
    if (!file)
        fail_msg("%s: %s", path, error.text);
    return file;
}

static inline psp_checkout_t checkout_of(int64_t amount, const char *currency)
{
    psp_checkout_t checkout = {.payment_id = uuid_of(PAYMENT),
                               .order_id = uuid_of(ORDER),
                               .attempt_id = uuid_of(ATTEMPT),
                               .amount = amount,
                               .method = "CARD",
                               .return_url = "https://shop.example/thanks",
                               .expires_at_us = (NOW_S + 3600) * SECOND_US,
                               .now_us = NOW_S * SECOND_US,
                               .customer = {.id = "c1", .phone = "9999999999"},
                               .public_url = "https://pay.example"};
    snprintf(checkout.currency, sizeof checkout.currency, "%s", currency);
    return checkout;
}

static inline psp_refund_t refund_of(int64_t amount, const char *currency, const char *capture_ref)
{
    psp_refund_t refund = {.refund_id = uuid_of(REFUND),
                           .payment_id = uuid_of(PAYMENT),
                           .order_id = uuid_of(ORDER),
                           .amount = amount};
    snprintf(refund.currency, sizeof refund.currency, "%s", currency);
    snprintf(refund.capture_ref, sizeof refund.capture_ref, "%s", capture_ref);
    return refund;
}

/* ---- requests ---- */

static inline const char *header_named(const http_client_request_t *request, const char *name)
{
    for (int i = 0; i < request->header_count; i++)
        if (strncasecmp(request->headers[i], name, strlen(name)) == 0 &&
            request->headers[i][strlen(name)] == ':')
            return request->headers[i] + strlen(name) + 2;
    return NULL;
}

static inline bool is_listed(const char *const *list, const char *name)
{
    for (; list && *list; list++)
        if (strcasecmp(*list, name) == 0)
            return true;
    return false;
}

/* What the library's request has and ours has otherwise. */
typedef struct wire_official {
    const char *psp, *method, *target; /* the library's */
    const char *const *renamed;        /* pairs: its ids, and what they are in ours */
    const char *const *otherwise;      /* headers and fields whose value differs; NULL-terminated */
    const char *const *without;        /* fields that ours lacks; NULL-terminated */
} wire_official_t;

/* `text` with the library's ids replaced by ours. */
static inline void wire_rename(const wire_official_t *official, const char *text, buf_t *renamed)
{
    while (*text) {
        const char *const *pair = official->renamed;
        while (pair && *pair && strncmp(text, pair[0], strlen(pair[0])) != 0)
            pair += 2;
        if (pair && *pair) {
            buf_add_text(renamed, pair[1]);
            text += strlen(pair[0]);
        } else {
            buf_add(renamed, text++, 1);
        }
    }
    buf_add(renamed, "", 0);
}

static inline bool wire_same(const wire_official_t *official, const char *theirs, const char *ours)
{
    buf_t renamed = {0};
    wire_rename(official, theirs, &renamed);
    const bool same = str_equal((str_t){renamed.data, (uint32_t)renamed.size}, str_of(ours));
    buf_free(&renamed);
    return same;
}

static inline void assert_members(const wire_official_t *official, const json_t *theirs,
                                  const json_t *ours)
{
    const char *name;
    const json_t *value;
    for (void *at = json_object_iter((json_t *)(uintptr_t)theirs); at;
         at = json_object_iter_next((json_t *)(uintptr_t)theirs, at)) {
        name = json_object_iter_key(at);
        value = json_object_iter_value(at);
        const json_t *own = json_object_get(ours, name);
        if (!own && is_listed(official->without, name))
            continue;
        if (!own || json_is_object(own) != json_is_object(value) ||
            json_is_number(own) != json_is_number(value))
            fail_msg("%s %s: \"%s\" is missing or of another type", official->psp, official->target,
                     name);
        if (is_listed(official->otherwise, name))
            continue;
        if (json_is_object(value))
            assert_members(official, value, own);
        else if (json_is_string(value)
                     ? !wire_same(official, json_string_value(value), json_string_value(own))
                     : json_number_value(value) != json_number_value(own))
            fail_msg("%s %s: \"%s\" differs", official->psp, official->target, name);
    }
}

static inline void assert_form(const wire_official_t *official, const char *theirs,
                               const http_client_request_t *request)
{
    str_t rest = str_of(theirs);
    form_field_t field;
    while (form_next(&rest, &field)) {
        char name[64], value[512], own[512];
        str_copy(field.name, name, sizeof name);
        assert_true(form_copy(str_of(theirs), name, value, sizeof value));
        if (!form_copy((str_t){request->body.data, (uint32_t)request->body.size}, name, own,
                       sizeof own)) {
            if (is_listed(official->without, name))
                continue;
            fail_msg("%s %s: \"%s\" is missing", official->psp, official->target, name);
        }
        if (!is_listed(official->otherwise, name) && !wire_same(official, value, own))
            fail_msg("%s %s: \"%s\" is \"%s\"", official->psp, official->target, name, own);
    }
}

static inline void assert_headers(const wire_official_t *official, json_t *theirs,
                                  const http_client_request_t *request)
{
    const char *name;
    json_t *value;
    json_object_foreach(theirs, name, value)
    {
        const char *own = header_named(request, name);
        if (!own && strcmp(request->method, "GET") == 0 && strcasecmp(name, "Content-Type") == 0)
            continue; /* of no body */
        if (!own && strcasecmp(name, "Authorization") == 0 &&
            strncmp(json_string_value(value), "O-Bearer ", 9) == 0)
            continue; /* a token: psp_client.h adds it */
        if (!own)
            fail_msg("%s %s: %s is missing", official->psp, official->target, name);
        if (!is_listed(official->otherwise, name))
            assert_string_equal(own, json_string_value(value));
    }
}

/* The same method, path, headers, and every field that the library's has. */
static inline void assert_as_official(const wire_official_t *official,
                                      const http_client_request_t *request)
{
    json_t *file = load_vectors(official->psp);
    const json_t *theirs = NULL;
    json_t *list = json_object_get(file, "requests");
    for (size_t i = 0; i < json_array_size(list) && !theirs; i++) {
        const json_t *one = json_array_get(list, i);
        if (strcmp(json_string_value(json_object_get(one, "method")), official->method) == 0 &&
            strcmp(json_string_value(json_object_get(one, "target")), official->target) == 0)
            theirs = one;
    }
    if (!theirs)
        fail_msg("the vectors lack %s %s", official->method, official->target);
    const char *path = strchr(request->url + strlen("https://"), '/');
    const char *body = json_string_value(json_object_get(theirs, "body"));
    char ours[1024], target[1024];
    assert_non_null(path);
    str_copy((str_t){path, (uint32_t)strcspn(path, "?")}, ours, sizeof ours);
    str_copy((str_t){official->target, (uint32_t)strcspn(official->target, "?")}, target,
             sizeof target);
    if (!wire_same(official, target, ours))
        fail_msg("%s: asked for %s", official->target, ours);
    assert_string_equal(request->method, official->method);
    assert_headers(official, json_object_get(theirs, "headers"), request);
    if (body[0] == '{') {
        json_t *json = json_loads(body, 0, NULL);
        json_t *own = json_loadb(request->body.data, request->body.size, 0, NULL);
        assert_non_null(own);
        assert_members(official, json, own);
        json_decref(json);
        json_decref(own);
    } else {
        assert_form(official, body, request);
        assert_int_equal(body[0] == '\0', request->body.size == 0);
    }
    json_decref(file);
}

/* Nothing of a secret is anywhere but where the PSP wants it. */
static inline void assert_not_in_url(const http_client_request_t *request, const char *secret)
{
    assert_null(strstr(request->url, secret));
}

/* ---- answers to checkouts ---- */

static inline psp_checkout_answer_t answer_to(const psp_t *psp, err_t err, int status,
                                              const char *body)
{
    http_client_response_t response = {.err = err, .status = status};
    psp_checkout_answer_t answer;
    buf_add_text(&response.body, body);
    psp_checkout_read(psp, &response, &answer);
    buf_free(&response.body);
    return answer;
}

typedef struct wire_error {
    err_t err;
    int status;
    const char *body;
    psp_checkout_outcome_t outcome;
    psp_fault_t fault;
    const char *reason; /* or a part of it */
} wire_error_t;

static inline void assert_errors(const psp_t *psp, const wire_error_t *errors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const psp_checkout_answer_t answer =
            answer_to(psp, errors[i].err, errors[i].status, errors[i].body);
        if (answer.outcome != errors[i].outcome || answer.fault != errors[i].fault ||
            !strstr(answer.reason, errors[i].reason) || answer.checkout_url[0] ||
            answer.page_data[0])
            fail_msg("%d %s: %s, %s, %s", errors[i].status, errors[i].body,
                     psp_checkout_outcome_name(answer.outcome), psp_fault_name(answer.fault),
                     answer.reason);
    }
}

/* What means the same at every PSP, whatever its errors look like. */
static inline void assert_common_errors(const psp_t *psp)
{
    static const wire_error_t errors[] = {
        {ERR_HTTP_UNREACHABLE, 0, "", PSP_CHECKOUT_REFUSED, PSP_FAULT_NETWORK, "reached"},
        {ERR_HTTP_TIMEOUT, 0, "", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_NETWORK, "in time"},
        {ERR_TOO_LARGE, 0, "", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "too long"},
        {ERR_OK, 302, "", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "HTTP 302"},
        {ERR_OK, 400, "{}", PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT, "HTTP 400"},
        {ERR_OK, 401, "nonsense", PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT, "HTTP 401"},
        {ERR_OK, 403, "", PSP_CHECKOUT_REFUSED, PSP_FAULT_MERCHANT, "HTTP 403"},
        {ERR_OK, 429, "{}", PSP_CHECKOUT_REFUSED, PSP_FAULT_LIMIT, "HTTP 429"},
        {ERR_OK, 500, "{}", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "HTTP 500"},
        {ERR_OK, 502, "<html>", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "HTTP 502"},
        {ERR_OK, 503, "<html>", PSP_CHECKOUT_REFUSED, PSP_FAULT_PSP, "HTTP 503"},
        {ERR_OK, 200, "", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, "[]", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 200, "{}", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
        {ERR_OK, 204, "", PSP_CHECKOUT_UNKNOWN, PSP_FAULT_PSP, "understood"},
    };
    assert_errors(psp, errors, sizeof errors / sizeof errors[0]);
}

/* ---- answers about payments and refunds ---- */

static inline err_t read_status(const psp_t *psp, int status, const char *body,
                                psp_report_t *report, err_detail_t *detail)
{
    const psp_payment_t payment = {.payment_id = uuid_of(PAYMENT)};
    memset(detail, 0, sizeof *detail);
    return psp_status_read(psp, &payment, status, str_of(body), report, detail);
}

static inline psp_report_t status_of(const psp_t *psp, const char *body)
{
    psp_report_t report, again;
    err_detail_t detail;
    if (read_status(psp, 200, body, &report, &detail) != ERR_OK)
        fail_msg("%s: %s", body, detail.text);
    assert_is(&report.payment_id, PAYMENT);
    assert_int_equal(strncmp(report.event_id, "status_", 7), 0);
    assert_false(report.hint);
    assert_int_equal(read_status(psp, 200, body, &again, &detail), ERR_OK);
    assert_memory_equal(&report, &again, sizeof report);
    return report;
}

static inline void assert_no_status(const psp_t *psp, int status, const char *body,
                                    const char *said)
{
    psp_report_t report;
    err_detail_t detail;
    if (read_status(psp, status, body, &report, &detail) != ERR_MALFORMED_WEBHOOK ||
        !strstr(detail.text, said))
        fail_msg("%d %s: \"%s\" does not say \"%s\"", status, body, detail.text, said);
}

static inline void assert_unknown(const psp_t *psp, int status, const char *body)
{
    psp_report_t report;
    err_detail_t detail;
    assert_int_equal(read_status(psp, status, body, &report, &detail), ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_NONE);
    assert_string_equal(report.reason, "the PSP does not know the payment");
    assert_is(&report.payment_id, PAYMENT);
}

static inline err_t read_refund(const psp_t *psp, int status, const char *body,
                                psp_report_t *report, err_detail_t *detail)
{
    const psp_refund_t asked = {.refund_id = uuid_of(REFUND), .payment_id = uuid_of(PAYMENT)};
    memset(detail, 0, sizeof *detail);
    return psp_refund_read(psp, &asked, status, str_of(body), report, detail);
}

static inline psp_report_t refund_in(const psp_t *psp, const char *body)
{
    psp_report_t report;
    err_detail_t detail;
    if (read_refund(psp, 200, body, &report, &detail) != ERR_OK)
        fail_msg("%s: %s", body, detail.text);
    assert_is(&report.payment_id, PAYMENT);
    assert_is(&report.refund_id, REFUND);
    assert_int_equal(strncmp(report.event_id, "refund_", 7), 0);
    return report;
}

static inline void assert_no_refund(const psp_t *psp, int status, const char *body,
                                    const char *said)
{
    psp_report_t report;
    err_detail_t detail;
    if (read_refund(psp, status, body, &report, &detail) != ERR_MALFORMED_WEBHOOK ||
        !strstr(detail.text, said))
        fail_msg("%d %s: \"%s\" does not say \"%s\"", status, body, detail.text, said);
}

/* A refusal for good, in the PSP's words; what says nothing about the refund is asked again. */
static inline void assert_refusals(const psp_t *psp, const char *body, const char *words)
{
    psp_report_t report;
    err_detail_t detail;
    char reason[PSP_REASON_SIZE];
    static const int passing[] = {401, 403, 408, 409, 425, 429, 500, 502, 503, 302};
    assert_int_equal(read_refund(psp, 400, body, &report, &detail), ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_REFUND_FAILED);
    snprintf(reason, sizeof reason, "HTTP 400: %s", words);
    assert_string_equal(report.reason, reason);
    assert_string_equal(report.psp_ref, "refused-" REFUND);
    assert_is(&report.payment_id, PAYMENT);
    assert_is(&report.refund_id, REFUND);
    assert_int_equal(report.amount, 0);
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        assert_no_refund(psp, passing[i], body, "no answer about the refund");
    assert_no_refund(psp, 200, "nonsense", "");
    assert_no_refund(psp, 200, "[]", "");
    assert_no_refund(psp, 200, "{}", "");
}

/* ---- webhooks ---- */

/* Pairs of a header's name and value, NULL-terminated. */
static inline const char *wire_header(void *arg, const char *name)
{
    for (const char *const *pair = arg; *pair; pair += 2)
        if (strcasecmp(pair[0], name) == 0)
            return pair[1];
    return NULL;
}

static inline const char *wire_vector_header(void *arg, const char *name)
{
    json_t *headers = arg;
    for (void *at = json_object_iter(headers); at; at = json_object_iter_next(headers, at))
        if (strcasecmp(json_object_iter_key(at), name) == 0)
            return json_string_value(json_object_iter_value(at));
    return NULL;
}

/* Each vector of the PSP is judged in production as its library judged it. `take` looks at a report
 * that was taken. */
static inline void assert_vectors_are_judged(const char *psp, size_t all, size_t fitting,
                                             void (*take)(const char *id, const psp_report_t *))
{
    json_t *file = load_vectors("signatures"), *vector;
    size_t i, judged = 0, fit = 0;
    json_array_foreach(file, i, vector)
    {
        char secrets[256] = "";
        const json_t *list = json_object_get(vector, "secrets"),
                     *body = json_object_get(vector, "body");
        const bool expected = json_is_true(json_object_get(vector, "signature_valid"));
        psp_report_t report;
        err_detail_t detail;
        if (strcmp(json_string_value(json_object_get(vector, "psp")), psp) != 0 ||
            json_object_get(vector, "expected")) /* of a request */
            continue;
        for (size_t s = 0; s < json_array_size(list); s++) {
            const size_t used = strlen(secrets);
            snprintf(secrets + used, sizeof secrets - used, "%s,",
                     json_string_value(json_array_get(list, s)));
        }
        const psp_account_t receiver = {.base_url = "https://psp.example",
                                        .key_id = json_string_value(json_object_get(vector, "key")),
                                        .webhook_secrets = secrets};
        const err_t err =
            psp_verify_one(psp_named(psp), &receiver, false, wire_vector_header,
                           json_object_get(vector, "headers"),
                           (str_t){json_string_value(body), (uint32_t)json_string_length(body)},
                           NOW_S * SECOND_US, &report, &detail);
        const char *id = json_string_value(json_object_get(vector, "id"));
        if ((err == ERR_OK) && !expected)
            fail_msg("%s was taken", id);
        if (err == ERR_SIGNATURE_INVALID && expected && json_string_length(body) > 0)
            fail_msg("%s was not taken: %s", id, detail.text);
        if (err == ERR_OK)
            take(id, &report);
        fit += err == ERR_OK;
        judged++;
    }
    assert_int_equal(judged, all);
    assert_int_equal(fit, fitting);
    json_decref(file);
}

#endif
