/* growth.c - see growth.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "growth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "atomics.h"

#define PAGE 4096u
#define RESERVED (64u * 1024u) /* of a ring when it is made; the rest as the first lap reaches it */
#define WIDEST_SHARE 8u /* a lane widens ahead of need up to this part of the budget */

/* ---- a segment ---- */

static void name_generation(const struct lane_place *place, uint32_t generation, char *name, size_t size) {
    char digits[8];
    int at = (int)sizeof digits;
    digits[--at] = 0;
    do {
        digits[--at] = "0123456789abcdefghijklmnopqrstuvwxyz"[generation % 36];
        generation /= 36;
    } while (generation);
    snprintf(name, size, "%s%s", place->prefix, digits + at);
}

static int reserve_bytes(int fd, uint64_t size) {
    int error = EINTR;
    for (int tries = 0; error == EINTR && tries < 100; tries++) error = posix_fallocate(fd, 0, (off_t)size);
    return error;
}

/* Maps `size` bytes of a new shared segment, of which `first` are reserved now. NULL: *error. */
static struct lane *map_shared(const char *name, uint64_t size, uint64_t first, int *error) {
    char path[PREFIX_SIZE + 16];
    snprintf(path, sizeof path, "/%s", name);
    int fd = shm_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) { /* the name is this generation's alone: something else took it */
        shm_unlink(path);
        fd = shm_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (fd < 0) {
        *error = errno;
        return NULL;
    }
    void *base = MAP_FAILED;
    *error = reserve_bytes(fd, first < size && can_populate() ? first : size);
    if (!*error && ftruncate(fd, (off_t)size)) *error = errno;
    if (!*error && (base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED) *error = errno;
    close(fd);
    if (base == MAP_FAILED) {
        shm_unlink(path);
        return NULL;
    }
    return base;
}

static struct lane *map_file(const char *directory, const char *name, uint64_t size, int *error) {
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path) {
        *error = ENAMETOOLONG;
        return NULL;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        *error = errno;
        return NULL;
    }
    void *base = MAP_FAILED;
    *error = reserve_bytes(fd, size);
    if (!*error && (base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED) *error = errno;
    close(fd);
    if (base == MAP_FAILED) {
        unlink(path);
        return NULL;
    }
    return base;
}

/* ---- a generation ---- */

/* Makes and installs the next generation. spill NULL: in shared memory, within the budget. False: nothing has changed; *error, 0 for the budget. */
static bool succeed(struct lane_writer *writer, const struct lane_place *place, uint64_t dictionary, uint64_t ring, const char *spill,
                    int *error) {
    struct member *member = writer->member;
    uint32_t number = load32_relaxed(&member->newest);
    uint64_t size = sizeof(struct lane) + dictionary + ring;
    char name[PREFIX_SIZE + 8];
    struct lane *lane = NULL;
    *error = 0;
    name_generation(place, number, name, sizeof name);
    store32_release(&member->intent, number + 1); /* before the budget: whoever counts what exists sees that something is under way */
    full_fence();
    if (spill) {
        lane = map_file(spill, name, size, error);
    } else if (fetch_add(&place->tree->budget_used, size) + size <= load_relaxed(&place->tree->budget_limit)) {
        lane = map_shared(name, size, sizeof *lane + dictionary + RESERVED, error);
    }
    if (!lane) {
        if (!spill) fetch_add(&place->tree->budget_used, (uint64_t)0 - size);
        store32_release(&member->intent, 0);
        return false;
    }
#ifdef MADV_DONTFORK
    (void)madvise(lane, size, MADV_DONTFORK); /* a forked child maps for itself, and keeps no memory of ours alive */
#endif
    lane->dictionary_offset = sizeof *lane;
    lane->dictionary_size = dictionary;
    lane->ring_offset = sizeof *lane + dictionary;
    lane->ring_size = ring;
    lane->rows_before = writer->rows;
    memcpy(lane->head.token, place->session->head.token, sizeof lane->head.token);
    lane->head.version = LAYOUT_VERSION;
    lane->head.generation = number;
    lane->head.size = size;
    lane->head.serial = place->session->head.serial;
    lane->head.maker = place->maker;
    lane->head.uid = place->session->head.uid;
    lane->head.member = place->member;
    store_release(&lane->head.magic, LANE_MAGIC);
    store32_release(&member->newest, number + 1); /* published: only now is the one before closed */
    store32_release(&member->intent, 0);
    lane_writer_install(writer, lane, size, number);
    fetch_add(&place->session->sink_turn, 1); /* the aggregator looks for members and lanes again */
    return true;
}

/* Ring and dictionary of the next generation: for four such records, doubled when it was full, with room for definitions. */
static void choose_sizes(const struct lane_writer *writer, const struct lane_place *place, const struct append_result *need, uint64_t *ring,
                         uint64_t *dictionary) {
    bool first = !writer->lane, lacks = !first && need->dictionary > writer->dictionary_size - writer->dictionary_tail;
    *dictionary = first ? place->first_dictionary : writer->dictionary_size;
    *ring = first ? place->first_ring : writer->size;
    if (lacks) *dictionary *= 2;
    while (need->dictionary > *dictionary) *dictionary *= 2;
    if (!first && !lacks && !need->refused) *ring *= 2;
    while (need->record > *ring / 4) *ring *= 2;
    if (*ring > place->first_ring) *ring = (*ring + PAGE - 1) / PAGE * PAGE;
}

/* Whether a record goes into the present generation once that is empty: records are contiguous, before its end or after. */
static bool will_fit(const struct lane_writer *writer, const struct append_result *need, uint64_t dictionary) {
    if (!writer->lane || need->refused || dictionary != writer->dictionary_size) return false;
    uint64_t offset = writer->tail % writer->size, left = writer->size - offset;
    return need->record <= (left > offset ? left : offset);
}

int lane_grow(struct lane_writer *writer, const struct lane_place *place, const struct append_result *need, const char *spill, int *error) {
    uint64_t ring, dictionary, smallest = (need->record + PAGE) / 8 * 8;
    choose_sizes(writer, place, need, &ring, &dictionary);
    bool fits = will_fit(writer, need, dictionary);
    if (geteuid() != place->session->head.uid) { /* setuid: nobody could read what this process makes now */
        *error = EPERM;
        return GROWTH_FAILED;
    }
    if (!spill) {
        uint64_t least = smallest > place->first_ring ? smallest : place->first_ring;
        for (;; ring /= 2) {
            if (succeed(writer, place, dictionary, ring, NULL, error)) return GROWTH_DONE;
            if (ring / 2 < least || (fits && ring / 2 <= writer->size)) break;
        }
        return fits ? GROWTH_WAIT : GROWTH_SPILL;
    }
    return succeed(writer, place, dictionary, smallest, spill, error) ? GROWTH_DONE : GROWTH_FAILED;
}

void lane_widen(struct lane_writer *writer, const struct lane_place *place) {
    if (!writer->lane || writer->closed) return;
    uint64_t ring = 2 * writer->size, size = sizeof(struct lane) + writer->dictionary_size + ring;
    int error;
    if (size <= load_relaxed(&place->tree->budget_limit) / WIDEST_SHARE)
        (void)succeed(writer, place, writer->dictionary_size, ring, NULL, &error);
}
