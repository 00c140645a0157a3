/* test_requests.c - every byte that callers of the public API send is either one of their rights or
 * refused with the code that the contract names. */
#include "gateway/requests.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/test_main.h"

#define ORDER_ID "01900000-0000-7000-8000-000000000001"
#define ORDER(more) "{\"user_id\":\"u1\",\"amount\":45000,\"currency\":\"INR\"" more "}"
#define AMOUNT(amount) "{\"user_id\":\"u1\",\"amount\":" amount ",\"currency\":\"INR\"}"
#define CURRENCY(currency) "{\"user_id\":\"u1\",\"amount\":1,\"currency\":" currency "}"
#define USER(user_id) "{\"user_id\":" user_id ",\"amount\":1,\"currency\":\"INR\"}"
#define INITIATE(more) "{\"order_id\":\"" ORDER_ID "\",\"payment_method\":\"UPI\"" more "}"

typedef struct row {
    const char *body;
    err_t err;
    const char *named; /* what the detail must name */
} row_t;

static const row_t bad_orders[] = {
    {"", ERR_MALFORMED_JSON, "body"},
    {" ", ERR_MALFORMED_JSON, "body"},
    {"hello", ERR_MALFORMED_JSON, "body"},
    {"{\"user_id\":\"u1\"", ERR_MALFORMED_JSON, "body"},
    {"[]", ERR_MALFORMED_JSON, "object"},
    {"null", ERR_MALFORMED_JSON, "body"},
    {ORDER("") " x", ERR_MALFORMED_JSON, "body"},
    {ORDER("") ORDER(""), ERR_MALFORMED_JSON, "body"},
    {ORDER(",\"amount\":1"), ERR_MALFORMED_JSON, "body"},
    {ORDER(",\"metadata\":{\"a\":1,\"a\":1}"), ERR_MALFORMED_JSON, "body"},
    {ORDER(",\"metadata\":{\"a\":9223372036854775808}"), ERR_MALFORMED_JSON, "body"},
    {USER("\"\xff\xfe\""), ERR_MALFORMED_JSON, "body"},
    {USER("\"\xc0\x80\""), ERR_MALFORMED_JSON, "body"},
    {USER("\"\\ud800\""), ERR_MALFORMED_JSON, "body"},
    {USER("\"a\\u0000b\""), ERR_MALFORMED_JSON, "body"},
    {"{\"metadata\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}", ERR_MALFORMED_JSON, "nested"},
    {ORDER(",\"tip\":1"), ERR_UNKNOWN_FIELD, "tip"},
    {ORDER(",\"\":1"), ERR_UNKNOWN_FIELD, "not known"},
    {ORDER(",\"Amount\":1"), ERR_UNKNOWN_FIELD, "Amount"},
    {"{}", ERR_MISSING_FIELD, "user_id"},
    {"{\"user_id\":\"u1\",\"currency\":\"INR\"}", ERR_MISSING_FIELD, "amount"},
    {"{\"user_id\":\"u1\",\"amount\":1}", ERR_MISSING_FIELD, "currency"},
    {USER("\"\""), ERR_INVALID_FIELD, "user_id"},
    {USER("7"), ERR_INVALID_FIELD, "user_id"},
    {USER("null"), ERR_INVALID_FIELD, "user_id"},
    {USER("\"a\\nb\""), ERR_INVALID_FIELD, "user_id"},
    {USER("\"a\\u007fb\""), ERR_INVALID_FIELD, "user_id"},
    {USER("\"a\\u0085b\""), ERR_INVALID_FIELD, "user_id"},
    {AMOUNT("0"), ERR_INVALID_AMOUNT, "amount"},
    {AMOUNT("-1"), ERR_INVALID_AMOUNT, "amount"},
    {AMOUNT("1.5"), ERR_INVALID_AMOUNT, "amount"},
    {AMOUNT("1.0"), ERR_INVALID_AMOUNT, "amount"},
    {AMOUNT("1e3"), ERR_INVALID_AMOUNT, "amount"},
    {AMOUNT("\"45000\""), ERR_INVALID_AMOUNT, "amount"},
    {AMOUNT("true"), ERR_INVALID_AMOUNT, "amount"},
    {AMOUNT("null"), ERR_INVALID_AMOUNT, "amount"},
    {AMOUNT("9007199254740992"), ERR_INVALID_AMOUNT, "amount"},
    {AMOUNT("9223372036854775807"), ERR_INVALID_AMOUNT, "amount"},
    {AMOUNT("9223372036854775808"), ERR_INVALID_AMOUNT, "amount"},
    {AMOUNT("-9223372036854775809"), ERR_INVALID_AMOUNT, "amount"},
    {AMOUNT("99999999999999999999999999999999"), ERR_INVALID_AMOUNT, "amount"},
    {AMOUNT("9223372036854775808") "x", ERR_MALFORMED_JSON, "body"},
    {AMOUNT("1e999"), ERR_MALFORMED_JSON, "body"},
    {CURRENCY("\"ZZZ\""), ERR_INVALID_CURRENCY, "currency"},
    {CURRENCY("\"inr\""), ERR_INVALID_CURRENCY, "currency"},
    {CURRENCY("\"INRX\""), ERR_INVALID_CURRENCY, "currency"},
    {CURRENCY("\"\""), ERR_INVALID_CURRENCY, "currency"},
    {CURRENCY("356"), ERR_INVALID_CURRENCY, "currency"},
    {ORDER(",\"receipt\":\"\""), ERR_INVALID_FIELD, "receipt"},
    {ORDER(",\"receipt\":null"), ERR_INVALID_FIELD, "receipt"},
    {ORDER(",\"metadata\":\"m\""), ERR_INVALID_FIELD, "metadata"},
    {ORDER(",\"metadata\":[]"), ERR_INVALID_FIELD, "metadata"},
    {ORDER(",\"metadata\":null"), ERR_INVALID_FIELD, "metadata"},
    {ORDER(",\"customer\":\"Ann\""), ERR_INVALID_FIELD, "customer"},
    {ORDER(",\"customer\":{\"shoe\":44}"), ERR_UNKNOWN_FIELD, "customer.shoe"},
    {ORDER(",\"customer\":{\"email\":44}"), ERR_INVALID_FIELD, "customer.email"},
    {ORDER(",\"customer\":{\"phone\":\"\"}"), ERR_INVALID_FIELD, "customer.phone"},
    {ORDER(",\"expires_in_s\":0"), ERR_INVALID_FIELD, "expires_in_s"},
    {ORDER(",\"expires_in_s\":-5"), ERR_INVALID_FIELD, "expires_in_s"},
    {ORDER(",\"expires_in_s\":1.5"), ERR_INVALID_FIELD, "expires_in_s"},
    {ORDER(",\"expires_in_s\":31536001"), ERR_INVALID_FIELD, "expires_in_s"},
};

static const row_t bad_initiates[] = {
    {"", ERR_MALFORMED_JSON, "body"},
    {"{\"payment_method\":\"UPI\"}", ERR_MISSING_FIELD, "order_id"},
    {"{\"order_id\":\"" ORDER_ID "\"}", ERR_MISSING_FIELD, "payment_method"},
    {"{\"order_id\":42,\"payment_method\":\"UPI\"}", ERR_INVALID_ID, "order_id"},
    {"{\"order_id\":\"42\",\"payment_method\":\"UPI\"}", ERR_INVALID_ID, "order_id"},
    {"{\"order_id\":\"" ORDER_ID "0\",\"payment_method\":\"UPI\"}", ERR_INVALID_ID, "order_id"},
    {"{\"order_id\":\"" ORDER_ID "\",\"payment_method\":\"GOLD\"}", ERR_INVALID_FIELD,
     "payment_method"},
    {"{\"order_id\":\"" ORDER_ID "\",\"payment_method\":\"upi\"}", ERR_INVALID_FIELD,
     "payment_method"},
    {"{\"order_id\":\"" ORDER_ID "\",\"payment_method\":1}", ERR_INVALID_FIELD, "payment_method"},
    {INITIATE(",\"amount\":5"), ERR_UNKNOWN_FIELD, "amount"},
    {INITIATE(",\"gateway\":\"Paywell\""), ERR_INVALID_FIELD, "gateway"},
    {INITIATE(",\"gateway\":\"\""), ERR_INVALID_FIELD, "gateway"},
    {INITIATE(",\"gateway\":7"), ERR_INVALID_FIELD, "gateway"},
    {INITIATE(",\"return_url\":\"javascript:x\""), ERR_INVALID_FIELD, "return_url"},
    {INITIATE(",\"return_url\":\"//example.org\""), ERR_INVALID_FIELD, "return_url"},
    {INITIATE(",\"return_url\":\"http://\""), ERR_INVALID_FIELD, "return_url"},
    {INITIATE(",\"return_url\":\"https:///path\""), ERR_INVALID_FIELD, "return_url"},
    {INITIATE(",\"return_url\":\"https://a.example/b c\""), ERR_INVALID_FIELD, "return_url"},
    {INITIATE(",\"return_url\":\"https://a.example/\\r\\nX: y\""), ERR_INVALID_FIELD, "return_url"},
    {INITIATE(",\"return_url\":7"), ERR_INVALID_FIELD, "return_url"},
};

static const row_t bad_refunds[] = {
    {" ", ERR_MALFORMED_JSON, "body"},
    {"[]", ERR_MALFORMED_JSON, "object"},
    {"null", ERR_MALFORMED_JSON, "body"},
    {"{} {}", ERR_MALFORMED_JSON, "body"},
    {"{\"amount\":1,\"amount\":2}", ERR_MALFORMED_JSON, "body"},
    {"{\"amount\":1,\"currency\":\"INR\"}", ERR_UNKNOWN_FIELD, "currency"},
    {"{\"refund_id\":\"" ORDER_ID "\"}", ERR_UNKNOWN_FIELD, "refund_id"},
    {"{\"amount\":0}", ERR_INVALID_AMOUNT, "amount"}, /* would mean all that is left */
    {"{\"amount\":-1}", ERR_INVALID_AMOUNT, "amount"},
    {"{\"amount\":1.0}", ERR_INVALID_AMOUNT, "amount"},
    {"{\"amount\":\"1\"}", ERR_INVALID_AMOUNT, "amount"},
    {"{\"amount\":null}", ERR_INVALID_AMOUNT, "amount"},
    {"{\"amount\":9007199254740992}", ERR_INVALID_AMOUNT, "amount"},
    {"{\"amount\":9223372036854775808}", ERR_INVALID_AMOUNT, "amount"},
    {"{\"reason\":\"\"}", ERR_INVALID_FIELD, "reason"},
    {"{\"reason\":7}", ERR_INVALID_FIELD, "reason"},
    {"{\"reason\":null}", ERR_INVALID_FIELD, "reason"},
    {"{\"reason\":\"a\\nb\"}", ERR_INVALID_FIELD, "reason"},
};

static const row_t bad_redrives[] = {
    {"{", ERR_MALFORMED_JSON, "body"},
    {"[]", ERR_MALFORMED_JSON, "object"},
    {"{\"id\":1}", ERR_UNKNOWN_FIELD, "id"},
    {"{\"gateway\":\"Paywell\"}", ERR_INVALID_FIELD, "gateway"},
    {"{\"gateway\":null}", ERR_INVALID_FIELD, "gateway"},
    {"{\"reason\":\"\"}", ERR_INVALID_FIELD, "reason"},
    {"{\"reason\":\"abcdefghijklmnopqrstuvwxyzabcdefg\"}", ERR_INVALID_FIELD, "reason"},
    {"{\"limit\":0}", ERR_INVALID_FIELD, "limit"},
    {"{\"limit\":-1}", ERR_INVALID_FIELD, "limit"},
    {"{\"limit\":10001}", ERR_INVALID_FIELD, "limit"},
    {"{\"limit\":1.5}", ERR_INVALID_FIELD, "limit"},
    {"{\"limit\":\"10\"}", ERR_INVALID_FIELD, "limit"},
    {"{\"limit\":null}", ERR_INVALID_FIELD, "limit"},
};

static void assert_refused(const row_t *row, err_t err, const err_detail_t *detail,
                           const request_parsed_t *parsed)
{
    if (err != row->err || parsed || !strstr(detail->text, row->named))
        fail_msg("%s: %s, %s", row->body, err_name(err), detail->text);
}

static void a_bad_order_is_refused_with_its_code_and_the_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_orders / sizeof bad_orders[0]; i++) {
        order_create_t order;
        request_parsed_t *parsed = NULL;
        err_detail_t detail = {{0}};
        err_t err = request_order_create(str_of(bad_orders[i].body), &order, &parsed, &detail);
        assert_refused(&bad_orders[i], err, &detail, parsed);
    }
}

static void a_bad_initiate_is_refused_with_its_code_and_the_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_initiates / sizeof bad_initiates[0]; i++) {
        payment_initiate_t initiate;
        request_parsed_t *parsed = NULL;
        err_detail_t detail = {{0}};
        err_t err =
            request_payment_initiate(str_of(bad_initiates[i].body), &initiate, &parsed, &detail);
        assert_refused(&bad_initiates[i], err, &detail, parsed);
    }
}

static void a_bad_refund_is_refused_with_its_code_and_the_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_refunds / sizeof bad_refunds[0]; i++) {
        refund_create_t refund;
        request_parsed_t *parsed = NULL;
        err_detail_t detail = {{0}};
        err_t err = request_refund_create(str_of(bad_refunds[i].body), &refund, &parsed, &detail);
        assert_refused(&bad_refunds[i], err, &detail, parsed);
    }
}

static void a_bad_redrive_is_refused_with_its_code_and_the_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_redrives / sizeof bad_redrives[0]; i++) {
        dead_letter_redrive_t redrive;
        request_parsed_t *parsed = NULL;
        err_detail_t detail = {{0}};
        err_t err = request_redrive(str_of(bad_redrives[i].body), &redrive, &parsed, &detail);
        assert_refused(&bad_redrives[i], err, &detail, parsed);
    }
}

static err_t create_order(const char *body, order_create_t *order, request_parsed_t **parsed)
{
    err_detail_t detail = {{0}};
    err_t err = request_order_create(str_of(body), order, parsed, &detail);
    if (err != ERR_OK)
        assert_string_not_equal(detail.text, "");
    return err;
}

static void an_order_of_three_fields_is_taken_and_the_rest_is_absent(void **state)
{
    (void)state;
    order_create_t order;
    request_parsed_t *parsed;
    assert_int_equal(create_order(" " ORDER("") " \r\n", &order, &parsed), ERR_OK);
    assert_true(uuid_is_nil(&order.order_id));
    assert_true(str_is(order.user_id, "u1"));
    assert_int_equal(order.amount, 45000);
    assert_true(str_is(order.currency, "INR"));
    assert_null(order.receipt.data);
    assert_null(order.metadata.data);
    assert_null(order.customer.data);
    assert_int_equal(order.expires_in_s, 0);
    request_parsed_free(&parsed);
    assert_null(parsed);
    request_parsed_free(&parsed);
}

static void all_fields_of_an_order_arrive_as_they_were_sent(void **state)
{
    (void)state;
    order_create_t order;
    request_parsed_t *parsed;
    assert_int_equal(create_order(ORDER(",\"receipt\":\"r-1\",\"expires_in_s\":31536000,"
                                        "\"customer\":{\"phone\":\"+91\",\"name\":\"\xc3\x84\"},"
                                        "\"metadata\":{\"b\":[1,-2,{\"c\":null}],\"a\":\"\\\"\\n\","
                                        "\"t\":true,\"\":{}}"),
                                  &order, &parsed),
                     ERR_OK);
    assert_true(str_is(order.receipt, "r-1"));
    assert_int_equal(order.expires_in_s, 31536000);
    assert_true(str_is(order.customer, "{\"phone\":\"+91\",\"name\":\"\xc3\x84\"}"));
    assert_true(str_is(order.metadata, "{\"b\":[1,-2,{\"c\":null}],\"a\":\"\\\"\\n\",\"t\":true,"
                                       "\"\":{}}"));
    request_parsed_free(&parsed);
}

static void fractions_in_metadata_keep_their_digits(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"0.1", "0.1"},
                                          {"1.0", "1.0"},
                                          {"2.50", "2.5"},
                                          {"-0.0", "-0.0"},
                                          {"1e300", "1e+300"},
                                          {"0.30000000000000004", "0.30000000000000004"},
                                          {"123456789.123", "123456789.123"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[160], expected[80];
        (void)snprintf(body, sizeof body, ORDER(",\"metadata\":{\"n\":%s}"), rows[i][0]);
        (void)snprintf(expected, sizeof expected, "{\"n\":%s}", rows[i][1]);
        order_create_t order;
        request_parsed_t *parsed;
        assert_int_equal(create_order(body, &order, &parsed), ERR_OK);
        if (!str_is(order.metadata, expected))
            fail_msg("%s became %.*s", rows[i][0], STR_ARG(order.metadata));
        request_parsed_free(&parsed);
    }
}

/* An order with the only '@' of `pattern` replaced by `count` times `character`. */
static err_t create_with_long_text(const char *pattern, const char *character, size_t count)
{
    buf_t body = {0};
    const char *place = strchr(pattern, '@');
    assert_non_null(place);
    buf_add(&body, pattern, (size_t)(place - pattern));
    for (size_t i = 0; i < count; i++)
        buf_add_text(&body, character);
    buf_add_text(&body, place + 1);
    order_create_t order;
    request_parsed_t *parsed;
    err_t err = create_order(body.data, &order, &parsed);
    if (err == ERR_OK) { /* whatever is taken fits into its message */
        size_t bound = message_encoded_bound(MSG_order_create, &order);
        uint8_t *encoded = malloc(bound);
        assert_non_null(encoded);
        assert_true(message_encode(MSG_order_create, &order, encoded, bound) > 0);
        free(encoded);
    }
    request_parsed_free(&parsed);
    buf_free(&body);
    return err;
}

static void lengths_are_counted_in_characters_of_any_script(void **state)
{
    (void)state;
    static const char *const characters[] = {"x", "\xc3\xa9", "\xe0\xa4\x85", "\xf0\x9f\x8d\xb1"};
    static const char *const patterns[] = {USER("\"@\""), ORDER(",\"receipt\":\"@\""),
                                           ORDER(",\"customer\":{\"name\":\"@\"}")};
    static const size_t most[] = {128, 64, 256};
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 3; j++) {
            assert_int_equal(create_with_long_text(patterns[j], characters[i], most[j]), ERR_OK);
            assert_int_equal(create_with_long_text(patterns[j], characters[i], most[j] + 1),
                             ERR_INVALID_FIELD);
        }
}

static void metadata_is_bounded_by_its_encoded_size(void **state)
{
    (void)state;
    const char *pattern = ORDER(",\"metadata\":{\"k\":\"@\"}");
    size_t around = strlen("{\"k\":\"\"}");
    assert_int_equal(create_with_long_text(pattern, "x", 16384 - around), ERR_OK);
    assert_int_equal(create_with_long_text(pattern, "x", 16385 - around), ERR_INVALID_FIELD);
}

static void an_unknown_field_is_named_up_to_a_bound_and_in_whole_characters(void **state)
{
    (void)state;
    assert_int_equal(create_with_long_text(ORDER(",\"@\":1"), "\xf0\x9f\x8d\xb1", 1000),
                     ERR_UNKNOWN_FIELD);
    order_create_t order;
    request_parsed_t *parsed;
    err_detail_t detail = {{0}};
    const char *body = "{\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
                       "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
                       "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
                       "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9x\xc3\xa9\":1}";
    assert_int_equal(request_order_create(str_of(body), &order, &parsed, &detail),
                     ERR_UNKNOWN_FIELD);
    assert_true(utf8_valid(detail.text, strlen(detail.text)));
}

static err_t initiate(const char *body, payment_initiate_t *message, request_parsed_t **parsed)
{
    err_detail_t detail = {{0}};
    return request_payment_initiate(str_of(body), message, parsed, &detail);
}

static void an_initiate_is_taken_with_the_gateway_in_its_registered_spelling(void **state)
{
    (void)state;
    payment_initiate_t message;
    request_parsed_t *parsed;
    assert_int_equal(initiate(INITIATE(""), &message, &parsed), ERR_OK);
    char id[UUID_TEXT_SIZE];
    assert_string_equal(uuid_format(&message.order_id, id), ORDER_ID);
    assert_true(uuid_is_nil(&message.payment_id));
    assert_true(str_is(message.method, "UPI"));
    assert_null(message.psp.data);
    assert_null(message.return_url.data);
    request_parsed_free(&parsed);

    assert_int_equal(initiate(INITIATE(",\"gateway\":\"rAZORpay\",\"return_url\":"
                                       "\"HTTPS://shop.example:8443/back?o=1#x\""),
                              &message, &parsed),
                     ERR_OK);
    assert_true(str_is(message.psp, "Razorpay"));
    assert_true(str_is(message.return_url, "HTTPS://shop.example:8443/back?o=1#x"));
    request_parsed_free(&parsed);
}

static void a_return_url_has_at_most_2048_bytes(void **state)
{
    (void)state;
    for (size_t size = 2048; size <= 2049; size++) {
        char body[2304];
        size_t used = (size_t)snprintf(body, sizeof body, "%s",
                                       "{\"order_id\":\"" ORDER_ID "\",\"payment_method\":\"CARD\","
                                       "\"return_url\":\"http://a");
        size_t pad = size - strlen("http://a");
        memset(body + used, '/', pad);
        memcpy(body + used + pad, "\"}", 3);
        payment_initiate_t message;
        request_parsed_t *parsed;
        assert_int_equal(initiate(body, &message, &parsed),
                         size <= 2048 ? ERR_OK : ERR_INVALID_FIELD);
        request_parsed_free(&parsed);
    }
}

/* ---- bodies that may be left out ---- */

static void a_refund_without_an_amount_is_of_all_that_is_left(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "{}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        refund_create_t refund;
        request_parsed_t *parsed;
        err_detail_t detail = {{0}};
        assert_int_equal(request_refund_create(str_of(bodies[i]), &refund, &parsed, &detail),
                         ERR_OK);
        assert_int_equal(refund.amount, 0);
        assert_null(refund.reason.data);
        assert_true(uuid_is_nil(&refund.refund_id) && uuid_is_nil(&refund.payment_id));
        request_parsed_free(&parsed);
    }
}

static void the_fields_of_a_refund_arrive_as_they_were_sent(void **state)
{
    (void)state;
    refund_create_t refund;
    request_parsed_t *parsed;
    err_detail_t detail = {{0}};
    assert_int_equal(
        request_refund_create(str_of("{\"reason\":\"kalt geliefert, tut uns leid "
                                     "\xf0\x9f\x8d\x9b\",\"amount\":9007199254740991}"),
                              &refund, &parsed, &detail),
        ERR_OK);
    assert_int_equal(refund.amount, 9007199254740991);
    assert_true(str_is(refund.reason, "kalt geliefert, tut uns leid \xf0\x9f\x8d\x9b"));
    request_parsed_free(&parsed);
}

static void a_refunds_reason_has_at_most_64_characters(void **state)
{
    (void)state;
    for (size_t length = 64; length <= 65; length++) {
        buf_t body = {0};
        buf_add_text(&body, "{\"reason\":\"");
        for (size_t i = 0; i < length; i++)
            buf_add_text(&body, "\xf0\x9f\x8d\x9b");
        buf_add_text(&body, "\"}");
        refund_create_t refund;
        request_parsed_t *parsed;
        err_detail_t detail = {{0}};
        assert_int_equal(request_refund_create(str_of(body.data), &refund, &parsed, &detail),
                         length <= 64 ? ERR_OK : ERR_INVALID_FIELD);
        request_parsed_free(&parsed);
        buf_free(&body);
    }
}

static void a_token_is_asked_for_with_a_user_id_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        err_t err;
    } rows[] = {{"{\"user_id\":\"u 1\"}", ERR_OK},
                {"{}", ERR_MISSING_FIELD},
                {"", ERR_MALFORMED_JSON},
                {"{\"user_id\":null}", ERR_INVALID_FIELD},
                {"{\"user_id\":\"\"}", ERR_INVALID_FIELD},
                {"{\"user_id\":\"a\\u0000\"}", ERR_MALFORMED_JSON},
                {"{\"user_id\":\"u\",\"user_id\":\"v\"}", ERR_MALFORMED_JSON},
                {"{\"user_id\":\"u\",\"ttl\":1}", ERR_UNKNOWN_FIELD}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        str_t user_id;
        request_parsed_t *parsed;
        err_detail_t detail = {{0}};
        assert_int_equal(request_ws_token(str_of(rows[i].body), &user_id, &parsed, &detail),
                         rows[i].err);
        assert_int_equal(rows[i].err == ERR_OK, str_is(user_id, "u 1"));
        assert_int_equal(rows[i].err == ERR_OK, parsed != NULL);
        request_parsed_free(&parsed);
    }
}

static void a_redrive_is_of_all_dead_letters_or_of_those_that_fit(void **state)
{
    (void)state;
    dead_letter_redrive_t redrive;
    request_parsed_t *parsed;
    err_detail_t detail = {{0}};
    assert_int_equal(request_redrive(STR_LITERAL(""), &redrive, &parsed, &detail), ERR_OK);
    assert_true(redrive.dead_letter_id == 0 && redrive.limit == 0);
    assert_true(redrive.psp.data == NULL && redrive.reason.data == NULL);
    request_parsed_free(&parsed);

    assert_int_equal(
        request_redrive(
            STR_LITERAL("{\"gateway\":\"rAZORpay\",\"reason\":\"PAYMENT\",\"limit\":10000}"),
            &redrive, &parsed, &detail),
        ERR_OK);
    assert_true(str_is(redrive.psp, "Razorpay"));
    assert_true(str_is(redrive.reason, "PAYMENT"));
    assert_int_equal(redrive.limit, 10000);
    request_parsed_free(&parsed);
}

static void a_call_without_fields_takes_an_empty_body_or_object(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        err_t err;
    } rows[] = {{"", ERR_OK},
                {"{}", ERR_OK},
                {" { } ", ERR_OK},
                {" ", ERR_MALFORMED_JSON},
                {"[]", ERR_MALFORMED_JSON},
                {"null", ERR_MALFORMED_JSON},
                {"{}{}", ERR_MALFORMED_JSON},
                {"{\"amount\":1}", ERR_UNKNOWN_FIELD}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        err_detail_t detail = {{0}};
        err_t err = request_no_fields(str_of(rows[i].body), &detail);
        if (err != rows[i].err || (err == ERR_OK) != (detail.text[0] == '\0'))
            fail_msg("%s: %s, %s", rows[i].body, err_name(err), detail.text);
    }
}

/* ---- GET /orders ---- */

static err_t list(const char *query, order_list_query_t *texts, order_list_t *message,
                  err_detail_t *detail)
{
    http_request_t request = {.method = "GET", .path = "/orders", .query = query};
    return request_order_list(&request, texts, message, detail);
}

static void a_query_is_decoded_into_the_message(void **state)
{
    (void)state;
    order_list_query_t texts;
    order_list_t message;
    err_detail_t detail = {{0}};
    assert_int_equal(list("user_id=a%26b+c%C3%A9&status=PAID&receipt=r-1&limit=100&cursor="
                          "01900000-0000-7000-8000-000000000001",
                          &texts, &message, &detail),
                     ERR_OK);
    assert_true(str_is(message.user_id, "a&b c\xc3\xa9"));
    assert_true(str_is(message.status, "PAID"));
    assert_true(str_is(message.receipt, "r-1"));
    assert_int_equal(message.limit, 100);
    char id[UUID_TEXT_SIZE];
    assert_string_equal(uuid_format(&message.before_order_id, id), ORDER_ID);
}

static void without_a_query_it_is_the_first_page_of_twenty(void **state)
{
    (void)state;
    order_list_query_t texts;
    order_list_t message;
    err_detail_t detail = {{0}};
    static const char *const queries[] = {NULL, "", "&"};
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        assert_int_equal(list(queries[i], &texts, &message, &detail), ERR_OK);
        assert_null(message.user_id.data);
        assert_null(message.status.data);
        assert_null(message.receipt.data);
        assert_int_equal(message.limit, 20);
        assert_true(uuid_is_nil(&message.before_order_id));
    }
}

static void a_bad_query_is_refused_and_names_the_parameter(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"colour=red", "colour"},
        {"User_id=a", "User_id"},
        {"user_id=", "user_id"},
        {"user_id", "user_id"},
        {"user_id=a&user_id=b", "user_id"},
        {"user_id=%zz", "user_id"},
        {"user_id=%00", "user_id"},
        {"user_id=%ff", "user_id"},
        {"user_id=a%0Ab", "user_id"},
        {"receipt=", "receipt"},
        {"status=", "status"},
        {"status=LOST", "status"},
        {"status=paid", "status"},
        {"status=PAID&status=PAID", "status"},
        {"status=PARTIALLY_REFUNDED_AND_MORE_THAN_THAT", "status"},
        {"limit=", "limit"},
        {"limit=0", "limit"},
        {"limit=101", "limit"},
        {"limit=-1", "limit"},
        {"limit=+5", "limit"},
        {"limit=ten", "limit"},
        {"limit=1x", "limit"},
        {"limit=99999999999999999999", "limit"},
        {"cursor=abc", "cursor"},
        {"cursor=", "cursor"},
        {"cursor=00000000-0000-0000-0000-000000000000", "cursor"},
        {"cursor=" ORDER_ID "0", "cursor"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        order_list_query_t texts;
        order_list_t message;
        err_detail_t detail = {{0}};
        err_t err = list(rows[i][0], &texts, &message, &detail);
        if (err != ERR_INVALID_QUERY || !strstr(detail.text, rows[i][1]))
            fail_msg("%s: %s, %s", rows[i][0], err_name(err), detail.text);
    }
}

static void an_id_in_a_path_is_a_uuid_or_invalid(void **state)
{
    (void)state;
    uuid_t id;
    err_detail_t detail = {{0}};
    assert_int_equal(request_id_param(STR_LITERAL(ORDER_ID), "order_id", &id, &detail), ERR_OK);
    assert_int_equal(request_id_param(STR_LITERAL("42"), "order_id", &id, &detail), ERR_INVALID_ID);
    assert_non_null(strstr(detail.text, "order_id"));
    assert_int_equal(request_id_param((str_t){NULL, 0}, "order_id", &id, &detail), ERR_INVALID_ID);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_bad_order_is_refused_with_its_code_and_the_field),
    cmocka_unit_test(a_bad_initiate_is_refused_with_its_code_and_the_field),
    cmocka_unit_test(a_bad_refund_is_refused_with_its_code_and_the_field),
    cmocka_unit_test(a_bad_redrive_is_refused_with_its_code_and_the_field),
    cmocka_unit_test(an_order_of_three_fields_is_taken_and_the_rest_is_absent),
    cmocka_unit_test(all_fields_of_an_order_arrive_as_they_were_sent),
    cmocka_unit_test(fractions_in_metadata_keep_their_digits),
    cmocka_unit_test(lengths_are_counted_in_characters_of_any_script),
    cmocka_unit_test(metadata_is_bounded_by_its_encoded_size),
    cmocka_unit_test(an_unknown_field_is_named_up_to_a_bound_and_in_whole_characters),
    cmocka_unit_test(an_initiate_is_taken_with_the_gateway_in_its_registered_spelling),
    cmocka_unit_test(a_return_url_has_at_most_2048_bytes),
    cmocka_unit_test(a_refund_without_an_amount_is_of_all_that_is_left),
    cmocka_unit_test(the_fields_of_a_refund_arrive_as_they_were_sent),
    cmocka_unit_test(a_refunds_reason_has_at_most_64_characters),
    cmocka_unit_test(a_token_is_asked_for_with_a_user_id_and_nothing_else),
    cmocka_unit_test(a_redrive_is_of_all_dead_letters_or_of_those_that_fit),
    cmocka_unit_test(a_call_without_fields_takes_an_empty_body_or_object),
    cmocka_unit_test(a_query_is_decoded_into_the_message),
    cmocka_unit_test(without_a_query_it_is_the_first_page_of_twenty),
    cmocka_unit_test(a_bad_query_is_refused_and_names_the_parameter),
    cmocka_unit_test(an_id_in_a_path_is_a_uuid_or_invalid),
};
TEST_MAIN(tests)
