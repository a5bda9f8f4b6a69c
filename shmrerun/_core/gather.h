/* gather.h - rows of one shape, from many lanes, into contiguous columns. No Python here. */
#ifndef SHMRERUN_GATHER_H
#define SHMRERUN_GATHER_H

#include <stdbool.h>
#include <stdint.h>

/* A node of an Arrow type; a column's layout is its nodes in preorder. The numbers are those of shmrerun/_record.py. */
enum { NODE_FIXED = 1, NODE_BOOL, NODE_VARBIN, NODE_LIST, NODE_FIXED_LIST, NODE_STRUCT, NODE_UNION, NODE_NULL, NODE_OPAQUE };

struct node {
    uint32_t kind;
    uint32_t argument; /* FIXED: bytes a value; FIXED_LIST: size; STRUCT, UNION: children */
    bool root;         /* first node of a column */
};

#define NODE_BUFFERS_LIMIT 3
uint32_t node_buffers(uint32_t kind); /* buffers of a node, UINT32_MAX for an unknown kind */

/* One row's parts as they lie in a lane. `table` and `data` are bounds that were checked against the mapping, not content. */
struct row_parts {
    const uint32_t *table;
    uint32_t count;
    const uint8_t *data;
    uint64_t size;
};

/* What one node comes to over all rows; `out` is set between measuring and filling, one buffer for each size above 0. */
struct node_total {
    uint64_t length;
    uint64_t bytes[NODE_BUFFERS_LIMIT];
    bool has_validity;
    uint8_t *out[NODE_BUFFERS_LIMIT];
    uint64_t done, done_bytes; /* progress of filling */
    uint64_t base;             /* length of the node before the present row: children of unions are rebased by it */
};

/*
 * Adds one row to the totals. Returns false, with the totals unchanged in meaning for the caller to discard, if the row's
 * parts contradict its layout: wrong counts, sizes past the record, offsets that do not ascend. Never reads outside `row`.
 * `roots` receives the length of each column's root.
 */
bool gather_measure(const struct node *nodes, uint32_t count, const struct row_parts *row, struct node_total *totals, int32_t *roots);

/* Copies one row behind those before it. Same checks (the memory is another process's); false: stop, discard all. */
bool gather_fill(const struct node *nodes, uint32_t count, const struct row_parts *row, struct node_total *totals);

#endif
