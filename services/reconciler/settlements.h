/* settlements.h - the part of the reconciler that reads settlement reports. */
#ifndef TIFFIN_SERVICES_RECONCILER_SETTLEMENTS_H
#define TIFFIN_SERVICES_RECONCILER_SETTLEMENTS_H

#include "lib/redis.h"
#include "services/reconciler/reconciler.h"
#include "services/reconciler/reconciler_store.h"

typedef struct settlements settlements_t;

/* Everything is borrowed. `next_ask_mono_ms` (of each PSP): its limit counts these calls and those
 * about payments together. */
settlements_t *settlements_new(service_t *service, const reconciler_config_t *config,
                               reconciler_store_t *store, redis_t *redis,
                               int64_t *next_ask_mono_ms);
void settlements_destroy(settlements_t **self_p);
/* A page waits for this PSP's limit: who asks it about payments lets the page go first. */
bool settlements_wait_for(const settlements_t *self, const psp_t *psp);
/* Those of today and yesterday are due now, however lately they were read. */
void settlements_read_now(settlements_t *self);
/* Asks for nothing more from the first call on; true once no call is in flight. */
bool settlements_idle(settlements_t *self);

#endif
