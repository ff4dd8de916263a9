"""The data types that a feature may have, and what they are in Arrow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jukebox.errors import InvalidValue

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
_DECIMAL = re.compile(r"decimal\(([0-9]+), ?([0-9]+)\)")
_LIST = re.compile(r"list<(.+?)(?:, ?([1-9][0-9]*))?>")
_MOST_DIGITS = 38


def canonical_type(data_type: str) -> str:
    """Return the one spelling of a data type, so that a space does not make a new version.

    >>> canonical_type("list<float32,128>")
    'list<float32, 128>'
    """
    return re.sub(r", ?", ", ", data_type)


def arrow_type(data_type: str) -> pa.DataType | None:
    """Return the Arrow type that values of ``data_type`` have; None for ``any``, which takes what there is.

    A timestamp is an instant, in microseconds of UTC. ``list<float32, 128>`` is a list of just 128 numbers.
    Raises InvalidValue for what is no data type.
    """
    import pyarrow as pa

    if data_type == "any":
        return None
    match = _LIST.fullmatch(data_type)
    if match is None:
        return _single(data_type)
    size = -1 if match[2] is None else int(match[2])
    return pa.list_(_single(match[1]), size)


def _single(data_type: str) -> pa.DataType:
    import pyarrow as pa

    named = {"bool": pa.bool_(), "string": pa.string(), "bytes": pa.binary(), "date": pa.date32()}
    if data_type in named:
        return named[data_type]
    if data_type in _NUMBERS:
        return getattr(pa, data_type)()
    if data_type == "timestamp":
        return pa.timestamp("us", "UTC")
    match = _DECIMAL.fullmatch(data_type)
    if match is None or not 1 <= int(match[1]) <= _MOST_DIGITS or int(match[2]) > _MOST_DIGITS:
        known = ", ".join(("any", *named, *_NUMBERS, "timestamp", "decimal(p, s)"))
        raise InvalidValue(f"'{data_type}' is no data type; there are {known}, and list<…> of them")
    return pa.decimal128(int(match[1]), int(match[2]))
