/* routing_rules.c - see routing_rules.h. */
#include "lib/payment/routing/routing_rules.h"

#include <stdlib.h>
#include <string.h>

#include "lib/json_read.h"
#include "lib/payment/money.h"
#include "lib/sha256.h"

enum { MARGIN_MAX_BPS = 10000, FEE_MAX_BPS = 10000, PERCENT = 100 };
static const double BPS = 10000;

typedef struct fee {
    const psp_t *psp;
    unsigned methods; /* as a rule's */
    char currency[4]; /* "": any */
    int64_t bps, fixed;
} fee_t;

struct routing_rules {
    int64_t margin_bps;
    fee_t fees[ROUTING_FEES_MAX];
    size_t fee_count;
    routing_rule_t rules[ROUTING_RULES_MAX];
    size_t rule_count;
};

static const char *const methods[ROUTING_METHODS] = {"UPI", "CARD", "NETBANKING", "WALLET"};

size_t routing_method_index(str_t method)
{
    size_t i = 0;
    while (i < ROUTING_METHODS && !str_is(method, methods[i]))
        i++;
    return i;
}

unsigned routing_user_bucket(str_t user_id)
{
    uint8_t digest[SHA256_SIZE];
    sha256(&user_id, 1, digest);
    const uint32_t number = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 |
                            (uint32_t)digest[2] << 8 | digest[3];
    return number % ROUTING_USER_BUCKETS;
}

/* ---- reading: `where` is what an error names ---- */

static err_t wrong(err_detail_t *detail, const char *where, const char *what)
{
    return err_set(detail, ERR_BAD_CONFIG, "%s: %s", where, what);
}

/* Every member of the object is one of these (NULL-ended). */
static err_t check_members(const json_t *object, const char *const *known, const char *where,
                           err_detail_t *detail)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], key) != 0)
            i++;
        if (known[i] == NULL)
            return err_set(detail, ERR_BAD_CONFIG, "%s: \"%.40s\" is not known here", where, key);
    }
    return ERR_OK;
}

/* A whole number between the two; `fallback` when it is not there. */
static err_t read_int(const json_t *object, const char *key, int64_t least, int64_t most,
                      int64_t fallback, int64_t *value, const char *where, err_detail_t *detail)
{
    const json_t *member = json_object_get(object, key);
    *value = member == NULL ? fallback : json_integer_value(member);
    if (member != NULL && (!json_is_integer(member) || *value < least || *value > most))
        return err_set(detail, ERR_BAD_CONFIG,
                       "%s: \"%s\" must be a whole number from %lld to %lld", where, key,
                       (long long)least, (long long)most);
    return ERR_OK;
}

/* {"from": …, "to": …}, both included, either may be left out. */
static err_t read_range(const json_t *object, const char *key, int64_t least, int64_t most,
                        int64_t *from, int64_t *to, const char *where, err_detail_t *detail)
{
    static const char *const known[] = {"from", "to", NULL};
    const json_t *range = json_object_get(object, key);
    *from = least;
    *to = most;
    if (range == NULL)
        return ERR_OK;
    if (!json_is_object(range))
        return err_set(detail, ERR_BAD_CONFIG, "%s: \"%s\" must be an object of from and to", where,
                       key);
    TRY(check_members(range, known, where, detail));
    TRY(read_int(range, "from", least, most, least, from, where, detail));
    TRY(read_int(range, "to", least, most, most, to, where, detail));
    return *from <= *to
               ? ERR_OK
               : err_set(detail, ERR_BAD_CONFIG, "%s: \"%s\" ends before it begins", where, key);
}

static str_t text_of(const json_t *value)
{
    return json_is_string(value)
               ? (str_t){json_string_value(value), (uint32_t)json_string_length(value)}
               : (str_t){NULL, 0};
}

/* Item i of a member that is a text or a list of texts; false past its end. */
static bool next_text(const json_t *member, size_t i, str_t *text)
{
    if (json_is_array(member) ? i >= json_array_size(member) : i > 0 || member == NULL)
        return false;
    *text = text_of(json_is_array(member) ? json_array_get(member, i) : member);
    return true;
}

static err_t read_methods(const json_t *object, unsigned *bits, const char *where,
                          err_detail_t *detail)
{
    const json_t *member = json_object_get(object, "method");
    str_t text;
    *bits = 0;
    for (size_t i = 0; next_text(member, i, &text); i++) {
        if (routing_method_index(text) == ROUTING_METHODS)
            return wrong(detail, where,
                         "\"method\" must be UPI, CARD, NETBANKING or WALLET, or a "
                         "list of them");
        *bits |= 1u << routing_method_index(text);
    }
    return member != NULL && *bits == 0 ? wrong(detail, where, "\"method\" lists none") : ERR_OK;
}

static err_t read_currency(str_t text, char currency[4], const char *where, err_detail_t *detail)
{
    if (!currency_known(text))
        return wrong(detail, where, "\"currency\" must be an ISO 4217 code or a list of them");
    str_copy(text, currency, 4);
    return ERR_OK;
}

static err_t read_currencies(const json_t *object, routing_rule_t *rule, const char *where,
                             err_detail_t *detail)
{
    const json_t *member = json_object_get(object, "currency");
    str_t text;
    for (size_t i = 0; next_text(member, i, &text); i++) {
        if (i == ROUTING_CURRENCIES_MAX)
            return wrong(detail, where, "\"currency\" lists more than 16");
        TRY(read_currency(text, rule->currencies[i], where, detail));
        rule->currency_count = i + 1;
    }
    return member != NULL && rule->currency_count == 0
               ? wrong(detail, where, "\"currency\" lists none")
               : ERR_OK;
}

static err_t read_psp(str_t name, const psp_t **psp, const char *where, err_detail_t *detail)
{
    *psp = psp_find(name);
    return *psp != NULL ? ERR_OK
                        : err_set(detail, ERR_BAD_CONFIG, "%s: there is no gateway \"%.*s\"", where,
                                  (int)(name.size < 40 ? name.size : 40),
                                  name.data != NULL ? name.data : "");
}

/* ---- rules ---- */

static err_t add_psp(routing_rule_t *rule, str_t name, unsigned share, const char *where,
                     err_detail_t *detail)
{
    const psp_t *psp = NULL;
    TRY(read_psp(name, &psp, where, detail));
    for (size_t i = 0; i < rule->psp_count; i++)
        if (rule->psps[i] == psp)
            return err_set(detail, ERR_BAD_CONFIG, "%s: %s is named twice", where, psp_name(psp));
    rule->shares[rule->psp_count] = share;
    rule->psps[rule->psp_count++] = psp;
    return ERR_OK;
}

static err_t read_list(const json_t *list, routing_rule_t *rule, const char *where,
                       err_detail_t *detail)
{
    const size_t count = json_array_size(list);
    if (!json_is_array(list) || count == 0)
        return wrong(detail, where, "needs a list of gateways");
    for (size_t i = 0; i < count; i++) {
        const str_t name = text_of(json_array_get(list, i));
        if (rule->policy == ROUTING_ORDER && str_is(name, "*") && i == count - 1 && i > 0)
            rule->others = true;
        else
            TRY(add_psp(rule, name, 0, where, detail));
    }
    return ERR_OK;
}

static err_t read_split(const json_t *split, routing_rule_t *rule, const char *where,
                        err_detail_t *detail)
{
    const char *name;
    json_t *share;
    int64_t sum = 0;
    json_object_foreach((json_t *)(uintptr_t)split, name, share)
    {
        int64_t percent = 0;
        TRY(read_int(split, name, 1, PERCENT, 0, &percent, where, detail));
        TRY(add_psp(rule, str_of(name), (unsigned)percent, where, detail));
        sum += percent;
    }
    return sum == PERCENT ? ERR_OK
                          : wrong(detail, where, "\"split\" must be shares that are 100 together");
}

static err_t read_outcome(const json_t *object, routing_rule_t *rule, const char *where,
                          err_detail_t *detail)
{
    const json_t *order = json_object_get(object, "order");
    const json_t *split = json_object_get(object, "split");
    const json_t *value = json_object_get(object, "value");
    if ((order != NULL) + (split != NULL) + (value != NULL) != 1)
        return wrong(detail, where, "needs one of \"order\", \"split\" and \"value\"");
    rule->policy = order != NULL ? ROUTING_ORDER : split != NULL ? ROUTING_SPLIT : ROUTING_VALUE;
    return split != NULL ? read_split(split, rule, where, detail)
                         : read_list(order != NULL ? order : value, rule, where, detail);
}

static err_t read_rule(const json_t *object, size_t index, routing_rule_t *rule,
                       err_detail_t *detail)
{
    static const char *const known[] = {"name",  "method", "currency", "amount", "user_bucket",
                                        "order", "split",  "value",    NULL};
    char where[32];
    int64_t bucket_from = 0, bucket_to = 0;
    snprintf(where, sizeof where, "rule %zu", index + 1);
    if (!json_is_object(object))
        return wrong(detail, where, "must be an object");
    TRY(check_members(object, known, where, detail));
    const json_t *name = json_object_get(object, "name");
    if (name != NULL && (!json_is_string(name) || json_string_length(name) == 0 ||
                         json_string_length(name) >= ROUTING_NAME_SIZE))
        return wrong(detail, where, "\"name\" must be a text of 1 to 64 bytes");
    str_copy(name != NULL ? text_of(name) : str_of(where), rule->name, sizeof rule->name);
    TRY(read_methods(object, &rule->methods, where, detail));
    TRY(read_currencies(object, rule, where, detail));
    TRY(read_range(object, "amount", 1, AMOUNT_MAX, &rule->amount_from, &rule->amount_to, where,
                   detail));
    TRY(read_range(object, "user_bucket", 0, ROUTING_USER_BUCKETS - 1, &bucket_from, &bucket_to,
                   where, detail));
    rule->bucket_from = (unsigned)bucket_from;
    rule->bucket_to = (unsigned)bucket_to;
    return read_outcome(object, rule, where, detail);
}

/* ---- fees ---- */

static err_t read_fee(const json_t *object, size_t index, fee_t *fee, err_detail_t *detail)
{
    static const char *const known[] = {"gateway", "method", "currency", "bps", "fixed", NULL};
    char where[32];
    snprintf(where, sizeof where, "fee %zu", index + 1);
    if (!json_is_object(object))
        return wrong(detail, where, "must be an object");
    TRY(check_members(object, known, where, detail));
    TRY(read_psp(json_read_str(object, "gateway"), &fee->psp, where, detail));
    TRY(read_methods(object, &fee->methods, where, detail));
    const json_t *currency = json_object_get(object, "currency");
    if (currency != NULL)
        TRY(read_currency(text_of(currency), fee->currency, where, detail));
    TRY(read_int(object, "bps", 0, FEE_MAX_BPS, 0, &fee->bps, where, detail));
    return read_int(object, "fixed", 0, AMOUNT_MAX, 0, &fee->fixed, where, detail);
}

/* ---- the document ---- */

/* A list of at most that many; NULL when it is not there. */
static err_t check_list(const json_t *list, size_t most, const char *where, err_detail_t *detail)
{
    if (list != NULL && (!json_is_array(list) || json_array_size(list) > most))
        return err_set(detail, ERR_BAD_CONFIG, "\"%s\" must be a list of at most %zu", where, most);
    return ERR_OK;
}

static err_t read_document(const json_t *root, routing_rules_t *self, err_detail_t *detail)
{
    static const char *const known[] = {"margin_bps", "fees", "rules", NULL};
    const json_t *fees = json_object_get(root, "fees");
    const json_t *rules = json_object_get(root, "rules");
    TRY(check_members(root, known, "the document", detail));
    TRY(read_int(root, "margin_bps", 1, MARGIN_MAX_BPS, MARGIN_MAX_BPS, &self->margin_bps,
                 "the document", detail));
    TRY(check_list(fees, ROUTING_FEES_MAX, "fees", detail));
    TRY(check_list(rules, ROUTING_RULES_MAX, "rules", detail));
    for (; self->fee_count < json_array_size(fees); self->fee_count++)
        TRY(read_fee(json_array_get(fees, self->fee_count), self->fee_count,
                     &self->fees[self->fee_count], detail));
    for (; self->rule_count < json_array_size(rules); self->rule_count++)
        TRY(read_rule(json_array_get(rules, self->rule_count), self->rule_count,
                      &self->rules[self->rule_count], detail));
    return ERR_OK;
}

routing_rules_t *routing_rules_read(str_t text, err_detail_t *detail)
{
    json_t *root = json_read_object(text, detail);
    if (root == NULL)
        return NULL;
    routing_rules_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    if (read_document(root, self, detail) != ERR_OK)
        routing_rules_destroy(&self);
    json_decref(root);
    return self;
}

void routing_rules_destroy(routing_rules_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

/* ---- asking ---- */

static bool takes_method(unsigned bits, str_t method)
{
    const size_t index = routing_method_index(method);
    return bits == 0 || (index < ROUTING_METHODS && (bits >> index & 1) != 0);
}

static bool takes_currency(const routing_rule_t *rule, str_t currency)
{
    for (size_t i = 0; i < rule->currency_count; i++)
        if (str_is(currency, rule->currencies[i]))
            return true;
    return rule->currency_count == 0;
}

const routing_rule_t *routing_rules_match(const routing_rules_t *self,
                                          const routing_payment_t *payment)
{
    for (size_t i = 0; i < self->rule_count; i++) {
        const routing_rule_t *rule = &self->rules[i];
        if (takes_method(rule->methods, payment->method) &&
            takes_currency(rule, payment->currency) && payment->amount >= rule->amount_from &&
            payment->amount <= rule->amount_to && payment->user_bucket >= rule->bucket_from &&
            payment->user_bucket <= rule->bucket_to)
            return rule;
    }
    return NULL;
}

double routing_rules_margin(const routing_rules_t *self)
{
    return (double)self->margin_bps / BPS;
}

double routing_rules_fee(const routing_rules_t *self, const psp_t *psp,
                         const routing_payment_t *payment)
{
    for (size_t i = 0; i < self->fee_count; i++) {
        const fee_t *fee = &self->fees[i];
        if (fee->psp == psp && takes_method(fee->methods, payment->method) &&
            (fee->currency[0] == '\0' || str_is(payment->currency, fee->currency)))
            return (double)fee->bps / BPS +
                   (payment->amount > 0 ? (double)fee->fixed / (double)payment->amount : 0);
    }
    return 0;
}

bool routing_rules_name(const routing_rules_t *self, const psp_t *psp)
{
    for (size_t i = 0; i < self->rule_count; i++)
        for (size_t j = 0; j < self->rules[i].psp_count; j++)
            if (self->rules[i].psps[j] == psp)
                return true;
    return false;
}
