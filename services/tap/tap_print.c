/* tap_print.c - see tap_print.h.
 *
 * Columns: local time, seconds since the line before, direction (→ request, ← reply, • event),
 * topic, how long a reply took; then what went wrong, the fields, and who answered.
 */
#include "services/tap/tap_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TOPIC_COLUMN = 25 }; /* the longest topic there is */

#define COLOR_DIM "\x1b[2m"
#define COLOR_RED "\x1b[31m"
#define COLOR_GREEN "\x1b[32m"
#define COLOR_YELLOW "\x1b[33m"
#define COLOR_CYAN "\x1b[36m"
#define COLOR_OFF "\x1b[0m"

static const char *paint(bool color, const char *code)
{
    return color ? code : "";
}

/* Names are printable ASCII; whatever else a peer put there is shown as "?". */
static void add_name(buf_t *line, str_t name)
{
    for (uint32_t i = 0; i < name.size; i++) {
        bool printable = name.data[i] > ' ' && name.data[i] <= '~';
        buf_add(line, printable ? &name.data[i] : "?", 1);
    }
}

static void add_local_time(buf_t *line, int64_t wall_us)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm local;
    char text[16];
    if (wall_us < 0 || localtime_r(&seconds, &local) == NULL ||
        strftime(text, sizeof text, "%H:%M:%S", &local) == 0) {
        buf_add_text(line, "--:--:--.---");
        return;
    }
    buf_printf(line, "%s.%03d", text, (int)(wall_us / 1000 % 1000));
}

/* Gateways have clocks of their own, so this may be below zero. */
static void add_delta(buf_t *line, int64_t at_us, int64_t previous_us)
{
    char text[32] = "";
    if (previous_us != 0)
        snprintf(text, sizeof text, "%+.3f", ((double)at_us - (double)previous_us) / 1e6);
    buf_printf(line, "%9s", text);
}

static void add_took(buf_t *line, const tap_message_t *message)
{
    char text[32] = "";
    double took_ms = (double)message->record.took_us / 1e3;
    if (tap_message_is(message, "REPLY"))
        snprintf(text, sizeof text, took_ms < 100 ? "%.1fms" : "%.0fms", took_ms);
    buf_printf(line, "%8s", text);
}

static const char *kind_arrow(const tap_message_t *message)
{
    if (tap_message_is(message, "REQUEST"))
        return "→";
    if (tap_message_is(message, "REPLY"))
        return "←";
    return tap_message_is(message, "EVENT") ? "•" : "?";
}

static const char *kind_color(const tap_message_t *message)
{
    if (message->broken || tap_message_failed(message))
        return COLOR_RED;
    if (tap_message_is(message, "REQUEST"))
        return COLOR_CYAN;
    return tap_message_is(message, "REPLY") ? COLOR_GREEN : COLOR_YELLOW;
}

static const char *status_name(const tap_message_t *message)
{
    return err_name(err_from_number((uint32_t)message->record.status));
}

static void add_body(buf_t *line, const tap_message_t *message)
{
    if (message->broken) {
        buf_add_text(line, " BROKEN ");
        for (const char *c = message->reason.text; *c != '\0'; c++)
            buf_add(line, (uint8_t)*c < ' ' || *c == 0x7f ? "?" : c, 1);
        return;
    }
    if (tap_message_failed(message))
        buf_printf(line, " %s", status_name(message));
    if (message->record.attempt > 1)
        buf_printf(line, " attempt=%" PRId64, message->record.attempt);
    if (message->schema != NULL) {
        buf_add_text(line, " ");
        message_print(message->schema->id, message->body.bytes, line);
    }
}

void tap_print_human(const tap_message_t *message, int64_t previous_us, bool color, buf_t *line)
{
    buf_add_text(line, paint(color, COLOR_DIM));
    add_local_time(line, message->record.at_us);
    add_delta(line, message->record.at_us, previous_us);
    buf_printf(line, "%s %s%s %-*s%s", paint(color, COLOR_OFF), paint(color, kind_color(message)),
               kind_arrow(message), TOPIC_COLUMN, message->topic, paint(color, COLOR_OFF));
    add_took(line, message);
    add_body(line, message);
    if (message->record.instance.size > 0) {
        buf_printf(line, " %s@", paint(color, COLOR_DIM));
        add_name(line, message->record.instance);
        buf_add_text(line, paint(color, COLOR_OFF));
    }
    buf_add_text(line, "\n");
}

static void add_json_record(buf_t *line, const tap_message_t *message)
{
    const tap_record_t *record = &message->record;
    json_time(line, "at", record->at_us);
    json_str(line, "gateway", record->gateway);
    json_text(line, "topic", message->topic);
    json_str(line, "kind", record->kind);
    json_text(line, "message", tap_message_name(message));
    if (record->instance.size > 0)
        json_str(line, "instance", record->instance);
    if (!uuid_is_nil(&record->request_id))
        json_uuid(line, "request_id", &record->request_id);
    if (record->traceparent.size > 0)
        json_str(line, "traceparent", record->traceparent);
    if (record->attempt > 1)
        json_int(line, "attempt", record->attempt);
    if (tap_message_is(message, "REPLY")) {
        json_text(line, "status", status_name(message));
        json_int(line, "took_us", record->took_us);
    }
}

void tap_print_json(const tap_message_t *message, buf_t *line)
{
    json_open_object(line, NULL);
    add_json_record(line, message);
    if (message->broken)
        json_text(line, "broken", message->reason.text);
    else if (message->schema != NULL)
        message_print_json(message->schema->id, message->body.bytes, line, "body");
    json_close_object(line);
    buf_add_text(line, "\n");
}

void tap_print_lost(str_t gateway, int64_t lost, bool json, bool color, buf_t *line)
{
    if (json) {
        json_open_object(line, NULL);
        json_str(line, "gateway", gateway);
        json_int(line, "lost", lost);
        json_close_object(line);
        buf_add_text(line, "\n");
        return;
    }
    buf_printf(line, "%s-- %" PRId64 " lost --%s\n", paint(color, COLOR_YELLOW), lost,
               paint(color, COLOR_OFF));
}
