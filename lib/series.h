/* series.h - numbers by label values: a bounded set of time series. Not thread-safe. */
#ifndef TIFFIN_LIB_SERIES_H
#define TIFFIN_LIB_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

#define SERIES_LABELS_MAX 4

typedef struct series_set series_set_t;

/* `labels` (static texts, label_count of them) name what tells series apart; each series holds
 * value_count numbers. There are never more than series_max. */
series_set_t *series_set_new(const char *const *labels, size_t label_count, size_t value_count,
                             size_t series_max);
void series_set_destroy(series_set_t **self_p);

/* The numbers of the series with these label values (cut at 63 bytes each), made with zeros unless
 * there are `limit` series already: NULL then. A `limit` below series_max leaves room for others.
 */
uint64_t *series_find(series_set_t *self, const char *const *values, size_t limit);

size_t series_count(const series_set_t *self);
/* Of series `index`, in order of appearance: its numbers, and its labels as `a="x",b="y"`. */
const uint64_t *series_values(const series_set_t *self, size_t index);
void series_print_labels(const series_set_t *self, size_t index, buf_t *text);

/* name="value", escaped as the text exposition format asks; bytes that are no UTF-8 become "?". */
void series_print_label(buf_t *text, const char *name, const char *value);

#endif
