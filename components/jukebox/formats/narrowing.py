"""Which types a column of text could have, block by block, without losing what the text says.

Text stays text where a number would change it: with leading zeros (``007``), or as a whole number that
neither int64 nor float64 holds exactly. ``nan`` alone is text; among numbers it is the number NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE = r"^-?(0|[1-9][0-9]*)$"
# Leading zeros, or a whole number that may exceed the 53 bits of a float64.
NOT_A_FLOAT = r"^-?(0[0-9]|[0-9]{16,}$)"
TRUTH = r"^(true|True|TRUE|false|False|FALSE)$"
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
# A cast that fails takes twenty times as long as one that holds: most fail within a few values.
GLANCE = 32


def narrow(possible: list[pa.DataType] | None, block: pa.StringArray) -> list[pa.DataType] | None:
    """Return those of the ``possible`` types (None: not one value yet) that hold every value of ``block``."""
    values = pc.drop_null(block) if block.null_count > 0 else block
    if len(values) == 0:
        return possible
    return [kind for kind in (CANDIDATES if possible is None else possible) if CANDIDATES[kind](values)]


def narrowest(possible: list[pa.DataType] | None) -> pa.DataType:
    """Return the first type left, and string where none is or no value was seen."""
    return possible[0] if possible else pa.string()


def _every(values: pa.StringArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _cast(values: pa.StringArray, kind: pa.DataType) -> pa.Array | None:
    try:
        values.slice(0, GLANCE).cast(kind)
        return values.cast(kind)
    except pa.ArrowInvalid:
        return None


def _is_int(values: pa.StringArray) -> bool:
    trimmed = pc.ascii_trim_whitespace(values)
    return _cast(trimmed, pa.int64()) is not None and _every(trimmed, WHOLE)


def _is_float(values: pa.StringArray) -> bool:
    trimmed = pc.ascii_trim_whitespace(values)
    numbers = _cast(trimmed, pa.float64())
    if numbers is None or not pc.any(pc.is_finite(numbers)).as_py():
        return False
    return not pc.any(pc.match_substring_regex(trimmed, NOT_A_FLOAT)).as_py()


def _is_date(values: pa.StringArray) -> bool:
    return _cast(values, pa.timestamp("s")) is not None and _every(values, DATE)


def _time(kind: pa.DataType) -> tuple[pa.DataType, Callable[[pa.StringArray], bool]]:
    return kind, lambda values: _cast(values, kind) is not None


CANDIDATES: dict[pa.DataType, Callable[[pa.StringArray], bool]] = {
    pa.int64(): _is_int,
    pa.float64(): _is_float,
    pa.bool_(): lambda values: _every(values, TRUTH),
    pa.date32(): _is_date,
    **dict(_time(pa.timestamp(unit, zone)) for unit in ("us", "ns") for zone in (None, "UTC")),
}
