/* What the sources of the kernel share: views of buffers, and the functions of the module.
 *
 * "n" counts feature rows, "m" slots (the labels that have a key), "k" the distinct keys. A code or slot of -1 stands
 * for none; a mask is one byte a row and may be None, where all rows are meant. Every function takes contiguous
 * buffers, checks that their lengths agree, and runs without the interpreter's lock.
 */
#ifndef JUKEBOX_KERNEL_H
#define JUKEBOX_KERNEL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(place) __builtin_prefetch((place), 1, 1)
#else
#define PREFETCH(place) ((void)0)
#endif

/* How many rows ahead memory is asked for. */
#define AHEAD 12

static inline int release(Py_buffer *views, int count) {
    for (int i = 0; i < count; i++)
        if (views[i].obj != NULL) PyBuffer_Release(&views[i]);
    return 0;
}

static inline PyObject *mismatch(Py_buffer *views, int count, const char *what) {
    release(views, count);
    PyErr_SetString(PyExc_ValueError, what);
    return NULL;
}

static inline const uint8_t *mask_of(const Py_buffer *view) { return view->obj == NULL ? NULL : (const uint8_t *)view->buf; }

static inline int fits(const Py_buffer *view, Py_ssize_t rows, Py_ssize_t width) {
    return view->obj == NULL || view->len == rows * width;
}

PyObject *kernel_index_integers(PyObject *, PyObject *);
PyObject *kernel_find_integers(PyObject *, PyObject *);
PyObject *kernel_find_near(PyObject *, PyObject *);
PyObject *kernel_index_texts(PyObject *, PyObject *);
PyObject *kernel_find_texts(PyObject *, PyObject *);
PyObject *kernel_argsort(PyObject *, PyObject *);
PyObject *kernel_sort_slots(PyObject *, PyObject *);
PyObject *kernel_find(PyObject *, PyObject *);
PyObject *kernel_reduce(PyObject *, PyObject *);
PyObject *kernel_answers(PyObject *, PyObject *);
PyObject *kernel_scatter(PyObject *, PyObject *);

#endif
