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

/* Write a number of `size` bytes; up to 8 bytes may be written, those beyond without a meaning. */
static inline uint8_t *put_varint_of(uint8_t *out, uint64_t value, int size) {
    if (size > 8) {
        for (; value >= 0x80; value >>= 7) *out++ = (uint8_t)(value | 0x80);
        *out++ = (uint8_t)value;
        return out;
    }
    /* Groups of 7 bits go to bytes of their own: by halves, by quarters, by eighths. */
    value = (value & 0x000000000FFFFFFF) | (value & 0x00FFFFFFF0000000) << 4;
    value = (value & 0x00003FFF00003FFF) | (value & 0x0FFFC0000FFFC000) << 2;
    value = (value & 0x007F007F007F007F) | (value & 0x3F803F803F803F80) << 1;
    value |= 0x8080808080808080 & (((uint64_t)1 << (8 * (size - 1))) - 1);
    memcpy(out, &value, 8);
    return out + size;
}

static inline uint8_t *put_varint(uint8_t *out, uint64_t value) { return put_varint_of(out, value, varint_size(value)); }

/* Copy bytes, short ones as 16: `from` has them up to `end`, and `to` has the room. */
static inline void copy_short(uint8_t *to, const uint8_t *from, size_t size, const uint8_t *end) {
    if (size <= 16 && end - from >= 16) memcpy(to, from, 16);
    else memcpy(to, from, size);
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
