/* test_psp_payu.c - PayU: the form on our page, hints, what is asked for upon them and what the
 * answers mean; short ids. */
#include <openssl/evp.h>

#include "lib/payment/money.h"
#include "lib/payment/psp/short_id.h"
#include "tests/support/psp_wire.h"

/* Our ids in base 62, reckoned by other means. */
#define SHORT_PAYMENT "02x5PsDTGwULavYpQXEip1"
#define SHORT_REFUND "02x5PsDTGwULavYpQXEipH"
#define SALT "MadeUpSalt1234567890"

static const psp_account_t account = {.base_url = "https://test.payu.in",
                                      .key_id = "MadeUpKy",
                                      .key_secret = SALT,
                                      .webhook_secrets = SALT ", old-salt"};

static const psp_t *payu(void)
{
    return psp_named("payu");
}

/* SHA-512 in small letters. */
static const char *sha512_of(const char *text)
{
    static char hex[129];
    unsigned char digest[64];
    assert_int_equal(EVP_Digest(text, strlen(text), digest, NULL, EVP_sha512(), NULL), 1);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return hex;
}

/* ---- short ids ---- */

static void short_ids_are_read_as_they_were_written(void **state)
{
    (void)state;
    static const struct {
        const char *uuid, *text;
    } ids[] = {{PAYMENT, SHORT_PAYMENT},
               {REFUND, SHORT_REFUND},
               {"00000000-0000-0000-0000-000000000000", "0000000000000000000000"},
               {"00000000-0000-0000-0000-000000000001", "0000000000000000000001"},
               {"ffffffff-ffff-ffff-ffff-ffffffffffff", "7n42DGM5Tflk9n8mt7Fhc7"}};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        uuid_t uuid = uuid_of(ids[i].uuid), read;
        char text[SHORT_ID_SIZE];
        assert_string_equal(short_id_format(&uuid, text), ids[i].text);
        assert_true(short_id_parse(str_of(text), &read));
        assert_true(uuid_equal(&uuid, &read));
    }
    uuid_t uuid = uuid_of(PAYMENT);
    for (unsigned bit = 0; bit < 128; bit++) {
        uuid_t flipped = uuid, read;
        char text[SHORT_ID_SIZE];
        flipped.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(short_id_parse(str_of(short_id_format(&flipped, text)), &read));
        assert_true(uuid_equal(&flipped, &read));
    }
}

static void no_other_text_is_a_short_id(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "02x5PsDTGwULavYpQXEip",
                                        "02x5PsDTGwULavYpQXEip11",
                                        "02x5PsDTGwULavYpQXEip-",
                                        "02x5PsDTGwULavYpQXEip ",
                                        "7n42DGM5Tflk9n8mt7Fhc8", /* 2^128 */
                                        "zzzzzzzzzzzzzzzzzzzzzz",
                                        PAYMENT};
    uuid_t read;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (short_id_parse(str_of(texts[i]), &read))
            fail_msg("%s", texts[i]);
    assert_false(short_id_parse((str_t){"02x5PsDTGwULavYpQXEip\0", 22}, &read));
}

/* ---- webhooks ---- */

static err_t verify(const char *body, psp_report_t *report, err_detail_t *detail)
{
    const char *none[] = {NULL};
    memset(detail, 0, sizeof *detail);
    return psp_verify_one(payu(), &account, false, wire_header, none, str_of(body),
                          NOW_S * SECOND_US, report, detail);
}

/* A callback as PayU hashes it; `id` is not signed. */
static const char *callback_of(const char *salt, const char *id, const char *txnid,
                               const char *status)
{
    static char body[1024];
    char text[512];
    snprintf(text, sizeof text,
             "%s|%s|||||||||" ORDER "|" PAYMENT "|a@b.c|Asha|Order|499.00|%s|MadeUpKy", salt,
             status, txnid);
    snprintf(body, sizeof body,
             "mihpayid=%s&status=%s&key=MadeUpKy&txnid=%s&amount=499.00&productinfo=Order"
             "&firstname=Asha&email=a%%40b.c&udf1=" PAYMENT "&udf2=" ORDER "&hash=%s",
             id, status, txnid, sha512_of(text));
    return body;
}

static psp_report_t hint_of(const char *body)
{
    psp_report_t report, stored;
    err_detail_t detail;
    if (verify(body, &report, &detail) != ERR_OK)
        fail_msg("%s: %s", body, detail.text);
    assert_int_equal(psp_webhook_read(payu(), str_of(body), &stored, &detail), ERR_OK);
    assert_memory_equal(&stored, &report, sizeof report);
    assert_true(report.hint);
    assert_int_equal(report.kind, PSP_FACT_NONE);
    assert_int_equal(report.amount, 0);
    assert_string_equal(report.psp_ref, "");
    assert_true(uuid_is_nil(&report.refund_id));
    return report;
}

static void look_at_vector(const char *id, const psp_report_t *report)
{
    assert_true(report->hint);
    assert_int_equal(report->kind, PSP_FACT_NONE);
    assert_true(psp_report_is_empty(report)); /* "ord_1" is another shop's */
    assert_string_equal(report->event_id, strcmp(id, "payu-02") == 0
                                              ? "403993715531077182:failure"
                                              : "403993715531077182:success");
}

static void hashes_are_judged_as_the_official_library_judges_them(void **state)
{
    (void)state;
    assert_vectors_are_judged("payu", 8, 4, look_at_vector);
}

static void whatever_a_callback_says_it_is_a_hint(void **state)
{
    (void)state;
    static const char *const states[] = {"success", "failure", "pending"};
    for (size_t i = 0; i < 3; i++) {
        char event_id[64];
        const psp_report_t report = hint_of(callback_of(SALT, "4039937", SHORT_PAYMENT, states[i]));
        snprintf(event_id, sizeof event_id, "4039937:%s", states[i]);
        assert_is(&report.payment_id, PAYMENT);
        assert_string_equal(report.event_id, event_id);
        assert_false(psp_report_is_empty(&report));
    }
    const psp_report_t old = hint_of(callback_of("old-salt", "1", SHORT_PAYMENT, "success"));
    assert_is(&old.payment_id, PAYMENT);
    const psp_report_t foreign = hint_of(callback_of(SALT, "1", PAYMENT, "success"));
    assert_true(psp_report_is_empty(&foreign)); /* we never send that long an id */
}

static void a_callback_that_was_altered_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *field, *other;
    } changes[] = {{"status=success", "status=succesS"},
                   {"amount=499.00", "amount=499.01"},
                   {"txnid=0", "txnid=1"},
                   {"udf1=0", "udf1=1"},
                   {"udf2=0", "udf2=1"},
                   {"email=a", "email=b"},
                   {"firstname=A", "firstname=B"},
                   {"productinfo=O", "productinfo=P"},
                   {"&hash=", "&hash=0"}};
    psp_report_t report;
    err_detail_t detail;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char body[1024];
        snprintf(body, sizeof body, "%s", callback_of(SALT, "1", SHORT_PAYMENT, "success"));
        char *at = strstr(body, changes[i].field);
        assert_non_null(at);
        memcpy(at, changes[i].other, strlen(changes[i].other));
        if (verify(body, &report, &detail) != ERR_SIGNATURE_INVALID)
            fail_msg("%s", changes[i].other);
        assert_null(strstr(detail.text, "MadeUpSalt"));
    }
    assert_int_equal(verify(callback_of("salt", "1", SHORT_PAYMENT, "success"), &report, &detail),
                     ERR_SIGNATURE_INVALID);
    assert_int_equal(verify(callback_of(SALT, "", SHORT_PAYMENT, "success"), &report, &detail),
                     ERR_MALFORMED_WEBHOOK);
    assert_int_equal(verify(callback_of(SALT, "%01", SHORT_PAYMENT, "success"), &report, &detail),
                     ERR_MALFORMED_WEBHOOK);
    assert_int_not_equal(verify("", &report, &detail), ERR_OK);
    assert_null(psp_signature_header(payu()));
}

#define REFUND_EVENT(key, rest) \
    "{\"action\":\"refund\",\"key\":\"" key "\",\"merchantTxnId\":\"" SHORT_PAYMENT "\"" rest "}"

/* Nothing of it is signed: all that comes of it is a question. */
static void news_of_a_refund_are_a_hint_too(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    report = hint_of(REFUND_EVENT("MadeUpKy", ",\"request_id\":\"134\",\"status\":\"success\","
                                              "\"amt\":\"1.00\",\"token\":\"" SHORT_REFUND "\""));
    assert_is(&report.payment_id, PAYMENT);
    /* Unsigned: it must not take the id of a payment's callback. */
    assert_string_equal(report.event_id, "refund:134:success");
    assert_int_equal(verify(REFUND_EVENT("Other", ",\"request_id\":\"134\",\"status\":\"success\""),
                            &report, &detail),
                     ERR_SIGNATURE_INVALID);
    assert_int_equal(verify(REFUND_EVENT("MadeUpKy", ",\"status\":\"success\""), &report, &detail),
                     ERR_MALFORMED_WEBHOOK);
    assert_int_not_equal(verify("{\"action\":\"refund\",\"key\":\"MadeUpKy\"}", &report, &detail),
                         ERR_OK);
    assert_int_not_equal(verify("[]", &report, &detail), ERR_OK);
}

/* ---- the page ---- */

static const char *input_of(const char *html, const char *name)
{
    static char value[512];
    char start[64];
    snprintf(start, sizeof start, "name=\"%s\" value=\"", name);
    const char *at = strstr(html, start);
    if (!at)
        fail_msg("no input \"%s\"", name);
    at += strlen(start);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\""), at);
    return value;
}

static psp_checkout_t whole_checkout(void)
{
    psp_checkout_t checkout = checkout_of(49900, "INR");
    snprintf(checkout.customer.name, sizeof checkout.customer.name, "Asha");
    snprintf(checkout.customer.email, sizeof checkout.customer.email, "a@example.com");
    return checkout;
}

static void the_page_posts_a_hashed_form(void **state)
{
    (void)state;
    const psp_checkout_t checkout = whole_checkout();
    psp_checkout_answer_t answer;
    psp_page_t page;
    assert_true(psp_checkout_is_local(payu()));
    psp_checkout_open(payu(), &account, &checkout, &answer);
    assert_int_equal(answer.outcome, PSP_CHECKOUT_OPEN);
    assert_string_equal(answer.checkout_url, "");
    assert_true(psp_page(payu(), &account, &checkout, answer.page_data, &page));
    const char *html = page.body.data;
    assert_non_null(
        strstr(html, "<form method=\"post\" action=\"https://test.payu.in/_payment\">"));
    assert_string_equal(input_of(html, "key"), "MadeUpKy");
    assert_string_equal(input_of(html, "txnid"), SHORT_PAYMENT);
    assert_string_equal(input_of(html, "amount"), "499.00");
    assert_string_equal(input_of(html, "firstname"), "Asha");
    assert_string_equal(input_of(html, "email"), "a@example.com");
    assert_string_equal(input_of(html, "phone"), "9999999999");
    assert_string_equal(input_of(html, "udf1"), PAYMENT);
    assert_string_equal(input_of(html, "udf2"), ORDER);
    assert_string_equal(input_of(html, "surl"), RETURN_URL);
    assert_string_equal(input_of(html, "furl"), RETURN_URL);
    assert_string_equal(input_of(html, "hash"),
                        sha512_of("MadeUpKy|" SHORT_PAYMENT
                                  "|499.00|Order|Asha|a@example.com|" PAYMENT "|" ORDER
                                  "|||||||||" SALT));
    assert_null(strstr(html, SALT));
    assert_string_equal(page.submits_to, "https://test.payu.in");
    assert_string_equal(page.script_from, "");
    assert_string_equal(page.script, "document.forms[0].submit();");
    buf_free(&page.body);

    const psp_account_t simulated = {
        .base_url = "http://127.0.0.1:8081/payu", .key_id = "k", .key_secret = "s"};
    assert_true(psp_page(payu(), &simulated, &checkout, "", &page));
    assert_non_null(strstr(page.body.data, "action=\"http://127.0.0.1:8081/payu/_payment\""));
    assert_string_equal(page.submits_to, "http://127.0.0.1:8081");
    buf_free(&page.body);
}

static void what_customers_are_called_stays_text_on_the_page(void **state)
{
    (void)state;
    psp_checkout_t checkout = whole_checkout();
    psp_page_t page;
    buf_t escaped = {0};
    psp_page_add_escaped(&escaped, "a<b>&\"c\"'d' ü &amp; \\");
    assert_string_equal(escaped.data, "a&lt;b&gt;&amp;&quot;c&quot;&#39;d&#39; ü &amp;amp; \\");
    buf_free(&escaped);
    snprintf(checkout.customer.name, sizeof checkout.customer.name,
             "\"><script>alert('1')</script>&amp;");
    snprintf(checkout.customer.email, sizeof checkout.customer.email, "\"onload=\"x@y.z");
    assert_true(psp_page(payu(), &account, &checkout, "", &page));
    assert_null(strstr(page.body.data, "<script"));
    assert_string_equal(input_of(page.body.data, "firstname"),
                        "&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;");
    assert_string_equal(input_of(page.body.data, "email"), "&quot;onload=&quot;x@y.z");
    assert_string_equal(input_of(page.body.data, "hash"), /* of what the browser sends */
                        sha512_of("MadeUpKy|" SHORT_PAYMENT
                                  "|499.00|Order|\"><script>alert('1')</script>&amp;|"
                                  "\"onload=\"x@y.z|" PAYMENT "|" ORDER "|||||||||" SALT));
    buf_free(&page.body);
}

static void what_payu_wants_of_a_customer_is_named(void **state)
{
    (void)state;
    psp_checkout_t checkout = whole_checkout();
    assert_null(psp_checkout_lacks(payu(), &account, &checkout));
    checkout.customer.phone[0] = '\0';
    assert_string_equal(psp_checkout_lacks(payu(), &account, &checkout), "customer.phone");
    checkout.customer.email[0] = '\0';
    assert_string_equal(psp_checkout_lacks(payu(), &account, &checkout), "customer.email");
    checkout.customer.name[0] = '\0';
    assert_string_equal(psp_checkout_lacks(payu(), &account, &checkout), "customer.name");
    assert_true(psp_takes(payu(), "INR"));
    assert_false(psp_takes(payu(), "JPY") || psp_takes(payu(), "KWD"));
}

/* ---- commands ---- */

static const char *const renamed[] = {"ord_1", SHORT_PAYMENT, "tok_rf_1", SHORT_REFUND, NULL};
static const char *const otherwise[] = {"hash", NULL}; /* of other ids */
static const char *const without[] = {"var5", NULL};   /* where to call back: we ask */
#define POST_SERVICE "/merchant/postservice.php?form=2"

static void assert_hash(const http_client_request_t *request, const char *text)
{
    char hash[200];
    assert_true(form_copy((str_t){request->body.data, (uint32_t)request->body.size}, "hash", hash,
                          sizeof hash));
    assert_string_equal(hash, sha512_of(text));
    assert_null(strstr(request->body.data, SALT));
    assert_string_equal(request->url, "https://test.payu.in" POST_SERVICE);
}

static void a_status_is_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    const wire_official_t official = {"payu", "POST", POST_SERVICE, renamed, otherwise, without};
    const psp_payment_t payment = {.payment_id = uuid_of(PAYMENT)};
    http_client_request_t request;
    assert_true(psp_status_request(payu(), &account, &payment, &request));
    assert_as_official(&official, &request); /* the first of that target */
    assert_hash(&request, "MadeUpKy|verify_payment|" SHORT_PAYMENT "|" SALT);
    http_client_request_free(&request);
    const psp_account_t live = {
        .base_url = "https://secure.payu.in", .key_id = "k", .key_secret = "s"};
    assert_true(psp_status_request(payu(), &live, &payment, &request));
    assert_string_equal(request.url, "https://info.payu.in" POST_SERVICE);
    http_client_request_free(&request);
}

static void a_refund_is_asked_for_as_the_official_library_does(void **state)
{
    (void)state;
    json_t *file = load_vectors("payu");
    const json_t *theirs = json_array_get(json_object_get(file, "requests"), 1);
    const wire_official_t official = {"payu", "POST", POST_SERVICE, renamed, otherwise, without};
    const psp_refund_t refund = refund_of(100, "INR", "403993715531077182");
    http_client_request_t request;
    psp_refund_request(payu(), &account, &refund, &request);
    assert_form(&official, json_string_value(json_object_get(theirs, "body")), &request);
    assert_headers(&official, json_object_get(theirs, "headers"), &request);
    assert_hash(&request, "MadeUpKy|cancel_refund_transaction|403993715531077182|" SALT);
    http_client_request_free(&request);
    json_decref(file);
    assert_true(psp_refund_status_request(payu(), &account, &refund, &request));
    assert_hash(&request, "MadeUpKy|check_action_status|403993715531077182|" SALT);
    char command[40];
    assert_true(form_copy((str_t){request.body.data, (uint32_t)request.body.size}, "command",
                          command, sizeof command));
    assert_string_equal(command, "check_action_status");
    http_client_request_free(&request);
}

/* ---- answers ---- */

#define TRANSACTION(status, finer, amount, rest)                                                \
    "{\"status\":1,\"msg\":\"1 out of 1\",\"transaction_details\":{\"" SHORT_PAYMENT            \
    "\":{\"mihpayid\":\"403\",\"amt\":" amount ",\"status\":\"" status                          \
    "\",\"unmappedstatus\":\"" finer "\",\"addedon\":\"2025-10-09 14:20:29\",\"udf2\":\"" ORDER \
    "\"" rest "}}}"

static void each_status_is_a_fact_or_none(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        psp_fact_kind_t kind;
        const char *reason;
    } statuses[] = {
        {TRANSACTION("success", "captured", "\"499.00\"", ""), PSP_FACT_CAPTURED, ""},
        {TRANSACTION("success", "auth", "\"499.00\"", ""), PSP_FACT_AUTHORIZED, ""},
        {TRANSACTION("failure", "failed", "\"499.00\"", ",\"error_Message\":\"Invalid PIN\""),
         PSP_FACT_FAILED, "Invalid PIN"},
        {TRANSACTION("failure", "userCancelled", "\"499.00\"", ""), PSP_FACT_FAILED,
         "the PSP says that the payment failed"},
        {TRANSACTION("pending", "in progress", "\"499.00\"", ""), PSP_FACT_NONE, "in progress"},
        {TRANSACTION("Not Found", "", "\"499.00\"", ""), PSP_FACT_NONE,
         "the PSP says that it is pending"},
        {"{\"status\":0,\"msg\":\"0 out of 1\",\"transaction_details\":{\"" SHORT_PAYMENT
         "\":{\"mihpayid\":\"Not Found\",\"status\":\"Not Found\"}}}",
         PSP_FACT_NONE, "the PSP does not know the payment"},
    };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const psp_report_t report = status_of(payu(), statuses[i].body);
        if (report.kind != statuses[i].kind)
            fail_msg("%s: %s", statuses[i].body, psp_fact_kind_name(report.kind));
        assert_string_equal(report.reason, statuses[i].reason);
        if (report.kind == PSP_FACT_NONE)
            continue;
        assert_string_equal(report.psp_ref, "403");
        assert_is(&report.order_id, ORDER);
        assert_int_equal(report.amount, 49900);
        assert_string_equal(report.currency, "INR");
        assert_int_equal(report.occurred_at_us, INT64_C(1759999829) * SECOND_US); /* in India */
    }
}

static void amounts_are_read_to_the_last_digit(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        int64_t amount;
    } amounts[] = {{"\"499.00\"", 49900},
                   {"\"4.35\"", 435},
                   {"1.1", 110},
                   {"\"499\"", 49900},
                   {"499.000", 49900},
                   {"\"90071992547409.91\"", AMOUNT_MAX},
                   {"\"0.00\"", 0},
                   {"\"-1.00\"", 0},
                   {"\"1.001\"", 0},
                   {"1e2", 0},
                   {"null", 0},
                   {"\"1,000.00\"", 0},
                   {"\"\"", 0},
                   {"{}", 0},
                   {"\"90071992547409.92\"", 0}};
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        char body[512];
        snprintf(body, sizeof body, TRANSACTION("success", "captured", "%s", ""), amounts[i].said);
        if (amounts[i].amount > 0)
            assert_int_equal(status_of(payu(), body).amount, amounts[i].amount);
        else
            assert_no_status(payu(), 200, body, "amt");
    }
}

static void other_answers_are_no_status(void **state)
{
    (void)state;
    static const int refusals[] = {400, 401, 404, 429, 500, 503, 302, 204};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        assert_no_status(payu(), refusals[i], "{}", "no status answer");
    assert_no_status(payu(), 200, "", "the body");
    assert_no_status(payu(), 200, "[]", "the body");
    assert_no_status(payu(), 200, "{\"status\":0,\"msg\":\"Invalid Hash.\"}",
                     "transaction_details");
    assert_no_status(payu(), 200, "{\"transaction_details\":{\"" SHORT_REFUND "\":{}}}",
                     "transaction_details");
    assert_no_status(payu(), 200, "{\"transaction_details\":{\"" SHORT_PAYMENT "\":17}}",
                     "transaction_details");
#define BARE(rest)                                                                               \
    "{\"transaction_details\":{\"" SHORT_PAYMENT "\":{\"status\":\"success\",\"amt\":\"1\"" rest \
    "}}}"
    assert_no_status(payu(), 200, BARE(",\"addedon\":\"2025-10-09 14:20:29\""), "mihpayid");
    assert_no_status(payu(), 200, BARE(",\"mihpayid\":\"1\""), "addedon");
    assert_no_status(payu(), 200, BARE(",\"mihpayid\":\"1\",\"addedon\":\"2025-13-09 14:20:29\""),
                     "addedon");
    assert_no_status(payu(), 200, BARE(",\"mihpayid\":\"1\",\"addedon\":\"2025-10-09T14:20:2\""),
                     "addedon");
}

#define ACTION(token, status, amount)                                                        \
    "{\"status\":1,\"transaction_details\":{\"403\":{\"9\":{\"token\":\"other\",\"status\":" \
    "\"failure\",\"amt\":\"7.00\",\"request_id\":\"9\"},\"134\":{\"token\":\"" token         \
    "\",\"status\":\"" status "\",\"amt\":" amount ",\"request_id\":\"134\",\"action\":"     \
    "\"refund\"}}}}"

static void each_state_of_a_refund_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        psp_fact_kind_t kind;
        int64_t amount;
        const char *reason;
    } states[] = {
        {"{\"status\":1,\"msg\":\"Refund Request Queued\",\"request_id\":\"134\"}",
         PSP_FACT_REFUND_REQUESTED, 0, ""},
        {"{\"status\":\"1\",\"msg\":\"Refund Request Queued\",\"request_id\":\"134\"}",
         PSP_FACT_REFUND_REQUESTED, 0, ""},
        {ACTION(SHORT_REFUND, "success", "\"1.00\""), PSP_FACT_REFUND_SUCCEEDED, 100, ""},
        {ACTION(SHORT_REFUND, "SUCCESS", "1"), PSP_FACT_REFUND_SUCCEEDED, 100, ""},
        {ACTION(SHORT_REFUND, "queued", "\"1.00\""), PSP_FACT_REFUND_REQUESTED, 100, ""},
        {ACTION(SHORT_REFUND, "pending", "\"1.00\""), PSP_FACT_REFUND_REQUESTED, 100, ""},
        {ACTION(SHORT_REFUND, "failure", "\"1.00\""), PSP_FACT_REFUND_FAILED, 100,
         "the PSP says that the refund failed"},
        {ACTION(SHORT_REFUND, "Failed", "\"1.00\""), PSP_FACT_REFUND_FAILED, 100,
         "the PSP says that the refund failed"},
    };
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        const psp_report_t report = refund_in(payu(), states[i].body);
        if (report.kind != states[i].kind)
            fail_msg("%s: %s", states[i].body, psp_fact_kind_name(report.kind));
        assert_string_equal(report.psp_ref, "134");
        assert_int_equal(report.amount, states[i].amount);
        assert_string_equal(report.reason, states[i].reason);
    }
}

static void refusals_of_refunds_are_told_apart(void **state)
{
    (void)state;
    psp_report_t report;
    err_detail_t detail;
    static const int statuses[] = {400, 401, 404, 409, 422, 429, 500, 503, 302};
    assert_int_equal(read_refund(payu(), 200,
                                 "{\"status\":0,\"msg\":\"Refund amount exceeds the limit\"}",
                                 &report, &detail),
                     ERR_OK);
    assert_int_equal(report.kind, PSP_FACT_REFUND_FAILED);
    assert_string_equal(report.psp_ref, "refused-" REFUND);
    assert_non_null(strstr(report.reason, "Refund amount exceeds the limit"));
    /* Said of a request that came before, of our key or of PayU: nothing about the refund. */
    assert_no_refund(payu(), 200, "{\"status\":0,\"msg\":\"Invalid key\"}", "not taken");
    assert_no_refund(payu(), 200, "{\"status\":0,\"msg\":\"Internal error, try again later\"}",
                     "not taken");
    assert_no_refund(payu(), 200, "{\"status\":0,\"msg\":\"Too many requests\"}", "not taken");
    assert_no_refund(payu(), 200, "{\"status\":0,\"msg\":\"Token already used\"}", "not taken");
    assert_no_refund(payu(), 200, "{\"status\":0,\"msg\":\"Duplicate request\"}", "not taken");
    assert_no_refund(payu(), 200, "{\"status\":0,\"msg\":\"Invalid Hash.\"}", "not taken");
    assert_no_refund(payu(), 200, "{\"status\":1}", "request_id");
    assert_no_refund(payu(), 200, ACTION(SHORT_PAYMENT, "success", "\"1.00\""), "lacks the refund");
    assert_no_refund(payu(), 200, ACTION(SHORT_REFUND, "success", "\"0\""), "amt");
    assert_no_refund(payu(), 200, "{\"transaction_details\":[]}", "lacks the refund");
    assert_no_refund(payu(), 200, "nonsense", "the body");
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        assert_no_refund(payu(), statuses[i], "{\"status\":0,\"msg\":\"No\"}",
                         "no answer about the refund");
}

/* An answer that says nothing at all refuses nothing. */
static void silence_refuses_no_refund(void **state)
{
    (void)state;
    assert_no_refund(payu(), 200, "{}", "");
    assert_no_refund(payu(), 200, "{\"status\":2,\"msg\":\"x\",\"request_id\":\"134\"}", "status");
    assert_no_refund(payu(), 200, "{\"status\":0}", "");
    assert_no_refund(payu(), 200, "{\"status\":\"\",\"msg\":\"x\"}", "");
    assert_no_refund(payu(), 200, "{\"msg\":\"maintenance\"}", "");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(short_ids_are_read_as_they_were_written),
    cmocka_unit_test(no_other_text_is_a_short_id),
    cmocka_unit_test(hashes_are_judged_as_the_official_library_judges_them),
    cmocka_unit_test(whatever_a_callback_says_it_is_a_hint),
    cmocka_unit_test(a_callback_that_was_altered_is_refused),
    cmocka_unit_test(news_of_a_refund_are_a_hint_too),
    cmocka_unit_test(the_page_posts_a_hashed_form),
    cmocka_unit_test(what_customers_are_called_stays_text_on_the_page),
    cmocka_unit_test(what_payu_wants_of_a_customer_is_named),
    cmocka_unit_test(a_status_is_asked_for_as_the_official_library_does),
    cmocka_unit_test(a_refund_is_asked_for_as_the_official_library_does),
    cmocka_unit_test(each_status_is_a_fact_or_none),
    cmocka_unit_test(amounts_are_read_to_the_last_digit),
    cmocka_unit_test(other_answers_are_no_status),
    cmocka_unit_test(each_state_of_a_refund_is_read),
    cmocka_unit_test(refusals_of_refunds_are_told_apart),
    cmocka_unit_test(silence_refuses_no_refund),
};
TEST_MAIN(tests)
