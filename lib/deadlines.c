/* deadlines.c - see deadlines.h. */
#include "lib/deadlines.h"

#include <stdlib.h>

#include "lib/err.h"

void deadlines_init(deadlines_t *self, uint32_t capacity)
{
    *self = (deadlines_t){.capacity = capacity};
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): it is an array of pointers */
    self->heap = calloc((size_t)capacity + 1, sizeof *self->heap);
    CHECK(self->heap);
}

void deadlines_free(deadlines_t *self)
{
    free(self->heap);
    self->heap = NULL;
}

static void put(deadlines_t *self, uint32_t place, deadline_t *deadline)
{
    self->heap[place] = deadline;
    deadline->place = place;
}

/* The gap at `place` moves up until `deadline` may fill it. */
static void sift_up(deadlines_t *self, uint32_t place, deadline_t *deadline)
{
    while (place > 1 && self->heap[place / 2]->at_ms > deadline->at_ms) {
        put(self, place, self->heap[place / 2]);
        place /= 2;
    }
    put(self, place, deadline);
}

static void sift_down(deadlines_t *self, uint32_t place, deadline_t *deadline)
{
    for (;;) {
        uint32_t child = place * 2;
        if (child > self->count)
            break;
        if (child < self->count && self->heap[child + 1]->at_ms < self->heap[child]->at_ms)
            child++;
        if (self->heap[child]->at_ms >= deadline->at_ms)
            break;
        put(self, place, self->heap[child]);
        place = child;
    }
    put(self, place, deadline);
}

void deadlines_add(deadlines_t *self, deadline_t *deadline, int64_t at_ms)
{
    CHECK(deadline->place == 0 && self->count < self->capacity);
    deadline->at_ms = at_ms;
    self->count++;
    sift_up(self, self->count, deadline);
}

void deadlines_remove(deadlines_t *self, deadline_t *deadline)
{
    uint32_t place = deadline->place;
    CHECK(place > 0 && place <= self->count && self->heap[place] == deadline);
    deadline->place = 0;
    deadline_t *last = self->heap[self->count];
    self->count--;
    if (last == deadline)
        return;
    if (place > 1 && self->heap[place / 2]->at_ms > last->at_ms)
        sift_up(self, place, last);
    else
        sift_down(self, place, last);
}

deadline_t *deadlines_first(const deadlines_t *self)
{
    return self->count ? self->heap[1] : NULL;
}
