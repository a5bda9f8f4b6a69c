/* module.c - the module itself: functions on times, names and processes; its types are in the bind_*.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "binding.h"

#include <errno.h>
#include <fcntl.h>

static PyObject *core_stamp(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored)) {
    return PyLong_FromUnsignedLongLong(process_stamp());
}

static PyObject *core_monotonic(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored)) {
    return PyLong_FromUnsignedLongLong(monotonic_nanos());
}

static PyObject *core_row_id(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored)) {
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

static PyObject *core_path(PyObject *Py_UNUSED(self), PyObject *text) {
    return intern(&paths, text);
}

static PyObject *core_columns(PyObject *Py_UNUSED(self), PyObject *text) {
    return intern(&column_sets, text);
}

static PyObject *core_put_time(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 4, "put_time")) return NULL;
    uint64_t key = PyLong_AsUnsignedLongLong(args[0]);
    Py_ssize_t size;
    const char *name = PyUnicode_AsUTF8AndSize(args[1], &size);
    long kind = PyLong_AsLong(args[2]);
    long long value = PyLong_AsLongLong(args[3]);
    if (!name || PyErr_Occurred()) return NULL;
    if (size > 65535) return PyErr_Format(PyExc_ValueError, "a timeline name of %zd bytes, over the limit of 65535", size);
    uint32_t timeline = timeline_intern((uint8_t)kind, name, (uint32_t)size);
    return timeline ? set_time(key, timeline, value) : no_room_for_time();
}

static PyObject *core_forget_time(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 2, "forget_time")) return NULL;
    uint64_t key = PyLong_AsUnsignedLongLong(args[0]);
    Py_ssize_t size;
    const char *name = PyUnicode_AsUTF8AndSize(args[1], &size);
    if (!name || PyErr_Occurred()) return NULL;
    times_forget(key, name, (uint32_t)size);
    Py_RETURN_NONE;
}

static PyObject *core_reset_time(PyObject *Py_UNUSED(self), PyObject *key) {
    uint64_t number = PyLong_AsUnsignedLongLong(key);
    if (PyErr_Occurred()) return NULL;
    times_reset(number);
    Py_RETURN_NONE;
}

/* times(key) -> [(name, kind, value), ...] of the calling thread, by name */
static PyObject *core_times(PyObject *Py_UNUSED(self), PyObject *key) {
    uint64_t number = PyLong_AsUnsignedLongLong(key);
    uint32_t timelines[THREAD_TIMES_LIMIT];
    int64_t values[THREAD_TIMES_LIMIT];
    if (PyErr_Occurred()) return NULL;
    uint32_t count = times_list(number, timelines, values, THREAD_TIMES_LIMIT);
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

static PyObject *core_launch(PyObject *Py_UNUSED(self), PyObject *args) {
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

/* punch(fd, offset, size): gives pages back to the file system, which then reads as zeros; where it cannot, nothing happens */
static PyObject *core_punch(PyObject *Py_UNUSED(self), PyObject *args) {
    int fd;
    long long offset, size;
    if (!PyArg_ParseTuple(args, "iLL", &fd, &offset, &size)) return NULL;
#ifdef FALLOC_FL_PUNCH_HOLE
    Py_BEGIN_ALLOW_THREADS(void)
    !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
    Py_END_ALLOW_THREADS
#endif
    Py_RETURN_NONE;
}

/* write_behind(fd, offset, size): has the system begin to write these bytes to the device; where it cannot, nothing happens */
static PyObject *core_write_behind(PyObject *Py_UNUSED(self), PyObject *args) {
    int fd;
    long long offset, size;
    if (!PyArg_ParseTuple(args, "iLL", &fd, &offset, &size)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    sync_file_range(fd, offset, size, SYNC_FILE_RANGE_WRITE);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"punch", core_punch, METH_VARARGS, NULL},
    {"write_behind", core_write_behind, METH_VARARGS, NULL},
    {"log", FAST(core_log), METH_FASTCALL | METH_KEYWORDS, log_doc},
    {"log_row", FAST(core_log_row), METH_FASTCALL, NULL},
    {"set_time", FAST(core_set_time), METH_FASTCALL | METH_KEYWORDS, set_time_doc},
    {"use", FAST(core_use), METH_FASTCALL, NULL},
    {"use_thread", core_use_thread, METH_O, NULL},
    {"know_path", FAST(core_know_path), METH_FASTCALL, NULL},
    {"stamp", core_stamp, METH_NOARGS, NULL},
    {"monotonic", core_monotonic, METH_NOARGS, NULL},
    {"row_id", core_row_id, METH_NOARGS, NULL},
    {"fence", segment_fence, METH_NOARGS, NULL},
    {"path", core_path, METH_O, NULL},
    {"columns", core_columns, METH_O, NULL},
    {"put_time", FAST(core_put_time), METH_FASTCALL, NULL},
    {"forget_time", FAST(core_forget_time), METH_FASTCALL, NULL},
    {"reset_time", core_reset_time, METH_O, NULL},
    {"times", core_times, METH_O, NULL},
    {"launch", core_launch, METH_VARARGS, NULL},
    {"plan", core_plan, METH_VARARGS, NULL},
    {"field_parts", FAST(core_field_parts), METH_FASTCALL, NULL},
    {"meet_numpy", core_meet_numpy, METH_VARARGS, NULL},
    {0},
};

/* ---- the module ---- */

/* State of a process: the stream of each thread, interned names. A second interpreter would share it without knowing. */
static int core_exec(PyObject *module) {
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "shmrerun logs from the main interpreter only, not from sub-interpreters");
        return -1;
    }
    static bool ready;
    if (!ready && (PyType_Ready(&SegmentType) || PyType_Ready(&LaneType) || PyType_Ready(&HopperType) || PyType_Ready(&StreamType) ||
                   PyType_Ready(&OwnRowType) || log_init() || archetype_init()))
        return -1;
    ready = true;
    if (PyModule_AddObjectRef(module, "CAN_POPULATE", can_populate() ? Py_True : Py_False) ||
        PyModule_AddObjectRef(module, "Segment", (PyObject *)&SegmentType) ||
        PyModule_AddObjectRef(module, "Lane", (PyObject *)&LaneType) || PyModule_AddObjectRef(module, "Hopper", (PyObject *)&HopperType) ||
        PyModule_AddObjectRef(module, "Stream", (PyObject *)&StreamType) ||
        PyModule_AddObjectRef(module, "OwnRow", (PyObject *)&OwnRowType))
        return -1;
    return layout_add(module);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, core_exec},
#ifdef Py_MOD_PER_INTERPRETER_GIL_SUPPORTED /* 3.12 */
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#ifdef Py_MOD_GIL_USED /* 3.13 */
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "shmrerun._core", .m_size = 0, .m_methods = functions,
                                        .m_slots = slots};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void) {
    return PyModuleDef_Init(&definition);
}
