/* Columns to rows. Offsets that lead out of a column are an error, for the buffers come from elsewhere. */
#include "_avro.h"

typedef struct {
    Node *nodes;
    Buffer out;
    const char *wrong; /* "" for no memory */
} Writer;

static int fail(Writer *writer, const char *wrong) {
    writer->wrong = wrong;
    return 0;
}

static inline int put_long(Writer *writer, int64_t value) {
    Buffer *out = &writer->out;
    uint64_t left = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    if (!room_for(out, 10)) return fail(writer, "");
    while (left >= 0x80) {
        out->data[out->size++] = (uint8_t)(left | 0x80);
        left >>= 7;
    }
    out->data[out->size++] = (uint8_t)left;
    return 1;
}

static inline int put_all(Writer *writer, const void *bytes, int64_t size) {
    return put(&writer->out, bytes, size) || fail(writer, "");
}

static int give(Writer *writer, int at, int64_t row);

static int give_ragged(Writer *writer, int at, int64_t row) {
    const Node *node = &writer->nodes[at];
    int32_t ends[2];
    memcpy(ends, node->first.data + 4 * row, 8);
    int64_t limit = node->op == BYTES ? node->second.size : writer->nodes[at + 1].count;
    if (ends[0] < 0 || ends[1] < ends[0] || ends[1] > limit) return fail(writer, "offsets lead out of their column");
    if (node->op == BYTES) {
        int64_t size = ends[1] - ends[0];
        return put_long(writer, size) && put_all(writer, node->second.data + ends[0], size);
    }
    if (ends[1] > ends[0] && !put_long(writer, ends[1] - ends[0])) return 0;
    for (int64_t item = ends[0]; item < ends[1]; item++)
        if (!give(writer, at + 1, item)) return 0;
    return put_long(writer, 0);
}

static int give(Writer *writer, int at, int64_t row) {
    const Node *node = &writer->nodes[at];
    int64_t number = 0;
    int32_t small;
    if (row >= node->count) return fail(writer, "a column is shorter than its record");
    if (node->null_at >= 0) {
        int null = node->valid.data != NULL && node->valid.data[row] == 0;
        if (!put_long(writer, null ? node->null_at : 1 - node->null_at)) return 0;
        if (null) return 1;
    }
    switch (node->op) {
        case NOTHING: return 1;
        case BYTES:
        case ARRAY: return give_ragged(writer, at, row);
        case INT:
            memcpy(&small, node->first.data + 4 * row, 4);
            return put_long(writer, small);
        case LONG:
            memcpy(&number, node->first.data + 8 * row, 8);
            return put_long(writer, number);
        case RECORD:
            for (int child = at + 1; child < node->end; child = writer->nodes[child].end)
                if (!give(writer, child, row)) return 0;
            return 1;
        default: return put_all(writer, node->first.data + width_of(node) * row, width_of(node));
    }
}

/* Point a node at its buffers; return 0 with an error set where one is too short for the values. */
static int filled(Node *node, PyObject *column, Py_buffer *views) {
    long long count;
    if (!PyArg_ParseTuple(column, "Lz*z*z*", &count, &views[0], &views[1], &views[2])) return 0;
    Buffer *buffers[] = {&node->valid, &node->first, &node->second};
    for (int i = 0; i < 3; i++) {
        buffers[i]->data = views[i].buf;
        buffers[i]->size = views[i].len;
    }
    int ragged = node->op == BYTES || node->op == ARRAY;
    int64_t least = ragged ? 4 * (count + 1) : width_of(node) * count;
    node->count = count;
    if (count >= 0 && node->first.size >= least && (node->valid.data == NULL || node->valid.size >= count)) return 1;
    PyErr_SetString(PyExc_ValueError, "a buffer is too short for its column");
    return 0;
}

static PyObject *write_rows(Schema *schema, PyObject *columns, Py_buffer *views, long long start, long long rows) {
    Writer writer = {.nodes = schema->nodes, .wrong = NULL};
    for (int i = 0; i < schema->count; i++)
        if (!filled(&schema->nodes[i], PyList_GetItem(columns, i), views + 3 * i)) return NULL;
    int fine = start >= 0;
    Py_BEGIN_ALLOW_THREADS;
    for (long long row = start; fine && row < start + rows; row++) fine = give(&writer, 0, row);
    Py_END_ALLOW_THREADS;
    PyObject *found = NULL;
    if (fine) found = PyBytes_FromStringAndSize((const char *)writer.out.data, writer.out.size);
    else if (writer.wrong != NULL && writer.wrong[0] == 0) PyErr_NoMemory();
    else PyErr_SetString(PyExc_ValueError, writer.wrong == NULL ? "the first row is negative" : writer.wrong);
    free(writer.out.data);
    return found;
}

/* encode(program, columns, start, rows) -> the bytes of these rows. */
PyObject *avro_encode(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer program, *views = NULL;
    PyObject *columns, *found = NULL;
    long long start, rows;
    Schema schema = {NULL, 0};
    if (!PyArg_ParseTuple(args, "y*O!LL", &program, &PyList_Type, &columns, &start, &rows)) return NULL;
    if (avro_schema(&schema, &program)) {
        views = calloc((size_t)schema.count * 3, sizeof(Py_buffer));
        if (views == NULL) PyErr_NoMemory();
        else if (PyList_Size(columns) != schema.count) PyErr_SetString(PyExc_ValueError, "there is not a column for each node");
        else found = write_rows(&schema, columns, views, start, rows);
    }
    for (int i = 0; views != NULL && i < schema.count * 3; i++)
        if (views[i].obj != NULL) PyBuffer_Release(&views[i]);
    free(views);
    free(schema.nodes);
    PyBuffer_Release(&program);
    return found;
}
