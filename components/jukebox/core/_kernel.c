/* The inner loops of the point-in-time join, over plain arrays; asof_numpy.py has the same functions in NumPy. */
#include "_kernel.h"

static PyMethodDef methods[] = {
    {"index_integers", kernel_index_integers, METH_VARARGS, NULL},
    {"find_integers", kernel_find_integers, METH_VARARGS, NULL},
    {"find_near", kernel_find_near, METH_VARARGS, NULL},
    {"index_texts", kernel_index_texts, METH_VARARGS, NULL},
    {"find_texts", kernel_find_texts, METH_VARARGS, NULL},
    {"argsort", kernel_argsort, METH_VARARGS, NULL},
    {"sort_slots", kernel_sort_slots, METH_VARARGS, NULL},
    {"find", kernel_find, METH_VARARGS, NULL},
    {"reduce", kernel_reduce, METH_VARARGS, NULL},
    {"answers", kernel_answers, METH_VARARGS, NULL},
    {"scatter", kernel_scatter, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_kernel", "The inner loops of the point-in-time join, compiled.", -1, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModule_Create(&module); }
