/* Serialized examples to columns, by the rules of protocol buffers; a SequenceExample has lists of features besides.
 *
 * Unknown fields are skipped, of two entries of one key the last is meant, of two kinds in one feature the last, and
 * lists of numbers are packed or not. Nothing is read before or behind the span of a record.
 * https://protobuf.dev/programming-guides/encoding
 */
#include "_codec.h"

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, START_GROUP = 3, END_GROUP = 4, FIXED32 = 5 };
#define MOST_GROUPS 64
#define SKIPPED -1 /* the kind of a column that is not asked for */
#define MISSING -1 /* the count of a row without the key, or without a kind */

typedef struct {
    uint8_t *data;
    size_t size, room;
} Bytes;

typedef struct {
    const char *name;
    size_t name_size;
    int nested;         /* whether it lies among the feature lists */
    int kind;           /* the list that it holds, NO_KIND until one is seen */
    int row_kind;       /* of the feature that is read */
    Py_ssize_t row;     /* that was written last */
    int32_t *counts;    /* of features in a list of features, of values elsewhere */
    int64_t count;      /* of values in the feature that is read */
    int64_t elements;
    Bytes values, ends, inner; /* int64, float32 or bytes; where each byte string ends; counts of values */
    size_t old_values, old_ends, old_inner; /* sizes before the feature, or the list of features, that is read */
    int64_t old_elements;
} Column;

typedef struct {
    Column *columns;
    Py_ssize_t width, room, rows, row;
    int32_t *slots; /* a table of names: columns by the hash of theirs, -1 where empty */
    size_t mask;
    Py_ssize_t next; /* the column that followed, in the record before */
    int all;         /* whether every key is asked for */
    const uint8_t *end; /* of the record */
    const char *fault;
    const uint8_t *at;
    Column *column; /* that the fault is about, or NULL */
} Reader;

static const char SHORT_OF_MEMORY[] = "memory";

static const uint8_t *fail(Reader *r, const char *fault, const uint8_t *at) {
    if (r->fault == NULL) {
        r->fault = fault;
        r->at = at;
    }
    return NULL;
}

static int grow(Reader *r, Bytes *bytes, size_t more) {
    size_t room = bytes->room * 2 > bytes->size + more ? bytes->room * 2 : bytes->size + more + 256;
    uint8_t *data = PyMem_RawRealloc(bytes->data, room);
    if (data == NULL) {
        fail(r, SHORT_OF_MEMORY, NULL);
        return -1;
    }
    bytes->data = data;
    bytes->room = room;
    return 0;
}

static inline int append(Reader *r, Bytes *bytes, const void *data, size_t size) {
    if (bytes->room - bytes->size < size && grow(r, bytes, size) < 0) return -1;
    if (size > 0) memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    return 0;
}

/* Append what is short most often, and lies before `end`. */
static inline int append_short(Reader *r, Bytes *bytes, const uint8_t *data, size_t size, const uint8_t *end) {
    if (bytes->room - bytes->size < size + 16 && grow(r, bytes, size + 16) < 0) return -1;
    copy_short(bytes->data + bytes->size, data, size, end);
    bytes->size += size;
    return 0;
}

/* Read a varint of at most `most` bytes. */
static inline const uint8_t *varint(Reader *r, const uint8_t *p, const uint8_t *end, int most, uint64_t *value) {
    if (p < end && *p < 0x80) {
        *value = *p;
        return p + 1;
    }
    *value = 0;
    for (int place = 0; place < most; place++) {
        if (p + place >= end) return fail(r, "a number is cut off", p);
        *value |= (uint64_t)(p[place] & 0x7F) << (7 * place);
        if (p[place] < 0x80) return p + place + 1;
    }
    return fail(r, most == 10 ? "a number has more than 10 bytes" : "a tag or a length has more than 5 bytes", p);
}

/* Read the length of a message or a string, and hold it to what is left. */
static inline const uint8_t *length(Reader *r, const uint8_t *p, const uint8_t *end, const uint8_t **last) {
    uint64_t size;
    const uint8_t *from = p;
    if ((p = varint(r, p, end, 5, &size)) == NULL) return NULL;
    if (size > (uint64_t)(end - p)) return fail(r, "a length reaches beyond what holds it", from);
    *last = p + size;
    return p;
}

static inline const uint8_t *tag(Reader *r, const uint8_t *p, const uint8_t *end, uint32_t *found) {
    uint64_t value;
    const uint8_t *from = p;
    if ((p = varint(r, p, end, 5, &value)) == NULL) return NULL;
    if (value > UINT32_MAX || value >> 3 == 0) return fail(r, "a field has no number", from);
    *found = (uint32_t)value;
    return p;
}

/* Pass over a field of which the tag is read. */
static const uint8_t *skip(Reader *r, const uint8_t *p, const uint8_t *end, uint32_t field, int groups) {
    uint64_t value;
    uint32_t inner;
    const uint8_t *from = p, *last;
    switch (field & 7) {
    case VARINT: return varint(r, p, end, 10, &value);
    case FIXED64: return end - p < 8 ? fail(r, "a number is cut off", p) : p + 8;
    case FIXED32: return end - p < 4 ? fail(r, "a number is cut off", p) : p + 4;
    case LENGTH: return length(r, p, end, &last) == NULL ? NULL : last;
    case START_GROUP:
        if (groups >= MOST_GROUPS) return fail(r, "groups lie too deep in each other", from);
        for (;;) {
            if ((p = tag(r, p, end, &inner)) == NULL) return NULL;
            if ((inner & 7) == END_GROUP)
                return inner >> 3 == field >> 3 ? p : fail(r, "a group ends that did not begin", p);
            if ((p = skip(r, p, end, inner, groups + 1)) == NULL) return NULL;
        }
    default: return fail(r, "a field has a type that does not exist", from);
    }
}

static int is_utf8(const uint8_t *p, const uint8_t *end) {
    while (p < end) {
        uint32_t first = *p++;
        if (first < 0x80) continue;
        int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
        if (first < 0xC2 || first > 0xF4 || end - p < more) return 0;
        uint32_t code = first & (0x3Fu >> more);
        for (int i = 0; i < more; i++, p++) {
            if ((*p & 0xC0) != 0x80) return 0;
            code = code << 6 | (*p & 0x3F);
        }
        if (more == 2 && (code < 0x800 || (code >= 0xD800 && code <= 0xDFFF))) return 0;
        if (more == 3 && (code < 0x10000 || code > 0x10FFFF)) return 0;
    }
    return 1;
}

static inline size_t hashed(const char *name, size_t size, int nested) {
    uint64_t hash = 14695981039346656037ULL + (uint64_t)nested; /* FNV-1a */
    for (size_t i = 0; i < size; i++) hash = (hash ^ (uint8_t)name[i]) * 1099511628211ULL;
    return (size_t)(hash ^ hash >> 32);
}

static inline int is_named(const Column *c, const char *name, size_t size, int nested) {
    return c->name_size == size && c->nested == nested && memcmp(c->name, name, size) == 0;
}

/* Return the slot of a name: its column's, or the empty one where it belongs. */
static size_t slot_of(const Reader *r, const char *name, size_t size, int nested) {
    size_t slot = hashed(name, size, nested) & r->mask;
    while (r->slots[slot] >= 0 && !is_named(&r->columns[r->slots[slot]], name, size, nested)) slot = (slot + 1) & r->mask;
    return slot;
}

static int make_room(Reader *r) {
    Py_ssize_t room = r->room * 2 > 32 ? r->room * 2 : 32;
    Column *columns = PyMem_RawRealloc(r->columns, (size_t)room * sizeof(Column));
    if (columns != NULL) r->columns = columns;
    int32_t *slots = PyMem_RawRealloc(r->slots, (size_t)room * 2 * sizeof(int32_t));
    if (slots != NULL) r->slots = slots;
    if (columns == NULL || slots == NULL || room > INT32_MAX / 2) {
        fail(r, SHORT_OF_MEMORY, NULL);
        return -1;
    }
    r->room = room;
    r->mask = (size_t)room * 2 - 1;
    memset(slots, -1, (size_t)room * 2 * sizeof(int32_t));
    for (Py_ssize_t at = 0; at < r->width; at++)
        slots[slot_of(r, columns[at].name, columns[at].name_size, columns[at].nested)] = (int32_t)at;
    return 0;
}

static Column *add_column(Reader *r, const char *name, size_t size, int nested, int kind) {
    if (r->width == r->room && make_room(r) < 0) return NULL;
    Column *c = &r->columns[r->width];
    memset(c, 0, sizeof *c);
    c->name = name;
    c->name_size = size;
    c->nested = nested;
    c->kind = kind;
    c->row = -1;
    if (kind != SKIPPED) {
        size_t rows = (size_t)(r->rows > 0 ? r->rows : 1) * sizeof(int32_t);
        if ((c->counts = PyMem_RawMalloc(rows)) == NULL) {
            fail(r, SHORT_OF_MEMORY, NULL);
            return NULL;
        }
        memset(c->counts, MISSING, rows);
    }
    r->slots[slot_of(r, name, size, nested)] = (int32_t)r->width++;
    return c;
}

/* Return the column of a key: most often the one that stood here in the record before. */
static Column *column_of(Reader *r, const uint8_t *name, size_t size, int nested) {
    const char *text = (const char *)name;
    if (r->next >= r->width || !is_named(&r->columns[r->next], text, size, nested)) {
        int32_t place = r->width == 0 ? -1 : r->slots[slot_of(r, text, size, nested)];
        if (place < 0) {
            if (!is_utf8(name, name + size)) {
                fail(r, "a key is not UTF-8", name);
                return NULL;
            }
            if (add_column(r, text, size, nested, r->all ? NO_KIND : SKIPPED) == NULL) return NULL;
            place = (int32_t)r->width - 1;
        }
        r->next = place;
    }
    return &r->columns[r->next++];
}

static int add_integer(Reader *r, Column *c, uint64_t value) {
    c->count++;
    return append(r, &c->values, &value, 8);
}

/* Read the values of a list into the column, or past them where it holds another kind. */
static const uint8_t *int64_list(Reader *r, Column *c, int kept, const uint8_t *p, const uint8_t *end) {
    uint32_t field;
    uint64_t value;
    const uint8_t *last;
    while (p < end) {
        if ((p = tag(r, p, end, &field)) == NULL) return NULL;
        if (field == (1 << 3 | VARINT)) {
            if ((p = varint(r, p, end, 10, &value)) == NULL) return NULL;
            if (kept && add_integer(r, c, value) < 0) return NULL;
        } else if (field == (1 << 3 | LENGTH)) {
            if ((p = length(r, p, end, &last)) == NULL) return NULL;
            while (p < last) {
                if ((p = varint(r, p, last, 10, &value)) == NULL) return NULL;
                if (kept && add_integer(r, c, value) < 0) return NULL;
            }
        } else if ((p = skip(r, p, end, field, 0)) == NULL)
            return NULL;
    }
    return p;
}

static const uint8_t *float_list(Reader *r, Column *c, int kept, const uint8_t *p, const uint8_t *end) {
    uint32_t field;
    const uint8_t *last;
    while (p < end) {
        if ((p = tag(r, p, end, &field)) == NULL) return NULL;
        if (field == (1 << 3 | LENGTH)) {
            if ((p = length(r, p, end, &last)) == NULL) return NULL;
            if ((last - p) % 4 != 0) return fail(r, "packed floats do not have 4 bytes each", p);
        } else if (field == (1 << 3 | FIXED32) && end - p >= 4)
            last = p + 4;
        else {
            if ((p = skip(r, p, end, field, 0)) == NULL) return NULL;
            continue;
        }
        if (kept && append_short(r, &c->values, p, (size_t)(last - p), r->end) < 0) return NULL;
        if (kept) c->count += (last - p) / 4;
        p = last;
    }
    return p;
}

static const uint8_t *bytes_list(Reader *r, Column *c, int kept, const uint8_t *p, const uint8_t *end) {
    uint32_t field;
    const uint8_t *last;
    while (p < end) {
        if ((p = tag(r, p, end, &field)) == NULL) return NULL;
        if (field != (1 << 3 | LENGTH)) {
            if ((p = skip(r, p, end, field, 0)) == NULL) return NULL;
            continue;
        }
        if ((p = length(r, p, end, &last)) == NULL) return NULL;
        if (kept) {
            if (append_short(r, &c->values, p, (size_t)(last - p), r->end) < 0) return NULL;
            int64_t stop = (int64_t)c->values.size;
            if (append(r, &c->ends, &stop, 8) < 0) return NULL;
            c->count++;
        }
        p = last;
    }
    return p;
}

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
