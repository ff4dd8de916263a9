"""A summary of a table, small enough for a manifest: a few numbers a column, which merge without the rows.

Every column has ``rows`` and ``nulls``. Beside them stand, by its type:

- numbers, booleans (0 and 1), decimals and durations (in their unit): ``min``, ``max``, ``mean``, ``std`` (of
  all, not of a sample) and ``zeros``; floats also ``nans`` and ``infinities``, which the others leave out;
- timestamps, dates and times of day: ``min`` and ``max`` as ISO text, zoned ones in UTC with ``+00:00``;
- text, bytes and lists: ``min_length`` and ``max_length`` (characters, bytes, values) and ``empty``;
- anything else, and a column of the null type: no more.

Where there is no value to tell of, the entry is None. The whole is JSON: no NaN, no infinity.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import InvalidType

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Summary = Mapping[str, Mapping[str, Any]]

_COUNTS = ("rows", "nulls", "zeros", "nans", "infinities", "empty")
_LEAST, _GREATEST = ("min", "min_length"), ("max", "max_length")
_UTC = "+00:00"


def summarize(table: pa.Table) -> dict[str, dict[str, Any]]:
    """Return the summary of each column of ``table``, by name; of two columns of one name the last."""
    return {name: _column(column) for name, column in zip(table.column_names, table.columns, strict=True)}


def merge(a: Summary, b: Summary) -> dict[str, dict[str, Any]]:
    """Return the summary of the rows of both: counts and extremes exactly, mean and deviation to rounding.

    A column that only one of them has stays as it is. Raises InvalidType where one saw numbers and the other
    text, times or lists.
    """
    names = dict.fromkeys([*a, *b])
    return {name: _merged(name, a.get(name), b.get(name)) for name in names}


def _column(column: pa.ChunkedArray) -> dict[str, Any]:
    counts = {"rows": len(column), "nulls": column.null_count}
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if not (pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or _has_lengths(kind)):
        return counts
    present = column.drop_null() if column.null_count else column
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return counts | _moments(present, kind)
    if pa.types.is_decimal(kind):
        present = present.cast(pa.float64())
    elif pa.types.is_duration(kind):
        present = present.cast(pa.int64())
    elif _has_lengths(kind):
        return counts | _lengths(present, kind)
    return counts | _numbers(present.to_numpy())


def _has_lengths(kind: pa.DataType) -> bool:
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    bytes_ = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(check(kind) for check in (*lists, *bytes_)) or _is_text(kind)


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), pa.large_string())


def _numbers(values: npt.NDArray[Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"min": None, "max": None, "mean": None, "std": None}
    told["zeros"] = len(values) - int(np.count_nonzero(values))
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        told["nans"] = int(np.count_nonzero(np.isnan(values)))
        told["infinities"] = len(values) - int(np.count_nonzero(finite)) - told["nans"]
        values = values[finite]
    if len(values):
        whole = values.astype(np.uint8) if values.dtype.kind == "b" else values
        told |= {"min": whole.min().item(), "max": whole.max().item()}
        told["mean"], told["std"] = _mean_and_std(whole.astype(np.float64))
    return told


def _mean_and_std(values: npt.NDArray[Any]) -> tuple[float, float]:
    # Scaled by a power of two, no square overflows or vanishes; counted from the first value, equal values
    # have exactly their value as mean and a deviation of zero, and great numbers close together keep digits.
    _, exponent = math.frexp(float(np.abs(values).max()))
    scaled = np.ldexp(values, -exponent)
    apart = scaled - scaled[0]
    offset = apart.mean()
    deviation = np.sqrt(np.square(apart - offset).mean())
    mean, std = np.ldexp([scaled[0] + offset, deviation], exponent).tolist()
    return mean, min(std, sys.float_info.max)


def _moments(present: pa.ChunkedArray, kind: pa.DataType) -> dict[str, Any]:
    if not len(present):
        return {"min": None, "max": None}
    unit = str(kind).partition("[")[2].partition("]")[0].partition(",")[0]
    unit = "D" if unit == "day" else unit
    width = pa.int32() if kind.bit_width == 32 else pa.int64()  # noqa: PLR2004 - bits
    counts = present.cast(width)
    return {name: _moment_text(counts, name, unit, kind) for name in ("min", "max")}


def _moment_text(counts: pa.ChunkedArray, end: str, unit: str, kind: pa.DataType) -> str:
    count = pc.min_max(counts)[end].as_py()
    text = str(np.datetime64(count, unit))
    if pa.types.is_time(kind):
        return text.partition("T")[2]
    if pa.types.is_date(kind):
        return text.partition("T")[0]
    return text + _UTC if kind.tz is not None else text


def _lengths(present: pa.ChunkedArray, kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_fixed_size_list(kind) or pa.types.is_fixed_size_binary(kind):
        size = kind.list_size if pa.types.is_fixed_size_list(kind) else kind.byte_width
        told = size if len(present) else None
        return {"min_length": told, "max_length": told, "empty": len(present) if size == 0 else 0}
    if pa.types.is_nested(kind):
        lengths = pc.list_value_length(present)
    else:
        lengths = pc.utf8_length(present) if _is_text(kind) else pc.binary_length(present)
    ends = pc.min_max(lengths).as_py()
    empty = pc.sum(pc.equal(lengths, 0)).as_py() or 0
    return {"min_length": ends["min"], "max_length": ends["max"], "empty": empty}


def _merged(name: str, a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> dict[str, Any]:
    if a is None or b is None:
        return dict(a if a is not None else b if b is not None else {})
    if "" not in (_family(a), _family(b)) and _family(a) != _family(b):
        raise InvalidType(f"column '{name}' holds {_family(a)} in one part and {_family(b)} in the other")
    merged: dict[str, Any] = {}
    for key in dict.fromkeys([*a, *b]):
        told = [part[key] for part in (a, b) if part.get(key) is not None]
        if key in _COUNTS:
            merged[key] = sum(told)
        elif key in _LEAST:
            merged[key] = min(told, key=_comparable, default=None)
        elif key in _GREATEST:
            merged[key] = max(told, key=_comparable, default=None)
    if "mean" in a or "mean" in b:
        merged["mean"], merged["std"] = _merged_moments(a, b)
    return merged


def _family(part: Mapping[str, Any]) -> str:
    """Return what the values are, "" where there is no value to tell by."""
    if part["rows"] == part["nulls"]:
        return ""
    if "mean" in part:
        return "numbers"
    if "min_length" in part:
        return "text or lists"
    if "min" not in part:
        return "records"
    if "-" not in part["min"]:
        return "times of day"
    return "zoned times" if part["min"].endswith(_UTC) else "times"


def _comparable(value: float | str) -> Any:
    if isinstance(value, str) and "-" in value:
        return np.datetime64(value.removesuffix(_UTC))
    return value


def _merged_moments(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[float | None, float | None]:
    told = [part for part in (a, b) if part.get("mean") is not None]
    if len(told) < 2:  # noqa: PLR2004 - a pair
        return (told[0]["mean"], told[0]["std"]) if told else (None, None)
    many, more = _finite(a), _finite(b)
    share = more / (many + more)
    mean = a["mean"] + (b["mean"] * share - a["mean"] * share)
    between = math.sqrt(share * (1 - share))
    apart = b["mean"] * between - a["mean"] * between
    std = math.hypot(a["std"] * math.sqrt(1 - share), b["std"] * math.sqrt(share), apart)
    return mean, min(std, sys.float_info.max)


def _finite(part: Mapping[str, Any]) -> int:
    count: int = part["rows"] - part["nulls"] - part.get("nans", 0) - part.get("infinities", 0)
    return count
