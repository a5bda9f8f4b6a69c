/* lane.h - the producer's side: one process appends rows to its lane. No Python here, and nothing that blocks. */
#ifndef SHMRERUN_LANE_H
#define SHMRERUN_LANE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "layout.h"
#include "process.h"

/* What a shape is made of; the ids are this process's own numbers, the texts go into the dictionary. */
struct text {
    const void *data;
    uint32_t size;
};
struct shape {
    uint32_t path, times, columns; /* interned ids, never 0 for path and columns */
    uint32_t flags;                /* ROW_STATIC, ROW_TICK, ROW_COLUMNS, ROW_MESSAGE */
    struct text path_text, times_text, columns_text;
    uint32_t times_count;
    int32_t log_time; /* index of log_time among the times, -1: not among them */
};

/* A length (data NULL, size 0, only `count`) or a buffer (count = size in bytes). */
struct part {
    const void *data;
    uint32_t count;
    bool is_buffer;
};

struct shape_entry {
    uint32_t path, times, columns, flags, id;
};

/* The lane of this process in one session. Owned by it: a forked child makes its own. Every field is under the mutex. */
struct lane_writer {
    pthread_mutex_t mutex;
    struct lane *lane;         /* generation in use, mapped by us; NULL before the first */
    uint64_t mapped;           /* bytes of that mapping */
    uint32_t *need_wake;       /* of the tree */
    struct member *member;     /* this process's slot in the session */
    uint8_t *ring;
    uint64_t size;             /* of the ring */
    uint64_t tail, head;       /* own tail; last head seen */
    uint64_t populated;        /* bytes of the ring, from its start, whose pages this process has; grows during the first lap */
    uint64_t dictionary_size, dictionary_tail;
    uint64_t rows;             /* published, in all generations */
    uint32_t generation, sequence, shapes;
    bool closed;               /* this membership is over */
    bool over;                 /* the lane was full for a whole wait: rows are dropped at once until there is room again */
    struct shape_entry *entries; /* open addressing, a power of two; belongs to the generation */
    uint32_t entries_size;
};

enum {
    APPEND_DONE,
    APPEND_RING,     /* done, and the doorbell must be rung */
    APPEND_HALF,     /* as RING, and the lane is too small for this rate */
    APPEND_GROW,     /* nothing written: a next generation is needed, see below */
    APPEND_BUSY,     /* nothing looked at: another thread holds the mutex */
    APPEND_CLOSED,   /* this membership is over */
    APPEND_NO_MEMORY
};

struct append_result {
    int code;
    bool refused;      /* GROW: the aggregator reads this generation no more */
    uint64_t record;   /* GROW: bytes that the record takes in a ring */
    uint64_t dictionary; /* GROW: bytes that its definition takes, 0 if known */
    uint32_t generation; /* the generation that refused it */
    int64_t wall;
};

int lane_writer_init(struct lane_writer *writer);
void lane_writer_free(struct lane_writer *writer); /* unmaps the generation in use */

/*
 * Makes a mapped segment the generation that rows go to and unmaps the one before, after saying there that it was succeeded.
 * Under the mutex.
 */
void lane_writer_install(struct lane_writer *writer, struct lane *lane, uint64_t mapped, uint32_t generation);

/*
 * Appends one row and publishes it. times: values in the shape's order; the one at shape->log_time is filled in here.
 * Order: definition, dictionary_tail (release), record, tail (release), written, fence, need_wake. SYNC POINT publish, wake.
 * Blocks: on the writer's mutex, under which nothing but C runs; not at all with `try`, then BUSY. Returns result->code.
 */
int lane_append(struct lane_writer *writer, const struct shape *shape, uint32_t flags, const int64_t *times, const struct part *parts,
                uint32_t count, bool try, struct append_result *result);

#endif
