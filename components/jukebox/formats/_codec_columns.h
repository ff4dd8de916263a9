/* The columns that are read: buffers that grow, a table of their names, and lists of values. */
#ifndef JUKEBOX_CODEC_COLUMNS_H
#define JUKEBOX_CODEC_COLUMNS_H

#include "_codec_wire.h"

static int grow(Reader *r, Bytes *bytes, size_t more) {
    size_t room = bytes->room * 2 > bytes->size + more ? bytes->room * 2 : bytes->size + more + 256;
    uint8_t *data = PyMem_RawRealloc(bytes->data, room);
    if (data == NULL) {
        fail(r, SHORT_OF_MEMORY, NULL);
        return -1;
    }
    bytes->data = data;
    bytes->room = room;
    return 0;
}

static inline int append(Reader *r, Bytes *bytes, const void *data, size_t size) {
    if (bytes->room - bytes->size < size && grow(r, bytes, size) < 0) return -1;
    if (size > 0) memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    return 0;
}

/* Append what is short most often, and lies before `end`. */
static inline int append_short(Reader *r, Bytes *bytes, const uint8_t *data, size_t size, const uint8_t *end) {
    if (bytes->room - bytes->size < size + 16 && grow(r, bytes, size + 16) < 0) return -1;
    copy_short(bytes->data + bytes->size, data, size, end);
    bytes->size += size;
    return 0;
}

static inline size_t hashed(const char *name, size_t size, int nested) {
    uint64_t hash = 14695981039346656037ULL + (uint64_t)nested; /* FNV-1a */
    for (size_t i = 0; i < size; i++) hash = (hash ^ (uint8_t)name[i]) * 1099511628211ULL;
    return (size_t)(hash ^ hash >> 32);
}

static inline int is_named(const Column *c, const char *name, size_t size, int nested) {
    return c->name_size == size && c->nested == nested && memcmp(c->name, name, size) == 0;
}

/* Return the slot of a name: its column's, or the empty one where it belongs. */
static size_t slot_of(const Reader *r, const char *name, size_t size, int nested) {
    size_t slot = hashed(name, size, nested) & r->mask;
    while (r->slots[slot] >= 0 && !is_named(&r->columns[r->slots[slot]], name, size, nested)) slot = (slot + 1) & r->mask;
    return slot;
}

static int make_room(Reader *r) {
    Py_ssize_t room = r->room * 2 > 32 ? r->room * 2 : 32;
    Column *columns = PyMem_RawRealloc(r->columns, (size_t)room * sizeof(Column));
    if (columns != NULL) r->columns = columns;
    int32_t *slots = PyMem_RawRealloc(r->slots, (size_t)room * 2 * sizeof(int32_t));
    if (slots != NULL) r->slots = slots;
    if (columns == NULL || slots == NULL || room > INT32_MAX / 2) {
        fail(r, SHORT_OF_MEMORY, NULL);
        return -1;
    }
    r->room = room;
    r->mask = (size_t)room * 2 - 1;
    memset(slots, -1, (size_t)room * 2 * sizeof(int32_t));
    for (Py_ssize_t at = 0; at < r->width; at++)
        slots[slot_of(r, columns[at].name, columns[at].name_size, columns[at].nested)] = (int32_t)at;
    return 0;
}

static Column *add_column(Reader *r, const char *name, size_t size, int nested, int kind) {
    if (r->width == r->room && make_room(r) < 0) return NULL;
    Column *c = &r->columns[r->width];
    memset(c, 0, sizeof *c);
    c->name = name;
    c->name_size = size;
    c->nested = nested;
    c->kind = kind;
    c->row = -1;
    if (kind != SKIPPED) {
        size_t rows = (size_t)(r->rows > 0 ? r->rows : 1) * sizeof(int32_t);
        if ((c->counts = PyMem_RawMalloc(rows)) == NULL) {
            fail(r, SHORT_OF_MEMORY, NULL);
            return NULL;
        }
        memset(c->counts, MISSING, rows);
    }
    r->slots[slot_of(r, name, size, nested)] = (int32_t)r->width++;
    return c;
}

/* Return the column of a key: most often the one that stood here in the record before. */
static Column *column_of(Reader *r, const uint8_t *name, size_t size, int nested) {
    const char *text = (const char *)name;
    if (r->next >= r->width || !is_named(&r->columns[r->next], text, size, nested)) {
        int32_t place = r->width == 0 ? -1 : r->slots[slot_of(r, text, size, nested)];
        if (place < 0) {
            if (!is_utf8(name, name + size)) {
                fail(r, "a key is not UTF-8", name);
                return NULL;
            }
            if (add_column(r, text, size, nested, r->all ? NO_KIND : SKIPPED) == NULL) return NULL;
            place = (int32_t)r->width - 1;
        }
        r->next = place;
    }
    return &r->columns[r->next++];
}

static inline int add_integer(Reader *r, Column *c, uint64_t value) {
    c->count++;
    return append(r, &c->values, &value, 8);
}

/* Read the values of a list into the column, or past them where it holds another kind. */
static inline const uint8_t *int64_list(Reader *r, Column *c, int kept, const uint8_t *p, const uint8_t *end) {
    uint32_t field;
    uint64_t value;
    const uint8_t *last;
    while (p < end) {
        if ((p = tag(r, p, end, &field)) == NULL) return NULL;
        if (field == (1 << 3 | VARINT)) {
            if ((p = varint(r, p, end, 10, &value)) == NULL) return NULL;
            if (kept && add_integer(r, c, value) < 0) return NULL;
        } else if (field == (1 << 3 | LENGTH)) {
            if ((p = length(r, p, end, &last)) == NULL) return NULL;
            while (p < last) {
                if ((p = varint(r, p, last, 10, &value)) == NULL) return NULL;
                if (kept && add_integer(r, c, value) < 0) return NULL;
            }
        } else if ((p = skip(r, p, end, field, 0)) == NULL)
            return NULL;
    }
    return p;
}

static inline const uint8_t *float_list(Reader *r, Column *c, int kept, const uint8_t *p, const uint8_t *end) {
    uint32_t field;
    const uint8_t *last;
    while (p < end) {
        if ((p = tag(r, p, end, &field)) == NULL) return NULL;
        if (field == (1 << 3 | LENGTH)) {
            if ((p = length(r, p, end, &last)) == NULL) return NULL;
            if ((last - p) % 4 != 0) return fail(r, "packed floats do not have 4 bytes each", p);
        } else if (field == (1 << 3 | FIXED32) && end - p >= 4)
            last = p + 4;
        else {
            if ((p = skip(r, p, end, field, 0)) == NULL) return NULL;
            continue;
        }
        if (kept && append_short(r, &c->values, p, (size_t)(last - p), r->end) < 0) return NULL;
        if (kept) c->count += (last - p) / 4;
        p = last;
    }
    return p;
}

static inline const uint8_t *bytes_list(Reader *r, Column *c, int kept, const uint8_t *p, const uint8_t *end) {
    uint32_t field;
    const uint8_t *last;
    while (p < end) {
        if ((p = tag(r, p, end, &field)) == NULL) return NULL;
        if (field != (1 << 3 | LENGTH)) {
            if ((p = skip(r, p, end, field, 0)) == NULL) return NULL;
            continue;
        }
        if ((p = length(r, p, end, &last)) == NULL) return NULL;
        if (kept) {
            if (append_short(r, &c->values, p, (size_t)(last - p), r->end) < 0) return NULL;
            int64_t stop = (int64_t)c->values.size;
            if (append(r, &c->ends, &stop, 8) < 0) return NULL;
            c->count++;
        }
        p = last;
    }
    return p;
}

#endif
