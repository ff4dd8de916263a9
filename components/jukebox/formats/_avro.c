/* Avro's rows to columns and back, compiled; avro_rows.py has the same functions by way of fastavro. */
#include "_avro.h"

/* Fill in where each node ends; return the end of the node at "at", or -1 where there is none. */
static int ended(Schema *schema, int at) {
    if (at < 0 || at >= schema->count) return -1;
    Node *node = &schema->nodes[at];
    int children = node->op == RECORD ? node->number : node->op == ARRAY;
    int end = at + 1;
    if (node->op < NOTHING || node->op > RECORD || node->null_at < -1 || node->null_at > 1 || node->number < 0) return -1;
    for (int i = 0; i < children && end >= 0; i++) end = ended(schema, end);
    return node->end = end;
}

int avro_schema(Schema *schema, const Py_buffer *program) {
    schema->count = (int)(program->len / 16);
    schema->nodes = calloc((size_t)schema->count + 1, sizeof(Node));
    if (schema->nodes == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    for (int i = 0; i < schema->count; i++) memcpy(&schema->nodes[i].op, (const uint8_t *)program->buf + 16 * i, 16);
    if (program->len % 16 != 0 || ended(schema, 0) != schema->count || schema->nodes[0].op != RECORD) {
        PyErr_SetString(PyExc_ValueError, "the nodes are not a record in preorder");
        return 0;
    }
    return 1;
}

static PyMethodDef methods[] = {
    {"decode", avro_decode, METH_VARARGS, NULL},
    {"encode", avro_encode, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_avro", "Avro's rows to columns and back, compiled.", -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__avro(void) { return PyModule_Create(&module); }
