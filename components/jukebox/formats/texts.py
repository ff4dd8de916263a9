"""Values as text and back, without loss, where a format has numbers and text alone.

Dates and times are ISO 8601; instants are written in UTC, with a Z. Decimals have all digits of their scale, and
bytes are base64.
"""

from __future__ import annotations

import base64
import binascii
import decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import InvalidValue, reason

# Arrow writes years of other lengths as well, and cannot read them again.
FIRST_DAY, LAST_DAY = -719_162, 2_932_896  # 0001-01-01, 9999-12-31, in days since 1970-01-01
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
CLOCK = r"^[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?$"
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def is_told(kind: pa.DataType) -> bool:
    """Return whether values of this type become text here."""
    test = pa.types
    tests = (test.is_date, test.is_time, test.is_timestamp, test.is_decimal, is_bytes)
    return any(is_kind(kind) for is_kind in tests)


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether a type holds bytes that need not be text."""
    test = pa.types
    fixed = test.is_fixed_size_binary(kind) and not test.is_decimal(kind)
    return fixed or str(kind).removeprefix("large_").removesuffix("_view") == "binary"


def to_text(array: pa.Array, name: str) -> pa.StringArray:
    """Return what ``from_text`` turns into the same values; InvalidValue for a year outside of 1 to 9999."""
    kind = array.type
    if is_bytes(kind):
        return pa.array(
            [None if each is None else base64.b64encode(each).decode() for each in array.to_pylist()], pa.string()
        )
    if pa.types.is_decimal(kind):
        return pa.array([None if each is None else format(each, "f") for each in array.to_pylist()], pa.string())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        check_years(array, name)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return array.cast(pa.timestamp(kind.unit, "UTC")).cast(pa.string())
    return array.cast(pa.string())


def from_text(array: pa.StringArray, kind: pa.DataType, name: str) -> pa.Array:
    """Return text as ``kind``; InvalidValue for text that is none, with the first that is not."""
    try:
        return _parsed(array, kind)
    except (pa.ArrowInvalid, decimal.InvalidOperation, binascii.Error, ValueError) as exc:
        why = "it is no number" if isinstance(exc, decimal.InvalidOperation) else reason(exc)
        raise InvalidValue(f"column '{name}' is declared {kind} and holds another value: {why}") from exc


def _parsed(array: pa.StringArray, kind: pa.DataType) -> pa.Array:
    test = pa.types
    if is_bytes(kind):
        found = [None if each is None else base64.b64decode(each, validate=True) for each in array.to_pylist()]
        return pa.array(found, kind)
    if test.is_decimal(kind):
        return pa.array([None if each is None else decimal.Decimal(each) for each in array.to_pylist()], kind)
    if test.is_date(kind):
        _check_all(array, DAY)
        return array.cast(pa.timestamp("s")).cast(pa.date32()).cast(kind)
    if test.is_time(kind):
        _check_all(array, CLOCK)
        day = pc.binary_join_element_wise(pa.scalar("1970-01-01"), array, pa.scalar(" "))
        wide = day.cast(pa.timestamp("ns")).view(pa.time64("ns"))
        return wide.cast(kind)
    if test.is_timestamp(kind) and kind.unit in {"s", "ms"}:
        # Another writer may have given more digits; those that are not zero are refused by the cast.
        return array.cast(pa.timestamp("us", kind.tz)).cast(kind)
    return array.cast(kind)


def _check_all(array: pa.StringArray, pattern: str) -> None:
    found: Any = pc.match_substring_regex(array, pattern)
    if pc.all(found).as_py() is False:
        raise pa.ArrowInvalid(f"'{array.filter(pc.invert(found))[0].as_py()}'")


def check_years(array: pa.Array, name: str) -> None:
    """Raise InvalidValue for a date or an instant outside of the years 1 to 9999."""
    ends = pc.min_max(array.view(pa.int32() if pa.types.is_date32(array.type) else pa.int64())).as_py()
    if pa.types.is_timestamp(array.type):
        per_day = PER_SECOND[array.type.unit] * 86_400
    else:
        per_day = 1 if pa.types.is_date32(array.type) else 86_400_000
    for end in ends.values():
        if end is not None and not FIRST_DAY <= end // per_day <= LAST_DAY:
            raise InvalidValue(
                f"column '{name}' ({array.type}) has a time outside of the years 1 to 9999, which text has"
            )
