/*
 * module.c - the CPython binding: buffers in, exceptions out, GIL and fork rules. Everything else is in files without Python.h.
 *
 * Fork: Segment and Lane carry the stamp of the process that made them. In another process they refuse every call and their
 * destructors do nothing, so an inherited object can neither touch nor unmap the child's own memory.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <sys/mman.h>

#include "atomics.h"
#include "hopper.h"
#include "lane.h"
#include "layout.h"
#include "process.h"
#include "times.h"

#define RELEASE_GIL_BYTES (256u * 1024u) /* copies above it let other threads run */

static struct names paths, column_sets, column_times;

/* ---- Segment: mappings and their words, see bind_segment.h -------------------------------------------------------- */

#include "bind_segment.h"

/* ---- Lane ------------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    struct lane_writer writer;
    uint64_t stamp, key;
    bool closed;
    Segment *tree, *session, *generation;
} Lane;

static PyObject *lane_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    Segment *tree, *session;
    unsigned long long key;
    if (!PyArg_ParseTuple(args, "O!O!K", &SegmentType, &tree, &SegmentType, &session, &key) || !alive(tree) || !alive(session)) return NULL;
    Lane *self = (Lane *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    lane_writer_init(&self->writer);
    self->writer.need_wake = &((struct tree *)(void *)tree->base)->need_wake;
    self->tree = (Segment *)Py_NewRef(tree);
    self->session = (Segment *)Py_NewRef(session);
    self->stamp = process_stamp();
    self->key = key;
    return (PyObject *)self;
}

static void lane_dealloc(Lane *self) {
    if (self->stamp == process_stamp()) lane_writer_free(&self->writer); /* an inherited mutex may be held for ever: leave it */
    Py_XDECREF(self->tree);
    Py_XDECREF(self->session);
    Py_XDECREF(self->generation);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static bool lane_alive(const Lane *self) {
    if (self->stamp == process_stamp() && !self->closed) return true;
    PyErr_SetString(PyExc_ValueError, self->closed ? "lane is closed" : "lane belongs to another process");
    return false;
}

static PyObject *lane_install(Lane *self, PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 2, "install")) return NULL;
    if (!PyObject_TypeCheck(args[0], &SegmentType)) return PyErr_Format(PyExc_TypeError, "install takes a Segment");
    Segment *segment = (Segment *)args[0];
    unsigned long generation = PyLong_AsUnsignedLong(args[1]);
    if (PyErr_Occurred() || !lane_alive(self) || !alive(segment)) return NULL;
    struct lane *lane = (struct lane *)(void *)segment->base;
    if (segment->size < sizeof *lane || lane->ring_offset > segment->size || lane->ring_size > segment->size - lane->ring_offset ||
        lane->dictionary_offset > segment->size || lane->dictionary_size > segment->size - lane->dictionary_offset)
        return PyErr_Format(PyExc_ValueError, "lane segment of %llu bytes contradicts its own sizes", (unsigned long long)segment->size);
    if (!lane_writer_install(&self->writer, lane, (uint32_t)generation)) Py_RETURN_FALSE;
    Segment *old = self->generation;
    self->generation = (Segment *)Py_NewRef(segment);
    Py_XDECREF(old);
    Py_RETURN_TRUE;
}

#define FEW_PARTS 48

/* Fills parts from a tuple of ints, None and buffers. *held counts the buffers to release. Returns bytes, or -1. */
static int64_t take_parts(PyObject *tuple, struct part *parts, Py_buffer *buffers, Py_ssize_t *held) {
    int64_t bytes = 0;
    for (Py_ssize_t i = 0, count = PyTuple_GET_SIZE(tuple); i < count; i++) {
        PyObject *item = PyTuple_GET_ITEM(tuple, i);
        uint64_t size;
        if (PyLong_CheckExact(item)) {
            size = PyLong_AsUnsignedLongLong(item);
            if (size == UINT64_MAX && PyErr_Occurred()) return -1;
            parts[i] = (struct part){NULL, (uint32_t)size, false};
        } else if (item == Py_None) {
            size = 0;
            parts[i] = (struct part){NULL, 0, true};
        } else if (PyBytes_CheckExact(item)) {
            size = (uint64_t)PyBytes_GET_SIZE(item);
            parts[i] = (struct part){PyBytes_AS_STRING(item), (uint32_t)size, true};
        } else {
            if (PyObject_GetBuffer(item, &buffers[*held], PyBUF_SIMPLE)) return -1;
            size = (uint64_t)buffers[*held].len;
            parts[i] = (struct part){buffers[(*held)++].buf, (uint32_t)size, true};
        }
        if (size > INT32_MAX) {
            PyErr_Format(PyExc_ValueError, "a value of %llu bytes or elements; Arrow's 32-bit offsets end at %d", (unsigned long long)size,
                         INT32_MAX);
            return -1;
        }
        if (parts[i].is_buffer) bytes += (int64_t)size;
    }
    return bytes;
}

static PyObject *append_outcome(const struct append_result *result) {
    switch (result->code) {
    case APPEND_DONE:
        Py_RETURN_NONE;
    case APPEND_RING:
        Py_RETURN_TRUE;
    case APPEND_HALF:
        Py_RETURN_FALSE;
    case APPEND_GROW:
        return Py_BuildValue("KKI", (unsigned long long)result->record, (unsigned long long)result->dictionary, result->generation);
    default:
        return PyErr_NoMemory();
    }
}

static bool append_shape(Lane *self, const struct shape *shape, const int64_t *times, PyObject *tuple, uint32_t flags,
                         struct append_result *result);

/* Appends the row of interned path and column set. False with an exception set; else *result says what became of it. */
static bool append_parts(Lane *self, uint32_t path, uint32_t columns, PyObject *tuple, uint32_t flags, struct append_result *result) {
    struct shape shape = {.path = path, .columns = columns};
    shape.path_text = names_text(&paths, path);
    shape.columns_text = names_text(&column_sets, columns);
    const int64_t *times;
    uint64_t switches = load_relaxed(&((struct session *)(void *)self->session->base)->switches);
    bool is_static = flags & ROW_STATIC;
    if (!times_of_row(is_static ? UINT64_MAX : self->key, is_static ? 0 : switches, &shape, &times)) {
        PyErr_NoMemory();
        return false;
    }
    return append_shape(self, &shape, times, tuple, flags, result);
}

static bool append_shape(Lane *self, const struct shape *shape, const int64_t *times, PyObject *tuple, uint32_t flags,
                         struct append_result *result) {
    Py_ssize_t parts_count = PyTuple_GET_SIZE(tuple);
    if (parts_count > (Py_ssize_t)RECORD_PARTS_LIMIT) {
        PyErr_Format(PyExc_ValueError, "a row of %zd parts, over the limit of %u", parts_count, RECORD_PARTS_LIMIT);
        return false;
    }
    struct part few_parts[FEW_PARTS], *parts = few_parts;
    Py_buffer few_buffers[FEW_PARTS], *buffers = few_buffers;
    if (parts_count > FEW_PARTS) {
        parts = PyMem_Malloc((size_t)parts_count * sizeof *parts);
        buffers = PyMem_Malloc((size_t)parts_count * sizeof *buffers);
    }
    Py_ssize_t held = 0;
    int64_t bytes = parts && buffers ? take_parts(tuple, parts, buffers, &held) : (PyErr_NoMemory(), -1);
    if (bytes > RELEASE_GIL_BYTES) { /* the thread's times are its own: nobody changes them while it is in here */
        Py_BEGIN_ALLOW_THREADS
        *result = lane_append(&self->writer, shape, flags, times, parts, (uint32_t)parts_count);
        Py_END_ALLOW_THREADS
    } else if (bytes >= 0) {
        *result = lane_append(&self->writer, shape, flags, times, parts, (uint32_t)parts_count);
    }
    while (held) PyBuffer_Release(&buffers[--held]);
    if (parts != few_parts) {
        PyMem_Free(parts);
        PyMem_Free(buffers);
    }
    return bytes >= 0;
}

/* append(path, columns, parts, flags) -> None | True (ring) | False (ring and widen) | (record, dictionary, generation) to grow for */
static PyObject *lane_append_row(Lane *self, PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 4, "append") || !lane_alive(self)) return NULL;
    unsigned long path = PyLong_AsUnsignedLong(args[0]), columns = PyLong_AsUnsignedLong(args[1]), flags = PyLong_AsUnsignedLong(args[3]);
    if (PyErr_Occurred()) return NULL;
    if (!path || path > paths.count || !columns || columns > column_sets.count || !PyTuple_CheckExact(args[2]))
        return PyErr_Format(PyExc_ValueError, "append takes the numbers of a path and a column set, and a tuple of parts");
    struct append_result result;
    if (!append_parts(self, (uint32_t)path, (uint32_t)columns, args[2], (uint32_t)flags, &result)) return NULL;
    return append_outcome(&result);
}

/* append_columns(path, columns, times text, parts, flags): many rows as one record; returns what append does */
static PyObject *lane_append_columns(Lane *self, PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 5, "append_columns") || !lane_alive(self)) return NULL;
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
    struct append_result result;
    if (!append_shape(self, &shape, NULL, args[3], (uint32_t)flags | ROW_UNCOUNTED | shape.flags, &result)) return NULL;
    return append_outcome(&result);
}

static PyObject *lane_position(Lane *self, PyObject *Py_UNUSED(ignored)) {
    if (!lane_alive(self)) return NULL;
    struct lane_writer *writer = &self->writer;
    return Py_BuildValue("IKKI", writer->generation, (unsigned long long)writer->tail,
                         (unsigned long long)(writer->lane ? load_acquire(&writer->lane->head_position) : 0), writer->sequence);
}

/* close(): this membership logs no more; streams that use the lane bind anew */
static PyObject *lane_close(Lane *self, PyObject *Py_UNUSED(ignored)) {
    self->closed = true; /* the writer stays: another thread may be copying into it */
    Py_RETURN_NONE;
}

static PyMethodDef lane_methods[] = {
    {"close", (PyCFunction)lane_close, METH_NOARGS, NULL},
    {"append", FAST(lane_append_row), METH_FASTCALL, NULL},
    {"append_columns", FAST(lane_append_columns), METH_FASTCALL, NULL},
    {"install", FAST(lane_install), METH_FASTCALL, NULL},
    {"position", (PyCFunction)lane_position, METH_NOARGS, NULL},
    {0},
};

static PyTypeObject LaneType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "shmrerun._core.Lane",
    .tp_basicsize = sizeof(Lane),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = lane_new,
    .tp_dealloc = (destructor)lane_dealloc,
    .tp_methods = lane_methods,
};

/* ---- Stream, log and set_time: the hot path, see bind_log.h ------------------------------------------------------ */

#include "bind_log.h"

/* ---- Hopper: the aggregator's side, see bind_hopper.h ------------------------------------------------------------ */

#include "bind_hopper.h"

/* ---- module functions ------------------------------------------------------------------------------------------- */

static PyObject *ring_stamp(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored)) {
    return PyLong_FromUnsignedLongLong(process_stamp());
}

static PyObject *ring_monotonic(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored)) {
    return PyLong_FromUnsignedLongLong(monotonic_nanos());
}

static PyObject *ring_row_id(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored)) {
    int64_t wall;
    struct row_id id = next_row_id(&wall);
    uint8_t bytes[16];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(id.time >> (56 - 8 * i));
        bytes[8 + i] = (uint8_t)(id.counter >> (56 - 8 * i));
    }
    return PyBytes_FromStringAndSize((const char *)bytes, sizeof bytes);
}

static PyObject *intern(struct names *names, PyObject *text) {
    if (!PyBytes_Check(text)) return PyErr_Format(PyExc_TypeError, "expected bytes");
    if (PyBytes_GET_SIZE(text) > 1 << 24)
        return PyErr_Format(PyExc_ValueError, "a name of %zd bytes, over the limit of 16 MiB", PyBytes_GET_SIZE(text));
    uint32_t id = names_intern(names, PyBytes_AS_STRING(text), (uint32_t)PyBytes_GET_SIZE(text));
    return id ? PyLong_FromUnsignedLong(id) : PyErr_NoMemory();
}

static PyObject *ring_path(PyObject *Py_UNUSED(self), PyObject *text) {
    return intern(&paths, text);
}

static PyObject *ring_columns(PyObject *Py_UNUSED(self), PyObject *text) {
    return intern(&column_sets, text);
}

static PyObject *ring_put_time(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 4, "put_time")) return NULL;
    uint64_t key = PyLong_AsUnsignedLongLong(args[0]);
    Py_ssize_t size;
    const char *name = PyUnicode_AsUTF8AndSize(args[1], &size);
    long kind = PyLong_AsLong(args[2]);
    long long value = PyLong_AsLongLong(args[3]);
    if (!name || PyErr_Occurred()) return NULL;
    if (size > 65535) return PyErr_Format(PyExc_ValueError, "a timeline name of %zd bytes, over the limit of 65535", size);
    uint32_t timeline = timeline_intern((uint8_t)kind, name, (uint32_t)size);
    if (!timeline || !times_set(key, timeline, value)) {
        return PyErr_Format(PyExc_ValueError, "cannot hold another timeline: a thread may have %u in a recording", RECORD_TIMES_LIMIT);
    }
    Py_RETURN_NONE;
}

static PyObject *ring_forget_time(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 2, "forget_time")) return NULL;
    uint64_t key = PyLong_AsUnsignedLongLong(args[0]);
    Py_ssize_t size;
    const char *name = PyUnicode_AsUTF8AndSize(args[1], &size);
    if (!name || PyErr_Occurred()) return NULL;
    times_forget(key, name, (uint32_t)size);
    Py_RETURN_NONE;
}

static PyObject *ring_reset_time(PyObject *Py_UNUSED(self), PyObject *key) {
    uint64_t number = PyLong_AsUnsignedLongLong(key);
    if (PyErr_Occurred()) return NULL;
    times_reset(number);
    Py_RETURN_NONE;
}

/* times(key) -> [(name, kind, value), ...] of the calling thread, by name */
static PyObject *ring_times(PyObject *Py_UNUSED(self), PyObject *key) {
    uint64_t number = PyLong_AsUnsignedLongLong(key);
    uint32_t timelines[RECORD_TIMES_LIMIT];
    int64_t values[RECORD_TIMES_LIMIT];
    if (PyErr_Occurred()) return NULL;
    uint32_t count = times_list(number, timelines, values, RECORD_TIMES_LIMIT);
    PyObject *list = PyList_New(count);
    for (uint32_t i = 0; list && i < count; i++) {
        struct text text = timeline_text(timelines[i]);
        PyObject *item = Py_BuildValue("s#iL", (const char *)text.data + 1, (Py_ssize_t)text.size - 1, *(const char *)text.data,
                                       (long long)values[i]);
        if (!item) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, i, item);
    }
    return list;
}

/* A NULL-terminated array of the bytes objects of a sequence, which must outlive it. */
static char **bytes_array(PyObject *list) {
    Py_ssize_t count = PyList_GET_SIZE(list);
    char **out = PyMem_Calloc((size_t)count + 1, sizeof *out);
    for (Py_ssize_t i = 0; out && i < count; i++) {
        out[i] = PyBytes_AsString(PyList_GET_ITEM(list, i));
        if (!out[i]) {
            PyMem_Free(out);
            return NULL;
        }
    }
    return out;
}

static PyObject *ring_launch(PyObject *Py_UNUSED(self), PyObject *args) {
    PyObject *argv, *environment;
    const char *faults;
    int pid = 0;
    if (!PyArg_ParseTuple(args, "O!O!y", &PyList_Type, &argv, &PyList_Type, &environment, &faults)) return NULL;
    char **arguments = bytes_array(argv), **variables = arguments ? bytes_array(environment) : NULL;
    int error = ENOMEM;
    if (variables) {
        Py_BEGIN_ALLOW_THREADS
        error = launch_detached(arguments, variables, faults, &pid);
        Py_END_ALLOW_THREADS
    }
    PyMem_Free(arguments);
    PyMem_Free(variables);
    if (PyErr_Occurred()) return NULL;
    if (!error) return PyLong_FromLong(pid);
    errno = error;
    return PyErr_SetFromErrno(PyExc_OSError);
}

static PyMethodDef functions[] = {
    {"log", FAST(ring_log), METH_FASTCALL | METH_KEYWORDS, log_doc},
    {"log_row", FAST(ring_log_row), METH_FASTCALL, NULL},
    {"set_time", FAST(ring_set_time_now), METH_FASTCALL | METH_KEYWORDS, set_time_doc},
    {"use", FAST(ring_use), METH_FASTCALL, NULL},
    {"use_thread", ring_use_thread, METH_O, NULL},
    {"know_path", FAST(ring_know_path), METH_FASTCALL, NULL},
    {"stamp", ring_stamp, METH_NOARGS, NULL},
    {"monotonic", ring_monotonic, METH_NOARGS, NULL},
    {"row_id", ring_row_id, METH_NOARGS, NULL},
    {"fence", segment_fence, METH_NOARGS, NULL},
    {"path", ring_path, METH_O, NULL},
    {"columns", ring_columns, METH_O, NULL},
    {"put_time", FAST(ring_put_time), METH_FASTCALL, NULL},
    {"forget_time", FAST(ring_forget_time), METH_FASTCALL, NULL},
    {"reset_time", ring_reset_time, METH_O, NULL},
    {"times", ring_times, METH_O, NULL},
    {"launch", ring_launch, METH_VARARGS, NULL},
    {0},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "shmrerun._core", .m_size = -1, .m_methods = functions};

#include "bind_layout.h"

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void) {
    if (PyType_Ready(&SegmentType) || PyType_Ready(&LaneType) || PyType_Ready(&HopperType) || PyType_Ready(&StreamType) ||
        PyType_Ready(&OwnRowType) || make_words())
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (!module || PyModule_AddObjectRef(module, "CAN_POPULATE", can_populate() ? Py_True : Py_False)) return NULL;
    if (PyModule_AddObjectRef(module, "Segment", (PyObject *)&SegmentType) ||
        PyModule_AddObjectRef(module, "Lane", (PyObject *)&LaneType) || PyModule_AddObjectRef(module, "Hopper", (PyObject *)&HopperType) ||
        PyModule_AddObjectRef(module, "Stream", (PyObject *)&StreamType) ||
        PyModule_AddObjectRef(module, "OwnRow", (PyObject *)&OwnRowType) || add_layout(module)) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
