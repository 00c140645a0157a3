/* routing_record.h - a decision as it is kept: what went in, what came out, and the chance in
 * between, so that anybody can see why a payment went where it did, and make the same decision
 * again.
 */
#ifndef TIFFIN_LIB_PAYMENT_ROUTING_RECORD_H
#define TIFFIN_LIB_PAYMENT_ROUTING_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/payment/psp.h"
#include "lib/payment/routing/routing_decision.h"
#include "lib/payment/routing/routing_rules.h"

typedef struct routing_record {
    routing_payment_t payment; /* texts are borrowed */
    str_t rule;                /* the name of the rule that decided; {NULL, 0}: none */
    const psp_t *psps[ROUTING_CANDIDATES_MAX];   /* of input.candidates */
    double latencies_ms[ROUTING_CANDIDATES_MAX]; /* for people: nothing is decided by it */
    routing_input_t input;
    routing_decision_t decision;
} routing_record_t;

/* Seeds that JSON numbers hold exactly. */
#define ROUTING_SEED_MASK ((UINT64_C(1) << 53) - 1)

/* Appends it as one JSON object; numbers are written so that they are read again exactly. */
void routing_record_write(buf_t *json, const routing_record_t *record);

/* What routing_record_write wrote. The texts of `record` are borrowed from *root, which is the
 * caller's (json_decref). ERR_UNPROCESSABLE with what is wrong: it is no such record. */
err_t routing_record_read(str_t json, routing_record_t *record, json_t **root,
                          err_detail_t *detail) MUST_CHECK;

/* Is the decision, made again from the record's input, the same? *again is what it is. */
bool routing_record_repeats(const routing_record_t *record, routing_decision_t *again);

#endif
