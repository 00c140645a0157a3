/* csv.h - comma separated values (RFC 4180) of a peer that is not trusted: record by record, each
 * bounded, whatever is not exactly so refused.
 */
#ifndef TIFFIN_LIB_CSV_H
#define TIFFIN_LIB_CSV_H

#include <stddef.h>

#include "lib/text.h"

enum { CSV_FIELDS_MAX = 128, CSV_RECORD_MAX_BYTES = 16384 };

/* A text that is read; `at` is the byte where the next record begins. A byte order mark is no part
 * of it. */
typedef struct csv {
    str_t text;
    size_t at;
} csv_t;

typedef struct csv_record {
    str_t fields[CSV_FIELDS_MAX]; /* without their quotes; in `text` */
    size_t count;
    char text[CSV_RECORD_MAX_BYTES];
} csv_record_t;

typedef enum csv_outcome { CSV_RECORD, CSV_END, CSV_MALFORMED } csv_outcome_t;

/* The next record. Fields are valid UTF-8 without control characters, so that no record goes over
 * several lines. Lines end with LF or CR LF, the last one may end with neither; empty lines are at
 * the end only. Malformed: a quote where none may be, more fields or bytes than there is room for,
 * and what was said; then nothing more is to be read. */
csv_outcome_t csv_next(csv_t *self, csv_record_t *record);

#endif
