/* webhook_item.c - see webhook_item.h. */
#include "services/webhook_processor/webhook_item.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        else if (str_is(name, "request_id"))
            item->request_id = value;
        else if (str_is(name, "traceparent"))
            item->traceparent = value;
        else if (str_is(name, "received_at_us"))
            item->received_at_us = number_of(value);
        else if (str_is(name, "http_status"))
            item->http_status = (int32_t)number_of(value);
        else if (str_is(name, "payment_id") &&
                 !uuid_parse(value.data, value.size, &item->payment_id))
            memset(&item->payment_id, 0, sizeof item->payment_id);
    }
    return true;
}

void webhook_item_fault(webhook_item_t *item, const char *fault)
{
    item->malformed = true;
    snprintf(item->fault, sizeof item->fault, "%s", fault);
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
}

void webhook_item_read(webhook_item_t *item)
{
    item->malformed = false;
    make_storable(item);
    if (item->malformed)
        return;
    const psp_t *psp = psp_find(item->psp);
    if (psp == NULL) {
        webhook_item_fault(item, "the entry names no registered PSP");
        return;
    }
    err_detail_t detail = {{0}};
    err_t err;
    if (str_is(item->source, "webhook"))
        err = psp_webhook_read(psp, item->body, &item->report, &detail);
    else if (str_is(item->source, "status_poll"))
        err = psp_status_read(psp, &item->payment_id, item->http_status, item->body, &item->report,
                              &detail);
    else
        err = err_set(&detail, ERR_MALFORMED_WEBHOOK, "the entry has an unknown source");
    if (err != ERR_OK)
        webhook_item_fault(item, detail.text);
}

const char *webhook_item_kind(const webhook_item_t *item)
{
    if (item->malformed)
        return "malformed";
    return item->report.kind == PSP_FACT_NONE ? "none" : psp_fact_kind_name(item->report.kind);
}
