/* routing_record.c - see routing_record.h. */
#include "lib/payment/routing/routing_record.h"

#include <math.h>
#include <string.h>

#include "lib/json_read.h"

static const double WHOLE_MAX = 1e15;

/* ---- writing ---- */

/* 17 digits tell every double apart from every other; most are whole, which is much cheaper to
 * write. */
static void add_number(buf_t *json, const char *key, double value)
{
    char text[32];
    if (value >= 0 && value < WHOLE_MAX && value == floor(value)) {
        json_int(json, key, (int64_t)value);
        return;
    }
    const int size = snprintf(text, sizeof text, "%.17g", value);
    json_raw(json, key, text, (size_t)size);
}

static void add_candidate(buf_t *json, const routing_record_t *record, size_t i)
{
    const routing_candidate_t *candidate = &record->input.candidates[i];
    json_open_object(json, NULL);
    json_text(json, "gateway", psp_name(record->psps[i]));
    add_number(json, "score", record->decision.scores[i]);
    add_number(json, "successes", candidate->successes);
    add_number(json, "failures", candidate->failures);
    if (candidate->fee > 0)
        add_number(json, "fee", candidate->fee);
    if (record->latencies_ms[i] > 0)
        json_int(json, "latency_ms", llround(record->latencies_ms[i]));
    if (candidate->listed)
        json_bool(json, "listed", true);
    if (candidate->share > 0)
        json_int(json, "share", candidate->share);
    if (!candidate->admitted)
        json_bool(json, "broken", true);
    if (candidate->probe)
        json_bool(json, "probe", true);
    json_close_object(json);
}

void routing_record_write(buf_t *json, const routing_record_t *record)
{
    const routing_input_t *input = &record->input;
    json_open_object(json, NULL);
    json_text(json, "policy", routing_policy_name(input->policy));
    if (record->rule.size > 0)
        json_str(json, "rule", record->rule);
    json_text(json, "reason", routing_reason_name(record->decision.reason));
    json_open_array(json, "order");
    for (size_t i = 0; i < input->count; i++)
        json_text(json, NULL, psp_name(record->psps[record->decision.order[i]]));
    json_close_array(json);
    json_str(json, "method", record->payment.method);
    json_str(json, "currency", record->payment.currency);
    json_int(json, "amount", record->payment.amount);
    json_int(json, "user_bucket", record->payment.user_bucket);
    add_number(json, "margin", input->margin);
    json_int(json, "seed", (int64_t)input->seed);
    json_open_array(json, "candidates");
    for (size_t i = 0; i < input->count; i++)
        add_candidate(json, record, i);
    json_close_array(json);
    json_close_object(json);
}

/* ---- reading ---- */

static err_t wrong(err_detail_t *detail, const char *what)
{
    return err_set(detail, ERR_UNPROCESSABLE, "not a decision: %s", what);
}

static err_t read_candidate(const json_t *object, routing_record_t *record, size_t i,
                            err_detail_t *detail)
{
    const int64_t share = json_integer_value(json_object_get(object, "share"));
    record->psps[i] = psp_find(json_read_str(object, "gateway"));
    if (record->psps[i] == NULL || !json_is_number(json_object_get(object, "score")))
        return wrong(detail, "a candidate without gateway or score");
    if (share < 0 || share > 100)
        return wrong(detail, "a share that is none");
    record->decision.scores[i] = json_number_value(json_object_get(object, "score"));
    record->latencies_ms[i] = json_number_value(json_object_get(object, "latency_ms"));
    record->input.candidates[i] = (routing_candidate_t){
        .listed = json_is_true(json_object_get(object, "listed")),
        .share = (unsigned)share,
        .successes = json_number_value(json_object_get(object, "successes")),
        .failures = json_number_value(json_object_get(object, "failures")),
        .fee = json_number_value(json_object_get(object, "fee")),
        .admitted = !json_is_true(json_object_get(object, "broken")),
        .probe = json_is_true(json_object_get(object, "probe")),
    };
    return ERR_OK;
}

static err_t read_order(const json_t *order, routing_record_t *record, err_detail_t *detail)
{
    for (size_t place = 0; place < record->input.count; place++) {
        const char *name = json_string_value(json_array_get(order, place));
        size_t i = 0;
        while (i < record->input.count &&
               (name == NULL || strcmp(name, psp_name(record->psps[i])) != 0))
            i++;
        if (i == record->input.count)
            return wrong(detail, "its order is not one of its candidates");
        record->decision.order[place] = i;
    }
    return ERR_OK;
}

static err_t read_reason(const json_t *root, routing_record_t *record, err_detail_t *detail)
{
    const str_t name = json_read_str(root, "reason");
    unsigned reason = 0;
    while (reason < ROUTING_REASON_COUNT &&
           !str_is(name, routing_reason_name((routing_reason_t)reason)))
        reason++;
    if (reason == ROUTING_REASON_COUNT)
        return wrong(detail, "no reason");
    record->decision.reason = (routing_reason_t)reason;
    return ERR_OK;
}

static err_t read_root(const json_t *root, routing_record_t *record, err_detail_t *detail)
{
    const json_t *candidates = json_object_get(root, "candidates");
    routing_input_t *input = &record->input;
    *record = (routing_record_t){
        .payment = {.method = json_read_str(root, "method"),
                    .currency = json_read_str(root, "currency"),
                    .amount = json_integer_value(json_object_get(root, "amount")),
                    .user_bucket =
                        (unsigned)json_integer_value(json_object_get(root, "user_bucket"))},
        .rule = json_read_str(root, "rule"),
        .input = {.policy = routing_policy_parse(json_read_str(root, "policy")),
                  .seed = (uint64_t)json_integer_value(json_object_get(root, "seed")),
                  .margin = json_number_value(json_object_get(root, "margin")),
                  .count = json_array_size(candidates)}};
    if (input->policy == ROUTING_POLICY_COUNT)
        return wrong(detail, "no policy");
    if (input->count < 1 || input->count > ROUTING_CANDIDATES_MAX)
        return wrong(detail, "no candidates, or too many");
    for (size_t i = 0; i < input->count; i++)
        TRY(read_candidate(json_array_get(candidates, i), record, i, detail));
    TRY(read_order(json_object_get(root, "order"), record, detail));
    return read_reason(root, record, detail);
}

err_t routing_record_read(str_t json, routing_record_t *record, json_t **root, err_detail_t *detail)
{
    *root = json_read_object(json, detail);
    if (*root == NULL)
        return ERR_UNPROCESSABLE;
    const err_t err = read_root(*root, record, detail);
    if (err != ERR_OK) {
        json_decref(*root);
        *root = NULL;
    }
    return err;
}

bool routing_record_repeats(const routing_record_t *record, routing_decision_t *again)
{
    routing_decide(&record->input, again);
    for (size_t i = 0; i < record->input.count; i++)
        if (again->order[i] != record->decision.order[i] ||
            again->scores[i] != record->decision.scores[i])
            return false;
    return again->reason == record->decision.reason;
}
