"""Reading packed cells back, as ``core.cells`` describes them."""

from __future__ import annotations

import struct
from datetime import date, datetime, timedelta, timezone
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core.cells import VERSION, is_list, is_text
from jukebox.errors import CorruptData

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    # From the bytes and a place in them to the value there and the place behind it.
    Reader = Callable[[bytes, int], tuple[Any, int]]

_CODES = {
    **dict(zip(("int8", "int16", "int32", "int64"), "bhiq", strict=True)),
    **dict(zip(("uint8", "uint16", "uint32", "uint64"), "BHIQ", strict=True)),
    "float": "f",
    "double": "d",
}
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000}
_EPOCH, _EPOCH_DAY = datetime(1970, 1, 1, tzinfo=timezone.utc), date(1970, 1, 1).toordinal()


def reader(types: Sequence[pa.DataType], *, raw: int = 0) -> Callable[[bytes], list[Any]]:
    """Return a function from a cell to its fields, which have ``types``: Python values as Arrow's ``as_py`` gives them.

    The first ``raw`` fields come as the integers that Arrow keeps for them: times to compare. The function raises
    CorruptData for bytes that are no cell of these types.
    """
    numbers = [pa.int32() if pa.types.is_date32(kind) else pa.int64() for kind in types[:raw]]
    fields, version = _fields([*numbers, *types[raw:]]), bytes([VERSION])

    def read(cell: bytes) -> list[Any]:
        values: list[Any]
        if cell[:1] != version:
            raise CorruptData(f"a cell begins with {cell[:1]!r}, not with the version {VERSION}")
        try:
            values, end = fields(cell, 1)
        except (struct.error, IndexError, ValueError, OverflowError, pa.ArrowException) as exc:
            raise CorruptData(f"a cell of {len(cell)} bytes does not hold {', '.join(map(str, types))}: {exc}") from exc
        if end != len(cell):
            raise CorruptData(f"a cell of {len(cell)} bytes is read to its end at byte {end}")
        return values

    return read


def _fields(types: Sequence[pa.DataType]) -> Reader:
    readers = [_reader(kind) for kind in types]
    width = (len(readers) + 7) // 8
    none, runs = bytes(width), _runs(types)

    def whole(cell: bytes, place: int) -> tuple[list[Any], int]:
        values: list[Any] = []
        for run in runs:
            if isinstance(run, struct.Struct):
                values += run.unpack_from(cell, place)
                place += run.size
            else:
                value, place = run(cell, place)
                values.append(value)
        return values, place

    def read(cell: bytes, place: int) -> tuple[list[Any], int]:
        bitmap = _taken(cell, place, width)
        place += width
        if bitmap == none:
            return whole(cell, place)
        nulls = int.from_bytes(bitmap, "little")
        values = []
        for item in readers:
            value = None
            if not nulls & 1:
                value, place = item(cell, place)
            nulls >>= 1
            values.append(value)
        return values, place

    return read


def _runs(types: Sequence[pa.DataType]) -> list[struct.Struct | Reader]:
    """Return how fields without nulls are read: numbers one after another by one Struct, others by their reader."""
    runs: list[struct.Struct | Reader] = []
    for numeric, group in groupby(types, lambda kind: str(kind) in _CODES):
        kinds = list(group)
        if numeric:
            runs.append(struct.Struct("<" + "".join(_CODES[str(kind)] for kind in kinds)))
        else:
            runs.extend(_reader(kind) for kind in kinds)
    return runs


def _taken(cell: bytes, place: int, width: int) -> bytes:
    part = cell[place : place + width]
    if len(part) != width:
        raise ValueError("it ends too early")
    return part


@cache
def _reader(of: pa.DataType) -> Reader:
    if is_text(of):
        return _text(decoded=str(of) == "string")
    if is_list(of):
        return _list(_reader(of.value_type))
    if pa.types.is_struct(of):
        return _struct(of)
    return _single(of)


def _single(of: pa.DataType) -> Reader:
    if pa.types.is_null(of):
        return lambda _, place: (None, place)
    if pa.types.is_boolean(of):
        return lambda cell, place: (cell[place] != 0, place + 1)
    if str(of) in _CODES:
        return _number(struct.Struct(f"<{_CODES[str(of)]}"))
    if pa.types.is_date32(of):
        return _of_integer(pa.int32(), lambda days: date.fromordinal(days + _EPOCH_DAY))
    if pa.types.is_timestamp(of) and of.unit in _PER_SECOND:
        return _of_integer(pa.int64(), _timestamp(of))
    return _by_arrow(of)


def _number(code: struct.Struct) -> Reader:
    unpack, width = code.unpack_from, code.size
    return lambda cell, place: (unpack(cell, place)[0], place + width)


def _of_integer(stored: pa.DataType, make: Callable[[int], Any]) -> Reader:
    number = _reader(stored)

    def read(cell: bytes, place: int) -> tuple[Any, int]:
        value, end = number(cell, place)
        return make(value), end

    return read


def _timestamp(of: pa.DataType) -> Callable[[int], datetime]:
    scale = 1_000_000 // _PER_SECOND[of.unit]
    if of.tz is None:
        start = _EPOCH.replace(tzinfo=None)
        return lambda value: start + timedelta(microseconds=value * scale)
    zone = timezone.utc if of.tz == "UTC" else pa.lib.string_to_tzinfo(of.tz)
    return lambda value: (_EPOCH + timedelta(microseconds=value * scale)).astimezone(zone)


def _by_arrow(of: pa.DataType) -> Reader:
    width = of.bit_width // 8

    def read(cell: bytes, place: int) -> tuple[Any, int]:
        buffers = [None, pa.py_buffer(_taken(cell, place, width))]
        return pa.Array.from_buffers(of, 1, buffers)[0].as_py(), place + width

    return read


def _length(cell: bytes, place: int) -> tuple[int, int]:
    length = shift = 0
    while True:
        part = cell[place]
        place += 1
        length |= (part & 0x7F) << shift
        if not part & 0x80:
            return length, place
        shift += 7


def _text(*, decoded: bool) -> Reader:
    def read(cell: bytes, place: int) -> tuple[Any, int]:
        length, start = cell[place], place + 1
        if length & 0x80:
            length, start = _length(cell, place)
        end = start + length
        value = cell[start:end]
        if len(value) != length:
            raise ValueError("it ends too early")
        return value.decode() if decoded else value, end

    return read


def _list(item: Reader) -> Reader:
    def read(cell: bytes, place: int) -> tuple[list[Any], int]:
        length, place = _length(cell, place)
        if length >> 1 > len(cell) - place:
            raise ValueError("it ends within a list")
        values: list[Any] = []
        for _ in range(length >> 1):
            known = True
            if length & 1:
                known, place = cell[place] != 0, place + 1
            value = None
            if known:
                value, place = item(cell, place)
            values.append(value)
        return values, place

    return read


def _struct(of: pa.DataType) -> Reader:
    names = [field.name for field in of]
    fields = _fields([field.type for field in of])

    def read(cell: bytes, place: int) -> tuple[dict[str, Any], int]:
        values, place = fields(cell, place)
        return dict(zip(names, values, strict=True)), place

    return read
