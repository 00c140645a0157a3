/* webhook_item.c - see webhook_item.h. */
#include "services/webhook_processor/webhook_item.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json_read.h"

enum { NAME_MAX_BYTES = PSP_NAME_SIZE - 1, EVENT_ID_MAX_BYTES = PSP_EVENT_ID_SIZE - 1 };

static const char *const outcome_names[] = {[WEBHOOK_UNDECIDED] = "undecided",
                                            [WEBHOOK_APPLIED] = "applied",
                                            [WEBHOOK_DUPLICATE] = "duplicate",
                                            [WEBHOOK_PARKED] = "parked",
                                            [WEBHOOK_DEAD] = "dead"};

const char *webhook_outcome_name(webhook_outcome_t outcome)
{
    return outcome_names[outcome];
}

webhook_outcome_t webhook_outcome_parse(str_t name)
{
    for (int i = WEBHOOK_APPLIED; i <= WEBHOOK_DEAD; i++)
        if (str_is(name, outcome_names[i]))
            return (webhook_outcome_t)i;
    return WEBHOOK_UNDECIDED;
}

static str_t text_of(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STRING || reply->len > UINT32_MAX)
        return (str_t){NULL, 0};
    return (str_t){reply->str, (uint32_t)reply->len};
}

/* 0 for anything that is no number. */
static int64_t number_of(str_t text)
{
    char digits[24];
    if (text.data == NULL || text.size == 0 || text.size >= sizeof digits)
        return 0;
    char *end;
    errno = 0;
    const long long value = strtoll(str_copy(text, digits, sizeof digits), &end, 10);
    return *end == '\0' && errno == 0 ? value : 0;
}

/* Nil for anything that is no UUID. */
static uuid_t uuid_of(str_t text)
{
    uuid_t uuid;
    if (text.data == NULL || !uuid_parse(text.data, text.size, &uuid))
        memset(&uuid, 0, sizeof uuid);
    return uuid;
}

bool webhook_item_from_entry(const redisReply *entry, webhook_item_t *item)
{
    memset(item, 0, sizeof *item);
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2)
        return false;
    item->entry_id = text_of(entry->element[0]);
    const redisReply *fields = entry->element[1];
    if (fields->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const str_t name = text_of(fields->element[i]);
        const str_t value = text_of(fields->element[i + 1]);
        if (str_is(name, "psp"))
            item->psp = value;
        else if (str_is(name, "event_id"))
            item->event_id = value;
        else if (str_is(name, "source"))
            item->source = value;
        else if (str_is(name, "body"))
            item->body = value;
        else if (str_is(name, "headers"))
            item->headers = value;
        else if (str_is(name, "request_id"))
            item->request_id = value;
        else if (str_is(name, "traceparent"))
            item->traceparent = value;
        else if (str_is(name, "received_at_us"))
            item->received_at_us = number_of(value);
        else if (str_is(name, "http_status"))
            item->http_status = (int32_t)number_of(value);
        else if (str_is(name, "payment_id"))
            item->payment_id = uuid_of(value);
        else if (str_is(name, "refund_id"))
            item->refund_id = uuid_of(value);
    }
    return true;
}

/* It may quote what came from outside, and be cut in the middle of a character. */
void webhook_item_fault(webhook_item_t *item, const char *fault)
{
    item->malformed = true;
    size_t size = 0;
    for (; fault[size] != '\0' && size + 1 < sizeof item->fault; size++)
        if (fault[size] >= ' ' && fault[size] <= '~')
            item->fault[size] = fault[size];
        else
            item->fault[size] = '?';
    item->fault[size] = '\0';
}

static bool is_plain(str_t text, uint32_t max_bytes)
{
    return text.size > 0 && text.size <= max_bytes && utf8_valid(text.data, text.size) &&
           !utf8_has_control(text.data, text.size);
}

/* Whoever can write to the stream may write nonsense: what goes on from here can be stored and
 * printed. */
static void make_storable(webhook_item_t *item)
{
    if (!is_plain(item->psp, NAME_MAX_BYTES))
        item->psp = STR_LITERAL("unknown");
    if (!is_plain(item->source, 16))
        item->source = STR_LITERAL("unknown");
    if (item->request_id.size > 0 && !is_plain(item->request_id, 64))
        item->request_id = (str_t){NULL, 0};
    if (!is_plain(item->event_id, EVENT_ID_MAX_BYTES)) {
        snprintf(item->fallback_event, sizeof item->fallback_event, "stream:%.*s",
                 STR_ARG(item->entry_id));
        item->event_id = str_of(item->fallback_event);
        webhook_item_fault(item, "the entry has no usable event_id");
    }
    if (item->body.data == NULL)
        item->body = STR_LITERAL("");
    if (item->received_at_us < 0)
        item->received_at_us = 0;
    err_detail_t ignored;
    json_t *headers = item->headers.data != NULL ? json_read_object(item->headers, &ignored) : NULL;
    if (headers == NULL)
        item->headers = (str_t){NULL, 0};
    json_decref(headers);
}

static err_t read_status_answer(webhook_item_t *item, const psp_t *psp, err_detail_t *detail)
{
    const psp_payment_t payment = {.payment_id = item->payment_id};
    return psp_status_read(psp, &payment, item->http_status, item->body, &item->report, detail);
}

static err_t read_refund_answer(webhook_item_t *item, const psp_t *psp, err_detail_t *detail)
{
    const psp_refund_t asked = {.refund_id = item->refund_id, .payment_id = item->payment_id};
    return psp_refund_read(psp, &asked, item->http_status, item->body, &item->report, detail);
}

static err_t read_report(webhook_item_t *item, const psp_t *psp, err_detail_t *detail)
{
    if (str_is(item->source, "webhook"))
        return psp_webhook_read(psp, item->body, &item->report, detail);
    if (str_is(item->source, "settlement"))
        return psp_settlement_entry_read(psp, item->body, &item->report, detail);
    if (str_is(item->source, "status_poll"))
        return read_status_answer(item, psp, detail);
    if (str_is(item->source, "refund_call"))
        return read_refund_answer(item, psp, detail);
    return err_set(detail, ERR_MALFORMED_WEBHOOK, "the entry has an unknown source");
}

void webhook_item_read(webhook_item_t *item)
{
    item->malformed = false;
    make_storable(item);
    if (item->malformed)
        return;
    if (item->deliveries > WEBHOOK_DELIVERIES_MAX) {
        item->poison = true;
        webhook_item_fault(item, "delivered too often");
        return;
    }
    const psp_t *psp = psp_find(item->psp);
    if (psp == NULL) {
        webhook_item_fault(item, "the entry names no registered PSP");
        return;
    }
    err_detail_t detail = {{0}};
    if (read_report(item, psp, &detail) != ERR_OK)
        webhook_item_fault(item, detail.text);
    if (item->report.occurred_at_us == 0) /* the PSP did not say when: it is so since now */
        item->report.occurred_at_us = item->received_at_us;
}

const char *webhook_item_kind(const webhook_item_t *item)
{
    if (item->malformed)
        return item->poison ? "poison" : "malformed";
    if (item->report.hint)
        return "hint";
    if (item->report.announced[0])
        return "announcement";
    return psp_fact_kind_name(item->report.kind);
}
