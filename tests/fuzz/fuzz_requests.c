/* fuzz_requests.c - any body, query, path and Idempotency-Key: read without a fault; what is
 * refused says why; what is taken encodes as its message and decodes again. */
#include <stdlib.h>
#include <string.h>

#include "gateway/admin_requests.h"
#include "gateway/idempotency.h"
#include "gateway/requests.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_encode(uint32_t id, const void *message)
{
    _Alignas(16) uint8_t decoded[MESSAGE_STRUCT_MAX];
    size_t bound = message_encoded_bound(id, message);
    uint8_t *encoded = malloc(bound);
    CHECK(encoded != NULL);
    size_t size = message_encode(id, message, encoded, bound);
    err_detail_t detail;
    CHECK(size > 0);
    CHECK(message_decode(id, encoded, size, decoded, &detail) == ERR_OK);
    free(encoded);
}

/* A copy that ends with NUL; the caller's. */
static char *terminated(str_t text)
{
    char *copy = calloc(1, (size_t)text.size + 1);
    CHECK(copy != NULL);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    return copy;
}

static void try_order(str_t body)
{
    order_create_t order;
    request_parsed_t *parsed;
    err_detail_t detail = {{0}};
    if (request_order_create(body, &order, &parsed, &detail) != ERR_OK) {
        CHECK(parsed == NULL && detail.text[0] != '\0');
        return;
    }
    CHECK(order.amount > 0 && order.currency.size == 3 && order.user_id.size > 0);
    must_encode(MSG_order_create, &order);
    request_parsed_free(&parsed);
}

static void try_initiate(str_t body)
{
    payment_initiate_t initiate;
    request_parsed_t *parsed;
    err_detail_t detail = {{0}};
    if (request_payment_initiate(body, &initiate, &parsed, &detail) != ERR_OK) {
        CHECK(parsed == NULL && detail.text[0] != '\0');
        return;
    }
    must_encode(MSG_payment_initiate, &initiate);
    request_parsed_free(&parsed);
}

static void try_refund(str_t body)
{
    refund_create_t refund;
    request_parsed_t *parsed;
    err_detail_t detail = {{0}};
    if (request_refund_create(body, &refund, &parsed, &detail) != ERR_OK) {
        CHECK(parsed == NULL && detail.text[0] != '\0');
        return;
    }
    CHECK(refund.amount >= 0);
    must_encode(MSG_refund_create, &refund);
    request_parsed_free(&parsed);
}

static void try_ws_token(str_t body)
{
    str_t user_id;
    request_parsed_t *parsed;
    err_detail_t detail = {{0}};
    if (request_ws_token(body, &user_id, &parsed, &detail) != ERR_OK) {
        CHECK(parsed == NULL && detail.text[0] != '\0');
        return;
    }
    CHECK(user_id.size > 0 && user_id.size <= 512);
    request_parsed_free(&parsed);
}

static void try_redrive(str_t body)
{
    dead_letter_redrive_t redrive;
    request_parsed_t *parsed;
    err_detail_t detail = {{0}};
    if (request_redrive(body, &redrive, &parsed, &detail) != ERR_OK) {
        CHECK(parsed == NULL && detail.text[0] != '\0');
        return;
    }
    CHECK(redrive.limit >= 0);
    must_encode(MSG_dead_letter_redrive, &redrive);
    request_parsed_free(&parsed);
}

static void try_key(str_t text)
{
    char *value = terminated(text);
    uuid_t id = {{0}}, fingerprint = {{0}};
    err_detail_t detail = {{0}};
    const err_t err =
        idempotency_identify("shop", "POST", "/orders", value, text, &id, &fingerprint, &detail);
    CHECK(uuid_is_nil(&id) == (err != ERR_OK) && (detail.text[0] != '\0') == (err != ERR_OK));
    free(value);
}

static void try_row_id(str_t text)
{
    dead_letter_get_t get;
    err_detail_t detail = {{0}};
    if (admin_row_id(text, &get.dead_letter_id, &detail) != ERR_OK) {
        CHECK(detail.text[0] != '\0');
        return;
    }
    CHECK(get.dead_letter_id > 0);
    must_encode(MSG_dead_letter_get, &get);
}

static void try_admin_query(str_t text)
{
    char *query = terminated(text);
    const http_request_t request = {.method = "GET", .path = "/admin", .query = query};
    dead_letter_query_t dead_texts;
    dead_letter_list_t dead;
    discrepancy_query_t texts;
    discrepancy_list_t discrepancies;
    err_detail_t detail = {{0}}, other = {{0}};
    if (admin_dead_letter_list(&request, &dead_texts, &dead, &detail) == ERR_OK)
        must_encode(MSG_dead_letter_list, &dead);
    else
        CHECK(detail.text[0] != '\0');
    if (admin_discrepancy_list(&request, &texts, &discrepancies, &other) == ERR_OK)
        must_encode(MSG_discrepancy_list, &discrepancies);
    else
        CHECK(other.text[0] != '\0');
    free(query);
}

static void try_query(str_t text)
{
    char *query = terminated(text);
    http_request_t request = {.method = "GET", .path = "/orders", .query = query};
    order_list_query_t texts;
    order_list_t list;
    err_detail_t detail = {{0}};
    if (request_order_list(&request, &texts, &list, &detail) == ERR_OK) {
        CHECK(list.limit >= 1 && list.limit <= 100);
        must_encode(MSG_order_list, &list);
    } else {
        CHECK(detail.text[0] != '\0');
    }
    free(query);
}

/* The first byte says which call the rest is for. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    str_t text = {(const char *)data + 1, (uint32_t)(size - 1)};
    static void (*const calls[])(str_t) = {try_order,  try_initiate,    try_query,
                                           try_refund, try_redrive,     try_key,
                                           try_row_id, try_admin_query, try_ws_token};
    calls[data[0] % (sizeof calls / sizeof calls[0])](text);
    return 0;
}
