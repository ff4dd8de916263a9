"""Composite typed keys as byte strings that can be read back and that sort as the keys do.

A row key is its columns one after another, each a tag byte and a payload::

    value        tag                      payload
    bool         0x08 false, 0x09 true    none
    integer      0x10 below zero, 0x11    8 bytes, big-endian, two's complement (of any width, signed or not)
    date         0x18                     4 bytes: days since 1970, big-endian, sign bit flipped
    timestamp    0x20 naive, 0x21 zoned   8 bytes: microseconds since 1970 (zoned: of UTC), big-endian, sign bit flipped
    text         0x28                     UTF-8, each 0x00 as 0x00 0xff, ended by 0x00 0x01
    byte string  0x30                     the same

Byte order is column order, then value order; text sorts by code point. No key is the beginning of another one of
as many columns, and the bytes of the first columns are a prefix to scan by. The bytes depend on kind and value
alone, never on a column's width, unit or layout. Null is refused: it matches nothing. So are times that Python's
datetime cannot hold exactly, floats and everything else.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core.ragged import Ragged, constant, fixed, joined, numbers, of_binary
from jukebox.errors import CorruptData, InvalidType, InvalidValue, MissingColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BOOL, _BELOW_ZERO, _INTEGER, _DATE, _NAIVE, _ZONED, _TEXT, _BYTES = 0x08, 0x10, 0x11, 0x18, 0x20, 0x21, 0x28, 0x30
_ZERO, _END = b"\0\xff", b"\0\x01"
_EPOCH, _EPOCH_DAY = datetime(1970, 1, 1, tzinfo=timezone.utc), date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)
_PLAIN = {bool: "bool", int: "integer", str: "text", bytes: "bytes"}  # what nearly every key is, found at once
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
_FIRST_DAY, _LAST_DAY = date.min.toordinal() - _EPOCH_DAY, date.max.toordinal() - _EPOCH_DAY


def kind(of: pa.DataType) -> str:
    """Return what a key column of this type holds.

    It is ``bool``, ``integer``, ``date``, ``naive time``, ``zoned time``, ``text`` or ``bytes``. Raises InvalidType
    for a type that is no key.
    """
    if pa.types.is_dictionary(of):
        return kind(of.value_type)
    if pa.types.is_timestamp(of):
        return "naive time" if of.tz is None else "zoned time"
    name = str(of)
    if pa.types.is_boolean(of) or pa.types.is_integer(of) or pa.types.is_date(of):
        return "bool" if pa.types.is_boolean(of) else "integer" if pa.types.is_integer(of) else "date"
    if name in ("string", "large_string", "string_view"):
        return "text"
    if name in ("binary", "large_binary", "binary_view") or pa.types.is_fixed_size_binary(of):
        return "bytes"
    raise InvalidType(f"{of} is no type of a key; a key is a bool, integer, date, timestamp, text or byte string")


def kind_of(value: object) -> str:
    """Return the kind of one Python or NumPy value; raises InvalidType where it is none of a key."""
    plain = _PLAIN.get(type(value))
    if plain is not None:
        return plain
    if isinstance(value, (bool, np.bool_)):
        return "bool"
    if isinstance(value, datetime):
        return "naive time" if value.tzinfo is None else "zoned time"
    kinds = (((int, np.integer), "integer"), (str, "text"), (date, "date"), (bytes, "bytes"))
    for types, name in kinds:
        if isinstance(value, types):
            return name
    raise InvalidType(
        f"{value!r} is no key: it is a {type(value).__name__}, not a bool, integer, date, datetime, text or byte string"
    )


def encode(rows: pa.Table | pa.RecordBatch, keys: Sequence[str] | None = None) -> pa.LargeBinaryArray:
    """Return the row key of each row, from the columns ``keys``, by default all of them, in their order.

    Raises MissingColumn, InvalidType for a column that is no key, and InvalidValue for nulls and inexact times.

    >>> encode(pa.table({"user": [7], "at": ["x"]}))[0].as_py().hex()
    '11000000000000000728780001'
    """
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    parts = []
    for name in table.column_names if keys is None else keys:
        if name not in table.column_names:
            raise MissingColumn(f"key column '{name}' is not in the rows; they have {', '.join(table.column_names)}")
        parts.extend(_parts(name, table[name]))
    whole = joined(parts) if parts else fixed(np.zeros((table.num_rows, 0)))
    return whole.to_arrow()


def _parts(name: str, column: pa.ChunkedArray) -> list[Ragged]:
    try:
        what = kind(column.type)
        if column.null_count > 0:
            raise InvalidValue(f"key column '{name}' has {column.null_count} nulls; a null is no key")
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return _PARTS[what](column.combine_chunks() if column.num_chunks != 1 else column.chunk(0))
    except InvalidType as exc:
        raise InvalidType(f"key column '{name}': {exc}") from exc
    except pa.ArrowInvalid as exc:
        raise InvalidValue(f"key column '{name}' has values that no key can hold: {exc}") from exc


def _bool_parts(array: pa.Array) -> list[Ragged]:
    return [fixed(array.cast(pa.uint8()).to_numpy()[:, None] + np.uint8(_BOOL))]


def _integer_parts(array: pa.Array) -> list[Ragged]:
    if pa.types.is_unsigned_integer(array.type):
        return [constant(_INTEGER, len(array)), numbers(array.to_numpy(), ">u8")]
    values = array.to_numpy()
    return [fixed((_INTEGER - (values < 0))[:, None]), numbers(values, ">i8")]


def _date_parts(array: pa.Array) -> list[Ragged]:
    days = array.cast(pa.date32()).view(pa.int32())
    _check_range(days, _FIRST_DAY, _LAST_DAY)
    return [constant(_DATE, len(array)), numbers(days.to_numpy() ^ np.int32(-(2**31)), ">i4")]


def _time_parts(array: pa.Array) -> list[Ragged]:
    zone = array.type.tz
    micros = array.cast(pa.timestamp("us", zone)).view(pa.int64())
    _check_range(micros, _FIRST, _LAST)
    flipped = micros.to_numpy() ^ np.int64(-(2**63))
    return [constant(_NAIVE if zone is None else _ZONED, len(array)), numbers(flipped, ">i8")]


def _check_range(array: pa.Array, first: int, last: int) -> None:
    ends = pc.min_max(array).as_py()
    if len(array) > 0 and not (first <= ends["min"] and ends["max"] <= last):
        raise pa.ArrowInvalid("a time lies outside the years 1 to 9999")


def _text_parts(array: pa.Array) -> list[Ragged]:
    return [constant(_TEXT, len(array)), _escaped(of_binary(array))]


def _bytes_parts(array: pa.Array) -> list[Ragged]:
    if pa.types.is_fixed_size_binary(array.type):
        array = array.cast(pa.binary())
    return [constant(_BYTES, len(array)), _escaped(of_binary(array))]


def _escaped(strings: Ragged) -> Ragged:
    zeros = strings.data == 0
    end = fixed(np.tile(np.frombuffer(_END, np.uint8), (len(strings.lengths), 1)))
    if not zeros.any():
        return joined([strings, end])
    ends = np.cumsum(1 + zeros.astype(np.int64))
    data = np.repeat(strings.data, 1 + zeros)
    data[ends[zeros] - 1] = 0xFF
    return joined([Ragged(data, np.concatenate([[0], ends])[strings.offsets]), end])


_PARTS = {
    "bool": _bool_parts,
    "integer": _integer_parts,
    "date": _date_parts,
    "naive time": _time_parts,
    "zoned time": _time_parts,
    "text": _text_parts,
    "bytes": _bytes_parts,
}


def encode_one(values: Sequence[Any]) -> bytes:
    """Return the row key of one row of Python or NumPy values, the same bytes as ``encode`` gives.

    Raises InvalidType for a value that is no key, None among them, and InvalidValue for an integer beyond 64 bits.
    """
    return b"".join(map(_one, values))


def _one(value: Any) -> bytes:
    what = kind_of(value)
    if what == "bool":
        return bytes([_BOOL + bool(value)])
    if what == "integer":
        number = int(value)
        if not -(2**63) <= number < 2**64:
            raise InvalidValue(f"{number} is no key: an integer key lies between -2^63 and 2^64 - 1")
        return bytes([_INTEGER - (number < 0)]) + (number % 2**64).to_bytes(8, "big")
    if what == "date":
        days: int = value.toordinal() - _EPOCH_DAY
        return bytes([_DATE]) + (days + 2**31).to_bytes(4, "big")
    if what in ("naive time", "zoned time"):
        return bytes([_NAIVE if what == "naive time" else _ZONED]) + (_microseconds(value) + 2**63).to_bytes(8, "big")
    try:
        raw: bytes = value.encode() if what == "text" else bytes(value)
    except UnicodeEncodeError as exc:
        raise InvalidValue(f"{value!r} is no key: {exc.reason}") from exc
    return bytes([_TEXT if what == "text" else _BYTES]) + raw.replace(b"\0", _ZERO) + _END


def _microseconds(value: datetime) -> int:
    aware = value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value
    micros = (aware - _EPOCH) // _MICROSECOND
    # pandas' Timestamp is a datetime that counts nanoseconds beside.
    if not _FIRST <= micros <= _LAST or getattr(value, "nanosecond", 0) != 0:
        raise InvalidValue(f"{value!r} is no key: a time is in whole microseconds, in the years 1 to 9999 of UTC")
    return micros


def decode(key: bytes) -> tuple[Any, ...]:
    """Return the values that ``key`` was made of, zoned times in UTC; raises CorruptData where no values make it.

    >>> decode(encode_one([7, "x", True]))
    (7, 'x', True)
    """
    try:
        return tuple(_values(key))
    except (ValueError, IndexError, OverflowError) as exc:
        raise CorruptData(f"{key!r} is no row key: {exc}") from exc


def _values(key: bytes) -> Iterator[Any]:
    place = 0
    while place < len(key):
        tag, start = key[place], place + 1
        if tag in (_BOOL, _BOOL + 1):
            place = start
            yield tag != _BOOL
        elif tag in (_TEXT, _BYTES):
            end = key.index(_END, start)
            place, raw = end + len(_END), _unescaped(key[start:end])
            yield raw.decode() if tag == _TEXT else raw
        else:
            place = start + (4 if tag == _DATE else 8)
            yield _number(tag, key[start:place], whole=place <= len(key))


def _unescaped(raw: bytes) -> bytes:
    if raw.count(b"\0") != raw.count(_ZERO):
        raise ValueError("a zero byte in it is not escaped")
    return raw.replace(_ZERO, b"\0")


def _number(tag: int, raw: bytes, *, whole: bool) -> Any:
    number = int.from_bytes(raw, "big")
    if not whole:
        raise ValueError("it ends within a value")
    if tag == _BELOW_ZERO and number < 2**63:
        raise ValueError("a number below zero lies below -2^63")
    if tag in (_BELOW_ZERO, _INTEGER):
        return number - 2**64 if tag == _BELOW_ZERO else number
    if tag == _DATE:
        return date.fromordinal(number - 2**31 + _EPOCH_DAY)
    if tag in (_NAIVE, _ZONED):
        time = _EPOCH + (number - 2**63) * _MICROSECOND
        return time.replace(tzinfo=None) if tag == _NAIVE else time
    raise ValueError(f"0x{tag:02x} is no tag")
