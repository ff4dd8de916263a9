/* Serialized examples to columns, by the rules of protocol buffers; a SequenceExample has lists of features besides.
 *
 * Unknown fields are skipped, of two entries of one key the last is meant, of two kinds in one feature the last, and
 * lists of numbers are packed or not. Nothing is read before or behind the span of a record.
 * https://protobuf.dev/programming-guides/encoding
 */
#include "_codec_columns.h"

/* Drop what the feature that is read had in its column. */
static void start_over(Column *c) {
    c->values.size = c->old_values;
    c->ends.size = c->old_ends;
    c->count = 0;
}

static inline const uint8_t *feature(Reader *r, Column *c, const uint8_t *p, const uint8_t *end) {
    uint32_t field;
    const uint8_t *last;
    while (p < end) {
        if ((p = tag(r, p, end, &field)) == NULL) return NULL;
        int kind = (int)(field >> 3);
        if ((field & 7) != LENGTH || kind > INT64_LIST) {
            if ((p = skip(r, p, end, field, 0)) == NULL) return NULL;
            continue;
        }
        if ((p = length(r, p, end, &last)) == NULL) return NULL;
        if (kind != c->row_kind) start_over(c);
        c->row_kind = kind;
        int kept = c->kind == kind || c->kind == NO_KIND;
        const uint8_t *done = kind == INT64_LIST   ? int64_list(r, c, kept, p, last)
                              : kind == FLOAT_LIST ? float_list(r, c, kept, p, last)
                                                   : bytes_list(r, c, kept, p, last);
        if (done == NULL) return NULL;
        p = last;
    }
    return p;
}

static void begin_feature(Column *c) {
    c->row_kind = NO_KIND;
    c->count = 0;
    c->old_values = c->values.size;
    c->old_ends = c->ends.size;
}

/* Hold the feature that was read to its column, and return its count of values. */
static int end_feature(Reader *r, Column *c, const uint8_t *at, int32_t *count) {
    *count = MISSING;
    if (c->row_kind == NO_KIND) return 0;
    if (c->kind == NO_KIND) c->kind = c->row_kind;
    if (c->kind != c->row_kind) {
        r->column = c;
        fail(r, c->row_kind == BYTES_LIST   ? "it holds bytes"
                : c->row_kind == FLOAT_LIST ? "it holds floats"
                                            : "it holds integers",
             at);
        return -1;
    }
    *count = (int32_t)c->count;
    return 0;
}

/* Read a list of features: each of them is a list of values. */
static const uint8_t *feature_list(Reader *r, Column *c, const uint8_t *p, const uint8_t *end) {
    uint32_t field;
    int32_t count;
    const uint8_t *last;
    while (p < end) {
        const uint8_t *from = p;
        if ((p = tag(r, p, end, &field)) == NULL) return NULL;
        if (field != (1 << 3 | LENGTH)) {
            if ((p = skip(r, p, end, field, 0)) == NULL) return NULL;
            continue;
        }
        if ((p = length(r, p, end, &last)) == NULL) return NULL;
        begin_feature(c);
        if (feature(r, c, p, last) == NULL || end_feature(r, c, from, &count) < 0) return NULL;
        if (append(r, &c->inner, &count, 4) < 0) return NULL;
        c->elements++;
        p = last;
    }
    return p;
}

static inline const uint8_t *value(Reader *r, Column *c, const uint8_t *p, const uint8_t *end) {
    return c->nested ? feature_list(r, c, p, end) : feature(r, c, p, end);
}

/* Read the values of an entry, which are one in parts. */
static int values(Reader *r, Column *c, const uint8_t *p, const uint8_t *end) {
    uint32_t field;
    const uint8_t *last;
    while (p < end) {
        if ((p = tag(r, p, end, &field)) == NULL) return -1;
        if (field != (2 << 3 | LENGTH)) {
            if ((p = skip(r, p, end, field, 0)) == NULL) return -1;
            continue;
        }
        if ((p = length(r, p, end, &last)) == NULL || value(r, c, p, last) == NULL) return -1;
        p = last;
    }
    return 0;
}

static int entry(Reader *r, const uint8_t *p, const uint8_t *end, int nested) {
    uint32_t field;
    const uint8_t *first = p, *key = p, *key_end = p, *held = p, *held_end = p, *last;
    int parts = 0;
    while (p < end) {
        if ((p = tag(r, p, end, &field)) == NULL) return -1;
        if (field == (1 << 3 | LENGTH)) {
            if (!is_utf8(key, key_end)) { /* the one that this one replaces */
                fail(r, "a key is not UTF-8", key);
                return -1;
            }
            if ((p = length(r, p, end, &last)) == NULL) return -1;
            key = p;
            p = key_end = last;
        } else if (field == (2 << 3 | LENGTH)) {
            if ((p = length(r, p, end, &last)) == NULL) return -1;
            parts++;
            held = p;
            p = held_end = last;
        } else if ((p = skip(r, p, end, field, 0)) == NULL)
            return -1;
    }
    Column *c = column_of(r, key, (size_t)(key_end - key), nested);
    if (c == NULL) return -1;
    if (c->kind == SKIPPED) return 0;
    if (c->row == r->row) { /* the key came before in this record: what it had is replaced */
        c->values.size = c->old_values;
        c->ends.size = c->old_ends;
        c->inner.size = c->old_inner;
        c->elements = c->old_elements;
    }
    c->row = r->row;
    begin_feature(c);
    size_t old_values = c->old_values, old_ends = c->old_ends;
    c->old_inner = c->inner.size;
    c->old_elements = c->elements;
    if (parts == 1 ? value(r, c, held, held_end) == NULL : values(r, c, first, end) < 0) return -1;
    if (c->nested) {
        c->counts[r->row] = (int32_t)(c->elements - c->old_elements);
        c->old_values = old_values;
        c->old_ends = old_ends;
        return 0;
    }
    return end_feature(r, c, first, &c->counts[r->row]);
}

/* Read a message of which field 1 is a map. */
static int map(Reader *r, const uint8_t *p, const uint8_t *end, int nested) {
    uint32_t field;
    const uint8_t *last;
    while (p < end) {
        if ((p = tag(r, p, end, &field)) == NULL) return -1;
        if (field != (1 << 3 | LENGTH)) {
            if ((p = skip(r, p, end, field, 0)) == NULL) return -1;
            continue;
        }
        if ((p = length(r, p, end, &last)) == NULL || entry(r, p, last, nested) < 0) return -1;
        p = last;
    }
    return 0;
}

/* Read an Example, of which field 1 is its features, or a SequenceExample, of which field 2 is its feature lists. */
static int example(Reader *r, const uint8_t *p, const uint8_t *end) {
    uint32_t field;
    const uint8_t *last;
    r->next = 0;
    while (p < end) {
        if ((p = tag(r, p, end, &field)) == NULL) return -1;
        if (field != (1 << 3 | LENGTH) && field != (2 << 3 | LENGTH)) {
            if ((p = skip(r, p, end, field, 0)) == NULL) return -1;
            continue;
        }
        if ((p = length(r, p, end, &last)) == NULL || map(r, p, last, field >> 3 == 2) < 0) return -1;
        p = last;
    }
    return 0;
}

static void read_records(Reader *r, const uint8_t *data, Py_ssize_t size, const int64_t *spans) {
    for (r->row = 0; r->row < r->rows; r->row++) {
        int64_t first = spans[2 * r->row], last = spans[2 * r->row + 1];
        if (first < 0 || last < first || last > size) {
            fail(r, "a span lies outside of the data", data);
            return;
        }
        r->end = data + last;
        if (example(r, data + first, r->end) < 0) return;
    }
}

static PyObject *taken(const Bytes *bytes) {
    return PyBytes_FromStringAndSize((const char *)bytes->data, (Py_ssize_t)bytes->size);
}

static PyObject *columns_of(const Reader *r) {
    PyObject *found = PyList_New(0);
    for (Py_ssize_t at = 0; found != NULL && at < r->width; at++) {
        Column *c = &r->columns[at];
        if (c->kind == SKIPPED) continue;
        Bytes counts = {(uint8_t *)c->counts, (size_t)r->rows * 4, 0};
        PyObject *column = Py_BuildValue("(y#iiNNNN)", c->name, (Py_ssize_t)c->name_size, c->nested, c->kind,
                                         taken(&counts), taken(&c->inner), taken(&c->values), taken(&c->ends));
        if (column == NULL || PyList_Append(found, column) < 0) Py_CLEAR(found);
        Py_XDECREF(column);
    }
    return found;
}

static int take_wanted(Reader *r, PyObject *wanted) {
    if (make_room(r) < 0) return -1;
    r->all = wanted == Py_None;
    if (r->all) return 0;
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(wanted); at++) {
        const char *name;
        Py_ssize_t size;
        int nested, kind;
        PyObject *tuple = PyList_GET_ITEM(wanted, at);
        if (!PyTuple_Check(tuple) || !PyArg_ParseTuple(tuple, "y#ii", &name, &size, &nested, &kind)) {
            if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "a wanted column is no tuple");
            return -1;
        }
        if (kind < NO_KIND || kind > INT64_LIST) {
            PyErr_SetString(PyExc_ValueError, "no such kind");
            return -1;
        }
        if (add_column(r, name, (size_t)size, nested != 0, kind) == NULL) return -1;
    }
    return 0;
}

static void raise_fault(const Reader *r, const uint8_t *data) {
    if (r->fault == SHORT_OF_MEMORY) {
        PyErr_NoMemory();
        return;
    }
    const char *name = r->column == NULL ? NULL : r->column->name;
    Py_ssize_t size = r->column == NULL ? 0 : (Py_ssize_t)r->column->name_size;
    PyObject *why = Py_BuildValue("(snny#)", r->fault, r->row, (Py_ssize_t)(r->at - data), name, size);
    if (why != NULL) PyErr_SetObject(PyExc_ValueError, why);
    Py_XDECREF(why);
}

/* decode(data, spans i8[n, 2], wanted) -> [(name, nested, kind, counts, inner, values, ends)]
 * Return the wanted columns, [(name, nested, kind or 0)], in their order, or with None those of all keys as they come.
 *
 * counts i4[n] holds the values of each row, -1 where the key is missing or has no kind; of a nested column it holds
 * the features, and inner i4 the values of each of those. values are i8, f4, or bytes that end at the ends i8.
 * Raises ValueError(reason, row, position, name or None); the name is that of a key which holds another kind than
 * was asked for or found before.
 */
PyObject *codec_decode(PyObject *self, PyObject *args) {
    Py_buffer data, spans;
    PyObject *wanted, *found = NULL;
    if (!PyArg_ParseTuple(args, "y*y*O", &data, &spans, &wanted)) return NULL;
    Reader r = {0};
    r.rows = spans.len / 16;
    if (wanted != Py_None && !PyList_Check(wanted)) PyErr_SetString(PyExc_TypeError, "wanted is no list");
    else if (spans.len % 16 != 0) PyErr_SetString(PyExc_ValueError, "spans are no pairs of numbers");
    else if (take_wanted(&r, wanted) == 0) {
        Py_BEGIN_ALLOW_THREADS
        read_records(&r, data.buf, data.len, spans.buf);
        Py_END_ALLOW_THREADS
        if (r.fault == NULL) found = columns_of(&r);
    }
    if (r.fault != NULL) raise_fault(&r, data.buf);
    for (Py_ssize_t at = 0; at < r.width; at++) {
        PyMem_RawFree(r.columns[at].counts);
        PyMem_RawFree(r.columns[at].values.data);
        PyMem_RawFree(r.columns[at].ends.data);
        PyMem_RawFree(r.columns[at].inner.data);
    }
    PyMem_RawFree(r.columns);
    PyMem_RawFree(r.slots);
    PyBuffer_Release(&data);
    PyBuffer_Release(&spans);
    return found;
}
