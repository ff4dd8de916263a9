"""Serialized examples to columns in plain Python: the compiled decoder once more, for where it was not compiled.

The rules are those of protocol buffers: unknown fields are skipped, of two entries of one key the last is meant, of
two kinds in one feature the last, and lists of numbers are packed or not.
https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_KIND, BYTES_LIST, FLOAT_LIST, INT64_LIST = range(4)
HOLDS = {BYTES_LIST: "it holds bytes", FLOAT_LIST: "it holds floats", INT64_LIST: "it holds integers"}
VARINT, FIXED64, LENGTH, START_GROUP, END_GROUP, FIXED32 = range(6)
WIDTHS = {FIXED64: 8, FIXED32: 4}
FIRST, SECOND = 1 << 3 | LENGTH, 2 << 3 | LENGTH
MISSING = -1  # the count of a row without the key, or without a kind
MOST_GROUPS = 64

Span = tuple[int, int]
Part = int | bytes


@dataclass
class _Column:
    """What the records hold under one key; ``inner`` counts the values of the features of a nested one."""

    kind: int
    counts: list[int] = field(default_factory=list)
    inner: list[int] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    def to_buffers(self) -> tuple[bytes, bytes, bytes, bytes]:
        """Return counts, inner counts, values and ends."""
        counts, inner = (np.array(each, np.int32).tobytes() for each in (self.counts, self.inner))
        if self.kind == INT64_LIST:
            return counts, inner, np.array(self.parts, np.uint64).tobytes(), b""
        texts = [part for part in self.parts if isinstance(part, bytes)]
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64) if self.kind == BYTES_LIST else np.zeros(0)
        return counts, inner, b"".join(texts), ends.tobytes()


@dataclass
class _Feature:
    """A list of one kind; floats are parts of 4 bytes each, and each of the other parts is a value."""

    kind: int = NO_KIND
    parts: list[Part] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many values it holds; -1 without a kind."""
        return MISSING if self.kind == NO_KIND else len(self.parts)


class _Broken(Exception):
    """Bytes that are no example: why, where, and the key that holds another kind than it should."""

    def __init__(self, why: str, at: int, name: bytes | None = None) -> None:
        super().__init__(why, at, name)


Key = tuple[bool, bytes]
Row = dict[Key, list[_Feature]]


def decode(
    data: bytes, spans: bytes, wanted: list[tuple[bytes, int, int]] | None
) -> list[tuple[bytes, int, int, bytes, bytes, bytes, bytes]]:
    """Return the wanted columns, (name, nested, kind or 0) in their order, or with None those of all keys as they come.

    A column is (name, nested, kind, counts, inner, values, ends). Raises ValueError(reason, row, position, name).
    """
    columns = {(bool(nested), name): _Column(kind) for name, nested, kind in wanted or ()}
    places = np.frombuffer(spans, np.int64).reshape(-1, 2).tolist()
    for row, (first, last) in enumerate(places):
        if not 0 <= first <= last <= len(data):
            raise ValueError("a span lies outside of the data", row, 0, None)
        try:
            found = _example(data, first, last, columns, wanted is None)
        except _Broken as exc:
            why, at, name = exc.args
            raise ValueError(why, row, at, name) from None
        for key, features in found.items():
            _append(columns[key], key[0], features, row)
    for column in columns.values():
        column.counts += [MISSING] * (len(places) - len(column.counts))
    return [(name, int(nested), each.kind, *each.to_buffers()) for (nested, name), each in columns.items()]


def _append(column: _Column, nested: bool, features: list[_Feature], row: int) -> None:
    column.counts += [MISSING] * (row - len(column.counts))
    column.counts.append(len(features) if nested else features[0].count)
    for feature in features:
        column.parts += feature.parts
        if nested:
            column.inner.append(feature.count)


def _example(data: bytes, first: int, last: int, columns: dict[Key, _Column], every: bool) -> Row:
    found: Row = {}
    for tag, start, stop in _fields(data, first, last):
        if tag not in (FIRST, SECOND):
            continue
        for inner, at, end in _fields(data, start, stop):
            if inner == FIRST:
                _entry(data, at, end, tag == SECOND, columns, every, found)
    return found


def _entry(
    data: bytes, first: int, last: int, nested: bool, columns: dict[Key, _Column], every: bool, found: Row
) -> None:
    name = b""
    values: list[Span] = []
    for tag, at, end in _fields(data, first, last):
        if tag == FIRST:
            name = data[at:end]
            _require_text(name, at)
        elif tag == SECOND:
            values.append((at, end))
    key = (nested, name)
    if key not in columns:
        if not every:
            return
        columns[key] = _Column(NO_KIND)
    found[key] = _features(data, values, nested)
    for feature in found[key]:
        if columns[key].kind == NO_KIND:
            columns[key].kind = feature.kind
        if feature.kind not in (NO_KIND, columns[key].kind):
            raise _Broken(HOLDS[feature.kind], first, name)


def _require_text(name: bytes, at: int) -> None:
    try:
        name.decode()
    except UnicodeDecodeError:
        raise _Broken("a key is not UTF-8", at) from None


def _features(data: bytes, values: list[Span], nested: bool) -> list[_Feature]:
    if not nested:
        whole = _Feature()
        for at, end in values:
            _read(data, at, end, whole)
        return [whole]
    features = []
    for first, last in values:
        for tag, at, end in _fields(data, first, last):
            if tag == FIRST:
                features.append(_Feature())
                _read(data, at, end, features[-1])
    return features


def _read(data: bytes, first: int, last: int, feature: _Feature) -> None:
    for tag, at, end in _fields(data, first, last):
        kind = tag >> 3
        if tag & 7 != LENGTH or kind not in HOLDS:
            continue
        if kind != feature.kind:
            feature.kind, feature.parts = kind, []
        for inner, start, stop in _fields(data, at, end):
            if kind == BYTES_LIST and inner == FIRST:
                feature.parts.append(data[start:stop])
            elif kind == INT64_LIST and inner in (FIRST, 1 << 3 | VARINT):
                feature.parts += _integers(data, start, stop)
            elif kind == FLOAT_LIST and inner in (FIRST, 1 << 3 | FIXED32):
                feature.parts += _floats(data, start, stop)


def _integers(data: bytes, at: int, end: int) -> Iterator[int]:
    while at < end:
        value, at = _varint(data, at, end, 10)
        yield value


def _floats(data: bytes, at: int, end: int) -> list[bytes]:
    if (end - at) % 4 != 0:
        raise _Broken("packed floats do not have 4 bytes each", at)
    return [data[place : place + 4] for place in range(at, end, 4)]


def _fields(data: bytes, at: int, end: int, group: int | None = None, depth: int = 0) -> Iterator[tuple[int, int, int]]:
    """Yield the tag of each field, and where its value lies: of a message or a string without its length.

    Groups are passed over. Within the group of a number the last is its end, which is told as (0, place, place).
    """
    while at < end or group is not None:
        start = at
        tag, at = _varint(data, at, end, 5)
        if tag >> 32 or tag >> 3 == 0:
            raise _Broken("a field has no number", start)
        wire, first = tag & 7, at
        if wire == VARINT:
            at = _varint(data, at, end, 10)[1]
        elif wire in WIDTHS:
            at += WIDTHS[wire]
        elif wire == LENGTH:
            size, first = _varint(data, at, end, 5)
            at = first + size
        elif wire == END_GROUP and group == tag >> 3:
            yield 0, at, at
            return
        elif wire == START_GROUP and depth < MOST_GROUPS:
            *_, (_, at, _) = _fields(data, at, end, tag >> 3, depth + 1)
        else:
            raise _Broken("a field has a type that does not exist, or groups lie too deep in each other", start)
        if at > end:
            raise _Broken("a length reaches beyond what holds it", start)
        yield tag, first, at


def _varint(data: bytes, at: int, end: int, most: int) -> tuple[int, int]:
    """Return the number of at most ``most`` bytes, as 64 bits, and where it ends."""
    value = 0
    for place in range(most):
        if at + place >= end:
            raise _Broken("a number is cut off", at)
        digit = data[at + place]
        value |= (digit & 0x7F) << (7 * place)
        if digit < 1 << 7:
            return value & (1 << 64) - 1, at + place + 1
    what = "a number has more than 10 bytes" if most > 5 else "a tag or a length has more than 5 bytes"  # noqa: PLR2004
    raise _Broken(what, at)
