/* fuzz_routing.c - a file of rules, a kept decision, a message of another router: whatever is in
 * them they are refused with words or hold what they should; rules decide about every payment, and
 * a decision that was read is written and read again the same. */
#include <stdlib.h>
#include <string.h>

#include "lib/payment/routing/routing_record.h"
#include "services/router/health_exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_rules(str_t text)
{
    err_detail_t detail = {{0}};
    routing_rules_t *rules = routing_rules_read(text, &detail);
    CHECK(rules != NULL || detail.text[0] != '\0');
    if (rules == NULL)
        return;
    for (unsigned bucket = 0; bucket < ROUTING_USER_BUCKETS; bucket++) {
        const routing_payment_t payment = {.method = STR_LITERAL("UPI"),
                                           .currency = STR_LITERAL("INR"),
                                           .amount = 1 + (int64_t)bucket * 500,
                                           .user_bucket = bucket};
        const routing_rule_t *rule = routing_rules_match(rules, &payment);
        CHECK(rule == NULL || (rule->psp_count > 0 && rule->name[0] != '\0'));
        for (size_t i = 0; i < psp_count(); i++)
            CHECK(routing_rules_fee(rules, psp_at(i), &payment) >= 0);
    }
    CHECK(routing_rules_margin(rules) > 0 && routing_rules_margin(rules) <= 1);
    routing_rules_destroy(&rules);
}

static void read_record(str_t text)
{
    routing_record_t record, second;
    routing_decision_t again;
    json_t *root = NULL, *second_root = NULL;
    err_detail_t detail = {{0}};
    if (routing_record_read(text, &record, &root, &detail) != ERR_OK) {
        CHECK(root == NULL && detail.text[0] != '\0');
        return;
    }
    const bool repeats = routing_record_repeats(&record, &again);
    buf_t json = {0};
    routing_record_write(&json, &record);
    if (record.input.seed <= ROUTING_SEED_MASK &&
        routing_record_read((str_t){json.data, (uint32_t)json.size}, &second, &second_root,
                            &detail) == ERR_OK)
        CHECK(routing_record_repeats(&second, &again) == repeats);
    json_decref(second_root);
    buf_free(&json);
    json_decref(root);
}

static void read_news(str_t text)
{
    health_news_t news, second;
    if (!health_news_read(text, "router-1", &news))
        return;
    CHECK(news.psp != NULL && news.method[0] != '\0' && strlen(news.currency) <= 3);
    buf_t json = {0};
    health_news_write(&json, &news, "router-2");
    if (utf8_valid(news.method, strlen(news.method)) && strlen(news.currency) == 3) {
        CHECK(health_news_read((str_t){json.data, (uint32_t)json.size}, "router-1", &second));
        CHECK(second.psp == news.psp && second.probe == news.probe && second.fault == news.fault &&
              second.took_ms == news.took_ms);
    }
    CHECK(!health_news_read((str_t){json.data, (uint32_t)json.size}, "router-2", &second));
    buf_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const str_t text = {(const char *)data, (uint32_t)size};
    read_rules(text);
    read_record(text);
    read_news(text);
    return 0;
}
