/* What the sources of the codec share: checksums, varints, and views of buffers. */
#ifndef JUKEBOX_CODEC_H
#define JUKEBOX_CODEC_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#if PY_BIG_ENDIAN
#error "frames, floats and Arrow are little-endian: NumPy serves here"
#endif

/* The fields of a Feature, which are its kinds; 0 is no kind. */
enum { NO_KIND = 0, BYTES_LIST = 1, FLOAT_LIST = 2, INT64_LIST = 3 };

/* A frame: a length of 8 bytes, its masked checksum, the record, its masked checksum. */
#define FRAME_HEAD 12
#define FRAME_FOOT 4
/* The longest protocol buffer. */
#define LONGEST INT32_MAX

uint32_t codec_masked(const uint8_t *data, size_t size);

static inline int varint_size(uint64_t value) {
#if defined(__GNUC__) || defined(__clang__)
    return (70 - __builtin_clzll(value | 1)) / 7;
#else
    int size = 1;
    while (value >>= 7) size++;
    return size;
#endif
}

static inline uint8_t *put_varint(uint8_t *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) *out++ = (uint8_t)(value | 0x80);
    *out++ = (uint8_t)value;
    return out;
}

/* View a buffer, or nothing where the object is None. */
static inline int view_of(PyObject *object, Py_buffer *view) {
    view->obj = NULL;
    view->buf = NULL;
    view->len = 0;
    return object == Py_None ? 0 : PyObject_GetBuffer(object, view, PyBUF_SIMPLE);
}

PyObject *codec_encode(PyObject *, PyObject *);
PyObject *codec_decode(PyObject *, PyObject *);

#endif
