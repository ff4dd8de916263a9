/* Protocol buffers as they lie in bytes: numbers, lengths, tags, and what is passed over.
 *
 * Every function takes where it reads and where that ends, and returns where it stopped; or NULL, the fault being told.
 */
#ifndef JUKEBOX_CODEC_WIRE_H
#define JUKEBOX_CODEC_WIRE_H

#include "_codec.h"

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, START_GROUP = 3, END_GROUP = 4, FIXED32 = 5 };
#define MOST_GROUPS 64
#define SKIPPED -1 /* the kind of a column that is not asked for */
#define MISSING -1 /* the count of a row without the key, or without a kind */

typedef struct {
    uint8_t *data;
    size_t size, room;
} Bytes;

typedef struct {
    const char *name;
    size_t name_size;
    int nested;         /* whether it lies among the feature lists */
    int kind;           /* the list that it holds, NO_KIND until one is seen */
    int row_kind;       /* of the feature that is read */
    Py_ssize_t row;     /* that was written last */
    int32_t *counts;    /* of features in a list of features, of values elsewhere */
    int64_t count;      /* of values in the feature that is read */
    int64_t elements;
    Bytes values, ends, inner; /* int64, float32 or bytes; where each byte string ends; counts of values */
    size_t old_values, old_ends, old_inner; /* sizes before the feature, or the list of features, that is read */
    int64_t old_elements;
} Column;

typedef struct {
    Column *columns;
    Py_ssize_t width, room, rows, row;
    int32_t *slots; /* a table of names: columns by the hash of theirs, -1 where empty */
    size_t mask;
    Py_ssize_t next; /* the column that followed, in the record before */
    int all;         /* whether every key is asked for */
    const uint8_t *end; /* of the record */
    const char *fault;
    const uint8_t *at;
    Column *column; /* that the fault is about, or NULL */
} Reader;

static const char SHORT_OF_MEMORY[] = "memory";

static const uint8_t *fail(Reader *r, const char *fault, const uint8_t *at) {
    if (r->fault == NULL) {
        r->fault = fault;
        r->at = at;
    }
    return NULL;
}

/* Read a varint of at most `most` bytes. */
static inline const uint8_t *varint(Reader *r, const uint8_t *p, const uint8_t *end, int most, uint64_t *value) {
    if (p < end && *p < 0x80) {
        *value = *p;
        return p + 1;
    }
    *value = 0;
    for (int place = 0; place < most; place++) {
        if (p + place >= end) return fail(r, "a number is cut off", p);
        *value |= (uint64_t)(p[place] & 0x7F) << (7 * place);
        if (p[place] < 0x80) return p + place + 1;
    }
    return fail(r, most == 10 ? "a number has more than 10 bytes" : "a tag or a length has more than 5 bytes", p);
}

/* Read the length of a message or a string, and hold it to what is left. */
static inline const uint8_t *length(Reader *r, const uint8_t *p, const uint8_t *end, const uint8_t **last) {
    uint64_t size;
    const uint8_t *from = p;
    if ((p = varint(r, p, end, 5, &size)) == NULL) return NULL;
    if (size > (uint64_t)(end - p)) return fail(r, "a length reaches beyond what holds it", from);
    *last = p + size;
    return p;
}

static inline const uint8_t *tag(Reader *r, const uint8_t *p, const uint8_t *end, uint32_t *found) {
    uint64_t value;
    const uint8_t *from = p;
    if ((p = varint(r, p, end, 5, &value)) == NULL) return NULL;
    if (value > UINT32_MAX || value >> 3 == 0) return fail(r, "a field has no number", from);
    *found = (uint32_t)value;
    return p;
}

/* Pass over a field of which the tag is read. */
static const uint8_t *skip(Reader *r, const uint8_t *p, const uint8_t *end, uint32_t field, int groups) {
    uint64_t value;
    uint32_t inner;
    const uint8_t *from = p, *last;
    switch (field & 7) {
    case VARINT: return varint(r, p, end, 10, &value);
    case FIXED64: return end - p < 8 ? fail(r, "a number is cut off", p) : p + 8;
    case FIXED32: return end - p < 4 ? fail(r, "a number is cut off", p) : p + 4;
    case LENGTH: return length(r, p, end, &last) == NULL ? NULL : last;
    case START_GROUP:
        if (groups >= MOST_GROUPS) return fail(r, "groups lie too deep in each other", from);
        for (;;) {
            if ((p = tag(r, p, end, &inner)) == NULL) return NULL;
            if ((inner & 7) == END_GROUP)
                return inner >> 3 == field >> 3 ? p : fail(r, "a group ends that did not begin", p);
            if ((p = skip(r, p, end, inner, groups + 1)) == NULL) return NULL;
        }
    default: return fail(r, "a field has a type that does not exist", from);
    }
}

static int is_utf8(const uint8_t *p, const uint8_t *end) {
    while (p < end) {
        uint32_t first = *p++;
        if (first < 0x80) continue;
        int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
        if (first < 0xC2 || first > 0xF4 || end - p < more) return 0;
        uint32_t code = first & (0x3Fu >> more);
        for (int i = 0; i < more; i++, p++) {
            if ((*p & 0xC0) != 0x80) return 0;
            code = code << 6 | (*p & 0x3F);
        }
        if (more == 2 && (code < 0x800 || (code >= 0xD800 && code <= 0xDFFF))) return 0;
        if (more == 3 && (code < 0x10000 || code > 0x10FFFF)) return 0;
    }
    return 1;
}

#endif
