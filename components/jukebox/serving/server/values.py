"""Keys and values in JSON: what it has no type for is text, and bytes are {"b64": …} as in TensorFlow Serving."""

from __future__ import annotations

import base64
import binascii
import json
import math
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core import rowkeys
from jukebox.errors import InvalidType, InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jukebox.serving.lookups import Lookup

_B64 = "b64"


def plain(value: Any) -> Any:
    """Return a value as JSON has it: times in ISO 8601, decimals as text, NaN and infinities by their names."""
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
    if isinstance(value, bytes):
        return {_B64: base64.b64encode(value).decode()}
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def to_json(body: Any) -> bytes:
    """Return JSON in ASCII, in which even half a surrogate pair has its place."""
    return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()


def instant(text: str) -> datetime:
    """Return the time that ISO 8601 names; raises InvalidValue."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as exc:
        raise InvalidValue(f"{text!r} is no time; it is written 2013-07-01T12:00:00Z") from exc


def understood(given: Sequence[Mapping[str, Any]], lookup: Lookup) -> list[dict[str, Any]]:
    """Return entities and contexts with keys and contextual values in Python's types; the rest as it is.

    Raises InvalidValue for a text that is no time, number or bytes where one is due.
    """
    readers = {name: _READERS[kind] for name, kind in lookup.keys.items() if kind in _READERS}
    for each in lookup.context:
        read = None if each.type is None else reader(each.type)
        if read is not None:
            readers |= dict.fromkeys(each.names, read)
    return [
        {name: readers[name](value) if name in readers else value for name, value in each.items()} for each in given
    ]


def reader(of: pa.DataType) -> Callable[[Any], Any] | None:
    """Return what makes a value of this type of one in JSON; None where it is one already."""
    if hasattr(of, "value_type"):
        item = reader(of.value_type)
        return None if item is None else lambda value: [*map(item, value)] if isinstance(value, list) else value
    if pa.types.is_decimal(of):
        return _decimal
    try:
        return _READERS.get(rowkeys.kind(of))
    except InvalidType:
        return None


def _time(value: Any) -> Any:
    return instant(value) if isinstance(value, str) else value


def _date(value: Any) -> Any:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError as exc:
        raise InvalidValue(f"{value!r} is no date; it is written 2013-07-01") from exc


def _decimal(value: Any) -> Any:
    try:
        return Decimal(value) if isinstance(value, str) else value
    except InvalidOperation as exc:
        raise InvalidValue(f"{value!r} is no decimal number") from exc


def unwrapped(value: Any) -> Any:
    """Return the bytes of ``{"b64": …}``, and anything else as it is; raises InvalidValue for what is no base64."""
    if not isinstance(value, dict) or set(value) != {_B64} or not isinstance(value[_B64], str):
        return value
    try:
        return base64.b64decode(value[_B64].encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError) as exc:
        raise InvalidValue(f"{value[_B64]!r} is no base64") from exc


_READERS: dict[str, Callable[[Any], Any]] = {
    "date": _date,
    "naive time": _time,
    "zoned time": _time,
    "bytes": unwrapped,
}
