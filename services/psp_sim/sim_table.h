/* sim_table.h - a hash table from UUIDs to nodes that lie inside the caller's records. One key may
 * have many nodes: the newest comes first. Not thread-safe. */
#ifndef TIFFIN_SERVICES_SIM_TABLE_H
#define TIFFIN_SERVICES_SIM_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/uuid.h"

/* First member of a record. The key is set before sim_table_add and never changes. */
typedef struct sim_node {
    struct sim_node *next;
    uuid_t key;
} sim_node_t;

typedef struct sim_table {
    sim_node_t **buckets;
    size_t bucket_count; /* a power of two */
    size_t node_count;
} sim_table_t;

/* False when there is no memory. */
bool sim_table_init(sim_table_t *self);
/* The table must be empty. */
void sim_table_deinit(sim_table_t *self);
void sim_table_add(sim_table_t *self, sim_node_t *node);
/* The newest node of a key, and the one before it; NULL when there is none. */
sim_node_t *sim_table_first(const sim_table_t *self, const uuid_t *key);
sim_node_t *sim_table_next(const sim_node_t *node);
/* Hands every node to `release`, in no order, and is empty. */
void sim_table_clear(sim_table_t *self, void (*release)(sim_node_t *node));

#endif
