/* Frames of TFRecord, and tf.Example to columns and back; codec_numpy.py has the same functions without a compiler. */
#include "_codec.h"

#define POLYNOMIAL 0x82F63B78u /* CRC-32C, reflected */
#define MASK 0xA282EAD8u

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define HAS_INSTRUCTION 1
#include <nmmintrin.h>
#endif

/* tables[k][b]: the checksum of byte b with k zero bytes behind it. */
static uint32_t tables[8][256];

static void fill_tables(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (POLYNOMIAL & (0u - (crc & 1)));
        tables[0][byte] = crc;
    }
    for (int zeros = 1; zeros < 8; zeros++)
        for (int byte = 0; byte < 256; byte++)
            tables[zeros][byte] = (tables[zeros - 1][byte] >> 8) ^ tables[0][tables[zeros - 1][byte] & 0xFF];
}

/* Kounavis and Berry, "A systematic approach to building high performance software-based CRC generators" (2005). */
static uint32_t by_table(const uint8_t *data, size_t size) {
    uint32_t crc = ~0u;
    for (; size >= 8; size -= 8, data += 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        word ^= crc;
        crc = 0;
        for (int place = 0; place < 8; place++) crc ^= tables[7 - place][(word >> (8 * place)) & 0xFF];
    }
    for (; size > 0; size--) crc = (crc >> 8) ^ tables[0][(crc ^ *data++) & 0xFF];
    return ~crc;
}

static uint32_t (*crc32c)(const uint8_t *, size_t) = by_table;

#ifdef HAS_INSTRUCTION
__attribute__((target("sse4.2"))) static uint32_t by_instruction(const uint8_t *data, size_t size) {
    uint64_t crc = ~0u;
    for (; size >= 8; size -= 8, data += 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        crc = _mm_crc32_u64(crc, word);
    }
    for (; size > 0; size--) crc = _mm_crc32_u8((uint32_t)crc, *data++);
    return ~(uint32_t)crc;
}
#endif

uint32_t codec_masked(const uint8_t *data, size_t size) {
    uint32_t crc = crc32c(data, size);
    return ((crc >> 15) | (crc << 17)) + MASK;
}

/* checksum(data, without_instruction) -> int
 * Return the CRC-32C; by the table alone if asked so.
 */
static PyObject *codec_checksum(PyObject *self, PyObject *args) {
    Py_buffer data;
    int plain;
    if (!PyArg_ParseTuple(args, "y*p", &data, &plain)) return NULL;
    uint32_t crc = (plain ? by_table : crc32c)(data.buf, (size_t)data.len);
    PyBuffer_Release(&data);
    return PyLong_FromUnsignedLong(crc);
}

/* split(data) -> (spans, used)
 * Return where each whole record begins and ends, i8[n, 2], and how many bytes their frames take.
 * Raises ValueError(reason, position, records before it) for a wrong checksum.
 */
static PyObject *codec_split(PyObject *self, PyObject *args) {
    Py_buffer data;
    if (!PyArg_ParseTuple(args, "y*", &data)) return NULL;
    const uint8_t *bytes = data.buf;
    const char *fault = NULL;
    Py_ssize_t at = 0, count = 0, room = data.len / 64 + 16;
    int64_t *spans = PyMem_RawMalloc((size_t)room * 16);
    int short_of_memory = spans == NULL;
    Py_BEGIN_ALLOW_THREADS
    while (!short_of_memory && data.len - at >= FRAME_HEAD) {
        uint64_t length;
        uint32_t checksum;
        memcpy(&length, bytes + at, 8);
        memcpy(&checksum, bytes + at + 8, 4);
        if (length > LONGEST || codec_masked(bytes + at, 8) != checksum) {
            fault = "the checksum of a length is wrong";
            break;
        }
        Py_ssize_t size = (Py_ssize_t)length;
        if (data.len - at - FRAME_HEAD < size + FRAME_FOOT) break;
        const uint8_t *record = bytes + at + FRAME_HEAD;
        memcpy(&checksum, record + size, 4);
        if (codec_masked(record, (size_t)size) != checksum) {
            fault = "the checksum of a record is wrong";
            break;
        }
        if (count == room) {
            int64_t *more = PyMem_RawRealloc(spans, (size_t)room * 32);
            if (more == NULL) { short_of_memory = 1; break; }
            spans = more;
            room *= 2;
        }
        spans[2 * count] = at + FRAME_HEAD;
        spans[2 * count + 1] = at + FRAME_HEAD + size;
        count++;
        at += FRAME_HEAD + size + FRAME_FOOT;
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&data);
    PyObject *result = NULL;
    if (short_of_memory) PyErr_NoMemory();
    else if (fault != NULL) {
        PyObject *why = Py_BuildValue("(snn)", fault, at, count);
        if (why != NULL) PyErr_SetObject(PyExc_ValueError, why);
        Py_XDECREF(why);
    } else
        result = Py_BuildValue("(y#n)", (const char *)spans, count * 16, at);
    PyMem_RawFree(spans);
    return result;
}

static PyMethodDef methods[] = {
    {"checksum", codec_checksum, METH_VARARGS, NULL},
    {"split", codec_split, METH_VARARGS, NULL},
    {"encode", codec_encode, METH_VARARGS, NULL},
    {"decode", codec_decode, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_codec", "tf.Example and the frames of TFRecord, compiled.", -1, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__codec(void) {
    fill_tables();
#ifdef HAS_INSTRUCTION
    if (__builtin_cpu_supports("sse4.2")) crc32c = by_instruction;
#endif
    return PyModule_Create(&module);
}
