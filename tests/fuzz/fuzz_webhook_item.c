/* fuzz_webhook_item.c - whatever somebody writes into the stream: it is read without a fault, and
 * what goes on can be stored. */
#include <stdlib.h>
#include <string.h>

#include "services/webhook_processor/webhook_item.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS_MAX = 16 };

static redisReply text(const uint8_t *data, size_t size)
{
    return (redisReply){.type = REDIS_REPLY_STRING, .str = (char *)(uintptr_t)data, .len = size};
}

/* Input: records of one byte (which name, or the next bytes as the name) and one length byte with
 * that many bytes of value. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {
        "psp",         "event_id",       "source",      "body",      "request_id",
        "traceparent", "received_at_us", "http_status", "payment_id"};
    redisReply values[2 * FIELDS_MAX], *elements[2 * FIELDS_MAX];
    size_t count = 0;
    for (size_t at = 0; at + 2 <= size && count + 2 <= 2 * FIELDS_MAX;) {
        const char *name = names[data[at] % 9];
        size_t length = data[at + 1] * (size_t)(data[at] >= 128 ? 8 : 1);
        at += 2;
        if (length > size - at)
            length = size - at;
        values[count] = text((const uint8_t *)name, strlen(name));
        values[count + 1] = text(data + at, length);
        at += length;
        count += 2;
    }
    for (size_t i = 0; i < count; i++)
        elements[i] = &values[i];
    redisReply id = text((const uint8_t *)"1-1", 3);
    redisReply fields = {.type = REDIS_REPLY_ARRAY, .elements = count, .element = elements};
    redisReply *pair[2] = {&id, &fields};
    const redisReply entry = {.type = REDIS_REPLY_ARRAY, .elements = 2, .element = pair};

    webhook_item_t item;
    if (!webhook_item_from_entry(&entry, &item))
        abort();
    webhook_item_read(&item);
    if (item.event_id.size == 0 || !utf8_valid(item.event_id.data, item.event_id.size) ||
        item.psp.size == 0 || !utf8_valid(item.psp.data, item.psp.size))
        abort();
    if (!item.malformed && item.report.kind != PSP_FACT_NONE && item.report.amount <= 0)
        abort();
    return 0;
}
