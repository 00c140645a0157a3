/* requests.c - HTTP bodies and queries into messages of the schema.
 *
 * Called by the handlers of the public API, on HTTP threads. A message that is handed back always
 * encodes: whatever the schema bounds is bounded here. Rules are checked in this order: is it JSON,
 * does it hold unknown fields, is a required one missing, then each value; the first that is broken
 * is the answer. `null` is a value like any other, not a field that is missing.
 */
#include "gateway/requests.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/json_read.h"
#include "lib/payment/money.h"
#include "lib/payment/psp.h"

enum {
    USER_ID_CHARACTERS_MAX = 128,
    RECEIPT_CHARACTERS_MAX = 64,
    CUSTOMER_CHARACTERS_MAX = 256, /* each of its fields */
    CUSTOMER_MAX_BYTES = 4096,
    METADATA_MAX_BYTES = 16384,
    RETURN_URL_MAX_BYTES = 2048,
    REASON_CHARACTERS_MAX = 64,
    DEAD_REASON_CHARACTERS_MAX = 32,
    REDRIVE_MAX = 10000,
    EXPIRES_IN_MAX_S = 31536000,
    LIMIT_DEFAULT = 20,
    LIMIT_MAX = 100,
    NAME_SHOWN_SIZE = 65, /* of a field that is not known */
};

struct request_parsed {
    json_t *root;
    buf_t metadata, customer;
};

void request_parsed_free(request_parsed_t **parsed_p)
{
    request_parsed_t *parsed = *parsed_p;
    if (!parsed)
        return;
    json_decref(parsed->root);
    buf_free(&parsed->metadata);
    buf_free(&parsed->customer);
    free(parsed);
    *parsed_p = NULL;
}

/* ---- what every body must be ---- */

static err_t refuse_amount(err_detail_t *detail)
{
    return err_set(detail, ERR_INVALID_AMOUNT,
                   "amount is not an integer in minor units from 1 to %lld", (long long)AMOUNT_MAX);
}

static err_t parse(str_t body, json_t **root, err_detail_t *detail)
{
    err_detail_t why = {{0}};
    *root = json_read_object(body, &why);
    if (*root)
        return ERR_OK;
    if (json_read_is_big(body, "amount")) /* a wrong amount, not wrong JSON */
        return refuse_amount(detail);
    return err_set(detail, ERR_MALFORMED_JSON, "the body %s", why.text);
}

/* Takes over `root`. */
static request_parsed_t *parsed_new(json_t *root)
{
    request_parsed_t *parsed = calloc(1, sizeof *parsed);
    CHECK(parsed != NULL);
    parsed->root = root;
    buf_init(&parsed->metadata, METADATA_MAX_BYTES);
    buf_init(&parsed->customer, CUSTOMER_MAX_BYTES);
    return parsed;
}

typedef struct member {
    const char *name; /* NULL ends the table */
    bool required;
} member_t;

static bool member_known(const member_t *members, const char *name)
{
    for (; members->name; members++)
        if (strcmp(members->name, name) == 0)
            return true;
    return false;
}

/* `path` is what an error puts before a name: "", "customer.". */
static err_t check_members(json_t *object, const member_t *members, const char *path,
                           err_detail_t *detail)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        char shown[NAME_SHOWN_SIZE];
        if (!member_known(members, name))
            return err_set(detail, ERR_UNKNOWN_FIELD, "%s%s is not known", path,
                           str_copy(str_of(name), shown, sizeof shown));
    }
    for (; members->name; members++)
        if (members->required && !json_object_get(object, members->name))
            return err_set(detail, ERR_MISSING_FIELD, "%s%s is missing", path, members->name);
    return ERR_OK;
}

/* ---- values ---- */

/* 1 … characters_max characters (code points), none a control character. `text` is well-formed. */
static bool text_fits(str_t text, size_t characters_max)
{
    return text.size > 0 && text.size <= characters_max * 4 &&
           utf8_length(text.data, text.size) <= characters_max &&
           !utf8_has_control(text.data, text.size);
}

/* Leaves *text as it is when there is no such member. */
static err_t read_text(const json_t *object, const char *path, const char *name,
                       size_t characters_max, str_t *text, err_detail_t *detail)
{
    if (!json_object_get(object, name))
        return ERR_OK;
    *text = json_read_str(object, name);
    if (!text->data || !text_fits(*text, characters_max))
        return err_set(detail, ERR_INVALID_FIELD,
                       "%s%s is not a text of 1 to %zu characters without control characters", path,
                       name, characters_max);
    return ERR_OK;
}

static err_t read_amount(const json_t *root, int64_t *amount, err_detail_t *detail)
{
    const json_t *value = json_object_get(root, "amount");
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : 0;
    if (number < 1 || number > AMOUNT_MAX)
        return refuse_amount(detail);
    *amount = number;
    return ERR_OK;
}

static err_t read_currency(const json_t *root, str_t *currency, err_detail_t *detail)
{
    *currency = json_read_str(root, "currency");
    if (!currency->data || !currency_known(*currency))
        return err_set(detail, ERR_INVALID_CURRENCY,
                       "currency is not an ISO 4217 code in capital letters");
    return ERR_OK;
}

static err_t read_expires_in(const json_t *root, int64_t *expires_in_s, err_detail_t *detail)
{
    const json_t *value = json_object_get(root, "expires_in_s");
    if (!value)
        return ERR_OK;
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : 0;
    if (number < 1 || number > EXPIRES_IN_MAX_S)
        return err_set(detail, ERR_INVALID_FIELD,
                       "expires_in_s is not a number of seconds from 1 to %d", EXPIRES_IN_MAX_S);
    *expires_in_s = number;
    return ERR_OK;
}

/* The shortest text that reads back as the same number, and stays one with a fraction: what the
 * merchant wrote as 0.1 is not stored as 0.10000000000000001, which is what jansson prints. */
static void write_real(buf_t *json, const char *key, double number)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    if (!strpbrk(text, ".e"))
        memcpy(text + strlen(text), ".0", sizeof ".0");
    json_raw(json, key, text, strlen(text));
}

static void write_scalar(buf_t *json, const char *key, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        json_str(json, key, (str_t){json_string_value(value), (uint32_t)json_string_length(value)});
        break;
    case JSON_INTEGER:
        json_int(json, key, json_integer_value(value));
        break;
    case JSON_REAL:
        write_real(json, key, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        json_bool(json, key, json_is_true(value));
        break;
    case JSON_NULL:
    case JSON_OBJECT:
    case JSON_ARRAY:
        json_nil(json, key);
        break;
    }
}

/* As deep as the parser lets a document be (JSON_DEPTH_MAX). */
static void write_value(buf_t *json, const char *key, json_t *value) // NOLINT(misc-no-recursion)
{
    const char *name;
    json_t *member;
    size_t index;
    if (json_is_object(value)) {
        json_open_object(json, key);
        json_object_foreach(value, name, member) write_value(json, name, member);
        json_close_object(json);
    } else if (json_is_array(value)) {
        json_open_array(json, key);
        json_array_foreach(value, index, member) write_value(json, NULL, member);
        json_close_array(json);
    } else {
        write_scalar(json, key, value);
    }
}

/* An object into its text; leaves *text as it is when there is no such member. */
static err_t read_object(json_t *root, const char *name, buf_t *json, str_t *text,
                         err_detail_t *detail)
{
    json_t *value = json_object_get(root, name);
    if (!value)
        return ERR_OK;
    if (!json_is_object(value))
        return err_set(detail, ERR_INVALID_FIELD, "%s is not an object", name);
    write_value(json, NULL, value);
    if (json->overflow)
        return err_set(detail, ERR_INVALID_FIELD, "%s is over %zu bytes", name, json->limit);
    *text = (str_t){json->data, (uint32_t)json->size};
    return ERR_OK;
}

static err_t read_customer(json_t *root, buf_t *json, str_t *text, err_detail_t *detail)
{
    static const member_t members[] = {
        {"name", false}, {"email", false}, {"phone", false}, {NULL, false}};
    json_t *customer = json_object_get(root, "customer");
    if (json_is_object(customer)) {
        TRY(check_members(customer, members, "customer.", detail));
        str_t unused;
        for (const member_t *member = members; member->name; member++)
            TRY(read_text(customer, "customer.", member->name, CUSTOMER_CHARACTERS_MAX, &unused,
                          detail));
    }
    return read_object(root, "customer", json, text, detail);
}

err_t request_id_param(str_t text, const char *name, uuid_t *id, err_detail_t *detail)
{
    if (!text.data || !uuid_parse(text.data, text.size, id))
        return err_set(detail, ERR_INVALID_ID, "%s is not a UUID", name);
    return ERR_OK;
}

static err_t read_method(const json_t *root, str_t *method, err_detail_t *detail)
{
    static const char *const methods[] = {"UPI", "CARD", "NETBANKING", "WALLET"};
    *method = json_read_str(root, "payment_method");
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (str_is(*method, methods[i]))
            return ERR_OK;
    return err_set(detail, ERR_INVALID_FIELD,
                   "payment_method is none of UPI, CARD, NETBANKING, WALLET");
}

static err_t read_psp(const json_t *root, str_t *name, err_detail_t *detail)
{
    if (!json_object_get(root, "gateway"))
        return ERR_OK;
    str_t text = json_read_str(root, "gateway");
    const psp_t *psp = text.data ? psp_find(text) : NULL;
    if (!psp)
        return err_set(detail, ERR_INVALID_FIELD, "gateway is not a payment gateway we know");
    *name = str_of(psp_name(psp));
    return ERR_OK;
}

/* http or https with a host; what a browser would take for anything else never goes to a PSP. */
static bool url_fits(str_t url)
{
    if (url.size > RETURN_URL_MAX_BYTES || utf8_has_control(url.data, url.size) ||
        memchr(url.data, ' ', url.size))
        return false;
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t size = strlen(schemes[i]);
        if (url.size > size && strncasecmp(url.data, schemes[i], size) == 0)
            return !strchr("/?#:@", url.data[size]);
    }
    return false;
}

static err_t read_return_url(const json_t *root, str_t *url, err_detail_t *detail)
{
    if (!json_object_get(root, "return_url"))
        return ERR_OK;
    *url = json_read_str(root, "return_url");
    if (!url->data || !url_fits(*url))
        return err_set(detail, ERR_INVALID_FIELD,
                       "return_url is not an http or https URL of at most %d bytes",
                       RETURN_URL_MAX_BYTES);
    return ERR_OK;
}

static err_t read_capture(const json_t *root, bool *manual, err_detail_t *detail)
{
    const str_t text = json_read_str(root, "capture");
    *manual = str_is(text, "manual");
    if (json_object_get(root, "capture") && !*manual && !str_is(text, "automatic"))
        return err_set(detail, ERR_INVALID_FIELD, "capture is not automatic or manual");
    return ERR_OK;
}

/* ---- the bodies ---- */

static err_t read_order_create(request_parsed_t *parsed, order_create_t *order,
                               err_detail_t *detail)
{
    static const member_t members[] = {
        {"user_id", true},       {"amount", true},    {"currency", true},
        {"receipt", false},      {"metadata", false}, {"customer", false},
        {"expires_in_s", false}, {"capture", false},  {NULL, false}};
    json_t *root = parsed->root;
    TRY(check_members(root, members, "", detail));
    TRY(read_text(root, "", "user_id", USER_ID_CHARACTERS_MAX, &order->user_id, detail));
    TRY(read_amount(root, &order->amount, detail));
    TRY(read_currency(root, &order->currency, detail));
    TRY(read_text(root, "", "receipt", RECEIPT_CHARACTERS_MAX, &order->receipt, detail));
    TRY(read_object(root, "metadata", &parsed->metadata, &order->metadata, detail));
    TRY(read_customer(root, &parsed->customer, &order->customer, detail));
    TRY(read_capture(root, &order->manual_capture, detail));
    return read_expires_in(root, &order->expires_in_s, detail);
}

err_t request_order_create(str_t body, order_create_t *order, request_parsed_t **parsed,
                           err_detail_t *detail)
{
    *order = (order_create_t){0};
    *parsed = NULL;
    json_t *root = NULL;
    TRY(parse(body, &root, detail));
    *parsed = parsed_new(root);
    err_t err = read_order_create(*parsed, order, detail);
    if (err != ERR_OK)
        request_parsed_free(parsed);
    return err;
}

static err_t read_payment_initiate(const json_t *root, payment_initiate_t *initiate,
                                   err_detail_t *detail)
{
    TRY(request_id_param(json_read_str(root, "order_id"), "order_id", &initiate->order_id, detail));
    TRY(read_method(root, &initiate->method, detail));
    TRY(read_psp(root, &initiate->psp, detail));
    return read_return_url(root, &initiate->return_url, detail);
}

err_t request_payment_initiate(str_t body, payment_initiate_t *initiate, request_parsed_t **parsed,
                               err_detail_t *detail)
{
    static const member_t members[] = {{"order_id", true},
                                       {"payment_method", true},
                                       {"gateway", false},
                                       {"return_url", false},
                                       {NULL, false}};
    *initiate = (payment_initiate_t){0};
    *parsed = NULL;
    json_t *root = NULL;
    TRY(parse(body, &root, detail));
    *parsed = parsed_new(root);
    err_t err = check_members(root, members, "", detail);
    if (err == ERR_OK)
        err = read_payment_initiate(root, initiate, detail);
    if (err != ERR_OK)
        request_parsed_free(parsed);
    return err;
}

err_t request_ws_token(str_t body, str_t *user_id, request_parsed_t **parsed, err_detail_t *detail)
{
    static const member_t members[] = {{"user_id", true}, {NULL, false}};
    *user_id = (str_t){NULL, 0};
    *parsed = NULL;
    json_t *root = NULL;
    TRY(parse(body, &root, detail));
    *parsed = parsed_new(root);
    err_t err = check_members(root, members, "", detail);
    if (err == ERR_OK)
        err = read_text(root, "", "user_id", USER_ID_CHARACTERS_MAX, user_id, detail);
    if (err != ERR_OK)
        request_parsed_free(parsed);
    return err;
}

/* All fields are optional, and so is the body: *root is NULL without one. */
static err_t read_optional_body(str_t body, const member_t *members, request_parsed_t **parsed,
                                json_t **root, err_detail_t *detail)
{
    *parsed = NULL;
    *root = NULL;
    if (body.size == 0)
        return ERR_OK;
    TRY(parse(body, root, detail));
    *parsed = parsed_new(*root);
    return check_members(*root, members, "", detail);
}

err_t request_refund_create(str_t body, refund_create_t *refund, request_parsed_t **parsed,
                            err_detail_t *detail)
{
    static const member_t members[] = {{"amount", false}, {"reason", false}, {NULL, false}};
    json_t *root;
    *refund = (refund_create_t){0};
    err_t err = read_optional_body(body, members, parsed, &root, detail);
    if (err == ERR_OK && json_object_get(root, "amount"))
        err = read_amount(root, &refund->amount, detail);
    if (err == ERR_OK && root)
        err = read_text(root, "", "reason", REASON_CHARACTERS_MAX, &refund->reason, detail);
    if (err != ERR_OK)
        request_parsed_free(parsed);
    return err;
}

err_t request_nothing(str_t body, err_detail_t *detail)
{
    static const member_t members[] = {{NULL, false}};
    request_parsed_t *parsed;
    json_t *root;
    const err_t err = read_optional_body(body, members, &parsed, &root, detail);
    request_parsed_free(&parsed);
    return err;
}

err_t request_redrive(str_t body, dead_letter_redrive_t *redrive, request_parsed_t **parsed,
                      err_detail_t *detail)
{
    static const member_t members[] = {
        {"gateway", false}, {"reason", false}, {"limit", false}, {NULL, false}};
    json_t *root;
    *redrive = (dead_letter_redrive_t){0};
    err_t err = read_optional_body(body, members, parsed, &root, detail);
    if (err == ERR_OK && root)
        err = read_psp(root, &redrive->psp, detail);
    if (err == ERR_OK && root)
        err = read_text(root, "", "reason", DEAD_REASON_CHARACTERS_MAX, &redrive->reason, detail);
    const json_t *limit = json_object_get(root, "limit");
    if (err == ERR_OK && limit) {
        redrive->limit = json_is_integer(limit) ? json_integer_value(limit) : 0;
        if (redrive->limit < 1 || redrive->limit > REDRIVE_MAX)
            err = err_set(detail, ERR_INVALID_FIELD, "limit is not an integer from 1 to %d",
                          REDRIVE_MAX);
    }
    if (err != ERR_OK)
        request_parsed_free(parsed);
    return err;
}

/* ---- the query ---- */

err_t request_query_text(const http_request_t *request, const char *name, size_t characters_max,
                         char *buffer, size_t capacity, str_t *text, err_detail_t *detail)
{
    *text = (str_t){NULL, 0};
    int found = http_query(request, name, buffer, capacity);
    if (found == 0)
        return ERR_OK;
    if (found > 0)
        *text = str_of(buffer);
    if (found < 0 || !utf8_valid(text->data, text->size) || !text_fits(*text, characters_max))
        return err_set(detail, ERR_INVALID_QUERY,
                       "%s is not one text of 1 to %zu characters without control characters", name,
                       characters_max);
    return ERR_OK;
}

static err_t query_status(const http_request_t *request, char *buffer, size_t capacity,
                          str_t *status, err_detail_t *detail)
{
    static const char *const statuses[] = {"PENDING",   "PAID",   "REFUNDED", "PARTIALLY_REFUNDED",
                                           "CANCELLED", "EXPIRED"};
    int found = http_query(request, "status", buffer, capacity);
    if (found == 0)
        return ERR_OK;
    for (size_t i = 0; found > 0 && i < sizeof statuses / sizeof statuses[0]; i++)
        if (strcmp(buffer, statuses[i]) == 0) {
            *status = str_of(buffer);
            return ERR_OK;
        }
    return err_set(detail, ERR_INVALID_QUERY, "status is not the status of an order");
}

err_t request_query_limit(const http_request_t *request, int64_t *limit, err_detail_t *detail)
{
    char text[4];
    int found = http_query(request, "limit", text, sizeof text);
    *limit = found == 0 ? LIMIT_DEFAULT : 0;
    for (size_t i = 0; found > 0 && text[i]; i++) {
        if (!isdigit((unsigned char)text[i])) {
            *limit = 0;
            break;
        }
        *limit = *limit * 10 + (text[i] - '0');
    }
    if (*limit < 1 || *limit > LIMIT_MAX)
        return err_set(detail, ERR_INVALID_QUERY, "limit is not an integer from 1 to %d",
                       LIMIT_MAX);
    return ERR_OK;
}

/* The nil UUID would mean "from the start" further on. */
static err_t query_cursor(const http_request_t *request, uuid_t *before, err_detail_t *detail)
{
    char text[UUID_TEXT_SIZE];
    int found = http_query(request, "cursor", text, sizeof text);
    if (found == 0)
        return ERR_OK;
    if (found < 0 || !uuid_parse(text, strlen(text), before) || uuid_is_nil(before))
        return err_set(detail, ERR_INVALID_QUERY, "cursor is not the next_cursor of a page");
    return ERR_OK;
}

err_t request_order_list(const http_request_t *request, order_list_query_t *texts,
                         order_list_t *list, err_detail_t *detail)
{
    static const char *const names[] = {"user_id", "status", "receipt", "limit", "cursor", NULL};
    char offender[NAME_SHOWN_SIZE];
    *list = (order_list_t){0};
    if (!http_query_known(request, names, offender, sizeof offender))
        return err_set(detail, ERR_INVALID_QUERY, "%s is not a parameter of this call", offender);
    TRY(request_query_text(request, "user_id", USER_ID_CHARACTERS_MAX, texts->user_id,
                           sizeof texts->user_id, &list->user_id, detail));
    TRY(request_query_text(request, "receipt", RECEIPT_CHARACTERS_MAX, texts->receipt,
                           sizeof texts->receipt, &list->receipt, detail));
    TRY(query_status(request, texts->status, sizeof texts->status, &list->status, detail));
    TRY(request_query_limit(request, &list->limit, detail));
    return query_cursor(request, &list->before_order_id, detail);
}

bool request_event_id(const char *text, int64_t *event_id)
{
    enum { DIGITS_MAX = 18 }; /* of any int64_t */
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX || text[digits] != '\0')
        return false;
    *event_id = strtoll(text, NULL, 10);
    return true;
}

err_t request_event_list(const http_request_t *request, char user_id[513], notifier_list_t *list,
                         err_detail_t *detail)
{
    static const char *const names[] = {"since", "limit", "user_id", NULL};
    char offender[NAME_SHOWN_SIZE], since[24];
    *list = (notifier_list_t){0};
    if (!http_query_known(request, names, offender, sizeof offender))
        return err_set(detail, ERR_INVALID_QUERY, "%s is not a parameter of this call", offender);
    TRY(request_query_text(request, "user_id", USER_ID_CHARACTERS_MAX, user_id, 513, &list->user_id,
                           detail));
    TRY(request_query_limit(request, &list->limit, detail));
    const int found = http_query(request, "since", since, sizeof since);
    if (found < 0 || (found > 0 && !request_event_id(since, &list->since)))
        return err_set(detail, ERR_INVALID_QUERY, "since is not an event_id");
    return ERR_OK;
}

err_t request_no_fields(str_t body, err_detail_t *detail)
{
    if (body.size == 0)
        return ERR_OK;
    json_t *object = json_read_object(body, detail);
    if (object == NULL)
        return ERR_MALFORMED_JSON;
    err_t err = ERR_OK;
    if (json_object_size(object) > 0)
        err = err_set(detail, ERR_UNKNOWN_FIELD, "this call takes no fields");
    json_decref(object);
    return err;
}
