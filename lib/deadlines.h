/* deadlines.h - which of many deadlines is the earliest: a binary heap whose members know their
 * place, so that any of them can be taken out in O(log n). Bounded at creation, nothing is
 * allocated later. */
#ifndef TIFFIN_LIB_DEADLINES_H
#define TIFFIN_LIB_DEADLINES_H

#include <stdbool.h>
#include <stdint.h>

/* Lives inside what has the deadline; zero-initialised. */
typedef struct deadline {
    int64_t at_ms;
    uint32_t place; /* 1 is the earliest; 0: not in the heap */
} deadline_t;

typedef struct deadlines {
    deadline_t **heap; /* [1 … count] */
    uint32_t count, capacity;
} deadlines_t;

void deadlines_init(deadlines_t *self, uint32_t capacity);
void deadlines_free(deadlines_t *self);
/* It must not be in the heap yet, and the heap not be full. */
void deadlines_add(deadlines_t *self, deadline_t *deadline, int64_t at_ms);
/* It must be in the heap. */
void deadlines_remove(deadlines_t *self, deadline_t *deadline);
/* The earliest; NULL when there is none. */
deadline_t *deadlines_first(const deadlines_t *self);

#endif
