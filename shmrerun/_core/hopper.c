/* hopper.c - see hopper.h. Whatever comes from a lane is checked against the mapping before use; a bad lane is put aside. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "hopper.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "atomics.h"

static uint64_t pad8(uint64_t size) {
    return (size + 7u) & ~(uint64_t)7u;
}

static bool make_room_from(void **items, uint64_t *size, uint64_t count, uint64_t item, uint64_t least) {
    if (count < *size) return true;
    uint64_t bigger = *size ? *size * 2 : least;
    void *moved = realloc(*items, bigger * item);
    if (!moved) return false;
    *items = moved;
    *size = bigger;
    return true;
}

static bool make_room(void **items, uint64_t *size, uint64_t count, uint64_t item) {
    return make_room_from(items, size, count, item, 64);
}

/* Of a group, of which there may be many thousand with a row each. */
static bool make_room_for_row(struct group *group) {
    return make_room_from((void **)&group->rows, &group->size, group->count, sizeof *group->rows, 2);
}

static void free_reader(struct reader *reader) {
    if (!reader) return;
    free(reader->groups);
    free(reader->entries);
    free(reader);
}

void hopper_free(struct hopper *hopper) {
    for (uint32_t i = 0; i < hopper->readers_count; i++) free_reader(hopper->readers[i]);
    for (uint32_t i = 0; i < hopper->groups_count; i++) {
        free(hopper->groups[i]->nodes);
        free(hopper->groups[i]->rows);
        free(hopper->groups[i]);
    }
    free(hopper->readers);
    free(hopper->groups);
    free(hopper->seen);
    free(hopper->fresh);
    memset(hopper, 0, sizeof *hopper);
}

int64_t hopper_add_reader(struct hopper *hopper, struct lane *lane, uint64_t size, const char **why) {
    uint64_t dictionary = lane->dictionary_offset, dictionary_size = lane->dictionary_size;
    uint64_t ring = lane->ring_offset, ring_size = lane->ring_size, head = load_acquire(&lane->head_position);
    *why = NULL;
    if (size < sizeof *lane || dictionary < sizeof *lane || dictionary > size || dictionary_size > size - dictionary)
        *why = "dictionary outside the segment";
    else if (ring < sizeof *lane || ring > size || ring_size > size - ring || ring_size < 64 || (ring | ring_size | dictionary) % 8)
        *why = "ring outside the segment";
    else if (head % 8) *why = "head is not aligned";
    if (*why) return HOPPER_BAD;
    uint32_t at = 0;
    while (at < hopper->readers_count && hopper->readers[at]) at++;
    uint64_t room = hopper->readers_size;
    if (!make_room((void **)&hopper->readers, &room, at, sizeof *hopper->readers)) return HOPPER_NO_MEMORY;
    hopper->readers_size = (uint32_t)room;
    struct reader *reader = calloc(1, sizeof *reader);
    if (!reader) return HOPPER_NO_MEMORY;
    reader->lane = lane;
    reader->dictionary = (const uint8_t *)lane + dictionary;
    reader->dictionary_size = dictionary_size;
    reader->ring = (const uint8_t *)lane + ring;
    reader->ring_size = ring_size;
    reader->tail = reader->looked = reader->read = reader->low = head;
    reader->synced = head == 0;
    reader->replayed = hopper->replaying ? load_acquire(&lane->tail) : head;
    reader->rows_before = lane->rows_before;
    hopper->readers[at] = reader;
    if (at == hopper->readers_count) hopper->readers_count++;
    return at;
}

void hopper_remove_reader(struct hopper *hopper, uint32_t reader) {
    free_reader(hopper->readers[reader]);
    hopper->readers[reader] = NULL;
}

int64_t hopper_add_group(struct hopper *hopper, const struct node *nodes, uint32_t count, uint32_t times) {
    uint64_t room = hopper->groups_size;
    if (!make_room((void **)&hopper->groups, &room, hopper->groups_count, sizeof *hopper->groups)) return HOPPER_NO_MEMORY;
    hopper->groups_size = (uint32_t)room;
    struct group *group = calloc(1, sizeof *group);
    if (!group || !(group->nodes = calloc(count ? count : 1, sizeof *nodes))) {
        free(group);
        return HOPPER_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        group->nodes[i] = nodes[i];
        group->columns += nodes[i].root;
        group->parts += 1 + node_buffers(nodes[i].kind);
    }
    group->nodes_count = count;
    group->times = times;
    hopper->groups[hopper->groups_count++] = group;
    return hopper->groups_count;
}

/* ---- a pass ---- */

void hopper_scan(struct hopper *hopper) {
    for (uint32_t i = 0; i < hopper->readers_count; i++) {
        struct reader *reader = hopper->readers[i];
        if (!reader || reader->broken) continue;
        reader->closed = load_acquire(&reader->lane->closed); /* before tail: what is closed publishes no more */
        uint64_t tail = load_acquire(&reader->lane->tail);    /* SYNC POINT publish */
        if (tail < reader->read || tail - reader->low > reader->ring_size || tail % 8) reader->broken = "tail is out of range";
        else reader->tail = tail;
    }
}

bool hopper_has_news(const struct hopper *hopper) {
    for (uint32_t i = 0; i < hopper->readers_count; i++) {
        const struct reader *reader = hopper->readers[i];
        if (reader && !reader->broken && load_acquire(&reader->lane->tail) != reader->read) return true;
    }
    return false;
}

const struct definition *next_definition(struct reader *reader) {
    if (reader->broken) return NULL;
    uint64_t tail = load_acquire(&reader->lane->dictionary_tail), at = reader->dictionary_read; /* SYNC POINT define */
    if (at == tail) return NULL;
    struct definition copy;
    const uint8_t *from = reader->dictionary + at;
    if (tail > reader->dictionary_size || tail < at || tail - at < sizeof copy) {
        reader->broken = "dictionary tail is out of range";
        return NULL;
    }
    memcpy(&copy, from, sizeof copy);
    uint64_t texts = (uint64_t)copy.path_size + copy.times_size + copy.columns_size;
    if (copy.bytes > tail - at || copy.bytes != sizeof copy + pad8(texts) || copy.shape != reader->shapes + 1 ||
        copy.times > RECORD_TIMES_LIMIT) {
        reader->broken = "a definition contradicts itself";
        return NULL;
    }
    reader->dictionary_read += copy.bytes;
    reader->shapes++;
    return (const struct definition *)(const void *)from;
}

int hopper_define(struct hopper *hopper, uint32_t number, uint32_t shape, uint32_t group) {
    struct reader *reader = hopper->readers[number];
    while (reader->shapes_size < shape) {
        uint32_t size = reader->shapes_size ? reader->shapes_size * 2 : 16;
        uint32_t *groups = realloc(reader->groups, size * sizeof *groups);
        if (!groups) return HOPPER_NO_MEMORY;
        memset(groups + reader->shapes_size, 0, (size - reader->shapes_size) * sizeof *groups);
        reader->groups = groups;
        reader->shapes_size = size;
    }
    reader->groups[shape - 1] = group;
    return HOPPER_OK;
}

static int compare_ids(uint64_t time_a, uint64_t counter_a, uint64_t time_b, uint64_t counter_b) {
    if (time_a != time_b) return time_a < time_b ? -1 : 1;
    return counter_a < counter_b ? -1 : counter_a > counter_b;
}

static uint64_t big_endian(const uint8_t *bytes) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | bytes[i];
    return value;
}

static bool was_seen(const struct hopper *hopper, uint64_t time, uint64_t counter) {
    uint64_t low = 0, high = hopper->seen_count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const uint8_t *id = hopper->seen + 16 * middle;
        int order = compare_ids(big_endian(id), big_endian(id + 8), time, counter);
        if (order == 0) return true;
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return false;
}

static bool push_entry(struct reader *reader, const struct entry *entry) {
    if (reader->count == reader->size) {
        uint64_t size = reader->size ? reader->size * 2 : 256;
        struct entry *entries = malloc(size * sizeof *entries);
        if (!entries) return false;
        for (uint64_t i = 0; i < reader->count; i++)
            entries[(reader->first + i) & (size - 1)] = reader->entries[(reader->first + i) & (reader->size - 1)];
        free(reader->entries);
        reader->entries = entries;
        reader->size = size;
    }
    reader->entries[(reader->first + reader->count++) & (reader->size - 1)] = *entry;
    return true;
}

static struct entry *entry_at(const struct hopper *hopper, const struct reference *reference) {
    struct reader *reader = hopper->readers[reference->reader];
    return &reader->entries[reference->number & (reader->size - 1)];
}

/* Checks that the parts of a row fill its record exactly; finds them. */
static bool locate_parts(const uint8_t *record, uint64_t size, const struct group *group, struct row_parts *parts) {
    uint64_t at = sizeof(struct record) + 8u * (uint64_t)group->times;
    if (size < at + 8) return false;
    uint32_t count;
    memcpy(&count, record + at, 4);
    if (count != group->parts || count > RECORD_PARTS_LIMIT) return false;
    uint64_t data = at + pad8(4u + 4u * (uint64_t)count);
    if (data > size) return false;
    *parts = (struct row_parts){(const uint32_t *)(const void *)(record + at + 4), count, record + data, size - data};
    return true;
}

/* Indexes one record at reader->read. False: the lane is broken, or memory ran out (then *failed). */
static bool index_record(struct hopper *hopper, uint32_t number, uint64_t log_size, bool *failed) {
    struct reader *reader = hopper->readers[number];
    uint64_t offset = reader->read % reader->ring_size, left = reader->ring_size - offset;
    const uint8_t *at = reader->ring + offset;
    struct record record = {0};
    memcpy(&record, at, 8);
    uint64_t size = 8u * (uint64_t)record.words;
    if (size == 0 || size > left || size > reader->tail - reader->read) {
        reader->broken = "a record runs past its bounds";
        return false;
    }
    if (record.kind == RECORD_PAD) {
        reader->read += size;
        return true;
    }
    if (record.kind != RECORD_ROW || size < sizeof record) {
        reader->broken = "a record of unknown kind";
        return false;
    }
    memcpy(&record, at, sizeof record);
    if (8u * (uint64_t)record.words != size) {
        reader->broken = "a record changed while it was read";
        return false;
    }
    if (!record.shape || record.shape > reader->shapes) {
        reader->broken = "a row of an unknown shape";
        return false;
    }
    uint32_t group = record.shape <= reader->shapes_size ? reader->groups[record.shape - 1] : 0;
    if (!group || group > hopper->groups_count) return false; /* whoever was to define it failed at that, and hosts anew */
    if (reader->synced && record.sequence != reader->sequence) {
        reader->broken = "a row out of sequence";
        return false;
    }
    struct row_parts parts;
    if (!locate_parts(at, size, hopper->groups[group - 1], &parts)) {
        reader->broken = "a row contradicts its shape";
        return false;
    }
    struct entry entry = {.position = reader->read,
                          .time = record.row_time,
                          .counter = record.row_counter,
                          .log_size = log_size,
                          .words = record.words,
                          .group = group,
                          .tick = record.flags & ROW_UNCOUNTED ? UINT64_MAX : 0};
    /* A row that waits here may stand before one that the log has already: whoever comes after us must look for that one again. */
    if (entry.position < reader->replayed && hopper->scanned_from < log_size) entry.log_size = hopper->scanned_from;
    entry.done = hopper->seen_count && was_seen(hopper, entry.time, entry.counter);
    uint64_t room = hopper->fresh_size;
    if (!make_room((void **)&hopper->fresh, &room, hopper->fresh_count, sizeof *hopper->fresh) || !push_entry(reader, &entry)) {
        *failed = true;
        return false;
    }
    hopper->fresh_size = room;
    if (!entry.done) {
        hopper->fresh[hopper->fresh_count++] = (struct reference){number, reader->first + reader->count - 1};
        reader->rows_waiting++;
    }
    reader->rows_read = reader->synced ? reader->rows_read + 1 : (uint64_t)record.sequence + 1;
    reader->sequence = record.sequence + 1;
    reader->synced = true;
    reader->read += size;
    return true;
}

static _Thread_local const struct hopper *sorting; /* qsort has no context argument */

static int compare_references(const void *a, const void *b) {
    const struct entry *left = entry_at(sorting, a), *right = entry_at(sorting, b);
    return compare_ids(left->time, left->counter, right->time, right->counter);
}

static uint64_t end_of_run(const struct reference *rows, uint64_t count, uint64_t start) {
    uint64_t i = start + 1;
    while (i < count && compare_references(&rows[i - 1], &rows[i]) <= 0) i++;
    return i < count ? i : count;
}

static void merge_runs(const struct reference *left, const struct reference *middle, const struct reference *end, struct reference *to) {
    const struct reference *right = middle;
    while (left < middle && right < end) *to++ = compare_references(left, right) <= 0 ? *left++ : *right++;
    memcpy(to, left, (size_t)(middle - left) * sizeof *to);
    memcpy(to + (middle - left), right, (size_t)(end - right) * sizeof *to);
}

/* Rows of one lane ascend already, so what comes together is a run for each lane: neighbours are merged until there is one. */
static void sort_by_row_id(const struct hopper *hopper, struct reference *rows, uint64_t count) {
    sorting = hopper;
    if (end_of_run(rows, count, 0) == count) return;
    struct reference *spare = malloc(count * sizeof *rows), *from = rows, *to = spare;
    if (!spare) {
        qsort(rows, count, sizeof *rows, compare_references);
        return;
    }
    for (uint64_t runs = 2; runs > 1;) {
        runs = 0;
        for (uint64_t at = 0, end; at < count; at = end, runs++) {
            uint64_t middle = end_of_run(from, count, at);
            end = middle < count ? end_of_run(from, count, middle) : count;
            merge_runs(from + at, from + middle, from + end, to + at);
        }
        struct reference *merged = to;
        to = from;
        from = merged;
    }
    if (from != rows) memcpy(rows, from, count * sizeof *rows);
    free(spare);
}

int64_t hopper_collect(struct hopper *hopper, uint64_t log_size) {
    bool failed = false;
    hopper->fresh_count = 0;
    for (uint32_t i = 0; i < hopper->readers_count && !failed; i++) {
        struct reader *reader = hopper->readers[i];
        while (reader && !reader->broken && reader->read < reader->tail)
            if (!index_record(hopper, i, log_size, &failed)) break;
    }
    hopper->replaying = false;
    sort_by_row_id(hopper, hopper->fresh, hopper->fresh_count);
    for (uint64_t i = 0; i < hopper->fresh_count; i++) {
        struct entry *entry = entry_at(hopper, &hopper->fresh[i]);
        struct group *group = hopper->groups[entry->group - 1];
        if (!make_room_for_row(group)) return HOPPER_NO_MEMORY;
        entry->tick = entry->tick ? hopper->next_tick : hopper->next_tick++;
        group->rows[group->count++] = hopper->fresh[i];
        group->bytes += 8u * (uint64_t)entry->words;
    }
    return failed ? HOPPER_NO_MEMORY : (int64_t)hopper->fresh_count;
}

/* ---- rows for a chunk ---- */

bool row_of(const struct hopper *hopper, const struct reference *reference, struct entry **entry, struct row_parts *parts,
            const int64_t **times) {
    const struct reader *reader = hopper->readers[reference->reader];
    *entry = entry_at(hopper, reference);
    const uint8_t *record = reader->ring + (*entry)->position % reader->ring_size;
    *times = (const int64_t *)(const void *)(record + sizeof(struct record));
    return locate_parts(record, 8u * (uint64_t)(*entry)->words, hopper->groups[(*entry)->group - 1], parts);
}

/* How many of the sorted rows make one chunk. */
static uint64_t chunk_rows(const struct hopper *hopper, const struct group *group, uint64_t unsorted_rows, uint64_t most_rows,
                           uint64_t most_bytes) {
    const int64_t *before = NULL;
    uint64_t bytes = 0;
    bool unsorted = false;
    for (uint64_t i = 0; i < group->count; i++) {
        struct entry *entry = entry_at(hopper, &group->rows[i]);
        const struct reader *reader = hopper->readers[group->rows[i].reader];
        const int64_t *times = (const int64_t *)(const void *)(reader->ring + entry->position % reader->ring_size + sizeof(struct record));
        bytes += 8u * (uint64_t)entry->words;
        if (i && (i >= most_rows || bytes > most_bytes || (unsorted && i >= unsorted_rows))) return i;
        for (uint32_t t = 0; before && !unsorted && t < group->times; t++) unsorted = times[t] < before[t];
        before = times;
    }
    return group->count;
}

int hopper_take(struct hopper *hopper, uint32_t number, uint64_t unsorted_rows, uint64_t most_rows, uint64_t most_bytes,
                struct batch *batch) {
    struct group *group = hopper->groups[number - 1];
    sort_by_row_id(hopper, group->rows, group->count);
    uint64_t count = chunk_rows(hopper, group, unsorted_rows, most_rows, most_bytes);
    *batch = (struct batch){.group = number, .count = count};
    if (!count) return HOPPER_OK;
    batch->rows = malloc(count * sizeof *batch->rows);
    if (!batch->rows) return HOPPER_NO_MEMORY;
    memcpy(batch->rows, group->rows, count * sizeof *batch->rows);
    group->count -= count;
    memmove(group->rows, group->rows + count, group->count * sizeof *group->rows);
    for (uint64_t i = 0; i < count; i++) batch->bytes += 8u * (uint64_t)entry_at(hopper, &batch->rows[i])->words;
    group->bytes -= batch->bytes;
    return HOPPER_OK;
}

void hopper_commit(struct hopper *hopper, const struct batch *batch) {
    for (uint64_t i = 0; i < batch->count; i++) {
        struct entry *entry = entry_at(hopper, &batch->rows[i]);
        struct reader *reader = hopper->readers[batch->rows[i].reader];
        if (!entry->done) {
            reader->rows_done++;
            reader->rows_waiting--;
        }
        entry->done = true;
    }
}

void hopper_give_up(struct hopper *hopper, const struct reference *row) {
    entry_at(hopper, row)->done = true;
    hopper->readers[row->reader]->rows_lost++;
    hopper->readers[row->reader]->rows_waiting--;
}

int hopper_restore(struct hopper *hopper, const struct batch *batch) {
    struct group *group = hopper->groups[batch->group - 1];
    for (uint64_t i = 0; i < batch->count; i++) {
        if (entry_at(hopper, &batch->rows[i])->done) continue;
        if (!make_room_for_row(group)) return HOPPER_NO_MEMORY;
        group->rows[group->count++] = batch->rows[i];
        group->bytes += 8u * (uint64_t)entry_at(hopper, &batch->rows[i])->words;
    }
    return HOPPER_OK;
}

void batch_free(struct batch *batch) {
    free(batch->rows);
    batch->rows = NULL;
    batch->count = 0;
}

/* ---- space ---- */

uint64_t hopper_advance(struct hopper *hopper) {
    uint64_t oldest = UINT64_MAX;
    for (uint32_t i = 0; i < hopper->readers_count; i++) {
        struct reader *reader = hopper->readers[i];
        if (!reader) continue;
        while (reader->count && reader->entries[reader->first & (reader->size - 1)].done) {
            reader->first++;
            reader->count--;
        }
        const struct entry *front = reader->count ? &reader->entries[reader->first & (reader->size - 1)] : NULL;
        uint64_t low = front ? front->position : reader->read;
        if (low != reader->low) {
            reader->low = low;
            store_release(&reader->lane->head_position, low); /* SYNC POINT commit: after the message is complete in the log */
        }
        if (front && front->log_size < oldest) oldest = front->log_size;
    }
    return oldest;
}

void hopper_pressed(const struct hopper *hopper, void (*visit)(void *context, uint32_t group), void *context) {
    for (uint32_t i = 0; i < hopper->readers_count; i++) {
        const struct reader *reader = hopper->readers[i];
        if (!reader || reader->read - reader->low <= reader->ring_size / 2) continue;
        uint64_t middle = reader->low + (reader->read - reader->low) / 2;
        for (uint64_t k = 0; k < reader->count; k++) {
            const struct entry *entry = &reader->entries[(reader->first + k) & (reader->size - 1)];
            if (entry->position >= middle) break;
            if (!entry->done) visit(context, entry->group);
        }
    }
}

/*
 * Lets the kernel find and clear pages ahead of producers in their first lap, four times what each wrote since the last time: its own
 * populate then maps them only, which is a third of the work. Nothing while a row waits to be read, which comes first; nor for lanes of
 * small rows, or after a burst that these pages would be no help for. Fails silently: nothing depends on it.
 */
#define AHEAD_FROM (256u * 1024u)
#define AHEAD_BURST (16u * 1024u * 1024u)
#define AHEAD_MOST (8u * 1024u * 1024u) /* at a time, of all lanes: some 10 ms */
void hopper_allocate_ahead(struct hopper *hopper) {
#ifdef MADV_POPULATE_WRITE
    if (hopper_has_news(hopper)) return;
    uint64_t room = AHEAD_MOST;
    for (uint32_t i = 0; i < hopper->readers_count; i++) {
        struct reader *reader = hopper->readers[i];
        if (!reader || reader->broken) continue;
        uint64_t tail = reader->tail, wrote = tail - reader->looked, from = tail > reader->ahead ? tail : reader->ahead;
        reader->looked = tail;
        if (reader->closed || wrote < AHEAD_FROM || wrote > AHEAD_BURST || reader->ahead >= reader->ring_size) continue;
        uint64_t until = tail + 4 * wrote;
        if (until > from + room) until = from + room;
        if (until > reader->ring_size) until = reader->ring_size;
        if (until <= from) continue;
        room -= until - from;
        uintptr_t first = (uintptr_t)(reader->ring + from) & ~(uintptr_t)4095, end = (uintptr_t)(reader->ring + until) & ~(uintptr_t)4095;
        reader->ahead = end > first && madvise((void *)first, end - first, MADV_POPULATE_WRITE) ? reader->ring_size : until;
    }
#else
    (void)hopper;
#endif
}
