/* Rows to columns. Every length is checked against the bytes that are left before it is believed. */
#include "_avro.h"

typedef struct {
    Node *nodes;
    const uint8_t *start, *at, *end;
    const char *wrong; /* what is wrong at "at"; "" for no memory */
} Reader;

static int fail(Reader *reader, const char *wrong) {
    reader->wrong = wrong;
    return 0;
}

static int no_memory(Reader *reader) { return fail(reader, ""); }

static inline int read_long(Reader *reader, int64_t *value) {
    uint64_t found = 0;
    const uint8_t *at = reader->at;
    for (int shift = 0; shift < 64; shift += 7) {
        if (at == reader->end) return fail(reader, "a number is cut off");
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1) break;
        found |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *value = (int64_t)(found >> 1) ^ -(int64_t)(found & 1);
            reader->at = at;
            return 1;
        }
    }
    return fail(reader, "a number has more than 64 bits");
}

/* Point at the next bytes and step over them. */
static inline const uint8_t *bytes_of(Reader *reader, int64_t size) {
    const uint8_t *found = reader->at;
    if (size < 0 || size > reader->end - found) {
        fail(reader, "a value is longer than what is left of its block");
        return NULL;
    }
    reader->at += size;
    return found;
}

static int put_null(Reader *reader, int at) {
    static const uint8_t zeros[64] = {0};
    Node *node = &reader->nodes[at];
    node->count++;
    if (node->op == BYTES || node->op == ARRAY) {
        int32_t last = 0;
        memcpy(&last, node->first.data + node->first.size - 4, 4);
        return put(&node->first, &last, 4) || no_memory(reader);
    }
    for (int64_t left = width_of(node); left > 0; left -= 64)
        if (!put(&node->first, zeros, left < 64 ? left : 64)) return no_memory(reader);
    if (node->op != RECORD) return 1;
    for (int child = at + 1; child < node->end; child = reader->nodes[child].end) {
        Node *below = &reader->nodes[child];
        if (!below->wanted) continue;
        if (below->null_at >= 0 && !put_byte(&below->valid, 0)) return no_memory(reader);
        if (!put_null(reader, child)) return 0;
    }
    return 1;
}

static int take(Reader *reader, int at);

/* Read the values of an array, or of the nodes that are not wanted: those are stepped over. */
static int take_items(Reader *reader, int child) {
    int64_t count, size;
    do {
        if (!read_long(reader, &count)) return 0;
        if (count < 0) {
            if (!read_long(reader, &size)) return 0;
            if (count == INT64_MIN || size < 0 || size > reader->end - reader->at)
                return fail(reader, "a piece of an array is longer than what is left of its block");
            count = -count;
        }
        /* Items that take no bytes are refused with the schema, or a short file could ask for any number of them. */
        if (count > reader->end - reader->at) return fail(reader, "an array has more values than its block has bytes");
        for (int64_t i = 0; i < count; i++)
            if (!take(reader, child)) return 0;
    } while (count != 0);
    return 1;
}

static int take_text(Reader *reader, Node *node) {
    int64_t size;
    if (!read_long(reader, &size)) return 0;
    const uint8_t *bytes = bytes_of(reader, size);
    if (bytes == NULL) return 0;
    if (!node->wanted) return 1;
    if (node->second.size + size > INT32_MAX) return fail(reader, "a column has more than 2 GiB in one piece");
    if (!put(&node->second, bytes, size)) return no_memory(reader);
    int32_t end = (int32_t)node->second.size;
    return put(&node->first, &end, 4) || no_memory(reader);
}

static int take_values(Reader *reader, int at) {
    Node *node = &reader->nodes[at];
    if (node->op == RECORD) {
        for (int child = at + 1; child < node->end; child = reader->nodes[child].end)
            if (!take(reader, child)) return 0;
        return 1;
    }
    if (!take_items(reader, at + 1)) return 0;
    if (!node->wanted) return 1;
    if (reader->nodes[at + 1].count > INT32_MAX) return fail(reader, "a column has more than 2**31 values in one piece");
    int32_t end = (int32_t)reader->nodes[at + 1].count;
    return put(&node->first, &end, 4) || no_memory(reader);
}

static int take(Reader *reader, int at) {
    Node *node = &reader->nodes[at];
    int64_t number = 0;
    int32_t small;
    const void *bytes = &number;
    if (node->null_at >= 0) {
        const uint8_t *place = reader->at;
        if (!read_long(reader, &number)) return 0;
        if (number != 0 && number != 1) {
            reader->at = place;
            return fail(reader, "a union of two has another branch");
        }
        if (node->wanted && !put_byte(&node->valid, number != node->null_at)) return no_memory(reader);
        if (number == node->null_at) return !node->wanted || put_null(reader, at);
    }
    node->count += node->wanted;
    switch (node->op) {
        case NOTHING: return 1;
        case BYTES: return take_text(reader, node);
        case ARRAY:
        case RECORD: return take_values(reader, at);
        case INT:
        case LONG:
            if (!read_long(reader, &number)) return 0;
            if (node->op == INT) {
                if (number < INT32_MIN || number > INT32_MAX) return fail(reader, "an int has more than 32 bits");
                small = (int32_t)number;
                bytes = &small;
            }
            break;
        default:
            bytes = bytes_of(reader, width_of(node));
            if (bytes == NULL) return 0;
            if (node->op == BOOLEAN && *(const uint8_t *)bytes > 1) return fail(reader, "a boolean is neither 0 nor 1");
    }
    return !node->wanted || put(&node->first, bytes, width_of(node)) || no_memory(reader);
}

static int take_rows(Reader *reader, const Py_buffer *data, int64_t rows) {
    reader->start = reader->at = data->buf;
    reader->end = reader->start + data->len;
    for (int64_t row = 0; row < rows; row++)
        if (!take(reader, 0)) return 0;
    return reader->at == reader->end || fail(reader, "its rows end before its bytes do");
}

static PyObject *bytes_or_none(const Buffer *buffer, int wanted) {
    if (!wanted) Py_RETURN_NONE;
    return PyBytes_FromStringAndSize((const char *)buffer->data, buffer->size);
}

static PyObject *columns_of(const Schema *schema) {
    PyObject *columns = PyList_New(schema->count);
    for (int i = 0; columns != NULL && i < schema->count; i++) {
        const Node *node = &schema->nodes[i];
        PyObject *valid = bytes_or_none(&node->valid, node->null_at >= 0);
        PyObject *first = bytes_or_none(&node->first, node->op != NOTHING && node->op != RECORD);
        PyObject *second = bytes_or_none(&node->second, node->op == BYTES);
        PyObject *column = NULL;
        if (valid != NULL && first != NULL && second != NULL)
            column = Py_BuildValue("(LOOO)", (long long)node->count, valid, first, second);
        Py_XDECREF(valid);
        Py_XDECREF(first);
        Py_XDECREF(second);
        if (column == NULL) Py_CLEAR(columns);
        else PyList_SET_ITEM(columns, i, column);
    }
    return columns;
}

/* Begin the offsets; return 0 where there is no memory. */
static int begin(Schema *schema) {
    static const int32_t zero = 0;
    for (int i = 0; i < schema->count; i++)
        if ((schema->nodes[i].op == BYTES || schema->nodes[i].op == ARRAY) && !put(&schema->nodes[i].first, &zero, 4)) return 0;
    return 1;
}

static PyObject *read_blocks(Schema *schema, PyObject *blocks) {
    Reader reader = {.nodes = schema->nodes, .wrong = NULL};
    if (!begin(schema)) return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < PyList_Size(blocks); i++) {
        long long rows;
        Py_buffer data;
        if (!PyArg_ParseTuple(PyList_GetItem(blocks, i), "Ly*", &rows, &data)) return NULL;
        int fine;
        Py_BEGIN_ALLOW_THREADS;
        fine = take_rows(&reader, &data, rows);
        Py_END_ALLOW_THREADS;
        long long place = reader.at - reader.start;
        PyBuffer_Release(&data);
        if (!fine && reader.wrong[0] == 0) return PyErr_NoMemory();
        if (!fine) return PyErr_Format(PyExc_ValueError, "%s, at byte %lld of block %zd", reader.wrong, place, i);
    }
    return columns_of(schema);
}

/* decode(program, [(rows, bytes), ...]) -> the columns in the order of the nodes. */
PyObject *avro_decode(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer program;
    PyObject *blocks, *found = NULL;
    Schema schema = {NULL, 0};
    if (!PyArg_ParseTuple(args, "y*O!", &program, &PyList_Type, &blocks)) return NULL;
    if (avro_schema(&schema, &program)) found = read_blocks(&schema, blocks);
    for (int i = 0; i < schema.count && schema.nodes != NULL; i++) {
        free(schema.nodes[i].valid.data);
        free(schema.nodes[i].first.data);
        free(schema.nodes[i].second.data);
    }
    free(schema.nodes);
    PyBuffer_Release(&program);
    return found;
}
