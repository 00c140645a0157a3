/* tap_filter.c - see tap_filter.h. */
#include "services/tap/tap_filter.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static bool glob_matches(const char *pattern, const char *name)
{
    return fnmatch(pattern, name, 0) == 0;
}

/* ---- filter ---- */

static bool pattern_matches(const tap_options_t *options, const tap_message_t *message)
{
    for (size_t i = 0; i < options->pattern_count; i++)
        if (glob_matches(options->patterns[i], message->topic) ||
            glob_matches(options->patterns[i], tap_message_name(message)))
            return true;
    return options->pattern_count == 0;
}

/* Is `id` the whole traceparent or one of its parts? */
static bool traceparent_holds(str_t traceparent, const char *id)
{
    if (str_is(traceparent, id))
        return true;
    uint32_t start = 0;
    for (uint32_t i = 0; i <= traceparent.size; i++) {
        if (i < traceparent.size && traceparent.data[i] != '-')
            continue;
        if (i > start && str_is((str_t){traceparent.data + start, i - start}, id))
            return true;
        start = i + 1;
    }
    return false;
}

static bool trace_matches(const tap_options_t *options, const tap_message_t *message)
{
    uuid_t request_id;
    if (options->trace == NULL)
        return true;
    if (uuid_parse(options->trace, strlen(options->trace), &request_id) &&
        uuid_equal(&request_id, &message->record.request_id))
        return true;
    return traceparent_holds(message->record.traceparent, options->trace);
}

/* What is known about the message, under the names that --json gives it. */
static bool envelope_text(const tap_message_t *message, const char *field, buf_t *text)
{
    if (strcmp(field, "topic") == 0)
        buf_add_text(text, message->topic);
    else if (strcmp(field, "message") == 0)
        buf_add_text(text, tap_message_name(message));
    else if (strcmp(field, "status") != 0)
        return message_field_text(MSG_tap_record, &message->record, field, text);
    else if (tap_message_is(message, "REPLY"))
        buf_add_text(text, err_name(err_from_number((uint32_t)message->record.status)));
    else
        return false;
    return true;
}

static bool where_holds(const tap_where_t *where, const tap_message_t *message)
{
    buf_t text = {0};
    bool found = message->schema != NULL && !message->broken &&
                 message_field_text(message->schema->id, message->body.bytes, where->field, &text);
    if (!found)
        found = envelope_text(message, where->field, &text);
    bool same = found && str_equal((str_t){text.data, (uint32_t)text.size}, str_of(where->value));
    buf_free(&text);
    return same;
}

static bool wheres_hold(const tap_options_t *options, const tap_message_t *message)
{
    for (size_t i = 0; i < options->where_count; i++)
        if (!where_holds(&options->wheres[i], message))
            return false;
    return true;
}

static bool is_remembered(const tap_filter_t *filter, const tap_message_t *message)
{
    for (size_t i = 0; i < filter->remembered_count; i++)
        if (uuid_equal(&filter->remembered[i].request_id, &message->record.request_id) &&
            strcmp(filter->remembered[i].topic, message->topic) == 0)
            return true;
    return false;
}

static void remember(tap_filter_t *filter, const tap_message_t *message)
{
    if (uuid_is_nil(&message->record.request_id) || is_remembered(filter, message))
        return;
    size_t slot = filter->remembered_next;
    filter->remembered[slot].request_id = message->record.request_id;
    memcpy(filter->remembered[slot].topic, message->topic, TAP_TOPIC_SIZE);
    filter->remembered_next = (slot + 1) % TAP_REMEMBERED_MAX;
    if (filter->remembered_count < TAP_REMEMBERED_MAX)
        filter->remembered_count++;
}

static bool where_matches(tap_filter_t *filter, const tap_message_t *message)
{
    if (filter->options->where_count == 0)
        return true;
    bool holds = wheres_hold(filter->options, message);
    if (holds && tap_message_is(message, "REQUEST"))
        remember(filter, message);
    return holds || (tap_message_is(message, "REPLY") && is_remembered(filter, message));
}

void tap_filter_init(tap_filter_t *filter, const tap_options_t *options)
{
    memset(filter, 0, sizeof *filter);
    filter->options = options;
}

bool tap_filter_accept(tap_filter_t *filter, const tap_message_t *message)
{
    const tap_options_t *options = filter->options;
    /* Before the pattern: that of a reply ('order.created') does not match its request. */
    if (!where_matches(filter, message))
        return false;
    if (!pattern_matches(options, message) || !trace_matches(options, message))
        return false;
    if (options->errors && !tap_message_failed(message))
        return false;
    return options->slow_us < 0 ||
           (tap_message_is(message, "REPLY") && message->record.took_us >= options->slow_us);
}

/* ---- subscriptions ---- */

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void subscribe(tap_subscriptions_t *subscriptions, const char *prefix)
{
    size_t kept = 0;
    for (size_t i = 0; i < subscriptions->count; i++)
        if (has_prefix(prefix, subscriptions->prefixes[i]))
            return;
    for (size_t i = 0; i < subscriptions->count; i++)
        if (!has_prefix(subscriptions->prefixes[i], prefix))
            memmove(subscriptions->prefixes[kept++], subscriptions->prefixes[i], TAP_TOPIC_SIZE);
    CHECK(kept < TAP_SUBSCRIPTIONS_MAX); /* patterns and messages are fewer */
    snprintf(subscriptions->prefixes[kept], TAP_TOPIC_SIZE, "%s", prefix);
    subscriptions->count = kept + 1;
}

/* A reply is published under its request's topic: a pattern that names replies needs those. */
static void subscribe_for_replies(tap_subscriptions_t *subscriptions, const char *pattern)
{
    size_t count;
    const message_schema_t *schemas = message_schemas(&count);
    bool any = glob_matches(pattern, message_by_id(MSG_bus_error)->name);
    for (size_t i = 0; i < count; i++) {
        const message_schema_t *reply = message_by_id(schemas[i].reply_id);
        if (reply != NULL && (any || glob_matches(pattern, reply->name)))
            subscribe(subscriptions, schemas[i].name);
    }
}

void tap_subscriptions_of(const tap_options_t *options, tap_subscriptions_t *subscriptions)
{
    subscriptions->count = 0;
    if (options->pattern_count == 0)
        subscribe(subscriptions, "");
    for (size_t i = 0; i < options->pattern_count; i++) {
        char prefix[TAP_TOPIC_SIZE];
        size_t literal = strcspn(options->patterns[i], "*?[\\");
        snprintf(prefix, sizeof prefix, "%.*s", (int)literal, options->patterns[i]);
        subscribe(subscriptions, prefix);
        subscribe_for_replies(subscriptions, options->patterns[i]);
    }
}

/* ---- gaps ---- */

int64_t tap_gaps_before(tap_gaps_t *gaps, str_t gateway, int64_t seq)
{
    size_t slot = 0;
    while (slot < gaps->count && !str_is(gateway, gaps->gateways[slot].gateway))
        slot++;
    if (slot == gaps->count) {
        if (slot == BUS_GATEWAYS_MAX) /* gateways came and went: begin anew */
            slot = gaps->count = 0;
        str_copy(gateway, gaps->gateways[slot].gateway, sizeof gaps->gateways[slot].gateway);
        gaps->gateways[slot].seq = seq;
        gaps->count++;
        return 0;
    }
    int64_t last = gaps->gateways[slot].seq;
    gaps->gateways[slot].seq = seq;
    return last >= 0 && seq > last ? seq - last - 1 : 0;
}
