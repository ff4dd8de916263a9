"""Which cells of two columns differ, to the bit, and by how much where they are numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core.by_rule_values import cells, mark
from jukebox.core.records import is_list

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Truths = NDArray[np.bool_]
    Reals = NDArray[np.float64]

_BITS = {pa.float32(): np.uint32, pa.float64(): np.uint64}


def same(one: pa.Array, other: pa.Array) -> Truths:
    """Return where two columns of one type and length hold the same: two nulls, two NaN, or equal to the bit."""
    valid, others = _valid(one), _valid(other)
    if one.type in _BITS:
        equal = _same_floats(one, other)
    elif _is_plain(one.type):
        equal = np.asarray(pc.fill_null(pc.equal(one, other), False).to_numpy(zero_copy_only=False))
    else:
        pairs = zip(cells(one), cells(other), strict=True)
        equal = np.array([mark(left) == mark(right) for left, right in pairs], np.bool_)
    return np.asarray(np.where(valid & others, equal, valid == others), np.bool_)


def distances(one: pa.Array, other: pa.Array) -> tuple[Reals, Reals]:
    """Return how far apart two columns of numbers are, absolutely and in shares of the greater of the two.

    For lists of numbers it is the greatest distance of their items. NaN where a cell has no distance: it is null,
    no number, not finite on one side, or a list of another length.
    """
    if _is_number(one.type):
        left, right = _reals(one), _reals(other)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            apart = np.abs(left - right)
            share = np.where(apart == 0, 0.0, apart / np.maximum(np.abs(left), np.abs(right)))
        unknown = ~np.isfinite(left) | ~np.isfinite(right)
        return np.where(unknown, np.nan, apart), np.where(unknown, np.nan, share)
    found = np.full((2, len(one)), np.nan)
    if is_list(one.type) and _is_number(one.type.value_type):
        for place, pair in enumerate(zip(cells(one), cells(other), strict=True)):
            found[:, place] = _greatest(*pair, one.type.value_type)
    return found[0], found[1]


def _greatest(one: list[Any] | None, other: list[Any] | None, kind: pa.DataType) -> tuple[float, float]:
    if one is None or other is None or len(one) != len(other) or not one:
        return np.nan, np.nan
    apart, share = distances(pa.array(one, kind), pa.array(other, kind))
    return float(apart.max()), float(share.max())


def _same_floats(one: pa.Array, other: pa.Array) -> Truths:
    left, right = (column.to_numpy(zero_copy_only=False) for column in (one, other))
    # A column of nulls comes in its own type all the same.
    bits = _BITS[one.type]
    alike = left.view(bits) == right.view(bits)
    return np.asarray(alike | (np.isnan(left) & np.isnan(right)), np.bool_)


def _valid(column: pa.Array) -> Truths:
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False), np.bool_)


def _reals(column: pa.Array) -> Reals:
    if pa.types.is_decimal(column.type):
        return np.array([np.nan if each is None else float(each) for each in column.to_pylist()], np.float64)
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)


def _is_plain(kind: pa.DataType) -> bool:
    texts = ("string", "binary", "bool")
    return str(kind) in texts or pa.types.is_integer(kind) or pa.types.is_temporal(kind)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
