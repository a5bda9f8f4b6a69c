/* times.h - interned texts of this process, and the current times of each thread. Callers hold the GIL. No Python here. */
#ifndef SHMRERUN_TIMES_H
#define SHMRERUN_TIMES_H

#include <stdbool.h>
#include <stdint.h>

#include "lane.h"

/* Byte strings with small numbers, from 1, that last as long as the process. */
struct names {
    struct text *texts;
    uint32_t count, room;
    uint32_t *slots; /* open addressing: id or 0 */
    uint32_t slots_size;
};
uint32_t names_intern(struct names *names, const void *data, uint32_t size); /* 0: no memory, or over 2^31 names */
static inline struct text names_text(const struct names *names, uint32_t id) {
    return names->texts[id - 1];
}

/* A timeline is a name and a kind (1 sequence, 2 duration, 3 timestamp); its text is the kind's byte, then the name. */
uint32_t timeline_intern(uint8_t kind, const char *name, uint32_t size);

/*
 * Current times belong to (thread, recording); `key` is the caller's number for the recording. They are empty in a new thread
 * and in a new process, a forked one too. Return false: no memory.
 */
bool times_set(uint64_t key, uint32_t timeline, int64_t value,
               uint32_t *replaced); /* set to the one of its name and another kind, if there was one */
void times_forget(uint64_t key, const char *name, uint32_t size);
void times_reset(uint64_t key);
uint32_t times_list(uint64_t key, uint32_t *timelines, int64_t *values, uint32_t limit); /* how many there are */
struct text timeline_text(uint32_t timeline);

/*
 * The times of a row logged now: fills the shape's times, times_text, times_count, log_time and flags; *values stays good until
 * the next call of this thread. switches: SWITCH_LOG_TIME, SWITCH_LOG_TICK. A row that ends up without times is static.
 * The times' text: for each timeline by name: kind (u8), size of the name (u32), name.
 */
bool times_of_row(uint64_t key, uint64_t switches, struct shape *shape, const int64_t **values);

#endif
