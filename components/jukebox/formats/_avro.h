/* What the sources of the Avro coder share: a schema as a list of nodes, buffers that grow, varints.
 *
 * A schema is a list of nodes in preorder, four int32 each: what it holds, the branch of its union that is null (-1:
 * no union), a number (the bytes of a fixed, the fields of a record) and whether its column is wanted. A column is a
 * tuple: how many values, and the buffers "valid" (a byte a value, or None), "first" and "second":
 *
 *   boolean int long float double fixed   first: the values, a boolean as one byte
 *   bytes                                 first: int32 offsets, second: the bytes
 *   array                                 first: int32 offsets into its child
 *   record, null                          neither
 */
#ifndef JUKEBOX_AVRO_H
#define JUKEBOX_AVRO_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

enum { NOTHING, BOOLEAN, INT, LONG, FLOAT, DOUBLE, BYTES, FIXED, ARRAY, RECORD };

typedef struct {
    uint8_t *data;
    int64_t size, room;
} Buffer;

typedef struct {
    int32_t op, null_at, number, wanted;
    int end; /* the node after this one and all that it holds */
    int64_t count;
    Buffer valid, first, second;
} Node;

typedef struct {
    Node *nodes;
    int count;
} Schema;

/* Return 0 with an error set where the list is not a schema. */
int avro_schema(Schema *schema, const Py_buffer *program);

static inline int room_for(Buffer *buffer, int64_t more) {
    if (buffer->size + more <= buffer->room) return 1;
    int64_t room = (buffer->size + more) * 2 + 64;
    uint8_t *data = realloc(buffer->data, (size_t)room);
    if (data == NULL) return 0;
    buffer->data = data;
    buffer->room = room;
    return 1;
}

static inline int put(Buffer *buffer, const void *bytes, int64_t size) {
    if (!room_for(buffer, size)) return 0;
    memcpy(buffer->data + buffer->size, bytes, (size_t)size);
    buffer->size += size;
    return 1;
}

static inline int put_byte(Buffer *buffer, uint8_t byte) {
    if (!room_for(buffer, 1)) return 0;
    buffer->data[buffer->size++] = byte;
    return 1;
}

/* The bytes of one value in a buffer "first" of values. */
static inline int64_t width_of(const Node *node) {
    static const int64_t widths[] = {0, 1, 4, 8, 4, 8, 0, 0, 0, 0};
    return node->op == FIXED ? node->number : widths[node->op];
}

PyObject *avro_decode(PyObject *, PyObject *);
PyObject *avro_encode(PyObject *, PyObject *);

#endif
