/* times.c - see times.h. */
#include "times.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"

/* ---- names ---- */

static uint32_t hash_bytes(const uint8_t *data, uint32_t size) { /* FNV-1a */
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < size; i++) hash = (hash ^ data[i]) * 16777619u;
    return hash;
}

static uint32_t *find_slot(const struct names *names, const void *data, uint32_t size) {
    uint32_t mask = names->slots_size - 1;
    for (uint32_t at = hash_bytes(data, size) & mask;; at = (at + 1) & mask) {
        uint32_t id = names->slots[at];
        if (!id || (names->texts[id - 1].size == size && !memcmp(names->texts[id - 1].data, data, size))) return &names->slots[at];
    }
}

static bool grow_names(struct names *names) {
    uint32_t size = names->slots_size ? names->slots_size * 2 : 256;
    struct text *texts = realloc(names->texts, size * sizeof *texts);
    if (!texts) return false;
    names->texts = texts;
    names->room = size / 2;
    uint32_t *slots = calloc(size, sizeof *slots), *old = names->slots;
    if (!slots) return false;
    names->slots = slots;
    names->slots_size = size;
    for (uint32_t i = 0; i < names->count; i++) *find_slot(names, texts[i].data, texts[i].size) = i + 1;
    free(old);
    return true;
}

uint32_t names_intern(struct names *names, const void *data, uint32_t size) {
    if (names->count >= names->room && (names->count >= 1u << 30 || !grow_names(names))) return 0;
    uint32_t *slot = find_slot(names, data, size);
    if (*slot) return *slot;
    void *copy = malloc(size ? size : 1);
    if (!copy) return 0;
    memcpy(copy, data, size);
    names->texts[names->count] = (struct text){copy, size};
    return *slot = ++names->count;
}

/* ---- timelines ---- */

static struct names timelines, time_sets;

struct time_set { /* facts about an interned set, by its id */
    uint32_t count;
    int32_t log_time;
};
static struct time_set *set_facts;
static uint32_t set_facts_size;

uint32_t timeline_intern(uint8_t kind, const char *name, uint32_t size) {
    char small[256], *text = size < sizeof small ? small : malloc((size_t)size + 1);
    if (!text) return 0;
    text[0] = (char)kind;
    memcpy(text + 1, name, size);
    uint32_t id = names_intern(&timelines, text, size + 1);
    if (text != small) free(text);
    return id;
}

struct text timeline_text(uint32_t timeline) {
    return names_text(&timelines, timeline);
}

static int compare_names(struct text a, struct text b) {
    uint32_t shorter = a.size < b.size ? a.size : b.size;
    int order = memcmp(a.data, b.data, shorter);
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static struct text name_of(uint32_t timeline) {
    struct text text = names_text(&timelines, timeline);
    return (struct text){(const char *)text.data + 1, text.size - 1};
}

/* ---- current times ---- */

struct current_time {
    uint32_t timeline;
    int64_t value;
};

struct current_times {
    uint64_t key;
    uint32_t count, size;
    struct current_time *times; /* by name */
    int64_t *values;            /* size + 1: as they go into a row */
    uint32_t sets[4];           /* interned set for each choice of automatic timelines, 0: not known */
    struct current_times *next;
};

struct thread_times {
    uint64_t stamp;
    struct current_times *first;
};

static pthread_key_t thread_key; /* of the same as `own`: to free it when the thread ends */
static _Thread_local struct thread_times *own;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;

static void free_times(struct thread_times *thread) {
    for (struct current_times *times = thread->first, *next; times; times = next) {
        next = times->next;
        free(times->times);
        free(times->values);
        free(times);
    }
    thread->first = NULL;
}

static void thread_ended(void *thread) {
    own = NULL; /* a later destructor of the thread may log */
    free_times(thread);
    free(thread);
}

static void make_thread_key(void) {
    pthread_key_create(&thread_key, thread_ended);
}

static struct current_times *find_times(uint64_t key, bool make) {
    struct thread_times *thread = own;
    if (!thread) {
        if (!make) return NULL;
        pthread_once(&thread_once, make_thread_key);
        thread = calloc(1, sizeof *thread);
        if (!thread) return NULL;
        if (pthread_setspecific(thread_key, thread)) {
            free(thread);
            return NULL;
        }
        own = thread;
    }
    uint64_t stamp = process_stamp();
    if (thread->stamp != stamp) { /* a forked child starts without times */
        free_times(thread);
        thread->stamp = stamp;
    }
    for (struct current_times *times = thread->first; times; times = times->next)
        if (times->key == key) return times;
    if (!make) return NULL;
    struct current_times *times = calloc(1, sizeof *times);
    if (!times) return NULL;
    times->key = key;
    times->next = thread->first;
    return thread->first = times;
}

static void changed_set(struct current_times *times) {
    memset(times->sets, 0, sizeof times->sets);
}

bool times_set(uint64_t key, uint32_t timeline, int64_t value, uint32_t *replaced) {
    struct current_times *times = find_times(key, true);
    if (!times) return false;
    uint32_t at = 0;
    for (; at < times->count; at++) {
        if (times->times[at].timeline == timeline) {
            times->times[at].value = value;
            return true;
        }
    }
    struct text name = name_of(timeline);
    int order = 1;
    for (at = 0; at < times->count; at++)
        if ((order = compare_names(name_of(times->times[at].timeline), name)) >= 0) break;
    if (at < times->count && order == 0) { /* the same name with another kind: replaced */
        *replaced = times->times[at].timeline;
        times->times[at] = (struct current_time){timeline, value};
        changed_set(times);
        return true;
    }
    if (times->count == times->size) {
        uint32_t size = times->size ? times->size * 2 : 8;
        if (size > THREAD_TIMES_LIMIT) return false;
        struct current_time *list = realloc(times->times, size * sizeof *list);
        if (!list) return false;
        times->times = list;
        int64_t *values = realloc(times->values, (size + 1) * sizeof *values);
        if (!values) return false;
        times->values = values;
        times->size = size;
    }
    memmove(times->times + at + 1, times->times + at, (times->count - at) * sizeof *times->times);
    times->times[at] = (struct current_time){timeline, value};
    times->count++;
    changed_set(times);
    return true;
}

void times_forget(uint64_t key, const char *name, uint32_t size) {
    struct current_times *times = find_times(key, false);
    if (!times) return;
    for (uint32_t at = 0; at < times->count; at++) {
        if (compare_names(name_of(times->times[at].timeline), (struct text){name, size})) continue;
        memmove(times->times + at, times->times + at + 1, (times->count - at - 1) * sizeof *times->times);
        times->count--;
        changed_set(times);
        return;
    }
}

void times_reset(uint64_t key) {
    struct current_times *times = find_times(key, false);
    if (!times) return;
    times->count = 0;
    changed_set(times);
}

uint32_t times_list(uint64_t key, uint32_t *ids, int64_t *values, uint32_t limit) {
    struct current_times *times = find_times(key, false);
    if (!times) return 0;
    for (uint32_t i = 0; i < times->count && i < limit; i++) {
        ids[i] = times->times[i].timeline;
        values[i] = times->times[i].value;
    }
    return times->count;
}

/* ---- the times of a row ---- */

static bool is_named(uint32_t timeline, const char *name) {
    struct text text = name_of(timeline);
    return text.size == strlen(name) && !memcmp(text.data, name, text.size);
}

static bool overwritten(uint32_t timeline, uint64_t switches) { /* an automatic timeline wins over the user's of its name */
    return ((switches & SWITCH_LOG_TIME) && is_named(timeline, "log_time")) ||
           ((switches & SWITCH_LOG_TICK) && is_named(timeline, "log_tick"));
}

static bool keep_facts(uint32_t set, uint32_t count, int32_t log_time) {
    if (set > set_facts_size) {
        uint32_t size = set_facts_size ? set_facts_size * 2 : 64;
        while (size < set) size *= 2;
        struct time_set *facts = realloc(set_facts, size * sizeof *facts);
        if (!facts) return false;
        set_facts = facts;
        set_facts_size = size;
    }
    set_facts[set - 1] = (struct time_set){count, log_time};
    return true;
}

static void put_timeline(uint8_t **to, uint32_t timeline) {
    struct text text = names_text(&timelines, timeline);
    uint32_t size = text.size - 1;
    *(*to)++ = *(const uint8_t *)text.data;
    memcpy(*to, &size, 4);
    memcpy(*to + 4, (const uint8_t *)text.data + 1, size);
    *to += 4 + size;
}

/* Interns the set of timelines that rows have under these switches. 0: no memory. */
static uint32_t make_set(const struct current_times *times, uint64_t switches) {
    uint32_t automatic = timeline_intern(3, "log_time", 8), count = 0;
    if (!automatic) return 0;
    size_t room = 64;
    for (uint32_t i = 0; times && i < times->count; i++) room += 8 + names_text(&timelines, times->times[i].timeline).size;
    uint8_t *text = malloc(room), *to = text;
    if (!text) return 0;
    int32_t log_time = -1;
    for (uint32_t i = 0; times && i < times->count; i++) {
        uint32_t timeline = times->times[i].timeline;
        if (overwritten(timeline, switches)) continue;
        if ((switches & SWITCH_LOG_TIME) && log_time < 0 && compare_names(name_of(timeline), name_of(automatic)) > 0) {
            log_time = (int32_t)count++;
            put_timeline(&to, automatic);
        }
        put_timeline(&to, timeline);
        count++;
    }
    if ((switches & SWITCH_LOG_TIME) && log_time < 0) {
        log_time = (int32_t)count++;
        put_timeline(&to, automatic);
    }
    uint32_t set = names_intern(&time_sets, text, (uint32_t)(to - text));
    free(text);
    return set && keep_facts(set, count, log_time) ? set : 0;
}

bool times_of_row(uint64_t key, uint64_t switches, struct shape *shape, const int64_t **values) {
    struct current_times *times = find_times(key, false);
    switches &= SWITCH_LOG_TIME | SWITCH_LOG_TICK;
    static uint32_t bare[4]; /* the sets of a thread without times */
    uint32_t *known = times ? &times->sets[switches / SWITCH_LOG_TIME] : &bare[switches / SWITCH_LOG_TIME];
    if (!*known && !(*known = make_set(times, switches))) return false;
    struct time_set facts = set_facts[*known - 1];
    shape->times = *known;
    shape->times_text = names_text(&time_sets, *known);
    shape->times_count = facts.count;
    shape->log_time = facts.log_time;
    shape->flags = facts.count ? (switches & SWITCH_LOG_TICK ? ROW_TICK : 0) : ROW_STATIC;
    static const int64_t none[1];
    *values = none;
    if (!times || !times->count) return true;
    bool some_overwritten = facts.count != times->count + (facts.log_time >= 0);
    uint32_t at = 0;
    for (uint32_t i = 0; i < times->count; i++) {
        if (some_overwritten && overwritten(times->times[i].timeline, switches)) continue;
        if ((int32_t)at == facts.log_time) at++;
        times->values[at++] = times->times[i].value;
    }
    *values = times->values;
    return true;
}
