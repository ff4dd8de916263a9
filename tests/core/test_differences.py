"""Cells that differ, to the bit, and how far numbers are apart."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukebox.core.by_rule_values import cells, mark
from jukebox.core.differences import distances, same
from tests.core.asof_strategies import VALUES

NAN = float("nan")


@given(st.data())
def test_cells_are_the_same_where_they_are_equal_to_the_bit(data: st.DataObject) -> None:
    """Of every type: two nulls, two NaN, and values that Python writes alike."""
    kind, values = data.draw(st.sampled_from(VALUES))
    column = st.lists(st.one_of(st.none(), st.sampled_from(values)), min_size=5, max_size=5)
    one, other = (pa.array(data.draw(column), kind) for _ in range(2))
    expected = [mark(left) == mark(right) for left, right in zip(cells(one), cells(other), strict=True)]
    assert same(one, other).tolist() == expected
    assert same(one, one).all()


@pytest.mark.parametrize(
    ("kind", "left", "right", "apart", "share"),
    [
        (
            pa.float64(),
            [1.0, 2.0, None, NAN, 0.0],
            [1.5, 2.0, 1.0, 1.0, -0.0],
            [0.5, 0, NAN, NAN, 0],
            [1 / 3, 0, NAN, NAN, 0],
        ),
        (pa.int64(), [10, -10], [8, 10], [2, 20], [0.2, 2]),
        (pa.float64(), [float("inf")], [1.0], [NAN], [NAN]),
        (pa.decimal128(6, 2), [Decimal("1.50")], [Decimal("1.00")], [0.5], [1 / 3]),
        (pa.list_(pa.float32()), [[1.0, 2.0], [1.0], None], [[1.0, 4.0], [], [1.0]], [2, NAN, NAN], [0.5, NAN, NAN]),
        (pa.string(), ["a"], ["b"], [NAN], [NAN]),
        (pa.bool_(), [True], [False], [NAN], [NAN]),
    ],
    ids=str,
)
def test_distances_are_of_numbers_alone(
    kind: pa.DataType, left: list[Any], right: list[Any], apart: list[float], share: list[float]
) -> None:
    """Absolute, and in shares of the greater one; NaN where there is none to tell."""
    found = distances(pa.array(left, kind), pa.array(right, kind))
    np.testing.assert_allclose(found[0], apart)
    np.testing.assert_allclose(found[1], share)


def test_columns_without_rows_have_no_distance() -> None:
    """And nothing in them differs."""
    nothing = pa.array([], pa.list_(pa.float32()))
    assert same(nothing, nothing).tolist() == []
    assert [each.tolist() for each in distances(nothing, nothing)] == [[], []]
