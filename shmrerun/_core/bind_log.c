/*
 * bind_log.c - the hot path from `log` and `set_time` to the lane. Whatever is not common is handed to Python: the functions
 * registered by `use`, and methods that the subclass of Stream has.
 *
 * Common is: no explicit recording (or a RecordingStream), no recording of a thread or task, a stream that is bound in this
 * process and still follows the right recording, an entity path seen before, an entity with `_row()`.
 */
#include "binding.h"

#include <string.h>

#include "atomics.h"

/* Base of the Python class Stream. `lane` is NULL until the stream is bound in this process, and in every new process. */
typedef struct {
    PyObject_HEAD
    Lane *lane;
    uint64_t key;          /* of the thread's times */
    int64_t next_look;     /* wall clock, ns: when `_look` is called next */
    Segment *followed;     /* the tree, if this is the recording of another process that we follow ... */
    uint64_t follow_offset, follow_serial; /* ... the word that names its recording, and what it was */
} Stream;

/* Numbers of texts, by the object (timelines: of sequences): a program has the same ones again and again. The table owns them, so an address is no other text's. */
#define SEEN_SIZE 64u /* a power of two */
struct seen {
    PyObject *text;
    uint32_t number;
};
static struct seen seen_paths[SEEN_SIZE], seen_timelines[SEEN_SIZE];

static struct seen *seen_slot(struct seen *table, const PyObject *text) {
    return &table[((uintptr_t)text >> 4 ^ (uintptr_t)text >> 10) % SEEN_SIZE];
}

static void keep_seen(struct seen *slot, PyObject *text, uint32_t number) {
    PyObject *old = slot->text;
    *slot = (struct seen){Py_NewRef(text), number};
    Py_XDECREF(old); /* an exact str: nothing runs */
}

static PyObject *known_paths;   /* entity path as users write it -> number of its canonical text */
static PyObject *global_stream; /* Stream or NULL */
static bool tasks_used;         /* some asyncio task has a recording of its own: ask Python which one is active */
static _Thread_local PyObject *thread_stream; /* Stream or NULL: the calling thread's own */
static uint64_t absent_until;   /* CLOCK_MONOTONIC ns: no recording, and no look for one before that */
static PyObject *slow_log, *slow_active, *slow_convert, *slow_failed;
static PyObject *word_static, *word_recording, *word_strict, *word_sequence, *word_duration, *word_timestamp, *word_stream, *word_row,
    *word_id, *word_half, *word_wake, *word_look, *word_refused;

int log_init(void) {
    struct {
        PyObject **word;
        const char *text;
    } words[] = {{&word_static, "static"},
                 {&word_recording, "recording"},
                 {&word_strict, "strict"},
                 {&word_sequence, "sequence"},
                 {&word_duration, "duration"},
                 {&word_timestamp, "timestamp"},
                 {&word_stream, "_stream"},
                 {&word_row, "_row"},
                 {&word_id, "id"},
                 {&word_half, "_half"},
                 {&word_wake, "_wake"},
                 {&word_look, "_look"},
                 {&word_refused, "_refused"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!(*words[i].word = PyUnicode_InternFromString(words[i].text))) return -1;
    return (known_paths = PyDict_New()) ? 0 : -1;
}

/* Base of archetypes: what has `_row()`, which gives a ColumnSet and the parts. A user's class with a `_row` of its own is not meant. */
PyTypeObject OwnRowType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "shmrerun._core.OwnRow",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = PyType_GenericNew,
};

/* ---- Stream ---- */

static PyObject *stream_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs)) {
    return type->tp_alloc(type, 0);
}

static int stream_clear(Stream *self) {
    Py_CLEAR(self->lane);
    Py_CLEAR(self->followed);
    return 0;
}

static int stream_traverse(Stream *self, visitproc visit, void *arg) {
    Py_VISIT(self->lane);
    Py_VISIT(self->followed);
    return 0;
}

static void stream_dealloc(Stream *self) {
    PyObject_GC_UnTrack(self);
    stream_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* _use_lane(lane or None, key) */
static PyObject *stream_use_lane(Stream *self, PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 2, "_use_lane")) return NULL;
    uint64_t key = PyLong_AsUnsignedLongLong(args[1]);
    if (PyErr_Occurred()) return NULL;
    if (args[0] != Py_None && !PyObject_TypeCheck(args[0], &LaneType)) return PyErr_Format(PyExc_TypeError, "expected a Lane");
    Lane *old = self->lane;
    self->lane = args[0] == Py_None ? NULL : (Lane *)Py_NewRef(args[0]);
    self->key = key;
    self->next_look = 0;
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

/* _use_follow(tree segment or None, offset, serial) */
static PyObject *stream_use_follow(Stream *self, PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 3, "_use_follow")) return NULL;
    uint64_t offset = PyLong_AsUnsignedLongLong(args[1]), serial = PyLong_AsUnsignedLongLong(args[2]);
    if (PyErr_Occurred()) return NULL;
    if (args[0] != Py_None && (!PyObject_TypeCheck(args[0], &SegmentType) || !segment_word((Segment *)args[0], args[1], 8)))
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "expected a Segment");
    Segment *old = self->followed;
    self->followed = args[0] == Py_None ? NULL : (Segment *)Py_NewRef(args[0]);
    self->follow_offset = offset;
    self->follow_serial = serial;
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyMethodDef stream_methods[] = {
    {"_use_lane", FAST(stream_use_lane), METH_FASTCALL, NULL}, {"_use_follow", FAST(stream_use_follow), METH_FASTCALL, NULL}, {0}};

PyTypeObject StreamType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "shmrerun._core.Stream",
    .tp_basicsize = sizeof(Stream),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = stream_new,
    .tp_dealloc = (destructor)stream_dealloc,
    .tp_traverse = (traverseproc)stream_traverse,
    .tp_clear = (inquiry)stream_clear,
    .tp_methods = stream_methods,
};

/* Whether rows may go straight to the stream's lane: bound in this process, and what it follows has not moved on. */
static bool stream_ready(const Stream *stream) {
    if (!stream->lane || !lane_usable(stream->lane)) return false;
    if (!stream->followed) return true;
    if (!stream->followed->base || stream->followed->closed || stream->followed->stamp != stream->lane->stamp) return false;
    return load_relaxed((const uint64_t *)(const void *)(stream->followed->base + stream->follow_offset)) == stream->follow_serial;
}

/* The stream that a call without `recording` goes to, borrowed; NULL without an exception: ask Python. */
static Stream *ready_stream(PyObject *recording, PyObject **held) {
    Stream *stream = NULL;
    if (recording == Py_None) {
        PyObject *active = thread_stream ? thread_stream : global_stream;
        if (!tasks_used && active) stream = (Stream *)(*held = Py_NewRef(active));
    } else {
        PyObject *found = PyObject_GetAttr(recording, word_stream);
        if (found && PyObject_TypeCheck(found, &StreamType)) stream = (Stream *)(*held = found);
        else Py_XDECREF(found);
        PyErr_Clear();
    }
    return stream && stream_ready(stream) ? stream : NULL;
}

/* No recording at all, and it is too early to look for one again. */
static bool nobody_listens(PyObject *recording) {
    return recording == Py_None && !global_stream && !thread_stream && !tasks_used && monotonic_nanos() < absent_until;
}

/* ---- log ---- */

enum { LOG_DONE, LOG_SLOW, LOG_ERROR };

/* A row that is not in the lane: Python waits, spills, or counts it. */
static int refused(Stream *stream, uint32_t path, uint32_t columns, PyObject *parts, uint32_t flags) {
    PyObject *done = PyObject_CallMethod((PyObject *)stream, "_refused", "IIOI", path, columns, parts, flags);
    Py_XDECREF(done);
    return done ? LOG_DONE : LOG_ERROR;
}

/* What a row that is in the lane needs beyond it: the doorbell, space, a look at the aggregator. */
static int after_append(Stream *stream, const struct row_outcome *outcome) {
    PyObject *done = NULL;
    if (outcome->code == ROW_WAKE || outcome->code == ROW_WAKE_HALF) {
        done = PyObject_CallMethodNoArgs((PyObject *)stream, outcome->code == ROW_WAKE_HALF ? word_half : word_wake);
        if (!done) return LOG_ERROR;
        Py_DECREF(done);
    }
    if (outcome->wall >= stream->next_look || stream->next_look - outcome->wall > 1000000000) {
        stream->next_look = outcome->wall + 100000000;
        done = PyObject_CallMethodNoArgs((PyObject *)stream, word_look);
        if (!done) return LOG_ERROR;
        Py_DECREF(done);
    }
    return LOG_DONE;
}

/* The row of an archetype whose fields can be read. No Python runs before the row is in the lane, views of arrays apart. */
static int log_cells(Stream *stream, uint32_t path, struct row_cells *row, uint32_t flags) {
    struct row_outcome done = lane_append_cells(stream->lane, path, row, flags);
    int outcome;
    if (done.code == ROW_ERROR) outcome = LOG_ERROR;
    else if (done.code == ROW_CLOSED) outcome = LOG_SLOW;
    else if (done.code <= ROW_DROPPED) outcome = after_append(stream, &done);
    else {
        PyObject *parts = row_tuple(row);
        outcome = parts ? refused(stream, path, row->columns, parts, flags) : LOG_ERROR;
        Py_XDECREF(parts);
    }
    row_release(row);
    return outcome;
}

/* The row of anything else with a `_row`. */
static int log_row(Stream *stream, uint32_t path, PyObject *entity, uint32_t flags) {
    PyObject *row = PyObject_CallMethodNoArgs(entity, word_row);
    if (!row) return LOG_ERROR;
    int outcome = LOG_SLOW;
    if (PyTuple_CheckExact(row) && PyTuple_GET_SIZE(row) == 2 && PyTuple_CheckExact(PyTuple_GET_ITEM(row, 1)) &&
        PyTuple_GET_SIZE(PyTuple_GET_ITEM(row, 1))) {
        PyObject *id = PyObject_GetAttr(PyTuple_GET_ITEM(row, 0), word_id), *parts = PyTuple_GET_ITEM(row, 1);
        unsigned long columns = id ? PyLong_AsUnsignedLong(id) : 0;
        Py_XDECREF(id);
        if (PyErr_Occurred()) {
            outcome = LOG_ERROR;
        } else if (columns && columns <= column_sets.count && stream->lane && lane_usable(stream->lane)) {
            /* looked at again: `_row` was Python, it may have forked, or left */
            struct row_outcome done = lane_append_parts(stream->lane, path, (uint32_t)columns, parts, flags);
            if (done.code == ROW_ERROR) outcome = LOG_ERROR;
            else if (done.code > ROW_DROPPED && done.code != ROW_CLOSED) outcome = refused(stream, path, (uint32_t)columns, parts, flags);
            else if (done.code != ROW_CLOSED) outcome = after_append(stream, &done);
        }
    }
    Py_DECREF(row);
    return outcome;
}

/* Appends the row of an archetype. LOG_SLOW: nothing happened, Python must do it. */
static int log_fast(Stream *stream, PyObject *entity_path, PyObject *entity, uint32_t flags) {
    struct seen *seen = seen_slot(seen_paths, entity_path);
    if (seen->text != entity_path) {
        if (!PyUnicode_CheckExact(entity_path)) return LOG_SLOW;
        PyObject *path = PyDict_GetItemWithError(known_paths, entity_path);
        if (!path) return PyErr_Occurred() ? LOG_ERROR : LOG_SLOW;
        keep_seen(seen, entity_path, (uint32_t)PyLong_AsUnsignedLong(path));
    }
    uint32_t path_number = seen->number;
    struct row_cells row;
    if (row_take(entity, &row)) return log_cells(stream, path_number, &row, flags);
    if (!PyObject_TypeCheck(entity, &OwnRowType)) return LOG_SLOW;
    return log_row(stream, path_number, entity, flags);
}

/* An exception inside log: a warning unless strict. */
static PyObject *log_failed(PyObject *strict) {
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    PyErr_NormalizeException(&kind, &value, &trace);
    if (!PyErr_GivenExceptionMatches(value, PyExc_Exception)) { /* KeyboardInterrupt and the like are not ours */
        PyErr_Restore(kind, value, trace);
        return NULL;
    }
    if (trace) PyException_SetTraceback(value, trace);
    PyObject *result = PyObject_CallFunctionObjArgs(slow_failed, value, strict, NULL);
    Py_XDECREF(kind);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return result;
}

const char log_doc[] =
    "log(entity_path, entity, *extra, static=False, recording=None, strict=None)\n--\n\n"
    "Log a row: components of one entity at the calling thread's current times.\n\n"
    "Parameters\n----------\n"
    "entity_path\n    Text, split at unescaped slashes, or a list of parts.\n"
    "entity, *extra\n    Archetypes, anything with ``as_component_batches()`` (real ``rerun`` objects too), or iterables of\n"
    "    described batches.\n"
    "static\n    Without times: holds for all of them.\n"
    "recording\n    Instead of the active recording.\n"
    "strict\n    True: errors propagate; False: they become warnings; None: as ``strict_mode()`` says.\n\n"
    "Notes\n-----\n"
    "The row is safe when this returns: killing the process loses nothing. Without a recording nothing happens.\n"
    "Below 1 us for a scalar. Safe in any thread and any process of the program, forked ones too; above 256 KiB the\n"
    "GIL is released while the values are copied.\n";

PyObject *core_log(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count, PyObject *names) {
    Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
    PyObject *recording = Py_None, *strict = Py_None, *is_static = Py_False;
    bool common = count == 2;
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i), *value = args[count + i];
        if (name == word_static) is_static = value;
        else if (name == word_recording) recording = value;
        else if (name == word_strict) strict = value;
        else common = false;
    }
    if (common && nobody_listens(recording)) Py_RETURN_NONE;
    PyObject *held = NULL;
    Stream *stream = common ? ready_stream(recording, &held) : NULL;
    int outcome = LOG_SLOW;
    if (stream && (is_static == Py_False || is_static == Py_True))
        outcome = log_fast(stream, args[0], args[1], is_static == Py_True ? ROW_STATIC : 0);
    Py_XDECREF(held);
    if (outcome == LOG_DONE) Py_RETURN_NONE;
    if (outcome == LOG_ERROR) return log_failed(strict);
    return PyObject_Vectorcall(slow_log, args, (size_t)count, names);
}

/* log_row(stream, entity_path, entity, flags) -> whether it was done; for methods of RecordingStream */
PyObject *core_log_row(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 4, "log_row")) return NULL;
    if (!PyObject_TypeCheck(args[0], &StreamType) || !stream_ready((Stream *)args[0])) Py_RETURN_FALSE;
    unsigned long flags = PyLong_AsUnsignedLong(args[3]);
    if (PyErr_Occurred()) return NULL;
    int outcome = log_fast((Stream *)args[0], args[1], args[2], (uint32_t)flags);
    return outcome == LOG_ERROR ? NULL : PyBool_FromLong(outcome == LOG_DONE);
}

/* ---- set_time ---- */

const char set_time_doc[] =
    "set_time(timeline, *, recording=None, sequence=None, duration=None, timestamp=None)\n--\n\n"
    "Set the calling thread's current time on a timeline, for rows logged from now on.\n\n"
    "Parameters\n----------\n"
    "timeline\n    Its name, not empty.\n"
    "recording\n    Instead of the active recording.\n"
    "sequence\n    An int: frame, step.\n"
    "duration\n    Seconds as int or float, ``timedelta`` or ``timedelta64``.\n"
    "timestamp\n    Seconds since the epoch as int or float, ``datetime`` (naive is UTC), ``datetime64``, pandas or pyarrow timestamp.\n\n"
    "Raises\n------\n"
    "ValueError\n    Not exactly one of the three, an empty name, NaN, or a timestamp that looks like milliseconds.\n"
    "TypeError, OverflowError\n    A value of another type, or beyond 64 bits of nanoseconds.\n\n"
    "Notes\n-----\n"
    "Times belong to (thread, recording) and are empty in a new process, forked ones too. About 0.15 us for a sequence.\n";

/* Key of the recording that times are set for. 1: found; 0: there is none; -1: exception. */
static int times_key(PyObject *recording, uint64_t *key) {
    PyObject *held = NULL;
    Stream *stream = ready_stream(recording, &held);
    if (stream) *key = stream->key;
    Py_XDECREF(held);
    if (stream) return 1;
    if (nobody_listens(recording)) return 0;
    PyObject *active = PyObject_CallOneArg(slow_active, recording);
    if (!active) return -1;
    int found = PyObject_TypeCheck(active, &StreamType);
    if (found) *key = ((Stream *)active)->key;
    Py_DECREF(active);
    return found;
}

static const char *kind_name(struct text timeline) {
    static const char *const names[] = {"?", "sequence", "duration", "timestamp"};
    uint8_t kind = *(const uint8_t *)timeline.data;
    return names[kind < 4 ? kind : 0];
}

PyObject *no_room_for_time(void) {
    return PyErr_Format(PyExc_ValueError, "cannot hold another timeline: a thread may have %u in a recording", THREAD_TIMES_LIMIT);
}

void tell_changed_type(uint32_t before, uint32_t timeline) { /* told each time, as Rerun does */
    struct text now = timeline_text(timeline);
    PySys_WriteStderr("shmrerun: timeline \"%.*s\" changed its type from %s to %s; a timeline has one type in a recording\n",
                      (int)(now.size < 200 ? now.size - 1 : 199), (const char *)now.data + 1, kind_name(timeline_text(before)),
                      kind_name(now));
}

PyObject *core_set_time(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *recording = Py_None, *sequence = Py_None, *duration = Py_None, *timestamp = Py_None;
    if (count != 1) return PyErr_Format(PyExc_TypeError, "set_time() takes 1 positional argument, the timeline, but %zd were given", count);
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i), *value = args[count + i];
        if (name == word_sequence) sequence = value;
        else if (name == word_duration) duration = value;
        else if (name == word_timestamp) timestamp = value;
        else if (name == word_recording) recording = value;
        else return PyErr_Format(PyExc_TypeError, "set_time() got an unexpected keyword argument '%U'", name);
    }
    long kind = 1;
    int overflow = 1;
    long long value = 0;
    if (PyLong_CheckExact(sequence) && duration == Py_None && timestamp == Py_None)
        value = PyLong_AsLongLongAndOverflow(sequence, &overflow);
    bool common = !overflow && value != INT64_MIN;
    struct seen *seen = seen_slot(seen_timelines, args[0]);
    uint32_t timeline = common && seen->text == args[0] ? seen->number : 0;
    Py_ssize_t size = 0;
    const char *text = NULL;
    if (!timeline) {
        if (PyUnicode_CheckExact(args[0]) && !(text = PyUnicode_AsUTF8AndSize(args[0], &size))) PyErr_Clear(); /* a lone surrogate */
        if (!common || !text || !size || size > 65535) { /* Python says what is wrong */
            PyObject *pair = PyObject_CallFunctionObjArgs(slow_convert, args[0], sequence, duration, timestamp, NULL);
            if (!pair) return NULL;
            common = false;
            int good = PyArg_ParseTuple(pair, "lL", &kind, &value);
            Py_DECREF(pair);
            if (!good || !(text = PyUnicode_AsUTF8AndSize(args[0], &size))) return NULL;
            if (size > 65535) return PyErr_Format(PyExc_ValueError, "a timeline name of %zd bytes, over the limit of 65535", size);
        }
    }
    uint64_t key = 0;
    int found = times_key(recording, &key);
    if (found < 0) return NULL;
    if (!found) Py_RETURN_NONE;
    if (!timeline) {
        if (!(timeline = timeline_intern((uint8_t)kind, text, (uint32_t)size))) return no_room_for_time();
        if (common) keep_seen(seen_slot(seen_timelines, args[0]), args[0], timeline);
    }
    return set_time(key, timeline, value);
}

/* ---- what Python registers ---- */

static _Thread_local bool thread_guarded;

static void thread_ends(PyObject *guard) {
    if (PyCapsule_GetContext(guard) != (void *)(uintptr_t)PyThread_get_thread_ident()) return;
    thread_guarded = false;
    Py_CLEAR(thread_stream);
}

/* use_thread(Stream or None) -> what must live as long as the thread, the first time: the thread's own recording goes with it */
PyObject *core_use_thread(PyObject *Py_UNUSED(self), PyObject *stream) {
    if (stream != Py_None && !PyObject_TypeCheck(stream, &StreamType)) return PyErr_Format(PyExc_TypeError, "expected a Stream");
    PyObject *guard = Py_NewRef(Py_None), *old = thread_stream;
    if (!thread_guarded) {
        Py_SETREF(guard, PyCapsule_New(&thread_stream, "thread", thread_ends));
        if (!guard || PyCapsule_SetContext(guard, (void *)(uintptr_t)PyThread_get_thread_ident())) return NULL;
        thread_guarded = true;
    }
    thread_stream = stream == Py_None ? NULL : Py_NewRef(stream);
    Py_XDECREF(old);
    return guard;
}

/* use(global stream or None, tasks used, absent until[, log, active, convert, failed]) */
PyObject *core_use(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    if (count != 3 && count != 7) return PyErr_Format(PyExc_TypeError, "use takes 3 or 7 arguments, got %zd", count);
    uint64_t until = PyLong_AsUnsignedLongLong(args[2]);
    if (PyErr_Occurred()) return NULL;
    if (args[0] != Py_None && !PyObject_TypeCheck(args[0], &StreamType)) return PyErr_Format(PyExc_TypeError, "expected a Stream");
    if (count == 7) {
        Py_XSETREF(slow_log, Py_NewRef(args[3]));
        Py_XSETREF(slow_active, Py_NewRef(args[4]));
        Py_XSETREF(slow_convert, Py_NewRef(args[5]));
        Py_XSETREF(slow_failed, Py_NewRef(args[6]));
    }
    tasks_used = args[1] == Py_True;
    absent_until = until;
    PyObject *old = global_stream;
    global_stream = args[0] == Py_None ? NULL : Py_NewRef(args[0]);
    Py_XDECREF(old); /* may finish a recording: last */
    Py_RETURN_NONE;
}

/* know_path(text, number): remembers a path as users write it; forgets all when there are too many */
PyObject *core_know_path(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 2, "know_path")) return NULL;
    unsigned long number = PyLong_AsUnsignedLong(args[1]);
    if (PyErr_Occurred() || !number || number > paths.count)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no path %lu", number);
    if (PyDict_Size(known_paths) >= 65536) PyDict_Clear(known_paths);
    if (PyDict_SetItem(known_paths, args[0], args[1])) return NULL;
    Py_RETURN_NONE;
}
