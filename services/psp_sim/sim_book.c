/* sim_book.c - an array of rows. Looked through from end to end: whoever asks for one payment of
 * very many waits a little. */
#include "services/psp_sim/sim_book.h"

#include <stdlib.h>

#include "lib/err.h"
#include "services/psp_sim/sim_ref.h"

enum { ROWS_MIN = 256, ROWS_RESERVED = 2 };

void sim_book_deinit(sim_book_t *self)
{
    free(self->rows);
    *self = (sim_book_t){0};
}

bool sim_book_reserve(sim_book_t *self)
{
    if (self->count + ROWS_RESERVED <= self->capacity)
        return true;
    size_t capacity = self->capacity ? self->capacity * 2 : ROWS_MIN;
    sim_book_row_t *rows = realloc(self->rows, capacity * sizeof(sim_book_row_t));
    if (!rows)
        return false;
    self->rows = rows;
    self->capacity = capacity;
    return true;
}

void sim_book_add(sim_book_t *self, const sim_book_row_t *row)
{
    CHECK(self->count < self->capacity);
    self->rows[self->count++] = *row;
}

void sim_book_clear(sim_book_t *self)
{
    self->count = 0;
}

static void write_row(const sim_book_row_t *row, buf_t *body)
{
    char ref[SIM_REF_SIZE];
    const bool charge = row->kind == SIM_CHARGE;
    json_open_object(body, NULL);
    json_text(body, "psp", psp_name(row->psp));
    json_uuid(body, "payment_id", &row->payment_id);
    json_text(body, "psp_ref", sim_ref(ref, charge ? "txn" : "rfd", row->psp, row->serial));
    json_text(body, "kind", charge ? "charge" : "refund");
    json_int(body, "amount", row->amount);
    json_text(body, "currency", row->currency);
    json_time(body, "at", row->at_us);
    json_close_object(body);
}

void sim_book_write(const sim_book_t *self, const uuid_t *payment_id, buf_t *body)
{
    json_open_array(body, NULL);
    for (size_t i = 0; i < self->count; i++)
        if (!payment_id || uuid_equal(&self->rows[i].payment_id, payment_id))
            write_row(&self->rows[i], body);
    json_close_array(body);
}
