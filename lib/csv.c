/* csv.c - see csv.h. Nothing here allocates or recurses; every step moves forward. */
#include "lib/csv.h"

#include <stdbool.h>

static bool is_over(const csv_t *self)
{
    return self->at >= self->text.size;
}

/* Behind the end of a line; false: there is none here. The text's end is one. */
static bool take_line_end(csv_t *self)
{
    if (is_over(self))
        return true;
    const char *at = self->text.data + self->at;
    const size_t left = self->text.size - self->at;
    const size_t size = at[0] == '\n' ? 1 : left > 1 && at[0] == '\r' && at[1] == '\n' ? 2 : 0;
    self->at += size;
    return size > 0;
}

static bool add(csv_record_t *record, size_t *used, char c)
{
    if (*used == sizeof record->text)
        return false;
    record->text[(*used)++] = c;
    return true;
}

/* Behind the closing quote; at the opening one. */
static bool take_quoted(csv_t *self, csv_record_t *record, size_t *used)
{
    for (self->at++; !is_over(self); self->at++) {
        const char c = self->text.data[self->at];
        if (c == '"') {
            self->at++;
            if (is_over(self) || self->text.data[self->at] != '"')
                return true;
        }
        if (!add(record, used, c))
            return false;
    }
    return false;
}

static bool take_plain(csv_t *self, csv_record_t *record, size_t *used)
{
    for (; !is_over(self); self->at++) {
        const char c = self->text.data[self->at];
        if (c == ',' || c == '\n' || c == '\r')
            return true;
        if (c == '"' || !add(record, used, c))
            return false;
    }
    return true;
}

static bool take_field(csv_t *self, csv_record_t *record, size_t *used)
{
    const size_t begin = *used;
    const bool quoted = !is_over(self) && self->text.data[self->at] == '"';
    if (record->count == CSV_FIELDS_MAX ||
        !(quoted ? take_quoted(self, record, used) : take_plain(self, record, used)))
        return false;
    const str_t field = {record->text + begin, (uint32_t)(*used - begin)};
    record->fields[record->count++] = field;
    return utf8_valid(field.data, field.size) && !utf8_has_control(field.data, field.size);
}

/* Nothing but ends of lines is left. */
static bool take_rest(csv_t *self)
{
    while (!is_over(self))
        if (!take_line_end(self))
            return false;
    return true;
}

csv_outcome_t csv_next(csv_t *self, csv_record_t *record)
{
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    size_t used = 0;
    record->count = 0;
    if (self->at == 0 && self->text.size >= sizeof mark && self->text.data[0] == mark[0] &&
        self->text.data[1] == mark[1] && self->text.data[2] == mark[2])
        self->at = sizeof mark;
    if (is_over(self))
        return CSV_END;
    if (self->text.data[self->at] == '\n' || self->text.data[self->at] == '\r')
        return take_rest(self) ? CSV_END : CSV_MALFORMED;
    for (;;) {
        if (!take_field(self, record, &used))
            return CSV_MALFORMED;
        if (take_line_end(self))
            return CSV_RECORD;
        if (self->text.data[self->at] != ',')
            return CSV_MALFORMED;
        self->at++;
    }
}
