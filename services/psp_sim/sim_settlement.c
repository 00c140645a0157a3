/* sim_settlement.c - see sim_settlement.h. */
#include "services/psp_sim/sim_settlement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/payment/money.h"

enum { FEE_PERCENT = 2 };

bool sim_settlement_day(int year, int month, int day, int64_t *from_us)
{
    char text[RFC3339_SIZE], again[RFC3339_SIZE];
    if (year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    snprintf(text, sizeof text, "%04d-%02d-%02dT00:00:00Z", year, month, day);
    return rfc3339_parse(text, from_us) &&
           strcmp(rfc3339_format(*from_us, again), text) == 0; /* no 31st of June */
}

static int64_t after_us(const sim_call_t *call)
{
    return call->self->config->settle_after_s * 1000000;
}

/* False: it has been forgotten since (somebody reset the bank). */
static bool read_row(sim_call_t *call, const sim_book_row_t *row, sim_settlement_line_t *line)
{
    sim_bank_t *bank = call->self->bank;
    *line = (sim_settlement_line_t){
        .kind = row->kind, .serial = row->serial, .amount = row->amount, .at_us = row->at_us};
    if (row->kind == SIM_REFUND &&
        (sim_refund_find(bank, row->psp, NULL, row->serial, &line->refund) != ERR_OK ||
         sim_bank_find_serial(bank, line->refund.checkout_serial, row->psp, &line->checkout) !=
             ERR_OK))
        return false;
    if (row->kind == SIM_CHARGE) {
        const int64_t told = row->amount + call->fault.settlement_delta;
        line->amount = told < 1 ? 1 : told > AMOUNT_MAX ? AMOUNT_MAX : told;
        line->fee = line->amount / 100 * FEE_PERCENT + line->amount % 100 * FEE_PERCENT / 100;
        if (sim_bank_find_serial(bank, row->serial, row->psp, &line->checkout) != ERR_OK)
            return false;
    }
    line->paid_us = row->at_us + after_us(call);
    const int64_t day = line->paid_us / SIM_DAY_US;
    snprintf(line->settlement, sizeof line->settlement, "setl_%014lld", (long long)day);
    snprintf(line->utr, sizeof line->utr, "SIMUTR%010lld", (long long)day);
    return true;
}

size_t sim_settlement_lines(sim_call_t *call, int64_t from_us, int64_t before_us, size_t skip,
                            sim_settlement_line_t *lines, size_t at_most)
{
    sim_book_row_t *rows = calloc(at_most, sizeof *rows);
    CHECK(rows);
    const int64_t later_us = after_us(call), now_us = clock_wall_us() + 1;
    const int64_t until_us = before_us < now_us ? before_us : now_us;
    const size_t found = sim_bank_movements(call->self->bank, call->psp, from_us - later_us,
                                            until_us - later_us, skip, rows, at_most);
    size_t count = 0;
    for (size_t i = 0; i < found; i++)
        if (read_row(call, &rows[i], &lines[count]))
            count++;
    free(rows);
    return count;
}

/* ---- batches ---- */

int64_t sim_batch_close(sim_t *self)
{
    int64_t number = 0;
    pthread_mutex_lock(&self->lock);
    if (self->batch_count < SIM_BATCHES_MAX) {
        const int64_t last = self->batch_count ? self->batches[self->batch_count - 1] : 0,
                      now_ms = clock_wall_us() / 1000 + 1;
        number = now_ms > last ? now_ms : last + 1;
        self->batches[self->batch_count++] = number;
    }
    pthread_mutex_unlock(&self->lock);
    return number;
}

bool sim_batch_find(sim_t *self, int64_t number, int64_t *from_us, int64_t *before_us)
{
    bool found = false;
    pthread_mutex_lock(&self->lock);
    for (int i = 0; i < self->batch_count && !found; i++) {
        found = self->batches[i] == number;
        *from_us = i ? self->batches[i - 1] * 1000 : 0;
        *before_us = number * 1000;
    }
    pthread_mutex_unlock(&self->lock);
    return found;
}
