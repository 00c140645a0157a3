/* test_webhook_item.c - one entry of the stream, from bytes to a report. With registry_prototype.c:
 * every PSP speaks the prototype's format. */
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

#define REFUND "01900000-0000-7000-8000-0000000000b1"

enum { FIELDS_MAX = 24 };

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

/* The stored headers are for people: what is signed is the body. */
static void a_webhook_in_the_psps_own_format_is_known_by_its_body(void **state)
{
    (void)state;
    entry_t entry;
    webhook_item_t item;
    const char *const texts[] = {
        "source",
        "webhook",
        "psp",
        "Razorpay",
        "event_id",
        "evt_own",
        "body",
        "{\"event\":\"payment.captured\",\"payload\":{\"payment\":{\"entity\":{\"id\":"
        "\"pay_1\",\"amount\":45000,\"currency\":\"INR\",\"notes\":{\"payment_id\":"
        "\"" PAYMENT "\"}}}},\"created_at\":1}",
        NULL};
    assert_true(webhook_item_from_entry(make_entry(&entry, texts), &item));
    webhook_item_read(&item);
    assert_false(item.malformed);
    assert_string_equal(webhook_item_kind(&item), "captured");
    assert_string_equal(item.report.psp_ref, "pay_1");
    assert_true(str_is(item.event_id, "evt_own"));
}

/* ---- each source ---- */

/* The item of an entry with these further fields, read. */
static webhook_item_t read_entry(const char *source, const char *const *more)
{
    entry_t entry;
    webhook_item_t item;
    const char *texts[FIELDS_MAX] = {"source",   source,  "psp",        "Razorpay",
                                     "event_id", "evt_1", "payment_id", PAYMENT};
    size_t count = 8;
    for (; *more != NULL; more++)
        texts[count++] = *more;
    texts[count] = NULL;
    assert_true(webhook_item_from_entry(make_entry(&entry, texts), &item));
    webhook_item_read(&item);
    return item;
}

static uuid_t uuid_of(const char *text)
{
    uuid_t uuid;
    assert_true(uuid_parse(text, strlen(text), &uuid));
    return uuid;
}

#define FACT(kind, more)                                                                        \
    "{\"event_id\":\"evt_1\",\"order_id\":\"" ORDER "\",\"payment_id\":\"" PAYMENT              \
    "\",\"gateway_txn_id\":\"ref_1\",\"occurred_at\":\"2026-02-21T00:00:00Z\",\"kind\":\"" kind \
    "\"," more "}"

static void a_webhook_says_any_kind_of_fact(void **state)
{
    (void)state;
    webhook_item_t item = read_entry(
        "webhook", (const char *[]){"body", FACT("dispute_opened", "\"amount\":45000"), NULL});
    assert_false(item.malformed);
    assert_string_equal(webhook_item_kind(&item), "dispute_opened");
    item = read_entry(
        "webhook",
        (const char *[]){
            "body", FACT("refund_succeeded", "\"amount\":100,\"refund_id\":\"" REFUND "\""), NULL});
    assert_false(item.malformed);
    assert_string_equal(webhook_item_kind(&item), "refund_succeeded");
    const uuid_t refund_id = uuid_of(REFUND);
    assert_true(uuid_equal(&item.report.refund_id, &refund_id));
}

static void a_settlement_line_says_what_was_kept(void **state)
{
    (void)state;
    const webhook_item_t item =
        read_entry("settlement",
                   (const char *[]){"body", FACT("settled", "\"amount\":45000,\"fee\":900"), NULL});
    assert_false(item.malformed);
    assert_string_equal(webhook_item_kind(&item), "settled");
    assert_int_equal(item.report.fee, 900);
}

static void a_status_answer_is_read_for_the_payment_that_was_asked_about(void **state)
{
    (void)state;
    webhook_item_t item =
        read_entry("status_poll", (const char *[]){"http_status", "200", "body", BODY, NULL});
    assert_false(item.malformed);
    assert_string_equal(webhook_item_kind(&item), "captured");
    const uuid_t payment_id = uuid_of(PAYMENT);
    assert_true(uuid_equal(&item.report.payment_id, &payment_id));
    item = read_entry("status_poll", (const char *[]){"http_status", "503", "body", BODY, NULL});
    assert_true(item.malformed);
}

#define REFUND_ANSWER(status)                                                            \
    "{\"refund_id\":\"" REFUND "\",\"payment_id\":\"" PAYMENT "\",\"order_id\":\"" ORDER \
    "\",\"gateway_txn_id\":\"rfnd_1\",\"status\":\"" status                              \
    "\",\"amount\":100,\"currency\":\"INR\",\"occurred_at\":\"2026-02-21T00:00:00Z\"}"

static void an_answer_to_a_refund_is_read_for_the_refund_that_was_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *http_status, *body, *kind;
    } answers[] = {{"200", REFUND_ANSWER("SUCCESS"), "refund_succeeded"},
                   {"201", REFUND_ANSWER("PENDING"), "refund_requested"},
                   {"200", REFUND_ANSWER("FAILED"), "refund_failed"},
                   {"422", "{\"error\":\"too much\"}", "refund_failed"}};
    const uuid_t refund_id = uuid_of(REFUND), payment_id = uuid_of(PAYMENT);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const webhook_item_t item = read_entry(
            "refund_call", (const char *[]){"refund_id", REFUND, "http_status",
                                            answers[i].http_status, "body", answers[i].body, NULL});
        assert_false(item.malformed);
        assert_string_equal(webhook_item_kind(&item), answers[i].kind);
        assert_true(uuid_equal(&item.refund_id, &refund_id));
        assert_true(uuid_equal(&item.report.refund_id, &refund_id));
        assert_true(uuid_equal(&item.report.payment_id, &payment_id));
    }
    const webhook_item_t unknown =
        read_entry("refund_call", (const char *[]){"refund_id", REFUND, "http_status", "500",
                                                   "body", "oops", NULL});
    assert_true(unknown.malformed);
}

static void headers_are_kept_when_they_are_a_json_object(void **state)
{
    (void)state;
    webhook_item_t item =
        read_entry("webhook", (const char *[]){"headers", "{\"X-Sig\":\"1\"}", "body", BODY, NULL});
    assert_true(str_is(item.headers, "{\"X-Sig\":\"1\"}"));
    assert_false(item.malformed);
    item = read_entry("webhook", (const char *[]){"headers", "[1]", "body", BODY, NULL});
    assert_null(item.headers.data);
    assert_false(item.malformed); /* it only loses what was for people */
}

static void what_was_delivered_too_often_is_not_read(void **state)
{
    (void)state;
    entry_t entry;
    webhook_item_t item;
    const char *const texts[] = {"source", "webhook", "psp",        "Razorpay", "event_id", "evt_1",
                                 "body",   BODY,      "payment_id", PAYMENT,    NULL};
    assert_true(webhook_item_from_entry(make_entry(&entry, texts), &item));
    item.deliveries = WEBHOOK_DELIVERIES_MAX;
    webhook_item_read(&item);
    assert_string_equal(webhook_item_kind(&item), "captured");
    item.deliveries = WEBHOOK_DELIVERIES_MAX + 1;
    webhook_item_read(&item);
    assert_true(item.malformed);
    assert_string_equal(webhook_item_kind(&item), "poison");
    assert_true(str_is(item.event_id, "evt_1"));
}

static void a_fault_is_plain_text_whatever_it_quotes(void **state)
{
    (void)state;
    webhook_item_t item;
    char fault[400];
    memset(&item, 0, sizeof item);
    webhook_item_fault(&item, "what\xc3\xa9\n");
    assert_string_equal(item.fault, "what???");
    memset(fault, 'x', sizeof fault);
    fault[sizeof fault - 1] = '\0';
    webhook_item_fault(&item, fault);
    assert_int_equal(strlen(item.fault), sizeof item.fault - 1);
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
        {"psp", "Razorpay", "event_id", "e", "source", "refund_call", "received_at_us", "-9", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        entry_t entry;
        webhook_item_t item;
        assert_true(webhook_item_from_entry(make_entry(&entry, cases[i]), &item));
        webhook_item_read(&item);
        assert_true(item.malformed);
        assert_string_equal(webhook_item_kind(&item), "malformed");
        assert_true(item.fault[0] != '\0');
        assert_true(item.received_at_us >= 0);
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
    cmocka_unit_test(a_webhook_in_the_psps_own_format_is_known_by_its_body),
    cmocka_unit_test(a_webhook_says_any_kind_of_fact),
    cmocka_unit_test(a_settlement_line_says_what_was_kept),
    cmocka_unit_test(a_status_answer_is_read_for_the_payment_that_was_asked_about),
    cmocka_unit_test(an_answer_to_a_refund_is_read_for_the_refund_that_was_asked_for),
    cmocka_unit_test(headers_are_kept_when_they_are_a_json_object),
    cmocka_unit_test(what_was_delivered_too_often_is_not_read),
    cmocka_unit_test(a_fault_is_plain_text_whatever_it_quotes),
    cmocka_unit_test(an_entry_that_was_deleted_has_only_its_id),
    cmocka_unit_test(nonsense_becomes_a_malformed_item_that_can_be_stored),
    cmocka_unit_test(outcomes_have_the_names_of_the_inbox),
};
TEST_MAIN(tests)
