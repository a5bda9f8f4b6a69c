/* bind_segment.c - the Segment type: a mapping with atomic words, owned by the process that made it. */
#include "binding.h"

#include <errno.h>
#include <sys/mman.h>

#include "atomics.h"

bool take_args(Py_ssize_t have, Py_ssize_t want, const char *name) {
    if (have == want) return true;
    PyErr_Format(PyExc_TypeError, "%s takes %zd arguments, got %zd", name, want, have);
    return false;
}

bool segment_alive(const Segment *segment) {
    if (segment->base && !segment->closed && segment->stamp == process_stamp()) return true;
    PyErr_SetString(PyExc_ValueError, segment->base && !segment->closed
                                          ? "segment was mapped by another process; attach to it anew after a fork"
                                          : "segment is closed");
    return false;
}

static PyObject *segment_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    int fd;
    unsigned long long size;
    static char *names[] = {"fd", "size", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iK", names, &fd, &size)) return NULL;
    void *base = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) return PyErr_SetFromErrno(PyExc_OSError);
#ifdef MADV_DONTFORK
    (void)madvise(base, (size_t)size, MADV_DONTFORK); /* a forked child maps for itself, and keeps no memory of ours alive */
#endif
    Segment *self = (Segment *)type->tp_alloc(type, 0);
    if (!self) {
        munmap(base, (size_t)size);
        return NULL;
    }
    self->base = base;
    self->size = size;
    self->stamp = process_stamp();
    return (PyObject *)self;
}

static void unmap(Segment *self) {
    self->closed = true;
    if (self->pins && self->stamp == process_stamp()) return; /* a lane writes there: the last one unmaps */
    if (self->base && self->stamp == process_stamp()) munmap(self->base, (size_t)self->size);
    self->base = NULL;
}

void segment_pin(Segment *segment) {
    Py_INCREF(segment);
    segment->pins++;
}

void segment_unpin(Segment *segment) {
    segment->pins--;
    if (segment->closed) unmap(segment);
    Py_DECREF(segment);
}

static void segment_dealloc(Segment *self) {
    unmap(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *segment_close(Segment *self, PyObject *Py_UNUSED(ignored)) {
    unmap(self);
    Py_RETURN_NONE;
}

/* The word at an offset, or NULL with an exception. width: 4 or 8. */
void *segment_word(Segment *self, PyObject *offset, unsigned width) {
    unsigned long long at = PyLong_AsUnsignedLongLong(offset);
    if (at == (unsigned long long)-1 && PyErr_Occurred()) return NULL;
    if (!segment_alive(self)) return NULL;
    if (at % width || at > self->size || self->size - at < width) {
        PyErr_Format(PyExc_IndexError, "word at %llu is outside a segment of %llu bytes or not aligned", at,
                     (unsigned long long)self->size);
        return NULL;
    }
    return self->base + at;
}

static PyObject *segment_load(Segment *self, PyObject *offset) {
    uint64_t *word = segment_word(self, offset, 8);
    return word ? PyLong_FromUnsignedLongLong(load_acquire(word)) : NULL;
}

static PyObject *segment_load32(Segment *self, PyObject *offset) {
    uint32_t *word = segment_word(self, offset, 4);
    return word ? PyLong_FromUnsignedLong(load32_acquire(word)) : NULL;
}

static PyObject *segment_store(Segment *self, PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 2, "store")) return NULL;
    uint64_t *word = segment_word(self, args[0], 8), value = PyLong_AsUnsignedLongLong(args[1]);
    if (!word || (value == UINT64_MAX && PyErr_Occurred())) return NULL;
    store_release(word, value);
    Py_RETURN_NONE;
}

static PyObject *segment_store32(Segment *self, PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 2, "store32")) return NULL;
    uint32_t *word = segment_word(self, args[0], 4);
    unsigned long value = PyLong_AsUnsignedLong(args[1]);
    if (!word || (value == (unsigned long)-1 && PyErr_Occurred())) return NULL;
    store32_release(word, (uint32_t)value);
    Py_RETURN_NONE;
}

static PyObject *segment_swap(Segment *self, PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 3, "swap")) return NULL;
    uint64_t *word = segment_word(self, args[0], 8), expected = PyLong_AsUnsignedLongLong(args[1]),
             desired = PyLong_AsUnsignedLongLong(args[2]);
    if (!word || PyErr_Occurred()) return NULL;
    return PyBool_FromLong(compare_swap(word, expected, desired));
}

static PyObject *segment_add(Segment *self, PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 2, "add")) return NULL;
    uint64_t *word = segment_word(self, args[0], 8);
    long long value = PyLong_AsLongLong(args[1]);
    if (!word || PyErr_Occurred()) return NULL;
    return PyLong_FromUnsignedLongLong(fetch_add(word, (uint64_t)value));
}

static bool range_at(Segment *self, PyObject *offset, uint64_t size, uint8_t **at) {
    unsigned long long start = PyLong_AsUnsignedLongLong(offset);
    if ((start == (unsigned long long)-1 && PyErr_Occurred()) || !segment_alive(self)) return false;
    if (start > self->size || size > self->size - start) {
        PyErr_Format(PyExc_IndexError, "%llu bytes at %llu are outside a segment of %llu bytes", (unsigned long long)size, start,
                     (unsigned long long)self->size);
        return false;
    }
    *at = self->base + start;
    return true;
}

static PyObject *segment_read(Segment *self, PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 2, "read")) return NULL;
    uint64_t size = PyLong_AsUnsignedLongLong(args[1]);
    uint8_t *at;
    if ((size == UINT64_MAX && PyErr_Occurred()) || !range_at(self, args[0], size, &at)) return NULL;
    return PyBytes_FromStringAndSize((const char *)at, (Py_ssize_t)size);
}

static PyObject *segment_write(Segment *self, PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 2, "write")) return NULL;
    Py_buffer buffer;
    uint8_t *at;
    if (PyObject_GetBuffer(args[1], &buffer, PyBUF_SIMPLE)) return NULL;
    bool good = range_at(self, args[0], (uint64_t)buffer.len, &at);
    if (good) memcpy(at, buffer.buf, (size_t)buffer.len);
    PyBuffer_Release(&buffer);
    if (!good) return NULL;
    Py_RETURN_NONE;
}

PyObject *segment_fence(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored)) {
    full_fence();
    Py_RETURN_NONE;
}

static PyObject *segment_size(Segment *self, void *Py_UNUSED(closure)) {
    return PyLong_FromUnsignedLongLong(self->size);
}

static PyObject *segment_is_ours(Segment *self, void *Py_UNUSED(closure)) {
    return PyBool_FromLong(self->base && self->stamp == process_stamp());
}

static PyGetSetDef segment_fields[] = {
    {"size", (getter)segment_size, NULL, NULL, NULL}, {"is_ours", (getter)segment_is_ours, NULL, NULL, NULL}, {0}};

static PyMethodDef segment_methods[] = {
    {"load", (PyCFunction)segment_load, METH_O, NULL},        {"load32", (PyCFunction)segment_load32, METH_O, NULL},
    {"store", FAST(segment_store), METH_FASTCALL, NULL},      {"store32", FAST(segment_store32), METH_FASTCALL, NULL},
    {"swap", FAST(segment_swap), METH_FASTCALL, NULL},        {"add", FAST(segment_add), METH_FASTCALL, NULL},
    {"read", FAST(segment_read), METH_FASTCALL, NULL},        {"write", FAST(segment_write), METH_FASTCALL, NULL},
    {"close", (PyCFunction)segment_close, METH_NOARGS, NULL}, {0},
};

PyTypeObject SegmentType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "shmrerun._core.Segment",
    .tp_basicsize = sizeof(Segment),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = segment_new,
    .tp_dealloc = (destructor)segment_dealloc,
    .tp_methods = segment_methods,
    .tp_getset = segment_fields,
};
