/* tap_frames.h - what a gateway publishes on its tap, made by hand for tests. */
#ifndef TIFFIN_TESTS_TAP_FRAMES_H
#define TIFFIN_TESTS_TAP_FRAMES_H

#include <string.h>

#include "proto/messages.h"

typedef struct tap_frames {
    const char *topic;
    uint8_t record[1024];
    size_t record_size;
    uint8_t body[4096];
    size_t body_size;
} tap_frames_t;

/* The request id that belongs to a small number. */
static inline uuid_t tap_request_id(uint8_t number)
{
    return (uuid_t){{0x01, 0x90, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, number}};
}

/* record.message is `id`. */
static inline tap_frames_t tap_frames_make(const char *topic, tap_record_t record, uint32_t id,
                                           const void *message)
{
    tap_frames_t frames = {.topic = topic};
    record.message = id;
    frames.record_size =
        message_encode(MSG_tap_record, &record, frames.record, sizeof frames.record);
    CHECK(frames.record_size > 0);
    if (message != NULL) {
        frames.body_size = message_encode(id, message, frames.body, sizeof frames.body);
        CHECK(frames.body_size > 0);
    }
    return frames;
}

/* An order.create, its reply, and an error as its reply; all of 2026-02-21T00:00:00.123456Z. */
static inline tap_record_t tap_record_example(const char *kind, uint8_t request)
{
    return (tap_record_t){
        .seq = 1,
        .at_us = INT64_C(1771632000123456),
        .gateway = STR_LITERAL("gateway-1"),
        .kind = str_of(kind),
        .request_id = tap_request_id(request),
        .traceparent = STR_LITERAL("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")};
}

static inline tap_frames_t tap_order_create(uint8_t request, int64_t amount)
{
    order_create_t order = {.order_id = tap_request_id(request),
                            .user_id = STR_LITERAL("***"),
                            .amount = amount,
                            .currency = STR_LITERAL("INR")};
    return tap_frames_make("order.create", tap_record_example("REQUEST", request), MSG_order_create,
                           &order);
}

static inline tap_frames_t tap_order_created(uint8_t request, int64_t took_us)
{
    order_created_t order = {.order_id = tap_request_id(request),
                             .status = STR_LITERAL("PENDING"),
                             .user_id = STR_LITERAL("***"),
                             .amount = 45000,
                             .currency = STR_LITERAL("INR"),
                             .created_at_us = 1,
                             .expires_at_us = 2};
    tap_record_t record = tap_record_example("REPLY", request);
    record.instance = STR_LITERAL("order-1");
    record.took_us = took_us;
    return tap_frames_make("order.create", record, MSG_order_created, &order);
}

static inline tap_frames_t tap_order_failed(uint8_t request, err_t status)
{
    bus_error_t error = {.detail = STR_LITERAL("no")};
    tap_record_t record = tap_record_example("REPLY", request);
    record.status = status;
    record.took_us = 900;
    return tap_frames_make("order.create", record, MSG_bus_error, &error);
}

static inline tap_frames_t tap_attempt(uint8_t request)
{
    router_attempt_t attempt = {.payment_id = tap_request_id(request),
                                .order_id = tap_request_id(request),
                                .attempt_id = tap_request_id(request),
                                .psp = STR_LITERAL("Juspay"),
                                .outcome = STR_LITERAL("OPEN")};
    return tap_frames_make("router.attempt", tap_record_example("EVENT", request),
                           MSG_router_attempt, &attempt);
}

#endif
