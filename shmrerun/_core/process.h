/* process.h - what belongs to one process and must not survive a fork: its stamp, its row ids; and how to start another. */
#ifndef SHMRERUN_PROCESS_H
#define SHMRERUN_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomics.h"

/*
 * A number that is different in every process and never 0. A forked child, raw forks included, sees another one without having
 * been told: the word lies in a page that the kernel wipes at fork.
 * Cost: one load. Fails: returns 0 when no page can be mapped.
 */
uint64_t make_process_stamp(void); /* of a process that has none yet */
extern uint64_t *process_stamp_word; /* NULL until the first call */
static inline uint64_t process_stamp(void) {
    uint64_t stamp = process_stamp_word ? load_acquire(process_stamp_word) : 0;
    return stamp ? stamp : make_process_stamp();
}

struct row_id {
    uint64_t time;    /* ns since the epoch, never less than or equal to an earlier one of this process or its forebears */
    uint64_t counter; /* starts at 63 random bits of the kernel's, drawn anew in each process */
};

/* The next row id; *wall becomes the wall clock itself, ns since the epoch. Any thread. */
struct row_id next_row_id(int64_t *wall);

/* Whether memory can be reserved in steps (MADV_POPULATE_WRITE). */
bool can_populate(void);

uint64_t monotonic_nanos(void);
int random_bytes(void *out, size_t size); /* 0, or -1 */

/*
 * Starts argv[0] in a session of its own, with null stdio (stderr into the file `faults`), cwd "/", default signals and no other
 * descriptor, so that the caller never has it as a child: os.wait() does not see it (except where the caller is PID 1 or a subreaper).
 * Returns 0, or the errno of what failed. *pid: of the new process, where that can be known, else 0.
 */
int launch_detached(char *const argv[], char *const environment[], const char *faults, int *pid);

#endif
