/* messages.c - the codec of the bus: messages and headers to bytes and back. */
#include "proto/messages.h"
#include "lib/bus_header.h"
#include "tests/bench/micro/micro.h"

static uint8_t encoded[1024];
static size_t encoded_size;

static void encode(uint32_t id, const void *message)
{
    encoded_size = message_encode(id, message, encoded, sizeof encoded);
    CHECK(encoded_size > 0);
}

static void decode(uint32_t id, void *message)
{
    err_detail_t detail;
    CHECK(message_decode(id, encoded, encoded_size, message, &detail) == ERR_OK);
}

static void encode_order_create(void)
{
    const order_create_t order = {.order_id = micro_id,
                                  .user_id = STR_LITERAL("u1"),
                                  .amount = 45000,
                                  .currency = STR_LITERAL("INR"),
                                  .idempotency_id = micro_id,
                                  .fingerprint = micro_id};
    encode(MSG_order_create, &order);
}

static void decode_order_create(void)
{
    order_create_t order;
    decode(MSG_order_create, &order);
}

static void encode_order_created(void)
{
    const order_created_t order = {.order_id = micro_id,
                                   .status = STR_LITERAL("PENDING"),
                                   .user_id = STR_LITERAL("u1"),
                                   .amount = 45000,
                                   .currency = STR_LITERAL("INR"),
                                   .created_at_us = 1760000000123456,
                                   .expires_at_us = 1760000900123456};
    encode(MSG_order_created, &order);
}

static void decode_order_created(void)
{
    order_created_t order;
    decode(MSG_order_created, &order);
}

static void encode_event(void)
{
    const notifier_event_t event = {.event_id = 1042,
                                    .order_id = micro_id,
                                    .payment_id = micro_id,
                                    .user_id = STR_LITERAL("u1"),
                                    .type = STR_LITERAL("payment.confirmed"),
                                    .payload = str_of(micro_event)};
    encode(MSG_notifier_event, &event);
}

static void decode_event(void)
{
    notifier_event_t event;
    decode(MSG_notifier_event, &event);
}

static bus_header_t request_header(void)
{
    return (bus_header_t){.version = BUS_VERSION,
                          .kind = BUS_REQUEST,
                          .message = MSG_order_create,
                          .correlation = 1234567,
                          .request_id = micro_id,
                          .service = "order",
                          .budget_ms = 5000,
                          .attempt = 1};
}

static void encode_header(void)
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

const micro_t micro_messages[] = {
    {"encode order.create", encode_order_create, NULL},
    {"decode order.create", decode_order_create, encode_order_create},
    {"encode order.created", encode_order_created, NULL},
    {"decode order.created", decode_order_created, encode_order_created},
    {"encode notifier.event", encode_event, NULL},
    {"decode notifier.event", decode_event, encode_event},
    {"encode bus header", encode_header, NULL},
    {"decode bus header", decode_header, encode_header},
    {NULL, NULL, NULL}};
