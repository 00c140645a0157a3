/* sim_table.c - chained buckets that double as the table fills; a chain keeps the newest first. */
#include "services/psp_sim/sim_table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 1024 };

bool sim_table_init(sim_table_t *self)
{
    self->buckets = calloc(BUCKETS_MIN, sizeof(sim_node_t *));
    self->bucket_count = BUCKETS_MIN;
    self->node_count = 0;
    return self->buckets != NULL;
}

void sim_table_deinit(sim_table_t *self)
{
    free(self->buckets);
    self->buckets = NULL;
}

/* The last bytes of a UUID are random. */
static sim_node_t **bucket_of(const sim_table_t *self, const uuid_t *key)
{
    uint64_t hash;
    memcpy(&hash, key->bytes + 8, sizeof hash);
    hash = (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return &self->buckets[hash >> 16 & (self->bucket_count - 1)];
}

static void append(sim_node_t **bucket, sim_node_t *node)
{
    while (*bucket)
        bucket = &(*bucket)->next;
    *bucket = node;
}

/* Twice the buckets; where there is no memory for it the chains stay long. */
static void grow(sim_table_t *self)
{
    sim_node_t **old = self->buckets;
    sim_node_t **buckets = calloc(self->bucket_count * 2, sizeof(sim_node_t *));
    size_t old_count = self->bucket_count;
    if (!buckets)
        return;
    self->buckets = buckets;
    self->bucket_count *= 2;
    for (size_t i = 0; i < old_count; i++) {
        for (sim_node_t *node = old[i], *next; node; node = next) {
            next = node->next;
            node->next = NULL;
            append(bucket_of(self, &node->key), node);
        }
    }
    free(old);
}

void sim_table_add(sim_table_t *self, sim_node_t *node)
{
    if (self->node_count >= self->bucket_count)
        grow(self);
    sim_node_t **bucket = bucket_of(self, &node->key);
    node->next = *bucket;
    *bucket = node;
    self->node_count++;
}

static sim_node_t *same_key(sim_node_t *node, const uuid_t *key)
{
    while (node && !uuid_equal(&node->key, key))
        node = node->next;
    return node;
}

sim_node_t *sim_table_first(const sim_table_t *self, const uuid_t *key)
{
    return same_key(*bucket_of(self, key), key);
}

sim_node_t *sim_table_next(const sim_node_t *node)
{
    return same_key(node->next, &node->key);
}

void sim_table_clear(sim_table_t *self, void (*release)(sim_node_t *node))
{
    for (size_t i = 0; i < self->bucket_count; i++) {
        for (sim_node_t *node = self->buckets[i], *next; node; node = next) {
            next = node->next;
            release(node);
        }
        self->buckets[i] = NULL;
    }
    self->node_count = 0;
}
