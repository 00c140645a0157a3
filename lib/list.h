/* list.h - intrusive doubly linked list: the nodes live in what is listed, nothing is allocated.
 *
 * A head is a node that is not an entry. A node is in one list or in none; removing one that is in
 * none does nothing.
 */
#ifndef TIFFIN_LIB_LIST_H
#define TIFFIN_LIB_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct list_node {
    struct list_node *previous, *next;
} list_node_t;

/* The entry that holds this node. */
#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* NOLINTBEGIN(bugprone-macro-parentheses): `node` is declared here, which takes no parentheses */
#define LIST_FOR(node, head) \
    for (list_node_t *node = (head)->next; node != (head); node = node->next)
/* NOLINTEND(bugprone-macro-parentheses) */

static inline void list_init(list_node_t *node)
{
    node->previous = node->next = node;
}

static inline bool list_empty(const list_node_t *head)
{
    return head->next == head;
}

/* NULL when empty. */
static inline list_node_t *list_first(const list_node_t *head)
{
    return list_empty(head) ? NULL : head->next;
}

static inline list_node_t *list_last(const list_node_t *head)
{
    return list_empty(head) ? NULL : head->previous;
}

static inline void list_remove(list_node_t *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}

static inline void list_insert_between(list_node_t *previous, list_node_t *node, list_node_t *next)
{
    node->previous = previous;
    node->next = next;
    previous->next = node;
    next->previous = node;
}

static inline void list_push_front(list_node_t *head, list_node_t *node)
{
    list_insert_between(head, node, head->next);
}

static inline void list_push_back(list_node_t *head, list_node_t *node)
{
    list_insert_between(head->previous, node, head);
}

#endif
