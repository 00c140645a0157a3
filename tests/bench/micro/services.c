/* services.c - behind the edge: the hub, decisions, statements, the webhook queue, ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/hub.h"
#include "lib/payment/psp.h"
#include "lib/pg.h"
#include "proto/messages.h"
#include "services/router/router_choice.h"
#include "services/webhook_processor/webhook_item.h"
#include "tests/bench/micro/micro.h"

enum { ORDERS_IN_BATCH = 64 };

/* ---- the hub ---- */

static hub_t *hub;
static uint64_t sent_correlation;

static bool on_send(void *self, uint32_t peer, const bus_header_t *header, const uint8_t *body,
                    size_t body_size)
{
    (void)self;
    (void)peer;
    (void)body;
    (void)body_size;
    if (header->kind == BUS_REQUEST)
        sent_correlation = header->correlation;
    return true;
}

static void on_answer(void *self, const hub_request_t *request, err_t status, const char *instance,
                      int64_t took_ms, uint32_t message, const uint8_t *body, size_t body_size)
{
    (void)self;
    (void)request;
    (void)instance;
    (void)took_ms;
    (void)message;
    (void)body;
    (void)body_size;
    CHECK(status == ERR_OK);
}

static void on_event(void *self, uint32_t peer, const bus_header_t *header, const uint8_t *body,
                     size_t body_size)
{
    (void)self;
    (void)peer;
    (void)header;
    (void)body;
    (void)body_size;
}

static void on_worker(void *self, uint32_t peer, const char *service, const char *instance,
                      bool present, const char *reason)
{
    (void)self;
    (void)peer;
    (void)service;
    (void)instance;
    (void)present;
    (void)reason;
}

static void prepare_hub(void)
{
    static const hub_sink_t sink = {on_send, on_answer, on_event, on_worker};
    hub = hub_new(&(hub_config_t){.sink = &sink});
    for (uint32_t peer = 1; peer <= 3; peer++) {
        bus_header_t ready = {
            .version = BUS_VERSION, .kind = BUS_READY, .service = "order", .credit = 256};
        snprintf(ready.instance, sizeof ready.instance, "order-%u", peer);
        hub_frame(hub, 0, peer, &ready, NULL, 0);
    }
}

static void pass_request(void)
{
    static const uint8_t body[100];
    const hub_request_t request = {.service = "order",
                                   .message = MSG_order_create,
                                   .retry = HUB_RETRY_SAFE,
                                   .budget_ms = 5000,
                                   .request_id = micro_id,
                                   .traceparent = "",
                                   .body = body,
                                   .body_size = sizeof body};
    hub_request(hub, 0, &request);
    const bus_header_t reply = {.version = BUS_VERSION,
                                .kind = BUS_REPLY,
                                .message = MSG_order_created,
                                .correlation = sent_correlation,
                                .request_id = micro_id};
    /* Whoever it went to: a reply from another instance is dropped, its own is taken. */
    for (uint32_t peer = 1; peer <= 3; peer++)
        hub_frame(hub, 0, peer, &reply, NULL, 0);
}

/* ---- decisions, statements, ids ---- */

static router_psps_t psps;
static router_choice_t *by_list, *by_value;
static buf_t decision;

static router_choice_t *choice_with(const char *rules)
{
    char path[] = "/tmp/tiffin-rules-XXXXXX";
    const int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, rules, strlen(rules)) == (ssize_t)strlen(rules));
    close(fd);
    router_choice_t *choice = router_choice_new(&psps, path);
    unlink(path);
    return choice;
}

static void prepare_choices(void)
{
    if (by_list != NULL)
        return;
    for (size_t i = 0; i < psp_count(); i++) {
        psps.unasked[psps.count] = true;
        psps.of[psps.count++] = psp_at(i);
    }
    by_list = router_choice_new(&psps, NULL);
    by_value = choice_with("{\"margin_bps\":2000,\"fees\":[{\"gateway\":\"Stripe\",\"bps\":290}]}");
}

static void choose(router_choice_t *choice)
{
    static const router_choice_of_t of = {.method = {"CARD", 4},
                                          .currency = {"INR", 3},
                                          .user_id = {"u1", 2},
                                          .amount = 45000,
                                          .requested_psp = "",
                                          .tried_psps = ""};
    buf_clear(&decision);
    router_health_begin_batch(router_choice_health(choice));
    CHECK(router_choice_next(choice, &of, &decision) != NULL);
}

static void choose_by_list(void)
{
    choose(by_list);
}

static void choose_by_value(void)
{
    choose(by_value);
}

static pg_params_t params;

static void build_arrays(void)
{
    pg_params_reset(&params);
    const int ids = pg_array_begin(&params, PG_ARRAY_UUID);
    const int users = pg_array_begin(&params, PG_ARRAY_TEXT);
    const int amounts = pg_array_begin(&params, PG_ARRAY_INT8);
    for (int i = 0; i < ORDERS_IN_BATCH; i++) {
        pg_array_add_uuid(&params, ids, &micro_id);
        pg_array_add_text(&params, users, STR_LITERAL("u1"));
        pg_array_add_int8(&params, amounts, 45000);
    }
}

static void make_id(void)
{
    char text[UUID_TEXT_SIZE];
    uuid_t made = uuid7_new(), parsed;
    CHECK(uuid_parse(uuid_format(&made, text), UUID_TEXT_SIZE - 1, &parsed));
}

/* ---- the webhook queue ---- */

enum { FIELDS_AT = 3 };

/* As the gateway appends a webhook. */
static const char *append[] = {"XADD",
                               "stream:webhooks",
                               "*",
                               "source",
                               "webhook",
                               "psp",
                               "Razorpay",
                               "event_id",
                               "evt_1",
                               "payment_id",
                               "018f3a5c-2144-7a10-9b02-030405060709",
                               "received_at_us",
                               "1760000000123456",
                               "request_id",
                               "018f3a5c-2144-7a10-9b02-030405060708",
                               "headers",
                               "{\"content-type\":\"application/json\"}",
                               "body",
                               micro_prototype_body};
enum { ARGUMENTS = sizeof append / sizeof *append };

static size_t append_sizes[ARGUMENTS];

static void prepare_append(void)
{
    for (int i = 0; i < ARGUMENTS; i++)
        append_sizes[i] = strlen(append[i]);
}

static void format_append(void)
{
    char *command = NULL;
    CHECK(redisFormatSdsCommandArgv(&command, ARGUMENTS, append, append_sizes) > 0);
    redisFreeSdsCommand(command);
}

static redisReader *reader;
static char entry[2048];
static size_t entry_size;

/* As Redis gives it back: an array of its id and the array of its fields. */
static void prepare_entry(void)
{
    char *fields = NULL;
    const long long size =
        redisFormatCommandArgv(&fields, ARGUMENTS - FIELDS_AT, append + FIELDS_AT, NULL);
    CHECK(size > 0);
    entry_size = (size_t)snprintf(entry, sizeof entry, "*2\r\n$15\r\n1760000000123-0\r\n%.*s",
                                  (int)size, fields);
    CHECK(entry_size < sizeof entry);
    redisFreeCommand(fields);
    reader = redisReaderCreate();
    CHECK(reader != NULL);
}

static void read_entry(void)
{
    void *reply = NULL;
    webhook_item_t item;
    CHECK(redisReaderFeed(reader, entry, entry_size) == REDIS_OK);
    CHECK(redisReaderGetReply(reader, &reply) == REDIS_OK && reply != NULL);
    CHECK(webhook_item_from_entry(reply, &item));
    webhook_item_read(&item);
    CHECK(!item.malformed);
    freeReplyObject(reply);
}

const micro_t micro_services[] = {{"hub: request and reply", pass_request, prepare_hub},
                                  {"router: decide by list", choose_by_list, prepare_choices},
                                  {"router: decide by value", choose_by_value, prepare_choices},
                                  {"arrays of 64 orders", build_arrays, NULL},
                                  {"make, format and parse an id", make_id, NULL},
                                  {"format the XADD of a webhook", format_append, prepare_append},
                                  {"read a webhook's stream entry", read_entry, prepare_entry},
                                  {NULL, NULL, NULL}};
