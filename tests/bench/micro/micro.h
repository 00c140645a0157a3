/* micro.h - what a micro benchmark is: one piece of the code on the hot paths, on fixed input. */
#ifndef TIFFIN_BENCH_MICRO_H
#define TIFFIN_BENCH_MICRO_H

#include "lib/text.h"
#include "lib/uuid.h"

typedef struct micro {
    const char *name; /* NULL ends a table */
    void (*run)(void);
    void (*prepare)(void); /* once, before; may be NULL */
} micro_t;

extern const micro_t micro_messages[]; /* messages.c: codec and bus header */
extern const micro_t micro_edge[];     /* edge.c: what the gateway does for each request */
extern const micro_t micro_services[]; /* services.c: hub, decisions, statements, ids */

/* What they have in common. */
extern const uuid_t micro_id;
extern const char micro_order_body[];     /* of POST /orders */
extern const char micro_prototype_body[]; /* of a webhook in the prototype's format */
extern const char micro_event[];          /* of a payment.confirmed */

#endif
