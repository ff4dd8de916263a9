/* Columns to serialized examples: a row after the other, its sizes first and its bytes then. */
#include "_codec.h"

/* What stands before a value is kept for payloads of fewer bytes than this, and for names of at most this. */
#define KEPT_SIZES 32
#define KEPT_NAME 128
/* Of what stands before a payload, without the name: six tags, and the lengths of four messages. */
#define MOST_HEAD 64
#define SLACK 256

typedef struct {
    Py_buffer views[4]; /* valid, counts, values, offsets */
    const char *name;
    Py_ssize_t name_size, present, elements;
    int kind;
    const uint8_t *valid;
    const int64_t *counts, *offsets;
    const uint8_t *values;
    Py_ssize_t row, element; /* cursors */
    uint64_t size;           /* of the payload of this row */
    uint8_t *heads;          /* KEPT_SIZES heads, each in a room of `stride` bytes */
    int stride;
    uint8_t head_sizes[KEPT_SIZES];
} Column;

/* Tell how long the messages are around a payload, innermost first, and return what all takes without the payload. */
static inline uint64_t lengths(const Column *c, uint64_t size, uint64_t *list, uint64_t *feature, uint64_t *entry) {
    uint64_t packed = c->kind == BYTES_LIST || size == 0 ? 0 : 1 + (uint64_t)varint_size(size);
    *list = packed + size;
    *feature = 1 + (uint64_t)varint_size(*list) + *list;
    *entry = 1 + (uint64_t)varint_size((uint64_t)c->name_size) + (uint64_t)c->name_size + 1 +
             (uint64_t)varint_size(*feature) + *feature;
    return 1 + (uint64_t)varint_size(*entry) + *entry - size;
}

/* Write the entry of the map of features up to the payload. */
static uint8_t *put_head(const Column *c, uint64_t size, uint8_t *out) {
    uint64_t list, feature, entry;
    lengths(c, size, &list, &feature, &entry);
    *out++ = 0x0A;
    out = put_varint(out, entry);
    *out++ = 0x0A;
    out = put_varint(out, (uint64_t)c->name_size);
    memcpy(out, c->name, (size_t)c->name_size);
    out += c->name_size;
    *out++ = 0x12;
    out = put_varint(out, feature);
    *out++ = (uint8_t)(c->kind << 3 | 2);
    out = put_varint(out, list);
    if (c->kind != BYTES_LIST && size > 0) {
        *out++ = 0x0A;
        out = put_varint(out, size);
    }
    return out;
}

static int keep_heads(Column *c) {
    if (c->name_size > KEPT_NAME) return 0;
    c->stride = (int)(c->name_size + MOST_HEAD) / 16 * 16;
    c->heads = PyMem_RawMalloc((size_t)c->stride * KEPT_SIZES);
    if (c->heads == NULL) return -1;
    for (int size = 0; size < KEPT_SIZES; size++) {
        uint8_t *head = c->heads + size * c->stride;
        c->head_sizes[size] = (uint8_t)(put_head(c, (uint64_t)size, head) - head);
    }
    return 0;
}

static inline uint64_t payload_size(const Column *c, Py_ssize_t first, Py_ssize_t last) {
    uint64_t size = 0;
    if (c->counts == NULL && c->kind == INT64_LIST) return (uint64_t)varint_size(((const uint64_t *)c->values)[first]);
    if (c->kind == FLOAT_LIST) return (uint64_t)(last - first) * 4;
    if (c->kind == INT64_LIST) {
        const int64_t *values = (const int64_t *)c->values;
        for (Py_ssize_t i = first; i < last; i++) size += (uint64_t)varint_size((uint64_t)values[i]);
        return size;
    }
    for (Py_ssize_t i = first; i < last; i++) {
        uint64_t length = (uint64_t)(c->offsets[i + 1] - c->offsets[i]);
        size += 1 + (uint64_t)varint_size(length) + length;
    }
    return size;
}

static inline uint8_t *put_payload(const Column *c, Py_ssize_t first, Py_ssize_t last, uint8_t *out) {
    if (c->counts == NULL && c->kind == INT64_LIST)
        return put_varint_of(out, ((const uint64_t *)c->values)[first], (int)c->size);
    if (c->counts == NULL && c->kind == FLOAT_LIST) {
        memcpy(out, c->values + first * 4, 4);
        return out + 4;
    }
    if (c->kind == FLOAT_LIST) {
        memcpy(out, c->values + first * 4, (size_t)(last - first) * 4);
        return out + (last - first) * 4;
    }
    if (c->kind == INT64_LIST) {
        const int64_t *values = (const int64_t *)c->values;
        for (Py_ssize_t i = first; i < last; i++) out = put_varint(out, (uint64_t)values[i]);
        return out;
    }
    for (Py_ssize_t i = first; i < last; i++) {
        size_t length = (size_t)(c->offsets[i + 1] - c->offsets[i]);
        *out++ = 0x0A;
        out = put_varint(out, length);
        copy_short(out, c->values + c->offsets[i], length, (const uint8_t *)c->views[2].buf + c->views[2].len);
        out += length;
    }
    return out;
}

static inline Py_ssize_t count_of(const Column *c) { return c->counts == NULL ? 1 : (Py_ssize_t)c->counts[c->row]; }

/* Write the rows; return where they end, or NULL at a record that is longer than a protocol buffer may be. */
static uint8_t *put_rows(Column *columns, Py_ssize_t width, Py_ssize_t rows, int framed, uint8_t *out, int64_t *ends) {
    uint8_t *start = out;
    ends[0] = 0;
    for (Py_ssize_t row = 0; row < rows; row++) {
        uint64_t total = 0, list, feature, entry;
        for (Column *c = columns; c < columns + width; c++) {
            if (c->valid != NULL && !c->valid[row]) continue;
            c->size = payload_size(c, c->element, c->element + count_of(c));
            total += c->size + (c->heads != NULL && c->size < KEPT_SIZES ? c->head_sizes[c->size]
                                                                        : lengths(c, c->size, &list, &feature, &entry));
        }
        uint64_t length = 1 + (uint64_t)varint_size(total) + total;
        if (length > LONGEST) return NULL;
        if (framed) {
            memcpy(out, &length, 8);
            uint32_t checksum = codec_masked(out, 8);
            memcpy(out + 8, &checksum, 4);
            out += FRAME_HEAD;
        }
        uint8_t *record = out;
        *out++ = 0x0A;
        out = put_varint(out, total);
        for (Column *c = columns; c < columns + width; c++) {
            if (c->valid != NULL && !c->valid[row]) continue;
            Py_ssize_t last = c->element + count_of(c);
            if (c->heads != NULL && c->size < KEPT_SIZES) {
                /* Whole words, beyond the head: what follows is written after. */
                const uint8_t *head = c->heads + c->size * (uint64_t)c->stride;
                int size = c->head_sizes[c->size];
                for (int at = 0; at < size; at += 16) memcpy(out + at, head + at, 16);
                out += size;
            } else
                out = put_head(c, c->size, out);
            out = put_payload(c, c->element, last, out);
            c->element = last;
            c->row++;
        }
        if (framed) {
            uint32_t checksum = codec_masked(record, length);
            memcpy(out, &checksum, 4);
            out += FRAME_FOOT;
        }
        ends[row + 1] = out - start;
    }
    return out;
}

/* Hold the buffers of a column to each other; return the reason why they do not fit. */
static const char *checked(Column *c, Py_ssize_t rows) {
    c->valid = c->views[0].buf;
    c->counts = c->views[1].buf;
    c->values = c->views[2].buf;
    c->offsets = c->views[3].buf;
    if (c->kind < BYTES_LIST || c->kind > INT64_LIST) return "no such kind";
    if ((c->kind == BYTES_LIST) != (c->views[3].obj != NULL)) return "bytes, and they alone, have offsets";
    if (c->valid != NULL && c->views[0].len != rows) return "the mask has another length";
    for (Py_ssize_t row = 0; row < rows; row++) c->present += c->valid == NULL || c->valid[row];
    if (c->counts != NULL && c->views[1].len != c->present * 8) return "the counts have another length";
    int width = c->kind == FLOAT_LIST ? 4 : 8;
    c->elements = c->kind == BYTES_LIST ? c->views[3].len / 8 - 1 : c->views[2].len / width;
    Py_ssize_t left = c->elements;
    for (Py_ssize_t row = 0; row < c->present; row++) {
        int64_t count = c->counts == NULL ? 1 : c->counts[row];
        if (count < 0 || count > left) return "there are fewer values than the rows have";
        left -= (Py_ssize_t)count;
    }
    if (c->kind != BYTES_LIST) return NULL;
    for (Py_ssize_t i = 0; i < c->elements; i++)
        if (c->offsets[i] < 0 || c->offsets[i + 1] < c->offsets[i] || c->offsets[i + 1] > c->views[2].len)
            return "offsets lie outside of the values";
    return NULL;
}

/* Return the most bytes that a column takes. */
static size_t bound_of(const Column *c) {
    size_t each = c->kind == FLOAT_LIST ? 4 : 11;
    size_t data = c->kind == BYTES_LIST && c->elements > 0 ? (size_t)(c->offsets[c->elements] - c->offsets[0]) : 0;
    return (size_t)c->present * (size_t)(c->name_size + MOST_HEAD) + (size_t)c->elements * each + data;
}

static const char *take_columns(PyObject *list, Column *columns, Py_ssize_t rows) {
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(list); at++) {
        Column *c = &columns[at];
        PyObject *parts[4], *tuple = PyList_GET_ITEM(list, at);
        if (!PyTuple_Check(tuple)) return "a column is no tuple";
        if (!PyArg_ParseTuple(tuple, "y#iOOOO", &c->name, &c->name_size, &c->kind, &parts[0], &parts[1], &parts[2],
                              &parts[3]))
            return "";
        for (int part = 0; part < 4; part++)
            if (view_of(parts[part], &c->views[part]) < 0) return "";
        const char *fault = checked(c, rows);
        if (fault != NULL) return fault;
        if (keep_heads(c) < 0) {
            PyErr_NoMemory();
            return "";
        }
    }
    return NULL;
}

/* encode(rows, columns, framed, ends i8[rows + 1]) -> bytes
 * Return the examples one after the other, in frames or without, and write where each of them ends.
 *
 * A column is (name, kind, valid u1[rows] or None, counts i8 or None, values i8, f4 or bytes, offsets i8 or None):
 * `counts` and `values` are without the rows that are not valid, and a column without counts has a value in each.
 */
PyObject *codec_encode(PyObject *self, PyObject *args) {
    PyObject *list, *result = NULL;
    Py_buffer ends;
    Py_ssize_t rows;
    int framed;
    if (!PyArg_ParseTuple(args, "nO!pw*", &rows, &PyList_Type, &list, &framed, &ends)) return NULL;
    Py_ssize_t width = PyList_GET_SIZE(list);
    Column *columns = PyMem_Calloc(width > 0 ? (size_t)width : 1, sizeof(Column));
    const char *fault = NULL;
    if (columns == NULL) PyErr_NoMemory();
    else if (rows < 0 || ends.len != (rows + 1) * 8) fault = "ends have another length";
    else if ((fault = take_columns(list, columns, rows)) == NULL) {
        size_t bound = (size_t)rows * (FRAME_HEAD + FRAME_FOOT + 11) + SLACK;
        for (Py_ssize_t at = 0; at < width; at++) bound += bound_of(&columns[at]);
        /* Copied at the end: a buffer that is cut in place goes back to the system every time, and costs more. */
        uint8_t *start = PyMem_RawMalloc(bound), *stop = NULL;
        if (start == NULL) PyErr_NoMemory();
        else {
            Py_BEGIN_ALLOW_THREADS
            stop = put_rows(columns, width, rows, framed, start, ends.buf);
            Py_END_ALLOW_THREADS
            if (stop == NULL) fault = "a row takes more than 2147483647 bytes";
            else result = PyBytes_FromStringAndSize((const char *)start, stop - start);
        }
        PyMem_RawFree(start);
    }
    if (fault != NULL && *fault != '\0') PyErr_SetString(PyExc_ValueError, fault);
    for (Py_ssize_t at = 0; columns != NULL && at < width; at++) {
        for (int part = 0; part < 4; part++)
            if (columns[at].views[part].obj != NULL) PyBuffer_Release(&columns[at].views[part]);
        PyMem_RawFree(columns[at].heads);
    }
    PyMem_Free(columns);
    PyBuffer_Release(&ends);
    return result;
}
