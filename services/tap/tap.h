/* tap.h - the running tap: subscribes to every gateway there is and writes what the filter lets
 * through. */
#ifndef TIFFIN_TAP_H
#define TIFFIN_TAP_H

#include "lib/actor.h"
#include "lib/err.h"
#include "services/tap/tap_options.h"

typedef struct tap tap_t;

/* `addr` as TAP_ADDR; ERR_BAD_CONFIG: it is no address. Lines go to standard output, flushed one by
 * one. `options` and `addr` are borrowed until tap_destroy. */
err_t tap_new(actor_t *actor, const tap_options_t *options, const char *addr, tap_t **tap,
              err_detail_t *detail) MUST_CHECK;
void tap_destroy(tap_t **self_p);
/* After actor_run: what the process exits with. */
int tap_exit_status(const tap_t *self);

#endif
