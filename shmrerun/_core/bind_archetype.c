/*
 * bind_archetype.c - archetypes without Python on the hot path. A plan, made of an entry of the table, says where the fields of a class
 * lie and what their converters are. With it a call of the class sets the fields itself, and `log` reads them.
 *
 * A field's slot holds None, a tuple of parts as converters make them, or a *cell*: the float or text itself, packed bytes, or the view of
 * an array. The constructor takes only what it understands fully, and runs no Python for it; for anything else nothing has happened and
 * the class's `__init__` does it all, so results, errors and warnings are that function's.
 */
#include "binding.h"

#include <math.h>
#include <structmember.h>
#include <string.h>

#define PLANS_SIZE 1024u      /* open addressing; classes last as long as the process */
#define EXACT (1LL << 53)     /* ints below this are floats without loss */
#define ITEMS_LIMIT (1 << 24) /* longer sequences are the converters' */
enum { TEXT = 's', COLOR = 'c', ENUM = 'e', BOOLEAN = '?' };

struct parameter {
    PyObject *name; /* interned */
    int field;      /* that it sets; -1: only None is understood */
    bool required;
};

struct plan {
    PyTypeObject *type;
    PyObject *init, *sets; /* `__init__`; dict: mask of fields -> ColumnSet */
    unsigned version;      /* of the type, when `init` was what it is made by */
    bool shortcut;
    uint32_t fields_count, parameters_count, positional;
    struct field fields[FIELDS_LIMIT];
    struct parameter parameters[FIELDS_LIMIT + 8];
    struct {
        uint32_t mask, columns;
    } known[8]; /* numbers of column sets */
};

static struct plan *plans[PLANS_SIZE];
static uint32_t plans_count;
static PyTypeObject *array_type, *float64_type; /* NumPy's, once it is there */
static PyObject *word_init, *word_id;

static struct plan **plan_slot(const PyTypeObject *type) {
    uint32_t at = (uint32_t)((uintptr_t)type >> 4) * 0x9e3779b9u >> 22;
    while (plans[at] && plans[at]->type != type) at = (at + 1) % PLANS_SIZE;
    return &plans[at];
}

static PyObject **cell_of(PyObject *entity, const struct field *field) {
    return (PyObject **)(void *)((char *)entity + field->offset);
}

/* ---- values to cells; NULL: not understood, perhaps with an exception ---- */

static bool put_number(uint8_t *to, const struct field *field, PyObject *item) {
    long long whole = 0;
    double number;
    if (PyFloat_CheckExact(item)) {
        number = PyFloat_AS_DOUBLE(item);
        if (field->code != 'd' && field->code != 'f') return false;
    } else if (PyLong_CheckExact(item)) {
        int overflow;
        whole = PyLong_AsLongLongAndOverflow(item, &overflow);
        if (overflow) return false;
        number = (double)whole;
    } else return false;
    switch (field->code) {
    case 'd':
        memcpy(to, &number, 8);
        return whole < EXACT && whole > -EXACT;
    case 'f': {
        float single = (float)number;
        memcpy(to, &single, 4);
        return whole < EXACT && whole > -EXACT && (isfinite(single) || !isfinite(number));
    }
    case 'B':
        *to = (uint8_t)whole;
        return whole >= 0 && whole <= UINT8_MAX;
    case 'H':
        memcpy(to, &(uint16_t){(uint16_t)whole}, 2);
        return whole >= 0 && whole <= UINT16_MAX;
    case 'I':
    case COLOR:
        memcpy(to, &(uint32_t){(uint32_t)whole}, 4);
        return whole >= 0 && whole <= UINT32_MAX;
    case 'i':
        memcpy(to, &(int32_t){(int32_t)whole}, 4);
        return whole >= INT32_MIN && whole <= INT32_MAX;
    case 'Q':
        memcpy(to, &whole, 8);
        return whole >= 0;
    default:
        memcpy(to, &whole, 8);
        return true;
    }
}

static bool is_number(PyObject *item) {
    return PyFloat_CheckExact(item) || PyLong_CheckExact(item);
}

static bool is_sequence(PyObject *item) {
    return PyList_CheckExact(item) || PyTuple_CheckExact(item);
}

static bool put_numbers(uint8_t *to, const struct field *field, PyObject *row) {
    PyObject **items = PySequence_Fast_ITEMS(row);
    for (Py_ssize_t i = 0, count = PySequence_Fast_GET_SIZE(row); i < count; i++, to += field->size)
        if (!put_number(to, field, items[i])) return false;
    return true;
}

/* Numbers, or vectors: one, or rows of them. Bytes are no object of the garbage collector, so nothing runs before they are filled. */
static PyObject *pack_sequence(const struct field *field, PyObject *value) {
    Py_ssize_t count = PySequence_Fast_GET_SIZE(value), width = field->width;
    PyObject **items = PySequence_Fast_ITEMS(value);
    if (count > ITEMS_LIMIT) return NULL;
    bool flat = width == 1 || (count == width && is_number(items[0]));
    PyObject *packed = PyBytes_FromStringAndSize(NULL, count * field->size * (flat ? 1 : width));
    if (!packed) return NULL;
    uint8_t *to = (uint8_t *)PyBytes_AS_STRING(packed);
    bool good = true;
    if (flat) good = put_numbers(to, field, value);
    else
        for (Py_ssize_t i = 0; i < count && good; i++, to += field->size * width)
            good = is_sequence(items[i]) && PySequence_Fast_GET_SIZE(items[i]) == width && put_numbers(to, field, items[i]);
    if (good) return packed;
    Py_DECREF(packed);
    return NULL;
}

/* One colour of 3 or 4 ints below 256, as the bytes of 0xRRGGBBAA. */
static bool put_color(uint8_t *to, PyObject *row) {
    static const struct field byte = {.code = 'B', .size = 1, .width = 1};
    if (!is_sequence(row)) return false;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(row);
    if (count != 3 && count != 4) return false;
    to[0] = 255;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!put_number(to + 3 - i, &byte, PySequence_Fast_GET_ITEM(row, i))) return false;
    return true;
}

static PyObject *pack_colors(const struct field *field, PyObject *value) {
    Py_ssize_t count = PySequence_Fast_GET_SIZE(value);
    PyObject **items = PySequence_Fast_ITEMS(value);
    if (!count || count > ITEMS_LIMIT) return NULL;
    bool rows = is_sequence(items[0]), single = !rows && (count == 3 || count == 4), good = true;
    PyObject *packed = PyBytes_FromStringAndSize(NULL, 4 * (single ? 1 : count));
    if (!packed) return NULL;
    uint8_t *to = (uint8_t *)PyBytes_AS_STRING(packed);
    if (single) good = put_color(to, value);
    else if (!rows) good = put_numbers(to, field, value);
    else
        for (Py_ssize_t i = 0; i < count && good; i++, to += 4) good = put_color(to, items[i]);
    if (good) return packed;
    Py_DECREF(packed);
    return NULL;
}

/* Rows of 3 or 4 bytes, or one. */
static PyObject *colors_of_view(const Py_buffer *view) {
    Py_ssize_t last = view->ndim ? view->shape[view->ndim - 1] : 0;
    if ((last != 3 && last != 4) || view->ndim > 2) return NULL;
    Py_ssize_t count = view->len / last;
    if (count > PY_SSIZE_T_MAX / 4) return NULL;
    PyObject *packed = PyBytes_FromStringAndSize(NULL, 4 * count);
    if (!packed) return NULL;
    uint8_t *to = (uint8_t *)PyBytes_AS_STRING(packed);
    const uint8_t *from = view->buf;
    if (last == 4) {
        for (Py_ssize_t i = 0; i < count; i++, to += 4, from += 4) {
            uint32_t rgba;
            memcpy(&rgba, from, 4);
            rgba = rgba << 24 | (rgba & 0xff00u) << 8 | (rgba >> 8 & 0xff00u) | rgba >> 24;
            memcpy(to, &rgba, 4);
        }
        return packed;
    }
    for (Py_ssize_t i = 0; i < count; i++, to += 4, from += 3) {
        to[0] = 255;
        to[1] = from[2];
        to[2] = from[1];
        to[3] = from[0];
    }
    return packed;
}

/* A C-contiguous array of the field's own dtype is referred to, as the converters do; bytes of colours are turned round. */
static PyObject *cell_of_array(const struct field *field, PyObject *value) {
    PyObject *held = PyMemoryView_FromObject(value), *made = NULL;
    if (!held) return NULL;
    const Py_buffer *view = PyMemoryView_GET_BUFFER(held);
    char format = view->format && view->format[0] && !view->format[1] ? view->format[0] : 0;
    if (format == 'l' || format == 'L') format = format == 'l' ? 'q' : 'Q';
    if (!format || view->suboffsets || !PyBuffer_IsContiguous(view, 'C')) {
    } else if (field->code == COLOR) {
        if (format == 'I' && view->ndim == 1) made = Py_NewRef(held);
        else if (format == 'B') made = colors_of_view(view);
    } else if (format == field->code && view->itemsize == field->size &&
               (field->width == 1 || (view->ndim == 2 && view->shape[1] == field->width))) {
        made = Py_NewRef(held);
    }
    Py_DECREF(held);
    return made;
}

/* Several texts: parts. Only ASCII, whose bytes are the text's own. */
static PyObject *parts_of_texts(PyObject *value) {
    Py_ssize_t count = PySequence_Fast_GET_SIZE(value), size = 0;
    PyObject **items = PySequence_Fast_ITEMS(value);
    if (count > ITEMS_LIMIT) return NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!PyUnicode_CheckExact(items[i]) || !PyUnicode_IS_COMPACT_ASCII(items[i])) return NULL;
        size += PyUnicode_GET_LENGTH(items[i]);
        if (size > INT32_MAX) return NULL;
    }
    PyObject *offsets = PyBytes_FromStringAndSize(NULL, 4 * (count + 1)), *raw = offsets ? PyBytes_FromStringAndSize(NULL, size) : NULL;
    if (!raw) {
        Py_XDECREF(offsets);
        return NULL;
    }
    int32_t offset = 0;
    char *ends = PyBytes_AS_STRING(offsets), *to = PyBytes_AS_STRING(raw);
    memcpy(ends, &offset, 4);
    for (Py_ssize_t i = 0; i < count; i++) {
        int32_t length = (int32_t)PyUnicode_GET_LENGTH(items[i]);
        if (length) memcpy(to + offset, PyUnicode_1BYTE_DATA(items[i]), (size_t)length);
        offset += length;
        memcpy(ends += 4, &offset, 4);
    }
    return Py_BuildValue("nONN", count, Py_None, offsets, raw);
}

static PyObject *make_cell(const struct field *field, PyObject *value) {
    bool sequence = is_sequence(value);
    switch (field->code) {
    case 0:
        return NULL;
    case TEXT:
        if (sequence) return parts_of_texts(value);
        if (!PyUnicode_CheckExact(value) || PyUnicode_GET_LENGTH(value) > INT32_MAX / 4) return NULL;
        return PyUnicode_IS_COMPACT_ASCII(value) ? Py_NewRef(value) : PyUnicode_AsUTF8String(value);
    case ENUM:
        return PyUnicode_CheckExact(value) || PyLong_CheckExact(value) ? Py_XNewRef(PyDict_GetItemWithError(field->known, value)) : NULL;
    case BOOLEAN:
        return PyBool_Check(value) ? PyBytes_FromStringAndSize(value == Py_True ? "\1" : "\0", 1) : NULL;
    default:
        break;
    }
    if (sequence) return field->code == COLOR ? pack_colors(field, value) : pack_sequence(field, value);
    if (field->width == 1 && is_number(value)) {
        uint8_t number[8];
        if (field->code == 'd' && PyFloat_CheckExact(value)) return Py_NewRef(value);
        return put_number(number, field, value) ? PyBytes_FromStringAndSize((const char *)number, field->size) : NULL;
    }
    if (Py_TYPE(value) == array_type) return cell_of_array(field, value);
    if (Py_TYPE(value) == float64_type && field->code == 'd' && field->width == 1) return PyFloat_FromDouble(PyFloat_AS_DOUBLE(value));
    return NULL;
}

/* ---- cells to parts ---- */

uint32_t cell_parts(const struct cell *cell) {
    if (PyTuple_CheckExact(cell->value)) return (uint32_t)Py_MIN(PyTuple_GET_SIZE(cell->value), (Py_ssize_t)RECORD_PARTS_LIMIT + 1);
    return cell->field->code == TEXT ? 4 : cell->field->width == 1 ? 3 : 5;
}

bool cell_span(const struct cell *cell, const void **data, uint64_t *size) {
    PyObject *value = cell->value;
    if (PyFloat_CheckExact(value) && cell->field->code == 'd') {
        *data = &((PyFloatObject *)value)->ob_fval;
        *size = 8;
    } else if (PyUnicode_CheckExact(value) && PyUnicode_IS_COMPACT_ASCII(value) && cell->field->code == TEXT) {
        *data = PyUnicode_1BYTE_DATA(value);
        *size = (uint64_t)PyUnicode_GET_LENGTH(value);
    } else if (PyBytes_CheckExact(value) && cell->field->size) {
        *data = PyBytes_AS_STRING(value);
        *size = (uint64_t)PyBytes_GET_SIZE(value);
    } else return false;
    return true;
}

PyObject *cell_tuple(const struct cell *cell) {
    if (PyTuple_CheckExact(cell->value)) return Py_NewRef(cell->value);
    const void *data = NULL;
    uint64_t size = 0;
    PyObject *values;
    if (cell_span(cell, &data, &size)) {
        values = PyBytes_CheckExact(cell->value) ? Py_NewRef(cell->value) : PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    } else if (PyMemoryView_Check(cell->value) && cell->field->size && cell->field->code != TEXT) {
        size = (uint64_t)PyMemoryView_GET_BUFFER(cell->value)->len;
        values = Py_NewRef(cell->value);
    } else return PyErr_Format(PyExc_TypeError, "a field holds %.200s, which is no parts", Py_TYPE(cell->value)->tp_name);
    if (!values) return NULL;
    if (cell->field->code == TEXT) {
        int32_t offsets[2] = {0, (int32_t)size};
        return Py_BuildValue("iOy#N", 1, Py_None, (const char *)offsets, (Py_ssize_t)sizeof offsets, values);
    }
    unsigned long long numbers = size / cell->field->size;
    if (cell->field->width == 1) return Py_BuildValue("KON", numbers, Py_None, values);
    return Py_BuildValue("KOKON", numbers / cell->field->width, Py_None, numbers, Py_None, values);
}

PyObject *row_tuple(const struct row_cells *row) {
    PyObject *whole = PyTuple_New(0);
    for (uint32_t i = 0; i < row->count && whole; i++) {
        PyObject *parts = cell_tuple(&row->cells[i]);
        Py_SETREF(whole, parts ? PySequence_Concat(whole, parts) : NULL);
        Py_XDECREF(parts);
    }
    return whole;
}

/* ---- rows ---- */

/* Number of the column set of these fields; 0: it has none yet. Runs no Python. */
static uint32_t columns_of(struct plan *plan, uint32_t mask) {
    uint32_t at = (mask ^ mask >> 3 ^ mask >> 6 ^ mask >> 9) & 7;
    if (plan->known[at].mask == mask) return plan->known[at].columns;
    PyObject *key = PyLong_FromUnsignedLong(mask), *set = key ? PyDict_GetItemWithError(plan->sets, key) : NULL;
    PyObject *id = set ? PyObject_GetAttr(set, word_id) : NULL;
    unsigned long number = id ? PyLong_AsUnsignedLong(id) : 0;
    Py_XDECREF(id);
    Py_XDECREF(key);
    PyErr_Clear(); /* Python finds out */
    if (!number || number > column_sets.count) return 0;
    plan->known[at].mask = mask;
    plan->known[at].columns = (uint32_t)number;
    return (uint32_t)number;
}

bool row_take(PyObject *entity, struct row_cells *row) {
    struct plan *plan = *plan_slot(Py_TYPE(entity));
    row->count = 0;
    if (!plan) return false;
    uint32_t mask = 0;
    for (uint32_t i = 0; i < plan->fields_count; i++) {
        PyObject *value = *cell_of(entity, &plan->fields[i]);
        if (!value) { /* made without `__init__` */
            row_release(row);
            return false;
        }
        if (value == Py_None) continue;
        mask |= 1u << i;
        row->cells[row->count++] = (struct cell){Py_NewRef(value), &plan->fields[i]};
    }
    if (mask && (row->columns = columns_of(plan, mask))) return true;
    row_release(row);
    return false;
}

void row_release(struct row_cells *row) {
    while (row->count) Py_DECREF(row->cells[--row->count].value);
}

/* field_parts(archetype, number of the field) -> parts, or None */
PyObject *core_field_parts(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    if (!take_args(count, 2, "field_parts")) return NULL;
    unsigned long at = PyLong_AsUnsignedLong(args[1]);
    if (PyErr_Occurred()) return NULL;
    struct plan *plan = NULL;
    for (PyTypeObject *type = Py_TYPE(args[0]); type && !plan; type = type->tp_base) plan = *plan_slot(type);
    if (!plan || at >= plan->fields_count) return PyErr_Format(PyExc_TypeError, "%.200s has no field %lu", Py_TYPE(args[0])->tp_name, at);
    PyObject *value = *cell_of(args[0], &plan->fields[at]);
    if (!value) return PyErr_Format(PyExc_AttributeError, "field %lu of this %.200s is not set", at, Py_TYPE(args[0])->tp_name);
    if (value == Py_None) Py_RETURN_NONE;
    struct cell cell = {Py_NewRef(value), &plan->fields[at]};
    PyObject *parts = cell_tuple(&cell);
    Py_DECREF(cell.value);
    return parts;
}

/* ---- the constructor ---- */

/* Whether calling the class still means what it meant: nobody has put another `__init__` or `__new__` there. */
static bool as_made(struct plan *plan) {
    if (plan->version && plan->version == plan->type->tp_version_tag) return true;
    PyObject *init = PyObject_GetAttr((PyObject *)plan->type, word_init);
    bool same = init == plan->init && plan->type->tp_new == PyType_GenericNew && plan->type->tp_alloc == PyType_GenericAlloc;
    Py_XDECREF(init);
    PyErr_Clear();
    plan->version = same ? plan->type->tp_version_tag : 0;
    return same;
}

/* The arguments by parameter, borrowed; false: not as the signature has them. */
static bool bind(const struct plan *plan, PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject **given) {
    if (count > (Py_ssize_t)plan->positional) return false;
    memset(given, 0, plan->parameters_count * sizeof *given);
    for (Py_ssize_t i = 0; i < count; i++) given[i] = args[i];
    for (Py_ssize_t i = 0, named = names ? PyTuple_GET_SIZE(names) : 0; i < named; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        uint32_t at = 0;
        while (at < plan->parameters_count && plan->parameters[at].name != name) at++;
        if (at == plan->parameters_count || given[at]) return false;
        given[at] = args[count + i];
    }
    return true;
}

static PyObject *construct(const struct plan *plan, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *given[FIELDS_LIMIT + 8], *cells[FIELDS_LIMIT] = {NULL}, *made = NULL;
    if (!bind(plan, args, count, names, given)) return NULL;
    bool good = true;
    for (uint32_t i = 0; i < plan->parameters_count && good; i++) {
        const struct parameter *parameter = &plan->parameters[i];
        if (!given[i]) good = !parameter->required;
        else if (given[i] != Py_None)
            good = parameter->field >= 0 && (cells[parameter->field] = make_cell(&plan->fields[parameter->field], given[i]));
    }
    if (good) made = plan->type->tp_alloc(plan->type, 0);
    for (uint32_t i = 0; i < plan->fields_count; i++) {
        if (made) *cell_of(made, &plan->fields[i]) = cells[i] ? cells[i] : Py_NewRef(Py_None);
        else Py_XDECREF(cells[i]);
    }
    return made;
}

/* As calling a type does: `__new__` and `__init__`, in whatever state they are. */
static PyObject *call_type(PyObject *type, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *positional = PyTuple_New(count), *named = names ? PyDict_New() : NULL, *made = NULL;
    bool good = positional && (named || !names);
    for (Py_ssize_t i = 0; good && i < count; i++) PyTuple_SET_ITEM(positional, i, Py_NewRef(args[i]));
    for (Py_ssize_t i = 0; good && names && i < PyTuple_GET_SIZE(names); i++)
        good = !PyDict_SetItem(named, PyTuple_GET_ITEM(names, i), args[count + i]);
    if (good) made = PyType_Type.tp_call(type, positional, named);
    Py_XDECREF(positional);
    Py_XDECREF(named);
    return made;
}

static PyObject *archetype_call(PyObject *type, PyObject *const *args, size_t flags, PyObject *names) {
    struct plan *plan = *plan_slot((PyTypeObject *)type);
    Py_ssize_t count = PyVectorcall_NARGS(flags);
    if (plan->shortcut && as_made(plan)) {
        PyObject *made = construct(plan, args, count, names);
        if (made) return made;
        PyErr_Clear(); /* nothing has happened yet */
    }
    return call_type(type, args, count, names);
}

/* ---- what Python registers ---- */

static int take_field(struct plan *plan, uint32_t at, PyObject *slot, PyObject *kind) {
    int code, size, width;
    PyObject *known;
    if (Py_TYPE(slot) != &PyMemberDescr_Type || !PyArg_ParseTuple(kind, "CiiO", &code, &size, &width, &known)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "a field lies in a slot");
        return -1;
    }
    plan->fields[at] = (struct field){.offset = ((PyMemberDescrObject *)slot)->d_member->offset,
                                      .code = (uint8_t)(code == '-' ? 0 : code),
                                      .size = (uint8_t)size,
                                      .width = (uint8_t)width,
                                      .known = known == Py_None ? NULL : Py_NewRef(known)};
    return 0;
}

/*
 * plan(class, sets, init or None, slots, kinds, parameters, positional): makes `log` read the fields, and a call of the class set them. A kind
 * is (code, bytes of a number, numbers of a value, dict or None), a parameter (name, field or -1, required). Once for each class.
 */
PyObject *core_plan(PyObject *Py_UNUSED(self), PyObject *args) {
    PyTypeObject *type;
    PyObject *sets, *init, *slots, *kinds, *parameters;
    unsigned positional;
    if (!PyArg_ParseTuple(args, "O!O!OO!O!O!I", &PyType_Type, &type, &PyDict_Type, &sets, &init, &PyTuple_Type, &slots, &PyTuple_Type,
                          &kinds, &PyTuple_Type, &parameters, &positional))
        return NULL;
    Py_ssize_t fields = PyTuple_GET_SIZE(slots), count = PyTuple_GET_SIZE(parameters);
    if (fields > FIELDS_LIMIT || count > FIELDS_LIMIT + 8 || PyTuple_GET_SIZE(kinds) != fields || positional > count ||
        !PyType_IsSubtype(type, &OwnRowType) || *plan_slot(type) || plans_count >= PLANS_SIZE / 2)
        return PyErr_Format(PyExc_ValueError, "no plan for %.200s", type->tp_name);
    struct plan *plan = PyMem_Calloc(1, sizeof *plan); /* one that fails below is left: it is a bug in the table */
    if (!plan) return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < fields; i++)
        if (take_field(plan, (uint32_t)i, PyTuple_GET_ITEM(slots, i), PyTuple_GET_ITEM(kinds, i))) return NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        int required;
        struct parameter *parameter = &plan->parameters[i];
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(parameters, i), "Uip", &parameter->name, &parameter->field, &required)) return NULL;
        Py_INCREF(parameter->name);
        PyUnicode_InternInPlace(&parameter->name);
        parameter->required = required;
        if (parameter->field >= fields) return PyErr_Format(PyExc_ValueError, "no field %d", parameter->field);
    }
    plan->type = (PyTypeObject *)Py_NewRef(type);
    plan->sets = Py_NewRef(sets);
    plan->init = Py_NewRef(init);
    plan->shortcut = init != Py_None;
    plan->fields_count = (uint32_t)fields;
    plan->parameters_count = (uint32_t)count;
    plan->positional = positional;
    *plan_slot(type) = plan;
    plans_count++;
    if (plan->shortcut) type->tp_vectorcall = archetype_call; /* not inherited: a subclass is made by its own `__init__` */
    Py_RETURN_NONE;
}

/* meet_numpy(ndarray, float64) */
PyObject *core_meet_numpy(PyObject *Py_UNUSED(self), PyObject *args) {
    PyTypeObject *array, *float64;
    if (!PyArg_ParseTuple(args, "O!O!", &PyType_Type, &array, &PyType_Type, &float64)) return NULL;
    if (!PyType_IsSubtype(float64, &PyFloat_Type)) return PyErr_Format(PyExc_TypeError, "expected a subclass of float");
    Py_XSETREF(array_type, (PyTypeObject *)Py_NewRef(array));
    Py_XSETREF(float64_type, (PyTypeObject *)Py_NewRef(float64));
    Py_RETURN_NONE;
}

int archetype_init(void) {
    word_init = PyUnicode_InternFromString("__init__");
    word_id = PyUnicode_InternFromString("id");
    return word_init && word_id ? 0 : -1;
}
