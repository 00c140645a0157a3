/* batch.h - one bad row must not sink its neighbours: a batch that the database refuses because of
 * its data is split until the bad row stands alone.
 *
 * Only ERR_UNPROCESSABLE splits: it is the one error that names the data. Anything else (no
 * connection, outcome not known, a bug) would befall each half again, so it fails every row of the
 * range at once.
 */
#ifndef TIFFIN_LIB_BATCH_H
#define TIFFIN_LIB_BATCH_H

#include <stddef.h>

#include "lib/err.h"

/* Carries out and answers rows first … first + count - 1 in one statement: all of them, or none and
 * the error. */
typedef err_t(batch_run_fn)(void *arg, size_t first, size_t count, err_detail_t *detail);
/* Answers one row that failed. */
typedef void(batch_failed_fn)(void *arg, size_t index, err_t err, const err_detail_t *detail);

/* Runs rows 0 … count - 1, in order. Each row ends in exactly one of: a `run` that succeeded, one
 * call of `failed`. With b bad rows `run` is called at most 1 + 2 b log2(count) times, rounded up;
 * never with count 0. */
void batch_split(size_t count, batch_run_fn *run, batch_failed_fn *failed, void *arg);

#endif
