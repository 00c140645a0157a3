/* series.c - numbers by label values: a bounded set of time series.
 *
 * Called by the gateway's metrics, under their lock, once or twice per request, and by whoever
 * prints counts of its own: an open hash over rows that are filled in order. Rows are allocated at
 * once but touched as they are used, so a large bound costs address space, not memory.
 */
#include "lib/series.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

enum { VALUE_SIZE = 64 };

typedef struct series_key {
    char values[SERIES_LABELS_MAX][VALUE_SIZE];
} series_key_t;

struct series_set {
    const char *labels[SERIES_LABELS_MAX];
    size_t label_count, value_count, count, capacity;
    series_key_t *keys; /* [capacity] */
    uint64_t *values;   /* [capacity][value_count] */
    uint32_t *slots;    /* hash to row + 1; 0 is free */
    size_t slot_mask;
};

series_set_t *series_set_new(const char *const *labels, size_t label_count, size_t value_count,
                             size_t series_max)
{
    CHECK(label_count > 0 && label_count <= SERIES_LABELS_MAX);
    CHECK(series_max > 0 && series_max < UINT32_MAX);
    series_set_t *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    for (size_t i = 0; i < label_count; i++)
        self->labels[i] = labels[i];
    self->label_count = label_count;
    self->value_count = value_count;
    self->capacity = series_max;
    size_t slots = 2;
    while (slots < 2 * series_max) /* at most half full: a search ends soon */
        slots *= 2;
    self->slot_mask = slots - 1;
    self->keys = calloc(series_max, sizeof *self->keys);
    self->values = calloc(series_max * value_count, sizeof *self->values);
    self->slots = calloc(slots, sizeof *self->slots);
    CHECK(self->keys != NULL && self->values != NULL && self->slots != NULL);
    return self;
}

void series_set_destroy(series_set_t **self_p)
{
    series_set_t *self = *self_p;
    if (!self)
        return;
    free(self->keys);
    free(self->values);
    free(self->slots);
    free(self);
    *self_p = NULL;
}

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const series_set_t *self, const series_key_t *key)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < self->label_count; i++)
        for (const char *c = key->values[i];; c++) {
            hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
            if (*c == '\0') /* counted too: it keeps the values apart */
                break;
        }
    return hash;
}

static bool keys_equal(const series_set_t *self, const series_key_t *a, const series_key_t *b)
{
    for (size_t i = 0; i < self->label_count; i++)
        if (strcmp(a->values[i], b->values[i]) != 0)
            return false;
    return true;
}

uint64_t *series_find(series_set_t *self, const char *const *values, size_t limit)
{
    series_key_t key;
    for (size_t i = 0; i < self->label_count; i++)
        str_copy(str_of(values[i]), key.values[i], VALUE_SIZE);
    size_t slot = (size_t)hash_of(self, &key) & self->slot_mask;
    for (; self->slots[slot] != 0; slot = (slot + 1) & self->slot_mask) {
        size_t row = self->slots[slot] - 1;
        if (keys_equal(self, &self->keys[row], &key))
            return self->values + row * self->value_count;
    }
    if (self->count >= limit || self->count >= self->capacity)
        return NULL;
    size_t row = self->count++;
    for (size_t i = 0; i < self->label_count; i++)
        memcpy(self->keys[row].values[i], key.values[i], strlen(key.values[i]) + 1);
    self->slots[slot] = (uint32_t)row + 1;
    return self->values + row * self->value_count;
}

size_t series_count(const series_set_t *self)
{
    return self->count;
}

const uint64_t *series_values(const series_set_t *self, size_t index)
{
    CHECK(index < self->count);
    return self->values + index * self->value_count;
}

void series_print_labels(const series_set_t *self, size_t index, buf_t *text)
{
    CHECK(index < self->count);
    for (size_t i = 0; i < self->label_count; i++) {
        if (i > 0)
            buf_add_text(text, ",");
        series_print_label(text, self->labels[i], self->keys[index].values[i]);
    }
}

void series_print_label(buf_t *text, const char *name, const char *value)
{
    bool well_formed = utf8_valid(value, strlen(value));
    buf_printf(text, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\n')
            buf_add_text(text, "\\n");
        else if (*value == '"' || *value == '\\')
            buf_add(text, (char[]){'\\', *value}, 2);
        else if (!well_formed && (unsigned char)*value >= 0x80)
            buf_add_text(text, "?");
        else
            buf_add(text, value, 1);
    }
    buf_add_text(text, "\"");
}
