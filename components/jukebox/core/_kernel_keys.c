/* Keys as small integers: hash tables of the values that the labels hold. */
#include "_kernel.h"

#define GOLDEN 0x9E3779B97F4A7C15ULL

/* One bucket of a hash table: what is compared first, and the code plus one; zero is an empty bucket. */
typedef struct {
    uint64_t mark;
    uint64_t code;
} Bucket;

/* Texts as Arrow lays them out: text i is data[offsets[i]] up to data[offsets[i + 1]]. */
typedef struct {
    const void *offsets;
    int wide;
    const uint8_t *data;
    int64_t size;
} Texts;

/* Return the bytes of a view; those of an empty one may lie nowhere. */
static const uint8_t *bytes_of(const Py_buffer *view) { return view->buf == NULL ? (const uint8_t *)"" : view->buf; }

static uint64_t mixed(uint64_t value) {
    value ^= value >> 32;
    value *= GOLDEN;
    value ^= value >> 29;
    value *= 0xBF58476D1CE4E5B9ULL;
    return value ^ (value >> 32);
}

static uint64_t hash_of(const uint8_t *text, int64_t length) {
    uint64_t hash = (uint64_t)length * GOLDEN + 1, word;
    for (; length >= 8; text += 8, length -= 8) {
        memcpy(&word, text, 8);
        hash = mixed(hash ^ word);
    }
    word = 0;
    for (int64_t i = 0; i < length; i++) word |= (uint64_t)text[i] << (8 * i);
    return mixed(hash ^ word);
}

static int64_t offset_at(const Texts *texts, int64_t place) {
    return texts->wide ? ((const int64_t *)texts->offsets)[place] : ((const int32_t *)texts->offsets)[place];
}

/* Return the text at a place, or NULL where the offsets lead out of the data. */
static const uint8_t *text_at(const Texts *texts, int64_t place, int64_t *length) {
    int64_t start = offset_at(texts, place), end = offset_at(texts, place + 1);
    if (start < 0 || end < start || end > texts->size) return NULL;
    *length = end - start;
    return texts->data + start;
}

static Bucket *integer_bucket(Bucket *table, uint64_t last, int64_t value) {
    uint64_t place = mixed((uint64_t)value) & last;
    while (table[place].code != 0 && table[place].mark != (uint64_t)value) place = (place + 1) & last;
    return &table[place];
}

static Bucket *text_bucket(Bucket *table, uint64_t last, const uint8_t *text, int64_t length, uint64_t hash,
                           const Texts *known, const int64_t *first) {
    uint64_t place = hash & last;
    for (; table[place].code != 0; place = (place + 1) & last) {
        int64_t other_length = -1;
        if (table[place].mark != hash) continue;
        const uint8_t *other = text_at(known, first[table[place].code - 1], &other_length);
        if (other_length == length && memcmp(other, text, (size_t)length) == 0) break;
    }
    return &table[place];
}

/* Return a table of twice the size with the same entries, or NULL where memory ends. `last` is its last place. */
static Bucket *grown(Bucket *table, uint64_t *last, int texts) {
    uint64_t wider = *last * 2 + 1;
    Bucket *larger = PyMem_RawCalloc(wider + 1, sizeof(Bucket));
    if (larger != NULL) {
        for (uint64_t i = 0; i <= *last; i++) {
            if (table[i].code == 0) continue;
            uint64_t place = (texts ? table[i].mark : mixed(table[i].mark)) & wider;
            while (larger[place].code != 0) place = (place + 1) & wider;
            larger[place] = table[i];
        }
        *last = wider;
    }
    PyMem_RawFree(table);
    return larger;
}

static PyObject *table_and_count(Bucket *table, uint64_t last, int64_t count, int broken) {
    PyObject *result = NULL;
    if (broken) PyErr_SetString(PyExc_ValueError, "the offsets lead out of the data");
    else if (table == NULL) PyErr_NoMemory();
    else result = Py_BuildValue("(y#L)", (char *)table, (Py_ssize_t)((last + 1) * sizeof(Bucket)), (long long)count);
    PyMem_RawFree(table);
    return result;
}

/* index_integers(values i8[n], mask, codes i4[n], first i8[n]) -> (table, k)
 * Number the distinct values in the order in which they come first.
 */
PyObject *kernel_index_integers(PyObject *self, PyObject *args) {
    Py_buffer v[4] = {{0}};
    if (!PyArg_ParseTuple(args, "y*z*w*w*", &v[0], &v[1], &v[2], &v[3])) return NULL;
    Py_ssize_t rows = v[0].len / 8;
    if (!fits(&v[1], rows, 1) || v[2].len != rows * 4 || v[3].len != rows * 8) return mismatch(v, 4, "lengths differ");
    const int64_t *values = v[0].buf;
    const uint8_t *mask = mask_of(&v[1]);
    int32_t *codes = v[2].buf;
    int64_t *first = v[3].buf, count = 0;
    uint64_t last = 1023;
    Bucket *table = PyMem_RawCalloc(last + 1, sizeof(Bucket));
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < rows && table != NULL; i++) {
        codes[i] = -1;
        if (mask != NULL && !mask[i]) continue;
        Bucket *bucket = integer_bucket(table, last, values[i]);
        if (bucket->code == 0) {
            first[count] = i;
            bucket->mark = (uint64_t)values[i];
            bucket->code = (uint64_t)++count;
            codes[i] = (int32_t)(count - 1);
            if ((uint64_t)count * 2 > last) table = grown(table, &last, 0);
        } else codes[i] = (int32_t)(bucket->code - 1);
    }
    Py_END_ALLOW_THREADS
    release(v, 4);
    return table_and_count(table, last, count, 0);
}

/* find_integers(values i8[n], mask, table, codes i4[n])
 * Write each value's code, -1 where the table has none.
 */
PyObject *kernel_find_integers(PyObject *self, PyObject *args) {
    Py_buffer v[4] = {{0}};
    if (!PyArg_ParseTuple(args, "y*z*y*w*", &v[0], &v[1], &v[2], &v[3])) return NULL;
    Py_ssize_t rows = v[0].len / 8;
    if (!fits(&v[1], rows, 1) || v[3].len != rows * 4) return mismatch(v, 4, "lengths differ");
    const int64_t *values = v[0].buf;
    const uint8_t *mask = mask_of(&v[1]);
    Bucket *table = v[2].buf;
    uint64_t last = (uint64_t)(v[2].len / (Py_ssize_t)sizeof(Bucket)) - 1;
    int32_t *codes = v[3].buf;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < rows; i++) {
        if (i + AHEAD < rows) PREFETCH(&table[mixed((uint64_t)values[i + AHEAD]) & last]);
        codes[i] = mask != NULL && !mask[i] ? -1 : (int32_t)(integer_bucket(table, last, values[i])->code) - 1;
    }
    Py_END_ALLOW_THREADS
    release(v, 4);
    Py_RETURN_NONE;
}

/* find_near(values i8[n], mask, least, table i4[span], codes i4[n])
 * Write table[value - least] for each value, -1 outside of the table.
 */
PyObject *kernel_find_near(PyObject *self, PyObject *args) {
    Py_buffer v[4] = {{0}};
    long long least;
    if (!PyArg_ParseTuple(args, "y*z*Ly*w*", &v[0], &v[1], &least, &v[2], &v[3])) return NULL;
    Py_ssize_t rows = v[0].len / 8;
    if (!fits(&v[1], rows, 1) || v[3].len != rows * 4) return mismatch(v, 4, "lengths differ");
    const int64_t *values = v[0].buf;
    const uint8_t *mask = mask_of(&v[1]);
    const int32_t *table = v[2].buf;
    uint64_t span = (uint64_t)(v[2].len / 4);
    int32_t *codes = v[3].buf;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < rows; i++) {
        uint64_t place = (uint64_t)values[i] - (uint64_t)least;
        codes[i] = place < span && (mask == NULL || mask[i]) ? table[place] : -1;
    }
    Py_END_ALLOW_THREADS
    release(v, 4);
    Py_RETURN_NONE;
}

/* index_texts(offsets i4|i8[n + 1], wide, data, mask, codes i4[n], first i8[n]) -> (table, k)
 * Number the distinct texts in the order in which they come first; `wide` says that offsets are i8.
 */
PyObject *kernel_index_texts(PyObject *self, PyObject *args) {
    Py_buffer v[5] = {{0}};
    int wide;
    if (!PyArg_ParseTuple(args, "y*py*z*w*w*", &v[0], &wide, &v[1], &v[2], &v[3], &v[4])) return NULL;
    Py_ssize_t rows = v[0].len / (wide ? 8 : 4) - 1;
    if (rows < 0 || !fits(&v[2], rows, 1) || v[3].len != rows * 4 || v[4].len != rows * 8)
        return mismatch(v, 5, "lengths differ");
    Texts texts = {v[0].buf, wide, bytes_of(&v[1]), v[1].len};
    const uint8_t *mask = mask_of(&v[2]);
    int32_t *codes = v[3].buf;
    int64_t *first = v[4].buf, count = 0;
    uint64_t last = 1023;
    int broken = 0;
    Bucket *table = PyMem_RawCalloc(last + 1, sizeof(Bucket));
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < rows && table != NULL && !broken; i++) {
        int64_t length = 0;
        codes[i] = -1;
        if (mask != NULL && !mask[i]) continue;
        const uint8_t *text = text_at(&texts, i, &length);
        if (text == NULL) { broken = 1; continue; }
        uint64_t hash = hash_of(text, length);
        Bucket *bucket = text_bucket(table, last, text, length, hash, &texts, first);
        if (bucket->code == 0) {
            first[count] = i;
            bucket->mark = hash;
            bucket->code = (uint64_t)++count;
            codes[i] = (int32_t)(count - 1);
            if ((uint64_t)count * 2 > last) table = grown(table, &last, 1);
        } else codes[i] = (int32_t)(bucket->code - 1);
    }
    Py_END_ALLOW_THREADS
    release(v, 5);
    return table_and_count(table, last, count, broken);
}

/* find_texts(offsets i4|i8[n + 1], wide, data, mask, table, known_offsets, known_wide, known_data,
 *            first i8[k], codes i4[n])
 * Write each text's code, -1 where the table has none; known_… are those that were indexed.
 */
PyObject *kernel_find_texts(PyObject *self, PyObject *args) {
    Py_buffer v[8] = {{0}};
    int wide, known_wide;
    if (!PyArg_ParseTuple(args, "y*py*z*y*y*py*y*w*", &v[0], &wide, &v[1], &v[2], &v[3], &v[4], &known_wide, &v[5],
                          &v[6], &v[7]))
        return NULL;
    Py_ssize_t rows = v[0].len / (wide ? 8 : 4) - 1;
    if (rows < 0 || !fits(&v[2], rows, 1) || v[7].len != rows * 4) return mismatch(v, 8, "lengths differ");
    Texts texts = {v[0].buf, wide, bytes_of(&v[1]), v[1].len};
    Texts known = {v[4].buf, known_wide, bytes_of(&v[5]), v[5].len};
    const uint8_t *mask = mask_of(&v[2]);
    Bucket *table = v[3].buf;
    uint64_t last = (uint64_t)(v[3].len / (Py_ssize_t)sizeof(Bucket)) - 1;
    const int64_t *first = v[6].buf;
    int32_t *codes = v[7].buf;
    uint64_t hashes[AHEAD];
    int broken = 0;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t start = 0; start < rows && !broken; start += AHEAD) {
        Py_ssize_t end = start + AHEAD < rows ? start + AHEAD : rows;
        int64_t length = 0;
        for (Py_ssize_t i = start; i < end; i++) {
            const uint8_t *text = text_at(&texts, i, &length);
            if (text == NULL) { broken = 1; break; }
            hashes[i - start] = hash_of(text, length);
            PREFETCH(&table[hashes[i - start] & last]);
        }
        for (Py_ssize_t i = start; i < end && !broken; i++) {
            const uint8_t *text = text_at(&texts, i, &length);
            codes[i] = mask != NULL && !mask[i]
                ? -1 : (int32_t)text_bucket(table, last, text, length, hashes[i - start], &known, first)->code - 1;
        }
    }
    Py_END_ALLOW_THREADS
    if (broken) return mismatch(v, 8, "the offsets lead out of the data");
    release(v, 8);
    Py_RETURN_NONE;
}
