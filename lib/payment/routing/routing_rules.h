/* routing_rules.h - what a merchant says about where payments go: a file of rules, margins and
 * fees.
 *
 *   {"margin_bps": 2000,
 *    "fees": [{"gateway": "Razorpay", "method": "UPI", "bps": 0},
 *             {"gateway": "Razorpay", "bps": 200}, {"gateway": "Stripe", "bps": 290, "fixed":
 * 300}], "rules": [{"name": "small UPI", "method": "UPI", "currency": "INR", "amount": {"from": 1,
 * "to": 50000}, "order": ["Cashfree", "*"]},
 *              {"name": "card trial", "method": "CARD", "user_bucket": {"from": 0, "to": 9},
 *               "split": {"Stripe": 50, "Razorpay": 50}},
 *              {"name": "large", "amount": {"from": 1000000}, "value": ["Juspay", "Razorpay"]}]}
 *
 * The first rule decides whose conditions all hold; one that it does not state holds. Where none
 * does, all PSPs are compared by value. Amounts are minor units, fees hundredths of a percent (bps)
 * and minor units (fixed); of several fees the first that fits. Pure: no I/O, no clock.
 */
#ifndef TIFFIN_LIB_PAYMENT_ROUTING_RULES_H
#define TIFFIN_LIB_PAYMENT_ROUTING_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/payment/psp_accounts.h"
#include "lib/payment/routing/routing_decision.h"

enum {
    ROUTING_RULES_MAX = 100,
    ROUTING_FEES_MAX = 100,
    ROUTING_CURRENCIES_MAX = 16, /* of one rule */
    ROUTING_NAME_SIZE = 65,
    ROUTING_USER_BUCKETS = 100,
};

/* What of a payment the rules ask about. */
typedef struct routing_payment {
    str_t method;   /* "UPI" */
    str_t currency; /* "INR" */
    int64_t amount; /* minor units */
    unsigned user_bucket;
} routing_payment_t;

/* 0 … 99: the same for one user always, and spread evenly: SHA-256 of the user id, its first four
 * bytes as a big-endian number, modulo 100. */
unsigned routing_user_bucket(str_t user_id);

typedef struct routing_rule {
    char name[ROUTING_NAME_SIZE];
    unsigned methods; /* a bit for each of routing_method_index; 0: any */
    char currencies[ROUTING_CURRENCIES_MAX][4];
    size_t currency_count;           /* 0: any */
    int64_t amount_from, amount_to;  /* both included */
    unsigned bucket_from, bucket_to; /* both included */
    routing_policy_t policy;         /* ORDER, SPLIT or VALUE */
    const psp_t *psps[PSP_COUNT];    /* in the rule's order */
    unsigned shares[PSP_COUNT];      /* SPLIT: percent of each, 100 together */
    size_t psp_count;
    bool others; /* "*": every other PSP comes after these */
} routing_rule_t;

typedef struct routing_rules routing_rules_t;

/* NULL, with what is wrong and where, for anything but a document as above: an unknown field,
 * gateway, method or currency, a share that is none, shares that are not 100 together … */
routing_rules_t *routing_rules_read(str_t text, err_detail_t *detail);
void routing_rules_destroy(routing_rules_t **self_p);

/* The rule that decides; NULL: none does. Borrowed. */
const routing_rule_t *routing_rules_match(const routing_rules_t *self,
                                          const routing_payment_t *payment);
/* What a payment that succeeds leaves before the PSP's fee, as a part of its amount. */
double routing_rules_margin(const routing_rules_t *self);
/* What the PSP keeps of it, as a part of its amount. */
double routing_rules_fee(const routing_rules_t *self, const psp_t *psp,
                         const routing_payment_t *payment);
/* Is the PSP named by any rule? */
bool routing_rules_name(const routing_rules_t *self, const psp_t *psp);

/* UPI, CARD, NETBANKING, WALLET: 0 to 3; any other: ROUTING_METHODS. */
enum { ROUTING_METHODS = 4 };
size_t routing_method_index(str_t method);

#endif
