/*
 * binding.h - what the files of the CPython binding share: buffers in, exceptions out, GIL and fork rules. Everything else is in files
 * without Python.h.
 *
 * Fork: Segment and Lane carry the stamp of the process that made them. In another process they refuse every call and their
 * destructors do nothing, so an inherited object can neither touch nor unmap the child's own memory.
 *
 * Re-entry: a call into Python may log, fork, raise, or replace what a stream is bound to. What is used after such a call, or while
 * the GIL is released, is owned by the caller and looked at again.
 */
#ifndef SHMRERUN_BINDING_H
#define SHMRERUN_BINDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "growth.h"
#include "lane.h"
#include "layout.h"
#include "process.h"
#include "times.h"

#define FAST(function) (PyCFunction)(void (*)(void))(function)

bool take_args(Py_ssize_t have, Py_ssize_t want, const char *name);

/* ---- Segment, bind_segment.c: a mapping with atomic words, owned by the process that made it */

typedef struct {
    PyObject_HEAD
    uint8_t *base;
    uint64_t size, stamp;
    uint32_t pins;  /* lanes that use the mapping */
    bool closed;    /* unmapped when the last pin goes */
} Segment;

extern PyTypeObject SegmentType;
bool segment_alive(const Segment *segment); /* false: with an exception */
void segment_pin(Segment *segment);
void segment_unpin(Segment *segment);
void *segment_word(Segment *segment, PyObject *offset, unsigned width); /* NULL: with an exception */
PyObject *segment_fence(PyObject *self, PyObject *ignored);

/* ---- Lane, bind_lane.c: this process's lane in one session */

typedef struct {
    PyObject_HEAD
    struct lane_writer writer;
    struct lane_place place;
    uint64_t stamp, key;
    Segment *tree, *session;
    PyObject *spill; /* bytes: directory for file mappings, once there was need of one */
} Lane;

extern PyTypeObject LaneType;
extern struct names paths, column_sets;

/* What became of a row; the numbers are those of `_core.pyi`. Above ROW_WAKE_HALF it is not in the lane. */
enum { ROW_DONE, ROW_WAKE, ROW_WAKE_HALF, ROW_DROPPED, ROW_FULL, ROW_SPILL, ROW_NO_ROOM, ROW_CLOSED, ROW_ERROR = -1 };

struct row_outcome {
    int code;
    uint64_t record; /* bytes, where there was no room */
    int64_t wall;
};

/* Whether rows may go to a lane: it is this process's, and its membership goes on. */
static inline bool lane_usable(const Lane *lane) {
    return lane->stamp == process_stamp() && !lane->writer.closed;
}

/* ---- fields of archetypes, bind_archetype.c */

#define FIELDS_LIMIT 16u

/* How a field's values lie: of one kind of number, or a text. */
struct field {
    Py_ssize_t offset; /* of its slot in an instance */
    uint8_t code;      /* of the numbers, as in module `array`; or that of another kind; 0: nothing but parts */
    uint8_t size, width; /* bytes of a number, numbers of a value */
    PyObject *known;   /* dict: value -> parts, or NULL */
};

/* What a slot holds: a tuple of parts, or values of which the parts follow. Owned. */
struct cell {
    PyObject *value;
    const struct field *field;
};
struct row_cells {
    struct cell cells[FIELDS_LIMIT];
    uint32_t count, columns;
};

int archetype_init(void);
bool row_take(PyObject *entity, struct row_cells *row); /* the fields that are set; false: it has none, or no plan, or no columns yet */
void row_release(struct row_cells *row);
PyObject *row_tuple(const struct row_cells *row);       /* its parts in one tuple */
PyObject *cell_tuple(const struct cell *cell);          /* TypeError: nothing that a slot may hold */
uint32_t cell_parts(const struct cell *cell);           /* how many parts it comes to */
bool cell_span(const struct cell *cell, const void **data, uint64_t *size); /* where its values lie; false: it is something else */
PyObject *core_field_parts(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *core_plan(PyObject *self, PyObject *args);
PyObject *core_meet_numpy(PyObject *self, PyObject *args);

/* The lane is usable. Appends the row of interned path and column set at the calling thread's times, growing the lane as needed. ERROR: with an exception. */
struct row_outcome lane_append_parts(Lane *lane, uint32_t path, uint32_t columns, PyObject *parts, uint32_t flags);
struct row_outcome lane_append_cells(Lane *lane, uint32_t path, const struct row_cells *row, uint32_t flags);

/* ---- the hot path, bind_log.c */

extern PyTypeObject StreamType, OwnRowType;
extern const char log_doc[], set_time_doc[];
int log_init(void);
PyObject *no_room_for_time(void);                            /* raises */
void tell_changed_type(uint32_t before, uint32_t timeline); /* interned timelines of one name */

/* Sets the calling thread's time on an interned timeline; tells of one that changes its type. NULL: with an exception. */
static inline PyObject *set_time(uint64_t key, uint32_t timeline, int64_t value) {
    uint32_t replaced = 0;
    if (!times_set(key, timeline, value, &replaced)) return no_room_for_time();
    if (replaced) tell_changed_type(replaced, timeline);
    Py_RETURN_NONE;
}

PyObject *core_log(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names);
PyObject *core_log_row(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *core_set_time(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names);
PyObject *core_use(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *core_use_thread(PyObject *self, PyObject *stream);
PyObject *core_know_path(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* ---- the aggregator's side, bind_hopper.c, and the numbers of layout.h, bind_layout.c */

extern PyTypeObject HopperType;
int layout_add(PyObject *module);

#endif
