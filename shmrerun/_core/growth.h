/* growth.h - the next generation of a lane: made, mapped, published, installed, and the one before closed, in one step. No Python. */
#ifndef SHMRERUN_GROWTH_H
#define SHMRERUN_GROWTH_H

#include "lane.h"

#define PREFIX_SIZE 32u

/* Where the generations of a lane are made; fixed when the membership begins. */
struct lane_place {
    struct tree *tree;
    struct session *session;
    uint64_t maker;                /* process reference */
    uint32_t member;               /* index of the member slot */
    char prefix[PREFIX_SIZE];      /* of the segments' names, up to the number of the generation */
    uint64_t first_ring, first_dictionary; /* bytes of the first generation */
};

enum {
    GROWTH_DONE,
    GROWTH_WAIT,   /* the budget is spent, and the record fits where the lane is: wait for space there */
    GROWTH_SPILL,  /* no shared memory for it: ask again with the directory of a file mapping */
    GROWTH_FAILED  /* *error says why: not even a file */
};

/*
 * Makes the next generation for what did not fit. Under the writer's mutex and, where there is Python, under the GIL, so that no signal
 * handler, exception or fork comes between: either all of it has happened, or nothing.
 * spill: a private directory, or NULL. Order: intent, budget, segment, magic, newest, intent again, install, `closed` of the one before.
 */
int lane_grow(struct lane_writer *writer, const struct lane_place *place, const struct append_result *need, const char *spill, int *error);

/* Doubles a lane that is half full of rows that patience keeps back, as long as it takes a small part of the budget only. */
void lane_widen(struct lane_writer *writer, const struct lane_place *place);

#endif
