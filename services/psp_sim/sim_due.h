/* sim_due.h - concludes refunds that a PSP took and that take their time, when they are due, and
 * tells of them. */
#ifndef TIFFIN_SERVICES_SIM_DUE_H
#define TIFFIN_SERVICES_SIM_DUE_H

#include <stdint.h>

#include "lib/actor.h"
#include "services/psp_sim/sim_refunds.h"

typedef struct sim_due sim_due_t;

/* On the actor's loop. */
typedef void(sim_due_fn)(void *arg, const sim_refund_t *concluded);

/* What was due before it began is concluded at once: a refund outlives the process that took it. */
sim_due_t *sim_due_new(actor_t *actor, sim_bank_t *bank, sim_due_fn *on_concluded, void *arg);
void sim_due_destroy(sim_due_t **self_p);
/* From any thread: a refund was taken, look again when the next is due. */
void sim_due_wake(sim_due_t *self);
/* On the actor's loop: no more is concluded; the next process does. */
void sim_due_stop(sim_due_t *self);

#endif
