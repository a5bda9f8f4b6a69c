/* bind_hopper.c - the Hopper type, used by the aggregator alone, in its one draining thread. */
#include "binding.h"

#include "atomics.h"
#include "hopper.h"

typedef struct {
    PyObject_HEAD
    struct hopper hopper;
    PyObject *segments; /* reader -> Segment, so that mappings outlive their readers */
} Hopper;

static PyObject *hopper_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs)) {
    Hopper *self = (Hopper *)type->tp_alloc(type, 0);
    if (self && !(self->segments = PyDict_New())) Py_CLEAR(self);
    return (PyObject *)self;
}

static void hopper_dealloc(Hopper *self) {
    hopper_free(&self->hopper);
    Py_XDECREF(self->segments);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static struct reader *reader_at(Hopper *self, PyObject *number) {
    unsigned long at = PyLong_AsUnsignedLong(number);
    if (PyErr_Occurred()) return NULL;
    if (at < self->hopper.readers_count && self->hopper.readers[at]) return self->hopper.readers[at];
    PyErr_Format(PyExc_IndexError, "no reader %lu", at);
    return NULL;
}

static PyObject *hopper_add(Hopper *self, PyObject *segment) {
    if (!PyObject_TypeCheck(segment, &SegmentType)) return PyErr_Format(PyExc_TypeError, "add_reader takes a Segment");
    const char *why = NULL;
    Segment *mapped = (Segment *)segment;
    if (!segment_alive(mapped)) return NULL;
    int64_t number = hopper_add_reader(&self->hopper, (struct lane *)(void *)mapped->base, mapped->size, &why);
    if (number == HOPPER_NO_MEMORY) return PyErr_NoMemory();
    if (number < 0) return PyErr_Format(PyExc_ValueError, "lane: %s", why);
    PyObject *key = PyLong_FromLongLong(number);
    if (!key || PyDict_SetItem(self->segments, key, segment)) return NULL;
    return key;
}

static PyObject *hopper_remove(Hopper *self, PyObject *number) {
    struct reader *reader = reader_at(self, number);
    if (!reader) return NULL;
    if (reader->count) return PyErr_Format(PyExc_ValueError, "reader still has %llu rows", (unsigned long long)reader->count);
    hopper_remove_reader(&self->hopper, (uint32_t)PyLong_AsUnsignedLong(number));
    if (PyDict_DelItem(self->segments, number)) return NULL;
    Py_RETURN_NONE;
}

/* add_group([(kind, argument, is_root), ...], times) -> number */
static PyObject *hopper_group(Hopper *self, PyObject *args) {
    PyObject *list;
    unsigned times;
    if (!PyArg_ParseTuple(args, "O!I", &PyList_Type, &list, &times)) return NULL;
    Py_ssize_t count = PyList_GET_SIZE(list);
    struct node *nodes = PyMem_Calloc((size_t)count + 1, sizeof *nodes);
    if (!nodes) return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++) {
        int root;
        if (!PyArg_ParseTuple(PyList_GET_ITEM(list, i), "IIp", &nodes[i].kind, &nodes[i].argument, &root) ||
            node_buffers(nodes[i].kind) == UINT32_MAX) {
            PyMem_Free(nodes);
            return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "unknown node kind");
        }
        nodes[i].root = root;
    }
    int64_t number = hopper_add_group(&self->hopper, nodes, (uint32_t)count, times);
    PyMem_Free(nodes);
    return number < 0 ? PyErr_NoMemory() : PyLong_FromLongLong(number);
}

/* scan() -> [(reader, shape, flags, path, times, columns), ...]: definitions not seen before */
static PyObject *hopper_scan_lanes(Hopper *self, PyObject *Py_UNUSED(ignored)) {
    hopper_scan(&self->hopper);
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < self->hopper.readers_count; i++) {
        struct reader *reader = self->hopper.readers[i];
        const struct definition *found;
        while (reader && (found = next_definition(reader))) {
            struct definition copy;
            memcpy(&copy, found, sizeof copy);
            Py_ssize_t limit = (Py_ssize_t)(reader->dictionary + reader->dictionary_read - (const uint8_t *)(found + 1));
            if (copy.path_size > limit || copy.times_size > limit - (Py_ssize_t)copy.path_size ||
                copy.columns_size > limit - (Py_ssize_t)copy.path_size - (Py_ssize_t)copy.times_size) {
                reader->broken = "a definition changed while it was read";
                break;
            }
            const char *text = (const char *)(found + 1);
            PyObject *item = Py_BuildValue("IIIy#y#y#", i, copy.shape, copy.flags, text, (Py_ssize_t)copy.path_size, text + copy.path_size,
                                           (Py_ssize_t)copy.times_size, text + copy.path_size + copy.times_size,
                                           (Py_ssize_t)copy.columns_size);
            if (!item || PyList_Append(list, item)) {
                Py_XDECREF(item);
                Py_CLEAR(list);
                break;
            }
            Py_DECREF(item);
        }
    }
    return list;
}

static PyObject *hopper_define_shape(Hopper *self, PyObject *args) {
    unsigned reader, shape, group;
    if (!PyArg_ParseTuple(args, "III", &reader, &shape, &group)) return NULL;
    if (reader >= self->hopper.readers_count || !self->hopper.readers[reader] || !shape || shape > self->hopper.readers[reader]->shapes)
        return PyErr_Format(PyExc_IndexError, "no shape %u in reader %u", shape, reader);
    if (hopper_define(&self->hopper, reader, shape, group)) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *hopper_collect_rows(Hopper *self, PyObject *log_size) {
    uint64_t size = PyLong_AsUnsignedLongLong(log_size);
    if (PyErr_Occurred()) return NULL;
    int64_t rows = hopper_collect(&self->hopper, size);
    return rows < 0 ? PyErr_NoMemory() : PyLong_FromLongLong(rows);
}

/* pending() -> [(group, rows, bytes), ...] */
static PyObject *hopper_pending(Hopper *self, PyObject *Py_UNUSED(ignored)) {
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < self->hopper.groups_count; i++) {
        const struct group *group = self->hopper.groups[i];
        if (!group->count) continue;
        PyObject *item = Py_BuildValue("IKK", i + 1, (unsigned long long)group->count, (unsigned long long)group->bytes);
        if (!item || PyList_Append(list, item)) Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

static void free_batch(PyObject *capsule) {
    struct batch *batch = PyCapsule_GetPointer(capsule, "batch");
    batch_free(batch);
    PyMem_Free(batch);
}

/* Measures every row, giving up those that contradict their shape. Returns how many were given up. */
static uint64_t measure_batch(Hopper *self, struct batch *batch, const struct group *group, struct node_total *totals,
                              struct node_total *before, int32_t *roots) {
    uint64_t kept = 0, lost = 0;
    for (uint64_t i = 0; i < batch->count; i++) {
        struct entry *entry;
        struct row_parts parts;
        const int64_t *times;
        memcpy(before, totals, group->nodes_count * sizeof *totals);
        if (row_of(&self->hopper, &batch->rows[i], &entry, &parts, &times) &&
            gather_measure(group->nodes, group->nodes_count, &parts, totals, roots + kept * group->columns)) {
            batch->rows[kept++] = batch->rows[i];
            continue;
        }
        memcpy(totals, before, group->nodes_count * sizeof *totals);
        hopper_give_up(&self->hopper, &batch->rows[i]);
        lost++;
    }
    batch->count = kept;
    return lost;
}

static bool allocate_nodes(PyObject *list, const struct group *group, struct node_total *totals) {
    for (uint32_t n = 0; n < group->nodes_count; n++) {
        PyObject *length = PyLong_FromUnsignedLongLong(totals[n].length);
        if (!length || PyList_Append(list, length)) {
            Py_XDECREF(length);
            return false;
        }
        Py_DECREF(length);
        for (uint32_t b = 0; b < node_buffers(group->nodes[n].kind); b++) {
            bool absent = b == 0 && group->nodes[n].kind != NODE_UNION && group->nodes[n].kind != NODE_OPAQUE && !totals[n].has_validity;
            PyObject *buffer = absent ? Py_NewRef(Py_None) : PyBytes_FromStringAndSize(NULL, (Py_ssize_t)totals[n].bytes[b]);
            if (!buffer || PyList_Append(list, buffer)) {
                Py_XDECREF(buffer);
                return false;
            }
            if (!absent) {
                totals[n].out[b] = (uint8_t *)PyBytes_AS_STRING(buffer);
                memset(totals[n].out[b], 0,
                       totals[n].bytes[b] && (b == 0 || group->nodes[n].kind == NODE_BOOL || totals[n].length == 0) ? totals[n].bytes[b]
                                                                                                                    : 0);
            }
            Py_DECREF(buffer);
        }
    }
    return true;
}

static void put_big_endian(uint8_t *to, uint64_t value) {
    for (int i = 0; i < 8; i++) to[i] = (uint8_t)(value >> (56 - 8 * i));
}

static int compare_ticks(const void *a, const void *b) {
    uint64_t left, right;
    memcpy(&left, a, 8);
    memcpy(&right, b, 8);
    return left < right ? -1 : left > right;
}

/* Row ids, times and values of the rows. False: a row changed after it was measured, or an exception is set. */
static bool fill_batch(Hopper *self, const struct batch *batch, const struct group *group, struct node_total *totals, uint8_t *ids,
                       uint8_t *ticks, int64_t **times_out) {
    bool ascend = true;
    uint64_t last = 0;
    for (uint64_t i = 0; i < batch->count; i++) {
        struct entry *entry;
        struct row_parts parts;
        const int64_t *times;
        if (!row_of(&self->hopper, &batch->rows[i], &entry, &parts, &times) ||
            !gather_fill(group->nodes, group->nodes_count, &parts, totals))
            return false;
        put_big_endian(ids + 16 * i, entry->time);
        put_big_endian(ids + 16 * i + 8, entry->counter);
        memcpy(ticks + 8 * i, &entry->tick, 8);
        ascend = ascend && entry->tick >= last;
        last = entry->tick;
        for (uint32_t t = 0; t < group->times; t++) memcpy(times_out[t] + i, times + t, 8);
    }
    /* One order over all processes: the ticks of a chunk's rows, given out pass by pass, ascend with the row ids. */
    if (!ascend) qsort(ticks, batch->count, 8, compare_ticks);
    return true;
}

/* Cuts the gathered list into columns: [(list offsets, [length, buffer, ...]), ...] */
static PyObject *split_columns(const struct group *group, PyObject *flat, const int32_t *roots, uint64_t rows) {
    PyObject *columns = PyList_New(0);
    Py_ssize_t at = 0;
    for (uint32_t n = 0, column = 0; columns && n < group->nodes_count; column++) {
        Py_ssize_t start = at;
        do {
            at += 1 + node_buffers(group->nodes[n].kind);
            n++;
        } while (n < group->nodes_count && !group->nodes[n].root);
        PyObject *offsets = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(4 * (rows + 1)));
        int32_t sum = 0;
        for (uint64_t i = 0; offsets && i <= rows; i++) {
            memcpy(PyBytes_AS_STRING(offsets) + 4 * i, &sum, 4);
            if (i < rows) sum += roots[i * group->columns + column];
        }
        PyObject *parts = PyList_GetSlice(flat, start, at);
        PyObject *item = offsets && parts ? PyTuple_Pack(2, offsets, parts) : NULL;
        Py_XDECREF(offsets);
        Py_XDECREF(parts);
        if (!item || PyList_Append(columns, item)) Py_CLEAR(columns);
        Py_XDECREF(item);
    }
    return columns;
}

/* OPAQUE nodes: the bytes of each row apart, in place of all of them joined. */
static bool split_opaque(Hopper *self, const struct batch *batch, const struct group *group, PyObject *flat) {
    Py_ssize_t at = 0;
    for (uint32_t n = 0, part = 0; n < group->nodes_count; n++) {
        if (group->nodes[n].kind == NODE_OPAQUE) {
            PyObject *joined = PyList_GET_ITEM(flat, at + 1), *list = PyList_New(0);
            Py_ssize_t from = 0;
            for (uint64_t i = 0; list && i < batch->count; i++) {
                struct entry *entry;
                struct row_parts parts;
                const int64_t *times;
                Py_ssize_t size = row_of(&self->hopper, &batch->rows[i], &entry, &parts, &times) ? (Py_ssize_t)parts.table[part + 1] : -1;
                PyObject *piece = size < 0 || size > PyBytes_GET_SIZE(joined) - from
                                      ? NULL
                                      : PyBytes_FromStringAndSize(PyBytes_AS_STRING(joined) + from, size);
                if (!piece || PyList_Append(list, piece)) Py_CLEAR(list);
                Py_XDECREF(piece);
                from += size;
            }
            if (!list) return false;
            PyList_SetItem(flat, at + 1, list);
        }
        at += 1 + node_buffers(group->nodes[n].kind);
        part += 1 + node_buffers(group->nodes[n].kind);
    }
    return true;
}

/* take(group, unsorted_rows, most_rows, most_bytes) -> (batch, rows, lost, row ids, [times, ...], ticks, columns) */
static PyObject *hopper_take_rows(Hopper *self, PyObject *args) {
    unsigned number;
    unsigned long long unsorted, most, bytes;
    if (!PyArg_ParseTuple(args, "IKKK", &number, &unsorted, &most, &bytes)) return NULL;
    if (!number || number > self->hopper.groups_count) return PyErr_Format(PyExc_IndexError, "no group %u", number);
    const struct group *group = self->hopper.groups[number - 1];
    struct batch *batch = PyMem_Calloc(1, sizeof *batch);
    if (!batch || hopper_take(&self->hopper, number, unsorted, most, bytes, batch)) {
        PyMem_Free(batch);
        return PyErr_NoMemory();
    }
    PyObject *token = PyCapsule_New(batch, "batch", free_batch), *result = NULL, *flat = PyList_New(0), *times = PyList_New(0), *ids = NULL,
             *ticks = NULL, *columns = NULL;
    struct node_total *totals = PyMem_Calloc(2 * (size_t)group->nodes_count + 1, sizeof *totals);
    int32_t *roots = PyMem_Calloc((size_t)batch->count * group->columns + 1, sizeof *roots);
    int64_t **times_out = PyMem_Calloc((size_t)group->times + 1, sizeof *times_out);
    if (!token || !flat || !times || !totals || !roots || !times_out) goto out;
    uint64_t lost = measure_batch(self, batch, group, totals, totals + group->nodes_count, roots);
    ids = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(16 * batch->count));
    ticks = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(8 * batch->count));
    for (uint32_t t = 0; t < group->times; t++) {
        PyObject *values = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(8 * batch->count));
        if (!values || PyList_Append(times, values)) {
            Py_XDECREF(values);
            goto out;
        }
        times_out[t] = (int64_t *)(void *)PyBytes_AS_STRING(values);
        Py_DECREF(values);
    }
    if (!ids || !ticks || !allocate_nodes(flat, group, totals)) goto out;
    if (!fill_batch(self, batch, group, totals, (uint8_t *)PyBytes_AS_STRING(ids), (uint8_t *)PyBytes_AS_STRING(ticks), times_out) ||
        !split_opaque(self, batch, group, flat)) {
        for (uint64_t i = 0; i < batch->count; i++)
            hopper_give_up(&self->hopper, &batch->rows[i]); /* somebody writes into published rows */
        lost += batch->count;
        batch->count = 0;
    }
    columns = split_columns(group, flat, roots, batch->count);
    if (columns)
        result = Py_BuildValue("OKKOOOO", token, (unsigned long long)batch->count, (unsigned long long)lost, ids, times, ticks, columns);
out:
    if (!result && token) hopper_restore(&self->hopper, batch);
    PyMem_Free(totals);
    PyMem_Free(roots);
    PyMem_Free(times_out);
    Py_XDECREF(columns);
    Py_XDECREF(ids);
    Py_XDECREF(ticks);
    Py_XDECREF(times);
    Py_XDECREF(flat);
    Py_XDECREF(token);
    return result ? result : PyErr_Occurred() ? NULL : PyErr_NoMemory();
}

static PyObject *hopper_commit_batch(Hopper *self, PyObject *token) {
    struct batch *batch = PyCapsule_GetPointer(token, "batch");
    if (!batch) return NULL;
    hopper_commit(&self->hopper, batch);
    Py_RETURN_NONE;
}

static PyObject *hopper_restore_batch(Hopper *self, PyObject *token) {
    struct batch *batch = PyCapsule_GetPointer(token, "batch");
    if (!batch) return NULL;
    if (hopper_restore(&self->hopper, batch)) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* advance() -> smallest log size of a row that is still pending, None if there is none */
static PyObject *hopper_advance_heads(Hopper *self, PyObject *Py_UNUSED(ignored)) {
    uint64_t oldest = hopper_advance(&self->hopper);
    if (oldest == UINT64_MAX) Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(oldest);
}

/* has_news() -> whether some lane has a record that was not collected */
static PyObject *hopper_news(Hopper *self, PyObject *Py_UNUSED(ignored)) {
    return PyBool_FromLong(hopper_has_news(&self->hopper));
}

static PyObject *hopper_ahead(Hopper *self, PyObject *Py_UNUSED(ignored)) {
    hopper_allocate_ahead(&self->hopper);
    Py_RETURN_NONE;
}

static void add_to_set(void *set, uint32_t group) {
    PyObject *number = PyLong_FromUnsignedLong(group);
    if (number) PySet_Add(set, number);
    Py_XDECREF(number);
}

static PyObject *hopper_pressed_groups(Hopper *self, PyObject *Py_UNUSED(ignored)) {
    PyObject *set = PySet_New(NULL);
    if (set) hopper_pressed(&self->hopper, add_to_set, set);
    return set;
}

/*
 * reader(number) -> (closed, tail, read, head, rows behind the head, those of them that wait, rows done, rows lost, rows of the member
 * before, rows read here or -1, why broken or None)
 */
static PyObject *hopper_reader(Hopper *self, PyObject *number) {
    struct reader *reader = reader_at(self, number);
    if (!reader) return NULL;
    return Py_BuildValue("KKKKKKKKKLz", (unsigned long long)reader->closed, (unsigned long long)reader->tail,
                         (unsigned long long)reader->read, (unsigned long long)reader->low, (unsigned long long)reader->count,
                         (unsigned long long)reader->rows_waiting, (unsigned long long)reader->rows_done,
                         (unsigned long long)reader->rows_lost, (unsigned long long)reader->rows_before,
                         reader->synced ? (long long)reader->rows_read : -1LL, reader->broken);
}

static int hopper_set_seen(Hopper *self, PyObject *value, void *Py_UNUSED(closure)) {
    if (!value || !PyBytes_Check(value) || PyBytes_GET_SIZE(value) % 16) {
        PyErr_SetString(PyExc_TypeError, "seen takes the sorted row ids as bytes, 16 each");
        return -1;
    }
    uint8_t *copy = malloc((size_t)PyBytes_GET_SIZE(value) + 1);
    if (!copy) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(copy, PyBytes_AS_STRING(value), (size_t)PyBytes_GET_SIZE(value));
    free(self->hopper.seen);
    self->hopper.seen = copy;
    self->hopper.seen_count = (uint64_t)PyBytes_GET_SIZE(value) / 16;
    return 0;
}

static int hopper_set_scanned_from(Hopper *self, PyObject *value, void *Py_UNUSED(closure)) {
    uint64_t offset = value ? PyLong_AsUnsignedLongLong(value) : 0;
    if (PyErr_Occurred()) return -1;
    self->hopper.scanned_from = offset;
    self->hopper.replaying = true;
    return 0;
}

/* put_aside(reader, why): reads it no more, as if it were damaged */
static PyObject *hopper_put_aside(Hopper *self, PyObject *number) {
    struct reader *reader = reader_at(self, number);
    if (!reader) return NULL;
    if (!reader->broken) reader->broken = "it defines a shape that makes no sense";
    Py_RETURN_NONE;
}

static PyObject *hopper_get_tick(Hopper *self, void *Py_UNUSED(closure)) {
    return PyLong_FromUnsignedLongLong(self->hopper.next_tick);
}

static int hopper_set_tick(Hopper *self, PyObject *value, void *Py_UNUSED(closure)) {
    uint64_t tick = value ? PyLong_AsUnsignedLongLong(value) : 0;
    if (PyErr_Occurred()) return -1;
    self->hopper.next_tick = tick;
    return 0;
}

static PyGetSetDef hopper_fields[] = {{"seen", NULL, (setter)hopper_set_seen, NULL, NULL},
                                      {"scanned_from", NULL, (setter)hopper_set_scanned_from, NULL, NULL},
                                      {"next_tick", (getter)hopper_get_tick, (setter)hopper_set_tick, NULL, NULL},
                                      {0}};

static PyMethodDef hopper_methods[] = {
    {"add_reader", (PyCFunction)hopper_add, METH_O, NULL},
    {"remove_reader", (PyCFunction)hopper_remove, METH_O, NULL},
    {"add_group", (PyCFunction)hopper_group, METH_VARARGS, NULL},
    {"scan", (PyCFunction)hopper_scan_lanes, METH_NOARGS, NULL},
    {"define", (PyCFunction)hopper_define_shape, METH_VARARGS, NULL},
    {"collect", (PyCFunction)hopper_collect_rows, METH_O, NULL},
    {"pending", (PyCFunction)hopper_pending, METH_NOARGS, NULL},
    {"take", (PyCFunction)hopper_take_rows, METH_VARARGS, NULL},
    {"commit", (PyCFunction)hopper_commit_batch, METH_O, NULL},
    {"restore", (PyCFunction)hopper_restore_batch, METH_O, NULL},
    {"advance", (PyCFunction)hopper_advance_heads, METH_NOARGS, NULL},
    {"has_news", (PyCFunction)hopper_news, METH_NOARGS, NULL},
    {"allocate_ahead", (PyCFunction)hopper_ahead, METH_NOARGS, NULL},
    {"pressed", (PyCFunction)hopper_pressed_groups, METH_NOARGS, NULL},
    {"reader", (PyCFunction)hopper_reader, METH_O, NULL},
    {"put_aside", (PyCFunction)hopper_put_aside, METH_O, NULL},
    {0},
};

PyTypeObject HopperType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "shmrerun._core.Hopper",
    .tp_basicsize = sizeof(Hopper),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = hopper_new,
    .tp_dealloc = (destructor)hopper_dealloc,
    .tp_methods = hopper_methods,
    .tp_getset = hopper_fields,
};
