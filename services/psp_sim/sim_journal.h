/* sim_journal.h - an append-only file of JSON lines that outlives a killed process. */
#ifndef TIFFIN_SERVICES_SIM_JOURNAL_H
#define TIFFIN_SERVICES_SIM_JOURNAL_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/buf.h"
#include "lib/err.h"

typedef struct sim_journal sim_journal_t;

/* One line of the file; false when it makes no sense. */
typedef bool(sim_journal_apply_fn)(void *arg, const json_t *line);

/* Opens or makes the file and hands every line to `apply`, in order. A last line that was cut off
 * by a crash is removed. ERR_BAD_CONFIG when the file cannot be used or a line before the last
 * makes no sense. */
err_t sim_journal_open(sim_journal_t **self_p, const char *path, sim_journal_apply_fn *apply,
                       void *arg, err_detail_t *detail) MUST_CHECK;
void sim_journal_close(sim_journal_t **self_p);
/* One JSON object; the newline is added here. ERR_STORE_UNAVAILABLE: it was not written. */
err_t sim_journal_append(sim_journal_t *self, buf_t *line) MUST_CHECK;
/* Empties the file. */
err_t sim_journal_clear(sim_journal_t *self) MUST_CHECK;

#endif
