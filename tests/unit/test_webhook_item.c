/* test_webhook_item.c - one entry of the stream, from bytes to a report. */
#include <stdio.h>
#include <string.h>

#include "services/webhook_processor/webhook_item.h"
#include "tests/support/test_main.h"

#define PAYMENT "01900000-0000-7000-8000-0000000000a1"
#define ORDER "01900000-0000-7000-8000-000000000001"
#define BODY                                                                   \
    "{\"event_id\":\"evt_1\",\"gateway\":\"Razorpay\",\"order_id\":\"" ORDER   \
    "\",\"payment_id\":\"" PAYMENT                                             \
    "\",\"gateway_txn_id\":\"txn_1\",\"status\":\"SUCCESS\",\"amount\":45000," \
    "\"signature\":\"Razorpay:dev-secret\",\"occurred_at\":\"2026-02-21T00:00:00Z\"}"

enum { FIELDS_MAX = 16 };

/* An entry as XREADGROUP gives it, built from "name", "value" pairs that end with NULL. */
typedef struct entry {
    redisReply reply, id, fields, texts[FIELDS_MAX];
    redisReply *pair[2], *elements[FIELDS_MAX];
} entry_t;

static redisReply text_reply(const char *text)
{
    return (redisReply){
        .type = REDIS_REPLY_STRING, .str = (char *)(uintptr_t)text, .len = strlen(text)};
}

static const redisReply *make_entry(entry_t *entry, const char *const *texts)
{
    size_t count = 0;
    for (; texts[count] != NULL; count++) {
        entry->texts[count] = text_reply(texts[count]);
        entry->elements[count] = &entry->texts[count];
    }
    entry->id = text_reply("7-1");
    entry->fields =
        (redisReply){.type = REDIS_REPLY_ARRAY, .elements = count, .element = entry->elements};
    entry->pair[0] = &entry->id;
    entry->pair[1] = &entry->fields;
    entry->reply = (redisReply){.type = REDIS_REPLY_ARRAY, .elements = 2, .element = entry->pair};
    return &entry->reply;
}

static void a_queued_webhook_is_read_by_its_connector(void **state)
{
    (void)state;
    entry_t entry;
    webhook_item_t item;
    const char *const texts[] = {
        "source",         "webhook", "psp",        "Razorpay", "event_id",   "evt_1",
        "received_at_us", "17",      "payment_id", PAYMENT,    "request_id", "",
        "body",           BODY,      NULL};
    assert_true(webhook_item_from_entry(make_entry(&entry, texts), &item));
    webhook_item_read(&item);
    assert_false(item.malformed);
    assert_string_equal(webhook_item_kind(&item), "captured");
    assert_int_equal(item.received_at_us, 17);
    assert_int_equal(item.report.amount, 45000);
    assert_true(uuid_equal(&item.report.payment_id, &item.payment_id));
}

static void an_entry_that_was_deleted_has_only_its_id(void **state)
{
    (void)state;
    entry_t entry;
    webhook_item_t item;
    const char *const none[] = {NULL};
    make_entry(&entry, none);
    entry.fields.type = REDIS_REPLY_NIL;
    assert_false(webhook_item_from_entry(&entry.reply, &item));
    assert_true(str_is(item.entry_id, "7-1"));
}

static void nonsense_becomes_a_malformed_item_that_can_be_stored(void **state)
{
    (void)state;
    static const char *const cases[][9] = {
        {NULL},
        {"psp", "Nobody", "event_id", "e", "source", "webhook", NULL},
        {"psp", "Razorpay", "event_id", "\xff\xfe", "source", "webhook", NULL},
        {"psp", "Razorpay", "event_id", "e", "source", "guess", NULL},
        {"psp", "Razorpay", "event_id", "e", "source", "webhook", "body", "{", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        entry_t entry;
        webhook_item_t item;
        assert_true(webhook_item_from_entry(make_entry(&entry, cases[i]), &item));
        webhook_item_read(&item);
        assert_true(item.malformed);
        assert_string_equal(webhook_item_kind(&item), "malformed");
        assert_true(item.fault[0] != '\0');
        assert_true(item.event_id.size > 0 && utf8_valid(item.event_id.data, item.event_id.size));
    }
}

static void outcomes_have_the_names_of_the_inbox(void **state)
{
    (void)state;
    for (int i = WEBHOOK_APPLIED; i <= WEBHOOK_DEAD; i++)
        assert_int_equal(webhook_outcome_parse(str_of(webhook_outcome_name((webhook_outcome_t)i))),
                         i);
    assert_int_equal(webhook_outcome_parse(str_of("lost")), WEBHOOK_UNDECIDED);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_queued_webhook_is_read_by_its_connector),
    cmocka_unit_test(an_entry_that_was_deleted_has_only_its_id),
    cmocka_unit_test(nonsense_becomes_a_malformed_item_that_can_be_stored),
    cmocka_unit_test(outcomes_have_the_names_of_the_inbox),
};
TEST_MAIN(tests)
