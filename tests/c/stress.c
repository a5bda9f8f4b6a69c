/*
 * stress.c - the C core without Python: two producer threads share one lane, which grows by succession, while a consumer drains,
 * gathers and commits in random order. Built by test_core.py under ThreadSanitizer and under ASan+UBSan.
 *
 * Checked: every row arrives once, in order of sequence per producer, value by value; heads never pass what was committed;
 * row ids ascend along the lane.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomics.h"
#include "hopper.h"
#include "lane.h"

#define PRODUCERS 2
#define GENERATIONS 64
#define CHECK(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                        \
        }                                                                   \
    } while (0)

static struct lane_writer writer;
static uint32_t need_wake;
static struct member member;
static struct lane *generations[GENERATIONS];
static uint64_t sizes[GENERATIONS];
static _Atomic uint32_t published;
static _Atomic uint32_t finished;
static pthread_mutex_t growing = PTHREAD_MUTEX_INITIALIZER;
static uint32_t rows_each;

static void grow(uint32_t refused, uint64_t record) {
    pthread_mutex_lock(&growing);
    uint32_t next = atomic_load(&published);
    if (next == 0 || refused + 1 == next) { /* else another thread was first */
        uint64_t dictionary = 4096, ring = (uint64_t)16384 << (next % 4);
        while (ring < 4 * record) ring *= 2;
        CHECK(next < GENERATIONS);
        struct lane *lane = aligned_alloc(64, sizeof *lane + dictionary + ring);
        memset(lane, 0, sizeof *lane + dictionary + ring);
        lane->dictionary_offset = sizeof *lane;
        lane->dictionary_size = dictionary;
        lane->ring_offset = sizeof *lane + dictionary;
        lane->ring_size = ring;
        generations[next] = lane;
        sizes[next] = sizeof *lane + dictionary + ring;
        atomic_store(&published, next + 1);
        pthread_mutex_lock(&writer.mutex);
        lane_writer_install(&writer, lane, 0, next); /* 0 bytes mapped: the consumer reads at the same address, so nothing is unmapped */
        pthread_mutex_unlock(&writer.mutex);
    }
    pthread_mutex_unlock(&growing);
}

static void *produce(void *argument) {
    uint64_t me = (uint64_t)(uintptr_t)argument;
    char payload[3000];
    unsigned seed = (unsigned)me + 1;
    for (uint64_t i = 0; i < rows_each; i++) {
        uint64_t value = me << 32 | i;
        uint32_t length = (uint32_t)rand_r(&seed) % 100 == 0 ? (uint32_t)rand_r(&seed) % sizeof payload : (uint32_t)i % 40;
        int32_t offsets[2] = {0, (int32_t)length};
        memset(payload, (int)(value & 0x7f), length);
        struct part parts[] = {{NULL, 1, false}, {NULL, 0, true}, {&value, 8, true},
                               {NULL, 1, false}, {NULL, 0, true}, {offsets, 8, true}, {payload, length, true}};
        char path[16];
        int size = snprintf(path, sizeof path, "/p%d", (int)(i % 7));
        struct shape shape = {.path = (uint32_t)(i % 7) + 1, .times = 1, .columns = 1, .flags = ROW_STATIC,
                              .path_text = {path, (uint32_t)size}, .columns_text = {"c", 1}, .log_time = -1};
        for (;;) {
            struct append_result result;
            lane_append(&writer, &shape, ROW_STATIC, NULL, parts, 7, i % 2, &result);
            if (result.code == APPEND_BUSY) continue;
            CHECK(result.code != APPEND_NO_MEMORY);
            if (result.code != APPEND_GROW) break;
            uint32_t newest = atomic_load(&published);
            if (result.record > generations[newest - 1]->ring_size / 4 || (newest < GENERATIONS / 2 && rand_r(&seed) % 64 == 0)) grow(result.generation, result.record);
            else sched_yield();
        }
    }
    atomic_fetch_add(&finished, 1);
    return NULL;
}

static uint64_t total;
static uint64_t seen_rows;
static uint8_t *seen;

static void check_batch(struct hopper *hopper, const struct batch *batch, const struct group *group) {
    struct node_total totals[2] = {0}, *t = totals;
    int32_t roots[2];
    for (uint64_t i = 0; i < batch->count; i++) {
        struct entry *entry;
        struct row_parts parts;
        const int64_t *times;
        CHECK(row_of(hopper, &batch->rows[i], &entry, &parts, &times));
        CHECK(gather_measure(group->nodes, 2, &parts, totals, roots));
    }
    t[0].out[1] = malloc(t[0].bytes[1] + 1);
    t[1].out[1] = malloc(t[1].bytes[1] + 1);
    t[1].out[2] = malloc(t[1].bytes[2] + 1);
    uint64_t before_time = 0;
    for (uint64_t i = 0; i < batch->count; i++) {
        struct entry *entry;
        struct row_parts parts;
        const int64_t *times;
        CHECK(row_of(hopper, &batch->rows[i], &entry, &parts, &times));
        CHECK(gather_fill(group->nodes, 2, &parts, totals));
        CHECK(entry->time > before_time);
        before_time = entry->time;
        uint64_t value;
        memcpy(&value, t[0].out[1] + 8 * i, 8);
        uint64_t producer = value >> 32, number = value & 0xffffffff;
        CHECK(producer < PRODUCERS && number < rows_each);
        CHECK(!seen[producer * rows_each + number]);
        seen[producer * rows_each + number] = 1;
        seen_rows++;
        int32_t from, to;
        memcpy(&from, t[1].out[1] + 4 * i, 4);
        memcpy(&to, t[1].out[1] + 4 * i + 4, 4);
        for (int32_t k = from; k < to; k++) CHECK(t[1].out[2][k] == (value & 0x7f));
    }
    free(t[0].out[1]);
    free(t[1].out[1]);
    free(t[1].out[2]);
}

static void consume(void) {
    struct hopper hopper = {0};
    struct node nodes[2] = {{NODE_FIXED, 8, true}, {NODE_VARBIN, 0, true}};
    uint32_t attached = 0, group_of_path[7] = {0}, removed = 0;
    unsigned seed = 7;
    for (;;) {
        bool over = atomic_load(&finished) == PRODUCERS;
        uint32_t now = atomic_load(&published);
        for (; attached < now; attached++) {
            const char *why;
            CHECK(hopper_add_reader(&hopper, generations[attached], sizes[attached], &why) == attached);
        }
        hopper_scan(&hopper);
        for (uint32_t r = removed; r < attached; r++) {
            const struct definition *found;
            while ((found = next_definition(hopper.readers[r]))) {
                int path = ((const char *)(found + 1))[2] - '0';
                CHECK(path >= 0 && path < 7);
                if (!group_of_path[path]) group_of_path[path] = (uint32_t)hopper_add_group(&hopper, nodes, 2, 0);
                CHECK(!hopper_define(&hopper, r, found->shape, group_of_path[path]));
            }
        }
        CHECK(hopper_collect(&hopper, 0) >= 0);
        for (uint32_t g = 1; g <= hopper.groups_count; g++) {
            if (!over && rand_r(&seed) % 3) continue; /* patience: heads stay behind */
            struct batch batch;
            CHECK(!hopper_take(&hopper, g, 1000, 500, 1 << 20, &batch));
            if (rand_r(&seed) % 5 == 0) { /* the write failed */
                CHECK(!hopper_restore(&hopper, &batch));
            } else if (batch.count) {
                check_batch(&hopper, &batch, hopper.groups[g - 1]);
                hopper_commit(&hopper, &batch);
                total += batch.count;
            }
            batch_free(&batch);
        }
        hopper_advance(&hopper);
        for (uint32_t r = removed; r < attached; r++) {
            struct reader *reader = hopper.readers[r];
            CHECK(!reader->broken);
            CHECK(reader->low <= reader->read && reader->read <= reader->tail && reader->tail - reader->low <= reader->ring_size);
        }
        while (removed < attached && hopper.readers[removed]->closed && hopper.readers[removed]->read == hopper.readers[removed]->tail &&
               !hopper.readers[removed]->count) {
            removed++; /* kept mapped and in the table: the numbering stays simple */
        }
        if (over && total == (uint64_t)PRODUCERS * rows_each) break;
    }
    hopper_free(&hopper);
}

int main(int argc, char **argv) {
    rows_each = argc > 1 ? (uint32_t)atoi(argv[1]) : 20000;
    seen = calloc(PRODUCERS, rows_each);
    lane_writer_init(&writer);
    writer.need_wake = &need_wake;
    writer.member = &member;
    struct append_result first = {0};
    grow(first.generation, 64);
    pthread_t threads[PRODUCERS];
    for (uintptr_t i = 0; i < PRODUCERS; i++) pthread_create(&threads[i], NULL, produce, (void *)i);
    consume();
    for (int i = 0; i < PRODUCERS; i++) pthread_join(threads[i], NULL);
    CHECK(seen_rows == (uint64_t)PRODUCERS * rows_each);
    CHECK(member.written == seen_rows);
    for (uint32_t i = 0; i < atomic_load(&published); i++) free(generations[i]);
    lane_writer_free(&writer);
    free(seen);
    printf("%llu rows, %u generations\n", (unsigned long long)seen_rows, atomic_load(&published));
    return 0;
}
