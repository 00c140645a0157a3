/* fuzz_requests.c - any body and any query: read without a fault; what is refused says why; what is
 * taken encodes as its message and decodes again. */
#include <stdlib.h>
#include <string.h>

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

static void try_query(str_t text)
{
    char *query = calloc(1, (size_t)text.size + 1);
    CHECK(query != NULL);
    if (text.size > 0)
        memcpy(query, text.data, text.size);
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
    switch (data[0] % 3) {
    case 0:
        try_order(text);
        break;
    case 1:
        try_initiate(text);
        break;
    default:
        try_query(text);
        break;
    }
    return 0;
}
