/* sim_book.h - what the bank moved, in order. Not thread-safe: the bank's lock is around it. */
#ifndef TIFFIN_SERVICES_SIM_BOOK_H
#define TIFFIN_SERVICES_SIM_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/payment/psp.h"
#include "lib/uuid.h"

typedef enum sim_movement { SIM_CHARGE, SIM_REFUND } sim_movement_t;

typedef struct sim_book_row {
    const psp_t *psp;
    uuid_t payment_id;
    uint64_t serial; /* of the charge or the refund */
    sim_movement_t kind;
    char currency[4];
    int64_t amount; /* positive in both directions */
    int64_t at_us;
} sim_book_row_t;

/* Zero-initialise. */
typedef struct sim_book {
    sim_book_row_t *rows;
    size_t count, capacity;
} sim_book_t;

void sim_book_deinit(sim_book_t *self);
/* Room for two more rows, before anything is promised. */
bool sim_book_reserve(sim_book_t *self);
/* sim_book_reserve came before. */
void sim_book_add(sim_book_t *self, const sim_book_row_t *row);
void sim_book_clear(sim_book_t *self);
/* A JSON array; of one payment, or all (NULL). */
void sim_book_write(const sim_book_t *self, const uuid_t *payment_id, buf_t *body);

#endif
