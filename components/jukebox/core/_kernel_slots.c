/* Labels in order, their slots, each slot's greatest row, and the values of the rows that won. */
#include "_kernel.h"

#define DIGIT_BITS 11
#define DIGITS (1 << DIGIT_BITS)

typedef struct {
    int64_t event, created, position;
} Winner;

/* argsort(values i8[n], order i8[n])
 * Write the places of the values in ascending order; equal ones stay in theirs.
 */
PyObject *kernel_argsort(PyObject *self, PyObject *args) {
    Py_buffer v[2] = {{0}};
    if (!PyArg_ParseTuple(args, "y*w*", &v[0], &v[1])) return NULL;
    Py_ssize_t rows = v[0].len / 8;
    if (v[1].len != v[0].len) return mismatch(v, 2, "lengths differ");
    const int64_t *values = v[0].buf;
    int64_t *order = v[1].buf, *spare = PyMem_RawMalloc((size_t)(rows > 0 ? rows : 1) * 8);
    int64_t *from = order, *to = spare;
    if (spare == NULL) { release(v, 2); return PyErr_NoMemory(); }
    Py_BEGIN_ALLOW_THREADS
    uint64_t differ = 0, sign = 1ULL << 63;
    for (Py_ssize_t i = 0; i < rows; i++) {
        differ |= (uint64_t)values[i] ^ (uint64_t)values[0];
        order[i] = i;
    }
    for (int shift = 0; shift < 64; shift += DIGIT_BITS) {
        if (((differ >> shift) & (DIGITS - 1)) == 0) continue;
        Py_ssize_t places[DIGITS] = {0}, total = 0;
        for (Py_ssize_t i = 0; i < rows; i++) places[(((uint64_t)values[i] ^ sign) >> shift) & (DIGITS - 1)]++;
        for (int digit = 0; digit < DIGITS; digit++) {
            Py_ssize_t count = places[digit];
            places[digit] = total;
            total += count;
        }
        for (Py_ssize_t i = 0; i < rows; i++)
            to[places[(((uint64_t)values[from[i]] ^ sign) >> shift) & (DIGITS - 1)]++] = from[i];
        int64_t *other = from;
        from = to;
        to = other;
    }
    if (from != order) memcpy(order, from, (size_t)rows * 8);
    Py_END_ALLOW_THREADS
    PyMem_RawFree(spare);
    release(v, 2);
    Py_RETURN_NONE;
}

/* sort_slots(codes i4[n], by_time i8[n], starts i8[k + 1], rows i8[n]) -> m
 * Write the labels by (code, time) into rows[:m], and where each code starts.
 */
PyObject *kernel_sort_slots(PyObject *self, PyObject *args) {
    Py_buffer v[4] = {{0}};
    if (!PyArg_ParseTuple(args, "y*y*w*w*", &v[0], &v[1], &v[2], &v[3])) return NULL;
    Py_ssize_t count = v[0].len / 4, keys = v[2].len / 8 - 1;
    if (v[1].len != count * 8 || v[3].len != count * 8 || keys < 0) return mismatch(v, 4, "lengths differ");
    const int32_t *codes = v[0].buf;
    const int64_t *by_time = v[1].buf;
    int64_t *starts = v[2].buf, *rows = v[3].buf, total = 0;
    memset(starts, 0, (size_t)v[2].len);
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < count; i++)
        if ((uint64_t)(int64_t)codes[i] < (uint64_t)keys) starts[codes[i]]++;
    for (Py_ssize_t key = 0; key <= keys; key++) {
        int64_t labels = key < keys ? starts[key] : 0;
        starts[key] = total;
        total += labels;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        int64_t row = by_time[i];
        if (i + AHEAD < count) PREFETCH(&codes[by_time[i + AHEAD]]);
        if ((uint64_t)row < (uint64_t)count && (uint64_t)(int64_t)codes[row] < (uint64_t)keys)
            rows[starts[codes[row]]++] = row;
    }
    for (Py_ssize_t key = keys; key > 0; key--) starts[key] = starts[key - 1];
    if (keys > 0) starts[0] = 0;
    if (keys > 0) starts[keys] = total;
    Py_END_ALLOW_THREADS
    release(v, 4);
    return PyLong_FromLongLong(total);
}

static int above(int64_t event, int64_t created, int64_t position, const Winner *held) {
    if (held->position < 0) return 1;
    if (event != held->event) return event > held->event;
    return created != held->created ? created > held->created : position > held->position;
}

/* reduce(slots i4[n], event i8[n], created i8[n]|None, positions i8[n]|None, first,
 *        mask, winners i8[m, 3])
 * Let rows compete for their slots by (event, created, position); row i is at first + i
 * unless positions are given, and created counts as the least number where it is None.
 */
PyObject *kernel_reduce(PyObject *self, PyObject *args) {
    Py_buffer v[6] = {{0}};
    long long first;
    if (!PyArg_ParseTuple(args, "y*y*z*z*Lz*w*", &v[0], &v[1], &v[2], &v[3], &first, &v[4], &v[5])) return NULL;
    Py_ssize_t rows = v[0].len / 4, labels = v[5].len / (Py_ssize_t)sizeof(Winner);
    if (v[1].len != rows * 8 || !fits(&v[2], rows, 8) || !fits(&v[3], rows, 8) || !fits(&v[4], rows, 1))
        return mismatch(v, 6, "lengths differ");
    const int32_t *slots = v[0].buf;
    const int64_t *event = v[1].buf, *created = v[2].obj == NULL ? NULL : v[2].buf;
    const int64_t *positions = v[3].obj == NULL ? NULL : v[3].buf;
    const uint8_t *mask = mask_of(&v[4]);
    Winner *winners = v[5].buf;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < rows; i++) {
        int64_t slot = slots[i];
        if (i + AHEAD < rows && slots[i + AHEAD] >= 0) PREFETCH(&winners[slots[i + AHEAD]]);
        if ((uint64_t)slot >= (uint64_t)labels || (mask != NULL && !mask[i])) continue;
        int64_t known = created == NULL ? INT64_MIN : created[i];
        int64_t position = positions == NULL ? (int64_t)first + i : positions[i];
        if (above(event[i], known, position, &winners[slot])) {
            Winner winner = {event[i], known, position};
            winners[slot] = winner;
        }
    }
    Py_END_ALLOW_THREADS
    release(v, 6);
    Py_RETURN_NONE;
}

/* answers(starts i8[k + 1], winners i8[m, 3], chosen i4[m])
 * Write for each slot the slot whose winner is the greatest up to it within its key, or -1.
 */
PyObject *kernel_answers(PyObject *self, PyObject *args) {
    Py_buffer v[3] = {{0}};
    if (!PyArg_ParseTuple(args, "y*y*w*", &v[0], &v[1], &v[2])) return NULL;
    Py_ssize_t keys = v[0].len / 8 - 1, labels = v[1].len / (Py_ssize_t)sizeof(Winner);
    if (v[2].len != labels * 4 || keys < 0) return mismatch(v, 3, "lengths differ");
    const int64_t *starts = v[0].buf;
    const Winner *winners = v[1].buf;
    int32_t *chosen = v[2].buf;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t key = 0; key < keys; key++) {
        int32_t best = -1;
        int64_t end = starts[key + 1] < labels ? starts[key + 1] : labels;
        for (int64_t slot = starts[key] < 0 ? 0 : starts[key]; slot < end; slot++) {
            const Winner *one = &winners[slot];
            if (one->position >= 0 && (best < 0 || above(one->event, one->created, one->position, &winners[best])))
                best = (int32_t)slot;
            chosen[slot] = best;
        }
    }
    Py_END_ALLOW_THREADS
    release(v, 3);
    Py_RETURN_NONE;
}

#define COPY(type)                                                                                                     \
    for (Py_ssize_t i = 0; i < count; i++) {                                                                           \
        if (i + AHEAD < count) PREFETCH((type *)out + targets[i + AHEAD]);                                             \
        ((type *)out)[targets[i]] = ((const type *)values)[rows[i]];                                                   \
    }

/* scatter(values, bits|None, offset, width, rows i8[c], targets i8[c], out, known u1[labels]|None)
 * Copy values[rows] of `width` bytes to out[targets], and mark in `known` those that are no null; `bits` is Arrow's
 * validity bitmap, whose first row is at `offset`. Without it nothing is marked.
 */
PyObject *kernel_scatter(PyObject *self, PyObject *args) {
    Py_buffer v[6] = {{0}};
    Py_ssize_t offset, width;
    if (!PyArg_ParseTuple(args, "y*z*nny*y*w*z*", &v[0], &v[1], &offset, &width, &v[2], &v[3], &v[4], &v[5]))
        return NULL;
    Py_ssize_t count = v[2].len / 8;
    if (width <= 0 || v[3].len != v[2].len || (v[1].obj == NULL) != (v[5].obj == NULL)
        || (v[5].obj != NULL && (v[5].readonly || v[4].len != v[5].len * width)))
        return mismatch(v, 6, "lengths differ");
    const uint8_t *values = v[0].buf, *bits = mask_of(&v[1]);
    const int64_t *rows = v[2].buf, *targets = v[3].buf;
    uint8_t *out = v[4].buf, *known = v[5].buf;
    Py_ssize_t there = v[0].len / width, labels = v[4].len / width;
    int inside = bits == NULL || v[1].len * 8 >= offset + there;
    for (Py_ssize_t i = 0; i < count; i++)
        inside &= (uint64_t)rows[i] < (uint64_t)there && (uint64_t)targets[i] < (uint64_t)labels;
    if (!inside) return mismatch(v, 6, "a place is out of range");
    Py_BEGIN_ALLOW_THREADS
    if (width == 8) COPY(uint64_t)
    else if (width == 4) COPY(uint32_t)
    else if (width == 2) COPY(uint16_t)
    else if (width == 1) COPY(uint8_t)
    else
        for (Py_ssize_t i = 0; i < count; i++)
            memcpy(out + targets[i] * width, values + rows[i] * width, (size_t)width);
    for (Py_ssize_t i = 0; bits != NULL && i < count; i++) {
        Py_ssize_t bit = rows[i] + offset;
        known[targets[i]] = bits[bit >> 3] >> (bit & 7) & 1;
    }
    Py_END_ALLOW_THREADS
    release(v, 6);
    Py_RETURN_NONE;
}
