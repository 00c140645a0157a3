/* sim_bank_journal.c - the bank's changes as lines of its journal, and back.
 *
 * Every line names the checkout that it is about: psp, payment_id, attempt_id. A line that does not
 * follow from those before it makes no sense, and the bank does not open.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/json_read.h"
#include "services/psp_sim/sim_bank_state.h"

/* ---- writing ---- */

static void write_head(buf_t *line, const char *what, const sim_checkout_t *checkout)
{
    json_open_object(line, NULL);
    json_text(line, "what", what);
    json_text(line, "psp", psp_name(checkout->psp));
    json_uuid(line, "payment_id", &checkout->payment_id);
    json_uuid(line, "attempt_id", &checkout->attempt_id);
}

/* 64 bits do not fit the integers of JSON: hexadecimal. */
static void write_serial(buf_t *line, const char *key, uint64_t serial)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, serial);
    json_text(line, key, text);
}

static void write_notes(buf_t *line, const char *key, const char *notes)
{
    if (notes)
        json_text(line, key, notes);
}

/* Ends the line, and takes it. */
static err_t append(sim_bank_t *self, buf_t *line)
{
    json_close_object(line);
    err_t err = self->journal ? sim_journal_append(self->journal, line) : ERR_OK;
    buf_free(line);
    return err;
}

err_t sim_bank_write_checkout(sim_bank_t *self, const sim_checkout_record_t *record)
{
    const sim_checkout_t *checkout = &record->checkout;
    buf_t line = {0};
    write_head(&line, "open", checkout);
    json_uuid(&line, "order_id", &checkout->order_id);
    json_int(&line, "amount", checkout->amount);
    json_text(&line, "currency", checkout->currency);
    json_text(&line, "method", checkout->method);
    json_text(&line, "return_url", record->return_url);
    json_text(&line, "reference", checkout->reference);
    json_int(&line, "expires_at_us", checkout->expires_at_us);
    write_notes(&line, "notes", checkout->notes);
    write_notes(&line, "payment_notes", checkout->payment_notes);
    if (checkout->manual_capture)
        json_bool(&line, "manual_capture", true);
    if (checkout->one_name)
        json_bool(&line, "one_name", true);
    if (checkout->nameless)
        json_bool(&line, "nameless", true);
    if (checkout->shares_reference)
        json_bool(&line, "shares_reference", true);
    write_serial(&line, "serial", checkout->serial);
    return append(self, &line);
}

static const char *const outcomes[] = {[SIM_FAILED] = "failed",
                                       [SIM_PAID] = "paid",
                                       [SIM_AUTHORIZED] = "authorized",
                                       [SIM_VOIDED] = "voided"};

err_t sim_bank_write_outcome(sim_bank_t *self, const sim_checkout_t *outcome)
{
    buf_t line = {0};
    write_head(&line, outcomes[outcome->state], outcome);
    json_int(&line, "amount", outcome->outcome_amount);
    json_int(&line, "at_us", outcome->outcome_at_us);
    write_serial(&line, "serial", outcome->outcome_serial);
    if (outcome->second_serial)
        write_serial(&line, "second", outcome->second_serial);
    if (outcome->conclusion_serial)
        write_serial(&line, "conclusion", outcome->conclusion_serial);
    return append(self, &line);
}

err_t sim_bank_write_refund(sim_bank_t *self, const sim_refund_record_t *record)
{
    const sim_refund_t *refund = &record->refund;
    buf_t line = {0};
    write_head(&line, "refund", &record->checkout->checkout);
    json_uuid(&line, "refund_id", &refund->refund_id);
    json_text(&line, "charge_ref", refund->charge_ref);
    json_text(&line, "reference", refund->reference);
    json_int(&line, "amount", refund->amount);
    json_text(&line, "currency", refund->currency);
    json_text(&line, "reason", refund->reason);
    write_notes(&line, "notes", refund->notes);
    json_text(&line, "state", sim_refund_state_name(refund->state));
    json_text(&line, "becomes", sim_refund_state_name(refund->becomes));
    json_text(&line, "error", refund->error);
    json_int(&line, "due_us", refund->due_us);
    json_int(&line, "at_us", refund->at_us);
    write_serial(&line, "serial", refund->serial);
    return append(self, &line);
}

err_t sim_bank_write_conclusion(sim_bank_t *self, const sim_refund_record_t *record, int64_t at_us)
{
    buf_t line = {0};
    write_head(&line, "refund_concluded", &record->checkout->checkout);
    json_uuid(&line, "refund_id", &record->refund.refund_id);
    json_int(&line, "at_us", at_us);
    write_serial(&line, "serial", record->refund.serial);
    return append(self, &line);
}

/* ---- reading ---- */

static bool read_uuid(const json_t *line, const char *key, uuid_t *uuid)
{
    str_t text = json_read_str(line, key);
    return text.data && uuid_parse(text.data, text.size, uuid);
}

static bool read_serial(const json_t *line, const char *key, uint64_t *serial)
{
    str_t digits = json_read_str(line, key);
    return digits.size == 16 && sscanf(digits.data, "%16" SCNx64, serial) == 1;
}

static int64_t read_int(const json_t *line, const char *key)
{
    return json_integer_value(json_object_get(line, key));
}

static void read_text(const json_t *line, const char *key, char *text, size_t capacity)
{
    str_copy(json_read_str(line, key), text, capacity);
}

static bool read_refund_state(const json_t *line, const char *key, sim_refund_state_t *state)
{
    for (int i = SIM_REFUND_PENDING; i <= SIM_REFUND_DONE; i++) {
        *state = (sim_refund_state_t)i;
        if (str_is(json_read_str(line, key), sim_refund_state_name(*state)))
            return true;
    }
    return false;
}

static bool read_head(const json_t *line, sim_checkout_t *checkout)
{
    checkout->psp = psp_find(json_read_str(line, "psp"));
    return checkout->psp && read_uuid(line, "payment_id", &checkout->payment_id) &&
           read_uuid(line, "attempt_id", &checkout->attempt_id);
}

static bool replay_checkout(sim_bank_t *self, const json_t *line, sim_checkout_t *checkout)
{
    str_t return_url = json_read_str(line, "return_url");
    if (!read_uuid(line, "order_id", &checkout->order_id) ||
        !read_serial(line, "serial", &checkout->serial) || !return_url.data)
        return false;
    checkout->amount = read_int(line, "amount");
    checkout->expires_at_us = read_int(line, "expires_at_us");
    read_text(line, "currency", checkout->currency, sizeof checkout->currency);
    read_text(line, "method", checkout->method, sizeof checkout->method);
    read_text(line, "reference", checkout->reference, sizeof checkout->reference);
    checkout->manual_capture = json_is_true(json_object_get(line, "manual_capture"));
    checkout->one_name = json_is_true(json_object_get(line, "one_name"));
    checkout->nameless = json_is_true(json_object_get(line, "nameless"));
    checkout->shares_reference = json_is_true(json_object_get(line, "shares_reference"));
    checkout->notes = json_read_str(line, "notes").data;
    checkout->payment_notes = json_read_str(line, "payment_notes").data;
    sim_checkout_record_t *record = sim_bank_record_new(self, checkout, return_url.data);
    if (record)
        sim_bank_add_checkout(self, record);
    return record != NULL;
}

static bool replay_outcome(sim_bank_t *self, const json_t *line, sim_checkout_t *outcome)
{
    sim_checkout_record_t *record = sim_bank_attempt(self, outcome);
    if (!record || !sim_book_reserve(&self->book) ||
        !read_serial(line, "serial", &outcome->outcome_serial))
        return false;
    if (json_object_get(line, "second") && !read_serial(line, "second", &outcome->second_serial))
        return false;
    if (json_object_get(line, "conclusion") &&
        !read_serial(line, "conclusion", &outcome->conclusion_serial))
        return false;
    outcome->outcome_amount = read_int(line, "amount");
    outcome->outcome_at_us = read_int(line, "at_us");
    sim_bank_add_outcome(self, record, outcome);
    return true;
}

static bool replay_refund(sim_bank_t *self, const json_t *line, const sim_checkout_t *of)
{
    sim_checkout_record_t *checkout = sim_bank_attempt(self, of);
    sim_refund_t refund = {.psp = of->psp, .payment_id = of->payment_id};
    if (!checkout || !read_uuid(line, "refund_id", &refund.refund_id) ||
        !read_serial(line, "serial", &refund.serial) ||
        !read_refund_state(line, "state", &refund.state) ||
        !read_refund_state(line, "becomes", &refund.becomes))
        return false;
    refund.order_id = checkout->checkout.order_id;
    refund.checkout_serial = checkout->checkout.serial;
    refund.amount = read_int(line, "amount");
    refund.due_us = read_int(line, "due_us");
    refund.at_us = read_int(line, "at_us");
    read_text(line, "charge_ref", refund.charge_ref, sizeof refund.charge_ref);
    read_text(line, "reference", refund.reference, sizeof refund.reference);
    read_text(line, "currency", refund.currency, sizeof refund.currency);
    read_text(line, "reason", refund.reason, sizeof refund.reason);
    read_text(line, "error", refund.error, sizeof refund.error);
    refund.notes = json_read_str(line, "notes").data;
    if (!sim_bank_charged(checkout, refund.charge_ref) || !sim_book_reserve(&self->book))
        return false;
    sim_refund_record_t *record = sim_bank_refund_new(self, checkout, &refund);
    if (record)
        sim_bank_add_refund(self, record);
    return record != NULL;
}

static bool replay_conclusion(sim_bank_t *self, const json_t *line, const sim_checkout_t *of)
{
    uuid_t refund_id;
    sim_refund_record_t *record = read_uuid(line, "refund_id", &refund_id)
                                      ? sim_bank_refund(self, of->psp, &refund_id)
                                      : NULL;
    if (!record || record->refund.state != SIM_REFUND_PENDING || !sim_book_reserve(&self->book))
        return false;
    sim_bank_add_conclusion(self, record, read_int(line, "at_us"));
    return true;
}

bool sim_bank_replay(void *arg, const json_t *line)
{
    sim_bank_t *self = arg;
    sim_checkout_t checkout = {0};
    str_t what = json_read_str(line, "what");
    if (!read_head(line, &checkout))
        return false;
    if (str_is(what, "open"))
        return replay_checkout(self, line, &checkout);
    if (str_is(what, "refund"))
        return replay_refund(self, line, &checkout);
    if (str_is(what, "refund_concluded"))
        return replay_conclusion(self, line, &checkout);
    for (size_t i = SIM_FAILED; i < sizeof outcomes / sizeof outcomes[0]; i++)
        if (str_is(what, outcomes[i])) {
            checkout.state = (sim_state_t)i;
            return replay_outcome(self, line, &checkout);
        }
    return false;
}
