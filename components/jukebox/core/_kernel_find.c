/* The slot of each row: the first label of its key that may see it. */
#include "_kernel.h"

#include <math.h>

/* Rows in a block, and the times that one of the coarse times stands for: as many as a line of the cache holds. */
#define BLOCK 32
#define STRIDE 8

/* A key's first time, and how many of its labels a unit of time has, as if they were spread evenly. */
typedef struct {
    double least, density;
} Spread;

/* Return where a time would lie among those of a range, from `first` to before `end`, were they spread evenly. */
static int64_t guessed(const Spread *spread, int64_t first, int64_t end, int64_t wanted) {
    double place = ((double)wanted - spread->least) * spread->density;
    if (!(place > 0)) return first;
    return place < (double)(end - 1 - first) ? first + (int64_t)place : end - 1;
}

/* Return the first place from `first` to before `end` whose time is not before what is wanted, or `end`.
 *
 * From the guess the steps double until the place is between two of them, and what is left is halved: at worst twice
 * as many steps as halving alone, and few where times are spread evenly.
 */
static int64_t first_not_before(const int64_t *times, int64_t first, int64_t end, int64_t wanted, int64_t guess,
                                int64_t step) {
    if (times[guess] < wanted) {
        for (first = guess + 1; first + step < end && times[first + step] < wanted; step *= 2) first += step + 1;
        end = first + step < end ? first + step + 1 : end;
    } else {
        for (end = guess; end - step > first && times[end - step] >= wanted; step *= 2) end -= step;
        first = end - step > first ? end - step + 1 : first;
    }
    for (int64_t size = end - first; size > 0;) {
        int64_t half = size >> 1;
        if (times[first + half] < wanted) {
            first += half + 1;
            size -= half + 1;
        } else size = half;
    }
    return first;
}

/* Slots of a code, and those among them that are left to look at. */
typedef struct {
    Py_ssize_t row;
    int64_t first, end, low, high;
} Search;

/* Leave the slots between two coarse times, the first before what is wanted and the second not. */
static void narrowed(Search *one, const int64_t *coarse, int64_t wanted, int64_t guess) {
    int64_t low = one->first / STRIDE + 1, high = (one->end - 1) / STRIDE + 1;
    if (low >= high) return;
    guess = guess / STRIDE < low ? low : guess / STRIDE;
    // Evenly drawn times stray from the guess by the root of their number.
    int64_t step = 1 + (int64_t)sqrt((double)(one->end - one->first)) / (4 * STRIDE);
    int64_t found = first_not_before(coarse, low, high, wanted, guess, step);
    if (found > low) one->low = (found - 1) * STRIDE + 1;
    if (found < high) one->high = found * STRIDE;
}

/* find(codes i4[n], past i8[n], mask, starts i8[k + 1], spread f8[k, 2], times i8[m], coarse i8[m / 8], slots i4[n],
 *      before i8[n]|None, passed|None)
 * Write each row's slot: the first of its code's whose time is not before the row's, or -1; and in `passed` whether a
 * label of its code may lie between `before` and `past`. Where the mask leaves a row out, one may.
 *
 * Rows go in blocks, and a block in steps: what a step needs of memory the one before has asked for. `spread` saves
 * looking at both ends of a code's times, and `coarse`, every eighth time, at most of those between: with many labels
 * they are seldom in the processor's cache.
 */
PyObject *kernel_find(PyObject *self, PyObject *args) {
    Py_buffer v[10] = {{0}};
    if (!PyArg_ParseTuple(args, "y*y*z*y*y*y*y*w*z*z*", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7],
                          &v[8], &v[9]))
        return NULL;
    Py_ssize_t rows = v[0].len / 4, keys = v[3].len / 8 - 1, labels = v[5].len / 8;
    if (v[1].len != rows * 8 || !fits(&v[2], rows, 1) || v[7].len != rows * 4 || keys < 0 || !fits(&v[8], rows, 8)
        || v[4].len != keys * (Py_ssize_t)sizeof(Spread) || v[6].len != (labels + STRIDE - 1) / STRIDE * 8
        || !fits(&v[9], rows, 1) || (v[8].obj == NULL) != (v[9].obj == NULL) || (v[9].obj != NULL && v[9].readonly))
        return mismatch(v, 10, "lengths differ");
    const int32_t *codes = v[0].buf;
    const int64_t *past = v[1].buf, *starts = v[3].buf, *times = v[5].buf, *coarse = v[6].buf;
    const Spread *spread = v[4].buf;
    const int64_t *before = v[8].obj == NULL ? NULL : v[8].buf;
    const uint8_t *mask = mask_of(&v[2]);
    int32_t *slots = v[7].buf;
    uint8_t *passed = v[9].buf;
    Py_BEGIN_ALLOW_THREADS
    Search searches[BLOCK];
    int64_t guess[BLOCK];
    for (Py_ssize_t block = 0; block < rows; block += BLOCK) {
        Py_ssize_t next = block + BLOCK < rows ? block + BLOCK : rows;
        int count = 0;
        for (Py_ssize_t i = next; i < next + BLOCK && i < rows; i++)
            if ((uint64_t)(int64_t)codes[i] < (uint64_t)keys) {
                PREFETCH(&starts[codes[i]]);
                PREFETCH(&spread[codes[i]]);
            }
        for (Py_ssize_t i = block; i < next; i++) {
            slots[i] = -1;
            if (before != NULL) passed[i] = 0;
            if ((uint64_t)(int64_t)codes[i] >= (uint64_t)keys) continue;
            if (mask != NULL && !mask[i]) {
                if (before != NULL) passed[i] = 1;
                continue;
            }
            int64_t first = starts[codes[i]], end = starts[codes[i] + 1];
            if (first < 0 || end > labels || first >= end) continue;
            Search one = {i, first, end, first, end};
            searches[count] = one;
            guess[count] = guessed(&spread[codes[i]], first, end, past[i]);
            PREFETCH(&coarse[guess[count] / STRIDE]);
            count++;
        }
        for (int j = 0; j < count; j++) {
            narrowed(&searches[j], coarse, past[searches[j].row], guess[j]);
            PREFETCH(&times[searches[j].low]);
        }
        for (int j = 0; j < count; j++) {
            Search one = searches[j];
            int64_t wanted = past[one.row], found = one.low;
            while (found < one.high && times[found] < wanted) found++;
            if (found < one.end) slots[one.row] = (int32_t)found;
            if (before != NULL) passed[one.row] = found > one.first && times[found - 1] >= before[one.row];
        }
    }
    Py_END_ALLOW_THREADS
    release(v, 10);
    Py_RETURN_NONE;
}
