/* bind_lane.c - the Lane type: parts out of Python objects, the row into the lane, growth where there is no room. */
#include "binding.h"

#include <errno.h>

#include "atomics.h"

#define RELEASE_GIL_BYTES (256u * 1024u) /* copies above it let other threads run */

struct names paths, column_sets;
static struct names column_times;

/* Lane(tree, session, times key, member, maker, prefix of names, bytes of the first ring, of its dictionary) */
static PyObject *lane_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    Segment *tree, *session;
    unsigned long long key, maker, ring, dictionary;
    unsigned member;
    const char *prefix;
    if (!PyArg_ParseTuple(args, "O!O!KIKsKK", &SegmentType, &tree, &SegmentType, &session, &key, &member, &maker, &prefix, &ring,
                          &dictionary) ||
        !segment_alive(tree) || !segment_alive(session))
        return NULL;
    if (tree->size < sizeof(struct tree) || session->size < sizeof(struct session) || member >= SESSION_MEMBERS ||
        strlen(prefix) >= PREFIX_SIZE || ring < 64 || ring % 8 || dictionary < sizeof(struct definition) || dictionary % 8)
        return PyErr_Format(PyExc_ValueError, "no lane for member %u of such a tree and session", member);
    Lane *self = (Lane *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    lane_writer_init(&self->writer);
    segment_pin(self->tree = tree);
    segment_pin(self->session = session);
    self->place.tree = (struct tree *)(void *)tree->base;
    self->place.session = (struct session *)(void *)session->base;
    self->place.maker = maker;
    self->place.member = member;
    self->place.first_ring = ring;
    self->place.first_dictionary = dictionary;
    memcpy(self->place.prefix, prefix, strlen(prefix) + 1);
    self->writer.need_wake = &self->place.tree->need_wake;
    self->writer.member = &self->place.session->member[member];
    self->writer.rows = load_relaxed(&self->writer.member->written);
    self->stamp = process_stamp();
    self->key = key;
    return (PyObject *)self;
}

static void lane_dealloc(Lane *self) {
    if (self->stamp == process_stamp()) lane_writer_free(&self->writer); /* an inherited mutex may be held for ever: leave it */
    if (self->tree) segment_unpin(self->tree);
    if (self->session) segment_unpin(self->session);
    Py_XDECREF(self->spill);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/*
 * Takes the mutex with the GIL held on return. Nobody waits for the GIL while holding the mutex, and nobody waits for the mutex while
 * holding the GIL, so neither a copy nor a thread that will never run again can stop the others.
 */
static void lock_lane(Lane *self) {
    while (pthread_mutex_trylock(&self->writer.mutex)) {
        Py_BEGIN_ALLOW_THREADS
        pthread_mutex_lock(&self->writer.mutex);
        pthread_mutex_unlock(&self->writer.mutex);
        Py_END_ALLOW_THREADS
    }
}

/* ---- parts of a row ---- */

#define FEW_PARTS 48

/* Parts of a row, and what must be released and freed after their use. */
struct taken {
    struct part few_parts[FEW_PARTS], *parts;
    Py_buffer few_buffers[FEW_PARTS], *buffers;
    int32_t offsets[FIELDS_LIMIT][2]; /* of single texts */
    uint32_t count, held, texts;
    int64_t bytes; /* -1: with an exception */
};

static bool add_size(struct taken *taken, const void *data, uint64_t size, bool is_buffer) {
    if (size > INT32_MAX) {
        PyErr_Format(PyExc_ValueError, "a value of %llu bytes or elements; Arrow's 32-bit offsets end at %d", (unsigned long long)size,
                     INT32_MAX);
        return false;
    }
    taken->parts[taken->count++] = (struct part){data, (uint32_t)size, is_buffer};
    if (is_buffer) taken->bytes += (int64_t)size;
    return true;
}

static bool add_buffer(struct taken *taken, PyObject *item) {
    Py_buffer *buffer = &taken->buffers[taken->held];
    if (PyObject_GetBuffer(item, buffer, PyBUF_SIMPLE)) return false;
    taken->held++;
    return add_size(taken, buffer->buf, (uint64_t)buffer->len, true);
}

/* Adds a tuple of ints, None and buffers. */
static bool add_tuple(struct taken *taken, PyObject *tuple) {
    for (Py_ssize_t i = 0, count = PyTuple_GET_SIZE(tuple); i < count; i++) {
        PyObject *item = PyTuple_GET_ITEM(tuple, i);
        bool good;
        if (PyLong_CheckExact(item)) {
            uint64_t size = PyLong_AsUnsignedLongLong(item);
            good = !(size == UINT64_MAX && PyErr_Occurred()) && add_size(taken, NULL, size, false);
        } else if (item == Py_None) good = add_size(taken, NULL, 0, true);
        else if (PyBytes_CheckExact(item)) good = add_size(taken, PyBytes_AS_STRING(item), (uint64_t)PyBytes_GET_SIZE(item), true);
        else good = add_buffer(taken, item);
        if (!good) return false;
    }
    return true;
}

/* Adds what a field of an archetype holds: lengths before its values, as many as its type has nodes. */
static bool add_cell(struct taken *taken, const struct cell *cell) {
    if (PyTuple_CheckExact(cell->value)) return add_tuple(taken, cell->value);
    const struct field *field = cell->field;
    const void *data = NULL;
    uint64_t size = 0;
    bool spans = cell_span(cell, &data, &size);
    if (!spans && (!PyMemoryView_Check(cell->value) || !field->size)) {
        PyErr_Format(PyExc_TypeError, "a field holds %.200s, which is no parts", Py_TYPE(cell->value)->tp_name);
        return false;
    }
    if (!spans) { /* the view of an array */
        if (PyObject_GetBuffer(cell->value, &taken->buffers[taken->held], PyBUF_SIMPLE)) return false;
        data = taken->buffers[taken->held].buf;
        size = (uint64_t)taken->buffers[taken->held++].len;
    }
    if (field->code == 's') {
        int32_t *offsets = taken->offsets[taken->texts++];
        offsets[0] = 0;
        offsets[1] = (int32_t)size;
        return add_size(taken, NULL, 1, false) && add_size(taken, NULL, 0, true) && add_size(taken, offsets, 8, true) &&
               add_size(taken, data, size, true);
    }
    uint64_t numbers = size / field->size;
    if (field->width > 1 && !(add_size(taken, NULL, numbers / field->width, false) && add_size(taken, NULL, 0, true))) return false;
    return add_size(taken, NULL, numbers, false) && add_size(taken, NULL, 0, true) && add_size(taken, data, size, true);
}

/* Makes room for so many parts; false: with an exception. */
static bool start_taking(struct taken *taken, uint64_t count) {
    taken->count = taken->held = taken->texts = 0;
    taken->bytes = -1;
    taken->parts = taken->few_parts;
    taken->buffers = taken->few_buffers;
    if (count > RECORD_PARTS_LIMIT) {
        PyErr_Format(PyExc_ValueError, "a row of %llu parts, over the limit of %u", (unsigned long long)count, RECORD_PARTS_LIMIT);
        return false;
    }
    if (count > FEW_PARTS) {
        taken->parts = PyMem_Malloc((size_t)count * sizeof *taken->parts);
        taken->buffers = PyMem_Malloc((size_t)count * sizeof *taken->buffers);
    }
    if (!taken->parts || !taken->buffers) {
        PyErr_NoMemory();
        return false;
    }
    taken->bytes = 0;
    return true;
}

static void take_tuple(struct taken *taken, PyObject *tuple) {
    if (start_taking(taken, (uint64_t)PyTuple_GET_SIZE(tuple)) && !add_tuple(taken, tuple)) taken->bytes = -1;
}

static void take_cells(struct taken *taken, const struct row_cells *row) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < row->count; i++) count += cell_parts(&row->cells[i]);
    if (!start_taking(taken, count)) return;
    for (uint32_t i = 0; i < row->count; i++) {
        if (add_cell(taken, &row->cells[i])) continue;
        taken->bytes = -1;
        return;
    }
}

static void release_taken(struct taken *taken) {
    while (taken->held) PyBuffer_Release(&taken->buffers[--taken->held]);
    if (taken->parts != taken->few_parts) PyMem_Free(taken->parts);
    if (taken->buffers != taken->few_buffers) PyMem_Free(taken->buffers);
}

/* ---- rows ---- */

/* One try under the mutex; large copies, and waiting for another thread's, without the GIL. */
static int append_once(Lane *self, const struct shape *shape, uint32_t flags, const int64_t *times, const struct part *parts,
                       uint32_t count, int64_t bytes, struct append_result *result) {
    if (bytes <= RELEASE_GIL_BYTES && lane_append(&self->writer, shape, flags, times, parts, count, true, result) != APPEND_BUSY)
        return result->code;
    Py_BEGIN_ALLOW_THREADS /* no Python runs in this thread meanwhile, so its times and the texts stay what they are */
    lane_append(&self->writer, shape, flags, times, parts, count, false, result);
    Py_END_ALLOW_THREADS
    return result->code;
}

/* Makes room for what was refused. GROWTH_*, or GROWTH_DONE if another thread was first. */
static int make_room(Lane *self, const struct append_result *need) {
    int error = 0, outcome = GROWTH_DONE;
    lock_lane(self);
    if (!self->writer.closed && (!self->writer.lane || self->writer.generation == need->generation))
        outcome = lane_grow(&self->writer, &self->place, need, NULL, &error);
    if (outcome == GROWTH_SPILL && self->spill)
        outcome = lane_grow(&self->writer, &self->place, need, PyBytes_AS_STRING(self->spill), &error);
    pthread_mutex_unlock(&self->writer.mutex);
    errno = error;
    return outcome;
}

static struct row_outcome append_shape(Lane *self, const struct shape *shape, const int64_t *times, const struct part *parts,
                                       uint32_t count, uint32_t flags, int64_t bytes) {
    bool grown = false;
    for (;;) {
        struct append_result result;
        int code = append_once(self, shape, flags, times, parts, count, bytes, &result), growth;
        struct row_outcome outcome = {.record = result.record, .wall = result.wall};
        switch (code) {
        case APPEND_DONE:
            outcome.code = grown ? ROW_WAKE : ROW_DONE;
            return outcome;
        case APPEND_RING:
            outcome.code = ROW_WAKE;
            return outcome;
        case APPEND_HALF:
            outcome.code = ROW_WAKE_HALF;
            return outcome;
        case APPEND_CLOSED:
            outcome.code = ROW_CLOSED;
            return outcome;
        case APPEND_GROW:
            growth = make_room(self, &result);
            grown = true;
            if (growth == GROWTH_DONE) continue;
            outcome.code = growth == GROWTH_WAIT ? ROW_FULL : growth == GROWTH_SPILL ? ROW_SPILL : ROW_NO_ROOM;
            if (outcome.code == ROW_FULL && self->writer.over) {
                fetch_add(&self->writer.member->dropped_full, 1);
                outcome.code = ROW_DROPPED;
            }
            return outcome;
        default:
            PyErr_NoMemory();
            outcome.code = ROW_ERROR;
            return outcome;
        }
    }
}

/* Appends what was taken, and releases it. Steals a reference to the lane: whoever calls may lose it while the GIL is released. */
static struct row_outcome append_taken(Lane *self, uint32_t path, uint32_t columns, struct taken *taken, uint32_t flags) {
    struct row_outcome outcome = {.code = ROW_ERROR};
    if (taken->held && taken->bytes >= 0 && !lane_usable(self)) {
        outcome.code = ROW_CLOSED;
    } else if (taken->bytes >= 0) {
        struct shape shape = {.path = path, .columns = columns};
        shape.path_text = names_text(&paths, path);
        shape.columns_text = names_text(&column_sets, columns);
        bool is_static = flags & ROW_STATIC;
        uint64_t switches = is_static ? 0 : load_relaxed(&self->place.session->switches);
        const int64_t *times;
        if (times_of_row(is_static ? UINT64_MAX : self->key, switches, &shape, &times)) {
            shape.flags |= flags & ROW_MESSAGE;
            outcome = append_shape(self, &shape, times, taken->parts, taken->count, flags, taken->bytes);
        } else PyErr_NoMemory();
    }
    release_taken(taken);
    Py_DECREF(self);
    return outcome;
}

struct row_outcome lane_append_parts(Lane *self, uint32_t path, uint32_t columns, PyObject *tuple, uint32_t flags) {
    struct taken taken;
    Py_INCREF(self);
    take_tuple(&taken, tuple); /* buffers may run Python, so before all that it could change: times, this lane, this process */
    return append_taken(self, path, columns, &taken, flags);
}

struct row_outcome lane_append_cells(Lane *self, uint32_t path, const struct row_cells *row, uint32_t flags) {
    struct taken taken;
    Py_INCREF(self);
    take_cells(&taken, row);
    return append_taken(self, path, row->columns, &taken, flags);
}

/* (what became of it, bytes of the record) */
static PyObject *tell_outcome(const struct row_outcome *outcome) {
    return outcome->code == ROW_ERROR ? NULL : Py_BuildValue("iK", outcome->code, (unsigned long long)outcome->record);
}

/* append(path, columns, parts, flags) -> (what became of it, bytes of the record) */
static PyObject *lane_append_row(Lane *self, PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 4, "append")) return NULL;
    unsigned long path = PyLong_AsUnsignedLong(args[0]), columns = PyLong_AsUnsignedLong(args[1]), flags = PyLong_AsUnsignedLong(args[3]);
    if (PyErr_Occurred()) return NULL;
    if (!path || path > paths.count || !columns || columns > column_sets.count || !PyTuple_CheckExact(args[2]))
        return PyErr_Format(PyExc_ValueError, "append takes the numbers of a path and a column set, and a tuple of parts");
    struct row_outcome outcome = {.code = ROW_CLOSED};
    if (lane_usable(self)) outcome = lane_append_parts(self, (uint32_t)path, (uint32_t)columns, args[2], (uint32_t)flags);
    return tell_outcome(&outcome);
}

/* append_columns(path, columns, times text, parts, flags): many rows as one record; returns what append does */
static PyObject *lane_append_columns(Lane *self, PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 5, "append_columns")) return NULL;
    unsigned long path = PyLong_AsUnsignedLong(args[0]), columns = PyLong_AsUnsignedLong(args[1]), flags = PyLong_AsUnsignedLong(args[4]);
    if (PyErr_Occurred()) return NULL;
    if (!path || path > paths.count || !columns || columns > column_sets.count || !PyBytes_CheckExact(args[2]) ||
        !PyTuple_CheckExact(args[3]))
        return PyErr_Format(PyExc_ValueError,
                            "append_columns takes the numbers of a path and a column set, the timelines' text and a tuple of parts");
    uint32_t times = names_intern(&column_times, PyBytes_AS_STRING(args[2]), (uint32_t)PyBytes_GET_SIZE(args[2]));
    if (!times) return PyErr_NoMemory();
    struct shape shape = {.path = (uint32_t)path, .columns = (uint32_t)columns, .times = times, .log_time = -1};
    shape.flags = ROW_COLUMNS | (PyBytes_GET_SIZE(args[2]) ? 0 : ROW_STATIC);
    shape.path_text = names_text(&paths, shape.path);
    shape.columns_text = names_text(&column_sets, shape.columns);
    shape.times_text = names_text(&column_times, times);
    struct row_outcome outcome = {.code = ROW_ERROR};
    struct taken taken;
    Py_INCREF(self);
    take_tuple(&taken, args[3]);
    if (taken.bytes >= 0 && !lane_usable(self)) outcome.code = ROW_CLOSED;
    else if (taken.bytes >= 0)
        outcome = append_shape(self, &shape, NULL, taken.parts, taken.count, (uint32_t)flags | ROW_UNCOUNTED | shape.flags, taken.bytes);
    release_taken(&taken);
    Py_DECREF(self);
    return tell_outcome(&outcome);
}

/* ---- its life ---- */

static bool lane_mine(const Lane *self) {
    if (self->stamp == process_stamp()) return true;
    PyErr_SetString(PyExc_ValueError, "lane belongs to another process");
    return false;
}

static PyObject *lane_widen_now(Lane *self, PyObject *Py_UNUSED(ignored)) {
    if (!lane_mine(self)) return NULL;
    lock_lane(self);
    lane_widen(&self->writer, &self->place);
    pthread_mutex_unlock(&self->writer.mutex);
    Py_RETURN_NONE;
}

static PyObject *lane_spill_to(Lane *self, PyObject *directory) {
    if (!PyBytes_Check(directory)) return PyErr_Format(PyExc_TypeError, "spill_to takes bytes");
    PyObject *old = self->spill;
    self->spill = Py_NewRef(directory);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyObject *lane_position(Lane *self, PyObject *Py_UNUSED(ignored)) {
    if (!lane_mine(self)) return NULL;
    lock_lane(self);
    struct lane_writer *writer = &self->writer;
    PyObject *found = Py_BuildValue("IKKK", writer->generation, (unsigned long long)writer->tail,
                                    (unsigned long long)(writer->lane ? load_acquire(&writer->lane->head_position) : 0),
                                    (unsigned long long)writer->rows);
    pthread_mutex_unlock(&self->writer.mutex);
    return found;
}

/* close(): this membership logs no more; streams that use the lane bind anew */
static PyObject *lane_close(Lane *self, PyObject *Py_UNUSED(ignored)) {
    if (!lane_mine(self)) return NULL;
    lock_lane(self); /* a row that another thread is copying is published before, or finds the lane closed */
    if (!self->writer.closed && self->writer.lane) store_release(&self->writer.lane->closed, LANE_LAST);
    self->writer.closed = true;
    pthread_mutex_unlock(&self->writer.mutex);
    Py_RETURN_NONE;
}

static PyObject *lane_get_over(Lane *self, void *Py_UNUSED(closure)) {
    return PyBool_FromLong(self->writer.over);
}

static int lane_set_over(Lane *self, PyObject *value, void *Py_UNUSED(closure)) {
    if (!lane_mine(self)) return -1;
    lock_lane(self);
    self->writer.over = value == Py_True;
    pthread_mutex_unlock(&self->writer.mutex);
    return 0;
}

static PyMethodDef lane_methods[] = {
    {"close", (PyCFunction)lane_close, METH_NOARGS, NULL},
    {"append", FAST(lane_append_row), METH_FASTCALL, NULL},
    {"append_columns", FAST(lane_append_columns), METH_FASTCALL, NULL},
    {"widen", (PyCFunction)lane_widen_now, METH_NOARGS, NULL},
    {"spill_to", (PyCFunction)lane_spill_to, METH_O, NULL},
    {"position", (PyCFunction)lane_position, METH_NOARGS, NULL},
    {0},
};

static PyGetSetDef lane_fields[] = {{"over", (getter)lane_get_over, (setter)lane_set_over, NULL, NULL}, {0}};

PyTypeObject LaneType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "shmrerun._core.Lane",
    .tp_basicsize = sizeof(Lane),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = lane_new,
    .tp_dealloc = (destructor)lane_dealloc,
    .tp_methods = lane_methods,
    .tp_getset = lane_fields,
};
