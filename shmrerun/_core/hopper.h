/*
 * hopper.h - the consumer's side of one session: reads its lanes, keeps an index of rows that are not in the log yet, and
 * hands out the rows of one shape (a *group*) for a chunk. The rows themselves stay in the lanes until they are committed.
 */
#ifndef SHMRERUN_HOPPER_H
#define SHMRERUN_HOPPER_H

#include <stdbool.h>
#include <stdint.h>

#include "gather.h"
#include "layout.h"

/* A row between tail and head. */
struct entry {
    uint64_t position;
    uint64_t time, counter; /* row id */
    uint64_t tick;
    uint64_t log_size;      /* of the log file when the row was drained */
    uint32_t words;
    uint32_t group;
    bool done;              /* in the log, or given up */
};

/* One generation of one lane. */
struct reader {
    struct lane *lane;
    const uint8_t *dictionary, *ring;
    uint64_t dictionary_size, ring_size;
    uint64_t closed, tail;            /* as loaded by the last scan */
    uint64_t looked, ahead;           /* tail when pages were last allocated ahead; in the first lap, all before `ahead` are there */
    uint64_t read;                    /* position after the last record indexed */
    uint64_t low;                     /* position of the oldest row not done; what head becomes */
    uint64_t dictionary_read;
    uint32_t *groups;                 /* shape id - 1 -> group, 0: not defined */
    uint32_t shapes, shapes_size;
    uint32_t sequence;
    bool synced;                      /* sequence is known (a successor starts in the middle) */
    uint64_t replayed;                /* rows before this position may be in the log already, out of order: they were there at adoption */
    uint64_t rows_before, rows_read;  /* rows of the member before this generation; of this one, up to `read`, once synced */
    const char *broken;               /* why the lane is quarantined */
    struct entry *entries;            /* a queue: entries[(first + i) % size]; size is a power of two */
    uint64_t first, count, size;      /* first only grows; an entry's number is first + i */
    uint64_t rows_waiting;            /* of the entries: neither in the log nor given up */
    uint64_t rows_done;               /* rows that this consumer put into the log */
    uint64_t rows_lost;               /* rows given up: unreadable */
};

struct reference {
    uint32_t reader;
    uint64_t number;
};

struct group {
    struct node *nodes;
    uint32_t nodes_count, columns, parts, times;
    struct reference *rows; /* pending, in the order drained */
    uint64_t count, size, bytes;
};

struct hopper {
    struct reader **readers; /* NULL: removed */
    uint32_t readers_count, readers_size;
    struct group **groups;   /* group id - 1 */
    uint32_t groups_count, groups_size;
    uint8_t *seen;           /* row ids (big-endian, 16 bytes) that are in the log already, ascending */
    uint64_t seen_count;
    bool replaying;          /* from the setting of scanned_from to the first pass: lanes were read by somebody before us */
    uint64_t scanned_from;   /* offset of the log before which none of `seen` lies */
    uint64_t next_tick;
    struct reference *fresh; /* of the present pass */
    uint64_t fresh_count, fresh_size;
};

/* Rows taken for one chunk. Freed by batch_free after commit or restore. */
struct batch {
    uint32_t group;
    struct reference *rows; /* ascending row ids */
    uint64_t count, bytes;
};

enum { HOPPER_OK = 0, HOPPER_NO_MEMORY = -1, HOPPER_BAD = -2 };

void hopper_free(struct hopper *hopper);
/* size: of the mapping. Returns the reader's number or HOPPER_BAD with *why. Reading starts at the lane's head. */
int64_t hopper_add_reader(struct hopper *hopper, struct lane *lane, uint64_t size, const char **why);
void hopper_remove_reader(struct hopper *hopper, uint32_t reader);
/* nodes are copied. Returns the group's number, from 1. */
int64_t hopper_add_group(struct hopper *hopper, const struct node *nodes, uint32_t count, uint32_t times);

/*
 * One pass is: scan (loads closed, tail, then the dictionary, of every lane), define for each definition that next_definition
 * gives, collect. Rows published before the scan are indexed by it, whatever else happens.
 */
void hopper_scan(struct hopper *hopper);
bool hopper_has_news(const struct hopper *hopper); /* a record that was not collected; loads tails only */
const struct definition *next_definition(struct reader *reader); /* the next one not yet seen, or NULL; texts follow it */
int hopper_define(struct hopper *hopper, uint32_t reader, uint32_t shape, uint32_t group);
int64_t hopper_collect(struct hopper *hopper, uint64_t log_size); /* rows indexed, or HOPPER_NO_MEMORY */

/*
 * Takes pending rows of a group in order of row id, at most those that make one chunk: when some timeline is not sorted, the
 * chunk ends at unsorted_rows; it never holds over most_rows, nor over most_bytes
 * unless a single row does.
 */
int hopper_take(struct hopper *hopper, uint32_t group, uint64_t unsorted_rows, uint64_t most_rows, uint64_t most_bytes,
                struct batch *batch);
bool row_of(const struct hopper *hopper, const struct reference *reference, struct entry **entry, struct row_parts *parts,
            const int64_t **times);
void hopper_commit(struct hopper *hopper, const struct batch *batch);       /* the rows are in the log */
int hopper_restore(struct hopper *hopper, const struct batch *batch);       /* the write failed: pending again */
void hopper_give_up(struct hopper *hopper, const struct reference *row);    /* unreadable: counts as done */
void batch_free(struct batch *batch);

/* Moves the heads of all lanes up to their oldest row that is not done. Returns the smallest log_size among those rows, or UINT64_MAX. */
uint64_t hopper_advance(struct hopper *hopper);
/* Has pages of lanes in their first lap allocated, unless a row waits to be read; 10 ms at most. */
void hopper_allocate_ahead(struct hopper *hopper);
/* Groups that own rows in the older half of a lane that is over half full: calls `visit` once for each such row. */
void hopper_pressed(const struct hopper *hopper, void (*visit)(void *context, uint32_t group), void *context);

#endif
