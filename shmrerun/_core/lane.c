/* lane.c - see lane.h and layout.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "atomics.h"

static uint64_t pad8(uint64_t size) {
    return (size + 7u) & ~(uint64_t)7u;
}

/*
 * Large values are copied past the caches: this process does not read them again, and lines that the reader on another processor had
 * last need not be fetched first. An image costs the caller some 8 % less so, and its own data stay in its caches.
 */
#define STREAM_BYTES (256u * 1024u)
static void copy_past_caches(uint8_t *to, const uint8_t *from, uint64_t size) {
#ifdef __SSE2__
    uint64_t head = -(uintptr_t)to & 63u;
    memcpy(to, from, head);
    to += head, from += head, size -= head;
    for (; size >= 64; to += 64, from += 64, size -= 64) {
        __m128i a = _mm_loadu_si128((const void *)from), b = _mm_loadu_si128((const void *)(from + 16));
        __m128i c = _mm_loadu_si128((const void *)(from + 32)), d = _mm_loadu_si128((const void *)(from + 48));
        _mm_stream_si128((void *)to, a);
        _mm_stream_si128((void *)(to + 16), b);
        _mm_stream_si128((void *)(to + 32), c);
        _mm_stream_si128((void *)(to + 48), d);
    }
    _mm_sfence(); /* such stores are not ordered by the release of the tail */
#endif
    memcpy(to, from, size);
}

static uint8_t *put(uint8_t *to, const void *data, uint64_t size) { /* memcpy may not be given NULL, not even for nothing */
    if (size >= STREAM_BYTES) copy_past_caches(to, data, size);
    else if (size) memcpy(to, data, size);
    return to + size;
}

int lane_writer_init(struct lane_writer *writer) {
    memset(writer, 0, sizeof *writer);
    return pthread_mutex_init(&writer->mutex, NULL);
}

void lane_writer_free(struct lane_writer *writer) {
    free(writer->entries);
    writer->entries = NULL;
    if (writer->lane) munmap(writer->lane, writer->mapped);
    writer->lane = NULL;
    pthread_mutex_destroy(&writer->mutex);
}

void lane_writer_install(struct lane_writer *writer, struct lane *lane, uint64_t mapped, uint32_t generation) {
    if (writer->lane) {
        store_release(&writer->lane->closed, LANE_SUCCEEDED); /* the next one is published already */
        munmap(writer->lane, writer->mapped);
    }
    writer->lane = lane;
    writer->mapped = mapped;
    writer->ring = (uint8_t *)lane + lane->ring_offset;
    writer->size = lane->ring_size;
    writer->dictionary_size = lane->dictionary_size;
    writer->tail = writer->head = writer->populated = 0;
    writer->dictionary_tail = 0;
    writer->generation = generation;
    writer->sequence = writer->shapes = 0;
    if (writer->entries) memset(writer->entries, 0, writer->entries_size * sizeof *writer->entries); /* ids belong to the generation */
}

/* ---- shapes ---- */

static uint32_t hash_shape(const struct shape *shape) {
    uint64_t hash = shape->path * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 29 ^ shape->columns) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 32 ^ shape->times ^ (uint64_t)shape->flags << 24) * 0x94d049bb133111ebu;
    return (uint32_t)(hash >> 32);
}

static struct shape_entry *find_shape(const struct lane_writer *writer, const struct shape *shape) {
    uint32_t mask = writer->entries_size - 1;
    for (uint32_t at = hash_shape(shape) & mask;; at = (at + 1) & mask) {
        struct shape_entry *entry = &writer->entries[at];
        if (!entry->id || (entry->columns == shape->columns && entry->path == shape->path && entry->times == shape->times &&
                           entry->flags == shape->flags))
            return entry;
    }
}

static bool grow_shapes(struct lane_writer *writer) {
    uint32_t size = writer->entries_size ? writer->entries_size * 2 : 64, old_size = writer->entries_size;
    struct shape_entry *old = writer->entries, *entries = calloc(size, sizeof *entries);
    if (!entries) return false;
    writer->entries = entries;
    writer->entries_size = size;
    for (uint32_t i = 0; i < old_size; i++) {
        if (!old[i].id) continue;
        struct shape key = {.path = old[i].path, .times = old[i].times, .columns = old[i].columns, .flags = old[i].flags};
        *find_shape(writer, &key) = old[i];
    }
    free(old);
    return true;
}

static uint64_t definition_size(const struct shape *shape) {
    uint64_t texts = (uint64_t)shape->path_text.size + shape->times_text.size + shape->columns_text.size;
    return sizeof(struct definition) + pad8(texts);
}

/* The shape's id in this generation; 0: the dictionary is full. */
static uint32_t shape_id(struct lane_writer *writer, const struct shape *shape, struct shape_entry *entry) {
    if (entry->id) return entry->id;
    uint64_t bytes = definition_size(shape), at = writer->dictionary_tail;
    if (bytes > writer->dictionary_size - at) return 0;
    struct definition definition = {
        .bytes = (uint32_t)bytes,
        .shape = writer->shapes + 1,
        .flags = shape->flags,
        .times = shape->times_count,
        .path_size = shape->path_text.size,
        .times_size = shape->times_text.size,
        .columns_size = shape->columns_text.size,
    };
    uint8_t *to = (uint8_t *)writer->lane + writer->lane->dictionary_offset + at;
    to = put(to, &definition, sizeof definition);
    to = put(to, shape->path_text.data, shape->path_text.size);
    to = put(to, shape->times_text.data, shape->times_text.size);
    put(to, shape->columns_text.data, shape->columns_text.size);
    writer->dictionary_tail = at + bytes;
    store_release(&writer->lane->dictionary_tail, at + bytes); /* SYNC POINT define: before the tail of the first such row */
    *entry = (struct shape_entry){shape->path, shape->times, shape->columns, shape->flags, ++writer->shapes};
    return entry->id;
}

/* ---- rows ---- */

static uint64_t record_size(const struct shape *shape, const struct part *parts, uint32_t count) {
    uint64_t size = sizeof(struct record) + 8u * (uint64_t)shape->times_count + pad8(4u + 4u * (uint64_t)count);
    for (uint32_t i = 0; i < count; i++)
        if (parts[i].is_buffer) size += pad8(parts[i].count);
    return size;
}

static void write_record(uint8_t *to, const struct record *head, const struct shape *shape, const int64_t *times, int64_t wall,
                         const struct part *parts, uint32_t count) {
    uint8_t *own_times = put(to, head, sizeof *head);
    to = put(own_times, times, 8u * (uint64_t)shape->times_count);
    if (shape->log_time >= 0) memcpy(own_times + 8 * shape->log_time, &wall, 8);
    uint32_t *table = (uint32_t *)(void *)to;
    *table++ = count;
    for (uint32_t i = 0; i < count; i++) *table++ = parts[i].count;
    to += pad8(4u + 4u * (uint64_t)count);
    for (uint32_t i = 0; i < count; i++) {
        if (!parts[i].is_buffer) continue;
        put(to, parts[i].data, parts[i].count);
        to += pad8(parts[i].count);
    }
}

/* Where `size` contiguous bytes can go: a position, with *pad bytes to skip before it; false if there is no room now. */
static bool reserve(struct lane_writer *writer, uint64_t size, uint64_t *pad) {
    uint64_t left = writer->size - writer->tail % writer->size; /* up to the wrap */
    *pad = size <= left ? 0 : left;
    uint64_t end = writer->tail + *pad + size;
    if (end - writer->head <= writer->size) return true;
    writer->head = load_acquire(&writer->lane->head_position); /* pairs with the consumer's store after the commit */
    return end - writer->head <= writer->size;
}

/*
 * Reserves and maps pages ahead of the first lap, in steps, so that growing a lane costs no single call much. False: there is no
 * memory for them, which is known before anything is written, without a SIGBUS. Where the kernel has no such call, the segment
 * was reserved in full when it was made.
 */
#define POPULATE_STEP (64u * 1024u)
static bool populate(struct lane_writer *writer, uint64_t end) {
#ifdef MADV_POPULATE_WRITE
    uint64_t until = end > writer->populated + POPULATE_STEP ? end : writer->populated + POPULATE_STEP;
    if (until > writer->size) until = writer->size;
    uintptr_t from = (uintptr_t)(writer->ring + writer->populated) & ~(uintptr_t)4095;
    uintptr_t to = ((uintptr_t)(writer->ring + until) + 4095) & ~(uintptr_t)4095;
    if (madvise((void *)from, to - from, MADV_POPULATE_WRITE)) {
        if (errno != EINVAL) return false;
        until = writer->size;
    }
    writer->populated = until;
#else
    (void)end;
    writer->populated = writer->size;
#endif
    return true;
}

int lane_append(struct lane_writer *writer, const struct shape *shape, uint32_t flags, const int64_t *times, const struct part *parts,
                uint32_t count, bool try, struct append_result *result) {
    if (!try) pthread_mutex_lock(&writer->mutex);
    else if (pthread_mutex_trylock(&writer->mutex)) return result->code = APPEND_BUSY;
    result->dictionary = 0;
    result->wall = 0;
    result->code = writer->closed ? APPEND_CLOSED : APPEND_GROW;
    if (writer->closed) goto out;
    result->record = record_size(shape, parts, count);
    result->generation = writer->generation;
    result->refused = load32_relaxed(&writer->member->refused) > writer->generation;
    if (writer->shapes * 2 >= writer->entries_size && !grow_shapes(writer)) {
        result->code = APPEND_NO_MEMORY;
        goto out;
    }
    struct shape_entry *entry = find_shape(writer, shape);
    if (!entry->id) result->dictionary = definition_size(shape);
    uint64_t pad;
    if (!writer->lane || result->refused || result->record > writer->size || !reserve(writer, result->record, &pad)) goto out;
    uint64_t end = (writer->tail + pad) % writer->size + result->record;
    if (end > writer->populated && !populate(writer, end)) goto out;
    struct record head = {
        .words = (uint32_t)(result->record / 8),
        .kind = RECORD_ROW,
        .flags = (uint16_t)flags,
        .shape = shape_id(writer, shape, entry),
        .sequence = writer->sequence,
    };
    if (!head.shape) goto out; /* dictionary full */
    struct row_id id = next_row_id(&result->wall); /* under the mutex: row ids ascend along the lane */
    head.row_time = id.time;
    head.row_counter = id.counter;
    if (pad) {
        struct record filler = {.words = (uint32_t)(pad / 8), .kind = RECORD_PAD};
        memcpy(writer->ring + writer->tail % writer->size, &filler, 8); /* a pad may be as short as 8 bytes */
    }
    write_record(writer->ring + (writer->tail + pad) % writer->size, &head, shape, times, result->wall, parts, count);
    uint64_t before = writer->tail - writer->head;
    writer->tail += pad + result->record;
    writer->sequence++;
    store_release(&writer->lane->tail, writer->tail); /* SYNC POINT publish: the row is safe */
    store_release(&writer->member->written, ++writer->rows);
    writer->over = false;
    full_fence(); /* SYNC POINT wake, producer's half */
    bool armed = load32_relaxed(writer->need_wake) && exchange32(writer->need_wake, 0);
    bool half = before <= writer->size / 2 && writer->tail - writer->head > writer->size / 2;
    if (half) { /* by an old view of head: look again, so that the bell rings once for each time that it really is so */
        writer->head = load_acquire(&writer->lane->head_position);
        half = writer->tail - writer->head > writer->size / 2;
    }
    result->code = half ? APPEND_HALF : armed ? APPEND_RING : APPEND_DONE;
out:
    pthread_mutex_unlock(&writer->mutex);
    return result->code;
}
